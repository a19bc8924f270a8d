"""What a whole night costs, beside GoAccess's whole report over the same lines.

    python bench/night_speed.py [--lines 10000000] [--days 1] [--rounds 3]

The night: `fairwatch run nightly` on a fresh site (ingest of the log, activity and usage of its days, findings,
purge with its look into every file), then every manager's page of that week. A night's log is a day's;
`--days 7` is the first night with a week to catch up.
2,000 people in 40 teams. Needs the Debian package `goaccess` and 3 GB of room for temporary files.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from ingest_speed import GOACCESS, goaccess
from measure import FAIRWATCH, GENERATE, Cost, last_week, machine, publish, run, site, table

NIGHT, PAGES, WHOLE = "run nightly", "report weekly (40 pages)", "fairwatch, the whole night"
REPORT = "GoAccess report"
SOURCE = 'paths: ["/var/log/squid/access.log*"]'


class Bench:
    """A log, and the two ways to make reports of it."""

    def __init__(self, work: Path, lines: int, days: int) -> None:
        self.work, self.log, self.people = work, work / "access.log", work / "people.csv"
        self.monday = last_week()
        what = ("--lines", str(lines), "--days", str(days), "--first", str(self.monday))
        run((*GENERATE, str(self.log), *what, "--people", str(self.people)))
        self.costs: dict[str, list[Cost]] = {way: [] for way in (NIGHT, PAGES, WHOLE, REPORT)}

    def round(self) -> None:
        """Both ways once, in turn."""
        folder = site(self.work / "site", self.people)
        settings = folder / "fairwatch.yaml"
        text = settings.read_text()
        if SOURCE not in text:
            raise RuntimeError(f"{settings}: its source is not {SOURCE}; mend SOURCE.")
        settings.write_text(text.replace(SOURCE, f'paths: ["{self.log}"]'))
        year, week, _ = self.monday.isocalendar()
        night = run((*FAIRWATCH, "run", "nightly", "--site", str(folder)))
        weekly = ("report", "weekly", "--week", f"{year}-W{week:02d}", "--site", str(folder))
        pages = run((*FAIRWATCH, *weekly))
        shutil.rmtree(folder)
        self.costs[NIGHT].append(night)
        self.costs[PAGES].append(pages)
        peak = max(night.peak, pages.peak)
        self.costs[WHOLE].append(Cost(night.cpu + pages.cpu, night.wall + pages.wall, peak))
        report = self.work / "report.json"
        self.costs[REPORT].append(run((*GOACCESS, str(self.log), "-o", str(report))))

    def ratio(self) -> str:
        """Round by round, since the speed of a machine drifts."""
        pairs = zip(self.costs[REPORT], self.costs[WHOLE], strict=True)
        found = [report.cpu / night.cpu for report, night in pairs]
        each = ", ".join(f"{r:.2f}" for r in found)
        return (
            f"- CPU, GoAccess's report ÷ the night: **{statistics.median(found):.2f}** ({each})\n"
        )


def main() -> None:
    """Generate, run in turn, publish."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", default="10000000")
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    parts = []
    for lines in map(int, given.lines.split(",")):
        with tempfile.TemporaryDirectory() as work:
            bench = Bench(Path(work), lines, given.days)
            for _ in range(given.rounds):
                bench.round()
            megabytes = bench.log.stat().st_size / 1e6
        parts.append(f"## {lines:,} lines, days: {given.days} ({megabytes:,.0f} MB)\n")
        parts += [table([*bench.costs.items()]), bench.ratio()]
    publish(
        "night",
        "A night",
        sys.argv[1:],
        f"{machine(goaccess())}. Medians of {given.rounds} rounds, both in turn; whole processes.\n",
        *parts,
    )


if __name__ == "__main__":
    main()
