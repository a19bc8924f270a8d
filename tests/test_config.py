"""What is written by hand is read strictly: a fault gives one sentence with file, line and key."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from conftest import PEOPLE, ROOT, make_site
from hypothesis import given
from hypothesis import strategies as st

from config.document import read
from config.hours import Holidays, Interval, WorkingHours, day_bounds, pattern, subtract
from config.people import read_people
from config.policy import Policy
from config.settings import Settings
from errors import BadConfiguration, NoSuchThing
from workspace import Workspace, open_site

LONDON = ZoneInfo("Europe/London")
POLICIES = sorted((ROOT / "config/policies").glob("*.yaml"))
FAULTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests/data/config-faults.yaml").read_text())


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(BadConfiguration) as caught:
        act()
    return str(caught.value)


@pytest.mark.parametrize("path", POLICIES, ids=lambda p: p.stem)
def test_the_shipped_policies_load(path: Path) -> None:
    policy = read(path, Policy)
    assert policy.id == path.stem
    assert policy.rules and policy.clauses
    assert all(rule.decided_by == "suggestion" for rule in policy.rules), "nobody has decided yet"


def test_the_shipped_settings_load(site: Workspace) -> None:
    assert site.settings.organisation.timezone == "Europe/London"
    assert site.settings.retention.events is None, "one calendar year"
    assert [s.name for s in site.settings.sources] == ["main-proxy"]
    assert not site.settings.store.other_hosts
    assert "social_network" in site.categories


def test_a_folder_without_settings_is_no_site(tmp_path: Path) -> None:
    with pytest.raises(NoSuchThing, match="fairwatch init"):
        open_site(tmp_path, "test")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f["name"])
def test_a_fault_is_named(tmp_path: Path, fault: dict[str, Any]) -> None:
    path = make_site(tmp_path) / fault["file"]
    text = path.read_text()
    assert text.count(fault["replace"]) >= 1, "the shipped file changed; change the example"
    by = fault.get("by", fault.get("by_latin_1"))
    text = text.replace(fault["replace"], by, 1)
    path.write_text(text, "latin-1" if "by_latin_1" in fault else "utf-8")
    said = refusal(lambda: open_site(tmp_path, "test"))
    where = str(path)
    if "at" in fault:
        where += f", line {text[: text.index(fault['at'])].count(chr(10)) + 1}"
    told = [line for line in said.splitlines() if line.startswith(where)]
    assert told, said
    assert "key" not in fault or f"key `{fault['key']}`" in told[0]
    for words in fault["says"]:
        assert words in told[0]


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    path = make_site(tmp_path) / "fairwatch.yaml"
    text = path.read_text().replace("02:30", "2:30").replace("threads: 2", "threads: 0")
    path.write_text(text)
    said = refusal(lambda: open_site(tmp_path, "test")).splitlines()
    assert [line.split("`")[1] for line in said] == ["schedule.nightly", "limits.threads"]


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    assert "no such file" in refusal(lambda: read(tmp_path / "none.yaml", Settings))


def test_an_empty_file_misses_its_keys(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    said = refusal(lambda: read(tmp_path / "empty.yaml", Settings))
    assert "line 1, key `organisation`: found nothing" in said


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    path = make_site(tmp_path) / "fairwatch.yaml"
    path.write_text("\ufeff" + path.read_text())
    assert open_site(tmp_path, "test").settings.organisation.name == "Example Charity"


HEADER = "user,name,department,manager,email,kind,working_pattern,from,to\n"
PEOPLE_FAULTS = {
    "column missing": ("user,name,department,email\n", ["line 1", "column manager is missing"]),
    "empty file": ("", ["line 1", "user, name"]),
    "no user": (HEADER + ",A,D,M,e,,,,\n", ["line 2", "column user", "found nothing"]),
    "kind unknown": (
        HEADER + "a,A,D,M,e,boss,,,\n",
        ["line 2, column kind: found 'boss'; expected one of employee, volunteer"],
    ),
    "pattern unknown": (
        HEADER + "a,A,D,M,e,,weekdays 09:00-17:00,,\n",
        ["line 2, column working_pattern: found 'weekdays 09:00-17:00'", "mon-fri 09:00-17:00"],
    ),
    "pattern without hours": (HEADER + "a,A,D,M,e,,mon-fri,,\n", ["column working_pattern"]),
    "pattern turned round": (
        HEADER + "a,A,D,M,e,,fri-mon 09:00-17:00,,\n",
        ["column working_pattern", "days in order"],
    ),
    "day unknown": (
        HEADER + "z,A,D,M,e,,,,\na,A,D,M,e,,,31/01/2026,\n",
        ["line 3, column from: found '31/01/2026'; expected a day such as 2026-01-31"],
    ),
    "too many cells": (HEADER + "a,A,D,M,e,,,,,,\n", ["line 2", "more cells than columns"]),
    "quote not closed": (HEADER + 'a,"A,D,M,e,,,,\n', ["line 2", "not CSV"]),
    "twice at once": (
        HEADER + "ann,A,D,M,e,,,,2026-03-31\nANN,A,D,M,e,,,2026-03-31,\n",
        ["user 'ANN' stands twice for the same days"],
    ),
}


@pytest.mark.parametrize("fault", PEOPLE_FAULTS)
def test_a_fault_in_people_is_named(tmp_path: Path, fault: str) -> None:
    text, says = PEOPLE_FAULTS[fault]
    path = tmp_path / "people.csv"
    path.write_text(text)
    said = refusal(lambda: read_people(path))
    assert said.startswith(str(path))
    for words in says:
        assert words in said


def test_people_in_another_encoding_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(HEADER.encode() + "a,Zoë,D,M,e,,,,\n".encode("latin-1"))
    assert "save it as CSV UTF-8" in refusal(lambda: read_people(path))


def test_people_as_spreadsheets_save_them(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b"\xef\xbb\xbf" + PEOPLE.replace("\n", "\r\n").encode())
    people = read_people(path)
    assert [p.user for p in people.rows] == ["ann", "bob", "kim"]
    bob = people.rows[1]
    assert bob.roles == {"communications"}
    assert bob.addresses == ("10.20.1.50",)
    assert bob.pattern and not bob.pattern.on(date(2026, 11, 20), LONDON), "a Friday"


def hours(day: date, zone: ZoneInfo) -> float:
    low, high = day_bounds(day, zone)
    return (high - low) / timedelta(hours=1)


@pytest.mark.parametrize(
    ("zone", "day", "length"),
    [
        ("Europe/London", date(2026, 3, 29), 23),
        ("Europe/London", date(2026, 10, 25), 25),
        ("Europe/London", date(2026, 11, 20), 24),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # midnight itself is left out
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("UTC", date(2026, 3, 29), 24),
    ],
)
def test_days_are_as_long_as_they_are(zone: str, day: date, length: float) -> None:
    assert hours(day, ZoneInfo(zone)) == length


@given(st.dates(date(2015, 1, 1), date(2035, 1, 1)), st.sampled_from(["Europe/London", "UTC"]))
def test_days_follow_each_other_without_a_gap(day: date, zone: str) -> None:
    here = ZoneInfo(zone)
    assert day_bounds(day, here)[1] == day_bounds(day + timedelta(days=1), here)[0]


def test_working_hours_keep_their_wall_clock_over_the_change() -> None:
    week = WorkingHours.model_validate({"monday": ["09:00-17:00"], "breaks": ["12:30-13:15"]})
    for day, nine in ((date(2026, 3, 23), 9), (date(2026, 3, 30), 8)):
        first, second = week.on(day, LONDON)
        assert first[0] == datetime(day.year, day.month, day.day, nine, tzinfo=UTC)
        assert first[1] - first[0] == timedelta(hours=3.5)
        assert second[1] - second[0] == timedelta(hours=3.75)
    assert week.on(date(2026, 3, 24), LONDON) == []


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 20)])
@given(data=st.data())
def test_working_time_and_breaks_fill_the_working_day(day: date, data: st.DataObject) -> None:
    """Also where the clocks change in the middle of a shift: nothing counts twice, nothing is lost."""
    hour = st.integers(0, 24).map(lambda h: f"{h:02d}:00")
    spans = data.draw(st.lists(st.tuples(hour, hour), max_size=4))
    chosen = [f"{a}-{b}" for a, b in spans if a < b]
    try:
        week = WorkingHours.model_validate(
            {"sunday": chosen[:2], "friday": chosen[:2], "breaks": chosen[2:]}
        )
    except ValueError:  # spans that overlap
        return
    worked, paused = week.on(day, LONDON), week.breaks_on(day, LONDON)
    first, last = day_bounds(day, LONDON)
    together = sorted([*worked, *paused])
    assert all(first <= a < b <= last for a, b in together)
    assert all(one[1] <= other[0] for one, other in pairwise(together))
    if worked:
        assert all(a[1] == b[0] for a, b in pairwise(together)), "no hole between the two"
    assert not subtract(worked, [(first, last)])


def test_the_end_of_a_day_is_midnight() -> None:
    night = WorkingHours.model_validate({"monday": ["22:00-24:00"], "tuesday": ["00:00-06:00"]})
    (evening,) = night.on(date(2026, 11, 9), LONDON)
    (morning,) = night.on(date(2026, 11, 10), LONDON)
    assert evening[1] == morning[0]


def test_a_pause_between_two_spans_is_a_break() -> None:
    split = pattern("wed 09:00-12:00; wed 14:00-18:00")
    assert split
    assert [(a.hour, b.hour) for a, b in split.breaks_on(date(2026, 11, 18), LONDON)] == [(12, 14)]
    assert split.breaks_on(date(2026, 11, 19), LONDON) == []


def test_bank_holidays() -> None:
    england = Holidays(country="GB", subdivision="ENG")
    assert england.on(date(2026, 12, 25)) == "Christmas Day"
    assert england.on(date(2026, 12, 28)), "Boxing Day falls on a Saturday and is moved"
    assert england.on(date(2026, 11, 20)) is None
    assert england.on(date(2026, 11, 30)) is None, "Saint Andrew is Scotland's"
    assert Holidays(country="GB", subdivision="SCT").on(date(2026, 11, 30))
    own = Holidays(
        country="GB",
        subdivision="ENG",
        extra=[date(2026, 12, 24)],
        worked=[date(2026, 12, 25)],
    )
    assert own.on(date(2026, 12, 24))
    assert own.on(date(2026, 12, 25)) is None
    assert Holidays().on(date(2026, 12, 25)) is None


def test_patterns() -> None:
    assert pattern("") is None
    part_time = pattern("Mon-Thu 09:00-15:00; fri 9:00-12:00")
    assert part_time
    thursday, friday, saturday = (part_time.on(date(2026, 11, day), LONDON) for day in (19, 20, 21))
    assert [(a.hour, b.hour) for a, b in thursday] == [(9, 15)]
    assert [(a.hour, b.hour) for a, b in friday] == [(9, 12)]
    assert saturday == []
    split = pattern("wed 09:00-12:00; wed 14:00-18:00")
    assert split and len(split.wednesday) == 2


def test_a_policy_judges_only_where_it_holds_and_people_knew() -> None:
    policy = read(ROOT / "config/policies/b3.yaml", Policy)
    assert policy.judges(date(2014, 4, 1))
    assert not policy.judges(date(2014, 3, 31))
    told = policy.model_copy(
        update={"notice": policy.notice.model_copy(update={"given": date(2026, 1, 1)})}
    )
    assert not told.judges(date(2025, 12, 31))


BASE = datetime(2026, 11, 20, tzinfo=UTC)
INTERVAL = st.tuples(st.integers(0, 300), st.integers(1, 60)).map(
    lambda t: (BASE + timedelta(minutes=t[0]), BASE + timedelta(minutes=t[0] + t[1]))
)


def minutes(spans: list[Interval]) -> set[int]:
    return {
        int((low - BASE) / timedelta(minutes=1)) + n
        for low, high in spans
        for n in range(int((high - low) / timedelta(minutes=1)))
    }


def disjoint(spans: list[Interval]) -> list[Interval]:
    kept: list[Interval] = []
    for span in sorted(spans):
        if not kept or kept[-1][1] <= span[0]:
            kept.append(span)
    return kept


@given(st.lists(INTERVAL, max_size=8).map(disjoint), st.lists(INTERVAL, max_size=8))
def test_subtract(spans: list[Interval], holes: list[Interval]) -> None:
    left = subtract(spans, holes)
    assert all(low < high for low, high in left)
    assert all(a[1] <= b[0] for a, b in pairwise(left)), "sorted and disjoint"
    assert minutes(left) == minutes(spans) - minutes(holes)
    length = sum((high - low for low, high in left), timedelta())
    assert length == timedelta(minutes=len(minutes(left)))
