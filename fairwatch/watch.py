"""`fairwatch watch`: logs read as they grow, until stopped.

A look at the file list every so often, and no inotify: it says nothing about network folders, SFTP or
S3, forgets what happened while nobody listened, and a look at some thousand files takes a second.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from clock import believe_clock
from errors import FairwatchError, Locked
from ingest.arrival import Facts
from ingest.discover import Task, discover, release
from ingest.file import FileReport
from ingest.run import ingest
from workspace import Workspace

ENOUGH = 4 << 20
"""Bytes a file must have grown by to be read at once."""

PATIENCE = timedelta(minutes=15)
"""How long less than that may wait: each reading makes a part of the lake, merged at night."""


class Stopped(Exception):
    """Raised inside a reading when it is to end: what was not committed is read the next time."""


@dataclass
class Watch:
    """What was read when, so that a file is read when it is worth a commit."""

    opened: Callable[[], Workspace]
    now: Callable[[], datetime]
    told: Callable[[str], None]
    stop: Event
    _seen: dict[tuple[str, str], tuple[Facts, datetime]] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)

    def run(self, every: float) -> None:
        """Look, read what is due, wait, until `stop` is set; raises what the first look does."""
        first = True
        while not self.stop.is_set():
            try:
                self.turn()
            except Stopped:
                break
            except Locked:
                self._once("another run is at work here; it is left to it")
            except FairwatchError as error:
                if first:
                    raise
                self._once(str(error))
            first = False
            self.stop.wait(every)

    def turn(self) -> list[FileReport]:
        """One look: the reports of the files that were due."""
        ws = self.opened()
        tasks = discover(ws, None)
        due = [task for task in tasks if self._due(task)]
        release([task for task in tasks if task not in due])
        if not due:
            release(due)
            return []
        before = {task.origin.name: _facts(task) or Facts(0, 0.0) for task in due}
        with ws.alone():
            now = self.now()
            believe_clock(ws, now)
            ws.note_settings(now)
            reports = ingest(ws, due, now, self._progress)
        for task in due:
            self._seen[task.source.name, task.origin.name] = (before[task.origin.name], now)
        self._tell(reports)
        return reports

    def _due(self, task: Task) -> bool:
        facts = _facts(task)
        known = self._seen.get((task.source.name, task.origin.name))
        if facts is None or known is None:
            return known is None
        before, when = known
        if facts.place != before.place or facts.size < before.size:
            return True
        # Also without a change: a last line without its newline is taken when nothing follows.
        waited = self.now() - when >= PATIENCE
        return waited or facts.size - before.size >= ENOUGH

    def _progress(self, *_: object) -> None:
        if self.stop.is_set():
            raise Stopped

    def _tell(self, reports: Sequence[FileReport]) -> None:
        rows = sum(r.counts.rows for r in reports)
        if rows:
            files = sum(1 for r in reports if r.counts.rows)
            self.told(f"{self.now():%H:%M:%S} {rows:,} new rows of {files} files")
        for report in reports:
            if report.error:
                self._once(report.error)

    def _once(self, text: str) -> None:
        """The same trouble is told once, not every minute."""
        if text not in self._said:
            self._said = {*list(self._said)[-999:], text}
            self.told(text)


def _facts(task: Task) -> Facts | None:
    try:
        return task.origin.facts()
    except OSError:
        return None


@contextmanager
def until_told(stop: Event) -> Iterator[None]:
    """SIGTERM and SIGINT end the watch between two commits."""
    former = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
