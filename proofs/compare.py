"""A ledger held against what was published of it: what was changed, and between which acts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from errors import ProofFailed
from proofs.tree import Tree, Unknown


@dataclass(frozen=True)
class Seen:
    """What somebody saw of the ledger: how many acts, the root over them, and where it is told."""

    told: str
    size: int
    root: bytes


def compare(tree: Tree, seen: Sequence[Seen], place: Callable[[int], str]) -> int:
    """Hold a ledger against all that was seen of it; up to which act that vouches for it.

    `place` gives segment and line of an act. Raises ProofFailed naming the acts between the last
    that agrees and the first that does not, or the last act where the end is missing.
    """
    good, vouched = 0, ""
    for one in sorted(seen, key=lambda s: s.size):
        if one.size > tree.size:
            raise ProofFailed(
                f"{place(tree.size)}: is the last, act {tree.size}, but {one.told} saw act "
                f"{one.size}: the end of the ledger was cut off, or a segment is missing."
            )
        try:
            root = tree.root(one.size)
        except Unknown:
            raise ProofFailed(
                f"{one.told}: saw {one.size} acts; {place(one.size)}, and nothing was left of it at "
                f"that act. Compare with another checkpoint."
            ) from None
        if root != one.root:
            kept = f"; up to act {good} it is what {vouched} saw" if good else ""
            raise ProofFailed(
                f"{place(good + 1)} to {place(one.size)}: the ledger is not the one that {one.told} "
                f"saw. One of the acts {good + 1} to {one.size} was changed, added or removed and "
                f"what follows written anew{kept}."
            )
        good, vouched = one.size, one.told
    return good
