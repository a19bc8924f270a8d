"""What a child process costs, sites to measure on, and the machine it all ran on."""

import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
FAIRWATCH = (sys.executable, "-c", "from fairwatch.cli import main; main()")
GENERATE = (sys.executable, str(ROOT / "bench" / "generate.py"))

# As it is installed: pip compiles what it installs, and a checkout is compiled by its first run.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@dataclass(frozen=True)
class Cost:
    """CPU (user and system) and wall seconds, and the peak of the resident set in MB."""

    cpu: float
    wall: float
    peak: float


def run(command: Sequence[str]) -> Cost:
    """Run a command to its end; raises where it fails.

    The kernel counts a child's peak from its parent's at the moment it was started: this process
    imports nothing large.
    """
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            raise RuntimeError(f"{command}: {errors.read().decode()[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def site(folder: Path, people: Path) -> Path:
    """A fresh site folder with these people."""
    run((*FAIRWATCH, "init", str(folder), "--policy", "b3"))
    (folder / "people.csv").write_bytes(people.read_bytes())
    return folder


def last_week() -> date:
    """The Monday of the last whole week."""
    today = datetime.now(UTC).date()
    return today - timedelta(days=today.weekday() + 7)


def table(rows: Sequence[tuple[str, Sequence[Cost]]]) -> str:
    """Medians, and all CPU figures beside them."""
    lines = ["| what | CPU s | wall s | peak MB | CPU s of each round |", "|---|--:|--:|--:|---|"]
    for name, costs in rows:
        cpu, wall, peak = (
            statistics.median(getattr(c, f) for c in costs) for f in ("cpu", "wall", "peak")
        )
        each = ", ".join(f"{c.cpu:.2f}" for c in costs)
        lines.append(f"| {name} | {cpu:.2f} | {wall:.2f} | {peak:.0f} | {each} |")
    return "\n".join(lines) + "\n"


def machine(*more: str) -> str:
    """Processors, system and versions in a line."""
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    packages = [f"{p} {version(p)}" for p in ("pyarrow", "numpy", "duckdb")]
    return ", ".join(
        [
            f"{os.cpu_count()} processors ({model[1] if model else platform.machine()})",
            platform.freedesktop_os_release()["PRETTY_NAME"],
            f"Python {platform.python_version()}",
            *packages,
            *more,
        ]
    )


def publish(name: str, title: str, options: Sequence[str], *parts: str) -> None:
    """Print a result and write it to bench/results."""
    words = " ".join(("python", f"bench/{Path(sys.argv[0]).name}", *options))
    text = "\n".join((f"# {title}\n", f"`{words}`\n", *parts))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, "utf-8")
    print(text)
