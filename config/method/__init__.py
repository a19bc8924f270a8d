"""The visit model's numbers as dated data: each with its unit, its meaning and its source."""

import re
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from config.document import read
from config.rules import Effective
from errors import BadConfiguration

NUMBER = re.compile(r"^(\d+(?:\.\d+)?) (s|B|share)$")


def _number(text: Any) -> Any:
    found = NUMBER.match(str(text))
    if not found:
        raise ValueError("expected a number and its unit: `5 s`, `20000 B` or `0.2 share`")
    value, unit = found.groups()
    # Instants are milliseconds in the questions.
    return {"s": round(float(value) * 1000), "B": int(float(value)), "share": float(value)}[unit]


class Threshold(BaseModel):
    """One number: milliseconds, bytes or a share; what it means; where it is from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Annotated[int | float, BeforeValidator(_number)]
    means: str
    source: str

    @model_validator(mode="before")
    @classmethod
    def _is(cls, data: Any) -> Any:
        if isinstance(data, dict) and "is" in data:
            return {**{k: v for k, v in data.items() if k != "is"}, "value": data["is"]}
        return data


class Method(BaseModel):
    """How lines become minutes on the days of `effective`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    effective: Effective = Effective()
    thresholds: dict[str, Threshold]
    link_shims: list[str]
    search_engines: list[str]

    @property
    def values(self) -> dict[str, int | float]:
        """The numbers by name, as the questions take them."""
        return {name: threshold.value for name, threshold in self.thresholds.items()}

    def is_search_engine(self, host: str) -> bool:
        """Whether a host is a search engine's, with or without a name before it."""
        return _engines(tuple(self.search_engines)).fullmatch(host) is not None


@cache
def _engines(names: tuple[str, ...]) -> re.Pattern[str]:
    bodies = "|".join(re.escape(n).replace(r"\*", "[a-z]{2,4}") for n in names)
    return re.compile(rf"(?:[^/]+\.)?(?:{bodies})")


@cache
def methods() -> tuple[Method, ...]:
    """Every version that comes with Fairwatch, oldest first."""
    folder = Path(str(files("config"))) / "method"
    return tuple(read(path, Method) for path in sorted(folder.glob("*.yaml")))


def changes() -> list[date]:
    """Days from which another version may be in force, oldest first."""
    ends = [m.effective.end + timedelta(days=1) for m in methods() if m.effective.end]
    return sorted({*ends, *(m.effective.start for m in methods() if m.effective.start)})


def method_on(day: date) -> Method:
    """The method in force on a day.

    Raises BadConfiguration where none is.
    """
    found = [m for m in methods() if m.effective.covers(day)]
    if not found:
        raise BadConfiguration(f"config/method: no version is in force on {day}.")
    return found[-1]
