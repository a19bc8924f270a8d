"""Feeds of who had which address when: one reader a kind, all giving leases and uses."""

from collections.abc import Callable, Iterable, Iterator

from ingest.addresses import dhcp, logons, radius, tables
from ingest.addresses.records import Feed, Line, Record

READERS: dict[str, Callable[[Iterable[Line], Feed], Iterator[Record]]] = {
    "isc-dhcp": dhcp.isc,
    "kea": dhcp.kea,
    "dnsmasq": dhcp.dnsmasq,
    "windows-dhcp": dhcp.windows,
    "radius": radius.radius,
    "ad-logon": logons.logons,
    "static": tables.static,
    "devices": tables.devices,
}
"""Kinds of `identity` in fairwatch.yaml and what reads them."""
