"""Site lists: which host belongs to which service, in which role and category, and on which days."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

from config.document import read
from config.lists.hosts import ascii_host, registered, suffixes
from config.lists.index import EXACT, key
from config.lists.listfile import HIDDEN, Imported
from config.policy import BLOCKED_HOST, Policy
from config.rules import Effective

Role = Literal["site", "asset", "api", "embed"]


class Service(BaseModel):
    """One service: its category, its hosts by role, and the paths that are not a visit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    service: str
    category: str
    roles: dict[Role, list[str]]
    ambiguous_hosts: list[str] = []
    embed_paths: list[str] = []
    share_paths: list[str] = []
    sensitive: bool = False


class SiteFile(BaseModel):
    """A site list as it stands in a file, in force on the days of `effective`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    source: str
    licence: str | None = None
    effective: Effective = Effective()
    services: list[Service]


@dataclass(frozen=True)
class Match:
    """What a host is: service, role and category."""

    service: Service
    role: Role
    suffix: str

    @property
    def sensitive(self) -> bool:
        """Whether the list marks it so, by itself or by its category."""
        return self.service.sensitive or self.service.category in HIDDEN


@dataclass(frozen=True)
class About:
    """A list as it is told of: where it stands, whose it is, since when it holds."""

    name: str
    kind: Literal["own", "policy", "imported", "shipped"]
    version: str
    source: str
    licence: str | None
    since: date | None
    until: date | None


@dataclass(frozen=True)
class Claim:
    """What one list says of a host; `category` is ours (None: the list's word means nothing here)."""

    about: About
    suffix: str
    category: str | None
    own: str
    sensitive: bool
    match: Match | None = None


class Host:
    """A host name with its suffixes, longest first, and their digests, made once for all lists."""

    def __init__(self, name: str) -> None:
        self.name = ascii_host(name.lower().strip("."))
        self.suffixes = suffixes(self.name)
        self._keys: list[tuple[str, int]] | None = None

    @property
    def keys(self) -> list[tuple[str, int]]:
        """(suffix, digest), the host itself twice: exactly, and with all below it."""
        if self._keys is None:
            exact = (self.name, key(EXACT + self.name))
            # No imported list holds a single label: see config/lists/hosts.py.
            self._keys = [exact, *((s, key(s)) for s in self.suffixes[:-1])]
        return self._keys


class Layer(Protocol):
    """A list that can be asked."""

    @property
    def about(self) -> About: ...
    @property
    def identity(self) -> str: ...
    @property
    def services(self) -> Sequence[Service]: ...
    def claims(self, host: Host) -> Iterator[Claim]: ...


class Curated:
    """A list that names services and the roles of their hosts."""

    def __init__(self, file: SiteFile, about: About) -> None:
        self.about, self.services = about, file.services
        self.identity = file.model_dump_json()
        self._hosts: dict[str, Match] = {}
        for service in file.services:
            for role, names in service.roles.items():
                for name in names:
                    plain = ascii_host(name.lower().strip("."))
                    self._hosts.setdefault(plain, Match(service, role, name))

    def claims(self, host: Host) -> Iterator[Claim]:
        """What the longest suffix says."""
        match = next((self._hosts[s] for s in host.suffixes if s in self._hosts), None)
        if match:
            category = match.service.category
            yield Claim(self.about, match.suffix, category, category, match.sensitive, match)


class Bulk:
    """An imported list, which knows categories only."""

    services: Sequence[Service] = ()

    def __init__(self, one: Imported) -> None:
        version = one.version
        self.about = About(
            one.name,
            "imported",
            version.version,
            version.source,
            version.licence,
            version.since,
            one.until,
        )
        self.identity = one.identity()
        self._index = one.index
        self._words = [*version.categories]
        self._means = one.means

    def claims(self, host: Host) -> Iterator[Claim]:
        """What the longest suffix says, once for each category it stands in."""
        for suffix, digest in host.keys:
            if codes := self._index.find(digest):
                for own in (self._words[c] for c in codes if c < len(self._words)):
                    category = self._means.get(own)
                    yield Claim(self.about, suffix, category, own, category in HIDDEN)
                return


@dataclass(frozen=True)
class Judged:
    """What all lists say of a host: every claim in the order asked, and what follows from them."""

    host: str
    claims: tuple[Claim, ...]
    sensitive: bool
    winner: Claim | None
    match: Match | None

    @property
    def disputed(self) -> list[Claim]:
        """Claims of other lists that contradict the one believed."""
        return [
            c
            for c in self.claims
            if self.winner
            and c.category not in (None, self.winner.category)
            and c.about is not self.winner.about
        ]


@dataclass
class _Period:
    start: date
    sites: "SiteList"


@dataclass
class _History:
    """The lists of each stretch of days, oldest first."""

    periods: list[_Period] = field(default_factory=list)


class SiteList:
    """Longest suffix on a label boundary; earlier layers win over later ones."""

    def __init__(self, layers: Iterable[SiteFile | Layer], version: str) -> None:
        self.version = version
        self.services: dict[str, Service] = {}
        self._layers = [
            Curated(one, _about(one, "own", one.source)) if isinstance(one, SiteFile) else one
            for one in layers
        ]
        self._history = _History([_Period(date.min, self)])
        for layer in self._layers:
            for service in layer.services:
                self.services.setdefault(service.id, service)

    @property
    def lists(self) -> list[About]:
        """The lists asked, in their order."""
        return [layer.about for layer in self._layers]

    @property
    def starts(self) -> list[date]:
        """Days from which other lists hold than before, the first one left out."""
        return [period.start for period in self._history.periods[1:]]

    def on(self, day: date) -> "SiteList":
        """The lists in force on a day."""
        return [p.sites for p in self._history.periods if p.start <= day][-1]

    def judged(self, host: str) -> Judged:
        """What every list says of a host, and which one is believed.

        The first list that gives it a category decides; a list that also knows its service and role
        lends them to one that knows categories only.
        """
        asked = Host(host)
        claims = tuple(c for layer in self._layers for c in layer.claims(asked))
        newest = self._history.periods[-1].sites
        sensitive = any(c.sensitive for c in claims) or (
            newest is not self and newest.judged(host).sensitive
        )
        winner = next((c for c in claims if c.category is not None), None)
        return Judged(asked.name, claims, sensitive, winner, _matched(asked.name, claims, winner))

    def match(self, host: str) -> Match | None:
        """The service a host name belongs to, or None.

        The customer's layer wins as a whole: its shortest suffix beats a longer shipped one.
        """
        return self.judged(host).match

    def sensitive(self, host: str) -> bool:
        """Whether any list says that the host must never be named: there the other lists give way."""
        return self.judged(host).sensitive

    def name(self, service: str) -> str:
        """The display name of a service id."""
        return self.service(service).service

    def service(self, id_: str) -> Service:
        """A service by id; of hosts that stand in imported lists only, a plain one."""
        known = self.services.get(id_)
        return known or Service(id=id_, service=id_, category="", roles={})

    def identity(self) -> str:
        """What the answers depend on."""
        return "\n".join(layer.identity for layer in self._layers)


def _matched(host: str, claims: Sequence[Claim], winner: Claim | None) -> Match | None:
    if winner is None or winner.category is None:
        return None
    if winner.match:
        return winner.match
    detail = next((c.match for c in claims if c.match), None)
    if detail is None:
        domain = registered(host) or winner.suffix
        # Not checked again: these are our own words, and there may be a million of them.
        service = Service.model_construct(
            id=domain, service=domain, category=winner.category, roles={}
        )
        return Match(service, "site", winner.suffix)
    if detail.service.category == winner.category:
        return detail
    service = detail.service.model_copy(update={"category": winner.category})
    return Match(service, detail.role, winner.suffix)


def _about(file: SiteFile, kind: Literal["own", "policy", "shipped"], source: str) -> About:
    effective = file.effective
    name = {"own": source, "policy": "policy.yaml"}.get(kind, "shipped")
    return About(name, kind, file.version, source, file.licence, effective.start, effective.end)


@cache
def shipped() -> SiteFile:
    """The list that comes with Fairwatch."""
    return read(Path(str(files("config"))) / "sites" / "services.yaml", SiteFile)


@cache
def shipped_sensitive() -> SiteFile:
    """Hosts that come with Fairwatch only so that they are never named."""
    return read(Path(str(files("config"))) / "sites" / "sensitive.yaml", SiteFile)


@cache
def _shipped_layers() -> tuple[Curated, Curated]:
    sensitive = shipped_sensitive()
    return (
        Curated(shipped(), _about(shipped(), "shipped", shipped().source)),
        Curated(sensitive, replace(_about(sensitive, "shipped", ""), name="shipped, sensitive")),
    )


def site_list(
    own: list[Path], policies: list[Policy], imported: Sequence[Imported] = ()
) -> SiteList:
    """The customer's own lists, the policy's block list, imported lists, then the shipped ones."""
    named = [(path, read(path, SiteFile)) for path in own]
    layers: list[Layer] = [Curated(f, _about(f, "own", path.name)) for path, f in named]
    layers += [
        Curated(blocked, _about(blocked, "policy", "policy.yaml"))
        for policy in policies
        for blocked in _blocked_hosts(policy)
    ]
    layers += [Bulk(one) for one in imported if not one.below_shipped]
    layers += _shipped_layers()
    layers += [Bulk(one) for one in imported if one.below_shipped]
    return _dated(layers)


def _blocked_hosts(policy: Policy) -> Iterator[SiteFile]:
    """A policy's own hosts as lists of the days they are blocked on."""
    for one in policy.blocked:
        start = max(filter(None, (policy.effective.start, one.effective.start)), default=None)
        end = min(filter(None, (policy.effective.end, one.effective.end)), default=None)
        if one.hosts and one.effective.meets(policy.effective):
            yield SiteFile(
                version="policy",
                source="policy.yaml",
                effective=Effective.model_validate({"from": start, "to": end}),
                services=[
                    Service(id=h, service=h, category=BLOCKED_HOST, roles={"site": [h]})
                    for h in sorted(one.hosts)
                ],
            )


def _dated(layers: Sequence[Layer]) -> SiteList:
    """The lists of the newest days, which know those of all days before them."""
    starts = {date.min}
    for layer in layers:
        if layer.about.since:
            starts.add(layer.about.since)
        if layer.about.until:
            starts.add(layer.about.until + timedelta(days=1))
    periods = []
    for start in sorted(starts):
        chosen = [one for one in layers if _covers(one.about, start)]
        periods.append(_Period(start, SiteList(chosen, _version(chosen))))
    history = _History(periods)
    for period in periods:
        period.sites._history = history
        for layer in layers:
            for service in layer.services:
                period.sites.services.setdefault(service.id, service)
    return periods[-1].sites


def _covers(about: About, day: date) -> bool:
    return (about.since is None or about.since <= day) and (
        about.until is None or day <= about.until
    )


def _version(layers: Sequence[Layer]) -> str:
    digest = hashlib.sha256("\n".join(layer.identity for layer in layers).encode())
    names = "+".join(layer.about.version for layer in layers)
    return f"{names}#{digest.hexdigest()[:12]}"
