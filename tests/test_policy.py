"""The policy's language: each day by what was in force on it, and the same bytes whenever it is asked."""

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from conftest import ROOT, make_site
from factory import Row, acts, again, derived, edited, lake, page, reading, tunnel, utc
from hypothesis import given
from hypothesis import strategies as st
from test_config import refusal
from test_findings import WEEK, against, ask

from analytics import derive
from analytics.finding import Finding, time_threshold
from analytics.findings import findings
from analytics.people import usage
from analytics.questions import FeedGap
from config.leave import Away, Leave, read_leave
from config.policy import Policy
from config.rules import Effective, ExcessiveUse, WorkingHoursUse
from lake.datasets import USAGE
from workspace import Workspace, open_site

B3: dict[str, Any] = yaml.safe_load((ROOT / "config/policies/b3.yaml").read_text())
BET: Row = {"service": "bet365", "host": "www.bet365.com", "category": "gambling"}


def changed(ws: Workspace, **parts: Any) -> Workspace:
    """The site with parts of its policy written anew."""
    path = ws.folder / "policy.yaml"
    whole = {**yaml.safe_load(path.read_text()), **parts}
    path.write_text(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True))
    return again(ws)


def rule(**parts: Any) -> dict[str, Any]:
    whole = {"id": "r", "kind": "excessive_use", "clauses": ["5.1"], "minutes": 30, "days": 1,
             "when": "working_time", "decided_by": "the board"}  # fmt: skip
    return {k: v for k, v in {**whole, **parts}.items() if v is not None}


def told(ws: Workspace, now: datetime) -> list[tuple[str, str, list[date]]]:
    derived(ws, now)
    found = findings(ws, WEEK[0], WEEK[-1], now)
    return [(f.person, f.rule, [d.day for d in f.days]) for f in found]


# Hours -----------------------------------------------------------------------------------------


def test_b3_and_the_hub_see_the_same_lunch_alike_and_a_strict_one_otherwise(
    site: Workspace, now: datetime
) -> None:
    """12:30 to 13:15 is a break, 18:00 is free; who permits only the evening judges the break."""
    lake(site, [r for d in WEEK[:2] for r in reading(d, 40, start="12:32")])
    evening = [r for d in WEEK[:2] for r in reading(d, 40, start="18:00", user="kim")]
    lake(site, evening, "00000002-0000")
    hub = rule(kind="use_in_working_hours", when=None)
    rules: dict[str, Any] = {
        "b3": rule(),
        "hub": hub,
        "evening": {**hub, "permitted_hours": ["outside_hours"]},
        "never": {**hub, "permitted_hours": []},
        "day": rule(when="working_day"),
        "all": rule(when="whole_day"),
    }
    ws = changed(site, rules=[{**r, "id": name} for name, r in rules.items()])
    lunch, late = ("ann", WEEK[:2]), ("kim", WEEK[:2])
    assert sorted((p, r, d) for p, r, d in told(ws, now)) == sorted(
        [(p, r, d) for (p, d), names in ((lunch, ("evening", "never", "day", "all")),
                                         (late, ("never", "all"))) for r in names for p in [p]]
    )  # fmt: skip


def test_use_is_told_apart_by_the_part_of_the_day(site: Workspace, now: datetime) -> None:
    rows = [*reading(WEEK[0], 20, start="12:20"), *reading(WEEK[0], 10, start="18:00")]
    lake(site, rows)
    derived(site, now)
    (day,) = [u for u in usage(site, WEEK[0], WEEK[0], []) if u.category == "social_media"]
    assert day.work_low_min == pytest.approx(10, abs=0.1)
    assert day.break_low_min == pytest.approx(10.2, abs=0.2)
    assert day.outside_low_min == pytest.approx(10.2, abs=0.2)
    assert day.low_min == pytest.approx(
        (day.work_low_min or 0) + (day.break_low_min or 0) + (day.outside_low_min or 0), abs=0.01
    )


def test_parts_of_days_an_older_version_wrote_are_not_told_apart(
    site: Workspace, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake(site, reading(WEEK[0], 20))
    old = [f for f in USAGE.schema if not f.name.startswith(("break_", "outside_"))]
    monkeypatch.setattr(
        derive,
        "DERIVED",
        tuple(replace(d, schema=pa.schema(old)) if d is USAGE else d for d in derive.DERIVED),
    )
    monkeypatch.setattr(derive, "USAGE", replace(USAGE, schema=pa.schema(old)))
    derived(site, now)
    rows = [u for u in usage(site, WEEK[0], WEEK[0], []) if u.category == "social_media"]
    assert [(u.break_low_min, u.outside_high_min) for u in rows] == [(None, None)]
    assert rows[0].work_low_min == rows[0].low_min


def test_a_week_s_sum(site: Workspace, now: datetime) -> None:
    ws = changed(site, rules=[rule(minutes=None, days=None, week_minutes=60)])
    lake(ws, [r for d in WEEK[:3] for r in reading(d, 19)])
    assert told(ws, now) == []
    lake(ws, reading(WEEK[3], 19), "00000002-0000")
    assert told(ws, now) == [("ann", "r", WEEK[:4])]
    (one,) = findings(ws, WEEK[0], WEEK[-1], now)
    assert one.threshold == "more than 60 minutes in working time in a week"


# Dates -----------------------------------------------------------------------------------------


def test_a_rule_holds_on_its_days(site: Workspace, now: datetime) -> None:
    lake(site, [r for d in WEEK for r in reading(d, 40)])
    ws = changed(site, rules=[
        rule(effective={"to": WEEK[1]}),
        rule(effective={"from": WEEK[2], "to": WEEK[2]}, minutes=50),
        rule(effective={"from": WEEK[3]}, minutes=35),
    ])  # fmt: skip
    assert told(ws, now) == [("ann", "r", WEEK[:2]), ("ann", "r", WEEK[3:])]
    found = findings(ws, WEEK[0], WEEK[-1], now)
    assert len({f.id for f in found}) == 2
    assert len({f.versions["rule r"] for f in found}) == 2


def test_permission_exemption_and_block_hold_on_theirs(site: Workspace, now: datetime) -> None:
    until = {"to": WEEK[1]}
    ws = changed(
        site,
        permitted=[{"service": "facebook", "clause": "5.1", "effective": until}],
        exempt=[{"role": "communications", "purpose": "campaign", "clause": "4.2",
                 "services": ["x"], "effective": {"from": WEEK[4]}}],
        blocked=[{"categories": ["gambling"], "effective": until},
                 {"hosts": ["www.bet365.com"], "effective": {"from": WEEK[3]}}],
        rules=[rule(), rule(id="b", kind="blocked_site", when=None, minutes=None, days=None, reached=1)],
    )  # fmt: skip
    x: Row = {"service": "x", "host": "x.com", "user": "bob"}
    rows = [r for d in WEEK for r in reading(d, 40)]
    rows += [r for d in WEEK for r in reading(d, 40, start="10:10", **x)]
    noons = [utc(f"{d} 12:00") for d in WEEK]
    rows += [page(noon, **BET, user="kim") for noon in noons[:3]]
    rows += [page(n, user="kim", **{**BET, "service": "www.bet365.com", "category": "blocked_site"})
             for n in noons[3:]]  # fmt: skip
    lake(ws, rows)
    assert (
        told(ws, now)
        == [
            ("bob", "r", WEEK[:4]),  # Thursday is the last day of bob's pattern anyway
            ("kim", "b", [*WEEK[:2], *WEEK[3:]]),
            ("ann", "r", WEEK[2:]),
        ]
    )


def test_judged_later_by_other_files_it_is_the_same(site: Workspace, now: datetime) -> None:
    """A rule's end, a new rule, a colleague, a leaver, a new list: none of them reaches back."""
    ws = changed(site, rules=[rule()])
    rows = [r for d in WEEK for r in reading(d, 40)]
    before = [f.as_json() for f in ask(ws, rows, now)]
    assert len(before) == 1
    next_week = WEEK[0] + timedelta(weeks=1)
    people = (ws.folder / "people.csv").read_text().splitlines()
    people[3] = f"kim,Kim King,Advice,,kim@example.org,employee,,,,{next_week},"
    people.append(f"lou,Lou Lee,Advice,kim,lou@example.org,employee,,,{next_week},,")
    (ws.folder / "people.csv").write_text("\n".join(people) + "\n")
    (ws.folder / "sites.yaml").write_text(
        f"version: mine\nsource: us\neffective: {{from: {next_week}}}\nservices:\n"
        "- {id: fb, service: FB, category: work, roles: {site: [facebook.com]}}\n"
    )
    (ws.folder / "next.yaml").write_text(
        (ROOT / "config/policies/bcw-hub.yaml")
        .read_text()
        .replace("effective: {from: , to: }", f"effective: {{from: {next_week}, to: }}")
    )
    (ws.folder / "leave.csv").write_text(f"user,from,to\nann,{next_week},{next_week}\n")
    later = edited(ws, "fairwatch.yaml",
                   ("policy: policy.yaml ", "policy: [policy.yaml, next.yaml] "),
                   ("# leave: leave.csv", "leave: leave.csv "),
                   ("# sites: [sites.yaml]", "sites: [sites.yaml]  "))  # fmt: skip
    last, whole = (
        next_week - timedelta(days=1),
        yaml.safe_load((ws.folder / "policy.yaml").read_text()),
    )
    later = changed(
        later,
        effective={"from": date(2014, 4, 1), "to": last},
        rules=[rule(effective={"to": last - timedelta(days=1)}), rule(minutes=5, effective={"from": last})],
        permitted=[{"service": "facebook", "clause": "5.1", "effective": {"from": last}}],
        exempt=[*whole["exempt"], {**whole["exempt"][0], "role": "x", "effective": {"from": last}}],
        own_devices=[{"networks": ["10.0.0.0/8"], "clause": "5.1", "counted": False,
                      "effective": {"from": last}}],
        blocked=[{**whole["blocked"], "effective": {"to": WEEK[-1]}}],
        holidays={**whole["holidays"], "extra": [next_week]},
        clauses={**whole["clauses"], "9.9": "A new clause."},
        title="A new title",
    )  # fmt: skip
    derived_again = sum(d.fresh for d in derived(later, now))
    found = findings(later, WEEK[0], WEEK[-1], now + timedelta(days=200))
    after = [f.as_json() for f in found]
    # That there is a list of leave now is said; nothing else differs.
    for plain in (*before, *after):
        plain["against"] = [a for a in plain["against"] if a["check"] != "leave and holidays"]
    assert json.dumps(after, sort_keys=True) == json.dumps(before, sort_keys=True)
    assert derived_again == 0, "nor are the minutes of those days computed again"


def test_versions_are_of_the_rule_the_clauses_and_the_day(site: Workspace, now: datetime) -> None:
    rows = [r for d in WEEK for r in reading(d, 40)]
    (one,) = ask(changed(site, rules=[rule()]), rows, now)
    assert {
        "policy",
        "policy on these days",
        "rule r",
        "clause 5.1",
        "people",
        "sites",
        "method",
    } == set(one.versions)
    stricter = changed(site, rules=[rule(minutes=29)])
    (other,) = findings(stricter, WEEK[0], WEEK[-1], now)
    assert other.id == one.id
    assert {k for k in one.versions if one.versions[k] != other.versions[k]} == {
        "policy on these days", "rule r",
    }  # fmt: skip


# People ----------------------------------------------------------------------------------------


def test_whom_the_policy_is_not_about_it_does_not_judge(site: Workspace, now: datetime) -> None:
    ws = changed(site, rules=[rule()], applies_to=["volunteer", "employee"])
    lake(ws, [r for d in WEEK for u in ("ann", "zoe") for r in reading(d, 40, user=u)])
    ws = edited(ws, "people.csv", ("ann@example.org,employee", "ann@example.org,trustee"))
    assert [p for p, _, _ in told(ws, now)] == ["zoe"], "of a name in no list nothing is known"
    ws = edited(ws, "people.csv", ("ann@example.org,trustee", "ann@example.org,volunteer"))
    assert [p for p, _, _ in told(ws, now)] == ["ann", "zoe"]


def away(ws: Workspace, *rows: str) -> Workspace:
    (ws.folder / "leave.csv").write_text("\n".join(["user,from,to", *rows]) + "\n")
    text = (ws.folder / "fairwatch.yaml").read_text()
    (ws.folder / "fairwatch.yaml").write_text(
        text.replace("# leave: leave.csv", "leave: leave.csv ")
    )
    return again(ws)


def test_a_day_of_leave_is_nobody_s_working_day(site: Workspace, now: datetime) -> None:
    ws = away(changed(site, rules=[rule(), rule(id="all", when="whole_day"), BLOCK]),
              f"ann,{WEEK[0]},{WEEK[1]}", f"BOB,{WEEK[2]},{WEEK[2]}")  # fmt: skip
    lake(ws, [*(r for d in WEEK[:3] for r in reading(d, 40)),
              page(utc(f"{WEEK[0]} 12:00"), **BET)])  # fmt: skip
    assert told(ws, now) == [
        ("ann", "b", [WEEK[0]]), ("ann", "all", [WEEK[2]]), ("ann", "r", [WEEK[2]]),
    ]  # fmt: skip
    found = findings(ws, WEEK[0], WEEK[-1], now)
    assert "somebody else may have used the account" in against(found[0])["leave and holidays"]
    assert "names none of them" in against(found[1])["leave and holidays"]
    (day,) = [u for u in usage(ws, WEEK[0], WEEK[0], []) if u.category == "social_media"]
    assert (day.work_high_min, day.outside_low_min) == (0, day.low_min)


BLOCK = rule(
    id="b", kind="blocked_site", when=None, minutes=None, days=None, reached=1, clauses=["6.3"]
)
LEAVE_FAULTS = {
    "another column": ("user,from,to,why\nann,2026-01-01,2026-01-01,sick\n", "no place here"),
    "a column too few": ("user,from\nann,2026-01-01\n", "user,from,to"),
    "empty": ("", "user,from,to"),
    "nobody": ("user,from,to\nnobody,2026-01-01,2026-01-01\n", "line 2, column user"),
    "turned round": ("user,from,to\nann,2026-01-02,2026-01-01\n", "2026-01-02 to 2026-01-01"),
    "for ever": ("user,from,to\nann,2026-01-01,2036-01-01\n", "three years"),
    "no day": ("user,from,to\nann,2026-02-30,2026-03-01\n", "column from: expected a day"),
    "open": ("user,from,to\nann,2026-02-03,\n", "column to: expected a day"),
    "too many cells": ("user,from,to\nann,2026-01-01,2026-01-01,x\n", "more cells than columns"),
    "a quote not closed": ('user,from,to\n"ann,2026-01-01,2026-01-01\n', "not CSV"),
}


@pytest.mark.parametrize("fault", LEAVE_FAULTS)
def test_a_fault_in_the_list_of_leave_is_named_and_nobody(tmp_path: Path, fault: str) -> None:
    text, says = LEAVE_FAULTS[fault]
    path = tmp_path / "leave.csv"
    path.write_text(text)
    said = refusal(lambda: read_leave(path, ["ann"]))
    assert said.startswith(str(path))
    assert says in said
    assert "ann" not in said.removeprefix(str(path))
    assert "sick" not in said


def test_leave_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    assert "no such file" in refusal(lambda: read_leave(tmp_path / "leave.csv", []))
    (tmp_path / "leave.csv").write_bytes(b"\xff\xfe\xfa")
    assert "UTF-8" in refusal(lambda: read_leave(tmp_path / "leave.csv", []))


def test_a_change_of_the_leave_list_is_an_act(site: Workspace, now: datetime) -> None:
    ws = away(site, f"ann,{WEEK[0]},{WEEK[1]}")
    ws.note_settings(now)
    assert "leave.csv" in [line.act.get("file") for line in ws.ledger.lines()]
    assert acts(ws).count("settings") == len(ws.config_files)


@given(st.dates(date(2026, 1, 1), date(2026, 3, 1)), st.integers(0, 40))
def test_leave_includes_both_its_ends(start: date, length: int) -> None:
    leave = Leave([Away("Ann", start, start + timedelta(days=length))])
    days = [start + timedelta(days=i) for i in range(-2, length + 3)]
    assert [d for d in days if "ann" in leave.on(d)] == days[2:-2]


# Devices and blocks -----------------------------------------------------------------------------


def test_own_devices_count_where_the_policy_says_so(site: Workspace, now: datetime) -> None:
    own = {"networks": ["10.99.0.0/16", "2001:db8::/32"], "clause": "5.1"}
    lake(site, [
        *(r for d in WEEK for r in reading(d, 40, client="10.99.3.4")),
        *(r for d in WEEK for r in reading(d, 40, client="2001:db8::5", user="kim")),
        *(r for d in WEEK for r in reading(d, 35, start="14:00", user="kim")),
        page(utc(f"{WEEK[0]} 12:00"), **BET, client="10.99.3.4"),
    ])  # fmt: skip
    left_out = changed(site, rules=[rule(), BLOCK], own_devices=[{**own, "counted": False}])
    assert told(left_out, now) == [("kim", "r", WEEK)]
    (one,) = findings(left_out, WEEK[0], WEEK[-1], now)
    assert (
        "1 of the 2 addresses used lie in networks of people's own devices (clause 5.1)"
        in (against(one)["own devices"])
    )
    assert against(one)["own devices"].endswith("left out.")
    minutes = {u.user: u.low_min for u in usage(left_out, WEEK[0], WEEK[0], [])
               if u.category == "social_media"}  # fmt: skip
    assert minutes["ann"] == pytest.approx(40, abs=1), "measured, and not judged"
    counted = changed(site, own_devices=[{**own, "counted": True}])
    assert {p for p, _, _ in told(counted, now)} == {"ann", "kim"}
    until = changed(site, own_devices=[{**own, "counted": False, "effective": {"to": WEEK[1]}}])
    assert ("ann", "r", WEEK[2:]) in told(until, now)


def test_a_widget_of_a_blocked_site_is_no_visit(site: Workspace, now: datetime) -> None:
    """An advertisement on a news page, fifty times: as a frame, and as a tunnel after the page's."""
    noon = utc(f"{WEEK[0]} 12:00")
    rows: list[Row] = []
    for n in range(50):
        at = noon + timedelta(minutes=2 * n)
        news: Row = {"host": None, "service": None, "role": None, "category": None}
        rows += [page(at, **BET, referrer="other", verdict="denied", status=403),
                 tunnel(at + timedelta(seconds=30), **news),
                 tunnel(at + timedelta(seconds=31), **BET, verdict="denied", status=403)]  # fmt: skip
    lake(site, rows)
    assert told(changed(site, rules=[{**BLOCK, "attempts": 1}]), now) == []
    lake(site, [tunnel(noon - timedelta(hours=1), **BET, verdict="denied")], "00000002-0000")
    assert told(again(site), now) == [("ann", "b", [WEEK[0]])]


def test_a_rule_about_some_of_what_is_blocked(site: Workspace, now: datetime) -> None:
    blocked = {"categories": ["gambling", "dating"], "services": ["tiktok"]}
    ws = changed(site, blocked=blocked, rules=[
        {**BLOCK, "id": "g", "categories": ["gambling"]}, {**BLOCK, "id": "t", "services": ["tiktok"]},
    ])  # fmt: skip
    at = utc(f"{WEEK[0]} 12:00")
    lake(ws, [
        page(at, **BET),
        page(at, user="kim", service="tinder", host="tinder.com", category="dating"),
        page(at, user="zoe", service="tiktok", host="www.tiktok.com", category="video_sharing"),
    ])  # fmt: skip
    assert [(p, r) for p, r, _ in told(ws, now)] == [("ann", "g"), ("zoe", "t")]


# Policies as they were written before ------------------------------------------------------------


def test_a_policy_of_before_reads_as_it_did() -> None:
    policy = Policy.model_validate(B3)
    assert [b.categories for b in policy.blocked] == [["gambling"]]
    assert policy.own_devices == []
    assert all(r.effective == Effective.model_validate({}) for r in policy.rules)


def test_a_gap_at_night_withholds_the_day_too(
    site: Workspace, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake(site, [r for d in WEEK[:4] for r in reading(d, 40)])
    night = utc(f"{WEEK[1]} 23:30")
    gap = FeedGap("main-proxy", night, night + timedelta(hours=2))
    monkeypatch.setattr("analytics.findings.feed_gaps", lambda *_: [gap])
    ws = changed(site, rules=[rule()])
    assert told(ws, now) == [("ann", "r", [WEEK[0], WEEK[3]])]
    (one,) = findings(ws, WEEK[0], WEEK[-1], now)
    assert against(one)["missing data"].endswith(": 2.")


def test_days_in_words() -> None:
    both = ExcessiveUse.model_validate(rule(minutes=30, days=3, week_minutes=90))
    assert time_threshold(both) == (
        "more than 30 minutes in working time on at least 3 days of a week, or more than 90 minutes "
        "in working time in a week"
    )
    evening = WorkingHoursUse.model_validate(
        rule(kind="use_in_working_hours", when=None, permitted_hours=["outside_hours"])
    )
    assert "in working time and breaks" in time_threshold(evening)


@given(st.dates(), st.dates(), st.dates())
def test_effective_days(start: date, end: date, day: date) -> None:
    if end < start:
        with pytest.raises(ValueError, match="on or after"):
            Effective.model_validate({"from": start, "to": end})
        return
    held = Effective.model_validate({"from": start, "to": end})
    assert held.covers(day) is (start <= day <= end)
    assert held.meets(Effective.model_validate({"from": day, "to": day})) is held.covers(day)


def test_the_rule_s_version_is_of_its_text_its_clauses_and_the_policy() -> None:
    policy = Policy.model_validate(B3)
    first = policy.rules[0]
    known = {policy.version_of(first)}
    for part in (
        {"version": "B110 v3"}, {"clauses": {**B3["clauses"], "5.1": "Nobody wastes time."}},
        {"rules": [{**B3["rules"][0], "minutes": 31}, *B3["rules"][1:]]},
        {"rules": [{**B3["rules"][0], "decided_by": "board"}, *B3["rules"][1:]]},
    ):  # fmt: skip
        other = Policy.model_validate({**B3, **part})
        known.add(other.version_of(other.rules[0]))
    assert len(known) == 5
    same = Policy.model_validate({**B3, "title": "Another title"})
    assert same.version_of(same.rules[0]) in known


@pytest.mark.parametrize("policy", ["b3", "bcw-hub"])
def test_both_shipped_policies_judge(tmp_path: Path, now: datetime, policy: str) -> None:
    folder = make_site(tmp_path / "site")
    (folder / "policy.yaml").write_text((ROOT / f"config/policies/{policy}.yaml").read_text())
    ws = open_site(folder, "test")
    linkedin: Row = {"service": "linkedin", "host": "www.linkedin.com",
                     "category": "professional_network"}  # fmt: skip
    found: list[Finding] = ask(ws, [
        *(r for d in WEEK for r in reading(d, 40)),
        *(r for d in WEEK for r in reading(d, 60, user="zoe", identity="unlisted", **linkedin)),
    ], now)  # fmt: skip
    assert [f.person for f in found] == (["ann", "zoe"] if policy == "b3" else ["ann"])
