"""The engine for JSON lines: one object a line, values by name or by dotted path.

Where the first objects agree on what type each value has, Arrow reads the values asked for and nothing
else; where a line is no object, or of another type, the block is read object by object.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json

from ingest.formats.bits import Bits
from ingest.formats.block import Block, IntArray, Reject
from ingest.formats.lines import Lines, coded, cut
from ingest.formats.words import REACH, Ending, words

DASH = re.compile(rb'(":\s*+)-(?=\s*+[,}])')
DEEPEST = 12
SAMPLE = 100
MOST_NAMES = 500
NESTED = 5
PAD = 24
SCALARS: Mapping[type, pa.DataType] = {str: pa.string(), int: pa.int64(), bool: pa.bool_(), float: pa.float64()}  # fmt: skip
UNREAD = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowKeyError)


class Objects:
    """Values of the objects of lines.

    `within`: names of objects whose values are laid over those beside them (`{"event": {…}}`).
    """

    def __init__(self, lines: Lines, within: Sequence[str] = ()) -> None:
        self._all, self._within = lines, within
        first = (_object(lines.block.line(n)) for n in range(min(SAMPLE, len(lines))))
        self._sample = [one for one in first if one]
        self._table: dict[str, pa.DictionaryArray | None] | None = None
        self._made: dict[str, pa.DictionaryArray | None] = {}

    def want(self, names: Iterable[str]) -> None:
        """Read these values, and no others, at once, if Arrow can."""
        self._table = _quick(self._all, self._sample, sorted(set(names)), self._within)

    def keys(self) -> set[str]:
        """The dotted paths of all values that are no objects themselves."""
        block = self._all.block
        others = (_object(block.line(n)) for n in _unlike(block, len(self._sample)))
        every = [*self._sample, *filter(None, others)]
        return {path for one in every for path in _paths(_laid_over(one, self._within), "", 0)}

    @cached_property
    def _loaded(self) -> tuple[list[dict[str, Any]], IntArray, IntArray]:
        found, good, bad = _load(self._all)
        return [_laid_over(one, self._within) for one in found], good, bad

    @property
    def objects(self) -> Sequence[dict[str, Any]]:
        """All objects, whole."""
        return self._loaded[0]

    @cached_property
    def _names(self) -> set[str]:
        """The top-level names of all objects."""
        return set().union(*self._loaded[0])

    @cached_property
    def lines(self) -> Lines:
        """The lines that hold an object."""
        return self._all if self._table is not None else self._all.take(self._loaded[1])

    @property
    def numbers(self) -> IntArray:
        """Their numbers."""
        return self.lines.numbers

    @property
    def rejects(self) -> list[Reject]:
        """Lines that hold no object."""
        bad = [] if self._table is not None else self._loaded[2].tolist()
        return [Reject(int(self._all.numbers[n]), "no JSON object") for n in bad]

    def column(self, name: str) -> pa.DictionaryArray | None:
        """Values at a name, or at a path with dots where no object has that very name."""
        if name in self.lines.facts:
            return self.lines.facts[name]
        if self._table is not None:
            return self._table.get(name)
        if name not in self._names and name.split(".", 1)[0] not in self._names:
            return None
        if name not in self._made:
            objects = self._loaded[0]
            values = [one.get(name) for one in objects]
            if "." in name and not any(v is not None for v in values):
                path = name.split(".")
                values = [at_path(one, path) for one in objects]
            self._made[name] = coded(_texts(values))
        return self._made[name]


def _unlike(block: Block, first: int) -> list[int]:
    """Lines with a name that none of the first lines has."""
    others = _others(block)
    if not len(others):
        return []
    kept = np.union1d(np.arange(min(first, len(block.ends))), others)
    fresh = _named_anew(cut(block, block.starts[kept], block.ends[kept]), first)
    return [int(kept[n]) for n in fresh]


def _others(block: Block) -> IntArray:
    """Lines that have not the names of the first line in its order: in a log, as a rule, none."""
    array, every = block.array, np.arange(len(block.ends))
    quotes, colons = (Bits.of(array, byte) for byte in b'":')
    ends = quotes.following().both(colons).places() - 1  # the quotes that end a name
    past = np.searchsorted(ends, block.ends)
    counts = np.diff(past, prepend=0)
    starts = [block.data.rfind(b'"', 0, end) for end in ends[: counts[0]].tolist()]
    lengths = ends[: counts[0]] - np.array(starts, np.int32)
    if not len(starts) or lengths.max() > REACH:
        return every
    rows = np.flatnonzero(counts == counts[0])
    places = ends[(past - counts)[rows][:, None] + np.arange(counts[0])]
    return np.setdiff1d(every, rows[Ending(array).alike(places, lengths)], assume_unique=True)


def _named_anew(block: Block, first: int) -> list[int]:
    """Lines with a name that none of the first lines has, at whatever depth: names are told apart by
    their ends and lengths."""
    array = block.array
    quotes = np.flatnonzero(array == ord('"'))
    if len(quotes) < 2:
        return []
    at = np.flatnonzero(array[np.minimum(quotes[1:] + 1, len(array) - 1)] == ord(":"))
    ends, lengths = quotes[at + 1], quotes[at + 1] - quotes[at] - 1
    padded = np.zeros(len(array) + PAD, np.uint8)
    padded[PAD:] = array
    every = words(padded)
    short = np.minimum(lengths, 16)
    last, before = every[ends + (PAD - 8)] & _LAST[short], every[ends + (PAD - 16)] & _BEFORE[short]
    mixed = ((last * _ODD + before) * _ODD + lengths.astype(np.uint64)) * _ODD
    bucket = (mixed >> np.uint64(44)).view(np.int64)
    known = int(np.searchsorted(ends, block.starts[first])) if first < len(block.starts) else None
    seen = np.zeros(1 << 20, bool)
    seen[bucket[:known]] = True
    fresh = np.flatnonzero(~seen[bucket])
    _, places = np.unique(bucket[fresh], return_index=True)
    lines = np.searchsorted(block.ends, ends[fresh[places[:MOST_NAMES]]])
    return sorted(set(lines.tolist()))


_ODD = np.uint64(0x9E3779B97F4A7C15)
_ALL = (1 << 64) - 1
_LAST = np.array([_ALL << 8 * (8 - min(n, 8)) & _ALL for n in range(17)], np.uint64)
_BEFORE = np.array([_ALL << 8 * (16 - max(n, 8)) & _ALL for n in range(17)], np.uint64)
"""Masks that leave the last bytes of a name in a word, by its length."""


def _laid_over(one: dict[str, Any], within: Sequence[str]) -> dict[str, Any]:
    for name in within:
        if isinstance(inner := one.get(name), dict):
            one = {**one, **inner}
    return one


def _paths(one: Mapping[str, Any], before: str, depth: int) -> Iterator[str]:
    for name, value in one.items():
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict) and depth < NESTED:
            yield from _paths(inner, f"{before}{name}.", depth + 1)
        else:
            yield before + name


def _quick(
    lines: Lines,
    sample: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    within: Sequence[str],
) -> dict[str, pa.DictionaryArray | None] | None:
    """The values asked for by Arrow's reader; None where it cannot be sure to read them rightly."""
    block = lines.block
    if len(sample) < min(SAMPLE, len(lines)) or not len(lines):
        return None
    array = block.array
    braces = (array[block.starts] == ord("{")) & (array[np.maximum(block.ends - 1, 0)] == ord("}"))
    asked = [name for name in names if name not in lines.facts]
    places = {name: _places(sample, name, within) for name in asked}
    fields = _schema(sample, [path for some in places.values() for path in some])
    if not braces.all() or fields is None:
        return None
    try:
        table = json.read_json(
            pa.BufferReader(block.data),
            read_options=json.ReadOptions(use_threads=False, block_size=len(block.data) + 1),
            parse_options=json.ParseOptions(
                explicit_schema=pa.schema(fields), unexpected_field_behavior="ignore"
            ),
        )
    except UNREAD:
        return None
    if table.num_rows != len(lines):
        return None
    made: dict[str, pa.DictionaryArray | None] = {}
    for name, some in places.items():
        found = [_column(table, path) for path in some]
        if any(pa.types.is_struct(column.type) for column in found):
            return None
        made[name] = coded(pc.coalesce(*(column.cast(pa.string()) for column in found)))
    return made


def _column(table: pa.Table, path: tuple[str, ...]) -> pa.Array:
    column = table[path[0]].combine_chunks()
    return pc.struct_field(column, list(path[1:])) if len(path) > 1 else column


def _places(
    sample: Sequence[Mapping[str, Any]], name: str, within: Sequence[str]
) -> list[tuple[str, ...]]:
    """Where a name may stand: as itself, as a path. What the first objects lack, later ones may have."""
    laid = [outer for outer in within if any(isinstance(o.get(outer), dict) for o in sample)]
    beside = _beside(sample, name)
    return [*((outer, *path) for outer in reversed(laid) for path in beside), *beside]


def _beside(sample: Sequence[Mapping[str, Any]], name: str) -> list[tuple[str, ...]]:
    path = tuple(name.split("."))
    there = dict.fromkeys(real for one in sample if (real := _real(one, path)) is not None)
    if there or len(path) == 1:
        return [*there] or [(name,)]
    return [path] if any(isinstance(one.get(path[0]), dict) for one in sample) else [(name,), path]


def _real(one: Any, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """The path as this object has it: a name in it may hold dots itself."""
    for depth in range(len(path)):
        rest = ".".join(path[depth:])
        if not isinstance(one, dict):
            return None
        if rest in one:
            return (*path[:depth], rest)
        one = one.get(path[depth])
    return None


def _schema(
    sample: Sequence[Mapping[str, Any]], paths: Sequence[tuple[str, ...]]
) -> list[pa.Field] | None:
    """Types of the values at these paths; None where the first objects do not agree."""
    fields = []
    for name in dict.fromkeys(path[0] for path in paths):
        values = [v for one in sample if (v := one.get(name)) is not None]
        inner = [path[1:] for path in paths if path[0] == name and len(path) > 1]
        kinds = {type(v) for v in values}
        if inner and kinds <= {dict}:
            below = _schema(values, inner)
            if below is None:
                return None
            fields.append(pa.field(name, pa.struct(below)))
        elif not kinds and not inner:
            fields.append(pa.field(name, pa.string()))
        elif len(kinds) == 1 and not inner and (kind := SCALARS.get(next(iter(kinds)))):
            fields.append(pa.field(name, kind))
        else:
            return None
    return fields


def _load(lines: Lines) -> tuple[list[dict[str, Any]], IntArray, IntArray]:
    data = lines.block.data
    try:
        # All at once: a tenth cheaper than line by line, and the same answer where every line is one.
        found = orjson.loads(b"[" + data.rstrip(b"\n").replace(b"\n", b",") + b"]")
        if len(found) == len(lines) and all(type(one) is dict for one in found):
            return found, np.arange(len(lines)), np.empty(0, np.int64)
    except orjson.JSONDecodeError:
        pass
    found, good, bad = [], [], []
    for number in range(len(lines)):
        one = _object(lines.block.line(number))
        if one is None:
            bad.append(number)
        else:
            found.append(one)
            good.append(number)
    return found, np.array(good, np.int64), np.array(bad, np.int64)


def _object(line: bytes) -> dict[str, Any] | None:
    """The object of a line; what a list's comma or a sender put round it is taken off."""
    line = line.strip().rstrip(b",")
    if not line.startswith(b"{"):
        start = line.find(b"{")
        if start < 0 or start > 512:
            return None
        line = line[start:]
    try:
        one = orjson.loads(line)
    except orjson.JSONDecodeError:
        return _with_dashes(line)
    return one if isinstance(one, dict) else None


def _with_dashes(line: bytes) -> dict[str, Any] | None:
    """Formats of one's own write numbers bare (`"took":%tr`), and `-` where there is none."""
    made = DASH.sub(rb"\1null", line)
    if made == line:
        return None
    try:
        one = orjson.loads(made)
    except orjson.JSONDecodeError:
        return None
    return one if isinstance(one, dict) else None


def at_path(one: Any, path: Sequence[str]) -> Any:
    """The value at a path of names; of a list, its first; None where there is none."""
    for depth, name in enumerate(path):
        if isinstance(one, list):
            one = one[0] if one else None
        if not isinstance(one, dict) or depth > DEEPEST:
            return None
        rest = ".".join(path[depth:])
        if rest in one:
            return one[rest]
        one = one.get(name)
    return one


def _texts(values: list[Any]) -> pa.StringArray:
    try:
        found = pa.array(values)
    except (pa.ArrowTypeError, pa.ArrowInvalid, OverflowError):
        found = None
    if found is not None and (pa.types.is_string(found.type) or pa.types.is_integer(found.type)):
        return found.cast(pa.string())
    return pa.array([_text(v) for v in values], pa.string())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value if value is None else value.encode("utf-8", "replace").decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return ",".join(t for v in value[:20] if (t := _text(v)) is not None)
    return orjson.dumps(value).decode()[:4096]
