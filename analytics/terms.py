"""The terms a day is judged on, as small tables: hours, leave, exemptions, own devices, blocks."""

import hashlib
import json
from collections.abc import Iterable
from datetime import date
from typing import Any

import pyarrow as pa

from analytics.engine import Engine
from config.hours import Interval, WorkingHours, day_bounds
from config.policy import Policy
from lake.datasets import INSTANT
from workspace import Workspace

TEXT = pa.string()
HOURS = pa.schema([("user", TEXT), ("start", INSTANT), ("end", INSTANT), ("part", TEXT)])
Rows = list[dict[str, object]]


def tables(ws: Workspace, day: date, policy: Policy | None) -> dict[str, pa.Table]:
    """Every table the questions of a day are handed, by name."""
    blocked = policy.blocked_on(day) if policy else None
    services = {*blocked.services, *blocked.hosts} if blocked else set()
    # Where no policy is in force, what any of them calls social media.
    chosen = {c for p in ([policy] if policy else ws.policies) for c in p.categories}
    return {
        "hours": _hours(ws, day, policy),
        "excused": _excused(ws, day, policy),
        "categories": words("category", chosen),
        "blocked_services": words("service", services),
        # As the lists in force on the day put hosts into them.
        "blocked_categories": words("category", blocked.categories if blocked else ()),
    }


def facts(ws: Workspace, day: date, policy: Policy | None) -> dict[str, Any]:
    """All of the configuration that the minutes of a day depend on, as plain data."""
    own = [o for o in policy.own_devices if o.effective.covers(day)] if policy else []
    return {
        "policy": policy.id if policy else None,
        "own_devices": [(o.networks, o.counted) for o in own],
        "people": [(user, *rest) for user, _, _, *rest in people_on(ws, day)],
        "day": str(day_bounds(day, ws.settings.zone)),
        **{name: table.to_pylist() for name, table in tables(ws, day, policy).items()},
    }


def people_on(ws: Workspace, day: date) -> list[tuple[str, ...]]:
    """The people of a day as far as judging them goes; a later hire or leaver changes nothing."""
    return sorted(
        (p.user, p.kind, p.manager, *sorted(p.roles), p.pattern.model_dump_json() if p.pattern else "")
        for p in ws.people.rows
        if p.on(day)
    )  # fmt: skip


def digest(plain: Any) -> str:
    """Sixteen letters that change with anything in plain data."""
    text = json.dumps(plain, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def own_devices(engine: Engine, day: date, policy: Policy | None) -> None:
    """Make the table `own_clients`: addresses of own devices that the policy does not judge."""
    clients: set[str] = set()
    if policy and policy.own_devices:
        for (client,) in engine.answers("clients"):
            own = policy.own_device(client, day)
            if own and not own.counted:
                clients.add(client)
    engine.table("own_clients", words("client", clients))


def words(column: str, found: Iterable[str]) -> pa.Table:
    """A table of one column of words, in order."""
    return pa.table({column: pa.array(sorted(found), TEXT)})


def _hours(ws: Workspace, day: date, policy: Policy | None) -> pa.Table:
    """Working time and breaks: everybody's (user null), and those of people with hours of their own.

    Who does not work on the day has a row without times, or everybody's hours would hold.
    """
    if policy is None or policy.holidays.on(day):
        return pa.Table.from_pylist([], schema=HOURS)
    away = ws.leave.on(day)
    rows = _spans(ws, day, None, policy.working_hours)
    for person in (p for p in ws.people.rows if p.on(day)):
        own: Rows = []
        if person.user.casefold() not in away:
            if person.pattern is None:
                continue
            breaks = policy.working_hours.breaks
            own = _spans(ws, day, person.user, person.pattern.model_copy(update={"breaks": breaks}))
        rows += own or [{"user": person.user, "part": "working_time"}]
    return pa.Table.from_pylist(rows, schema=HOURS)


def _spans(ws: Workspace, day: date, user: str | None, hours: WorkingHours) -> Rows:
    def row(span: Interval, part: str) -> dict[str, object]:
        return {"user": user, "start": span[0], "end": span[1], "part": part}

    zone = ws.settings.zone
    return [
        *(row(span, "working_time") for span in hours.on(day, zone)),
        *(row(span, "breaks") for span in hours.breaks_on(day, zone)),
    ]


def _excused(ws: Workspace, day: date, policy: Policy | None) -> pa.Table:
    """Who may use what: permitted services for everybody, authorised work use by role."""
    rows: Rows = []
    if policy:
        permitted = (p for p in policy.permitted if p.effective.covers(day))
        rows += [{"user": None, "service": p.service} for p in permitted]
        for exemption in (e for e in policy.exempt if e.effective.covers(day)):
            people = [p for p in ws.people.rows if p.on(day) and exemption.role in p.roles]
            for person in people:
                services: list[str | None] = [*exemption.services] or [None]
                rows += [{"user": person.user, "service": s} for s in services]
    return pa.Table.from_pylist(rows, schema=pa.schema([("user", TEXT), ("service", TEXT)]))
