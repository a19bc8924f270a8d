"""A certificate says what happened, no more, names nobody, and is checked in a bare folder by a shell."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import authority
import pytest
from aiosmtpd.controller import Controller
from conftest import make_site
from factory import again, derived, lake, page, utc
from test_mail import Inbox, _free_port

import retention
from errors import MailFailed, NoSuchThing, Overdue, ProofFailed
from fairwatch.cli import main
from lake import catalogue
from lake.datasets import DATASETS
from lake.files import sha256
from lake.witness.look import claimed_by, look
from proofs.note import checkpoint, parse
from proofs.signing import fingerprint, public_key
from reports import bag, bundle, certificate, checkpoints
from reports.bundle import Issued, certify, purge_certified
from reports.certificate import BEYOND, NO_BACKUPS, Kept
from retention import Purge, purge, verify
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
EXTRA = """
backups:
  - {name: nightly, place: "backup <server>", keeps: 30 days}
  - {name: tape, place: vault, keeps: 180 days}
"""
OLD = ("2025-11-19 09:12", "2025-11-20 10:30")


def aged(folder: Path, extra: str = EXTRA) -> Workspace:
    """Two days that are due, three that are not, an old page, and who is in them."""
    ws = open_site(make_site(folder, lambda text: text + extra), "alice@desk")
    people = ("ann", "bob", "kim")
    rows = [
        page(utc(day) + timedelta(minutes=i), user=people[i % 3]) for day in OLD for i in range(30)
    ]
    rows += [page(utc("2026-11-17 09:00") + timedelta(days=d), user="ann") for d in range(3)]
    lake(ws, rows)
    derived(ws, utc(OLD[0]))
    path = ws.folder / "reports" / "2025-W46" / "kim-1a2b3c.html"
    path.parent.mkdir(parents=True)
    path.write_text("<time datetime='2025-11-12'></time>")
    return ws


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a site, made once."""
    return aged(tmp_path_factory.mktemp("made") / "site").folder


@pytest.fixture
def ws(made: Path, tmp_path: Path) -> Workspace:
    """A copy of it."""
    shutil.copytree(made.parent, tmp_path, dirs_exist_ok=True)  # with the master key beside it
    return open_site(tmp_path / "site", "alice@desk")


@pytest.fixture(scope="module")
def bare(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of it, unpacked somewhere else."""
    folder = tmp_path_factory.mktemp("bare")
    shutil.copytree(made.parent, folder, dirs_exist_ok=True)
    return unpacked(run(open_site(folder / "site", "alice@desk"))[1], folder)


def run(ws: Workspace, now: datetime = NOW) -> tuple[Purge, Issued]:
    with ws.alone():
        return purge_certified(ws, now, confirmed=True)


def unpacked(issued: Issued, folder: Path) -> Path:
    shutil.unpack_archive(issued.path, folder)
    return folder / issued.certificate.id


def content(issued: Issued, folder: Path) -> dict[str, Any]:
    found = json.loads((unpacked(issued, folder) / "data" / "certificate.json").read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def parts(ws: Workspace) -> dict[str, catalogue.Part]:
    with ws.state.read() as connection:
        return {p.path: p for name in DATASETS for p in catalogue.parts(connection, name)}


def test_it_says_what_went(ws: Workspace, tmp_path: Path) -> None:
    before = {n: (p, sha256(ws.folder / n)) for n, p in parts(ws).items() if "/2025-" in n}
    report = sha256(ws.folder / "reports" / "2025-W46" / "kim-1a2b3c.html")
    done, issued = run(ws)
    said = content(issued, tmp_path)
    assert (said["clean"], said["limit"], said["made"]) == (
        True,
        "2025-11-21",
        "2026-11-20T06:00:00Z",
    )
    removed = {r["name"]: r for r in said["removed"] if r["kind"] == "partition"}
    assert {n: (r["day"], r["rows"], r["sha256"]) for n, r in removed.items()} == {
        n: (p.day, p.rows, digest) for n, (p, digest) in before.items()
    }
    events = next(r for n, r in removed.items() if n.startswith("lake/events/2025-11-19/"))
    assert (events["oldest"], events["newest"]) == (
        "2025-11-19T09:12:00+00:00", "2025-11-19T09:41:00+00:00",
    )  # fmt: skip
    files = [r for r in said["removed"] if r["kind"] == "file"]
    assert [(f["store"], f["name"], f["sha256"]) for f in files] == [
        ("reports", "reports/2025-W46", report)
    ]
    assert len(done.removed) - len(said["removed"]) == len(
        [i for i in done.removed if i.kind == "row" and not i.rows]
    )
    acts = [line.act for line in ws.ledger.lines()]
    assert said["purge"] == next(a["seq"] for a in acts if a["act"] == "purge done")
    assert issued.certificate.id == f"purge-{said['purge']:06}"
    assert said["purges"] == [
        {"act": said["purge"], "time": "2026-11-20T06:00:00Z",
         "rows": sum(r["rows"] for r in said["removed"]), "deed": "purge", "request": ""}
    ]  # fmt: skip


def test_it_says_by_which_rule_and_clause_and_by_what(ws: Workspace, tmp_path: Path) -> None:
    said = content(run(ws)[1], tmp_path)
    rules = {r["store"]: r for r in said["rules"]}
    assert rules["blocked"] == {
        "store": "blocked", "setting": "retention.usage", "length": "one calendar year",
        "first_day_kept": "2025-11-21",
    }  # fmt: skip
    assert (said["clause"], said["clause_text"]) == (
        "6.2",
        "What monitoring gathers may be kept for one year.",
    )
    assert said["versions"]["fairwatch.yaml"] == f"SHA-256 {sha256(ws.folder / 'fairwatch.yaml')}"
    assert {"Fairwatch", "Python", "policy.yaml"} <= said["versions"].keys()


def test_it_says_what_remains_by_the_look(ws: Workspace, tmp_path: Path) -> None:
    done, issued = run(ws)
    said = content(issued, tmp_path)
    remaining = {r["store"]: r for r in said["remaining"]}
    for store in done.verification.stores:
        one = remaining[store.store]
        assert (one["files"], one["rows"], one["overdue_rows"]) == (store.files, store.rows, 0)
        assert one["oldest_event"] == (store.oldest_event and store.oldest_event.isoformat())
    assert remaining["events"]["oldest_event"] == "2026-11-17"


def test_it_says_until_when_backups_may_hold_it(ws: Workspace, tmp_path: Path) -> None:
    said = content(run(ws)[1], tmp_path)
    assert [(b["name"], b["keeps_days"], b["until"]) for b in said["backups"]] == [
        ("nightly", 30, "2026-12-20"), ("tape", 180, "2027-05-19"),
    ]  # fmt: skip
    assert {r["backups_until"] for r in said["removed"]} == {"2027-05-19"}
    assert NO_BACKUPS not in said["gaps"]


def test_what_it_cannot_vouch_for_stands_in_it(tmp_path: Path) -> None:
    said = content(run(aged(tmp_path / "site", ""))[1], tmp_path)
    assert said["gaps"] == [NO_BACKUPS, checkpoints.NOWHERE, checkpoints.NO_STAMP, BEYOND]
    assert {r["backups_until"] for r in said["removed"]} == {""}


def test_it_names_nobody(ws: Workspace, tmp_path: Path) -> None:
    """Neither those in the data, nor the manager in a file's name, nor who ran the purge."""
    issued = run(ws)[1]
    with ws.alone():
        asked = certify(ws, NOW + timedelta(minutes=1))
    planted = re.compile(
        rb"\b(ann|bob|kim)\b|archer|baker|\bking\b|alice|\bdesk|facebook|10\.20\.1|example\.org",
        re.IGNORECASE,
    )
    for one in (issued, asked):
        for path in unpacked(one, tmp_path).rglob("*"):
            if path.is_file():
                assert not planted.search(path.read_bytes()), path
    told = [line.act for line in ws.ledger.lines() if line.act["act"] == "certificate asked"]
    assert [a["actor"] for a in told] == ["alice@desk"], "the ledger knows who asked"


class Stop(Exception):
    pass


@pytest.mark.parametrize(
    "step", ["intent", "mark", "unlink", "forget", "segments", "scrub", "look"]
)
def test_what_a_purge_cut_short_began_is_in_the_next_one_s(
    ws: Workspace, bare: Path, tmp_path: Path, step: str
) -> None:
    whole = json.loads((bare / "data" / "certificate.json").read_text("utf-8"))

    def die(name: str) -> None:
        if name == step:
            raise Stop

    with ws.alone(), pytest.raises(Stop):
        purge(ws, NOW, confirmed=True, after=die)
    said = content(run(again(ws), NOW + timedelta(hours=1))[1], tmp_path / "b")

    def told(one: dict[str, Any]) -> list[tuple[str, ...]]:
        # Whole and cut sites are made alike, but for digests of a database's rows and the ledger.
        return sorted(
            (r["store"], r["kind"], r["day"], str(r["rows"]))
            for r in one["removed"]
            if r["kind"] != "segment"
        )

    assert told(said) == told(whole)
    assert len({r["name"] + r["sha256"] for r in said["removed"]}) == len(said["removed"])


def test_what_was_only_meant_to_go_is_not_claimed(ws: Workspace, tmp_path: Path) -> None:
    """Cut short before anything went; then the settings keep it no longer due."""
    settings = ws.folder / "fairwatch.yaml"
    before = settings.read_text()
    settings.write_text(before.replace("reports: 1 year", "reports: 28 days"))
    path = ws.folder / "reports" / "2026-W40" / "x.html"
    path.parent.mkdir()
    path.write_text("<time datetime='2026-10-02'></time>")

    def die(name: str) -> None:
        raise Stop

    ws = again(ws)
    with ws.alone(), pytest.raises(Stop):
        purge(ws, NOW, confirmed=True, after=die)
    settings.write_text(before)
    said = content(run(again(ws))[1], tmp_path)
    assert path.exists()
    assert [r["name"] for r in said["removed"] if r["store"] == "reports"] == ["reports/2025-W46"]


def test_rows_of_tables_are_counted_when_they_go(ws: Workspace, tmp_path: Path) -> None:
    from state.tables import RUN

    with ws.state.change() as change:
        for hour in range(5):
            change.execute(
                RUN.insert().values(job="nightly", step="ingest", outcome="done", message="",
                                    started=f"2025-11-1{hour}T02:00:00+00:00")
            )  # fmt: skip
    said = content(run(ws)[1], tmp_path)
    rows = [(r["name"], r["rows"], r["day"]) for r in said["removed"] if r["kind"] == "row"]
    assert ("run", 5, "2025-11-10") in rows


def test_a_night_without_anything_due(ws: Workspace, tmp_path: Path) -> None:
    run(ws)
    done, issued = run(again(ws), NOW + timedelta(minutes=5))
    assert done.removed == []
    assert content(issued, tmp_path)["removed"] == []
    assert (
        "Nothing was due."
        in (tmp_path / issued.certificate.id / "data" / "certificate.html").read_text()
    )


def test_something_left_makes_no_certificate(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "remove", lambda path: None)
    with pytest.raises(Overdue):
        run(ws)
    assert not list((ws.folder / "certificates").glob("*"))
    point, _ = checkpoints.newest(ws) or (None, None)
    assert point is not None, "that it was incomplete is signed"
    with pytest.raises(NoSuchThing):
        certificate.newest(ws)


def test_the_state_as_it_is(ws: Workspace, tmp_path: Path) -> None:
    first = run(ws)[1]
    stray = ws.folder / "stray" / "notes.txt"
    stray.parent.mkdir()
    stray.write_text("2025-01-02 ann looked at facebook\n")
    with ws.alone():
        issued = certify(ws, NOW + timedelta(hours=1))
    said = content(issued, tmp_path)
    assert (said["purge"], said["clean"]) == (None, False)
    unclaimed = next(r for r in said["remaining"] if r["store"] == "unclaimed")
    assert (unclaimed["overdue_rows"], unclaimed["oldest_event"]) == (1, "2025-01-02")
    assert [p["act"] for p in said["purges"]] == [first.certificate.purge]
    shown = (tmp_path / issued.certificate.id / "data" / "certificate.html").read_text("utf-8")
    assert "Not clean." in shown
    assert "notes.txt" not in shown


def test_a_purge_s_certificate_can_be_made_again_and_nothing_is_written_over(ws: Workspace) -> None:
    first = run(ws)[1]
    before = first.path.read_bytes()
    with ws.alone():
        second = certify(ws, NOW + timedelta(hours=1), str(first.certificate.purge))
    assert first.path.read_bytes() == before
    assert second.path != first.path
    assert second.certificate.removed == first.certificate.removed
    with pytest.raises(NoSuchThing, match="expected the number of an act"), ws.alone():
        certify(ws, NOW, "999")


def test_what_is_due_and_kept_is_told_with_its_reason(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision to keep what is due (a hold) shows by itself."""
    real = retention.planned

    def held(ws: Workspace, now: datetime) -> list[retention.Decision]:
        decisions = real(ws, now)
        one = replace(
            decisions[0], remove=False, due=date(2026, 11, 1), reason="hold 7 <until> May"
        )
        return [one, *decisions[1:]]

    monkeypatch.setattr(certificate, "planned", held)
    issued = run(ws)[1]
    assert issued.certificate.kept == [
        Kept(
            issued.certificate.kept[0].store,
            issued.certificate.kept[0].day,
            "2026-11-01",
            "hold 7 <until> May",
        )
    ]
    unpacked(issued, tmp_path)
    shown = (tmp_path / issued.certificate.id / "data" / "certificate.html").read_text("utf-8")
    assert "hold 7 &lt;until&gt; May" in shown
    assert "backup &lt;server&gt;" in shown


def test_a_year_of_removals_is_a_page_all_the_same(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MOST_SHOWN", 3)
    issued = run(ws)[1]
    shown = bundle.page(issued.certificate).decode()
    assert shown.count("a partition") == 2, "and the report's page"
    assert f"{len(issued.certificate.removed) - 3} more lines" in shown


def test_the_page_asks_nothing_of_anybody(ws: Workspace) -> None:
    shown = bundle.page(run(ws)[1].certificate).decode()
    assert "default-src 'none'" in shown
    assert not re.search(r"https?://|<script|<img|<link", shown)


# Its age.


def test_certificates_grow_old_by_their_own_day(ws: Workspace) -> None:
    first = run(ws)[1]
    store = claimed_by(f"certificates/{first.path.name}")
    seen = look(first.path, store, NOW.date())
    assert (seen.oldest, seen.overdue, seen.unreadable) == (NOW.date(), 0, None)
    later = datetime(2027, 11, 21, 6, 0, tzinfo=UTC)
    for month in range(1, 13):  # a clock that jumps is not believed
        ws.ledger.append("run", time=NOW + timedelta(days=30 * month), actor="t")
    done, second = run(again(ws), later)
    assert not first.path.exists()
    assert "certificates" in {i.store for i in done.removed}
    assert verify(ws, later).clean
    assert second.path.exists()


def test_what_is_no_certificate_is_named(ws: Workspace) -> None:
    issued = run(ws)[1]
    store = claimed_by("certificates/x.zip")
    path = ws.folder / "certificates" / "x.zip"
    for raw in (b"no zip", issued.path.read_bytes()[:-30]):
        path.write_bytes(raw)
        assert look(path, store, NOW.date()).unreadable
    path.write_bytes(bag.build("x", {"a": b"2020-01-01"}, {"External-Identifier": "x"}))
    assert "when it was made" in str(look(path, store, NOW.date()).unreadable)


# The way of a stranger.


def steps(folder: Path) -> str:
    """What CHECK.txt tells to type, as one script."""
    text = (folder / "data" / "CHECK.txt").read_text("utf-8")
    return "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))


def shell(folder: Path) -> tuple[int, str]:
    """The steps in a shell that has the system's tools and nothing else."""
    script = steps(folder)
    assert "openssl" in script
    ran = subprocess.run(
        ["/bin/sh", "-c", script], cwd=folder, env={"PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout + ran.stderr


def holds(said: str, signatures: int = 3) -> bool:
    return (
        said.count("Signature Verified Successfully") == signatures
        and "the act is in the ledger" in said.splitlines()
        and said.splitlines().count("1") == 2
        and not re.search(r"FAILED|WARNING|NOT in", said)
    )


def test_a_shell_in_a_bare_folder_is_enough(ws: Workspace, tmp_path: Path) -> None:
    issued = run(ws)[1]
    folder = unpacked(issued, tmp_path / "bare")
    code, said = shell(folder)
    assert holds(said), said
    assert code == 0
    mark = fingerprint(public_key(ws.folder / "keys" / "signing.pub.pem"))
    assert f"{mark}  -" in said.splitlines()
    bag.verify(issued.path)


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))


def sealed_again(folder: Path) -> None:
    """Somebody clever: the manifests fit what was changed."""
    for manifest, names in (
        ("manifest-sha256.txt", sorted(p for p in folder.rglob("*") if "data" in p.parts and p.is_file())),
        ("tagmanifest-sha256.txt", [folder / n for n in ("bag-info.txt", "bagit.txt", "manifest-sha256.txt")]),
    ):  # fmt: skip
        lines = [f"{sha256(p)}  {p.relative_to(folder)}\n" for p in names]
        (folder / manifest).write_text("".join(lines))


@pytest.mark.parametrize(
    "name",
    ["certificate.json", "certificate.html", "certificate.json.sig", "certificate.html.sig",
     "act.jsonl", "inclusion.txt", "checkpoint.txt", "signing.pub.pem"],
)  # fmt: skip
@pytest.mark.parametrize("clever", [False, True])
def test_every_changed_file_shows(ws: Workspace, tmp_path: Path, name: str, clever: bool) -> None:
    folder = unpacked(run(ws)[1], tmp_path / "bare")
    flip(folder / "data" / name)
    if clever:
        sealed_again(folder)
    assert not holds(shell(folder)[1])


def test_another_s_certificate_under_our_checkpoint_shows(ws: Workspace, tmp_path: Path) -> None:
    first = unpacked(run(ws)[1], tmp_path / "bare") / "data"
    other = unpacked(run(again(ws), NOW + timedelta(minutes=3))[1], tmp_path / "bare") / "data"
    for name in (
        "certificate.json",
        "certificate.json.sig",
        "certificate.html",
        "certificate.html.sig",
    ):
        shutil.copy(other / name, first / name)
    sealed_again(first.parent)
    assert not holds(shell(first.parent)[1])


def test_the_checkpoint_in_it_finds_out_a_ledger_written_anew(
    ws: Workspace, tmp_path: Path
) -> None:
    folder = unpacked(run(ws)[1], tmp_path / "bare")
    kept = folder / "data" / "checkpoint.txt"
    point = checkpoint(parse(kept.read_bytes(), "x"), "x")
    assert checkpoints.verify(ws, [kept]).acts > point.size
    for path in [*ws.ledger.folder.glob("*.json*"), *(ws.folder / "checkpoints").iterdir()]:
        path.unlink()
    shutil.rmtree(ws.folder / "state")
    fresh = again(ws)
    for number in range(point.size + 3):
        fresh.ledger.append("run", time=NOW + timedelta(seconds=number), actor="t")
    checkpoints.verify(fresh)
    with pytest.raises(ProofFailed, match="is not the one that"):
        checkpoints.verify(fresh, [kept])


@pytest.mark.slow
def test_a_stamped_one_is_checked_with_the_authority_s_certificate(tmp_path: Path) -> None:
    tsa = tmp_path / "tsa"
    authority.make(tsa)
    with authority.serving(tsa) as url:
        block = f"checkpoints: {{timestamp: {{url: '{url}', ca_file: '{tsa}/ca.pem'}}}}\n"
        issued = run(aged(tmp_path / "site", EXTRA + block))[1]
    folder = unpacked(issued, tmp_path / "bare")
    shutil.copy(tsa / "ca.pem", folder / "tsa-ca.pem")
    code, said = shell(folder)
    assert (code, holds(said), "Verification: OK" in said) == (0, True, True), said
    assert checkpoints.NO_STAMP not in issued.certificate.gaps


def test_our_verifier_goes_along(ws: Workspace, bare: Path) -> None:
    """verify.py of the bundle, in somebody else's hands, says what the certificate says."""
    script = bare / "data" / "verify.py"
    site = bare.parent / "site"
    ran = subprocess.run(
        [sys.executable, script, site, "--as-of", "2026-11-20", "--json"],
        cwd=bare, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode in (0, 7), (
        ran.stderr
    )  # sealed partitions are not looked into without keys
    said = {s["store"]: s for s in json.loads(ran.stdout)["stores"]}
    told = json.loads((bare / "data" / "certificate.json").read_text("utf-8"))
    reports = next(r for r in told["remaining"] if r["store"] == "reports")
    assert said["reports"]["oldest_event"] == reports["oldest_event"]
    for store in ("checkpoints", "certificates", "ledger"):
        assert (said[store]["oldest_event"], said[store]["unreadable"]) == ("2026-11-20", [])
    assert "verify.py in this folder" in (bare / "data" / "CHECK.txt").read_text()


# Mail and commands.


MAIL = """
mail: {{host: 127.0.0.1, port: {port}, security: none, sender: fw@example.org, it: it@example.org}}
dpo: {{name: Dana, email: {to}}}
"""


@pytest.mark.slow
def test_the_officer_gets_it_by_mail(tmp_path: Path) -> None:
    inbox = Inbox(refuses=("away@example.org",))
    port = _free_port()
    server = Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        ws = aged(tmp_path / "site", EXTRA + MAIL.format(port=port, to="dpo@example.org"))
        issued = run(ws)[1]
        issued.refuse_undelivered()
        assert issued.mailed == "dpo@example.org"
        (mail,) = inbox.messages
        assert mail["To"] == "dpo@example.org"
        attached = {a.get_filename(): a.get_payload(decode=True) for a in mail.iter_attachments()}
        assert attached[issued.path.name] == issued.path.read_bytes()
        name = issued.checkpoint.path.name
        sent = attached[name]
        assert isinstance(sent, bytes)
        kept = tmp_path / "from-mail.txt"
        kept.write_bytes(sent)
        checkpoints.verify(ws, [kept])
        assert checkpoints.NOWHERE not in issued.certificate.gaps
        settings = ws.folder / "fairwatch.yaml"
        settings.write_text(settings.read_text().replace("dpo@example.org", "away@example.org"))
        with ws.alone():
            second = certify(again(ws), NOW + timedelta(minutes=9))
        assert second.path.exists()
        with pytest.raises(MailFailed, match="no such mailbox"):
            second.refuse_undelivered()
    finally:
        server.stop()


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def called(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as done:
            main([str(w) for w in words])
        out, err = capsys.readouterr()
        return int(done.value.code or 0), out, err

    return called


def test_the_commands(
    ws: Workspace, call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ws.folder)
    monkeypatch.setattr("fairwatch.place.now", lambda: NOW)
    assert call("retention", "certificate", "--purge", "last")[0] == 13
    code, out, err = call("retention", "purge", "--confirm", "--json")
    assert code == 0, err
    first = Path(json.loads(out)["certificate"])
    assert first.is_file()
    code, out, _ = call("retention", "certificate", "--purge", "last", "--json")
    said = json.loads(out)
    assert (code, said["certificate"]["purge"]) == (0, int(first.stem.rpartition("-")[2]))
    assert sha256(Path(said["path"])) == said["sha256"]
    code, out, _ = call("retention", "certificate")
    assert (code, "mailed to nobody" in out, "gap: " in out) == (0, True, True)
    assert call("retention", "certificate", "--purge", "x")[0] == 13
    (ws.folder / "stray.txt").write_text("2024-01-01\n")
    code, out, err = call("retention", "certificate")
    assert (code, "not clean" in err) == (7, True)
