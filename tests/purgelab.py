"""A site with twenty days that are due, purges in processes of their own, and what must hold after."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from conftest import ROOT, make_site
from factory import Row, again, derived, lake, page, snapshot, utc

from lake import catalogue
from retention import purge, verify
from workspace import Workspace, open_site

DRIVER = Path(__file__).parent / "drivers" / "purge_once.py"
DEAD = 17
NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
LIMIT = date(2025, 11, 21)
DUE = [date(2025, 11, 1) + timedelta(days=n) for n in range(20)]


def build(folder: Path) -> Path:
    """Forty days, twenty of them due, with two months of ledger behind them."""
    make_site(folder)
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


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    """A purge in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(folder), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def acts(ws: Workspace) -> list[str]:
    """What the ledger says."""
    return [line.act["act"] for line in ws.ledger.lines()]


def kept(ws: Workspace) -> dict[str, bytes]:
    """Partitions that are not due."""
    return {n: b for n, b in snapshot(ws.folder / "lake").items() if "/2026-" in n}


def no_word_without_the_deed(ws: Workspace) -> None:
    """Done is said only where nothing is left, and a day that was buried has no rows."""
    if "purge done" in acts(ws):
        assert verify(ws, NOW).clean
    with ws.state.read() as connection:
        for dataset in ("events", "usage", "activity", "blocked", "feed"):
            live = {str(day) for day in catalogue.days(connection, dataset)}
            assert not live & catalogue.buried(connection, dataset), dataset


def ends_well(ws: Workspace, before: dict[str, bytes]) -> None:
    """One more purge, and everything is as if it had never been cut short."""
    ws = again(ws)
    with ws.alone():
        purge(ws, NOW)
    assert verify(ws, NOW).clean
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
            assert len(catalogue.buried(connection, dataset)) == 20
            for part in catalogue.parts(connection, dataset):
                assert (ws.folder / part.path).stat().st_size == part.bytes
    assert not [n for n in snapshot(ws.folder) if "2025-11-" in n]
    assert not (ws.folder / "ledger" / "2025-11.jsonl").exists()
