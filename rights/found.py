"""What a deed finds before it begins, and looks for again afterwards; and what speaks against it."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import select

from errors import NotPermitted, WrongUsage
from rights import register
from rights.rewrite import days
from state.tables import CASE, FINDING, PACK, REVIEW
from subjects import CHECKED, KEPT, Span, records, set_aside
from workspace import Workspace

OPINIONS = (FINDING, REVIEW)
"""State tables that say something of a person; a restriction keeps their rows apart."""


@dataclass(frozen=True)
class Planned:
    """What a deed would do: rows by dataset, records by table, files."""

    rows: dict[str, int]
    records: dict[str, int]
    files: list[str]


def plan(ws: Workspace, deed: register.Deed, span: Span) -> Planned:
    """What would be taken out, without doing anything."""
    counted: dict[str, int] = {}
    for one in days(ws, span, *states(deed)):
        counted[one.dataset.name] = counted.get(one.dataset.name, 0) + sum(
            n for _, n in one.parts.values()
        )
    return Planned(
        counted, told_of(ws, deed, span), files_of(ws, span) if deed == "erasure" else []
    )


def states(deed: register.Deed) -> tuple[str, ...]:
    """States of partitions a deed takes rows out of."""
    return KEPT if deed == "erasure" else ("live",)


def told_of(ws: Workspace, deed: register.Deed, span: Span) -> dict[str, int]:
    """Records about the person by table; what a deed takes no record of is left out."""
    tables = [t for t in CHECKED if deed == "erasure" or t in OPINIONS]
    with ws.state.read() as connection:
        found = Counter(
            t.name
            for t in tables
            for _ in records(connection, t, span.person, span.first, span.last)
        )
        if deed == "erasure":
            aside = set_aside(connection, span.person, span.first, span.last)
            found.update(kind for _, kind, _, _ in aside)
    return dict(found)


def files_of(ws: Workspace, span: Span) -> list[str]:
    """Packs of the person's cases and bundles made for the person, as far as they are there."""
    with ws.state.read() as connection:
        cases = [
            row["id"] for _, row in records(connection, CASE, span.person, span.first, span.last)
        ]
        packs = (
            connection.execute(select(PACK.c.path).where(PACK.c.case.in_(cases))).scalars().all()
        )
    mine = [r.id for r in register.rights(ws) if r.deed == "access" and r.person == span.person]
    paths = [*packs, *(f"access/{id_}.zip" for id_ in mine)]
    return [path for path in paths if (ws.folder / path).is_file()]


def refuse_twice(ws: Workspace, span: Span) -> None:
    """Raise WrongUsage where a restriction keeps days of the span apart."""
    for known in register.rights(ws, "done", "under way", "lifting"):
        overlap = known.first_day <= span.last and span.first <= known.last_day
        if known.deed == "restriction" and known.person == span.person and overlap:
            raise WrongUsage(
                f"{known.id} keeps {known.first_day} to {known.last_day} apart already."
            )


def refuse_open_cases(ws: Workspace, span: Span) -> None:
    """Raise NotPermitted while somebody looks into the person's rows of the span."""
    with ws.state.read() as connection:
        found = records(connection, CASE, span.person, span.first, span.last)
    open_ = [row["id"] for _, row in found if not row["closed"]]
    if open_:
        raise NotPermitted(
            f"{', '.join(open_)} is open about this person and period: close it first (`fairwatch case "
            f"close`), or place a hold if its rows are needed for a legal claim."
        )
