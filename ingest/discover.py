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
        formats = choose(one.format, one.logformat)
        paths = {
            Path(found)
            for pattern in one.paths
            for found in glob.glob(str(ws.folder / pattern), recursive=True)
        }
        files = sorted((age, path) for path in paths if (age := written(path)) is not None)
        tasks += [Task(path, one, formats, False) for _, path in files]
    return tasks


def given(
    ws: Workspace, paths: Sequence[Path], source: str | None, format_: str | None
) -> list[Task]:
    """Files named by a person, read as one source's; by default the first, or `files`."""
    sources = {s.name: s for s in ws.settings.sources}
    if source and source not in sources:
        raise BadConfiguration(
            f"source {source!r} is not in fairwatch.yaml; it has: {', '.join(sources) or 'none'}."
        )
    base = sources.get(source or "") or Source(name="files", paths=["."])
    formats = choose(format_ or base.format, base.logformat if not format_ else None)
    return [Task(path, base, formats, True) for path in paths]


def written(path: Path) -> float | None:
    """When a plain file was last written to; None where rotation has just taken it away."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime if stat.S_ISREG(status.st_mode) else None
