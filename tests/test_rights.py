"""Erasing rows inside days: that person's and that period's, and nobody else's row touched."""

import errno
import shutil
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from factory import Row, again, derived, lake, page, snapshot, tunnel
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rightslab import (
    MONDAY,
    NOW,
    PERIOD,
    acts,
    build,
    copied,
    erased,
    everything,
    held,
    lifted,
    mine,
    naming,
    opinion,
    opinions,
    others,
    parts,
    place,
    restricted,
    resumed,
    sound,
    span,
    told,
)
from test_keys import holding, secrets

from errors import NoKey, NotPermitted, WrongUsage
from lake.datasets import PERSONAL
from retention import purge
from rights import deeds, register, rewrite
from rights.found import plan as plan_of
from subjects import Span, whom
from workspace import Workspace

LATER = datetime(2027, 11, 25, 6, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def sealed_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("rights") / "site").folder


@pytest.fixture(scope="module")
def plain_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("plain") / "site", sealed=False).folder


@pytest.fixture
def ws(sealed_site: Path, tmp_path: Path) -> Workspace:
    return copied(sealed_site, tmp_path)


@pytest.fixture
def bare(plain_site: Path, tmp_path: Path) -> Workspace:
    return copied(plain_site, tmp_path)


# Erasure --------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["ann", "zoe"])
@pytest.mark.parametrize("kind", ["sealed", "plain"])
def test_their_rows_go_and_no_other(who: str, kind: str, request: pytest.FixtureRequest) -> None:
    ws: Workspace = request.getfixturevalue("ws" if kind == "sealed" else "bare")
    before, theirs = everything(ws), mine(ws, span(ws, who))
    assert {row[0] for row in theirs} >= {d.name for d in PERSONAL} - {"blocked"}
    plan = plan_of(ws, "erasure", span(ws, who))
    done = erased(ws, span(ws, who))
    assert (done.state, done.person, done.id) == ("done", None, "E-2026-0001")
    assert everything(ws) == before - theirs
    assert plan.rows == dict(Counter(row[0] for row in theirs.elements()))
    sound(ws)
    derived(ws, NOW)
    assert not mine(ws, span(ws, who))
    others = Counter({row: n for row, n in everything(ws).items() if f'"{who}"' not in row})
    assert others == Counter({row: n for row, n in before.items() if f'"{who}"' not in row})
    assert acts(ws).count("rows done") == 1
    sound(ws)


def test_no_byte_of_a_plain_day_names_them(bare: Workspace) -> None:
    """Dictionaries of Parquet hold words no row uses, where nobody takes care."""
    everything_ = Span.of(bare, "ann", MONDAY - timedelta(days=9), MONDAY + timedelta(days=30))
    only_hers = "www.only-she-reads.example"
    lake(bare, [page(datetime(2026, 11, 4, 9, tzinfo=UTC), host=only_hers)], "x-0000")
    assert naming(bare.folder / "lake", only_hers) and naming(bare.folder / "lake", "ann")
    erased(bare, everything_)
    derived(bare, NOW)
    with bare.alone():
        purge(bare, NOW)
    assert naming(bare.folder / "lake", "ann") == []
    assert naming(bare.folder, only_hers) == []
    assert naming(bare.folder / "lake", "bob")


def test_the_name_is_forgotten(ws: Workspace) -> None:
    opinion(ws, "zoe")
    assert naming(ws.folder / "state", "zoe")
    before = told(ws)
    done = erased(ws, Span.of(ws, "zoe", MONDAY, MONDAY + timedelta(days=9)))
    assert naming(ws.folder / "state", "zoe") == []
    assert "zoe" not in told(ws).removeprefix(before)
    assert "zoe" not in before
    assert done.digest and done.salt
    assert register.right(ws, done.id.lower()) == done


def test_old_keys_are_gone_and_backups_with_them(ws: Workspace) -> None:
    old = {p.path: p for p in parts(ws, "live") if p.dataset == "events"}
    touched = {n: p for n, p in old.items() if str(PERIOD[0]) <= p.day <= str(PERIOD[1])}
    known = secrets(ws)
    backup = shutil.copytree(ws.folder / "lake", ws.folder.parent / "backup/lake")
    erased(ws, span(ws))
    for part in touched.values():
        with pytest.raises(NoKey):
            again(ws).keys.open(backup.parent / part.path)
        for secret in known[str(part.key)]:
            assert holding(ws.folder, secret) == []
    for path in old.keys() - touched.keys():
        with ws.keys.open(backup.parent / path) as file:
            assert file.metadata.num_rows
    items = [i for line in ws.ledger.lines() for i in line.act.get("items", ())]
    assert {i["key"] for i in items if i["store"] == "events"} == {p.key for p in touched.values()}


def test_records_packs_and_bundles_go(ws: Workspace) -> None:
    packs = {who: opinion(ws, who) for who in ("ann", "bob")}
    other = opinion(ws, "ann", MONDAY)
    before = opinions(ws)
    plan = plan_of(ws, "erasure", span(ws))
    assert plan.records == {"finding": 1, "review": 1, "cases": 1}
    assert plan.files == [str(packs["ann"].relative_to(ws.folder))]
    erased(ws, span(ws))
    assert not packs["ann"].exists()
    assert packs["bob"].exists() and other.exists()
    gone = [row for row in before if row not in opinions(ws)]
    assert sorted(row[0] for row in gone) == ["cases", "finding", "review"]
    assert all("ann" in row and str(PERIOD[0]) in row for row in gone)


def test_a_bundle_made_for_them_goes_too(ws: Workspace) -> None:
    paths = []
    for who in ("ann", "bob"):
        with ws.state.change() as change:
            made = register.ask(ws, change, "access", span(ws, who), "REQ", "Dora Dale", NOW)
            register.note(change, made.id, state="done")
        paths.append(ws.folder / "access" / f"{made.id}.zip")
        paths[-1].parent.mkdir(exist_ok=True)
        paths[-1].write_bytes(b"PK\x05\x06" + bytes(18))
    done = erased(ws, span(ws))
    assert [path.exists() for path in paths] == [False, True]
    assert [r.person for r in register.rights(ws)] == ["bob", None]
    assert done.person is None


def test_an_open_case_comes_first(ws: Workspace) -> None:
    opinion(ws, "ann", closed=False)
    before = snapshot(ws.folder / "lake")
    with pytest.raises(NotPermitted, match="is open about this person"):
        erased(ws, span(ws))
    assert snapshot(ws.folder / "lake") == before
    assert register.rights(ws) == []
    erased(ws, span(ws, period=(date(2026, 11, 6), date(2026, 11, 6))))


@pytest.mark.parametrize("by", ["ann", "Ann Archer", " "])
def test_nobody_deals_with_their_own_request(ws: Workspace, by: str) -> None:
    with pytest.raises((NotPermitted, WrongUsage)):
        erased(ws, span(ws), by)
    assert register.rights(ws) == []
    one = restricted(ws, span(ws))
    with pytest.raises((NotPermitted, WrongUsage)):
        deeds.lift(ws, one.id, by, "please", NOW)


def test_a_hold_keeps_its_copy(ws: Workspace) -> None:
    opinion(ws, "ann")
    theirs = mine(ws, span(ws))
    one = place(ws)
    erased(ws, span(ws))
    assert held(ws, one.id) == theirs
    assert not mine(ws, span(ws))
    sound(ws)


def test_nothing_there_is_nothing_to_do(ws: Workspace) -> None:
    before = snapshot(ws.folder / "lake")
    done = erased(ws, span(ws, period=(date(2026, 5, 1), date(2026, 5, 2))))
    assert done.state == "done"
    assert snapshot(ws.folder / "lake") == before
    with pytest.raises(WrongUsage):
        span(ws, period=(PERIOD[1], PERIOD[0]))


def test_whose_name_that_is(ws: Workspace) -> None:
    assert (whom(ws, "ann@example.org"), whom(ws, "ANN"), whom(ws, "zoe")) == ("ann", "ann", "zoe")


# Borders --------------------------------------------------------------------------------------

BORDERS = [date(2026, 3, 28), date(2026, 3, 29), date(2026, 3, 30), date(2026, 10, 24),
           date(2026, 10, 25), date(2026, 10, 26)]  # fmt: skip
"""The days around both changes of the clock."""


@st.composite
def lines(draw: st.DrawFn) -> list[tuple[str, int, int, int]]:
    """(user, which day, minutes from its local midnight, minutes of a tunnel or 0)"""
    season = draw(st.sampled_from([0, 3]))
    one = st.tuples(
        st.sampled_from(["ann", "bob", "Ann", "anna"]),
        st.integers(season, season + 2),
        st.one_of(st.sampled_from([-61, -60, -1, 0, 1, 59, 60, 61]), st.integers(-200, 1640)),
        st.sampled_from([0, 0, 5, 130]),
    )
    return draw(st.lists(one, min_size=1, max_size=12))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from conftest import make_site

    return make_site(
        tmp_path_factory.mktemp("empty") / "site",
        lambda t: t.replace("enabled: true", "enabled: false"),
    )


@settings(max_examples=6, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    drawn=lines(),
    ends=st.tuples(st.integers(0, 5), st.integers(0, 5)).map(sorted),
    apart=st.booleans(),
)
def test_any_rows_any_period(
    drawn: list[tuple[str, int, int, int]],
    ends: list[int],
    apart: bool,
    empty: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Nobody else's row changes, theirs go by local days, and deriving anew brings nothing back."""
    ws = copied(empty, tmp_path_factory.mktemp("any"))
    zone = ws.settings.zone
    rows = []
    for n, (who, day, minutes, length) in enumerate(drawn):
        begin = datetime(BORDERS[day].year, BORDERS[day].month, BORDERS[day].day, tzinfo=zone)
        when = begin.astimezone(UTC) + timedelta(minutes=minutes)
        made = tunnel(when, duration_ms=length * 60_000) if length else page(when)
        rows.append({**made, "user": who, "line": n})
    lake(ws, rows)
    derived(ws, NOW)
    one = Span.of(ws, "ann", BORDERS[ends[0]], BORDERS[ends[1]])
    before, theirs = everything(ws), mine(ws, one)
    done = restricted(ws, one) if apart else erased(ws, one)
    assert everything(ws) == (before if apart else before - theirs)
    assert everything(ws, "live") == before - theirs
    sound(ws)
    derived(ws, NOW)
    resumed(ws)
    assert not mine(ws, one, "live")
    assert others(everything(ws), "ann") == others(before, "ann")
    if apart:
        lifted(ws, done)
        derived(ws, NOW)
        assert everything(ws) == before
    sound(ws)
    shutil.rmtree(ws.folder)


@pytest.mark.parametrize(
    "row",
    [
        tunnel(datetime(2026, 11, 4, 0, 40, tzinfo=UTC), duration_ms=3_600_000, bytes_down=900_000),
        page(datetime(2026, 11, 2, 23, 59, 30, tzinfo=UTC)),
        page(datetime(2026, 11, 4, 0, 0, 10, tzinfo=UTC)),
        tunnel(datetime(2026, 11, 3, 0, 40, tzinfo=UTC), duration_ms=3_600_000, bytes_down=900_000),
    ],
)
def test_what_reaches_over_midnight_is_not_derived_again(bare: Workspace, row: Row) -> None:
    """A line of the next day that began on an erased one, a visit that lasts into it."""
    day = span(bare, "kim", (date(2026, 11, 3), date(2026, 11, 3)))
    lake(bare, [{**row, "user": "kim"}], "k-0000")
    lake(bare, [page(datetime(2026, 11, 3, 12, tzinfo=UTC), user="kim")], "k-0001")
    derived(bare, NOW)
    erased(bare, day)
    derived(bare, NOW)
    assert not mine(bare, day)


@pytest.mark.parametrize("deed", ["restriction", "erasure"])
def test_one_deed_that_is_stuck_keeps_no_other_back(
    bare: Workspace, deed: register.Deed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two deeds under way; the first meets a full disk, the second ends."""
    lake(
        bare,
        [page(datetime(2026, 11, 3, 12, tzinfo=UTC), user=user) for user in ("kim", "ann")],
        "k-0002",
    )
    with bare.state.change() as change:
        for user in ("kim", "ann"):
            register.ask(bare, change, deed, span(bare, user), "REQ", "Dora Dale", NOW)
    whole = rewrite.take_out

    def full(ws: Workspace, one: Any, of: Span, *rest: Any, **more: Any) -> None:
        if of.person == "kim":
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(ws, one, of, *rest, **more)

    monkeypatch.setattr(deeds, "take_out", full)
    with bare.alone():
        ended, stuck = deeds.resume(bare, NOW)
    assert [(r.id[0], r.state) for r in ended] == [(deed[0].upper(), "done")]
    assert ["stopped at the step `rewrite`" in str(error) for error in stuck] == [True]
    monkeypatch.undo()
    with bare.alone():
        ended, stuck = deeds.resume(bare, NOW)
    assert not stuck
    assert {r.state for r in register.rights(bare)} == {"done"}


def test_what_reaches_over_midnight_is_not_derived_into_a_restricted_day(bare: Workspace) -> None:
    """A line of the day after that began on the restricted one is derived with the day it ended on."""
    day = span(bare, "kim", (date(2026, 11, 3), date(2026, 11, 3)))
    ends = datetime(2026, 11, 4, 0, 40, tzinfo=UTC)
    lake(bare, [tunnel(ends, duration_ms=3_600_000, bytes_down=900_000, user="kim")], "k-0000")
    lake(bare, [page(datetime(2026, 11, 3, 12, tzinfo=UTC), user="kim")], "k-0001")
    derived(bare, NOW)
    restricted(bare, day)
    derived(bare, NOW)
    assert not mine(bare, day, "live")
