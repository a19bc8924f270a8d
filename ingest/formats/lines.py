"""Records of a block as text, on their way through envelopes to an engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.arrays import TEXT
from ingest.formats.block import ASCII, NEWLINE, Block, IntArray

Mask = npt.NDArray[np.bool_]


class Columns(Protocol):
    """What an engine makes of lines: columns of text by name, one value a record."""

    @property
    def numbers(self) -> IntArray:
        """The line each record begins at."""
        ...

    def column(self, name: str) -> pa.DictionaryArray | None:
        """The column, null where a record has none; None where no record could have it."""
        ...


@dataclass(frozen=True)
class Lines:
    """Whole records, one a line, in valid UTF-8; `facts`: columns an envelope said of each.

    `opened`: these records without an envelope, None where there is none; a sample is opened once,
    not by every format that is tried on it.
    """

    block: Block
    numbers: IntArray
    facts: Mapping[str, pa.DictionaryArray] = field(default_factory=dict)
    opened: dict[str, "Lines | None"] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def texts(self) -> pa.StringArray:
        """Each record without its newline, without a copy."""
        return between(self.block, self.block.starts, self.block.ends)

    def take(self, keep: IntArray) -> "Lines":
        """Some of the records, in their order."""
        if len(keep) == len(self):
            return self
        facts = {name: column.take(pa.array(keep)) for name, column in self.facts.items()}
        return Lines(cut(self.block, self.block.starts[keep], self.block.ends[keep]), self.numbers[keep], facts)  # fmt: skip

    def at(self, starts: IntArray, facts: Mapping[str, pa.DictionaryArray]) -> "Lines":
        """The same records from later starts on, with other facts."""
        return Lines(cut(self.block, starts, self.block.ends), self.numbers, facts)


def utf8(data: bytes) -> bytes:
    """The same bytes where they are UTF-8; else with U+FFFD for each that is not."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace").encode()
    return data


def clean(block: Block) -> Lines:
    """The lines of a block as UTF-8 without NUL, CR and byte order marks at their start."""
    data = block.data
    if block.array.max(initial=0) > ASCII:  # a third of `isascii`, and others run meanwhile
        data = utf8(data).replace(b"\xef\xbb\xbf", b"")
    if b"\0" in data:
        data = data.replace(b"\0", b"")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b" ")
    made = block if data is block.data else Block(data)
    return Lines(made, np.arange(len(made.ends), dtype=np.int64))


def between(block: Block, starts: IntArray, ends: IntArray, there: Mask | None = None) -> pa.Array:
    """The bytes of a block from each start to its end as text, null where not `there`."""
    return slices(pa.py_buffer(block.data), starts, ends, there)


def slices(
    data: pa.Buffer, starts: IntArray, ends: IntArray, there: Mask | None = None
) -> pa.StringArray:
    """The bytes from each start to its end as text, null where not `there`.

    Starts and ends ascend: s0 <= e0 <= s1 <= e1 and so on.
    """
    at = np.arange(0, 2 * len(starts), 2, dtype=np.int32)
    pieces = interleaved(data, starts, ends)
    return pieces.take(pa.array(at, mask=None if there is None else ~there))


def interleaved(data: pa.Buffer, starts: IntArray, ends: IntArray) -> pa.StringArray:
    """As `slices`, without a copy: after each text stands what lies between it and the next."""
    offsets = np.empty(2 * len(starts) + 1, np.int32)
    offsets[0:-1:2], offsets[1::2] = starts, ends
    offsets[-1] = offsets[-2] if len(starts) else 0
    return pa.StringArray.from_buffers(2 * len(starts), pa.py_buffer(offsets), data)


def cut(block: Block, starts: IntArray, ends: IntArray) -> Block:
    """A block of other lines: from each start to its end, which is a newline."""
    texts = between(block, starts, ends + 1)
    return Block(joined(texts))


def joined(texts: pa.StringArray) -> bytes:
    """Texts that each end in a newline, as the bytes of a block."""
    if not len(texts):
        return b""
    buffers = texts.buffers()
    offsets = np.frombuffer(buffers[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return bytes(memoryview(buffers[2])[offsets[0] : offsets[-1]])


def from_texts(
    texts: pa.Array, numbers: IntArray, facts: Mapping[str, pa.DictionaryArray]
) -> Lines:
    """Lines of texts that came out of an envelope; newlines within become blanks."""
    flat = pc.replace_substring_regex(texts, pattern=r"[\r\n]+$", replacement="")
    flat = pc.replace_substring_regex(flat, pattern=r"[\r\n]+", replacement=" ")
    ended = pc.binary_join_element_wise(flat, "\n", "")
    ended = ended.combine_chunks() if isinstance(ended, pa.ChunkedArray) else ended
    return Lines(Block(joined(ended)), numbers, facts)


def coded(texts: pa.Array) -> pa.DictionaryArray:
    """Text as a dictionary column."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    found = texts.dictionary_encode()
    return found if found.type == TEXT else found.cast(TEXT)


@dataclass(frozen=True)
class Subset:
    """Some records of others' columns."""

    columns: Columns
    rows: IntArray

    @property
    def numbers(self) -> IntArray:
        """Their line numbers."""
        return self.columns.numbers[self.rows]

    def column(self, name: str) -> pa.DictionaryArray | None:
        """A column of these records only."""
        whole = self.columns.column(name)
        return whole if whole is None else whole.take(pa.array(self.rows))


def some(columns: Columns, rows: IntArray) -> Columns:
    """Some records of others' columns; all of them are those columns themselves."""
    return columns if len(rows) == len(columns.numbers) else Subset(columns, rows)


@dataclass(frozen=True)
class Beside:
    """Others' columns with some more beside them."""

    columns: Columns
    more: Mapping[str, pa.DictionaryArray]

    @property
    def numbers(self) -> IntArray:
        """Their line numbers."""
        return self.columns.numbers

    def column(self, name: str) -> pa.DictionaryArray | None:
        """A column, of those beside first."""
        return self.more[name] if name in self.more else self.columns.column(name)


@dataclass(frozen=True)
class Table:
    """Columns that are all made already."""

    numbers: IntArray
    made: Mapping[str, pa.DictionaryArray]

    def column(self, name: str) -> pa.DictionaryArray | None:
        """A column by name."""
        return self.made.get(name)


__all__ = ["NEWLINE", "Beside", "Columns", "Lines", "Mask", "Subset", "Table", "between", "clean", "coded", "cut", "from_texts", "slices", "some"]  # fmt: skip
