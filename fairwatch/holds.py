"""Legal holds as a person meets them: place, look again, hand over, release."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

import holds
from fairwatch import place, show
from fairwatch.options import ROUTINE, AsJson, By, From, Site, To, answer, look, opened
from fairwatch.program import Commands
from holds import REASONS
from reports import handover

hold_app = typer.Typer(
    help="Legal holds: a narrow copy, its review, its end.", no_args_is_help=True
)
Id = Annotated[str, typer.Argument(metavar="HOLD", help="Such as H-2026-0001.")]
Note = Annotated[str, typer.Option("--note", help="Why; stands in the ledger.")]
Review = Annotated[
    datetime,
    typer.Option("--review", formats=["%Y-%m-%d"], help="By when somebody looks at it again."),
]


@dataclass(frozen=True)
class Listed:
    """A hold as `hold list` tells it."""

    id: str
    person: str
    first_day: date
    last_day: date
    reason: str
    owner: str
    review: date
    state: str
    rows: int


@hold_app.command("place")
def place_(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="User name in people.csv.")],
    first: From,
    last: To,
    reason: Annotated[str, typer.Option(help=f"One of {', '.join(REASONS)}.")],
    owner: Annotated[str, typer.Option(help="Who answers for it.")],
    review: Review,
    by: By,
    note: Annotated[str, typer.Option(help="The matter, for those who review it.")] = "",
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Copy one person's rows of a period under a key of their own; all else goes on time."""
    ws = opened(site)
    with ws.alone():
        made = holds.place(
            ws,
            person,
            (first.date(), last.date()),
            reason,
            note,
            owner,
            review.date(),
            by,
            place.now(),
        )
    rows = sum(part.rows for part in holds.copies(ws, made.id))
    if json_:
        show.as_json({**vars(made), "rows": rows})
        return
    show.say(
        f"{made.id}: {rows:,} rows copied; to be reviewed by {made.review}, {owner} answers for it"
    )


@hold_app.command("list")
def list_(json_: AsJson = False, site: Site = None) -> None:
    """Holds on record; one nobody reviewed in time is shown in red."""
    ws = opened(site)
    look(ws, {"what": "holds", "reason": ROUTINE})
    now = place.now()
    found = [
        Listed(
            h.id, h.person, h.first_day, h.last_day, h.reason, h.owner, h.review,
            _state(h, now), sum(p.rows for p in holds.copies(ws, h.id)),
        )
        for h in holds.holds(ws)
    ]  # fmt: skip
    answer("Holds", Listed, found, False, json_)
    if not json_:
        for late in holds.unreviewed(ws, now):
            show.red(f"{late.id} was to be reviewed by {late.review}; {late.owner} answers for it")
    holds.refuse_unreviewed(ws, now)


@hold_app.command("review")
def review_(
    id_: Id, review: Review, note: Note, by: By, json_: AsJson = False, site: Site = None
) -> None:
    """Say that a hold is still needed, and by when somebody looks at it again."""
    ws = opened(site)
    made = holds.review(ws, id_, by, review.date(), note, place.now())
    show.as_json(made) if json_ else show.say(f"{made.id}: to be reviewed again by {made.review}")


@hold_app.command("release")
def release(id_: Id, note: Note, by: By, json_: AsJson = False, site: Site = None) -> None:
    """End a hold: its key is destroyed and its copy removed."""
    ws = opened(site)
    with ws.alone():
        made = holds.release(ws, id_, by, note, place.now())
    show.as_json(made) if json_ else show.say(
        f"{made.id}: released, its key destroyed, its copy gone"
    )


@hold_app.command("export")
def export(
    id_: Id,
    to: Annotated[Path, typer.Option("--to", help="A zip outside the site folder.")],
    note: Note,
    by: By,
    approved_by: Annotated[str, typer.Option("--approved-by", help="A second person.")],
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Hand a hold's copy over, as a sealed pack of CSV files; two people agree to it."""
    ws = opened(site)
    digest = handover.export(ws, id_, to, note, (by, approved_by), place.now())
    show.as_json({"path": to, "sha256": digest}) if json_ else show.say(f"{digest}  {to}")


def _state(hold: holds.Hold, now: datetime) -> str:
    if hold.released is not None:
        return "released" if hold.gone else "being released"
    return "review overdue" if hold.overdue(now) else "in force"


COMMANDS: Commands = {"hold": hold_app}
