"""The command line: each command opens the site, calls one function, and shows what it answers."""

import shutil
import sys
import traceback
from datetime import UTC, date, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

import retention
import scheduler
from analytics.derive import derive
from analytics.findings import findings, remember
from analytics.people import ActivityRow, UsageRow, activity, usage
from analytics.questions import Week, feed_gaps
from errors import EXPECTED, FairwatchError, Overdue, UnreadableInput, WrongUsage
from fairwatch import answers, demo, doctor, place, show, start
from fairwatch.status import status as status_of
from ingest import run as ingesting
from jobs import JOBS, STEPS
from lake.files import sha256
from reports import cases, evidence, mail
from reports.weekly import index, weekly
from workspace import Workspace

app = typer.Typer(
    name="fairwatch",
    help="Fair internet-use monitoring: minutes that can be defended, deletion that can be proven.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
report_app = typer.Typer(help="Managers' summaries.", no_args_is_help=True)
case_app = typer.Typer(help="The documented way to a named person's data.", no_args_is_help=True)
evidence_app = typer.Typer(help="Sealed packs for approved cases.", no_args_is_help=True)
retention_app = typer.Typer(help="The year: plan, purge, verify.", no_args_is_help=True)
ledger_app = typer.Typer(help="Who did what.", no_args_is_help=True)
help_app = typer.Typer(help="What the codes and words mean.", no_args_is_help=True)
for name, sub in (
    ("report", report_app),
    ("case", case_app),
    ("evidence", evidence_app),
    ("retention", retention_app),
    ("ledger", ledger_app),
    ("help", help_app),
):
    app.add_typer(sub, name=name)

Site = Annotated[
    Path | None, typer.Option("--site", envvar="FAIRWATCH_SITE", help="The site folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV on standard output.")]
From = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")]
To = Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")]
By = Annotated[str, typer.Option("--by", help="Name of the person who acts.")]
Why = Annotated[
    str, typer.Option("--reason", help="Why named data is looked at; stands in the ledger.")
]
Confirm = Annotated[bool, typer.Option("--confirm", help="Yes, the clock and the share are right.")]
ROUTINE = "routine check by IT"
YEARS, LONGEST = (2000, 2100), 3660


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    policy: Annotated[str, typer.Option(help="b3 or bcw-hub.")],
    name: Annotated[str | None, typer.Option(help="The organisation's name.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Its time zone.")] = None,
) -> None:
    """Write fairwatch.yaml, policy.yaml and people.csv, all commented; never over existing ones."""
    for path in start.init(folder, policy, name=name, timezone=timezone):
        show.say(f"wrote {path}")
    show.say(
        "Next: put your sources, people and numbers into these files, then `fairwatch doctor`."
    )


@app.command("demo")
def demo_(folder: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path("demo-site")) -> None:
    """Build a small organisation with a real Squid's logs and run everything on it."""
    made = demo.demo(folder, place.now(), place.actor(), show.say)
    # By the name that works in the reader's shell: `make demo` runs it from .venv/bin.
    program = "fairwatch" if shutil.which("fairwatch") else sys.argv[0]
    days = f"--from {made.findings[0].first_day} --to {made.findings[-1].last_day}"
    show.say(
        f"\nLook at\n  {made.site / 'reports' / 'index.html'}   the managers' pages"
        f"\n  {made.pack}   the evidence pack: unzip it, sha256sum -c manifest-sha256.txt"
        f"\n  {made.site / 'ledger'}   who did what\nTry next"
        f"\n  {program} findings --site {made.site} {days}"
        f"\n  {program} retention verify --site {made.site}"
        f"\n  {program} ledger verify --site {made.site}"
        f"\n  {program} check-logs YOUR-OWN-access.log"
        f"\n  {program} init my-site --policy b3"
    )


@app.command("check-logs")
def check_logs(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...")],
    format_: Annotated[str, typer.Option("--format", help="A format's name, or auto.")] = "auto",
    logformat: Annotated[str | None, typer.Option(help="Your squid.conf's own line.")] = None,
    rows: Annotated[bool, typer.Option("--rows", help="Normalised rows as JSON lines.")] = False,
    keep_url: Annotated[bool, typer.Option("--keep-url", help="With --rows: the URL too.")] = False,
    json_: AsJson = False,
) -> None:
    """Say what a file is and what would be read, ignored, not understood; stores nothing."""
    if rows:
        answers.print_rows(files, format_, logformat, keep_url)
        return
    checked = [answers.checked(path, format_, logformat) for path in files]
    show.as_json({"files": checked}) if json_ else answers.show_checked(checked)
    if any(c.error for c in checked):
        raise UnreadableInput("\n".join(c.error for c in checked if c.error))


@app.command()
def ingest(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE...]")] = None,
    source: Annotated[str | None, typer.Option(help="A source of fairwatch.yaml.")] = None,
    format_: Annotated[str | None, typer.Option("--format", help="A format's name.")] = None,
    site: Site = None,
    json_: AsJson = False,
) -> None:
    """Read what is new into the lake; without files: all configured sources."""
    ws = place.opened(site)
    tasks = ingesting.given(ws, files, source, format_) if files else ingesting.discover(ws, source)
    with ws.alone(), show.progress("reading") as progress:
        ws.note_settings(place.now())
        done = ingesting.ingest(ws, tasks, place.now(), progress)
    answers.show_ingested(done, json_)


@app.command("activity")
def activity_(
    first: From,
    last: To,
    csv_: AsCsv = False,
    json_: AsJson = False,
    reason: Why = ROUTINE,
    site: Site = None,
) -> None:
    """Intervals of active use."""
    _in_order(first, last)
    ws = _derived(site)
    _looking(ws, "activity", first, last, reason)
    found = activity(ws, first.date(), last.date())
    _answer("Activity", ActivityRow, found, csv_, json_)


@app.command("usage")
def usage_(
    first: From,
    last: To,
    csv_: AsCsv = False,
    json_: AsJson = False,
    reason: Why = ROUTINE,
    site: Site = None,
) -> None:
    """Sums a person, day and category; a day with a feed gap has empty numbers."""
    _in_order(first, last)
    ws = _derived(site)
    _looking(ws, "usage", first, last, reason)
    gaps = feed_gaps(ws, first.date(), last.date(), place.now())
    found = usage(ws, first.date(), last.date(), gaps)
    _answer("Usage", UsageRow, found, csv_, json_)


@app.command("findings")
def findings_(
    first: From,
    last: To,
    json_: AsJson = False,
    reason: Why = ROUTINE,
    site: Site = None,
) -> None:
    """Matters to look at, with clause, measure, range, grade, and what speaks against."""
    _in_order(first, last)
    ws = _derived(site)
    _looking(ws, "findings", first, last, reason)
    found = findings(ws, first.date(), last.date(), place.now())
    with ws.alone():
        remember(ws, found, _weeks(first.date(), last.date()), place.now())
    if json_:
        show.as_json({"findings": [f.as_json() for f in found]})
    else:
        answers.show_findings(found)


@report_app.command("weekly")
def report_weekly(
    week: Annotated[str | None, typer.Option(help="Such as 2026-W45; the last one.")] = None,
    team: Annotated[str | None, typer.Option(help="A manager's user name.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Mail each manager their page.")] = False,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Managers' summaries: one page a team, no names."""
    asked = None if week is None else _week(week)
    ws = _derived(site)
    with ws.alone():
        written = weekly(ws, asked or _last_week(ws), place.now(), team)
        sent = mail.send(ws, written, place.now()) if send else 0
    if json_:
        show.as_json({"reports": written, "sent": sent})
        return
    for page in written:
        show.say(f"wrote {page.path}")
    show.say(
        f"index: {ws.folder / 'reports' / 'index.html'}" + (f"; {sent} mailed" if send else "")
    )


@case_app.command("open")
def case_open(
    person: Annotated[str, typer.Option(help="User name in people.csv.")],
    first: From,
    last: To,
    reason: Annotated[str, typer.Option(help="One of the policy's reasons.")],
    by: By,
    note: Annotated[str, typer.Option(help="What the suspicion rests on.")] = "",
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Ask for a named person's data, with a reason the policy knows."""
    ws = place.opened(site)
    made = cases.open_case(ws, person, first.date(), last.date(), reason, note, by, place.now())
    _case(
        made,
        json_,
        f"{made.id} opened; now a second person: fairwatch case approve {made.id} --by NAME",
    )


@case_app.command("approve")
def case_approve(id_: Annotated[str, typer.Argument(metavar="CASE")], by: By, json_: AsJson = False, site: Site = None) -> None:  # fmt: skip
    """Agree, as a second person, that a case's data may be opened."""
    made = cases.approve(place.opened(site), id_, by, place.now())
    _case(made, json_, f"{id_} approved; now: fairwatch evidence build {id_}")


@case_app.command("close")
def case_close(id_: Annotated[str, typer.Argument(metavar="CASE")], by: By, json_: AsJson = False, site: Site = None) -> None:  # fmt: skip
    """End a case: nothing more can be built for it."""
    _case(cases.close(place.opened(site), id_, by, place.now()), json_, f"{id_} closed")


@case_app.command("list")
def case_list(json_: AsJson = False, site: Site = None) -> None:
    """All cases and where they stand."""
    ws = place.opened(site)
    _look(ws, {"what": "cases", "reason": ROUTINE})
    _answer("Cases", cases.Case, cases.cases(ws), False, json_)


@evidence_app.command("build")
def evidence_build(id_: Annotated[str, typer.Argument(metavar="CASE")], json_: AsJson = False, site: Site = None) -> None:  # fmt: skip
    """Build the sealed pack of an approved case."""
    ws = _derived(site)
    with ws.alone():
        path = evidence.build(ws, id_, place.now())
    digest = sha256(path)
    show.as_json({"path": path, "sha256": digest}) if json_ else show.say(f"{digest}  {path}")


@evidence_app.command("verify")
def evidence_verify(pack: Annotated[Path, typer.Argument()], json_: AsJson = False, site: Site = None) -> None:  # fmt: skip
    """Check that a pack is whole and unchanged; needs no site folder."""
    info = evidence.verify(pack, doctor.site_if_any(site))
    show.as_json({"path": pack, "whole": True, **info}) if json_ else show.say(f"{pack}: whole and unchanged (case {info.get('External-Identifier')})")  # fmt: skip


@retention_app.command("plan")
def retention_plan(
    as_of: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])] = None,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """What would be removed, what is kept, and why; removes nothing."""
    now = as_of.replace(tzinfo=UTC) if as_of else place.now()
    decisions = retention.planned(place.opened(site), now)
    answers.show_plan(decisions, json_)


@retention_app.command("purge")
def retention_purge(confirm: Confirm = False, json_: AsJson = False, site: Site = None) -> None:
    """Remove what is past its limit; says done only after a fresh look."""
    ws = place.opened(site)
    with ws.alone():
        ws.note_settings(place.now())
        done = retention.purge(ws, place.now(), confirmed=confirm)
        index(ws)
    told = retention.sentence(done.verification)
    show.as_json({"removed": done.removed, **done.verification.as_json()}) if json_ else show.say(f"{len(done.removed)} items removed. {told}")  # fmt: skip


@retention_app.command("verify")
def retention_verify(json_: AsJson = False, site: Site = None) -> None:
    """Look for overdue event times inside every file of the site folder."""
    found = retention.verify(place.opened(site), place.now())
    answers.show_verification(found, json_)
    if not found.clean:
        raise Overdue(retention.sentence(found))


@ledger_app.command("verify")
def ledger_verify(json_: AsJson = False, site: Site = None) -> None:
    """Check the whole chain; names the first line that does not fit."""
    lines, head = place.opened(site).ledger.verify()
    show.as_json({"lines": lines, "head": head, "whole": True}) if json_ else show.say(f"{lines} acts, unbroken; head {head}")  # fmt: skip


@ledger_app.command("export")
def ledger_export(site: Site = None) -> None:
    """All acts as JSON lines, as they stand in the segments."""
    ws = place.opened(site)
    for path in ws.ledger.segments():
        sys.stdout.write(path.read_text("utf-8"))


@app.command("run")
def run_(job: Annotated[str, typer.Argument(metavar="JOB")], site: Site = None) -> None:
    """Run one job (nightly, weekly) or one of their steps now."""
    if job not in {**JOBS, **STEPS}:
        known = ", ".join([*JOBS, *STEPS])
        raise WrongUsage(f"job: found {job!r}; expected one of {known}.")
    scheduler.run_one(place.opened(site), job, place.now, answers.show_step)


@app.command()
def schedule(site: Site = None) -> None:
    """Run all jobs by their timetable until stopped."""
    ws = place.opened(site)
    for job, trigger in scheduler.timetable(ws).items():
        show.say(f"{job}: {trigger}")
    sys.stdout.flush()
    scheduler.serve(ws, place.now)


@app.command()
def status(json_: AsJson = False, site: Site = None) -> None:
    """Last runs, sources and their gaps, what is overdue."""
    ws = place.opened(site)
    answers.show_status(ws, status_of(ws, place.now()), place.now(), json_)


@app.command("doctor")
def doctor_(json_: AsJson = False, site: Site = None) -> None:
    """What is wrong with this installation and how to mend it."""
    doctor.examine(place.find_site(site), place.now(), place.actor(), json_)


@help_app.command("exit-codes")
def exit_codes(json_: AsJson = False) -> None:
    """What each exit code means."""
    codes = [
        (0, "done"),
        (1, FairwatchError.meaning),
        *((e.exit_code, e.meaning) for e in EXPECTED),
    ]
    show.as_json(dict(codes)) if json_ else show.table("Exit codes", ("code", "meaning"), codes)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; expected failures are a sentence and a code, never a trace."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that cannot show a letter is no failure
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(arguments, prog_name="fairwatch", standalone_mode=False)
        sys.stdout.flush()
    except FairwatchError as error:
        show.warn(f"fairwatch: {error}")
        code = error.exit_code
    except typer.TyperException as error:
        show.warn(f"fairwatch: {error.format_message()}")
        code = WrongUsage.exit_code
    except (typer.Abort, KeyboardInterrupt):
        show.warn("fairwatch: stopped.")
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except Exception:  # noqa: BLE001 (the last resort: a bug must not show a person its trace)
        code = FairwatchError.exit_code
        site = place.named_site(sys.argv[1:] if arguments is None else arguments)
        where = doctor.log_trace(site, traceback.format_exc(), place.now())
        told = f"the trace is in {where}" if where else "its trace could not be written anywhere"
        show.warn(f"fairwatch: an unexpected failure (a bug); {told}.")
    sys.exit(code if isinstance(code, int) else 0)


def _derived(site: Path | None) -> Workspace:
    """The site with its derived datasets up to date: answers are for what has been ingested."""
    ws = place.opened(site)
    with ws.alone(), show.progress("deriving") as progress:
        ws.note_settings(place.now())
        derive(ws, place.now(), progress=progress)
    return ws


def _in_order(first: datetime, last: datetime) -> None:
    """Days that can be asked for; the lake holds one year, so that ten are everything."""
    if last < first:
        raise WrongUsage(f"--to: found {last.date()}, before --from {first.date()}.")
    if not (YEARS[0] <= first.year and last.year <= YEARS[1] and (last - first).days <= LONGEST):
        raise WrongUsage(
            f"--from, --to: found {first.date()} to {last.date()}; expected at most ten years "
            f"within {YEARS[0]} to {YEARS[1]}."
        )


def _looking(ws: Workspace, what: str, first: datetime, last: datetime, reason: str) -> None:
    _look(ws, {"what": what, "reason": reason, "first_day": f"{first:%Y-%m-%d}", "last_day": f"{last:%Y-%m-%d}"})  # fmt: skip


def _look(ws: Workspace, facts: dict[str, str]) -> None:
    """Say in the ledger that named data is looked at, before it is."""
    ws.ledger.append("look", time=place.now(), actor=ws.actor, **facts)


def _answer(title: str, row: type[Any], found: list[Any], csv_: bool, json_: bool) -> None:
    if csv_:
        show.as_csv(row, found)
    elif json_:
        show.as_json({title.lower(): found})
    else:
        names = list(row.__dataclass_fields__)
        show.table(title, names, [[getattr(r, n) for n in names] for r in found])


def _case(made: cases.Case, json_: bool, told: str) -> None:
    show.as_json(made) if json_ else show.say(told)


def _last_week(ws: Workspace) -> Week:
    return Week.of(place.now().astimezone(ws.settings.zone).date()).before(1)


def _week(text: str) -> Week:
    try:
        week = Week.parse(text)
    except ValueError:
        week = None
    if week is None or not YEARS[0] <= week.year <= YEARS[1]:
        raise WrongUsage(f"--week: found {text!r}; expected a week such as 2026-W45.")
    return week


def _weeks(first: date, last: date) -> set[str]:
    days = range(first.toordinal(), last.toordinal() + 1)
    return {str(Week.of(date.fromordinal(d))) for d in days}
