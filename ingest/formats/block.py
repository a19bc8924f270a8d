"""A block of whole lines and what a format makes of it: rows, rejects, lines ignored on purpose."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

RAW = pa.schema(
    [
        ("line", pa.int64()),  # 0-based within the block
        ("time", pa.int64()),  # milliseconds since the epoch, UTC
        ("user", pa.dictionary(pa.int32(), pa.string())),
        ("client", pa.dictionary(pa.int32(), pa.string())),
        ("method", pa.dictionary(pa.int32(), pa.string())),
        ("url", pa.dictionary(pa.int32(), pa.string())),
        ("status", pa.int16()),
        ("verdict", pa.dictionary(pa.int32(), pa.string())),
        ("duration_ms", pa.int64()),
        ("bytes_down", pa.int64()),
        ("bytes_up", pa.int64()),
        ("referrer", pa.dictionary(pa.int32(), pa.string())),
        ("content_type", pa.dictionary(pa.int32(), pa.string())),
        ("user_agent", pa.dictionary(pa.int32(), pa.string())),
        ("device_category", pa.dictionary(pa.int32(), pa.string())),
        ("grain", pa.dictionary(pa.int32(), pa.string())),
        ("fetch", pa.dictionary(pa.int32(), pa.string())),
        ("fetch_site", pa.dictionary(pa.int32(), pa.string())),
    ]
)
"""What every format hands on; a field the log does not have is null. Bytes: down = to the client.

`grain`: page (a request with its path), tunnel (a connection with at most a name), contact (what a
sensor or resolver saw: that a host was contacted, never for how long). `fetch`, `fetch_site`: what the
browser itself says of the request (ingest/formats/fetching.py).
"""

ZONELESS = "its time carries no zone and the source has no `timezone`"
UNORDERED = "day and month cannot be told apart: set `dates: dmy` or `dates: mdy` for the source"
UNSAID = (ZONELESS, UNORDERED)
"""Reasons that are a fault of the configuration, not of the line."""

TIMELESS = "it carries no time"
"""How the reason begins where a product's lines are known but say no time; their carrier may."""

ASCII = 0x7F
NEWLINE, RETURN, BLANK, QUOTE, BACKSLASH, HASH = b'\n\r "\\#'
ONE = np.uint64(1)
STRETCH = 1 << 17
"""Words looked at together: they stay in the processor's cache."""

IntArray = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True)
class Reject:
    """A line not understood: 0-based line of the block, and why in a few words."""

    line: int
    reason: str


@dataclass(frozen=True)
class Given:
    """What the lines of a block do not say themselves.

    `lead`: header lines in force before it. `zone`: of times without one; None: not configured.
    `order`: of day and month where both are numbers. `latest`: the last instant the lines can be of
    (ms), which decides a year that is not written. `folded`: whether local time has been set back
    already in the hour that comes twice. `columns`: the source's own, where no header names them.
    """

    lead: bytes = b""
    zone: ZoneInfo | None = None
    order: Literal["dmy", "mdy"] | None = None
    latest: int = 1 << 60
    folded: bool = False
    columns: tuple[str, ...] = ()


NOTHING_SAID = Given()
BACK_MS = 30 * 60_000
"""Local time that goes back by more than this, where an hour comes twice, was set back.

Half of what comes twice: where that is half an hour (Lord Howe), 15 minutes.
"""


@dataclass(frozen=True)
class Fold:
    """What a block has of an hour that comes twice: its first and last local time in it (ms),
    whether it was the second time at the end, and what going back by more is setting back."""

    first: int
    last: int
    folded: bool
    back: int = BACK_MS

    def after(self, before: "Fold | None") -> bool:
        """Whether the hour comes the second time where this block begins."""
        return before is not None and (before.folded or before.last - self.first > self.back)

    def then(self, after: "Fold | None") -> "Fold":
        """This and what follows it in the same block, as one."""
        if after is None:
            return self
        return Fold(self.first, after.last, self.folded or after.folded, self.back)


@dataclass
class Parsed:
    """Rows of schema RAW, rejects, and what was ignored on purpose: how many lines, why.

    `fold`: of the hour that comes twice; None where no time of the block came twice.
    """

    rows: pa.Table
    rejects: list[Reject] = field(default_factory=list)
    why: Counter[str] = field(default_factory=Counter)
    fold: Fold | None = None

    @property
    def ignored(self) -> int:
        """Lines ignored on purpose."""
        return self.why.total()


@dataclass(frozen=True)
class Block:
    """Bytes of whole lines, each ending in a newline, as they were read."""

    data: bytes

    @cached_property
    def array(self) -> npt.NDArray[np.uint8]:
        """The bytes as numbers, without a copy."""
        return np.frombuffer(self.data, np.uint8)

    @cached_property
    def ends(self) -> IntArray:
        """Positions of the newlines."""
        return places(self.array == NEWLINE)

    @cached_property
    def starts(self) -> IntArray:
        """Positions of the first byte of each line."""
        return (
            np.concatenate((np.zeros(1, np.int32), self.ends[:-1] + 1))
            if len(self.ends)
            else self.ends
        )

    def holds(self, pair: bytes) -> bool:
        """Whether two bytes stand side by side anywhere."""
        return any(len(found) for found in beside(self.array, pair))

    def line(self, number: int) -> bytes:
        """One line without its newline."""
        return self.data[self.starts[number] : self.ends[number]]

    def without(self, lines: IntArray) -> tuple[bytes, IntArray]:
        """The bytes without these lines, and the numbers of those that stay."""
        count = len(self.ends)
        if not len(lines):
            return self.data, np.arange(count, dtype=np.int64)
        keep = np.ones(count, bool)
        keep[lines] = False
        edges = np.flatnonzero(np.diff(np.concatenate(([False], keep, [False])).astype(np.int8)))
        pieces = [
            self.data[self.starts[low] : self.ends[high - 1] + 1]
            for low, high in zip(edges[::2], edges[1::2], strict=True)
        ]
        return b"".join(pieces), np.flatnonzero(keep)


def places(marks: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """Where a few of many are true: 64 at a time, in two thirds of the time of `flatnonzero`.

    Half the width of numpy's own positions: what is made of them is larger than the caches.
    """
    whole = len(marks) // 64 * 64
    words = np.packbits(marks[:whole], bitorder="little").view(np.uint64)
    at = np.flatnonzero(words)
    left, base = words[at], (at * 64).astype(np.int32)
    found = [np.flatnonzero(marks[whole:]).astype(np.int32) + np.int32(whole)]
    while len(left):
        found.append(base + np.bitwise_count((left & (~left + ONE)) - ONE))
        left &= left - ONE  # without its lowest
        more = np.flatnonzero(left)
        left, base = left[more], base[more]
    every: npt.NDArray[np.int32] = np.concatenate(found)
    every.sort()
    return every


def beside(
    array: npt.NDArray[np.uint8], pair: bytes, ignored: bytes = b"\0\0"
) -> Iterator[IntArray]:
    """Where two bytes stand side by side, a stretch at a time, but for the bits `ignored` of each.

    They are compared as words of two bytes, from both places: `in` takes twenty times as long.
    """
    free = np.frombuffer(ignored, "<u2")[0]
    word = np.frombuffer(pair, "<u2")[0] | free
    for low in range(0, len(array), 2 * STRETCH):
        for first in (low, low + 1):
            rest = array[first : first + 2 * STRETCH]
            some = rest[: len(rest) // 2 * 2].view("<u2")
            found = np.flatnonzero((some | free if free else some) == word)
            if len(found):
                yield found * 2 + first


def masked(line: bytes, limit: int = 160) -> str:
    """The shape of a line: letters as a, digits as 9, so that what it says of a person is gone."""
    text = line[:limit].decode("utf-8", "replace")
    shape = "".join(
        "9" if c.isdigit() else "a" if c.isalpha() else c if " " <= c <= "~" else "?" for c in text
    )
    return shape + ("…" if len(line) > limit else "")
