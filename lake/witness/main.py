"""`verify` by itself: a site folder, a limit, and what was found; for somebody without Fairwatch."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

from lake.age import first_day_kept
from lake.stores import STORES
from lake.witness.look import Opener, plainly
from lake.witness.sealed import opener_of
from lake.witness.site import Verification, sentence, verify_site

NOT_CLEAN = 7
NAMES_FILES = re.compile(r"^(people|policy|sites):\s*(.*)$")
"""Keys of fairwatch.yaml that name files written by hand."""


def main(arguments: Sequence[str], now: datetime) -> int:
    """Look, print, and return the exit code: 0 where clean, 7 where not."""
    chosen = _parser().parse_args(arguments)
    site = Path(chosen.site).resolve()
    if not site.is_dir():
        print(f"{site}: is no folder", file=sys.stderr)
        return 2
    if chosen.as_of:
        now = datetime.combine(date.fromisoformat(chosen.as_of), time(23, 59), UTC)
    limits = limits_of(now, chosen.limit_days, dict(k.split("=", 1) for k in chosen.keep))
    opened: Opener = opener_of(Path(chosen.keys)) if chosen.keys else plainly
    named = {*chosen.configuration, *named_files(site)}
    found = verify_site(site, now, limits, named, opened)
    print(json.dumps(found.as_json(), indent=1) if chosen.json else _told(found))
    return 0 if found.clean else NOT_CLEAN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verify.py",
        description="Look for event times older than a limit inside every file of a folder.",
        epilog="Needs Python 3.11 and pyarrow. Exit code 0: nothing older was found and everything "
        "could be looked into; 7: not so; 2: wrong usage.",
    )
    parser.add_argument("site", metavar="SITE", help="the folder")
    parser.add_argument("--limit-days", type=int, help="days kept; default: one calendar year")
    parser.add_argument("--keep", action="append", default=[], metavar="WHAT=DAYS",
                        help="other days for one kind, as fairwatch.yaml names it under `retention`")  # fmt: skip
    parser.add_argument("--as-of", metavar="DAY", help="the day it is, such as 2026-11-20")
    parser.add_argument("--configuration", action="append", default=[], metavar="FILE",
                        help="a file written by hand, relative to SITE: its dates are no events")  # fmt: skip
    parser.add_argument("--keys", metavar="FILE", help="JSON of key ids and keys in Base64, for "
                        "sealed partitions (needs the package cryptography)")  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help="as `fairwatch retention verify --json`"
    )
    return parser


def limits_of(now: datetime, days: int | None, keep: dict[str, str]) -> dict[str, date]:
    """The first day kept by store, and of `unclaimed` files; never longer than a calendar year."""
    limits = {
        store.name: first_day_kept(now, int(keep[store.keep]) if store.keep in keep else days)
        for store in STORES
    }
    return {**limits, "unclaimed": first_day_kept(now, days)}


def named_files(site: Path) -> set[str]:
    """Files that fairwatch.yaml names as written by hand, by a plain reading of its lines."""
    settings = site / "fairwatch.yaml"
    lines = settings.read_text("utf-8", "replace").splitlines() if settings.is_file() else []
    found: set[str] = set()
    listing = False
    for line in lines:
        line = re.sub(r"(^|\s)#.*$", "", line).rstrip()
        named = NAMES_FILES.match(line)
        item = re.match(r"^\s*-\s+(\S.*)$", line) if listing else None
        if named:
            listing = not named[2]
            found |= {word.strip(" \"'") for word in named[2].strip("[]").split(",")}
        elif item:
            found.add(item[1].strip(" \"'"))
        elif line:
            listing = False
    return {name for name in found if name and not Path(name).is_absolute()}


def _told(found: Verification) -> str:
    """Store by store, and the verdict."""
    rows: list[tuple[str, ...]] = [
        ("store", "files", "rows", "oldest event", "overdue", "unreadable")
    ]
    rows += [
        (s.store, *(str(v or 0) for v in (s.files, s.rows)), str(s.oldest_event or ""),
         str(s.overdue_rows), str(len(s.unreadable)))
        for s in found.stores
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    return "\n".join([*lines, "", sentence(found)])
