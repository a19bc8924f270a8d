"""Ingest: discover → recognise → read → classify → write → record, one commit at a time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, select, update

from errors import BadConfiguration, UnreadableInput
from ingest.buffers import Buffers
from ingest.classify import Classifier
from ingest.discover import Task, written
from ingest.events import DAY_MS, Enriched, Enricher
from ingest.formats import Format, Given, recognise
from ingest.formats.block import Block, Parsed, Reject, masked
from ingest.identity import Identities
from ingest.reading import prepare
from ingest.streams import Known, Piece, Stream, pack, unpack
from lake import catalogue
from lake.age import first_day_kept
from lake.write import sweep
from state.tables import FILE, STREAM
from workspace import Workspace

COMMIT_BYTES = 512 << 20
"""Bytes of log text between two commits: what a killed run has to read again at most."""

COMPLETE_AFTER = timedelta(minutes=1)
"""A plain file not written to for so long is taken to its end, newline or not."""

FUTURE = timedelta(days=1)
Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Worked:
    """What a piece became: rows by day, rejects with the time of the row before them."""

    enriched: Enriched
    rejects: list[tuple[Reject, int | None]]
    ignored: int
    given: Given
    folded: bool | None


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
        }


def ingest(
    ws: Workspace, tasks: Sequence[Task], now: datetime, progress: Progress = lambda *_: None
) -> list[FileReport]:
    """Read what is new in each file into the lake; a file that fails does not stop the others.

    The caller holds the site's lock.
    """
    # One allocator for Arrow and numpy: what one frees the other takes, which saves 100 MB.
    pa.set_memory_pool(pa.system_memory_pool())
    with ws.state.change() as change:
        sweep(change.connection, ws.folder)
        buried = catalogue.buried(change.connection, "events")
        # What a killed run began and took nothing of.
        change.execute(FILE.delete().where(FILE.c.lines == 0))
        change.execute(STREAM.delete().where(STREAM.c.offset == 0))
    oldest = first_day_kept(now, ws.settings.retention.events)
    enricher = Enricher(
        identities=Identities(ws.people),
        classifier=Classifier(ws.sites, ws.categories, other_hosts=ws.settings.store.other_hosts),
        oldest_day=_number(oldest),
        latest_ms=int((now + FUTURE).timestamp() * 1000),
        buried=frozenset(_number(date.fromisoformat(day)) for day in buried),
        keep_paths=ws.settings.store.paths,
    )
    reports = []
    with ThreadPoolExecutor(ws.settings.limits.threads) as pool:
        for task in tasks:
            report = FileReport(str(task.path), task.source.name)
            started = perf_counter()
            try:
                _Reading(ws, task, enricher, pool, report, now, progress).run()
            except (UnreadableInput, BadConfiguration) as error:
                report.error = str(error)
                report.misconfigured = isinstance(error, BadConfiguration)
            report.seconds = perf_counter() - started
            reports.append(report)
    return reports


class _Reading:
    """One file on its way into the lake."""

    def __init__(
        self,
        ws: Workspace,
        task: Task,
        enricher: Enricher,
        pool: ThreadPoolExecutor,
        report: FileReport,
        now: datetime,
        progress: Progress,
    ) -> None:
        self.ws, self.task, self.enricher, self.pool = ws, task, enricher, pool
        self.report, self.now, self.progress = report, now, progress
        self.counts = Counts()  # since the last commit
        self.newest = 0
        self.file = 0
        self.stream = 0
        self.clock = int(now.timestamp() * 1000)
        self.given = Given()
        self.folded = False
        self.line_bytes = ws.settings.limits.line_bytes

    def run(self) -> None:
        """Read, commit every so often, and leave the final digest."""
        limits = self.ws.settings.limits
        stream = Stream(self.task.path, self._complete(), limits.line_bytes, limits.expansion)
        with closing(stream):
            self._run(stream)

    def _run(self, stream: Stream) -> None:
        with self.ws.state.read() as connection:
            known, skipped = stream.recognise(_known(connection, stream.head))
        self.counts.duplicate = skipped
        source = self.task.source
        latest = min(self.clock, int((written(self.task.path) or self.now.timestamp()) * 1000))
        said = Given(b"", source.zone, source.dates, latest, columns=tuple(source.columns))
        recognised = recognise(stream.sample[: 64 << 10], self.task.formats, said)
        format_ = recognised.format or (
            self.task.formats[0] if len({f.name for f in self.task.formats}) == 1 else None
        )
        if format_ is None and stream.sample.strip():
            raise UnreadableInput(
                f"{self.task.path}: not recognised: {recognised.reason}. Name its format under "
                f"`sources` in fairwatch.yaml, or see `fairwatch check-logs`."
            )
        self.report.format = format_.name if format_ else "empty"
        if format_:
            stream.whole = format_.whole
            sample, where = stream.sample[: 64 << 10], str(self.task.path)
            self.given = prepare(format_, said, sample, self._from_the_start, where)
            self._catch_up(stream, format_, known)
        self._begin(stream, known)
        buffers = Buffers(self.ws.folder, f"{self.file:08d}")
        try:
            unreadable = self._read(stream, format_, buffers) if format_ else None
            self._commit(stream, buffers, last=True, whole=unreadable is None)
            if unreadable:
                raise unreadable
        except BaseException:
            buffers.abandon()
            raise

    def _from_the_start(self) -> Iterator[bytes]:
        """The whole file once more, for what only all of it can tell."""
        limits = self.ws.settings.limits
        with closing(Stream(self.task.path, True, limits.line_bytes, limits.expansion)) as again:
            for piece in again.pieces():
                yield piece.data

    def _catch_up(self, stream: Stream, format_: Format, known: Known | None) -> None:
        """Where a stream goes on: the header lines in force there, and whether the hour came twice."""
        if not stream.offset:
            self.given = replace(self.given, lead=b"")
            return
        zone = self.given.zone
        if known is not None and zone is not None:
            with self.ws.state.read() as connection:
                newest = _stored(connection, known.id)
            self.folded = bool(datetime.fromtimestamp(newest / 1000, zone).fold)
        if not self.given.lead:
            return
        lead, read = b"", 0
        for data in self._from_the_start():
            lead = format_.lead(lead, data[: stream.offset - read])
            read += len(data)
            if read >= stream.offset:
                break
        self.given = replace(self.given, lead=lead)

    def _complete(self) -> bool:
        if self.task.given:
            return True
        last = datetime.fromtimestamp(written(self.task.path) or 0, UTC)
        return self.now - last > COMPLETE_AFTER

    def _begin(self, stream: Stream, known: Known | None) -> None:
        """Give the file and its stream their rows; lines point at them by number."""
        # Only a stream matched to its last mark goes on; a shorter copy must not make it forget, and
        # content that differs from some point on is a stream of its own.
        goes_on = known is not None and stream.marks[-1:] == list(known.marks[-1:])
        with self.ws.state.change() as change:
            if known is None or not goes_on:
                made = change.execute(
                    STREAM.insert().values(
                        source=self.task.source.name,
                        head=stream.head,
                        offset=0,
                        marks=b"",
                        newest=0,
                    )
                )
                self.stream = made.inserted_primary_key[0]
            else:
                self.stream = known.id
            made = change.execute(
                FILE.insert().values(
                    stream=self.stream,
                    source=self.task.source.name,
                    path=self.report.path,
                    sha256="",
                    format=self.report.format,
                    first_line=stream.line + 1,
                    newest=0,
                    read=self.now.astimezone(UTC).isoformat(),
                    **asdict(Counts()),
                )
            )
            self.file = made.inserted_primary_key[0]

    def _read(self, stream: Stream, format_: Format, buffers: Buffers) -> UnreadableInput | None:
        """Parse pieces in the pool, at most a few ahead, and take the results in order.

        What was read before a file stops being readable is kept, and the reason returned.
        """
        waiting: list[tuple[Piece, Future[Worked]]] = []
        ahead = self.ws.settings.limits.threads + 1
        since = stream.offset
        pieces = stream.pieces()
        unreadable = None
        while True:
            try:
                piece = next(pieces)
            except StopIteration:
                break
            except UnreadableInput as error:
                unreadable = error
                break
            given = replace(self.given, folded=self.folded)
            waiting.append((piece, self.pool.submit(self._work, piece, format_, given)))
            self.given = replace(given, lead=format_.lead(given.lead, piece.data))
            self.progress(self.report.path, len(piece.data))
            if len(waiting) >= ahead:
                self._take(*waiting.pop(0), format_, buffers)
            if stream.offset - since >= COMMIT_BYTES:
                while waiting:
                    self._take(*waiting.pop(0), format_, buffers)
                self._commit(stream, buffers, last=False)
                since = stream.offset
        while waiting:
            self._take(*waiting.pop(0), format_, buffers)
        return unreadable

    def _work(self, piece: Piece, format_: Format, given: Given) -> Worked:
        block = Block(piece.data)
        long = np.flatnonzero(block.ends - block.starts > self.line_bytes)
        if len(long):
            data, lines = block.without(long)
            parsed = format_.parse(Block(data), given) if data else None
            parsed = _renumbered(parsed, lines) if parsed else None
            rejects = [Reject(int(n), f"longer than {self.line_bytes} bytes") for n in long]
            if parsed is None:
                parsed = format_.parse(Block(b""))
            parsed.rejects += rejects
        else:
            parsed = format_.parse(block, given)
        enriched = self.enricher.days(parsed, self.task.source.name, self.file, piece.first_line)
        # The parsed rows stay behind: with their URLs they are the larger part.
        rejects = sorted([*parsed.rejects, *enriched.rejects], key=lambda r: r.line)
        timed = [*zip(rejects, _times(rejects, parsed), strict=True)]
        return Worked(enriched, timed, parsed.ignored, given, parsed.folded)

    def _take(
        self, piece: Piece, future: Future[Worked], format_: Format, buffers: Buffers
    ) -> None:
        worked = future.result()
        if worked.folded is not None and worked.given.folded != self.folded:
            # The hour that comes twice began anew in a piece that was not yet read then.
            worked = self._work(piece, format_, replace(worked.given, folded=self.folded))
        self.folded = bool(worked.folded)
        enriched, rejects, ignored = worked.enriched, worked.rejects, worked.ignored
        self.counts.rows += enriched.rows
        self.counts.expired += enriched.expired
        self.counts.ignored += ignored
        self.counts.rejected += len(rejects)
        self.newest = max(self.newest, enriched.newest)
        for day, table in enriched.days.items():
            buffers.add(day, table)
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
            buffers.reject(rows)

    def _commit(self, stream: Stream, buffers: Buffers, *, last: bool, whole: bool = True) -> None:
        """Files into their places, then one transaction that makes them part of the lake."""
        final = last and whole
        stream.mark()
        counts = self.counts
        counts.lines = sum(v for k, v in asdict(counts).items() if k != "lines")
        parts = buffers.finish(f"stream {self.stream}")
        digest = stream.digest() if final else ""
        new = self.report.counts.new or counts.new
        with self.ws.state.change() as change:
            catalogue.add(change.connection, parts)
            if new:
                change.execute(
                    update(STREAM)
                    .where(STREAM.c.id == self.stream)
                    .values(
                        offset=stream.offset,
                        marks=pack(stream.marks),
                        newest=max(
                            self.newest or self.clock, _stored(change.connection, self.stream)
                        ),
                    )
                )
            columns = {name: FILE.c[name] + value for name, value in asdict(counts).items()}
            change.execute(
                update(FILE)
                .where(FILE.c.id == self.file)
                .values(**columns, sha256=digest, newest=self.newest or self.clock)
            )
            if final:
                # Lines an interrupted run took stand in this file too, at the same numbers.
                change.execute(
                    update(FILE)
                    .where(FILE.c.stream == self.stream, FILE.c.sha256 == "")
                    .values(sha256=digest)
                )
            if last and not new:
                # Nothing new: the file's row would only say that somebody looked.
                change.execute(FILE.delete().where(FILE.c.id == self.file))
                change.execute(
                    STREAM.delete().where(STREAM.c.id == self.stream, STREAM.c.offset == 0)
                )
            else:
                change.act(
                    "ingest",
                    time=self.now,
                    actor=self.ws.actor,
                    source=self.task.source.name,
                    file=self.file,
                    sha256=digest,
                    final=final,
                    days=sorted({p.day for p in parts if p.dataset == "events"}),
                    **asdict(counts),
                )
        self.report.counts.add(counts)
        self.report.sha256 = digest
        self.counts = Counts()


def _known(connection: Connection, head: str) -> list[Known]:
    query = select(STREAM.c.id, STREAM.c.marks).where(STREAM.c.head == head)
    return [Known(row.id, unpack(row.marks)) for row in connection.execute(query)]


def _stored(connection: Connection, stream: int) -> int:
    found = connection.execute(select(STREAM.c.newest).where(STREAM.c.id == stream)).scalar()
    return int(found or 0)


def _renumbered(parsed: Parsed, lines: "np.ndarray[Any, np.dtype[np.int64]]") -> Parsed:
    """Line numbers of a block some lines were taken out of, as they were before."""
    numbers = pa.array(lines[parsed.rows["line"].to_numpy()])
    rows = parsed.rows.set_column(0, "line", numbers)
    rejects = [Reject(int(lines[r.line]), r.reason) for r in parsed.rejects]
    return Parsed(rows, rejects, parsed.why, parsed.folded)


def _times(rejects: Sequence[Reject], parsed: Parsed) -> list[int | None]:
    """For each reject, by line: the time of the row before it, or of the first one after."""
    if not parsed.rows.num_rows:
        return [None] * len(rejects)
    before = np.searchsorted(parsed.rows["line"].to_numpy(), [r.line for r in rejects]) - 1
    times: list[int | None] = parsed.rows["time"].to_numpy()[np.maximum(before, 0)].tolist()
    return times


def _number(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()
