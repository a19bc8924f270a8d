"""Rules of a policy: what a human is asked to look at, from which number on, on which days."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

DayPart = Literal["working_time", "breaks", "outside_hours"]
"""A day falls into three: working hours, the breaks in them, and everything before and after."""

EVERY_PART: tuple[DayPart, ...] = ("working_time", "breaks", "outside_hours")


class Model(BaseModel):
    """Every part of a policy refuses keys it does not know: a misspelt rule is not a rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Effective(Model):
    """Days on which something is in force, both included; open where empty."""

    start: date | None = Field(None, alias="from")
    end: date | None = Field(None, alias="to")

    @model_validator(mode="after")
    def _in_order(self) -> "Effective":
        if self.start and self.end and self.end < self.start:
            raise ValueError(f"expected `to` on or after `from`; {self.end} is before {self.start}")
        return self

    def covers(self, day: date) -> bool:
        """Whether `day` lies inside."""
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)

    def meets(self, other: "Effective") -> bool:
        """Whether there is a day that lies inside both."""
        starts = max(self.start or date.min, other.start or date.min)
        return starts <= min(self.end or date.max, other.end or date.max)


ALWAYS = Effective.model_validate({})


class Rule(Model):
    """What every rule says of itself."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    clauses: list[str] = Field(min_length=1)
    decided_by: str = Field(min_length=1)
    effective: Effective = ALWAYS


class TimeRule(Rule):
    """Over `minutes` on at least `days` days of a week, or over `week_minutes` in a week."""

    minutes: float | None = Field(None, gt=0, le=24 * 60)
    days: int | None = Field(None, ge=1, le=7)
    week_minutes: float | None = Field(None, gt=0, le=7 * 24 * 60)

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_decided(cls, data: Any) -> Any:
        if isinstance(data, dict):
            numbers = {n: data.get(n) for n in ("minutes", "week_minutes")}
            if all(n in (None, "") for n in numbers.values()):
                raise ValueError(
                    "expected `minutes` (a day, with `days`) or `week_minutes`: the policy's words "
                    "give no number, so the organisation has to set one; there is no default for "
                    "what is too much"
                )
            if numbers["minutes"] not in (None, "") and data.get("days") in (None, ""):
                raise ValueError(
                    "expected `days` beside `minutes`: on how many days of a week they may be "
                    "exceeded before somebody looks is for the organisation to decide"
                )
            if numbers["minutes"] in (None, "") and data.get("days") not in (None, ""):
                raise ValueError("expected `days` only beside `minutes`: a week's sum has no days")
        return data

    @property
    def counted(self) -> tuple[DayPart, ...]:
        """The parts of a day whose minutes the rule counts."""
        raise NotImplementedError


class ExcessiveUse(TimeRule):
    """Too much non-work social media time."""

    kind: Literal["excessive_use"]
    when: Literal["working_time", "working_day", "whole_day"]

    @property
    def counted(self) -> tuple[DayPart, ...]:
        """The parts of a day whose minutes the rule counts."""
        return EVERY_PART[: {"working_time": 1, "working_day": 2, "whole_day": 3}[self.when]]


class WorkingHoursUse(TimeRule):
    """Personal use outside the hours in which it is permitted."""

    kind: Literal["use_in_working_hours"]
    permitted_hours: list[Literal["breaks", "outside_hours"]] = ["breaks", "outside_hours"]

    @property
    def counted(self) -> tuple[DayPart, ...]:
        """The parts of a day whose minutes the rule counts."""
        return tuple(part for part in EVERY_PART if part not in self.permitted_hours)


class BlockedSite(Rule):
    """Blocked sites: at least `attempts` refused visits, or `reached` visits let through, a week.

    `categories` and `services` narrow the rule to some of what is blocked; empty: to all of it.
    """

    kind: Literal["blocked_site"]
    attempts: int | None = Field(None, ge=1)
    reached: int | None = Field(None, ge=1)
    categories: list[str] = []
    services: list[str] = []

    @model_validator(mode="after")
    def _counts_something(self) -> "BlockedSite":
        if self.attempts is None and self.reached is None:
            raise ValueError(
                "expected `attempts` (refused visits a week), `reached` (visits let through a "
                "week) or both: the organisation has to set a number"
            )
        return self


AnyRule = Annotated[ExcessiveUse | WorkingHoursUse | BlockedSite, Field(discriminator="kind")]
