"""Any `logformat` line of Squid's, compiled to one pattern: literals, quoting, all format codes.

`squid.py` reads plain blank-separated logformats faster; this reads the rest: other delimiters, times
in a format of one's own, URLs in pieces, header dumps in brackets (of which only Sec-Fetch-* is ever taken).
"""

import re
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats import fetching, times, urls
from ingest.formats.arrays import absent, codes_to_text, constant, distinct, text_of
from ingest.formats.block import HASH, NOTHING_SAID, Block, Given, IntArray, Parsed, Reject
from ingest.formats.lines import clean, coded
from ingest.formats.values import first_of

CODES: dict[str, str | None] = {
    "ts": "seconds", "tS": "started", "tu": None, "tl": "clock", "tg": "clock", "tr": "duration_ms",
    "dt": None, "busy_time": None, "<tt": None, "<pt": None,
    ">a": "client", ">A": "client", ">p": None, ">eui": None, ">la": None, ">lp": None, ">qos": None,
    ">nfmark": None, "la": None, "lp": None, "<a": None, "<A": None, "<p": None, "<la": None,
    "<lp": None, "<qos": None, "<nfmark": None, "err_code": None, "err_detail": None, "sn": None,
    "master_xaction": None, "note": None, "et": None, "ea": None, "request_attempts": None,
    "un": "user", "ul": "user", "ue": "user", "ui": "user", "us": "user", "credentials": None,
    ">h": None, ">ha": None, "<h": None, "mt": "content_type", "Ss": "result", "Sh": None,
    "Hs": "status", ">Hs": "status", "<Hs": None, "rm": "method", ">rm": "method", "<rm": None,
    "ru": "url", ">ru": "url", "<ru": "url", "rs": "scheme", ">rs": "scheme", "<rs": "scheme",
    "rd": "host", ">rd": "host", "<rd": "host", "rP": "port", ">rP": "port", "<rP": "port",
    "rp": "path", ">rp": "path", "<rp": "path", "rv": None, ">rv": None, "<rv": None, "rG": None,
    "<st": "bytes_down", ">st": "bytes_up", "st": None, ">sh": None, "<sh": None, "<bs": None,
    "sni": "sni", "bump_mode": None, "cert_subject": None, "cert_issuer": None, "cert_errors": None,
    "cert": None, "negotiated_version": None, "negotiated_cipher": None,
    "received_hello_version": None, "received_supported_version": None,
    "connection_id": None, "handshake": None, "byte": None, "sum_trs": None, "all_trs": None,
    "last_h": None, "last_a": None, "to": None, "tio": None, "tt": None, "v": None, "V": None,
}  # fmt: skip
"""Format codes without their namespace (`http::`, `ssl::`, `icap::`, `adapt::`), and their field."""

NAMES = "|".join(sorted({c.lstrip("<>") for c in CODES}, key=len, reverse=True))
CODE = re.compile(
    r"%(?P<quote>[\"'\[#/]?)(?P<width>-?\d*(?:\.\d+)?)(?:\{(?P<argument>[^}]*)\})?"
    r"(?P<side>[<>]?)(?P<space>(?:[a-z_]+::)?)(?P<inner>[<>]?)"
    rf"(?P<code>{NAMES})(?:\{{(?P<after>[^}}]*)\}})?"
)
HEADERS = {"referer": "referrer", "user-agent": "user_agent", **fetching.HEADERS}
FORWARDED = ("x-forwarded-for", "x-client-ip", "x-real-ip")
NUMBERS = ("duration_ms", "bytes_down", "bytes_up")
ALIKE = {"T": "%H:%M:%S", "F": "%Y-%m-%d", "D": "%m/%d/%y", "R": "%H:%M", "e": "%d", "B": "%b",
         "h": "%b", "A": "%a", "I": "%H", "k": "%H", "l": "%H"}  # fmt: skip
CLF = "%d/%b/%Y:%H:%M:%S %z"
LONGEST = 4000


@dataclass(frozen=True)
class Piece:
    """A literal, or a code with its field (None: read and dropped) and the text it may hold."""

    literal: str = ""
    field: str | None = None
    regex: str = ""
    written: str = ""
    utc: bool = False


@dataclass(frozen=True)
class Logformat:
    """One logformat line, compiled to a pattern."""

    name: str
    title: str
    logformat: str
    versions: str = "Squid 2.6 to 7"
    generic: bool = False

    def lead(self, lead: bytes, data: bytes) -> bytes:
        """No line of it is a header."""
        return lead

    def whole(self, data: bytes) -> int:
        """A record is a line."""
        return len(data)

    @cached_property
    def pieces(self) -> list[Piece]:
        """The line in its parts."""
        return pieces(self.logformat)

    @cached_property
    def fields(self) -> set[str]:
        """What its rows can say."""
        return {p.field for p in self.pieces if p.field}

    @cached_property
    def pattern(self) -> str:
        """RE2 of a whole line; groups are named by field and number."""
        made = "".join(
            _literal(p.literal)
            if p.literal
            else (f"(?P<{p.field}__{at}>{p.regex})" if p.field else f"(?:{p.regex})")
            for at, p in enumerate(self.pieces)
        )
        return f"^{made} *$"

    def parse(self, block: Block, given: Given = NOTHING_SAID) -> Parsed:
        """Rows of schema RAW; raises nothing for whatever stands in the lines."""
        from ingest.formats.squid import rows_of

        lines = clean(block)
        texts = lines.texts
        trimmed = pc.utf8_trim_whitespace(texts)
        empty = pc.equal(trimmed, "").to_numpy(zero_copy_only=False)
        if len(lines):
            empty = empty | (lines.block.array[lines.block.starts] == HASH)
        found = pc.extract_regex(texts, pattern=self.pattern)
        fits = pc.is_valid(found).to_numpy(zero_copy_only=False) & ~empty
        rejects = [
            Reject(int(n), f"no line of {self.title}") for n in np.flatnonzero(~fits & ~empty)
        ]
        numbers = np.flatnonzero(fits)
        groups = found.filter(pa.array(fits))
        got = self._columns(groups)
        made, reasons = self._times(got, given, numbers)
        parsed = rows_of(made, pa.chunked_array([pa.array(numbers, pa.int64())]), rejects, int(empty.sum()))  # fmt: skip
        parsed.rejects = [Reject(r.line, reasons.get(r.line, r.reason)) for r in parsed.rejects]
        return parsed

    def _columns(self, groups: pa.StructArray) -> dict[str, pa.DictionaryArray]:
        """The first of each field's groups that says something, without quotes and escapes."""
        got: dict[str, list[pa.DictionaryArray]] = {}
        for at, piece in enumerate(self.pieces):
            if piece.field == "headers":
                for name, column in fetching.dumped(groups.field(f"headers__{at}")).items():
                    got.setdefault(name, []).append(column)
            elif piece.field and not piece.literal:
                column = absent(text_of(coded(groups.field(f"{piece.field}__{at}")), _plain))
                got.setdefault(piece.field, []).append(column)
        return {name: first_of(columns) for name, columns in got.items()}

    def _times(
        self, got: dict[str, pa.DictionaryArray], given: Given, numbers: IntArray
    ) -> tuple[dict[str, pa.Array], dict[int, str]]:
        made: dict[str, pa.Array] = dict(got)
        reasons: dict[int, str] = {}
        if "started" in got and not {"seconds", "clock"} & set(got):
            made["seconds"] = got["started"]
        if "clock" in got and "seconds" not in got:
            piece = next(p for p in self.pieces if p.field == "clock")
            said = Given(zone=ZoneInfo("UTC"), latest=given.latest) if piece.utc else given
            found = times.parse(made.pop("clock"), (piece.written,), said)
            made["when"] = found.ms.combine_chunks() if isinstance(found.ms, pa.ChunkedArray) else found.ms  # fmt: skip
            reasons = {int(numbers[row]): told for row, told in found.reasons.items()}
        made["url"] = _address(got, len(numbers))
        if "forwarded" in got:
            first = text_of(got["forwarded"], lambda t: re.split(r",|%2[cC]|%20| ", t)[0] or None)
            made["client"] = first_of([got["client"], first]) if "client" in got else first
        return made, reasons


def pieces(logformat: str) -> list[Piece]:
    """A logformat in its parts; `%ts.%03tu` is one number, `%{…}tl.%03tu` one time."""
    text = re.sub(r"(%(?:\{[^}]*\})?t[sSlg])\.%0?3?tu", r"\1@f", logformat.strip())
    found: list[Piece] = []
    at = 0
    outside = re.sub(r'"[^"]*"|\{[^}]*\}', "", text)
    blank = " " if re.search(r"\s", outside) else ""
    for match in CODE.finditer(text):
        if match.start() < at:
            continue
        if match.start() > at:
            found.append(Piece(literal=text[at : match.start()].replace("%%", "%")))
        at = match.end()
        fraction = text.startswith("@f", at)
        at += 2 * fraction
        around = text[match.start() - 1 : match.start()], text[at : at + 1]
        found.append(_piece(match, around, blank, fraction=fraction))
    if at < len(text):
        found.append(Piece(literal=text[at:].replace("%%", "%")))
    return found


def _piece(match: re.Match[str], around: tuple[str, str], blank: str, *, fraction: bool) -> Piece:
    code = (match["side"] or match["inner"]) + match["code"]
    code = code if code in CODES else match["code"]
    argument = match["argument"] or match["after"] or ""
    field = _field(code, match["space"], argument)
    padding = " *" if re.match(r"[1-9]", match["width"]) else ""
    if code in ("tl", "tg"):
        written = _written(argument or CLF, fraction=fraction)
        return Piece(field=field, regex=_timed(written), written=written, utc=code == "tg")
    if code in ("ts", "tS"):
        return Piece(field=field, regex=padding + r"\d{9,11}(?:\.\d{1,9})?")
    if field in NUMBERS:
        return Piece(field=field, regex=padding + r"-?\d*-?" + (" *" if match["width"].startswith("-") else ""))  # fmt: skip
    if match["quote"] == '"' or around == ('"', '"'):
        return Piece(field=field, regex=r'(?:[^"\\]|\\.)*')
    if code in (">h", "<h") and not argument:
        # Headers may hold anything; of the request's alone a few words are taken.
        return Piece(field="headers" if code == ">h" else None, regex=".*?")
    return Piece(field=field, regex=padding + _text(CODES.get(code), around[1], blank))


def _field(code: str, space: str, argument: str) -> str | None:
    name = argument.lower().lstrip(":")
    if code in (">h", ">ha"):
        return HEADERS.get(name) or ("forwarded" if name in FORWARDED else None)
    if space not in ("", "http::", "ssl::"):
        return None
    return CODES.get(code)


def _text(field: str | None, after: str, blank: str) -> str:
    """What a value may hold: all but what follows it, and blanks only where none separate columns."""
    if not blank and after:
        return f"[^{re.escape(after)}]*"
    # A DN as a name holds blanks and has a comma; a URL with blanks is never cut at a guess.
    dn = r"|(?:CN|cn|UID|uid|OU|ou|O|o|DC|dc)=[^,\n]+,.*?" if field == "user" else ""
    return (r"\S*" if after in ("", blank) else f"[^{re.escape(after)}\\s]*") + dn


def _written(strftime: str, *, fraction: bool) -> str:
    """A strftime format in the words of `times`."""
    text = re.sub(r"%([TFDRehBAIkl])", lambda m: ALIKE[m[1]], strftime)
    return "epoch" if text == "%s" else text + ("%f" if fraction else "")


def _timed(written: str) -> str:
    if written == "epoch":
        return r"\d{9,11}"
    return re.sub(r"\(\?P<\w+>", "(?:", times.Pattern(written).regex[1:-1])


def _literal(text: str) -> str:
    """Blanks stand for any run of them."""
    return re.sub(r"(?:\\ | )+", " +", re.escape(text))


def _plain(text: str) -> str:
    return re.sub(r"\\([\\\"])", r"\1", text.strip())


def _address(got: dict[str, pa.DictionaryArray], count: int) -> pa.DictionaryArray:
    """The URL, or what its pieces make; a tunnel to a bare address has the name of its TLS hello."""
    empty = constant(None, count)
    url = got.get("url", empty)
    names = ("scheme", "host", "port", "path")
    if "sni" not in got and url.null_count < count:
        return url
    columns = [url, *(got.get(n, empty) for n in names), got.get("sni", empty)]
    indices, combinations = distinct(columns)
    return codes_to_text(indices, [_joined(*parts) for parts in combinations])


def _joined(url: str | None, scheme: str | None, host: str | None, port: str | None, path: str | None, sni: str | None) -> str | None:  # fmt: skip
    bare = re.fullmatch(r"(?:[0-9.]+|\[[0-9A-Fa-f:.]+\])(?::(\d+))?", url or "")
    if url and not bare:
        return url
    if bare:
        return f"{sni}:{bare[1]}" if sni and bare[1] else sni or url
    if path and not path.startswith(("/", "?")):
        path = None
    place = scheme, host or sni, port
    if path is None:
        return urls.authority_of(*place)
    root = urls.root_of(place[0], urls.authority_of(*place))
    return root and root + path
