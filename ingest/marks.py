"""Marks along a stream: where its lines are known to be the same as another's."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MARK_GRAIN = 1 << 20
FIRST_MARK = 256
RECORD = struct.Struct("<QQ16s")


@dataclass(frozen=True)
class Mark:
    """A line boundary of a stream: bytes and lines before it, and the digest of those bytes."""

    offset: int
    lines: int
    digest: bytes


@dataclass(frozen=True)
class Known:
    """A stream already in the lake, as far as its marks go."""

    id: int
    marks: Sequence[Mark]


def pack(marks: Sequence[Mark]) -> bytes:
    """Marks as they are stored."""
    return b"".join(RECORD.pack(m.offset, m.lines, m.digest) for m in marks)


def unpack(raw: bytes) -> list[Mark]:
    """Stored marks."""
    return [Mark(*fields) for fields in RECORD.iter_unpack(raw)]


def targets(offset: int, size: int) -> Iterator[int]:
    """Absolute offsets near which a mark is set: doubling up to 1 MiB, then every MiB."""
    target = FIRST_MARK
    while target <= offset and target < MARK_GRAIN:
        target *= 2
    if target >= MARK_GRAIN:
        target = max(MARK_GRAIN, (offset // MARK_GRAIN + 1) * MARK_GRAIN)
    while target < offset + size:
        yield target
        target = target * 2 if target < MARK_GRAIN else target + MARK_GRAIN
