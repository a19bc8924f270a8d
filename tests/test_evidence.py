"""Evidence packs: nothing without approval, the same bytes again, and every stranger can check them."""

import csv
import gzip
import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path

import bagit
import pytest
from conftest import make_site, squid_line
from factory import acts, derived, edited
from hypothesis import given as always
from hypothesis import strategies as st

from analytics.findings import findings
from errors import NotPermitted, ProofFailed, UnreadableInput
from ingest.discover import given
from ingest.run import ingest
from reports import bag, evidence
from reports.cases import approve, close, open_case
from workspace import Workspace, open_site

WEEK = [date(2026, 11, 9) + timedelta(days=i) for i in range(5)]
HELEN, TOM = "Helen Marsh", "Tom Ridley"
NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def log_lines() -> list[str]:
    """ann and bob at the same hours; a password asked for, and a line that is none."""
    lines = ["this is no log line"]
    for day in WEEK:
        for hour, user in ((10, "ann"), (11, "bob")):
            first = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
            lines += [
                squid_line(first + timedelta(seconds=50 * i), user=user, elapsed=0, size=20_000 + i)
                for i in range(49)
            ]
        work = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
        lines += [
            squid_line(
                work + timedelta(minutes=i), user="kim", url="https://intranet.example/a?q=1"
            )
            for i in range(480)
        ]
    return sorted(lines, key=lambda line: line.split()[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a packed log read, and a case approved."""
    root = tmp_path_factory.mktemp("evidence")
    ws = open_site(make_site(root / "site"), "test")
    log = root / "access.log-20261115.gz"
    log.write_bytes(gzip.compress("".join(f"{line}\n" for line in log_lines()).encode()))
    with ws.alone():
        report = ingest(ws, given(ws, [log], None, "squid"), NOW)[0]
    assert (report.error, report.counts.rejected) == (None, 1)
    derived(ws, NOW)
    case = open_case(ws, "ann", WEEK[0], WEEK[-1], "excessive-use", "=1+1", HELEN, NOW)
    approve(ws, case.id, TOM, NOW)
    return ws.folder


@pytest.fixture
def ws(folder: Path) -> Workspace:
    return open_site(folder, "test")


@pytest.fixture
def pack(ws: Workspace) -> Path:
    return evidence.build(ws, "C-2026-0001", NOW)


def unpacked(pack: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(pack) as archive:
        return {n.partition("/")[2]: archive.read(n) for n in archive.namelist()}


def rows(pack: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(unpacked(pack)[f"data/{name}"].decode("utf-8"))))


# Who may have one -----------------------------------------------------------------------------


def test_no_approval_no_pack(ws: Workspace, now: datetime) -> None:
    asked = open_case(ws, "bob", WEEK[0], WEEK[-1], "breach", "", HELEN, now)
    looks = acts(ws).count("look")
    with pytest.raises(NotPermitted, match="not approved"):
        evidence.build(ws, asked.id, now)
    approve(ws, asked.id, TOM, now)
    close(ws, asked.id, HELEN, now)
    with pytest.raises(NotPermitted, match="closed"):
        evidence.build(ws, asked.id, now)
    assert not (ws.folder / "evidence" / f"{asked.id}.zip").exists()
    assert acts(ws).count("look") == looks


def test_a_period_past_its_limit(ws: Workspace, now: datetime) -> None:
    with pytest.raises(NotPermitted, match="past its limit"):
        evidence.build(ws, "C-2026-0001", now + timedelta(days=400))


def test_the_look_stands_in_the_ledger_before_it_happens(
    ws: Workspace, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, said = evidence._content, []

    def watched(*args: object) -> object:
        said.append([line.act for line in ws.ledger.lines()][-1])
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(evidence, "_content", watched)
    path = evidence.build(ws, "C-2026-0001", now)
    assert said[0]["act"] == "look"
    assert (said[0]["person"], said[0]["reason"], said[0]["by"]) == ("ann", "excessive-use", HELEN)
    assert (said[0]["first_day"], said[0]["last_day"]) == (str(WEEK[0]), str(WEEK[-1]))
    last = [line.act for line in ws.ledger.lines()][-1]
    assert last["act"] == "evidence build"
    assert last["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    ws.ledger.verify()


# What is in it --------------------------------------------------------------------------------


def test_again_the_same_bytes(ws: Workspace, pack: Path, now: datetime) -> None:
    first = pack.read_bytes()
    assert evidence.build(ws, "C-2026-0001", now + timedelta(days=2)).read_bytes() == first


def test_every_line_points_at_its_line(folder: Path, pack: Path) -> None:
    log = folder.parent / "access.log-20261115.gz"
    digest = hashlib.sha256(log.read_bytes()).hexdigest()
    source = gzip.decompress(log.read_bytes()).decode().splitlines()
    found = rows(pack, "rows.csv")
    assert len(found) == 5 * 49
    for row in found:
        assert row["file_sha256"] == digest
        line = source[int(row["line"]) - 1].split()
        assert line[7] == "ann"
        assert line[4] == row["bytes_down"]
        assert datetime.fromisoformat(row["time"]).timestamp() == float(line[0])
    assert [r["sha256"] for r in rows(pack, "configuration/sources.csv")] == [digest]


def test_nobody_else_is_in_it(pack: Path) -> None:
    content = unpacked(pack)
    for name in ("activity.csv", "usage.csv"):
        assert {r["user"] for r in rows(pack, name)} == {"ann"}
    told = [c for n, c in content.items() if not n.startswith("data/configuration/")]
    text = b"\n".join(told).decode().casefold()
    for other in ("bob", "baker", "intranet", "?q=1"):
        assert other not in text


def test_the_figures_are_the_findings(ws: Workspace, pack: Path, now: datetime) -> None:
    found = [f for f in findings(ws, WEEK[0], WEEK[-1], now) if f.person == "ann"]
    assert len(found) == 1
    assert json.loads(unpacked(pack)["data/findings.json"]) == [
        evidence.worded(f.as_json()) for f in found
    ]
    summary = unescape(unpacked(pack)["data/summary.html"].decode())
    for against in found[0].against:
        assert against.text in summary
        assert against.check.capitalize() in summary
    for clause in found[0].clauses.values():
        assert clause in summary
    assert "not a verdict" in summary
    assert HELEN in summary
    assert TOM in summary


def test_it_holds_what_it_was_judged_by(pack: Path) -> None:
    content = unpacked(pack)
    policy = json.loads(content["data/configuration/policy.json"])
    assert (policy["id"], policy["notice"]["given"]) == ("b3", "2014-04-01")
    versions = json.loads(content["data/configuration/versions.json"])
    assert {"policy.yaml", "people.csv", "sites"} <= versions.keys()
    assert any(name.startswith("data/configuration/method-") for name in content)
    assert "data/configuration/questions/marks.sql" in content
    assert "data/configuration/questions/sift.py" in content


# What strangers check it with -----------------------------------------------------------------


def test_sha256sum_finds_every_file(pack: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack) as archive:
        archive.extractall(tmp_path)
    root = tmp_path / "C-2026-0001"
    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        done = subprocess.run(
            ["sha256sum", "--strict", "-c", manifest],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert all(line.endswith(": OK") for line in done.stdout.splitlines())
    listed = {
        line.split("  ", 1)[1] for line in (root / "manifest-sha256.txt").read_text().splitlines()
    }
    assert listed == {str(p.relative_to(root)) for p in (root / "data").rglob("*") if p.is_file()}


def test_the_bagit_library_agrees(pack: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack) as archive:
        archive.extractall(tmp_path)
    unpacked_bag = bagit.Bag(str(tmp_path / "C-2026-0001"))
    unpacked_bag.validate()
    assert unpacked_bag.info["External-Identifier"] == "C-2026-0001"


def test_a_whole_pack_verifies(ws: Workspace, pack: Path, tmp_path: Path) -> None:
    assert evidence.verify(pack)["External-Identifier"] == "C-2026-0001"
    assert evidence.verify(pack, ws)["Source-Organization"] == "Example Charity"
    elsewhere = tmp_path / "mailed.zip"
    elsewhere.write_bytes(pack.read_bytes())
    evidence.verify(elsewhere)


# What is refused ------------------------------------------------------------------------------

Change = Callable[[dict[str, bytes]], dict[str, bytes]]
ROOT = "C-2026-0001"


def repacked(pack: Path, target: Path, change: Change) -> Path:
    """The pack with its members changed, as somebody with a zip program would do it."""
    with zipfile.ZipFile(pack) as archive:
        content = change({n: archive.read(n) for n in archive.namelist()})
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in content.items():
            archive.writestr(name, body)
    return target


def flipped(name: str) -> Change:
    def change(content: dict[str, bytes]) -> dict[str, bytes]:
        body = bytearray(content[f"{ROOT}/{name}"])
        body[len(body) // 2] ^= 1
        return {**content, f"{ROOT}/{name}": bytes(body)}

    return change


def added(name: str) -> Change:
    return lambda content: {**content, name: b"more"}


def removed(name: str) -> Change:
    return lambda content: {n: b for n, b in content.items() if n != f"{ROOT}/{name}"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (flipped("data/rows.csv"), "data/rows.csv"),
        (flipped("data/summary.html"), "data/summary.html"),
        (flipped("data/configuration/policy.json"), "data/configuration/policy.json"),
        (flipped("bag-info.txt"), "bag-info.txt"),
        (flipped("bagit.txt"), "bagit.txt"),
        (flipped("manifest-sha256.txt"), "manifest-sha256.txt"),
        (added(f"{ROOT}/data/more.csv"), "data/more.csv"),
        (added(f"{ROOT}/more.txt"), "more.txt"),
        (added("other/data/more.csv"), "one folder"),
        (added(f"{ROOT}/../../etc/passwd"), "etc/passwd"),
        (added("../passwd"), "../passwd"),
        (added("/etc/passwd"), "/etc/passwd"),
        (added(f"{ROOT}\\..\\x"), "leaves"),
        (added("."), "leaves"),
        (added(f"{ROOT}/./data/rows.csv"), "leaves"),
        (added(f"{ROOT}//data/rows.csv"), "leaves"),
        (removed("data/rows.csv"), "data/rows.csv"),
        (removed("bag-info.txt"), "bag-info.txt"),
        (removed("bagit.txt"), "bagit.txt"),
        (removed("manifest-sha256.txt"), "manifest-sha256.txt"),
        (removed("tagmanifest-sha256.txt"), "tagmanifest-sha256.txt"),
    ],
)
def test_one_change_is_named(pack: Path, tmp_path: Path, change: Change, named: str) -> None:
    bent = repacked(pack, tmp_path / "bent.zip", change)
    with pytest.raises(ProofFailed) as refused:
        evidence.verify(bent)
    assert named in str(refused.value).removeprefix(str(bent))


def test_a_name_that_stands_twice(pack: Path, tmp_path: Path) -> None:
    target = tmp_path / "twice.zip"
    target.write_bytes(pack.read_bytes())
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(target, "a") as archive,
    ):
        archive.writestr(f"{ROOT}/data/rows.csv", b"time\n")
    with pytest.raises(ProofFailed, match=r"data/rows\.csv stands twice"):
        evidence.verify(target)


def test_a_pack_made_whole_again_is_not_the_one_on_record(
    ws: Workspace, pack: Path, tmp_path: Path
) -> None:
    """Somebody changes a row and all manifests: the bag is whole, the ledger knows better."""
    payload = {n[5:]: b for n, b in unpacked(pack).items() if n.startswith("data/")}
    payload["rows.csv"] = b"time\r\n"
    forged = tmp_path / "forged.zip"
    forged.write_bytes(bag.build(ROOT, payload, {"External-Identifier": ROOT}))
    evidence.verify(forged)
    with pytest.raises(ProofFailed, match="the record says"):
        evidence.verify(forged, ws)


def test_what_is_no_pack(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput):
        evidence.verify(tmp_path / "nothing.zip")
    path = tmp_path / "text.zip"
    path.write_bytes(b"hello")
    with pytest.raises(ProofFailed):
        evidence.verify(path)
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(ProofFailed):
        evidence.verify(path)


def test_a_bent_byte_anywhere_is_refused_or_harmless(tmp_path: Path) -> None:
    """Bytes of the container that no content depends on may change; nothing else, and no crash."""
    payload = {"rows.csv": b"time,user\r\n" + b"2026-11-10,ann\r\n" * 20, "empty.txt": b""}
    whole = bag.build("C-1", payload, {"External-Identifier": "C-1"})
    path = tmp_path / "bent.zip"
    harmless = 0
    for at in range(len(whole)):
        for mask in (0x01, 0x80, 0xFF):
            bent = bytearray(whole)
            bent[at] ^= mask
            path.write_bytes(bent)
            try:
                assert bag.verify(path)["External-Identifier"] == "C-1"
                with zipfile.ZipFile(path) as archive:
                    assert archive.read("C-1/data/rows.csv") == payload["rows.csv"]
                harmless += 1
            except ProofFailed:
                pass
    assert harmless < 3 * len(whole) * 0.6


@pytest.mark.parametrize("size", [0, 1, 30, 300, -1, -22, -100])
def test_a_pack_cut_short(pack: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.zip"
    path.write_bytes(pack.read_bytes()[:size])
    with pytest.raises(ProofFailed):
        evidence.verify(path)


# Cells ----------------------------------------------------------------------------------------

NUMBER_OR_TEXT = st.none() | st.integers() | st.floats(allow_nan=False) | st.text()
FORMULAS = st.sampled_from(["=", "+", "-", "@", "\t", "\r", "\n", "|", "%", " "])


@always(
    table=st.lists(
        st.lists(
            NUMBER_OR_TEXT | st.builds(str.__add__, FORMULAS, st.text()), min_size=3, max_size=3
        )
    )
)
def test_no_cell_is_a_formula(table: list[list[object]]) -> None:
    raw = evidence.csv_bytes(["a", "b", "c"], table)
    read = list(csv.reader(io.StringIO(raw.decode("utf-8"), newline="")))
    assert len(read) == len(table) + 1
    for given_row, read_row in zip(table, read[1:], strict=True):
        assert len(read_row) == 3
        for value, cell in zip(given_row, read_row, strict=True):
            if isinstance(value, int | float):
                assert type(value)(cell) == value
                continue
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
            assert cell == "" if value is None else cell.isprintable()


def test_names_from_a_log_run_nothing(tmp_path: Path, now: datetime) -> None:
    """A user may choose what a proxy logs as their name."""
    ws = open_site(make_site(tmp_path / "site"), "test")
    ws = edited(ws, "people.csv", ("ann,Ann Archer", '"=cmd|calc",=HYPERLINK()'))
    log = tmp_path / "access.log"
    first = datetime(2026, 11, 10, 9, tzinfo=UTC)
    log.write_text("".join(
        squid_line(first + timedelta(seconds=50 * i), user="=cmd|calc") + "\n" for i in range(9)
    ))  # fmt: skip
    with ws.alone():
        ingest(ws, given(ws, [log], None, "squid"), now)
    derived(ws, now)
    case = open_case(ws, "=cmd|calc", WEEK[0], WEEK[-1], "breach", "", HELEN, now)
    approve(ws, case.id, TOM, now)
    path = evidence.build(ws, case.id, now)
    assert {r["user"] for r in rows(path, "activity.csv")} == {"'=cmd|calc"}
    assert b"<a href" not in unpacked(path)["data/summary.html"]
