"""The year: what is due, why, its removal, and the fresh look that alone may say it is gone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import DatabaseError

from clock import believe_clock
from config.settings import Retention
from errors import CannotWrite, Overdue, UnsafeDeletion
from holds import settle, top_up
from lake import catalogue
from lake.age import due, first_day_kept
from lake.files import remove, sha256
from lake.stores import CLOCKED, STORES
from lake.witness.look import files, iso_days, look
from lake.witness.site import Verification, sentence, store_of
from lake.write import instant, sweep
from state.tables import METADATA
from subjects import KEPT
from verification import configuration, keep_days, opener, spent_keys, store_limit, verify
from workspace import Workspace

__all__ = [
    "STEPS", "Decision", "Item", "Purge", "Run", "Verification", "inventory", "plan",
    "planned", "purge", "sentence", "unfinished", "verify",
]  # fmt: skip
ITEMS_AN_ACT = 500


@dataclass(frozen=True)
class Item:
    """Something that grows old: its store, what it is called, its oldest day and rows."""

    store: str
    name: str
    oldest: date
    rows: int
    kind: str  # partition | row | file | segment
    key: str | None = None  # the day key a partition is sealed with
    first: str = ""  # instants of its oldest and newest event, where the catalogue knows them
    last: str = ""
    sha256: str = ""  # of its file; filled in for what goes


@dataclass(frozen=True)
class Decision:
    """What becomes of an item, when it is due, and why."""

    item: Item
    remove: bool
    due: date
    reason: str


@dataclass(frozen=True)
class Purge:
    """What a purge removed, and the look that followed it."""

    removed: list[Item]
    verification: Verification


@dataclass
class Run:
    """A purge under way: what it was asked, and what its steps have done so far."""

    ws: Workspace
    now: datetime
    chosen: list[Item]
    confirmed: bool = False
    held: Mapping[str, str] = field(default_factory=dict)
    """What a legal hold has no copy of yet, partitions and tables, and why: it stays."""
    verification: Verification | None = None

    @property
    def id(self) -> str:
        """What its intent and its end are told by in the ledger."""
        return self.now.astimezone(UTC).isoformat()


def plan(items: Iterable[Item], retention: Retention, now: datetime) -> list[Decision]:
    """Decide for each item, with the reason; pure: the same arguments give the same plan."""
    today = now.astimezone(UTC).date()
    keys = _keys()
    decisions = []
    for item in sorted(items, key=lambda i: (i.store, i.oldest, i.name)):
        days = keep_days(retention, keys[item.store])
        end = due(item.oldest, days)
        length = "one calendar year" if days is None else f"{days} days"
        gone = end <= today
        reason = (
            f"its oldest event, {item.oldest}, was kept for {length}, until {end}"
            if gone
            else f"its oldest event, {item.oldest}, is kept for {length}, until {end}"
        )
        decisions.append(Decision(item, gone, end, reason))
    return decisions


def inventory(ws: Workspace, now: datetime) -> list[Item]:
    """Everything that grows old in a site folder, by the stores' declarations."""
    items: list[Item] = []
    with ws.state.read() as connection:
        items += [_partition(p.dataset, p) for p in catalogue.in_state(connection, *KEPT)]
        items += _aged_rows(connection)
    items += [
        Item("ledger", str(path.relative_to(ws.folder)), _segment_start(path), 0, "segment")
        for path in ws.ledger.segments()
    ]
    written = configuration(ws)
    for relative, path in files(ws.folder):
        store = store_of(relative, written)
        if store is None or store.goes != "file":
            continue
        seen = look(path, store, date.min, now.astimezone(UTC).date(), opener(ws))
        if seen.oldest:
            items.append(Item(store.name, relative, seen.oldest, seen.rows, "file"))
    return items


def _partition(dataset: str, part: catalogue.Part) -> Item:
    first, last = instant(part.oldest), instant(part.newest)
    return Item(
        dataset,
        part.path,
        first.date(),
        part.rows,
        "partition",
        key=part.key,
        first=first.isoformat(timespec="seconds"),
        last=last.isoformat(timespec="seconds"),
        sha256=part.sha256,
    )


def planned(ws: Workspace, now: datetime) -> list[Decision]:
    """The plan for a site folder as it stands."""
    return plan(inventory(ws, now), ws.settings.retention, now)


def purge(
    ws: Workspace,
    now: datetime,
    *,
    confirmed: bool = False,
    after: Callable[[str], None] = lambda step: None,
) -> Purge:
    """Remove what is due: the STEPS in their order; only the last says that it is done.

    The caller holds the site's lock. Raises UnsafeDeletion where the clock or the settings would
    delete what a person would not expect (`confirmed` overrides), CannotWrite where the disk does
    not let it go on, and Overdue where something is still there. Killed or stopped at any point,
    the next purge goes on from there. `after` hears of every step that ended.
    """
    run = Run(ws, now, [], confirmed=confirmed)
    for name, step in STEPS:
        try:
            step(run)
        except (OSError, DatabaseError) as error:
            raise CannotWrite(_stopped(name, error)) from None
        after(name)
    assert run.verification
    if not run.verification.clean:
        raise Overdue(sentence(run.verification))
    return Purge(run.chosen, run.verification)


def _choose(run: Run) -> None:
    """What is due, unless the clock or the settings would delete what nobody expects."""
    believe_clock(run.ws, run.now, confirmed=run.confirmed)
    with suppress(Overdue):  # the look names what is left of it; everything else goes on time
        settle(run.ws, run.now)
    run.held = top_up(run.ws, run.now)
    decisions = [_spared(d, run.held) for d in planned(run.ws, run.now)]
    _guard_share(run.ws, decisions, run.confirmed)
    run.chosen = [_sealed(run.ws, d.item) for d in decisions if d.remove]


def _spared(decision: Decision, held: Mapping[str, str]) -> Decision:
    """What a hold has no copy of yet stays, and the look afterwards says so."""
    why = held.get(decision.item.name)
    return replace(decision, remove=False, reason=why) if why and decision.remove else decision


def _intend(run: Run) -> None:
    """Say in the ledger what will go, before anything goes."""
    with run.ws.state.change() as change:
        # In pieces: a year of partitions going at once would make one act of megabytes.
        for at in range(0, max(1, len(run.chosen)), ITEMS_AN_ACT):
            change.act(
                "purge intent",
                time=run.now,
                actor=run.ws.actor,
                purge=run.id,
                items=_told(run.chosen[at : at + ITEMS_AN_ACT]),
                limits=_limits(run.ws, run.now),
            )


def _mark(run: Run) -> None:
    """In one transaction: no reader sees the partitions any more, their days never come back."""
    partitions = [i for i in run.chosen if i.kind == "partition"]
    with run.ws.state.change() as change:
        catalogue.condemn(change.connection, [i.name for i in partitions])
        for item in partitions:
            catalogue.bury(change.connection, item.store, [item.name.split("/")[2]], run.id)
        gone = _delete_rows(change, run.ws, run.now, run.held)
        rows = {table: count for table, count in gone.items() if count}
        change.act("purge marks", time=run.now, actor=run.ws.actor, purge=run.id, rows=rows)
    run.chosen = [replace(i, rows=gone[i.name]) if i.kind == "row" else i for i in run.chosen]


def _destroy_keys(run: Run) -> None:
    """Keys of what is going are gone for good: a copy of it anywhere cannot be read any more.

    After the marks, so that no row counts as present whose key is gone; before the word that it is
    done, which a living key would make a lie.
    """
    run.ws.keys.destroy(spent_keys(run.ws, run.now))


def _unlink(run: Run) -> None:
    """Files of partitions being purged (also of a purge that was cut short), and aged files."""
    for relative in [*_condemned(run.ws), *(i.name for i in run.chosen if i.kind == "file")]:
        path = run.ws.folder / relative
        try:
            if path.parent.exists():
                remove(path)
        except OSError as error:
            raise Overdue(
                f"{relative}: cannot be removed: {error.strerror}. Nothing is said to be gone; "
                f"mend this and run the purge again."
            ) from None


def _forget(run: Run) -> None:
    """What is not on the disk any more is taken out of the catalogue."""
    with run.ws.state.change() as change:
        catalogue.forget(change.connection, _condemned(run.ws))
    with run.ws.state.read() as connection:
        sweep(connection, run.ws.folder)


def _drop_segments(run: Run) -> None:
    """Months of the ledger whose first act is due go, leaving their heads."""
    ledger = run.ws.ledger
    for path in ledger.droppable(first_day_kept(run.now, run.ws.settings.retention.ledger)):
        ledger.drop(path)


def _scrub(run: Run) -> None:
    """Deleted rows are not readable in the database file or its journal any more."""
    run.ws.state.scrub()


def _look(run: Run) -> None:
    """What is there now, by the files themselves."""
    run.verification = verify(run.ws, run.now)


def _say(run: Run) -> None:
    """Done only where the look found nothing; the intents it ends are named."""
    assert run.verification
    with run.ws.state.change() as change:
        change.act(
            "purge done" if run.verification.clean else "purge incomplete",
            time=run.now,
            actor=run.ws.actor,
            purge=run.id,
            intents=unfinished(run.ws),
            removed=_counted(run.chosen),
            stores={s.store: str(s.oldest_event or "") for s in run.verification.stores},
            overdue=len(run.verification.overdue),
        )


STEPS: tuple[tuple[str, Callable[[Run], None]], ...] = (
    ("plan", _choose),
    ("intent", _intend),
    ("mark", _mark),
    ("keys", _destroy_keys),
    ("unlink", _unlink),
    ("forget", _forget),
    ("segments", _drop_segments),
    ("scrub", _scrub),
    ("look", _look),
    ("say", _say),
)
"""A purge from its first word to its last; each step may be done again after a kill."""


def unfinished(ws: Workspace) -> list[str]:
    """Purges that said what they would do and never that it was done, oldest first."""
    open_: list[str] = []
    for line in ws.ledger.lines():
        if line.act["act"] == "purge intent" and "purge" in line.act:
            open_ += [] if line.act["purge"] in open_ else [line.act["purge"]]
        elif line.act["act"] == "purge done":
            open_ = []
    return open_


def _stopped(step: str, error: Exception) -> str:
    why = str(getattr(error, "orig", None) or error).splitlines()[0]
    return (
        f"The purge stopped at the step `{step}`: {why}. Nothing is said to be gone; free space on "
        f"the disk or mend the folder's rights, and run it again: it goes on from there."
    )


def _condemned(ws: Workspace) -> list[str]:
    """Paths of partitions that are being purged."""
    with ws.state.read() as connection:
        return [part.path for part in catalogue.in_state(connection, "purging")]


def _keys() -> dict[str, str]:
    """The retention key of each store and of each state table."""
    return {
        **{s.name: s.keep for s in STORES if s.keep},
        **{f"state.{c.table}": c.keep for c in CLOCKED},
    }


def _limits(ws: Workspace, now: datetime) -> dict[str, str]:
    retention = ws.settings.retention
    return {s.name: store_limit(s, retention, now).isoformat() for s in STORES if s.keep}


def _aged_rows(connection: Any) -> list[Item]:
    """One item a state table: its oldest row."""
    items = []
    for clock in CLOCKED:
        table = METADATA.tables[clock.table]
        column = table.c[clock.column]
        query = select(func.min(column), func.count())
        query = query.where(column > 0) if clock.form == "ms" else query.where(column.is_not(None))
        oldest, rows = connection.execute(query).one()
        if oldest is not None:
            day = (
                instant(oldest).date()
                if clock.form == "ms"
                else datetime.fromisoformat(oldest).date()
            )
            items.append(Item(f"state.{clock.table}", clock.table, day, rows, "row"))
    return items


def _delete_rows(
    change: Any, ws: Workspace, now: datetime, held: Mapping[str, str]
) -> dict[str, int]:
    """Delete what is due of each state table, but those a hold has yet to copy; rows by table."""
    gone = {}
    for clock in (c for c in CLOCKED if c.table not in held):
        table = METADATA.tables[clock.table]
        limit = first_day_kept(now, keep_days(ws.settings.retention, clock.keep))
        column = table.c[clock.column]
        if clock.form == "ms":
            bound = int(datetime(limit.year, limit.month, limit.day, tzinfo=UTC).timestamp() * 1000)
            statement = table.delete().where(column > 0, column < bound)
        else:
            statement = table.delete().where(column < limit.isoformat())
        gone[clock.table] = int(change.execute(statement).rowcount)
    return gone


def _guard_share(ws: Workspace, decisions: Sequence[Decision], confirmed: bool) -> None:
    """Refuse to delete most of the lake at once: a typo in the settings looks like that."""
    rows = [d for d in decisions if d.item.store == "events"]
    total = sum(d.item.rows for d in rows)
    gone = sum(d.item.rows for d in rows if d.remove)
    share = ws.settings.retention.largest_share
    if total and gone > share * total and not confirmed:
        raise UnsafeDeletion(
            f"This purge would delete {gone:,} of {total:,} events, more than the share of "
            f"{share:.0%} that `retention.largest_share` allows. If that is right, run it with "
            f"--confirm."
        )


def _segment_start(path: Path) -> date:
    with path.open("rb") as file:
        first = file.readline()
    found = iso_days(first[first.rfind(b'"time"') :])
    return min(found, default=date.fromisoformat(f"{path.stem}-01"))


def _told(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Items as the ledger tells them, and certificates by it; what is not known is left out."""
    return [
        {
            key: value
            for key, value in {**asdict(i), "oldest": i.oldest.isoformat()}.items()
            if value
        }
        for i in items
    ]


def _sealed(ws: Workspace, item: Item) -> Item:
    """An item with the digest of its file, while there is one."""
    path = ws.folder / item.name
    if item.kind not in ("file", "segment") or not path.is_file():
        return item
    return replace(item, sha256=sha256(path))


def _counted(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """How much went, by store; the items themselves stand in the intent."""
    counted: dict[str, dict[str, int]] = {}
    for item in items:
        sums = counted.setdefault(item.store, {"items": 0, "rows": 0})
        sums["items"] += 1
        sums["rows"] += item.rows
    return counted
