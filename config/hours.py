"""Working hours: weekly patterns, breaks and bank holidays, turned into instants of a day."""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import holidays
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SPAN = re.compile(r"^(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})$")

Span = tuple[time, time]
Interval = tuple[datetime, datetime]


def span(value: Any) -> Span:
    """`09:00-17:00` as two times of one day; 24:00 ends a day."""
    if isinstance(value, tuple):
        return value
    match = SPAN.match(str(value).strip())
    if not match:
        raise ValueError("expected a span of one day such as 09:00-17:00")
    first, second, third, fourth = (int(g) for g in match.groups())
    try:
        start = time(first, second)
        end = time.max if (third, fourth) == (24, 0) else time(third, fourth)
    except ValueError:
        raise ValueError("expected hours 0-23 and minutes 0-59, such as 09:00-17:00") from None
    if start >= end:
        raise ValueError("expected a span that ends after it starts, within one day")
    return start, end


TimeSpan = Annotated[Span, BeforeValidator(span)]


def _no_overlap(spans: list[Span]) -> list[Span]:
    ordered = sorted(spans)
    for (_, end), (start, _) in pairwise(ordered):
        if start < end:
            raise ValueError("expected spans that do not overlap")
    return ordered


Spans = Annotated[list[TimeSpan], AfterValidator(_no_overlap)]


@cache
def _calendar(country: str, subdivision: str | None, year: int) -> holidays.HolidayBase:
    """A year's holidays; to work them out takes milliseconds, and each day asks."""
    return holidays.country_holidays(country, subdiv=subdivision, years=year)


class Holidays(BaseModel):
    """Bank holidays: the `holidays` package by country and part, and the organisation's own days."""

    model_config = ConfigDict(extra="forbid")

    country: str | None = None
    subdivision: str | None = None
    extra: list[date] = []
    worked: list[date] = []

    def model_post_init(self, _: Any) -> None:
        """Fail while the file is read, not on the first night."""
        self.on(date(2026, 1, 1))

    def on(self, day: date) -> str | None:
        """The name of the holiday on `day`, or None on a working day."""
        if day in self.worked:
            return None
        if day in self.extra:
            return "the organisation's own holiday"
        if self.country is None:
            return None
        try:
            calendar = _calendar(self.country, self.subdivision, day.year)
        except NotImplementedError:
            raise ValueError(
                "expected a country and subdivision the `holidays` package knows, "
                "such as country GB, subdivision ENG"
            ) from None
        name = calendar.get(day)
        return str(name) if name else None


class WorkingHours(BaseModel):
    """A weekly pattern with the breaks taken out of every day."""

    model_config = ConfigDict(extra="forbid")

    monday: Spans = []
    tuesday: Spans = []
    wednesday: Spans = []
    thursday: Spans = []
    friday: Spans = []
    saturday: Spans = []
    sunday: Spans = []
    breaks: Spans = []

    def on(self, day: date, zone: ZoneInfo) -> list[Interval]:
        """UTC intervals worked on `day` (a local day of `zone`), breaks taken out."""
        pauses = [(_instant(day, a, zone), _instant(day, b, zone)) for a, b in self.breaks]
        return subtract(self._present(day, zone), pauses)

    def breaks_on(self, day: date, zone: ZoneInfo) -> list[Interval]:
        """UTC intervals between the first and the last working minute of `day` that are not worked."""
        present = self._present(day, zone)
        if not present:
            return []
        return subtract([(present[0][0], present[-1][1])], self.on(day, zone))

    def _present(self, day: date, zone: ZoneInfo) -> list[Interval]:
        return [
            (_instant(day, start, zone), _instant(day, end, zone))
            for start, end in getattr(self, DAYS[day.weekday()])
        ]


def pattern(text: str) -> WorkingHours | None:
    """A person's own pattern, `mon-thu 09:00-15:00; fri 09:00-12:00`; empty: the policy's hours."""
    if not text.strip():
        return None
    days: dict[str, list[Span]] = {}
    for part in text.split(";"):
        names, _, hours = part.strip().partition(" ")
        first, _, last = names.lower().partition("-")
        short = [d[:3] for d in DAYS]
        if first[:3] not in short or (last and last[:3] not in short):
            raise ValueError(
                f"found {part.strip()!r}; expected days and hours such as `mon-fri 09:00-17:00`"
            )
        lower, upper = short.index(first[:3]), short.index((last or first)[:3])
        if lower > upper:
            raise ValueError(f"found {part.strip()!r}; expected days in order, such as `mon-fri`")
        for index in range(lower, upper + 1):
            days.setdefault(DAYS[index], []).append(span(hours))
    return WorkingHours(**days)


def subtract(spans: list[Interval], holes: list[Interval]) -> list[Interval]:
    """`spans` without `holes`; both in any order, half-open."""
    for low, high in holes:
        spans = [
            piece
            for start, end in spans
            for piece in ((start, min(end, low)), (max(start, high), end))
            if piece[0] < piece[1]
        ]
    return sorted(spans)


def day_bounds(day: date, zone: ZoneInfo) -> Interval:
    """First and last instant (UTC, half-open) of a local day: 23, 24 or 25 hours."""
    return _instant(day, time(), zone), _instant(day + timedelta(days=1), time(), zone)


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    if at == time.max:  # 24:00
        day, at = day + timedelta(days=1), time()
    return datetime.combine(day, at, zone).astimezone(UTC)
