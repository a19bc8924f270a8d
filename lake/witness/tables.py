"""Event times in columns: Parquet and Arrow files, by their types, their values and their statistics."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.datasets import Dataset
from lake.witness.bound import Bound, Closed, Seen
from lake.witness.numbers import is_named_clock
from lake.witness.written import fixed

UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
TEXT_VALUES = 200_000
"""Distinct texts of a column that are looked at in one group of rows."""


def read_parquet(
    parquet: pq.ParquetFile, dataset: Dataset | None, bound: Bound, seen: Seen
) -> None:
    """The oldest instant of each row over all columns that hold instants, days or clocks.

    `dataset`: what the file is declared to be; its declared numbers and words are no clocks, any
    other column of it is looked at as a stranger's. Only such columns are read; a column of
    numbers whose statistics reach outside all clocks is not read at all.
    """
    schema = parquet.schema_arrow
    declared = set() if dataset is None else _as_declared(schema, dataset)
    names = [f.name for f in schema if _may_hold_time(f.type) and f.name not in declared]
    seen.rows += parquet.metadata.num_rows
    for group in range(parquet.num_row_groups):
        chosen = [n for n in names if _worth_reading(parquet, group, schema.field(n), bound)]
        if chosen:
            table = parquet.read_row_group(group, columns=chosen, use_threads=False)
            _note(table, bound, seen)


def read_arrow(data: pa.Buffer | pa.NativeFile, bound: Bound, seen: Seen) -> None:
    """The same of an Arrow (Feather) file, one batch at a time."""
    reader = pa.ipc.open_file(data)
    for number in range(reader.num_record_batches):
        table = pa.Table.from_batches([reader.get_batch(number)])
        seen.rows += table.num_rows
        names = [f.name for f in table.schema if _may_hold_time(f.type)]
        if names:
            _note(table.select(names), bound, seen)


def _as_declared(schema: pa.Schema, dataset: Dataset) -> set[str]:
    """Columns that are as declared and, by the declaration, no clocks."""
    known = {f.name: f.type for f in dataset.schema}
    return {
        f.name
        for f in schema
        if f.name in known
        and not pa.types.is_temporal(f.type)
        and (f.type == known[f.name] or _is_text(f.type) == _is_text(known[f.name]) is True)
    }


def _is_text(type_: pa.DataType) -> bool:
    inner = type_.value_type if pa.types.is_dictionary(type_) else type_
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def _may_hold_time(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_timestamp(type_)
        or pa.types.is_date(type_)
        or (pa.types.is_integer(type_) and type_.bit_width >= 32)
        or pa.types.is_float64(type_)
        or _is_text(type_)
    )


def _worth_reading(parquet: pq.ParquetFile, group: int, field: pa.Field, bound: Bound) -> bool:
    """False for numbers that, by the file's own statistics, can be no clock in any unit."""
    if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
        return True
    for number in range(parquet.metadata.num_columns):
        column = parquet.metadata.row_group(group).column(number)
        if column.path_in_schema == field.name and column.statistics is not None:
            stats = column.statistics
            return not stats.has_min_max or _unit(0, stats.max, bound) is not None
    return True


def _unit(low: float, high: float, bound: Bound) -> int | None:
    """The unit in which all of a column's numbers are plausible clocks."""
    for unit in UNITS:
        if bound.plausible(high / unit) and (low == 0 or bound.plausible(low / unit)):
            return unit
    return None


def _note(table: pa.Table, bound: Bound, seen: Seen) -> None:
    """Rows by the oldest of their clocks; the rows themselves are already counted."""
    columns = [c for name in table.schema.names for c in _clock(name, table[name], bound)]
    if not columns:
        return
    oldest = columns[0] if len(columns) == 1 else pc.min_element_wise(*columns)
    low = pc.min(oldest).as_py()
    if low is None:
        return
    seen.day(_instant_day(low))
    limit = bound.limit
    first = int(datetime(limit.year, limit.month, limit.day, tzinfo=UTC).timestamp() * 1000)
    seen.overdue += pc.sum(pc.less(oldest, first)).as_py() or 0


def _instant_day(milliseconds: int) -> date:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).date()
    except (OverflowError, ValueError):
        raise Closed("holds an instant outside all calendars") from None


def _clock(name: str, column: pa.ChunkedArray, bound: Bound) -> Iterator[pa.ChunkedArray]:
    """A column as milliseconds since 1970 where it holds times, null where a row has none."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        yield _ms(column)
    elif _is_text(column.type):
        yield from _texts(name, column, bound)
    else:
        yield from _numbers(column, bound)


def _ms(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Milliseconds since the epoch; an instant without a zone is taken for UTC."""
    unit = column.type if pa.types.is_date(column.type) else pa.timestamp("ms", column.type.tz)
    truncated = column.cast(unit, safe=False)
    if pa.types.is_date(column.type):
        truncated = truncated.cast(pa.timestamp("ms"))
    return truncated.cast(pa.int64())


def _numbers(column: pa.ChunkedArray, bound: Bound) -> Iterator[pa.ChunkedArray]:
    """A column of numbers is a clock where every one of them, zeros apart, can be one."""
    kept = pc.if_else(pc.equal(column, 0), None, column)
    ends = pc.min_max(kept).as_py()
    if ends["min"] is None or ends["min"] != ends["min"]:
        return
    unit = _unit(ends["min"], ends["max"], bound)
    if unit is None or ends["min"] <= 0:
        return
    seconds = pc.divide(pc.cast(kept, pa.float64(), safe=False), float(unit))
    yield pc.cast(pc.multiply(seconds, 1000.0), pa.int64(), safe=False)


def _texts(name: str, column: pa.ChunkedArray, bound: Bound) -> Iterator[pa.ChunkedArray]:
    """Texts that begin with a date, or hold one under the name of a clock."""
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    combined = column.unify_dictionaries().combine_chunks()
    chunks = combined.chunks if isinstance(combined, pa.ChunkedArray) else [combined]
    named = is_named_clock(name)
    for chunk in chunks[:1]:
        if len(chunk.dictionary) > TEXT_VALUES:
            raise Closed(f"has more than {TEXT_VALUES:,} different texts in a column")
        days = [_value_day(v, named, bound) for v in chunk.dictionary.to_pylist()]
        if any(days):
            values = pa.array(days, pa.date32()).cast(pa.timestamp("ms")).cast(pa.int64())
            yield pa.chunked_array([values.take(chunk.indices)])


def _value_day(value: str | None, named: bool, bound: Bound) -> date | None:
    text = (value or "")[:256].encode("utf-8", "replace")
    found = [f for f in fixed(text, "?", bound) if named or f.start <= 1]
    return min((f.day for f in found), default=None)
