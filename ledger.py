"""The append-only hash chain of acts: who did what, when, in monthly segments of JSON lines."""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from errors import ProofFailed
from proofs.tree import Tree

GENESIS = "0" * 64
SEGMENT = re.compile(r"^\d{4}-\d{2}\.jsonl$")
TAIL_BYTES = 1 << 20


@dataclass(frozen=True)
class Line:
    """One act as it stands in a segment; `digest` is the SHA-256 of its bytes with the newline."""

    segment: str
    number: int
    act: dict[str, Any]
    digest: str


@dataclass(frozen=True)
class Head:
    """What is left of a dropped segment: enough for the next one to be checked against.

    `covers` are the hashes that stand for its acts in the tree (see proofs/tree.py): pairs of the
    act up to which they reach, and the hashes in hex. They end where a checkpoint was made, so that
    every checkpoint ever published can still be compared.
    """

    segment: str
    lines: int
    seq: int
    digest: str
    covers: list[tuple[int, list[str]]]


class Ledger:
    """A folder of segments `YYYY-MM.jsonl` and the `heads.json` of those dropped by retention.

    Each line is canonical JSON (sorted keys, no blanks, UTF-8) and carries `seq`, `time`, `act`,
    `actor` and `prev`, the SHA-256 of the line before it, newline included.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(
        self, act: str, *, time: datetime, actor: str, key: str = "", **facts: Any
    ) -> dict[str, Any]:
        """Write one act and return it once it is on disk.

        `key` makes a repeat harmless: an act whose key already stands in the current segment is
        returned instead of being written a second time (a run killed between the act and the
        word of it says the word again).
        """
        with self._locked():
            torn = self._cut_torn_tail()
            if torn:
                self._write("repair", time, actor, "", {"torn_bytes": torn})
            if key and (known := self._find(key)):
                return known
            return self._write(act, time, actor, key, facts)

    def lines(self) -> Iterator[Line]:
        """All acts still held, oldest first, without checking them."""
        for path in self.segments():
            with path.open("rb") as file:
                for number, raw in enumerate(file, 1):
                    yield Line(path.name, number, _decode(raw, path, number), _sha(raw))

    def verify(self, noted: tuple[int, str] | None = None) -> tuple[int, str]:
        """Check the whole chain; (lines held, digest of the last line).

        Raises ProofFailed naming the first line that does not fit. A chain alone cannot show that
        its end was cut off: `noted`, the seq and digest of an act written down elsewhere, has to be
        in it; compare the returned digest with one published earlier.
        """
        prev, seq = _through(self.heads())
        count, where = 0, "ledger/"
        for line in self.lines():
            seq += 1
            where = f"ledger/{line.segment} line {line.number}"
            _check(line, prev, seq, where)
            if str(line.act["time"])[:7] > line.segment[:7]:
                raise ProofFailed(f"{where}: stands in the wrong month for {line.act['time']}.")
            if noted and noted[0] == seq and noted[1] != line.digest:
                raise ProofFailed(f"{where}: is not the act {seq} that the state database noted.")
            prev, count = line.digest, count + 1
        if noted and noted[0] > seq:
            raise ProofFailed(
                f"{where}: is the last, act {seq}, but the state database noted act {noted[0]}: the "
                f"end of the ledger was cut off, or a segment is missing."
            )
        return count, prev

    def tree(self) -> tuple[Tree, str]:
        """The tree over all acts ever written, and the digest of the last line; unchecked.

        A line that is being written does not count. Raises ProofFailed where heads.json does not
        hold what its segments left.
        """
        heads = self.heads()
        tree, (digest, _) = Tree(), _through(heads)
        for head in heads:
            try:
                for end, hashes in head.covers:
                    tree.add_cover(end, [bytes.fromhex(h) for h in hashes])
            except (ValueError, TypeError):
                tree.size = -1
            if tree.size != head.seq:
                raise ProofFailed(f"{_head(head)}: its hashes do not cover acts up to {head.seq}.")
        raw = b""
        for path in self.segments():
            with path.open("rb") as file:
                for raw in file:
                    if raw.endswith(b"\n"):
                        tree.add(raw)
                        digest = _sha(raw)
        return tree, digest

    def place(self, seq: int) -> str:
        """Where an act stands, or stood: segment and line, for a person."""
        before = 0
        for head in self.heads():
            if seq <= head.seq:
                return f"ledger/{head.segment} line {seq - before} (dropped)"
            before = head.seq
        where = "ledger/"
        for path in self.segments():
            with path.open("rb") as file:
                lines = sum(1 for _ in file)
            where = f"ledger/{path.name} line {min(seq - before, lines)}"
            if seq - before <= lines:
                return where
            before += lines
        return where

    def find(self, seq: int) -> tuple[Line, bytes] | None:
        """An act by its number and its bytes; None where it was dropped or never written."""
        for path in self.segments():
            with path.open("rb") as file:
                for number, raw in enumerate(file, 1):
                    act = _decode(raw, path, number)
                    if act["seq"] == seq:
                        return Line(path.name, number, act, _sha(raw)), raw
        return None

    def segments(self) -> list[Path]:
        """Segment files still part of the chain, oldest first."""
        dropped = {h.segment for h in self.heads()}
        return [path for path in self._files() if path.name not in dropped]

    def heads(self) -> list[Head]:
        """Heads of dropped segments, oldest first."""
        path = self.folder / "heads.json"
        try:
            return [Head(**h) for h in json.loads(path.read_bytes())] if path.exists() else []
        except (ValueError, TypeError):
            raise ProofFailed(
                f"ledger/{path.name}: is not what dropped segments left; restore it from a backup."
            ) from None

    def droppable(self, limit: date) -> list[Path]:
        """Oldest segments with an act older than `limit` (a UTC day), never the newest one."""
        held = self.segments()
        chosen = [p for p in self._files() if p not in held]  # a drop that was cut short
        for path in held[:-1]:
            with path.open("rb") as file:
                times = [_decode(raw, path, n)["time"][:10] for n, raw in enumerate(file, 1)]
            if min(times) >= limit.isoformat():
                break  # only from the beginning on: what stays has to hang together
            chosen.append(path)
        return chosen

    def drop(self, path: Path) -> None:
        """Remove the oldest segment, leaving its head; later segments still verify."""
        with self._locked():
            held = self.segments()
            if path in held:
                if path != held[0]:
                    raise ValueError(f"only the oldest segment can be dropped, not {path.name}")
                raw = path.read_bytes().splitlines(keepends=True)
                seq = _decode(raw[-1], path, len(raw))["seq"]
                head = Head(path.name, len(raw), seq, _sha(raw[-1]), self._covers(seq))
                _replace(self.folder / "heads.json", [vars(h) for h in [*self.heads(), head]])
            path.unlink()
            _fsync_folder(self.folder)

    def _covers(self, last: int) -> list[tuple[int, list[str]]]:
        """What a segment that ends with act `last` leaves in the tree, divided at checkpoints."""
        tree, _ = self.tree()
        start = _through(self.heads())[1]
        told = {line.act.get("size") for line in self.lines() if line.act["act"] == "checkpoint"}
        ends = sorted({n for n in told if isinstance(n, int) and start < n < last} | {last})
        return [
            (end, [h.hex() for h in tree.cover(begin, end)])
            for begin, end in pairwise([start, *ends])
        ]

    def _files(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("*.jsonl") if SEGMENT.match(p.name))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(
        self, act: str, time: datetime, actor: str, key: str, facts: dict[str, Any]
    ) -> dict[str, Any]:
        seq, prev = self._tip()
        stamp = time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = {**facts, "act": act, "actor": actor, "prev": prev, "seq": seq + 1, "time": stamp}
        if key:
            line["key"] = key
        # A clock set back opens no older segment: the act goes into the newest, with its own time.
        month = max([stamp[:7], *(p.stem for p in self.segments()[-1:])])
        path = self.folder / f"{month}.jsonl"
        fresh = not path.exists()
        with path.open("ab") as file:
            file.write(canonical(line))
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            _fsync_folder(self.folder)
        return line

    def _tip(self) -> tuple[int, str]:
        """(seq, digest) of the last act, or of the last head, or the beginning."""
        for path in reversed(self.segments()):
            tail = _tail_lines(path)
            if tail:
                last = _decode(tail[-1], path, -1)
                return last["seq"], _sha(tail[-1])
        digest, seq = _through(self.heads())
        return seq, digest

    def _find(self, key: str) -> dict[str, Any] | None:
        """The act with this key among the newest lines (a repeat follows its first soon)."""
        for path in self.segments()[-2:]:
            for raw in reversed(_tail_lines(path)):
                if key.encode() in raw and (act := _decode(raw, path, -1)).get("key") == key:
                    return act
        return None

    def _cut_torn_tail(self) -> int:
        """Cut a last line that never got its newline: it was not acknowledged to anyone."""
        segments = self.segments()
        if not segments:
            return 0
        with segments[-1].open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            tail = _window(file, size, 1)
            torn = len(tail) - (tail.rfind(b"\n") + 1)
            if torn:
                file.truncate(size - torn)
                os.fsync(file.fileno())
        if not segments[-1].stat().st_size:
            segments[-1].unlink()
        return torn


def canonical(line: dict[str, Any]) -> bytes:
    """The bytes of one act: sorted keys, no blanks, UTF-8, one newline."""
    return (
        json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
            "utf-8", "replace"
        )
        + b"\n"
    )


def _head(head: Head) -> str:
    return f"ledger/heads.json, {head.segment}"


def _through(heads: list[Head]) -> tuple[str, int]:
    """Digest and number of the last act that was dropped; raises ProofFailed where they do not add up."""
    digest, seq = GENESIS, 0
    for head in heads:
        if head.seq != seq + head.lines or head.lines < 1:
            raise ProofFailed(
                f"{_head(head)}: says act {head.seq}, but {head.lines} lines after act {seq} end "
                f"with {seq + head.lines}: it was changed, or a head beside it removed."
            )
        digest, seq = head.digest, head.seq
    return digest, seq


def _check(line: Line, prev: str, seq: int, where: str) -> None:
    if line.act.get("prev") != prev:
        raise ProofFailed(
            f"{where}: does not follow the line before it (prev is {str(line.act.get('prev'))[:12]}"
            f"…, the line before has {prev[:12]}…): one of the two was changed, moved or removed."
        )
    if line.act.get("seq") != seq:
        raise ProofFailed(f"{where}: is number {line.act.get('seq')}, expected {seq}.")
    if _sha(canonical(line.act)) != line.digest:
        raise ProofFailed(f"{where}: is not written in canonical form, so it was edited.")


def _decode(raw: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        act = json.loads(raw)
    except ValueError:
        act = None
    if not isinstance(act, dict) or not {"seq", "time", "prev", "act"} <= act.keys():
        where = f"ledger/{path.name} line {number}" if number > 0 else f"ledger/{path.name}"
        raise ProofFailed(f"{where}: is not an act; expected one JSON object a line.")
    return act


def _tail_lines(path: Path) -> list[bytes]:
    """The last whole lines of a segment: about a mebibyte of them, and never none that are there."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        tail = _window(file, size, 2)
    lines = tail.split(b"\n")[:-1]
    # The first of a window that does not begin with the file may have lost its beginning.
    return [raw + b"\n" for raw in lines[(1 if len(tail) < size else 0) :]]


def _window(file: BinaryIO, size: int, newlines: int) -> bytes:
    """The end of a file with at least so many newlines in it, or all of it: an act may be long."""
    window = TAIL_BYTES
    while True:
        file.seek(max(0, size - window))
        tail = file.read()
        if window >= size or tail.count(b"\n") >= newlines:
            return tail
        window *= 4


def _sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _replace(path: Path, value: Any) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("w") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
