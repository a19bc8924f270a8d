"""Directives of W3C logs over many blocks, and columns that a source's own settings name."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from conftest import make_site, write_lines

import ingest.run
from fairwatch import check
from ingest.discover import discover
from ingest.formats import Block, Format, Given, all_formats, named, recognise
from ingest.formats.block import Parsed
from ingest.formats.headers import directives
from workspace import open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)

(W3C,) = named("w3c")
HEAD = "#Version: 1.0\n#Fields: date time c-ip cs-uri sc-status\n"
LINE = "2024-05-02 10:11:12 192.0.2.7 http://www.example.org/a 200\n"


def in_blocks(format_: Format, pieces: list[str], given: Given | None = None) -> list[Parsed]:
    """A file in several blocks, with the header lines in force handed on as ingest does."""
    given, made = given or Given(), []
    for piece in pieces:
        made.append(format_.parse(Block(piece.encode()), given))
        lead = format_.lead(given.lead, piece.encode())
        given = Given(lead, given.zone, given.order, columns=given.columns)
    return made


def times(parsed: list[Parsed]) -> list[str]:
    values = [ms for one in parsed for ms in one.rows["time"].to_pylist()]
    return [datetime.fromtimestamp(ms / 1000, UTC).strftime("%d %H:%M") for ms in values]


def test_columns_that_change_in_mid_file_are_read_by_the_header_in_force() -> None:
    second = "#Fields: time date sc-status cs-uri c-ip cs-username\n"
    other = "10:11:13 2024-05-02 404 http://www.example.org/b 192.0.2.8 ann\n"
    for pieces in ([HEAD + LINE + second + other], [HEAD + LINE, second + other], [HEAD, LINE + second, other]):  # fmt: skip
        parsed = in_blocks(W3C, pieces)
        rows = [r for one in parsed for r in one.rows.to_pylist()]
        assert [(r["client"], r["status"], r["user"]) for r in rows] == [("192.0.2.7", 200, None), ("192.0.2.8", 404, "ann")]  # fmt: skip
        assert not any(one.rejects for one in parsed)


def test_midnight_is_passed_once_wherever_the_blocks_end() -> None:
    head = "#Date: 2013-07-30 22:00:00\n#Fields: time c-ip cs-uri sc-status\n"
    clocks = ["22:30:00", "23:59:59", "23:59:58", "00:00:01", "12:00:00", "23:00:00", "00:10:00"]
    lines = [f"{c} 192.0.2.7 http://www.example.org/00:00:00 200\n" for c in clocks]
    expected = ["30 22:30", "30 23:59", "30 23:59", "31 00:00", "31 12:00", "31 23:00", "01 00:10"]
    assert times(in_blocks(W3C, [head + "".join(lines)])) == expected
    for cut in range(len(lines) + 1):
        pieces = [head + "".join(lines[:cut]), "".join(lines[cut:])]
        assert times(in_blocks(W3C, [p for p in pieces if p])) == expected
    assert times(in_blocks(W3C, [head, *lines])) == expected
    again = "#Date: 2013-08-05 00:00:00\n" + "00:20:00 192.0.2.7 http://www.example.org/ 200\n"
    assert times(in_blocks(W3C, [head, *lines, again]))[-1] == "05 00:20"


def test_a_log_cannot_forge_the_count_of_midnights() -> None:
    lead = directives(b"#Date: 2013-07-30\n", b"#X-Fairwatch-Clock: 99 1\n#Fields: time c-ip\n")
    assert b"99" not in lead


def test_no_header_is_a_reason_not_a_guess() -> None:
    parsed = W3C.parse(Block(LINE.encode()))
    assert [r.reason for r in parsed.rejects] == ["no #Fields line names its columns"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ("date time c-ip cs-username s-action sc-status cs-host", "bluecoat"),
        ("date time s-ip cs-method cs-uri-stem c-ip sc-status sc-win32-status", "iis"),
        ("date time x-edge-location c-ip x-host-header", "cloudfront"),
        ("date time c-ip cs-host sc-status", "w3c"),
        ("c-ip\tcs-username\tc-agent\tdate\ttime\tr-host", "isa"),
    ],
)
def test_the_header_tells_the_product(fields: str, name: str) -> None:
    columns = fields.split("\t") if "\t" in fields else fields.split()
    values = {"date": "2026-10-05", "time": "10:00:00", "c-ip": "192.0.2.7", "sc-status": "200"}
    row = ("\t" if "\t" in fields else " ").join(values.get(c, "www.example.org") for c in columns)
    found = recognise(f"#Version: 1.0\n#Fields: {fields}\n{row}\n{row}\n".encode(), all_formats())
    assert found.format is not None and found.format.name == name
    alone = recognise(f"#Version: 1.0\n#Fields: {fields}\n".encode(), all_formats())
    assert alone.format is None or alone.format.name in (name, "w3c")


LINES = [
    "2026-11-19 10:11:12 192.0.2.7 ann www.facebook.com OBSERVED 200",
    "2026-11-19 10:12:12 192.0.2.7 ann www.facebook.com DENIED 403",
    "2026-11-19 10:13:12 192.0.2.7 ann",
]
SOURCE = """sources:
  - name: gate
    format: bluecoat
    paths: ["logs/*.log"]
    columns: [date, time, c-ip, cs-username, cs-host, sc-filter-result, sc-status]
"""


def without_header(text: str) -> str:
    begin, end = text.index("sources:\n"), text.index("people:")
    return f"{text[:begin]}{SOURCE}{text[end:]}"


def test_columns_of_a_source_reach_check_logs_and_ingest(tmp_path: Path) -> None:
    ws = open_site(make_site(tmp_path / "site", without_header), "test")
    log = write_lines(ws.folder / "logs/gate.log", LINES)
    (source,) = ws.settings.sources
    (task,) = discover(ws, None)
    (told,) = check.check(log, task.formats, check.Assumed.of(source, None))
    assert (told.rows, told.rejected, told.format) == (2, 1, "bluecoat")
    assert told.verdicts == {"allowed": 1, "denied": 1}
    with ws.alone():
        (report,) = ingest.run.ingest(ws, [task], NOW)
    assert report.error is None
    assert (report.counts.rows, report.counts.rejected) == (2, 1)
    with log.open("a") as file:
        file.write(LINES[0].replace("10:11", "11:11") + "\n")
    with ws.alone():
        (again,) = ingest.run.ingest(ws, discover(ws, None), NOW)
    assert (again.counts.rows, again.counts.duplicate) == (1, 3)


def test_without_columns_a_log_without_a_header_is_not_guessed(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "gate.log", LINES[:2])
    (told,) = check.check(log, named("bluecoat"))
    assert told.rows == 0


def test_the_line_that_tells_a_spreadsheet_the_delimiter_is_no_header() -> None:
    head = b"sep=;\r\nDatum und Uhrzeit;Benutzer;Quell-IP;Ziel;Aktion\r\n"
    text = head + b"19.11.2026 10:11:12;ann;10.1.1.7;www.example.org;gesperrt\r\n"
    (format_,) = named("csv-semicolon")
    given = Given(lead=format_.lead(b"", text), zone=ZoneInfo("UTC"))
    parsed = format_.parse(Block(text), given)
    assert parsed.rejects == []
    assert dict(parsed.why) == {"header": 2}
    assert parsed.rows["user"].to_pylist() == ["ann"]
    assert parsed.rows["verdict"].to_pylist() == ["denied"]
