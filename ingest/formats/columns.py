"""The engine for lines of columns: a delimiter, perhaps quotes, any number of columns a line.

Columns are found by position; nothing is counted to make it fit. Only the columns asked for are
made into text.
"""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import pyarrow as pa

from ingest.formats.arrays import text_of
from ingest.formats.block import NEWLINE, IntArray
from ingest.formats.lines import Lines, Mask, between, coded
from ingest.formats.quotes import Quoted, at


class Split:
    """Lines cut at a delimiter; a column is asked for by its name, or by its number from 0 as text.

    `repeated`: a run of delimiters is one. `quotes`: they group, doubled or after a backslash they
    stand for themselves. `unpaired`: lines whose quotes do not pair.
    """

    def __init__(
        self,
        lines: Lines,
        delimiter: bytes,
        *,
        names: Mapping[str, int] | None = None,
        quotes: str | None = None,
        repeated: bool = False,
        escapes: bool = False,
    ) -> None:
        self.lines, self.numbers, self.names = lines, lines.numbers, names or {}
        self._quotes, self._escapes = quotes, escapes
        block = lines.block
        self._quoted = Quoted(block, ord(quotes), escapes=escapes) if quotes else None
        cuts = _cuts(lines, delimiter, self._quoted, repeated=repeated)
        self._skip, self._blank = len(delimiter), b" " not in delimiter
        self._cuts = np.concatenate((cuts, [len(block.data)]))
        self._first = np.searchsorted(cuts, block.starts)
        self.counts = np.diff(np.append(self._first, len(cuts))) + 1
        self._made: dict[str, pa.DictionaryArray | None] = {}
        if repeated:
            self._trim(delimiter[0])

    def _trim(self, blank: int) -> None:
        """A line that begins or ends in delimiters has no columns there."""
        block = self.lines.block
        leads = (block.array[block.starts] == blank) & (block.ends > block.starts)
        self._first = self._first + leads
        self._starts = block.starts.copy()
        self._starts[leads] = self._cuts[self._first[leads] - 1] + 1
        last = block.array[np.maximum(block.ends - 1, 0)] == blank
        self.counts = np.maximum(self.counts - leads - (last & (block.ends > self._starts)), 0)

    @cached_property
    def _changed(self) -> bool:
        """Whether a quote may stand for itself anywhere."""
        data = self.lines.block.data
        twice = self.lines.block.holds(((self._quotes or "") * 2).encode())
        return twice or (self._escapes and b"\\" in data)

    @cached_property
    def _led(self) -> bool:
        """Whether a blank that delimits nothing stands before a quote anywhere."""
        return self._blank and self.lines.block.holds(f" {self._quotes}".encode())

    @cached_property
    def _starts(self) -> IntArray:
        return self.lines.block.starts

    @property
    def unpaired(self) -> Mask:
        """Lines in which a quote is left open."""
        if self._quoted is None:
            return np.zeros(len(self.lines), bool)
        odd: Mask = self._quoted.counts % 2 == 1
        return odd

    @cached_property
    def empty_end(self) -> Mask:
        """Lines that end in a delimiter, so that their last column is empty."""
        block = self.lines.block
        last = self._cuts[np.maximum(self._first + self.counts - 2, 0)] + self._skip
        found: Mask = (self.counts > 1) & (last == block.ends)
        return found

    def column(self, name: str) -> pa.DictionaryArray | None:
        """A column by name or number; from the end where the number is negative."""
        if name in self.lines.facts:
            return self.lines.facts[name]
        if name == "@columns":
            return coded(pa.array(self.counts).cast(pa.string()))
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def keys(self) -> set[str]:
        """The names there are."""
        return {*self.names}

    def _make(self, name: str) -> pa.DictionaryArray | None:
        place = self.names.get(name)
        if place is None:
            if not name.lstrip("-").isdigit():
                return None
            place = int(name)
        block, count = self.lines.block, self.counts
        if 0 <= place < self._least:
            at_ = self._first + place
            starts = self._cuts[at_ - 1] + self._skip if place else self._starts
            ends = np.minimum(self._cuts[at_], block.ends)
            return self._text(np.minimum(starts, ends), ends, None)
        index = np.full(len(count), place) if place >= 0 else count + place
        there = (index >= 0) & (index < count)
        at_ = np.where(there, self._first + index, 0)
        starts = np.where(index > 0, self._cuts[at_ - 1] + self._skip, self._starts)
        ends = np.minimum(self._cuts[at_], block.ends)
        starts, ends = np.where(there, starts, block.starts), np.where(there, ends, block.starts)
        return self._text(np.minimum(starts, ends), ends, there)

    @cached_property
    def _least(self) -> int:
        """How many columns every line has."""
        return int(self.counts.min(initial=1 << 30))

    def _text(self, starts: IntArray, ends: IntArray, there: Mask | None) -> pa.DictionaryArray:
        if self._quoted is None or not len(self._quoted.positions):
            return coded(between(self.lines.block, starts, ends, there))
        return self._unquoted(starts, ends, there)

    def _unquoted(self, starts: IntArray, ends: IntArray, there: Mask | None) -> pa.DictionaryArray:
        block, quote = self.lines.block, ord(self._quotes or '"')
        array = block.array
        if self._led:
            # `, "x"`: a blank before the opening quote belongs to nobody.
            blank = (ends - starts >= 3) & (array[starts] == ord(" "))
            starts = starts + (blank & (array[np.minimum(starts + 1, len(array) - 1)] == quote))
        wrapped = (ends - starts >= 2) & (array[starts] == quote)
        wrapped &= array[np.maximum(ends - 1, 0)] == quote
        column = coded(between(block, starts + wrapped, ends - wrapped, there))
        if self._changed:
            column = text_of(column, self._plain)
        return column

    def _plain(self, text: str) -> str:
        quote = self._quotes or '"'
        text = text.replace(quote * 2, quote)
        return text.replace("\\" + quote, quote) if self._escapes else text


def _cuts(lines: Lines, delimiter: bytes, quoted: Quoted | None, *, repeated: bool) -> IntArray:
    block = lines.block
    cuts = at(block, delimiter[0])
    if len(delimiter) > 1:
        array = block.array
        for offset, byte in enumerate(delimiter[1:], 1):
            cuts = cuts[cuts + offset < len(array)]
            cuts = cuts[array[cuts + offset] == byte]
    if quoted is not None and len(quoted.positions):
        cuts = quoted.outside(cuts)
    if repeated and len(cuts):
        # The first of a run starts a column; the last of it is where the next one begins.
        cuts = cuts[np.append(np.diff(cuts) != 1, True)] if _runs(cuts) else cuts
    return cuts


def _runs(cuts: IntArray) -> bool:
    return bool((np.diff(cuts) == 1).any())


__all__ = ["NEWLINE", "Split"]
