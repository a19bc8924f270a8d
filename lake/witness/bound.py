"""What a look is asked for, and what it found: days against a limit, rows, and what stayed closed."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

EARLIEST = date(2000, 1, 1)
"""No event of a log that anybody still keeps is older; what looks like one is a number."""

AHEAD = timedelta(days=366)
"""A bare number further in the future than this is no clock."""


class Closed(ValueError):
    """A file that cannot be looked into, and why: it is never called clean."""


@dataclass(frozen=True)
class Bound:
    """What one look is asked for.

    `limit`: the first day kept; `today`: the UTC day of the look; `written`: the latest day
    something in the file can be of (its time of change), for dates that carry no year; `paged`: a
    page of ours, in which a date whose day and month a no-break space joins is of no event.
    """

    limit: date
    today: date
    written: date
    paged: bool = False

    def plausible(self, seconds: float) -> date | None:
        """The day of a number of seconds since 1970, None where no event can be then."""
        if not seconds >= EARLIEST_SECOND:
            return None
        if seconds > (self.today - EPOCH_DAY + AHEAD).total_seconds():
            return None
        return datetime.fromtimestamp(seconds, UTC).date()


EPOCH_DAY = date(1970, 1, 1)
EARLIEST_SECOND = datetime(2005, 1, 1, tzinfo=UTC).timestamp()
"""Bare numbers below it are sizes, addresses and telephone numbers."""


@dataclass
class Seen:
    """What one file holds: rows (or lines), the oldest day, how many lie before the limit."""

    rows: int = 0
    oldest: date | None = None
    overdue: int = 0
    unreadable: str | None = None

    def note(self, day: date | None, limit: date, rows: int = 1) -> None:
        """Count rows whose oldest day is `day`."""
        self.rows += rows
        self.day(day)
        if day is not None and day < limit:
            self.overdue += rows

    def day(self, day: date | None) -> None:
        """A day that was seen."""
        if day is not None:
            self.oldest = day if self.oldest is None else min(self.oldest, day)


def day_of(year: int, month: int, day: int) -> date | None:
    """A date, None where there is no such day or no event can be then."""
    try:
        found = date(year, month, day)
    except ValueError:
        return None
    return found if found >= EARLIEST else None
