"""Pairs in lines that have the same keys in the same order, as a device's lines mostly do.

The keys of one line are looked for in all others at once, where they stand in that line; lines that
differ are left to the engine that looks at each pair.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.formats.arrays import constant
from ingest.formats.block import BACKSLASH, NEWLINE, IntArray
from ingest.formats.lines import Columns, Lines, Mask, between, coded
from ingest.formats.pairs import ALWAYS_BETWEEN, LONGEST_KEY, Pairs, Syntax
from ingest.formats.quotes import Escapes
from ingest.formats.words import LAST, Bytes, Words, next_byte, words

ORDERS = 16
"""Orders of keys that are looked for in a block."""

BEFORE = b"@before"
"""What stands before the first key of a line, as a column."""

MOST_MARKS = 1000
"""Signs and quotes of a line that are compared with those of others: no device writes more."""

FEW = 1 << 14
"""Words looked at together: they stay in the processor's cache."""

PAD = 128


@dataclass(frozen=True)
class Order:
    """Lines with the same keys, and at which of their marks each key stands (the first of its name)."""

    rows: IntArray
    first: IntArray  # their first marks
    quotes: Mask  # which of their marks are quotes, in all of them
    keys: dict[bytes, int]
    lead: tuple[int, int]  # the mark of the first key, and its bytes


class Marks:
    """Signs and quotes of a block, line by line, but for signs that stand within quotes.

    `odd`: whether a quote is left open anywhere, so that nothing here holds.
    """

    def __init__(self, lines: Lines, syntax: Syntax) -> None:
        block, sign, quote = lines.block, syntax.sign[0], syntax.quotes[0]
        array = block.array
        found = np.flatnonzero((array == sign) | (array == quote))
        quotes = array[found] == quote
        places = found.astype(np.int32)
        if BACKSLASH in block.data:
            keep = np.ones(len(places), bool)
            keep[quotes] = ~Escapes(block).before(places[quotes])
            places, quotes = places[keep], quotes[keep]
        odd = (np.cumsum(quotes, dtype=np.int32) & 1).astype(bool)
        inside = odd & ~quotes
        if inside.any():
            places, quotes, odd = (some[~inside] for some in (places, quotes, odd))
        self.past = np.searchsorted(places, block.ends)
        self.odd = bool(np.append(odd, False)[self.past - 1].any())
        self.counts = np.diff(self.past, prepend=0)
        self.first = self.past - self.counts
        self.places, self.quotes = places, quotes


class Alike:
    """The pairs of lines, by key; `left`: those lines whose pairs are found one by one."""

    def __init__(self, lines: Lines, syntax: Syntax, marks: Marks) -> None:
        self.lines, self.numbers, self._syntax, self._marks = lines, lines.numbers, syntax, marks
        self._words = words(_padded(lines.block.array, NEWLINE))
        self._kinds = words(_padded(marks.quotes.view(np.uint8), 0))
        stops = re.escape(syntax.sign + syntax.between + syntax.quotes + ALWAYS_BETWEEN)
        led = re.escape(syntax.between + ALWAYS_BETWEEN)
        self._key = re.compile(rb"(?:^|(?<=[" + led + rb"]))[^" + stops + rb"]+$")
        self._orders: list[Order] = []
        self.left = self._sorted_out()
        self._made: dict[str, pa.DictionaryArray | None] = {}
        self._others: Pairs | None = None
        if len(self.left):
            self._others = Pairs(lines.take(self.left), syntax)
            self._mine = np.setdiff1d(np.arange(len(lines)), self.left)
            self._back = pa.array(np.argsort(np.concatenate((self._mine, self.left))))

    def _sorted_out(self) -> IntArray:
        """Find the orders most lines have; the lines that have another one."""
        left = np.arange(len(self.lines))
        strange: list[IntArray] = []
        for _ in range(ORDERS):
            if not len(left):
                break
            rows = self._marked_as(int(left[0]), left)
            keys = self._keys(int(rows[0]))
            if keys:
                rows = rows[self._like(rows, keys)]
                self._orders.append(self._order(rows, keys))
            else:
                rows = rows[:1]
                strange.append(rows)
            left = np.setdiff1d(left, rows, assume_unique=True)
        return np.sort(np.concatenate((*strange, left)))

    def _order(self, rows: IntArray, keys: Sequence[tuple[int, bytes]]) -> Order:
        first, count = self._marks.first[rows], int(self._marks.counts[rows[0]])
        quotes = self._marks.quotes[first[0] : first[0] + count]
        places = {key: mark for mark, key in reversed(keys)}
        return Order(rows, first, quotes, places, (keys[0][0], len(keys[0][1])))

    def _marked_as(self, model: int, rows: IntArray) -> IntArray:
        """Those of the rows that have as many signs and quotes as the model, in its order."""
        count = int(self._marks.counts[model])
        rows = rows[self._marks.counts[rows] == count]
        if not 0 < count <= MOST_MARKS:
            return rows
        past = self._marks.past[rows][:, None]
        return rows[_same(self._kinds, past, np.array([count]))]

    def _keys(self, row: int) -> list[tuple[int, bytes]]:
        """The keys of a line by mark; none where one of its signs follows no key, or they are many."""
        block, marks = self.lines.block, self._marks
        first, start, count = marks.first[row], int(block.starts[row]), int(marks.counts[row])
        if count > MOST_MARKS:
            return []
        found = []
        for mark in np.flatnonzero(~marks.quotes[first : first + count]).tolist():
            place = int(marks.places[first + mark])
            # A key longer than may be fills the window, and is told by its length.
            key = self._key.search(block.data[max(start, place - LONGEST_KEY - 1) : place])
            if key is None or len(key[0]) > LONGEST_KEY:
                return []
            found.append((mark, key[0]))
        return found

    def _like(self, rows: IntArray, keys: Sequence[tuple[int, bytes]]) -> Mask:
        """Which of the rows have the keys of their first, each after the same byte."""
        at = np.array([mark for mark, _ in keys])
        places = self._marks.places[self._marks.first[rows][:, None] + at]
        return _same(self._words, places, np.array([len(key) + 1 for _, key in keys]))

    def keys(self) -> set[str]:
        """All keys of the block: for those who want to know what there is."""
        mine = {k.decode("utf-8", "replace") for order in self._orders for k in order.keys}
        return mine | (self._others.keys() if self._others else set())

    def column(self, name: str) -> pa.DictionaryArray | None:
        """The values of a key; where a line has it twice, the first."""
        if name in self.lines.facts:
            return self.lines.facts[name]
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> pa.DictionaryArray | None:
        mine = self._found(name.encode())
        if self._others is None:
            return mine
        others = self._others.column(name)
        if mine is None and others is None:
            return None
        pieces = [
            pa.nulls(count, pa.string()) if c is None else c.cast(pa.string())
            for c, count in ((mine, len(self._mine)), (others, len(self.left)))
        ]
        return coded(pa.chunked_array(pieces)).take(self._back)

    def _found(self, key: bytes) -> pa.DictionaryArray | None:
        having = [order for order in self._orders if key in order.keys or key == BEFORE]
        if not having:
            return None
        block = self.lines.block
        if len(having[0].rows) == len(self.lines):
            starts, ends = self._values(having[0], key)
            if self._one(starts, ends):
                return constant(block.data[starts[0] : ends[0]].decode(), len(starts))
            return coded(between(block, starts, ends))
        low, high = block.starts.copy(), block.starts.copy()
        there = np.zeros(len(low), bool)
        for order in having:
            low[order.rows], high[order.rows] = self._values(order, key)
            there[order.rows] = True
        if self._others is not None:
            low, high, there = low[self._mine], high[self._mine], there[self._mine]
        return coded(between(block, low, high, None if there.all() else there))

    def _one(self, starts: IntArray, ends: IntArray) -> bool:
        """Whether all values are the same: a device's name, a day, a kind of record."""
        length = int(ends[0] - starts[0])
        if not 0 < length <= PAD or (ends - starts != length).any():
            return False
        return bool(_same(self._words, ends[:, None], np.array([length])).all())

    def _values(self, order: Order, key: bytes) -> tuple[IntArray, IntArray]:
        """From where to where the values of a key stand in the lines of an order."""
        places, block = self._marks.places, self.lines.block
        if key == BEFORE:
            mark, size = order.lead
            return block.starts[order.rows], places[order.first + mark] - size
        mark = order.keys[key]
        starts = places[order.first + mark] + 1
        ends, quoted = starts, np.zeros(len(starts), bool)
        if order.quotes[mark + 1 : mark + 2].any():
            # A sign within quotes is no mark: after the quote that opens comes the one that closes.
            quoted = places[order.first + mark + 1] == starts
            starts, ends = starts + quoted, places[order.first + mark + 2]
            if quoted.all():
                return starts, ends
        bare = next_byte(block.array, starts[~quoted], self._syntax.between[0])
        ends = ends.copy()
        ends[~quoted] = np.minimum(bare, block.ends[order.rows[~quoted]])
        return starts, ends


def _padded(array: Bytes, byte: int) -> Bytes:
    padded = np.full(len(array) + PAD, byte, np.uint8)
    padded[PAD:] = array
    return padded


def _same(every: Words, ends: IntArray, lengths: IntArray) -> Mask:
    """Which rows of `ends`, each a place in padded bytes, have the same bytes before them as the first
    row: as many as `lengths` says for each column."""
    alike = np.ones(len(ends), bool)
    rest, back = lengths, 8
    while len(some := np.flatnonzero(rest > 0)):
        kept = LAST[np.minimum(rest[some], 8)]
        wanted = every[ends[0, some] + (PAD - back)] & kept
        asked = ends if len(some) == ends.shape[1] else ends.take(some, axis=1)
        step = FEW // len(some) + 1
        for low in range(0, len(ends), step):
            found = every[asked[low : low + step] + (PAD - back)]
            found ^= wanted
            found &= kept
            if found.any():
                alike[low : low + step] &= ~found.any(axis=1)
        rest, back = rest - 8, back + 8
    return alike


def pairs(lines: Lines, syntax: Syntax) -> Columns:
    """The pairs of lines, by the engine that suits them."""
    plain = len(syntax.sign) == len(syntax.between) == len(syntax.quotes) == 1
    special: Any = syntax.spaced or syntax.escapes or syntax.blank_keys or syntax.keys
    if not plain or special or syntax.sign == b":" or len(lines) < ORDERS:
        return Pairs(lines, syntax)
    marks = Marks(lines, syntax)
    if marks.odd:
        return Pairs(lines, syntax)
    made = Alike(lines, syntax, marks)
    return made if len(made.left) * 2 < len(lines) else Pairs(lines, syntax)
