"""Whose rows: one person's in a period, wherever partitions hold them."""

import hashlib
import hmac
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Connection

from config.hours import day_bounds
from errors import NoSuchThing, NotPermitted, WrongUsage
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import PERSONAL, Dataset
from workspace import Workspace

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
                table = whole(file.read_row_group(group, use_threads=False), dataset)
                mine = table.filter(span.mask(table, dataset))
                if mine.num_rows:
                    yield mine


def count(ws: Workspace, part: Part, dataset: Dataset, span: Span) -> int:
    """How many rows of the span a partition holds."""
    return sum(table.num_rows for table in rows(ws, part, dataset, span))


def whole(table: pa.Table, dataset: Dataset) -> pa.Table:
    """A row group in the dataset's schema; columns a part has not got are null."""
    if table.schema.names == dataset.schema.names:
        return table
    columns = [
        table[f.name] if f.name in table.schema.names else pa.nulls(table.num_rows, f.type)
        for f in dataset.schema
    ]
    return pa.table(columns, schema=dataset.schema)


def _may_name(file: pq.ParquetFile, group: int, person: str) -> bool:
    """By the file's own statistics: most groups of a large day cannot hold the person."""
    at = file.schema_arrow.get_field_index("user")
    found = file.metadata.row_group(group).column(at).statistics
    return found is None or not found.has_min_max or found.min <= person <= found.max


def _users(file: pq.ParquetFile, group: int) -> set[str | None]:
    column = file.read_row_group(group, columns=["user"], use_threads=False)["user"]
    return set(pc.unique(column.cast(pa.string())).to_pylist())
