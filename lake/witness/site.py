"""A fresh look at a whole site folder: every file, by the store that claims it or by nobody."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from lake.age import first_day_kept
from lake.stores import STORES, Store
from lake.witness.bound import Seen
from lake.witness.look import Opener, claimed_by, files, look, plainly


@dataclass(frozen=True)
class StoreState:
    """What a look into one store found."""

    store: str
    files: int
    rows: int
    oldest_event: date | None
    overdue_rows: int
    unreadable: list[str]


@dataclass(frozen=True)
class Verification:
    """A fresh look at everything under the site folder."""

    as_of: datetime
    limit: date
    stores: list[StoreState]
    overdue: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Nothing overdue, and nothing that could not be looked into."""
        return not any(s.overdue_rows or s.unreadable for s in self.stores)

    def as_json(self) -> dict[str, Any]:
        """The shape of `retention verify --json`."""
        return {
            "as_of": self.as_of.astimezone(UTC).isoformat(),
            "limit": self.limit.isoformat(),
            "stores": [
                {**asdict(s), "oldest_event": s.oldest_event and s.oldest_event.isoformat()}
                for s in self.stores
            ],
            "clean": self.clean,
            "overdue": self.overdue,
        }


def sentence(verification: Verification) -> str:
    """What a verification found, for a person."""
    lines = [f"overdue: {entry}" for entry in verification.overdue]
    lines += [f"not readable: {path}" for s in verification.stores for path in s.unreadable]
    if not lines:
        return f"Nothing older than {verification.limit} was found in any store."
    head = f"Not clean as of {verification.as_of:%Y-%m-%d}: data before {verification.limit} is left, or a file could not be looked into."
    return "\n".join(
        [head, *lines, "Run `fairwatch retention purge`; remove by hand what no store claims."]
    )


def verify_site(
    site: Path,
    now: datetime,
    limits: Mapping[str, date],
    configuration: Collection[str] = (),
    opened: Opener = plainly,
) -> Verification:
    """Look into every file under a folder for event times older than its store's limit.

    `limits`: the first day kept, by store; a store without one, and what no store claims, is held
    to one calendar year. `configuration`: files (relative) the settings name as written by hand.
    `opened`: how sealed partitions are opened.
    """
    ceiling, today = first_day_kept(now, None), now.astimezone(UTC).date()
    found: dict[str, list[tuple[str, Seen]]] = {s.name: [] for s in STORES}
    found["unclaimed"] = []
    for relative, path in files(site):
        store = store_of(relative, configuration)
        name = store.name if store else "unclaimed"
        limit = date.min if _held(path, store) else limits.get(name, ceiling)
        found[name].append((relative, look(path, store, limit, today, opened)))
    return Verification(
        now,
        ceiling,
        [_summed(name, looks) for name, looks in found.items()],
        [
            f"{path}: {s.overdue} of {s.rows}, from {s.oldest}"
            for looks in found.values()
            for path, s in looks
            if s.overdue
        ],
    )


def _held(path: Path, store: Store | None) -> bool:
    """Under a legal hold, and sealed: nobody's age ends it. A plain file there is held to the year."""
    if store is None or store.goes != "release":
        return False
    with path.open("rb") as file:
        return file.read(4) == b"PARE"


def store_of(relative: str, configuration: Collection[str] = ()) -> Store | None:
    """The store that claims a file; a policy or list may stand in a folder of its own."""
    if relative in configuration:
        return next(s for s in STORES if s.name == "configuration")
    return claimed_by(relative)


def _summed(name: str, looks: list[tuple[str, Seen]]) -> StoreState:
    return StoreState(
        store=name,
        files=len(looks),
        rows=sum(s.rows for _, s in looks),
        oldest_event=min((s.oldest for _, s in looks if s.oldest), default=None),
        overdue_rows=sum(s.overdue for _, s in looks),
        unreadable=[f"{path}: {s.unreadable}" for path, s in looks if s.unreadable],
    )
