"""people.csv: who a log's user or address is, in which team, on which days."""

import csv
import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path

from config.hours import WorkingHours, pattern
from config.logins import Login, normalised, readable, same_domain
from errors import BadConfiguration

REQUIRED = ("user", "name", "department", "manager", "email")
OPTIONAL = ("kind", "roles", "working_pattern", "from", "to", "addresses", "aliases")
KINDS = ("employee", "volunteer", "trustee", "agency", "student")
NOBODY = ("shared", "service")
"""Kinds of accounts that are no person: several people's, and machines' or programs' own."""


@dataclass(frozen=True)
class Person:
    """One row: a person's place in the organisation from `start` to `end` (days, both included)."""

    user: str
    name: str
    department: str
    manager: str
    email: str
    kind: str = "employee"
    roles: frozenset[str] = frozenset()
    pattern: WorkingHours | None = field(default=None, compare=False)
    start: date | None = None
    end: date | None = None
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def human(self) -> bool:
        """Whether the row is one person's, and not a shared or a service account."""
        return self.kind not in NOBODY

    def on(self, day: date) -> bool:
        """Whether the row holds on `day`."""
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)


@dataclass(frozen=True)
class Match:
    """Whose a login is: the one row it fits, or why there is none; `rule` says how it was found."""

    login: Login
    row: Person | None
    rule: str
    several: bool = False


class People:
    """The rows of people.csv, found by log user or by address."""

    def __init__(self, rows: Iterable[Person]) -> None:
        self.rows = list(rows)
        self._by_text: dict[str, list[Person]] = defaultdict(list)
        self._by_account: dict[str, list[tuple[str, Person]]] = defaultdict(list)
        self._by_mail: dict[str, list[Person]] = defaultdict(list)
        self._by_name: dict[str, list[Person]] = defaultdict(list)
        self._by_address: dict[str, list[Person]] = defaultdict(list)
        self._managers: dict[str, str] = {}
        for row in self.rows:
            for text in (row.user, *row.aliases):
                self._by_text[text.casefold()].append(row)
                login = normalised(text)
                self._by_account[login.account].append((login.domain, row))
            if row.email:
                self._by_mail[row.email.casefold()].append(row)
            self._by_name[" ".join(row.name.split()).casefold()].append(row)
            for address in (*row.addresses, *([row.user] if is_address(row.user) else [])):
                self._by_address[plain_address(address)].append(row)

    def match(self, user: str, day: date | None = None) -> Match:
        """The row of a login on `day` (on any, without one): as written, by domain, by account, …

        The first rule that finds anybody decides; where it finds two people, it is nobody's.
        """
        login = normalised(user)
        for rule, rows in self._candidates(user, login):
            found = [r for r in rows if day is None or r.on(day)]
            if not found:
                continue
            if login.service and found[0].human:
                break  # a machine's account is nobody's, whatever it is listed as
            mail = [r for r in self._by_mail.get(login_mail(user), []) if day is None or r.on(day)]
            others = mail if rule == "the account, whatever its domain" else []
            if len({r.user.casefold() for r in (*found, *others)}) > 1:
                return Match(login, None, rule, several=True)
            return Match(login, found[0], rule)
        return Match(login, None, "the form of the login" if login.service else "none")

    def _candidates(self, user: str, login: Login) -> Iterator[tuple[str, list[Person]]]:
        yield "as it is written", self._by_text.get(user.casefold(), [])
        yield "as it is written", self._by_text.get(readable(user).casefold(), [])
        accounts = self._by_account.get(login.account, []) if login.account else []
        if login.domain:
            own = [row for domain, row in accounts if domain and same_domain(domain, login.domain)]
            yield "account and domain", own
        yield "the account, whatever its domain", [row for domain, row in accounts if not domain]
        if not login.domain and login.form == "plain":
            yield "the only account of that name in any domain", [row for _, row in accounts]
        yield "e-mail address", self._by_mail.get(login.email or login_mail(user), [])
        if login.name:
            last, comma, first = login.name.partition(",")
            turned = f"{first.strip()} {last.strip()}" if comma else login.name
            yield (
                "displayed name",
                [row for name in {login.name, turned} for row in self._by_name.get(name, [])],
            )

    def login(self, user: str, day: date | None = None) -> Person | None:
        """The person a proxy login belongs to; None where it is nobody's or could be several's."""
        return self.match(user, day).row

    def address(self, address: str, day: date | None = None) -> Person | None:
        """The one person an address is assigned to; None where it is nobody's or several's."""
        rows = self.assigned(address, day)
        return rows[0] if len({r.user for r in rows}) == 1 else None

    def assigned(self, address: str, day: date | None = None) -> list[Person]:
        """All rows an address is assigned to on `day`."""
        rows = self._by_address.get(plain_address(address), [])
        return [r for r in rows if day is None or r.on(day)]

    def team(self, manager: str, day: date) -> list[Person]:
        """The people of one manager on `day`; shared and service accounts are nobody."""
        return [r for r in self._teams.get(self._canonical(manager), []) if r.on(day)]

    @cached_property
    def _teams(self) -> dict[str, list[Person]]:
        teams: dict[str, list[Person]] = defaultdict(list)
        for row in self.rows:
            if row.human:
                teams[self._canonical(row.manager)].append(row)
        return teams

    def managers(self) -> list[str]:
        """Everybody who is named as a manager, by user where there is one, sorted."""
        return sorted({self._canonical(r.manager) for r in self.rows if r.manager and r.human})

    def _canonical(self, manager: str) -> str:
        """A manager is written as user, e-mail or name, and not always the same way."""
        if manager not in self._managers:
            found = self.find(manager) if manager else None
            self._managers[manager] = found.user if found else manager
        return self._managers[manager]

    def find(self, who: str) -> Person | None:
        """A person by user, e-mail or full name (managers are written in any of the three)."""
        return self.login(who) or next((r for r in self.rows if who in (r.email, r.name)), None)


def is_address(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def plain_address(address: str) -> str:
    """An address as it compares: IPv6 has many spellings, and one of them is IPv4's."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0].strip("[]"))
    except ValueError:
        return address
    return str(getattr(found, "ipv4_mapped", None) or found)


def login_mail(user: str) -> str:
    """A login as an e-mail address compares; empty where it is none."""
    text = readable(user).casefold()
    return text if "@" in text else ""


def read_people(path: Path) -> People:
    """Read people.csv; raises BadConfiguration naming file, line and column."""
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise BadConfiguration(f"{path}: there is no such file; expected people as CSV.") from None
    except UnicodeDecodeError as error:
        raise BadConfiguration(
            f"{path}: is not UTF-8 text (byte {error.start}); save it as CSV UTF-8."
        ) from None
    reader = csv.DictReader(text.splitlines(), strict=True)
    columns = [c.strip() for c in reader.fieldnames or []]
    missing = [c for c in REQUIRED if c not in columns]
    if missing:
        raise BadConfiguration(
            f"{path}, line 1: column {', '.join(missing)} is missing; "
            f"expected {','.join(REQUIRED)} and, optional, {','.join(OPTIONAL)}."
        )
    reader.fieldnames = columns
    rows: list[Person] = []
    try:
        for row in reader:
            rows.append(_person(path, reader.line_num, row))
    except csv.Error as error:
        raise BadConfiguration(
            f"{path}, line {reader.reader.line_num}: not CSV: {error}."
        ) from None
    _refuse_overlaps(path, rows)
    return People(rows)


def _person(path: Path, line: int, row: dict[str | None, str | list[str] | None]) -> Person:
    where = f"{path}, line {line}"
    if None in row:
        raise BadConfiguration(f"{where}: more cells than columns; expected quotes round a comma.")
    cells = {str(k): str(v or "").strip() for k, v in row.items()}
    if not cells["user"]:
        raise BadConfiguration(f"{where}, column user: found nothing; expected a log user name.")
    kind = cells.get("kind") or "employee"
    if kind not in (*KINDS, *NOBODY):
        known = ", ".join((*KINDS, *NOBODY))
        raise BadConfiguration(f"{where}, column kind: found {kind!r}; expected one of {known}.")
    try:
        hours = pattern(cells.get("working_pattern", ""))
    except ValueError as error:
        raise BadConfiguration(f"{where}, column working_pattern: {error}.") from None
    return Person(
        user=cells["user"],
        name=cells["name"],
        department=cells["department"],
        manager=cells["manager"],
        email=cells["email"],
        kind=kind,
        roles=frozenset(cells.get("roles", "").replace(",", " ").replace(";", " ").split()),
        pattern=hours,
        start=_day(where, "from", cells.get("from", "")),
        end=_day(where, "to", cells.get("to", "")),
        addresses=tuple(cells.get("addresses", "").replace(";", " ").split()),
        aliases=tuple(cells.get("aliases", "").split()),
    )


def _day(where: str, column: str, text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadConfiguration(
            f"{where}, column {column}: found {text!r}; expected a day such as 2026-01-31."
        ) from None


def _refuse_overlaps(path: Path, rows: list[Person]) -> None:
    seen: dict[str, list[tuple[str, Person]]] = defaultdict(list)
    for row in rows:
        own = {row.user.casefold(): row.user} | {a.casefold(): a for a in row.aliases}
        for name, text in own.items():
            for column, other in seen[name]:
                starts = max(row.start or date.min, other.start or date.min)
                ends = min(row.end or date.max, other.end or date.max)
                if starts > ends:
                    continue
                what = "user" if text == row.user and column == "user" else "login"
                raise BadConfiguration(
                    f"{path}: {what} {text!r} stands twice for the same days (as a user or an "
                    f"alias); expected one row, or `from` and `to` that do not overlap."
                )
            seen[name].append(("user" if text == row.user else "aliases", row))
