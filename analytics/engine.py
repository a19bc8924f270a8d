"""DuckDB over the lake: views of the partitions the catalogue names, and questions kept in sql/*.sql."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self, TypeVar

import pyarrow as pa

from lake.catalogue import Part
from lake.datasets import INSTANT, Dataset
from lake.keys import DayKeys, plain
from lake.write import GROUP_ROWS
from workspace import Workspace

R = TypeVar("R")

AT_HAND = 500_000
"""Sealed rows that are opened once and held for all questions of an engine (some 50 MB); what is more is
opened anew by each, a batch at a time."""

COUNTED = 0.6
"""Of the memory allowed, what DuckDB may count as its own: what it does not count, and what Arrow reads
ahead of it, comes to as much again (measured up to 50 million lines a day)."""

TYPES = {
    pa.string(): "VARCHAR",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    INSTANT: "TIMESTAMPTZ",
}


class Engine:
    """One DuckDB in memory, spilling into `work/`, closed with the `with` block."""

    def __init__(
        self, site: Path, *, threads: int, memory_mb: int, keys: DayKeys | None = None
    ) -> None:
        self._site = site
        self._keys = keys or plain(site)
        self._spill = site / "work" / "spill"
        self._spill.mkdir(mode=0o700, parents=True, exist_ok=True)
        import duckdb  # here, since ingest needs none: 50 ms and 30 MB

        self.connection = duckdb.connect(
            config={
                "autoinstall_known_extensions": "false",
                "threads": str(threads),
                "memory_limit": f"{int(memory_mb * COUNTED)}MB",
                "temp_directory": str(self._spill),
                "preserve_insertion_order": "false",
            }
        )
        # A database in memory that packs its tables gives back a tenth of a question's time later.
        self.connection.execute("SET checkpoint_threshold = '1TB'")
        # What is freed goes back: both allocators would keep what the largest question took.
        self.connection.execute("SET allocator_background_threads = true")
        pa.set_memory_pool(pa.system_memory_pool())
        self.connection.execute("SET enable_progress_bar = false")
        self.connection.execute("SET TimeZone = 'UTC'")

    @classmethod
    def of(cls, ws: Workspace) -> Self:
        """An engine for a site, within its limits and with its keys."""
        limits = ws.settings.limits
        return cls(ws.folder, threads=limits.threads, memory_mb=limits.memory_mb, keys=ws.keys)

    def alone(self) -> None:
        """One thread: for many small questions the others cost more than they do."""
        self.connection.execute("SET threads = 1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def view(self, dataset: Dataset, parts: Sequence[Part]) -> None:
        """Show these parts, sealed and plain ones, as a view with the dataset's name.

        Raises NoKey where the key of a sealed part is not at hand.
        """
        self._keys.require(part.key for part in parts)
        sealed = [self._site / part.path for part in parts if part.key is not None]
        unsealed = [str(self._site / part.path) for part in parts if part.key is None]
        if sealed:
            # By Arrow: of what Arrow sealed, DuckDB's own reader opens a column's first page only.
            opened = self._keys.dataset(sealed, dataset.schema)
            if sum(part.rows for part in parts if part.key is not None) <= AT_HAND:
                opened = opened.to_table()
            self.connection.register(f"sealed_{dataset.name}", opened)
        if unsealed:
            self._unsealed(dataset, unsealed).create_view(f"plain_{dataset.name}", replace=True)
        views = [*(["sealed"] if sealed else []), *(["plain"] if unsealed else [])]
        if not views:
            self.table(dataset.name, dataset.schema.empty_table())
            return
        both = " UNION ALL BY NAME ".join(f"FROM {view}_{dataset.name}" for view in views)
        self.connection.sql(both).create_view(dataset.name, replace=True)

    def batches(
        self, dataset: Dataset, parts: Sequence[Part], columns: Sequence[str], since: datetime
    ) -> Iterator[pa.RecordBatch]:
        """Columns of these parts as they lie there, from an instant on, a batch at a time.

        Not through DuckDB: whoever can work on Arrow's codes for words is several times faster.
        Raises NoKey as `view` does.
        """
        self._keys.require(part.key for part in parts)
        for part in parts:
            yield from self._keys.batches(self._site / part.path, dataset, columns, since)

    def _unsealed(self, dataset: Dataset, paths: list[str]) -> Any:
        """Plain parts by DuckDB's own reader."""
        rows = self.connection.read_parquet(paths, union_by_name=True)
        # Parts written before a column was there.
        missing = [f for f in dataset.schema if f.name not in rows.columns]
        if missing:
            new = [f'NULL::{_type(f.type)} AS "{f.name}"' for f in missing]
            rows = rows.project(", ".join(["*", *new]))
        return rows

    def table(self, name: str, rows: pa.Table) -> None:
        """Make a small table of rows at hand, a policy's hours for example."""
        self.connection.register("handed_over", rows)
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM handed_over")
        self.connection.unregister("handed_over")

    def words(self, name: str, found: Iterable[str]) -> None:
        """A type of these words: rows of it are narrow, and compared as numbers."""
        quoted = ", ".join("'" + word.replace("'", "''") + "'" for word in sorted(found))
        self.connection.execute(f"DROP TYPE IF EXISTS {name}")
        self.connection.execute(f"CREATE TYPE {name} AS ENUM ({quoted})")

    def append(self, name: str, rows: pa.Table) -> None:
        """Add rows at hand to a table."""
        self.connection.register("handed_over", rows)
        self.connection.execute(f"INSERT INTO {name} BY NAME FROM handed_over")
        self.connection.unregister("handed_over")

    def make(self, name: str, question: str, **params: Any) -> None:
        """Keep a question's answer as a table for the questions that follow."""
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {name} AS {sql(question)}", _taken(question, params)
        ).fetchall()

    def drop(self, *names: str) -> None:
        """Let go of tables that no further question reads."""
        for name in names:
            self.connection.execute(f"DROP TABLE {name}")

    def rows(self, question: str, row: type[R], **params: Any) -> list[R]:
        """A question's answer as dataclass rows, whose fields are the answer's columns."""
        cursor = self.connection.execute(sql(question), _taken(question, params))
        columns = [d[0] for d in cursor.description or []]
        expected = [f.name for f in fields(row)]  # type: ignore[arg-type]
        if columns != expected:
            raise TypeError(f"{question}.sql answers {columns}, {row.__name__} has {expected}")
        return [row(*values) for values in cursor.fetchall()]

    def answers(self, question: str, **params: Any) -> list[tuple[Any, ...]]:
        """A question's answer as plain rows."""
        return self.connection.execute(sql(question), params).fetchall()

    def arrow(self, question: str, **params: Any) -> pa.Table:
        """A question's answer as columns."""
        return self.connection.sql(sql(question), params=_taken(question, params)).to_arrow_table()

    def groups(self, question: str, dataset: Dataset, **params: Any) -> Iterator[pa.Table]:
        """A question's answer in a dataset's schema and order, a row group at a time.

        It stays as a table of its name; sorted by DuckDB, which spills, it is never held whole here.
        """
        self.make(question, question, **params)
        order = ", ".join(f'"{column}"' for column in dataset.sort)
        answer = self.connection.sql(f'FROM "{question}" ORDER BY {order}')
        for batch in answer.to_arrow_reader(GROUP_ROWS):
            yield pa.table(batch).select(dataset.schema.names).cast(dataset.schema)


def _type(kind: pa.DataType) -> str:
    """A column's type as DuckDB calls it."""
    if pa.types.is_dictionary(kind):
        return "VARCHAR"
    return TYPES[kind]


@cache
def sql(question: str) -> str:
    """The text of a question."""
    return (Path(str(files("analytics"))) / "sql" / f"{question}.sql").read_text("utf-8")


@cache
def parameters(question: str) -> frozenset[str]:
    """The names a question asks for as `$name`."""
    body = re.sub(r"--[^\n]*", "", sql(question))
    return frozenset(re.findall(r"\$([a-z_]+)", body))


def _taken(question: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a question takes of what is given to a row of questions."""
    return {name: value for name, value in given.items() if name in parameters(question)}


def questions() -> list[str]:
    """The names of all questions."""
    return sorted(p.stem for p in (Path(str(files("analytics"))) / "sql").glob("*.sql"))
