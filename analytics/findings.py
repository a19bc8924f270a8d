"""Findings: weeks that a rule of the policy asks a human to look at, and what speaks against them."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import TypeVar

import pyarrow as pa

from analytics import rivals, said, terms
from analytics.against import GRADES, NotEvaluated, Said, SpeaksAgainst
from analytics.engine import Engine
from analytics.finding import (
    DayMeasure,
    Finding,
    Judgement,
    Withheld,
    blocked_threshold,
    time_threshold,
)
from analytics.lookups import Host, Looked, Shares, look_up
from analytics.people import gap_days
from analytics.questions import FeedGap, Week, feed_gaps, opened
from config.hours import day_bounds
from config.method import method_on
from config.policy import Policy
from config.rules import EVERY_PART, AnyRule, BlockedSite, DayPart, TimeRule
from workspace import Workspace


def findings(ws: Workspace, first: date, last: date, now: datetime) -> list[Finding]:
    """Findings of the weeks that `first` to `last` touch, by week, person and rule.

    The derived datasets must be up to date; days a feed gap touches are left out.
    """
    return judged(ws, first, last, now).found


def judged(ws: Workspace, first: date, last: date, now: datetime) -> Judgement:
    """Judge the weeks that `first` to `last` touch, each day by the policy in force on it."""
    weeks = sorted({Week.of(first + timedelta(days=i)) for i in range((last - first).days + 1)},
                   key=lambda w: w.first_day)  # fmt: skip
    if not weeks:
        return Judgement([], [])
    start, end = weeks[0].first_day, weeks[-1].last_day
    gaps = _touched(ws, feed_gaps(ws, start, end, now))
    found: list[Finding] = []
    withheld: list[Withheld] = []
    memory = _Memory()
    with opened(ws, start, end) as engine:
        for policy in ws.policies:
            of_policy = [d for w in weeks for d in w.days if ws.policy_on(d) is policy]
            for rule in policy.rules:
                days = [d for d in of_policy if rule.effective.covers(d)]
                if not days:
                    continue
                judge = _Judge(ws, engine, policy, rule, days, gaps & set(days), now, memory)
                for one in judge.findings():
                    found.append(one) if isinstance(one, Finding) else withheld.append(one)
    # By person within a week: an order by minutes would be a table of who uses most.
    found.sort(key=lambda f: (f.first_day, f.person, f.rule))
    return Judgement(found, withheld)


def _touched(ws: Workspace, gaps: Sequence[FeedGap]) -> set[date]:
    """Days a gap lies in, at whatever hour: what a day lacks may speak for the person."""
    touched = gap_days(ws, gaps)
    for gap in gaps:
        day = gap.start.astimezone(ws.settings.zone).date()
        while day_bounds(day, ws.settings.zone)[0] < gap.end:
            touched.add(day)
            day += timedelta(days=1)
    return touched


@dataclass(frozen=True)
class TimeRow:
    """A day of a week above a rule's number of minutes."""

    user: str
    identity: str
    week: str
    day: date
    low_min: float
    likely_min: float
    high_min: float
    uncounted_min: float
    break_min: float
    outside_min: float
    grade: str
    visits: int
    contacts: int


@dataclass(frozen=True)
class BlockedRow:
    """A day's visits to blocked sites of one category."""

    user: str
    identity: str
    week: str
    day: date
    category: str
    denied: int
    reached: int
    lines: int | None
    embedded: int | None
    background: int | None


Row = TypeVar("Row", TimeRow, BlockedRow)
Checks = dict[str, Said | None]
COLUMNS: dict[DayPart, str] = dict(
    zip(EVERY_PART, ("work", "breaks", "outside"), strict=True)
)  # as questions call them


@dataclass
class _Memory:
    """What is the same for many findings: a day's people, and a host's claims on a day."""

    people: dict[date, str] = field(default_factory=dict)
    hosts: dict[tuple[date, str, str | None], bool] = field(default_factory=dict)

    def people_on(self, ws: Workspace, day: date) -> str:
        if day not in self.people:
            self.people[day] = terms.digest([terms.people_on(ws, day), sorted(ws.leave.on(day))])
        return self.people[day]

    def disputed(self, ws: Workspace) -> Callable[[Host], bool]:
        def known(host: Host) -> bool:
            key = (host.day, host.host, host.device_category)
            if key not in self.hosts:
                self.hosts[key] = said.is_disputed(ws, host)
            return self.hosts[key]

        return known


@dataclass(frozen=True)
class _Judge:
    """One rule of one policy on the days it holds; `gaps`: those of them the log has a hole in."""

    ws: Workspace
    engine: Engine
    policy: Policy
    rule: AnyRule
    days: Sequence[date]
    gaps: set[date]
    now: datetime
    memory: "_Memory"

    def findings(self) -> Iterator[Finding | Withheld]:
        self._tables()
        if isinstance(self.rule, BlockedSite):
            yield from self._blocked(self.rule)
        else:
            yield from self._time(self.rule)

    def _tables(self) -> None:
        days = [d for d in self.days if d not in self.gaps]
        weeks = [str(Week.of(d)) for d in days]
        self.engine.table("judged", pa.table(
            {"week": pa.array(weeks, pa.string()), "day": pa.array(days, pa.date32())}
        ))  # fmt: skip
        away = [(user.user, d) for user in self.ws.leave.rows for d in days
                if user.start <= d <= user.end]  # fmt: skip
        self.engine.table("away", pa.table({
            "user": pa.array([user for user, _ in away], pa.string()),
            "day": pa.array([day for _, day in away], pa.date32()),
        }))  # fmt: skip

    def _time(self, rule: TimeRule) -> Iterator[Finding | Withheld]:
        parts = {COLUMNS[part]: int(part in rule.counted) for part in EVERY_PART}
        rows = self.engine.rows(
            "findings_time", TimeRow, minutes=rule.minutes, days=rule.days,
            week_minutes=rule.week_minutes, **parts,
        )  # fmt: skip
        threshold = time_threshold(rule)
        groups = self._groups(rows)
        looked = self._look_up(groups, self.policy.categories)
        asked = {self._id(g[0]): (g[0].user, [r.day for r in g]) for g in groups.values()}
        panels = rivals.panels(self.ws, asked, self.now)
        for key, found in groups.items():
            measures = [DayMeasure(r.day, r.low_min, r.likely_min, r.high_min, "") for r in found]
            grade = max(r.grade for r in found)
            checks: Checks = {
                "interval": said.interval(sum(d.low for d in measures), sum(d.high for d in measures)),
                "grade": Said(f"Evidence of grade {grade}: {GRADES[grade]}.", {"grade": grade}),
                **self._minutes_checks(rule, found, panels[self._id(found[0])]),
                "team": said.team(self.ws, self.engine, key[0], found[-1].day, key[1], parts),
            }  # fmt: skip
            yield self._finding(found, measures, "minutes", threshold, grade, looked, checks)

    def _minutes_checks(
        self, rule: TimeRule, rows: list[TimeRow], panel: rivals.Panel | None
    ) -> Checks:
        whole = sum(r.likely_min + r.uncounted_min for r in rows)
        return {
            "breaks_and_free_time": said.breaks(
                rule, sum(r.break_min for r in rows), sum(r.uncounted_min for r in rows)
            ),
            "after_hours_share": said.after_hours(sum(r.outside_min for r in rows), whole),
            "other_rules": said.other_rules(panel),
        }

    def _blocked(self, rule: BlockedSite) -> Iterator[Finding | Withheld]:
        narrowed = {*rule.categories, *rule.services}
        self.engine.table("narrowed", terms.words("word", narrowed))
        rows = self.engine.rows(
            "findings_blocked", BlockedRow, narrow=bool(narrowed), attempts=rule.attempts,
            reached=rule.reached,
        )  # fmt: skip
        groups = self._groups(rows)
        blocked = [self.policy.blocked_on(day) for day in self.days]
        words = {w for b in blocked for w in (*b.categories, *b.services, *b.hosts)}
        looked = self._look_up(groups, narrowed or words)
        for found in groups.values():
            measures = [_counted(r) for r in found]
            visits = sum(d.low for d in measures)
            checks = said.counted_visits(rule, _lines(found), visits)
            threshold = blocked_threshold(rule)
            yield self._finding(found, measures, "visits", threshold, "C", looked, checks)

    def _groups(self, rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
        """Rows by person and week, of the people the policy is about."""
        groups = {k: list(g) for k, g in groupby(rows, key=lambda r: (r.user, r.week))}
        return {k: g for k, g in groups.items() if self._applies(k[0], g[-1].day)}

    def _applies(self, user: str, day: date) -> bool:
        person = self.ws.people.login(user, day)
        # Of a name that is in no list nothing is known, and the finding says so.
        return person is None or person.kind in self.policy.applies_to

    def _look_up(
        self, groups: Mapping[tuple[str, str], Sequence[TimeRow] | Sequence[BlockedRow]],
        words: Iterable[str],
    ) -> Looked:  # fmt: skip
        asked = {key: sorted({r.day for r in rows}) for key, rows in groups.items()}
        return look_up(self.ws, self.engine, asked, words)

    def _finding(
        self, rows: Sequence[TimeRow] | Sequence[BlockedRow], days: list[DayMeasure], unit: str,
        threshold: str, grade: str, looked: Looked, checks: Checks,
    ) -> Finding | Withheld:  # fmt: skip
        """Put a finding together; where a check could not be made there is none."""
        row, last = rows[0], days[-1].day
        key, on = (row.user, row.week), sorted({d.day for d in days})
        ws, rule, shares = self.ws, self.rule, looked.shares.get(key)
        of_week = [d for d in Week.parse(row.week).days if d in self.gaps]
        made: Checks = {
            "embedded_content": said.embedded(shares, len(on)),
            "background_traffic": said.background(shares, len(on)),
            **checks,
            "threshold": said.threshold(rule, threshold),
            "identity": said.identity(row.identity),
            "shared_device": said.shared_device(looked.devices.get(key)),
            "own_devices": said.own_devices(self.policy, looked.clients.get(key)),
            "leave_and_holidays": said.leave(ws, self.policy, row.user, on),
            "permitted_and_authorised_use": said.permitted(ws, self.policy, row.user, last),
            "list_disputes": said.disputes(looked.hosts.get(key), self.memory.disputed(ws)),
            "missing_data": said.missing(of_week),
            "calibration": said.calibrated(ws, Week.parse(row.week).last_day),
        }
        try:
            against = SpeaksAgainst.of(made)
        except NotEvaluated as lack:
            return Withheld(row.week, rule.id, lack.checks)
        low, likely, high = (sum(getattr(d, b) for d in days) for b in ("low", "likely", "high"))
        return Finding(
            id=self._id(row), rule=rule.id, kind=rule.kind,
            clauses={c: self.policy.clauses[c] for c in rule.clauses},
            person=row.user, identity=row.identity, week=row.week,
            first_day=days[0].day, last_day=last, unit=unit,
            low=round(low, 2), likely=round(likely, 2), high=round(high, 2),
            threshold=threshold, grade=grade, days=days, against=against,
            versions=self._versions(on),
        )  # fmt: skip

    def _id(self, row: TimeRow | BlockedRow) -> str:
        # A week may be judged by two policies, or versions of a rule, each on its own days.
        since = self.rule.effective.start
        version = f"{self.policy.id}|{self.policy.effective.start}|{self.rule.id}"
        version += f"|{since}" if since else ""
        return hashlib.sha256(f"{version}|{row.user}|{row.week}".encode()).hexdigest()[:12]

    def _versions(self, days: Sequence[date]) -> dict[str, str]:
        """What the judgement rests on, of those days: later changes of the files alter nothing."""
        ws, policy = self.ws, self.policy
        sites = sorted({ws.sites.on(day).version for day in days})
        return {
            "policy": f"{policy.id} {policy.version}",
            "policy on these days": terms.digest([policy.held_on(d) for d in days]),
            f"rule {self.rule.id}": policy.version_of(self.rule),
            **{f"clause {c}": terms.digest(policy.clauses[c]) for c in self.rule.clauses},
            "people": terms.digest([self.memory.people_on(ws, d) for d in days]),
            "sites": "; ".join(sites),
            "method": "; ".join(sorted({method_on(day).version for day in days})),
        }  # fmt: skip


def _lines(rows: Sequence[BlockedRow]) -> Shares | None:
    """The log lines behind visits; None where not all of them were counted."""
    lines, embedded, background = (
        [getattr(r, name) for r in rows] for name in ("lines", "embedded", "background")
    )
    if None in (*lines, *embedded, *background):
        return None
    all_, left = sum(lines), sum(embedded) + sum(background)
    days = len({r.day for r in rows})
    return Shares(
        rows[0].user, rows[0].week, days, all_, all_ - left, sum(embedded), sum(background), 0
    )


def _counted(row: BlockedRow) -> DayMeasure:
    number = float(row.denied + row.reached)
    note = f"{row.category}: {row.denied} refused, {row.reached} let through"
    return DayMeasure(row.day, number, number, number, note)
