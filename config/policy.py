"""A written internet-use policy as typed, dated data: clauses, hours, exemptions, blocks, rules."""

import hashlib
import json
from collections.abc import Sequence
from datetime import date
from ipaddress import ip_address, ip_network
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from config.hours import Holidays, WorkingHours
from config.rules import ALWAYS, AnyRule, Effective, Model, Rule
from config.settings import Network


class Notice(Model):
    """When the people concerned were told; days before it are not judged."""

    given: date
    version: str


class Exemption(Model):
    """Authorised work use: a role that may use services for a purpose, within dates."""

    role: str = Field(min_length=1)
    purpose: str = Field(min_length=1)
    services: list[str] = Field(default_factory=list)
    clause: str
    effective: Effective = ALWAYS


class Permitted(Model):
    """A service whose use is not held against anyone, and the clause that says so."""

    service: str
    clause: str
    effective: Effective = ALWAYS


class OwnDevices(Model):
    """Addresses at which people's own devices stand, and whether use on them is judged at all."""

    networks: list[Network] = Field(min_length=1)
    clause: str
    counted: bool
    effective: Effective = ALWAYS

    def holds(self, address: str) -> bool:
        """Whether an address of a log is one of an own device."""
        try:
            found = ip_address(address.partition("%")[0].strip("[]"))
        except ValueError:
            return False
        plain = getattr(found, "ipv4_mapped", None) or found
        return any(plain in ip_network(one) for one in self.networks)


class Blocked(Model):
    """What the organisation blocks or restricts: categories and services of the lists, or hosts."""

    categories: list[str] = Field(default_factory=list)
    services: list[str] = Field(default_factory=list)
    hosts: list[str] = Field(default_factory=list)
    clause: str | None = None
    effective: Effective = ALWAYS


def _one_block_may_stand_alone(data: Any) -> Any:
    return [data] if isinstance(data, dict) else data


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
    own_devices: list[OwnDevices] = Field(default_factory=list)
    blocked: Annotated[list[Blocked], BeforeValidator(_one_block_may_stand_alone)]
    rules: list[AnyRule]

    @model_validator(mode="after")
    def _cited_clauses_exist(self) -> "Policy":
        cited = [(f"rule {r.id}", c) for r in self.rules for c in r.clauses]
        cited += [(f"exemption of role {e.role}", e.clause) for e in self.exempt]
        cited += [(f"permitted service {p.service}", p.clause) for p in self.permitted]
        cited += [(f"reason {r.id}", r.clause) for r in self.reasons]
        cited += [("own_devices", o.clause) for o in self.own_devices]
        cited += [("blocked", b.clause) for b in self.blocked if b.clause]
        cited += [("retention", self.retention)] if self.retention else []
        for what, clause in cited:
            if clause not in self.clauses:
                raise ValueError(
                    f"expected every clause cited to stand under `clauses`; "
                    f"{what} cites {clause}, which does not"
                )
        return self

    @model_validator(mode="after")
    def _every_rule_can_hold(self) -> "Policy":
        for number, rule in enumerate(self.rules):
            if not rule.effective.meets(self.effective):
                raise ValueError(
                    f"expected days on which the policy is in force; rule {rule.id} names none of "
                    f"them under `effective`, so that it would never judge"
                )
            if any(
                r.id == rule.id and r.effective.meets(rule.effective) for r in self.rules[:number]
            ):
                raise ValueError(
                    f"expected a different id for every rule, or `effective` days that do not "
                    f"overlap: {rule.id} stands twice for the same days"
                )
        return self

    def named_categories(self) -> set[str]:
        """Categories whose hosts may be stored under their name."""
        blocked = {category for one in self.blocked for category in one.categories}
        return {*self.categories, *blocked, BLOCKED_HOST}

    def blocked_on(self, day: date) -> Blocked:
        """All that is blocked or restricted on a day."""
        held = [one for one in self.blocked if one.effective.covers(day)]
        return Blocked(
            categories=sorted({c for one in held for c in one.categories}),
            services=sorted({s for one in held for s in one.services}),
            hosts=sorted({h for one in held for h in one.hosts}),
        )

    def own_device(self, address: str, day: date) -> OwnDevices | None:
        """What the policy says of an own device at this address; None: the organisation's device."""
        held = (one for one in self.own_devices if one.effective.covers(day))
        return next((one for one in held if one.holds(address)), None)

    def version_of(self, rule: Rule) -> str:
        """A digest of a rule as it stands, with the words it cites and the version of the policy.

        The day it ends is not in it: a rule that is ended judged its days by the same words.
        """
        cited = {
            "policy": [self.id, self.version],
            "clauses": {c: self.clauses[c] for c in rule.clauses},
            "rule": rule.model_dump(mode="json", exclude={"effective"}),
            "since": str(rule.effective.start),
        }
        text = json.dumps(cited, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def held_on(self, day: date) -> dict[str, Any]:
        """Plain data of all a day is judged by; what holds on other days only is not in it."""

        def held(parts: Sequence[Permitted | Exemption | OwnDevices]) -> list[dict[str, Any]]:
            holding = [one for one in parts if one.effective.covers(day)]
            return [one.model_dump(mode="json", exclude={"effective"}) for one in holding]

        rules = [rule for rule in self.rules if rule.effective.covers(day)]
        return {
            "policy": [self.id, self.version],
            "applies_to": self.applies_to,
            "categories": self.categories,
            "working_hours": self.working_hours.model_dump(mode="json"),
            "holiday": self.holidays.on(day),
            "permitted": held(self.permitted),
            "exempt": held(self.exempt),
            "own_devices": held(self.own_devices),
            "blocked": self.blocked_on(day).model_dump(mode="json"),
            "rules": {rule.id: self.version_of(rule) for rule in rules},
        }

    def judges(self, day: date) -> bool:
        """Whether a day can be judged: in force, and after the people concerned were told."""
        return self.effective.covers(day) and day >= self.notice.given


BLOCKED_HOST = "blocked_site"
"""The category of a host that stands in the policy's own block list and in no site list."""
