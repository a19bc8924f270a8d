"""Writes synthetic proxy logs in Squid's native format, in time order: the same arguments, the same bytes.

    python bench/generate.py access.log --lines 10000000 --first 2026-11-09 --days 1

About 130 bytes a line; 2,000 people; three quarters CONNECT, the rest http URLs with mostly distinct
paths; 20,000 hosts by Zipf's law; some 8 % of the lines are social services of the shipped site list;
1.5 % ask for a password, 0.3 % are denied; the elapsed time is padded as Squid pads it. People load
pages: a load is a handful of lines within two seconds. People and other hosts are invented.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import yaml

SEED = 20260401
PEOPLE, TEAM = 2_000, 50
HOSTS = 20_000
CHUNK = 500_000
DAY_MS = 86_400_000
LINES_A_LOAD = 8
SOCIAL_LOADS, SOCIAL_EMBEDS, LEADER = 0.035, 0.05, 0.4
TUNNELS, ASKED, DENIED, POPULAR = 0.75, 0.015, 0.003, 0.25
HOURS = (1, 1, 1, 1, 1, 2, 6, 20, 60, 90, 95, 95, 80, 75, 90, 95, 90, 70, 30, 15, 12, 10, 6, 2)
WORDS = ("harbour", "coast", "county", "library", "garden", "council", "health", "bakery", "museum")
LABELS = ("www", "static", "api", "cdn", "img")
SECTIONS = ("/", "/news/", "/articles/2026/", "/static/js/", "/images/large/", "/api/v2/items/")
ENDINGS = (".html", "", ".js", ".jpg?w=640&q=80", ".png", "?page=2", ".css?v=20261103")
TYPES = ("text/html", "image/jpeg", "application/javascript", "text/css", "application/json", "-")
SITES = Path(__file__).parent.parent / "config" / "sites" / "services.yaml"

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class World:
    """Host names: all social services' first, each service's together, then all others by rank."""

    hosts: list[str]
    low: Ints  # a service's first host, which is its site
    count: Ints  # how many it has
    others: int  # the first host that belongs to no service


def world(sites: Path = SITES) -> World:
    """The hosts of the site list, filled up with invented ones."""
    named: list[list[str]] = []
    for service in yaml.safe_load(sites.read_text("utf-8"))["services"]:
        hosts = [host for role in service["roles"].values() for host in role]
        if service["roles"].get("site"):
            named.append(hosts[:8])
    flat = [host for hosts in named for host in hosts]
    sizes = np.array([len(hosts) for hosts in named])
    invented = [
        f"{LABELS[n % 5]}.{WORDS[n // 5 % 9]}-{WORDS[n // 45 % 8]}{n // 5}.example"
        for n in range(HOSTS - len(flat))
    ]
    return World(flat + invented, np.cumsum(sizes) - sizes, sizes, len(flat))


def people() -> list[tuple[str, str]]:
    """(user, address) of everybody."""
    return [(f"staff{n:04d}", f"10.20.{n // 200}.{n % 200 + 10}") for n in range(PEOPLE)]


@dataclass(frozen=True)
class Lines:
    """A day's lines in time order, as numbers."""

    time: Ints  # milliseconds since 1970, when the request ended
    elapsed: Ints
    user: Ints
    host: Ints
    tunnel: Flags


def day_of_lines(rng: np.random.Generator, where: World, start: int, count: int) -> Lines:
    """Loads by people over a day, each a few lines; `start` in milliseconds."""
    sizes = rng.geometric(1 / LINES_A_LOAD, 2 * count // LINES_A_LOAD + 10)
    load = np.repeat(np.arange(len(sizes)), sizes)[:count]
    loads = int(load[-1]) + 1
    hour = _weighted(rng, np.array(HOURS), loads)
    begins = hour * 3_600_000 + rng.integers(0, 3_600_000, loads)
    user = _weighted(rng, 1 / (np.arange(PEOPLE) + 200), loads)
    service = _weighted(rng, 1 / (np.arange(len(where.low)) + 1), loads)
    social = rng.random(loads) < SOCIAL_LOADS
    leader = np.where(social, where.low[service], _others(rng, where, loads))
    first = np.append(True, load[1:] != load[:-1])
    led = first | (rng.random(count) < LEADER)
    own = where.low[service] + (rng.random(loads) * where.count[service]).astype(np.int64)
    other = np.where(social[load], own[load], _others(rng, where, count))
    embed = rng.random(count) < SOCIAL_EMBEDS
    other[embed] = rng.integers(0, where.others, int(embed.sum()))
    host = np.where(led, leader[load], other)
    tunnel = rng.random(count) < TUNNELS
    lasts = rng.exponential(np.where(tunnel, 30_000, 250)).astype(np.int64)
    elapsed = np.minimum(lasts, 900_000)
    at = np.minimum(begins[load] + rng.integers(0, 2_000, count) * ~first + elapsed, DAY_MS - 1)
    order = np.argsort(at, kind="stable")
    return Lines(start + at[order], elapsed[order], user[load][order], host[order], tunnel[order])


def texts(rng: np.random.Generator, where: World, lines: Lines) -> Iterator[pa.Array]:
    """The lines as text, a chunk at a time, each with its newline."""
    names = people()
    tables = {
        "ms": pa.array([f".{n:03d}" for n in range(1000)]),
        "user": pa.array([user for user, _ in names]),
        "client": pa.array([client for _, client in names]),
        "tunnel": pa.array([f"{host}:443" for host in where.hosts]),
        "host": pa.array([f"http://{host}" for host in where.hosts]),
        "section": pa.array(SECTIONS),
        "ending": pa.array(ENDINGS),
        "type": pa.array(TYPES),
    }
    for low in range(0, len(lines.time), CHUNK):
        part = slice(low, low + CHUNK)
        yield _chunk(
            rng,
            tables,
            Lines(*(getattr(lines, name)[part] for name in Lines.__dataclass_fields__)),
        )


def _chunk(rng: np.random.Generator, tables: dict[str, pa.Array], lines: Lines) -> pa.Array:
    count = len(lines.time)
    asked = rng.random(count) < ASKED
    denied = ~asked & (rng.random(count) < DENIED)
    refused = pa.array(asked | denied)
    tunnel = pa.array(lines.tunnel)
    popular = rng.random(count) < POPULAR
    page = np.where(popular, rng.integers(0, 50, count), rng.integers(0, 10**8, count))
    sent = np.minimum(rng.exponential(1.0, count) * rng.choice([2e3, 2e4, 2e5], count), 5e7)
    elapsed = np.where(asked | denied, 0, lines.elapsed)

    def take(table: str, index: Any) -> pa.Array:
        return tables[table].take(pa.array(index))

    path = _joined(
        take("section", rng.integers(0, len(SECTIONS), count)),
        pa.array(page).cast(pa.string()),
        take("ending", rng.integers(0, len(ENDINGS), count)),
    )
    url = pc.if_else(tunnel, take("tunnel", lines.host), _joined(take("host", lines.host), path))
    result = pc.if_else(tunnel, "TCP_TUNNEL/200 ", "TCP_MISS/200 ")
    result = pc.if_else(pa.array(denied), "TCP_DENIED/403 ", result)
    result = pc.if_else(pa.array(asked), "TCP_DENIED/407 ", result)
    kind = pc.if_else(tunnel, "-", take("type", rng.integers(0, len(TYPES), count)))
    return _joined(
        pa.array(lines.time // 1000).cast(pa.string()),
        take("ms", lines.time % 1000),
        " ",
        pc.utf8_lpad(pa.array(elapsed).cast(pa.string()), 6, " "),
        " ",
        take("client", lines.user),
        " ",
        result,
        pa.array(sent.astype(np.int64) + 200).cast(pa.string()),
        pc.if_else(tunnel, " CONNECT ", " GET "),
        url,
        " ",
        pc.if_else(pa.array(asked), "-", take("user", lines.user)),
        pc.if_else(refused, " HIER_NONE/- ", " HIER_DIRECT/203.0.113.7 "),
        pc.if_else(refused, "text/html", kind),
        "\n",
    )


def _joined(*pieces: Any) -> pa.Array:
    return pc.binary_join_element_wise(*pieces, "")


def _weighted(rng: np.random.Generator, weights: npt.NDArray[Any], count: int) -> Ints:
    """Indices drawn by weight."""
    reach = np.cumsum(weights) / weights.sum()
    return np.searchsorted(reach, rng.random(count)).clip(0, len(weights) - 1)


def _others(rng: np.random.Generator, where: World, count: int) -> Ints:
    return where.others + _weighted(rng, 1 / np.arange(1, HOSTS - where.others + 1), count)


def generate(path: Path, lines: int, first: datetime, days: int) -> None:
    """Write a log of so many lines over so many days."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    where = world()
    shares = np.diff(np.linspace(0, lines, days + 1).astype(np.int64))
    with path.open("wb") as file:
        for day, count in enumerate(shares.tolist()):
            start = int((first + timedelta(days=day)).timestamp() * 1000)
            for text in texts(rng, where, day_of_lines(rng, where, start, count)):
                # A string array's bytes lie one after the other: the chunk as it is written.
                low, high = (int(n) for n in np.frombuffer(text.buffers()[1], np.int32)[[0, -1]])
                file.write(memoryview(text.buffers()[2])[low:high])


def write_people(path: Path) -> None:
    """Everybody as a people.csv: teams of fifty, the first of each their manager."""
    everybody = people()
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("user", "name", "department", "manager", "email", "kind"))
        for number, (user, _) in enumerate(everybody):
            team = number // TEAM
            manager = everybody[team * TEAM][0] if number % TEAM else ""
            mail = f"{user}@bench.example"
            rows.writerow((user, f"Person {number}", f"Team {team}", manager, mail, "employee"))


def main() -> None:
    """Read the arguments and write the log."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--first", type=datetime.fromisoformat, default=datetime(2026, 11, 9))
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--people", type=Path, help="write their people.csv here too")
    given = parser.parse_args()
    if given.people:
        write_people(given.people)
    generate(given.path, given.lines, given.first.replace(tzinfo=UTC), given.days)


if __name__ == "__main__":
    main()
