"""Purge a site; to be killed at any moment, or to stop dead at a named point.

    python purge_once.py SITE [POINT]

POINT: intent, condemn, unlink, segment, scrub (right after it happened). Says `ready` once the site
is open, and `done` at the end.
"""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import retention
from lake.files import remove
from ledger import Ledger
from state.store import State
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
POINTS: dict[str, tuple[object, str, Callable[..., Any]]] = {
    "intent": (Ledger, "append", Ledger.append),
    # What was condemned is committed when the unlinking begins.
    "condemn": (retention, "_unlink", lambda *_: None),
    "unlink": (retention, "remove", remove),
    "segment": (Ledger, "drop", Ledger.drop),
    "scrub": (State, "scrub", State.scrub),
}
DEAD = 17


def stop_after(point: str) -> None:
    """Let the process be gone without a word right after a step of the purge."""
    owner, name, real = POINTS[point]

    def stopped(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        os._exit(DEAD)

    setattr(owner, name, stopped)


def main(site: Path, point: str | None) -> None:
    """One purge, as the nightly job would do it."""
    ws: Workspace = open_site(site, "driver")
    if point:
        stop_after(point)
    print("ready", flush=True)
    with ws.alone():
        retention.purge(ws, NOW)
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
