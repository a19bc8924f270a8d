"""What speaks against a finding: each check that has to be made before one can be built."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from analytics.engine import Engine
from analytics.questions import SMALLEST_GROUP
from config.hours import day_bounds
from config.policy import Policy
from lake import catalogue
from lake.datasets import EVENTS, INSTANT
from workspace import Workspace

GRADES = {
    "A": "a person's navigation was seen",
    "B": "pages of the service itself were seen",
    "C": "bursts of connections led by the service's own site were seen, no pages",
    "D": "only names or tunnels were seen; this never counts",
}
IDENTITIES = {
    "login": "the proxy asked for a name, and the list of people knows it",
    "assigned": "no name was logged; the list of people assigns the address to this person",
    "lease": (
        "no name was logged; leases, RADIUS or logons show this person alone behind the address at "
        "those instants, which is not proof of who sat there"
    ),
    "unlisted": "the log's name is not in the list of people",
    "ambiguous": "the log's name fits several people",
    "shared": "an account or address that several people use",
    "service": "a machine's or a program's own account",
    "address": "nothing but an address is known",
}


@dataclass(frozen=True)
class Against:
    """One thing that was checked and may speak for the person."""

    check: str
    text: str


CHECKS = (
    "threshold",
    "interval",
    "grade",
    "embedded content",
    "identity",
    "shared device",
    "breaks and free time",
    "permitted and authorised use",
    "team",
    "missing data",
    "calibration",
)
"""What must have been looked at before a finding can be built."""


@dataclass(frozen=True)
class Peers:
    """The others of a team, and the median of their week in minutes."""

    people: int
    median_min: float | None


@dataclass(frozen=True)
class Clients:
    """Addresses a person used, and how many of them others used as well."""

    user: str
    week: str
    clients: int
    shared: int


def threshold_text(decided_by: str, threshold: str) -> str:
    """Who decided the number, if anybody."""
    if decided_by.strip().lower() == "suggestion":
        return (
            f"The number ({threshold}) is a suggestion of Fairwatch: nobody in the organisation "
            f"has decided it yet, and nobody has been told it."
        )
    return f"The number ({threshold}) was decided by {decided_by}."


def team_text(ws: Workspace, engine: Engine, user: str, day: date, week: str, working: bool) -> str:
    """What the others of the team came to, without naming them."""
    person = ws.people.login(user, day)
    members = ws.people.team(person.manager, day) if person else []
    if len(members) <= SMALLEST_GROUP:
        return "The team is too small to give a median without naming people."
    engine.table("members", pa.table({"user": pa.array([p.user for p in members], pa.string())}))
    peers = engine.rows("peer_median", Peers, week=week, person=user, working_time=working)[0]
    return (
        f"The median of the {peers.people} others of the team in this week is "
        f"{peers.median_min or 0:.0f} minutes."
    )


def devices(
    ws: Workspace, engine: Engine, asked: Sequence[tuple[str, str, date, date]]
) -> dict[tuple[str, str], Clients]:
    """For each (user, week, first day, last day) asked for: its addresses, by user and week."""
    if not asked:
        return {}
    users, weeks, first_days, last_days = zip(*asked, strict=True)
    start, end = min(first_days), max(last_days)
    days = [start + timedelta(days=i) for i in range((end - start).days + 1)]
    bounds = [day_bounds(day, ws.settings.zone) for day in days]
    first, last = bounds[0][0], bounds[-1][1]
    touched = [
        first.date() + timedelta(days=i) for i in range((last.date() - first.date()).days + 1)
    ]
    with ws.state.read() as connection:
        engine.view(EVENTS, catalogue.parts(connection, EVENTS.name, touched))
        engine.table("days", pa.table({
            "day": pa.array(days, pa.date32()),
            "first": pa.array([b[0] for b in bounds], INSTANT),
            "last": pa.array([b[1] for b in bounds], INSTANT),
        }))  # fmt: skip
        engine.make("client_days", "client_days", first=first, last=last)
    engine.table("asked", pa.table({
        "user": pa.array(users, pa.string()),
        "week": pa.array(weeks, pa.string()),
        "first_day": pa.array(first_days, pa.date32()),
        "last_day": pa.array(last_days, pa.date32()),
    }))  # fmt: skip
    return {(r.user, r.week): r for r in engine.rows("shared_clients", Clients)}


def devices_text(found: Clients | None) -> str:
    """Whether somebody else may have sat at the person's devices."""
    if not found or not found.shared:
        clients = found.clients if found else 0
        return f"Addresses used: {clients}, none of them under another name in this time."
    return (
        f"Addresses used: {found.clients}, of which {found.shared} under other names as well: "
        f"somebody else may have sat at the device."
    )


def permitted_text(ws: Workspace, policy: Policy, user: str, day: date) -> str:
    """Roles and services that are not held against anybody."""
    person = ws.people.login(user, day)
    roles = person.roles if person else frozenset()
    exempt = [e for e in policy.exempt if e.role in roles and e.effective.covers(day)]
    if exempt:
        return "; ".join(
            f"role {e.role}: {e.purpose} (clause {e.clause}), left out" for e in exempt
        )
    names = ", ".join(ws.sites.name(p.service) for p in policy.permitted)
    return (
        "No role of this person is recorded as authorised work use"
        + (f"; use of {names} is permitted and left out." if names else ".")
        + " Ask whether there was a work purpose."
    )
