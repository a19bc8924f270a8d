"""How a source delivers: how late its lines come, whether its clock can be believed, what is missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import pyarrow as pa
from sqlalchemy import select

from analytics.engine import Engine
from config.hours import Interval, day_bounds
from lake.datasets import INSTANT
from lake.write import instant
from state.tables import FILE
from workspace import Workspace

RHYTHM_WEEKS = 8
"""How far back a source's rhythm is looked for: eight of each weekday."""

CHANCE = 0.001
"""A silence is a gap where the source's own rhythm gives it one chance in a thousand at most."""

T_BEYOND = (
    *(22.327, 10.215, 7.173, 5.893, 5.208, 4.785, 4.501, 4.297, 4.144, 4.025, 3.930, 3.852, 3.787),
    *(3.733, 3.686, 3.646, 3.610, 3.579, 3.552, 3.527, 3.505, 3.485, 3.467, 3.450, 3.435, 3.421),
    *(3.408, 3.396),
)
"""Student's t beyond which one draw in a thousand lies, for 2 to 29 degrees of freedom."""

UNKNOWN_DELAY = timedelta(hours=24)
"""How late lines may come from a source that has delivered fewer than three times."""

ARCHIVE = timedelta(days=7)
"""Lines older than this when they are read are an archive, and tell nothing of how a source delivers."""

AHEAD = timedelta(minutes=2)
"""Lines cannot be of a time after they were read: beyond this the source's clock is ahead."""

LIKE, BETTER, CLOCK_DAYS, SHIFT_MIN, MOST_HOURS = 0.7, 0.15, 5, 30, 14


@dataclass(frozen=True)
class FeedGap:
    """What a source does not tell of a time.

    `silent`: it wrote nothing although it usually does; `late`: nothing came since; `clock`: its
    times lie after the instant they were read. `expected`: lines, by its own rhythm.
    """

    source: str
    start: datetime
    end: datetime
    kind: Literal["silent", "late", "clock"] = "silent"
    expected: int = 0


@dataclass(frozen=True)
class Delivery:
    """How a source delivers: seconds its lines usually come late, and most seconds they were early."""

    source: str
    usual_delay_s: float
    ahead_s: float
    ahead_days: tuple[date, ...]
    readings: int


@dataclass(frozen=True)
class Shift:
    """A source's day against that of the others: minutes it lies after theirs, and how alike they are."""

    source: str
    shift_min: int
    likeness: float
    as_is: float
    days: int


def deliveries(ws: Workspace, now: datetime) -> list[Delivery]:
    """Every source's delivery, from when its files were read and how new their last line was."""
    since = (now - timedelta(weeks=RHYTHM_WEEKS)).isoformat()
    query = select(FILE.c.source, FILE.c.read, FILE.c.newest)
    query = query.where(FILE.c.rows > 0, FILE.c.newest > 0, FILE.c.read >= since)
    with ws.state.read() as connection:
        rows = connection.execute(query.order_by(FILE.c.source, FILE.c.id)).all()
    read: dict[str, list[tuple[datetime, datetime]]] = {}
    for row in rows:
        read.setdefault(row.source, []).append(
            (datetime.fromisoformat(row.read), instant(row.newest))
        )
    return [_delivery(ws, source, some) for source, some in sorted(read.items())]


def _delivery(ws: Workspace, source: str, read: Sequence[tuple[datetime, datetime]]) -> Delivery:
    delays = sorted(
        max((at - newest).total_seconds(), 0.0) for at, newest in read if at - newest < ARCHIVE
    )
    known = len(delays) >= 3
    ahead = [(newest - at, newest) for at, newest in read if newest - at > AHEAD]
    zone = ws.settings.zone
    return Delivery(
        source,
        delays[min(int(0.95 * len(delays)), len(delays) - 1)] if known else UNKNOWN_DELAY.total_seconds(),
        max((by.total_seconds() for by, _ in ahead), default=0.0),
        tuple(sorted({newest.astimezone(zone).date() for _, newest in ahead})),
        len(delays),
    )  # fmt: skip


def tables(engine: Engine, delivered: Iterable[Delivery], now: datetime) -> None:
    """Hand over `sources` and `spread`, which the question `feed_gaps` asks for."""
    rows = [(d.source, now - timedelta(seconds=d.usual_delay_s)) for d in delivered]
    engine.table("sources", pa.table({
        "source": pa.array([s for s, _ in rows], pa.string()),
        "until": pa.array([u for _, u in rows], INSTANT),
    }))  # fmt: skip
    engine.table("spread", pa.table({
        "days": pa.array(range(3, 3 + len(T_BEYOND)), pa.int32()),
        "t": pa.array(T_BEYOND, pa.float64()),
    }))  # fmt: skip


def ahead_gaps(ws: Workspace, delivered: Iterable[Delivery], first: date, last: date) -> list[FeedGap]:  # fmt: skip
    """Days on which a source's clock was seen to run ahead of the one that read it."""
    return [
        FeedGap(d.source, *day_bounds(day, ws.settings.zone), "clock")
        for d in delivered
        for day in d.ahead_days
        if first <= day <= last
    ]


def shifts(engine: Engine) -> list[Shift]:
    """Sources whose day lies half an hour or more before or after that of the others.

    Nothing is withheld for it: another zone, or other hours of work, look the same as a wrong clock.
    """
    found = engine.rows("feed_clocks", Shift, most=MOST_HOURS)
    return [
        s
        for s in found
        if s.days >= CLOCK_DAYS
        and abs(s.shift_min) >= SHIFT_MIN
        and s.likeness >= LIKE
        and s.likeness - s.as_is >= BETTER
    ]


@dataclass(frozen=True)
class Missing:
    """What is missing of a local day: the hours in words, and whether its minutes are no data."""

    day: date
    hours: str
    empty: bool
    withheld: bool


def missing(ws: Workspace, gaps: Sequence[FeedGap]) -> dict[date, Missing]:
    """Local days a gap touches.

    A day is no data, and nothing of it is judged, where a gap lies in hours somebody works: those of
    the policy or of a person's own pattern; where nobody works, any hour. A clock that is ahead
    withholds the day from judgement, but its minutes are minutes.
    """
    zone = ws.settings.zone
    touched: dict[date, list[FeedGap]] = {}
    for gap in gaps:
        day = gap.start.astimezone(zone).date()
        while day_bounds(day, zone)[0] < gap.end:
            touched.setdefault(day, []).append(gap)
            day += timedelta(days=1)
    return {day: _missing(ws, day, some) for day, some in sorted(touched.items())}


def _missing(ws: Workspace, day: date, gaps: Sequence[FeedGap]) -> Missing:
    zone = ws.settings.zone
    first, last = day_bounds(day, zone)
    hours = worked(ws, day) or [(first, last)]
    inside = {g.kind for g in gaps if any(g.start < b and g.end > a for a, b in hours)}
    words = [
        f"{max(g.start, first).astimezone(zone):%H:%M}-{min(g.end, last).astimezone(zone):%H:%M} "
        f"{g.source}" + {"silent": "", "late": " (not delivered yet)", "clock": " (clock ahead)"}[g.kind]
        for g in gaps
    ]  # fmt: skip
    return Missing(day, "; ".join(words), bool(inside - {"clock"}), bool(inside))


def worked(ws: Workspace, day: date) -> list[Interval]:
    """The hours in which anybody works: the policy's, and those of people's own patterns."""
    policy = ws.policy_on(day)
    if policy is None or policy.holidays.on(day):
        return []
    zone = ws.settings.zone
    patterns = [p.pattern for p in ws.people.rows if p.pattern and p.on(day)]
    return [*policy.working_hours.on(day, zone), *(s for p in patterns for s in p.on(day, zone))]
