"""What a hold copies: rows and records of one person, before any of it may go; a copy never shrinks."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

import pyarrow as pa
from sqlalchemy import Connection

from errors import Damaged, NoKey
from holds.register import Hold, holds
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import DATASETS, PERSONAL, RECORDS, Dataset
from lake.files import remove
from lake.keys import HOLD as KIND
from lake.keys import Seal
from lake.write import GROUP_ROWS, PartWriter
from state.tables import ASIDE
from subjects import (
    CHECKED,
    KEPT,
    Span,
    chosen,
    records,
    rows,
    set_aside,
    sources,
)
from workspace import Workspace

FINAL = "as it was"
"""What a copy is made from whose source has lost rows since: it only grows, line by line, if at all."""
TROUBLE = (OSError, NoKey, Damaged, pa.ArrowException)
"""What keeps one hold from being copied, and no other data from going."""
RECORDED = (*(table.name for table in CHECKED), ASIDE.name)
"""Tables whose rows stay while a hold's records could not be copied."""


@dataclass(frozen=True)
class Made:
    """A copy under way: what it is made from, what it replaces, and what stays until it is kept."""

    writer: PartWriter
    made_from: str
    older: Part | None
    needs: Sequence[str]


def copies(ws: Workspace, id_: str) -> list[Part]:
    """The partitions of a hold's copy."""
    with ws.state.read() as connection:
        return [p for p in catalogue.in_state(connection, "held") if holder(p) == id_]


def missing(ws: Workspace) -> list[str]:
    """Copies that the catalogue knows and the disk does not have."""
    with ws.state.read() as connection:
        known = catalogue.in_state(connection, "held")
    return [p.path for p in known if not (ws.folder / p.path).is_file()]


def holder(part: Part) -> str:
    """Whose a copied partition is: the hold's id."""
    return part.path.split("/")[1]


def top_up(ws: Workspace, now: datetime, person: str | None = None) -> dict[str, str]:
    """Copy what is new under each hold in force (on a person), before any of it may go.

    Partitions and state tables that could not be copied, and why: nothing of them is to be removed
    until they are.
    """
    failed: dict[str, str] = {}
    for one in holds(ws, in_force=True):
        if person in (None, one.person):
            for name, why in top_up_one(ws, one, now).items():
                failed[name] = f"legal hold {one.id}: its rows could not be copied: {why}"
    return failed


def seal_of(ws: Workspace, id_: str) -> Seal:
    """The one key of a hold's copies. Raises NoKey where the site seals nothing."""
    seal = ws.keys.seal(KIND, id_)
    if seal is None:
        raise NoKey(f"{id_}: `encryption` in fairwatch.yaml is off; a hold cannot be copied plain.")
    return seal


def make_final(connection: Connection, ws: Workspace, span: Span) -> None:
    """Within a transaction that takes rows out of the lake: copies of them do not lose them."""
    mine = {one.id for one in holds(ws, in_force=True) if one.person == span.person}
    for part in catalogue.in_state(connection, "held"):
        if holder(part) in mine and part.dataset in DATASETS:
            dataset, day = DATASETS[part.dataset], date.fromisoformat(part.day)
            # What is told by lines may lie in a neighbour's partition; sums are their own day's.
            if day in span.days(dataset) and (_by_line(dataset) or span.first <= day <= span.last):
                catalogue.remark(connection, part.path, FINAL)


def _by_line(dataset: Dataset) -> bool:
    return {"file", "line"} <= {*dataset.schema.names}


def read(ws: Workspace, id_: str, dataset: Dataset) -> Iterator[pa.Table]:
    """The rows of a hold's copy of one dataset, oldest day first."""
    found = [p for p in copies(ws, id_) if p.dataset == dataset.name]
    for part in sorted(found, key=lambda p: p.day):
        with ws.keys.open(ws.folder / part.path) as file:
            yield file.read()


def top_up_one(ws: Workspace, one: Hold, now: datetime) -> dict[str, str]:
    """Copy what is new under one hold; what could not be, and why."""
    span = Span.of(ws, one.person, one.first_day, one.last_day)
    known = {(p.dataset, p.day): p for p in copies(ws, one.id)}
    made: list[Made] = []
    failed: dict[str, str] = {}
    try:
        for needs, copied in _wanted(ws, one, span, known):
            try:
                new = copied()
            except TROUBLE as error:
                failed |= dict.fromkeys(needs, _why(error))
                continue
            made += [new] if new else []
        try:
            _keep(ws, one, made, now)
        except TROUBLE as error:
            failed |= {need: _why(error) for new in made for need in new.needs}
            _abandon(made)
    except BaseException:
        _abandon(made)
        raise
    return failed


def _wanted(
    ws: Workspace, one: Hold, span: Span, known: dict[tuple[str, str], Part]
) -> Iterator[tuple[Sequence[str], Callable[[], Made | None]]]:
    """What may have to be copied: what it is needed for, and how to begin it (None: nothing new)."""
    for dataset in PERSONAL:
        for day in span.days(dataset):
            with ws.state.read() as connection:
                found = sources(connection, dataset, day, *KEPT)
            older = known.get((dataset.name, str(day)))
            made_from = catalogue.fingerprint(found)
            if older and older.made_from.startswith(FINAL):
                made_from = f"{FINAL}, and {made_from}"
            if found and not (older and _stays(dataset, older, made_from)):
                yield (
                    [p.path for p in found],
                    partial(_copied, ws, one, dataset, day, found, made_from, span, older),
                )
    yield RECORDED, partial(_records, ws, one, known.get((RECORDS.name, str(one.first_day))))


def _stays(dataset: Dataset, older: Part, made_from: str) -> bool:
    final = older.made_from.startswith(FINAL) and not _by_line(dataset)
    return final or older.made_from == made_from


def _why(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _abandon(made: Sequence[Made]) -> None:
    for new in made:
        new.writer.abandon()


def _copied(
    ws: Workspace,
    one: Hold,
    dataset: Dataset,
    day: date,
    found: Sequence[Part],
    made_from: str,
    span: Span,
    older: Part | None,
) -> Made | None:
    """The span's rows of one day under the hold's key; None where there are none.

    What an older copy has and the lake has lost is taken over from it.
    """
    writer: PartWriter | None = None
    seen: set[tuple[int, int]] = set()
    final = older is not None and older.made_from.startswith(FINAL)
    try:
        for part in found:
            for table in rows(ws, part, dataset, span):
                writer = writer or _writer(ws, one, dataset, day, made_from)
                writer.write(table)
                seen |= _lines(table) if final else set()
        if older is not None and final:
            writer = writer or _writer(ws, one, dataset, day, made_from)
            for table in rows(ws, older, dataset, span):
                writer.write(chosen(table, pa.array(line not in seen for line in _listed(table))))
    except BaseException:
        if writer is not None:
            writer.abandon()
        raise
    return Made(writer, made_from, older, [p.path for p in found]) if writer else None


def _listed(table: pa.Table) -> list[tuple[int, int]]:
    return list(zip(table["file"].to_pylist(), table["line"].to_pylist(), strict=True))


def _lines(table: pa.Table) -> set[tuple[int, int]]:
    return set(_listed(table))


def _writer(ws: Workspace, one: Hold, dataset: Dataset, day: date, made_from: str) -> PartWriter:
    name = f"{dataset.name}-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}"
    folder = f"holds/{one.id}/{day.isoformat()}"
    return PartWriter(
        ws.folder, dataset, day, name, ws.keys, folder=folder, seal=seal_of(ws, one.id)
    )


def _records(ws: Workspace, one: Hold, held: Part | None) -> Made | None:
    """What findings, reviews and cases say of the person in the period; what was copied once stays."""
    kept: set[tuple[date, str, str]] = set()
    if held is not None:
        with ws.keys.open(ws.folder / held.path) as file:
            kept = {(r["day"], r["table"], r["row"]) for r in file.read().to_pylist()}
    with ws.state.read() as connection:
        now = {
            (day, table.name, json.dumps(row, sort_keys=True, ensure_ascii=False))
            for table in CHECKED
            for day, row in records(connection, table, one.person, one.first_day, one.last_day)
        } | {
            (day, kind, json.dumps(row, sort_keys=True, ensure_ascii=False))
            for _, kind, day, row in set_aside(connection, one.person, one.first_day, one.last_day)
        }
    if now <= kept:
        return None
    found = sorted(now | kept)
    made_from = hashlib.sha256(repr(found).encode()).hexdigest()
    writer = _writer(ws, one, RECORDS, one.first_day, made_from)
    for at in range(0, len(found), GROUP_ROWS):
        piece = [{"day": d, "table": t, "row": r} for d, t, r in found[at : at + GROUP_ROWS]]
        writer.write(pa.Table.from_pylist(piece, schema=RECORDS.schema))
    return Made(writer, made_from, held, RECORDED)


def _keep(ws: Workspace, one: Hold, made: Sequence[Made], now: datetime) -> None:
    """Bring the copies to the disk and into the catalogue, in the place of older ones."""
    if not made:
        return
    parts = [new.writer.close(new.made_from) for new in made]
    for new in made:
        new.writer.move()
    for part in parts:  # by the key it will be read with, before it counts
        with ws.keys.open(ws.folder / part.path) as file:
            if file.metadata.num_rows != part.rows:
                raise Damaged(f"{part.path}: what was written there cannot be read again.")
    older = [new.older.path for new in made if new.older is not None]
    with ws.state.change() as change:
        catalogue.forget(change.connection, older)
        catalogue.add(change.connection, parts, "held")
        change.act("hold copy", time=now, actor=ws.actor, hold=one.id, parts=len(parts), rows=sum(p.rows for p in parts))  # fmt: skip
    for path in older:
        if path not in {p.path for p in parts}:
            remove(ws.folder / path)
