"""Who was behind an address at an instant: the records of feeds as a line of time.

addresses ── leases ──> devices ── devices.csv, logons ──> logins
    └───── RADIUS, logons, static tables ────────────────────┘
"""

import ipaddress
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from typing import Any

import numpy as np

from config.people import is_address, plain_address
from ingest.addresses.records import Lease, Tally, TooMuch, Use

MOST_RECORDS = 4_000_000
MOST_AT_ONE_PLACE = 50_000
MOST_LOOKED = 5_000_000
"""Pairs of leases and owners of devices looked at for one address, beyond which it is a crowd's."""

MOST_KNOWN = 100_000


@dataclass(frozen=True, slots=True)
class Owner:
    """A login said to be behind an address, by which feed, from `start` until `end` (ms).

    `static`: written by hand. `several`: more were there than are worth counting, or a long request
    went on while the address changed hands.
    """

    user: str
    feed: str
    static: bool = False
    several: bool = False


Owners = tuple[Owner, ...]
NOBODY: Owners = ()
SEVERAL: Owners = (Owner("", "", several=True),)


@dataclass(frozen=True)
class Timeline:
    """An address's time in pieces: `starts[i]` (ms) opens a piece in which `owners[i]` hold."""

    starts: "np.ndarray[Any, np.dtype[np.int64]]"
    owners: tuple[int, ...]


EMPTY = Timeline(np.array([], np.int64), ())


class _Places:
    """Intervals by place, 24 bytes each: start, end, and the number of what holds there."""

    def __init__(self) -> None:
        self.of: dict[str, array[int]] = {}
        self.count = 0

    def add(self, place: str, start: int, end: int, number: int) -> None:
        found = self.of.setdefault(place, array("q"))
        # A place said to have so many holders is nobody's; one more needs no room.
        if len(found) <= 3 * MOST_AT_ONE_PLACE:
            found.extend((start, end, number))
            self.count += 1

    def at(self, place: str) -> list[tuple[int, int, int]]:
        found = self.of.get(place, ())
        return sorted(zip(found[0::3], found[1::3], found[2::3], strict=True))


@dataclass(frozen=True, slots=True)
class Said:
    """What a use says, beside its place and time."""

    user: str
    feed: str
    assumed: bool
    static: bool


class Leases:
    """The evidence of all feeds; answers by address and time. Nothing is guessed: two are two."""

    def __init__(self) -> None:
        self.tallies: list[Tally] = []
        self.failed: list[tuple[str, str]] = []
        self._leases, self._uses = _Places(), _Places()
        self._devices: list[tuple[tuple[str, ...], str]] = []
        self._device_of: dict[tuple[tuple[str, ...], str], int] = {}
        self._who: list[Said] = []
        self._who_of: dict[Said, int] = {}
        self._networks: dict[tuple[int, int], dict[int, str]] = defaultdict(dict)
        self._known: dict[str, Timeline] = {}
        self.sets: list[Owners] = [NOBODY, SEVERAL]
        self._lock = Lock()
        self._set_of: dict[Owners, int] = {NOBODY: 0, SEVERAL: 1}

    def __bool__(self) -> bool:
        return bool(self._uses.count) and not self.failed

    def add(self, record: Lease | Use, feed: str) -> None:
        """Take a record in. Raises TooMuch where there are more than a run can hold."""
        if record.end <= record.start:
            return
        if self._leases.count + self._uses.count >= MOST_RECORDS:
            raise TooMuch(f"more than {MOST_RECORDS:,} records")
        if isinstance(record, Lease):
            device = (record.devices, feed)
            number = self._device_of.setdefault(device, len(self._devices))
            if number == len(self._devices):
                self._devices.append(device)
            self._leases.add(record.address, record.start, record.end, number)
            return
        who = Said(record.user[:LONGEST_USER], feed, record.assumed, record.static)
        number = self._who_of.setdefault(who, len(self._who))
        if number == len(self._who):
            self._who.append(who)
        if "/" in record.place and not record.place.startswith(("host:", "mac:", "duid:")):
            network = ipaddress.ip_network(record.place)
            sizes = self._networks[network.version, network.prefixlen]
            sizes[int(network.network_address)] = record.place
        self._uses.add(record.place, record.start, record.end, number)

    def owners(self, client: str, times: Any, begun: Any) -> Any:
        """Numbers of the owner sets (`sets`) at `times` (ms) of requests that began at `begun`.

        A request during which the address changed hands is several people's.
        """
        line = self.timeline(client)
        if not len(line.starts):
            return np.zeros(len(times), np.int64)
        of = np.array((0, *line.owners), np.int64)
        last = np.searchsorted(line.starts, times, "right")
        first = np.searchsorted(line.starts, begun, "right")
        found = of[last]
        return np.where((first != last) & (found != 0), 1, found)

    def at(self, client: str, moment: int) -> Owners:
        """The owners of an address at one instant (ms)."""
        line = self.timeline(client)
        piece = bisect_right(line.starts, moment)
        return self.sets[line.owners[piece - 1]] if piece else NOBODY

    def spans(self, client: str, moment: int) -> Iterator[tuple[str, int, int, str]]:
        """What was recorded of an address at an instant: feed, start, end (ms), what it says."""
        address = plain_address(client)
        for start, end, number in _alive(self._held(address), moment):
            keys, feed = self._devices[number]
            yield feed, start, end, f"lease of device {', '.join(keys) or 'without a key'}"
            for key in keys:
                for a, b, owner in _alive(_within(start, end, self._uses.at(key)), moment):
                    yield self._who[owner].feed, a, b, f"device of login {self._who[owner].user}"
        for place in (address, *self._around(address)):
            for start, end, number in _alive(self._uses.at(place), moment):
                yield self._who[number].feed, start, end, f"login {self._who[number].user}"

    def timeline(self, client: str) -> Timeline:
        """An address's pieces of time, made when first asked for."""
        found = self._known.get(client)
        if found is None:
            # Blocks are worked on side by side; two owners under one number would be one another.
            with self._lock:
                if len(self._known) > MOST_KNOWN:
                    self._known.clear()
                found = self._known[client] = self._timeline(plain_address(client))
        return found

    def _timeline(self, address: str) -> Timeline:
        claims: list[tuple[int, int, int]] = []
        held = self._held(address)
        hands = _hands(held, [keys for keys, _ in self._devices])
        for place in (address, *self._around(address)):
            for start, end, number in self._uses.at(place):
                if self._who[number].assumed:
                    later = bisect_right(hands, start)
                    end = min(end, hands[later]) if later < len(hands) else end
                claims.append((start, end, number))
        crowded = len(held) > MOST_AT_ONE_PLACE
        uses: dict[str, list[tuple[int, int, int]]] = {}
        looked = 0
        for start, end, number in () if crowded else held:
            for key in self._devices[number][0]:
                if key not in uses:
                    uses[key] = self._uses.at(key)
                looked += len(uses[key])
                claims += _within(start, end, uses[key])
            if looked > MOST_LOOKED or len(claims) > MOST_AT_ONE_PLACE:
                crowded = True
                break
        if crowded or len(claims) > MOST_AT_ONE_PLACE:
            return Timeline(np.array([0], np.int64), (1,))
        return self._pieces(claims) if claims else EMPTY

    def _held(self, address: str) -> list[tuple[int, int, int]]:
        """Leases of an address; one ends where the next of the same server begins."""
        held: list[tuple[int, int, int]] = []
        last: dict[str, int] = {}
        for start, end, number in self._leases.at(address):
            feed = self._devices[number][1]
            if feed in last:
                a, b, before = held[last[feed]]
                held[last[feed]] = (a, min(b, start), before)
            last[feed] = len(held)
            held.append((start, end, number))
        return [h for h in held if h[1] > h[0]]

    def _around(self, address: str) -> list[str]:
        if not self._networks or not is_address(address):
            return []
        found = ipaddress.ip_address(address)
        number, bits = int(found), found.max_prefixlen
        return [
            networks[base]
            for (version, size), networks in self._networks.items()
            if version == found.version
            and (base := number >> (bits - size) << (bits - size)) in networks
        ]

    def _pieces(self, claims: list[tuple[int, int, int]]) -> Timeline:
        """Sweep over beginnings and ends; neighbouring pieces with the same owners are one."""
        marks = sorted(
            [(start, 1, n) for start, _, n in claims] + [(end, 0, n) for _, end, n in claims]
        )
        alive: dict[int, int] = {}
        starts: list[int] = []
        sets: list[int] = []
        for index, (moment, begins, number) in enumerate(marks):
            alive[number] = alive.get(number, 0) + (1 if begins else -1)
            if not alive[number]:
                del alive[number]
            if index + 1 < len(marks) and marks[index + 1][0] == moment:
                continue
            now = self._set(alive)
            if not sets or sets[-1] != now:
                starts.append(moment)
                sets.append(now)
        return Timeline(np.array(starts, np.int64), tuple(sets))

    def _set(self, alive: dict[int, int]) -> int:
        if len(alive) > MOST_AT_ONCE:
            return 1
        who = {(w.user, w.feed, w.static) for w in (self._who[n] for n in alive)}
        owners = tuple(Owner(user, feed, static) for user, feed, static in sorted(who))
        number = self._set_of.setdefault(owners, len(self.sets))
        if number == len(self.sets):
            self.sets.append(owners)
        return number


MOST_AT_ONCE = 8
LONGEST_USER = 200


def _alive(spans: Iterable[tuple[int, int, int]], moment: int) -> Iterator[tuple[int, int, int]]:
    return (span for span in spans if span[0] <= moment < span[1])


def _within(
    start: int, end: int, uses: list[tuple[int, int, int]]
) -> Iterator[tuple[int, int, int]]:
    """What uses and a span have in common."""
    for a, b, number in uses:
        if a >= end:
            return
        if b > start:
            yield max(a, start), min(b, end), number


def _hands(held: list[tuple[int, int, int]], devices: list[tuple[str, ...]]) -> list[int]:
    """The instants at which an address passed from one device to another."""
    changes = [held[0][0]] if held else []
    for (_, _, one), (start, _, two) in pairwise(held):
        if one != two and not set(devices[one]) & set(devices[two]):
            changes.append(start)
    return changes
