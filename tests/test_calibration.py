"""A volunteer's twenty minutes: led through, broken off, gone on with, and measured against the logs."""

import io
import json
import os
import pty
import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, make_site, squid_line, write_lines
from factory import acts, lake, page

from analytics import calibration
from analytics.calibration import NOT_CALIBRATED, Record, left, measure, words
from analytics.people import ActivityRow
from config.calibration import Plan, plan
from errors import Damaged, NoSuchThing, WrongUsage
from fairwatch import place
from fairwatch.calibrate import guide
from fairwatch.cli import main
from reports.calibration import script
from retention import purge, verify
from workspace import Workspace, open_site

BEGAN = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 19, 6, 0, tzinfo=UTC)


@dataclass
class Volunteer:
    """Somebody who does each step for its minutes, and may walk away at one."""

    now: datetime = BEGAN
    walks_away_at: int | None = None
    heard: list[str] = field(default_factory=list)
    pressed: int = 0

    def say(self, text: str = "") -> None:
        self.heard.append(text)

    def enter(self, prompt: str, seconds: float | None = None) -> str:
        self.pressed += 1
        if self.pressed == self.walks_away_at:
            raise KeyboardInterrupt
        self.now += timedelta(seconds=5 if seconds is None else seconds)
        return ""


def fresh(service: str = "facebook") -> Record:
    return Record("c-00000001", "ann", service, BEGAN, plan().version)


def led(volunteer: Volunteer, record: Record, kept: list[Record]) -> Record:
    return guide(record, plan(), "Facebook", volunteer, lambda: volunteer.now, kept.append)


def test_every_step_is_recorded_as_it_was_done() -> None:
    volunteer = Volunteer()
    kept: list[Record] = []
    done = led(volunteer, fresh(), kept)
    assert [s.step for s in done.steps] == [s.id for s in plan().steps]
    assert [(s.stop - s.start).total_seconds() / 60 for s in done.steps] == [
        s.minutes for s in plan().steps
    ]
    assert done.finished and kept[-1] == done and len(kept) == len(plan().steps)
    assert not any(r.finished for r in kept[:-1])
    assert any("Open Facebook by its address" in line for line in volunteer.heard)
    assert plan().minutes == 20


@pytest.mark.parametrize("at", range(1, 17))
def test_a_script_broken_off_anywhere_goes_on_where_it_was(at: int) -> None:
    volunteer, kept = Volunteer(walks_away_at=at), [fresh()]
    with pytest.raises(KeyboardInterrupt):
        led(volunteer, fresh(), kept)
    assert len(kept[-1].steps) == (at - 1) // 2
    volunteer.walks_away_at = None
    volunteer.now += timedelta(hours=1)
    done = led(volunteer, kept[-1], kept)
    assert done.finished and left(done, plan()) == []
    assert [s.step for s in done.steps] == [s.id for s in plan().steps]
    assert all(a.stop <= b.start for a, b in zip(done.steps, done.steps[1:], strict=False))


def test_a_record_is_kept_whole_and_read_again(site: Workspace) -> None:
    done = led(Volunteer(), fresh(), [])
    path = calibration.save(site, done)
    assert calibration.records(site) == [done]
    assert [p.name for p in path.parent.iterdir()] == ["c-00000001.json"]
    path.write_text('{"id": 1}')
    with pytest.raises(Damaged, match="no calibration record"):
        calibration.records(site)


def test_a_plan_must_have_both_truths() -> None:
    with pytest.raises(ValueError, match="not"):
        Plan.model_validate({"version": "x", "steps": [s.model_dump() for s in plan().steps if s.counts == "use"]})  # fmt: skip


def row(service: str, start: datetime, low: float, likely: float, high: float, **more: Any) -> ActivityRow:  # fmt: skip
    end = start + timedelta(seconds=likely)
    facts = {
        "category": "social_network",
        "grade": "B",
        "identity": "login",
        "rule": "U1",
        "marks": 3,
    }
    return ActivityRow(
        user="ann", service=service, start=start.isoformat(), end=end.isoformat(),
        low_s=low, likely_s=likely, high_s=high, **{**facts, **more},
    )  # fmt: skip


def measured(site: Workspace, monkeypatch: pytest.MonkeyPatch, rows: list[ActivityRow]) -> calibration.Measured:  # fmt: skip
    done = led(Volunteer(), fresh(), [])
    lake(site, [page(BEGAN + timedelta(minutes=5))])
    monkeypatch.setattr(calibration, "activity", lambda *_, **__: rows)
    found = measure(site, done, LATER).measured
    assert found is not None
    return found


def begin(step: str) -> datetime:
    return next(s.start for s in led(Volunteer(), fresh(), []).steps if s.step == step)


def test_measures_by_hand(site: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The visit seen, its reading half, 90 s of the forgotten tab claimed, another service on the news."""
    visit, tab, news = begin("visit"), begin("tab"), begin("news")
    rows = [
        row("facebook", visit, 180, 240, 300),
        row("facebook", begin("reading"), 60, 90, 180),
        row("facebook", tab, 0, 90, 120),
        row("x", news, 10, 30, 60),
        row("x", news, 10, 30, 60, grade="D"),
        row("x", BEGAN - timedelta(hours=3), 600, 600, 600),
    ]
    m = measured(site, monkeypatch, rows)
    assert m.true_min == 7
    assert (m.low_min, m.likely_min) == (round(250 / 60, 2), round((240 + 90 + 90 + 30) / 60, 2))
    # 300 s of high from the visit run 55 s into the reading after a pause of 5 s between the steps.
    assert m.high_min == round((300 - 5 + 180 - 55 + 120 + 60) / 60, 2)
    assert (m.claims, m.claims_true, m.visits, m.visits_seen) == (4, 3, 2, 2)
    assert m.elsewhere_min == {"news": 0.5, "tab": 1.5}
    assert (m.precision, m.recall, m.inside) == (0.75, 1.0, True)
    assert (m.sources, m.grain, m.fetch, m.rows) == (("main-proxy",), "page", False, 1)


def test_nothing_claimed_has_no_precision(site: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    m = measured(site, monkeypatch, [])
    assert (m.precision, m.recall, m.likely_min, m.inside) == (None, 0.0, 0.0, False)


def test_what_cannot_be_measured_says_so(site: Workspace) -> None:
    done = led(Volunteer(), fresh(), [])
    with pytest.raises(WrongUsage, match="not finished"):
        measure(site, replace(done, finished=False), LATER)
    with pytest.raises(NoSuchThing, match="no line under the volunteer's name"):
        measure(site, done, LATER)


def test_words_are_of_the_newest_before_the_day(
    site: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert words(site, LATER.date()) == NOT_CALIBRATED
    m = measured(site, monkeypatch, [row("facebook", begin("visit"), 300, 400, 500)])
    done = led(Volunteer(), fresh(), [])
    calibration.save(site, replace(done, measured=m))
    told = words(site, LATER.date())
    assert (
        "Calibrated on 18 November 2026 (source main-proxy; addresses of pages were logged)" in told
    )
    assert "likely 6.6 (error -0.4)" in told and "within the range" in told
    assert "ann" not in told.lower().split()
    assert words(site, date(2026, 11, 17)) == NOT_CALIBRATED, "not known then"
    tunnels = replace(m, grain="tunnel", likely_min=2.0, high_min=3.0)
    calibration.save(
        site, replace(done, id="c-2", consented=BEGAN + timedelta(hours=5), measured=tunnels)
    )
    both = words(site, LATER.date())
    assert both.count("Calibrated on") == 2 and "OUTSIDE the range" in both


def test_a_record_grows_old_like_everything_else(site: Workspace) -> None:
    calibration.save(site, led(Volunteer(), fresh(), []))
    soon, late = BEGAN + timedelta(days=300), BEGAN + timedelta(days=370)
    with site.alone():
        assert verify(site, soon).clean
        assert not verify(site, late).clean
        gone = purge(site, late)
    assert [i.name for i in gone.removed if i.store == "calibration"] == [
        "calibration/c-00000001.json"
    ]
    assert gone.verification.clean
    assert calibration.records(site) == []


def test_the_script_can_be_printed(site: Workspace) -> None:
    text = unescape(script(site, plan(), "facebook").decode())
    assert all(step.title in text for step in plan().steps)
    assert "Open Facebook by its address" in text
    assert "2026" not in text


# A browser as its lines would be: what each step of the script leaves in a log that has pages.


def browsed(record: Record, rng: random.Random) -> Iterator[str]:
    steps = {s.step: s for s in record.steps}

    def at(step: str, every: float) -> Iterator[datetime]:
        moment = steps[step].start + timedelta(seconds=2)
        while moment < steps[step].stop:
            yield moment
            moment += timedelta(seconds=rng.uniform(0.5, 1.5) * every)

    for when in at("news", 60):
        yield squid_line(when, url="https://news.example/story", size=90_000)
        for wait, url in (
            (1, "https://www.facebook.com/plugins/like.php"),
            (2, "https://www.youtube.com/embed/x"),
        ):
            yield squid_line(when + timedelta(seconds=wait), url=url)
    for when in at("visit", 30):
        yield squid_line(when, url="https://www.facebook.com/groups/1", size=80_000)
        yield squid_line(
            when + timedelta(seconds=1),
            url="https://static.xx.fbcdn.net/a.js",
            content_type="text/javascript",
        )
    yield squid_line(
        steps["reading"].start + timedelta(seconds=3),
        url="https://www.facebook.com/notes/1",
        size=60_000,
    )
    moment = steps["tab"].start
    while moment < steps["video"].start:
        yield squid_line(
            moment, url="https://graph.facebook.com/pull", content_type="application/json", size=80
        )
        moment += timedelta(seconds=30)
    for when in at("video", 40):
        yield squid_line(when, url="https://blog.example/post")
        yield squid_line(
            when + timedelta(seconds=2), url="https://www.youtube.com/embed/y", size=900_000
        )
    yield squid_line(steps["login"].start + timedelta(seconds=9), url="https://www.facebook.com/dialog/oauth")  # fmt: skip


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Commands typed at a terminal whose clock goes on by itself, with what is typed into them."""
    clock = Volunteer()
    monkeypatch.setattr(place, "now", lambda: clock.now)

    class Typed:
        def __init__(self, text: str) -> None:
            self.lines = io.StringIO(text)

        def isatty(self) -> bool:
            return False

        def readline(self) -> str:
            line = self.lines.readline()
            clock.now += timedelta(minutes=float(line.split("#")[1]) if "#" in line else 0.1)
            return line.split("#")[0].strip() + "\n" if line else ""

    def call(*words: Any, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", Typed(typed))
        with pytest.raises(SystemExit) as done:
            main([*map(str, words)])
        said = capsys.readouterr()
        return int(done.value.code or 0), said.out, said.err

    call.clock = clock  # type: ignore[attr-defined]
    return call


def typed(steps: int, first: int = 0) -> str:
    return "".join(f"\n#{s.minutes}\n" for s in plan().steps[first : first + steps])


def test_from_the_first_enter_to_the_printed_error(terminal: Any, tmp_path: Path) -> None:
    folder = make_site(
        tmp_path / "site", lambda t: t.replace("/var/log/squid/access.log*", "incoming/*.log")
    )
    person = ("calibrate", "--person", "ann", "--service", "facebook", "--site", folder)
    code, out, err = terminal(*person, typed="no\n")
    assert (code, "did not agree" in err) == (8, True)
    assert not list(folder.glob("calibration/*"))

    code, out, err = terminal(*person, typed="I agree\n" + typed(3))
    assert code == 130, "nobody types any more"
    assert "Step 4 of 8" in out
    code, out, err = terminal("calibrate", "--measure", "--site", folder)
    assert (code, "no finished record" in err) == (13, True)

    code, out, err = terminal(*person, typed=typed(8, 3))
    assert code == 0, err
    assert "3 of 8 steps done" in out and "Step 1 of 8" not in out
    code, out, err = terminal("calibrate", "--measure", "--site", folder)
    assert (code, "no line under the volunteer's name" in err) == (13, True)

    (record,) = calibration.records(open_site(folder, "test"))
    rng = random.Random(4)
    write_lines(folder / "incoming/a.log", sorted(browsed(record, rng)))
    terminal.clock.now += timedelta(hours=3)
    assert terminal("ingest", "--site", folder)[0] == 0
    code, out, err = terminal("calibrate", "--measure", "--json", "--site", folder)
    assert code == 0, err
    (one,) = json.loads(out)["records"]
    m = one["measured"]
    assert m["recall"] == 1.0 and m["precision"] == 1.0
    assert m["elsewhere_min"].get("news", 0) == 0, "buttons and players are nobody's visit"
    assert m["low_min"] <= m["likely_min"] <= m["high_min"]
    assert abs(m["likely_min"] - m["true_min"]) < 4

    day = f"{record.day}"
    code, out, err = terminal("usage", "--from", day, "--to", day, "--json", "--site", folder)
    assert json.loads(out)["calibration"].startswith("Calibrated on 18 November 2026")
    assert acts(open_site(folder, "test")).count("calibration") == 3

    code, out, err = terminal("calibrate", "--list", "--site", folder)
    assert record.id in out and "Calibrated on" in out
    assert terminal("calibrate", "--forget", record.id, "--site", folder)[0] == 0
    assert terminal("calibrate", "--forget", record.id, "--site", folder)[0] == 13
    code, out, err = terminal("calibrate", "--list", "--site", folder)
    assert "Not calibrated" in out
    assert terminal("ledger", "verify", "--site", folder)[0] == 0


def test_words_that_make_no_script(terminal: Any, tmp_path: Path) -> None:
    folder = make_site(tmp_path / "site")
    for words_ in ((), ("--person", "ann", "--service", "nosuch"), ("--script", tmp_path / "a.html", "--service", "bet365")):  # fmt: skip
        code, _, err = terminal("calibrate", *words_, "--site", folder)
        assert (code, err.count("\n")) == (2, 1), err
    code, _, _ = terminal("calibrate", "--script", tmp_path / "a.html", "--site", folder)
    assert code == 0 and "Reddit" in (tmp_path / "a.html").read_text()


def test_a_terminal_counts_down_and_ctrl_c_keeps_what_was_done(tmp_path: Path) -> None:
    folder = make_site(tmp_path / "site")
    ours, theirs = pty.openpty()
    command = "from fairwatch.cli import main; main()"
    words = ("calibrate", "--person", "ann", "--service", "facebook", "--site", str(folder))
    process = subprocess.Popen(
        [sys.executable, "-c", command, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "200"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""

    def until(words: bytes) -> None:
        nonlocal seen
        while words not in seen:
            ready, _, _ = select.select([ours], [], [], 30)
            assert ready, seen[-300:]
            try:
                seen += os.read(ours, 4096)
            except OSError:  # the other end is closed
                pytest.fail(f"ended with {process.wait(30)}: {seen!r}")
        seen = seen[seen.index(words) + len(words) :]

    until(b"I agree")
    os.write(ours, b"I agree\n")
    until(b"Enter when you begin.")
    os.write(ours, b"\n")
    until(b"1:59 left]")
    os.write(ours, b"\n")
    until(b"Step 2 of 8")
    until(b"Enter when you begin.")
    process.send_signal(signal.SIGINT)
    until(b"1 of 8 steps are kept")
    assert process.wait(30) == 130
    os.close(ours)
    (record,) = calibration.records(open_site(folder, "test"))
    assert [s.step for s in record.steps] == ["silence-before"]
    assert not record.finished
