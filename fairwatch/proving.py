"""`fairwatch ledger`: who did what, and how somebody else can hold it against us."""

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from errors import NoSuchThing, WrongUsage
from fairwatch import place, show
from fairwatch.options import AsJson, Site, opened
from fairwatch.program import Commands
from lake.files import sha256
from proofs import consistency, inclusion
from proofs.note import Checkpoint
from proofs.tree import Tree, Unknown
from reports import checkpoints
from workspace import Workspace

ledger_app = typer.Typer(help="Who did what, and its proofs.", no_args_is_help=True)
LINE = re.compile(r"(?:(\d{4}-\d{2})(?:\.jsonl)?:)?([1-9]\d{0,17})")
Out = Annotated[Path | None, typer.Option("--out", help="Write here instead of printing.")]
Of = Annotated[
    Path | None, typer.Option("--checkpoint", help="A checkpoint file; the newest kept here.")
]


@ledger_app.command("verify")
def verify(
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", help="A published checkpoint, a folder of them, or a consistency proof."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="The public key (PEM) that --against is signed by.")
    ] = None,
    json_: AsJson = False,
    site: Site = None,
) -> None:  # fmt: skip
    """Check the whole chain and all checkpoints; names the first line that does not fit."""
    ws = place.opened(site)
    found = checkpoints.verify(ws, against or [], key)
    gaps = checkpoints.gaps(ws)
    if json_:
        show.as_json({**vars(found), "root": found.root.hex(), "gaps": gaps, "whole": True})
        return
    show.say(f"{found.lines} acts, unbroken; head {found.head}")
    if found.acts > found.lines:
        show.say(f"{found.acts - found.lines} older acts were dropped; what they left fits")
    show.say(f"{found.checkpoints} checkpoints compared: none contradicts")
    for gap in gaps:
        show.say(f"gap: {gap}")


@ledger_app.command("export")
def export(site: Site = None) -> None:
    """All acts as JSON lines, byte for byte as they stand in the segments."""
    ws = place.opened(site)
    sys.stdout.flush()
    for path in ws.ledger.segments():
        sys.stdout.buffer.write(path.read_bytes())
    sys.stdout.buffer.flush()


@ledger_app.command("checkpoint")
def checkpoint(
    mail: Annotated[bool, typer.Option("--mail", help="Mail it to the officer, too.")] = False,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Sign what the ledger is now, and put it where the settings say."""
    ws = opened(site)
    with ws.alone():
        made = checkpoints.make(ws, place.now())
        made = checkpoints.mailed(ws, made, place.now()) if mail else made
    if json_:
        show.as_json(made.as_json())
    else:
        show.say(made.path.read_text("utf-8").rstrip())
        show.say(f"\nwrote {made.path}")
        for where in made.published:
            show.say(f"published: {where}")
        if made.stamped:
            show.say(f"time stamp: {made.stamped:%Y-%m-%d %H:%M:%S} UTC, {made.stamp}")
        for gap in made.gaps:
            show.say(f"gap: {gap}")
    checkpoints.refuse_unpublished(made)


@ledger_app.command("prove")
def prove(
    line: Annotated[str, typer.Argument(metavar="LINE", help="2026-11:17, or an act's number.")],
    of: Of = None,
    out: Out = None,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """That an act stands in the ledger a checkpoint tells of; with --out as files in a folder."""
    ws = place.opened(site)
    point, path = _point(ws, of)
    tree = _held(ws, point, path)
    seq, raw = _act(ws, line)
    if seq > point.size:
        raise NoSuchThing(
            f"act {seq}: {path} covers only {point.size} acts; first: fairwatch ledger checkpoint"
        )
    proof = inclusion.prove(tree, seq, point)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in (
            ("act.jsonl", raw),
            ("inclusion.txt", proof.text().encode()),
            ("checkpoint.txt", path.read_bytes()),
        ):
            (out / name).write_bytes(content)
    facts = {"act": seq, "line": raw.decode(), "size": point.size, "root": point.root.hex(),
             "proof": proof.text(), "checkpoint": path.read_text("utf-8"), "out": out}  # fmt: skip
    _told(facts, json_, out, proof.text())


@ledger_app.command("consistency")
def consistency_(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A checkpoint file, or its size.")],
    of: Of = None,
    out: Out = None,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """That the ledger of a checkpoint only added to the one of an older checkpoint."""
    ws = place.opened(site)
    point, path = _point(ws, of)
    tree = _held(ws, point, path)
    size = int(old) if old.isdigit() else checkpoints.read(Path(old)).size
    if not old.isdigit():
        _held(ws, checkpoints.read(Path(old)), Path(old))
    if not 0 < size <= point.size:
        raise WrongUsage(f"OLD: found {size} acts; expected 1 to the {point.size} of {path}.")
    try:
        proof = consistency.prove(tree, point.origin, size, point.size)
    except Unknown:
        raise NoSuchThing(
            f"{size} acts: no checkpoint was made there, and these acts have been dropped."
        ) from None
    if out is not None:
        out.write_text(proof.text(), "utf-8")
    facts = {"from": size, "to": point.size, "proof": proof.text(), "out": out,
             "checkpoint": path.read_text("utf-8")}  # fmt: skip
    _told(facts, json_, out, proof.text())


@ledger_app.command("rotate-key")
def rotate_key(
    lost: Annotated[bool, typer.Option("--lost", help="The old key is gone and signs nothing.")] = False,
    json_: AsJson = False,
    site: Site = None,
) -> None:  # fmt: skip
    """Change the signing key; the old one signs the change, and a checkpoint follows."""
    ws = opened(site)
    with ws.alone():
        mark = checkpoints.rotate(ws, place.now(), lost=lost)
        made = checkpoints.make(ws, place.now())
    public = ws.folder / "keys" / "signing.pub.pem"
    facts = {"key": mark, "public": public, "sha256": sha256(public), **made.as_json()}
    show.as_json(facts) if json_ else show.say(
        f"new key {mark}\nGive {public} to whoever checks; checkpoint {made.path}"
    )
    checkpoints.refuse_unpublished(made)


def _told(facts: dict[str, Any], json_: bool, out: Path | None, text: str) -> None:
    if json_:
        show.as_json(facts)
    else:
        show.say(f"wrote {out}" if out is not None else text.rstrip())


def _point(ws: Workspace, of: Path | None) -> tuple[Checkpoint, Path]:
    if of is not None:
        return checkpoints.read(of), of
    found = checkpoints.newest(ws)
    if found is None:
        raise NoSuchThing("no checkpoint was made yet; first: fairwatch ledger checkpoint")
    return found


def _held(ws: Workspace, point: Checkpoint, path: Path) -> Tree:
    """The tree, where it is the one the checkpoint tells of: nothing is proven of another."""
    checkpoints.verify(ws, [path])
    return ws.ledger.tree()[0]


def _act(ws: Workspace, line: str) -> tuple[int, bytes]:
    match = LINE.fullmatch(line)
    if match is None:
        raise WrongUsage(f"LINE: found {line!r}; expected 2026-11:17, or an act's number.")
    number = int(match[2])
    if match[1] is None:
        found = ws.ledger.find(number)
        if found is None:
            raise NoSuchThing(f"act {number}: {ws.ledger.place(number)}")
        return number, found[1]
    path = ws.ledger.folder / f"{match[1]}.jsonl"
    if path not in ws.ledger.segments():
        raise NoSuchThing(f"ledger/{path.name}: there is no such segment, or it was dropped.")
    for one in ws.ledger.lines():
        if (one.segment, one.number) == (path.name, number):
            return int(one.act["seq"]), path.read_bytes().splitlines(keepends=True)[number - 1]
    raise NoSuchThing(f"ledger/{path.name}: has no line {number}.")


COMMANDS: Commands = {"ledger": ledger_app}
