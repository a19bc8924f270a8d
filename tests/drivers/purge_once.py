"""Purge a site; to be killed at any moment, or to stop dead at a named point.

    python purge_once.py SITE [POINT]

POINT: a step of retention.STEPS (right after it ended), or `file` (after the first file was unlinked),
`row` (inside the transaction that marks), `segment` (after the first month was dropped), `act` (after
the first act reached the ledger). Says `ready` once the site is open, each step, and `done` at the end.
"""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fairwatch  # noqa: F401 (first, as in the program: Arrow is kept from importing pandas)
import retention
from lake import catalogue
from lake.files import remove
from ledger import Ledger
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
WITHIN: dict[str, tuple[object, str, Callable[..., Any]]] = {
    "row": (catalogue, "condemn", catalogue.condemn),
    "file": (retention, "remove", remove),
    "segment": (Ledger, "drop", Ledger.drop),
    "act": (Ledger, "append", Ledger.append),
}
"""Points within a step: the first call of something it does many times."""
DEAD = 17


def die(_: object = None) -> None:
    """Be gone without a word, as after a kill."""
    os._exit(DEAD)


def told(step: str, point: str | None) -> None:
    """Say that a step has ended, or die there."""
    if step == point:
        die()
    print(step, flush=True)


def stop_within(point: str) -> None:
    """Let the process be gone right after the first call of what a step does."""
    owner, name, real = WITHIN[point]

    def stopped(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        die()

    setattr(owner, name, stopped)


def main(site: Path, point: str | None) -> None:
    """One purge, as the nightly job would do it."""
    ws: Workspace = open_site(site, "driver")
    if point in WITHIN:
        stop_within(point)
    print("ready", flush=True)
    with ws.alone():
        retention.purge(ws, NOW, after=lambda step: told(step, point))
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
