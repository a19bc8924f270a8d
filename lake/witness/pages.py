"""SQLite's file format below its rows: free pages, gaps within pages, journals and write-ahead logs."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

LEAF, INTERIOR, INDEX_LEAF, INDEX_INTERIOR = 0x0D, 0x05, 0x0A, 0x02
WIDTHS = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
ZEROS = re.compile(rb"\0{16,}")
CODECS = {1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}
WAL_HEADER, FRAME_HEADER, JOURNAL_MAGIC = 32, 24, bytes.fromhex("d9d505f920a163d7")
Value = int | float | str | bytes | None


@dataclass(frozen=True)
class File:
    """A database file's bytes, cut into pages."""

    data: bytes | memoryview
    size: int
    reserved: int = 0
    codec: str = "utf-8"

    @classmethod
    def of(cls, data: bytes | memoryview) -> "File":
        """By the header in the first hundred bytes. Raises ValueError."""
        if len(data) < 512 or bytes(data[:16]) != b"SQLite format 3\0":
            raise ValueError("is no SQLite database")
        (size,) = struct.unpack(">H", data[16:18])
        size = 65536 if size == 1 else size
        if size < 512 or size & (size - 1):
            raise ValueError("is a SQLite database without a page size")
        (codec,) = struct.unpack(">I", data[56:60])
        return cls(data, size, data[20], CODECS.get(codec, "utf-8"))

    @property
    def count(self) -> int:
        """How many whole pages there are."""
        return len(self.data) // self.size

    def page(self, number: int) -> bytes:
        """A page by its number, from 1; empty where there is none."""
        return (
            bytes(self.data[(number - 1) * self.size : number * self.size]) if number > 0 else b""
        )

    def free(self) -> dict[int, int]:
        """Free pages and where in each the old content begins."""
        (trunk,) = struct.unpack(">I", self.data[32:36])
        found: dict[int, int] = {}
        while 0 < trunk <= self.count and trunk not in found:
            page = self.page(trunk)
            after, leaves = struct.unpack(">II", page[:8])
            leaves = min(leaves, self.size // 4 - 2)
            found[trunk] = 8 + 4 * leaves
            for leaf in struct.unpack(f">{leaves}I", page[8 : 8 + 4 * leaves]):
                found.setdefault(leaf, 0)
            trunk = after
        return found


def owners(file: File, roots: dict[int, str]) -> dict[int, str]:
    """Which table (or index) each page in use belongs to, by the trees below their roots."""
    found: dict[int, str] = {}
    waiting = list(roots.items())
    while waiting:
        number, name = waiting.pop()
        if number in found or not 0 < number <= file.count:
            continue
        found[number] = name
        waiting += [(child, name) for child in _children(file, number)]
    return found


def _children(file: File, number: int) -> Iterator[int]:
    """Pages below a page: its children, and where a payload that does not fit goes on."""
    page, at = file.page(number), 100 if number == 1 else 0
    kind = page[at]
    if kind not in (LEAF, INTERIOR, INDEX_LEAF, INDEX_INTERIOR):
        if len(page) > 4:
            yield struct.unpack(">I", page[:4])[0]  # the next page of a long payload
        return
    if kind in (INTERIOR, INDEX_INTERIOR):
        yield struct.unpack(">I", page[at + 8 : at + 12])[0]
    for offset in pointers(page, at):
        if kind in (INTERIOR, INDEX_INTERIOR):
            yield struct.unpack(">I", page[offset : offset + 4])[0]
        if kind != INTERIOR:
            tail = _overflow(file, page, offset, kind)
            if tail:
                yield tail


def _overflow(file: File, page: bytes, offset: int, kind: int) -> int:
    """The page on which a cell's payload goes on, 0 where it fits."""
    usable = file.size - file.reserved
    offset += 4 if kind == INDEX_INTERIOR else 0
    payload, offset = varint(page, offset)
    if kind == LEAF:
        _, offset = varint(page, offset)
    largest = usable - 35 if kind == LEAF else (usable - 12) * 64 // 255 - 23
    if payload <= largest:
        return 0
    least = (usable - 12) * 32 // 255 - 23
    local = least + (payload - least) % (usable - 4)
    at = offset + (local if local <= largest else least)
    return int(struct.unpack(">I", page[at : at + 4])[0]) if at + 4 <= len(page) else 0


def pointers(page: bytes, at: int) -> list[int]:
    """Where the cells of a tree's page begin, by the page's own header."""
    (cells,) = struct.unpack(">H", page[at + 3 : at + 5])
    first = at + (12 if page[at] in (INTERIOR, INDEX_INTERIOR) else 8)
    cells = min(cells, (len(page) - first) // 2)
    found = struct.unpack(f">{cells}H", page[first : first + 2 * cells])
    return [p for p in found if first + 2 * cells <= p < len(page) - 3]


def slack(page: bytes, at: int = 0) -> Iterator[bytes]:
    """What lies between and behind the cells of a tree's page: nobody's bytes, zeros left out."""
    if page[at] not in (LEAF, INTERIOR, INDEX_LEAF, INDEX_INTERIOR):
        return
    block, cells, content = struct.unpack(">HHH", page[at + 1 : at + 7])
    first = at + (12 if page[at] in (INTERIOR, INDEX_INTERIOR) else 8) + 2 * cells
    yield from pieces(page[first : content or 65536])
    for _ in range(len(page) // 4):
        if not 0 < block <= len(page) - 4:
            return
        after, size = struct.unpack(">HH", page[block : block + 4])
        yield from pieces(page[block + 4 : block + max(4, size)])
        block = after


def pieces(raw: bytes) -> list[bytes]:
    """Bytes without long runs of zeros."""
    return [piece for piece in ZEROS.split(raw) if len(piece) > 3]


def varint(raw: bytes, at: int) -> tuple[int, int]:
    """SQLite's integer of one to nine bytes, and where it ends."""
    value = 0
    for count in range(9):
        byte = raw[at + count] if at + count < len(raw) else 0
        if count == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    return value, at + 9


def cell(page: bytes, offset: int, codec: str) -> list[Value]:
    """The record of a table's cell, as much of it as lies on the page."""
    _, offset = varint(page, offset)
    _, offset = varint(page, offset)
    return record(page, offset, codec, whole=False) or []


def record(raw: bytes, at: int, codec: str, *, whole: bool = True) -> list[Value] | None:
    """The values of a record, None where no record stands there (`whole`: or not all of it)."""
    length, start = varint(raw, at)
    end = at + length
    if not 2 <= length <= 2000 or end > len(raw):
        return None
    kinds = []
    while start < end:
        kind, start = varint(raw, start)
        kinds.append(kind)
    if start != end or any(k in (10, 11) for k in kinds):
        return None
    values: list[Value] = []
    for kind in kinds:
        width = WIDTHS[kind] if kind < 10 else (kind - 12) // 2
        if end + width > len(raw):
            return None if whole else [*values, _value(kind, raw[end:], codec)]
        values.append(_value(kind, raw[end : end + width], codec))
        end += width
    return values


def _value(kind: int, raw: bytes, codec: str) -> Value:
    if kind == 7:
        return float(struct.unpack(">d", raw)[0]) if len(raw) == 8 else None
    if kind in (8, 9):
        return kind - 8
    if kind < 7:
        return int.from_bytes(raw, "big", signed=True) if kind else None
    return raw.decode(codec, "replace") if kind % 2 else raw


def carved(raw: bytes, codec: str) -> Iterator[list[Value]]:
    """Rows whose cell still stands whole in a gap: its length, its number and its record agree.

    The first four bytes of a freed cell are the page's own, so that the last row deleted may not be
    read as a row any more; its texts are found all the same.
    """
    at = 0
    while at < len(raw) - 5:
        length, start = varint(raw, at) if raw[at] > 2 else (0, at)
        _, start = varint(raw, start)
        found = None
        if 3 < length <= len(raw) - start:
            found = record(raw[start : start + length], 0, codec)
        if found and _length(raw, start) == length:
            yield found
            at = start + length
        else:
            at += 1


def _length(raw: bytes, start: int) -> int:
    """How long the record that begins here is, by its own header."""
    header, at = varint(raw, start)
    total, end = header, start + header
    while at < end:
        kind, at = varint(raw, at)
        total += WIDTHS[kind] if kind < 10 else (kind - 12) // 2
    return total


def wal_pages(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """(page number, page) of every frame of a write-ahead log, also of those long overwritten."""
    if len(raw) < WAL_HEADER or raw[:3] != b"\x37\x7f\x06":
        return
    (size,) = struct.unpack(">I", raw[8:12])
    if not 512 <= size <= 65536:
        return
    for at in range(WAL_HEADER, len(raw) - FRAME_HEADER, FRAME_HEADER + size):
        (number,) = struct.unpack(">I", raw[at : at + 4])
        yield number, raw[at + FRAME_HEADER : at + FRAME_HEADER + size]


def journal_pages(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """(page number, page) of a rollback journal; one whose header was zeroed is cut as usual."""
    sector, size = 512, 4096
    if raw[:8] == JOURNAL_MAGIC and len(raw) >= 28:
        sector, size = struct.unpack(">II", raw[20:28])
    if not (512 <= size <= 65536 and 0 < sector <= 65536):
        return
    for at in range(sector, len(raw) - 4, size + 8):
        (number,) = struct.unpack(">I", raw[at : at + 4])
        yield number, raw[at + 4 : at + 4 + size]
