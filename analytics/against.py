"""What speaks against a finding: a section with a place for every check, which cannot be left empty."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

Figure = float | int | str | bool | None


GRADES = {
    "A": "a person's navigation was seen",
    "B": "pages of the service itself were seen",
    "C": "bursts of connections led by the service's own site were seen, no pages",
}
"""Grade D, only names or tunnels, never counts."""

IDENTITIES = {
    "login": "the proxy asked for a name, and the list of people knows it",
    "assigned": "no name was logged; the list of people assigns the address to this person",
    "lease": (
        "no name was logged; leases, RADIUS or logons show this person alone behind the address at "
        "those instants, which is not proof of who sat there"
    ),
    "unlisted": "the log's name is not in the list of people",
    "ambiguous": "the log's name fits several people",
    "shared": "an account or address that several people use",
    "service": "a machine's or a program's own account",
    "address": "nothing but an address is known",
}
"""How a record's person is known; of the last four nothing is ever held against anybody."""


class NotEvaluated(Exception):
    """Checks that have to be made before there can be a finding, and were not."""

    def __init__(self, checks: list[str]) -> None:
        super().__init__(f"not evaluated: {', '.join(checks)}")
        self.checks = checks


@dataclass(frozen=True)
class Said:
    """What a check came to, in a sentence, with the figures behind it."""

    text: str
    figures: Mapping[str, Figure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("a check says what it came to")


@dataclass(frozen=True)
class Against:
    """One thing that was checked and may speak for the person."""

    check: str
    text: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True, kw_only=True)
class SpeaksAgainst:
    """Everything that was looked at and may speak for the person.

    Raises NotEvaluated where a place is empty: no finding can be built without having looked.
    """

    threshold: Said
    interval: Said
    grade: Said
    embedded_content: Said
    background_traffic: Said
    identity: Said
    shared_device: Said
    own_devices: Said
    breaks_and_free_time: Said
    after_hours_share: Said
    leave_and_holidays: Said
    permitted_and_authorised_use: Said
    team: Said
    list_disputes: Said
    missing_data: Said
    other_rules: Said
    calibration: Said

    def __post_init__(self) -> None:
        empty = [f.name for f in fields(self) if not isinstance(getattr(self, f.name), Said)]
        if empty:
            raise NotEvaluated([plain(name) for name in empty])

    @classmethod
    def of(cls, made: Mapping[str, Said | None]) -> "SpeaksAgainst":
        """From checks by name; one that is missing or None was not evaluated."""
        if unknown := set(made) - {f.name for f in fields(cls)}:
            raise TypeError(f"no such checks: {sorted(unknown)}")
        given: dict[str, Any] = {f.name: made.get(f.name) for f in fields(cls)}
        return cls(**given)

    def __iter__(self) -> Iterator[Against]:
        """In a reader's order; where published rules differ much from ours, that stands first."""
        names = [f.name for f in fields(self)]
        if self.other_rules.figures.get("differs"):
            names = ["other_rules", *(n for n in names if n != "other_rules")]
        for name in names:
            said: Said = getattr(self, name)
            yield Against(plain(name), said.text, said.figures)


def plain(name: str) -> str:
    """A check as people read it."""
    return name.replace("_", " ")


CHECKS = tuple(plain(f.name) for f in fields(SpeaksAgainst))
"""What must have been looked at before a finding can be built."""
