"""Rows waiting for their partitions: bounded, sorted when written, moved into place together."""

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingest.order import in_order
from lake.catalogue import Part
from lake.datasets import EVENTS, REJECTS, Dataset
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
        self._writers: dict[int, list[PartWriter]] = {}
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
        writers = self._open()
        parts = [writer.close(made_from) for writer in writers]
        for writer in writers:
            writer.move()
        self._writers, self._reject_writers = {}, {}
        self._commit += 1
        return parts

    def abandon(self) -> None:
        """Drop everything not committed."""
        self._pool.shutdown(cancel_futures=True)
        for writer in self._open():
            writer.abandon()

    def _open(self) -> list[PartWriter]:
        events = [writer for some in self._writers.values() for writer in some]
        return [*events, *self._reject_writers.values()]

    def _flush(self, day: int) -> None:
        self._rows.pop(day, None)
        if day not in self._held:
            return
        pieces = self._held.pop(day)
        writer = self._taking(day, EVENTS.said(pieces))
        # Never more than one group on its way: memory is bounded, and a full disk is told here.
        self._wait()
        self._writing = self._pool.submit(_write, writer, pieces)

    def _taking(self, day: int, said: pa.Schema) -> PartWriter:
        """The partition of a day whose columns these rows fit into; one of their own where none does.

        What no row says is not written: each column costs time and room, and a product has but some.
        """
        there = self._writers.setdefault(day, [])
        for writer in there:
            if writer.takes(said):
                return writer
        # After the first of a commit the differences are few; the second takes whatever comes.
        there.append(self._writer(EVENTS, day_of(day), len(there), None if there else said))
        return there[-1]

    def _wait(self) -> None:
        """Until the group under way is written; raises what its writing raised."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def _flush_rejects(self, day: date) -> None:
        rows = self._rejects.pop(day, [])
        if day not in self._reject_writers:
            self._reject_writers[day] = self._writer(REJECTS, day)
        self._reject_writers[day].write(pa.Table.from_pylist(rows, schema=REJECTS.schema))

    def _writer(
        self, dataset: Dataset, day: date, number: int = 0, schema: pa.Schema | None = None
    ) -> PartWriter:
        name = f"{self._name}-{self._commit:04d}" + (f"-{number}" if number else "")
        return PartWriter(self._site, dataset, day, name, self._keys, schema=schema)


def _write(writer: PartWriter, pieces: list[pa.Table]) -> None:
    """Pieces of a day as one sorted row group."""
    pieces[:] = [piece.select(writer.schema.names) for piece in pieces]
    writer.write(in_order(_together(pieces)))


def _together(pieces: list[pa.Table]) -> pa.Table:
    """Pieces as one table; each is let go as soon as it is copied."""
    table = pa.concat_tables(pieces)
    pieces.clear()
    return table.unify_dictionaries().combine_chunks()
