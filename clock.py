"""Whether the machine's clock can be believed, by all that is known to have happened here."""

from datetime import datetime, timedelta

from errors import UnsafeDeletion
from lake import catalogue
from lake.write import instant
from workspace import Workspace

CLOCK_AHEAD = timedelta(days=45)
"""A clock further than this beyond all that is known to have happened is not believed."""

CLOCK_BEHIND = timedelta(days=1)


def believe_clock(ws: Workspace, now: datetime, *, confirmed: bool = False) -> None:
    """Refuse a clock that does not fit what is known to have happened. Raises UnsafeDeletion.

    A purge by a wrong clock deletes what is not due or spares what is; an ingest by one takes good
    lines for expired or for the future.
    """
    last = refuse_the_past(ws, now)
    if last is None or confirmed:
        return
    if now - last > CLOCK_AHEAD:
        raise UnsafeDeletion(
            f"The clock says {now:%Y-%m-%d}, but nothing is known to have happened here after "
            f"{last:%Y-%m-%d}. If the clock is right, say so once: fairwatch retention purge "
            f"--confirm."
        )


def refuse_the_past(ws: Workspace, now: datetime) -> datetime | None:
    """Refuse a clock behind what is known (nobody can confirm that); the latest known instant."""
    last = _last_known(ws)
    if last is not None and last - now > CLOCK_BEHIND:
        raise UnsafeDeletion(
            f"The clock says {now:%Y-%m-%d}, but the ledger or the lake already holds "
            f"{last:%Y-%m-%d}: overdue data would be called young. Set the clock."
        )
    return last


def _last_known(ws: Workspace) -> datetime | None:
    """The latest instant something is believed to have happened at: events, and acts in a row.

    The first act is believed, for it is often about a log much older. An act far beyond all before
    it does not count until a purge was confirmed: the runs of a wrong clock write acts too, the one
    under way among them.
    """
    with ws.state.read() as connection:
        span = catalogue.span(connection, "events")
    last: datetime | None = None
    for line in ws.ledger.lines():
        time = datetime.fromisoformat(line.act["time"])
        if last is None:
            last = max(time, instant(span[1])) if span else time
        elif time - last <= CLOCK_AHEAD or line.act["act"] == "purge done":
            last = max(last, time)
    return last
