"""Every described format: its examples, alone and among others; junk of any kind is counted."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from fairwatch.check import normalised
from ingest.formats import PRODUCTS, Format, all_formats, named, recognise
from ingest.formats.block import RAW, UNSAID, Block, Given, Parsed
from ingest.streams import Piece

DATA = ROOT / "tests/data/products"
FILES = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(DATA.glob("*.yaml"))}
EXAMPLES = [(name, one) for name, file in FILES.items() for one in file["examples"]]
DESCRIBED = sorted(path.stem for path in PRODUCTS.glob("*.yaml"))


def said(file: dict[str, Any], one: dict[str, Any]) -> Given:
    """What the example's file, or the example itself, says of zone, order, year and header."""
    facts = {"timezone": "UTC", "latest": "2026-11-20T12:00:00Z", **file.get("given", {}), **one.get("given", {})}  # fmt: skip
    return Given(
        lead=facts.get("lead", "").encode(),
        zone=ZoneInfo(facts["timezone"]) if facts["timezone"] else None,
        order=facts.get("dates"),
        latest=int(datetime.fromisoformat(str(facts["latest"])).timestamp() * 1000),
        columns=tuple(facts.get("columns", ())),
    )


def raw(one: dict[str, Any]) -> bytes:
    text: str = one["line"]
    return one["latin_1"].encode("latin-1") if "latin_1" in one else text.encode()


def parse(format_: Format, lines: list[bytes], facts: Given) -> Parsed:
    return format_.parse(Block(b"".join(line + b"\n" for line in lines)), facts)


def rows_of(parsed: Parsed) -> dict[int, dict[str, Any]]:
    """Rows by line (0-based), with the names of RAW and those of `check-logs --rows`."""
    made = normalised(Piece(b"", 1, 1), parsed, keep_url=True)
    raws = parsed.rows.to_pylist()
    return {r["line"]: {**r, **m} for r, m in zip(raws, made, strict=True)}


def check(one: dict[str, Any], parsed: Parsed, line: int) -> None:
    found = rows_of(parsed)
    reasons = {r.line: r.reason for r in parsed.rejects}
    assert reasons.get(line) == one.get("reject"), reasons
    if "row" not in one:
        assert line not in found
        return
    assert line in found
    expected = {
        name: value.isoformat(timespec="milliseconds").replace("+00:00", "Z") if isinstance(value, datetime) else value
        for name, value in one["row"].items()
    }  # fmt: skip
    assert {name: found[line][name] for name in expected} == expected


@pytest.mark.parametrize(("name", "one"), EXAMPLES, ids=lambda v: v if isinstance(v, str) else v["name"])  # fmt: skip
def test_a_line_is_what_the_example_says(name: str, one: dict[str, Any]) -> None:
    file, (format_,) = FILES[name], named(name)
    facts = said(file, one)
    alone = parse(format_, [raw(one)], facts)
    assert alone.rows.schema == RAW
    check(one, alone, 0)
    if "ignored" in one:
        assert dict(alone.why) == {one["ignored"]: 1}
    good = next(o for o in file["examples"] if "row" in o and o.get("given") == one.get("given"))
    lines = [raw(good), raw(one), raw(good)]
    among = parse(format_, lines, facts)
    before = raw(good).count(b"\n") + 1
    check(one, among, before)
    check(good, among, 0)
    check(good, among, before + raw(one).count(b"\n") + 1)


@pytest.mark.parametrize("name", DESCRIBED)
def test_every_format_is_documented_and_has_examples(name: str) -> None:
    (format_,) = named(name)
    description = format_.description  # type: ignore[attr-defined]
    assert description.title and description.versions and description.documentation
    mine = FILES[name]["examples"]
    assert any("row" in one for one in mine) and any("reject" in one for one in mine)
    assert len({one["name"] for one in mine}) == len(mine)
    assert all(("row" in o) + ("ignored" in o) + ("reject" in o) == 1 for o in mine)


@pytest.mark.parametrize("name", [n for n in DESCRIBED if FILES.get(n, {}).get("detect", True)])
def test_a_file_of_its_lines_is_recognised(name: str) -> None:
    """By itself, among all formats; `detect: false` in the examples says which only a site can name."""
    file = FILES[name]
    good = [o for o in file["examples"] if "row" in o and not o.get("given")]
    facts = said(file, {})
    lead = [facts.lead.rstrip(b"\n")] if facts.lead else []
    sample = b"".join(line + b"\n" for line in [*lead, *map(raw, good)])
    found = recognise(sample, all_formats())
    assert found.format is not None and name in found.format.name.split("+"), found.reason


PIECES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b'"', b"\\", b" ", b"\t", b"|", b"=", b",", b"\r", b"\0", b"#", b"{", b"}"]),
    st.sampled_from([b"\xff", b"\xef\xbb\xbf", b'""', b"[", b"]", b"CEF:0|", b"<134>", b"-", b"1e309"]),
)  # fmt: skip


@pytest.mark.parametrize("name", DESCRIBED)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_line_of_anything_is_counted_once(name: str, data: st.DataObject) -> None:
    (format_,) = named(name)
    file = FILES[name]
    good = raw(next(o for o in file["examples"] if "row" in o))
    lines = []
    for _ in range(data.draw(st.integers(1, 5))):
        at, gone = data.draw(st.integers(0, len(good))), data.draw(st.integers(0, 6))
        piece = data.draw(PIECES)
        lines.append((good[:at] + piece + good[at + gone :]).replace(b"\n", b" "))
    lines.append(data.draw(st.binary(max_size=200)).replace(b"\n", b" "))
    block = Block(b"".join(line + b"\n" for line in lines))
    parsed = format_.parse(block, said(file, {}))
    numbers = [*parsed.rows["line"].to_pylist(), *(r.line for r in parsed.rejects)]
    assert len(set(numbers)) == len(numbers)
    assert all(0 <= n < len(lines) for n in numbers)
    total = len(numbers) + parsed.ignored
    # A quoted value may hold newlines: then a record is several lines.
    assert total == len(lines) or (total < len(lines) and format_.whole(b'a "b\n') == 0)


@pytest.mark.parametrize("name", DESCRIBED)
def test_without_a_zone_nothing_is_guessed(name: str) -> None:
    """A row without a configured zone has the same time as with any: or there is no row."""
    file, (format_,) = FILES[name], named(name)
    for one in file["examples"]:
        if "row" not in one:
            continue
        facts = said(file, one)
        bare = Given(facts.lead, None, facts.order, facts.latest, columns=facts.columns)
        far = Given(facts.lead, ZoneInfo("Asia/Tokyo"), facts.order, facts.latest, columns=facts.columns)  # fmt: skip
        without, there = parse(format_, [raw(one)], bare), parse(format_, [raw(one)], far)
        if without.rows.num_rows:
            assert without.rows["time"].to_pylist() == there.rows["time"].to_pylist()
        else:
            assert {r.reason for r in without.rejects} <= set(UNSAID)
