"""What the visit model costs beside reading the lines it judges, and whether it grows with them.

    python bench/visit_speed.py [--lines 1000000 5000000 10000000] [--rounds 1]

For each size: one day's log is ingested, then its day is derived (classes of all lines, activity,
usage), each as a process of its own on a fresh site. Goal: derive ≤ twice the CPU of ingest, linear in
lines, memory bounded by `limits: memory_mb` and what Python itself holds.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from measure import FAIRWATCH, GENERATE, Cost, last_week, machine, publish, run, site, table


def once(work: Path, lines: int) -> tuple[Cost, Cost]:
    """The costs of ingest and of deriving one day of so many lines."""
    log, people, day = work / "day.log", work / "people.csv", last_week()
    what = ("--lines", str(lines), "--days", "1", "--first", str(day))
    run((*GENERATE, str(log), *what, "--people", str(people)))
    folder = site(work / "site", people)
    read = run((*FAIRWATCH, "ingest", str(log), "--source", "main-proxy", "--site", str(folder)))
    log.unlink()
    judged = run((*FAIRWATCH, "run", "activity", "--site", str(folder)))
    shutil.rmtree(folder)
    return read, judged


def main() -> None:
    """A table a size; the ratio of the smallest and the largest size tells whether it is linear."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, nargs="+", default=[1_000_000, 5_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    work = Path(tempfile.mkdtemp())
    costs: dict[str, list[Cost]] = {}
    found = []
    for lines in asked.lines:
        for _ in range(asked.rounds):
            read, judged = once(work, lines)
            costs.setdefault(f"ingest, {lines:,} lines", []).append(read)
            costs.setdefault(f"visit model, {lines:,} lines", []).append(judged)
            found.append(
                f"{lines:,} lines: {judged.cpu / read.cpu:.2f} times the CPU of ingest, "
                f"{judged.cpu / lines * 1e6:.2f} CPU seconds a million, peak {judged.peak:.0f} MB"
            )
    shutil.rmtree(work)
    publish(
        "visit",
        "What the visit model costs beside reading",
        ["--lines", *map(str, asked.lines), "--rounds", str(asked.rounds)],
        table(list(costs.items())),
        "\n".join(found) + "\n",
        machine(),
    )


if __name__ == "__main__":
    main()
