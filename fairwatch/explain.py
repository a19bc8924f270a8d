"""One host explained, and where lists or the device contradict each other; no people are looked at."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from analytics.lists import StoredHost, stored_hosts
from config.lists.hosts import registrable
from config.sitelist import Claim, Judged, SiteList, site_list
from errors import WrongUsage
from fairwatch import place, show
from fairwatch.options import AsJson, Site, opened
from fairwatch.program import Commands
from ingest.classify import OTHER, Classifier
from ingest.events import host_of
from workspace import Workspace


def disputes(json_: AsJson = False, site: Site = None) -> None:
    """Hosts of which lists, or a list and the device, say different things; no people."""
    ws = opened(site)
    stored = stored_hosts(ws)
    found = _disputes(ws.sites.on(place.now().date()), stored)
    unlisted = [
        {"device_category": s.device_category, "rows": s.rows, "days": s.days}
        for s in stored
        if s.host == OTHER and s.device_category not in (None, OTHER)
    ]
    if json_:
        show.as_json({"disputes": found, "unlisted": unlisted})
        return
    header = ("host", "believed", "category", "others", "device", "rows")
    show.table("Disputes", header, [[text(d[h]) for h in header] for d in found])
    for one in unlisted:
        show.say(
            f"{one['rows']} rows on {one['days']} days are of hosts no list names, which the device "
            f"calls {one['device_category']}"
        )


def classify(
    host: Annotated[str, typer.Argument(metavar="HOST")],
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A day; today.")] = None,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """What the lists say of a host, which one is believed and why, and what would be stored."""
    ws = place.site_if_any(site)
    name = _host(host)
    day = on.date() if on else place.now().date()
    sites = (ws.sites if ws else site_list([], [])).on(day)
    judged = sites.judged(name)
    told = _explained(judged, sites, ws)
    if json_:
        show.as_json(told)
        return
    show.say(f"{told['host']} (registrable domain {told['registrable']})")
    header = ("list", "kind", "version", "since", "licence", "suffix", "service", "role", "own", "category", "sensitive")  # fmt: skip
    show.table("Lists that know it", header, [[text(c[h]) for h in header] for c in told["lists"]])
    for line in (told["why"], *told["disputes"], f"stored: {text(told['stored'])}"):
        show.say(line)


def _explained(judged: Judged, sites: SiteList, ws: Workspace | None) -> dict[str, Any]:
    return {
        "host": judged.host,
        "registrable": registrable(judged.host),
        "lists": [_claim(c) for c in judged.claims],
        "wins": _claim(judged.winner) if judged.winner else None,
        "why": _why(judged),
        "sensitive": judged.sensitive,
        "disputes": [_against(judged.winner, c) for c in judged.disputed if judged.winner],
        "device": _device(ws, judged) if ws else [],
        "stored": _stored(judged, sites, ws),
    }


def _stored(judged: Judged, sites: SiteList, ws: Workspace | None) -> dict[str, Any] | None:
    """What a line with this host would leave; None where no site says which categories count."""
    if ws is None:
        return None
    return asdict(classifier(ws, sites).stored(judged))


def _why(judged: Judged) -> str:
    if judged.sensitive:
        named = next((c for c in judged.claims if c.sensitive), None)
        by = f"{named.about.name} calls it so" if named else "a newer list calls it so"
        return f"sensitive: {by}; it is never stored under its name, whatever other lists say"
    if judged.winner is None:
        return "no list gives it a category: its lines are stored as `other`"
    winner = judged.winner
    place_ = "the only list" if len(judged.claims) == 1 else "the first list, in their order,"
    return f"{winner.about.name} is {place_} that gives it a category: {winner.category} (by {winner.suffix})"  # fmt: skip


def _against(winner: Claim, other: Claim) -> str:
    return f"dispute: {winner.about.name} says {winner.category}, {other.about.name} says {other.category} ({other.own})"  # fmt: skip


def _claim(claim: Claim) -> dict[str, Any]:
    match = claim.match
    return {
        "list": claim.about.name,
        "kind": claim.about.kind,
        "version": claim.about.version,
        "since": claim.about.since,
        "source": claim.about.source,
        "licence": claim.about.licence,
        "suffix": claim.suffix,
        "service": match.service.id if match else None,
        "role": match.role if match else None,
        "own": claim.own,
        "category": claim.category,
        "sensitive": claim.sensitive,
    }


def _device(ws: Workspace, judged: Judged) -> list[dict[str, Any]]:
    """How the device called the host in what is stored; nothing of hosts that are not."""
    if judged.sensitive or judged.winner is None:
        return []
    return [
        {"device_category": s.device_category, "rows": s.rows, "days": s.days}
        for s in stored_hosts(ws)
        if s.host == judged.host and s.device_category
    ]


def _disputes(sites: SiteList, stored: Sequence[StoredHost]) -> list[dict[str, Any]]:
    """Of the hosts in the lake and of all hosts the curated lists name; sensitive ones are left out."""
    devices: dict[str, dict[str, int]] = {}
    rows: dict[str, int] = {}
    for one in stored:
        rows[one.host] = rows.get(one.host, 0) + one.rows
        if one.device_category and one.device_category != one.category:
            devices.setdefault(one.host, {})[one.device_category] = one.rows
    named = {h for s in sites.services.values() for hosts in s.roles.values() for h in hosts}
    found = []
    for host in sorted({*rows, *named} - {OTHER}):
        judged = sites.judged(host)
        device = devices.get(host, {})
        if judged.sensitive or judged.winner is None or not (judged.disputed or device):
            continue
        found.append(
            {
                "host": host,
                "believed": judged.winner.about.name,
                "category": judged.winner.category,
                "others": {c.about.name: c.category for c in judged.disputed},
                "device": device,
                "rows": rows.get(host, 0),
            }
        )
    return sorted(found, key=lambda d: (-int(d["rows"]), d["host"]))


def classifier(ws: Workspace, sites: SiteList) -> Classifier:
    return Classifier(sites, ws.categories, other_hosts=ws.settings.store.other_hosts)


def _host(text: str) -> str:
    """The host of what was typed: a name, an address, a URL."""
    bare = text.partition("://")[2] if "://" in text else text
    authority = bare.partition("/")[0].partition("?")[0].partition("#")[0]
    host = host_of(authority)[0]
    if not host:
        raise WrongUsage("HOST: expected a host name, an address or a URL.")
    return host


def text(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{k}: {text(v)}" for k, v in value.items())
    return "" if value is None else value


COMMANDS: Commands = {"classify": classify}
