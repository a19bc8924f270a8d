"""Legal holds: a narrow copy under a key of its own that stays while all else goes, and ends with its key."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from factory import again, derived, lake, page, snapshot
from rightslab import (
    NOW,
    PERIOD,
    acts,
    build,
    copied,
    held,
    mine,
    opinion,
    parts,
    place,
    sound,
    span,
)

import holds
from errors import NoSuchThing, NotPermitted, ReviewDue, WrongUsage
from lake.datasets import EVENTS, PERSONAL, RECORDS
from retention import purge, verify
from rights import deeds
from state.tables import FINDING, REVIEW
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


# Narrow ---------------------------------------------------------------------------------------


def test_a_copy_is_that_person_and_that_period_and_no_byte_more(ws: Workspace) -> None:
    wanted = mine(ws, span(ws))
    one = place(ws)
    assert held(ws, one.id) == wanted
    assert {row[0] for row in wanted} == {d.name for d in PERSONAL}, "the test shows each of them"
    assert {p.key for p in holds.copies(ws, one.id)} == {
        k.id for k in ws.keys.ring.day_keys() if k.dataset == "hold"
    }
    assert len({p.key for p in holds.copies(ws, one.id)}) == 1
    for dataset in PERSONAL:
        found = Counter(
            (dataset.name, *rows)
            for table in holds.read(ws, one.id, dataset)
            for rows in zip(*(table[n].to_pylist() for n in ("user",)), strict=True)
        )
        assert sum(found.values()) == sum(n for row, n in wanted.items() if row[0] == dataset.name)
    for part in holds.copies(ws, one.id):
        table = ws.keys.open(ws.folder / part.path).read()
        words = {w for c in table["user"].chunks for w in c.dictionary.to_pylist()}
        assert words == {"ann"}, "others' names stand in the dictionary"
    sound(ws)


def test_a_year_on_the_copy_stays_and_everything_else_is_gone(ws: Workspace) -> None:
    wanted = mine(ws, span(ws))
    one = place(ws)
    ws = purged(ws)
    assert parts(ws, "live", "restricted", "purging") == []
    assert held(ws, one.id) == wanted
    sound(ws, LATER)
    found = {s.store: s for s in verify(ws, LATER).stores}
    assert found["holds"].oldest_event == PERIOD[0]
    assert found["holds"].overdue_rows == 0
    assert {n: s.rows for n, s in found.items() if s.rows and n in ("events", "usage")} == {}
    assert {k.dataset for k in ws.keys.ring.day_keys()} == {"hold"}


def test_neighbours_go_on_time(ws: Workspace) -> None:
    """A hold on three days keeps no day of the lake a day longer."""
    place(ws)
    half = datetime(2027, 11, 5, 6, 0, tzinfo=UTC)  # the days until 4 November are due
    ws = purged(ws, half)
    left = {p.day for p in parts(ws, "live") if p.dataset == "events"}
    assert min(left) == "2026-11-06"
    sound(ws, half)


@pytest.mark.parametrize("summer", [date(2026, 6, 3), date(2026, 10, 25), date(2026, 3, 29)])
def test_days_are_the_organisations(ws: Workspace, summer: date) -> None:
    """In summer a day begins at 23:00 UTC; its first hour lies in the partition of the day before."""
    zone = ws.settings.zone
    begins = datetime(summer.year, summer.month, summer.day, tzinfo=zone).astimezone(UTC)
    after = summer + timedelta(days=1)
    ends = datetime(after.year, after.month, after.day, tzinfo=zone).astimezone(UTC)
    inside = [begins, begins + timedelta(minutes=30), ends - timedelta(milliseconds=1)]
    outside = [begins - timedelta(milliseconds=1), ends]
    lake(ws, [page(t, line=n) for n, t in enumerate([*inside, *outside])], "s-0000")
    one = place(ws, (summer, summer))
    times = [t for table in holds.read(ws, one.id, EVENTS) for t in table["time"].to_pylist()]
    assert sorted(times) == inside


def test_two_holds_on_one_person_are_two_copies(ws: Workspace) -> None:
    first, second = place(ws), place(ws, (PERIOD[1], PERIOD[1] + timedelta(days=1)))
    assert (first.id, second.id) == ("H-2026-0001", "H-2026-0002")
    wanted = held(ws, second.id)
    released(ws, first.id)
    assert held(ws, second.id) == wanted
    assert not holds.copies(ws, first.id)
    sound(ws)


def test_one_who_left_can_be_held(ws: Workspace) -> None:
    wanted = mine(ws, span(ws, "zoe"))
    assert held(ws, place(ws, person="zoe").id) == wanted != Counter()
    with pytest.raises(NoSuchThing):
        place(ws, person="nobody-here")


# What comes later -----------------------------------------------------------------------------


def test_late_lines_are_copied_before_they_may_go(ws: Workspace) -> None:
    one = place(ws)
    late_row(ws)
    derived(ws, NOW)
    wanted = mine(ws, span(ws))
    assert held(ws, one.id) != wanted
    ws = purged(ws)
    assert held(ws, one.id) == wanted
    sound(ws, LATER)


def test_a_second_look_copies_nothing_again(ws: Workspace) -> None:
    place(ws)
    before = snapshot(ws.folder / "holds")
    with ws.alone():
        assert holds.top_up(ws, NOW) == {}
    assert snapshot(ws.folder / "holds") == before
    assert acts(ws).count("hold copy") == 1


def test_a_hold_on_days_to_come_grows(ws: Workspace) -> None:
    one = place(ws, (date(2026, 11, 3), date(2026, 11, 30)))
    before = held(ws, one.id)
    lake(ws, [page(datetime(2026, 11, 28, 9, tzinfo=UTC))], "late-0000")
    with ws.alone():
        assert holds.top_up(ws, NOW) == {}
    assert sum((held(ws, one.id) - before).values()) == 1


@pytest.mark.parametrize("state", ["erased", "restricted"])
def test_a_copy_never_shrinks(ws: Workspace, state: str) -> None:
    """Even of lines that came after the last copy and before the erasure."""
    summer = date(2026, 6, 3)
    lake(ws, [page(datetime(2026, 6, 2, 23, 30, tzinfo=UTC))], "s-0000")  # 3 June, 00:30
    derived(ws, NOW)
    one, two = place(ws), place(ws, (summer, summer))
    late_row(ws)
    wanted = mine(ws, span(ws)), mine(ws, span(ws, period=(summer, summer)))
    deed = deeds.erase if state == "erased" else deeds.restrict
    with ws.alone():
        for period in (PERIOD, (summer, summer)):
            deed(ws, span(ws, period=period), "REQ", "Dora Dale", NOW)
    derived(ws, NOW)
    for _ in range(2):
        ws = purged(ws, NOW)
        assert (held(ws, one.id), held(ws, two.id)) == wanted
    ws = purged(ws)
    assert (held(ws, one.id), held(ws, two.id)) == wanted
    sound(ws, LATER)


def test_beside_what_was_erased_late_lines_are_still_copied(ws: Workspace) -> None:
    """One UTC day has rows of two local days; one of them was erased."""
    one = place(ws, (date(2026, 6, 3), date(2026, 6, 4)))
    early = page(datetime(2026, 6, 3, 22, 59, tzinfo=UTC), line=1)  # 3 June, local
    lake(ws, [early, page(datetime(2026, 6, 3, 23, 1, tzinfo=UTC), line=2)], "s-0000")  # 4 June
    with ws.alone():
        holds.top_up(ws, NOW)
        deeds.erase(ws, span(ws, period=(date(2026, 6, 4),) * 2), "REQ", "Dora Dale", NOW)
    lake(ws, [page(datetime(2026, 6, 3, 20, 0, tzinfo=UTC), line=3)], "s-0001")
    for _ in range(2):
        with ws.alone():
            assert holds.top_up(ws, NOW) == {}
        lines = [n for t in holds.read(ws, one.id, EVENTS) for n in t["line"].to_pylist()]
        assert sorted(lines) == [1, 2, 3]
    before = snapshot(ws.folder / "holds")
    with ws.alone():
        holds.top_up(ws, NOW)
    assert snapshot(ws.folder / "holds") == before


def test_records_are_copied_and_outlive_their_rows(ws: Workspace) -> None:
    for who in ("ann", "bob"):
        opinion(ws, who)
    opinion(ws, "ann", date(2026, 11, 8))
    one = place(ws)
    (before,) = holds.read(ws, one.id, RECORDS)
    assert sorted(before["table"].to_pylist()) == ["cases", "finding", "review"]
    assert "bob" not in str(before.to_pylist())
    opinion(ws, "ann", PERIOD[1])
    ws = purged(ws)
    with ws.state.read() as connection:
        assert connection.execute(FINDING.select()).all() == []
        assert connection.execute(REVIEW.select()).all() == []
    (after,) = holds.read(ws, one.id, RECORDS)
    assert sorted(after["table"].to_pylist()) == sorted(["cases", "finding", "review"] * 2)
    assert {r["row"] for r in before.to_pylist()} < {r["row"] for r in after.to_pylist()}


def test_records_of_a_restricted_person_are_copied_too(ws: Workspace) -> None:
    opinion(ws, "ann")
    with ws.alone():
        deeds.restrict(ws, span(ws), "REQ", "Dora Dale", NOW)
    (table,) = holds.read(ws, place(ws).id, RECORDS)
    assert sorted(table["table"].to_pylist()) == ["cases", "finding", "review"]


# Reviews --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "by", "note", "kind"),
    [
        (date(2027, 5, 23), "Hana Hill", "n", WrongUsage),
        (date(2026, 11, 20), "Hana Hill", "n", WrongUsage),
        (date(2026, 11, 1), "Hana Hill", "n", WrongUsage),
        (date(2027, 1, 20), "ann", "n", NotPermitted),
        (date(2027, 1, 20), "Ann Archer", "n", NotPermitted),
        (date(2027, 1, 20), "Hana Hill", " ", WrongUsage),
        (date(2027, 1, 20), "  ", "n", WrongUsage),
    ],
)
def test_a_review_that_is_none(
    ws: Workspace, until: date, by: str, note: str, kind: type[Exception]
) -> None:
    one = place(ws)
    with pytest.raises(kind):
        holds.review(ws, one.id, by, until, note, NOW)
    assert holds.hold(ws, one.id).review == one.review
    assert "hold review" not in acts(ws)


def test_nobody_is_judge_in_their_own_matter(ws: Workspace) -> None:
    for owner, by in (("Ann Archer", "Hana Hill"), ("Olga", "ann@example.org")):
        with pytest.raises(NotPermitted), ws.alone():
            holds.place(ws, "ann", PERIOD, "tribunal", "", owner, date(2026, 12, 1), by, NOW)
    one = place(ws)
    with pytest.raises(NotPermitted), ws.alone():
        holds.release(ws, one.id, "ann", "enough", NOW)
    assert holds.holds(ws, in_force=True) == [one]


@pytest.mark.parametrize(
    ("period", "reason"),
    [
        ((date(2026, 11, 5), date(2026, 11, 3)), "tribunal"),
        ((date(2025, 11, 1), date(2026, 11, 3)), "tribunal"),
        ((date(2026, 11, 5), date(2027, 2, 21)), "tribunal"),
        (PERIOD, "curiosity"),
    ],
)
def test_a_hold_is_narrow_and_has_a_reason(
    ws: Workspace, period: tuple[date, date], reason: str
) -> None:
    with pytest.raises(WrongUsage), ws.alone():
        holds.place(ws, "ann", period, reason, "", "Olga", date(2026, 12, 1), "Hana", NOW)
    assert holds.holds(ws) == []


def test_unreviewed_is_said_until_somebody_looks(ws: Workspace) -> None:
    one = place(ws)
    on_the_day = datetime(2026, 12, 20, 23, 59, tzinfo=UTC)
    holds.refuse_unreviewed(ws, on_the_day)
    late = on_the_day + timedelta(minutes=1)
    with pytest.raises(ReviewDue, match=r"H-2026-0001 was to be reviewed by 2026-12-20.*Olga"):
        holds.refuse_unreviewed(ws, late)
    assert [h.id for h in holds.unreviewed(ws, late)] == [one.id]
    holds.review(ws, one.id, "Hana Hill", date(2027, 3, 1), "hearing in May", late)
    holds.refuse_unreviewed(ws, late)
    released(ws, one.id, late)
    holds.refuse_unreviewed(ws, LATER)
    with pytest.raises(NotPermitted, match="was released on"):
        holds.review(ws, one.id, "Hana Hill", date(2027, 3, 1), "again", late)
