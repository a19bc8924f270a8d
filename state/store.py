"""Opening the state database, and transactions that carry their ledger lines with them."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, create_engine, event, make_url, select
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool

from errors import CannotWrite, Damaged, Overdue
from ledger import Ledger, canonical
from state.tables import META, METADATA, MIGRATIONS, OUTBOX, SCHEMA_VERSION

BUSY_SECONDS = 60
NO_ROOM = (8, 10, 13)
"""SQLite's codes for what may not be written to, fails below it, or is full."""


class State:
    """One relational database; SQLite in the site folder unless the settings name another."""

    def __init__(self, url: str, ledger: Ledger) -> None:
        self.url = url
        self.name = make_url(url).render_as_string(hide_password=True)
        self.ledger = ledger
        # Parameters are people's data: they have no place in an error's text.
        self._engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _careful_sqlite)
        try:
            METADATA.create_all(self._engine)
            self._check_version()
        except OperationalError as error:
            raise self._cannot_write(error) from None
        except DatabaseError as error:
            raise Damaged(
                f"{self.name}: cannot be opened as the state database: {error.orig}. "
                f"Restore it from a backup; the lake can be read again from the logs."
            ) from None
        with suppress(OSError):  # a full disk: the acts wait where they are
            self.flush()

    @classmethod
    def in_folder(cls, folder: Path, ledger: Ledger) -> "State":
        """The SQLite database of a site folder."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(f"sqlite:///{folder / 'fairwatch.db'}", ledger)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for looking."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def change(self) -> Iterator["Change"]:
        """One transaction; the acts told to it are in the ledger once it is committed.

        The acts are stored with the change and then moved to the ledger: a process killed in
        between moves them when the state is next opened, each once, by its key.
        """
        with self._room():
            with self._engine.begin() as connection:
                yield Change(connection)
            self.flush()

    @contextmanager
    def _room(self) -> Iterator[None]:
        """A disk that is full, or may not be written to, is told as such."""
        try:
            yield
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in NO_ROOM:
                raise
            raise self._cannot_write(error) from None

    def _cannot_write(self, error: OperationalError) -> CannotWrite:
        return CannotWrite(
            f"{self.name}: cannot be written to: {error.orig}. Free space on the disk, or run as "
            f"a user who may write to the site folder."
        )

    def flush(self) -> None:
        """Move the acts of committed changes into the ledger."""
        with self.read() as connection:
            waiting = connection.execute(select(OUTBOX).order_by(OUTBOX.c.id)).all()
        for row in waiting:
            noted = json.dumps(self._tell(row))
            with self._engine.begin() as connection:
                connection.execute(OUTBOX.delete().where(OUTBOX.c.id == row.id))
                connection.execute(META.delete().where(META.c.key == "ledger"))
                connection.execute(META.insert().values(key="ledger", value=noted))

    def scrub(self) -> None:
        """Leave no deleted row readable in the database file or its journal."""
        if self._engine.dialect.name != "sqlite":
            return
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            try:
                connection.exec_driver_sql("VACUUM")
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
            except DatabaseError as error:
                raise Overdue(f"The state database cannot be scrubbed: {error.orig}.") from None
        if busy:
            raise Overdue(
                "Another program holds the state database open, so that deleted rows can still be "
                "read in it. Close it (a backup, a database browser) and run the purge again."
            )

    def noted(self) -> tuple[int, str] | None:
        """Seq and digest of the last act that came through here: it has to be in the ledger."""
        with self.read() as connection:
            found = connection.execute(select(META.c.value).where(META.c.key == "ledger")).scalar()
        seq, digest = json.loads(found) if found else (0, "")
        return (seq, digest) if seq else None

    def _tell(self, row: Row[Any]) -> tuple[int, str]:
        line = self.ledger.append(
            row.act,
            time=datetime.fromisoformat(row.time),
            actor=row.actor,
            key=row.key,
            **json.loads(row.facts),
        )
        return line["seq"], hashlib.sha256(canonical(line)).hexdigest()

    def _check_version(self) -> None:
        with self._engine.begin() as connection:
            found = connection.execute(select(META.c.value).where(META.c.key == "schema")).scalar()
            if found is None:
                connection.execute(META.insert().values(key="schema", value=str(SCHEMA_VERSION)))
                return
            if not 0 < int(found) <= SCHEMA_VERSION:
                raise Damaged(
                    f"{self.name}: is of version {found}, this Fairwatch reads {SCHEMA_VERSION}; "
                    f"use the Fairwatch that wrote it."
                )
            for version in range(int(found) + 1, SCHEMA_VERSION + 1):
                for statement in MIGRATIONS[version]:
                    connection.exec_driver_sql(statement)
                connection.execute(
                    META.update().where(META.c.key == "schema").values(value=str(version))
                )


class Change:
    """A transaction under way."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Run a statement inside the transaction."""
        return self.connection.execute(*args, **kwargs)

    def number(self, series: str) -> int:
        """The next of a series; what retention has taken away is not given again."""
        known = self.execute(select(META.c.value).where(META.c.key == series)).scalar()
        self.execute(META.delete().where(META.c.key == series))
        self.execute(META.insert().values(key=series, value=str(int(known or 0) + 1)))
        return int(known or 0) + 1

    def act(self, act: str, *, time: datetime, actor: str, **facts: Any) -> None:
        """Say in the ledger what this transaction does, if and only if it is committed."""
        self.execute(
            OUTBOX.insert().values(
                key=uuid.uuid4().hex,
                act=act,
                actor=actor,
                time=time.astimezone(UTC).isoformat(),
                facts=json.dumps(facts, ensure_ascii=False),
            )
        )


def _careful_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",
        f"busy_timeout={BUSY_SECONDS * 1000}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
