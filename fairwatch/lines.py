"""What each line was taken for: counts for anybody, a person's own lines for a stated reason."""

from typing import Annotated

import typer

from analytics.people import EventRow, log_lines
from analytics.questions import TallySum, tally_sums
from errors import WrongUsage
from fairwatch import show
from fairwatch.days import asked, derived, in_order
from fairwatch.options import AsCsv, AsJson, From, Site, To, answer
from fairwatch.program import Commands


def tally(
    first: From,
    last: To,
    csv_: AsCsv = False,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Lines by class and rule; they add up to the lines read. Nobody is named."""
    in_order(first, last)
    found = tally_sums(derived(site), first.date(), last.date())
    answer("Tally", TallySum, found, csv_, json_)
    if not (csv_ or json_):
        show.say(f"{sum(r.rows for r in found):,} lines; the rules: docs/time-in-use.md")


def lines(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="A user as in people.csv.")],
    first: From,
    last: To,
    reason: Annotated[str, typer.Option(help="Why; it stands in the ledger.")],
    csv_: AsCsv = False,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """The stored lines of one person that name a listed service, each with its class and rule."""
    if not reason.strip():
        raise WrongUsage("--reason is empty: say why this person's lines are opened.")
    ws = asked(site, f"lines of {person}", first, last, reason)
    answer("Lines", EventRow, log_lines(ws, first.date(), last.date(), person), csv_, json_)


COMMANDS: Commands = {"tally": tally, "lines": lines}
