"""people.csv from a directory: what an import adds, changes and ends, and what it refuses."""

import csv
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import make_site
from hypothesis import given
from hypothesis import strategies as st

from config.people import read_people
from config.roster import COLUMNS, Entry, merged, rows_of, text_of
from fairwatch import place
from fairwatch.cli import main
from ledger import Ledger

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setattr(place, "now", lambda: NOW)

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return int(end.value.code or 0), out, err

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_site(tmp_path / "site")


def row(user: str, **cells: str) -> dict[str, str]:
    return {**dict.fromkeys(COLUMNS, ""), "user": user, **cells}


def entry(user: str, active: bool = True, **cells: Any) -> Entry:
    return Entry({"user": user, **cells}, active)


def test_who_is_new_begins_today_and_who_is_gone_ended_yesterday() -> None:
    old = [row("ann"), row("bob", **{"from": "2026-01-01"}), row("desk", kind="shared")]
    made = merged(old, [entry("ann"), entry("zoe", name="Zoe")], TODAY)
    assert (made.added, made.left, made.changed) == (["zoe"], ["bob"], [])
    assert [r["user"] for r in made.rows] == ["ann", "bob", "desk", "zoe"]
    assert made.rows[1]["to"] == "2026-11-19"
    assert made.rows[2]["to"] == "", "a shared account is in no directory of people"
    assert made.rows[3]["from"] == "2026-11-20"


def test_nobody_is_new_in_a_first_import() -> None:
    made = merged([], [entry("ann"), entry("bob")], TODAY)
    assert [r["from"] for r in made.rows] == ["", ""]


def test_who_came_back_has_a_row_of_their_own() -> None:
    old = [row("ann", to="2026-03-31")]
    made = merged(old, [Entry({"user": "ANN", "from": "2020-01-01"})], TODAY)
    assert made.rows[0] == old[0]
    assert made.rows[1]["from"] == "2026-11-20"


def test_a_new_team_is_a_new_row_and_a_new_name_is_not() -> None:
    old = [row("ann", name="Ann A", department="Advice", manager="kim", roles="communications")]
    made = merged(old, [entry("ann", name="Ann B", department="Legal", manager="lee")], TODAY)
    before, after = made.rows
    assert (before["department"], before["manager"], before["to"]) == (
        "Advice",
        "kim",
        "2026-11-19",
    )
    assert (after["department"], after["manager"], after["from"]) == ("Legal", "lee", "2026-11-20")
    assert after["roles"] == "communications", "what no directory knows stays"
    again = merged(
        made.rows, [entry("ann", name="Ann B", department="Legal", manager="lee")], TODAY
    )
    assert not again.differs and again.rows == made.rows
    named = merged(old, [entry("ann", name="Ann B", department="Advice", manager="kim")], TODAY)
    assert [r["name"] for r in named.rows] == ["Ann B"]


def test_an_account_switched_off_ends_and_stays_so() -> None:
    made = merged([row("ann")], [entry("ann", active=False), entry("eve", active=False)], TODAY)
    assert (made.left, made.added) == (["ann"], [])
    assert not merged(made.rows, [entry("ann", active=False)], TODAY).differs


@pytest.mark.parametrize("bad", ["=cmd()", "+1", "-x", "@ann", "", "  ", "\n", "ANN"])
def test_a_user_no_list_may_hold_is_refused(bad: str) -> None:
    made = merged([], [entry("ann"), entry(bad)], TODAY)
    assert [r["user"] for r in made.rows] == ["ann"]
    assert len(made.refused) == 1 and "entry 2" in made.refused[0]


CELLS = st.text(max_size=20)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS, st.booleans()), max_size=8))
def test_whatever_a_directory_says_is_a_list_that_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, given_: list[tuple[str, str, str, str, bool]]
) -> None:
    old = [row("ann"), row("bob", to="2026-01-01")]
    people = [entry(u, a, name=n, department=d, manager=m) for u, n, d, m, a in given_]
    made = merged(old, people, TODAY)
    path = tmp_path_factory.mktemp("people") / "people.csv"
    path.write_text(text_of(made.rows), "utf-8")
    assert len(read_people(path).rows) == len(made.rows)
    assert rows_of(path.read_text("utf-8")) == made.rows
    assert [r["user"] for r in made.rows[:1]] == ["ann"], "nobody is dropped"
    for cells in csv.reader(path.read_text("utf-8").splitlines()):
        assert not any(c.startswith(("=", "+", "@", "-", "\t")) for c in cells)


# ---- SCIM and CSV at the command line

USERS: list[dict[str, Any]] = [
    {
        "id": "1",
        "userName": "ann",
        "displayName": "Ann Archer",
        "emails": [{"value": "old@example.org"}, {"value": "ann@example.org", "primary": True}],
        ENTERPRISE: {"department": "Advice", "manager": {"value": "3"}},
        "active": True,
    },
    {"id": "2", "userName": "bob", "active": False},
    {"id": "3", "userName": "kim", "name": {"givenName": "Kim", "familyName": "King"},
     "emails": [{"value": "kim@example.org"}], ENTERPRISE: {"department": "Advice"}},
    {"id": "4", "userName": "zoe", "displayName": "=HYPERLINK(1)", "userType": "Contractor",
     ENTERPRISE: {"department": "Ad\nvice", "manager": {"value": "9", "displayName": "Kim King"}}},
    {"id": "5", "userName": "=cmd()"},
]  # fmt: skip
SHAPES = {
    "list": lambda users: json.dumps({"schemas": [], "totalResults": 5, "Resources": users}),
    "array": lambda users: json.dumps(users),
    "lines": lambda users: "\n".join(json.dumps(u) for u in users),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_scim_export(folder: Path, call: Call, shape: str) -> None:
    export = folder.parent / "users.json"
    export.write_text(SHAPES[shape](USERS))
    before = (folder / "people.csv").read_bytes()
    code, out, _ = call("people", "import", "--from", "scim", export, "--site", folder)
    assert code == 0
    assert out.splitlines() == [
        "+ zoe",
        "- bob",
        "! entry 5: a user twice or one a spreadsheet would run",
        "1 new, 0 changed, 1 left, 1 refused; nothing written; --write writes it",
    ]
    assert (folder / "people.csv").read_bytes() == before
    code, out, _ = call("people", "import", "--from", "scim", export, "--site", folder, "--write",
                        "--json")  # fmt: skip
    assert code == 0 and json.loads(out)["written"]
    people = read_people(folder / "people.csv")
    zoe = people.login("zoe", TODAY)
    assert zoe and (zoe.name, zoe.department, zoe.manager) == ("", "Ad vice", "Kim King")
    assert (zoe.kind, zoe.start) == ("agency", TODAY)
    assert people.login("bob", TODAY) is None and people.login("bob", date(2026, 11, 19))
    bob = people.login("bob", date(2026, 11, 1))
    assert bob and bob.addresses == ("10.20.1.50",), "what no directory knows stays"
    assert not (folder / "work" / "people-import.csv").exists()
    acts = [line.act for line in Ledger(folder / "ledger").lines()]
    told = next(a for a in acts if a["act"] == "people import")
    assert (told["added"], told["left"], told["refused"]) == (1, 1, 1)
    code, out, _ = call("people", "import", "--from", "scim", export, "--site", folder, "--write")
    assert "0 new, 0 changed, 0 left" in out


def test_a_csv_of_the_personnel_office(folder: Path, call: Call) -> None:
    (folder.parent / "hr.csv").write_text(
        "user,department,manager\nann,Legal,kim\nbob,Advice,kim\nkim,Advice,\n"
    )
    code, out, _ = call("people", "import", "--from", "csv", folder.parent / "hr.csv", "--site",
                        folder, "--write")  # fmt: skip
    assert code == 0 and "~ ann  department: Advice → Legal" in out
    people = read_people(folder / "people.csv")
    assert [p.department for p in people.rows if p.user == "ann"] == ["Advice", "Legal"]


@pytest.mark.parametrize(
    ("text", "code"), [("", 4), ("[]", 4), ("{", 4), ("[" * 100_000, 4), ('{"Resources": 1}', 4), ('[{"userName": "new"}]', 9)]
)  # fmt: skip
def test_an_export_cut_short_changes_nothing(
    folder: Path, call: Call, text: str, code: int
) -> None:
    (folder.parent / "users.json").write_text(text)
    before = (folder / "people.csv").read_bytes()
    words = ("people", "import", "--from", "scim", folder.parent / "users.json", "--site", folder)
    found, _, err = call(*words, "--write")
    assert found == code and err
    assert (folder / "people.csv").read_bytes() == before


def test_a_list_that_could_not_be_read_is_not_written(folder: Path, call: Call) -> None:
    (folder.parent / "hr.csv").write_text("user,kind\nann,robot\nbob,\nkim,\n")
    before = (folder / "people.csv").read_bytes()
    code, _, err = call("people", "import", "--from", "csv", folder.parent / "hr.csv", "--site",
                        folder, "--write")  # fmt: skip
    assert code == 3 and "column kind" in err
    assert (folder / "people.csv").read_bytes() == before


def test_what_belongs_together(folder: Path, call: Call) -> None:
    code, _, err = call("people", "import", "--from", "ldap", "--site", folder)
    assert code == 3 and "`directory`" in err
    assert call("people", "import", "--from", "scim", "--site", folder)[0] == 2
    assert call("people", "import", "--from", "ldap", "x.json", "--site", folder)[0] == 2
    assert call("people", "import", "--from", "csv", "none.csv", "--site", folder)[0] == 4


# ---- who


def looks(folder: Path) -> list[dict[str, Any]]:
    return [line.act for line in Ledger(folder / "ledger").lines() if line.act["act"] == "look"]


def test_who_explains_a_login(folder: Path, call: Call) -> None:
    code, out, _ = call("who", r"EXAMPLE\Ann", "2026-11-19T10:00", "--site", folder, "--json")
    assert code == 0
    found = json.loads(out)["who"]
    assert (found["name"], found["grade"], found["person"]) == ("ann", "login", True)
    assert found["row"]["name"] == "Ann Archer"
    assert found["steps"][0] == (
        "read as domain: account 'ann', domain 'example'; "
        "found by: the account, whatever its domain"
    )
    (look,) = looks(folder)
    assert (look["what"], look["asked"], look["first_day"]) == ("who", r"EXAMPLE\Ann", "2026-11-19")


def test_who_explains_why_it_is_nobody(folder: Path, call: Call) -> None:
    code, out, _ = call("who", "PC12$", "2026-11-19T10:00", "--site", folder)
    assert code == 0 and "a machine's or a program's account is no person" in out
    assert "grade service: nobody" in out


def test_who_explains_an_address(folder: Path, call: Call) -> None:
    settings = folder / "fairwatch.yaml"
    settings.write_text(
        settings.read_text()
        + "identity:\n"
        + "  - {name: dhcp, kind: kea, paths: [kea.csv]}\n"
        + "  - {name: owners, kind: devices, paths: [devices.csv]}\n"
    )
    (folder / "kea.csv").write_text(
        "address,hwaddr,client_id,valid_lifetime,expire,hostname,state\n"
        "10.20.1.12,00:16:3e:00:00:01,,3600,1795165200,pc1,0\nbroken,,,1,1,,0\n"
    )
    (folder / "devices.csv").write_text("mac,user\n00:16:3e:00:00:01,ann\n")
    words = ("who", "10.20.1.12", "2026-11-20T08:30", "--site", folder)
    found = json.loads(call(*words, "--json")[1])["who"]
    assert (found["name"], found["grade"]) == ("ann", "lease")
    assert [(e["feed"], e["kind"], e["start"]) for e in found["evidence"]] == [
        ("dhcp", "kea", "2026-11-20T08:00:00+00:00"),
        ("owners", "devices", "2026-11-20T08:00:00+00:00"),
    ]
    assert found["problems"] == ["dhcp: 1 records not understood: an address that is none"]
    assert "grade lease: ann" in call(*words)[1]
    later = call("who", "10.20.1.12", "2026-11-20T09:30", "--site", folder)[1]
    assert "nothing says who was behind the address then" in later
    assert (
        "grade assigned: bob" in call("who", "10.20.1.50", "2026-11-20T09:30", "--site", folder)[1]
    )


@pytest.mark.parametrize("at", ["2026-11-20", "yesterday", "0001-01-01T00:00", "9999-12-31T23:59"])
def test_who_needs_an_instant(folder: Path, call: Call, at: str) -> None:
    code, _, err = call("who", "ann", at, "--site", folder)
    assert code == 2 and "expected an instant" in err
    assert not looks(folder)


def test_who_looks_only_after_the_ledger_has_it(
    folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Ledger, "append", refuses)
    code, out, _ = call("who", "ann", "2026-11-19T10:00", "--site", folder)
    assert code == 15 and "ann" not in out
