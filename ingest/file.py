"""One file on its way into the lake: its pieces parsed in a pool, their results taken in order."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
from sqlalchemy import select

from errors import UnreadableInput
from ingest.arrival import Facts, Member, Origin
from ingest.batch import ROWS, Batch, Counts, Entry
from ingest.discover import Task
from ingest.events import DAY_MS, Enriched, Enricher
from ingest.formats import Format, Given, recognise
from ingest.formats.block import Block, Fold, Parsed, Reject, masked
from ingest.formats.times import fold_at
from ingest.marks import Known, Mark
from ingest.notes import Note
from ingest.overlap import Overlap, held, without
from ingest.reading import Pieces, from_the_start, parse, prepare
from ingest.streams import Piece, Stream
from state.tables import STREAM
from workspace import Workspace

COMMIT_BYTES = 512 << 20
"""Bytes of log text between two commits: what a killed run has to read again at most."""

COMPLETE_AFTER = timedelta(minutes=1)
"""A plain file not written to for so long is taken to its end, newline or not."""

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Worked:
    """What a piece became: rows by day, rejects with the time of the row before them."""

    enriched: Enriched
    rejects: list[tuple[Reject, int | None]]
    ignored: int
    given: Given
    fold: Fold | None


@dataclass(frozen=True)
class Place:
    """How far a stream was read, and after how many of its pieces."""

    head: str
    offset: int
    marks: list[Mark]
    pieces: int

    @staticmethod
    def of(stream: Stream, pieces: int = 0) -> "Place":
        """Where a stream stands, marked."""
        stream.mark()
        return Place(stream.head, stream.offset, list(stream.marks), pieces)


@dataclass
class FileReport:
    """What was read of one file."""

    path: str
    source: str
    sha256: str = ""
    format: str = ""
    counts: Counts = field(default_factory=Counts)
    seconds: float = 0.0
    error: str | None = None
    note: str | None = None
    misconfigured: bool = False

    def as_json(self) -> dict[str, Any]:
        """The shape of `ingest --json`."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "format": self.format,
            **asdict(self.counts),
            "seconds": round(self.seconds, 3),
            "source": self.source,
            "error": self.error,
            "note": self.note,
        }


class Run(Protocol):
    """What the files of a run share."""

    ws: Workspace
    enricher: Enricher
    pool: ThreadPoolExecutor
    now: datetime
    progress: Progress
    batch: Batch
    formats: dict[str, Format]  # of each source's last file
    waiting: "deque[Reading]"  # files whose last results are still to be taken

    def settle(self, keep: int) -> None:
        """Take the results of files read, but for the last few, whose parsing is under way."""
        ...


class Reading:
    """One file on its way into the lake."""

    def __init__(self, run: Run, task: Task, origin: Origin, report: FileReport) -> None:
        self.owner, self.task, self.origin, self.report = run, task, origin, report
        self.ws, self.enricher, self.pool, self.now = run.ws, run.enricher, run.pool, run.now
        self.progress, self.batch = run.progress, run.batch
        self.counts = Counts()  # since the last commit
        self.newest = 0
        self.file = 0
        self.stream = 0
        self._new = self._known = 0
        self.kept = 0  # the stream its lines are in
        self.whole = self.settled = False
        self.noted: Callable[[], Note | None] | None = None
        self.clock = int(run.now.timestamp() * 1000)
        self.line_bytes = self.ws.settings.limits.line_bytes
        self.given = Given()
        self.fold: Fold | None = None
        self._waiting: deque[tuple[Piece, Format, Future[Worked]]] = deque()
        self._last: Callable[[], None] = lambda: None

    def run(self) -> None:
        """Read to the end; the last results are taken by `settle`."""
        limits = self.ws.settings.limits
        stream = Stream(self.origin, self._complete(), limits.line_bytes, limits.expansion)
        with closing(stream):
            self._run(stream)

    def _run(self, stream: Stream) -> None:
        said, sample = self._said(), stream.sample[: 64 << 10]
        last = self.owner.formats.get(self.task.source.name)
        recognised = recognise(sample, self.task.formats, said, last)
        format_ = recognised.format or (
            self.task.formats[0] if len({f.name for f in self.task.formats}) == 1 else None
        )
        if format_ is None and stream.sample.strip():
            raise UnreadableInput(
                f"{stream.name}: not recognised: {recognised.reason}. Name its format under "
                f"`sources` in fairwatch.yaml, or see `fairwatch check-logs`."
            )
        self.report.format = format_.name if format_ else "empty"
        streams = self.batch.known(stream.head, self.report.format)
        known, self.counts.duplicate = stream.recognise(streams, compared=True)
        if format_ and recognised.format:
            self.owner.formats[self.task.source.name] = format_
        if format_:
            stream.records = format_.whole
            limits = self.ws.settings.limits

            def pieces() -> Iterator[bytes]:
                sizes = limits.line_bytes, limits.expansion
                return from_the_start(self.origin, stream.sample, *sizes)

            self.given = prepare(format_, said, sample, pieces, stream.name)
            self._catch_up(stream, format_, known, pieces)
        self._begin(stream, known)
        unreadable = self._read(stream, format_) if format_ else None
        self._end(stream, known, whole=unreadable is None)
        if unreadable:
            raise unreadable

    def _said(self) -> Given:
        """What the source's settings and the file's own age say of its lines."""
        source, facts = self.task.source, facts_of(self.origin)
        latest = int(facts.modified * 1000) if facts and facts.modified else self.clock
        columns = tuple(source.columns)
        return Given(b"", source.zone, source.dates, min(latest, self.clock), columns=columns)

    def _catch_up(
        self, stream: Stream, format_: Format, known: Known | None, pieces: Pieces
    ) -> None:
        """Where a stream goes on: the header lines in force there, and whether the hour came twice."""
        lead, self.given = self.given.lead, replace(self.given, lead=b"")
        if not stream.offset:
            return
        self.given = replace(self.given, folded=False)
        zone = self.given.zone
        if known is not None and zone is not None:
            with self.ws.state.read() as connection:
                query = select(STREAM.c.newest).where(STREAM.c.id == known.id)
                newest = connection.execute(query).scalar()
            self.fold = fold_at(newest, zone) if newest else None
        if not lead:
            return
        lead, read = b"", 0
        for data in pieces():
            lead = format_.lead(lead, data[: stream.offset - read])
            read += len(data)
            if read >= stream.offset:
                break
        self.given = replace(self.given, lead=lead)

    def _complete(self) -> bool:
        if self.task.given or isinstance(self.origin, Member):
            return True
        facts = facts_of(self.origin)
        last = datetime.fromtimestamp(facts.modified if facts else 0, UTC)
        return self.now - last > COMPLETE_AFTER

    def _begin(self, stream: Stream, known: Known | None) -> None:
        """Give the file and its stream their numbers; lines point at them."""
        # Only a stream matched to its last mark goes on; a shorter copy must not make it forget, and
        # content that differs from some point on is a stream of its own.
        goes_on = known is not None and stream.marks[-1:] == list(known.marks[-1:])
        self.stream, self.file = self.batch.number(known.id if known and goes_on else None)
        self._start = self._committed = stream.offset
        self._first_line = stream.line + 1
        self._known = known.id if known else 0
        # The marks say that everything so far was alike: what follows is alike from its first row on.
        last = (known.id, 0) if known and not goes_on else None
        self._overlap = Overlap(
            self.ws.folder, self.ws.keys, self.task.source.name, self.stream, last
        )

    def _end(self, stream: Stream, known: Known | None, *, whole: bool) -> None:
        """The file was read; what is left is to take its last results."""
        stream.mark()
        advanced = stream.offset > self._start
        self.whole = whole and stream.whole
        self.kept = self.stream if advanced else known.id if known else 0
        self.report.note = "; ".join(stream.notes) or None
        digest = stream.digest() if whole else ""
        if advanced:
            self.batch.remember(stream.head, self.stream, stream.marks)
        end = Place.of(stream)
        self._last = lambda: self._enter(end, digest, final=whole, advanced=advanced)
        self.owner.waiting.append(self)
        if self.batch.rows + self.counts.rows >= ROWS:
            self.owner.settle(0)
        else:
            self.owner.settle(self.ws.settings.limits.threads + 1)

    def settle(self) -> None:
        """Take what is still being parsed, and hand the file over to the commit."""
        while self._waiting:
            self._take(*self._waiting.popleft())
        self._last()
        self.settled = True
        counts = self.report.counts
        if counts.rejected and not counts.rows + counts.expired + counts.duplicate:
            told = f"no line of it is {self.report.format}: see `fairwatch check-logs`"
            self.report.note = "; ".join(filter(None, (self.report.note, told)))

    def _read(self, stream: Stream, format_: Format) -> UnreadableInput | None:
        """Parse pieces in the pool, at most a few ahead, and take the results in order.

        What was read before a file stops being readable is kept, and the reason returned.
        """
        ahead = self.ws.settings.limits.threads + 1
        pieces = stream.pieces()
        due: Place | None = None
        taken = 0
        while True:
            try:
                piece = next(pieces)
            except StopIteration:
                return None
            except UnreadableInput as error:
                return error
            work = self.pool.submit(self._work, piece, format_, self.given)
            self._waiting.append((piece, format_, work))
            self.given = replace(self.given, lead=format_.lead(self.given.lead, piece.data))
            self.progress(self.report.path, len(piece.data))
            if len(self._waiting) >= ahead:
                # The files before this one come first.
                self.owner.settle(0)
                self._take(*self._waiting.popleft())
                taken += 1
            if due is None and stream.offset - self._committed >= COMMIT_BYTES:
                due = Place.of(stream, taken + len(self._waiting))
                self._committed = stream.offset
            if due is not None and taken == due.pieces:
                # The pieces after these are parsed meanwhile.
                self._enter(due, "", final=False, advanced=True)
                self.batch.commit()
                due = None

    def _work(self, piece: Piece, format_: Format, given: Given) -> Worked:
        parsed = parse(format_, Block(piece.data), given, self.line_bytes)
        enriched = self.enricher.days(parsed, self.task.source.name, self.file, piece.first_line)
        # The parsed rows stay behind: with their URLs they are the larger part.
        rejects = sorted([*parsed.rejects, *enriched.rejects], key=lambda r: r.line)
        timed = [*zip(rejects, _times(rejects, parsed), strict=True)]
        if not rejects and parsed.fold is None:
            piece.data = b""  # nobody asks for it again, and others may have to be waited for
        return Worked(enriched, timed, parsed.ignored, given, parsed.fold)

    def _take(self, piece: Piece, format_: Format, future: Future[Worked]) -> None:
        worked = future.result()
        if worked.fold is not None and worked.fold.after(self.fold):
            # The hour that comes twice began anew in a piece that was not yet read then.
            worked = self._work(piece, format_, replace(worked.given, folded=True))
        self.fold = worked.fold
        worked = self._fresh(piece, worked)
        enriched, rejects, ignored = worked.enriched, worked.rejects, worked.ignored
        self.counts.rows += enriched.rows
        self.counts.expired += enriched.expired
        self.counts.ignored += ignored
        self.counts.rejected += len(rejects)
        self.newest = max(self.newest, enriched.newest)
        self.batch.hold(held(enriched, self.task.source.name, self.stream))
        for day, table in enriched.days.items():
            self.batch.buffers.add(day, table)
        if rejects:
            block = Block(piece.data)
            # A reject is as old as its neighbours: beside lines past their limit it is only counted.
            limit = self.enricher.oldest_day * DAY_MS
            rows = [
                {
                    "time": min(time or self.newest or self.clock, self.clock),
                    "source": self.task.source.name,
                    "file": self.file,
                    "line": piece.first_line + reject.line,
                    "reason": reject.reason,
                    "shape": masked(block.line(reject.line)),
                }
                for reject, time in rejects
                if time is None or time >= limit
            ]
            self.batch.buffers.reject(rows)

    def _fresh(self, piece: Piece, worked: Worked) -> Worked:
        """Without the lines another file has brought already; those are counted as duplicates."""
        enriched, rejects, ignored = worked.enriched, worked.rejects, worked.ignored
        batch = self.batch
        first, end = piece.first_line, piece.first_line + piece.lines - 1
        ranges = self._overlap.ranges(
            enriched, first, end, batch.parts(), batch.held, batch.streams
        )
        if not ranges:
            return worked
        rows = without(enriched, ranges)
        kept = [(r, t) for r, t in rejects if not any(a <= first + r.line <= b for a, b in ranges)]
        lines = sum(high - low + 1 for low, high in ranges)
        # What stands between the rows and is no reject was ignored, there as here.
        # (A list has more rows than lines, a record over several lines fewer.)
        between = max(0, min(ignored, lines - rows - (len(rejects) - len(kept))))
        self.counts.duplicate += rows + len(rejects) - len(kept) + between
        return replace(worked, rejects=kept, ignored=ignored - between)

    def _enter(self, place: "Place", digest: str, *, final: bool, advanced: bool) -> None:
        """Hand what was read since the last commit over to the next one."""
        counts = self.counts
        counts.total()
        self._new += counts.new
        if self._known and not self._new:  # a shorter copy: the lake had all of it
            self.kept = self._known
        elif advanced:
            self.batch.entries.append(
                Entry(
                    source=self.task.source.name,
                    path=self.report.path,
                    format=self.report.format,
                    stream=self.stream,
                    file=self.file,
                    head=place.head,
                    first_line=self._first_line,
                    offset=place.offset,
                    marks=place.marks,
                    newest=self.newest,
                    counts=counts,
                    digest=digest,
                    final=final,
                )
            )
        self.report.counts.add(counts)
        self.report.sha256 = digest
        self.counts = Counts()


def facts_of(origin: Origin) -> Facts | None:
    """What is known of a file before it is read; None where it cannot be asked."""
    try:
        return origin.facts()
    except OSError:
        return None


def _times(rejects: Sequence[Reject], parsed: Parsed) -> list[int | None]:
    """For each reject, by line: the time of the row before it, or of the first one after."""
    if not parsed.rows.num_rows:
        return [None] * len(rejects)
    before = np.searchsorted(parsed.rows["line"].to_numpy(), [r.line for r in rejects]) - 1
    times: list[int | None] = parsed.rows["time"].to_numpy()[np.maximum(before, 0)].tolist()
    return times
