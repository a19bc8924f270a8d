"""The command line: each command opens the site, calls one function, and shows what it answers."""

import errno
import shutil
import sys
import traceback
from io import TextIOWrapper
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

import scheduler
from analytics.people import ActivityRow, UsageRow, activity, usage
from analytics.questions import feed_gaps
from clock import believe_clock
from errors import EXPECTED, CannotWrite, FairwatchError, UnreadableInput, WrongUsage
from fairwatch import answers, check, demo, doctor, explain, keys, lines, place, show, start
from fairwatch.check import Assumed
from fairwatch.groups import GROUPS
from fairwatch.options import (
    ROUTINE,
    AsCsv,
    AsJson,
    From,
    Site,
    To,
    Why,
    answer,
    derived,
    in_order,
    looking,
    zone_of,
)
from fairwatch.people import who
from fairwatch.status import status as status_of
from fairwatch.watch import Watch, until_told
from ingest.discover import candidates, discover, given, owner
from ingest.run import ingest as read_files
from jobs import JOBS, STEPS

app = typer.Typer(
    name="fairwatch",
    help="Fair internet-use monitoring: minutes that can be defended, deletion that can be proven.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
help_app = typer.Typer(help="What the codes and words mean.", no_args_is_help=True)
for name, sub in (*GROUPS.items(), ("help", help_app)):
    app.add_typer(sub, name=name)
PARTS = [
    f"{part}_{bound}_min" for part in ("break", "outside") for bound in ("low", "likely", "high")
]
"""Columns of `usage` that programs get and a terminal has no room for."""
NO_ROOM = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    policy: Annotated[str, typer.Option(help="b3 or bcw-hub.")],
    name: Annotated[str | None, typer.Option(help="The organisation's name.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Its time zone.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="The master key's; else beside DIR, as DIR.master.key.")
    ] = None,
) -> None:
    """Write fairwatch.yaml, policy.yaml and people.csv, all commented; never over existing ones."""
    for path in start.init(folder, policy, name=name, timezone=timezone, key_file=key_file):
        show.say(f"wrote {path}")
    show.say(keys.advice(place.opened(folder)))
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
    timezone: Annotated[str | None, typer.Option(help="Zone of times that carry none.")] = None,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Say what a file is and what would be read, ignored, not understood; stores nothing."""
    ws = doctor.site_if_any(site)
    formats = candidates(
        ws.settings.sources if ws else [], format_, logformat, ws.folder if ws else None
    )
    zone = zone_of(timezone)
    owners = {path: owner(ws, path) if ws else None for path in files}
    assumed = {path: Assumed.of(source, zone) for path, source in owners.items()}
    if rows:
        for path in files:
            answers.print_rows(path, formats, assumed[path], keep_url=keep_url)
        return
    checked = [one for path in files for one in check.check(path, formats, assumed[path])]
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
    tasks = given(ws, files, source, format_) if files else discover(ws, source)
    with ws.alone(), show.progress("reading") as progress:
        believe_clock(ws, place.now())
        ws.note_settings(place.now())
        done = read_files(ws, tasks, place.now(), progress)
    answers.show_ingested(done, json_)


@app.command("watch")
def watch_(
    every: Annotated[float, typer.Option(min=1, max=86_400, help="Seconds between looks.")] = 60,
    site: Site = None,
) -> None:
    """Read the configured sources as they grow, until stopped (SIGTERM, Ctrl-C)."""
    stop = Event()
    with until_told(stop):
        Watch(lambda: place.opened(site), place.now, show.say_at_once, stop).run(every)


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
    in_order(first, last)
    ws = derived(site)
    looking(ws, "activity", first, last, reason)
    found = activity(ws, first.date(), last.date())
    answer("Activity", ActivityRow, found, csv_, json_)


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
    in_order(first, last)
    ws = derived(site)
    looking(ws, "usage", first, last, reason)
    gaps = feed_gaps(ws, first.date(), last.date(), place.now())
    found = usage(ws, first.date(), last.date(), gaps)
    answer("Usage", UsageRow, found, csv_, json_, PARTS)


app.command("tally")(lines.tally)
app.command("lines")(lines.lines)


app.command("classify")(explain.classify)
app.command("who")(who)


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
    except OSError as error:
        if error.errno not in NO_ROOM:
            code = _bug(arguments)
        else:
            show.warn(f"fairwatch: cannot write: {error}. Free space, or mend the folder's rights.")
            code = CannotWrite.exit_code
    except Exception:  # noqa: BLE001 (the last resort: a bug must not show a person its trace)
        code = _bug(arguments)
    sys.exit(code if isinstance(code, int) else 0)


def _bug(arguments: list[str] | None) -> int:
    """Keep the trace of the failure under way where IT finds it, and say so."""
    site = place.named_site(sys.argv[1:] if arguments is None else arguments)
    where = doctor.log_trace(site, traceback.format_exc(), place.now())
    told = f"the trace is in {where}" if where else "its trace could not be written anywhere"
    show.warn(f"fairwatch: an unexpected failure (a bug); {told}.")
    return FairwatchError.exit_code
