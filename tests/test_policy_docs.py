"""docs/policy.md: every key of the policy's language and no other, every check, a finding as it is told."""

import re
from typing import get_args

import pytest
from conftest import ROOT
from drivers import worked_finding
from pydantic import BaseModel

from analytics.against import CHECKS
from config import hours, leave, policy, rules
from lake.datasets import USAGE
from reports import reviews

DOCUMENT = (ROOT / "docs" / "policy.md").read_text("utf-8")
MODELS: dict[str, tuple[type[BaseModel], type[BaseModel] | None]] = {
    "Policy": (policy.Policy, None),
    "Effective": (rules.Effective, None),
    "Notice": (policy.Notice, None),
    "Reason": (policy.Reason, None),
    "Working hours": (hours.WorkingHours, None),
    "Holidays": (hours.Holidays, None),
    "Permitted service": (policy.Permitted, None),
    "Exemption": (policy.Exemption, None),
    "Own devices": (policy.OwnDevices, None),
    "Blocked": (policy.Blocked, None),
    "Rule": (rules.Rule, None),
    "Rule excessive_use": (rules.ExcessiveUse, rules.Rule),
    "Rule use_in_working_hours": (rules.WorkingHoursUse, rules.Rule),
    "Rule blocked_site": (rules.BlockedSite, rules.Rule),
}


def keys(model: type[BaseModel]) -> set[str]:
    return {facts.alias or name for name, facts in model.model_fields.items()}


@pytest.mark.parametrize("heading", MODELS)
def test_every_key_is_documented_and_none_invented(heading: str) -> None:
    model, base = MODELS[heading]
    section = DOCUMENT.split(f"\n### {heading}\n", 1)[1].split("\n#", 1)[0]
    cells = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    written = re.findall(r"`([^`]+)`", " ".join(cells))
    assert len(written) == len(set(written))
    # `kind` is the same key in every rule, with another word.
    own = keys(model) - (keys(base) | {"kind"} if base else set())
    assert set(written) - ({"kind"} if model is rules.Rule else set()) == own


def test_every_kind_and_word_is_documented() -> None:
    for model in get_args(get_args(rules.AnyRule)[0]):
        (kind,) = get_args(model.model_fields["kind"].annotation)
        assert f"\n### Rule {kind}\n" in DOCUMENT
        assert f"`{kind}`" in DOCUMENT
    for word in ("working_time", "working_day", "whole_day", "outside_hours", "breaks"):
        assert word in DOCUMENT
    assert f"\n{','.join(leave.COLUMNS)}\n" in DOCUMENT


def test_every_model_of_a_policy_is_in_the_table() -> None:
    models = {
        m for module in (policy, rules, hours) for m in vars(module).values()
        if isinstance(m, type) and issubclass(m, BaseModel)
    }  # fmt: skip
    apart = {BaseModel, rules.Model, rules.TimeRule}
    assert models - apart == {m for m, _ in MODELS.values()}


def test_every_check_and_state_is_documented() -> None:
    table = re.findall(
        r"^\| ([a-z ]+) \| ", DOCUMENT.split("\n## What a finding is\n")[1], re.MULTILINE
    )
    assert table == list(CHECKS)
    for state in get_args(reviews.State):
        assert f"`{state}`" in DOCUMENT
    for act in get_args(reviews.Act):
        assert f"--{act}" in DOCUMENT
    for prefix in ("work_", "break_", "outside_"):
        assert f"`{prefix}`" in DOCUMENT
        assert any(name.startswith(prefix) for name in USAGE.schema.names)


def test_the_worked_finding_is_what_the_code_says() -> None:
    assert worked_finding.written() == worked_finding.told(), (
        "write it anew: python tests/drivers/worked_finding.py --write"
    )
