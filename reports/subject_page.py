"""The first page of a bundle: for the person concerned, in plain English, by what was just gathered."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from analytics import calibration
from analytics.against import GRADES
from analytics.people import gap_days
from analytics.questions import feed_gaps
from config.settings import Retention
from lake.datasets import DATASETS
from reports.render import MONTHS, render
from reports.subject_looks import BY_NAME, ECHOES, EVERYBODY, TEAM, Look
from reports.subject_records import Records
from reports.subject_rows import Gathered, Told
from retention import keep_days
from rights.register import Right
from workspace import Workspace

ROWS = {
    "events": "Your requests as the proxy or firewall logged them: when, from which address, to which site. No address "
    "of a page and no search words are kept, unless this organisation chose so; sites outside the policy's "
    "categories are called “other”.",
    "signs": "What each line of a listed site was taken for: a visit of yours, a part of somebody's page, a "
    "program's own doing. By which rule is said beside it.",
    "activity": "Stretches of time in which a site was used, with the least, the likely and the most seconds.",
    "usage": "Minutes a day and category, without counting anything twice; working time, breaks and the rest apart.",
    "tally": "How many lines a day and site, by what they were taken for: they add up to all lines read.",
    "blocked": "Visits to sites the policy blocks, refused or let through, and what was left out as nobody's doing.",
}
RECORDS = {
    "findings": ("findings.json", "Matters a rule of the policy asks a human to look at, with all that speaks against them.", "findings"),
    "reviews": ("reviews.csv", "What humans wrote down about those matters, and what was said by you or for you.", "findings"),
    "cases": ("cases.csv", "When your data was asked for by name, by whom, for which reason of the policy, and who agreed.", "cases"),
    "packs": ("packs.csv", "The packs built for those cases.", "evidence"),
    "requests": ("requests.csv", "Requests about your data: access, restriction, erasure.", "usage"),
    "holds": ("holds.csv", "Legal holds: that a copy of some days is kept for a legal matter, and when that is looked at again.", "cases"),
    "people": ("people.csv", "Your rows in the organisation's list of people.", None),
    "leave": ("leave.csv", "Days on which you were away; never why.", None),
    "calibration": ("calibration.json", "What you did in a script, if you volunteered for one.", "calibration"),
}  # fmt: skip
FEW_LOOKS = 100
"""Looks the page names one by one; the file beside it has all."""
BY_HAND = "as long as the organisation keeps it there: it is a list somebody writes by hand"


@dataclass(frozen=True)
class File:
    """A file of the bundle as the page lists it."""

    name: str
    what: str
    rows: int
    first: date | None
    last: date | None
    keep: str


@dataclass
class Month:
    """Time on social media in a month, minutes; sums of days, of which each is a union."""

    name: str
    days: int = 0
    low: float = 0.0
    likely: float = 0.0
    high: float = 0.0
    work_low: float = 0.0
    work_high: float = 0.0
    gaps: int = 0
    grades: str = ""


def page(
    ws: Workspace,
    made: Right,
    person: str,
    gathered: Gathered,
    on_record: Records,
    seen: Sequence[Look],
    now: datetime,
) -> bytes:
    """The page as HTML; all it says is in the files beside it as well."""
    today = now.astimezone(ws.settings.zone).date()
    named = [o for o in seen if o.whom == BY_NAME and o.what not in ECHOES.values()]
    return render(
        "subject.html.j2",
        organisation=ws.settings.organisation.name,
        officer=ws.settings.dpo,
        zone=ws.settings.zone,
        made=made,
        reference=next(r["request"] for r in on_record.requests if r["id"] == made.id),
        person=ws.people.login(person),
        user=person,
        files=_files(ws.settings.retention, gathered.told, on_record),
        sources=[s for s in ws.settings.sources if s.name in gathered.sources],
        other_sources=sorted(gathered.sources - {s.name for s in ws.settings.sources}),
        settings=ws.settings,
        policy=ws.policy_on(today),
        first=gathered.first,
        last=gathered.last,
        lines=gathered.told[0],
        log_files=len(gathered.files),
        nobodys=len(gathered.nobodys),
        beyond=gathered.beyond,
        apart=_apart(gathered.told),
        months=_months(ws, gathered, now),
        findings=[_matter(f, on_record) for f in on_record.findings],
        cases=on_record.cases,
        requests=on_record.requests,
        holds=on_record.holds,
        acts=len(seen),
        named=named[-FEW_LOOKS:],
        more=max(0, len(named) - FEW_LOOKS),
        everybody=_grouped(seen, EVERYBODY),
        team=_grouped(seen, TEAM),
        grades={**GRADES, "D": "only names of connections were seen; it never counts"},
        calibration=calibration.words(ws, today),
        keep=_length(ws.settings.retention.access),
        keeps={
            name: _length(keep_days(ws.settings.retention, name)) for name in ("ledger", "reports")
        },
    )


def _files(retention: Retention, told: Sequence[Told], on_record: Records) -> list[File]:
    made = [
        File(t.name, ROWS[t.dataset], t.rows, t.first, t.last,
             _length(keep_days(retention, DATASETS[t.dataset].keep)))
        for t in told
    ]  # fmt: skip
    for field, (name, what, keep) in RECORDS.items():
        length = _length(keep_days(retention, keep)) if keep else BY_HAND
        made.append(File(name, what, len(getattr(on_record, field)), None, None, length))
    return made


def _length(days: int | None) -> str:
    return "one year" if days is None else f"{days} days"


def _apart(told: Sequence[Told]) -> dict[str, int]:
    """Rows that are not in use, by where they are kept."""
    counted: Counter[str] = Counter()
    for one in told:
        counted.update({kept: n for kept, n in one.kept.items() if kept != "in use"})
    return dict(counted)


def _months(ws: Workspace, gathered: Gathered, now: datetime) -> list[Month]:
    """Every month with a row of social media, oldest first."""
    rows = [r for r in gathered.usage if r["category"] == "social_media"]
    if not rows:
        return []
    first, last = min(r["day"] for r in rows), max(r["day"] for r in rows)
    lost = gap_days(ws, feed_gaps(ws, first, last, now))
    months: dict[tuple[int, int], Month] = {}
    for row in sorted(rows, key=lambda r: r["day"]):
        key = (row["day"].year, row["day"].month)
        month = months.setdefault(key, Month(f"{MONTHS[key[1] - 1]} {key[0]}"))
        month.days += 1
        month.low += row["low_min"] or 0.0
        month.likely += row["likely_min"] or 0.0
        month.high += row["high_min"] or 0.0
        month.work_low += row["work_low_min"] or 0.0
        month.work_high += row["work_high_min"] or 0.0
        month.grades = "".join(sorted({*month.grades, *(row["grade"] or "")}))
    for (year, number), month in months.items():
        month.gaps = sum((day.year, day.month) == (year, number) for day in lost)
    return list(months.values())


def _matter(body: Mapping[str, Any], on_record: Records) -> dict[str, Any]:
    """A finding as the page shows it; one of an earlier version may say less."""
    against = [a for a in body.get("against", ()) if isinstance(a, dict)]
    return {
        "id": body["id"],
        "rule": body.get("rule", ""),
        "week": body.get("week", ""),
        "unit": body.get("unit", ""),
        "low": body.get("low", 0),
        "likely": body.get("likely", 0),
        "high": body.get("high", 0),
        "days": len(body.get("days", ())),
        "grade": body.get("grade", ""),
        "threshold": body.get("threshold", ""),
        "clauses": body.get("clauses", {}),
        "against": [(str(a.get("check", "")), str(a.get("text", ""))) for a in against],
        "kept": body["kept"],
        "reviews": [r for r in on_record.reviews if r["finding"] == body["id"]],
    }


def _grouped(seen: Sequence[Look], whom: str) -> list[tuple[Look, int]]:
    """Looks of one kind by what was seen and the account: the last of each, and how many."""
    last: dict[tuple[str, str], tuple[Look, int]] = {}
    for one in seen:
        if one.whom == whom:
            key = (one.what, one.account)
            last[key] = (one, last.get(key, (one, 0))[1] + 1)
    return list(last.values())
