"""What `fairwatch ingest` costs, beside GoAccess's whole report and DuckDB's raw copy of the lines.

    python bench/ingest_speed.py [--lines 1000000,10000000] [--rounds 3]

Needs the Debian package `goaccess` and 3 GB of room for temporary files.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from measure import FAIRWATCH, GENERATE, Cost, machine, publish, run, site, table

GOACCESS = (
    "goaccess",
    "--log-format=%x.%^ %~%L %h %^/%s %b %m %U %e %^",
    "--date-format=%s",
    "--time-format=%s",
    "--no-global-config",
    "--http-protocol=no",
    "--no-progress",
)
"""GoAccess's own SQUID preset cannot read a native access.log."""

RAW = """
import duckdb
duckdb.execute("SET threads = 2")
duckdb.execute('''COPY (FROM read_csv('{log}', columns = {{'line': 'VARCHAR'}}, header = false,
    delim = '\\x01', quote = '', escape = '', auto_detect = false))
    TO '{to}' (FORMAT parquet, COMPRESSION zstd)''')
"""
"""The floor for storing a line at all: each line a text in compressed Parquet, not understood."""

WAYS = ("fairwatch ingest", "fairwatch ingest, one core", "DuckDB raw copy", "GoAccess report")
OURS, ALONE, COPY, REPORT = WAYS


class Bench:
    """A log, and the ways to read it."""

    def __init__(self, work: Path, lines: int) -> None:
        self.work, self.lines = work, lines
        self.log, self.people = work / f"{lines}.log", work / "people.csv"
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        what = ("--lines", str(lines), "--first", str(yesterday), "--people", str(self.people))
        run((*GENERATE, str(self.log), *what))
        self.costs: dict[str, list[Cost]] = {way: [] for way in WAYS}

    def round(self) -> None:
        """Each way once, in turn."""
        self.costs[OURS].append(self._fairwatch())
        self.costs[ALONE].append(self._fairwatch("taskset", "-c", "0"))
        copy = self.work / "raw.parquet"
        script = RAW.format(log=self.log, to=copy)
        self.costs[COPY].append(run((sys.executable, "-c", script)))
        copy.unlink()
        report = self.work / "report.json"
        self.costs[REPORT].append(run((*GOACCESS, str(self.log), "-o", str(report))))

    def _fairwatch(self, *prefix: str) -> Cost:
        folder = site(self.work / "site", self.people)
        command = ("ingest", str(self.log), "--format", "squid", "--site", str(folder))
        cost = run((*prefix, *FAIRWATCH, *command))
        shutil.rmtree(folder)
        return cost

    def ratios(self) -> str:
        """Round by round, since the speed of a machine drifts."""
        ours, alone = self.costs[OURS], self.costs[ALONE]
        copy, report = self.costs[COPY], self.costs[REPORT]
        pairs = {
            "lines a CPU second, fairwatch ÷ GoAccess": [
                g.cpu / f.cpu for f, g in zip(ours, report, strict=True)
            ],
            "CPU, fairwatch ÷ raw copy": [f.cpu / c.cpu for f, c in zip(ours, copy, strict=True)],
            "wall, two cores ÷ one": [f.wall / a.wall for f, a in zip(ours, alone, strict=True)],
        }
        return "".join(
            f"- {name}: **{statistics.median(found):.2f}** "
            f"({', '.join(f'{r:.2f}' for r in found)})\n"
            for name, found in pairs.items()
        )


def main() -> None:
    """Generate, run in turn, publish."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", default="1000000,10000000")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    goaccess = subprocess.run(("goaccess", "--version"), capture_output=True, text=True, check=True)
    parts = []
    for lines in map(int, given.lines.split(",")):
        with tempfile.TemporaryDirectory() as work:
            bench = Bench(Path(work), lines)
            for _ in range(given.rounds):
                bench.round()
            megabytes = bench.log.stat().st_size / 1e6
        parts.append(f"## {lines:,} lines, one day ({megabytes:,.0f} MB)\n")
        parts += [table([*bench.costs.items()]), bench.ratios()]
    release = goaccess.stdout.splitlines()[0].strip(" .").replace(" - ", " ")
    publish(
        "ingest",
        "Ingest",
        sys.argv[1:],
        f"{machine(release)}. Medians of {given.rounds} rounds, the ways in turn; whole processes.\n",
        *parts,
    )


if __name__ == "__main__":
    main()
