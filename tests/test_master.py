"""The master key: where it may be kept, what its loss looks like, its rotation, and a day's key for other tools."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, make_site
from factory import again, edited, lake, page, snapshot, utc
from test_keys import holding, parts, secrets

from errors import BadConfiguration, NoKey
from fairwatch import place
from fairwatch.cli import main
from lake.keys import DayKeys
from lake.master import (
    CommandCustody,
    Custody,
    EnvironmentCustody,
    FileCustody,
    KeyringCustody,
    parsed,
    written,
)
from lake.ring import Ring
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
RECENT = utc("2026-11-19 09:00")
KMS = """
import base64, os, sys
from pathlib import Path
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

own = Path(__file__).with_name("kms-secret")
if not own.exists():
    own.write_bytes(os.urandom(32))
Path(__file__).with_name("asked").open("a").write(sys.argv[1] + "\\n")
work = {"wrap": aes_key_wrap, "unwrap": aes_key_unwrap}[sys.argv[1]]
print(base64.b64encode(work(own.read_bytes(), base64.b64decode(sys.stdin.readline()))).decode())
"""


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
    """Run a command in this process at NOW."""
    monkeypatch.setattr(place, "now", lambda: NOW)

    def run(*words: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Said(end.value.code, out, err)

    return run


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    (tmp_path / "kms").mkdir()
    (tmp_path / "kms" / "kms.py").write_text(KMS)
    return [sys.executable, str(tmp_path / "kms" / "kms.py")]


@pytest.fixture
def pocket() -> Iterator[None]:
    """A keyring of the system that is held in memory."""
    keyring = pytest.importorskip("keyring")
    backend = pytest.importorskip("keyring.backend")

    class Pocket(backend.KeyringBackend):  # type: ignore[misc, name-defined]
        priority = 1

        def __init__(self) -> None:
            super().__init__()
            self.held: dict[tuple[str, str], str] = {}

        def get_password(self, service: str, username: str) -> str | None:
            return self.held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.held[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.held[service, username]

    before = keyring.get_keyring()
    keyring.set_keyring(Pocket())
    yield
    keyring.set_keyring(before)


def keys_of(folder: Path, custody: Custody | None) -> DayKeys:
    return DayKeys(Ring(folder / "keys" / "ring.db"), custody, sealing=True)


def sealed(keys: DayKeys) -> dict[str, bytes]:
    """Three days' keys."""
    for day in (1, 2, 3):
        keys.seal("events", RECENT.date().replace(day=day))
    return {key.id: keys.unwrapped(key.id) for key in keys.ring.day_keys()}


@pytest.mark.parametrize("kind", ["file", "environment", "keyring", "command"])
def test_kept_here_or_there_it_opens_the_ring_and_rotates(
    tmp_path: Path, command: list[str], pocket: None, kind: str
) -> None:
    environment = {"SITE_KEY": written(os.urandom(32)), "SITE_KEY_NEXT": written(os.urandom(32))}
    places: dict[str, Custody] = {
        "file": FileCustody(tmp_path / "own" / "master.key"),
        "environment": EnvironmentCustody("SITE_KEY", environment),
        "keyring": KeyringCustody("fairwatch-test"),
        "command": CommandCustody(command),
    }
    custody = places[kind]
    first = keys_of(tmp_path, custody)
    known = sealed(first)
    wrapped = {key.id: key.wrapped for key in first.ring.day_keys()}
    assert {id_: keys_of(tmp_path, custody).unwrapped(id_) for id_ in known} == known
    was, now = first.rotate()
    if kind == "environment":
        environment["SITE_KEY"] = environment.pop("SITE_KEY_NEXT")
    later = keys_of(tmp_path, custody)
    assert {id_: later.unwrapped(id_) for id_ in known} == known
    master = later.ring.master()
    assert master is not None and was != now == master.id
    assert (master.wrapped is not None) == (kind == "command")
    for blob in wrapped.values():
        assert holding(tmp_path / "keys", blob) == [], "what the old key wrapped is gone"
    environment["SITE_KEY_NEXT"] = written(os.urandom(32))
    assert later.rotate()[0] == now


def test_a_service_is_asked_once_a_process(tmp_path: Path, command: list[str]) -> None:
    sealed(keys_of(tmp_path, CommandCustody(command)))
    (tmp_path / "kms" / "asked").unlink()
    sealed(keys_of(tmp_path, CommandCustody(command)))
    assert (tmp_path / "kms" / "asked").read_text() == "unwrap\n"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exit 3", "exit code 3"),
        ("echo '?'", "no Base64"),
        ("cat", "does not unwrap again"),
        ("sleep 9", "no answer within"),
    ],
)
def test_a_service_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    monkeypatch.setattr("lake.master.COMMAND_SECONDS", 0.5)
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\n{script}\n")
    hook.chmod(0o700)
    with pytest.raises(NoKey, match=told):
        sealed(keys_of(tmp_path, CommandCustody([str(hook)])))
    with pytest.raises(NoKey, match="No such file"):
        sealed(keys_of(tmp_path, CommandCustody([str(tmp_path / "nosuch")])))
    assert not (tmp_path / "keys").exists(), "nothing is sealed by a key that may be lost"


def test_an_environment_without_the_key_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoKey, match="SITE_KEY is not set"):
        sealed(keys_of(tmp_path, EnvironmentCustody("SITE_KEY", {})))
    held = EnvironmentCustody("SITE_KEY", {"SITE_KEY": written(os.urandom(32))})
    sealed(keys_of(tmp_path, held))
    with pytest.raises(NoKey, match="SITE_KEY_NEXT is not set"):
        keys_of(tmp_path, held).rotate()


def test_without_the_package_the_keyring_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(BadConfiguration, match=r"fairwatch\[keyring\]"):
        sealed(keys_of(tmp_path, KeyringCustody("x")))


@pytest.mark.parametrize("text", ["", "abc", "ä" * 44, "A" * 43, "A" * 400])
def test_what_is_no_key_is_not_shown(text: str) -> None:
    with pytest.raises(NoKey, match="holds no key") as said:
        parsed(text, "somewhere")
    assert not text or text not in str(said.value)


def test_lost_or_wrong_it_says_so(site: Workspace) -> None:
    lake(site, [page(RECENT)])
    (part,) = parts(site)
    master = site.folder.parent / "fairwatch.master.key"
    held = master.read_text()
    master.unlink()
    with pytest.raises(NoKey, match=r"holds none\. Put your copy"):
        again(site).keys.open(site.folder / part.path)
    with pytest.raises(NoKey):
        lake(again(site), [page(RECENT)], "00000002-0000")
    assert not master.exists(), "no new one is made where days are sealed by another"
    master.write_text(written(os.urandom(32)))
    with pytest.raises(NoKey, match="holds another one"):
        again(site).keys.require([part.key])
    master.write_text("torn")
    with pytest.raises(NoKey, match="44 characters"):
        again(site).keys.require([part.key])
    master.write_text("\n  " + held + "\n")
    again(site).keys.require([part.key])


@pytest.mark.parametrize("point", ["make", "rewrap", "settle"])
def test_a_rotation_cut_short_loses_nothing(
    site: Workspace, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    lake(site, [page(RECENT)])
    known, before = secrets(site), snapshot(site.folder / "lake")
    owner = Ring if point == "rewrap" else FileCustody
    real = getattr(owner, point)

    def dies(*args: object) -> None:
        if point != "settle":
            real(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(owner, point, dies)
        with pytest.raises(KeyboardInterrupt):
            again(site).keys.rotate()
    assert {i: again(site).keys.unwrapped(i) for i in known} == {
        i: k for i, (k, _) in known.items()
    }
    again(site).keys.rotate()
    assert {i: again(site).keys.unwrapped(i) for i in known} == {
        i: k for i, (k, _) in known.items()
    }
    assert [p.name for p in site.folder.parent.glob("*.key*")] == ["fairwatch.master.key"]
    assert snapshot(site.folder / "lake") == before, "no partition is written anew"
    for _, blob in known.values():
        assert holding(site.folder, blob) == []


def test_a_process_that_knew_the_old_key_goes_on_with_the_new(site: Workspace) -> None:
    """A night's steps take the lock one after the other; a rotation may come between two of them."""
    lake(site, [page(RECENT)])
    was, now = again(site).keys.rotate()
    site.keys.seal("usage", RECENT.date())
    seal = site.keys.seal("events", RECENT.date())
    assert seal is not None and was != now
    later = again(site).keys
    assert len([later.unwrapped(key.id) for key in later.ring.day_keys()]) == 2
    again(site).keys.rotate()
    assert site.keys.unwrapped(seal.key) == again(site).keys.unwrapped(seal.key)


# The commands ---------------------------------------------------------------------------------


@pytest.fixture
def filled(site: Workspace) -> Workspace:
    lake(site, [page(RECENT)])
    return site


def test_status_tells_and_shows_no_key(call: Call, filled: Workspace) -> None:
    said = call("keys", "status", "--json", "--site", filled.folder)
    told = said.json["keys"]
    assert (said.code, told["day_keys"], told["sealed_parts"], told["plain_parts"]) == (0, 1, 1, 0)
    assert told["oldest"] == told["newest"] == "2026-11-19"
    text = call("keys", "status", "--site", filled.folder).out
    master = (filled.folder.parent / "fairwatch.master.key").read_text().strip()
    assert told["master"] in text and master not in text


def test_commands_without_the_master_key_end_with_16(call: Call, filled: Workspace) -> None:
    (filled.folder.parent / "fairwatch.master.key").unlink()
    week = ("--from", "2026-11-16", "--to", "2026-11-20")
    for words in (
        ("keys", "status"), ("keys", "rotate"), ("usage", *week), ("retention", "verify"),
        ("keys", "export", "2026-11-19", "--reason", "a test"), ("run", "activity"),
    ):  # fmt: skip
        said = call(*words, "--site", filled.folder)
        expected = 11 if words[0] == "run" else 16
        assert said.code == expected, words
        assert "Put your copy of it there" in said.err
    assert call("status", "--site", filled.folder).code == 0


def test_a_rotation_is_an_act(call: Call, filled: Workspace) -> None:
    said = call("keys", "rotate", "--site", filled.folder)
    assert said.code == 0 and "keys confirm COPY" in said.out
    act = [line.act for line in filled.ledger.lines()][-1]
    master = filled.keys.ring.master()
    assert (act["act"], act["day_keys"], act["now"]) == ("keys rotate", 1, master and master.id)
    assert act["was"] != act["now"]


def test_a_copy_is_shown_and_noted(call: Call, filled: Workspace, tmp_path: Path) -> None:
    key = filled.folder.parent / "fairwatch.master.key"

    def told() -> dict[str, Any]:
        said = call("doctor", "--json", "--site", filled.folder)
        return {check["what"]: check for check in said.json["checks"]}

    assert told()["copy of the master key"]["state"] == "warning"
    copy = Path(shutil.copy(key, tmp_path / "paper"))
    assert call("keys", "confirm", key, "--site", filled.folder).code == 16, "that is no copy"
    (tmp_path / "other").write_text(written(os.urandom(32)))
    assert call("keys", "confirm", tmp_path / "other", "--site", filled.folder).code == 16
    assert call("keys", "confirm", tmp_path / "nosuch", "--site", filled.folder).code == 13
    assert "copy of the master key" in told()
    assert call("keys", "confirm", copy, "--site", filled.folder).code == 0
    assert "copy of the master key" not in told()
    call("keys", "rotate", "--site", filled.folder)
    assert "copy of the master key" in told(), "the copy is of the old one"


def test_doctor_warns_where_a_key_lies_badly(call: Call, tmp_path: Path) -> None:
    folder = make_site(tmp_path / "s", lambda t: t.replace("../fairwatch.master.key", "keys/m.key"))
    lake(open_site(folder, "t"), [page(RECENT)])
    told = call("doctor", "--site", folder).out
    assert "lies in the site folder" in told
    (folder / "keys" / "m.key").chmod(0o640)
    assert "chmod 600" in call("doctor", "--site", folder).out
    ws = edited(open_site(folder, "t"), "fairwatch.yaml", ("enabled: true", "enabled: false"))
    assert "can still be read in every backup" in call("doctor", "--site", ws.folder).out
    (folder / "keys" / "m.key").unlink()
    assert "Put your copy of it there" in call("doctor", "--site", folder).out


def test_init_makes_a_key_beside_the_folder(call: Call, tmp_path: Path) -> None:
    said = call("init", tmp_path / "new", "--policy", "b3")
    key = tmp_path / "new.master.key"
    assert str(key) in said.out and "fairwatch keys confirm" in said.out
    held = key.read_text()
    assert held.strip() not in said.out
    shutil.rmtree(tmp_path / "new")
    call("init", tmp_path / "new", "--policy", "b3")
    assert key.read_text() == held, "a key that is there is never written over"
    call("init", tmp_path / "own", "--policy", "b3", "--key-file", tmp_path / "k" / "own.key")
    assert (tmp_path / "k" / "own.key").stat().st_mode & 0o777 == 0o600
    assert open_site(tmp_path / "own", "t").keys.unlock()


def test_settings_name_one_place(tmp_path: Path) -> None:
    for other in ("key_variable: SITE_KEY\n  key_file: x", "enabled: false"):
        folder = make_site(
            tmp_path / "s",
            lambda t, o=other: re.sub(r"key_file: \.\./.*", "", t).replace("enabled: true", o),  # type: ignore[misc]
        )
        with pytest.raises(BadConfiguration, match="expected one of `key_file`"):
            open_site(folder, "t")


# With other tools -----------------------------------------------------------------------------


def test_an_exported_key_is_a_look_and_opens_the_day_with_stock_tools(
    call: Call, filled: Workspace, tmp_path: Path
) -> None:
    """The two scripts of docs/keys.md, as they stand there, know nothing of Fairwatch."""
    lake(filled, [page(RECENT, line=n) for n in range(30_000)], "00000002-0000")
    asked = ("keys", "export", "2026-11-19", "--json", "--site", filled.folder)
    assert call(*asked).code == 2, "a reason has to be given"
    said = call(*asked, "--reason", "audit 12")
    assert said.code == 0
    act = [line.act for line in filled.ledger.lines()][-1]
    assert (act["act"], act["what"], act["reason"]) == ("look", "keys", "audit 12")
    assert act["first_day"] == act["last_day"] == "2026-11-19"
    assert said.json == {id_: written(key) for id_, (key, _) in secrets(filled).items()}
    assert call(*(asked[:2]), "2026-01-01", "--reason", "x", "--site", filled.folder).code == 13
    (tmp_path / "keys.json").write_text(json.dumps(said.json))
    scripts = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "keys.md").read_text(), re.DOTALL)
    assert len(scripts) == 2
    day = filled.folder / "lake" / "events" / "2026-11-19"
    done = subprocess.run(
        [sys.executable, "-c", "".join(scripts), str(tmp_path / "keys.json"), *sorted(map(str, day.iterdir()))],
        capture_output=True, text=True, cwd=tmp_path, env={"PATH": "/usr/bin"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "30001" in done.stdout and "ann" in done.stdout
    assert re.search(r"\bann\b\W+30001", done.stdout), "what DuckDB counted"
