"""Texts met before, found for many at once: no string is made of what is known already."""

import os

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.block import IntArray
from ingest.formats.words import FIRST, WORD, words

Hashes = npt.NDArray[np.uint64]
LONGEST = 256
"""Bytes of a text that is remembered; what is longer is met anew each time."""

PROBES = 64
"""Places looked at for a text. One that finds none free is not remembered: whoever could make many texts
of one hash would otherwise make the table grow without end."""


class Texts:
    """Numbers of texts, in the order in which they were first met.

    A hash table on arrays: a lookup in a Python dict costs a string, its hash, and two waits for
    memory. Each text found is compared with the one that was remembered. Readers need no lock, those
    who `add` do.
    """

    def __init__(self) -> None:
        # Its own for each run: nobody can write hosts that all fall into one place.
        self._factor = np.uint64(int.from_bytes(os.urandom(8), "little") | 1)
        self._known = pa.array([], pa.string())
        self._hashes = np.zeros(0, np.uint64)
        self._table = _Table(self._hashes)

    def __len__(self) -> int:
        return len(self._known)

    def of(self, texts: pa.StringArray) -> IntArray:
        """The number of each text, -1 where it was never added (or found no place); none is null."""
        table = self._table
        numbers = table.of(self._hashed(texts))
        # Taken after the table, so that every number it has is there; null where there is none.
        known = self._known.take(pa.array(numbers, mask=numbers < 0))
        same = pc.fill_null(pc.equal(known, texts), False).to_numpy(zero_copy_only=False)
        numbers[~same] = -1
        return numbers

    @staticmethod
    def fits(texts: pa.StringArray) -> npt.NDArray[np.bool_]:
        """Which texts are short enough to be remembered."""
        short: npt.NDArray[np.bool_] = pc.binary_length(texts).to_numpy() <= LONGEST
        return short

    def add(self, texts: pa.StringArray) -> None:
        """Remember distinct texts that are not known and that fit."""
        self._known = pa.concat_arrays([self._known, texts])
        self._hashes = np.append(self._hashes, self._hashed(texts))
        if not self._table.add(self._hashes):
            self._table = _Table(self._hashes)

    def _hashed(self, texts: pa.StringArray) -> Hashes:
        """A number that tells texts apart nearly always; 0 of a text too long to be remembered."""
        _, offsets, data = texts.buffers()
        places = np.frombuffer(offsets or b"", np.int32)[
            texts.offset : texts.offset + len(texts) + 1
        ]
        if len(places) < 2:
            return np.zeros(0, np.uint64)
        starts, lengths = places[:-1] - places[0], np.diff(places)
        held = np.frombuffer(data or b"", np.uint8)[places[0] : places[-1]]
        every = words(np.append(held, np.zeros(WORD, np.uint8)))
        hashes = (lengths.astype(np.uint64) + np.uint64(1)) * self._factor
        rows = np.flatnonzero(lengths <= LONGEST)
        for at in range(0, LONGEST, WORD):
            rows = rows[lengths[rows] > at]
            if not len(rows):
                break
            left = np.minimum(lengths[rows] - at, WORD)
            mixed = (hashes[rows] ^ (every[starts[rows] + at] & FIRST[left])) * self._factor
            hashes[rows] = mixed ^ (mixed >> np.uint64(29))
        hashes[hashes == 0] = 1
        hashes[lengths > LONGEST] = 0
        return hashes


class _Table:
    """Hashes and their numbers, each within a few places of where it belongs."""

    def __init__(self, hashes: Hashes) -> None:
        bits = max(12, (4 * len(hashes)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._hashes = np.zeros((1 << bits) + PROBES, np.uint64)
        self._numbers = np.zeros((1 << bits) + PROBES, np.int32)
        self._count = 0
        self.add(hashes)

    def add(self, hashes: Hashes) -> bool:
        """Take in what is new of all hashes; false where there are too many for this table."""
        if 2 * len(hashes) > len(self._hashes):
            return False
        rows = np.arange(self._count, len(hashes))
        place = (hashes[rows] >> self._shift).astype(np.intp)
        for _ in range(PROBES):
            # One text a place; whoever comes too late goes on to the next.
            free = np.flatnonzero(self._hashes[place] == 0)
            taken, first = np.unique(place[free], return_index=True)
            chosen = free[first]
            # The numbers first: whoever finds a hash finds its number as well.
            self._numbers[taken] = rows[chosen]
            self._hashes[taken] = hashes[rows[chosen]]
            rows, place = np.delete(rows, chosen), np.delete(place, chosen) + 1
            if not len(rows):
                break
        self._count = len(hashes)
        return True

    def of(self, hashes: Hashes) -> IntArray:
        """The number of each hash, or -1."""
        place = (hashes >> self._shift).astype(np.intp)
        numbers = np.full(len(hashes), -1, np.int32)
        rows = np.flatnonzero(hashes)
        for _ in range(PROBES):
            there = self._hashes[place[rows]]
            hit = there == hashes[rows]
            numbers[rows[hit]] = self._numbers[place[rows[hit]]]
            rows = rows[~hit & (there != 0)]
            if not len(rows):
                break
            place[rows] += 1
        return numbers
