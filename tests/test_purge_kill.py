"""A purge killed at any moment: the next one ends it, and nobody was told that it was done."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ROOT, make_site
from factory import Row, again, derived, lake, page, snapshot, utc

from lake import catalogue
from retention import STEPS, purge, verify
from workspace import Workspace, open_site

DRIVER = Path(__file__).parent / "drivers" / "purge_once.py"
POINTS = (*(name for name, _ in STEPS), "act", "row", "file", "segment")
DEAD = 17
LIMIT = date(2025, 11, 21)
ROUNDS = 15

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def old_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty days, twenty of them due, with two months of ledger behind them."""
    folder = make_site(tmp_path_factory.mktemp("kill") / "site")
    ws = open_site(folder, "test")
    first = utc("2025-11-01 09:00")
    rows: list[Row] = []
    for day in range(20):
        rows += [page(first + timedelta(days=day, minutes=i)) for i in range(5)]
    for day in range(20):
        rows += [page(utc("2026-10-20 09:00") + timedelta(days=day, minutes=i)) for i in range(9)]
    lake(ws, rows)
    derived(ws, first)
    for month in range(6, 12):
        with ws.state.change() as change:
            change.act("run", time=datetime(2026, month, 19, tzinfo=UTC), actor="test")
    for week, told in (("2025-W46", "2025-11-12"), ("2026-W45", "2026-11-06")):
        path = folder / "reports" / week / "kim.html"
        path.parent.mkdir(parents=True)
        path.write_text(f"<time datetime='{told}'></time>")
    return folder


@pytest.fixture
def site_(old_site: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(old_site, tmp_path / "site")
    return open_site(tmp_path / "site", "test")


def start(ws: Workspace, *point: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(ws.folder), *point],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def acts(ws: Workspace) -> list[str]:
    return [line.act["act"] for line in ws.ledger.lines()]


def kept(ws: Workspace) -> dict[str, bytes]:
    """Partitions that are not due."""
    return {n: b for n, b in snapshot(ws.folder / "lake").items() if "/2026-" in n}


def no_word_without_the_deed(ws: Workspace, now: datetime) -> None:
    if "purge done" in acts(ws):
        assert verify(ws, now).clean


def ends_well(ws: Workspace, now: datetime, before: dict[str, bytes]) -> None:
    """One more purge, and everything is as if it had never been cut short."""
    ws = again(ws)
    with ws.alone():
        purge(ws, now)
    assert verify(ws, now).clean
    ws.ledger.verify()
    assert acts(ws)[-1] == "purge done"
    assert acts(ws).count("purge intent") >= 1
    assert kept(ws) == before
    with ws.state.read() as connection:
        for dataset in ("events", "usage", "activity", "blocked", "feed"):
            days = catalogue.days(connection, dataset)
            assert len(days) == 20, dataset
            assert min(days) >= LIMIT
            assert catalogue.parts(connection, dataset, state="purging") == []
            for part in catalogue.parts(connection, dataset):
                assert (ws.folder / part.path).stat().st_size == part.bytes
    assert not [n for n in snapshot(ws.folder) if "2025-11-" in n]
    assert not (ws.folder / "ledger" / "2025-11.jsonl").exists()


def test_unhurt(site_: Workspace, now: datetime) -> None:
    before = kept(site_)
    process = start(site_)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out.split()) == (0, ["ready", "done"])
    ends_well(site_, now, before)


@pytest.mark.parametrize("point", POINTS)
def test_dead_at_a_point(site_: Workspace, now: datetime, point: str) -> None:
    before = kept(site_)
    process = start(site_, point)
    process.communicate(timeout=60)
    assert process.returncode == DEAD, "the point was not reached"
    ws = again(site_)
    assert "purge intent" in acts(ws)
    assert ("purge done" in acts(ws)) == (point == "say")
    ends_well(ws, now, before)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_killed_at_a_random_moment(site_: Workspace, now: datetime, round_: int) -> None:
    before = kept(site_)
    draw = random.Random(round_)
    for _ in range(3):
        process = start(site_)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(draw.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        no_word_without_the_deed(again(site_), now)
    ends_well(site_, now, before)
