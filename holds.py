"""Legal holds: one person's rows of a period, copied under a key of their own; all else goes on time."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, Row, Table, select

from errors import Damaged, NoKey, NoSuchThing, NotPermitted, Overdue, ReviewDue, WrongUsage
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import DATASETS, PERSONAL, RECORDS, Dataset
from lake.files import remove
from lake.keys import HOLD as KIND
from lake.keys import Seal
from lake.write import GROUP_ROWS, PartWriter
from state.store import Change
from state.tables import ASIDE, CASE, FINDING, META, REVIEW
from state.tables import HOLD as TABLE
from subjects import KEPT, Span, chosen, refuse_self, rows, sources, whom
from workspace import Workspace

REASONS = {
    "tribunal": "a claim before an employment tribunal, brought or expected",
    "litigation": "a claim before another court, brought or expected",
    "regulator": "an authority has asked that it be kept",
    "investigation": "a disciplinary procedure under way",
    "complaint": "a grievance or complaint of the person concerned",
}
LONGEST_DAYS = 366
AHEAD_DAYS = 92
"""How far into the future a hold may reach: a matter that is still going on."""
REVIEW_DAYS = 183
"""The longest a hold stands without anybody looking at it again."""
FINAL = "as it was"
"""What a copy is made from whose source has lost rows since: it only grows, line by line, if at all."""
TROUBLE = (OSError, NoKey, Damaged, pa.ArrowException)
"""What keeps one hold from being copied, and no other data from going."""
CHECKED = {CASE: ("first_day", "last_day"), FINDING: ("first_day", "last_day"), REVIEW: ("first_day", "first_day")}  # fmt: skip
"""State tables that tell of a person, and their first and last day."""
RECORDED = (*(table.name for table in CHECKED), ASIDE.name)
"""Tables whose rows stay while a hold's records could not be copied."""


@dataclass(frozen=True)
class Hold:
    """A hold as it stands; days are the organisation's, both included."""

    id: str
    person: str
    first_day: date
    last_day: date
    reason: str
    note: str
    owner: str
    placed: datetime
    placed_by: str
    review: date
    released: datetime | None
    released_by: str | None
    gone: datetime | None

    @classmethod
    def of(cls, row: Row[Any]) -> "Hold":
        """From the state's row."""
        told = dict(row._mapping)
        for name in ("first_day", "last_day", "review"):
            told[name] = date.fromisoformat(told[name])
        for name in ("placed", "released", "gone"):
            told[name] = datetime.fromisoformat(told[name]) if told[name] else None
        return cls(**told)

    def overdue(self, now: datetime) -> bool:
        """In force, and nobody looked at it again by the day that was set."""
        return self.released is None and self.review < now.astimezone(UTC).date()


@dataclass(frozen=True)
class Made:
    """A copy under way: what it is made from, what it replaces, and what stays until it is kept."""

    writer: PartWriter
    made_from: str
    older: Part | None
    needs: Sequence[str]


@dataclass(frozen=True)
class Copied:
    """What a hold's copy holds, and what could not be copied (source partition: why)."""

    rows: int
    failed: dict[str, str]


def holds(ws: Workspace, *, in_force: bool = False) -> list[Hold]:
    """Holds on record, by id; those released stay as long as cases do."""
    query = select(TABLE).order_by(TABLE.c.id)
    if in_force:
        query = query.where(TABLE.c.released.is_(None))
    with ws.state.read() as connection:
        return [Hold.of(row) for row in connection.execute(query)]


def hold(ws: Workspace, id_: str) -> Hold:
    """One hold. Raises NoSuchThing."""
    found = next((h for h in holds(ws) if h.id == id_.upper()), None)
    if found is None:
        known = ", ".join(h.id for h in holds(ws)) or "none"
        raise NoSuchThing(f"there is no hold {id_!r}; those on record: {known}.")
    return found


def place(
    ws: Workspace,
    person: str,
    period: tuple[date, date],
    reason: str,
    note: str,
    owner: str,
    review: date,
    by: str,
    now: datetime,
) -> Hold:
    """Put a hold on a person's rows of a period and copy what there is of them at once.

    The caller holds the site's lock. Raises WrongUsage, NoSuchThing, NotPermitted, NoKey.
    """
    first, last = period
    today = now.astimezone(UTC).date()
    if last < first or (last - first).days >= LONGEST_DAYS or (last - today).days > AHEAD_DAYS:
        raise WrongUsage(
            f"found {first} to {last}; expected days in order, at most {LONGEST_DAYS} of them, and "
            f"none more than {AHEAD_DAYS} days ahead: a hold is narrow."
        )
    if reason not in REASONS:
        words = "; ".join(f"{word} ({what})" for word, what in REASONS.items())
        raise WrongUsage(f"--reason: found {reason!r}; expected one of: {words}.")
    _review_day(review, today)
    who = whom(ws, person)
    owner, by = refuse_self(ws, who, owner, "--owner"), refuse_self(ws, who, by, "--by")
    if not ws.keys.sealing:
        raise NoKey(
            "A hold is sealed by a key of its own, and this site writes plain partitions: turn on "
            "`encryption` in fairwatch.yaml first (docs/keys.md)."
        )
    with ws.state.change() as change:
        id_ = _next_id(change, now.year)
        change.execute(
            TABLE.insert().values(
                id=id_,
                person=who,
                first_day=first.isoformat(),
                last_day=last.isoformat(),
                reason=reason,
                note=note,
                owner=owner,
                placed=_stamp(now),
                placed_by=by,
                review=review.isoformat(),
            )
        )
        change.act("hold place", time=now, actor=ws.actor, hold=id_, person=who, by=by, owner=owner,
                   first_day=str(first), last_day=str(last), reason=reason, review=str(review))  # fmt: skip
    placed = hold(ws, id_)
    copied = _top_up(ws, placed, now)
    if copied.failed:
        raise NoKey(
            f"{id_} stands, but not all of it could be copied; the purge leaves these alone until "
            f"it is: " + "; ".join(f"{path}: {why}" for path, why in copied.failed.items())
        )
    return placed


def review(ws: Workspace, id_: str, by: str, until: date, note: str, now: datetime) -> Hold:
    """Say that a hold is still needed, and until when it stands without another look."""
    known = _in_force(ws, id_)
    _review_day(until, now.astimezone(UTC).date())
    by = refuse_self(ws, known.person, by, "--by")
    if not note.strip():
        raise WrongUsage("--note: expected why the hold is still needed.")
    with ws.state.change() as change:
        change.execute(TABLE.update().where(TABLE.c.id == known.id).values(review=str(until)))
        change.act("hold review", time=now, actor=ws.actor, hold=known.id, by=by, note=note, review=str(until))  # fmt: skip
    return hold(ws, known.id)


def release(ws: Workspace, id_: str, by: str, note: str, now: datetime) -> Hold:
    """End a hold: its key is destroyed, its copy removed; what is due of it is gone with that.

    The caller holds the site's lock. Killed half-way, the next purge or `hold release` ends it.
    """
    known = hold(ws, id_)
    if known.released is None:
        by = refuse_self(ws, known.person, by, "--by")
        with ws.state.change() as change:
            change.execute(
                TABLE.update()
                .where(TABLE.c.id == known.id)
                .values(released=_stamp(now), released_by=by)
            )
            catalogue.condemn(change.connection, [p.path for p in copies(ws, known.id)])
            change.act("hold release", time=now, actor=ws.actor, hold=known.id, by=by, note=note)
    settle(ws, now)
    return hold(ws, known.id)


def settle(ws: Workspace, now: datetime) -> list[str]:
    """End what releases began; the ids of the holds that are gone now. Raises Overdue."""
    ended = [h for h in holds(ws) if h.released is not None and h.gone is None]
    stuck = []
    for one in ended:
        try:
            _end(ws, one, now)
        except (OSError, Overdue) as error:
            stuck.append(f"{one.id} is released and not gone: {error}")
    if stuck:
        raise Overdue("\n".join([*stuck, "Mend this, and release it again or run the purge."]))
    return [h.id for h in ended]


def _end(ws: Workspace, one: Hold, now: datetime) -> None:
    """Key, files, rows of a released hold; only what is seen to be gone is said to be gone."""
    folder = ws.folder / "holds" / one.id
    ws.keys.destroy(_keys(ws, one))
    # All its files, also those a killed run wrote before the catalogue knew of them.
    for path in _files(folder):
        remove(path)
    with ws.state.change() as change:
        known = catalogue.in_state(change.connection, "purging")
        catalogue.forget(
            change.connection, [p.path for p in known if p.path.startswith(f"holds/{one.id}/")]
        )
    ws.state.scrub()
    if left := [*map(str, _files(folder)), *_keys(ws, one)]:
        raise Overdue(f"still there: {', '.join(left)}.")
    if folder.exists():
        shutil.rmtree(folder)  # folders without files
    with ws.state.change() as change:
        change.execute(TABLE.update().where(TABLE.c.id == one.id).values(gone=_stamp(now)))
        change.act("hold gone", time=now, actor=ws.actor, hold=one.id)


def _files(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if not p.is_dir()] if folder.exists() else []


def _keys(ws: Workspace, one: Hold) -> list[str]:
    return [k.id for k in ws.keys.ring.day_keys() if (k.dataset, k.day) == (KIND, one.id)]


def copies(ws: Workspace, id_: str) -> list[Part]:
    """The partitions of a hold's copy."""
    with ws.state.read() as connection:
        return [p for p in catalogue.in_state(connection, "held") if holder(p) == id_]


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
            for name, why in _top_up(ws, one, now).failed.items():
                failed[name] = f"legal hold {one.id}: its rows could not be copied: {why}"
    return failed


def unreviewed(ws: Workspace, now: datetime) -> list[Hold]:
    """Holds in force that nobody looked at by the day that was set."""
    return [h for h in holds(ws, in_force=True) if h.overdue(now)]


def refuse_unreviewed(ws: Workspace, now: datetime) -> None:
    """Raise ReviewDue where a hold stands longer than anybody answered for."""
    late = unreviewed(ws, now)
    if late:
        raise ReviewDue(
            "\n".join(
                f"legal hold {h.id} was to be reviewed by {h.review} and was not: `fairwatch hold "
                f"review {h.id}` or `fairwatch hold release {h.id}`; {h.owner} answers for it."
                for h in late
            )
        )


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


def _top_up(ws: Workspace, one: Hold, now: datetime) -> Copied:
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
    return Copied(sum(p.rows for p in copies(ws, one.id)), failed)


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


def records(
    connection: Connection, table: Table, person: str, first: date, last: date
) -> list[tuple[date, dict[str, Any]]]:
    """Rows of a state table about a person that touch a period, with their first days."""
    begins, ends = CHECKED[table]
    query = select(table).where(
        table.c.person == person,
        table.c[begins] <= last.isoformat(),
        table.c[ends] >= first.isoformat(),
    )
    return [
        (date.fromisoformat(row._mapping[begins]), dict(row._mapping))
        for row in connection.execute(query)
    ]


def set_aside(
    connection: Connection, person: str, first: date, last: date
) -> list[tuple[int, str, date, dict[str, Any]]]:
    """The same of rows kept apart under a restriction: their number there, table, first day and row."""
    found = []
    for id_, kind, text in connection.execute(select(ASIDE.c.id, ASIDE.c.kind, ASIDE.c.row)).all():
        row: dict[str, Any] = json.loads(text)
        begins, ends = next(days for table, days in CHECKED.items() if table.name == kind)
        if row["person"] == person and row[begins] <= str(last) and row[ends] >= str(first):
            found.append((id_, kind, date.fromisoformat(row[begins]), row))
    return found


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


def _in_force(ws: Workspace, id_: str) -> Hold:
    known = hold(ws, id_)
    if known.released is not None:
        raise NotPermitted(f"{known.id} was released on {known.released.date()}.")
    return known


def _review_day(day: date, today: date) -> None:
    if not today < day <= today + timedelta(days=REVIEW_DAYS):
        raise WrongUsage(
            f"the day of the next review: found {day}; expected a day after {today} and at most "
            f"{REVIEW_DAYS} days from it: nobody forgets a hold for longer."
        )


def _next_id(change: Change, year: int) -> str:
    key = f"holds of {year}"
    known = change.execute(select(META.c.value).where(META.c.key == key)).scalar()
    number = int(known or 0) + 1
    change.execute(META.delete().where(META.c.key == key))
    change.execute(META.insert().values(key=key, value=str(number)))
    return f"H-{year}-{number:04d}"


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).isoformat()
