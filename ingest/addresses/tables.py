"""Tables written by hand: who has an address or a network, and whose a device is.

address,user,from,to
10.20.1.4,ann,2026-01-01,2026-06-30

mac,hostname,user,from,to
00:16:3e:ef:a9:c1,pc12,ann,,
"""

import ipaddress
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta

from ingest.addresses.records import FOREVER, Broken, Feed, Line, Record, Use, device, ms, rows

STATIC = {
    "place": ("address", "network", "ip", "ipaddress"),
    "user": ("user", "username", "login"),
    "from": ("from", "start", "since"),
    "to": ("to", "end", "until"),
}
DEVICES = {
    "mac": ("mac", "macaddress", "hwaddr", "hardwareaddress"),
    "host": ("hostname", "host", "name", "device", "computer"),
    "duid": ("duid",),
    "user": STATIC["user"],
    "from": STATIC["from"],
    "to": STATIC["to"],
}


def static(lines: Iterable[Line], feed: Feed) -> Iterator[Record]:
    """Addresses and networks and whose they are."""
    for row in rows(lines, feed, STATIC, ("place", "user")):
        try:
            yield _use(_network(row.get("place", "")), row, feed, static=True)
        except Broken as reason:
            feed.tally.broken[str(reason)] += 1


def devices(lines: Iterable[Line], feed: Feed) -> Iterator[Record]:
    """Devices and whose they are: by hardware address, host name or DHCPv6 identifier."""
    for row in rows(lines, feed, DEVICES, ("user",)):
        keys = (
            *device(row.get("mac", "")),
            *device("", row.get("host", ""))[:1],
            *device("", "", row.get("duid", "")),
        )
        try:
            if not keys:
                raise Broken("neither a hardware address nor a host name")
            for key in keys:
                yield _use(key, row, feed)
        except Broken as reason:
            feed.tally.broken[str(reason)] += 1


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise Broken("neither an address nor a network") from None
    return str(network.network_address if network.num_addresses == 1 else network)


def _use(place: str, row: dict[str, str], feed: Feed, *, static: bool = False) -> Use:
    user = row.get("user", "")
    if not user:
        raise Broken("no user")
    start, end = _day(row.get("from", ""), feed), _day(row.get("to", ""), feed, ends=True)
    return Use(place, start, end, user, static=static)


def _day(text: str, feed: Feed, *, ends: bool = False) -> int:
    """A day, wholly included, or an instant; nothing is no limit."""
    if not text:
        return FOREVER if ends else 0
    try:
        if len(text) > 10:
            moment = datetime.fromisoformat(text)
            return ms(moment) if moment.tzinfo else feed.instant(moment, ends=ends)
        day = date.fromisoformat(text)
        if ends:
            day += timedelta(days=1)
        return max(feed.instant(datetime.combine(day, time()), ends=ends), 0)
    except (ValueError, OverflowError):
        raise Broken("a day that is none") from None
