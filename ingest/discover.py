"""Which files are to be read, for which source, in which formats they may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from config.settings import Source
from errors import BadConfiguration, UnreadableInput
from ingest import remote
from ingest.arrival import Aside, Fault, LocalFile, Origin, kind
from ingest.formats import Format, choose
from ingest.layers import shown, why
from ingest.matching import matching, unlisted
from ingest.remote import Connect
from workspace import Workspace


@dataclass(frozen=True)
class Task:
    """One file to be read for a source."""

    origin: Origin
    source: Source
    formats: Sequence[Format]
    given: bool

    @property
    def path(self) -> Path:
        """Where a local file lies; of others what they are called."""
        return self.origin.path if isinstance(self.origin, LocalFile) else Path(self.origin.name)


def discover(ws: Workspace, source: str | None, connect: Connect = remote.connect) -> list[Task]:
    """The files of the configured sources, oldest first; raises BadConfiguration.

    What is there and is no file, or a server that cannot be reached, is a task too: reading it tells
    why, and the others go on. The caller releases the origins.
    """
    wanted = [s for s in ws.settings.sources if source in (None, s.name)]
    if source and not wanted:
        names = ", ".join(s.name for s in ws.settings.sources) or "none"
        raise BadConfiguration(f"source {source!r} is not in fairwatch.yaml; it has: {names}.")
    tasks = []
    for one in wanted:
        formats = choose(one.format, one.logformat, ws.folder)
        found = [o for path in _paths(ws, one) for o in _local(path)]
        found += _closed(ws, one)
        found += _remote(ws, one, connect)
        tasks += [Task(origin, one, formats, False) for _, _, origin in sorted(found, key=_age)]
    return tasks


def release(tasks: Sequence[Task]) -> None:
    """Let go of the connections the tasks hold."""
    for task in tasks:
        task.origin.release()


Aged = tuple[float, str, Origin]


def _age(found: Aged) -> tuple[float, str]:
    return found[:2]


def _local(path: Path) -> list[Aged]:
    """A file with its age; something else as what it is; nothing where rotation just took it."""
    origin = LocalFile(path)
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            return [(0.0, str(path), Fault(origin.name, "is a link that points at nothing."))]
        return []
    except OSError as error:
        return [(0.0, str(path), Fault(origin.name, f"cannot be read: {why(error)}."))]
    if (told := kind(status.st_mode)) == "folder":
        return [(0.0, str(path), Aside(origin.name, "is a folder; only files are read"))]
    if told:
        return [(0.0, str(path), Aside(origin.name, f"is a {told}, not a file; it is not read"))]
    return [(status.st_mtime, str(path), origin)]


def _closed(ws: Workspace, source: Source) -> list[Aged]:
    """Folders whose content nobody shows us: what lies there would be missed without a word."""
    told = "its content may not be listed by the user Fairwatch runs as."
    folders = {f for p in source.paths if not remote.is_remote(p) for f in unlisted(ws.folder, p)}
    return [(0.0, f, Fault(shown(f), told)) for f in sorted(folders)]


def _remote(ws: Workspace, source: Source, connect: Connect) -> list[Aged]:
    found: list[Aged] = []
    for pattern in source.paths:
        if not remote.is_remote(pattern):
            continue
        try:
            files = connect(pattern, ws.settings.remote, ws.folder)
        except UnreadableInput as error:
            found.append((0.0, pattern, Fault(shown(pattern), str(error))))
            continue
        found += [(f.facts().modified, f.name, f) for f in files]
    return found


def given(
    ws: Workspace, paths: Sequence[Path], source: str | None, format_: str | None
) -> list[Task]:
    """Files named by a person: of the source named, of the one whose paths match, or of `files`."""
    sources = {s.name: s for s in ws.settings.sources}
    if source and source not in sources:
        raise BadConfiguration(
            f"source {source!r} is not in fairwatch.yaml; it has: {', '.join(sources) or 'none'}."
        )
    nobody = Source(name="files", paths=["."])
    tasks = []
    for path in paths:
        one = sources[source] if source else owner(ws, path) or nobody
        formats = (
            candidates(ws.settings.sources, format_ or "auto", None, ws.folder)
            if format_ or one is nobody
            else choose(one.format, one.logformat, ws.folder)
        )
        tasks.append(Task(LocalFile(path), one, formats, True))
    return tasks


def owner(ws: Workspace, path: Path) -> Source | None:
    """The source whose paths a file is one of."""
    there = path.resolve()
    mine = (s for s in ws.settings.sources for p in _paths(ws, s) if p.resolve() == there)
    return next(mine, None)


def candidates(
    sources: Sequence[Source], name: str, logformat: str | None, folder: Path | None
) -> list[Format]:
    """The formats a file may be in: the one named, or the site's own logformats and all known."""
    if logformat or name != "auto":
        return choose(name, logformat, folder)
    own = [choose(s.format, s.logformat) for s in sources if s.logformat]
    return [*(f for formats in own for f in formats), *choose("auto", None, folder)]


def _paths(ws: Workspace, source: Source) -> set[Path]:
    return {
        Path(found)
        for pattern in source.paths
        if not remote.is_remote(pattern)
        for found in matching(ws.folder, pattern)
    }
