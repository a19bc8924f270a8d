"""One person's rows of every dataset as CSV, a row group at a time, each with where it is kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from holds import Hold, copies, holds
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import EVENTS, PERSONAL, USAGE, Dataset
from reports.bag import Writer
from reports.evidence import cell
from reports.render import NBSP, plain
from reports.rows_csv import columns_of, schema_of
from subjects import KEPT, Span, rows, sources
from workspace import Workspace

FILES = {"events": "lines.csv"}
"""What a dataset is called for the person concerned, where not by its own name."""
IN_USE = "in use"
NOBODYS = ("ambiguous", "shared", "service", "address")
"""Kinds of identity whose rows may be anybody's: they are given to nobody."""
Piece = tuple[str, pa.Table]


@dataclass
class Told:
    """What one file of a bundle holds; `kept` counts rows by where they are."""

    name: str
    dataset: str
    rows: int = 0
    first: date | None = None
    last: date | None = None
    kept: dict[str, int] = field(default_factory=dict)


@dataclass
class Gathered:
    """What was seen on the way: short lists, never rows; `usage` alone is whole (a row a day)."""

    told: list[Told] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)
    files: set[int] = field(default_factory=set)
    nobodys: set[tuple[int, int]] = field(default_factory=set)
    usage: list[dict[str, Any]] = field(default_factory=list)
    beyond: dict[str, int] = field(default_factory=dict)
    """Rows by hold that are past the year: they are there, and no bundle may keep them."""

    @property
    def first(self) -> date | None:
        """The oldest day of any row."""
        return min((t.first for t in self.told if t.first), default=None)

    @property
    def last(self) -> date | None:
        """The newest day of any row."""
        return max((t.last for t in self.told if t.last), default=None)


def write_rows(ws: Workspace, bundle: Writer, span: Span, limit: date) -> Gathered:
    """Write a member a dataset; `limit`: the first day a bundle may hold. Raises NoKey."""
    held = [h for h in holds(ws, in_force=True) if h.person == span.person]
    gathered = Gathered()
    for dataset in sorted(
        PERSONAL, key=lambda d: d is not EVENTS
    ):  # lines say first whose they are
        told = Told(FILES.get(dataset.name, f"{dataset.name}.csv"), dataset.name)
        gathered.told.append(told)
        schema = schema_of(dataset, "kept")
        with bundle.member(told.name) as file, pa_csv.CSVWriter(file, schema) as writer:
            for kept, found in _pieces(ws, dataset, span, held, limit, gathered):
                table = _own(found, dataset, gathered)
                if table.num_rows:
                    _note(table, dataset, kept, told, gathered, ws.settings.zone)
                    columns = columns_of(table, dataset, _cell)
                    said = pa.array([kept] * table.num_rows, pa.string())
                    writer.write_table(pa.table([*columns, said], schema=schema))
    return gathered


def _pieces(
    ws: Workspace,
    dataset: Dataset,
    span: Span,
    held: Sequence[Hold],
    limit: date,
    gathered: Gathered,
) -> Iterator[Piece]:
    """The person's rows: of the lake, of what is kept apart, and of holds' copies where only there."""
    with ws.state.read() as connection:
        parts = [p for s in KEPT for p in catalogue.parts(connection, dataset.name, state=s)]
    for part in sorted(parts, key=lambda p: (p.day, p.path)):
        apart = part.path.split("/")
        kept = f"restricted by {apart[1]}" if apart[0] == "restricted" else IN_USE
        for table in rows(ws, part, dataset, span):
            yield kept, table
    for one in held:
        for part in copies(ws, one.id):
            if part.dataset == dataset.name:
                for table in _only_held(ws, part, dataset, span):
                    young = _since(table, dataset, limit)
                    past = table.num_rows - young.num_rows
                    if past:
                        gathered.beyond[one.id] = gathered.beyond.get(one.id, 0) + past
                    yield f"not in use any more; kept by legal hold {one.id} alone", young


def _only_held(ws: Workspace, part: Part, dataset: Dataset, span: Span) -> Iterator[pa.Table]:
    """Rows of a hold's copy of a day that the lake has not got any more."""
    with ws.state.read() as connection:
        found = sources(connection, dataset, date.fromisoformat(part.day), *KEPT)
    if found and catalogue.fingerprint(found) == part.made_from:
        return
    known = {key for p in found for table in rows(ws, p, dataset, span) for key in _keys(table)}
    with ws.keys.open(ws.folder / part.path) as file:
        for group in range(file.num_row_groups):
            table = dataset.whole(file.read_row_group(group, use_threads=False))
            yield table.filter(pa.array([key not in known for key in _keys(table)], pa.bool_()))


def _keys(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """What tells a row: its line in its file, else all of it."""
    lined = {"file", "line"} <= set(table.schema.names)
    names = ["file", "line"] if lined else table.schema.names
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _since(table: pa.Table, dataset: Dataset, limit: date) -> pa.Table:
    return table.filter(pc.greater_equal(table[dataset.clock].cast(pa.date32()), limit))


def _own(table: pa.Table, dataset: Dataset, gathered: Gathered) -> pa.Table:
    """Without rows that stand under the name and may be somebody else's."""
    names = table.schema.names
    if "identity" in names:
        known = pc.is_in(table["identity"].cast(pa.string()), pa.array(NOBODYS))
        if dataset is EVENTS:
            gathered.nobodys |= set(_keys(table.filter(known)))
        return table.filter(pc.invert(known))
    if gathered.nobodys and "line" in names:
        return table.filter(pa.array([k not in gathered.nobodys for k in _keys(table)], pa.bool_()))
    return table


def _note(
    table: pa.Table, dataset: Dataset, kept: str, told: Told, gathered: Gathered, zone: ZoneInfo
) -> None:
    span = pc.min_max(table[dataset.clock]).as_py()
    low, high = (
        v.astimezone(zone).date() if isinstance(v, datetime) else v
        for v in (span["min"], span["max"])
    )
    told.first = min(low, told.first or low)
    told.last = max(high, told.last or high)
    told.rows += table.num_rows
    told.kept[kept] = told.kept.get(kept, 0) + table.num_rows
    if dataset is EVENTS:
        gathered.sources |= set(pc.unique(table["source"].cast(pa.string())).to_pylist())
        gathered.files |= set(pc.unique(table["file"]).to_pylist())
    elif dataset is USAGE and not kept.startswith("not in use"):
        gathered.usage += table.to_pylist()


def _cell(word: str) -> str:
    """Made harmless; a date in a name is worded: it is of no event.

    A path stays as it is: the retention proof knows that dates in one are not when it was asked for.
    """
    return str(cell(word if word.startswith("/") else plain(word), NBSP))
