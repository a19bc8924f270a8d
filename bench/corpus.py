"""How well Fairwatch reads a folder of other people's real logs, and where it disagrees with them.

    python bench/corpus.py [PATTERN] [--verbose] [--corpus DIR] [--markdown] [--write-floors]

PATTERN is part of a file's name or a shell pattern. The folder is `$FAIRWATCH_CORPUS`, else
`../shared/corpus` beside the repository. Nothing is stored; its lines are never copied into the
repository. Upstream's known errors are in `corpus-exceptions.yaml` with a reason each.
"""

import argparse
import fnmatch
import os
import re
import sys
import tempfile
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "bench")) if path not in sys.path]

from corpus_truth import FIELDS, NOTHING, Sample, Truth, Value, is_address, samples

from errors import UnreadableInput
from fairwatch.check import Assumed, Checked, check, normalised, opened
from ingest.arrival import LocalFile
from ingest.formats import all_formats

FLOORS = ROOT / "tests" / "data" / "corpus-floors.yaml"
EXCEPTIONS = ROOT / "bench" / "corpus-exceptions.yaml"
MAIN = ("time", "client", "user", "host", "verdict")
DEFAULT_PORTS = {"http": 80, "https": 443, "ftp": 21}
Row = Mapping[str, Any]


@dataclass
class Reading:
    """What Fairwatch makes of one file: its summary, its rows, the numbers of rejected lines."""

    checked: Checked
    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: set[int] = field(default_factory=set)


def read(path: Path, timezone: ZoneInfo) -> Reading:
    """The one place that calls Fairwatch, with formats `auto`: adjust it here when that changes."""
    assumed = Assumed(timezone)
    reading = Reading(next(check(path, all_formats(), assumed)))
    if reading.checked.reason == "not readable":
        raise UnreadableInput(str(reading.checked.error))
    if reading.checked.format is None or reading.checked.error:
        return reading
    with opened(LocalFile(path), all_formats(), assumed) as under_way:
        for piece, parsed in under_way.parsed():
            reading.rows += normalised(piece, parsed, keep_url=True)
            reading.rejected |= {piece.first_line + r.line for r in parsed.rejects}
    return reading


@dataclass
class Tally:
    """How often a field agreed, of how many times it was compared; what was left out and why."""

    agree: int = 0
    compared: int = 0
    excepted: int = 0
    extra: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Tally(*(mine + theirs for mine, theirs in pairs))

    @property
    def percent(self) -> float:
        """Of what was compared, rounded down to a tenth: 100 means all."""
        return self.agree * 1000 // self.compared / 10 if self.compared else 100.0


@dataclass(frozen=True)
class Difference:
    """One disagreement, for those who mend a format."""

    line: int
    field: str
    expected: str
    got: str


@dataclass
class Result:
    """A file, how it was read, and how its rows compare with upstream's."""

    sample: Sample
    reading: Reading | None = None
    fault: str | None = None
    fields: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    no_row: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def checked(self) -> Checked:
        """Fairwatch's summary; an empty one where it failed."""
        return self.reading.checked if self.reading else Checked("", None, "", None)


def measure(sample: Sample) -> Result:
    """One file read and compared; a failure of Fairwatch is told, not raised."""
    result = Result(sample)
    try:
        result.reading = read(sample.path, sample.zone)
    except Exception:  # noqa: BLE001 (any failure is a finding)
        result.fault = traceback.format_exc()
        return result
    by_line: dict[int, list[Row]] = defaultdict(list)
    for row in result.reading.rows:
        by_line[row["line"]].append(row)
    for truth in sample.truths:
        if found := by_line.get(truth.line):
            _compare(result, truth, found[0])
        else:
            result.no_row[_why_no_row(result.reading, truth.line)] += 1
    return result


def _why_no_row(reading: Reading, line: int) -> str:
    if reading.checked.format is None:
        return "not recognised"
    return "rejected" if line in reading.rejected else "ignored"


def _compare(result: Result, truth: Truth, row: Row) -> None:
    text = result.sample.lines[truth.line - 1] if result.sample.lines else ""
    for name in FIELDS:
        got, tally = _got(name, row), result.fields[name]
        expected = truth.said.get(name)
        if expected is None:
            tally.extra += bool(got) and name in ("user", "status")
            continue
        if _silent(name, expected, got, text):
            continue
        if _agrees(name, expected, got, truth.yearless):
            tally.agree, tally.compared = tally.agree + 1, tally.compared + 1
            continue
        excused = _excused(result.sample.name, name, text, got)
        if excused is None:
            tally.excepted += 1
            continue
        tally.compared += 1
        tally.agree += excused
        if not excused:
            result.differences.append(_difference(truth, name, expected, got))


def _difference(
    truth: Truth, name: str, expected: Iterable[Value], got: frozenset[Value]
) -> Difference:
    def shown(values: Iterable[Value]) -> str:
        texts = sorted(_iso(v) if name == "time" else str(v) for v in values)
        return " or ".join(texts) or "null"

    return Difference(truth.line, name, shown(expected), shown(got))


def _iso(milliseconds: Value) -> str:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).isoformat(timespec="milliseconds")


COLUMN = {"client": "client_ip"}


def _got(name: str, row: Row) -> frozenset[Value]:
    """Our value of a field as upstream's are written; no value where the row holds none."""
    value = row[COLUMN.get(name, name)]
    if name == "port" and value is None:
        value = DEFAULT_PORTS.get(row["scheme"] or "")
    if value is None or (isinstance(value, str) and value.lower() in NOTHING):
        return frozenset()
    if name == "time":
        return frozenset({round(datetime.fromisoformat(value).timestamp() * 1000)})
    return frozenset(
        {value if name == "path" else value.lower() if isinstance(value, str) else value}
    )


def _silent(name: str, expected: frozenset[Value], got: frozenset[Value], text: str) -> bool:
    """Where the two answer different questions: a name the line holds beside upstream's bare address;
    the port of a URL that names none."""
    if name == "port" and not got:
        return True
    named = [str(g) for g in got if not is_address(str(g)) and str(g) in text.lower()]
    return name == "host" and bool(named) and all(is_address(str(e)) for e in expected)


def _agrees(name: str, expected: frozenset[Value], got: frozenset[Value], yearless: bool) -> bool:
    if name == "time":
        return any(_same_time(int(e), int(g), yearless) for e in expected for g in got)
    if name == "user":
        return bool(_names_of(expected) & _names_of(got))
    if name == "path":
        return (got or {"/"}) <= {str(e).split("?")[0] or "/" for e in expected}
    if name == "verdict" and expected == {"allowed"}:
        return got <= {"allowed", "error"} and bool(got)
    return bool(expected & got) or (
        name in ("bytes_down", "bytes_up") and expected == {0} and not got
    )


def _same_time(expected: int, got: int, yearless: bool) -> bool:
    """Equal to what upstream keeps: whole seconds where it kept no fraction."""
    if yearless:
        told, ours = (datetime.fromtimestamp(t // 1000, UTC) for t in (expected, got))
        return told.replace(year=2000) == ours.replace(year=2000)
    return expected // 1000 == got // 1000 if expected % 1000 == 0 else abs(expected - got) <= 1


def _names_of(users: Iterable[Value]) -> set[str]:
    """A user's name with and without its domain."""
    forms = {str(user).lower() for user in users}
    return forms | {u.split("@")[0] for u in forms} | {u.rsplit("\\", 1)[-1] for u in forms}


@cache
def _exceptions() -> tuple[dict[str, str], ...]:
    return tuple(yaml.safe_load(EXCEPTIONS.read_text("utf-8")))


def _excused(file: str, name: str, text: str, got: frozenset[Value]) -> bool | None:
    """False: a disagreement; True: upstream errs and ours is what the line says; None: left out."""
    for known in _exceptions():
        if not fnmatch.fnmatch(file, known["file"]) or name not in known["field"].split():
            continue
        if not re.search(known.get("line", ""), text):
            continue
        if "right" not in known:
            return None
        said = re.search(known["right"], text)
        if said and _meant(name, _as_field(name, next(filter(None, said.groups()))), got):
            return True
    return False


def _meant(name: str, right: frozenset[Value], got: frozenset[Value]) -> bool:
    """Whether ours is what the line says; a second time of the line to the second."""
    if name == "time":
        return {int(r) // 1000 for r in right} == {int(g) // 1000 for g in got}
    return bool(right & got)


def _as_field(name: str, text: str) -> frozenset[Value]:
    if name in ("bytes_down", "bytes_up", "port", "status"):
        return frozenset({int(text)})
    if name != "time":
        return frozenset({text.lower()})
    if text.isdigit():
        return frozenset({int(text) * 1000 if len(text) < 13 else int(text[:13])})
    when = datetime.fromisoformat(text)
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return frozenset({round(aware.timestamp() * 1000)})


# What is printed.


def _percent(tally: Tally) -> str:
    return f"{tally.agree}/{tally.compared} {tally.percent:.0f}%" if tally.compared else "·"


def _table(head: Sequence[str], body: Sequence[Sequence[object]]) -> Iterator[str]:
    lines = [list(head), *([str(cell) for cell in line] for line in body)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            c.rjust(w) if c[:1].isdigit() or c in head else c.ljust(w)
            for c, w in zip(line[1:], widths[1:], strict=True)
        ]
        yield "  ".join([line[0].ljust(widths[0]), *cells]).rstrip()


def _read_as(results: Sequence[Result]) -> Iterator[str]:
    head = ("file", "format", "lines", "rows", "ignored", "rejected", "why rejected")
    body = []
    for r in results:
        told = r.checked
        why = sorted(told.rejects.items(), key=lambda item: -item[1]["count"])[:3]
        reasons = "; ".join(f"{known['count']}x {reason}" for reason, known in why)
        name = "FAILED" if r.fault else told.format or "-"
        counts = (told.lines, told.rows, told.ignored, told.rejected)
        body.append((r.sample.name, name, *counts, reasons[:120]))
    return _table(head, body)


def _agreement(results: Sequence[Result]) -> Iterator[str]:
    """The lines upstream tells of: how our rows agree, and how many are no row and why."""
    head = ("file", "lines told of", *FIELDS, "no row: ignored", "rejected", "not recognised")
    body = [
        _agreement_row(r.sample.name, [r])
        for r in results
        if r.sample.truths and (r.checked.format or len(results) < 10)
    ]
    return _table(head, [*body, _agreement_row("TOTAL", results)])


def _agreement_row(name: str, results: Sequence[Result]) -> tuple[object, ...]:
    total = _sum(results)
    missing = sum((r.no_row for r in results), Counter[str]())
    return (
        name,
        sum(len(r.sample.truths) for r in results),
        *(_percent(total[f]) for f in FIELDS),
        *(missing[why] for why in ("ignored", "rejected", "not recognised")),
    )


def _sum(results: Iterable[Result]) -> dict[str, Tally]:
    total = {name: Tally() for name in FIELDS}
    for result in results:
        for name, tally in result.fields.items():
            total[name] += tally
    return total


def _details(results: Sequence[Result]) -> Iterator[str]:
    """Every disagreement, fault and rejected reason, file by file."""
    for r in results:
        extras = {name: t.extra for name, t in r.fields.items() if t.extra}
        excepted = {name: t.excepted for name, t in r.fields.items() if t.excepted}
        if not (
            r.fault or r.differences or extras or excepted or r.checked.rejects or r.checked.error
        ):
            continue
        yield f"\n== {r.sample.name}"
        if told := r.fault or r.checked.error:
            yield told
        for reason, known in r.checked.rejects.items():
            yield f"   {known['count']} rejected, first line {known['line']}: {reason}"
        for d in r.differences:
            yield f"   line {d.line}: {d.field}: expected {d.expected}, got {d.got}"
        if excepted:
            yield f"   left out by corpus-exceptions.yaml: {excepted}"
        if extras:
            yield f"   ours beside upstream's null: {extras}"


def _markdown(results: Sequence[Result]) -> Iterator[str]:
    """One row for each product."""
    head = ("product", "files", "lines", "rows", "ignored", "rejected", *MAIN, "why rejected")
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * (len(head) - 2) + "---|"
    products: dict[str, list[Result]] = defaultdict(list)
    for r in results:
        products[r.sample.product].append(r)
    for product, found in sorted(products.items()):
        yield _markdown_row(product, found)
    yield _markdown_row("**all**", results)


def _markdown_row(product: str, results: Sequence[Result]) -> str:
    total, reasons = _sum(results), Counter[str]()
    for r in results:
        reasons.update({reason: known["count"] for reason, known in r.checked.rejects.items()})
    unread = sum(r.checked.format is None for r in results)
    files = f"{len(results)} ({unread} not recognised)" if unread else str(len(results))
    told = [r.checked for r in results]
    counts = [sum(getattr(c, n) for c in told) for n in ("lines", "rows", "ignored", "rejected")]
    why = "; ".join(f"{count}x {reason}" for reason, count in reasons.most_common(3))
    cells = (product, files, *counts, *(_percent(total[f]) for f in MAIN), why.replace("|", "\\|"))
    return "| " + " | ".join(map(str, cells)) + " |"


# Floors: figures that must not fall.


def floors(results: Iterable[Result]) -> dict[str, Any]:
    """Per file its format (null before it gives rows), its rows and each field's agreement in per
    cent; no text of the logs."""
    return {
        r.sample.name: {
            "format": r.checked.format if r.checked.rows else None,
            "rows": r.checked.rows,
            "agree": {n: t.percent for n in FIELDS if (t := r.fields[n]).compared},
        }
        for r in results
    }


def below(result: Result, floor: Mapping[str, Any]) -> list[str]:
    """Where a file's figures fell below its floor, in words."""
    found = []
    if floor["format"] not in (None, result.checked.format):
        found.append(f"format {result.checked.format}, was {floor['format']}")
    if result.checked.rows < floor["rows"]:
        found.append(f"{result.checked.rows} rows, were {floor['rows']}")
    for name, least in floor["agree"].items():
        tally = result.fields[name]
        if not tally.compared or tally.percent < least:
            found.append(f"{name} agrees {_percent(tally)}, was {least} %")
    return found


def unaccounted(result: Result) -> list[str]:
    """Where a file's lines do not add up, in words."""
    told, reading = result.checked, result.reading
    if reading is None:
        return [result.fault or "not read"]
    found = []
    if told.lines != told.rows + told.ignored + told.rejected:
        found.append(f"{told.lines} lines are not {told.rows}+{told.ignored}+{told.rejected}")
    lines = {row["line"] for row in reading.rows}
    if len(reading.rows) != told.rows:
        found.append(f"{len(reading.rows)} rows are printed, {told.rows} counted")
    if len(reading.rejected) != told.rejected:
        found.append(f"{len(reading.rejected)} lines are rejected, {told.rejected} counted")
    if lines & reading.rejected:
        found.append(f"lines {sorted(lines & reading.rejected)[:5]} are rows and rejects")
    return found


def folder() -> Path:
    """Where the corpus is, if it is anywhere."""
    return Path(os.environ.get("FAIRWATCH_CORPUS", ROOT.parent / "shared" / "corpus"))


def chosen(corpus: Path, work: Path, pattern: str | None = None) -> list[Sample]:
    """The samples whose names hold or match a pattern."""
    found = list(samples(corpus, work))
    wanted = (
        f"*{(pattern or '').strip('*')}*" if pattern and "*" in pattern else f"*{pattern or ''}*"
    )
    return [
        s
        for s in found
        if fnmatch.fnmatch(s.name, pattern or "*") or fnmatch.fnmatch(s.name, wanted)
    ]


def main() -> None:
    """Read, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("pattern", nargs="?")
    parser.add_argument("--verbose", action="store_true", help="every disagreement")
    parser.add_argument("--markdown", action="store_true", help="one row for each product")
    parser.add_argument("--corpus", type=Path, default=folder())
    parser.add_argument("--write-floors", action="store_true", help="keep these figures as floors")
    given = parser.parse_args()
    if not (given.corpus / "SOURCES.md").exists():
        parser.error(f"{given.corpus}: no SOURCES.md; set FAIRWATCH_CORPUS or give --corpus")
    with tempfile.TemporaryDirectory() as work:
        results = [measure(s) for s in chosen(given.corpus, Path(work), given.pattern)]
    if given.write_floors:
        _write(floors(results))
    parts = (
        [_markdown(results)] if given.markdown else [_read_as(results), [""], _agreement(results)]
    )
    for part in [*parts, _details(results) if given.verbose else ()]:
        print("\n".join(part))


def _write(found: Mapping[str, Any]) -> None:
    """Floors of the files read now replace theirs; the others' stay."""
    kept = yaml.safe_load(FLOORS.read_text("utf-8")) if FLOORS.exists() else {}
    head = "# Written by `python bench/corpus.py --write-floors`: figures that must not fall.\n"
    body = yaml.safe_dump({**kept, **found}, sort_keys=True, width=200)
    FLOORS.write_text(head + body, "utf-8")


if __name__ == "__main__":
    main()
