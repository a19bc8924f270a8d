"""The year: what is due, its removal, and the look inside every file that nothing older is left."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

import retention
import scheduler
from errors import Overdue
from fairwatch import place, show
from fairwatch.options import AsJson, Confirm, Site, opened
from fairwatch.program import Commands
from reports import bundle, certificate
from reports.weekly import index
from retention import Decision, Verification, sentence
from workspace import Workspace

retention_app = typer.Typer(help="The year: plan, purge, verify.", no_args_is_help=True)


@retention_app.command("plan")
def retention_plan(
    as_of: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])] = None,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """What would be removed, what is kept, and why; removes nothing."""
    now = as_of.replace(tzinfo=UTC) if as_of else place.now()
    decisions = retention.planned(place.opened(site), now)
    _show_plan(decisions, json_)


@retention_app.command("purge")
def retention_purge(confirm: Confirm = False, json_: AsJson = False, site: Site = None) -> None:
    """Remove what is past its limit; says done only after a fresh look."""
    ws = place.opened(site)
    with ws.alone(), _told_if_it_fails(ws, "purge"):
        ws.note_settings(place.now())
        done, issued = bundle.purge_certified(ws, place.now(), confirmed=confirm)
        index(ws)
    told = retention.sentence(done.verification)
    if json_:
        show.as_json({"removed": done.removed, **done.verification.as_json(),
                      "certificate": issued.path})  # fmt: skip
    else:
        show.say(f"{len(done.removed)} items removed. {told}\nCertificate: {issued.path}")
    issued.refuse_undelivered()


@retention_app.command("certificate")
def retention_certificate(
    purge: Annotated[
        str | None,
        typer.Option(
            "--purge", help="The act of a purge, or `last`; without it: what is kept now."
        ),
    ] = None,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """A signed bundle: what was removed, what remains, what may be in backups until when."""
    ws = opened(site)
    with ws.alone():
        of = certificate.newest(ws) if purge == "last" else purge
        issued = bundle.certify(ws, place.now(), of)
    if json_:
        show.as_json({"path": issued.path, "sha256": issued.sha256, "mailed": issued.mailed,
                      "checkpoint": issued.checkpoint.as_json(),
                      "certificate": issued.certificate.as_json()})  # fmt: skip
    else:
        show.say(f"{issued.sha256}  {issued.path}")
        show.say(f"mailed: {issued.mailed}" if issued.mailed else "mailed to nobody")
        for gap in issued.checkpoint.gaps:
            show.say(f"gap: {gap}")
    issued.refuse_undelivered()
    if not issued.certificate.clean:
        raise Overdue(
            "The certificate says that it is not clean; see `fairwatch retention verify`."
        )


@retention_app.command("verify")
def retention_verify(json_: AsJson = False, site: Site = None) -> None:
    """Look for overdue event times inside every file of the site folder."""
    ws = place.opened(site)
    with _told_if_it_fails(ws, "verify"):
        found = retention.verify(ws, place.now())
        _show_verification(found, json_)
        if not found.clean:
            raise Overdue(retention.sentence(found))


@contextmanager
def _told_if_it_fails(ws: Workspace, step: str) -> Iterator[None]:
    """What is overdue is mailed and stands in `status` also where a person found it."""
    try:
        yield
    except Overdue as error:
        scheduler.alarm(ws, step, str(error), place.now())
        raise
    scheduler.settled(ws, step)


def _show_plan(decisions: Sequence[Decision], json_: bool) -> None:
    """What would go and what stays."""
    if json_:
        show.as_json({"decisions": decisions})
        return
    rows = [
        ("remove" if d.remove else "keep", d.item.store, d.item.name, d.item.rows, d.due, d.reason)
        for d in decisions
    ]
    show.table("Plan", ("what", "store", "name", "rows", "due", "reason"), rows)


def _show_verification(found: Verification, json_: bool) -> None:
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


COMMANDS: Commands = {"retention": retention_app}
