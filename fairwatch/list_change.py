"""What a change of a list would alter: the lists as they would stand, and what is stored they see otherwise."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from analytics.lists import Changed, Impact, Kind, StoredHost, impact, stored_hosts
from analytics.questions import SMALLEST_GROUP
from config.lists.index import Index
from config.lists.listfile import Imported, ListFile, ListVersion, imported, meaning, versions
from config.lists.reading import ReadList
from config.settings import ListUse
from config.sitelist import SiteList, site_list
from fairwatch import show
from fairwatch.explain import classifier
from ingest.classify import OTHER, Class
from workspace import Workspace


@dataclass(frozen=True)
class Change:
    """A list as it would stand after a change, and what that would mean for what is stored."""

    name: str
    listed: ListFile
    read: ReadList
    since: date | None
    gained: int | None
    lost: int | None
    impacts: list[Impact]
    unnamed_rows: int

    @property
    def version(self) -> ListVersion:
        """The version the change adds."""
        return self.listed.versions[-1]

    @property
    def days(self) -> str:
        """The days whose lines it holds for, in words."""
        return f"of {self.since} and later" if self.since else "of all days"


def assessed(ws: Workspace, listed: ListFile, read_: ReadList) -> Change:
    """A change and what it would mean; `listed` ends with the version it adds. Nothing is written."""
    version = listed.versions[-1]
    with_it = _proposed(ws, listed, read_)
    old, new = classifier(ws, ws.sites.on(version.begins)), classifier(ws, with_it)
    stored = stored_hosts(ws)
    changed = [c for s in stored if (c := _changed(s, old.of(s.host), new.of(s.host)))]
    gained, lost = _compared(ws, listed, read_)
    unnamed = sum(s.rows for s in stored if s.host == OTHER)
    return Change(
        listed.name,
        listed,
        read_,
        version.since,
        gained,
        lost,
        impact(ws, list({(c.host, c.was): c for c in changed}.values())),
        unnamed,
    )


def _changed(stored: StoredHost, old: Class, new: Class) -> Changed | None:
    """How lists see a stored host otherwise than those in force do."""
    if stored.host == OTHER or (old.category == new.category and old.host == new.host):
        return None
    kind: Kind = "moved" if old.service and new.service else "named" if new.service else "unnamed"
    return Changed(stored.host, stored.category, kind)


def _proposed(ws: Workspace, listed: ListFile, read_: ReadList) -> SiteList:
    """The lists as they would be on the change's first day."""
    use = next((u for u in ws.settings.lists if u.name == listed.name), ListUse(name=listed.name))
    others = imported(ws.folder, ws.settings.lists)
    version = listed.versions[-1]
    means = {own: meaning(own, c.means, use.categories) for own, c in version.categories.items()}
    candidate = Imported(listed.name, version, None, means, use.below_shipped, Index(read_.index))
    order = [u.name for u in ws.settings.lists]
    layers = [o for o in others if o.name != listed.name] + ([candidate] if use.use else [])
    layers.sort(key=lambda o: (order.index(o.name) if o.name in order else len(order), o.name))
    own = [ws.folder / path for path in ws.settings.sites]
    return site_list(own, list(ws.policies), layers).on(version.begins)


def _compared(ws: Workspace, listed: ListFile, read_: ReadList) -> tuple[int | None, int | None]:
    """Entries more and less than in the version before; None for a list that is new."""
    if len(listed.versions) < 2:
        return None, None
    before = versions(ws.folder, listed.model_copy(update={"versions": listed.versions[-2:-1]}), ListUse(name=listed.name))  # fmt: skip
    return Index(read_.index).compared(before[0].index)


def tell(change: Change) -> None:
    """Say what a change would mean, as text."""
    version = change.version
    hosts = sum(c.hosts for c in version.categories.values())
    show.say(
        f"{change.name}: {hosts} hosts in the syntax {version.format} ({change.read.reason}); "
        f"SHA-256 {version.sha256}"
    )
    for own, c in sorted(version.categories.items(), key=lambda i: -i[1].hosts)[:30]:
        show.say(f"  {own}: {c.hosts} hosts, here {c.means or 'nothing'}")
    for reason, (count, where) in change.read.left_out.items():
        show.say(f"  left out: {count}: {reason} (first at {where})")
    if change.gained is not None:
        show.say(f"  {change.gained} entries more and {change.lost} less than before")
    show.say(
        f"Past days: what is stored stays as the lists of its day saw it. This list holds for lines "
        f"{change.days}; what is read of earlier days keeps the earlier lists."
        if change.since
        else "It holds for lines of all days: nothing is stored yet."
    )
    if not change.impacts:
        show.say("  Of the hosts stored under a name it sees none otherwise.")
    for i in change.impacts:
        few = counted(i)
        show.say(
            f"  {MEANT[i.kind]}: {i.hosts} hosts, on {i.days} stored days, in {i.rows} rows of "
            f"{_few(few['people'])} people ({_few(few['person_days'])} of their days); "
            f"{_few(few['findings'])} findings lie in these weeks"
        )
    show.say(
        f"  {change.unnamed_rows} rows are stored as `other`, without a host: no list can alter "
        f"them, and nobody can say which of them this one would have named."
    )


MEANT = {
    "named": "would have been named",
    "unnamed": "would not have been named",
    "moved": "would have stood in another category",
}


def counted(one: Impact) -> dict[str, Any]:
    """The counts; of fewer than five people only that they are fewer."""
    few = one.people < SMALLEST_GROUP
    found: dict[str, Any] = asdict(one)
    return {**found, **dict.fromkeys(("people", "person_days", "findings"))} if few else found


def _few(count: int | None) -> str:
    return f"fewer than {SMALLEST_GROUP}" if count is None else str(count)


def as_json(change: Change, applied: bool) -> dict[str, Any]:
    """The same as one object."""
    return {
        "name": change.name,
        "applied": applied,
        "format": change.version.format,
        "reason": change.read.reason,
        "sha256": change.version.sha256,
        "from": change.since,
        "categories": {
            own: {"as": c.means, "hosts": c.hosts} for own, c in change.version.categories.items()
        },
        "left_out": {r: {"count": n, "first": w} for r, (n, w) in change.read.left_out.items()},
        "more": change.gained,
        "less": change.lost,
        "past": {
            "changed": [counted(i) for i in change.impacts],
            "rows_without_host": change.unnamed_rows,
        },
    }
