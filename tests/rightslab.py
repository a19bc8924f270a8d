"""A week of four people, who holds what of whom in it, and every row of the site as a multiset."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from conftest import make_site
from factory import Row, again, derived, lake, page, reading, snapshot

import holds
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import PERSONAL
from retention import purge, verify
from rights import deeds
from rights.register import Right
from state.tables import CASE, FINDING, PACK, REVIEW
from subjects import KEPT, Span
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
MONDAY = date(2026, 11, 2)
PERIOD = (date(2026, 11, 3), date(2026, 11, 5))
PEOPLE = ("ann", "bob", "zoe")
"""The last has no row in people.csv: somebody who left."""
PLAIN = ("  enabled: true", "  enabled: false")

Rows = Counter[tuple[Any, ...]]


def build(folder: Path, *, sealed: bool = True) -> Workspace:
    """Seven days of three people; one of them visits blocked services as well."""
    make_site(folder, (lambda t: t) if sealed else (lambda t: t.replace(*PLAIN)))
    ws = open_site(folder, "test")
    rows: list[Row] = []
    for n in range(7):
        day = MONDAY + timedelta(days=n)
        for hour, who in enumerate(PEOPLE, 10):
            rows += reading(day, 10, start=f"{hour}:00", user=who, client=f"10.20.1.{hour}")
        late = datetime(day.year, day.month, day.day, 22, 58, tzinfo=UTC)
        rows += [page(late, user=who) for who in PEOPLE]
        rows += [
            page(
                late,
                user="ann",
                verdict="denied",
                status=403,
                bytes_down=900,
                host="www.bet365.com",
                service="bet365",
                category="gambling",
            )
        ]
    lake(ws, rows)
    derived(ws, NOW)
    return ws


def copied(old: Path, place: Path) -> Workspace:
    """The site with its key, somewhere else."""
    shutil.copytree(old, place / "site")
    for key in old.parent.glob("*.key"):
        shutil.copy(key, place)
    return open_site(place / "site", "test")


def span(ws: Workspace, person: str = "ann", period: tuple[date, date] = PERIOD) -> Span:
    return Span.of(ws, person, *period)


def parts(ws: Workspace, *states: str) -> list[Part]:
    with ws.state.read() as connection:
        return catalogue.in_state(connection, *states)


@lru_cache(maxsize=None, typed=True)
def said(value: Any) -> str:
    """A value as a word of its own: True is not 1, and nothing is not the word None."""
    return json.dumps(value, default=str)


def rows_of(ws: Workspace, found: Sequence[Part]) -> Rows:
    """Each row of these partitions with its dataset, as often as it is there."""
    counted: Rows = Counter()
    for part in found:
        with ws.keys.open(ws.folder / part.path) as file:
            for row in file.read().to_pylist():
                counted[(part.dataset, *map(said, row.values()))] += 1
    return counted


def everything(ws: Workspace, *states: str) -> Rows:
    """All rows the site keeps of anybody (holds' copies apart)."""
    return rows_of(ws, [p for p in parts(ws, *(states or KEPT)) if p.dataset != "feed"])


def mine(ws: Workspace, one: Span, *states: str) -> Rows:
    """By the rows' own times, told without the code under test."""
    counted: Rows = Counter()
    for dataset in PERSONAL:
        found = [p for p in parts(ws, *(states or KEPT)) if p.dataset == dataset.name]
        for part in found:
            with ws.keys.open(ws.folder / part.path) as file:
                for row in file.read().to_pylist():
                    if row["user"] == one.person and _within(row[dataset.clock], one, ws):
                        counted[(part.dataset, *map(said, row.values()))] += 1
    return counted


def _within(when: Any, one: Span, ws: Workspace) -> bool:
    day = when.astimezone(ws.settings.zone).date() if isinstance(when, datetime) else when
    return bool(one.first <= day <= one.last)


def held(ws: Workspace, id_: str) -> Rows:
    """The rows of a hold's copy, records apart."""
    return rows_of(ws, [p for p in holds.copies(ws, id_) if p.dataset != "records"])


def acts(ws: Workspace) -> list[str]:
    return [line.act["act"] for line in ws.ledger.lines()]


def told(ws: Workspace) -> str:
    """The whole ledger as text."""
    return "".join(p.read_text() for p in ws.ledger.segments())


def naming(folder: Path, word: str) -> list[str]:
    """Files in which a word stands, as it is."""
    return [name for name, raw in snapshot(folder).items() if word.encode() in raw]


def place(ws: Workspace, period: tuple[date, date] = PERIOD, person: str = "ann") -> holds.Hold:
    with ws.alone():
        return holds.place(
            ws, person, period, "tribunal", "ET 1", "Olga", date(2026, 12, 20), "Hana Hill", NOW
        )


def opinion(ws: Workspace, person: str, day: date = PERIOD[0], *, closed: bool = True) -> Path:
    """A finding, a review, a case and its pack about a person's week; the pack's path."""
    number = f"{sum(person.encode())}-{day}"
    id_, case = f"f-{number}", f"C-{number}"
    pack = f"evidence/{case}.zip"
    (ws.folder / "evidence").mkdir(exist_ok=True)
    (ws.folder / pack).write_bytes(b"PK\x05\x06" + bytes(18))
    told = {"person": person, "first_day": str(day)}
    last = {"last_day": str(day)}
    with ws.state.change() as change:
        change.execute(
            FINDING.insert().values(
                id=id_, rule="r", week="2026-W45", body="{}", made=NOW.isoformat(), **told, **last
            )
        )
        change.execute(
            REVIEW.insert().values(
                finding=id_, week="2026-W45", act="note", reason=f"about {person}", by="Kim King",
                time=NOW.isoformat(), facts="", **told,
            )
        )  # fmt: skip
        change.execute(
            CASE.insert().values(
                id=case, reason="breach", note="", asked_by="Helen", asked=NOW.isoformat(),
                closed=NOW.isoformat() if closed else None, **told, **last,
            )
        )  # fmt: skip
        change.execute(
            PACK.insert().values(
                case=case, path=pack, sha256="", built=NOW.isoformat(), oldest=str(day)
            )
        )
    return ws.folder / pack


def opinions(ws: Workspace) -> list[tuple[Any, ...]]:
    """What findings, reviews and cases say, without the numbers of rows."""
    found: list[tuple[Any, ...]] = []
    with ws.state.read() as connection:
        for table in (FINDING, REVIEW, CASE):
            columns = [c for c in table.c if not (table is REVIEW and c.name == "id")]
            for row in connection.execute(table.select()):
                found.append((table.name, *(str(row._mapping[c.name]) for c in columns)))
    return sorted(found)


def no_word_without_the_deed(ws: Workspace, one: Span) -> None:
    """Rows are said to be done only where none is left."""
    if "rows done" in acts(ws):
        assert not mine(ws, one, "live")


def sound(ws: Workspace, now: datetime = NOW) -> None:
    """The site as it must be after each deed."""
    ws = again(ws)
    found = verify(ws, now)
    assert found.clean, found.overdue
    ws.ledger.verify()
    known = {p.path for p in parts(ws, "live", "restricted", "held", "purging")}
    there = {n for n in snapshot(ws.folder) if n.endswith(".parquet")}
    assert known <= there
    needed = {p.key for p in parts(ws, *KEPT, "held") if p.key}
    assert needed <= {k.id for k in ws.keys.ring.day_keys()}


def erased(ws: Workspace, one: Span, by: str = "Dora Dale") -> Right:
    with ws.alone():
        return deeds.erase(ws, one, "REQ 1", by, NOW)


def restricted(ws: Workspace, one: Span) -> Right:
    with ws.alone():
        return deeds.restrict(ws, one, "REQ 2", "Dora Dale", NOW)


def lifted(ws: Workspace, right: Right) -> Right:
    with ws.alone():
        return deeds.lift(ws, right.id, "Dora Dale", "agreed", NOW)


def resumed(ws: Workspace) -> list[str]:
    with ws.alone():
        ended, stuck = deeds.resume(ws, NOW)
    if stuck:
        raise stuck[0]
    return [r.id for r in ended]


def purged(ws: Workspace, now: datetime) -> None:
    with ws.alone():
        purge(ws, now, confirmed=True)


def others(rows: Rows, who: str) -> Rows:
    return Counter({row: n for row, n in rows.items() if f'"{who}"' not in row})
