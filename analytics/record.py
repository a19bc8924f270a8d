"""What was found, kept: weeks that are judged, findings as they stand, weeks that need judging again."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select

from analytics import terms
from analytics.derive import DERIVED
from analytics.findings import Finding, findings
from analytics.questions import Week
from lake import catalogue
from lake.datasets import EVENTS
from state.tables import FINDING, META
from workspace import Workspace


def judge(
    ws: Workspace, days: Sequence[date], again: int, now: datetime
) -> tuple[list[str], list[Finding]]:
    """Judge the last `again` weeks of `days`, and those before whose inputs are new or changed.

    An archive read at once is judged whole; a week long past is judged anew where a late line came
    into it, where policy, people or leave of its days were changed, and never where part of what
    it was judged on is purged: what was found of it then stays as it is.
    """
    weeks = sorted({Week.of(day) for day in days}, key=lambda w: w.first_day)
    if not weeks:
        return [], []
    recent = weeks[-1].before(again - 1).first_day
    known = _judged(ws)
    inputs = {str(week): _inputs(ws, week) for week in weeks}
    due = [
        w for w in weeks
        if w.first_day >= recent
        or (inputs[str(w)] != known.get(str(w), "") and inputs[str(w)] is not None)
    ]  # fmt: skip
    names = [str(w) for w in due]
    found: list[Finding] = []
    for run in _runs(due):
        found += [f for f in findings(ws, run[0].first_day, run[-1].last_day, now)
                  if f.week in names]  # fmt: skip
    remember(ws, found, names, now)
    noted = {w: made_of or known.get(w, "") for w, made_of in inputs.items()}
    with ws.state.change() as change:
        change.execute(META.delete().where(META.c.key == "judged"))
        change.execute(META.insert().values(key="judged", value=json.dumps(noted)))
    return names, found


def _judged(ws: Workspace) -> dict[str, str]:
    """Weeks judged so far with a digest of what they were judged on."""
    with ws.state.read() as connection:
        row = connection.execute(select(META.c.value).where(META.c.key == "judged")).scalar()
    known = json.loads(row) if row else {}
    # An earlier Fairwatch kept the names alone.
    return known if isinstance(known, dict) else {}


def _inputs(ws: Workspace, week: Week) -> str | None:
    """A digest of what a week is judged on; None where part of it is purged."""
    days = set(week.days)
    lines = {d + timedelta(days=i) for d in days for i in (-1, 0, 1)}
    with ws.state.read() as connection:
        gone = catalogue.buried(connection, EVENTS.name) & {d.isoformat() for d in lines}
        for dataset in DERIVED:
            gone |= catalogue.buried(connection, dataset.name) & {d.isoformat() for d in days}
        if gone:
            return None
        made = [
            (p.dataset, p.day, p.made_from)
            for dataset in DERIVED
            for p in catalogue.parts(connection, dataset.name, week.days)
        ]
    return terms.digest(made)


def _runs(weeks: Sequence[Week]) -> Iterator[list[Week]]:
    """Weeks that follow each other without a hole."""
    run: list[Week] = []
    for week in weeks:
        if run and week.before(1) != run[-1]:
            yield run
            run = []
        run.append(week)
    if run:
        yield run


def remember(ws: Workspace, found: Sequence[Finding], weeks: Iterable[str], now: datetime) -> None:
    """Store findings in the place of those of the same weeks."""
    with ws.state.change() as change:
        kept = {f.id: json.dumps(f.as_json(), sort_keys=True) for f in found}
        query = select(FINDING.c.id, FINDING.c.body).where(FINDING.c.week.in_(list(weeks)))
        known = {row.id: row.body for row in change.execute(query)}
        for id_ in known.keys() - kept.keys():
            change.execute(FINDING.delete().where(FINDING.c.id == id_))
        for finding in found:
            if known.get(finding.id) == kept[finding.id]:
                continue
            change.execute(FINDING.delete().where(FINDING.c.id == finding.id))
            change.execute(
                FINDING.insert().values(
                    id=finding.id,
                    rule=finding.rule,
                    person=finding.person,
                    week=finding.week,
                    first_day=finding.first_day.isoformat(),
                    last_day=finding.last_day.isoformat(),
                    body=kept[finding.id],
                    made=now.astimezone(UTC).isoformat(),
                )
            )
        if known != kept:
            change.act(
                "findings",
                time=now,
                actor=ws.actor,
                weeks=sorted(weeks),
                new=sorted(kept.keys() - known.keys()),
                gone=sorted(known.keys() - kept.keys()),
            )
