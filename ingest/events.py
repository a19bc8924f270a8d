"""Rows of a format into rows of the lake: host and query string go, person and class come."""

import re
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config.method import Method, changes, method_on
from ingest.classify import OTHER, UNNAMED, Class, Classifier
from ingest.formats.arrays import TEXT, codes_of, codes_to_text, constant, encoded, text_of
from ingest.formats.block import Parsed, Reject
from ingest.formats.slashes import Slashed, slashed
from ingest.identity import Identities
from ingest.known_words import known_media_type, known_method
from ingest.leases import NOBODY, Owners
from ingest.paths import LONGEST, ROLES, bare, path_roles
from ingest.persons import Persons
from lake.datasets import EVENTS
from lake.days import day_of, number_of
from subjects import Erased

DAY_MS = 86_400_000
SEARCH = "search"
FEW = 8
"""Words that are looked for one by one: faster than what marks any of many."""

HOST_PORT = re.compile(r"^(?:.*@)?(\[[0-9a-fA-F:.%]+\]|[^:\[\]]*)(?::(\d{1,5}))?$")
SIGNS = string.punctuation + string.whitespace
DOTS = str.maketrans("\u3002\uff0e\uff61", "...")
"""What IDNA takes for a dot."""


@dataclass
class Enriched:
    """Rows of a block by UTC day (days since 1970), and those too old or too new to be kept."""

    days: dict[int, pa.Table] = field(default_factory=dict)
    rows: int = 0
    expired: int = 0
    newest: int = 0
    rejects: list[Reject] = field(default_factory=list)

    def add(self, other: "Enriched") -> None:
        """Take in the rows of other days."""
        self.days.update(other.days)
        self.rows += other.rows
        self.expired += other.expired
        self.newest = max(self.newest, other.newest)
        self.rejects += other.rejects


@dataclass(frozen=True)
class Enricher:
    """What stays the same for a whole run."""

    identities: Identities
    classifier: Classifier
    oldest_day: int  # first day that may be stored (days since 1970)
    latest_ms: int  # events after this are in the future
    buried: frozenset[int]  # days that were purged
    keep_paths: bool = False
    erased: Erased = field(default_factory=Erased)
    _persons: Persons = field(default_factory=Persons)

    def days(self, parsed: Parsed, source: str, file: int, first_line: int) -> Enriched:
        """The rows of a block as tables of EVENTS, one a day, unsorted."""
        rows = parsed.rows
        result = Enriched()
        if not rows.num_rows:
            return result
        time = rows["time"].to_numpy()
        day = time // DAY_MS
        starts = np.union1d(self.classifier.starts, [number_of(d) for d in changes()])
        stretch = np.searchsorted(starts, day, side="right")
        if stretch.min() < stretch.max():
            # Other lists or another method hold for some of these days than for others.
            for one in np.unique(stretch):
                part = Parsed(rows.filter(pa.array(stretch == one)))
                result.add(self.days(part, source, file, first_line))
            return result
        late = time > self.latest_ms
        if late.any():
            numbers = rows["line"].to_numpy()[late]
            result.rejects = [Reject(int(n), "the time lies in the future") for n in numbers]
        columns = self._columns(rows, int(day[0]), source, file, first_line)
        for number in sorted(pc.unique(pa.array(day[~late])).to_pylist()):
            chosen = (day == number) & ~late
            count = int(chosen.sum())
            if number < self.oldest_day or number in self.buried:
                result.expired += count
                continue
            table = columns if count == rows.num_rows else columns.filter(pa.array(chosen))
            table = self.erased.without(self._people(table, number), EVENTS)
            result.expired += count - table.num_rows
            if not table.num_rows:
                continue
            result.days[number] = compact(table)
            result.rows += table.num_rows
            result.newest = max(result.newest, int(time[chosen].max()))
        return result

    def _columns(
        self, rows: pa.Table, day: int, source: str, file: int, first_line: int
    ) -> pa.Table:
        count, classifier = rows.num_rows, self.classifier.on(day)
        method = method_on(day_of(day))
        made: dict[str, Any] = {
            "time": rows["time"].combine_chunks().cast(pa.timestamp("ms", "UTC")),
            "duration_ms": rows["duration_ms"],
            "user": encoded(rows["user"]),
            "identity": constant(None, count),
            "client": self._clients(encoded(rows["client"])),
            "method": text_of(encoded(rows["method"]), known_method),
            "status": rows["status"],
            "verdict": encoded(rows["verdict"]),
            **self._places(classifier, encoded(rows["url"]), encoded(rows["device_category"])),
            "referrer": text_of(
                encoded(rows["referrer"]), lambda r: _referrer(classifier, method, r)
            ),
            "content_type": text_of(encoded(rows["content_type"]), known_media_type),
            "grain": encoded(rows["grain"]),
            "fetch": encoded(rows["fetch"]),
            "fetch_site": encoded(rows["fetch_site"]),
            "bytes_down": rows["bytes_down"],
            "bytes_up": rows["bytes_up"],
            "source": constant(source, count),
            "file": pa.array(np.full(count, file, np.int32)),
            "line": pc.add(rows["line"].combine_chunks(), first_line),
        }
        return pa.table([made[f.name] for f in EVENTS.schema], schema=EVENTS.schema)

    def _places(
        self, classifier: Classifier, url: pa.DictionaryArray, device: pa.DictionaryArray
    ) -> dict[str, pa.Array]:
        """Host, service, role, category, path_role and path from each distinct URL and device's word."""
        cut = slashed(url.dictionary)
        authorities = cut.authorities()
        every, of_url = classifier.of_authorities(authorities, lambda text: host_of(text)[0])
        of_row, said = _witnessed(
            classifier,
            every,
            pa.array(of_url).take(url.indices),
            device,
            lambda rows: authorities.take(url.indices.take(rows)).to_pylist(),
        )
        made = {
            name: codes_to_text(of_row, [getattr(c, name) for c in every])
            for name in ("host", "service", "role", "category")
        }
        named = pc.is_valid(made["service"])
        made["device_category"] = said
        roles, kept = self._paths(classifier, every, of_url, cut)
        made["path_role"] = _where(
            named, pa.DictionaryArray.from_arrays(roles.take(url.indices), ROLES, safe=False)
        )
        made["path"] = (
            constant(None, len(url))
            if kept is None
            else _where(named, codes_to_text(url.indices, kept))
        )
        return made

    def _paths(
        self, classifier: Classifier, classes: list[Class], class_of_url: Any, urls: Slashed
    ) -> tuple[pa.Array, pa.StringArray | None]:
        """path_role, by its place in ROLES, and path (where paths are kept) of each distinct URL of a
        service; null of all others."""
        # A device may name hosts that no list knows: then every path is looked at.
        decides = classifier.device_decides
        named = np.array([decides or c.service is not None for c in classes], bool)
        chosen = np.flatnonzero(named[class_of_url] & urls.schemed)
        paths = bare(urls.paths(chosen))
        used, of = np.unique(class_of_url[chosen], return_inverse=True)
        services = [classifier.service(classes[n].service or "") for n in used.tolist()]
        roles = path_roles(paths, of, services)
        at = np.full(len(urls), -1)
        at[chosen] = np.arange(len(chosen))
        spread = pa.array(at, mask=at < 0)
        kept = pc.utf8_slice_codeunits(paths, 0, LONGEST) if self.keep_paths else None
        return pa.array(roles).take(spread), None if kept is None else kept.take(spread)

    def _person(
        self, user: str | None, client: str | None, owners: Owners, day: int
    ) -> tuple[str | None, str]:
        """Person and grade; a name in the log that is a sensitive host or a URL is nobody's name."""
        person, grade = self.identities.of(user, client, day, owners)
        if grade == "unlisted" and user and self._is_place(user):
            person, grade = self.identities.of(None, client, day)
        return person, grade

    def _clients(self, clients: pa.DictionaryArray) -> pa.DictionaryArray:
        """Addresses; what is a name may be a sensitive host's."""
        # Only what is more than figures is looked at one by one.
        named = pc.match_substring_regex(clients.dictionary, r"[^0-9A-Fa-f.:]")
        return text_of(clients, self._client) if pc.any(named).as_py() else clients

    def _client(self, client: str) -> str | None:
        return None if self._is_place(client) else client

    def _is_place(self, text: str) -> bool:
        """Whether a name is a URL, or a sensitive host, however it is spelled and with signs round it."""
        if "@" in text:
            return "://" in text
        name = text.translate(DOTS).lower().strip(SIGNS).partition(":")[0].rstrip(SIGNS)
        return "://" in text or ("." in name and self.classifier.sensitive(name))

    def _people(self, table: pa.Table, day: int) -> pa.Table:
        """Persons and grades from each distinct log user, address and owners of the address."""
        user, client = encoded(table["user"]), encoded(table["client"])
        nowhere = len(client.dictionary)
        login, address = codes_of(user), codes_of(client)
        combined = pc.add(pc.multiply(login, nowhere + 1), address)
        sets: list[Owners] = [NOBODY]
        if self.identities.leases:
            said = [*map(bool, user.dictionary.to_pylist()), False]
            owners = self._owners(
                table,
                address,
                [*client.dictionary.to_pylist(), None],
                ~np.array(said)[login.to_numpy()],
            )
            sets = self.identities.leases.sets[: int(owners.max(initial=0)) + 1]
            combined = pc.add(pc.multiply(combined, len(sets)), pa.array(owners))
        distinct = combined.dictionary_encode()
        who, owner = np.divmod(distinct.dictionary.to_numpy(), len(sets))
        at = (*np.divmod(who, nowhere + 1), owner)
        found = self._persons.of(
            (user.dictionary, client.dictionary, sets),
            at,
            day,
            lambda user, client, owners: self._person(user, client, owners, day),
        )
        for name, words in zip(("user", "identity"), found, strict=True):
            column = codes_to_text(distinct.indices, words)
            table = table.set_column(table.column_names.index(name), name, column)
        return table

    def _owners(
        self, table: pa.Table, number: pa.Array, clients: list[str | None], bare: Any
    ) -> Any:
        """Who was behind each row's address, from the request's beginning to its end.

        Only rows without a login (`bare`) ask: the others keep number 0 and stay one pair.
        """
        found = np.zeros(table.num_rows, np.int64)
        times = table["time"].cast(pa.int64()).to_numpy()[bare]
        length = pc.max_element_wise(pc.fill_null(table["duration_ms"], 0), 0).to_numpy()[bare]
        codes = number.to_numpy()[bare]
        found[bare] = self.identities.owners(clients, codes, times, times - length)
        return found


def _referrer(classifier: Classifier, method: Method, referrer: str) -> str | None:
    match = re.match(r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//([^/?#]*)", referrer)
    host = host_of(match[1])[0] if match else None
    if not host:
        return None
    service = classifier.of(host).service
    # A search engine's results are links: what comes from there was clicked on.
    return service or (SEARCH if method.is_search_engine(host) else OTHER)


def _witnessed(
    classifier: Classifier,
    classes: list[Class],
    of_row: pa.Array,
    device: pa.DictionaryArray,
    authorities: Callable[[pa.Array], list[str]],
) -> tuple[pa.Array, pa.DictionaryArray]:
    """(class of each row, the device's word as our category), once the device was heard.

    A row whose device calls it sensitive is stored as `other` and its word is dropped. Where the site
    lets the device decide, `classes` grows by those of hosts that no list knows.
    """
    words = [classifier.device(word or "") for word in device.dictionary.to_pylist()]
    if not words:
        return of_row, constant(None, len(device))
    said = codes_to_text(device.indices, [w.category for w in words])
    word = pc.fill_null(device.indices, -1).to_numpy()
    codes = of_row.to_numpy().copy()
    if classifier.device_decides:
        unnamed = [n for n, c in enumerate(classes) if c.service is None]
        ours = [n for n, w in enumerate(words) if w.category not in (None, OTHER)]
        rows = np.flatnonzero(np.isin(codes, unnamed) & np.isin(word, ours))
        made: dict[Class, int] = {}
        for row, authority in zip(rows.tolist(), authorities(pa.array(rows)), strict=True):
            category = words[int(word[row])].category or ""
            one = classifier.by_device(host_of(authority)[0] or "", category)
            codes[row] = made.setdefault(one, len(classes) + len(made))
        classes += made
    hidden = np.isin(word, [n for n, w in enumerate(words) if w.sensitive])
    if hidden.any():
        codes[hidden] = len(classes)
        classes.append(UNNAMED)
    return pa.array(codes), said


def _where(named: pa.Array, column: pa.DictionaryArray) -> pa.DictionaryArray:
    """The column, null in all rows of hosts that are not named."""
    shown = pc.if_else(named, column.indices, pa.scalar(None, pa.int32()))
    return pa.DictionaryArray.from_arrays(shown, column.dictionary, safe=False)


def compact(table: pa.Table) -> pa.Table:
    """The table without dictionary entries no row uses: Parquet would write them all the same.

    Rows too old, of other days, or hidden would leave their words behind.
    """
    for at, name in enumerate(table.column_names):
        if not pa.types.is_dictionary(table.schema.field(at).type):
            continue
        column = encoded(table[name])
        if not len(column.dictionary):
            continue
        used = _used(column)
        if not used.all():
            words = pc.if_else(pa.array(used), column.dictionary, pa.scalar(None, pa.string()))
            table = table.set_column(at, name, codes_to_text(column.indices, words))
    return table


def _used(column: pa.DictionaryArray) -> Any:
    """Which words of its dictionary a column has in a row."""
    indices = column.indices.drop_null() if column.indices.null_count else column.indices
    codes, count = indices.to_numpy(), len(column.dictionary)
    if count <= FEW:
        return np.array([(codes == word).any() for word in range(count)])
    used = np.zeros(count, bool)
    used[codes] = True
    return used


def host_of(authority: str) -> tuple[str | None, int | None]:
    """(lower-case host, port) of an authority; no host where it has none."""
    match = HOST_PORT.match(authority)
    if not match or not match[1]:
        return None, None
    host = match[1].strip("[]").rstrip(".").lower()
    return host or None, int(match[2]) if match[2] else None


__all__ = ["TEXT", "Enriched", "Enricher", "host_of"]
