"""What only the whole file or the source's settings tell: headers, zones, orders, records over lines."""

import io
import json
import os
import random
import tarfile
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import make_site, squid_line
from test_ingest import NOW, rows

import ingest.run
import ingest.streams
from fairwatch.check import Assumed, Checked
from fairwatch.check import check as check_all
from fairwatch.check import rows as check_rows
from ingest.discover import discover
from ingest.file import FileReport
from ingest.formats import all_formats
from retention import verify
from workspace import Workspace, open_site


def site_with(tmp_path: Path, source: str) -> Workspace:
    """A site whose one source reads `logs/*`, with these lines of settings more."""
    lines = "".join(f"    {line}\n" for line in source.strip().splitlines())
    block = f'sources:\n  - name: proxy\n    paths: ["logs/*"]\n{lines}'

    def edit(text: str) -> str:
        head, _, rest = text.partition("\nsources:")
        tail = rest.partition("\n\n")[2]
        return f"{head}\n{block}\n{tail}"

    folder = make_site(tmp_path / "site", edit)
    (folder / "logs").mkdir()
    return open_site(folder, "test")


def check(path: Path, *said: Any) -> Checked:
    (found,) = check_all(path, *said)
    return found


def put(ws: Workspace, name: str, lines: Sequence[str] | bytes, mode: str = "wb") -> Path:
    path = ws.folder / "logs" / name
    data = lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode()
    with path.open(mode) as file:
        file.write(data)
    return path


def night(ws: Workspace) -> list[FileReport]:
    with ws.alone():
        return ingest.run.ingest(ws, discover(ws, None), NOW)


def times(ws: Workspace) -> list[str]:
    """Times of all rows, in the order of the lines."""
    found = sorted(rows(ws), key=lambda r: (r["file"], r["line"]))
    return [f"{row['time'].astimezone(UTC):%d %H:%M:%S}" for row in found]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few lines, so that whatever holds within one must hold across them."""
    monkeypatch.setattr(ingest.streams, "BLOCK", 300)


FIELDS = "#Fields: date time c-ip cs-username cs-method cs-uri sc-status sc-bytes"
OTHER = "#Fields: cs-username c-ip sc-status cs-method cs-uri date time"


def w3c(second: int, *, other: bool = False) -> str:
    day, clock = "2026-11-18", f"10:{second // 60:02}:{second % 60:02}"
    url = "http://www.facebook.com/x"
    if other:
        return f"ann 10.1.1.7 200 GET {url} {day} {clock}"
    return f"{day} {clock} 10.1.1.7 ann GET {url} 200 {1000 + second}"


def test_columns_that_change_in_mid_file(tmp_path: Path, small: None) -> None:
    """The next night too, when the header in force lies in what was read before."""
    ws = site_with(tmp_path, "format: w3c")
    lines = [FIELDS, *(w3c(s) for s in range(20)), OTHER, *(w3c(s, other=True) for s in range(20, 40))]  # fmt: skip
    put(ws, "ex1.log", lines)
    (first,) = night(ws)
    assert (first.error, first.counts.rows, first.counts.ignored, first.counts.rejected) == (None, 40, 2, 0)  # fmt: skip
    put(ws, "ex1.log", [w3c(s, other=True) for s in range(40, 60)], "ab")
    (second,) = night(ws)
    assert (second.counts.duplicate, second.counts.rows, second.counts.rejected) == (42, 20, 0)
    assert times(ws) == [f"18 10:{s // 60:02}:{s % 60:02}" for s in range(60)]
    assert {row["user"] for row in rows(ws)} == {"ann"}


def test_more_columns_than_the_header_names_are_not_shifted(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(f"{FIELDS}\n{w3c(1)}\n{w3c(2)} extra columns\n{w3c(3)}\n")
    result = check(path, all_formats())
    assert (result.rows, result.rejected) == (2, 1)
    assert list(result.rejects) == ["10 columns where 8 are expected"]


def test_the_header_of_a_csv_is_remembered(tmp_path: Path, small: None) -> None:
    ws = site_with(tmp_path, "format: csv")
    body = [f"2026-11-18T10:00:{s:02}Z,10.1.1.7,ann,https://www.facebook.com/,allowed" for s in range(30)]  # fmt: skip
    put(ws, "a.csv", ["Time,Source IP,User,URL,Action", *body[:20]])
    (first,) = night(ws)
    put(ws, "a.csv", body[20:], "ab")
    (second,) = night(ws)
    assert (first.counts.rows, first.counts.ignored) == (20, 1)
    assert (second.counts.rows, second.counts.ignored, second.counts.duplicate) == (10, 0, 21)


def test_columns_of_a_file_without_a_header_come_from_the_source(tmp_path: Path) -> None:
    ws = site_with(tmp_path, "format: w3c\ncolumns: [date, time, c-ip, cs-username, cs-method, cs-uri, sc-status, sc-bytes]")  # fmt: skip
    put(ws, "a.log", [w3c(s) for s in range(5)])
    (report,) = night(ws)
    assert (report.error, report.counts.rows) == (None, 5)


def test_a_record_over_several_lines_is_one(tmp_path: Path, small: None) -> None:
    ws = site_with(tmp_path, "format: csv")
    body = [
        f'2026-11-18T10:00:{s:02}Z,10.1.1.7,"Ann\nArcher, {s}",https://www.facebook.com/,allowed'
        for s in range(30)
    ]
    path = put(ws, "a.csv", ["Time,Source IP,User,URL,Action", *body])
    result = check(path, all_formats())
    assert (result.lines, result.rows, result.ignored, result.rejected) == (31, 30, 1, 0)
    (report,) = night(ws)
    assert (report.counts.lines, report.counts.rows, report.counts.rejected) == (31, 30, 0)
    assert len(times(ws)) == 30


def test_a_quote_left_open_costs_its_own_line_only(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    good = "2026-11-18T10:00:00Z,10.1.1.7,ann,https://www.facebook.com/,allowed"
    broken = '2026-11-18T10:00:00Z,10.1.1.7,"ann,https://www.facebook.com/,allowed'
    path.write_text("\n".join(["Time,Source IP,User,URL,Action", *[good] * 60, broken, *[good] * 60]) + "\n")  # fmt: skip
    result = check(path, all_formats())
    assert (result.rows, result.rejected) == (120, 1)


def test_a_zone_that_is_missing_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    line = 'date=2026-11-18 time=10:00:00 logid="1" type="utm" subtype="webfilter" srcip=10.1.1.7 user="ann" hostname="www.facebook.com" url="/" action="passthrough"'  # fmt: skip
    ws = site_with(tmp_path, "format: fortigate")
    put(ws, "a.log", [line] * 3)
    (report,) = night(ws)
    assert report.misconfigured and "carry no zone; set `timezone`" in str(report.error)
    assert not rows(ws)
    shown = check(ws.folder / "logs/a.log", all_formats())
    assert shown.rows == 3 and "no zone" in shown.warnings[0] and not shown.present["time zone"]
    named = check(ws.folder / "logs/a.log", all_formats(), Assumed(ZoneInfo("America/New_York")))
    assert (named.first, named.present["time zone"]) == ("2026-11-18T15:00:00.000Z", True)


TWICE = """
format: fortigate
timezone: Europe/London
"""


def fortigate(moment: datetime) -> str:
    return f'date={moment:%Y-%m-%d} time={moment:%H:%M:%S} logid="1" type="utm" subtype="webfilter" srcip=10.1.1.7 user="ann" hostname="www.facebook.com" url="/" action="passthrough"'  # fmt: skip


@pytest.mark.parametrize("cut", [10, 35, 55, 65, 95])
def test_the_hour_that_comes_twice_across_pieces_and_nights(
    tmp_path: Path, small: None, cut: int
) -> None:
    """Every two minutes from 23:30 UTC on; read in two runs, the second in the middle of anything."""
    zone = ZoneInfo("Europe/London")
    start = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    moments = [start + timedelta(minutes=2 * i) for i in range(100)]
    lines = [fortigate(m.astimezone(zone)) for m in moments]
    ws = site_with(tmp_path, TWICE)
    put(ws, "a.log", lines[:cut])
    night(ws)
    put(ws, "a.log", lines[cut:], "ab")
    night(ws)
    assert times(ws) == [f"{m:%d %H:%M:%S}" for m in moments]


@pytest.mark.parametrize(
    ("name", "start", "shift"),
    [
        ("Europe/London", datetime(2026, 10, 24, 23, 0, tzinfo=UTC), 60),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 14, 0, tzinfo=UTC), 30),
    ],
)
@pytest.mark.parametrize("each", [15, 30, 240], ids=lambda m: f"a file each {m} minutes")
def test_the_hour_that_comes_twice_in_files_of_their_own(
    tmp_path: Path, name: str, start: datetime, shift: int, each: int
) -> None:
    """Where files are rotated within it, no line tells the second time from the first."""
    zone = ZoneInfo(name)
    ws = site_with(tmp_path, f"format: fortigate\ntimezone: {name}")
    moments = [start + timedelta(minutes=i) for i in range(240)]
    at = [m.astimezone(zone) for m in moments]
    assert sum(m.replace(fold=0).utcoffset() != m.replace(fold=1).utcoffset() for m in at) == 2 * shift  # fmt: skip
    for number in range(0, 240, each):
        # No two lines are alike, or a file of the second time would be the first one's copy.
        lines = [f"{fortigate(m)} rcvdbyte={n}" for n, m in enumerate(at)]
        path = put(ws, f"{number:03}.log", lines[number : number + each])
        rotated = (start + timedelta(minutes=number + each, seconds=-30)).timestamp()
        os.utime(path, (rotated, rotated))
    night(ws)
    assert times(ws) == [f"{m:%d %H:%M:%S}" for m in moments]


def test_a_file_copied_later_has_no_age_that_tells(tmp_path: Path) -> None:
    ws = site_with(tmp_path, TWICE)
    lines = [fortigate(datetime(2026, 10, 25, 1, m)) for m in range(60)]
    path = put(ws, "a.log", lines)
    later = datetime(2026, 10, 25, 1, 30, tzinfo=UTC).timestamp()
    os.utime(path, (later, later))
    night(ws)
    assert times(ws)[0] == "25 00:00:00"


@pytest.mark.parametrize("pack", ["zip", "zip without times", "tar", "tar without times"])
def test_a_year_nobody_wrote_is_that_of_the_archive(tmp_path: Path, pack: str) -> None:
    """A member packed last New Year is of the year before it, not of the year before today."""
    lines = [f"Dec 31 23:{m}:05 gw dnsmasq[1]: query[A] www.facebook.com from 10.20.1.4" for m in range(10, 40)]  # fmt: skip
    data = "".join(f"{line}\n" for line in lines).encode()
    written = datetime(2025, 1, 1, 0, 5, tzinfo=UTC)
    path = tmp_path / "days"
    if pack.startswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            when = (2025, 1, 1, 0, 5, 0) if pack == "zip" else (1980, 1, 1, 0, 0, 0)
            archive.writestr(zipfile.ZipInfo("dns.log", when), data)
    else:
        with tarfile.open(path, "w") as archive:
            info = tarfile.TarInfo("dns.log")
            info.size, info.mtime = len(data), int(written.timestamp()) if pack == "tar" else 0
            archive.addfile(info, io.BytesIO(data))
    os.utime(path, (written.timestamp() + (10**7 if pack in ("zip", "tar") else 0),) * 2)
    ws = site_with(tmp_path, "format: dnsmasq\ntimezone: Europe/London")
    path.rename(ws.folder / "logs/days")
    shown = check(ws.folder / "logs/days", all_formats(), Assumed(ZoneInfo("UTC")))
    assert (shown.first or "").startswith("2024-12-31T23:10")
    (report,) = night(ws)
    assert (report.counts.rows, report.counts.expired) == (0, 30)


def test_day_and_month_are_told_by_the_whole_file(tmp_path: Path, small: None) -> None:
    """The one date that can only be read one way stands at the end."""
    ws = site_with(tmp_path, "format: dates\ntimezone: UTC")
    (ws.folder / "formats").mkdir()
    (ws.folder / "formats/dates.yaml").write_text(
        "title: Own\nlayouts:\n  - engine: delimited\n    delimiter: ';'\n    columns: [when, ip, user, url]\n"
        "    time: {from: when, as: date-local}\n    fields: {client: ip, user: user, url: url}\n    default: allowed\n"
    )
    line = "{}/2026 10:00:00;10.1.1.7;ann;https://www.facebook.com/"
    put(ws, "a.log", [line.format("05/11")] * 30)
    (report,) = night(ws)
    assert "day and month cannot be told apart anywhere" in str(report.error)
    put(ws, "a.log", [line.format("13/11")], "ab")
    (report,) = night(ws)
    assert (report.error, report.counts.rows) == (None, 31)
    assert {t[:2] for t in times(ws)} == {"05", "13"}


def test_a_description_of_the_sites_own_is_configuration(tmp_path: Path) -> None:
    """The look into every file takes the day of its sample for no event."""
    ws = site_with(tmp_path, "format: mine\ntimezone: UTC")
    (ws.folder / "formats").mkdir()
    (ws.folder / "formats/mine.yaml").write_text(
        "# 2024-05-02T10:11:12Z,10.1.1.7,ann\ntitle: Own\nlayouts:\n  - engine: json\n    time: {from: t}\n"
    )
    assert verify(ws, NOW).clean


def test_two_formats_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    squid = squid_line(datetime(2026, 11, 18, 10, tzinfo=UTC))
    common = '10.1.1.7 - ann [18/Nov/2026:10:00:01 +0000] "GET http://www.facebook.com/ HTTP/1.1" 200 5 "-" "x" TCP_MISS:HIER_DIRECT'  # fmt: skip
    path.write_text("".join(f"{line}\n" for line in [squid, squid, common, squid, "junk"] * 20))
    result = check(path, all_formats())
    assert (result.rows, result.rejected) == (80, 20)
    assert set(str(result.format).split("+")) == {"squid", "combined"}


def test_lines_that_stand_there_twice_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    lines = [squid_line(1786353013.0 + i) for i in range(50)]
    path.write_text("".join(f"{line}\n" for line in lines + lines[:20]))
    result = check(path, all_formats())
    assert result.repeated == 20 and "20 lines stand there more than once" in result.warnings[0]


def test_syslog_round_anything(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    lines = [f"<134>Nov 18 10:00:{s:02} gw squid[7]: {squid_line(1786353013.0 + s)}" for s in range(30)]  # fmt: skip
    path.write_text("".join(f"{line}\n" for line in lines))
    result = check(path, all_formats())
    assert (result.format, result.rows, result.rejected) == ("squid", 30, 0)


def test_pieces_of_any_size_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    lines = [FIELDS, *(w3c(s) for s in range(30)), "#Date: x", OTHER, *(w3c(s, other=True) for s in range(30, 50))]  # fmt: skip
    path = tmp_path / "a.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    found: list[Any] = []
    for size in (1 << 20, *random.Random(3).sample(range(120, 2000), 5)):
        monkeypatch.setattr(ingest.streams, "BLOCK", size)
        result = check(path, all_formats())
        found.append((result.rows, result.ignored, result.rejected, result.first, result.last))
    assert set(found) == {(50, 3, 0, "2026-11-18T10:00:00.000Z", "2026-11-18T10:00:49.000Z")}


LATER = [
    {"timestamp": "2026-11-18T10:00:00Z", "src_ip": "10.1.1.7", "url": "https://a.example/", "action": "allowed"},
    {"timestamp": "2026-11-18T10:00:00Z", "src_ip": "10.1.1.7", "url": "https://a.example/", "action": "allowed", "username": "ann"},
    {"timestamp": "2026-11-18T10:00:00Z", "src_ip": "10.1.1.7", "url": "https://a.example/", "action": "allowed", "username": 7},
]  # fmt: skip


@pytest.mark.parametrize("later", [*range(3), None])
def test_what_the_first_objects_lack_is_read_of_later_ones(tmp_path: Path, later: int | None) -> None:  # fmt: skip
    """A name that comes late, a type that changes, a line that is no object."""
    path = tmp_path / "a.log"
    last = json.dumps(LATER[later]) if later is not None else "{broken"
    path.write_text("".join(f"{json.dumps(LATER[0])}\n" for _ in range(300)) + last + "\n")
    found = [*check_rows(path, all_formats(), keep_url=True)]
    assert len(found) == (301 if later is not None else 300)
    assert found[-1]["user"] == {0: None, 1: "ann", 2: "7", None: None}[later]
    assert {row["host"] for row in found} == {"a.example"}
