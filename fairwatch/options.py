"""What the commands share: their options, the opened site, and how rows are answered."""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from clock import believe_clock
from errors import WrongUsage
from fairwatch import place, show
from workspace import Workspace

Site = Annotated[
    Path | None, typer.Option("--site", envvar="FAIRWATCH_SITE", help="The site folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV on standard output.")]
From = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")]
To = Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")]
By = Annotated[str, typer.Option("--by", help="Name of the person who acts.")]
Why = Annotated[
    str, typer.Option("--reason", help="Why named data is looked at; stands in the ledger.")
]
Confirm = Annotated[bool, typer.Option("--confirm", help="Yes, the clock and the share are right.")]
ROUTINE = "routine check by IT"
YEARS = 2000, 2100


def opened(site: Path | None) -> Workspace:
    """The site, where the clock can be right: no act may carry a wrong time."""
    ws = place.opened(site)
    believe_clock(ws, place.now())
    return ws


def look(ws: Workspace, facts: dict[str, str]) -> None:
    """Say in the ledger that named data is looked at, before it is."""
    ws.ledger.append("look", time=place.now(), actor=ws.actor, **facts)


def answer(
    title: str,
    row: type[Any],
    found: list[Any],
    csv_: bool,
    json_: bool,
    hidden: Collection[str] = (),
) -> None:
    """Rows as CSV, JSON, or a table without the `hidden` columns, for which a screen has no room."""
    if csv_:
        show.as_csv(row, found)
    elif json_:
        show.as_json({title.lower(): found})
    else:
        names = [name for name in row.__dataclass_fields__ if name not in hidden]
        show.table(title, names, [[getattr(r, n) for n in names] for r in found])


def zone_of(name: str | None) -> ZoneInfo | None:
    """A zone named at the terminal."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        raise WrongUsage(
            f"--timezone: found {name!r}; expected a zone such as Europe/London."
        ) from None
