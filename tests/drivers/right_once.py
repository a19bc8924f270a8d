"""One deed on ann's days, or the release of her hold; to be killed at any moment, or to stop dead at a point.

    python right_once.py SITE erase|restrict|lift|release|resume [POINT]

POINT: a step of deeds.STEPS (right after it ended), or NAME:N, right after the Nth call of something a
deed does many times (WITHIN). Says `ready` once the site is open, each step, and `done` at the end.
"""

import os
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import fairwatch  # noqa: F401 (first, as in the program: Arrow is kept from importing pandas)
import holds
from holds import standing
from lake import catalogue, write
from lake.ring import Ring
from lake.write import PartWriter
from ledger import Ledger
from rights import deeds
from state.store import Change, State
from subjects import Span
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
PERIOD = (date(2026, 11, 3), date(2026, 11, 5))
DEAD = 17
WITHIN: dict[str, tuple[Any, str]] = {
    "write": (PartWriter, "write"),
    "move": (PartWriter, "move"),
    "seal": (Ring, "add"),
    "add": (catalogue, "add"),
    "forget": (catalogue, "forget"),
    "commit": (State, "flush"),
    "row": (Change, "execute"),
    "act": (Ledger, "append"),
    "destroy": (Ring, "destroy"),
    "scrub": (State, "scrub"),
    "sweep": (write, "sweep"),
    "remove": (standing, "remove"),
}


def die() -> None:
    """Be gone without a word, as after a kill."""
    os._exit(DEAD)


def stop_within(point: str) -> None:
    """Let the process be gone right after the Nth call of what a step does."""
    name, _, number = point.partition(":")
    owner, method = WITHIN[name]
    real: Callable[..., Any] = getattr(owner, method)
    left = [int(number)]

    def stopped(*args: Any, **kwargs: Any) -> Any:
        answer = real(*args, **kwargs)
        left[0] -= 1
        if not left[0]:
            die()
        return answer

    setattr(owner, method, stopped)


def told(step: str, point: str | None) -> None:
    """Say that a step has ended, or die there."""
    if step == point:
        die()
    print(step, flush=True)


def act(ws: Workspace, what: str, point: str | None) -> None:
    """The deed, as a command or the night would do it."""
    span = Span.of(ws, "ann", *PERIOD)
    if what == "release":
        holds.release(ws, "H-2026-0001", "Hana Hill", "settled", NOW)
    elif what == "resume":
        deeds.resume(ws, NOW)
    elif what == "lift":
        deeds.lift(ws, "R-2026-0001", "Dora Dale", "agreed", NOW)
    else:
        deed = deeds.erase if what == "erase" else deeds.restrict
        deed(ws, span, "REQ 1", "Dora Dale", NOW, lambda step: told(step, point))


def main(site: Path, what: str, point: str | None) -> None:
    """Once, under the site's lock."""
    ws = open_site(site, "driver")
    if point and ":" in point:
        stop_within(point)
    print("ready", flush=True)
    with ws.alone():
        act(ws, what, point)
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
