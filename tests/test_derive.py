"""Deriving: only what is stale, the same bytes again, and nobody flagged by a forgotten tab."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from conftest import make_site
from factory import (
    ELSEWHERE,
    Row,
    acts,
    again,
    content,
    derived,
    edited,
    lake,
    page,
    reading,
    snapshot,
    tunnel,
    utc,
)

from analytics.derive import local_days
from analytics.findings import findings
from analytics.people import usage
from lake import catalogue
from lake.datasets import USAGE
from retention import purge
from workspace import Workspace, open_site

MONDAY = date(2026, 11, 9)
WEEK = [MONDAY + timedelta(days=i) for i in range(5)]
FACEBOOK = ["www.facebook.com", "static.xx.fbcdn.net", "graph.facebook.com", "connect.facebook.net"]


def week_of_reading() -> list[Row]:
    return [row for day in WEEK for row in reading(day, 20)]


def fresh(ws: Workspace, now: datetime) -> list[date]:
    """Days that were made anew."""
    return [d.day for d in derived(ws, now) if d.fresh]


def test_again_changes_no_byte_and_writes_nothing(site: Workspace, now: datetime) -> None:
    lake(site, week_of_reading())
    assert fresh(site, now) == WEEK
    before, told = snapshot(site.folder), acts(site)
    assert fresh(again(site), now + timedelta(days=1)) == []
    assert snapshot(site.folder) == before
    assert acts(site) == told == ["derive"] * 5


@pytest.mark.parametrize("sealed", [False, True])
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, now: datetime, sealed: bool) -> None:
    """Ties, several files, another order of arrival: two sites, one answer.

    What is sealed never has the same bytes twice: there it is the schema, and all rows in their order.
    """
    mode = f"enabled: {str(sealed).lower()}"
    draw = random.Random(7)
    rows = [{**row, "line": number} for number, row in enumerate(_busy_day(draw), 1)]
    lakes = []
    for name in ("one", "two"):
        folder = make_site(tmp_path / name, lambda t: t.replace("enabled: true", mode))
        ws = open_site(folder, "test")
        shuffled = draw.sample(rows, len(rows))
        lake(ws, shuffled[: len(rows) // 2], "00000001-0000")
        lake(ws, shuffled[len(rows) // 2 :], "00000002-0000")
        derived(ws, now)
        with ws.state.read() as connection:
            parts = [p for d in ("activity", "usage", "blocked", "feed")
                     for p in catalogue.parts(connection, d)]  # fmt: skip
        assert {p.key is not None for p in parts} == {sealed}
        tables = [content(folder / p.path) for p in parts]
        digests = [""] * len(parts) if sealed else [p.sha256 for p in parts]
        lakes.append(
            [(p.dataset, p.day, p.rows, d, str(t.schema), t.to_pylist())
             for p, d, t in zip(parts, digests, tables, strict=True)]
        )  # fmt: skip
    assert lakes[0] == lakes[1]
    assert {told[0] for told in lakes[0] if told[2]} == {"activity", "usage", "feed"}


def _busy_day(draw: random.Random) -> Iterator[Row]:
    """Many lines in whole seconds, so that most share their instant with others."""
    base = datetime.combine(MONDAY, time(9), UTC)
    for _ in range(4000):
        when = base + timedelta(seconds=draw.randrange(3000))
        user = draw.choice(["ann", "bob", "kim"])
        service = draw.choice([{}, {"service": "x", "host": "x.com"}, ELSEWHERE])
        kind = draw.choice([page, tunnel])
        referrer = draw.choice([None, "facebook", "x", "other"])
        yield kind(
            when,
            user=user,
            **service,
            referrer=referrer,
            method="CONNECT" if kind is tunnel else draw.choice(["GET", "POST"]),
            duration_ms=draw.choice([0, 0, 1000, 2000]),
            bytes_down=draw.choice([900, 20_000, 40_000]),
        )


def test_a_changed_policy_derives_the_days_it_changes_anew(site: Workspace, now: datetime) -> None:
    lake(site, week_of_reading())
    derived(site, now)
    changed = edited(site, "policy.yaml", ('tuesday: ["09:00-17:00"]', 'tuesday: ["12:00-17:00"]'))
    assert fresh(changed, now) == [WEEK[1]], "the other days' hours are what they were"
    rows = {u.day: u for u in usage(changed, WEEK[0], WEEK[1], [], "ann")
            if u.category == "social_media"}  # fmt: skip
    assert rows[WEEK[0]].work_low_min == rows[WEEK[0]].low_min
    assert rows[WEEK[1]].work_low_min == 0
    assert fresh(changed, now) == []


def test_a_number_of_a_rule_changes_no_minutes(site: Workspace, now: datetime) -> None:
    lake(site, week_of_reading())
    derived(site, now)
    assert fresh(edited(site, "policy.yaml", ("minutes: 30 ", "minutes: 20 ")), now) == []


def test_another_zone_derives_anew(site: Workspace, now: datetime) -> None:
    lake(site, reading(WEEK[2], 20))
    derived(site, now)
    moved = edited(site, "fairwatch.yaml", ("Europe/London  ", "Europe/Berlin  "))
    assert WEEK[2] in fresh(moved, now)


def test_a_changed_site_list_leaves_past_days_as_they_were(site: Workspace, now: datetime) -> None:
    """A day is judged by the list its lines were read with: here a service becomes a blocked one."""
    lake(site, week_of_reading())
    derived(site, now)
    (site.folder / "own.yaml").write_text(
        "version: '1'\nsource: here\nservices:\n"
        "- {id: facebook, service: Facebook, category: gambling, roles: {site: [facebook.com]}}\n"
    )
    listed = edited(site, "fairwatch.yaml", ("# sites: [sites.yaml]", "sites: [own.yaml]"))
    assert fresh(listed, now) == []


def test_a_late_file_derives_its_days(site: Workspace, now: datetime) -> None:
    lake(site, week_of_reading())
    derived(site, now)
    lake(site, [page(utc("2026-11-11 15:00"), user="kim")], "00000002-0000")
    # A tunnel's line may belong to the day before it was written, dwell to the day after.
    assert set(fresh(site, now)) == {WEEK[1], WEEK[2], WEEK[3]}
    users = {u.user for u in usage(site, WEEK[2], WEEK[2], [])}
    assert users == {"ann", "kim"}


def test_people_who_move_teams_derive_nothing(site: Workspace, now: datetime) -> None:
    lake(site, week_of_reading())
    derived(site, now)
    told = ("Ann Archer,Advice,kim,ann@example.org", "Ann Bow,Housing,bob,ann.bow@example.org")
    assert fresh(edited(site, "people.csv", told), now) == []


@pytest.mark.parametrize(
    "change",
    [
        ("employee,,,,,\nbob", "employee,communications,,,,\nbob"),
        ("mon-thu 10:00", "mon-thu 11:00"),
    ],
    ids=["role", "pattern"],
)
def test_people_with_another_role_or_pattern_derive_anew(
    site: Workspace, now: datetime, change: tuple[str, str]
) -> None:
    lake(site, week_of_reading())
    derived(site, now)
    assert fresh(edited(site, "people.csv", change), now) == WEEK


def test_a_tunnel_belongs_to_the_day_it_began(site: Workspace, now: datetime) -> None:
    rows = [page(utc("2026-11-09 09:00"), **ELSEWHERE)]
    lake(site, [*rows, tunnel(utc("2026-11-10 00:30"), duration_ms=3_600_000)])
    derived(site, now)
    found = usage(site, date(2026, 11, 9), date(2026, 11, 10), [], "ann")
    assert {u.day for u in found} == {date(2026, 11, 9)}


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Asia/Tokyo"])
def test_figures_outlive_their_events_unchanged(tmp_path: Path, now: datetime, zone: str) -> None:
    """Events are kept for 28 days, minutes for a year: purging the one must not change the other."""

    def settings(text: str) -> str:
        text = text.replace("events: 1 year", "events: 28 days").replace("share: 0.5", "share: 1")
        return text.replace("Europe/London  ", f"{zone}  ")

    ws = open_site(make_site(tmp_path / "site", settings), "test")
    here = ZoneInfo(zone)
    days = [date(2026, 10, 21) + timedelta(days=i) for i in range(7)]
    rows = []
    for day in days:
        for hour in (0, 12, 22):
            first = datetime.combine(day, time(hour), here).astimezone(UTC)
            rows += [page(first + timedelta(seconds=50 * i)) for i in range(12)]
    lake(ws, [r for r in rows if r["time"] < now])
    derived(ws, now)
    before = {u.day: u for u in usage(ws, days[0], days[-1], [], "ann")
              if u.category == "social_media"}  # fmt: skip
    assert before[days[3]].low_min == pytest.approx(3 * (11 * 50 + 10) / 60, abs=0.01)
    for later in range(3):
        then = now + timedelta(days=later)
        with ws.alone():
            purge(ws, then)
        derived(ws, then)
        after = {u.day: u for u in usage(ws, days[0], days[-1], [], "ann")
                 if u.category == "social_media"}  # fmt: skip
        assert after == before
    assert local_days(ws)[0] > days[0]


# Nobody is flagged by what nobody did ---------------------------------------------------------


def forgotten_tab(draw: random.Random, day: date, *, inspected: bool) -> Iterator[Row]:
    """Three minutes of use, then the tab asks for news by a timer until evening."""
    start = datetime.combine(day, time(9), UTC) + timedelta(seconds=draw.randrange(5400))
    use = [start + timedelta(seconds=s) for s in sorted(draw.sample(range(180), 5))]
    every = draw.choice([15, 30, 45, 60, 90, 120, 300])
    polls = int((8 * 3600 - (start - datetime.combine(day, time(9), UTC)).seconds) / every)
    drift = draw.choice([0.0, 0.02, 0.05])
    for when in use:
        yield page(when) if inspected else tunnel(when, bytes_down=draw.randrange(35_000, 900_000))
    at = use[-1] + timedelta(seconds=every)
    for _ in range(polls):
        size = draw.randrange(300, 60_000)
        if inspected:
            yield page(at, method=draw.choice(["GET", "POST"]), content_type="application/json",
                       referrer="facebook", bytes_down=size)  # fmt: skip
        else:
            yield tunnel(at, bytes_down=size, duration_ms=draw.randrange(100, 900))
        at += timedelta(seconds=every * (1 + draw.uniform(-drift, drift)))


def widgets(draw: random.Random, day: date, *, inspected: bool) -> Iterator[Row]:
    """Over a hundred pages of other sites with buttons, pixels and frames on them."""
    at = datetime.combine(day, time(9), UTC)
    for _ in range(draw.randrange(110, 160)):
        at += timedelta(seconds=draw.uniform(8, 220))
        make = page if inspected else tunnel
        yield make(at, **ELSEWHERE)
        for _ in range(draw.randrange(1, 5)):
            later = at + timedelta(seconds=draw.uniform(0.05, 6))
            gap = draw.uniform(0.05, 1.5)
            host = draw.choice(FACEBOOK)
            role = dict(zip(FACEBOOK, ("site", "asset", "api", "embed"), strict=True))[host]
            if inspected:
                frame = draw.choice(["embed", "page"])
                kind = draw.choice(["text/html", "image/gif", "application/javascript"])
                yield page(later, host=host, role=role, path_role=frame, content_type=kind,
                           referrer="other", bytes_down=draw.randrange(40, 90_000))  # fmt: skip
            else:
                yield tunnel(at + timedelta(seconds=gap), host=host, role=role,
                             bytes_down=draw.randrange(300, 400_000))  # fmt: skip


@pytest.mark.parametrize("inspected", [True, False], ids=["full-url", "connect"])
@pytest.mark.parametrize("kind", [forgotten_tab, widgets])
@pytest.mark.parametrize("people", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_what_nobody_did_is_no_finding(
    site: Workspace, now: datetime, kind: object, inspected: bool, people: int
) -> None:
    """Five days of one week a person, each drawn anew; the slow ones are a thousand days."""
    draw = random.Random(f"{kind} {inspected}".split(" at ")[0])
    make = forgotten_tab if kind is forgotten_tab else widgets
    rows: list[Row] = []
    for person in range(people):
        for day in WEEK:
            rows += [{**row, "user": f"u{person}", "identity": "unlisted"}
                     for row in make(draw, day, inspected=inspected)]  # fmt: skip
    lake(site, rows)
    derived(site, now)
    assert findings(site, WEEK[0], WEEK[-1], now) == []
    with site.state.read() as connection:
        assert len(catalogue.parts(connection, USAGE.name)) == 5
    minutes = [u.low_min or 0.0 for u in usage(site, WEEK[0], WEEK[-1], [])
               if u.category == "social_media"]  # fmt: skip
    assert max(minutes, default=0.0) < 15
