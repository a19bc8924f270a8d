"""Requests on record: who asked for what on whose behalf, and how far it is."""

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from sqlalchemy import Row, select

from errors import NoSuchThing, WrongUsage
from state.store import Change
from state.tables import RIGHTS
from subjects import Span, digest_of, refuse_self
from workspace import Workspace

Deed = Literal["access", "erasure", "restriction"]
LETTERS: dict[Deed, str] = {"access": "A", "erasure": "E", "restriction": "R"}


@dataclass(frozen=True)
class Right:
    """A request as it stands; days are the organisation's, both included.

    `person` is None once an erasure is done: late lines are told by `digest` (HMAC-SHA256 of the
    stored name under `salt`), which shows a name only to somebody who already knows it.
    """

    id: str
    deed: Deed
    person: str | None
    salt: str | None
    digest: str | None
    first_day: date
    last_day: date
    request: str
    by: str
    asked: datetime
    state: str

    @classmethod
    def of(cls, row: Row[Any]) -> "Right":
        """From the state's row."""
        told = dict(row._mapping)
        for name in ("first_day", "last_day"):
            told[name] = date.fromisoformat(told[name])
        told["asked"] = datetime.fromisoformat(told["asked"])
        return cls(**told)


def rights(ws: Workspace, *states: str) -> list[Right]:
    """Requests on record, all or those in these states, by id."""
    query = select(RIGHTS).order_by(RIGHTS.c.id)
    if states:
        query = query.where(RIGHTS.c.state.in_(states))
    with ws.state.read() as connection:
        return [Right.of(row) for row in connection.execute(query)]


def right(ws: Workspace, id_: str) -> Right:
    """One request. Raises NoSuchThing."""
    found = next((r for r in rights(ws) if r.id == id_.upper()), None)
    if found is None:
        known = ", ".join(r.id for r in rights(ws)) or "none"
        raise NoSuchThing(f"there is no request {id_!r}; those on record: {known}.")
    return found


def ask(
    ws: Workspace, change: Change, deed: Deed, span: Span, request: str, by: str, now: datetime
) -> Right:
    """Put a request on record, under way. Raises WrongUsage, NotPermitted."""
    if not request.strip():
        raise WrongUsage("--request: expected the organisation's own reference of the request.")
    by = refuse_self(ws, span.person, by, "--by")
    salt = os.urandom(16).hex() if deed == "erasure" else None
    letter = LETTERS[deed]
    number = change.number(f"requests {letter} of {now.year}")
    made = Right(
        id=f"{letter}-{now.year}-{number:04d}",
        deed=deed,
        person=span.person,
        salt=salt,
        digest=digest_of(span.person, salt) if salt else None,
        first_day=span.first,
        last_day=span.last,
        request=request,
        by=by,
        asked=now.astimezone(UTC),
        state="under way",
    )
    told = {**vars(made), "first_day": str(span.first), "last_day": str(span.last)}
    change.execute(RIGHTS.insert().values(**{**told, "asked": made.asked.isoformat()}))
    return made


def note(change: Change, id_: str, **values: Any) -> None:
    """Change a request's record."""
    change.execute(RIGHTS.update().where(RIGHTS.c.id == id_).values(**values))
