"""Certificates of an erasure, of a restriction, and what they and purges say of legal holds."""

import re
import subprocess
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from rightslab import NOW, build, copied, mine, opinion, place, span
from test_certificate import content, unpacked

from fairwatch.cli import main
from lake import catalogue
from reports.bundle import Issued, certify, right_certified
from retention import verify
from rights import deeds
from rights.register import Right
from workspace import Workspace


@pytest.fixture(scope="module")
def old_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("certified") / "site").folder


@pytest.fixture
def ws(old_site: Path, tmp_path: Path) -> Workspace:
    return copied(old_site, tmp_path)


def certified(ws: Workspace, done: Right) -> Issued:
    with ws.alone():
        return right_certified(ws, done, NOW)


def done(ws: Workspace, deed: str) -> Right:
    act = deeds.erase if deed == "erasure" else deeds.restrict
    with ws.alone():
        return act(ws, span(ws), "DSR 7", "Dora Dale", NOW)


@pytest.mark.parametrize("deed", ["erasure", "restriction"])
def test_it_says_what_was_taken_out_of_what(ws: Workspace, tmp_path: Path, deed: str) -> None:
    opinion(ws, "ann")
    with ws.state.read() as connection:
        before = {p.path: p for p in catalogue.in_state(connection, "live")}
    rows = Counter(row[0] for row in mine(ws, span(ws)).elements())
    if deed == "erasure":
        with ws.state.change() as change:
            change.connection.exec_driver_sql("UPDATE cases SET closed = '2026-11-19'")
    right = done(ws, deed)
    issued = certified(ws, right)
    said = content(issued, tmp_path / "out")
    assert (said["clean"], issued.certificate.id) == (True, f"{deed}-{said['purge']:06}")
    (told,) = said["purges"]
    assert (told["deed"], told["request"]) == (deed, right.id)
    taken = [r for r in said["removed"] if r["kind"] == "rows"]
    assert sum((Counter({r["store"]: r["rows"]}) for r in taken), Counter()) == rows
    for one in taken:
        part = before[one["name"]]
        assert (one["sha256"], one["key"], one["day"]) == (part.sha256, part.key, part.day)
    spent = {one["key"] for one in taken}
    assert not spent & {key.id for key in ws.keys.ring.day_keys()}
    assert {r["store"] for r in said["removed"] if r["kind"] == "row"} >= {"state.finding", "state.review"}  # fmt: skip
    assert verify(ws, NOW).clean


@pytest.mark.parametrize("deed", ["erasure", "restriction"])
def test_it_names_nobody_and_its_steps_hold(ws: Workspace, tmp_path: Path, deed: str) -> None:
    folder = unpacked(certified(ws, done(ws, deed)), tmp_path / "out")
    pages = b"".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file())
    for word in (b"ann", b"Ann", b"Dora", b"DSR 7", b"test@"):
        assert not re.search(rb"(?<![A-Za-z])%s(?![A-Za-z])" % re.escape(word), pages), word
    checked = subprocess.run(["sha256sum", "-c", "manifest-sha256.txt"], cwd=folder, capture_output=True, check=False)  # fmt: skip
    assert checked.returncode == 0


def test_it_is_asked_for_by_the_request_s_id(ws: Workspace, tmp_path: Path) -> None:
    right = done(ws, "restriction")
    first = certified(ws, right)
    with ws.alone():
        again = certify(ws, NOW + timedelta(minutes=1), right.id.lower())
    assert again.certificate.purge == first.certificate.purge
    assert again.certificate.removed == first.certificate.removed
    assert again.path != first.path


def test_a_hold_is_told_and_red_where_nobody_reviewed_it(ws: Workspace, tmp_path: Path) -> None:
    one = place(ws)
    with ws.alone():
        fresh = certify(ws, NOW)
    (kept,) = fresh.certificate.kept
    assert (kept.store, kept.due, kept.overdue) == ("holds", "2026-12-20", False)
    assert one.id in kept.reason
    assert "employment tribunal" in kept.reason
    assert "ET 1" not in kept.reason, "a note may name somebody"
    with ws.alone():
        late = certify(ws, NOW + timedelta(days=40))
    assert late.certificate.kept[0].overdue
    page = (unpacked(late, tmp_path / "late") / "data" / "certificate.html").read_text("utf-8")
    assert re.search(r'<tr class="alarm">.*NOT REVIEWED in time', page)
    assert 'class="alarm"' not in (unpacked(fresh, tmp_path / "new") / "data" / "certificate.html").read_text("utf-8")  # fmt: skip


def test_erase_asks_for_a_yes_and_gives_a_certificate(
    ws: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairwatch.place.now", lambda: NOW)
    words = ["subject", "erase", "ann", "--request", "DSR 7", "--by", "Dora Dale", "--site", str(ws.folder)]  # fmt: skip
    before = mine(ws, span(ws))
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert (ended.value.code, mine(ws, span(ws))) == (0, before)
    assert "Nothing was done" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([*words, "--confirm"])
    said = capsys.readouterr().out
    assert (ended.value.code, not mine(ws, span(ws))) == (0, True)
    assert Path(said.split("Certificate: ")[1].strip()).is_file()
