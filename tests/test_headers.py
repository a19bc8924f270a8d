"""Directives of W3C logs over many blocks, and columns that a source's own settings name."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairwatch import check
from ingest.formats import Block, Format, Given, all_formats, named, recognise
from ingest.formats.block import Parsed
from ingest.formats.headers import directives

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


COLUMNS = "date time c-ip cs-username cs-host sc-filter-result sc-status".split()
SETTINGS = """\
organisation: {name: Example, timezone: Europe/London}
sources:
  - {name: gate, format: bluecoat, paths: ["logs/*.log"], columns: [%s]}
""" % ", ".join(COLUMNS)


def test_columns_of_a_source_reach_check_logs_and_ingest(
    tmp_path: Path, call: Callable[..., Any]
) -> None:
    made = call("init", str(tmp_path / "site"), "--organisation", "Example", "--timezone", "Europe/London")
    assert made.code in (0, None) or made
