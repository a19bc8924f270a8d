"""What `journalctl -o export` writes becomes the lines `journalctl -o json` would."""

import json
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import UnreadableInput
from fairwatch import check
from ingest import journal
from ingest.formats import all_formats
from ingest.streams import Stream

QUESTION = b"query[A] www.example.org from 10.1.1.7"


def field(name: bytes, text: bytes, *, counted: bool = False) -> bytes:
    if counted or b"\n" in text:
        return name + b"\n" + len(text).to_bytes(8, "little") + text + b"\n"
    return name + b"=" + text + b"\n"


def exported(text: bytes, moment: int = 1_714_644_672_123_456, *, counted: bool = False) -> bytes:
    return (
        field(b"__CURSOR", b"s=a;i=1")
        + field(b"__REALTIME_TIMESTAMP", str(moment).encode())
        + field(b"SYSLOG_IDENTIFIER", b"dnsmasq")
        + field(b"COREDUMP", b"\0\n\n\1" * 9)
        + field(b"MESSAGE", text, counted=counted)
        + b"_PID=6\n\n"
    )


def sips(data: bytes, size: int) -> Callable[[int], bytes]:
    source = BytesIO(data)
    return lambda _: source.read(size)


@given(texts=st.lists(st.tuples(st.text(), st.booleans())), size=st.integers(1, 99))
def test_every_message_comes_out_as_it_is(texts: list[tuple[str, bool]], size: int) -> None:
    plain = [(t.replace("\0", "").replace("\r", ""), counted) for t, counted in texts]
    data = b"".join(exported(t.encode(), counted=counted) for t, counted in plain)
    found = [json.loads(line) for line in journal.entries(sips(data, size), complete=False)]
    assert [one["MESSAGE"] for one in found] == [t for t, _ in plain]
    assert all(one.keys() == {"MESSAGE", "SYSLOG_IDENTIFIER", "__REALTIME_TIMESTAMP"} for one in found)  # fmt: skip


def test_a_journal_is_read_like_any_log(tmp_path: Path) -> None:
    path = tmp_path / "journal.export"
    path.write_bytes(exported(QUESTION) * 2 + exported(QUESTION, counted=True).rstrip(b"\n"))
    (told,) = check.check(path, all_formats())
    assert (told.format, told.rows, told.rejected) == ("dnsmasq", 3, 0)


def test_an_entry_half_written_is_awaited(tmp_path: Path) -> None:
    path = tmp_path / "journal.export"
    for cut in range(1, 60):
        path.write_bytes(exported(QUESTION) + exported(QUESTION)[:-cut])
        with closing(Stream(path, False, 65536, 400)) as stream:
            assert sum(piece.lines for piece in stream.pieces()) == 1
            assert not stream.whole


def test_a_text_that_is_not_all_there_is_damage_in_a_complete_export(tmp_path: Path) -> None:
    path = tmp_path / "journal.export"
    whole = exported(QUESTION) + exported(QUESTION + b"\n")
    path.write_bytes(whole[:-12])
    with closing(Stream(path, True, 65536, 400)) as stream, pytest.raises(UnreadableInput):
        list(stream.pieces())


def test_a_length_beyond_all_bounds_costs_nothing() -> None:
    data = b"MESSAGE\n" + b"\xff" * 8 + b"a" * 100
    with pytest.raises(EOFError):
        list(journal.entries(sips(data, 7), complete=True))
