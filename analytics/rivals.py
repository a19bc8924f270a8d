"""The same person-day under the published rules: what other products would have printed, and why not to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa

from analytics.engine import Engine
from analytics.people import UsageRow, usage
from analytics.questions import feed_gaps
from config.hours import day_bounds
from lake import catalogue
from lake.datasets import EVENTS
from workspace import Workspace


@dataclass(frozen=True)
class Rule:
    """A published rule: what it does, who uses it, where that is written."""

    id: str
    title: str
    products: str
    source: str


RULES: tuple[Rule, ...] = (
    Rule(
        "sum_elapsed",
        "sum of the transfers' times",
        "SARG, LightSquid, SquidAnalyzer",
        "their source code: the column is the sum of the log's elapsed field",
    ),
    Rule(
        "gap5",
        "first to last hit, a pause of 5 minutes ends a session",
        "Fastvue Reporter, WebSpy Vantage",
        "the makers' articles on browsing time",
    ),
    Rule(
        "gap5_plus1",
        "the same, and a minute for each session's last page",
        "Sophos UTM",
        "its help on web usage reporting",
    ),
    Rule(
        "clock_minutes",
        "minutes of the clock with a hit in them",
        "M86 (Marshal) reporter",
        "its documentation",
    ),
    Rule(
        "next_hit_cap3",
        "until the next hit of any site, 3 minutes at most",
        "McAfee Content Security Reporter 2.5",
        "its product guide",
    ),
    Rule(
        "hit_share_5min",
        "each 5 minutes shared out by hits",
        "Smoothwall",
        "its help on web filter reports",
    ),
    Rule(
        "page_view_60s",
        "a minute a page, unless one is running",
        "PAN-OS user activity report; Cisco AsyncOS alike",
        "their documentation",
    ),
)
"""Our own reading of public text and code; a product may filter more than its text says."""

TWOFOLD, FLOOR_MIN = 2.0, 5.0
"""A rule differs where its minutes are more than twice or less than half of ours, and not by a few."""


@dataclass(frozen=True)
class RivalDay:
    """Minutes of social media on one local day by each published rule."""

    user: str
    day: date
    sum_elapsed: float
    gap5: float
    gap5_plus1: float
    clock_minutes: float
    next_hit_cap3: float
    hit_share_5min: float
    page_view_60s: float


@dataclass(frozen=True)
class RivalRow:
    """One rule's minutes on a person-day beside ours; null: no data."""

    user: str
    day: date
    rule: str
    minutes: float
    low_min: float | None
    likely_min: float | None
    high_min: float | None
    differs: bool


@dataclass(frozen=True)
class Line:
    """One rule's minutes over the days of a panel."""

    rule: Rule
    minutes: float
    differs: bool


@dataclass(frozen=True)
class Panel:
    """The same days of one person under every rule, beside our interval for whole days."""

    days: tuple[date, ...]
    low: float
    likely: float
    high: float
    lines: tuple[Line, ...]

    @property
    def first_words(self) -> str | None:
        """What a finding on these days has to say before anything else; None where rules agree."""
        apart = [line for line in self.lines if line.differs]
        if not apart:
            return None
        least = min(apart, key=lambda line: line.minutes)
        most = max(apart, key=lambda line: line.minutes)
        told = _told(most) if least is most else f"{_told(least)}; {_told(most)}"
        return (
            f"Other published rules differ more than twofold from the likely {self.likely:.0f} minutes "
            f"({self.low:.0f} to {self.high:.0f}) of these days, {len(apart)} of {len(self.lines)} of "
            f"them: {told}. Minutes depend on the rule; that is why ours are a range, and its low end is judged."
        )


def _told(line: Line) -> str:
    return f"{line.rule.products}: {line.minutes:.0f} ({line.rule.title})"


def rival_days(
    ws: Workspace, first: date, last: date, people: Collection[str] | None = None
) -> list[RivalDay]:
    """Every person-day with a contact (of these people), by day and person, under every rule."""
    zone = ws.settings.zone
    start, end = day_bounds(first, zone)[0], day_bounds(last, zone)[1]
    days = [start.date() + timedelta(days=i) for i in range((end.date() - start.date()).days + 1)]
    with (
        Engine.of(ws) as engine,
        ws.state.read() as connection,
    ):
        engine.view(EVENTS, catalogue.parts(connection, EVENTS.name, days))
        engine.table("categories", _categories(ws, first, last))
        engine.table("people", pa.table({"user": pa.array(sorted(people or ()), pa.string())}))
        return engine.rows(
            "rivals",
            RivalDay,
            zone=str(zone),
            first=start,
            last=end,
            everybody=people is None,
        )


def panels(
    ws: Workspace, asked: Mapping[str, tuple[str, Collection[date]]], now: datetime
) -> dict[str, Panel | None]:
    """The panel of each (person, days) asked for, by the name it is asked for under.

    The derived datasets must be up to date.
    """
    every = [day for _, days in asked.values() for day in days]
    if not every:
        return dict.fromkeys(asked)
    first, last = min(every), max(every)
    ours = usage(ws, first, last, feed_gaps(ws, first, last, now))
    rows = beside(rival_days(ws, first, last, {person for person, _ in asked.values()}), ours)
    return {name: panel(rows, person, days) for name, (person, days) in asked.items()}


def _categories(ws: Workspace, first: date, last: date) -> pa.Table:
    """What each day's policy calls social media; where none is in force, what any of them does."""
    pairs: list[tuple[date, str]] = []
    for day in (first + timedelta(days=i) for i in range((last - first).days + 1)):
        policy = ws.policy_on(day)
        policies = [policy] if policy else ws.policies
        pairs += [(day, c) for c in sorted({c for p in policies for c in p.categories})]
    return pa.table({
        "day": pa.array([day for day, _ in pairs], pa.date32()),
        "category": pa.array([category for _, category in pairs], pa.string()),
    })  # fmt: skip


def beside(found: Sequence[RivalDay], ours: Sequence[UsageRow]) -> list[RivalRow]:
    """A row a person-day and rule, with our interval for the same day; days without data have none."""
    known = {(u.user, u.day): u for u in ours if u.category == "social_media"}
    rows = []
    for one in found:
        mine = known.get((one.user, one.day))
        low, likely, high = (
            (mine.low_min, mine.likely_min, mine.high_min) if mine else (0.0, 0.0, 0.0)
        )
        for rule in RULES:
            minutes = float(getattr(one, rule.id))
            apart = likely is not None and differs(minutes, likely)
            rows.append(RivalRow(one.user, one.day, rule.id, minutes, low, likely, high, apart))
    return rows


def panel(rows: Sequence[RivalRow], person: str, days: Collection[date]) -> Panel | None:
    """A person's days together; None where no day has both data and a contact.

    Days without data are left out on both sides.
    """
    mine = [r for r in rows if r.user == person and r.day in days and r.likely_min is not None]
    if not mine:
        return None
    first = {r.day: r for r in mine}.values()
    likely = sum(r.likely_min or 0 for r in first)
    lines = []
    for rule in RULES:
        minutes = sum(r.minutes for r in mine if r.rule == rule.id)
        lines.append(Line(rule, minutes, differs(minutes, likely)))
    return Panel(
        tuple(sorted(r.day for r in first)),
        sum(r.low_min or 0 for r in first),
        likely,
        sum(r.high_min or 0 for r in first),
        tuple(lines),
    )


def differs(minutes: float, likely: float) -> bool:
    """Whether a rule's minutes and our likely ones are more than twofold apart, and by over 5."""
    apart = abs(minutes - likely) > FLOOR_MIN
    return apart and (minutes > TWOFOLD * likely or likely > TWOFOLD * minutes)
