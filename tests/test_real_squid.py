"""Requests a real Squid answered, against the rows that are read from the log it wrote."""

import gzip
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pytest
import squidlab
from conftest import ROOT, make_site
from factory import content

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not squidlab.available(), reason="needs squid and its basic_ncsa_auth"),
]

USERS = {"ann": "a1", "bob": "b2", "kim": "k3"}
DENIED = (".bet365.com", ".refused.example")
CUSTOM = (
    '%ts.%03tu %6tr %>a %[un %Ss %03>Hs %<st %>st %rm "%ru" "%{Referer}>h" "%{User-Agent}>h" %mt'
)
FORMATS = {
    "squid": ("format: squid", "squid"),
    "combined": ("format: combined", "combined"),
    "custom": (f"format: squid\n    logformat: '{CUSTOM}'", CUSTOM),
}
COUNTS = ("lines", "rows", "ignored", "rejected", "duplicate", "expired")


@dataclass
class Asked:
    """What was asked of Squid, to be compared with what is read."""

    requests: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    services: Counter[str] = field(default_factory=Counter)

    def note(self, verdict: str, user: str | None, service: str) -> None:
        """One request."""
        self.requests += 1
        self.verdicts[verdict] += 1
        self.services[service] += 1
        if user:
            self.users[user] += 1


@dataclass
class Lab:
    """A Squid and a site that reads its log."""

    squid: squidlab.Squid
    folder: Path
    site: Path
    asked: Asked = field(default_factory=Asked)

    def page(self, user: str, host: str, service: str, size: int = 700) -> None:
        """A page that comes."""
        headers = {"X-Lab-Bytes": str(size), "Referer": "http://news.example/secret?q=1"}
        assert self.squid.get(f"http://{host}/groups/x?token=geheim", user, "10.20.1.12", headers) == 200  # fmt: skip
        self.asked.note("allowed", user, service)

    def tunnel(self, user: str, host: str, service: str, size: int = 5000) -> None:
        """A tunnel that comes."""
        assert self.squid.tunnel(host, size, user, "10.20.1.13") == 200
        self.asked.note("allowed", user, service)

    def denied(self, user: str, host: str, service: str) -> None:
        """A page and a tunnel that are refused."""
        assert self.squid.get(f"http://{host}/", user) == 403
        assert self.squid.tunnel(host, 10, user) == 403
        for _ in range(2):
            self.asked.note("denied", user, service)

    def stranger(self, user: str | None = None, password: str | None = None) -> None:
        """A request without a log-in, or with a wrong one."""
        with self.squid.ask("GET", "http://www.facebook.com/", user, password=password) as link:
            assert squidlab.status_of(squidlab.drain(link)) == 407
        self.asked.note("auth", user, "facebook")

    def a_day(self, rounds: int = 6) -> None:
        """About 25 requests a round."""
        for _ in range(rounds):
            for user in USERS:
                self.page(user, "www.facebook.com", "facebook")
                self.page(user, "static.xx.fbcdn.net", "facebook", 20_000)
                self.page(user, "intranet.example", "other")
                self.tunnel(user, "www.instagram.com", "instagram")
                self.tunnel(user, "intranet.example", "other")
            self.denied("bob", "www.bet365.com", "bet365")
            self.denied("kim", "www.refused.example", "other")
            self.stranger()
            self.stranger("ann", "wrong")

    def written(self) -> None:
        """Wait until Squid has logged everything."""
        self.squid.lines(self.asked.requests)

    def ingest(self) -> dict[str, Any]:
        """`fairwatch ingest --json` in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-c", "from fairwatch.cli import main; main()", "ingest", "--json"],
            cwd=self.site,
            env={**os.environ, "PYTHONPATH": str(ROOT), "FAIRWATCH_SITE": str(self.site)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        for one in answer["files"]:
            assert one["lines"] == sum(one[n] for n in COUNTS[1:])
        return answer

    def events(self) -> list[dict[str, Any]]:
        """All rows of the lake's events."""
        parts = sorted((self.site / "lake" / "events").rglob("*.parquet"))
        tables = [content(part) for part in parts]
        return pa.concat_tables(tables).to_pylist() if tables else []


Start = Callable[[str], Lab]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start Squid with one of FORMATS, and a site that reads its log."""
    with ExitStack() as stack:

        def run(name: str) -> Lab:
            folder = tmp_path / "squid"
            folder.mkdir()
            source, logformat = FORMATS[name]
            squid = stack.enter_context(
                squidlab.squid(folder, logformat=logformat, denied=DENIED, users=USERS)
            )
            site = make_site(
                tmp_path / "site",
                lambda t: t.replace("format: squid", source, 1).replace(
                    "/var/log/squid/access.log*", f"{folder}/access.log*"
                ),
            )
            return Lab(squid, folder, site)

        yield run


@pytest.mark.parametrize("name", FORMATS)
def test_requests_sent_are_rows_read(start: Start, name: str) -> None:
    lab = start(name)
    began = datetime.now(UTC) - timedelta(seconds=2)
    lab.a_day()
    lab.written()
    assert lab.asked.requests >= 120
    totals = lab.ingest()["totals"]
    assert totals == dict.fromkeys(COUNTS, 0) | {
        "lines": lab.asked.requests,
        "rows": lab.asked.requests,
    }
    rows = lab.events()
    assert len(rows) == lab.asked.requests
    assert Counter(r["verdict"] for r in rows) == lab.asked.verdicts
    assert Counter(r["service"] or "other" for r in rows) == lab.asked.services
    named = Counter(r["user"] for r in rows if r["identity"] == "login")
    assert named == lab.asked.users
    hosts = {r["host"] for r in rows if r["service"] == "facebook"}
    assert hosts == {"www.facebook.com", "static.xx.fbcdn.net"}
    assert {r["host"] for r in rows if r["service"] is None} == {"other"}
    assert all(began <= r["time"] <= datetime.now(UTC) + timedelta(seconds=1) for r in rows)
    assert {r["client"] for r in rows} == {"10.20.1.12", "10.20.1.13", "10.0.0.1"}
    assert sorted(r["line"] for r in rows) == list(range(1, len(rows) + 1))
    big = [r["bytes_down"] for r in rows if r["host"] == "static.xx.fbcdn.net"]
    tunnels = [r["bytes_down"] for r in rows if r["method"] == "CONNECT" and r["status"] == 200]
    assert len(big) == 18
    assert all(20_000 <= n < 20_600 for n in big)
    assert all(5_000 <= n < 5_300 for n in tunnels)
    pages = [r for r in rows if r["host"] == "www.facebook.com" and r["verdict"] == "allowed"]
    assert {(r["method"], r["status"]) for r in pages} == {("GET", 200)}
    if name == "custom":
        assert {r["referrer"] for r in pages} == {"other"}
        assert all(r["bytes_up"] > 100 for r in pages)
    stored = b"".join(p.read_bytes() for p in lab.site.rglob("*") if p.is_file())
    for secret in (b"geheim", b"intranet.example", b"refused.example"):
        assert secret not in stored


@pytest.mark.parametrize("name", FORMATS)
def test_while_squid_writes_nothing_is_lost_or_read_twice(start: Start, name: str) -> None:
    lab = start(name)
    lab.a_day(1)
    writer = Thread(target=lab.a_day, args=(5,))
    writer.start()
    totals: Counter[str] = Counter()
    looks = 0
    while writer.is_alive():
        totals.update(lab.ingest()["totals"])
        looks += 1
    writer.join()
    lab.written()
    totals.update(lab.ingest()["totals"])
    assert looks >= 1
    assert (totals["rows"], totals["rejected"]) == (lab.asked.requests, 0)
    rows = lab.events()
    assert len(rows) == lab.asked.requests
    assert sorted(r["line"] for r in rows) == list(range(1, len(rows) + 1))
    assert lab.ingest()["totals"]["rows"] == 0


def test_a_rotated_and_packed_log_adds_nothing_twice(start: Start) -> None:
    lab = start("squid")
    lab.a_day(2)
    lab.written()
    first = lab.asked.requests
    assert lab.ingest()["totals"]["rows"] == first

    log, rotated = lab.squid.log, lab.folder / "access.log.1"
    log.rename(rotated)
    subprocess.run(["kill", "-USR1", (lab.folder / "squid.pid").read_text().strip()], check=True)
    deadline = time.monotonic() + 20
    while not log.exists():  # rotation: Squid opens its log anew
        assert time.monotonic() < deadline
        time.sleep(0.02)
    again = lab.ingest()["totals"]
    assert (again["rows"], again["duplicate"]) == (0, first)

    lab.a_day(2)
    lab.squid.lines(lab.asked.requests - first)
    totals = lab.ingest()["totals"]
    assert (totals["rows"], totals["duplicate"]) == (lab.asked.requests - first, first)

    packed = lab.folder / "access.log.1.gz"
    packed.write_bytes(gzip.compress(rotated.read_bytes()))
    rotated.unlink()
    totals = lab.ingest()["totals"]
    assert (totals["rows"], totals["duplicate"]) == (0, lab.asked.requests)
    rows = lab.events()
    assert len(rows) == lab.asked.requests
    assert Counter(r["verdict"] for r in rows) == lab.asked.verdicts


def test_lines_between_the_last_night_and_the_rotation_are_read(start: Start) -> None:
    """The rest of a file that grew, was renamed and packed before anyone looked again."""
    lab = start("squid")
    lab.a_day(1)
    lab.written()
    lab.ingest()
    read = lab.asked.requests
    lab.a_day(2)
    lab.written()
    packed = lab.folder / "access.log-20261115.gz"
    packed.write_bytes(gzip.compress(lab.squid.log.read_bytes()))
    lab.squid.log.rename(lab.folder / "elsewhere")
    totals = lab.ingest()["totals"]
    assert (totals["rows"], totals["duplicate"]) == (lab.asked.requests - read, read)
    assert len(lab.events()) == lab.asked.requests


def test_check_logs_and_the_night_agree_with_the_log(start: Start) -> None:
    lab = start("squid")
    lab.a_day(2)
    lab.written()
    command = "from fairwatch.cli import main; main()"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [sys.executable, "-c", command, "check-logs", lab.squid.log, "--json"],
        env=env,
        capture_output=True,
        check=True,
    )
    (one,) = json.loads(said.stdout)["files"]
    assert (one["rows"], one["verdicts"]) == (lab.asked.requests, dict(lab.asked.verdicts))
    for words in (["run", "nightly"], ["ledger", "verify"], ["retention", "verify"]):
        subprocess.run(
            [sys.executable, "-c", command, *words, "--site", lab.site],
            env=env,
            capture_output=True,
            check=True,
        )
    assert len(lab.events()) == lab.asked.requests
