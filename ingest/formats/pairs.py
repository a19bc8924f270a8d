"""The engine for lines of `key=value`, whatever stands between them: tokens found with array work.

A key is a run of letters, digits and `_ . - @ #` after a separator; a value is quoted, or ends at the
next separator, or (`spaced`) at the next key.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.formats.arrays import text_of
from ingest.formats.block import NEWLINE, Block, IntArray
from ingest.formats.lines import Lines, Mask, between, coded
from ingest.formats.quotes import Quoted, unescaped

PAD = 32
LONGEST_KEY = 64
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
        breaks = np.flatnonzero(_breaking(syntax)[block.array])
        kinds = block.array[breaks]
        self._quoted = _Unquoted(block, syntax)
        signs = np.flatnonzero(kinds == syntax.sign[0])
        signs = signs[signs > 0] if not _starts_line(breaks, signs) else signs
        self._signs(breaks, kinds, signs)

    def _signs(self, breaks: IntArray, kinds: npt.NDArray[np.uint8], signs: IntArray) -> None:
        """Keep the signs that stand right after a key."""
        block, syntax = self.lines.block, self.syntax
        ends = breaks[signs]
        before = np.where(signs > 0, breaks[np.maximum(signs - 1, 0)], -1)
        kind = np.where(signs > 0, kinds[np.maximum(signs - 1, 0)], NEWLINE)
        starts = before + 1
        good = (ends > starts) & np.isin(kind, np.frombuffer(_before(syntax), np.uint8))
        if len(syntax.sign) > 1:
            for offset, byte in enumerate(syntax.sign[1:], 1):
                follows = np.minimum(ends + offset, len(block.array) - 1)
                good &= block.array[follows] == byte
        starts, ends = starts[good], ends[good]
        line = np.searchsorted(block.ends, ends)
        outside = ~self._quoted.inside(ends, line)
        if syntax.escapes:
            plain = np.isin(ends, unescaped(block, ends), assume_unique=True)
            outside &= plain
        self.starts, self.ends, self.line = starts[outside], ends[outside], line[outside]
        if syntax.blank_keys:
            blanks = block.array[np.minimum(self.starts, len(block.array) - 1)] == ord(" ")
            self.starts = self.starts + blanks
        padded = np.zeros(len(block.array) + PAD, np.uint8)
        padded[PAD:] = block.array
        self._words = np.ndarray((len(padded) - 7,), dtype="<u8", buffer=padded.data, strides=(1,))
        self._lengths = self.ends - self.starts
        self._tails = _masked(self._words[self.ends + PAD - 8], self._lengths)
        if syntax.keys:
            self._only(syntax.keys)

    def _only(self, keys: Sequence[str]) -> None:
        """Keep the pairs with these keys."""
        found = np.sort(np.concatenate([self._find(key.encode()) for key in keys]))
        self.starts, self.ends, self.line = self.starts[found], self.ends[found], self.line[found]
        self._lengths, self._tails = self._lengths[found], self._tails[found]

    @property
    def counts(self) -> IntArray:
        """Pairs of each line."""
        return np.bincount(self.line, minlength=len(self.lines))

    def keys(self) -> set[str]:
        """All keys of the block: for those who want to know what there is."""
        if not len(self.ends):
            return set()
        before = _masked(self._words[self.ends + PAD - 16], self._lengths - 8)
        kinds = np.stack((self._tails, before, self._lengths.astype(np.uint64)))
        _, first = np.unique(kinds, axis=1, return_index=True)
        data = self.lines.block.data
        return {
            data[self.starts[n] : self.ends[n]].decode("utf-8", "replace")
            for n in first[:MOST_KEYS].tolist()
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
        at = pair[there]
        starts, ends = self._values(at)
        block = self.lines.block
        low, high = block.starts.copy(), block.starts.copy()
        low[there], high[there] = starts, ends
        column = coded(between(block, low, high, there))
        return text_of(column, _unescape) if self.syntax.escapes else column

    def _find(self, key: bytes) -> IntArray:
        if not 0 < len(key) <= LONGEST_KEY:
            return self.ends[:0]
        tail = key[-8:].rjust(8, b"\0")
        want = np.frombuffer(tail, "<u8")[0]
        found = np.flatnonzero((self._lengths == len(key)) & (self._tails == want))
        for back in range(8, len(key), 8):
            part = key[max(0, len(key) - back - 8) : len(key) - back].rjust(8, b"\0")
            word = self._words[self.ends[found] + PAD - 8 - back]
            word = _masked(word, self._lengths[found] - back)
            found = found[word == np.frombuffer(part, "<u8")[0]]
        return found

    def _values(self, at: IntArray) -> tuple[IntArray, IntArray]:
        block, syntax = self.lines.block, self.syntax
        line_end = block.ends[self.line[at]]
        starts = np.minimum(self.ends[at] + len(syntax.sign), line_end)
        if syntax.sign == b":":  # some products write it twice
            starts = starts + ((block.array[starts] == syntax.sign[0]) & (starts < line_end))
        ends = (
            self._next_key(at, line_end) if syntax.spaced else self._next_between(starts, line_end)
        )
        quoted = np.isin(block.array[starts], np.frombuffer(syntax.quotes, np.uint8))
        quoted &= starts < line_end
        if quoted.any():
            opening = starts[quoted]
            ends[quoted] = self._quoted.closing(opening, line_end[quoted])
            starts = starts + quoted
        ends = np.maximum(ends, starts)
        return starts, ends

    def _next_between(self, starts: IntArray, line_end: IntArray) -> IntArray:
        stops = self._stops
        found = stops[np.minimum(np.searchsorted(stops, starts), len(stops) - 1)]
        return np.where(found >= starts, np.minimum(found, line_end), line_end)

    @property
    def _stops(self) -> IntArray:
        block = self.lines.block
        if not hasattr(self, "_stopped"):
            stops = np.flatnonzero(block.array == self.syntax.between[0])
            for offset, byte in enumerate(self.syntax.between[1:], 1):
                stops = stops[block.array[np.minimum(stops + offset, len(block.array) - 1)] == byte]
            self._stopped = stops if len(stops) else np.array([len(block.array)])
        return self._stopped

    def _next_key(self, at: IntArray, line_end: IntArray) -> IntArray:
        following = np.minimum(at + 1, len(self.starts) - 1)
        same = (at + 1 < len(self.starts)) & (self.line[following] == self.line[at])
        ends = np.where(same, self.starts[following], line_end)
        array = self.lines.block.array
        gap = np.frombuffer(self.syntax.between + b" \t,;", np.uint8)
        for _ in range(4):
            trailing = np.isin(array[np.maximum(ends - 1, 0)], gap)
            trailing &= ends > self.ends[at] + 1
            if not trailing.any():
                break
            ends = ends - trailing
        return ends


class _Unquoted:
    """Quotes that open a value: those after a sign, and the ones that close them."""

    def __init__(self, block: Block, syntax: Syntax) -> None:
        self._of = [
            Quoted(block, quote, escapes=True) for quote in syntax.quotes if quote in block.data
        ]
        self._block = block

    def inside(self, positions: IntArray, line: IntArray) -> Mask:
        inside = np.zeros(len(positions), bool)
        for quoted in self._of[:1]:
            inside |= quoted.inside(positions, line)
        return inside

    def closing(self, opening: IntArray, otherwise: IntArray) -> IntArray:
        ends = otherwise.copy()
        kinds = self._block.array[opening]
        for quoted in self._of:
            mine = (
                kinds == self._block.array[quoted.positions[0]] if len(quoted.positions) else None
            )
            if mine is not None and mine.any():
                ends[mine] = quoted.closing(opening[mine], otherwise[mine])
        return ends


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


def _starts_line(breaks: IntArray, signs: IntArray) -> bool:
    return bool(len(signs)) and signs[0] == 0 and breaks[0] > 0


def _masked(words: npt.NDArray[np.uint64], lengths: IntArray) -> npt.NDArray[np.uint64]:
    """Little-endian words whose last `length` bytes stay."""
    drop = np.clip(8 - lengths, 0, 7).astype(np.uint64) * np.uint64(8)
    return np.where(lengths > 0, words >> drop << drop, np.uint64(0))


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
