"""What is kept of findings: weeks judged again where their inputs changed, and never by less."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from factory import acts, derived, edited, lake, page, reading, utc
from sqlalchemy import select, update
from test_against import finding
from test_findings import WEEK, ask, office

from analytics import record as module
from analytics.derive import local_days
from analytics.finding import Finding, Judgement
from analytics.findings import findings, judged
from analytics.questions import Week
from analytics.record import inputs, judge, kept, remember, standing
from lake import catalogue
from state.tables import FINDING, META
from workspace import Workspace

LONG_AGO = [day - timedelta(weeks=8) for day in WEEK]
RECENT = 3


def night(ws: Workspace, now: datetime) -> tuple[list[str], list[Finding]]:
    derived(ws, now)
    return judge(ws, local_days(ws), RECENT, now)


def test_an_archive_is_judged_whole_once_and_recent_weeks_again(
    site: Workspace, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[date, date]] = []

    def spy(_: Workspace, first: date, last: date, __: datetime) -> Judgement:
        asked.append((first, last))
        return Judgement([], [])

    monkeypatch.setattr(module, "judged", spy)
    days = [date(2026, 9, 1) + timedelta(days=n) for n in range(70)]  # weeks 36 to 45
    weeks, _ = judge(site, days, RECENT, now)
    assert (len(weeks), asked[-1][0]) == (11, date(2026, 8, 31))
    weeks, _ = judge(site, [*days, date(2026, 11, 10)], RECENT, now)
    assert weeks == ["2026-W44", "2026-W45", "2026-W46"]
    assert judge(site, [], RECENT, now) == ([], [])


def test_a_late_line_into_a_week_long_past_is_judged_by_the_night(
    site: Workspace, now: datetime
) -> None:
    week = str(Week.of(LONG_AGO[0]))
    lake(
        site, [*office(LONG_AGO), *office(WEEK), *(r for d in LONG_AGO[:2] for r in reading(d, 40))]
    )
    weeks, found = night(site, now)
    assert (week in weeks, found) == (True, [])
    assert week not in night(site, now)[0], "nothing changed"
    lake(site, reading(LONG_AGO[2], 40), "00000002-0000")
    weeks, found = night(site, now)
    assert week in weeks
    assert [(f.week, f.person) for f in found] == [(week, "ann")]
    assert [f.id for f in kept(site, [week])] == [found[0].id]
    assert week not in night(site, now)[0]


def test_a_week_long_past_is_judged_again_under_another_policy_text(
    site: Workspace, now: datetime
) -> None:
    lake(site, [*office(LONG_AGO), *office(WEEK), *(r for d in LONG_AGO for r in reading(d, 25))])
    assert night(site, now)[1] == []
    stricter = edited(site, "policy.yaml", ("minutes: 30 ", "minutes: 20 "))
    assert [f.person for f in night(stricter, now)[1]] == ["ann"]


def test_a_new_colleague_changes_no_week_of_before(site: Workspace, now: datetime) -> None:
    lake(site, [*office(LONG_AGO), *office(WEEK), *(r for d in LONG_AGO for r in reading(d, 40))])
    night(site, now)
    body = _bodies(site)
    later = edited(
        site, "people.csv",
        ("kim,Kim King", f"lou,Lou Lee,Advice,kim,lou@example.org,employee,,,{WEEK[0]},,\nkim,Kim King"),
    )  # fmt: skip
    weeks, _ = night(later, now)
    assert str(Week.of(LONG_AGO[0])) not in weeks
    found = findings(later, LONG_AGO[0], LONG_AGO[-1], now)
    assert [json.dumps(f.as_json(), sort_keys=True) for f in found] == list(body.values())


def test_names_alone_as_an_earlier_version_kept_them(site: Workspace, now: datetime) -> None:
    lake(site, [*office(LONG_AGO), *office(WEEK)])
    night(site, now)
    with site.state.change() as change:
        old = json.dumps([str(Week.of(d)) for d in (LONG_AGO[0], WEEK[0])])
        change.execute(update(META).where(META.c.key == "judged").values(value=old))
    assert str(Week.of(LONG_AGO[0])) in night(site, now)[0], "judged once more, then noted"
    assert str(Week.of(LONG_AGO[0])) not in night(site, now)[0]


def test_what_was_found_stands_when_its_lines_are_gone(site: Workspace, now: datetime) -> None:
    found = ask(site, [r for day in WEEK for r in reading(day, 40)], now)
    remember(site, found, {"2026-W46"}, now)
    before = _bodies(site)
    with site.state.change() as change:
        catalogue.bury(change.connection, "events", [str(WEEK[0])], now.isoformat())
        gone = [p.path for p in catalogue.parts(change.connection, "events")]
        catalogue.forget(change.connection, gone)
    shown = standing(site, WEEK[0], WEEK[-1], now)
    assert shown == Judgement(found, [])
    remember(site, [], {"2026-W46"}, now)
    remember(site, [replace(found[0], low=1.0)], {"2026-W46"}, now)
    assert _bodies(site) == before
    judge(site, WEEK, RECENT, now)
    assert _bodies(site) == before


def test_what_was_judged_stays_when_the_weeks_that_tell_its_rhythm_are_gone(
    site: Workspace, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gap that was seen then would go unseen now, and the day be held against somebody."""
    lake(site, [r for day in WEEK[:2] for r in reading(day, 40)])
    week = Week.of(WEEK[0])
    assert night(site, now) == ([str(week)], [])
    before = [(WEEK[0] - timedelta(days=n)).isoformat() for n in range(1, 29)]
    monkeypatch.setattr(module, "judged", lambda *_: Judgement([finding()], []))
    with site.state.change() as change:
        catalogue.bury(change.connection, "feed", before[1:], now.isoformat())
    assert inputs(site, week) is not None, "a day of them is there"
    assert len(standing(site, WEEK[0], WEEK[-1], now).found) == 1
    with site.state.change() as change:
        catalogue.bury(change.connection, "feed", before[:1], now.isoformat())
    assert inputs(site, week) is None
    assert standing(site, WEEK[0], WEEK[-1], now) == Judgement([], [])


def test_one_that_was_judged_by_less_is_not_shown(site: Workspace, now: datetime) -> None:
    found = ask(site, [r for day in WEEK for r in reading(day, 40)], now)
    remember(site, found, {"2026-W46"}, now)
    assert kept(site, ["2026-W46"]) == found
    poorer = found[0].as_json()
    poorer["against"] = poorer["against"][1:]
    with site.state.change() as change:
        change.execute(update(FINDING).values(body=json.dumps(poorer)))
    assert kept(site, ["2026-W46"]) == []


def test_days_without_a_tally_are_withheld_and_named_by_nobody(
    site: Workspace, now: datetime
) -> None:
    found = ask(site, [r for day in WEEK for r in reading(day, 40)], now)
    assert len(found) == 1
    with site.state.change() as change:
        tallies = catalogue.parts(change.connection, "tally", [WEEK[1]])
        catalogue.forget(change.connection, [p.path for p in tallies])
    now_ = judged(site, WEEK[0], WEEK[-1], now)
    assert now_.found == []
    assert [(w.week, w.rule) for w in now_.withheld] == [("2026-W46", "excessive-use")]
    assert now_.withheld[0].not_evaluated == ["embedded content", "background traffic"]
    assert "ann" not in repr(now_.withheld)


def _bodies(ws: Workspace) -> dict[str, str]:
    with ws.state.read() as connection:
        return {r.id: r.body for r in connection.execute(select(FINDING.c.id, FINDING.c.body))}


def test_nothing_new_nothing_said(site: Workspace, now: datetime) -> None:
    ask(site, [page(utc("2026-11-10 10:00"))], now)
    judge(site, WEEK, RECENT, now)
    assert "findings" not in acts(site)


def _order(found: Sequence[Finding]) -> list[tuple[date, str, str]]:
    return [(f.first_day, f.person, f.rule) for f in found]


def test_the_order_says_nothing_of_how_much(site: Workspace, now: datetime) -> None:
    rows = [r for d in WEEK for r in reading(d, 40, user="zoe", identity="unlisted")]
    rows += [r for d in WEEK for r in reading(d, 90, user="mia", identity="unlisted")]
    rows += [r for d in WEEK for r in reading(d, 60)]
    found = ask(site, rows, now)
    assert [f.person for f in found] == ["ann", "mia", "zoe"]
    assert [f.low for f in found] != sorted(f.low for f in found)
    assert [f.low for f in found] != sorted((f.low for f in found), reverse=True)
    remember(site, found, {"2026-W46"}, now)
    assert _order(standing(site, WEEK[0], WEEK[-1], now).found) == sorted(_order(found))
