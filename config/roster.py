"""people.csv kept up to date from a directory: what is new, changed or gone, and the file's text."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from config.people import OPTIONAL, REQUIRED

COLUMNS = (*REQUIRED, *OPTIONAL)
LONGEST_CELL = 500
FORMULA = ("=", "+", "-", "@", "\t", "\r")
Row = dict[str, str]
"""A row of people.csv: cells by column, all texts."""


@dataclass(frozen=True)
class Entry:
    """A person as a directory knows them: cells by column, and whether the account is in use.

    Columns the directory does not know are not in `cells` and stay as somebody wrote them.
    """

    cells: Mapping[str, str]
    active: bool = True


@dataclass
class Merge:
    """The new rows, and what differs from the old; `first`: there were none, so nobody is new."""

    rows: list[Row]
    added: list[str] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    first: bool = False

    @property
    def differs(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.added or self.changed or self.left)


def clean(text: object) -> str:
    """A cell without line breaks and control characters, no longer than a person could write."""
    plain = "".join(c if c.isprintable() else " " for c in str(text))
    return " ".join(plain.split())[:LONGEST_CELL]


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would run the cell."""
    return text.startswith(FORMULA)


def merged(old: Sequence[Row], entries: Iterable[Entry], today: date) -> Merge:
    """Rows after an import: nothing is ever dropped.

    Who is new begins today; who is gone or switched off ends yesterday; who came back gets a row of
    their own. Where department, manager or kind changes, the old row ends and a new one begins, for
    a day is told by the row that held on it. Names and e-mail addresses are put right in place. An
    entry with a user no spreadsheet may see, or a second one of the same user, is refused.
    """
    made = Merge([dict(row) for row in old], first=not old)
    seen: set[str] = set()
    for number, entry in enumerate(entries, 1):
        cells = {k: clean(v) for k, v in entry.cells.items()}
        cells = {k: "" if is_formula(v) and k != "user" else v for k, v in cells.items()}
        user = cells.get("user", "")
        if not user or is_formula(user) or user.casefold() in seen:
            reason = "no user" if not user else "a user twice or one a spreadsheet would run"
            made.refused.append(f"entry {number}: {reason}")
            continue
        seen.add(user.casefold())
        if entry.active:
            _take(made, user, cells, today)
        else:
            _end(made, user, today, cells.get("to", ""))
    for row in [r for r in made.rows if _open(r, today)]:
        if row["user"].casefold() not in seen and row.get("kind", "") not in ("shared", "service"):
            _end(made, row["user"], today, "")
    return made


def _open(row: Row, today: date) -> bool:
    return not row.get("to") or row["to"] >= today.isoformat()


def _current(made: Merge, user: str, today: date) -> Row | None:
    rows = [r for r in made.rows if r["user"].casefold() == user.casefold() and _open(r, today)]
    return rows[-1] if rows else None


def _take(made: Merge, user: str, cells: Row, today: date) -> None:
    row = _current(made, user, today)
    if row is None:
        known = any(r["user"].casefold() == user.casefold() for r in made.rows)
        begins = "" if made.first else today.isoformat()
        start = today.isoformat() if known else cells.get("from") or begins
        made.rows.append({**dict.fromkeys(COLUMNS, ""), **cells, "from": start})
        made.added.append(user)
        return
    facts = ("name", "email", "department", "manager", "kind")
    new = {k: cells[k] for k in facts if k in cells and cells[k] != row.get(k, "")}
    # A directory that has no kind to tell says nothing against the one somebody wrote.
    new = {k: v for k, v in new.items() if v or k not in ("kind", "name", "email")}
    if not new:
        return
    made.changed += [
        (row["user"], f"{k}: {row.get(k, '') or '-'} → {v or '-'}") for k, v in new.items()
    ]
    if new.keys() & {"department", "manager", "kind"} and row.get("from", "") < today.isoformat():
        after = {**row, **new, "from": today.isoformat()}
        row["to"] = (today - timedelta(days=1)).isoformat()
        made.rows.insert(made.rows.index(row) + 1, after)
    else:
        row.update(new)


def _end(made: Merge, user: str, today: date, last: str) -> None:
    row = _current(made, user, today)
    if row is None:
        return
    yesterday = (today - timedelta(days=1)).isoformat()
    end = min(last or yesterday, yesterday)
    row["to"] = max(end, row.get("from", ""))
    made.left.append(row["user"])


def text_of(rows: Sequence[Row]) -> str:
    """people.csv with all its columns; columns of somebody's own stay at the end."""
    own = [c for row in rows for c in row if c not in COLUMNS]
    columns = [*COLUMNS, *dict.fromkeys(own)]
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def rows_of(text: str) -> list[Row]:
    """The cells of a people.csv that has been read without a fault."""
    reader = csv.DictReader(text.removeprefix("\ufeff").splitlines())
    reader.fieldnames = [c.strip() for c in reader.fieldnames or []]
    return [{k: (v or "").strip() for k, v in row.items() if k} for row in reader]
