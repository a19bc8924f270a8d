"""What a record says in a field: the first of the sources its description names that says something."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats import times
from ingest.formats.arrays import codes_to_text, constant, distinct, text_of, values_of
from ingest.formats.block import Fold, Given
from ingest.formats.description import Judge, Take, grouped
from ingest.formats.rules import Named, Rules, holds
from ingest.formats.values import DECODERS, filled, first_of, numbers

Asked = Callable[[str], pa.DictionaryArray | None]
LATER = "@later"
"""The column of what later records tell of a row."""


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


def integers(named: Named, takes: Sequence[Take], count: int) -> pa.Array:
    """A field of a number as int64: milliseconds or bytes; null where no source says one."""
    made: pa.Array | None = None
    for take in takes:
        column = _taken(named, take, named.column)
        if column is None:
            continue
        found = numbers(column, take.unit or "ms")
        made = found if made is None else pc.coalesce(made, found)
    return pa.nulls(count, pa.int64()) if made is None else made


def status(column: pa.DictionaryArray | None, count: int) -> pa.Array:
    """The status of HTTP as int16: the three digits a text begins with, else null."""
    if column is None:
        return pa.nulls(count, pa.int16())

    def code(text: str) -> int | None:
        match = re.match(r"\d{3}(?!\d)", text)
        return int(match[0]) or None if match and 100 <= int(match[0]) < 1000 else None

    return values_of(column, code, pa.int16())


def verdict(rules: Rules, named: Named, status: pa.DictionaryArray | None, count: int) -> pa.Array:
    """The verdict: by the status, by later records, by the record's own words, else the default."""
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
                found.append(judged(column, judge))
    found.append(constant(rules.default, count))
    return first_of(found)


def judged(column: pa.DictionaryArray, judge: Judge) -> pa.DictionaryArray:
    """The verdict of each row's word, or of what `match` finds in it."""
    words = {word.casefold(): verdict for word, verdict in judge.words.items()}
    if judge.match is not None:
        found = pc.extract_regex(column.dictionary, pattern=grouped(judge.match))
        column = codes_to_text(column.indices, found.field("x"))

    def said(text: str | None) -> str | None:
        text = (text or "").strip().casefold()
        return words.get(text) or (words.get("*") if text else None)

    return text_of(column, said)


def time(rules: Rules, named: Named, given: Given) -> tuple[pa.Array, dict[int, str], Fold | None]:
    """Each row's time, the reason by row where it is a fault of the configuration, and the fold; see times.Times."""
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
    indices, known = distinct(columns)
    if skip:
        known = [(first, *(text or "" for text in others)) for first, *others in known]
    return codes_to_text(indices, [None if None in texts else " ".join(texts) for texts in known])  # type: ignore[arg-type]
