"""The first commands: a site folder, and a demo."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from fairwatch import demo, keys, place, show, start
from fairwatch.program import Commands


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    policy: Annotated[str, typer.Option(help="b3 or bcw-hub.")],
    name: Annotated[str | None, typer.Option(help="The organisation's name.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Its time zone.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="The master key's; else beside DIR, as DIR.master.key.")
    ] = None,
) -> None:
    """Write fairwatch.yaml, policy.yaml and people.csv, all commented; never over existing ones."""
    for path in start.init(folder, policy, name=name, timezone=timezone, key_file=key_file):
        show.say(f"wrote {path}")
    show.say(keys.advice(place.opened(folder)))
    show.say(
        "Next: put your sources, people and numbers into these files, then `fairwatch doctor`."
    )


def demo_(folder: Annotated[Path, typer.Argument(metavar="[DIR]")] = Path("demo-site")) -> None:
    """Build a small organisation with a real Squid's logs and run everything on it."""
    made = demo.demo(folder, place.now(), place.actor(), show.say)
    # By the name that works in the reader's shell: `make demo` runs it from .venv/bin.
    program = "fairwatch" if shutil.which("fairwatch") else sys.argv[0]
    days = f"--from {made.findings[0].first_day} --to {made.findings[-1].last_day}"
    show.say(
        f"\nLook at\n  {made.site / 'reports' / 'index.html'}   the managers' pages"
        f"\n  {made.pack}   the evidence pack: unzip it, sha256sum -c manifest-sha256.txt"
        f"\n  {made.site / 'ledger'}   who did what\nTry next"
        f"\n  {program} findings --site {made.site} {days}"
        f"\n  {program} retention verify --site {made.site}"
        f"\n  {program} ledger verify --site {made.site}"
        f"\n  {program} check-logs YOUR-OWN-access.log"
        f"\n  {program} init my-site --policy b3"
    )


COMMANDS: Commands = {"init": init, "demo": demo_}
