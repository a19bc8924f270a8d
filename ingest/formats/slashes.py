"""Distinct URLs cut at their slashes: all of them at once, and no text is made that nobody asks for."""

import threading
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.block import IntArray
from ingest.formats.lines import Mask, slices

SCHEME = r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//"
HTTP, HTTPS = (int.from_bytes(text, "little") for text in (b"http://", b"https://"))
SEVEN = np.uint64((1 << 56) - 1)
NEAR, FAR = 10, 40
"""Letters before the two slashes of a page; the same in bytes, at most."""


class _Last(threading.local):
    """What a thread cut last: a block's URLs are asked for by their format, and again when classified."""

    urls: pa.StringArray | None = None
    cut: "Slashed"


_LAST = _Last()


def slashed(urls: pa.StringArray) -> "Slashed":
    """The URLs cut; those that were cut last are not cut again."""
    last = _LAST.urls
    # As long as they are held their memory is no one else's: the same place is the same text.
    if last is None or _where(last) != _where(urls):
        _LAST.urls, _LAST.cut = urls, Slashed(urls)
    return _LAST.cut


def _where(urls: pa.StringArray) -> tuple[int, ...]:
    return (len(urls), urls.offset, *(b.address if b else 0 for b in urls.buffers()))


class Slashed:
    """URLs (their scheme may be missing) or `host:port`, one a text; null is no text."""

    def __init__(self, urls: pa.StringArray) -> None:
        self._urls = pc.fill_null(urls, "") if urls.null_count else urls
        _, offsets, data = self._urls.buffers()
        self._data = data or pa.py_buffer(b"")
        places = np.frombuffer(offsets or b"", np.int32)
        places = places[self._urls.offset : self._urls.offset + len(urls) + 1]
        self._starts, self._ends = places[:-1], places[1:]
        array = np.frombuffer(self._data, np.uint8)
        slashes = np.flatnonzero(array == ord("/")).astype(np.int32)
        first = np.searchsorted(slashes, self._starts)
        slashes = np.concatenate((slashes, np.full(3, len(array), np.int32)))
        self._first = np.minimum(slashes[first], self._ends)
        self._third = np.minimum(slashes[first + 2], self._ends)
        self._double = (slashes[first + 1] == self._first + 1) & (self._first + 1 < self._ends)

    def __len__(self) -> int:
        return len(self._starts)

    @cached_property
    def schemed(self) -> Mask:
        """Those with an authority after two slashes, whose path is known."""
        known = self._double & ((self._first == self._starts) | self._http())
        return self._matching(known, self._double & ~known, SCHEME)

    @cached_property
    def page(self) -> Mask:
        """Those with two slashes near their beginning, whatever stands before them."""
        before = self._first - self._starts
        near = self._double & (before <= NEAR)
        return self._matching(near, self._double & ~near & (before <= FAR), "^[^/]{0,10}//")

    def authorities(self) -> pa.StringArray:
        """Host and port, perhaps with a user before them; what has no slash is taken whole."""
        starts = np.where(self.schemed, self._first + 2, self._starts)
        ends = np.where(self.schemed, self._third, self._first)
        found = slices(self._data, starts, ends)
        text = np.frombuffer(found.buffers()[2] or b"", np.uint8)
        if (text == ord("?")).any() or (text == ord("#")).any():
            found = pc.list_element(pc.split_pattern_regex(found, r"[?#]", max_splits=1), 0)
        return found

    def paths(self, rows: IntArray) -> pa.StringArray:
        """What follows the authority, at least a slash; of `schemed` URLs only."""
        found = slices(self._data, self._third[rows], self._ends[rows])
        return pc.if_else(pc.equal(found, ""), "/", found)

    def begun(self, letters: bytes) -> IntArray:
        """Those that begin with one of these bytes."""
        wanted = np.zeros(256, bool)
        wanted[list(letters)] = True
        some = np.flatnonzero(self._ends > self._starts)
        array = np.frombuffer(self._data, np.uint8)
        found: IntArray = some[wanted[array[self._starts[some]]]]
        return found

    def _http(self) -> Mask:
        """Those that begin with http:// or https://, eight bytes at a time."""
        found = np.zeros(len(self), bool)
        if self._data.size < 8:
            return found
        words = np.ndarray((self._data.size - 7,), "<u8", self._data, strides=(1,))
        long = np.flatnonzero(self._ends - self._starts >= 8)
        word = words[self._starts[long]]
        found[long] = (word == np.uint64(HTTPS)) | (word & SEVEN == np.uint64(HTTP))
        return found

    def _matching(self, known: Mask, asked: Mask, pattern: str) -> Mask:
        rows = np.flatnonzero(asked)
        if len(rows):
            some = self._urls.take(pa.array(rows))
            known[rows] = pc.match_substring_regex(some, pattern).to_numpy(zero_copy_only=False)
        return known
