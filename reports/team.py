"""What a weekly page says of one team: figures, charts and tables, the week's days, the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from analytics import calibration
from analytics.engine import Engine
from analytics.questions import (
    SMALLEST_GROUP,
    FeedGap,
    TeamFigures,
    TeamService,
    TeamWeek,
    Week,
    fed_days,
    team_figures,
)
from config.hours import DAYS, day_bounds
from config.policy import Policy
from config.rules import Rule
from lake.age import first_day_kept
from reports import frames
from reports.charts import Bar, Chart, Group, columns, rows
from reports.frames import ELSE, HIDDEN, NO_DATA, TOGETHER
from reports.render import DASH, NBSP, date_in_words
from workspace import Workspace

if TYPE_CHECKING:
    from reports.frames import Table

TREND_WEEKS = 8
NOTED = {"silent": "", "late": ", not delivered yet", "clock": ", its clock runs ahead"}
LABEL = 30
"""Letters of a name that fit beside a bar; the table has it in full."""


@dataclass(frozen=True)
class Day:
    """One day of the week: when work is done, and what is missing from the logs.

    `expected`: something is missing that should be there; a silent Sunday is not.
    """

    day: date
    worked: str
    data: str
    complete: bool
    expected: bool


@dataclass(frozen=True)
class Average:
    """Minutes a person of the team, low and high."""

    low: float
    high: float


@dataclass(frozen=True)
class Judged:
    """A policy and the days of the week it judges; none: nothing may be judged on those days."""

    policy: Policy | None
    first: date
    last: date


@dataclass(frozen=True)
class Page:
    """Everything the weekly page and its mail are made of; `figures` is None for a small team."""

    organisation: str
    zone: ZoneInfo
    title: str
    week: Week
    size: int
    policies: list[Judged]
    suggested: list[Rule]
    days: list[Day]
    figures: TeamFigures | None
    trend: Chart
    trend_table: Table
    services: Chart
    service_table: Table
    hours: Chart
    hour_table: Table
    blocked_table: Table
    over: bool
    calibration: str

    @property
    def now(self) -> TeamWeek:
        """The week the page is about; only asked of a team that has figures."""
        assert self.figures is not None
        return self.figures.weeks[-1]

    @property
    def before(self) -> TeamWeek | None:
        """The week before it, where that one has data."""
        weeks = self.figures.weeks if self.figures else []
        return weeks[-2] if len(weeks) > 1 and weeks[-2].days_with_data else None

    @property
    def labelled(self) -> list[tuple[TeamWeek, str]]:
        """The weeks of the trend with what they are called."""
        weeks = self.figures.weeks if self.figures else []
        return [(week, _label(week)) for week in weeks]

    @property
    def gaps(self) -> list[Day]:
        """Days whose logs have a hole in them, or are missing though work was done."""
        return [day for day in self.days if day.expected]

    @property
    def average(self) -> Average:
        """The team's minutes over its people: a division, and the only one made here."""
        return Average((self.now.low_min or 0) / self.size, (self.now.high_min or 0) / self.size)

    @property
    def people_using(self) -> str:
        """How many used any, in words."""
        return frames.people(self.now)

    @property
    def authorised(self) -> list[str]:
        """Roles whose work use a policy of the week authorises, each with its clause."""
        policies = [j.policy for j in self.policies if j.policy]
        return sorted({f"role {e.role}, clause {e.clause}" for p in policies for e in p.exempt})

    @property
    def stamped(self) -> list[date]:
        """First days of the weeks whose figures the page shows: what it is as old as."""
        weeks = self.figures.weeks if self.figures else []
        return [Week.parse(w.week).first_day for w in weeks if w.days_with_data]


def trend_weeks(ws: Workspace, week: Week, now: datetime) -> int:
    """How many weeks a page may show without being overdue itself; 0: not even its own."""
    limit = first_day_kept(now, ws.settings.retention.reports)
    return sum(week.before(n).first_day >= limit for n in range(TREND_WEEKS))


def gather(
    ws: Workspace, engine: Engine, gaps: Sequence[FeedGap], manager: str, week: Week, now: datetime
) -> Page:
    """Ask the questions for one manager's team and put the answers into a reader's order."""
    users = sorted({person.user for person in ws.people.team(manager, week.last_day)})
    policies = _policies(ws, week)
    figures = None
    if len(users) >= SMALLEST_GROUP:
        figures = _judged_weeks(
            ws, team_figures(ws, engine, manager, week, trend_weeks(ws, week, now))
        )
    shown = figures or TeamFigures([], [], [], [])
    labels = [_label(w) for w in shown.weeks]
    rest = ELSE if len(shown.services) > 1 else TOGETHER
    names = [rest if s.name is None else ws.sites.name(s.name) for s in shown.services]
    working = _working_hours(policies)
    return Page(
        organisation=ws.settings.organisation.name,
        zone=ws.settings.zone,
        title=name_of(ws, manager),
        week=week,
        size=len(users),
        policies=policies,
        suggested=_suggested(policies),
        days=_days(ws, engine, gaps, week, now),
        figures=figures,
        trend=columns([_trend_group(w, w is shown.weeks[-1]) for w in shown.weeks]),
        trend_table=frames.trend(shown.weeks, labels),
        services=rows([_service_group(n, s) for n, s in zip(names, shown.services, strict=True)]),
        service_table=frames.services(shown.services, names),
        hours=columns(
            [
                Group(
                    f"{h.hour:02d}",
                    (_bar(h.low_min, h.likely_min, h.high_min, HIDDEN),),
                    h.hour in working,
                )
                for h in shown.hours
            ]
        ),
        hour_table=frames.hours(shown.hours, working),
        blocked_table=frames.blocked(shown.blocked),
        over=now >= day_bounds(week.last_day, ws.settings.zone)[1],
        calibration=calibration.words(ws, now.astimezone(ws.settings.zone).date()),
    )


def name_of(ws: Workspace, manager: str) -> str:
    """A manager's name as people.csv has it, else as it was written."""
    person = ws.people.find(manager)
    return (person.name or person.user) if person else manager


def _judged_weeks(ws: Workspace, figures: TeamFigures) -> TeamFigures:
    """Without a policy there are no working hours: none worked is not none counted."""
    weeks = [
        week
        if any(ws.policy_on(day) for day in Week.parse(week.week).days)
        else replace(week, work_low_min=None, work_likely_min=None, work_high_min=None)
        for week in figures.weeks
    ]
    return replace(figures, weeks=weeks)


def _policies(ws: Workspace, week: Week) -> list[Judged]:
    runs = []
    for _, run in groupby(week.days, key=lambda day: id(ws.policy_on(day))):
        days = list(run)
        runs.append(Judged(ws.policy_on(days[0]), days[0], days[-1]))
    return runs


def _suggested(policies: Sequence[Judged]) -> list[Rule]:
    rules: list[Rule] = [rule for j in policies if j.policy for rule in j.policy.rules]
    return [rule for rule in rules if suggestion(rule)]


def suggestion(rule: Rule) -> bool:
    """Whether a rule's numbers are still Fairwatch's own."""
    return rule.decided_by.strip().casefold() == "suggestion"


def _working_hours(policies: Sequence[Judged]) -> list[int]:
    """Hours of the day some day of the week is worked in."""
    spans = [
        span
        for judged in policies
        if judged.policy
        for name in DAYS
        for span in getattr(judged.policy.working_hours, name)
    ]
    return [
        hour
        for hour in range(24)
        if any(start.hour <= hour and (end.hour, end.minute) > (hour, 0) for start, end in spans)
    ]


def _days(
    ws: Workspace, engine: Engine, gaps: Sequence[FeedGap], week: Week, now: datetime
) -> list[Day]:
    fed = fed_days(ws, engine)
    return [_day(ws, day, day in fed, gaps, now) for day in week.days]


def _day(ws: Workspace, day: date, fed: bool, gaps: Sequence[FeedGap], now: datetime) -> Day:
    zone = ws.settings.zone
    first, last = day_bounds(day, zone)
    silent = [
        f"{max(gap.start, first).astimezone(zone):%H:%M}{DASH}"
        f"{min(gap.end, last).astimezone(zone):%H:%M} ({gap.source}{NOTED[gap.kind]})"
        for gap in gaps
        if gap.start < last and gap.end > first
    ]
    if now < last:
        data = "the day was not over when this page was made"
    elif not fed:
        data = NO_DATA
    else:
        data = f"no data {', '.join(silent)}" if silent else "complete"
    worked = _worked(ws, day)
    expected = bool(silent) or (not fed and now >= last and worked[0].isdigit())
    return Day(day, worked, data, fed and not silent and now >= last, expected)


def _worked(ws: Workspace, day: date) -> str:
    policy = ws.policy_on(day)
    if policy is None:
        return "no policy in force"
    holiday = policy.holidays.on(day)
    spans = getattr(policy.working_hours, DAYS[day.weekday()])
    hours = ", ".join(f"{start:%H:%M}{DASH}{end:%H:%M}" for start, end in spans)
    return f"no ({holiday})" if holiday else hours or "no"


def _label(week: TeamWeek) -> str:
    parsed = Week.parse(week.week)
    return f"Week {parsed.number} ({date_in_words(parsed.first_day)})"


def _trend_group(week: TeamWeek, marked: bool) -> Group:
    return Group(
        f"W{NBSP}{Week.parse(week.week).number}",
        (
            _bar(week.low_min, week.likely_min, week.high_min, NO_DATA),
            _bar(week.work_low_min, week.work_likely_min, week.work_high_min, ""),
        ),
        marked,
    )


def _service_group(name: str, row: TeamService) -> Group:
    label = name if len(name) <= LABEL else f"{name[: LABEL - 1]}\N{HORIZONTAL ELLIPSIS}"
    few = row.people is None
    return Group(
        label,
        (
            Bar(None, None, None, HIDDEN)
            if few
            else _bar(row.low_min, row.likely_min, row.high_min, HIDDEN),
        ),
    )


def _bar(low: float | None, likely: float | None, high: float | None, missing: str) -> Bar:
    return Bar(low, likely, high, missing if low is None else "")
