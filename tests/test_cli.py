"""The command line as its contract has it: sentences, codes, columns, and nothing that moves a terminal."""

import csv
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from conftest import ROOT, make_site, squid_line, write_lines
from factory import lake, page

import fairwatch.findings
import holds
import reports.cases
import retention
from analytics.finding import Judgement
from errors import EXPECTED, FairwatchError
from fairwatch import place, running, sums
from fairwatch.cli import app, main
from ledger import Ledger
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
CLOCKED = "import datetime, fairwatch.place as p; p.now = lambda: datetime.datetime.fromisoformat({!r}); from fairwatch.cli import main; main()"
ACTIVITY = "user,service,category,start,end,low_s,likely_s,high_s,grade"
USAGE = "user,day,category,low_min,likely_min,high_min,grade"
ROW = [
    *("line", "time", "user", "client_ip", "method", "scheme", "host", "port", "path", "status"),
    *("verdict", "device_category", "bytes_down", "bytes_up", "duration_ms", "referrer_host"),
    *("content_type", "user_agent", "fetch", "fetch_site"),
]
HOSTILE = (
    "[red]eve[/red]",
    "mal\x1b[31;5mlory",
    "wipe\x1b[2J\x07",
    "csi\x9b31mmy",
    "back\u202eward",
    ":bomb:",
    "=cmd()",
)
DAYS = ("--from", "2026-11-09", "--to", "2026-11-13")
ANSI = re.compile(r"\x1b\[\??[0-9;]*[A-Za-z]")


@dataclass
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which has to be one JSON document."""
        return json.loads(self.out)


Call = Callable[..., Said]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command in this process at NOW; whatever happens, no trace may be on the screen."""
    monkeypatch.setattr(place, "now", lambda: NOW)
    monkeypatch.delenv("FAIRWATCH_SITE", raising=False)

    def run(*words: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert isinstance(end.value.code, int)
        return Said(end.value.code, out, err)

    return run


def elsewhere(folder: Path, *words: object, now: datetime = NOW) -> Said:
    """Run a command in a process of its own, standing in `folder`."""
    env = {k: v for k, v in os.environ.items() if k != "FAIRWATCH_SITE"}
    done = subprocess.run(
        [sys.executable, "-c", CLOCKED.format(now.isoformat()), *(str(word) for word in words)],
        cwd=folder,
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


def on_a_terminal(folder: Path, *words: object) -> str:
    """What a person sees on a wide terminal."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "240"}
    process = subprocess.Popen(
        [sys.executable, "-c", CLOCKED.format(NOW.isoformat()), *(str(word) for word in words)],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 1 << 16):
            seen += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(60) == 0
    return seen.decode()


def local(edit: Callable[[str], str] = lambda text: text) -> Callable[[str], str]:
    """The template with a source inside the site folder."""
    return lambda text: edit(text.replace("/var/log/squid/access.log*", "incoming/*.log"))


def week_of_lines() -> list[str]:
    """Monday to Friday: a steady feed, Ann on Facebook, strangers betting; nothing on Thursday noon."""
    lines: list[tuple[datetime, str]] = []
    for day in range(5):
        morning = datetime(2026, 11, 9 + day, 9, 30, tzinfo=UTC)
        for minute in range(420):
            at = morning + timedelta(minutes=minute)
            if day == 3 and 150 <= minute < 270:
                continue
            lines += [
                (at, squid_line(at, user="bob", url="http://news.example/")),
                (at, squid_line(at, user="kim", url="http://news.example/a?token=geheim")),
            ]
            if minute < 60:
                lines.append((at, squid_line(at, url="https://www.facebook.com/groups/")))
    for number, name in enumerate(HOSTILE):
        for visit in range(12):
            at = datetime(2026, 11, 10, 10, 0, 1 + number, tzinfo=UTC) + timedelta(
                minutes=2 * visit
            )
            refused = squid_line(
                at,
                user=name,
                method="CONNECT",
                url="www.bet365.com:443",
                result="TCP_DENIED/403",
                content_type="-",
            )
            lines.append((at, refused))
    return [line for _, line in sorted(lines)]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with one week of lines in its lake."""
    folder = make_site(tmp_path_factory.mktemp("town") / "site", local())
    folder.chmod(0o750)
    write_lines(folder / "incoming" / "access.log", week_of_lines())
    done = elsewhere(folder, "ingest")
    assert done.code == 0, done.err
    assert elsewhere(folder, "run", "activity").code == 0
    return folder


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A site folder nothing was read into."""
    return make_site(tmp_path / "site", local())


def commands() -> list[tuple[str, ...]]:
    """All commands, also those of the groups."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name, sub in getattr(command, "commands", {}).items():
            yield (*path, name)
            yield from walk(sub, (*path, name))

    return list(walk(typer.main.get_command(app), ()))


def test_the_contract_s_commands_exist() -> None:
    names = {" ".join(path) for path in commands()}
    assert names >= {
        *("init", "demo", "check-logs", "ingest", "activity", "usage", "findings", "run"),
        *("schedule", "status", "doctor", "report weekly", "evidence build", "evidence verify"),
        *("findings review", "findings list"),
        *("case open", "case approve", "case close", "case list"),
        *("retention plan", "retention purge", "retention verify", "retention certificate"),
        *("ledger verify", "ledger export", "ledger checkpoint", "ledger prove"),
        *("ledger consistency", "ledger rotate-key", "help exit-codes"),
    }


@pytest.mark.parametrize("path", [(), *commands()], ids=" ".join)
def test_help_says_what_a_command_does(call: Call, path: tuple[str, ...]) -> None:
    said = call(*path, "--help")
    assert said.code == 0
    assert said.out.startswith(f"Usage: {' '.join(('fairwatch', *path))}")
    body = said.out.split("Options:")[0].split("Commands:")[0]
    assert re.search(r"\n\n  [A-Z][^\n]+", body), "a sentence that begins with a capital letter"


def test_init_writes_and_refuses_to_overwrite(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    first = call("init", folder, "--policy", "b3", "--name", "O'Neill & Söhne", "--timezone", "UTC")
    assert first.code == 0
    assert all(
        str(folder / n) in first.out for n in ("fairwatch.yaml", "policy.yaml", "people.csv")
    )
    assert open_site(folder, "t").settings.organisation.name == "O'Neill & Söhne"
    (folder / "people.csv").write_text("mine")
    before = {p: p.read_bytes() for p in folder.glob("*.*")}
    second = call("init", folder, "--policy", "bcw-hub")
    assert second.code == 14
    assert "people.csv already; nothing was written" in second.err
    assert {p: p.read_bytes() for p in folder.glob("*.*")} == before


def test_init_takes_no_policy_it_does_not_have(call: Call, tmp_path: Path) -> None:
    said = call("init", tmp_path / "x", "--policy", "b4")
    assert (said.code, "b3, bcw-hub" in said.err) == (2, True)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["nosuch"], "nosuch"),
        (["case", "nosuch"], "nosuch"),
        (["status", "--bogus"], "--bogus"),
        (["findings"], "--from"),
        (["usage", "--from", "x", "--to", "2026-11-01"], "'x'"),
        (["usage", "--from", "2026-11-02", "--to", "2026-11-01"], "--to"),
        (["activity", "--from", "0001-01-01", "--to", "2026-11-01"], "2000"),
        (["findings", "--from", "2026-11-01", "--to", "9999-12-31"], "2100"),
        (["usage", "--from", "2001-01-01", "--to", "2026-12-31"], "ten years"),
        (["report", "weekly", "--week", "2026-W99"], "2026-W99"),
        (["report", "weekly", "--week", "0001-W01"], "0001-W01"),
        (["report", "weekly", "--week", "9999-W52"], "9999-W52"),
        (["run", "monthly"], "nightly, weekly, ingest"),
        (["case", "list", "extra"], "extra"),
        (["case", "approve", "C-2026-0001"], "--by"),
        (["check-logs"], "FILE"),
        (["retention", "plan", "--as-of", "soon"], "soon"),
    ],
)
def test_wrong_usage_is_a_sentence_and_code_2(
    call: Call, empty: Path, words: list[str], named: str
) -> None:
    takes_site = words[0] not in ("nosuch", "check-logs") and words[:2] != ["case", "nosuch"]
    said = call(*words, *(["--site", str(empty)] if takes_site else []))
    assert said.code == 2
    assert said.out == ""
    assert named in said.err
    assert said.err.startswith("fairwatch: ")


def test_no_command_at_all_shows_the_help(call: Call) -> None:
    said = call()
    assert said.code == 2
    assert "check-logs" in said.out + said.err


def test_exit_codes_are_all_listed(call: Call) -> None:
    said, as_json = call("help", "exit-codes"), call("help", "exit-codes", "--json")
    assert (said.code, as_json.code) == (0, 0)
    listed = dict(line.split("\t") for line in said.out.splitlines()[1:])
    expected = {"0": "done", "1": FairwatchError.meaning}
    expected |= {str(e.exit_code): e.meaning for e in EXPECTED}
    assert listed == as_json.json == expected
    assert len(expected) == len(EXPECTED) + 2, "no code stands twice"
    every = {e for e in FairwatchError.__subclasses__() if e.__module__ == "errors"}
    assert every == set(EXPECTED)


def _bad_configuration(site: Path) -> Sequence[str]:
    (site / "fairwatch.yaml").write_text("organisation: [\n")
    return ("status",)


def _unreadable(site: Path) -> Sequence[str]:
    return ("ingest", str(site / "nosuch.log"))


def _proof_failed(site: Path) -> Sequence[str]:
    open_site(site, "t").note_settings(NOW)
    path = next((site / "ledger").glob("*.jsonl"))
    path.write_bytes(path.read_bytes().replace(b'"actor":"t"', b'"actor":"u"', 1))
    return ("ledger", "verify")


def _overdue(site: Path) -> Sequence[str]:
    write_lines(site / "reports" / "old.html", ["2025-11-19"])
    return ("retention", "verify")


def _not_permitted(site: Path) -> Sequence[str]:
    return ("case", "open", "--person", "ann", "--from", "2026-11-02", "--to", "2026-11-03",
            "--reason", "curiosity", "--by", "Hel Marsh")  # fmt: skip


def _unsafe(site: Path) -> Sequence[str]:
    Ledger(site / "ledger").append("x", time=NOW + timedelta(days=9), actor="t")
    return ("retention", "purge")


def _mail_failed(site: Path) -> Sequence[str]:
    return ("report", "weekly", "--send")


def _job_failed(site: Path) -> Sequence[str]:
    (site / "incoming").mkdir()
    (site / "incoming" / "torn.log").write_bytes(b"\x1f\x8b\x08" + bytes(7))
    return ("run", "nightly")


def _damaged(site: Path) -> Sequence[str]:
    (site / "state").mkdir()
    (site / "state" / "fairwatch.db").write_bytes(b"no database at all, " * 500)
    return ("status",)


def _cannot_write(site: Path) -> Sequence[str]:
    (site / "state" / "fairwatch.db").mkdir(parents=True)
    return ("status",)


def _no_key(site: Path) -> Sequence[str]:
    lake(open_site(site, "t"), [page(NOW - timedelta(days=1))])
    (site.parent / "fairwatch.master.key").unlink()
    return ("keys", "status")


def _no_such_case(site: Path) -> Sequence[str]:
    return ("evidence", "build", "../../C-2026-0001")


def _already_there(site: Path) -> Sequence[str]:
    return ("init", str(site), "--policy", "b3")


def _not_published(site: Path) -> Sequence[str]:
    with (site / "fairwatch.yaml").open("a") as settings:
        settings.write("checkpoints: {folder: not-mounted}\n")
    return ("ledger", "checkpoint")


def _review_due(site: Path) -> Sequence[str]:
    ws, asked = open_site(site, "t"), NOW - timedelta(days=40)
    with ws.alone():
        holds.place(ws, ws.people.rows[0].user, (asked.date(), asked.date()), "tribunal", "", "Hana Marsh",
                    (asked + timedelta(days=30)).date(), "Tom Ridley", asked)  # fmt: skip
    return ("hold", "list")


REACHED: dict[int, Callable[[Path], Sequence[str]]] = {
    2: lambda _: ("run", "nosuch"),
    3: _bad_configuration,
    4: _unreadable,
    6: _proof_failed,
    7: _overdue,
    8: _not_permitted,
    9: _unsafe,
    10: _mail_failed,
    11: _job_failed,
    12: _damaged,
    13: _no_such_case,
    14: _already_there,
    15: _cannot_write,
    16: _no_key,
    17: _not_published,
    18: _review_due,
}
"""How each expected failure is met; 5 (locked) has tests of its own."""


def test_every_expected_failure_has_its_way_here() -> None:
    assert {*REACHED, 5} == {e.exit_code for e in EXPECTED}


@pytest.mark.parametrize("code", REACHED)
def test_expected_failures_are_a_sentence_and_a_code(
    call: Call, empty: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    words = REACHED[code](empty)
    monkeypatch.chdir(empty)
    said = call(*words)
    assert said.code == code, said.err
    assert said.err.startswith("fairwatch: ")
    assert len(said.err.rstrip()) > 30
    assert not list(empty.rglob("fairwatch-*.log")), "an expected failure leaves no trace"


@pytest.mark.parametrize(
    "words",
    [
        ("ingest",),
        ("usage", *DAYS),
        ("retention", "purge"),
        ("run", "nightly"),
        ("report", "weekly"),
    ],
    ids=" ".join,
)
def test_a_locked_site_is_said_so(call: Call, empty: Path, words: tuple[str, ...]) -> None:
    with open_site(empty, "other").alone():
        said = call(*words, "--site", empty)
        assert (said.code, "another run" in said.err) == (5, True)
        assert call("status", "--site", empty).code == 0, "looking needs no lock"
    assert call("ingest", "--site", empty).code == 0


def test_bad_settings_are_named_by_file_line_and_key(call: Call, empty: Path) -> None:
    path = empty / "fairwatch.yaml"
    path.write_text(path.read_text().replace("threads: 2", "threads: many"))
    said = call("status", "--site", empty)
    assert said.code == 3
    assert re.search(r"fairwatch\.yaml, line \d+, key `limits\.threads`: found 'many'", said.err)


def test_the_site_is_found_by_option_environment_and_folder(
    call: Call, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_site(tmp_path / "other", lambda t: t.replace("Example Charity", "Other House"))
    inside = empty / "reports" / "2026-W45"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert "Example Charity" in call("status").out
    monkeypatch.setenv("FAIRWATCH_SITE", str(other))
    assert "Other House" in call("status").out
    assert "Example Charity" in call("status", "--site", empty).out
    monkeypatch.delenv("FAIRWATCH_SITE")
    monkeypatch.chdir(tmp_path)
    said = call("status")
    assert (said.code, "--site" in said.err, "fairwatch init" in said.err) == (13, True, True)
    said = call("status", "--site", tmp_path / "nosuch")
    assert (said.code, "nosuch" in said.err) == (13, True)
    assert not (tmp_path / "nosuch").exists()


def _boom(*_: object) -> None:
    raise RuntimeError("geplatzt")


@pytest.mark.parametrize("way", ["--site DIR", "--site=DIR", "environment", "folder"])
def test_a_bug_is_a_sentence_and_its_trace_is_in_the_site_s_logs(
    call: Call, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(running, "status_of", _boom)
    monkeypatch.chdir(empty if way == "folder" else tmp_path)
    if way == "environment":
        monkeypatch.setenv("FAIRWATCH_SITE", str(empty))
    named = {"--site DIR": ["--site", str(empty)], "--site=DIR": [f"--site={empty}"]}
    said = call("status", *named.get(way, []))
    log = empty / "logs" / "fairwatch-2026-11-20.log"
    assert said.code == 1
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert str(log) in said.err
    assert "geplatzt" not in said.err
    assert "RuntimeError: aaaaaaaa" in log.read_text()
    assert not list(tmp_path.glob("fairwatch-*.log"))


def test_a_bug_where_nothing_can_be_written_is_still_a_sentence(
    call: Call, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "status_of", _boom)
    (empty / "logs").write_text("a file where the folder should be")
    nowhere = tmp_path / "gone"
    nowhere.mkdir()
    monkeypatch.chdir(nowhere)
    nowhere.rmdir()
    said = call("status", "--site", empty)
    assert (said.code, "could not be written" in said.err) == (1, True)


def test_ingest_json_has_the_contract_s_shape(call: Call, empty: Path) -> None:
    at = NOW - timedelta(days=2)
    lines = ["# squid", *(squid_line(at + timedelta(seconds=i)) for i in range(5)), "no line"]
    lines.append(squid_line(NOW - timedelta(days=400)))
    write_lines(empty / "incoming" / "a.log", lines)
    write_lines(empty / "incoming" / "b.log", [squid_line(at, user="bob")])
    first = call("ingest", "--json", "--site", empty)
    counts = ["lines", "rows", "ignored", "rejected", "duplicate", "expired"]
    files, totals = first.json["files"], first.json["totals"]
    assert first.code == 0
    assert list(first.json) == ["files", "totals"]
    assert [list(f)[:10] for f in files] == [["path", "sha256", "format", *counts, "seconds"]] * 2
    assert list(totals) == counts
    assert totals == {n: sum(f[n] for f in files) for n in counts}
    for f in files:
        assert f["lines"] == sum(f[n] for n in counts[1:])
    assert [files[0][n] for n in counts] == [8, 5, 1, 1, 0, 1]
    assert "reading" in first.err, "progress is on standard error"
    again = call("ingest", "--json", "--site", empty).json["totals"]
    assert (again["rows"], again["duplicate"]) == (0, 9)


def test_ingest_tells_what_failed_and_still_prints_one_document(call: Call, empty: Path) -> None:
    good = write_lines(empty / "good.txt", [squid_line(NOW - timedelta(days=1))])
    said = call("ingest", good, empty / "nosuch", "--format", "squid", "--json", "--site", empty)
    assert said.code == 4
    assert said.json["totals"]["rows"] == 1
    assert "nosuch" in said.err


def test_a_source_without_files_is_told(call: Call, empty: Path) -> None:
    said = call("ingest", "--site", empty)
    assert (said.code, said.err.count("no file matches its `paths`")) == (0, 1)
    write_lines(empty / "incoming" / "a.log", [squid_line(NOW - timedelta(days=1))])
    assert "no file matches" not in call("ingest", "--site", empty).err


@pytest.mark.parametrize("keep_url", [False, True])
def test_check_logs_rows_are_the_contract_s(call: Call, tmp_path: Path, keep_url: bool) -> None:
    lines = [
        squid_line(1788000000.007, user="-", url="http://a.example:8080/p/q?token=geheim#x"),
        squid_line(1788000001.5, user="ann", method="CONNECT", url="b.example:443"),
    ]
    log = write_lines(tmp_path / "a.log", lines)
    said = call("check-logs", log, "--rows", *(["--keep-url"] if keep_url else []))
    first, second = (json.loads(line) for line in said.out.splitlines())
    assert said.code == 0
    assert list(first) == list(second) == [*ROW, *(["url"] if keep_url else [])]
    assert first | {"url": 0} == {
        "line": 1,
        "time": "2026-08-29T10:40:00.007Z",
        "user": None,
        "client_ip": "10.20.1.12",
        "method": "GET",
        "scheme": "http",
        "host": "a.example",
        "port": 8080,
        "path": "/p/q",
        "status": 200,
        "verdict": "allowed",
        "device_category": None,
        "bytes_down": 1037,
        "bytes_up": None,
        "duration_ms": 161,
        "referrer_host": None,
        "content_type": "text/html",
        "user_agent": None,
        "fetch": None,
        "fetch_site": None,
        "url": 0,
    }
    assert (second["scheme"], second["host"], second["port"], second["path"]) == (
        None,
        "b.example",
        443,
        None,
    )
    assert ("geheim" in said.out) is keep_url
    if keep_url:
        assert first["url"] == "http://a.example:8080/p/q?token=geheim#x"
    assert not list(tmp_path.glob("fairwatch*")), "stores nothing"


def test_check_logs_says_line_and_reason_and_never_the_text(call: Call, tmp_path: Path) -> None:
    lines = [*[squid_line(1788000000 + i) for i in range(3)], "Geheim secret", "# a comment"]
    said = call("check-logs", write_lines(tmp_path / "a.log", lines), "--json")
    (one,) = said.json["files"]
    assert [one[n] for n in ("lines", "rows", "ignored", "rejected")] == [5, 3, 1, 1]
    (reject,) = one["rejects"].values()
    assert (reject["line"], reject["count"]) == (4, 1)
    assert "Geheim" not in said.out


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_activity_and_usage_csv_begin_with_the_contract_s_columns(call: Call, town: Path) -> None:
    activity = call("activity", *DAYS, "--csv", "--site", town)
    usage = call("usage", *DAYS, "--csv", "--site", town)
    assert (activity.code, usage.code) == (0, 0)
    assert f"{activity.out.splitlines()[0]},".startswith(f"{ACTIVITY},")
    assert f"{usage.out.splitlines()[0]},".startswith(f"{USAGE},")
    for row in rows_of(activity.out):
        start, end = (datetime.fromisoformat(row[n]) for n in ("start", "end"))
        assert start.utcoffset() == timedelta(0)
        assert start <= end
        assert float(row["low_s"]) <= float(row["likely_s"]) <= float(row["high_s"])
        assert row["grade"] in "ABCD"
    assert {r["user"] for r in rows_of(activity.out)} == {"ann"}


def test_a_day_with_a_feed_gap_has_empty_numbers(call: Call, town: Path) -> None:
    usage = rows_of(call("usage", *DAYS, "--csv", "--site", town).out)
    ann = {r["day"]: r for r in usage if (r["user"], r["category"]) == ("ann", "social_network")}
    numbers = ("low_min", "likely_min", "high_min")
    assert sorted(ann) == [f"2026-11-{d:02d}" for d in range(9, 14)]
    assert [ann["2026-11-12"][n] for n in numbers] == ["", "", ""]
    for day in ann.keys() - {"2026-11-12"}:
        low, likely, high = (float(ann[day][n]) for n in numbers)
        # A page that falls silent may be read for twenty minutes more.
        assert 55 <= low <= likely <= 66 <= high <= 80
    told = call("status", "--json", "--site", town).json["sources"][0]["gaps"]
    # Read once: of the last day its lines may still be on their way.
    assert [gap[:10] for gap in told] == [f"2026-11-{d}" for d in range(16, 19)], "silent since"
    assert all(gap.endswith("(not delivered yet)") for gap in told)


def test_csv_for_programs_is_what_the_log_said(call: Call, town: Path) -> None:
    found = call("usage", *DAYS, "--csv", "--site", town).out
    blocked = call("findings", *DAYS, "--json", "--site", town).json["findings"]
    people = {f["person"] for f in blocked if f["kind"] == "blocked_site"}
    assert people == set(HOSTILE)
    assert "\x1b" not in found.replace(HOSTILE[1], "").replace(HOSTILE[2], "")


def test_retention_verify_json_has_the_contract_s_shape(call: Call, town: Path) -> None:
    said = call("retention", "verify", "--json", "--site", town)
    assert said.code == 0
    assert list(said.json)[:4] == ["as_of", "limit", "stores", "clean"]
    assert said.json["clean"] is True
    assert said.json["limit"] == "2025-11-21"
    keys = ["store", "files", "rows", "oldest_event", "overdue_rows", "unreadable"]
    assert all(list(store)[:6] == keys for store in said.json["stores"])
    events = next(s for s in said.json["stores"] if s["store"] == "events")
    assert (events["oldest_event"], events["overdue_rows"]) == ("2026-11-09", 0)


def test_overdue_data_is_exit_7_also_as_json(call: Call, empty: Path) -> None:
    write_lines(empty / "stray" / "old.txt", ["2025-11-19"])
    said = call("retention", "verify", "--json", "--site", empty)
    assert said.code == 7
    assert said.json["clean"] is False
    assert "stray/old.txt" in said.err


JSON_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("ingest", "--json"),
    ("activity", *DAYS, "--json"),
    ("usage", *DAYS, "--json"),
    ("findings", *DAYS, "--json"),
    ("report", "weekly", "--week", "2026-W46", "--json"),
    ("findings", "list", "--json"),
    ("case", "list", "--json"),
    ("retention", "plan", "--json"),
    ("retention", "verify", "--json"),
    ("retention", "purge", "--json"),
    ("ledger", "verify", "--json"),
    ("ledger", "checkpoint", "--json"),
    ("retention", "certificate", "--json"),
    ("status", "--json"),
    ("doctor", "--json"),
    ("help", "exit-codes", "--json"),
)


@pytest.mark.parametrize("words", JSON_COMMANDS, ids=lambda w: " ".join(w[:2]))
def test_json_is_alone_on_standard_output(
    call: Call, town: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(town)
    said = call(*words)
    assert said.code == 0, said.err
    assert isinstance(said.json, dict)
    assert said.out.replace("\n", "").isprintable(), "control characters are escaped"


@pytest.mark.parametrize(
    "words",
    [
        ("findings", *DAYS),
        ("findings", "list"),
        ("usage", *DAYS),
        ("activity", *DAYS),
        ("status",),
        ("retention", "plan"),
        ("doctor",),
        ("run", "findings"),
        ("check-logs", "incoming/access.log"),
    ],
    ids=lambda w: " ".join(w[:2]),
)
def test_elsewhere_than_on_a_terminal_it_is_plain_lines(
    call: Call, town: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(town)
    monkeypatch.setenv("FORCE_COLOR", "1")
    said = call(*words)
    assert said.code == 0, said.err
    for stream in (said.out, said.err):
        assert stream.replace("\n", "").replace("\t", "").isprintable()
    assert "─" not in said.out


def test_names_in_findings_cannot_move_the_terminal(call: Call, town: Path) -> None:
    out = call("findings", *DAYS, "--site", town).out
    for name in HOSTILE:
        shown = "".join(c if c.isprintable() else "\ufffd" for c in name)
        assert f"  {shown}  2026-W46" in out


@pytest.mark.parametrize("how", [(), ("--json",), ("--csv",)], ids=" ".join)
@pytest.mark.slow
def test_a_terminal_shows_hostile_names_as_letters(tmp_path: Path, how: tuple[str, ...]) -> None:
    lines = [
        squid_line(NOW - timedelta(days=1, minutes=-m), user=name)
        for name in HOSTILE
        for m in range(3)
    ]
    folder = make_site(tmp_path / "site", local())
    write_lines(folder / "incoming" / "a.log", lines)
    on_a_terminal(folder, "ingest")
    seen = on_a_terminal(folder, "usage", "--from", "2026-11-19", "--to", "2026-11-19", *how)
    plain = ANSI.sub("", seen)
    assert "\x1b" not in plain, "nothing but the drawing library's own sequences"
    assert "\x07" not in plain
    assert "\x9b" not in seen
    assert "\u202e" not in seen
    assert "\x1b[31" not in seen
    assert "\x1b[2J" not in seen
    assert "[red]eve[/red]" in plain
    assert ":bomb:" in plain
    assert "=cmd()" in plain


def test_error_sentences_cannot_move_the_terminal(call: Call, empty: Path) -> None:
    said = call("report", "weekly", "--team", "\x1b[2Jx", "--site", empty)
    assert said.code == 13
    assert "\x1b" not in said.err


def test_a_file_name_that_is_no_text_is_no_bug(empty: Path) -> None:
    path = os.path.join(os.fsencode(empty), b"\xff.log")
    with open(path, "w") as file:
        file.write(squid_line(NOW - timedelta(days=1)) + "\n")
    said = elsewhere(empty, "check-logs", os.fsdecode(path))
    assert (said.code, "1 would be read" in said.out) == (0, True), said.err


@pytest.mark.parametrize(
    ("words", "place_", "function"),
    [
        (("activity", *DAYS), sums, "activity"),
        (("usage", *DAYS), sums, "usage"),
        (("findings", *DAYS), fairwatch.findings, "standing"),
        (("findings", "list"), fairwatch.findings, "listed"),
        (("case", "list"), reports.cases, "cases"),
    ],
)
def test_a_look_is_in_the_ledger_before_the_answer(
    call: Call,
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    place_: ModuleType,
    function: str,
) -> None:
    seen: list[dict[str, Any]] = []

    def answer(ws: Workspace, *_: object) -> Any:
        seen.append([line.act for line in ws.ledger.lines()][-1])
        return Judgement([], []) if function == "standing" else []

    monkeypatch.setattr(place_, function, answer)
    why = () if "list" in words else ("--reason", "complaint 7")
    said = call(*words, *why, "--site", empty)
    assert said.code == 0
    (look,) = seen
    what = {"cases": "cases", "listed": "findings list", "standing": "findings"}
    assert (look["act"], look["actor"]) == ("look", place.actor())
    assert look["what"] == what.get(function, function)
    assert look["reason"] == ("complaint 7" if why else "routine check by IT")
    if why:
        assert (look["first_day"], look["last_day"]) == ("2026-11-09", "2026-11-13")


def test_a_finding_is_reviewed_by_a_human(
    call: Call, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(town, tmp_path / "own"))
    shutil.copy(town.parent / "fairwatch.master.key", tmp_path)  # it stands beside the site
    matters = call("findings", *DAYS, "--json").json["findings"]
    assert {m["state"] for m in matters} == {"waiting"}
    one, other = matters[0]["id"], matters[1]["id"]
    why = ("--reason", "a wrong link in a newsletter", "--by", "Hel Marsh")
    said = call("findings", "review", one, "--dismiss", *why, "--json").json
    assert (said["state"], said["reviews"][0]["by"]) == ("dismissed", "Hel Marsh")
    assert "referred" in call("findings", "review", other, "--refer", *why).out
    later = call("findings", *DAYS, "--json").json
    assert (one in [m["id"] for m in later["findings"]], later["dismissed"]) == (False, 1)
    everything = {m["id"]: m for m in call("findings", *DAYS, "--all", "--json").json["findings"]}
    assert everything.keys() == {m["id"] for m in matters}
    assert everything[one]["state"] == "dismissed"
    assert "Dismissed and not shown" in call("findings", *DAYS).out
    listed = {m["id"]: m["state"] for m in call("findings", "list", "--json").json["findings"]}
    assert (listed[one], listed[other]) == ("dismissed", "referred")
    assert call("run", "findings").out.endswith("; 1 dismissed before\n")


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["--reason", "a reason of some length"], 2, "one of --dismiss"),
        (["--dismiss", "--refer", "--reason", "a reason of some length"], 2, "one of --dismiss"),
        (["--dismiss"], 2, "--reason"),
        (["--dismiss", "--reason", "no"], 2, "10 to 2000 letters"),
        (["--dismiss", "--reason", "a reason of some length"], 13, "findings list"),
    ],
)
def test_a_review_that_is_none(
    call: Call, empty: Path, words: list[str], code: int, named: str
) -> None:
    said = call("findings", "review", "0123456789ab", *words, "--site", empty)
    assert (said.code, named in said.err) == (code, True), said.err


def test_a_refused_question_is_no_look(call: Call, empty: Path) -> None:
    call("usage", "--from", "2026-11-02", "--to", "2026-11-01", "--site", empty)
    assert "look" not in {line.act["act"] for line in open_site(empty, "t").ledger.lines()}


def test_the_way_to_a_named_person(call: Call, town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(town)
    asked = call("case", "open", "--person", "ann", "--from", "2026-11-09", "--to", "2026-11-13",
                 "--reason", "excessive-use", "--by", "Hel Marsh", "--json")  # fmt: skip
    assert asked.code == 0
    id_ = asked.json["id"]
    assert call("evidence", "build", id_).code == 8
    assert call("case", "approve", id_, "--by", "hel  marsh").code == 8
    assert call("case", "approve", id_, "--by", "Ann Archer").code == 8
    assert call("case", "approve", id_, "--by", "Tom Ridley").code == 0
    built = call("evidence", "build", id_, "--json").json
    assert call("evidence", "verify", built["path"]).code == 0
    assert call("case", "close", id_, "--by", "Tom Ridley").code == 0
    assert call("evidence", "build", id_).code == 8
    acts = [json.loads(line) for line in call("ledger", "export").out.splitlines()]
    told = [a["act"] for a in acts if a.get("case") == id_]
    assert told == ["case open", "case approve", "look", "evidence build", "case close"]


def test_a_pack_is_checked_without_any_site(
    call: Call, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"PK\x03\x04 nothing")
    said = call("evidence", "verify", bad)
    assert (said.code, "no zip" in said.err) == (6, True)


def test_ledger_export_is_the_segments_as_they_stand(call: Call, town: Path) -> None:
    said = call("ledger", "export", "--site", town)
    raw = b"".join(p.read_bytes() for p in sorted((town / "ledger").glob("*.jsonl")))
    assert said.out.encode() == raw


def test_purge_says_done_only_after_the_look(
    call: Call, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(empty / "reports" / "2025-W40" / "x.html", ["2025-10-01"])
    planned = call("retention", "plan", "--site", empty)
    assert "remove\treports\treports/2025-W40/x.html" in planned.out
    assert (empty / "reports" / "2025-W40" / "x.html").exists(), "a plan removes nothing"
    monkeypatch.setattr(retention, "remove", lambda *_: None)
    said = call("retention", "purge", "--site", empty)
    assert (said.code, "removed" in said.out) == (7, False)
    monkeypatch.undo()
    monkeypatch.setattr(place, "now", lambda: NOW)
    done = call("retention", "purge", "--site", empty)
    assert (done.code, done.out.startswith("1 items removed")) == (0, True)


def test_a_reader_that_goes_away_is_no_bug(town: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = f"exec {sys.executable} -c 'from fairwatch.cli import main; main()' ledger export"
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=town,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    told = process.stderr.read().decode()
    process.stderr.close()
    process.wait(60)
    assert "Traceback" not in told
    assert "bug" not in told


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_produced(tmp_path: Path, shell: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # fmt: skip
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from fairwatch.cli import main; main()",
            "--show-completion",
            shell,
        ],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "_FAIRWATCH_COMPLETE" in done.stdout


def test_completion_knows_the_commands(tmp_path: Path) -> None:
    asked = {
        "_FAIRWATCH_COMPLETE": "complete_bash",
        "COMP_WORDS": "fairwatch retention ",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from fairwatch.cli import main; main()"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), **asked},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["plan", "purge", "certificate", "verify"], done.stderr


def test_usage_beside_published_rules(call: Call, town: Path) -> None:
    plain = call("usage", *DAYS, "--rivals", "--site", town)
    assert plain.code == 0
    assert "SARG, LightSquid, SquidAnalyzer" in plain.out
    said = call("usage", *DAYS, "--rivals", "--json", "--site", town).json
    ann = [r for r in said["days"] if (r["user"], r["day"]) == ("ann", "2026-11-10")]
    assert [r["rule"] for r in ann] == [rule["id"] for rule in said["rules"]]
    assert all(r["low_min"] <= r["likely_min"] <= r["high_min"] for r in ann)
    gone = [r for r in said["days"] if r["day"] == "2026-11-12"]
    assert gone and all(r["likely_min"] is None and not r["differs"] for r in gone)
    rows = rows_of(call("usage", *DAYS, "--rivals", "--csv", "--site", town).out)
    assert len(rows) == len(said["days"])
