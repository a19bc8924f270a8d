"""Spreadsheets: a cell that is a date is a number with a style; rows are looked at as a table."""

import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from html import unescape
from typing import BinaryIO, cast

from lake.witness.bound import Bound, Closed, Seen
from lake.witness.text import Scan

LARGEST_PART = 64 << 20
BUILT_IN_DATES = frozenset([*range(14, 23), *range(27, 37), 45, 46, 47, *range(50, 59)])
FORMAT = re.compile(
    rb'<numFmt\b[^<>]{0,99}?numFmtId="(\d+)"[^<>]{0,99}?formatCode="([^"<>]{0,255})"'
)
STYLE = re.compile(rb'<xf\b[^<>]{0,999}?numFmtId="(\d+)"')
STRING = re.compile(rb"<si\b[^>]*?(?:/>|>(.*?)</si>)", re.DOTALL)
TEXT = re.compile(rb"<t\b[^>]*>(.*?)</t>", re.DOTALL)
CELL = re.compile(rb"<c\b([^>]*?)(?:/>|>(.*?)</c>)", re.DOTALL)
VALUE = re.compile(rb"<v\b[^>]*>(.*?)</v>", re.DOTALL)
ATTRIBUTE = re.compile(rb'\b([a-z]+)="([^"]*)"')
ROW_END = b"</row>"
WIDEST = 16_384


def is_workbook(names: set[str]) -> bool:
    """Whether a zip with these members is a spreadsheet of Excel's kind."""
    return "[Content_Types].xml" in names and "xl/workbook.xml" in names


def read_workbook(
    archive: zipfile.ZipFile, bound: Bound, seen: Seen, spend: Callable[[int], None]
) -> None:
    """Every row of every sheet, and the other texts in the file (comments, drawings).

    `docProps/` tells when the document was made, which is no event. Raises Closed where its shared
    texts are too large to hold.
    """
    names = archive.namelist()
    epoch = datetime(1899, 12, 30)
    if re.search(rb'date1904="(?:1|true)"', _part(archive, "xl/workbook.xml", spend)):
        epoch = datetime(1904, 1, 1)
    dates = _date_styles(
        _part(archive, "xl/styles.xml", spend) if "xl/styles.xml" in names else b""
    )
    shared: list[bytes] = []
    if "xl/sharedStrings.xml" in names:
        raw = _part(archive, "xl/sharedStrings.xml", spend)
        shared = [
            b"".join(TEXT.findall(m[1] or b"")) for m in STRING.finditer(_closed(raw, b"</si>"))
        ]
    for name in names:
        if name.startswith(("docProps/", "xl/sharedStrings", "xl/styles", "xl/theme", "_rels/")):
            continue
        scan = Scan(bound, seen)
        if name.startswith("xl/worksheets/") and name.endswith(".xml"):
            with archive.open(name) as sheet:
                for row in _sheet_rows(cast(BinaryIO, sheet), spend):
                    scan.add(_line(row, shared, dates, epoch))
        elif name.endswith((".xml", ".vml", ".bin", ".txt")):
            scan.add(_part(archive, name, spend))
        scan.end()


def _part(archive: zipfile.ZipFile, name: str, spend: Callable[[int], None]) -> bytes:
    with archive.open(name) as file:
        data = file.read(LARGEST_PART + 1)
    spend(len(data))
    if len(data) > LARGEST_PART:
        raise Closed(f"holds a part of more than {LARGEST_PART >> 20} MiB")
    return data


def _date_styles(styles: bytes) -> set[int]:
    """Which of a workbook's cell styles show a number as a date."""
    own = {int(m[1]) for m in FORMAT.finditer(styles) if _is_date_format(m[2])}
    cells = styles[styles.find(b"<cellXfs") :].partition(b"</cellXfs>")[0]
    formats = [int(m[1]) for m in STYLE.finditer(cells)]
    return {n for n, f in enumerate(formats) if f in own or f in BUILT_IN_DATES}


def _is_date_format(code: bytes) -> bool:
    bare = re.sub(rb'&quot;.*?&quot;|"[^"]*"|\[[^\]]*\]|\\.', b"", code).lower()
    return bool(re.search(rb"[ymdh]", bare))


def _sheet_rows(sheet: BinaryIO, spend: Callable[[int], None]) -> Iterator[bytes]:
    """The rows of a sheet, read forward."""
    rest = b""
    while block := sheet.read(1 << 20):
        spend(len(block))
        *rows, rest = (rest + block).split(ROW_END)
        yield from rows
        if len(rest) > LARGEST_PART:
            raise Closed("holds a row that does not end")
    yield rest


def _line(row: bytes, shared: list[bytes], dates: set[int], epoch: datetime) -> bytes:
    """A row as a line with tabs: texts by themselves, dates as ISO."""
    cells: list[bytes] = []
    for attributes, content in CELL.findall(_closed(row, b"</c>")):
        facts = dict(ATTRIBUTE.findall(attributes))
        value = VALUE.search(content or b"")
        # Empty cells are left out of a sheet; the ones after them are still under their headings.
        cells += [b""] * min(WIDEST, _column(facts.get(b"r", b"")) - len(cells))
        cells.append(_cell(facts, value[1] if value else b"", content, shared, dates, epoch))
    return b"\t".join(cells) + b"\n"


def _closed(raw: bytes, end: bytes) -> bytes:
    """Up to the last end of an element: looking for one that is not there would take for ever."""
    return raw[: raw.rfind(end) + len(end)] if end in raw else b""


def _column(reference: bytes) -> int:
    """0-based column of a reference such as `AB12`; 0 where it says none."""
    number = 0
    for letter in reference.rstrip(b"0123456789")[:3]:
        number = number * 26 + letter - 64
    return max(0, number - 1)


def _cell(
    facts: dict[bytes, bytes],
    value: bytes,
    content: bytes,
    shared: list[bytes],
    dates: set[int],
    epoch: datetime,
) -> bytes:
    kind = facts.get(b"t", b"n")
    if kind == b"s" and value.isdigit() and int(value) < len(shared):
        text = shared[int(value)]
    elif kind == b"inlineStr":
        text = b"".join(TEXT.findall(content))
    elif kind == b"n" and int(facts.get(b"s", b"0") or 0) in dates:
        return _serial(value, epoch)
    else:
        text = value
    plain = unescape(text.decode("utf-8", "replace")).encode()
    return plain.replace(b"\t", b" ").replace(b"\n", b" ")


def _serial(value: bytes, epoch: datetime) -> bytes:
    """A spreadsheet's day number as an ISO date."""
    try:
        return (epoch + timedelta(days=float(value or b"x"))).isoformat().encode()
    except (ValueError, OverflowError):
        return value
