"""Print the worked finding of docs/policy.md as the code tells it; `--write` puts it there."""

import io
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from conftest import make_site
from factory import Row, derived, lake, page, reading

from analytics.findings import findings
from analytics.record import remember
from fairwatch.findings import show_findings
from reports.reviews import standings
from workspace import open_site

DOCUMENT = ROOT / "docs" / "policy.md"
BEGINS, ENDS = "```text\n", "```\n"
MONDAY = date(2026, 11, 9)
NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)


def rows() -> list[Row]:
    """Ann's three mornings, with a like button in another site's page every five minutes of the day."""
    made: list[Row] = []
    for day in (MONDAY + timedelta(days=n) for n in range(3)):
        made += reading(day, 45)
        first = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=9, seconds=7)
        made += [
            page(first + timedelta(minutes=5 * n), path_role="embed", referrer="other")
            for n in range(96)
        ]
    return made


def told() -> str:
    """The finding as `fairwatch findings` prints it."""
    with tempfile.TemporaryDirectory() as folder:
        ws = open_site(make_site(Path(folder) / "site"), "test")
        lake(ws, rows())
        derived(ws, NOW)
        found = findings(ws, MONDAY, MONDAY, NOW)
        remember(ws, found, {"2026-W46"}, NOW)
        said = io.StringIO()
        with redirect_stdout(said):
            show_findings(found, standings(ws, found))
    return said.getvalue()


def written() -> str:
    """The finding as the document has it."""
    return DOCUMENT.read_text("utf-8").partition(BEGINS)[2].partition(ENDS)[0]


def main(arguments: Sequence[str]) -> None:
    if "--write" not in arguments:
        print(told(), end="")
        return
    head, _, rest = DOCUMENT.read_text("utf-8").partition(BEGINS)
    DOCUMENT.write_text(f"{head}{BEGINS}{told()}{ENDS}{rest.partition(ENDS)[2]}", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
