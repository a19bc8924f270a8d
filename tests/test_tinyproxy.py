"""tinyproxy's two lines of a request, joined over blocks and processes."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ingest.formats import Block, Given, all_formats, recognise
from ingest.formats.block import ZONELESS
from ingest.formats.tinyproxy import MOST, TINYPROXY

LOG = [
    "CONNECT   Jul 05 09:11:12.123 [4711]: Connect (file descriptor 7): pc7.example.org [192.0.2.7]",
    "CONNECT   Jul 05 09:11:12.124 [4711]: Connect (file descriptor 8): 2001:db8::8",
    "CONNECT   Jul 05 09:11:12.125 [4711]: Request (file descriptor 7): GET http://www.example.org/a HTTP/1.1",
    "INFO      Jul 05 09:11:12.126 [4711]: No upstream proxy for www.example.org",
    "CONNECT   Jul 05 09:11:13.000 [4712]: Connect (file descriptor 7): pc9 [192.0.2.9]",
    "CONNECT   Jul 05 09:11:13.125 [4711]: Request (file descriptor 8): CONNECT www.example.org:443 HTTP/1.1",
    "CONNECT   Jul 05 09:11:14.000 [4712]: Request (file descriptor 7): GET http://b.example/ HTTP/1.0",
    "CONNECT   Jul 05 09:11:15.000 [4711]: Connect (file descriptor 7): pc5 [192.0.2.5]",
    "CONNECT   Jul 05 09:11:16.000 [4711]: Request (file descriptor 7): GET http://c.example/ HTTP/1.1",
]
LATEST = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1000)
EXPECTED = [
    ("192.0.2.7", "http://www.example.org/a"),
    ("2001:db8::8", "www.example.org:443"),
    ("192.0.2.9", "http://b.example/"),
    ("192.0.2.5", "http://c.example/"),
]


def data(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.mark.parametrize("cut", range(len(LOG) + 1))
def test_a_request_is_of_the_last_connection_of_its_descriptor(cut: int) -> None:
    lead, found = b"", []
    for lines in (LOG[:cut], LOG[cut:]):
        given = Given(lead, ZoneInfo("Europe/London"), latest=LATEST)
        parsed = TINYPROXY.parse(Block(data(lines)), given)
        assert not parsed.rejects
        assert parsed.rows.num_rows + parsed.ignored == len(lines)
        found += parsed.rows.to_pylist()
        lead = TINYPROXY.lead(lead, data(lines))
    assert [(r["client"], r["url"]) for r in found] == EXPECTED
    assert found[0]["time"] == int(datetime(2026, 7, 5, 8, 11, 12, 125000, UTC).timestamp() * 1000)


def test_it_is_recognised_and_no_zone_is_guessed() -> None:
    found = recognise(data(LOG), all_formats())
    assert found.format is TINYPROXY
    assert {r.reason for r in TINYPROXY.parse(Block(data(LOG))).rejects} == {ZONELESS}


def test_what_is_remembered_is_bounded() -> None:
    many = [f"CONNECT   Jul 05 09:11:12 [1]: Connect (file descriptor {n}): 192.0.2.7" for n in range(MOST + 50)]  # fmt: skip
    assert TINYPROXY.lead(b"", data(many)).count(b"\n") == MOST


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (LOG[2], "no client address"),
        ("CONNECT   Oct 05 09:11:12 [4711]: Request (file descr", "no line of tinyproxy"),
        ("hello", "no line of tinyproxy"),
    ],
)
def test_what_is_not_joined_is_told(line: str, reason: str) -> None:
    parsed = TINYPROXY.parse(Block(data([line])), Given(zone=ZoneInfo("UTC")))
    assert [r.reason for r in parsed.rejects] == [reason]
