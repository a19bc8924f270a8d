"""Day keys as a person meets them: what there is, a new master key, a shown copy, a day's key for stock tools."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from errors import NoKey, NoSuchThing
from fairwatch import place, show
from fairwatch.options import AsJson, Site, look, opened
from fairwatch.program import Commands
from lake import catalogue
from lake.datasets import DATASETS
from lake.keys import HOLD
from lake.master import name_of, parsed, written
from workspace import Workspace

keys_app = typer.Typer(help="Day keys and the master key that wraps them.", no_args_is_help=True)
Day = Annotated[datetime, typer.Argument(metavar="DAY", formats=["%Y-%m-%d"])]
Reason = Annotated[str, typer.Option("--reason", help="Why; stands in the ledger.")]
LONGEST_KEY = 4096


@dataclass(frozen=True)
class Standing:
    """What `keys status` tells."""

    sealing: bool
    place: str
    master: str | None
    copied: str | None
    ring: str
    day_keys: int
    hold_keys: int
    oldest: str | None
    newest: str | None
    sealed_parts: int
    plain_parts: int


def standing(ws: Workspace) -> Standing:
    """How the site's keys stand, without asking for the master key."""
    master, every = ws.keys.ring.master(), ws.keys.ring.day_keys()
    keys = [key for key in every if key.dataset != HOLD]
    with ws.state.read() as connection:
        parts = [p for name in DATASETS for p in catalogue.parts(connection, name)]
    sealed = sum(p.key is not None for p in parts)
    copied = master.copied if master else None
    return Standing(
        sealing=ws.keys.sealing,
        place=ws.keys.custody.place if ws.keys.custody else "nowhere",
        master=master.id if master else None,
        copied=datetime.fromtimestamp(copied, UTC).date().isoformat() if copied else None,
        ring=str(ws.keys.ring.path),
        day_keys=len(keys),
        hold_keys=len(every) - len(keys),
        oldest=min((k.day for k in keys), default=None),
        newest=max((k.day for k in keys), default=None),
        sealed_parts=sealed,
        plain_parts=len(parts) - sealed,
    )


@keys_app.command("status")
def keys_status(json_: AsJson = False, site: Site = None) -> None:
    """Where the master key is, which days have keys, what is sealed and what is plain."""
    ws = place.opened(site)
    now = standing(ws)
    if json_:
        show.as_json({"keys": now})
    else:
        rows = [(name, getattr(now, name)) for name in Standing.__dataclass_fields__]
        show.table("Keys", ("what", "state"), rows)
    if now.master:
        ws.keys.unlock()


@keys_app.command("rotate")
def keys_rotate(site: Site = None) -> None:
    """Wrap all day keys by a new master key; no partition is written anew."""
    ws = opened(site)
    with ws.alone():
        old, new = ws.keys.rotate()
        told = {"was": old, "now": new, "day_keys": len(ws.keys.ring.day_keys())}
        with ws.state.change() as change:
            change.act("keys rotate", time=place.now(), actor=ws.actor, **told)
    show.say(
        f"{told['day_keys']} day keys are wrapped by the master key {new}; {old} opens nothing here "
        f"any more (but copies of the ring made before).\n{advice(ws)}"
    )


@keys_app.command("confirm")
def keys_confirm(
    copy: Annotated[Path, typer.Argument(metavar="COPY", help="A file, or - for standard input.")],
    site: Site = None,
) -> None:
    """Compare a copy of the master key with the one in use, and note that there is one."""
    ws = place.opened(site)
    if str(copy) == "-":
        text = sys.stdin.read(LONGEST_KEY)
    elif copy.is_file():
        text = copy.read_bytes()[:LONGEST_KEY].decode("ascii", "replace")
    else:
        raise NoSuchThing(f"{copy}: there is no such file.")
    found, master = name_of(parsed(text, str(copy))), ws.keys.ring.master()
    if master is None or master.id != found:
        raise NoKey(
            f"{copy}: holds the master key {found}; expected {master.id if master else 'none yet'}."
        )
    if ws.keys.custody and str(copy.resolve()) == ws.keys.custody.place:
        raise NoKey(f"{copy}: is the master key in use itself; expected a copy of it elsewhere.")
    with ws.alone():
        ws.keys.ring.copied(int(place.now().timestamp()))
    show.say(f"{copy}: is a copy of the master key {found}; noted.")


@keys_app.command("export")
def keys_export(day: Day, reason: Reason, json_: AsJson = False, site: Site = None) -> None:
    """A day's keys, for reading its partitions with other tools; stands in the ledger as a look.

    Who has them reads copies of these partitions also after the day was purged.
    """
    ws = opened(site)
    wanted = f"{day:%Y-%m-%d}"
    ids = [key.id for key in ws.keys.ring.day_keys() if key.day == wanted]
    if not ids:
        raise NoSuchThing(f"{wanted}: no partition of this day is sealed, or the day was purged.")
    ws.keys.unlock()
    look(ws, {"what": "keys", "reason": reason, "first_day": wanted, "last_day": wanted})
    found = {id_: written(ws.keys.unwrapped(id_)) for id_ in ids}
    if json_:
        show.as_json(found)
    else:
        for id_, key in found.items():
            show.say(f"{id_}  {key}")


def advice(ws: Workspace) -> str:
    """What is to be kept where, for whoever has just got a master key."""
    master = ws.keys.ring.master()
    where = ws.keys.custody.place if ws.keys.custody else "nowhere"
    return (
        f"Master key {master.id if master else ''}: {where}. Without it nothing stored here can be "
        f"read; with it and a copy of this folder everything can. Copy it now to a place apart from "
        f"this folder's backups, then: fairwatch keys confirm COPY"
    )


COMMANDS: Commands = {"keys": keys_app}
