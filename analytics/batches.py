"""Batches of a lake's rows, worked on by the codes Arrow has for their words."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics.engine import Engine

Ints = npt.NDArray[np.signedinteger[Any]]
Mask = npt.NDArray[np.bool_]
HELD = 250_000
"""Rows on their way into a table."""


def spread(column: pa.DictionaryArray, asked: Callable[[str | None], Any]) -> Any:
    """The answer of each row, asked once per distinct word and once for null."""
    words = column.dictionary.to_pylist()
    answers = np.array([*map(asked, words), asked(None)])
    indices = column.indices
    codes = pc.fill_null(indices, len(words)) if indices.null_count else indices
    return answers[codes.to_numpy()]


def milliseconds(times: pa.Array) -> Any:
    """Instants as milliseconds since 1970."""
    return times.cast(pa.int64()).to_numpy()


class Rows:
    """A table of the engine, filled with many rows at a time."""

    def __init__(self, engine: Engine, name: str, schema: pa.Schema) -> None:
        self._engine, self._name, self._schema = engine, name, schema
        self._held: list[pa.Table] = []
        engine.table(name, schema.empty_table())

    def add(self, rows: pa.Table) -> None:
        """Take some rows."""
        self._held.append(rows)
        if sum(table.num_rows for table in self._held) >= HELD:
            self.finish()

    def finish(self) -> None:
        """Hand over what is held."""
        if any(table.num_rows for table in self._held):
            self._engine.append(self._name, pa.concat_tables(self._held))
        self._held = []
