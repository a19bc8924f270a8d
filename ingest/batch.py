"""Commits: rows of one or many files into their places, then one transaction that says so."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update

from ingest.buffers import Buffers
from ingest.marks import Known, Mark, pack, unpack
from ingest.notes import Note, barren, write_notes
from ingest.overlap import Held
from lake import catalogue
from lake.catalogue import Part
from state.store import Change
from state.tables import FILE, STREAM
from subjects import KEPT
from workspace import Workspace

FILES = 500
"""Files of one commit: each costs a row, and their act in the ledger stays some hundred kilobytes."""

ROWS = 200_000
"""Rows of one commit of several files; a larger file makes its own commits."""


@dataclass
class Counts:
    """What became of a file's lines; `lines` is the sum of the five others."""

    lines: int = 0
    rows: int = 0
    ignored: int = 0
    rejected: int = 0
    duplicate: int = 0
    expired: int = 0

    @property
    def new(self) -> int:
        """Lines that were not in the lake before."""
        return self.rows + self.ignored + self.rejected + self.expired

    def add(self, other: "Counts") -> None:
        """Sum up."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)

    def total(self) -> None:
        """Let `lines` be the sum."""
        self.lines = self.new + self.duplicate


@dataclass
class Entry:
    """What one file adds to a commit."""

    source: str
    path: str
    format: str
    stream: int
    file: int
    head: str
    first_line: int
    offset: int
    marks: Sequence[Mark]
    newest: int
    counts: Counts
    digest: str
    final: bool


@dataclass
class Batch:
    """Files read and not yet committed, and what the files after them have to know of them.

    Only the holder of the site's lock makes streams and files, so that their numbers are given out
    here; they are in the database once what they number is.
    """

    ws: Workspace
    now: datetime
    streams: dict[int, int] = field(default_factory=dict)  # file → stream
    held: list[Held] = field(default_factory=list)
    rows: int = 0
    entries: list[Entry] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    _marks: dict[str, dict[int, Sequence[Mark]]] = field(default_factory=dict)
    _parts: list[Part] | None = None
    _buffers: Buffers | None = None

    def __post_init__(self) -> None:
        with self.ws.state.read() as connection:
            self.streams = {
                row.id: row.stream for row in connection.execute(select(FILE.c.id, FILE.c.stream))
            }
            self._barren = barren(connection)
            self._heads: dict[str, list[int]] = {}
            last = 0
            for row in connection.execute(select(STREAM.c.id, STREAM.c.head)):
                self._heads.setdefault(row.head, []).append(row.id)
                last = max(last, row.id)
        self._file = max(self.streams, default=0)
        self._stream = max(last, *self.streams.values()) if self.streams else last
        self._name = f"{self._file + 1:08d}"

    @property
    def full(self) -> bool:
        """Enough for a commit."""
        return len(self.entries) >= FILES or self.rows >= ROWS

    @property
    def buffers(self) -> Buffers:
        """Rows of this run's files; named by the first of them."""
        if self._buffers is None:
            self._buffers = Buffers(self.ws.folder, self._name, self.ws.keys)
        return self._buffers

    def number(self, stream: int | None) -> tuple[int, int]:
        """(stream, file): numbers for a file of a known stream, or of one of its own."""
        if stream is None:
            self._stream += 1
            stream = self._stream
        self._file += 1
        self.streams[self._file] = stream
        return stream, self._file

    def known(self, head: str, format_: str) -> list[Known]:
        """Streams beginning with this line, in the lake or on their way there.

        One whose lines were all rejects of another format is not: the settings were mended since.
        """
        found: dict[int, Sequence[Mark]] = {}
        if head in self._heads:
            query = select(STREAM.c.id, STREAM.c.marks).where(STREAM.c.head == head)
            with self.ws.state.read() as connection:
                found = {row.id: unpack(row.marks) for row in connection.execute(query)}
        found |= self._marks.get(head, {})
        mended = {id_ for id_, formats in self._barren.items() if format_ not in formats}
        return [Known(id_, marks) for id_, marks in found.items() if id_ not in mended]

    def remember(self, head: str, stream: int, marks: Sequence[Mark]) -> None:
        """A stream was read so far; its rows may still be on their way."""
        self._marks.setdefault(head, {})[stream] = list(marks)

    def parts(self) -> list[Part]:
        """The events of the lake as of the last commit, those of restricted people among them.

        A line that is kept apart is in the lake already: it is neither new nor the end of a run.
        """
        if self._parts is None:
            with self.ws.state.read() as connection:
                found = [catalogue.parts(connection, "events", state=s) for s in KEPT]
                self._parts = [part for parts in found for part in parts]
        return self._parts

    def hold(self, tables: Sequence[Held]) -> None:
        """Rows that are to be committed; of the file that fills the commit no more is held.

        The next file is compared only once this one is in the lake; this one still with those before.
        """
        self.rows += sum(one.table.num_rows for one in tables)
        if self.rows < ROWS:
            self.held += tables

    def commit(self) -> None:
        """Files into their places, then one transaction that makes them part of the lake."""
        if not self.entries and not self.notes:
            return
        parts = self.buffers.finish(_made_from(self.entries)) if self.entries else []
        with self.ws.state.change() as change:
            catalogue.add(change.connection, parts)
            for entry in self.entries:
                _write(change, entry, self.now)
            write_notes(change, self.notes, self.now)
            days = sorted({p.day for p in parts if p.dataset == "events"})
            for source in sorted({e.source for e in self.entries}):
                self._tell(change, [e for e in self.entries if e.source == source], days)
        for entry in self.entries:
            self._heads.setdefault(entry.head, []).append(entry.stream)
            if entry.final:
                self._marks.get(entry.head, {}).pop(entry.stream, None)
        self.entries, self.notes, self.held, self.rows, self._parts = [], [], [], 0, None

    def abandon(self) -> None:
        """Drop everything not committed."""
        if self._buffers is not None:
            self._buffers.abandon()

    def _tell(self, change: Change, entries: Sequence[Entry], days: Sequence[str]) -> None:
        """One act for the files of a source: with its digest and counts where it is only one."""
        sums = Counts()
        for entry in entries:
            sums.add(entry.counts)
        facts: dict[str, Any] = {
            "file": entries[0].file,
            "sha256": entries[0].digest,
            "final": entries[0].final,
        }
        if len(entries) > 1:
            facts = {
                "files": [
                    {"file": e.file, "sha256": e.digest, "final": e.final, "lines": e.counts.lines}
                    for e in entries
                ]
            }
        change.act(
            "ingest",
            time=self.now,
            actor=self.ws.actor,
            source=entries[0].source,
            days=days,
            **facts,
            **asdict(sums),
        )


def _made_from(entries: Sequence[Entry]) -> str:
    streams = sorted({e.stream for e in entries})
    return f"stream {streams[0]}" if len(streams) == 1 else f"streams {streams[0]} to {streams[-1]}"


def _write(change: Change, entry: Entry, now: datetime) -> None:
    clock = int(now.timestamp() * 1000)
    found = change.execute(select(STREAM.c.newest).where(STREAM.c.id == entry.stream)).scalar()
    values = {
        "offset": entry.offset,
        "marks": pack(entry.marks),
        "newest": max(entry.newest or clock, found or 0),
    }
    if found is None:
        values |= {"id": entry.stream, "source": entry.source, "head": entry.head}
        change.execute(STREAM.insert().values(**values))
    else:
        change.execute(update(STREAM).where(STREAM.c.id == entry.stream).values(**values))
    counts = asdict(entry.counts)
    columns = {name: FILE.c[name] + value for name, value in counts.items()}
    changed = change.execute(
        update(FILE)
        .where(FILE.c.id == entry.file)
        .values(**columns, sha256=entry.digest, newest=entry.newest or clock)
    )
    if not changed.rowcount:
        change.execute(
            FILE.insert().values(
                id=entry.file,
                stream=entry.stream,
                source=entry.source,
                path=entry.path,
                sha256=entry.digest,
                format=entry.format,
                first_line=entry.first_line,
                newest=entry.newest or clock,
                read=now.astimezone(UTC).isoformat(),
                **counts,
            )
        )
    if entry.final:
        # Lines an interrupted run took stand in this file too, at the same numbers.
        change.execute(
            update(FILE)
            .where(FILE.c.stream == entry.stream, FILE.c.sha256 == "")
            .values(sha256=entry.digest)
        )
