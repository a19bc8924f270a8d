"""The key ring: a SQLite file of its own with each day's key, wrapped; what leaves it leaves no bytes behind."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import CannotWrite, Damaged, Overdue

BUSY_SECONDS = 60
PRAGMAS = (
    # A write-ahead log would keep wrapped keys that the file itself has forgotten; a rollback journal
    # goes with the transaction, and EXTRA brings its going to the disk.
    "journal_mode=DELETE",
    "synchronous=EXTRA",
    "secure_delete=ON",
    "temp_store=MEMORY",  # VACUUM copies the whole file: not into a folder nobody scrubs
)
TABLES = """
CREATE TABLE IF NOT EXISTS day_key (
    id TEXT PRIMARY KEY,       -- DATASET-DAY-RANDOM, as the footer of its partitions names it
    dataset TEXT NOT NULL,
    day TEXT NOT NULL,
    number INTEGER NOT NULL,   -- the day's newest key has the highest
    wrapped BLOB NOT NULL      -- AES key wrap (RFC 3394) by the master key
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS master (
    id TEXT PRIMARY KEY,       -- digest of the master key that wraps the day keys
    wrapped BLOB,              -- by a key management service, where one keeps it
    copied INTEGER             -- when somebody last showed a copy of it, seconds since 1970
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class DayKey:
    """A wrapped day key: of which dataset and day, and the which-th of that day it is."""

    id: str
    dataset: str
    day: str
    number: int
    wrapped: bytes


@dataclass(frozen=True)
class Master:
    """Which master key the ring is wrapped by."""

    id: str
    wrapped: bytes | None
    copied: int | None


class Ring:
    """The ring's file; it comes to be with the first key, and nothing reads it before."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def master(self) -> Master | None:
        """The master key in use; None while nothing was ever wrapped."""
        rows = self._rows("SELECT id, wrapped, copied FROM master")
        return Master(*rows[0]) if rows else None

    def day_keys(self) -> list[DayKey]:
        """All day keys, by day and dataset."""
        rows = self._rows(
            "SELECT id, dataset, day, number, wrapped FROM day_key ORDER BY day, dataset, number"
        )
        return [DayKey(*row) for row in rows]

    def find(self, id_: str) -> DayKey | None:
        """The key of this name."""
        rows = self._rows("SELECT id, dataset, day, number, wrapped FROM day_key WHERE id = ?", id_)
        return DayKey(*rows[0]) if rows else None

    def newest(self, dataset: str, day: str) -> DayKey | None:
        """The key that partitions of this dataset and day are written with."""
        rows = self._rows(
            "SELECT id, dataset, day, number, wrapped FROM day_key WHERE dataset = ? AND day = ? "
            "ORDER BY number DESC LIMIT 1",
            dataset,
            day,
        )
        return DayKey(*rows[0]) if rows else None

    def add(self, key: DayKey, master: str) -> bool:
        """Keep a day key; on the disk when this returns, before any file needs it.

        False: it is wrapped by another master key than the ring's, and not kept.
        """
        with self._change() as connection:
            done = connection.execute(
                "INSERT INTO day_key SELECT ?, ?, ?, ?, ? FROM master WHERE id = ?",
                (key.id, key.dataset, key.day, key.number, key.wrapped, master),
            )
            return done.rowcount == 1

    def begin(self, master: Master) -> None:
        """Note the first master key."""
        with self._change() as connection:
            connection.execute(
                "INSERT INTO master VALUES (?, ?, ?)", (master.id, master.wrapped, master.copied)
            )

    def rewrap(self, master: Master, wrapped: dict[str, bytes]) -> None:
        """Put a new master key's wrappings in the place of the old one's, all at once."""
        with self._change() as connection:
            connection.execute("DELETE FROM master")
            connection.execute(
                "INSERT INTO master VALUES (?, ?, ?)", (master.id, master.wrapped, master.copied)
            )
            for id_, blob in wrapped.items():
                connection.execute("UPDATE day_key SET wrapped = ? WHERE id = ?", (blob, id_))
        self.scrub()

    def copied(self, when: int) -> None:
        """Note that a copy of the master key was shown."""
        with self._change() as connection:
            connection.execute("UPDATE master SET copied = ?", (when,))

    def destroy(self, ids: Iterable[str]) -> None:
        """Forget keys for good, in one transaction; ids already gone are no error."""
        if not self.path.exists():
            return
        with self._change() as connection:
            connection.executemany("DELETE FROM day_key WHERE id = ?", [(id_,) for id_ in ids])
        self.scrub()

    def scrub(self) -> None:
        """Leave nothing of what was forgotten in the file: free pages, gaps in pages, a journal.

        Also what a process killed in the midst of it left: its journal is rolled back first.
        Raises Overdue where another program keeps the file from being written anew.
        """
        if not self.path.exists():
            return
        with self._opened() as connection:
            try:
                connection.execute("VACUUM")
            except sqlite3.OperationalError as error:
                raise Overdue(
                    f"{self.path}: the key ring cannot be scrubbed: {error}. Close what holds it "
                    f"open (a backup, a database browser), see to free space, and run it again."
                ) from None

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        if not self.path.exists():
            return []
        with self._opened() as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        if not self.path.exists():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        with self._opened() as connection:
            connection.executescript(TABLES)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(
                sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            ) as connection:
                for pragma in PRAGMAS:
                    connection.execute(f"PRAGMA {pragma}")
                yield connection
        except sqlite3.OperationalError as error:
            raise CannotWrite(
                f"{self.path}: the key ring cannot be used: {error}. Free space on the disk, or run "
                f"as the user the site folder belongs to."
            ) from None
        except sqlite3.DatabaseError as error:
            raise Damaged(
                f"{self.path}: is no key ring: {error}. Put back the copy made last; without it the "
                f"sealed partitions cannot be read again."
            ) from None
