"""What is known of named people: their intervals, minutes and log lines; callers say why first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
from sqlalchemy import select

from analytics.engine import Engine
from analytics.questions import FeedGap, opened
from config.hours import day_bounds
from lake import catalogue
from lake.datasets import EVENTS, SIGNS
from state.tables import FILE
from workspace import Workspace


@dataclass(frozen=True)
class ActivityRow:
    """An interval of one person's use of one service; times UTC ISO 8601, lengths in seconds."""

    user: str
    service: str
    category: str
    start: str
    end: str
    low_s: float
    likely_s: float
    high_s: float
    grade: str
    identity: str
    rule: str
    marks: int


@dataclass(frozen=True)
class UsageRow:
    """A person's day in one category; `social_media` is the union of all; null: no data."""

    user: str
    day: date
    category: str
    low_min: float | None
    likely_min: float | None
    high_min: float | None
    grade: str
    identity: str
    work_low_min: float | None
    work_likely_min: float | None
    work_high_min: float | None
    visits: int
    contacts: int
    break_low_min: float | None
    break_likely_min: float | None
    break_high_min: float | None
    outside_low_min: float | None
    outside_likely_min: float | None
    outside_high_min: float | None


@dataclass(frozen=True)
class EventRow:
    """A log line as it is stored, with the digest of the file and the number of the line.

    `taken_for` and `rule`: its class in the visit model and the rule that says so
    (docs/time-in-use.md); null where no rule of visits was asked.
    """

    time: str
    source: str
    file_sha256: str | None
    line: int
    identity: str
    client: str | None
    method: str | None
    verdict: str
    status: int | None
    host: str | None
    service: str
    role: str
    category: str
    path_role: str | None
    path: str | None
    referrer: str | None
    content_type: str | None
    duration_ms: int | None
    bytes_down: int | None
    bytes_up: int | None
    taken_for: str | None
    rule: str | None


def activity(
    ws: Workspace, first: date, last: date, person: str | None = None
) -> list[ActivityRow]:
    """Intervals of local days `first` to `last`, oldest first."""
    start, end = day_bounds(first, ws.settings.zone)[0], day_bounds(last, ws.settings.zone)[1]
    with opened(ws, first, last) as engine:
        return engine.rows("person_activity", ActivityRow, person=person, first=start, last=end)


def usage(
    ws: Workspace,
    first: date,
    last: date,
    gaps: Sequence[FeedGap],
    person: str | None = None,
) -> list[UsageRow]:
    """Minutes a day and category; a day that a feed gap touches has empty numbers."""
    days = gap_days(ws, gaps)
    with opened(ws, first, last) as engine:
        engine.table("gap_days", pa.table({"day": pa.array(sorted(days), pa.date32())}))
        return engine.rows("person_usage", UsageRow, person=person, first_day=first, last_day=last)


def gap_days(ws: Workspace, gaps: Sequence[FeedGap]) -> set[date]:
    """Local days a gap touches in working hours (in any hour where none are worked)."""
    touched: set[date] = set()
    for gap in gaps:
        day = gap.start.astimezone(ws.settings.zone).date()
        while day_bounds(day, ws.settings.zone)[0] < gap.end:
            policy = ws.policy_on(day)
            spans = policy.working_hours.on(day, ws.settings.zone) if policy else []
            hours = spans or [day_bounds(day, ws.settings.zone)]
            if any(gap.start < end and gap.end > start for start, end in hours):
                touched.add(day)
            day += timedelta(days=1)
    return touched


def log_lines(ws: Workspace, first: date, last: date, person: str) -> list[EventRow]:
    """The stored log lines that name a service of the policy's categories, oldest first."""
    start, end = day_bounds(first, ws.settings.zone)[0], day_bounds(last, ws.settings.zone)[1]
    days = [start.date() + timedelta(days=i) for i in range((end.date() - start.date()).days + 1)]
    with (
        Engine.of(ws) as engine,
        ws.state.read() as connection,
    ):
        engine.view(EVENTS, catalogue.parts(connection, EVENTS.name, days))
        # A line's beginning may lie in the local day before the one it was written in.
        signs = [first + timedelta(days=i) for i in range(-1, (last - first).days + 2)]
        engine.view(SIGNS, catalogue.parts(connection, SIGNS.name, signs))
        files = connection.execute(select(FILE.c.id, FILE.c.sha256)).all()
        engine.table(
            "files",
            pa.table(
                {
                    "file": pa.array([f.id for f in files], pa.int32()),
                    "sha256": pa.array([f.sha256 for f in files], pa.string()),
                }
            ),
        )
        return engine.rows("evidence_rows", EventRow, person=person, first=start, last=end)
