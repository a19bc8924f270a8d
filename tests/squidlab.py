"""A real Squid on loopback, with a stub internet behind it, so that tests read lines Squid itself wrote."""

import base64
import hashlib
import os
import pwd
import re
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

BINARY = shutil.which("squid", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin") or ""
SIGN_IN = Path("/usr/lib/squid/basic_ncsa_auth")
PATIENCE_S = 20.0


def available() -> bool:
    """Tell whether this machine can run the lab at all."""
    return bool(BINARY) and SIGN_IN.exists()


class Internet:
    """A parent proxy that answers everything itself; what it sends is chosen by the request's X-Lab-* headers.

    X-Lab-Bytes (body or tunnel bytes, default 1000), X-Lab-Type, X-Lab-Status, and X-Lab-Hold: a name under which
    the answer is kept back until `release`, so that a caller who owns the clock decides how long it took.
    """

    def __init__(self) -> None:
        self._held: dict[str, threading.Event] = {}
        self._arrived = threading.Condition()
        internet = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):  # Squid or the client went away, which tests do on purpose
                    internet._answer(self)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def release(self, name: str) -> None:
        """Let go the answer held under this name."""
        with self._arrived:
            self._held.pop(name).set()

    def wait_held(self, name: str) -> None:
        """Block until a request with X-Lab-Hold `name` has come through Squid; TimeoutError if it does not."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: name in self._held, PATIENCE_S):
                raise TimeoutError(f"no request {name} reached the stub internet")

    def _answer(self, peer: socketserver.StreamRequestHandler) -> None:
        method = peer.rfile.readline().split(b" ")[0]
        headers: dict[str, str] = {}
        while line := peer.rfile.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = b"x" * int(headers.get("x-lab-bytes", "1000"))
        if name := headers.get("x-lab-hold", ""):
            go = threading.Event()
            with self._arrived:
                self._held[name] = go
                self._arrived.notify_all()
            go.wait(PATIENCE_S)
        if method == b"CONNECT":
            peer.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n" + body)
            while peer.connection.recv(65536):
                pass  # a tunnel ends when the client says so
            return
        kind, status = headers.get("x-lab-type", "text/html"), headers.get("x-lab-status", "200")
        # RFC 9110: 204 and 304 have no body, and Squid counts what it relays
        length = (
            ""
            if status in ("204", "304")
            else f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        )
        head = f"HTTP/1.1 {status} Lab\r\n{length}Connection: close\r\n\r\n".encode()
        peer.wfile.write(head + (body if length else b""))


@dataclass
class Squid:
    """A running Squid: its port, its access log and a client that speaks to it."""

    port: int
    log: Path
    internet: Internet
    users: Mapping[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        target: str,
        user: str | None = None,
        client: str = "10.0.0.1",
        headers: Mapping[str, str] | None = None,
        password: str | None = None,
    ) -> socket.socket:
        """Send one request on a new connection; `password` replaces the right one."""
        host = target.split("/")[2] if "://" in target else target
        # Squid forwards the client's address as we claim it, because the configuration trusts loopback to say so
        lines = {"Host": host, "X-Forwarded-For": client, "Connection": "close", **(headers or {})}
        if user is not None:
            secret = f"{user}:{self.users[user] if password is None else password}"
            lines["Proxy-Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        link = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        link.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode())
        return link

    def get(
        self,
        url: str,
        user: str | None = None,
        client: str = "10.0.0.1",
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """GET the URL, read it to the end and return the HTTP status."""
        with self.ask("GET", url, user, client, headers) as link:
            return status_of(drain(link))

    def tunnel(
        self,
        host: str,
        bytes_: int,
        user: str | None = None,
        client: str = "10.0.0.1",
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """CONNECT to host:443, receive `bytes_`, close, and return the status of the CONNECT."""
        with self.ask(
            "CONNECT", f"{host}:443", user, client, {"X-Lab-Bytes": str(bytes_), **(headers or {})}
        ) as link:
            return status_of(receive(link, bytes_))

    def lines(self, at_least: int = 0) -> list[str]:
        """Return the log's lines, waiting until there are so many: Squid logs just after the client's last byte."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            # only whole lines: Squid's native format writes the end of a line separately
            found = self.log.read_text().split("\n")[:-1] if self.log.exists() else []
            if len(found) >= at_least:
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {at_least} lines in {self.log}")
            time.sleep(0.01)


def drain(link: socket.socket) -> bytes:
    """Read until the other side closes."""
    parts = []
    while part := link.recv(1 << 18):
        parts.append(part)
    return b"".join(parts)


def receive(link: socket.socket, count: int) -> bytes:
    """Read a tunnel's opening and `count` bytes of payload; a refusal is read to its end."""
    text = b""
    while b"\r\n\r\n" not in text and (part := link.recv(1 << 16)):
        text += part
    if status_of(text) != 200:
        return text + drain(link)
    missing = count - (len(text) - text.index(b"\r\n\r\n") - 4)
    while missing > 0 and (part := link.recv(1 << 18)):
        missing -= len(part)
    return text


def status_of(reply: bytes) -> int:
    """Return the HTTP status of a reply, 0 if there was none."""
    return int(reply.split(b" ", 2)[1]) if reply.startswith(b"HTTP/") else 0


def configuration(
    port: int,
    parent: int,
    logformat: str,
    denied: Sequence[str],
    users: bool,
    open_to: Sequence[str],
) -> str:
    """Return a squid.conf; every path in it is relative to the folder Squid is started in."""
    custom = "%" in logformat
    rules = [f"logformat lab {logformat}"] if custom else []
    if users:
        rules += [
            f"auth_param basic program {SIGN_IN} ./passwd",
            "auth_param basic children 2 startup=1",
            "auth_param basic credentialsttl 24 hours",
            "acl known proxy_auth REQUIRED",
        ]
        if open_to:
            rules.append("acl open_to src " + " ".join(open_to))
        rules.append(f"http_access deny {'!open_to ' if open_to else ''}!known")
    if denied:
        rules += ["acl denied dstdomain " + " ".join(denied), "http_access deny denied"]
    return "\n".join(
        [
            f"http_port 127.0.0.1:{port}",
            f"cache_peer 127.0.0.1 parent {parent} 0 no-query no-digest no-netdb-exchange default",
            "never_direct allow all",
            "cache deny all",
            "memory_cache_shared off",
            "follow_x_forwarded_for allow localhost",
            "acl_uses_indirect_client on",
            "log_uses_indirect_client on",
            # a tunnel may stay silent for hours and a test may move the clock by a night: neither is Squid's business
            "read_timeout 7 days",
            "client_lifetime 7 days",
            "write_timeout 7 days",
            "forward_timeout 7 days",
            "client_persistent_connections off",
            "server_persistent_connections off",
            *rules,
            "http_access allow all",
            f"access_log stdio:access.log logformat={'lab' if custom else logformat}",
            "buffered_logs off",
            "logfile_rotate 0",
            "cache_log cache.log",
            "cache_store_log none",
            "pid_filename squid.pid",
            "coredump_dir .",
            "pinger_enable off",
            "visible_hostname proxy.example",
            "shutdown_lifetime 0 seconds",
            "",
        ]
    )


@contextmanager
def squid(
    folder: Path,
    *,
    logformat: str = "squid",
    denied: Sequence[str] = (),
    users: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    open_to: Sequence[str] = (),
) -> Iterator[Squid]:
    """Run Squid in `folder` (appending to folder/access.log) until the block ends and its log is complete.

    `logformat` is the name of a built-in format, or a format line (it has a % in it); `denied` are dstdomain values;
    `users` maps names to passwords; `open_to` are client addresses that need no login. RuntimeError if it fails to start.
    """
    with Internet() as internet:
        port = free_port()
        known = dict(users or {})
        # basic_ncsa_auth also takes a bare MD5, which spares the tests a crypt(3)
        (folder / "passwd").write_text(
            "".join(
                f"{name}:{hashlib.md5(word.encode()).hexdigest()}\n" for name, word in known.items()
            )
        )
        (folder / "squid.conf").write_text(
            configuration(port, internet.port, logformat, denied, bool(known), open_to)
        )
        with process(folder, port, environment or {}):
            yield Squid(port, folder / "access.log", internet, known)


def free_port() -> int:
    """A port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Squid says "Accepting" a moment before it does; a trial connection would stand in its log."""
    table, deadline = Path("/proc/net/tcp"), time.monotonic() + 20
    if not table.exists():
        time.sleep(0.5)
        return
    while not re.search(rf"0100007F:{port:04X} \S+ 0A ", table.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def process(folder: Path, port: int, environment: Mapping[str, str]) -> Iterator[None]:
    """Squid with the squid.conf in `folder`, until the block ends."""
    notes = folder / "cache.log"
    notes.unlink(missing_ok=True)
    account = None
    if os.geteuid() == 0:
        # Squid refuses to be root. As `proxy` it may not be able to walk to pytest's private folders, but it can work in
        # a folder it owns that is its current one: hence relative paths everywhere
        account = "proxy"
        os.chown(folder, pwd.getpwnam(account).pw_uid, -1)
    # -n: the default service name would share its shared memory with any other Squid of this machine
    process = subprocess.Popen(
        [BINARY, "-N", "-n", f"lab{os.getpid()}p{port}", "-f", "squid.conf"],
        cwd=folder,
        user=account,
        group=account,
        extra_groups=[] if account else None,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        # not a trial connection: Squid logs one as error:transaction-end-before-headers
        while not (
            notes.exists()
            and re.search(r"Accepting .*HTTP Socket", notes.read_text(errors="replace"))
        ):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(
                    "Squid did not start: "
                    + (notes.read_text() if notes.exists() else "no cache.log")
                )
            time.sleep(0.02)
        wait_for_port(port)
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        finally:
            process.kill()
