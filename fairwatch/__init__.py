"""The program. What has to be so before anything of it is imported is seen to here."""

import atexit
import gc
import os
import sys
from importlib.abc import MetaPathFinder
from typing import Any

# numpy's linear algebra starts a thread a processor, which then waits busily; nothing here uses it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pyarrow as pa

# Imports make many objects that stay: looking through them again and again is a tenth of a start.
gc.set_threshold(50_000, 20, 50)


@atexit.register
def _leave() -> None:
    """Let all objects go with the process: to look through them at the end takes a sixth of a second."""
    if "duckdb" not in sys.modules:  # it complains of what is left of it
        gc.freeze()


class _Unseen(MetaPathFinder):
    """Says that pandas is not there."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def _without_pandas() -> None:
    """Keep Arrow from importing pandas, half a second and 40 MB, at the first value it is handed.

    It asks once whether pandas is there, and again only where a conversion to pandas is called for.
    Some modules make Arrow values when they are imported, so this comes before all of them.
    """
    unseen = _Unseen()
    sys.meta_path.insert(0, unseen)
    try:
        pa.scalar(None)
    finally:
        sys.meta_path.remove(unseen)


_without_pandas()
