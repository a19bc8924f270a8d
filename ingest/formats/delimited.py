"""Lines of blank-separated columns, quoted or not, read by Arrow's CSV reader a block at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ingest.formats.block import BACKSLASH, BLANK, HASH, NEWLINE, QUOTE, Block, IntArray, Reject

Kind = Literal["text", "int", "float"]
TEXT = pa.dictionary(pa.int32(), pa.string())
TYPES: dict[Kind, pa.DataType] = {"text": TEXT, "int": pa.int64(), "float": pa.float64()}
NUMBER: dict[Kind, str] = {"int": r"^-?\d{1,18}$", "float": r"^\d{1,12}(\.\d{1,9})?$"}


@dataclass(frozen=True)
class Column:
    """A column of the line: its name and what it holds."""

    name: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Layout:
    """Columns between single blanks; `quoted`: double quotes group, a backslash escapes them.

    `padded`: numbers may be right-aligned with blanks, as Squid's `%6tr` is.
    """

    columns: Sequence[Column]
    quoted: bool = False
    padded: bool = False


@dataclass
class Columns:
    """Columns of the lines that fit, `line` numbers beside them, and the lines that did not."""

    table: pa.Table
    rejects: list[Reject]
    ignored: int


def read_columns(block: Block, layout: Layout) -> Columns:
    """Split a block into typed columns; one bad line costs one reject, never its neighbours."""
    ignored = _blank_or_comment(block)
    odd = _odd_quotes(block, ignored) if layout.quoted else ignored[:0]
    data, lines = block.without(np.sort(np.concatenate((ignored, odd))))
    rejects = [Reject(int(n), "a double quote is opened and not closed") for n in odd]
    if not data:
        empty = [pa.array([], TYPES[c.kind]) for c in layout.columns]
        names = [c.name for c in layout.columns]
        table = pa.table(empty, names=names).append_column("line", pa.array([], pa.int64()))
        return Columns(table, rejects, len(ignored))
    data = _clean(data, layout.padded)
    dirty: list[tuple[int, str]] = []
    good = lines
    kept = lines
    try:
        table, wrong = _read(data, layout, typed=True)
    except pa.ArrowInvalid:
        # One number that is none fails a whole block: read it as text and cast what can be cast.
        table, wrong = _read(data, layout, typed=False)
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
    return np.flatnonzero((first == NEWLINE) | (first == HASH) | (first == 13))


def _odd_quotes(block: Block, skip: IntArray) -> IntArray:
    """Lines whose quotes do not pair: Arrow would join them with the lines that follow."""
    quotes = np.flatnonzero(block.array == QUOTE)
    if BACKSLASH in block.data:
        quotes = quotes[~_escaped(block, quotes)]
    counts = np.diff(np.searchsorted(quotes, np.append(block.starts, len(block.array))))
    return np.setdiff1d(np.flatnonzero(counts % 2), skip)


def _escaped(block: Block, quotes: IntArray) -> npt.NDArray[np.bool_]:
    """Whether an odd run of backslashes stands before each quote."""
    run = np.zeros(len(quotes), np.int64)
    at = quotes - 1
    open_ = at >= 0
    for _ in range(64):
        open_ &= block.array[np.maximum(at, 0)] == BACKSLASH
        if not open_.any():
            break
        run += open_
        at -= 1
        open_ &= at >= 0
    odd: npt.NDArray[np.bool_] = run % 2 == 1
    return odd


def _clean(data: bytes, padded: bool) -> bytes:
    """Bytes Arrow reads line by line: UTF-8, no bare CR, alignment blanks turned into zeros."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            data = data.decode("utf-8", "replace").encode()
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\xef\xbf\xbd")
    if padded and b"  " in data:
        array = np.frombuffer(data, np.uint8).copy()
        blank = array == BLANK
        array[1:][blank[1:] & blank[:-1]] = ord("0")
        data = array.tobytes()
    return data


def _read(data: bytes, layout: Layout, *, typed: bool) -> tuple[pa.Table, list[tuple[int, int]]]:
    wrong: list[tuple[int, int]] = []

    def skip(row: csv.InvalidRow) -> str:
        # The reader counts from 1 where no header row is read.
        wrong.append((row.number - 1, row.actual_columns))
        return "skip"

    names = [c.name for c in layout.columns]
    types = {c.name: TYPES[c.kind] if typed else TEXT for c in layout.columns}
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
            check_utf8=False,
            null_values=["-"],
            strings_can_be_null=False,
        ),
    )
    return table, wrong


def _cast(table: pa.Table, layout: Layout) -> tuple[pa.Table, list[tuple[int, str]], IntArray]:
    """Numbers out of text; rows in which one is none are named and left out."""
    bad: dict[int, str] = {}
    texts = {}
    for column in layout.columns:
        if column.kind == "text":
            continue
        text = table[column.name].cast(pa.string())
        text = pc.replace_substring_regex(text, pattern=r"^0+-", replacement="-")
        text = pc.if_else(pc.equal(text, "-"), pa.scalar(None, pa.string()), text)
        fits = pc.fill_null(pc.match_substring_regex(text, NUMBER[column.kind]), True)
        for row in np.flatnonzero(~fits.to_numpy(zero_copy_only=False)):
            bad.setdefault(int(row), f"{column.name} is not a number")
        texts[column.name] = text
    good = np.setdiff1d(np.arange(table.num_rows), np.array(sorted(bad), np.int64))
    table = table.take(pa.array(good))
    for column in layout.columns:
        if column.name in texts:
            values = texts[column.name].take(pa.array(good)).cast(TYPES[column.kind])
            table = table.set_column(table.column_names.index(column.name), column.name, values)
    return table, sorted(bad.items()), good
