"""Events → activity, usage, blocked visits and feed rhythm, one local day at a time, only where stale."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from analytics.engine import Engine, sql
from config.hours import Interval, WorkingHours, day_bounds
from config.policy import Policy
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import ACTIVITY, BLOCKED, EVENTS, FEED, INSTANT, USAGE, Dataset
from lake.write import PartWriter, replace_day
from workspace import Workspace

LOW_CAP_S, LIKELY_CAP_S, HIGH_CAP_S = 60.0, 120.0, 300.0
"""What one sign of use may stand for. Dwell times are Weibull with k < 1 (Liu, White, Dumais, SIGIR
2010): most looks are short, so the likely cap is two minutes, with one and five as bounds."""

SESSION_S = 30 * 60.0
"""A visit is open for half an hour after its last navigation."""

DERIVED: tuple[Dataset, ...] = (ACTIVITY, USAGE, BLOCKED, FEED)
QUESTIONS = ("marks", "contacts", "activity", "usage", "blocked", "feed")
Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Derived:
    """One local day and whether it had to be made anew."""

    day: date
    fresh: bool


def local_days(ws: Workspace) -> list[date]:
    """Local days the lake's events touch, oldest first."""
    with ws.state.read() as connection:
        days = catalogue.days(connection, EVENTS.name)
    zone = ws.settings.zone
    touched: set[date] = set()
    for day in days:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        touched |= {
            start.astimezone(zone).date(),
            (start + timedelta(days=1, microseconds=-1)).astimezone(zone).date(),
        }
    return sorted(touched)


def derive(
    ws: Workspace,
    now: datetime,
    days: Iterable[date] | None = None,
    progress: Progress = lambda *_: None,
) -> list[Derived]:
    """Bring the derived datasets up to date for `days` (all that the events touch).

    The caller holds the site's lock. A day whose inputs, policy and people are what they were is
    left alone, so that running again gives the same bytes.
    """
    done = []
    for day in local_days(ws) if days is None else sorted(set(days)):
        fresh = _derive_day(ws, day, now)
        if fresh:
            progress(f"activity {day}", 1)
        done.append(Derived(day, fresh))
    return done


def policy_facts(ws: Workspace, day: date) -> tuple[Policy | None, str]:
    """The policy a day is judged by, and a digest of all that judging it depends on."""
    policy = ws.policy_on(day)
    facts = {
        "policy": policy.model_dump_json() if policy else None,
        "people": sorted(
            (p.user, sorted(p.roles), p.pattern.model_dump_json() if p.pattern else "")
            for p in ws.people.rows
            if p.on(day)
        ),
        "judged": [
            str(day_bounds(day, ws.settings.zone)),
            _hours(ws, day, policy).to_pylist(),
            _excused(ws, day, policy).to_pylist(),
            _blocked(policy).to_pylist(),
            _categories(ws, policy).to_pylist(),
        ],
        "questions": [hashlib.sha256(sql(q).encode()).hexdigest() for q in QUESTIONS],
        "caps": [LOW_CAP_S, LIKELY_CAP_S, HIGH_CAP_S, SESSION_S],
    }
    text = json.dumps(facts, sort_keys=True, default=str)
    return policy, hashlib.sha256(text.encode()).hexdigest()


def _derive_day(ws: Workspace, day: date, now: datetime) -> bool:
    first, last = day_bounds(day, ws.settings.zone)
    # A tunnel's line is written when it ends, which may be the day after it began.
    around = [first.date() - timedelta(days=1) + timedelta(days=i) for i in range(4)]
    latest = (last - timedelta(microseconds=1)).date() + timedelta(days=1)
    around = [d for d in around if d <= latest]
    policy, facts = policy_facts(ws, day)
    with ws.state.read() as connection:
        inputs = catalogue.parts(connection, EVENTS.name, around)
        known = [p for d in DERIVED for p in catalogue.parts(connection, d.name, [day])]
        gone = {d.name for d in DERIVED if day.isoformat() in catalogue.buried(connection, d.name)}
        purged = catalogue.buried(connection, EVENTS.name)
    if known and any(d.isoformat() in purged for d in around):
        return False  # its lines are gone in part: what was made of all of them stays as it is
    made_from = catalogue.fingerprint(inputs, facts)
    wanted = [d for d in DERIVED if d.name not in gone]
    if {p.dataset for p in known} == {d.name for d in wanted} and all(
        p.made_from == made_from for p in known
    ):
        return False
    tables = _answer(ws, day, (first, last), policy, inputs)
    writers = []
    for dataset in wanted:
        # The inputs' digest in the name: a new version never meets the old one's file.
        writer = PartWriter(ws.folder, dataset, day, made_from[:16], ws.keys)
        writer.oldest = writer.newest = int(first.timestamp() * 1000)
        writer.write(tables[dataset.name])
        writers.append(writer)
    with ws.state.change() as change:
        for writer in writers:
            replace_day(change.connection, ws.folder, writer.dataset, day, writer, made_from)
        change.act("derive", time=now, actor=ws.actor, day=day.isoformat(), made_from=made_from)
    # The files replaced stay until the next ingest or purge sweeps: somebody may be reading them.
    return True


def _answer(
    ws: Workspace, day: date, bounds: Interval, policy: Policy | None, inputs: list[Part]
) -> dict[str, pa.Table]:
    first, last = bounds
    with Engine.of(ws) as engine:
        engine.view(EVENTS, inputs)
        engine.table("hours", _hours(ws, day, policy))
        engine.table("excused", _excused(ws, day, policy))
        engine.table("categories", _categories(ws, policy))
        engine.table("blocked_services", _blocked(policy))
        engine.table("blocked_categories", _blocked_categories(policy))
        engine.make(
            "marks",
            "marks",
            first=first - timedelta(seconds=HIGH_CAP_S),
            last=last,
            low_cap=LOW_CAP_S,
            likely_cap=LIKELY_CAP_S,
            high_cap=HIGH_CAP_S,
            session=SESSION_S,
        )
        engine.make("contacts", "contacts", first=first, last=last)
        return {
            ACTIVITY.name: engine.arrow("activity", ACTIVITY, first=first, last=last),
            USAGE.name: engine.arrow("usage", USAGE, day=day, first=first, last=last),
            BLOCKED.name: engine.arrow("blocked", BLOCKED, day=day, first=first, last=last),
            FEED.name: engine.arrow("feed", FEED, first=first, last=last),
        }


def _hours(ws: Workspace, day: date, policy: Policy | None) -> pa.Table:
    """Working intervals: everybody's (user null), and those of people with a pattern of their own."""
    rows: list[dict[str, object]] = []

    def add(user: str | None, hours: WorkingHours) -> None:
        spans = hours.on(day, ws.settings.zone)
        # A person who does not work today needs a row of their own, or everybody's hours hold.
        rows.extend({"user": user, "start": a, "end": b} for a, b in spans)
        if not spans and user:
            rows.append({"user": user, "start": None, "end": None})

    if policy and not policy.holidays.on(day):
        add(None, policy.working_hours)
        for person in ws.people.rows:
            if person.pattern and person.on(day):
                pattern = person.pattern.model_copy(update={"breaks": policy.working_hours.breaks})
                add(person.user, pattern)
    schema = pa.schema([("user", pa.string()), ("start", INSTANT), ("end", INSTANT)])
    return pa.Table.from_pylist(rows, schema=schema)


def _excused(ws: Workspace, day: date, policy: Policy | None) -> pa.Table:
    """Who may use what: permitted services for everybody, authorised work use by role."""
    rows: list[dict[str, str | None]] = []
    if policy:
        rows += [{"user": None, "service": p.service} for p in policy.permitted]
        for exemption in policy.exempt:
            if not exemption.effective.covers(day):
                continue
            people = [p for p in ws.people.rows if p.on(day) and exemption.role in p.roles]
            for person in people:
                services: list[str | None] = [*exemption.services] or [None]
                rows += [{"user": person.user, "service": s} for s in services]
    schema = pa.schema([("user", pa.string()), ("service", pa.string())])
    return pa.Table.from_pylist(rows, schema=schema)


def _categories(ws: Workspace, policy: Policy | None) -> pa.Table:
    """What the day's policy calls social media; where none is in force, what any of them does."""
    policies = [policy] if policy else ws.policies
    chosen = {c for p in policies for c in p.categories}
    return pa.table({"category": pa.array(sorted(chosen), pa.string())})


def _blocked(policy: Policy | None) -> pa.Table:
    """Services the policy blocks by name or as a bare host."""
    chosen = {*policy.blocked.services, *policy.blocked.hosts} if policy else set()
    return pa.table({"service": pa.array(sorted(chosen), pa.string())})


def _blocked_categories(policy: Policy | None) -> pa.Table:
    """Categories the policy blocks, as the list in force on the day put hosts into them."""
    chosen = policy.blocked.categories if policy else []
    return pa.table({"category": pa.array(sorted(chosen), pa.string())})
