"""What the documents say is what the code does."""

import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
import yaml
from conftest import ROOT
from drivers import format_list
from pydantic import BaseModel

from errors import EXPECTED, FairwatchError
from fairwatch.cli import main
from fairwatch.program import PLACES, Program
from ingest.formats import description
from jobs import JOBS
from lake.datasets import DATASETS
from lake.stores import CLOCKED, STORES
from state.tables import METADATA

DOCS = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]
DOCS += sorted((ROOT / "docs").rglob("*.md"))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")


def test_the_exit_codes_are_documented() -> None:
    written = dict(re.findall(r"^\| (\d+) \| (.+) \|$", OPERATIONS, re.MULTILINE))
    classes: tuple[type[FairwatchError], ...] = (FairwatchError, *EXPECTED)
    meant = {str(e.exit_code): e.meaning for e in classes}
    assert written == {"0": "done", **meant}


def test_the_jobs_are_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", OPERATIONS, re.MULTILINE)
    assert {name for name, _ in rows} == set(JOBS)
    for name, steps in rows:
        assert all(step.name in steps for step in JOBS[name].steps), name


def commands() -> list[str]:
    """Every `fairwatch …` a document tells somebody to type, without its arguments."""
    found = set()
    every = Program().commands
    groups = {name for name in PLACES if hasattr(every[name], "commands")}
    for path in DOCS:
        for words in re.findall(r"fairwatch ([a-z-]+(?: [a-z-]+)?)", path.read_text("utf-8")):
            first, _, second = words.partition(" ")
            if first in PLACES:
                # A group may answer by itself: what follows is then an option.
                group = first in groups and second and not second.startswith("-")
                found.add(words if group else first)
    return sorted(found)


@pytest.mark.parametrize("command", commands())
def test_documented_commands_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main([*command.split(), "--help"])
    assert done.value.code == 0
    assert "Usage" in capsys.readouterr().out


def test_the_map_names_every_module() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    modules = {p.name for p in ROOT.glob("*.py")}
    packages = {f"{p.parent.name}/" for p in ROOT.glob("*/__init__.py")} - {"tests/"}
    assert not {name for name in modules | packages if f"\n{name}" not in readme}


@pytest.mark.parametrize("path", DOCS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text("utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_every_table_with_a_time_grows_old() -> None:
    """A state table that holds when something happened has its clock declared."""
    clocked = {c.table for c in CLOCKED}
    timeless = {"meta", "part"}  # settings' digests; files that are looked into themselves
    assert set(METADATA.tables) - timeless == clocked
    for clock in CLOCKED:
        assert clock.column in METADATA.tables[clock.table].c


def test_every_dataset_is_a_store_with_a_keep() -> None:
    stores = {s.name: s for s in STORES}
    assert set(DATASETS) <= set(stores)
    assert all(stores[name].keep for name in DATASETS)


def test_nothing_names_a_package_index_or_a_path_of_some_machine() -> None:
    bad = r"(^|[^A-Za-z0-9_.])/(wor[k]|far[m])/|py[p]i\.org|python[h]osted|registry\.npm[j]s"
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    found = subprocess.run(
        ["git", "-C", str(ROOT), "grep", "-nIE", bad], capture_output=True, text=True, check=False
    )
    assert not found.stdout


FORMATS = (ROOT / "docs" / "formats.md").read_text("utf-8")
MODELS: dict[str, tuple[type[BaseModel], type[BaseModel] | None]] = {
    "Description": (description.Description, None),
    "Layout": (description.Layout, description.Mapping),
    "Mapping": (description.Mapping, None),
    "Record": (description.Record, description.Mapping),
    "Field": (description.Take, None),
    "Time": (description.When, None),
    "Verdict": (description.Judge, None),
    "Later": (description.Later, None),
}


def documented(heading: str) -> list[str]:
    """The keys of the table below a heading of docs/formats.md."""
    section = FORMATS.split(f"\n### {heading}\n", 1)[1].split("\n#", 1)[0]
    cells = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return re.findall(r"`([^`]+)`", " ".join(cells))


def keys(model: type[BaseModel]) -> set[str]:
    return {facts.alias or name for name, facts in model.model_fields.items()}


@pytest.mark.parametrize("heading", MODELS)
def test_every_key_of_a_description_is_documented_and_none_invented(heading: str) -> None:
    model, base = MODELS[heading]
    written = documented(heading)
    assert len(written) == len(set(written))
    assert set(written) == keys(model) - (keys(base) if base else set())


def test_every_word_of_a_description_is_documented() -> None:
    table = FORMATS.split("\n## Every key\n", 1)[1]
    for choice in (description.Verdict, description.Kind, description.Engine, description.Unit, description.Decode):  # fmt: skip
        assert [w for w in get_args(choice) if f"`{w}`" not in table] == []
    assert [w for w in get_args(description.Target) if f"`{w}`" not in FORMATS] == []


def test_the_example_of_a_description_is_one() -> None:
    (text,) = re.findall(r"```yaml\n(title: .*?)```", FORMATS, re.DOTALL)
    assert description.Description.model_validate(yaml.safe_load(text)).title == "Example Gateway"


def test_the_list_of_formats_is_that_of_the_code() -> None:
    written = (ROOT / "docs" / "format-list.md").read_text("utf-8")
    assert written == format_list.page(), "write it anew: python tests/drivers/format_list.py"


def test_the_decisions_are_numbered_without_gaps() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(name[:4]) for name in names]
    assert all(after - before == 1 for before, after in pairwise([0, *numbers]))
    for number, name in zip(numbers, names, strict=True):
        text = (ROOT / "docs" / "decisions" / name).read_text("utf-8")
        assert text.startswith(f"# {number}. ")
