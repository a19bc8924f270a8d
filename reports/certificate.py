"""What a certificate says: what was removed, by which rule, what remains, what cannot be vouched for."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import holds
from errors import NoSuchThing
from lake import catalogue
from lake.age import first_day_kept
from lake.datasets import DATASETS
from lake.files import sha256
from lake.stores import CLOCKED, STORES
from lake.witness.site import Verification
from proofs.note import stamp
from reports import checkpoints
from reports.render import version
from retention import Decision, planned
from verification import keep_days
from workspace import Workspace

NO_BACKUPS = (
    "No backups are listed (`backups` in fairwatch.yaml). If this machine is backed up, the copies "
    "are not covered by this certificate."
)
BEYOND = (
    "Only the site folder was looked at. The proxies' own logs, mails that were sent, and copies that "
    "people made are not known to Fairwatch."
)
FOLDER = "certificates"
KINDS = {
    "partition": "a partition",
    "file": "a file",
    "segment": "a month",
    "row": "rows",
    "rows": "rows of one person",
}


@dataclass(frozen=True)
class Removed:
    """One thing that went: its day, instants (UTC) of its oldest and newest event where known."""

    store: str
    name: str
    kind: str
    day: str
    rows: int
    oldest: str
    newest: str
    sha256: str
    key: str
    purge: int
    backups_until: str


@dataclass(frozen=True)
class Deed:
    """A purge, erasure or restriction as the ledger tells it, by the number of the act that ended it."""

    act: int
    time: datetime
    items: list[dict[str, Any]]
    rows: dict[str, int]
    kind: str = "purge"
    right: str = ""


@dataclass(frozen=True)
class Rule:
    """How long a store is kept, by which key of the settings, and the first day that stays."""

    store: str
    setting: str
    length: str
    first_day_kept: str


@dataclass(frozen=True)
class Remaining:
    """What the fresh look found in a store."""

    store: str
    holds: str
    files: int
    rows: int
    oldest_event: date | None
    overdue_rows: int
    unreadable: int


@dataclass(frozen=True)
class Kept:
    """What is due and stays all the same, and why."""

    store: str
    day: str
    due: str
    reason: str
    overdue: bool = False
    """Of a legal hold: nobody looked at it again by the day that was set."""


@dataclass(frozen=True)
class BackupUntil:
    """A backup, and the last day on which it may hold what the newest purge removed."""

    name: str
    place: str
    keeps_days: int
    until: str


@dataclass(frozen=True)
class Certificate:
    """All of it; `purge` is the act that ended what is certified, None where it is about the state as it is."""

    id: str
    organisation: str
    made: datetime
    purge: int | None
    clean: bool
    limit: date
    deeds: list[Deed]
    removed: list[Removed]
    rules: list[Rule]
    clause: str | None
    clause_text: str | None
    policy: str | None
    remaining: list[Remaining]
    kept: list[Kept]
    backups: list[BackupUntil]
    gaps: list[str]
    versions: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The shape of certificate.json (docs/certificate.md)."""
        return {
            **{k: v for k, v in vars(self).items() if k != "deeds"},
            "made": stamp(self.made),
            "limit": self.limit.isoformat(),
            "purges": [
                {
                    "act": d.act,
                    "time": stamp(d.time),
                    "rows": self.rows_of(d.act),
                    "deed": d.kind,
                    "request": d.right,
                }
                for d in self.deeds
            ],
            "removed": [asdict(r) for r in self.removed],
            "rules": [asdict(r) for r in self.rules],
            "remaining": [
                {**asdict(r), "oldest_event": r.oldest_event and r.oldest_event.isoformat()}
                for r in self.remaining
            ],
            "kept": [asdict(k) for k in self.kept],
            "backups": [asdict(b) for b in self.backups],
        }

    def rows_of(self, act: int) -> int:
        """Rows that one purge removed."""
        return sum(r.rows for r in self.removed if r.purge == act)


def certificate(
    ws: Workspace, now: datetime, found: Verification, purge: str | None = None
) -> Certificate:
    """Gather what a certificate says from the ledger, the settings and a fresh look.

    `purge`: a purge by the number of its act or by its id, an erasure or restriction by its own id
    (E-2026-0001); None certifies the state as it is, with all the ledger still tells of. Raises
    NoSuchThing. It holds no names of people: a file of
    a report or a pack is told by its folder and its digest.
    """
    known = deeds(ws)
    chosen = [_one(known, purge)] if purge is not None else known
    policy = ws.policy_on(now.astimezone(ws.settings.zone).date())
    clause = policy.retention if policy else None
    gaps = [*([] if ws.settings.backups else [NO_BACKUPS]), *checkpoints.gaps(ws), BEYOND]
    last = max((d.time for d in chosen), default=now)
    return Certificate(
        id=_name(ws, now, chosen[0] if purge is not None else None),
        organisation=ws.settings.organisation.name,
        made=now,
        purge=chosen[0].act if purge is not None else None,
        clean=found.clean,
        limit=found.limit,
        deeds=chosen,
        removed=[r for deed in chosen for r in _removed(ws, deed)],
        rules=_rules(ws, now),
        clause=clause,
        clause_text=policy.clauses[clause] if policy and clause else None,
        policy=f"{policy.title}, {policy.version}" if policy else None,
        remaining=_remaining(found),
        kept=[*_kept(planned(ws, now), now), *_held(ws, now)],
        backups=[
            BackupUntil(b.name, b.place, b.keeps, _until(last, b.keeps))
            for b in ws.settings.backups
        ],
        gaps=gaps,
        versions=_versions(ws),
    )


def deeds(ws: Workspace) -> list[Deed]:
    """What ended well and the ledger still tells of, oldest first.

    What a purge began that was cut short belongs to the one that ended it; an erasure or a restriction
    goes on under its own id.
    """
    found: list[Deed] = []
    said: dict[str, _Said] = {}
    for line in ws.ledger.lines():
        act = line.act
        if act["act"] in SAYING:
            said.setdefault(act.get("right", ""), _Said()).add(act)
        elif act["act"] in ("purge done", "rows done"):
            right = act.get("right", "")
            told = said.pop(right, _Said())
            when = datetime.fromisoformat(act["time"])
            kind = act.get("deed", "purge")
            found.append(Deed(act["seq"], when, list(told.items.values()), told.rows, kind, right))
    return found


SAYING = ("purge intent", "purge marks", "rows intent")


class _Said:
    """What is told of a deed before it is done."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.rows: dict[str, int] = {}

    def add(self, act: Mapping[str, Any]) -> None:
        for item in act.get("items", ()):
            self.items[item["store"], item["name"], item.get("sha256", "")] = item
        for table, count in act.get("rows", {}).items():
            self.rows[table] = self.rows.get(table, 0) + count
        for table, count in act.get("records", {}).items():  # said again by a deed taken up again
            self.rows[table] = max(self.rows.get(table, 0), count)


def newest(ws: Workspace) -> str:
    """The purge that ended last, by the number of its act. Raises NoSuchThing."""
    known = [d for d in deeds(ws) if d.kind == "purge"]
    if not known:
        raise NoSuchThing("no purge has ended well yet, or the ledger no longer tells of it.")
    return str(known[-1].act)


def _name(ws: Workspace, now: datetime, deed: Deed | None) -> str:
    """A purge's first certificate has its number alone; nothing is written over."""
    moment = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    if deed is None:
        return f"state-{moment}"
    first = f"{deed.kind}-{deed.act:06}"
    taken = (ws.folder / FOLDER / f"{first}.zip").exists()
    return f"{first}-{moment}" if taken else first


def _one(known: Sequence[Deed], purge: str) -> Deed:
    for deed in known:
        if purge in (str(deed.act), stamp(deed.time)) or deed.right == purge.upper() != "":
            return deed
    numbers = ", ".join(f"{d.act} ({d.time:%Y-%m-%d})" for d in known[-5:]) or "none"
    raise NoSuchThing(
        f"--purge: found {purge!r}; expected the number of an act `purge done` or `rows done`, or the "
        f"id of an erasure or restriction. The last: {numbers}."
    )


def _removed(ws: Workspace, deed: Deed) -> list[Removed]:
    """What a purge took away; what an interrupted one only meant to is not among it."""
    longest = max((b.keeps for b in ws.settings.backups), default=0)
    until = _until(deed.time, longest) if longest else ""
    with ws.state.read() as connection:
        live = {p.path for name in DATASETS for p in catalogue.parts(connection, name)}
    found = []
    for item in deed.items:
        if item.get("kind") == "row" or item["name"] in live or _still_there(ws, item):
            continue
        file = item.get("kind") == "file"
        found.append(
            Removed(
                store=item["store"],
                name=str(PurePosixPath(item["name"]).parent) if file else item["name"],
                kind=item.get("kind", ""),
                day=_day_of(item),
                rows=item.get("rows", 0),
                oldest=item.get("first", item["oldest"]),
                newest=item.get("last", ""),
                sha256=item.get("sha256", ""),
                key=item.get("key") or "",
                purge=deed.act,
                backups_until=until,
            )
        )
    oldest = {i["name"]: i["oldest"] for i in deed.items if i.get("kind") == "row"}
    for table, count in sorted(deed.rows.items()):
        day = oldest.get(table, "")
        found.append(
            Removed(f"state.{table}", table, "row", day, count, day, "", "", "", deed.act, until)
        )
    return found


def _day_of(item: dict[str, Any]) -> str:
    """A partition's own day: a local one may begin on the evening before in UTC."""
    whole = item.get("kind") in ("partition", "rows")
    return str(item["name"].split("/")[2] if whole else item["oldest"])


def _still_there(ws: Workspace, item: dict[str, Any]) -> bool:
    path = ws.folder / item["name"]
    return (
        item.get("kind") in ("file", "segment")
        and path.is_file()
        and sha256(path) == item.get("sha256")
    )


def _rules(ws: Workspace, now: datetime) -> list[Rule]:
    keeps = {**{s.name: s.keep for s in STORES if s.keep}}
    keeps |= {f"state.{c.table}": c.keep for c in CLOCKED}
    rules = []
    for store, key in keeps.items():
        days = keep_days(ws.settings.retention, key)
        length = "one calendar year" if days is None else f"{days} days"
        rules.append(Rule(store, f"retention.{key}", length, first_day_kept(now, days).isoformat()))
    return rules


def _remaining(found: Verification) -> list[Remaining]:
    holds = {s.name: s.holds for s in STORES}
    return [
        Remaining(
            s.store,
            holds.get(s.store, "files that no declaration claims"),
            s.files,
            s.rows,
            s.oldest_event,
            s.overdue_rows,
            len(s.unreadable),
        )
        for s in found.stores
    ]


def _kept(decisions: Sequence[Decision], now: datetime) -> list[Kept]:
    """What is due and not removed: the plan says why."""
    today = now.date()
    return [
        Kept(d.item.store, d.item.oldest.isoformat(), d.due.isoformat(), d.reason)
        for d in decisions
        if d.due <= today and not d.remove
    ]


def _held(ws: Workspace, now: datetime) -> list[Kept]:
    """Copies under legal holds: who is held stays unsaid, the kind of reason does not."""
    found = []
    for one in holds.holds(ws, in_force=True):
        rows = sum(part.rows for part in holds.copies(ws, one.id))
        late = "; NOT REVIEWED in time" if one.overdue(now) else ""
        told = (
            f"legal hold {one.id} ({holds.REASONS[one.reason]}): a copy of {rows:,} rows of one person "
            f"under a key of its own, until it is released; to be reviewed by {one.review}{late}"
        )
        day, review = one.first_day.isoformat(), one.review.isoformat()
        found.append(Kept("holds", day, review, told, overdue=one.overdue(now)))
    return found


def _until(when: datetime, days: int) -> str:
    return (when.date() + timedelta(days=days)).isoformat()


def _versions(ws: Workspace) -> dict[str, str]:
    paths = [ws.folder / "fairwatch.yaml", *(ws.folder / p for p in ws.settings.policy)]
    return {
        "Fairwatch": version(),
        "Python": platform.python_version(),
        **{path.name: f"SHA-256 {sha256(path)}" for path in paths},
    }
