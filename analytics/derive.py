"""Events → activity, usage, blocked visits and feed rhythm, one local day at a time, only where stale."""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pyarrow as pa

import analytics.sift as sifting
from analytics import batches, pages, terms
from analytics.engine import Engine, sql
from analytics.sift import NEAR, READ, Sought, followed, sift, since_of
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

FEW = 20_000
"""Lines of a day (and those before and after it) for whose questions one thread is the cheapest."""

DERIVED: tuple[Dataset, ...] = (SIGNS, TALLY, ACTIVITY, USAGE, BLOCKED, FEED)
STEPS = (
    *("own", "lines", "glimpses", "contacts", "named", "counted", "loads", "openers", "members"),
    *("beats", "judged", "marks", "followed"),
)
"""From a day's lines to marks, question by question: each answer is a table for those after it."""
SPENT = {
    "counted": ("listed", "rest"),
    "loads": ("seconds",),
    "openers": ("lines", "loaded"),
    "judged": ("beats",),
    "signs": ("openers", "members"),
}
"""Tables that nothing reads after a step: the largest ones, let go for the sake of memory."""

ASIDE = ("clients", "seconds_by_person", "seconds_of", "slots")
"""Questions that steps written in Python ask."""

QUESTIONS = (*ASIDE, *STEPS, *(d.name for d in DERIVED))
KEPT_WHOLE = ("categories", "blocked_services", "blocked_categories")
"""Tables of the terms that say which lines SQL has to see."""

Progress = Callable[[str, int], None]
Read = Callable[[Sequence[str], datetime], Iterable[pa.RecordBatch]]
"""Columns of the day's lines from an instant on."""


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
        "questions": _digest_of_questions(),
        "method": method_on(day).model_dump_json(),
    }
    text = json.dumps(facts, sort_keys=True, default=str)
    return policy, hashlib.sha256(text.encode()).hexdigest()


@cache
def _digest_of_questions() -> list[str]:
    """What is asked in Python is as much a part of the answer as what is asked in SQL."""
    texts = [*written().values()]
    texts += [sql(question) for question in QUESTIONS if question not in WRITTEN]
    return [hashlib.sha256(text.encode()).hexdigest() for text in texts]


def written() -> dict[str, str]:
    """The part of the questions that is Python, by file name."""
    modules = (batches, sifting, pages)
    return {f"{m.__name__.rpartition('.')[2]}.py": inspect.getsource(m) for m in modules}


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
    handed = terms.tables(ws, day, policy)
    kept = {name: frozenset(handed[name].column(0).to_pylist()) for name in KEPT_WHOLE}
    given = {**method.values, "day": day, "from": first - LEAD, "first": first, "last": last}
    with Engine.of(ws) as engine:
        if sum(part.rows for part in inputs) <= FEW:
            engine.alone()

        def read(columns: Sequence[str], since: datetime) -> Iterable[pa.RecordBatch]:
            return engine.batches(EVENTS, inputs, columns, since)

        for name, table in handed.items():
            engine.table(name, table)
        engine.table("shims", terms.words("host", method.link_shims))
        made = Day(engine, read, Sought(first - LEAD, first, last, **kept))
        terms.own_devices(engine, day, policy)
        made.steps(given)
        for dataset in DERIVED:
            for group in engine.groups(dataset.name, dataset, **given):
                if dataset.name in writers:
                    rows = erased.without(group, dataset) if dataset in PERSONAL else group
                    writers[dataset.name].write(rows)
            engine.drop(*SPENT.get(dataset.name, ()))


class Day:
    """A local day's lines on their way to marks."""

    def __init__(self, engine: Engine, read: Read, sought: Sought) -> None:
        """Read them once: see `sift` for the tables that makes."""
        self._engine, self._read = engine, read
        self._people = sift(engine, read(READ, sought.since), sought)

    def steps(self, given: Mapping[str, Any]) -> None:
        """Answer STEPS, with the numbers of the method; needs the tables of the terms."""
        for step in STEPS:
            if step in WRITTEN:
                WRITTEN[step](self, given)
            else:
                self._engine.make(step, step, **given)
            self._engine.drop(*SPENT.get(step, ()))

    def loads(self, given: Mapping[str, Any]) -> None:
        """Pages of other sites."""
        names = ("load_gap", "program_bytes")
        pages.loads(self._engine, **{name: given[name] for name in names})

    def followed(self, _: Mapping[str, Any]) -> None:
        """What tunnels to blocked services may belong to."""
        slots = self._engine.arrow("slots")
        followed(self._engine, self._read(NEAR, since_of(slots)), self._people, slots)


WRITTEN: dict[str, Callable[[Day, Mapping[str, Any]], None]] = {
    "loads": Day.loads,
    "followed": Day.followed,
}
"""Steps that are no SQL."""
