"""No finding without everything that speaks against it: the type refuses an empty place."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import said
from analytics.against import CHECKS, NotEvaluated, Said, SpeaksAgainst, plain
from analytics.finding import DayMeasure, Finding
from analytics.lookups import Clients, Shares
from analytics.rivals import RULES, Line, Panel, differs

NAMES = [f.name for f in fields(SpeaksAgainst)]
FULL = {name: Said(f"{name} was looked at.") for name in NAMES}
DAY = DayMeasure(date(2026, 11, 9), 31, 40, 60, "")


def finding(**other: Any) -> Finding:
    whole: dict[str, Any] = {
        "id": "0123456789ab", "rule": "excessive-use", "kind": "excessive_use",
        "clauses": {"5.1": "…"}, "person": "ann", "identity": "login", "week": "2026-W46",
        "first_day": DAY.day, "last_day": DAY.day, "unit": "minutes", "low": 31.0, "likely": 40.0,
        "high": 60.0, "threshold": "more than 30", "grade": "B", "days": [DAY],
        "against": SpeaksAgainst.of(FULL), "versions": {},
    }  # fmt: skip
    return Finding(**{**whole, **other})


def test_the_brief_s_checks_are_places_of_their_own() -> None:
    assert {
        "embedded content", "background traffic", "identity", "shared device",
        "breaks and free time", "permitted and authorised use", "team", "list disputes",
        "after hours share", "calibration", "other rules", "missing data", "own devices",
        "leave and holidays", "threshold", "interval", "grade",
    } == set(CHECKS)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("empty", [None, "", "not evaluated", 0, ["x"]])
def test_one_that_was_not_evaluated_is_refused(name: str, empty: Any) -> None:
    with pytest.raises(NotEvaluated) as refused:
        SpeaksAgainst(**{**FULL, name: empty})
    assert refused.value.checks == [plain(name)]
    with pytest.raises(NotEvaluated):
        replace(SpeaksAgainst.of(FULL), **{name: empty})
    with pytest.raises(NotEvaluated):
        SpeaksAgainst.of({n: s for n, s in FULL.items() if n != name})
    with pytest.raises(TypeError, match="missing"):
        SpeaksAgainst(**{n: s for n, s in FULL.items() if n != name})


@given(st.sets(st.sampled_from(NAMES), min_size=1))
def test_all_that_is_missing_is_named(missing: set[str]) -> None:
    with pytest.raises(NotEvaluated) as refused:
        SpeaksAgainst.of({n: None if n in missing else s for n, s in FULL.items()})
    assert set(refused.value.checks) == {plain(n) for n in missing}


def test_an_empty_sentence_says_nothing() -> None:
    for text in ("", "  ", "\n"):
        with pytest.raises(ValueError, match="came to"):
            Said(text)


def test_a_check_nobody_knows_is_a_bug() -> None:
    with pytest.raises(TypeError, match="weather"):
        SpeaksAgainst.of({**FULL, "weather": Said("fine")})


@pytest.mark.parametrize("against", [None, [], {}, FULL, list(FULL.values())])
def test_a_finding_takes_nothing_else_for_it(against: Any) -> None:
    with pytest.raises(NotEvaluated):
        finding(against=against)


@pytest.mark.parametrize("grade", ["D", "", "E", "d"])
def test_no_finding_of_a_grade_that_never_counts(grade: str) -> None:
    with pytest.raises(ValueError, match="never counts"):
        finding(grade=grade)


def test_a_finding_names_its_days() -> None:
    with pytest.raises(ValueError, match="days"):
        finding(days=[])


def test_it_comes_back_from_what_is_kept_as_it_was() -> None:
    one = finding()
    assert Finding.of(one.as_json()) == one
    assert [a["check"] for a in one.as_json()["against"]] == list(CHECKS)


def test_where_others_print_twice_as_much_that_stands_first() -> None:
    def told(*minutes: float) -> Said | None:
        lines = (Line(rule, m, differs(m, 60)) for rule, m in zip(RULES, minutes, strict=False))
        return said.other_rules(Panel((DAY.day,), 50, 60, 70, tuple(lines)))

    cases = [
        (told(100, 40), "threshold"),
        (told(121, 40), "other rules"),
        (told(29), "other rules"),
    ]
    for text, first in cases:
        assert text
        section = SpeaksAgainst.of({**FULL, "other_rules": text})
        assert next(iter(section)).check == first
        assert sorted(a.check for a in section) == sorted(CHECKS)


SHARES = Shares("ann", "2026-W46", 2, 100, 10, 60, 25, 5)
LACKING: list[tuple[str, Callable[[], Said | None]]] = [
    ("no tally", lambda: said.embedded(None, 3)),
    ("a day without one", lambda: said.background(SHARES, 3)),
    ("no addresses", lambda: said.shared_device(None)),
    ("no hosts", lambda: said.disputes([], lambda _: True)),
    ("no other rule", lambda: said.other_rules(None)),
]


@pytest.mark.parametrize(("what", "check"), LACKING, ids=[w for w, _ in LACKING])
def test_what_could_not_be_looked_up_was_not_evaluated(
    what: str, check: Callable[[], Said | None]
) -> None:
    assert check() is None, what


def test_shares_are_told_in_lines_and_per_cent() -> None:
    embedded, background = said.embedded(SHARES, 2), said.background(SHARES, 2)
    assert embedded and "60 of 100 (60%)" in embedded.text
    assert (
        background and "25 of 100 (25%)" in background.text and "5 of 100 (5%)" in background.text
    )
    none = said.embedded(replace(SHARES, rows=0, embedded=0), 2)
    assert none and "0 of 0 (none)" in none.text


def test_shared_devices() -> None:
    alone, shared = (said.shared_device(Clients("ann", "w", 2, n)) for n in (0, 1))
    assert alone and "none of them" in alone.text
    assert shared and "somebody else may have sat" in shared.text
