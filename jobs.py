"""JOBS and their steps: what a night and a week consist of, as one table."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from analytics.derive import derive, local_days
from analytics.questions import Week
from analytics.record import judge
from clock import believe_clock
from errors import Damaged, JobFailed, NoKey, UnreadableInput
from holds import holds, missing, refuse_unreviewed, settle, top_up
from ingest.discover import discover
from ingest.merge import merge
from ingest.run import ingest
from reports import checkpoints, mail
from reports.bundle import purge_certified, right_certified
from reports.reviews import open_matters
from reports.weekly import index, weekly
from retention import sentence, verify
from rights.deeds import resume
from workspace import Workspace

FINDING_WEEKS = 3
"""Weeks a night judges again; late lines reach back so far. Weeks never judged are judged as well."""


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
    believe_clock(ws, now)
    tasks = discover(ws, None)
    silent = {s.name for s in ws.settings.sources} - {t.source.name for t in tasks}
    reports = ingest(ws, tasks, now)
    merge(ws, now)
    failed = [r.error for r in reports if r.error]
    lines, rows = (sum(getattr(r.counts, n) for r in reports) for n in ("lines", "rows"))
    told = f"{len(reports)} files, {lines:,} lines, {rows:,} new rows"
    if silent:
        told += f"; no file matches the paths of {', '.join(sorted(silent))}"
    if failed:
        raise UnreadableInput("\n".join([f"{told}; {len(failed)} not readable:", *failed]))
    return told


def _activity(ws: Workspace, now: datetime) -> str:
    done = derive(ws, now)
    return f"{sum(d.fresh for d in done)} of {len(done)} days were new or changed"


def _findings(ws: Workspace, now: datetime) -> str:
    weeks, found = judge(ws, local_days(ws), FINDING_WEEKS, now)
    waiting = len(open_matters(ws, found))
    closed = f"; {len(found) - waiting} dismissed before" if waiting < len(found) else ""
    return f"{waiting} matters to look at in {len(weeks)} weeks{closed}"


def _rights(ws: Workspace, now: datetime) -> str:
    """Certified like one that was never cut short."""
    ended, stuck = resume(ws, now)
    for one in ended:
        if one.state == "done":
            right_certified(ws, one, now).refuse_undelivered()
    told = ", ".join(f"{r.id} ({r.deed}, {r.state})" for r in ended)
    if stuck:
        raise JobFailed("\n".join([*([f"gone on with: {told}"] if told else []), *map(str, stuck)]))
    return f"gone on with: {told}" if told else "no request was cut short, nothing came late"


def _holds(ws: Workspace, now: datetime) -> str:
    settle(ws, now)
    failed = top_up(ws, now)
    if failed:
        raise NoKey("\n".join(f"{path}: {why}" for path, why in failed.items()))
    if lost := missing(ws):
        raise Damaged(
            f"Copies under a legal hold are gone from the disk: {', '.join(lost)}. Put them back from a backup."
        )
    refuse_unreviewed(ws, now)
    standing = holds(ws, in_force=True)
    return f"{len(standing)} legal holds in force, all copied and reviewed in time"


def _purge(ws: Workspace, now: datetime) -> str:
    done, issued = purge_certified(ws, now)
    index(ws)
    issued.refuse_undelivered()
    told = f"{len(done.removed)} items removed; {sentence(done.verification)}"
    return f"{told} Certificate {issued.certificate.id}"


def _verify(ws: Workspace, now: datetime) -> str:
    verification = verify(ws, now)
    if not verification.clean:
        raise JobFailed(sentence(verification))
    return sentence(verification)


def _checkpoint(ws: Workspace, now: datetime) -> str:
    made = checkpoints.make(ws, now)
    if ws.settings.dpo is not None and ws.settings.dpo.mail == "all":
        made = checkpoints.mailed(ws, made, now)
    checkpoints.refuse_unpublished(made)
    told = f"{made.checkpoint.size} acts signed; {', '.join(made.published) or 'kept here alone'}"
    return told if made.stamped else f"{told}; no time stamp"


def _weekly(ws: Workspace, now: datetime) -> str:
    week = Week.of(now.astimezone(ws.settings.zone).date()).before(1)
    derive(ws, now)
    written = weekly(ws, week, now)
    if ws.settings.mail is None:
        return f"{len(written)} pages for {week}; no mail is configured"
    return f"{len(written)} pages for {week}; {mail.send(ws, written, now)} mailed"


INGEST = Step("ingest", "read what is new in the configured sources", _ingest)
RIGHTS = Step("rights", "go on with erasures and restrictions; keep apart what came late", _rights)
ACTIVITY = Step("activity", "derive intervals, daily sums and feed rhythm", _activity)
FINDINGS = Step("findings", "judge the last weeks by the policy", _findings)
HOLDS = Step("holds", "copy what is new under legal holds; name those nobody reviewed", _holds)
PURGE = Step("purge", "remove what is past its limit, and certify it", _purge)
VERIFY = Step("verify", "look into every file for what is overdue", _verify)
CHECKPOINT = Step("checkpoint", "sign the ledger and hand that outside", _checkpoint)
REPORTS = Step("reports", "write (and mail) last week's pages for managers", _weekly)

JOBS: dict[str, Job] = {
    job.name: job
    for job in (
        Job(
            "nightly",
            "ingest → rights → activity → findings → holds → purge → verify → checkpoint",
            (INGEST, RIGHTS, ACTIVITY, FINDINGS, HOLDS, PURGE, VERIFY, CHECKPOINT),
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
