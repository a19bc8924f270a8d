"""What is on record of a person beside rows: findings, reviews, cases, requests, holds, lists, scripts."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from analytics import calibration
from holds import REASONS, copies, holds
from lake.datasets import RECORDS
from reports.evidence import worded
from reports.others import Others
from reports.render import date_in_words, instant, plain
from reports.subject_rows import IN_USE
from rights.register import Right, rights
from state.tables import ASIDE, CASE, FILE, FINDING, PACK, REVIEW
from subjects import digest_of
from workspace import Workspace

Row = dict[str, Any]
WORD_OF = {
    "dismiss": "dismissed",
    "note": "noted",
    "refer": "referred",
    "contest": "said by you, or for you",
}


@dataclass(frozen=True)
class Records:
    """Plain rows, their dates in words where they are of no event; all texts masked of others."""

    findings: list[Row]
    reviews: list[Row]
    cases: list[Row]
    packs: list[Row]
    requests: list[Row]
    holds: list[Row]
    people: list[Row]
    leave: list[Row]
    calibration: list[Row]

    @property
    def ids(self) -> set[str]:
        """What the ledger calls them."""
        return {
            *(str(r["id"]) for rows in (self.findings, self.cases, self.requests) for r in rows),
            *(str(r["id"]) for rows in (self.holds, self.calibration) for r in rows),
        }


def records(ws: Workspace, person: str, limit: date, bundle: str) -> Records:
    """Everything on record of a person; what a hold's copy alone has, from `limit` on.

    `bundle`: the request that is being dealt with.
    """
    reader = _Reader(ws, person, limit)
    own = reader.own_requests()
    found = list(reader.opinions(own))
    cases = [*reader.live(CASE), *(r for t, r in found if t == CASE.name)]
    return Records(
        findings=[reader.finding(r) for r in _of(found, FINDING.name)],
        reviews=[reader.review(r) for r in _of(found, REVIEW.name)],
        cases=[reader.case(r) for r in cases],
        packs=reader.packs([r["id"] for r in cases]),
        requests=[reader.request(r, bundle) for r in own],
        holds=[reader.hold(h) for h in holds(ws) if h.person == person],
        people=reader.people(),
        leave=[
            {"user": r.user, "from": date_in_words(r.start), "to": date_in_words(r.end)}
            for r in ws.leave.rows
            if r.user.casefold() == person.casefold()
        ],
        calibration=[
            json.loads(json.dumps(asdict(r), default=_text))
            for r in calibration.records(ws)
            if r.person.casefold() == person.casefold()
        ],
    )


def log_files(ws: Workspace, person: str, ids: set[int]) -> list[Row]:
    """The log files the person's lines stand in."""
    others = Others(ws, person)
    columns = (FILE.c.id, FILE.c.sha256, FILE.c.path, FILE.c.source, FILE.c.format)
    with ws.state.read() as connection:
        rows = connection.execute(select(*columns).order_by(FILE.c.id)).all()
    return [{**dict(r._mapping), "path": plain(others.masked(r.path))} for r in rows if r.id in ids]


class _Reader:
    def __init__(self, ws: Workspace, person: str, limit: date) -> None:
        self.ws, self.person, self.limit = ws, person, limit
        self.others = Others(ws, person)

    def own_requests(self) -> list[Right]:
        """Also erasures, of whose person nothing is left but a digest."""
        return [
            r
            for r in rights(self.ws)
            if r.person == self.person
            or (r.digest and r.salt and r.digest == digest_of(self.person, r.salt))
        ]

    def live(self, table: Any) -> list[Row]:
        """Rows of a table about the person, in its own order."""
        query = select(table).where(table.c.person == self.person).order_by(table.c.id)
        with self.ws.state.read() as connection:
            return [{**r._mapping, "kept": IN_USE} for r in connection.execute(query)]

    def opinions(self, own: Sequence[Right]) -> Iterator[tuple[str, Row]]:
        """Findings and reviews as they are, those kept apart, and what a hold's copy alone has."""
        for table in (FINDING, REVIEW):
            yield from ((table.name, row) for row in self.live(table))
        with self.ws.state.read() as connection:
            query = select(ASIDE).where(ASIDE.c.restriction.in_([r.id for r in own]))
            apart = connection.execute(query.order_by(ASIDE.c.id)).all()
        for row in apart:
            yield row.kind, {**json.loads(row.row), "kept": f"restricted by {row.restriction}"}
        yield from self._held({(r.kind, _key(json.loads(r.row))) for r in apart})

    def _held(self, known: set[tuple[str, str]]) -> Iterator[tuple[str, Row]]:
        known |= {(t.name, _key(row)) for t in (FINDING, REVIEW, CASE) for row in self.live(t)}
        for one in (h for h in holds(self.ws, in_force=True) if h.person == self.person):
            for part in (p for p in copies(self.ws, one.id) if p.dataset == RECORDS.name):
                with self.ws.keys.open(self.ws.folder / part.path) as file:
                    rows = file.read().to_pylist()
                for row in rows:
                    told = json.loads(row["row"])
                    if row["day"] >= self.limit and (row["table"], _key(told)) not in known:
                        kept = f"not in use any more; kept by legal hold {one.id} alone"
                        yield row["table"], {**told, "kept": kept}

    def finding(self, row: Row) -> Row:
        """As it is stored, its free dates in words."""
        body = worded(json.loads(row["body"]))
        assert isinstance(body, dict)
        return {**body, "id": row["id"], "kept": row["kept"]}

    def review(self, row: Row) -> Row:
        return {
            "finding": row["finding"],
            "week": row["week"],
            "first_day": row["first_day"],
            "act": WORD_OF.get(row["act"], row["act"]),
            "reason": self._free(row["reason"]),
            "by": plain(row["by"]),
            "time": self._moment(row["time"]),
            "kept": row["kept"],
        }

    def case(self, row: Row) -> Row:
        return {
            "id": row["id"],
            "first_day": _day(row["first_day"]),
            "last_day": _day(row["last_day"]),
            "reason": row["reason"],
            "note": self._free(row["note"]),
            "asked_by": plain(row["asked_by"]),
            "asked": self._moment(row["asked"]),
            "approved_by": plain(row["approved_by"] or ""),
            "approved": self._moment(row["approved"]),
            "closed": self._moment(row["closed"]),
            "kept": row["kept"],
        }

    def packs(self, cases: Sequence[str]) -> list[Row]:
        with self.ws.state.read() as connection:
            rows = connection.execute(select(PACK).where(PACK.c.case.in_(cases))).all()
        return [
            {
                "case": r.case,
                "path": r.path,
                "sha256": r.sha256,
                "built": self._moment(r.built),
                "there": "yes" if (self.ws.folder / r.path).is_file() else "no",
            }
            for r in rows
        ]

    def request(self, row: Right, bundle: str) -> Row:
        return {
            "id": row.id,
            "deed": row.deed,
            "first_day": date_in_words(row.first_day),
            "last_day": date_in_words(row.last_day),
            "request": self._free(row.request),
            "by": plain(row.by),
            "asked": self._moment(row.asked.isoformat()),
            "state": "this bundle" if row.id == bundle else row.state,
        }

    def hold(self, one: Any) -> Row:
        """That it is, and until when; its note is the owner's."""
        zone = self.ws.settings.zone
        return {
            "id": one.id,
            "first_day": date_in_words(one.first_day),
            "last_day": date_in_words(one.last_day),
            "reason": REASONS[one.reason],
            "placed": instant(one.placed, zone),
            "review": date_in_words(one.review),
            "released": instant(one.released, zone) if one.released else "",
        }

    def people(self) -> list[Row]:
        """The rows of people.csv as somebody wrote them, also columns nothing here reads."""
        path = self.ws.folder / self.ws.settings.people
        reader = csv.DictReader(path.read_text("utf-8-sig").splitlines(), strict=True)
        reader.fieldnames = [c.strip() for c in reader.fieldnames or []]
        return [
            {k: plain(str(v or "")) for k, v in row.items()}
            for row in reader
            if str(row["user"]).strip().casefold() == self.person.casefold()
        ]

    def _free(self, text: str) -> str:
        return plain(self.others.masked(text))

    def _moment(self, text: str | None) -> str:
        return instant(datetime.fromisoformat(text), self.ws.settings.zone) if text else ""


def _of(found: Sequence[tuple[str, Row]], table: str) -> list[Row]:
    return [row for name, row in found if name == table]


def _key(row: Mapping[str, Any]) -> str:
    """What tells a record: its own columns, without where it is kept."""
    return json.dumps({k: v for k, v in row.items() if k != "kept"}, sort_keys=True)


def _day(text: str) -> str:
    return date_in_words(date.fromisoformat(text))


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else list(value)
