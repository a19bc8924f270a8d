"""Logons of Active Directory: the security log as CSV, with a time, an event and a user.

TimeCreated,EventID,TargetUserName,TargetDomainName,IpAddress,LogonType,TargetLogonId,Computer
2026-11-20T08:01:12Z,4624,ann,EXAMPLE,10.20.1.12,3,0x1a2b3c,DC1
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from config.logins import normalised
from ingest.addresses.records import (
    Broken,
    Feed,
    Line,
    Record,
    Use,
    address,
    bounded,
    device,
    ms,
    rows,
)

COLUMNS = {
    "time": ("timecreated", "timegenerated", "systemtime", "datetime", "dateandtime", "time"),
    "event": ("eventid", "id", "eventcode"),
    "user": ("targetusername", "accountname", "username", "user"),
    "domain": ("targetdomainname", "accountdomain", "domain"),
    "address": ("ipaddress", "sourcenetworkaddress", "clientaddress", "sourceip"),
    "station": ("workstationname", "workstation", "sourceworkstation"),
    "type": ("logontype",),
    "logon": ("targetlogonid", "logonid"),
    "computer": ("computer", "computername", "machinename"),
    "status": ("status", "errorcode", "resultcode"),
    "keywords": ("keywords",),
}
ON, OFF = frozenset(("4624", "4768", "4776")), frozenset(("4634", "4647"))
NOBODY_AT_IT = frozenset(("4", "5"))
"""Logon types of jobs and services: nobody sits there."""

AT_THE_DEVICE = frozenset(("2", "7", "10", "11"))
"""Logon types that end when their logoff is seen; a network logon's end says nothing."""


def logons(lines: Iterable[Line], feed: Feed) -> Iterator[Record]:
    """A logon holds for `lifetime`, or to its own logoff; failures and machines are ignored."""
    sessions: dict[tuple[str, str], Use] = {}
    for row in rows(lines, feed, COLUMNS, ("time", "event", "user")):
        event = row.get("event", "").strip()
        session = (row.get("computer", "").lower(), row.get("logon", "").lower())
        try:
            if event in OFF and session in sessions:
                end = _moment(row.get("time", ""), feed, ends=True)
                use = sessions.pop(session)
                yield replace(use, end=max(min(end, use.end), use.start), assumed=False)
            elif event in ON and _succeeded(row):
                for use in _uses(row, feed):
                    if row.get("type") in AT_THE_DEVICE and session[1]:
                        if session in sessions:
                            yield sessions.pop(session)
                        sessions[session] = use
                        bounded(sessions)
                    else:
                        yield use
            else:
                feed.tally.ignored += 1
        except Broken as reason:
            feed.tally.broken[str(reason)] += 1
    yield from sessions.values()


def _succeeded(row: dict[str, str]) -> bool:
    failed = "failure" in row.get("keywords", "").lower()
    return not failed and row.get("status", "").lower() in ("", "-", "0", "0x0", "0x00000000")


def _uses(row: dict[str, str], feed: Feed) -> Iterator[Use]:
    domain, user = row.get("domain", "").strip("-"), row.get("user", "")
    login = f"{domain}\\{user}" if domain and not re.search(r"[\\@]", user) else user
    if row.get("type") in NOBODY_AT_IT or not user.strip("-") or normalised(login).service:
        feed.tally.ignored += 1
        return
    start = _moment(row.get("time", ""), feed, ends=False)
    where = row.get("address", "")
    places = (
        device("", row.get("station", "").lstrip("\\"))[:1]
        if where in ("", "-", "LOCAL", "127.0.0.1", "::1")
        else (address(where),)
    )
    if not places:
        raise Broken("neither an address nor a workstation")
    yield Use(places[0], start, start + feed.lifetime, login, assumed=True)


SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}),? (\d{1,2}):(\d\d)(?::(\d\d))?(?: ?([AP]M))?")
DOTTED = ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M")


def _moment(text: str, feed: Feed, *, ends: bool) -> int:
    """ISO times, `20.11.2026 08:01:12`, and dates with slashes where `day_first` says which."""
    try:
        # .NET writes seven digits of a second; six are read.
        parsed = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        parsed = _written(text, feed.setup.day_first)
    return ms(parsed) if parsed.tzinfo else feed.instant(parsed, ends=ends)


def _written(text: str, day_first: bool | None) -> datetime:
    match = SLASHED.fullmatch(text)
    if match is None:
        for form in DOTTED:
            try:
                return datetime.strptime(text, form)
            except ValueError:
                continue
        raise Broken("a time that is none")
    if day_first is None:
        raise Broken("a date with slashes: say `day_first: true` or `false`")
    one, two, year, hour, minute = (int(g) for g in match.groups()[:5])
    day, month = (one, two) if day_first else (two, one)
    if match[7]:
        hour = hour % 12 + (12 if match[7] == "PM" else 0)
    try:
        return datetime(year, month, day, hour, minute, int(match[6] or 0))
    except ValueError:
        raise Broken("a time that is none") from None
