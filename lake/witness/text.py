"""Event times in text of any kind: logs, CSV, JSON, HTML, mail, in any character set, block by block."""

import codecs
import re
from collections.abc import Iterator
from datetime import date
from typing import BinaryIO

from lake.witness.bound import Bound, Closed, Seen
from lake.witness.numbers import Columns, bare, fractions
from lake.witness.written import Found, fixed, order_of, worded

BLOCK = 1 << 20
OVERLAP = 128
"""Bytes of a line longer than a block that are read again with what follows: no date is cut."""

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
CONTROLS = bytes(b for b in range(32) if b not in b"\0\t\n\x0b\x0c\r\x1b")
BETWEEN_TOKENS = re.compile(rb"[\s\"'<>|,;]")
ADDRESS = re.compile(rb"://|^/|^www\.|^\.\.?/|^[a-z-]+=https?:|\?[^?]*=", re.IGNORECASE)
NOT_OURS = re.compile(
    rb"(?:copyright|\(c\)|\xc2\xa9|licen[cs]e|version|revision|revised|adopted|in force|effective"
    rb"|review(?:ed)?(?: due)?|policy of|act of|published|retrieved|accessed|born|founded)"
    rb"(?:[^\n.;]|\.\d){0,48}$",
    re.IGNORECASE,
)
DOCUMENTS_YEARS = 5
"""A date in words, without a log around it, is an event's for so long; then it is a licence's."""


def read_text(file: BinaryIO, start: bytes, bound: Bound, seen: Seen) -> None:
    """Note every line of a stream; `start` is its beginning, already seen. Raises Closed."""
    charset = _charset(start)
    if charset is None and _is_binary(start):
        raise Closed("of a kind that cannot be looked into (no text)")
    scan = Scan(bound, seen)
    decoder = codecs.getincrementaldecoder(charset)("replace") if charset else None
    while block := file.read(BLOCK):
        scan.add(decoder.decode(block).encode() if decoder else block)
    scan.end()


def _charset(start: bytes) -> str | None:
    """UTF-16 or UTF-32 by its mark, or UTF-16 by where its NULs stand."""
    for mark, name in MARKS:
        if start.startswith(mark):
            return name
    even, odd = start[0::2].count(0), start[1::2].count(0)
    half = max(1, len(start) // 2)
    if odd > 0.6 * half and even < 0.1 * half:
        return "utf-16-le"
    if even > 0.6 * half and odd < 0.1 * half:
        return "utf-16-be"
    return None


def _is_binary(start: bytes) -> bool:
    """Whether a beginning is no text: many control characters, or bytes of every value."""
    odd = len(start) - len(start.translate(None, CONTROLS))
    return odd > 0.02 * len(start) + 1


class Scan:
    """Blocks of one text, from its beginning: whole lines are looked at, rows are lines."""

    def __init__(self, bound: Bound, seen: Seen) -> None:
        self.bound = bound
        self.seen = seen
        self._rest = b""
        self._columns: Columns | None = None
        self._order = "?"

    def add(self, block: bytes) -> None:
        """The next bytes."""
        block = self._rest + block
        cut = block.rfind(b"\n") + 1
        if not cut and len(block) < BLOCK:
            self._rest = block
            return
        # A line longer than a block is looked at in pieces that overlap.
        whole, self._rest = (block[:cut], block[cut:]) if cut else (block, block[-OVERLAP:])
        self._look(whole, whole.count(b"\n"))

    def end(self) -> None:
        """No more will come: the last line may lack its newline."""
        if self._rest:
            self._look(self._rest, 1)
            self._rest = b""

    def _look(self, block: bytes, rows: int) -> None:
        if self._columns is None:
            self._columns = Columns(block[:65536])
            self._order = order_of(block)
        if b"\0" in block:
            block = block.replace(b"\0", b"")
        oldest, overdue = self._lines(block)
        self.seen.rows += rows
        self.seen.day(oldest)
        self.seen.overdue += overdue

    def _lines(self, block: bytes) -> tuple[date | None, int]:
        """The oldest day of a block, and how many of its lines are before the limit."""
        oldest: date | None = None
        lines: set[int] = set()
        for found in sorted(self._found(block), key=lambda f: f.day):
            if oldest is not None and found.day >= self.bound.limit:
                break
            line = block.rfind(b"\n", 0, found.start) + 1
            if line in lines or not self._is_event(block, line, found):
                continue
            oldest = oldest or found.day
            if found.day < self.bound.limit:
                lines.add(line)
        return oldest, len(lines)

    def _found(self, block: bytes) -> Iterator[Found]:
        """Every date and everything that may be one; of the many only those that could matter."""
        yield from fixed(block, self._order, self.bound)
        yield from fractions(block, self.bound)
        yield from self._matter(worded(block, self.bound))
        yield from bare(block, self.bound)

    def _matter(self, found: Iterator[Found]) -> Iterator[Found]:
        """What lies before the limit, and else the oldest of what was found."""
        young: list[Found] = []
        for one in found:
            if one.day < self.bound.limit:
                yield one
            elif not young or one.day < young[-1].day:
                young.append(one)
        yield from young

    def _is_event(self, block: bytes, line: int, found: Found) -> bool:
        token = BETWEEN_TOKENS.split(block[max(line, found.start - 2048) : found.start])[-1]
        if ADDRESS.search(token):
            return False
        if not found.clock:
            return self._columns is not None and self._columns.clock(block, found)
        if block[found.start : found.start + 1].isdigit():
            return True
        return not self._is_of_a_document(block, line, found)

    def _is_of_a_document(self, block: bytes, line: int, found: Found) -> bool:
        """A date in words that is a licence's or a policy's: too old, or said to be one."""
        if (self.bound.today - found.day).days > DOCUMENTS_YEARS * 366:
            return True
        return bool(NOT_OURS.search(block[max(line, found.start - 100) : found.start]))
