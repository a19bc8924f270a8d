"""The feeds of `identity`: files of leases, sessions and logons, read once into who was where."""

import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from config.settings import Evidence, Settings
from ingest.addresses import READERS
from ingest.addresses.records import Feed, Lease, Line, Tally, TooMuch, bounded
from ingest.leases import Leases
from ingest.matching import matching, unlisted

LONGEST_LINE = 1 << 16
LARGEST_FEED = 4 << 30
"""Bytes of one feed, uncompressed; more than a year of logons of ten thousand people has."""


class Unusable(Exception):
    """A file of a feed could not be read to its end: who else was there is not known."""


REWRITTEN = frozenset(("isc-dhcp",))
"""Kinds whose newer file corrects the older: `dhcpd.leases~` still gives a lease that was released
since to its device, to the end it would have had."""


def read_leases(folder: Path, settings: Settings, oldest: int) -> Leases:
    """Read every feed of `identity`; records that ended before `oldest` (ms) are left out.

    What cannot be read is counted in `tallies`. More than a run can hold makes all of it useless
    (`failed`: feed and reason), for an owner left out could make another one look alone.
    """
    leases = Leases()
    for setup in settings.identity:
        tally = Tally(setup.name, setup.kind)
        leases.tallies.append(tally)
        feed = Feed(setup, ZoneInfo(setup.timezone or settings.organisation.timezone), tally)
        try:
            _read_feed(leases, folder, feed, oldest)
        except (TooMuch, Unusable) as why:
            told = f"{why}: no address is taken for anybody's in this run"
            tally.problems.append(told)
            leases.failed.append((setup.name, told))
    return leases


def _read_feed(leases: Leases, folder: Path, feed: Feed, oldest: int) -> None:
    setup: Evidence = feed.setup
    found = _files(folder, setup.paths)
    if not found:
        feed.tally.problems.append(f"no file matches {', '.join(setup.paths)}")
    budget = LARGEST_FEED
    ends: dict[tuple[str, tuple[str, ...], int], int] = {}
    for path in map(Path, found):
        if not path.is_file():
            continue
        feed.tally.files += 1
        lines = _Lines(path, budget, feed.tally)
        try:
            for record in READERS[setup.kind](lines.read(), feed):
                feed.tally.records += 1
                if isinstance(record, Lease) and setup.kind in REWRITTEN:
                    ends[record.address, record.devices, record.start] = record.end
                    bounded(ends)
                elif record.end > oldest:
                    leases.add(record, setup.name)
        except (OSError, EOFError, UnicodeError, zlib.error) as error:
            told = f"{path}: not readable to its end ({type(error).__name__})"
            raise Unusable(told) from None
        budget = lines.budget
    for (address, devices, start), end in ends.items():
        if end > oldest:
            leases.add(Lease(address, start, end, devices), setup.name)


def _files(folder: Path, patterns: Sequence[str]) -> list[str]:
    """The files of a feed, oldest first. Raises Unusable where some may lie that cannot be seen."""
    if closed := [f for pattern in patterns for f in unlisted(folder, pattern)]:
        raise Unusable(f"{closed[0]}: its content may not be listed by the user Fairwatch runs as")
    return sorted({p for pattern in patterns for p in matching(folder, pattern)}, key=_age)


def _age(path: str) -> tuple[int, str]:
    """When a file was written, and its name."""
    try:
        return os.stat(path).st_mtime_ns, path
    except OSError:
        return 0, path


class _Lines:
    """The lines of one file: plain or gzip, UTF-8 or UTF-16, none longer than is sensible."""

    def __init__(self, path: Path, budget: int, tally: Tally) -> None:
        self.path, self.budget, self.tally = path, budget, tally

    def read(self) -> Iterator[Line]:
        """Raises TooMuch beyond the budget, OSError where the file cannot be read."""
        with self.path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            head = stream.read(4)
            stream.seek(0)
            wide = head[:2] in (b"\xff\xfe", b"\xfe\xff")
            text = io.TextIOWrapper(
                stream, "utf-16" if wide else "utf-8-sig", errors="replace", newline="\n"
            )
            yield from self._numbered(text)

    def _numbered(self, text: io.TextIOWrapper) -> Iterator[Line]:
        number, whole = 0, True
        while line := text.readline(LONGEST_LINE):
            self.budget -= len(line)
            if self.budget < 0:
                raise TooMuch(f"more than {LARGEST_FEED >> 30} GiB")
            started, whole = whole, line.endswith("\n")
            number += started
            self.tally.lines += started
            if len(line) >= LONGEST_LINE and not whole:
                self.tally.broken[f"longer than {LONGEST_LINE} characters"] += started
            elif started:
                yield number, line.rstrip("\r\n").replace("\r", " ")
