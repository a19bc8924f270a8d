"""The year: what is due and why, that exactly this goes, and that nothing older hides anywhere."""

import gzip
import json
import sqlite3
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import make_site, squid_line, write_lines
from factory import again, derived, edited, lake, page, rows_table, snapshot, utc, write_part
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

import retention
from clock import believe_clock
from config.settings import Retention
from errors import Overdue, UnsafeDeletion
from ingest.discover import given as given_files
from ingest.run import ingest
from lake import catalogue
from lake.age import anniversary, due, first_day_kept
from lake.datasets import DATASETS, EVENTS, REJECTS
from lake.files import remove
from lake.stores import CLOCKED, STORES
from retention import Item, inventory, plan, planned, purge, verify
from state.tables import FILE, METADATA, RUN
from workspace import Workspace, open_site

LIMIT = date(2025, 11, 21)
"""The first day kept on the day the tests play: 20 November 2025 has had its year."""

OLD = utc("2025-11-20 12:00")
KEPT = utc("2025-11-21 00:00")
RECENT = utc("2026-11-19 09:00")


# When a day is due ----------------------------------------------------------------------------

days_ = st.dates(date(2001, 1, 1), date(2090, 12, 31))
keeps = st.none() | st.integers(28, 365)


def test_the_year_ends_on_the_same_date() -> None:
    assert anniversary(date(2025, 11, 20)) == date(2026, 11, 20)
    assert due(date(2025, 11, 20), None) == date(2026, 11, 20)
    assert due(date(2025, 11, 20), 90) == date(2026, 2, 18)
    assert first_day_kept(datetime(2026, 11, 20, tzinfo=UTC), None) == LIMIT


def test_29_february_goes_sooner() -> None:
    assert anniversary(date(2024, 2, 29)) == date(2025, 2, 28)
    assert anniversary(date(2024, 2, 28)) == date(2025, 2, 28)
    assert anniversary(date(2027, 2, 28)) == date(2028, 2, 28)
    assert first_day_kept(datetime(2025, 2, 28, tzinfo=UTC), None) == date(2024, 3, 1)
    assert first_day_kept(datetime(2028, 2, 29, tzinfo=UTC), None) == date(2027, 3, 1)


def test_a_day_is_a_utc_day() -> None:
    almost = datetime.fromisoformat("2026-11-20T23:30:00-05:00")
    assert first_day_kept(almost, None) == date(2025, 11, 22)


@given(today=days_, keep=keeps, age=st.integers(0, 800))
def test_nothing_kept_is_older_than_a_calendar_year(
    today: date, keep: int | None, age: int
) -> None:
    first = first_day_kept(datetime(today.year, today.month, today.day, tzinfo=UTC), keep)
    assert first <= today
    assert (first.year, first.month, first.day) > (today.year - 1, today.month, today.day)
    day = today - timedelta(days=age)
    assert (day >= first) == (due(day, keep) > today), "the plan and the limit agree"


@given(today=days_, one=keeps, other=keeps)
def test_a_shorter_keep_never_keeps_longer(today: date, one: int | None, other: int | None) -> None:
    longer, shorter = sorted((one, other), key=lambda k: 999 if k is None else k, reverse=True)
    now = datetime(today.year, today.month, today.day, tzinfo=UTC)
    assert first_day_kept(now, shorter) >= first_day_kept(now, longer)
    assert due(today, shorter) <= due(today, longer)


@given(today=days_, keep=keeps)
def test_the_limit_never_goes_back(today: date, keep: int | None) -> None:
    now = datetime(today.year, today.month, today.day, tzinfo=UTC)
    assert first_day_kept(now + timedelta(days=1), keep) >= first_day_kept(now, keep)


# The plan -------------------------------------------------------------------------------------


def test_a_plan_is_pure_and_says_why(now: datetime) -> None:
    items = [
        Item("events", "lake/events/b", LIMIT, 5, "partition"),
        Item("events", "lake/events/a", LIMIT - timedelta(days=1), 5, "partition"),
        Item("usage", "lake/usage/a", date(2026, 9, 1), 5, "partition"),
        Item("state.run", "run", date(2020, 1, 1), 5, "row"),
    ]
    kept = Retention(usage="30 days")
    decisions = plan(items, kept, now)
    assert decisions == plan(reversed(items), kept, now)
    assert [(d.item.name, d.remove) for d in decisions] == [
        ("lake/events/a", True),
        ("lake/events/b", False),
        ("run", True),
        ("lake/usage/a", True),
    ]
    assert decisions[0].reason == (
        "its oldest event, 2025-11-20, was kept for one calendar year, until 2026-11-20"
    )
    assert decisions[1].reason.endswith("is kept for one calendar year, until 2026-11-21")
    assert "30 days, until 2026-10-01" in decisions[3].reason


def test_every_store_and_table_has_a_limit() -> None:
    keys = {*Retention.model_fields} - {"largest_share"} | {"rights"}
    assert {d.keep for d in DATASETS.values()} <= keys
    assert {s.keep for s in STORES if s.keep} <= keys | {"access"}, (
        "a bundle's is the longest of all"
    )
    assert {c.keep for c in CLOCKED} <= keys
    assert all(s.keep for s in STORES if s.goes not in ("row", "never", "release"))
    known = {c.table for c in CLOCKED} | {"meta", "part"}
    assert known == set(METADATA.tables), "a table without a clock grows for ever"
    for clock in CLOCKED:
        assert clock.column in METADATA.tables[clock.table].c


# The purge ------------------------------------------------------------------------------------


def aged(ws: Workspace) -> Workspace:
    """A site with something old and something recent in every store."""
    rows = [page(OLD), page(KEPT), *(page(RECENT + timedelta(minutes=i)) for i in range(9))]
    lake(ws, rows)
    derived(ws, OLD + timedelta(hours=1))  # the ledger's first month
    old_reject = {
        "time": OLD,
        "source": "main-proxy",
        "file": 1,
        "line": 3,
        "reason": "r",
        "shape": "9",
    }
    with ws.state.change() as change:
        catalogue.add(
            change.connection,
            [write_part(ws, [old_reject], OLD.date(), "00000001-0000", REJECTS)],
        )
        change.execute(FILE.insert().values(_file("old.gz", OLD)))
        change.execute(FILE.insert().values(_file("new.gz", RECENT)))
        for started in (OLD, RECENT):
            change.execute(
                RUN.insert().values(
                    job="nightly", step="ingest", started=started.isoformat(), outcome="done",
                    message="",
                )
            )  # fmt: skip
        change.act("settings", time=RECENT, actor="test", file="policy.yaml")
    _put(ws, "reports/2025-W47/kim.html", b"<time datetime='2025-11-20'>20 November</time>\n")
    _put(ws, "reports/2026-W46/kim.html", b"<time datetime='2026-11-10'>10 November</time>\n")
    _pack(ws, "evidence/C-2025-0001.zip", "2025-11-20T09:00:00.000Z,main-proxy\n")
    _pack(ws, "evidence/C-2026-0001.zip", "2026-11-10T09:00:00.000Z,main-proxy\n")
    _put(ws, "logs/fairwatch.log.1", b"2025-11-20 02:30:00 nightly done\n")
    _put(ws, "work/left.parquet.tmp", b"what a killed run left")
    return ws


def _file(name: str, newest: datetime) -> dict[str, object]:
    zero = dict.fromkeys(("rows", "ignored", "rejected", "duplicate", "expired"), 0)
    return {
        "stream": 1, "source": "main-proxy", "path": name, "sha256": "", "format": "squid",
        "first_line": 1, "lines": 9, "newest": int(newest.timestamp() * 1000),
        "read": newest.isoformat(), **zero,
    }  # fmt: skip


def _put(ws: Workspace, name: str, content: bytes) -> Path:
    path = ws.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _pack(ws: Workspace, name: str, rows: str) -> Path:
    path = ws.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{path.stem}/data/rows.csv", "time,source\n" + rows)
        archive.writestr(f"{path.stem}/data/configuration/policy.json", '"2014-04-01"')
    return path


def run_purge(ws: Workspace, now: datetime, *, confirmed: bool = False) -> retention.Purge:
    with ws.alone():
        return purge(ws, now, confirmed=confirmed)


def days_of(ws: Workspace, dataset: str) -> set[str]:
    with ws.state.read() as connection:
        return {p.day for p in catalogue.parts(connection, dataset)}


def test_exactly_what_is_due_goes(site: Workspace, now: datetime) -> None:
    ws = aged(site)
    due_names = {d.item.name for d in planned(ws, now) if d.remove}
    done = run_purge(ws, now)
    assert {i.name for i in done.removed} == due_names
    for dataset in ("events", "usage", "activity", "feed", "blocked"):
        assert days_of(ws, dataset) == {"2025-11-21", "2026-11-19"}, dataset
    assert days_of(ws, "rejects") == set()
    left = set(snapshot(ws.folder))
    assert not {n for n in left if "2025-11-20" in n or n.startswith("work/")}
    assert "reports/2026-W46/kim.html" in left
    assert "reports/2025-W47/kim.html" not in left
    assert "evidence/C-2026-0001.zip" in left
    assert "evidence/C-2025-0001.zip" not in left
    assert "logs/fairwatch.log.1" not in left
    with ws.state.read() as connection:
        assert list(connection.execute(select(FILE.c.path)).scalars()) == ["new.gz"]
        assert list(connection.execute(select(RUN.c.started)).scalars()) == [RECENT.isoformat()]
    assert done.verification.clean
    assert verify(ws, now).clean
    assert run_purge(ws, now).removed == []


def test_a_dropped_segment_leaves_its_head(site: Workspace, now: datetime) -> None:
    ws = aged(site)
    assert [p.name for p in ws.ledger.segments()] == ["2025-11.jsonl", "2026-11.jsonl"]
    before = [line.act for line in ws.ledger.lines() if line.segment == "2026-11.jsonl"]
    run_purge(ws, now)
    assert [p.name for p in ws.ledger.segments()] == ["2026-11.jsonl"]
    assert [h.segment for h in ws.ledger.heads()] == ["2025-11.jsonl"]
    ws.ledger.verify()
    after = [line.act for line in ws.ledger.lines()]
    assert after[: len(before)] == before
    assert [a["act"] for a in after[len(before) :]] == [
        *("purge intent", "purge marks", "purge done")
    ]


def test_deleted_rows_are_not_in_the_files(site: Workspace, now: datetime) -> None:
    ws = aged(site)
    assert b"old.gz" in _database(ws)
    run_purge(ws, now)
    assert b"old.gz" not in _database(ws)


def _database(ws: Workspace) -> bytes:
    return b"".join(p.read_bytes() for p in (ws.folder / "state").glob("fairwatch.db*"))


def test_kept_rows_are_untouched(site: Workspace, now: datetime) -> None:
    ws = aged(site)
    before = snapshot(ws.folder / "lake")
    run_purge(ws, now)
    after = snapshot(ws.folder / "lake")
    assert after == {k: v for k, v in before.items() if "2025-11-20" not in k}


def test_the_intent_precedes_the_deed(
    site: Workspace, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = aged(site)
    said: list[list[str]] = []

    def watched(path: Path) -> None:
        said.append([line.act["act"] for line in ws.ledger.lines()])
        remove(path)

    monkeypatch.setattr(retention, "remove", watched)
    run_purge(ws, now)
    assert "purge intent" in said[0]
    assert "purge done" not in said[0]


def test_a_plan_changes_nothing(site: Workspace, now: datetime) -> None:
    ws = aged(site)
    before = snapshot(ws.folder / "lake"), snapshot(ws.folder / "reports")
    assert planned(ws, now) == planned(ws, now)
    assert (snapshot(ws.folder / "lake"), snapshot(ws.folder / "reports")) == before
    assert {i.store for i in inventory(ws, now)} >= {
        "events", "rejects", "usage", "reports", "evidence", "logs", "ledger", "state.file",
        "state.run",
    }  # fmt: skip


# Canaries -------------------------------------------------------------------------------------


def in_the_wrong_partition(ws: Workspace) -> str:
    part = write_part(ws, [page(RECENT), page(OLD)], RECENT.date(), "99999999-0000")
    with ws.state.change() as change:  # catalogued by its name, as a bug would do it
        young = {**vars(part), "oldest": part.newest}
        catalogue.add(change.connection, [catalogue.Part(**young)])
    return part.path


def unknown_partition(ws: Workspace) -> str:
    return write_part(ws, [page(OLD)], RECENT.date(), "88888888-0000").path


def among_rejects(ws: Workspace) -> str:
    row = {"time": OLD, "source": "main-proxy", "file": 1, "line": 3, "reason": "r", "shape": "9"}
    return write_part(ws, [row], RECENT.date(), "99999999-0000", REJECTS).path


def temporary(ws: Workspace) -> str:
    path = ws.folder / "work" / "events-2026-11-19-1.parquet.tmp"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(rows_table([page(OLD)], EVENTS), path)
    return str(path.relative_to(ws.folder))


def old_page(ws: Workspace) -> str:
    _put(ws, "reports/2026-W46/kim.html", b"<p>fine</p>\n<p>since 2025-11-20</p>\n")
    return "reports/2026-W46/kim.html"


def old_pack(ws: Workspace) -> str:
    _pack(ws, "evidence/C-2026-0009.zip", "2025-11-20T09:00:00.000Z,main-proxy\n")
    return "evidence/C-2026-0009.zip"


def pack_in_a_pack(ws: Workspace) -> str:
    inner = _pack(ws, "evidence/C-2026-0009.zip", "2025-11-20T09:00:00.000Z,main-proxy\n")
    with zipfile.ZipFile(ws.folder / "evidence/all.zip", "w") as archive:
        archive.write(inner, "all/inner.zip")
    inner.unlink()
    return "evidence/all.zip"


def export_in_the_folder(ws: Workspace) -> str:
    _put(ws, "export for bob.csv", b"user,day\r\nann,2026-11-10\r\nann,2025-11-20\r\n")
    return "export for bob.csv"


def packed_log(ws: Workspace) -> str:
    path = ws.folder / "incoming/main-proxy/access.log-1.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(f"{squid_line(RECENT)}\n{squid_line(OLD)}\n".encode()))
    return str(path.relative_to(ws.folder))


def combined_log(ws: Workspace) -> str:
    line = b'10.0.0.1 - ann [20/Nov/2025:12:00:00 +0000] "GET http://x/ HTTP/1.1" 200 5\n'
    _put(ws, "incoming/branch.log", line)
    return "incoming/branch.log"


def state_row(ws: Workspace) -> str:
    with ws.state.change() as change:
        change.execute(FILE.insert().values(_file("old.gz", OLD)))
    return "state/fairwatch.db"


def unknown_table(ws: Workspace) -> str:
    with sqlite3.connect(ws.folder / "state/fairwatch.db") as database:
        database.execute("CREATE TABLE backup_of_events (at TEXT, who TEXT)")
        database.execute("INSERT INTO backup_of_events VALUES ('2025-11-20T09:00', 'ann')")
    return "state/fairwatch.db"


def copied_database(ws: Workspace) -> str:
    with sqlite3.connect(ws.folder / "copy.bak") as database:
        database.execute("CREATE TABLE t (at TEXT)")
        database.execute("INSERT INTO t VALUES ('2025-11-20')")
    return "copy.bak"


CANARIES: list[Callable[[Workspace], str]] = [
    in_the_wrong_partition, unknown_partition, among_rejects, temporary, old_page, old_pack,
    pack_in_a_pack, export_in_the_folder, packed_log, combined_log, state_row, unknown_table,
    copied_database,
]  # fmt: skip
BY_HAND = (export_in_the_folder, packed_log, combined_log, unknown_table, copied_database)
"""What no store of Fairwatch's claims, or what it only reads: a person has to remove it."""


@pytest.mark.parametrize("plant", CANARIES, ids=lambda plant: plant.__name__)
def test_whatever_is_old_is_found(
    site: Workspace, now: datetime, plant: Callable[[Workspace], str]
) -> None:
    lake(site, [page(RECENT)])
    assert verify(site, now).clean
    where = plant(site)
    found = verify(site, now)
    assert not found.clean
    assert len(found.overdue) == 1
    assert found.overdue[0].startswith(f"{where}: 1 of ")
    assert "from 2025-11-20" in found.overdue[0]
    assert sum(s.overdue_rows for s in found.stores) == 1
    assert min(s.oldest_event for s in found.stores if s.oldest_event) == OLD.date()
    told = json.loads(json.dumps(found.as_json()))
    assert told["clean"] is False
    assert where in retention.sentence(found)


@pytest.mark.parametrize("plant", CANARIES, ids=lambda plant: plant.__name__)
def test_done_is_never_said_over_a_canary(
    site: Workspace, now: datetime, plant: Callable[[Workspace], str]
) -> None:
    lake(site, [page(RECENT)])
    where = plant(site)
    claimed = plant not in BY_HAND and plant is not in_the_wrong_partition
    if claimed:
        run_purge(site, now)
        assert verify(site, now).clean
        return
    with pytest.raises(Overdue) as refused:
        run_purge(site, now)
    assert where in str(refused.value)
    acts = [line.act["act"] for line in site.ledger.lines()]
    assert acts[-1] == "purge incomplete"
    assert "purge done" not in acts


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("incoming/cut.gz", gzip.compress(b"2026-11-10 " * 500, mtime=0)[:-20]),
        ("incoming/bent.gz", bytes(b ^ (i == 40) * 255 for i, b in enumerate(gzip.compress(bytes(range(256)) * 9, mtime=0)))),
        ("lake/events/2026-11-19/x.parquet", b"PAR1 and no more"),
        ("evidence/x.zip", b"PK\x03\x04 and no more"),
        ("copy.db", b"SQLite format 3\0" + b"x" * 200),
        ("incoming/x.bz2", b"BZh9 and no more"),
        ("incoming/x.xz", b"\xfd7zXZ\x00 and no more"),
        ("incoming/x.zst", b"\x28\xb5\x2f\xfd and no more"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_what_cannot_be_read_is_not_clean(
    site: Workspace, now: datetime, name: str, content: bytes
) -> None:
    _put(site, name, content)
    found = verify(site, now)
    assert not found.clean
    assert [e for s in found.stores for e in s.unreadable if e.startswith(name)]


def test_a_locked_archive_is_not_clean(site: Workspace, now: datetime) -> None:
    path = _pack(site, "evidence/locked.zip", "2026-11-10\n")
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := raw.find(signature, at + 1)) >= 0:
            raw[at + offset] |= 1
    path.write_bytes(raw)
    found = verify(site, now)
    assert not found.clean
    assert [e for s in found.stores for e in s.unreadable if "locked.zip" in e]


def test_a_partition_whose_key_is_gone_is_told_and_never_clean(
    site: Workspace, now: datetime
) -> None:
    lake(site, [page(RECENT)])
    part = write_part(site, [page(OLD)], date(2026, 11, 18), "copy")
    site.keys.destroy([part.key or ""])
    found = verify(site, now)
    [told] = [e for s in found.stores for e in s.unreadable]
    assert told.startswith(f"{part.path}: no key (destroyed)")
    copy = _put(site, "backup/of/yesterday.parquet", (site.folder / part.path).read_bytes())
    (site.folder / part.path).unlink()
    [told] = [e for s in verify(site, now).stores for e in s.unreadable]
    assert told.startswith(f"{copy.relative_to(site.folder)}: no key (destroyed)")


OPEN: list[sqlite3.Connection] = []


def dropped_table(ws: Workspace) -> str:
    """Rows in free pages of the state database, written by a program that erases nothing."""
    _unscrubbed(ws, "CREATE TABLE copy (at TEXT)", "INSERT INTO copy VALUES ('2025-11-20T09:00')",
                "DROP TABLE copy").close()  # fmt: skip
    return "state/fairwatch.db"


def deleted_row(ws: Workspace) -> str:
    """A row of ours in a gap of a page that is still in use."""
    values = _file("access.log-20251120T0900.gz", OLD)
    names, marks = ", ".join(f'"{n}"' for n in values), ", ".join("?" * len(values))
    connection = _unscrubbed(ws)
    connection.execute(f"INSERT INTO file ({names}) VALUES ({marks})", list(values.values()))
    connection.execute("DELETE FROM file")
    connection.commit()
    connection.close()
    return "state/fairwatch.db"


def row_in_the_log(ws: Workspace) -> str:
    """A row that was deleted again and is only in the write-ahead log: somebody holds it open."""
    connection = _unscrubbed(ws)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    values = _file("x.gz", OLD)
    names, marks = ", ".join(f'"{n}"' for n in values), ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO file ({names}) VALUES ({marks})", list(values.values()))
    connection.commit()
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("DELETE FROM file")
    connection.commit()
    OPEN.append(connection)
    return "state/fairwatch.db-wal"


def _unscrubbed(ws: Workspace, *statements: str) -> sqlite3.Connection:
    connection = sqlite3.connect(ws.folder / "state/fairwatch.db")
    connection.execute("PRAGMA secure_delete=OFF")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    return connection


@pytest.mark.parametrize("plant", [dropped_table, deleted_row, row_in_the_log])
def test_what_deleted_rows_left_in_the_state_is_found_and_scrubbed(
    site: Workspace, now: datetime, plant: Callable[[Workspace], str]
) -> None:
    lake(site, [page(RECENT)])
    where = plant(site)
    found = verify(site, now)
    assert [e for e in found.overdue if e.startswith(f"{where}: ")]
    run_purge(site, now)
    assert verify(site, now).clean
    while OPEN:
        OPEN.pop().close()


def test_the_days_a_state_tells_of_are_no_events(site: Workspace, now: datetime) -> None:
    """Buried days, cases and catalogue name days long gone, in the database and in its log."""
    held = sqlite3.connect(site.folder / "state/fairwatch.db")
    held.execute("BEGIN")
    held.execute("SELECT count(*) FROM part").fetchone()  # a reader: the log stays as it is
    with site.state.change() as change:
        catalogue.bury(
            change.connection, "events", ["2025-11-02", "2025-11-03"], RECENT.isoformat()
        )
    lake(site, [page(RECENT)])
    assert (site.folder / "state/fairwatch.db-wal").stat().st_size
    assert verify(site, now).overdue == []
    held.close()


# What is refused ------------------------------------------------------------------------------


def test_a_clock_far_ahead(site: Workspace, now: datetime) -> None:
    ws = aged(site)
    before = snapshot(ws.folder / "lake")
    with pytest.raises(UnsafeDeletion, match="2027"):
        run_purge(ws, now + timedelta(days=400))
    assert snapshot(ws.folder / "lake") == before


def test_a_clock_far_ahead_for_several_nights(site: Workspace, now: datetime) -> None:
    """The runs of a wrong clock leave acts behind; these do not make it right."""
    ws = aged(site)
    wrong = now + timedelta(days=400)
    for night in range(3):
        at = wrong + timedelta(days=night)
        with ws.state.change() as change:
            change.act("run", time=at, actor="test", step="ingest", outcome="done")
        with pytest.raises(UnsafeDeletion):
            run_purge(ws, at + timedelta(minutes=1))
    run_purge(ws, now + timedelta(days=1))  # set right again


def test_a_person_may_confirm_the_clock(site: Workspace, now: datetime) -> None:
    ws = aged(site)
    later = now + timedelta(days=100)
    with pytest.raises(UnsafeDeletion):
        run_purge(ws, later)
    run_purge(ws, later, confirmed=True)
    run_purge(ws, later + timedelta(days=1))


def test_a_site_that_hears_nothing_any_more_still_purges(site: Workspace, now: datetime) -> None:
    """The proxy was taken away; the nightly runs go on and delete what is due."""
    lake(site, [page(RECENT + timedelta(minutes=i)) for i in range(3)])
    for night in range(0, 120, 10):
        with site.state.change() as change:
            change.act("run", time=now + timedelta(days=night), actor="test", step="ingest",
                       outcome="done")  # fmt: skip
        run_purge(site, now + timedelta(days=night, minutes=1))


def test_a_clock_behind(site: Workspace, now: datetime) -> None:
    ws = aged(site)
    with pytest.raises(UnsafeDeletion, match="Set the clock"):
        run_purge(ws, now - timedelta(days=30))


def test_a_share_above_the_largest(site: Workspace, now: datetime) -> None:
    rows = [page(OLD + timedelta(seconds=i)) for i in range(60)]
    lake(site, [*rows, *(page(RECENT + timedelta(seconds=i)) for i in range(40))])
    with pytest.raises(UnsafeDeletion, match=r"60 of 100 events.*50%"):
        run_purge(site, now)
    assert days_of(site, "events") == {"2025-11-20", "2026-11-19"}
    run_purge(site, now, confirmed=True)
    assert days_of(site, "events") == {"2026-11-19"}


def test_the_largest_share_is_a_setting(site: Workspace, now: datetime) -> None:
    lake(site, [page(OLD), page(RECENT)])
    assert len(run_purge(site, now).removed) == 1
    tight = edited(site, "fairwatch.yaml", ("largest_share: 0.5", "largest_share: 0.4"))
    lake(tight, [page(KEPT), page(KEPT), page(RECENT)], "00000002-0000")
    with pytest.raises(UnsafeDeletion):
        run_purge(tight, now + timedelta(days=1, hours=1))


# Never again ----------------------------------------------------------------------------------


def test_late_lines_of_a_purged_day_expire(site: Workspace, now: datetime, tmp_path: Path) -> None:
    short = edited(site, "fairwatch.yaml", ("events: 1 year", "events: 90 days"))
    gone = utc("2026-07-01 09:00")
    rows = [page(gone), *(page(RECENT + timedelta(minutes=i)) for i in range(9))]
    lake(short, rows, "before")
    run_purge(short, now)
    assert days_of(short, "events") == {"2026-11-19"}
    longer = edited(short, "fairwatch.yaml", ("events: 90 days", "events: 1 year"))
    log = write_lines(tmp_path / "late.log", [squid_line(gone), squid_line(RECENT)])
    with longer.alone():
        report = ingest(longer, given_files(longer, [log], None, "squid"), now)[0]
    assert (report.counts.expired, report.counts.rows) == (1, 1)
    assert days_of(longer, "events") == {"2026-11-19"}
    derived(longer, now)
    assert "2026-07-01" not in days_of(longer, "usage")


def test_lines_older_than_the_limit_expire(site: Workspace, now: datetime, tmp_path: Path) -> None:
    log = write_lines(tmp_path / "old.log", [squid_line(OLD), squid_line(KEPT)])
    with site.alone():
        report = ingest(site, given_files(site, [log], None, "squid"), now)[0]
    assert (report.counts.expired, report.counts.rows) == (1, 1)
    assert verify(site, now).clean


def test_what_cannot_be_unlinked_is_never_said_to_be_gone(
    site: Workspace, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = aged(site)

    def stuck(path: Path) -> None:
        if "2025-11-20" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        remove(path)

    monkeypatch.setattr(retention, "remove", stuck)
    with pytest.raises(Overdue, match="2025-11-20"):
        run_purge(ws, now)
    acts = [line.act["act"] for line in ws.ledger.lines()]
    assert "purge done" not in acts
    assert not verify(ws, now).clean
    monkeypatch.setattr(retention, "remove", remove)
    run_purge(again(ws), now)
    assert verify(ws, now).clean
    assert not [n for n in snapshot(ws.folder) if "2025-11-20" in n]


def test_shortened_then_lengthened_brings_nothing_back(site: Workspace, now: datetime) -> None:
    lake(
        site,
        [page(utc("2026-07-01 09:00")), *(page(RECENT + timedelta(minutes=i)) for i in range(9))],
    )
    derived(site, now)
    short = edited(site, "fairwatch.yaml", ("usage: 1 year", "usage: 60 days"))
    run_purge(short, now)
    assert days_of(short, "usage") == {"2026-11-19"}
    assert "2026-07-01" in days_of(short, "activity")
    longer = edited(short, "fairwatch.yaml", ("usage: 60 days", "usage: 1 year"))
    derived(longer, now)
    assert days_of(longer, "usage") == {"2026-11-19"}, "purged is purged"


@pytest.mark.parametrize("zone", ["Europe/London", "America/Los_Angeles", "Pacific/Auckland"])
def test_local_days_go_with_their_year(tmp_path: Path, now: datetime, zone: str) -> None:
    """Days of a zone end at another hour than UTC days: none outlives its year by it."""
    folder = make_site(
        tmp_path / "site", lambda t: t.replace("Europe/London  ", f"{zone}  ").replace("share: 0.5", "share: 1")
    )  # fmt: skip
    ws = open_site(folder, "test")
    first = utc("2025-11-19 00:30")
    lake(ws, [page(first + timedelta(hours=h)) for h in range(96)])
    derived(ws, first + timedelta(days=5))
    with ws.state.change() as change:
        change.act("run", time=now - timedelta(days=1), actor="test")
    for later in range(4):
        run_purge(ws, now + timedelta(days=later), confirmed=True)
        derived(ws, now + timedelta(days=later))
        assert verify(ws, now + timedelta(days=later)).clean


def test_verify_reads_what_is_stored_now(site: Workspace, now: datetime) -> None:
    lake(site, [page(RECENT)])
    told = verify(site, now).as_json()
    assert told["limit"] == LIMIT.isoformat()
    assert told["clean"] is True
    events = next(s for s in told["stores"] if s["store"] == "events")
    assert events == {
        "store": "events", "files": 1, "rows": 1, "oldest_event": "2026-11-19",
        "overdue_rows": 0, "unreadable": [],
    }  # fmt: skip
    assert "Nothing older than 2025-11-21" in retention.sentence(verify(site, now))


def test_an_archive_read_on_the_first_day_makes_no_clock_suspicious(
    site: Workspace, now: datetime
) -> None:
    """Acts of today about lines of half a year ago are no reason to doubt the clock."""
    when = now - timedelta(days=180)
    with site.state.change() as change:
        change.act("ingest", time=now, actor="test")
    lake(site, [page(when)])
    believe_clock(site, now)
    believe_clock(site, now + timedelta(days=1))
    with pytest.raises(UnsafeDeletion):
        believe_clock(site, now + timedelta(days=400))
