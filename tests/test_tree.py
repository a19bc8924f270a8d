"""The tree of acts: equal to RFC 9162 and its published vectors, also after its beginning is gone."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.tree import (
    EMPTY,
    Tree,
    Unknown,
    consistency_steps,
    consistent,
    inclusion_sides,
    leaf_hash,
    root_from_inclusion,
)

VECTORS: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "data" / "merkle.yaml").read_text("utf-8")
)
ENTRIES = [bytes.fromhex(entry) for entry in VECTORS["entries"]]


def of(entries: list[bytes]) -> Tree:
    tree = Tree()
    for entry in entries:
        tree.add(entry)
    return tree


def hexed(hashes: list[bytes]) -> list[str]:
    return [value.hex() for value in hashes]


# RFC 9162, 2.1.1, 2.1.3.1 and 2.1.4.1 word for word, without any memory.
def mth(d: list[bytes]) -> bytes:
    if not d:
        return hashlib.sha256(b"").digest()
    if len(d) == 1:
        return hashlib.sha256(b"\x00" + d[0]).digest()
    k = split(len(d))
    return hashlib.sha256(b"\x01" + mth(d[:k]) + mth(d[k:])).digest()


def path(m: int, d: list[bytes]) -> list[bytes]:
    if len(d) == 1:
        return []
    k = split(len(d))
    if m < k:
        return [*path(m, d[:k]), mth(d[k:])]
    return [*path(m - k, d[k:]), mth(d[:k])]


def subproof(m: int, d: list[bytes], b: bool) -> list[bytes]:
    if m == len(d):
        return [] if b else [mth(d)]
    k = split(len(d))
    if m <= k:
        return [*subproof(m, d[:k], b), mth(d[k:])]
    return [*subproof(m - k, d[k:], False), mth(d[:k])]


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def test_the_empty_tree() -> None:
    assert Tree().root() == EMPTY == mth([])
    assert EMPTY.hex() == VECTORS["roots"][0]


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots(size: int) -> None:
    assert of(ENTRIES).root(size).hex() == VECTORS["roots"][size]


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=str)
def test_the_published_paths(case: dict[str, Any]) -> None:
    found = of(ENTRIES).inclusion(case["leaf"], case["size"])
    assert hexed(found) == case["path"]
    leaf = leaf_hash(ENTRIES[case["leaf"]])
    assert (
        root_from_inclusion(leaf, case["leaf"], case["size"], found).hex()
        == (VECTORS["roots"][case["size"]])
    )


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=str)
def test_the_published_consistency_proofs(case: dict[str, Any]) -> None:
    found = of(ENTRIES).consistency(case["old"], case["new"])
    assert hexed(found) == case["proof"]
    roots = [bytes.fromhex(VECTORS["roots"][case[n]]) for n in ("old", "new")]
    assert consistent(case["old"], roots[0], case["new"], roots[1], found)


def test_the_example_of_the_rfc() -> None:
    """RFC 9162, 2.1.5: seven leaves, its letters for the nodes."""
    d = [bytes([n]) for n in range(7)]
    a, b, c, d_, e, f, j = (leaf_hash(x) for x in d)
    g, h, i = (hashlib.sha256(b"\x01" + x + y).digest() for x, y in ((a, b), (c, d_), (e, f)))
    k = hashlib.sha256(b"\x01" + g + h).digest()
    l_ = hashlib.sha256(b"\x01" + i + j).digest()
    tree = of(d)
    assert tree.inclusion(0, 7) == [b, h, l_]
    assert tree.inclusion(3, 7) == [c, g, l_]
    assert tree.inclusion(4, 7) == [f, j, k]
    assert tree.inclusion(6, 7) == [i, k]
    assert tree.consistency(3, 7) == [c, d_, g, l_]
    assert tree.consistency(4, 7) == [l_]
    assert tree.consistency(6, 7) == [i, j, k]


def test_everything_up_to_forty_leaves() -> None:
    entries = [str(n).encode() for n in range(40)]
    tree = of(entries)
    for size in range(1, 41):
        root = mth(entries[:size])
        assert tree.root(size) == root
        for index in range(size):
            found = tree.inclusion(index, size)
            assert found == path(index, entries[:size])
            assert root_from_inclusion(leaf_hash(entries[index]), index, size, found) == root
        for old in range(1, size + 1):
            proof = tree.consistency(old, size)
            assert proof == subproof(old, entries[:size], True)
            assert consistent(old, mth(entries[:old]), size, root, proof)


@st.composite
def cut_trees(draw: st.DrawFn) -> tuple[list[bytes], list[int]]:
    """Entries, and the sizes at which the part that is gone was divided, last one where it ends."""
    entries = draw(st.lists(st.binary(max_size=3), min_size=1, max_size=70))
    bounds = draw(st.sets(st.integers(1, len(entries)), max_size=6))
    return entries, sorted(bounds)


def cut(entries: list[bytes], bounds: list[int]) -> Tree:
    """The tree as it is known after its leaves up to the last bound were dropped."""
    whole, tree = of(entries), Tree()
    for start, end in zip([0, *bounds], bounds, strict=False):
        tree.add_cover(end, whole.cover(start, end))
    for entry in entries[tree.size :]:
        tree.add(entry)
    return tree


@given(cut_trees())
def test_a_tree_without_its_beginning_is_the_same_tree(
    drawn: tuple[list[bytes], list[int]],
) -> None:
    entries, bounds = drawn
    tree, gone = cut(entries, bounds), bounds[-1] if bounds else 0
    known = [*bounds, *range(gone + 1, len(entries) + 1)]
    for size in known:
        root = mth(entries[:size])
        assert tree.root(size) == root
        assert all(tree.inclusion(i, size) == path(i, entries[:size]) for i in range(gone, size))
        for old in (o for o in known if o <= size):
            proof = tree.consistency(old, size)
            assert proof == subproof(old, entries[:size], True)
            assert consistent(old, mth(entries[:old]), size, root, proof)


@given(cut_trees())
def test_dropping_in_two_steps_is_dropping_once(drawn: tuple[list[bytes], list[int]]) -> None:
    entries, bounds = drawn
    once = cut(entries, bounds)
    again = Tree()
    for start, end in zip([0, *bounds], bounds, strict=False):
        again.add_cover(end, once.cover(start, end))
    for entry in entries[again.size :]:
        again.add(entry)
    assert again.root() == once.root() == mth(entries)


def test_a_cover_holds_few_hashes() -> None:
    tree = of([b"x"] * 1000)
    assert len(tree.cover(0, 1000)) == (1000).bit_count()
    assert len(tree.cover(333, 999)) <= 2 * 10


def test_what_is_gone_is_said_to_be() -> None:
    tree = cut([b"%d" % n for n in range(20)], [6, 13])
    for size in (1, 5, 7, 9):
        with pytest.raises(Unknown, match="are gone"):
            tree.root(size)
    with pytest.raises(Unknown):
        tree.inclusion(3, 20)
    with pytest.raises(Unknown):
        tree.consistency(7, 20)


@given(st.integers(1, 60), st.data())
def test_a_wrong_proof_is_refused(size: int, data: st.DataObject) -> None:
    entries = [b"%d" % n for n in range(size)]
    tree, root = of(entries), mth(entries)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    proof, old_root = tree.consistency(old, size), tree.root(old)
    inclusion = tree.inclusion(index, size)
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        with_other = leaf_hash(entries[other])
        assert root_from_inclusion(with_other, index, size, inclusion) != root
    for wrong in _bent(proof, data):
        assert not consistent(old, old_root, size, root, wrong)
    assert not consistent(old, bytes(32), size, root, proof)
    assert not consistent(old, old_root, size, bytes(32), proof)
    for wrong in _bent(inclusion, data):
        try:
            found = root_from_inclusion(leaf_hash(entries[index]), index, size, wrong)
        except ValueError:
            continue
        assert found != root


def _bent(hashes: list[bytes], data: st.DataObject) -> list[list[bytes]]:
    bent = [[*hashes, bytes(32)]]
    if hashes:
        at = data.draw(st.integers(0, len(hashes) - 1))
        bent += [hashes[:-1], [*hashes[:at], bytes(32), *hashes[at + 1 :]]]
        bent += [[*hashes[:at], hashes[at][:31], *hashes[at + 1 :]]]
    return bent


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="not among the first"):
        inclusion_sides(index, size, [])
    with pytest.raises(ValueError, match="leaf"):
        of([b""] * 3).inclusion(index, size)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (3, 3), (4, 3), (-1, 3)])
def test_steps_need_an_older_tree(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="older tree"):
        consistency_steps(old, new, [])


def test_sizes_beyond_the_tree() -> None:
    tree = of([b"a", b"b"])
    with pytest.raises(ValueError, match="2 leaves"):
        tree.root(3)
    with pytest.raises(ValueError, match="beginning"):
        tree.consistency(-1, 2)


@pytest.mark.parametrize("hashes", [[], [bytes(32)] * 3, [bytes(31), bytes(32)]])
def test_a_cover_that_does_not_fit(hashes: list[bytes]) -> None:
    with pytest.raises(ValueError, match="do not cover"):
        Tree().add_cover(3, hashes)


@settings(max_examples=30)
@given(st.integers(0, 3), st.integers(0, 3))
def test_the_beginning_of_nothing(old: int, new: int) -> None:
    """An empty tree is the beginning of every tree, and only with its own root."""
    if old == 0:
        root = mth([b""] * new)
        assert consistent(0, EMPTY, new, root, [])
        assert not consistent(0, bytes(32), new, root, [])
