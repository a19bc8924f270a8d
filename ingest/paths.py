"""What the path of a request says of it: a page, a part of one, something embedded or shared."""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config.sitelist import Service
from ingest.formats.block import IntArray
from ingest.formats.lines import slices

HANDOVER = r"/(?:x?oauth\d*|openid(?:-connect)?|saml\d*|sso)(?:/|$)"
"""One site signing a person in for another (OAuth 2.0, OpenID Connect, SAML): a hop, not a visit."""

FILE = (
    r"\.(?:m?js|css|map|json|xml|wasm|png|jpe?g|gif|webp|avif|svg|ico|woff2?|ttf|otf|eot|"
    r"mp[34]|m4[as]|aac|ogg|webm|ts|m3u8|mpd)$"
)
"""What a page loads, whatever content type the answer claims."""

ROLES = pa.array(["page", "file", "share", "embed"])
END = b"?#;"
LONGEST = 500
"""Letters of a path that are kept, where paths are kept at all."""


def bare(paths: pa.StringArray) -> pa.StringArray:
    """The paths without what follows `?`, `#` or `;`; none is null."""
    _, offsets, data = paths.buffers()
    places = np.frombuffer(offsets or b"", np.int32)[paths.offset :][: len(paths) + 1]
    ends = np.flatnonzero(
        np.isin(np.frombuffer(data or b"", np.uint8), np.frombuffer(END, np.uint8))
    )
    if not len(ends):
        return paths
    first = np.append(ends.astype(np.int32), places[-1])[np.searchsorted(ends, places[:-1])]
    return slices(data, places[:-1], np.minimum(first, places[1:]))


def path_roles(paths: pa.StringArray, of: IntArray, services: Sequence[Service]) -> IntArray:
    """The place in ROLES of each path: by its service's own paths, else by how it ends.

    `of`: which of the services each path is one of.
    """
    roles = np.zeros(len(paths), np.int32)
    for pattern, role in ((FILE, "file"), (HANDOVER, "share")):
        found = pc.match_substring_regex(paths, pattern, ignore_case=True)
        roles[found.to_numpy(zero_copy_only=False)] = _place(role)
    own = [_own(tuple(s.embed_paths), tuple(s.share_paths)) for s in services]
    rows = np.flatnonzero(np.array([bool(some) for some in own], bool)[of])
    texts = paths.take(pa.array(rows)).to_pylist()
    for row, text, service in zip(rows.tolist(), texts, of[rows].tolist(), strict=True):
        for role, pattern in own[service]:
            if pattern.match(text):
                roles[row] = role
                break
    return roles


@cache
def _own(embed: tuple[str, ...], share: tuple[str, ...]) -> list[tuple[int, re.Pattern[str]]]:
    """The roles a service has paths for, each with what any of those paths begins with."""
    named = (("embed", embed), ("share", share))
    return [
        (_place(role), re.compile("|".join(map(_pattern, paths)))) for role, paths in named if paths
    ]


def _place(role: str) -> int:
    return int(ROLES.index(role).as_py())


def _pattern(path: str) -> str:
    """Whole segments; a trailing `*` is a plain prefix, `*` elsewhere stands within one segment."""
    prefix = path.endswith("*")
    body = "[^/]*".join(re.escape(piece) for piece in path.removesuffix("*").split("*"))
    return body if prefix else f"{body}(?:/|$)"
