"""Erasure and restriction as state machines: said first, done in steps that may be repeated, looked at, said to be done."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.exc import DatabaseError

from errors import CannotWrite, FairwatchError, Overdue, WrongUsage
from holds import top_up
from lake import catalogue
from lake.files import remove, sha256
from lake.write import sweep
from rights import register
from rights.found import OPINIONS, files_of, refuse_open_cases, refuse_twice, states, told_of
from rights.register import Right
from rights.rewrite import RESTRICTED, days, put_back, take_out
from state.store import Change
from state.tables import ASIDE, CASE, FINDING, METADATA, PACK, RIGHTS
from subjects import Span, records, refuse_self, set_aside
from verification import spent_keys
from workspace import Workspace

ITEMS_AN_ACT = 500


@dataclass
class Run:
    """A deed under way."""

    ws: Workspace
    right: Right
    span: Span
    now: datetime


def erase(
    ws: Workspace,
    span: Span,
    request: str,
    by: str,
    now: datetime,
    after: Callable[[str], None] = lambda step: None,
) -> Right:
    """Take a person's rows and records of a period out of everything; copies under a hold stay.

    The caller holds the site's lock. Raises NotPermitted while a case about the person is open,
    CannotWrite, Overdue. Killed at any point, `resume` goes on from there.
    """
    with _told("The erasure", "ask"):
        refuse_open_cases(ws, span)
        return _begin(ws, "erasure", span, request, by, now, after)


def restrict(
    ws: Workspace,
    span: Span,
    request: str,
    by: str,
    now: datetime,
    after: Callable[[str], None] = lambda step: None,
) -> Right:
    """Keep a person's rows and findings of a period apart: stored, and seen by no question.

    The caller holds the site's lock. Raises as `erase`. They still go when they are due.
    """
    with _told("The restriction", "ask"):
        refuse_twice(ws, span)
        return _begin(ws, "restriction", span, request, by, now, after)


def lift(ws: Workspace, id_: str, by: str, note: str, now: datetime) -> Right:
    """End a restriction: what was kept apart is part of the lake again."""
    known = register.right(ws, id_)
    if known.deed != "restriction" or known.state not in ("done", "lifting"):
        raise WrongUsage(f"{known.id} is no restriction in force.")
    if not note.strip():
        raise WrongUsage("--note: expected why it is lifted.")
    by = refuse_self(ws, known.person or "", by, "--by")
    with _told(known.id, "ask"), ws.state.change() as change:
        register.note(change, known.id, state="lifting")
        change.act("restriction lift", time=now, actor=ws.actor, right=known.id, by=by, note=note)
    _lifted(ws, known, now)
    return register.right(ws, known.id)


def resume(ws: Workspace, now: datetime) -> tuple[list[Right], list[FairwatchError]]:
    """Go on with what was cut short, and keep apart what came late under a restriction.

    What ended, and what could not.
    """
    ended: list[Right] = []
    stuck: list[FairwatchError] = []
    for known in register.rights(ws, "under way", "lifting"):
        if known.deed == "access":
            continue  # half a bundle is none: it is asked for again
        with _beside(stuck):
            if known.state == "lifting":
                _lifted(ws, known, now)
            else:
                _go(Run(ws, known, _span(ws, known), now))
            ended.append(register.right(ws, known.id))
    for known in register.rights(ws, "done"):
        with _beside(stuck):
            if known.deed == "restriction" and _came_late(ws, known):
                with ws.state.change() as change:
                    register.note(change, known.id, state="under way")
                _go(Run(ws, register.right(ws, known.id), _span(ws, known), now))
                ended.append(register.right(ws, known.id))
    return ended, stuck


@contextmanager
def _beside(stuck: list[FairwatchError]) -> Iterator[None]:
    """One deed that cannot go on keeps no other from it."""
    try:
        yield
    except FairwatchError as error:
        stuck.append(error)


def _begin(
    ws: Workspace,
    deed: register.Deed,
    span: Span,
    request: str,
    by: str,
    now: datetime,
    after: Callable[[str], None],
) -> Right:
    with ws.state.change() as change:
        made = register.ask(ws, change, deed, span, request, by, now)
        change.act(f"{deed} ask", time=now, actor=ws.actor, right=made.id, request=request, by=by,
                   first_day=str(span.first), last_day=str(span.last))  # fmt: skip
    _go(Run(ws, made, span, now), after)
    return register.right(ws, made.id)


def _go(run: Run, after: Callable[[str], None] = lambda step: None) -> None:
    # Where the name is forgotten already, all was seen to be gone.
    steps = STEPS if run.right.person else STEPS[-2:]
    for name, step in steps:
        with _told(run.right.id, name):
            step(run)
        after(name)


@contextmanager
def _told(what: str, step: str) -> Iterator[None]:
    """What stops a deed half-way, in a sentence."""
    try:
        yield
    except (OSError, DatabaseError, pa.ArrowException) as error:
        why = next(iter(str(getattr(error, "orig", None) or error).splitlines()), "")
        raise CannotWrite(
            f"{what} stopped at the step `{step}`: {why}. Nothing is said to be done; free "
            f"space on the disk or mend the folder's rights, and run it again: it goes on from there."
        ) from None


def _copy_held(run: Run) -> None:
    """A legal hold keeps what an erasure takes out, also what came since it was last copied."""
    if run.right.deed != "erasure":
        return
    failed = top_up(run.ws, run.now, run.span.person)
    if failed:
        told = "\n".join(f"{name}: {why}" for name, why in failed.items())
        raise CannotWrite(f"{run.right.id} waits, and nothing more is taken out:\n{told}")


def _intend(run: Run) -> None:
    """Say in the ledger what will go; a deed begun anew says what is left of it."""
    deed, told = run.right.deed, []
    for one in days(run.ws, run.span, *states(deed)):
        told += [
            {
                "store": one.dataset.name,
                "name": part.path,
                "kind": "rows",
                "oldest": part.day,
                "rows": number,
                "sha256": part.sha256,
                **({"key": part.key} if part.key else {}),
            }
            for part, number in one.parts.values()
        ]
    gone = files_of(run.ws, run.span) if deed == "erasure" else []
    told += [
        {
            "store": path.split("/")[0],
            "name": path,
            "kind": "file",
            "oldest": str(run.span.first),
            "sha256": sha256(run.ws.folder / path),
        }
        for path in gone
    ]
    with run.ws.state.change() as change:
        for at in range(0, max(1, len(told)), ITEMS_AN_ACT):
            change.act(
                "rows intent",
                time=run.now,
                actor=run.ws.actor,
                right=run.right.id,
                deed=deed,
                items=told[at : at + ITEMS_AN_ACT],
                records=told_of(run.ws, deed, run.span) if not at else {},
            )


def _rewrite(run: Run) -> None:
    """Each day by itself: new partitions in the place of the old in one transaction."""
    apart = run.right.deed == "restriction"
    for one in days(run.ws, run.span, *states(run.right.deed)):
        take_out(run.ws, one, run.span, run.right.id, apart=apart)


def _take_records(run: Run) -> None:
    """Findings and reviews go, or aside; cases and packs go with an erasure."""
    span, erasing = run.span, run.right.deed == "erasure"
    with run.ws.state.change() as change:
        for table in (*OPINIONS, CASE) if erasing else OPINIONS:
            for day, row in records(change.connection, table, span.person, span.first, span.last):
                if table is CASE:
                    change.execute(PACK.delete().where(PACK.c.case == row["id"]))
                if not erasing:
                    change.execute(
                        ASIDE.insert().values(
                            restriction=run.right.id,
                            kind=table.name,
                            first_day=day.isoformat(),
                            row=json.dumps(row),
                        )
                    )
                change.execute(table.delete().where(table.c.id == row["id"]))
        if erasing:
            for id_, *_ in set_aside(change.connection, span.person, span.first, span.last):
                change.execute(ASIDE.delete().where(ASIDE.c.id == id_))
            _drop_requests(change, run)


def _drop_requests(change: Change, run: Run) -> None:
    """Restrictions and bundles within the erased period name the person, too."""
    inside = (
        RIGHTS.c.person == run.span.person,
        RIGHTS.c.id != run.right.id,
        RIGHTS.c.first_day >= run.span.first.isoformat(),
        RIGHTS.c.last_day <= run.span.last.isoformat(),
    )
    for id_ in change.execute(select(RIGHTS.c.id).where(*inside)).scalars().all():
        change.execute(ASIDE.delete().where(ASIDE.c.restriction == id_))
        change.execute(RIGHTS.delete().where(RIGHTS.c.id == id_))


def _take_files(run: Run) -> None:
    """Packs and bundles of the person: named in the intent, gone by its names."""
    if run.right.deed == "erasure":
        for path in _intended_files(run):
            if (run.ws.folder / path).exists():
                remove(run.ws.folder / path)


def _intended_files(run: Run) -> list[str]:
    return [
        item["name"]
        for line in run.ws.ledger.lines()
        if line.act["act"] == "rows intent" and line.act["right"] == run.right.id
        for item in line.act["items"]
        if item["kind"] == "file"
    ]


def _destroy_keys(run: Run) -> None:
    """The keys the days had before: copies of the old partitions cannot be read any more."""
    run.ws.keys.destroy(spent_keys(run.ws, run.now))


def _unlink(run: Run) -> None:
    with run.ws.state.read() as connection:
        sweep(connection, run.ws.folder)


def _scrub(run: Run) -> None:
    run.ws.state.scrub()


def _look(run: Run) -> None:
    """By the partitions, tables, files and keys as they are now."""
    deed = run.right.deed
    left = [path for one in days(run.ws, run.span, *states(deed)) for path in one.parts]
    left += [f"table {name}" for name in told_of(run.ws, deed, run.span)]
    left += [p for p in _intended_files(run) if (run.ws.folder / p).exists()]
    left += spent_keys(run.ws, run.now)
    with run.ws.state.read() as connection:
        known = catalogue.known_paths(connection)
    left += [
        item["name"]
        for line in run.ws.ledger.lines()
        if line.act["act"] == "rows intent" and line.act["right"] == run.right.id
        for item in line.act["items"]
        if item["name"] not in known and (run.ws.folder / item["name"]).exists()
    ]
    if left:
        raise Overdue(
            f"{run.right.id} is not done, these are left: {', '.join(left)}. Run it again with "
            f"`fairwatch run rights`."
        )


def _forget(run: Run) -> None:
    """An erased person's name goes last, and from the database's bytes, before it is said to be done."""
    if run.right.deed == "erasure":
        with run.ws.state.change() as change:
            register.note(change, run.right.id, person=None)
        run.ws.state.scrub()


def _say(run: Run) -> None:
    """Done: the look found nothing, or it would have stopped there."""
    with run.ws.state.change() as change:
        register.note(change, run.right.id, state="done")
        change.act(
            "rows done", time=run.now, actor=run.ws.actor, right=run.right.id, deed=run.right.deed
        )


STEPS: tuple[tuple[str, Callable[[Run], None]], ...] = (
    ("copy", _copy_held),
    ("intent", _intend),
    ("rewrite", _rewrite),
    ("records", _take_records),
    ("files", _take_files),
    ("keys", _destroy_keys),
    ("unlink", _unlink),
    ("scrub", _scrub),
    ("look", _look),
    ("forget", _forget),
    ("say", _say),
)
"""A deed from its first word to its last; each step may be done again after a kill."""


def _lifted(ws: Workspace, known: Right, now: datetime) -> None:
    with _told(known.id, "lift"):
        _lift(ws, known, now)


def _lift(ws: Workspace, known: Right, now: datetime) -> None:
    for one in days(ws, _span(ws, known), RESTRICTED):
        mine = {p: t for p, t in one.parts.items() if p.startswith(f"{RESTRICTED}/{known.id}/")}
        if mine:
            put_back(ws, type(one)(one.dataset, one.day, mine))
    with ws.state.change() as change:
        for row in change.execute(select(ASIDE).where(ASIDE.c.restriction == known.id)).all():
            table = METADATA.tables[row.kind]
            back: dict[str, Any] = json.loads(row.row)
            if table is FINDING:  # a night may have found it again
                change.execute(table.delete().where(table.c.id == back["id"]))
            elif change.execute(select(table.c.id).where(table.c.id == back["id"])).first():
                back.pop("id")  # a number given to another review since
            change.execute(table.insert().values(**back))
        change.execute(ASIDE.delete().where(ASIDE.c.restriction == known.id))
        register.note(change, known.id, state="lifted")
        change.act("restriction lifted", time=now, actor=ws.actor, right=known.id)
    with ws.state.read() as connection:
        sweep(connection, ws.folder)


def _came_late(ws: Workspace, known: Right) -> bool:
    span = _span(ws, known)
    return bool(told_of(ws, known.deed, span)) or any(True for _ in days(ws, span, "live"))


def _span(ws: Workspace, known: Right) -> Span:
    return Span.of(ws, known.person or "", known.first_day, known.last_day)
