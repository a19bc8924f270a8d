"""Subject access over time: what is kept apart or by a hold alone, when a bundle is due, and runs cut short."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from accesslab import DANA, HELEN, NOW, TOM, WEEK, built, files, finding_of, made, stored, table
from conftest import make_site
from factory import again, edited, lake, page, rows_table, utc

import holds
import retention
from lake import catalogue
from lake.datasets import EVENTS
from lake.write import PartWriter
from reports import subject
from reports.cases import open_case
from reports.reviews import review
from reports.subject import access
from rights import deeds, register
from subjects import Span
from workspace import Workspace, open_site


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once."""
    return built(tmp_path_factory.mktemp("access")).parent


@pytest.fixture
def ws(template: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(template, tmp_path / "copy")
    return open_site(tmp_path / "copy" / "site", "test")


# What is kept apart ---------------------------------------------------------------------------


def span(ws: Workspace, first: date, last: date) -> Span:
    return Span.of(ws, "ann", first, last)


def test_restricted_rows_are_in_it_and_marked(ws: Workspace) -> None:
    rows = stored(ws, "events", "ann")
    with ws.alone():
        deeds.restrict(ws, span(ws, WEEK[1], WEEK[2]), "R-letter", DANA, NOW)
    bundle = made(ws)
    found = table(bundle, "lines.csv")
    apart = {r["time"][:10] for r in found if r["kept"] == "restricted by R-2026-0001"}
    assert apart == {str(WEEK[1]), str(WEEK[2])}
    assert len(found) == rows
    matter = json.loads(files(bundle)["findings.json"])
    assert [f["kept"] for f in matter] == ["restricted by R-2026-0001"]
    assert "restricted by R-2026-0001" in files(bundle)["index.html"].decode()
    assert [r["id"] for r in table(bundle, "requests.csv")] == ["A-2026-0001", "R-2026-0001"]


def held(ws: Workspace) -> None:
    with ws.alone():
        holds.place(ws, "ann", (WEEK[0], WEEK[-1]), "tribunal", "secret strategy", HELEN,
                    date(2027, 1, 10), TOM, NOW)  # fmt: skip


def test_rows_a_hold_alone_has(ws: Workspace) -> None:
    rows = stored(ws, "events", "ann")
    held(ws)
    bundle = made(ws)
    assert {r["kept"] for r in table(bundle, "lines.csv")} == {"in use"}, "said twice"
    with ws.alone():
        deeds.erase(ws, span(ws, WEEK[0], WEEK[1]), "E-letter", DANA, NOW)
    bundle = made(ws)
    found = table(bundle, "lines.csv")
    alone = [r for r in found if r["kept"].endswith("legal hold H-2026-0001 alone")]
    assert {r["time"][:10] for r in alone} == {str(WEEK[0]), str(WEEK[1])}
    assert len(found) == rows
    assert [f["kept"].split()[-2] for f in json.loads(files(bundle)["findings.json"])] == [
        "H-2026-0001"
    ]
    assert "erasure" in {r["deed"] for r in table(bundle, "requests.csv")}, "by its digest"
    hold = table(bundle, "holds.csv")[0]
    assert (hold["id"], hold["review"].replace("\xa0", " ")) == ("H-2026-0001", "10 January 2027")
    assert b"secret strategy" not in b"".join(files(bundle).values())
    assert retention.verify(ws, NOW).clean


def test_a_holds_rows_past_the_year_are_counted_and_not_kept_again(ws: Workspace) -> None:
    rows = stored(ws, "events", "ann")
    held(ws)
    later = datetime(2027, 11, 20, 6, 0, tzinfo=UTC)
    with ws.alone():
        holds.review(
            ws, "H-2026-0001", TOM, date(2027, 5, 1), "goes on", datetime(2027, 1, 5, tzinfo=UTC)
        )
        retention.purge(ws, later, confirmed=True)
    bundle = made(ws, now=later)
    assert table(bundle, "lines.csv") == []
    assert bundle.beyond["H-2026-0001"] >= rows
    assert "asked" not in bundle.beyond
    assert "legal hold H-2026-0001 alone" in files(bundle)["index.html"].decode()
    assert not [o for o in retention.verify(ws, later).overdue if "access/" in o]


# The year -------------------------------------------------------------------------------------


def access_of(found: retention.Verification) -> list[str]:
    return [line for line in found.overdue if "access/" in line]


def test_it_is_due_with_its_oldest_row_and_not_before(ws: Workspace) -> None:
    """It tells of a policy of 2014, of days away and cases long before: none of them is an event."""
    (ws.folder / "leave.csv").write_text("user,from,to\nann,2024-03-01,2024-03-05\n")
    ws = edited(
        ws, "fairwatch.yaml", ("people: people.csv", "people: people.csv\nleave: leave.csv")
    )
    ws = edited(
        ws, "people.csv", ("ann@example.org,employee,,,,", "ann@example.org,employee,,,2019-04-01,")
    )
    open_case(ws, "ann", date(2025, 6, 1), date(2025, 6, 9), "breach", "since 2 May 2025, 2025-05-02", HELEN, NOW)  # fmt: skip
    ws.ledger.append("look", time=NOW, actor="it", what="usage", reason="r", first_day="2024-01-05", last_day="2024-02-05")  # fmt: skip
    review(ws, finding_of(ws, "ann"), "note", "as on 3 March 2024 and 2024-03-04", HELEN, NOW)
    bundle = made(ws)
    assert access_of(retention.verify(ws, NOW)) == []
    assert bundle.due == date(2027, 11, 9)
    day_before = datetime(2027, 11, 8, 12, tzinfo=UTC)
    assert access_of(retention.verify(ws, day_before)) == []
    late = access_of(retention.verify(ws, day_before + timedelta(days=1)))
    assert len(late) == 1
    with ws.alone():
        retention.purge(ws, day_before + timedelta(days=1), confirmed=True)
    assert not bundle.path.exists()


def test_a_date_in_a_name_is_of_no_event(tmp_path: Path) -> None:
    ws = open_site(make_site(tmp_path / "site"), "test")
    lake(ws, [page(utc("2026-11-10 09:00"), user="guest-2020-01-01", host="x-2021-02-03.example", path="/2019-05-04-a")])  # fmt: skip
    bundle = made(ws, "guest-2020-01-01")
    row = table(bundle, "lines.csv")[0]
    assert (row["host"], row["path"]) == ("x-3\xa0February 2021.example", "/2019-05-04-a")
    assert access_of(retention.verify(ws, NOW)) == []


def test_a_bundle_is_kept_as_long_as_what_is_kept_longest(ws: Workspace) -> None:
    ws = edited(ws, "fairwatch.yaml", ("evidence: 1 year", "evidence: 30 days"))
    made(ws, now=NOW + timedelta(days=40))
    assert access_of(retention.verify(ws, NOW + timedelta(days=40))) == []
    short = {
        name: "40 days"
        for name in type(ws.settings.retention).model_fields
        if name != "largest_share"
    }
    assert type(ws.settings.retention)(**{**short, "usage": "50 days"}).access == 50


# Cut short ------------------------------------------------------------------------------------


def test_cut_short_it_is_asked_for_again(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: Any) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(subject, "page", killed)
        with ws.alone(), pytest.raises(KeyboardInterrupt):
            access(ws, "ann", "SAR-1", DANA, NOW)
    assert not (ws.folder / "access").exists()
    assert [p for p in (ws.folder / "work").rglob("*") if p.is_file()] == []
    with ws.alone():
        assert deeds.resume(ws, NOW) == ([], [])
    bundle = made(again(ws))
    assert bundle.path.name == "A-2026-0002.zip"
    assert [r.state for r in register.rights(ws)] == ["under way", "done"]
    assert retention.verify(ws, NOW).clean


def test_what_a_killed_run_left_is_swept(ws: Workspace) -> None:
    """Killed at once, half a zip lies in work/ and a request is under way: neither is in the way."""
    with ws.alone(), ws.state.change() as change:
        register.ask(ws, change, "access", span(ws, *WEEK[:2]), "SAR-1", DANA, NOW)
    half = ws.folder / "work" / "A-2026-0001.zip.tmp"
    half.parent.mkdir(exist_ok=True)
    half.write_bytes(b"PK\x03\x04 half")
    made(ws)
    with ws.alone():
        retention.purge(ws, NOW)
    assert not half.exists()
    assert [p.name for p in (ws.folder / "access").iterdir()] == ["A-2026-0002.zip"]


def test_what_others_have_is_not_read(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row group at a time, and those that cannot name the person not at all."""
    day = utc("2026-11-18 00:00")
    writer = PartWriter(ws.folder, EVENTS, day.date(), "00000009-0000", ws.keys)
    for group in range(12):
        writer.write(
            rows_table([page(day + timedelta(seconds=i), user=f"u{group}") for i in range(50)])
        )
    writer.write(rows_table([page(day), page(day, user="zz")]))
    part = writer.close("test")
    writer.move()
    with ws.state.change() as change:
        catalogue.add(change.connection, [part])
    read: list[int] = []
    real = pq.ParquetFile.read_row_group

    def watched(file: pq.ParquetFile, group: int, **other: Any) -> pa.Table:
        read.append(group)
        return real(file, group, **other)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    bundle = made(ws)
    assert max(read) == 12
    assert not set(read) & set(range(1, 12)), "groups of others alone"
    assert len(table(bundle, "lines.csv")) == stored(ws, "events", "ann")
