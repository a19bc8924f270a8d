"""What `fairwatch ingest` costs, beside GoAccess's and SARG's whole reports and DuckDB's raw copy.

    python bench/ingest_speed.py [--lines 1000000,10000000] [--rounds 3]

Needs the Debian packages `goaccess` and `sarg`, and 3 GB of room for temporary files.
"""

import argparse
import re
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

WAYS = OURS, ALONE, COPY, REPORT, PAGES = (
    "fairwatch ingest",
    "fairwatch ingest, one core",
    "DuckDB raw copy",
    "GoAccess report",
    "SARG report",
)
SARG_LINES = 1_000_000
"""SARG takes a minute and half a gigabyte of pages for a million lines: larger logs go without it."""


class Bench:
    """A log, and the ways to read it."""

    def __init__(self, work: Path, lines: int, sarg_lines: int) -> None:
        self.work, self.lines = work, lines
        self.log, self.people = work / f"{lines}.log", work / "people.csv"
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        what = ("--lines", str(lines), "--first", str(yesterday), "--people", str(self.people))
        run((*GENERATE, str(self.log), *what))
        ways = WAYS if lines <= sarg_lines else WAYS[:-1]
        self.costs: dict[str, list[Cost]] = {way: [] for way in ways}

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
        if PAGES in self.costs:
            self.costs[PAGES].append(self._sarg())

    def _sarg(self) -> Cost:
        """As Debian configures it, but for where it reads and writes."""
        pages, temporary = self.work / "sarg", self.work / "sarg.tmp"
        pages.mkdir()
        temporary.mkdir()
        cost = run(("sarg", "-l", str(self.log), "-o", str(pages), "-w", str(temporary)))
        if not any(pages.rglob("topsites.html")):  # it exits with 0 where it understood nothing
            raise RuntimeError("sarg: wrote no report")
        shutil.rmtree(pages)
        shutil.rmtree(temporary)
        return cost

    def _fairwatch(self, *prefix: str) -> Cost:
        folder = site(self.work / "site", self.people)
        command = ("ingest", str(self.log), "--format", "squid", "--site", str(folder))
        cost = run((*prefix, *FAIRWATCH, *command))
        shutil.rmtree(folder)
        return cost

    def ratios(self) -> str:
        """Round by round, since the speed of a machine drifts."""
        ours, alone = self.costs[OURS], self.costs[ALONE]
        copy, report, pages = self.costs[COPY], self.costs[REPORT], self.costs.get(PAGES, [])
        pairs = {
            "lines a CPU second, fairwatch ÷ GoAccess": [
                g.cpu / f.cpu for f, g in zip(ours, report, strict=True)
            ],
            "lines a CPU second, fairwatch ÷ SARG": [
                s.cpu / f.cpu for f, s in zip(ours, pages, strict=False)
            ],
            "CPU, fairwatch ÷ raw copy": [f.cpu / c.cpu for f, c in zip(ours, copy, strict=True)],
            "wall, two cores ÷ one": [f.wall / a.wall for f, a in zip(ours, alone, strict=True)],
        }
        return "".join(
            f"- {name}: **{statistics.median(found):.2f}** "
            f"({', '.join(f'{r:.2f}' for r in found)})\n"
            for name, found in pairs.items()
            if found
        )


def goaccess() -> str:
    """Its version in words."""
    told = subprocess.run(("goaccess", "--version"), capture_output=True, text=True, check=True)
    return told.stdout.splitlines()[0].strip(" .").replace(" - ", " ")


def sarg() -> str:
    """Its version in words."""
    told = subprocess.run(("sarg", "--version"), capture_output=True, text=True, check=False)
    return " ".join(("SARG", *re.findall(r"\d+\.\d+\.\d+", told.stdout + told.stderr)[:1]))


def main() -> None:
    """Generate, run in turn, publish."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", default="1000000,10000000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--sarg-lines", type=int, default=SARG_LINES, help="SARG up to so many lines"
    )
    given = parser.parse_args()
    parts = []
    for lines in map(int, given.lines.split(",")):
        with tempfile.TemporaryDirectory() as work:
            bench = Bench(Path(work), lines, given.sarg_lines)
            for _ in range(given.rounds):
                bench.round()
            megabytes = bench.log.stat().st_size / 1e6
        parts.append(f"## {lines:,} lines, one day ({megabytes:,.0f} MB)\n")
        parts += [table([*bench.costs.items()]), bench.ratios()]
    publish(
        "ingest",
        "Ingest",
        sys.argv[1:],
        f"{machine(goaccess(), sarg())}. Medians of {given.rounds} rounds, the ways in turn; whole processes.\n",
        *parts,
    )


if __name__ == "__main__":
    main()
