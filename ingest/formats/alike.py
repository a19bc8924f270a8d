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

from ingest.formats.block import BACKSLASH, NEWLINE, IntArray
from ingest.formats.lines import Columns, Lines, Mask, between, coded
from ingest.formats.pairs import ALWAYS_BETWEEN, LONGEST_KEY, Pairs, Syntax
from ingest.formats.quotes import Escapes
from ingest.formats.words import LAST, next_byte, words

ORDERS = 16
"""Orders of keys that are looked for in a block."""

BEFORE = b"@before"
"""What stands before the first key of a line, as a column."""

MOST_SIGNS = 500
"""Pairs of a line that are compared with those of others: no device writes more."""

FEW = 512
"""Lines looked at together: their keys stay in the processor's cache."""

PAD = 128


@dataclass(frozen=True)
class Order:
    """Lines with the same keys, and at which of their signs each key stands (the first of its name)."""

    rows: IntArray
    first: IntArray  # their first signs
    keys: dict[bytes, int]
    lead: int  # bytes of the first key


class Signs:
    """The signs of a block that stand outside quotes, line by line.

    `odd`: whether a quote is left open anywhere, so that nothing here holds.
    """

    def __init__(self, lines: Lines, syntax: Syntax) -> None:
        block, sign, quote = lines.block, syntax.sign[0], syntax.quotes[0]
        array = block.array
        marks = np.flatnonzero((array == sign) | (array == quote)).astype(np.int32)
        kinds = array[marks]
        quotes = kinds == quote
        if BACKSLASH in block.data:
            some = np.flatnonzero(quotes)
            quotes[some] = ~Escapes(block).before(marks[some])
        before = np.cumsum(quotes, dtype=np.int32)
        newlines = np.searchsorted(marks, block.ends)
        self.odd = bool((np.append(np.int32(0), before)[newlines] & 1).any())
        at = np.flatnonzero((kinds == sign) & (before & 1 == 0))
        self.places, self.opening = marks[at], before[at]
        self.quotes = np.append(marks[quotes], np.full(2, len(array), np.int32))
        past = np.searchsorted(at, newlines)
        self.counts = np.diff(past, prepend=0)
        self.first = past - self.counts


class Alike:
    """The pairs of lines, by key; `left`: those lines whose pairs are found one by one."""

    def __init__(self, lines: Lines, syntax: Syntax, signs: Signs) -> None:
        self.lines, self.numbers, self._syntax, self._signs = lines, lines.numbers, syntax, signs
        array = lines.block.array
        padded = np.full(len(array) + PAD, NEWLINE, np.uint8)
        padded[PAD:] = array
        self._words = words(padded)
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
            model = int(left[0])
            keys = self._keys(model)
            rows = left[self._signs.counts[left] == self._signs.counts[model]]
            rows = rows[self._like(model, rows, [len(key) for key in keys])] if keys else left[:1]
            if keys:
                places = {key: len(keys) - 1 - n for n, key in enumerate(reversed(keys))}
                self._orders.append(Order(rows, self._signs.first[rows], places, len(keys[0])))
            else:
                strange.append(rows)
            left = np.setdiff1d(left, rows, assume_unique=True)
        return np.sort(np.concatenate((*strange, left)))

    def _keys(self, row: int) -> list[bytes]:
        """The keys of a line; none where one of its signs does not follow a key, or they are many."""
        block, signs = self.lines.block, self._signs
        first, start, count = signs.first[row], int(block.starts[row]), int(signs.counts[row])
        if count > MOST_SIGNS:
            return []
        places = signs.places[first : first + count].tolist()
        # A key longer than may be fills the window, and is told by its length.
        near = [block.data[max(start, place - LONGEST_KEY - 1) : place] for place in places]
        found = [self._key.search(text) for text in near]
        keys = [key[0] for key in found if key]
        return (
            keys
            if len(keys) == len(places) and max(map(len, keys), default=0) <= LONGEST_KEY
            else []
        )

    def _like(self, model: int, rows: IntArray, lengths: Sequence[int]) -> Mask:
        """Which of the rows have the model's keys where it has them, each after the same byte."""
        own = self._signs.first[model] + np.arange(len(lengths))
        alike = np.ones(len(rows), bool)
        rest, back = np.array(lengths) + 1, 8
        while len(some := np.flatnonzero(rest > 0)):
            kept = LAST[np.minimum(rest[some], 8)]
            wanted = self._words[self._signs.places[own[some]] + (PAD - back)] & kept
            for low in range(0, len(rows), FEW):
                first = self._signs.first[rows[low : low + FEW]]
                places = self._signs.places[first[:, None] + some]
                found = self._words[places + (PAD - back)] & kept
                alike[low : low + FEW] &= (found == wanted).all(axis=1)
            rest, back = rest - 8, back + 8
        return alike

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
            return coded(between(block, *self._values(having[0], key)))
        low, high = block.starts.copy(), block.starts.copy()
        there = np.zeros(len(low), bool)
        for order in having:
            low[order.rows], high[order.rows] = self._values(order, key)
            there[order.rows] = True
        if self._others is not None:
            low, high, there = low[self._mine], high[self._mine], there[self._mine]
        return coded(between(block, low, high, None if there.all() else there))

    def _values(self, order: Order, key: bytes) -> tuple[IntArray, IntArray]:
        """From where to where the values of a key stand in the lines of an order."""
        signs, block = self._signs, self.lines.block
        if key == BEFORE:
            return block.starts[order.rows], signs.places[order.first] - order.lead
        at = order.first + order.keys[key]
        starts, opening = signs.places[at] + 1, signs.opening[at]
        quoted = signs.quotes[opening] == starts
        if quoted.all():
            return starts + 1, signs.quotes[opening + 1]
        ends = np.where(quoted, signs.quotes[opening + 1], 0)
        bare = ~quoted
        ends[bare] = next_byte(block.array, starts[bare], self._syntax.between[0])
        return starts + quoted, np.minimum(ends, block.ends[order.rows])


def pairs(lines: Lines, syntax: Syntax) -> Columns:
    """The pairs of lines, by the engine that suits them."""
    plain = len(syntax.sign) == len(syntax.between) == len(syntax.quotes) == 1
    special: Any = syntax.spaced or syntax.escapes or syntax.blank_keys or syntax.keys
    if not plain or special or syntax.sign == b":" or len(lines) < ORDERS:
        return Pairs(lines, syntax)
    signs = Signs(lines, syntax)
    if signs.odd:
        return Pairs(lines, syntax)
    made = Alike(lines, syntax, signs)
    return made if len(made.left) * 2 < len(lines) else Pairs(lines, syntax)
