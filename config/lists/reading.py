"""A list as it was delivered (file, folder, tar file) into an index, within bounds; nothing is unpacked to disk."""

import gzip
import hashlib
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, cast

from config.lists.hosts import NotAHost, normalised
from config.lists.index import Builder
from config.lists.syntaxes import (
    FOLDERS,
    SAMPLE_LINES,
    SYNTAXES,
    Context,
    Entry,
    Lines,
    Notes,
    domains,
    recognised,
    v2fly,
)
from errors import UnreadableInput, WrongUsage

LARGEST_BYTES = 1 << 30
LARGEST_HOSTS = 20_000_000
MOST_FILES = 10_000
MOST_CATEGORIES = 2_000
LONGEST_LINE = 8192
LEAST_LINE = 16
"""Bytes a line counts for at least: a gigabyte of empty ones would take a quarter of an hour."""
PART_NAMES = ("domains", "urls", "expressions")


@dataclass(frozen=True)
class Delivery:
    """How a list is to be read: its syntax or None to find out, and what its entries are called.

    `only`: the list's own categories that are wanted (empty: all); `below`: hosts said exactly stand
    for what lies below them too; `sensitive`: whether one of its categories means a sensitive one.
    """

    syntax: str | None = None
    category: str | None = None
    only: frozenset[str] = frozenset()
    columns: Mapping[str, str] = field(default_factory=dict)
    below: bool = False
    sensitive: Callable[[str], bool] = lambda _: False


@dataclass(frozen=True)
class ReadList:
    """What became of a delivery; `hosts` counts by the list's own categories, in their order."""

    syntax: str
    reason: str
    sha256: str
    index: bytes
    hosts: dict[str, int]
    left_out: dict[str, tuple[int, str]]


def syntax_named(name: str | None) -> str | None:
    """A syntax by name, None for `auto`; raises WrongUsage."""
    known = sorted({*SYNTAXES, *FOLDERS})
    if name in (None, "auto"):
        return None
    if name not in known:
        raise WrongUsage(f"--format: found {name!r}; expected auto or one of {', '.join(known)}.")
    return name


def read_list(path: Path, delivery: Delivery) -> ReadList:
    """Read a delivered list. Raises UnreadableInput with what was found and what to do."""
    try:
        with ExitStack() as stack:
            digest, parts = _delivered(path, stack)
            return _Reading(path, delivery, digest).run(parts)
    except (OSError, EOFError, tarfile.TarError, gzip.BadGzipFile) as error:
        kind = type(error).__name__
        raise UnreadableInput(f"{path}: cannot be read as a list: {kind}.") from None


class _Reading:
    """One delivery on its way into an index."""

    def __init__(self, path: Path, delivery: Delivery, digest: str) -> None:
        self.path, self.delivery, self.digest = path, delivery, digest
        self.notes, self.builder = Notes(), Builder()
        self.codes: dict[str, int] = {}
        self.whole: set[str] = set()

    def run(self, parts: "_Parts") -> ReadList:
        syntax, reason = self._syntax(parts)
        if parts.folder and syntax == "squidguard":
            self._squidguard(parts)
        elif parts.folder and syntax == "v2fly":
            self._v2fly(parts)
        else:
            self._one(parts, syntax)
        index, counts = self.builder.finish()
        if not counts:
            raise UnreadableInput(
                f"{self.path}: holds no host in the syntax {syntax}"
                f"{self._first()}; name another with --format."
            )
        hosts = {name: counts.get(code, 0) for name, code in self.codes.items()}
        return ReadList(syntax, reason, self.digest, index, hosts, dict(self.notes.left_out))

    def _first(self) -> str:
        if not self.notes.left_out:
            return ""
        reason, (count, where) = max(self.notes.left_out.items(), key=lambda i: i[1][0])
        return f" ({count} entries left out: {reason}, first at {where})"

    def _syntax(self, parts: "_Parts") -> tuple[str, str]:
        if self.delivery.syntax:
            return self.delivery.syntax, "named"
        if parts.folder:
            known = [n for n in parts.names if PurePosixPath(n).name in PART_NAMES]
            if known:
                return "squidguard", f"it holds {len(known)} files called domains, urls or expressions"  # fmt: skip
            return "v2fly", "it is a folder of single lists"
        with parts.lines(parts.names[0]) as lines:
            syntax, reason = recognised([text for _, text in islice(lines, 4 * SAMPLE_LINES)])
        if syntax is None:
            raise UnreadableInput(
                f"{self.path}: not recognised as a list ({reason}); name its syntax with --format "
                f"({', '.join(sorted({*SYNTAXES, *FOLDERS}))})."
            )
        return syntax, reason

    def _one(self, parts: "_Parts", syntax: str) -> None:
        if syntax not in SYNTAXES:
            syntax = "domains"  # a single file of squidGuard's
        if len(parts.names) != 1:
            raise UnreadableInput(
                f"{self.path}: holds {len(parts.names)} files; expected one file in the syntax {syntax}."
            )
        with parts.lines(parts.names[0]) as lines:
            context = Context(self.notes, dict(self.delivery.columns))
            self._take(SYNTAXES[syntax](lines, context), None)

    def _squidguard(self, parts: "_Parts") -> None:
        for name in parts.names:
            place = PurePosixPath(name)
            category = place.parent.name
            if not self._asked_for(category):
                continue
            self.notes.where = f"{place.parent.name}/{place.name}, "
            with parts.lines(name) as lines:
                if place.name in ("domains", "urls"):
                    self._take(domains(lines, Context(self.notes)), category)
                elif place.name == "expressions":
                    for number, _ in lines:
                        self.notes.leave("a regular expression", number)

    def _v2fly(self, parts: "_Parts") -> None:
        by_name = {PurePosixPath(n).name: n for n in parts.names}
        wanted = [n for n in by_name if n in self.delivery.only] or list(by_name)
        for category in wanted:
            self.notes.where = f"{category}, "
            context = Context(self.notes, {}, lambda name: parts.whole(by_name.get(name)), category)
            with parts.lines(by_name[category]) as lines:
                self._take(v2fly(lines, context), category)

    def _asked_for(self, category: str) -> bool:
        """Of a large list, some categories may be enough: the others stay where they are."""
        return not self.delivery.only or category in self.delivery.only

    def _take(self, entries: Iterator[Entry], category: str | None) -> None:
        for entry in entries:
            try:
                host = normalised(entry.host)
            except NotAHost as fault:
                self.notes.leave(str(fault), entry.line)
                continue
            name = category or entry.category or self.delivery.category or "hosts"
            code = self.codes.get(name)
            if code is None:
                code = self._new(name)
            exact = entry.exact and not (self.delivery.below or name in self.whole)
            self.builder.add(host, code, exact=exact)
            if len(self.builder) > LARGEST_HOSTS:
                raise UnreadableInput(
                    f"{self.path}: holds more than {LARGEST_HOSTS} hosts; import fewer categories "
                    f"of it, naming them with --map."
                )

    def _new(self, name: str) -> int:
        if len(self.codes) >= MOST_CATEGORIES:
            raise UnreadableInput(
                f"{self.path}: has more than {MOST_CATEGORIES} categories; is it a table whose "
                f"category column is another one? See --columns."
            )
        if self.delivery.sensitive(name):
            self.whole.add(name)  # what lies below a sensitive host is sensitive too
        return self.codes.setdefault(name, len(self.codes))


class _Budget:
    """Bytes that may still be read, whatever they are packed in."""

    def __init__(self, path: Path) -> None:
        self.path, self.left = path, LARGEST_BYTES

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise UnreadableInput(
                f"{self.path}: unpacks to more than {LARGEST_BYTES >> 30} GiB; import it in parts."
            )


class _Parts:
    """The files of a delivery, by name, opened one at a time."""

    def __init__(self, path: Path, names: list[str], opened: Callable[[str], IO[bytes]], folder: bool) -> None:  # fmt: skip
        if len(names) > MOST_FILES:
            raise UnreadableInput(f"{path}: holds more than {MOST_FILES} files.")
        if not names:
            raise UnreadableInput(f"{path}: holds no file of a list.")
        self.names, self.folder = names, folder  # a tar file is read in its own order
        self._opened, self._budget = opened, _Budget(path)

    @contextmanager
    def lines(self, name: str) -> Iterator[Lines]:
        with self._opened(name) as file:
            yield self._lines(file)

    def whole(self, name: str | None) -> Lines | None:
        """A small file's lines at once, for what another one includes."""
        if name is None:
            return None
        with self.lines(name) as lines:
            return iter(list(lines))

    def _lines(self, file: IO[bytes]) -> Lines:
        number = 0
        while line := file.readline(LONGEST_LINE):
            self._budget.spend(max(len(line), LEAST_LINE))
            number += 1
            yield number, line.decode("utf-8", "replace").strip("\r\n\ufeff")


def _delivered(path: Path, stack: ExitStack) -> tuple[str, _Parts]:
    """(the digest a delivery is known by, its files)."""
    if path.is_dir():
        found = {
            str(p.relative_to(path)): p for p in sorted(path.rglob("*")) if _is_part(path, p)
        }  # fmt: skip
        whole = hashlib.sha256()
        for name, one in found.items():
            whole.update(f"{_digest(one)}  {name}\n".encode())
        return whole.hexdigest(), _Parts(path, [*found], lambda n: found[n].open("rb"), True)
    if not path.is_file():
        raise UnreadableInput(f"{path}: there is no such file or folder.")
    digest = _digest(path)
    if _is_tar(path):
        archive = stack.enter_context(tarfile.open(path, "r:*"))  # noqa: SIM115 (the stack closes it)
        members = {m.name: m for m in _members(path, archive)}

        def member(name: str) -> IO[bytes]:
            return cast(IO[bytes], archive.extractfile(members[name]))

        return digest, _Parts(path, [*members], member, True)
    return digest, _Parts(path, [path.name], lambda _: _plain(path), False)


def _members(path: Path, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    budget = _Budget(path)
    for count, member in enumerate(archive):
        if count > 4 * MOST_FILES:
            raise UnreadableInput(f"{path}: holds more than {MOST_FILES} files.")
        budget.spend(member.size)
        if member.isfile() and not PurePosixPath(member.name).name.startswith("."):
            yield member


def _is_part(folder: Path, path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.is_file() and not path.is_symlink() and not hidden


def _is_tar(path: Path) -> bool:
    # Not tarfile.is_tarfile: an empty text file, and some short ones, pass for an empty archive.
    with _plain(path) as file:
        return file.read(512)[257:262] == b"ustar"


def _plain(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path) if packed else path.open("rb"))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
