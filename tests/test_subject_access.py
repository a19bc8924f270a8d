"""Subject access: all that is held on a person, nothing of anybody else, and the look stands in the ledger."""

import csv
import io
import json
import re
import shutil
import subprocess
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import PEOPLE, make_site
from factory import ELSEWHERE, acts, again, derived, edited, lake, page, reading, rows_table, utc
from hypothesis import given as always
from hypothesis import strategies as st
from sqlalchemy import select

import holds
import retention
from analytics.findings import findings
from analytics.record import remember
from errors import NoSuchThing, NotPermitted, WrongUsage
from fairwatch import place
from fairwatch.cli import main
from lake import catalogue
from lake.datasets import EVENTS, PERSONAL
from lake.write import PartWriter
from reports import subject, subject_rows
from reports.bag import verify
from reports.cases import approve, open_case
from reports.others import Others
from reports.reviews import review
from reports.subject import Bundle, access
from rights import deeds, register
from state.tables import FINDING
from subjects import Span
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
WEEK = [date(2026, 11, 9) + timedelta(days=i) for i in range(5)]
HELEN, TOM, DANA = "Helen Marsh", "Tom Ridley", "Dana Office"
ZOE, VIC = "zqx-zoe", "zqx-vic"
PLANTED = f"""\
{ZOE},Zoltana Quirkwell,Advice,kim,zoltana@quirk.example,employee,,,,,10.77.1.1
{VIC},Victorin Oddbodd,Advice,kim,victorin@odd.example,volunteer,,,,,10.77.1.2
"""
SECRETS = ("zqx", "zoltana", "quirk", "victorin", "oddbodd", "10.77.1", "quora")


def rows_of_a_week() -> list[dict[str, Any]]:
    """ann and two others at the same sites; one page of ann's lies outside the categories."""
    made = []
    for day in WEEK:
        made += reading(day, 40)
        made += reading(
            day, 45, user=ZOE, client="10.77.1.1", host="www.quora.com", service="quora"
        )
        made += reading(day, 15, user=VIC, client="10.77.1.2", start="11:00")
        made.append(page(datetime(day.year, day.month, day.day, 9, tzinfo=UTC), **ELSEWHERE | {"host": "other"}))  # fmt: skip
    return made


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a week of three people, a matter about two of them, a case, a pack's worth of acts."""
    root = tmp_path_factory.mktemp("access")
    folder = make_site(root / "site")
    (folder / "people.csv").write_text(PEOPLE + PLANTED)
    ws = open_site(folder, "test")
    lake(ws, rows_of_a_week())
    derived(ws, NOW)
    with ws.alone():
        remember(ws, findings(ws, WEEK[0], WEEK[-1], NOW), {"2026-W46"}, NOW)
    return root


@pytest.fixture
def ws(template: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(template, tmp_path / "copy")
    return open_site(tmp_path / "copy" / "site", "test")


def made(ws: Workspace, person: str = "ann", **other: Any) -> Bundle:
    with ws.alone():
        return access(ws, person, other.get("request", "SAR-1"), DANA, other.get("now", NOW))


def files(bundle: Bundle) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle.path) as archive:
        return {
            n.partition("/data/")[2]: archive.read(n) for n in archive.namelist() if "/data/" in n
        }


def table(bundle: Bundle, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files(bundle)[name].decode("utf-8"), newline="")))


def stored(ws: Workspace, dataset: str, person: str) -> int:
    """Rows of a person in the lake, counted without the code under test."""
    with ws.state.read() as connection:
        parts = [
            p for s in ("live", "restricted") for p in catalogue.parts(connection, dataset, state=s)
        ]
    found = 0
    for part in parts:
        with ws.keys.open(ws.folder / part.path) as file:
            found += file.read().column("user").to_pylist().count(person)
    return found


def finding_of(ws: Workspace, person: str) -> str:
    with ws.state.read() as connection:
        return str(
            connection.execute(select(FINDING.c.id).where(FINDING.c.person == person)).scalar()
        )


# What is in it --------------------------------------------------------------------------------


def test_every_row_of_the_person_is_in_it(ws: Workspace) -> None:
    bundle = made(ws)
    for dataset in PERSONAL:
        found = table(bundle, subject_rows.FILES.get(dataset.name, f"{dataset.name}.csv"))
        assert len(found) == stored(ws, dataset.name, "ann"), dataset.name
        assert {r["user"] for r in found} <= {"ann"}
        assert {r["kept"] for r in found} <= {"in use"}
    lines = table(bundle, "lines.csv")
    assert len(lines) > 200
    assert sum(r["host"] == "other" for r in lines) == len(WEEK)
    assert [f["person"] for f in json.loads(files(bundle)["findings.json"])] == ["ann"]
    assert table(bundle, "people.csv")[0]["email"] == "ann@example.org"


def test_nobody_else_is_in_it(ws: Workspace) -> None:
    """Two others have rows, matters and cases, are named in what was typed, and in no byte of the bundle."""
    said = f"Compared with Zoltana and Mr Oddbodd ({ZOE}, victorin@odd.example, at 10.77.1.1)"
    ann, zoe = finding_of(ws, "ann"), finding_of(ws, ZOE)
    review(ws, ann, "note", said, HELEN, NOW)
    review(ws, zoe, "note", "Zoltana Quirkwell was heard on this", HELEN, NOW)
    for who in ("ann", ZOE):
        asked = open_case(ws, who, WEEK[0], WEEK[-1], "excessive-use", said, HELEN, NOW)
        approve(ws, asked.id, TOM, NOW)
    for what in ("usage", f"lines of {ZOE}", "lines of Zoltana Quirkwell"):
        ws.ledger.append("look", time=NOW, actor="test", what=what, reason=f"about {ZOE}")
    ws.ledger.append("look", time=NOW, actor="test", what="who", asked="10.77.1.1", reason="x")
    bundle = made(ws, request=f"letter handed in by {VIC}")
    with zipfile.ZipFile(bundle.path) as archive:
        content = {
            n: archive.read(n).decode("utf-8", "replace").casefold() for n in archive.namelist()
        }
    assert [(n, s) for n, text in content.items() for s in SECRETS if s in text] == []
    assert "[somebody else]" in table(bundle, "reviews.csv")[0]["reason"]
    assert HELEN.casefold() in content["A-2026-0001/data/index.html"]
    assert [c["asked_by"] for c in table(bundle, "cases.csv")] == [HELEN]


def test_others_are_masked_and_words_are_not(ws: Workspace) -> None:
    ws = edited(ws, "people.csv", ("Zoltana Quirkwell", "May Hope-Will"))
    others = Others(again(ws), "ann")
    assert others.masked("She may hope that will do; ask May.") == (
        "She may hope that will do; ask [somebody else]."
    )
    assert (
        others.masked("Ann Archer wrote to ann@example.org")
        == "Ann Archer wrote to ann@example.org"
    )
    assert others.masked(f"<{ZOE}>, BOB, kim@example.org!") == (
        "<[somebody else]>, [somebody else], [somebody else]!"
    )


@pytest.fixture(scope="module")
def others_of_ann(tmp_path_factory: pytest.TempPathFactory) -> Others:
    """bob and kim."""
    return Others(open_site(make_site(tmp_path_factory.mktemp("others") / "site"), "test"), "ann")


WORDS = st.sampled_from(
    [
        "bob",
        "BOB@example.org",
        "Bob Baker",
        "Baker",
        "kim",
        "10.20.1.50",
        "ann",
        "Ann Archer",
        "a cake",
    ]
)
GAPS = st.text(st.characters(blacklist_categories=("L", "N", "M")), min_size=1).filter(
    lambda text: "_" not in text
)


@always(pieces=st.lists(st.tuples(WORDS, GAPS)))
def test_no_name_is_left_whatever_stands_round_it(
    others_of_ann: Others, pieces: list[tuple[str, str]]
) -> None:
    found = others_of_ann.masked("".join(word + gap for word, gap in pieces))
    assert not re.search(r"(?i)(?<!\w)(bob|baker|kim|10\W20\W1\W50)(?!\w)", found)
    assert found.count("Ann Archer") == sum(word == "Ann Archer" for word, _ in pieces)
    assert found.count("a cake") == sum(word == "a cake" for word, _ in pieces)


def test_who_looked(ws: Workspace) -> None:
    asked = open_case(ws, "ann", WEEK[0], WEEK[-1], "excessive-use", "", HELEN, NOW)
    approve(ws, asked.id, TOM, NOW)
    review(ws, finding_of(ws, "ann"), "contest", "It was for work, ask my team", "Ann Archer", NOW)
    for what in ("usage", "findings", "lines of ann", "lines of bob", "who"):
        ws.ledger.append("look", time=NOW, actor="it", what=what, asked="bob" if what == "who" else "",
                         reason="routine", first_day="2024-01-05", last_day="2026-11-19")  # fmt: skip
    ws.ledger.append("mail", time=NOW, actor="it", team="kim", week="2026-W46", sha256="0")
    ws.ledger.append("mail", time=NOW, actor="it", team="lee", week="2026-W46", sha256="0")
    bundle = made(ws)
    found = [(r["whom"].split()[0], r["what"], r["by"]) for r in table(bundle, "who-looked.csv")]
    for line in (
        ("you,", "your data was asked for", HELEN),
        ("you,", "a second person agreed", TOM),
        (
            "you,",
            "a human wrote down what they make of a matter, or what you said of it",
            "Ann Archer",
        ),
        ("everybody", "minutes of every person and day", ""),
        ("everybody", "matters to look at, with names", ""),
        ("you,", "your stored log lines", ""),
        ("your", "the weekly page was mailed to your manager", ""),
        ("you,", "all of it, for a bundle such as this one", DANA),
    ):
        assert found.count(line) == 1, line
    assert not [line for line in found if "login" in line[1]], "whose bob was is not ann's"
    shown = files(bundle)["index.html"].decode()
    assert "It was for work, ask my team" in shown
    assert "Ann Archer" in shown


def test_the_look_is_in_the_ledger_before_a_row_is_read(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, said = subject_rows.write_rows, []

    def watched(*args: Any) -> Any:
        said.append([line.act for line in ws.ledger.lines()][-1])
        return real(*args)

    monkeypatch.setattr(subject, "write_rows", watched)
    bundle = made(ws)
    told = {k: said[0].get(k) for k in ("act", "what", "person", "by", "request", "right")}
    assert told == {"act": "look", "what": "subject access", "person": "ann", "by": DANA,
                    "request": "SAR-1", "right": "A-2026-0001"}  # fmt: skip
    last = [line.act for line in ws.ledger.lines()][-1]
    assert (last["act"], last["sha256"]) == ("access build", bundle.sha256)
    assert register.right(ws, "A-2026-0001").state == "done"
    ws.ledger.verify()


def test_strangers_can_check_it(ws: Workspace, tmp_path: Path) -> None:
    bundle = made(ws)
    verify(bundle.path)
    with zipfile.ZipFile(bundle.path) as archive:
        archive.extractall(tmp_path / "out")
    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        command = ["sha256sum", "--strict", "-c", manifest]
        done = subprocess.run(command, cwd=tmp_path / "out" / "A-2026-0001", capture_output=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr


# Hostile values -------------------------------------------------------------------------------


def test_hostile_values(tmp_path: Path) -> None:
    evil = '=cmd|"<b>\n'
    folder = make_site(tmp_path / "site")
    ws = open_site(folder, "test")
    lake(ws, [page(utc("2026-11-10 09:00"), user=evil, path='/a,"b\r\n=1+1', client="@x")])
    bundle = made(ws, evil, request="=1+1<script>alert(1)</script>\n2 November 2020")
    found = table(bundle, "lines.csv")
    assert len(found) == 1
    assert found[0]["user"].startswith("'=cmd")
    assert found[0]["client"] == "'@x"
    for name, content in files(bundle).items():
        if name.endswith(".csv"):
            for row in csv.reader(io.StringIO(content.decode("utf-8"), newline="")):
                assert not [c for c in row if c.startswith(("=", "@", "+", "\t", "\r", "\n"))], name
    shown = files(bundle)["index.html"].decode()
    assert "<script" not in shown
    assert "<b>" not in shown
    assert bundle.path.name == "A-2026-0001.zip"


def test_a_note_is_no_markup(ws: Workspace) -> None:
    review(ws, finding_of(ws, "ann"), "contest", "<script>alert('x')</script> said I", HELEN, NOW)
    assert "<script" not in files(made(ws))["index.html"].decode()


# Whom -----------------------------------------------------------------------------------------


def test_a_leaver_is_known_by_what_is_left(ws: Workspace) -> None:
    ws = edited(ws, "people.csv", ("ann,Ann Archer,Advice,kim,ann@example.org,employee,,,,,\n", ""))
    bundle = made(ws)
    assert len(table(bundle, "lines.csv")) == stored(ws, "events", "ann")
    assert files(bundle)["people.csv"].startswith(b"nothing is held")


def test_somebody_only_records_are_left_of(ws: Workspace) -> None:
    with ws.state.change() as change:
        change.execute(FINDING.update().where(FINDING.c.person == "ann").values(person="gone"))
    bundle = made(ws, "gone")
    assert len(json.loads(files(bundle)["findings.json"])) == 1
    assert table(bundle, "lines.csv") == []


@pytest.mark.parametrize(
    ("person", "by", "request_", "error"),
    [
        ("nobody.at-all", DANA, "SAR-1", NoSuchThing),
        ("ann", "Ann Archer", "SAR-1", NotPermitted),
        ("ann", "ann@example.org", "SAR-1", NotPermitted),
        ("desk", DANA, "SAR-1", NotPermitted),
        ("ann", DANA, "  ", WrongUsage),
    ],
)
def test_refused(
    ws: Workspace, person: str, by: str, request_: str, error: type[Exception]
) -> None:
    with (ws.folder / "people.csv").open("a") as file:
        file.write("desk,Front desk,Advice,kim,,shared,,,,,\n")
    ws, before = again(ws), len(acts(ws))
    with ws.alone(), pytest.raises(error):
        access(ws, person, request_, by, NOW)
    assert len(acts(ws)) == before
    assert not (ws.folder / "access").exists()


def test_rows_that_may_be_anybodys_are_given_to_nobody(ws: Workspace) -> None:
    lake(ws, [page(utc("2026-11-16 09:00"), identity="ambiguous")], "00000002-0000")
    derived(ws, NOW)
    bundle = made(ws)
    assert not [r for n in ("lines.csv", "signs.csv") for r in table(bundle, n) if "2026-11-16" in r["time"]]  # fmt: skip
    assert "1 line under this name may be somebody else" in files(bundle)["index.html"].decode()


# What is kept apart ---------------------------------------------------------------------------


def span(ws: Workspace, first: date, last: date) -> Span:
    return Span.of(ws, "ann", first, last)


def test_restricted_rows_are_in_it_and_marked(ws: Workspace) -> None:
    rows = stored(ws, "events", "ann")
    with ws.alone():
        deeds.restrict(ws, span(ws, WEEK[1], WEEK[2]), "R-letter", DANA, NOW)
    bundle = made(ws)
    found = table(bundle, "lines.csv")
    apart = {r["time"][:10] for r in found if r["kept"] == "restricted by R-2026-0001"}
    assert apart == {str(WEEK[1]), str(WEEK[2])}
    assert len(found) == rows
    matter = json.loads(files(bundle)["findings.json"])
    assert [f["kept"] for f in matter] == ["restricted by R-2026-0001"]
    assert "restricted by R-2026-0001" in files(bundle)["index.html"].decode()
    assert [r["id"] for r in table(bundle, "requests.csv")] == ["A-2026-0001", "R-2026-0001"]


def held(ws: Workspace) -> None:
    with ws.alone():
        holds.place(ws, "ann", (WEEK[0], WEEK[-1]), "tribunal", "secret strategy", HELEN,
                    date(2027, 1, 10), TOM, NOW)  # fmt: skip


def test_rows_a_hold_alone_has(ws: Workspace) -> None:
    rows = stored(ws, "events", "ann")
    held(ws)
    bundle = made(ws)
    assert {r["kept"] for r in table(bundle, "lines.csv")} == {"in use"}, "said twice"
    with ws.alone():
        deeds.erase(ws, span(ws, WEEK[0], WEEK[1]), "E-letter", DANA, NOW)
    bundle = made(ws)
    found = table(bundle, "lines.csv")
    alone = [r for r in found if r["kept"].endswith("legal hold H-2026-0001 alone")]
    assert {r["time"][:10] for r in alone} == {str(WEEK[0]), str(WEEK[1])}
    assert len(found) == rows
    assert [f["kept"].split()[-2] for f in json.loads(files(bundle)["findings.json"])] == [
        "H-2026-0001"
    ]
    assert "erasure" in {r["deed"] for r in table(bundle, "requests.csv")}, "by its digest"
    hold = table(bundle, "holds.csv")[0]
    assert (hold["id"], hold["review"].replace("\xa0", " ")) == ("H-2026-0001", "10 January 2027")
    assert b"secret strategy" not in b"".join(files(bundle).values())
    assert retention.verify(ws, NOW).clean


def test_a_holds_rows_past_the_year_are_counted_and_not_kept_again(ws: Workspace) -> None:
    rows = stored(ws, "events", "ann")
    held(ws)
    later = datetime(2027, 11, 20, 6, 0, tzinfo=UTC)
    with ws.alone():
        holds.review(
            ws, "H-2026-0001", TOM, date(2027, 5, 1), "goes on", datetime(2027, 1, 5, tzinfo=UTC)
        )
        retention.purge(ws, later, confirmed=True)
    bundle = made(ws, now=later)
    assert table(bundle, "lines.csv") == []
    assert bundle.beyond["H-2026-0001"] >= rows
    assert "asked" not in bundle.beyond
    assert "legal hold H-2026-0001 alone" in files(bundle)["index.html"].decode()
    assert not [o for o in retention.verify(ws, later).overdue if "access/" in o]


# The year -------------------------------------------------------------------------------------


def access_of(found: retention.Verification) -> list[str]:
    return [line for line in found.overdue if "access/" in line]


def test_it_is_due_with_its_oldest_row_and_not_before(ws: Workspace) -> None:
    """It tells of a policy of 2014, of days away and cases long before: none of them is an event."""
    (ws.folder / "leave.csv").write_text("user,from,to\nann,2024-03-01,2024-03-05\n")
    ws = edited(
        ws, "fairwatch.yaml", ("people: people.csv", "people: people.csv\nleave: leave.csv")
    )
    ws = edited(
        ws, "people.csv", ("ann@example.org,employee,,,,", "ann@example.org,employee,,,2019-04-01,")
    )
    open_case(ws, "ann", date(2025, 6, 1), date(2025, 6, 9), "breach", "since 2 May 2025, 2025-05-02", HELEN, NOW)  # fmt: skip
    ws.ledger.append("look", time=NOW, actor="it", what="usage", reason="r", first_day="2024-01-05", last_day="2024-02-05")  # fmt: skip
    review(ws, finding_of(ws, "ann"), "note", "as on 3 March 2024 and 2024-03-04", HELEN, NOW)
    bundle = made(ws)
    assert access_of(retention.verify(ws, NOW)) == []
    assert bundle.due == date(2027, 11, 9)
    day_before = datetime(2027, 11, 8, 12, tzinfo=UTC)
    assert access_of(retention.verify(ws, day_before)) == []
    late = access_of(retention.verify(ws, day_before + timedelta(days=1)))
    assert len(late) == 1
    with ws.alone():
        retention.purge(ws, day_before + timedelta(days=1), confirmed=True)
    assert not bundle.path.exists()


def test_a_date_in_a_name_is_of_no_event(tmp_path: Path) -> None:
    ws = open_site(make_site(tmp_path / "site"), "test")
    lake(ws, [page(utc("2026-11-10 09:00"), user="guest-2020-01-01", host="x-2021-02-03.example", path="/2019-05-04-a")])  # fmt: skip
    bundle = made(ws, "guest-2020-01-01")
    row = table(bundle, "lines.csv")[0]
    assert (row["host"], row["path"]) == ("x-3\xa0February 2021.example", "/2019-05-04-a")
    assert access_of(retention.verify(ws, NOW)) == []


def test_a_bundle_is_kept_as_long_as_what_is_kept_longest(ws: Workspace) -> None:
    ws = edited(ws, "fairwatch.yaml", ("evidence: 1 year", "evidence: 30 days"))
    made(ws, now=NOW + timedelta(days=40))
    assert access_of(retention.verify(ws, NOW + timedelta(days=40))) == []
    short = {
        name: "40 days"
        for name in type(ws.settings.retention).model_fields
        if name != "largest_share"
    }
    assert type(ws.settings.retention)(**{**short, "usage": "50 days"}).access == 50


# Cut short ------------------------------------------------------------------------------------


def test_cut_short_it_is_asked_for_again(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: Any) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(subject, "page", killed)
        with ws.alone(), pytest.raises(KeyboardInterrupt):
            access(ws, "ann", "SAR-1", DANA, NOW)
    assert not (ws.folder / "access").exists()
    assert [p for p in (ws.folder / "work").rglob("*") if p.is_file()] == []
    with ws.alone():
        assert deeds.resume(ws, NOW) == []
    bundle = made(again(ws))
    assert bundle.path.name == "A-2026-0002.zip"
    assert [r.state for r in register.rights(ws)] == ["under way", "done"]
    assert retention.verify(ws, NOW).clean


def test_what_a_killed_run_left_is_swept(ws: Workspace) -> None:
    """Killed at once, half a zip lies in work/ and a request is under way: neither is in the way."""
    with ws.alone(), ws.state.change() as change:
        register.ask(ws, change, "access", span(ws, *WEEK[:2]), "SAR-1", DANA, NOW)
    half = ws.folder / "work" / "A-2026-0001.zip.tmp"
    half.parent.mkdir(exist_ok=True)
    half.write_bytes(b"PK\x03\x04 half")
    made(ws)
    with ws.alone():
        retention.purge(ws, NOW)
    assert not half.exists()
    assert [p.name for p in (ws.folder / "access").iterdir()] == ["A-2026-0002.zip"]


def test_what_others_have_is_not_read(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row group at a time, and those that cannot name the person not at all."""
    day = utc("2026-11-18 00:00")
    writer = PartWriter(ws.folder, EVENTS, day.date(), "00000009-0000", ws.keys)
    for group in range(12):
        writer.write(
            rows_table([page(day + timedelta(seconds=i), user=f"u{group}") for i in range(50)])
        )
    writer.write(rows_table([page(day), page(day, user="zz")]))
    part = writer.close("test")
    writer.move()
    with ws.state.change() as change:
        catalogue.add(change.connection, [part])
    read: list[int] = []
    real = pq.ParquetFile.read_row_group

    def watched(file: pq.ParquetFile, group: int, **other: Any) -> pa.Table:
        read.append(group)
        return real(file, group, **other)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    bundle = made(ws)
    assert max(read) == 12
    assert not set(read) & set(range(1, 12)), "groups of others alone"
    assert len(table(bundle, "lines.csv")) == stored(ws, "events", "ann")


# The command ----------------------------------------------------------------------------------


def test_the_command(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(place, "now", lambda: NOW)
    typed = [
        "subject",
        "access",
        "ann",
        "--by",
        DANA,
        "--request",
        "SAR-9",
        "--site",
        str(ws.folder),
    ]
    with pytest.raises(SystemExit) as done:
        main([*typed, "--json"])
    assert done.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["id"] == "A-2026-0001"
    assert told["due"] == "2027-11-09"
    command = ["sha256sum", told["path"]]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0] == told["sha256"]  # fmt: skip
    with pytest.raises(SystemExit):
        main(typed)
    assert "Read it before it is handed over" in capsys.readouterr().out
    with pytest.raises(SystemExit) as done:
        main([*typed[:2], "nobody.at-all", *typed[3:]])
    assert done.value.code == NoSuchThing.exit_code
