"""DATASETS: the tables of the lake, declared once; what writes, asks, purges and proves walks them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

WORD = pa.dictionary(pa.int32(), pa.string())
INSTANT = pa.timestamp("ms", "UTC")


@dataclass(frozen=True)
class Dataset:
    """A table of the lake, kept in partitions of one day.

    `clock` is the column its age is told by; `day` says whose days the partitions are; `keep` is
    its key under `retention` in fairwatch.yaml: a dataset without one cannot be declared.
    """

    name: str
    schema: pa.Schema
    clock: str
    day: Literal["utc", "local"]
    keep: str
    sort: tuple[str, ...]
    personal: tuple[str, ...]
    holds: str

    def whole(self, table: pa.Table) -> pa.Table:
        """Rows of a partition in the dataset's schema; columns the partition has not got are null."""
        there = {*table.schema.names}
        columns = [
            table[f.name] if f.name in there else pa.nulls(table.num_rows, f.type)
            for f in self.schema
        ]
        return pa.table(columns, schema=self.schema)

    def said(self, tables: Sequence[pa.Table]) -> pa.Schema:
        """The schema as narrow as these rows are: without what none of them says, and without place for
        nulls where there are none. What rows are sorted by stays."""
        fields = []
        for one in self.schema:
            columns = [table[one.name] for table in tables]
            if one.name in self.sort or any(c.null_count < len(c) for c in columns):
                fields.append(one.with_nullable(any(map(_has_null, columns))))
        return pa.schema(fields)


def _has_null(column: pa.ChunkedArray) -> bool:
    """Whether a row has nothing: its code, or the word its code stands for."""
    words = [c.dictionary for c in column.chunks if pa.types.is_dictionary(column.type)]
    return bool(column.null_count or any(some.null_count for some in words))


EVENTS = Dataset(
    name="events",
    holds="one row a log line: who, which service, when, how much; no URL, no query string",
    schema=pa.schema(
        [
            ("time", INSTANT),  # as logged: the end of the request or tunnel
            ("duration_ms", pa.int64()),
            ("user", WORD),
            # login | assigned | lease | unlisted: whose the line is; ambiguous | shared | service |
            # address: nobody's (docs/identity.md)
            ("identity", WORD),
            ("client", WORD),
            ("method", WORD),
            ("status", pa.int16()),
            ("verdict", WORD),  # allowed | denied | auth | error | unknown
            ("host", WORD),  # `other`: a site outside the policy's categories
            ("service", WORD),
            ("role", WORD),  # site | asset | api | embed
            ("category", WORD),
            ("device_category", WORD),  # the device's own word as a category of the policy | other
            ("path_role", WORD),  # page | file | embed | share
            ("path", WORD),  # only where the site's settings ask for it
            ("referrer", WORD),  # a service's id | search | other
            ("content_type", WORD),
            ("grain", WORD),  # page | tunnel | contact: what kind of sign a line can be
            (
                "fetch",
                WORD,
            ),  # (a word of SQL: quote it) person | navigation | frame | part: the browser's own word
            ("fetch_site", WORD),  # none | same-origin | same-site | cross-site: who began it
            ("bytes_down", pa.int64()),
            ("bytes_up", pa.int64()),
            ("source", WORD),
            ("file", pa.int32()),  # id in the state table `file`
            ("line", pa.int64()),  # 1-based
        ]
    ),
    clock="time",
    day="utc",
    keep="events",
    sort=("user", "time", "file", "line"),
    personal=("user", "client", "host", "path"),
)

REJECTS = Dataset(
    name="rejects",
    holds="lines not understood: file, line number, reason and the line's shape, never its text",
    schema=pa.schema(
        [
            ("time", INSTANT),  # of the last line understood before it
            ("source", WORD),
            ("file", pa.int32()),
            ("line", pa.int64()),
            ("reason", WORD),
            ("shape", pa.string()),
        ]
    ),
    clock="time",
    day="utc",
    keep="rejects",
    sort=("file", "line"),
    personal=(),
)

ACTIVITY = Dataset(
    name="activity",
    holds="intervals of one person's use of one service, with low, likely and high seconds",
    schema=pa.schema(
        [
            ("user", WORD),
            ("service", WORD),
            ("category", WORD),
            ("start", INSTANT),
            ("end", INSTANT),
            ("low_s", pa.float64()),
            ("likely_s", pa.float64()),
            ("high_s", pa.float64()),
            ("grade", WORD),
            ("identity", WORD),
            ("rule", WORD),
            ("marks", pa.int32()),
        ]
    ),
    clock="start",
    day="local",
    keep="activity",
    sort=("user", "start", "service"),
    personal=("user",),
)

SIGNS = Dataset(
    name="signs",
    holds="what each line of a listed service was taken for, and by which rule",
    schema=pa.schema(
        [
            ("user", WORD),
            ("service", WORD),
            ("category", WORD),
            ("time", INSTANT),  # the line's beginning
            ("class", WORD),  # visit | continuation | embedded | action | background
            ("rule", WORD),  # docs/time-in-use.md
            ("file", pa.int32()),
            ("line", pa.int64()),
        ]
    ),
    clock="time",
    day="local",
    keep="events",
    sort=("user", "time", "file", "line"),
    personal=("user",),
)

TALLY = Dataset(
    name="tally",
    holds="lines a person, day, service, class and rule: they add up to the lines read",
    schema=pa.schema(
        [
            ("user", WORD),
            ("day", pa.date32()),
            ("service", WORD),  # null: a site outside the policy's categories
            ("category", WORD),
            ("class", WORD),  # of SIGNS, or unknown
            ("rule", WORD),
            ("rows", pa.int64()),
        ]
    ),
    clock="day",
    day="local",
    keep="usage",
    sort=("user", "service", "rule"),
    personal=("user",),
)

USAGE = Dataset(
    name="usage",
    holds="minutes a person, day and category, as a union; working time, breaks and the rest apart",
    schema=pa.schema(
        [
            ("user", WORD),
            ("day", pa.date32()),
            ("category", WORD),
            ("low_min", pa.float64()),
            ("likely_min", pa.float64()),
            ("high_min", pa.float64()),
            ("grade", WORD),
            ("identity", WORD),
            ("work_low_min", pa.float64()),
            ("work_likely_min", pa.float64()),
            ("work_high_min", pa.float64()),
            ("visits", pa.int32()),
            ("contacts", pa.int32()),
            ("break_low_min", pa.float64()),
            ("break_likely_min", pa.float64()),
            ("break_high_min", pa.float64()),
            ("outside_low_min", pa.float64()),  # before, after and beside the working day
            ("outside_likely_min", pa.float64()),
            ("outside_high_min", pa.float64()),
        ]
    ),
    clock="day",
    day="local",
    keep="usage",
    sort=("user", "category"),
    personal=("user",),
)

BLOCKED = Dataset(
    name="blocked",
    holds="deliberate visits to blocked services, refused or let through, a person and day",
    schema=pa.schema(
        [
            ("user", WORD),
            ("identity", WORD),
            ("day", pa.date32()),
            ("service", WORD),
            ("category", WORD),
            ("denied", pa.int32()),
            ("reached", pa.int32()),
            ("lines", pa.int32()),  # all that name the service; of them, left out as part of
            ("embedded", pa.int32()),  # other sites' pages
            ("background", pa.int32()),  # nobody's doing
        ]
    ),
    clock="day",
    day="local",
    keep="usage",
    sort=("user", "service"),
    personal=("user", "service"),
)

FEED = Dataset(
    name="feed",
    holds="lines per source and quarter of an hour: what shows a feed that stood still",
    schema=pa.schema([("source", WORD), ("start", INSTANT), ("lines", pa.int64())]),
    clock="start",
    day="local",
    keep="usage",
    sort=("source", "start"),
    personal=(),
)

DATASETS: dict[str, Dataset] = {
    d.name: d for d in (EVENTS, REJECTS, SIGNS, TALLY, ACTIVITY, USAGE, BLOCKED, FEED)
}
PERSONAL = tuple(d for d in DATASETS.values() if "user" in d.personal)
"""Datasets with rows of a person: what a hold copies, a restriction keeps apart, an erasure takes out."""

RECORDS = Dataset(
    name="records",
    holds="what the state tables say of a person: findings, reviews, cases; in a hold's copy alone",
    schema=pa.schema([("day", pa.date32()), ("table", pa.string()), ("row", pa.string())]),
    clock="day",
    day="local",
    keep="findings",
    sort=("day", "table", "row"),
    personal=("row",),
)
