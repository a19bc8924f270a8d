"""Days as numbers: days since 1970, which arrays can hold."""

from datetime import date

_EPOCH = date(1970, 1, 1).toordinal()


def number_of(day: date) -> int:
    """Days from 1 January 1970 to this one."""
    return day.toordinal() - _EPOCH


def day_of(number: int) -> date:
    """The day so many days after 1 January 1970."""
    return date.fromordinal(number + _EPOCH)
