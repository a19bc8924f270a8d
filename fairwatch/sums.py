"""Commands that answer who used what for how long."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Annotated

import typer

from analytics import calibration
from analytics import rivals as rival_rules
from analytics.people import ActivityRow, UsageRow, activity, usage
from analytics.questions import feed_gaps
from analytics.rivals import RULES, RivalRow
from fairwatch import place, show
from fairwatch.days import asked
from fairwatch.options import ROUTINE, AsCsv, AsJson, From, Site, To, Why, answer
from fairwatch.program import Commands

PARTS = [
    f"{part}_{bound}_min" for part in ("break", "outside") for bound in ("low", "likely", "high")
]
"""Columns of `usage` that programs get and a terminal has no room for."""


def activity_(
    first: From,
    last: To,
    csv_: AsCsv = False,
    json_: AsJson = False,
    reason: Why = ROUTINE,
    site: Site = None,
) -> None:
    """Intervals of active use."""
    ws = asked(site, "activity", first, last, reason)
    found = activity(ws, first.date(), last.date())
    answer("Activity", ActivityRow, found, csv_, json_)


def usage_(
    first: From,
    last: To,
    csv_: AsCsv = False,
    json_: AsJson = False,
    rivals: Annotated[
        bool, typer.Option("--rivals", help="The same days under the published rules.")
    ] = False,
    reason: Why = ROUTINE,
    site: Site = None,
) -> None:
    """Sums a person, day and category; a day with a feed gap has empty numbers."""
    ws = asked(site, "usage", first, last, reason)
    gaps = feed_gaps(ws, first.date(), last.date(), place.now())
    found = usage(ws, first.date(), last.date(), gaps)
    if rivals:
        beside = rival_rules.beside(rival_rules.rival_days(ws, first.date(), last.date()), found)
        _show_rivals(beside, csv_, json_)
        return
    if json_:
        told = calibration.words(ws, last.date())
        show.as_json({"usage": found, "calibration": told})
        return
    answer("Usage", UsageRow, found, csv_, json_, PARTS)


def _show_rivals(rows: Sequence[RivalRow], csv_: bool, json_: bool) -> None:
    """One row a person and day, a column a rule; `*` where it differs more than twofold from ours."""
    if json_:
        rules = [asdict(rule) for rule in RULES]
        show.as_json({"rules": rules, "days": [asdict(row) for row in rows]})
        return
    if csv_:
        show.as_csv(RivalRow, rows)
        return
    days: dict[tuple[str, date], dict[str, RivalRow]] = {}
    for row in rows:
        days.setdefault((row.user, row.day), {})[row.rule] = row
    header = ("user", "day", "low", "likely", "high", *(rule.id for rule in RULES))
    lines = []
    for (user, day), by_rule in days.items():
        ours = next(iter(by_rule.values()))
        told = [f"{r.minutes:.0f}{'*' if r.differs else ''}" for r in by_rule.values()]
        bounds = (ours.low_min, ours.likely_min, ours.high_min)
        numbers = ["" if b is None else f"{b:.0f}" for b in bounds]
        lines.append((user, day, *numbers, *told))
    show.table("Minutes of social media a day, ours and by published rules", header, lines)
    for rule in RULES:
        show.say(f"{rule.id}: {rule.title} ({rule.products}; {rule.source})")
    show.say("* more than twice or less than half of our likely minutes, and by over 5 minutes.")


COMMANDS: Commands = {"activity": activity_, "usage": usage_}
