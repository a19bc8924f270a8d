"""One declaration: no command leaves a file that no store claims, and the documents say the same."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from conftest import ROOT, squid_line, write_lines
from drivers import store_list
from sqlalchemy import select

from fairwatch import place
from fairwatch.cli import app, main
from lake.stores import CLOCKED, STORES
from lake.witness.look import claimed_by
from state.tables import FINDING
from workspace import open_site

Words = list[str]


def commands() -> list[str]:
    """Every command of the program by its words."""
    found: list[str] = []

    def walk(command: object, before: Words) -> None:
        for name, sub in getattr(command, "commands", {}).items():
            if hasattr(sub, "commands"):
                walk(sub, [*before, name])
            else:
                found.append(" ".join([*before, name]))

    walk(typer.main.get_command(app), [])
    return found


class Place:
    """A demo site, and what to type on it."""

    def __init__(self, outer: Path) -> None:
        self.outer, self.site = outer, outer / "site"
        self.now = datetime.now(UTC)

    @property
    def days(self) -> Words:
        last = self.now.date() - timedelta(days=self.now.isoweekday())
        return ["--from", str(last - timedelta(days=13)), "--to", str(last)]

    def person(self) -> str:
        return open_site(self.site, "test").people.rows[0].user

    def case(self) -> Words:
        last = self.now.date()
        return ["--person", self.person(), "--from", str(last - timedelta(days=20)), "--to", str(last - timedelta(days=9))]  # fmt: skip

    def file(self, name: str, text: str) -> str:
        path = self.outer / "brought" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    def log(self, name: str = "more.log") -> str:
        at = self.now - timedelta(days=2)
        return str(write_lines(self.outer / "brought" / name, [squid_line(at)]))

    def key(self) -> str:
        """A copy of the master key, elsewhere."""
        return self.file("copy.key", next((self.site / "keys").glob("*.key")).read_text())

    def newest_day(self) -> str:
        return max(p.name for p in (self.site / "lake/events").iterdir())


def _case(p: Place) -> str:
    """The newest case's id."""
    from reports.cases import cases

    return cases(open_site(p.site, "test"))[-1].id


def _finding(p: Place) -> str:
    """A finding's id."""
    with open_site(p.site, "test").state.read() as connection:
        return str(connection.execute(select(FINDING.c.id)).scalars().first())


def _acts(p: Place) -> int:
    """The number of the first act that is still there."""
    return int(next(iter(open_site(p.site, "test").ledger.lines())).act["seq"])


HOSTS = "facebook.com\nexample.net\n"
TYPED: dict[str, Callable[[Place], list[Words]]] = {
    "init": lambda p: [[str(p.outer / "other" / "site"), "--policy", "b3"]],
    "demo": lambda p: [],  # the site is made by it
    "check-logs": lambda p: [[p.log()], ["--rows", p.log()]],
    "ingest": lambda p: [[], [p.log(), "--format", "squid"]],
    "activity": lambda p: [p.days, [*p.days, "--csv"]],
    "usage": lambda p: [p.days, [*p.days, "--json"]],
    "tally": lambda p: [p.days],
    "lines": lambda p: [[p.person(), *p.days, "--reason", "a test"]],
    "findings list": lambda p: [[]],
    "findings review": lambda p: [[_finding(p), "--note", "--reason", "a test of every command"]],
    "classify": lambda p: [["www.facebook.com"]],
    "who": lambda p: [["10.20.1.50", f"{p.now - timedelta(days=9):%Y-%m-%dT%H:%M}"]],
    "run": lambda p: [["nightly"], ["weekly"]],
    "status": lambda p: [[]],
    "doctor": lambda p: [[]],
    "report weekly": lambda p: [[]],
    "case open": lambda p: [[*p.case(), "--reason", "breach", "--by", "Hana Marsh"]],
    "case approve": lambda p: [[_case(p), "--by", "Tom Ridley"]],
    "evidence build": lambda p: [[_case(p)]],
    "evidence verify": lambda p: [[str(p.site / "evidence" / f"{_case(p)}.zip")]],
    "case list": lambda p: [[]],
    "case close": lambda p: [[_case(p), "--by", "Tom Ridley"]],
    "retention plan": lambda p: [[]],
    "retention purge": lambda p: [[]],
    "retention verify": lambda p: [[]],
    "ledger verify": lambda p: [[]],
    "ledger export": lambda p: [[]],
    "ledger checkpoint": lambda p: [[]],
    "ledger prove": lambda p: [[str(_acts(p))]],
    "ledger consistency": lambda p: [[str(min((p.site / "checkpoints").glob("*.txt")))]],
    "ledger rotate-key": lambda p: [[]],
    "retention certificate": lambda p: [[], ["--purge", "last"]],
    "keys status": lambda p: [[]],
    "keys confirm": lambda p: [[p.key()]],
    "keys rotate": lambda p: [[]],
    "keys export": lambda p: [[p.newest_day(), "--reason", "a test"]],
    "hold place": lambda p: [[p.person(), *p.case()[2:], "--reason", "tribunal", "--owner", "Hana Marsh", "--by", "Tom Ridley", "--review", f"{p.now + timedelta(days=30):%Y-%m-%d}"]],
    "hold list": lambda p: [[]],
    "hold review": lambda p: [[f"H-{p.now.year}-0001", "--review", f"{p.now + timedelta(days=60):%Y-%m-%d}", "--note", "a test", "--by", "Tom Ridley"]],
    "hold export": lambda p: [[f"H-{p.now.year}-0001", "--to", str(p.outer / "brought" / "held.zip"), "--note", "a test", "--by", "Tom Ridley", "--approved-by", "Hana Marsh"]],
    "subject restrict": lambda p: [[p.person(), *p.case()[2:], "--request", "a test", "--by", "Tom Ridley"]],
    "subject list": lambda p: [[]],
    "subject lift": lambda p: [[f"R-{p.now.year}-0001", "--note", "a test", "--by", "Tom Ridley"]],
    "subject access": lambda p: [[p.person()], [p.person(), "--request", "a test", "--by", "Tom Ridley"]],
    "subject erase": lambda p: [[p.person(), "--request", "a test", "--by", "Tom Ridley"], [p.person(), "--request", "a test", "--by", "Tom Ridley", "--confirm"]],
    "hold release": lambda p: [[f"H-{p.now.year}-0001", "--note", "a test", "--by", "Tom Ridley"]],
    "lists import": lambda p: [[p.file("hosts.txt", HOSTS), "--name", "mine", "--category", "social_network", "--write"]],
    "lists update": lambda p: [["mine", "--file", p.file("hosts.txt", HOSTS + "x.example\n"), "--write"]],
    "lists disputes": lambda p: [[]],
    "people import": lambda p: [["--from", "csv", p.file("staff.csv", "user,name,department,manager,email\nann,Ann,A,kim,a@example.org\n")]],
    "calibrate": lambda p: [["--list"], ["--script", str(p.site / "reports" / "script.html")]],
    "help exit-codes": lambda p: [[]],
}  # fmt: skip
NOT_TYPED = {
    "watch": "runs until it is stopped; it ingests, as `ingest` does",
    "schedule": "runs until it is stopped; it runs the jobs, as `run` does",
}
SITELESS = {"init", "help exit-codes"}


def test_every_command_is_typed_or_says_why_not() -> None:
    assert set(commands()) == {*TYPED, *NOT_TYPED}, "add the new command to TYPED"


def unclaimed(site: Path) -> set[str]:
    """Files no store claims."""
    names = (str(p.relative_to(site)) for p in site.rglob("*") if p.is_file())
    return {name for name in names if claimed_by(name) is None}


@pytest.mark.slow
def test_no_command_leaves_a_file_that_no_store_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    p = Place(tmp_path)
    monkeypatch.setattr(place, "now", lambda: p.now)
    monkeypatch.chdir(tmp_path)
    for name in [k for k in os.environ if k.startswith("FAIRWATCH_")]:
        monkeypatch.delenv(name)
    with pytest.raises(SystemExit) as done:
        main(["demo", str(p.site)])
    assert done.value.code == 0, capsys.readouterr().err
    assert unclaimed(p.site) == set()
    failed = []
    for name, typed in TYPED.items():
        for words in typed(p):
            site = [] if name in SITELESS else ["--site", str(p.site)]
            capsys.readouterr()
            with pytest.raises(SystemExit) as done:
                main([*name.split(), *words, *site])
            if done.value.code:
                failed.append((name, done.value.code, capsys.readouterr().err[-300:]))
            assert unclaimed(p.site) == set(), name
    assert failed == []
    assert unclaimed(tmp_path / "other" / "site") == set()
    beside = {q.name for q in tmp_path.iterdir()} - {"site", "other", "brought"}
    assert {n for n in beside if not n.endswith(".key")} == set()


def test_what_a_killed_writer_leaves_is_claimed() -> None:
    for left in (
        "work/events-2026-11-19-x.parquet.tmp",
        "work/123-kim.html.tmp",
        "work/spill/duckdb_temp_storage-0.tmp",
        "ledger/heads.tmp",
        "state/fairwatch.db-wal",
        "keys/ring.db-journal",
    ):
        assert claimed_by(left), left


def test_the_list_of_stores_is_that_of_the_declaration() -> None:
    written = (ROOT / "docs" / "stores.md").read_text("utf-8")
    assert written == store_list.page(), "write it anew: python tests/drivers/store_list.py"


def test_the_map_of_the_folder_names_every_store() -> None:
    """docs/formats-on-disk.md shows the folders; each belongs to a store and none is left out."""
    text = (ROOT / "docs" / "formats-on-disk.md").read_text("utf-8")
    shown = text.split("```", 2)[1]
    folders = {c.split("/")[0] for s in STORES for c in s.claims if "/" in c}
    assert {f for f in folders if not re.search(rf"^{f}/", shown, re.MULTILINE)} == set()


def test_a_declaration_is_whole() -> None:
    for store in STORES:
        assert store.goes in ("never", "row", "release") or store.keep, store.name
        assert store.look in store_list.LOOKS
        assert store.goes in store_list.GOES
    assert len({s.name for s in STORES}) == len(STORES)
    assert {c.form for c in CLOCKED} <= {"ms", "iso"}
