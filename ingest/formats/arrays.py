"""Work per distinct value instead of per row, through Arrow's dictionaries."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.dictionary(pa.int32(), pa.string())


def encoded(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    """One dictionary array, whatever the column came as."""
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks() if column.num_chunks else column
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], TEXT)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    return column


def text_of(column: pa.DictionaryArray, make: Callable[[str], str | None]) -> pa.DictionaryArray:
    """A text made from each distinct text; None makes the row null."""
    words = column.dictionary.to_pylist()
    made = [make(word) for word in words]
    if made == words and len({*words}) == len(words):
        return column
    return codes_to_text(column.indices, made)


def codes_to_text(
    indices: pa.Array, values: Sequence[str | None] | pa.StringArray
) -> pa.DictionaryArray:
    """Rows by index into `values`, whose repeats are folded so that the dictionary is a set."""
    folded = pa.array(values, pa.string()).dictionary_encode()
    # `take` has looked whether the indices are within the values: the codes it took are of the words.
    return pa.DictionaryArray.from_arrays(
        folded.indices.take(indices), folded.dictionary, safe=False
    )


def values_of(
    column: pa.DictionaryArray, make: Callable[[str], Any], kind: pa.DataType
) -> pa.Array:
    """A value made from each distinct text."""
    made = pa.array([make(v) for v in column.dictionary.to_pylist()], kind)
    return made.take(column.indices)


def absent(column: pa.DictionaryArray, *words: str) -> pa.DictionaryArray:
    """The same column with the log's words for nothing turned into null."""
    nothing_is = ["", "-", *words]
    shortest = pc.min(pc.binary_length(column.dictionary)).as_py()
    if shortest is None or shortest > max(map(len, nothing_is)):
        return column
    nothing = pc.is_in(column.dictionary, pa.array(nothing_is))
    if not pc.any(nothing).as_py():
        return column
    values = pc.if_else(nothing, pa.scalar(None, pa.string()), column.dictionary)
    return codes_to_text(column.indices, values)


def distinct(
    columns: Sequence[pa.DictionaryArray],
) -> tuple[pa.Array, list[tuple[str | None, ...]]]:
    """Each row's number in a list of the distinct combinations of values."""
    index = pa.array(np.zeros(len(columns[0]), np.int64))
    texts: list[list[str | None]] = []
    codes: list[Any] = []
    for column in columns:
        texts.append([*column.dictionary.to_pylist(), None])
        width = len(texts[-1])
        own = pc.fill_null(column.indices.cast(pa.int64()), width - 1)
        pair = pc.add(pc.multiply(index, width), own).dictionary_encode()
        before, last = np.divmod(pair.dictionary.to_numpy(), width)
        codes = [*(one[before] for one in codes), last]
        index = pair.indices.cast(pa.int64())
    named = zip(texts, codes, strict=True)
    return index, [*zip(*(map(some.__getitem__, at.tolist()) for some, at in named), strict=True)]


def codes_of(column: pa.DictionaryArray) -> pa.Array:
    """Its indices as wide numbers, with one beyond the dictionary for null."""
    codes = column.indices
    return (pc.fill_null(codes, len(column.dictionary)) if codes.null_count else codes).cast(
        pa.int64()
    )


def constant(value: str | None, rows: int) -> pa.DictionaryArray:
    """The same text in every row."""
    if value is None:
        return pa.nulls(rows, TEXT)
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows, np.int32)), pa.array([value], pa.string())
    )


def epoch_ms(seconds: pa.Array) -> pa.Array:
    """Whole milliseconds from seconds with a fraction."""
    return pc.cast(pc.round(pc.multiply(seconds, 1000.0)), pa.int64())
