"""Members of zip and tar archives, as files of their own.

Nothing is unpacked to the disk, and no name found inside an archive is ever used as a path.
"""

import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, cast

from errors import UnreadableInput
from ingest.arrival import SLACK, Budget, Fault, Member, Origin
from ingest.layers import (
    UNREADABLE,
    Readable,
    compression,
    decompressed,
    exactly,
    is_tar,
    shown,
    why,
)

MEMBERS = 10_000
"""Members of one archive that are read; more are a bomb or a backup, not a delivery of logs."""

DIRECTORY_BYTES = 16 << 20
HEADER_BYTES = 1 << 20
BLOCK = 512
END_OF_ZIP = struct.Struct("<4s4H2LH")
END_OF_ZIP64 = struct.Struct("<4sQ2H2L4Q")
NO_LOGS = ("__MACOSX/",)
NO_ZIP_TIME = 1980
WESTMOST = timedelta(hours=12)
"""How far the westernmost zone is behind."""


def unfolded(origin: Origin, expansion: int) -> Iterator[Origin]:
    """The origin itself, or the members of the archive it is, each to be read before the next."""
    if isinstance(origin, Member | Fault):
        yield origin
        return
    try:
        file = origin.open()
        try:
            start = exactly(file.read, BLOCK)
            if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
                yield from _zip(origin, file, expansion)
                return
            packed = compression(start)
            if packed is None and not is_tar(start):
                yield origin
                return
        finally:
            file.close()
        yield from _perhaps_tar(origin, packed, expansion)
    except (*UNREADABLE, UnreadableInput):
        yield origin  # whoever reads it says why it cannot be read


def _perhaps_tar(origin: Origin, packed: str | None, expansion: int) -> Iterator[Origin]:
    size = origin.facts().size
    outer, inner = (Budget(size * expansion + SLACK, origin.name, expansion) for _ in range(2))
    file = origin.open()
    source = decompressed(file, packed) if packed else file
    try:
        try:
            start = exactly(source.read, BLOCK)
        except UNREADABLE:
            start = b""
        if not is_tar(start):
            yield origin
            return

        def read(size: int) -> bytes:
            data = exactly(source.read, size)
            outer.spend(len(data))
            return data

        try:
            yield from _tar(origin.name, start, read, inner, origin.facts().modified)
        except (*UNREADABLE, UnreadableInput, tarfile.TarError, ValueError) as error:
            told = str(error).removeprefix(f"{origin.name}: ")
            if not isinstance(error, UnreadableInput):
                told = f"stops being readable as a tar archive: {why(error)}."
            yield Fault(origin.name, told)
    finally:
        source.close()
        file.close()


class _Window:
    """The bytes of one member inside the archive that is read through."""

    def __init__(self, read: Callable[[int], bytes], size: int) -> None:
        self._read, self.left = read, size
        self.closed = False

    def read(self, size: int = -1, /) -> bytes:
        wanted = min(self.left, size if size >= 0 else self.left)
        data = self._read(wanted) if wanted else b""
        if len(data) < wanted:
            self.left = 0
            raise EOFError("the archive ends inside this member")
        self.left -= len(data)
        return data

    def close(self) -> None:
        """What is left is skipped by the archive."""


def _tar(
    name: str, block: bytes, read: Callable[[int], bytes], budget: Budget, packed: float
) -> Iterator[Origin]:
    """Members of a tar archive in order. Its headers are read here: tarfile holds any size of them.

    `packed`: when the archive was written, which is all that is known of members without a time.
    """
    count, told = 0, ""
    while len(block) == BLOCK and block.strip(b"\0"):
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if info.size < 0:
            raise ValueError("a member has a negative size")
        padding = -info.size % BLOCK
        if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
            told = _long_name(info, read) or told
            read(padding)
        else:
            window = _Window(read, info.size)
            member = f"{name}!{shown(told or info.name)}"
            told = ""
            if info.isreg() and not info.name.startswith(NO_LOGS):
                count += 1
                if count > MEMBERS:
                    yield Fault(name, f"holds more than {MEMBERS:,} files; the rest is not read.")
                    return
                info.mtime = info.mtime or packed
                yield _tar_member(info, member, window, budget)
                if budget.gone:
                    return
            while window.left:
                window.read(min(window.left, 1 << 20))
            read(padding)
        block = read(BLOCK)
    if len(block) not in (0, BLOCK):
        raise EOFError("it ends inside a header")


def _tar_member(info: tarfile.TarInfo, name: str, window: _Window, budget: Budget) -> Origin:
    if info.type == tarfile.GNUTYPE_SPARSE:
        return Fault(
            name, "is stored as a sparse file, which is not read; pack it without --sparse."
        )
    return Member(name, info.size, float(info.mtime), lambda: window, budget)


def _long_name(info: tarfile.TarInfo, read: Callable[[int], bytes]) -> str:
    if info.size > HEADER_BYTES:
        raise ValueError(f"a header of {info.size} bytes")
    data = read(info.size)
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return data.rstrip(b"\0").decode("utf-8", "surrogateescape")
    if b" size=" in data:
        raise ValueError("a member is too large for its header")
    at = data.find(b" path=")
    return data[at + 6 :].split(b"\n", 1)[0].decode("utf-8", "surrogateescape") if at >= 0 else ""


def _zip(origin: Origin, file: Readable, expansion: int) -> Iterator[Origin]:
    """Members of a zip archive in the order of its directory."""
    facts = origin.facts()
    size = facts.size
    budget = Budget(size * expansion + SLACK, origin.name, expansion)
    if not hasattr(file, "seek"):
        yield Fault(origin.name, "is a zip archive that cannot be read from here.")
        return
    try:
        members, directory = _zip_end(cast(BinaryIO, file), size)
        if directory > DIRECTORY_BYTES:
            yield Fault(origin.name, f"its directory lists {members:,} members; it is not read.")
            return
        archive = zipfile.ZipFile(cast(BinaryIO, file))
    except (*UNREADABLE, zipfile.BadZipFile, ValueError, struct.error) as error:
        yield Fault(origin.name, f"cannot be read as a zip archive: {why(error)}.")
        return
    with archive:
        infos = [i for i in archive.infolist() if not i.is_dir()]
        infos = [i for i in infos if not i.filename.startswith(NO_LOGS)]
        if any(i.filename == "[Content_Types].xml" for i in infos):
            yield Fault(origin.name, "is an Office document, not a log.")
            return
        for info in infos[:MEMBERS]:
            yield _zip_member(archive, info, origin.name, budget, facts.modified)
            if budget.gone:
                return
        if len(infos) > MEMBERS:
            yield Fault(origin.name, f"holds more than {MEMBERS:,} files; the rest is not read.")


def _zip_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, outer: str, budget: Budget, packed: float
) -> Origin:
    name = f"{outer}!{shown(info.filename)}"
    if info.flag_bits & 0x1:
        return Fault(name, "is encrypted; unpack it with its password where it comes from.")

    def opener() -> Readable:
        try:
            return archive.open(info)
        except (NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
            raise UnreadableInput(f"{name}: cannot be unpacked: {why(error)}.") from None

    return Member(name, info.compress_size, _zip_time(info, packed), opener, budget)


def _zip_time(info: zipfile.ZipInfo, packed: float) -> float:
    """The latest instant a member can have been written at: a zip has local times of no known zone."""
    try:
        local = datetime(*info.date_time, tzinfo=UTC)
    except ValueError:
        return packed
    if local.year <= NO_ZIP_TIME:
        return packed
    latest = (local + WESTMOST).timestamp()
    return min(latest, packed) if packed else latest


def _zip_end(file: BinaryIO, size: int) -> tuple[int, int]:
    """(members, bytes) of the directory at a zip's end, before zipfile reads all of it."""
    start = max(0, size - (66 << 10))
    file.seek(start)
    tail = exactly(file.read, size - start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise ValueError("its directory is missing: it is cut off, or still being written")
    *_, members, directory, _, _ = END_OF_ZIP.unpack_from(tail, at)
    if at >= 20 and tail[at - 20 : at - 16] == b"PK\x06\x07":
        (where,) = struct.unpack_from("<Q", tail, at - 12)
        file.seek(where)
        fields = END_OF_ZIP64.unpack(exactly(file.read, END_OF_ZIP64.size))
        members, directory = fields[7], fields[8]
    file.seek(0)
    return members, directory
