"""A day's lines, read once: what its questions need of them, small enough to be held.

Most lines are of sites outside the policy's categories. Of these the questions ask only when a page was
loaded, how many there were, and how evenly they came: that much is counted here, a batch at a time and on
numbers (what a word means is asked once per distinct word). Lines of listed and of blocked services are
kept whole, for SQL.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.batches import Ints, Mask, Rows, milliseconds, spread
from analytics.engine import Engine
from lake.datasets import INSTANT
from lake.write import instant

READ = (
    *("time", "duration_ms", "user", "identity", "client", "method", "status", "verdict", "host"),
    *("service", "role", "category", "path_role", "referrer", "content_type", "grain", "fetch"),
    *("bytes_down", "source", "file", "line"),
)
"""Columns of events that `sift` takes."""

NEAR = ("time", "duration_ms", "user", "verdict", "role", "service")
"""Columns of events that `followed` takes."""

LONGEST = 86_400_000
"""A connection open for more than a day (ms) tells nothing of when it was used."""

QUARTER = 15 * 60_000
SLOT = 2000
"""Milliseconds within which a tunnel is taken for a part of another site's page (slots.sql)."""

REASONS = ("D1", "N1", "N2", "N0")
"""Rules of lines outside the policy's categories: a contact, refused, nobody's, or just that."""

PAGES = frozenset(["text/html", "application/xhtml+xml"])
NO_SERVICE = frozenset([None, "other", "search"])
"""Referrers that are no listed service."""

WORDS = {
    "role_word": ("site", "asset", "api", "embed"),
    "kind_word": ("page", "frame", "share", "flow", "empty", "tunnel"),
    "came_word": ("person", "shim", "none", "own", "search", "other", "unsaid"),
}
"""Words of lines.sql that are known beforehand."""

TEXT = pa.string()
PERSONS = pa.schema([("user", TEXT), ("person", pa.int32()), ("identity", TEXT)])
REST = pa.schema([("user", TEXT), ("rule", TEXT), ("lines", pa.int64())])
RHYTHM = pa.schema([("source", TEXT), ("start", INSTANT), ("lines", pa.int64())])
FOLLOWED = pa.schema([("person", pa.int32()), ("service", TEXT), ("start", pa.int64())])
SECONDS = pa.schema(
    [
        ("person", pa.int32()),
        ("seen", pa.int64()),  # start of its first line (ms)
        ("last", pa.int64()),  # and of its last
        ("lines", pa.int32()),
        ("tunnel", pa.bool_()),  # all of them are connections
        ("bytes", pa.int64()),
        ("brought", pa.bool_()),  # the first comes from a listed service
    ]
)


@dataclass(frozen=True)
class Sought:
    """Which lines a day asks for: its bounds, and which are kept whole.

    `since`: from when lines may reach into the day; `first` to before `last`: the local day (all UTC).
    """

    since: datetime
    first: datetime
    last: datetime
    categories: frozenset[str]
    blocked_services: frozenset[str] = frozenset()
    blocked_categories: frozenset[str] = frozenset()


def sift(engine: Engine, batches: Iterable[pa.RecordBatch], sought: Sought) -> "People":
    """Make the tables `listed`, `seconds`, `rest`, `rhythm` and `persons` of batches of READ.

    `listed`: lines of listed and of blocked services, with a number for the person's name (null:
    nobody's); `seconds`: pages of other sites, a row a person and second of a batch; `rest`: the number
    of lines outside the policy's categories; `rhythm`: of all lines, by source and quarter of an hour.
    """
    sifting = _Sifting(engine, sought)
    for batch in batches:
        sifting.take(batch)
    sifting.finish()
    return sifting.people


def followed(
    engine: Engine, batches: Iterable[pa.RecordBatch], people: "People", slots: pa.Table
) -> None:
    """Make the table `followed`: lines (of NEAR) that began in these slots of (person, slot).

    A few others are among them; what asks compares the instants themselves.
    """
    rows = Rows(engine, "followed", FOLLOWED)
    near = _Near(slots["person"].to_numpy(), slots["slot"].to_numpy())
    for batch in batches:
        person = people.of(batch["user"])
        length = pc.fill_null(batch["duration_ms"], 0).to_numpy()
        start = milliseconds(batch["time"]) - np.maximum(length, 0)
        at = np.flatnonzero(near.among(person, start // SLOT))
        few = batch.take(pa.array(at))
        at = at[
            spread(few["verdict"], lambda word: word == "allowed")
            & spread(few["role"], lambda word: word in (None, "site"))
        ]
        service = batch["service"].take(pa.array(at)).cast(TEXT)
        rows.add(pa.table([person[at], service, start[at]], schema=FOLLOWED))
    rows.finish()


def since_of(slots: pa.Table) -> datetime:
    """The instant at which the first of the slots begins; the end of all time without any."""
    first = pc.min(slots["slot"]).as_py()
    return datetime.max.replace(tzinfo=UTC) if first is None else instant(first * SLOT)


class People:
    """A number for each person of a day: numbers are compared several times faster than names."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._known: dict[str, Mask] = {}  # by grade: whose lines have it

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def names(self) -> list[str | None]:
        """By number; after the last, nobody."""
        return [*self._numbers, None]

    def of(self, users: pa.DictionaryArray) -> Ints:
        """The number of each row's person; -1 where it is nobody's."""
        numbers = self._numbers
        found = spread(users, lambda u: -1 if u is None else numbers.setdefault(u, len(numbers)))
        numbered: Ints = found.astype(np.int32)
        return numbered

    def note(self, person: Ints, identity: pa.DictionaryArray) -> None:
        """How the persons of these rows were known."""
        grades = {word: n for n, word in enumerate(pc.unique(identity.dictionary).to_pylist())}
        grade = spread(identity, lambda word: grades.get(word, -1))
        for word, number in grades.items():
            seen = self._known.get(word, np.zeros(0, bool))
            seen = np.append(seen, np.zeros(len(self) + 1 - len(seen), bool))
            seen[person[grade == number]] = True
            self._known[word] = np.append(seen[:-1], False)  # the last place was nobody's

    def table(self) -> pa.Table:
        """Name, number, and the first of the grades by name."""
        identity = np.full(len(self), None, object)
        for word in sorted(self._known, reverse=True):
            identity[np.flatnonzero(self._known[word])] = word
        numbers = np.arange(len(self), dtype=np.int32)
        return pa.table([[*self._numbers], numbers, pa.array(identity, TEXT)], schema=PERSONS)


class _Sifting:
    """What was found so far."""

    def __init__(self, engine: Engine, sought: Sought) -> None:
        self._engine, self._sought = engine, sought
        instants = (sought.since, sought.first, sought.last)
        self._since, self._first, self._last = (int(i.timestamp() * 1000) for i in instants)
        self.people = People()
        self._sources: dict[str | None, int] = {}
        self._services: set[str] = set()
        self._rest = np.zeros(0, np.int64)  # by person + 1 and reason
        self._rhythm = np.zeros(0, np.int64)  # by source and quarter
        self._quarters = (self._last - 1) // QUARTER - self._first // QUARTER + 1
        kinds = {"file": pa.int32(), "status": pa.int16(), "time": INSTANT, "person": pa.int32()}
        kinds |= dict.fromkeys(("duration_ms", "bytes_down", "line"), pa.int64())
        self._columns = [name for name in READ if name != "user"]
        listed = [(name, kinds.get(name, TEXT)) for name in ("person", *self._columns)]
        self._listed = Rows(engine, "listed", pa.schema(listed))
        self._seconds = Rows(engine, "seconds", SECONDS)

    def take(self, batch: pa.RecordBatch) -> None:
        """Count and keep what matters of a batch."""
        time = milliseconds(batch["time"])
        length = pc.fill_null(batch["duration_ms"], 0).to_numpy()
        start = time - np.where((length >= 0) & (length <= LONGEST), length, 0)
        person = self.people.of(batch["user"])
        self.people.note(person, batch["identity"])
        social = spread(batch["category"], self._sought.categories.__contains__)
        self._keep(batch, person, social)
        self._beat(batch["source"], time)
        grain = batch["grain"]
        allowed = spread(batch["verdict"], lambda word: word == "allowed")
        self._count(batch, person, start, social)
        tunnel = spread(grain, lambda word: word == "tunnel")
        seen = ~social & allowed & (person >= 0) & (tunnel | self._pages(batch))
        seen &= (start >= self._since) & (start < self._last)
        self._look(batch, np.flatnonzero(seen), person, start, tunnel)

    def finish(self) -> None:
        """Hand over what is still held, and what was counted."""
        self._listed.finish()
        self._seconds.finish()
        names, rest = self.people.names, np.flatnonzero(self._rest)
        users = [names[n // len(REASONS) - 1] for n in rest]
        rules = [REASONS[n % len(REASONS)] for n in rest]
        self._engine.table("rest", pa.table([users, rules, self._rest[rest]], schema=REST))
        sources, beats = [*self._sources], np.flatnonzero(self._rhythm)
        start = (beats % self._quarters + self._first // QUARTER) * QUARTER
        rhythm = [
            [sources[n // self._quarters] for n in beats],
            pa.array(start, pa.int64()).cast(INSTANT),
            self._rhythm[beats],
        ]
        self._engine.table("rhythm", pa.table(rhythm, schema=RHYTHM))
        self._engine.table("persons", self.people.table())
        for name, words in WORDS.items():
            self._engine.words(name, words)
        self._engine.words("service_word", self._services)
        self._engine.words("category_word", self._sought.categories)

    def _keep(self, batch: pa.RecordBatch, person: Ints, social: Mask) -> None:
        sought = self._sought
        kept = social | spread(batch["service"], sought.blocked_services.__contains__)
        kept |= spread(batch["category"], sought.blocked_categories.__contains__)
        at = np.flatnonzero(kept)
        rows = batch.select(self._columns).take(pa.array(at))
        whose = pa.array(person[at], mask=person[at] < 0)
        columns = [whose, *(column for column in rows.columns)]
        self._services |= {*rows["service"].unique().to_pylist()} - {None}
        self._listed.add(pa.table(columns, names=["person", *self._columns]))

    def _beat(self, sources: pa.DictionaryArray, time: Ints) -> None:
        known = self._sources
        source = spread(sources, lambda word: known.setdefault(word, len(known)))
        within = (time >= self._first) & (time < self._last)
        quarter = time // QUARTER - self._first // QUARTER
        found = source[within] * self._quarters + quarter[within]
        self._rhythm = _added(self._rhythm, np.bincount(found))

    def _count(self, batch: pa.RecordBatch, person: Ints, start: Ints, social: Mask) -> None:
        reason = np.where(person < 0, REASONS.index("N2"), REASONS.index("N0"))
        refused = spread(batch["verdict"], lambda word: word not in (None, "allowed"))
        reason[refused] = REASONS.index("N1")
        reason[spread(batch["grain"], lambda word: word == "contact")] = REASONS.index("D1")
        within = ~social & (start >= self._first) & (start < self._last)
        found = (person[within] + 1) * np.int64(len(REASONS)) + reason[within]
        self._rest = _added(self._rest, np.bincount(found))

    @staticmethod
    def _pages(batch: pa.RecordBatch) -> Mask:
        status = pc.fill_null(batch["status"], 200).to_numpy()
        found: Mask = spread(batch["content_type"], PAGES.__contains__)
        found &= spread(batch["grain"], lambda word: word == "page")
        found &= spread(batch["method"], lambda word: word == "GET")
        found &= (status >= 200) & (status < 300)
        return found

    def _look(
        self, batch: pa.RecordBatch, at: Ints, person: Ints, start: Ints, tunnel: Mask
    ) -> None:
        """Pages of other sites by person and second; the first line says where it comes from."""
        if not len(at):
            return
        brought = spread(batch["referrer"], lambda word: word not in NO_SERVICE)[at]
        # One number to sort by: person, instant, and of two in one instant the one not brought first.
        since = (start[at] - self._since) * 2 + brought
        order = np.argsort(person[at].astype(np.int64) * (1 << 30) + since, kind="stable")
        person, start, brought = person[at][order], start[at][order], brought[order]
        begins = (person[1:] != person[:-1]) | (start[1:] // 1000 != start[:-1] // 1000)
        first = np.flatnonzero(np.append(True, begins))
        last = np.append(first[1:], len(order)) - 1
        carried = pc.fill_null(batch["bytes_down"], 0).to_numpy()[at][order]
        columns = [
            person[first],
            start[first],
            start[last],
            (last - first + 1).astype(np.int32),
            np.logical_and.reduceat(tunnel[at][order], first),
            np.add.reduceat(carried, first),
            brought[first],
        ]
        self._seconds.add(pa.table(columns, schema=SECONDS))


class _Near:
    """Which of many pairs of numbers are among a few: a look into a small table says nearly always."""

    def __init__(self, first: Ints, second: Ints) -> None:
        self._marks = np.zeros(1 << 20, bool)
        self._marks[self._place(first, second)] = True

    def among(self, first: Ints, second: Ints) -> Mask:
        """Of pairs that are among them always true, of others nearly never."""
        return self._marks[self._place(first, second)]

    def _place(self, first: Ints, second: Ints) -> Ints:
        mixed = first.astype(np.int64) * 0x9E3779B1 + second.astype(np.int64) * 0x85EBCA6B
        return (mixed ^ (mixed >> 15)) & (len(self._marks) - 1)


def _added(sums: Ints, more: Ints) -> Ints:
    """Sums by place, as many as either has."""
    longer, shorter = (sums, more) if len(sums) >= len(more) else (more, sums)
    longer[: len(shorter)] += shorter
    return longer
