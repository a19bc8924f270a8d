"""Numbers that are clocks: seconds, milli-, micro- and nanoseconds since 1970, by what is around them.

A number alone tells nothing: 1762074000 is a Sunday, a size, or somebody's id. It is a clock where
it carries a fraction as logs write it; where a name of a clock stands before it (a JSON or XML key, a
word, `name=`) or above it (the header of a table); where it begins a line; and where it is one of at
least RUN numbers that only grow, in a column or a list. Where a name says something else it is none.
"""

import csv
import re
from collections.abc import Iterator
from datetime import date
from heapq import nsmallest
from itertools import islice, pairwise

from lake.witness.bound import EARLIEST_SECOND, EPOCH_DAY, Bound, day_of
from lake.witness.written import Found, matter

FRACTION = re.compile(rb"1(?<![\w.]1)\d{9}\.\d{3}(?:\d{3}){0,2}(?!\d)")
BARE = re.compile(rb"1(?<![\w.]1)\d{9}(?:\d{3}|\d{6}|\d{9})?(?!\d)(?!\.\d{3}(?:\d{3}){0,2}(?!\d))")
EIGHT = re.compile(rb"20(?<![\w.]20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?![\w.])")
SCALE = {10: 1, 13: 1e3, 16: 1e6, 19: 1e9}
RUN = 4
LONGEST_TABLE_LINE = 65_536
"""In a longer line no columns are counted: names and lists still tell."""

CONTEXT = 80

CLOCKS = frozenset(
    [
        "time",
        "timestamp",
        "ts",
        "date",
        "datetime",
        "epoch",
        "stamp",
        "at",
        "when",
        "start",
        "started",
        "begin",
        "began",
        "end",
        "ended",
        "stop",
        "stopped",
        "created",
        "modified",
        "updated",
        "changed",
        "seen",
        "visited",
        "received",
        "logged",
        "occurred",
        "utc",
        "unix",
        "day",
        "sec",
        "secs",
        "second",
        "seconds",
        "ms",
        "msec",
        "millis",
        "usec",
        "micros",
        "nanos",
        "ns",
        "t",
        "zeit",
        "datum",
        "uhrzeit",
    ]
)
NO_CLOCKS = frozenset(
    [
        "taken",
        "duration",
        "elapsed",
        "timeout",
        "ttl",
        "size",
        "bytes",
        "count",
        "id",
        "ids",
        "zone",
        "spent",
        "length",
        "took",
        "idle",
        "number",
        "version",
        "expires",
        "expiry",
        "expire",
        "exp",
        "until",
        "keep",
        "valid",
        "max",
        "lifetime",
        "uptime",
        "phone",
        "tel",
        "port",
    ]
)
NAME_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
NAME_BEFORE = re.compile(
    rb"([A-Za-z_@$][\w@$.-]{0,40})[\"']?\s*(?:=>|[:=])\s*(?:\[\s*)?(?:[A-Za-z]+\()?[\"']?$"
)
WORD_BEFORE = re.compile(rb"\b(at|time|timestamp|since|epoch|ts)\s+$", re.IGNORECASE)
ELEMENT_BEFORE = re.compile(rb"<([A-Za-z_][\w:.-]*)(?:\s[^<>]*)?>\s*$")
PLAIN_ELEMENTS = (b"td", b"th", b"li", b"p", b"span", b"div", b"dd", b"pre", b"code", b"b")
LINE_START = re.compile(rb"(?:^|[\n\r])(?:<\d{1,3}>\d?)?[\s\[(\"']*$")
FIRST_OF_ROW = re.compile(rb"[\[,]\s*\[\s*$")
AFTER = re.compile(rb"[\s,;|\])\"']|$")
GAPS = re.compile(rb"[\s,;|]+")
LIST = re.compile(rb"\d{8,19}(?:\s*,\s*\d{8,19}){%d,}" % (RUN - 1))


def fractions(block: bytes, bound: Bound) -> Iterator[Found]:
    """Seconds with a fraction of three, six or nine digits, as Squid and Zeek write them."""
    limit = b"%d" % _seconds(bound.limit)
    texts = set(FRACTION.findall(block))
    old = {t: bound.plausible(int(t[:10])) for t in texts if t < limit}
    if len(old) < len(texts):
        first = min(t for t in texts if t >= limit)
        old[first] = bound.plausible(int(first[:10]))
    if len(old) <= FEW:
        yield from matter(block, old, bound)
        return
    for match in FRACTION.finditer(block):
        day = old.get(match[0])
        if day:
            yield Found(day, match.start(), match.end())


FEW, OTHERS = 50, 400
"""So many distinct texts are searched for one by one; so many that are not overdue are looked at."""


def bare(block: bytes, bound: Bound) -> Iterator[Found]:
    """Numbers that could be clocks; `Columns.clock` says whether they are."""
    first, limit = EARLIEST_SECOND, _seconds(bound.limit)
    days: dict[bytes, date | None] = {}
    others: list[bytes] = []
    for text in set(BARE.findall(block)):
        seconds = int(text[:10])  # whatever the unit: the digits behind it are its fraction
        if first <= seconds < limit:
            days[text] = bound.plausible(seconds)
        elif seconds >= limit:
            others.append(text)
    days |= {t: bound.plausible(int(t[:10])) for t in nsmallest(OTHERS, others)}
    for match in BARE.finditer(block) if any(days.values()) else ():
        day = days.get(match[0])
        if day:
            yield Found(day, match.start(), match.end(), clock=False)
    eights = {t: day_of(int(t[:4]), int(t[4:6]), int(t[6:])) for t in set(EIGHT.findall(block))}
    yield from matter(block, eights, bound, clock=False)


def _seconds(day: date) -> int:
    return (day - EPOCH_DAY).days * 86_400


def is_named_clock(name: str) -> bool:
    """Whether a key or column is called as clocks are: `ts`, `eventTime`, `created_at`."""
    tokens = [t.lower() for t in NAME_PART.findall(name)]
    if not tokens or NO_CLOCKS.intersection(tokens):
        return False
    return bool(CLOCKS.intersection(tokens)) or tokens[-1].endswith(("time", "stamp", "date"))


class Columns:
    """The columns of a text that begins with a header, and which of them are clocks."""

    def __init__(self, first: bytes) -> None:
        self.separator = ""
        self.clocks: frozenset[int] = frozenset()
        line = first.split(b"\n", 1)[0].strip(b"\r\xef\xbb\xbf").decode("utf-8", "replace")
        line = re.sub(r"^#\s*fields:?\s+", "", line, flags=re.IGNORECASE)
        for separator in "\t;|,":
            names = _cells(line, separator)
            if sum(map(_is_name, names)) > 1 and all(_is_name(n) or not n for n in names):
                self.separator = separator
                self.clocks = frozenset(i for i, n in enumerate(names) if is_named_clock(n))
                return

    def clock(self, block: bytes, found: Found) -> bool:
        """Whether a number stands where clocks stand."""
        before = block[max(0, found.start - CONTEXT) : found.start]
        named = _named(before)
        if named is not None:
            return named
        line = block.rfind(b"\n", 0, found.start) + 1
        if found.start - line > LONGEST_TABLE_LINE:
            return bool(FIRST_OF_ROW.search(before)) or _in_list(block, found)
        if self.separator:
            cells = _cells(block[line : found.start].decode("utf-8", "replace"), self.separator)
            return max(0, len(cells) - 1) in self.clocks
        begins = LINE_START.search(before) or FIRST_OF_ROW.search(before)
        if begins and AFTER.match(block, found.end):
            return True
        return _in_list(block, found) or _in_column(block, line, found)


def _named(before: bytes) -> bool | None:
    """What the name right before a number says; None where there is none."""
    key = NAME_BEFORE.search(before)
    if key:
        return is_named_clock(key[1].decode("ascii", "replace"))
    if WORD_BEFORE.search(before):
        return True
    element = ELEMENT_BEFORE.search(before)
    if element and element[1].lower() not in PLAIN_ELEMENTS:
        return is_named_clock(element[1].decode("ascii", "replace"))
    return None


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line.replace("\0", "")], delimiter=separator), [])
    except csv.Error:
        return line.split(separator)


def _is_name(cell: str) -> bool:
    """A header's cell has a letter and is no address, path or number."""
    return bool(re.fullmatch(r"\s*[^\W\d_][\w .()/#%-]{0,40}\s*", cell)) and not re.search(
        r"\d{3}|/\S*/", cell
    )


def _in_list(block: bytes, found: Found) -> bool:
    """One of several numbers in a row, with nothing but commas between, that only grow."""
    start = found.start
    for match in LIST.finditer(block, max(0, start - 1000), start + 1000):
        if match.start() <= start < match.end():
            return _grows([int(n) for n in match[0].split(b",")])
    return False


def _in_column(block: bytes, line: int, found: Found) -> bool:
    """One of several lines whose same column only grows."""
    column = len(GAPS.split(block[line : found.start].lstrip())) - 1
    width = found.end - found.start
    lines = block[line : line + 4096].split(b"\n")[: 2 * RUN]
    lines = [*block[max(0, line - 4096) : line].split(b"\n")[-2 * RUN : -1], *lines]
    run: list[int] = []
    for text in lines:
        cells = [*islice(GAPS.split(text.strip()), column, column + 1)]
        cell = cells[0].strip(b"\"'[]()") if cells else b""
        run = [*run, int(cell)] if cell.isdigit() and len(cell) == width else []
        if len(run) >= RUN and _grows(run[-RUN:]):
            return True
    return False


def _grows(numbers: list[int]) -> bool:
    return numbers[0] < numbers[-1] and all(a <= b for a, b in pairwise(numbers))
