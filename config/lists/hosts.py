"""Host names as every list is to spell them: lower case, punycode, no dot at the end, no port."""

import re
from functools import cache
from ipaddress import ip_address
from typing import Any

import idna

LONGEST = 253
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_NUMBERS = re.compile(r"[0-9.]+")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_PORT = re.compile(r":\d{1,5}$")


@cache
def _domains() -> Any:
    """The suffix list that comes with the package; nothing is fetched, nothing is written."""
    import tldextract  # here, since it imports an HTTP client, and few sites need it

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


class NotAHost(ValueError):
    """Why an entry of a list is no host, in a few words that do not repeat the entry."""


def normalised(text: str) -> str:
    """A host as the lists spell it; raises NotAHost for what is none or stands for too many."""
    host = text.lower().rstrip(".")
    if len(host) > LONGEST or not _NAME.fullmatch(host) or _NUMBERS.fullmatch(host):
        host = _mended(text)
    if host in _suffixes() or _under_wildcard(host):
        raise NotAHost("a public suffix, which would cover every host registered under it")
    return host


def _mended(text: str) -> str:
    """What is not plainly a name: an address, letters beyond ASCII, a scheme, a port."""
    bare = _SCHEME.sub("", text.strip())
    host, slash, path = bare.partition("/")
    if slash and path:
        raise NotAHost("a page of a host, not the host")
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        host = _PORT.sub("", host).rstrip(".").lower()
    if _NUMBERS.fullmatch(host):
        return _address(host)
    if not host.isascii():
        host = ascii_host(host)
    if "." not in host and re.fullmatch(_LABEL, host):
        raise NotAHost("a single label, which is no registered name")
    if len(host) > LONGEST or not _NAME.fullmatch(host):
        raise NotAHost("not a host name")
    return host


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise NotAHost("not a host name") from None


def ascii_host(host: str) -> str:
    """A host name in punycode; one that has no such form is returned as it is, in lower case."""
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return host.lower()


def is_plain(host: str) -> bool:
    """Whether a host is spelled as the lists spell theirs: a name, a single label, or an address."""
    if len(host) <= LONGEST and (_NAME.fullmatch(host) or re.fullmatch(_LABEL, host)):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host  # a zone, which may be any word


def registrable(host: str) -> str:
    """The registrable domain of a host (`bbc.co.uk` of `www.bbc.co.uk`), or the host itself."""
    return registered(host) or host


def registered(host: str) -> str | None:
    """The registrable domain of a host; None where it has none that is known."""
    return _domains()(host).top_domain_under_public_suffix or None


def suffixes(host: str) -> list[str]:
    """A host and everything it lies below, longest first; of one too long for a name, its end."""
    if len(host) > LONGEST:
        host = host[-LONGEST:].partition(".")[2]
    labels = host.split(".")
    return [".".join(labels[i:]) for i in range(len(labels))]


@cache
def _suffixes() -> frozenset[str]:
    return frozenset(_domains().tlds)


def _under_wildcard(host: str) -> bool:
    _, _, parent = host.partition(".")
    return f"*.{parent}" in _suffixes() and f"!{host}" not in _suffixes()
