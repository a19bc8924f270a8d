"""FORMATS: every log format Fairwatch reads, and how a file's own is recognised."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from errors import BadConfiguration
from ingest.formats.block import Block, Parsed
from ingest.formats.squid import APACHE, SQUID, SQUID_COMBINED, compiled


class Format(Protocol):
    """What a format is to the rest: a name, a title, the versions it was tried on, a parser."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def versions(self) -> str: ...
    def parse(self, block: Block) -> Parsed: ...


FORMATS: tuple[Format, ...] = (SQUID, SQUID_COMBINED, APACHE)
SAMPLE_LINES = 200
CERTAIN = 0.5


@dataclass(frozen=True)
class Recognised:
    """The format a sample fits best, the share of its lines that fit, and that in words."""

    format: Format | None
    confidence: float
    reason: str


def named(name: str) -> list[Format]:
    """The formats a source may mean by `name` (`combined` is written by Squid and by Apache)."""
    if name == "auto":
        return list(FORMATS)
    found = [f for f in FORMATS if f.name == name]
    if not found:
        known = ", ".join(sorted({f.name for f in FORMATS}))
        raise BadConfiguration(f"format: found {name!r}; expected auto or one of {known}.")
    return found


def choose(name: str, logformat: str | None) -> list[Format]:
    """The formats to try for a source."""
    return [compiled(logformat)] if logformat else named(name)


def recognise(sample: bytes, formats: Sequence[Format]) -> Recognised:
    """The first format that most lines of a sample fit."""
    lines = [line for line in sample.split(b"\n")[:SAMPLE_LINES] if line.strip()]
    if not lines:
        return Recognised(None, 0.0, "it holds no line")
    block = Block(b"\n".join(lines) + b"\n")
    scores = []
    for format_ in formats:
        parsed = format_.parse(block)
        scores.append((parsed.rows.num_rows + parsed.ignored, format_))
    fits, best = max(scores, key=lambda score: score[0])
    share = fits / len(lines)
    tried = ", ".join(f.title for f in formats)
    if share <= CERTAIN:
        return Recognised(
            None, share, f"{fits} of {len(lines)} lines fit {best.title} (tried: {tried})"
        )
    return Recognised(best, share, f"{fits} of the first {len(lines)} lines fit {best.title}")
