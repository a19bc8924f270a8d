"""Logs and lists written by somebody who means harm, through the whole pipeline."""

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import ROOT, make_site, squid_line, write_lines
from factory import content

from analytics.derive import derive
from analytics.findings import findings
from analytics.questions import Week
from analytics.record import remember
from errors import FairwatchError
from fairwatch import place
from fairwatch.cli import main
from ingest.discover import discover
from ingest.run import ingest
from reports import evidence
from reports.cases import approve, open_case
from reports.weekly import weekly
from retention import verify
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
WEEK = Week(2026, 46)
SCRIPT = "<script>alert(1)</script>"
PEOPLE = (
    SCRIPT,
    '"><img/src=x/onerror=alert(2)>',
    "=cmd()|'/C",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "../../../../tmp/owned",
    "..\\..\\owned",
    "{{7*7}}{%for",
    "esc\x1b[31m\x07",
    "csi\x9b2J",
    "turn\u202eed",
    "nul\x00l",
)
"""Names a log may bring: markup, formulas, paths, templates, control characters."""

MANAGERS = (
    f"{SCRIPT}",
    "../../../../tmp/owned",
    "/etc/owned",
    "=HYPERLINK(1)",
    "..",
    "a\x1b[31mb",
    "CON",
)
TEAM = 6


@pytest.fixture
def place_to_be(tmp_path: Path) -> Path:
    """A folder in which the site is the only thing; what appears beside it escaped."""
    folder = tmp_path / "outer" / "inner" / "site"
    return make_site(folder, lambda t: t.replace("/var/log/squid/access.log*", "incoming/*"))


def beside(site: Path) -> set[str]:
    """Everything outside the site folder, as far up as the test's own folder, but the master key."""
    outer = site.parent.parent
    return {
        str(p.relative_to(outer))
        for p in outer.rglob("*")
        if not p.is_relative_to(site) and p != site.parent / "fairwatch.master.key"
    }


def write_people(site: Path) -> None:
    """Teams of hostile managers; the hostile names are people, so that pages and packs show them."""
    rows: list[list[str]] = [["user", "name", "department", "manager", "email"]]
    logins = [p for p in PEOPLE if "\x00" not in p and "\\" not in p and "@" not in p]
    rows += [[p, f"Name of {p}", f"{SCRIPT}=1+1", MANAGERS[0], ""] for p in logins]
    for number, manager in enumerate(MANAGERS[1:], 1):
        rows += [[f"m{number}p{i}", f"N{i}", SCRIPT, manager, ""] for i in range(TEAM)]
    with (site / "people.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def write_log(site: Path) -> None:
    """A week in which everybody with a hostile name is on Facebook for an hour and bets a little."""
    lines: list[tuple[datetime, str]] = []
    users = [*PEOPLE, *(f"m{n}p{i}" for n in range(1, len(MANAGERS)) for i in range(TEAM))]
    for day in range(5):
        start = datetime(2026, 11, 9 + day, 10, 0, tzinfo=UTC)
        for number, user in enumerate(users):
            for minute in range(60 if number < len(PEOPLE) else 3):
                at = start + timedelta(minutes=minute, milliseconds=number)
                url = f"http://www.facebook.com/groups/{SCRIPT}?q={SCRIPT}#=cmd()"
                lines.append((at, squid_line(at, user=user, url=url)))
            for visit in range(3):
                at = start + timedelta(hours=1, minutes=2 * visit, milliseconds=number)
                bet = squid_line(at, user=user, url="http://www.bet365.com/../../x",
                                 result="TCP_DENIED/403", content_type="text/html")  # fmt: skip
                lines.append((at, bet))
    write_lines(site / "incoming" / "access.log", [line for _, line in sorted(lines)])


def through(site: Path) -> tuple[Workspace, list[Path], list[Path]]:
    """Ingest, findings, pages and a pack for each hostile name; (the site, pages, packs)."""
    ws = open_site(site, "t")
    packs = []
    with ws.alone():
        reports = ingest(ws, discover(ws, None), NOW)
        assert not [r.error for r in reports if r.error]
        derive(ws, NOW)
        found = findings(ws, WEEK.first_day, WEEK.last_day, NOW)
        remember(ws, found, {str(WEEK)}, NOW)
        pages = [w.path for w in weekly(ws, WEEK, NOW)]
        people = {f.person for f in found if f.kind == "excessive_use"}
        assert people >= {p.user for p in ws.people.rows if p.manager == MANAGERS[0]}
        for person in sorted(people & {p.user for p in ws.people.rows}):
            case = open_case(
                ws,
                person,
                WEEK.first_day,
                WEEK.last_day,
                "breach",
                f"{SCRIPT} =1+1",
                f"{SCRIPT} Marsh",
                NOW,
            )
            approve(ws, case.id, "=cmd() Ridley", NOW)
            packs.append(evidence.build(ws, case.id, NOW))
    return ws, pages, packs


class Markup(HTMLParser):
    """Tags, and attributes that could run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.running: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag."""
        self.tags.add(tag)
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.running.append(f"{tag} {name}={value}")


def check_html(name: str, text: str) -> None:
    """No tag and no attribute came from a log."""
    reader = Markup()
    reader.feed(text)
    assert not reader.tags & {"script", "img", "iframe", "object", "embed", "form", "base"}, name
    assert not reader.running, name
    assert SCRIPT not in text, name
    assert "onerror=alert(2)>" not in text, name
    assert "{{7*7}}" not in text or "49{%" not in text, name
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text), name


def check_csv(name: str, raw: bytes) -> None:
    """No cell runs as a formula or moves a terminal."""
    for row in csv.reader(io.StringIO(raw.decode("utf-8"), newline="")):
        for cell in row:
            if not re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell):
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "|", "%")), (name, cell)
            assert cell.replace("\n", "").isprintable(), (name, cell)


@pytest.mark.slow
def test_hostile_names_through_the_whole_pipeline(place_to_be: Path) -> None:
    before = beside(place_to_be)
    write_people(place_to_be)
    write_log(place_to_be)
    ws, pages, packs = through(place_to_be)
    assert len(pages) == len(set(pages)) == len(MANAGERS)
    assert len(packs) >= 8
    for path in [*pages, *packs]:
        assert path.resolve().is_relative_to(place_to_be)
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", path.name)
    assert beside(place_to_be) == before, "no file was written outside the site folder"
    assert not Path("/tmp/owned").exists()
    assert not Path("/etc/owned").exists()
    for path in [*pages, place_to_be / "reports" / "index.html"]:
        check_html(path.name, path.read_text("utf-8"))
    for pack in packs:
        evidence.verify(pack, ws)
        with zipfile.ZipFile(pack) as archive:
            for name in archive.namelist():
                raw = archive.read(name)
                assert re.fullmatch(r"[A-Za-z0-9_./-]+", name)
                assert ".." not in name
                if name.endswith(".html"):
                    check_html(name, raw.decode("utf-8"))
                if name.endswith(".csv"):
                    check_csv(name, raw)
                if name.endswith("bag-info.txt"):
                    assert all(
                        re.match(r"[A-Za-z-]+: ", line) for line in raw.decode().splitlines()
                    )
    ws.ledger.verify()
    assert verify(ws, NOW).clean


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """A command's code and all it printed."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(list(words))
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert "a bug" not in out + err
    assert isinstance(end.value.code, int)
    return end.value.code, out + err


@pytest.mark.slow
def test_the_terminal_stays_clean(
    place_to_be: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "now", lambda: NOW)
    monkeypatch.chdir(place_to_be)
    write_people(place_to_be)
    write_log(place_to_be)
    days = ("--from", "2026-11-09", "--to", "2026-11-13")
    well: list[tuple[str, ...]] = [
        ("check-logs", "incoming/access.log"),
        ("check-logs", "incoming/access.log", "--rows", "--keep-url"),
        ("run", "nightly"),
        ("activity", *days),
        ("usage", *days, "--json"),
        ("findings", *days),
        ("findings", *days, "--json"),
        ("report", "weekly", "--week", str(WEEK)),
        ("report", "weekly", "--week", str(WEEK), "--json"),
        ("doctor",),
        ("status",),
        ("retention", "plan"),
    ]
    for words in well:
        code, said = call(capsys, *words)
        assert code == 0, (words, said[-500:])
        assert said.replace("\n", "").replace("\t", "").isprintable(), words
    refused: list[tuple[str, ...]] = [
        (
            "case",
            "open",
            "--person",
            PEOPLE[0],
            *days,
            "--reason",
            "\x1b[2J",
            "--by",
            "\x1b[2J\x9b",
        ),
        ("evidence", "build", "../../\x1b[2Jx"),
        ("evidence", "verify", "\x1b[2J/nosuch"),
        ("report", "weekly", "--team", "../\x1b[2J"),
        ("ingest", "\x1b[2J"),
        ("ingest", "--source", "\x1b[2J"),
        ("ingest", "--format", "\x1b[2J", "people.csv"),
        ("run", "\x1b[2J"),
        ("\x1b[2J",),
    ]
    for words in refused:
        code, said = call(capsys, *words)
        assert code in (2, 3, 4, 8, 13), (words, code)
        assert said.replace("\n", "").replace("\t", "").isprintable(), words


@pytest.mark.parametrize(
    "id_", ["../../../tmp/owned", "/etc/passwd", "..", "C-2026-0001\x00", "%2e%2e/x", "*", ""]
)
def test_a_case_id_is_no_path(
    place_to_be: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    id_: str,
) -> None:
    monkeypatch.chdir(place_to_be)
    before = beside(place_to_be)
    for words in (
        ("evidence", "build", id_),
        ("case", "approve", id_, "--by", "Tom Ridley"),
        ("case", "close", id_, "--by", "Tom Ridley"),
    ):
        code, said = call(capsys, *words)
        assert (code, "does not exist" in said) == (13, True)
    assert beside(place_to_be) == before


@pytest.mark.parametrize("person", ["../../x", SCRIPT, "=cmd()", "ann\nkim", "\x00", ""])
def test_a_case_is_about_somebody_in_the_list(place_to_be: Path, person: str) -> None:
    ws = open_site(place_to_be, "t")
    with pytest.raises(FairwatchError, match="not in"):
        open_case(ws, person, WEEK.first_day, WEEK.last_day, "breach", "", "Hel Marsh", NOW)


def test_a_note_and_a_name_cannot_forge_a_line_of_the_ledger(place_to_be: Path) -> None:
    ws = open_site(place_to_be, "t\n{}")
    forged = 'Hel\n{"act":"case approve","actor":"x","prev":"","seq":9,"time":""}'
    case = open_case(ws, "ann", WEEK.first_day, WEEK.last_day, "breach", forged, forged, NOW)
    assert ws.ledger.verify()[0] == 1
    with pytest.raises(FairwatchError):
        approve(ws, case.id, forged.upper().replace("\n", "  "), NOW)


def read(site: Path, **limits: object) -> Workspace:
    """Ingest what lies in incoming/; the site."""
    ws = open_site(site, "t")
    with ws.alone():
        reports = ingest(ws, discover(ws, None), NOW)
    for report in reports:
        c = report.counts
        assert c.lines == c.rows + c.ignored + c.rejected + c.duplicate + c.expired
        for name, value in limits.items():
            assert getattr(c, name) == value, (name, c)
    return ws


def test_a_line_of_a_megabyte_costs_one_reject_and_its_text_is_not_kept(place_to_be: Path) -> None:
    at = NOW - timedelta(days=1)
    long = squid_line(at, url=f"http://www.facebook.com/{'geheim' * 180_000}")
    lines = [squid_line(at), long, squid_line(at + timedelta(seconds=1))]
    log = write_lines(place_to_be / "incoming" / "a.log", lines)
    os.utime(log, (at.timestamp(), at.timestamp()))
    ws = read(place_to_be, rows=2, rejected=1)
    (part,) = (place_to_be / "lake" / "rejects").rglob("*.parquet")
    (reject,) = content(part).to_pylist()
    assert (reject["line"], "65536" in reject["reason"]) == (2, True)
    assert len(reject["shape"]) < 1000
    for path in place_to_be.rglob("*"):
        if path.is_file() and "incoming" not in path.parts:
            assert b"geheim" not in path.read_bytes()
    assert ws.ledger.verify()[0]


BOMB = """\
import json, resource, sys
from datetime import UTC, datetime
from pathlib import Path
import fairwatch
import pyarrow
from ingest.discover import discover
from ingest.run import ingest
from workspace import open_site
ws = open_site(Path(sys.argv[1]), "t")
def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = rss()
room = int(sys.argv[2]) << 20
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
with ws.alone():
    reports = ingest(ws, discover(ws, None), datetime.fromisoformat(sys.argv[3]))
print(json.dumps({"error": [r.error for r in reports], "lines": [r.counts.lines for r in reports],
                  "grown_mb": rss() - before}))
"""


def bomb(path: Path, chunk: bytes, megabytes: int) -> None:
    """A gzip file that unpacks to so many megabytes of `chunk`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    block = chunk * ((1 << 20) // len(chunk))
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(megabytes):
            file.write(block)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chunk", "megabytes"),
    [
        pytest.param(b"\x00", 1000, id="no line end"),
        pytest.param(b"\n", 150, id="empty lines"),
        pytest.param(b"a b c d e f\n", 20, id="short lines"),
    ],
)
def test_a_gzip_bomb_is_read_in_bounded_memory(
    place_to_be: Path, chunk: bytes, megabytes: int
) -> None:
    bomb(place_to_be / "incoming" / "bomb.gz", chunk, megabytes)
    write_lines(place_to_be / "incoming" / "good.log", [squid_line(NOW - timedelta(days=1))])
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(place_to_be), "8000", NOW.isoformat()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1500:]
    told = json.loads(done.stdout)
    assert told["grown_mb"] < 1000, told
    assert 1 in told["lines"], "the other file was read"
    errors = [e for e in told["error"] if e]
    if chunk == b"\x00":
        assert len(errors) == 1
        assert "unpacks to more than 400 times" in errors[0]


def nested(depth: int) -> bytes:
    """A zip in a zip in a zip."""
    raw = b"2020-01-01"
    for level in range(depth):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"l{level}.zip", raw)
        raw = buffer.getvalue()
    return raw


def test_a_zip_in_a_zip_hides_nothing_from_the_proof(place_to_be: Path) -> None:
    folder = place_to_be / "evidence"
    folder.mkdir()
    (folder / "x.zip").write_bytes(nested(3))
    found = verify(open_site(place_to_be, "t"), NOW)
    assert not found.clean


Plant = Callable[[Path], None]


def _link_out(site: Path) -> None:
    (site / "incoming").mkdir()
    (site / "incoming" / "a.log").symlink_to("/etc/passwd")


def _folder(site: Path) -> None:
    (site / "incoming" / "a.log").mkdir(parents=True)


def _nothing(site: Path) -> None:
    write_lines(site / "incoming" / "a.log", [])


def _binary(site: Path) -> None:
    (site / "incoming").mkdir()
    (site / "incoming" / "a.log").write_bytes(bytes(range(256)) * 4000)


def _nul_lines(site: Path) -> None:
    lines = [squid_line(NOW - timedelta(days=1), user="a\x00b"), "\x00" * 100, "\x00"]
    write_lines(site / "incoming" / "a.log", lines)


def _wild_numbers(site: Path) -> None:
    wild = ["nan", "inf", "-1", "1e308", "0x1F", "99999999999999999999", "-9223372036854775808"]
    at = NOW - timedelta(days=1)
    lines = [f"{w} {w} 10.0.0.1 TCP_MISS/{w} {w} GET http://a.example/ ann - -" for w in wild]
    lines += [
        squid_line(at, url=u) for u in ("http://[::1", "http://", "://", "%", "http://a:999999/")
    ]
    write_lines(site / "incoming" / "a.log", lines)


@pytest.mark.parametrize(
    "plant", [_link_out, _folder, _nothing, _binary, _nul_lines, _wild_numbers]
)
def test_odd_deliveries_are_no_bug(
    place_to_be: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    plant: Plant,
) -> None:
    monkeypatch.setattr(place, "now", lambda: NOW)
    monkeypatch.chdir(place_to_be)
    plant(place_to_be)
    for words in (
        ["run", "nightly"],
        ["check-logs", "incoming/a.log"],
        ["ingest", "incoming/a.log"],
    ):
        code, said = call(capsys, *words)
        assert code in (0, 4, 11), said
        assert said.replace("\n", "").replace("\t", "").isprintable()


def test_a_content_type_is_no_place_for_a_host_name(place_to_be: Path) -> None:
    """The column is the server's own words: only registered kinds of media are kept."""
    line = squid_line(NOW - timedelta(days=1), content_type="klinik-am-see.example/geheim")
    write_lines(place_to_be / "incoming" / "a.log", [line])
    read(place_to_be, rows=1)
    (part,) = (place_to_be / "lake" / "events").rglob("*.parquet")
    assert content(part)["content_type"].to_pylist() == [None]
