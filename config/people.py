"""people.csv: who a log's user or address is, in which team, on which days."""

import csv
import ipaddress
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path

from config.hours import WorkingHours, pattern
from errors import BadConfiguration

REQUIRED = ("user", "name", "department", "manager", "email")
OPTIONAL = ("kind", "roles", "working_pattern", "from", "to", "addresses")
KINDS = ("employee", "volunteer", "trustee", "agency", "student")


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

    def on(self, day: date) -> bool:
        """Whether the row holds on `day`."""
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)


class People:
    """The rows of people.csv, found by log user or by address."""

    def __init__(self, rows: Iterable[Person]) -> None:
        self.rows = list(rows)
        self._by_user: dict[str, list[Person]] = defaultdict(list)
        self._by_address: dict[str, list[Person]] = defaultdict(list)
        self._managers: dict[str, str] = {}
        for row in self.rows:
            self._by_user[row.user.casefold()].append(row)
            for address in (*row.addresses, *([row.user] if is_address(row.user) else [])):
                self._by_address[_plain(address)].append(row)

    def login(self, user: str, day: date | None = None) -> Person | None:
        """The person a proxy login belongs to: as written, without a domain, without a realm."""
        name = user.casefold()
        account = name.rpartition("\\")[2]
        for candidate in (name, account, account.partition("@")[0]):
            rows = self._by_user.get(candidate, [])
            if found := next((r for r in rows if day is None or r.on(day)), None):
                return found
        return None

    def address(self, address: str, day: date | None = None) -> Person | None:
        """The one person an address is assigned to; None where it is nobody's or several's."""
        rows = [r for r in self._by_address.get(_plain(address), []) if day is None or r.on(day)]
        return rows[0] if len({r.user for r in rows}) == 1 else None

    def team(self, manager: str, day: date) -> list[Person]:
        """The people of one manager on `day`."""
        return [r for r in self._teams.get(self._canonical(manager), []) if r.on(day)]

    @cached_property
    def _teams(self) -> dict[str, list[Person]]:
        teams: dict[str, list[Person]] = defaultdict(list)
        for row in self.rows:
            teams[self._canonical(row.manager)].append(row)
        return teams

    def managers(self) -> list[str]:
        """Everybody who is named as a manager, by user where there is one, sorted."""
        return sorted({self._canonical(r.manager) for r in self.rows if r.manager})

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


def _plain(address: str) -> str:
    """An address as it compares: IPv6 has many spellings."""
    return str(ipaddress.ip_address(address)) if is_address(address) else address


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
    if kind not in KINDS:
        raise BadConfiguration(
            f"{where}, column kind: found {kind!r}; expected one of {', '.join(KINDS)}."
        )
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
    seen: dict[str, list[Person]] = defaultdict(list)
    for row in rows:
        for other in seen[row.user.casefold()]:
            starts = max(row.start or date.min, other.start or date.min)
            ends = min(row.end or date.max, other.end or date.max)
            if starts <= ends:
                raise BadConfiguration(
                    f"{path}: user {row.user!r} stands twice for the same days; "
                    f"expected one row, or `from` and `to` that do not overlap."
                )
        seen[row.user.casefold()].append(row)
