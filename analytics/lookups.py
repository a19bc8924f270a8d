"""What is looked up of all findings of a rule at once: lines by class, addresses, hosts, rivals."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

import numpy as np
import pyarrow as pa

from analytics import terms
from analytics.batches import HELD, Rows, milliseconds, spread
from analytics.engine import Engine
from config.hours import Interval, day_bounds
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
        parts = catalogue.parts(connection, EVENTS.name, touched)
    day_rows = {"day": days, "first": [b[0] for b in bounds], "last": [b[1] for b in bounds]}
    engine.table("days", pa.table(day_rows, schema=DAYS))
    given = frozenset(words)
    look(
        engine,
        engine.batches(EVENTS, parts, LOOKED_AT, first),
        dict(zip(days, bounds, strict=True)),
        given,
    )
    engine.table("wanted", terms.words("word", given))
    weeks = [
        {"user": user, "week": week, "first_day": min(of), "last_day": max(of)}
        for (user, week), of in asked.items()
    ]
    engine.table("asked", pa.Table.from_pylist(weeks, schema=ASKED))
    single = [
        {"user": user, "week": week, "day": day} for (user, week), of in asked.items() for day in of
    ]
    engine.table("asked_days", pa.Table.from_pylist(single, schema=ASKED_DAYS))


def look(
    engine: Engine,
    batches: Iterable[pa.RecordBatch],
    days: Mapping[date, Interval],
    words: Collection[str],
) -> None:
    """Make the tables `client_days` and `wanted_lines` of batches of LOOKED_AT.

    `client_days`: who used which address on which of these days (in their order, one after the other);
    `wanted_lines`: lines of these services and categories.
    """
    starts = np.array([_ms(first) for first, _ in days.values()])
    end = max(_ms(last) for _, last in days.values())
    people: dict[str, int] = {}
    places: dict[str, int] = {}
    found = [np.zeros(0, np.int64)]  # user, address and day as one number
    lines = Rows(engine, "wanted_lines", WANTED_LINES)
    for batch in batches:
        time = milliseconds(batch["time"])
        day = np.searchsorted(starts, time, side="right") - 1
        user = spread(
            batch["user"], lambda u: -1 if u is None else people.setdefault(u, len(people))
        )
        place = spread(
            batch["client"], lambda c: -1 if c is None else places.setdefault(c, len(places))
        )
        # The device's own account is nobody else.
        known = spread(batch["identity"], lambda grade: grade != "service")
        known &= (user >= 0) & (place >= 0) & (day >= 0) & (time < end)
        key = (((user << PLACE_BITS) | place) << DAY_BITS | day)[known]
        # Rows come by user: of hundreds of lines in a row one says as much.
        said = key[np.append(True, key[1:] != key[:-1])[: len(key)]]
        found.append(said)
        if sum(map(len, found)) > 2 * len(found[0]) + HELD:
            found = [np.unique(np.concatenate(found))]
        wanted = spread(batch["category"], words.__contains__)
        wanted |= spread(batch["service"], words.__contains__)
        wanted &= spread(batch["category"], lambda word: word is not None)
        wanted &= spread(batch["host"], lambda word: word is not None)
        rows = batch.select(WANTED_LINES.names).take(pa.array(np.flatnonzero(wanted)))
        lines.add(pa.table([*map(_plain, rows.columns)], schema=WANTED_LINES))
    lines.finish()
    every = np.unique(np.concatenate(found))
    who = pa.array([*people], TEXT).take(pa.array(every >> DAY_BITS + PLACE_BITS))
    where = pa.array([*places], TEXT).take(pa.array(every >> DAY_BITS & (1 << PLACE_BITS) - 1))
    when = pa.array([*days], DAY).take(pa.array(every & (1 << DAY_BITS) - 1))
    engine.table("client_days", pa.table([who, where, when], schema=CLIENT_DAYS))


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(TEXT) if pa.types.is_dictionary(column.type) else column


LOOKED_AT = (
    *("time", "user", "client", "identity", "host", "service", "category", "device_category"),
)
"""Columns of events that `look` takes."""

PLACE_BITS, DAY_BITS = 24, 10
TEXT, DAY = pa.string(), pa.date32()
CLIENT_DAYS = pa.schema([("user", TEXT), ("client", TEXT), ("day", DAY)])
WANTED_LINES = pa.schema(
    [
        ("user", TEXT),
        ("time", INSTANT),
        ("host", TEXT),
        ("category", TEXT),
        ("device_category", TEXT),
    ]
)
DAYS = pa.schema([("day", DAY), ("first", INSTANT), ("last", INSTANT)])
ASKED = pa.schema([("user", TEXT), ("week", TEXT), ("first_day", DAY), ("last_day", DAY)])
ASKED_DAYS = pa.schema([("user", TEXT), ("week", TEXT), ("day", DAY)])


R = TypeVar("R", Client, Host)


def _grouped(rows: Iterable[R]) -> dict[Key, list[R]]:
    found: dict[Key, list[R]] = {}
    for row in rows:
        found.setdefault((row.user, row.week), []).append(row)
    return found
