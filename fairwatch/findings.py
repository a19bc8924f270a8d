"""Findings as people meet them: matters to look at, what humans made of them, and where they stand."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import typer

from analytics.finding import Finding
from analytics.record import remember, standing
from errors import WrongUsage
from fairwatch import place, show
from fairwatch.days import asked, weeks
from fairwatch.options import ROUTINE, AsJson, Site, Why, answer, look, opened
from fairwatch.program import Commands
from reports.reviews import Act, Listed, Standing, listed, review, standings, with_standing

findings_app = typer.Typer(
    help="Matters to look at, with clause, measure, range, grade, and what speaks against.",
    invoke_without_command=True,
)

Day = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")]
LastDay = Annotated[
    datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")
]


@findings_app.callback()
def findings_(
    context: typer.Context,
    first: Day = None,
    last: LastDay = None,
    all_: Annotated[bool, typer.Option("--all", help="Those dismissed as well.")] = False,
    json_: AsJson = False,
    reason: Why = ROUTINE,
    site: Site = None,
) -> None:
    """Matters to look at, with clause, measure, range, grade, and what speaks against."""
    if context.invoked_subcommand:
        return
    if first is None or last is None:
        raise WrongUsage(f"Missing option '{'--from' if first is None else '--to'}'.")
    ws = asked(site, "findings", first, last, reason)
    found = standing(ws, first.date(), last.date(), place.now())
    with ws.alone():
        remember(ws, found.found, weeks(first.date(), last.date()), place.now())
    where = standings(ws, found.found)
    shown = [f for f in found.found if all_ or where[f.id].state != "dismissed"]
    dismissed = sum(s.state == "dismissed" for s in where.values())
    if json_:
        show.as_json(
            {
                "findings": with_standing(shown, where),
                "withheld": found.withheld,
                "dismissed": dismissed,
            }
        )
        return
    show_findings(shown, where)
    for one in found.withheld:
        show.say(
            f"{one.week}  {one.rule}: one matter is withheld, since what speaks against it could "
            f"not be looked at in full: {', '.join(one.not_evaluated)}."
        )
    if dismissed and not all_:
        show.say(f"Dismissed and not shown (see --all): {dismissed}.")


@findings_app.command("review")
def review_(
    id_: Annotated[str, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option(help="Why; kept with the finding and in the ledger.")],
    dismiss: Annotated[bool, typer.Option("--dismiss", help="Nothing is to be done.")] = False,
    note: Annotated[bool, typer.Option("--note", help="Something to be remembered.")] = False,
    refer: Annotated[bool, typer.Option("--refer", help="HR is to open a case.")] = False,
    contest: Annotated[
        bool, typer.Option("--contest", help="What the person concerned says to it.")
    ] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who acts; else who is typing.")] = None,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Say what a human makes of a finding, and why; no machine decides."""
    chosen: dict[Act, bool] = {"dismiss": dismiss, "note": note, "refer": refer, "contest": contest}
    acts = [act for act, wanted in chosen.items() if wanted]
    if len(acts) != 1:
        raise WrongUsage("expected one of --dismiss, --note, --refer and --contest.")
    ws = opened(site)
    made = review(ws, id_, acts[0], reason, by or ws.actor, place.now())
    if json_:
        show.as_json({"finding": id_, "state": made.state, "reviews": made.reviews})
        return
    show.say(f"{id_}: {made.state}")
    if made.state == "referred":
        show.say("Next, HR: fairwatch case open --person USER --from DAY --to DAY --reason ID --by NAME")  # fmt: skip


@findings_app.command("list")
def list_(json_: AsJson = False, site: Site = None) -> None:
    """Findings on record and where they stand."""
    ws = opened(site)
    look(ws, {"what": "findings list", "reason": ROUTINE})
    answer("Findings", Listed, listed(ws), False, json_)


def show_findings(found: Sequence[Finding], where: Mapping[str, Standing]) -> None:
    """A paragraph a finding: a matter to look at, with what speaks against it."""
    if not found:
        show.say("Nothing to look at in these weeks.")
    for one in found:
        version = next(v for n, v in one.versions.items() if n.startswith("rule "))
        clauses = "; ".join(f"{number}: {text}" for number, text in one.clauses.items())
        show.say(
            f"{one.id}  {one.person}  {one.week}  {one.rule}\n"
            f"  measure: {one.low:.0f} to {one.high:.0f} {one.unit} (likely {one.likely:.0f}) on "
            f"{len(one.days)} days, grade {one.grade}; judged on the low figure\n"
            f"  rule: {one.threshold} ({one.versions['policy']}, rule version {version})\n  clause {clauses}\n  what speaks against it:"
        )
        for against in one.against:
            show.say(f"    {against.check}: {against.text}")
        at = where[one.id]
        again = "; what it rests on has changed since it was decided" if at.changed else ""
        show.say(f"  state: {at.state}{again}")
        for said in at.reviews:
            show.say(f"    {said.time[:10]} {said.act}, {said.by}: {said.reason}")
    if found:
        show.say(
            "These are matters to look at, not verdicts: `fairwatch findings review ID` says what "
            "came of one; opening a person's data needs a case."
        )


COMMANDS: Commands = {"findings": findings_app}
