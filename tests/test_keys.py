"""Day keys: what is sealed cannot be read without them, and a destroyed one is in no byte of the site."""

import base64
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, make_site
from factory import again, edited, lake, page, reading, rows_table, snapshot, utc, write_part
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.engine import Engine
from errors import Damaged, NoKey, Overdue
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import ACTIVITY, EVENTS
from lake.keys import DayKeys
from lake.master import FileCustody
from lake.ring import Ring
from lake.write import PartWriter
from retention import purge, verify
from workspace import Workspace, open_site

OLD, RECENT = utc("2025-11-10 09:00"), utc("2026-11-19 09:00")
DAY = RECENT.date()
PLAIN = ("  enabled: true", "  enabled: false")


def site_of(keys: Path) -> DayKeys:
    """Day keys of their own, without a site."""
    return DayKeys(Ring(keys / "keys" / "ring.db"), FileCustody(keys / "master.key"), sealing=True)


def parts(ws: Workspace, dataset: str = "events") -> list[Part]:
    with ws.state.read() as connection:
        return catalogue.parts(connection, dataset)


def holding(folder: Path, secret: bytes) -> list[str]:
    """Files under a folder in which a secret stands: as it is, in hex or in Base64."""
    forms = (secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"="))
    return [name for name, raw in snapshot(folder).items() if any(f in raw for f in forms)]


def secrets(ws: Workspace) -> dict[str, tuple[bytes, bytes]]:
    """Each day key and its wrapped form, by its id."""
    return {k.id: (ws.keys.unwrapped(k.id), k.wrapped) for k in ws.keys.ring.day_keys()}


# What is sealed -------------------------------------------------------------------------------


def test_a_partition_is_sealed_from_its_first_byte(site: Workspace) -> None:
    """Neither rows nor names of columns stand in a file, finished or under way."""
    told = (b"ann", b"facebook", b"bytes_down", b"allowed", b"main-proxy")
    for keys, found in ((site.keys, set()), (edited(site, "fairwatch.yaml", PLAIN).keys, {*told})):
        writer = PartWriter(site.folder, EVENTS, DAY, "x", keys)
        table = rows_table([page(RECENT)], EVENTS)
        writer.write(table)
        under_way = writer.temporary.read_bytes()
        part = writer.close("test")
        done = writer.temporary.read_bytes()
        assert {word for word in told if word in done} == found
        assert {word for word in told if word in under_way} <= found
        assert (part.key is None) == bool(found)
        writer.abandon()


def test_without_the_key_it_cannot_be_read(site: Workspace) -> None:
    part = write_part(site, [page(RECENT)], DAY, "x")
    path = site.folder / part.path
    assert path.read_bytes()[:4] == b"PARE", "the footer is sealed as well"
    with pytest.raises((OSError, pa.ArrowInvalid)):
        pq.read_table(path)
    with site.keys.open(path) as opened:
        assert opened.read().num_rows == 1
    with pytest.raises(NoKey, match="does not say where"):
        edited(
            site, "fairwatch.yaml", ("\nencryption:", "\n# encryption:"), ("\n  enabled:", "\n# "),
            ("\n  key_file:", "\n# "),
        ).keys.open(path)  # fmt: skip


def test_each_dataset_and_day_has_a_key_of_its_own(site: Workspace) -> None:
    """What is kept for 90 days and what is kept for a year do not go together."""
    days = [DAY - timedelta(days=n) for n in range(3)]
    made = {(d.name, day): site.keys.seal(d.name, day) for d in (EVENTS, ACTIVITY) for day in days}
    ids = [seal.key for seal in made.values() if seal]
    assert len(set(ids)) == 6
    again_ = {key: again(site).keys.seal(*key) for key in made}
    assert [seal.key for seal in again_.values() if seal] == ids
    keys = [key for key, _ in secrets(site).values()]
    assert len({*keys}) == 6 and {len(key) for key in keys} == {32}


def test_a_fresh_key_lets_the_one_before_be_destroyed(site: Workspace, now: datetime) -> None:
    """What a rewrite of some rows needs: the day goes on, its former content does not."""
    lake(site, [page(RECENT)])
    (before,) = parts(site)
    aside = shutil.copy(site.folder / before.path, site.folder.parent / "aside.parquet")
    seal = site.keys.seal(EVENTS.name, DAY, fresh=True)
    assert seal is not None and seal.key != before.key
    with site.state.change() as change:
        catalogue.forget(change.connection, [before.path])
    lake(site, [page(RECENT + timedelta(minutes=1))], "00000002-0000")
    (after,) = parts(site)
    assert after.key == seal.key
    with site.alone():
        purge(site, now)
    assert [key.id for key in site.keys.ring.day_keys()] == [after.key]
    with site.keys.open(site.folder / after.path) as opened:
        assert opened.metadata.num_rows == 1
    with pytest.raises(NoKey, match="purged"):
        site.keys.open(Path(aside))


def test_a_lake_of_plain_and_sealed_parts_answers_as_one(site: Workspace) -> None:
    """A site that turns keys on, or off again, keeps what it has."""
    first, second = reading(DAY, 20), reading(DAY, 30, start="14:00", user="bob")
    answers = []
    for number, sealed in enumerate(((True, True), (False, True), (True, False), (False, False))):
        ws = open_site(make_site(site.folder.parent / f"mixed{number}"), "test")
        for name, rows, on in zip("ab", (first, second), sealed, strict=True):
            chosen = ws if on else edited(ws, "fairwatch.yaml", PLAIN)
            lake(chosen, rows, name)
            ws = again(ws) if on else edited(chosen, "fairwatch.yaml", PLAIN[::-1])
        assert [p.key is not None for p in parts(ws)] == [*sealed]
        with Engine.of(ws) as engine:
            engine.view(EVENTS, parts(ws))
            found = engine.connection.sql("FROM events ORDER BY ALL")
            answers.append((found.types, found.fetchall()))
    assert answers[0] == answers[1] == answers[2] == answers[3]
    assert len(answers[0][1]) == len(first) + len(second)


def test_a_scan_asks_for_no_key(site: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by the scan's own threads, a key and Python's lock are waited for in turn, for ever."""
    lake(site, [page(RECENT - timedelta(days=n)) for n in range(12)])
    with Engine.of(site) as engine:
        engine.view(EVENTS, parts(site))
        asked: list[str] = []
        monkeypatch.setattr(DayKeys, "unwrapped", lambda _, id_: asked.append(id_))
        found = engine.connection.sql('SELECT count(*), max("user"), max(host) FROM events')
        assert found.fetchall() == [(12, "ann", "www.facebook.com")]
    assert asked == []


def test_what_duckdb_spills_goes_with_the_question(site: Workspace) -> None:
    """It is plain (docs/keys.md), so it is for nobody else and not there for long."""
    spill = site.folder / "work" / "spill"
    with Engine(site.folder, threads=1, memory_mb=64) as engine:
        engine.connection.execute(
            "CREATE TEMP TABLE much AS SELECT md5(i::VARCHAR) AS word FROM range(4_000_000) r(i)"
        ).fetchall()
        assert any(spill.iterdir()), "nothing was spilled: the test shows nothing"
        assert spill.stat().st_mode & 0o077 == 0
    assert not [p for p in spill.rglob("*") if p.is_file()]


def test_parts_older_than_a_column_are_read(site: Workspace) -> None:
    old = pa.schema([f for f in EVENTS.schema if f.name not in ("referrer", "bytes_up")])
    seal = site.keys.seal(EVENTS.name, DAY)
    assert seal is not None
    table = rows_table([page(RECENT)], EVENTS).select(old.names)
    path = site.folder / "lake/events" / DAY.isoformat() / "old.parquet"
    path.parent.mkdir(parents=True)
    with pq.ParquetWriter(path, old, encryption_properties=seal.properties) as writer:
        writer.write_table(table)
    part = Part(
        "events", str(DAY), str(path.relative_to(site.folder)), 1, 1, "", 0, 0, "", seal.key
    )
    with Engine.of(site) as engine:
        engine.view(EVENTS, [part, write_part(site, [page(RECENT)], DAY, "new")])
        rows = engine.connection.sql("SELECT bytes_up, referrer FROM events ORDER BY 1").fetchall()
    assert rows == [(900, None), (None, None)]


def test_a_site_of_the_version_before_is_taken_over(site: Workspace) -> None:
    lake(edited(site, "fairwatch.yaml", PLAIN), [page(RECENT)])
    with sqlite3.connect(site.folder / "state" / "fairwatch.db") as connection:
        connection.execute('ALTER TABLE part DROP COLUMN "key"')
        connection.execute("UPDATE meta SET value = '1' WHERE key = 'schema'")
    connection.close()
    ws = edited(site, "fairwatch.yaml", PLAIN[::-1])
    assert [p.key for p in parts(ws)] == [None]
    lake(ws, [page(RECENT)], "00000002-0000")
    assert [p.key is None for p in parts(again(ws))] == [True, False]


# The purge ------------------------------------------------------------------------------------


def aged(ws: Workspace) -> Workspace:
    """Something that is due, something that is kept."""
    lake(ws, [page(OLD), *(page(RECENT + timedelta(minutes=n)) for n in range(9))])
    return ws


def test_a_purged_day_is_unreadable_wherever_a_copy_lies(site: Workspace, now: datetime) -> None:
    ws = aged(site)
    due, kept = parts(ws)
    aside = Path(shutil.copy(ws.folder / due.path, ws.folder.parent / "backup.parquet"))
    with ws.keys.open(aside) as opened:
        assert opened.metadata.num_rows == 1, "the copy is good while the day is kept"
    with ws.alone():
        done = purge(ws, now)
    assert [item.key for item in done.removed if item.store == "events"] == [due.key]
    for keys in (ws.keys, again(ws).keys):  # the process that purged remembers nothing either
        with pytest.raises(NoKey, match="its day was purged"):
            keys.open(aside)
        with keys.open(ws.folder / kept.path) as opened:
            assert opened.metadata.num_rows == 9
    intent = next(line.act for line in ws.ledger.lines() if line.act["act"] == "purge intent")
    assert intent["items"][0]["key"] == due.key


def test_a_destroyed_key_is_in_no_byte(site: Workspace, now: datetime) -> None:
    ws = aged(site)
    gone, kept = parts(ws)
    known = secrets(ws)
    for name, (key, wrapped) in known.items():
        assert holding(ws.folder.parent, key) == [], f"{name} lies about"
        assert holding(ws.folder.parent, wrapped) == ["site/keys/ring.db"], "the look works"
    with ws.alone():
        purge(ws, now)
    for secret in known[str(gone.key)]:
        assert holding(ws.folder.parent, secret) == []
    assert holding(ws.folder.parent, known[str(kept.key)][1]) == ["site/keys/ring.db"]
    assert not (ws.folder / "keys" / "ring.db-journal").exists()


def test_a_ring_put_back_from_a_copy_forgets_again(site: Workspace, now: datetime) -> None:
    ws = aged(site)
    ring = ws.keys.ring.path
    before = ring.read_bytes()
    with ws.alone():
        purge(ws, now)
    assert verify(ws, now).clean
    ring.write_bytes(before)
    found = verify(again(ws), now)
    assert not found.clean
    assert any("a day that is over" in told for told in found.overdue)
    with ws.alone():
        purge(again(ws), now)
    assert verify(again(ws), now).clean
    assert len(again(ws).keys.ring.day_keys()) == 1


def test_a_key_somebody_still_needs_is_kept(site: Workspace, now: datetime) -> None:
    """A partition the catalogue keeps stays readable, whatever the plan thinks of its neighbour."""
    ws = aged(site)
    due, _ = parts(ws)
    with ws.state.change() as change:
        young = {**vars(due), "path": due.path + "x", "oldest": int(RECENT.timestamp() * 1000)}
        catalogue.add(change.connection, [Part(**young)])
    shutil.copy(ws.folder / due.path, ws.folder / (due.path + "x"))
    with ws.alone(), pytest.raises(Overdue):
        purge(ws, now)
    assert due.key in {key.id for key in ws.keys.ring.day_keys()}
    assert "purge done" not in [line.act["act"] for line in ws.ledger.lines()]


def test_keys_of_days_not_due_stay(site: Workspace, now: datetime) -> None:
    """A key made by a run that was killed before its commit is used by the next."""
    seal = site.keys.seal(EVENTS.name, DAY)
    with site.alone():
        purge(site, now)
    after = again(site).keys.seal(EVENTS.name, DAY)
    assert seal and after and seal.key == after.key


def test_a_purge_needs_no_master_key_but_its_word_does(site: Workspace, now: datetime) -> None:
    ws = aged(site)
    known, (due, _) = secrets(ws), parts(ws)
    master = ws.folder.parent / "fairwatch.master.key"
    away = master.rename(master.with_name("elsewhere"))
    with again(ws).alone(), pytest.raises(NoKey):
        purge(again(ws), now)
    for secret in known[str(due.key)]:
        assert holding(ws.folder, secret) == []
    assert not (ws.folder / due.path).exists()
    assert "purge done" not in [line.act["act"] for line in ws.ledger.lines()]
    away.rename(master)
    with again(ws).alone():
        purge(again(ws), now)
    assert [line.act["act"] for line in again(ws).ledger.lines()][-1] == "purge done"


DIES = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
import retention
from lake.ring import Ring
from workspace import open_site

ws = open_site(Path(sys.argv[1]), "driver")
if sys.argv[2] == "committed":  # the key is deleted, its bytes may be anywhere
    Ring.scrub = lambda self: os._exit(17)
elif sys.argv[2] == "marked":  # rows are marked, the key lives
    Ring.destroy = lambda self, ids: os._exit(17)
else:  # deleted, not committed: the journal lies there, hot
    def halfway(self, ids):
        with self._opened() as connection:
            connection.execute("PRAGMA cache_size = 1")
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM day_key WHERE id = ?", [(id_,) for id_ in ids])
            connection.execute("CREATE TABLE filler (x)")
            connection.execute("INSERT INTO filler SELECT hex(randomblob(900)) FROM json_each(json_array(1,2,3,4,5,6,7,8,9))")
            os._exit(17)
    Ring.destroy = halfway
with ws.alone():
    retention.purge(ws, datetime(2026, 11, 20, 6, tzinfo=UTC))
"""


@pytest.mark.parametrize("point", ["marked", "halfway", "committed"])
def test_killed_between_mark_and_scrub(site: Workspace, now: datetime, point: str) -> None:
    """Never 'done' with a living key; no present row whose key is gone; the next purge ends it."""
    ws = aged(site)
    known, (due, _) = secrets(ws), parts(ws)
    killed = subprocess.run(
        [sys.executable, "-c", DIES, str(ws.folder), point],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert killed.returncode == 17
    if point == "halfway":
        assert (ws.folder / "keys" / "ring.db-journal").stat().st_size > 512
    ws = again(ws)
    assert "purge done" not in [line.act["act"] for line in ws.ledger.lines()]
    assert due.key not in {p.key for p in parts(ws)}, "a row that counts has its key"
    with ws.alone():
        purge(ws, now)
    for secret in known[str(due.key)]:
        assert holding(ws.folder.parent, secret) == []
    assert [line.act["act"] for line in ws.ledger.lines()][-1] == "purge done"


LOOP = """
import sys
from datetime import date, timedelta
from pathlib import Path
from lake.keys import DayKeys
from lake.master import FileCustody
from lake.ring import Ring

folder = Path(sys.argv[1])
keys = DayKeys(Ring(folder / "keys" / "ring.db"), FileCustody(folder / "master.key"), sealing=True)
keys.unlock()
print("ready", flush=True)
while True:
    for n in range(40):
        keys.seal("events", date(2026, 1, 1) + timedelta(days=n), fresh=True)
    found = keys.ring.day_keys()
    keys.destroy([key.id for key in found[::2]])
    keys.rotate()
"""


@pytest.mark.slow
@pytest.mark.parametrize("round_", range(12))
def test_a_ring_killed_at_any_moment_forgets_and_remembers(tmp_path: Path, round_: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LOOP, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.15 + 0.13 * round_)
    process.kill()
    process.communicate()
    keys = site_of(tmp_path)
    found = {key.id: key.wrapped for key in keys.ring.day_keys()}
    opened = {id_: keys.unwrapped(id_) for id_ in found}  # either master key opened all of them
    gone = list(found)[::3]
    keys.destroy(gone)
    for id_, blob in found.items():
        assert bool(holding(tmp_path / "keys", blob)) == (id_ not in gone)
        assert not holding(tmp_path, opened[id_])
    assert {k.id for k in keys.ring.day_keys()} == {*found} - {*gone}


# The ring as such -----------------------------------------------------------------------------

acts_ = st.lists(
    st.tuples(st.sampled_from(["seal", "fresh", "destroy", "rotate"]), st.integers(0, 5)),
    min_size=1,
    max_size=14,
)


@settings(max_examples=30)
@given(acts=acts_)
def test_a_ring_holds_what_lives_and_no_byte_of_what_does_not(
    acts: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("ring")
    keys = site_of(folder)
    living: dict[str, bytes] = {}
    dead: list[bytes] = []
    for act, number in acts:
        day = date(2026, 1, 1) + timedelta(days=number)
        if act in ("seal", "fresh"):
            seal = keys.seal("events", day, fresh=act == "fresh")
            assert seal is not None
            living.setdefault(seal.key, keys.unwrapped(seal.key))
        elif act == "destroy":
            gone = [id_ for id_ in living if str(day) in id_]
            dead += [k.wrapped for k in keys.ring.day_keys() if k.id in gone]
            dead += [living.pop(id_) for id_ in gone]
            keys.destroy(gone)
        else:
            keys.unlock()
            dead += [k.wrapped for k in keys.ring.day_keys()]
            was, now_ = keys.rotate()
            assert was != now_
        assert {k.id for k in keys.ring.day_keys()} == {*living}
    assert {id_: site_of(folder).unwrapped(id_) for id_ in living} == living
    for secret in [*dead, *living.values()]:
        assert holding(folder, secret) == []
    shutil.rmtree(folder)


def test_a_torn_ring_is_said_to_be_torn(site: Workspace) -> None:
    lake(site, [page(RECENT)])
    site.keys.ring.path.write_bytes(b"no ring at all, " * 600)
    with pytest.raises(Damaged, match="Put back the copy"):
        again(site).keys.ring.day_keys()


def test_a_changed_key_is_not_taken(site: Workspace) -> None:
    lake(site, [page(RECENT)])
    with sqlite3.connect(site.keys.ring.path) as connection:
        connection.execute("UPDATE day_key SET wrapped = ?", (os.urandom(40),))
    connection.close()
    with pytest.raises(NoKey, match="was changed there"):
        site.keys.open(site.folder / parts(site)[0].path)


def test_the_ring_is_nobody_elses(site: Workspace) -> None:
    lake(site, [page(RECENT)])
    assert site.keys.ring.path.stat().st_mode & 0o777 == 0o600
    assert site.keys.ring.path.parent.stat().st_mode & 0o777 == 0o700
    assert (site.folder.parent / "fairwatch.master.key").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def busy(site: Workspace) -> Iterator[sqlite3.Connection]:
    """Somebody looks into the ring with a database browser."""
    lake(site, [page(RECENT)])
    connection = sqlite3.connect(site.keys.ring.path, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT * FROM day_key").fetchone()
    yield connection
    connection.close()


def test_a_ring_held_open_cannot_be_scrubbed_and_says_so(
    site: Workspace, busy: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lake.ring.BUSY_SECONDS", 0.1)
    with pytest.raises(Overdue, match="Close what holds it"):
        site.keys.ring.scrub()
    busy.execute("ROLLBACK")
    site.keys.ring.scrub()


# Many at once ---------------------------------------------------------------------------------

SCANS = """
import sys
from pathlib import Path

from analytics import engine as module
from analytics.engine import Engine
from lake import catalogue
from lake.datasets import EVENTS
from workspace import open_site

module.AT_HAND = 0
ws = open_site(Path(sys.argv[1]), "t")
with ws.state.read() as connection:
    parts = catalogue.parts(connection, EVENTS.name)
for _ in range(6):
    with Engine.of(ws) as engine:
        engine.view(EVENTS, parts)
        for _ in range(4):
            (told,) = engine.connection.sql(
                "SELECT (SELECT count(*) FROM events WHERE line % 7 = 0), (SELECT sum(bytes_down) FROM events), "
                "(SELECT count(*) FROM events AS a JOIN events AS b USING (file, line, time))"
            ).fetchall()
            print(*told)
"""


@pytest.mark.slow
def test_scans_at_once_neither_wait_for_each_other_nor_mix(site: Workspace) -> None:
    """Several scans of one question share a file's keys; pyarrow had crashes and locks there."""
    first = datetime(2026, 11, 10, tzinfo=RECENT.tzinfo)
    for number in range(4):
        rows = [page(first + timedelta(days=d, seconds=n), line=n) for d in range(4) for n in range(20_000)]  # fmt: skip
        lake(site, [{**row, "file": number} for row in rows], f"{number:08d}-0000")
    done = subprocess.run(
        [sys.executable, "-c", SCANS, str(site.folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows_ = 4 * 4 * 20_000
    sevenths = 4 * 4 * len(range(0, 20_000, 7))
    assert {*done.stdout.splitlines()} == {f"{sevenths} {rows_ * 40_000} {rows_}"}
    assert len(done.stdout.splitlines()) == 24
