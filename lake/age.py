"""When a day is due: one calendar year at most, counted towards deletion."""

import calendar
from datetime import UTC, date, datetime, timedelta


def anniversary(day: date) -> date:
    """The same date a year on; 29 February becomes 28 February, so that it goes sooner."""
    if (day.month, day.day) == (2, 29) and not calendar.isleap(day.year + 1):
        return date(day.year + 1, 2, 28)
    return day.replace(year=day.year + 1)


def due(day: date, keep_days: int | None) -> date:
    """The day on which data of `day` has to be gone: after `keep_days`, at most after a year."""
    year = anniversary(day)
    return year if keep_days is None else min(year, day + timedelta(days=keep_days))


def first_day_kept(now: datetime, keep_days: int | None) -> date:
    """The oldest UTC day that is not due at `now`."""
    today = now.astimezone(UTC).date()
    day = today - timedelta(days=367 if keep_days is None else keep_days + 1)
    while due(day, keep_days) <= today:
        day += timedelta(days=1)
    return day
