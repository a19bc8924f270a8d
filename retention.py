"""The year: what is due, why, its removal, and the fresh look that alone may say it is gone."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from clock import believe_clock, refuse_the_past
from config.settings import Retention
from errors import Overdue, UnsafeDeletion
from lake import catalogue, witness
from lake.age import due, first_day_kept
from lake.datasets import CLOCKED, DATASETS, STORES, Store
from lake.files import remove
from lake.write import instant, sweep
from state.tables import METADATA
from workspace import Workspace

ITEMS_AN_ACT = 500


@dataclass(frozen=True)
class Item:
    """Something that grows old: its store, what it is called, its oldest day and rows."""

    store: str
    name: str
    oldest: date
    rows: int
    kind: str  # partition | row | file | segment


@dataclass(frozen=True)
class Decision:
    """What becomes of an item, when it is due, and why."""

    item: Item
    remove: bool
    due: date
    reason: str


@dataclass(frozen=True)
class StoreState:
    """What a look into one store found."""

    store: str
    files: int
    rows: int
    oldest_event: date | None
    overdue_rows: int
    unreadable: list[str]


@dataclass(frozen=True)
class Verification:
    """A fresh look at everything under the site folder."""

    as_of: datetime
    limit: date
    stores: list[StoreState]
    overdue: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Nothing overdue, and nothing that could not be looked into."""
        return not any(s.overdue_rows or s.unreadable for s in self.stores)

    def as_json(self) -> dict[str, Any]:
        """The shape of `retention verify --json`."""
        return {
            "as_of": self.as_of.astimezone(UTC).isoformat(),
            "limit": self.limit.isoformat(),
            "stores": [
                {**asdict(s), "oldest_event": s.oldest_event and s.oldest_event.isoformat()}
                for s in self.stores
            ],
            "clean": self.clean,
            "overdue": self.overdue,
        }


@dataclass(frozen=True)
class Purge:
    """What a purge removed, and the look that followed it."""

    removed: list[Item]
    verification: Verification


def keep_days(retention: Retention, key: str) -> int | None:
    """Days a retention key allows; None is one calendar year."""
    found: int | None = getattr(retention, key)
    return found


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


def inventory(ws: Workspace, limit_of: dict[str, date] | None = None) -> list[Item]:
    """Everything that grows old in a site folder, by the stores' declarations."""
    limits = limit_of or {}
    items: list[Item] = []
    with ws.state.read() as connection:
        for name in DATASETS:
            items += [
                Item(name, part.path, instant(part.oldest).date(), part.rows, "partition")
                for part in catalogue.parts(connection, name)
            ]
        items += _aged_rows(connection)
    items += [
        Item("ledger", str(path.relative_to(ws.folder)), _segment_start(path), 0, "segment")
        for path in ws.ledger.segments()
    ]
    for relative, path in witness.files(ws.folder):
        store = _store_of(ws, relative, path)
        if store is None or store.goes != "file":
            continue
        seen = witness.look(path, store, limits.get(store.name, date.min))
        if seen.oldest:
            items.append(Item(store.name, relative, seen.oldest, seen.rows, "file"))
    return items


def planned(ws: Workspace, now: datetime) -> list[Decision]:
    """The plan for a site folder as it stands."""
    return plan(inventory(ws), ws.settings.retention, now)


def purge(ws: Workspace, now: datetime, *, confirmed: bool = False) -> Purge:
    """Remove what is due: intent, removal, fresh look, and only then the word that it is done.

    The caller holds the site's lock. Raises UnsafeDeletion where the clock or the settings would
    delete what a person would not expect (`confirmed` overrides), and Overdue where the look
    afterwards still finds something. Killed at any point, the next purge goes on.
    """
    decisions = planned(ws, now)
    chosen = [d.item for d in decisions if d.remove]
    believe_clock(ws, now, confirmed=confirmed)
    _guard_share(ws, decisions, confirmed)
    with ws.state.change() as change:
        # In pieces: a year of partitions going at once would make one act of megabytes.
        for at in range(0, max(1, len(chosen)), ITEMS_AN_ACT):
            change.act(
                "purge intent",
                time=now,
                actor=ws.actor,
                items=_told(chosen[at : at + ITEMS_AN_ACT]),
                limits=_limits(ws, now),
            )
    partitions = [i for i in chosen if i.kind == "partition"]
    with ws.state.change() as change:
        catalogue.condemn(change.connection, [i.name for i in partitions])
        for item in partitions:
            day = item.name.split("/")[2]
            catalogue.bury(change.connection, item.store, [day], now.astimezone(UTC).isoformat())
        gone = _delete_rows(change, ws, now)
    chosen = [replace(i, rows=gone[i.name]) if i.kind == "row" else i for i in chosen]
    _unlink(ws, [i for i in chosen if i.kind == "file"])
    for path in ws.ledger.droppable(first_day_kept(now, ws.settings.retention.ledger)):
        ws.ledger.drop(path)
    ws.state.scrub()
    verification = verify(ws, now)
    act = "purge done" if verification.clean else "purge incomplete"
    with ws.state.change() as change:
        change.act(
            act,
            time=now,
            actor=ws.actor,
            removed=_counted(chosen),
            stores={s.store: str(s.oldest_event or "") for s in verification.stores},
            overdue=len(verification.overdue),
        )
    if not verification.clean:
        raise Overdue(sentence(verification))
    return Purge(chosen, verification)


def verify(ws: Workspace, now: datetime) -> Verification:
    """Look into every file under the site folder for event times older than its limit.

    Raises UnsafeDeletion under a clock behind what is known: it would call overdue data young.
    """
    refuse_the_past(ws, now)
    keys = _keys()
    retention = ws.settings.retention
    ceiling = first_day_kept(now, None)
    found: dict[str, list[tuple[str, witness.Seen]]] = {s.name: [] for s in STORES}
    found["unclaimed"] = []
    for relative, path in witness.files(ws.folder):
        store = _store_of(ws, relative, path)
        limit = _store_limit(store, keys, retention, now) if store else ceiling
        seen = witness.look(path, store, limit)
        found[store.name if store else "unclaimed"].append((relative, seen))
    stores, overdue = [], []
    for name, looks in found.items():
        stores.append(
            StoreState(
                store=name,
                files=len(looks),
                rows=sum(s.rows for _, s in looks),
                oldest_event=min((s.oldest for _, s in looks if s.oldest), default=None),
                overdue_rows=sum(s.overdue for _, s in looks),
                unreadable=[f"{path}: {s.unreadable}" for path, s in looks if s.unreadable],
            )
        )
        overdue += [
            f"{path}: {s.overdue} of {s.rows}, from {s.oldest}" for path, s in looks if s.overdue
        ]
    return Verification(now, ceiling, stores, overdue)


def sentence(verification: Verification) -> str:
    """What a verification found, for a person."""
    lines = [f"overdue: {entry}" for entry in verification.overdue]
    lines += [f"not readable: {path}" for s in verification.stores for path in s.unreadable]
    if not lines:
        return f"Nothing older than {verification.limit} was found in any store."
    head = f"Not clean as of {verification.as_of:%Y-%m-%d}: data before {verification.limit} is left, or a file could not be looked into."
    return "\n".join(
        [head, *lines, "Run `fairwatch retention purge`; remove by hand what no store claims."]
    )


def _store_of(ws: Workspace, relative: str, path: Path) -> Store | None:
    """The store that claims a file; a policy or list may stand in a folder of its own."""
    if path in ws.config_files:
        return next(s for s in STORES if s.name == "configuration")
    return witness.claimed_by(relative)


def _keys() -> dict[str, str]:
    """The retention key of each store and of each state table."""
    return {
        **{s.name: s.keep for s in STORES if s.keep},
        **{f"state.{c.table}": c.keep for c in CLOCKED},
    }


def _store_limit(store: Store, keys: dict[str, str], retention: Retention, now: datetime) -> date:
    key = keys.get(store.name)
    return first_day_kept(now, keep_days(retention, key) if key else None)


def _limits(ws: Workspace, now: datetime) -> dict[str, str]:
    retention = ws.settings.retention
    return {s.name: _store_limit(s, _keys(), retention, now).isoformat() for s in STORES if s.keep}


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


def _delete_rows(change: Any, ws: Workspace, now: datetime) -> dict[str, int]:
    """Delete what is due of each state table; rows deleted by table."""
    gone = {}
    for clock in CLOCKED:
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


def _unlink(ws: Workspace, items: Sequence[Item]) -> None:
    """Files of partitions being purged (also of a purge that was cut short), and aged files."""
    with ws.state.read() as connection:
        condemned = [
            p.path for name in DATASETS for p in catalogue.parts(connection, name, state="purging")
        ]
    for relative in [*condemned, *(i.name for i in items)]:
        path = ws.folder / relative
        try:
            if path.parent.exists():
                remove(path)
        except OSError as error:
            raise Overdue(
                f"{relative}: cannot be removed: {error.strerror}. Nothing is said to be gone; "
                f"mend this and run the purge again."
            ) from None
    with ws.state.change() as change:
        catalogue.forget(change.connection, condemned)
    with ws.state.read() as connection:
        sweep(connection, ws.folder)


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
    days = witness.days(first[first.rfind(b'"time"') :])
    return min(days, default=date.fromisoformat(f"{path.stem}-01"))


def _told(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Items as the ledger tells them: no names of people are in them."""
    return [
        {"store": i.store, "name": i.name, "rows": i.rows, "oldest": i.oldest.isoformat()}
        for i in items
    ]


def _counted(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """How much went, by store; the items themselves stand in the intent."""
    counted: dict[str, dict[str, int]] = {}
    for item in items:
        sums = counted.setdefault(item.store, {"items": 0, "rows": 0})
        sums["items"] += 1
        sums["rows"] += item.rows
    return counted
