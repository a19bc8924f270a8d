"""A log's login, however it is spelled, as account, domain and what kind of account it is."""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

LONGEST = 1000
ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
ATTRIBUTE = re.compile(r"\s*([A-Za-z][A-Za-z0-9.-]*)\s*=\s*(.*)", re.DOTALL)
OPENSSL = re.compile(r"/(?=[A-Za-z][A-Za-z0-9.]*=)")
PATH = re.compile(r"(ldaps?|winnt)://(.*)", re.IGNORECASE | re.DOTALL)
HEX_PAIRS = re.compile(r"(?:\\[0-9A-Fa-f]{2})+")
HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
SERVICE_CLASSES = frozenset(
    [
        "http",
        "https",
        "host",
        "cifs",
        "ldap",
        "ldaps",
        "nfs",
        "imap",
        "imaps",
        "smtp",
        "pop",
        "pop3",
        "ftp",
        "dns",
        "gc",
        "rpc",
        "rpcss",
        "krbtgt",
        "kadmin",
        "termsrv",
        "mssqlsvc",
        "wsman",
        "restrictedkrbhost",
        "hdfs",
        "hive",
        "postgres",
        "sip",
        "xmpp",
        "afs",
        "exchangemdb",
        "exchangerfr",
        "exchangeab",
    ]
)
"""First parts of Kerberos principals that name a service on a host, never a person."""

BUILT_IN_DOMAINS = frozenset(
    ("nt authority", "nt service", "iis apppool", "font driver host", "window manager", "builtin")
)
BUILT_IN = frozenset(("system", "anonymous logon", "local service", "network service", "iusr"))


@dataclass(frozen=True)
class Login:
    """What a login says; account, domain, name and e-mail compare as they stand (case folded).

    `service` is a machine's, a service's or the operating system's own account: never a person.
    `name` is a displayed name, where the login was a path in a directory or a certificate's subject.
    """

    form: str
    account: str
    domain: str = ""
    name: str = ""
    email: str = ""
    service: bool = False


@lru_cache(1 << 14)
def normalised(text: str) -> Login:
    """A login as it compares. Any text has an answer; nothing is looked up."""
    text = readable(text)
    if path := PATH.fullmatch(text):
        return _path(path[1].lower(), path[2])
    if text.startswith("/") and OPENSSL.match(text):
        return _subject(OPENSSL.split(text)[1:])
    if ATTRIBUTE.match(text):
        return _subject(_split(text, ",;"))
    return _account(text)


def readable(text: str) -> str:
    """A login without quotes, blanks around it and percent escapes (only where they are UTF-8)."""
    text = text[:LONGEST].strip().strip('"').strip()
    if ESCAPED.search(text):
        plain = unquote(text)
        text = text if "\ufffd" in plain else plain.strip()
    return text


def same_domain(one: str, other: str) -> bool:
    """Whether two domains may be one: equal, or one is the other's first label (NetBIOS, DNS)."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    return "." not in short and long.partition(".")[0] == short


def _account(text: str) -> Login:
    folded = text.casefold()
    if "\\" in folded:
        domain, _, account = folded.rpartition("\\")
        domain = domain.strip("\\")
        return _judged("domain", account.partition("@")[0] or account, domain.strip("."))
    account, at, domain = folded.partition("@")
    first, slash, instance = account.partition("/")
    if slash:
        # `HTTP/proxy.example.org` serves a host; `ann/admin` is an account of its own.
        service = first in SERVICE_CLASSES or bool(HOST.fullmatch(instance))
        return Login("service principal" if service else "principal", account, domain,
                     service=service)  # fmt: skip
    if at and account:
        return _judged("principal", account, domain.strip("."))
    return _judged("plain", folded, "")


def _judged(form: str, account: str, domain: str) -> Login:
    if account.endswith("$"):
        return Login("machine", account, domain, service=True)
    if domain in BUILT_IN_DOMAINS or (not domain and account in BUILT_IN):
        return Login("built-in", account, domain, service=True)
    return Login(form, account, domain)


def _path(scheme: str, rest: str) -> Login:
    """`WinNT://DOM/ann`, `LDAP://host/CN=…`, `LDAP://host OU=…,DC=…/NAME`."""
    if scheme == "winnt":
        return _account(rest.replace("/", "\\"))
    place = re.split(r"[ /]", rest, maxsplit=1)
    path = place[1] if len(place) > 1 else place[0]
    directory, *named = _split(path, "/")
    if not named:
        return _subject(_split(directory, ",;"))
    name = _plain("/".join(named))
    at = _subject(_split(directory, ",;"))
    found = _judged("directory path", name.casefold(), at.domain)
    return Login(found.form, found.account, found.domain, found.account, service=found.service)


def _subject(parts: list[str]) -> Login:
    """The account of a distinguished name: its user id, else its first common name."""
    values: dict[str, list[str]] = {}
    for part in parts:
        for piece in _split(part, "+"):
            if match := ATTRIBUTE.fullmatch(piece):
                values.setdefault(match[1].lower(), []).append(_plain(match[2]).casefold())
    domain = ".".join(values.get("dc", []))
    ids = [*values.get("uid", []), *values.get("userid", []), *values.get("samaccountname", [])]
    mails = [*values.get("emailaddress", []), *values.get("e", []), *values.get("mail", [])]
    common = values.get("cn", [""])[0]
    account = (ids or [common])[0]
    service = account.endswith("$") or account.partition("/")[0] in SERVICE_CLASSES
    return Login(
        "machine" if service else "distinguished name",
        account,
        domain,
        name=common,
        email=(mails or [""])[0],
        service=service,
    )


def _split(text: str, at: str) -> list[str]:
    """Pieces between separators that no backslash stands before and no quotes stand round."""
    pieces, start, escaped, quoted = [], 0, False, False
    for index, letter in enumerate(text):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif letter in at and not quoted:
            pieces.append(text[start:index])
            start = index + 1
    return [*pieces, text[start:]]


def _plain(value: str) -> str:
    """A value of a distinguished name without its escapes (RFC 4514) and blanks."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    value = HEX_PAIRS.sub(
        lambda m: bytes.fromhex(m[0].replace("\\", "")).decode("utf-8", "replace"), value
    )
    return " ".join(re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL).split())
