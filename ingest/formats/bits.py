"""Marks on the bytes of a block, one bit each, so that 64 of them are worked on at once."""

from dataclasses import dataclass

import numpy as np

from ingest.formats.block import IntArray
from ingest.formats.lines import Mask
from ingest.formats.words import Bytes, Words

BITS = 64
ONE, LAST = np.uint64(1), np.uint64(BITS - 1)
STRETCH = 1 << 18
"""Bytes looked at together: they stay in the processor's cache."""

EVERY = np.uint64((1 << BITS) - 1)
DOUBLING = [np.uint64(1 << n) for n in range(6)]


@dataclass(frozen=True)
class Bits:
    """Which of `length` places are marked; places beyond are not."""

    words: Words
    length: int

    @staticmethod
    def of(array: Bytes, byte: int) -> "Bits":
        """Where a byte stands."""
        words = np.zeros(len(array) // BITS + 1, np.uint64)
        packed = words.view(np.uint8)
        for low in range(0, len(array), STRETCH):
            some = np.packbits(array[low : low + STRETCH] == byte, bitorder="little")
            packed[low // 8 : low // 8 + len(some)] = some
        return Bits(words, len(array))

    def cleared(self, places: IntArray) -> "Bits":
        """Without some of the marked places."""
        words = self.words.copy()
        np.bitwise_and.at(words, places >> 6, ~(ONE << (places & 63).astype(np.uint64)))
        return Bits(words, self.length)

    def both(self, other: "Bits") -> "Bits":
        """Where both are marked."""
        return Bits(self.words & other.words, self.length)

    def without(self, other: "Bits") -> "Bits":
        """Where this one is marked and the other is not."""
        return Bits(self.words & ~other.words, self.length)

    def following(self) -> "Bits":
        """The place after each marked one."""
        carried = np.concatenate((np.zeros(1, np.uint64), self.words[:-1] >> LAST))
        return Bits(self.words << ONE | carried, self.length)

    def enclosed(self) -> "Bits":
        """From each first, third, … marked place on, up to the one marked next."""
        odd = self.words.copy()
        for step in DOUBLING:
            odd ^= odd << step
        # A word begins as the one before it ended.
        ended = np.cumsum(odd >> LAST, dtype=np.uint64) & ONE
        odd[1:] ^= ended[:-1] * EVERY
        return Bits(odd, self.length)

    def at(self, places: IntArray) -> Mask:
        """Whether each of some places is marked."""
        found: Mask = (self.words[places >> 6] >> (places & 63).astype(np.uint64) & ONE) != 0
        return found

    def before(self, places: IntArray) -> IntArray:
        """How many are marked before each of some places."""
        word = places >> 6
        counts = np.cumsum(np.bitwise_count(self.words), dtype=np.int32)
        below = (ONE << (places & 63).astype(np.uint64)) - ONE
        within = np.bitwise_count(self.words[word] & below)
        found: IntArray = np.where(word > 0, counts[word - 1], 0) + within
        return found

    def places(self) -> IntArray:
        """The places that are marked."""
        packed, found = self.words.view(np.uint8), [np.empty(0, np.int32)]
        for low in range(0, self.length, STRETCH):
            count = min(STRETCH, self.length - low)
            marks = np.unpackbits(packed[low // 8 :], count=count, bitorder="little").view(bool)
            found.append(np.flatnonzero(marks).astype(np.int32) + np.int32(low))
        return np.concatenate(found)
