"""The site's signing key: made once, changed with the old one's signature, checked by anybody."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from errors import AlreadyThere, Damaged, NoSuchThing, ProofFailed
from proofs.note import Note, Signature, key_id, parse, stamp

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# cryptography is imported where it is used: only signing needs it, and every command waits for it.
PRIVATE, PUBLIC, NEXT, ROTATIONS = "signing.pem", "signing.pub.pem", "next.pem", "rotations"
ROTATION = re.compile(
    r"(?P<origin>[^\s+]+)\nsigning key\nold (?P<old>[A-Za-z0-9+/]{43}=)\n"
    r"new (?P<new>[A-Za-z0-9+/]{43}=)\ntime (?P<time>\S+)\n"
)


@dataclass(frozen=True)
class Rotation:
    """One change of key: the note, both keys, and whether the old one signed it."""

    note: Note
    old: bytes
    new: bytes
    endorsed: bool


class Keys:
    """The folder `keys/` of a site: a private key in PEM, its public half, and how it changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def exist(self) -> bool:
        """Whether a key was ever made here."""
        return any((self.folder / name).exists() for name in (PRIVATE, PUBLIC))

    def make(self) -> None:
        """Make the first key pair; raises AlreadyThere where there is one."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if self.exist:
            raise AlreadyThere(f"{self.folder}: holds a signing key already; nothing was written.")
        private = Ed25519PrivateKey.generate()
        self._make_folder()
        _write(self.folder / PUBLIC, _public_pem(private), 0o644)
        _write(self.folder / PRIVATE, _private_pem(private), 0o600)

    @cached_property
    def public(self) -> bytes:
        """The 32 bytes of the public key in use. Raises NoSuchThing, Damaged."""
        return public_key(self.folder / PUBLIC)

    @property
    def public_pem(self) -> bytes:
        """The public key in use as strangers get it."""
        return _pem(self.public)

    @property
    def origin(self) -> str:
        """The ledger's name: from its first key, so that it stays when the key changes."""
        first = self.rotations[0].old if self.rotations else self.public
        return f"fairwatch-ledger/{hashlib.sha256(first).hexdigest()[:16]}"

    @cached_property
    def rotations(self) -> list[Rotation]:
        """All changes of key, oldest first. Raises ProofFailed for one that does not fit."""
        return [_rotation(path) for path in sorted((self.folder / ROTATIONS).glob("*.txt"))]

    def sign(self, text: str) -> Note:
        """A note over a text that ends with a newline. Raises Damaged where the key cannot be used."""
        return Note(text, (_signature(self.origin, self._private(), text),))

    def sign_file(self, content: bytes) -> bytes:
        """A detached signature, as `openssl pkeyutl -verify -rawin` takes it."""
        return self._private().sign(content)

    def signer(self, note: Note, where: str) -> bytes:
        """The key of this site that signed a note: the one in use, or one it was changed from.

        Raises ProofFailed where none did. A key that did not sign its own change is not trusted.
        """
        trusted = [self.public]
        for change in reversed(self.rotations):
            if change.new == trusted[-1] and change.endorsed:
                trusted.append(change.old)
        for key in trusted:
            if signed(note, key):
                return key
        raise ProofFailed(
            f"{where}: is not signed by this site's key ({fingerprint(self.public)[:16]}…) nor by "
            f"one that it was changed from."
        )

    def rotate(self, now: datetime, *, lost: bool = False) -> Rotation:
        """Change the key; the old one signs the change unless it is `lost`.

        Killed at any moment, the key in use is the old or the new one, never neither.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._finish_rotation()
        private = Ed25519PrivateKey.generate()
        new = private.public_key().public_bytes_raw()
        keys = [base64.b64encode(key).decode() for key in (self.public, new)]
        text = f"{self.origin}\nsigning key\nold {keys[0]}\nnew {keys[1]}\ntime {stamp(now)}\n"
        signers = [private] if lost else [self._private(), private]
        note = Note(text, tuple(_signature(self.origin, one, text) for one in signers))
        self._make_folder()
        _write(self.folder / NEXT, _private_pem(private), 0o600)
        folder = self.folder / ROTATIONS
        folder.mkdir(exist_ok=True)
        _write(folder / f"{len(self.rotations) + 1:04}.txt", note.as_bytes(), 0o644)
        self._forget()
        self._finish_rotation()
        return self.rotations[-1]

    def _private(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        self._finish_rotation()
        path = self.folder / PRIVATE
        try:
            found = load_pem_private_key(path.read_bytes(), None)
        except FileNotFoundError:
            raise Damaged(
                f"{path}: the signing key is gone. Restore it from a backup, or make a new one that "
                f"nothing vouches for: fairwatch ledger rotate-key --lost"
            ) from None
        except (ValueError, TypeError):
            found = None
        if not isinstance(found, Ed25519PrivateKey):
            raise Damaged(f"{path}: is no Ed25519 private key in PEM without a passphrase.")
        if found.public_key().public_bytes_raw() != self.public:
            raise Damaged(f"{path}: is not the key that {PUBLIC} is the public half of.")
        return found

    def _finish_rotation(self) -> None:
        """Put the key of a change that was written down into its place; drop one that was not."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        following = self.folder / NEXT
        if not following.exists():
            return
        try:
            key = load_pem_private_key(following.read_bytes(), None)
            raw = key.public_key().public_bytes_raw()  # type: ignore[union-attr]
        except (ValueError, AttributeError):  # written half
            raw = b""
        if self.rotations and self.rotations[-1].new == raw:
            _write(self.folder / PUBLIC, _pem(raw), 0o644)
            following.rename(self.folder / PRIVATE)
        else:
            following.unlink()
        _fsync(self.folder)
        self._forget()

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _forget(self) -> None:
        for name in ("public", "rotations"):
            self.__dict__.pop(name, None)


def public_key(path: Path) -> bytes:
    """The 32 bytes of an Ed25519 public key in PEM. Raises NoSuchThing, Damaged."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        found = load_pem_public_key(path.read_bytes())
    except FileNotFoundError:
        raise NoSuchThing(f"{path}: there is no such file; restore it from a backup.") from None
    except ValueError:
        found = None
    if not isinstance(found, Ed25519PublicKey):
        raise Damaged(f"{path}: is no Ed25519 public key in PEM; restore it from a backup.")
    return found.public_bytes_raw()


def signed(note: Note, public: bytes) -> bool:
    """Whether one of a note's signatures is by this key, under the name on the note's first line."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    name = note.text.partition("\n")[0]
    for signature in note.signatures:
        if signature.name != name or signature.key_id != key_id(name, public):
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature.value, note.text.encode())
        except (InvalidSignature, ValueError):
            continue
        return True
    return False


def fingerprint(public: bytes) -> str:
    """SHA-256 of the key as DER: `openssl pkey -pubin -in KEY -outform DER | sha256sum`."""
    return hashlib.sha256(ED25519_DER + public).hexdigest()


ED25519_DER = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410)."""


def _pem(public: bytes) -> bytes:
    body = base64.b64encode(ED25519_DER + public)
    return b"-----BEGIN PUBLIC KEY-----\n" + body + b"\n-----END PUBLIC KEY-----\n"


def _public_pem(private: Ed25519PrivateKey) -> bytes:
    return _pem(private.public_key().public_bytes_raw())


def _private_pem(private: Ed25519PrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization as s

    return private.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())


def _signature(name: str, private: Ed25519PrivateKey, text: str) -> Signature:
    public = private.public_key().public_bytes_raw()
    return Signature(name, key_id(name, public), private.sign(text.encode()))


def _rotation(path: Path) -> Rotation:
    where = f"keys/{ROTATIONS}/{path.name}"
    note = parse(path.read_bytes(), where)
    match = ROTATION.fullmatch(note.text)
    if match is None:
        raise ProofFailed(f"{where}: is no change of the signing key.")
    old, new = (base64.b64decode(match[name]) for name in ("old", "new"))
    if not signed(note, new):
        raise ProofFailed(f"{where}: is not signed by the key it names as the new one.")
    return Rotation(note, old, new, signed(note, old))


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a whole file, readable only as `mode` says from its first byte on."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    _fsync(path.parent)


def _fsync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
