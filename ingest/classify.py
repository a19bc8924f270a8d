"""Host to service, role and category, once per distinct host; what is not named becomes `other`."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from config.sitelist import Service, SiteList

LARGEST = 1_000_000
OTHER = "other"


@dataclass(frozen=True)
class Class:
    """What is stored of a host; without a service: a site outside the policy's categories."""

    host: str = OTHER
    service: str | None = None
    role: str | None = None
    category: str | None = None


UNNAMED = Class()
"""What most hosts are: one object, so that a block's classes are few to fold."""


class Classifier:
    """Answers once per host, and remembers."""

    def __init__(
        self, sites: SiteList, categories: Collection[str], *, other_hosts: bool = False
    ) -> None:
        self._sites = sites
        self._categories = categories
        self._other_hosts = other_hosts
        self._known: dict[str, Class] = {}

    def of(self, host: str) -> Class:
        """The class of a lower-case host name or address."""
        found = self._known.get(host)
        if found is None:
            if len(self._known) > LARGEST:
                self._known.clear()
            found = self._known[host] = self._ask(host)
        return found

    def service(self, id_: str) -> Service:
        """A service by id."""
        return self._sites.services[id_]

    def _ask(self, host: str) -> Class:
        match = self._sites.match(host)
        if match and self._sites.sensitive(host):
            return UNNAMED
        if match and match.service.category in self._categories:
            return Class(host, match.service.id, match.role, match.service.category)
        return Class(host=registrable(host)) if self._other_hosts else UNNAMED


def registrable(host: str) -> str:
    """The registrable domain of a host (`bbc.co.uk` of `www.bbc.co.uk`), or the host itself."""
    return _domains()(host).top_domain_under_public_suffix or host


@cache
def _domains() -> Callable[[str], Any]:
    """The suffix list that comes with the package; nothing is fetched, nothing is written."""
    import tldextract  # here, since it imports an HTTP client, and few sites store other hosts

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


def path_role(path: str, service: Service) -> str:
    """`embed`, `share` or `page`, by the service's paths."""
    if any(p.match(path) for p in _patterns(tuple(service.embed_paths))):
        return "embed"
    if any(p.match(path) for p in _patterns(tuple(service.share_paths))):
        return "share"
    return "page"


@cache
def _patterns(paths: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(_pattern(path) for path in paths)


def _pattern(path: str) -> re.Pattern[str]:
    """Whole segments; a trailing `*` is a plain prefix, `*` elsewhere stands within one segment."""
    prefix = path.endswith("*")
    body = "[^/]*".join(re.escape(piece) for piece in path.removesuffix("*").split("*"))
    return re.compile(body if prefix else f"{body}(?:/|$)")
