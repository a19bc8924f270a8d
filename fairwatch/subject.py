"""What a person may ask for, as whoever deals with the request types it."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

import typer

from fairwatch import place, show
from fairwatch.options import ROUTINE, AsJson, By, Confirm, Site, answer, look, opened
from fairwatch.program import Commands
from reports.bundle import Issued, right_certified
from reports.subject import access
from rights import deeds, register
from rights.found import plan as plan_of
from rights.register import Right
from subjects import Span, everything, whom
from workspace import Workspace

subject_app = typer.Typer(help="What a person may ask for: access, erasure, restriction.", no_args_is_help=True)  # fmt: skip
Person = Annotated[str, typer.Argument(metavar="PERSON", help="User name in people.csv.")]
Request = Annotated[str, typer.Option("--request", help="Your own reference of the request.")]
Handler = Annotated[str | None, typer.Option("--by", help="Who deals with it; else who is typing.")]
NO_REFERENCE = "no reference given"
First = Annotated[
    datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day; else all.")
]
Last = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")]


@dataclass(frozen=True)
class Listed:
    """A request as `subject list` tells it; of an erased person no name is left."""

    id: str
    deed: str
    person: str | None
    first_day: date
    last_day: date
    request: str
    by: str
    asked: datetime
    state: str


@subject_app.command("access")
def access_(
    person: Person,
    request: Request = NO_REFERENCE,
    by: Handler = None,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """One bundle of everything held on a person and who looked, for that person."""
    ws = opened(site)
    with ws.alone():
        made = access(ws, person, request, by or ws.actor, place.now())
    if json_:
        show.as_json({"id": made.right.id, "person": made.right.person, "path": made.path,
                      "sha256": made.sha256, "due": made.due, "beyond": made.beyond})  # fmt: skip
        return
    show.say(f"{made.sha256}  {made.path}")
    show.say(f"Read it before it is handed over. It is removed here on {made.due}.")
    for hold, rows in made.beyond.items():
        show.say(
            f"{rows:,} rows past the year are kept by {hold} alone and are not in it: `fairwatch hold "
            f"export {hold}` hands them over."
        )


@subject_app.command("erase")
def erase(
    person: Person,
    request: Request = NO_REFERENCE,
    by: Handler = None,
    first: First = None,
    last: Last = None,
    confirm: Confirm = False,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Take a person's rows and records out of every day; certified. Without --confirm: what would go."""
    ws = opened(site)
    span = _span(ws, person, first, last)
    if not confirm:
        _planned(ws, "erasure", span, json_)
        return
    with ws.alone():
        done = deeds.erase(ws, span, request, by or ws.actor, place.now())
        _certified(done, right_certified(ws, done, place.now()), json_)


@subject_app.command("restrict")
def restrict(
    person: Person,
    request: Request = NO_REFERENCE,
    by: Handler = None,
    first: First = None,
    last: Last = None,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Keep a person's rows and findings of a period apart: stored, read by no question; certified."""
    ws = opened(site)
    span = _span(ws, person, first, last)
    with ws.alone():
        done = deeds.restrict(ws, span, request, by or ws.actor, place.now())
        _certified(done, right_certified(ws, done, place.now()), json_)


@subject_app.command("lift")
def lift(
    id_: Annotated[str, typer.Argument(metavar="RESTRICTION", help="Such as R-2026-0001.")],
    note: Annotated[str, typer.Option("--note", help="Why; stands in the ledger.")],
    by: By,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """End a restriction: what was kept apart is part of the lake again."""
    ws = opened(site)
    with ws.alone():
        done = deeds.lift(ws, id_, by, note, place.now())
    show.as_json(done) if json_ else show.say(f"{done.id}: lifted")


@subject_app.command("list")
def list_(json_: AsJson = False, site: Site = None) -> None:
    """Requests on record and how far they are."""
    ws = opened(site)
    look(ws, {"what": "requests", "reason": ROUTINE})
    names = list(Listed.__dataclass_fields__)
    found = [Listed(**{n: getattr(r, n) for n in names}) for r in register.rights(ws)]
    answer("Requests", Listed, found, False, json_)


def _span(ws: Workspace, person: str, first: datetime | None, last: datetime | None) -> Span:
    whole = everything(ws, whom(ws, person), place.now())
    return Span.of(
        ws,
        whole.person,
        first.date() if first else whole.first,
        last.date() if last else whole.last,
    )


def _planned(ws: Workspace, deed: register.Deed, span: Span, json_: bool) -> None:
    found = plan_of(ws, deed, span)
    if json_:
        show.as_json({**vars(found), "first_day": span.first, "last_day": span.last, "done": False})
        return
    show.say(f"Would be taken out, {span.first} to {span.last}:")
    for name, count in {**found.rows, **found.records}.items():
        show.say(f"  {name}: {count:,}")
    for path in found.files:
        show.say(f"  {path}")
    show.say("Nothing was done. With --confirm it is; a copy under a legal hold stays.")


def _certified(done: Right, issued: Issued, json_: bool) -> None:
    if json_:
        show.as_json({"id": done.id, "state": done.state, "certificate": issued.path, "sha256": issued.sha256})  # fmt: skip
    else:
        show.say(f"{done.id}: {done.deed} done\nCertificate: {issued.path}")
    issued.refuse_undelivered()


COMMANDS: Commands = {"subject": subject_app}
