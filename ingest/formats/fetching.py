"""What a browser says a request is for (Sec-Fetch-*, W3C Fetch Metadata), as two small words a row."""

import re
from collections.abc import Container, Mapping
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.arrays import codes_to_text, constant, distinct
from ingest.formats.description import Layout, Take
from ingest.formats.lines import coded

TARGETS = ("fetch_dest", "fetch_mode", "fetch_site", "fetch_user", "fetch_purpose")
"""Fields of a description, in the order `spoken` takes them."""

HEADERS = {
    "sec-fetch-dest": "fetch_dest",
    "sec-fetch-mode": "fetch_mode",
    "sec-fetch-site": "fetch_site",
    "sec-fetch-user": "fetch_user",
    "sec-purpose": "fetch_purpose",
}
"""Request headers and the field each fills."""

FRAMES = frozenset({"iframe", "frame", "embed", "object", "fencedframe"})
SITES = frozenset({"none", "same-origin", "same-site", "cross-site"})
WORD = re.compile(r"[a-z-]{1,24}")
Said = tuple[str | None, str | None]


def columns(got: Mapping[str, pa.DictionaryArray | None], count: int) -> dict[str, pa.Array]:
    """RAW's columns `fetch` and `fetch_site`, of columns by the names in TARGETS; null where nothing is said."""
    there = [got.get(name) for name in TARGETS]
    if all(column is None or column.null_count == count for column in there):
        return {"fetch": constant(None, count), "fetch_site": constant(None, count)}
    nothing = constant(None, count)
    indices, known = distinct([nothing if column is None else column for column in there])
    words = [spoken(*values) for values in known]
    return {
        "fetch": codes_to_text(indices, [fetch for fetch, _ in words]),
        "fetch_site": codes_to_text(indices, [site for _, site in words]),
    }


def spoken(
    dest: str | None, mode: str | None, site: str | None, user: str | None, purpose: str | None
) -> Said:
    """(fetch, fetch_site) of the headers' values as a log has them.

    `person`: a person's own act opened a page. `navigation`: a page, and no act is said: a redirect,
    a reload, a script, or a log without Sec-Fetch-User. `frame`: a page within a page. `part`: all
    else, and what a browser loads ahead. Open stays what no destination is logged of, and what a
    site's service worker fetched in the place of a page or frame (`empty`, `navigate`).
    """
    dest, mode, site = _plain(dest), _plain(mode), _plain(site)
    known_site = site if site in SITES else None
    if purpose and "prefetch" in unquote(purpose).lower():
        return "part", known_site  # a browser's guess: nobody has seen it yet
    if dest in FRAMES or mode == "nested-navigate":
        return "frame", known_site
    if dest == "document":
        if mode not in (None, "navigate"):
            return "part", known_site
        asked = user is not None and unquote(user).strip('"') == "?1"
        return "person" if asked else "navigation", known_site
    named = dest is not None and not (dest == "empty" and mode == "navigate")
    unlike = mode is not None and mode != "navigate"
    return "part" if named or unlike else None, known_site


def _plain(text: str | None) -> str | None:
    """A header's word; whatever is no such word says nothing."""
    found = text.strip(' "').lower() if text else ""
    return found if WORD.fullmatch(found) else None


def in_header(layout: Layout, names: Container[str]) -> Layout:
    """The layout with the columns of these headers that a log's own header names, in any format."""
    found = {
        target: [Take(from_=[name])]
        for header, target in HEADERS.items()
        for name in (header, f"cs-{header}", f"cs({header})")
        if target not in layout.fields and name in names
    }
    return layout.model_copy(update={"fields": {**layout.fields, **found}}) if found else layout


def dumped(texts: pa.Array) -> dict[str, pa.DictionaryArray]:
    r"""Columns by the names in TARGETS, of whole request headers as Squid's `log_mime_hdrs` writes them.

    Squid escapes what ends a header: `Host:%20a%0D%0ASec-Fetch-Dest:%20document%0D%0A`, or `\r\n`.
    """
    made: dict[str, pa.DictionaryArray] = {}
    for header, name in HEADERS.items():
        pattern = rf"(?i)(?:^|%0D%0A|\\r\\n|\n){header}:(?:%20| )*(?P<x>(?:[^%\\\s]|%3[A-Fa-f])*)"
        found = pc.struct_field(pc.extract_regex(texts, pattern=pattern), "x")
        made[name] = coded(pc.if_else(pc.equal(found, ""), pa.scalar(None, pa.string()), found))
    return made
