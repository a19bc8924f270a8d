"""A list's hosts as sorted 8-byte digests with the number of their category: small, and mapped, not read.

A million hosts are 10 MB on the disk and next to nothing in memory. The names themselves are not kept:
a list of clinics or unions in the site folder would be found there by whoever looks for them. A host
that is in no list is taken for one that is with a chance of hosts / 2**64: 1 in 10**12 for millions.
"""

import mmap
from array import array
from bisect import bisect_left
from hashlib import blake2b
from pathlib import Path

import numpy as np

from errors import BadConfiguration

RECORD = 10
"""Bytes a host: 8 of its digest, 2 of its category's number, all digests before all numbers."""

EXACT = "="
"""Before a name in the digest: only the host itself, not what lies below it."""


def key(name: str) -> int:
    """The digest a name is kept under."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


class Index:
    """The digests of a file, looked up where they lie."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self.hosts = len(data) // RECORD
        whole = memoryview(data)
        self._keys = whole[: 8 * self.hosts].cast("Q")
        self._codes = whole[8 * self.hosts :].cast("H")

    @classmethod
    def read(cls, path: Path) -> "Index":
        """The index of a file; raises BadConfiguration where it is not there or not whole."""
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                data: bytes | mmap.mmap = (
                    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
                )
        except OSError:
            raise BadConfiguration(
                f"{path}: cannot be read; import the list again, or take it out of `lists/`."
            ) from None
        if size % RECORD:
            raise BadConfiguration(f"{path}: is not whole ({size} bytes); import the list again.")
        return cls(data)

    def compared(self, before: "Index") -> tuple[int, int]:
        """(hosts more, hosts less) than another index has, whatever their categories."""
        mine, theirs = (np.unique(np.frombuffer(i._keys, np.uint64)) for i in (self, before))
        common = len(np.intersect1d(mine, theirs, assume_unique=True))
        return len(mine) - common, len(theirs) - common

    def find(self, wanted: int) -> list[int]:
        """The categories' numbers of a digest; empty where the list does not hold it."""
        at = bisect_left(self._keys, wanted)
        found = []
        while at < self.hosts and self._keys[at] == wanted:
            found.append(self._codes[at])
            at += 1
        return found


class Builder:
    """Hosts on their way into an index."""

    def __init__(self) -> None:
        self._keys, self._codes = array("Q"), array("H")

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, host: str, code: int, *, exact: bool = False) -> None:
        """One host of a category."""
        self._keys.append(key(EXACT + host if exact else host))
        self._codes.append(code)

    def finish(self) -> tuple[bytes, dict[int, int]]:
        """(the file's bytes, hosts a category); the same hosts give the same bytes in any order."""
        keys = np.frombuffer(self._keys, np.uint64) if self._keys else np.array([], np.uint64)
        codes = np.frombuffer(self._codes, np.uint16) if self._codes else np.array([], np.uint16)
        order = np.lexsort((codes, keys))
        keys, codes = keys[order], codes[order]
        first = np.ones(len(keys), bool)
        first[1:] = (keys[1:] != keys[:-1]) | (codes[1:] != codes[:-1])
        keys, codes = keys[first], codes[first]
        numbers, counts = np.unique(codes, return_counts=True)
        return (
            keys.astype("<u8").tobytes() + codes.astype("<u2").tobytes(),
            dict(zip(numbers.tolist(), counts.tolist(), strict=True)),
        )
