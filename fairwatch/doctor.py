"""`fairwatch doctor`: what is wrong with this installation, and how to mend it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path

from errors import BadConfiguration, FairwatchError, NoSuchThing
from fairwatch import place, show
from fairwatch.keys import standing
from fairwatch.options import AsJson, Site
from fairwatch.program import Commands
from ingest.arrival import Fault
from ingest.discover import discover, release
from ingest.identity import known_identities
from lake.age import first_day_kept
from lake.master import CommandCustody, FileCustody
from proofs.signing import PRIVATE
from reports import checkpoints
from scheduler import keep_trace, wordless
from workspace import Workspace, open_site

ROOM = 5 << 30


@dataclass(frozen=True)
class Complaint:
    """One thing that was looked at: `ok`, `warning` or `wrong`, and what to do."""

    what: str
    state: str
    advice: str


def doctor(json_: AsJson = False, site: Site = None) -> None:
    """What is wrong with this installation and how to mend it."""
    examine(place.find_site(site), place.now(), place.actor(), json_)


def examine(folder: Path, now: datetime, actor: str, json_: bool) -> None:
    """Look at settings, sources, people, policy, disk and ledger.

    Raises BadConfiguration where something is wrong, NoSuchThing where there is no folder.
    """
    if not folder.is_dir():
        raise NoSuchThing(
            f"{folder}: there is no such folder; `fairwatch init {folder} --policy b3` makes one."
        )
    found = [*_machine(folder)]
    try:
        ws = open_site(folder, actor, os.environ)
    except FairwatchError as error:
        found.append(Complaint("settings", "wrong", str(error)))
    else:
        for check in (_sources, _people, _addresses, _policy, _names, _mail, _keys, _ledger, _key):
            found += [*check(ws, now)]
    if json_:
        show.as_json({"checks": found})
    else:
        show.table(
            "Doctor", ("what", "state", "advice"), [(c.what, c.state, c.advice) for c in found]
        )
    if any(c.state == "wrong" for c in found):
        raise BadConfiguration("something is wrong; see above.")


Check = Callable[[Workspace, datetime], Iterator[Complaint]]


def _machine(folder: Path) -> Iterator[Complaint]:
    python = ".".join(str(n) for n in sys.version_info[:3])
    yield Complaint("Python", "ok", python)
    engines = ", ".join(f"{name} {metadata.version(name)}" for name in ("duckdb", "pyarrow"))
    yield Complaint("libraries", "ok", engines)
    free = shutil.disk_usage(folder).free
    state = "ok" if free > ROOM else "warning"
    yield Complaint("disk", state, f"{free / (1 << 30):.1f} GiB free")
    mode = folder.stat().st_mode & 0o007
    if mode:
        yield Complaint(
            "rights", "warning", f"everybody on this machine can enter {folder}: chmod o= {folder}"
        )


def _sources(ws: Workspace, _: datetime) -> Iterator[Complaint]:
    if not ws.settings.sources:
        yield Complaint(
            "sources", "wrong", "none: name your logs under `sources` in fairwatch.yaml"
        )
    for source in ws.settings.sources:
        try:
            files = discover(ws, source.name)
        except FairwatchError as error:
            yield Complaint(f"source {source.name}", "wrong", str(error))
            continue
        release(files)
        wrong = [t.origin.reason for t in files if type(t.origin) is Fault]
        if wrong:
            yield Complaint(f"source {source.name}", "wrong", "; ".join(wrong[:3]))
            continue
        files = [t for t in files if not isinstance(t.origin, Fault)]
        told = f"{len(files)} files" if files else f"no file matches {', '.join(source.paths)}"
        yield Complaint(f"source {source.name}", "ok" if files else "warning", told)


def _people(ws: Workspace, now: datetime) -> Iterator[Complaint]:
    today = now.date()
    people = [p for p in ws.people.rows if p.human and p.on(today)]
    if not people:
        yield Complaint("people", "warning", "nobody: without people.csv there are no teams")
        return
    yield Complaint("people", "ok", f"{len(people)} people, {len(ws.people.managers())} managers")
    silent = [m for m in ws.people.managers() if not ((p := ws.people.find(m)) and p.email)]
    if silent:
        yield Complaint("managers", "warning", f"no e-mail address for {', '.join(silent)}")


def _addresses(ws: Workspace, now: datetime) -> Iterator[Complaint]:
    """What the feeds of `identity` hold; broken records by reason, never by their text."""
    oldest = first_day_kept(now, ws.settings.retention.events)
    for tally in known_identities(ws, oldest).leases.tallies:
        broken = "; ".join(f"{count:,} {reason}" for reason, count in tally.broken.items())
        told = [f"{tally.files} files, {tally.records:,} records"]
        told += [f"not understood: {broken}"] if broken else []
        state = "warning" if broken or tally.problems or not tally.records else "ok"
        yield Complaint(f"identity {tally.name}", state, "; ".join([*told, *tally.problems]))


def _policy(ws: Workspace, now: datetime) -> Iterator[Complaint]:
    policy = ws.policy_on(now.astimezone(ws.settings.zone).date())
    if policy is None:
        yield Complaint("policy", "wrong", "none is in force today, or notice was not yet given")
        return
    suggested = [r.id for r in policy.rules if r.decided_by.strip().lower() == "suggestion"]
    if suggested:
        yield Complaint(
            "policy",
            "warning",
            f"{', '.join(suggested)}: the numbers are suggestions; decide them and put a name "
            f"into `decided_by`",
        )
    else:
        yield Complaint("policy", "ok", f"{policy.title}, {policy.version}")


def _names(ws: Workspace, now: datetime) -> Iterator[Complaint]:
    """What a policy names and nobody knows: a misspelt service is not permitted, a role not exempt."""
    today = now.astimezone(ws.settings.zone).date()
    policy = ws.policy_on(today)
    if policy is None:
        return
    blocked = policy.blocked_on(today)
    named = {p.service for p in policy.permitted} | {*blocked.services}
    named |= {service for e in policy.exempt for service in e.services}
    strange = sorted(s for s in named if s not in ws.sites.services and not ws.sites.match(s))
    if strange:
        told = (
            f"no list knows the services {', '.join(strange)}: what is said of them has no effect"
        )
        yield Complaint("policy names", "warning", told)
    roles = {role for person in ws.people.rows for role in person.roles}
    idle = sorted({e.role for e in policy.exempt if e.effective.covers(today)} - roles)
    if idle:
        told = f"nobody in people.csv has the role {', '.join(idle)}: authorised work use is judged"
        yield Complaint("policy roles", "warning", told)


def _mail(ws: Workspace, _: datetime) -> Iterator[Complaint]:
    mail = ws.settings.mail
    if mail is None:
        yield Complaint("mail", "warning", "not set up: nobody hears of a failing night")
    elif mail.password_file and not (ws.folder / mail.password_file).is_file():
        yield Complaint("mail", "wrong", f"{mail.password_file} does not exist")
    else:
        yield Complaint("mail", "ok", f"{mail.host}:{mail.port}, {mail.security}")


def _keys(ws: Workspace, _: datetime) -> Iterator[Complaint]:
    """Whether what is stored is sealed, and whether the key of it can be lost, or found with it."""
    now, custody = standing(ws), ws.keys.custody
    if not now.sealing:
        told = "off: what is purged here can still be read in every backup (docs/keys.md)"
        yield Complaint("encryption", "warning", told)
    if now.master is None:
        return
    try:
        ws.keys.unlock()
    except FairwatchError as error:
        yield Complaint("master key", "wrong", str(error))
        return
    if isinstance(custody, FileCustody):
        yield from _key_file(ws, custody.path)
    if now.copied is None and not isinstance(custody, CommandCustody):
        told = "no copy of it was ever shown; lost, nothing here can be read: fairwatch keys confirm COPY"  # fmt: skip
        yield Complaint("copy of the master key", "warning", told)
    told = f"{now.day_keys} day keys, {now.sealed_parts} partitions sealed, {now.plain_parts} plain"
    yield Complaint("keys", "ok", f"master key {now.master}, {now.place}; {told}")


def _key_file(ws: Workspace, path: Path) -> Iterator[Complaint]:
    if path.stat().st_mode & 0o077:
        yield Complaint("master key", "wrong", f"others can read it: chmod 600 {path}")
    if path.is_relative_to(ws.folder):
        told = f"{path} lies in the site folder: who has a backup of it has the key as well; move it out"  # fmt: skip
        yield Complaint("master key", "warning", told)


def _ledger(ws: Workspace, _: datetime) -> Iterator[Complaint]:
    try:
        found = checkpoints.verify(ws)
        told = f"{found.lines} acts, {found.checkpoints} checkpoints, head {found.head[:12]}…"
        yield Complaint("ledger", "ok", told)
    except FairwatchError as error:
        yield Complaint("ledger", "wrong", str(error))
    for gap in checkpoints.gaps(ws):
        yield Complaint("checkpoints", "warning", gap)
    folder = ws.settings.checkpoints.folder
    if folder is not None and not (ws.folder / folder).is_dir():
        yield Complaint("checkpoints", "wrong", f"{folder}: is not there; is it mounted?")


def _key(ws: Workspace, _: datetime) -> Iterator[Complaint]:
    path = ws.folder / checkpoints.KEYS / PRIVATE
    if not path.exists():
        yield Complaint("signing key", "ok", "none yet; the first checkpoint makes one")
    elif path.stat().st_mode & 0o077:
        yield Complaint("signing key", "wrong", f"others may read {path}: chmod 600 {path}")
    else:
        yield Complaint("signing key", "ok", str(path))


def log_trace(site: Path | None, trace: str, now: datetime) -> Path | None:
    """Keep the trace of an unexpected failure where IT finds it; None where nothing can be written."""
    try:
        return keep_trace(place.find_site(site) / "logs", wordless(trace), now)
    except (FairwatchError, OSError):
        try:
            return keep_trace(Path.cwd(), wordless(trace), now)
        except OSError:
            return None


COMMANDS: Commands = {"doctor": doctor}
