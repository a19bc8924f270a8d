"""What is looked up of all findings of a rule at once: lines by class, addresses, hosts, rivals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

import pyarrow as pa

from analytics import terms
from analytics.engine import Engine
from config.hours import day_bounds
from lake import catalogue
from lake.datasets import EVENTS, INSTANT
from workspace import Workspace

Key = tuple[str, str]
"""A user and a week: there is at most one finding of a rule for it."""


@dataclass(frozen=True)
class Shares:
    """Log lines of a finding's days by what they are taken for; `days`: those that were tallied."""

    user: str
    week: str
    days: int
    rows: int
    counted: int
    embedded: int
    background: int
    unknown: int


@dataclass(frozen=True)
class Clients:
    """Addresses a person used, and how many of them others used as well."""

    user: str
    week: str
    clients: int
    shared: int


@dataclass(frozen=True)
class Client:
    """An address a person used on a day of a finding."""

    user: str
    week: str
    day: date
    client: str


@dataclass(frozen=True)
class Host:
    """A host of the services a finding is about, on one of its days."""

    user: str
    week: str
    day: date
    host: str
    category: str
    device_category: str | None
    rows: int


@dataclass(frozen=True)
class Peers:
    """The others of a team, and the median of their week in minutes."""

    people: int
    median_min: float | None


@dataclass(frozen=True)
class Looked:
    """Everything looked up, by user and week; what is not there could not be looked up."""

    shares: Mapping[Key, Shares]
    devices: Mapping[Key, Clients]
    clients: Mapping[Key, list[Client]]
    hosts: Mapping[Key, list[Host]]


def look_up(
    ws: Workspace, engine: Engine, asked: Mapping[Key, Sequence[date]], words: Iterable[str]
) -> Looked:
    """Look up what speaks for whom; `words`: categories and services the rule is about.

    Reads the events of the days once for all findings.
    """
    if not asked:
        return Looked({}, {}, {}, {})
    _tables(ws, engine, asked, words)
    clients, hosts = (
        _grouped(engine.rows("finding_clients", Client)),
        _grouped(engine.rows("finding_hosts", Host)),
    )
    return Looked(
        shares={(s.user, s.week): s for s in engine.rows("finding_shares", Shares)},
        devices={(c.user, c.week): c for c in engine.rows("shared_clients", Clients)},
        clients=clients,
        hosts=hosts,
    )


def _tables(
    ws: Workspace, engine: Engine, asked: Mapping[Key, Sequence[date]], words: Iterable[str]
) -> None:
    wanted = {day for days in asked.values() for day in days}
    days = [min(wanted) + timedelta(days=i) for i in range((max(wanted) - min(wanted)).days + 1)]
    bounds = [day_bounds(day, ws.settings.zone) for day in days]
    first, last = bounds[0][0], bounds[-1][1]
    touched = [
        first.date() + timedelta(days=i) for i in range((last.date() - first.date()).days + 1)
    ]
    with ws.state.read() as connection:
        engine.view(EVENTS, catalogue.parts(connection, EVENTS.name, touched))
    day_rows = {"day": days, "first": [b[0] for b in bounds], "last": [b[1] for b in bounds]}
    engine.table("days", pa.table(day_rows, schema=DAYS))
    engine.make("client_days", "client_days", first=first, last=last)
    engine.table("wanted", terms.words("word", words))
    weeks = [
        {"user": user, "week": week, "first_day": min(of), "last_day": max(of)}
        for (user, week), of in asked.items()
    ]
    engine.table("asked", pa.Table.from_pylist(weeks, schema=ASKED))
    single = [
        {"user": user, "week": week, "day": day} for (user, week), of in asked.items() for day in of
    ]
    engine.table("asked_days", pa.Table.from_pylist(single, schema=ASKED_DAYS))


TEXT, DAY = pa.string(), pa.date32()
DAYS = pa.schema([("day", DAY), ("first", INSTANT), ("last", INSTANT)])
ASKED = pa.schema([("user", TEXT), ("week", TEXT), ("first_day", DAY), ("last_day", DAY)])
ASKED_DAYS = pa.schema([("user", TEXT), ("week", TEXT), ("day", DAY)])


R = TypeVar("R", Client, Host)


def _grouped(rows: Iterable[R]) -> dict[Key, list[R]]:
    found: dict[Key, list[R]] = {}
    for row in rows:
        found.setdefault((row.user, row.week), []).append(row)
    return found
