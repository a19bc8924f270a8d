"""Pairs in lines that have the same keys in the same order, as a device's lines mostly do.

The keys of one line are looked for in all others at once, where they stand in that line; lines that
differ are left to the engine that looks at each pair.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.formats.arrays import constant
from ingest.formats.bits import Bits
from ingest.formats.block import BACKSLASH, IntArray
from ingest.formats.lines import Columns, Lines, Mask, between, coded
from ingest.formats.pairs import ALWAYS_BETWEEN, LONGEST_KEY, Pairs, Syntax
from ingest.formats.quotes import Escapes
from ingest.formats.words import REACH, Ending, next_byte

ORDERS = 16
"""Orders of keys that are looked for in a block."""

BEFORE = b"@before"
"""What stands before the first key of a line, as a column."""

MOST_SIGNS = 1000
"""Signs of a line whose keys are compared with those of others: no device writes more."""


@dataclass(frozen=True)
class Order:
    """Lines with the same keys, and at which of their signs each key ends (the first of its name).

    `quoted`: whether each value stands in quotes, in all of these lines, with nothing but one separator
    between it and the next key; None where there is more, and each value has to be looked at.
    """

    rows: IntArray
    first: IntArray  # their first signs
    keys: dict[bytes, int]
    sizes: list[int]  # bytes of the key before each sign
    quoted: list[bool] | None


class Signs:
    """Where the keys of a block end, line by line: its signs, but for those that stand within quotes.

    `odd`: whether a quote is left open anywhere, so that nothing here holds. `quotes` and `parting`: how
    many quotes, and separators outside them, follow the first sign of each line. `plain`: lines whose
    quotes all open a value right after its sign, or close it.
    """

    def __init__(self, lines: Lines, syntax: Syntax) -> None:
        block, array = lines.block, lines.block.array
        quotes, signs = (Bits.of(array, some[0]) for some in (syntax.quotes, syntax.sign))
        if BACKSLASH in block.data:
            found = quotes.places()
            quotes = quotes.cleared(found[Escapes(block).before(found)])
        within = quotes.enclosed()
        self.odd = bool(within.at(block.ends).any())
        self.every_quote, signs = quotes, signs.without(within)
        self.places = signs.places()
        past = np.searchsorted(self.places, block.ends)
        self.counts = np.diff(past, prepend=0)
        self.first = past - self.counts
        since = np.append(self.places, 0)[self.first]  # of lines without a sign nobody asks
        opening = quotes.both(signs.following())
        parting = Bits.of(array, syntax.between[0]).without(within)
        self.quotes, opened, self.parting = (
            some.before(block.ends) - some.before(since) for some in (quotes, opening, parting)
        )
        self.plain = self.quotes == 2 * opened


class Alike:
    """The pairs of lines, by key; `left`: those lines whose pairs are found one by one."""

    def __init__(self, lines: Lines, syntax: Syntax, signs: Signs) -> None:
        self.lines, self.numbers, self._syntax, self._signs = lines, lines.numbers, syntax, signs
        self._ending = Ending(lines.block.array)
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
            keys = self._keys(int(left[0]))
            if keys:
                order = self._order(left, keys)
                self._orders.append(order)
                rows = order.rows
            else:
                rows = left[:1]
                strange.append(rows)
            left = np.setdiff1d(left, rows, assume_unique=True)
        return np.sort(np.concatenate((*strange, left)))

    def _keys(self, row: int) -> list[bytes]:
        """The keys of a line; none where one of its signs follows no key, or they are many."""
        block, signs = self.lines.block, self._signs
        first, start, count = signs.first[row], int(block.starts[row]), int(signs.counts[row])
        if count > MOST_SIGNS:
            return []
        found = []
        for place in signs.places[first : first + count].tolist():
            # A key longer than may be fills the window, and is told by its length.
            key = self._key.search(block.data[max(start, place - LONGEST_KEY - 1) : place])
            if key is None or len(key[0]) > LONGEST_KEY:
                return []
            found.append(key[0])
        return found

    def _order(self, rows: IntArray, keys: Sequence[bytes]) -> Order:
        """Those of the rows that have the keys of the first of them, each after the same byte."""
        block, signs, model = self.lines.block, self._signs, int(rows[0])
        sizes = np.array([len(key) for key in keys])
        quoted = self._quoted(model, sizes)
        lengths = sizes + 1
        rows = rows[signs.counts[rows] == signs.counts[model]]
        if quoted is not None:
            # As many quotes and separators, all of them where the model has them: no value holds any.
            for said in (signs.quotes, signs.parting, signs.plain):
                rows = rows[said[rows] == said[model]]
            lengths[1:] += quoted[:-1]
            if quoted[-1]:
                rows = rows[block.array[block.ends[rows] - 1] == self._syntax.quotes[0]]
        places = signs.places[signs.first[rows][:, None] + np.arange(len(keys))]
        rows = rows[self._ending.alike(places, lengths)]
        numbers = {key: number for number, key in reversed([*enumerate(keys)])}
        fixed = None if quoted is None else quoted.tolist()
        return Order(rows, signs.first[rows], numbers, sizes.tolist(), fixed)

    def _quoted(self, row: int, sizes: IntArray) -> Mask | None:
        """Which values of a line stand in quotes; None where one byte alone does not part all pairs."""
        array, signs, quote = self.lines.block.array, self._signs, self._syntax.quotes[0]
        first = signs.first[row]
        places = signs.places[first : first + len(sizes)]
        ends = np.append(places[1:] - sizes[1:] - 1, self.lines.block.ends[row])
        opened: Mask = array[places + 1] == quote
        closed = (array[ends - 1] == quote) | ~opened
        parted = array[ends[:-1]] == self._syntax.between[0]
        alone = signs.plain[row] and signs.parting[row] == len(sizes) - 1
        return opened if alone and parted.all() and closed.all() else None

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
        if not 0 < length <= REACH or (ends - starts != length).any():
            return False
        return bool(self._ending.alike(ends[:, None], np.array([length])).all())

    def _values(self, order: Order, key: bytes) -> tuple[IntArray, IntArray]:
        """From where to where the values of a key stand in the lines of an order."""
        places, block = self._signs.places, self.lines.block
        if key == BEFORE:
            return block.starts[order.rows], places[order.first] - order.sizes[0]
        number, line_ends = order.keys[key], block.ends[order.rows]
        starts = places[order.first + number] + 1
        if order.quoted is None:
            return self._sought(starts, line_ends)
        ends = line_ends
        if number + 1 < len(order.sizes):
            ends = places[order.first + number + 1] - order.sizes[number + 1] - 1
        inside = order.quoted[number]
        return starts + inside, ends - inside

    def _sought(self, starts: IntArray, line_ends: IntArray) -> tuple[IntArray, IntArray]:
        """From where to where values stand, whatever else is between them and the next key."""
        array, syntax = self.lines.block.array, self._syntax
        quoted = array[starts] == syntax.quotes[0]
        starts, ends = starts + quoted, line_ends.copy()
        ends[quoted] = self._closing[np.searchsorted(self._closing, starts[quoted])]
        bare = next_byte(array, starts[~quoted], syntax.between[0])
        ends[~quoted] = np.minimum(bare, line_ends[~quoted])
        return starts, ends

    @cached_property
    def _closing(self) -> IntArray:
        """All quotes: from the first byte of a value on, the next one closes it."""
        return self._signs.every_quote.places()


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
