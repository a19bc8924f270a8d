"""Managers' reports."""

from typing import Annotated

import typer

from fairwatch import place, show
from fairwatch.days import derived, last_week, week_of
from fairwatch.options import AsJson, Site
from fairwatch.program import Commands
from reports import mail
from reports.weekly import weekly

report_app = typer.Typer(help="Managers' summaries.", no_args_is_help=True)


@report_app.command("weekly")
def report_weekly(
    week: Annotated[str | None, typer.Option(help="Such as 2026-W45; the last one.")] = None,
    team: Annotated[str | None, typer.Option(help="A manager's user name.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Mail each manager their page.")] = False,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Managers' summaries: one page a team, no names."""
    asked = None if week is None else week_of(week)
    ws = derived(site)
    with ws.alone():
        written = weekly(ws, asked or last_week(ws), place.now(), team)
        sent = mail.send(ws, written, place.now()) if send else 0
    if json_:
        show.as_json({"reports": written, "sent": sent})
        return
    for page in written:
        show.say(f"wrote {page.path}")
    show.say(
        f"index: {ws.folder / 'reports' / 'index.html'}" + (f"; {sent} mailed" if send else "")
    )


COMMANDS: Commands = {"report": report_app}
