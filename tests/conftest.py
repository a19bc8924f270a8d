"""What every test may ask for: a site folder that is open, an hour it is, and lines of Squid."""

import os
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import hypothesis
import pytest

from workspace import Workspace, open_site

# Programs that tests start inherit this environment. Where it forbids to keep compiled modules, each of
# hundreds of starts would compile the same two hundred modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Shared machines stall: an example's time says nothing. In CI the examples are the same each time, so
# that a red run can be run again; a person's runs draw new ones.
hypothesis.settings.register_profile(
    "steady",
    deadline=None,
    max_examples=40,  # the whole suite has to end within a quarter of an hour on two cores
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("steady")

LONGEST = (
    *("test_rights_kill", "test_end_to_end", "test_hostile_formats", "test_products", "test_cli"),
    *("test_ingest", "test_hostile", "test_corpus", "test_purge_faults", "test_planted"),
    *("test_declaration", "test_purge_kill", "test_evidence", "test_policy", "test_formats"),
    *("test_scheduler", "test_certificate", "test_retention", "test_keys", "test_truth"),
)
"""Files of ten seconds and more, the longest first."""


def pytest_configure(config: pytest.Config) -> None:
    """Files are given to the workers in our order, not by how many tests they hold."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: one that is begun last would leave the other worker idle."""
    place = {name: at for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


ROOT = Path(__file__).parent.parent
PEOPLE = """\
user,name,department,manager,email,kind,roles,working_pattern,from,to,addresses
ann,Ann Archer,Advice,kim,ann@example.org,employee,,,,,
bob,Bob Baker,Advice,kim,bob@example.org,volunteer,communications,mon-thu 10:00-14:00,,,10.20.1.50
kim,Kim King,Advice,,kim@example.org,employee,,,,,
"""


def squid_line(
    when: datetime | float,
    *,
    user: str = "ann",
    url: str = "https://www.facebook.com/",
    method: str = "GET",
    client: str = "10.20.1.12",
    result: str = "TCP_MISS/200",
    elapsed: int = 161,
    size: int = 1037,
    content_type: str = "text/html",
) -> str:
    """A line as Squid's own format writes it, without its newline."""
    seconds = when if isinstance(when, int | float) else when.timestamp()
    return (
        f"{seconds:.3f} {elapsed:6d} {client} {result} {size} {method} {url} {user} "
        f"HIER_DIRECT/203.0.113.7 {content_type}"
    )


def write_lines(path: Path, lines: Sequence[str]) -> Path:
    """A log of these lines, each with its newline."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def make_site(folder: Path, edit: Callable[[str], str] = lambda text: text) -> Path:
    """A site folder with the shipped template (changed by `edit`), policy b3 and three people."""
    folder.mkdir(parents=True, exist_ok=True)
    template = (ROOT / "config/templates/fairwatch.yaml").read_text()
    (folder / "fairwatch.yaml").write_text(edit(template))
    shutil.copy(ROOT / "config/policies/b3.yaml", folder / "policy.yaml")
    (folder / "people.csv").write_text(PEOPLE)
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Workspace:
    """An opened site folder."""
    return open_site(make_site(tmp_path / "site"), "test")


@pytest.fixture
def now() -> datetime:
    """The hour at which every test plays."""
    return datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
