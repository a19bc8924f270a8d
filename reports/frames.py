"""The tables of a weekly page, shaped for a person: titled columns, minutes in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from analytics.questions import SMALLEST_GROUP, TeamBlocked, TeamHour, TeamService, TeamWeek
from config.lists.listfile import SENSITIVE
from reports.render import minutes, span

if TYPE_CHECKING:
    from pandas import DataFrame

    Table = DataFrame

NO_DATA = "no data"
HIDDEN = "not shown"
"""What stands where figures would be about fewer than five people."""

TOGETHER, ELSE = "All services together", "Other services together"
"""What the row of services without a name is called: alone, and below others."""


def _table(rows: list[tuple[Any, ...]], columns: list[str]) -> Table:
    # Imported here: it costs every command a fifth of a second, and only pages need it.
    import pandas as pd

    return pd.DataFrame(rows, columns=columns)


def trend(weeks: Sequence[TeamWeek], labels: Sequence[str]) -> Table:
    """A row a week."""
    return _table(
        [
            (
                label,
                str(week.days_with_data),
                _range(week.low_min, week.high_min, NO_DATA),
                _minutes(week.likely_min, NO_DATA),
                _range(week.work_low_min, week.work_high_min, uncounted(week)),
                _minutes(week.work_likely_min, uncounted(week)),
                people(week),
            )
            for label, week in zip(labels, weeks, strict=True)
        ],
        columns=[
            "Week (Monday)",
            "Days with data",
            "All day: low to high",
            "All day: likely",
            "Working time: low to high",
            "Working time: likely",
            "People using any",
        ],
    )


def services(found: Sequence[TeamService], names: Sequence[str]) -> Table:
    """A row a service; no minutes where they would be those of fewer than five people."""
    return _table(
        [
            (
                name,
                HIDDEN if row.people is None else row.people,
                _range(None if row.people is None else row.low_min, row.high_min, HIDDEN),
                _minutes(None if row.people is None else row.likely_min, HIDDEN),
            )
            for name, row in zip(names, found, strict=True)
        ],
        columns=["Service", "People", "Low to high", "Likely"],
    )


def hours(found: Sequence[TeamHour], working: Sequence[int]) -> Table:
    """A row for each working hour, and for each other hour in which something was seen."""
    return _table(
        [
            (
                f"{row.hour:02d}:00\N{EN DASH}{row.hour + 1:02d}:00",
                "yes" if row.hour in working else "no",
                _range(row.low_min, row.high_min, HIDDEN),
                _minutes(row.likely_min, HIDDEN),
            )
            for row in found
            if row.hour in working or row.high_min != 0
        ],
        columns=["Hour", "Working hours", "Low to high", "Likely"],
    )


def blocked(found: Sequence[TeamBlocked]) -> Table:
    """A row a category of blocked sites."""
    return _table(
        [
            (
                category(row.category),
                *(HIDDEN if n is None else n for n in (row.denied, row.reached)),
            )
            for row in found
        ],
        columns=["Category", "Refused", "Reached"],
    )


def people(week: TeamWeek) -> str:
    """How many used any; a small number could point at somebody."""
    if not week.days_with_data:
        return NO_DATA
    if 0 < week.people_using < SMALLEST_GROUP:
        return f"fewer than {SMALLEST_GROUP}"
    return str(week.people_using)


def uncounted(week: TeamWeek) -> str:
    """Why a week has no working time: no logs, or no policy that says what working time is."""
    return "not counted" if week.days_with_data else NO_DATA


def category(name: str) -> str:
    """A category as people say it; the sensitive ones are never named."""
    if name in SENSITIVE:
        return "Other"
    if name == "blocked_site":
        return "Sites on the organisation\N{RIGHT SINGLE QUOTATION MARK}s own list"
    return name.replace("_", " ").capitalize()


def _range(low: float | None, high: float | None, missing: str) -> str:
    return missing if low is None or high is None else span(low, high)


def _minutes(value: float | None, missing: str) -> str:
    return missing if value is None else minutes(value)
