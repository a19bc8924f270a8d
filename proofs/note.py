"""Signed notes and checkpoints: text a person can mail, after C2SP signed-note and tlog-checkpoint."""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from errors import ProofFailed

LARGEST = 1 << 16
"""Bytes of a note; ours have some four hundred."""
ED25519 = b"\x01"
SIGNATURE = re.compile(r"\N{EM DASH} ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
CHECKPOINT = re.compile(
    r"(?P<origin>[^\s+]+)\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"time (?P<time>20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)\n"
    r"head (?P<head>[0-9a-f]{64})\n(?:[^\n]+\n)*"
)


@dataclass(frozen=True)
class Signature:
    """Who signed by name, the first four bytes of the key's id, the 64 bytes of Ed25519."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True)
class Note:
    """A text that ends with a newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    def as_bytes(self) -> bytes:
        """The text, an empty line, and a line a signature."""
        lines = [
            f"\N{EM DASH} {s.name} {base64.b64encode(s.key_id + s.value).decode()}\n"
            for s in self.signatures
        ]
        return "".join([self.text, "\n", *lines]).encode()


@dataclass(frozen=True)
class Checkpoint:
    """What the ledger was: acts, the root over them, when, and the digest of the last one.

    `origin` names the ledger and stays the same when its key changes; `head` is the SHA-256 of the
    line of act number `size` with its newline.
    """

    origin: str
    size: int
    root: bytes
    time: datetime
    head: str

    def text(self) -> str:
        """The signed text."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\ntime {stamp(self.time)}\nhead {self.head}\n"

    def as_json(self) -> dict[str, str | int]:
        """Plain data; the root in base64, as it stands in the text."""
        return {
            "origin": self.origin,
            "size": self.size,
            "root": base64.b64encode(self.root).decode(),
            "time": stamp(self.time),
            "head": self.head,
        }


def stamp(moment: datetime) -> str:
    """`2026-11-20T06:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def key_id(name: str, public: bytes) -> bytes:
    """What tells keys of one name apart in a note: four bytes."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:4]


def parse(raw: bytes, where: str) -> Note:
    """A note's parts, unchecked; raises ProofFailed naming `where`."""
    try:
        text, _, below = raw[: LARGEST + 1].decode("utf-8").rpartition("\n\n")
    except UnicodeDecodeError:
        text = below = ""
    found = [SIGNATURE.fullmatch(line) for line in below.splitlines()]
    if len(raw) > LARGEST or not text or not found or not below.endswith("\n"):
        raise ProofFailed(f"{where}: is no signed note: a text, an empty line, signatures.")
    signatures = []
    for match in found:
        value = _decoded(match[2]) if match else b""
        if match is None or len(value) != 4 + 64:
            raise ProofFailed(f"{where}: has a line below the text that is no Ed25519 signature.")
        signatures.append(Signature(match[1], value[:4], value[4:]))
    return Note(text + "\n", tuple(signatures))


def checkpoint(note: Note, where: str) -> Checkpoint:
    """The checkpoint a note tells of; raises ProofFailed naming `where`."""
    match = CHECKPOINT.fullmatch(note.text)
    try:
        if match is None:
            raise ValueError
        return Checkpoint(
            origin=match["origin"],
            size=int(match["size"]),
            root=base64.b64decode(match["root"], validate=True),
            time=datetime.strptime(match["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
            head=match["head"],
        )
    except ValueError:
        raise ProofFailed(
            f"{where}: is no checkpoint; expected the lines origin, number of acts, root, time, head."
        ) from None


def b64(hashes: Sequence[bytes]) -> list[str]:
    """Hashes as text."""
    return [base64.b64encode(value).decode() for value in hashes]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
