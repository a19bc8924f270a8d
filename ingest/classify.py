"""Host to service, role and category, once per distinct host; what is not named becomes `other`."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from config.lists.device import OTHER as NO_CATEGORY
from config.lists.device import Told, told
from config.lists.hosts import is_plain, registrable
from config.sitelist import Judged, Service, SiteList
from ingest.texts import Texts
from lake.days import number_of

LARGEST = 1_000_000
OTHER = "other"

IntArray = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True)
class Class:
    """What is stored of a host; without a service: a site outside the policy's categories."""

    host: str = OTHER
    service: str | None = None
    role: str | None = None
    category: str | None = None


UNNAMED = Class()
"""What most hosts are."""


@dataclass
class _Seen:
    """Authorities and the places of their classes, of which each stands in the list once."""

    texts: Texts = field(default_factory=Texts)
    places: IntArray = field(default_factory=lambda: np.zeros(0, np.int32))  # by number of the text
    classes: list[Class] = field(default_factory=list)
    _numbers: dict[Class, int] = field(default_factory=dict)

    def of(self, authorities: pa.StringArray) -> IntArray:
        """The place of the class of each authority, -1 where it was never added."""
        numbers = self.texts.of(authorities)
        return np.append(self.places, -1)[numbers] if len(self.places) else numbers

    def place(self, found: Class) -> int:
        """Where a class stands."""
        place = self._numbers.setdefault(found, len(self.classes))
        if place == len(self.classes):
            self.classes.append(found)
        return place

    def add(self, authorities: pa.StringArray, places: Sequence[int]) -> None:
        """Remember the classes of distinct authorities that are not known."""
        self.places = np.append(self.places, np.array(places, np.int32))
        self.texts.add(authorities)


class Classifier:
    """Answers once per host and stretch of days with the same lists, and remembers."""

    def __init__(
        self,
        sites: SiteList,
        categories: Collection[str],
        *,
        other_hosts: bool = False,
        device_decides: bool = False,
    ) -> None:
        self._sites = sites
        self._categories = categories
        self._other_hosts = other_hosts
        self.device_decides = device_decides
        self._known: dict[str, Class] = {}
        self._seen = _Seen()
        self._lock = Lock()
        self._others: dict[date, Classifier] = {}
        self.starts = np.array([number_of(day) for day in sites.starts], np.int64)

    def on(self, day: int) -> "Classifier":
        """The classifier with the lists in force on a day (days since 1970)."""
        if not len(self.starts):
            return self
        starts = [date.min, *self._sites.starts]
        start = starts[int(np.searchsorted(self.starts, day, side="right"))]
        if start not in self._others:
            self._others[start] = Classifier(
                self._sites.on(start),
                self._categories,
                other_hosts=self._other_hosts,
                device_decides=self.device_decides,
            )
        return self._others[start]

    def of(self, host: str) -> Class:
        """The class of a lower-case host name or address."""
        found = self._known.get(host)
        if found is None:
            if len(self._known) > LARGEST:
                self._known.clear()
            found = self._known[host] = self._ask(host)
        return found

    def of_authorities(
        self, authorities: pa.StringArray, host_of: Callable[[str], str | None]
    ) -> tuple[list[Class], IntArray]:
        """The classes of URLs' authorities, each once, and for each authority which of them it has.

        They are remembered: most come again in every block.
        """
        seen = self._seen
        places = seen.of(authorities)
        fresh = np.flatnonzero(places < 0)
        if len(fresh):
            with self._lock:
                places[fresh] = self._learnt(seen, authorities.take(pa.array(fresh)), host_of)
                if len(seen.texts) > LARGEST:
                    self._seen = _Seen()
        return _folded(seen.classes, places)

    def _learnt(
        self, seen: _Seen, authorities: pa.StringArray, host_of: Callable[[str], str | None]
    ) -> IntArray:
        """The places of authorities' classes, which are remembered from now on."""
        distinct = authorities.dictionary_encode()
        found = [self.of(host_of(text) or "") for text in distinct.dictionary.to_pylist()]
        places = np.array([*map(seen.place, found)], np.int32)
        # Another thread may have met some of them meanwhile.
        unknown = seen.of(distinct.dictionary) < 0
        new = np.flatnonzero(unknown & seen.texts.fits(distinct.dictionary))
        seen.add(distinct.dictionary.take(pa.array(new)), places[new].tolist())
        learnt: IntArray = places[distinct.indices.to_numpy()]
        return learnt

    def sensitive(self, host: str) -> bool:
        """Whether a host must never be named."""
        return self._sites.sensitive(host)

    def service(self, id_: str) -> Service:
        """A service by id."""
        return self._sites.service(id_)

    def device(self, word: str) -> Told:
        """What a device's own category says: a category the policy names, `other`, or nothing."""
        found = told(word)
        if found.category is None or found.category in self._categories:
            return found
        return Told(NO_CATEGORY)

    def by_device(self, host: str, category: str) -> Class:
        """The class of a host no list gives a category, where the device's word is to decide."""
        judged = self._sites.judged(host)
        if not is_plain(judged.host) or judged.winner or judged.sensitive:
            return self.of(host)
        return Class(judged.host, registrable(judged.host), "site", category)

    def _ask(self, host: str) -> Class:
        return self.stored(self._sites.judged(host))

    def stored(self, judged: Judged) -> Class:
        """What is stored of a host of which the lists say so."""
        if judged.sensitive:
            return UNNAMED
        if judged.match and judged.match.service.category in self._categories:
            match = judged.match
            host = judged.host if is_plain(judged.host) else match.suffix
            return Class(host, match.service.id, match.role, match.service.category)
        # A spelling no list knows (`%2e`, a quote, a second `@`) may be a sensitive host's.
        shown = self._other_hosts and is_plain(judged.host)
        return Class(host=registrable(judged.host)) if shown else UNNAMED


def _folded(classes: Sequence[Class], places: IntArray) -> tuple[list[Class], IntArray]:
    """The classes at these places, each once, and for each place which of them it has."""
    used = np.zeros(len(classes), bool)
    used[places] = True
    found: IntArray = (np.cumsum(used) - 1)[places]
    return [classes[n] for n in np.flatnonzero(used).tolist()], found
