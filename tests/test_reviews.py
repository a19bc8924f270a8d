"""What humans make of findings: with a reason, in the ledger first, kept, and never by themselves."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from factory import derived, lake, reading
from sqlalchemy import select
from test_findings import WEEK, ask

from analytics.finding import Finding
from analytics.findings import findings
from analytics.record import remember
from errors import FairwatchError, NoSuchThing, NotPermitted, WrongUsage
from reports import reviews
from reports.reviews import Act, listed, open_matters, review, standings
from state.tables import FINDING, REVIEW
from workspace import Workspace

WHY = "Looked at it with the team; campaign week."
HELEN = "Helen Marsh"


@pytest.fixture
def matter(site: Workspace, now: datetime) -> Finding:
    """A finding on record."""
    found = ask(site, [r for day in WEEK[:3] for r in reading(day, 40)], now)
    remember(site, found, {"2026-W46"}, now)
    return found[0]


def state(ws: Workspace, finding: Finding) -> tuple[str, bool]:
    at = standings(ws, [finding])[finding.id]
    return at.state, at.changed


@pytest.mark.parametrize(
    ("act", "leads_to"),
    [
        ("dismiss", "dismissed"),
        ("note", "noted"),
        ("refer", "referred"),
        ("contest", "contested"),
    ],
)
def test_each_act_is_kept_with_its_reason(
    site: Workspace, matter: Finding, now: datetime, act: Act, leads_to: str
) -> None:
    assert state(site, matter) == ("waiting", False)
    made = review(site, matter.id, act, f"  {WHY}\n\x07", HELEN, now)
    assert (made.state, made.changed) == (leads_to, False)
    (one,) = made.reviews
    assert (one.act, one.reason, one.by, one.facts) == (act, WHY, HELEN, matter.facts)
    told = [line.act for line in site.ledger.lines() if line.act["act"].startswith("finding ")]
    assert [t["act"] for t in told] == ["finding review", "finding reviewed"]
    assert (told[0]["finding"], told[0]["does"], told[0]["reason"]) == (matter.id, act, WHY)
    assert "ann" not in json.dumps(told)
    site.ledger.verify()


def test_the_act_stands_in_the_ledger_before_it_happens(
    site: Workspace, matter: Finding, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(type(site.state), "change", fails)
    with pytest.raises(OSError, match="full"):
        review(site, matter.id, "dismiss", WHY, HELEN, now)
    last = [line.act for line in site.ledger.lines()][-1]
    assert (last["act"], last["reason"]) == ("finding review", WHY)
    assert state(site, matter) == ("waiting", False)


def test_a_ledger_that_cannot_be_written_lets_nothing_happen(
    site: Workspace, matter: Finding, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(type(site.ledger), "append", fails)
    with pytest.raises(OSError, match="read-only"):
        review(site, matter.id, "dismiss", WHY, HELEN, now)
    with site.state.read() as connection:
        assert connection.execute(select(REVIEW)).all() == []


def test_a_dismissed_one_does_not_come_back_for_the_same_facts(
    site: Workspace, matter: Finding, now: datetime
) -> None:
    review(site, matter.id, "dismiss", WHY, HELEN, now)
    again = findings(site, WEEK[0], WEEK[-1], now + timedelta(days=1))
    remember(site, again, {"2026-W46"}, now)
    assert state(site, again[0]) == ("dismissed", False)
    assert open_matters(site, again) == []
    remember(site, [], {"2026-W46"}, now)
    remember(site, again, {"2026-W46"}, now)
    assert state(site, again[0]) == ("dismissed", False), "gone and found again"


def test_other_facts_are_another_matter(site: Workspace, matter: Finding, now: datetime) -> None:
    review(site, matter.id, "dismiss", WHY, HELEN, now)
    lake(site, reading(WEEK[3], 40), "00000002-0000")
    derived(site, now)
    (later,) = findings(site, WEEK[0], WEEK[-1], now)
    assert later.id == matter.id
    assert state(site, later) == ("waiting", True)
    assert standings(site, [later])[later.id].reviews[0].reason == WHY, "what was said stays"
    assert open_matters(site, [later]) == [later]


def test_what_was_referred_stays_so(site: Workspace, matter: Finding, now: datetime) -> None:
    review(site, matter.id, "refer", WHY, HELEN, now)
    review(site, matter.id, "note", "A case was opened today.", HELEN, now)
    assert state(site, matter) == ("referred", False)
    assert state(site, replace(matter, threshold="another")) == ("referred", True)


def test_the_last_decision_holds(site: Workspace, matter: Finding, now: datetime) -> None:
    review(site, matter.id, "dismiss", WHY, HELEN, now)
    review(site, matter.id, "refer", "There is a second week like it.", HELEN, now)
    assert state(site, matter)[0] == "referred"
    review(site, matter.id, "contest", "I was at a training that day.", "ann", now)
    assert [r.act for r in standings(site, [matter])[matter.id].reviews] == [
        "dismiss", "refer", "contest",
    ]  # fmt: skip


def test_the_team_s_median_is_no_fact_of_the_finding(matter: Finding) -> None:
    other = replace(
        matter, against=replace(matter.against, team=reviews_said("another median")), versions={}
    )
    assert other.facts == matter.facts
    assert replace(matter, days=matter.days[:2]).facts != matter.facts


def reviews_said(text: str) -> Any:
    from analytics.against import Said

    return Said(text)


@pytest.mark.parametrize("by", ["ann", "Ann Archer", "ANN@example.org"])
@pytest.mark.parametrize("act", ["dismiss", "refer"])
def test_nobody_decides_about_themselves(
    site: Workspace, matter: Finding, now: datetime, by: str, act: Act
) -> None:
    with pytest.raises(NotPermitted, match="somebody else has to decide"):
        review(site, matter.id, act, WHY, by, now)
    assert "finding review" not in [line.act["act"] for line in site.ledger.lines()]


REFUSED: list[tuple[Callable[[Finding], tuple[str, str, str]], type[FairwatchError]]] = [
    (lambda f: ("0" * 12, WHY, HELEN), NoSuchThing),
    (lambda f: ("' OR 1=1 --", WHY, HELEN), NoSuchThing),
    (lambda f: (f.id, "", HELEN), WrongUsage),
    (lambda f: (f.id, "no", HELEN), WrongUsage),
    (lambda f: (f.id, " \n\t" * 20, HELEN), WrongUsage),
    (lambda f: (f.id, "x" * 2001, HELEN), WrongUsage),
    (lambda f: (f.id, WHY, ""), WrongUsage),
]


@pytest.mark.parametrize("index", range(len(REFUSED)))
def test_what_is_refused(site: Workspace, matter: Finding, now: datetime, index: int) -> None:
    given, error = REFUSED[index]
    id_, reason, by = given(matter)
    with pytest.raises(error):
        review(site, id_, "dismiss", reason, by, now)
    assert state(site, matter) == ("waiting", False)


def test_the_list_of_states(site: Workspace, matter: Finding, now: datetime) -> None:
    review(site, matter.id, "note", WHY, HELEN, now)
    (one,) = listed(site)
    assert (one.id, one.week, one.rule, one.person) == (
        matter.id,
        "2026-W46",
        "excessive-use",
        "ann",
    )
    assert (one.state, one.acts, one.last_by, one.last_reason) == ("noted", 1, HELEN, WHY)
    with site.state.change() as change:
        change.execute(FINDING.delete())
    assert listed(site) == []


def test_reasons_of_a_database_of_somebody_else_s_hand_are_left_out(
    site: Workspace, matter: Finding, now: datetime
) -> None:
    review(site, matter.id, "note", WHY, HELEN, now)
    with site.state.change() as change:
        change.execute(REVIEW.update().values(act="convict"))
    assert standings(site, [matter])[matter.id].reviews == []
    assert reviews.listed(site)[0].state == "waiting"
