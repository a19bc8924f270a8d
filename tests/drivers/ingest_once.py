"""Ingest the named logs into a site with many small commits; to be killed at any moment.

    python ingest_once.py SITE LOG...

Says `ready` once the site is open, and `done` at the end.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import fairwatch  # noqa: F401 (first, as in the program: Arrow is kept from importing pandas)
import ingest.batch
import ingest.file
import ingest.run
import ingest.streams
from ingest.discover import given
from workspace import open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def main(site: Path, logs: list[Path]) -> None:
    """One run, as the scheduler would do it."""
    ingest.file.COMMIT_BYTES = 16 << 10
    ingest.batch.FILES = 7
    ingest.streams.BLOCK = 16 << 10
    ws = open_site(site, "driver")
    print("ready", flush=True)
    with ws.alone():
        reports = ingest.run.ingest(ws, given(ws, logs, None, "squid"), NOW)
    assert not any(report.error for report in reports)
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]])
