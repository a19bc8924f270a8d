"""The architecture, executable: who may import whom, and where each engine may appear."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "proofs": {"errors"},
    "ledger": {"proofs", "errors"},
    "config": {"errors"},
    "state": {"ledger", "errors"},
    "lake": {"state", "errors"},
    "workspace": {"config", "lake", "state", "ledger", "errors"},  # lake: the site's day keys
    "clock": {"lake", "workspace", "errors"},
    "subjects": {"lake", "state", "workspace", "config", "errors"},  # whose rows
    "holds": {"subjects", "lake", "state", "workspace", "errors"},
    "rights": {"retention", "holds", "subjects", "lake", "state", "workspace", "config", "errors"},
    "ingest": {"subjects", "lake", "state", "workspace", "config", "errors"},
    "analytics": {"subjects", "lake", "state", "workspace", "config", "errors"},
    "reports": {
        *("analytics", "retention", "proofs"),  # a certificate is a report on a purge
        *("rights", "holds", "subjects"),
        *("lake", "state", "workspace", "config", "errors"),
    },
    "retention": {"clock", "holds", "subjects", "lake", "state", "workspace", "config", "errors"},
    "jobs": {
        "ingest",
        "analytics",
        "reports",
        "retention",
        "rights",
        "holds",
        "clock",
        "workspace",
        "errors",
    },
    "scheduler": {"jobs", "reports", "clock", "state", "workspace", "errors"},
    "fairwatch": {
        *("scheduler", "jobs", "ingest", "analytics", "reports", "retention"),
        *("rights", "holds", "subjects"),
        *("proofs", "clock", "lake", "state", "workspace", "config", "errors"),
    },
}
ONLY_IN = {
    "apscheduler": {"scheduler"},
    "cryptography": {"lake", "proofs"},  # day keys; signatures
    "duckdb": {"analytics"},
    "holidays": {"config"},
    "ijson": {"ingest"},
    "jinja2": {"reports"},
    "ldap3": {"fairwatch"},  # it talks to the network
    "pandas": {"reports"},
    "paramiko": {"ingest"},  # remote.py alone, as smtplib is in smtp.py alone
    "rfc3161_client": {"proofs"},
    "rich": {"fairwatch"},
    "smtplib": {"reports"},
    "sqlite3": {"lake"},  # the witness, which believes nobody
    "tldextract": {"config"},
    "typer": {"fairwatch"},
    "yaml": {"config"},
}
CLOCKS = {("datetime", "now"), ("datetime", "today"), ("date", "today"), ("time", "time")}
OUTSIDE = {"fairwatch", "scheduler"}
MODULES = [
    pytest.param(name, path, id=str(path.relative_to(ROOT)))
    for name in MAY_IMPORT
    for path in [ROOT / f"{name}.py", *sorted((ROOT / name).rglob("*.py"))]
    if path.exists()
]


def imports(path: Path) -> set[str]:
    """Top-level names imported anywhere in a module, even inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_the_arrows_form_no_cycle() -> None:
    assert list(TopologicalSorter(MAY_IMPORT).static_order())


def test_every_module_is_in_the_picture() -> None:
    modules = {p.stem for p in ROOT.glob("*.py")}
    packages = {p.parent.name for p in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert modules | packages == set(MAY_IMPORT)


@pytest.mark.parametrize(("name", "path"), MODULES)
def test_imports_only_what_it_may(name: str, path: Path) -> None:
    ours = (imports(path) & MAY_IMPORT.keys()) - {name}
    engines = {engine for engine, homes in ONLY_IN.items() if name not in homes}
    assert ours <= MAY_IMPORT[name]
    assert not imports(path) & engines


@pytest.mark.parametrize(("name", "path"), MODULES)
def test_no_clock_below_the_surface(name: str, path: Path) -> None:
    """`now` is an argument: only the command line and the timetable ask the machine for it."""
    if name in OUTSIDE:
        return
    asked = {
        (node.func.value.id, node.func.attr)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
    }
    assert not asked & CLOCKS


def test_one_module_of_ingest_opens_connections() -> None:
    """Where logs come from over a network is one place; everything else reads what it is given."""
    connecting = {
        path.name
        for path in (ROOT / "ingest").rglob("*.py")
        if imports(path) & {"paramiko", "socket", "urllib3", "requests"}
        or "pyarrow import fs" in path.read_text("utf-8")
    }
    assert connecting == {"remote.py"}


def test_no_sql_is_built_with_data_in_it() -> None:
    """Questions live in files; the few f-strings that make SQL name tables, columns, questions."""
    for path in sorted((ROOT / "analytics").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                text = ast.unparse(node)
                if "SELECT" in text.upper().split() or "CREATE OR REPLACE" in text:
                    assert path.name == "engine.py", f"{path.name}: {text}"


def test_every_package_and_module_opens_with_one_sentence() -> None:
    for _, path in (p.values for p in MODULES):
        assert isinstance(path, Path)
        tree = ast.parse(path.read_text("utf-8"))
        if tree.body:
            assert ast.get_docstring(tree), f"{path.relative_to(ROOT)} has no docstring"
