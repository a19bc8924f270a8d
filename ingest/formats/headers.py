"""Header lines: the first line of a CSV, the directives of W3C logs and of Zeek."""

import csv
import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.compute as pc

from ingest.formats.arrays import codes_to_text
from ingest.formats.block import HASH, RAW, Given, IntArray, Parsed, Reject
from ingest.formats.description import Layout
from ingest.formats.lines import Lines

LONGEST = 64 << 10
MOST_COLUMNS = 4096
MOST_SECTIONS = 256
UTC_ZONE = ZoneInfo("UTC")
FIELDS = re.compile(rb"^#\s*fields\b[:\s]?", re.IGNORECASE)


@dataclass(frozen=True)
class Header:
    """Column names in force, and what else the directives said."""

    names: dict[str, int]
    separator: str | None = None
    trailing: bool = True
    raw: bool = False
    zone: ZoneInfo | None = None

    def given(self, given: Given) -> Given:
        """What was given, with the zone the header says."""
        return given if self.zone is None else replace(given, zone=self.zone)

    def delimiter(self, lines: Lines, layout: Layout) -> tuple[str, bool]:
        """(delimiter, whether a run of it is one): as declared, else as the data has it."""
        if self.separator is not None:
            return self.separator, False
        if layout.header == "first":
            return layout.delimiter, layout.repeated
        sample = lines.block.data[:8192]
        many = max(1, len(self.names) // 2)
        first = sample.split(b"\n", 1)[0]
        for delimiter in (b"\t", b","):
            if len(self.names) > 1 and first.count(delimiter) >= many:
                return delimiter.decode(), False
        return " ", True


def first_line(data: bytes) -> bytes:
    """The first line that is not blank, with its newline."""
    for line in data[:LONGEST].splitlines(keepends=True):
        if line.strip():
            return line if line.endswith(b"\n") else b""
    return b""


def csv_header(lines: Lines, given: Given, layout: Layout) -> tuple[Header | None, Lines, int]:
    """The names of the first line, or the source's own; the lines without it and its repeats."""
    if given.columns:
        return _names(given.columns), lines, 0
    lead = given.lead.decode("utf-8", "replace").lstrip("\ufeff").strip("\r\n")
    if not lead and len(lines):
        lead = lines.block.line(0).decode("utf-8", "replace")
    if not lead:
        return None, lines, 0
    lead = lead.replace("\0", "")
    names = next(csv.reader([lead], delimiter=layout.delimiter), [])
    if len(names) < 2 or len(names) > MOST_COLUMNS or any(re.fullmatch(r"[\d.:\s/-]+", n) for n in names):  # fmt: skip
        return None, lines, 0
    repeats = pc.equal(lines.texts, lead).to_numpy(zero_copy_only=False)
    return _names(names), lines.take(np.flatnonzero(~repeats)), int(repeats.sum())


def _names(names: "list[str] | tuple[str, ...]") -> Header:
    made: dict[str, int] = {}
    for place, name in enumerate(names[:MOST_COLUMNS]):
        made.setdefault(name.strip().strip('"').lower(), place)
        made.setdefault(str(place), place)
    return Header({n: p for n, p in made.items() if not n.isdigit()}, trailing=True)


def directives(lead: bytes, data: bytes) -> bytes:
    """The last `#` line of each kind, in the order of Fields last."""
    if not data.startswith(b"#") and b"\n#" not in data:
        return lead
    known = {_kind(line): line for line in lead.splitlines(keepends=True)}
    at = 0 if data.startswith(b"#") else data.find(b"\n#") + 1
    while at or data.startswith(b"#"):
        end = data.find(b"\n", at) + 1 or len(data)
        if end - at <= LONGEST:
            known[_kind(data[at:end])] = data[at:end]
            if len(known) > 32:
                known.pop(next(iter(known)))
        at = data.find(b"\n#", end - 1) + 1
        if not at:
            break
    return b"".join(line if line.endswith(b"\n") else line + b"\n" for line in known.values())


def _kind(line: bytes) -> bytes:
    match = re.match(rb"#\s*([A-Za-z_-]+)", line)
    return match[1].lower() if match else b""


def sections(lines: Lines, given: Given) -> tuple[list[tuple[Header, Lines]], Parsed]:
    """Data lines grouped by the directives in force; the directives themselves are ignored."""
    block = lines.block
    parsed = Parsed(RAW.empty_table())
    if not len(lines):
        return [], parsed
    marked = block.array[block.starts] == HASH
    parsed.why = Counter({"directive": int(marked.sum())}) if marked.any() else Counter()
    at = np.flatnonzero(marked)
    texts = {_kind(d): d.strip() for d in given.lead.splitlines()}
    groups: dict[tuple[bytes, ...], list[IntArray]] = {}
    edges = [*at.tolist(), len(lines)]
    begin = 0
    for edge in edges:
        if edge > begin:
            key = tuple(
                texts.get(k, b"")
                for k in (b"fields", b"date", b"separator", b"gmt-offset", b"software", b"path")
            )
            groups.setdefault(key, []).append(np.arange(begin, edge))
            if len(groups) > MOST_SECTIONS:
                break
        if edge < len(lines):
            line = block.line(edge)[:LONGEST]
            texts[_kind(line)] = line
        begin = edge + 1
    else:
        begin = len(lines)
    if begin < len(lines):
        rest = np.arange(begin, len(lines))
        rest = rest[~marked[begin:]]
        parsed.rejects += [
            Reject(int(n), "too many different headers") for n in lines.numbers[rest]
        ]
    found = []
    for key, spans in groups.items():
        some = lines.take(np.concatenate(spans))
        header = _header(*key) if key[0] else _own(given)
        if header is None or not header.names:
            parsed.rejects += [
                Reject(int(n), "no #Fields line names its columns") for n in some.numbers
            ]
            continue
        found.append((header, _dated(some, header, key[1])))
    return found, parsed


def _own(given: Given) -> Header | None:
    """The source's own columns; W3C times are UTC unless the source says otherwise."""
    return replace(_names(given.columns), zone=given.zone or UTC_ZONE) if given.columns else None


def _header(fields: bytes, _date: bytes, separator: bytes, offset: bytes, software: bytes, path: bytes) -> Header:  # fmt: skip
    text = FIELDS.sub(b"", fields, count=1).decode("utf-8", "replace").split(" //")[0]
    zone = None
    if match := re.search(rb"([+-]\d\d):?(\d\d)", offset):
        zone = ZoneInfo("UTC") if match[1] + match[2] in (b"+0000", b"-0000") else None
    if separator or fields.startswith(b"#fields"):
        between = _separator(separator) or "\t"
        names = text.strip("\r\n").lstrip(between).split(between)
        made = _names([n.strip() for n in names])
        return replace(made, separator=between, raw=True, zone=ZoneInfo("UTC"))
    words = text.split("\t") if "\t" in text.strip() and " " in text.strip() and "cs-" not in text else text.split()  # fmt: skip
    words = [w for w in words if w.strip()]
    return replace(
        _names(words), zone=zone or (None if b"isa" in software.lower() else ZoneInfo("UTC"))
    )


def _separator(line: bytes) -> str:
    text = re.sub(rb"^#separator\s?", b"", line).decode("utf-8", "replace").strip("\r\n")
    match = re.fullmatch(r"\\x([0-9a-fA-F]{2})|\\(t)", text.strip())
    return ("\t" if match[2] else chr(int(match[1], 16))) if match else text[:1]


def _dated(lines: Lines, header: Header, date: bytes) -> Lines:
    """Where rows have a time only, the day of `#Date` beside it; it rolls over at midnight."""
    if "date" in header.names or "time" not in header.names or not date:
        return lines
    found = re.search(rb"(\d{4})-(\d\d)-(\d\d)", date)
    if not found:
        return lines
    day = datetime(*(int(g) for g in found.groups()), tzinfo=UTC)  # type: ignore[misc, arg-type]
    clock = pc.extract_regex(lines.texts, pattern=r"(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)")
    hours = clock.field("h").fill_null("0").cast("int64").to_numpy(zero_copy_only=False)
    rolled = np.cumsum(np.concatenate(([0], np.diff(hours) < -12)))
    base = day.toordinal()
    days = [datetime.fromordinal(base + int(n)).strftime("%Y-%m-%d") for n in range(int(rolled.max()) + 1)] if len(lines) else []  # fmt: skip
    return Lines(
        lines.block, lines.numbers, {**lines.facts, "@date": codes_to_text(_int(rolled), days)}
    )


def _int(values: IntArray):  # type: ignore[no-untyped-def]
    import pyarrow as pa

    return pa.array(values.astype(np.int32))
