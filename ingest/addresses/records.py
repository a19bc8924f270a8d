"""What a feed of addresses says, its times as instants, and the count of what it does not say."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from config.people import is_address, plain_address
from config.settings import Evidence

FOREVER = 1 << 45
"""Milliseconds since 1970 that no log reaches."""

MOST_OPEN = 1_000_000
"""Leases or sessions of one file that a reader remembers until it knows their end."""

HOURS_8 = 8 * 3600
MAC = re.compile(r"(?:[0-9a-f]{1,2}[:-]){5}[0-9a-f]{1,2}")
LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class Lease:
    """An address in the hands of a device (any of its keys) from `start` until `end` (ms)."""

    address: str
    start: int
    end: int
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A login on an address, a network or a device key from `start` until `end` (ms).

    `assumed`: nothing said when it ended, so that it also ends where the address changes hands.
    `static`: written by hand, not seen.
    """

    place: str
    start: int
    end: int
    user: str
    assumed: bool = False
    static: bool = False


Record = Lease | Use
Line = tuple[int, str]
"""A line's number (from 1) and its text."""


class Broken(Exception):
    """A record that says nothing usable; the reason never holds the record's text."""


class TooMuch(Exception):
    """A feed holds more than a run can hold."""


def bounded(kept: dict[Any, Any]) -> None:
    """Refuse what a reader would have to remember beyond measure; raises TooMuch."""
    if len(kept) > MOST_OPEN:
        raise TooMuch(f"more than {MOST_OPEN:,} open at once")


@dataclass
class Tally:
    """What was read of one feed: broken records are counted by reason."""

    name: str
    kind: str
    files: int = 0
    lines: int = 0
    records: int = 0
    ignored: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Feed:
    """A feed being read: how it was set up, the zone of days, and where its counts go."""

    setup: Evidence
    zone: ZoneInfo
    tally: Tally

    @property
    def lifetime(self) -> int:
        """How long a line without an end holds, in milliseconds."""
        return (self.setup.lifetime or HOURS_8) * 1000

    def instant(self, naive: datetime, *, ends: bool = False) -> int:
        """A local time of the feed's zone in ms.

        In the hour that happens twice a beginning is the later and an end the earlier of the two:
        nothing is claimed that is not sure.
        """
        folds = (naive.replace(tzinfo=self.zone, fold=f) for f in (0, 1))
        both = [ms(t) for t in folds]
        return min(both) if ends else max(both)


def ms(moment: datetime) -> int:
    """An aware time in milliseconds; raises Broken at the ends of the calendar."""
    try:
        return int(moment.timestamp() * 1000)
    except OverflowError:
        raise Broken("a time that is none") from None


def utc(text: str, form: str) -> int:
    """A UTC time in milliseconds; raises Broken."""
    try:
        return ms(datetime.strptime(text, form).replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise Broken("a time that is none") from None


def seconds(text: str) -> int:
    """Seconds since 1970, or of a length, in milliseconds; raises Broken."""
    if not re.fullmatch(r"\d{1,11}", text.strip()):
        raise Broken("a number of seconds that is none")
    return min(int(text) * 1000, FOREVER)


@lru_cache(1 << 16)
def address(text: str) -> str:
    """An address as it compares; raises Broken."""
    text = text.strip().strip('"')
    if len(text) > 60 or not is_address(text.partition("%")[0].strip("[]")):
        raise Broken("an address that is none")
    return plain_address(text)


@lru_cache(1 << 16)
def device(mac: str = "", host: str = "", duid: str = "") -> tuple[str, ...]:
    """The keys of a device: hardware address, host name in full and short, DHCPv6 identifier."""
    keys = []
    plain = mac.strip().lower()
    if re.fullmatch(r"[0-9a-f]{12}", plain):
        plain = ":".join(plain[i : i + 2] for i in range(0, 12, 2))
    if MAC.fullmatch(plain):
        keys.append("mac:" + ":".join(p.zfill(2) for p in re.split("[:-]", plain)))
    identifier = re.sub(r"[^0-9a-f]", "", duid.lower())
    if len(identifier) >= 12:
        keys.append(f"duid:{identifier[:260]}")
    name = host.strip().strip(".").lower()[:LONGEST_NAME]
    if name and name not in ("*", "-"):
        keys.append(f"host:{name}")
        if "." in name and not is_address(name):
            keys.append(f"host:{name.partition('.')[0]}")
    return tuple(keys)


def rows(
    lines: Iterable[Line],
    feed: Feed,
    wanted: Mapping[str, tuple[str, ...]],
    needed: tuple[str, ...],
) -> Iterator[dict[str, str]]:
    """Rows of a CSV by our names for its columns; `wanted` has the names they go by elsewhere.

    The header is the first line that names all `needed` columns. Commas, semicolons and tabs
    separate. A row that is no CSV is counted.
    """
    source = iter(lines)
    header, delimiter = _find_header(source, feed, wanted, needed)
    reader = csv.reader((text + "\n" for _, text in source), delimiter=delimiter)
    while header:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            feed.tally.broken["not CSV"] += 1
            continue
        if cells:
            found: dict[str, str] = {}
            for name, cell in zip(header, cells, strict=False):
                if name and not found.get(name):
                    found[name] = cell.strip()
            yield found


def _find_header(
    source: Iterator[Line],
    feed: Feed,
    wanted: Mapping[str, tuple[str, ...]],
    needed: tuple[str, ...],
) -> tuple[list[str], str]:
    for _, text in source:
        delimiter = max(",;\t", key=text.count)
        try:
            cells = [_header(c) for c in next(csv.reader([text], delimiter=delimiter), [])]
        except csv.Error:
            cells = []
        named = [next((n for n, also in wanted.items() if c in also), "") for c in cells]
        if all(n in named for n in needed):
            return named, delimiter
        feed.tally.ignored += 1
    feed.tally.problems.append(f"no line names the columns {', '.join(needed)}")
    return [], ","


def _header(cell: str) -> str:
    return re.sub(r"[^a-z0-9]", "", cell.lower())
