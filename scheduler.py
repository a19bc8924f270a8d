"""The timetable: one job now, all jobs when they are due, taken up again after a kill."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from clock import believe_clock
from errors import FairwatchError, JobFailed, Locked, MailFailed
from jobs import JOBS, STEPS, Step
from reports import mail
from state.tables import ALARM, RUN
from workspace import Workspace, open_site

if TYPE_CHECKING:
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
    from apscheduler.schedulers.blocking import BlockingScheduler
    from apscheduler.triggers.cron import CronTrigger

# APScheduler is imported where it is used: only the timetable needs it, and every command waits for it.
LOG = logging.getLogger("fairwatch")
Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Done:
    """What became of a step."""

    step: str
    outcome: str
    message: str


def run_one(
    ws: Workspace, name: str, clock: Clock, told: Callable[[Done], None] = lambda _: None
) -> list[Done]:
    """Run a job, or one step by its own name, alone on the site.

    A step that fails does not stop the others: a night without a readable log still purges.
    Raises JobFailed after the last step, or what was a bug; IT is mailed once per failure until it
    is mended. Raises UnsafeDeletion before the first step where the clock cannot be right: no act
    may carry such a time.
    """
    steps = JOBS[name].steps if name in JOBS else (STEPS[name],)
    done: list[Done] = []
    bugs: list[Exception] = []
    with ws.alone():
        believe_clock(ws, clock())
        _take_up(ws, clock())
        if name in JOBS:  # it begins: an alarm that it could not is over
            settled(ws, name)
        ws.note_settings(clock())
        for step in steps:
            try:
                result = _run_step(ws, name, step, clock, bugs)
            except (OSError, SQLAlchemyError) as error:
                # A full disk, most of all: the other steps are still tried, a purge makes room.
                result = Done(step.name, "failed", f"its run cannot be written down: {_why(error)}")
                alarm(ws, step.name, result.message, clock())
            done.append(result)
            told(result)
    if bugs:
        raise bugs[0] if len(bugs) == 1 else ExceptionGroup(f"{name}: bugs", bugs)
    failed = [d for d in done if d.outcome != "done"]
    if failed:
        raise JobFailed("\n".join(f"{name}: {d.step} failed: {d.message}" for d in failed))
    return done


def _run_step(ws: Workspace, job: str, step: Step, clock: Clock, bugs: list[Exception]) -> Done:
    with ws.state.change() as change:
        made = change.execute(
            RUN.insert().values(
                job=job, step=step.name, started=_stamp(clock()), outcome="running", message=""
            )
        )
        id_ = made.inserted_primary_key[0]
    try:
        result = Done(step.name, "done", step.run(ws, clock()))
    except FairwatchError as error:
        result = Done(step.name, "failed", str(error))
    except Exception as error:  # noqa: BLE001 (raised after the last step: the night still purges)
        bugs.append(error)
        told = (
            f"a bug: {type(error).__name__}; the trace is in logs/fairwatch-{clock():%Y-%m-%d}.log"
        )
        result = Done(step.name, "failed", told)
    _finish(ws, id_, result, clock())
    if result.outcome == "done":
        settled(ws, step.name)
    else:
        alarm(ws, step.name, result.message, clock())
    return result


def _finish(ws: Workspace, id_: int, result: Done, now: datetime) -> None:
    with ws.state.change() as change:
        change.execute(
            update(RUN)
            .where(RUN.c.id == id_)
            .values(finished=_stamp(now), outcome=result.outcome, message=result.message)
        )
        change.act("run", time=now, actor=ws.actor, step=result.step, outcome=result.outcome)


def _take_up(ws: Workspace, now: datetime) -> None:
    """Runs that never ended were killed; what they began is begun again by the run under way."""
    with ws.state.change() as change:
        change.execute(
            update(RUN)
            .where(RUN.c.outcome == "running")
            .values(outcome="taken up again", finished=_stamp(now), message="was interrupted")
        )


OFFICERS = ("purge", "verify", "holds", "rights")
"""Steps whose failure the data protection officer hears of as well."""
ANEW = ("holds",)
"""Steps whose alarm is mailed again when it says something else: another hold nobody reviewed."""


def alarm(ws: Workspace, key: str, message: str, now: datetime) -> None:
    """Mail IT the first time a step fails; the same failure is silent until the step succeeds.

    What was not deleted in time is the data protection officer's matter, too.
    """
    with ws.state.read() as connection:
        raised = connection.execute(select(ALARM.c.message).where(ALARM.c.key == key)).scalar()
    if raised is not None and (key not in ANEW or raised == message):
        return
    if ws.settings.mail is not None:
        subject = f"Fairwatch: {key} failed at {ws.settings.organisation.name}"
        try:
            mail.alarm(ws.settings.mail, subject, message, now, ws.folder)
            if key in OFFICERS and ws.settings.dpo is not None:
                mail.tell_officer(ws, subject, message, {}, now)
        except MailFailed:
            return  # not raised, so that the next night tries again; `status` shows the failure
    with suppress(OSError, SQLAlchemyError), ws.state.change() as change:
        change.execute(ALARM.delete().where(ALARM.c.key == key))
        change.execute(ALARM.insert().values(key=key, raised=_stamp(now), message=message))


def _why(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def settled(ws: Workspace, key: str) -> None:
    """What was alarmed about is mended."""
    with ws.state.change() as change:
        change.execute(ALARM.delete().where(ALARM.c.key == key))


def fire(site: str, job: str, actor: str) -> None:
    """What the timetable calls: open the site afresh, so that changed settings hold.

    Nothing is raised, the timetable goes on: a failure is in the run table, in `status` and in
    IT's mail, or, where the site cannot even be opened, in logs/.
    """
    folder = Path(site)
    try:
        ws = open_site(folder, actor, os.environ)
        try:
            run_one(ws, job, _now)
        except Locked as error:
            _not_run(ws, job, str(error), _now())
    except JobFailed:
        return
    except FairwatchError as error:
        _complain(folder, f"{job} was not run: {error}")
    except Exception:  # noqa: BLE001 (a bug must not end the timetable)
        _complain(folder, f"{job} met a bug", wordless(traceback.format_exc()))


def _not_run(ws: Workspace, job: str, why: str, now: datetime) -> None:
    """A job that did not even begin has failed as well, under the job's own name."""
    with ws.state.change() as change:
        made = change.execute(
            RUN.insert().values(
                job=job, step=job, started=_stamp(now), outcome="failed", message=why
            )
        )
    _finish(ws, made.inserted_primary_key[0], Done(job, "failed", why), now)
    alarm(ws, job, why, now)


def _complain(folder: Path, told: str, trace: str = "") -> None:
    with suppress(OSError):
        keep_trace(folder / "logs", f"{told}\n{trace}", _now())
    LOG.error("%s", told)


def wordless(trace: str) -> str:
    """A trace whose exceptions keep their types and the shape of what they say.

    What they say may be a line of a log: a host, a user. Where it happened is what mends a bug.
    """
    kept, deep = [], 1 << 20
    for line in trace.splitlines():
        indent = len(line) - len(line.lstrip(" |"))
        # Our own source stands right below its frame, further in.
        ours = FRAME.match(line) or PLAIN.match(line) or indent > deep
        kept.append(line if ours else _shape(line))
        deep = indent if FRAME.match(line) else 1 << 20
    return "\n".join(kept)


FRAME = re.compile(r'^[\s|]*File "[^"]*", line \d+, in \S+$')
PLAIN = re.compile(r"^[\s|+^~=\-\d]*$|^[\s|+]*(?:Exception Group )?Traceback \(most recent call last\):$|^(?:During handling of|The above exception was)[ a-z,]*:$")  # fmt: skip
TYPE = re.compile(r"^([\s|]*[A-Za-z_][\w.]*: )?(.*)$")


def _shape(line: str) -> str:
    """Letters as a, digits as 9, behind the exception's type."""
    found = TYPE.match(line)
    kind, said = (found[1] or "", found[2]) if found else ("", line)
    if not kind and re.fullmatch(r"[\s|]*[A-Za-z_][\w.]*", line) and line.endswith(("Error", "Exception", "Interrupt")):  # fmt: skip
        return line
    return kind + re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", said))


def keep_trace(folder: Path, trace: str, now: datetime) -> Path:
    """Add an unexpected failure to the day's log; one file a day, so that each can grow old."""
    folder.mkdir(exist_ok=True)
    path = folder / f"fairwatch-{now:%Y-%m-%d}.log"
    with path.open("a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"{now.isoformat()} unexpected failure\n{trace}\n")
    return path


def _now() -> datetime:
    return datetime.now(UTC)


def timetable(ws: Workspace) -> dict[str, CronTrigger]:
    """When each job runs, in the organisation's zone."""
    from apscheduler.triggers.cron import CronTrigger

    zone = ws.settings.zone
    triggers = {}
    for job in JOBS.values():
        day, _, clock = getattr(ws.settings.schedule, job.time).rpartition(" ")
        hour, minute = clock.split(":")
        triggers[job.name] = CronTrigger(
            day_of_week=day or "*", hour=int(hour), minute=int(minute), timezone=zone
        )
    return triggers


def serve(ws: Workspace, clock: Clock) -> None:
    """Run all jobs by their timetable until stopped.

    The timetable is stored with the state: runs missed while the machine was down happen once at
    start. A job that was killed while running is run again. Raises Locked where another runner
    serves the same site.
    """
    from apscheduler.executors.pool import ThreadPoolExecutor as Executor
    from apscheduler.schedulers.blocking import BlockingScheduler

    with _one_runner(ws.folder):
        scheduler = BlockingScheduler(
            jobstores={"default": _store(ws)},
            executors={"default": Executor(1)},
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
            timezone=ws.settings.zone,
        )
        for name, trigger in timetable(ws).items():
            _arrange(scheduler, ws, name, trigger)
        for name in interrupted(ws):
            scheduler.add_job(fire, args=[str(ws.folder), name, ws.actor], id=f"{name} again",
                              replace_existing=True, next_run_time=clock())  # fmt: skip
        scheduler.start()


def _arrange(scheduler: BlockingScheduler, ws: Workspace, name: str, trigger: CronTrigger) -> None:
    """Add a job, keeping the stored next run where its timetable has not changed.

    Replacing it unseen would forget that a run was missed.
    """
    store = _store(ws)
    store.start(scheduler, "default")
    known = store.lookup_job(name)
    keep: dict[str, Any] = {}
    if known is not None and str(known.trigger) == str(trigger):
        keep = {"next_run_time": known.next_run_time}
    scheduler.add_job(
        fire,
        trigger,
        args=[str(ws.folder), name, ws.actor],
        id=name,
        replace_existing=True,
        **keep,
    )


def _store(ws: Workspace) -> SQLAlchemyJobStore:
    """The timetable in the state database, without a connection that stays open.

    SQLite's locks are the process's, and closing any handle of the file drops them all: while
    `verify` looks into the database file, no connection may rely on them.
    """
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore

    return SQLAlchemyJobStore(url=ws.state.url, engine_options={"poolclass": NullPool})


@contextmanager
def _one_runner(folder: Path) -> Iterator[None]:
    with (folder / "scheduler.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(f"{folder}: another `fairwatch schedule` serves this site.") from None
        yield


def interrupted(ws: Workspace) -> list[str]:
    """Jobs whose last run was killed half-way."""
    with ws.state.read() as connection:
        rows = connection.execute(select(RUN.c.job).where(RUN.c.outcome == "running").distinct())
        return sorted(set(rows.scalars()) & JOBS.keys())


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
