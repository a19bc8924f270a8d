"""Calibration: what a volunteer truly did, minute by minute, against what was made of the logs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from analytics.engine import Engine
from analytics.people import ActivityRow, activity
from config.calibration import Plan
from errors import Damaged, NoSuchThing, WrongUsage
from lake import catalogue
from lake.datasets import EVENTS
from lake.files import remove, write
from workspace import Workspace

FOLDER = "calibration"
SLACK = timedelta(seconds=60)
"""Clocks of volunteer and proxy, and a request's way, may differ by this much."""

GRAINS = {
    "page": "addresses of pages were logged",
    "tunnel": "only names of connections were logged",
    "contact": "only contacts were logged",
}


@dataclass(frozen=True)
class Done:
    """A step as it was truly done; `counts` as in the plan."""

    step: str
    counts: str
    start: datetime
    stop: datetime


@dataclass(frozen=True)
class Measured:
    """What Fairwatch made of it: minutes of use in the script, true and counted, and visits.

    `elsewhere_min`: likely minutes counted in steps in which there was no use, by step.
    """

    when: datetime
    sources: tuple[str, ...]
    grain: str
    fetch: bool
    rows: int
    true_min: float
    low_min: float
    likely_min: float
    high_min: float
    claims: int
    claims_true: int
    visits: int
    visits_seen: int
    elsewhere_min: dict[str, float]

    @property
    def precision(self) -> float | None:
        """Share of the claimed intervals that meet use; None where nothing was claimed."""
        return self.claims_true / self.claims if self.claims else None

    @property
    def recall(self) -> float:
        """Share of the steps of use that a claimed interval meets."""
        return self.visits_seen / self.visits

    @property
    def inside(self) -> bool:
        """Whether the truth lies within low and high, to half a minute."""
        return self.low_min - 0.5 <= self.true_min <= self.high_min + 0.5


@dataclass(frozen=True)
class Record:
    """One run of the script: personal data of a volunteer, who said yes to it."""

    id: str
    person: str
    service: str
    consented: datetime
    plan: str
    steps: tuple[Done, ...] = ()
    finished: bool = False
    measured: Measured | None = None

    @property
    def day(self) -> date:
        """When it began (UTC)."""
        return (self.steps[0].start if self.steps else self.consented).date()

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From the first step's beginning to the last one's end."""
        return self.steps[0].start, self.steps[-1].stop


def left(record: Record, plan: Plan) -> list[str]:
    """Ids of the steps that have not been done, in their order."""
    done = {step.step for step in record.steps}
    return [step.id for step in plan.steps if step.id not in done]


def save(ws: Workspace, record: Record) -> Path:
    """Write a record in the place of its former version; it is whole or as it was."""
    text = json.dumps(asdict(record), default=_plain, indent=1, sort_keys=True)
    path = ws.folder / FOLDER / f"{record.id}.json"
    # Not by way of `work/`: a night that begins meanwhile sweeps it.
    write(path, f"{text}\n".encode(), ws.folder / FOLDER)
    return path


def forget(ws: Workspace, id_: str) -> None:
    """Delete a record, as its volunteer may ask at any time; raises NoSuchThing."""
    remove(ws.folder / FOLDER / f"{one(ws, id_).id}.json")


def one(ws: Workspace, id_: str) -> Record:
    """A record by its id; raises NoSuchThing."""
    for record in records(ws):
        if record.id == id_:
            return record
    raise NoSuchThing(f"calibration {id_!r}: no such record; see `fairwatch calibrate --list`.")


def records(ws: Workspace) -> list[Record]:
    """All records, oldest first; raises Damaged for one that is none."""
    found = [_load(path) for path in sorted((ws.folder / FOLDER).glob("*.json"))]
    return sorted(found, key=lambda r: (r.consented, r.id))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else list(value)


def _load(path: Path) -> Record:
    try:
        data = json.loads(path.read_text("utf-8"))
        measured = data.pop("measured")
        steps = tuple(
            Done(s["step"], s["counts"], *(datetime.fromisoformat(s[n]) for n in ("start", "stop")))
            for s in data.pop("steps")
        )
        when = datetime.fromisoformat(data.pop("consented"))
        made = Record(**data, steps=steps, consented=when)
        if measured is None:
            return made
        measured["when"] = datetime.fromisoformat(measured["when"])
        measured["sources"] = tuple(measured["sources"])
        return replace(made, measured=Measured(**measured))
    except (ValueError, KeyError, TypeError):
        raise Damaged(
            f"{path}: is no calibration record; restore it, or delete it and calibrate again."
        ) from None


@dataclass(frozen=True)
class Logged:
    """Lines of a person in a stretch of time, of one source and kind."""

    source: str
    grain: str
    fetch: bool
    rows: int


def measure(ws: Workspace, record: Record, now: datetime) -> Record:
    """Compare a finished record with the activity of its minutes, and keep the result with it.

    The derived datasets must be up to date. Raises WrongUsage for an unfinished record, NoSuchThing
    where the logs hold nothing of the person in that time.
    """
    if not record.finished:
        raise WrongUsage(
            f"calibration {record.id}: is not finished; `fairwatch calibrate` goes on."
        )
    start, stop = record.span
    logged = _logged(ws, record.person, start - SLACK, stop + SLACK)
    if not logged:
        raise NoSuchThing(
            f"calibration {record.id}: the logs hold no line under the volunteer's name in its "
            f"minutes; ingest the day first, and see `fairwatch who` for the name lines get."
        )
    zone = ws.settings.zone
    days = start.astimezone(zone).date(), stop.astimezone(zone).date()
    rows = [r for r in activity(ws, *days, person=record.person) if _meets(r, start, stop)]
    grain = logged[0].grain
    use = [step for step in record.steps if step.counts == "use"]
    mine = [r for r in rows if r.grade < "D" and r.likely_s > 0]
    steps = {
        step.step: round(_within(mine, "likely_s", [step]), 2)
        for step in record.steps
        if step.counts != "use"
    }
    found = Measured(
        when=now,
        sources=tuple(sorted({one.source for one in logged})),
        grain=grain,
        fetch=any(one.fetch for one in logged),
        rows=sum(one.rows for one in logged),
        true_min=round(sum((s.stop - s.start).total_seconds() for s in use) / 60, 2),
        low_min=round(_within(mine, "low_s", record.steps), 2),
        likely_min=round(_within(mine, "likely_s", record.steps), 2),
        high_min=round(_within(mine, "high_s", record.steps), 2),
        claims=len(mine),
        claims_true=sum(any(_true(r, step, record.service) for step in use) for r in mine),
        visits=len(use),
        visits_seen=sum(any(_true(r, step, record.service) for r in mine) for step in use),
        elsewhere_min={step: minutes for step, minutes in steps.items() if minutes},
    )
    return replace(record, measured=found)


def _logged(ws: Workspace, person: str, first: datetime, last: datetime) -> list[Logged]:
    days = [first.date() + timedelta(days=i) for i in range((last.date() - first.date()).days + 1)]
    with (
        Engine.of(ws) as engine,
        ws.state.read() as connection,
    ):
        engine.view(EVENTS, catalogue.parts(connection, EVENTS.name, days))
        return engine.rows("calibration_rows", Logged, person=person, first=first, last=last)


def _span(row: ActivityRow) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(row.start), datetime.fromisoformat(row.end)


def _meets(row: ActivityRow, start: datetime, stop: datetime) -> bool:
    first, last = _span(row)
    return first < stop + SLACK and last > start - SLACK


def _true(row: ActivityRow, step: Done, service: str) -> bool:
    return row.service == service and _meets(row, step.start, step.stop)


def _within(rows: Iterable[ActivityRow], bound: str, steps: Iterable[Done]) -> float:
    """Minutes of the union of the rows' spans, each as long as its bound, that lie in these steps."""
    spans = sorted(
        (start, start + timedelta(seconds=getattr(row, bound)))
        for row in rows
        for start, _ in [_span(row)]
    )
    total, reached = timedelta(), None
    for start, end in spans:
        begin = start if reached is None else max(start, reached)
        for step in steps:
            total += max(min(end, step.stop) - max(begin, step.start), timedelta())
        reached = end if reached is None else max(end, reached)
    return total.total_seconds() / 60


def measured(ws: Workspace, on: date) -> list[Record]:
    """The newest measured record of each grain, made on or before a day, newest first."""
    newest: dict[str, Record] = {}
    for record in records(ws):
        if record.measured and record.day <= on:
            newest[record.measured.grain] = record
    return sorted(newest.values(), key=lambda r: r.consented, reverse=True)


NOT_CALIBRATED = (
    "Not calibrated: the method has been tried on recorded page loads, but not been measured against "
    "known use on this organisation's network."
)


def words(ws: Workspace, on: date) -> str:
    """The measured error as every report prints it, as known on a day, or that there is none.

    It names no person; a record that retention has removed is no calibration any more.
    """
    return _sentences(measured(ws, on)) or NOT_CALIBRATED


def _sentences(found: Sequence[Record]) -> str:
    return " ".join(_sentence(record) for record in found if record.measured)


def _sentence(record: Record) -> str:
    m = record.measured
    assert m is not None
    day = f"{record.day.day} {record.day:%B %Y}"
    browser = ", with the browser's own word" if m.fetch else ""
    right = "none claimed" if m.precision is None else f"precision {m.precision:.2f}"
    lies = "within" if m.inside else "OUTSIDE"
    return (
        f"Calibrated on {day} (source {', '.join(m.sources)}; {GRAINS[m.grain]}{browser}): of "
        f"{m.true_min:.1f} true minutes of use in a script of twenty, {m.low_min:.1f} to "
        f"{m.high_min:.1f} were counted, likely {m.likely_min:.1f} (error {m.likely_min - m.true_min:+.1f}); "
        f"the truth lay {lies} the range; visits: {right}, recall {m.recall:.2f}. One person, one "
        f"browser, one day."
    )
