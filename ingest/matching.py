"""Which files of this machine a pattern such as `/var/log/**/access.log*` means."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

ANY = "**"


def matching(folder: Path, pattern: str) -> set[str]:
    """What a pattern, seen from `folder`, matches: names that begin with a dot never.

    Links to folders are followed, and each folder is looked into once: a link that leads back up
    would be gone through forty times, and two of them two to the power of forty.
    """
    return _below(glob.escape(str(folder)), pattern)


def unlisted(folder: Path, pattern: str) -> list[str]:
    """Folders on the way to what a pattern matches whose content this user may not see."""
    found: dict[str, None] = {}
    seen = glob.escape(str(folder))
    first, *rest = pattern.split("/")
    at = "/" if pattern.startswith("/") else seen
    for part in [first, *rest]:
        need = os.R_OK | os.X_OK if glob.has_magic(part) else os.X_OK
        dirs = [d for d in glob.glob(at) if os.path.isdir(d)]
        if part == ANY:
            dirs = [d for one in dirs for d in _folders(one)]
        found |= dict.fromkeys(d for d in dirs if not os.access(d, need))
        if part == ANY:
            break
        at = os.path.join(at, part)
    return list(found)


def _below(folder: str, pattern: str) -> set[str]:
    """The same; `folder` is a pattern too."""
    before, found, after = f"/{pattern}/".partition(f"/{ANY}/")
    if not found:
        return set(glob.glob(os.path.join(folder, pattern)))
    start = before[1:] or ("/" if pattern.startswith("/") else "")
    rest = after.rstrip("/")
    every = {d for one in glob.glob(os.path.join(folder, start)) for d in _folders(one)}
    if rest:
        return {match for one in every for match in _below(glob.escape(one), rest)}
    return {match for one in every for match in glob.glob(os.path.join(glob.escape(one), "*"))}


def _folders(folder: str) -> Iterator[str]:
    """A folder and all below it, the nearest first, each once however many links lead there."""
    seen: set[tuple[int, int]] = set()
    level = [folder]
    while level:
        deeper: list[str] = []
        for one in level:
            try:
                status = os.stat(one)
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
                with os.scandir(one) as entries:
                    deeper += sorted(
                        e.path for e in entries if not e.name.startswith(".") and e.is_dir()
                    )
            except OSError:
                continue  # no folder, gone, or closed: `unlisted` says so
            yield one
        level = deeper
