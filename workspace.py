"""An opened site folder: its settings, people, policies, lists, state and ledger, passed to every job."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from pathlib import Path

from sqlalchemy import select

from config.document import read
from config.leave import Leave, read_leave
from config.lists.listfile import imported, list_files
from config.people import People, read_people
from config.policy import Policy
from config.settings import Encryption, Settings
from config.sitelist import SiteList, site_list
from errors import Locked, NoSuchThing
from lake.keys import DayKeys
from lake.master import (
    CommandCustody,
    Custody,
    EnvironmentCustody,
    FileCustody,
    KeyringCustody,
)
from lake.ring import Ring
from ledger import Ledger
from state.store import State
from state.tables import META

SETTINGS = "fairwatch.yaml"


@dataclass(frozen=True)
class Workspace:
    """A site folder opened by `actor`; everything read from it is read once."""

    folder: Path
    settings: Settings
    people: People
    leave: Leave
    policies: tuple[Policy, ...]
    sites: SiteList
    state: State
    ledger: Ledger
    keys: DayKeys
    actor: str

    @cached_property
    def config_files(self) -> list[Path]:
        """The files written by hand that decide what is stored and found."""
        named = [self.settings.people, *self.settings.policy, *self.settings.sites]
        named += [self.settings.leave] if self.settings.leave else []
        written = [self.folder / SETTINGS, *(self.folder / path for path in named)]
        return [*written, *list_files(self.folder)]

    @cached_property
    def categories(self) -> frozenset[str]:
        """Categories any policy names: only their hosts are stored under their names."""
        return frozenset().union(*(p.named_categories() for p in self.policies))

    def policy_on(self, day: date) -> Policy | None:
        """The policy a day is judged by; None where none is in force or nobody had been told."""
        return next((p for p in self.policies if p.judges(day)), None)

    @property
    def versions(self) -> dict[str, str]:
        """What judging depends on, by digest: policy, people, lists."""
        digests = {str(p.relative_to(self.folder)): _digest(p) for p in self.config_files[1:]}
        return {**digests, "sites": self.sites.version}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the site's lock: one writer at a time. Raises Locked."""
        with (self.folder / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Locked(
                    f"{self.folder}: another run is at work here; wait for it, or see "
                    f"`fairwatch status`."
                ) from None
            yield

    def note_settings(self, now: datetime) -> None:
        """Write a ledger line for each hand-written file that is not what it was last time."""
        digests = {str(p.relative_to(self.folder)): _digest(p) for p in self.config_files}
        with self.state.change() as change:
            row = change.execute(select(META.c.value).where(META.c.key == "settings")).scalar()
            known: dict[str, str] = json.loads(row) if row else {}
            if known == digests:
                return
            for name in sorted({*known, *digests}):
                if known.get(name) != digests.get(name):
                    change.act(
                        "settings",
                        time=now,
                        actor=self.actor,
                        file=name,
                        was=known.get(name),
                        now=digests.get(name),
                    )
            change.execute(META.delete().where(META.c.key == "settings"))
            change.execute(META.insert().values(key="settings", value=json.dumps(digests)))

    def by(self, actor: str) -> "Workspace":
        """The same site in somebody else's hands."""
        return replace(self, actor=actor)


def open_site(folder: Path, actor: str, environment: Mapping[str, str] | None = None) -> Workspace:
    """Read a site folder's settings and open its stores.

    `environment`: where a master key may stand that no file holds. Raises NoSuchThing where there is no fairwatch.yaml, BadConfiguration for what stands in it.
    """
    folder = folder.resolve()
    if not (folder / SETTINGS).is_file():
        raise NoSuchThing(
            f"{folder}: is no site folder (no {SETTINGS} in it); "
            f"`fairwatch init {folder} --policy b3` makes one."
        )
    settings = read(folder / SETTINGS, Settings)
    policies = tuple(read(folder / path, Policy) for path in settings.policy)
    ledger = Ledger(folder / "ledger")
    state = (
        State(settings.state, ledger)
        if settings.state
        else State.in_folder(folder / "state", ledger)
    )
    people = read_people(folder / settings.people)
    users = [row.user for row in people.rows]
    return Workspace(
        folder=folder,
        settings=settings,
        people=people,
        leave=read_leave(folder / settings.leave, users) if settings.leave else Leave(),
        policies=policies,
        sites=site_list(
            [folder / path for path in settings.sites],
            list(policies),
            imported(folder, settings.lists),
        ),
        state=state,
        ledger=ledger,
        keys=day_keys(folder, settings.encryption, environment or {}),
        actor=actor,
    )


def day_keys(folder: Path, chosen: Encryption | None, environment: Mapping[str, str]) -> DayKeys:
    """A site's day keys, the master key still locked: it is asked for when the first is needed."""
    ring = Ring(folder / "keys" / "ring.db")
    sealing = chosen is not None and chosen.enabled
    return DayKeys(ring, _custody(folder, chosen, environment), sealing=sealing)


def _custody(
    folder: Path, chosen: Encryption | None, environment: Mapping[str, str]
) -> Custody | None:
    if chosen is None:
        return None
    if chosen.key_file is not None:
        return FileCustody(Path(os.path.normpath(folder / chosen.key_file)))
    if chosen.key_variable is not None:
        return EnvironmentCustody(chosen.key_variable, environment)
    if chosen.keyring is not None:
        return KeyringCustody(chosen.keyring)
    return CommandCustody(chosen.key_command or [])


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
