"""Who a line is of: what the proxy's login or the address says, and how well it is known."""

import re
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from analytics.against import IDENTITIES
from config.people import People, Person, read_people
from ingest.identity import LONGEST, Grade, Identities
from lake.days import number_of

CSV = """\
user,name,department,manager,email,from,to,addresses
ann,Ann Archer,Advice,kim,ann@example.org,,,10.20.1.1;10.20.1.9
BOB,Bob Baker,Advice,kim,bob@example.org,2026-03-01,2026-10-31,10.20.1.2 10.20.1.9
cleo,Cleo Old,Advice,kim,cleo1@example.org,,2026-06-30,10.20.1.3
cleo,Cleo New,Fundraising,lee,cleo2@example.org,2026-07-01,,2001:db8::3
dan,Dan Dent,Advice,kim,dan@example.org,2026-07-01,,10.20.1.3
10.20.1.4,Reception,Front,kim,desk@example.org,,,
"""
NOVEMBER, JUNE, FEBRUARY = date(2026, 11, 20), date(2026, 6, 30), date(2026, 2, 28)


@pytest.fixture
def people(tmp_path: Path) -> People:
    (tmp_path / "people.csv").write_text(CSV)
    return read_people(tmp_path / "people.csv")


def ask(
    people: People, user: str | None, client: str | None, day: date = NOVEMBER
) -> tuple[str | None, str]:
    return Identities(people).of(user, client, number_of(day))


@pytest.mark.parametrize(
    "login",
    ["ann", "ANN", "Ann", r"EXAMPLE\ann", r"example\\ANN", "ann@EXAMPLE.ORG", "ann@realm@x"],
)
def test_a_login_however_written(people: People, login: str) -> None:
    assert ask(people, login, "10.20.1.77") == ("ann", "login")


def test_the_login_beats_the_address(people: People) -> None:
    assert ask(people, "ann", "10.20.1.3") == ("ann", "login")
    assert ask(people, "zed", "10.20.1.1") == ("zed", "unlisted"), "somebody else at Ann's desk"


def test_the_name_is_written_as_in_people(people: People) -> None:
    assert ask(people, "bob", None, JUNE) == ("BOB", "login")


def test_an_assigned_address(people: People) -> None:
    assert ask(people, None, "10.20.1.1") == ("ann", "assigned")
    assert ask(people, "", "10.20.1.1") == ("ann", "assigned")
    assert ask(people, None, "10.20.1.4") == ("10.20.1.4", "assigned"), "an address as the user"
    assert ask(people, None, "2001:db8::3") == ("cleo", "assigned")


def test_a_shared_address_is_nobody(people: People) -> None:
    assert ask(people, None, "10.20.1.9", JUNE) == ("10.20.1.9", "address")
    assert ask(people, None, "10.20.1.9", NOVEMBER) == ("ann", "assigned"), "Bob has left"


def test_an_address_that_changed_hands(people: People) -> None:
    assert ask(people, None, "10.20.1.3", JUNE) == ("cleo", "assigned")
    assert ask(people, None, "10.20.1.3", NOVEMBER) == ("dan", "assigned")


def test_dates_include_both_ends(people: People) -> None:
    assert ask(people, "bob", None, date(2026, 3, 1)) == ("BOB", "login")
    assert ask(people, "bob", None, date(2026, 10, 31)) == ("BOB", "login")
    assert ask(people, "bob", None, FEBRUARY) == ("bob", "unlisted")
    assert ask(people, "bob", None, NOVEMBER) == ("bob", "unlisted")


def test_nothing_known(people: People) -> None:
    assert ask(people, None, "10.99.0.1") == ("10.99.0.1", "address")
    assert ask(people, None, None) == (None, "address")
    assert ask(people, "z" * 1000, None) == ("z" * LONGEST, "unlisted")


def test_one_user_in_two_teams_after_each_other(people: People) -> None:
    before, after = people.login("cleo", JUNE), people.login("cleo", NOVEMBER)
    assert before and before.department == "Advice"
    assert after and after.department == "Fundraising"
    assert [p.user for p in people.team("kim", JUNE)] == ["ann", "BOB", "cleo", "10.20.1.4"]
    assert people.managers() == ["kim", "lee"]


def test_managers_are_found_by_any_of_their_names(people: People) -> None:
    for who in ("ann", "ann@example.org", "Ann Archer"):
        found = people.find(who)
        assert found and found.user == "ann"
    assert people.find("nobody") is None


@given(st.text(), st.text())
def test_a_name_in_people_is_shown_only_where_it_is_known(user: str, client: str) -> None:
    answer, grade = Identities(People([])).of(user, client, 0)
    assert grade in ("unlisted", "address", "service")
    assert answer == (user[:LONGEST] or client)


def test_every_grade_is_explained_and_only_some_may_be_judged() -> None:
    grades = set(get_args(Grade))
    assert set(IDENTITIES) == grades
    documented = re.findall(
        r"^\| `(\w+)` \|.*\| (may be made|never)",
        (ROOT / "docs/identity.md").read_text(),
        re.MULTILINE,
    )
    assert {name for name, _ in documented} == grades
    judged = {name for name, may in documented if may != "never"}
    for question in ("findings_time", "findings_blocked"):
        text = (ROOT / f"analytics/sql/{question}.sql").read_text()
        (listed,) = re.findall(r"identity IN \(([^)]*)\)", text)
        assert set(re.findall(r"'(\w+)'", listed)) == judged


@pytest.mark.parametrize("kind", ["shared", "service"])
def test_an_account_that_is_no_person(kind: str) -> None:
    people = People([Person("desk", "Desk", "", "", "", kind=kind, addresses=("10.0.0.1",))])
    assert ask(people, "DESK", None) == ("desk", kind)
    assert ask(people, None, "10.0.0.1") == ("10.0.0.1", kind)
    assert not people.team("", NOVEMBER) and not people.managers()
