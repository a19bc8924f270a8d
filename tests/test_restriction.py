"""Restricting rows inside days: kept apart, seen by no question, gone in time, and back as they were."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from factory import derived, lake, page, snapshot
from rightslab import (
    NOW,
    PERIOD,
    build,
    copied,
    erased,
    everything,
    lifted,
    mine,
    naming,
    opinion,
    opinions,
    parts,
    purged,
    restricted,
    resumed,
    sound,
    span,
)
from test_keys import holding, secrets

from errors import WrongUsage
from lake import catalogue
from lake.datasets import DATASETS, EVENTS, PERSONAL
from rights import register
from rights.found import plan as plan_of
from state.tables import ASIDE, RIGHTS
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


def test_restricted_rows_are_there_and_nobody_sees_them(ws: Workspace) -> None:
    opinion(ws, "ann")
    before, theirs, said = everything(ws), mine(ws, span(ws)), opinions(ws)
    plan = plan_of(ws, "erasure", span(ws))
    one = restricted(ws, span(ws))
    assert (one.state, one.person, one.salt) == ("done", "ann", None)
    assert everything(ws, "live") == before - theirs
    assert everything(ws, "restricted") == theirs
    assert [row[0] for row in opinions(ws)] == ["cases"]
    assert plan_of(ws, "erasure", span(ws)) == plan, "an erasure still finds all of it"
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


def test_a_review_written_meanwhile_stays(ws: Workspace) -> None:
    opinion(ws, "ann")
    said = opinions(ws)
    one = restricted(ws, span(ws))
    opinion(ws, "bob")
    lifted(ws, one)
    assert [row for row in opinions(ws) if "bob" not in row] == said
    assert len(opinions(ws)) == 2 * len(said)


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
