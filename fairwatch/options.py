"""What the commands share: their options, and what comes before and after an answer."""

from collections.abc import Collection
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from analytics.derive import derive
from analytics.questions import Week
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
YEARS, LONGEST = (2000, 2100), 3660


def opened(site: Path | None) -> Workspace:
    """The site, where the clock can be right: no act may carry a wrong time."""
    ws = place.opened(site)
    believe_clock(ws, place.now())
    return ws


def derived(site: Path | None) -> Workspace:
    """The site with its derived datasets up to date: answers are for what has been ingested."""
    ws = opened(site)
    with ws.alone(), show.progress("deriving") as progress:
        ws.note_settings(place.now())
        derive(ws, place.now(), progress=progress)
    return ws


def in_order(first: datetime, last: datetime) -> None:
    """Days that can be asked for; the lake holds one year, so that ten are everything."""
    if last < first:
        raise WrongUsage(f"--to: found {last.date()}, before --from {first.date()}.")
    if not (YEARS[0] <= first.year and last.year <= YEARS[1] and (last - first).days <= LONGEST):
        raise WrongUsage(
            f"--from, --to: found {first.date()} to {last.date()}; expected at most ten years "
            f"within {YEARS[0]} to {YEARS[1]}."
        )


def looking(ws: Workspace, what: str, first: datetime, last: datetime, reason: str) -> None:
    look(ws, {"what": what, "reason": reason, "first_day": f"{first:%Y-%m-%d}", "last_day": f"{last:%Y-%m-%d}"})  # fmt: skip


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


def last_week(ws: Workspace) -> Week:
    return Week.of(place.now().astimezone(ws.settings.zone).date()).before(1)


def week_of(text: str) -> Week:
    try:
        week = Week.parse(text)
    except ValueError:
        week = None
    if week is None or not YEARS[0] <= week.year <= YEARS[1]:
        raise WrongUsage(f"--week: found {text!r}; expected a week such as 2026-W45.")
    return week


def weeks(first: date, last: date) -> set[str]:
    days = range(first.toordinal(), last.toordinal() + 1)
    return {str(Week.of(date.fromordinal(d))) for d in days}


def zone_of(name: str | None) -> ZoneInfo | None:
    """A zone named at the terminal."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        raise WrongUsage(
            f"--timezone: found {name!r}; expected a zone such as Europe/London."
        ) from None
