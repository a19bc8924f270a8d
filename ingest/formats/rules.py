"""The rules of one record, columns by the names they use, and of which records a condition is true."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.arrays import codes_to_text
from ingest.formats.description import (  # fmt: skip
    NOTHING,
    Condition,
    Judge,
    Kind,
    Layout,
    Record,
    Take,
    When,
)
from ingest.formats.lines import Columns, Mask
from ingest.formats.values import filled, first_of

CONTACTS: tuple[Kind, ...] = ("sensor", "resolver")


@dataclass
class Rules:
    """A layout with one of its records laid over it, compiled."""

    layout: Layout
    record: Record | None
    kind: Kind

    def _laid(self, name: str) -> object:
        own = getattr(self.record, name) if self.record is not None else None
        return own or getattr(self.layout, name)

    @cached_property
    def fields(self) -> dict[str, list[Take]]:
        """Target to sources, the record's before the layout's."""
        return {**self.layout.fields, **(self.record.fields if self.record else {})}  # type: ignore[dict-item]

    @cached_property
    def time(self) -> list[When]:
        """Ways to tell the time."""
        return self._laid("time")  # type: ignore[return-value]

    @cached_property
    def verdict(self) -> list[Judge]:
        """Ways to tell the verdict."""
        return self._laid("verdict")  # type: ignore[return-value]

    @cached_property
    def default(self) -> str:
        """The verdict where no word of the record says one."""
        return str(self._laid("default") or "unknown")

    @cached_property
    def places(self) -> dict[str, str]:
        """Names of positional columns."""
        names: Sequence[str] = self._laid("columns")  # type: ignore[assignment]
        return {name: str(place) for place, name in enumerate(names)}

    @cached_property
    def extract(self) -> dict[str, list[str]]:
        """Columns that are cut further by a pattern with named groups."""
        return {**self.layout.extract, **(self.record.extract if self.record else {})}

    @cached_property
    def contact(self) -> bool:
        """Whether rows only say that a host was contacted."""
        kind = (self.record.kind if self.record else None) or self.layout.kind or self.kind
        return kind in CONTACTS


class Named:
    """Columns by the names a description uses: positions, extracted groups, aliases."""

    def __init__(self, columns: Columns, rules: Rules, nothing: Sequence[str]) -> None:
        self.columns, self.numbers = columns, columns.numbers
        self._rules = rules
        self._nothing = pa.array(sorted({*NOTHING, *nothing}))
        self._made: dict[str, pa.DictionaryArray | None] = {}
        self._groups: dict[str, pa.DictionaryArray] = {}
        for name, patterns in rules.extract.items():
            self._extract(name, patterns)

    def __len__(self) -> int:
        return len(self.numbers)

    def under(self, rules: Rules) -> "Named":
        """The same records by the names of another record's rules: those made already, where they agree."""
        if (rules.places, rules.extract) == (self._rules.places, self._rules.extract):
            return self
        return Named(self.columns, rules, rules.layout.nothing)

    def raw(self, name: str) -> pa.DictionaryArray | None:
        """The column as it stands, words for nothing included."""
        if name in self._groups:
            return self._groups[name]
        return self.columns.column(self._rules.places.get(name, name))

    def column(self, name: str) -> pa.DictionaryArray | None:
        """The column with words for nothing as null."""
        if name not in self._made:
            found = self.raw(name)
            self._made[name] = None if found is None else self._said(found)
        return self._made[name]

    def _said(self, column: pa.DictionaryArray) -> pa.DictionaryArray:
        trimmed = pc.utf8_trim_whitespace(column.dictionary)
        nothing = pc.is_in(trimmed, self._nothing)
        if not pc.any(nothing).as_py() and trimmed.equals(column.dictionary):
            return column
        values = pc.if_else(nothing, pa.scalar(None, pa.string()), trimmed)
        return codes_to_text(column.indices, values)

    def _extract(self, name: str, patterns: Sequence[str]) -> None:
        column = self.raw(name)
        if column is None:
            return
        for pattern in patterns:
            found = pc.extract_regex(column.dictionary, pattern=pattern)
            for field in found.type:
                made = codes_to_text(column.indices, filled(found.field(field.name)))
                known = self._groups.get(field.name)
                self._groups[field.name] = made if known is None else first_of([known, made])


def holds(columns: Named, condition: Condition) -> Mask:
    """Which records a condition is true of: all its columns have one of the words."""
    result = np.ones(len(columns), bool)
    for name, words in condition.items():
        result &= _has(columns.column(name), words, len(columns))
        if not result.any():  # what no record is asked for need not be made
            break
    return result


def _has(column: pa.DictionaryArray | None, words: Sequence[str], count: int) -> Mask:
    if column is None:
        return np.full(count, "absent" in words)
    texts = column.dictionary
    made = np.full(len(texts), "present" in words)
    plain = [w for w in words if not w.startswith("~") and w not in ("present", "absent")]
    if plain:
        made |= pc.is_in(texts, pa.array(plain)).to_numpy(zero_copy_only=False)
    for word in words:
        if word.startswith("~"):
            found = pc.match_substring_regex(texts, word[1:])
            made |= found.fill_null(False).to_numpy(zero_copy_only=False)
    if texts.null_count:  # a null may stand in the dictionary itself
        made[pc.is_null(texts).to_numpy(zero_copy_only=False)] = "absent" in words
    indices = column.indices
    if indices.null_count:
        made, indices = np.append(made, "absent" in words), indices.fill_null(len(made))
    mask: Mask = made[indices.to_numpy()]
    return mask
