"""What hostile lines may cost any format: bounded time and memory, rejects, never a trace."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from test_formats import GOOD
from test_products import FILES, raw, said

from errors import BadConfiguration
from ingest.documents import Damaged, lines_of
from ingest.formats import Format, all_formats, carriers, own, recognise
from ingest.formats.block import NOTHING_SAID, Block, Given
from ingest.formats.lines import clean

WORTH = 100
"""Bytes that a line weighs at least: each costs a reject, however short it is."""

SLACK = 0.1
"""Seconds a block may cost whatever it holds: patterns are compiled."""

TIMES_GOOD, MOST = 40, 3.0
"""A hostile byte may cost this many good ones, and never more microseconds than that."""

ONES = (b"=", b'"', b",", b" ", b"|", b"{", b"[", b"<", b"%", b"(", b"7", b"\\", b":", b"'", b"\t",
        b";", b"a", b"#x", b"-", b".", b"}", b"]", b"\r", b"\xff", b"\xc3\xa4", b"\0x")  # fmt: skip


def long_lines(size: int) -> list[bytes]:
    """A line of each kind, of about so many bytes."""
    flat = [*ONES, b"a ", b"a,", b"a\t", b"a=1 ", b'a="1",', b'\\"', b'""', b"<a>", b"(3)www", b"\\x41",
            b"} ", b"}{", b'{" ', b'{"a":1}', b"[a b=\"c\"]", b"%41", b"1:", b"1.", b"::", b"//"]  # fmt: skip
    heads = [b"CEF:0|a|b|c|d|e|f|", b"CEF:0|", b"LEEF:2.0|a|b|c|d|^|", b"<13>Nov 20 11:02:32 h ",
             b"<13>1 2026-11-20T11:02:32Z h a - - ", b"2026-11-20T11:02:32Z stdout F "]  # fmt: skip
    tails = [b"a=b ", b"\\|", b"[a b=\"c\"]", b"<13>Nov 20 11:02:32 h a: ", b"x"]  # fmt: skip
    made = [piece * (size // len(piece)) for piece in flat]
    made += [head + tail * (size // len(tail)) for head in heads for tail in tails]
    count = size // 8
    made += [
        b" ".join(b"k%d=1" % n for n in range(count)),
        b"{" + b",".join(b'"%d":1' % n for n in range(count)) + b"}",
        b'{"' + b"k" * size + b'":1}',
        b'{"a":' * (size // 5),
        b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6),
        b'{"a":' * 60 + b"1" + b"}" * 60,
        b'{"records":[' + b",".join([b'{"a":1}'] * count) + b"]}",
        b'{"log":' + b"[" * size,
        b'{"message":"' + b"\\u0000" * (size // 6) + b'"}',
        b"}" + b" " * size + b"x",
        b"#Fields: " + b" ".join(b"c%d" % n for n in range(count)),
    ]
    return made


def short_lines(size: int) -> Iterator[bytes]:
    """Blocks of many lines: one byte each, every line other keys, other headers, quotes left open."""
    for one in ONES:
        yield (one + b"\n") * (size // 2)
    count = size // 20
    yield b"".join(b"k%d=%d x%d=1\n" % (n, n, n) for n in range(count))
    yield b"".join(b'{"k%d":%d}\n' % (n, n) for n in range(count))
    yield b"".join(b"#Fields: a b%d\n1 2\n" % n for n in range(count))
    yield b"".join(b"%d %d,%d|%d\n" % (n, n, n, n) for n in range(count))
    yield b'a "b c\n' * (size // 8)
    yield b'a,"b\n' * (size // 6)
    yield b'{"a":"b","c":\n' * (size // 14)


def nearly(good: list[bytes], size: int) -> Iterator[bytes]:
    """Lines that fit a pattern but for their middle or their end; and lines of which each is another."""
    for line in good[:3]:
        line = line.replace(b"\n", b" ")
        for piece in (b" ", b"1", b"a", b'"', b"\\", b"a.", b"1:", b"(", b" a=b", b",", b"|"):
            for at in (len(line) // 4, len(line) // 2, len(line) * 3 // 4, len(line)):
                yield line[:at] + piece * (size // len(piece)) + line[at:]
        yield from (line[:-1], line[: len(line) // 2], b"x" + line)
    chance = random.Random(1)
    for number in range(300):
        changed = bytearray(good[number % len(good)].replace(b"\n", b" "))
        for at, byte in enumerate(changed):
            if chance.random() < 0.1:
                kinds = (
                    b"0123456789"
                    if 48 <= byte < 58
                    else b"abcdefghij"
                    if byte > 96
                    else b'= ",|{[<%(7\\:'
                )
                changed[at] = chance.choice(kinds)
        yield bytes(changed)


def of(format_: Format) -> tuple[list[bytes], Given]:
    """Good lines of a format, and what is said of them."""
    if any(format_ is one for one in GOOD):
        return [GOOD[format_]], NOTHING_SAID
    if format_.name not in FILES:
        return [
            b"CONNECT   Nov 20 11:02:32.123 [1]: Connect (file descriptor 1): x [10.0.0.1]"
        ], NOTHING_SAID
    file = FILES[format_.name]
    good = [one for one in file["examples"] if "row" in one][:5]
    return [raw(one) for one in good], said(file, good[0])


def cost(format_: Format, data: bytes, facts: Given) -> float:
    """CPU seconds of a block; every line of it is counted once."""
    began = time.process_time()
    parsed = format_.parse(Block(data), facts)
    seconds = time.process_time() - began
    numbers = [*parsed.rows["line"].to_pylist(), *(r.line for r in parsed.rejects)]
    lines = data.count(b"\n")
    assert len(set(numbers)) == len(numbers)
    total = len(numbers) + parsed.ignored
    assert total == lines or (total < lines and format_.whole(b'a "b\n') == 0)
    return seconds


def per_good_byte(format_: Format) -> float:
    good, facts = of(format_)
    data = b"".join(line + b"\n" for line in good)
    data *= 1 + (1 << 16) // len(data)
    return min(cost(format_, data, facts) for _ in range(2)) / len(data)


def weight(data: bytes) -> int:
    return max(len(data), WORTH * data.count(b"\n"))


def check(format_: Format, data: bytes, per_byte: float, facts: Given) -> None:
    """A block costs what it may; measured again before it is blamed."""
    may = SLACK + weight(data) * min(TIMES_GOOD * per_byte, MOST / 1e6)
    seconds = cost(format_, data, facts)
    if seconds > may:
        seconds = min(seconds, cost(format_, data, facts))
    assert seconds <= may, (format_.title, data[:40], len(data), seconds, may)


FORMATS = all_formats()
NAMES = [f"{f.name} {number}" for number, f in enumerate(FORMATS)]


@pytest.mark.parametrize("format_", FORMATS, ids=NAMES)
def test_hostile_lines_cost_little_more_than_good_ones(format_: Format) -> None:
    good, facts = of(format_)
    lines = [*long_lines(6000), *nearly(good, 3000)]
    data = b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines)
    check(format_, data, per_good_byte(format_), facts)


ENGINES = ("squid", "combined", "tinyproxy", "w3c", "zeek", "csv", "csv-tab", "json-lines", "key-value", "cef",
           "leef", "fortigate", "paloalto", "check-point", "cisco-asa", "suricata", "bind", "windows-dns",
           "dnsmasq", "forcepoint", "har")  # fmt: skip
SOME = [next(f for f in FORMATS if f.name == name) for name in ENGINES]


@pytest.mark.slow
@pytest.mark.parametrize("format_", SOME, ids=ENGINES)
def test_an_eighth_of_a_megabyte_of_each_kind_costs_no_more(format_: Format) -> None:
    """Alone, and with lines as long as they may be: whatever grows with the square shows here."""
    _, facts = of(format_)
    per_byte = per_good_byte(format_)
    for line in long_lines(60_000):
        check(format_, (line + b"\n") * (1 + (1 << 17) // len(line)), per_byte, facts)
    for data in short_lines(1 << 17):
        check(format_, data, per_byte, facts)


@pytest.mark.parametrize("name", ["w3c", "zeek", "bluecoat"])
def test_more_headers_than_are_believed_count_each_line_once(name: str) -> None:
    """Every line is in one section, or rejected, never both."""
    format_ = next(f for f in FORMATS if f.name == name)
    for count in (255, 256, 257, 300):
        data = b"".join(b"#Fields: a b%d\n1 2\n" % n for n in range(count))
        cost(format_, data, NOTHING_SAID)


def test_no_carrier_takes_long_to_open() -> None:
    for line in long_lines(30_000):
        held = clean(Block(line.replace(b"\n", b" ") + b"\n"))
        for name in ("log", "message", "records[]", "value[]", "{}", "syslog", "stamp"):
            began = time.process_time()
            inside, rejects, why = carriers.opened(held, name)
            took = time.process_time() - began
            assert took < SLACK + len(line) * MOST / 1e6, (name, line[:20], took)
            assert {*inside.numbers.tolist(), *(r.line for r in rejects)} <= {0}
            assert why.total() == 0


def test_a_hostile_sample_is_soon_known_for_none() -> None:
    """Two hundred lines asked of every format, and of every carrier of them."""
    lines = [line.replace(b"\n", b" ") for line in long_lines(2000)]
    began = time.process_time()
    found = recognise(b"".join(line + b"\n" for line in lines), FORMATS)
    assert time.process_time() - began < 60
    assert found.format is None, found.reason


ENTRY = b'{"log":{"entries":[%s]}}'
DOCUMENTS = {
    "an integer too long": ENTRY % (b'{"time":' + b"7" * 300_000 + b"}"),
    "an exponent too long": ENTRY % (b'{"time":1e' + b"9" * 300_000 + b"}"),
    "half a letter": ENTRY % b'{"request":{"url":"\\ud800"}}',
    "a long key": ENTRY % (b'{"' + b"k" * 300_000 + b'":1}'),
    "deep": ENTRY % (b"[" * 300_000),
    "deep objects": b'{"log":' * 50_000,
    "many entries": ENTRY % b",".join([b"{}"] * 50_000),
    "an open text": ENTRY % (b'{"time":"' + b"\\" * 300_001),
    "many keys": ENTRY % (b"{" + b",".join(b'"k%d":1' % n for n in range(30_000)) + b"}"),
    "blanks": ENTRY % (b" " * 300_000),
    "no letters": ENTRY % b'{"time":"\xff"}',
}


class Held:
    """Bytes read like a file."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int, /) -> bytes:
        data, self.data = self.data[:size], self.data[size:]
        return data

    def close(self) -> None:
        """Nothing to let go."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_hostile_document_is_read_or_damaged(name: str) -> None:
    data = DOCUMENTS[name]
    lines, began = lines_of(b'{"log":{', Held(data), 1 << 30), time.process_time()
    held = b""
    try:
        while piece := lines.read(1 << 16):
            held += piece
    except Damaged as damage:
        assert "document" in str(damage)
    assert all(isinstance(json.loads(line), dict) for line in held.splitlines())
    assert time.process_time() - began < SLACK + len(data) * MOST / 1e6


MEMORY = """\
import resource, sys
import fairwatch
sys.path.insert(0, sys.argv[1])
from test_hostile_formats import FORMATS, long_lines, short_lines, of
from ingest.formats.block import Block
format_ = next(f for f in FORMATS if f.name == sys.argv[2])
good, facts = of(format_)
format_.parse(Block(b"".join(line + b"\\n" for line in good)), facts)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
size = 2 << 20
blocks = [*((line + b"\\n") * (size // len(line)) for line in long_lines(60_000)[::6]), *short_lines(size // 4)]
for data in blocks:
    format_.parse(Block(data), facts)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["json-lines", "csv", "fortigate"])
def test_hostile_blocks_take_bounded_memory(name: str) -> None:
    """What a block of 2 MiB may take, whatever it holds: megabytes beyond what stood there before."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(ROOT / "tests"), name],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-1500:]
    assert int(done.stdout) < 600, done.stdout


DESCRIBED = """\
title: Gate
layouts:
  - engine: pattern
    patterns: ['^(?P<t>\\S+) (?P<c>\\S+) (?P<h>\\S+)$']
    time: {from: t, as: epoch}
    fields: {client: c, host: h}
"""
MORE = "host: h"
FAULTS = {
    "look-ahead": ("^(?P<t>", "(?=x)^(?P<t>", "RE2"),
    "back-reference": (MORE, r"host: {from: h, match: '(a)\1'}", "RE2"),
    "no group": (r"'^(?P<t>\S+) (?P<c>\S+) (?P<h>\S+)$'", "x", "named group"),
    "a group without a name": ("(?P<c>", "(", "unnamed"),
    "a name twice": ("(?P<c>", "(?P<t>", "same name"),
    "too large": (r"(?P<c>\S+)", "(?P<c>(?:a{900}){900})", "RE2"),
    "two groups": (MORE, "host: {from: h, match: '(a)(b)'}", "one group"),
    "a condition": (MORE, "host: {from: h, when: {c: '~(?!x)'}}", "RE2"),
    "a marker": ("    time:", "    marker: '(?<=x)'\n    time:", "RE2"),
    "a head": ("    time:", "    head: '(a'\n    time:", "RE2"),
    "a verdict": ("    time:", "    verdict: {from: c, match: '(?=a)', words: {a: denied}}\n    time:", "RE2"),
    "an extract": ("    time:", "    extract: {c: '(?P<a>b'}\n    time:", "RE2"),
    "a record": ("    time:", "    records: [{when: {c: '~['}}]\n    time:", "RE2"),
    "no zone": ("as: epoch", "as: iso, zone: Mars/Base", "time zone"),
    "a path for a zone": ("as: epoch", "as: iso, zone: ../../etc/passwd", "time zone"),
    "no time": ("as: epoch", "as: rubbish", "write the time"),
    "a time with two years": ("as: epoch", "as: '%Y %Y %H:%M'", "write the time"),
    "no delimiter": ("engine: pattern", "engine: delimited\n    delimiter: ''", "delimiter"),
    "a header's long delimiter": ("engine: pattern", "engine: delimited\n    header: first\n    delimiter: ab", "one sign"),
    "a newline between": ("engine: pattern", 'engine: pairs\n    between: "\\n"', "between"),
    "no sign": ("engine: pattern", "engine: pairs\n    sign: ''", "sign"),
    "aliases of aliases": ("title: Gate", "title: Gate\na: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghijk", "bcdefghijkl", strict=True)), "aliases"),
    "an anchor in itself": ("title: Gate", "title: Gate\na: &a [*a]", "deeper than 50"),
    "nested without end": ("title: Gate", f"title: Gate\na: {'[' * 200_000}", "deeper than 50"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_hostile_description_is_a_fault_of_the_configuration(tmp_path: Path, fault: str) -> None:
    """When it is read, in a sentence that names the file; never when lines are."""
    old, new, told = FAULTS[fault]
    assert old in DESCRIBED
    (tmp_path / "formats").mkdir()
    (tmp_path / "formats" / "gate.yaml").write_text(DESCRIBED.replace(old, new))
    began = time.process_time()
    with pytest.raises(BadConfiguration, match=told) as raised:
        own(tmp_path)
    assert "gate.yaml" in str(raised.value)
    assert len(str(raised.value)) < 1500
    assert time.process_time() - began < 5


def test_the_description_without_a_fault_reads(tmp_path: Path) -> None:
    (tmp_path / "formats").mkdir()
    (tmp_path / "formats" / "gate.yaml").write_text(DESCRIBED)
    (format_,) = own(tmp_path)
    assert format_.parse(Block(b"1786353013 10.0.0.1 a.example\n")).rows.num_rows == 1
