"""How much each number of the visit model matters: half of it, and half as much again, on labelled days.

    python bench/visit_sensitivity.py TRUTH [--only NAME …]

TRUTH is a folder with `score.py` and `dev/` (labelled proxy logs at two grains: `full`, TLS-inspected,
and `connect`). One line a number and factor; a grain shows precision and recall of visits, the share
of days whose true minutes lie inside the bounds, the mean error of the likely minutes, the median width
of the bounds in true minutes, and false and missed flags.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from measure import site

from analytics import derive
from analytics.people import ActivityRow, UsageRow, activity, usage
from analytics.questions import feed_gaps
from config.method import Method, methods
from ingest.discover import given
from ingest.run import ingest
from workspace import Workspace, open_site

FIRST, LAST = date(2026, 11, 2), date(2026, 11, 6)
NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
INSPECTED = (
    '%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" '
    "%Ss:%Sh %mt %tr"
)
FACTORS = (0.5, 1.5)


def read(truth: Path, work: Path, grain: str) -> Workspace:
    """A site that has read the days of one grain."""
    folder = site(work / grain, truth / "dev" / "people.csv")
    if grain == "full":
        settings = folder / "fairwatch.yaml"
        line = f"    logformat: '{INSPECTED}'\n    format: squid  "
        settings.write_text(settings.read_text().replace("    format: squid  ", line))
    ws = open_site(folder, "bench")
    with ws.alone():
        log = truth / "dev" / grain / "access.log.gz"
        ingest(ws, given(ws, [log], "main-proxy", None), NOW)
    return ws


def table(path: Path, row: type[Any], rows: Sequence[Any]) -> str:
    """The rows as the scorer wants them."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(row)])
        writer.writeheader()
        writer.writerows(asdict(r) for r in rows)
    return str(path)


def scored(truth: Path, ws: Workspace, grain: str, method: Method, work: Path) -> dict[str, Any]:
    """What the scorer says of one grain under a method."""
    with patch.object(derive, "method_on", lambda _: method), ws.alone():
        derive.derive(ws, NOW)
    gaps = feed_gaps(ws, FIRST, LAST, NOW)
    intervals = table(work / "activity.csv", ActivityRow, activity(ws, FIRST, LAST))
    minutes = table(work / "usage.csv", UsageRow, usage(ws, FIRST, LAST, gaps))
    told = work / "score.json"
    command = [sys.executable, str(truth / "score.py"), "--truth", str(truth / "dev" / "truth.csv")]
    command += ["--activity", f"{grain}={intervals}", "--usage", f"{grain}={minutes}"]
    subprocess.run([*command, "--json", str(told)], check=True, stdout=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(told.read_text())[grain]
    return found


def line(found: dict[str, Any]) -> str:
    """One grain's figures."""
    visits = found["visits"]
    shown = (
        visits["precision"], visits["recall"], found["coverage"], found["likely_mae_min"],
        found["width_relative_median"],
    )  # fmt: skip
    return " ".join(f"{v:5.2f}" for v in shown) + (
        f" {found['false_flags']:2d} {found['missed_flags']:2d}"
    )


def changed(name: str, factor: float) -> Method:
    """The method in force with one number multiplied."""
    method = methods()[-1]
    threshold = method.thresholds[name]
    value = type(threshold.value)(threshold.value * factor)
    other = {**method.thresholds, name: threshold.model_copy(update={"value": value})}
    return method.model_copy(update={"thresholds": other})


def main() -> None:
    """All numbers, or those asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("truth", type=Path)
    parser.add_argument("--only", nargs="*", default=list(methods()[-1].thresholds))
    asked = parser.parse_args()
    work = Path(tempfile.mkdtemp())
    sites = {grain: read(asked.truth, work, grain) for grain in ("full", "connect")}
    print("number            factor   full: prec rec cover error width false missed | connect")
    tried = [("as shipped", 1.0, methods()[-1])]
    tried += [(name, f, changed(name, f)) for name in asked.only for f in FACTORS]
    for name, factor, method in tried:
        grains = [line(scored(asked.truth, ws, g, method, work)) for g, ws in sites.items()]
        print(f"{name:18s} {factor:5.1f}   {'  |  '.join(grains)}", flush=True)
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
