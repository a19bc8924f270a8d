"""Event times in SQLite databases: rows, and what deleted rows left in free pages, gaps and journals."""

import mmap
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

from lake.stores import CLOCKED, TIMELESS
from lake.witness.bound import Bound, Seen, day_of
from lake.witness.numbers import SCALE, fractions, is_named_clock
from lake.witness.pages import (
    LEAF,
    File,
    Value,
    carved,
    cell,
    journal_pages,
    owners,
    pointers,
    slack,
    wal_pages,
)
from lake.witness.written import fixed, worded

ANYWHERE = re.compile(rb"20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
"""In bytes where values stand without anything between them."""

CLOCK_OF = {c.table: c for c in CLOCKED}
Judge = Callable[[int, list[Value]], date | None]


def read_database(path: Path, bound: Bound, seen: Seen, *, ours: bool) -> None:
    """A database file. `ours`: its declared tables age by their clocks, not by what they tell of.

    Ours is never opened by a handle of our own: closing one drops all locks this process holds on
    it. Somebody else's is not to gain a journal from being looked at.
    """
    how = "mode=ro" if ours else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)) as connection:
        _rows(connection, bound, seen, ours=ours)
        if ours:
            now, roots = File.of(connection.serialize()), _roots(connection)
            _residue(now, roots, bound, seen, ours=True)
            _overtaken(path, now, owners(now, roots), bound, seen)
            return
        roots = _roots(connection)
    with path.open("rb") as file:
        _residue(File.of(_mapped(file.fileno())), roots, bound, seen, ours=False)


COPY = "import shutil, sys; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer)"


def _overtaken(path: Path, now: File, owned: dict[int, str], bound: Bound, seen: Seen) -> None:
    """Pages as they stand in our file while newer ones wait in its write-ahead log.

    Read by a process of its own, for the locks' sake.
    """
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or not log.stat().st_size:
        return
    command = [sys.executable, "-S", "-c", COPY, str(path)]
    raw = subprocess.run(command, capture_output=True, check=False).stdout
    for number in range(1, len(raw) // now.size + 1):
        page = raw[(number - 1) * now.size : number * now.size]
        if page != now.page(number):
            _image(number, page, now.codec, owned.get(number), bound, seen, ours=True)


def read_database_bytes(data: bytes, bound: Bound, seen: Seen) -> None:
    """A database inside an archive."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(data)
        _rows(connection, bound, seen, ours=False)
        _residue(File.of(data), _roots(connection), bound, seen, ours=False)


def read_journal(path: Path, bound: Bound, seen: Seen, *, ours: bool) -> None:
    """A `-wal` or `-journal`: every copy of a page in it, also of pages long overwritten."""
    raw = path.read_bytes()
    now, owned = File(b"", 4096), {}
    database = path.with_name(path.name.removesuffix("-wal").removesuffix("-journal"))
    if ours and database.exists():
        uri = f"{database.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            now = File.of(connection.serialize())
            owned = owners(now, _roots(connection))
    cut = wal_pages if path.name.endswith("-wal") else journal_pages
    found = False
    for number, page in cut(raw):
        found = True
        if page != now.page(number):  # else it is the database's own, and was looked at there
            _image(number, page, now.codec, owned.get(number), bound, seen, ours=ours)
    if not found:
        _bytes(raw, now.codec, None, bound, seen, ours=ours)


def _mapped(handle: int) -> memoryview:
    return memoryview(mmap.mmap(handle, 0, access=mmap.ACCESS_READ))


def _roots(connection: sqlite3.Connection) -> dict[int, str]:
    """The root page of every table, and of every index under its table's name."""
    found = {1: "sqlite_schema"}
    for root, table in connection.execute(
        "SELECT rootpage, tbl_name FROM sqlite_master WHERE rootpage > 0"
    ):
        found[root] = table
    return found


def _rows(connection: sqlite3.Connection, bound: Bound, seen: Seen, *, ours: bool) -> None:
    connection.text_factory = bytes
    names = [
        bytes(r[0]).decode("utf-8", "replace")
        for r in connection.execute(
            "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
    ]
    for name in names:
        quoted = '"' + name.replace('"', '""') + '"'
        if not ours:
            _any_table(connection, quoted, bound, seen)
        elif name in CLOCK_OF:
            clock = CLOCK_OF[name]
            for (cell,) in connection.execute(f'SELECT "{clock.column}" FROM {quoted}'):
                seen.note(_declared(cell, clock.form, bound), bound.limit)
        elif name not in TIMELESS:
            _any_table(connection, quoted, bound, seen)


def _declared(cell: Value, form: str, bound: Bound) -> date | None:
    if form == "ms":
        return bound.plausible(cell / 1000) if isinstance(cell, int) else None
    return _text_day(cell, bound)


def _any_table(connection: sqlite3.Connection, name: str, bound: Bound, seen: Seen) -> None:
    """A stranger's table: every date its cells show, every column of numbers that is a clock."""
    columns = [d[0] for d in connection.execute(f"SELECT * FROM {name} LIMIT 0").description]
    clocks = [_is_clock(connection, name, column, bound) for column in columns]
    for row in connection.execute(f"SELECT * FROM {name}"):
        days = [
            number_day(cell, bound) if isinstance(cell, int | float) else _text_day(cell, bound)
            for cell, clock in zip(row, clocks, strict=True)
            if clock or not isinstance(cell, int | float)
        ]
        seen.note(min((d for d in days if d), default=None), bound.limit)


def _is_clock(connection: sqlite3.Connection, table: str, column: str, bound: Bound) -> bool:
    """A column of numbers called as clocks are, or whose every number but zero can be one."""
    quoted = '"' + column.replace('"', '""') + '"'
    if is_named_clock(column):
        return True
    low, high = connection.execute(
        f"SELECT min({quoted}), max({quoted}) FROM {table} "
        f"WHERE typeof({quoted}) IN ('integer', 'real') AND {quoted} <> 0"
    ).fetchone()
    return bool(low and number_day(low, bound) and number_day(high, bound))


def number_day(value: Value, bound: Bound) -> date | None:
    """The day of a number as seconds or milli-, micro-, nanoseconds since 1970, by its size."""
    if not isinstance(value, int | float) or not 1e9 <= value < 1e20:
        return None
    scale = SCALE.get(len(str(int(value))))
    return bound.plausible(value / scale) if scale else None


def _text_day(cell: Value, bound: Bound) -> date | None:
    if isinstance(cell, str):
        cell = cell.encode("utf-8", "replace")
    if not isinstance(cell, bytes) or len(cell) < 8:
        return None
    return min((d for d in _days(cell.replace(b"\0", b""), bound)), default=None)


def _days(text: bytes, bound: Bound) -> Iterator[date]:
    for finder in (fixed(text, "?", bound), worded(text, bound), fractions(text, bound)):
        yield from (found.day for found in finder)


def _residue(file: File, roots: dict[int, str], bound: Bound, seen: Seen, *, ours: bool) -> None:
    """What is no row of the file any more: free pages, and gaps in those that are in use."""
    free, owned = file.free(), owners(file, roots)
    for number in range(1, file.count + 1):
        page = file.page(number)
        if number in free or number not in owned:
            if not page.strip(b"\0"):
                continue
            _image(number, page, file.codec, None, bound, seen, ours=ours, free=free.get(number, 0))
        else:
            at = 100 if number == 1 else 0
            for piece in slack(page, at):
                _bytes(piece, file.codec, owned[number], bound, seen, ours=ours)


def _image(
    number: int,
    page: bytes,
    codec: str,
    owner: str | None,
    bound: Bound,
    seen: Seen,
    *,
    ours: bool,
    free: int = 0,
) -> None:
    """A page that is not, or not any more, part of the database; its records one by one."""
    at = 100 if number == 1 else 0
    if len(page) < 512:
        return
    if page[at] == LEAF and not free:
        offsets = pointers(page, at)
    elif free:  # its first bytes are the free list's; where its cells were may still be told
        offsets = _old_pointers(page, free)
    else:
        offsets = []
    if not offsets:
        _bytes(page, codec, owner, bound, seen, ours=ours)
        return
    records = [cell(page, offset, codec) for offset in offsets]
    for values in records:
        seen.note(_record_day(values, owner, bound, ours=ours), bound.limit)
    if not free:
        for piece in slack(page, at):
            _bytes(piece, codec, owner, bound, seen, ours=ours)


def _old_pointers(page: bytes, start: int) -> list[int]:
    """Where the cells of a page began whose header the free list has taken."""
    found: list[int] = []
    for at in range(start, len(page) - 2, 2):
        offset = int.from_bytes(page[at : at + 2], "big")
        if not at < offset < len(page) - 3 or offset in found:
            break
        found.append(offset)
    return found if all(cell(page, o, "utf-8") for o in found) else []


def _bytes(
    raw: bytes, codec: str, owner: str | None, bound: Bound, seen: Seen, *, ours: bool
) -> None:
    """Bytes without a form: dates as text, and records that can still be read."""
    if ours and _tells_of_days(owner):
        return
    text = raw.replace(b"\0", b"") if codec != "utf-8" else raw
    days = [d for m in ANYWHERE.finditer(text) if (d := _iso(m[0]))]
    days += [d for d in _days(ANYWHERE.sub(b" ", text), bound)]
    days += [
        day
        for values in carved(raw, codec)
        for value in values
        if (day := number_day(value, bound))
    ]
    for day in days:
        seen.note(day, bound.limit)


def _iso(text: bytes) -> date | None:
    return day_of(int(text[:4]), int(text[5:7]), int(text[8:10]))


def _tells_of_days(owner: str | None) -> bool:
    """Tables of ours that name days of something else: what they left behind is no event."""
    return owner is not None and (
        owner in TIMELESS or owner in ("sqlite_schema", "tombstone", "cases")
    )


def _record_day(values: list[Value], owner: str | None, bound: Bound, *, ours: bool) -> date | None:
    """The day of an old copy of a row: of a declared table by its clock, else by all its values."""
    if ours and owner is not None:
        if _tells_of_days(owner):
            return None
        if owner in CLOCK_OF:
            return _by_clock(values, owner, bound)
    days: Iterable[date | None] = (
        number_day(v, bound) if isinstance(v, int | float) else _text_day(v, bound) for v in values
    )
    return min((d for d in days if d), default=None)


def _by_clock(values: list[Value], table: str, bound: Bound) -> date | None:
    """The clock of a row of a declared table, told by its form: milliseconds, or ISO."""
    if CLOCK_OF[table].form == "ms":
        days = [number_day(v, bound) for v in values if isinstance(v, int) and v > 10**12]
    else:
        days = [_text_day(v, bound) for v in values if isinstance(v, str) and v[:2] == "20"]
    return min((d for d in days if d), default=None)
