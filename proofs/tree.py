"""A Merkle tree after RFC 9162, section 2.1, over leaves of which the oldest may be gone."""

import hashlib
from collections.abc import Sequence

HASH = 32
EMPTY = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """SHA-256 of a zero byte and the entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of a one byte and the two hashes below."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Unknown(LookupError):
    """A hash that is asked for lies among leaves that are gone."""


class Tree:
    """Hashes of whole subtrees: level `h`, place `i` stands for leaves i·2^h up to (i+1)·2^h.

    Leaves that are gone are replaced by the fewest whole subtrees that cover them (`cover`,
    `add_cover`); every hash that can be made of these and of later leaves is the same as before.
    """

    def __init__(self) -> None:
        self.size = 0
        self._levels: list[dict[int, bytes]] = [{}]

    def add(self, data: bytes) -> None:
        """Append one entry."""
        self._put(0, self.size, leaf_hash(data))
        self.size += 1

    def add_cover(self, end: int, hashes: Sequence[bytes]) -> None:
        """Append the leaves up to `end` by what `cover(size, end)` gave; ValueError if they do not fit."""
        places = _covering(self.size, end)
        if end < self.size or len(places) != len(hashes) or any(len(h) != HASH for h in hashes):
            raise ValueError(f"the hashes given do not cover the leaves {self.size} to {end}")
        for (level, place), value in zip(places, hashes, strict=True):
            self._put(level, place, value)
        self.size = end

    def cover(self, start: int, end: int) -> list[bytes]:
        """The hashes of the fewest whole subtrees over the leaves `start` up to `end`."""
        return [self._whole(level, place) for level, place in _covering(start, end)]

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` leaves; over all of them by default."""
        size = self.size if size is None else self._within(size)
        return self._over(0, size) if size else EMPTY

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The path from leaf `index` (from 0) to the root over `size` leaves, lowest first."""
        if not 0 <= index < self._within(size):
            raise ValueError(f"leaf {index} is not among the first {size}")
        return self._path(index, 0, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """That the root over `new` leaves has the one over `old` leaves within it."""
        if not 0 <= old <= self._within(new):
            raise ValueError(f"{old} leaves are not the beginning of {new}")
        return self._subproof(old, 0, new, True) if 0 < old < new else []

    def _within(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise ValueError(f"the tree has {self.size} leaves, not {size}")
        return size

    def _put(self, level: int, place: int, value: bytes) -> None:
        """Keep a hash, and those above it that are now whole."""
        while True:
            while level >= len(self._levels):
                self._levels.append({})
            self._levels[level][place] = value
            left = self._levels[level].get(place - 1) if place % 2 else None
            if left is None:
                return
            value = node_hash(left, value)
            level, place = level + 1, place // 2

    def _whole(self, level: int, place: int) -> bytes:
        found = self._levels[level].get(place) if level < len(self._levels) else None
        if found is None:
            raise Unknown(f"the leaves {place << level} to {(place + 1 << level) - 1} are gone")
        return found

    def _over(self, start: int, end: int) -> bytes:
        """MTH(D[start:end]), where `start` is a multiple of the power of two not below the length."""
        length = end - start
        if length & (length - 1) == 0:
            level = length.bit_length() - 1
            return self._whole(level, start >> level)
        half = _half(length)
        return node_hash(self._over(start, start + half), self._over(start + half, end))

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _half(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._over(middle, end)]
        return [*self._path(index, middle, end), self._over(start, middle)]

    def _subproof(self, old: int, start: int, end: int, whole: bool) -> list[bytes]:
        if old == end:
            return [] if whole else [self._over(start, end)]
        middle = start + _half(end - start)
        if old <= middle:
            return [*self._subproof(old, start, middle, whole), self._over(middle, end)]
        return [*self._subproof(old, middle, end, False), self._over(start, middle)]


def inclusion_sides(index: int, size: int, path: Sequence[bytes]) -> list[bool]:
    """For each hash of an inclusion path whether it stands on the left; ValueError if it cannot be one."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not among the first {size}")
    sides: list[bool] = []
    place, last = index, size - 1
    while last:
        if place % 2 or place < last:
            sides.append(bool(place % 2))
        place, last = place // 2, last // 2
    if len(sides) != len(path) or any(len(h) != HASH for h in path):
        raise ValueError(f"expected a path of {len(sides)} hashes, found {len(path)}")
    return sides


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a leaf's hash and its path lead to; ValueError if the path cannot be one."""
    value = leaf
    for left, other in zip(inclusion_sides(index, size, path), path, strict=True):
        value = node_hash(other, value) if left else node_hash(value, other)
    return value


def consistency_steps(old: int, new: int, proof: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """The proof as steps: `start`, then `both` (left of both roots) or `new` (right of the new one).

    Needs 0 < old < new. Where `old` is a power of two the old root itself starts it, which the
    proof does not hold: the first step is then `both` or `new`. ValueError if it cannot be a proof.
    """
    if not 0 < old < new:
        raise ValueError(f"expected an older tree, found sizes {old} and {new}")
    place, last = old - 1, new - 1
    while place % 2:
        place, last = place // 2, last // 2
    names = [] if old & (old - 1) == 0 else ["start"]
    while last:
        if place % 2:
            names.append("both")
        elif place < last:
            names.append("new")
        place, last = place // 2, last // 2
    if len(names) != len(proof) or any(len(h) != HASH for h in proof):
        raise ValueError(f"expected a proof of {len(names)} hashes, found {len(proof)}")
    return list(zip(names, proof, strict=True))


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:  # fmt: skip
    """Whether a proof shows that the new tree only added to the old one."""
    if old == new or old == 0:
        return not proof and (old_root == new_root if old == new else old_root == EMPTY)
    try:
        steps = consistency_steps(old, new, proof)
    except ValueError:
        return False
    first = second = old_root
    for name, value in steps:
        if name == "start":
            first = second = value
        elif name == "both":
            first, second = node_hash(value, first), node_hash(value, second)
        else:
            second = node_hash(second, value)
    return (first, second) == (old_root, new_root)


def _half(length: int) -> int:
    """The largest power of two below a length of at least two."""
    return 1 << ((length - 1).bit_length() - 1)


def _covering(start: int, end: int) -> list[tuple[int, int]]:
    """(level, place) of the fewest whole subtrees that tile the leaves `start` up to `end`."""
    places = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        places.append((level, start >> level))
        start += 1 << level
    return places
