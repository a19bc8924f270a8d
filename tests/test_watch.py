"""Reading logs as they grow, and putting together at night the parts that leaves behind."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from conftest import ROOT, make_site, squid_line, write_lines
from factory import content
from test_arrival import aged, night, site_of
from test_ingest import NOW, TODAY, parts_of, rows

import fairwatch.watch
import jobs
from fairwatch.watch import Watch
from ingest.merge import MANY, merge
from lake.datasets import EVENTS
from state.tables import ARRIVAL
from workspace import Workspace, open_site


def log(first: int, count: int) -> list[str]:
    return [squid_line(TODAY.timestamp() - 9000 + n, size=n) for n in range(first, first + count)]


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def watched(tmp_path: Path) -> tuple[Workspace, Watch, Clock, list[str]]:
    ws, clock, told = site_of(tmp_path), Clock(), list[str]()
    return ws, Watch(lambda: ws, clock, told.append, Event()), clock, told


def test_a_growing_log_is_read_when_it_is_worth_a_part(
    watched: tuple[Workspace, Watch, Clock, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fairwatch.watch, "ENOUGH", 10_000)
    ws, watch, clock, told = watched
    path = write_lines(ws.folder.parent / "in/a.log", log(0, 10))
    aged(path, seconds=0)
    watch.turn()
    assert len(rows(ws)) == 10, "a file never seen is read"
    write_lines(path, log(0, 20))
    clock.at += timedelta(minutes=1)
    assert watch.turn() == [] and len(rows(ws)) == 10, "ten lines are no reason"
    write_lines(path, log(0, 200))
    watch.turn()
    assert len(rows(ws)) == 200, "ten thousand bytes are"
    write_lines(path, log(0, 205))
    clock.at += timedelta(minutes=14)
    assert watch.turn() == []
    clock.at += timedelta(minutes=2)
    watch.turn()
    assert len(rows(ws)) == 205, "nothing waits for long"
    path.rename(path.with_name("a.log.1"))
    write_lines(path, log(205, 5))
    watch.turn()
    assert len(rows(ws)) == 210, "what rotation made is read at once"
    assert len(told) == 4 and "new rows" in told[-1]


def test_trouble_is_told_once_and_the_watch_goes_on(
    watched: tuple[Workspace, Watch, Clock, list[str]],
) -> None:
    ws, watch, clock, told = watched
    (ws.folder.parent / "in/db").write_bytes(b"SQLite format 3\0" + bytes(99))
    for _ in range(3):
        watch.turn()
        clock.at += timedelta(minutes=20)
    assert len([t for t in told if "SQLite" in t]) == 1
    write_lines(ws.folder.parent / "in/a.log", log(0, 10))

    class Waits(Event):
        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return True

    watch.stop = Waits()
    with ws.alone():
        watch.run(1)
    assert "another run is at work" in told[-1]
    watch.stop = Waits()
    watch.run(1)
    assert len(rows(ws)) == 10


def test_a_stop_inside_a_reading_leaves_nothing_half(
    watched: tuple[Workspace, Watch, Clock, list[str]],
) -> None:
    ws, watch, _, _ = watched
    write_lines(ws.folder.parent / "in/a.log", log(0, 100))
    real = watch._progress

    def stopping(*args: object) -> None:
        watch.stop.set()
        real(*args)

    watch._progress = stopping  # type: ignore[method-assign]
    watch.run(1)
    assert rows(ws) == [] and not [*ws.folder.glob("work/*")]
    assert len(night(ws)) == 1 and len(rows(ws)) == 100


def many(ws: Workspace, count: int) -> Path:
    path = ws.folder.parent / "in/a.log"
    for n in range(1, count + 1):
        aged(write_lines(path, [*log(0, n * 20), "not understood"][: n * 20]))
        night(ws)
    return path


def test_many_parts_of_a_day_become_one(tmp_path: Path) -> None:
    ws = site_of(tmp_path)
    many(ws, MANY + 2)
    before = sorted(rows(ws), key=lambda r: (r["file"], r["line"]))
    assert len(parts_of(ws)) == MANY + 2
    with ws.alone():
        assert merge(ws, NOW) == 1
        assert merge(ws, NOW) == 0
    (part,) = parts_of(ws)
    assert sorted(rows(ws), key=lambda r: (r["file"], r["line"])) == before
    found = content(ws.folder / part)
    assert found.schema.equals(EVENTS.schema)
    on_disk = [p for p in (ws.folder / "lake/events").rglob("*") if p.is_file()]
    assert [str(p.relative_to(ws.folder)) for p in on_disk] == [part]
    assert [a.act["act"] for a in ws.ledger.lines()][-1] == "merge"
    many(ws, 2 * MANY + 2)
    with ws.alone():
        merge(ws, NOW)
    assert len(rows(ws)) == (2 * MANY + 2) * 20


def test_the_night_merges(tmp_path: Path) -> None:
    ws = site_of(tmp_path)
    many(ws, MANY + 1)
    with ws.alone():
        jobs.INGEST.run(ws, NOW)
    assert len(parts_of(ws)) == 1


@pytest.mark.parametrize("when", ["written", "moved", "committed"])
def test_a_merge_cut_short_loses_and_doubles_nothing(
    tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(BaseException):
        pass

    def cut(*_: object, **__: object) -> None:
        raise Cut

    ws = site_of(tmp_path)
    many(ws, MANY + 1)
    before = len(rows(ws))
    place: dict[str, str] = {
        "written": "lake.write.PartWriter.move",
        "moved": "lake.catalogue.forget",
        "committed": "ingest.merge.remove",
    }
    with monkeypatch.context() as patch:
        patch.setattr(place[when], cut)
        with ws.alone(), pytest.raises(Cut):
            merge(ws, NOW)
    assert len(rows(ws)) == before
    night(ws)
    with ws.alone():
        merge(ws, NOW)
    assert len(rows(ws)) == before and len(parts_of(ws)) == 1
    assert len([p for p in (ws.folder / "lake").rglob("*") if p.is_file()]) == 1


def test_notes_age(tmp_path: Path) -> None:
    from lake.stores import CLOCKED

    assert {"arrival"} <= {c.table for c in CLOCKED} and "read" in ARRIVAL.c


@pytest.mark.slow
def test_the_command_reads_until_it_is_told_to_stop(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    folder = make_site(
        tmp_path / "site", lambda t: t.replace("/var/log/squid/access.log*", f"{tmp_path}/in/*")
    )
    now = datetime.now(UTC).timestamp()
    write_lines(tmp_path / "in/a.log", [squid_line(now - 60 + n) for n in range(10)])
    command = [sys.executable, "-c", "from fairwatch.cli import main; main()", "watch", "--every", "1", "--site", str(folder)]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as run:
        assert run.stdout
        assert "10 new rows" in run.stdout.readline()
        write_lines(tmp_path / "in/b.log", [squid_line(now - 50 + n, size=n) for n in range(7)])
        assert "7 new rows" in run.stdout.readline()
        run.send_signal(signal.SIGTERM)
        assert run.wait(20) == 0
    assert len(rows(open_site(folder, "test"))) == 17
