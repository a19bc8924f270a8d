"""What carries log lines: JSON objects of shippers, clouds and container engines, or a time before each.

A carrier has a name: the path of the line in its object (`log`, `event.original`, `jsonPayload`),
`path[]` where the objects of a list are records of their own, `syslog`, `structured` (its structured data as
well), `stamp`, `fluentd`, or an export as CSV (`sheets`).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats import envelopes, sheets
from ingest.formats.block import Reject
from ingest.formats.lines import Lines, coded, from_texts
from ingest.formats.objects import Objects, at_path
from ingest.formats.quotes import joined
from ingest.formats.sheets import Held

LISTS = (
    "records", "Records", "logEvents", "events", "Events", "value", "logs", "entries", "data",
    "results", "items", "queries", "hits.hits", "response.entries", "body.queries",
    "resourceLogs.scopeLogs.logRecords", "streams.values", "data.result.values",
)  # fmt: skip
PLACES = (
    "_raw", "raw", "log", "MESSAGE", "event.original", "log.original", "message", "msg", "event",
    "SyslogMessage", "RawData", "rawEvent", "raw_event", "rawLog", "textPayload", "jsonPayload",
    "protoPayload", "line", "short_message", "full_message", "body.stringValue", "body", "Body",
    "data", "_source", "result", "record", "payload", "properties", "Message", "content", "text",
    "full_log", "@message", "log_text", "properties.message", "properties.log",
)  # fmt: skip
"""Where carriers put the line: Docker, journald, Beats, Fluent Bit, Vector, Loki, Splunk, Wazuh, clouds."""
TIMES = (
    "time", "timestamp", "@timestamp", "__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP", "ts",
    "TimeGenerated", "date", "_time", "timeUnixNano", "receiveTimestamp", "EventReceivedTime",
)  # fmt: skip
MOMENT = "@wrapper.time"
FLUENTD = rf"^(?P<all>(?P<time>{envelopes.ISO}|{envelopes.BLANKED})(?:\t[^\t ]*\t| [\w.*/-]+: ))\{{"
STAMPS = {
    "stamp": rf"^(?P<all>(?P<time>{envelopes.ISO}) (?:(?:stdout|stderr) [FP](?::\S*)? )?)",
    "fluentd": FLUENTD,  # its files: time, tag and record; on its standard output with blanks between
}
DECODER = json.JSONDecoder()
NEXT = re.compile(r"\}\s*+,?\s*+(?=\{\")")
SYSLOGS = {"syslog": envelopes.syslog, "structured": envelopes.structured}
LEAST, PARTIAL, LONGEST, MOST = 12, 8 << 10, 1 << 20, 50_000


def places(lines: Lines) -> list[str]:
    """The carriers that lines may be in, likeliest first."""
    found: list[str] = []
    first = lines.block.data[:2048]
    if b"{" in first:
        objects = Objects(lines).objects[:50]
        # `{}{}` without a newline between: the line is no object, but several.
        if not objects and re.search(rb"\}\s*\{", lines.block.data):
            found.append("{}")
        found += [f"{name}[]" for name in LISTS if any(_listed(one, name) for one in objects)]
        found += [name for name in PLACES if any(_carries(one, name) for one in objects)]
    if not first.lstrip().startswith(b"{"):
        if sheet := sheets.sheet(joined(lines)):
            found.append(sheet)
        if envelopes.syslog(lines) is not lines:
            found.append("syslog")
            if envelopes.structured(lines) is not lines:
                found.append("structured")
        for name, stamp in STAMPS.items():
            if re.match(stamp.encode(), first):
                # What stands before an object is more than the object.
                found.insert(0 if name == "fluentd" else len(found), name)
    return found


def _listed(one: Mapping[str, Any], name: str) -> bool:
    held = _held(one, name)
    return bool(held) and (isinstance(held[0], dict) or _timed(held[0]))


def _held(one: Mapping[str, Any], name: str) -> list[Any]:
    """What the list at a path holds; on the way to it may stand lists of objects (OTLP, Loki)."""
    found: list[Any] = [one]
    for key in name.split("."):
        inner = [one[key] for one in found if isinstance(one, dict) and key in one]
        found = [x for value in inner for x in (value if isinstance(value, list) else [value])]
    return found[:MOST] if inner and isinstance(inner[0], list) else []


def _timed(value: Any) -> bool:
    """Whether this is Loki's pair of a time and a line."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(x, str) for x in value[:2])


def _carries(one: Mapping[str, Any], name: str) -> bool:
    value = at_path(one, name.split("."))
    if isinstance(value, str):
        return len(value) > LEAST
    return (isinstance(value, dict) and len(value) > 1) or _bytes(value) is not None


def opened(lines: Lines, name: str) -> tuple[Lines, list[Reject], Counter[str]]:
    """The lines a carrier holds, lines that hold none, and what is ignored on purpose."""
    if not len(lines):
        return lines, [], Counter()
    if name in SYSLOGS:
        return SYSLOGS[name](lines), [], Counter()
    if name in STAMPS:
        return _stamped(lines, STAMPS[name]), [], Counter()
    rest: Counter[int] = Counter()
    headers: list[int] = []
    if name.startswith(sheets.SHEET):
        lines = joined(lines)
        (texts, numbers, moments), headers = sheets.opened(lines, name)
    else:
        held = _texts(lines, name)
        texts, numbers, moments = _glued(held, rest) if name == "log" else held
    known = np.array(sorted({*numbers, *rest, *headers}), np.int64)
    missing = np.setdiff1d(lines.numbers, known)
    rejects = [Reject(int(n), "no log line in its envelope") for n in missing]
    inside = from_texts(pa.array(texts, pa.string()), np.array(numbers, np.int64), {})
    inside = replace(inside, facts=_facts(lines, inside, moments))
    return inside, rejects, +Counter({"the rest of a line": len(rest), "header": len(headers)})


def _facts(outer: Lines, inside: Lines, moments: list[str | None]) -> dict[str, pa.DictionaryArray]:
    """What the envelopes round a carrier said of its lines, and when it says they were."""
    at = pa.array(np.searchsorted(outer.numbers, inside.numbers))
    facts = {name: column.take(at) for name, column in outer.facts.items()}
    if any(moments):
        own: pa.Array = pa.array(moments, pa.string())
        if MOMENT in facts:
            own = pc.coalesce(own, facts[MOMENT].cast(pa.string()))
        facts[MOMENT] = coded(own)
    return facts


def _stamped(lines: Lines, stamp: str) -> Lines:
    found = pc.extract_regex(lines.texts, pattern=stamp)
    length = pc.binary_length(found.field("all")).fill_null(0).to_numpy(zero_copy_only=False)
    facts = {**lines.facts, MOMENT: coded(found.field("time"))}
    return lines.at(lines.block.starts + length, facts)


def _texts(lines: Lines, name: str) -> Held:
    """Each record's text, the number of its line, and when its carrier says it was."""
    texts: list[str] = []
    numbers: list[int] = []
    moments: list[str | None] = []
    for number, outer, value in _values(lines, name):
        text = _text(value)
        if text:
            texts.append(text)
            numbers.append(number)
            moments.append(_moment(outer))
    return texts, numbers, moments


def _values(lines: Lines, name: str) -> Iterator[tuple[int, Mapping[str, Any], Any]]:
    if name == "{}":
        for row, number in enumerate(lines.numbers.tolist()):
            for one in _several(lines.block.line(row)):
                yield number, one, one
        return
    objects = Objects(lines)
    path = name.removesuffix("[]")
    for number, one in zip(objects.numbers.tolist(), objects.objects, strict=True):
        if not name.endswith("[]"):
            yield number, one, at_path(one, path.split("."))
            continue
        for inner in _held(one, path):
            if isinstance(inner, dict):
                # CloudWatch's list holds lines (`message`), Azure's and CloudTrail's the records.
                line = inner.get("message") if path == "logEvents" else inner
                yield number, inner, line
            elif _timed(inner):
                yield number, {"time": inner[0]}, inner[1]


def _several(line: bytes) -> Iterator[dict[str, Any]]:
    """Objects one after the other without a newline, as Kinesis Firehose writes them."""
    text, at = line.decode("utf-8", "replace"), 0
    for _ in range(MOST):
        if (begins := text.find("{", at)) < 0:
            return
        try:
            one, at = DECODER.raw_decode(text, begins)
        except (ValueError, RecursionError):
            # One that is damaged does not take those after it along.
            if (following := NEXT.search(text, begins)) is None:
                return
            at = following.end()
            continue
        yield one


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    return _bytes(value)


def _bytes(value: Any) -> str | None:
    """journald writes a message that is no UTF-8, or holds control signs, as a list of bytes."""
    if not isinstance(value, list) or len(value) <= LEAST:
        return None
    if not all(type(n) is int and 0 <= n < 256 for n in value):
        return None
    return bytes(value).decode("utf-8", "replace").replace("\0", "")


def _moment(outer: Mapping[str, Any]) -> str | None:
    for name in TIMES:
        value = outer.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value)
    return None


def _glued(held: Held, why: Counter[int]) -> Held:
    """Docker cuts lines at 16 KiB: pieces without a newline at their end go on in the next one."""
    texts: list[str] = []
    numbers: list[int] = []
    moments: list[str | None] = []
    going = False
    for text, number, moment in zip(*held, strict=True):
        if going:
            texts[-1] += text
            why[number] += 1
        else:
            texts.append(text)
            numbers.append(number)
            moments.append(moment)
        going = len(text) >= PARTIAL and not text.endswith("\n") and len(texts[-1]) < LONGEST
    return texts, numbers, moments


__all__ = ["opened", "places"]
