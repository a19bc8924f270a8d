"""The engine for lines of `key=value`, whatever stands between them: tokens found with array work.

A key is a run of letters, digits and `_ . - @ #` after a separator; a value is quoted, or ends at the
next separator, or (`spaced`) at the next key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.formats.arrays import text_of
from ingest.formats.block import BACKSLASH, NEWLINE, Block, IntArray
from ingest.formats.lines import Lines, Mask, between, coded
from ingest.formats.quotes import lines_of, unescaped

LONGEST_KEY = 64
PAD = LONGEST_KEY
STEPS = 24
MOST_KEYS = 4000
KEY = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-@#$%/")
ALWAYS_BETWEEN = b"\n\t [(<{;,|"


@dataclass(frozen=True)
class Syntax:
    """How pairs are written: what stands between them, the sign, quotes; `spaced` values hold blanks.

    `blank_keys`: keys may hold blanks (`Prefilter Policy: …`). `keys`: nothing else is a key, where
    values hold `=` and blanks that nothing escapes.
    """

    between: bytes = b" "
    sign: bytes = b"="
    quotes: bytes = b'"'
    spaced: bool = False
    escapes: bool = False
    blank_keys: bool = False
    keys: tuple[str, ...] = ()


class Pairs:
    """The pairs of lines, by key."""

    def __init__(self, lines: Lines, syntax: Syntax) -> None:
        self.lines, self.numbers, self.syntax = lines, lines.numbers, syntax
        self._made: dict[str, pa.DictionaryArray | None] = {}
        block = lines.block
        # Half the width of numpy's own positions: these arrays are larger than the caches.
        self._breaks = _breaks(block, syntax).astype(np.int32)
        self._kinds = block.array[self._breaks]
        self._quotes = self._open_or_close()
        self._signs(np.flatnonzero(self._kinds == syntax.sign[0]))

    def _open_or_close(self) -> Mask:
        """Which of the breaks are quotes that no backslash takes away."""
        quotes = np.zeros(len(self._kinds), bool)
        for quote in self.syntax.quotes:
            quotes |= self._kinds == quote
        if BACKSLASH in self.lines.block.data and quotes.any():
            where = self._breaks[quotes]
            quotes[quotes] = np.isin(where, unescaped(self.lines.block, where), assume_unique=True)
        return quotes

    def _signs(self, signs: IntArray) -> None:
        """Keep the signs that stand right after a key, outside quotes."""
        block, syntax = self.lines.block, self.syntax
        ends = self._breaks[signs]
        before = np.where(signs > 0, self._breaks[np.maximum(signs - 1, 0)], -1)
        kind = np.where(signs > 0, self._kinds[np.maximum(signs - 1, 0)], NEWLINE)
        good = (ends > before + 1) & _TABLES[_before(syntax)][kind]
        for offset, byte in enumerate(syntax.sign[1:], 1):
            good &= block.array[np.minimum(ends + offset, len(block.array) - 1)] == byte
        if syntax.escapes:
            good &= np.isin(ends, unescaped(block, ends), assume_unique=True)
        line = lines_of(block, ends)
        if self._quotes.any():
            main = self._quotes & (self._kinds == syntax.quotes[0])
            quotes = np.cumsum(main, dtype=np.int32)
            base = np.concatenate(([0], quotes[np.flatnonzero(self._kinds == NEWLINE)]))
            good &= (quotes[signs] - base[line]) % 2 == 0
        self._at, self.ends, self.line = signs[good], ends[good], line[good]
        self.starts = before[good] + 1
        if syntax.blank_keys:
            first = block.array[np.minimum(self.starts, len(block.array) - 1)]
            self.starts = self.starts + (first == ord(" "))
        padded = np.zeros(len(block.array) + PAD, np.uint8)
        padded[PAD:] = block.array
        self._words = np.ndarray((len(padded) - 3,), dtype="<u4", buffer=padded.data, strides=(1,))
        self._lengths = self.ends - self.starts
        self._tails = _masked(self._words[self.ends + (PAD - 4)], self._lengths)
        if syntax.keys:
            self._only(syntax.keys)

    def _only(self, keys: Sequence[str]) -> None:
        """Keep the pairs with these keys."""
        found = np.sort(np.concatenate([self._find(key.encode()) for key in keys]))
        self.starts, self.ends, self.line = self.starts[found], self.ends[found], self.line[found]
        self._at, self._lengths = self._at[found], self._lengths[found]
        self._tails = self._tails[found]
        del self._sorted

    @property
    def counts(self) -> IntArray:
        """Pairs of each line."""
        return np.bincount(self.line, minlength=len(self.lines))

    def keys(self) -> set[str]:
        """All keys of the block: for those who want to know what there is."""
        if not len(self.ends):
            return set()
        mixed = self._tails * _ODD ^ self._lengths.astype(np.uint32)
        for back in (4, 8, 12):
            longer = self._lengths > back
            if not longer.any():
                break
            part = _masked(self._words[self.ends + (PAD - 4 - back)], self._lengths - back)
            mixed = (mixed ^ np.where(longer, part, np.uint32(0)) * _OTHER) * _ODD
        bucket = (mixed >> np.uint32(14)).astype(np.int32)
        # Written backwards: the first pair of each kind stays.
        first = np.full(1 << 18, -1, np.int32)
        first[bucket[::-1]] = np.arange(len(bucket), dtype=np.int32)[::-1]
        data = self.lines.block.data
        return {
            data[self.starts[n] : self.ends[n]].decode("utf-8", "replace")
            for n in first[first >= 0][:MOST_KEYS].tolist()
        }

    def column(self, name: str) -> pa.DictionaryArray | None:
        """The values of a key; where a line has it twice, the first."""
        if name in self.lines.facts:
            return self.lines.facts[name]
        if name not in self._made:
            self._made[name] = self._before() if name == "@before" else self._make(name)
        return self._made[name]

    def _before(self) -> pa.DictionaryArray:
        """What stands before the first key of each line."""
        block = self.lines.block
        line, first = np.unique(self.line, return_index=True)
        ends = block.starts.copy()
        ends[line] = self.starts[first]
        return coded(between(block, block.starts, ends))

    def _make(self, name: str) -> pa.DictionaryArray | None:
        found = self._find(name.encode())
        if not len(found):
            return None
        # Written backwards, so that the first of a line stays.
        pair = np.full(len(self.lines), -1)
        pair[self.line[found][::-1]] = found[::-1]
        there = pair >= 0
        starts, ends = self._values(pair[there])
        block = self.lines.block
        low, high = block.starts.copy(), block.starts.copy()
        low[there], high[there] = starts, ends
        column = coded(between(block, low, high, there))
        return text_of(column, _unescape) if self.syntax.escapes else column

    def _find(self, key: bytes) -> IntArray:
        if not 0 < len(key) <= LONGEST_KEY:
            return self.ends[:0]
        want = np.frombuffer(key[-4:].rjust(4, b"\0"), "<u4")[0]
        order, buckets = self._sorted
        bucket = _bucket(np.array([want], np.uint32))[0]
        low, high = np.searchsorted(buckets, [bucket, int(bucket) + 1])
        found: IntArray = np.sort(order[low:high])
        found = found[self._tails[found] == want]
        found = found[self._lengths[found] == len(key)]
        for back in range(4, len(key), 4):
            part = key[max(0, len(key) - back - 4) : len(key) - back].rjust(4, b"\0")
            word = self._words[self.ends[found] + (PAD - 4 - back)]
            word = _masked(word, self._lengths[found] - back)
            found = found[word == np.frombuffer(part, "<u4")[0]]
        return found

    @cached_property
    def _sorted(self) -> tuple[IntArray, npt.NDArray[np.uint16]]:
        """The pairs by the ends of their keys, so that each key is found without asking all."""
        buckets = _bucket(self._tails)
        order = np.argsort(buckets, kind="stable")
        return order, buckets[order]

    @cached_property
    def _closing(self) -> dict[int, Mask]:
        """The breaks that are quotes, by which quote they are."""
        return {quote: self._quotes & (self._kinds == quote) for quote in self.syntax.quotes}

    def _values(self, pairs: IntArray) -> tuple[IntArray, IntArray]:
        block, syntax = self.lines.block, self.syntax
        line_end = block.ends[self.line[pairs]]
        starts = np.minimum(self.ends[pairs] + len(syntax.sign), line_end)
        if syntax.sign == b":":  # some products write it twice
            starts = starts + ((block.array[starts] == syntax.sign[0]) & (starts < line_end))
        following = np.minimum(self._at[pairs] + 1, len(self._breaks) - 1)
        following = following + (self._breaks[following] < starts)
        following = np.minimum(following, len(self._breaks) - 1)
        quoted = self._quotes[following] & (self._breaks[following] == starts)
        if syntax.spaced:
            ends = self._next_key(pairs, line_end)
        else:
            ends = self._until(following, self._stops, line_end, ~quoted)
        if quoted.any():
            # A break of the kind that opened the value closes it.
            for quote, closes in self._closing.items():
                mine = quoted & (self._kinds[following] == quote)
                if mine.any():
                    ends = np.where(mine, self._until(following + 1, closes, line_end, mine), ends)
            # A value whose quote is never closed is cut, and half a name is another name: nothing.
            ends = np.where(quoted & (ends >= line_end), starts, ends)
            starts = starts + quoted
        return starts, np.maximum(ends, starts)

    @cached_property
    def _stops(self) -> Mask:
        """Breaks that end a bare value."""
        between_, array = self.syntax.between, self.lines.block.array
        stops: Mask = self._kinds == between_[0]
        for offset, byte in enumerate(between_[1:], 1):
            following = array[np.minimum(self._breaks + offset, len(array) - 1)]
            # `","` between: the last pair ends with its first byte.
            stops &= (following == byte) | (following == NEWLINE)
        return stops

    def _until(self, first: IntArray, closes: Mask, line_end: IntArray, asked: Mask) -> IntArray:
        """Where the first closing break at or after `first` stands, or the end of the line."""
        ends = line_end.copy()
        active = np.flatnonzero(asked)
        at = np.minimum(first[active], len(self._breaks) - 1)
        for _ in range(STEPS):
            here = self._breaks[at]
            done = closes[at] | (here >= line_end[active])
            ends[active[done]] = np.minimum(here[done], line_end[active[done]])
            active, at = active[~done], np.minimum(at[~done] + 1, len(self._breaks) - 1)
            if not len(active):
                return ends
        # A long value: search for what closes it.
        places = self._breaks[closes]
        if len(places):
            index = np.minimum(np.searchsorted(places, self._breaks[at]), len(places) - 1)
            found = places[index]
            later = (found >= self._breaks[at]) & (found < line_end[active])
            ends[active[later]] = found[later]
        return ends

    def _next_key(self, pairs: IntArray, line_end: IntArray) -> IntArray:
        following = np.minimum(pairs + 1, len(self.starts) - 1)
        same = (pairs + 1 < len(self.starts)) & (self.line[following] == self.line[pairs])
        ends = np.where(same, self.starts[following], line_end)
        array = self.lines.block.array
        gap = _TABLES[self.syntax.between + b" \t,;"]
        for _ in range(4):
            trailing = gap[array[np.maximum(ends - 1, 0)]] & (ends > self.ends[pairs] + 1)
            if not trailing.any():
                break
            ends = ends - trailing
        return ends


class _Tables(dict[bytes, Mask]):
    """Which of the 256 bytes are among some."""

    def __missing__(self, some: bytes) -> Mask:
        table = np.zeros(256, bool)
        table[list(some)] = True
        self[some] = table
        return table


_TABLES = _Tables()


def _breaks(block: Block, syntax: Syntax) -> IntArray:
    """Positions where a key can begin or end.

    What can stand in a key matters only where a bare value may hold blanks; elsewhere few bytes do.
    """
    if syntax.spaced or syntax.blank_keys:
        return np.flatnonzero(_breaking(syntax)[block.array])
    found = block.array == syntax.sign[0]
    for byte in {NEWLINE, syntax.between[0], *syntax.quotes, *_before(syntax)} - {syntax.sign[0]}:
        if byte in block.data:
            found |= block.array == byte
    return np.flatnonzero(found)


def _breaking(syntax: Syntax) -> npt.NDArray[np.bool_]:
    """Bytes that cannot stand in a key."""
    table = np.ones(256, bool)
    table[list(KEY)] = False
    if syntax.blank_keys:
        table[ord(" ")] = False
    table[list(syntax.sign[:1] + syntax.between[:1])] = True
    return table


def _before(syntax: Syntax) -> bytes:
    if syntax.blank_keys:
        return syntax.between[:1] + b"\n"
    return bytes({*syntax.between[:1], *ALWAYS_BETWEEN} if not syntax.spaced else {*syntax.between[:1], *b"\n\t |"})  # fmt: skip


_ODD, _OTHER = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)
_DROP = np.array([32, 24, 16, 8, 0], np.uint32)


def _bucket(tails: Any) -> Any:
    """Sixteen bits of the end of a key, or of many."""
    return ((tails * _ODD) >> np.uint32(16)).astype(np.uint16)


def _masked(words: npt.NDArray[np.uint32], lengths: IntArray) -> npt.NDArray[np.uint32]:
    """Little-endian words of which the last `length` bytes stay."""
    drop = _DROP[np.clip(lengths, 1, 4)]
    return words >> drop << drop


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    out, skip = [], False
    for at, letter in enumerate(text):
        if skip:
            skip = False
            continue
        if letter == "\\" and at + 1 < len(text) and text[at + 1] in '=|\\nr"]':
            out.append({"n": " ", "r": " "}.get(text[at + 1], text[at + 1]))
            skip = True
        else:
            out.append(letter)
    return "".join(out)
