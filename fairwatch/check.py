"""`fairwatch check-logs`: what a file is and what would be read of it; nothing is stored."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config.settings import Source
from errors import BadConfiguration, UnreadableInput
from ingest.archives import unfolded
from ingest.arrival import LocalFile, Origin
from ingest.events import host_of
from ingest.formats import Format, Given, recognise
from ingest.formats.block import NOTHING_SAID, Block, Fold, Parsed, masked
from ingest.formats.slashes import slashed
from ingest.reading import from_the_start, parse, prepare
from ingest.streams import Piece, Stream

LINE_BYTES, EXPANSION = 65536, 400
SAMPLE = 64 << 10
PRESENT = (
    *("user names", "URLs", "referers", "Sec-Fetch headers", "duration", "bytes"),
    *("device categories", "time zone"),
)
NO_ZONE = "the lines carry no zone; shown as if UTC: set `timezone` for the source before ingest"
SEEN_LINES = 2_000_000


@dataclass(frozen=True)
class Assumed:
    """What a source's settings would say of a file: zone, order of dates, columns."""

    zone: ZoneInfo | None = None
    order: Any = None
    columns: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: Source | None, timezone: ZoneInfo | None) -> "Assumed":
        """The source's settings, where the file is a source's; a zone named at the terminal wins."""
        if source is None:
            return cls(timezone)
        return cls(timezone or source.zone, source.dates, tuple(source.columns))


@dataclass
class Checked:
    """What a file is and what would become of its lines."""

    path: str
    format: str | None
    reason: str
    packed: str | None
    confidence: float = 0.0
    lines: int = 0
    rows: int = 0
    ignored: int = 0
    rejected: int = 0
    repeated: int = 0
    first: str | None = None
    last: str | None = None
    ignored_as: dict[str, int] = field(default_factory=dict)
    rejects: dict[str, dict[str, Any]] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    fetches: dict[str, int] = field(default_factory=dict)
    present: dict[str, bool] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    grade: str = ""
    error: str | None = None


@dataclass
class Reading:
    """A file under way: its stream, its format, and what is given for its next piece."""

    stream: Stream
    format: Format | None
    confidence: float
    reason: str
    given: Given = field(default_factory=Given)
    zoned: bool = True
    fold: Fold | None = None

    def parsed(self) -> Iterator[tuple[Piece, Parsed]]:
        """Every piece with what it becomes."""
        assert self.format is not None
        for piece in self.stream.pieces():
            block = Block(piece.data)
            parsed = parse(self.format, block, self.given, LINE_BYTES)
            if parsed.fold is not None and parsed.fold.after(self.fold):
                parsed = parse(self.format, block, replace(self.given, folded=True), LINE_BYTES)
            self.fold = parsed.fold
            lead = self.format.lead(self.given.lead, piece.data)
            self.given = replace(self.given, lead=lead)
            yield piece, parsed


def check(
    path: Path, formats: Sequence[Format], assumed: Assumed | None = None
) -> Iterator[Checked]:
    """Read a whole file, or each member of an archive, without keeping anything."""
    for origin in unfolded(LocalFile(path), EXPANSION):
        try:
            yield _checked(origin, formats, assumed or Assumed())
        except (UnreadableInput, BadConfiguration) as error:
            yield Checked(origin.name, None, "not readable", None, error=str(error))


def _checked(origin: Origin, formats: Sequence[Format], assumed: Assumed) -> Checked:
    with opened(origin, formats, assumed) as under_way:
        chosen = under_way.format
        told = "; ".join([under_way.reason, *under_way.stream.notes])
        result = Checked(
            origin.name,
            chosen.name if chosen else None,
            told,
            under_way.stream.packed,
            round(under_way.confidence, 3),
        )
        result.present = dict.fromkeys(PRESENT, False)
        if chosen is None:
            result.error = f"{origin.name}: not recognised: {told}"
            return result
        result.present["time zone"] = under_way.zoned
        if not under_way.zoned:
            result.warnings.append(NO_ZONE)
        try:
            _count_all(result, under_way)
        except UnreadableInput as error:
            result.error = str(error)
    result.grade = _grade(result)
    return result


def rows(
    path: Path, formats: Sequence[Format], assumed: Assumed | None = None, *, keep_url: bool
) -> Iterator[dict[str, Any]]:
    """Normalised rows as `check-logs --rows` prints them; raises UnreadableInput."""
    for origin in unfolded(LocalFile(path), EXPANSION):
        with opened(origin, formats, assumed or Assumed()) as under_way:
            if under_way.format is None:
                raise UnreadableInput(f"{origin.name}: not recognised: {under_way.reason}.")
            for piece, parsed in under_way.parsed():
                yield from normalised(piece, parsed, keep_url=keep_url)


@contextmanager
def opened(origin: Origin, formats: Sequence[Format], assumed: Assumed) -> Iterator[Reading]:
    """A file whose format is known, ready to be read once."""
    with closing(Stream(origin, True, LINE_BYTES, EXPANSION)) as stream:
        yield _begin(origin, stream, formats, assumed)


def _begin(origin: Origin, stream: Stream, formats: Sequence[Format], assumed: Assumed) -> Reading:
    """Recognise and prepare; a zone that is missing is UTC here, and said to be."""
    latest = int(origin.facts().modified * 1000) or NOTHING_SAID.latest
    said = Given(b"", assumed.zone, assumed.order, latest, columns=assumed.columns)
    found = recognise(stream.sample[:SAMPLE], formats, said)
    format_ = found.format or (formats[0] if len({f.name for f in formats}) == 1 else None)
    under_way = Reading(stream, format_, found.confidence, found.reason, said)
    if format_ is None:
        return under_way
    stream.records = format_.whole
    sample = stream.sample[:SAMPLE]

    def pieces() -> Iterator[bytes]:
        return from_the_start(origin, sample, LINE_BYTES, EXPANSION)

    try:
        under_way.given = prepare(format_, said, sample, pieces, origin.name)
    except BadConfiguration:
        if said.zone is not None:
            raise
        said = replace(said, zone=ZoneInfo("UTC"))
        under_way.given = prepare(format_, said, sample, pieces, origin.name)
        under_way.zoned = False
    under_way.given = replace(under_way.given, lead=b"")
    return under_way


def _count_all(result: Checked, under_way: Reading) -> None:
    seen = np.empty(0, np.int64)
    why: Counter[str] = Counter()
    for piece, parsed in under_way.parsed():
        _count(result, piece, parsed)
        why += parsed.why
        if len(seen) < SEEN_LINES:
            seen = np.concatenate((seen, _hashes(piece, parsed)))
    result.ignored_as = dict(why.most_common())
    result.repeated = len(seen) - len(np.unique(seen))
    if result.repeated:
        result.warnings.append(
            f"{result.repeated:,} lines stand there more than once, to the letter: is the log "
            f"written or sent twice?"
        )


def _hashes(piece: Piece, parsed: Parsed) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """A number for each line that became a row."""
    lines = piece.data.split(b"\n")
    return np.array([hash(lines[n]) for n in parsed.rows["line"].to_pylist()], np.int64)


def _count(result: Checked, piece: Piece, parsed: Parsed) -> None:
    result.rows += parsed.rows.num_rows
    result.ignored += parsed.ignored
    result.rejected += len(parsed.rejects)
    result.lines = result.rows + result.ignored + result.rejected
    if parsed.rejects:
        block = Block(piece.data)
        for reject in sorted(parsed.rejects, key=lambda r: r.line):
            known = result.rejects.setdefault(
                reject.reason,
                {
                    "count": 0,
                    "line": piece.first_line + reject.line,
                    "shape": masked(block.line(reject.line)),
                },
            )
            known["count"] += 1
    if not parsed.rows.num_rows:
        return
    table = parsed.rows
    span = pc.min_max(table["time"]).as_py()
    first, last = _iso(span["min"]), _iso(span["max"])
    result.first = min(filter(None, (result.first, first)))
    result.last = max(filter(None, (result.last, last)))
    _tally(result.verdicts, table["verdict"])
    _tally(result.fetches, table["fetch"])
    for name, column in (
        ("user names", "user"),
        ("referers", "referrer"),
        ("Sec-Fetch headers", "fetch"),
        ("duration", "duration_ms"),
        ("bytes", "bytes_down"),
        ("device categories", "device_category"),
    ):
        result.present[name] |= table[column].null_count < table.num_rows
    grains = set(table["grain"].unique().to_pylist())
    result.present["URLs"] |= "page" in grains
    result.present["contacts only"] = result.present.get("contacts only", True) and grains == {
        "contact"
    }


def _tally(counts: dict[str, int], column: pa.ChunkedArray) -> None:
    for entry in column.combine_chunks().value_counts().to_pylist():
        if entry["values"] is not None:
            counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]


def _grade(result: Checked) -> str:
    contacts = result.present.pop("contacts only", False)
    names = (
        "log-ins are named"
        if result.present["user names"]
        else "no log-ins: lines count for a person only where an address is known to be theirs"
    )
    if contacts:
        return f"contacts only: grade D, no minutes are ever made of these lines; {names}"
    if result.fetches.get("person"):
        return (
            f"the browser says which pages a person opened (Sec-Fetch headers): grade A possible; "
            f"rows without them are judged by referer; {names}"
        )
    if result.fetches:
        return (
            f"Sec-Fetch headers tell pages from their parts, but never a person's act: is "
            f"Sec-Fetch-User logged? Grade B; {names}"
        )
    if result.present["URLs"] and result.present["referers"]:
        return f"pages and referers are seen: grade B for these lines; {names}"
    if result.present["URLs"]:
        return (
            f"pages are seen without referers: grade B, embedded frames look like visits; {names}"
        )
    return f"tunnels only: grade C at best; {names}"


def normalised(piece: Piece, parsed: Parsed, *, keep_url: bool) -> Iterator[dict[str, Any]]:
    """Rows in the shape of `check-logs --rows`."""
    table = parsed.rows
    if not table.num_rows:
        return
    url = table["url"].combine_chunks()
    cut = slashed(url.dictionary)
    paths = cut.paths(np.arange(len(cut)))
    authorities, paths = cut.authorities(), pc.if_else(pa.array(cut.schemed), paths, None)
    places = [
        _place(u, a, p)
        for u, a, p in zip(
            url.dictionary.to_pylist(), authorities.to_pylist(), paths.to_pylist(), strict=True
        )
    ]
    index = url.indices.to_pylist()
    for at, row in enumerate(table.to_pylist()):
        scheme, host, port, path = places[index[at]]
        out = {
            "line": piece.first_line + row["line"],
            "time": _iso(row["time"]),
            "user": row["user"],
            "client_ip": row["client"],
            "method": row["method"],
            "scheme": scheme,
            "host": host,
            "port": port,
            "path": path,
            "status": row["status"],
            "verdict": row["verdict"],
            "device_category": row["device_category"],
            "bytes_down": row["bytes_down"],
            "bytes_up": row["bytes_up"],
            "duration_ms": row["duration_ms"],
            "referrer_host": _referrer(row["referrer"]),
            "content_type": row["content_type"],
            "user_agent": row["user_agent"],
            "fetch": row["fetch"],
            "fetch_site": row["fetch_site"],
        }
        yield {**out, "url": row["url"]} if keep_url else out


def _referrer(referrer: str | None) -> str | None:
    """The host of a referer; some products write it without its scheme."""
    match = re.match(r"^(?:(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//)?([^/?#\s]+)", referrer or "")
    return host_of(match[1])[0] if match else None


def _place(
    url: str, authority: str, path: str | None
) -> tuple[str | None, str | None, int | None, str | None]:
    scheme = re.match(r"^([a-zA-Z][a-zA-Z0-9+.-]*)://", url)
    host, port = host_of(authority)
    return (
        scheme[1].lower() if scheme else None,
        host,
        port,
        re.split(r"[?#]", path, maxsplit=1)[0] if path is not None else None,
    )


def _iso(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
