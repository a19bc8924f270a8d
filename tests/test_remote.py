"""Logs on an SFTP server and in an S3 bucket: a real OpenSSH, and moto's S3 over HTTP."""

import getpass
import gzip
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import make_site, squid_line
from test_arrival import zipped
from test_ingest import NOW, TODAY, rows

import ingest.run
from config.settings import Remote, Settings, Source
from errors import BadConfiguration, UnreadableInput
from ingest.discover import discover
from ingest.file import FileReport
from ingest.remote import _matches, connect
from workspace import Workspace, open_site

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
needs_sshd = pytest.mark.skipif(SSHD is None, reason="no OpenSSH server (openssh-server)")
OLD = NOW.timestamp() - 86_400


def log(first: int, count: int) -> bytes:
    lines = (squid_line(TODAY.timestamp() - 9e4 + n, size=n) for n in range(first, first + count))
    return "".join(f"{line}\n" for line in lines).encode()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def site_of(tmp_path: Path, path: str, *remote: str) -> Workspace:
    def edit(text: str) -> str:
        text = text.replace("/var/log/squid/access.log*", path)
        return text + "\nremote:\n" + "\n".join(f"  {line}" for line in remote) + "\n"

    return open_site(make_site(tmp_path / "site", edit), "test")


def night(ws: Workspace) -> dict[str, FileReport]:
    with ws.alone():
        reports = ingest.run.ingest(ws, discover(ws, None), NOW)
    return {r.path.rpartition("/")[2]: r for r in reports}


@dataclass
class Sftp:
    """An OpenSSH server on the loopback that serves one folder."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: Any = None

    def start(self) -> None:
        keys = self.folder / "keys"
        keys.mkdir()
        for name in ("host", "user", "other"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True
            )
        (keys / "authorized").write_bytes((keys / "user.pub").read_bytes())
        config = self.folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\n"
            f"AuthorizedKeysFile {keys}/authorized\nStrictModes no\nUsePAM no\nPidFile none\n"
            f"PasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        )
        os.makedirs("/run/sshd", exist_ok=True)
        with (self.folder / "sshd.log").open("w") as said:
            self.process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(config)], stderr=said)
        for _ in range(100):
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", self.port)):
                    break
            time.sleep(0.05)
        self.known(keys / "host.pub")

    def known(self, key: Path) -> None:
        kind, blob, *_ = key.read_text().split()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {blob}\n")

    @property
    def at(self) -> str:
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}"

    @property
    def settings(self) -> tuple[str, ...]:
        return (
            f"- at: {self.at}",
            f"  key_file: {self.folder}/keys/user",
            f"  known_hosts: {self.folder}/known_hosts",
        )


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[Sftp]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = Sftp(folder)
    try:
        server.start()
    except PermissionError:
        pytest.skip("/run/sshd cannot be made by this user")
    yield server
    server.process.kill()
    server.process.wait()


def put(path: Path, data: bytes, when: float = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (when, when))
    return path


@pytest.mark.slow
@needs_sshd
def test_a_drop_by_sftp(tmp_path: Path, sftp: Sftp, monkeypatch: pytest.MonkeyPatch) -> None:
    drop = tmp_path / "drop"
    put(drop / "a/access.log", log(0, 100))
    put(drop / "a/access.log.1.gz", gzip.compress(log(100, 100)))
    put(drop / "b/days.zip", zipped({"x.log": log(200, 50), "y.log": log(250, 50)}))
    put(drop / "b/broken.gz", gzip.compress(log(900, 3000))[:-500])
    put(drop / "b/secret.gpg", b"\x85\x01\x0c\x03" + bytes(100))
    put(drop / "c/d/deep.log", log(300, 9))
    ws = site_of(tmp_path, f"{sftp.at}{drop}/[ab]/*", *sftp.settings)
    found = night(ws)
    assert {n for n, r in found.items() if r.error} == {"broken.gz", "secret.gpg"}
    sizes = {row["bytes_down"] for row in rows(ws)}
    assert {*range(300)} <= sizes and 300 not in {s for s in sizes if s < 900}
    assert found["access.log"].path == f"{sftp.at}{drop}/a/access.log"

    read: list[str] = []
    real = ingest.remote.RemoteFile.open

    def noted(self: ingest.remote.RemoteFile) -> Any:
        read.append(self.name)
        return real(self)

    monkeypatch.setattr(ingest.remote.RemoteFile, "open", noted)
    put(drop / "a/access.log", log(0, 120), OLD + 9)
    again = night(ws)
    assert again["access.log"].counts.rows == 20
    assert {name.rpartition("/")[2] for name in read} == {"access.log", "broken.gz", "secret.gpg"}
    assert not list((ws.folder / "work").iterdir())


@pytest.mark.slow
@needs_sshd
def test_a_host_that_is_not_known_is_refused(tmp_path: Path, sftp: Sftp) -> None:
    put(tmp_path / "drop/a.log", log(0, 10))
    (tmp_path / "here").mkdir()
    local = put(tmp_path / "here/b.log", log(10, 10))
    key = subprocess.run(
        ["ssh-keygen", "-lf", str(sftp.folder / "keys/host.pub")],
        capture_output=True, text=True, check=True,
    ).stdout.split()[1]  # fmt: skip
    path = f'{sftp.at}{tmp_path}/drop/*", "{local}'
    ws = site_of(tmp_path, path, *sftp.settings)
    (sftp.folder / "known_hosts").write_text("")
    found = night(ws)
    (told,) = [r.error for r in found.values() if r.error]
    assert key in told and "is not known" in told
    assert found["b.log"].counts.rows == 10, "the others are read"
    sftp.known(sftp.folder / "keys/other.pub")
    (told,) = [r.error for r in night(ws).values() if r.error]
    assert key in told and "somebody may stand in between" in told
    sftp.known(sftp.folder / "keys/host.pub")
    assert night(ws)["a.log"].counts.rows == 10


@pytest.mark.slow
@needs_sshd
# paramiko asks for the blocks from a thread of its own, which meets the same end.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_connection_that_dies_costs_one_file_of_one_night(
    tmp_path: Path, sftp: Sftp, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = put(tmp_path / "drop/a.log", log(0, 100_000))
    put(tmp_path / "drop/b.log", log(100_100, 10), OLD + 1)
    assert big.stat().st_size > 2 * ingest.remote.BLOCK
    ws = site_of(tmp_path, f"{sftp.at}{tmp_path}/drop/*", *sftp.settings)
    real = ingest.remote._Server.open

    def dying(self: Any, path: str, size: int) -> Any:
        raw = real(self, path, size)
        whole = raw._read_at

        def read_at(at: int, wanted: int) -> bytes:
            if at and path.endswith("a.log"):
                self.sftp.sock.get_transport().sock.shutdown(socket.SHUT_RDWR)
            return bytes(whole(at, wanted))

        raw._read_at = read_at
        return raw

    monkeypatch.setattr(ingest.remote._Server, "open", dying)
    found = night(ws)
    assert "stops being readable" in (found["a.log"].error or "")
    assert found["b.log"].counts.rows == 10, "it is connected to again"
    monkeypatch.undo()
    found = night(ws)
    assert found["a.log"].error is None
    assert {row["bytes_down"] for row in rows(ws)} == {*range(100_000), *range(100_100, 100_110)}
    assert len(rows(ws)) == 100_010


@pytest.mark.slow
@needs_sshd
def test_no_key_no_folder_no_server(tmp_path: Path, sftp: Sftp) -> None:
    remotes = [Remote(at=sftp.at, key_file=sftp.folder / "keys/other", known_hosts=sftp.folder / "known_hosts")]  # fmt: skip
    with pytest.raises(UnreadableInput, match=r"cannot be listed: Authentication failed"):
        connect(f"{sftp.at}/x/*", remotes, tmp_path)
    remotes = [remotes[0].model_copy(update={"key_file": sftp.folder / "keys/user"})]
    with pytest.raises(UnreadableInput, match=r"cannot be listed: No such file"):
        connect(f"{sftp.at}/nowhere/at/all/*", remotes, tmp_path)
    sftp.process.kill()
    sftp.process.wait()
    with pytest.raises(UnreadableInput, match=r"cannot be listed: .*(refused|Unable to connect)"):
        connect(f"{sftp.at}/x/*", remotes, tmp_path)


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    upload(f"http://{host}:{port}", "", b"")
    (tmp_path / "s3.key").write_text("ann\nvery-secret\n")
    yield f"http://{host}:{port}"
    server.stop()


def upload(endpoint: str, key: str, data: bytes) -> None:
    # Not by Arrow: moto keeps the framing of its uploads as if it were content.
    boto3 = pytest.importorskip("boto3")
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1",
        aws_access_key_id="ann", aws_secret_access_key="very-secret",
        config=pytest.importorskip("botocore.config").Config(
            request_checksum_calculation="when_required"
        ),
    )  # fmt: skip
    if not key:
        client.create_bucket(Bucket="logs")
    else:
        client.put_object(Bucket="logs", Key=key, Body=data)
    client.close()


@pytest.mark.slow
def test_a_bucket(tmp_path: Path, bucket: str) -> None:
    endpoint = bucket
    upload(endpoint, "2026/a.log.gz", gzip.compress(log(0, 100)))
    upload(endpoint, "2026/b.log", log(100, 60_000))
    upload(endpoint, "2026/days.zip", zipped({"x": log(70_000, 9)}))
    upload(endpoint, "2026/deep/c.log", log(80_000, 9))
    upload(endpoint, "other/d.log", log(90_000, 9))
    settings = ("- at: s3://logs", f"  endpoint: {endpoint}", f"  key_file: {tmp_path}/s3.key")
    ws = site_of(tmp_path, "s3://logs/2026/*", *settings)
    found = night(ws)
    assert not [r.error for r in found.values() if r.error]
    assert {row["bytes_down"] for row in rows(ws)} == {*range(60_100), *range(70_000, 70_009)}
    assert found["b.log"].path == "s3://logs/2026/b.log"
    upload(endpoint, "2026/b.log", log(100, 60_050))
    assert night(ws)["b.log"].counts.rows == 50
    assert len(rows(ws)) == 60_159
    for pattern, count in (("s3://logs/**/*.log", 3), ("s3://logs/other/d.log", 1)):
        assert len(connect(pattern, ws.settings.remote, ws.folder)) == count
    with pytest.raises(UnreadableInput, match="cannot be listed"):
        connect("s3://nowhere/*", ws.settings.remote, ws.folder)


@pytest.mark.slow
def test_an_object_replaced_while_it_waits(tmp_path: Path, bucket: str) -> None:
    endpoint = bucket
    upload(endpoint, "a.log", log(0, 100))
    settings = ("- at: s3://logs", f"  endpoint: {endpoint}", f"  key_file: {tmp_path}/s3.key")
    ws = site_of(tmp_path, "s3://logs/*", *settings)
    tasks = discover(ws, None)
    upload(endpoint, "a.log", log(0, 150))
    with ws.alone():
        (report,) = ingest.run.ingest(ws, tasks, NOW)
    assert "was replaced" in (report.error or "")
    assert night(ws)["a.log"].counts.rows == 150


def test_a_server_that_is_not_there_costs_the_others_nothing(tmp_path: Path) -> None:
    closed = free_port()
    (tmp_path / "in").mkdir()
    put(tmp_path / "in/a.log", log(0, 10))
    (tmp_path / "s3.key").write_text("ann very-secret")
    paths = [f"sftp://x@127.0.0.1:{closed}/drop/*", f"{tmp_path}/in/*"]
    ws = site_of(tmp_path, '", "'.join(paths), f"- at: sftp://x@127.0.0.1:{closed}")
    found = night(ws)
    assert [bool(r.error) for _, r in sorted(found.items())] == [True, False]
    assert found["a.log"].counts.rows == 10


MATCHES = [
    ("logs/a.gz", "logs/*.gz", True),
    ("logs/x/a.gz", "logs/*.gz", False),
    ("logs/x/y/a.gz", "logs/**/*.gz", True),
    ("logs/a.gz", "logs/**/*.gz", True),
    ("logs/2026-11-20/a", "logs/2026-??-*/[ab]", True),
    ("logs/a.gz", "logs/a.gz", True),
    ("logs/a.gzip", "logs/*.gz", False),
]


@pytest.mark.parametrize(("path", "pattern", "fits"), MATCHES)
def test_a_star_stays_in_its_folder(path: str, pattern: str, fits: bool) -> None:
    assert _matches(path, pattern) is fits


def test_no_secret_stands_in_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="use `password_file`"):
        Remote(at="sftp://ann:secret@host")
    with pytest.raises(ValueError, match="use `remote` and `password_file`"):
        Source(name="x", paths=["sftp://ann:secret@host/x/*"])
    with pytest.raises(BadConfiguration) as told:
        site_of(tmp_path, "in/*", "- at: sftp://ann:secret@host")
    assert "Remote" not in str(told.value)
    assert Settings.model_fields["remote"].default == []
