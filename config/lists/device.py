"""The category a proxy or firewall wrote itself: a further witness, reduced to words we ship."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from config.document import read

OTHER = "other"
"""A word we know, of no category the policy names."""


class Words(BaseModel):
    """The shipped words: by our category, sensitive ones, and ordinary ones of neither."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    vendors: dict[str, str]
    categories: dict[str, dict[str, list[str]]]
    sensitive: list[str]
    sensitive_stems: list[str]
    ordinary: list[str]


@dataclass(frozen=True)
class Told:
    """What a device's word says: our category, `other`, or None for a word we do not know."""

    category: str | None
    sensitive: bool = False


NOTHING = Told(None)


@cache
def shipped() -> Words:
    """The words that come with Fairwatch."""
    return read(Path(str(files("config"))) / "sites" / "device-categories.yaml", Words)


@cache
def _known() -> dict[str, str]:
    words = {_plain(word): OTHER for word in shipped().ordinary}
    for category, vendors in shipped().categories.items():
        words.update({_plain(word): category for said in vendors.values() for word in said})
    return words


@cache
def _sensitive() -> tuple[frozenset[str], re.Pattern[str]]:
    stems = "|".join(re.escape(stem) for stem in shipped().sensitive_stems)
    return frozenset(_plain(word) for word in shipped().sensitive), re.compile(rf"\b(?:{stems})")


def told(text: str) -> Told:
    """What a device's own category says; several, as `Social Networking;Chat`, are each looked at.

    A word nobody shipped is sensitive if it sounds so, else it says nothing.
    """
    pieces = [text, *re.split(r"[;,|]", text)]
    words = [_plain(piece[:200]) for piece in pieces[:20]]
    exact, stems = _sensitive()
    known = _known()
    if any(w in exact or (w not in known and stems.search(w)) for w in words):
        return Told(None, sensitive=True)
    found = [known[w] for w in words if w in known]
    ours = [category for category in found if category != OTHER]
    return Told(next(iter([*ours, *found]), None))


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", word.lower()).strip()
