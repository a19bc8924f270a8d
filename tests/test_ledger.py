"""The ledger shows any change, and survives a torn tail, a clock set back and dropped segments."""

import json
import multiprocessing
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import ProofFailed
from ledger import GENESIS, Ledger, canonical

START = datetime(2026, 1, 30, 9, 0, tzinfo=UTC)


def filled(folder: Path, lines: int = 8, step: timedelta = timedelta(hours=1)) -> Ledger:
    ledger = Ledger(folder)
    for number in range(lines):
        facts: dict[str, Any] = {"name": "Zoë", "n": number, "nested": {"b": [1, 2], "a": None}}
        ledger.append("ingest", time=START + number * step, actor="test", **facts)
    return ledger


def raw(ledger: Ledger) -> list[bytes]:
    return ledger.segments()[0].read_bytes().splitlines(keepends=True)


def put(ledger: Ledger, lines: list[bytes]) -> None:
    ledger.segments()[0].write_bytes(b"".join(lines))


def first_fault(ledger: Ledger) -> str:
    with pytest.raises(ProofFailed) as caught:
        ledger.verify()
    return str(caught.value)


def test_an_empty_ledger_holds(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "none").verify() == (0, GENESIS)


def test_append_returns_what_stands_in_the_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    act = ledger.append("open", time=START, actor="ann", what="Grüße")
    (line,) = ledger.lines()
    assert line.act == act
    assert (act["seq"], act["prev"], act["time"]) == (1, GENESIS, "2026-01-30T09:00:00.000000Z")
    assert raw(ledger) == [canonical(act)]
    assert b"Gr\xc3\xbc\xc3\x9fe" in raw(ledger)[0]


def test_verify_counts_and_gives_the_last_digest(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    *_, last = ledger.lines()
    assert ledger.verify() == (8, last.digest)


def _edit(old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: [*lines[:3], lines[3].replace(old, new), *lines[4:]]


def _pretty(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], json.dumps(json.loads(lines[3])).encode() + b"\n", *lines[4:]]


FAULTS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int]] = {
    "edited, still JSON": (_edit(b'"n":3', b'"n":9'), 5),
    "edited, no JSON": (_edit(b'{"', b'("'), 4),
    "time of another month": (_edit(b'"time":"2026-01', b'"time":"2026-02'), 4),
    "time that is none": (_edit(b'"time":"2026-01-30T12:00:00.000000Z"', b'"time":5'), 4),
    "sequence number changed": (_edit(b'"seq":4', b'"seq":5'), 4),
    "written with blanks": (_pretty, 4),
    "not an object": (lambda ls: [*ls[:3], b"[]\n", *ls[4:]], 4),
    "blank line added": (lambda ls: [*ls[:3], b"\n", *ls[3:]], 4),
    "dropped": (lambda ls: [*ls[:3], *ls[4:]], 4),
    "first dropped": (lambda ls: ls[1:], 1),
    "swapped": (lambda ls: [*ls[:3], ls[4], ls[3], *ls[5:]], 4),
    "doubled": (lambda ls: [*ls[:4], ls[3], *ls[4:]], 5),
    "reversed": (lambda ls: ls[::-1], 1),
    "joined with the next": (lambda ls: [*ls[:3], ls[3][:-1], *ls[4:]], 4),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_changed_line_is_named(tmp_path: Path, fault: str) -> None:
    ledger = filled(tmp_path)
    change, number = FAULTS[fault]
    put(ledger, change(raw(ledger)))
    assert first_fault(ledger).startswith(f"ledger/2026-01.jsonl line {number}:")


def test_a_cut_end_shows_in_the_digest_alone(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    published = ledger.verify()
    put(ledger, raw(ledger)[:-1])
    count, digest = ledger.verify()
    assert (count, digest) != published
    assert count == 7


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_detected(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    ledger = Ledger(tmp_path_factory.getbasetemp() / "bytes")
    if not ledger.segments():
        filled(ledger.folder, 5)
    lines = raw(ledger)
    published = ledger.verify()
    number = data.draw(st.integers(0, len(lines) - 1), "line")
    at = data.draw(st.integers(0, len(lines[number]) - 1), "byte")
    new = data.draw(st.integers(0, 255).filter(lambda b: b != lines[number][at]), "becomes")
    changed = bytearray(lines[number])
    changed[at] = new
    put(ledger, [*lines[:number], bytes(changed), *lines[number + 1 :]])
    try:
        digest = ledger.verify()
    except ProofFailed as fault:
        # Its own line where that no longer holds together, the next where only `prev` shows it.
        named = {f"ledger/2026-01.jsonl line {n}" for n in (number + 1, number + 2)}
        assert str(fault).split(":")[0] in named
    else:
        assert number == len(lines) - 1, "only the last line has nothing after it"
        assert digest != published
    finally:
        put(ledger, lines)


def test_a_torn_tail_is_cut_and_told(tmp_path: Path) -> None:
    ledger = filled(tmp_path, 3)
    whole = raw(ledger)
    put(ledger, [*whole, b'{"act":"half'])
    ledger.append("next", time=START + timedelta(days=1), actor="test")
    acts = [line.act for line in ledger.lines()]
    assert [a["act"] for a in acts] == ["ingest"] * 3 + ["repair", "next"]
    assert acts[3]["torn_bytes"] == len(b'{"act":"half')
    assert raw(ledger)[:3] == whole
    assert ledger.verify()[0] == 5


def test_a_tail_torn_in_the_first_line_of_a_segment(tmp_path: Path) -> None:
    ledger = filled(tmp_path, 2)
    (tmp_path / "2026-02.jsonl").write_bytes(b'{"act":')
    ledger.append("next", time=START, actor="test")
    assert [p.name for p in ledger.segments()] == ["2026-01.jsonl"]
    assert ledger.verify()[0] == 4


def test_a_key_is_written_once(tmp_path: Path) -> None:
    ledger = filled(tmp_path, 2)
    first = ledger.append("purge", time=START, actor="test", key="k1", rows=5)
    ledger.append("other", time=START, actor="test", key="k2")
    again = ledger.append("purge", time=START + timedelta(days=3), actor="test", key="k1", rows=6)
    assert again == first
    assert ledger.verify()[0] == 4


def test_a_key_is_known_across_the_month(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    first = ledger.append("a", time=START, actor="test", key="k")
    ledger.append("b", time=START + timedelta(days=20), actor="test")
    assert ledger.append("a", time=START + timedelta(days=21), actor="test", key="k") == first


def test_a_clock_set_back_opens_no_older_segment(tmp_path: Path) -> None:
    ledger = filled(tmp_path, 2, timedelta(days=10))
    act = ledger.append("late", time=START - timedelta(days=400), actor="test")
    assert act["time"] == "2024-12-26T09:00:00.000000Z", "its own time, which shows the clock"
    assert [p.name for p in ledger.segments()] == ["2026-01.jsonl", "2026-02.jsonl"]
    assert ledger.verify()[0] == 3


def test_times_are_written_in_utc(tmp_path: Path) -> None:
    local = START.astimezone().replace(tzinfo=None).astimezone()
    act = Ledger(tmp_path).append("a", time=local, actor="test")
    assert act["time"] == "2026-01-30T09:00:00.000000Z"


@pytest.mark.parametrize("gone", range(6))
def test_any_number_of_oldest_segments_may_go(tmp_path: Path, gone: int) -> None:
    ledger = filled(tmp_path, 12, timedelta(days=15))
    before, digest = ledger.verify()
    names = [p.name for p in ledger.segments()]
    assert len(names) == 7
    for path in ledger.segments()[:gone]:
        ledger.drop(path)
    count, after = ledger.verify()
    assert after == digest
    assert count == before - sum(h.lines for h in ledger.heads())
    assert [h.segment for h in ledger.heads()] == names[:gone]
    ledger.append("after", time=START + timedelta(days=300), actor="test")
    assert ledger.verify()[0] == count + 1


def test_a_middle_segment_cannot_be_dropped(tmp_path: Path) -> None:
    ledger = filled(tmp_path, 12, timedelta(days=15))
    middle = ledger.segments()[2]
    with pytest.raises(ValueError, match="only the oldest"):
        ledger.drop(middle)
    middle.unlink()
    assert first_fault(ledger).startswith(f"ledger/{ledger.segments()[2].name} line 1:")


def test_an_oldest_segment_that_vanished_is_noticed(tmp_path: Path) -> None:
    ledger = filled(tmp_path, 12, timedelta(days=15))
    ledger.segments()[0].unlink()
    assert "line 1: does not follow" in first_fault(ledger)


def test_a_drop_that_was_cut_short_is_taken_up(tmp_path: Path) -> None:
    ledger = filled(tmp_path, 12, timedelta(days=15))
    oldest = ledger.segments()[0]
    content = oldest.read_bytes()
    ledger.drop(oldest)
    oldest.write_bytes(content)  # killed between the head and the unlink
    ledger.verify()
    assert oldest in ledger.droppable(date(2026, 1, 1))
    ledger.drop(oldest)
    assert not oldest.exists()
    assert len(ledger.heads()) == 1


def test_droppable_goes_by_the_first_act_and_spares_the_newest(tmp_path: Path) -> None:
    ledger = filled(tmp_path, 4, timedelta(days=31))
    names = [p.name for p in ledger.droppable(date(2026, 3, 3))]
    assert names == ["2026-01.jsonl", "2026-03.jsonl"]
    assert len(ledger.droppable(date(2030, 1, 1))) == len(ledger.segments()) - 1
    assert ledger.droppable(date(2026, 1, 30)) == []


def _appending(folder: Path, who: str, count: int) -> None:
    for number in range(count):
        Ledger(folder).append("ingest", time=START, actor=who, n=number)


def test_two_processes_make_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    two = [
        context.Process(target=_appending, args=(tmp_path, who, 60)) for who in ("left", "right")
    ]
    for process in two:
        process.start()
    for process in two:
        process.join(60)
        assert process.exitcode == 0
    ledger = Ledger(tmp_path)
    assert ledger.verify()[0] == 120
    said: dict[str, list[Any]] = {"left": [], "right": []}
    for line in ledger.lines():
        said[line.act["actor"]].append(line.act["n"])
    assert said == {"left": list(range(60)), "right": list(range(60))}


def test_the_chain_can_be_checked_with_coreutils(tmp_path: Path) -> None:
    ledger = filled(tmp_path, 5)
    path = ledger.segments()[0]
    lines = list(ledger.lines())
    for line, following in pairwise(lines):
        command = f"head -n {line.number} '{path}' | tail -n 1 | sha256sum"
        said = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
        assert said.stdout.split()[0] == following.act["prev"]


def test_an_act_of_megabytes_breaks_nothing(tmp_path: Path) -> None:
    ledger = filled(tmp_path, 2, timedelta(minutes=1))
    ledger.append("long", time=START + timedelta(hours=1), actor="test", items="x" * 3_000_000)
    ledger.append("next", time=START + timedelta(hours=2), actor="test", key="k")
    again = ledger.append("next", time=START + timedelta(hours=3), actor="test", key="k")
    assert (again["seq"], ledger.verify()[0]) == (4, 4)
    with ledger.segments()[-1].open("ab") as file:
        file.write(b"y" * 2_500_000)
    ledger.append("after a torn tail", time=START + timedelta(hours=4), actor="test")
    assert [line.act["act"] for line in ledger.lines()][-2:] == ["repair", "after a torn tail"]
    ledger.verify()


def test_a_ledger_cut_or_gone_is_told_by_what_was_noted(tmp_path: Path) -> None:
    ledger = filled(tmp_path, 3, timedelta(minutes=1))
    last = list(ledger.lines())[-1]
    noted = (last.act["seq"], last.digest)
    assert ledger.verify(noted)[0] == 3
    path = ledger.segments()[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(ProofFailed, match="cut off"):
        ledger.verify(noted)
    path.unlink()
    with pytest.raises(ProofFailed, match="cut off"):
        ledger.verify(noted)
