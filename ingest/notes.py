"""Which files were read to their end, so that they need not be opened again while unchanged."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from ingest.arrival import Facts
from state.store import Change
from state.tables import ARRIVAL, FILE, STREAM

SETTLED = 60.0
"""Seconds a file must not have been written to: a change in the same instant would not show."""


@dataclass(frozen=True)
class Note:
    """A file read to its end: what it was known by, and the streams its lines are in."""

    source: str
    place: str
    mark: str
    streams: tuple[int, ...]
    lines: int
    format: str
    sha256: str


def barren(connection: Connection) -> dict[int, set[str]]:
    """Streams of which no line was understood so far, and the formats they were taken for."""
    found: dict[int, set[str]] = {}
    understood, rejected = func.sum(FILE.c.rows + FILE.c.expired), func.sum(FILE.c.rejected)
    some = select(FILE.c.stream).group_by(FILE.c.stream).having((understood == 0) & (rejected > 0))
    query = select(FILE.c.stream, FILE.c.format).where(FILE.c.stream.in_(some)).distinct()
    for stream, format_ in connection.execute(query):
        found.setdefault(stream, set()).add(format_)
    return found


class Notes:
    """What earlier runs noted, as long as the lake still knows the streams."""

    def __init__(self, connection: Connection) -> None:
        # What was read in the wrong format is looked at again: perhaps the settings were mended.
        alive = set(connection.execute(select(STREAM.c.id)).scalars()) - barren(connection).keys()
        self._notes: dict[tuple[str, str], Note] = {}
        for row in connection.execute(select(ARRIVAL)):
            streams = tuple(json.loads(row.streams))
            if alive.issuperset(streams):
                note = Note(
                    row.source, row.place, row.mark, streams, row.lines, row.format, row.sha256
                )
                self._notes[row.source, row.place] = note

    def unchanged(self, source: str, facts: Facts) -> Note | None:
        """The note of a file that is still what it was when it was read."""
        if not facts.mark:
            return None
        note = self._notes.get((source, _digest(facts.place)))
        return note if note is not None and note.mark == _digest(facts.mark) else None


def note_of(
    source: str,
    facts: Facts,
    now: datetime,
    streams: Sequence[int],
    lines: int,
    format_: str,
    sha256: str,
) -> Note | None:
    """What to note of a file read to its end; None while it may still be written to."""
    if not facts.mark or now.timestamp() - facts.modified < SETTLED:
        return None
    place, mark = _digest(facts.place), _digest(facts.mark)
    return Note(source, place, mark, tuple(sorted(set(streams))), lines, format_, sha256)


def write_notes(change: Change, notes: Sequence[Note], now: datetime) -> None:
    """Within the transaction that commits their lines; an older note of the same file goes."""
    for note in notes:
        change.execute(
            ARRIVAL.delete().where(ARRIVAL.c.source == note.source, ARRIVAL.c.place == note.place)
        )
        change.execute(
            ARRIVAL.insert().values(
                source=note.source,
                place=note.place,
                mark=note.mark,
                streams=json.dumps(note.streams),
                lines=note.lines,
                format=note.format,
                sha256=note.sha256,
                read=now.astimezone(UTC).isoformat(),
            )
        )


def _digest(text: str) -> str:
    """Places and sizes hold digits that a look for overdue dates would take for dates."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
