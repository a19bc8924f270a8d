"""What day keys cost: the same week on a site that seals its partitions and on one that does not.

    python bench/encryption_cost.py [--lines 1000000,5000000] [--rounds 5]

Each round takes both sites in turn through ingest, the deriving of seven days, all managers' pages of the
week (the weekly question), the daily sums of everybody, and the look into every file. 2,000 people in 40
teams. Needs 3 GB of room for temporary files.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from measure import FAIRWATCH, GENERATE, Cost, last_week, machine, publish, run, site, table

STEPS = ("ingest", "run activity (seven days)", "report weekly (40 pages)", "usage", "verify")
ON, OFF = "sealed", "plain"


class Bench:
    """A week's log, and the two sites it is read into."""

    def __init__(self, work: Path, lines: int) -> None:
        self.work, self.log, self.people = work, work / "week.log", work / "people.csv"
        self.monday = last_week()
        what = ("--lines", str(lines), "--days", "7", "--first", str(self.monday))
        run((*GENERATE, str(self.log), *what, "--people", str(self.people)))
        self.costs: dict[tuple[str, str], list[Cost]] = {
            (s, w): [] for s in STEPS for w in (OFF, ON)
        }
        self.bytes = {ON: 0, OFF: 0}

    def round(self, ways: Sequence[str]) -> None:
        """Both sites, each step on one and then on the other."""
        folders = {way: self._site(way) for way in ways}
        for step in STEPS:
            for way, folder in folders.items():
                command = (*FAIRWATCH, *self._words(step), "--site", str(folder))
                self.costs[step, way].append(run(command))
        for way, folder in folders.items():
            found = list((folder / "lake").rglob("*.parquet"))
            heads = {path.open("rb").read(4) for path in found}
            if heads != {b"PARE" if way == ON else b"PAR1"}:
                raise RuntimeError(f"{folder}: its partitions begin with {heads}")
            self.bytes[way] = sum(path.stat().st_size for path in found)
            shutil.rmtree(folder)

    def _site(self, way: str) -> Path:
        folder = site(self.work / way, self.people)
        settings = folder / "fairwatch.yaml"
        text = settings.read_text()
        if text.count("  enabled: true") != 1:
            raise RuntimeError(
                f"{settings}: does not say `enabled: true` once; mend this benchmark."
            )
        if way == OFF:
            settings.write_text(text.replace("  enabled: true", "  enabled: false"))
        return folder

    def _words(self, step: str) -> tuple[str, ...]:
        year, week, _ = self.monday.isocalendar()
        days = ("--from", str(self.monday), "--to", str(self.monday + timedelta(days=6)))
        words: tuple[tuple[str, ...], ...] = (
            ("ingest", str(self.log), "--format", "squid"),
            ("run", "activity"),
            ("report", "weekly", "--week", f"{year}-W{week:02d}"),
            ("usage", *days, "--json"),
            ("retention", "verify"),
        )
        return dict(zip(STEPS, words, strict=True))[step]

    def ratios(self) -> str:
        """Round by round, since the speed of a machine drifts."""
        lines = ["| sealed ÷ plain | CPU | wall | CPU of each round |", "|---|--:|--:|---|"]
        for step in STEPS:
            pairs = [*zip(self.costs[step, ON], self.costs[step, OFF], strict=True)]
            cpu, wall = ([getattr(a, f) / getattr(b, f) for a, b in pairs] for f in ("cpu", "wall"))
            each = ", ".join(f"{ratio:.2f}" for ratio in cpu)
            lines.append(
                f"| {step} | **{statistics.median(cpu):.2f}** | {statistics.median(wall):.2f} | {each} |"
            )
        size = self.bytes[ON] / self.bytes[OFF]
        return "\n".join([*lines, f"\nSize of the lake, sealed ÷ plain: **{size:.4f}**.\n"])


def main() -> None:
    """Generate, run in turn, publish."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", default="1000000,5000000")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    parts = []
    for lines in map(int, given.lines.split(",")):
        with tempfile.TemporaryDirectory() as work:
            bench = Bench(Path(work), lines)
            for number in range(given.rounds):
                bench.round((ON, OFF) if number % 2 else (OFF, ON))
        rows = [(f"{step}, {way}", costs) for (step, way), costs in bench.costs.items()]
        parts += [f"## {lines:,} rows over seven days\n", table(rows), bench.ratios()]
    publish(
        "encryption",
        "Day keys",
        sys.argv[1:],
        f"{machine()}. Medians of {given.rounds} rounds, both sites in turn; whole processes.\n",
        *parts,
    )


if __name__ == "__main__":
    main()
