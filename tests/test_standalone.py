"""verify.py: one file, nothing but Python and pyarrow, and the answers of `retention verify`."""

import ast
import base64
import json
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from canaries import put
from canary_stores import CANARIES
from conftest import make_site
from factory import derived, lake, page, utc
from hypothesis import given, settings
from hypothesis import strategies as st

from fairwatch import place
from fairwatch.cli import main as fairwatch
from lake.witness import standalone
from lake.witness.main import named_files
from workspace import open_site

AS_OF = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
ALLOWED = {"pyarrow", *sys.stdlib_module_names}


@pytest.fixture(scope="session")
def verify_py(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stranger") / "verify.py"
    path.write_text(standalone.source(), "utf-8")
    return path


def stranger(
    verify_py: Path, site: Path, *words: str, code: int | None = None
) -> "subprocess.CompletedProcess[str]":
    """As somebody else runs it: no path to the project, another folder."""
    done = subprocess.run(
        [sys.executable, "-I", str(verify_py), str(site), "--as-of", "2026-11-20", *words],
        capture_output=True,
        text=True,
        cwd=verify_py.parent,
        check=False,
    )
    assert not done.stderr
    assert code is None or done.returncode == code
    return done


def test_it_needs_nothing_but_python_and_pyarrow(verify_py: Path) -> None:
    tree = ast.parse(verify_py.read_text("utf-8"))
    names = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names <= ALLOWED


def test_no_module_takes_a_name_of_another(verify_py: Path) -> None:
    """One namespace for all: a second definition of a name would change the first's module."""
    names: Counter[str] = Counter()
    for node in ast.parse(verify_py.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] += 1
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.fixture(scope="session")
def plain_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_site(
        tmp_path_factory.mktemp("plain") / "site",
        lambda text: text.replace("enabled: true", "enabled: false"),
    )
    ws = open_site(folder, "test")
    lake(ws, [page(utc("2026-11-09 09:00")), page(utc("2026-11-19 09:00"))])
    derived(ws, utc("2026-11-20 05:00"))
    return folder


def ours(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    """What the product says of the same folder at the same time."""
    monkeypatch.setattr(place, "now", lambda: AS_OF)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        fairwatch(["retention", "verify", "--json", "--site", str(site)])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_clean_site(
    verify_py: Path,
    plain_site: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mine = ours(plain_site, monkeypatch, capsys)
    theirs = json.loads(stranger(verify_py, plain_site, "--json", code=0).stdout)
    assert [s for s in theirs["stores"] if s not in mine["stores"]] == []
    assert theirs == mine
    told = stranger(verify_py, plain_site, "--limit-days", "365", code=0).stdout
    assert "Nothing older than 2025-11-21 was found in any store." in told
    late = stranger(verify_py, plain_site, "--limit-days", "5", "--json", code=7).stdout
    assert json.loads(late)["clean"] is False
    kept = stranger(verify_py, plain_site, "--keep", "events=5", "--json", code=7).stdout
    late_stores = {s["store"] for s in json.loads(kept)["stores"] if s["overdue_rows"]}
    assert "events" in late_stores
    assert "usage" not in late_stores


def test_sealed_partitions_are_opened_with_the_keys_somebody_was_given(
    verify_py: Path, tmp_path: Path
) -> None:
    ws = open_site(make_site(tmp_path / "site"), "test")
    lake(ws, [page(utc("2025-11-02 09:00")), page(utc("2026-11-19 09:00"))])
    closed = json.loads(stranger(verify_py, ws.folder, "--json", code=7).stdout)
    events = next(s for s in closed["stores"] if s["store"] == "events")
    assert [e.rpartition(": ")[2] for e in events["unreadable"]] == ["no key was given for it"] * 2
    keys = tmp_path / "keys.json"
    ids = [key.id for key in ws.keys.ring.day_keys()]
    known = {i: base64.b64encode(ws.keys.unwrapped(i)).decode() for i in ids}
    keys.write_text(json.dumps(known))
    opened = json.loads(
        stranger(verify_py, ws.folder, "--json", "--keys", str(keys), code=7).stdout
    )
    events = next(s for s in opened["stores"] if s["store"] == "events")
    assert (events["rows"], events["overdue_rows"], events["unreadable"]) == (2, 1, [])
    keys.write_text(json.dumps({i: k for i, k in known.items() if "2026" in i}))
    partly = json.loads(
        stranger(verify_py, ws.folder, "--json", "--keys", str(keys), code=7).stdout
    )
    events = next(s for s in partly["stores"] if s["store"] == "events")
    [told] = events["unreadable"]
    assert "no key (destroyed)" in told


@pytest.mark.parametrize("seed", range(4))
def test_planted_sites_get_the_same_answers(
    verify_py: Path,
    tmp_path: Path,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every kind of canary, a few to a site, each in a folder of its own."""
    folder = make_site(tmp_path / "site")
    open_site(folder, "test")
    names = sorted(CANARIES)
    random.Random(7).shuffle(names)
    for name in names[seed::4]:
        CANARIES[name](folder / "found" / name)
    put(folder, "locked.bin", b"Salted__" + bytes(range(200)))
    # Ours comes second: the alarm it raises is a row of the state it looked into.
    theirs = json.loads(stranger(verify_py, folder, "--json", code=7).stdout)
    assert ours(folder, monkeypatch, capsys) == theirs
    assert len(theirs["overdue"]) >= len(names[seed::4])


@settings(max_examples=25)
@given(
    people=st.sampled_from(["people.csv", "hr/people.csv"]),
    policies=st.lists(st.sampled_from(["policy.yaml", "old/b3.yaml", "x y.yaml"]), max_size=3),
    flow=st.booleans(),
)
def test_it_finds_the_files_the_settings_name(
    tmp_path_factory: pytest.TempPathFactory, people: str, policies: list[str], flow: bool
) -> None:
    folder = tmp_path_factory.mktemp("named")
    text = f"organisation: {{name: x}}\npeople: {people}   # who\n"
    if policies and flow:
        text += f"policy: [{', '.join(policies)}]\n"
    elif policies:
        text += "policy:\n" + "".join(f"  - {p}\n" for p in policies) + "mail:\n  host: x\n"
    (folder / "fairwatch.yaml").write_text(text)
    assert named_files(folder) == {people, *policies}
