"""What stands round a record: a syslog header, a CEF or LEEF head, a JSON object with the line in it.

An envelope is taken off where it is there; what it says becomes columns whose names begin with `@`.
"""

import re
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.block import IntArray, Parsed
from ingest.formats.lines import Lines, coded, from_texts

# `123 <134>1 …`: a frame that counts its bytes (RFC 6587) before the priority.
PRI = r"^ ?(?:(?:\d{1,6} )?<(?P<pri>\d{1,3})>:?)? ?"
# The second way is Sophos UTM's, whose syslog has a form of its own.
ISO = r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:[Zz]|[+-]{1,2}\d{1,2}:?\d\d)?|\d{4}:\d\d:\d\d-\d\d:\d\d:\d\d)"
BLANKED = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:[Zz]| ?[+-]\d\d:?\d\d)?"
MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,6})?"
TAG = r"(?:(?P<tag>/?[A-Za-z_][\w./-]{0,63}|\([A-Za-z_][\w./-]{0,61}\))(?:\[[\w:.-]{0,40}\])?: )?"
# A colon right behind a word with `_` ends a tag: where no host is written, that is the sender's own.
HOST = r"(?:(?P<named>[^\s:=\[,\"|<{%_]{1,255}|[0-9a-fA-F:.]{3,45}): +|(?P<host>[^\s:=\[,\"|<{%]{1,255}|[0-9a-fA-F:.]{3,45})(?: : | ) *)?"
# Each in two pieces: what has to stand there, and what may follow. Whether a line has a head is asked
# of the first alone, for the counts in the second make a pattern a hundred times as dear to compile.
HEADS = (
    (rf"^(?P<time>{ISO}) (?P<host>)(?P<tag>stdout|stderr) F (?P<pri>)", ""),
    # RFC 5424: version, time, host, app, process, message id; structured data stays in the body, save
    # what the RFC itself registers.
    (
        PRI
        + rf"\d{{1,2}} (?P<time>{ISO}|-) (?P<host>\S{{1,255}}) (?P<tag>\S{{1,48}}) \S{{1,128}} (?P<msgid>\S{{1,64}}) ",
        r"(?:- ?|(?:\[(?:meta|timeQuality|origin)\b[^\]]*\])+ )?",
    ),
    # Wazuh and OSSEC: the agent, and the file or address a line came from.
    (
        rf"^(?P<time>\d{{4}} {MONTH} \d\d {CLOCK}) (?:\([^)]{{1,64}}\) )?(?P<host>[^\s>]{{1,64}}->\S+) (?P<tag>)(?P<pri>)",
        "",
    ),
    # RFC 3164 and what devices make of it: a year, a zone or a colon more, a host or a tag less.
    (
        PRI
        + rf"(?P<time>(?:\d{{4}} )?{MONTH} {{1,2}}\d{{1,2}}(?: \d{{4}})? {CLOCK}(?: \d{{4}})?(?: (?:UTC|GMT)\b)?)(?: [A-Z]{{2,5}})?:? +",
        HOST + TAG,
    ),
    (PRI + rf"(?P<time>{ISO}),? +", HOST + TAG),
    # OpenWrt's logread: the day of the week before, the year behind, and facility.severity in a host's place.
    (
        rf"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?P<time>{MONTH} {{1,2}}\d{{1,2}} {CLOCK} \d{{4}}) (?P<host>)[a-z0-9]{{3,9}}\.[a-z]{{3,7}} ",
        TAG,
    ),
    # Kiwi's files: time, facility and level, host, between tabs; what it received stands behind.
    (rf"^(?P<time>{BLANKED})\t[A-Z][A-Za-z]+[0-7]?\.[A-Z][a-z]+\t(?P<host>[^\t]+)\t", TAG),
    # A date with a blank before the time is most often the record's own: not before a program's name.
    (
        PRI
        + rf"(?P<time>{BLANKED}) (?:(?P<host>[^\s:=\[,\"|<{{%]+) +)?(?P<tag>[A-Za-z_][\w./-]*)\[\d+\]: ",
        "",
    ),
    (r"^ ?(?:\d{1,6} )?<(?P<pri>\d{1,3})>(?P<time>)(?P<host>)", TAG),
)
# Lines that may have one: words are not counted here, so that it is soon compiled.
ANY_HEAD = "|".join(
    re.sub(r"\?P<\w+>", "?:", re.sub(r"\\S\{1,\d+\}", r"\\S+", must)) for must, _ in HEADS
)
SAMPLED = 100
INNER = rf"^(?:<\d{{1,3}}>|\d{{1,2}} {ISO} \S+ \S+ \S+ \S+ |{MONTH} {{1,2}}\d{{1,2}} (?:\d{{4}} )?{CLOCK} [^\s:]+ |\d{{4}}:\d\d:\d\d-\d\d:)"
"""A header right behind a relay's; a bare ISO time may be the record's own and is none."""
FACTS = ("time", "host", "tag", "pri", "msgid")
# A site may be called by several words, which syslog's host cannot hold.
CEF = r"^(?:(?:[^|={}\"]{1,80} )?CEF: ?)?(?P<v>\d{1,2})\|(?P<vendor>(?:[^|\\]|\\.)*)\|(?P<product>(?:[^|\\]|\\.)*)\|(?P<version>(?:[^|\\]|\\.)*)\|(?P<class>(?:[^|\\]|\\.)*)\|(?P<name>(?:[^|\\]|\\.)*)\|(?P<severity>(?:[^|\\]|\\.)*)\|"
LEEF = r"^LEEF: ?(?P<v>[12](?:\.0)?)\|(?P<vendor>[^|]*)\|(?P<product>[^|]*)\|(?P<version>[^|]*)\|(?P<class>[^|]*)\|"


def syslog(lines: Lines) -> Lines:
    """Lines without the headers of a syslog sender and of one relay before it.

    `@time`, `@host`, `@tag`, `@pri`, `@msgid`: what the sender's says, else the relay's.
    """
    if "syslog" not in lines.opened:
        made = _syslog(lines)
        lines.opened["syslog"] = None if made is lines else made  # no circle: it would linger
    found = lines.opened["syslog"]
    return lines if found is None else found


REPEATED = r"^message repeated \d+ times: \[ ?(.*?) ?\]\s*$"
"""What rsyslog writes for the same message again: one record, for how often says nothing of minutes."""

AGAIN = r"\b(?:last|above) message repeat(?:ed|s) \d+ times?(?: ---)?\s*$"
SAID_AGAIN = "syslog's word that a message came again"


def forgiven(parsed: Parsed, lines: Lines) -> Parsed:
    """The same, but that what syslog itself says of a message before is no reject."""
    if not parsed.rejects:
        return parsed
    at = np.searchsorted(lines.numbers, [one.line for one in parsed.rejects])
    found = pc.match_substring_regex(lines.texts.take(pa.array(at)), AGAIN).to_pylist()
    parsed.why[SAID_AGAIN] += sum(found)
    parsed.rejects = [r for r, again in zip(parsed.rejects, found, strict=True) if not again]
    parsed.why = +parsed.why
    return parsed


STRUCTURED = r"^(?P<all>(?:\[[\w.-]+@\d+(?: [\w.@-]+=\"(?:[^\"\\]|\\.)*\")*\])+ )[^\[\s]"


def structured(lines: Lines) -> Lines:
    """Lines without a syslog header and the structured data before their records; the same where no
    record follows any."""
    body = syslog(lines)
    found = pc.struct_field(pc.extract_regex(body.texts, pattern=STRUCTURED), "all")
    length = pc.binary_length(found).fill_null(0).to_numpy(zero_copy_only=False)
    return body.at(body.block.starts + length, body.facts) if length.any() else lines


def _syslog(lines: Lines) -> Lines:
    outer = _relayed(lines)
    if outer is lines or b"message repeated " not in outer.block.data:
        return outer
    plain = pc.replace_substring_regex(outer.texts, pattern=REPEATED, replacement=r"\1")
    return from_texts(plain, outer.numbers, outer.facts)


def _relayed(lines: Lines) -> Lines:
    outer = _beheaded(lines)
    if outer is lines:
        return lines
    at = np.flatnonzero(pc.match_substring_regex(outer.texts, INNER).to_numpy(zero_copy_only=False))
    if not len(at):
        return outer
    inner = _beheaded(outer.take(at))
    starts = outer.block.starts.copy()
    sizes = outer.block.ends - outer.block.starts
    starts[at] += sizes[at] - (inner.block.ends - inner.block.starts)
    mask = np.zeros(len(outer), bool)
    mask[at] = True
    facts = dict(outer.facts)
    for name in (f"@{fact}" for fact in FACTS):
        own, relayed = (x.facts[name].cast(pa.string()) for x in (inner, outer))
        own = pc.coalesce(own, relayed.take(pa.array(at)))
        facts[name] = coded(pc.replace_with_mask(relayed, pa.array(mask), own))
    return outer.at(starts, facts)


def _beheaded(lines: Lines) -> Lines:
    if not len(lines) or not _FIRST[lines.block.array[lines.block.starts]].any():
        return lines
    texts = lines.texts
    asked = (texts,) if len(texts) <= SAMPLED else (texts[:SAMPLED], texts)
    if not any(pc.any(pc.match_substring_regex(some, ANY_HEAD)).as_py() for some in asked):
        return lines
    starts = lines.block.starts.copy()
    facts: dict[str, list[pa.Array]] = {name: [] for name in FACTS}
    left = np.ones(len(texts), bool)
    for must, may in HEADS:
        # Asked of every line, for a rare shape of header among others is a header as well.
        fits = pc.match_substring_regex(texts, must).to_numpy(zero_copy_only=False) & left
        if not fits.any():
            continue
        left &= ~fits
        found = pc.extract_regex_span(texts, pattern=f"(?P<all>{must}{may})")
        keep = pa.array(fits)
        whole = found.field("all")
        length = pc.list_element(whole, 1).fill_null(0).to_numpy(zero_copy_only=False)
        starts += np.where(fits, length, 0)
        for name, made in facts.items():
            text = _span(texts, found, name)
            if name == "host":
                text = pc.coalesce(text, _span(texts, found, "named"))
            made.append(pc.if_else(keep, text, pa.scalar(None, pa.string())))
        if not left.any():
            break
    columns = {f"@{name}": coded(pc.coalesce(*made)) for name, made in facts.items() if made}
    if not columns:
        return lines
    return lines.at(np.minimum(starts, lines.block.ends), {**lines.facts, **columns})


_FIRST = np.zeros(256, bool)
_FIRST[list(b" <0123456789JFMASONDTW")] = True
"""Bytes a header can begin with: most logs without one are told by that."""


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
