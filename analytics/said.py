"""The words of each check of a finding, from what was looked up; None where it could not be."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import pyarrow as pa

from analytics import calibration
from analytics.against import IDENTITIES, Said
from analytics.engine import Engine
from analytics.lookups import Client, Clients, Host, Peers, Shares
from analytics.questions import SMALLEST_GROUP
from analytics.rivals import Panel, differs
from config.policy import Policy
from config.rules import BlockedSite, Rule, TimeRule
from workspace import Workspace


def threshold(rule: Rule, text: str) -> Said:
    """Who decided the number, if anybody."""
    if rule.decided_by.strip().lower() == "suggestion":
        return Said(
            f"The number ({text}) is a suggestion of Fairwatch: nobody in the organisation has "
            f"decided it yet, and nobody has been told it.",
            {"decided": False},
        )
    return Said(f"The number ({text}) was decided by {rule.decided_by}.", {"decided": True})


def interval(low: float, high: float) -> Said:
    """How far the truth may lie off, and which end of it is judged."""
    return Said(
        f"The true value lies between {low:.0f} and {high:.0f} minutes by the rules of the method; "
        f"only the lower figure is judged.",
        {"low": round(low, 2), "high": round(high, 2)},
    )


def embedded(shares: Shares | None, days: int) -> Said | None:
    """How much of what was logged other sites' pages brought along."""
    if shares is None or shares.days < days:
        return None
    return Said(
        f"{_of(shares.embedded, shares.rows)} of the log lines that named these services on these "
        f"days were buttons, frames, players or files in other sites' pages, or followed from them; "
        f"none of these counts.",
        {"embedded_rows": shares.embedded, "rows": shares.rows},
    )


def background(shares: Shares | None, days: int) -> Said | None:
    """How much came without anybody, or could not be told."""
    if shares is None or shares.days < days:
        return None
    return Said(
        f"{_of(shares.background, shares.rows)} of the log lines came from timers, apps and "
        f"connections kept open, and {_of(shares.unknown, shares.rows)} could not be told apart; "
        f"none of these counts.",
        {
            "background_rows": shares.background,
            "unknown_rows": shares.unknown,
            "rows": shares.rows,
        },
    )


def identity(grade: str) -> Said:
    """How it is known whose the lines are."""
    return Said(f"Identity \u201c{grade}\u201d: {IDENTITIES[grade]}.", {"identity": grade})


def shared_device(found: Clients | None) -> Said | None:
    """Whether somebody else may have sat at the person's devices."""
    if found is None:
        return None
    figures = {"addresses": found.clients, "shared": found.shared}
    if not found.shared:
        return Said(
            f"Addresses used: {found.clients}, none of them under another name in this time.",
            figures,
        )
    return Said(
        f"Addresses used: {found.clients}, of which {found.shared} under other names as well: "
        f"somebody else may have sat at the device.",
        figures,
    )


def own_devices(policy: Policy, found: Sequence[Client] | None) -> Said | None:
    """Whether the devices were the organisation's."""
    if found is None:
        return None
    days = {c.day for c in found}
    if not any(o.effective.covers(day) for o in policy.own_devices for day in days):
        return Said(
            "The policy names no networks of people's own devices; whether the device was the "
            "organisation's has to be asked."
        )
    own = {c.client: policy.own_device(c.client, c.day) for c in found}
    theirs = {client: said for client, said in own.items() if said}
    clauses = ", ".join(sorted({said.clause for said in theirs.values()}))
    figures = {"addresses": len(own), "own_devices": len(theirs)}
    if not theirs:
        return Said(
            f"None of the {len(own)} addresses used lies in a network of own devices.", figures
        )
    left = "left out" if not any(o.counted for o in theirs.values()) else "counted as well"
    return Said(
        f"{len(theirs)} of the {len(own)} addresses used lie in networks of people's own devices "
        f"(clause {clauses}); use on them is {left}.",
        figures,
    )


def breaks(rule: TimeRule, break_min: float, uncounted_min: float) -> Said:
    """What was left out because it lay in breaks or outside working hours."""
    figures = {"break_min": round(break_min, 2), "uncounted_min": round(uncounted_min, 2)}
    if len(rule.counted) == 3:
        return Said(
            f"The rule counts the whole day; breaks are not taken out. About {break_min:.0f} of the "
            f"minutes lay in breaks.",
            figures,
        )
    return Said(
        f"About {uncounted_min:.0f} further minutes lay in times the rule does not count (of them "
        f"{break_min:.0f} in breaks) and are not held against anybody.",
        figures,
    )


def after_hours(outside_min: float, all_min: float) -> Said:
    """How much of the use lay before, after or beside the working day."""
    return Said(
        f"{_share(outside_min, all_min)} of the likely minutes of these days ({outside_min:.0f} of "
        f"{all_min:.0f}) lay outside working hours.",
        {"outside_min": round(outside_min, 2), "likely_min": round(all_min, 2)},
    )


def leave(ws: Workspace, policy: Policy, user: str, days: Sequence[date]) -> Said:
    """Whether the person was away, or nobody worked."""
    holidays = sum(1 for day in days if policy.holidays.on(day))
    away = sum(1 for day in days if user.casefold() in ws.leave.on(day))
    figures = {"holidays": holidays, "leave": away, "leave_list": ws.settings.leave is not None}
    off = f"Bank holidays among these days: {holidays}."
    if ws.settings.leave is None:
        return Said(
            f"{off} No list of leave is kept here: ask whether the person was away.", figures
        )
    if away:
        return Said(
            f"{off} By the list of leave the person was away on {away} of them: somebody else may "
            f"have used the account.",
            figures,
        )
    return Said(f"{off} The list of leave names none of them.", figures)


def permitted(ws: Workspace, policy: Policy, user: str, day: date) -> Said:
    """Roles and services that are not held against anybody."""
    person = ws.people.login(user, day)
    roles = person.roles if person else frozenset()
    exempt = [e for e in policy.exempt if e.role in roles and e.effective.covers(day)]
    held = [p for p in policy.permitted if p.effective.covers(day)]
    figures = {"roles": len(exempt), "permitted_services": len(held)}
    if exempt:
        told = "; ".join(
            f"role {e.role}: {e.purpose} (clause {e.clause}), left out" for e in exempt
        )
        return Said(f"{told}.", figures)
    names = ", ".join(ws.sites.name(p.service) for p in held)
    return Said(
        "No role of this person is recorded as authorised work use"
        + (f"; use of {names} is permitted and left out." if names else ".")
        + " Ask whether there was a work purpose.",
        figures,
    )


def team(
    ws: Workspace, engine: Engine, user: str, day: date, week: str, parts: Mapping[str, int]
) -> Said:
    """What the others of the team came to, without naming them."""
    person = ws.people.login(user, day)
    members = ws.people.team(person.manager, day) if person else []
    if len(members) <= SMALLEST_GROUP:
        return Said(
            "The team is too small to give a median without naming people.",
            {"people": len(members), "median_min": None},
        )
    engine.table("members", pa.table({"user": pa.array([p.user for p in members], pa.string())}))
    peers = engine.rows("peer_median", Peers, week=week, person=user, **parts)[0]
    median = peers.median_min or 0
    return Said(
        f"The median of the {peers.people} others of the team in this week is {median:.0f} minutes.",
        {"people": peers.people, "median_min": round(median, 2)},
    )


def disputes(hosts: Sequence[Host] | None, disputed: Callable[[Host], bool]) -> Said | None:
    """Whether lists, or the device itself, call the hosts something else."""
    if not hosts:
        return None
    rows = sum(h.rows for h in hosts)
    open_ = [h for h in hosts if disputed(h)]
    figures = {
        "hosts": len({h.host for h in hosts}),
        "disputed_hosts": len({h.host for h in open_}),
        "rows": rows,
        "disputed_rows": sum(h.rows for h in open_),
    }
    if not open_:
        return Said(
            f"No list and no device contradicts the category of the {figures['hosts']} hosts seen.",
            figures,
        )
    return Said(
        f"{figures['disputed_hosts']} of the {figures['hosts']} hosts seen "
        f"({_of(figures['disputed_rows'], rows)} of their lines) are put into another category by "
        f"another list or by the device itself; `fairwatch lists disputes` names them.",
        figures,
    )


def is_disputed(ws: Workspace, host: Host) -> bool:
    """Whether lists of the day, or the device, say something else of a host that may be named."""
    judged = ws.sites.on(host.day).judged(host.host)
    if judged.sensitive:
        return False
    return bool(judged.disputed) or host.device_category not in (None, host.category)


def missing(days: Sequence[date]) -> Said:
    """Days that were not judged because the log has a hole in them."""
    told = (
        f"Days of this week left out because the log has a gap in them: {len(days)}."
        if days
        else "The log has no gap on any day of this week."
    )
    return Said(told, {"days": len(days)})


def other_rules(panel: Panel | None) -> Said | None:
    """The same days under the published rules; where they differ much, that is said first."""
    if panel is None:
        return None
    listed = ", ".join(f"{line.rule.products} {line.minutes:.0f}" for line in panel.lines)
    alike = (
        f"Published rules come to much the same as our likely {panel.likely:.0f} minutes: {listed}."
    )
    return Said(
        panel.first_words or alike,
        {
            **{line.rule.id: round(line.minutes, 2) for line in panel.lines},
            "ours": round(panel.likely, 2),
            "differs": panel.first_words is not None,
        },
    )


def calibrated(ws: Workspace, day: date) -> Said:
    """Whether the method was measured on this network by then, and what came of it."""
    known = calibration.measured(ws, day)
    return Said(calibration.words(ws, day), {"calibrated": bool(known)})


def counted_visits(
    rule: BlockedSite, shares: Shares | None, visits: float
) -> dict[str, Said | None]:
    """The checks that mean something else where visits are counted and not minutes."""
    days = shares.days if shares else 0
    return {
        "embedded_content": embedded(shares, days),
        "background_traffic": background(shares, days),
        "interval": Said(
            "Refused requests are counted, not estimated; what a person meant by them the log does "
            "not say. A refused tunnel shows no page, so a link followed by mistake looks the same. "
            "Repeats within a minute are one visit."
        ),
        "grade": Said("Evidence of grade C: names of sites were seen, no pages.", {"grade": "C"}),
        "breaks_and_free_time": Said(
            "Blocked sites stay blocked in breaks; hours play no part.", {"counted": True}
        ),
        "after_hours_share": Said(
            "Blocked sites stay blocked after hours; visits are not told apart by the hour.",
            {"counted": True},
        ),
        "team": Said("Blocked-site visits are not compared between people."),
        "other_rules": None if shares is None else _any_line(rule, shares.rows, visits),
    }


def _any_line(rule: BlockedSite, rows: int, visits: float) -> Said:
    return Said(
        f"A reporter that counts every line would print {rows} for these days; counted here are "
        f"{visits:.0f} visits ({', '.join(_numbers(rule))}).",
        {"any_line": rows, "ours": visits, "differs": differs(rows, visits)},
    )


def _numbers(rule: BlockedSite) -> list[str]:
    return [
        f"{name} {number}"
        for name, number in (("refused from", rule.attempts), ("let through from", rule.reached))
        if number is not None
    ]


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({_share(part, whole)})"


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f}%" if whole else "none"
