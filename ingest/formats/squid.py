"""Squid's access.log: its own format, `combined`, or any logformat line of blank-separated columns.

1786353013.209    161 10.20.1.12 TCP_MISS/200 103701 GET http://news.example/ ann HIER_DIRECT/203.0.113.7 text/html
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from errors import BadConfiguration
from ingest.formats import fetching
from ingest.formats.arrays import (
    TEXT,
    absent,
    codes_to_text,
    constant,
    encoded,
    epoch_ms,
    text_of,
    values_of,
)
from ingest.formats.block import NOTHING_SAID, RAW, Block, Given, Parsed, Reject
from ingest.formats.delimited import Column, Layout, read_columns
from ingest.formats.logformat import Logformat
from ingest.formats.results import verdict, verdicts
from ingest.formats.slashes import slashed
from ingest.formats.urls import grains

NATIVE = "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt"
COMBINED = (
    '%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh'
)
FAIRWATCH = (
    '%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt %>st "%{Referer}>h" '
    '"%{Sec-Fetch-Dest}>h" "%{Sec-Fetch-Mode}>h" "%{Sec-Fetch-Site}>h" "%{Sec-Fetch-User}>h" '
    '"%{Sec-Purpose}>h"'
)
"""The line docs/squid-logging.md asks for."""

APACHE_COMBINED = (
    '%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h"'
)

CODE = re.compile(
    r"%(?P<quote>[\"'\[#/]?)(?P<width>-?\d*(?:\.\d+)?)(?:\{(?P<argument>[^}]*)\})?"
    r"(?P<code>[<>]?(?:[a-z]+::)?[<>]?[A-Za-z]+)"
)
"""A format code of Squid's `logformat` directive: modifiers, width, argument, name."""

PADDED = re.compile(r"%[1-9]")
"""A column written right-aligned, with blanks before it."""

FIELDS = {
    "ts": "seconds",
    "tr": "duration_ms",
    "dt": None,
    ">a": "client",
    ">A": "client",
    "Ss": "result",
    ">Hs": "status",
    "Hs": "status",
    "<Hs": None,
    "<st": "bytes_down",
    "st": None,
    ">st": "bytes_up",
    "rm": "method",
    ">rm": "method",
    "ru": "url",
    ">ru": "url",
    "un": "user",
    "ul": "user",
    "mt": "content_type",
    "tl": "clock",
    "tg": "clock",
}
"""Squid's format codes and the field each fills; codes that are absent here are read and dropped."""

HEADERS = {"referer": "referrer", "user-agent": "user_agent", **fetching.HEADERS}
NUMBERS = ("duration_ms", "bytes_down", "bytes_up")
NO_VISIT = {
    "no request (error:…)": ("url", r"^error:"),
    "another cache asks (ICP, HTCP)": ("method", r"^(?:ICP_QUERY|HTCP_[A-Z]+)$"),
    "the proxy asks a filter (ICAP)": ("url", r"^icaps?://"),
}
"""Why lines whose columns fit are no person's request: the column that says so, and how."""

ODD = b"ei"
"""How the URLs among them begin: no other is asked."""


@dataclass(frozen=True)
class Part:
    """A piece of a column: text that stands there, or a field."""

    literal: str = ""
    name: str | None = None


@dataclass(frozen=True)
class Squid:
    """One logformat, compiled once."""

    name: str
    title: str
    logformat: str
    versions: str = "Squid 2.7 to 7"
    generic: bool = False

    @cached_property
    def layout(self) -> Layout:
        """The line as columns between blanks."""
        columns = [Column(_label(i, p), self._kind(p)) for i, p in enumerate(self.columns)]
        texts = enumerate(_split(self.logformat))
        padded = [i for i, text in texts if PADDED.match(text) and columns[i].kind == "int"]
        return Layout(columns, quoted='"' in self.logformat, padded=padded)

    @cached_property
    def columns(self) -> list[list[Part]]:
        """Each column as its pieces; a quoted column may hold blanks."""
        return [_parts(text) for text in _split(self.logformat)]

    @staticmethod
    def _kind(parts: list[Part]) -> Any:
        if [p.name for p in parts] == ["seconds"]:
            return "float"
        if all(p.name in (None, "_") for p in parts):
            return "unread"
        return "int" if len(parts) == 1 and parts[0].name in NUMBERS else "text"

    def lead(self, lead: bytes, data: bytes) -> bytes:
        """No line of it is a header."""
        return lead

    def whole(self, data: bytes) -> int:
        """A record is a line."""
        return len(data)

    def parse(self, block: Block, given: Given = NOTHING_SAID) -> Parsed:
        """Rows of schema RAW; raises nothing for whatever stands in the lines."""
        read = read_columns(block, self.layout)
        fields: dict[str, pa.Array] = {}
        for index, parts in enumerate(self.columns):
            label = _label(index, parts)
            if label in read.table.column_names:
                _fields(parts, read.table[label], fields)
        return rows_of(fields, read.table["line"], read.rejects, read.ignored)


def compiled(logformat: str) -> "Squid | Logformat":
    """The site's own logformat line; raises BadConfiguration where it cannot give rows."""
    text = re.sub(r"^\s*(logformat\s+\S+\s+)?", "", logformat).strip()
    title = "Squid, the site's own logformat"
    plain, other = Squid("squid", title, text), Logformat("squid", title, text)
    names = other.fields
    if not names & {"url", "host", "sni"}:
        raise BadConfiguration(f"logformat: found no %ru; expected it in {text!r}.")
    if not names & {"client", "user", "forwarded"}:
        raise BadConfiguration(f"logformat: found no %>a; expected it in {text!r}.")
    if not names & {"seconds", "clock", "started"}:
        raise BadConfiguration(f"logformat: found no %ts or %tl in {text!r}; a line needs a time.")
    return plain if _simple(text, names) else other


SIMPLE = re.compile(
    r"%-?\d*(?:\{[\w-]+\})?(?:ts|tu|tr|dt|>a|>A|>p|<a|<A|<p|la|lp|>la|>lp|Ss|Sh|>?Hs|<st|>st|st|>?rm|>?ru|rv|un|ul|mt|>h)(?![A-Za-z_])"
)


def _simple(text: str, names: set[str]) -> bool:
    """Whether blanks alone tell the columns apart, with codes whose values hold none."""
    if names & {"scheme", "host", "port", "path", "sni", "forwarded"} or "url" not in names:
        return False
    if "client" not in names or text.count("%un") + text.count("%ul") + text.count("%[un") > 1:
        return False
    known = text.replace("[%tl]", "%ts").replace("%[un", "%un").replace("%[ui", "%un")
    known = known.replace("%http::", "%")
    bare = [c for c in re.findall(r'"[^"]*"|\S+', known) if not c.startswith('"')]
    if any("{" in column for column in bare):
        return False  # a header may hold blanks
    left = SIMPLE.sub("", known)
    return "%" not in left and not re.search(r"[\t|,;]", left)


def _label(index: int, parts: list[Part]) -> str:
    """What a reject calls the column."""
    names = "/".join(p.name for p in parts if p.name and p.name != "_")
    return f"column {index + 1}" + (f" ({names})" if names else "")


def _split(logformat: str) -> list[str]:
    """Cut at blanks outside quotes; `%tl` writes one blank itself."""
    text = re.sub(r"%tl|%tg", lambda m: f"{m[0]} %zone", logformat)
    return re.findall(r'"[^"]*"|\S+', text)


def _parts(column: str) -> list[Part]:
    text = column.strip('"')
    # %ts.%03tu is one number: seconds with their fraction.
    text = text.replace("%ts.%03tu", "%ts").replace("%ts.%tu", "%ts")
    parts: list[Part] = []
    at = 0
    for match in CODE.finditer(text):
        if match.start() > at:
            parts.append(Part(literal=text[at : match.start()]))
        parts.append(Part(name=_field(match)))
        at = match.end()
    if at < len(text):
        parts.append(Part(literal=text[at:]))
    return parts


def _field(match: re.Match[str]) -> str:
    code, argument = match["code"], (match["argument"] or "").lower()
    if code == "zone":
        return "zone"
    if code in (">h", ">ha") and argument in HEADERS:
        return HEADERS[argument]
    return FIELDS.get(code) or "_"


def _fields(parts: list[Part], column: pa.ChunkedArray, fields: dict[str, pa.Array]) -> None:
    """Put the fields of one column into `fields`; a name met twice keeps its first."""
    if len(parts) == 1:
        name = parts[0].name or "_"
        if name != "_" and name not in fields:
            numeric = not pa.types.is_dictionary(column.type)
            fields[name] = column.combine_chunks() if numeric else encoded(column)
        return
    names = [p.name for p in parts if p.name]
    pattern = "^" + "".join(
        f"(?P<f{i}>.*{'?' if i < len(parts) - 1 else ''})" if p.name else _literal(p.literal)
        for i, p in enumerate(parts)
    )
    groups = [f"f{i}" for i, p in enumerate(parts) if p.name]
    text = encoded(column)
    found = pc.extract_regex(text.dictionary, pattern=pattern + "$")
    both = ("result", "status")
    if {*both} <= {*names} and not {*both} & fields.keys() and not text.null_count:
        # One column says both, as Squid's own form does: of these pairs there are few.
        said = (pc.struct_field(found, groups[names.index(name)]).to_pylist() for name in both)
        fields["verdict"] = codes_to_text(text.indices, [*map(verdict, *said)])
    for name, group in zip(names, groups, strict=True):
        if name != "_" and name not in fields:
            values = pc.struct_field(found, group)
            folded = values.dictionary_encode()
            fields[name] = pa.DictionaryArray.from_arrays(
                folded.indices.take(text.indices).cast(pa.int32()), folded.dictionary
            )


def _literal(text: str) -> str:
    """What stands between fields; Squid writes `NONE/0.0` where there was no request."""
    return re.escape(text).replace("HTTP/", "(?:HTTP|NONE)/")


def rows_of(
    fields: dict[str, pa.Array], lines: pa.ChunkedArray, rejects: list[Reject], ignored: int
) -> Parsed:
    """Rows of columns by field; `seconds`, `clock` with `zone`, or `when` (ms) is their time."""
    count = len(lines)
    made: dict[str, pa.Array] = {"line": lines.combine_chunks(), "time": _time(fields, count)}
    for name in ("user", "client", "method", "url", "referrer", "content_type", "user_agent"):
        made[name] = absent(fields[name]) if name in fields else constant(None, count)
    result = fields.get("result", constant(None, count))
    status = values_of(fields["status"], _status, pa.int16()) if "status" in fields else None
    made["status"] = pa.nulls(count, pa.int16()) if status is None else _no_zero(status)
    made["verdict"] = (
        fields["verdict"]
        if "verdict" in fields
        else verdicts(result, fields.get("status", constant(None, count)))
    )
    for name in NUMBERS:
        column = fields.get(name, pa.nulls(count, pa.int64()))
        made[name] = (
            values_of(column, _integer, pa.int64())
            if pa.types.is_dictionary(column.type)
            else column
        )
    if pc.any(pc.match_substring(made["user"].dictionary, "%")).as_py():
        # Squid writes a name as it writes a URL: `EXAMPLE%5Cann`.
        made["user"] = text_of(made["user"], lambda name: unquote(name, errors="replace"))
    made["device_category"] = constant(None, count)
    made["grain"] = grains(made["url"], made["method"])
    said = {name: absent(fields[name]) for name in fetching.TARGETS if name in fields}
    made.update(fetching.columns(said, count))
    table = pa.table([made[f.name] for f in RAW], schema=RAW)
    return _set_aside(Parsed(table, rejects, +Counter({"blank line or comment": ignored})))


def _set_aside(parsed: Parsed) -> Parsed:
    """Lines whose columns fit but which are no request, or have no time or URL."""
    rows = parsed.rows
    url = rows["url"].combine_chunks()
    no_visit = _no_visits(rows, parsed.why)
    checks = (
        (pc.is_null(rows["time"]), "the time is not understood"),
        (pc.is_null(url), "no URL"),
        (pc.is_null(rows["client"]), "no client address"),
    )
    keep = pc.invert(no_visit)
    for bad, reason in checks:
        fresh = pc.and_(keep, bad)
        if pc.any(fresh).as_py():
            numbers = rows["line"].filter(fresh).to_pylist()
            parsed.rejects += [Reject(n, reason) for n in numbers]
            keep = pc.and_(keep, pc.invert(bad))
    if not pc.all(keep).as_py():
        parsed.rows = rows.filter(keep)
    return parsed


def _no_visits(rows: pa.Table, why: Counter[str]) -> pa.Array:
    """Which lines are no person's request, each counted once with its reason."""
    found = pa.array(np.zeros(rows.num_rows, bool))
    for reason, (name, pattern) in NO_VISIT.items():
        column = rows[name].combine_chunks()
        words = column.dictionary
        asked = slashed(words).begun(ODD) if name == "url" else np.arange(len(words))
        fits = pc.match_substring_regex(words.take(pa.array(asked)), pattern)
        if not pc.any(fits).as_py():
            continue
        which = np.zeros(len(words), bool)
        which[asked] = pc.fill_null(fits, False).to_numpy(zero_copy_only=False)
        fresh = pc.and_not(pc.fill_null(pa.array(which).take(column.indices), False), found)
        why[reason] += pc.sum(fresh).as_py() or 0
        found = pc.or_(found, fresh)
    return found


def _time(fields: dict[str, pa.Array], count: int) -> pa.Array:
    if "when" in fields:
        return fields["when"]
    if "seconds" in fields:
        seconds = fields["seconds"]
        if pa.types.is_dictionary(seconds.type):
            seconds = values_of(seconds, _number, pa.float64())
        return epoch_ms(seconds)
    if "clock" not in fields:
        return pa.nulls(count, pa.int64())
    clock = fields["clock"]
    local = pc.strptime(
        clock.dictionary, format="%d/%b/%Y:%H:%M:%S", unit="ms", error_is_null=True
    ).cast(pa.int64())
    offset = values_of(fields["zone"], _offset_ms, pa.int64())
    return pc.subtract(local.take(clock.indices), offset)


def _offset_ms(zone: str) -> int | None:
    match = re.fullmatch(r"([+-])(\d{2})(\d{2})\]?", zone)
    if not match:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    return (minutes if match[1] == "+" else -minutes) * 60_000


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else None


def _status(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,3}", text) else None


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text) else None


def _no_zero(status: pa.Array) -> pa.Array:
    """Status 000 means that no reply was sent; it is no number."""
    return pc.if_else(pc.greater(status, 0), status, pa.scalar(None, pa.int16()))


SQUID = Squid("squid", "Squid native", NATIVE)
SQUID_COMBINED = Squid("combined", "Squid combined", COMBINED)
APACHE = Squid("combined", "Apache combined", APACHE_COMBINED, "Apache httpd 2.x")
__all__ = ["APACHE", "SQUID", "SQUID_COMBINED", "TEXT", "Squid", "compiled"]
