"""Dates as people and logs write them: ISO, numbers with slashes, names of months and weekdays."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from lake.witness.bound import Bound, day_of

MONTHS = b"jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEKDAYS = b"mon tue wed thu fri sat sun".split()
MANY = 500
YOUNG, PLACES = 16, 8
"""How many dates that are not overdue are looked at in a block, and in how many places each."""

NEAR = 40
LONGEST_DATE = 160
"""Bytes around a month's name that can belong to its date, tags and all."""


class Found(NamedTuple):
    """A date in a block of text: its day, and where it stands."""

    day: date
    start: int
    end: int
    clock: bool = True  # False: a number that its surroundings have yet to make one


ISO = re.compile(rb"20(?<!\d20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?!\d)")
ISO_WEEKLESS = re.compile(rb"20(?<!\d20)(?<!/20)\d\d/\d\d/\d\d(?=[ T,;|]+\d\d:\d\d)")
COMPACT = re.compile(rb"20(?<![\w.]20)\d{6}(?:T\d{4}(?:\d\d)?|\d{6}(?!\d))")
SLASHED = re.compile(rb"([/.-])(?<=\d.)\d{1,2}\1(?:20\d\d(?!\d)|\d\d(?=[ ,T]+\d{1,2}:\d\d))")
FIRST_PART = re.compile(rb"(?<![\d/.-])\d{1,2}$")
DAY_MONTH = re.compile(rb"(\d{1,2})([/.-])(\d{1,2})[/.-](\d{2,4})")
APACHE = re.compile(rb"/(?<=\d\d/)(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/20\d\d")

LIKE_A_MONTH = re.compile(
    rb"[JFMASONDjfmasond](?:an|eb|ar|pr|ay|un|ul|ug|ep|ct|ov|ec|AN|EB|AR|PR|AY|UN|UL|UG|EP|CT|OV|EC)"
)
"""Quick to search for; MONTH then says whether it is one."""

MONTH = re.compile(
    rb"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    rb"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?![a-z])",
    re.IGNORECASE,
)
GAP = rb"(?:[\s,./_-]|\xc2\xa0|\xa0|&nbsp;|&#160;|&#xa0;|<[^<>]{0,60}>){1,6}"
DAY_BEFORE = re.compile(
    rb"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?(?:" + GAP + rb"of)?(" + GAP + rb")$", re.IGNORECASE
)
YEAR_BEFORE = re.compile(rb"(?<!\d)(20\d\d)" + GAP + rb"$")
YEAR_AFTER = re.compile(rb"\.?" + GAP + rb"(20\d\d)(?!\d)")
SHORT_YEAR = re.compile(rb"[-/](\d\d)(?![\d-])")
DAY_AFTER = re.compile(rb"\.?" + GAP + rb"(\d{1,2})(?:st|nd|rd|th)?(?!\d)", re.IGNORECASE)
TIME_AFTER = re.compile(
    rb"[T,]?"
    + GAP
    + rb"\d{1,2}:\d\d(?::\d\d)?(?:\.\d+)?(?: ?[ap]m)?(?: (?:[A-Z]{2,5}|[+-]\d{4}))?",
    re.IGNORECASE,
)
WEEKDAY_BEFORE = re.compile(
    rb"\b(mon|tue|wed|thu|fri|sat|sun)(?:day|s|sday|nesday|rs|rsday|urday)?(?:" + GAP + rb"the)?"
    + GAP + rb"(?:\d{1,2}(?:st|nd|rd|th)?(?:" + GAP + rb"of)?" + GAP + rb")?$",
    re.IGNORECASE,
)  # fmt: skip
JOINED = b"\xc2\xa0"
"""What stands between day and month where a page of ours words a date that is of no event."""


def fixed(block: bytes, order: str, bound: Bound) -> Iterator[Found]:
    """Dates of a fixed shape, each distinct text parsed once.

    Of those that are not overdue only some, the oldest: of a log in order all others are younger.
    """
    for pattern, parse in ((ISO, _year_first), (ISO_WEEKLESS, _year_first), (COMPACT, _compact)):
        days = {t: parse(t) for t in set(pattern.findall(block))}
        if len(days) > MANY:  # with the time of day in it nearly every one is another
            yield from _one_by_one(pattern, block, days, bound)
        else:
            yield from matter(block, days, bound)
    months = {block[m.start() - 2 : m.end()] for m in APACHE.finditer(block)}
    yield from matter(block, {t: _apache(t) for t in months}, bound)
    slashed = set(_slashed_texts(block))
    yield from matter(block, {t: _slashed(t, order, bound.today) for t in slashed}, bound)


def _one_by_one(
    pattern: re.Pattern[bytes], block: bytes, days: dict[bytes, date | None], bound: Bound
) -> Iterator[Found]:
    """All that are overdue, and of the others the oldest."""
    first = min((d for d in days.values() if d and d >= bound.limit), default=bound.limit)
    for match in pattern.finditer(block):
        day = days[match[0]]
        if day and day <= first:
            yield Found(day, match.start(), match.end())


def matter(
    block: bytes, days: dict[bytes, date | None], bound: Bound, *, clock: bool = True
) -> Iterator[Found]:
    """Where the texts stand: all that are overdue, and the first places of the oldest others."""
    others = 0
    for text, day in sorted(((t, d) for t, d in days.items() if d), key=lambda pair: pair[1]):
        young = day >= bound.limit
        others += young
        if others > YOUNG:
            return
        start, places = block.find(text), 0
        while start >= 0 and not (young and places >= PLACES):
            end = start + len(text)
            if not (block[max(0, start - 1) : start].isdigit() or block[end : end + 1].isdigit()):
                places += 1
                yield Found(day, start, end, clock)
            start = block.find(text, end)


def _slashed_texts(block: bytes) -> Iterator[bytes]:
    for match in SLASHED.finditer(block):
        first = FIRST_PART.search(block, max(0, match.start() - 3), match.start())
        if first:
            yield block[first.start() : match.end()]


def _year_first(text: bytes) -> date | None:
    return day_of(int(text[:4]), int(text[5:7]), int(text[8:10]))


def _compact(text: bytes) -> date | None:
    hours = text[8:].lstrip(b"T")
    if int(hours[:2]) > 23 or int(hours[2:4]) > 59 or int(hours[4:6] or 0) > 60:
        return None
    return day_of(int(text[:4]), int(text[4:6]), int(text[6:8]))


def _apache(text: bytes) -> date | None:
    return day_of(int(text[7:]), MONTHS.index(text[3:6].lower()) + 1, int(text[:2]))


def order_of(sample: bytes) -> str:
    """Whether 02/11/2025 begins with the day or the month, by the dates of a file that can tell.

    `dmy`, `mdy`, or `?` where none can: then the older of both readings counts.
    """
    days = [DAY_MONTH.match(text) for text in set(_slashed_texts(sample))]
    firsts = {int(m[1]) > 12 for m in days if m and m[2] != b"."}
    seconds = {int(m[3]) > 12 for m in days if m and m[2] != b"."}
    if True in firsts:
        return "dmy"
    return "mdy" if True in seconds else "?"


def _slashed(text: bytes, order: str, today: date) -> date | None:
    found = DAY_MONTH.fullmatch(text)
    if not found:
        return None
    one, two = int(found[1]), int(found[3])
    year = int(found[4]) + (2000 if len(found[4]) == 2 else 0)
    dmy, mdy = day_of(year, two, one), day_of(year, one, two)
    if found[2] == b"." or order == "dmy":
        return dmy
    if order == "mdy":
        return mdy
    past = [d for d in (dmy, mdy) if d and d <= today + timedelta(days=1)]
    return min(past, default=None)


def worded(block: bytes, bound: Bound) -> Iterator[Found]:
    """Dates with a month's name: `2 November 2025`, `Nov 2, 2025`, `Sun Nov  2 09:00:00 2025`.

    Without a year: after a weekday the latest year it fits; before a time of day the latest year
    that is not after the file's own time.
    """
    known: dict[bytes, date | None] = {}
    for like in LIKE_A_MONTH.finditer(block):
        start = like.start()
        month = MONTH.match(block, start)
        if not month or block[start - 1 : start].isalpha() or block[start - 1 : start] == b"/":
            continue  # in a word; `02/Nov/2025` is of a fixed shape
        before, after = _around(block, start, month.end())
        # A log repeats its dates; the seconds between day and year are no part of them.
        timed = after[6:7] == after[9:10] == b":"
        near = before + (after[:4] + after[12:30] if timed else after)
        if near not in known:
            number = MONTHS.index(month[0][:3].lower()) + 1
            known[near] = _by_words(before, number, after, bound)
        day = known[near]
        if day is not None:
            yield Found(day, start, month.end())


def _around(block: bytes, start: int, end: int) -> tuple[bytes, bytes]:
    """What stands before and after a month's name; far only where markup lies between."""
    before, after = block[max(0, start - NEAR) : start], block[end : end + NEAR]
    if b"<" in before or b"&" in before or b"<" in after or b"&" in after:
        return block[max(0, start - LONGEST_DATE) : start], block[end : end + LONGEST_DATE]
    return before[before.rfind(b"\n") + 1 :], after


def _by_words(before: bytes, month: int, after: bytes, bound: Bound) -> date | None:
    first = DAY_BEFORE.search(before)
    if first:
        if bound.paged and first[2] == JOINED:
            return None
        year = YEAR_AFTER.match(after)
        if year:
            return day_of(int(year[1]), month, int(first[1]))
        short = SHORT_YEAR.match(after) if first[2] in (b"-", b"/") else None
        if short:
            return day_of(2000 + int(short[1]), month, int(first[1]))
    second = DAY_AFTER.match(after)
    if second and not (bound.paged and after.startswith(JOINED)):
        found = _month_first(before, month, int(second[1]), after[second.end() :], bound)
        if found:
            return found
    day = first or second
    return _by_weekday(before, month, int(day[1]), bound.today) if day else None


def _month_first(before: bytes, month: int, day: int, rest: bytes, bound: Bound) -> date | None:
    """`2025 Nov 2`, `Nov 2, 2025`, `Nov  2 09:00:00 2025`, and syslog's `Nov  2 09:00:00`."""
    early = YEAR_BEFORE.search(before)
    if early:
        return day_of(int(early[1]), month, day)
    time = TIME_AFTER.match(rest)
    year = YEAR_AFTER.match(rest[time.end() :] if time else rest)
    if year:
        return day_of(int(year[1]), month, day)
    if not time:
        return None
    weekday = _by_weekday(before, month, day, bound.today)
    return weekday or _latest(month, day, bound.written)


def _latest(month: int, day: int, last: date) -> date | None:
    """The latest such day that is not after `last` (and a day, for zones)."""
    days = (day_of(year, month, day) for year in (last.year + 1, last.year, last.year - 1))
    return next((d for d in days if d and d <= last + timedelta(days=1)), None)


def _by_weekday(before: bytes, month: int, day: int, today: date) -> date | None:
    """The latest year, at most the next, in which the day is of the weekday before it."""
    named = WEEKDAY_BEFORE.search(before)
    if not named:
        return None
    weekday = WEEKDAYS.index(named[1].lower())
    days = (day_of(year, month, day) for year in range(today.year + 1, today.year - 12, -1))
    return next((d for d in days if d and d.weekday() == weekday), None)
