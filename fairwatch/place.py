"""What only the outermost layer may ask for: the clock, the site folder, who is typing."""

import getpass
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from errors import FairwatchError, NoSuchThing
from workspace import SETTINGS, Workspace, open_site


def now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


def actor() -> str:
    """Who is at the terminal: the login behind sudo, if any, and the machine."""
    user = os.environ.get("SUDO_USER") or _login()
    return f"{user}@{socket.gethostname()}"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return f"uid {os.getuid()}"


def find_site(site: Path | None) -> Path:
    """The folder named, or the one stood in or above that holds fairwatch.yaml."""
    if site is not None:
        return site
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / SETTINGS).is_file():
            return folder
    raise NoSuchThing(
        f"{here}: neither this folder nor one above it holds {SETTINGS}; "
        f"name the site folder with --site, or make one with `fairwatch init DIR --policy b3`."
    )


def named_site(words: Sequence[str]) -> Path | None:
    """The site folder a command line or the environment names, for when nobody parsed it."""
    for at, word in enumerate(words):
        if word.startswith("--site="):
            return Path(word.removeprefix("--site="))
        if word == "--site" and at + 1 < len(words):
            return Path(words[at + 1])
    named = os.environ.get("FAIRWATCH_SITE")
    return Path(named) if named else None


def opened(site: Path | None) -> Workspace:
    """The site folder, opened by whoever is typing."""
    return open_site(find_site(site), actor(), os.environ)


def site_if_any(site: Path | None) -> Workspace | None:
    """The site folder if there is one here: checking a pack does not need it."""
    try:
        return opened(site)
    except FairwatchError:
        if site is not None:
            raise
        return None
