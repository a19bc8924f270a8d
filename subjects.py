"""Whose rows: one person's in a period, wherever partitions hold them."""

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Connection, Table, select

from config.hours import day_bounds
from config.logins import normalised
from config.people import Person
from errors import NoSuchThing, NotPermitted, WrongUsage
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import PERSONAL, Dataset
from state.tables import ASIDE, CASE, FINDING, REVIEW, RIGHTS
from workspace import Workspace

CHECKED = {CASE: ("first_day", "last_day"), FINDING: ("first_day", "last_day"), REVIEW: ("first_day", "first_day")}  # fmt: skip
"""State tables that tell of a person, and their first and last day."""
KEPT = ("live", "restricted")
"""States of partitions whose rows are the person's own data; a hold's copies are the owner's."""


@dataclass(frozen=True)
class Span:
    """One person's rows of local days `first` to `last`; `start` and `end` are their bounds in UTC."""

    person: str
    first: date
    last: date
    start: datetime
    end: datetime

    @classmethod
    def of(cls, ws: Workspace, person: str, first: date, last: date) -> "Span":
        """Raises WrongUsage for days out of order."""
        if last < first:
            raise WrongUsage(f"--to: found {last}, before --from {first}.")
        zone = ws.settings.zone
        return cls(person, first, last, day_bounds(first, zone)[0], day_bounds(last, zone)[1])

    @classmethod
    def named(cls, ws: Workspace, person: str, first: str, last: str) -> "Span":
        """From ISO days, as the state's tables have them."""
        return cls.of(ws, person, date.fromisoformat(first), date.fromisoformat(last))

    def days(self, dataset: Dataset) -> list[date]:
        """Days whose partitions may hold such rows; a sign may stand with the day after its own."""
        if dataset.day == "utc":
            first, last = self.start.date(), (self.end - timedelta(microseconds=1)).date()
        else:
            first, last = self.first - timedelta(days=1), self.last + timedelta(days=1)
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]

    def mask(self, table: pa.Table, dataset: Dataset) -> pa.ChunkedArray:
        """Which rows are this person's in this period; never null."""
        clock = table[dataset.clock]
        low, high = (
            (self.first, self.last + timedelta(days=1))
            if pa.types.is_date(clock.type)
            else (self.start, self.end)
        )
        mine = pc.equal(table["user"].cast(pa.string()), self.person)
        after = pc.greater_equal(clock, pa.scalar(low, clock.type))
        before = pc.less(clock, pa.scalar(high, clock.type))
        return pc.fill_null(pc.and_(mine, pc.and_(after, before)), False)


def digest_of(user: str, salt: str) -> str:
    """What is left of an erased person's name: HMAC-SHA256 under a salt (hexadecimal) of its own."""
    return hmac.new(bytes.fromhex(salt), user.encode(), hashlib.sha256).hexdigest()


@dataclass
class Erased:
    """Erased people's periods, each with what their name is told by, and restricted people's.

    A log that comes late, or twice, does not bring the erased back; nor does a line of another day that
    reaches into theirs, or into one that is kept apart.
    """

    spans: list[tuple[str, str, Span]] = field(default_factory=list)  # salt, digest
    restricted: list[Span] = field(default_factory=list)
    known: Callable[[str], Person | None] = lambda _: None
    _names: dict[tuple[str, str], bool] = field(default_factory=dict)

    @classmethod
    def of(cls, ws: Workspace, *, restricted: bool = False) -> "Erased":
        """Those whose days may still be written to; `restricted`: what is kept apart is not made again.

        (Lines that come late under a restriction are stored, and kept apart by the night.)
        """
        with ws.state.read() as connection:
            every = connection.execute(select(RIGHTS)).all()
        rows = [r for r in every if r.deed == "erasure"]
        apart = [r for r in every if r.deed == "restriction" and r.state in ("done", "under way")]
        spans = [
            (r.salt, r.digest, Span.named(ws, "", r.first_day, r.last_day))
            for r in rows
            if r.salt and r.digest
        ]
        kept = [Span.named(ws, r.person, r.first_day, r.last_day) for r in apart if restricted]
        return cls(spans, kept, ws.people.login)

    def without(self, table: pa.Table, dataset: Dataset) -> pa.Table:
        """Rows that may be stored."""
        for span in self.restricted:
            table = chosen(table, pc.invert(span.mask(table, dataset)))
        if not self.spans:
            return table
        for user in pc.unique(table["user"].cast(pa.string())).to_pylist():
            for salt, digest, span in self.spans:
                if user is not None and self._is(user, salt, digest):
                    mine = replace(span, person=user).mask(table, dataset)
                    table = chosen(table, pc.invert(mine))
        return table

    def _is(self, user: str, salt: str, digest: str) -> bool:
        key = (user, salt)
        found = self._names.get(key)
        if found is None:
            found = any(digest_of(name, salt) == digest for name in self._forms(user))
            if len(self._names) > 1_000_000:
                self._names.clear()
            self._names[key] = found
        return found

    def _forms(self, user: str) -> set[str]:
        """What a line's name may have been stored as: who left people.csv comes back as the log says it."""
        if self.known(user) is not None:
            return {user}
        return {user, user.casefold(), normalised(user).account}


def whom(ws: Workspace, text: str) -> str:
    """The name a person's rows are stored under. Raises NoSuchThing.

    Somebody who has left people.csv is known by the rows that are left.
    """
    known = ws.people.login(text)
    if known is not None:
        return known.user
    with ws.state.read() as connection:
        parts = [
            p for d in PERSONAL for s in KEPT for p in catalogue.parts(connection, d.name, state=s)
        ]
    for part in parts:
        with ws.keys.open(ws.folder / part.path) as file:
            for group in range(file.num_row_groups):
                if _may_name(file, group, text) and text in _users(file, group):
                    return text
    raise NoSuchThing(
        f"{text!r} is not in {ws.settings.people}, and no row is stored under that name. Give the name "
        f"of the column `user`; `fairwatch who` finds it."
    )


def name_of(text: str, option: str) -> str:
    """A person's name as it was typed, in plain letters; raises WrongUsage."""
    # What looks the same is the same: one form of accents, no invisible characters.
    plain = unicodedata.normalize("NFKC", text)
    name = " ".join("".join(c for c in plain if c.isprintable() or c.isspace()).split())
    if len(name) < 2:
        raise WrongUsage(f"{option}: found {text!r}; expected the name of the person who acts.")
    return name


def same_person(ws: Workspace, one: str, other: str) -> bool:
    """Whether two names are one person: as written, or by the list of people."""
    return bool(_names(ws, one) & _names(ws, other))


def _names(ws: Workspace, name: str) -> set[str]:
    """A name, and what else the person of that user, name or e-mail goes by."""
    known = {name.casefold()}
    for row in ws.people.rows:
        others = {" ".join(t.split()).casefold() for t in (row.user, row.name, row.email) if t}
        if name.casefold() in others:
            known |= others
    return known


def refuse_self(ws: Workspace, person: str, name: str, option: str) -> str:
    """The name of somebody who acts on a person's data, and is not that person. Raises NotPermitted."""
    acts = name_of(name, option)
    if same_person(ws, acts, person):
        raise NotPermitted(
            f"{option}: nobody decides about their own data; it is about {person!r}."
        )
    return acts


def everything(ws: Workspace, person: str, now: datetime) -> Span:
    """The whole of a person's time that anything is kept of."""
    today = now.astimezone(ws.settings.zone).date()
    with ws.state.read() as connection:
        parts = [
            p for d in PERSONAL for s in KEPT for p in catalogue.parts(connection, d.name, state=s)
        ]
    days = [date.fromisoformat(p.day) for p in parts]
    first = min(days, default=today) - timedelta(days=1)
    return Span.of(ws, person, first, max([today, *days]))


def sources(connection: Connection, dataset: Dataset, day: date, *states: str) -> list[Part]:
    """Partitions of one day in these states, by path."""
    return [p for s in states for p in catalogue.parts(connection, dataset.name, [day], state=s)]


def rows(ws: Workspace, part: Part, dataset: Dataset, span: Span) -> Iterator[pa.Table]:
    """The span's rows of a partition, one row group at a time; groups without any are left out."""
    with ws.keys.open(ws.folder / part.path) as file:
        for group in range(file.num_row_groups):
            if _may_name(file, group, span.person):
                table = dataset.whole(file.read_row_group(group, use_threads=False))
                mine = chosen(table, span.mask(table, dataset))
                if mine.num_rows:
                    yield mine


def chosen(table: pa.Table, mask: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The rows of a mask, without words only other rows use: Parquet would write them all the same."""
    table = table.filter(mask)
    for at, name in enumerate(table.schema.names):
        if pa.types.is_dictionary(table.schema.field(at).type):
            column = table[name].cast(pa.string()).dictionary_encode()
            table = table.set_column(at, table.schema.field(at), column)
    return table


def count(ws: Workspace, part: Part, dataset: Dataset, span: Span) -> int:
    """How many rows of the span a partition holds."""
    return sum(table.num_rows for table in rows(ws, part, dataset, span))


def _may_name(file: pq.ParquetFile, group: int, person: str) -> bool:
    """By the file's own statistics: most groups of a large day cannot hold the person."""
    at = file.schema_arrow.get_field_index("user")
    found = file.metadata.row_group(group).column(at).statistics
    return found is None or not found.has_min_max or found.min <= person <= found.max


def _users(file: pq.ParquetFile, group: int) -> set[str | None]:
    column = file.read_row_group(group, columns=["user"], use_threads=False)["user"]
    return set(pc.unique(column.cast(pa.string())).to_pylist())


def records(
    connection: Connection, table: Table, person: str, first: date, last: date
) -> list[tuple[date, dict[str, Any]]]:
    """Rows of a state table about a person that touch a period, with their first days."""
    begins, ends = CHECKED[table]
    query = select(table).where(
        table.c.person == person,
        table.c[begins] <= last.isoformat(),
        table.c[ends] >= first.isoformat(),
    )
    return [
        (date.fromisoformat(row._mapping[begins]), dict(row._mapping))
        for row in connection.execute(query)
    ]


def set_aside(
    connection: Connection, person: str, first: date, last: date
) -> list[tuple[int, str, date, dict[str, Any]]]:
    """The same of rows kept apart under a restriction: their number there, table, first day and row."""
    found = []
    for id_, kind, text in connection.execute(select(ASIDE.c.id, ASIDE.c.kind, ASIDE.c.row)).all():
        row: dict[str, Any] = json.loads(text)
        begins, ends = next(days for table, days in CHECKED.items() if table.name == kind)
        if row["person"] == person and row[begins] <= str(last) and row[ends] >= str(first):
            found.append((id_, kind, date.fromisoformat(row[begins]), row))
    return found
