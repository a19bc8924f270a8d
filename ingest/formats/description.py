"""A log format as it is described in YAML: the model. docs/formats.md is its reference.

The same few lines describe a format that comes with Fairwatch (ingest/formats/products/) and one
that only a site has (its own folder `formats/`).
"""

import re
from functools import cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from ingest.formats import times
from ingest.formats.block import RAW

Verdict = Literal["allowed", "denied", "auth", "error", "unknown"]
Kind = Literal["proxy", "firewall", "sensor", "resolver"]
Engine = Literal["delimited", "pairs", "json", "pattern", "cef", "leef"]
Unit = Literal["ms", "s", "us", "ns", "min", "h:m:s"]
Decode = Literal["percent", "plus", "base64", "dns", "backslash", "hex"]
Target = Literal[
    "client", "user", "method", "scheme", "host", "port", "path", "query", "url", "status",
    "duration_ms", "bytes_down", "bytes_up", "referrer", "content_type", "user_agent",
    "device_category", "fetch_dest", "fetch_mode", "fetch_site", "fetch_user", "fetch_purpose",
]  # fmt: skip
NOTHING = ("", "-")
NO_TEXT = pa.array([""])
assert {"client", "user", "url"} <= set(RAW.names)


def _many(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


def _alternatives(value: Any) -> Any:
    """One list of words, or several of which one is enough."""
    return [value] if value and all(isinstance(one, str) for one in value) else value


@cache
def _fault(pattern: str, *, extracts: bool) -> str | None:
    """What RE2 has against a pattern; `extracts`: all its groups must have names."""
    names = re.findall(r"\(\?P<(\w+)>", pattern)
    if extracts and len(set(names)) < len(names):
        return "two groups have the same name"
    ask = pc.extract_regex if extracts else pc.match_substring_regex
    try:
        ask(pa.array([""]), pattern=pattern)
    except pa.ArrowInvalid as error:
        return str(error).splitlines()[0]
    return None


def _sound(pattern: str, *, extracts: bool) -> str:
    if fault := _fault(pattern, extracts=extracts):
        told = fault.removeprefix("Invalid regular expression: ")
        raise ValueError(f"expected a pattern of RE2's (no look-around, no back-reference): {told}")
    return pattern


def _regex(pattern: str) -> str:
    return _sound(pattern, extracts=False)


def _groups(pattern: str) -> str:
    if "(?P<" not in pattern:
        raise ValueError("expected a pattern with at least one named group `(?P<name>…)`")
    return _sound(pattern, extracts=True)


def grouped(pattern: str) -> str:
    """A pattern whose one group, or else the whole, is named `x`, as RE2's users ask for it."""
    if "(?P<x>" in pattern:
        return pattern
    made = re.sub(r"(?<!\\)\((?!\?)", "(?P<x>", pattern, count=1)
    return made if made != pattern else f"(?P<x>{pattern})"


def _one_group(pattern: str) -> str:
    _sound(pattern, extracts=False)
    if _fault(grouped(pattern), extracts=True):
        raise ValueError("expected a pattern with one group `(…)`; others do not take: `(?:…)`")
    return pattern


def _condition(words: list[str]) -> list[str]:
    """Words, of which `~RE2` are patterns."""
    for word in words:
        if word.startswith("~"):
            _regex(word[1:])
    return words


def _written(ways: list[str]) -> list[str]:
    for way in times.patterns(tuple(word for word in ways if word != "epoch")):
        if _fault(way.regex, extracts=True) or not {"%H", "%M"} <= set(re.findall("%.", way.text)):
            raise ValueError(f"expected a way to write the time such as {SUCH}")
    return ways


SUCH = "epoch, iso, syslog, clf, ctime, date-local or `%d/%m/%Y %H:%M:%S`"


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected a time zone such as UTC or Europe/London") from None
    return name


Words = Annotated[list[str], BeforeValidator(_many)]
Longest = StringConstraints(min_length=1, max_length=8000)
Regex = Annotated[str, Longest, AfterValidator(_regex)]
Groups = Annotated[str, Longest, AfterValidator(_groups)]
OneGroup = Annotated[str, Longest, AfterValidator(_one_group)]
Held = Annotated[list[str], BeforeValidator(_many), AfterValidator(_condition)]
Between = Annotated[str, StringConstraints(min_length=1, max_length=8, pattern=r"^[\x01-\x09\x0b-\x7f]+$")]  # fmt: skip


class Model(BaseModel):
    """Keys that are not known are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Take(Model):
    """Where a field comes from: the first of the columns that says something, and what is done to it."""

    from_: Words = Field([], alias="from")
    value: str | None = None
    match: OneGroup | None = None
    words: dict[str, str] | None = None
    unit: Unit | None = None
    decode: Annotated[list[Decode], BeforeValidator(_many)] = []
    nothing: list[str] = []
    when: dict[str, Held] = {}


def _takes(value: Any) -> Any:
    """`column`, `{from: column, …}` or a list of them, as a list of Take."""
    items = value if isinstance(value, list) else [value]
    return [{"from": one} if isinstance(one, str | int) else one for one in items]


Takes = Annotated[list[Take], BeforeValidator(_takes)]


class When(Model):
    """A way to write the time: columns (joined by a blank), how it is written, whose zone."""

    from_: Words = Field(alias="from")
    written: Annotated[Words, AfterValidator(_written)] = Field(["iso"], alias="as")
    zone: Annotated[str, AfterValidator(_zone)] | None = None
    zone_from: str | None = None


class Judge(Model):
    """A column whose words say what the device did; `*` stands for any other word."""

    from_: Words = Field(alias="from")
    words: dict[str, Verdict]
    match: OneGroup | None = None


class Later(Judge):
    """Records that tell what became of one before them: the same in the columns `by`, and no question.

    A record is a question, and may be a row, where `asks` holds. Of the record that says the verdict the
    columns `hands` are the question's as `@later.NAME`.
    """

    by: Words
    asks: dict[str, Held]
    hands: Words = []


Judges = Annotated[list[Judge], BeforeValidator(_many)]
Whens = Annotated[list[When], BeforeValidator(_many)]
Condition = dict[str, Held]
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
    delimiter: Between = ","
    quotes: Between | Literal[""] | None = '"'
    repeated: bool = False
    escapes: bool = False
    multiline: bool = False
    header: Literal["none", "first", "directives"] = "none"
    counts: list[int] = []
    needs: Annotated[list[list[str]], BeforeValidator(_alternatives)] = []
    between: Between = " "
    sign: Between = "="
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

    @field_validator("head")
    @classmethod
    def _whole(cls, head: str | None) -> str | None:
        """The groups of a head have names; it need not have any."""
        return head and _sound(head, extracts=True)

    @model_validator(mode="after")
    def _complete(self) -> "Layout":
        if self.engine == "pattern" and not self.patterns:
            raise ValueError("expected `patterns` for the engine `pattern`")
        if self.engine == "delimited" and self.quotes and len(self.quotes) > 1:
            raise ValueError("expected one sign for `quotes` of the engine `delimited`")
        if self.header == "first" and len(self.delimiter) > 1:
            raise ValueError("expected one sign for `delimiter` where the header is the first line")
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
