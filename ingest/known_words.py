"""Words a log may write that are kept as they are: all others could be anything, a name included."""

import re

from ingest.classify import OTHER

METHODS = frozenset(
    [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "CONNECT",
        "OPTIONS",
        "TRACE",
        "PATCH",
        "PROPFIND",
        "PROPPATCH",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "UNLOCK",
        "REPORT",
        "SEARCH",
        "PURGE",
    ]
)
MEDIA_TYPE = re.compile(
    r"^(application|audio|font|image|message|model|multipart|text|video)/([\w.+-]{1,100})", re.ASCII
)
SUBTYPES = frozenset(
    [
        "aac",
        "avif",
        "css",
        "csv",
        "ecmascript",
        "event-stream",
        "form-data",
        "gif",
        "grpc",
        "html",
        "javascript",
        "jpeg",
        "json",
        "ld+json",
        "manifest+json",
        "mp2t",
        "mp4",
        "mpeg",
        "octet-stream",
        "ogg",
        "otf",
        "pdf",
        "plain",
        "png",
        "protobuf",
        "svg+xml",
        "ttf",
        "vnd.apple.mpegurl",
        "wasm",
        "webm",
        "webp",
        "woff",
        "woff2",
        "x-icon",
        "x-javascript",
        "x-mpegurl",
        "x-protobuf",
        "x-www-form-urlencoded",
        "xhtml+xml",
        "xml",
        "zip",
    ]
)
"""Subtypes kept by name; a server may write anything here, a host name included."""


def known_method(method: str) -> str:
    """A method of HTTP or WebDAV, else `OTHER`."""
    return method if method in METHODS else "OTHER"


def known_media_type(text: str) -> str | None:
    """A media type without its parameters, `text/other` where its subtype is not kept by name; else null."""
    match = MEDIA_TYPE.match(text.lower())
    if not match:
        return None
    return match[0] if match[2] in SUBTYPES else f"{match[1]}/{OTHER}"
