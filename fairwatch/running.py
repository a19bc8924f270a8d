"""Commands of the timetable: run a job, serve all of them, say how things stand."""

import sys
from datetime import datetime
from typing import Annotated

import typer

import scheduler
from errors import WrongUsage
from fairwatch import place, show
from fairwatch.options import AsJson, Site
from fairwatch.program import Commands
from fairwatch.status import UNREVIEWED, Status
from fairwatch.status import status as status_of
from jobs import JOBS, STEPS
from workspace import Workspace


def run_(job: Annotated[str, typer.Argument(metavar="JOB")], site: Site = None) -> None:
    """Run one job (nightly, weekly) or one of their steps now."""
    if job not in {**JOBS, **STEPS}:
        known = ", ".join([*JOBS, *STEPS])
        raise WrongUsage(f"job: found {job!r}; expected one of {known}.")
    scheduler.run_one(place.opened(site), job, place.now, _show_step)


def schedule(site: Site = None) -> None:
    """Run all jobs by their timetable until stopped."""
    ws = place.opened(site)
    for job, trigger in scheduler.timetable(ws).items():
        show.say(f"{job}: {trigger}")
    sys.stdout.flush()
    scheduler.serve(ws, place.now)


def status(json_: AsJson = False, site: Site = None) -> None:
    """Last runs, sources and their gaps, what is overdue."""
    ws = place.opened(site)
    _show_status(ws, status_of(ws, place.now()), place.now(), json_)


def _show_step(done: scheduler.Done) -> None:
    """A step of a job as it ends."""
    show.say(f"{done.step}: {done.outcome}: {done.message}")


def _show_status(ws: Workspace, found: Status, now: datetime, json_: bool) -> None:
    """What IT looks at in the morning."""
    if json_:
        show.as_json(found)
        return
    show.say(f"{ws.settings.organisation.name}: {ws.folder}")
    show.say(f"events from {found.first_event or '-'} to {found.last_event or '-'}")
    show.table(
        "Last runs",
        ("step", "started", "finished", "outcome", "message"),
        [(r.step, r.started, r.finished, r.outcome, r.message) for r in found.runs],
    )
    show.table(
        "Sources",
        ("source", "files", "rows", "not understood", "newest line", "gaps, last seven days"),
        [
            (s.source, s.files, s.rows, s.rejected, s.newest, "; ".join(s.gaps))
            for s in found.sources
        ],
    )
    for source in found.sources:
        if source.clock:
            show.say(f"CLOCK of {source.source}: {source.clock}")
    for alarm in found.alarms:
        show.red(f"ALARM {alarm}")
    for entry in found.overdue:
        show.red(f"OVERDUE {entry}")
    for held in found.holds:
        say = show.red if held.startswith(UNREVIEWED) else show.say
        say(f"HOLD {held}")


COMMANDS: Commands = {"run": run_, "schedule": schedule, "status": status}
