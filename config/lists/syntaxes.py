"""One small function a list syntax: lines in, hosts out, and what was left out with its reason."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import islice
from typing import NamedTuple

Lines = Iterator[tuple[int, str]]
"""Numbered lines, from 1, without their ends."""


class Entry(NamedTuple):
    """A host as it stands in a list; `exact`: only the host itself, not what lies below it."""

    host: str
    line: int
    exact: bool = False
    category: str | None = None


@dataclass
class Notes:
    """What was left out: a count and the first place of each reason."""

    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)
    where: str = ""

    def leave(self, reason: str, line: int) -> None:
        """Count an entry that is not taken."""
        count, first = self.left_out.get(reason, (0, f"{self.where}line {line}"))
        self.left_out[reason] = (count + 1, first)


@dataclass(frozen=True)
class Context:
    """What a syntax may ask for beside its lines."""

    notes: Notes
    columns: dict[str, str] = field(default_factory=dict)
    include: Callable[[str], Lines | None] = lambda _: None
    name: str = ""


Syntax = Callable[[Lines, Context], Iterator[Entry]]
COMMENT = re.compile(r"(?:^|\s)[#;].*$")
LOCAL = frozenset(
    [
        "localhost",
        "localhost.localdomain",
        "local",
        "broadcasthost",
        "ip6-localhost",
        "ip6-loopback",
        "ip6-localnet",
        "ip6-mcastprefix",
        "ip6-allnodes",
        "ip6-allrouters",
        "ip6-allhosts",
        "0.0.0.0",
    ]
)


def domains(lines: Lines, _: Context) -> Iterator[Entry]:
    """`example.com`, one a line: squidGuard's domains, plain lists."""
    for number, line in lines:
        text = line.strip()
        if "#" in text or ";" in text:
            text = COMMENT.sub("", text).strip()
        if text:
            yield Entry(text.removeprefix("*").removeprefix("."), number)


def hosts(lines: Lines, _: Context) -> Iterator[Entry]:
    """`0.0.0.0 example.com www.example.com`: the hosts named, not what lies below them."""
    for number, line in lines:
        words = COMMENT.sub("", line).split()
        for name in words[1:]:
            if name not in LOCAL:
                yield Entry(name, number, exact=True)


ADBLOCK_OPTIONS = frozenset(
    ["important", "all", "document", "doc", "popup", "third-party", "3p", "network"]
)
_RULE = re.compile(r"^\|\|([^\^/$|*]+)\^?\|?(?:\$(.*))?$")
_BARE = re.compile(r"^[^\s/|^$@*:#]+\.[^\s/|^$@*:#]+$")


def adblock(lines: Lines, context: Context) -> Iterator[Entry]:
    """`||example.com^`, with options that do not narrow it; all other rules are counted."""
    for number, line in lines:
        text = line.strip()
        if not text or text[0] == "!" or text.startswith(("[Adblock", "# ")):
            continue
        rule = _RULE.match(text.replace("||*.", "||", 1))
        if rule and not set((rule[2] or "important").split(",")) - ADBLOCK_OPTIONS:
            yield Entry(rule[1], number)
        elif _BARE.match(text):
            yield Entry(text, number, exact=True)
        else:
            context.notes.leave(_adblock_reason(text, bool(rule)), number)


def _adblock_reason(text: str, names_a_host: bool) -> str:
    if text.startswith("@@"):
        return "an exception"
    if re.search(r"#[@?$%]*#", text):
        return "a rule about parts of a page"
    return "a rule narrowed by an option" if names_a_host else "a rule about parts of an address"


V2FLY_KINDS = {"domain": False, "full": True}
DEEPEST = 20


def v2fly(lines: Lines, context: Context) -> Iterator[Entry]:
    """`domain:` (or nothing) with what lies below, `full:` exactly, `include:` of another file."""
    yield from _v2fly(lines, context, [context.name], lambda _: True)


def _v2fly(
    lines: Lines, context: Context, above: list[str], wanted: Callable[[set[str]], bool]
) -> Iterator[Entry]:
    for number, line in lines:
        words = line.partition("#")[0].split()
        if not words:
            continue
        kind, colon, value = words[0].partition(":")
        kind, value = (kind, value) if colon else ("domain", kind)
        attributes = {w[1:] for w in words[1:] if w.startswith("@")}
        if kind == "include":
            yield from _included(value, attributes, number, context, above)
        elif kind not in V2FLY_KINDS:
            context.notes.leave(f"`{kind}:`" if kind in ("regexp", "keyword") else "not understood", number)  # fmt: skip
        elif wanted(attributes):
            yield Entry(value, number, exact=V2FLY_KINDS[kind])


def _included(
    name: str, attributes: set[str], number: int, context: Context, above: list[str]
) -> Iterator[Entry]:
    found = None if name in above or len(above) >= DEEPEST else context.include(name)
    if found is None:
        context.notes.leave("`include:` of a file that is not beside it", number)
        return
    having = {a for a in attributes if not a.startswith("-")}
    lacking = {a[1:] for a in attributes if a.startswith("-")}
    for entry in _v2fly(
        found, context, [*above, name], lambda has: having <= has and not lacking & has
    ):
        yield entry._replace(line=number)


RPZ_TRIGGERS = (".rpz-ip", ".rpz-client-ip", ".rpz-nsip", ".rpz-nsdname")
_TTL = re.compile(r"^\d+[smhdw]?$|^IN$", re.IGNORECASE)


def rpz(lines: Lines, context: Context) -> Iterator[Entry]:
    """`example.com CNAME .` exactly, `*.example.com CNAME .` what lies below: taken with the host."""
    origin = ""
    for number, line in lines:
        words = line.partition(";")[0].split()
        if not words:
            continue
        if words[0].upper() == "$ORIGIN":
            origin = words[1] if len(words) > 1 else ""
            continue
        kind, target = _record(words)
        if words[0].startswith(("$", "@")) or line[:1].isspace() or kind not in ("CNAME", "A", "AAAA"):  # fmt: skip
            continue
        owner = words[0]
        if owner.endswith("."):
            owner = owner.removesuffix(f".{origin}") if origin else owner.rstrip(".")
        if target.lower().startswith("rpz-passthru"):
            context.notes.leave("an exception", number)
        elif owner.lower().endswith(RPZ_TRIGGERS):
            context.notes.leave("a trigger other than a name", number)
        else:
            below = owner.startswith("*.")
            yield Entry(owner[2:] if below else owner, number, exact=not below)


def _record(words: Sequence[str]) -> tuple[str, str]:
    """(type, target) of a zone's line: what follows the owner, its time to live and class."""
    rest = [w for w in words[1:] if not _TTL.match(w)]
    return (rest[0].upper(), rest[1] if len(rest) > 1 else "") if rest else ("", "")


_DNSMASQ = re.compile(r"^(?:address|server|local|ipset|nftset)=/(.*)/[^/]*$")


def dnsmasq(lines: Lines, context: Context) -> Iterator[Entry]:
    """`address=/example.com/0.0.0.0`, `server=/a.example/b.example/`: hosts with what lies below."""
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = _DNSMASQ.match(text)
        if not found:
            context.notes.leave("another setting", number)
            continue
        for name in found[1].split("/"):
            if name and name != "#":
                yield Entry(name.removeprefix("*").removeprefix("."), number)


def adguard_services(lines: Lines, context: Context) -> Iterator[Entry]:
    """`{"blocked_services": [{"id": …, "rules": ["||example.com^"]}]}`: a category a group or id."""
    try:
        document = json.loads("\n".join(line for _, line in lines))
        services = document["blocked_services"]
        rules = [
            (str(s.get("group") or s["id"]), [str(rule) for rule in s["rules"]]) for s in services
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        context.notes.leave("not AdGuard's services", 1)
        return
    for number, (category, texts) in enumerate(rules, 1):
        for entry in adblock(((number, text) for text in texts), context):
            yield entry._replace(category=category)


HOST_COLUMNS = ("host", "hostname", "domain", "domain_name", "site", "url", "fqdn")
CATEGORY_COLUMNS = ("category", "categories", "group", "class")


def csv_table(lines: Lines, context: Context) -> Iterator[Entry]:
    """A table with a header; its columns are named, numbered, or known by their titles."""
    _, header = next(lines, (1, ""))
    delimiter = max(",;\t", key=header.count)
    rows = csv.reader((line for _, line in lines), delimiter=delimiter)
    try:
        first = next(csv.reader([header], delimiter=delimiter), [])
        titles = [t.strip().lower().lstrip("\ufeff") for t in first]
        host = _column(titles, context.columns.get("host"), HOST_COLUMNS)
        category = _column(titles, context.columns.get("category"), CATEGORY_COLUMNS)
        if host is None:
            context.notes.leave("no column of hosts in the header", 1)
            return
        for number, row in enumerate(rows, 2):
            if len(row) > host and row[host].strip():
                own = row[category].strip() if category is not None and len(row) > category else ""
                yield Entry(row[host].strip(), number, category=own or None)
    except csv.Error:
        context.notes.leave("not a table", rows.line_num)


def _column(titles: Sequence[str], named: str | None, known: Sequence[str]) -> int | None:
    if named and named.isdigit():
        return int(named) - 1
    wanted = (named.lower(),) if named else known
    return next((titles.index(w) for w in wanted if w in titles), None)


SYNTAXES: dict[str, Syntax] = {
    "domains": domains,
    "hosts": hosts,
    "adblock": adblock,
    "v2fly": v2fly,
    "rpz": rpz,
    "dnsmasq": dnsmasq,
    "adguard-services": adguard_services,
    "csv": csv_table,
}
FOLDERS = ("squidguard", "v2fly")
"""Syntaxes of a folder of files, or of a tar file of one."""

SAMPLE_LINES = 200


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


_SIGNS: dict[str, Callable[[str], bool]] = {
    "adblock": lambda t: t.startswith(("||", "@@", "!", "[Adblock")) or "##" in t,
    "dnsmasq": lambda t: bool(_DNSMASQ.match(t)),
    "rpz": lambda t: t.startswith("$") or bool(re.search(r"\s(CNAME|SOA|NS)\s", t, re.IGNORECASE)),
    "hosts": lambda t: len(t.split()) > 1 and _is_address(t.split()[0]),
    "v2fly": lambda t: (
        t.startswith(("domain:", "full:", "regexp:", "keyword:", "include:"))
        or bool(re.match(r"^\S+\s+@\S", t))
    ),
    "domains": lambda t: bool(re.match(r"^[*.]*[^\s/|,=^:]+\.[^\s/|,=^]+(?:\s+#.*)?$", t)),
}


def recognised(sample: Sequence[str]) -> tuple[str | None, str]:
    """(syntax, why) of a text's first lines; no syntax where none fits more than half of them."""
    lines = [t for t in islice((s.strip() for s in sample), SAMPLE_LINES) if t]
    first = lines[0].lower() if lines else ""
    if first.startswith("{"):
        if any("blocked_services" in line for line in lines):
            return "adguard-services", "it holds `blocked_services`"
        return None, "JSON without `blocked_services`"
    titles = {t.strip().strip('"') for t in re.split(r"[,;\t]", first.lstrip("\ufeff#"))}
    if len(titles) > 1 and titles & {*HOST_COLUMNS}:
        return "csv", "its first line titles a column of hosts"
    told = [t for t in lines if not t.startswith(("#", ";"))]
    scores = {name: sum(map(fits, told)) for name, fits in _SIGNS.items()}
    # A v2fly file may be mostly bare domains: any of its own words decides between the two.
    if scores["v2fly"]:
        scores["v2fly"] += scores["domains"]
    best = max(scores, key=lambda name: scores[name])
    if not told or scores[best] * 2 <= len(told):
        return None, f"{scores[best]} of its first {len(told)} lines are {best}"
    return best, f"{scores[best]} of its first {len(told)} lines are {best}"
