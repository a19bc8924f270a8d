"""Files that are whole or not there: temporary file, fsync, rename, fsync of the folder."""

import hashlib
import os
from pathlib import Path


def sha256(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync(path: Path) -> None:
    """Bring a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish(temporary: Path, final: Path) -> None:
    """Move a finished file to its place so that it survives a crash or is not there at all."""
    fsync(temporary)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary.rename(final)
    fsync(final.parent)
    fsync(final.parent.parent)


def write(path: Path, content: bytes, work: Path) -> None:
    """Write a whole file by way of `work`, a folder on the same file system."""
    work.mkdir(parents=True, exist_ok=True)
    temporary = work / f"{os.getpid()}-{path.name}.tmp"
    temporary.write_bytes(content)
    publish(temporary, path)


def remove(path: Path) -> None:
    """Unlink a file, then its folder where that is empty, and bring both to the disk."""
    path.unlink(missing_ok=True)
    fsync(path.parent)
    if not any(path.parent.iterdir()):
        path.parent.rmdir()
        fsync(path.parent.parent)
