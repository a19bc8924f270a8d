"""Header lines: the first line of a CSV, the directives of W3C logs and of Zeek."""

import csv
import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.arrays import codes_to_text, constant, values_of
from ingest.formats.block import HASH, RAW, Block, Given, IntArray, Parsed, Reject
from ingest.formats.columns import Split
from ingest.formats.description import Layout
from ingest.formats.lines import Lines, clean
from ingest.formats.times import MONTHS

LONGEST = 64 << 10
MOST_COLUMNS = 4096
MOST_SECTIONS = 256
FIELDS = re.compile(rb"^#\s*fields\b[:\s]?", re.IGNORECASE)
CLOCK = b"x-fairwatch-clock"
SEPARATOR = r'^"?sep=[,;|\t]"?\s*$'
"""The line before a header by which spreadsheets know the delimiter."""
IN_FORCE = (b"fields", b"date", b"separator", b"gmt-offset", CLOCK)
DAYS = (
    (re.compile(rb"(\d{4})[-/](\d\d)[-/](\d\d)"), (1, 2, 3)),
    (re.compile(rb"(\d\d)[-/]([A-Za-z]{3})[-/](\d{4})"), (3, 2, 1)),
)
W3C_NAME = re.compile(r"(?:cs|sc|sr|rs|[csrx])(?:-\S+|\(\S+\))|date|time|bytes|duration")
SAMPLED = 40
OTHERS_DIRECTIVE = "directive of another product"
LIKE_W3C = Layout(engine="delimited", header="directives", synonyms=True)


@dataclass(frozen=True)
class Header:
    """Column names in force, and what else the directives said."""

    names: dict[str, int]
    count: int
    separator: str | None = None
    trailing: bool = True
    raw: bool = False
    zone: ZoneInfo | None = None

    @property
    def dateless(self) -> bool:
        """Whether only `#Date` tells the day of a row."""
        return "time" in self.names and "date" not in self.names and self.separator is None

    def given(self, given: Given) -> Given:
        """What was given, with the zone the header says."""
        return given if self.zone is None else replace(given, zone=self.zone)

    def delimiter(self, lines: Lines, layout: Layout) -> tuple[str, bool]:
        """(delimiter, whether a run of it is one): as declared, else the one the data fits best."""
        if self.separator is not None:
            return self.separator, False
        if layout.header == "first":
            return layout.delimiter, layout.repeated
        some = lines.take(np.arange(min(SAMPLED, len(lines))))
        best, most = (("\t", False) if b"\t" in some.block.data else (" ", True)), 0
        for delimiter, repeated in ((" ", True), ("\t", False), (",", False)):
            split = Split(some, delimiter.encode(), quotes=layout.quotes, repeated=repeated)
            fits = int((split.counts == self.count).sum())
            fits = fits or int(self.count > 1 and (split.counts - self.count == 1).sum())
            if fits > most:
                best, most = (delimiter, repeated), fits
        return best


def first_line(data: bytes) -> bytes:
    """The first line that is not blank, with its newline."""
    for line in data[:LONGEST].splitlines(keepends=True):
        if line.strip() and not re.match(SEPARATOR.encode(), line.lstrip(b"\xef\xbb\xbf")):
            return line if line.endswith(b"\n") else b""
    return b""


def csv_header(lines: Lines, given: Given, layout: Layout) -> tuple[Header | None, Lines, int]:
    """The names of the first line, or the source's own; the lines without it and its repeats."""
    if given.columns:
        return _names(given.columns), lines, 0
    lines, told = _untold(lines)
    lead = given.lead.decode("utf-8", "replace").lstrip("\ufeff").strip("\r\n")
    if not lead and len(lines):
        lead = lines.block.line(0).decode("utf-8", "replace")
    if not lead:
        return None, lines, told
    lead = lead.replace("\0", "")
    names = next(csv.reader([lead], delimiter=layout.delimiter), [])
    if len(names) < 2 or len(names) > MOST_COLUMNS or any(re.fullmatch(r"[\d.:\s/-]+", n) for n in names):  # fmt: skip
        return None, lines, told
    repeats = pc.equal(lines.texts, lead).to_numpy(zero_copy_only=False)
    return _names(names), lines.take(np.flatnonzero(~repeats)), int(repeats.sum()) + told


def _untold(lines: Lines) -> tuple[Lines, int]:
    """Lines without the one that tells a spreadsheet the delimiter; how many it was."""
    if not lines.block.data[:8].lstrip(b'"').startswith(b"sep="):
        return lines, 0
    told = pc.match_substring_regex(lines.texts, SEPARATOR).to_numpy(zero_copy_only=False)
    return lines.take(np.flatnonzero(~told)), int(told.sum())


def _names(names: "list[str] | tuple[str, ...]") -> Header:
    made: dict[str, int] = {}
    for place, name in enumerate(names[:MOST_COLUMNS]):
        made.setdefault(name.strip().strip('"').lower(), place)
        made.setdefault(str(place), place)
    return Header({n: p for n, p in made.items() if not n.isdigit()}, len(names[:MOST_COLUMNS]))


def directives(lead: bytes, data: bytes) -> bytes:
    """The last `#` line of each kind; where only `#Date` tells the day, how often midnight passed."""
    known = {_kind(line): line for line in lead.splitlines(keepends=True)}
    last = 0
    at = 0 if data.startswith(b"#") else data.find(b"\n#") + 1
    while at or (not last and data.startswith(b"#")):
        end = data.find(b"\n", at) + 1 or len(data)
        if end - at <= LONGEST:
            _said(known, data[at:end])
        last = end
        at = data.find(b"\n#", end - 1) + 1
    known = {kind: line if line.endswith(b"\n") else line + b"\n" for kind, line in known.items()}
    if known.get(b"fields") and known.get(b"date"):
        _clocked(known, data[last:])
    return b"".join(known.values())


def _said(known: dict[bytes, bytes], line: bytes) -> None:
    """A directive comes into force; a new day starts counting midnights again."""
    kind = _kind(line)
    if kind == CLOCK:
        return
    if kind == b"date":
        known.pop(CLOCK, None)
    known.pop(kind, None)
    known[kind] = line
    if len(known) > 32:
        known.pop(next(iter(known)))


def _clocked(known: dict[bytes, bytes], data: bytes) -> None:
    """Keep for the next block how many midnights the rows since `#Date` have passed."""
    header = _header(*(known.get(kind, b"").strip() for kind in IN_FORCE))
    if not header.dateless:
        return
    lines = clean(Block(data[: data.rfind(b"\n") + 1]))
    if not len(lines):
        return
    rolled, hour = _midnights(lines, header, known[b"date"], known.get(CLOCK, b""))
    known[CLOCK] = b"#%s: %d %d\n" % (CLOCK, min(int(rolled[-1]), 9999), hour)


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
            key = tuple(texts.get(kind, b"") for kind in IN_FORCE)
            if key not in groups and len(groups) == MOST_SECTIONS:
                break
            groups.setdefault(key, []).append(np.arange(begin, edge))
        if edge < len(lines):
            _said(texts, block.line(edge)[:LONGEST].strip())
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
        header = _header(*key) if key[0] else _names(given.columns) if given.columns else None
        if header is None or not header.names:
            parsed.rejects += [
                Reject(int(n), "no #Fields line names its columns") for n in some.numbers
            ]
            continue
        header = _bracketed(header, some)
        found.append((header, _dated(some, header, *key[1:])))
    return found, parsed


def _header(fields: bytes, _date: bytes, separator: bytes, *_: bytes) -> Header:
    text = FIELDS.sub(b"", fields, count=1).decode("utf-8", "replace").split(" //")[0]
    if separator or fields.startswith(b"#fields\t"):
        between = _separator(separator) or "\t"
        names = text.strip("\r\n").lstrip(between).split(between)
        made = _names([n.strip() for n in names])
        return replace(made, separator=between, raw=True, zone=ZoneInfo("UTC"))
    return _names(_words(text))


def in_force(lines: Lines, given: Given) -> list[Header]:
    """The header after these lines; none where no `#Fields` line was met."""
    known = {_kind(d): d.strip() for d in directives(given.lead, lines.block.data).splitlines()}
    return [_header(*(known.get(kind, b"") for kind in IN_FORCE))] if known.get(b"fields") else []


def _words(text: str) -> list[str]:
    """Names between blanks or tabs; ISA's own hold blanks (`IP protocol`), and tabs between them."""
    words: list[str] = []
    for piece in text.split("\t") if "\t" in text.strip() else text.split():
        inner = piece.split()
        if len(inner) > 1 and not all(W3C_NAME.fullmatch(w.lower()) for w in inner):
            inner = [" ".join(inner)]
        words += inner
    return words


def _bracketed(header: Header, lines: Lines) -> Header:
    """`localtime` is written `[09/Nov/2024:10:11:12 +0100]`: two columns between blanks."""
    place = header.names.get("localtime")
    if place is None or not re.search(r"\[[^\]\s]+ [+-]\d{4}\]", lines.texts[0].as_py()):
        return header
    names = {name: at + (at > place) for name, at in header.names.items()}
    names["localtime-zone"] = place + 1
    return replace(header, names=names, count=header.count + 1)


def _separator(line: bytes) -> str:
    text = re.sub(rb"^#separator\s?", b"", line).decode("utf-8", "replace").strip("\r\n")
    match = re.fullmatch(r"\\x([0-9a-fA-F]{2})|\\(t)", text.strip())
    return ("\t" if match[2] else chr(int(match[1], 16))) if match else text[:1]


def _dated(lines: Lines, header: Header, date: bytes, _separator: bytes, offset: bytes, clock: bytes) -> Lines:  # fmt: skip
    """What only directives say of each row: `@date`, where it has a time only, and `@offset`."""
    facts = dict(lines.facts)
    # `#Date: 2021-04-16 13:51:09 EST (UTC-0400)`: the digits are right, the label is not always.
    found = re.search(rb"([+-]\d\d):?(\d\d)\b", offset) or re.search(
        rb"\(UTC([+-]\d\d):?(\d\d)\)", date
    )
    if found:
        facts["@offset"] = constant((found[1] + found[2]).decode(), len(lines))
    day = _day(date) if header.dateless else None
    if day is not None:
        rolled, _ = _midnights(lines, header, date, clock)
        last = datetime.max.toordinal()
        days = [
            datetime.fromordinal(min(day + n, last)).strftime("%Y-%m-%d")
            for n in range(int(rolled.max()) + 1)
        ]
        facts["@date"] = codes_to_text(pa.array(rolled.astype(np.int32)), days)
    return Lines(lines.block, lines.numbers, facts)


def _day(date: bytes) -> int | None:
    """The ordinal of the day a `#Date` names; None where it names none."""
    for pattern, (year, month, day) in DAYS:
        if found := pattern.search(date):
            word = found[month].decode().lower()
            number = MONTHS.index(word) + 1 if word in MONTHS else int(word) if word.isdigit() else 0  # fmt: skip
            try:
                return datetime(int(found[year]), number, int(found[day])).toordinal()
            except ValueError:
                return None
    return None


def _midnights(lines: Lines, header: Header, date: bytes, clock: bytes) -> tuple[IntArray, int]:
    """How many midnights lie between `#Date` and each row; the hour of the last row."""
    delimiter, repeated = header.delimiter(lines, LIKE_W3C)
    split = Split(lines, delimiter.encode(), names=header.names, quotes='"', repeated=repeated)
    column = split.column("time")
    before = re.search(rb": (\d{1,4}) (\d{1,2})", clock)
    begun = re.search(rb"[ T](\d\d):\d\d:\d\d", date)
    passed = int(before[1]) if before else 0
    hour = int(before[2]) if before else int(begun[1]) if begun else 0
    if column is None:
        return np.full(len(lines), passed), hour
    hours = values_of(column, _hour, pa.int64())
    hours = pc.fill_null(pc.fill_null_forward(hours), hour).to_numpy(zero_copy_only=False)
    # A log is nearly in order: half a day backwards is a midnight, a little is a late row.
    rolled = passed + np.cumsum(np.diff(hours, prepend=hour) < -12)
    return rolled, int(hours[-1])


def _hour(text: str) -> int | None:
    found = re.match(r"(\d\d?):\d\d:\d\d", text)
    return int(found[1]) if found else None
