"""The dev set of the truth lab: nobody quiet is flagged, nobody heavy is missed, whatever the proxy saw."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import make_site
from factory import derived

from analytics.people import ActivityRow, UsageRow, activity, usage
from analytics.questions import feed_gaps
from ingest.discover import given
from ingest.run import ingest
from workspace import Workspace, open_site

TRUTH = Path(__file__).parents[2] / "shared" / "truth"
DEV = TRUTH / "dev"
FIRST, LAST = date(2026, 11, 2), date(2026, 11, 6)
NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
INSPECTED = (
    '%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" '
    "%Ss:%Sh %mt %tr"
)

Scored = Callable[[str], dict[str, Any]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DEV.is_dir(), reason="the truth lab is not on this machine"),
]


def _table(path: Path, row: type[Any], rows: list[Any]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(row)])
        writer.writeheader()
        writer.writerows(asdict(r) for r in rows)
    return path


def _site(folder: Path, grain: str) -> Workspace:
    logformat = f"    logformat: '{INSPECTED}'\n" if grain == "full" else ""
    make_site(
        folder, lambda text: text.replace("    format: squid  ", f"{logformat}    format: squid  ")
    )
    shutil.copy(DEV / "people.csv", folder / "people.csv")
    return open_site(folder, "test")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """What the truth lab says of a grain's log: each is read and scored once."""
    return cache(lambda grain: _scored(tmp_path_factory.mktemp(grain), grain))


def _scored(tmp_path: Path, grain: str) -> dict[str, Any]:
    ws = _site(tmp_path / "site", grain)
    with ws.alone():
        log = DEV / grain / "access.log.gz"
        report = ingest(ws, given(ws, [log], "main-proxy", None), NOW)[0]
    assert report.error is None
    assert report.counts.rows > 1000
    assert report.counts.rejected == 0
    derived(ws, NOW)
    gaps = feed_gaps(ws, FIRST, LAST, NOW)
    intervals = _table(tmp_path / "activity.csv", ActivityRow, activity(ws, FIRST, LAST))
    minutes = _table(tmp_path / "usage.csv", UsageRow, usage(ws, FIRST, LAST, gaps))
    told = tmp_path / "score.json"
    subprocess.run(
        [sys.executable, str(TRUTH / "score.py"), "--truth", str(DEV / "truth.csv"),
         "--activity", f"{grain}={intervals}", "--usage", f"{grain}={minutes}", "--json", str(told)],
        check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(told.read_text())[grain]
    return found


@pytest.mark.parametrize("grain", ["full", "connect"])
def test_no_false_and_no_missed_flag(scored: Scored, grain: str) -> None:
    score = scored(grain)
    assert score["quiet_days"] > 20
    assert score["heavy_days"] > 5
    assert score["false_flags"] == 0
    assert score["core_false_flags"] == 0
    assert score["missed_flags"] == 0
    assert score["union_violations"] == 0
    assert score["order_violations"] == 0
    assert score["unknown_user_days"] == 0
    assert score["shared_address"]["claimed_low_15"] == 0


@dataclass(frozen=True)
class Goal:
    """What is asked of days never seen; here a floor for those the model was made with."""

    precision: float
    recall: float
    inside: float
    error_min: float
    width: float


@pytest.mark.parametrize(
    ("grain", "goal"),
    [("full", Goal(0.97, 0.90, 0.90, 8, 0.6)), ("connect", Goal(0.92, 0.90, 0.85, 12, 1.0))],
)
def test_the_goals_hold_on_the_days_at_hand(scored: Scored, grain: str, goal: Goal) -> None:
    score = scored(grain)
    assert score["visits"]["precision"] >= goal.precision
    assert score["visits"]["recall"] >= goal.recall
    assert score["coverage"] >= goal.inside
    assert score["likely_mae_min"] <= goal.error_min
    assert score["width_relative_median"] <= goal.width
