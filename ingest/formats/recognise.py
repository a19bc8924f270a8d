"""Which format a file is in: every candidate reads a sample, and the lines that fit are counted."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats import carriers, envelopes
from ingest.formats.block import (
    NOTHING_SAID,
    QUOTE,
    RAW,
    TIMELESS,
    UNSAID,
    Block,
    Given,
    Parsed,
    Reject,
)
from ingest.formats.described import Described
from ingest.formats.headers import OTHERS_DIRECTIVE
from ingest.formats.lines import Lines, clean
from ingest.formats.mapping import together
from ingest.formats.quotes import whole_records
from ingest.formats.sheets import SHEET

SAMPLE_LINES = 200
CERTAIN, GUESSED = 0.5, 0.8
MOST_FORMATS = 4
DEEPEST = 3
SAYS_NOTHING = (
    "blank line",
    "comment",
    "blank line or comment",
    OTHERS_DIRECTIVE,
    envelopes.SAID_AGAIN,
)
SLASHED = re.compile(rb"\b\d{1,2}([/.-])\d{1,2}\1\d{2,4}\b")
Order = Literal["dmy", "mdy"]


class Format(Protocol):
    """What a format is to the rest.

    `lead` and `whole` are asked in the order of the file, `parse` by several threads at once.
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def versions(self) -> str: ...
    @property
    def generic(self) -> bool: ...
    def lead(self, lead: bytes, data: bytes, /) -> bytes: ...
    def whole(self, data: bytes, /) -> int: ...
    def parse(self, block: Block, given: Given = NOTHING_SAID, /) -> Parsed: ...


@dataclass(frozen=True)
class Wrapped:
    """A format whose lines are carried by something else: JSON objects, or a syslog header."""

    inner: Format
    carrier: str  # a key of the objects, or `syslog`

    @property
    def name(self) -> str:
        """The inner format's."""
        return self.inner.name

    @property
    def title(self) -> str:
        """Both, as a person would say it."""
        carrier = {
            "syslog": "syslog",
            "structured": "syslog",
            "stamp": "lines with a time before them",
            "fluentd": "lines of Fluentd",
        }
        told = "CSV" if self.carrier.startswith(SHEET) else carrier.get(self.carrier, "JSON")
        return f"{self.inner.title} in {told}"

    @property
    def versions(self) -> str:
        """The inner format's."""
        return self.inner.versions

    @property
    def generic(self) -> bool:
        """The inner format's."""
        return self.inner.generic

    def lead(self, lead: bytes, data: bytes) -> bytes:
        """Header lines of the inner format, unwrapped."""
        if self.inner.lead(b"", b"#Fields: a b\n") or self.inner.lead(b"", b"a,b\n"):
            return self.inner.lead(lead, carriers.opened(clean(Block(data)), self.carrier)[0].block.data)  # fmt: skip
        return lead

    def whole(self, data: bytes) -> int:
        """A record is a line, but a cell of an export may hold newlines."""
        return whole_records(data, QUOTE) if self.carrier.startswith(SHEET) else len(data)

    def parse(self, block: Block, given: Given = NOTHING_SAID) -> Parsed:
        """The inner format's rows; lines without one in them are rejects."""
        return self.read(clean(block), given)

    def read(self, lines: Lines, given: Given) -> Parsed:
        """The same, of lines that came out of another envelope."""
        lines, blank = _said(lines)
        inside, rejects, why = carriers.opened(lines, self.carrier)
        parsed = renumbered(_read(self.inner, inside, given), inside)
        parsed.rejects += rejects
        parsed.why += why + blank
        return envelopes.forgiven(parsed, lines)


def _said(lines: Lines) -> tuple[Lines, Counter[str]]:
    """Lines without the blank ones."""
    if not len(lines):
        return lines, Counter()
    size = pc.binary_length(pc.utf8_trim_whitespace(lines.texts)).to_numpy(zero_copy_only=False)
    keep = np.flatnonzero(size)
    return lines.take(keep), +Counter({"blank line": len(lines) - len(keep)})


def _read(format_: Format, lines: Lines, given: Given) -> Parsed:
    """A format's reading of lines with what their envelope said of them, numbered from 0."""
    own = _from_0(lines)
    if isinstance(format_, Wrapped | Described):
        return format_.read(own, given)
    return format_.parse(lines.block, given)


def _from_0(lines: Lines) -> Lines:
    numbers = np.arange(len(lines), dtype=np.int64)
    if np.array_equal(lines.numbers, numbers):
        return lines
    return Lines(lines.block, numbers, lines.facts)


@dataclass(frozen=True)
class Mixed:
    """Several formats in one file: a line is what the first of them makes a row of."""

    formats: tuple[Format, ...]

    @property
    def name(self) -> str:
        """All their names."""
        return "+".join(dict.fromkeys(f.name for f in self.formats))

    @property
    def title(self) -> str:
        """All their titles."""
        return " and ".join(dict.fromkeys(f.title for f in self.formats))

    @property
    def versions(self) -> str:
        """The first one's."""
        return self.formats[0].versions

    @property
    def generic(self) -> bool:
        """Whether all of them guess."""
        return all(f.generic for f in self.formats)

    def lead(self, lead: bytes, data: bytes) -> bytes:
        """The header of the first format that knows headers."""
        for one in self.formats:
            if found := one.lead(lead, data):
                return found
        return lead

    def whole(self, data: bytes) -> int:
        """As far as all of them agree."""
        return min(one.whole(data) for one in self.formats)

    def parse(self, block: Block, given: Given = NOTHING_SAID) -> Parsed:
        """Each format reads what the ones before did not understand."""
        parsed = self.formats[0].parse(block, given)
        for other in self.formats[1:]:
            if not parsed.rejects:
                break
            numbers = np.array(sorted({r.line for r in parsed.rejects}), np.int64)
            some = Lines(block, np.arange(len(block.ends), dtype=np.int64)).take(numbers)
            again = renumbered(other.parse(some.block, given), some)
            still = {r.line for r in again.rejects}
            # What the first format said of a line stands; only what the other reads is taken.
            parsed.rejects = [r for r in parsed.rejects if r.line in still]
            again.rejects = []
            parsed = together([parsed, again])
        return parsed


def renumbered(parsed: Parsed, lines: Lines) -> Parsed:
    """A parse of some lines by the numbers they have in the block they came from."""
    numbers = lines.numbers
    rows = parsed.rows
    if rows.num_rows:
        line = pa.array(numbers[rows["line"].to_numpy()])
        parsed.rows = rows.set_column(RAW.get_field_index("line"), "line", line)
    parsed.rejects = [Reject(int(numbers[r.line]), r.reason) for r in parsed.rejects]
    return parsed


@dataclass(frozen=True)
class Recognised:
    """The format a sample fits best, the share of its lines that fit, and that in words."""

    format: Format | None
    confidence: float
    reason: str


@dataclass(frozen=True)
class Score:
    """How a format read a sample."""

    format: Format
    rows: int
    ignored: int
    rejects: tuple[int, ...]

    @property
    def fits(self) -> int:
        """Lines that were rows, or ignored on purpose because the format knows them."""
        return self.rows + self.ignored

    @property
    def share(self) -> float:
        """Of the lines that say anything."""
        return self.fits / max(1, self.fits + len(self.rejects))

    @property
    def worth(self) -> float:
        """Rows count most: a format that ignores everything understands nothing."""
        return self.rows + 0.4 * self.ignored


def recognise(
    sample: bytes,
    formats: Sequence[Format],
    given: Given = NOTHING_SAID,
    likely: Format | None = None,
) -> Recognised:
    """The format most lines of a sample fit; several where each reads lines the others do not.

    `likely`: what the source's last file was in; the others are asked only where it does not fit.
    """
    if given.order is not None:
        return _recognised(sample, formats, given, likely)
    # Which comes first, day or month, is not settled yet: it must not hang on that.
    found = _recognised(sample, formats, replace(given, order="dmy"), likely)
    if found.format is None and SLASHED.search(sample):
        other = _recognised(sample, formats, replace(given, order="mdy"), likely)
        found = other if other.format is not None else found
    return found


def _recognised(
    sample: bytes, formats: Sequence[Format], given: Given, likely: Format | None
) -> Recognised:
    lines = sample.split(b"\n")[: SAMPLE_LINES + 1]
    cut = b"\n".join(lines[:SAMPLE_LINES]).rstrip(b"\n") + b"\n"
    if not cut.strip():
        return Recognised(None, 0.0, "it holds no line")
    block = Block(cut)
    count = len(block.ends)
    sampled = clean(block)
    # The zone is the source's; which format it is does not hang on it.
    given = replace(given, zone=given.zone or ZoneInfo("UTC"))
    if likely is not None and not likely.generic:
        again = score(sampled, likely, given)
        if again.rows and not again.rejects:
            told = (
                f"{again.fits} of the first {count} lines fit {likely.title}, as the last file did"
            )
            return Recognised(likely, 1.0, told)
    specific, guessing = [f for f in formats if not f.generic], [f for f in formats if f.generic]
    best = _best(sampled, specific, given)
    if best is None or best.share <= CERTAIN or not best.rows:
        best = _carried(sampled, specific, given, best)
    if best is None or best.share <= CERTAIN or not best.rows:
        guess = _best(sampled, guessing, given)
        if guess is None or guess.share <= CERTAIN or not guess.rows:
            guess = _carried(sampled, guessing, given, guess)
        best = guess if guess and guess.rows > (best.rows if best else 0) else best
    if best is None:
        return Recognised(None, 0.0, f"no line fits any of {len(formats)} formats")
    chosen = _with_others(sampled, best, formats, given)
    told = f"{chosen.fits} of the first {count} lines fit {chosen.format.title}"
    if chosen.share <= CERTAIN:
        tried = ", ".join(f.title for f in formats[:3]) + (
            " and others" if len(formats) > 3 else ""
        )
        return Recognised(None, chosen.share, f"{told} (tried: {tried})")
    sure = min(chosen.share, GUESSED) if chosen.format.generic else chosen.share
    return Recognised(chosen.format, sure, told)


def score(lines: Lines, format_: Format, given: Given) -> Score:
    """How one format reads a sample; what only the configuration lacks counts as read."""
    lead = format_.lead(given.lead, lines.block.data)
    parsed = _read(format_, lines, replace(given, lead=lead))
    known = {r.line for r in parsed.rejects if r.reason in UNSAID or r.reason.startswith(TIMELESS)}
    unsaid, bad = len(known), tuple(r.line for r in parsed.rejects if r.line not in known)
    neutral = sum(parsed.why[reason] for reason in SAYS_NOTHING)
    return Score(format_, parsed.rows.num_rows + unsaid, parsed.ignored - neutral, bad)


def _best(lines: Lines, formats: Sequence[Format], given: Given) -> Score | None:
    own = _from_0(lines)  # one for all: what one format opened is open to the others
    scores = [score(own, one, given) for one in formats]
    scores = [s for s in scores if s.fits]
    return max(scores, key=lambda s: s.worth, default=None)


def _carried(lines: Lines, formats: Sequence[Format], given: Given, best: Score | None, depth: int = 0) -> Score | None:  # fmt: skip
    """The best reading of what lines carry, where that is better; carriers stand in carriers."""
    if depth == DEEPEST or not len(lines):
        return best
    for carrier in carriers.places(lines):
        inside = carriers.opened(lines, carrier)[0]
        if not len(inside):
            continue
        found = _best(inside, formats, given)
        if found is None or found.share <= CERTAIN or not found.rows:
            found = _carried(inside, formats, given, found, depth + 1)
        if found and (found.rows, found.share) > ((best.rows, best.share) if best else (0, 0.0)):
            best = score(lines, Wrapped(found.format, carrier), given)
    return best


def _with_others(lines: Lines, best: Score, formats: Sequence[Format], given: Given) -> Score:
    """The best format, and others for the lines it does not understand."""
    chosen = best
    while chosen.rejects:
        members = chosen.format.formats if isinstance(chosen.format, Mixed) else (chosen.format,)
        if len(members) >= MOST_FORMATS:
            break
        left = lines.take(np.array(sorted(set(chosen.rejects)), np.int64))
        others = [f for f in formats if not f.generic and f.name not in {m.name for m in members}]
        others += [f for f in formats if f.name in {m.name for m in members} and f not in members]
        found = _best(left, others, given)
        if found is None or found.rows < max(1, 0.5 * len(left)):
            break
        mixed = score(lines, Mixed((*members, found.format)), given)
        if mixed.rows <= chosen.rows:
            break
        chosen = mixed
    return chosen
