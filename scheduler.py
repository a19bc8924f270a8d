"""JOBS: what runs, when, in which steps; one job now, all jobs by their timetable."""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor as Executor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import func, select, update

from analytics.derive import derive, local_days
from analytics.findings import findings, remember
from analytics.questions import Week, feed_gaps
from errors import FairwatchError, JobFailed, Locked, MailFailed, UnreadableInput
from ingest.run import discover, ingest
from lake import catalogue
from lake.write import instant
from reports import mail
from reports.weekly import index, weekly
from retention import planned, purge, sentence, verify
from state.tables import ALARM, FILE, RUN
from workspace import Workspace, open_site

Clock = Callable[[], datetime]
FINDING_WEEKS = 3
"""Weeks a night judges again: late lines and changed settings reach back so far."""


@dataclass(frozen=True)
class Step:
    """A part of a job that also runs by its own name; `run` returns what it did, in a sentence."""

    name: str
    does: str
    run: Callable[[Workspace, datetime], str]


@dataclass(frozen=True)
class Job:
    """Steps in order, and the settings key of its time."""

    name: str
    does: str
    steps: tuple[Step, ...]
    time: str


def _ingest(ws: Workspace, now: datetime) -> str:
    reports = ingest(ws, discover(ws, None), now)
    failed = [r.error for r in reports if r.error]
    lines, rows = (sum(getattr(r.counts, n) for r in reports) for n in ("lines", "rows"))
    told = f"{len(reports)} files, {lines:,} lines, {rows:,} new rows"
    if failed:
        raise UnreadableInput("\n".join([f"{told}; {len(failed)} not readable:", *failed]))
    return told


def _activity(ws: Workspace, now: datetime) -> str:
    done = derive(ws, now)
    return f"{sum(d.fresh for d in done)} of {len(done)} days were new or changed"


def _findings(ws: Workspace, now: datetime) -> str:
    days = local_days(ws)
    if not days:
        return "no days to judge"
    last = days[-1]
    first = Week.of(last).before(FINDING_WEEKS - 1).first_day
    found = findings(ws, first, last, now)
    weeks = {str(Week.of(first + timedelta(days=i))) for i in range((last - first).days + 1)}
    remember(ws, found, weeks, now)
    return f"{len(found)} matters to look at in {len(weeks)} weeks"


def _purge(ws: Workspace, now: datetime) -> str:
    done = purge(ws, now)
    index(ws)
    return f"{len(done.removed)} items removed; {sentence(done.verification)}"


def _verify(ws: Workspace, now: datetime) -> str:
    verification = verify(ws, now)
    if not verification.clean:
        raise JobFailed(sentence(verification))
    return sentence(verification)


def _weekly(ws: Workspace, now: datetime) -> str:
    week = Week.of(now.astimezone(ws.settings.zone).date()).before(1)
    derive(ws, now)
    written = weekly(ws, week, now)
    if ws.settings.mail is None:
        return f"{len(written)} pages for {week}; no mail is configured"
    return f"{len(written)} pages for {week}; {mail.send(ws, written, now)} mailed"


INGEST = Step("ingest", "read what is new in the configured sources", _ingest)
ACTIVITY = Step("activity", "derive intervals, daily sums and feed rhythm", _activity)
FINDINGS = Step("findings", "judge the last weeks by the policy", _findings)
PURGE = Step("purge", "remove what is past its limit", _purge)
VERIFY = Step("verify", "look into every file for what is overdue", _verify)
REPORTS = Step("reports", "write (and mail) last week's pages for managers", _weekly)

JOBS: dict[str, Job] = {
    job.name: job
    for job in (
        Job(
            "nightly",
            "ingest → activity → findings → purge → verify",
            (INGEST, ACTIVITY, FINDINGS, PURGE, VERIFY),
            "nightly",
        ),
        Job(
            "weekly",
            "last week's pages for managers, mailed where mail is set up",
            (REPORTS,),
            "weekly",
        ),
    )
}
STEPS: dict[str, Step] = {step.name: step for job in JOBS.values() for step in job.steps}


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
    Raises JobFailed after the last step; IT is mailed once per failure until it is mended.
    """
    steps = JOBS[name].steps if name in JOBS else (STEPS[name],)
    done: list[Done] = []
    with ws.alone():
        _take_up(ws, clock())
        ws.note_settings(clock())
        for step in steps:
            result = _run_step(ws, name, step, clock)
            done.append(result)
            told(result)
    failed = [d for d in done if d.outcome != "done"]
    if failed:
        raise JobFailed("\n".join(f"{name}: {d.step} failed: {d.message}" for d in failed))
    return done


def _run_step(ws: Workspace, job: str, step: Step, clock: Clock) -> Done:
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
    except Exception as error:
        _finish(ws, id_, Done(step.name, "failed", f"a bug: {type(error).__name__}"), clock())
        _alarm(ws, step.name, f"{type(error).__name__}: see logs/fairwatch.log", clock())
        raise
    _finish(ws, id_, result, clock())
    if result.outcome == "done":
        with ws.state.change() as change:
            change.execute(ALARM.delete().where(ALARM.c.key == step.name))
    else:
        _alarm(ws, step.name, result.message, clock())
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


def _alarm(ws: Workspace, key: str, message: str, now: datetime) -> None:
    """Mail IT the first time a step fails; the same failure is silent until the step succeeds."""
    with ws.state.read() as connection:
        raised = connection.execute(select(ALARM.c.key).where(ALARM.c.key == key)).scalar()
    if raised:
        return
    if ws.settings.mail is not None:
        subject = f"Fairwatch: {key} failed at {ws.settings.organisation.name}"
        try:
            mail.alarm(ws.settings.mail, subject, message, now, ws.folder)
        except MailFailed:
            return  # not raised, so that the next night tries again; `status` shows the failure
    with ws.state.change() as change:
        change.execute(ALARM.insert().values(key=key, raised=_stamp(now), message=message))


def fire(site: str, job: str, actor: str) -> None:
    """What the timetable calls: open the site afresh, so that changed settings hold."""
    # The failure is in the run table, in `status` and in IT's mail; the timetable goes on.
    with suppress(JobFailed, Locked):
        run_one(open_site(Path(site), actor), job, lambda: datetime.now(UTC))


def timetable(ws: Workspace) -> dict[str, CronTrigger]:
    """When each job runs, in the organisation's zone."""
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
    with _one_runner(ws.folder):
        scheduler = BlockingScheduler(
            jobstores={"default": SQLAlchemyJobStore(url=ws.state.url)},
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
    store = SQLAlchemyJobStore(url=ws.state.url)
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


@dataclass(frozen=True)
class LastRun:
    """The newest run of a step."""

    step: str
    started: str
    finished: str | None
    outcome: str
    message: str


@dataclass(frozen=True)
class SourceState:
    """A source's newest line and its gaps in the last seven days it wrote."""

    source: str
    files: int
    rows: int
    rejected: int
    newest: str | None
    gaps: list[str]


@dataclass(frozen=True)
class Status:
    """What IT looks at in the morning."""

    runs: list[LastRun]
    sources: list[SourceState]
    alarms: list[str]
    overdue: list[str]
    first_event: str | None
    last_event: str | None


def status(ws: Workspace, now: datetime) -> Status:
    """Last runs, sources with their gaps, alarms that stand."""
    with ws.state.read() as connection:
        newest = select(func.max(RUN.c.id)).group_by(RUN.c.step)
        runs = connection.execute(select(RUN).where(RUN.c.id.in_(newest)).order_by(RUN.c.id)).all()
        files = connection.execute(
            select(
                FILE.c.source,
                func.count(),
                func.sum(FILE.c.rows),
                func.sum(FILE.c.rejected),
                func.max(FILE.c.newest),
            )
            .group_by(FILE.c.source)
            .order_by(FILE.c.source)
        ).all()
        alarms = connection.execute(select(ALARM).order_by(ALARM.c.key)).all()
        span = catalogue.span(connection, "events")
    gaps = _recent_gaps(ws, now, span)
    return Status(
        runs=[LastRun(r.step, r.started, r.finished, r.outcome, r.message) for r in runs],
        sources=[
            SourceState(name, count, rows, rejected, _iso(last), gaps.get(name, []))
            for name, count, rows, rejected, last in files
        ],
        alarms=[f"{a.key}: {a.message}" for a in alarms],
        overdue=[f"{d.item.store} {d.item.name}: {d.reason}" for d in planned(ws, now) if d.remove],
        first_event=_iso(span[0]) if span else None,
        last_event=_iso(span[1]) if span else None,
    )


def _recent_gaps(ws: Workspace, now: datetime, span: Sequence[int] | None) -> dict[str, list[str]]:
    if span is None:
        return {}
    last = now.astimezone(ws.settings.zone).date()
    gaps: dict[str, list[str]] = {}
    for gap in feed_gaps(ws, last - timedelta(days=7), last, now):
        text = f"{gap.start.astimezone(ws.settings.zone):%Y-%m-%d %H:%M} to "
        text += f"{gap.end.astimezone(ws.settings.zone):%Y-%m-%d %H:%M}"
        gaps.setdefault(gap.source, []).append(text)
    return gaps


def _iso(milliseconds: int | None) -> str | None:
    return instant(milliseconds).isoformat() if milliseconds else None


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
