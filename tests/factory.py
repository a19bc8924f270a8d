"""Lakes made of a few rows, and edits of a site's own files, without a log to parse."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics.derive import Derived, derive
from config.document import read
from config.settings import Settings
from ingest.order import sort_key
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import DATASETS, EVENTS, Dataset
from lake.keys import DayKeys
from lake.write import PartWriter
from workspace import Workspace, day_keys, open_site

Row = dict[str, Any]

PAGE: Row = {
    "duration_ms": 0,
    "user": "ann",
    "identity": "login",
    "client": "10.20.1.12",
    "method": "GET",
    "status": 200,
    "verdict": "allowed",
    "host": "www.facebook.com",
    "service": "facebook",
    "role": "site",
    "category": "social_network",
    "path_role": "page",
    "content_type": "text/html",
    "grain": "page",
    "bytes_down": 40_000,
    "bytes_up": 900,
    "source": "main-proxy",
    "file": 1,
}
"""A person opens a page of Facebook."""

ELSEWHERE: Row = {
    "host": None,
    "service": None,
    "role": None,
    "category": None,
    "path_role": None,
}
"""A site outside the policy's categories."""

TUNNEL: Row = {"method": "CONNECT", "grain": "tunnel", "path_role": None, "content_type": None}
"""The same as seen by a proxy that does not open TLS."""


def utc(text: str) -> datetime:
    """`2026-11-10 09:00` as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def page(when: datetime, **other: Any) -> Row:
    """A page view, changed by `other`."""
    return {**PAGE, "time": when, **other}


def tunnel(when: datetime, **other: Any) -> Row:
    """A CONNECT line that ends at `when`."""
    return {**PAGE, **TUNNEL, "time": when, **other}


def reading(day: date, minutes: int, *, start: str = "10:00", **other: Any) -> list[Row]:
    """Page views every 50 seconds: some `minutes` of use whose low bound is nearly as long."""
    first = datetime.combine(day, datetime.strptime(start, "%H:%M").time(), UTC)
    count = minutes * 60 // 50 + 1
    return [page(first + timedelta(seconds=50 * i), **other) for i in range(count)]


def rows_table(rows: Sequence[Mapping[str, Any]], dataset: Dataset = EVENTS) -> pa.Table:
    """Rows in a dataset's schema; lines are numbered where they are not."""
    numbered = [{"line": number, **row} for number, row in enumerate(rows, 1)]
    chosen = numbered if "line" in dataset.schema.names else rows
    return pa.Table.from_pylist([dict(row) for row in chosen], schema=dataset.schema)


def write_part(
    ws: Workspace,
    rows: Sequence[Mapping[str, Any]],
    day: date,
    name: str,
    dataset: Dataset = EVENTS,
) -> Part:
    """A finished partition in its place, not yet in the catalogue."""
    table = rows_table(rows, dataset)
    writer = PartWriter(ws.folder, dataset, day, name, ws.keys)
    writer.write(table.take(sort_key(table)) if dataset is EVENTS else table)
    part = writer.close("test")
    writer.move()
    return part


def lake(ws: Workspace, rows: Sequence[Mapping[str, Any]], name: str = "00000001-0000") -> None:
    """Make event rows part of the lake, a partition a UTC day."""
    days: dict[date, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        days[row["time"].astimezone(UTC).date()].append(row)
    parts = [write_part(ws, found, day, name) for day, found in sorted(days.items())]
    with ws.state.change() as change:
        catalogue.add(change.connection, parts)


def keys_of(site: Path) -> DayKeys:
    """A site folder's keys, from its settings alone."""
    return day_keys(site, read(site / "fairwatch.yaml", Settings).encryption, {})


def content(path: Path) -> pa.Table:
    """The rows of a partition in its place, sealed or plain, in the dataset's schema."""
    with keys_of(path.parents[3]).open(path) as file:
        return DATASETS[path.parents[1].name].whole(file.read())


def derived(ws: Workspace, now: datetime) -> list[Derived]:
    """All days brought up to date."""
    with ws.alone():
        return derive(ws, now)


def again(ws: Workspace) -> Workspace:
    """The same folder opened afresh, as the next night does."""
    return open_site(ws.folder, ws.actor)


def edited(ws: Workspace, name: str, *changes: tuple[str, str]) -> Workspace:
    """The site after somebody changed one of its files by hand."""
    path = ws.folder / name
    text = path.read_text("utf-8")
    for old, new in changes:
        assert old in text, f"{old!r} is not in {name}"
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    return again(ws)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file under a folder with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def acts(ws: Workspace) -> list[str]:
    """The ledger's acts, oldest first."""
    return [line.act["act"] for line in ws.ledger.lines()]
