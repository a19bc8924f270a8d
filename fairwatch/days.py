"""The days and weeks an answer is about, and what comes before it."""

from datetime import date, datetime
from pathlib import Path

from analytics.derive import derive
from analytics.questions import Week
from errors import WrongUsage
from fairwatch import place, show
from fairwatch.options import YEARS, look, opened
from workspace import Workspace

LONGEST = 3660


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


def asked(site: Path | None, what: str, first: datetime, last: datetime, reason: str) -> Workspace:
    """The site, for days that can be asked for, once the ledger says that they are looked at and why."""
    in_order(first, last)
    ws = derived(site)
    look(ws, {"what": what, "reason": reason, "first_day": f"{first:%Y-%m-%d}", "last_day": f"{last:%Y-%m-%d}"})  # fmt: skip
    return ws


def last_week(ws: Workspace) -> Week:
    """The last whole week, by the site's own clock."""
    return Week.of(place.now().astimezone(ws.settings.zone).date()).before(1)


def week_of(text: str) -> Week:
    """A week named at the terminal."""
    try:
        week = Week.parse(text)
    except ValueError:
        week = None
    if week is None or not YEARS[0] <= week.year <= YEARS[1]:
        raise WrongUsage(f"--week: found {text!r}; expected a week such as 2026-W45.")
    return week


def weeks(first: date, last: date) -> set[str]:
    """The weeks that days from one to the other lie in."""
    days = range(first.toordinal(), last.toordinal() + 1)
    return {str(Week.of(date.fromordinal(d))) for d in days}
