"""leave.csv: on which days who was away; nothing else, least of all why."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from errors import BadConfiguration

COLUMNS = ("user", "from", "to")
LONGEST_DAYS = 3 * 366
"""An absence of more than three years is taken for a typo."""


@dataclass(frozen=True)
class Away:
    """Days (both included) on which a person of people.csv did not work."""

    user: str
    start: date
    end: date


class Leave:
    """Who was away when."""

    def __init__(self, rows: Iterable[Away] = ()) -> None:
        self.rows = tuple(rows)

    def on(self, day: date) -> frozenset[str]:
        """The users, in small letters, who were away on a day."""
        return frozenset(row.user.casefold() for row in self.rows if row.start <= day <= row.end)


def read_leave(path: Path, known: Iterable[str]) -> Leave:
    """Read leave.csv; `known`: the users of people.csv.

    Raises BadConfiguration naming file, line and column, and never the person.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise BadConfiguration(
            f"{path}: there is no such file; expected {','.join(COLUMNS)} as CSV, or no `leave` in "
            f"fairwatch.yaml."
        ) from None
    except UnicodeDecodeError as error:
        raise BadConfiguration(
            f"{path}: is not UTF-8 text (byte {error.start}); save it as CSV UTF-8."
        ) from None
    reader = csv.DictReader(text.splitlines(), strict=True)
    columns = [c.strip() for c in reader.fieldnames or []]
    if sorted(columns) != sorted(COLUMNS):
        raise BadConfiguration(
            f"{path}, line 1: expected the columns {','.join(COLUMNS)} and no others; why somebody "
            f"was away has no place here."
        )
    reader.fieldnames = columns
    users = {user.casefold(): user for user in known}
    rows = []
    try:
        for row in reader:
            rows.append(_away(f"{path}, line {reader.line_num}", row, users))
    except csv.Error as error:
        raise BadConfiguration(
            f"{path}, line {reader.reader.line_num}: not CSV: {error}."
        ) from None
    return Leave(rows)


def _away(where: str, row: dict[str | None, str | list[str] | None], users: dict[str, str]) -> Away:
    if None in row:
        raise BadConfiguration(f"{where}: more cells than columns; expected {','.join(COLUMNS)}.")
    cells = {str(k): str(v or "").strip() for k, v in row.items()}
    user = users.get(cells["user"].casefold())
    if user is None:
        raise BadConfiguration(
            f"{where}, column user: is nobody's in people.csv; expected a user as it stands there."
        )
    start, end = (_day(where, column, cells[column]) for column in ("from", "to"))
    if not 0 <= (end - start).days < LONGEST_DAYS:
        raise BadConfiguration(
            f"{where}: found {start} to {end}; expected `to` on or after `from`, and at most three "
            f"years."
        )
    return Away(user, start, end)


def _day(where: str, column: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadConfiguration(
            f"{where}, column {column}: expected a day such as 2026-01-31 (a single day stands in "
            f"both columns)."
        ) from None
