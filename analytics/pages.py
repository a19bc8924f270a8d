"""Pages of sites outside the policy's categories, as far as a log shows them.

They are what a person looked at instead, and their buttons and frames contact listed services.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.engine import Engine

LOADS = pa.schema([("person", pa.int32()), ("first", pa.int64()), ("brought", pa.bool_())])
LOADED = pa.schema([("person", pa.int32()), ("seen", pa.int64())])

AT_ONCE = 1_000_000
"""Seconds of as many persons as fit are looked at together."""


def loads(engine: Engine, *, load_gap: int, program_bytes: int) -> None:
    """Make the tables `loads` and `loaded` of `seconds` (analytics/sift.py).

    `loads`: one row a page's load: person, first (start of its first line, ms), brought (by a page of a
    listed service: an advertisement in it, or a link out of it); `loaded`: one row a second of a load.
    Lines less than `load_gap` (ms) apart are one load. A lone small connection (`program_bytes`) is a
    program's, not a page's.
    """
    engine.table("loads", LOADS.empty_table())
    engine.table("loaded", LOADED.empty_table())
    for first, last in _ranges(engine):
        rows = engine.arrow("seconds_of", first=first, last=last)
        found = _loads(rows, load_gap, program_bytes)
        for name, table in zip(("loads", "loaded"), found, strict=True):
            engine.append(name, table)


def _ranges(engine: Engine) -> Iterator[tuple[int, int]]:
    """Persons, from and to, with as many seconds as may be looked at together."""
    counted = engine.answers("seconds_by_person")
    first, held = 0, 0
    for person, count in counted:
        if held and held + count > AT_ONCE:
            yield first, person - 1
            first, held = person, 0
        held += count
    if held:
        yield first, counted[-1][0]


def _loads(rows: pa.Table, gap: int, program_bytes: int) -> tuple[pa.Table, pa.Table]:
    got: dict[str, Any] = {n: rows[n].to_numpy() for n in rows.column_names}
    # One number to sort by: person, instant, and of two in one instant the one not brought first.
    since = (got["seen"] - got["seen"].min()) * 2 + got["brought"]
    order = np.argsort(got["person"].astype(np.int64) * (since.max() + 1) + since, kind="stable")
    got = {name: column[order] for name, column in got.items()}

    # A second may come in several pieces, from several row groups.
    begins = _begins(got["person"], got["seen"] // 1000)
    got = {
        **{name: got[name][begins] for name in ("person", "seen", "brought")},
        "last": np.maximum.reduceat(got["last"], begins),
        "lines": np.add.reduceat(got["lines"], begins),
        "bytes": np.add.reduceat(got["bytes"], begins),
        "tunnel": np.logical_and.reduceat(got["tunnel"], begins),
    }
    person, seen = got["person"], got["seen"]
    far = np.append(True, seen[1:] - got["last"][:-1] > gap)
    begins = np.flatnonzero(far | np.append(True, person[1:] != person[:-1]))
    lone = np.logical_and.reduceat(got["tunnel"], begins)
    lone &= np.add.reduceat(got["lines"], begins) == 1
    lone &= np.add.reduceat(got["bytes"], begins) <= program_bytes
    kept = begins[~lone]
    shown = np.repeat(~lone, np.diff(np.append(begins, len(seen))))
    whole = pa.table([person[kept], seen[kept], got["brought"][kept]], schema=LOADS)
    return whole, pa.table([person[shown], seen[shown]], schema=LOADED)


def _begins(*columns: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Rows that differ from the one before them in any of these columns."""
    differs = np.zeros(len(columns[0]), bool)
    differs[0] = True
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(differs)
