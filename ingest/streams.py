"""Which bytes of a file are new: a stream of log lines is known by its content, not by its name.

The first line's digest finds streams that may be the same; marks along each (offset, lines, digest
of everything before) tell how far a file repeats one. So a file that grew, was renamed, compressed,
copied or delivered again adds only what is new. Limits: docs/formats-on-disk.md, "Streams".
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from errors import UnreadableInput
from ingest.arrival import SLACK, LocalFile, Origin
from ingest.documents import Unfolding, is_document, lines_of
from ingest.layers import (
    UNREADABLE,
    Cleaned,
    Exactly,
    Hashed,
    Pushed,
    Readable,
    Transcoded,
    binary,
    charset,
    compression,
    decompressed,
    exactly,
    strange,
    why,
)
from ingest.marks import Known, Mark, targets

NEWLINE = ord("\n")
BLOCK = 8 << 20
LONG_LINES = 512  # bytes, on average: then two blocks are one, for what is done once a block
HEAD_BYTES = 4 << 10
SAMPLE = 256 << 10


@dataclass
class Piece:
    """Whole lines to be parsed: their bytes, the number of the first (1-based), how many."""

    data: bytes
    first_line: int
    lines: int


@dataclass
class Stream:
    """One file being read: what of it is known, then its new lines in pieces.

    Call `recognise` once, then iterate `pieces`; `marks`, `offset` and `line` grow with them.
    """

    path: Path | Origin
    complete: bool
    line_bytes: int
    expansion: int
    offset: int = 0
    line: int = 0
    marks: list[Mark] = field(default_factory=list)
    packed: str | None = None
    records: Callable[[bytes], int] = len
    _hash: Any = field(default_factory=hashlib.sha256)
    _pending: bytes = b""
    _tail: bytes = b""
    _beyond: Any = None

    def __post_init__(self) -> None:
        self._origin: Origin = LocalFile(self.path) if isinstance(self.path, Path) else self.path
        self.name = self._origin.name
        self._read_bytes = 0
        try:
            self._limit = self._origin.facts().size * self.expansion + SLACK
            self._raw = self._origin.open()
        except OSError as error:
            raise UnreadableInput(f"{self.name}: cannot be read: {why(error)}.") from None
        try:
            self._layer()
            self.sample = self._read(SAMPLE)
            self._look()
        except BaseException:
            self._raw.close()
            raise
        self._pending = self.sample

    def _layer(self) -> None:
        """Put what unpacks and transcodes over the bytes, by what they begin with."""
        self._tee: Hashed | None = None
        self._unfolding: Unfolding | None = None
        source: Readable = self._raw
        start = self._start(source)
        self.packed = compression(start)
        if self.packed or self._origin.remote or charset(start)[0] or is_document(start):
            # Read once: a connection or an archive cannot be read again for its digest.
            source = self._tee = Hashed(Pushed(start, source))
            start = b""
        if self.packed:
            source = decompressed(source, self.packed)
            start = self._start(source)
        elif not start:
            source = Exactly(source)
            start = self._start(source)
        source = Pushed(start, source)
        if is_document(start):
            source = self._unfolding = lines_of(start, source, self._limit, complete=self.complete)
            start = b""
        if (told := strange(start)) is not None:
            raise UnreadableInput(f"{self.name}: {told}.")
        self.charset, mark = charset(start)
        if self.charset:
            source = Transcoded(source, self.charset, mark)
        self._source = Cleaned(source, self._spend)

    def _start(self, source: Readable) -> bytes:
        try:
            return exactly(source.read, HEAD_BYTES)
        except UNREADABLE as error:
            raise UnreadableInput(
                f"{self.name}: stops being readable after 0 bytes: {why(error)}."
            ) from None

    def _look(self) -> None:
        """Refuse what is no text, and see to line ends of CR alone."""
        if binary(self.sample[: 64 << 10]):
            raise UnreadableInput(f"{self.name}: is binary data, not a log.")
        if self.sample[:-1].count(b"\r") > 1 and b"\n" not in self.sample:
            self._source.returns = True
            self.sample = self.sample.replace(b"\r", b"\n")

    @property
    def notes(self) -> list[str]:
        """What was done to the bytes before they were lines, for whoever reads the report."""
        told = []
        if self._source.nuls:
            told.append(f"{self._source.nuls:,} NUL bytes at the start of lines were skipped")
        if self._source.returns:
            told.append("its lines end in CR alone")
        if self.charset and self.charset != "utf-8":
            told.append(f"read as {self.charset.upper()}")
        if self._awaited:
            told.append("its last record is not whole yet and is awaited")
        elif not self.sample and not self._source.nuls:
            told.append("is empty")
        return told

    @property
    def whole(self) -> bool:
        """Nothing of it waits for its end: no half line was left for the next time."""
        return not self._tail and self._beyond is None and not self._awaited

    @property
    def _awaited(self) -> bool:
        return self._unfolding is not None and self._unfolding.awaited

    @property
    def head(self) -> str:
        """Digest of the first line (of its first 4 KiB)."""
        first = self.sample[:HEAD_BYTES].split(b"\n", 1)[0]
        return hashlib.sha256(first).hexdigest()

    def recognise(
        self, known: Sequence[Known], *, compared: bool = False
    ) -> tuple[Known | None, int]:
        """Skip what is in the lake; (the stream continued, lines skipped).

        What a file that ends between two marks holds after the first of them is taken for known,
        unless it is `compared` with the lake by the caller: then it comes in pieces.
        """
        alive = {stream.id: stream for stream in known}
        best: tuple[Known | None, Mark] = (None, Mark(0, 0, b""))
        best_hash = self._hash.copy()
        held = b""
        by_offset: dict[int, list[tuple[int, Mark]]] = {}
        for stream in known:
            for mark in stream.marks:
                by_offset.setdefault(mark.offset, []).append((stream.id, mark))
        position = 0
        for offset in sorted(by_offset):
            if not any(id_ in alive for id_, _ in by_offset[offset]):
                continue
            data = self._take(offset - position)
            held += data
            position += len(data)
            self._hash.update(data)
            if position < offset and compared:
                break
            if position < offset:
                return self._ended_inside(best, best_hash, held)
            digest = self._hash.digest()[:16]
            for id_, mark in by_offset[offset]:
                if id_ in alive and mark.digest == digest:
                    best, best_hash, held = (alive[id_], mark), self._hash.copy(), b""
                else:
                    alive.pop(id_, None)
            if not alive:
                break
        return self._resume(best, best_hash, held)

    def _ended_inside(
        self, best: tuple[Known | None, Mark], best_hash: Any, held: bytes
    ) -> tuple[Known | None, int]:
        """The file ended before the next mark: a shorter copy of a known stream, if any matched."""
        stream, mark = best
        if stream is None:
            return self._resume(best, best_hash, held)
        lines = mark.lines + held.count(b"\n") + (bool(held) and not held.endswith(b"\n"))
        self.offset, self.line = mark.offset + len(held), lines
        self.marks = [m for m in stream.marks if m.offset <= mark.offset]
        return stream, lines

    def _resume(
        self, best: tuple[Known | None, Mark], best_hash: Any, held: bytes
    ) -> tuple[Known | None, int]:
        stream, mark = best
        self._hash = best_hash
        self._pending = held + self._pending
        self.offset, self.line = mark.offset, mark.lines
        if stream is None:
            return None, 0
        self.marks = [m for m in stream.marks if m.offset <= mark.offset]
        return stream, mark.lines

    def pieces(self) -> Iterator[Piece]:
        """New whole lines, about a block at a time; an overlong line comes cut to its limit + 1."""
        carry = b""
        while data := self._take(self._room(len(carry))):
            # Joined with a view: whole blocks are copied once, not twice.
            end = data.rfind(b"\n") + 1 or len(data)
            data, rest = b"".join((carry, memoryview(data)[:end])), data[end:]
            cut = data.rfind(b"\n") + 1
            if not cut and len(data) > self.line_bytes:
                carry = b""
                if piece := self._overlong(data):
                    yield piece
                continue
            if cut:
                # A record over several lines is never cut in two, unless it is longer than a block.
                cut = self.records(data[:cut]) or cut
            carry, data = data[cut:] + rest, data[:cut]
            if cut:
                yield self._emit(data, data)
        if carry and self.complete:
            yield self._emit(carry, carry + b"\n")
        else:
            self._tail = carry

    def _room(self, carried: int) -> int:
        """Bytes to be read next: what is carried is a part of the block."""
        block = BLOCK << (self.offset > LONG_LINES * self.line)
        return block - carried if carried < block else block

    def digest(self) -> str:
        """SHA-256 of the file as it lies there, a last half-written line included."""
        if self._tee:
            return self._tee.digest()
        if self._source.nuls or self._source.returns:
            again = self._origin.open()
            try:
                return Hashed(again).digest()
            finally:
                again.close()
        whole = (self._beyond or self._hash).copy()
        whole.update(self._tail)
        return str(whole.hexdigest())

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()
        self._raw.close()

    def _overlong(self, data: bytes) -> Piece | None:
        """A line beyond the limit is read to its end and dropped; only its beginning goes on."""
        before = self._hash.copy(), self.offset, self.line
        try:
            piece = self._to_its_end(data)
        except UnreadableInput:
            self._hash, self.offset, self.line = before
            raise
        if piece is None:  # half written: it is left for the next time
            self._beyond = self._hash
            self._hash, self.offset, self.line = before
        return piece

    def _to_its_end(self, data: bytes) -> Piece | None:
        start, raw = data[: self.line_bytes + 1], data
        while True:
            end = raw.find(b"\n") + 1
            if end:
                self._pending = raw[end:] + self._pending
                raw = raw[:end]
            piece = self._emit(raw, start + b"\n", boundary=bool(end))
            if end:
                return piece
            raw = self._take(BLOCK)
            if not raw:
                return piece if self.complete else None
            self.line -= 1  # the same line goes on

    def _emit(self, raw: bytes, data: bytes, *, boundary: bool = True) -> Piece:
        first = self.line + 1
        at = 0
        view = memoryview(raw)
        for target in targets(self.offset, len(raw)):
            cut = raw.rfind(b"\n", at, target - self.offset) + 1
            if cut > at and self.records is not len:
                cut = at + self.records(raw[at:cut])  # what differs from here on begins whole
            if cut > at:
                self._hash.update(view[at:cut])
                self.line += _newlines(view[at:cut])
                self.marks.append(Mark(self.offset + cut, self.line, self._hash.digest()[:16]))
                at = cut
        self._hash.update(view[at:])
        self.line += _newlines(view[at:]) + (not raw.endswith(b"\n"))
        self.offset += len(raw)
        if boundary:
            self.mark()
        return Piece(data, first, self.line - first + 1)

    def mark(self) -> None:
        """Mark the place reached."""
        here = Mark(self.offset, self.line, self._hash.digest()[:16])
        if not self.marks or self.marks[-1].offset < here.offset:
            self.marks.append(here)

    def _take(self, size: int) -> bytes:
        if self._pending:
            data, self._pending = self._pending[:size], self._pending[size:]
            if len(data) == size:
                return data
            try:
                return data + self._read(size - len(data))
            except UnreadableInput:
                if not data:
                    raise
                return data  # the next read says it again
        return self._read(size)

    def _read(self, size: int) -> bytes:
        try:
            data = self._source.read(size)
        except UNREADABLE as error:
            raise UnreadableInput(
                f"{self.name}: stops being readable after {self._read_bytes} bytes: {why(error)}."
            ) from None
        return data

    def _spend(self, size: int) -> None:
        self._read_bytes += size
        if self._origin.budget:
            self._origin.budget.spend(size)
        if self.packed and self._read_bytes > self._limit:
            raise UnreadableInput(
                f"{self.name}: unpacks to more than {self.expansion} times its size; "
                f"reading was stopped (limits.expansion in fairwatch.yaml)."
            )


def _newlines(data: memoryview) -> int:
    """How many there are: twice as fast as `bytes.count`, and other threads run meanwhile."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == NEWLINE))
