"""Events → activity, usage, blocked visits and feed rhythm, one local day at a time, only where stale."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from analytics import terms
from analytics.engine import Engine, sql
from config.hours import Interval, day_bounds
from config.method import method_on
from config.policy import Policy
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import (
    ACTIVITY,
    BLOCKED,
    EVENTS,
    FEED,
    PERSONAL,
    SIGNS,
    TALLY,
    USAGE,
    Dataset,
)
from lake.write import PartWriter, replace_day
from subjects import Erased
from workspace import Workspace

LEAD = timedelta(hours=1)
"""How much of the day before may reach into a day: a visit that midnight cuts in two."""

DERIVED: tuple[Dataset, ...] = (SIGNS, TALLY, ACTIVITY, USAGE, BLOCKED, FEED)
STEPS = (
    *("persons", "lines", "glimpses", "loads", "openers", "members", "beats", "judged", "marks"),
    "contacts",
)
"""The visit model, question by question: each one's answer is a table for those after it."""
SPENT = {"openers": ("lines",), "judged": ("beats",), "signs": ("openers", "members")}
"""Tables that nothing reads after a step: the largest ones, let go for the sake of memory."""

QUESTIONS = (*STEPS, "own", *(d.name for d in DERIVED))
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
        **terms.facts(ws, day, policy),
        "questions": [hashlib.sha256(sql(q).encode()).hexdigest() for q in QUESTIONS],
        "method": method_on(day).model_dump_json(),
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
    # The inputs' digest in the name: a new version never meets the old one's file.
    writers = [PartWriter(ws.folder, d, day, made_from[:16], ws.keys) for d in wanted]
    for writer in writers:
        writer.oldest = writer.newest = int(first.timestamp() * 1000)
    _answer(ws, day, (first, last), policy, inputs, {w.dataset.name: w for w in writers})
    with ws.state.change() as change:
        for writer in writers:
            replace_day(change.connection, ws.folder, writer.dataset, day, writer, made_from)
        change.act("derive", time=now, actor=ws.actor, day=day.isoformat(), made_from=made_from)
    # The files replaced stay until the next ingest or purge sweeps: somebody may be reading them.
    return True


def _answer(
    ws: Workspace,
    day: date,
    bounds: Interval,
    policy: Policy | None,
    inputs: list[Part],
    writers: Mapping[str, PartWriter],
) -> None:
    """Ask all questions of a day, and write the answers of those datasets that have a writer."""
    first, last = bounds
    method, erased = method_on(day), Erased.of(ws, restricted=True)
    with Engine.of(ws) as engine:
        engine.view(EVENTS, inputs)
        for name, table in terms.tables(ws, day, policy).items():
            engine.table(name, table)
        terms.own_devices(engine, day, policy)
        engine.table("shims", pa.table({"host": pa.array(method.link_shims, pa.string())}))
        given = {
            **method.values,
            "day": day,
            "from": first - LEAD,
            "first": first,
            "last": last,
        }
        for step in STEPS:
            engine.make(step, step, **given)
            engine.drop(*SPENT.get(step, ()))
        for dataset in DERIVED:
            for group in engine.groups(dataset.name, dataset, **given):
                if dataset.name in writers:
                    kept = erased.without(group, dataset) if dataset in PERSONAL else group
                    writers[dataset.name].write(kept)
            engine.drop(*SPENT.get(dataset.name, ()))
