"""Times as logs write them: zones, the hour that comes twice, the one that never comes, missing years."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.block import UNORDERED, ZONELESS, Given
from ingest.formats.lines import coded
from ingest.formats.times import parse

LONDON, UTC_ZONE = ZoneInfo("Europe/London"), ZoneInfo("UTC")
LATEST = int(datetime(2026, 1, 3, tzinfo=UTC).timestamp() * 1000)


def read(texts: list[str], *words: str, **said: object) -> list[str | None]:
    facts = Given(zone=said.get("zone", UTC_ZONE), order=said.get("order"), latest=int(str(said.get("latest", LATEST))))  # type: ignore[arg-type]  # fmt: skip
    found = parse(coded(pa.array(texts, pa.string())), words, facts)
    return [iso(ms) for ms in found.ms.to_pylist()]


def iso(ms: int | None) -> str | None:
    if ms is None:
        return None
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("1714644672", ["epoch"], "2024-05-02T10:11:12.000Z"),
        ("1714644672.5", ["epoch"], "2024-05-02T10:11:12.500Z"),
        ("1714644672123", ["epoch"], "2024-05-02T10:11:12.123Z"),
        ("1714644672123456", ["epoch"], "2024-05-02T10:11:12.123Z"),
        ("1714644672123456789", ["epoch"], "2024-05-02T10:11:12.123Z"),
        ("1714644672,123", ["epoch"], "2024-05-02T10:11:12.123Z"),
        ("171464467", ["epoch"], "1975-06-08T13:01:07.000Z"),
        ("17146446", ["epoch"], None),
        ("-1714644672", ["epoch"], None),
        ("2024-05-02T10:11:12Z", ["iso"], "2024-05-02T10:11:12.000Z"),
        ("2024-05-02T10:11:12.5+02:00", ["iso"], "2024-05-02T08:11:12.500Z"),
        ("2024-05-02T10:11:12,123456-0330", ["iso"], "2024-05-02T13:41:12.123Z"),
        ("2023-01-13T10:10:16--5:00", ["iso"], "2023-01-13T15:10:16.000Z"),
        ("2024-05-02 10:11:12", ["iso"], "2024-05-02T10:11:12.000Z"),
        ("2024-02-30 10:11:12", ["iso"], None),
        ("2024-13-01 10:11:12", ["iso"], None),
        ("2024-05-02 24:11:12", ["iso"], None),
        ("2024-05-02 10:11:12 UTC", ["iso"], "2024-05-02T10:11:12.000Z"),
        ("02/May/2024:10:11:12 +0200", ["clf"], "2024-05-02T08:11:12.000Z"),
        ("Tue Dec  31 02:22:22 2024", ["ctime"], "2024-12-31T02:22:22.000Z"),
        ("Apr 17 2020 14:08:08", ["syslog"], "2020-04-17T14:08:08.000Z"),
        ("Dec 31 23:59:59", ["syslog"], "2025-12-31T23:59:59.000Z"),
        ("Jan  1 00:00:01", ["syslog"], "2026-01-01T00:00:01.000Z"),
        ("Jan  4 00:00:01", ["syslog"], "2026-01-04T00:00:01.000Z"),
        ("Jan  6 00:00:01", ["syslog"], "2025-01-06T00:00:01.000Z"),
        ("Feb 29 12:00:00", ["syslog"], "2024-02-29T12:00:00.000Z"),
        ("Feb 30 12:00:00", ["syslog"], None),
        ("2023:03:08-15:00:00", ["%Y:%m:%d-%H:%M:%S"], "2023-03-08T15:00:00.000Z"),
        ("6/20/2017 5:36:59 AM", ["date-local"], None),
        ("", ["iso", "epoch"], None),
        ("\u0661\u0664:\u0660\u0660", ["iso"], None),
    ],
)
def test_a_time(text: str, words: list[str], expected: str | None) -> None:
    assert read([text], *words) == [expected]


def test_day_and_month_are_told_apart_by_the_setting_only() -> None:
    texts = ["03/04/2017 17:36:59", "6/20/2017 5:36:59 PM"]
    assert read(texts, "date-local", order="dmy") == ["2017-04-03T17:36:59.000Z", None]
    assert read(texts, "date-local", order="mdy") == [
        "2017-03-04T17:36:59.000Z",
        "2017-06-20T17:36:59.000Z",
    ]
    found = parse(coded(pa.array(texts)), ("date-local",), Given(zone=UTC_ZONE))
    assert found.reasons == {0: UNORDERED, 1: UNORDERED}


def test_without_a_zone_there_is_no_time_but_a_reason() -> None:
    texts = ["2024-05-02 10:11:12", "2024-05-02T10:11:12Z"]
    found = parse(coded(pa.array(texts)), ("iso",), Given())
    assert found.ms.to_pylist()[0] is None and found.ms.to_pylist()[1] is not None
    assert found.reasons == {0: ZONELESS}


def test_the_hour_that_never_comes_is_no_time() -> None:
    texts = ["2026-03-29 00:59:59", "2026-03-29 01:30:00", "2026-03-29 02:00:00"]
    assert read(texts, "iso", zone=LONDON) == [
        "2026-03-29T00:59:59.000Z",
        None,
        "2026-03-29T01:00:00.000Z",
    ]


TWICE = ["00:59:00", "01:10:00", "01:50:00", "01:05:00", "01:50:00", "02:00:00"]


def test_the_hour_that_comes_twice_is_told_by_the_order_of_the_lines() -> None:
    texts = [f"2026-10-25 {clock}" for clock in TWICE]
    assert [t and t[11:16] for t in read(texts, "iso", zone=LONDON)] == [
        "23:59", "00:10", "00:50", "01:05", "01:50", "02:00",
    ]  # fmt: skip


def test_lines_a_little_out_of_order_are_no_change_of_the_clock() -> None:
    texts = [f"2026-10-25 01:{m:02}:00" for m in (10, 40, 12, 50)]
    found = parse(coded(pa.array(texts)), ("iso",), Given(zone=LONDON))
    assert found.fold and not found.fold.folded
    assert [iso(ms)[11:16] for ms in found.ms.to_pylist()] == ["00:10", "00:40", "00:12", "00:50"]  # type: ignore[index]


def test_the_hour_goes_on_in_the_next_block() -> None:
    texts = coded(pa.array(["2026-10-25 01:10:00"]))
    first = parse(texts, ("iso",), Given(zone=LONDON))
    again = parse(texts, ("iso",), Given(zone=LONDON, folded=True))
    assert first.fold and again.fold
    assert (again.ms[0].as_py() - first.ms[0].as_py(), first.fold.folded, again.fold.folded) == (3_600_000, False, True)  # fmt: skip


@given(
    st.lists(
        st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)).map(lambda d: d.replace(fold=0)),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from(["Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_local_times_are_what_the_zone_database_says(moments: list[datetime], name: str) -> None:
    zone = ZoneInfo(name)
    texts = [m.strftime("%Y-%m-%d %H:%M:%S.") + f"{m.microsecond // 1000:03}" for m in moments]
    found = parse(coded(pa.array(texts)), ("iso",), Given(zone=zone))
    for moment, ms in zip(moments, found.ms.to_pylist(), strict=True):
        aware = moment.replace(tzinfo=zone, microsecond=moment.microsecond // 1000 * 1000)
        there = aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        if there != aware.replace(tzinfo=None):
            assert ms is None  # the hour that is skipped
        elif aware.utcoffset() == aware.replace(fold=1).utcoffset():
            assert ms == round(aware.timestamp() * 1000)
        else:
            assert ms in {round(aware.replace(fold=f).timestamp() * 1000) for f in (0, 1)}


@given(st.lists(st.text(max_size=30), min_size=1, max_size=10))
def test_any_text_is_a_time_or_none(texts: list[str]) -> None:
    words = ("epoch", "iso", "clf", "syslog", "ctime", "date-local", "%y%m%d %H%M%S")
    plain = [t.encode("utf-8", "replace").decode() for t in texts]
    found = parse(coded(pa.array(plain)), words, Given(zone=LONDON, order="mdy"))
    assert len(found.ms) == len(texts)
    assert found.ms.type == pa.int64()
    assert np.all(np.array([m is None or abs(m) < 10**15 for m in found.ms.to_pylist()]))
