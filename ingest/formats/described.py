"""A format made of its description: layouts, envelopes, engines, headers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats import envelopes, fetching, mapping
from ingest.formats.alike import pairs
from ingest.formats.block import (
    BLANK,
    HASH,
    NOTHING_SAID,
    RAW,
    Block,
    Given,
    IntArray,
    Parsed,
    Reject,
)
from ingest.formats.columns import Split
from ingest.formats.description import Description, Layout
from ingest.formats.headers import (
    OTHERS_DIRECTIVE,
    Header,
    csv_header,
    directives,
    first_line,
    in_force,
    sections,
)
from ingest.formats.lines import Columns, Lines, Table, clean, coded
from ingest.formats.marking import marked
from ingest.formats.objects import Objects
from ingest.formats.pairs import Pairs, Syntax
from ingest.formats.quotes import joined, whole_records
from ingest.formats.synonyms import completed
from ingest.formats.values import filled

HEADS = {"cef": envelopes.CEF, "leef": envelopes.LEEF}
LEEF_TOLD = r"^(?P<told>0?x[0-9A-Fa-f]{2}|[^\w\s=])\|"
LEEF_UNSAID = (
    ("^", r"\^[\w-]+="),
    ("|", r"\|[\w-]+="),
    (" ", r" [\w-]+="),
)


@dataclass(frozen=True)
class Described:
    """A format by its name and description."""

    name: str
    description: Description

    @property
    def title(self) -> str:
        """What a person calls it."""
        return self.description.title

    @property
    def versions(self) -> str:
        """What it was tried on."""
        return self.description.versions

    @property
    def generic(self) -> bool:
        """Whether it reads what no product's own description does."""
        return self.description.generic

    @property
    def broad(self) -> bool:
        """Whether it reads any product's header: those that know theirs are asked before."""
        return any(one.header != "none" and not one.needs for one in self._layouts)

    @cached_property
    def _layouts(self) -> list[Layout]:
        return self.description.layouts

    @cached_property
    def _headed(self) -> Layout | None:
        return next((one for one in self._layouts if one.header != "none"), None)

    def lead(self, lead: bytes, data: bytes) -> bytes:
        """The header lines in force after `data`, where `lead` was before it."""
        if self._headed is None:
            return lead
        if self._headed.header == "directives":
            return directives(lead, data)
        return lead or first_line(data)

    def whole(self, data: bytes) -> int:
        """How many bytes of whole lines are whole records: a quoted value may hold newlines."""
        if not any(one.multiline for one in self._layouts) or b'"' not in data:
            return len(data)
        return whole_records(data, ord('"'))

    def parse(self, block: Block, given: Given = NOTHING_SAID) -> Parsed:
        """Rows of schema RAW; raises nothing for whatever stands in the lines."""
        return self.read(clean(block), given)

    def read(self, lines: Lines, given: Given) -> Parsed:
        """The same, of lines that came out of an envelope, with what it said of them."""
        lines, why = _begun(lines, comments=self._headed is None)
        if any(one.multiline for one in self._layouts):
            lines = joined(lines)
        parts, left, headed = self._laid_out(lines, given)
        if len(left) and headed is not None and headed is not left:
            # A relay sets its own header before the one that is there.
            more, left, _ = self._laid_out(headed, given)
            parts += more
        said = f"no line of {self.title}"
        rejects = [Reject(int(n), said) for n in left.numbers]
        made = mapping.together([Parsed(RAW.empty_table(), rejects, why), *parts])
        return envelopes.forgiven(made, lines)

    def _laid_out(self, bare: Lines, given: Given) -> tuple[list[Parsed], Lines, Lines | None]:
        """What the layouts read; the lines none of them fits, as they are and without their header."""
        parts: list[Parsed] = []
        headed: Lines | None = None
        for layout in self._layouts:
            if not len(bare):
                break
            if headed is None and layout.syslog:
                headed = envelopes.syslog(bare)
            body = headed if layout.syslog and headed is not None else bare
            mine = marked(body, layout.marker)
            if not mine.any():
                continue
            chosen = np.flatnonzero(mine)
            part, left = self._beheaded(layout, body.take(chosen), given)
            parts.append(part)
            rest = np.flatnonzero(~mine)
            if len(left):
                rest = np.sort(np.concatenate((rest, chosen[left])))
            headed = None if headed is bare else headed
            bare = bare.take(rest)
            headed = headed.take(rest) if headed is not None else None
        return parts, bare, headed

    def _beheaded(self, layout: Layout, lines: Lines, given: Given) -> tuple[Parsed, IntArray]:
        """As `_read`, without the head the product itself writes before its record."""
        if layout.head is None:
            return self._read(layout, lines, given)
        body, fits = envelopes.headed(lines, layout.head, "head")
        none = np.setdiff1d(np.arange(len(lines)), fits)
        if not len(fits):
            return Parsed(RAW.empty_table()), none
        parsed, left = self._read(layout, body, given)
        return parsed, np.sort(np.concatenate((none, fits[left])))

    def _read(self, layout: Layout, lines: Lines, given: Given) -> tuple[Parsed, IntArray]:
        """What a layout makes of its lines, and which of them it leaves to the next layout."""
        kind, none = self.description.kind, np.empty(0, np.int64)
        if layout.engine == "delimited" and layout.header != "none":
            more = layout.header == "first" and layout is not self._layouts[-1]
            header = csv_header(lines, given, layout)[0] if more else None
            if more and (header is None or not _fitting(layout, header)):
                # Some products write the header or leave it out: then the next layout knows.
                return Parsed(RAW.empty_table()), np.arange(len(lines))
            return self._headed_columns(layout, lines, given), none
        if layout.engine == "leef":
            return self._leef(layout, lines, given)
        rejects: list[Reject] = []
        columns: Columns
        if layout.engine in HEADS:
            body, fits = envelopes.headed(lines, HEADS[layout.engine], layout.engine)
            left = np.setdiff1d(np.arange(len(lines)), fits)
            columns = Pairs(body, _syntax(layout, body))
        elif layout.engine == "pairs":
            columns, left = pairs(lines, _syntax(layout, lines)), none
        elif layout.engine == "json":
            objects = Objects(lines, layout.within)
            layout = completed(layout, objects) if layout.synonyms else layout
            objects.want(layout.names)
            columns, rejects, left = objects, objects.rejects, none
        elif layout.engine == "pattern":
            columns, left = _matched(lines, layout.patterns)
        else:
            names = {name: place for place, name in enumerate(layout.columns)}
            columns, rejects, left = _split(layout, lines, names)
        if layout.synonyms and layout.engine != "json":
            layout = completed(layout, columns)
        parsed = mapping.rows(layout, kind, columns, given)
        parsed.rejects += rejects
        return parsed, left

    def _leef(self, layout: Layout, lines: Lines, given: Given) -> tuple[Parsed, IntArray]:
        body, fits = envelopes.headed(lines, HEADS["leef"], "leef")
        left = np.setdiff1d(np.arange(len(lines)), fits)
        parts = [Parsed(RAW.empty_table())]
        for columns in _leef_parts(body):
            one = completed(layout, columns) if layout.synonyms else layout
            parts.append(mapping.rows(one, self.description.kind, columns, given))
        return mapping.together(parts), left

    def _headed_columns(self, layout: Layout, lines: Lines, given: Given) -> Parsed:
        """Lines under the header that is in force for each."""
        parts: list[Parsed] = []
        if layout.header == "first":
            header, rest, ignored = csv_header(lines, given, layout)
            if header is not None and not (
                _fitting(layout, header) and _names_time(layout, header)
            ):
                header = None
            if header is None or (ignored > 1 and not len(rest)):
                told = f"no header names the columns of {self.title}"
                rejects = [Reject(int(n), told) for n in lines.numbers]
                return Parsed(RAW.empty_table(), rejects)
            found = [(header, rest)]
            parts.append(Parsed(RAW.empty_table(), why=Counter({"header": ignored})))
        else:
            found, parsed = sections(lines, given)
            known = [h for h, some in found if len(some)] or in_force(lines, given)
            if known and not any(_fitting(layout, h) for h in known):
                parsed.why = Counter({OTHERS_DIRECTIVE: parsed.why.total()})
            parts.append(parsed)
        for header, some in found:
            if not len(some):
                continue
            if not _fitting(layout, header):
                told = f"its header names the columns of another product than {self.title}"
                parts.append(Parsed(RAW.empty_table(), [Reject(int(n), told) for n in some.numbers]))  # fmt: skip
                continue
            own = _delimited_as(layout, header, some)
            columns, rejects, _ = _split(own, some, header.names)
            own = completed(own, columns) if own.synonyms else fetching.in_header(own, header.names)
            part = mapping.rows(own, self.description.kind, columns, header.given(given))
            part.rejects += rejects
            parts.append(part)
        return mapping.together(parts)


def _names_time(layout: Layout, header: Header) -> bool:
    """Whether a header has what the description takes the time from: else it is another product's."""
    ways = [way.from_ for way in layout.time]
    return not ways or any(set(names) <= set(header.names) for names in ways)


def _begun(lines: Lines, *, comments: bool) -> tuple[Lines, Counter[str]]:
    """Lines without the blank ones (and comments); what was ignored."""
    why: Counter[str] = Counter()
    if not len(lines):
        return lines, why
    first = lines.block.array[lines.block.starts]
    if not ((first <= BLANK) | (first > 0x7E) | (first == HASH)).any():
        return lines, why
    texts = lines.texts
    blank = pc.equal(pc.binary_length(pc.utf8_trim_whitespace(texts)), 0).to_numpy(zero_copy_only=False)  # fmt: skip
    drop = blank.copy()
    why["blank line"] = int(blank.sum())
    if comments:
        comment = lines.block.array[lines.block.starts] == HASH
        why["comment"] = int((comment & ~blank).sum())
        drop |= comment
    return lines.take(np.flatnonzero(~drop)), +why


def _syntax(layout: Layout, lines: Lines) -> Syntax:
    between, spaced = layout.between, layout.spaced
    if layout.engine == "cef":
        return Syntax(b" ", b"=", b"", spaced=True, escapes=True, keys=tuple(layout.keys))
    return Syntax(
        between.encode(),
        layout.sign.encode(),
        (layout.quotes or "").encode(),
        spaced=spaced,
        escapes=layout.escapes,
        blank_keys=layout.blank_keys,
        keys=tuple(layout.keys),
    )


def _leef_parts(lines: Lines) -> list[Pairs]:
    """Lines by what stands between their pairs: a relay may carry several products' records."""
    told = pc.struct_field(pc.extract_regex(lines.texts, LEEF_TOLD), "told")
    between = pc.coalesce(told, _leef_delimiters(lines.texts)).to_numpy(zero_copy_only=False)
    parts = []
    for one in np.unique(between.astype(str)):
        byte = bytes([int(one[-2:], 16)]) if "x" in one else one.encode()
        some = lines.take(np.flatnonzero(between == one))
        parts.append(Pairs(some, Syntax(byte, b"=", b"", spaced=byte == b" ")))
    return parts


def _leef_delimiters(texts: pa.StringArray) -> pa.StringArray:
    """Tab, where LEEF 2.0 says no other one; some write `^` or `|` unsaid, some relays blanks."""
    counts = [pc.count_substring_regex(texts, pattern) for _, pattern in LEEF_UNSAID]
    likeliest = pc.max_element_wise(*counts)
    cases = [pc.and_(pc.equal(one, likeliest), pc.greater(one, 0)) for one in counts]
    tab = pc.match_substring(texts, "\t")
    struct = pc.make_struct(tab, *cases)
    return pc.case_when(struct, "\t", *(byte for byte, _ in LEEF_UNSAID), "\t")


def _split(layout: Layout, lines: Lines, names: dict[str, int]) -> tuple[Split, list[Reject], IntArray]:  # fmt: skip
    """Lines in columns; those whose quotes or number of columns are wrong are set aside."""
    split = Split(
        lines,
        layout.delimiter.encode(),
        names=names,
        quotes=layout.quotes,
        repeated=layout.repeated,
        escapes=layout.escapes,
    )
    expected = layout.counts
    bad = np.zeros(len(lines), bool)
    rejects: list[Reject] = []
    if layout.quotes:
        bad = split.unpaired
        rejects += [Reject(int(n), "its double quotes do not pair") for n in lines.numbers[bad]]
    if expected:
        # A delimiter at the end of the line makes no column more.
        counts = split.counts - (split.empty_end & ~np.isin(split.counts, expected))
        wrong = ~np.isin(counts, expected) & ~bad
        told = " or ".join(str(count) for count in expected[:4])
        for row in np.flatnonzero(wrong):
            reason = f"{split.counts[row]} columns where {told} are expected"
            rejects.append(Reject(int(lines.numbers[row]), reason))
        bad |= wrong
    none = np.empty(0, np.int64)
    if not bad.any():
        return split, rejects, none
    good = layout.model_copy(update={"counts": []})
    split, _, _ = _split(good, lines.take(np.flatnonzero(~bad)), names)
    return split, rejects, none


def _fitting(layout: Layout, header: Header) -> bool:
    """Whether the header names all columns of one of the lists the layout needs."""
    return not layout.needs or any(
        all(name.lower() in header.names for name in names) for names in layout.needs
    )


def _delimited_as(layout: Layout, header: Header, lines: Lines) -> Layout:
    """The layout with the delimiter the data has, and as many columns as the header names."""
    count = header.count
    delimiter, repeated = header.delimiter(lines, layout)
    return layout.model_copy(
        update={
            "delimiter": delimiter,
            "repeated": repeated,
            "counts": [count],
            "quotes": None if header.raw else layout.quotes,
        }
    )


def _matched(lines: Lines, patterns: Sequence[str]) -> tuple[Table, IntArray]:
    """Columns from the named groups of the first pattern that fits; lines that fit none are left."""
    texts = lines.texts
    left = np.arange(len(lines))
    order: list[IntArray] = []
    groups: list[dict[str, pa.Array]] = []
    for pattern in patterns:
        if not len(left):
            break
        found = pc.extract_regex(texts.take(pa.array(left)) if order else texts, pattern=pattern)
        fits = pc.is_valid(found).to_numpy(zero_copy_only=False)
        if not fits.any():
            continue
        hit = found.filter(pa.array(fits))
        order.append(left[fits])
        groups.append({f.name: filled(hit.field(f.name)) for f in hit.type})
        left = left[~fits]
    rows = np.concatenate(order) if order else np.empty(0, np.int64)
    rank = np.argsort(rows, kind="stable")
    made: dict[str, pa.DictionaryArray] = {
        name: fact.take(pa.array(rows[rank])) for name, fact in lines.facts.items()
    }
    for name in {name for group in groups for name in group}:
        pieces = [
            group[name] if name in group else pa.nulls(len(at), pa.string())
            for group, at in zip(groups, order, strict=True)
        ]
        made[name] = coded(pa.chunked_array(pieces, pa.string())).take(pa.array(rank))
    return Table(lines.numbers[rows[rank]], made), left
