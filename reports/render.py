"""The one template environment: strict, escaping everything, with dates and minutes in words."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

if TYPE_CHECKING:
    from jinja2 import Environment

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
NBSP = "\N{NO-BREAK SPACE}"
DASH = "\N{EN DASH}"

ISO_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
DAY_MONTH = re.compile(
    rf"\b([0-9]{{1,2}}(?:st|nd|rd|th)?) ({'|'.join(MONTHS)}|{'|'.join(m[:3] for m in MONTHS)})\b"
)
MONTH_DAY = re.compile(
    rf"\b({'|'.join(MONTHS)}|{'|'.join(m[:3] for m in MONTHS)}) ([0-9]{{1,2}})(?=\W|$)"
)
LOG_DAY = re.compile(r"([0-9]{2})/([A-Z][a-z]{2})/([0-9]{4})")
UNSHOWABLE = re.compile(
    # Control characters, unpaired surrogates, and marks that turn the direction of what follows.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]"
)


@cache
def environment() -> Environment:
    """The environment every page and mail is made with."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    env = Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalized,
    )
    env.filters |= {
        "minutes": minutes,
        "range": span,
        "day": day_in_words,
        "date": date_in_words,
        "stamp": stamp,
        "instant": instant,
        "moment": datetime.fromisoformat,
        "plain": plain,
    }
    return env


def render(template: str, **values: Any) -> bytes:
    """A template filled in; raises jinja2.UndefinedError where a value is missing."""
    return environment().get_template(template).render(values).encode()


def finalized(value: Any) -> Any:
    """What a template may print: bare dates are a mistake, text is made harmless first.

    The retention proof tells a report's age by the dates in it, so that a policy's or a list's
    date, printed as somebody wrote it, would make a fresh page look overdue.
    """
    if isinstance(value, date):
        raise TypeError("a date in a template needs a filter: `stamp` for events, else `date`")
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def plain(text: str) -> str:
    """Text without control characters, its dates written as people write them.

    A no-break space joins day and month: so the retention proof knows a date of no event.
    """
    text = UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    text = LOG_DAY.sub(r"\1 \2 \3", ISO_DAY.sub(_reworded, text))
    return MONTH_DAY.sub(rf"\1{NBSP}\2", DAY_MONTH.sub(rf"\1{NBSP}\2", text))


def minutes(value: float) -> str:
    """`5 min`, `1 h 05 min`; a trace of use is not nothing."""
    whole = round(value)
    if whole == 0 and value > 0:
        return f"under 1{NBSP}min"
    hours, rest = divmod(whole, 60)
    return f"{hours}{NBSP}h{NBSP}{rest:02d}{NBSP}min" if hours else f"{rest}{NBSP}min"


def span(low: float, high: float) -> str:
    """`40-75 min` below two hours, `2 h 05 min - 3 h 10 min` above, with en dashes."""
    if round(low) == round(high):
        return minutes(high)
    if round(high) < 120:
        return f"{round(low)}{DASH}{round(high)}{NBSP}min"
    return f"{minutes(low)}{NBSP}{DASH} {minutes(high)}"


def day_in_words(day: date) -> str:
    """`Monday 2 November 2026`."""
    return f"{WEEKDAYS[day.weekday()]} {date_in_words(day)}"


def date_in_words(day: date) -> str:
    """`2 November 2026`."""
    return f"{day.day}{NBSP}{MONTHS[day.month - 1]} {day.year}"


def stamp(day: date, text: str | None = None) -> Markup:
    """A day on which something happened, in words for people and in ISO for the retention proof."""
    shown = day_in_words(day) if text is None else plain(text)
    return Markup('<time datetime="{}">{}</time>').format(day.isoformat(), shown)


def instant(moment: datetime, zone: ZoneInfo) -> str:
    """`Monday 9 November 2026, 07:00` on the zone's clocks."""
    local = moment.astimezone(zone)
    return f"{day_in_words(local.date())}, {local:%H:%M}"


def version() -> str:
    """Fairwatch's own version."""
    try:
        return metadata.version("fairwatch")
    except metadata.PackageNotFoundError:
        return "from a source folder"


def _reworded(found: re.Match[str]) -> str:
    try:
        return date_in_words(date(*(int(part) for part in found.groups())))
    except ValueError:
        return ".".join(found.groups())
