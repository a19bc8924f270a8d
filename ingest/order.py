"""The order of a partition's rows: by person, then time."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.arrays import codes_of, encoded


def sort_key(table: pa.Table) -> pa.Array:
    """Row order by user, then time, then line: what a partition's row groups are sorted by."""
    user = encoded(table["user"])
    names = user.dictionary.to_pylist()
    rank = np.empty(len(names) + 1, np.min_scalar_type(len(names)))
    rank[np.argsort(np.array(names, dtype=object))] = np.arange(len(names))
    rank[len(names)] = len(names)
    codes = rank[codes_of(user).to_numpy()]
    # Logs are nearly in time order, where a stable sort is cheap; so it is for small codes.
    by_time = np.argsort(table["time"].cast(pa.int64()).to_numpy(), kind="stable")
    return pa.array(by_time[np.argsort(codes[by_time], kind="stable")])


def in_order(table: pa.Table) -> pa.Table:
    """The rows as a partition has them; a column that says the same in all of them stays as it is."""
    order, schema, columns = sort_key(table), table.schema, table.columns
    del table  # a column is let go as soon as it is in order
    for at, column in enumerate(columns):
        columns[at] = column if _constant(column) else pc.take(column, order, boundscheck=False)
        del column
    return pa.table(columns, schema=schema)


def _constant(column: pa.ChunkedArray) -> bool:
    if column.null_count or not pa.types.is_dictionary(column.type):
        return bool(column.null_count == len(column))
    return all(len(chunk.dictionary) == 1 for chunk in column.chunks) and column.num_chunks == 1
