"""The calibration script as a page to print: the volunteer's eyes are on the browser, not the terminal."""

from config.calibration import Plan
from reports.render import render, version
from workspace import Workspace


def script(ws: Workspace, plan: Plan, service: str) -> bytes:
    """The page as HTML, with columns to write real times into."""
    return render(
        "calibration.html.j2",
        organisation=ws.settings.organisation.name,
        plan=plan,
        service=ws.sites.name(service),
        fairwatch=version(),
    )
