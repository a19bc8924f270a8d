"""Who looked at a person, by the ledger: by name, at everybody at once, at the team's totals."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from config.people import is_address
from reports.others import Others
from reports.render import date_in_words, instant, plain
from workspace import Workspace

BY_NAME, EVERYBODY, TEAM = "you, by name", "everybody at once", "your team, as totals"
IDS = ("case", "right", "hold", "finding", "record")
"""What an act names instead of the person it is about."""
WORDS = {
    "case open": "your data was asked for",
    "case approve": "a second person agreed",
    "case close": "the case was ended",
    "evidence build": "the pack of the case was built",
    "findings": "the program noted matters to look at",
    "finding review": "a human wrote down what they make of a matter, or what you said of it",
    "restriction ask": "your rows of some days were to be kept apart",
    "restriction lift": "a restriction was ended",
    "erasure ask": "your rows of some days were to be erased",
    "hold place": "a legal hold was placed",
    "hold review": "a legal hold was looked at again",
    "hold release": "a legal hold was ended",
    "hold export": "what was handed over is named by its digest",
    "report": "the weekly page of your manager was made",
    "mail": "the weekly page was mailed to your manager",
    "calibration": "the calibration you took part in",
}
ECHOES = {
    "finding reviewed": "the review is kept",
    "rows intent": "what a request takes out, or apart, was listed",
    "rows done": "the request was carried out",
    "restriction lifted": "the rows are in use again",
    "hold copy": "rows were copied under the hold",
    "hold gone": "the copy and its key are gone",
    "access build": "the bundle was made",
}
"""What the program says after an act of somebody's: in the file, and not on the page."""
LOOKS = {
    "usage": "minutes of every person and day",
    "activity": "intervals of use of every person",
    "findings": "matters to look at, with names",
    "findings list": "matters on record, with names",
    "cases": "the list of cases",
    "requests": "the list of requests",
    "keys": "a day's key, with which all rows of that day can be read",
    "subject access": "all of it, for a bundle such as this one",
    "hold export": "a copy under a legal hold, to hand it over",
}


@dataclass(frozen=True)
class Look:
    """An act of the ledger that touched the person; `number` finds it there again."""

    number: int
    when: str
    whom: str
    what: str
    period: str
    reason: str
    by: str
    account: str
    about: str


def looks(ws: Workspace, person: str, ids: set[str]) -> list[Look]:
    """Acts that named the person or everybody, oldest first; `ids`: of cases, findings, holds, …"""
    reader = _Reader(ws, person, set(ids))
    found = (reader.read(line.act) for line in ws.ledger.lines())
    return [one for one in found if one is not None]


class _Reader:
    def __init__(self, ws: Workspace, person: str, ids: set[str]) -> None:
        self._ws, self._person, self._ids = ws, person, ids
        self._others = Others(ws, person)
        rows = [r for r in ws.people.rows if r.user.casefold() == person.casefold()]
        managers = (ws.people.find(r.manager) for r in rows if r.manager)
        self._teams = {r.manager for r in rows} | {m.user for m in managers if m}
        self._names = {
            text.casefold()
            for r in rows
            for text in (r.user, r.name, r.email, *r.aliases, *r.addresses)
        } | {person.casefold()}

    def read(self, act: Mapping[str, Any]) -> Look | None:
        whom = self._whom(act)
        if whom is None:
            return None
        named = [str(act[k]) for k in IDS if k in act] if whom == BY_NAME else []
        self._ids.update(named if act.get("person") == self._person else [])
        return Look(
            number=int(act["seq"]),
            when=instant(datetime.fromisoformat(str(act["time"])), self._ws.settings.zone),
            whom=whom,
            what=_what(act),
            period=_period(act),
            reason=self._reason(act),
            by=plain(str(act.get("by", ""))),
            account=plain(str(act["actor"])),
            about=", ".join(named),
        )

    def _whom(self, act: Mapping[str, Any]) -> str | None:
        mine = act.get("person") == self._person or any(
            isinstance(act.get(k), str) and act[k] in self._ids for k in IDS
        )
        if mine or self._ids & set(act.get("new", ())) or self._ids & set(act.get("gone", ())):
            return BY_NAME
        if act["act"] in ("report", "mail"):
            return TEAM if act.get("team") in self._teams else None
        if act["act"] != "look" or act.get("person"):
            return None
        return self._asked(str(act.get("what", "")), str(act.get("asked", "")))

    def _asked(self, what: str, asked: str) -> str | None:
        """Looks that say whose in their words: one name's lines, or whose a name or address was."""
        of = what.removeprefix("lines of ") if what.startswith("lines of ") else asked
        if not of or (what != "who" and of == asked):
            return EVERYBODY
        known = self._ws.people.login(of)
        mine = of.casefold() in self._names or (known is not None and known.user == self._person)
        if not mine and what == "who" and is_address(of) and not self._ws.people.assigned(of):
            return EVERYBODY  # whoever had it at that instant was named
        return BY_NAME if mine else None

    def _reason(self, act: Mapping[str, Any]) -> str:
        held = str(act["act"]).startswith("hold")  # its notes are the owner's, its reason a word
        keys = ("reason",) if held else ("reason", "note", "request")
        told = [str(act[k]) for k in keys if act.get(k)]
        return plain(self._others.masked("; ".join(told)))


def _what(act: Mapping[str, Any]) -> str:
    name, what = str(act["act"]), str(act.get("what", ""))
    if name == "look":
        if what.startswith("lines of "):
            return "your stored log lines"
        if what == "who":
            return "whose a login or an address was"
        case = "your figures, log lines and matters, for the case's pack"
        return LOOKS.get(what, "named data") if what else case
    return WORDS.get(name) or ECHOES.get(name, name)


def _period(act: Mapping[str, Any]) -> str:
    """In words: the days looked at, or of the case."""
    first, last = (_day(str(act.get(key, ""))) for key in ("first_day", "last_day"))
    return f"{first} to {last}" if first and last and first != last else first or last


def _day(text: str) -> str:
    try:
        return date_in_words(date.fromisoformat(text))
    except ValueError:
        return ""
