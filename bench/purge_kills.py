"""Random kill -9 during purges: how many, where they struck, and what was violated (nothing).

    python bench/purge_kills.py [--kills 200] [--seed 1]

Each round takes a copy of a site with twenty days that are due, kills the purge up to three times at moments
spread evenly over how long an unhurt one takes, and looks after each: no `purge done` over anything
that is left, no buried day with rows. Then one more purge must end as if nothing had happened: every
due byte gone, every kept byte unchanged, the ledger's chain whole, catalogue and files in agreement.
"""

import argparse
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from measure import RESULTS, ROOT, machine

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from factory import again
from purgelab import NOW, build, ends_well, kept, no_word_without_the_deed

from retention import STEPS, purge
from workspace import open_site

CONTEXT = multiprocessing.get_context("forkserver")


def child(folder: str, told: Connection) -> None:
    """A purge that says each step as it ends."""
    ws = open_site(Path(folder), "bench")
    told.send("ready")
    with ws.alone():
        purge(ws, NOW, after=told.send)


def started(folder: Path) -> tuple[ForkServerProcess, Connection]:
    """A purge in a process of its own, forked from one that has everything imported."""
    hears, tells = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=child, args=(str(folder), tells))
    process.start()
    tells.close()
    assert hears.recv() == "ready"
    return process, hears


def struck(folder: Path, delay: float) -> str:
    """Kill a purge so many seconds after it began; the last step it had ended."""
    process, hears = started(folder)
    time.sleep(delay)
    process.kill()
    process.join()
    last = "ready"
    try:
        while True:
            last = hears.recv()
    except EOFError:
        return last


def unhurt(template: Path, work: Path) -> float:
    """Seconds a purge takes from its first word to its last."""
    process, hears = started(copied(template, work))
    began = time.perf_counter()
    process.join()
    assert process.exitcode == 0
    hears.close()
    return time.perf_counter() - began


def copied(template: Path, work: Path) -> Path:
    """A fresh copy, with the key beside it."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(template.parent, work)
    return work / template.name


def main() -> None:
    """Kill, look, count, keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    draw = random.Random(chosen.seed)
    where: Counter[str] = Counter()
    violations: list[str] = []
    with tempfile.TemporaryDirectory() as base:
        template = build(Path(base) / "template" / "site")
        whole = max(unhurt(template, Path(base) / "work") for _ in range(3))
        while where.total() < chosen.kills:
            folder = copied(template, Path(base) / "work")
            ws = open_site(folder, "bench")
            before = kept(ws)
            try:
                for _ in range(draw.randint(1, 3)):
                    where[struck(folder, draw.uniform(0, whole))] += 1
                    no_word_without_the_deed(again(ws))
                ends_well(ws, before)
            except Exception:  # noqa: BLE001 (whatever it is, it is a violation)
                violations.append(traceback.format_exc())
            print(f"{where.total()} kills, {len(violations)} violations", flush=True)
    order = ["ready", *(name for name, _ in STEPS), "done"]
    lines = [f"| {name} | {where[name]} |" for name in ["nothing", *order] if where[name]]
    words = " ".join(["python bench/purge_kills.py", *sys.argv[1:]])
    text = "\n".join(
        ["# Random kill -9 during purges\n", f"`{words}`\n", machine(), "",
         f"{where.total()} kills over {whole:.1f} s of an unhurt purge, {len(violations)} violations.\n",
         "| last step that had ended | kills |", "|---|--:|", *lines, "", *violations]
    )  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "purge_kills.md").write_text(text, "utf-8")
    print(text)
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
