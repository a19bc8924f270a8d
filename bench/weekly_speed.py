"""What a week costs after ingest: deriving its days, then every manager's page, from 1 and 10 million rows.

    python bench/weekly_speed.py [--lines 1000000,10000000] [--rounds 3]

2,000 people in 40 teams; the week is the last whole one. Needs 3 GB of room for temporary files.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from measure import FAIRWATCH, GENERATE, Cost, last_week, machine, publish, run, site, table

INGEST, DERIVE, REPORT = "ingest", "run activity (seven days)", "report weekly (40 pages)"


def measured(work: Path, lines: int, rounds: int) -> dict[str, list[Cost]]:
    """A lake of so many rows, then derive and report on copies of it."""
    monday = last_week()
    log, people = work / "week.log", work / "people.csv"
    what = ("--lines", str(lines), "--days", "7", "--first", str(monday), "--people", str(people))
    run((*GENERATE, str(log), *what))
    lake = site(work / "lake", people)
    ingest = ("ingest", str(log), "--format", "squid", "--site", str(lake))
    costs: dict[str, list[Cost]] = {INGEST: [run((*FAIRWATCH, *ingest))], DERIVE: [], REPORT: []}
    log.unlink()
    year, week, _ = monday.isocalendar()
    for _ in range(rounds):
        folder = work / "site"
        shutil.copytree(lake, folder)
        where = ("--site", str(folder))
        costs[DERIVE].append(run((*FAIRWATCH, "run", "activity", *where)))
        costs[REPORT].append(
            run((*FAIRWATCH, "report", "weekly", "--week", f"{year}-W{week:02d}", *where))
        )
        shutil.rmtree(folder)
    return costs


def main() -> None:
    """Build, run, publish."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", default="1000000,10000000")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    parts = []
    for lines in map(int, given.lines.split(",")):
        with tempfile.TemporaryDirectory() as work:
            costs = measured(Path(work), lines, given.rounds)
        parts += [f"## {lines:,} rows over seven days\n", table([*costs.items()])]
    publish(
        "weekly",
        "Derive and weekly report",
        sys.argv[1:],
        f"{machine()}. Medians of {given.rounds} rounds (ingest: one); whole processes.\n",
        *parts,
    )


if __name__ == "__main__":
    main()
