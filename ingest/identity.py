"""Log user, or address and time, to person, with a grade that says how it is known.

`login`: the proxy asked for a name and people.csv knows it. `assigned`: no name, but people.csv or a
table gives the address to one person. `lease`: no name, but leases, RADIUS or logons show one person
behind the address at that instant. `unlisted`: a name people.csv does not know. `ambiguous`: a name
that fits several people. `shared`: several people's account or address. `service`: a machine's or a
program's account. `address`: nothing but an address. Only the first four say whose a line is; the
last four never show a person.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import numpy as np

from config.people import Match, People, Person, is_address, plain_address
from ingest.feeds import read_leases
from ingest.leases import NOBODY, Leases, Owner, Owners
from lake.days import day_of, number_of
from workspace import Workspace

Grade = Literal[
    "login", "assigned", "lease", "unlisted", "ambiguous", "shared", "service", "address"
]
LONGEST = 200


@dataclass(frozen=True)
class Answer:
    """Under which name a line is stored, how that is known, whose it is, and the way there."""

    name: str | None
    grade: Grade
    person: Person | None
    steps: tuple[str, ...]


class Identities:
    """Whose a line is; whoever has many lines asks once per user, address, day and owners.

    `shared`: addresses and networks that stand for many people (NAT, terminal servers).
    """

    def __init__(
        self, people: People, leases: Leases | None = None, shared: Sequence[str] = ()
    ) -> None:
        self._people = people
        self.leases = Leases() if leases is None else leases
        self._shared = [ipaddress.ip_network(network) for network in shared]

    def of(
        self, user: str | None, client: str | None, day: int, owners: Owners = NOBODY
    ) -> tuple[str | None, Grade]:
        """(person's user name, the log's own name or the address; grade); day: days since 1970.

        `owners`: who leases and logons show behind the address at the line's instant.
        """
        answer = self.explain(user, client, day_of(day), owners)
        return answer.name, answer.grade

    def owners(self, clients: Sequence[str | None], codes: Any, times: Any, begun: Any) -> Any:
        """Numbers of the owner sets of rows: `codes` point into `clients`, times in ms.

        One search a distinct address, in all of its rows at once.
        """
        found = np.zeros(len(codes), np.int64)
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(len(clients) + 1))
        for number, client in enumerate(clients):
            first, last = bounds[number], bounds[number + 1]
            if client is not None and first < last and len(self.leases.timeline(client).starts):
                rows = order[first:last]
                found[rows] = self.leases.owners(client, times[rows], begun[rows])
        return found

    def explain(
        self, user: str | None, client: str | None, day: date, owners: Owners = NOBODY
    ) -> Answer:
        """The same answer with each step in words."""
        return self._named(user, day) if user else self._behind(client, day, owners)

    def _named(self, user: str, day: date) -> Answer:
        match = self._people.match(user, day)
        steps = [_told(match)]
        if match.row:
            steps.append(_row(match.row))
            grade = match.row.kind if match.row.kind in ("shared", "service") else "login"
            person = match.row if match.row.human else None
            return Answer(match.row.user, GRADES[grade], person, (*steps, *_refused(match.row)))
        grade = "ambiguous" if match.several else "service" if match.login.service else "unlisted"
        return Answer(user[:LONGEST], GRADES[grade], None, (*steps, WHY_NOBODY[grade]))

    def _behind(self, client: str | None, day: date, owners: Owners) -> Answer:
        if client is None:
            return Answer(None, "address", None, ("the line has neither a login nor an address",))
        if self._is_shared(client):
            told = "the address is one of `shared_addresses` in fairwatch.yaml"
            return Answer(client, "shared", None, (told, WHY_NOBODY["shared"]))
        steps = []
        found: dict[str, Person] = {}
        unknown = False
        written = False
        for row in self._people.assigned(client, day):
            steps.append(f"people.csv assigns the address: {_row(row)}")
            found[row.user.casefold()] = row
            written = True
        for owner in owners:
            match = None if owner.several else self._people.match(owner.user, day)
            steps.append(_evidence(owner, match))
            if match and match.row:
                found[match.row.user.casefold()] = match.row
                written |= owner.static
            elif match is None or not match.login.service:
                unknown = True
        return self._one(client, found, unknown, written, steps)

    def _one(
        self, client: str, found: dict[str, Person], unknown: bool, written: bool, steps: list[str]
    ) -> Answer:
        """The one behind an address; programs and machines beside a person are not counted."""
        own = [row for row in found.values() if row.kind != "service"]
        if unknown or len(own) > 1:
            return Answer(client, "address", None, (*steps, WHY_NOBODY["several"]))
        if not own and found:
            return Answer(client, "service", None, (*steps, WHY_NOBODY["service"]))
        if not own:
            return Answer(client, "address", None, (*steps, WHY_NOBODY["address"]))
        if not own[0].human:
            return Answer(client, "shared", None, (*steps, WHY_NOBODY["shared"]))
        return Answer(own[0].user, "assigned" if written else "lease", own[0], tuple(steps))

    def _is_shared(self, client: str) -> bool:
        plain = plain_address(client)
        if not self._shared or not is_address(plain):
            return False
        address = ipaddress.ip_address(plain)
        return any(address in network for network in self._shared)


GRADES: dict[str, Grade] = {
    "login": "login",
    "shared": "shared",
    "service": "service",
    "ambiguous": "ambiguous",
    "unlisted": "unlisted",
}
WHY_NOBODY = {
    "shared": "several people stand behind it: nothing is said of any of them",
    "service": "a machine's or a program's account is no person",
    "ambiguous": "the login fits several people of that day: it is nobody's",
    "unlisted": "people.csv has no row for this login on that day",
    "several": "more than one may have been behind the address then: it is nobody's",
    "address": "nothing says who was behind the address then",
}


def _told(match: Match) -> str:
    login = match.login
    parts = [f"read as {login.form}: account {login.account!r}"]
    parts += [f"domain {login.domain!r}"] if login.domain else []
    parts += [f"displayed name {login.name!r}"] if login.name else []
    return f"{', '.join(parts)}; found by: {match.rule}"


def _row(row: Person) -> str:
    start, end = row.start or "the beginning", row.end or "further notice"
    return f"row of people.csv: user {row.user}, kind {row.kind}, from {start} to {end}"


def _refused(row: Person) -> tuple[str, ...]:
    return () if row.human else (WHY_NOBODY[row.kind],)


def _evidence(owner: Owner, match: Match | None) -> str:
    if match is None:
        return "evidence: many were behind the address, or it changed hands during the request"
    whose = _row(match.row) if match.row else "no row of people.csv"
    return f"evidence of {owner.feed}: login {owner.user}; {_told(match)}; {whose}"


def known_identities(ws: Workspace, oldest: date, now: datetime | None = None) -> Identities:
    """The site's people, and its feeds of addresses read from `oldest` on.

    With `now`, what was read of the feeds goes into the ledger, as ingested files do.
    """
    settings = ws.settings
    start = number_of(oldest) * 86_400_000
    leases = read_leases(ws.folder, settings, start) if settings.identity else None
    if leases is not None and now:
        with ws.state.change() as change:
            for tally in leases.tallies:
                change.act(
                    "addresses",
                    time=now,
                    actor=ws.actor,
                    feed=tally.name,
                    kind=tally.kind,
                    files=tally.files,
                    lines=tally.lines,
                    records=tally.records,
                    ignored=tally.ignored,
                    broken=dict(sorted(tally.broken.items())),
                    used=not leases.failed,
                )
    return Identities(ws.people, leases, settings.shared_addresses)
