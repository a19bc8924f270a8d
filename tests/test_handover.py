"""A hold's copy handed over: whole, harmless to a spreadsheet, agreed to by two, and outside the site."""

import csv
import io
import zipfile
from pathlib import Path

import pytest
from rightslab import NOW, build, copied, held, place, told
from test_hold_ends import late_row

from errors import AlreadyThere, NotPermitted, WrongUsage
from reports import bag, handover
from workspace import Workspace

TWO = ("Tom Tow", "Hana Hill")


@pytest.fixture(scope="module")
def old_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("handed") / "site").folder


@pytest.fixture
def ws(old_site: Path, tmp_path: Path) -> Workspace:
    return copied(old_site, tmp_path)


def test_all_of_it_and_nothing_that_runs(ws: Workspace, tmp_path: Path) -> None:
    late_row(ws, host="=cmd()|x")
    one = place(ws)
    to = tmp_path / "out" / "held.zip"
    digest = handover.export(ws, one.id, to, "to counsel", TWO, NOW)
    assert bag.verify(to)["External-Identifier"] == one.id
    counted = 0
    with zipfile.ZipFile(to) as pack:
        for name in pack.namelist():
            if name.endswith(".csv") and not name.endswith("records.csv"):
                rows = list(csv.DictReader(io.StringIO(pack.read(name).decode())))
                counted += len(rows)
                assert {row["user"] for row in rows} <= {"ann"}
                assert not [c for row in rows for c in row.values() if c.startswith("=")]
        assert b"'=cmd()" in pack.read(f"{one.id}/data/events.csv")
    assert counted == sum(held(ws, one.id).values())
    assert '"act":"look"' in told(ws) and digest in told(ws)
    assert [p.name for p in to.parent.iterdir()] == ["held.zip"]


def test_two_people_neither_of_them_the_one_concerned(ws: Workspace, tmp_path: Path) -> None:
    one, to = place(ws), tmp_path / "held.zip"
    for people in (("Tom Tow", "tom tow"), ("ann", "Tom Tow"), ("Tom Tow", "ann")):
        with pytest.raises(NotPermitted):
            handover.export(ws, one.id, to, "to counsel", people, NOW)
    with pytest.raises(WrongUsage, match="outside"):
        handover.export(ws, one.id, ws.folder / "held.zip", "to counsel", TWO, NOW)
    to.write_text("mine")
    with pytest.raises(AlreadyThere):
        handover.export(ws, one.id, to, "to counsel", TWO, NOW)
    assert to.read_text() == "mine"


def test_half_a_pack_is_none(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = place(ws)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bag.Writer, "finish", full)
    with pytest.raises(OSError, match="No space"):
        handover.export(ws, one.id, tmp_path / "out" / "held.zip", "to counsel", TWO, NOW)
    assert not list((tmp_path / "out").iterdir())
