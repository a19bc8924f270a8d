"""Lists of hosts as a person meets them: which there are, import, update."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from config.document import read
from config.lists.listfile import (
    FOLDER,
    HIDDEN,
    NAME,
    ListFile,
    ListVersion,
    OwnCategory,
    described,
    list_files,
    meaning,
)
from config.lists.reading import Delivery, ReadList, read_list, syntax_named
from errors import AlreadyThere, NoSuchThing, WrongUsage
from fairwatch import explain, list_change, place, show
from fairwatch.explain import text
from fairwatch.fetch import fetched
from fairwatch.list_change import Change
from fairwatch.options import AsJson, Site, opened
from fairwatch.program import Commands
from lake import catalogue
from lake.age import first_day_kept
from lake.files import write
from lake.write import instant
from workspace import Workspace

lists_app = typer.Typer(help="Lists of hosts: import, update, disputes.", invoke_without_command=True)  # fmt: skip

lists_app.command("disputes")(explain.disputes)

Write = Annotated[bool, typer.Option("--write", help="Apply it; without, only what it would do.")]
Since = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        formats=["%Y-%m-%d"],
        help="First day it holds for; else the first day nothing is stored of.",
    ),
]
Version = Annotated[str | None, typer.Option(help="The list's own version or date.")]
Maps = Annotated[list[str] | None, typer.Option("--map", help="THEIRS=OURS; THEIRS= for nothing.")]


@lists_app.callback()
def lists_(context: typer.Context, json_: AsJson = False, site: Site = None) -> None:
    """Each list: source, version, date, licence, digest, hosts a category."""
    if context.invoked_subcommand:
        return
    ws = place.opened(site)
    described_ = _described(ws)
    if json_:
        show.as_json({"lists": described_})
        return
    header = ("list", "kind", "version", "from", "source", "licence", "digest", "categories")
    show.table("Lists", header, [[text(d[name]) for name in header] for d in described_])


@lists_app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(metavar="FILE")],
    name: Annotated[str, typer.Option(help="What the list is called here.")],
    category: Annotated[str | None, typer.Option(help="Our category of all its hosts.")] = None,
    format_: Annotated[str, typer.Option("--format", help="A syntax, or auto.")] = "auto",
    map_: Maps = None,
    only: Annotated[list[str] | None, typer.Option(help="Of a large list, this category.")] = None,
    columns: Annotated[str, typer.Option(help="Of a table: host=NAME,category=NAME.")] = "",
    below: Annotated[
        bool, typer.Option("--below", help="Exact hosts stand for all below.")
    ] = False,
    licence: Annotated[str, typer.Option(help="Under which it may be used.")] = "not stated",
    source: Annotated[str | None, typer.Option(help="Where it is from.")] = None,
    version: Version = None,
    since: Since = None,
    write_: Write = False,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """Take in a list somebody else keeps; says first whose past days it would alter."""
    ws = opened(site)
    if (ws.folder / FOLDER / f"{_name(name)}.yaml").exists():
        raise AlreadyThere(f"a list called {name!r} is there; see `fairwatch lists update`.")
    mapping = _mapping(map_ or [])
    asked = Delivery(
        syntax_named(format_),
        category,
        frozenset(only or []),
        _columns(columns),
        below,
        lambda own: meaning(own, category, mapping) in HIDDEN,
    )
    read_ = read_list(path, asked)
    made = _version(
        _name(name),
        read_,
        asked,
        mapping,
        _first_day(ws, since),
        source or path.name,
        licence,
        version,
    )
    _carry_out(ws, ListFile(name=name, versions=[made]), read_, write_, json_)


@lists_app.command("update")
def update_(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    file: Annotated[Path | None, typer.Option(help="The new state as a file or folder.")] = None,
    url: Annotated[str | None, typer.Option(help="The new state at an https address.")] = None,
    sha256: Annotated[str | None, typer.Option(help="The digest it must have.")] = None,
    version: Version = None,
    since: Since = None,
    write_: Write = False,
    json_: AsJson = False,
    site: Site = None,
) -> None:
    """A list's new state, by file or from the network; says first whose past days it would alter."""
    ws = opened(site)
    path = ws.folder / FOLDER / f"{_name(name)}.yaml"
    if not path.exists():
        raise NoSuchThing(f"there is no list called {name!r}; `fairwatch lists` shows those there are.")  # fmt: skip
    listed = read(path, ListFile)
    last = listed.versions[-1]
    mapping = {own: c.means for own, c in last.categories.items()}
    one = next(iter({c.means for c in last.categories.values()}), None) if len(mapping) == 1 else None  # fmt: skip
    asked = Delivery(
        last.format,
        one,
        frozenset(mapping) if last.only_these else frozenset(),
        last.columns,
        last.below,
        lambda own: meaning(own, one, mapping) in HIDDEN,
    )
    with ExitStack() as stack:
        read_ = read_list(_new_state(stack, file, url, sha256), asked)
    if sha256 and read_.sha256 != sha256.lower():
        raise WrongUsage(f"--sha256: the file's digest is {read_.sha256}; nothing was used.")
    made = _version(
        _name(name),
        read_,
        asked,
        mapping,
        _first_day(ws, since),
        url or last.source,
        last.licence,
        version,
    )
    kept = _still_needed(ws, [v for v in listed.versions if v.begins < made.begins])
    _carry_out(ws, ListFile(name=name, versions=[*kept, made]), read_, write_, json_)


def _described(ws: Workspace) -> list[dict[str, Any]]:
    files = {f.name: f for f in (read(p, ListFile) for p in list_files(ws.folder))}
    today = place.now().date()
    made = []
    for about in ws.sites.on(today).lists:
        listed = files.get(about.name)
        version = next(
            (v for v in reversed(listed.versions) if v.since == about.since), None
        ) if listed and about.kind == "imported" else None  # fmt: skip
        made.append(
            {
                "list": about.name,
                "kind": about.kind,
                "version": about.version,
                "from": about.since,
                "source": about.source,
                "licence": about.licence,
                "digest": version.sha256 if version else None,
                "categories": {
                    own: {"as": c.means, "hosts": c.hosts} for own, c in version.categories.items()
                }
                if version
                else None,
            }
        )
    waiting = [(f.name, v) for f in files.values() for v in f.versions if v.begins > today]
    return made + [
        {
            "list": name,
            "kind": "imported, not yet in force",
            "version": v.version,
            "from": v.since,
            "source": v.source,
            "licence": v.licence,
            "digest": v.sha256,
            "categories": None,
        }
        for name, v in waiting
    ]


def _carry_out(ws: Workspace, listed: ListFile, read_: ReadList, apply: bool, json_: bool) -> None:
    """Say what a change would mean, then make it if that is asked for."""
    change = list_change.assessed(ws, listed, read_)
    if not json_:
        list_change.tell(change)
    if apply:
        with ws.alone():
            _apply(ws, change)
            ws.note_settings(place.now())
    if json_:
        show.as_json(list_change.as_json(change, apply))
    else:
        show.say(
            f"applied: it holds for lines {change.days}, read from now on"
            if apply
            else "nothing was changed; add --write to apply it"
        )


def _apply(ws: Workspace, change: Change) -> None:
    """Index, then description: a description never names an index that is not there."""
    folder, work = ws.folder / FOLDER, ws.folder / "work"
    write(folder / change.version.index, change.read.index, work)
    write(folder / f"{change.name}.yaml", described(change.listed), work)
    wanted = {v.index for v in change.listed.versions}
    for path in folder.glob(f"{change.name}-*.idx"):
        if path.name not in wanted and path.name[len(change.name) + 1 :].count("-") == 0:
            path.unlink()
    version = change.version
    with ws.state.change() as transaction:
        transaction.act(
            "list",
            time=place.now(),
            actor=ws.actor,
            list=change.name,
            version=version.version,
            first_day=version.since and version.since.isoformat(),
            sha256=version.sha256,
            index_sha256=version.index_sha256,
            hosts=sum(c.hosts for c in version.categories.values()),
            impact=[list_change.counted(i) for i in change.impacts],
        )


def _version(
    name: str,
    read_: ReadList,
    asked: Delivery,
    mapping: Mapping[str, str | None],
    since: date | None,
    source: str,
    licence: str,
    version: str | None,
) -> ListVersion:
    digest = hashlib.sha256(read_.index).hexdigest()
    return ListVersion(
        version=version or f"sha256:{read_.sha256[:12]}",
        since=since,
        source=source,
        licence=licence,
        format=read_.syntax,
        sha256=read_.sha256,
        index=f"{name}-{digest[:12]}.idx",
        index_sha256=digest,
        categories={
            own: OwnCategory(means=meaning(own, asked.category, mapping), hosts=count)
            for own, count in read_.hosts.items()
        },
        left_out={reason: count for reason, (count, _) in read_.left_out.items()},
        only_these=bool(asked.only),
        columns=dict(asked.columns),
        below=asked.below,
    )


def _first_day(ws: Workspace, asked: datetime | None) -> date | None:
    """The day asked for, or the first that nothing is stored of: no day is judged by two lists."""
    if asked:
        return asked.date()
    with ws.state.read() as connection:
        span = catalogue.span(connection, "events")
    return instant(span[1]).date() + timedelta(days=1) if span else None


def _still_needed(ws: Workspace, found: Sequence[ListVersion]) -> list[ListVersion]:
    """Versions that may still judge a day that is kept: the last one before it, and all after."""
    oldest = first_day_kept(place.now(), ws.settings.retention.events)
    before = [v for v in found if v.begins <= oldest]
    return [*before[-1:], *(v for v in found if v.begins > oldest)]


def _new_state(stack: ExitStack, file: Path | None, url: str | None, sha256: str | None) -> Path:
    if (file is None) == (url is None):
        raise WrongUsage("expected either --file F or --url U.")
    if file is not None:
        return file
    if not sha256 or len(sha256) != 64:
        raise WrongUsage("--url: expected --sha256 with the 64 digits of the digest beside it.")
    return stack.enter_context(fetched(url or "", sha256))


def _name(name: str) -> str:
    if not re.fullmatch(NAME, name):
        raise WrongUsage(f"--name: found {name!r}; expected letters, digits, `-` and `_`.")
    return name


def _mapping(pairs: Sequence[str]) -> dict[str, str | None]:
    made: dict[str, str | None] = {}
    for pair in pairs:
        theirs, sign, ours = pair.partition("=")
        if not sign or not theirs:
            raise WrongUsage(f"--map: found {pair!r}; expected THEIRS=OURS.")
        made[theirs] = ours or None
    return made


def _columns(text: str) -> dict[str, str]:
    made = {}
    for pair in filter(None, text.split(",")):
        what, sign, name = pair.partition("=")
        if not sign or what not in ("host", "category"):
            raise WrongUsage(f"--columns: found {pair!r}; expected host=NAME,category=NAME.")
        made[what] = name
    return made


COMMANDS: Commands = {"lists": lists_app}
