"""Deliveries that overlap in part: each line once, and lines alike by chance all of them."""

import gzip
import random
from dataclasses import asdict
from pathlib import Path

import pytest
from conftest import make_site, squid_line, write_lines
from hypothesis import given, settings
from hypothesis import strategies as st
from test_arrival import aged, night, site_of
from test_ingest import NOW, check, rows, told

import ingest.overlap
import ingest.run
import ingest.streams
from workspace import Workspace, open_site


def log(first: int, end: int, *, seed: int = 1) -> list[str]:
    """A log with what real ones have between the lines; a line's bytes tell which it is."""
    made = []
    for n in range(first, end):
        chance = random.Random(seed * 10**6 + n)
        if n % 40 == 7:
            made.append(f"# a note {n}")
        elif n % 40 == 8:
            made.append(f"not understood {n}")
        else:
            client = f"10.0.0.{chance.randint(1, 40)}"
            made.append(squid_line(NOW.timestamp() - 80_000 + n // 3, size=n, client=client))
    return made


def good(first: int, end: int) -> list[int]:
    return [n for n in range(first, end) if n % 40 not in (7, 8)]


def put(ws: Workspace, name: str, lines: list[str], age: int = 3600) -> Path:
    path = write_lines(ws.folder.parent / "in" / name, lines)
    aged(path, seconds=age)
    return path


def stored(ws: Workspace) -> list[int]:
    return sorted(row["bytes_down"] for row in rows(ws))


DELIVERIES = {
    "the tail of the first and more": [(0, 900), (500, 1400)],
    "the tail of the first": [(0, 900), (500, 900)],
    "its middle": [(0, 900), (300, 600)],
    "the first is the tail of the second": [(500, 900), (0, 900)],
    "the first is the middle of the second": [(300, 600), (0, 900)],
    "the second ends inside the first": [(500, 900), (0, 700)],
    "three days of two days each": [(0, 600), (300, 900), (600, 1200)],
    "two known ones at once": [(0, 400), (400, 800), (200, 700)],
}


@pytest.mark.parametrize("deliveries", DELIVERIES.values(), ids=DELIVERIES)
@pytest.mark.parametrize("at_once", [True, False])
def test_lines_two_files_share_come_once(
    tmp_path: Path, deliveries: list[tuple[int, int]], at_once: bool
) -> None:
    ws = site_of(tmp_path)
    seen: list[int] = []
    for number, (first, end) in enumerate(deliveries):
        put(ws, f"{number}.log", log(first, end), 9000 - number)
        if not at_once or number == len(deliveries) - 1:
            for report in night(ws).values():
                check(report.counts)
        seen = sorted({*seen, *good(first, end)})
    assert stored(ws) == seen
    totals = told(ws)
    assert totals["lines"] == sum(end - first for first, end in deliveries)
    before = stored(ws)
    again = {n: asdict(r.counts) for n, r in night(ws).items()}
    assert stored(ws) == before and all(c["rows"] == 0 for c in again.values())


@pytest.mark.parametrize("block", [2048, 16_384])
def test_an_overlap_longer_than_a_block(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From block to block the run goes on, however short it is there."""
    monkeypatch.setattr(ingest.streams, "BLOCK", block)
    monkeypatch.setattr(ingest.overlap, "RUN", 12)
    monkeypatch.setattr(ingest.overlap, "VARIED", 8)
    ws = site_of(tmp_path)
    put(ws, "a.log", log(0, 2000))
    night(ws)
    put(ws, "b.log", log(700, 2500))
    night(ws)
    assert stored(ws) == good(0, 2500)


def test_two_growing_copies_of_which_one_began_later(tmp_path: Path) -> None:
    ws = site_of(tmp_path)
    for end in (600, 1200, 1500):
        put(ws, "a.log", log(0, end), 4000)
        put(ws, "b.log", log(250, end), 3900)
        night(ws)
        assert stored(ws) == good(0, end)


def test_packed_and_below_another_name(tmp_path: Path) -> None:
    ws = site_of(tmp_path)
    put(ws, "a.log", log(0, 900))
    night(ws)
    path = ws.folder.parent / "in/x.gz"
    path.write_bytes(gzip.compress("".join(f"{x}\n" for x in log(450, 1000)).encode()))
    aged(path)
    report = night(ws)["x.gz"]
    check(report.counts)
    assert stored(ws) == good(0, 1000)
    assert report.counts.duplicate >= 440


def test_alike_by_chance_is_not_the_same(tmp_path: Path) -> None:
    """Two proxies of one source: the same lines here and there, and the same line again and again."""
    ws = site_of(tmp_path)
    start = NOW.timestamp() - 80_000
    first = [squid_line(start + n, size=n) for n in range(400)]
    second = [squid_line(start + n, size=n if n % 30 else n + 10_000) for n in range(1, 400)]
    idle = [squid_line(start + 500, size=5, url="http://x.example/")] * 300
    put(ws, "a.log", [*first, *idle])
    night(ws)
    put(ws, "b.log", [*second, *idle])
    night(ws)
    assert len(rows(ws)) == 700 + 699


def test_another_source_is_another_log(tmp_path: Path) -> None:
    for name in ("in", "two"):
        (tmp_path / name).mkdir()
    paths = f'{tmp_path}/in/*"]\n  - name: other\n    format: squid\n    paths: ["{tmp_path}/two/*'
    folder = make_site(tmp_path / "site", lambda t: t.replace("/var/log/squid/access.log*", paths))
    ws = open_site(folder, "test")
    put(ws, "a.log", log(0, 500))
    aged(write_lines(tmp_path / "two/b.log", log(200, 500)))
    night(ws)
    assert len(rows(ws)) == len(good(0, 500)) + len(good(200, 500))


def test_a_short_overlap_is_read_twice(tmp_path: Path) -> None:
    """The limit, as documented: fewer rows than a run cannot be told from chance."""
    ws = site_of(tmp_path)
    put(ws, "a.log", log(0, 500))
    put(ws, "b.log", log(460, 900))
    night(ws)
    assert len(rows(ws)) == len(good(0, 900)) + len(good(460, 500))


@settings(max_examples=25)
@given(data=st.data())
def test_any_windows_of_one_log_give_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Windows that share nothing, or at least a run: in any order, over any nights."""
    ws = site_of(tmp_path_factory.mktemp("windows", numbered=True))
    edge = st.integers(0, 12).map(lambda n: n * 110)
    windows = data.draw(st.lists(st.tuples(edge, edge).filter(lambda w: w[0] < w[1]), min_size=1, max_size=5))  # fmt: skip
    for number, (first, end) in enumerate(windows):
        put(ws, f"{number}.log", log(first, end), data.draw(st.integers(100, 9000)))
        if data.draw(st.booleans()):
            night(ws)
    for report in night(ws).values():
        check(report.counts)
    assert stored(ws) == sorted({n for first, end in windows for n in good(first, end)})


def test_a_file_that_differs_in_its_middle_is_new_from_there(tmp_path: Path) -> None:
    """Marks lie up to a MiB apart; the rows after the last one that fits are found in the lake."""
    ws = site_of(tmp_path)
    put(ws, "a.log", log(0, 14_000))
    night(ws)
    put(ws, "b.log", [*log(0, 13_000), *log(20_000, 21_000)])
    night(ws)
    assert stored(ws) == sorted([*good(0, 14_000), *good(20_000, 21_000)])


def test_two_proxies_alike_in_every_point_are_taken_for_one(tmp_path: Path) -> None:
    """The limit, as documented: they need sources of their own."""
    ws = site_of(tmp_path)
    put(ws, "a.log", log(0, 200))
    put(ws, "b.log", ["# another proxy", *log(0, 200)])
    night(ws)
    assert stored(ws) == good(0, 200)
