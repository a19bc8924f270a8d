"""Eight bytes at a time: what a loop over bytes would find, for many places at once."""

import numpy as np
import numpy.typing as npt

from ingest.formats.block import NEWLINE, IntArray

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
EACH = 0x0101010101010101
ONES, HIGH = np.uint64(EACH), np.uint64(0x80 * EACH)
WORD = 8
FIRST = np.array([(1 << 8 * n) - 1 for n in range(WORD + 1)], np.uint64)
"""Masks that leave the first bytes of a word, by how many of them."""

LAST = np.array([(1 << 64) - (1 << 8 * (8 - n)) for n in range(9)], np.uint64)
"""Masks that leave the last bytes of a word, by how many of them."""

REACH = 128
"""Bytes before a place that are compared, at most."""

FEW = 1 << 17
"""Words looked at together: they stay in the processor's cache."""

SHORT = 3
"""Words looked at before all places of the byte are sought."""


def words(array: Bytes) -> Words:
    """The eight bytes from each place on, without a copy; seven places fewer than bytes."""
    return np.ndarray((max(len(array) - 7, 0),), "<u8", array, strides=(1,))


def next_byte(array: Bytes, at: IntArray, byte: int) -> IntArray:
    """The first such byte at or after each place; the array's length where there is none."""
    at = np.minimum(at, len(array) - 1)
    every = words(array)
    for _ in range(SHORT if len(every) else 0):
        inside = np.minimum(at, len(every) - 1)
        step, found = _first(every[inside], byte)
        at = np.where(inside == at, at + step, at)
        if found.all() and (array[np.minimum(at, len(array) - 1)] == byte).all():
            return at
    places = np.append(np.flatnonzero(array == byte), len(array))
    return places[np.searchsorted(places, at)]


def _first(some: Words, byte: int) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """How many of eight bytes come before the first such one, and whether there is one."""
    other = some ^ np.uint64(byte * EACH)  # what was this byte is zero now
    marks = (other - ONES) & ~other & HIGH
    before = np.bitwise_count(~marks & (marks - np.uint64(1))) >> np.uint8(3)
    return before.astype(np.int32), marks != 0


class Ending:
    """What some lines hold before places of theirs."""

    def __init__(self, array: Bytes) -> None:
        self._every = words(np.resize(array, WORD) if len(array) < WORD else array)
        start = np.full(REACH + WORD, NEWLINE, np.uint8)
        start[REACH:][: len(array)] = array[:WORD]
        self._start = words(start)

    def alike(self, ends: IntArray, lengths: IntArray) -> npt.NDArray[np.bool_]:
        """Which rows of `ends` have the same bytes before each place as the first row: as many as
        `lengths` says for each column, REACH at most. Rows ascend."""
        same = np.ones(len(ends), bool)
        rest, back = lengths, WORD
        while len(some := np.flatnonzero(rest > 0)):
            kept = LAST[np.minimum(rest[some], WORD)]
            wanted = self._before(ends[:1, some], back)[0] & kept
            asked = ends if len(some) == ends.shape[1] else ends.take(some, axis=1)
            step = FEW // len(some) + 1
            for low in range(0, len(ends), step):
                found = self._before(asked[low : low + step], back)
                found ^= wanted
                found &= kept
                if found.any():
                    same[low : low + step] &= ~found.any(axis=1)
            rest, back = rest - WORD, back + WORD
        return same

    def _before(self, ends: IntArray, back: int) -> Words:
        """The words that begin so many bytes before each place; before all of them a line ends."""
        at = ends - back
        if not at.size or at[0].min() >= 0:
            return self._every[at]
        found: Words = self._every[np.maximum(at, 0)]
        early = at < 0
        found[early] = self._start[at[early] + REACH]
        return found
