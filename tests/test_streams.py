"""A stream is known by its content: whatever a rotation does to the name, each line comes once."""

import bz2
import gzip
import hashlib
import lzma
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ingest.marks
import ingest.streams
from errors import UnreadableInput
from ingest.marks import FIRST_MARK, Known, Mark, pack, unpack
from ingest.streams import Stream


def zstd(data: bytes) -> bytes:
    """A zstd frame of its own, as the command line tool writes it."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packer:
        packer.write(data)
    return bytes(sink.getvalue())


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
}


class Lake:
    """What ingest does with a stream, in a few lines: it keeps the marks and takes the pieces."""

    def __init__(self, line_bytes: int = 65536) -> None:
        self.line_bytes = line_bytes
        self.known: dict[int, tuple[str, list[Mark]]] = {}
        self.lines: dict[int, list[tuple[int, bytes]]] = {}

    def read(self, path: Path, *, complete: bool = True, expansion: int = 400) -> tuple[int, int]:
        """(lines that were known, lines that were new)."""
        with closing(Stream(path, complete, self.line_bytes, expansion)) as stream:
            same = [Known(i, m) for i, (head, m) in self.known.items() if head == stream.head]
            found, skipped = stream.recognise(same)
            number = found.id if found else len(self.known)
            taken = self.lines.setdefault(number, [])
            assert skipped <= len(taken), "nothing is skipped that was not taken"
            new = 0
            try:
                for piece in stream.pieces():
                    assert piece.data.endswith(b"\n")
                    lines = piece.data.split(b"\n")[:-1]
                    assert len(lines) == piece.lines == piece.data.count(b"\n")
                    taken += list(enumerate(lines, piece.first_line))
                    new += len(lines)
            finally:
                if new or found is None:
                    stream.mark()
                    marks = unpack(pack(stream.marks))
                    self.known[number] = (stream.head, marks)
            return skipped, new

    def stream(self, number: int = 0) -> list[bytes]:
        """The lines of a stream in order, each at its number."""
        assert [n for n, _ in self.lines[number]] == list(range(1, len(self.lines[number]) + 1))
        return [line for _, line in self.lines[number]]


def lines(low: int, high: int) -> list[bytes]:
    return [b"%06d some line of a log that is about eighty bytes long, as they are" % n for n in
            range(low, high)]  # fmt: skip


def log(low: int, high: int) -> bytes:
    return b"".join(line + b"\n" for line in lines(low, high))


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


SIZES = [(3, 5), (50, 60), (60, 500), (500, 501), (2000, 40_000)]


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_a_file_that_grew_gives_what_is_new(tmp_path: Path, before: int, after: int) -> None:
    lake, path = Lake(), tmp_path / "access.log"
    assert lake.read(put(path, log(0, before))) == (0, before)
    assert lake.read(path) == (before, 0)
    assert lake.read(put(path, log(0, after))) == (before, after - before)
    assert lake.stream() == lines(0, after)


@pytest.mark.parametrize("count", [1, 40, 3000, 30_000])
@pytest.mark.parametrize("packer", PACKERS)
def test_a_file_that_was_rotated_and_packed_is_the_same(
    tmp_path: Path, packer: str, count: int
) -> None:
    lake, path = Lake(), tmp_path / "access.log"
    lake.read(put(path, log(0, count)))
    assert lake.read(path.rename(tmp_path / "access.log.1")) == (count, 0)
    packed = put(tmp_path / "anything", PACKERS[packer](log(0, count + 7)))
    assert lake.read(packed) == (count, 7)
    assert lake.read(put(tmp_path / "copy", PACKERS[packer](log(0, count)))) == (count, 0)
    assert lake.stream() == lines(0, count + 7)


def test_packed_first_then_plain(tmp_path: Path) -> None:
    lake = Lake()
    assert lake.read(put(tmp_path / "a.gz", gzip.compress(log(0, 20_000)))) == (0, 20_000)
    assert lake.read(put(tmp_path / "a", log(0, 20_001))) == (20_000, 1)


def test_gzip_in_several_members(tmp_path: Path) -> None:
    packed = b"".join(gzip.compress(log(n * 100, n * 100 + 100)) for n in range(30))
    lake = Lake()
    assert lake.read(put(tmp_path / "a.gz", packed)) == (0, 3000)
    assert lake.stream() == lines(0, 3000)


def test_zstd_in_several_frames(tmp_path: Path) -> None:
    packed = b"".join(PACKERS["zstd"](log(n * 100, n * 100 + 100)) for n in range(30))
    lake = Lake()
    assert lake.read(put(tmp_path / "a.zst", packed)) == (0, 3000)


@pytest.mark.parametrize("kept", [1, 30, 55, 56, 57, 1000, 2999])
def test_a_shorter_copy_adds_nothing(tmp_path: Path, kept: int) -> None:
    lake = Lake()
    lake.read(put(tmp_path / "a", log(0, 3000)))
    known, new = lake.read(put(tmp_path / "b", log(0, kept)))
    if len(log(0, kept)) >= FIRST_MARK * 2:
        assert (known, new) == (kept, 0)
    else:  # before the first mark a copy cannot be told from another log
        assert known + new == kept
    assert lake.stream() == lines(0, 3000)


def test_the_whole_after_a_shorter_copy(tmp_path: Path) -> None:
    lake = Lake()
    lake.read(put(tmp_path / "a", log(0, 1000)))
    lake.read(put(tmp_path / "b", log(0, 700)))
    assert lake.read(put(tmp_path / "c", log(0, 1500))) == (1000, 500)
    assert lake.stream() == lines(0, 1500)


def test_copytruncate_with_other_content(tmp_path: Path) -> None:
    lake, path = Lake(), tmp_path / "access.log"
    lake.read(put(path, log(0, 5000)))
    assert lake.read(put(path, log(5000, 5100))) == (0, 100)
    assert lake.read(put(path, log(5000, 5200))) == (100, 100)
    assert lake.stream(0) == lines(0, 5000)
    assert lake.stream(1) == lines(5000, 5200)


def test_the_same_first_line_and_then_others(tmp_path: Path) -> None:
    """A header that every file begins with makes no two files one."""
    lake = Lake()
    lake.read(put(tmp_path / "a", b"#Fields: a b c\n" + log(0, 5000)))
    assert lake.read(put(tmp_path / "b", b"#Fields: a b c\n" + log(5000, 9000))) == (0, 4001)
    assert lake.read(put(tmp_path / "b", b"#Fields: a b c\n" + log(5000, 9100))) == (4001, 100)
    assert lake.read(put(tmp_path / "a", b"#Fields: a b c\n" + log(0, 5100))) == (5001, 100)


def test_a_half_written_last_line_waits_for_its_end(tmp_path: Path) -> None:
    lake, path = Lake(), tmp_path / "access.log"
    whole = log(0, 101)
    for cut in (1, 20, 67):
        expected = (100, 0) if cut > 1 else (0, 100)
        assert lake.read(put(path, log(0, 100) + whole[-70:][:cut]), complete=False) == expected
    assert lake.read(put(path, whole), complete=False) == (100, 1)
    assert lake.stream() == lines(0, 101)


def test_a_half_written_first_line(tmp_path: Path) -> None:
    lake, path = Lake(), tmp_path / "access.log"
    assert lake.read(put(path, b"000000 some"), complete=False) == (0, 0)
    lake.known.clear()  # ingest forgets a stream nothing was taken of
    lake.lines.clear()
    assert lake.read(put(path, log(0, 2)), complete=False) == (0, 2)


def test_no_final_newline_in_a_file_that_is_finished(tmp_path: Path) -> None:
    lake, path = Lake(), tmp_path / "a"
    assert lake.read(put(path, log(0, 100)[:-1])) == (0, 100)
    assert lake.read(path) == (100, 0)
    assert lake.stream() == lines(0, 100)


def test_an_empty_file(tmp_path: Path) -> None:
    assert Lake().read(put(tmp_path / "a", b"")) == (0, 0)
    assert Lake().read(put(tmp_path / "a.gz", gzip.compress(b""))) == (0, 0)


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    for name, data in {"a": log(0, 3000), "b": log(0, 3000) + b"half", "c": b"x" * 200_000}.items():
        path = put(tmp_path / name, data)
        for complete in (True, False):
            with closing(Stream(path, complete, 1024, 400)) as stream:
                stream.recognise([])
                list(stream.pieces())
                assert stream.digest() == hashlib.sha256(data).hexdigest()
    packed = put(tmp_path / "d.gz", gzip.compress(log(0, 10)))
    with closing(Stream(packed, True, 1024, 400)) as stream:
        list(stream.pieces())
        assert stream.digest() == hashlib.sha256(packed.read_bytes()).hexdigest()


@pytest.mark.parametrize("size", [1000, 1025, 5000, 70_000, 300_000])
def test_an_overlong_line_comes_cut_and_costs_no_other(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than the limit, than what is sampled, and than a block."""
    monkeypatch.setattr(ingest.streams, "BLOCK", 16_384)
    lake = Lake(line_bytes=1024)
    path = put(tmp_path / "a", log(0, 200) + b"z" * size + b"\n" + log(200, 400))
    assert lake.read(path) == (0, 401)
    taken = lake.stream()
    assert taken[:200] + taken[201:] == lines(0, 400)
    assert taken[200].strip(b"z") == b""
    assert (len(taken[200]) > 1024) == (size > 1024), "what is too long is still seen to be"
    assert lake.read(path) == (401, 0)


def test_an_overlong_line_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.streams, "BLOCK", 16_384)
    lake, path = Lake(line_bytes=1024), tmp_path / "a"
    assert lake.read(put(path, log(0, 10) + b"z" * 90_000), complete=False) == (0, 10)
    assert lake.read(put(path, log(0, 10) + b"z" * 95_000), complete=False) == (10, 0)
    assert lake.read(put(path, log(0, 10) + b"z" * 95_000 + b"\n" + log(10, 20))) == (10, 11)
    assert lake.stream()[11:] == lines(10, 20)


def test_overlong_lines_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.streams, "BLOCK", 4096)
    lake = Lake(line_bytes=1024)
    assert lake.read(put(tmp_path / "a", (b"y" * 9000 + b"\n") * 7)) == (0, 7)


def test_a_bomb_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    zeros = gzip.compress(b"\0" * (128 << 20), 9)
    path = put(tmp_path / "bomb.gz", zeros * 8)
    assert path.stat().st_size < 2 << 20
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableInput, match=r"bomb\.gz: unpacks to more than 20 times"):
            Lake().read(path, expansion=20)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_log_that_packs_well_is_no_bomb(tmp_path: Path) -> None:
    path = put(tmp_path / "a.gz", gzip.compress(lines(0, 1)[0].join([b"", b"\n"]) * 200_000, 9))
    assert Lake().read(path) == (0, 200_000)


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_what_stands_before_the_damage_is_kept(tmp_path: Path, packer: str, share: float) -> None:
    noisy = [line + hashlib.sha256(line).hexdigest().encode() for line in lines(0, 20_000)]
    whole = b"".join(line + b"\n" for line in noisy)
    packed = PACKERS[packer](whole)
    lake, path = Lake(), tmp_path / "a"
    put(path, packed[: int(len(packed) * share)])
    with pytest.raises(UnreadableInput, match="a: stops being readable after"):
        lake.read(path)
    taken = len(lake.lines.get(0, []))
    if packer != "bz2" or share > 0.5:  # bz2 gives nothing of a block that is not whole
        assert taken > 0
    assert lake.read(put(path, packed)) == (taken, 20_000 - taken)
    assert lake.stream() == noisy


def test_damage_in_the_middle(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(log(0, 20_000)))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(UnreadableInput):
        Lake().read(put(tmp_path / "a.gz", bytes(packed)))


@pytest.mark.parametrize("name", ["none", "."])
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableInput, match=r"cannot be read: (No such file|Is a directory)"):
        Lake().read(tmp_path / name)


def test_marks_survive_being_stored() -> None:
    marks = [Mark(0, 0, b"\0" * 16), Mark(1 << 40, 1 << 33, bytes(range(16)))]
    assert unpack(pack(marks)) == marks


def test_marks_stay_few(tmp_path: Path) -> None:
    with closing(Stream(put(tmp_path / "a", log(0, 100_000)), True, 65536, 400)) as stream:
        stream.recognise([])
        list(stream.pieces())
        assert len(stream.marks) < 20
        assert all(a.offset < b.offset and a.lines < b.lines for a, b in pairwise(stream.marks))
        assert stream.marks[0].offset <= FIRST_MARK


# Control characters by the dozen are no text, and NULs at line starts are skipped: test_arrival.py.
PLAIN = bytes(b if b >= 32 or b in b"\t\r" else 33 for b in range(256))
LINE = st.binary(max_size=60).map(lambda b: b.translate(PLAIN))
LONG = st.integers(200, 6000).map(lambda n: b"L" * n)


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    content=st.lists(st.one_of(LINE, LINE, LINE, LONG), min_size=1, max_size=60),
)
def test_any_growth_gives_each_line_once(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    content: list[bytes],
) -> None:
    """Cut anywhere, renamed or packed in between, read twice: once each, in order, numbered."""
    folder = tmp_path_factory.mktemp("growth", numbered=True)
    content[0] = b"first " + content[0]
    whole = b"".join(line + b"\n" for line in content)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6), "cuts"))
    lake = Lake(line_bytes=1024)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest.streams, "BLOCK", 2048)
        patch.setattr(ingest.marks, "FIRST_MARK", 64)
        for turn, cut in enumerate([*cuts, len(whole)]):
            name, packer = data.draw(
                st.tuples(st.sampled_from("ab"), st.sampled_from(["", *PACKERS])), "as"
            )
            version = PACKERS[packer](whole[:cut]) if packer else whole[:cut]
            if b"\n" not in whole[:cut]:
                continue
            lake.read(put(folder / f"{name}{turn}", version), complete=False)
    assert list(lake.known) == [0]
    expected = [line[:1025] if len(line) > 1024 else line for line in content]
    assert [line[:1025] for line in lake.stream()] == expected
