"""The corpus as samples, and what the projects they come from say each line means.

A folder of real logs, described by its `SOURCES.md` (a table: file, lines, kind, …). Each dialect below
turns one project's expectations into `Truth`s: acceptable values per field of `check-logs --rows`.
A field upstream says nothing of is absent and is not compared.
"""

import ast
import ipaddress
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import yaml

Value = str | int
Said = dict[str, frozenset[Value]]

FIELDS = (
    *("time", "client", "user", "host", "verdict"),
    *("path", "port", "status", "bytes_down", "bytes_up"),
)
"""What is compared; `time` in epoch milliseconds."""

NOTHING = {"", "-", "n/a", "none", "null", "unknown", "unknown (sso failed)"}
NOTHING |= {"not available", "(empty)", "anonymous"}
DENIED = re.compile(
    r"^(?:den(?:y|ied)|drop(?:ped)?|block(?:ed)?|reject(?:ed)?|prevent)(?:-|$)|-(?:denied|dropped)$",
    re.IGNORECASE,
)
ALLOWED = re.compile(
    r"^(?:accept|allow(?:ed)?|pass|permit(?:ted)?|decrypt|encrypt)$", re.IGNORECASE
)
ZONES = {
    "+02:00": "Etc/GMT-2",
    "+0500": "Etc/GMT-5",
    "+05:30": "Asia/Kolkata",
    "+09:30": "Australia/Darwin",
    "-04:00": "Etc/GMT+4",
    "-08:00": "Etc/GMT+8",
}
"""The offsets upstream's configurations use, as time zones without summer time."""


@dataclass(frozen=True)
class Truth:
    """What upstream says of one line (1-based): per field the values that are right."""

    line: int
    said: Said
    yearless: bool = False


@dataclass
class Sample:
    """A file to read: its name in the corpus, its product, where its bytes are, its time zone."""

    name: str
    product: str
    path: Path
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    lines: list[str] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)


def samples(corpus: Path, work: Path) -> Iterator[Sample]:
    """Every log of the corpus; lines taken out of other documents are written below `work`."""
    for name, enclosed in logs(corpus).items():
        yield _taken_out(corpus, name, work) if enclosed else _whole(corpus, name)


def logs(corpus: Path) -> dict[str, bool]:
    """The files that hold log lines, and whether these stand inside a document of another kind."""
    text = (corpus / "SOURCES.md").read_text("utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| \d* *\| ([^|]+?) *\|", text, re.MULTILINE)
    kinds = {name: kind for name, kind in rows if (corpus / name).is_file()}
    return {
        name: kind == "raw+expected" or name.endswith(".json")
        for name, kind in kinds.items()
        if kind in ("raw", "derived", "raw+expected")
        and f"{name.removesuffix('.log')}.json" not in kinds
    }


def _whole(corpus: Path, name: str) -> Sample:
    path = corpus / name
    sample = Sample(name, path.parent.name, path, _zone(path))
    for ending, dialect in SIDE_BY_SIDE.items():
        told = _beside(path, ending)
        if told is not None:
            sample.lines = path.read_bytes().decode("utf-8", "replace").split("\n")
            sample.truths = list(dialect(told.read_text("utf-8"), sample.lines))
    return sample


def _beside(path: Path, ending: str) -> Path | None:
    for stem in (path.name, path.name.removesuffix(".log")):
        if (told := path.with_name(stem + ending)).exists():
            return told
    return None


def _taken_out(corpus: Path, name: str, work: Path) -> Sample:
    path = corpus / name
    text = path.read_text("utf-8")
    dialect = next(way for pattern, way in WITHIN if re.search(pattern, name))
    pairs = list(dialect(text))
    copy = work / (name.replace("/", "__") + ".log")
    copy.write_text("".join(line + "\n" for line, _ in pairs), "utf-8")
    sample = Sample(name, path.parent.name, copy, _zone(path), [line for line, _ in pairs])
    told = path.with_name(path.name + "-expected.json")
    if told.exists():
        sample.truths = list(_elastic(told.read_text("utf-8"), sample.lines))
    else:
        sample.truths = [Truth(at, said) for at, (_, said) in enumerate(pairs, 1) if said]
    return sample


def _zone(path: Path) -> ZoneInfo:
    """The zone upstream's configuration gives times without one."""
    common = sorted(path.parent.glob("_*-test-common-config.yml"))
    own = path.with_name(path.name + "-config.yml")
    for config in (own, *(common if len(common) == 1 else ())):
        if config.exists():
            fields = yaml.safe_load(config.read_text("utf-8")).get("fields", {})
            told = (fields.get("_conf") or {}).get("tz_offset") or fields.get("_tmp.tz_offset")
            if told == "Local":
                told = fields["event"]["timezone"]
            if told:
                return ZoneInfo(ZONES.get(told, told))
    return ZoneInfo("UTC")


# Values as upstream writes them.


def _words(*values: Any) -> frozenset[Value]:
    """Texts in lower case without those that mean nothing."""
    flat = [v for value in values for v in (value if isinstance(value, list) else [value])]
    texts = {str(v).strip().lower().rstrip(".") for v in flat if v is not None}
    return frozenset(texts - NOTHING)


def _numbers(*values: Any) -> frozenset[Value]:
    flat = [v for value in values for v in (value if isinstance(value, list) else [value])]
    return frozenset(int(v) for v in flat if re.fullmatch(r"\d+", str(v)))


def _names(values: Iterable[Value]) -> frozenset[Value]:
    """Host names out of names, addresses and URLs; addresses only where there is no name."""
    hosts = {host for value in values if (host := _host(str(value)))}
    names = {host for host in hosts if not is_address(host)}
    return frozenset(names or hosts)


def _host(text: str) -> str | None:
    if is_address(text):
        return text
    try:
        parts = urlsplit(text if "//" in text else f"//{text}")
        return parts.hostname.rstrip(".") if parts.hostname else None
    except ValueError:
        return None


def is_address(text: str) -> bool:
    """Whether a host is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _moment(text: Any) -> frozenset[Value]:
    """Epoch milliseconds of an ISO time or of epoch seconds."""
    if text is None:
        return frozenset()
    if re.fullmatch(r"\d{9,10}(\.\d+)?", str(text)):
        return frozenset({round(float(text) * 1000)})
    when = datetime.fromisoformat(str(text))
    return frozenset(
        {round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)}
    )


def _kept(**said: frozenset[Value]) -> Said:
    return {name: values for name, values in said.items() if values}


# Elastic: ECS documents, one for each line.


def ecs(document: Mapping[str, Any], name: str) -> Any:
    """A dotted field of a document whose levels may be dotted too; None where it is absent."""
    if name in document:
        return document[name]
    for at, letter in enumerate(name):
        if letter == "." and isinstance(inner := document.get(name[:at]), dict):
            found = ecs(inner, name[at + 1 :])
            if found is not None:
                return found
    return None


def _elastic(text: str, lines: Sequence[str]) -> Iterator[Truth]:
    told = json.loads(text)
    next_line = 0
    for entry in told["expected"] if isinstance(told, dict) else told:
        while next_line < len(lines) and not lines[next_line].strip():
            next_line += 1
        at, next_line = next_line, next_line + 1
        if entry is None:
            continue
        original = ecs(entry, "event.original")
        if isinstance(original, str):
            at = _found(original, lines, at)
            next_line = at + 1
        line = lines[at] if at < len(lines) else ""
        yield Truth(at + 1, _of_ecs(entry, line), _yearless(entry, line))


def _found(original: str, lines: Sequence[str], at: int) -> int:
    """Where a line stands: at its turn, or at the next place that holds it."""
    wanted = original.strip()
    for turn in range(at, min(at + 20, len(lines))):
        if lines[turn].strip() == wanted:
            return turn
    return at


def _yearless(entry: Mapping[str, Any], line: str) -> bool:
    """Whether upstream took the time from a syslog header, and so guessed its year."""
    header = re.match(r"(?:<\d+>)?([A-Z][a-z]{2}) +(\d+) (\d\d:\d\d:\d\d)\b", line)
    told = ecs(entry, "@timestamp")
    if not header or told is None:
        return False
    when = datetime.fromisoformat(told)
    taken = (header[1], int(header[2]), header[3]) == (f"{when:%b}", when.day, f"{when:%H:%M:%S}")
    return taken and not re.search(rf"{when:%Y}[-/:]?{when:%m}[-/:]?{when:%d}", line)


def _of_ecs(entry: Mapping[str, Any], line: str) -> Said:
    def get(*names: str) -> list[Any]:
        found = [ecs(entry, name) for name in names]
        return [v for value in found for v in (value if isinstance(value, list) else [value])]

    named = get("url.domain", "dns.question.name", "tls.client.server_name", "url.original")
    aside = get("destination.domain", "server.domain", "destination.address", "destination.ip")
    hosts = _names(_words(*named[:3])) or _names(_words(*(u for u in named[3:] if _is_url(u))))
    status = _numbers(*get("http.response.status_code"))
    return _kept(
        time=_moment(ecs(entry, "@timestamp")),
        client=_words(*(get("client.ip", "source.ip") or ())) or _words(*get("source.address")),
        user=_words(*get("client.user.name", "source.user.name", "user.name", "user.email")),
        host=hosts | _names(_words(*aside[:2])) or _names(_words(*aside[2:])),
        verdict=_verdict(entry, line),
        path=frozenset(str(p) for p in get("url.path") if p),
        port=_numbers(*get("url.port", "destination.port")),
        status=status - {0},
        bytes_down=_numbers(
            *get("http.response.bytes", "http.response.body.bytes", "destination.bytes")
        ),
        bytes_up=_numbers(*get("http.request.bytes", "http.request.body.bytes", "source.bytes")),
    )


def _is_url(text: Any) -> bool:
    return isinstance(text, str) and "//" in text


def _verdict(entry: Mapping[str, Any], line: str) -> frozenset[Value]:
    """From `event.type`, else from the words of `event.action`, else from what the product means.

    Upstream's `outcome: success` says that a rule was carried out, not that it let somebody pass.
    """
    types = set(ecs(entry, "event.type") or ())
    outcome, action = ecs(entry, "event.outcome"), ecs(entry, "event.action")
    if re.search(r"\bTCP_DENIED/407\b", line):
        return frozenset({"auth"})
    if {"allowed", "denied"} <= types:
        return frozenset()
    for word in ("denied", "allowed"):
        if word in types:
            return frozenset({word})
    if ecs(entry, "aws.vpcflow.action") and outcome:
        return frozenset({"allowed" if outcome == "success" else "denied"})
    return _worded(action)


def _worded(action: Any) -> frozenset[Value]:
    words = [str(a) for a in (action if isinstance(action, list) else [action]) if a]
    if any(DENIED.search(word) for word in words):
        return frozenset({"denied"})
    return frozenset({"allowed"}) if any(ALLOWED.search(w) for w in words) else frozenset()


# The others.


def _crowdsec(text: str, lines: Sequence[str]) -> Iterator[Truth]:
    """`results["stage"]["parser"][0].Evt.Meta["key"] == "value"`: the last stage's say."""
    found: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    shape = r'results\["([^"]+)"\]\["([^"]+)"\]\[(\d+)\]\.Evt\.\w+\["([^"]+)"\] == (".*")$'
    for stage, parser, number, key, value in re.findall(shape, text, re.MULTILINE):
        found[stage, parser, number][key] = ast.literal_eval(value)
    where: dict[str, list[int]] = defaultdict(list)
    for at, line in enumerate(lines, 1):
        where[line].append(at)
    for (stage, _, _), said in found.items():
        places = where.get(said.get("message", ""))
        if stage.startswith("s02") and places:
            denied = said.get("log_type", "").endswith("denied")
            yield Truth(
                places.pop(0),
                _kept(
                    time=_moment(said.get("timestamp"))
                    if "T" in said["timestamp"]
                    else frozenset(),
                    client=_words(said.get("source_ip")),
                    verdict=frozenset({"denied"}) if denied else _pan(said.get("action")),
                    port=_numbers(said.get("dst_port")),
                ),
            )


def _pan(action: str | None) -> frozenset[Value]:
    return frozenset({"denied"}) if (action or "").startswith("reset") else _worded(action)


def _metron(text: str, lines: Sequence[str]) -> Iterator[Truth]:
    for told in text.splitlines():
        said = json.loads(told)
        yield Truth(
            list(lines).index(said["original_string"]) + 1,
            _kept(
                time=frozenset({said["timestamp"]}),
                client=_words(said["ip_src_addr"]),
                host=_words(said["full_hostname"]),
                path=frozenset({urlsplit(said["url"]).path}),
                status=_numbers(said["code"]),
                bytes_down=_numbers(said["bytes"]),
            ),
        )


def _regexp_log(text: str, lines: Sequence[str]) -> Iterator[Truth]:
    """Perl hashes of Regexp::Log::BlueCoat, in the lines' order."""
    blocks = re.findall(r"\{([^{}]*'timestamp'[^{}]*)\}", text)
    for at, block in enumerate(blocks, 1):
        said = dict(re.findall(r"'([\w-]+)'\s*=>\s*'((?:[^'\\]|\\.)*)'", block))
        yield Truth(
            at,
            _of_proxy(said, "timestamp", "c-ip", "cs-username", "cs-uri", "sc-status", "cs-bytes"),
        )


def _of_proxy(said: Mapping[str, str], *keys: str) -> Said:
    time, client, user, url, status, size = (said.get(key) for key in keys)
    return _kept(
        time=_moment(time),
        client=_words(client),
        user=_words(user),
        host=_names(_words(url)),
        path=frozenset({urlsplit(url).path or "/"}) if _is_url(url) and url else frozenset(),
        status=_numbers(status) - {0},
        bytes_down=_numbers(size),
    )


Pairs = Iterator[tuple[str, Said]]


def _wazuh(text: str) -> Pairs:
    """`log 1 pass = LINE`; its assertions name rules, not fields."""
    for line in re.findall(r"^;?\s*log \d+ \w+ ?= ?(.*)$", text, re.MULTILINE):
        yield line, {}


def _azure(text: str) -> Pairs:
    for record in json.loads(text):
        verdict = record.get("Log_Subtype")
        yield (
            record["SyslogMessage"],
            _kept(
                client=_words(record.get("Src_IP")),
                user=_words(record.get("User_Name")),
                host=_words(record.get("Domain")) or _words(record.get("Dst_IP")),
                verdict=_worded(verdict),
                port=_numbers(record.get("Dst_Port")),
                bytes_down=_numbers(record.get("Recv_Bytes")),
                bytes_up=_numbers(record.get("Sent_Bytes")),
            ),
        )


def _rspec(text: str) -> Pairs:
    for part in re.split(r"let\(:message\)", text)[1:]:
        quoted = re.search(r"'([^'\n]+)'|\"([^\"\n]+)\"", part)
        assert quoted, "a message is quoted"
        said = {k: v for k, _, v in re.findall(r'"(\w+)"\s*=>\s*(["\'])([^"\']*)\2', part)}
        keys = ("timestamp", "client_address", "user", "url", "status_code", "bytes")
        yield quoted[1] or quoted[2], _of_proxy(said, *keys)


def _wallix(text: str) -> Pairs:
    for example in ElementTree.fromstring(text).iter("example"):
        line = example.findtext("text") or ""
        tags = {t.get("name", ""): t.text or "" for t in example.iter("expectedTag")}
        said = _of_proxy(tags, "date", "source_ip", "user", "url", "status", "len")
        if host := tags.get("dest_host") or tags.get("dest_ip"):
            said["host"] = _words(host)
        yield line.strip(), said


def _events(text: str) -> Pairs:
    """Elastic's `{"events": [...]}`: the message where an agent wrapped one, else the event."""
    for event in json.loads(text)["events"]:
        yield event.get("message") or json.dumps(event, ensure_ascii=False), {}


def _sekoia(text: str) -> Pairs:
    told = json.loads(text)
    yield told["input"]["message"], _of_ecs(told["expected"], told["input"]["message"])


SIDE_BY_SIDE: Mapping[str, Callable[[str, Sequence[str]], Iterator[Truth]]] = {
    "-expected.json": _elastic,
    "-expected.jsonl": _metron,
    "-expected.assert.txt": _crowdsec,
    ".log-expected.assert.txt": _crowdsec,
    ".expected.t.txt": _regexp_log,
}
WITHIN: tuple[tuple[str, Callable[[str], Pairs]], ...] = (
    (r"\.ini$", _wazuh),
    (r"azure-.*\.json$", _azure),
    (r"\.rb\.txt$", _rspec),
    (r"\.xml$", _wallix),
    (r"sekoia.*\.json$", _sekoia),
    (r"\.json$", _events),
)
