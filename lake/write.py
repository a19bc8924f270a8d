"""Writing partitions: typed, sorted, zstd Parquet that is whole or not there."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Connection

from lake import catalogue
from lake.catalogue import Part
from lake.datasets import Dataset
from lake.files import fsync, sha256
from lake.keys import DayKeys, Seal

ZSTD_LEVEL = 1

FEW = ("status", "file")
"""Numbers of which a partition has few: they are written as words are."""

GROUP_ROWS = 125_000
"""Rows of a row group; each group is sorted, and what is held of a partition while it is written."""


class PartWriter:
    """One partition under way, in `work/`; each batch written becomes one sorted row group.

    Sealed by the key of its dataset and day from the first byte on: no plain row is on the disk.
    """

    def __init__(
        self,
        site: Path,
        dataset: Dataset,
        day: date,
        name: str,
        keys: DayKeys,
        *,
        folder: str | None = None,
        seal: Seal | None = None,
        schema: pa.Schema | None = None,
    ) -> None:
        """`folder`: else the dataset's and day's in the lake; `seal`: else the day's newest key;
        `schema`: as narrow as the rows are (`Dataset.said`), else the dataset's."""
        self.dataset = dataset
        self.day = day
        self.path = f"{folder or f'lake/{dataset.name}/{day.isoformat()}'}/{name}.parquet"
        self._site = site
        self.temporary = site / "work" / f"{self.path.replace('/', '-')}.tmp"
        self.temporary.parent.mkdir(exist_ok=True)
        self.schema = schema or dataset.schema
        words = [f.name for f in self.schema if pa.types.is_dictionary(f.type)]
        # Words other than those rows are sorted by lie everywhere: their bounds would skip nothing. Those
        # of numbers show the witness that they are no times.
        bounded = {*self.schema.names} - {*words} | {*dataset.sort}
        numbers = [f.name for f in self.schema if pa.types.is_integer(f.type)]
        few = [n for n in FEW if n in numbers]
        numbers = [n for n in numbers if n not in few]
        # What is packed as differences of numbers gets no smaller by zstd, only slower.
        packed = [*numbers, *_instants(self.schema)]
        squeezed = [f.name for f in self.schema if f.name not in packed]
        seal = seal or keys.seal(dataset.name, day)
        self._key = seal.key if seal else None
        self._writer = pq.ParquetWriter(
            self.temporary,
            self.schema,
            compression={n: "none" if n in packed else "zstd" for n in self.schema.names},
            compression_level=dict.fromkeys(squeezed, ZSTD_LEVEL),
            use_dictionary=[*words, *few],
            write_statistics=sorted(bounded),
            column_encoding=dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
            encryption_properties=seal.properties if seal else None,
        )
        self.rows = 0
        self.oldest: int | None = None
        self.newest: int | None = None

    def takes(self, said: pa.Schema) -> bool:
        """Whether rows that say so much fit into the partition."""
        null = [f.name for f in said if f.nullable] + [
            n for n in self.schema.names if n not in said.names
        ]
        there = {*said.names} <= {*self.schema.names}
        return there and all(self.schema.field(name).nullable for name in null)

    def write(self, table: pa.Table) -> None:
        """Add a batch of the dataset's schema, already sorted."""
        if not table.num_rows:
            return
        clock = pc.min_max(_milliseconds(table[self.dataset.clock])).as_py()
        low, high = clock["min"], clock["max"]
        self.oldest = low if self.oldest is None else min(self.oldest, low)
        self.newest = high if self.newest is None else max(self.newest, high)
        rows = pa.table([table[n] for n in self.schema.names], schema=self.schema)
        self._writer.write_table(rows, row_group_size=table.num_rows)
        self.rows += table.num_rows

    def close(self, made_from: str) -> Part:
        """Finish the file and bring it to the disk; it is not in its place yet."""
        self._writer.close()
        fsync(self.temporary)
        return Part(
            dataset=self.dataset.name,
            day=self.day.isoformat(),
            path=self.path,
            rows=self.rows,
            bytes=self.temporary.stat().st_size,
            sha256=sha256(self.temporary),
            oldest=self.oldest or 0,
            newest=self.newest or 0,
            made_from=made_from,
            key=self._key,
        )

    def move(self) -> None:
        """Put the finished file into its place; the catalogue does not know it yet."""
        final = self._site / self.path
        final.parent.mkdir(parents=True, exist_ok=True)
        self.temporary.rename(final)
        fsync(final.parent)
        fsync(final.parent.parent)

    def abandon(self) -> None:
        """Give up a file under way."""
        with suppress(OSError):  # a full disk is no reason to leave it there
            self._writer.close()
        self.temporary.unlink(missing_ok=True)


def _instants(schema: pa.Schema) -> list[str]:
    return [f.name for f in schema if pa.types.is_timestamp(f.type)]


def _milliseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms", "UTC"))
    return column.cast(pa.int64())


def replace_day(
    connection: Connection,
    site: Path,
    dataset: Dataset,
    day: date,
    writer: PartWriter | None,
    made_from: str,
) -> None:
    """Within a transaction: put a derived day in the place of its former parts."""
    catalogue.forget(connection, [p.path for p in catalogue.parts(connection, dataset.name, [day])])
    if writer is not None:
        part = writer.close(made_from)
        writer.move()
        catalogue.add(connection, [part])


SWEPT = ("lake", "restricted", "holds", "work")
"""Folders in which a file is one the catalogue knows, or was left by a killed run."""


def sweep(connection: Connection, site: Path) -> list[Path]:
    """Delete what a killed run left: partitions the catalogue does not know, and all of `work/`."""
    known = catalogue.known_paths(connection)
    gone = []
    for path in [f for folder in SWEPT for f in _files(site / folder)]:
        if str(path.relative_to(site)) not in known:
            path.unlink()
            gone.append(path)
    return gone


def _files(folder: Path) -> Iterable[Path]:
    return [p for p in folder.rglob("*") if p.is_file()] if folder.exists() else []


def instant(milliseconds: int) -> datetime:
    """Milliseconds since the epoch as a UTC instant."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
