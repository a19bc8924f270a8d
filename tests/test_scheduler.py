"""Jobs: every step runs, failures are told once, and whatever was killed or missed is made up for."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from socket import socket

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.blocking import BlockingScheduler
from conftest import ROOT, make_site, squid_line, write_lines
from factory import lake, page
from sqlalchemy import select

import holds
from config.settings import Mail, Officer, Timetable
from errors import JobFailed, Locked, UnreadableInput
from fairwatch.status import status
from jobs import JOBS, STEPS, Job, Step
from retention import verify
from scheduler import Done, fire, interrupted, run_one, timetable
from state.tables import ALARM, RUN
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
PATIENCE_S = 60.0
NIGHT = ["ingest", "rights", "activity", "findings", "holds", "purge", "verify", "checkpoint"]


@dataclass
class Night:
    """A clock that a test sets, and steps that fail when told to."""

    time: datetime = NOW
    failing: dict[str, Exception] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    def clock(self) -> datetime:
        """A second passes with every look."""
        self.time += timedelta(seconds=1)
        return self.time

    def step(self, name: str) -> Step:
        """A step that only says that it ran."""

        def run(_: Workspace, now: datetime) -> str:
            self.ran.append(name)
            if name in self.failing:
                raise self.failing[name]
            return f"{name} was well"

        return Step(name, f"pretend to {name}", run)


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch) -> Night:
    """The nightly job with pretended steps."""
    made = Night()
    steps = tuple(made.step(name) for name in NIGHT)
    monkeypatch.setitem(JOBS, "nightly", Job("nightly", "pretend", steps, "nightly"))
    for step in steps:
        monkeypatch.setitem(STEPS, step.name, step)
    return made


@dataclass
class Inbox:
    """An SMTP server's memory."""

    port: int = 0
    arrived: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take everything."""
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.arrived.append(message)
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A real SMTP server on loopback."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        made = Inbox(int(probe.getsockname()[1]))
    controller = Controller(made, hostname="127.0.0.1", port=made.port)
    controller.start()
    yield made
    controller.stop()


def mailing(ws: Workspace, port: int) -> Workspace:
    """The site with a mail server."""
    mail = Mail(
        host="127.0.0.1", port=port, security="none", sender="fw@example.org", it="it@example.org"
    )
    return replace(ws, settings=ws.settings.model_copy(update={"mail": mail}))


def runs(ws: Workspace) -> list[tuple[str, str, str]]:
    """(job, step, outcome) of the run table, oldest first."""
    with ws.state.read() as connection:
        rows = connection.execute(select(RUN.c.job, RUN.c.step, RUN.c.outcome).order_by(RUN.c.id))
        return [(r.job, r.step, r.outcome) for r in rows]


def alarms(ws: Workspace) -> dict[str, str]:
    """Alarms that stand."""
    with ws.state.read() as connection:
        return {r.key: r.message for r in connection.execute(select(ALARM))}


def acts(ws: Workspace, kind: str) -> list[dict[str, object]]:
    """The ledger's acts of one kind."""
    return [line.act for line in ws.ledger.lines() if line.act["act"] == kind]


def fails(ws: Workspace, night: Night, job: str = "nightly") -> None:
    """A run that ends as failed."""
    with pytest.raises(JobFailed):
        run_one(ws, job, night.clock)


# The table.


def test_jobs_are_the_contract_s() -> None:
    assert {name: [s.name for s in job.steps] for name, job in JOBS.items()} == {
        "nightly": NIGHT,
        "weekly": ["reports"],
    }
    assert set(STEPS) == {*NIGHT, "reports"}
    assert all(name == job.name and job.does for name, job in JOBS.items())
    assert all(name == step.name and step.does for name, step in STEPS.items())
    assert {job.time for job in JOBS.values()} == set(Timetable.model_fields)


def test_the_timetable_is_the_settings_in_the_organisation_s_zone(site: Workspace) -> None:
    told = {name: str(trigger) for name, trigger in timetable(site).items()}
    assert told == {
        "nightly": "cron[day_of_week='*', hour='2', minute='30']",
        "weekly": "cron[day_of_week='mon', hour='7', minute='0']",
    }
    assert all(str(t.timezone) == "Europe/London" for t in timetable(site).values())


# One run.


def test_all_steps_run_in_order(site: Workspace, night: Night) -> None:
    told: list[Done] = []
    done = run_one(site, "nightly", night.clock, told.append)
    assert night.ran == NIGHT
    assert done == told == [Done(n, "done", f"{n} was well") for n in NIGHT]
    assert runs(site) == [("nightly", n, "done") for n in NIGHT]
    assert [(a["step"], a["outcome"]) for a in acts(site, "run")] == [(n, "done") for n in NIGHT]
    with site.state.read() as connection:
        for row in connection.execute(select(RUN)):
            assert row.started < row.finished


def test_a_step_runs_by_its_own_name(site: Workspace, night: Night) -> None:
    run_one(site, "purge", night.clock)
    assert (night.ran, runs(site)) == (["purge"], [("purge", "purge", "done")])


def test_a_failing_step_stops_no_other(site: Workspace, night: Night) -> None:
    night.failing = {"ingest": UnreadableInput("x.gz: torn"), "findings": JobFailed("why not")}
    with pytest.raises(JobFailed) as failed:
        run_one(site, "nightly", night.clock)
    assert night.ran == NIGHT
    assert "nightly: ingest failed: x.gz: torn" in str(failed.value)
    assert "nightly: findings failed: why not" in str(failed.value)
    outcomes = ["failed" if name in ("ingest", "findings") else "done" for name in NIGHT]
    assert runs(site) == [("nightly", n, o) for n, o in zip(NIGHT, outcomes, strict=True)]
    assert [a["outcome"] for a in acts(site, "run")] == outcomes
    assert alarms(site) == {"ingest": "x.gz: torn", "findings": "why not"}


def test_a_bug_in_a_step_does_not_keep_the_night_from_purging(
    site: Workspace, night: Night
) -> None:
    night.failing = {"findings": ZeroDivisionError("1/0")}
    with pytest.raises(ZeroDivisionError):
        run_one(site, "nightly", night.clock)
    assert night.ran == NIGHT
    outcomes = [(n, "failed" if n == "findings" else "done") for n in NIGHT]
    assert runs(site) == [("nightly", name, outcome) for name, outcome in outcomes]
    assert "ZeroDivisionError" in alarms(site)["findings"]
    assert "logs/fairwatch-2026-11-20.log" in alarms(site)["findings"]


def test_two_bugs_are_both_raised(site: Workspace, night: Night) -> None:
    night.failing = {"ingest": ValueError("a"), "verify": KeyError("b")}
    with pytest.raises(ExceptionGroup) as group:
        run_one(site, "nightly", night.clock)
    assert [type(e) for e in group.value.exceptions] == [ValueError, KeyError]


def test_a_locked_site_runs_nothing(site: Workspace, night: Night) -> None:
    with site.alone(), pytest.raises(Locked):
        run_one(open_site(site.folder, "second"), "nightly", night.clock)
    assert (night.ran, runs(site)) == ([], [])


def test_the_run_notes_changed_settings(site: Workspace, night: Night) -> None:
    run_one(site, "nightly", night.clock)
    (site.folder / "people.csv").write_text((site.folder / "people.csv").read_text() + "\n")
    run_one(open_site(site.folder, "t"), "nightly", night.clock)
    changed = [a["file"] for a in acts(site, "settings")]
    assert sorted(map(str, changed)) == [
        "fairwatch.yaml",
        "people.csv",
        "people.csv",
        "policy.yaml",
    ]


# Real steps.


def local(text: str) -> str:
    """The template with its source inside the site folder."""
    return text.replace("/var/log/squid/access.log*", "incoming/*")


def test_a_night_on_an_empty_site_is_well(site: Workspace) -> None:
    done = run_one(site, "nightly", lambda: NOW)
    assert [(d.step, d.outcome) for d in done] == [(n, "done") for n in NIGHT]
    assert run_one(site, "weekly", lambda: NOW)[0].outcome == "done"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x1f\x8b\x08" + bytes(7), id="gzip cut off"),
        pytest.param(b"\x1f\x8b\x08 is no gzip at all", id="gzip damaged"),
        pytest.param(b"BZh9 is no bzip2 at all", id="bzip2 damaged"),
    ],
)
def test_a_night_with_an_unreadable_log_reads_the_others_and_does_the_rest(
    tmp_path: Path, content: bytes
) -> None:
    folder = make_site(tmp_path / "site", local)
    ws = open_site(folder, "t")
    write_lines(folder / "incoming" / "good.log", [squid_line(NOW - timedelta(days=1))])
    (folder / "incoming" / "bad.log").write_bytes(content)
    with pytest.raises(JobFailed) as failed:
        run_one(ws, "nightly", lambda: NOW)
    assert "ingest failed: 2 files, 1 lines, 1 new rows; 1 not readable" in str(failed.value)
    found = {step: outcome for _, step, outcome in runs(ws)}
    assert (found["ingest"], found["activity"], found["findings"]) == ("failed", "done", "done")
    assert "bad.log" in alarms(ws)["ingest"]
    assert "bad.log" in alarms(ws)["verify"], "what cannot be looked into is not called clean"


# Alarms.


def test_it_is_mailed_once_and_again_after_a_recovery(
    site: Workspace, night: Night, inbox: Inbox
) -> None:
    ws = mailing(site, inbox.port)
    night.failing = {"ingest": UnreadableInput("x.gz: torn")}
    fails(ws, night)
    fails(ws, night)
    fails(ws, night, "ingest")
    assert len(inbox.arrived) == 1
    (mail,) = inbox.arrived
    assert (mail["To"], mail["From"]) == ("it@example.org", "fw@example.org")
    assert mail["Subject"] == "Fairwatch: ingest failed at Example Charity"
    assert "x.gz: torn" in mail.get_content()
    night.failing = {}
    run_one(ws, "nightly", night.clock)
    assert alarms(ws) == {}
    night.failing = {"ingest": UnreadableInput("y.gz: torn")}
    fails(ws, night)
    assert len(inbox.arrived) == 2
    assert "y.gz: torn" in inbox.arrived[1].get_content()


def test_each_step_has_its_own_alarm(site: Workspace, night: Night, inbox: Inbox) -> None:
    ws = mailing(site, inbox.port)
    night.failing = {"ingest": UnreadableInput("a"), "verify": JobFailed("b")}
    fails(ws, night)
    night.failing = {"verify": JobFailed("b")}
    fails(ws, night)
    subjects = [m["Subject"].split()[1] for m in inbox.arrived]
    assert subjects == ["ingest", "verify"]
    assert set(alarms(ws)) == {"verify"}


def test_overdue_data_is_told_to_the_officer_too(
    site: Workspace, night: Night, inbox: Inbox
) -> None:
    ws = mailing(site, inbox.port)
    officer = Officer(name="Dee", email="dpo@example.org")
    ws = replace(ws, settings=ws.settings.model_copy(update={"dpo": officer}))
    night.failing = {"ingest": UnreadableInput("a"), "verify": JobFailed("3 rows overdue")}
    fails(ws, night)
    told = [(m["To"], m["Subject"].split()[1]) for m in inbox.arrived]
    assert sorted(told) == [
        ("dpo@example.org", "verify"), ("it@example.org", "ingest"), ("it@example.org", "verify"),
    ]  # fmt: skip


def test_a_hold_nobody_reviewed_is_mailed_and_again_for_another(
    site: Workspace, inbox: Inbox
) -> None:
    """By the real step: IT and the officer, once for each set of holds; `status` says it first."""
    ws = mailing(site, inbox.port)
    officer = Officer(name="Dee", email="dpo@example.org")
    ws = replace(ws, settings=ws.settings.model_copy(update={"dpo": officer}))
    day = NOW.date()
    lake(ws, [page(NOW - timedelta(days=1))])
    with ws.alone():
        for ahead in (5, 9):
            holds.place(ws, "ann", (day, day), "tribunal", "", "Hana Hill", day + timedelta(days=ahead), "Tom Tow", NOW)  # fmt: skip

    def night_after(days: int) -> list[tuple[str, str]]:
        arrived = len(inbox.arrived)
        with suppress(JobFailed):
            run_one(ws, "holds", lambda: NOW + timedelta(days=days))
        return [(m["To"], m.get_content()) for m in inbox.arrived[arrived:]]

    assert night_after(5) == []
    first = night_after(6)
    assert sorted(to for to, _ in first) == ["dpo@example.org", "it@example.org"]
    assert all("H-2026-0001" in text and "H-2026-0002" not in text for _, text in first)
    assert night_after(7) == [], "said once"
    (late, _) = status(ws, NOW + timedelta(days=7)).holds
    assert late.startswith("REVIEW OVERDUE: H-2026-0001")
    assert all("H-2026-0002" in text for _, text in night_after(10))
    for id_ in ("H-2026-0001", "H-2026-0002"):
        holds.review(ws, id_, "Tom Tow", day + timedelta(days=30), "still before the court", NOW + timedelta(days=10))  # fmt: skip
    assert night_after(11) == []
    assert alarms(ws) == {}


def test_a_bug_is_an_alarm_too(site: Workspace, night: Night, inbox: Inbox) -> None:
    night.failing = {"activity": RuntimeError("geheim")}
    with pytest.raises(RuntimeError):
        run_one(mailing(site, inbox.port), "nightly", night.clock)
    (mail,) = inbox.arrived
    assert "RuntimeError" in mail.get_content()
    assert "geheim" not in mail.get_content(), "a bug's message may hold names: only the log has it"


def test_a_mail_that_could_not_be_sent_is_tried_again(
    site: Workspace, night: Night, inbox: Inbox
) -> None:
    night.failing = {"ingest": UnreadableInput("x")}
    fails(mailing(site, 1), night)  # nobody listens there
    assert alarms(site) == {}
    fails(mailing(site, inbox.port), night)
    assert len(inbox.arrived) == 1
    assert set(alarms(site)) == {"ingest"}


def test_status_shows_what_failed(site: Workspace, night: Night) -> None:
    night.failing = {"ingest": UnreadableInput("x.gz: torn")}
    fails(site, night)
    found = status(site, NOW)
    assert found.alarms == ["ingest: x.gz: torn"]
    assert [(r.step, r.outcome) for r in found.runs][:2] == [("ingest", "failed"), ("rights", "done")]  # fmt: skip


# What the timetable calls.


def test_fire_raises_nothing_when_a_step_fails(
    site: Workspace, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.failing = {"ingest": UnreadableInput("x")}
    fire(str(site.folder), "nightly", "timetable")
    assert runs(site)[0] == ("nightly", "ingest", "failed")
    assert night.ran == NIGHT


def test_a_night_that_met_a_locked_site_is_no_secret(site: Workspace, night: Night) -> None:
    with site.alone():
        fire(str(site.folder), "nightly", "timetable")
    assert night.ran == []
    assert runs(site) == [("nightly", "nightly", "failed")]
    assert "another run" in alarms(site)["nightly"]
    fire(str(site.folder), "nightly", "timetable")
    assert night.ran == NIGHT
    assert alarms(site) == {}


def log_of(site: Workspace) -> str:
    """What stands in the site's logs."""
    return "".join(p.read_text() for p in (site.folder / "logs").glob("fairwatch-*.log"))


def test_a_night_whose_settings_became_bad_is_told_in_the_log(
    site: Workspace, night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    (site.folder / "fairwatch.yaml").write_text("organisation: [")
    fire(str(site.folder), "nightly", "timetable")
    assert night.ran == []
    assert "nightly was not run" in log_of(site)
    assert "fairwatch.yaml, line" in log_of(site)
    assert "Traceback" not in log_of(site) + caplog.text
    assert "nightly was not run" in caplog.text


def test_a_bug_in_a_night_leaves_its_trace_in_the_log(
    site: Workspace, night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    night.failing = {"findings": ZeroDivisionError("durch null")}
    fire(str(site.folder), "nightly", "timetable")
    assert night.ran == NIGHT
    assert "ZeroDivisionError: aaaaa aaaa" in log_of(site), (
        "the words of an exception may be a log's"
    )
    assert "Traceback" not in caplog.text


# Killed.

CHILD = """\
import sys
from datetime import datetime
from pathlib import Path
import fairwatch, ingest.file, ingest.streams
from scheduler import run_one
from workspace import open_site
ingest.file.COMMIT_BYTES = 48 << 10
ingest.streams.BLOCK = 16 << 10
run_one(open_site(Path(sys.argv[1]), "driver"), "nightly", lambda: datetime.fromisoformat(sys.argv[2]))
"""


def environment() -> dict[str, str]:
    """For processes of their own."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def wait_for(what: Callable[[], object], process: subprocess.Popen[bytes] | None = None) -> None:
    """Until it is so; a process that ends meanwhile is told of."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        if process is not None and process.poll() is not None:
            _, err = process.communicate()
            raise AssertionError(f"ended with {process.returncode}: {err.decode()}")
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come about")
        time.sleep(0.01)


def ingested(folder: Path) -> int:
    """Ingest acts in the ledger so far."""
    return sum(p.read_bytes().count(b'"act":"ingest"') for p in (folder / "ledger").glob("*.jsonl"))


@pytest.mark.slow
def test_a_night_killed_in_mid_ingest_is_taken_up_again(tmp_path: Path) -> None:
    folder = make_site(tmp_path / "site", local)
    start = NOW - timedelta(days=2)
    count = 30_000
    lines = [squid_line(start + timedelta(seconds=i), user=f"u{i % 50}") for i in range(count)]
    write_lines(folder / "incoming" / "a.log", lines)
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), NOW.isoformat()],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: ingested(folder) >= 2, process)
    process.kill()
    process.communicate()
    ws = open_site(folder, "t")
    assert runs(ws) == [("nightly", "ingest", "running")]
    assert interrupted(ws) == ["nightly"]
    done = run_one(ws, "nightly", lambda: NOW)
    assert all(d.outcome == "done" for d in done)
    assert runs(ws) == [
        ("nightly", "ingest", "taken up again"),
        *(("nightly", name, "done") for name in NIGHT),
    ]
    assert interrupted(ws) == []
    found = status(ws, NOW)
    assert sum(s.rows for s in found.sources) == count
    with sqlite3.connect(folder / "state" / "fairwatch.db") as database:
        rows = database.execute("SELECT sum(rows) FROM part WHERE dataset = 'events'").fetchone()
    database.close()
    assert rows == (count,), "nothing lost, nothing twice"
    ws.ledger.verify()


# The timetable, served by a real process.


def distant(text: str) -> str:
    """A timetable in which nothing is due for hours."""
    now = datetime.now(UTC)
    weekday = (now + timedelta(days=3)).strftime("%a").lower()
    hour = (now.hour + 12) % 24
    return (
        local(text)
        .replace('nightly: "02:30"', f'nightly: "{hour:02d}:30"')
        .replace('weekly: "mon 07:00"', f'weekly: "{weekday} 07:00"')
    )


@pytest.fixture
def quiet(tmp_path: Path) -> Workspace:
    """A site whose timetable leaves the test alone."""
    return open_site(make_site(tmp_path / "site", distant), "t")


Serve = Callable[[Path], "subprocess.Popen[bytes]"]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start `fairwatch schedule`."""
    started: list[subprocess.Popen[bytes]] = []

    def run(folder: Path) -> "subprocess.Popen[bytes]":
        command = "from fairwatch.cli import main; main()"
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", command, "schedule", "--site", str(folder)],
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def stored(ws: Workspace) -> dict[str, float]:
    """Next runs in the job store."""
    with sqlite3.connect(ws.folder / "state" / "fairwatch.db", timeout=30) as database:
        known = database.execute(
            "SELECT name FROM sqlite_master WHERE name = 'apscheduler_jobs'"
        ).fetchone()
        rows = database.execute("SELECT id, next_run_time FROM apscheduler_jobs") if known else []
        found = dict(rows)
    database.close()
    return found


def store(ws: Workspace, times: dict[str, datetime]) -> None:
    """Put jobs of the timetable into the store as an earlier `schedule` left them."""
    idle = BlockingScheduler(timezone=UTC)  # never started: it only gives jobs their shape
    jobs = SQLAlchemyJobStore(url=ws.state.url)
    jobs.start(idle, "default")
    for name, when in times.items():
        job = idle.add_job(
            fire,
            timetable(ws)[name],
            [str(ws.folder), name, ws.actor],
            id=name,
            next_run_time=when,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
            executor="default",
        )
        jobs.add_job(job)
    jobs.shutdown()


def up(ws: Workspace) -> bool:
    """Whether the timetable is in the store."""
    return {"nightly", "weekly"} <= stored(ws).keys()


@pytest.mark.slow
def test_a_missed_night_is_made_up_for_exactly_once(quiet: Workspace, serve: Serve) -> None:
    missed = datetime.now(UTC) - timedelta(days=5)
    store(quiet, {"nightly": missed})
    process = serve(quiet.folder)
    whole = [("nightly", name, "done") for name in NIGHT]
    wait_for(lambda: runs(quiet) == whole, process)
    time.sleep(1.5)
    assert runs(quiet) == whole
    assert stored(quiet)["nightly"] > time.time()
    assert process.poll() is None


@pytest.mark.slow
def test_an_interrupted_night_is_run_again_at_start(quiet: Workspace, serve: Serve) -> None:
    begun = datetime.now(UTC) - timedelta(hours=1)
    with quiet.state.change() as change:
        change.execute(
            RUN.insert().values(
                job="nightly",
                step="ingest",
                started=begun.isoformat(),
                outcome="running",
                message="",
            )
        )
    process = serve(quiet.folder)
    expected = [
        ("nightly", "ingest", "taken up again"),
        *(("nightly", name, "done") for name in NIGHT),
    ]
    wait_for(lambda: runs(quiet) == expected, process)
    time.sleep(1.0)
    assert runs(quiet) == expected
    assert set(stored(quiet)) == {"nightly", "weekly"}


@pytest.mark.slow
def test_only_one_timetable_serves_a_site(quiet: Workspace, serve: Serve) -> None:
    first = serve(quiet.folder)
    wait_for(lambda: up(quiet), first)
    second = serve(quiet.folder)
    _, err = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 5
    assert b"another `fairwatch schedule` serves this site" in err
    assert b"Traceback" not in err
    assert first.poll() is None


@pytest.mark.slow
def test_kill_and_restart_keep_the_stored_timetable(quiet: Workspace, serve: Serve) -> None:
    due = datetime.now(UTC) + timedelta(hours=30, minutes=7)
    store(quiet, {"nightly": due})
    first = serve(quiet.folder)
    wait_for(lambda: up(quiet), first)
    first.kill()
    first.communicate()
    second = serve(quiet.folder)
    assert second.stdout is not None
    assert second.stdout.readline().startswith(b"nightly: cron[")
    time.sleep(1.0)
    assert second.poll() is None
    assert stored(quiet)["nightly"] == pytest.approx(due.timestamp(), abs=0.01)
    second.kill()
    second.communicate()
    settings = quiet.folder / "fairwatch.yaml"
    hour = (datetime.now(UTC).hour + 10) % 24
    text = settings.read_text()
    at = text.index('nightly: "')
    settings.write_text(
        f'{text[:at]}nightly: "{hour:02d}:17"{text[at + len("nightly: 00:00") + 2 :]}'
    )
    third = serve(quiet.folder)
    wait_for(lambda: stored(quiet)["nightly"] != due.timestamp(), third)
    wait_for(lambda: abs(stored(quiet)["nightly"] - due.timestamp()) > 60, third)
    when = datetime.fromtimestamp(stored(quiet)["nightly"], quiet.settings.zone)
    assert (when.hour, when.minute) == (hour, 17), "a changed timetable is taken over"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(quiet: Workspace, serve: Serve, how: signal.Signals) -> None:
    process = serve(quiet.folder)
    wait_for(lambda: up(quiet), process)
    time.sleep(0.5)
    process.send_signal(how)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in ((0, -signal.SIGTERM) if how == signal.SIGTERM else (0, 130))
    assert b"Traceback" not in out + err
    assert b"Exception" not in out + err
    assert up(quiet), "the timetable stays stored"


@pytest.mark.slow
def test_a_served_night_that_fails_does_not_end_the_timetable(
    quiet: Workspace, serve: Serve
) -> None:
    (quiet.folder / "incoming").mkdir()
    (quiet.folder / "incoming" / "bad.gz").write_bytes(b"\x1f\x8b\x08" + bytes(7))
    store(quiet, {"nightly": datetime.now(UTC) - timedelta(hours=2)})
    process = serve(quiet.folder)
    wait_for(lambda: len(runs(quiet)) == len(NIGHT) and runs(quiet)[-1][2] != "running", process)
    assert runs(quiet)[0] == ("nightly", "ingest", "failed")
    time.sleep(0.5)
    assert process.poll() is None
    process.terminate()
    _, err = process.communicate(timeout=PATIENCE_S)
    assert b"Traceback" not in err


def test_looking_into_the_database_drops_no_lock(site: Workspace) -> None:
    """Closing any handle of a file drops all of a process's locks on it; `verify` runs in `serve`."""
    path = site.folder / "state" / "fairwatch.db"
    other = f"import sqlite3; sqlite3.connect({str(path)!r}, timeout=0).execute('BEGIN IMMEDIATE')"
    mine = sqlite3.connect(path, isolation_level=None)
    mine.execute("BEGIN IMMEDIATE")
    mine.execute("UPDATE meta SET value = value")
    verify(site, NOW)
    tried = subprocess.run([sys.executable, "-c", other], capture_output=True, check=False)
    mine.rollback()
    mine.close()
    assert b"database is locked" in tried.stderr
