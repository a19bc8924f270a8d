"""Subject access: everything held on a person, where it is from, who looked, in one bundle for that person."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from errors import NoSuchThing, NotPermitted, WrongUsage
from holds import holds
from lake.age import due, first_day_kept
from lake.files import publish, sha256
from lake.stores import STORES
from lake.witness.look import look
from reports.bag import Writer
from reports.evidence import csv_bytes
from reports.render import NBSP
from reports.subject_looks import Look, looks
from reports.subject_page import page
from reports.subject_records import Records, log_files, records
from reports.subject_rows import Gathered, write_rows
from rights import register
from rights.register import Right
from state.tables import CASE, FINDING, REVIEW
from subjects import Span, everything, whom
from workspace import Workspace

HOW_TO_CHECK = """\
How to check that these files are as they were made
===================================================

1. Unpack the zip. In the folder that appears, run

       sha256sum -c manifest-sha256.txt
       sha256sum -c tagmanifest-sha256.txt

   (on Windows: Get-FileHash FILE, and compare with the manifest). Every line must say OK.
2. Compare the SHA-256 of the zip itself with the one you were given by another way, and with the
   one in the organisation's ledger (act "access build").
3. data/log-files.csv names the log files the lines of data/lines.csv stand in, with their SHA-256;
   the columns `file` and `line` say which line of which file. You may ask to be shown them.

Cells of the CSV files that a spreadsheet could take for a formula begin with an apostrophe. Times
are UTC; dates in words are on the organisation's clock. A date that stands in a name (of a user, of
a host) is written in words. The column `kept` says where a row is: in use, restricted
(stored, and read by no question), or kept by a legal hold alone.
"""


@dataclass(frozen=True)
class Bundle:
    """A bundle as it lies in the site folder; the purge removes it on `due`.

    `beyond`: rows past the year by the legal hold that keeps them; no file here may hold them, and
    `fairwatch hold export` hands them over.
    """

    right: Right
    path: Path
    sha256: str
    due: date
    beyond: dict[str, int]


def access(ws: Workspace, person: str, request: str, by: str, now: datetime) -> Bundle:
    """Bundle everything held on a person; the look is in the ledger before the data is read.

    The caller holds the site's lock. Raises NoSuchThing for somebody nothing is held on, NotPermitted
    for the person themselves and for accounts that are no person's, WrongUsage, NoKey. Cut short, it
    leaves a request under way, and is asked for again.
    """
    who = _whom(ws, person)
    span = everything(ws, who, now)
    with ws.state.change() as change:
        made = register.ask(ws, change, "access", span, request, by, now)
        change.act("look", time=now, actor=ws.actor, what="subject access", person=who, by=made.by,
                   request=request, right=made.id, first_day=str(span.first), last_day=str(span.last))  # fmt: skip
    work = ws.folder / "work" / f"{made.id}.zip.tmp"
    work.parent.mkdir(parents=True, exist_ok=True)
    try:
        gathered = _write(ws, work, made, span, now)
        path = ws.folder / "access" / f"{made.id}.zip"
        publish(work, path)
    except BaseException:
        work.unlink(missing_ok=True)
        raise
    digest = sha256(path)
    with ws.state.change() as change:
        register.note(change, made.id, state="done")
        change.act("access build", time=now, actor=ws.actor, right=made.id, sha256=digest)
    done = register.right(ws, made.id)
    return Bundle(done, path, digest, _due(ws, path, now), gathered.beyond)


def _whom(ws: Workspace, text: str) -> str:
    """The name the person's rows are stored under; also of somebody only records are left of."""
    known = ws.people.login(text)
    if known is not None and not known.human:
        raise NotPermitted(
            f"{text!r} is a {known.kind} account in {ws.settings.people}: its rows are nobody's own, "
            f"and are given to nobody."
        )
    if ws.people.match(text).several:
        raise WrongUsage(
            f"PERSON: {text!r} fits several people of {ws.settings.people}; give the user as it "
            f"stands there."
        )
    try:
        return whom(ws, text)
    except NoSuchThing:
        named = [select(t.c.person).where(t.c.person == text) for t in (FINDING, REVIEW, CASE)]
        with ws.state.read() as connection:
            if any(connection.execute(query).first() for query in named):
                return text
        if any(h.person == text for h in holds(ws, in_force=True)):
            return text
        raise


def _write(ws: Workspace, path: Path, made: Right, span: Span, now: datetime) -> Gathered:
    bundle = Writer(path, made.id)
    try:
        limit = first_day_kept(now, ws.settings.retention.access)
        gathered = write_rows(ws, bundle, span, limit)
        on_record = records(ws, span.person, limit, made.id)
        seen = looks(ws, span.person, on_record.ids)
        for name, content in _files(ws, span.person, on_record, gathered, seen).items():
            bundle.add(name, content)
        bundle.add("index.html", page(ws, made, span.person, gathered, on_record, seen, now))
        bundle.finish(
            {
                "External-Identifier": made.id,
                "Source-Organization": ws.settings.organisation.name,
                "Bagging-Date": now.astimezone(UTC).date().isoformat(),
                "Bag-Software-Agent": "Fairwatch",
                "External-Description": "What is held on a person, made for that person",
            }
        )
    except BaseException:
        bundle.abandon()
        raise
    return gathered


def _files(
    ws: Workspace, person: str, on_record: Records, gathered: Gathered, seen: Sequence[Look]
) -> dict[str, bytes]:
    """All members but the rows and the page; lists without a row are there, too: that says something."""
    return {
        "HOW-TO-CHECK.txt": HOW_TO_CHECK.encode(),
        "findings.json": json.dumps(
            on_record.findings, indent=1, sort_keys=True, ensure_ascii=False
        ).encode("utf-8", "replace"),
        "reviews.csv": _table(on_record.reviews),
        "cases.csv": _table(on_record.cases),
        "packs.csv": _table(on_record.packs),
        "requests.csv": _table(on_record.requests),
        "holds.csv": _table(on_record.holds),
        "people.csv": _table(on_record.people),
        "leave.csv": _table(on_record.leave),
        "calibration.json": json.dumps(on_record.calibration, indent=1, sort_keys=True).encode(),
        "log-files.csv": _table(log_files(ws, person, gathered.files)),
        "who-looked.csv": _table([asdict(one) for one in seen]),
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Plain rows as CSV; without any, a line that says so. A no-break space marks a date of no event."""
    if not rows:
        return csv_bytes(["nothing is held"], [])
    names = list(rows[0])
    return csv_bytes(names, [[row.get(name) for name in names] for row in rows], spared=NBSP)


def _due(ws: Workspace, path: Path, now: datetime) -> date:
    """When the purge removes it, by what the witness sees in it."""
    store = next(s for s in STORES if s.name == "access")
    today = now.astimezone(UTC).date()
    seen = look(path, store, date.min, today)
    return due(seen.oldest or today, ws.settings.retention.access)
