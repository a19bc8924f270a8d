"""Findings: weeks that a rule of the policy asks a human to look at, and what speaks against them."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, TypeVar

import pyarrow as pa
from sqlalchemy import select

from analytics import calibration
from analytics.against import (
    CHECKS,
    GRADES,
    IDENTITIES,
    Against,
    Clients,
    devices,
    devices_text,
    permitted_text,
    team_text,
    threshold_text,
)
from analytics.derive import HIGH_CAP_S, LIKELY_CAP_S, LOW_CAP_S, SESSION_S
from analytics.engine import Engine
from analytics.people import gap_days
from analytics.questions import FeedGap, Week, feed_gaps, opened
from config.policy import BlockedSite, ExcessiveUse, Policy, WorkingHoursUse
from state.tables import FINDING, META
from workspace import Workspace


@dataclass(frozen=True)
class DayMeasure:
    """One day of a finding: minutes as an interval, or counted visits to blocked sites."""

    day: date
    low: float
    likely: float
    high: float
    note: str


@dataclass(frozen=True)
class Finding:
    """A matter to look at: never a verdict, never a rank."""

    id: str
    rule: str
    kind: str
    clauses: dict[str, str]
    person: str
    identity: str
    week: str
    first_day: date
    last_day: date
    unit: str
    low: float
    likely: float
    high: float
    threshold: str
    grade: str
    days: list[DayMeasure]
    against: list[Against]
    versions: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Plain data, days as ISO texts."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return plain


DERIVED_BY = {
    "low_cap_s": str(LOW_CAP_S),
    "likely_cap_s": str(LIKELY_CAP_S),
    "high_cap_s": str(HIGH_CAP_S),
    "session_s": str(SESSION_S),
}
"""The numbers of the method, for whoever wants to compute a figure again."""


def findings(ws: Workspace, first: date, last: date, now: datetime) -> list[Finding]:
    """Findings of the weeks that `first` to `last` touch, by week, person and rule.

    The derived datasets must be up to date; days a feed gap touches are left out.
    """
    weeks = sorted({Week.of(first + timedelta(days=i)) for i in range((last - first).days + 1)},
                   key=lambda w: w.first_day)  # fmt: skip
    if not weeks:
        return []
    start, end = weeks[0].first_day, weeks[-1].last_day
    gaps = feed_gaps(ws, start, end, now)
    found: list[Finding] = []
    with opened(ws, start, end) as engine:
        for policy in ws.policies:
            days = [d for w in weeks for d in w.days if ws.policy_on(d) is policy]
            for rule in policy.rules:
                found += _judge(ws, engine, policy, rule, days, gaps)
    return sorted(found, key=lambda f: (f.first_day, f.person, f.rule))


def judge(
    ws: Workspace, days: Sequence[date], again: int, now: datetime
) -> tuple[list[str], list[Finding]]:
    """Judge the last `again` weeks of `days`, and those before that never were; keep the findings.

    An archive read at once is judged whole, while a week long past is not judged anew each night.
    """
    weeks = sorted({Week.of(day) for day in days}, key=lambda w: w.first_day)
    if not weeks:
        return [], []
    recent = weeks[-1].before(again - 1).first_day
    with ws.state.read() as connection:
        row = connection.execute(select(META.c.value).where(META.c.key == "judged")).scalar()
    known = set(json.loads(row)) if row else set()
    due = [w for w in weeks if w.first_day >= recent or str(w) not in known]
    names = [str(w) for w in due]
    found = [f for f in findings(ws, due[0].first_day, due[-1].last_day, now) if f.week in names]
    remember(ws, found, names, now)
    with ws.state.change() as change:
        change.execute(META.delete().where(META.c.key == "judged"))
        change.execute(
            META.insert().values(key="judged", value=json.dumps([str(w) for w in weeks]))
        )
    return names, found


def remember(ws: Workspace, found: Sequence[Finding], weeks: Iterable[str], now: datetime) -> None:
    """Store findings in the place of those of the same weeks."""
    with ws.state.change() as change:
        kept = {f.id: json.dumps(f.as_json(), sort_keys=True) for f in found}
        query = select(FINDING.c.id, FINDING.c.body).where(FINDING.c.week.in_(list(weeks)))
        known = {row.id: row.body for row in change.execute(query)}
        for id_ in known.keys() - kept.keys():
            change.execute(FINDING.delete().where(FINDING.c.id == id_))
        for finding in found:
            if known.get(finding.id) == kept[finding.id]:
                continue
            change.execute(FINDING.delete().where(FINDING.c.id == finding.id))
            change.execute(
                FINDING.insert().values(
                    id=finding.id,
                    rule=finding.rule,
                    person=finding.person,
                    week=finding.week,
                    first_day=finding.first_day.isoformat(),
                    last_day=finding.last_day.isoformat(),
                    body=kept[finding.id],
                    made=now.astimezone(UTC).isoformat(),
                )
            )
        if known != kept:
            change.act(
                "findings",
                time=now,
                actor=ws.actor,
                weeks=sorted(weeks),
                new=sorted(kept.keys() - known.keys()),
                gone=sorted(known.keys() - kept.keys()),
            )


def _judge(
    ws: Workspace,
    engine: Engine,
    policy: Policy,
    rule: ExcessiveUse | WorkingHoursUse | BlockedSite,
    days: Sequence[date],
    gaps: Sequence[FeedGap],
) -> Iterator[Finding]:
    withheld = gap_days(ws, gaps) & set(days)
    judged = [d for d in days if d not in withheld]
    engine.table(
        "judged",
        pa.table(
            {
                "week": pa.array([str(Week.of(d)) for d in judged], pa.string()),
                "day": pa.array(judged, pa.date32()),
            }
        ),
    )
    if isinstance(rule, BlockedSite):
        yield from _blocked(ws, engine, policy, rule, withheld)
    else:
        yield from _time(ws, engine, policy, rule, withheld)


@dataclass(frozen=True)
class _TimeRow:
    user: str
    identity: str
    week: str
    day: date
    low_min: float
    likely_min: float
    high_min: float
    outside_min: float
    grade: str
    visits: int
    contacts: int


@dataclass(frozen=True)
class _BlockedRow:
    user: str
    identity: str
    week: str
    day: date
    category: str
    denied: int
    reached: int


def _time(
    ws: Workspace,
    engine: Engine,
    policy: Policy,
    rule: ExcessiveUse | WorkingHoursUse,
    withheld: set[date],
) -> Iterator[Finding]:
    working = isinstance(rule, WorkingHoursUse) or rule.when == "working_time"
    rows = engine.rows(
        "findings_time", _TimeRow, minutes=rule.minutes, days=rule.days, working_time=working
    )
    where = "in working time" if working else "a day"
    threshold = f"more than {rule.minutes:g} minutes {where} on at least {rule.days} days of a week"
    groups = _by_person_and_week(rows)
    clients = _devices(ws, engine, groups)
    for (user, week), found in groups.items():
        outside = sum(r.outside_min for r in found)
        visits, contacts = sum(r.visits for r in found), sum(r.contacts for r in found)
        peers = team_text(ws, engine, user, found[-1].day, week, working)
        grade = max(r.grade for r in found)
        low, high = sum(r.low_min for r in found), sum(r.high_min for r in found)
        against = {
            "interval": (
                f"The true value lies between {low:.0f} and {high:.0f} minutes by the rules of "
                f"the method; only the lower figure is judged."
            ),
            "grade": f"Evidence of grade {grade}: {GRADES[grade]}.",
            "embedded content": (
                f"{contacts} log lines named social media services on these days; {visits} signs "
                f"of use were counted, all else (buttons, frames, polls, files) counts nothing."
            ),
            "breaks and free time": (
                f"About {outside:.0f} further minutes lay in breaks or outside working hours and "
                f"are not held against anybody."
                if working
                else "The rule counts the whole day; breaks are not taken out."
            ),
            "team": peers,
            "shared device": devices_text(clients.get((user, week))),
        }
        measures = [DayMeasure(r.day, r.low_min, r.likely_min, r.high_min, "") for r in found]
        yield _finding(
            ws, policy, rule, found[0], measures, "minutes", threshold, grade, withheld, against
        )


def _blocked(
    ws: Workspace, engine: Engine, policy: Policy, rule: BlockedSite, withheld: set[date]
) -> Iterator[Finding]:
    rows = engine.rows(
        "findings_blocked", _BlockedRow, attempts=rule.attempts, reached=rule.reached
    )
    threshold = f"{rule.attempts} refused visits or {rule.reached} let through in a week"
    groups = _by_person_and_week(rows)
    clients = _devices(ws, engine, groups)
    for key, found in groups.items():
        measures = [
            DayMeasure(
                r.day,
                float(r.denied + r.reached),
                float(r.denied + r.reached),
                float(r.denied + r.reached),
                f"{r.category}: {r.denied} refused, {r.reached} let through",
            )
            for r in found
        ]
        against = {
            "interval": (
                "Refused requests are counted, not estimated; what a person meant by them the log "
                "does not say."
            ),
            "grade": "Evidence of grade C: names of sites were seen, no pages.",
            "embedded content": (
                "Files, frames and widgets on other sites' pages are left out where the log shows "
                "them; a refused tunnel shows no page, so a link followed by mistake looks the "
                "same. Repeats within a minute are one visit."
            ),
            "breaks and free time": "Blocked sites stay blocked in breaks; hours play no part.",
            "team": "Blocked-site visits are not compared between people.",
            "shared device": devices_text(clients.get(key)),
        }
        yield _finding(
            ws, policy, rule, found[0], measures, "visits", threshold, "C", withheld, against
        )


Row = TypeVar("Row", _TimeRow, _BlockedRow)


def _by_person_and_week(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    groups = groupby(rows, key=lambda r: (r.user, r.week))
    return {key: list(group) for key, group in groups}


def _devices(
    ws: Workspace,
    engine: Engine,
    groups: Mapping[tuple[str, str], Sequence[_TimeRow] | Sequence[_BlockedRow]],
) -> dict[tuple[str, str], Clients]:
    """The devices of all findings at once: each look at them reads the days' events."""
    return devices(ws, engine, [(*key, g[0].day, g[-1].day) for key, g in groups.items()])


def _finding(
    ws: Workspace,
    policy: Policy,
    rule: ExcessiveUse | WorkingHoursUse | BlockedSite,
    row: _TimeRow | _BlockedRow,
    days: list[DayMeasure],
    unit: str,
    threshold: str,
    grade: str,
    withheld: set[date],
    against: dict[str, str],
) -> Finding:
    """Put a finding together; a check that was not made is a bug and raises."""
    week = Week.parse(row.week)
    low, likely, high = (sum(getattr(d, b) for d in days) for b in ("low", "likely", "high"))
    missing = sorted(d for d in withheld if d in week.days)
    made: dict[str, str | Callable[[], str]] = {
        **against,
        "threshold": threshold_text(rule.decided_by, threshold),
        "identity": f"Identity \u201c{row.identity}\u201d: {IDENTITIES[row.identity]}.",
        "permitted and authorised use": lambda: permitted_text(ws, policy, row.user, days[-1].day),
        "missing data": (
            f"Days of this week left out because the log has a gap in them: {len(missing)}."
            if missing
            else "The log has no gap in the working hours of this week."
        ),
        "calibration": calibration.words(ws, week.last_day),
    }
    texts = {check: (t() if callable(t := made[check]) else t) for check in CHECKS}
    # A week may be judged by two policies or versions, each on its own days.
    of = f"{policy.id}|{policy.effective.start}|{rule.id}|{row.user}|{row.week}"
    digest = hashlib.sha256(of.encode())
    return Finding(
        id=digest.hexdigest()[:12],
        rule=rule.id,
        kind=rule.kind,
        clauses={c: policy.clauses[c] for c in rule.clauses},
        person=row.user,
        identity=row.identity,
        week=row.week,
        first_day=days[0].day,
        last_day=days[-1].day,
        unit=unit,
        low=round(low, 2),
        likely=round(likely, 2),
        high=round(high, 2),
        threshold=threshold,
        grade=grade,
        days=days,
        against=[Against(check, text) for check, text in texts.items()],
        versions={**ws.versions, "policy": f"{policy.id} {policy.version}"},
    )
