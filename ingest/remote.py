"""Logs that lie on an SFTP server or in an S3 bucket: listed, and read straight from the connection.

The only module of `ingest` that opens a connection; nothing is copied to this machine's disk.
"""

import base64
import fnmatch
import hashlib
import io
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from config.settings import Remote
from errors import UnreadableInput
from ingest.arrival import Budget, Facts
from ingest.layers import shown, why

SCHEMES = ("s3://", "sftp://")
BLOCK = 4 << 20
TIMEOUT = 60.0
LISTED = 100_000
"""Files of one pattern; a listing without end is a fault of the server."""

DEPTH = 20


@dataclass
class RemoteFile:
    """One file of a server, as its listing told it."""

    name: str
    seen: Facts
    opener: Callable[[], "_Raw"]
    releaser: Callable[[], None]
    budget: Budget | None = None
    remote: bool = True
    first: bytes = field(default=b"", repr=False)

    def facts(self) -> Facts:
        return self.seen

    def open(self) -> BinaryIO:
        """Its bytes; the first block is fetched once, however often it is looked at."""
        raw = self.opener()
        raw.first, raw.note = self.first, self._note
        return cast(BinaryIO, io.BufferedReader(raw, BLOCK))

    def _note(self, data: bytes) -> None:
        self.first = data

    def release(self) -> None:
        self.first = b""
        self.releaser()


Connect = Callable[[str, Sequence[Remote], Path], Sequence[RemoteFile]]


def is_remote(pattern: str) -> bool:
    """Whether a path of a source names another machine."""
    return pattern.startswith(SCHEMES)


def connect(pattern: str, remotes: Sequence[Remote], folder: Path) -> list[RemoteFile]:
    """The files a pattern such as `sftp://logs@host/drop/*.gz` or `s3://bucket/x/*` matches.

    `folder` is what relative key and password files are below. Raises UnreadableInput where the
    server cannot be reached, is not the one known, or refuses.
    """
    fitting = [r for r in remotes if (pattern + "/").startswith(r.at.rstrip("/") + "/")]
    settings = max(fitting, key=lambda r: len(r.at), default=Remote(at=pattern))
    if pattern.startswith("s3://"):
        return _s3(pattern, settings, folder)
    return _sftp(pattern, settings, folder)


class _Raw(io.RawIOBase):
    """A file read by (offset, size) as a file that has a place."""

    def __init__(self, size: int, read_at: Callable[[int, int], bytes], close: Callable[[], None]):
        self._size, self._read_at, self._let_go = size, read_at, close
        self._at = 0
        self.first = b""
        self.note: Callable[[bytes], None] = lambda _: None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self._size - self._at))
        data = self._bytes(wanted) if wanted else b""
        if len(data) < wanted:
            raise OSError(f"the connection gave {len(data)} of {wanted} bytes")
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _bytes(self, wanted: int) -> bytes:
        if self._at == 0 and len(self.first) >= wanted:
            return self.first[:wanted]
        data = self._read_at(self._at, wanted)
        # Beyond its first block a file is not looked at again.
        self.note(data if self._at == 0 else b"")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        if not self.closed:
            self._let_go()
        super().close()


def _s3(pattern: str, settings: Remote, folder: Path) -> list[RemoteFile]:
    try:
        system = _bucket_system(settings, folder)
        path = pattern.removeprefix("s3://")
        base = path[: _wild(path)].rsplit("/", 1)[0] if _wild(path) < len(path) else path
        if base == path:
            infos = [system.get_file_info(path)]
        else:
            infos = system.get_file_info(fs.FileSelector(base, recursive=True))
    except (OSError, pa.ArrowException) as error:
        raise UnreadableInput(f"{shown(pattern)}: cannot be listed: {_said(error)}.") from None
    found = []
    for info in infos[:LISTED]:
        if info.type == fs.FileType.File and _matches(info.path, path):
            modified = info.mtime.timestamp() if info.mtime else 0.0
            name = f"s3://{info.path}"
            seen = Facts(info.size, modified, name, f"{info.size}:{info.mtime_ns}")
            found.append(RemoteFile(shown(name), seen, _object(system, info), lambda: None))
    return found


def _object(system: fs.S3FileSystem, info: fs.FileInfo) -> Callable[[], _Raw]:
    def opener() -> _Raw:
        file = system.open_input_file(info.path)
        # Of another size than it was listed with, it was replaced: the next night reads it.
        if file.size() != info.size:
            file.close()
            raise OSError("it was replaced while it was waiting to be read")
        return _Raw(info.size, lambda at, size: bytes(file.read_at(size, at)), file.close)

    return opener


def _bucket_system(settings: Remote, folder: Path) -> fs.S3FileSystem:
    options: dict[str, Any] = {
        "region": settings.region,
        "request_timeout": TIMEOUT,
        "connect_timeout": 10.0,
    }
    if settings.endpoint:
        scheme, _, address = settings.endpoint.partition("://")
        options |= {"scheme": scheme, "endpoint_override": address.rstrip("/")}
    if settings.ca_file:
        options["tls_ca_file_path"] = str(folder / settings.ca_file)
    if settings.key_file:
        words = _secret(settings, folder / settings.key_file).split()
        if len(words) != 2:
            raise UnreadableInput(
                f"{settings.at}: {settings.key_file} was expected to hold two lines, the access key "
                f"and the secret key."
            )
        options |= {"access_key": words[0], "secret_key": words[1]}
    return fs.S3FileSystem(**options)


@dataclass
class _Server:
    """One SFTP connection, made when it is needed and made again after it died."""

    address: str
    host: str
    port: int
    user: str
    settings: Remote
    folder: Path
    client: Any = field(default=None, repr=False)
    sftp: Any = field(default=None, repr=False)

    def files(self) -> Any:
        """The SFTP side of the connection; raises OSError."""
        if self.client is not None and not self.client.get_transport().is_active():
            self.close()
        if self.client is None:
            self._connect()
        return self.sftp

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
        self.client = self.sftp = None

    def _connect(self) -> None:
        import paramiko  # heavy, and only in the extra `remote`

        settings = self.settings
        client = paramiko.SSHClient()
        try:
            if settings.known_hosts:
                client.load_host_keys(str(self.folder / settings.known_hosts))
            client.set_missing_host_key_policy(_unknown_host(paramiko, settings))
            secret = (
                _secret(settings, self.folder / settings.password_file)
                if settings.password_file
                else None
            )
            key = str(self.folder / settings.key_file) if settings.key_file else None
            client.connect(
                self.host,
                self.port,
                self.user,
                password=None if key else secret,
                passphrase=secret if key else None,
                key_filename=key,
                allow_agent=False,
                look_for_keys=False,
                timeout=TIMEOUT,
                banner_timeout=TIMEOUT,
                auth_timeout=TIMEOUT,
            )
            self.sftp = client.open_sftp()
            self.sftp.get_channel().settimeout(TIMEOUT)
        except paramiko.BadHostKeyException as error:
            client.close()
            raise OSError(
                f"its host key is {_fingerprint(error.key)}, not the one {settings.known_hosts} "
                f"holds: somebody may stand in between"
            ) from None
        except (paramiko.SSHException, EOFError) as error:
            client.close()
            raise OSError(_said(error)) from None
        except BaseException:
            client.close()
            raise
        self.client = client

    def open(self, path: str, size: int) -> _Raw:
        """A file of the server, read in blocks whose requests go out together."""
        import paramiko

        try:
            file = self.files().open(path, "rb")
        except (paramiko.SSHException, EOFError) as error:
            raise OSError(_said(error)) from None

        def read_at(at: int, wanted: int) -> bytes:
            try:
                return b"".join(file.readv([(at, wanted)]))
            except (paramiko.SSHException, EOFError) as error:
                raise OSError(f"the connection ended: {_said(error)}") from None

        return _Raw(size, read_at, file.close)


def _unknown_host(paramiko: Any, settings: Remote) -> Any:
    class Refuse(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            where = settings.known_hosts or "no known_hosts file is set under `remote`"
            raise OSError(
                f"its host key {key.get_name()} {_fingerprint(key)} is not known ({where}); compare "
                f"it with the server's own and add it with `ssh-keyscan`"
            )

    return Refuse()


def _fingerprint(key: Any) -> str:
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def _sftp(pattern: str, settings: Remote, folder: Path) -> list[RemoteFile]:
    try:
        import paramiko
    except ImportError:
        raise UnreadableInput(
            f"{shown(pattern)}: reading by SFTP needs paramiko; install `fairwatch[remote]`."
        ) from None
    # A ? of a pattern would begin the query of an address.
    parts = urlsplit(pattern.replace("?", "%3F").replace("#", "%23"))
    path = parts.path.replace("%3F", "?").replace("%23", "#")
    address = f"sftp://{parts.netloc}"
    server = _Server(
        address, parts.hostname or "", parts.port or 22, parts.username or "", settings, folder
    )
    found = []
    try:
        for where, status in _walk(server.files(), "/", path.strip("/").split("/"), 0):
            name = f"{address}{where}"
            seen = Facts(
                status.st_size, float(status.st_mtime), name, f"{status.st_size}:{status.st_mtime}"
            )
            opener = _on_server(server, where, status.st_size)
            found.append(RemoteFile(shown(name), seen, opener, server.close))
            if len(found) >= LISTED:
                break
    except (OSError, EOFError, paramiko.SSHException) as error:
        server.close()
        raise UnreadableInput(f"{shown(pattern)}: cannot be listed: {_said(error)}.") from None
    if not found:
        server.close()
    return found


def _on_server(server: _Server, path: str, size: int) -> Callable[[], _Raw]:
    return lambda: server.open(path, size)


def _walk(sftp: Any, folder: str, parts: Sequence[str], depth: int) -> Iterator[tuple[str, Any]]:
    """Files below a folder that fit the parts of a pattern; `**` is any folders."""
    first, rest = parts[0], parts[1:]
    if depth > DEPTH:
        return
    if rest and _wild(first) == len(first):
        yield from _walk(sftp, f"{folder}{first}/", rest, depth + 1)
        return
    for entry in sorted(sftp.listdir_attr(folder), key=lambda e: e.filename):
        name = entry.filename
        if "/" in name or name in (".", ".."):
            continue
        if stat.S_ISDIR(entry.st_mode or 0):
            below = parts if first == "**" else rest if _fits(name, first) else ()
            if below:
                yield from _walk(sftp, f"{folder}{name}/", below, depth + 1)
        elif stat.S_ISREG(entry.st_mode or 0) and _parts_match([name], parts):
            yield f"{folder}{name}", entry


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern)


def _matches(path: str, pattern: str) -> bool:
    """Part by part, as in a shell: a star stays within its folder, `**` is any folders."""
    return _parts_match(path.split("/"), pattern.split("/"))


def _parts_match(names: Sequence[str], parts: Sequence[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == "**":
        return any(_parts_match(names[n:], parts[1:]) for n in range(len(names)))
    if not names or not _fits(names[0], parts[0]):
        return False
    return _parts_match(names[1:], parts[1:])


def _wild(text: str) -> int:
    """Where the first character of a pattern stands, or the length."""
    return min((at for c in "*?[" if (at := text.find(c)) >= 0), default=len(text))


def _secret(settings: Remote, path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableInput(
            f"{settings.at}: {path} cannot be read ({why(error)}); check `remote` in fairwatch.yaml."
        ) from None


def _said(error: BaseException) -> str:
    return shown(why(error))[:300].rstrip(".")
