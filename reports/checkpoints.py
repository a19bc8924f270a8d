"""Checkpoints of the ledger: made, kept, handed outside, and held against the ledger again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from errors import (
    Damaged,
    FairwatchError,
    MailFailed,
    NotPublished,
    ProofFailed,
    UnreadableInput,
)
from lake.files import write
from proofs import compare, consistency, note
from proofs.note import Checkpoint, stamp
from proofs.signing import Keys, fingerprint, public_key, signed
from reports import mail, publish
from state.tables import META
from workspace import Workspace

FOLDER, KEYS = "checkpoints", "keys"
NOWHERE = (
    "The ledger's checkpoints stay on this machine alone (neither `checkpoints.folder` nor `dpo` with "
    "`mail` is set in fairwatch.yaml): whoever rewrites ledger and database together is not found out."
)
NO_STAMP = (
    "No time stamp authority is set (`checkpoints.timestamp` in fairwatch.yaml): the times of "
    "checkpoints are this machine's own word."
)


@dataclass(frozen=True)
class Made:
    """A checkpoint, its file, its time stamp, where it went, and what it therefore does not prove."""

    checkpoint: Checkpoint
    path: Path
    stamp: Path | None = None
    stamped: datetime | None = None
    published: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The shape of `ledger checkpoint --json`."""
        return {
            **self.checkpoint.as_json(),
            "path": self.path,
            "time_stamp": self.stamp,
            "stamped": self.stamped and stamp(self.stamped),
            "published": self.published,
            "gaps": self.gaps,
            "failed": self.failed,
        }

    def files(self) -> dict[str, bytes]:
        """What is handed outside, by name."""
        return {path.name: path.read_bytes() for path in (self.path, self.stamp) if path}


def make(ws: Workspace, now: datetime) -> Made:
    """Sign what the ledger is now, stamp it, put it into the folder outside.

    Nothing is signed that does not hold: the chain, what the state noted, all checkpoints kept here
    and in the folder outside. Raises ProofFailed for these. What could not be published is told in
    `failed`, not raised: the checkpoint is made.
    """
    keys = _keys(ws, now)
    ws.state.flush()
    verify(ws)
    tree, head = ws.ledger.tree()
    point = Checkpoint(keys.origin, tree.size, tree.root(), now, head)
    content = keys.sign(point.text()).as_bytes()
    made = Made(point, ws.folder / FOLDER / f"{tree.size:09}.txt")
    # First the act: a segment that goes leaves hashes at the checkpoints that acts tell of.
    with ws.state.change() as change:
        change.act(
            "checkpoint",
            time=now,
            actor=ws.actor,
            size=point.size,
            root=point.root.hex(),
            sha256=hashlib.sha256(content).hexdigest(),
            signer=fingerprint(keys.public),
        )
    write(made.path, content, ws.folder / "work")
    made = _published(ws, _stamped(ws, made, content))
    with ws.state.change() as change:
        change.act(
            "publish",
            time=now,
            actor=ws.actor,
            checkpoint=point.size,
            stamped=made.stamped is not None,
            to=list(made.published),
            failed=len(made.failed),
        )
    return made


def mailed(ws: Workspace, made: Made, now: datetime) -> Made:
    """The checkpoint by mail to the officer; a failure is told in `failed`."""
    point = made.checkpoint
    text = (
        f"Signed checkpoint of the ledger of {ws.settings.organisation.name}: {point.size} acts.\n"
        f"Keep this mail. The attached text is checked with openssl, and tells whether anybody\n"
        f"changed or removed an act afterwards: docs/ledger.md, or\n"
        f"    fairwatch ledger verify --against {made.path.name}\n"
    )
    subject = f"Fairwatch: ledger checkpoint of {ws.settings.organisation.name}, {point.size} acts"
    try:
        to = mail.tell_officer(ws, subject, text, made.files(), now)
    except MailFailed as error:
        return replace(made, failed=(*made.failed, str(error)))
    return replace(made, published=(*made.published, to))


def refuse_unpublished(made: Made) -> None:
    """Raise NotPublished where a place that the settings name did not get the checkpoint."""
    if made.failed:
        raise NotPublished("\n".join(made.failed))


@dataclass(frozen=True)
class Verified:
    """A ledger that holds: lines kept, acts ever written, last digest, root, checkpoints compared."""

    lines: int
    acts: int
    head: str
    root: bytes
    checkpoints: int


def verify(ws: Workspace, against: Iterable[Path] = (), key: Path | None = None) -> Verified:
    """Hold the ledger against its own chain, the state, and all checkpoints at hand.

    These are the ones kept here, those in `checkpoints.folder`, and `against` (files or folders).
    `key` is a public key in PEM that the latter have to be signed by; without it, it is the site's.
    Raises ProofFailed naming segment and line.
    """
    lines, _ = ws.ledger.verify(ws.state.noted())
    keys = Keys(ws.folder / KEYS)
    places = (Path(FOLDER), ws.settings.checkpoints.folder)
    own = [ws.folder / place for place in places if place and (ws.folder / place).is_dir()]
    seen = [_seen(path, keys, None) for path in _files(own)]
    for path in _files(against):
        raw = _read(path)
        given = consistency.parse(raw, str(path)) if consistency.is_one(raw) else None
        seen += given.ends() if given else [_seen(path, keys, key)]
    tree, head = ws.ledger.tree()
    compare.compare(tree, seen, ws.ledger.place)
    return Verified(lines, tree.size, head, tree.root(), len(seen))


def newest(ws: Workspace) -> tuple[Checkpoint, Path] | None:
    """The last checkpoint kept here, unchecked."""
    path = max((ws.folder / FOLDER).glob("*.txt"), default=None)
    if path is None:
        return None
    return note.checkpoint(note.parse(_read(path), str(path)), str(path)), path


def read(path: Path) -> Checkpoint:
    """The checkpoint in a file somebody kept, its signature unchecked."""
    return note.checkpoint(note.parse(_read(path), str(path)), str(path))


def gaps(ws: Workspace) -> tuple[str, ...]:
    """What checkpoints of this site cannot prove, by its settings."""
    outside = ws.settings.checkpoints.folder or (ws.settings.dpo and ws.settings.mail)
    stamps = ws.settings.checkpoints.timestamp
    return (*(() if outside else (NOWHERE,)), *(() if stamps else (NO_STAMP,)))


def rotate(ws: Workspace, now: datetime, *, lost: bool = False) -> str:
    """Change the signing key and say so in the ledger; the new key's fingerprint."""
    keys = Keys(ws.folder / KEYS)
    if not keys.exist:
        raise Damaged("keys/: there is no signing key yet; the first checkpoint makes one.")
    keys.rotate(now, lost=lost)
    _keys(ws, now)
    return fingerprint(keys.public)


def _keys(ws: Workspace, now: datetime) -> Keys:
    """The site's key, made if there never was one; a key the ledger does not know is told there."""
    keys = Keys(ws.folder / KEYS)
    with ws.state.read() as connection:
        known = connection.execute(select(META.c.value).where(META.c.key == "signing")).scalar()
    if not keys.exist:
        if known or any((ws.folder / FOLDER).glob("*.txt")):
            raise Damaged(
                "keys/signing.pem and keys/signing.pub.pem are gone, and checkpoints were signed "
                "with them. Restore keys/ from a backup."
            )
        keys.make()
    mark = fingerprint(keys.public)
    if known != mark:
        change_ = keys.rotations[-1] if keys.rotations else None
        with ws.state.change() as change:
            change.execute(META.delete().where(META.c.key == "signing"))
            change.execute(META.insert().values(key="signing", value=mark))
            change.act(
                "signing key",
                time=now,
                actor=ws.actor,
                signer=mark,
                was=known,
                public=keys.public_pem.decode(),
                statement=change_.note.as_bytes().decode() if change_ else None,
            )
    return keys


def _stamped(ws: Workspace, made: Made, content: bytes) -> Made:
    authority = ws.settings.checkpoints.timestamp
    if authority is None:
        return made
    try:
        answer, when = publish.stamped(authority, ws.folder, content)
    except NotPublished as error:
        return replace(made, gaps=(*made.gaps, str(error)), failed=(*made.failed, str(error)))
    path = made.path.with_suffix(".tsr")
    write(path, answer, ws.folder / "work")
    return replace(made, stamp=path, stamped=when)


def _published(ws: Workspace, made: Made) -> Made:
    made = replace(made, gaps=(*made.gaps, *gaps(ws)))
    folder = ws.settings.checkpoints.folder
    if folder is None:
        return made
    try:
        for name, content in made.files().items():
            publish.to_folder(ws.folder / folder, name, content)
    except FairwatchError as error:
        return replace(made, failed=(*made.failed, str(error)))
    return replace(made, published=(*made.published, str(folder)))


def _seen(path: Path, keys: Keys, key: Path | None) -> compare.Seen:
    found = note.parse(_read(path), str(path))
    point = note.checkpoint(found, str(path))
    if key is not None:
        if not signed(found, public_key(key)):
            raise ProofFailed(f"{path}: is not signed by the key in {key}.")
    else:
        keys.signer(found, str(path))
    return compare.Seen(str(path), point.size, point.root)


def _files(places: Iterable[Path]) -> list[Path]:
    """Checkpoint files as they are, and those in folders, by name."""
    found: list[Path] = []
    for place in places:
        found += sorted(place.glob("[0-9]*.txt")) if place.is_dir() else [place]
    return found


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(note.LARGEST + 1)
    except OSError as error:
        raise UnreadableInput(f"{path}: cannot be read: {error.strerror}.") from None
