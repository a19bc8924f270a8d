"""Event times inside any file, read without the code that wrote it: what the verifier believes."""

import bz2
import gzip
import io
import json
import lzma
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.datasets import CLOCKED, STORES, Store
from lake.witness.made import made_on

EARLIEST = date(2000, 1, 1)
LONGEST_LINE = 1 << 20
ISO = re.compile(rb"(?<!\d)(20\d\d)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?!\d)")
APACHE = re.compile(
    rb"(?<!\d)(0[1-9]|[12]\d|3[01])/(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/(20\d\d)"
)
EPOCH = re.compile(rb"(?<![\d.])(1\d{9})\.\d{3}(?!\d)")
MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
CONFIGURATION = "data/configuration/"
"""Members of a pack that hold a policy or a list: their dates are no events."""


@dataclass
class Seen:
    """What one file holds: rows (or lines), the oldest day, how many lie before the limit."""

    rows: int = 0
    oldest: date | None = None
    overdue: int = 0
    unreadable: str | None = None

    def note(self, day: date | None, limit: date, rows: int = 1) -> None:
        """Count rows whose oldest day is `day`."""
        self.rows += rows
        if day is None:
            return
        self.oldest = day if self.oldest is None else min(self.oldest, day)
        self.overdue += rows if day < limit else 0


def claimed_by(path: str) -> Store | None:
    """The store that claims a file, by its path relative to the site folder."""
    return next((s for s in STORES if any(_claims(c, path) for c in s.claims)), None)


def _claims(pattern: str, path: str) -> bool:
    regex = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return re.fullmatch(regex, path) is not None


def files(site: Path) -> Iterator[tuple[str, Path]]:
    """All files of a site folder with their relative paths; links are not followed."""
    for path in sorted(site.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(site)), path


def look(path: Path, store: Store | None, limit: date) -> Seen:
    """Read the event times of one file; a file that cannot be read is named, never skipped."""
    seen = Seen()
    try:
        if store is not None and store.look == "nothing":
            return seen
        if store is not None and store.look == "ledger":
            _ledger(path, limit, seen)
        elif store is not None and store.look == "made":
            seen.note(made_on(path), limit)
        elif store is not None and store.look == "database":
            # Never by a handle of our own: closing one drops all locks this process holds on it.
            if path.suffix == ".db":
                _database(path, limit, seen, ours=True)
        else:
            _by_content(path, limit, seen)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, lzma.LZMAError) as error:
        seen.unreadable = f"{type(error).__name__}: {error}".splitlines()[0]
    except (pa.ArrowException, sqlite3.Error, zlib.error, RuntimeError) as error:
        # RuntimeError: a member locked by a password, or a way of packing zipfile does not know.
        seen.unreadable = f"{type(error).__name__}: {error}".splitlines()[0]
    return seen


def _by_content(path: Path, limit: date, seen: Seen) -> None:
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"PAR1"):
        _parquet(path, limit, seen)
    elif start.startswith(b"SQLite format 3\0"):
        _database(path, limit, seen)
    elif path.name.endswith(("-wal", "-shm", "-journal")):
        return  # read with their database
    elif start.startswith(b"PK\x03\x04"):
        with path.open("rb") as file:
            _archive(file, limit, seen)
    else:
        with path.open("rb") as file:
            _text(_unpacked(file, start), limit, seen)


def _parquet(path: Path, limit: date, seen: Seen) -> None:
    """The oldest instant of each row over all its columns that hold instants or days."""
    with pq.ParquetFile(path) as parquet:
        schema = parquet.schema_arrow
        clocks = [
            f.name for f in schema if pa.types.is_timestamp(f.type) or pa.types.is_date(f.type)
        ]
        seen.rows += parquet.metadata.num_rows
        bound = int(datetime(limit.year, limit.month, limit.day, tzinfo=UTC).timestamp() * 1000)
        for group in range(parquet.num_row_groups) if clocks else ():
            columns = [_ms(c) for c in parquet.read_row_group(group, columns=clocks).columns]
            oldest = columns[0] if len(columns) == 1 else pc.min_element_wise(*columns)
            low = pc.min(oldest).as_py()
            if low is not None:
                day = datetime.fromtimestamp(low / 1000, UTC).date()
                seen.oldest = day if seen.oldest is None else min(seen.oldest, day)
                seen.overdue += pc.sum(pc.less(oldest, bound)).as_py() or 0


def _ms(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Milliseconds since the epoch; an instant without a zone is taken for UTC."""
    unit = column.type if pa.types.is_date(column.type) else pa.timestamp("ms", column.type.tz)
    truncated = column.cast(unit, safe=False)
    if pa.types.is_date(column.type):
        truncated = truncated.cast(pa.timestamp("ms"))
    return truncated.cast(pa.int64())


def _database(path: Path, limit: date, seen: Seen, *, ours: bool = False) -> None:
    """Declared tables by their clocks; any other table by every date its cells show."""
    # Somebody else's is not to gain a journal from being looked at; ours has one that counts.
    how = "mode=ro" if ours else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"file:{path}?{how}", uri=True)
    try:
        clocks = {c.table: c for c in CLOCKED}
        names = [
            r[0] for r in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        for name in names:
            if name in ("part", "meta", "apscheduler_jobs") or name.startswith("sqlite_"):
                continue  # the catalogue names days of files that are looked into themselves
            clock = clocks.get(name)
            column = f'"{clock.column}"' if clock else "*"
            for row in connection.execute(f'SELECT {column} FROM "{name}"'):
                seen.note(_oldest_cell(row, bool(clock and clock.form == "ms")), limit)
    finally:
        connection.close()


def _oldest_cell(row: Iterable[object], milliseconds: bool) -> date | None:
    found: list[date] = []
    for cell in row:
        if milliseconds and isinstance(cell, int):
            found += [datetime.fromtimestamp(cell / 1000, UTC).date()] if cell else []
        elif isinstance(cell, str | bytes):
            found += days(cell.encode() if isinstance(cell, str) else cell)
    return min(found, default=None)


def _archive(file: IO[bytes], limit: date, seen: Seen, depth: int = 0) -> None:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.is_dir() or CONFIGURATION in member.filename:
                continue
            with archive.open(member) as raw:
                start = raw.read(16)
            with archive.open(member) as raw:
                if start.startswith(b"PK\x03\x04") and depth < 3:
                    _archive(io.BytesIO(raw.read()), limit, seen, depth + 1)
                else:
                    _text(_unpacked(raw, start), limit, seen)


def _unpacked(file: IO[bytes], start: bytes) -> IO[bytes]:
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if start.startswith(b"BZh"):
        return bz2.open(file)
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(file)
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return io.BytesIO(pa.CompressedInputStream(pa.PythonFile(file), "zstd").read())
    return file


def _text(file: IO[bytes], limit: date, seen: Seen) -> None:
    for line in iter(partial(file.readline, LONGEST_LINE), b""):
        seen.note(min(days(line), default=None), limit)


def _ledger(path: Path, limit: date, seen: Seen) -> None:
    """An act is as old as its own time; the days it tells of are no events."""
    if path.suffix != ".jsonl":
        return
    with path.open("rb") as file:
        for line in file:
            try:
                stamp = str(json.loads(line)["time"])
            except (ValueError, KeyError, TypeError):
                seen.unreadable = "a line that is no act; see `fairwatch ledger verify`"
                continue
            seen.note(min(days(stamp.encode()), default=None), limit)


def days(text: bytes) -> list[date]:
    """All days a piece of text names: ISO dates, log dates, epoch seconds with milliseconds."""
    parts = [(int(y), int(m), int(d)) for y, m, d in ISO.findall(text)]
    parts += [(int(y), MONTHS.index(m) + 1, int(d)) for d, m, y in APACHE.findall(text)]
    found = [d for ymd in parts if (d := _day(*ymd))]
    found += [datetime.fromtimestamp(int(s), UTC).date() for s in EPOCH.findall(text)]
    return [d for d in found if d >= EARLIEST]


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
