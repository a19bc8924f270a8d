"""Every question of analytics/sql: a few input rows, and the rows it answers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml

from analytics import calibration, feed, findings, lists, lookups, people, questions, rivals
from analytics.derive import LEAD, QUESTIONS, WRITTEN, Day, Read
from analytics.engine import Engine, parameters, sql
from analytics.engine import questions as names
from analytics.sift import Sought
from lake.datasets import DATASETS, EVENTS, INSTANT

DATA = Path(__file__).parent / "data" / "questions"
CLOCK = re.compile(r"^\d\d:\d\d(:\d\d(\.\d{1,3})?)?$")
Row = dict[str, Any]

TEXT, DAY = pa.string(), pa.date32()
SMALL: dict[str, dict[str, pa.DataType]] = {
    "marks": {
        "user": TEXT, "identity": TEXT, "service": TEXT, "category": TEXT, "start": INSTANT,
        "low_end": INSTANT, "likely_end": INSTANT, "high_end": INSTANT, "grade": TEXT,
        "rule": TEXT, "visit": pa.bool_(),
    },
    "contacts": {"user": TEXT, "category": TEXT, "contacts": pa.int32()},
    "categories": {"day": DAY, "category": TEXT},
    "hours": {"user": TEXT, "start": INSTANT, "end": INSTANT, "part": TEXT},
    "own": {"user": TEXT, "service": TEXT, "start": INSTANT},
    "own_clients": {"client": TEXT},
    "away": {"user": TEXT, "day": DAY},
    "narrowed": {"word": TEXT},
    "wanted": {"word": TEXT},
    "asked_days": {"user": TEXT, "week": TEXT, "day": DAY},
    "excused": {"user": TEXT, "service": TEXT},
    "blocked_services": {"service": TEXT},
    "blocked_categories": {"category": TEXT},
    "changed": {"host": TEXT, "was": TEXT, "kind": TEXT},
    "known_findings": {"person": TEXT, "week": TEXT},
    "calendar": {
        "day": DAY, "working": pa.bool_(), "opens": INSTANT, "closes": INSTANT, "first": INSTANT,
        "last": INSTANT,
    },
    "sources": {"source": TEXT, "until": INSTANT},
    "spread": {"days": pa.int32(), "t": pa.float64()},
    "unknown": {"user": TEXT, "day": DAY},
    "judged": {"week": TEXT, "day": DAY},
    "members": {"user": TEXT},
    "people": {"user": TEXT},
    "weekly_members": {"week": TEXT, "user": TEXT},
    "days": {"day": DAY, "first": INSTANT, "last": INSTANT},
    "client_days": {"user": TEXT, "client": TEXT, "day": DAY},
    "wanted_lines": {
        "user": TEXT, "time": INSTANT, "host": TEXT, "category": TEXT, "device_category": TEXT,
    },
    "asked": {"user": TEXT, "week": TEXT, "first_day": DAY, "last_day": DAY},
    "weeks": {"week": TEXT, "first_day": DAY, "last_day": DAY},
    "feed_days": {"day": DAY},
    "gap_days": {"day": DAY, "hours": TEXT, "empty": pa.bool_()},
    "files": {"file": pa.int32(), "sha256": TEXT},
}  # fmt: skip
"""Tables that are handed over or made on the way, and are no datasets."""

ROWS: dict[str, type[Any]] = {
    "calibration_rows": calibration.Logged,
    "evidence_rows": people.EventRow,
    "feed_clocks": feed.Shift,
    "feed_gaps": feed.FeedGap,
    "finding_clients": lookups.Client,
    "finding_hosts": lookups.Host,
    "finding_shares": lookups.Shares,
    "findings_blocked": findings.BlockedRow,
    "list_impact": lists.Impact,
    "stored_hosts": lists.StoredHost,
    "findings_time": findings.TimeRow,
    "peer_median": lookups.Peers,
    "person_activity": people.ActivityRow,
    "person_usage": people.UsageRow,
    "rivals": rivals.RivalDay,
    "shared_clients": lookups.Clients,
    "tally_sums": questions.TallySum,
    "team_blocked": questions.TeamBlocked,
    "team_hours": questions.TeamHour,
    "team_services": questions.TeamService,
    "team_weeks": questions.TeamWeek,
}
"""Questions answered with typed rows."""

SIFTED = ("blocked", "clients", "contacts", "feed", "own")
"""Questions shown by lines that were read once (analytics/sift.py), as they are in a day's derivation."""

CHAIN = {*QUESTIONS, "signs", "tally"} - {*WRITTEN, *SIFTED, "activity", "usage"}
"""Questions that only mean something in a row: tests/data/visits.yaml shows what they do."""

KEPT = ("activity", "usage", "blocked", "feed")
"""Questions whose answers are datasets of the same name."""

BETWEEN = ("contacts", "own", "clients", "feed_days")
"""Questions whose answers other questions use."""


def schema(table: str) -> pa.Schema:
    """A table's columns, words as plain text as DuckDB reads them from Parquet."""
    if table in SMALL:
        return pa.schema(list(SMALL[table].items()))
    plain = [
        (f.name, TEXT if pa.types.is_dictionary(f.type) else f.type) for f in DATASETS[table].schema
    ]
    return pa.schema(plain)


def value(cell: Any, day: date) -> Any:
    """`09:00:30` is that instant of the file's day (UTC); `2026-11-10T09:00Z` any instant."""
    if isinstance(cell, str) and CLOCK.match(cell):
        return datetime.combine(day, time.fromisoformat(cell), UTC)
    if isinstance(cell, str) and re.match(r"^\d{4}-\d\d-\d\dT[\d:.]+Z$", cell) and len(cell) < 24:
        return datetime.fromisoformat(cell)
    return cell


def repeated(row: Row) -> Iterator[Row]:
    """A row, or with `repeat: {columns, steps: [[seconds, times], …]}` a grid of them."""
    grid = row.pop("repeat", None)
    offsets = [0]
    for seconds, times in grid["steps"] if grid else []:
        offsets = [o + seconds * i for o in offsets for i in range(times)]
    for offset in offsets:
        moved = {c: row[c] + timedelta(seconds=offset) for c in (grid or {}).get("columns", [])}
        yield {**row, **moved}


def filled(document: Row, case: Row, table: str) -> list[Row]:
    """A case's rows of a table: the file's defaults, then the row's kind, then what it says."""
    rows: list[Row] = []
    given_rows = {**document.get("always", {}), **case["in"]}.get(table, [])
    for number, given in enumerate(given_rows, 1):
        kind = document.get("kinds", {}).get(given.get("kind", ""), {})
        row = {**document.get("defaults", {}).get(table, {}), **kind, **given}
        if "kind" not in schema(table).names:
            row.pop("kind", None)
        row = {k: value(v, document["day"]) for k, v in row.items()}
        if table == "events":
            row.setdefault("line", number)
        rows += repeated(row)
    return rows


def load(question: str) -> Row:
    """A question's file."""
    document: Row = yaml.safe_load((DATA / f"{question}.yaml").read_text("utf-8"))
    return document


def ask(engine: Engine, question: str, document: Row, case: Row) -> tuple[list[str], list[Row]]:
    """Columns and rows of the answer."""
    given = _tables(engine, document, case)
    params = {name: given[name] for name in parameters(question)}
    cursor = engine.connection.execute(sql(question), params)
    columns = [d[0] for d in cursor.description or []]
    return columns, [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _tables(engine: Engine, document: Row, case: Row) -> Row:
    params = {**document.get("params", {}), **case.get("params", {})}
    params = {k: value(v, document["day"]) for k, v in params.items()}
    for table in document["tables"]:
        rows = filled(document, case, table)
        made = pa.Table.from_pylist(rows, schema=schema(table))
        engine.table(table, made)
    if document.get("sifted"):
        _sifted(engine, filled(document, case, "events"), params)
    return params


def lines(rows: list[Row], at_once: int = 1 << 17) -> Read:
    """Rows of events as a lake hands them over, so many a batch."""
    full = [{name: row.get(name) for name in EVENTS.schema.names} for row in rows]
    table = pa.Table.from_pylist(full, schema=schema("events")).cast(EVENTS.schema)

    def read(columns: Sequence[str], since: datetime) -> list[pa.RecordBatch]:
        late = pc.greater_equal(table["time"], pa.scalar(since, INSTANT))
        batches: list[pa.RecordBatch] = table.filter(late).select([*columns]).to_batches(at_once)
        return batches

    return read


def _sifted(engine: Engine, events: list[Row], params: Row) -> None:
    """The tables a day's derivation has by then."""

    def words(table: str) -> frozenset[str]:
        return frozenset(
            row[-1] for row in engine.connection.execute(f"SELECT * FROM {table}").fetchall()
        )

    for table in ("categories", "blocked_services", "blocked_categories", "own_clients"):
        made = engine.connection.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_name = $1", [table]
        ).fetchall()
        if made == [(0,)]:
            engine.table(table, schema(table).empty_table())
    first, last = params["first"], params["last"]
    sought = Sought(
        first - LEAD, first, last,
        *map(words, ("categories", "blocked_services", "blocked_categories")),
    )  # fmt: skip
    day = Day(engine, lines(events), sought)
    engine.make("named", "named", first=first, last=last)
    day.followed({})


CASES = [
    pytest.param(path.stem, index, id=f"{path.stem}: {case['case']}")
    for path in sorted(DATA.glob("*.yaml"))
    for index, case in enumerate(yaml.safe_load(path.read_text("utf-8"))["cases"])
]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An empty engine."""
    with Engine(tmp_path, threads=2, memory_mb=256) as opened:
        yield opened


@pytest.mark.parametrize(("question", "index"), CASES)
def test_answers(engine: Engine, question: str, index: int) -> None:
    document = load(question)
    case = document["cases"][index]
    columns, found = ask(engine, question, document, case)
    want = [{k: value(v, document["day"]) for k, v in row.items()} for row in case["out"]]
    shown = list(want[0]) if want else columns
    assert set(shown) <= set(columns)
    answer = [{name: row[name] for name in shown} for row in found]
    if "ORDER BY" not in sql(question).rpartition("\nFROM")[2]:
        answer.sort(key=repr)
        want.sort(key=repr)
    assert [_approx(row) for row in answer] == [_approx(row) for row in want]


def _approx(row: Row) -> Row:
    return {k: round(v, 6) if isinstance(v, float | int) else v for k, v in row.items()}


@pytest.mark.parametrize("question", names())
def test_has_a_file_and_a_header(question: str) -> None:
    assert question in CHAIN or (DATA / f"{question}.yaml").is_file(), "nothing shows what it does"
    head = "\n".join(line for line in sql(question).splitlines() if line.startswith("--"))
    assert re.match(r"^-- [A-Z].*\.", head), "opens with a sentence"
    assert re.search(r"^-- in:", head, re.MULTILINE)
    assert re.search(r"^-- out:", head, re.MULTILINE)
    body = re.sub(r"--.*", "", sql(question))
    asked = head[head.index("-- in:") : head.index("-- out:")]
    assert set(re.findall(r"\$(\w+)", body)) == set(re.findall(r"\$(\w+)", asked))


def test_every_file_is_a_question() -> None:
    assert sorted(CHAIN | {p.stem for p in DATA.glob("*.yaml")}) == names()
    assert sorted([*ROWS, *KEPT, *BETWEEN, *CHAIN]) == names()


@pytest.mark.parametrize("question", ROWS)
def test_typed_rows_have_the_answers_columns(engine: Engine, question: str) -> None:
    document = load(question)
    columns, _ = ask(engine, question, document, document["cases"][0])
    assert columns == [f.name for f in fields(ROWS[question])]
    params = _tables(engine, document, document["cases"][0])
    for row in engine.rows(question, ROWS[question], **params):
        assert isinstance(row, ROWS[question])


@pytest.mark.parametrize("question", KEPT)
def test_datasets_have_the_answers_columns(engine: Engine, question: str) -> None:
    document = load(question)
    columns, _ = ask(engine, question, document, document["cases"][0])
    assert sorted(columns) == sorted(DATASETS[question].schema.names)


def test_a_row_with_other_fields_is_refused(engine: Engine) -> None:
    document = load("peer_median")
    params = _tables(engine, document, document["cases"][0])
    with pytest.raises(TypeError, match="answers"):
        engine.rows("peer_median", lookups.Clients, **params)
