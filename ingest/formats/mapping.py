"""Columns of an engine into rows of RAW, as a description says: once per distinct value."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats import fetching, times, urls
from ingest.formats.arrays import codes_to_text, constant, text_of, values_of
from ingest.formats.block import RAW, Fold, Given, IntArray, Parsed, Reject
from ingest.formats.description import (  # fmt: skip
    NOTHING,
    Condition,
    Judge,
    Kind,
    Layout,
    Record,
    Take,
    When,
    grouped,
)
from ingest.formats.later import answered
from ingest.formats.lines import Beside, Columns, Mask, some
from ingest.formats.values import DECODERS, filled, first_of, numbers

TEXTS = ("client", "user", "method", "referrer", "content_type", "user_agent", "device_category")
INTEGERS = ("duration_ms", "bytes_down", "bytes_up")
Asked = Callable[[str], pa.DictionaryArray | None]
CONTACTS: tuple[Kind, ...] = ("sensor", "resolver")


@dataclass
class Rules:
    """A layout with one of its records laid over it, compiled."""

    layout: Layout
    record: Record | None
    kind: Kind

    def _laid(self, name: str) -> object:
        own = getattr(self.record, name) if self.record is not None else None
        return own or getattr(self.layout, name)

    @cached_property
    def fields(self) -> dict[str, list[Take]]:
        """Target to sources, the record's before the layout's."""
        return {**self.layout.fields, **(self.record.fields if self.record else {})}  # type: ignore[dict-item]

    @cached_property
    def time(self) -> list[When]:
        """Ways to tell the time."""
        return self._laid("time")  # type: ignore[return-value]

    @cached_property
    def verdict(self) -> list[Judge]:
        """Ways to tell the verdict."""
        return self._laid("verdict")  # type: ignore[return-value]

    @cached_property
    def default(self) -> str:
        """The verdict where no word of the record says one."""
        return str(self._laid("default") or "unknown")

    @cached_property
    def places(self) -> dict[str, str]:
        """Names of positional columns."""
        names: Sequence[str] = self._laid("columns")  # type: ignore[assignment]
        return {name: str(place) for place, name in enumerate(names)}

    @cached_property
    def extract(self) -> dict[str, list[str]]:
        """Columns that are cut further by a pattern with named groups."""
        return {**self.layout.extract, **(self.record.extract if self.record else {})}

    @cached_property
    def contact(self) -> bool:
        """Whether rows only say that a host was contacted."""
        kind = (self.record.kind if self.record else None) or self.layout.kind or self.kind
        return kind in CONTACTS


class Named:
    """Columns by the names a description uses: positions, extracted groups, aliases."""

    def __init__(self, columns: Columns, rules: Rules, nothing: Sequence[str]) -> None:
        self.columns, self.numbers = columns, columns.numbers
        self._rules = rules
        self._nothing = pa.array(sorted({*NOTHING, *nothing}))
        self._made: dict[str, pa.DictionaryArray | None] = {}
        self._groups: dict[str, pa.DictionaryArray] = {}
        for name, patterns in rules.extract.items():
            self._extract(name, patterns)

    def __len__(self) -> int:
        return len(self.numbers)

    def under(self, rules: Rules) -> "Named":
        """The same records by the names of another record's rules: those made already, where they agree."""
        if (rules.places, rules.extract) == (self._rules.places, self._rules.extract):
            return self
        return Named(self.columns, rules, rules.layout.nothing)

    def raw(self, name: str) -> pa.DictionaryArray | None:
        """The column as it stands, words for nothing included."""
        if name in self._groups:
            return self._groups[name]
        return self.columns.column(self._rules.places.get(name, name))

    def column(self, name: str) -> pa.DictionaryArray | None:
        """The column with words for nothing as null."""
        if name not in self._made:
            found = self.raw(name)
            self._made[name] = None if found is None else self._said(found)
        return self._made[name]

    def _said(self, column: pa.DictionaryArray) -> pa.DictionaryArray:
        trimmed = pc.utf8_trim_whitespace(column.dictionary)
        nothing = pc.is_in(trimmed, self._nothing)
        if not pc.any(nothing).as_py() and trimmed.equals(column.dictionary):
            return column
        values = pc.if_else(nothing, pa.scalar(None, pa.string()), trimmed)
        return codes_to_text(column.indices, values)

    def _extract(self, name: str, patterns: Sequence[str]) -> None:
        column = self.raw(name)
        if column is None:
            return
        for pattern in patterns:
            found = pc.extract_regex(column.dictionary, pattern=pattern)
            for field in found.type:
                made = codes_to_text(column.indices, filled(found.field(field.name)))
                known = self._groups.get(field.name)
                self._groups[field.name] = made if known is None else first_of([known, made])


def holds(columns: Named, condition: Condition) -> Mask:
    """Which records a condition is true of: all its columns have one of the words."""
    result = np.ones(len(columns), bool)
    for name, words in condition.items():
        result &= _has(columns.column(name), words, len(columns))
        if not result.any():  # what no record is asked for need not be made
            break
    return result


def _has(column: pa.DictionaryArray | None, words: Sequence[str], count: int) -> Mask:
    if column is None:
        return np.full(count, "absent" in words)
    texts = column.dictionary
    made = np.full(len(texts), "present" in words)
    plain = [w for w in words if not w.startswith("~") and w not in ("present", "absent")]
    if plain:
        made |= pc.is_in(texts, pa.array(plain)).to_numpy(zero_copy_only=False)
    for word in words:
        if word.startswith("~"):
            found = pc.match_substring_regex(texts, word[1:])
            made |= found.fill_null(False).to_numpy(zero_copy_only=False)
    if texts.null_count:  # a null may stand in the dictionary itself
        made[pc.is_null(texts).to_numpy(zero_copy_only=False)] = "absent" in words
    indices = column.indices
    if indices.null_count:
        made, indices = np.append(made, "absent" in words), indices.fill_null(len(made))
    mask: Mask = made[indices.to_numpy()]
    return mask


def rows(layout: Layout, kind: Kind, columns: Columns, given: Given) -> Parsed:
    """All records of a layout: rows, what is ignored and why, what is not understood and why."""
    parts: list[Parsed] = []
    whole = Rules(layout, None, kind)
    left = np.arange(len(columns.numbers))
    why: Counter[str] = Counter()
    if not layout.records:
        parts.append(_rows(whole, Named(columns, whole, layout.nothing), given))
        left = left[:0]
    columns = _answered(whole, columns)
    named = Named(columns, whole, layout.nothing)
    rejects: list[Reject] = []
    for record in layout.records:
        if not len(left):
            break
        rules = Rules(layout, record, kind)
        named = named.under(rules) if len(named) == len(left) else _named(rules, columns, left)
        mine = np.ones(len(left), bool)
        if record.when:
            mine = np.logical_or.reduce([holds(named, c) for c in record.when])
        if record.ignore is not None:
            why[record.ignore] += int(mine.sum())
        elif record.reject is not None:
            rejects += [Reject(int(n), record.reject) for n in named.numbers[mine]]
        elif mine.any():
            own = named if mine.all() else _named(rules, columns, left[mine])
            parts.append(_rows(rules, own, given))
        left = left[~mine]
    result = together(parts)
    result.why += +why
    result.rejects += rejects
    if len(left) and layout.otherwise == "ignore":
        result.why["a record of another kind"] += len(left)
    elif len(left):
        result.rejects += [
            Reject(int(n), "a record of a kind that is not described")
            for n in columns.numbers[left]
        ]
    return result


LATER = "@later"


def _answered(rules: Rules, columns: Columns) -> Columns:
    """The columns, with `@later` (what later records tell of a row) and `@asked` (of a record that tells:
    whether its row stands before it)."""
    later = rules.layout.later
    if later is None or not len(columns.numbers):
        return columns
    named = Named(columns, rules, rules.layout.nothing)
    keys = [c for name in later.by if (c := named.column(name)) is not None]
    told = [_judged(c, later) for name in later.from_ if (c := named.raw(name)) is not None]
    if not keys or not told:
        return columns
    made, after = answered(keys, holds(named, later.asks), first_of(told))
    asked = codes_to_text(pa.array(np.zeros(len(after), np.int32), mask=~after), ["yes"])
    return Beside(columns, {LATER: made, "@asked": asked})


def together(parts: Sequence[Parsed]) -> Parsed:
    """Several parts of a block as one, in the order of its lines."""
    if len(parts) == 1:
        return parts[0]
    result = Parsed(RAW.empty_table())
    tables = [p.rows for p in parts if p.rows.num_rows]
    for part in parts:
        result.rejects += part.rejects
        result.why += part.why
        result.fold = result.fold.then(part.fold) if result.fold else part.fold
    if len(tables) == 1:
        result.rows = tables[0]
    elif tables:
        table = pa.concat_tables(tables).unify_dictionaries()
        order = np.argsort(table["line"].to_numpy(), kind="stable")
        result.rows = table.take(pa.array(order)).combine_chunks()
    return result


def _named(rules: Rules, columns: Columns, rows: IntArray) -> Named:
    return Named(some(columns, rows), rules, rules.layout.nothing)


def _rows(rules: Rules, named: Named, given: Given) -> Parsed:
    count = len(named)
    when, reasons, fold = _time(rules, named, given)
    # `none` is one of a browser's words, though products write it for nothing.
    got = {n: field(named, t, spoken=n == "fetch_site") for n, t in rules.fields.items()}
    status = _status(got.get("status"), count)
    url = urls.composed(got, count)
    method = got.get("method")
    made: dict[str, pa.Array] = {
        "line": pa.array(named.numbers, pa.int64()),
        "time": when,
        "url": url,
        "status": status,
        "verdict": _verdict(rules, named, got.get("status"), count),
        "grain": constant("contact", count) if rules.contact else urls.grains(url, method),
        **fetching.columns(got, count),
    }
    for name in TEXTS:
        column = got.get(name)
        made[name] = constant(None, count) if column is None else column
    for name in INTEGERS:
        takes = rules.fields.get(name, [])
        made[name] = _numbers(named, takes, count)
    table = pa.table([made[f.name] for f in RAW], schema=RAW)
    parsed = _complete(table, reasons, fold)
    return _of_sites(parsed) if rules.contact else parsed


NO_SITES = (
    ("reverse look-up", r"(?i)^(?://)?[^/]*\.(?:in-addr|ip6)\.arpa\.?(?::\d+)?$"),
    (
        "local name",
        r"(?i)^(?://)?(?:[^./:\[\]]*|[^/]*\.(?:local|localhost|localdomain|lan|internal|home\.arpa))\.?(?::\d+)?$",
    ),
)


def _of_sites(parsed: Parsed) -> Parsed:
    """Contacts without those of names that no site can have; they are ignored on purpose."""
    for why, pattern in NO_SITES:
        url = parsed.rows["url"].combine_chunks()
        if not len(url):
            break
        named = pc.match_substring_regex(url.dictionary, pattern).take(url.indices)
        if pc.any(named).as_py():
            parsed.why[why] += int(pc.sum(named).as_py())
            parsed.rows = parsed.rows.filter(pc.invert(named))
    return parsed


def _complete(table: pa.Table, reasons: dict[int, str], fold: Fold | None) -> Parsed:
    """A row needs a time, a client or a user, and a host; without them it is a reject."""
    parsed = Parsed(table, fold=fold)
    no_time = pc.is_null(table["time"])
    nobody = pc.and_(pc.is_null(table["client"]), pc.is_null(table["user"]))
    keep = None
    for bad, told in ((no_time, "the time is not understood"), (pc.is_null(table["url"]), "no URL or host"), (nobody, "no client address and no user")):  # fmt: skip
        if keep is not None:
            bad = pc.and_(keep, bad)
        if not pc.any(bad).as_py():
            continue
        at = np.flatnonzero(bad.to_numpy())
        numbers = table["line"].take(pa.array(at)).to_pylist()
        parsed.rejects += [
            Reject(n, reasons.get(row, told)) for row, n in zip(at.tolist(), numbers, strict=True)
        ]
        good = pc.invert(bad)
        keep = good if keep is None else pc.and_(keep, good)
    if keep is not None:
        parsed.rows = table.filter(keep)
    return parsed


def _time(rules: Rules, named: Named, given: Given) -> tuple[pa.Array, dict[int, str], Fold | None]:
    made: pa.Array | None = None
    reasons: dict[int, str] = {}
    fold: Fold | None = None
    for way in rules.time:
        columns = [named.column(name) for name in way.from_]
        if any(c is None for c in columns):
            continue
        text = columns[0] if len(columns) == 1 else _glued(columns)
        written = tuple(way.written)
        if way.zone_from and (zone := named.column(way.zone_from)) is not None:
            text = _glued([text, _offset_only(zone)], skip=True)
            written = tuple(w if w.endswith("%z") else f"{w}%z" for w in written)
        said = given if way.zone is None else replace(given, zone=ZoneInfo(way.zone))
        found = times.parse(text, written, said)
        fold = found.fold or fold
        if made is None:
            made, reasons = found.ms, found.reasons
        else:
            made = pc.coalesce(made, found.ms)
            reasons = {**reasons, **found.reasons}
        if not made.null_count:
            return made, {}, fold
    made = _carriers_time(rules, named, given, made)
    null = pc.is_null(made).to_numpy(zero_copy_only=False)
    return made, {row: r for row, r in reasons.items() if null[row]}, fold


def _carriers_time(rules: Rules, named: Named, given: Given, made: pa.Array | None) -> pa.Array:
    """The time a carrier gives a record, where the record itself says none at all."""
    made = pa.nulls(len(named), pa.int64()) if made is None else made
    moment = named.column("@wrapper.time")
    if moment is None:
        return made
    silent = pc.is_null(made)
    for name in {name for way in rules.time for name in way.from_} - {"@wrapper.time"}:
        if (column := named.column(name)) is not None:
            silent = pc.and_(silent, pc.is_null(column))
    found = times.parse(moment, ("epoch", "iso", "%Y-%m-%d %H:%M:%S%f %Z"), given).ms
    return pc.if_else(silent, found, made)


def _offset_only(zone: pa.DictionaryArray) -> pa.DictionaryArray:
    """Offsets such as `+0100`; zone names are ambiguous (`IST` is three), so they say nothing."""

    def plain(text: str) -> str | None:
        match = re.search(r"[+-]\d{1,2}:?\d\d$|^(?:UTC|GMT|Z)$", text.strip())
        return match[0] if match else None

    return text_of(zone, plain)


def _glued(columns: Sequence[pa.DictionaryArray], *, skip: bool = False) -> pa.DictionaryArray:
    """Columns as one, with blanks between; null where one is, or (`skip`) where the first is."""
    indices, known = urls.distinct(columns)
    if skip:
        known = [(first, *(text or "" for text in others)) for first, *others in known]
    return codes_to_text(indices, [None if None in texts else " ".join(texts) for texts in known])  # type: ignore[arg-type]


def field(
    named: Named, takes: Sequence[Take], *, spoken: bool = False
) -> pa.DictionaryArray | None:
    """The first source of a field that says something, as text; `spoken`: words for nothing are words."""
    found: list[pa.DictionaryArray] = []
    for take in takes:
        made = _taken(named, take, named.raw if spoken else named.column)
        if made is None:
            continue
        found.append(made)
        if not made.null_count:
            break
    return first_of(found) if found else None


def _taken(named: Named, take: Take, ask: Asked) -> pa.DictionaryArray | None:
    column = (
        _said_first(take.from_, ask) if take.from_ else constant(take.value or None, len(named))
    )
    if column is None:
        return None
    if take.match:
        found = pc.extract_regex(column.dictionary, pattern=grouped(take.match))
        column = codes_to_text(column.indices, filled(found.field("x")))
    if take.nothing:
        gone = frozenset(take.nothing)
        column = text_of(column, lambda text: None if text in gone else text)
    if take.words is not None:
        words = take.words
        column = text_of(column, lambda text: words.get(text, words.get("*")))
    for decode in take.decode:
        column = text_of(column, DECODERS[decode])
    if take.from_ and take.value is not None:
        column = text_of(column, lambda _: take.value)
    if take.when:
        mask = holds(named, take.when)
        column = column.take(pa.array(np.arange(len(column)), mask=~mask))
    return column


def _said_first(names: Sequence[str], ask: Asked) -> pa.DictionaryArray | None:
    """The first of several columns that says something; those behind one that always does are not made."""
    found: list[pa.DictionaryArray] = []
    for name in names:
        if (column := ask(name)) is not None:
            found = [first_of([*found, column])]
            if not found[0].null_count:
                break
    return found[0] if found else None


def _numbers(named: Named, takes: Sequence[Take], count: int) -> pa.Array:
    made: pa.Array | None = None
    for take in takes:
        column = _taken(named, take, named.column)
        if column is None:
            continue
        found = numbers(column, take.unit or "ms")
        made = found if made is None else pc.coalesce(made, found)
    return pa.nulls(count, pa.int64()) if made is None else made


def _status(column: pa.DictionaryArray | None, count: int) -> pa.Array:
    if column is None:
        return pa.nulls(count, pa.int16())

    def status(text: str) -> int | None:
        match = re.match(r"\d{3}(?!\d)", text)
        return int(match[0]) or None if match and 100 <= int(match[0]) < 1000 else None

    return values_of(column, status, pa.int16())


def _verdict(rules: Rules, named: Named, status: pa.DictionaryArray | None, count: int) -> pa.Array:
    found: list[pa.DictionaryArray] = []
    if status is not None:
        # A proxy that asks for a password denies nothing.
        found.append(text_of(status, lambda text: "auth" if text.startswith("407") else None))
    if (later := named.column(LATER)) is not None:
        found.append(later)
    for judge in rules.verdict:
        for name in judge.from_:
            column = named.raw(name)
            if column is not None:
                found.append(_judged(column, judge))
    found.append(constant(rules.default, count))
    return first_of(found)


def _judged(column: pa.DictionaryArray, judge: Judge) -> pa.DictionaryArray:
    """The verdict of each row's word, or of what `match` finds in it."""
    words = {word.casefold(): verdict for word, verdict in judge.words.items()}
    if judge.match is not None:
        found = pc.extract_regex(column.dictionary, pattern=grouped(judge.match))
        column = codes_to_text(column.indices, found.field("x"))

    def said(text: str | None) -> str | None:
        text = (text or "").strip().casefold()
        return words.get(text) or (words.get("*") if text else None)

    return text_of(column, said)
