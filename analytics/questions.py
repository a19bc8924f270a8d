"""The questions reports ask: one typed row each, one SQL file each, over the derived datasets."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa

from analytics import feed
from analytics.engine import AT_HAND, Engine
from analytics.feed import FeedGap as FeedGap  # noqa: PLC0414 (whoever asks for gaps)
from config.hours import day_bounds
from lake import catalogue
from lake.datasets import ACTIVITY, BLOCKED, FEED, INSTANT, TALLY, USAGE
from workspace import Workspace

SMALLEST_GROUP = 5
"""Groups below five people are never broken down."""


@dataclass(frozen=True)
class Week:
    """An ISO week of the organisation's days, Monday to Sunday."""

    year: int
    number: int

    @classmethod
    def of(cls, day: date) -> "Week":
        """The week a day lies in."""
        year, number, _ = day.isocalendar()
        return cls(year, number)

    @classmethod
    def parse(cls, text: str) -> "Week":
        """`2026-W45`; raises ValueError."""
        year, sep, number = text.partition("-W")
        if not sep:
            raise ValueError(text)
        week = cls(int(year), int(number))
        _ = week.first_day
        return week

    @property
    def first_day(self) -> date:
        """Its Monday."""
        return date.fromisocalendar(self.year, self.number, 1)

    @property
    def last_day(self) -> date:
        """Its Sunday."""
        return self.first_day + timedelta(days=6)

    @property
    def days(self) -> list[date]:
        """Its seven days."""
        return [self.first_day + timedelta(days=i) for i in range(7)]

    def before(self, weeks: int) -> "Week":
        """The week so many weeks earlier."""
        return Week.of(self.first_day - timedelta(weeks=weeks))

    def __str__(self) -> str:
        return f"{self.year}-W{self.number:02d}"


@dataclass(frozen=True)
class TeamWeek:
    """A team's week; minutes are null where there is no data."""

    week: str
    days_with_data: int
    people_using: int
    low_min: float | None
    likely_min: float | None
    high_min: float | None
    work_low_min: float | None
    work_likely_min: float | None
    work_high_min: float | None
    break_low_min: float | None = None
    break_likely_min: float | None = None
    break_high_min: float | None = None
    outside_low_min: float | None = None
    outside_likely_min: float | None = None
    outside_high_min: float | None = None


@dataclass(frozen=True)
class TeamService:
    """A service's share of a team's week; no name: services of fewer than five people together."""

    name: str | None
    people: int | None
    low_min: float
    likely_min: float
    high_min: float


@dataclass(frozen=True)
class TeamHour:
    """An hour of the day over the week; minutes are null where one to four people were active."""

    hour: int
    low_min: float | None
    likely_min: float | None
    high_min: float | None


@dataclass(frozen=True)
class TeamBlocked:
    """Visits to blocked sites of one category; null where they are of one to four people."""

    category: str
    denied: int | None
    reached: int | None


@dataclass(frozen=True)
class FeedDay:
    """A local day on which any source wrote a line."""

    day: date


@dataclass(frozen=True)
class TeamFigures:
    """Everything a weekly page shows of a team of five or more."""

    weeks: list[TeamWeek]
    services: list[TeamService]
    hours: list[TeamHour]
    blocked: list[TeamBlocked]


@dataclass(frozen=True)
class TallySum:
    """Lines that a rule took for something (docs/time-in-use.md)."""

    taken_for: str
    rule: str
    rows: int


@contextmanager
def opened(ws: Workspace, first: date, last: date) -> Iterator[Engine]:
    """An engine over the derived datasets of local days `first` to `last`."""
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    datasets = (ACTIVITY, USAGE, TALLY, BLOCKED, FEED)
    with ws.state.read() as connection:
        parts = {d: catalogue.parts(connection, d.name, days) for d in datasets}
    with Engine.of(ws) as engine:
        if sum(part.rows for some in parts.values() for part in some) <= AT_HAND:
            engine.alone()
        for dataset, some in parts.items():
            engine.view(dataset, some)
        yield engine


def tally_sums(ws: Workspace, first: date, last: date) -> list[TallySum]:
    """Every line of local days `first` to `last`, by class and rule."""
    with opened(ws, first, last) as engine:
        return engine.rows("tally_sums", TallySum, first=first, last=last)


def team_figures(
    ws: Workspace, engine: Engine, manager: str, week: Week, weeks: int = 8
) -> TeamFigures:
    """A team's figures for `week` and the trend of the `weeks` up to it.

    Each week is that of the people who were in the team then: else two pages of a team somebody
    joined in between would show that person's earlier weeks as their difference.
    """
    zone = ws.settings.zone
    first, last = day_bounds(week.first_day, zone)[0], day_bounds(week.last_day, zone)[1]
    team = {w: _users(ws, manager, w) for w in map(week.before, reversed(range(weeks)))}
    trend = [w for w, users in team.items() if len(users) >= SMALLEST_GROUP]
    rows = [{"week": str(w), "user": user} for w in trend for user in team[w]]
    words = pa.schema([("week", pa.string()), ("user", pa.string())])
    engine.table("weekly_members", pa.Table.from_pylist(rows, schema=words))
    engine.table(
        "weeks",
        pa.table(
            {
                "week": [str(w) for w in trend],
                "first_day": pa.array([w.first_day for w in trend], pa.date32()),
                "last_day": pa.array([w.last_day for w in trend], pa.date32()),
            }
        ),
    )
    engine.make("feed_days", "feed_days", zone=str(zone))
    shown = engine.rows("team_weeks", TeamWeek)
    _words(engine, "members", "user", team[week])
    return TeamFigures(
        weeks=shown,
        services=engine.rows(
            "team_services", TeamService, first=first, last=last, k=SMALLEST_GROUP
        ),
        hours=engine.rows(
            "team_hours", TeamHour, zone=str(zone), first=first, last=last, k=SMALLEST_GROUP
        ),
        blocked=engine.rows(
            "team_blocked",
            TeamBlocked,
            first_day=week.first_day,
            last_day=week.last_day,
            k=SMALLEST_GROUP,
        ),
    )


def _users(ws: Workspace, manager: str, week: Week) -> list[str]:
    return sorted({person.user for person in ws.people.team(manager, week.last_day)})


def fed_days(ws: Workspace, engine: Engine) -> set[date]:
    """Local days on which any source wrote a line."""
    return {row.day for row in engine.rows("feed_days", FeedDay, zone=str(ws.settings.zone))}


def feed_gaps(ws: Workspace, first: date, last: date, now: datetime) -> list[FeedGap]:
    """Gaps of local days `first` to `last`, each day judged by the weeks before it, oldest first."""
    since = first - timedelta(weeks=feed.RHYTHM_WEEKS)
    days = [since + timedelta(days=i) for i in range((last - since).days + 1)]
    delivered = feed.deliveries(ws, now)
    with opened(ws, since, last) as engine:
        engine.table("calendar", _calendar(ws, days))
        feed.tables(engine, delivered, now)
        found = engine.rows(
            "feed_gaps",
            FeedGap,
            zone=str(ws.settings.zone),
            **{"from": first, "to": last},
            weeks=feed.RHYTHM_WEEKS,
            chance=feed.CHANCE,
        )
    ahead = feed.ahead_gaps(ws, delivered, first, last)
    return sorted([*found, *ahead], key=lambda g: (g.start, g.source, g.kind))


def feed_shifts(ws: Workspace, last: date) -> list[feed.Shift]:
    """Sources whose day does not lie where that of the others does, in the weeks up to `last`."""
    with opened(ws, last - timedelta(weeks=4), last) as engine:
        return feed.shifts(engine)


def _calendar(ws: Workspace, days: Sequence[date]) -> pa.Table:
    """Which days are worked, and from when to when."""
    rows: list[dict[str, object]] = []
    for day in days:
        policy = ws.policy_on(day) or (ws.policies[0] if ws.policies else None)
        bounds = day_bounds(day, ws.settings.zone)
        off = policy is None or policy.holidays.on(day)
        hours = [] if policy is None or off else policy.working_hours.on(day, ws.settings.zone)
        rows.append(
            {
                "day": day,
                "working": bool(hours),
                "opens": hours[0][0] if hours else None,
                "closes": hours[-1][1] if hours else None,
                "first": bounds[0],
                "last": bounds[1],
            }
        )
    columns = [("day", pa.date32()), ("working", pa.bool_())]
    instants = [(name, INSTANT) for name in ("opens", "closes", "first", "last")]
    return pa.Table.from_pylist(rows, schema=pa.schema([*columns, *instants]))


def _words(engine: Engine, table: str, column: str, words: Iterable[str]) -> None:
    engine.table(table, pa.table({column: pa.array(sorted(words), pa.string())}))
