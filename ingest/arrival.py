"""Where lines come from: files, and members of archives, opened and read forward."""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from errors import UnreadableInput
from ingest.layers import (
    Readable,
    shown,
)

SLACK = 64 << 20


@dataclass(frozen=True)
class Facts:
    """What a file is known by without reading it; `mark` changes when its content does."""

    size: int
    modified: float
    place: str = ""
    mark: str = ""


@dataclass
class Budget:
    """Bytes an archive may unpack to, over all its members; raises UnreadableInput beyond."""

    limit: int
    name: str
    times: int
    spent: int = 0

    @property
    def gone(self) -> bool:
        """Nothing more will be read."""
        return self.spent > self.limit

    def spend(self, size: int) -> None:
        """Take note of bytes that were unpacked."""
        self.spent += size
        if self.gone:
            raise UnreadableInput(
                f"{self.name}: unpacks to more than {self.times} times its size; "
                f"reading was stopped (limits.expansion in fairwatch.yaml)."
            )


class Origin(Protocol):
    """Something that can be opened and read forward; `name` is how it is shown, escaped."""

    @property
    def name(self) -> str: ...
    @property
    def budget(self) -> Budget | None: ...
    @property
    def remote(self) -> bool: ...
    def facts(self) -> Facts:
        """Size, age and mark; raises OSError."""
        ...

    def open(self) -> Readable:
        """Its bytes from the beginning; raises OSError."""
        ...

    def release(self) -> None:
        """Let go of what it was reached by."""
        ...


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine."""

    path: Path
    budget: Budget | None = None
    remote: bool = False

    @property
    def name(self) -> str:
        return shown(str(self.path))

    def facts(self) -> Facts:
        status = self.path.stat()
        mark = f"{status.st_size}:{status.st_mtime_ns}"
        return Facts(status.st_size, status.st_mtime, f"inode {status.st_ino}", mark)

    def open(self) -> BinaryIO:
        # Not blocking: a FIFO nobody writes to would stop the night.
        handle = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if (told := kind(os.fstat(handle).st_mode)) is not None:
                code = errno.EISDIR if told == "folder" else errno.EINVAL
                text = os.strerror(code) if told == "folder" else f"it is a {told}, not a file"
                raise OSError(code, text)
            return os.fdopen(handle, "rb", buffering=0)
        except OSError:
            os.close(handle)
            raise

    def release(self) -> None:
        """Nothing to let go of."""


@dataclass
class Member:
    """A member of an archive being read through; it can be opened once, in its turn."""

    name: str
    size: int
    modified: float
    opener: Callable[[], Readable]
    budget: Budget | None = None
    remote: bool = True
    opened: Readable | None = field(default=None, repr=False)

    def facts(self) -> Facts:
        return Facts(self.size, self.modified)

    def open(self) -> Readable:
        if self.opened is not None:
            raise OSError(errno.ESPIPE, "a member of an archive is read once")
        self.opened = self.opener()
        return self.opened

    def release(self) -> None:
        """Nothing to let go of."""


@dataclass(frozen=True)
class Fault:
    """Something that is there and cannot be read, with the reason to be told."""

    name: str
    reason: str
    budget: Budget | None = None
    remote: bool = False

    def facts(self) -> Facts:
        return Facts(0, 0.0)

    def open(self) -> Readable:
        raise UnreadableInput(f"{self.name}: {self.reason}")

    def release(self) -> None:
        """Nothing to let go of."""


class Aside(Fault):
    """Something a glob found that nobody meant to be read: told, and no failure."""


def kind(mode: int) -> str | None:
    """What something is that is no plain file, in a word; None for a plain file."""
    for test, word in (
        (stat.S_ISDIR, "folder"),
        (stat.S_ISFIFO, "FIFO"),
        (stat.S_ISSOCK, "socket"),
        (stat.S_ISCHR, "device"),
        (stat.S_ISBLK, "device"),
    ):
        if test(mode):
            return word
    return None
