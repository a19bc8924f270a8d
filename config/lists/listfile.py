"""What is kept of an imported list beside its hosts: where it is from, since when it holds, what it calls what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from config.document import read
from config.lists.device import OTHER, told
from config.lists.index import Index
from config.settings import ListUse

FOLDER = "lists"
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$"
SENSITIVE = frozenset({"health", "faith", "union", "sexuality", "politics"})
"""Categories that are never named anywhere, whatever a policy or a list says."""

HIDDEN = SENSITIVE | {"sensitive"}
"""These, and what a list's own word only sounds like."""


class Model(BaseModel):
    """Refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class OwnCategory(Model):
    """A category in the list's own word: what it is to us (null: nothing), and its hosts."""

    means: str | None = Field(None, alias="as")
    hosts: int


class ListVersion(Model):
    """One state of a list, in force from a day (null: from the beginning) until the next one is."""

    version: str
    since: date | None = Field(alias="from")
    source: str
    licence: str
    format: str
    sha256: str
    index: str = Field(pattern=r"^[A-Za-z0-9_-]+\.idx$")
    index_sha256: str
    categories: dict[str, OwnCategory]
    left_out: dict[str, int] = {}
    only_these: bool = False
    columns: dict[str, str] = {}
    below: bool = False

    @property
    def begins(self) -> date:
        """Its first day, the calendar's first where it holds from the beginning."""
        return self.since or date.min


class ListFile(Model):
    """An imported list, its versions oldest first."""

    name: str = Field(pattern=NAME)
    versions: list[ListVersion] = Field(min_length=1)


class Mapping_(Model):
    """What the words of known lists mean here."""

    version: str
    categories: dict[str, str]


@dataclass(frozen=True)
class Imported:
    """A version of a list with what the settings say of it, and the days it is in force."""

    name: str
    version: ListVersion
    until: date | None
    means: Mapping[str, str | None]
    below_shipped: bool
    index: Index

    def identity(self) -> str:
        """What its answers depend on."""
        return f"{self.name} {self.version.index_sha256} {sorted(self.means.items(), key=str)} {self.below_shipped} {self.version.since}"  # fmt: skip


@cache
def shipped_words() -> Mapping[str, str]:
    """The words of known lists and what they mean; sensitive ones stay so whatever is asked for."""
    found = read(Path(str(files("config"))) / "sites" / "categories.yaml", Mapping_)
    return found.categories


def meaning(own: str, category: str | None, mapping: Mapping[str, str | None]) -> str | None:
    """What a list's own word means: sensitive if known to be, else as asked, else as shipped.

    Words of no known list are looked up among those of devices, whose exports are lists too.
    """
    known = shipped_words().get(own.lower())
    if known in SENSITIVE:
        return known
    if own in mapping:
        return mapping[own]
    if category or known:
        return category or known
    heard = told(own)
    return "sensitive" if heard.sensitive else None if heard.category == OTHER else heard.category


def list_files(site: Path) -> list[Path]:
    """The descriptions of a site's imported lists."""
    return sorted((site / FOLDER).glob("*.yaml"))


def imported(site: Path, uses: Sequence[ListUse]) -> list[Imported]:
    """All versions of a site's lists in the order they are asked: as in the settings, then by name.

    Raises BadConfiguration for a description or an index that is not whole.
    """
    found = {f.name: f for f in (read(path, ListFile) for path in list_files(site))}
    wanted = {use.name: use for use in uses}
    order = [*(n for n in wanted if n in found), *(n for n in sorted(found) if n not in wanted)]
    made = []
    for name in order:
        use = wanted.get(name, ListUse(name=name))
        if use.use:
            made += versions(site, found[name], use)
    return made


def versions(site: Path, listed: ListFile, use: ListUse) -> list[Imported]:
    """A list's versions with the days each is in force."""
    made = []
    for at, version in enumerate(listed.versions):
        following = listed.versions[at + 1 :]
        until = following[0].begins - timedelta(days=1) if following else None
        if until is not None and until < version.begins:
            continue  # written by hand: a version that never was in force
        means = {
            own: meaning(own, c.means, use.categories) for own, c in version.categories.items()
        }  # fmt: skip
        index = opened(site / FOLDER / version.index)
        made.append(Imported(listed.name, version, until, means, use.below_shipped, index))
    return made


@cache
def _opened(path: Path, changed: int) -> Index:
    return Index.read(path)


def opened(path: Path) -> Index:
    """The index of a file; the same one while the file is the same."""
    try:
        return _opened(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return Index.read(path)


def described(listed: ListFile) -> bytes:
    """A list's description as it stands in its file."""
    data = listed.model_dump(mode="json", by_alias=True)
    for version, made in zip(data["versions"], listed.versions, strict=True):
        version["from"] = made.since
    head = "# Written by `fairwatch lists`; the hosts are digests in the .idx files beside it.\n"
    return (head + yaml.safe_dump(data, sort_keys=False, allow_unicode=True)).encode()
