"""`fairwatch status`: what IT looks at in the morning."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from analytics.feed import deliveries
from analytics.questions import feed_gaps, feed_shifts
from holds import Hold, holds
from lake import catalogue
from lake.write import instant
from retention import planned, unfinished
from state.tables import ALARM, FILE, RUN
from workspace import Workspace

UNREVIEWED = "REVIEW OVERDUE"


@dataclass(frozen=True)
class LastRun:
    """The newest run of a step."""

    step: str
    started: str
    finished: str | None
    outcome: str
    message: str


@dataclass(frozen=True)
class SourceState:
    """A source's newest line and its gaps in the last seven days it wrote."""

    source: str
    files: int
    rows: int
    rejected: int
    newest: str | None
    gaps: list[str]
    usual_delay_s: float | None
    clock: str | None


@dataclass(frozen=True)
class Status:
    """What IT looks at in the morning."""

    runs: list[LastRun]
    sources: list[SourceState]
    alarms: list[str]
    overdue: list[str]
    holds: list[str]
    first_event: str | None
    last_event: str | None


def status(ws: Workspace, now: datetime) -> Status:
    """Last runs, sources with their gaps, alarms that stand."""
    with ws.state.read() as connection:
        newest = select(func.max(RUN.c.id)).group_by(RUN.c.step)
        runs = connection.execute(select(RUN).where(RUN.c.id.in_(newest)).order_by(RUN.c.id)).all()
        files = connection.execute(
            select(
                FILE.c.source,
                func.count(),
                func.sum(FILE.c.rows),
                func.sum(FILE.c.rejected),
                func.max(FILE.c.newest),
            )
            .group_by(FILE.c.source)
            .order_by(FILE.c.source)
        ).all()
        alarms = connection.execute(select(ALARM).order_by(ALARM.c.key)).all()
        span = catalogue.span(connection, "events")
    gaps = _recent_gaps(ws, now, span)
    delays = {d.source: d.usual_delay_s for d in deliveries(ws, now) if d.readings}
    clocks = _clocks(ws, now) if span else {}
    return Status(
        runs=[LastRun(r.step, r.started, r.finished, r.outcome, r.message) for r in runs],
        sources=[
            SourceState(
                *(name, count, rows, rejected, _iso(last), gaps.get(name, [])),
                *(delays.get(name), clocks.get(name)),
            )
            for name, count, rows, rejected, last in files
        ],
        alarms=[f"{a.key}: {a.message}" for a in alarms],
        overdue=_overdue(ws, now),
        holds=[_hold(h, now) for h in holds(ws, in_force=True)],
        first_event=_iso(span[0]) if span else None,
        last_event=_iso(span[1]) if span else None,
    )


def _overdue(ws: Workspace, now: datetime) -> list[str]:
    """What is due by the plan, and purges that began and never said that they were done."""
    due = [f"{d.item.store} {d.item.name}: {d.reason}" for d in planned(ws, now) if d.remove]
    return due + [
        f"the purge of {when} said what it would remove and never that it was done; run "
        f"`fairwatch retention purge`"
        for when in unfinished(ws)
    ]


def _hold(one: Hold, now: datetime) -> str:
    """A hold in force; one nobody reviewed in time begins with what has to be done."""
    told = f"{one.id}, {one.reason}, {one.owner} answers for it, to be reviewed by {one.review}"
    return f"{UNREVIEWED}: {told}" if one.overdue(now) else told


def _recent_gaps(ws: Workspace, now: datetime, span: Sequence[int] | None) -> dict[str, list[str]]:
    if span is None:
        return {}
    last = now.astimezone(ws.settings.zone).date()
    gaps: dict[str, list[str]] = {}
    for gap in feed_gaps(ws, last - timedelta(days=7), last, now):
        text = f"{gap.start.astimezone(ws.settings.zone):%Y-%m-%d %H:%M} to "
        text += f"{gap.end.astimezone(ws.settings.zone):%Y-%m-%d %H:%M}"
        text += {"silent": "", "late": " (not delivered yet)", "clock": " (clock ahead)"}[gap.kind]
        gaps.setdefault(gap.source, []).append(text)
    return gaps


def _clocks(ws: Workspace, now: datetime) -> dict[str, str]:
    """What speaks against a source's clock: lines from the future, a day that is not the others'."""
    found = {
        d.source: f"lines are up to {d.ahead_s / 60:.0f} minutes ahead of the hour they were read"
        for d in deliveries(ws, now)
        if d.ahead_days
    }
    for shift in feed_shifts(ws, now.astimezone(ws.settings.zone).date()):
        way = "after" if shift.shift_min > 0 else "before"
        text = (
            f"its day lies {abs(shift.shift_min)} minutes {way} that of the other sources "
            f"(likeness {shift.likeness:.2f}, as it is {shift.as_is:.2f}): clock, zone, or other hours?"
        )
        found[shift.source] = "; ".join(filter(None, (found.get(shift.source), text)))
    return found


def _iso(milliseconds: int | None) -> str | None:
    return instant(milliseconds).isoformat() if milliseconds else None
