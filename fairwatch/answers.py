"""How the longer answers look on the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path

import scheduler
from analytics.finding import Finding
from analytics.rivals import RULES, RivalRow
from errors import BadConfiguration, UnreadableInput
from fairwatch import check, show
from fairwatch.status import UNREVIEWED, Status
from ingest.batch import Counts
from ingest.file import FileReport
from ingest.formats import Format
from reports.reviews import Standing
from retention import Decision, Verification, sentence
from workspace import Workspace


def print_rows(path: Path, formats: Sequence[Format], assumed: check.Assumed, *, keep_url: bool) -> None:  # fmt: skip
    """Normalised rows as JSON lines."""
    for row in check.rows(path, formats, assumed, keep_url=keep_url):
        print(show.json_text(row))


def show_checked(files: Sequence[check.Checked]) -> None:
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


def show_ingested(done: Sequence[FileReport], json_: bool) -> None:
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
    failed = [r.error for r in done if r.error]
    if failed:
        wrong = all(r.misconfigured for r in done if r.error)
        raise (BadConfiguration if wrong else UnreadableInput)("\n".join(failed))


def show_findings(found: Sequence[Finding], where: Mapping[str, Standing]) -> None:
    """A paragraph a finding: a matter to look at, with what speaks against it."""
    if not found:
        show.say("Nothing to look at in these weeks.")
    for one in found:
        version = next(v for n, v in one.versions.items() if n.startswith("rule "))
        clauses = "; ".join(f"{number}: {text}" for number, text in one.clauses.items())
        show.say(
            f"{one.id}  {one.person}  {one.week}  {one.rule}\n"
            f"  measure: {one.low:.0f} to {one.high:.0f} {one.unit} (likely {one.likely:.0f}) on "
            f"{len(one.days)} days, grade {one.grade}; judged on the low figure\n"
            f"  rule: {one.threshold} ({one.versions['policy']}, rule version {version})\n  clause {clauses}\n  what speaks against it:"
        )
        for against in one.against:
            show.say(f"    {against.check}: {against.text}")
        at = where[one.id]
        again = "; what it rests on has changed since it was decided" if at.changed else ""
        show.say(f"  state: {at.state}{again}")
        for said in at.reviews:
            show.say(f"    {said.time[:10]} {said.act}, {said.by}: {said.reason}")
    if found:
        show.say(
            "These are matters to look at, not verdicts: `fairwatch findings review ID` says what "
            "came of one; opening a person's data needs a case."
        )


def show_rivals(rows: Sequence[RivalRow], csv_: bool, json_: bool) -> None:
    """One row a person and day, a column a rule; `*` where it differs more than twofold from ours."""
    if json_:
        rules = [asdict(rule) for rule in RULES]
        show.as_json({"rules": rules, "days": [asdict(row) for row in rows]})
        return
    if csv_:
        show.as_csv(RivalRow, rows)
        return
    days: dict[tuple[str, date], dict[str, RivalRow]] = {}
    for row in rows:
        days.setdefault((row.user, row.day), {})[row.rule] = row
    header = ("user", "day", "low", "likely", "high", *(rule.id for rule in RULES))
    lines = []
    for (user, day), by_rule in days.items():
        ours = next(iter(by_rule.values()))
        told = [f"{r.minutes:.0f}{'*' if r.differs else ''}" for r in by_rule.values()]
        bounds = (ours.low_min, ours.likely_min, ours.high_min)
        numbers = ["" if b is None else f"{b:.0f}" for b in bounds]
        lines.append((user, day, *numbers, *told))
    show.table("Minutes of social media a day, ours and by published rules", header, lines)
    for rule in RULES:
        show.say(f"{rule.id}: {rule.title} ({rule.products}; {rule.source})")
    show.say("* more than twice or less than half of our likely minutes, and by over 5 minutes.")


def show_plan(decisions: Sequence[Decision], json_: bool) -> None:
    """What would go and what stays."""
    if json_:
        show.as_json({"decisions": decisions})
        return
    rows = [
        ("remove" if d.remove else "keep", d.item.store, d.item.name, d.item.rows, d.due, d.reason)
        for d in decisions
    ]
    show.table("Plan", ("what", "store", "name", "rows", "due", "reason"), rows)


def show_verification(found: Verification, json_: bool) -> None:
    """Store by store, and the verdict."""
    if json_:
        show.as_json(found.as_json())
        return
    rows = [
        (s.store, s.files, s.rows, s.oldest_event, s.overdue_rows, len(s.unreadable))
        for s in found.stores
    ]
    header = ("store", "files", "rows", "oldest event", "overdue", "unreadable")
    show.table(f"As of {found.as_of:%Y-%m-%d}", header, rows)
    if found.clean:
        show.say(sentence(found))


def show_step(done: scheduler.Done) -> None:
    """A step of a job as it ends."""
    show.say(f"{done.step}: {done.outcome}: {done.message}")


def show_status(ws: Workspace, found: Status, now: datetime, json_: bool) -> None:
    """What IT looks at in the morning."""
    if json_:
        show.as_json(found)
        return
    show.say(f"{ws.settings.organisation.name}: {ws.folder}")
    show.say(f"events from {found.first_event or '-'} to {found.last_event or '-'}")
    show.table(
        "Last runs",
        ("step", "started", "finished", "outcome", "message"),
        [(r.step, r.started, r.finished, r.outcome, r.message) for r in found.runs],
    )
    show.table(
        "Sources",
        ("source", "files", "rows", "not understood", "newest line", "gaps, last seven days"),
        [
            (s.source, s.files, s.rows, s.rejected, s.newest, "; ".join(s.gaps))
            for s in found.sources
        ],
    )
    for source in found.sources:
        if source.clock:
            show.say(f"CLOCK of {source.source}: {source.clock}")
    for alarm in found.alarms:
        show.red(f"ALARM {alarm}")
    for entry in found.overdue:
        show.red(f"OVERDUE {entry}")
    for held in found.holds:
        say = show.red if held.startswith(UNREVIEWED) else show.say
        say(f"HOLD {held}")
