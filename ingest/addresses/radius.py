"""RADIUS accounting: FreeRADIUS detail files, and CSV.

Fri Nov 20 08:00:24 2026
        Acct-Session-Id = "2193976896017"
        User-Name = "ann"
        Acct-Status-Type = Start
        Framed-IP-Address = 10.20.1.12
        Timestamp = 1795161624
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from ingest.addresses.records import (
    Broken,
    Feed,
    Line,
    Record,
    Use,
    address,
    bounded,
    ms,
    rows,
    seconds,
)

ATTRIBUTE = re.compile(r"^\s+([A-Za-z][A-Za-z0-9-]*)(?::\d+)?\s*(?:\+=|:=|=)\s*(.*?)\s*$")
HEADING = re.compile(r"^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$")
LONGEST_RECORD = 300
STATES = {"start": "start", "1": "start", "stop": "stop", "2": "stop", "interimupdate": "interim",
          "alive": "interim", "3": "interim"}  # fmt: skip
COLUMNS = {
    "user": ("username", "user"),
    "status": ("acctstatustype", "statustype"),
    "session": ("acctuniquesessionid", "acctuniqueid", "acctsessionid", "sessionid"),
    "nas": ("nasipaddress", "nasidentifier", "nas"),
    "address": ("framedipaddress", "framedipv6address"),
    "mac": ("callingstationid",),
    "length": ("acctsessiontime",),
    "delay": ("acctdelaytime",),
    "stamp": ("timestamp",),
    "time": ("eventtimestamp", "time", "date"),
    "start": ("acctstarttime",),
    "stop": ("acctstoptime",),
}
NAMES = {name: ours for ours, also in COLUMNS.items() for name in also}


@dataclass
class _Session:
    place: str
    user: str
    start: int
    last: int
    ended: bool = False


def radius(lines: Iterable[Line], feed: Feed) -> Iterator[Record]:
    """Sessions from their start (or first word) to their stop (or `lifetime` after the last)."""
    source = iter(lines)
    head: list[Line] = []
    for line in source:
        head.append(line)
        if line[1].strip():
            break
    detail = bool(head) and bool(HEADING.match(head[-1][1].rstrip()))
    every = chain(head, source)
    records = _details(every, feed) if detail else rows(every, feed, COLUMNS, ("user", "address"))
    sessions: dict[tuple[str, ...], _Session] = {}
    for record in records:
        try:
            done = _word(record, feed, sessions)
        except Broken as reason:
            feed.tally.broken[str(reason)] += 1
            continue
        bounded(sessions)
        if done:
            yield _use(done, feed)
    for session in sessions.values():
        yield _use(session, feed)


def _details(lines: Iterable[Line], feed: Feed) -> Iterator[dict[str, str]]:
    record: dict[str, str] = {}
    for _, text in lines:
        if HEADING.match(text.rstrip()):
            if record:
                yield record
            record = {"heading": text.strip()}
        elif match := ATTRIBUTE.match(text):
            name = NAMES.get(match[1].lower().replace("-", ""))
            if record and name and len(record) < LONGEST_RECORD:
                record.setdefault(name, match[2].strip('"'))
        elif text.strip():
            feed.tally.broken["neither an attribute nor a heading"] += 1
    if record:
        yield record


def _word(
    record: dict[str, str], feed: Feed, sessions: dict[tuple[str, ...], _Session]
) -> _Session | None:
    """What one accounting record adds to its session; the session where it ended."""
    user = record.get("user", "")
    state = STATES.get(re.sub("[^a-z0-9]", "", record.get("status", "").lower()), "")
    if record.get("start"):  # a row of the table radacct: a whole session
        state = "stop" if record.get("stop") else "interim"
    if not user or not state or not record.get("address"):
        feed.tally.ignored += 1
        return None
    place = address(record["address"])
    moment = _moment(record, feed, ends=state == "stop")
    key = (record.get("nas", ""), record.get("session", ""), place, user)
    known = sessions.get(key)
    if known is None:
        start = moment
        if record.get("start"):
            start = _local(record["start"], feed, ends=False)
        elif state != "start" and record.get("length", "").isdigit():
            start = moment - seconds(record["length"])
        known = sessions[key] = _Session(place, user, start, moment)
    known.last = max(known.last, moment)
    known.start = min(known.start, moment)
    known.ended = state == "stop"
    return sessions.pop(key) if known.ended else None


def _use(session: _Session, feed: Feed) -> Use:
    end = session.last if session.ended else session.last + feed.lifetime
    return Use(session.place, session.start, end, session.user, assumed=not session.ended)


def _moment(record: dict[str, str], feed: Feed, *, ends: bool) -> int:
    late = seconds(record["delay"]) if record.get("delay", "").isdigit() else 0
    if record.get("stamp", "").isdigit():
        return seconds(record["stamp"]) - late
    if record.get("start"):
        return _local(record.get("stop") or record["start"], feed, ends=ends)
    return _local(record.get("time") or record.get("heading", ""), feed, ends=ends) - late


FORMS = ("%Y-%m-%d %H:%M:%S", "%a %b %d %H:%M:%S %Y", "%b %d %Y %H:%M:%S")


def _local(text: str, feed: Feed, *, ends: bool) -> int:
    """A time with its zone, or in the feed's; raises Broken where there is neither."""
    text = text.strip().strip('"')
    if text.isdigit():
        return seconds(text)
    parsed = None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        for form in FORMS:
            try:
                # `Nov 20 2026 08:00:24 GMT`: UTC is understood, other letters are not a zone.
                parsed = datetime.strptime(re.sub(r" (?:[A-Z]{2,5})$", "", text), form)
                break
            except ValueError:
                continue
    if parsed is None:
        raise Broken("a time that is none")
    if parsed.tzinfo:
        return ms(parsed)
    if re.search(r" (?:UTC|GMT)$", text):
        return ms(parsed.replace(tzinfo=UTC))
    if feed.setup.timezone is None:
        raise Broken("a time without a zone: name the feed's `timezone`")
    return feed.instant(parsed, ends=ends)
