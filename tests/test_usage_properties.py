"""Whatever the signs of use are: the minutes are their union, inside the day, and in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_questions import schema

from analytics.engine import Engine, sql
from config.hours import day_bounds

LONDON = ZoneInfo("Europe/London")
DAYS = [date(2026, 11, 10), date(2026, 3, 29), date(2026, 10, 25)]
"""A plain day, and those of 23 and 25 hours."""

CATEGORIES = {"facebook": "social_network", "x": "social_network", "youtube": "video_sharing"}
PARTS = ("work", "break", "outside")
MILLISECOND_MIN = 1 / 60_000
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Mark:
    """A sign of use: milliseconds from the beginning of the day, and how long it may stand for."""

    user: str
    service: str
    start: int
    low: int
    likely: int
    high: int


@st.composite
def marks(draw: st.DrawFn) -> Mark:
    low, likely, high = sorted(draw(st.lists(st.integers(0, 900_000), min_size=3, max_size=3)))
    # Some near midnight, most near each other, so that they overlap.
    start = draw(
        st.one_of(
            st.integers(-300_000, 600_000),
            st.integers(36_000_000, 38_000_000),
            st.integers(81_000_000, 82_799_999),
        )
    )
    service = draw(st.sampled_from(sorted(CATEGORIES)))
    return Mark(draw(st.sampled_from(["ann", "bob"])), service, start, low, likely, high)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(tmp_path_factory.mktemp("union"), threads=2, memory_mb=256) as opened:
        yield opened


def union(spans: list[Span]) -> float:
    """Minutes covered, by looking at every piece between two ends."""
    ends = sorted({end for span in spans for end in span})
    covered = sum(
        ((b - a) for a, b in pairwise(ends) if any(s <= a and b <= e for s, e in spans)),
        timedelta(),
    )
    return covered / timedelta(minutes=1)


def within(spans: list[Span], hours: list[Span]) -> float:
    """Minutes covered inside some hours."""
    pieces = [(max(a, s), min(b, e)) for a, b in spans for s, e in hours]
    return union([(a, b) for a, b in pieces if a < b])


def answer(
    engine: Engine, found: list[Mark], day: date, work: list[Span]
) -> dict[tuple[str, str], dict[str, float]]:
    """usage.sql over these marks, by user and category."""
    first, last = day_bounds(day, LONDON)
    at = [first + timedelta(milliseconds=m.start) for m in found]
    rows = [
        {
            "user": m.user,
            "identity": "login",
            "service": m.service,
            "category": CATEGORIES[m.service],
            "start": start,
            "low_end": start + timedelta(milliseconds=m.low),
            "likely_end": start + timedelta(milliseconds=m.likely),
            "high_end": start + timedelta(milliseconds=m.high),
            "grade": "B",
            "rule": "U1",
            "visit": True,
        }
        for m, start in zip(found, at, strict=True)
    ]
    hours = [{"user": None, "start": a, "end": b, "part": "working_time"} for a, b in work]
    pauses = [(a[1], b[0]) for a, b in pairwise(work)]
    hours += [{"user": None, "start": a, "end": b, "part": "breaks"} for a, b in pauses]
    tables = {"marks": rows, "hours": hours, "contacts": [], "excused": [], "own": []}
    for table, content in tables.items():
        engine.table(table, pa.Table.from_pylist(content, schema=schema(table)))
    cursor = engine.connection.execute(sql("usage"), {"day": day, "first": first, "last": last})
    columns = [d[0] for d in cursor.description or []]
    answers = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return {(a["user"], a["category"]): a for a in answers}


def clipped(found: list[Mark], user: str, category: str, bound: str, inside: Span) -> list[Span]:
    """The spans a sum is made of, cut to `inside`."""
    first, last = inside
    spans = []
    for m in found:
        if m.user != user or category not in (CATEGORIES[m.service], "social_media", "judged"):
            continue
        start = first + timedelta(milliseconds=m.start)
        spans.append((start, start + timedelta(milliseconds=getattr(m, bound))))
    return [(max(a, first), min(b, last)) for a, b in spans if max(a, first) < min(b, last)]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(found=st.lists(marks(), min_size=1, max_size=14), day=st.sampled_from(DAYS))
def test_minutes_are_a_union(engine: Engine, found: list[Mark], day: date) -> None:
    first, last = day_bounds(day, LONDON)
    noon = datetime(day.year, day.month, day.day, 10, 20, tzinfo=UTC)
    work = [
        (noon - timedelta(hours=1), noon),
        (noon + timedelta(minutes=5), noon + timedelta(hours=2)),
    ]
    answers = answer(engine, found, day, work)
    for (user, category), row in answers.items():
        for bound in ("low", "likely", "high"):
            spans = clipped(found, user, category, bound, (first, last))
            minutes = row[f"{bound}_min"]
            assert minutes == pytest.approx(union(spans), abs=MILLISECOND_MIN)
            assert minutes <= (last - first) / timedelta(minutes=1) + MILLISECOND_MIN
            total = sum(((b - a) for a, b in spans), timedelta()) / timedelta(minutes=1)
            assert minutes <= total + MILLISECOND_MIN
            worked, paused = within(spans, work), within(spans, [(work[0][1], work[1][0])])
            assert row[f"work_{bound}_min"] == pytest.approx(worked, abs=MILLISECOND_MIN)
            assert row[f"break_{bound}_min"] == pytest.approx(paused, abs=MILLISECOND_MIN)
            parts = sum(row[f"{part}_{bound}_min"] for part in PARTS)
            assert parts == pytest.approx(minutes, abs=MILLISECOND_MIN)
        assert row["low_min"] <= row["likely_min"] <= row["high_min"]
        for part in PARTS:
            low, likely, high = (row[f"{part}_{b}_min"] for b in ("low", "likely", "high"))
            assert 0 <= low <= likely <= high <= row["high_min"] + MILLISECOND_MIN


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(found=st.lists(marks(), min_size=1, max_size=14), data=st.data())
def test_the_order_of_the_signs_changes_nothing(
    engine: Engine, found: list[Mark], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(found))
    assert answer(engine, found, DAYS[0], []) == answer(engine, shuffled, DAYS[0], [])


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(found=st.lists(marks(), min_size=1, max_size=10), more=marks())
def test_one_more_sign_never_takes_minutes_away(
    engine: Engine, found: list[Mark], more: Mark
) -> None:
    fewer = answer(engine, found, DAYS[0], [])
    for key, row in answer(engine, [*found, more], DAYS[0], []).items():
        if key in fewer:
            for bound in ("low_min", "likely_min", "high_min"):
                assert row[bound] >= fewer[key][bound] - MILLISECOND_MIN
