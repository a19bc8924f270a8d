"""Evidence packs: for an approved case, the figures, the lines behind them, and what speaks against."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from analytics import calibration
from analytics import engine as questions
from analytics.derive import written
from analytics.finding import Finding
from analytics.people import ActivityRow, EventRow, UsageRow, activity, log_lines, usage
from analytics.questions import FeedGap, feed_gaps
from analytics.record import standing
from analytics.rivals import Panel, RivalRow, beside, panel, rival_days
from config.method import methods
from config.policy import Policy, Reason
from errors import NotPermitted, ProofFailed
from lake.age import first_day_kept
from lake.files import write
from reports import bag
from reports.cases import Case, approved, reasons
from reports.render import plain, render
from reports.reviews import Review, Standing, standings
from state.tables import FILE, PACK
from workspace import Workspace

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""A text cell that begins so is run by a spreadsheet."""

WORDS = {
    "dismiss": "Dismissed",
    "note": "Noted",
    "refer": "Referred",
    "contest": "Said by the person",
}

EVENT_DAYS = ("first_day", "last_day", "day")

HOW_TO_CHECK = """\
How to check this pack without Fairwatch
========================================

1. Unpack the zip. In the folder that appears, run

       sha256sum -c manifest-sha256.txt
       sha256sum -c tagmanifest-sha256.txt

   (on Windows: Get-FileHash FILE, and compare with the manifest). Every line must say OK.
2. Compare the SHA-256 of the zip itself with the one in the organisation's ledger (act
   "evidence build") and with the one you were given by another way.
3. data/rows.csv names for each line the SHA-256 of the log file it came from and its line number.
   With that file at hand: sha256sum FILE; sed -n 'NUMBERp' FILE (for a packed file: zcat FILE | ...).
4. data/activity.csv and data/usage.csv are computed from these lines (and the times of lines of
   other sites, which are not in this pack) by the questions in data/configuration/questions/.
5. Every figure is an interval; only the low one is judged. data/summary.html says what speaks
   for the person.

Cells of the CSV files that a spreadsheet could take for a formula begin with an apostrophe.
"""


def build(ws: Workspace, case_id: str, now: datetime) -> Path:
    """Build the pack of an approved case; the look is in the ledger before the data is read.

    Building it again from the same lake gives the same bytes. Raises NotPermitted without
    approval, or where part of the period is already due for deletion.
    """
    case = approved(ws, case_id)
    limit = first_day_kept(now, ws.settings.retention.evidence)
    if case.first_day < limit:
        raise NotPermitted(
            f"case {case_id} begins on {case.first_day}; data before {limit} is past its limit."
        )
    with ws.state.change() as change:
        change.act(
            "look",
            time=now,
            actor=ws.actor,
            case=case.id,
            person=case.person,
            first_day=case.first_day.isoformat(),
            last_day=case.last_day.isoformat(),
            reason=case.reason,
            by=case.asked_by,
        )
    content = bag.build(case.id, *_content(ws, case, now))
    path = ws.folder / "evidence" / f"{case.id}.zip"
    write(path, content, ws.folder / "work")
    digest = hashlib.sha256(content).hexdigest()
    with ws.state.change() as change:
        change.execute(PACK.delete().where(PACK.c.case == case.id))
        change.execute(
            PACK.insert().values(
                case=case.id,
                path=str(path.relative_to(ws.folder)),
                sha256=digest,
                built=now.isoformat(),
                oldest=case.first_day.isoformat(),
            )
        )
        change.act("evidence build", time=now, actor=ws.actor, case=case.id, sha256=digest)
    return path


def verify(path: Path, ws: Workspace | None = None) -> dict[str, str]:
    """Check a pack, and against the site's own record where there is one; its bag-info."""
    info = bag.verify(path)
    if ws is not None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        case = info.get("External-Identifier", "")
        with ws.state.read() as connection:
            known = connection.execute(select(PACK.c.sha256).where(PACK.c.case == case)).scalar()
        if known and known != digest:
            raise ProofFailed(
                f"{path}: is whole in itself, but not the pack built last for case {case}: "
                f"the record says {known}, the file is {digest}."
            )
    return info


def _content(ws: Workspace, case: Case, now: datetime) -> tuple[dict[str, bytes], dict[str, str]]:
    policy, known_reasons = reasons(ws, case.first_day)
    reason = next(r for r in known_reasons if r.id == case.reason)
    gaps = feed_gaps(ws, case.first_day, case.last_day, now)
    found = [
        f
        for f in standing(ws, case.first_day, case.last_day, now).found
        if f.person == case.person and case.first_day <= f.first_day and f.last_day <= case.last_day
    ]
    intervals = activity(ws, case.first_day, case.last_day, case.person)
    minutes = usage(ws, case.first_day, case.last_day, gaps, case.person)
    lines = log_lines(ws, case.first_day, case.last_day, case.person)
    rivals = beside(rival_days(ws, case.first_day, case.last_day, [case.person]), minutes)
    panels = {f.id: panel(rivals, f.person, [d.day for d in f.days]) for f in found}
    sources = _sources(ws, {line.file_sha256 for line in lines if line.file_sha256})
    where = standings(ws, found)
    said = [r for f in found for r in where[f.id].reviews]
    summary = _summary(
        ws, case, policy, reason, found, where, minutes, lines, gaps, sources, panels
    )
    payload = {
        "summary.html": summary,
        "HOW-TO-CHECK.txt": HOW_TO_CHECK.encode(),
        "rows.csv": table(EventRow, lines),
        "activity.csv": table(ActivityRow, intervals),
        "usage.csv": table(UsageRow, minutes),
        "rivals.csv": table(RivalRow, rivals),
        "reviews.csv": table(Review, said),
        "configuration/sources.csv": csv_bytes(["sha256", "path", "source", "format"], sources),
        "findings.json": json.dumps(
            [worded(f.as_json()) for f in found], indent=1, sort_keys=True
        ).encode(),
        "configuration/versions.json": json.dumps(ws.versions, indent=1, sort_keys=True).encode(),
        **{
            f"configuration/method-{m.version}.json": m.model_dump_json(indent=1).encode()
            for m in methods()
        },
        "configuration/policy.json": policy.model_dump_json(indent=1, by_alias=True).encode(),
        **{
            f"configuration/questions/{name}.sql": questions.sql(name).encode()
            for name in questions.questions()
        },
        **{f"configuration/questions/{name}": text.encode() for name, text in written().items()},
    }
    info = {
        "External-Identifier": case.id,
        "Source-Organization": ws.settings.organisation.name,
        "Bagging-Date": (case.approved or case.asked).date().isoformat(),
        "Bag-Software-Agent": "Fairwatch",
        "External-Description": f"Case {case.id}, clause {reason.clause}",
    }
    return payload, info


def _summary(
    ws: Workspace,
    case: Case,
    policy: Policy,
    reason: Reason,
    found: Sequence[Finding],
    where: Mapping[str, Standing],
    minutes: Sequence[UsageRow],
    lines: Sequence[EventRow],
    gaps: Sequence[FeedGap],
    sources: Sequence[Sequence[str]],
    panels: Mapping[str, Panel | None],
) -> bytes:
    return render(
        "evidence.html.j2",
        organisation=ws.settings.organisation.name,
        zone=ws.settings.zone,
        case=case,
        person=ws.people.login(case.person),
        policy=policy,
        reason=reason,
        findings=found,
        standings=where,
        words=WORDS,
        days=[u for u in minutes if u.category == "social_media"],
        lines=len(lines),
        gaps=gaps,
        sources=sources,
        versions=ws.versions,
        panels=panels,
        calibration=calibration.words(ws, case.last_day),
    )


def worded(value: Any, key: str = "") -> Any:
    """Plain data whose free texts name no ISO date: only the days of events tell a pack's age."""
    if isinstance(value, dict):
        return {k: worded(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [worded(v) for v in value]
    return plain(value) if isinstance(value, str) and key not in EVENT_DAYS else value


def _sources(ws: Workspace, digests: set[str]) -> list[list[str]]:
    with ws.state.read() as connection:
        rows = connection.execute(
            select(FILE.c.sha256, FILE.c.path, FILE.c.source, FILE.c.format)
            .where(FILE.c.sha256.in_(digests))
            .distinct()
            .order_by(FILE.c.path)
        ).all()
    return [list(row) for row in rows]


def table(row: type[Any], rows: Sequence[Any]) -> bytes:
    """Dataclass rows as CSV with the fields' names as header."""
    names = [f.name for f in fields(row)]
    return csv_bytes(names, [list(asdict(r).values()) for r in rows])


def csv_bytes(header: Sequence[str], rows: Sequence[Sequence[Any]], spared: str = "") -> bytes:
    """CSV in UTF-8 in which no cell can run as a formula; null cells are empty."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([[cell(value, spared) for value in row] for row in rows])
    return buffer.getvalue().encode("utf-8", "replace")


def cell(value: Any, spared: str = "") -> Any:
    """A value as it may stand in a CSV file: no formula, nothing that cannot be printed but `spared`."""
    if value is None:
        return ""
    if isinstance(value, str):
        clean = "".join(c if c.isprintable() or c in spared else "\ufffd" for c in value)
        return f"'{clean}" if value.startswith(FORMULA) else clean
    return value.isoformat() if isinstance(value, date | datetime) else value
