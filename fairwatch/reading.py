"""Commands that read logs: what a file is, what is new, and what comes as it grows."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from clock import believe_clock
from errors import BadConfiguration, UnreadableInput
from fairwatch import check, place, show
from fairwatch.check import Assumed
from fairwatch.options import AsJson, Site, zone_of
from fairwatch.program import Commands
from fairwatch.watch import Watch, until_told
from ingest.batch import Counts
from ingest.discover import candidates, discover, given, owner
from ingest.file import FileReport
from ingest.formats import Format
from ingest.run import ingest as read_files


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
    ws = place.site_if_any(site)
    formats = candidates(
        ws.settings.sources if ws else [], format_, logformat, ws.folder if ws else None
    )
    zone = zone_of(timezone)
    owners = {path: owner(ws, path) if ws else None for path in files}
    assumed = {path: Assumed.of(source, zone) for path, source in owners.items()}
    if rows:
        for path in files:
            _print_rows(path, formats, assumed[path], keep_url=keep_url)
        return
    checked = [one for path in files for one in check.check(path, formats, assumed[path])]
    show.as_json({"files": checked}) if json_ else _tell(checked)
    if any(c.error for c in checked):
        raise UnreadableInput("\n".join(c.error for c in checked if c.error))


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
    asked = {s.name for s in ws.settings.sources if source in (None, s.name)}
    for name in sorted(asked - {task.source.name for task in tasks} if not files else ()):
        show.warn(f"{name}: no file matches its `paths` in fairwatch.yaml.")
    with ws.alone(), show.progress("reading") as progress:
        believe_clock(ws, place.now())
        ws.note_settings(place.now())
        done = read_files(ws, tasks, place.now(), progress)
    _report(done, json_)


def watch_(
    every: Annotated[float, typer.Option(min=1, max=86_400, help="Seconds between looks.")] = 60,
    site: Site = None,
) -> None:
    """Read the configured sources as they grow, until stopped (SIGTERM, Ctrl-C)."""
    stop = Event()
    with until_told(stop):
        Watch(lambda: place.opened(site), place.now, show.say_at_once, stop).run(every)


def _print_rows(path: Path, formats: Sequence[Format], assumed: check.Assumed, *, keep_url: bool) -> None:  # fmt: skip
    """Normalised rows as JSON lines."""
    for row in check.rows(path, formats, assumed, keep_url=keep_url):
        print(show.json_text(row))


def _tell(files: Sequence[check.Checked]) -> None:
    """One paragraph a file."""
    for one in files:
        show.say(
            f"{one.path}: {one.format or 'not recognised'} ({one.reason}; confidence "
            f"{one.confidence:.0%})"
        )
        if one.error:
            continue
        show.say(
            f"  {one.lines:,} lines: {one.rows:,} would be read, {one.ignored:,} ignored on "
            f"purpose, {one.rejected:,} not understood"
        )
        if one.first:
            verdicts = ", ".join(f"{n:,} {v}" for v, n in sorted(one.verdicts.items()))
            show.say(f"  from {one.first} to {one.last}; {verdicts}")
        if one.fetches:
            said = ", ".join(f"{n:,} {word}" for word, n in sorted(one.fetches.items()))
            show.say(f"  the browser's own word: {said}")
        there = [name for name, found in one.present.items() if found]
        lacking = [name for name, found in one.present.items() if not found]
        show.say(f"  present: {', '.join(there) or 'nothing beyond addresses'}")
        if lacking:
            show.say(f"  not there: {', '.join(lacking)}")
        show.say(f"  evidence: {one.grade}")
        for warning in one.warnings:
            show.say(f"  take care: {warning}")
        for reason, count in one.ignored_as.items():
            show.say(f"  ignored on purpose ({count:,}): {reason}")
        for reason, facts in one.rejects.items():
            show.say(f"  not understood ({facts['count']:,}): {reason}; first in line {facts['line']}: {facts['shape']}")  # fmt: skip


def _report(done: Sequence[FileReport], json_: bool) -> None:
    """Counts a file and their sums; raises UnreadableInput where a file failed."""
    totals = Counts()
    for report in done:
        totals.add(report.counts)
    if json_:
        show.as_json({"files": [r.as_json() for r in done], "totals": vars(totals)})
    else:
        header = ("file", "format", *vars(totals))
        rows = [(r.path, r.format, *vars(r.counts).values()) for r in done]
        show.table("Ingest", header, [*rows, ("total", "", *vars(totals).values())])
    for report in done:
        if report.counts.rejected and report.note:
            show.warn(f"{report.path}: {report.note}")
    failed = [r.error for r in done if r.error]
    if failed:
        wrong = all(r.misconfigured for r in done if r.error)
        raise (BadConfiguration if wrong else UnreadableInput)("\n".join(failed))


COMMANDS: Commands = {"check-logs": check_logs, "ingest": ingest, "watch": watch_}
