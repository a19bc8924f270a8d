"""The visit model, lines in and marks out: every rule by example, and what holds for any lines."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from factory import ELSEWHERE, Row, derived, lake, page, tunnel
from hypothesis import given, settings
from hypothesis import strategies as st
from test_questions import filled, lines, schema

from analytics.derive import LEAD, Day
from analytics.engine import Engine
from analytics.sift import Sought
from config.method import method_on, methods
from lake import catalogue
from lake.datasets import TALLY
from workspace import Workspace

DOCUMENT: Row = yaml.safe_load((Path(__file__).parent / "data" / "visits.yaml").read_text("utf-8"))
DAY: date = DOCUMENT["day"]
CLASSES = {"visit", "continuation", "embedded", "action", "background", "unknown"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(tmp_path_factory.mktemp("engine"), threads=1, memory_mb=256) as opened:
        yield opened


def model(
    engine: Engine, events: Sequence[Row], case: Row, at_once: int = 1000
) -> tuple[Counter[str], list[Any]]:
    """Lines by rule, and marks in the order they began."""
    rows = [{**row, "line": number} for number, row in enumerate(events, 1)]
    categories = filled(DOCUMENT, case, "categories")
    engine.table("categories", pa.Table.from_pylist(categories, schema=schema("categories")))
    for table in ("blocked_services", "blocked_categories", "own_clients"):
        engine.table(table, schema(table).empty_table())
    method = method_on(DAY)
    engine.table("shims", pa.table({"host": pa.array(method.link_shims, pa.string())}))
    first = datetime.combine(DAY, time(), UTC)
    instants = {
        "from": first - LEAD,
        "first": first,
        "last": first + timedelta(days=1),
    }
    given = {"day": DAY, **instants, **method.values}
    social = frozenset(row["category"] for row in categories)
    Day(engine, lines(rows, at_once), Sought(first - LEAD, first, instants["last"], social)).steps(
        given
    )
    for step in ("signs", "tally"):
        engine.make(step, step, **given)
    ask = engine.connection.execute
    rules = dict(ask("SELECT rule, sum(rows)::INTEGER FROM tally GROUP BY rule").fetchall())
    assert {c for (c,) in ask("SELECT DISTINCT class FROM tally").fetchall()} <= CLASSES
    marks = ask(
        "SELECT service, strftime(start, '%H:%M:%S'), epoch(low_end - start)::INTEGER,"
        " epoch(likely_end - start)::INTEGER, epoch(high_end - start)::INTEGER, grade, rule, visit"
        " FROM marks ORDER BY start, service"
    ).fetchall()
    return Counter(rules), [list(m) for m in marks]


@pytest.mark.parametrize("case", DOCUMENT["cases"], ids=lambda c: c["case"])
def test_rules_by_example(engine: Engine, case: Row) -> None:
    rules, marks = model(engine, filled(DOCUMENT, case, "events"), case)
    assert rules == case["rules"]
    assert (len(marks) if isinstance(case["marks"], int) else marks) == case["marks"]


ROLES = st.sampled_from(["site", "asset", "api", "embed"])
LINE = st.fixed_dictionaries(
    {
        "at": st.integers(0, 4 * 3_600_000),
        "lasted": st.sampled_from([0, 400, 30_000, 3_000_000, 90_000_000]),
        "user": st.sampled_from(["ann", "bob", None]),
        "service": st.sampled_from(["facebook", "x", None]),
        "role": ROLES,
        "path_role": st.sampled_from(["page", "file", "embed", "share"]),
        "referrer": st.sampled_from([None, "facebook", "x", "search", "other"]),
        "grain": st.sampled_from(["page", "tunnel", "contact"]),
        "verdict": st.sampled_from(["allowed", "allowed", "allowed", "denied", "auth"]),
        "content_type": st.sampled_from(["text/html", "image/png", "video/mp4", None]),
        "status": st.sampled_from([200, 204, 302, 404, None]),
        "method": st.sampled_from(["GET", "POST", "CONNECT", None]),
        "fetch": st.sampled_from([None, None, "person", "navigation", "frame", "part"]),
        "bytes_down": st.sampled_from([None, 0, 900, 9_000, 90_000, 9_000_000]),
    }
)


def _event(drawn: Row) -> Row:
    row = {k: v for k, v in drawn.items() if k not in ("at", "lasted")}
    start = datetime.combine(DAY, time(8), UTC) + timedelta(milliseconds=drawn["at"])
    listed = row["service"] is not None
    return {
        **row,
        "time": start + timedelta(milliseconds=min(drawn["lasted"], 30_000_000)),
        "duration_ms": drawn["lasted"],
        "identity": "login" if row["user"] else "address",
        "category": "social_network" if listed else None,
        "role": row["role"] if listed else None,
        "path_role": row["path_role"] if listed else None,
        "host": f"{row['service']}.com" if listed else None,
        "source": "main-proxy",
        "file": 1,
    }


@settings(max_examples=40)
@given(lines=st.lists(LINE, max_size=60))
def test_any_lines_add_up_and_bounds_are_in_order(engine: Engine, lines: list[Row]) -> None:
    """Every line has one class and one rule; low ≤ likely ≤ high; the order of arrival is nothing, nor
    is how many lines a lake hands over at once."""
    events = [_event(drawn) for drawn in lines]
    case: Row = {"in": {}}
    rules, marks = model(engine, events, case)
    midnight = datetime.combine(DAY + timedelta(days=1), time(), UTC)
    assert sum(rules.values()) == sum(
        1 for e in events
        if e["time"] - timedelta(milliseconds=e["duration_ms"] if e["duration_ms"] <= 86_400_000 else 0)
        < midnight
    )  # fmt: skip
    assert all(0 <= low <= likely <= high for _, _, low, likely, high, *_ in marks)
    shuffled = random.Random(1).sample(events, len(events))
    assert model(engine, shuffled, case, at_once=3) == (rules, marks)


def test_the_tally_of_a_lake_adds_up_to_its_lines(site: Workspace, now: datetime) -> None:
    """Over midnight, with tunnels that end the day after they began: each line in one day only."""
    draw = random.Random(3)
    first = datetime(2026, 11, 9, 20, tzinfo=UTC)
    rows: list[Row] = []
    for _ in range(600):
        when = first + timedelta(seconds=draw.randrange(12 * 3600))
        kind = draw.choice([page, tunnel])
        other = draw.choice([{}, {}, ELSEWHERE, {"grain": "contact"}, {"verdict": "denied"}])
        rows.append(kind(when, **other, duration_ms=draw.choice([0, 5_000, 7_200_000])))
    lake(site, rows)
    derived(site, now)
    with site.state.read() as connection:
        parts = catalogue.parts(connection, TALLY.name)
    with Engine.of(site) as engine:
        engine.view(TALLY, parts)
        total = engine.connection.execute("SELECT sum(rows)::INTEGER FROM tally").fetchall()
    assert total == [(len(rows),)]


def test_every_number_says_what_it_means_and_where_it_is_from() -> None:
    for method in methods():
        for threshold in method.thresholds.values():
            assert len(threshold.means) > 20
            assert len(threshold.source) >= 10
    assert method_on(date(2026, 11, 20)) is methods()[-1]


@pytest.mark.parametrize(
    ("host", "engine_"),
    [("www.google.com", True), ("google.co.uk", True), ("duckduckgo.com", True),
     ("notgoogle.com.example", False), ("google.com.evil.example", False), ("x.com", False)],
)  # fmt: skip
def test_search_engines(host: str, engine_: bool) -> None:
    assert methods()[-1].is_search_engine(host) is engine_
