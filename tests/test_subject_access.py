"""Subject access: all that is held on a person, nothing of anybody else, and the look stands in the ledger."""

import csv
import io
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from accesslab import (
    DANA,
    HELEN,
    NOW,
    SECRETS,
    TOM,
    VIC,
    WEEK,
    ZOE,
    built,
    files,
    finding_of,
    made,
    stored,
    table,
)
from conftest import make_site
from factory import acts, again, derived, edited, lake, page, utc
from hypothesis import given as always
from hypothesis import strategies as st

from errors import NoSuchThing, NotPermitted, WrongUsage
from fairwatch import place
from fairwatch.cli import main
from lake.datasets import PERSONAL
from reports import subject, subject_rows
from reports.bag import verify
from reports.cases import approve, open_case
from reports.others import Others
from reports.reviews import review
from reports.subject import access
from rights import register
from state.tables import FINDING
from workspace import Workspace, open_site


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once."""
    return built(tmp_path_factory.mktemp("access")).parent


@pytest.fixture
def ws(template: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(template, tmp_path / "copy")
    return open_site(tmp_path / "copy" / "site", "test")


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
