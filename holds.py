"""Legal holds: one person's rows of a period, copied under a key of their own; all else goes on time."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, Row, Table, select

from errors import Damaged, NoKey, NoSuchThing, NotPermitted, ReviewDue, WrongUsage
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import PERSONAL, RECORDS, Dataset
from lake.files import remove
from lake.keys import HOLD as KIND
from lake.keys import Seal
from lake.write import GROUP_ROWS, PartWriter
from state.store import Change
from state.tables import CASE, FINDING, META, REVIEW
from state.tables import HOLD as TABLE
from subjects import KEPT, Span, refuse_self, rows, sources, whom
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
"""What a copy is made from whose source has lost rows since: it is not made again."""
CHECKED = {CASE: ("first_day", "last_day"), FINDING: ("first_day", "last_day"), REVIEW: ("first_day", "first_day")}  # fmt: skip
"""State tables that tell of a person, and their first and last day."""


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
    """End what releases began; the ids of the holds that are gone now."""
    ended = [h for h in holds(ws) if h.released is not None and h.gone is None]
    for one in ended:
        ws.keys.destroy(
            [k.id for k in ws.keys.ring.day_keys() if (k.dataset, k.day) == (KIND, one.id)]
        )
        with ws.state.read() as connection:
            condemned = [
                p.path
                for p in catalogue.in_state(connection, "purging")
                if p.path.startswith(f"holds/{one.id}/")
            ]
        for path in condemned:
            if (ws.folder / path).parent.exists():
                remove(ws.folder / path)
        folder = ws.folder / "holds" / one.id
        for left in sorted(folder.rglob("*"), reverse=True) if folder.exists() else ():
            if left.is_file():  # written by a run that was killed before it was known
                left.unlink()
        with ws.state.change() as change:
            catalogue.forget(change.connection, condemned)
        ws.state.scrub()
        _look(ws, one, now)
    return [h.id for h in ended]


def _look(ws: Workspace, ended: Hold, now: datetime) -> None:
    """Only what is seen to be gone is said to be gone."""
    folder = ws.folder / "holds" / ended.id
    left = [p for p in folder.rglob("*") if p.is_file()] if folder.exists() else []
    keys = [k.id for k in ws.keys.ring.day_keys() if (k.dataset, k.day) == (KIND, ended.id)]
    if left or keys:
        raise NotPermitted(f"{ended.id}: is still there: {', '.join([*map(str, left), *keys])}.")
    with ws.state.change() as change:
        change.execute(TABLE.update().where(TABLE.c.id == ended.id).values(gone=_stamp(now)))
        change.act("hold gone", time=now, actor=ws.actor, hold=ended.id)


def copies(ws: Workspace, id_: str) -> list[Part]:
    """The partitions of a hold's copy."""
    with ws.state.read() as connection:
        return [p for p in catalogue.in_state(connection, "held") if holder(p) == id_]


def holder(part: Part) -> str:
    """Whose a copied partition is: the hold's id."""
    return part.path.split("/")[1]


def top_up(ws: Workspace, now: datetime) -> dict[str, str]:
    """Copy what is new under each hold in force, before any of it may go.

    Partitions that could not be copied, and why: they are not to be removed until they are.
    """
    failed: dict[str, str] = {}
    for one in holds(ws, in_force=True):
        for path, why in _top_up(ws, one, now).failed.items():
            failed[path] = f"legal hold {one.id}: its rows could not be copied: {why}"
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
    """Within a transaction that takes rows out of the lake: copies of them stay as they are."""
    for one in holds(ws, in_force=True):
        if one.person == span.person:
            for part in catalogue.in_state(connection, "held"):
                if (
                    holder(part) == one.id
                    and span.first <= date.fromisoformat(part.day) <= span.last
                ):
                    catalogue.remark(connection, part.path, FINAL)


def read(ws: Workspace, id_: str, dataset: Dataset) -> Iterator[pa.Table]:
    """The rows of a hold's copy of one dataset, oldest day first."""
    found = [p for p in copies(ws, id_) if p.dataset == dataset.name]
    for part in sorted(found, key=lambda p: p.day):
        with ws.keys.open(ws.folder / part.path) as file:
            yield file.read()


def _top_up(ws: Workspace, one: Hold, now: datetime) -> Copied:
    span = Span.of(ws, one.person, one.first_day, one.last_day)
    known = {(p.dataset, p.day): p for p in copies(ws, one.id)}
    made: list[tuple[PartWriter, str, Part | None]] = []
    failed: dict[str, str] = {}
    total = 0
    try:
        for dataset in PERSONAL:
            for day in span.days(dataset):
                with ws.state.read() as connection:
                    found = sources(connection, dataset, day, *KEPT)
                held = known.get((dataset.name, str(day)))
                made_from = catalogue.fingerprint(found)
                total += held.rows if held else 0
                if not found or (held and held.made_from in (made_from, FINAL)):
                    continue
                try:
                    writer = _copied(ws, one, dataset, day, found, made_from, span)
                except (OSError, NoKey, pa.ArrowException) as error:
                    failed |= {p.path: str(error).splitlines()[0] for p in found}
                    continue
                if writer is not None:
                    total += writer.rows - (held.rows if held else 0)
                    made.append((writer, made_from, held))
        records = _records(ws, one, known.get((RECORDS.name, str(one.first_day))))
        made += [records] if records else []
        _keep(ws, one, made, now)
    except BaseException:
        for writer, _, _ in made:
            writer.abandon()
        raise
    return Copied(total, failed)


def _copied(
    ws: Workspace,
    one: Hold,
    dataset: Dataset,
    day: date,
    found: Sequence[Part],
    made_from: str,
    span: Span,
) -> PartWriter | None:
    """The span's rows of one day under the hold's key; None where there are none."""
    writer: PartWriter | None = None
    try:
        for part in found:
            for table in rows(ws, part, dataset, span):
                if writer is None:
                    writer = _writer(ws, one, dataset, day, made_from)
                writer.write(table)
    except BaseException:
        if writer is not None:
            writer.abandon()
        raise
    return writer


def _writer(ws: Workspace, one: Hold, dataset: Dataset, day: date, made_from: str) -> PartWriter:
    name = f"{dataset.name}-{made_from[:16]}"
    folder = f"holds/{one.id}/{day.isoformat()}"
    return PartWriter(
        ws.folder, dataset, day, name, ws.keys, folder=folder, seal=seal_of(ws, one.id)
    )


def _records(
    ws: Workspace, one: Hold, held: Part | None
) -> tuple[PartWriter, str, Part | None] | None:
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
        }
    if now <= kept:
        return None
    found = sorted(now | kept)
    made_from = hashlib.sha256(repr(found).encode()).hexdigest()
    writer = _writer(ws, one, RECORDS, one.first_day, made_from)
    for at in range(0, len(found), GROUP_ROWS):
        piece = [{"day": d, "table": t, "row": r} for d, t, r in found[at : at + GROUP_ROWS]]
        writer.write(pa.Table.from_pylist(piece, schema=RECORDS.schema))
    return writer, made_from, held


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


def _keep(
    ws: Workspace, one: Hold, made: Sequence[tuple[PartWriter, str, Part | None]], now: datetime
) -> None:
    """Bring the copies to the disk and into the catalogue, in the place of older ones."""
    if not made:
        return
    parts = [writer.close(made_from) for writer, made_from, _ in made]
    for writer, _, _ in made:
        writer.move()
    for part in parts:  # by the key it will be read with, before it counts
        with ws.keys.open(ws.folder / part.path) as file:
            if file.metadata.num_rows != part.rows:
                raise Damaged(f"{part.path}: what was written there cannot be read again.")
    older = [held.path for _, _, held in made if held is not None]
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
