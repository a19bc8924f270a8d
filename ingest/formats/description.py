"""A log format as it is described in YAML: the model. docs/formats.md is its reference.

The same few lines describe a format that comes with Fairwatch (ingest/formats/products/) and one
that only a site has (its own folder `formats/`).
"""

import re
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ingest.formats.block import RAW

Verdict = Literal["allowed", "denied", "auth", "error", "unknown"]
Kind = Literal["proxy", "firewall", "sensor", "resolver"]
Engine = Literal["delimited", "pairs", "json", "pattern", "cef", "leef"]
Unit = Literal["ms", "s", "us", "ns", "min", "h:m:s"]
Decode = Literal["percent", "plus", "base64", "dns", "backslash", "hex"]
Target = Literal[
    "client", "user", "method", "scheme", "host", "port", "path", "query", "url", "status",
    "duration_ms", "bytes_down", "bytes_up", "referrer", "content_type", "user_agent",
    "device_category",
]  # fmt: skip
NOTHING = ("", "-")
NO_TEXT = pa.array([""])
assert {"client", "user", "url"} <= set(RAW.names)


def _many(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


def _alternatives(value: Any) -> Any:
    """One list of words, or several of which one is enough."""
    return [value] if value and all(isinstance(one, str) for one in value) else value


def _regex(pattern: str) -> str:
    """As RE2 understands it, which knows no look-around and no back-references."""
    try:
        pc.match_substring_regex(NO_TEXT, pattern)
    except pa.ArrowInvalid:
        raise ValueError("expected a regular expression of RE2's") from None
    return pattern


def grouped(pattern: str) -> str:
    """The first group of a pattern by the name RE2 needs."""
    return (
        pattern if "(?P<x>" in pattern else re.sub(r"(?<!\\)\((?!\?)", "(?P<x>", pattern, count=1)
    )


def _grouped(pattern: str) -> str:
    if "(?P<x>" not in _named(grouped(pattern)):
        raise ValueError("expected one group in brackets: it is what is taken")
    return pattern


def _named(pattern: str) -> str:
    try:
        pc.extract_regex(NO_TEXT, pattern=pattern)
    except pa.ArrowInvalid:
        pattern = ""
    if "(?P<" not in pattern:
        raise ValueError("expected groups with names, as in (?P<client>…), and no others")
    return pattern


def _tests(words: list[str]) -> list[str]:
    for word in words:
        if word.startswith("~"):
            _regex(word[1:])
    return words


Words = Annotated[list[str], BeforeValidator(_many)]
Regex = Annotated[str, Field(min_length=1, max_length=8000), AfterValidator(_regex)]
Match = Annotated[Regex, AfterValidator(_grouped)]
Groups = Annotated[Regex, AfterValidator(_named)]
Tests = Annotated[Words, AfterValidator(_tests)]


class Model(BaseModel):
    """Keys that are not known are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Take(Model):
    """Where a field comes from: the first of the columns that says something, and what is done to it."""

    from_: Words = Field([], alias="from")
    value: str | None = None
    match: Match | None = None
    words: dict[str, str] | None = None
    unit: Unit | None = None
    decode: Annotated[list[Decode], BeforeValidator(_many)] = []
    nothing: list[str] = []
    when: dict[str, Tests] = {}


def _takes(value: Any) -> Any:
    """`column`, `{from: column, …}` or a list of them, as a list of Take."""
    items = value if isinstance(value, list) else [value]
    return [{"from": one} if isinstance(one, str | int) else one for one in items]


Takes = Annotated[list[Take], BeforeValidator(_takes)]


class When(Model):
    """A way to write the time: columns (joined by a blank), how it is written, whose zone."""

    from_: Words = Field(alias="from")
    written: Words = Field(["iso"], alias="as")
    zone: str | None = None
    zone_from: str | None = None


class Judge(Model):
    """A column whose words say what the device did; `*` stands for any other word."""

    from_: Words = Field(alias="from")
    words: dict[str, Verdict]
    match: Regex | None = None


class Later(Judge):
    """Records that tell what became of one before them: the same in the columns `by`, and no question.

    A record is a question, and may be a row, where `asks` holds.
    """

    by: Words
    asks: dict[str, Tests]


Judges = Annotated[list[Judge], BeforeValidator(_many)]
Whens = Annotated[list[When], BeforeValidator(_many)]
Condition = dict[str, Tests]
Conditions = Annotated[list[Condition], BeforeValidator(_many)]


class Mapping(Model):
    """Columns to fields. What a record's own mapping does not say, its layout's does."""

    fields: dict[Target, Takes] = {}
    time: Whens = []
    verdict: Judges = []
    default: Verdict | None = None
    kind: Kind | None = None
    columns: list[str] = []
    extract: dict[str, Annotated[list[Groups], BeforeValidator(_many)]] = {}

    def named(self) -> set[str]:
        """Every column this mapping asks for, conditions aside."""
        takes = [take for some in self.fields.values() for take in some]
        names = {n for take in takes for n in (*take.from_, *take.when)}
        names |= {n for way in self.time for n in (*way.from_, *filter(None, [way.zone_from]))}
        return names | {n for judge in self.verdict for n in judge.from_} | {*self.extract}


class Record(Mapping):
    """One kind of record of a layout: which it is, and its fields, or why it is ignored."""

    name: str = ""
    when: Conditions = []
    ignore: str | None = None
    reject: str | None = None


class Layout(Mapping):
    """One way a product writes: the engine with its settings, and what the columns mean."""

    engine: Engine
    marker: Regex | None = None
    head: Regex | None = None
    delimiter: str = ","
    quotes: str | None = '"'
    repeated: bool = False
    escapes: bool = False
    multiline: bool = False
    header: Literal["none", "first", "directives"] = "none"
    counts: list[int] = []
    needs: Annotated[list[list[str]], BeforeValidator(_alternatives)] = []
    between: str = " "
    sign: str = "="
    spaced: bool = False
    blank_keys: bool = False
    keys: list[str] = []
    within: list[str] = []
    patterns: list[Groups] = []
    nothing: list[str] = []
    synonyms: bool = False
    syslog: bool = True
    records: list[Record] = []
    later: Later | None = None
    otherwise: Literal["ignore", "reject"] = "reject"

    @property
    def names(self) -> set[str]:
        """Every column the layout can ask for."""
        conditions = {n for record in self.records for one in record.when for n in one}
        if self.later is not None:
            conditions |= {*self.later.by, *self.later.from_, *self.later.asks}
        return conditions.union(self.named(), *(record.named() for record in self.records))

    @model_validator(mode="after")
    def _complete(self) -> "Layout":
        if self.engine == "pattern" and not self.patterns:
            raise ValueError("expected `patterns` for the engine `pattern`")
        if not (self.time or self.synonyms or any(r.time for r in self.records)):
            raise ValueError("expected `time`: a row needs one")
        return self


class Description(Model):
    """A product's log format: all the layouts it is written in."""

    title: str = Field(min_length=1)
    versions: str = ""
    documentation: str = ""
    kind: Kind = "proxy"
    generic: bool = False
    note: str = ""
    layouts: list[Layout] = Field(min_length=1)
