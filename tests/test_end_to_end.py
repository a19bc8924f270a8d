"""The demo from logs to proof: twice, in any season, and with secrets planted that may not stay."""

import gzip
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from csv import DictReader
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from factory import keys_of

from analytics.questions import Week
from fairwatch import place
from fairwatch.cli import main
from workspace import open_site

pytestmark = pytest.mark.slow

LONDON = ZoneInfo("Europe/London")
CLI = "from fairwatch.cli import main; main()"
RECORDED = date(2026, 11, 15)
OLD_DAYS = [date(2025, 10, 13) + timedelta(days=n) for n in range(7)]
SEASONS = [
    pytest.param(datetime(2027, 4, 7, 9, 0, tzinfo=UTC), id="Easter, summer time begins"),
    pytest.param(datetime(2027, 5, 16, 23, 30, tzinfo=UTC), id="Sunday in UTC, Monday in London"),
]


@dataclass(frozen=True)
class Calendar:
    """Where the recorded weeks lie on the day of the test."""

    last_sunday: date

    @classmethod
    def at(cls, now: datetime) -> "Calendar":
        """The weeks that end on the last Sunday before today in London."""
        today = now.astimezone(LONDON).date()
        return cls(today - timedelta(days=today.isoweekday()))

    @property
    def shift(self) -> timedelta:
        """How far the recording was moved."""
        return self.last_sunday - RECORDED

    @property
    def weeks(self) -> list[str]:
        """The four weeks, oldest first."""
        return [str(Week.of(self.last_sunday).before(n)) for n in (3, 2, 1, 0)]

    @property
    def old_days(self) -> list[date]:
        """The week that is past its year."""
        return [day + self.shift for day in OLD_DAYS]

    @property
    def gap_day(self) -> str:
        """The Wednesday on which Squid was down."""
        return (date(2026, 11, 4) + self.shift).isoformat()


def command(*words: object, now: datetime | None = None) -> "subprocess.CompletedProcess[str]":
    """A command in a process of its own, by the machine's clock or another."""
    code = CLI
    if now is not None:
        clock = f"lambda: datetime.datetime.fromisoformat({now.isoformat()!r})"
        code = f"import datetime, fairwatch.place as p; p.now = {clock}; {CLI}"
    env = {k: v for k, v in os.environ.items() if k != "FAIRWATCH_SITE"}
    return subprocess.run(
        [sys.executable, "-c", code, *(str(word) for word in words)],
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@dataclass(frozen=True)
class Demo:
    """A demo site, when it was made, and what was said of it."""

    site: Path
    now: datetime
    made: "subprocess.CompletedProcess[str]"

    @property
    def calendar(self) -> Calendar:
        """Its weeks."""
        return Calendar.at(self.now)

    def say(self, *words: object) -> "subprocess.CompletedProcess[str]":
        """A command on the site at its time; it has to succeed."""
        done = command(*words, "--site", self.site, now=self.now)
        assert done.returncode == 0, done.stderr
        return done


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """`fairwatch demo`, twice into the same folder, by the machine's own clock."""
    site = tmp_path_factory.mktemp("demo") / "site"
    first = command("demo", site)
    assert first.returncode == 0, first.stderr
    (site / "stale.txt").write_text("from the first time")
    now = datetime.now(UTC)
    second = command("demo", site)
    assert second.returncode == 0, second.stderr
    assert not (site / "stale.txt").exists()
    if Calendar.at(now) != Calendar.at(datetime.now(UTC)):
        pytest.skip("a week ended while the demo ran")
    return Demo(site, datetime.now(UTC), second)


def test_it_is_said_what_was_done_and_where_to_look(demo: Demo) -> None:
    said = demo.made
    assert [line[:2] for line in said.stdout.splitlines()[:8]] == [f"{n}." for n in range(1, 9)]
    for path in re.findall(r"^  (/\S+)   ", said.stdout, re.MULTILINE):
        assert Path(path).exists(), path
    assert said.stderr == ""


def test_it_never_writes_over_anything_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    said = command("demo", tmp_path)
    assert (said.returncode, "is not empty and not a demo" in said.stderr) == (14, True)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def found(demo: Demo) -> list[dict[str, object]]:
    """Findings of the four weeks."""
    first = Week.parse(demo.calendar.weeks[0]).first_day
    said = demo.say("findings", "--from", first, "--to", demo.calendar.last_sunday, "--json")
    findings: list[dict[str, object]] = json.loads(said.stdout)["findings"]
    return findings


def cast(calendar: Calendar) -> list[tuple[str, str, str]]:
    """Who is to be found, and nobody else."""
    third, fourth = calendar.weeks[2:]
    return sorted(
        [
            (third, "somalley", "excessive-use"),
            (fourth, "somalley", "excessive-use"),
            (fourth, "jthorne", "blocked-site"),
        ]
    )


def test_the_cast_s_findings_and_nobody_else_s(demo: Demo) -> None:
    findings = found(demo)
    told = sorted((str(f["week"]), str(f["person"]), str(f["rule"])) for f in findings)
    assert told == cast(demo.calendar)
    for finding in findings:
        days = finding["days"]
        assert isinstance(days, list)
        assert demo.calendar.gap_day not in [d["day"] for d in days]
        if finding["rule"] == "excessive-use":
            assert all(d["low"] > 30 for d in days)
            assert len(days) >= 3


def test_the_day_of_the_gap_is_withheld_and_said_so(demo: Demo) -> None:
    finding = next(f for f in found(demo) if f["week"] == demo.calendar.weeks[2])
    against = finding["against"]
    assert isinstance(against, list)
    (missing,) = [a["text"] for a in against if a["check"] == "missing data"]
    assert "left out" in missing
    assert re.findall(r"\d+", missing) == ["1"]
    said = demo.say(
        "usage", "--from", demo.calendar.gap_day, "--to", demo.calendar.gap_day, "--csv"
    )
    rows = list(DictReader(said.stdout.splitlines()))
    assert len(rows) > 10
    assert {row["low_min"] + row["likely_min"] + row["high_min"] for row in rows} == {""}


class Text(HTMLParser):
    """What a page says to a reader, and everything that stands in its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.said = ""
        self.tags: set[str] = set()
        self.tag = ""

    def handle_data(self, data: str) -> None:
        """Words; a style sheet says nothing."""
        self.said += "" if self.tag == "style" else f" {data} "

    def handle_endtag(self, tag: str) -> None:
        """What follows is outside."""
        self.tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Attributes."""
        self.tags.add(tag)
        self.tag = tag
        self.said += " ".join(f" {value} " for _, value in attrs)


def people(site: Path) -> list[dict[str, str]]:
    """Rows of people.csv."""
    return list(DictReader((site / "people.csv").read_text().splitlines()))


def test_the_pages_name_nobody_but_the_manager_they_are_for(demo: Demo) -> None:
    pages = sorted((demo.site / "reports").glob("*-W*/*.html"))
    managers = {row["manager"] for row in people(demo.site) if row["manager"]}
    assert {p.parent.name for p in pages} == set(demo.calendar.weeks[2:])
    assert len(pages) == 2 * len(managers) == 6
    for page in [*pages, demo.site / "reports" / "index.html"]:
        reader = Text()
        reader.feed(page.read_text())
        words = reader.said.casefold()
        for row in people(demo.site):
            if row["user"] in managers:
                continue
            names = [row["user"], row["name"], row["email"], row["name"].split()[-1]]
            for name in names:
                told = re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", words)
                assert not told, f"{page.name} names {name}"
        assert "script" not in reader.tags


def test_a_manager_is_named_on_their_own_page_only(demo: Demo) -> None:
    managers = {row["manager"] for row in people(demo.site) if row["manager"]}
    names = {row["user"]: row["name"] for row in people(demo.site) if row["user"] in managers}
    for page in (demo.site / "reports").glob("*-W*/*.html"):
        mine = page.stem.rpartition("-")[0]
        text = page.read_text()
        others = [n for user, n in names.items() if user != mine and n in text]
        assert not others


def test_the_pack_verifies_with_fairwatch_and_with_sha256sum(demo: Demo, tmp_path: Path) -> None:
    (pack,) = (demo.site / "evidence").glob("*.zip")
    assert demo.say("evidence", "verify", pack).returncode == 0
    assert command("evidence", "verify", pack).returncode == 0, "and without the site"
    with zipfile.ZipFile(pack) as archive:
        archive.extractall(tmp_path)
    (root,) = tmp_path.iterdir()
    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        done = subprocess.run(
            ["sha256sum", "--strict", "-c", manifest], cwd=root, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout
    rows = (root / "data" / "rows.csv").read_text()
    assert "somalley" not in rows, "the person is the case's; rows carry no other"
    acts = [line.act for line in open_site(demo.site, "t").ledger.lines()]
    (built,) = [a for a in acts if a["act"] == "evidence build"]
    summed = subprocess.run(["sha256sum", pack], capture_output=True, text=True, check=True)
    assert built["sha256"] == summed.stdout.split()[0]
    looks = [a for a in acts if a["act"] == "look" and a.get("case") == built["case"]]
    assert looks
    assert looks[0]["seq"] < built["seq"]


def test_the_pack_holds_no_other_person(demo: Demo) -> None:
    (pack,) = (demo.site / "evidence").glob("*.zip")
    others = [r["user"] for r in people(demo.site) if r["user"] != "somalley"]
    with zipfile.ZipFile(pack) as archive:
        for name in archive.namelist():
            text = archive.read(name).decode()
            told = [u for u in others if re.search(rf"\b{u}\b", text)]
            assert not told, f"{name} names {told}"


def test_retention_and_ledger_verify(demo: Demo) -> None:
    verified = json.loads(demo.say("retention", "verify", "--json").stdout)
    assert verified["clean"] is True
    assert all(not s["overdue_rows"] and not s["unreadable"] for s in verified["stores"])
    whole = json.loads(demo.say("ledger", "verify", "--json").stdout)
    assert whole["whole"] is True
    plan = json.loads(demo.say("retention", "plan", "--json").stdout)
    assert not [d for d in plan["decisions"] if d["remove"]]


def contents(site: Path, *, without: tuple[str, ...] = ()) -> Iterator[tuple[str, bytes]]:
    """Every file's bytes, unpacked as deep as they are packed, under its relative path."""
    opening = keys_of(site).properties()
    for path in sorted(site.rglob("*")):
        relative = str(path.relative_to(site))
        if path.is_file() and not relative.startswith(without):
            yield from unpacked(relative, path.read_bytes(), opening)


def unpacked(name: str, raw: bytes, opening: Any) -> Iterator[tuple[str, bytes]]:
    """A file and what is in it."""
    yield name, raw
    if raw.startswith(b"\x1f\x8b"):
        yield from unpacked(f"{name}!", gzip.decompress(raw), opening)
    elif raw.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for member in archive.namelist():
                yield from unpacked(f"{name}!{member}", archive.read(member), opening)
    elif raw.startswith((b"PAR1", b"PARE")):
        with pq.ParquetFile(pa.BufferReader(raw), decryption_properties=opening) as file:
            table = file.read()
        yield f"{name}!", json.dumps(table.to_pylist(), default=str).encode()
    elif raw.startswith(b"SQLite format 3"):
        yield f"{name}!", "\n".join(dumped(raw)).encode()


def dumped(raw: bytes) -> list[str]:
    """A database's rows as SQL."""
    database = sqlite3.connect(":memory:")
    database.deserialize(
        raw.replace(b"\x02\x02", b"\x01\x01", 1) if raw[18:20] == b"\x02\x02" else raw
    )
    lines = list(database.iterdump())
    database.close()
    return lines


def traces(text: bytes, days: list[date]) -> set[str]:
    """Marks of these days in bytes: ISO, Apache, compact, epoch seconds and milliseconds."""
    isos = "|".join(d.isoformat() for d in days)
    logs = "|".join(f"{d:%d/%b/%Y}" for d in days)
    marks = {m.decode() for m in re.findall(f"{isos}|{logs}".encode(), text)}
    low = datetime.combine(days[0], datetime.min.time(), UTC).timestamp()
    high = low + len(days) * 86400
    for digits in re.findall(rb"(?<!\d)(1\d{9})(?:\d{3})?(?!\d)", text):
        if low <= int(digits) < high:
            marks.add(digits.decode())
    return marks


def test_the_old_week_is_gone_from_every_byte(demo: Demo) -> None:
    """All that is left of it is that it was deleted: its days in the purge's acts, graves, certificate."""
    days = demo.calendar.old_days
    left: dict[str, set[str]] = {}
    for name, content in contents(demo.site, without=("certificates/",)):
        if name.startswith("ledger/"):
            acts = [json.loads(line) for line in content.splitlines() if name.endswith("jsonl")]
            content = b"\n".join(
                json.dumps(a).encode()
                for a in acts
                if a["act"] not in ("purge intent", "purge done")
            )
        elif name == "state/fairwatch.db!":
            kept = [x for x in content.splitlines() if not x.startswith(b'INSERT INTO "tombstone"')]
            content = b"\n".join(kept)
        elif name == "state/fairwatch.db":
            continue  # its rows are looked at one by one, its free pages below
        if found := traces(content, days):
            left[name] = found
    assert not left


def test_deleted_rows_are_not_readable_in_the_database_file(demo: Demo) -> None:
    """Free pages and the journal hold the days only as often as the graves do."""
    days = demo.calendar.old_days
    database = sqlite3.connect(demo.site / "state" / "fairwatch.db")
    graves = database.execute("SELECT dataset, day FROM tombstone").fetchall()
    free = database.execute("PRAGMA freelist_count").fetchone()
    database.close()
    assert free == (0,)
    assert {day for _, day in graves} <= {d.isoformat() for d in days}
    raw = b"".join(p.read_bytes() for p in (demo.site / "state").iterdir())
    for day in days:
        stones = [d for d, when in graves if when == day.isoformat()]
        assert raw.count(f"lake/events/{day}".encode()) == 0
        # Once in the table and once in its index.
        assert raw.count(day.isoformat().encode()) <= 2 * len(stones)


def test_it_can_be_shown_that_the_search_would_have_found_it(demo: Demo) -> None:
    """The same search for a week that is there: in the lake, the database, the pack, the pages."""
    last = demo.calendar.last_sunday
    days = [last - timedelta(days=n) for n in range(7)]
    where = {name.split("/")[0] for name, text in contents(demo.site) if traces(text, days)}
    assert {"lake", "state", "ledger", "evidence", "reports", "incoming"} <= where


SECRETS = ("geheimnis4711", "schatz-im-silbersee", "klinik-am-see.example", "hunter2")
PLANTED = [
    "{at}.000 161 10.20.1.12 TCP_MISS/200 900 GET http://www.facebook.com/a?token=geheimnis4711 hkaur HIER_DIRECT/203.0.113.7 text/html",
    "{at}.100 161 10.20.1.12 TCP_MISS/200 900 GET http://klinik-am-see.example/schatz-im-silbersee hkaur HIER_DIRECT/203.0.113.7 text/html",
    "{at}.200 161 10.20.1.12 TCP_TUNNEL/200 900 CONNECT klinik-am-see.example:443 hkaur HIER_DIRECT/203.0.113.7 -",
    "{at}.300 161 10.20.1.12 TCP_MISS/200 900 GET http://me:hunter2@www.facebook.com/#geheimnis4711 hkaur HIER_DIRECT/203.0.113.7 text/html",
    "{at}.400 161 10.20.1.12 TCP_MISS/200 900 GET ftp://klinik-am-see.example hkaur HIER_DIRECT/klinik-am-see.example klinik-am-see.example",
    "{at}.500 not a line klinik-am-see.example geheimnis4711 hunter2",
    '10.20.1.12 - hkaur [{clock}] "GET http://klinik-am-see.example/ HTTP/1.1" 200 900 "http://klinik-am-see.example/hunter2" "geheimnis4711" TCP_MISS:HIER_DIRECT',
]


def test_planted_secrets_are_in_no_byte_but_the_log_s(demo: Demo) -> None:
    """Query strings, unlisted hosts, passwords and whatever is not understood are never stored."""
    at = datetime.combine(demo.calendar.last_sunday, datetime.min.time(), LONDON) - timedelta(
        hours=60
    )
    facts = {"at": int(at.timestamp()), "clock": f"{at:%d/%b/%Y:%H:%M:%S %z}"}
    lines = [line.format(**facts) for line in PLANTED]
    log = demo.site / "incoming" / "main-proxy" / "access.log-extra.gz"
    log.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    other = demo.site / "incoming" / "branch-proxy" / "access.log-extra.gz"
    other.write_bytes(gzip.compress(f"{lines[-1]}\n".encode()))
    done = json.loads(demo.say("ingest", "--json").stdout)
    extra = {f["source"]: f for f in done["files"] if f["path"].endswith("extra.gz")}
    assert extra["main-proxy"]["rows"] >= 4
    assert extra["branch-proxy"]["rows"] == 1
    for words in (
        ("activity", "--from", at.date(), "--to", at.date()),
        ("findings", "--from", at.date(), "--to", at.date()),
        ("report", "weekly"),
        ("run", "nightly"),
    ):
        demo.say(*words)
    id_ = json.loads(
        demo.say("case", "open", "--person", "hkaur", "--from", at.date(), "--to", at.date(),
                 "--reason", "breach", "--by", "Helen Marsh", "--json").stdout
    )["id"]  # fmt: skip
    demo.say("case", "approve", id_, "--by", "Tom Ridley")
    demo.say("evidence", "build", id_)
    for name, content in contents(demo.site, without=("incoming/",)):
        found = [secret for secret in SECRETS if secret.encode() in content]
        assert not found, f"{name} holds {found}"
    held = [name for name, content in contents(demo.site) if b"geheimnis4711" in content]
    assert held, "the search finds it where it is"


@pytest.mark.parametrize("now", SEASONS)
def test_the_demo_tells_the_same_story_in_any_season(
    now: datetime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Lines are moved by whole weeks in local time; bank holidays and summer time change nothing."""
    monkeypatch.setattr(place, "now", lambda: now)
    monkeypatch.chdir(tmp_path)

    def say(*words: str) -> str:
        with pytest.raises(SystemExit) as end:
            main(list(words))
        out, err = capsys.readouterr()
        assert end.value.code == 0, err
        return out

    say("demo", "site")
    monkeypatch.chdir(tmp_path / "site")
    calendar = Calendar.at(now)
    first = Week.parse(calendar.weeks[0]).first_day.isoformat()
    told = json.loads(
        say("findings", "--from", first, "--to", calendar.last_sunday.isoformat(), "--json")
    )["findings"]
    assert sorted((f["week"], f["person"], f["rule"]) for f in told) == cast(calendar)
    somalley = [f for f in told if f["person"] == "somalley"]
    assert [len(f["days"]) for f in somalley] == [3, 4]
    assert json.loads(say("retention", "verify", "--json"))["clean"] is True
    assert json.loads(say("ledger", "verify", "--json"))["whole"] is True
    gaps = say("usage", "--from", calendar.gap_day, "--to", calendar.gap_day, "--csv")
    assert {row["low_min"] for row in DictReader(gaps.splitlines())} == {""}
