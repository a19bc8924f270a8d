"""Times as logs write them, to milliseconds since the epoch: once per distinct text."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.block import UNORDERED, ZONELESS, Fold, Given, IntArray

Mask = npt.NDArray[np.bool_]
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAY = 86_400_000
SLACK = DAY
LAST = 4_102_444_800_000
"""The year 2100: no log is of later."""
TOKENS = {
    "%Y": r"(?P<Y>\d{4})",
    "%y": r"(?P<y>\d{2})",
    "%m": r"(?P<m>\d{1,2})",
    "%b": r"(?P<b>[A-Za-z]{3})[a-z]*\.?",
    "%d": r" ?(?P<d>\d{1,2})",
    "%1": r"(?P<one>\d{1,2})",
    "%2": r"(?P<two>\d{1,2})",
    "%H": r" ?(?P<H>\d{1,2})",
    "%M": r"(?P<M>\d{2})",
    "%S": r"(?P<S>\d{2})",
    "%f": r"(?:[.,:](?P<f>\d{1,9}))?",
    "%p": r"(?P<p>[AaPp])\.?[\x{a0} ]?[Mm]\.?",
    "%a": r"[A-Za-z]{3,9}",
    "%z": r" ?(?P<z>Z|z|UTC|GMT|(?:UTC|GMT)?[+-]{1,2}\d{1,2}:?\d\d)?",
    "%Z": r"[A-Za-z]{1,5}",
    "%%": "%",
}
"""`%1` and `%2` are day and month in an order the line does not tell; `%f` and `%z` may be absent."""

ISO = "%Y-%m-%dT%H:%M:%S%f%z"
NAMED = {
    "iso": (ISO, "%Y-%m-%d %H:%M:%S%f%z"),
    "syslog": (
        "%b %d %Y %H:%M:%S%f%z",
        "%b %d %H:%M:%S%f %Y",
        "%b %d %H:%M:%S%f%z",
        ISO,
        "%Y-%m-%d %H:%M:%S%f%z",
        "%Y %b %d %H:%M:%S%f%z",
    ),
    "clf": ("%d/%b/%Y:%H:%M:%S%f %z",),
    "ctime": ("%a %b %d %H:%M:%S%f %Y", "%a %b %d %H:%M:%S %Z %Y"),
    "date-local": ("%1/%2/%Y,? +%H:%M:%S%f %p", "%1/%2/%Y,? +%H:%M:%S%f"),
}


@dataclass(frozen=True)
class Pattern:
    """One way to write a time."""

    text: str

    @cached_property
    def regex(self) -> str:
        """RE2 with a group for each part."""
        pieces = re.split(r"(%[A-Za-z0-9%])", self.text)
        return "^" + "".join(TOKENS.get(p) or _literal(p) for p in pieces) + "$"


@dataclass
class Times:
    """Milliseconds since the epoch by row; null where nothing was understood.

    `reasons`: of the nulls that are a fault of the configuration. `fold`: see block.Parsed.
    """

    ms: pa.Array
    reasons: dict[int, str]
    fold: Fold | None = None


@dataclass
class Clock:
    """Distinct texts read by their parts: local milliseconds, and the offset where one is written."""

    local: IntArray
    offset: IntArray
    known: Mask
    zoned: Mask
    unordered: Mask


@cache
def patterns(words: tuple[str, ...]) -> tuple[Pattern, ...]:
    """The patterns of names (`iso`, `syslog`, …) and of formats written out."""
    return tuple(Pattern(text) for word in words for text in NAMED.get(word, (word,)))


def parse(column: pa.DictionaryArray, words: tuple[str, ...], given: Given) -> Times:
    """Each row's time; `words`: `epoch`, names of NAMED, or strptime-like formats, tried in turn."""
    texts = column.dictionary
    if "epoch" in words:
        ms, known = epoch(texts)
        rest = tuple(w for w in words if w != "epoch")
        if not rest or known.all():
            return Times(pa.array(ms, mask=~known).take(column.indices), {})
        clock = read(texts, patterns(rest), given)
        clock.local = np.where(known, ms, clock.local)
        clock.offset = np.where(known, 0, clock.offset)
        clock.known, clock.zoned = clock.known | known, clock.zoned | known
    else:
        clock = read(texts, patterns(words), given)
    return _instants(clock, column, given)


def epoch(texts: pa.StringArray) -> tuple[IntArray, Mask]:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size."""
    trimmed = pc.utf8_trim_whitespace(texts)
    fits = pc.fill_null(pc.match_substring_regex(trimmed, r"^\d{9,19}([.,]\d*)?$"), False)
    there = fits.to_numpy(zero_copy_only=False)
    nothing = pa.scalar(None, pa.string())
    cut = pc.split_pattern_regex(pc.if_else(fits, trimmed, nothing), r"[.,]", max_splits=1)
    whole = pc.list_element(cut, 0).cast(pa.uint64()).fill_null(0).to_numpy().astype(np.int64)
    value = whole.astype(np.float64)
    short = whole < 10**11
    if (there & short).any():
        dotted = pc.replace_substring(pc.if_else(fits, trimmed, nothing), ",", ".")
        seconds = dotted.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
        value = np.where(short, np.round(seconds * 1000), value)
    size = np.select([short, whole < 10**14, whole < 10**17], [1, 1, 1000], 1_000_000)
    exact = np.where(short, value.astype(np.int64), whole // size)
    return exact, there


def read(texts: pa.StringArray, ways: tuple[Pattern, ...], given: Given) -> Clock:
    """The parts of each text by the first way that fits it."""
    count = len(texts)
    zeros = np.zeros(count, np.int64)
    no = np.zeros(count, bool)
    clock = Clock(zeros.copy(), zeros.copy(), no.copy(), no.copy(), no.copy())
    trimmed = pc.utf8_trim_whitespace(texts)
    for way in ways:
        left = np.flatnonzero(~clock.known & ~clock.unordered)
        if not len(left):
            break
        some = trimmed if len(left) == count else trimmed.take(pa.array(left))
        found = pc.extract_regex(some, pattern=way.regex)
        fits = pc.is_valid(found).to_numpy(zero_copy_only=False)
        if fits.any():
            at = left[fits]
            _fill(clock, at, found.filter(pa.array(fits)), given)
    return clock


def _fill(clock: Clock, at: IntArray, found: pa.StructArray, given: Given) -> None:
    names = {f.name for f in found.type}

    def number(name: str, default: int = 0) -> IntArray:
        if name not in names:
            return np.full(len(at), default, np.int64)
        text = found.field(name)
        text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
        values: IntArray = text.cast(pa.int64()).fill_null(default).to_numpy(zero_copy_only=False)
        return values

    month, day = number("m"), number("d")
    if "b" in names:
        word = pc.utf8_lower(found.field("b"))
        month = pc.index_in(word, pa.array(MONTHS)).fill_null(-1).to_numpy(zero_copy_only=False) + 1
    ordered = np.ones(len(at), bool)
    if "one" in names:
        month, day, ordered = _ordered(number("one"), number("two"), given)
    hour = number("H")
    if "p" in names:
        after = pc.is_in(found.field("p"), pa.array(["p", "P"])).to_numpy(zero_copy_only=False)
        hour = np.where(after, hour % 12 + 12, hour % 12)
    time = (hour * 60 + number("M")) * 60_000 + number("S") * 1000 + _fraction(found, names)
    year = number("Y") if "Y" in names else number("y") + 2000 if "y" in names else None
    days, sound = _days(year, month, day, given)
    sound &= (hour < 24) & (number("M") < 60) & (number("S") < 61)
    clock.local[at], clock.known[at] = days * DAY + time, sound & ordered
    clock.unordered[at] = ~ordered
    if "z" in names:
        offset, zoned = _offsets(found.field("z"))
        clock.offset[at], clock.zoned[at] = offset, zoned


def _fraction(found: pa.StructArray, names: set[str]) -> IntArray:
    if "f" not in names:
        return np.zeros(len(found), np.int64)
    three = pc.utf8_rpad(pc.utf8_slice_codeunits(found.field("f"), 0, 3), 3, "0")
    values: IntArray = three.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return values


def _ordered(one: IntArray, two: IntArray, given: Given) -> tuple[IntArray, IntArray, Mask]:
    """Month, day, and whether their order is known at all."""
    if given.order is None:
        return one, two, np.zeros(len(one), bool)
    month, day = (two, one) if given.order == "dmy" else (one, two)
    return month, day, np.ones(len(one), bool)


def _days(
    year: IntArray | None, month: IntArray, day: IntArray, given: Given
) -> tuple[IntArray, Mask]:
    """Days since 1970 and whether they exist; a year not written is the last one possible."""
    month = np.where((month >= 1) & (month <= 12), month, 0)
    if year is not None:
        return _civil(year, month, day)
    latest = min(given.latest, LAST)
    last = int(np.datetime64(latest + SLACK, "ms").astype("M8[Y]").astype(int)) + 1970
    days, sound = _civil(np.full(len(month), last), month, day)
    for back in range(1, 9):
        wrong = ~sound | (days * DAY > latest + SLACK)
        if not wrong.any():
            break
        again, exists = _civil(np.full(len(month), last - back), month, day)
        days, sound = np.where(wrong, again, days), np.where(wrong, exists, sound)
    return days, sound


def _civil(year: IntArray, month: IntArray, day: IntArray) -> tuple[IntArray, Mask]:
    first = ((year - 1970) * 12 + np.maximum(month, 1) - 1).astype("M8[M]")
    days = first.astype("M8[D]").astype(np.int64) + day - 1
    sound = (month > 0) & (day >= 1) & (days.astype("M8[D]").astype("M8[M]") == first)
    return days, sound


def _offsets(zone: pa.StringArray) -> tuple[IntArray, Mask]:
    """Milliseconds east of Greenwich of `Z`, `+0100`, `-05:00` and of the device's `--5:00`."""
    coded = pc.fill_null(zone, "").dictionary_encode()
    made: list[int | None] = [_offset(z) for z in coded.dictionary.to_pylist()]
    known = np.array([m is not None for m in made], bool)
    values = np.array([m or 0 for m in made], np.int64)
    at = coded.indices.to_numpy()
    return values[at], known[at]


def _offset(text: str) -> int | None:
    if text in ("Z", "z", "UTC", "GMT"):
        return 0
    match = re.fullmatch(r"(?:UTC|GMT)?([+-])[+-]?(\d{1,2}):?(\d\d)", text)
    if not match or int(match[2]) > 14 or int(match[3]) > 59:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    return (minutes if match[1] == "+" else -minutes) * 60_000


def _instants(clock: Clock, column: pa.DictionaryArray, given: Given) -> Times:
    """Local times through the zone; the hour that comes twice by the order of the rows."""
    known = clock.known & (clock.zoned | (given.zone is not None))
    reasons: dict[int, str] = {}
    bad = [(clock.known & ~known, ZONELESS), (clock.unordered, UNORDERED)]
    at = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
    there = pc.is_valid(column.indices).to_numpy(zero_copy_only=False)
    for mask, reason in bad:
        if mask.any():
            reasons |= dict.fromkeys(np.flatnonzero(mask[at] & there).tolist(), reason)
    utc = clock.local - clock.offset
    floating = known & ~clock.zoned
    if given.zone is None or not floating.any():
        return Times(pa.array(utc, mask=~known).take(column.indices), reasons)
    early, late, exists = _through(clock.local, floating, given.zone)
    utc = np.where(floating, early, utc)
    known &= ~floating | exists
    result = pa.array(utc, mask=~known).take(column.indices)
    twice = floating & (early != late)
    if not twice.any():
        return Times(result, reasons)
    rows = np.flatnonzero(twice[at] & there)
    local = clock.local[at[rows]]
    half = int((late - early).max()) // 2
    back = np.flatnonzero(np.diff(local) < -half)
    folded = np.full(len(rows), given.folded)
    if len(back):
        folded[back[0] + 1 :] = True
    ms = np.where(there, utc[at], 0)
    ms[rows] = np.where(folded, late[at[rows]], early[at[rows]])
    valid = known[at] & there
    fold = Fold(int(local[0]), int(local[-1]), bool(folded[-1]), half) if len(rows) else None
    return Times(pa.array(ms, mask=~valid), reasons, fold)


def fold_at(ms: int, zone: ZoneInfo) -> Fold | None:
    """The fold an instant stands in; None where its local time comes once."""
    moment = datetime.fromtimestamp(min(max(ms, 0), LAST) / 1000, zone)
    first, second = (moment.replace(fold=fold).timestamp() for fold in (0, 1))
    if first == second:
        return None
    local = int(moment.replace(tzinfo=UTC).timestamp() * 1000)
    return Fold(local, local, bool(moment.fold), int(second - first) * 500)


def _through(local: IntArray, floating: Mask, zone: ZoneInfo) -> tuple[IntArray, IntArray, Mask]:
    """Earlier and later instant of local times, and whether they exist at all."""
    naive = pa.array(local, mask=~floating).cast(pa.timestamp("ms"))
    name = str(zone)

    def through(which: str) -> pa.Array:
        return pc.assume_timezone(naive, name, ambiguous=which, nonexistent="earliest")

    early, late = through("earliest"), through("latest")
    again = pc.local_timestamp(early).cast(pa.int64()).fill_null(0).to_numpy()
    exists = again == np.where(floating, local, again)
    return (
        early.cast(pa.int64()).fill_null(0).to_numpy(),
        late.cast(pa.int64()).fill_null(0).to_numpy(),
        exists,
    )


def _literal(text: str) -> str:
    """Blanks stand for any run of them; `,?` and ` +` are taken as written."""
    return "".join(
        {" ": " +", "?": "?", "+": "+"}.get(c, re.escape(c)) for c in text.replace(" +", " ")
    )
