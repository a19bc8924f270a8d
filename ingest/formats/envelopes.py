"""What stands round a record: a syslog header, a CEF or LEEF head, a JSON object with the line in it.

An envelope is taken off where it is there; what it says becomes columns whose names begin with `@`.
"""

import re
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.block import IntArray
from ingest.formats.lines import Lines, coded

# `123 <134>1 …`: a frame that counts its bytes (RFC 6587) before the priority.
PRI = r"^ ?(?:(?:\d{1,6} )?<(?P<pri>\d{1,3})>:?)? ?"
ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]{1,2}\d{1,2}:?\d\d)?"
MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,6})?"
TAG = r"(?:(?P<tag>[A-Za-z_][\w./-]{0,63})(?:\[[\w:.-]{0,40}\])?: )?"
HOST = r"(?:(?P<host>[^\s:=\[,\"|<{%]{1,255}|[0-9a-fA-F:.]{3,45})(?: ?: | )(?: *))?"
HEADS = (
    # RFC 5424: version, time, host, app, process, message id; structured data stays in the body.
    PRI
    + rf"\d{{1,2}} (?P<time>{ISO}|-) (?P<host>\S{{1,255}}) (?P<tag>\S{{1,48}}) \S{{1,128}} \S{{1,64}} (?:- ?)?",
    # RFC 3164 and what devices make of it: a year, a zone or a colon more, a host or a tag less.
    PRI
    + rf"(?P<time>(?:\d{{4}} )?{MONTH} {{1,2}}\d{{1,2}}(?: \d{{4}})? {CLOCK}(?: \d{{4}})?)(?: [A-Z]{{2,5}})?:? +{HOST}{TAG}",
    PRI + rf"(?P<time>{ISO}),? +{HOST}{TAG}",
    r"^ ?(?:\d{1,6} )?<(?P<pri>\d{1,3})>(?P<time>)(?P<host>)" + TAG,
)
CRI = rf"^(?P<time>{ISO}) (?P<host>)(?P<tag>stdout|stderr) F (?P<pri>)"
ALL_HEADS = (CRI, *HEADS)
SYSLOG = [re.compile(head) for head in ALL_HEADS]
CEF = r"^(?:CEF: ?)?(?P<v>\d{1,2})\|(?P<vendor>(?:[^|\\]|\\.)*)\|(?P<product>(?:[^|\\]|\\.)*)\|(?P<version>(?:[^|\\]|\\.)*)\|(?P<class>(?:[^|\\]|\\.)*)\|(?P<name>(?:[^|\\]|\\.)*)\|(?P<severity>(?:[^|\\]|\\.)*)\|"
CEF_EMPTY = r"^CEF: ?\d\|\|"
LEEF = r"^LEEF: ?(?P<v>[12](?:\.0)?)\|(?P<vendor>[^|]*)\|(?P<product>[^|]*)\|(?P<version>[^|]*)\|(?P<class>[^|]*)\|"
LEEF_DELIMITER = r"^(?P<delimiter>x[0-9A-Fa-f]{2}|0x[0-9A-Fa-f]{2}|[^\w\s=])?\|"


def syslog(lines: Lines) -> Lines:
    """Lines without the header a syslog sender or receiver wrote; `@time`, `@host`, `@tag`, `@pri`."""
    texts = lines.texts
    sample = texts[:: max(1, len(texts) // 50)].to_pylist()
    heads = [
        h for h, known in zip(ALL_HEADS, SYSLOG, strict=True) if any(known.match(t) for t in sample)
    ]
    if not heads:
        return lines
    starts = lines.block.starts.copy()
    facts: dict[str, list[pa.Array]] = {name: [] for name in ("time", "host", "tag", "pri")}
    left = np.ones(len(texts), bool)
    for head in heads:
        found = pc.extract_regex_span(texts, pattern=f"(?P<all>{head})")
        fits = pc.is_valid(found).to_numpy(zero_copy_only=False) & left
        if not fits.any():
            continue
        left &= ~fits
        keep = pa.array(fits)
        whole = found.field("all")
        length = pc.list_element(whole, 1).fill_null(0).to_numpy(zero_copy_only=False)
        starts += np.where(fits, length, 0)
        for name, made in facts.items():
            text = _span(texts, found, name)
            made.append(pc.if_else(keep, text, pa.scalar(None, pa.string())))
    columns = {f"@{name}": coded(pc.coalesce(*made)) for name, made in facts.items() if made}
    if not columns:
        return lines
    return lines.at(np.minimum(starts, lines.block.ends), {**lines.facts, **columns})


def _span(texts: pa.StringArray, found: pa.StructArray, name: str) -> pa.Array:
    """The text of a group, null where it took no part."""
    if name not in {f.name for f in found.type}:
        return pa.nulls(len(texts), pa.string())
    field = found.field(name)
    start = pc.list_element(field, 0).fill_null(0).to_numpy(zero_copy_only=False)
    size = pc.list_element(field, 1).fill_null(0).to_numpy(zero_copy_only=False)
    buffers = texts.buffers()
    offsets = np.frombuffer(buffers[1], np.int32)[texts.offset : texts.offset + len(texts)]
    low = offsets + start
    pieces = np.empty(2 * len(texts) + 1, np.int32)
    pieces[0:-1:2], pieces[1::2] = low, low + size
    pieces[-1] = pieces[-2] if len(texts) else 0
    cut = pa.StringArray.from_buffers(2 * len(texts), pa.py_buffer(pieces), buffers[2])
    return cut.take(pa.array(np.arange(0, 2 * len(texts), 2, dtype=np.int32), mask=size == 0))


def headed(lines: Lines, pattern: str, prefix: str) -> tuple[Lines, IntArray]:
    """Lines whose body begins with a CEF or LEEF head, without it; and which lines those are."""
    found = pc.extract_regex(lines.texts, pattern=f"(?P<all>{pattern})")
    fits = np.flatnonzero(pc.is_valid(found).to_numpy(zero_copy_only=False))
    some = lines.take(fits)
    found = found.take(pa.array(fits))
    length = pc.binary_length(found.field("all")).fill_null(0).to_numpy(zero_copy_only=False)
    facts: Mapping[str, pa.DictionaryArray] = {
        f"@{prefix}.{f.name}": coded(found.field(f.name))
        for f in found.type
        if f.name not in ("all", "v")
    }
    return some.at(some.block.starts + length, {**some.facts, **facts}), fits
