"""A hold's copy, handed to whoever the matter is before: a sealed pack of CSV files."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from errors import AlreadyThere, NotPermitted, WrongUsage
from holds import Hold, hold, read
from lake.datasets import PERSONAL, RECORDS
from lake.files import sha256
from reports import bag
from reports.evidence import cell
from reports.rows_csv import columns_of, schema_of
from subjects import refuse_self, same_person
from workspace import Workspace

README = """\
What this is
============

A copy of one person's rows of a period, kept under a legal hold. One file a dataset; what their columns
mean: docs/formats-on-disk.md of Fairwatch. records.csv: what findings, reviews and cases said of the
person. Check: sha256sum -c manifest-sha256.txt. Cells that a spreadsheet could take for a formula begin
with an apostrophe. Outside the site folder nobody purges this copy but whoever keeps it.
"""


def export(
    ws: Workspace, id_: str, to: Path, note: str, people: tuple[str, str], now: datetime
) -> str:
    """Write a hold's copy to `to`; its SHA-256. The look is in the ledger before the data is read.

    Raises WrongUsage for a place inside the site folder, AlreadyThere, NotPermitted where two people,
    neither of them the one concerned, do not agree.
    """
    known = hold(ws, id_)
    if known.released is not None:
        raise NotPermitted(f"{known.id} was released; its copy is gone.")
    if not note.strip():
        raise WrongUsage("--note: expected to whom it goes and why.")
    by = refuse_self(ws, known.person, people[0], "--by")
    second = refuse_self(ws, known.person, people[1], "--approved-by")
    if same_person(ws, by, second):
        raise NotPermitted("--approved-by: expected a second person.")
    if to.resolve().is_relative_to(ws.folder):
        raise WrongUsage(f"--to: found {to}; expected a place outside the site folder.")
    if to.exists():
        raise AlreadyThere(f"{to}: is there already; name another file.")
    with ws.state.change() as change:
        change.act("look", time=now, actor=ws.actor, what="hold export", hold=known.id, person=known.person,
                   by=by, approved_by=second, reason=note)  # fmt: skip
    to.parent.mkdir(parents=True, exist_ok=True)
    half = to.with_name(f"{to.name}.part")
    try:
        _write(ws, known, half, now)
        half.rename(to)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    digest = sha256(to)
    with ws.state.change() as change:
        change.act("hold export", time=now, actor=ws.actor, hold=known.id, sha256=digest)
    return digest


def _write(ws: Workspace, known: Hold, path: Path, now: datetime) -> None:
    bundle = bag.Writer(path, known.id)
    try:
        bundle.add("READ-ME.txt", README.encode())
        for dataset in (*PERSONAL, RECORDS):
            schema = schema_of(dataset)
            name = f"{dataset.name}.csv"
            with bundle.member(name) as file, pa_csv.CSVWriter(file, schema) as writer:
                for table in read(ws, known.id, dataset):
                    columns = columns_of(dataset.whole(table), dataset, cell)
                    writer.write_table(pa.table(columns, schema=schema))
        bundle.finish(
            {
                "External-Identifier": known.id,
                "Source-Organization": ws.settings.organisation.name,
                "Bagging-Date": now.date().isoformat(),
                "Bag-Software-Agent": "Fairwatch",
            }
        )
    except BaseException:
        bundle.abandon()
        raise
