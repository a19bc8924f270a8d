"""Leases of DHCP servers: ISC dhcpd, Kea, dnsmasq and Windows.

lease 10.20.1.12 { starts 5 2026/11/20 08:00:00; ends 5 2026/11/20 16:00:00; … }
10.20.1.12,00:16:3e:ef:a9:c1,,28800,1795190400,1,0,0,pc12,0,,0          (Kea, after its header)
1795190400 00:16:3e:ef:a9:c1 10.20.1.12 pc12 *                          (dnsmasq)
10,11/20/26,08:00:00,Assign,10.20.1.12,pc12.example.org,00163EEFA9C1,…  (Windows)
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from ingest.addresses.records import (
    FOREVER,
    Broken,
    Feed,
    Lease,
    Line,
    Record,
    address,
    bounded,
    device,
    rows,
    seconds,
    utc,
)

OPENING = re.compile(r"^lease\s+(\S+)\s*\{\s*$")
STATEMENT = re.compile(r"^\s*([a-z][a-z-]*)\s+(.*?)\s*;\s*(?:#.*)?$", re.DOTALL)
LONGEST_BLOCK = 200
ACTIVE, EARLY = frozenset(("active", "bootp")), frozenset(("free", "expired", "released"))
BEGINS = frozenset(("10", "11", "20", "11002", "11004", "11005"))
ENDS = frozenset(("12", "16", "17", "18", "11007", "11016", "11018"))


def isc(lines: Iterable[Line], feed: Feed) -> Iterator[Record]:
    """dhcpd.leases: a journal, in which a later block of the same lease corrects the earlier."""
    found: dict[tuple[str, tuple[str, ...], int], int] = {}
    for block in _blocks(lines, feed):
        try:
            made = _isc_lease(block)
        except Broken as reason:
            feed.tally.broken[str(reason)] += 1
            continue
        if made is None:
            feed.tally.ignored += 1
        else:
            found[made.address, made.devices, made.start] = made.end
            bounded(found)
    for (where, devices, start), end in found.items():
        yield Lease(where, start, end, devices)


def _blocks(lines: Iterable[Line], feed: Feed) -> Iterator[dict[str, str]]:
    block: dict[str, str] | None = None
    for _, text in lines:
        if opened := OPENING.match(text):
            if block is not None:
                feed.tally.broken["a lease without its end"] += 1
            block = {"lease": opened[1]}
        elif block is not None and text.strip() == "}":
            yield block
            block = None
        elif block is not None and (statement := STATEMENT.match(text)):
            block[statement[1]] = statement[2]
            if len(block) > LONGEST_BLOCK:
                feed.tally.broken["a lease without its end"] += 1
                block = None
    if block is not None:
        feed.tally.broken["a lease without its end"] += 1


def _isc_lease(block: dict[str, str]) -> Lease | None:
    state = block.get("binding", "state active").removeprefix("state").strip()
    if state not in ACTIVE | EARLY or not {"starts", "hardware"} <= block.keys():
        return None
    start, end = _isc_time(block["starts"]), _isc_time(block.get("ends", "never"))
    mac = block["hardware"].rpartition(" ")[2]
    host = block.get("client-hostname", "").strip('"')
    where = address(block["lease"])
    return Lease(where, start, end, device(mac, host))


def _isc_time(text: str) -> int:
    """`4 2026/11/19 08:00:00` (UTC), `epoch 1795190400`, `never`."""
    if text == "never":
        return FOREVER
    first, _, rest = text.partition(" ")
    if first == "epoch":
        return seconds(rest.split("#")[0].strip())
    return utc(rest, "%Y/%m/%d %H:%M:%S")


KEA = {
    "address": ("address",),
    "mac": ("hwaddr",),
    "duid": ("duid",),
    "lifetime": ("validlifetime",),
    "expire": ("expire",),
    "host": ("hostname",),
    "state": ("state",),
    "type": ("leasetype",),
}


def kea(lines: Iterable[Line], feed: Feed) -> Iterator[Record]:
    """Kea's memfile, v4 and v6: a journal of rows, each with its own length and end."""
    for row in rows(lines, feed, KEA, ("address", "lifetime", "expire")):
        try:
            length, end = seconds(row.get("lifetime", "")), seconds(row.get("expire", ""))
            # Length 0 takes a lease back without saying when; declined addresses have no device;
            # a delegated prefix is a router's.
            if not length or row.get("state") == "1" or row.get("type") in ("2", "IA_PD"):
                feed.tally.ignored += 1
                continue
            host = re.sub(r"&#x2c;?", "", row.get("host", ""))
            keys = device(row.get("mac", ""), host, row.get("duid", ""))
            start = 0 if length >= 0xFFFFFFFF * 1000 else end - length
            yield Lease(address(row["address"]), max(start, 0), end, keys)
        except Broken as reason:
            feed.tally.broken[str(reason)] += 1


def dnsmasq(lines: Iterable[Line], feed: Feed) -> Iterator[Record]:
    """dnsmasq.leases: a snapshot; a lease began its length before its end, at the last renewal."""
    for _, text in lines:
        cells = text.split()
        if not cells or cells[0] == "duid":
            feed.tally.ignored += 1
            continue
        try:
            if len(cells) < 4:
                raise Broken("fewer than four columns")
            end = seconds(cells[0])
            where = address(cells[2])
            v6 = ":" in where
            keys = device(
                "" if v6 else cells[1], cells[3], cells[4] if v6 and len(cells) > 4 else ""
            )
            yield Lease(where, max(end - feed.lifetime, 0) if end else 0, end or FOREVER, keys)
        except Broken as reason:
            feed.tally.broken[str(reason)] += 1


WINDOWS = {
    "id": ("id",),
    "date": ("date",),
    "time": ("time",),
    "address": ("ipaddress", "ipv6address"),
    "host": ("hostname", "computername"),
    "mac": ("macaddress",),
    "duid": ("duidbyteshex",),
}


def windows(lines: Iterable[Line], feed: Feed) -> Iterator[Record]:
    """DhcpSrvLog and DhcpV6SrvLog: assigned and renewed begin, released and expired end."""
    open_: dict[str, tuple[int, tuple[str, ...]]] = {}
    for row in rows(lines, feed, WINDOWS, ("id", "date", "time", "address")):
        event = row.get("id", "").lstrip("0") or "0"
        if event not in BEGINS | ENDS:
            feed.tally.ignored += 1
            continue
        try:
            where = address(row.get("address", ""))
            begins = event in BEGINS
            moment = _windows_time(row, feed, ends=not begins)
            keys = device(row.get("mac", ""), row.get("host", ""), row.get("duid", ""))
        except Broken as reason:
            feed.tally.broken[str(reason)] += 1
            continue
        if where in open_:
            start, holder = open_.pop(where)
            same = bool(set(holder) & set(keys))
            if begins or same or not keys:
                yield Lease(where, start, min(moment, start + feed.lifetime), holder)
            else:
                open_[where] = (start, holder)
        if begins:
            open_[where] = (moment, keys)
            bounded(open_)
    for where, (start, holder) in open_.items():
        yield Lease(where, start, start + feed.lifetime, holder)


def _windows_time(row: dict[str, str], feed: Feed, *, ends: bool) -> int:
    text = f"{row.get('date', '')} {row.get('time', '')}"
    for form in ("%m/%d/%y %H:%M:%S", "%m/%d/%Y %H:%M:%S"):
        try:
            return feed.instant(datetime.strptime(text, form), ends=ends)
        except ValueError:
            continue
    raise Broken("a time that is none")
