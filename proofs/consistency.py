"""That a later checkpoint only added to an earlier one, as lines a shell can follow."""

import base64
import re
from dataclasses import dataclass

from errors import ProofFailed
from proofs.compare import Seen
from proofs.note import LARGEST
from proofs.tree import Tree, consistency_steps, consistent

FIRST = "fairwatch consistency"
SIZE, HASH = r"[1-9][0-9]{0,17}", r"[A-Za-z0-9+/]{43}="
FORM = re.compile(
    FIRST + r"\norigin (?P<origin>[^\s+]+)\n"
    rf"from (?P<old>{SIZE}) (?P<old_root>{HASH})\nto (?P<new>{SIZE}) (?P<new_root>{HASH})\n"
    rf"(?:start (?P<start>{HASH})\n(?P<steps>(?:(?:both|right) {HASH}\n)*))?"
)


@dataclass(frozen=True)
class Consistency:
    """Two sizes, their roots, and the hashes of RFC 9162, 2.1.4, between them."""

    origin: str
    old: int
    old_root: bytes
    new: int
    new_root: bytes
    proof: tuple[bytes, ...]

    def text(self) -> str:
        """`start`, then a line a hash: `both` is joined left of both roots, `right` of the new one."""
        lines = [
            FIRST,
            f"origin {self.origin}",
            f"from {self.old} {_text(self.old_root)}",
            f"to {self.new} {_text(self.new_root)}",
            *(f"{name} {_text(value)}" for name, value in self._steps()),
        ]
        return "".join(f"{line}\n" for line in lines)

    def ends(self) -> list[Seen]:
        """Both ends as something that was seen of the ledger."""
        told = f"the consistency proof from {self.old} to {self.new}"
        return [Seen(told, self.old, self.old_root), Seen(told, self.new, self.new_root)]

    def _steps(self) -> list[tuple[str, bytes]]:
        if self.old == self.new:
            return []
        steps = consistency_steps(self.old, self.new, self.proof)
        if not steps or steps[0][0] != "start":
            steps = [("start", self.old_root), *steps]
        return [("right" if name == "new" else name, value) for name, value in steps]


def prove(tree: Tree, origin: str, old: int, new: int) -> Consistency:
    """The proof between two sizes, `old` from 1; raises Unknown, ValueError as the tree does."""
    hashes = tuple(tree.consistency(old, new))
    return Consistency(origin, old, tree.root(old), new, tree.root(new), hashes)


def is_one(raw: bytes) -> bool:
    """Whether a file looks like a consistency proof."""
    return raw.startswith(FIRST.encode() + b"\n")


def parse(raw: bytes, where: str) -> Consistency:
    """A proof as it was written, checked in itself; raises ProofFailed."""
    match = FORM.fullmatch(raw[: LARGEST + 1].decode("utf-8", "replace"))
    if match is None:
        raise ProofFailed(f"{where}: is no consistency proof.")
    hashes = [base64.b64decode(line.split(" ")[1]) for line in (match["steps"] or "").splitlines()]
    old, new = int(match["old"]), int(match["new"])
    if match["start"] and old & (old - 1):
        hashes.insert(0, base64.b64decode(match["start"]))
    roots = [base64.b64decode(match[name]) for name in ("old_root", "new_root")]
    found = Consistency(match["origin"], old, roots[0], new, roots[1], tuple(hashes))
    if not consistent(old, roots[0], new, roots[1], hashes) or found.text().encode() != raw:
        raise ProofFailed(f"{where}: does not lead from the root of {old} acts to that of {new}.")
    return found


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
