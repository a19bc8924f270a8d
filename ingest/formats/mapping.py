"""Columns of an engine into rows of RAW, as a description says: once per distinct value."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats import fetching, fields, urls
from ingest.formats.arrays import codes_to_text, constant
from ingest.formats.block import RAW, Fold, Given, IntArray, Parsed, Reject
from ingest.formats.description import Kind, Layout
from ingest.formats.fields import LATER
from ingest.formats.later import answered
from ingest.formats.lines import Beside, Columns, some
from ingest.formats.rules import Named, Rules, holds
from ingest.formats.values import first_of

TEXTS = ("client", "user", "method", "referrer", "content_type", "user_agent", "device_category")
INTEGERS = ("duration_ms", "bytes_down", "bytes_up")


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


def _answered(rules: Rules, columns: Columns) -> Columns:
    """The columns, with `@later` (what later records tell of a row), `@later.NAME` (the columns they hand
    on) and `@asked` (of a record that tells: whether its row stands before it)."""
    later = rules.layout.later
    if later is None or not len(columns.numbers):
        return columns
    named = Named(columns, rules, rules.layout.nothing)
    keys = [c for name in later.by if (c := named.column(name)) is not None]
    told = [fields.judged(c, later) for name in later.from_ if (c := named.raw(name)) is not None]
    if not keys or not told:
        return columns
    made, by, after = answered(keys, holds(named, later.asks), first_of(told))
    asked = codes_to_text(pa.array(np.zeros(len(after), np.int32), mask=~after), ["yes"])
    handed = {f"{LATER}.{n}": c.take(by) for n in later.hands if (c := named.column(n)) is not None}
    return Beside(columns, {LATER: made, "@asked": asked, **handed})


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
    when, reasons, fold = fields.time(rules, named, given)
    # `none` is one of a browser's words, though products write it for nothing.
    got = {n: fields.field(named, t, spoken=n == "fetch_site") for n, t in rules.fields.items()}
    status = fields.status(got.get("status"), count)
    url = urls.composed(got, count)
    method = got.get("method")
    made: dict[str, pa.Array] = {
        "line": pa.array(named.numbers, pa.int64()),
        "time": when,
        "url": url,
        "status": status,
        "verdict": fields.verdict(rules, named, got.get("status"), count),
        "grain": constant("contact", count) if rules.contact else urls.grains(url, method),
        **fetching.columns(got, count),
    }
    for name in TEXTS:
        column = got.get(name)
        made[name] = constant(None, count) if column is None else column
    for name in INTEGERS:
        takes = rules.fields.get(name, [])
        made[name] = fields.integers(named, takes, count)
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
