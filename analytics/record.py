"""What was found, kept: findings as they stand, weeks that are judged, weeks to be judged again."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select

from analytics import terms
from analytics.against import NotEvaluated
from analytics.derive import DERIVED
from analytics.finding import Finding, Judgement
from analytics.findings import judged
from analytics.questions import Week
from lake import catalogue
from lake.datasets import EVENTS, FEED
from state.tables import FINDING, META
from workspace import Workspace


def standing(ws: Workspace, first: date, last: date, now: datetime) -> Judgement:
    """The findings of the weeks that `first` to `last` touch, as they stand now.

    A week of which something is purged already cannot be judged as it once was: what was found of
    it then stands.
    """
    fresh = judged(ws, first, last, now)
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    then = {str(w) for w in {Week.of(day) for day in days} if inputs(ws, w) is None}
    found = [f for f in fresh.found if f.week not in then] + kept(ws, then)
    found.sort(key=lambda f: (f.first_day, f.person, f.rule))
    return Judgement(found, [w for w in fresh.withheld if w.week not in then])


def judge(
    ws: Workspace, days: Sequence[date], again: int, now: datetime
) -> tuple[list[str], list[Finding]]:
    """Judge the last `again` weeks of `days`, and those before whose inputs are new or changed.

    An archive read at once is judged whole; a week long past is judged anew where a late line came
    into it, or where the policy, people or leave of its days changed.
    """
    weeks = sorted({Week.of(day) for day in days}, key=lambda w: w.first_day)
    if not weeks:
        return [], []
    recent = weeks[-1].before(again - 1).first_day
    known = _judged(ws)
    people: People = {}
    made_of = {str(week): inputs(ws, week, people) for week in weeks}
    due = [
        w
        for w in weeks
        if w.first_day >= recent
        or str(w) not in known
        or made_of[str(w)] not in (None, known[str(w)])
    ]
    names = [str(w) for w in due]
    found: list[Finding] = []
    for run in _runs(due):
        found += standing(ws, run[0].first_day, run[-1].last_day, now).found
    remember(ws, found, names, now)
    noted = {w: made or known.get(w, "") for w, made in made_of.items()}
    with ws.state.change() as change:
        change.execute(META.delete().where(META.c.key == "judged"))
        change.execute(META.insert().values(key="judged", value=json.dumps(noted)))
    return names, found


RHYTHM_DAYS = 28
"""Days before a week by which the rhythm of its sources is told."""

People = dict[tuple[int, ...], str]
"""A digest of people by which rows of people.csv they are: most days have the same."""


def inputs(ws: Workspace, week: Week, people: People | None = None) -> str | None:
    """A digest of what a week is judged on; None where part of it is purged.

    Part of it is what the weeks before tell of the sources' rhythm: without them a gap that was seen
    when the week was judged would go unseen.
    """
    lines, days = _days(week, -1, 8), _days(week, 0, 7)
    with ws.state.read() as connection:
        gone = catalogue.buried(connection, EVENTS.name) & lines
        for dataset in DERIVED:
            gone |= catalogue.buried(connection, dataset.name) & days
        if gone:
            return None
        if _days(week, -RHYTHM_DAYS, 0) <= catalogue.buried(connection, FEED.name) and str(
            week
        ) in _judged(ws):
            return None
        made = [
            (p.dataset, p.day, p.made_from)
            for dataset in DERIVED
            for p in catalogue.parts(connection, dataset.name, week.days)
        ]
    return terms.digest([made, [_terms(ws, day, people or {}) for day in week.days]])


def _days(week: Week, first: int, last: int) -> set[str]:
    """Days from so many after a week's Monday to before so many, as the catalogue writes them."""
    return {(week.first_day + timedelta(days=i)).isoformat() for i in range(first, last)}


def _terms(ws: Workspace, day: date, people: People) -> tuple[object, ...]:
    """What else than lines a day's judgement rests on; the minutes' own terms are in `made_from`."""
    policy = ws.policy_on(day)
    rows = tuple(number for number, row in enumerate(ws.people.rows) if row.on(day))
    if rows not in people:
        people[rows] = terms.digest(terms.people_on(ws, day))
    return policy and policy.held_on(day), people[rows], sorted(ws.leave.on(day))


def kept(ws: Workspace, weeks: Iterable[str]) -> list[Finding]:
    """Findings of weeks as they were stored; what an earlier version judged by less is left out."""
    with ws.state.read() as connection:
        query = select(FINDING.c.body).where(FINDING.c.week.in_(list(weeks)))
        bodies = connection.execute(query.order_by(FINDING.c.id)).scalars().all()
    found = []
    for body in bodies:
        with suppress(NotEvaluated, KeyError):
            found.append(Finding.of(json.loads(body)))
    return found


def remember(ws: Workspace, found: Sequence[Finding], weeks: Iterable[str], now: datetime) -> None:
    """Store findings in the place of those of the same weeks; what the year took stays as it was."""
    weeks = list(weeks)
    settled = {w for w in weeks if inputs(ws, Week.parse(w)) is None}
    with ws.state.change() as change:
        query = select(FINDING.c.id, FINDING.c.week, FINDING.c.body)
        rows = change.execute(query.where(FINDING.c.week.in_(weeks))).all()
        known = {row.id: row.body for row in rows}
        stays = {row.id: row.body for row in rows if row.week in settled}
        new = {f.id: json.dumps(f.as_json(), sort_keys=True) for f in found} | stays
        by_id = {f.id: f for f in found}
        for id_ in known.keys() - new.keys():
            change.execute(FINDING.delete().where(FINDING.c.id == id_))
        for id_ in (i for i in new if known.get(i) != new[i]):
            change.execute(FINDING.delete().where(FINDING.c.id == id_))
            change.execute(FINDING.insert().values(_row(by_id[id_], new[id_], now)))
        if known != new:
            change.act(
                "findings",
                time=now,
                actor=ws.actor,
                weeks=sorted(weeks),
                new=sorted(new.keys() - known.keys()),
                gone=sorted(known.keys() - new.keys()),
            )


def _row(finding: Finding, body: str, now: datetime) -> dict[str, str]:
    return {
        "id": finding.id,
        "rule": finding.rule,
        "person": finding.person,
        "week": finding.week,
        "first_day": finding.first_day.isoformat(),
        "last_day": finding.last_day.isoformat(),
        "body": body,
        "made": now.astimezone(UTC).isoformat(),
    }


def _judged(ws: Workspace) -> dict[str, str]:
    """Weeks judged so far with a digest of what they were judged on."""
    with ws.state.read() as connection:
        row = connection.execute(select(META.c.value).where(META.c.key == "judged")).scalar()
    known = json.loads(row) if row else {}
    # An earlier Fairwatch kept the names alone.
    return known if isinstance(known, dict) else {}


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
