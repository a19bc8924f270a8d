"""Records that are not lines: several on a line, or one over several lines; header lines apart."""

import gzip
import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from conftest import make_site, squid_line, write_lines
from test_arrival import aged, night
from test_ingest import NOW, check, rows

import ingest.batch
import ingest.file
import ingest.streams
from fairwatch.check import Assumed
from fairwatch.check import check as checked
from ingest.formats import all_formats, named
from ingest.streams import Stream
from workspace import Workspace, open_site


def site_of(tmp_path: Path, format_: str = "auto") -> Workspace:
    (tmp_path / "in").mkdir()
    paths = f"{tmp_path}/in/*"
    folder = make_site(
        tmp_path / "site",
        lambda t: t.replace("/var/log/squid/access.log*", paths).replace(
            "format: squid", f"format: {format_}\n    timezone: UTC"
        ),
    )
    return open_site(folder, "test")


def put(ws: Workspace, name: str, lines: Sequence[str], age: int = 3600) -> Path:
    path = write_lines(ws.folder.parent / "in" / name, lines)
    aged(path, seconds=age)
    return path


def stored(ws: Workspace) -> list[int]:
    return sorted(row["bytes_down"] for row in rows(ws))


def flow(n: int) -> dict[str, object]:
    moment = datetime.fromtimestamp(NOW.timestamp() - 80_000 + n // 5, UTC)
    return {
        "timestamp": moment.isoformat(),
        "client_ip": f"10.0.0.{n % 37 + 1}",
        "user": "ann",
        "method": "GET",
        "url": f"https://www.facebook.com/{n}",
        "status": 200,
        "bytes_to_client": n,
    }


def listed(first: int, end: int, size: int = 3) -> list[str]:
    """JSON lists of records, some of them on each line."""
    return [
        json.dumps({"records": [flow(n * size + k) for k in range(size)]})
        for n in range(first, end)
    ]


def table(first: int, end: int, every: int = 7) -> list[str]:
    """A CSV some of whose records go over three lines."""
    made = ["time,client_ip,user,method,url,status,bytes_to_client,note"]
    for n in range(first, end):
        one = flow(n)
        note = '"a note\nover, some\nlines"' if n % every == every - 1 else "none"
        made.append(",".join([*(str(v) for v in one.values()), note]))
    return made


@pytest.mark.parametrize("size", [1, 3, 12])
def test_lists_that_overlap_in_part(tmp_path: Path, size: int) -> None:
    ws = site_of(tmp_path)
    put(ws, "a.json", listed(0, 200, size))
    put(ws, "b.json", listed(100, 300, size), 3500)
    found = night(ws)
    for report in found.values():
        check(report.counts)
        assert report.counts.ignored == report.counts.rejected == 0
    assert found["a.json"].counts.rows == 200 * size
    assert found["b.json"].counts.duplicate == 100 * size
    assert stored(ws) == list(range(300 * size))


def test_a_list_that_differs_in_one_record_is_new(tmp_path: Path) -> None:
    """Its line begins as another one does; no record that is new may go with those that are known."""
    ws = site_of(tmp_path)
    put(ws, "a.json", listed(0, 200))
    changed = [json.loads(line) for line in listed(50, 200)]
    changed[80]["records"].append(flow(9000))
    put(ws, "b.json", [json.dumps(one) for one in changed], 3500)
    night(ws)
    assert 9000 in stored(ws)
    assert set(stored(ws)) == {*range(600), 9000}


def test_tables_of_records_over_several_lines_that_overlap(tmp_path: Path) -> None:
    ws = site_of(tmp_path, "csv")
    put(ws, "a.csv", table(0, 500))
    night(ws)
    put(ws, "b.csv", table(300, 800), 3500)
    (report,) = (r for n, r in night(ws).items() if n == "b.csv")
    check(report.counts)
    assert stored(ws) == list(range(800))
    assert report.counts.rows == 300


def test_a_stream_goes_on_at_the_beginning_of_a_record(tmp_path: Path) -> None:
    """Marks never lie within a record: what differs after one begins whole."""
    path = tmp_path / "a.csv"
    write_lines(path, table(0, 400, 2))
    data = path.read_bytes()
    chosen = named("csv")[0]
    with closing(Stream(path, True, 1 << 16, 400)) as stream:
        stream.records = chosen.whole
        assert sum(piece.lines for piece in stream.pieces()) == data.count(b"\n")
    assert len(stream.marks) > 8
    assert all(data[: mark.offset].count(b'"') % 2 == 0 for mark in stream.marks)


@pytest.mark.parametrize("block", [1 << 14, 1 << 16])
def test_a_small_file_is_still_known_when_a_large_one_fills_the_commit(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest.streams, "BLOCK", block)
    monkeypatch.setattr(ingest.batch, "ROWS", 500)
    monkeypatch.setattr(ingest.file, "ROWS", 500)
    ws = site_of(tmp_path)
    lines = [
        squid_line(NOW.timestamp() - 80_000 + n // 3, size=n, client=f"10.0.0.{n % 40}")
        for n in range(3000)
    ]
    put(ws, "a.log", lines[2000:2300], 4000)
    put(ws, "b.log", lines, 3900)
    put(ws, "c.log", lines[2500:2900], 3800)
    night(ws)
    assert stored(ws) == list(range(3000))


W3C = ["#Software: x", "#Fields: date time c-ip cs-username cs-method cs-uri sc-status sc-bytes"]


def w3c(n: int) -> str:
    moment = datetime.fromtimestamp(NOW.timestamp() - 80_000 + n, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S} 10.0.0.{n % 40 + 1} ann GET http://a.example/{n} 200 {n}"


@pytest.mark.parametrize("kind", ["w3c", "csv"])
def test_a_log_of_a_header_only_that_grows(tmp_path: Path, kind: str) -> None:
    ws = site_of(tmp_path, kind)
    lines = [*W3C, *map(w3c, range(300))] if kind == "w3c" else table(0, 300)
    head = len(W3C) if kind == "w3c" else 1
    for end in (head, head + 5, head + 100, len(lines)):
        put(ws, "a.log", lines[:end])
        (report,) = night(ws).values()
        assert report.error is None
        check(report.counts)
        assert report.counts.rejected == 0
    assert stored(ws) == list(range(300))


def test_a_stream_that_is_taken_for_another_format_goes_on(tmp_path: Path) -> None:
    """The beginning of a file that grew may be recognised otherwise than the first time."""
    ws = site_of(tmp_path)
    first = [squid_line(NOW.timestamp() - 80_000 + n, size=n) for n in range(60)]
    other = [json.dumps(flow(n)) for n in range(1000, 1200)]
    put(ws, "a.log", first)
    assert night(ws)["a.log"].format == "squid"
    put(ws, "a.log", [*first, *other])
    report = night(ws)["a.log"]
    check(report.counts)
    assert stored(ws) == [*range(60), *range(1000, 1200)]
    assert "+" in report.format


LOGS = {
    "several records on a line": listed(0, 50, 8),
    "records over several lines": table(0, 100),
    "a header and directives": [*W3C, *map(w3c, range(50)), *W3C, *map(w3c, range(50, 90))],
    "a line beyond the limit": [
        *[squid_line(NOW, size=1)] * 5,
        squid_line(NOW, url="http://a.example/" + "x" * 70_000),
        squid_line(NOW, size=2),
    ],
    "a list beyond the limit": [
        *listed(0, 8),
        json.dumps({"records": [flow(n) for n in range(500)]}),
    ],
}


@pytest.mark.parametrize("lines", LOGS.values(), ids=LOGS)
def test_what_check_logs_says_is_what_ingest_does(tmp_path: Path, lines: list[str]) -> None:
    ws = site_of(tmp_path)
    path = put(ws, "a.log", lines)
    (said,) = checked(path, all_formats(), Assumed(ZoneInfo("UTC")))
    counts = night(ws)["a.log"].counts
    check(counts)
    assert (said.rows, said.ignored, said.rejected) == (counts.rows, counts.ignored, counts.rejected)  # fmt: skip
    before = stored(ws)
    path.with_name("b.gz").write_bytes(gzip.compress(path.read_bytes()))
    again = night(ws)
    assert all(r.counts.duplicate == r.counts.lines > 0 for r in again.values())
    assert stored(ws) == before


@pytest.mark.parametrize("format_", ["iis", "bluecoat", "zeek", "csv", "json-lines", "cloudfront"])
def test_a_format_named_for_a_header_only_file(tmp_path: Path, format_: str) -> None:
    """A name that is right stays right however little stands in the file."""
    heads = {"zeek": "#separator \\x09", "csv": table(0, 0)[0], "json-lines": "{}"}
    ws = site_of(tmp_path, format_)
    put(ws, "a.log", [heads.get(format_, W3C[0])])
    (report,) = night(ws).values()
    assert report.error is None
    check(report.counts)
