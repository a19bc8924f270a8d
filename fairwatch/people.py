"""Commands about the list of people: bring it up to date, and explain whose a login or address is."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from config.people import Person, is_address, read_people
from config.roster import COLUMNS, Entry, Merge, merged, rows_of, text_of
from errors import BadConfiguration, UnreadableInput, UnsafeDeletion, WrongUsage
from fairwatch import directory, place, scim, show
from fairwatch.options import ROUTINE, YEARS, AsJson, Confirm, Site, Why, look, opened
from fairwatch.program import Commands
from ingest.addresses.records import FOREVER
from ingest.identity import Answer, known_identities
from lake.age import first_day_kept
from lake.files import write
from workspace import Workspace

people_app = typer.Typer(help="The list of people.", no_args_is_help=True)
LARGEST_CSV = 64 << 20
SHARE = 0.5
"""An import that would end more than this share of the people looks like an export cut short."""


@people_app.command("import")
def people_import(
    source: Annotated[Literal["ldap", "scim", "csv"], typer.Option("--from", help="What to read.")],
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="For scim and csv.")] = None,
    write_: Annotated[bool, typer.Option("--write", help="Write people.csv.")] = False,
    confirm: Confirm = False,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Bring people.csv up to date from a directory; shows what would change, drops nobody."""
    ws = opened(site)
    path = ws.folder / ws.settings.people
    with ws.alone():
        # Under the lock: what is shown is what is written, and two imports cannot cross.
        made = _merge(ws, path, source, file)
        if write_ and made.differs:
            _not_too_many(made, path, confirm)
            _write(ws, path, made, source)
    _show(made, write_, json_)


def _merge(ws: Workspace, path: Path, source: str, file: Path | None) -> Merge:
    if (source == "ldap") != (file is None):
        expected = "no FILE: the server stands in fairwatch.yaml" if file else "a FILE"
        raise WrongUsage(f"--from {source}: expected {expected}.")
    old = rows_of(path.read_text("utf-8-sig")) if path.exists() else []
    today = place.now().astimezone(ws.settings.zone).date()
    if file is None:
        if ws.settings.directory is None:
            raise BadConfiguration(
                "fairwatch.yaml, key `directory`: found nothing; expected the LDAP server's url, base "
                "and bind, as docs/identity.md shows."
            )
        return merged(old, directory.entries(ws.settings.directory, ws.folder), today)
    return merged(old, scim.entries(file) if source == "scim" else _from_csv(file), today)


def _from_csv(path: Path) -> list[Entry]:
    """Another list with the same columns. Raises UnreadableInput for what is none."""
    try:
        if path.stat().st_size > LARGEST_CSV:
            raise UnreadableInput(f"{path}: larger than {LARGEST_CSV >> 20} MiB.")
        found = rows_of(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableInput(f"{path}: expected CSV in UTF-8 ({type(error).__name__}).") from None
    if not found or "user" not in found[0]:
        raise UnreadableInput(f"{path}: expected a column `user` and at least one row.")
    return [Entry({k: v for k, v in row.items() if k in COLUMNS}) for row in found]


def _not_too_many(made: Merge, path: Path, confirm: bool) -> None:
    were = len(made.left) + sum(not r.get("to") for r in made.rows) - len(made.added)
    if len(made.left) > SHARE * were and len(made.left) > 1 and not confirm:
        raise UnsafeDeletion(
            f"{path}: {len(made.left)} of {were} people would leave at once, as if the export were "
            f"cut short; nothing was written. If it is right, say --confirm."
        )


def _write(ws: Workspace, path: Path, made: Merge, source: str) -> None:
    """Check the new file as it will be read, then put it in the place of the old one."""
    text = text_of(made.rows)
    trial = ws.folder / "work" / "people-import.csv"
    trial.parent.mkdir(exist_ok=True)
    try:
        trial.write_text(text, "utf-8")
        read_people(trial)
    finally:
        trial.unlink(missing_ok=True)
    final = path.resolve()
    work = ws.folder / "work" if final.is_relative_to(ws.folder) else final.parent
    write(final, text.encode("utf-8"), work)
    ws.ledger.append("people import", time=place.now(), actor=ws.actor, source=source,
                     added=len(made.added), changed=len(made.changed), left=len(made.left),
                     refused=len(made.refused))  # fmt: skip


def _show(made: Merge, written: bool, json_: bool) -> None:
    if json_:
        facts = {k: v for k, v in asdict(made).items() if k not in ("rows", "first")}
        facts["changed"] = [list(pair) for pair in made.changed]
        show.as_json({**facts, "written": written and made.differs})
        return
    for sign, users in (("+", made.added), ("-", made.left)):
        for user in users:
            show.say(f"{sign} {user}")
    for user, what in made.changed:
        show.say(f"~ {user}  {what}")
    for told in made.refused:
        show.say(f"! {told}")
    counts = f"{len(made.added)} new, {len(made.changed)} changed, {len(made.left)} left"
    done = "written" if written and made.differs else "nothing written"
    advice = "" if written or not made.differs else "; --write writes it"
    show.say(f"{counts}, {len(made.refused)} refused; {done}{advice}")


@dataclass(frozen=True)
class Evidence:
    """A record of a feed that held at the instant."""

    feed: str
    kind: str
    start: str
    end: str
    says: str


@dataclass(frozen=True)
class Explained:
    """Whose a login or an address is at an instant, by the files as they are now."""

    asked: str
    at: str
    name: str | None
    grade: str
    person: bool
    row: Person | None
    steps: Sequence[str]
    evidence: Sequence[Evidence]
    problems: Sequence[str]


def who(
    asked: Annotated[str, typer.Argument(metavar="USER|ADDRESS")],
    at: Annotated[str, typer.Argument(metavar="AT", help="Such as 2026-11-20T10:30.")],
    json_: AsJson = False,
    reason: Why = ROUTINE,
    site: Site = None,
) -> None:
    """Explain whose a login or an address is at an instant, step by step."""
    ws = opened(site)
    moment = _moment(ws, at)
    day = f"{moment:%Y-%m-%d}"
    look(ws, {"what": "who", "asked": asked[:200], "reason": reason, "first_day": day, "last_day": day})  # fmt: skip
    found = explained(ws, asked, moment)
    if json_:
        show.as_json({"who": _plain(found)})
        return
    show.say(f"{asked} at {moment.astimezone(ws.settings.zone):%Y-%m-%d %H:%M:%S %Z}")
    for number, step in enumerate(found.steps, 1):
        show.say(f"  {number}. {step}")
    for one in found.evidence:
        show.say(f"  {one.feed} ({one.kind}): {one.says}, {one.start} to {one.end}")
    for problem in found.problems:
        show.say(f"  ! {problem}")
    show.say(f"grade {found.grade}: {found.name if found.person else 'nobody'}")
    show.say("By the files as they are now; a line keeps what it was given when it was read.")


def explained(ws: Workspace, asked: str, moment: datetime) -> Explained:
    """The answer ingest would give now for a line at `moment`."""
    known = known_identities(ws, first_day_kept(place.now(), ws.settings.retention.events))
    stamp, client = int(moment.timestamp() * 1000), is_address(asked.partition("%")[0])
    day = moment.astimezone(UTC).date()
    owners = known.leases.at(asked, stamp) if client and known.leases else ()
    answer: Answer = (
        known.explain(None, asked, day, owners) if client else known.explain(asked, None, day)
    )
    kinds = {f.name: f.kind for f in ws.settings.identity}
    spans = known.leases.spans(asked, stamp) if client else ()
    evidence = [
        Evidence(feed, kinds[feed], _instant(a), _instant(b), says) for feed, a, b, says in spans
    ]
    problems = [f"{t.name}: {p}" for t in known.leases.tallies for p in t.problems]
    problems += [
        f"{t.name}: {count:,} records not understood: {why}"
        for t in known.leases.tallies
        for why, count in t.broken.items()
    ]
    whose = answer.grade in ("login", "assigned", "lease")
    return Explained(asked, moment.astimezone(UTC).isoformat(), answer.name, answer.grade, whose,
                     answer.person, answer.steps, evidence, problems)  # fmt: skip


def _plain(found: Explained) -> dict[str, object]:
    row = found.row
    short = row and {k: getattr(row, k) for k in ("user", "name", "kind", "department", "manager")}
    dates = row and {"from": row.start, "to": row.end}
    return {
        **{k: getattr(found, k) for k in ("asked", "at", "name", "grade", "person")},
        "row": {**short, **dates} if short and dates else None,
        "steps": list(found.steps),
        "evidence": [asdict(e) for e in found.evidence],
        "problems": list(found.problems),
    }


def _moment(ws: Workspace, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        moment = found if found.tzinfo else found.replace(tzinfo=ws.settings.zone)
        if len(text) > 10 and YEARS[0] <= moment.year <= YEARS[1]:
            return moment
    except ValueError:
        pass
    raise WrongUsage(f"AT: found {text!r}; expected an instant such as 2026-11-20T10:30.")


def _instant(stamp: int) -> str:
    """Milliseconds as UTC; the ends of time in words."""
    if stamp <= 0 or stamp >= FOREVER:
        return "further notice" if stamp else "the beginning"
    return datetime.fromtimestamp(stamp / 1000, UTC).isoformat()


COMMANDS: Commands = {"people": people_app, "who": who}
