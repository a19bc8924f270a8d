"""Reviews: what humans made of findings, each with its reason, kept with the record."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import select

from analytics.finding import Finding
from errors import NoSuchThing, NotPermitted, WrongUsage
from state.tables import FINDING, REVIEW
from subjects import name_of, same_person
from workspace import Workspace

Act = Literal["dismiss", "note", "refer", "contest"]
State = Literal["waiting", "noted", "contested", "dismissed", "referred"]
SHORTEST, LONGEST = 10, 2000
"""Letters of a reason: a word is none, and a pack is no place for a book."""


@dataclass(frozen=True)
class Review:
    """One act of a human about a finding; `contest` is the word of the person concerned."""

    finding: str
    act: Act
    reason: str
    by: str
    time: str
    facts: str


@dataclass(frozen=True)
class Standing:
    """Where a finding stands; `changed`: what it rests on is not what was decided on then."""

    state: State
    changed: bool
    reviews: list[Review]


@dataclass(frozen=True)
class Listed:
    """A finding that is on record, and where it stands."""

    id: str
    week: str
    rule: str
    person: str
    state: State
    changed: bool
    acts: int
    last_by: str | None
    last_time: str | None
    last_reason: str | None


def review(ws: Workspace, id_: str, act: Act, reason: str, by: str, now: datetime) -> Standing:
    """Put down what a human makes of a finding; the act stands in the ledger before it happens.

    Raises NoSuchThing for a finding that is not on record, WrongUsage for a reason that is none,
    NotPermitted where the person concerned would decide about themselves.
    """
    text, who = _reason(reason), name_of(by, "--by")
    row = _on_record(ws, id_)
    if act in ("dismiss", "refer") and same_person(ws, who, row.person):
        raise NotPermitted(
            f"finding {id_} is about {who}; somebody else has to decide. Their own word is put down "
            f"with --contest."
        )
    facts = {"finding": id_, "week": row.week, "does": act, "by": who, "reason": text}
    ws.ledger.append("finding review", time=now, actor=ws.actor, **facts)
    with ws.state.change() as change:
        change.execute(
            REVIEW.insert().values(
                finding=id_,
                person=row.person,
                week=row.week,
                first_day=row.first_day,
                act=act,
                reason=text,
                by=who,
                time=now.astimezone(UTC).isoformat(),
                facts=json.loads(row.body).get("facts", ""),
            )
        )
        change.act("finding reviewed", time=now, actor=ws.actor, finding=id_, does=act)
    return _standing(_reviews(ws, [id_]).get(id_, []), json.loads(row.body).get("facts", ""))


def standings(ws: Workspace, found: Sequence[Finding]) -> dict[str, Standing]:
    """Where each finding stands, by its id."""
    known = _reviews(ws, [f.id for f in found])
    return {f.id: _standing(known.get(f.id, []), f.facts) for f in found}


def open_matters(ws: Workspace, found: Sequence[Finding]) -> list[Finding]:
    """Findings nobody has dismissed: one that was does not come back for the same facts."""
    where = standings(ws, found)
    return [f for f in found if where[f.id].state != "dismissed"]


def listed(ws: Workspace) -> list[Listed]:
    """All findings on record and where they stand, by week, rule and id: no order by how much."""
    columns = (FINDING.c.id, FINDING.c.week, FINDING.c.rule, FINDING.c.person, FINDING.c.body)
    with ws.state.read() as connection:
        rows = connection.execute(select(*columns)).all()
    known = _reviews(ws, [row.id for row in rows])
    made = []
    for row in sorted(rows, key=lambda r: (r.week, r.rule, r.id)):
        at = _standing(known.get(row.id, []), json.loads(row.body).get("facts", ""))
        last = at.reviews[-1] if at.reviews else None
        made.append(
            Listed(
                row.id,
                row.week,
                row.rule,
                row.person,
                at.state,
                at.changed,
                len(at.reviews),
                last.by if last else None,
                last.time if last else None,
                last.reason if last else None,
            )
        )
    return made


def with_standing(found: Sequence[Finding], where: dict[str, Standing]) -> list[dict[str, Any]]:
    """Findings as plain data with what was made of them."""
    return [
        {
            **f.as_json(),
            "state": where[f.id].state,
            "changed": where[f.id].changed,
            "reviews": [asdict(r) for r in where[f.id].reviews],
            "other_rules": _apart(f),
        }
        for f in found
    ]


def _apart(finding: Finding) -> str | None:
    """What other rules say where they differ much; None where they do not."""
    said = finding.against.other_rules
    return said.text if said.figures.get("differs") else None


def _standing(reviews: list[Review], facts: str) -> Standing:
    decided = [r for r in reviews if r.act in ("dismiss", "refer")]
    if decided:
        last = decided[-1]
        changed = last.facts != facts
        if last.act == "refer":
            return Standing("referred", changed, reviews)
        if not changed:
            return Standing("dismissed", False, reviews)
        # Other facts are another matter: it waits again, with all that was said before.
        return Standing("waiting", True, reviews)
    said = {r.act for r in reviews}
    state: State = "contested" if "contest" in said else "noted" if "note" in said else "waiting"
    return Standing(state, False, reviews)


def _on_record(ws: Workspace, id_: str) -> Any:
    with ws.state.read() as connection:
        row = connection.execute(select(FINDING).where(FINDING.c.id == id_)).one_or_none()
    if row is None:
        raise NoSuchThing(
            f"finding {id_!r} is not on record; `fairwatch findings list` shows those that are."
        )
    return row


def _reviews(ws: Workspace, ids: Iterable[str]) -> dict[str, list[Review]]:
    wanted = set(ids)
    with ws.state.read() as connection:
        rows = connection.execute(select(REVIEW).order_by(REVIEW.c.id)).all()
    made: dict[str, list[Review]] = {}
    for row in rows:
        if row.finding in wanted and row.act in get_args(Act):
            made.setdefault(row.finding, []).append(
                Review(row.finding, row.act, row.reason, row.by, row.time, row.facts)
            )
    return made


def _reason(text: str) -> str:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not SHORTEST <= len(plain) <= LONGEST:
        raise WrongUsage(
            f"--reason: expected {SHORTEST} to {LONGEST} letters that say why, so that somebody "
            f"else can follow it."
        )
    return plain
