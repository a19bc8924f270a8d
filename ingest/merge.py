"""Merging a day's many small parts into one: what a watched log leaves behind, put in order at night."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa

from ingest.order import in_order
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import EVENTS, REJECTS, Dataset
from lake.files import remove
from lake.write import GROUP_ROWS, PartWriter
from workspace import Workspace

MANY = 8
"""Parts of one day that are left as they are: nightly reading makes one or two a source."""


def merge(ws: Workspace, now: datetime) -> int:
    """Put the parts of days that have too many of them together; how many days.

    The caller holds the site's lock. One transaction takes the old parts out of the lake and the new
    one in; killed before or after it, nothing is there twice, and what is left over is swept away.
    """
    done = 0
    for dataset in (EVENTS, REJECTS):
        with ws.state.read() as connection:
            parts = catalogue.parts(connection, dataset.name)
        days: dict[str, list[Part]] = {}
        for part in parts:
            days.setdefault(part.day, []).append(part)
        for day, found in sorted(days.items()):
            if len(found) > MANY:
                _merge(ws, dataset, date.fromisoformat(day), found, now)
                done += 1
    return done


def _merge(
    ws: Workspace, dataset: Dataset, day: date, parts: Sequence[Part], now: datetime
) -> None:
    name = Path(max(p.path for p in parts)).stem
    writer = PartWriter(ws.folder, dataset, day, f"{name}-merged", ws.keys)
    try:
        for table in _groups(ws, dataset, parts):
            writer.write(in_order(table) if dataset is EVENTS else table)
        made = writer.close(f"{len(parts)} parts")
        if made.rows != sum(p.rows for p in parts):
            raise RuntimeError(f"{made.path}: {made.rows} rows of {sum(p.rows for p in parts)}")
        writer.move()
    except BaseException:
        writer.abandon()
        raise
    with ws.state.change() as change:
        catalogue.forget(change.connection, [p.path for p in parts])
        catalogue.add(change.connection, [made])
        change.act(
            "merge",
            time=now,
            actor=ws.actor,
            dataset=dataset.name,
            day=day.isoformat(),
            parts=len(parts),
            rows=made.rows,
        )
    for part in parts:
        remove(ws.folder / part.path)


def _groups(ws: Workspace, dataset: Dataset, parts: Sequence[Part]) -> Iterator[pa.Table]:
    """The rows of all parts, as many at a time as a row group holds."""
    held: list[pa.Table] = []
    for part in parts:
        with ws.keys.open(ws.folder / part.path) as file:
            for number in range(file.num_row_groups):
                held.append(dataset.whole(file.read_row_group(number, use_threads=False)))
                if sum(t.num_rows for t in held) >= GROUP_ROWS:
                    yield _one(held)
                    held = []
    if held:
        yield _one(held)


def _one(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()
