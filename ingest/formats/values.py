"""Values as logs write them, once per distinct text: encodings, counts, sizes, lengths of time."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.arrays import values_of
from ingest.formats.description import Decode, Unit
from ingest.formats.lines import coded

UNITS: dict[Unit, float] = {"ms": 1, "s": 1000, "us": 0.001, "ns": 1e-6, "min": 60_000, "h:m:s": 1}
SIZE = re.compile(r" ?([kKMGT])i?[bB]\b")
LARGEST = 10**18


def filled(texts: pa.StringArray) -> pa.StringArray:
    """A group that took no part is empty text in RE2: nothing."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def first_of(columns: Sequence[pa.DictionaryArray]) -> pa.DictionaryArray:
    """The first of several columns that says something, row by row."""
    found = columns[0]
    for other in columns[1:]:
        if not found.null_count:
            return found
        if found.null_count == len(found):
            found = other
            continue
        found = coded(pc.coalesce(*(c.dictionary.take(c.indices) for c in (found, other))))
    return found


def _base64(text: str) -> str | None:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return text


def _dns(text: str) -> str:
    """A name as it is, or with its length bytes as Windows writes it: `(3)www(7)example(3)com(0)`."""
    return re.sub(r"\(\d{1,2}\)", ".", text).strip(".") or "."


def _hex(text: str) -> str:
    """Bytes that are written `\\xc3\\xa4`, as Zeek does, as text."""
    if "\\x" not in text:
        return text
    cut = re.split(rb"\\x([0-9a-fA-F]{2})", text.encode())
    cut[1::2] = [bytes([int(piece, 16)]) for piece in cut[1::2]]
    return b"".join(cut).decode("utf-8", "replace").replace("\0", "")


DECODERS: dict[Decode, Callable[[str], str | None]] = {
    "percent": lambda text: unquote(text, errors="replace"),
    "plus": lambda text: text.replace("+", " "),
    "base64": _base64,
    "dns": _dns,
    "backslash": lambda text: re.sub(r"\\([^A-Za-z0-9])", r"\1", text),
    "hex": _hex,
}


def numbers(column: pa.DictionaryArray, unit: Unit) -> pa.Array:
    """`number` of each row; plain digits are cast as a whole."""
    texts = column.dictionary
    plain = pc.match_substring_regex(texts, r"^\d{1,18}$") if unit in ("ms", "s") else None
    if plain is None or not pc.all(plain).as_py():
        return values_of(column, partial(number, unit=unit), pa.int64())
    made = texts.cast(pa.int64())
    if unit == "s":
        made = pc.multiply(pc.min_element_wise(made, LARGEST // 1000), 1000)
    return made.take(column.indices)


def number(text: str, unit: Unit = "ms") -> int | None:
    """A count, or a length of time in milliseconds; None where the text is neither."""
    if unit == "h:m:s":
        match = re.fullmatch(r"(?:(\d{1,6})[:h])?(\d{1,3})[:m](\d{1,3})(?:[.,]\d+)?s?", text)
        return match and ((int(match[1] or 0) * 60 + int(match[2])) * 60 + int(match[3])) * 1000
    match = re.match(r"-?\d{1,18}(?![\d])(?:\.\d{1,9})?", text.replace(",", ""))
    if not match:
        return None
    value = match[0]
    size = SIZE.match(text.replace(",", ""), match.end()) if unit == "ms" else None
    if not size and "." not in value and unit == "ms":
        return int(value)
    scale = 1 << 10 * ("kmgt".index(size[1].lower()) + 1) if size else UNITS[unit]
    made = round(float(value) * scale)
    return made if abs(made) < LARGEST else None
