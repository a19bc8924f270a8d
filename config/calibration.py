"""The calibration script as data: what a volunteer does, for how long, and what is true of it."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.document import read


class Step(BaseModel):
    """One thing to do; `counts`: whether its minutes are use of the service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z-]+$")
    title: str
    counts: Literal["use", "nothing"]
    minutes: float = Field(gt=0, le=30)
    do: str

    def words(self, service: str) -> str:
        """What to do, with the service's name."""
        return self.do.replace("{service}", service)


class Plan(BaseModel):
    """config/plans/calibration.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    steps: list[Step] = Field(min_length=1)

    @model_validator(mode="after")
    def _measures(self) -> "Plan":
        if len({step.id for step in self.steps}) < len(self.steps):
            raise ValueError("expected steps with different ids")
        if {step.counts for step in self.steps} != {"use", "nothing"}:
            raise ValueError("expected steps that are use and steps that are not")
        return self

    @property
    def minutes(self) -> float:
        """How long all of it takes."""
        return sum(step.minutes for step in self.steps)


@cache
def plan() -> Plan:
    """The script that comes with Fairwatch."""
    return read(Path(str(files("config"))) / "plans" / "calibration.yaml", Plan)
