"""The URL of a request, whole or in the pieces a log has it in."""

import re
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.arrays import codes_of, codes_to_text, constant, distinct, text_of
from ingest.formats.lines import coded
from ingest.formats.slashes import slashed

DEFAULT_PORTS = {"http": "80", "https": "443", "ftp": "21"}
KINDS = pa.array(["tunnel", "page"])
PATH = re.compile(r"^(?:/(?:[^/]|$)|\?)")
SCHEMED = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")


def composed(got: dict[str, pa.DictionaryArray | None], count: int) -> pa.DictionaryArray:
    """One URL of what the log says in pieces; a scheme it does not say is left out: `//host/path`."""
    url = got.get("url")
    scheme, host, port, path, query = (got.get(n) for n in ("scheme", "host", "port", "path", "query"))  # fmt: skip
    if host is None and path is None and scheme is None:
        return constant(None, count) if url is None else rooted(url)
    none = constant(None, count)
    scheme, host, port = (none if c is None else c for c in (scheme, host, port))
    before, authority = _places(scheme, host, port)
    rest = _rest(url, path, query, count)
    made = pc.binary_join_element_wise(before, authority, rest, "")
    if rest.null_count:
        made = pc.if_else(pc.is_null(rest), authority, made)
    if url is None or _no_more(url):
        return coded(made)
    schemes = text_of(scheme, lambda word: word.lower() or None)
    return coded(pc.coalesce(_whole(url, schemes, host), made))


def _places(
    scheme: pa.DictionaryArray, host: pa.DictionaryArray, port: pa.DictionaryArray
) -> tuple[pa.StringArray, pa.StringArray]:
    """What stands before the host of each row; host and port, null where there is none."""
    # Of schemes and ports there are few, of hosts many.
    ends, kinds = distinct([scheme, port])
    roots = [f"{word.lower()}://" if word else "//" for word, _ in kinds]
    ports = [str(authority_of(word, "-", number))[1:] for word, number in kinds]
    before, after = (codes_to_text(ends, texts).cast(pa.string()) for texts in (roots, ports))
    authority = host.cast(pa.string())
    if any(ports):
        authority = pc.binary_join_element_wise(authority, after, "")
    odd = pc.match_substring_regex(host.dictionary, "^$|[: ]")
    if pc.any(odd).as_py():
        places, known = distinct([scheme, host, port])
        own = codes_to_text(places, [authority_of(*place) for place in known])
        rows = pc.fill_null(odd.take(host.indices), False)
        authority = pc.if_else(rows, own.cast(pa.string()), authority)
    return before, authority


def _rest(
    url: pa.DictionaryArray | None,
    path: pa.DictionaryArray | None,
    query: pa.DictionaryArray | None,
    count: int,
) -> pa.StringArray:
    """Path and query from their columns, or from a URL that is no more than those."""
    rest = pa.nulls(count, pa.string())
    if path is not None:
        rest = text_of(path, lambda p: p if p.startswith(("/", "?")) else f"/{p}").cast(pa.string())
    if query is not None and query.null_count < count:
        asked = text_of(query, lambda q: q if q.startswith("?") else f"?{q}").cast(pa.string())
        both = pc.binary_join_element_wise(pc.fill_null(rest, "/"), asked, "")
        rest = pc.coalesce(both, rest)
    if url is not None:
        own = url if _no_more(url) else text_of(url, lambda u: u if PATH.match(u) else None)
        rest = pc.coalesce(own.cast(pa.string()), rest)
    return rest


def _no_more(url: pa.DictionaryArray) -> bool:
    """Whether all URLs are a path, a query, or both."""
    return bool(pc.all(pc.match_substring_regex(url.dictionary, PATH.pattern)).as_py())


def _whole(
    url: pa.DictionaryArray, scheme: pa.DictionaryArray, host: pa.DictionaryArray
) -> pa.StringArray:
    """URLs that name their host themselves; null where they do not, or are nothing but the host."""
    texts = url.cast(pa.string())
    named = text_of(url, lambda u: None if u.startswith(("/", "?")) and u[:2] != "//" else u)
    schemed = text_of(url, lambda u: u if SCHEMED.match(u) else None).cast(pa.string())
    same = pc.fill_null(pc.equal(texts, host.cast(pa.string())), False)
    bare = pc.if_else(same, pa.scalar(None, pa.string()), named.cast(pa.string()))
    with_scheme = pc.binary_join_element_wise(scheme.cast(pa.string()), "://", bare, "")
    return pc.coalesce(schemed, with_scheme, rooted(coded(bare)).cast(pa.string()))


def rooted(url: pa.DictionaryArray) -> pa.DictionaryArray:
    """URLs without their scheme keep their path: `//host/path`; a path alone is none."""
    texts = url.dictionary
    if pc.all(pc.match_substring_regex(texts, r"^[a-zA-Z][a-zA-Z0-9+.-]*://")).as_py():
        return url
    return text_of(url, _rooted)


def _rooted(url: str) -> str | None:
    if SCHEMED.match(url) or url.startswith("//") or "/" not in url:
        return url
    return None if url.startswith("/") else f"//{url}"


@lru_cache(1 << 16)
def authority_of(scheme: str | None, host: str | None, port: str | None) -> str | None:
    """Host and port; the scheme's own port is left out."""
    if not host or " " in host:  # a value cut within the next key: `203.0.113.9 dp`
        return None
    colons = host.count(":")
    if colons > 1 and not host.startswith("["):
        host, colons = f"[{host}]", 0
    known = colons == 1 and not host.startswith("[")
    if known or not port or not port.isdigit() or port == "0":
        return host
    return host if DEFAULT_PORTS.get((scheme or "").lower()) == port else f"{host}:{port}"


@lru_cache(1 << 16)
def root_of(scheme: str | None, authority: str | None) -> str | None:
    """What stands before the path."""
    if authority is None:
        return None
    return f"{scheme.lower()}://{authority}" if scheme else f"//{authority}"


def grains(url: pa.DictionaryArray, method: pa.DictionaryArray | None) -> pa.DictionaryArray:
    """`page` where a request's path is known, `tunnel` where at most a host is."""
    page = np.append(slashed(url.dictionary).page, False)[codes_of(url).to_numpy()]
    if method is not None:
        tunnel = pc.fill_null(pc.equal(method.dictionary, "CONNECT"), False)
        page &= ~np.append(tunnel.to_numpy(zero_copy_only=False), False)[
            codes_of(method).to_numpy()
        ]
    nothing = pc.is_null(url).to_numpy(zero_copy_only=False) if url.null_count else None
    return pa.DictionaryArray.from_arrays(pa.array(page.astype(np.int32), mask=nothing), KINDS)
