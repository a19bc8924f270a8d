"""Files that tell of days and are as old as themselves: checkpoints, time stamps, certificates."""

import re
import zipfile
from datetime import date
from pathlib import Path

MOST = 1 << 16
BAG = re.compile(rb"^Bagging-Date: (\d{4})-(\d\d)-(\d\d)$", re.MULTILINE)
NOTE = re.compile(rb"^time (\d{4})-(\d\d)-(\d\d)T", re.MULTILINE)
STAMP = re.compile(rb"\x18[\x0f-\x17](\d{4})(\d\d)(\d\d)\d{6}(?:\.\d+)?Z")
"""The first GeneralizedTime of an RFC 3161 answer is its own, before its certificates' dates."""


def made_on(path: Path) -> date:
    """The day such a file says it was made on; raises ValueError where it says none."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as bag:
            name = next((n for n in bag.namelist() if n.endswith("/bag-info.txt")), None)
            if name is None:
                raise ValueError("no bag-info.txt in it")
            with bag.open(name) as file:
                said = BAG.search(file.read(MOST))
    else:
        with path.open("rb") as file:
            said = (STAMP if path.suffix == ".tsr" else NOTE).search(file.read(MOST))
    if said is None:
        raise ValueError("does not say when it was made")
    return date(*(int(part) for part in said.groups()))
