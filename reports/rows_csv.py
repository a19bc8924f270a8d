"""Rows of a dataset as CSV that no spreadsheet runs, a piece at a time: for packs that hold a year of rows."""

from collections.abc import Callable

import pyarrow as pa

from lake.datasets import Dataset


def schema_of(dataset: Dataset, *more: str) -> pa.Schema:
    """The dataset's columns with their words as plain text, and further columns of text."""
    plain = [
        pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type)
        for f in dataset.schema
    ]
    return pa.schema([*plain, *(pa.field(name, pa.string()) for name in more)])


def columns_of(table: pa.Table, dataset: Dataset, cell: Callable[[str], str]) -> list[pa.Array]:
    """The columns of `schema_of(dataset)`; each distinct text goes through `cell` once."""
    return [
        _through(table[f.name], cell) if f.type == pa.string() else table[f.name]
        for f in schema_of(dataset)
    ]


def _through(column: pa.ChunkedArray, cell: Callable[[str], str]) -> pa.Array:
    coded = pa.concat_arrays(column.cast(pa.string()).chunks).dictionary_encode()
    words = [cell(word) for word in coded.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(coded.indices)
