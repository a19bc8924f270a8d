"""Signed notes and the key behind them: checked with openssl, changed without a gap, never guessed."""

import base64
import os
import shutil
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from errors import AlreadyThere, Damaged, FairwatchError, NoSuchThing, ProofFailed
from proofs import signing
from proofs.note import Checkpoint, Note, Signature, checkpoint, key_id, parse
from proofs.signing import Keys, fingerprint, public_key, signed

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
POINT = Checkpoint("fairwatch-ledger/0011223344556677", 12, bytes(range(32)), NOW, "ab" * 32)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    keys = Keys(tmp_path / "keys")
    keys.make()
    return keys


def test_a_checkpoint_reads_as_it_was_written(keys: Keys) -> None:
    raw = keys.sign(POINT.text()).as_bytes()
    assert raw.decode().splitlines()[:5] == [
        "fairwatch-ledger/0011223344556677",
        "12",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "time 2026-11-20T06:00:00Z",
        f"head {'ab' * 32}",
    ]
    assert checkpoint(parse(raw, "x"), "x") == POINT


@given(
    size=st.integers(0, 10**17),
    root=st.binary(min_size=32, max_size=32),
    when=st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1)),
)
def test_any_checkpoint_reads_as_it_was_written(size: int, root: bytes, when: datetime) -> None:
    point = Checkpoint("a/b", size, root, when.replace(microsecond=0, tzinfo=UTC), "0" * 64)
    note = Note(point.text(), (Signature("a/b", b"1234", bytes(64)),))
    assert parse(note.as_bytes(), "x") == note
    assert checkpoint(note, "x") == point


@given(st.binary(max_size=300))
def test_junk_is_refused_in_a_sentence(raw: bytes) -> None:
    for content in (raw, raw + b"\n\n" + raw, POINT.text().encode() + b"\n" + raw):
        with pytest.raises(ProofFailed, match=r"^junk\.txt: "):
            checkpoint(parse(content, "junk.txt"), "junk.txt")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n12\n", "\n012\n"),
        ("\n12\n", "\n-1\n"),
        ("2026-11-20T", "2026-13-20T"),
        ("2026-11-20T", "2026-02-30T"),
        ("time ", "Time "),
        ("head ", "tail "),
        ("abab", "ABAB"),
        ("fairwatch-ledger/", "fairwatch ledger/"),
    ],
)
def test_a_text_that_is_no_checkpoint(keys: Keys, old: str, new: str) -> None:
    note = keys.sign(POINT.text().replace(old, new))
    with pytest.raises(ProofFailed, match="is no checkpoint"):
        checkpoint(note, "x")


def test_a_note_may_be_only_so_long(keys: Keys) -> None:
    raw = keys.sign(POINT.text() + "x\n" * 40_000).as_bytes()
    with pytest.raises(ProofFailed, match="no signed note"):
        parse(raw, "x")


def test_the_example_of_the_format() -> None:
    """The key and the note that the documentation of Go's package note shows."""
    name, mark, key = ["PeterNeumann", "c74f20a3", "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"]
    raw = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n\n\N{EM DASH} PeterNeumann "
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    ).encode()
    algorithm, public = base64.b64decode(key)[:1], base64.b64decode(key)[1:]
    (signature,) = parse(raw, "x").signatures
    assert (algorithm, key_id(name, public).hex(), signature.key_id.hex()) == (b"\x01", mark, mark)
    text = parse(raw, "x").text
    Ed25519PublicKey.from_public_bytes(public).verify(signature.value, text.encode())
    assert parse(raw, "x").as_bytes() == raw


def test_files_of_the_key(keys: Keys) -> None:
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in keys.folder.iterdir()}
    assert modes["signing.pem"] == 0o600
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700
    assert set(modes) == {"signing.pem", "signing.pub.pem"}
    with pytest.raises(AlreadyThere):
        keys.make()


def test_openssl_agrees(keys: Keys, tmp_path: Path) -> None:
    """The way docs/ledger.md tells a stranger."""
    (tmp_path / "checkpoint.txt").write_bytes(keys.sign(POINT.text()).as_bytes())
    shutil.copy(keys.folder / "signing.pub.pem", tmp_path)
    check = (
        "sed '/^$/,$d' checkpoint.txt > body && sed '1,/^$/d' checkpoint.txt | "
        "cut -d' ' -f3 | base64 -d | tail -c 64 > sig && "
        "openssl pkeyutl -verify -pubin -inkey signing.pub.pem -rawin -in body -sigfile sig"
    )
    said = subprocess.run(check, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)  # fmt: skip
    assert (said.returncode, said.stdout) == (0, "Signature Verified Successfully\n")
    mark = "openssl pkey -pubin -in signing.pub.pem -outform DER | sha256sum"
    said = subprocess.run(mark, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)  # fmt: skip
    assert said.stdout.split()[0] == fingerprint(keys.public)
    (tmp_path / "checkpoint.txt").write_bytes(keys.sign(POINT.text()).as_bytes().replace(b"\n12\n", b"\n13\n"))  # fmt: skip
    said = subprocess.run(check, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)  # fmt: skip
    assert said.returncode != 0


def test_a_signature_is_only_by_its_key_over_its_text(keys: Keys, tmp_path: Path) -> None:
    note = keys.sign(POINT.text().replace(POINT.origin, keys.origin))
    assert signed(note, keys.public)
    assert keys.signer(note, "x") == keys.public
    assert not signed(Note(note.text.replace("12", "13"), note.signatures), keys.public)
    other = Keys(tmp_path / "other")
    other.make()
    assert not signed(note, other.public)
    with pytest.raises(ProofFailed, match="not signed by this site's key"):
        other.signer(note, "x")


def test_the_name_stays_when_the_key_changes(keys: Keys) -> None:
    origin, first = keys.origin, keys.public
    old = keys.sign(f"{origin}\nold\n")
    change = keys.rotate(NOW)
    assert (change.old, change.new, change.endorsed) == (first, keys.public, True)
    assert keys.public != first
    again = Keys(keys.folder)
    assert (again.origin, again.public) == (origin, keys.public)
    assert again.signer(old, "x") == first
    assert again.signer(again.sign(f"{origin}\nnew\n"), "x") == keys.public
    again.rotate(NOW)
    again.rotate(NOW)
    assert again.signer(old, "x") == first, "through all changes"
    assert [c.endorsed for c in again.rotations] == [True] * 3
    assert sorted(p.name for p in keys.folder.iterdir()) == [
        "rotations", "signing.pem", "signing.pub.pem",
    ]  # fmt: skip
    assert stat.S_IMODE((keys.folder / "signing.pem").stat().st_mode) == 0o600


def test_a_lost_key_vouches_for_nothing(keys: Keys) -> None:
    old = keys.sign(f"{keys.origin}\nold\n")
    (keys.folder / "signing.pem").unlink()
    with pytest.raises(Damaged, match="--lost"):
        Keys(keys.folder).sign("x\n")
    with pytest.raises(Damaged, match="--lost"):
        Keys(keys.folder).rotate(NOW)
    assert not Keys(keys.folder).rotations
    again = Keys(keys.folder)
    assert not again.rotate(NOW, lost=True).endorsed
    assert signed(again.sign(f"{again.origin}\nnew\n"), again.public)
    with pytest.raises(ProofFailed, match="nor by one that it was changed from"):
        again.signer(old, "x")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", range(9))
def test_killed_while_the_key_changes(
    keys: Keys, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """At each write, rename and flush: one of the two keys works, and which is written down."""
    steps = 0

    def step(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps > after:
            raise Killed

    real_write, real_fsync, old = signing._write, signing._fsync, keys.public

    def write(path: Path, content: bytes, mode: int) -> None:
        step()
        real_write(path, content, mode)
        step()

    def fsync(folder: Path) -> None:
        real_fsync(folder)
        step()

    monkeypatch.setattr(signing, "_write", write)
    monkeypatch.setattr(signing, "_fsync", fsync)
    try:
        keys.rotate(NOW)
        ended = True
    except Killed:
        ended = False
    monkeypatch.undo()
    again = Keys(keys.folder)
    note = again.sign(f"{again.origin}\ntext\n")
    assert again.signer(note, "x") == again.public
    changed = again.public != old
    assert len(again.rotations) == changed
    assert changed or not ended
    again.rotate(NOW)
    assert again.signer(note, "x")
    assert not list(keys.folder.rglob("next.pem"))


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("signing.pub.pem", b"", Damaged),
        ("signing.pub.pem", None, NoSuchThing),
        ("signing.pem", b"-----BEGIN PRIVATE KEY-----\n", Damaged),
        ("rotations/0001.txt", b"x\n", ProofFailed),
    ],
)
def test_a_broken_key_is_a_sentence(
    keys: Keys, name: str, content: bytes | None, error: type[FairwatchError]
) -> None:
    path = keys.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content) if content is not None else path.unlink()
    with pytest.raises(error, match=os.path.basename(name)):
        Keys(keys.folder).sign("x\n")


def test_a_key_of_another_kind(keys: Keys) -> None:
    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=keys.folder)

    openssl("genpkey", "-algorithm", "RSA", "-out", "rsa.pem")
    openssl("pkey", "-in", "rsa.pem", "-pubout", "-out", "rsa.pub.pem")
    with pytest.raises(Damaged, match="Ed25519"):
        public_key(keys.folder / "rsa.pub.pem")
    (keys.folder / "rsa.pem").rename(keys.folder / "signing.pem")
    with pytest.raises(Damaged, match="Ed25519"):
        keys.sign("x\n")


def test_half_a_pair(keys: Keys, tmp_path: Path) -> None:
    other = Keys(tmp_path / "other")
    other.make()
    shutil.copy(other.folder / "signing.pem", keys.folder / "signing.pem")
    with pytest.raises(Damaged, match="public half"):
        keys.sign("x\n")


def test_a_change_nobody_signed_is_no_change(keys: Keys, tmp_path: Path) -> None:
    other = Keys(tmp_path / "other")
    other.make()
    keys.rotate(NOW)
    path = keys.folder / "rotations" / "0001.txt"
    path.write_bytes(other.sign(parse(path.read_bytes(), "x").text).as_bytes())
    with pytest.raises(ProofFailed, match="not signed by the key it names"):
        Keys(keys.folder).signer(keys.sign("x\n"), "x")
