"""Layers between a file's bytes and its lines: decompression, character sets, NULs, line ends.

Each reads forward only, gives exactly what is asked for unless the end comes first, and makes the
same beginning of its output from the same beginning of its input, so that a file may go on growing.
"""

import bz2
import codecs
import hashlib
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol, cast

import numpy as np
import pyarrow as pa

SIP = 64 << 10
UNREADABLE = (OSError, EOFError, lzma.LZMAError, pa.ArrowInvalid, zipfile.BadZipFile, zlib.error)

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
)

STRANGE: tuple[tuple[bytes, str], ...] = (
    (b"Salted__", "is encrypted (OpenSSL)"),
    (b"U2FsdGVkX1", "is encrypted (OpenSSL, base64)"),
    (b"-----BEGIN PGP MESSAGE", "is encrypted (PGP)"),
    (b"age-encryption.org/", "is encrypted (age)"),
    (b"-----BEGIN AGE ENCRYPTED", "is encrypted (age)"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive (perhaps encrypted), not a log"),
    (b"Rar!\x1a\x07", "is a RAR archive (perhaps encrypted), not a log"),
    (b"ElfFile\x00", "is a Windows event log (evtx), not a text log"),
    (b"SQLite format 3\x00", "is a SQLite database, not a log"),
    (b"\xd4\xc3\xb2\xa1", "is a packet capture (pcap), not a log"),
    (b"\xa1\xb2\xc3\xd4", "is a packet capture (pcap), not a log"),
    (b"\x4d\x3c\xb2\xa1", "is a packet capture (pcap), not a log"),
    (b"\x0a\x0d\x0d\x0a", "is a packet capture (pcapng), not a log"),
    (b"PAR1", "is a Parquet file, not a log"),
    (b"%PDF-", "is a PDF document, not a log"),
    (b"LPKSHHRH", "is a systemd journal, not a text log (journalctl writes one)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Office document, not a log"),
    (b"\x7fELF", "is a program, not a log"),
    (b"\x89PNG", "is a picture, not a log"),
    (b"\xff\xd8\xff", "is a picture, not a log"),
    (b"MSCF", "is a cabinet archive, not a log"),
    (b"\x1f\x9d", "is packed by compress (.Z); pack it as gz, zstd or xz"),
    (b"LZIP", "is packed by lzip; pack it as gz, zstd or xz"),
    (b"\x89LZO", "is packed by lzop; pack it as gz, zstd or xz"),
    (b"\xff\x06\x00\x00sNaPpY", "is packed by snappy; pack it as gz, zstd or xz"),
)
"""What stands at the beginning of files people deliver by mistake, and what to call them."""

MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
NULS = re.compile(rb"(?:^|(?<=\n))\x00+")
CONTROLS = bytes(b for b in range(32) if b not in b"\0\t\n\r\x1b")


class Readable(Protocol):
    """What is read forward."""

    def read(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


def shown(name: str) -> str:
    """A name as it may be printed and stored: control characters and odd bytes escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def why(error: BaseException) -> str:
    """The reason of a failure in a few words."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__).splitlines()[0]


def compression(start: bytes) -> str | None:
    """How something is packed, by its first bytes."""
    return next((name for magic, name in MAGIC if start.startswith(magic)), None)


def is_tar(start: bytes) -> bool:
    """Whether a first block is the header of a tar archive (its checksum is believed)."""
    if len(start) < 512 or not start.strip(b"\0"):
        return False
    try:
        tarfile.TarInfo.frombuf(start[:512], "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True


def strange(start: bytes) -> str | None:
    """What is no log, by its beginning; None where it may be one."""
    for magic, told in STRANGE:
        if start.startswith(magic):
            return told
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")) or is_tar(start):
        return "is an archive inside an archive; unpack one of them"
    return "is encrypted (PGP)" if _pgp(start) else None


def _pgp(start: bytes) -> bool:
    """A PGP message: a packet with a session key comes first."""
    if len(start) < 5:
        return False
    old, new = {0x84: 2, 0x85: 3, 0x8C: 2}, {0xC1: 2, 0xC3: 2}
    at = {**old, **new}.get(start[0])
    if at is None:
        return False
    if start[0] in (0xC1, 0xC3) and start[1] >= 192:
        at = 3
    return start[at] in ((4, 5) if start[0] in (0x8C, 0xC3) else (3, 6))


def binary(sample: bytes) -> bool:
    """Whether a sample is no text at all: many different control characters stand in it."""
    found = [sample.count(bytes([c])) for c in CONTROLS]
    return sum(1 for n in found if n) >= 16 and sum(found) > len(sample) // 50


def charset(start: bytes) -> tuple[str | None, int]:
    """(character set to be made UTF-8, bytes of its mark); None where the bytes are taken as is."""
    for mark, name in MARKS:
        if start.startswith(mark):
            return name, len(mark)
    if len(start) < 16:
        return None, 0
    even, odd = start[0:4096:2].count(0), start[1:4096:2].count(0)
    half = len(start[:4096]) // 2
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le", 0
    if even > 0.4 * half and odd < 0.05 * half:
        return "utf-16-be", 0
    return None, 0


def exactly(read: Callable[[int], bytes], size: int) -> bytes:
    """What was asked for unless the end comes first."""
    data = bytes(read(size)) if size else b""
    if not data or len(data) == size:
        return data
    pieces = [data]
    left = size - len(data)
    while left and (data := bytes(read(left))):
        pieces.append(data)
        left -= len(data)
    return b"".join(pieces)


def decompressed(file: Readable, packed: str) -> Readable:
    """The content of packed bytes, in as many members or frames as there are."""
    if packed == "bz2":
        return Exactly(bz2.open(cast(BinaryIO, file), "rb"))
    if packed == "xz":
        return Exactly(lzma.open(cast(BinaryIO, file), "rb"))
    return Exactly(pa.CompressedInputStream(pa.PythonFile(_Filelike(file), mode="r"), packed))


class _Filelike:
    """What Arrow asks of a file: it reads, and closing it is left to whoever opened it."""

    closed = False

    def __init__(self, file: Readable) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return True


class Exactly:
    """Reads what was asked for unless the end comes first, as a plain file does.

    Damage is told once everything before it was handed out.
    """

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._damage: Exception | None = None

    def read(self, size: int, /) -> bytes:
        pieces = []
        while size > 0 and not self._damage:
            try:
                piece = self._sip(min(size, SIP))
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

    def _sip(self, size: int) -> bytes:
        return bytes(self._file.read(size))

    def close(self) -> None:
        self._file.close()


class Hashed:
    """Bytes as they lie there, with the SHA-256 of what has gone by."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = bytes(self._file.read(size))
        self._hash.update(data)
        return data

    def digest(self) -> str:
        """Of the whole, once the rest was read as well."""
        while self.read(1 << 20):
            pass
        return self._hash.hexdigest()

    def close(self) -> None:
        self._file.close()


class Pushed:
    """What was looked at beforehand, then the rest."""

    def __init__(self, start: bytes, file: Readable) -> None:
        self._start, self._file = start, file

    def read(self, size: int, /) -> bytes:
        if not self._start:
            return bytes(self._file.read(size))
        data, self._start = self._start[:size], self._start[size:]
        if len(data) == size:
            return data
        try:
            return data + bytes(self._file.read(size - len(data)))
        except UNREADABLE:
            return data  # the next read says it again

    def close(self) -> None:
        self._file.close()


class Transcoded(Exactly):
    """UTF-16 or UTF-32 as UTF-8; a character cut in two by the end waits for its other half."""

    def __init__(self, file: Readable, charset: str, skip: int) -> None:
        super().__init__(file)
        self._decoder = codecs.getincrementaldecoder(charset)("replace")
        self._skip, self._held = skip, b""
        self._plain = charset == "utf-8"

    def _sip(self, size: int) -> bytes:
        while self._skip:
            self._skip -= len(self._file.read(self._skip)) or self._skip
        if self._plain:
            return bytes(self._file.read(size))
        while not self._held and (data := bytes(self._file.read(size))):
            self._held = self._decoder.decode(data).encode("utf-8", "replace")
        data, self._held = self._held[:size], self._held[size:]
        return data


class Cleaned:
    """Without the NULs some writers leave at the start of lines; with CR alone made line ends.

    A program that keeps its place in a log others empty (copytruncate) leaves as many NULs before
    its next line as the file was long; so does a disk after a power cut. `spend` is told of each
    read before that, so that a bomb of NULs is one as well.
    """

    def __init__(self, file: Readable, spend: Callable[[int], None]) -> None:
        self._file, self._spend = file, spend
        self._at_start = True
        self._damage: Exception | None = None
        self._ended = False
        self.returns = False
        self.nuls = 0

    def read(self, size: int, /) -> bytes:
        pieces, left = [], size
        while left and not self._damage and not self._ended:
            try:
                raw = bytes(self._file.read(left))
            except UNREADABLE as error:
                self._damage = error
                break
            if not raw:  # what is written from here on is for the next time
                self._ended = True
                break
            self._spend(len(raw))
            data = self._clean(raw)
            pieces.append(data)
            left -= len(data)
        if self._damage and not any(pieces):
            raise self._damage
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _clean(self, data: bytes) -> bytes:
        if self.returns:
            data = data.replace(b"\r", b"\n")
        if not np.frombuffer(data, np.uint8).min(
            initial=1
        ):  # as quick as `in`; others run meanwhile
            before = len(data)
            start = data if self._at_start else b"." + data
            data = NULS.sub(b"", start)[0 if self._at_start else 1 :]
            self.nuls += before - len(data)
        if data:
            self._at_start = data.endswith(b"\n")
        return data

    def close(self) -> None:
        self._file.close()
