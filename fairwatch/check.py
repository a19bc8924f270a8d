"""`fairwatch check-logs`: what a file is and what would be read of it; nothing is stored."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from errors import UnreadableInput
from ingest.arrival import LocalFile, Origin, unfolded
from ingest.events import host_of, split_urls
from ingest.formats import Format, recognise
from ingest.formats.block import Block, Parsed, masked
from ingest.streams import Piece, Stream

LINE_BYTES, EXPANSION = 65536, 400
PRESENT = ("user names", "URLs", "referers", "duration", "bytes")


@dataclass
class Checked:
    """What a file is and what would become of its lines."""

    path: str
    format: str | None
    reason: str
    packed: str | None
    lines: int = 0
    rows: int = 0
    ignored: int = 0
    rejected: int = 0
    first: str | None = None
    last: str | None = None
    rejects: dict[str, dict[str, Any]] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    present: dict[str, bool] = field(default_factory=dict)
    grade: str = ""
    error: str | None = None


def check(path: Path, formats: Sequence[Format]) -> Iterator[Checked]:
    """Read a whole file, or each member of an archive, without keeping anything."""
    for origin in unfolded(LocalFile(path), EXPANSION):
        try:
            yield _checked(origin, formats)
        except UnreadableInput as error:
            yield Checked(origin.name, None, "not readable", None, error=str(error))


def _checked(origin: Origin, formats: Sequence[Format]) -> Checked:
    with _open(origin) as stream:
        chosen, told = _recognised(stream, formats)
        told = "; ".join([told, *stream.notes])
        result = Checked(origin.name, chosen.name if chosen else None, told, stream.packed)
        result.present = dict.fromkeys(PRESENT, False)
        if chosen is None:
            result.error = f"not recognised: {told}"
            return result
        try:
            for piece, parsed in _parsed(stream, chosen):
                _count(result, piece, parsed)
        except UnreadableInput as error:
            result.error = str(error)
    result.grade = _grade(result)
    return result


def rows(path: Path, formats: Sequence[Format], *, keep_url: bool) -> Iterator[dict[str, Any]]:
    """Normalised rows as `check-logs --rows` prints them; raises UnreadableInput."""
    for origin in unfolded(LocalFile(path), EXPANSION):
        with _open(origin) as stream:
            chosen, told = _recognised(stream, formats)
            if chosen is None:
                raise UnreadableInput(f"{origin.name}: not recognised: {told}.")
            for piece, parsed in _parsed(stream, chosen):
                yield from _normalised(piece, parsed, keep_url)


def _open(origin: Origin) -> closing[Stream]:
    return closing(Stream(origin, True, LINE_BYTES, EXPANSION))


def _recognised(stream: Stream, formats: Sequence[Format]) -> tuple[Format | None, str]:
    found = recognise(stream.sample[: 64 << 10], formats)
    return found.format or (formats[0] if len(formats) == 1 else None), found.reason


def _parsed(stream: Stream, format_: Format) -> Iterator[tuple[Piece, Parsed]]:
    for piece in stream.pieces():
        yield piece, format_.parse(Block(piece.data))


def _count(result: Checked, piece: Piece, parsed: Parsed) -> None:
    result.lines += piece.lines
    result.rows += parsed.rows.num_rows
    result.ignored += parsed.ignored
    result.rejected += len(parsed.rejects)
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
    for entry in table["verdict"].combine_chunks().value_counts().to_pylist():
        result.verdicts[entry["values"]] = result.verdicts.get(entry["values"], 0) + entry["counts"]
    for name, column in (
        ("user names", "user"),
        ("referers", "referrer"),
        ("duration", "duration_ms"),
        ("bytes", "bytes_down"),
    ):
        result.present[name] |= table[column].null_count < table.num_rows
    methods = set(table["method"].unique().to_pylist()) - {None, "CONNECT"}
    result.present["URLs"] |= bool(methods)


def _grade(result: Checked) -> str:
    names = (
        "log-ins are named"
        if result.present["user names"]
        else "no log-ins: lines count for a person only where people.csv assigns the address"
    )
    if result.present["URLs"] and result.present["referers"]:
        return f"pages and referers are seen: grade B for these lines; {names}"
    if result.present["URLs"]:
        return (
            f"pages are seen without referers: grade B, embedded frames look like visits; {names}"
        )
    return f"tunnels only: grade C at best; {names}"


def _normalised(piece: Piece, parsed: Parsed, keep_url: bool) -> Iterator[dict[str, Any]]:
    table = parsed.rows
    url = table["url"].combine_chunks()
    authorities, paths = split_urls(url.dictionary)
    places = [
        _place(u, a, p)
        for u, a, p in zip(
            url.dictionary.to_pylist(), authorities.to_pylist(), paths.to_pylist(), strict=True
        )
    ]
    index = url.indices.to_pylist()
    for at, row in enumerate(table.to_pylist()):
        scheme, host, port, path = places[index[at]]
        referrer = re.match(r"^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#]*)", row["referrer"] or "")
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
            "referrer_host": host_of(referrer[1])[0] if referrer else None,
            "content_type": row["content_type"],
            "user_agent": row["user_agent"],
        }
        yield {**out, "url": row["url"]} if keep_url else out


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
