"""What files are wrapped in: compression, archives in archives, office documents; all in bounded memory."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from lake.witness.bound import Bound, Closed, Seen
from lake.witness.database import read_database_bytes
from lake.witness.mail import is_mail, mail_parts
from lake.witness.office import is_workbook, read_workbook
from lake.witness.tables import read_arrow, read_parquet
from lake.witness.text import read_text

SIP = 64 << 10
DEEPEST = 8
MEMBERS = 100_000
IN_MEMORY = 256 << 20
"""A file inside an archive that has to be read from its end (zip, Parquet, SQLite) is held in memory."""

EXPANSION = 1000
LEAST_EXPANSION = 256 << 20
CONFIGURATION = "data/configuration/"
"""Members of an evidence pack that hold a policy or a list: their dates are no events."""

CLOSED: tuple[tuple[bytes, str], ...] = (
    (b"Salted__", "encrypted (OpenSSL)"),
    (b"U2FsdGVkX1", "encrypted (OpenSSL, base64)"),
    (b"-----BEGIN PGP MESSAGE", "encrypted (PGP)"),
    (b"age-encryption.org/", "encrypted (age)"),
    (b"-----BEGIN AGE ENCRYPTED", "encrypted (age)"),
    (b"PARE", "encrypted (Parquet)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"ElfFile\x00", "a Windows event log"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture"),
    (b"\xa1\xb2\xc3\xd4", "a packet capture"),
    (b"\x4d\x3c\xb2\xa1", "a packet capture"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture"),
    (b"%PDF-", "a PDF document"),
    (b"LPKSHHRH", "a systemd journal"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
    (b"\x7fELF", "a program"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"MSCF", "a cabinet archive"),
    (b"\x1f\x9d", "packed by compress"),
    (b"LZIP", "packed by lzip"),
    (b"\x89LZO", "packed by lzop"),
    (b"\xff\x06\x00\x00sNaPpY", "packed by snappy"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
)


@dataclass
class Budget:
    """What a file may unpack to, counted over all its layers. Raises Closed where it is spent."""

    left: int

    def spend(self, count: int) -> None:
        """So many bytes more were unpacked."""
        self.left -= count
        if self.left < 0:
            raise Closed(f"unpacks to more than {EXPANSION} times its size")


class Joined(io.RawIOBase):
    """A stream whose beginning was read already, counted against a budget."""

    def __init__(self, start: bytes, rest: BinaryIO, budget: Budget) -> None:
        super().__init__()
        self._start, self._rest, self._budget = start, rest, budget

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """The beginning first."""
        size = len(buffer)
        data, self._start = self._start[:size], self._start[size:]
        if not data:
            data = self._rest.read(size) or b""
            self._budget.spend(len(data))
        buffer[: len(data)] = data
        return len(data)


def budget_of(size: int) -> Budget:
    """What a file of so many bytes may unpack to."""
    return Budget(max(LEAST_EXPANSION, size * EXPANSION))


def read_stream(file: BinaryIO, bound: Bound, seen: Seen, budget: Budget, depth: int = 0) -> None:
    """Note what a stream holds, whatever it is wrapped in. Raises Closed and the unpackers' errors."""
    if depth > DEEPEST:
        raise Closed(f"is packed more than {DEEPEST} times")
    start = _first(file)
    refuse(start)
    stream = cast(BinaryIO, io.BufferedReader(Joined(start, file, budget), 1 << 20))
    inner = _unpacked(stream, start)
    if inner is not None:
        read_stream(inner, bound, seen, budget, depth + 1)
    elif start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        read_zip(io.BytesIO(_whole(stream)), bound, seen, budget, depth + 1)
    elif is_tar(start):
        _read_tar(stream, bound, seen, budget, depth + 1)
    elif start.startswith(b"PAR1"):
        read_parquet(pq.ParquetFile(pa.BufferReader(_whole(stream))), None, bound, seen)
    elif start.startswith(b"ARROW1"):
        read_arrow(pa.BufferReader(_whole(stream)), bound, seen)
    elif start.startswith(b"SQLite format 3\0"):
        read_database_bytes(_whole(stream), bound, seen)
    elif is_mail(start):
        _read_mail(_whole(stream), bound, seen, budget, depth + 1)
    else:
        read_text(stream, start, bound, seen)


def refuse(start: bytes) -> None:
    """Raise Closed for what nothing here can look into, by its first bytes."""
    for magic, told in CLOSED:
        if start.startswith(magic):
            raise Closed(told)


def _read_mail(raw: bytes, bound: Bound, seen: Seen, budget: Budget, depth: int) -> None:
    """A mail by its own text, and by what its parts hold."""
    read_text(io.BytesIO(raw), raw[:SIP], bound, seen)
    for part in mail_parts(raw):
        read_stream(io.BytesIO(part), bound, seen, budget, depth)


def _first(file: BinaryIO) -> bytes:
    """The first bytes of a stream, as many as a sip where there are so many."""
    parts: list[bytes] = []
    while (left := SIP - sum(map(len, parts))) > 0 and (part := file.read(left)):
        parts.append(part)
    return b"".join(parts)


def _whole(stream: BinaryIO) -> bytes:
    data = stream.read(IN_MEMORY + 1)
    if len(data) > IN_MEMORY:
        raise Closed(f"holds a packed file of more than {IN_MEMORY >> 20} MiB")
    return data


def _unpacked(file: BinaryIO, start: bytes) -> BinaryIO | None:
    """The stream inside a compressed one, None where it is not compressed."""
    openers: tuple[tuple[bytes, Callable[[BinaryIO], object]], ...] = (
        (b"\x1f\x8b", lambda f: gzip.GzipFile(fileobj=f)),
        (b"BZh", bz2.open),
        (b"\xfd7zXZ\x00", lzma.open),
        (b"\x5d\x00\x00", lzma.open),
        (b"\x28\xb5\x2f\xfd", lambda f: pa.CompressedInputStream(pa.PythonFile(f), "zstd")),
        (b"\x04\x22\x4d\x18", lambda f: pa.CompressedInputStream(pa.PythonFile(f), "lz4")),
    )
    for magic, opener in openers:
        if start.startswith(magic):
            return cast(BinaryIO, opener(file))
    return None


def is_tar(start: bytes) -> bool:
    """Whether a beginning is the header of a tar archive (its checksum is believed)."""
    if len(start) < 512 or not start[:512].strip(b"\0"):
        return False
    try:
        tarfile.TarInfo.frombuf(start[:512], "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True


def _read_tar(stream: BinaryIO, bound: Bound, seen: Seen, budget: Budget, depth: int) -> None:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for number, member in enumerate(archive):
            _few(number)
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                inner = replace(bound, written=_changed(member.mtime, bound))
                read_stream(cast(BinaryIO, file), inner, seen, budget, depth)


def _changed(stamp: float, bound: Bound) -> date:
    """A member's own time of change, where it is one."""
    return bound.plausible(stamp) or bound.written


def read_zip(file: BinaryIO, bound: Bound, seen: Seen, budget: Budget, depth: int = 0) -> None:
    """Every member of a zip, also of zips in it; a workbook by its cells."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _few(len(members))
        names = {m.filename for m in members}
        if is_workbook(names):
            read_workbook(archive, bound, seen, budget.spend)
            return
        pack = bound.paged or any(n.endswith("bagit.txt") and n.count("/") <= 1 for n in names)
        for member in members:
            if member.is_dir() or (pack and CONFIGURATION in member.filename):
                continue
            try:
                changed = date(*member.date_time[:3])
            except ValueError:
                changed = bound.written
            # A pack's members bear 1980 as their date, so that the same pack has the same bytes.
            inner = replace(bound, written=changed if changed.year > 1980 else bound.written)
            with archive.open(member) as raw:
                read_stream(cast(BinaryIO, raw), inner, seen, budget, depth + 1)


def _few(members: int) -> None:
    if members > MEMBERS:
        raise Closed(f"has more than {MEMBERS:,} members")
