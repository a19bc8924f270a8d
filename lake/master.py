"""Where a site's master key is kept: a file, the environment, the system's keyring, or behind a command."""

import base64
import binascii
import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from errors import BadConfiguration, NoKey
from lake.files import fsync

KEY_BYTES = 32
COMMAND_SECONDS = 30
LONGEST_FILE = 4096


class Custody(Protocol):
    """Keeps one master key, and beside it the next one while a rotation is under way."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    def keys(self, wrapped: bytes | None) -> list[bytes]:
        """The keys found there, the one in use first; `wrapped` is what the ring noted with it."""

    def make(self) -> tuple[bytes, bytes | None]:
        """A new key, kept beside the one in use, and what the ring is to note with it."""

    def settle(self) -> None:
        """Let the new key take the place of the old one."""


def name_of(key: bytes) -> str:
    """What a master key is called where it must not be shown: 16 hex digits of a digest."""
    return hashlib.sha256(b"fairwatch master key\0" + key).hexdigest()[:16]


def written(key: bytes) -> str:
    """A key as text: Base64 of its 32 bytes."""
    return base64.b64encode(key).decode()


def parsed(text: str, where: str) -> bytes:
    """A key out of its text. Raises NoKey, never with the text in it."""
    try:
        key = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise NoKey(
            f"{where}: holds no key; expected one line of 44 characters, the Base64 of 32 bytes."
        )
    return key


@dataclass(frozen=True)
class FileCustody:
    """A file only its owner may read; the next key lies beside it, with `.next` to its name."""

    path: Path

    @property
    def place(self) -> str:
        return str(self.path)

    @property
    def _next(self) -> Path:
        return self.path.with_name(self.path.name + ".next")

    def keys(self, wrapped: bytes | None) -> list[bytes]:
        if not self.path.exists():
            self.settle()  # a first key whose making was cut short
        return [_read(path) for path in (self.path, self._next) if path.exists()]

    def make(self) -> tuple[bytes, bytes | None]:
        key = os.urandom(KEY_BYTES)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._next.unlink(missing_ok=True)
        handle = os.open(self._next, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(written(key) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fsync(self.path.parent)
        return key, None

    def settle(self) -> None:
        if not self._next.exists():
            return
        # By the handle the old key's bytes can go after its name has: at no moment is there no key.
        old = self.path.open("r+b") if self.path.exists() else None
        self._next.replace(self.path)
        fsync(self.path.parent)
        if old is not None:
            with old:
                old.write(b"\0" * os.fstat(old.fileno()).st_size)
                old.flush()
                os.fsync(old.fileno())


def _read(path: Path) -> bytes:
    try:
        with path.open("r", encoding="ascii", errors="replace") as file:
            return parsed(file.read(LONGEST_FILE), str(path))
    except OSError as error:
        raise NoKey(f"{path}: the master key cannot be read: {error.strerror}.") from None


@dataclass(frozen=True)
class EnvironmentCustody:
    """A variable handed over by whoever starts Fairwatch; the next key stands in NAME_NEXT."""

    name: str
    environment: Mapping[str, str]

    @property
    def place(self) -> str:
        return f"the environment variable {self.name}"

    def keys(self, wrapped: bytes | None) -> list[bytes]:
        names = [n for n in (self.name, f"{self.name}_NEXT") if self.environment.get(n)]
        return [parsed(self.environment[n], f"the environment variable {n}") for n in names]

    def make(self) -> tuple[bytes, bytes | None]:
        wanted = f"{self.name}_NEXT" if self.environment.get(self.name) else self.name
        if not self.environment.get(wanted):
            raise NoKey(
                f"The environment variable {wanted} is not set; expected the key to be used from "
                f"now on: `head -c 32 /dev/urandom | base64` makes one."
            )
        return parsed(self.environment[wanted], f"the environment variable {wanted}"), None

    def settle(self) -> None:
        """Whoever sets the variables renames them; until then either name is found."""


@dataclass(frozen=True)
class KeyringCustody:
    """The keyring of the system (Secret Service, Keychain, Credential Manager), by package `keyring`."""

    service: str

    @property
    def place(self) -> str:
        return f"the system's keyring, service {self.service}"

    def keys(self, wrapped: bytes | None) -> list[bytes]:
        if not self._asked("get_password", self.service, "master"):
            self.settle()
        found = [self._asked("get_password", self.service, name) for name in ("master", "next")]
        return [parsed(text, self.place) for text in found if text]

    def make(self) -> tuple[bytes, bytes | None]:
        key = os.urandom(KEY_BYTES)
        self._asked("set_password", self.service, "next", written(key))
        return key, None

    def settle(self) -> None:
        if new := self._asked("get_password", self.service, "next"):
            self._asked("set_password", self.service, "master", new)
            self._asked("delete_password", self.service, "next")

    def _asked(self, what: str, *values: str) -> Any:
        try:
            keyring = import_module("keyring")
        except ImportError:
            raise BadConfiguration(
                "fairwatch.yaml: `encryption.keyring` needs a package that is not there; "
                "pip install 'fairwatch[keyring]'."
            ) from None
        try:
            return getattr(keyring, what)(*values)
        except keyring.errors.KeyringError as error:
            raise NoKey(f"{self.place}: cannot be used: {type(error).__name__}.") from None


@dataclass(frozen=True)
class CommandCustody:
    """A key management service behind a command: `COMMAND wrap` and `COMMAND unwrap`.

    It reads one line of Base64 from its standard input, writes one to its standard output and exits
    with 0. It is asked once a process: the ring keeps the master key as the service wrapped it.
    """

    command: Sequence[str]

    @property
    def place(self) -> str:
        return f"the command {self.command[0]}"

    def keys(self, wrapped: bytes | None) -> list[bytes]:
        if wrapped is None:
            return []
        key = self._asked("unwrap", wrapped)
        if len(key) != KEY_BYTES:
            raise NoKey(f"{self.place} unwrap: answered {len(key)} bytes; expected {KEY_BYTES}.")
        return [key]

    def make(self) -> tuple[bytes, bytes | None]:
        key = os.urandom(KEY_BYTES)
        wrapped = self._asked("wrap", key)
        if key in wrapped or self._asked("unwrap", wrapped) != key:
            raise NoKey(f"{self.place}: what it wraps it does not unwrap again to the same bytes.")
        return key, wrapped

    def settle(self) -> None:
        """The ring notes the new key in the same transaction that wraps the day keys by it."""

    def _asked(self, what: str, value: bytes) -> bytes:
        try:
            done = subprocess.run(
                (*self.command, what),
                input=base64.b64encode(value) + b"\n",
                capture_output=True,
                timeout=COMMAND_SECONDS,
                check=True,
            )
            return base64.b64decode(b"".join(done.stdout.split()), validate=True)
        except subprocess.CalledProcessError as error:
            why = f"exit code {error.returncode}"
        except subprocess.TimeoutExpired:
            why = f"no answer within {COMMAND_SECONDS} seconds"
        except OSError as error:
            why = str(error.strerror)
        except (binascii.Error, ValueError):
            why = "its answer is no Base64"
        raise NoKey(f"{self.place} {what}: {why}; the master key stays locked.")
