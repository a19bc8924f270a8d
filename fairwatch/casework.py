"""Cases, the documented way to a named person's data, and their sealed packs."""

from pathlib import Path
from typing import Annotated

import typer

from fairwatch import place, show
from fairwatch.days import derived
from fairwatch.options import ROUTINE, AsJson, By, From, Site, To, answer, look, opened
from fairwatch.program import Commands
from lake.files import sha256
from reports import cases, evidence

case_app = typer.Typer(help="The documented way to a named person's data.", no_args_is_help=True)
evidence_app = typer.Typer(help="Sealed packs for approved cases.", no_args_is_help=True)


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
    info = evidence.verify(pack, place.site_if_any(site))
    show.as_json({"path": pack, "whole": True, **info}) if json_ else show.say(f"{pack}: whole and unchanged (case {info.get('External-Identifier')})")  # fmt: skip


def _case(made: cases.Case, json_: bool, told: str) -> None:
    show.as_json(made) if json_ else show.say(told)


COMMANDS: Commands = {"case": case_app, "evidence": evidence_app}
