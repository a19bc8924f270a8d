"""Every log format Fairwatch reads, and how a file's own is recognised.

Squid's are compiled from its `logformat` lines; all others are descriptions in `products/`, one file
each, and in a site's own folder `formats/`. docs/formats.md says how to write one.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path

from config.document import read
from errors import BadConfiguration
from ingest.formats.block import NOTHING_SAID, Block, Given, Parsed
from ingest.formats.described import Described
from ingest.formats.description import Description
from ingest.formats.kin import KIN
from ingest.formats.recognise import CERTAIN, Format, Recognised, recognise
from ingest.formats.squid import APACHE, SQUID, SQUID_COMBINED, compiled
from ingest.formats.tinyproxy import TINYPROXY

PRODUCTS = Path(str(files("ingest.formats"))) / "products"
COMPILED: tuple[Format, ...] = (SQUID, SQUID_COMBINED, APACHE, *KIN, TINYPROXY)


@cache
def names() -> tuple[str, ...]:
    """The names of all formats that come with Fairwatch."""
    described = {path.stem for path in PRODUCTS.glob("*.yaml")}
    return tuple(sorted({f.name for f in COMPILED} | described))


@cache
def described(path: Path) -> Described:
    """The format of a description; raises BadConfiguration naming file, line and key."""
    return Described(path.stem, read(path, Description))


@cache
def all_formats() -> tuple[Format, ...]:
    """Every format that comes with Fairwatch: products first, then those that guess by names."""
    found = [described(path) for path in sorted(PRODUCTS.glob("*.yaml"))]
    # CEF and LEEF hold pairs as well: what reads any pairs comes last.
    found = sorted(found, key=lambda f: (f.generic, f.broad, f.name == "key-value"))
    return (*COMPILED, *found)


def own(folder: Path | None) -> list[Format]:
    """The formats a site describes itself, in its folder `formats/`."""
    return [described(path) for path in sorted(folder.glob("formats/*.yaml"))] if folder else []


def named(name: str, folder: Path | None = None) -> list[Format]:
    """The formats a source may mean by `name` (`combined` is written by Squid and by Apache)."""
    if name == "auto":
        return [*own(folder), *all_formats()]
    mine = [f for f in own(folder) if f.name == name]
    found = mine or [f for f in COMPILED if f.name == name]
    if not found and name in names():
        found = [described(PRODUCTS / f"{name}.yaml")]
    if not found:
        known = ", ".join(sorted({*names(), *(f.name for f in own(folder))}))
        raise BadConfiguration(f"format: found {name!r}; expected auto or one of {known}.")
    return found


def choose(name: str, logformat: str | None, folder: Path | None = None) -> list[Format]:
    """The formats to try for a source."""
    return [compiled(logformat)] if logformat else named(name, folder)


__all__ = [
    "CERTAIN",
    "COMPILED",
    "NOTHING_SAID",
    "Block",
    "Format",
    "Given",
    "Parsed",
    "Recognised",
    "all_formats",
    "choose",
    "described",
    "named",
    "names",
    "own",
    "recognise",
]
