"""Commands in groups: managers' reports, cases, evidence, the year, the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

import retention
import scheduler
from errors import Overdue
from fairwatch import answers, doctor, place, show
from fairwatch.findings import findings_app
from fairwatch.holds import hold_app
from fairwatch.keys import keys_app
from fairwatch.lists import lists_app
from fairwatch.options import (
    ROUTINE,
    AsJson,
    By,
    Confirm,
    From,
    Site,
    To,
    answer,
    derived,
    last_week,
    look,
    opened,
    week_of,
)
from fairwatch.people import people_app
from fairwatch.proving import ledger_app
from fairwatch.subject import subject_app
from lake.files import sha256
from reports import bundle, cases, certificate, evidence, mail
from reports.weekly import index, weekly
from workspace import Workspace

report_app = typer.Typer(help="Managers' summaries.", no_args_is_help=True)
case_app = typer.Typer(help="The documented way to a named person's data.", no_args_is_help=True)
evidence_app = typer.Typer(help="Sealed packs for approved cases.", no_args_is_help=True)
retention_app = typer.Typer(help="The year: plan, purge, verify.", no_args_is_help=True)
GROUPS = {
    "findings": findings_app,
    "report": report_app,
    "case": case_app,
    "evidence": evidence_app,
    "retention": retention_app,
    "ledger": ledger_app,
    "keys": keys_app,
    "lists": lists_app,
    "people": people_app,
    "hold": hold_app,
    "subject": subject_app,
}


@report_app.command("weekly")
def report_weekly(
    week: Annotated[str | None, typer.Option(help="Such as 2026-W45; the last one.")] = None,
    team: Annotated[str | None, typer.Option(help="A manager's user name.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Mail each manager their page.")] = False,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Managers' summaries: one page a team, no names."""
    asked = None if week is None else week_of(week)
    ws = derived(site)
    with ws.alone():
        written = weekly(ws, asked or last_week(ws), place.now(), team)
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
    ws = opened(site)
    made = cases.open_case(ws, person, first.date(), last.date(), reason, note, by, place.now())
    _case(
        made,
        json_,
        f"{made.id} opened; now a second person: fairwatch case approve {made.id} --by NAME",
    )


@case_app.command("approve")
def case_approve(id_: Annotated[str, typer.Argument(metavar="CASE")], by: By, json_: AsJson = False, site: Site = None) -> None:  # fmt: skip
    """Agree, as a second person, that a case's data may be opened."""
    made = cases.approve(opened(site), id_, by, place.now())
    _case(made, json_, f"{id_} approved; now: fairwatch evidence build {id_}")


@case_app.command("close")
def case_close(id_: Annotated[str, typer.Argument(metavar="CASE")], by: By, json_: AsJson = False, site: Site = None) -> None:  # fmt: skip
    """End a case: nothing more can be built for it."""
    _case(cases.close(opened(site), id_, by, place.now()), json_, f"{id_} closed")


@case_app.command("list")
def case_list(json_: AsJson = False, site: Site = None) -> None:
    """All cases and where they stand."""
    ws = opened(site)
    look(ws, {"what": "cases", "reason": ROUTINE})
    answer("Cases", cases.Case, cases.cases(ws), False, json_)


@evidence_app.command("build")
def evidence_build(id_: Annotated[str, typer.Argument(metavar="CASE")], json_: AsJson = False, site: Site = None) -> None:  # fmt: skip
    """Build the sealed pack of an approved case."""
    ws = derived(site)
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
        answers.show_verification(found, json_)
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


def _case(made: cases.Case, json_: bool, told: str) -> None:
    show.as_json(made) if json_ else show.say(told)
