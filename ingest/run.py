"""Ingest: discover → recognise → read → classify → write → record, one commit at a time."""

import ctypes
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from time import perf_counter

import pyarrow as pa

from errors import BadConfiguration, UnreadableInput
from ingest.archives import unfolded
from ingest.arrival import Aside, Facts, LocalFile, Origin
from ingest.batch import Batch, Counts
from ingest.classify import Classifier
from ingest.discover import Task, release
from ingest.events import Enricher
from ingest.file import FileReport, Progress, Reading, facts_of
from ingest.formats import Format
from ingest.identity import known_identities
from ingest.notes import Note, Notes, note_of
from lake import catalogue
from lake.age import first_day_kept
from lake.days import number_of
from lake.write import sweep
from state.tables import FILE, STREAM
from subjects import Erased
from workspace import Workspace

FUTURE = timedelta(days=1)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Options of mallopt(3)."""


def ingest(
    ws: Workspace, tasks: Sequence[Task], now: datetime, progress: Progress = lambda *_: None
) -> list[FileReport]:
    """Read what is new in each file into the lake; a file that fails does not stop the others.

    The caller holds the site's lock.
    """
    _keep_memory()
    with ws.state.change() as change:
        sweep(change.connection, ws.folder)
        buried = catalogue.buried(change.connection, "events")
        # What a killed run began and took nothing of.
        change.execute(FILE.delete().where(FILE.c.lines == 0))
        change.execute(STREAM.delete().where(STREAM.c.offset == 0))
    oldest = first_day_kept(now, ws.settings.retention.events)
    identities = known_identities(ws, oldest, now)
    enricher = Enricher(
        identities=identities,
        classifier=Classifier(
            ws.sites,
            ws.categories,
            other_hosts=ws.settings.store.other_hosts,
            device_decides=ws.settings.device_category == "decides",
        ),
        oldest_day=number_of(oldest),
        latest_ms=int((now + FUTURE).timestamp() * 1000),
        buried=frozenset(number_of(date.fromisoformat(day)) for day in buried),
        keep_paths=ws.settings.store.paths,
        erased=Erased.of(ws),
    )
    reports = [
        FileReport(f"identity {feed}", feed, error=why) for feed, why in identities.leases.failed
    ]
    with ThreadPoolExecutor(ws.settings.limits.threads) as pool:
        run = _Run(ws, enricher, pool, now, progress, oldest_known(ws))
        run.reports += reports
        try:
            for task in tasks:
                run.take(task)
            run.finish()
        except BaseException:
            run.batch.abandon()
            raise
        finally:
            release(tasks)
    return run.reports


def _keep_memory() -> None:
    """What Arrow frees numpy takes, and the other way round; little goes back in between.

    One allocator for both saves 100 MB. Keeping what blocks leave behind saves a twelfth of the
    CPU: the kernel would clear the same pages for each block again.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc has it, musl has not
        libc.mallopt(M_ARENA_MAX, 1)
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(M_TRIM_THRESHOLD, 256 << 20)


def oldest_known(ws: Workspace) -> Notes:
    """What earlier runs noted of files they read to their end."""
    with ws.state.read() as connection:
        return Notes(connection)


class _Run:
    """Files one after the other; the parsing of the next begins before the last is done."""

    def __init__(
        self,
        ws: Workspace,
        enricher: Enricher,
        pool: ThreadPoolExecutor,
        now: datetime,
        progress: Progress,
        notes: Notes,
    ) -> None:
        self.ws, self.enricher, self.pool, self.now = ws, enricher, pool, now
        self.progress, self.notes = progress, notes
        self.batch = Batch(ws, now)
        self.reports: list[FileReport] = []
        self.waiting: deque[Reading] = deque()
        self.formats: dict[str, Format] = {}  # of each source's last file

    def take(self, task: Task) -> None:
        """Read a file, or each member of an archive; what cannot be read stands in its report."""
        facts = facts_of(task.origin)
        if not task.given and facts and (note := self.notes.unchanged(task.source.name, facts)):
            counts = Counts(lines=note.lines, duplicate=note.lines)
            self.reports.append(
                FileReport(
                    task.origin.name,
                    task.source.name,
                    note.sha256,
                    note.format,
                    counts,
                    note="unchanged since it was read",
                )
            )
            return
        first = len(self.reports)
        readings = []
        for origin in unfolded(task.origin, self.ws.settings.limits.expansion):
            report = FileReport(origin.name, task.source.name)
            self.reports.append(report)
            started = perf_counter()
            reading = Reading(self, task, origin, report)
            try:
                reading.run()
                readings.append(reading)
            except (UnreadableInput, BadConfiguration) as error:
                self._cannot(task, origin, report, error)
            report.seconds = perf_counter() - started
        mine = self.reports[first:]
        if facts and readings and not any(r.error for r in mine) and all(r.whole for r in readings):
            readings[-1].noted = lambda: self._note(task, facts, readings)
            if readings[-1].settled:
                self._keep(readings[-1])

    def _cannot(
        self,
        task: Task,
        origin: Origin,
        report: FileReport,
        error: UnreadableInput | BadConfiguration,
    ) -> None:
        told = str(error)
        report.misconfigured = isinstance(error, BadConfiguration)
        if isinstance(origin, Aside):
            report.note = told
        elif isinstance(origin, LocalFile) and not task.given and not origin.path.exists():
            report.note = f"{origin.name}: was taken away (rotated) before it could be read."
        else:
            report.error = told

    def _note(self, task: Task, facts: Facts, readings: Sequence[Reading]) -> Note | None:
        lines = sum(r.report.counts.lines for r in readings)
        last = readings[-1].report
        streams = [r.kept for r in readings if r.kept]
        return note_of(task.source.name, facts, self.now, streams, lines, last.format, last.sha256)

    def settle(self, keep: int) -> None:
        """Take the results of files read, but for the last few, whose parsing is under way."""
        while len(self.waiting) > keep:
            reading = self.waiting.popleft()
            reading.settle()
            self._keep(reading)
            if self.batch.full:
                self.batch.commit()

    def _keep(self, reading: Reading) -> None:
        if reading.noted is not None and (note := reading.noted()) is not None:
            self.batch.notes.append(note)
            reading.noted = None

    def finish(self) -> None:
        """All results, and the last commit."""
        self.settle(0)
        self.batch.commit()
