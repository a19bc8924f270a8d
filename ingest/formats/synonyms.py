"""Columns whose names speak for themselves: what products call a client, a host, a verdict."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from config.document import read
from ingest.formats.description import Judge, Layout, Regex, Take, Target, Unit, Verdict, When

ANY_TIME = [
    "epoch", "iso", "clf", "syslog", "ctime", "%Y/%m/%d %H:%M:%S%f%z", "%d %b %Y %H:%M:%S%f%z",
    "%d-%b-%Y %H:%M:%S%f%z", "%Y.%m.%d %H:%M:%S%f", "%d.%m.%Y,? +%H:%M:%S%f", "%d.%m.%y %H:%M:%S%f",
    "date-local",
]  # fmt: skip
ADDRESS = r"^(\d{1,3}(?:\.\d{1,3}){3})[:/].*$"
ZONED = ("%Y-%m-%d %H:%M:%S%f%z", "%Y/%m/%d %H:%M:%S%f%z", "%d %b %Y %H:%M:%S%f%z", "%Y-%m-%dT%H:%M:%S%f%z")  # fmt: skip
ZONES = ("tz", "timezone", "time_zone", "tz_offset", "utc_offset", "devTimeZone")
PORTAL = ["%m/%d/%Y, %H:%M:%S%f %p", "iso"]
TOLD_ZONE = re.compile(r"(?i)\s*\[(utc|local time)\]$")
"""What Azure's portal writes behind the name of a time's column."""
CUSTOM = [f"{kind}{n}" for kind in ("cs", "cn", "c6a", "flexString", "deviceCustomString") for n in range(1, 7)]  # fmt: skip
"""CEF's columns whose meaning stands beside them: `cs1Label=User Name cs1=ann`."""
MOST_LABELS = 20
RESULT = r"^(TCP_DENIED|(?:TCP|NONE|TAG)_[A-Z])"
RESULTS: dict[str, Verdict] = {"tcp_denied": "denied", "*": "allowed"}
YES, NO = ("true", "yes", "1", "ja", "oui", "vrai"), ("false", "no", "0", "nein", "non", "faux")
LISTED = {"allowed": "allowed", "denied": "denied"}
NUMBERED: dict[str, Verdict] = {"1": "allowed", "2": "denied"}


class Names(BaseModel):
    """Names of one field, and what must hold for them to be it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: list[str]
    match: Regex | None = None
    unit: Unit | None = None
    beside: list[str] = []
    unless: list[str] = []


def _named(value: Any) -> Any:
    return [{"names": one} if isinstance(one, list) else one for one in value]


class Synonyms(BaseModel):
    """ingest/formats/synonyms.yaml: for each field the names it goes by, likeliest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: dict[Target, Annotated[list[Names], BeforeValidator(_named)]]
    time: list[str]
    date: list[str]
    clock: list[str]
    verdict: list[str]
    results: list[str]
    blocked: list[str]
    listed: list[str]
    numbered: list[str]
    words: dict[str, Verdict]
    nothing: list[str]
    within: list[str]
    sender: list[str]


@cache
def synonyms() -> Synonyms:
    """The names that come with Fairwatch."""
    return read(Path(str(files("ingest.formats"))) / "synonyms.yaml", Synonyms)


@cache
def plain(name: str) -> str:
    """A name as it compares: `Source IP`, `source_ip` and `sourceIp` are one."""
    return re.sub(r"[^a-z0-9@]", "", name.lower())


def completed(layout: Layout, columns: Any) -> Layout:
    """The layout with every field it does not describe taken from the columns whose names say it."""
    known = synonyms()
    there = spoken(columns.keys(), known)
    fields: dict[Target, list[Take]] = dict(layout.fields)
    labels = _labelled(columns, there)
    for target, entries in known.fields.items():
        found = [take for entry in entries for take in _take(entry, there, target)]
        found += [
            take for entry in entries for n in entry.names for take in labels.get(plain(n), [])
        ]
        if found and target not in fields:
            fields[target] = found
    return layout.model_copy(
        update={
            "fields": fields,
            "time": layout.time or _times(known, there),
            "verdict": layout.verdict or _judges(known, there),
            "nothing": [*layout.nothing, *known.nothing],
        }
    )


def spoken(keys: set[str], known: Synonyms) -> dict[str, list[str]]:
    """Columns by their plain names; those within a carrier's object as if they stood alone."""
    there: dict[str, list[str]] = {}
    inner: list[tuple[str, str]] = []
    for key in sorted(keys, key=lambda k: (k.count("."), k)):
        rest = key
        while "." in rest and rest.split(".", 1)[0] in known.within:
            rest = rest.split(".", 1)[1]
            inner.append((rest, key))
        inner.insert(0, (key, key))
    for name, key in sorted(inner, key=lambda pair: pair[0] != pair[1]):
        if "." not in name or name.split(".", 1)[0] not in known.sender:
            there.setdefault(plain(TOLD_ZONE.sub("", name)), []).append(key)
    return there


def _take(entry: Names, there: Mapping[str, list[str]], target: Target) -> list[Take]:
    found = _found(entry.names, there)
    if not found:
        return []
    takes = [Take(from_=found, unit=entry.unit)]
    if entry.match is not None:
        takes = [Take(from_=[n], match=entry.match, unit=entry.unit) for n in found]
    if target in ("client", "host") and entry.match is None:
        # `10.1.1.7:50001`, `10.1.1.7:50001:X0:name`, `10.1.1.7/50001`
        takes = [Take(from_=[n], match=m) for n in found for m in (ADDRESS, None)]
    # Row by row: a file may hold lines of several shapes.
    alone = {name: ["absent"] for name in _found(entry.unless, there)}
    beside = [{name: ["present"]} for name in _found(entry.beside, there)]
    if not alone and not entry.beside:
        return takes
    return [
        take.model_copy(update={"when": {**alone, **near}})
        for near in (beside if entry.beside else [{}])
        for take in takes
    ]


def _labelled(columns: Any, there: Mapping[str, list[str]]) -> dict[str, list[Take]]:
    """CEF's custom columns by the labels the lines give them."""
    found: dict[str, list[Take]] = {}
    for name in CUSTOM:
        column, label = _found([name], there)[:1], _found([f"{name}Label"], there)[:1]
        if not column or not label:
            continue
        texts = columns.column(label[0]).dictionary.to_pylist()[:MOST_LABELS]
        for text in texts:
            take = Take(from_=column, when={label[0]: [text]})
            found.setdefault(plain(text), []).append(take)
    return found


def _judges(known: Synonyms, there: Mapping[str, list[str]]) -> list[Judge]:
    stopped: dict[str, Verdict] = {
        **dict.fromkeys(YES, "denied"),
        **dict.fromkeys(NO, "allowed"),
        **known.words,
    }
    denied = {word: verdict for word, verdict in known.words.items() if verdict == "denied"}
    names = _found(known.verdict, there)
    # `action=close utmaction=block`: what any of them stopped was stopped.
    made = [Judge(from_=names, words=denied)] if names else []
    made += [Judge(from_=names, words=known.words)] if names else []
    made += [Judge(from_=[n], words=RESULTS, match=RESULT) for n in _found(known.results, there)]
    made += [Judge(from_=[n], words=stopped) for n in _found(known.blocked, there)]
    made += [Judge(from_=[n], words=NUMBERED) for n in _found(known.numbered, there)]
    made += [
        Judge(from_=[n], words=LISTED, match=r"(?i)\b(allowed|denied)\b")
        for n in _found(known.listed, there)
    ]
    return made


def _times(known: Synonyms, there: Mapping[str, list[str]]) -> list[When]:
    day, clock = _found(known.date, there), _found(known.clock, there)
    zone = _found(ZONES, there)
    ways = [_way(n) for n in _found(known.time, there)]
    if day and clock and day[0] != clock[0]:
        ways.insert(0, When(from_=[day[0], clock[0]], written=ANY_TIME))
    if zone:
        told = [When(from_=way.from_, written=list(ZONED), zone_from=zone[0]) for way in ways]
        ways = [one for pair in zip(told, ways, strict=True) for one in pair]
    return [*ways, When(from_=["@time"], written=ANY_TIME)]


def _way(name: str) -> When:
    told = TOLD_ZONE.search(name)
    if told is None:
        return When(from_=[name], written=ANY_TIME)
    zone = "UTC" if told[1].lower() == "utc" else None
    return When(from_=[name], written=[*PORTAL, *ANY_TIME], zone=zone)


def _found(names: Sequence[str], there: Mapping[str, list[str]]) -> list[str]:
    return list(dict.fromkeys(key for n in names for key in there.get(plain(n), [])))
