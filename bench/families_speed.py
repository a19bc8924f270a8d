"""What other families of formats cost beside Squid's native one: the same requests, written in each.

    python bench/families_speed.py [--lines 2000000] [--rounds 3]

The goal is 0.4 times Squid's lines a CPU second. Whole processes, start-up included.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from measure import FAIRWATCH, GENERATE, Cost, machine, publish, run, site, table

AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"
W3C = "#Software: SGOS 7.3\n#Fields: date time time-taken c-ip cs-username cs-auth-group x-exception-id sc-filter-result cs-categories cs(Referer) sc-status s-action cs-method rs(Content-Type) cs-uri-scheme cs-host cs-uri-port cs-uri-path cs-uri-query cs(User-Agent) s-ip sc-bytes cs-bytes\n"  # fmt: skip
CSV = "Time,User,Source IP,Method,URL,Status,Bytes In,Bytes Out,Category,Action,User Agent,Content Type\n"  # fmt: skip


class Request:
    """A line of Squid's native format in its pieces."""

    def __init__(self, line: str) -> None:
        when, self.elapsed, self.client, result, self.size, self.method, url, user, _, kind = line.split()  # fmt: skip
        moment = datetime.fromtimestamp(float(when), UTC)
        self.day, self.clock, self.epoch = f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}", when
        self.status = result.partition("/")[2]
        self.user, self.type = user, kind
        tunnel = self.method == "CONNECT"
        parts = urlsplit(f"https://{url}" if tunnel else url)
        self.scheme, self.host, self.port = parts.scheme, parts.hostname or "", parts.port or 80
        self.path, self.query = parts.path or "/", f"?{parts.query}" if parts.query else "-"
        self.url = url if not tunnel else f"https://{self.host}/"
        self.verdict = "denied" if "DENIED" in result else "allowed"


def squid(r: Request) -> str:
    """As it was, for the yardstick."""
    return f"{r.epoch} {int(r.elapsed):6d} {r.client} TCP_MISS/{r.status} {r.size} {r.method} {r.url} {r.user} HIER_DIRECT/203.0.113.7 {r.type}\n"  # fmt: skip


def w3c(r: Request) -> str:
    """ProxySG's main format."""
    said = "OBSERVED" if r.verdict == "allowed" else "DENIED"
    return f'{r.day} {r.clock} {r.elapsed} {r.client} {r.user} - - {said} "News/Media" - {r.status} TCP_MISS {r.method} {r.type} {r.scheme} {r.host} {r.port} {r.path} {r.query} "{AGENT}" 10.0.0.1 {r.size} 620\n'  # fmt: skip


def pairs(r: Request) -> str:
    """FortiGate's web filter record."""
    action = "passthrough" if r.verdict == "allowed" else "blocked"
    return f'date={r.day} time={r.clock} devname="FGT-HQ-01" devid="FG100ETK18000000" logid="0317013312" type="utm" subtype="webfilter" eventtype="ftgd_allow" level="notice" vd="root" policyid=12 sessionid=7312345 user="{r.user}" srcip={r.client} srcport=51234 srcintf="port1" srcintfrole="lan" dstip=203.0.113.7 dstport=443 dstintf="wan1" dstintfrole="wan" proto=6 service="{r.scheme.upper()}" hostname="{r.host}" profile="default" action="{action}" reqtype="direct" url="{r.path}" sentbyte=620 rcvdbyte={r.size} direction="outgoing" msg="URL belongs to an allowed category in policy" method="domain" cat=36 catdesc="News and Media"\n'  # fmt: skip


def columns(r: Request) -> str:
    """A CSV with a header."""
    return f'{r.day}T{r.clock}Z,{r.user},{r.client},{r.method},{r.url},{r.status},{r.size},620,"News, Media",{r.verdict},"{AGENT}",{r.type}\n'  # fmt: skip


def objects(r: Request) -> str:
    """JSON lines."""
    return f'{{"timestamp":"{r.day}T{r.clock}Z","user":"{r.user}","src_ip":"{r.client}","method":"{r.method}","url":"{r.url}","status":{r.status},"bytes_in":{r.size},"bytes_out":620,"category":"News","action":"{r.verdict}","user_agent":"{AGENT}","content_type":"{r.type}","policy":"default","device":"gw1","session":7312345}}\n'  # fmt: skip


FAMILIES: dict[str, tuple[str, str, Callable[[Request], str]]] = {
    "Squid native": ("squid", "", squid),
    "W3C": ("w3c", W3C, w3c),
    "key=value": ("fortigate", "", pairs),
    "CSV": ("csv", CSV, columns),
    "JSON": ("json-lines", "", objects),
}


def written(work: Path, lines: int) -> Path:
    """The same requests in every family; the folder of the logs."""
    source, people = work / "source.log", work / "people.csv"
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    what = ("--lines", str(lines), "--first", str(yesterday), "--people", str(people))
    run((*GENERATE, str(source), *what))
    files = {name: (work / f"{form}.log").open("w") for name, (form, _, _) in FAMILIES.items()}
    for name, (_, header, _) in FAMILIES.items():
        files[name].write(header)
    with source.open() as log:
        for line in log:
            request = Request(line)
            for name, (_, _, write) in FAMILIES.items():
                files[name].write(write(request))
    for file in files.values():
        file.close()
    return people


def ingest(work: Path, people: Path, form: str) -> Cost:
    """One family into a fresh site."""
    folder = site(work / "site", people)
    settings = folder / "fairwatch.yaml"
    text = settings.read_text("utf-8")
    head, _, rest = text.partition("\nsources:")
    source = f'\nsources:\n  - name: bench\n    format: {form}\n    paths: ["{work}/{form}.log"]\n    timezone: UTC\n'  # fmt: skip
    settings.write_text(head + source + rest.partition("\n\n")[2], "utf-8")
    cost = run((*FAIRWATCH, "ingest", "--site", str(folder)))
    shutil.rmtree(folder)
    return cost


def main() -> None:
    """Write, read in turn, publish."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    costs: dict[str, list[Cost]] = {name: [] for name in FAMILIES}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        people = written(work, given.lines)
        sizes = {n: (work / f"{f}.log").stat().st_size for n, (f, _, _) in FAMILIES.items()}
        for _ in range(given.rounds):
            for name, (form, _, _) in FAMILIES.items():
                costs[name].append(ingest(work, people, form))
    yardstick = costs["Squid native"]
    ratios = "".join(
        f"- {name} ({sizes[name] / given.lines:.0f} bytes a line), lines a CPU second ÷ Squid native: "
        f"**{statistics.median([s.cpu / c.cpu for s, c in zip(yardstick, found, strict=True)]):.2f}**\n"
        for name, found in costs.items()
    )
    publish(
        "families",
        "Families of formats",
        sys.argv[1:],
        f"{machine()}. {given.lines:,} lines; medians of {given.rounds} rounds, in turn.\n",
        table([*costs.items()]),
        ratios,
    )


if __name__ == "__main__":
    main()
