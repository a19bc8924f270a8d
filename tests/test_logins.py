"""Logins of every spelling: what they say, and whose they are."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from config.logins import LONGEST, normalised, same_domain
from config.people import KINDS, NOBODY, People, Person, read_people
from errors import BadConfiguration

TABLE: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests/data/logins.yaml").read_text("utf-8"))
HEADER = "user,name,department,manager,email,kind,from,to,aliases\n"
LIST = (
    HEADER
    + r"""ann,Ann Archer,Advice,,ann@example.org,,,,
bob,Bob Baker,Advice,,bob.baker@example.org,,,,
zoe,Zoë Zed,Advice,,,,,,
straße,Road Runner,Advice,,,,,,
trap,Trap Door,Advice,,ann@trap.example.org,,,,
LISTED$,A Machine,Advice,,,,,,
sam1,Sam Smith,Advice,,,,,,
sam2,Sam Smith,Advice,,,,,,
NORTH\kim,Kim North,Advice,,,,,,
SOUTH\kim,Kim South,Advice,,,,,,
NORTH\lee,Lee North,Advice,,,,,,
lee,Lee Other,Advice,,,,,,
NORTH\max,Max North,Advice,,,,,,
dora.new,Dora New,Advice,,,,,,dora.old dora.older
reception,Front desk,Front,,,shared,,,
svc-backup,Backup,IT,,,service,,,
"""
)
DAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    path = tmp_path_factory.mktemp("people") / "people.csv"
    path.write_text(LIST, "utf-8")
    return read_people(path)


@pytest.mark.parametrize("row", TABLE, ids=lambda r: r["login"] or "empty")
def test_a_login_is_read(row: dict[str, Any]) -> None:
    login = normalised(row["login"])
    found = (login.form, login.account, login.domain, login.service)
    assert found == (
        row["form"],
        row["account"],
        row.get("domain", ""),
        row.get("service", False),
    )


@pytest.mark.parametrize("row", TABLE, ids=lambda r: r["login"] or "empty")
def test_whose_a_login_is(people: People, row: dict[str, Any]) -> None:
    match = people.match(row["login"], DAY)
    assert (match.row.user if match.row else None) == row.get("user")
    assert match.several is row.get("several", False)


@given(st.text())
def test_any_text_has_an_answer_that_stays(text: str) -> None:
    login = normalised(text)
    assert login == normalised(text)
    assert len(login.account) <= 3 * LONGEST
    assert login.service or not login.account.endswith("$") or login.form in (
        "principal", "distinguished name")  # fmt: skip


@given(st.text(st.characters(codec="ascii", exclude_characters='\\@/"%=$,;+ \t'), min_size=1))
def test_case_never_matters(name: str) -> None:
    for text in (name, rf"DOM\{name}", f"{name}@REALM"):
        assert normalised(text.lower()) == normalised(text.upper())


@given(st.sampled_from(KINDS), st.text("abz", min_size=1), st.text("abz", min_size=1))
def test_two_of_one_account_are_nobody(kind: str, account: str, domain: str) -> None:
    rows = [
        Person(rf"{where}\{account}", "", "", "", "", kind=kind) for where in (domain, domain + "x")
    ]
    people = People(rows)
    assert people.match(account).several
    assert people.login(rows[0].user) is rows[0]


def test_domains_compare_by_netbios_and_dns_name() -> None:
    assert same_domain("example", "example.org")
    assert same_domain("example.org", "example")
    assert not same_domain("example.org", "example.com")
    assert not same_domain("exam", "example.org")


def test_shared_and_service_accounts_are_no_people(people: People) -> None:
    assert NOBODY == ("shared", "service")
    row = people.login("reception", DAY)
    assert row and not row.human
    assert not {"reception", "svc-backup"} & {p.user for p in people.team("", DAY)}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("a,,,,,,,,x\nb,,,,,,,,x\n", "'x' stands twice"),
        ("a,,,,,,,,B\nb,,,,,,,,\n", "'b' stands twice"),
        ("a,,,,,,,,\nA,,,,,,,,\n", "'A' stands twice"),
        ("a,,,,,robot,,,\n", "found 'robot'; expected one of employee"),
    ],
)
def test_a_login_is_one_rows(tmp_path: Path, rows: str, says: str) -> None:
    (tmp_path / "people.csv").write_text(HEADER + rows)
    with pytest.raises(BadConfiguration, match=says):
        read_people(tmp_path / "people.csv")


def test_a_login_that_passed_on(tmp_path: Path) -> None:
    """A rehire, and an account name given to somebody else after its owner was renamed."""
    (tmp_path / "people.csv").write_text(
        HEADER
        + "dora,Dora,,,,,2026-01-01,2026-03-31,\ndora,Dora,,,,,2026-09-01,,\n"
        + "ann.new,Ann,,,,,2026-01-01,2026-06-30,ann\nann,Another,,,,,2026-07-01,,\n"
    )
    people = read_people(tmp_path / "people.csv")
    assert people.login("dora", date(2026, 3, 31)) is people.rows[0]
    assert people.login("dora", date(2026, 6, 1)) is None
    assert people.login("dora", DAY) is people.rows[1]
    assert people.login("ann", date(2026, 6, 30)) is people.rows[2]
    assert people.login("ann", DAY) is people.rows[3]
