"""tinyproxy's log: one line says who connected, a later one what was asked; the descriptor joins them.

CONNECT   Oct 05 09:11:12.123 [4711]: Connect (file descriptor 7): pc7.example.org [192.0.2.7]
CONNECT   Oct 05 09:11:12.124 [4711]: Request (file descriptor 7): GET http://www.example.org/ HTTP/1.1
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats import times
from ingest.formats.block import NOTHING_SAID, Block, Given, IntArray, Parsed, Reject
from ingest.formats.lines import Lines, clean, coded
from ingest.formats.squid import rows_of

HEAD = (
    r"^(?:(?:CONNECT|INFO|NOTICE|WARNING|ERROR|CRITICAL) +)?(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,6})?)"
    r" (?:\S+ tinyproxy)?\[(?P<pid>\d{1,10})\]: "
)
OPENED = (
    HEAD
    + r"Connect \(file descriptor (?P<fd>\d{1,7})\): (?:\S* ?\[)?(?P<client>[0-9A-Fa-f.:]+)\]?$"
)
ASKED = (
    HEAD
    + r"Request \(file descriptor (?P<fd>\d{1,7})\): (?P<method>[A-Z]+) (?P<url>\S+)(?: HTTP/[\d.]+)?$"
)
MOST = 4096
MARK = b"#tinyproxy "


@dataclass(frozen=True)
class Tinyproxy:
    """tinyproxy, by its own log."""

    name: str = "tinyproxy"
    title: str = "tinyproxy"
    versions: str = "tinyproxy 1.6 to 1.11"
    generic: bool = False

    def lead(self, lead: bytes, data: bytes) -> bytes:
        """Who is connected after `data`: what later requests are joined with."""
        if b"Connect (file descriptor" not in data:
            return lead
        known = _known(lead)
        for key, client in _opened(clean(Block(data[: data.rfind(b"\n") + 1])))[1]:
            known.pop(key, None)
            known[key] = client
            if len(known) > MOST:
                known.pop(next(iter(known)))
        return b"".join(
            MARK + f"{pid} {fd} {client}\n".encode() for (pid, fd), client in known.items()
        )

    def whole(self, data: bytes) -> int:
        """A record is a line."""
        return len(data)

    def parse(self, block: Block, given: Given = NOTHING_SAID) -> Parsed:
        """A row for each request; the verdict is not known, for a refusal does not say whose it is."""
        lines = clean(block)
        texts = lines.texts
        known = _known(given.lead)
        at, opened = _opened(lines)
        asked, requests = _extracted(texts, ASKED)
        clients = _joined(known, at, opened, asked, requests)
        stamp = times.parse(coded(requests.field("time")), ("syslog",), given)
        fields: dict[str, pa.Array] = {
            "when": stamp.ms,
            "client": coded(pa.array(clients, pa.string())),
            "method": coded(requests.field("method")),
            "url": coded(requests.field("url")),
        }
        parsed = rows_of(fields, pa.chunked_array([pa.array(asked, pa.int64())]), [], 0)
        reasons = {int(asked[row]): told for row, told in stamp.reasons.items()}
        parsed.rejects = [Reject(r.line, reasons.get(r.line, r.reason)) for r in parsed.rejects]
        parsed.fold = stamp.fold
        _others(parsed, lines, np.union1d(at, asked), len(at))
        return parsed


def _others(parsed: Parsed, lines: Lines, done: IntArray, opened: int) -> None:
    """Lines that are no request: the program's own messages, and what is no line of it."""
    blank = pc.equal(pc.utf8_trim_whitespace(lines.texts), "").to_numpy(zero_copy_only=False)
    own = pc.match_substring_regex(lines.texts, HEAD).to_numpy(zero_copy_only=False)
    # A line that was meant to be a request and is cut off is no message.
    own &= ~pc.match_substring_regex(lines.texts, r": (?:Connect|Request) \(file").to_numpy(zero_copy_only=False)  # fmt: skip
    rest = np.ones(len(lines), bool)
    rest[done] = False
    why = {"a connection begins": opened, "a message of the program": int((own & rest).sum()), "blank line": int((blank & rest).sum())}  # fmt: skip
    parsed.why += +Counter(why)
    bad = np.flatnonzero(rest & ~own & ~blank)
    parsed.rejects += [Reject(int(n), "no line of tinyproxy") for n in bad]


def _extracted(texts: pa.StringArray, pattern: str) -> tuple[IntArray, pa.StructArray]:
    found = pc.extract_regex(texts, pattern=pattern)
    fits = pc.is_valid(found).to_numpy(zero_copy_only=False)
    return np.flatnonzero(fits), found.filter(pa.array(fits))


Key = tuple[str, str]


def _keys(found: pa.StructArray) -> list[Key]:
    return list(zip(found.field("pid").to_pylist(), found.field("fd").to_pylist(), strict=True))


def _opened(lines: Lines) -> tuple[IntArray, list[tuple[Key, str]]]:
    at, found = _extracted(lines.texts, OPENED)
    return at, list(zip(_keys(found), found.field("client").to_pylist(), strict=True))


def _known(lead: bytes) -> dict[Key, str]:
    found = re.findall(rb"^#tinyproxy (\d+) (\d+) (\S+)$", lead, re.MULTILINE)
    return {(pid.decode(), fd.decode()): client.decode() for pid, fd, client in found}


def _joined(known: dict[Key, str], at: IntArray, opened: list[tuple[Key, str]], asked: IntArray, requests: pa.StructArray) -> list[str | None]:  # fmt: skip
    """Whose each request is: the last connection before it with its process and descriptor."""
    clients: list[str | None] = []
    begun = 0
    for line, key in zip(asked.tolist(), _keys(requests), strict=True):
        while begun < len(opened) and at[begun] < line:
            known[opened[begun][0]] = opened[begun][1]
            begun += 1
        clients.append(known.get(key))
    return clients


TINYPROXY = Tinyproxy()
