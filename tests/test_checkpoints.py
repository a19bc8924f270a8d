"""What was published of the ledger finds out whoever rewrites it, and strangers can check that."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import authority
import pytest
from conftest import make_site
from sqlalchemy import delete

from errors import Damaged, NotPublished, ProofFailed
from fairwatch.cli import main
from lake.witness.look import claimed_by, look
from ledger import GENESIS, Ledger, canonical
from proofs import consistency, inclusion, stamp
from proofs.signing import Keys
from reports import checkpoints, publish
from reports.checkpoints import Made, make, verify
from retention import purge
from retention import verify as verify_retention
from state.tables import META
from workspace import Workspace, open_site

START = datetime(2026, 6, 10, 9, 0, tzinfo=UTC)


def act(ws: Workspace, when: datetime) -> None:
    ws.ledger.append("run", time=when, actor="test", n=1)


def months(ws: Workspace, count: int = 4) -> list[Made]:
    """Acts of some months, a checkpoint in the middle of each."""
    made = []
    for month in range(count):
        for day in range(6):
            when = START + timedelta(days=30 * month + day)
            act(ws, when)
            if day == 3:
                made.append(make(ws, when))
    return made


def forged(ws: Workspace, change: Callable[[dict[str, object]], None], seq: int) -> None:
    """Somebody with all rights: one act changed, everything after it and the state written anew."""
    prev, number = GENESIS, 0
    lines: list[tuple[Path, bytes]] = []
    for line in ws.ledger.lines():
        number += 1
        facts = dict(line.act)
        if facts["seq"] == seq:
            change(facts)
            if not facts:
                number -= 1
                continue
        facts |= {"seq": number, "prev": prev}
        raw = canonical(facts)
        prev = __import__("hashlib").sha256(raw).hexdigest()
        lines.append((ws.ledger.folder / line.segment, raw))
    for path in ws.ledger.segments():
        path.write_bytes(b"".join(raw for at, raw in lines if at == path))
    with ws.state._engine.begin() as connection:
        connection.execute(delete(META).where(META.c.key == "ledger"))
        connection.execute(META.insert().values(key="ledger", value=json.dumps([number, prev])))


def renamed(facts: dict[str, object]) -> None:
    facts["actor"] = "somebody else"


def kept_outside(made: list[Made], folder: Path) -> list[Path]:
    folder.mkdir()
    return [Path(shutil.copy(one.path, folder)) for one in made]


def fault(call: Callable[[], object]) -> str:
    with pytest.raises(ProofFailed) as caught:
        call()
    return str(caught.value)


def test_a_checkpoint_holds_as_the_ledger_grows(site: Workspace) -> None:
    made = months(site)
    found = verify(site)
    assert (found.checkpoints, found.acts) == (4, found.lines)
    sizes = [one.checkpoint.size for one in made]
    assert sizes == sorted(set(sizes))
    assert made[0].gaps == (checkpoints.NOWHERE, checkpoints.NO_STAMP)
    acts = [line.act for line in site.ledger.lines()]
    told = [a for a in acts if a["act"] == "checkpoint"]
    assert [(a["size"], a["root"]) for a in told] == [
        (one.checkpoint.size, one.checkpoint.root.hex()) for one in made
    ]
    assert [a["act"] for a in acts if a["act"] == "signing key"] == ["signing key"]


def test_a_rewrite_of_everything_is_seen_from_outside_alone(
    site: Workspace, tmp_path: Path
) -> None:
    made = months(site)
    outside = kept_outside(made, tmp_path / "outside")
    shutil.rmtree(site.folder / "checkpoints")
    middle = made[1].checkpoint.size + 2
    forged(site, renamed, middle)
    assert verify(site).checkpoints == 0, "from inside nothing can be seen"
    verify(site, outside[:2])
    said = fault(lambda: verify(site, outside))
    first, last = made[1].checkpoint.size + 1, made[2].checkpoint.size
    assert said.startswith(f"{site.ledger.place(first)} to {site.ledger.place(last)}: ")
    assert f"acts {first} to {last} was changed" in said
    assert f"up to act {first - 1} it is what" in said
    assert str(outside[2]) in said
    assert fault(lambda: verify(site, [tmp_path / "outside"])) == said, "a folder of them"


def test_an_act_left_out_is_seen(site: Workspace, tmp_path: Path) -> None:
    made = months(site)
    outside = kept_outside(made, tmp_path / "outside")
    shutil.rmtree(site.folder / "checkpoints")
    forged(site, dict.clear, 2)
    verify(site)
    assert "acts 1 to" in fault(lambda: verify(site, outside[:1]))


def test_the_checkpoints_kept_here_are_compared_without_being_asked(site: Workspace) -> None:
    months(site, 2)
    forged(site, renamed, 3)
    said = fault(lambda: verify(site))
    assert said.startswith("ledger/2026-06.jsonl line 1 to ledger/2026-06.jsonl line 5: ")


def test_nothing_false_is_signed(site: Workspace) -> None:
    months(site, 2)
    forged(site, renamed, 3)
    before = sorted((site.folder / "checkpoints").iterdir())
    with pytest.raises(ProofFailed):
        make(site, START + timedelta(days=70))
    assert sorted((site.folder / "checkpoints").iterdir()) == before


def test_a_cut_end_is_named_by_segment_and_line(site: Workspace, tmp_path: Path) -> None:
    made = months(site, 2)
    with site.state.change() as change:
        change.act("run", time=START + timedelta(days=36), actor="test")
    last = site.ledger.segments()[-1]
    kept = last.read_bytes().splitlines(keepends=True)
    said = {}
    for left in (len(kept) - 1, 2):
        last.write_bytes(b"".join(kept[:left]))
        said[left] = fault(lambda: verify(site))
        assert said[left].startswith(f"ledger/{last.name} line {left}: is the last, act ")
    with site.state._engine.begin() as connection:
        connection.execute(delete(META).where(META.c.key == "ledger"))
    said[2] = fault(lambda: verify(site))
    assert said[2].startswith(f"ledger/{last.name} line 2: is the last, act ")
    assert f"saw act {made[1].checkpoint.size}" in said[2]
    last.unlink()
    assert "ledger/2026-06.jsonl line" in fault(lambda: verify(site))


@pytest.mark.parametrize("gone", range(4))
def test_any_prefix_may_go_and_every_checkpoint_still_holds(
    site: Workspace, tmp_path: Path, gone: int
) -> None:
    made = months(site)
    outside = kept_outside(made, tmp_path / "outside")
    before = verify(site, outside)
    for path in site.ledger.segments()[:gone]:
        site.ledger.drop(path)
    after = verify(site, outside)
    assert (after.root, after.acts, after.head) == (before.root, before.acts, before.head)
    assert after.checkpoints == 8
    later = make(site, START + timedelta(days=130)).checkpoint
    tree, _ = site.ledger.tree()
    for one in made:
        text = consistency.prove(tree, later.origin, one.checkpoint.size, later.size).text()
        found = consistency.parse(text.encode(), "x")
        assert (found.old_root, found.new_root) == (one.checkpoint.root, later.root)


def test_a_rewrite_behind_a_dropped_beginning_is_seen(site: Workspace, tmp_path: Path) -> None:
    outside = kept_outside(months(site), tmp_path / "outside")
    shutil.rmtree(site.folder / "checkpoints")
    for path in site.ledger.segments()[:2]:
        site.ledger.drop(path)
    heads = site.ledger.folder / "heads.json"
    right = heads.read_text()
    old = json.loads(right)[0]["covers"][0][1][0]
    heads.write_text(right.replace(old, "00" * 32))
    verify(site)
    said = fault(lambda: verify(site, outside))
    assert said.startswith("ledger/2026-06.jsonl line 1 (dropped) to ledger/2026-06.jsonl line ")


@pytest.mark.parametrize(
    ("old", "new"),
    [('"seq": ', '"seq": 1'), ('"lines": ', '"lines": 1'), ('"covers": [', '"covers": [3,'), ("[\n", "")],
)  # fmt: skip
def test_heads_that_do_not_add_up(site: Workspace, old: str, new: str) -> None:
    months(site)
    for path in site.ledger.segments()[:2]:
        site.ledger.drop(path)
    heads = site.ledger.folder / "heads.json"
    heads.write_text(heads.read_text().replace(old, new, 1))
    assert fault(lambda: verify(site)).startswith("ledger/heads.json")


def test_a_head_left_out_is_named(site: Workspace) -> None:
    months(site)
    for path in site.ledger.segments()[:3]:
        site.ledger.drop(path)
    heads = site.ledger.folder / "heads.json"
    heads.write_text(json.dumps(json.loads(heads.read_text())[1:]))
    assert "2026-07.jsonl" in fault(lambda: verify(site))


def test_a_stranger_s_checkpoint_is_none(site: Workspace, tmp_path: Path) -> None:
    made = months(site, 1)[0]
    other = Keys(tmp_path / "other")
    other.make()
    path = tmp_path / "forged.txt"
    path.write_bytes(other.sign(made.checkpoint.text()).as_bytes())
    assert "not signed by this site's key" in fault(lambda: verify(site, [path]))
    good = site.folder / "keys" / "signing.pub.pem"
    verify(site, [made.path], good)
    assert "not signed by the key in" in fault(
        lambda: verify(site, [made.path], other.folder / "signing.pub.pem")
    )


def test_the_key_changes_and_old_checkpoints_hold(site: Workspace) -> None:
    made = months(site, 1)[0]
    checkpoints.rotate(site, START + timedelta(days=20))
    later = make(site, START + timedelta(days=20))
    assert later.checkpoint.origin == made.checkpoint.origin
    assert verify(site).checkpoints == 2
    told = [line.act for line in site.ledger.lines() if line.act["act"] == "signing key"]
    assert [a["statement"] is None for a in told] == [True, False]
    assert told[1]["was"] == told[0]["signer"]
    assert told[1]["statement"].count("\N{EM DASH} ") == 2, "signed by the old and the new key"


def test_a_key_that_is_gone_is_not_made_anew(site: Workspace) -> None:
    months(site, 1)
    shutil.rmtree(site.folder / "keys")
    with pytest.raises(Damaged, match="Restore"):
        make(site, START + timedelta(days=20))


def test_a_folder_outside_gets_it_and_is_believed(tmp_path: Path) -> None:
    folder = make_site(tmp_path / "site", lambda t: t + "checkpoints: {folder: ../outside}\n")
    ws = open_site(folder, "test")
    first = make(ws, START)
    assert first.gaps == (checkpoints.NO_STAMP,)
    assert "not mounted" not in first.failed[0]
    assert "mounted" in first.failed[0]
    with pytest.raises(NotPublished):
        checkpoints.refuse_unpublished(first)
    (tmp_path / "outside").mkdir()
    second = make(ws, START + timedelta(days=1))
    copy = tmp_path / "outside" / second.path.name
    assert copy.read_bytes() == second.path.read_bytes()
    assert (second.failed, second.published) == ((), ("../outside",))
    for path in (folder / "checkpoints").iterdir():
        path.unlink()
    forged(ws, renamed, 1)
    assert str(copy.name) in fault(lambda: make(ws, START + timedelta(days=2)))


def test_nothing_outside_is_written_over(tmp_path: Path) -> None:
    publish.to_folder(tmp_path, "x.txt", b"one")
    publish.to_folder(tmp_path, "x.txt", b"one")
    assert "says something else" in fault(lambda: publish.to_folder(tmp_path, "x.txt", b"two"))
    assert (tmp_path / "x.txt").read_bytes() == b"one"


def test_an_act_is_proven_to_stand_there(site: Workspace) -> None:
    months(site)
    point, _ = checkpoints.newest(site) or (None, None)
    assert point is not None
    for path in site.ledger.segments()[:2]:
        site.ledger.drop(path)
    tree, _ = site.ledger.tree()
    for line in site.ledger.lines():
        if line.act["seq"] > point.size:
            continue
        raw = canonical(line.act)
        proof = inclusion.prove(tree, line.act["seq"], point)
        assert inclusion.parse(proof.text().encode(), "x") == proof
        inclusion.check(proof, raw, point, "x")
        with pytest.raises(ProofFailed, match="does not lead"):
            inclusion.check(proof, raw.replace(b"test", b"tesd"), point, "x")


def test_wrong_proofs_are_refused(site: Workspace) -> None:
    made = months(site)
    tree, _ = site.ledger.tree()
    point = made[3].checkpoint
    good = inclusion.prove(tree, 5, point).text()
    for bad in (
        good.replace("right ", "left ", 1),
        good.replace("act 5", "act 6"),
        good.replace("size ", "size 1"),
        good[:-1],
        good.rsplit("\n", 2)[0] + "\n",
        "",
    ):
        with pytest.raises(ProofFailed, match=r"^p\.txt: "):
            inclusion.parse(bad.encode(), "p.txt")
    text = consistency.prove(tree, point.origin, made[0].checkpoint.size, point.size).text()
    for bad in (
        text.replace("both", "right", 1) if "both" in text else text.replace("right", "both", 1),
        text.replace("from ", "from 1", 1),
        text[:-1],
        text.rsplit("\n", 2)[0] + "\n",
        text.replace(base64.b64encode(point.root).decode(), base64.b64encode(bytes(32)).decode()),
    ):
        with pytest.raises(ProofFailed, match=r"^p\.txt: "):
            consistency.parse(bad.encode(), "p.txt")


def test_checkpoints_grow_old_with_the_ledger(site: Workspace) -> None:
    first = make(site, datetime(2025, 11, 10, tzinfo=UTC))
    second = make(site, datetime(2025, 12, 10, tzinfo=UTC))
    now = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
    act(site, datetime(2026, 1, 5, tzinfo=UTC))
    act(site, now)
    outside = first.path.read_bytes()
    with site.alone():
        done = purge(site, now, confirmed=True)
    assert {i.store for i in done.removed} == {"ledger", "checkpoints"}
    assert not first.path.exists()
    assert second.path.exists()
    assert verify_retention(site, now).clean
    path = site.folder.parent / "kept.txt"
    path.write_bytes(outside)
    assert verify(site, [path]).checkpoints == 2, "the dropped segment's hashes hold it"


def test_the_witness_knows_when_a_checkpoint_was_made(site: Workspace) -> None:
    path = make(site, START).path
    store = claimed_by(f"checkpoints/{path.name}")
    seen = look(path, store, START.date())
    assert (seen.oldest, seen.overdue, seen.unreadable) == (START.date(), 0, None)
    path.write_text("no time in it\n")
    assert "made" in str(look(path, store, START.date()).unreadable)


# The commands.


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as done:
        main([str(w) for w in words])
    out, err = capsys.readouterr()
    return int(done.value.code or 0), out, err


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A site as `init` makes it."""
    with pytest.raises(SystemExit):
        main(["init", str(tmp_path / "site"), "--policy", "b3"])
    return tmp_path / "site"


def test_init_makes_a_key(fresh: Path) -> None:
    assert (fresh / "keys" / "signing.pem").stat().st_mode & 0o777 == 0o600
    assert (fresh / "keys").stat().st_mode & 0o777 == 0o700


def test_the_commands(
    fresh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fresh)
    code, out, _ = call(capsys, "ledger", "prove", "1")
    assert code == 13
    code, out, err = call(capsys, "ledger", "checkpoint")
    assert (code, "gap: The ledger's checkpoints stay on this machine alone" in out) == (0, True), (
        err
    )
    code, out, _ = call(capsys, "ledger", "checkpoint", "--json")
    made = json.loads(out)
    assert (code, made["size"], made["published"]) == (0, 3, [])
    old = next((fresh / "checkpoints").glob("*.txt"))
    code, out, _ = call(capsys, "ledger", "verify", "--against", old, "--json")
    said = json.loads(out)
    assert (code, said["acts"], said["checkpoints"], len(said["gaps"])) == (0, 5, 3, 2)
    code, out, _ = call(capsys, "ledger", "verify")
    assert out.startswith("5 acts, unbroken; head ")
    code, out, _ = call(capsys, "ledger", "prove", "2", "--out", tmp_path / "proof")
    assert (code, sorted(p.name for p in (tmp_path / "proof").iterdir())) == (
        0, ["act.jsonl", "checkpoint.txt", "inclusion.txt"],
    )  # fmt: skip
    segment = next((fresh / "ledger").glob("*.jsonl"))
    code, out, _ = call(capsys, "ledger", "prove", f"{segment.stem}:2", "--json")
    assert json.loads(out)["proof"] == (tmp_path / "proof" / "inclusion.txt").read_text()
    for words, expected in {
        ("5",): 13, ("99",): 13, ("x",): 2, (f"{segment.stem}:99",): 13, ("2020-01:1",): 13,
    }.items():  # fmt: skip
        assert call(capsys, "ledger", "prove", *words)[0] == expected, words
    proof = tmp_path / "consistency.txt"
    code, out, _ = call(capsys, "ledger", "consistency", old, "--out", proof)
    assert (code, proof.read_text().splitlines()[0]) == (0, "fairwatch consistency")
    assert call(capsys, "ledger", "consistency", "1", "--json")[0] == 0
    assert call(capsys, "ledger", "consistency", "99")[0] == 2
    assert call(capsys, "ledger", "verify", "--against", proof)[0] == 0
    proof.write_text(proof.read_text().replace("from 1", "from 2", 1))
    assert call(capsys, "ledger", "verify", "--against", proof)[0] == 6
    assert call(capsys, "ledger", "verify", "--against", tmp_path / "none.txt")[0] == 4
    code, out, _ = call(capsys, "ledger", "rotate-key", "--json")
    assert (code, len(json.loads(out)["key"])) == (0, 64)
    assert call(capsys, "ledger", "verify", "--against", old)[0] == 0
    code, out, _ = call(capsys, "ledger", "export")
    assert out.encode() == segment.read_bytes()


def test_a_shell_follows_both_proofs(
    fresh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loops of docs/ledger.md, run as they are printed there."""
    text = (Path(__file__).parent.parent / "docs" / "ledger.md").read_text("utf-8")
    loops = [block.split("```")[0] for block in text.split("```sh\n")[1:]]
    signature = next(b for b in loops if "pkeyutl" in b)
    included = next(b for b in loops if "inclusion.txt" in b)
    consistent = next(b for b in loops if "consistency.txt" in b)
    monkeypatch.chdir(fresh)
    for _ in range(5):
        assert call(capsys, "ledger", "checkpoint")[0] == 0
    folder, sizes = tmp_path / "bare", sorted((fresh / "checkpoints").glob("*.txt"))
    assert call(capsys, "ledger", "prove", "3", "--out", folder)[0] == 0
    shutil.copy(fresh / "keys" / "signing.pub.pem", folder)
    shutil.copy(sizes[1], folder / "old.txt")
    call(capsys, "ledger", "consistency", sizes[1], "--out", folder / "consistency.txt")

    def shell(script: str) -> str:
        ran = subprocess.run(
            ["sh", "-euc", script], cwd=folder, capture_output=True, text=True, check=False
        )
        return ran.stdout + ran.stderr

    assert shell(signature) == "Signature Verified Successfully\n"
    assert shell(included) == "the act is in the ledger\n"
    assert shell(consistent) == "the old ledger is the beginning of the new one\n"
    line = (folder / "act.jsonl").read_bytes()
    (folder / "act.jsonl").write_bytes(line.replace(b"a", b"b", 1))
    assert shell(included) == "NOT in the ledger\n"
    old = (folder / "old.txt").read_text().splitlines()
    (folder / "old.txt").write_text("\n".join([*old[:2], "A" * 43 + "=", *old[3:]]) + "\n")
    assert shell(consistent) == "NOT its beginning\n"
    (folder / "checkpoint.txt").write_text("x" + (folder / "checkpoint.txt").read_text())
    assert "Verified Successfully" not in shell(signature)


# Time stamps, by a real authority.


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("time") / "tsa"
    authority.make(folder)
    return folder


@pytest.fixture
def stamping(tsa: Path, tmp_path: Path) -> Iterator[Workspace]:
    with authority.serving(tsa) as url:
        block = f"checkpoints: {{timestamp: {{url: '{url}', ca_file: '{tsa}/ca.pem'}}}}\n"
        yield open_site(make_site(tmp_path / "site", lambda t: t + block), "test")


@pytest.mark.slow
def test_a_time_stamp_is_kept_and_openssl_agrees(stamping: Workspace, tsa: Path) -> None:
    made = make(stamping, START)
    assert made.stamp is not None
    assert made.stamped is not None
    assert abs(made.stamped - datetime.now(UTC)) < timedelta(minutes=5), "its time, not ours"
    assert (made.gaps, made.failed) == ((checkpoints.NOWHERE,), ())
    check = ["openssl", "ts", "-verify", "-in", str(made.stamp), "-data", str(made.path)]
    said = subprocess.run([*check, "-CAfile", str(tsa / "ca.pem")], capture_output=True, text=True, check=False)  # fmt: skip
    assert (said.returncode, said.stdout) == (0, "Verification: OK\n"), said.stderr
    answer, content, roots = (p.read_bytes() for p in (made.stamp, made.path, tsa / "ca.pem"))
    assert stamp.check(answer, content, roots) == made.stamped
    for wrong in (
        lambda: stamp.check(answer, content + b"x", roots),
        lambda: stamp.check(answer[:-9], content, roots),
        lambda: stamp.check(b"", content, roots),
        lambda: stamp.check(answer, content, b"no pem"),
        lambda: stamp.check(bytes(1 << 18), content, roots),
        lambda: stamp.check(answer, content, roots, stamp.request(content)),
    ):
        fault(wrong)
    store = claimed_by(f"checkpoints/{made.stamp.name}")
    seen = look(made.stamp, store, START.date())
    assert seen.oldest == made.stamped.date()


@pytest.mark.slow
def test_another_authority_is_not_believed(stamping: Workspace, tsa: Path, tmp_path: Path) -> None:
    authority.make(tmp_path / "other")
    settings = stamping.folder / "fairwatch.yaml"
    settings.write_text(settings.read_text().replace(f"{tsa}/ca.pem", f"{tmp_path}/other/ca.pem"))
    made = make(open_site(stamping.folder, "test"), START)
    assert made.stamp is None
    assert "does not hold" in made.failed[0]
    assert made.failed[0] in made.gaps


def test_an_authority_that_is_away_is_a_gap(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("")
    block = f"checkpoints: {{timestamp: {{url: 'http://127.0.0.1:9/', ca_file: '{ca}'}}}}\n"
    ws = open_site(make_site(tmp_path / "site", lambda t: t + block), "test")
    made = make(ws, START)
    assert "http://127.0.0.1:9/: no time stamp" in made.gaps[0]
    with pytest.raises(NotPublished, match="no time stamp"):
        checkpoints.refuse_unpublished(made)
    assert verify(ws).checkpoints == 1, "made all the same"
    ca.unlink()
    assert "does not exist" in make(ws, START + timedelta(days=1)).gaps[0]


def test_a_ledger_alone_can_still_be_read(tmp_path: Path) -> None:
    """Nothing of all this is needed to append."""
    ledger = Ledger(tmp_path)
    ledger.append("x", time=START, actor="t")
    tree, head = ledger.tree()
    assert (tree.size, head) == (1, ledger.verify()[1])
