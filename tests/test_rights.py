"""Erasing and restricting rows inside days: that person's and that period's, and nobody else's row touched."""

import gzip
import shutil
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from conftest import squid_line, write_lines
from factory import Row, again, derived, edited, lake, page, snapshot, tunnel
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rightslab import (
    MONDAY,
    NOW,
    PERIOD,
    Rows,
    acts,
    build,
    copied,
    everything,
    held,
    mine,
    naming,
    opinion,
    opinions,
    parts,
    place,
    sound,
    span,
    told,
)
from test_keys import holding, secrets

from errors import NoKey, NotPermitted, WrongUsage
from ingest.discover import given as given_
from ingest.run import FileReport, ingest
from lake import catalogue
from lake.datasets import DATASETS, EVENTS, PERSONAL
from retention import purge
from rights import deeds, register
from rights.register import Right
from state.tables import ASIDE, RIGHTS
from subjects import Span, whom
from workspace import Workspace, open_site

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


def erased(ws: Workspace, one: Span, by: str = "Dora Dale") -> Right:
    with ws.alone():
        return deeds.erase(ws, one, "REQ 1", by, NOW)


def restricted(ws: Workspace, one: Span) -> Right:
    with ws.alone():
        return deeds.restrict(ws, one, "REQ 2", "Dora Dale", NOW)


def lifted(ws: Workspace, right: Right) -> Right:
    with ws.alone():
        return deeds.lift(ws, right.id, "Dora Dale", "agreed", NOW)


def resumed(ws: Workspace) -> list[str]:
    with ws.alone():
        return [r.id for r in deeds.resume(ws, NOW)]


def purged(ws: Workspace, now: datetime) -> None:
    with ws.alone():
        purge(ws, now, confirmed=True)


# Erasure --------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["ann", "zoe"])
@pytest.mark.parametrize("kind", ["sealed", "plain"])
def test_their_rows_go_and_no_other(who: str, kind: str, request: pytest.FixtureRequest) -> None:
    ws: Workspace = request.getfixturevalue("ws" if kind == "sealed" else "bare")
    before, theirs = everything(ws), mine(ws, span(ws, who))
    assert {row[0] for row in theirs} >= {d.name for d in PERSONAL} - {"blocked"}
    plan = deeds.plan(ws, "erasure", span(ws, who))
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
    plan = deeds.plan(ws, "erasure", span(ws))
    assert plan.records == {"finding": 1, "review": 1, "cases": 1}
    assert plan.files == [str(packs["ann"].relative_to(ws.folder))]
    erased(ws, span(ws))
    assert not packs["ann"].exists()
    assert packs["bob"].exists() and other.exists()
    gone = [row for row in before if row not in opinions(ws)]
    assert sorted(row[0] for row in gone) == ["cases", "finding", "review"]
    assert all("ann" in row and str(PERIOD[0]) in row for row in gone)


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
    one = st.tuples(
        st.sampled_from(["ann", "bob", "Ann", "anna"]),
        st.integers(0, len(BORDERS) - 1),
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


@settings(max_examples=8, phases=[Phase.explicit, Phase.reuse, Phase.generate])
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


def others(rows: Rows, who: str) -> Rows:
    return Counter({row: n for row, n in rows.items() if f'"{who}"' not in row})


# The same log again ---------------------------------------------------------------------------


def log_lines() -> list[str]:
    first = datetime(2026, 11, 4, 8, tzinfo=UTC)
    return [
        squid_line(first + timedelta(seconds=7 * n), user=("ann", "bob", "kim")[n % 3],
                   size=1000 + n, client=f"10.20.1.{n % 50}")
        for n in range(900)
    ]  # fmt: skip


def read(ws: Workspace, path: Path) -> FileReport:
    with ws.alone():
        (report,) = ingest(ws, given_(ws, [path], None, "squid"), NOW)
    counts = report.counts
    assert report.error is None
    assert counts.lines == (
        counts.rows + counts.ignored + counts.rejected + counts.duplicate + counts.expired
    )
    return report


def delivered(ws: Workspace, place: Path, how: str) -> list[FileReport]:
    """The log once more: what was read of it."""
    told = log_lines()
    if how == "renamed":
        return [read(ws, write_lines(place / "again.log", told))]
    if how == "compressed":
        path = place / "again.log.gz"
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in told).encode()))
        return [read(ws, path)]
    if how == "split":
        halves = (told[:450], told[450:])
        return [read(ws, write_lines(place / f"half{n}.log", h)) for n, h in enumerate(halves)]
    if how == "tail":
        return [read(ws, write_lines(place / "tail.log", told[300:]))]
    more = [squid_line(datetime(2026, 11, 3, 23, tzinfo=UTC), user="bob"), *told]
    return [read(ws, write_lines(place / "led.log", more))]


HOWS = ["renamed", "compressed", "split", "tail", "longer"]


@pytest.mark.parametrize("how", HOWS)
def test_a_log_that_comes_again_brings_nobody_back(
    site: Workspace, tmp_path: Path, how: str
) -> None:
    first = read(site, write_lines(tmp_path / "a.log", log_lines()))
    assert first.counts.rows == 900
    one = span(site, period=(date(2026, 11, 4), date(2026, 11, 4)))
    erased(site, one)
    before = everything(site)
    reports = delivered(again(site), tmp_path, how)
    assert not mine(site, one)
    new = sum((everything(site) - before).values())
    assert new == sum(r.counts.rows for r in reports) == (1 if how == "longer" else 0)
    assert not before - everything(site)


@pytest.mark.parametrize("how", HOWS)
def test_a_log_that_comes_again_under_a_restriction(
    site: Workspace, tmp_path: Path, how: str
) -> None:
    """What is kept apart is known: neither it nor anybody else's line is there twice."""
    read(site, write_lines(tmp_path / "a.log", log_lines()))
    one = span(site, period=(date(2026, 11, 4), date(2026, 11, 4)))
    restricted(site, one)
    before = everything(site)
    reports = delivered(again(site), tmp_path, how)
    resumed(site)
    new = sum((everything(site) - before).values())
    assert new == sum(r.counts.rows for r in reports) == (1 if how == "longer" else 0)
    assert not mine(site, one, "live")


def test_another_log_with_their_late_lines(site: Workspace, tmp_path: Path) -> None:
    when = datetime(2026, 11, 4, 12, tzinfo=UTC)
    lake(site, [page(when)])
    erased(site, span(site, period=(date(2026, 11, 4), date(2026, 11, 5))))
    late = [
        *[squid_line(when + timedelta(hours=n), user="ann") for n in range(3)],
        squid_line(when, user="bob"),
        squid_line(datetime(2026, 11, 6, 0, 0, tzinfo=UTC), user="ann"),
        squid_line(datetime(2026, 11, 3, 23, 59, tzinfo=UTC), user="ann"),
    ]
    counts = read(again(site), write_lines(tmp_path / "late.log", late)).counts
    assert (counts.rows, counts.expired) == (3, 3)
    assert not mine(site, span(site, period=(date(2026, 11, 4), date(2026, 11, 5))))


@pytest.mark.parametrize("login", ["zoe", "ZOE", "EXAMPLE\\zoe", "zoe@example.org"])
def test_one_who_left_does_not_come_back_under_another_form(
    site: Workspace, tmp_path: Path, login: str
) -> None:
    when = datetime(2026, 11, 4, 12, tzinfo=UTC)
    lake(site, [page(when, user="zoe")])
    erased(site, span(site, "zoe"))
    late = [squid_line(when, user=login), squid_line(when, user="bob")]
    counts = read(again(site), write_lines(tmp_path / "late.log", late)).counts
    assert (counts.rows, counts.expired) == (1, 1)


def test_an_erasure_is_remembered_as_long_as_lines_may_come(
    site: Workspace, tmp_path: Path
) -> None:
    """Though sums of days are kept for less long than lines."""
    short = edited(site, "fairwatch.yaml", ("usage: 1 year", "usage: 30 days"))
    when = datetime(2026, 8, 4, 12, tzinfo=UTC)
    lake(short, [page(when), page(NOW - timedelta(days=1))])
    erased(short, span(short, period=(when.date(), when.date())))
    with short.alone():
        purge(short, NOW, confirmed=True)
    counts = read(again(short), write_lines(tmp_path / "l.log", [squid_line(when)])).counts
    assert (counts.rows, counts.expired) == (0, 1)


# Restriction ----------------------------------------------------------------------------------


def test_restricted_rows_are_there_and_nobody_sees_them(ws: Workspace) -> None:
    opinion(ws, "ann")
    before, theirs, said = everything(ws), mine(ws, span(ws)), opinions(ws)
    plan = deeds.plan(ws, "erasure", span(ws))
    one = restricted(ws, span(ws))
    assert (one.state, one.person, one.salt) == ("done", "ann", None)
    assert everything(ws, "live") == before - theirs
    assert everything(ws, "restricted") == theirs
    assert [row[0] for row in opinions(ws)] == ["cases"]
    assert deeds.plan(ws, "erasure", span(ws)) == plan, "an erasure still finds all of it"
    sound(ws)
    derived(ws, NOW)
    assert not mine(ws, span(ws), "live")
    assert resumed(ws) == []
    lifted(ws, one)
    derived(ws, NOW)
    assert everything(ws) == before
    assert everything(ws, "live") == before
    assert opinions(ws) == said
    assert register.right(ws, one.id).state == "lifted"
    sound(ws)
    with pytest.raises(WrongUsage):
        lifted(ws, one)


def test_lifted_at_once_it_is_as_it_was(ws: Workspace) -> None:
    before = everything(ws)
    lifted(ws, restricted(ws, span(ws)))
    assert everything(ws, "live") == before
    with ws.state.read() as connection:
        assert connection.execute(ASIDE.select()).all() == []
    sound(ws)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("kind", ["sealed", "plain"])
def test_two_people_of_one_day_lifted_in_either_order(
    order: tuple[int, int], kind: str, request: pytest.FixtureRequest
) -> None:
    ws: Workspace = request.getfixturevalue("ws" if kind == "sealed" else "bare")
    before = everything(ws)
    two = [restricted(ws, span(ws, who)) for who in ("ann", "zoe")]
    assert everything(ws) == before
    sound(ws)
    lifted(ws, two[order[0]])
    still = mine(ws, span(ws, ("ann", "zoe")[order[1]]))
    assert everything(ws, "restricted") == still
    lifted(ws, two[order[1]])
    assert everything(ws, "live") == before
    sound(ws)


def test_one_of_two_restricted_is_erased(ws: Workspace) -> None:
    before, hers = everything(ws), mine(ws, span(ws))
    ann, zoe = (restricted(ws, span(ws, who)) for who in ("ann", "zoe"))
    erased(ws, span(ws))
    assert everything(ws) == before - hers
    assert [r.id for r in register.rights(ws)] == ["E-2026-0001", zoe.id]
    assert naming(ws.folder / "state", f"restricted/{ann.id}/") == []
    lifted(ws, zoe)
    assert everything(ws, "live") == before - hers
    sound(ws)


def test_part_of_what_is_restricted_is_erased(ws: Workspace) -> None:
    for day in PERIOD:
        opinion(ws, "ann", day)
    before, said = everything(ws), opinions(ws)
    one = restricted(ws, span(ws))
    first = span(ws, period=(PERIOD[0], PERIOD[0]))
    hers = mine(ws, first)
    erased(ws, first)
    assert everything(ws) == before - hers
    lifted(ws, one)
    assert everything(ws, "live") == before - hers
    assert opinions(ws) == [row for row in said if str(PERIOD[0]) not in row]
    sound(ws)


def test_the_same_days_twice_are_refused(ws: Workspace) -> None:
    one = restricted(ws, span(ws))
    with pytest.raises(WrongUsage, match=one.id):
        restricted(ws, span(ws, period=(PERIOD[1], PERIOD[1] + timedelta(days=3))))
    restricted(ws, span(ws, "zoe"))
    restricted(ws, span(ws, period=(date(2026, 11, 6), date(2026, 11, 6))))
    sound(ws)


def test_late_lines_are_kept_apart_too(ws: Workspace) -> None:
    one = restricted(ws, span(ws))
    late = page(datetime(2026, 11, 4, 15, tzinfo=UTC), line=900)
    lake(ws, [late, {**late, "user": "bob"}], "late-0000")
    opinion(ws, "ann")
    before = everything(ws)
    assert mine(ws, span(ws), "live")
    assert resumed(ws) == [one.id]
    assert everything(ws) == before
    assert not mine(ws, span(ws), "live")
    assert [row[0] for row in opinions(ws)] == ["cases"]
    assert resumed(ws) == []
    sound(ws)
    lifted(ws, one)
    assert everything(ws, "live") == before


def test_what_is_kept_apart_goes_in_time(ws: Workspace) -> None:
    opinion(ws, "ann")
    restricted(ws, span(ws))
    purged(ws, datetime(2027, 11, 4, 6, tzinfo=UTC))
    assert {p.day for p in parts(ws, "restricted") if p.dataset == "events"} == {
        "2026-11-05"
    }  # fmt: skip
    purged(ws, LATER)
    assert parts(ws, "live", "restricted") == []
    assert not [n for n in snapshot(ws.folder) if n.startswith("restricted/")]
    with ws.state.read() as connection:
        assert connection.execute(ASIDE.select()).all() == []
        assert connection.execute(RIGHTS.select()).all() == []
    assert ws.keys.ring.day_keys() == []
    assert register.rights(ws) == []
    sound(ws, LATER)


def test_an_old_partition_kept_apart_is_overdue_by_its_dataset(ws: Workspace) -> None:
    """Beside what was restricted yesterday; nobody forgets it there, and its key goes with it."""
    from retention import verify

    restricted(ws, span(ws))
    found = verify(ws, LATER)
    named = [o for o in found.overdue if o.startswith("restricted/") and "/events-" in o]
    assert len(named) == 3
    (store,) = [s for s in found.stores if s.store == "events"]
    live = sum(p.rows for p in parts(ws, "live", "restricted") if p.dataset == "events")
    assert store.overdue_rows == live
    old = [p for p in parts(ws, "restricted") if p.dataset == "events"]
    known = secrets(ws)
    purged(ws, LATER)
    for part in old:
        for secret in known[str(part.key)]:
            assert holding(ws.folder, secret) == []
    sound(ws, LATER)


def test_the_catalogue_shows_questions_only_what_is_live(ws: Workspace) -> None:
    restricted(ws, span(ws))
    with ws.state.read() as connection:
        shown = [p for n in DATASETS for p in catalogue.parts(connection, n)]
    assert shown and not [p for p in shown if p.path.startswith("restricted/")]
    assert EVENTS in PERSONAL
    assert open_site(ws.folder, "x").folder == ws.folder
