"""What logs arrive in: archives, character sets, NULs, other people's files; nothing is unpacked."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import struct
import subprocess
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import make_site, squid_line, write_lines
from hypothesis import given
from hypothesis import strategies as st
from test_ingest import NOW, TODAY, rows, table
from test_streams import Lake

import ingest.archives
import ingest.run
from errors import UnreadableInput
from ingest.archives import unfolded
from ingest.arrival import LocalFile
from ingest.discover import discover
from ingest.file import FileReport
from ingest.streams import Stream
from state.tables import FILE, STREAM
from workspace import Workspace, open_site

LINES = [f"{n:05d} a line of some log, umlauts such as äöü € 😀 in it" for n in range(400)]
TEXT = "".join(f"{line}\n" for line in LINES)


def lz4(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as packer:
        packer.write(data)
    return bytes(sink.getvalue())


def zipped(members: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def tarred(members: dict[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def read(path: Path, expansion: int = 400) -> dict[str, str]:
    """What each part of a file holds, or why it cannot be read."""
    found = {}
    for origin in unfolded(LocalFile(path), expansion):
        try:
            with closing(Stream(origin, True, 65536, expansion)) as stream:
                stream.recognise([])
                found[origin.name] = b"".join(p.data for p in stream.pieces()).decode()
        except UnreadableInput as error:
            found[origin.name] = f"! {error}"
    return {name.removeprefix(str(path)): text for name, text in found.items()}


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


WRAPS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lz4": lz4,
    "gz in members": lambda d: gzip.compress(d[:777]) + gzip.compress(d[777:]),
    "lz4 in frames": lambda d: lz4(d[:777]) + lz4(d[777:]),
}
ARCHIVES: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "zip": zipped,
    "stored zip": lambda m: zipped(m, zipfile.ZIP_STORED),
    "bz2 zip": lambda m: zipped(m, zipfile.ZIP_BZIP2),
    "lzma zip": lambda m: zipped(m, zipfile.ZIP_LZMA),
    "tar": tarred,
    "pax tar": lambda m: tarred(m, tarfile.PAX_FORMAT),
    "ustar": lambda m: tarred(m, tarfile.USTAR_FORMAT),
    "tar.gz": lambda m: gzip.compress(tarred(m)),
    "tar.xz": lambda m: lzma.compress(tarred(m)),
    "tar.lz4": lambda m: lz4(tarred(m)),
}
CHARSETS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("wrap", WRAPS)
def test_every_wrap_in_every_character_set(tmp_path: Path, wrap: str, charset: str) -> None:
    path = put(tmp_path / "a", WRAPS[wrap](TEXT.encode(charset)))
    assert read(path) == {"": TEXT}


@pytest.mark.parametrize("archive", ARCHIVES)
def test_members_are_streams_of_their_own(tmp_path: Path, archive: str) -> None:
    long = "folder/" * 20 + "äöü.log"
    members = {
        "access.log": TEXT.encode(),
        "sub/access.log.gz": gzip.compress(TEXT.encode()),
        "16.log": TEXT.encode("utf-16"),
        "empty.log": b"",
        long if archive != "ustar" else "short.log": b"one line\n",
    }
    found = read(put(tmp_path / "a", ARCHIVES[archive](members)))
    assert found.pop(f"!{long}" if archive != "ustar" else "!short.log") == "one line\n"
    assert found.pop("!empty.log") == ""
    assert found == dict.fromkeys(["!access.log", "!sub/access.log.gz", "!16.log"], TEXT)


@pytest.mark.parametrize("archive", ARCHIVES)
def test_names_in_archives_are_only_shown(tmp_path: Path, archive: str) -> None:
    before = {*tmp_path.parent.rglob("*")}
    hostile = ["../../evil.log", "/etc/cron.d/evil", "a\x1b[31m\nb.log", "x" * 90]
    path = put(tmp_path / "a", ARCHIVES[archive]({n: b"line\n" for n in hostile}))
    found = read(path)
    assert [*found.values()] == ["line\n"] * 4
    assert all(name.isprintable() for name in found)
    assert "!a\\x1b[31m\\nb.log" in found
    assert {*tmp_path.parent.rglob("*")} == {*before, path}


def test_what_is_in_an_archive_and_is_no_log(tmp_path: Path) -> None:
    inner = {"a.log": b"line\n", "inner.zip": zipped({"x": b"y"}), "inner.tar": tarred({"x": b"y"})}
    for name, pack in (("a.zip", zipped), ("a.tar", tarred)):
        found = read(put(tmp_path / name, pack(inner)))
        assert found.pop("!a.log") == "line\n", "the others do not cost the good one"
        assert all("archive inside an archive" in told for told in found.values())
        assert len(found) == 2
    office = zipped({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"})
    assert "an Office document" in read(put(tmp_path / "a.xlsx", office))[""]


def test_an_encrypted_member_is_told_and_costs_no_other(tmp_path: Path) -> None:
    data = bytearray(zipped({"secret.log": b"line\n", "open.log": b"line\n"}))
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(magic)
        data[place + at] |= 1
    found = read(put(tmp_path / "a.zip", bytes(data)))
    assert found["!open.log"] == "line\n"
    assert "secret.log: is encrypted" in found["!secret.log"]


def test_zip64(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, archive.open("a.log", "w", force_zip64=True) as out:
        out.write(TEXT.encode())
    assert read(put(tmp_path / "a.zip", file.getvalue())) == {"!a.log": TEXT}


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("archive", ["zip", "tar", "tar.gz"])
def test_an_archive_cut_off(tmp_path: Path, archive: str, share: float) -> None:
    """Still being written, or a transfer that broke: what can be read is, and the rest is told."""
    noise = os.urandom(40_000).hex()
    members = {f"{n}.log": f"{n}\n{noise}\n".encode() for n in range(5)}
    whole = ARCHIVES[archive](members)
    found = read(put(tmp_path / "a", whole[: int(len(whole) * share)]))
    assert any(text.startswith("! ") for text in found.values())
    good = {n: t for n, t in found.items() if not t.startswith("! ")}
    assert all(members[n[1:]].decode() == t for n, t in good.items())


@pytest.mark.parametrize("archive", ["zip", "tar.gz"])
def test_bombs_are_refused_in_bounded_memory(tmp_path: Path, archive: str) -> None:
    members = {f"{n}.log": b"\n" * (24 << 20) for n in range(8)}
    path = put(tmp_path / "bomb", ARCHIVES[archive](members))
    tracemalloc.start()
    try:
        found = read_sizes(path, 20)
        assert tracemalloc.get_traced_memory()[1] < 96 << 20
    finally:
        tracemalloc.stop()
    assert "unpacks to more than 20 times its size" in str(found[-1])
    assert len(found) < 8, "after that, nothing more of the archive is unpacked"


def read_sizes(path: Path, expansion: int) -> list[int | str]:
    found: list[int | str] = []
    for origin in unfolded(LocalFile(path), expansion):
        try:
            with closing(Stream(origin, True, 65536, expansion)) as stream:
                found.append(sum(len(p.data) for p in stream.pieces()))
        except UnreadableInput as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize("archive", ["zip", "tar"])
def test_too_many_members(tmp_path: Path, archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.archives, "MEMBERS", 5)
    found = read(put(tmp_path / "a", ARCHIVES[archive]({f"{n}": b"x\n" for n in range(9)})))
    assert len(found) == 6 and "more than 5 files" in found[""]


def test_a_directory_that_lists_millions_is_not_read(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": b"x\n"}))
    at = data.rfind(b"PK\x05\x06")
    struct.pack_into("<L", data, at + 12, 1 << 30)
    assert "is not read" in read(put(tmp_path / "a.zip", bytes(data)))[""]


def test_a_header_of_any_size_is_not_held(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    data = info.tobuf(tarfile.GNU_FORMAT) + b"x" * 4096
    assert "a header of 1073741824 bytes" in read(put(tmp_path / "a.tar", data))[""]


STRANGERS = {
    b"Salted__" + bytes(range(40)): "is encrypted (OpenSSL)",
    b"-----BEGIN PGP MESSAGE-----\n\nhQEMA\n": "is encrypted (PGP)",
    b"\x85\x01\x0c\x03" + bytes(range(60)): "is encrypted (PGP)",
    b"\x8c\x0d\x04\x09" + bytes(range(60)): "is encrypted (PGP)",
    b"\xc3\x0d\x04\x09" + bytes(range(60)): "is encrypted (PGP)",
    b"7z\xbc\xaf\x27\x1c" + bytes(40): "is a 7z archive (perhaps encrypted)",
    b"Rar!\x1a\x07\x01\x00" + bytes(40): "is a RAR archive",
    b"ElfFile\x00" + bytes(400): "is a Windows event log (evtx)",
    b"SQLite format 3\x00" + bytes(400): "is a SQLite database",
    b"\xd4\xc3\xb2\xa1" + bytes(40): "is a packet capture",
    b"PAR1" + bytes(40): "is a Parquet file",
    b"%PDF-1.7\n%": "is a PDF document",
    bytes(range(256)) * 40: "is binary data, not a log",
}  # fmt: skip


@pytest.mark.parametrize("data", STRANGERS, ids=STRANGERS.values())
@pytest.mark.parametrize("wrap", ["plain", "gz"])
def test_other_peoples_files_are_named(tmp_path: Path, data: bytes, wrap: str) -> None:
    assert STRANGERS[data] in read(put(tmp_path / "a", WRAPS[wrap](data)))[""]


def test_a_growing_utf_16_log_keeps_half_a_character(tmp_path: Path) -> None:
    """Each line once, wherever a night's reading ended: in a unit, a surrogate pair, a line."""
    lines = [f"{n:03d} 😀 some words" for n in range(60)]
    whole = "".join(f"{line}\r\n" for line in lines).encode("utf-16")
    lake, path = Lake(), tmp_path / "a.log"
    for cut in (700, 701, 702, 703, 704, 705, 1111, 1500, len(whole)):
        lake.read(put(path, whole[:cut]), complete=False)
    assert [line.decode() for line in lake.stream()] == [f"{line}\r" for line in lines]


def test_the_same_log_in_another_character_set_is_the_same_stream(tmp_path: Path) -> None:
    lake = Lake()
    assert lake.read(put(tmp_path / "a", TEXT.encode())) == (0, 400)
    for charset in CHARSETS:
        assert lake.read(put(tmp_path / "b", TEXT.encode(charset))) == (400, 0)


def test_nuls_at_line_starts_are_skipped_and_told(tmp_path: Path) -> None:
    """copytruncate below a writer that keeps its place; a power cut; the log goes on afterwards."""
    lake, path = Lake(), tmp_path / "a.log"
    hole = b"\0" * (5 << 20)
    assert lake.read(put(path, hole + TEXT.encode())) == (0, 400)
    assert lake.read(put(path, hole + TEXT.encode() + b"\0" * 4096)) == (400, 0)
    assert lake.read(put(path, hole + TEXT.encode() + b"\0" * 8192 + b"more\n")) == (400, 1)
    assert lake.stream() == [*(line.encode() for line in LINES), b"more"]
    with closing(Stream(path, True, 65536, 400)) as stream:
        list(stream.pieces())
        assert stream.notes == [
            f"{len(hole) + 8192:,} NUL bytes at the start of lines were skipped"
        ]
        assert stream.digest() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_nuls_inside_a_line_stay(tmp_path: Path) -> None:
    assert read(put(tmp_path / "a", b"one\0two\nthree\0\n")) == {"": "one\0two\nthree\0\n"}


def test_line_ends_of_an_old_mac(tmp_path: Path) -> None:
    path = put(tmp_path / "a", TEXT.replace("\n", "\r").encode())
    assert read(path) == {"": TEXT}
    with closing(Stream(path, True, 65536, 400)) as stream:
        assert stream.notes == ["its lines end in CR alone"]


@given(st.binary(max_size=3000))
def test_any_bytes_are_lines_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = put(tmp_path_factory.getbasetemp() / "any", data)
    for origin in unfolded(LocalFile(path), 400):
        try:
            with closing(Stream(origin, True, 65536, 400)) as stream:
                assert all(p.data.endswith(b"\n") for p in stream.pieces())
        except UnreadableInput as error:
            assert str(error).endswith(".")


def site_of(tmp_path: Path) -> Workspace:
    (tmp_path / "in").mkdir()
    folder = make_site(
        tmp_path / "site",
        lambda t: t.replace("/var/log/squid/access.log*", str(tmp_path / "in/*")),
    )
    return open_site(folder, "test")


def night(ws: Workspace) -> dict[str, FileReport]:
    with ws.alone():
        reports = ingest.run.ingest(ws, discover(ws, None), NOW)
    return {r.path.rpartition("/")[2]: r for r in reports}


def aged(*paths: Path, seconds: int = 3600) -> None:
    for path in paths:
        os.utime(path, (NOW.timestamp() - seconds,) * 2)


def log(first: int, count: int) -> list[str]:
    return [squid_line(TODAY.timestamp() - 9e4 + n, size=n) for n in range(first, first + count)]


def test_what_lies_beside_the_logs_costs_them_nothing(tmp_path: Path) -> None:
    ws, folder = site_of(tmp_path), tmp_path / "in"
    write_lines(folder / "good.log", log(0, 50))
    put(folder / "empty.log", b"")
    put(folder / "db.sqlite", b"SQLite format 3\0" + bytes(500))
    os.mkfifo(folder / "fifo")
    (folder / "sub").mkdir()
    (folder / "dangling").symlink_to(folder / "nowhere")
    put(folder / "secret.log.gpg", b"\x85\x01\x0c\x03" + bytes(100))
    put(folder / "days.zip", zipped({"x.log": "\n".join([*log(100, 9), ""]).encode()}))
    aged(*(p for p in folder.iterdir() if p.is_file()))
    found = night(ws)
    told = {name: r.error or r.note for name, r in found.items()}
    assert {n: t.rpartition(": ")[2] if t else t for n, t in told.items()} == {
        "good.log": None,
        "empty.log": "is empty",
        "db.sqlite": "is a SQLite database, not a log.",
        "fifo": "is a FIFO, not a file; it is not read",
        "sub": "is a folder; only files are read",
        "dangling": "is a link that points at nothing.",
        "secret.log.gpg": "is encrypted (PGP).",
        "days.zip!x.log": None,
    }
    assert {n for n, r in found.items() if r.error} == {"db.sqlite", "dangling", "secret.log.gpg"}
    assert len(rows(ws)) == 59
    assert found["good.log"].as_json()["note"] is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_nobody_may_read(tmp_path: Path) -> None:
    ws = site_of(tmp_path)
    write_lines(tmp_path / "in/a.log", log(0, 5)).chmod(0)
    write_lines(tmp_path / "in/b.log", log(9, 5))
    found = night(ws)
    assert "Permission denied" in (found["a.log"].error or "")
    assert found["b.log"].counts.rows == 5


def test_a_file_rotated_away_between_listing_and_opening(tmp_path: Path) -> None:
    ws = site_of(tmp_path)
    gone = write_lines(tmp_path / "in/a.log", log(0, 5))
    write_lines(tmp_path / "in/b.log", log(9, 5))
    tasks = discover(ws, None)
    gone.unlink()
    with ws.alone():
        first, second = sorted(ingest.run.ingest(ws, tasks, NOW), key=lambda r: r.path)
    assert first.error is None and "was taken away" in (first.note or "")
    assert second.counts.rows == 5


def test_what_is_unchanged_is_not_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws, folder = site_of(tmp_path), tmp_path / "in"
    old = write_lines(folder / "a.log", log(0, 50))
    live = write_lines(folder / "b.log", log(50, 50))
    archive = put(folder / "c.zip", zipped({n: "\n".join([*log(i, 9), ""]).encode() for n, i in (("x", 200), ("y", 300))}))  # fmt: skip
    aged(old, archive)
    aged(live, seconds=20)
    first = night(ws)
    opened: list[str] = []
    real = LocalFile.open

    def noted(self: LocalFile) -> Any:
        opened.append(self.path.name)
        return real(self)

    monkeypatch.setattr(LocalFile, "open", noted)
    old.rename(folder / "a.log.1")
    again = night(ws)
    assert {*opened} == {"b.log"}, "what may still be written to is looked at"
    assert again["a.log.1"].note == again["c.zip"].note == "unchanged since it was read"
    assert again["a.log.1"].sha256 == first["a.log"].sha256
    assert (again["a.log.1"].counts.duplicate, again["c.zip"].counts.duplicate) == (50, 18)
    write_lines(folder / "a.log.1", log(0, 51))
    aged(folder / "a.log.1")
    assert night(ws)["a.log.1"].counts.rows == 1, "another size is another content"


def test_a_file_left_half_or_broken_is_looked_at_again(tmp_path: Path) -> None:
    ws, folder = site_of(tmp_path), tmp_path / "in"
    good = "\n".join([*log(0, 500), ""]).encode()
    packed = gzip.compress(good)
    path = put(folder / "a.gz", packed[:-900])
    aged(path)
    assert "stops being readable" in (night(ws)["a.gz"].error or "")
    assert night(ws)["a.gz"].error, "told again, until it is whole"
    put(path, packed)
    aged(path)
    assert not night(ws)["a.gz"].error
    assert len(rows(ws)) == 500


def test_a_note_without_its_stream_is_no_reason_to_skip(tmp_path: Path) -> None:
    ws = site_of(tmp_path)
    aged(write_lines(tmp_path / "in/a.log", log(0, 50)))
    night(ws)
    with ws.state.change() as change:
        change.execute(STREAM.delete())
    assert night(ws)["a.log"].note is None


def test_many_small_files_are_few_parts(tmp_path: Path) -> None:
    ws, folder = site_of(tmp_path), tmp_path / "in"
    for n in range(60):
        write_lines(folder / f"{n:03d}.log", log(n * 20, 20))
    write_lines(folder / "copy.log", log(0, 20))
    aged(*folder.iterdir())
    found = night(ws)
    assert sum(r.counts.rows for r in found.values()) == 1200 == len(rows(ws))
    assert found["copy.log"].counts.duplicate + found["000.log"].counts.duplicate == 20
    assert len(list((ws.folder / "lake/events").rglob("*.parquet"))) <= 2
    assert len([a for a in ws.ledger.lines() if a.act["act"] == "ingest"]) == 1
    assert {row["bytes_down"] for row in rows(ws)} == {*range(1200)}
    text = {p.name: p.read_text().splitlines() for p in folder.iterdir()}
    names = {f["id"]: Path(f["path"]).name for f in table(ws, FILE)}
    for row in rows(ws):
        assert text[names[row["file"]]][row["line"] - 1].split()[4] == str(row["bytes_down"])


def test_a_7z_or_gpg_made_by_the_real_tools(tmp_path: Path) -> None:
    """The magics are the tools' own: openssl is on every machine, gpg on most."""
    plain = put(tmp_path / "a.log", b"line\n" * 100)
    made = subprocess.run(
        ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-pass", "pass:x", "-in", str(plain)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("no openssl")
    assert "is encrypted (OpenSSL)" in read(put(tmp_path / "b", made.stdout))[""]
