"""A site with a week of three people, for tests of subject access, and bundles as a stranger reads them."""

import csv
import io
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from conftest import PEOPLE, make_site
from factory import ELSEWHERE, derived, lake, page, reading
from sqlalchemy import select

from analytics.findings import findings
from analytics.record import remember
from lake import catalogue
from reports.subject import Bundle, access
from state.tables import FINDING
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
WEEK = [date(2026, 11, 9) + timedelta(days=i) for i in range(5)]
HELEN, TOM, DANA = "Helen Marsh", "Tom Ridley", "Dana Office"
ZOE, VIC = "zqx-zoe", "zqx-vic"
PLANTED = f"""\
{ZOE},Zoltana Quirkwell,Advice,kim,zoltana@quirk.example,employee,,,,,10.77.1.1
{VIC},Victorin Oddbodd,Advice,kim,victorin@odd.example,volunteer,,,,,10.77.1.2
"""
SECRETS = ("zqx", "zoltana", "quirk", "victorin", "oddbodd", "10.77.1", "quora")


def rows_of_a_week() -> list[dict[str, Any]]:
    """ann and two others at the same sites; one page of ann's lies outside the categories."""
    rows = []
    for day in WEEK:
        rows += reading(day, 40)
        rows += reading(
            day, 45, user=ZOE, client="10.77.1.1", host="www.quora.com", service="quora"
        )
        rows += reading(day, 15, user=VIC, client="10.77.1.2", start="11:00")
        rows.append(page(datetime(day.year, day.month, day.day, 9, tzinfo=UTC), **ELSEWHERE | {"host": "other"}))  # fmt: skip
    return rows


def built(root: Path) -> Path:
    """The site's folder: a week of lines, derived and judged."""
    folder = make_site(root / "site")
    (folder / "people.csv").write_text(PEOPLE + PLANTED)
    ws = open_site(folder, "test")
    lake(ws, rows_of_a_week())
    derived(ws, NOW)
    with ws.alone():
        remember(ws, findings(ws, WEEK[0], WEEK[-1], NOW), {"2026-W46"}, NOW)
    return folder


def made(ws: Workspace, person: str = "ann", **other: Any) -> Bundle:
    """A bundle; `other`: request, now."""
    with ws.alone():
        return access(ws, person, other.get("request", "SAR-1"), DANA, other.get("now", NOW))


def files(bundle: Bundle) -> dict[str, bytes]:
    """What is under data/, by name."""
    with zipfile.ZipFile(bundle.path) as archive:
        return {
            n.partition("/data/")[2]: archive.read(n) for n in archive.namelist() if "/data/" in n
        }


def table(bundle: Bundle, name: str) -> list[dict[str, str]]:
    """The rows of a CSV file of it."""
    return list(csv.DictReader(io.StringIO(files(bundle)[name].decode("utf-8"), newline="")))


def stored(ws: Workspace, dataset: str, person: str) -> int:
    """Rows of a person in the lake, counted without the code under test."""
    with ws.state.read() as connection:
        parts = [
            p for s in ("live", "restricted") for p in catalogue.parts(connection, dataset, state=s)
        ]
    found = 0
    for part in parts:
        with ws.keys.open(ws.folder / part.path) as file:
            found += file.read().column("user").to_pylist().count(person)
    return found


def finding_of(ws: Workspace, person: str) -> str:
    """The id of a matter about somebody."""
    with ws.state.read() as connection:
        return str(
            connection.execute(select(FINDING.c.id).where(FINDING.c.person == person)).scalar()
        )
