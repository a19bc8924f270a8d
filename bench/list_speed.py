"""Lists at size: importing, opening, and classifying distinct hosts, with time and memory of each.

    python bench/list_speed.py [--hosts 1000000] [--asked 20000,1000000]

Hosts are synthetic; the same arguments give the same list. Each figure is of a process of its own.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

WORDS = [
    "news",
    "shop",
    "blog",
    "cloud",
    "media",
    "play",
    "data",
    "home",
    "web",
    "chat",
    "photo",
    "music",
    "travel",
    "food",
    "sport",
]


def host(number: int, rng: random.Random) -> str:
    """A host of two to four labels."""
    name = f"{rng.choice(WORDS)}{number}.{rng.choice(['com', 'co.uk', 'org', 'net', 'de'])}"
    return rng.choice(["", "", "www.", "cdn.static."]) + name


def step(what: str, folder: Path, count: int) -> dict[str, Any]:
    """One measurement in this process."""
    from config.lists.index import Index
    from config.lists.listfile import Imported, ListVersion, OwnCategory
    from config.lists.reading import Delivery, read_list
    from config.sitelist import site_list
    from ingest.classify import Classifier

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = perf_counter()
    if what == "import":
        read = read_list(folder / "list.txt", Delivery("domains", "social_network"))
        (folder / "list.idx").write_bytes(read.index)
    else:
        index = Index.read(folder / "list.idx")
        opened = perf_counter() - started
        version = ListVersion(version="1", since=None, source="s", licence="l", format="domains",
            sha256="", index="l-0.idx", index_sha256="", categories={"x": OwnCategory(means="social_network", hosts=1)})  # fmt: skip
        listed = [] if what == "shipped lists only" else [Imported("l", version, None, {"x": "social_network"}, False, index)]  # fmt: skip
        classifier = Classifier(site_list([], [], listed), {"social_network"})
        rng = random.Random(2)
        asked = [host(rng.randrange(4_000_000), rng) for _ in range(count)]
        started = perf_counter()
        for one in asked:
            classifier.of(one)
    seconds = perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    told: dict[str, Any] = {"seconds": round(seconds, 2), "grown_mb": round(grown)}
    if what == "import":
        told["index_mb"] = round((folder / "list.idx").stat().st_size / 1e6, 1)
    else:
        told["open_ms"] = round(opened * 1000, 2)
        told["us_a_host"] = round(seconds / count * 1e6, 1)
    return told


def main() -> None:
    """Make the list, then measure each step in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1_000_000)
    parser.add_argument("--asked", default="20000,1000000")
    parser.add_argument("--step", nargs=3, metavar=("WHAT", "FOLDER", "COUNT"))
    asked = parser.parse_args()
    if asked.step:
        what, folder, count = asked.step
        print(json.dumps(step(what, Path(folder), int(count))))
        return
    with tempfile.TemporaryDirectory() as folder:
        rng = random.Random(1)
        with (Path(folder) / "list.txt").open("w") as file:
            file.writelines(f"{host(n, rng)}\n" for n in range(asked.hosts))
        steps = [("import", asked.hosts)]
        for count in asked.asked.split(","):
            steps += [("shipped lists only", int(count)), ("with the list", int(count))]
        for what, count in steps:
            command = [sys.executable, __file__, "--step", what, folder, str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"{what}, {count} hosts: {done.stdout.strip()}")


if __name__ == "__main__":
    main()
