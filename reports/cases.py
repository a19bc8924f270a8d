"""Cases: the documented reason, and the second person, without which nobody's data is opened."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Row, select, update

from config.policy import Policy, Reason
from errors import NoSuchThing, NotPermitted, WrongUsage
from state.tables import CASE
from subjects import name_of, same_person
from workspace import Workspace

LONGEST_DAYS = 92
"""A case is about a suspicion in some weeks, not about a person's year."""


@dataclass(frozen=True)
class Case:
    """A case as it stands; days are the organisation's, both included."""

    id: str
    person: str
    first_day: date
    last_day: date
    reason: str
    note: str
    asked_by: str
    asked: datetime
    approved_by: str | None
    approved: datetime | None
    closed: datetime | None

    @classmethod
    def of(cls, row: Row[Any]) -> "Case":
        """From the state's row."""
        return cls(
            id=row.id,
            person=row.person,
            first_day=date.fromisoformat(row.first_day),
            last_day=date.fromisoformat(row.last_day),
            reason=row.reason,
            note=row.note,
            asked_by=row.asked_by,
            asked=datetime.fromisoformat(row.asked),
            approved_by=row.approved_by,
            approved=datetime.fromisoformat(row.approved) if row.approved else None,
            closed=datetime.fromisoformat(row.closed) if row.closed else None,
        )


def reasons(ws: Workspace, day: date) -> tuple[Policy, list[Reason]]:
    """The reasons the policy in force on `day` allows; raises NotPermitted where none is."""
    policy = ws.policy_on(day)
    if policy is None:
        raise NotPermitted(
            f"No policy was in force on {day}, or the people concerned had not been told; "
            f"their data of that day cannot be opened."
        )
    return policy, policy.reasons


def open_case(
    ws: Workspace,
    person: str,
    first: date,
    last: date,
    reason: str,
    note: str,
    asked_by: str,
    now: datetime,
) -> Case:
    """Ask for a named person's data. Raises WrongUsage, NotPermitted, NoSuchThing."""
    if last < first or (last - first).days >= LONGEST_DAYS:
        raise WrongUsage(
            f"found {first} to {last}; expected a period of 1 to {LONGEST_DAYS} days, in order."
        )
    known = ws.people.login(person)
    if known is None:
        raise NoSuchThing(
            f"{person!r} is not in {ws.settings.people}; a case is about a person in that list."
        )
    if not known.human:
        raise NotPermitted(
            f"{person!r} is a {known.kind} account in {ws.settings.people}; a case is about a person, "
            f"and nobody can be told apart behind it."
        )
    policy, allowed = reasons(ws, first)
    if reason not in {r.id for r in allowed}:
        choices = "; ".join(f"{r.id} ({r.text}, clause {r.clause})" for r in allowed)
        raise NotPermitted(f"reason {reason!r} is not one the policy {policy.id} knows: {choices}.")
    asker = name_of(asked_by, "--by")
    if same_person(ws, asker, known.user):
        raise NotPermitted("A person's own data is asked for by subject access, not by a case.")
    with ws.state.change() as change:
        id_ = f"C-{now.year}-{change.number(f'cases of {now.year}'):04d}"
        change.execute(
            CASE.insert().values(
                id=id_,
                person=known.user,
                first_day=first.isoformat(),
                last_day=last.isoformat(),
                reason=reason,
                note=note,
                asked_by=asker,
                asked=now.astimezone(UTC).isoformat(),
            )
        )
        change.act(
            "case open",
            time=now,
            actor=ws.actor,
            case=id_,
            person=known.user,
            first_day=first.isoformat(),
            last_day=last.isoformat(),
            reason=reason,
            by=asker,
        )
    return case(ws, id_)


def approve(ws: Workspace, id_: str, by: str, now: datetime) -> Case:
    """A second person agrees. Raises NotPermitted for the asker and the person concerned."""
    asked = case(ws, id_)
    approver = name_of(by, "--by")
    person = ws.people.login(asked.person)
    if asked.closed:
        raise NotPermitted(f"case {id_} is closed.")
    if asked.approved:
        raise NotPermitted(f"case {id_} was approved by {asked.approved_by} already.")
    if same_person(ws, approver, asked.asked_by):
        raise NotPermitted(
            f"case {id_} was asked for by {asked.asked_by}; a second person has to approve it."
        )
    if person and same_person(ws, approver, person.user):
        raise NotPermitted(f"case {id_} is about {approver}; somebody else has to approve it.")
    with ws.state.change() as change:
        changed = change.execute(
            update(CASE)
            .where(CASE.c.id == id_, CASE.c.approved.is_(None), CASE.c.closed.is_(None))
            .values(approved_by=approver, approved=now.astimezone(UTC).isoformat())
        )
        if changed.rowcount != 1:
            raise NotPermitted(f"case {id_} was approved or closed just now by somebody else.")
        change.act("case approve", time=now, actor=ws.actor, case=id_, by=approver)
    return case(ws, id_)


def close(ws: Workspace, id_: str, by: str, now: datetime) -> Case:
    """End a case: nothing more can be built for it."""
    if case(ws, id_).closed:
        raise NotPermitted(f"case {id_} is closed.")
    with ws.state.change() as change:
        changed = change.execute(
            update(CASE)
            .where(CASE.c.id == id_, CASE.c.closed.is_(None))
            .values(closed=now.astimezone(UTC).isoformat())
        )
        if changed.rowcount != 1:
            raise NotPermitted(f"case {id_} was closed just now by somebody else.")
        change.act("case close", time=now, actor=ws.actor, case=id_, by=name_of(by, "--by"))
    return case(ws, id_)


def case(ws: Workspace, id_: str) -> Case:
    """A case by its id; raises NoSuchThing."""
    with ws.state.read() as connection:
        row = connection.execute(select(CASE).where(CASE.c.id == id_)).one_or_none()
    if row is None:
        raise NoSuchThing(
            f"case {id_!r} does not exist; `fairwatch case list` shows those that do."
        )
    return Case.of(row)


def cases(ws: Workspace) -> list[Case]:
    """All cases, oldest first."""
    with ws.state.read() as connection:
        return [Case.of(r) for r in connection.execute(select(CASE).order_by(CASE.c.asked))]


def approved(ws: Workspace, id_: str) -> Case:
    """A case whose data may be opened now; raises NotPermitted."""
    found = case(ws, id_)
    if found.closed:
        raise NotPermitted(f"case {id_} is closed; open a new one if the reason still stands.")
    if not found.approved or not found.approved_by:
        raise NotPermitted(
            f"case {id_} is not approved; a second person runs `fairwatch case approve {id_}`."
        )
    if same_person(ws, found.approved_by, found.asked_by):
        raise NotPermitted(f"case {id_} was asked for and approved by the same person.")
    return found
