"""A log that comes late, or again, brings no erased person back, and nobody's line twice."""

import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from conftest import squid_line, write_lines
from factory import again, edited, lake, page
from rightslab import (
    NOW,
    build,
    copied,
    erased,
    everything,
    mine,
    restricted,
    resumed,
    span,
)

from ingest.discover import given as given_
from ingest.file import FileReport
from ingest.run import ingest
from retention import purge
from workspace import Workspace

LATER = datetime(2027, 11, 25, 6, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def sealed_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("rights") / "site").folder


@pytest.fixture(scope="module")
def plain_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("plain") / "site", sealed=False).folder


@pytest.fixture
def ws(sealed_site: Path, tmp_path: Path) -> Workspace:
    return copied(sealed_site, tmp_path)


@pytest.fixture
def bare(plain_site: Path, tmp_path: Path) -> Workspace:
    return copied(plain_site, tmp_path)


def log_lines() -> list[str]:
    first = datetime(2026, 11, 4, 8, tzinfo=UTC)
    return [
        squid_line(first + timedelta(seconds=7 * n), user=("ann", "bob", "kim")[n % 3],
                   size=1000 + n, client=f"10.20.1.{n % 50}")
        for n in range(900)
    ]  # fmt: skip


def read(ws: Workspace, path: Path) -> FileReport:
    with ws.alone():
        (report,) = ingest(ws, given_(ws, [path], None, "squid"), NOW)
    counts = report.counts
    assert report.error is None
    assert counts.lines == (
        counts.rows + counts.ignored + counts.rejected + counts.duplicate + counts.expired
    )
    return report


def delivered(ws: Workspace, place: Path, how: str) -> list[FileReport]:
    """The log once more: what was read of it."""
    told = log_lines()
    if how == "renamed":
        return [read(ws, write_lines(place / "again.log", told))]
    if how == "compressed":
        path = place / "again.log.gz"
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in told).encode()))
        return [read(ws, path)]
    if how == "split":
        halves = (told[:450], told[450:])
        return [read(ws, write_lines(place / f"half{n}.log", h)) for n, h in enumerate(halves)]
    if how == "tail":
        return [read(ws, write_lines(place / "tail.log", told[300:]))]
    more = [squid_line(datetime(2026, 11, 3, 23, tzinfo=UTC), user="bob"), *told]
    return [read(ws, write_lines(place / "led.log", more))]


HOWS = ["renamed", "compressed", "split", "tail", "longer"]


@pytest.mark.parametrize("how", HOWS)
def test_a_log_that_comes_again_brings_nobody_back(
    site: Workspace, tmp_path: Path, how: str
) -> None:
    first = read(site, write_lines(tmp_path / "a.log", log_lines()))
    assert first.counts.rows == 900
    one = span(site, period=(date(2026, 11, 4), date(2026, 11, 4)))
    erased(site, one)
    before = everything(site)
    reports = delivered(again(site), tmp_path, how)
    assert not mine(site, one)
    new = sum((everything(site) - before).values())
    assert new == sum(r.counts.rows for r in reports) == (1 if how == "longer" else 0)
    assert not before - everything(site)


@pytest.mark.parametrize("how", HOWS)
def test_a_log_that_comes_again_under_a_restriction(
    site: Workspace, tmp_path: Path, how: str
) -> None:
    """What is kept apart is known: neither it nor anybody else's line is there twice."""
    read(site, write_lines(tmp_path / "a.log", log_lines()))
    one = span(site, period=(date(2026, 11, 4), date(2026, 11, 4)))
    restricted(site, one)
    before = everything(site)
    reports = delivered(again(site), tmp_path, how)
    resumed(site)
    new = sum((everything(site) - before).values())
    assert new == sum(r.counts.rows for r in reports) == (1 if how == "longer" else 0)
    assert not mine(site, one, "live")


def test_another_log_with_their_late_lines(site: Workspace, tmp_path: Path) -> None:
    when = datetime(2026, 11, 4, 12, tzinfo=UTC)
    lake(site, [page(when)])
    erased(site, span(site, period=(date(2026, 11, 4), date(2026, 11, 5))))
    late = [
        *[squid_line(when + timedelta(hours=n), user="ann") for n in range(3)],
        squid_line(when, user="bob"),
        squid_line(datetime(2026, 11, 6, 0, 0, tzinfo=UTC), user="ann"),
        squid_line(datetime(2026, 11, 3, 23, 59, tzinfo=UTC), user="ann"),
    ]
    counts = read(again(site), write_lines(tmp_path / "late.log", late)).counts
    assert (counts.rows, counts.expired) == (3, 3)
    assert not mine(site, span(site, period=(date(2026, 11, 4), date(2026, 11, 5))))


@pytest.mark.parametrize("login", ["zoe", "ZOE", "EXAMPLE\\zoe", "zoe@example.org"])
def test_one_who_left_does_not_come_back_under_another_form(
    site: Workspace, tmp_path: Path, login: str
) -> None:
    when = datetime(2026, 11, 4, 12, tzinfo=UTC)
    lake(site, [page(when, user="zoe")])
    erased(site, span(site, "zoe"))
    late = [squid_line(when, user=login), squid_line(when, user="bob")]
    counts = read(again(site), write_lines(tmp_path / "late.log", late)).counts
    assert (counts.rows, counts.expired) == (1, 1)


def test_an_erasure_is_remembered_as_long_as_lines_may_come(
    site: Workspace, tmp_path: Path
) -> None:
    """Though sums of days are kept for less long than lines."""
    short = edited(site, "fairwatch.yaml", ("usage: 1 year", "usage: 30 days"))
    when = datetime(2026, 8, 4, 12, tzinfo=UTC)
    lake(short, [page(when), page(NOW - timedelta(days=1))])
    erased(short, span(short, period=(when.date(), when.date())))
    with short.alone():
        purge(short, NOW, confirmed=True)
    counts = read(again(short), write_lines(tmp_path / "l.log", [squid_line(when)])).counts
    assert (counts.rows, counts.expired) == (0, 1)
