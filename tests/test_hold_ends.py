"""How a hold ends, and what becomes of it where something is wrong."""

import errno
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from factory import again, content, edited, lake, page
from rightslab import (
    NOW,
    PLAIN,
    acts,
    build,
    copied,
    held,
    naming,
    opinion,
    parts,
    place,
    rows_of,
    sound,
    told,
)
from test_keys import holding, secrets

import holds
from errors import NoKey, Overdue
from lake import catalogue
from lake.datasets import RECORDS
from lake.write import PartWriter
from retention import purge, verify
from state.tables import FINDING
from workspace import Workspace

LATER = datetime(2027, 11, 25, 6, 0, tzinfo=UTC)
"""Everything is due."""


@pytest.fixture(scope="module")
def old_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("hold") / "site").folder


@pytest.fixture
def ws(old_site: Path, tmp_path: Path) -> Workspace:
    return copied(old_site, tmp_path)


def purged(ws: Workspace, now: datetime = LATER) -> Workspace:
    ws = again(ws)
    with ws.alone():
        purge(ws, now, confirmed=True)
    return ws


def released(ws: Workspace, id_: str, now: datetime = NOW) -> holds.Hold:
    with ws.alone():
        return holds.release(ws, id_, "Hana Hill", "settled", now)


def late_row(ws: Workspace, name: str = "late-0000", **other: Any) -> None:
    lake(ws, [page(datetime(2026, 11, 4, 15, 0, tzinfo=UTC), line=900, **other)], name)


# The end --------------------------------------------------------------------------------------


def test_release_destroys_the_key(ws: Workspace) -> None:
    one = place(ws)
    (id_,) = {p.key for p in holds.copies(ws, one.id)}
    key, wrapped = secrets(ws)[str(id_)]
    backup = shutil.copytree(ws.folder / "holds", ws.folder.parent / "backup")
    copies = sorted(backup.rglob("*.parquet"))
    with ws.keys.open(copies[0]) as file:
        assert file.metadata.num_rows, "the copy is good while the hold stands"
    over = released(ws, one.id)
    assert over.gone == over.released == NOW
    assert (over.released_by, holds.holds(ws, in_force=True)) == ("Hana Hill", [])
    for secret in (key, wrapped, str(id_).encode()):
        assert holding(ws.folder / "keys", secret) == []
    assert not [p for p in (ws.folder / "holds").rglob("*") if p.is_file()]
    for keys in (ws.keys, again(ws).keys):
        for copy in copies:
            with pytest.raises(NoKey):
                keys.open(copy)
    assert acts(ws)[-2:] == ["hold release", "hold gone"]
    assert parts(ws, "held", "purging") == []
    sound(ws)
    released(ws, one.id)
    assert acts(ws).count("hold gone") == 1


def test_what_is_due_goes_with_the_release(ws: Workspace) -> None:
    one = place(ws)
    ws = purged(ws)
    released(ws, one.id, LATER)
    sound(ws, LATER)
    assert ws.keys.ring.day_keys() == []
    assert naming(ws.folder / "lake", "ann") == []
    far = LATER + timedelta(days=400)
    ws = purged(ws, far)
    assert holds.holds(ws) == [], "a year after its release, so is the word of it"
    assert "ann" not in told(ws)


def test_a_hold_whose_key_is_lost_is_said_to_be(ws: Workspace) -> None:
    one = place(ws)
    ring = ws.keys.ring
    ring.destroy([k.id for k in ring.day_keys() if k.dataset == "hold"])
    found = verify(again(ws), NOW)
    (store,) = [s for s in found.stores if s.store == "holds"]
    assert not found.clean
    assert len(store.unreadable) == len(holds.copies(ws, one.id))
    released(again(ws), one.id)
    sound(ws)


def test_rotation_keeps_it_readable(ws: Workspace) -> None:
    one = place(ws)
    wanted = held(ws, one.id)
    ws.keys.rotate()
    assert held(again(ws), one.id) == wanted
    sound(ws)


@pytest.fixture
def strayed(ws: Workspace) -> Iterator[Workspace]:
    (ws.folder / "holds/H-2020-0001/2020-01-01").mkdir(parents=True)
    yield ws
    sound(purged(ws, NOW))


def test_a_plain_stray_is_named(strayed: Workspace) -> None:
    part = parts(strayed, "live")[0]
    path = strayed.folder / "holds/H-2020-0001/2020-01-01/events-x.parquet"
    table = content(strayed.folder / part.path)
    pq.write_table(table, path)
    found = verify(strayed, LATER)
    assert not found.clean
    named = [o for o in found.overdue if "H-2020-0001" in o]
    assert len(named) == 2, "by its age, and for no hold keeps it"
    assert not verify(strayed, NOW).clean


def test_a_sealed_copy_put_back_after_the_release_is_named(ws: Workspace) -> None:
    one = place(ws)
    backup = shutil.copytree(ws.folder / "holds", ws.folder.parent / "backup")
    released(ws, one.id)
    shutil.copytree(backup, ws.folder / "holds", dirs_exist_ok=True)
    found = verify(ws, NOW)
    assert not found.clean
    assert [o for o in found.overdue if one.id in o and "of no legal hold in force" in o]
    sound(purged(ws, NOW))


def test_a_ring_put_back_after_the_release_forgets_again(ws: Workspace) -> None:
    one = place(ws)
    before = ws.keys.ring.path.read_bytes()
    released(ws, one.id)
    ws.keys.ring.path.write_bytes(before)
    assert not verify(again(ws), NOW).clean
    sound(purged(ws, NOW))


# Where it goes wrong --------------------------------------------------------------------------


def test_a_site_that_seals_nothing_can_hold_nothing(ws: Workspace) -> None:
    off = edited(ws, "fairwatch.yaml", PLAIN)
    with pytest.raises(NoKey, match="turn on"):
        place(off)
    assert holds.holds(off) == []


def due_sources(ws: Workspace) -> set[str]:
    return {p.path for p in parts(ws, "live") if p.day == "2026-11-04" and p.dataset == "events"}


def test_sealing_turned_off_under_a_hold(ws: Workspace) -> None:
    """What is new cannot be copied: it stays until it can, all else goes."""
    one = place(ws)
    wanted = held(ws, one.id)
    late_row(ws)
    opinion(ws, "ann")
    off = edited(ws, "fairwatch.yaml", PLAIN)
    with pytest.raises(Overdue), off.alone():
        purge(off, LATER, confirmed=True)
    assert {p.path for p in parts(off, "live")} == due_sources(off) != set()
    with off.state.read() as connection:
        assert connection.execute(FINDING.select()).all(), "neither may the record go"
    ws = purged(edited(off, "fairwatch.yaml", PLAIN[::-1]))
    assert held(ws, one.id) > wanted
    assert list(holds.read(ws, one.id, RECORDS))
    sound(ws, LATER)


def test_a_source_that_cannot_be_read(ws: Workspace) -> None:
    one = place(ws)
    late_row(ws)
    (torn,) = [p for p in due_sources(ws) if "late" in p]
    raw = (ws.folder / torn).read_bytes()
    (ws.folder / torn).write_bytes(raw[: len(raw) // 2])
    failed = holds.top_up(ws, NOW)
    assert set(failed) == due_sources(ws)
    assert all(w.startswith(f"legal hold {one.id}: its rows could not be") for w in failed.values())
    with pytest.raises(Overdue), ws.alone():
        purge(ws, LATER, confirmed=True)
    assert {p.path for p in parts(ws, "live")} == due_sources(ws)
    (ws.folder / torn).write_bytes(raw)
    ws = purged(ws)
    assert "900" in {row[-1] for row in held(ws, one.id) if row[0] == "events"}
    sound(ws, LATER)


@pytest.mark.parametrize("at", ["write", "close", "move"])
def test_no_room_for_the_copy(ws: Workspace, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    one = place(ws)
    wanted = held(ws, one.id)
    late_row(ws)
    real = getattr(PartWriter, at)

    def full(self: PartWriter, *args: Any) -> Any:
        if self.path.startswith("holds/"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, *args)

    with monkeypatch.context() as small:
        small.setattr(PartWriter, at, full)
        with pytest.raises(Overdue), ws.alone():
            purge(ws, LATER, confirmed=True)
    assert {p.path for p in parts(ws, "live")} == due_sources(ws) != set()
    assert held(ws, one.id) == wanted
    assert "purge done" not in acts(ws)
    ws = purged(ws)
    assert sum((held(ws, one.id) - wanted).values()) == 1
    sound(ws, LATER)


def test_the_lake_has_no_part_of_a_hold(ws: Workspace) -> None:
    place(ws)
    with ws.state.read() as connection:
        live = catalogue.parts(connection, "events")
    assert not [p for p in live if p.path.startswith("holds/")]
    assert rows_of(ws, live)
