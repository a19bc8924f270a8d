"""Findings: judged on the low bound, with everything that speaks against them, and never on absence."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from conftest import ROOT, make_site
from factory import ELSEWHERE, Row, acts, derived, edited, lake, page, reading, tunnel, utc
from sqlalchemy import select

from analytics.against import CHECKS
from analytics.finding import Finding
from analytics.findings import findings
from analytics.record import remember
from state.tables import FINDING
from workspace import Workspace, open_site

MONDAY = date(2026, 11, 9)
WEEK = [MONDAY + timedelta(days=i) for i in range(5)]
LAST_WEEK = [day - timedelta(days=7) for day in WEEK]


def office(days: Sequence[date], *, without: tuple[str, str] | None = None) -> list[Row]:
    """Work traffic of kim, a line a minute from nine to five; on the last day perhaps a hole."""
    rows = []
    for day in days:
        first = datetime.combine(day, time(9), UTC)
        rows += [
            page(first + timedelta(minutes=i), user="kim", client="10.20.1.99", **ELSEWHERE)
            for i in range(480)
        ]
    if without is None:
        return rows
    start, end = (datetime.fromisoformat(f"{days[-1]}T{t}:00+00:00") for t in without)
    return [row for row in rows if not start <= row["time"] < end]


def ask(ws: Workspace, rows: Sequence[Row], now: datetime) -> list[Finding]:
    """Findings of the week, these rows and a week of work being the log."""
    lake(ws, [*rows, *office(WEEK)])
    derived(ws, now)
    return findings(ws, WEEK[0], WEEK[-1], now)


def against(finding: Finding) -> dict[str, str]:
    return {a.check: a.text for a in finding.against}


@pytest.fixture
def hub(tmp_path: Path) -> Workspace:
    """A site under the other policy."""
    folder = make_site(tmp_path / "hub")
    (folder / "policy.yaml").write_text((ROOT / "config/policies/bcw-hub.yaml").read_text())
    return open_site(folder, "test")


def test_b3_excessive_use(site: Workspace, now: datetime) -> None:
    rows = [r for day in WEEK[:3] for r in reading(day, 40)]
    found = ask(site, rows, now)
    assert [(f.person, f.rule, f.kind, f.week) for f in found] == [
        ("ann", "excessive-use", "excessive_use", "2026-W46")
    ]
    one = found[0]
    assert [d.day for d in one.days] == WEEK[:3]
    assert one.low == pytest.approx(3 * (48 * 50 + 10) / 60, abs=0.01)
    assert one.low <= one.likely <= one.high
    assert (one.unit, one.grade, one.identity) == ("minutes", "B", "login")
    assert set(one.clauses) == {"5.1", "6.1.1"}
    assert all(one.clauses.values())
    assert "suggestion" in against(one)["threshold"]


def test_b3_counts_no_break_and_no_evening(site: Workspace, now: datetime) -> None:
    rows = [r for day in WEEK for r in reading(day, 40, start="12:32")]
    rows += [r for day in WEEK for r in reading(day, 90, start="18:00")]
    assert ask(site, rows, now) == []


def test_a_bank_holiday_is_no_working_time(site: Workspace, now: datetime) -> None:
    ws = edited(site, "policy.yaml", ("extra: []", f"extra: [{WEEK[0]}]"))
    assert ask(ws, [r for day in WEEK[:3] for r in reading(day, 40)], now) == []


def test_hub_use_in_working_hours(hub: Workspace, now: datetime) -> None:
    rows = [r for day in WEEK[:3] for r in reading(day, 12)]
    rows += [r for day in WEEK for r in reading(day, 40, start="12:32", user="bob")]
    rows += [
        r
        for day in WEEK
        for r in reading(
            day, 60, user="zoe", identity="unlisted", service="linkedin", host="www.linkedin.com",
            category="professional_network",
        )
    ]  # fmt: skip
    found = ask(hub, rows, now)
    assert [(f.person, f.rule) for f in found] == [("ann", "working-hours-use")]
    assert set(found[0].clauses) == {"personal-use", "purpose-3"}
    assert "LinkedIn" in against(found[0])["permitted and authorised use"]


@pytest.mark.parametrize("policy", ["b3", "bcw-hub"])
def test_blocked_sites(tmp_path: Path, now: datetime, policy: str) -> None:
    folder = make_site(tmp_path / "site")
    (folder / "policy.yaml").write_text((ROOT / f"config/policies/{policy}.yaml").read_text())
    ws = open_site(folder, "test")
    bet: Row = {"service": "bet365", "host": "www.bet365.com", "category": "gambling"}
    noon = utc("2026-11-10 12:00")
    refused = [
        page(noon + timedelta(minutes=i), **bet, verdict="denied", status=403) for i in range(10)
    ]
    reached = [tunnel(noon, user="bob", **bet, bytes_down=90_000)]
    nine = [{**row, "user": "zoe", "identity": "unlisted"} for row in refused[:9]]
    found = ask(ws, [*refused, *reached, *nine], now)
    assert [(f.person, f.rule, f.low, f.unit) for f in found] == [
        ("ann", "blocked-site", 10.0, "visits"),
        ("bob", "blocked-site", 1.0, "visits"),
    ]
    assert all(set(against(f)) == set(CHECKS) for f in found)
    assert "bet365" not in json.dumps([f.as_json() for f in found]).lower()


def test_only_the_low_bound_is_judged(site: Workspace, now: datetime) -> None:
    """Looks at lengths that may be 45 minutes a day and are surely not."""
    rows = []
    for day in WEEK:
        first = datetime.combine(day, time(9), UTC)
        rows += [page(first + timedelta(minutes=6 * i)) for i in range(30)]
    assert ask(site, rows, now) == []


def test_a_threshold_is_to_be_exceeded(site: Workspace, now: datetime) -> None:
    exact = (48 * 50 + 10) / 60
    rows = [r for day in WEEK[:3] for r in reading(day, 40)]
    at = edited(site, "policy.yaml", ("minutes: 30 ", f"minutes: {exact + 0.001:.3f} "))
    assert ask(at, rows, now) == []
    below = edited(
        site, "policy.yaml", (f"minutes: {exact + 0.001:.3f} ", f"minutes: {exact - 0.001:.3f} ")
    )
    derived(below, now)
    assert len(findings(below, WEEK[0], WEEK[-1], now)) == 1


@pytest.mark.parametrize(("days", "expected"), [(2, 0), (3, 1), (5, 1)])
def test_number_of_days(site: Workspace, now: datetime, days: int, expected: int) -> None:
    found = ask(site, [r for day in WEEK[:days] for r in reading(day, 40)], now)
    assert len(found) == expected


def test_days_of_two_weeks_are_not_added(site: Workspace, now: datetime) -> None:
    rows = [r for day in [*LAST_WEEK[3:], *WEEK[:2]] for r in reading(day, 40)]
    ask(site, [*rows, *office(LAST_WEEK)], now)
    assert findings(site, LAST_WEEK[0], WEEK[-1], now) == []


def test_a_day_with_a_gap_is_withheld(site: Workspace, now: datetime) -> None:
    reads = [r for day in WEEK[:3] for r in reading(day, 40, start="09:30")]
    work = [
        *office([*LAST_WEEK, *WEEK[:3]], without=("11:00", "14:00")),
        *office(WEEK[3:]),
    ]
    lake(site, [*reads, *work])
    derived(site, now)
    assert findings(site, WEEK[0], WEEK[-1], now) == []
    lake(site, reading(WEEK[3], 40), "00000002-0000")
    derived(site, now)
    found = findings(site, WEEK[0], WEEK[-1], now)
    assert [d.day for d in found[0].days] == [WEEK[0], WEEK[1], WEEK[3]]
    assert re.search(r"left out because .* gap.* 1\.$", against(found[0])["missing data"])


def test_days_before_people_were_told_are_not_judged(site: Workspace, now: datetime) -> None:
    told = edited(site, "policy.yaml", ("given: 2014-04-01", f"given: {WEEK[2]}"))
    found = ask(told, [r for day in WEEK for r in reading(day, 40)], now)
    assert [d.day for d in found[0].days] == WEEK[2:]
    late = edited(told, "policy.yaml", (f"given: {WEEK[2]}", f"given: {WEEK[3]}"))
    derived(late, now)
    assert findings(late, WEEK[0], WEEK[-1], now) == []


def test_a_policy_no_longer_in_force_judges_nothing(site: Workspace, now: datetime) -> None:
    over = edited(site, "policy.yaml", ("to: }", f"to: {WEEK[1]}}}"))
    assert ask(over, [r for day in WEEK for r in reading(day, 40)], now) == []


def test_an_address_is_nobody(site: Workspace, now: datetime) -> None:
    rows = [r for day in WEEK for r in reading(day, 40, user="10.20.9.1", identity="address")]
    bet = {"service": "bet365", "category": "gambling", "verdict": "denied", "status": 403}
    noon = utc("2026-11-10 12:00")
    rows += [page(noon + timedelta(minutes=i), user="10.20.9.1", identity="address", **bet)
             for i in range(30)]  # fmt: skip
    assert ask(site, rows, now) == []


@pytest.mark.parametrize("identity", ["login", "assigned", "unlisted"])
def test_how_a_person_is_known_is_said(site: Workspace, now: datetime, identity: str) -> None:
    found = ask(site, [r for day in WEEK for r in reading(day, 40, identity=identity)], now)
    assert identity in against(found[0])["identity"]


def test_an_authorised_role_is_not_judged(site: Workspace, now: datetime) -> None:
    """bob works for the organisation's own pages; the policy says so, and until when."""
    rows = [r for day in WEEK for r in reading(day, 40, user="bob", start="10:10")]
    assert ask(site, rows, now) == []
    over = edited(
        site, "policy.yaml",
        ('services: [], clause: "4.2"}', f'services: [], clause: "4.2", effective: {{to: {WEEK[0]}}}}}'),
    )  # fmt: skip
    derived(over, now)
    found = findings(over, WEEK[0], WEEK[-1], now)
    # Thursday is the last day of bob's own pattern.
    assert [d.day for d in found[0].days] == WEEK[1:4]


def test_every_check_is_there_in_words(site: Workspace, now: datetime) -> None:
    found = ask(site, [r for day in WEEK for r in reading(day, 40)], now)
    assert sorted(a.check for a in found[0].against) == sorted(CHECKS)
    assert all(len(a.text) > 20 and a.text.endswith(".") for a in found[0].against)


def test_somebody_else_at_the_device_speaks_for_the_person(site: Workspace, now: datetime) -> None:
    rows = [r for day in WEEK for r in reading(day, 40)]
    rows.append(page(utc("2026-11-10 15:00"), user="bob"))
    found = ask(site, rows, now)
    assert "somebody else" in against(found[0])["shared device"]


def test_again_the_same(site: Workspace, now: datetime) -> None:
    found = ask(site, [r for day in WEEK for r in reading(day, 40)], now)
    assert findings(site, WEEK[0], WEEK[-1], now + timedelta(hours=9)) == found
    assert findings(site, WEEK[2], WEEK[2], now) == found, "a finding is a week's"
    assert re.fullmatch("[0-9a-f]{12}", found[0].id)
    assert json.loads(json.dumps(found[0].as_json())) == found[0].as_json()


def test_ids_differ_by_person_week_and_rule(site: Workspace, now: datetime) -> None:
    rows = [
        r for day in [*LAST_WEEK, *WEEK] for u in ("ann", "zoe") for r in reading(day, 40, user=u)
    ]
    bet = {"service": "bet365", "category": "gambling", "verdict": "allowed"}
    rows.append(page(utc("2026-11-10 12:00"), **bet))
    ask(site, [*rows, *office(LAST_WEEK)], now)
    found = findings(site, LAST_WEEK[0], WEEK[-1], now)
    assert len(found) == 5
    assert len({f.id for f in found}) == 5


def _stored(ws: Workspace) -> dict[str, str]:
    with ws.state.read() as connection:
        return {r.id: r.body for r in connection.execute(select(FINDING.c.id, FINDING.c.body))}


def test_remember_replaces(site: Workspace, now: datetime) -> None:
    found = ask(site, [r for day in WEEK for r in reading(day, 40)], now)
    remember(site, found, {"2026-W46"}, now)
    assert _stored(site).keys() == {found[0].id}
    said = acts(site).count("findings")
    remember(site, found, {"2026-W46"}, now + timedelta(days=1))
    assert acts(site).count("findings") == said == 1, "nothing changed, nothing to say"
    remember(site, [], {"2026-W45"}, now)
    assert _stored(site).keys() == {found[0].id}, "another week's"
    remember(site, [], {"2026-W46"}, now)
    assert _stored(site) == {}
    last = [line.act for line in site.ledger.lines() if line.act["act"] == "findings"][-1]
    assert (last["gone"], last["new"]) == ([found[0].id], [])


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(lambda text: text.replace("id: b3\n", "id: b3-new\n"), id="another-policy"),
        pytest.param(
            lambda text: text.replace("version: B110 v2", "version: B110 v3"), id="version"
        ),
    ],
)
def test_a_policy_that_changes_in_mid_week(
    site: Workspace, now: datetime, second: Callable[[str], str]
) -> None:
    """Each day by the policy in force on it; both findings are kept."""
    text = (site.folder / "policy.yaml").read_text().replace("days: 3 ", "days: 1 ")
    (site.folder / "policy.yaml").write_text(text.replace("to: }", f"to: {WEEK[1]}}}"))
    (site.folder / "new.yaml").write_text(
        second(text).replace("from: 2014-04-01", f"from: {WEEK[2]}")
    )
    ws = edited(
        site, "fairwatch.yaml", ("policy: policy.yaml ", "policy: [policy.yaml, new.yaml] ")
    )
    found = ask(ws, [r for day in WEEK for r in reading(day, 40)], now)
    assert [[d.day for d in f.days] for f in found] == [WEEK[:2], WEEK[2:]]
    assert len({f.id for f in found}) == 2
    remember(ws, found, {"2026-W46"}, now)
    assert _stored(ws).keys() == {f.id for f in found}


def test_no_week_is_no_finding(site: Workspace, now: datetime) -> None:
    assert findings(site, WEEK[1], WEEK[0], now) == []
