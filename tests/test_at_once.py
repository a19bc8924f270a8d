"""What is looked for in many lines at once is what would be found one by one."""

import re
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats import urls
from ingest.formats.alike import Alike, Signs, pairs
from ingest.formats.bits import Bits
from ingest.formats.block import Block, beside
from ingest.formats.lines import clean
from ingest.formats.marking import led_by_newline, marked
from ingest.formats.objects import Objects
from ingest.formats.pairs import Pairs, Syntax
from ingest.formats.quotes import Quoted, at, lines_of
from ingest.formats.slashes import SCHEME, Slashed
from ingest.formats.words import next_byte

ORDERS = (
    ("a", "bb", "user", "srcintfrole"),
    ("a", "user", "bb"),
    ("x", "averyveryverylongkey", "x"),
)
VALUES = ("x", "", '"q"', '"q r"', '"a=b c=d"', "1=2", '"\\"e"', '"\\\\"', "a,b", "[z=1", "(k=v", '" k=9 "', "é", 'x"y"', 'x"y z=1"')  # fmt: skip
LINE = st.builds(
    lambda lead, keys, values: (
        lead + " ".join(f"{k}={v}" for k, v in zip(keys, values, strict=False))
    ),
    st.sampled_from(("", "", "", "<13>fw ", "k= ")),
    st.sampled_from((ORDERS[0], ORDERS[0], *ORDERS)),
    st.lists(st.sampled_from(VALUES), min_size=4, max_size=4),
)
NAMES = ("a", "user", "src_user", "a_name_of_many_letters", "another_name_of_many_letters")
URL = st.one_of(
    st.text("a:/?#@.é1", max_size=24),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(("http://", "https://", "HTTP://", "//", "ftp+x://", "7z://", "averylongscheme://", "")),
        st.sampled_from(("a.example", "a.example:443", "u@[::1]:8", "")),
        st.sampled_from(("", "/", "/p/q?r=//s#t", "?q", "#f")),
    ),
)  # fmt: skip


@given(st.lists(st.one_of(LINE, st.just("no pairs")), min_size=1, max_size=40))
def test_pairs_of_lines_alike(lines: list[str]) -> None:
    block = clean(Block("".join(f"{line}\n" for line in lines).encode()))
    signs, one_by_one = Signs(block, Syntax()), Pairs(block, Syntax())
    if signs.odd:
        return
    alike = Alike(block, Syntax(), signs)
    assert alike.keys() == one_by_one.keys()
    for key in alike.keys() | {"nokey"}:
        mine, theirs = alike.column(key), one_by_one.column(key)
        assert (mine and mine.to_pylist()) == (theirs and theirs.to_pylist()), key
    before = alike.column("@before")
    assert before is None or [b or "" for b in before.to_pylist()] == one_by_one.column("@before").to_pylist()  # type: ignore[union-attr]  # fmt: skip


@given(st.text('a"', max_size=300), st.integers(1, 70), st.data())
def test_bits_are_what_a_loop_over_bytes_finds(text: str, step: int, data: st.DataObject) -> None:
    array = np.frombuffer((text * step).encode() or b"a", np.uint8)
    marked, found = (array == ord('"')).tolist(), Bits.of(array, ord('"'))
    places = np.array([n for n, mark in enumerate(marked) if mark], np.int32)
    asked = np.array(sorted(data.draw(st.sets(st.integers(0, len(marked) - 1), min_size=1))))
    counts = np.cumsum([0, *marked])
    assert found.places().tolist() == places.tolist()
    assert found.at(asked).tolist() == [marked[n] for n in asked]
    assert found.before(asked).tolist() == counts[asked].tolist()
    assert found.enclosed().at(asked).tolist() == [counts[n + 1] % 2 == 1 for n in asked]
    assert found.following().places().tolist() == [n + 1 for n in places if n + 1 < len(marked)]
    assert found.cleared(places[::2]).places().tolist() == places[1::2].tolist()
    assert found.without(found.cleared(places[::2])).places().tolist() == places[::2].tolist()
    assert found.both(found.following()).places().tolist() == [
        n for n in places if n and marked[n - 1]
    ]


@given(
    st.lists(st.lists(st.sampled_from(NAMES), max_size=4, unique=True), min_size=1, max_size=30),
    st.sampled_from(('"x"', '"a\\":b"', "7", '{"in":"x"}', '"', "")),
)
def test_a_name_only_some_objects_have_is_found(objects: list[list[str]], value: str) -> None:
    lines = ["{" + ",".join(f'"{name}":{value}' for name in names) + "}" for names in objects]
    with patch("ingest.formats.objects.SAMPLE", 2):
        found = Objects(clean(Block("".join(f"{line}\n" for line in lines).encode()))).keys()
    every = {name for names in objects for name in names}
    nested = {f"{name}.in" for name in every}
    expected = nested if value.startswith("{") else set() if value in ('"', "") else every
    assert found == expected


def test_a_block_shorter_than_a_word_of_the_processor() -> None:
    for text in ('"":\n', '{"a":}\n', "=\n", "\n"):
        assert Objects(clean(Block(text.encode()))).keys() == set()
        assert pairs(clean(Block(text.encode())), Syntax()).column("a") is None


def test_a_line_of_many_pairs_costs_no_more_than_others() -> None:
    long = " ".join(f"k{n}=1" for n in range(200_000))
    lines = clean(Block((f"{long}\n" + "a=1 b=2\n" * 100).encode()))
    made = pairs(lines, Syntax())
    assert isinstance(made, Alike) and made.left.tolist() == [0]
    last, other = made.column("k199999"), made.column("b")
    assert last is not None and last.to_pylist() == ["1", *[None] * 100]
    assert other is not None and other.to_pylist() == [None, *["2"] * 100]


WORD = st.one_of(st.none(), st.sampled_from(("", "http", "HTTPS", "80", "443", "8080", "0", "x")))
HOST = st.one_of(st.none(), st.sampled_from(("", "a.example", "A", "a:81", "::1", "[::1]", "a b")))


@given(st.lists(st.tuples(WORD, HOST, WORD), min_size=1, max_size=30))
def test_places_of_urls(rows: list[tuple[str | None, str | None, str | None]]) -> None:
    columns = [pa.array(c, pa.string()).dictionary_encode() for c in zip(*rows, strict=True)]
    before, authority = urls._places(*columns)
    own = [urls.authority_of(*row) for row in rows]
    assert authority.to_pylist() == own
    roots = [urls.root_of(row[0], place) for row, place in zip(rows, own, strict=True)]
    made = pc.binary_join_element_wise(before, authority, "").to_pylist()
    assert made == roots


@given(st.lists(st.one_of(st.none(), URL), max_size=30))
def test_urls_cut_at_their_slashes(some: list[str | None]) -> None:
    cut = Slashed(pa.array(some, pa.string()))
    texts = [url or "" for url in some]
    schemed = [re.match(SCHEME, text) for text in texts]
    assert cut.schemed.tolist() == [bool(found) for found in schemed]
    assert cut.page.tolist() == [bool(re.match("[^/]{0,10}//", text)) for text in texts]
    rest = [text[found.end() if found else 0 :] for text, found in zip(texts, schemed, strict=True)]
    assert cut.authorities().to_pylist() == [re.split("[/?#]", text)[0] for text in rest]
    rows = np.flatnonzero(cut.schemed)
    after = ["/" + rest[row].partition("/")[2] for row in rows]
    assert cut.paths(rows).to_pylist() == after


@given(st.binary(min_size=1, max_size=120), st.data())
def test_the_next_byte(data: bytes, draw: st.DataObject) -> None:
    at_ = draw.draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=20))
    byte = draw.draw(st.sampled_from(sorted(data)))
    found = next_byte(np.frombuffer(data, np.uint8), np.array(at_), byte)
    assert found.tolist() == [data.find(byte, n) % (len(data) + 1) for n in at_]


@given(st.text("0xX a\n", max_size=60), st.sampled_from((b"0x", b" 0", b"aa")))
def test_two_bytes_side_by_side(text: str, pair: bytes) -> None:
    data = text.encode()
    found = sorted(n for some in beside(np.frombuffer(data, np.uint8), pair) for n in some.tolist())
    assert found == [m.start() for m in re.finditer(b"(?=" + pair + b")", data)]


@given(st.lists(st.text('",a', max_size=12), min_size=1, max_size=12))
def test_delimiters_outside_quotes(lines: list[str]) -> None:
    block = Block("".join(f"{line}\n" for line in lines).encode())
    quoted, commas = Quoted(block, ord('"'), escapes=False), at(block, ord(","))
    inside = quoted.inside(commas, lines_of(block, commas))
    assert quoted.outside(commas).tolist() == commas[~inside].tolist()


MARKERS = (
    "a=b", "^a", "(?i)^A", "^a|b", "(?:^|[ >])a", "(?:^| )a=", "(?:^|[^b])a", r"(?:^|\s)a", "(?:^|,)b$",
    "^[^b]*a", "^ *a", "^$", "^(?:a|b)", "a$", r"\^a", "(?:^|[ >])(?:a|b)=.*b",
)  # fmt: skip


@given(
    st.lists(st.text(" ab=>,^é\n", max_size=6), min_size=1, max_size=8), st.sampled_from(MARKERS)
)
def test_marked_lines_are_those_the_pattern_is_found_in(texts: list[str], marker: str) -> None:
    block = Block("".join(f"{text}\n" for text in texts).encode())
    wanted = [bool(re.search(marker, line)) for line in "\n".join(texts).split("\n")]
    assert marked(clean(block), marker).tolist() == wanted


def test_markers_that_begin_with_a_line_are_tried_from_its_newline_on() -> None:
    assert [m for m in MARKERS if led_by_newline(m)] == [
        "^a", "(?i)^A", "(?:^|[ >])a", "(?:^| )a=", "(?:^|,)b$", "^[^b]*a", "^ *a", "^$", "^(?:a|b)", "(?:^|[ >])(?:a|b)=.*b",
    ]  # fmt: skip
