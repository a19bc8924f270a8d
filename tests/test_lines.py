"""Down to the lines: counts that add up, and one person's lines for a stated reason."""

import json
from datetime import datetime

import pytest
from factory import ELSEWHERE, acts, again, lake, page, utc

from errors import WrongUsage
from fairwatch.cli import main
from workspace import Workspace

DAYS = ["--from", "2026-11-10", "--to", "2026-11-10", "--json"]


@pytest.fixture
def used(site: Workspace) -> Workspace:
    rows = [
        page(utc("2026-11-10 09:00")),
        page(utc("2026-11-10 09:01"), user="bob"),
        page(utc("2026-11-10 10:00"), **ELSEWHERE),
        page(utc("2026-11-10 10:00:01"), referrer="other", path_role="embed"),
        page(utc("2026-11-10 11:00"), verdict="denied", status=403),
    ]
    lake(site, rows)
    return site


def told(
    capsys: pytest.CaptureFixture[str], ws: Workspace, *words: str
) -> dict[str, list[dict[str, object]]]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as done:
        main([*words, *DAYS, "--site", str(ws.folder)])
    assert done.value.code == 0
    found: dict[str, list[dict[str, object]]] = json.loads(capsys.readouterr().out)
    return found


def test_the_tally_adds_up_and_names_nobody(
    used: Workspace, capsys: pytest.CaptureFixture[str], now: datetime
) -> None:
    rows = told(capsys, used, "tally")["tally"]
    assert {r["rule"]: r["rows"] for r in rows} == {"U1": 2, "U2": 1, "N0": 1, "N1": 1}
    assert not any("ann" in str(r.values()) for r in rows)


def test_a_person_s_lines_say_what_they_were_taken_for(
    used: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = told(capsys, used, "lines", "ann", "--reason", "asked by Ann")["lines"]
    assert [(r["taken_for"], r["rule"]) for r in rows] == [
        ("visit", "U1"), ("embedded", "U2"), (None, None),
    ]  # fmt: skip
    look = again(used).ledger.lines()
    acts_ = [line.act for line in look if line.act["act"] == "look"]
    assert (acts_[-1]["what"], acts_[-1]["reason"]) == ("lines of ann", "asked by Ann")
    assert "look" in acts(used)


def test_no_reason_no_lines(used: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["lines", "ann", *DAYS, "--reason", " ", "--site", str(used.folder)])
    assert done.value.code == WrongUsage.exit_code
    assert "look" not in acts(used)
