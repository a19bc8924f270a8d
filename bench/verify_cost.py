"""What a purge and a look into everything cost as the lake grows: seconds and memory.

    python bench/verify_cost.py [--days 30 365 1095] [--rows 1000000] [--blocks 30] [--log-mb 100]

Each day is a partition of `events` with so many rows. They are real partitions, written by the writer,
one for each block of days; the other days of a block are hard links to it (their rows are of the block's
last day): every file is opened, and its columns of time are read, as if all were written one by one. The
purge is by the catalogue, which knows the days.
"""

import argparse
import random
import shutil
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from measure import FAIRWATCH, RESULTS, Cost, machine, run

QUIETLY = (sys.executable, "-c", "from fairwatch.cli import main\ntry: main()\nexcept SystemExit: pass")  # fmt: skip
SITES = 300


def table(rows: int, day: date) -> pa.Table:
    """Rows of a day as an organisation of 2,000 people leaves them."""
    from lake.datasets import EVENTS

    draw = random.Random(rows)
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    words = {f.name for f in EVENTS.schema if pa.types.is_dictionary(f.type)}
    columns: dict[str, pa.Array] = {}
    for field in EVENTS.schema:
        if field.name == "time":
            values = pa.array([start + draw.randrange(86_400_000) for _ in range(rows)], pa.int64())
            columns["time"] = values.cast(field.type)
        elif field.name in words:
            count = {"user": 2000, "client": 2500, "host": SITES, "service": SITES}.get(
                field.name, 6
            )
            index = pa.array([draw.randrange(count) for _ in range(rows)], pa.int32())
            texts = pa.array([f"{field.name}{n}" for n in range(count)])
            columns[field.name] = pa.DictionaryArray.from_arrays(index, texts)
        else:
            top = 9 if field.name == "file" else 999 if field.name == "status" else 1 << 20
            columns[field.name] = pa.array([draw.randrange(top) for _ in range(rows)], field.type)
    return pa.table(columns, schema=EVENTS.schema)


def build(site: Path, days: int, rows: int, block: int) -> None:
    """A site whose lake ends yesterday. Runs in a process of its own: it needs memory."""
    import pyarrow.compute as pc

    from lake import catalogue
    from lake.datasets import EVENTS
    from lake.write import PartWriter
    from workspace import open_site

    ws = open_site(site, "bench")
    keys = (ws.keys,) if hasattr(ws, "keys") else ()
    last = datetime.now(UTC).date() - timedelta(days=1)
    made = table(rows, last)
    parts = []
    for number in range(0, days, block):
        newest = last - timedelta(days=number)
        shift = pa.scalar((last - newest).days * 86_400_000, pa.duration("ms"))
        times = pc.subtract(made["time"].combine_chunks(), shift)
        moved = made.set_column(0, EVENTS.schema.field("time"), times)
        writer = PartWriter(site, EVENTS, newest, "00000001-0000", *keys)
        for at in range(0, rows, 250_000):
            writer.write(moved.slice(at, 250_000))
        part = writer.close("bench")
        writer.move()
        for back in range(min(block, days - number)):
            day = newest - timedelta(days=back)
            path = f"lake/events/{day}/00000001-0000.parquet"
            if back:
                (site / path).parent.mkdir(parents=True)
                (site / path).hardlink_to(site / part.path)
            gone = back * 86_400_000
            parts.append(catalogue.Part(**{**vars(part), "day": str(day), "path": path, "oldest": part.oldest - gone, "newest": part.newest - gone}))  # fmt: skip
    with ws.state.change() as change:
        catalogue.add(change.connection, parts)


def measured(days: int, rows: int, block: int, log_mb: int) -> list[tuple[str, Cost]]:
    """A look before, the purge, a look after."""
    folder = Path(tempfile.mkdtemp(prefix="verify-cost-"))
    try:
        site = folder / "site"
        run((*FAIRWATCH, "init", str(site), "--policy", "b3"))
        run((sys.executable, __file__, "--build", str(site), "--days", str(days), "--rows", str(rows), "--blocks", str(block)))  # fmt: skip
        if log_mb:
            (site / "incoming").mkdir(exist_ok=True)
            write_log(site / "incoming" / "access.log", log_mb)
        verify = (*QUIETLY, "retention", "verify", "--site", str(site))
        purge = (*QUIETLY, "retention", "purge", "--confirm", "--site", str(site))
        found = [("verify", run(verify)), ("purge (with its own look)", run(purge))]
        size = sum(p.stat().st_size for p in (site / "lake").rglob("*.parquet")) / 1e9
        left = sum(1 for _ in (site / "lake").rglob("*.parquet"))
        return [(f"{name}, {days:,} days", cost) for name, cost in found] + [
            (f"verify afterwards, {left:,} days left ({size:.1f} GB)", run(verify))
        ]
    finally:
        shutil.rmtree(folder)


def write_log(path: Path, megabytes: int) -> None:
    """A plain log of Squid's."""
    start = datetime.now(UTC).timestamp() - 86_400
    with path.open("w") as file:
        number = 0
        while file.tell() < megabytes * 1_000_000:
            file.writelines(
                f"{start + n * 0.01:.3f}    161 10.20.1.{n % 250} TCP_MISS/200 {n * 7919 % 10**7} GET "
                f"http://www.example{n % 2000}.com/a?b={n} user{n % 200} HIER_DIRECT/203.0.113.7 "
                f"text/html\n"
                for n in range(number, number + 10_000)
            )
            number += 10_000


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, nargs="+", default=[30, 365, 1095])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--blocks", type=int, default=30)
    parser.add_argument("--log-mb", type=int, default=100)
    parser.add_argument("--build", type=Path)
    chosen = parser.parse_args()
    if chosen.build:
        build(chosen.build, chosen.days[0], chosen.rows, chosen.blocks)
        return
    lines = ["| what | CPU s | wall s | peak MB |", "|---|--:|--:|--:|"]
    for days in chosen.days:
        for name, cost in measured(days, chosen.rows, chosen.blocks, 0):
            lines.append(f"| {name} | {cost.cpu:.1f} | {cost.wall:.1f} | {cost.peak:.0f} |")
            print(lines[-1], flush=True)
    if chosen.log_mb:
        name, cost = measured(1, 1000, 1, chosen.log_mb)[0]
        lines.append(f"| verify, {chosen.log_mb} MB of plain log in incoming/ | {cost.cpu:.1f} | {cost.wall:.1f} | {cost.peak:.0f} |")  # fmt: skip
        print(lines[-1], flush=True)
    words = " ".join(["python bench/verify_cost.py", *sys.argv[1:]])
    text = "\n".join(
        [
            "# Purge and verify against the size of the lake\n",
            f"`{words}`\n",
            (
                f"{chosen.rows:,} rows a partition and day; one partition in {chosen.blocks} written, the "
                "others hard links to it, each opened and read.\n"
            ),
            machine(),
            "",
            *lines,
            "",
        ]
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "verify_cost.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
