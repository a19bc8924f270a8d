"""Rows waiting for their partitions: bounded, sorted when written, moved into place together."""

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingest.order import in_order
from lake.catalogue import Part
from lake.datasets import EVENTS, REJECTS
from lake.days import day_of
from lake.keys import DayKeys
from lake.write import GROUP_ROWS, PartWriter, instant

HELD_ROWS = 300_000
"""Rows held in memory over all days; the fullest day is written when there are more."""


class Buffers:
    """Open partitions of one commit."""

    def __init__(self, site: Path, name: str, keys: DayKeys) -> None:
        self._site, self._name, self._keys = site, name, keys
        self._commit = 0
        self._held: dict[int, list[pa.Table]] = {}
        self._rows: dict[int, int] = {}
        self._writers: dict[int, PartWriter] = {}
        self._rejects: dict[date, list[dict[str, Any]]] = {}
        self._reject_writers: dict[date, PartWriter] = {}
        # One thread, so that groups are written in their order; parsing goes on meanwhile.
        self._pool = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def add(self, day: int, table: pa.Table) -> None:
        """Hold rows of one UTC day (days since 1970)."""
        self._held.setdefault(day, []).append(table)
        self._rows[day] = self._rows.get(day, 0) + table.num_rows
        if self._rows[day] >= GROUP_ROWS:
            self._flush(day)
        elif sum(self._rows.values()) >= HELD_ROWS:
            self._flush(max(self._rows, key=lambda d: self._rows[d]))

    def reject(self, rows: list[dict[str, Any]]) -> None:
        """Hold rejects, a row of REJECTS each with its time in milliseconds."""
        for row in rows:
            day = instant(row["time"]).date()
            self._rejects.setdefault(day, []).append(row)
            if len(self._rejects[day]) >= GROUP_ROWS // 10:
                self._flush_rejects(day)

    def finish(self, made_from: str) -> list[Part]:
        """Write what is held, bring the files to the disk and into their places."""
        for day in sorted(self._held):
            self._flush(day)
        self._wait()
        for when in sorted(self._rejects):
            self._flush_rejects(when)
        writers = [*self._writers.values(), *self._reject_writers.values()]
        parts = [writer.close(made_from) for writer in writers]
        for writer in writers:
            writer.move()
        self._writers, self._reject_writers = {}, {}
        self._commit += 1
        return parts

    def abandon(self) -> None:
        """Drop everything not committed."""
        self._pool.shutdown(cancel_futures=True)
        for writer in [*self._writers.values(), *self._reject_writers.values()]:
            writer.abandon()

    def _flush(self, day: int) -> None:
        self._rows.pop(day, None)
        if day not in self._held:
            return
        if day not in self._writers:
            self._writers[day] = self._writer(EVENTS.name, day_of(day))
        # Never more than one group on its way: memory is bounded, and a full disk is told here.
        self._wait()
        self._writing = self._pool.submit(_write, self._writers[day], self._held.pop(day))

    def _wait(self) -> None:
        """Until the group under way is written; raises what its writing raised."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def _flush_rejects(self, day: date) -> None:
        rows = self._rejects.pop(day, [])
        if day not in self._reject_writers:
            self._reject_writers[day] = self._writer(REJECTS.name, day)
        self._reject_writers[day].write(pa.Table.from_pylist(rows, schema=REJECTS.schema))

    def _writer(self, dataset: str, day: date) -> PartWriter:
        declared = EVENTS if dataset == EVENTS.name else REJECTS
        name = f"{self._name}-{self._commit:04d}"
        return PartWriter(self._site, declared, day, name, self._keys)


def _write(writer: PartWriter, pieces: list[pa.Table]) -> None:
    """Pieces of a day as one sorted row group."""
    writer.write(in_order(_together(pieces)))


def _together(pieces: list[pa.Table]) -> pa.Table:
    """Pieces as one table; each is let go as soon as it is copied."""
    table = pa.concat_tables(pieces)
    pieces.clear()
    return table.unify_dictionaries().combine_chunks()
