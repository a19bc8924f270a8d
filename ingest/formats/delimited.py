"""Lines of blank-separated columns, quoted or not, read by Arrow's CSV reader a block at a time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ingest.formats.block import (
    ASCII,
    BLANK,
    HASH,
    NEWLINE,
    QUOTE,
    RETURN,
    Block,
    IntArray,
    Reject,
    beside,
)
from ingest.formats.lines import utf8
from ingest.formats.quotes import Escapes
from ingest.formats.words import EACH, FIRST, WORD, next_byte, words

Data = bytes | memoryview
Kind = Literal["text", "int", "float", "unread"]
TEXT = pa.dictionary(pa.int32(), pa.string())
TYPES: dict[Kind, pa.DataType] = {
    "text": TEXT,
    "int": pa.int64(),
    "float": pa.float64(),
    "unread": pa.null(),
}
NUMBER: dict[Kind, str] = {
    "int": r"^-?0*\d{1,18}$",
    "float": r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$",
}
"""What Arrow takes for a number, less its hexadecimals and words."""

BLANKS = np.uint64(EACH * BLANK)
TO_ZEROS = FIRST & np.uint64(EACH * (BLANK ^ ord("0")))
"""What makes `0` of the first blanks of a word, by how many of them: they differ in one bit."""

SIGNS = np.frombuffer(b" \n-", np.uint8)
LIMITS: dict[Kind, tuple[int, int]] = {"int": (1 - 10**18, 10**18), "float": (0, 10**12)}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MARKS_AT_START = re.compile(rb"^(?:\xef\xbb\xbf)+", re.MULTILINE)
TRAILING = re.compile(rb"(?<![\\ ]) +\n")


@dataclass(frozen=True)
class Column:
    """A column of the line: its name and what it holds; `unread`: it has to be there, no more."""

    name: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Layout:
    """Columns between single blanks; `quoted`: double quotes group, a backslash escapes them.

    `padded`: columns whose number may be right-aligned with blanks, as Squid's `%6tr` is.
    """

    columns: Sequence[Column]
    quoted: bool = False
    padded: Sequence[int] = ()

    @property
    def read(self) -> list[Column]:
        """The columns that are looked into."""
        return [c for c in self.columns if c.kind != "unread"]


@dataclass
class Columns:
    """Columns of the lines that fit, `line` numbers beside them, and the lines that did not."""

    table: pa.Table
    rejects: list[Reject]
    ignored: int


def read_columns(block: Block, layout: Layout) -> Columns:
    """Split a block into typed columns; one bad line costs one reject, never its neighbours."""
    ignored = _blank_or_comment(block)
    unpaired = _unpaired(block, ignored) if layout.quoted else ignored[:0]
    data, lines = block.without(np.sort(np.concatenate((ignored, unpaired))))
    rejects = [Reject(int(n), "its double quotes do not pair") for n in unpaired]
    if not data:
        empty = [pa.array([], TYPES[c.kind]) for c in layout.read]
        names = [c.name for c in layout.read]
        table = pa.table(empty, names=names).append_column("line", pa.array([], pa.int64()))
        return Columns(table, rejects, len(ignored))
    text = _clean(block if data is block.data else Block(data), layout)
    dirty: list[tuple[int, str]] = []
    good = lines
    kept = lines
    try:
        table, wrong = _read(text, layout, typed=True)
        plain = _plain(text, table, layout)
    except pa.ArrowInvalid:
        plain = False
    if not plain:
        # One number that is none fails a whole block: read it as text and cast what can be cast.
        table, wrong = _read(text, layout, typed=False)
        table, dirty, good = _cast(table, layout)
    for number, actual in wrong:
        expected = len(layout.columns)
        rejects.append(
            Reject(int(lines[number]), f"{actual} columns where {expected} are expected")
        )
    if wrong:
        kept = np.delete(kept, [number for number, _ in wrong])
    if dirty:
        rejects += [Reject(int(kept[row]), reason) for row, reason in dirty]
        kept = kept[good]
    return Columns(table.append_column("line", pa.array(kept)), rejects, len(ignored))


def _blank_or_comment(block: Block) -> IntArray:
    if not len(block.ends):
        return block.ends
    first = block.array[block.starts]
    bare_return = (first == RETURN) & (block.ends - block.starts == 1)
    return np.flatnonzero((first == NEWLINE) | (first == HASH) | bare_return)


def _unpaired(block: Block, skip: IntArray) -> IntArray:
    """Lines Arrow would join with the next: quotes that do not pair, or a backslash at the end.

    A quote opens at the start of a column and closes at its end; anything else is not understood.
    """
    array, escapes = block.array, Escapes(block)
    quotes = np.flatnonzero(array == QUOTE)
    quotes = quotes[~escapes.before(quotes)]
    first = np.searchsorted(quotes, block.starts)
    line = np.searchsorted(block.ends, quotes)
    opens = (np.arange(len(quotes)) - first[line]) % 2 == 0
    before, after = array[np.maximum(quotes - 1, 0)], array[quotes + 1]
    starts = (quotes == block.starts[line]) | ((before == BLANK) & ~escapes.before(quotes - 1))
    ends = (after == BLANK) | (after == NEWLINE) | (after == RETURN)
    wrong = line[np.where(opens, ~starts, ~ends)]
    counts = np.diff(np.append(first, len(quotes)))
    odd = np.flatnonzero(counts % 2)
    returned = array[np.maximum(block.ends - 1, 0)] == RETURN
    escaped = np.flatnonzero(escapes.before(block.ends - returned))
    return np.setdiff1d(np.concatenate((wrong, odd, escaped)), skip)


def _clean(block: Block, layout: Layout) -> Data:
    """Bytes Arrow reads line by line: UTF-8, no bare CR, no blanks at the end or for alignment."""
    data = block.data
    if block.array.max(initial=0) > ASCII:
        data = utf8(data)
        if BYTE_ORDER_MARK in data:
            data = MARKS_AT_START.sub(b"", data)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\xef\xbf\xbd")
    if data is not block.data:
        block = Block(data)
    if (block.array[np.maximum(block.ends - 1, 0)] == BLANK).any():
        block = Block(TRAILING.sub(b"\n", data))
    return _zero_filled(block, layout.padded) if layout.padded else block.data


def _zero_filled(block: Block, padded: Sequence[int]) -> memoryview:
    """Blanks that align a number become zeros; blanks anywhere else stay what they are."""
    array = block.array.copy()
    for column in padded:
        at = block.starts
        for _ in range(column):
            at = next_byte(array, at, BLANK) + 1
        _fill(array, at[at < len(array)])
    return array.data


def _fill(array: npt.NDArray[np.uint8], at: IntArray) -> None:
    """Put zeros for the blanks that begin at these places."""
    every = words(array)
    if len(at) and at[-1] < len(every) and (np.diff(at) >= WORD).all():
        # Eight bytes at a time: no two of these words share a byte.
        some = every[at]
        other = some ^ BLANKS
        leading = np.bitwise_count((other & (~other + np.uint64(1))) - np.uint64(1)) >> np.uint8(3)
        padded = np.flatnonzero(leading)
        every[at[padded]] = some[padded] | TO_ZEROS[leading[padded]]
        at = at[leading == WORD] + WORD
    while len(at := at[array[np.minimum(at, len(array) - 1)] == BLANK]):
        array[at] = ord("0")
        at = at + 1


def _plain(data: Data, table: pa.Table, layout: Layout) -> bool:
    """Whether the numbers Arrow read are written as numbers of a log: no `nan`, `1e300`, `0x1F`."""
    if _hexadecimal(np.frombuffer(data, np.uint8)):
        return False
    for column in layout.read:
        if column.kind != "text":
            found = pc.min_max(table[column.name]).as_py()
            low, high = LIMITS[column.kind]
            if found["min"] is not None and not low <= found["min"] <= found["max"] < high:
                return False
            if column.kind == "float" and pc.any(pc.is_nan(table[column.name])).as_py():
                return False
    return True


def _hexadecimal(array: npt.NDArray[np.uint8]) -> bool:
    """Whether a column may begin with `0x` or `0X`."""
    found = beside(array, b"0x", ignored=b"\0\x20")
    return any(np.isin(array[zeros - 1], SIGNS).any() for zeros in found)


def _read(data: Data, layout: Layout, *, typed: bool) -> tuple[pa.Table, list[tuple[int, int]]]:
    wrong: list[tuple[int, int]] = []

    def skip(row: csv.InvalidRow) -> str:
        # The reader counts from 1 where no header row is read.
        wrong.append((row.number - 1, row.actual_columns))
        return "skip"

    names = [c.name for c in layout.columns]
    types = {c.name: TYPES[c.kind] if typed else TEXT for c in layout.read}
    table = csv.read_csv(
        pa.BufferReader(data),
        read_options=csv.ReadOptions(
            column_names=names, use_threads=False, block_size=len(data) + 1
        ),
        parse_options=csv.ParseOptions(
            delimiter=" ",
            quote_char='"' if layout.quoted else False,
            double_quote=False,
            escape_char="\\" if layout.quoted else False,
            newlines_in_values=False,
            ignore_empty_lines=False,
            invalid_row_handler=skip,
        ),
        convert_options=csv.ConvertOptions(
            column_types=types,
            include_columns=[*types],
            check_utf8=False,
            null_values=["-"],
            strings_can_be_null=False,
        ),
    )
    return table, wrong


def _cast(table: pa.Table, layout: Layout) -> tuple[pa.Table, list[tuple[int, str]], IntArray]:
    """Numbers out of text; rows in which one is none are named and left out."""
    bad: dict[int, str] = {}
    for index, column in enumerate(layout.read):
        if column.kind == "text":
            continue
        text = table[column.name].cast(pa.string())
        text = pc.replace_substring_regex(text, pattern=r"^0+-", replacement="-")
        said = pc.fill_null(pc.not_equal(text, "-"), False)
        text = pc.ascii_trim(text, " \t")
        fits = pc.fill_null(pc.match_substring_regex(text, NUMBER[column.kind]), False)
        nothing = pa.scalar(None, pa.string())
        values = pc.if_else(fits, text, nothing).cast(TYPES[column.kind])
        low, high = LIMITS[column.kind]
        within = pc.and_(pc.greater_equal(values, low), pc.less(values, high))
        wrong = pc.and_(said, pc.invert(pc.fill_null(within, False)))
        for row in np.flatnonzero(wrong.to_numpy(zero_copy_only=False)):
            bad.setdefault(int(row), f"{column.name} is not a number")
        table = table.set_column(index, column.name, values)
    good = np.setdiff1d(np.arange(table.num_rows), np.array(sorted(bad), np.int64))
    return table.take(pa.array(good)), sorted(bad.items()), good
