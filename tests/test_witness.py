"""The witness: what is old is found wherever it hides, and what only looks so is left in peace."""

import gzip
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from canaries import OLD, Plant, S, put
from canary_stores import CANARIES, workbook

from lake.witness import packed
from lake.witness.site import Verification, verify_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)

OVERWRITTEN = ("database_free_pages_of_numbers",)
"""What SQLite wrote over in part: some of the old rows show days they never had."""


def verified(site: Path) -> Verification:
    return verify_site(site, NOW, {})


@pytest.mark.parametrize("plant", CANARIES.values(), ids=list(CANARIES))
def test_whatever_is_old_is_found(tmp_path: Path, plant: Plant) -> None:
    where = plant(tmp_path)
    found = verified(tmp_path)
    assert not found.clean
    mine = [entry for entry in found.overdue if entry.startswith(f"{where}: ")]
    assert len(mine) == 1, (found.overdue, [s.unreadable for s in found.stores])
    if plant.__name__ in OVERWRITTEN:
        return
    assert mine[0].endswith(f"from {OLD:%Y-%m-%d}")
    assert min(s.oldest_event for s in found.stores if s.oldest_event) == OLD.date()


PEACE: dict[str, tuple[str, str]] = {
    "an address with a date": ("incoming/a.log", "{y} GET http://x.example/2014-03-04/page?since=2014-03-04&_=1400000000123 -\n"),
    "a cache buster": ("a.log", "{y}.123 161 10.0.0.1 GET http://x.example/?_=1400000000123 ann\n"),
    "sizes": ("a.log", "{y} ann 1500000000 GET\n{y} ann 1200000000 GET\n{y} ann 1300000000 GET\n{y} ann 1110000000 GET\n"),
    "ids by name": ("a.json", '[{"id": 1500000000, "ts": {y}}, {"id": 1500000001, "ts": {y}}, {"id": 1500000002}]'),
    "telephones by name": ("contacts.csv", "name,phone,mobile\nann,1273555123,1400000000\nbob,1273555124,1400000001\n"),
    "expiry by name": ("a.json", '{"expires_at": 1500000000, "cache_ttl": 1400000000}'),
    "a duration": ("a.log", "time_taken=1500000000 ts={y}\n"),
    "a decimal": ("a.csv", "x,y\n0.1762074000,1\n"),
    "a longer number": ("a.txt", "order 17620740001 and 176207400012345\n"),
    "hex": ("a.txt", "e1762074000f 0x1762074000 a1762074000\n"),
    "a licence": ("LICENSE", "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\nCopyright (C) 2007 Free Software\n"),
    "a young licence": ("COPYING", "Version 2.1, 3 March 2025\nCopyright 4 May 2025 Example\n"),
    "a policy in words": ("docs/policy.md", "This policy was adopted on 3 March 2025. Review due 1 June 2025.\n"),
    "a year alone": ("a.md", "In November 2014 and in 2013. May 2012 be better.\n"),
    "a version": ("a.md", "pyarrow 20.251.102, release 1.11.2\n"),
    "no such day": ("a.txt", "2025-02-30 and 31/02/2025 and 20251302T1200\n"),
    "a page's worded date": ("reports/2026-W46/kim.html", "<p>Policy B110 of 3\u00a0March 2025, clause 6.1</p>\n"),
    "a young month": ("a.txt", "On 9 November 2026, Nov 9 2026, Monday 9 November.\n"),
    "slashes that could be two days": ("a.csv", "user,day\nann,12/11/2026\nann,13/11/2026\n"),
    "configuration": ("policy.yaml", "in_force: 2014-04-01\nreview: 2017-06-01\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", PEACE)
def test_what_only_looks_old_is_left_in_peace(tmp_path: Path, name: str) -> None:
    file, text = PEACE[name]
    put(tmp_path, file, text.replace("{y}", str(S + 371 * 86_400)))
    found = verified(tmp_path)
    assert found.overdue == []
    assert found.clean


def test_a_spreadsheet_s_own_date_is_no_event(tmp_path: Path) -> None:
    row = b'<row r="1"><c r="A1" s="0"><v>45963</v></c></row>'  # a number, not shown as a date
    put(tmp_path, "x.xlsx", workbook(row))
    assert verified(tmp_path).clean


def test_the_weekday_tells_the_year(tmp_path: Path) -> None:
    put(tmp_path, "a.txt", "Sunday 2 November\n")
    [entry] = verified(tmp_path).overdue
    assert entry.endswith("from 2025-11-02")
    put(tmp_path, "a.txt", "Monday 2 November\n")
    assert verified(tmp_path).clean
    assert date(2026, 11, 2).weekday() == 0


HOSTILE: dict[str, tuple[str, bytes]] = {
    "a token without end": ("a.txt", b"x?" + b"1400000000." * 90_000),
    "a line of columns": ("a.csv", b"user,ts\n" + b"1400000000," * 90_000),
    "numbers everywhere": ("a.txt", b" ".join(b"%d" % (1_400_000_000 + n) for n in range(90_000))),
    "dates everywhere": ("a.txt", b"".join(b"%dT093000 " % (20200101 + n % 28) for n in range(60_000))),
    "months everywhere": ("a.txt", b"may " * 250_000),
    "tags everywhere": ("a.html", b"2<b>" * 100_000 + b"may" + b"<i>" * 100_000),
    "brackets": ("a.json", b"[" * 1_000_000),
    "cells that do not end": ("a.xlsx", workbook(b"<row>" + b"<c " * 300_000)),
    "texts that do not end": ("b.xlsx", workbook(b"<row></row>", strings=b"<si>" * 300_000)),
    "a mail of nothing": ("a.eml", b"Content-Transfer-Encoding: base64\n" * 30_000),
    "a database of nothing": ("a.db", b"SQLite format 3\0" + b"\x10\0\x01\x01\0" + b"\xff" * 400_000),
    "a log of pages": ("a.db-wal", b"\x37\x7f\x06\x82" + b"\0\0\0\0" + b"\0\0\x02\0" + b"\x0d\0\0\xff\xff" * 60_000),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_means_harm_costs_little(tmp_path: Path, name: str) -> None:
    file, content = HOSTILE[name]
    put(tmp_path, file, content)
    began = time.process_time()
    verified(tmp_path)
    assert time.process_time() - began < 15


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "LEAST_EXPANSION", 8 << 20)
    inner = gzip.compress(gzip.compress(bytes(20 << 20), 9), 9)
    put(tmp_path, "bomb.gz", inner)
    [told] = [e for s in verified(tmp_path).stores for e in s.unreadable]
    assert "unpacks to more than" in told
