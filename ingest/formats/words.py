"""Eight bytes at a time: what a loop over bytes would find, for many places at once."""

import numpy as np
import numpy.typing as npt

from ingest.formats.block import IntArray

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
EACH = 0x0101010101010101
ONES, HIGH = np.uint64(EACH), np.uint64(0x80 * EACH)
WORD = 8
FIRST = np.array([(1 << 8 * n) - 1 for n in range(WORD + 1)], np.uint64)
"""Masks that leave the first bytes of a word, by how many of them."""

LAST = np.array([(1 << 64) - (1 << 8 * (8 - n)) for n in range(9)], np.uint64)
"""Masks that leave the last bytes of a word, by how many of them."""

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
