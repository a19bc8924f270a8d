"""One file: by what it is, never by what it is called; and which store claims it."""

import json
import lzma
import re
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lake.datasets import DATASETS
from lake.stores import STORES, Store
from lake.witness.bound import Bound, Closed, Seen
from lake.witness.database import read_database, read_journal
from lake.witness.packed import budget_of, read_stream, read_zip
from lake.witness.tables import read_arrow, read_parquet
from lake.witness.written import fixed

Opener = Callable[[Path], pq.ParquetFile]
"""Opens a partition, sealed or plain; raises Closed with the reason where it cannot."""

WRONG = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,  # a zip's member locked by a password, or a way of packing zipfile does not know
    NotImplementedError,
    OverflowError,
    MemoryError,
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    pa.ArrowException,
    sqlite3.Error,
)
"""What reading a file that is not whole, or means harm, can raise."""


def claimed_by(path: str) -> Store | None:
    """The store that claims a file, by its path relative to the site folder."""
    return next((s for s in STORES if any(_claims(c, path) for c in s.claims)), None)


def _claims(pattern: str, path: str) -> bool:
    regex = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return re.fullmatch(regex, path, re.DOTALL) is not None


def files(site: Path) -> Iterator[tuple[str, Path]]:
    """All files of a site folder with their relative paths; links are not followed.

    What SQLite leaves beside a database that somebody only read is no file: an empty journal, and
    the index of one.
    """
    for path in sorted(site.rglob("*")):
        relative = str(path.relative_to(site))
        if not path.is_file() or path.is_symlink() or _our_index(relative) or _scaffold(path):
            continue
        yield relative, path


def _our_index(relative: str) -> bool:
    """The index of our own database's log: opened and closed, all our locks on it would be gone."""
    store = claimed_by(relative) if relative.endswith("-shm") else None
    return store is not None and store.look == "database"


def _scaffold(path: Path) -> bool:
    """By size and neighbours: an index's locks would be lost with a handle of ours."""
    try:
        size = path.stat().st_size
    except OSError:
        return not path.exists()  # gone with its last reader
    if path.name.endswith(("-wal", "-journal")):
        return not size
    indexed = path.name.endswith("-shm") and path.with_name(path.name[:-4]).exists()
    return indexed and size % WAL_INDEX == 0


WAL_INDEX = 32_768
"""The index of a write-ahead log, where readers stand, comes in pieces of this size; no content."""


def plainly(path: Path) -> pq.ParquetFile:
    """A Parquet file that is not sealed. Raises Closed for one that is."""
    with path.open("rb") as file:
        if file.read(4) == b"PARE":
            raise Closed("no key was given for it")
    return pq.ParquetFile(path)


def look(
    path: Path,
    store: Store | None,
    limit: date,
    today: date | None = None,
    opened: Opener = plainly,
) -> Seen:
    """Read the event times of one file; a file that cannot be read is named, never skipped."""
    seen = Seen()
    if store is not None and store.look == "nothing":
        return seen
    try:
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
        day = today or written
        paged = store is not None and store.look in ("pages", "archive")
        _look(path, store, Bound(limit, day, min(day, written), paged), seen, opened)
    except WRONG as error:
        kind = "" if isinstance(error, Closed) else f"{type(error).__name__}: "
        seen.unreadable = f"{kind}{error}".splitlines()[0][:300]
    return seen


def _look(path: Path, store: Store | None, bound: Bound, seen: Seen, opened: Opener) -> None:
    ours = store is not None and store.look == "database"
    if store is not None and store.look == "ledger":
        _ledger(path, bound, seen)
    elif store is not None and store.look == "made":
        _made(path, bound, seen)
    elif path.name.endswith(("-wal", "-journal")) and _is_journal(path):
        read_journal(path, bound, seen, ours=ours)
    elif ours and _is_database(path):
        read_database(path, bound, seen, ours=True)
    else:
        _by_content(path, store, bound, seen, opened)


def _is_database(path: Path) -> bool:
    """By its name, for ours is not to be opened; a key file beside it is none."""
    return path.suffix == ".db"


def _is_journal(path: Path) -> bool:
    """Whether it is SQLite's, also one whose header was zeroed when it was done with."""
    with path.open("rb") as file:
        start = file.read(8)
    return start[:3] == b"\x37\x7f\x06" or start in (b"\0" * 8, bytes.fromhex("d9d505f920a163d7"))


def _by_content(path: Path, store: Store | None, bound: Bound, seen: Seen, opened: Opener) -> None:
    with path.open("rb") as file:
        start = file.read(16)
        file.seek(0)
        if start.startswith((b"PAR1", b"PARE")):
            dataset = DATASETS.get(store.name) if store else None
            with opened(path) as parquet:
                read_parquet(parquet, dataset, bound, seen)
        elif start.startswith(b"ARROW1"):
            with pa.memory_map(str(path)) as mapped:
                read_arrow(mapped, bound, seen)
        elif start.startswith(b"SQLite format 3\0"):
            read_database(path, bound, seen, ours=False)
        elif start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            read_zip(file, bound, seen, budget_of(path.stat().st_size))
        else:
            read_stream(file, bound, seen, budget_of(path.stat().st_size))


def _ledger(path: Path, bound: Bound, seen: Seen) -> None:
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
            seen.note(min(iso_days(stamp.encode()), default=None), bound.limit)


def _made(path: Path, bound: Bound, seen: Seen) -> None:
    """A checkpoint or certificate is as old as itself; the days it tells of are no events."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as bag:
            name = next((n for n in bag.namelist() if n.endswith("/bag-info.txt")), "")
            text = bag.read(name) if name else b""
        said = re.search(rb"^Bagging-Date: (\S+)$", text, re.MULTILINE)
    else:
        with path.open("rb") as file:
            text = file.read(1 << 20)
        # A time stamp's own time comes before those of the certificates in it.
        pattern = rb"\x18[\x0f-\x17](20\d{6})\d{6}(?:\.\d+)?Z" if path.suffix == ".tsr" else rb"(?m)^time (\S+)$"  # fmt: skip
        said = re.search(pattern, text)
    stamp = said[1] if said else b""
    told = iso_days(b"-".join((stamp[:4], stamp[4:6], stamp[6:])) if stamp.isdigit() else stamp)
    if not told:
        raise Closed("does not say when it was made")
    seen.note(told[0], bound.limit)


def iso_days(text: bytes) -> list[date]:
    """Days that stand in a text by themselves, written as ISO dates."""
    today = date.max.replace(year=9000)
    return [f.day for f in fixed(text, "?", Bound(today, today, today))]
