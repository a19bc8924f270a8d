"""From a log to the lake: every line is counted, comes once, and leaves nothing it should not."""

import gzip
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, make_site, squid_line, write_lines
from factory import content, rows_table
from sqlalchemy import select
from sqlalchemy.event import listen, remove

import ingest.file
import ingest.run
from errors import BadConfiguration, CannotWrite, Locked
from ingest.batch import Counts
from ingest.buffers import Buffers
from ingest.discover import discover, given
from ingest.file import FileReport
from lake import catalogue
from lake.datasets import EVENTS, REJECTS
from lake.days import number_of
from lake.files import sha256
from state.tables import FILE, STREAM
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
TODAY = datetime(2026, 11, 20, tzinfo=UTC)


def read(ws: Workspace, *paths: Path, now: datetime = NOW) -> list[FileReport]:
    with ws.alone():
        return ingest.run.ingest(ws, given(ws, paths, None, "squid"), now)


def one(ws: Workspace, path: Path) -> Counts:
    (report,) = read(ws, path)
    assert report.error is None
    return report.counts


def rows(ws: Workspace, dataset: str = "events") -> list[dict[str, Any]]:
    """The rows of every file the catalogue lists, each file held against what is said of it."""
    found: list[dict[str, Any]] = []
    with ws.state.read() as connection:
        parts = catalogue.parts(connection, dataset)
    for part in parts:
        path = ws.folder / part.path
        assert sha256(path) == part.sha256
        assert path.stat().st_size == part.bytes
        here = content(path).to_pylist()
        assert len(here) == part.rows > 0
        times = [int(row["time"].timestamp() * 1000) for row in here]
        assert (min(times), max(times)) == (part.oldest, part.newest)
        assert {row["time"].date().isoformat() for row in here} == {part.day}
        found += here
    return found


def table(ws: Workspace, name: Any) -> list[dict[str, Any]]:
    with ws.state.read() as connection:
        return [dict(row._mapping) for row in connection.execute(select(name))]


def told(ws: Workspace) -> Counter[str]:
    """What the ledger says was ingested."""
    total: Counter[str] = Counter()
    for line in ws.ledger.lines():
        if line.act["act"] == "ingest":
            total.update({name: line.act[name] for name in asdict(Counts())})
    return total


def check(counts: Counts) -> None:
    others = counts.rows + counts.ignored + counts.rejected + counts.duplicate + counts.expired
    assert counts.lines == others


def mixed(count: int) -> list[str]:
    """Good lines with what real logs have between them; a good line's bytes are its number."""
    made = []
    for number in range(1, count + 1):
        when = TODAY - timedelta(days=number % 4, seconds=number)
        if number % 50 == 7:
            made.append("squidGuard says something of secret-junk.example")
        elif number % 50 == 8:
            made.append(
                squid_line(when, url="error:invalid-request", method="NONE", result="NONE/400")
            )
        elif number % 50 == 9:
            made.append("# a note")
        else:
            user = ("ann", "bob", "-", r"EXAMPLE\kim")[number % 4]
            made.append(squid_line(when, user=user, size=number))
    return made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "in/access.log", mixed(1000))


def test_every_line_is_counted(site: Workspace, log: Path) -> None:
    counts = one(site, log)
    check(counts)
    assert asdict(counts) == {
        "lines": 1000,
        "rows": 940,
        "ignored": 40,
        "rejected": 20,
        "duplicate": 0,
        "expired": 0,
    }
    assert len(rows(site)) == 940
    assert len(rows(site, "rejects")) == 20
    (file,) = table(site, FILE)
    assert {name: file[name] for name in asdict(counts)} == asdict(counts)
    assert (file["path"], file["sha256"]) == (str(log), sha256(log))
    assert told(site) == asdict(counts)
    assert site.ledger.verify()[0] >= 1


def test_rows_point_at_their_lines(site: Workspace, log: Path) -> None:
    one(site, log)
    text = log.read_text().splitlines()
    for row in rows(site):
        assert row["line"] == row["bytes_down"]
        assert text[row["line"] - 1].split()[4] == str(row["bytes_down"])
    for row in rows(site, "rejects"):
        assert text[row["line"] - 1].startswith("squidGuard")


def test_a_row_holds_what_the_line_says(site: Workspace, tmp_path: Path) -> None:
    line = squid_line(
        TODAY - timedelta(milliseconds=5),
        user=r"EXAMPLE\ANN",
        url="https://m.facebook.com/sharer.php?u=secret",
        method="POST",
        size=77,
        content_type="text/html;charset=utf-8",
    )
    one(site, write_lines(tmp_path / "a", [line]))
    (row,) = rows(site)
    assert row.pop("time") == TODAY - timedelta(milliseconds=5)
    assert row == {
        "duration_ms": 161,
        "fetch": None,
        "fetch_site": None,
        "user": "ann",
        "identity": "login",
        "client": "10.20.1.12",
        "method": "POST",
        "status": 200,
        "verdict": "allowed",
        "host": "m.facebook.com",
        "service": "facebook",
        "role": "site",
        "category": "social_network",
        "device_category": None,
        "path_role": "share",
        "path": None,
        "referrer": None,
        "content_type": "text/html",
        "grain": "page",
        "bytes_down": 77,
        "bytes_up": None,
        "source": "files",
        "file": 1,
        "line": 1,
    }


def test_files_have_the_declared_schema_and_order(site: Workspace, log: Path) -> None:
    one(site, log)
    with site.state.read() as connection:
        for dataset in (EVENTS, REJECTS):
            for part in catalogue.parts(connection, dataset.name):
                found = content(site.folder / part.path)
                keys = [tuple(row[k] for k in dataset.sort) for row in found.to_pylist()]
                assert keys == sorted(keys, key=lambda k: tuple((v is None, v) for v in k))


def test_a_partition_has_the_columns_its_rows_say_something_in(site: Workspace, log: Path) -> None:
    one(site, log)
    with site.state.read() as connection:
        (part, *_) = catalogue.parts(connection, EVENTS.name)
    with site.keys.open(site.folder / part.path) as file:
        found = file.read()
    declared = {f.name: f.type for f in EVENTS.schema}
    assert found.schema.names == [n for n in declared if n in found.schema.names]
    assert {f.name: f.type for f in found.schema}.items() <= declared.items()
    for one_ in found.schema:
        assert one_.nullable == bool(found[one_.name].null_count), one_.name
        assert found[one_.name].null_count < found.num_rows, one_.name
    assert "bytes_up" not in found.schema.names, "Squid's own format does not have it"


def test_rows_that_say_more_than_those_before_them_lose_nothing(
    site: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit into a day's first partition goes into a second one, never into more."""
    monkeypatch.setattr("ingest.buffers.GROUP_ROWS", 1)
    said: list[dict[str, Any]] = [
        {"user": "ann", "bytes_down": 1},
        {"user": "ann", "bytes_down": 2},
        {"user": None, "bytes_down": 3, "fetch": "person"},
        {"user": None, "bytes_down": None, "service": "x"},
        {"user": "bob", "referrer": "other", "bytes_down": 5},
        {"user": "bob", "bytes_down": 6},
    ]
    given_ = [
        {"time": TODAY, "source": "s", "file": 1, "line": number, **one_}
        for number, one_ in enumerate(said, 1)
    ]
    buffers = Buffers(site.folder, "1", site.keys)
    for row in given_:
        buffers.add(number_of(TODAY.date()), rows_table([row]))
    parts = buffers.finish("test")
    assert [part.rows for part in parts] == [3, 3]
    found = [row for part in parts for row in content(site.folder / part.path).to_pylist()]
    assert sorted(found, key=lambda r: r["line"]) == rows_table(given_).to_pylist()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_rows_say_comes_back(
    site: Workspace, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("ingest.buffers.GROUP_ROWS", 2)
    chance = random.Random(seed)
    kinds: dict[str, Any] = {
        "user": "ann",
        "referrer": "other",
        "bytes_up": 7,
        "path": "/a",
        "status": 200,
    }
    given_: list[dict[str, Any]] = [
        {"time": TODAY, "source": "s", "file": 1, "line": number}
        | {
            name: value
            for name, value in kinds.items()
            if chance.random() < chance.choice((0.1, 0.9))
        }
        for number in range(1, 17)
    ]
    buffers = Buffers(site.folder, "1", site.keys)
    for row in given_:
        buffers.add(number_of(TODAY.date()), rows_table([row]))
    parts = buffers.finish("test")
    assert len(parts) <= 2
    found = [row for part in parts for row in content(site.folder / part.path).to_pylist()]
    assert sorted(found, key=lambda r: r["line"]) == rows_table(given_).to_pylist()


def test_a_second_run_adds_nothing(site: Workspace, log: Path) -> None:
    one(site, log)
    before, acts, files = rows(site), site.ledger.verify(), table(site, FILE)
    again = one(site, log)
    check(again)
    assert (again.duplicate, again.lines, again.new) == (1000, 1000, 0)
    assert rows(site) == before
    assert site.ledger.verify() == acts, "looking is no act"
    assert table(site, FILE) == files


def test_rotation_over_some_nights(site: Workspace, tmp_path: Path) -> None:
    folder, lines = tmp_path / "in", mixed(900)
    live = write_lines(folder / "access.log", lines[:300])
    read(site, live)
    write_lines(live, lines[:500])
    read(site, live)
    (folder / "access.log.1.gz").write_bytes(
        gzip.compress("".join(f"{line}\n" for line in lines[:600]).encode())
    )
    write_lines(live, lines[600:])
    reports = read(site, folder / "access.log.1.gz", live)
    assert [(r.counts.duplicate, r.counts.new) for r in reports] == [(500, 100), (0, 300)]
    assert sorted(row["bytes_down"] for row in rows(site)) == [
        n for n in range(1, 901) if n % 50 not in (7, 8, 9)
    ]
    assert sum(file["lines"] - file["duplicate"] for file in table(site, FILE)) == 900


def test_commits_at_any_size_come_to_the_same(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the last commit before the end takes the last line."""
    seen = set()
    monkeypatch.setattr(ingest.streams, "BLOCK", 8192)
    for number, size in enumerate([1, 8000, 20_000, 50_000, 10**9]):
        monkeypatch.setattr(ingest.file, "COMMIT_BYTES", size)
        ws = open_site(make_site(tmp_path / str(number)), "test")
        counts = one(ws, log)
        check(counts)
        assert told(ws) == asdict(counts)
        commits = sum(line.act["act"] == "ingest" for line in ws.ledger.lines())
        assert (commits > 1) == (size < 10**9)
        (file,) = table(ws, FILE)
        assert {name: file[name] for name in asdict(counts)} == asdict(counts)
        assert file["sha256"] == sha256(log)
        assert {row["file"] for row in rows(ws)} == {file["id"]}
        seen.add(tuple(sorted(row["line"] for row in rows(ws))))
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("day", "kept"),
    [
        (datetime(2025, 11, 20, tzinfo=UTC), False),
        (datetime(2025, 11, 20, 23, 59, 59, tzinfo=UTC), False),
        (datetime(2025, 11, 21, tzinfo=UTC), True),
        (datetime(2006, 9, 8, tzinfo=UTC), False),
        (datetime(1970, 1, 1, tzinfo=UTC), False),
    ],
)
def test_what_is_due_never_enters(
    site: Workspace, tmp_path: Path, day: datetime, kept: bool
) -> None:
    counts = one(site, write_lines(tmp_path / "a", [squid_line(day), squid_line(TODAY)]))
    check(counts)
    assert (counts.rows, counts.expired) == ((2, 0) if kept else (1, 1))
    assert min(row["time"] for row in rows(site)) == (day if kept else TODAY)


def test_a_shorter_retention_is_kept_as_well(tmp_path: Path) -> None:
    folder = make_site(tmp_path / "s", lambda t: t.replace("events: 1 year", "events: 30 days"))
    ws = open_site(folder, "test")
    days = [TODAY - timedelta(days=n) for n in (29, 30, 31)]
    counts = one(ws, write_lines(tmp_path / "a", [squid_line(day) for day in days]))
    assert (counts.rows, counts.expired) == (1, 2)


def test_a_purged_day_does_not_come_back(site: Workspace, tmp_path: Path) -> None:
    with site.state.change() as change:
        catalogue.bury(change.connection, "events", ["2026-11-18"], NOW.isoformat())
    lines = [squid_line(TODAY - timedelta(days=n)) for n in range(4)]
    counts = one(site, write_lines(tmp_path / "a", lines))
    assert (counts.rows, counts.expired) == (3, 1)


def test_the_future_is_refused(site: Workspace, tmp_path: Path) -> None:
    lines = [squid_line(NOW + timedelta(hours=h)) for h in (0, 23, 25, 10_000)]
    lines.append(squid_line(999_999_999_999.0))
    counts = one(site, write_lines(tmp_path / "a", lines))
    check(counts)
    assert (counts.rows, counts.rejected) == (2, 3)
    assert {row["reason"] for row in rows(site, "rejects")} == {"the time lies in the future"}
    assert {row["line"] for row in rows(site, "rejects")} == {3, 4, 5}


SECRETS = ["hunter2", "s3ssion", "unlisted-clinic", "gr1ndr", "j0hn.doe", "inv1te"]


def everything(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file of a site, as bytes and, where it is Parquet, as values."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes().decode("latin-1")
            if path.suffix == ".parquet":
                yield path, json.dumps(content(path).to_pylist(), default=str)


@pytest.mark.parametrize("paths", [False, True])
def test_nothing_stays_that_should_not(tmp_path: Path, paths: bool) -> None:
    """Queries, other sites, sensitive services, log-ins in URLs, rejected lines."""
    folder = make_site(
        tmp_path / "s", lambda t: t.replace("paths: false", f"paths: {str(paths).lower()}")
    )
    ws = open_site(folder, "test")
    urls = [
        "https://www.facebook.com/page?token=hunter2",
        "https://www.facebook.com?token=hunter2",
        "https://www.facebook.com/page;sid=s3ssion",
        "https://www.facebook.com/page#s3ssion",
        "https://hunter2:s3ssion@www.facebook.com/",
        "https://unlisted-clinic.example/inv1te",
        "unlisted-clinic.example:443",
        "https://gr1ndr.grindr.com/",
        "gr1ndr.grindr.com:443",
        "http://unlisted-clinic.example",
        "unlisted-clinic",
        "//unlisted-clinic.example/x",
        "https:/unlisted-clinic.example/x",
        "https://[unlisted-clinic]/",
    ]
    lines = [squid_line(TODAY, url=url) for url in urls]
    lines += [
        squid_line(TODAY, url="https://unlisted-clinic.example/") + " j0hn.doe",
        "hunter2 s3ssion j0hn.doe",
        squid_line(TODAY, method="unlisted-clinic"),
        squid_line(TODAY, content_type="unlisted-clinic"),
        squid_line(TODAY, result="unlisted-clinic/200"),
        squid_line(
            TODAY + timedelta(days=9), user="j0hn.doe", url="http://unlisted-clinic.example"
        ),
    ]
    counts = one(ws, write_lines(tmp_path / "a", lines))
    check(counts)
    assert (counts.rows, counts.rejected) == (len(urls) + 3, 3)
    for path, text in everything(folder):
        for secret in SECRETS:
            assert secret not in text, path
    stored = {row["path"] for row in rows(ws)}
    assert stored == ({"/page", "/", None} if paths else {None})
    assert {row["host"] for row in rows(ws)} == {"www.facebook.com", "other"}
    shapes = [row["shape"] for row in rows(ws, "rejects")]
    assert all(not {c for c in shape if c.isalnum()} - {"a", "9"} for shape in shapes)


def test_overlong_lines_are_rejected_at_their_numbers(tmp_path: Path) -> None:
    ws = open_site(make_site(tmp_path / "s"), "test")
    lines = mixed(6)
    lines[1] = squid_line(TODAY, url="http://a.example/" + "x" * 70_000)
    lines[4] = "y" * 200_000
    counts = one(ws, write_lines(tmp_path / "a", lines))
    check(counts)
    assert (counts.rows, counts.rejected) == (4, 2)
    assert {(r["line"], r["reason"]) for r in rows(ws, "rejects")} == {
        (2, "longer than 65536 bytes"),
        (5, "longer than 65536 bytes"),
    }
    assert {row["line"] for row in rows(ws)} == {1, 3, 4, 6}


def test_a_damaged_file_keeps_what_was_read_and_stops_no_other(
    site: Workspace, tmp_path: Path
) -> None:
    lines = mixed(6000)
    whole = gzip.compress("".join(f"{line}\n" for line in lines).encode())
    cut = tmp_path / "access.log.1.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    other = write_lines(tmp_path / "other.log", [squid_line(TODAY, user="kim", size=999_999)])
    damaged, fine = read(site, cut, other)
    assert damaged.error and "stops being readable" in damaged.error
    check(damaged.counts)
    assert 1000 < damaged.counts.lines < 6000
    assert fine.counts.rows == 1
    assert len(rows(site)) == damaged.counts.rows + 1
    assert told(site)["lines"] == damaged.counts.lines + 1
    cut.write_bytes(whole)
    after = one(site, cut)
    assert after.duplicate == damaged.counts.lines
    sizes = sorted(row["bytes_down"] for row in rows(site))
    assert sizes == [*(n for n in range(1, 6001) if n % 50 not in (7, 8, 9)), 999_999]


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08broken", b""])
def test_a_file_that_gives_nothing_leaves_nothing(
    site: Workspace, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a.gz").write_bytes(content)
    (report,) = read(site, tmp_path / "a.gz")
    assert bool(report.error) == bool(content)
    assert table(site, FILE) == table(site, STREAM) == []
    assert site.ledger.verify()[0] == 0


def test_a_file_of_another_kind_is_named(site: Workspace, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a", ["what is this"] * 50)
    (report,) = read(site, path)
    counts = report.counts
    assert (counts.rows, counts.rejected) == (0, 50), "its format was named, so lines are told"
    with site.alone():
        (unknown,) = ingest.run.ingest(site, given(site, [path], None, "auto"), NOW)
    assert unknown.error and "not recognised: no line fits any of" in unknown.error


def test_a_file_named_by_hand_is_taken_for_whole(site: Workspace, log: Path) -> None:
    whole = log.read_bytes()
    log.write_bytes(whole[:-30])
    first = one(site, log)
    log.write_bytes(whole)
    rest = one(site, log)
    assert first.lines == 1000, "the half line is a line"
    assert (rest.new, rest.rows, rest.rejected) == (1, 0, 1), "the rest of it is no row twice"


def test_a_filtered_copy_is_another_stream(site: Workspace, log: Path, tmp_path: Path) -> None:
    every = log.read_text().splitlines()
    fewer = write_lines(tmp_path / "filtered.log", [n for i, n in enumerate(every) if i % 3])
    before = one(site, log)
    assert 0 < one(site, fewer).rows < before.rows


def test_a_half_written_line_waits(tmp_path: Path) -> None:
    folder = make_site(
        tmp_path / "s",
        lambda t: t.replace("/var/log/squid/access.log*", str(tmp_path / "in/access.log*")),
    )
    ws = open_site(folder, "test")
    lines = mixed(20)
    path = write_lines(tmp_path / "in/access.log", lines)
    whole = path.read_bytes()

    def night(content: bytes, written: datetime) -> Counts:
        path.write_bytes(content)
        os.utime(path, (written.timestamp(),) * 2)
        with ws.alone():
            (report,) = ingest.run.ingest(ws, discover(ws, None), NOW)
        return report.counts

    assert night(whole[:-30], NOW).rows == 17 - 1
    assert night(whole[:-30], NOW).new == 0
    assert night(whole, NOW).rows == 1
    assert night(whole + lines[0].encode(), NOW - timedelta(hours=1)).rows == 1, "taken to its end"
    assert sorted(row["line"] for row in rows(ws))[-2:] == [20, 21]


def test_sources_are_read_oldest_first_and_named(tmp_path: Path) -> None:
    folder = make_site(
        tmp_path / "s",
        lambda t: t.replace("/var/log/squid/access.log*", str(tmp_path / "in/access.log*")),
    )
    ws = open_site(folder, "test")
    for number, name in enumerate(["access.log", "access.log.2", "access.log.1"]):
        path = write_lines(tmp_path / "in" / name, [squid_line(TODAY, size=number)])
        os.utime(path, (NOW.timestamp() - number,) * 2)
    assert [t.path.name for t in discover(ws, None)] == [
        "access.log.1",
        "access.log.2",
        "access.log",
    ]
    assert {t.source.name for t in discover(ws, "main-proxy")} == {"main-proxy"}
    with pytest.raises(BadConfiguration, match="it has: main-proxy"):
        discover(ws, "branch")
    with pytest.raises(BadConfiguration, match="it has: main-proxy"):
        given(ws, [], "branch", None)


def test_what_a_killed_run_left_is_swept_away(site: Workspace, log: Path) -> None:
    one(site, log)
    left = [
        site.folder / "work/events-2026-11-20-00000009-0000.parquet.tmp",
        site.folder / "lake/events/2026-11-19/00000009-0000.parquet",
        site.folder / "lake/rejects/2026-11-19/00000009-0000.parquet",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left over")
    before = rows(site)
    one(site, log)
    assert not any(path.exists() for path in left)
    assert rows(site) == before


def test_one_run_at_a_time(site: Workspace) -> None:
    with site.alone(), pytest.raises(Locked, match="another run"), site.alone():
        pass


def kill_some_runs(site: Path, logs: Sequence[Path], rounds: int, seed: int) -> int:
    """Start runs and kill -9 them at random moments; how many were killed in the middle."""
    chance = random.Random(seed)
    command = [
        sys.executable,
        str(ROOT / "tests/drivers/ingest_once.py"),
        str(site),
        *map(str, logs),
    ]
    killed = 0
    for _ in range(rounds):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
        ) as run:
            assert run.stdout
            assert run.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.02, 0.7))
            if run.poll() is None:
                run.kill()
                killed += 1
    return killed


@pytest.mark.slow
def test_killed_at_any_moment_each_line_comes_once(tmp_path: Path) -> None:
    folder, lines = make_site(tmp_path / "s"), mixed(24_000)
    first = tmp_path / "access.log.1.gz"
    first.write_bytes(gzip.compress("".join(f"{x}\n" for x in lines[:12_000]).encode()))
    second = write_lines(tmp_path / "access.log", lines[12_000:])
    assert kill_some_runs(folder, [first, second], 10, seed=20261120) >= 3
    ws = open_site(folder, "test")
    counts = [report.counts for report in read(ws, first, second)]
    assert [c.lines for c in counts] == [12_000, 12_000]

    events, rejects = rows(ws), rows(ws, "rejects")
    good = [n for n in range(1, 24_001) if n % 50 not in (7, 8, 9)]
    assert sorted(row["bytes_down"] for row in events) == good, "every line exactly once"
    assert len(rejects) == 24_000 // 50
    files = {file["id"]: file for file in table(ws, FILE)}
    assert len(files) > 2, "several runs got somewhere"
    start = {str(first): 0, str(second): 12_000}
    for row in events:
        assert row["bytes_down"] == start[files[row["file"]]["path"]] + row["line"]
    for row in rejects:
        assert (start[files[row["file"]]["path"]] + row["line"]) % 50 == 7
    sums = Counter[str]()
    for file in files.values():
        check(Counts(**{name: file[name] for name in asdict(Counts())}))
        assert file["sha256"] == sha256(Path(file["path"]))
        sums.update({name: file[name] for name in asdict(Counts())})
    assert sums["lines"] - sums["duplicate"] == 24_000
    assert sums["rows"] == len(events) and sums["rejected"] == len(rejects)
    assert told(ws) == sums, "each commit is told once"
    assert ws.ledger.verify()[0] >= 1
    known = {ws.folder / part for part in parts_of(ws)}
    assert {p for p in (folder / "lake").rglob("*") if p.is_file()} == known
    assert not list((folder / "work").iterdir())


@pytest.mark.slow
def test_killed_among_many_small_files_each_line_comes_once(tmp_path: Path) -> None:
    """Several files of one commit are in the lake together or not at all."""
    folder, lines = make_site(tmp_path / "s"), mixed(6000)
    logs = [write_lines(tmp_path / f"{n:03d}", lines[n * 30 : n * 30 + 30]) for n in range(200)]
    assert kill_some_runs(folder, logs, 8, seed=20261121) >= 2
    ws = open_site(folder, "test")
    reports = read(ws, *logs)
    assert sum(report.counts.lines for report in reports) == 6000
    good = [n for n in range(1, 6001) if n % 50 not in (7, 8, 9)]
    assert sorted(row["bytes_down"] for row in rows(ws)) == good
    assert len(rows(ws, "rejects")) == 6000 // 50
    files = table(ws, FILE)
    assert len(files) == 200 and all(f["sha256"] == sha256(Path(f["path"])) for f in files)
    assert told(ws)["lines"] == 6000
    known = {ws.folder / part for part in parts_of(ws)}
    assert {p for p in (folder / "lake").rglob("*") if p.is_file()} == known


def parts_of(ws: Workspace) -> set[str]:
    with ws.state.read() as connection:
        return catalogue.known_paths(connection)


def numbered(first: int, last: int) -> list[str]:
    return [squid_line(NOW - timedelta(days=1) + timedelta(seconds=n)) for n in range(first, last)]


def test_a_shorter_copy_does_not_make_a_stream_forget(site: Workspace, tmp_path: Path) -> None:
    lines = numbered(0, 3000)
    whole = write_lines(tmp_path / "access.log", lines)
    copy = write_lines(tmp_path / "copy.log", lines[:1000])
    assert one(site, whole).rows == 3000
    assert one(site, copy).rows == 0
    assert one(site, whole).rows == 0


def test_a_copy_that_goes_on_differently_is_a_stream_of_its_own(
    site: Workspace, tmp_path: Path
) -> None:
    whole = write_lines(tmp_path / "access.log", numbered(0, 3000))
    other = write_lines(tmp_path / "other.log", [*numbered(0, 1000), *numbered(5000, 9000)])
    assert one(site, whole).rows == 3000
    assert one(site, other).rows >= 4000
    assert one(site, whole).rows == 0
    assert one(site, other).rows == 0


def test_a_named_file_is_read_by_the_sites_own_logformats(tmp_path: Path) -> None:
    """Named at the terminal and not under any source's paths, it is still in the site's format."""
    own = "    logformat: '%ts %>a %un \"%rm %ru\" %>Hs'"
    folder = make_site(
        tmp_path / "site",
        lambda text: re.sub(r"^    # logformat: .*$", own, text, flags=re.MULTILINE),
    )
    ws = open_site(folder, "test")
    log = write_lines(
        tmp_path / "a.log", [f'{int(NOW.timestamp())} 10.0.0.1 ann "GET http://x.com/" 200'] * 3
    )
    with ws.alone():
        (report,) = ingest.run.ingest(ws, given(ws, [log], None, None), NOW)
    assert (report.counts.rows, report.error, report.source) == (3, None, "files")


def test_a_named_file_under_a_sources_paths_is_that_sources(tmp_path: Path) -> None:
    folder = make_site(
        tmp_path / "site", lambda text: text.replace("/var/log/squid/access.log*", "incoming/*.log")
    )
    ws = open_site(folder, "test")
    log = write_lines(folder / "incoming" / "a.log", [squid_line(NOW - timedelta(days=1))])
    with ws.alone():
        (report,) = ingest.run.ingest(ws, given(ws, [log], None, None), NOW)
    assert (report.counts.rows, report.source) == (1, "main-proxy")


def test_what_was_read_in_the_wrong_format_is_read_again_once_that_is_mended(
    tmp_path: Path,
) -> None:
    log = write_lines(tmp_path / "in/a.log", [squid_line(TODAY, size=n) for n in range(1, 91)])
    os.utime(log, (NOW.timestamp() - 3600,) * 2)

    def night(format_: str) -> Any:
        def edit(text: str) -> str:
            text = text.replace("format: squid", f"format: {format_}")
            return text.replace("/var/log/squid/access.log*", f"{log.parent}/*")

        ws = open_site(make_site(tmp_path / "s", edit), "test")
        with ws.alone():
            (report,) = ingest.run.ingest(ws, discover(ws, None), NOW)
        check(report.counts)
        assert len(rows(ws)) == (90 if format_ == "squid" else 0)
        return report

    first = night("combined")
    assert (first.counts.rejected, first.note) == (
        90,
        "no line of it is combined: see `fairwatch check-logs`",
    )
    assert night("combined").counts.duplicate == 90
    assert night("squid").counts.rows == 90
    assert night("squid").counts.duplicate == 90


def test_a_disk_that_is_full_is_said_to_be(site: Workspace, tmp_path: Path) -> None:
    with site.state.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

    def full(connection: Any, _: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    logs = [write_lines(tmp_path / f"{n}.log", mixed(1000)[n:]) for n in range(30)]
    listen(site.state._engine, "connect", full)
    with pytest.raises(CannotWrite, match=r"cannot be written to: database or disk is full"):
        read(site, *logs)
    remove(site.state._engine, "connect", full)
    read(site, *logs)
    assert len(rows(site)) == 940
