"""Which files are to be read, for which source, in which formats they may be."""

import glob
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from config.settings import Source
from errors import BadConfiguration
from ingest.formats import Format, choose
from workspace import Workspace


@dataclass(frozen=True)
class Task:
    """One file to be read for a source."""

    path: Path
    source: Source
    formats: Sequence[Format]
    given: bool


def discover(ws: Workspace, source: str | None) -> list[Task]:
    """The files of the configured sources, oldest first; raises BadConfiguration."""
    wanted = [s for s in ws.settings.sources if source in (None, s.name)]
    if source and not wanted:
        names = ", ".join(s.name for s in ws.settings.sources) or "none"
        raise BadConfiguration(f"source {source!r} is not in fairwatch.yaml; it has: {names}.")
    tasks = []
    for one in wanted:
        formats = choose(one.format, one.logformat, ws.folder)
        found = sorted((age, p) for p in _paths(ws, one) if (age := written(p)) is not None)
        tasks += [Task(path, one, formats, False) for _, path in found]
    return tasks


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
        tasks.append(Task(path, one, formats, True))
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
        for found in glob.glob(str(ws.folder / pattern), recursive=True)
    }


def written(path: Path) -> float | None:
    """When a plain file was last written to; None where rotation has just taken it away."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime if stat.S_ISREG(status.st_mode) else None
