"""A hold placed and released: copied at once, and gone only when it is seen to be gone."""

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

from errors import CannotWrite, NoKey, Overdue, WrongUsage
from holds.copying import copies, top_up_one
from holds.register import (
    AHEAD_DAYS,
    LONGEST_DAYS,
    REASONS,
    Hold,
    hold,
    holds,
    review_day,
    stamp,
)
from lake import catalogue
from lake.files import remove
from lake.keys import HOLD as KIND
from state.tables import HOLD as TABLE
from subjects import refuse_self, whom
from workspace import Workspace


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
    review_day(review, today)
    who = whom(ws, person)
    owner, by = refuse_self(ws, who, owner, "--owner"), refuse_self(ws, who, by, "--by")
    if not ws.keys.sealing:
        raise NoKey(
            "A hold is sealed by a key of its own, and this site writes plain partitions: turn on "
            "`encryption` in fairwatch.yaml first (docs/keys.md)."
        )
    with ws.state.change() as change:
        id_ = f"H-{now.year}-{change.number(f'holds of {now.year}'):04d}"
        change.execute(
            TABLE.insert().values(
                id=id_,
                person=who,
                first_day=first.isoformat(),
                last_day=last.isoformat(),
                reason=reason,
                note=note,
                owner=owner,
                placed=stamp(now),
                placed_by=by,
                review=review.isoformat(),
            )
        )
        change.act("hold place", time=now, actor=ws.actor, hold=id_, person=who, by=by, owner=owner,
                   first_day=str(first), last_day=str(last), reason=reason, review=str(review))  # fmt: skip
    placed = hold(ws, id_)
    if failed := top_up_one(ws, placed, now):
        raise CannotWrite(
            f"{id_} stands, but not all of it could be copied; the purge leaves these alone until "
            f"it is: " + "; ".join(f"{path}: {why}" for path, why in failed.items())
        )
    return placed


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
                .values(released=stamp(now), released_by=by)
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
        change.execute(TABLE.update().where(TABLE.c.id == one.id).values(gone=stamp(now)))
        change.act("hold gone", time=now, actor=ws.actor, hold=one.id)


def _files(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if not p.is_dir()] if folder.exists() else []


def _keys(ws: Workspace, one: Hold) -> list[str]:
    return [k.id for k in ws.keys.ring.day_keys() if (k.dataset, k.day) == (KIND, one.id)]
