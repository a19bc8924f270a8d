"""The configurations for syslog receivers: a real rsyslogd with ours, fed by sockets, read by ingest."""

import grp
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, make_site, squid_line
from test_ingest import NOW, rows
from test_remote import free_port

import ingest.run
from ingest.discover import discover
from workspace import open_site

SYSLOG = ROOT / "docs/syslog"
RSYSLOGD = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:/sbin")


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Our configuration on a port and below a folder of this test."""
    if RSYSLOGD is None:
        pytest.skip("no rsyslogd (rsyslog)")
    port, text = free_port(), (SYSLOG / "fairwatch-rsyslog.conf").read_text()
    group = grp.getgrgid(os.getegid()).gr_name
    changed = (
        text.replace("/var/log/fairwatch", f"{tmp_path}/got")
        .replace('port="514"', f'port="{port}" address="127.0.0.1"')
        .replace('Group="fairwatch"', f'Group="{group}"')
    )
    if os.geteuid():
        changed = re.sub(r' (dir|file)Owner="root"', "", changed)
    config = tmp_path / "rsyslog.conf"
    config.write_text(
        f'global(workDirectory="{tmp_path}" maxMessageSize="64k")\n{changed}', "utf-8"
    )
    checked = subprocess.run(
        [RSYSLOGD, "-N1", "-f", str(config)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "error" not in checked.stderr.lower(), checked.stderr
    process = subprocess.Popen(
        [RSYSLOGD, "-n", "-f", str(config), "-i", str(tmp_path / "pid")],
        stderr=subprocess.DEVNULL,
    )
    for _ in range(100):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                break
        time.sleep(0.05)
    yield port, tmp_path / "got"
    process.terminate()
    process.wait(20)


def sent(port: int, udp: list[bytes], lines: list[bytes], counted: list[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for message in udp:
            out.sendto(message, ("127.0.0.1", port))
            time.sleep(0.002)
    with socket.create_connection(("127.0.0.1", port)) as tcp:
        tcp.sendall(b"".join(m + b"\n" for m in lines))
    with socket.create_connection(("127.0.0.1", port)) as tcp:
        tcp.sendall(b"".join(b"%d %s" % (len(m), m) for m in counted))


def waited(folder: Path, count: int) -> Path:
    for _ in range(200):
        found = [*folder.rglob("*.log")]
        if found and found[0].read_bytes().count(b"\n") >= count:
            return found[0]
        time.sleep(0.05)
    raise AssertionError([p.read_bytes()[:500] for p in folder.rglob("*.log")])


@pytest.mark.slow
def test_rsyslog_writes_what_was_sent(receiver: tuple[int, Path]) -> None:
    port, folder = receiver
    old = b"Nov 20 05:00:00 proxy squid: "
    new = b'1 2026-11-20T05:00:00.123456+00:00 proxy squid 42 - [x@1 a="b"] '
    long = b"x" * 40_000
    bodies = [b"plain", "äöü €".encode(), b"tab\there", long, b"  leading blanks"]
    udp = [b"<134>" + old + b for b in bodies[:3]] + [b"<134>" + new + bodies[4]]
    lines = [b"<134>" + old + b for b in bodies]
    counted = [b"<134>" + new + b for b in bodies] + [b"<13>" + old + b"two\nlines"]
    sent(port, udp, lines, counted)
    path = waited(folder, len(udp) + len(lines) + len(counted))
    got = path.read_bytes().split(b"\n")[:-1]
    wanted = [m.partition(b">")[2] for m in [*udp, *lines, *counted]]
    wanted = [m.replace(b"\t", b"#011").replace(b"\n", b"#012") for m in wanted]
    assert sorted(got) == sorted(wanted)
    today = datetime.now().date()
    days = {f"{today - timedelta(days=n)}.log" for n in (0, 1)}
    assert path.parent.name == "127.0.0.1" and path.name in days
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.parent.stat().st_mode & 0o777 == 0o750


@pytest.mark.slow
def test_what_rsyslog_wrote_is_read(receiver: tuple[int, Path], tmp_path: Path) -> None:
    port, folder = receiver
    squid = [squid_line(NOW - timedelta(hours=1, seconds=n), size=n) for n in range(300)]
    messages = [f"<134>Nov 20 05:00:00 proxy squid: {line}".encode() for line in squid]
    sent(port, messages[:50], messages[50:200], messages[200:])
    path = waited(folder, 300)
    own = "logformat: '%{1}note %{2}note %{3}note %{4}note %{5}note %ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt'\n    "  # fmt: skip
    site = make_site(
        tmp_path / "site",
        lambda t: t.replace("/var/log/squid/access.log*", f"{path.parent}/*.log*").replace(
            "    paths:", f"    {own}paths:"
        ),
    )
    ws = open_site(site, "test")
    with ws.alone():
        (report,) = ingest.run.ingest(ws, discover(ws, None), NOW)
    assert report.error is None and report.counts.rows == 300
    assert {row["bytes_down"] for row in rows(ws)} == {*range(300)}


def test_vectors_configuration_has_its_parts() -> None:
    """All that can be held without a Vector: it is YAML, and its parts name each other."""
    config: dict[str, Any] = yaml.safe_load((SYSLOG / "fairwatch-vector.yaml").read_text())
    assert {c["mode"] for c in config["sources"].values()} == {"udp", "tcp"}
    for transform in config["transforms"].values():
        assert {*transform["inputs"]} <= {*config["sources"]}
    for sink in config["sinks"].values():
        assert {*sink["inputs"]} <= {*config["transforms"]}
        assert sink["path"] == "/var/log/fairwatch/{{ from }}/{{ day }}.log"
    assert "**Not tested with a Vector**" in (SYSLOG / "README.md").read_text()
