"""The catalogue of partitions: the only truth about what is in the lake; readers never glob."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from state.tables import PART, TOMBSTONE


@dataclass(frozen=True)
class Part:
    """A file of one dataset and day; `path` is relative to the site folder, times in ms UTC."""

    dataset: str
    day: str
    path: str
    rows: int
    bytes: int
    sha256: str
    oldest: int
    newest: int
    made_from: str
    key: str | None = None
    """The day key it is sealed with; None: it is plain."""


def add(connection: Connection, parts: Iterable[Part], state: str = "live") -> None:
    """Make parts part of the lake; those of another state are seen by no question."""
    rows = [{**asdict(part), "state": state} for part in parts]
    if rows:
        connection.execute(PART.insert(), rows)


def parts(
    connection: Connection,
    dataset: str,
    days: Sequence[date] | None = None,
    state: str = "live",
) -> list[Part]:
    """Parts of a dataset, all or those of some days, by day and path."""
    columns = [PART.c[name] for name in Part.__dataclass_fields__]
    query = select(*columns).where(PART.c.dataset == dataset, PART.c.state == state)
    if days is not None:
        query = query.where(PART.c.day.in_([d.isoformat() for d in days]))
    found = connection.execute(query.order_by(PART.c.day, PART.c.path))
    return [Part(**row._mapping) for row in found]


def days(connection: Connection, dataset: str) -> list[date]:
    """Days a dataset has live parts of, oldest first."""
    query = select(PART.c.day).where(PART.c.dataset == dataset, PART.c.state == "live").distinct()
    return sorted(date.fromisoformat(day) for day in connection.execute(query).scalars())


def in_state(connection: Connection, *states: str) -> list[Part]:
    """All parts in one of these states, whatever their dataset, by path."""
    columns = [PART.c[name] for name in Part.__dataclass_fields__]
    query = select(*columns).where(PART.c.state.in_(states)).order_by(PART.c.path)
    return [Part(**row._mapping) for row in connection.execute(query)]


def needed_keys(connection: Connection) -> set[str]:
    """Day keys that something kept is sealed with."""
    query = select(PART.c.key).where(PART.c.state != "purging", PART.c.key.is_not(None))
    return set(connection.execute(query.distinct()).scalars())


def span(connection: Connection, dataset: str) -> tuple[int, int] | None:
    """Oldest and newest event time of a dataset (ms), None where it is empty."""
    query = select(func.min(PART.c.oldest), func.max(PART.c.newest)).where(
        PART.c.dataset == dataset, PART.c.state == "live"
    )
    low, high = connection.execute(query).one()
    return None if low is None else (low, high)


def forget(connection: Connection, paths: Iterable[str]) -> None:
    """Take parts out of the lake; their files are swept away afterwards."""
    for path in paths:
        connection.execute(delete(PART).where(PART.c.path == path))


def condemn(connection: Connection, paths: Iterable[str]) -> None:
    """Mark parts as being purged: no reader sees them from here on."""
    for path in paths:
        connection.execute(update(PART).where(PART.c.path == path).values(state="purging"))


def remark(connection: Connection, path: str, made_from: str) -> None:
    """Say anew what a part was made from."""
    connection.execute(update(PART).where(PART.c.path == path).values(made_from=made_from))


def bury(connection: Connection, dataset: str, days_: Iterable[str], when: str) -> None:
    """Remember that days of a dataset were purged: late lines must not bring them back."""
    for day in days_:
        known = connection.execute(
            select(TOMBSTONE.c.day).where(TOMBSTONE.c.dataset == dataset, TOMBSTONE.c.day == day)
        ).scalar()
        if known is None:
            connection.execute(TOMBSTONE.insert().values(dataset=dataset, day=day, purged=when))


def buried(connection: Connection, dataset: str) -> set[str]:
    """Days of a dataset that were purged."""
    query = select(TOMBSTONE.c.day).where(TOMBSTONE.c.dataset == dataset)
    return set(connection.execute(query).scalars())


def known_paths(connection: Connection) -> set[str]:
    """Paths of all parts, live or being purged."""
    return set(connection.execute(select(PART.c.path)).scalars())


def fingerprint(found: Sequence[Part], *more: Any) -> str:
    """What a derived partition is made from: the digests of its inputs and the versions used."""
    text = "\n".join([*(p.sha256 for p in found), *(str(m) for m in more)])
    return hashlib.sha256(text.encode()).hexdigest()
