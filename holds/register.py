"""Legal holds on record: who is held, why, who answers for it, and until when without another look."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, select

from errors import NoSuchThing, NotPermitted, ReviewDue, WrongUsage
from state.tables import HOLD as TABLE
from subjects import refuse_self
from workspace import Workspace

REASONS = {
    "tribunal": "a claim before an employment tribunal, brought or expected",
    "litigation": "a claim before another court, brought or expected",
    "regulator": "an authority has asked that it be kept",
    "investigation": "a disciplinary procedure under way",
    "complaint": "a grievance or complaint of the person concerned",
}
LONGEST_DAYS = 366
AHEAD_DAYS = 92
"""How far into the future a hold may reach: a matter that is still going on."""
REVIEW_DAYS = 183
"""The longest a hold stands without anybody looking at it again."""


@dataclass(frozen=True)
class Hold:
    """A hold as it stands; days are the organisation's, both included."""

    id: str
    person: str
    first_day: date
    last_day: date
    reason: str
    note: str
    owner: str
    placed: datetime
    placed_by: str
    review: date
    released: datetime | None
    released_by: str | None
    gone: datetime | None

    @classmethod
    def of(cls, row: Row[Any]) -> "Hold":
        """From the state's row."""
        told = dict(row._mapping)
        for name in ("first_day", "last_day", "review"):
            told[name] = date.fromisoformat(told[name])
        for name in ("placed", "released", "gone"):
            told[name] = datetime.fromisoformat(told[name]) if told[name] else None
        return cls(**told)

    def overdue(self, now: datetime) -> bool:
        """In force, and nobody looked at it again by the day that was set."""
        return self.released is None and self.review < now.astimezone(UTC).date()


def holds(ws: Workspace, *, in_force: bool = False) -> list[Hold]:
    """Holds on record, by id; those released stay as long as cases do."""
    query = select(TABLE).order_by(TABLE.c.id)
    if in_force:
        query = query.where(TABLE.c.released.is_(None))
    with ws.state.read() as connection:
        return [Hold.of(row) for row in connection.execute(query)]


def hold(ws: Workspace, id_: str) -> Hold:
    """One hold. Raises NoSuchThing."""
    found = next((h for h in holds(ws) if h.id == id_.upper()), None)
    if found is None:
        known = ", ".join(h.id for h in holds(ws)) or "none"
        raise NoSuchThing(f"there is no hold {id_!r}; those on record: {known}.")
    return found


def review(ws: Workspace, id_: str, by: str, until: date, note: str, now: datetime) -> Hold:
    """Say that a hold is still needed, and until when it stands without another look."""
    known = _in_force(ws, id_)
    review_day(until, now.astimezone(UTC).date())
    by = refuse_self(ws, known.person, by, "--by")
    if not note.strip():
        raise WrongUsage("--note: expected why the hold is still needed.")
    with ws.state.change() as change:
        change.execute(TABLE.update().where(TABLE.c.id == known.id).values(review=str(until)))
        change.act("hold review", time=now, actor=ws.actor, hold=known.id, by=by, note=note, review=str(until))  # fmt: skip
    return hold(ws, known.id)


def unreviewed(ws: Workspace, now: datetime) -> list[Hold]:
    """Holds in force that nobody looked at by the day that was set."""
    return [h for h in holds(ws, in_force=True) if h.overdue(now)]


def refuse_unreviewed(ws: Workspace, now: datetime) -> None:
    """Raise ReviewDue where a hold stands longer than anybody answered for."""
    late = unreviewed(ws, now)
    if late:
        raise ReviewDue(
            "\n".join(
                f"legal hold {h.id} was to be reviewed by {h.review} and was not: `fairwatch hold "
                f"review {h.id}` or `fairwatch hold release {h.id}`; {h.owner} answers for it."
                for h in late
            )
        )


def _in_force(ws: Workspace, id_: str) -> Hold:
    known = hold(ws, id_)
    if known.released is not None:
        raise NotPermitted(f"{known.id} was released on {known.released.date()}.")
    return known


def review_day(day: date, today: date) -> None:
    """Raise WrongUsage for a day of review that is past, or too far away."""
    if not today < day <= today + timedelta(days=REVIEW_DAYS):
        raise WrongUsage(
            f"the day of the next review: found {day}; expected a day after {today} and at most "
            f"{REVIEW_DAYS} days from it: nobody forgets a hold for longer."
        )


def stamp(now: datetime) -> str:
    """An instant as the state keeps it."""
    return now.astimezone(UTC).isoformat()
