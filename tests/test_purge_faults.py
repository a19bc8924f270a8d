"""Purges on machines where something is wrong: never a false word, never a day again, always resumable."""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from conftest import ROOT, squid_line, write_lines
from factory import again, edited, lake, page, utc
from purgelab import DEAD, DUE, NOW, acts, build, ends_well, kept, no_word_without_the_deed, start
from sqlalchemy import select

from errors import CannotWrite, FairwatchError, Locked, Overdue, UnsafeDeletion
from fairwatch import place
from fairwatch.cli import main
from fairwatch.status import status
from ingest.discover import given
from ingest.run import ingest
from lake import catalogue
from retention import purge, unfinished, verify
from state.tables import ALARM
from workspace import Workspace, open_site

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def old_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("fault") / "site")


def copied(old_site: Path, place_: Path) -> Workspace:
    """The site with its key, somewhere else."""
    shutil.copytree(old_site, place_ / "site")
    for key in old_site.parent.glob("*.key"):
        shutil.copy(key, place_)
    return open_site(place_ / "site", "test")


@pytest.fixture
def ws(old_site: Path, tmp_path: Path) -> Workspace:
    return copied(old_site, tmp_path)


def refused(ws: Workspace, *kinds: type[FairwatchError]) -> str:
    """A purge that ends with one of these and says nothing untrue; what it says to a person."""
    with pytest.raises(kinds) as told, ws.alone():
        purge(ws, NOW)
    return str(told.value)


def typed(monkeypatch: pytest.MonkeyPatch, ws: Workspace, *words: str) -> int:
    """The exit code of a command."""
    monkeypatch.setattr(place, "now", lambda: NOW)
    with pytest.raises(SystemExit) as done:
        main([*words, "--site", str(ws.folder)])
    return int(done.value.code or 0)


# What cannot be removed -----------------------------------------------------------------------


def works(*command: str) -> bool:
    """Whether this machine lets us do that."""
    try:
        return not subprocess.run(command, capture_output=True, check=False).returncode
    except OSError:
        return False


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """A file not even root can unlink."""
    if not works("chattr", "+i", str(path)):
        pytest.skip("no immutable files here")
    try:
        yield
    finally:
        works("chattr", "-i", str(path))


@contextmanager
def busy(path: Path) -> Iterator[None]:
    """A file something is mounted on."""
    if not works("mount", "--bind", str(path), str(path)):
        pytest.skip("no mounts here")
    try:
        yield
    finally:
        works("umount", str(path))


@pytest.mark.parametrize("hold", [immutable, busy])
@pytest.mark.parametrize("name", ["lake/events/2025-11-07", "reports/2025-W46"])
def test_a_file_that_cannot_be_unlinked(
    ws: Workspace,
    hold: Callable[[Path], "contextmanager[None]"],  # type: ignore[valid-type]
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = kept(ws)
    [path] = (ws.folder / name).iterdir()
    with hold(path):  # type: ignore[attr-defined]
        told = refused(ws, Overdue)
        assert str(path.relative_to(ws.folder)) in told
        assert "cannot be removed" in told
        assert "purge done" not in acts(ws)
        assert len(unfinished(ws)) == 1
        assert typed(monkeypatch, ws, "retention", "purge") == Overdue.exit_code
        assert "purge done" not in acts(ws)
        assert typed(monkeypatch, ws, "retention", "verify") == Overdue.exit_code
        assert [line for line in status(again(ws), NOW).overdue if "never that it was done" in line]
    ends_well(ws, before)
    assert unfinished(ws) == []
    assert status(again(ws), NOW).overdue == []


# The disk -------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own."""
    folder.mkdir()
    if not works("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)):
        pytest.skip("no mounts here")
    try:
        yield folder
    finally:
        works("mount", "-o", "remount,rw", str(folder))
        works("umount", "-l", str(folder))


def test_a_full_disk(old_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        ws = copied(old_site, disk)
        before = kept(ws)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 14))
            except OSError:
                pass
        told = refused(ws, CannotWrite, Overdue)
        assert "full" in told or "space" in told
        assert "purge done" not in acts(ws)
        code = typed(monkeypatch, ws, "retention", "purge")
        assert code in (CannotWrite.exit_code, Overdue.exit_code)
        filler.unlink()
        ends_well(ws, before)


def test_a_disk_that_turns_read_only(
    old_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", 32) as disk:
        ws = copied(old_site, disk)
        before = kept(ws)
        assert works("mount", "-o", "remount,ro", str(disk))
        with pytest.raises(CannotWrite):
            purge(ws, NOW)
        assert typed(monkeypatch, ws, "retention", "purge") == CannotWrite.exit_code
        assert works("mount", "-o", "remount,rw", str(disk))
        assert "purge intent" not in acts(ws)
        ends_well(ws, before)


LIMITED = """
import resource, signal, sys
import fairwatch
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pathlib import Path
from drivers import purge_once
from workspace import open_site
ws = open_site(Path(sys.argv[1]), "driver")
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
purge_once.main(Path(sys.argv[1]), None)
"""


@pytest.mark.parametrize("limit", [0, 4096, 30_000, 100_000])
def test_files_that_cannot_grow(ws: Workspace, limit: int) -> None:
    """What a full disk is where nothing can be mounted; each limit stops at another step."""
    assert resource.RLIMIT_FSIZE
    before = kept(ws)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(ws.folder), str(limit)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert "purge done" not in acts(again(ws))
    no_word_without_the_deed(again(ws))
    ends_well(ws, before)


# The clock ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [timedelta(days=-400), timedelta(days=-20), timedelta(days=400)])
def test_a_wrong_clock_removes_and_says_nothing(ws: Workspace, wrong: timedelta) -> None:
    before, said = kept(ws), acts(ws)
    with pytest.raises(UnsafeDeletion), ws.alone():
        purge(ws, NOW + wrong)
    assert acts(ws) == said
    if wrong < timedelta():
        with pytest.raises(UnsafeDeletion):
            verify(ws, NOW + wrong)
    ends_well(ws, before)


def test_a_clock_set_back_between_two_tries(ws: Workspace) -> None:
    """The first try died; the second has an earlier clock: it refuses, the third goes on."""
    before = kept(ws)
    process = start(ws.folder, "mark")
    process.communicate()
    assert process.returncode == DEAD
    with pytest.raises(UnsafeDeletion), again(ws).alone():
        purge(again(ws), NOW - timedelta(days=30))
    no_word_without_the_deed(again(ws))
    ends_well(ws, before)


# Others at work -------------------------------------------------------------------------------


def test_two_purges_at_once(ws: Workspace) -> None:
    before = kept(ws)
    both = [start(ws.folder), start(ws.folder)]
    ended = [process.communicate(timeout=120) for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes
    for code, (_, errors) in zip(codes, ended, strict=True):
        assert code == 0 or "Locked" in errors
    assert acts(again(ws)).count("purge done") == codes.count(0)
    ends_well(ws, before)


def test_an_ingest_waits_for_the_purge(ws: Workspace, tmp_path: Path) -> None:
    log = write_lines(tmp_path / "a.log", [squid_line(utc("2026-11-19 09:00"))])
    with ws.alone(), pytest.raises(Locked), again(ws).alone():
        ingest(again(ws), given(again(ws), [log], None, "squid"), NOW)


@pytest.mark.parametrize(
    "point", ["intent", "row", "mark", "keys", "file", "unlink", "forget", "scrub"]
)
def test_late_data_between_a_kill_and_the_next_try(
    old_site: Path, tmp_path: Path, point: str
) -> None:
    """Lines of a day that is being purged, read before the purge could end, never bring it back."""
    ws = copied(old_site, tmp_path)
    process = start(ws.folder, point)
    process.communicate(timeout=60)
    assert process.returncode == DEAD
    ws = again(ws)
    before = kept(ws)
    late = [squid_line(utc(f"{day} 10:00")) for day in DUE]
    log = write_lines(tmp_path / "late.log", late)
    with ws.alone():
        report = ingest(ws, given(ws, [log], None, "squid"), NOW)[0]
    assert (report.counts.rows, report.counts.expired) == (0, len(DUE))
    no_word_without_the_deed(ws)
    ends_well(ws, before)


def test_late_data_of_a_day_purged_by_a_shorter_keep(ws: Workspace, tmp_path: Path) -> None:
    """Killed in the middle, made longer again, late data come: buried is buried."""
    gone = utc("2026-07-01 09:00")
    lake(ws, [page(gone)], "late-0000")
    short = edited(ws, "fairwatch.yaml", ("events: 1 year", "events: 90 days"))
    process = start(short.folder, "mark")
    process.communicate(timeout=60)
    longer = edited(short, "fairwatch.yaml", ("events: 90 days", "events: 1 year"))
    log = write_lines(tmp_path / "late.log", [squid_line(gone)])
    with longer.alone():
        report = ingest(longer, given(longer, [log], None, "squid"), NOW)[0]
        assert (report.counts.rows, report.counts.expired) == (0, 1)
        purge(longer, NOW)
    with longer.state.read() as connection:
        assert gone.date() not in catalogue.days(connection, "events")
    assert not list((longer.folder / "lake/events").glob("2026-07-01/*"))


# Told -----------------------------------------------------------------------------------------


def test_what_is_overdue_is_told_everywhere(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ws.alone():
        purge(ws, NOW)
    (ws.folder / "copy of ann.csv").write_text("user,day\nann,2025-11-02\n")
    assert typed(monkeypatch, ws, "retention", "purge") == Overdue.exit_code
    assert typed(monkeypatch, ws, "retention", "verify") == Overdue.exit_code
    assert acts(ws)[-1] != "purge done"
    with ws.state.read() as connection:
        raised = set(connection.execute(select(ALARM.c.key)).scalars())
    assert raised == {"purge", "verify"}
    capsys.readouterr()
    assert typed(monkeypatch, ws, "status", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert any("copy of ann.csv" in line for line in told["alarms"])
    assert any("never that it was done" in line for line in told["overdue"])
    (ws.folder / "copy of ann.csv").unlink()
    assert typed(monkeypatch, ws, "retention", "purge") == 0
    assert typed(monkeypatch, ws, "retention", "verify") == 0
    found = status(again(ws), datetime.fromisoformat(NOW.isoformat()))
    assert (found.alarms, found.overdue) == ([], [])
