"""HAR files: one document becomes one line an entry, whatever it costs to be one."""

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import UnreadableInput
from fairwatch import check
from ingest.documents import LONGEST_TEXT, Damaged, is_document, lines_of
from ingest.formats import all_formats
from ingest.streams import Stream


def entry(number: int, **more: Any) -> dict[str, Any]:
    return {
        "startedDateTime": f"2026-10-05T09:11:{number % 60:02d}.000Z",
        "time": 41,
        "_clientAddress": "192.0.2.7",
        "request": {
            "method": "GET",
            "url": f"https://www.example.org/{number}",
            "headers": [
                {"name": "Cookie", "value": "sid=secret"},
                {"name": "Referer", "value": "https://r.example.org/"},
            ],
            "cookies": [{"name": "sid", "value": "secret"}],
            "postData": {"text": "password=secret"},
        },
        "response": {
            "status": 200,
            "bodySize": 10,
            "content": {"mimeType": "text/html", "text": "secret \\" * 3, "size": 12},
        },
        **more,
    }


def har(*entries: dict[str, Any], **more: Any) -> bytes:
    return json.dumps(
        {"log": {"version": "1.2", "entries": list(entries), **more}}, indent=1
    ).encode()


def lines(data: bytes, size: int = 1000) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(read(data, size)).splitlines()]


def read(data: bytes, size: int = 1000) -> Iterator[bytes]:
    source = lines_of(b'{"log":{', BytesIO(data), 1 << 30)
    while piece := source.read(size):
        yield piece


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_entries_are_lines_and_secrets_stay_behind(size: int) -> None:
    data = har(*(entry(n) for n in range(5)))
    found = lines(data, size)
    assert [one["request.url"][-1] for one in found] == list("01234")
    assert found[0]["referrer"] == "https://r.example.org/"
    assert b"secret" not in b"".join(read(data, size))


def test_the_file_is_read_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "flows.har"
    path.write_bytes(har(*(entry(n) for n in range(5)), entry(6, _clientAddress=None)))
    (told,) = check.check(path, all_formats())
    assert (told.format, told.rows, told.rejected) == ("har", 5, 1)
    assert told.rejects.keys() == {"no client address and no user"}


def test_what_was_whole_before_the_damage_is_kept(tmp_path: Path) -> None:
    data = har(*(entry(n) for n in range(5)))
    path = tmp_path / "flows.har"
    path.write_bytes(data[: int(len(data) * 0.7)])
    kept = []
    with (
        closing(Stream(path, True, 65536, 400)) as stream,
        pytest.raises(UnreadableInput, match="stops being readable"),
    ):
        for piece in stream.pieces():
            kept.append(piece.lines)
    assert sum(kept) == 3


def test_depth_and_length_are_bounded() -> None:
    deep = b'{"log": {"entries": [' + b'{"a":' * 100_000
    with pytest.raises(Damaged, match="nested"):
        list(read(deep))
    with pytest.raises(Damaged, match="longer"):
        lines_of(b'{"log":{', BytesIO(har(entry(1))), 10).read(100)


class Endless:
    """A document whose first body is as long as asked for."""

    def __init__(self, size: int) -> None:
        self.pieces = [b'{"log": {"entries": [{"response": {"content": {"text": "']
        self.left = size

    def read(self, size: int, /) -> bytes:
        if self.pieces:
            return self.pieces.pop()
        take = min(size, self.left)
        self.left -= take
        return b"\\" * take if take else b""

    def close(self) -> None:
        """Nothing to let go of."""


def test_a_body_is_never_held() -> None:
    tracemalloc.start()
    with pytest.raises(Damaged):
        source = lines_of(b'{"log":{', Endless(64 << 20), 1 << 30)
        while source.read(1000):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@given(
    word=st.text(max_size=40),
    size=st.sampled_from([1, 3, 4096, 100_000]),
    escape=st.booleans(),
)
def test_a_long_text_is_shortened_and_its_neighbours_stay(
    word: str, size: int, escape: bool
) -> None:
    text = word * 3000
    one = entry(1)
    one["response"]["content"]["text"] = text
    one["request"]["url"] = "https://www.example.org/" + text
    document = {"log": {"entries": [one, entry(2)]}}
    data = json.dumps(document, ensure_ascii=escape).encode("utf-8", "surrogatepass")
    found = lines(data, max(size, 64))
    assert len(found) == 2
    assert found[0]["request.url"][:30] == one["request"]["url"][:30]
    assert len(found[0]["request.url"]) <= LONGEST_TEXT
    assert found[1]["request.url"] == "https://www.example.org/2"


@given(st.binary(max_size=200))
def test_any_bytes_end(data: bytes) -> None:
    with suppress(Damaged):
        list(read(b'{"log": {"entries": [' + data))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b'{"log":{"version"', True),
        (b'\xef\xbb\xbf {\n "log" : {\n', True),
        (b'{"log":"a line of a container"', False),
        (b'{"message":"x"}', False),
    ],
)
def test_what_a_document_is(start: bytes, expected: bool) -> None:
    assert is_document(start) is expected


EVE = [
    {"timestamp": f"2024-05-02T10:11:{n}.000000+0000", "flow_id": n, "event_type": "tls", "src_ip": "192.0.2.7", "dest_ip": "203.0.113.9", "dest_port": 443, "proto": "TCP", "tls": {"sni": f"www{n}.example.org"}}
    for n in (12, 13, 14)
]  # fmt: skip
UNFOLDED = {
    "a list": json.dumps(EVE),
    "a list over lines": json.dumps(EVE, indent=2),
    "a list, one a line": "[\n" + ",\n".join(map(json.dumps, EVE)) + "\n]\n",
    "lists one after the other": "\n".join(json.dumps([one]) for one in EVE),
    "objects over lines": "\n".join(json.dumps(one, indent=4) for one in EVE),
    "an answer": json.dumps({"total": 3, "data": EVE, "next": {"data": []}}, indent=1),
    "a search": json.dumps({"took": 1, "hits": {"hits": EVE, "total": 3}}, indent=1),
    "a number beyond 64 bits": json.dumps([{**one, "big": 1 << 70} for one in EVE]),
}


@pytest.mark.parametrize("name", UNFOLDED)
def test_records_over_lines_are_lines(tmp_path: Path, name: str) -> None:
    path = tmp_path / "eve.json"
    path.write_text(UNFOLDED[name])
    rows = list(check.rows(path, all_formats(), keep_url=False))
    assert [row["host"] for row in rows] == [f"www{n}.example.org" for n in (12, 13, 14)]
    (told,) = check.check(path, all_formats())
    assert (told.format, told.rows, told.rejected, told.error) == ("suricata", 3, 0, None)


def test_records_before_the_damage_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    path.write_text(json.dumps(EVE)[:-40])
    (told,) = check.check(path, all_formats())
    assert told.rows == 2
    assert told.error is not None


def test_a_record_of_too_many_values_is_handed_on_empty() -> None:
    data = json.dumps([{"a": [0] * 30_000}, {"a": 1}], indent=1).encode()
    source = lines_of(data, BytesIO(data), 1 << 30)
    assert source.read(1 << 20) == b'{}\n{"a":1}\n'


@pytest.mark.parametrize("document", [har(*(entry(n) for n in range(5))), json.dumps([{"a": n} for n in range(9)]).encode()], ids=["har", "list"])  # fmt: skip
@pytest.mark.parametrize("share", [0.05, 0.5, 0.7, 0.99])
def test_an_end_that_is_not_there_yet_is_awaited(tmp_path: Path, document: bytes, share: float) -> None:  # fmt: skip
    path = tmp_path / "growing"
    found = []
    for size in (int(len(document) * share), len(document)):
        path.write_bytes(document[:size])
        with closing(Stream(path, False, 65536, 400)) as stream:
            found.append((b"".join(piece.data for piece in stream.pieces()), stream.whole))
    (before, begun), (after, ended) = found
    assert (begun, ended) == (False, True)
    assert after.startswith(before) and before.endswith((b"\n", b""))


def test_damage_is_no_end_that_is_awaited(tmp_path: Path) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(b'[{"a": 1}, {"a" 2}, {"a": 3}]')
    with closing(Stream(path, False, 65536, 400)) as stream, pytest.raises(UnreadableInput):
        list(stream.pieces())
