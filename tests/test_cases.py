"""Cases: no reason, no second person, no look."""

from datetime import date, datetime, timedelta

import pytest
from factory import edited

from errors import NoSuchThing, NotPermitted, WrongUsage
from reports.cases import Case, approve, approved, case, cases, close, open_case, reasons
from workspace import Workspace

FIRST, LAST = date(2026, 11, 9), date(2026, 11, 13)
HELEN, TOM = "Helen Marsh", "Tom Ridley"


def opened(ws: Workspace, now: datetime, person: str = "ann", by: str = HELEN) -> Case:
    return open_case(ws, person, FIRST, LAST, "excessive-use", "Finding 0123", by, now)


def test_a_case_from_asking_to_closing(site: Workspace, now: datetime) -> None:
    asked = opened(site, now)
    assert asked.id == "C-2026-0001"
    assert (asked.person, asked.reason, asked.asked_by) == ("ann", "excessive-use", HELEN)
    assert (asked.first_day, asked.last_day, asked.note) == (FIRST, LAST, "Finding 0123")
    assert asked.approved is None
    agreed = approve(site, asked.id, TOM, now + timedelta(hours=1))
    assert agreed.approved_by == TOM
    assert approved(site, asked.id) == agreed == case(site, asked.id)
    ended = close(site, asked.id, HELEN, now + timedelta(hours=2))
    assert ended.closed == now + timedelta(hours=2)
    told = [line.act for line in site.ledger.lines()]
    assert [a["act"] for a in told] == ["case open", "case approve", "case close"]
    assert [a["by"] for a in told] == [HELEN, TOM, HELEN]
    assert told[0]["person"] == "ann"
    assert told[0]["reason"] == "excessive-use"
    site.ledger.verify()


def test_numbers_count_up(site: Workspace, now: datetime) -> None:
    ids = [opened(site, now + timedelta(minutes=i)).id for i in range(3)]
    assert ids == ["C-2026-0001", "C-2026-0002", "C-2026-0003"]
    assert [c.id for c in cases(site)] == ids


def test_only_the_policys_reasons(site: Workspace, now: datetime) -> None:
    with pytest.raises(NotPermitted, match=r"excessive-use .*6\.1\.1.*; breach .*6\.1\.2"):
        open_case(site, "ann", FIRST, LAST, "curiosity", "", HELEN, now)
    assert {r.id for r in reasons(site, FIRST)[1]} == {"excessive-use", "breach"}


@pytest.mark.parametrize("kind", ["shared", "service"])
def test_no_case_on_an_account_that_is_no_person(site: Workspace, now: datetime, kind: str) -> None:
    later = edited(site, "people.csv", ("ann@example.org,employee", f"ann@example.org,{kind}"))
    with pytest.raises(NotPermitted, match=f"{kind} account"):
        opened(later, now)


def test_no_policy_no_case(site: Workspace, now: datetime) -> None:
    later = edited(site, "policy.yaml", ("given: 2014-04-01", "given: 2026-11-12"))
    with pytest.raises(NotPermitted, match="had not been told"):
        opened(later, now)


@pytest.mark.parametrize(
    ("first", "last"),
    [(LAST, FIRST), (date(2026, 1, 1), date(2026, 11, 13)), (FIRST, FIRST + timedelta(days=92))],
)
def test_a_period_in_order_and_not_a_year(
    site: Workspace, now: datetime, first: date, last: date
) -> None:
    with pytest.raises(WrongUsage, match="92 days"):
        open_case(site, "ann", first, last, "excessive-use", "", HELEN, now)


def test_one_day_and_92_are_periods(site: Workspace, now: datetime) -> None:
    for last in (FIRST, FIRST + timedelta(days=91)):
        assert open_case(site, "ann", FIRST, last, "breach", "", HELEN, now).last_day == last


def test_a_person_nobody_knows(site: Workspace, now: datetime) -> None:
    with pytest.raises(NoSuchThing, match="zoe"):
        opened(site, now, person="zoe")


def test_a_person_is_found_as_the_log_writes_them(site: Workspace, now: datetime) -> None:
    assert opened(site, now, person="EXAMPLE\\Ann").person == "ann"


@pytest.mark.parametrize("by", ["", "  ", "x"])
def test_somebody_has_to_be_named(site: Workspace, now: datetime, by: str) -> None:
    with pytest.raises(WrongUsage, match="--by"):
        opened(site, now, by=by)
    asked = opened(site, now)
    with pytest.raises(WrongUsage, match="--by"):
        approve(site, asked.id, by, now)


@pytest.mark.parametrize(
    "again",
    [
        HELEN,
        "helen marsh",
        " Helen  Marsh ",
        "HELEN\tMARSH",
        "Helen\u00a0Marsh",
        "Helen Mars\u200bh",
    ],
)
def test_the_asker_is_no_second_person(site: Workspace, now: datetime, again: str) -> None:
    asked = opened(site, now)
    with pytest.raises(NotPermitted, match="second person"):
        approve(site, asked.id, again, now)
    assert case(site, asked.id).approved is None


def test_a_name_is_the_same_however_its_accents_are_stored(site: Workspace, now: datetime) -> None:
    asked = opened(site, now, by="Zo\u00eb Marsh")
    with pytest.raises(NotPermitted, match="second person"):
        approve(site, asked.id, "Zoe\u0308 Marsh", now)


@pytest.mark.parametrize(
    ("asker", "approver"),
    [("kim", "Kim King"), ("Kim King", "kim@example.org"), ("kim@example.org", "KIM")],
)
def test_one_person_under_two_names(
    site: Workspace, now: datetime, asker: str, approver: str
) -> None:
    asked = opened(site, now, by=asker)
    with pytest.raises(NotPermitted, match="second person"):
        approve(site, asked.id, approver, now)


@pytest.mark.parametrize("by", ["ann", "Ann Archer", "ANN  archer", "ann@example.org"])
def test_the_person_concerned_neither_asks_nor_approves(
    site: Workspace, now: datetime, by: str
) -> None:
    with pytest.raises(NotPermitted, match="subject access"):
        opened(site, now, by=by)
    asked = opened(site, now)
    with pytest.raises(NotPermitted, match="somebody else"):
        approve(site, asked.id, by, now)


def test_approved_once(site: Workspace, now: datetime) -> None:
    asked = opened(site, now)
    with pytest.raises(NotPermitted, match="not approved"):
        approved(site, asked.id)
    approve(site, asked.id, TOM, now)
    with pytest.raises(NotPermitted, match="approved by Tom Ridley already"):
        approve(site, asked.id, "Una Voss", now)


def test_closed_is_closed(site: Workspace, now: datetime) -> None:
    asked = opened(site, now)
    approve(site, asked.id, TOM, now)
    close(site, asked.id, HELEN, now)
    with pytest.raises(NotPermitted, match="closed"):
        approved(site, asked.id)
    with pytest.raises(NotPermitted, match="closed"):
        approve(site, asked.id, "Una Voss", now)
    with pytest.raises(NotPermitted, match="closed"):
        close(site, asked.id, HELEN, now + timedelta(days=1))
    assert case(site, asked.id).closed == now


def test_a_case_closed_before_it_was_approved(site: Workspace, now: datetime) -> None:
    asked = opened(site, now)
    close(site, asked.id, HELEN, now)
    with pytest.raises(NotPermitted, match="closed"):
        approve(site, asked.id, TOM, now)


def test_a_case_that_does_not_exist(site: Workspace, now: datetime) -> None:
    for look in (case, approved):
        with pytest.raises(NoSuchThing, match="C-2026-0009"):
            look(site, "C-2026-0009")
    with pytest.raises(NoSuchThing):
        approve(site, "C-2026-0009", TOM, now)
    with pytest.raises(NoSuchThing):
        close(site, "C-2026-0009", TOM, now)
    assert list(site.ledger.lines()) == []
