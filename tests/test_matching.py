"""What a pattern in `paths` matches: each file once, whatever links there are, and nothing in silence."""

import os
from pathlib import Path

import pytest
from conftest import write_lines

from ingest.matching import matching, unlisted


def names(folder: Path, pattern: str) -> set[str]:
    return {os.path.relpath(p, folder) for p in matching(folder, pattern)}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "a [b]"  # signs that mean something in a pattern
    for name in ("x.log", "sub/y.log", "sub/deep/z.log", ".hidden/h.log", "sub/.h.log", "o.txt"):
        write_lines(folder / "logs" / name, ["a line"])
    return folder


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("logs/*.log", {"logs/x.log"}),
        ("logs/**/*.log", {"logs/x.log", "logs/sub/y.log", "logs/sub/deep/z.log"}),
        ("**/*.log", {"logs/x.log", "logs/sub/y.log", "logs/sub/deep/z.log"}),
        ("**/sub/**/z.log", {"logs/sub/deep/z.log"}),
        ("logs/sub/**", {"logs/sub/y.log", "logs/sub/deep", "logs/sub/deep/z.log"}),
        ("nowhere/**/*.log", set()),
    ],
)
def test_patterns(tree: Path, pattern: str, found: set[str]) -> None:
    assert names(tree, pattern) == found
    assert names(tree, str(tree / pattern).replace("[", "[[]")) == found


def test_links_that_lead_back_are_gone_through_once(tree: Path) -> None:
    for number in range(3):
        (tree / "logs" / f"latest{number}").symlink_to(".")
    (tree / "logs/sub/up").symlink_to("..")
    assert names(tree, "logs/**/*.log") == {"logs/x.log", "logs/sub/y.log", "logs/sub/deep/z.log"}


def test_a_folder_linked_from_elsewhere_is_looked_into(tree: Path, tmp_path: Path) -> None:
    write_lines(tmp_path / "mount/m.log", ["a line"])
    (tree / "logs/mount").symlink_to(tmp_path / "mount")
    assert "logs/mount/m.log" in names(tree, "logs/**/*.log")


@pytest.mark.parametrize("pattern", ["logs/*.log", "logs/**/*.log", "log?/*.log"])
def test_a_folder_that_may_not_be_listed_is_named(
    tree: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = str(tree / "logs")
    assert unlisted(tree, pattern) == []
    monkeypatch.setattr("os.access", lambda path, mode: str(path) != closed or not mode & os.R_OK)
    assert unlisted(tree, pattern) == [closed]
    assert unlisted(tree, "logs/x.log") == []
