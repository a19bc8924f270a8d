"""A BagIt bag in a zip whose bytes depend on nothing but its content."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from errors import ProofFailed, UnreadableInput

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
EPOCH = (1980, 1, 1, 0, 0, 0)
LARGEST = 2 << 30
"""A pack that unpacks to more is not one of ours."""


def build(name: str, payload: Mapping[str, bytes], info: Mapping[str, str]) -> bytes:
    """A zip with one folder `name`: the payload under data/, manifests, bag-info.

    The same arguments give the same bytes: entries are sorted, dated 1980, with fixed rights.
    """
    data = {f"data/{path}": content for path, content in payload.items()}
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in data.items()}
    tags = _tags(digests, sum(len(content) for content in data.values()), info)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted({**data, **tags}.items()):
            archive.writestr(_entry(f"{name}/{path}"), content)
    return buffer.getvalue()


class Writer:
    """A bag too large to be held: its members are written one after the other into a file."""

    def __init__(self, path: Path, name: str) -> None:
        self._archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self._name = name
        self._digests: dict[str, str] = {}
        self._octets = 0

    @contextmanager
    def member(self, path: str) -> Iterator["Measured"]:
        """A file of the payload, to be written to; nothing else can be written meanwhile."""
        entry = _entry(f"{self._name}/data/{path}")
        with self._archive.open(entry, "w", force_zip64=True) as raw:
            told = Measured(raw)
            yield told
        self._digests[f"data/{path}"] = told.digest.hexdigest()
        self._octets += told.octets

    def add(self, path: str, content: bytes) -> None:
        """A file of the payload, whole."""
        with self.member(path) as file:
            file.write(content)

    def finish(self, info: Mapping[str, str]) -> None:
        """Write the manifests and bag-info, and close the file."""
        for path, content in _tags(self._digests, self._octets, info).items():
            self._archive.writestr(_entry(f"{self._name}/{path}"), content)
        self._archive.close()

    def abandon(self) -> None:
        """Close the file as it is; it is no bag."""
        self._archive.close()


class Measured(io.RawIOBase):
    """A stream that knows the digest and the length of what went through it."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__()
        self._raw = raw
        self.digest = hashlib.sha256()
        self.octets = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """All of it, at once."""
        self.digest.update(data)
        self.octets += len(data)
        return self._raw.write(data)


def _tags(digests: Mapping[str, str], octets: int, info: Mapping[str, str]) -> dict[str, bytes]:
    described = {**info, "Payload-Oxum": f"{octets}.{len(digests)}"}
    tags = {
        "bagit.txt": DECLARATION,
        "bag-info.txt": "".join(f"{k}: {_flat(v)}\n" for k, v in described.items()).encode(),
        "manifest-sha256.txt": _manifest(digests),
    }
    of_tags = {name: hashlib.sha256(content).hexdigest() for name, content in tags.items()}
    return {**tags, "tagmanifest-sha256.txt": _manifest(of_tags)}


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, EPOCH)
    entry.external_attr = 0o100644 << 16
    entry.create_system = 3
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def verify(path: Path) -> dict[str, str]:
    """Check a packed bag; its bag-info.

    1. every member lies in one folder and none leaves it; 2. the tag manifest fits the tag files;
    3. the manifest names exactly the payload; 4. every digest fits. Raises ProofFailed naming the
    first member that does not.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members: dict[str, zipfile.ZipInfo] = {}
            for member in archive.infolist():
                if member.filename in members:
                    raise ProofFailed(f"{path}: {member.filename} stands twice in the pack.")
                if not _inside(member.filename):
                    raise ProofFailed(f"{path}: {member.filename!r} leaves the pack's folder.")
                members[member.filename] = member
            if sum(m.file_size for m in members.values()) > LARGEST:
                raise ProofFailed(f"{path}: unpacks to more than {LARGEST >> 30} GiB; not read.")
            content = {n: archive.read(n) for n, m in members.items() if not m.is_dir()}
    except FileNotFoundError:
        raise UnreadableInput(f"{path}: there is no such file.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise ProofFailed(f"{path}: is no zip that can be read whole: {error}.") from None
    roots = {name.partition("/")[0] for name in content}
    if len(roots) != 1:
        raise ProofFailed(f"{path}: expected one folder, found {len(roots)}.")
    files = {name.partition("/")[2]: body for name, body in content.items()}
    if files.get("bagit.txt") != DECLARATION:
        raise ProofFailed(f"{path}: bagit.txt is missing or not what BagIt 1.0 asks for.")
    tags = {n for n in files if not n.startswith("data/") and n != "tagmanifest-sha256.txt"}
    _compare(path, files, "tagmanifest-sha256.txt", tags)
    _compare(path, files, "manifest-sha256.txt", {n for n in files if n.startswith("data/")})
    if "bag-info.txt" not in files:
        raise ProofFailed(f"{path}: bag-info.txt is missing.")
    lines = files["bag-info.txt"].decode("utf-8", "replace").splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def _inside(name: str) -> bool:
    """Whether a member's name is a plain one: a folder, and nothing that has to be resolved."""
    path = PurePosixPath(name)
    plain = str(path) == name.removesuffix("/") and not path.is_absolute()
    return plain and bool(path.parts) and ".." not in path.parts and "\\" not in name


def _compare(path: Path, files: Mapping[str, bytes], manifest: str, expected: set[str]) -> None:
    if manifest not in files:
        raise ProofFailed(f"{path}: {manifest} is missing.")
    listed: dict[str, str] = {}
    for line in files[manifest].decode("utf-8", "replace").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    for name in sorted(expected - listed.keys()):
        raise ProofFailed(f"{path}: {name} is not in {manifest}: it was added later.")
    for name in sorted(listed.keys() - expected):
        raise ProofFailed(f"{path}: {name} stands in {manifest} and is missing.")
    for name, digest in sorted(listed.items()):
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise ProofFailed(f"{path}: {name} is not what {manifest} says: it was changed.")


def _manifest(digests: Mapping[str, str]) -> bytes:
    """Lines that `sha256sum -c` reads."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())).encode()


def _flat(text: str) -> str:
    return " ".join(text.split())
