"""A finding: a matter to look at, with its days, its clauses, its versions, and what speaks against it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any

from analytics import terms
from analytics.against import CHECKS, GRADES, NotEvaluated, Said, SpeaksAgainst
from config.rules import EVERY_PART, BlockedSite, DayPart, TimeRule


@dataclass(frozen=True)
class DayMeasure:
    """One day of a finding: minutes as an interval, or counted visits to blocked sites."""

    day: date
    low: float
    likely: float
    high: float
    note: str


@dataclass(frozen=True)
class Finding:
    """A matter to look at: never a verdict, never a rank.

    Raises NotEvaluated where what speaks against it was not looked at in full, and ValueError for
    evidence that never counts.
    """

    id: str
    rule: str
    kind: str
    clauses: dict[str, str]
    person: str
    identity: str
    week: str
    first_day: date
    last_day: date
    unit: str
    low: float
    likely: float
    high: float
    threshold: str
    grade: str
    days: list[DayMeasure]
    against: SpeaksAgainst
    versions: dict[str, str]

    def __post_init__(self) -> None:
        if not isinstance(self.against, SpeaksAgainst):
            raise NotEvaluated(["what speaks against it"])
        if self.grade not in GRADES:
            raise ValueError(f"evidence of grade {self.grade} never counts")
        if not self.days:
            raise ValueError("a finding names its days")

    @property
    def facts(self) -> str:
        """A digest of what the finding rests on; as long as it is the same, so is the matter."""
        days = [(str(d.day), d.low, d.likely, d.high, d.note) for d in self.days]
        return terms.digest([self.rule, self.person, self.week, self.unit, self.threshold, days])

    def as_json(self) -> dict[str, Any]:
        """Plain data, days as ISO texts."""
        whole = {**vars(self), "days": [asdict(d) for d in self.days], "facts": self.facts}
        whole["against"] = [{**vars(a), "figures": dict(a.figures)} for a in self.against]
        plain: dict[str, Any] = json.loads(json.dumps(whole, default=str))
        return plain

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Finding":
        """A finding as it was kept; raises NotEvaluated for one an earlier version judged by less."""
        given = {f.name: plain[f.name] for f in fields(cls)}
        days = [DayMeasure(**{**d, "day": date.fromisoformat(d["day"])}) for d in given["days"]]
        against = {
            a["check"].replace(" ", "_"): Said(a["text"], a.get("figures", {}))
            for a in given["against"]
        }
        first, last = (date.fromisoformat(given[name]) for name in ("first_day", "last_day"))
        checks = {name: against.get(name) for name in (c.replace(" ", "_") for c in CHECKS)}
        return cls(**{
            **given, "days": days, "first_day": first, "last_day": last,
            "against": SpeaksAgainst.of(checks),
        })  # fmt: skip


@dataclass(frozen=True)
class Withheld:
    """A matter that could not be judged, and the checks that could not be made; it names nobody."""

    week: str
    rule: str
    not_evaluated: list[str]


@dataclass(frozen=True)
class Judgement:
    """Weeks judged: what was found, by week, person and rule, and what could not be judged."""

    found: list[Finding]
    withheld: list[Withheld]


PARTS_IN_WORDS: dict[tuple[DayPart, ...], str] = {
    ("working_time",): "in working time",
    ("working_time", "breaks"): "in working time and breaks",
    ("working_time", "outside_hours"): "outside breaks",
    EVERY_PART: "a day",
}


def where(rule: TimeRule) -> str:
    """The parts of the day a rule counts, in words."""
    return PARTS_IN_WORDS[rule.counted]


def time_threshold(rule: TimeRule) -> str:
    """A rule's number of minutes in words."""
    told = []
    if rule.minutes is not None:
        often = f"on at least {rule.days} days of a week"
        told.append(f"more than {rule.minutes:g} minutes {where(rule)} {often}")
    if rule.week_minutes is not None:
        of_week = "" if rule.counted == EVERY_PART else f" {where(rule)}"
        told.append(f"more than {rule.week_minutes:g} minutes{of_week} in a week")
    return ", or ".join(told)


def blocked_threshold(rule: BlockedSite) -> str:
    """A rule's number of visits in words."""
    told = []
    if rule.attempts is not None:
        told.append(f"{rule.attempts} refused visits")
    if rule.reached is not None:
        told.append(f"{rule.reached} {'' if told else 'visits '}let through")
    return f"{' or '.join(told)} in a week"
