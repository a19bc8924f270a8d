"""A written internet-use policy as typed, dated data: clauses, hours, thresholds, exemptions."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.hours import Holidays, WorkingHours


class Model(BaseModel):
    """Every part of a policy refuses keys it does not know: a misspelt rule is not a rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Effective(Model):
    """Days on which something is in force, both included; open where empty."""

    start: date | None = Field(None, alias="from")
    end: date | None = Field(None, alias="to")

    def covers(self, day: date) -> bool:
        """Whether `day` lies inside."""
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)


class Notice(Model):
    """When the people concerned were told; days before it are not judged."""

    given: date
    version: str


class Exemption(Model):
    """Authorised work use: a role that may use services for a purpose, within dates."""

    role: str
    purpose: str
    services: list[str] = []
    clause: str
    effective: Effective = Effective()


class Permitted(Model):
    """A service whose use is not held against anyone, and the clause that says so."""

    service: str
    clause: str


class Blocked(Model):
    """What the organisation blocks: categories and services of the site lists, or bare hosts."""

    categories: list[str] = []
    services: list[str] = []
    hosts: list[str] = []


class Rule(Model):
    """What every rule says of itself."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    clauses: list[str] = Field(min_length=1)
    decided_by: str = Field(min_length=1)


class _Minutes(Rule):
    @model_validator(mode="before")
    @classmethod
    def _numbers_are_decided(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("minutes") in (None, ""):
            raise ValueError(
                "expected `minutes`: the policy's words give no number, so the organisation has to "
                "set one; there is no default for what is too much"
            )
        return data


class ExcessiveUse(_Minutes):
    """Too much non-work social media time: over `minutes` on at least `days` days of a week."""

    kind: Literal["excessive_use"]
    minutes: float = Field(gt=0, le=24 * 60)
    days: int = Field(ge=1, le=7)
    when: Literal["working_time", "whole_day"]


class WorkingHoursUse(_Minutes):
    """Personal use inside working hours: over `minutes` on at least `days` days of a week."""

    kind: Literal["use_in_working_hours"]
    minutes: float = Field(gt=0, le=24 * 60)
    days: int = Field(ge=1, le=7)


class BlockedSite(Rule):
    """Blocked sites: at least `attempts` refused visits, or `reached` visits let through, a week."""

    kind: Literal["blocked_site"]
    attempts: int = Field(ge=1)
    reached: int = Field(ge=1)


AnyRule = Annotated[ExcessiveUse | WorkingHoursUse | BlockedSite, Field(discriminator="kind")]


class Reason(Model):
    """A reason for which a named person's data may be opened, and the clause that allows it."""

    id: str
    clause: str
    text: str


class Policy(Model):
    """One policy, in force on the days of `effective`."""

    id: str
    title: str
    version: str
    effective: Effective
    notice: Notice
    applies_to: list[str]
    clauses: dict[str, str]
    retention: str | None = None
    purposes: list[str]
    reasons: list[Reason]
    categories: list[str]
    working_hours: WorkingHours
    holidays: Holidays
    permitted: list[Permitted]
    exempt: list[Exemption]
    blocked: Blocked
    rules: list[AnyRule]

    @model_validator(mode="after")
    def _cited_clauses_exist(self) -> "Policy":
        cited = [(f"rule {r.id}", c) for r in self.rules for c in r.clauses]
        cited += [(f"exemption of role {e.role}", e.clause) for e in self.exempt]
        cited += [(f"permitted service {p.service}", p.clause) for p in self.permitted]
        cited += [(f"reason {r.id}", r.clause) for r in self.reasons]
        cited += [("retention", self.retention)] if self.retention else []
        for what, clause in cited:
            if clause not in self.clauses:
                raise ValueError(
                    f"expected every clause cited to stand under `clauses`; "
                    f"{what} cites {clause}, which does not"
                )
        ids = [rule.id for rule in self.rules]
        if len(ids) != len(set(ids)):
            raise ValueError("expected a different id for every rule")
        return self

    def named_categories(self) -> set[str]:
        """Categories whose hosts may be stored under their name."""
        return {*self.categories, *self.blocked.categories, BLOCKED_HOST}

    def judges(self, day: date) -> bool:
        """Whether a day can be judged: in force, and after the people concerned were told."""
        return self.effective.covers(day) and day >= self.notice.given


BLOCKED_HOST = "blocked_site"
"""The category of a host that stands in the policy's own block list and in no site list."""
