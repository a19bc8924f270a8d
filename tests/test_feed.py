"""Gaps of sources of any size: how often a silence that is none is called one, and what is found."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from factory import PAGE, derived, lake
from sqlalchemy import insert

from analytics import feed
from analytics.engine import Engine
from analytics.feed import Delivery, FeedGap, deliveries, missing
from analytics.people import gap_days, usage
from analytics.questions import feed_gaps
from config.hours import day_bounds
from lake.datasets import FEED, INSTANT
from state.tables import FILE
from workspace import Workspace

ZONE = ZoneInfo("Europe/London")
FIRST, WEEKS = date(2026, 8, 31), 13
Lines = dict[tuple[date, int], int]


def office(people: int, seed: int) -> Lines:
    """Lines by day and quarter of people who come, go, fall ill, take leave and are idle at random."""
    rng = np.random.default_rng(seed)
    lines: Lines = {}
    for number in range(WEEKS * 7):
        day = FIRST + timedelta(days=number)
        if day.weekday() >= 5:
            continue
        here = rng.random(people) > 0.15
        busy = rng.gamma(2.0, 15.0, people)
        comes, goes = rng.normal(36, 2, people), rng.normal(68, 4, people)
        lunch = rng.normal(50, 2, people)
        for slot in range(96):
            at_work = here & (slot > comes) & (slot < goes) & (np.abs(slot - lunch) > 2)
            active = at_work & (rng.random(people) < 0.7)
            count = int(rng.poisson(busy[active]).sum())
            if count:
                lines[day, slot] = count
    return lines


def found(engine: Engine, lines: Lines, newest: datetime | None = None) -> list[FeedGap]:
    """The gaps of the last five weeks."""
    days = [FIRST + timedelta(days=i) for i in range(WEEKS * 7)]
    start = {(d, slot): day_bounds(d, ZONE)[0] + timedelta(minutes=15 * slot) for d, slot in lines}
    engine.table("feed", pa.table({
        "source": ["p"] * len(lines),
        "start": pa.array(list(start.values()), INSTANT),
        "lines": list(lines.values()),
    }, schema=pa.schema([(f.name, pa.string() if f.name == "source" else f.type) for f in FEED.schema])))  # fmt: skip
    bounds = [day_bounds(d, ZONE) for d in days]
    worked = [d.weekday() < 5 for d in days]
    engine.table("calendar", pa.table({
        "day": pa.array(days, pa.date32()),
        "working": worked,
        "opens": pa.array([b[0] + timedelta(hours=9) if w else None for b, w in zip(bounds, worked, strict=True)], INSTANT),
        "closes": pa.array([b[0] + timedelta(hours=17) if w else None for b, w in zip(bounds, worked, strict=True)], INSTANT),
        "first": pa.array([b[0] for b in bounds], INSTANT),
        "last": pa.array([b[1] for b in bounds], INSTANT),
    }))  # fmt: skip
    feed.tables(engine, [Delivery("p", 0.0, 0.0, (), 9)], newest or bounds[-1][1])
    return engine.rows(
        "feed_gaps",
        FeedGap,
        zone=str(ZONE),
        **{"from": FIRST + timedelta(weeks=8), "to": days[-1]},
        weeks=feed.RHYTHM_WEEKS,
        chance=feed.CHANCE,
    )


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path, threads=2, memory_mb=400) as opened:
        yield opened


@pytest.mark.parametrize(("people", "most"), [(1, 0.02), (2, 0.01), (5, 0.01), (40, 0.01)])
def test_false_alarms_are_rare_whatever_the_size(engine: Engine, people: int, most: float) -> None:
    """Ten offices of 25 working days; a day on which nobody came truly has no data."""
    offices, wrong = 10, 0
    for seed in range(offices):
        lines = office(people, seed)
        days = {day for day, _ in lines}
        wrong += sum(g.start.astimezone(ZONE).date() in days for g in found(engine, lines))
    assert wrong <= most * offices * 25


@pytest.mark.parametrize(("people", "at_least"), [(2, 0.8), (5, 0.9), (40, 1.0)])
def test_three_hours_missing_in_the_day_are_found(
    engine: Engine, people: int, at_least: float
) -> None:
    hits = 0
    for seed in range(10):
        lines = office(people, seed)
        day = FIRST + timedelta(weeks=11, days=seed % 5)
        for slot in range(40, 52):
            lines.pop((day, slot), None)
        start = day_bounds(day, ZONE)[0] + timedelta(hours=10)
        hits += any(
            g.start <= start and g.end >= start + timedelta(hours=3) for g in found(engine, lines)
        )
    assert hits >= at_least * 10


def test_the_hour_that_comes_twice_and_the_one_that_is_missing_are_no_gaps(engine: Engine) -> None:
    lines = {
        (FIRST + timedelta(days=d), slot): 100
        for d in range(WEEKS * 7)
        for slot in range(100)
        if timedelta(minutes=15 * slot) < _length(FIRST + timedelta(days=d))
    }
    assert found(engine, lines) == []


def _length(day: date) -> timedelta:
    first, last = day_bounds(day, ZONE)
    return last - first


def told(ws: Workspace, read: datetime, newest: datetime, source: str = "main-proxy") -> None:
    """A file that was read."""
    words: dict[str, Any] = dict.fromkeys(("path", "sha256", "format"), "x")
    counts = dict.fromkeys(
        ("stream", "first_line", "lines", "rows", "ignored", "rejected", "duplicate", "expired"), 1
    )
    with ws.state.change() as change:
        change.execute(
            insert(FILE).values(
                **words,
                **counts,
                source=source,
                newest=int(newest.timestamp() * 1000),
                read=read.isoformat(),
            )
        )


def test_a_source_that_comes_late_is_given_its_time(site: Workspace, now: datetime) -> None:
    assert deliveries(site, now) == []
    for day in range(10):
        told(site, now - timedelta(days=day), now - timedelta(days=day, hours=9))
    told(site, now, now - timedelta(days=200))  # an archive says nothing of it
    (one,) = deliveries(site, now)
    assert (one.usual_delay_s, one.ahead_s, one.readings) == (9 * 3600, 0, 10)


def test_lines_from_the_future_withhold_their_day(site: Workspace, now: datetime) -> None:
    told(site, now, now + timedelta(minutes=40))
    (one,) = deliveries(site, now)
    assert one.ahead_s == 2400
    (gap,) = feed_gaps(site, now.date(), now.date(), now)
    assert (gap.kind, gap.source) == ("clock", "main-proxy")
    day = now.date()
    assert gap_days(site, [gap]) == {day}
    assert not missing(site, [gap])[day].empty, "its minutes are minutes"


def at(hour: float, day: int = 12) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC) + timedelta(hours=hour)


@pytest.mark.parametrize(
    ("start", "end", "kind", "empty"),
    [
        (at(11), at(14), "silent", True),
        (at(11), at(14), "late", True),
        (at(20), at(22), "silent", False),  # nobody works then
        (at(16.9), at(22), "silent", True),
        (
            at(2, 14),
            at(3, 14),
            "silent",
            True,
        ),  # a Saturday: no hour is anybody's more than another
    ],
)
def test_a_day_is_no_data_where_hours_of_work_are_missing(
    site: Workspace, start: datetime, end: datetime, kind: Any, empty: bool
) -> None:
    (one,) = missing(site, [FeedGap("p", start, end, kind)]).values()
    assert (one.empty, one.withheld) == (empty, empty)
    assert f"{start:%H:%M}-{end:%H:%M} p" in one.hours


def test_a_person_without_a_line_on_such_a_day_is_not_zero(site: Workspace, now: datetime) -> None:
    lake(site, [{**PAGE, "time": at(9.5, 11)}, {**PAGE, "time": at(9.5, 12)}])
    derived(site, now)
    gap = FeedGap("main-proxy", at(11), at(14))
    rows = usage(site, at(0, 11).date(), at(0, 12).date(), [gap])
    by = {(r.user, r.day.day, r.category): r for r in rows}
    assert by["ann", 11, "social_media"].low_min is not None
    assert by["ann", 11, "social_media"].missing is None
    for user in ("ann", "bob", "kim"):
        one = by[user, 12, "social_media"]
        assert (one.low_min, one.likely_min, one.high_min) == (None, None, None)
        assert one.missing == "11:00-14:00 main-proxy"
    assert ("bob", 11, "social_media") not in by
    evening = usage(
        site, at(0, 12).date(), at(0, 12).date(), [replace(gap, start=at(20), end=at(22))]
    )
    assert evening[0].low_min is not None
    assert evening[0].missing == "20:00-22:00 main-proxy"
