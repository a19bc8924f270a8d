"""Columns whose names speak for themselves: what products call a client, a host, a verdict."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from config.document import read
from ingest.formats.description import Judge, Layout, Take, Target, Verdict, When

ANY_TIME = ["epoch", "iso", "clf", "syslog", "ctime", "%Y/%m/%d %H:%M:%S%f", "date-local"]


class Synonyms(BaseModel):
    """ingest/formats/synonyms.yaml: for each field the names it goes by, likeliest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: dict[Target, list[str]]
    time: list[str]
    date: list[str]
    clock: list[str]
    verdict: list[str]
    words: dict[str, Verdict]
    nothing: list[str]


@cache
def synonyms() -> Synonyms:
    """The names that come with Fairwatch."""
    return read(Path(str(files("ingest.formats"))) / "synonyms.yaml", Synonyms)


def plain(name: str) -> str:
    """A name as it compares: `Source IP`, `source_ip` and `sourceIp` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def completed(layout: Layout, columns: Any) -> Layout:
    """The layout with every field it does not describe taken from the columns whose names say it."""
    there: dict[str, str] = {}
    for key in sorted(columns.keys()):
        there.setdefault(plain(key), key)
    known = synonyms()
    fields: dict[Target, list[Take]] = dict(layout.fields)
    for target, names in known.fields.items():
        found = _found(names, there)
        if found and target not in fields:
            fields[target] = [Take(from_=found)]
    return layout.model_copy(
        update={
            "fields": fields,
            "time": layout.time or _times(known, there),
            "verdict": layout.verdict
            or [Judge(from_=[n], words=known.words) for n in _found(known.verdict, there)],
            "nothing": [*layout.nothing, *known.nothing],
        }
    )


def _times(known: Synonyms, there: dict[str, str]) -> list[When]:
    day, clock = _found(known.date, there), _found(known.clock, there)
    ways = [When(from_=[n], written=ANY_TIME) for n in _found(known.time, there)]
    if day and clock:
        ways.insert(0, When(from_=[day[0], clock[0]], written=ANY_TIME))
    fallback = [When(from_=[n], written=ANY_TIME) for n in ("@time", "@wrapper.time")]
    return [*ways, *fallback]


def _found(names: Sequence[str], there: dict[str, str]) -> list[str]:
    return [there[p] for n in names if (p := plain(n)) in there]
