"""Every line of a log becomes a row, is ignored on purpose, or is rejected with a reason."""

import gzip
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from conftest import ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st

from errors import BadConfiguration
from ingest.formats import COMPILED as FORMATS
from ingest.formats import (
    Format,
    all_formats,
    choose,
    envelopes,
    fields,
    named,
    own,
    recognise,
    times,
)
from ingest.formats.block import RAW, ZONELESS, Block, Given, Parsed, masked
from ingest.formats.kin import KIN
from ingest.formats.lines import clean
from ingest.formats.results import verdict
from ingest.formats.squid import APACHE, SQUID, SQUID_COMBINED, compiled

DATA = ROOT / "tests/data/formats"
EXAMPLES = [
    {"file": path.stem, **one}
    for path in sorted(DATA.glob("*.yaml"))
    for one in yaml.safe_load(path.read_text())
]
INSPECTED = (
    'logformat inspected %>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" '
    '"%{User-Agent}>h" %Ss:%Sh %mt %tr'
)
DEV = Path(__file__).parent.parent.parent / "shared/truth/dev/full/access.log.gz"
GOOD: dict[Format, bytes] = {
    SQUID: b"1786353013.209    161 10.20.1.12 TCP_MISS/200 1037 GET http://a.example/ ann - text/html",
    SQUID_COMBINED: b'10.20.1.22 - u013 [02/Nov/2026:00:02:13 +0000] "GET http://a.example/ HTTP/1.1"'
    b' 200 5359 "-" "a \\"b\\" c" TCP_MISS:HIER_DIRECT',
    APACHE: b'10.20.1.22 - u013 [02/Nov/2026:00:02:13 +0000] "GET http://a.example/ HTTP/1.1"'
    b' 200 5359 "-" "x"',
    KIN[
        0
    ]: b"1786353013.209    161 10.20.1.12 TCP_MISS/200 1037 GET http://a.example/ ann D/- text/html"
    b" [Host: a.example] [HTTP/1.1 200 OK]",
    KIN[
        1
    ]: b'1786353013.209    161 10.20.1.12 TCP_MISS/200 1037 GET http://a.example/ ann D/- - "-" "-"',
    KIN[
        2
    ]: b"2026-11-02T00:02:13.209    161 10.20.1.12 TCP_MISS/200 1037 GET http://a.example/ ann D/- -",
    KIN[
        3
    ]: b"02/Nov/2026:00:02:13 +0000    161 10.20.1.12 TCP_MISS/200 1037 GET http://a.example/ ann D/- -",
    KIN[4]: b"1786353013.209 10.20.1.12 - http://a.example/",
    KIN[
        5
    ]: b'10.20.1.22 - u013 [02/Nov/2026:00:02:13 +0000] "GET http://a.example/ HTTP/1.1" 200 5 M:D',
    KIN[
        6
    ]: b'10.20.1.22 - u013 [02/Nov/2026:00:02:13 +0000] "GET http://a.example/ HTTP/1.1" 200 5 "-" "-" M:D',
    KIN[
        7
    ]: b'p:80 10.20.1.22 - u013 [02/Nov/2026:00:02:13 +0000] "GET http://a.example/ HTTP/1.1" 200 5 "-" "-"',
    KIN[
        8
    ]: b'10.20.1.22 - u013 [02/Nov/2026:00:02:13 +0000] "GET http://a.example/ HTTP/1.1" 200 5',
    KIN[
        9
    ]: b"1786353013.209    161 10.20.1.12 TCP_MISS/200 1037 GET http://a.example/ ann D/- text/html"
    b' 120 "-" "-" "-" "-" "-" "-"',
    KIN[
        10
    ]: b"2026-11-02 00:02:13 161 10.20.1.12 TCP_MISS/200 1037 GET http://a.example/ ann D/- -",
    KIN[
        11
    ]: b"Mon Nov  2 00:02:13 2026 161 10.20.1.12 TCP_MISS/200 1037 GET http://a.example/ ann D/- -",
    KIN[12]: b"1786353013.209 0 10.20.1.12 TCP_MISS/200 1037 GET http://a.example/ ann D/-",
    KIN[
        13
    ]: b"1786353013.209 0 10.20.1.12 TCP_MISS/200 1037 GET http://a.example/ ann D/- - bump a.example",
    compiled(INSPECTED): b'10.20.1.22 - u013 [02/Nov/2026:00:02:13 +0000] "GET http://a.example/ '
    b'HTTP/1.1" 200 5359 "-" "x" TCP_MISS:HIER_DIRECT text/html 17320',
}


LONDON = Given(zone=ZoneInfo("Europe/London"))


def test_a_time_of_ones_own_without_a_zone_is_not_guessed() -> None:
    own = compiled("%{%Y-%m-%d %H:%M:%S}tl %>a %ru")
    line = b"2026-07-02 10:11:12 10.0.0.1 http://a.example/\n"
    assert [r.reason for r in own.parse(Block(line)).rejects] == [ZONELESS]
    (row,) = own.parse(Block(line), LONDON).rows.to_pylist()
    assert row["time"] == 1782983472000


def format_of(one: dict[str, Any]) -> Format:
    named_so = named(one["file"])
    return next((f for f in named_so if f.title == one.get("format")), named_so[0])


def raw(one: dict[str, Any]) -> bytes:
    return one["latin_1"].encode("latin-1") if "latin_1" in one else str(one["line"]).encode()


def check(one: dict[str, Any], parsed: Parsed, line: int) -> None:
    rows = {row["line"]: row for row in parsed.rows.to_pylist()}
    reasons = {reject.line: reject.reason for reject in parsed.rejects}
    assert reasons.get(line) == one.get("reject")
    if "row" not in one:
        assert line not in rows
        return
    row = rows[line]
    row["time"] = datetime.fromtimestamp(row["time"] / 1000).astimezone()
    expected = dict(one["row"])
    if "time" in expected:
        expected["time"] = datetime.fromisoformat(str(expected["time"])).astimezone()
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize("one", EXAMPLES, ids=lambda o: f"{o['file']}: {o['name']}")
@pytest.mark.parametrize("place", ["alone", "first", "last", "between"])
def test_a_line_is_what_the_example_says(one: dict[str, Any], place: str) -> None:
    """Alone, and wherever it stands among good lines, which it does not touch."""
    format_ = format_of(one)
    good = GOOD[format_]
    lines, at = {
        "alone": ([raw(one)], 0),
        "first": ([raw(one), good, good], 0),
        "last": ([good, good, raw(one)], 2),
        "between": ([good, raw(one), good], 1),
    }[place]
    parsed = format_.parse(Block(b"".join(line + b"\n" for line in lines)), LONDON)
    assert parsed.rows.schema == RAW
    assert parsed.ignored == (1 if "ignored" in one else 0)
    check(one, parsed, at)
    others = [n for n in parsed.rows["line"].to_pylist() if n != at]
    assert others == [n for n in range(len(lines)) if n != at]


@pytest.mark.parametrize("file", sorted({f.name for f in FORMATS} - {"tinyproxy"}))
def test_every_format_has_examples(file: str) -> None:
    mine = [one for one in EXAMPLES if one["file"] == file]
    for outcome in ("row", "ignored", "reject"):
        assert any(outcome in one for one in mine)
    names = [one["name"] for one in mine]
    assert len(names) == len(set(names))
    assert all(("row" in o) + ("ignored" in o) + ("reject" in o) == 1 for o in mine)


def test_all_examples_in_one_block() -> None:
    for file in {f.name for f in FORMATS} - {"tinyproxy"}:
        mine = [o for o in EXAMPLES if o["file"] == file and "format" not in o]
        format_ = named(file)[0]
        parsed = format_.parse(Block(b"".join(raw(one) + b"\n" for one in mine)))
        for line, one in enumerate(mine):
            check(one, parsed, line)
        assert parsed.ignored == sum("ignored" in one for one in mine)


def test_no_bytes_give_no_rows() -> None:
    for format_ in FORMATS:
        parsed = format_.parse(Block(b""))
        assert (parsed.rows.num_rows, parsed.rejects, parsed.ignored) == (0, [], 0)
        assert parsed.rows.schema == RAW


PIECES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b'"', b"\\", b"\\\\", b" ", b"  ", b'" "', b'"a b"', b"\r", b"\0", b"#", b"\t"]
    ),
    st.sampled_from([b"1786353013.209", b"161", b"TCP_MISS/200", b"[02/Nov/2026:00:02:13", b"-"]),
    st.sampled_from([b"+0000]", b"nan", b"0x1F", b"1e300", b"inf", b"-1", b"error:x", b"/99999"]),
    st.sampled_from([b"\xef\xbb\xbf", b"\xff"]),
)
JUNK = st.lists(PIECES, max_size=14).map(b"".join).map(lambda b: b.replace(b"\n", b" "))
MUTANTS = st.tuples(st.integers(0, 90), PIECES, st.integers(0, 4))


@st.composite
def blocks(draw: st.DrawFn, good: bytes) -> list[bytes]:
    """Lines: junk, damaged good ones, and good ones (the same object, so they are found again)."""
    lines = draw(st.lists(st.one_of(JUNK, MUTANTS, st.none()), min_size=1, max_size=8))
    made = []
    for line in lines:
        if isinstance(line, tuple):
            at, piece, gone = line
            made.append((good[:at] + piece + good[at + gone :]).replace(b"\n", b" "))
        else:
            made.append(good if line is None else line)
    return made


ALONE: dict[Format, dict[str, Any]] = {}


def alone(format_: Format) -> dict[str, Any]:
    """The row of a format's good line, without the line's number; read once."""
    if format_ not in ALONE:
        parsed = format_.parse(Block(GOOD[format_] + b"\n"), LONDON)
        (ALONE[format_],) = parsed.rows.drop_columns(["line"]).to_pylist()
    return ALONE[format_]


@pytest.mark.parametrize("format_", GOOD, ids=lambda f: f.title)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_good_lines_among_junk_are_read_and_every_line_is_counted(
    format_: Format, data: st.DataObject
) -> None:
    good = GOOD[format_]
    lines = data.draw(blocks(good))
    parsed = format_.parse(Block(b"".join(line + b"\n" for line in lines)), LONDON)
    numbers = parsed.rows["line"].to_pylist()
    said = [reject.line for reject in parsed.rejects]
    assert len(numbers) + len(said) + parsed.ignored == len(lines)
    assert len({*numbers, *said}) == len(numbers) + len(said), "no line twice"
    rows = {row.pop("line"): row for row in parsed.rows.to_pylist()}
    for number, line in enumerate(lines):
        if line is good:
            assert rows[number] == alone(format_)


@pytest.mark.parametrize("format_", FORMATS, ids=lambda f: f.title)
@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
@example(b'\\"' * 100)
@example(b"\\" * 200 + b'"')
@example(b"\xef\xbb\xbf")
@example(b'"\n"')
def test_any_bytes_are_counted_line_by_line(format_: Format, data: bytes) -> None:
    data += b"\n"
    parsed = format_.parse(Block(data))
    counted = parsed.rows.num_rows + len(parsed.rejects) + parsed.ignored
    assert counted == data.count(b"\n")


@settings(max_examples=200, deadline=None)
@given(blocks(GOOD[SQUID]))
@example([b"nan" + GOOD[SQUID][14:], b"1786353013." + GOOD[SQUID][14:]])
@example([b"nan" + GOOD[SQUID][14:], b"1.786353013e9" + GOOD[SQUID][14:]])
@example([b"nan" + GOOD[SQUID][14:], b".5" + GOOD[SQUID][14:], b"-.5" + GOOD[SQUID][14:]])
@example([b"nan" + GOOD[SQUID][14:], GOOD[SQUID].replace(b"   161", b" " * 30 + b"161")])
@example([GOOD[SQUID].replace(b"   161", b"-0x1F"), GOOD[SQUID].replace(b"1037", b"0X1f")])
@example([GOOD[SQUID].replace(b"   161", b"     -"), GOOD[SQUID].replace(b"1037", b"+5")])
@example([b"\xef\xbb\xbf" + GOOD[SQUID], b"\xef\xbb\xbf\xef\xbb\xbf" + GOOD[SQUID]])
def test_what_becomes_of_a_line_does_not_depend_on_its_neighbours(lines: list[bytes]) -> None:
    together = SQUID.parse(Block(b"".join(line + b"\n" for line in lines)))
    rows = {row.pop("line"): row for row in together.rows.to_pylist()}
    reasons = {reject.line: reject.reason for reject in together.rejects}
    for number, line in enumerate(lines):
        alone = SQUID.parse(Block(line + b"\n"))
        found = alone.rows.drop_columns(["line"]).to_pylist()
        assert found == ([rows[number]] if number in rows else [])
        assert [r.reason for r in alone.rejects] == ([reasons[number]] if number in reasons else [])


def test_the_labelled_log_is_read_to_the_last_line() -> None:
    if not DEV.exists():
        pytest.skip("the labelled logs are not on this machine")
    data = gzip.decompress(DEV.read_bytes())
    parsed = compiled(INSPECTED).parse(Block(data))
    assert parsed.rows.num_rows == data.count(b"\n")
    assert parsed.rows["line"].to_pylist() == list(range(parsed.rows.num_rows))
    for name in ("time", "client", "method", "url", "verdict", "duration_ms", "bytes_down"):
        assert parsed.rows[name].null_count == 0
    last = data.splitlines()[-1].split()
    (row,) = parsed.rows.slice(parsed.rows.num_rows - 1).to_pylist()
    assert row["duration_ms"] == int(last[-1])
    assert row["url"].encode() == last[6]
    assert set(pc.unique(parsed.rows["verdict"]).to_pylist()) <= {"allowed", "error", "denied"}


CUSTOM: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "columns before the padded one": (
        "%>a %6tr %ts.%03tu %ru %>Hs",
        b"10.0.0.1     12 1786353013.209 http://a.example/ 200",
        {"client": "10.0.0.1", "duration_ms": 12, "time": 1786353013209, "status": 200},
    ),
    "whole seconds": (
        "%ts %>a %un %rm %ru %>Hs",
        b"1786353013 10.0.0.1 ann GET http://a.example/ 200",
        {"time": 1786353013000, "user": "ann", "verdict": "allowed", "bytes_down": None},
    ),
    "bytes of both ways": (
        "%ts.%03tu %>a %ru %<st %>st",
        b"1786353013.209 10.0.0.1 http://a.example/ 500 70",
        {"bytes_down": 500, "bytes_up": 70, "verdict": "unknown"},
    ),
    "padded to the left is plain": (
        "%ts.%03tu %-6tr %>a %ru",
        b"1786353013.209 12 10.0.0.1 http://a.example/",
        {"duration_ms": 12},
    ),
    "a time of one's own, URL in pieces": (
        '[%{%d/%b/%Y:%H:%M:%S %z}tl] %tr %>a %>Hs %Ss %<st %>st %rm %>rs %>rd %>rp %un "%{User-Agent}>h"',
        b'[25/Feb/2022:18:46:34 +0000] 62 10.0.0.1 200 NONE 214 0 GET http www.example.org /a%20b - "M (X)"',
        {
            "time": 1645814794000,
            "url": "http://www.example.org/a%20b",
            "user": None,
            "bytes_down": 214,
            "user_agent": "M (X)",
        },
    ),
    "bars between, a tunnel by the name of its hello": (
        "%{%s}tg|%>a|%un|%rm|%ru|%>Hs|%ssl::>sni|%ssl::bump_mode|%err_code/%err_detail|%tr",
        b"1786353013|10.0.0.1|CN=Ann B,O=x|CONNECT|203.0.113.9:443|200|www.example.org|splice|-/-|12",
        {
            "time": 1786353013000,
            "user": "CN=Ann B,O=x",
            "url": "www.example.org:443",
            "duration_ms": 12,
        },
    ),
    "the client behind another proxy, a name from several sources": (
        "%ts.%03tu %6tr %{X-Forwarded-For}>h %Ss/%03>Hs %<st %rm %ru %ul %ui %us %ue",
        b"1786353013.209    161 192.0.2.7,%20198.51.100.1 TCP_MISS/200 1037 GET http://a.example/ - - - EXAMPLE%5Cann",
        {"client": "192.0.2.7", "user": "EXAMPLE\\ann"},
    ),
    "codes that say nothing of a request": (
        "%{%F %T}tg.%03tu %>eui %>a %note{tag} %adapt::sum_trs %icap::tt %un %et %ru %tS %sn %%",
        b"2026-05-02 10:11:12.345 00:11:22:33:44:55 10.0.0.1 - - - ann - http://a.example/ 1786353013 1 %",
        {"time": 1777716672345, "client": "10.0.0.1", "user": "ann"},
    ),
    "namespaces": (
        "%ts.%03tu %>a %ru %http::>h",
        b"1786353013.209 10.0.0.1 http://a.example/ -",
        {"client": "10.0.0.1"},
    ),
}


BAD_PATTERNS = {
    "patterns: ['(?P<a>x)(?=look ahead)']": "RE2",
    "patterns: ['(unnamed)']": "named group",
    "marker: '('": "RE2",
    "records: [{when: {a: '~(?<!x)'}}]": "RE2",
    "extract: {a: 'b'}": "named group",
}


@pytest.mark.parametrize(("line", "told"), BAD_PATTERNS.items())
def test_a_pattern_that_cannot_be_is_refused_when_it_is_read(
    tmp_path: Path, line: str, told: str
) -> None:
    """Not at night, in the middle of a file."""
    (tmp_path / "formats").mkdir()
    text = f"title: x\nlayouts:\n  - engine: json\n    time: {{from: t}}\n    {line}\n"
    (tmp_path / "formats/mine.yaml").write_text(text)
    with pytest.raises(BadConfiguration, match=told):
        own(tmp_path)


@pytest.mark.parametrize("name", CUSTOM)
def test_a_logformat_of_ones_own(name: str) -> None:
    logformat, line, expected = CUSTOM[name]
    parsed = compiled(logformat).parse(Block(line + b"\n"), Given(zone=ZoneInfo("Europe/London")))
    assert not parsed.rejects
    (row,) = parsed.rows.to_pylist()
    assert {key: row[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("logformat", "missing"),
    [
        ("%ts %>a", "%ru"),
        ("%ts %ru", "%>a"),
        ("%>a %ru", "%ts"),
        ("", "%ru"),
        ("plain text", "%ru"),
    ],
)
def test_a_logformat_that_cannot_give_rows(logformat: str, missing: str) -> None:
    with pytest.raises(BadConfiguration, match=f"logformat: found no {missing}"):
        compiled(logformat)


def test_recognising() -> None:
    for format_, good in GOOD.items():
        found = recognise(good + b"\n" + good, [format_])
        assert found.format is format_
        assert found.confidence == 1
    for good, title in ((GOOD[SQUID], SQUID.title), (GOOD[APACHE], APACHE.title)):
        found = recognise((good + b"\n") * 3 + b"junk\n", choose("auto", None))
        assert found.format and found.format.title == title
        assert found.confidence == 0.75
        assert found.reason.startswith("3 of the first 4 lines fit")
    assert recognise(b"junk\n" * 9, FORMATS).format is None
    assert recognise(b"", FORMATS).reason == "it holds no line"
    with pytest.raises(BadConfiguration, match="found 'nginx'; expected auto or one of"):
        named("nginx")


@pytest.mark.parametrize(
    "head",
    [
        "<166>Nov 19 10:11:12 fw.example.org (squid-1)[6802]: ",
        "<166>Nov 19 10:11:12 UTC: squid: ",
        '<166>1 2026-11-19T10:11:12Z fw.example.org squid 6802 - [meta sequenceId="1"] ',
        "115 <166>1 2026-11-19T10:11:12Z fw.example.org squid 6802 - - ",
    ],
)
def test_what_stands_round_a_line(head: str) -> None:
    """A forwarded log: a tag in brackets, a zone said, registered structured data, an octet count."""
    line = (
        head.encode()
        + b"1795083072.253    325 10.1.1.7 TCP_MISS/200 2912 GET https://www.example.org/a - HIER_DIRECT/203.0.113.9 -\n"
    )
    found = recognise(line * 3, all_formats())
    assert found.format is not None, found.reason
    parsed = found.format.parse(Block(line))
    assert parsed.rows["url"].to_pylist() == ["https://www.example.org/a"]


def test_a_rare_header_among_others_is_a_header() -> None:
    common = b"<134>Nov 19 10:11:12 fw a,b\n"
    lines = [common] * 600
    lines[301] = b"<134>1 2026-11-19T10:11:12Z fw app 1 - - a,b\n"
    found = envelopes.syslog(clean(Block(b"".join(lines))))
    assert set(found.texts.to_pylist()) == {"a,b"}


def test_a_zone_beside_some_times_only() -> None:
    """Rows without a zone, or without a time, stay rows of their own."""
    texts = pa.array(["2026-11-19 10:11:12", None, "2026-11-19 10:11:13"]).dictionary_encode()
    zones = pa.array(["+0100", None, None]).dictionary_encode()
    glued = fields._glued([texts, zones], skip=True)
    assert len(glued) == 3
    found = times.parse(glued, ("%Y-%m-%d %H:%M:%S%z",), Given(b"", ZoneInfo("UTC")))
    assert found.ms.to_pylist() == [1795079472000, None, 1795083073000]


@pytest.mark.parametrize(
    ("result", "status", "expected"),
    [
        ("TCP_DENIED", "407", "auth"),
        ("TCP_DENIED", "403", "denied"),
        ("TCP_MISS", "407", "auth"),
        ("TCP_MISS", "404", "allowed"),
        ("NONE_NONE_ABORTED", "000", "error"),
        ("NONE", "400", "error"),
        (None, "302", "allowed"),
        (None, "403", "unknown"),
        (None, None, "unknown"),
    ],
)
def test_verdicts(result: str | None, status: str | None, expected: str) -> None:
    assert verdict(result, status) == expected


@given(st.binary(max_size=400))
def test_a_shape_says_nothing(line: bytes) -> None:
    shape = masked(line)
    assert len(shape) <= 161
    assert not {c for c in shape if c.isalnum()} - {"a", "9"}


def test_a_shape_still_shows_the_form() -> None:
    assert masked(b"1786.2 ann GET http://a.b/?q=Z\xc3\xbc\0") == "9999.9 aaa aaa aaaa://a.a/?a=aa?"
