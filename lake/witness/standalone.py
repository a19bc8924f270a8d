"""The witness as one file for somebody else's machine: its own modules, one after the other."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PARTS = (
    *("../age", "../datasets", "../stores", "bound", "written", "numbers", "text", "mail"),
    *("tables", "sealed", "pages", "database", "office", "packed", "look", "site", "main"),
)
"""Modules in an order in which each comes after those it uses."""

HEAD = '''\
"""Looks for event times older than a limit inside every file of a folder.

    python verify.py SITE [--limit-days 365] [--as-of DAY] [--json]

This is the code by which Fairwatch itself verifies, in one file: Python 3.11 and pyarrow are all it
needs. It shares nothing with the code that writes but the declaration of what is kept where. It opens
files for reading only, writes nothing and talks to nobody.
"""
'''
TAIL = """

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], datetime.now(UTC)))
"""


def source() -> str:
    """The text of verify.py: the modules as they are, without their imports of each other."""
    imports: set[str] = set()
    bodies = []
    for part in PARTS:
        path = (HERE / f"{part}.py").resolve()
        text = path.read_text("utf-8")
        tree = ast.parse(text)
        lines = text.splitlines()
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                if not _ours(node):
                    imports.add(ast.unparse(node))
                lines[node.lineno - 1 : node.end_lineno] = [""] * (_end(node) - node.lineno + 1)
        first = tree.body[0]
        told = (ast.get_docstring(tree) or "").splitlines()[0]
        lines[first.lineno - 1 : first.end_lineno] = [""] * (_end(first) - first.lineno + 1)
        body = re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip("\n")
        bodies.append(f"\n\n# {path.stem}: {told}\n\n{body}\n")
    return "\n".join([HEAD, *sorted(imports)]) + "\n" + "".join(bodies) + TAIL


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _ours(node: ast.Import | ast.ImportFrom) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lake.")
