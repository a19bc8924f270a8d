"""Site lists: which host belongs to which service, in which role and category."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from config.document import read
from config.policy import BLOCKED_HOST, Policy

Role = Literal["site", "asset", "api", "embed"]
SENSITIVE = frozenset({"health", "faith", "union", "sexuality", "politics"})
"""Categories that are never named anywhere, whatever a policy or a list says."""


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
    """A site list as it stands in a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    source: str
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
        return self.service.sensitive or self.service.category in SENSITIVE


class SiteList:
    """Longest suffix on a label boundary; earlier layers win over later ones."""

    def __init__(self, layers: Iterable[SiteFile], version: str) -> None:
        self.version = version
        self.services: dict[str, Service] = {}
        self._layers: list[dict[str, Match]] = []
        for layer in layers:
            hosts: dict[str, Match] = {}
            for service in layer.services:
                self.services.setdefault(service.id, service)
                for role, names in service.roles.items():
                    for name in names:
                        hosts.setdefault(name.lower().strip("."), Match(service, role, name))
            self._layers.append(hosts)

    def match(self, host: str) -> Match | None:
        """The service a host name belongs to, or None.

        The customer's layer wins as a whole: its shortest suffix beats a longer shipped one.
        """
        return next(self._matches(host), None)

    def sensitive(self, host: str) -> bool:
        """Whether any list says that the host must never be named: there the other lists give way."""
        return any(m.sensitive for m in self._matches(host))

    def _matches(self, host: str) -> Iterator[Match]:
        """The longest suffix in each layer that knows the host."""
        labels = host.lower().strip(".").split(".")
        suffixes = [".".join(labels[i:]) for i in range(len(labels))]
        for layer in self._layers:
            if found := next((layer[s] for s in suffixes if s in layer), None):
                yield found

    def name(self, service: str) -> str:
        """The display name of a service id."""
        known = self.services.get(service)
        return known.service if known else service


@cache
def shipped() -> SiteFile:
    """The list that comes with Fairwatch."""
    return read(Path(str(files("config"))) / "sites" / "services.yaml", SiteFile)


def site_list(own: list[Path], policies: list[Policy]) -> SiteList:
    """The customer's own lists, then the policy's block list, then the shipped one."""
    hosts = sorted({host for policy in policies for host in policy.blocked.hosts})
    blocked = SiteFile(
        version="policy",
        source="policy.yaml",
        services=[
            Service(id=h, service=h, category=BLOCKED_HOST, roles={"site": [h]}) for h in hosts
        ],
    )
    layers = [*(read(path, SiteFile) for path in own), blocked, shipped()]
    digest = hashlib.sha256("".join(layer.model_dump_json() for layer in layers).encode())
    names = "+".join(layer.version for layer in layers if layer.services)
    return SiteList(layers, f"{names}#{digest.hexdigest()[:12]}")
