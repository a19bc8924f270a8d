"""Logs whose records are over several lines: read as they unfold, handed on as one line of JSON a record.

Of an HTTP Archive one small line an entry, without its bodies, cookies and headers. Of a list of
objects, of objects written over several lines, and of the lists that interfaces answer with, each
object as it is, but for the inside of overlong texts. What a record may cost is bounded, however long
its texts and however deep its nesting.
"""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

import ijson
import orjson

from ingest import journal
from ingest.formats import fetching
from ingest.formats.carriers import LISTS

SNIFFED = 4096
DEEPEST = 64
LONGEST_TEXT = 16 << 10
CHUNK = 64 << 10
HAR = re.compile(rb'^(?:\xef\xbb\xbf)?\s*\{\s*"log"\s*:\s*\{')
WANTED = frozenset(
    {
        "startedDateTime", "time", "request.method", "request.url", "request.bodySize",
        "request.headersSize", "response.status", "response.bodySize", "response.headersSize",
        "response._transferSize", "response.content.mimeType", "response.content.size",
        "serverIPAddress", "clientIPAddress", "_clientIPAddress", "_clientAddress", "_clientIP",
        "_userName", "_user", "_resourceType",
    }
)  # fmt: skip
RECORDS = re.compile(rb"^(?:\xef\xbb\xbf)?\s*(?:\[\s*\{|\{[ \t]*\r?\n)")
MOST_VALUES = 20_000
STRUCTURE = frozenset({"map_key", "start_map", "end_map", "start_array", "end_array"})
HEADERS = {"referer": "referrer", "user-agent": "user_agent", "x-forwarded-for": "forwarded", "x-client-ip": "forwarded", **fetching.HEADERS}  # fmt: skip


class Source(Protocol):
    """Bytes in order."""

    def read(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


def is_document(sample: bytes) -> bool:
    """Whether a file that begins so holds records that are not its lines."""
    return any(begins.match(sample[:SNIFFED]) for begins in (HAR, RECORDS, journal.BEGINS))


def lines_of(start: bytes, source: "Source", limit: int, *, complete: bool = True) -> "Unfolding":
    """The lines of a document that begins with `start` and may have `limit` bytes.

    `complete`: nobody writes at it any more, so that an end that is missing is damage.
    """
    unfold: Unfold = _entries if HAR.match(start[:SNIFFED]) else _records
    if journal.BEGINS.match(start[:SNIFFED]):
        unfold = partial(_exported, complete=complete)
    return Unfolding(source, limit, unfold, complete=complete)


class Damaged(OSError):
    """The document is no JSON, ends early, or is nested beyond reason."""


class Unfolding:
    """A document's records as lines of JSON, read like a file; raises Damaged, after what was whole.

    `limit`: how many bytes the document may have; `unfold`: its records, as they come. Where it is not
    `complete`, an end that is missing is `awaited`.
    """

    def __init__(
        self, source: Source, limit: int, unfold: "Unfold", *, complete: bool = True
    ) -> None:
        self._source, self._complete = source, complete
        self._document = _Shortened(source, limit)
        self._lines = unfold(self._document)
        self._left = b""
        self.awaited = False
        self._damage: Damaged | None = None

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        pieces = [self._left]
        held = len(self._left)
        while held < size and self._damage is None:
            try:
                line = next(self._lines, b"")
            except (ijson.JSONError, EOFError, UnicodeDecodeError, RecursionError) as error:
                if self._document.ended and not self._complete:
                    self.awaited = True
                    break
                self._damage = Damaged(f"the document is damaged ({type(error).__name__})")
                break
            except Damaged as error:
                self._damage = error
                break
            if not line:
                break
            pieces.append(line)
            held += len(line)
        data = b"".join(pieces)
        self._left = data[size:]
        if not data and self._damage is not None:
            raise self._damage
        return data[:size]

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()


def _entries(source: "_Shortened") -> Iterator[bytes]:
    """The entries of an HTTP Archive."""
    path: list[str] = []  # the keys that lead to where the reader stands; [] for arrays
    one: dict[str, Any] = {}
    header: dict[str, str] = {}
    for event, value in ijson.basic_parse(source, buf_size=CHUNK, use_float=True):
        _step(path, event, value)
        if event == "end_map" and _is_entry(path):
            yield orjson.dumps(one) + b"\n"
            one = {}
        elif event in ("end_map", "end_array") and header:
            _take_header(one, header)
            header = {}
        elif event not in STRUCTURE and path[:2] == ["log", "entries"] and len(path) > 3:
            _take(one, header, path[3:], value)


def _is_entry(path: list[str]) -> bool:
    return path == ["log", "entries", "[]"]


def _take(one: dict[str, Any], header: dict[str, str], path: list[str], value: Any) -> None:
    """Keep a value that is wanted, shortened; of headers only name and value, until they are judged."""
    name = ".".join(path)
    if name in WANTED and name not in one:
        one[name] = value[:LONGEST_TEXT] if isinstance(value, str) else value
    elif name in ("request.headers.[].name", "request.headers.[].value") and isinstance(value, str):
        header[path[-1]] = value[:LONGEST_TEXT]


def _take_header(one: dict[str, Any], header: dict[str, str]) -> None:
    name = HEADERS.get(header.get("name", "").lower())
    if name and "value" in header:
        one.setdefault(name, header["value"])


def _records(source: "_Shortened") -> Iterator[bytes]:
    """The objects of lists, and objects written over several lines."""
    path: list[str] = []
    depth = 0  # of the record under way: 0 where none is
    record, outer = _Record(), _Record()
    for event, value in ijson.basic_parse(source, buf_size=CHUNK, multiple_values=True):
        if not depth and event == "start_map" and _begins(path):
            record, depth = _Record(), len(path) + 1
            outer.holds |= len(path) > 1
        (record if depth else outer).take(event, value)
        _step(path, event, value)
        if depth > len(path):
            depth = 0
            yield record.line()
        elif not path:
            if event == "end_map" and not outer.holds:
                yield outer.line()
            outer = _Record()


def _exported(source: "_Shortened", *, complete: bool) -> Iterator[bytes]:
    """The entries of a journal's export."""
    return journal.entries(source.raw, complete=complete)


def _step(path: list[str], event: str, value: Any) -> None:
    """Where the reader stands after an event."""
    if event == "map_key":
        path[-1] = value if isinstance(value, str) else ""
    elif event in ("start_map", "start_array"):
        path.append("[]" if event == "start_array" else "")
        if len(path) > DEEPEST:
            raise Damaged(f"the JSON document is nested more than {DEEPEST} deep")
    elif event in ("end_map", "end_array"):
        path.pop()


def _begins(path: list[str]) -> bool:
    """Whether an object here is a record: in a list at the top, or in one an answer holds."""
    return bool(path) and path[-1] == "[]" and (len(path) == 1 or ".".join(path[:-1]) in LISTS)


class _Record:
    """One object as it unfolds; one of more values than any record has is handed on empty."""

    def __init__(self) -> None:
        self.holds = False  # records of their own, which are handed on instead
        self._built = ijson.ObjectBuilder()
        self._values = 0

    def take(self, event: str, value: Any) -> None:
        """What stands next in it."""
        self._values += 1
        if self._values <= MOST_VALUES:
            self._built.event(event, float(value) if isinstance(value, Decimal) else value)

    def line(self) -> bytes:
        """It as a line."""
        if self._values > MOST_VALUES:
            return b"{}\n"
        try:
            return orjson.dumps(self._built.value) + b"\n"
        except TypeError:  # a number beyond 64 bits, or half of a surrogate pair
            return json.dumps(self._built.value).encode() + b"\n"


class _Shortened:
    """The bytes of a document with the inside of overlong texts left out: a body is never held."""

    def __init__(self, source: Source, limit: int) -> None:
        self._source, self._left = source, limit
        self._inside = False
        self._escaped = False
        self._text = b""
        self.ended = False

    def read(self, size: int = CHUNK) -> bytes:
        """About `size` bytes of the document; empty at its end."""
        while size > 0 and (data := self.raw(size)):
            if kept := self._cut(data):
                return kept
        return b""

    def raw(self, size: int) -> bytes:
        """As many bytes of the document, or fewer, as they stand there; empty at its end."""
        data = bytes(self._source.read(size))
        self.ended |= not data
        self._left -= len(data)
        if self._left < 0:
            raise Damaged("the document is longer than a file of its size may unpack to")
        return data

    def _cut(self, data: bytes) -> bytes:
        kept: list[bytes] = []
        at = 0
        while at < len(data):
            if not self._inside:
                quote = data.find(b'"', at)
                end = len(data) if quote < 0 else quote + 1
                kept.append(data[at:end])
                self._inside, self._text, at = quote >= 0, b"", end
                continue
            end, closed = self._end(data, at)
            if len(self._text) <= LONGEST_TEXT:
                self._text += data[at:end]
            if closed:
                kept.append(_whole(self._text) + b'"')
                self._inside = False
            at = end + closed
        return b"".join(kept)

    def _end(self, data: bytes, at: int) -> tuple[int, bool]:
        """Where the text that goes on at `at` ends in this piece, and whether it closes there."""
        match = TEXT.match(data, at + self._escaped)
        end = match.end() if match else at
        if end < len(data) and data[end] == ord('"'):
            self._escaped = False
            return end, True
        self._escaped = data[end:] == b"\\"
        return len(data), False


TEXT = re.compile(rb'(?:[^"\\]|\\.)*+', re.DOTALL)
UNITS = re.compile(
    rb"(?:[^\\]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u(?![dD][89abAB])[0-9A-Fa-f]{4}|\\[^u])*+",
    re.DOTALL,
)


def _whole(text: bytes) -> bytes:
    """A text, or its beginning: cut where no escape and no letter of several bytes is open."""
    if len(text) <= LONGEST_TEXT:
        return text
    units = UNITS.match(text[:LONGEST_TEXT])
    return (units[0] if units else b"").decode("utf-8", "ignore").encode()


Unfold = Callable[[_Shortened], Iterator[bytes]]
