"""A fresh look at a site: every file by its content, keys of days that are over, copies nobody answers for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pyarrow.parquet as pq

from clock import refuse_the_past
from config.settings import Retention
from errors import NoKey
from holds import holder, holds
from lake import catalogue
from lake.age import first_day_kept
from lake.datasets import DATASETS
from lake.keys import spent
from lake.stores import STORES, Store
from lake.witness.bound import Closed
from lake.witness.look import Opener, files
from lake.witness.site import Verification, verify_site
from workspace import Workspace


def keep_days(retention: Retention, key: str) -> int | None:
    """Days a retention key allows; None is one calendar year."""
    found: int | None = getattr(retention, key)
    return found


def verify(ws: Workspace, now: datetime) -> Verification:
    """Look into every file under the site folder for event times older than its limit.

    Raises UnsafeDeletion under a clock behind what is known: it would call overdue data young.
    """
    refuse_the_past(ws, now)
    with ws.state.read() as connection:
        live = [p for name in DATASETS for p in catalogue.parts(connection, name)]
    ws.keys.require(part.key for part in live)
    limits = {s.name: store_limit(s, ws.settings.retention, now) for s in STORES}
    found = verify_site(ws.folder, now, limits, configuration(ws), opener(ws))
    over = [f"keys/ring.db: the key {id_} of a day that is over" for id_ in spent_keys(ws, now)]
    found = _with(found, "keys", over) if over else found
    strays = _strays(ws)
    return _with(found, "holds", strays) if strays else found


def _strays(ws: Workspace) -> list[str]:
    """Files under holds/ that belong to no hold in force: no reason keeps them."""
    in_force = {h.id for h in holds(ws, in_force=True)}
    with ws.state.read() as connection:
        known = {p.path for p in catalogue.in_state(connection, "held") if holder(p) in in_force}
    return [
        f"{relative}: of no legal hold in force"
        for relative, _ in files(ws.folder)
        if relative.startswith("holds/") and relative not in known
    ]


def opener(ws: Workspace) -> Opener:
    """How the witness opens a partition: by its day's key, which may be gone for good."""

    def opened(path: Path) -> pq.ParquetFile:
        try:
            return ws.keys.open(path)
        except NoKey as error:
            raise Closed(f"no key (destroyed): {error}") from None

    return opened


def spent_keys(ws: Workspace, now: datetime) -> list[str]:
    """Day keys nobody needs any more by the catalogue and by what is kept how long."""
    first = {
        name: first_day_kept(now, keep_days(ws.settings.retention, dataset.keep))
        for name, dataset in DATASETS.items()
    }
    in_force = {h.id for h in holds(ws, in_force=True)}
    with ws.state.read() as connection:
        return spent(connection, ws.keys.ring, first, in_force)


def _with(found: Verification, store: str, over: Sequence[str]) -> Verification:
    """A look that also found these, which are overdue in a store."""
    stores = [
        replace(s, overdue_rows=s.overdue_rows + len(over)) if s.store == store else s
        for s in found.stores
    ]
    return replace(found, stores=stores, overdue=[*found.overdue, *over])


def configuration(ws: Workspace) -> set[str]:
    """Files written by hand, relative to the site; one outside it is nobody's to look into."""
    inside = [p for p in ws.config_files if p.is_relative_to(ws.folder)]
    return {str(p.relative_to(ws.folder)) for p in inside}


def store_limit(store: Store, retention: Retention, now: datetime) -> date:
    """The first day a store may hold; one calendar year where it has no length of its own."""
    return first_day_kept(now, keep_days(retention, store.keep) if store.keep else None)
