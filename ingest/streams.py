"""Which bytes of a file are new: a stream of log lines is known by its content, not by its name.

The first line's digest finds streams that may be the same; marks along each (offset, lines, digest
of everything before) tell how far a file repeats one. So a file that grew, was renamed, compressed,
copied or delivered again adds only what is new. Limits: docs/formats-on-disk.md, "Streams".
"""

import bz2
import hashlib
import io
import lzma
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

from errors import UnreadableInput
from ingest.documents import EntryLines, is_document

BLOCK = 6 << 20
MARK_GRAIN = 1 << 20
FIRST_MARK = 256
HEAD_BYTES = 4 << 10
RECORD = struct.Struct("<QQ16s")
SLACK = 64 << 20
SIP = 64 << 10
UNREADABLE = (OSError, EOFError, lzma.LZMAError, pa.ArrowInvalid)

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)


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


@dataclass
class Piece:
    """Whole lines to be parsed: their bytes, the number of the first (1-based), how many."""

    data: bytes
    first_line: int
    lines: int


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


def pack(marks: Sequence[Mark]) -> bytes:
    """Marks as they are stored."""
    return b"".join(RECORD.pack(m.offset, m.lines, m.digest) for m in marks)


def unpack(raw: bytes) -> list[Mark]:
    """Stored marks."""
    return [Mark(*fields) for fields in RECORD.iter_unpack(raw)]


def compression(path: Path) -> str | None:
    """How a file is packed, by its first bytes; its name is not asked."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((name for magic, name in MAGIC if start.startswith(magic)), None)


@dataclass
class Stream:
    """One file being read: what of it is known, then its new lines in pieces.

    Call `recognise` once, then iterate `pieces`; `marks`, `offset` and `line` grow with them.
    """

    path: Path
    complete: bool
    line_bytes: int
    expansion: int
    offset: int = 0
    line: int = 0
    marks: list[Mark] = field(default_factory=list)
    packed: str | None = None
    document: bool = False
    whole: Callable[[bytes], int] = len
    _hash: Any = field(default_factory=hashlib.sha256)
    _pending: bytes = b""
    _tail: bytes = b""
    _beyond: Any = None

    def __post_init__(self) -> None:
        try:
            self.packed = compression(self.path)
            self._limit = self.path.stat().st_size * self.expansion + SLACK
            self._source = _open(self.path, self.packed)
            self._read_bytes = 0
            self.sample = self._read(256 << 10)
            if is_document(self.sample):
                self._source.close()
                self._source = EntryLines(_open(self.path, self.packed), self._limit)
                self.document, self._read_bytes = True, 0
                self.sample = self._read(256 << 10)
        except OSError as error:
            raise UnreadableInput(f"{self.path}: cannot be read: {_why(error)}.") from None
        self._pending = self.sample

    @property
    def head(self) -> str:
        """Digest of the first line (of its first 4 KiB)."""
        first = self.sample[:HEAD_BYTES].split(b"\n", 1)[0]
        return hashlib.sha256(first).hexdigest()

    def recognise(self, known: Sequence[Known]) -> tuple[Known | None, int]:
        """Skip what is in the lake; (the stream continued, lines skipped)."""
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
        while data := self._take(BLOCK - len(carry) if len(carry) < BLOCK else BLOCK):
            data = carry + data
            cut = data.rfind(b"\n") + 1
            if not cut and len(data) > self.line_bytes:
                carry = b""
                if piece := self._overlong(data):
                    yield piece
                continue
            if cut:
                # A record over several lines is never cut in two, unless it is longer than a block.
                cut = self.whole(data[:cut]) or cut
            carry, data = data[cut:], data[:cut]
            if cut:
                yield self._emit(data, data)
        if carry and self.complete:
            yield self._emit(carry, carry + b"\n")
        else:
            self._tail = carry

    def digest(self) -> str:
        """SHA-256 of the file as it lies there, a last half-written line included."""
        if self.packed or self.document:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        whole = (self._beyond or self._hash).copy()
        whole.update(self._tail)
        return str(whole.hexdigest())

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

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
        for target in _targets(self.offset, len(raw)):
            cut = raw.rfind(b"\n", at, target - self.offset) + 1
            if cut > at:
                self._hash.update(view[at:cut])
                self.line += raw.count(b"\n", at, cut)
                self.marks.append(Mark(self.offset + cut, self.line, self._hash.digest()[:16]))
                at = cut
        self._hash.update(view[at:])
        self.line += raw.count(b"\n", at) + (not raw.endswith(b"\n"))
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
            data = bytes(self._source.read(size))
        except UNREADABLE as error:
            raise UnreadableInput(
                f"{self.path}: stops being readable after {self._read_bytes} bytes: {_why(error)}."
            ) from None
        self._read_bytes += len(data)
        if self.packed and self._read_bytes > self._limit:
            raise UnreadableInput(
                f"{self.path}: unpacks to more than {self.expansion} times its size; "
                f"reading was stopped (limits.expansion in fairwatch.yaml)."
            )
        return data


def _targets(offset: int, size: int) -> Iterator[int]:
    """Absolute offsets near which a mark is set: doubling up to 1 MiB, then every MiB."""
    target = FIRST_MARK
    while target <= offset and target < MARK_GRAIN:
        target *= 2
    if target >= MARK_GRAIN:
        target = max(MARK_GRAIN, (offset // MARK_GRAIN + 1) * MARK_GRAIN)
    while target < offset + size:
        yield target
        target = target * 2 if target < MARK_GRAIN else target + MARK_GRAIN


def _open(path: Path, packed: str | None) -> _Source:
    if packed is None:
        return path.open("rb", buffering=0)
    if packed == "bz2":
        return _Exactly(bz2.open(path, "rb"))
    if packed == "xz":
        return _Exactly(lzma.open(path, "rb"))
    return _Exactly(pa.CompressedInputStream(pa.OSFile(str(path)), packed))


class _Exactly(io.RawIOBase):
    """Reads what was asked for unless the end comes first, as a plain file does.

    Damage is told once everything before it was handed out.
    """

    def __init__(self, file: BinaryIO | pa.NativeFile) -> None:
        self._file = file
        self._damage: Exception | None = None

    def read(self, size: int = -1, /) -> bytes:
        pieces = []
        while size > 0 and not self._damage:
            try:
                piece = bytes(self._file.read(min(size, SIP)))
            except UNREADABLE as error:
                self._damage = error
                break
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        if self._damage and not pieces:
            raise self._damage
        return b"".join(pieces)

    def close(self) -> None:
        self._file.close()
        super().close()


def _why(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__).splitlines()[0]
