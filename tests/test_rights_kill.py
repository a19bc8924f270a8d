"""Deeds killed at any moment, and on disks that are full: nobody's row lost or doubled, no false word, and an end."""

import os
import random
import signal
import subprocess
import sys
import time
from itertools import cycle, product
from pathlib import Path

import pytest
from conftest import ROOT
from drivers.right_once import DEAD
from factory import again, derived, snapshot
from rightslab import (
    NOW,
    Rows,
    acts,
    build,
    copied,
    everything,
    held,
    mine,
    opinion,
    opinions,
    parts,
    place,
    sound,
    span,
    told,
)
from test_purge_faults import small_disk, works

import holds
from errors import CannotWrite, FairwatchError, Overdue
from retention import purge, verify
from rights import deeds, register
from rights.deeds import STEPS
from workspace import Workspace

pytestmark = pytest.mark.slow

DRIVER = Path(__file__).parent / "drivers" / "right_once.py"
POINTS = [name for name, _ in STEPS]
INSIDE = ["write:3", "seal:1", "move:2", "add:1", "forget:2", "commit:2", "commit:4", "row:9",
          "act:1", "act:2"]  # fmt: skip
ENDS = ["row:1", "row:3", "commit:1", "act:1", "destroy:1", "remove:1", "remove:3", "row:4", "scrub:1", "act:2"]  # fmt: skip
DEEDS = ("erase", "restrict")
ROUNDS = 3


@pytest.fixture(scope="module")
def old_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ws = build(tmp_path_factory.mktemp("deed") / "site")
    opinion(ws, "ann")
    opinion(ws, "bob")
    return ws.folder


@pytest.fixture
def ws(old_site: Path, tmp_path: Path) -> Workspace:
    return copied(old_site, tmp_path)


def start(ws: Workspace, *words: str) -> "subprocess.Popen[str]":
    """A deed in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(ws.folder), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def dead(ws: Workspace, *words: str) -> Workspace:
    """The site after a process that died at a point."""
    process = start(ws, *words)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == DEAD, f"the point was not reached: {errors}"
    return again(ws)


def resumed(ws: Workspace) -> Workspace:
    ws = again(ws)
    with ws.alone():
        _, stuck = deeds.resume(ws, NOW)
    assert not stuck
    return ws


class Before:
    """What there was, and what must be of it at any moment and in the end."""

    def __init__(self, ws: Workspace, deed: str) -> None:
        self.rows, self.theirs, self.said = everything(ws), mine(ws, span(ws)), opinions(ws)
        self.deed = deed

    @property
    def after(self) -> Rows:
        return self.rows - self.theirs if self.deed == "erase" else self.rows

    def at_any_moment(self, ws: Workspace) -> None:
        now = everything(ws)
        assert not now - self.rows, "a row is there twice"
        assert not self.after - now, "a row is lost"
        if "rows done" in acts(ws):
            assert not mine(ws, span(ws), "live")
            assert verify(ws, NOW).clean
            assert "rows intent" in acts(ws)

    def in_the_end(self, ws: Workspace) -> None:
        ws = resumed(ws)
        if not register.rights(ws):  # it died before it was asked for
            with ws.alone():
                deed = deeds.erase if self.deed == "erase" else deeds.restrict
                deed(ws, span(ws), "REQ 1", "Dora Dale", NOW)
        (one,) = register.rights(ws)
        assert one.state == "done"
        assert everything(ws) == self.after
        assert everything(ws, "live") == self.rows - self.theirs
        assert acts(ws).count("rows done") == 1
        left = [row for row in self.said if "ann" in row]
        if self.deed == "erase":
            assert one.person is None
            assert not [row for row in opinions(ws) if "ann" in row]
            assert len(snapshot(ws.folder / "evidence")) == 1
        else:
            assert [r[0] for r in opinions(ws) if "ann" in r] == ["cases"]
            with ws.alone():
                deeds.lift(ws, one.id, "Dora Dale", "agreed", NOW)
            assert everything(ws, "live") == self.rows
            assert [row for row in opinions(ws) if "ann" in row] == left
        assert [r for r in opinions(ws) if "bob" in r] == [r for r in self.said if "bob" in r]
        sound(ws)


@pytest.mark.parametrize(
    ("deed", "point"),
    [
        *product(DEEDS[:1], POINTS),
        *product(DEEDS[1:], POINTS[2::3]),
        *zip(cycle(DEEDS), INSIDE, strict=False),
    ],
)
def test_dead_at_a_point(ws: Workspace, deed: str, point: str) -> None:
    before = Before(ws, deed)
    ws = dead(ws, deed, point)
    before.at_any_moment(ws)
    assert ("rows done" in acts(ws)) == (point == "say")
    before.in_the_end(ws)


@pytest.mark.parametrize(
    ("deed", "again_at"),
    [*zip(cycle(DEEDS), ["rewrite", "records", "keys", "unlink"], strict=False)],
)
def test_dead_again_when_it_was_taken_up(ws: Workspace, deed: str, again_at: str) -> None:
    before = Before(ws, deed)
    ws = dead(ws, deed, "move:3")
    point = {"rewrite": "move:2", "records": "commit:4", "keys": "destroy:1", "unlink": "scrub:1"}
    ws = dead(ws, "resume", point[again_at])
    before.at_any_moment(ws)
    before.in_the_end(ws)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_killed_at_random_moments(ws: Workspace, round_: int) -> None:
    draw = random.Random(round_)
    deed = draw.choice(["erase", "restrict"])
    before, words = Before(ws, deed), [deed]
    for _ in range(3):
        process = start(ws, *words)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(draw.uniform(0, 1.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        ws = again(ws)
        before.at_any_moment(ws)
        words = ["resume"] if register.rights(ws) else [deed]
    before.in_the_end(ws)


@pytest.mark.parametrize("point", ["write:2", "move:1", "move:4", "add:1", "add:2", "commit:1",
                                   "commit:3", "row:6"])  # fmt: skip
def test_a_lift_that_died(ws: Workspace, point: str) -> None:
    rows, said = everything(ws), opinions(ws)
    with ws.alone():
        deeds.restrict(ws, span(ws), "REQ", "Dora Dale", NOW)
    ws = dead(ws, "lift", point)
    assert everything(ws) == rows
    (one,) = register.rights(resumed(ws))
    if one.state == "done":  # it died before it was asked for
        assert dead(ws, "lift", "scrub:9").folder
    ws = again(ws)
    assert everything(ws, "live") == rows
    assert opinions(ws) == said
    assert register.rights(ws)[0].state == "lifted"
    sound(ws)


@pytest.mark.parametrize(("ends", "point"), [*zip(cycle(["release", "purge"]), ENDS, strict=False)])
def test_a_release_that_died(ws: Workspace, point: str, ends: str) -> None:
    """A hold is in force or it is gone; nobody is told that it is gone while it is there."""
    one = place(ws)
    rows = held(ws, one.id)
    ws = dead(ws, "release", point)
    now = holds.hold(ws, one.id)
    if now.released is None:
        assert held(ws, one.id) == rows
        assert verify(ws, NOW).clean
        with ws.alone():
            holds.release(ws, one.id, "Hana Hill", "settled", NOW)
    elif now.gone is None:
        assert "hold gone" not in acts(ws)
    with ws.alone():
        if ends == "purge":
            purge(ws, NOW)
        else:
            holds.release(ws, one.id, "Hana Hill", "settled", NOW)
    assert holds.hold(ws, one.id).gone
    assert acts(ws).count("hold gone") == 1
    assert parts(ws, "held") == []
    assert not [k for k in ws.keys.ring.day_keys() if k.dataset == "hold"]
    assert not [n for n in snapshot(ws.folder) if n.startswith("holds/")]
    sound(ws)


def test_a_kill_under_a_hold_loses_nothing_of_it(ws: Workspace) -> None:
    theirs = mine(ws, span(ws))
    one = place(ws)
    for point in ("forget:3", "records", "scrub"):
        ws = again(ws)
        process = start(ws, "resume" if register.rights(ws) else "erase", point)
        process.communicate(timeout=120)
        with ws.alone():
            assert holds.top_up(ws, NOW) == {}
        assert held(ws, one.id) == theirs
    ws = resumed(ws)
    derived(ws, NOW)
    with ws.alone():
        purge(ws, NOW)
    assert held(again(ws), one.id) == theirs
    sound(ws)


# The disk -------------------------------------------------------------------------------------


def stopped(ws: Workspace, deed: str, *kinds: type[FairwatchError]) -> str:
    with pytest.raises(kinds) as said, ws.alone():
        (deeds.erase if deed == "erase" else deeds.restrict)(
            ws, span(ws), "REQ 1", "Dora Dale", NOW
        )
    return str(said.value)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 14))
        except OSError:
            pass
    return filler


@pytest.mark.parametrize("deed", ["erase", "restrict"])
def test_a_full_disk(old_site: Path, tmp_path: Path, deed: str) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        ws = copied(old_site, disk)
        before = Before(ws, deed)
        filler = fill(disk)
        assert stopped(ws, deed, CannotWrite, Overdue)
        filler.unlink()
        before.at_any_moment(again(ws))
        before.in_the_end(ws)


@pytest.mark.parametrize(
    ("deed", "limit"),
    [
        ("erase", 0),
        ("erase", 9000),
        ("restrict", 2048),
        ("restrict", 70_000),
        ("lift", 0),
        ("lift", 9000),
    ],
)
def test_files_that_cannot_grow(ws: Workspace, deed: str, limit: int) -> None:
    """What a full disk is in the middle; each limit stops at another step."""
    before = Before(ws, "restrict" if deed == "lift" else deed)
    if deed == "lift":
        with ws.alone():
            deeds.restrict(ws, span(ws), "REQ 1", "Dora Dale", NOW)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(ws.folder), deed, str(limit)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert "errors.CannotWrite" in done.stderr or "errors.Overdue" in done.stderr, done.stderr
    if deed == "lift":
        assert everything(again(ws)) == before.rows
        ws = resumed(ws)
        if register.rights(ws)[0].state == "done":
            with ws.alone():
                deeds.lift(ws, "R-2026-0001", "Dora Dale", "agreed", NOW)
        assert everything(ws, "live") == before.rows
        sound(ws)
    else:
        before.at_any_moment(again(ws))
        before.in_the_end(ws)


LIMITED = """
import resource, signal, sys
import fairwatch
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pathlib import Path
from drivers import right_once
from workspace import open_site
open_site(Path(sys.argv[1]), "driver")
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
right_once.main(Path(sys.argv[1]), sys.argv[2], None)
"""


@pytest.mark.parametrize("deed", ["erase", "restrict"])
def test_a_disk_that_turns_read_only(old_site: Path, tmp_path: Path, deed: str) -> None:
    with small_disk(tmp_path / "disk", 32) as disk:
        ws = copied(old_site, disk)
        before, bytes_ = Before(ws, deed), snapshot(disk / "site/lake")
        assert works("mount", "-o", "remount,ro", str(disk))
        with pytest.raises(CannotWrite):
            (deeds.erase if deed == "erase" else deeds.restrict)(
                ws, span(ws), "REQ", "Dora Dale", NOW
            )
        assert works("mount", "-o", "remount,rw", str(disk))
        assert snapshot(disk / "site/lake") == bytes_
        assert "rows intent" not in told(again(ws))
        before.in_the_end(ws)


def test_a_partition_that_is_torn(ws: Workspace) -> None:
    """What cannot be read cannot be written anew: said, nothing lost, and gone on with when it is mended."""
    before = Before(ws, "erase")
    torn = next(p for p in parts(ws, "live") if (p.dataset, p.day) == ("signs", "2026-11-04"))
    raw = (ws.folder / torn.path).read_bytes()
    (ws.folder / torn.path).write_bytes(raw[: len(raw) // 2])
    assert stopped(ws, "erase", CannotWrite)
    assert "rows done" not in acts(ws)
    (ws.folder / torn.path).write_bytes(raw)
    before.in_the_end(ws)


def test_a_copy_of_a_hold_that_cannot_be_removed(ws: Workspace) -> None:
    """The hold is not said to be gone, and everything else goes on time."""
    from test_purge_faults import immutable

    one = place(ws)
    path = ws.folder / holds.copies(ws, one.id)[0].path
    with immutable(path):
        with pytest.raises(Overdue, match="not gone"), ws.alone():
            holds.release(ws, one.id, "Hana Hill", "settled", NOW)
        assert holds.hold(ws, one.id).gone is None
        with pytest.raises(Overdue), ws.alone():
            purge(ws, NOW)
        assert not verify(ws, NOW).clean
    with ws.alone():
        purge(again(ws), NOW)
    assert holds.hold(ws, one.id).gone
    sound(ws)
