"""That an act stands in the ledger a checkpoint tells of, as lines a shell can follow."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from errors import ProofFailed
from proofs.note import LARGEST, Checkpoint
from proofs.tree import Tree, inclusion_sides, leaf_hash, root_from_inclusion

FIRST = "fairwatch inclusion"
FORM = re.compile(
    FIRST + r"\norigin (?P<origin>[^\s+]+)\nact (?P<act>[1-9][0-9]{0,17})\n"
    r"size (?P<size>[1-9][0-9]{0,17})\n(?P<steps>(?:(?:left|right) [A-Za-z0-9+/]{43}=\n)*)"
)


@dataclass(frozen=True)
class Inclusion:
    """The path from act number `act` (from 1) to the root over `size` acts, lowest first."""

    origin: str
    act: int
    size: int
    path: tuple[bytes, ...]

    def text(self) -> str:
        """A line a hash: which side it is joined on, and the hash in base64."""
        sides = inclusion_sides(self.act - 1, self.size, self.path)
        steps = [
            f"{'left' if left else 'right'} {base64.b64encode(value).decode()}\n"
            for left, value in zip(sides, self.path, strict=True)
        ]
        head = f"{FIRST}\norigin {self.origin}\nact {self.act}\nsize {self.size}\n"
        return head + "".join(steps)


def prove(tree: Tree, act: int, point: Checkpoint) -> Inclusion:
    """The path of an act under a checkpoint that covers it; ValueError where it does not."""
    return Inclusion(point.origin, act, point.size, tuple(tree.inclusion(act - 1, point.size)))


def parse(raw: bytes, where: str) -> Inclusion:
    """A proof as it was written; raises ProofFailed for what is none."""
    match = FORM.fullmatch(raw[: LARGEST + 1].decode("utf-8", "replace"))
    if match is None:
        raise ProofFailed(f"{where}: is no inclusion proof.")
    steps = [line.split(" ") for line in match["steps"].splitlines()]
    found = Inclusion(
        match["origin"],
        int(match["act"]),
        int(match["size"]),
        tuple(base64.b64decode(value) for _, value in steps),
    )
    _sides_fit(found, [side == "left" for side, _ in steps], where)
    return found


def check(proof: Inclusion, line: bytes, point: Checkpoint, where: str) -> None:
    """Hold a line (with its newline) against a checkpoint; raises ProofFailed."""
    if (proof.origin, proof.size) != (point.origin, point.size):
        raise ProofFailed(f"{where}: belongs to another checkpoint.")
    try:
        root = root_from_inclusion(leaf_hash(line), proof.act - 1, proof.size, proof.path)
    except ValueError as error:
        raise ProofFailed(f"{where}: {error}.") from None
    if root != point.root:
        raise ProofFailed(f"{where}: does not lead from this act to the checkpoint's root.")


def _sides_fit(proof: Inclusion, sides: Sequence[bool], where: str) -> None:
    try:
        fit = inclusion_sides(proof.act - 1, proof.size, proof.path) == list(sides)
    except ValueError:
        fit = False
    if not fit:
        raise ProofFailed(f"{where}: no path from act {proof.act} of {proof.size} looks like this.")
