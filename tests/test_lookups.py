"""What is looked up of a finding's days, in one pass over their lines."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_questions import Row, lines

from analytics.engine import Engine
from analytics.lookups import LOOKED_AT, look

FIRST = datetime(2026, 11, 10, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = {date(2026, 11, 10 + n): (FIRST + n * DAY, FIRST + (n + 1) * DAY) for n in range(2)}
WORDS = frozenset({"social_network", "bet365"})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(tmp_path_factory.mktemp("engine"), threads=1, memory_mb=256) as opened:
        yield opened


def looked(
    engine: Engine, rows: list[Row], days: Any = None, at_once: int = 1000
) -> tuple[set[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Both tables."""
    days = days or DAYS
    first = min(first for first, _ in days.values())
    look(engine, lines(rows, at_once)(LOOKED_AT, first), days, WORDS)
    ask = engine.connection.execute
    return (
        {*ask('SELECT "user", client, day FROM client_days').fetchall()},
        ask(
            'SELECT "user", host, category, device_category FROM wanted_lines ORDER BY ALL'
        ).fetchall(),
    )


def at(clock: str, day: int = 10) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day}T{clock}Z")


def test_each_person_and_address_once_a_day(engine: Engine) -> None:
    rows: list[Row] = [
        {"user": "ann", "client": "10.0.0.1", "time": at("00:00")},
        {"user": "ann", "client": "10.0.0.1", "time": at("09:00")},
        {"user": "ann", "client": "10.0.0.1", "time": at("00:00", 11)},
        {"user": "bob", "client": "10.0.0.1", "time": at("23:59:59.999")},
        {"user": "cy", "client": "10.0.0.2", "time": at("00:00", 12)},
        {"user": None, "client": "10.0.0.3", "time": at("11:00")},
        {"user": "PC3$", "client": "10.0.0.1", "time": at("11:30"), "identity": "service"},
        {"user": "ann", "client": None, "time": at("11:00")},
    ]
    found, _ = looked(engine, rows)
    one, two = DAYS
    assert found == {("ann", "10.0.0.1", one), ("ann", "10.0.0.1", two), ("bob", "10.0.0.1", one)}


def test_a_day_of_a_zone_five_and_three_quarter_hours_ahead(engine: Engine) -> None:
    day = date(2026, 11, 11)
    rows = [
        {"user": "ann", "client": "10.0.0.1", "time": at("18:14:59")},
        {"user": "bob", "client": "10.0.0.1", "time": at("18:15")},
    ]
    found, _ = looked(engine, rows, {day: (at("18:15"), at("18:15", 11))})
    assert found == {("bob", "10.0.0.1", day)}


def test_lines_of_the_categories_and_services_asked_for(engine: Engine) -> None:
    common: Row = {"user": "ann", "time": at("09:00")}
    rows: list[Row] = [
        {**common, "host": "www.facebook.com", "service": "facebook", "category": "social_network"},
        {**common, "host": "www.bet365.com", "service": "bet365", "category": "gambling"},
        {**common, "host": "a.example", "service": "a", "category": "video_sharing"},
        {**common, "host": "other", "service": None, "category": None},
        {**common, "host": None, "service": "bet365", "category": "gambling"},
    ]
    _, found = looked(engine, rows)
    assert found == [
        ("ann", "www.bet365.com", "gambling", None),
        ("ann", "www.facebook.com", "social_network", None),
    ]


LINE = st.fixed_dictionaries(
    {
        "user": st.sampled_from(["ann", "bob", "cy", None]),
        "client": st.sampled_from(["10.0.0.1", "10.0.0.2", None]),
        "identity": st.sampled_from(["login", "service", None]),
        "time": st.integers(-3_600_000, 50 * 3_600_000).map(
            lambda ms: FIRST + timedelta(milliseconds=ms)
        ),
    }
)


@settings(max_examples=40)
@given(rows=st.lists(LINE, max_size=40))
def test_any_lines_however_they_are_handed_over(engine: Engine, rows: list[Row]) -> None:
    wanted = {
        (row["user"], row["client"], day)
        for row in rows
        for day, (first, last) in DAYS.items()
        if row["user"] and row["client"] and row["identity"] != "service"
        and first <= row["time"] < last
    }  # fmt: skip
    assert looked(engine, rows)[0] == looked(engine, rows, at_once=3)[0] == wanted


def test_nothing_at_all(engine: Engine) -> None:
    assert looked(engine, []) == (set(), [])
