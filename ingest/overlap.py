"""Lines that stand in the lake already as lines of another file: deliveries that overlap in part.

A stream that begins or ends elsewhere than one it shares lines with has no mark in common with it.
What shows the sharing is the lake itself: rows of the same source in the same order, at the same
distance from each other in both files. Single rows that are alike by chance never make a run.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.events import Enriched
from lake.catalogue import Part
from lake.datasets import EVENTS
from lake.days import number_of
from lake.keys import DayKeys

RUN = 64
"""Rows alike one after the other that make an overlap."""

VARIED = 16
"""Different rows among them: a pause filled with the same line each second is none."""

COMMON = 8
"""Rows found more often than this vote for no distance."""

NUMBERS = ("duration_ms", "status", "bytes_down", "bytes_up")
WORDS = ("client", "method")
COLUMNS = ("time", *NUMBERS, *WORDS, "source", "file", "line")

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Held:
    """Rows on their way into the lake: whose they are, their UTC day, and from when to when."""

    source: str
    stream: int
    day: int
    low: int
    high: int
    table: pa.Table


@dataclass
class Lines:
    """Rows reduced to what is compared: by row, and by all rows that stand on the same line."""

    key: U64
    stream: I64
    line: I64

    def sorted(self) -> "Lines":
        """By stream and line."""
        order = np.lexsort((self.line, self.stream))
        return Lines(self.key[order], self.stream[order], self.line[order])

    def without(self, stream: int) -> "Lines":
        """All but one stream's."""
        keep = self.stream != stream
        return Lines(self.key[keep], self.stream[keep], self.line[keep])

    @cached_property
    def whole(self) -> U64:
        """For each row (sorted) what its whole line holds: a list's records share one line number."""
        if not len(self.key):
            return self.key
        fresh = (np.diff(self.line, prepend=-1) != 0) | (np.diff(self.stream, prepend=-1) != 0)
        begins = np.flatnonzero(fresh)
        sums = np.add.reduceat(self.key * (self.key | np.uint64(1)), begins)
        whole: U64 = sums[np.cumsum(fresh) - 1]
        return whole


class Overlap:
    """One stream's rows held against those of the other streams of its source."""

    def __init__(
        self,
        site: Path,
        keys: DayKeys,
        source: str,
        stream: int,
        last: tuple[int, int] | None = None,
    ) -> None:
        """`last`: the stream, and the distance in it, that the lines before these were alike at."""
        self._site, self._keys, self._source, self._stream = site, keys, source, stream
        self._last = last

    def ranges(
        self,
        enriched: Enriched,
        first: int,
        last: int,
        parts: Sequence[Part],
        held: Iterable[Held],
        streams: dict[int, int],
    ) -> list[tuple[int, int]]:
        """Which of the lines `first` to `last` (1-based) another stream has brought already."""
        if not enriched.rows:
            return []
        spans = {day: _span(table) for day, table in enriched.days.items()}
        others = self._others(spans, parts, held, streams)
        if others is None:
            self._last = None
            return []
        tables = pa.concat_tables(t.select(list(COLUMNS)) for t in enriched.days.values())
        mine = _lines(tables, np.zeros(tables.num_rows, np.int64)).sorted()
        line = mine.line
        ranges = self._runs(mine, others)
        # What is no row, before the first and after the last, goes with the rows beside it.
        return [
            (first if low == line[0] else low, last if high == line[-1] else high)
            for low, high in ranges
        ]

    def _others(
        self,
        spans: dict[int, tuple[int, int]],
        parts: Sequence[Part],
        held: Iterable[Held],
        streams: dict[int, int],
    ) -> Lines | None:
        found = []
        for part in parts:
            span = spans.get(number_of(date.fromisoformat(part.day)))
            if span and part.newest >= span[0] and part.oldest <= span[1]:
                table = self._window(part, span)
                files = table["file"].to_numpy().astype(np.int64)
                names = {f: streams.get(f, -f) for f in np.unique(files).tolist()}
                numbers = np.array([names[f] for f in files.tolist()], np.int64)
                found.append(_lines(table, numbers))
        for one in held:
            span = spans.get(one.day)
            if one.source != self._source or one.stream == self._stream:
                continue
            if span and one.high >= span[0] and one.low <= span[1]:
                table = one.table.select(list(COLUMNS))
                found.append(_lines(table, np.full(table.num_rows, one.stream, np.int64)))
        chosen = [other for f in found if len((other := f.without(self._stream)).key)]
        if not chosen:
            return None
        key, stream, line = (
            np.concatenate([getattr(f, name) for f in chosen]) for name in ("key", "stream", "line")
        )
        return Lines(key, stream, line).sorted()

    def _window(self, part: Part, span: tuple[int, int]) -> pa.Table:
        low, high = (pa.scalar(t, pa.timestamp("ms", "UTC")) for t in span)
        within = (pc.field("time") >= low) & (pc.field("time") <= high)
        # A column the partition has not got is null.
        found = self._keys.dataset([self._site / part.path], EVENTS.schema)
        chosen = within & (pc.field("source") == self._source)
        return found.to_table(columns=list(COLUMNS), filter=chosen, use_threads=False)

    def _runs(self, mine: Lines, others: Lines) -> list[tuple[int, int]]:
        last, self._last = self._last, None
        key, line, ranges = mine.key, mine.line, []
        votes = _votes(key, line, others, RUN if last is None else 1)
        for stream, distance in {*votes, *([last] if last else [])}:
            alike = _alike(mine, others, stream, distance)
            edges = np.flatnonzero(
                np.diff(np.concatenate(([False], alike, [False])).astype(np.int8))
            )
            for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
                # What came before was alike: the rest may be short, and stand in another stream,
                # where the one it was alike to left it out itself.
                rest = last is not None and end == len(key)
                goes_on = first == 0 and (last == (stream, distance) or rest)
                if not goes_on and (end - first < RUN or len(np.unique(key[first:end])) < VARIED):
                    continue
                ranges.append((int(line[first]), int(line[end - 1])))
                if end == len(key):
                    self._last = (stream, distance)
        return _merged(ranges)


def _votes(key: U64, line: I64, others: Lines, least: int) -> list[tuple[int, int]]:
    """Streams, and how many lines further on in them, that `least` rows of this one are found at."""
    order = np.argsort(others.key, kind="stable")
    keys = others.key[order]
    low, high = np.searchsorted(keys, key, "left"), np.searchsorted(keys, key, "right")
    times = np.where(high - low > COMMON, 0, high - low)
    if not times.sum():
        return []
    mine = np.repeat(np.arange(len(key)), times)
    at = np.arange(len(mine)) - np.repeat(np.cumsum(times) - times, times) + low[mine]
    theirs = order[at]
    pairs = np.stack((others.stream[theirs], others.line[theirs] - line[mine]), axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    best = np.argsort(-counts)[:4]
    return [(int(found[n][0]), int(found[n][1])) for n in best if counts[n] >= least]


def _alike(mine: Lines, others: Lines, stream: int, distance: int) -> npt.NDArray[np.bool_]:
    """For each row whether the other stream has the same line at this distance."""
    low, high = np.searchsorted(others.stream, [stream, stream + 1])
    lines, keys = others.line[low:high], others.whole[low:high]
    if not len(lines):
        return np.zeros(len(mine.line), bool)
    wanted = mine.line + distance
    at = np.minimum(np.searchsorted(lines, wanted), len(lines) - 1)
    same: npt.NDArray[np.bool_] = (lines[at] == wanted) & (keys[at] == mine.whole)
    return same


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _lines(table: pa.Table, stream: I64) -> Lines:
    key = table["time"].cast(pa.int64()).to_numpy().astype(np.uint64) * MIX
    for name in NUMBERS:
        number = pc.fill_null(table[name].cast(pa.int64()), -1).to_numpy().astype(np.uint64)
        key = _mix(key, number)
    for name in WORDS:
        key = _mix(key, _hashed(table[name]))
    return Lines(key, stream, table["line"].to_numpy().astype(np.int64))


def _mix(key: U64, more: U64) -> U64:
    mixed: U64 = (key ^ (more * MIX)) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(29))


def _hashed(column: pa.ChunkedArray) -> U64:
    pieces = []
    for chunk in column.chunks:
        words = [*(_word(w) for w in chunk.dictionary.to_pylist()), 0]
        index = pc.fill_null(chunk.indices, len(words) - 1).to_numpy()
        pieces.append(np.array(words, np.uint64)[index])
    return np.concatenate(pieces) if pieces else np.zeros(0, np.uint64)


@lru_cache(maxsize=1 << 16)
def _word(word: str | None) -> int:
    return int.from_bytes(hashlib.blake2b((word or "").encode(), digest_size=8).digest(), "little")


def _span(table: pa.Table) -> tuple[int, int]:
    found: dict[str, Any] = pc.min_max(table["time"].cast(pa.int64())).as_py()
    return found["min"], found["max"]


def held(enriched: Enriched, source: str, stream: int) -> list[Held]:
    """The rows of a block as the streams after it have to know them."""
    return [
        Held(source, stream, day, *_span(table), table.select(list(COLUMNS)))
        for day, table in enriched.days.items()
    ]


def without(enriched: Enriched, ranges: Sequence[tuple[int, int]]) -> int:
    """Take the rows of these lines out of a block's; how many."""
    taken = 0
    for day, table in list(enriched.days.items()):
        line = table["line"].to_numpy()
        keep = np.ones(len(line), bool)
        for low, high in ranges:
            keep &= (line < low) | (line > high)
        taken += int((~keep).sum())
        if not keep.any():
            del enriched.days[day]
        elif not keep.all():
            enriched.days[day] = table.filter(pa.array(keep))
    enriched.rows -= taken
    return taken
