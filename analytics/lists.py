"""What other lists would have changed: hosts as they are stored, and whose days they stand in, as counts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from sqlalchemy import select

from analytics.engine import Engine
from lake import catalogue
from lake.datasets import EVENTS
from state.tables import FINDING
from workspace import Workspace

Kind = Literal["named", "unnamed", "moved"]


@dataclass(frozen=True)
class StoredHost:
    """A host with the category stored and the device's own; rows and UTC days that hold it."""

    host: str
    category: str | None
    device_category: str | None
    rows: int
    days: int


@dataclass(frozen=True)
class Changed:
    """A stored host that other lists would see otherwise: the category it has, and how."""

    host: str
    was: str | None
    kind: Kind


@dataclass(frozen=True)
class Impact:
    """Rows, UTC days, people and their days with hosts of a kind of change."""

    kind: str
    hosts: int
    rows: int
    days: int
    people: int
    person_days: int
    findings: int


def stored_hosts(ws: Workspace) -> list[StoredHost]:
    """Every host in the lake; the host `other` stands for all that are not named."""
    with _events(ws) as engine:
        return engine.rows("stored_hosts", StoredHost)


def impact(ws: Workspace, changed: Sequence[Changed]) -> list[Impact]:
    """Whose stored days hold these hosts: numbers, no names."""
    if not changed:
        return []
    with ws.state.read() as connection:
        known = connection.execute(select(FINDING.c.person, FINDING.c.week)).all()
    with _events(ws) as engine:
        engine.table(
            "changed",
            pa.table(
                {
                    "host": pa.array([c.host for c in changed], pa.string()),
                    "was": pa.array([c.was for c in changed], pa.string()),
                    "kind": pa.array([c.kind for c in changed], pa.string()),
                }
            ),
        )
        engine.table(
            "known_findings",
            pa.table(
                {
                    "person": pa.array([k.person for k in known], pa.string()),
                    "week": pa.array([k.week for k in known], pa.string()),
                }
            ),
        )
        return engine.rows("list_impact", Impact)


@contextmanager
def _events(ws: Workspace) -> Iterator[Engine]:
    with ws.state.read() as connection:
        parts = catalogue.parts(connection, EVENTS.name)
    with Engine.of(ws) as engine:
        engine.view(EVENTS, parts)
        yield engine
