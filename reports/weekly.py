"""Weekly pages: one a manager's team, and an index of them."""

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from analytics.finding import where
from analytics.questions import SMALLEST_GROUP, Week, feed_gaps, opened
from errors import NoSuchThing
from lake.files import write
from reports.render import render, version
from reports.team import Page, gather, name_of, suggestion, trend_weeks
from workspace import Workspace

FOLDER = "reports"
SLUG = 24
"""Letters of a manager's user in a file name; the digest behind them keeps names apart."""


@dataclass(frozen=True)
class Written:
    """A page that was written: whose team (the manager as in people.csv), which week, where."""

    team: str
    week: Week
    path: Path
    sha256: str


@dataclass(frozen=True)
class Listed:
    """A page the index links to, relative to it."""

    title: str
    link: str


def weekly(ws: Workspace, week: Week, now: datetime, team: str | None = None) -> list[Written]:
    """Write the page of every manager's team, or of one; each is an act in the ledger.

    `team` is a manager by user, e-mail or name. Raises NoSuchThing for a manager nobody has, and
    for a week that reports may no longer show. The caller holds the site's lock.
    """
    managers = _managers(ws, team)
    written = []
    for manager, page in pages(ws, week, now, managers):
        content = page_bytes(ws, page, now)
        path = ws.folder / FOLDER / str(week) / f"{slug(ws, manager)}.html"
        digest = hashlib.sha256(content).hexdigest()
        with ws.state.change() as change:
            write(path, content, ws.folder / "work")
            change.act(
                "report", time=now, actor=ws.actor, week=str(week), team=manager, sha256=digest
            )
        written.append(Written(manager, week, path, digest))
    index(ws)
    return written


def pages(ws: Workspace, week: Week, now: datetime, managers: list[str]) -> list[tuple[str, Page]]:
    """What the pages of these managers say."""
    weeks = trend_weeks(ws, week, now)
    if not weeks:
        raise NoSuchThing(
            f"week {week}: began before the days reports may still show; see `retention.reports` "
            f"in fairwatch.yaml."
        )
    gaps = feed_gaps(ws, week.first_day, week.last_day, now)
    with opened(ws, week.before(weeks - 1).first_day, week.last_day) as engine:
        return [(m, gather(ws, engine, gaps, m, week, now)) for m in managers]


def page_bytes(ws: Workspace, page: Page, now: datetime) -> bytes:
    """A weekly page as HTML; the same page and `now` give the same bytes."""
    return render(
        "weekly.html.j2",
        page=page,
        smallest=SMALLEST_GROUP,
        suggestion=suggestion,
        where=where,
        made=now,
        fairwatch=version(),
        sites=ws.sites.version,
    )


def index(ws: Workspace) -> Path:
    """Write reports/index.html anew from the pages that are there; it holds no figures.

    Its own bytes name no event day, so that it grows no older than the pages it links to: call it
    after a purge as well.
    """
    folder = ws.folder / FOLDER
    titles = {slug(ws, manager): name_of(ws, manager) for manager in ws.people.managers()}
    weeks: dict[Week, list[Listed]] = defaultdict(list)
    for path in sorted(folder.glob("*-W*/*.html")):
        if not re.fullmatch(r"\d{4}-W\d{2}", path.parent.name):
            continue  # somebody's own folder
        link = f"{path.parent.name}/{path.name}"
        listed = Listed(titles.get(path.stem, path.stem.rpartition("-")[0]), link)
        weeks[Week.parse(path.parent.name)].append(listed)
    ordered = sorted(weeks.items(), key=lambda item: str(item[0]), reverse=True)
    content = render("index.html.j2", organisation=ws.settings.organisation.name, weeks=ordered)
    write(folder / "index.html", content, ws.folder / "work")
    return folder / "index.html"


def slug(ws: Workspace, manager: str) -> str:
    """A file name for a manager's pages: a few plain letters for people, a digest for certainty."""
    person = ws.people.find(manager)
    letters = re.sub(r"[^a-z0-9]", "", (person.user if person else manager).casefold())
    return f"{letters[:SLUG] or 'team'}-{hashlib.sha256(manager.encode()).hexdigest()[:10]}"


def _managers(ws: Workspace, team: str | None) -> list[str]:
    known = ws.people.managers()
    if team is None:
        return known
    found = [manager for manager in known if team.casefold() in _names(ws, manager)]
    if not found:
        raise NoSuchThing(
            f"team {team!r}: is nobody's in people.csv; its managers are: "
            f"{', '.join(known) or 'none'}."
        )
    return found


def _names(ws: Workspace, manager: str) -> set[str]:
    person = ws.people.find(manager)
    names = (person.user, person.email, person.name) if person else ()
    return {name.casefold() for name in (manager, *names) if name}
