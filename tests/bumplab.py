"""A real Squid that inspects TLS, with a small web of several names behind it, all on loopback."""

import contextlib
import fcntl
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

import squidlab

CERTIFIER = Path(squidlab.BINARY).parents[1] / "lib/squid/security_file_certgen"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or ""
AT_3_AND_4 = """
import os, sys
os.dup2(int(sys.argv[1]), 3), os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser wants its pipe at these numbers, where ours may be as well."""
Pages = Mapping[str, tuple[str, str]]
"""`host/path` to content type and body, in which PORT is the web's; a body `-> URL` is a redirect."""


@cache
def available() -> bool:
    """Whether Squid here was built with OpenSSL: Debian's package squid-openssl, not squid."""
    if not squidlab.available() or not CERTIFIER.exists() or not shutil.which("openssl"):
        return False
    said = subprocess.run([squidlab.BINARY, "-v"], capture_output=True, text=True, check=False)
    return "--with-openssl" in said.stdout


@dataclass(frozen=True)
class Bumping:
    """A running Squid that inspects: its port and its log."""

    port: int
    web_port: int
    log: Path

    @contextlib.contextmanager
    def browser(self, profile: Path) -> Iterator["Browser"]:
        """A real browser that goes through it."""
        words = [
            *(BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--ignore-certificate-errors", f"--user-data-dir={profile}", "--remote-debugging-pipe"),
            *(f"--proxy-server=127.0.0.1:{self.port}", "--proxy-bypass-list=<-loopback>"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", "--disable-extensions", "--no-pings", "--disable-default-apps"),
            "about:blank",
        ]  # fmt: skip
        (to_read, to_write), (back_read, back_write) = os.pipe(), os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_read, back_write)]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            [sys.executable, "-c", AT_3_AND_4, *map(str, ends), *words],
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            pass_fds=ends,
        )
        for end in (to_read, back_write, *ends):
            os.close(end)
        with open(to_write, "wb", buffering=0) as ask, open(back_read, "rb") as answers:
            try:
                yield Browser(ask, answers)
            finally:
                process.terminate()
                process.wait(squidlab.PATIENCE_S)

    def until(self, last: str, times: int = 1) -> list[str]:
        """The log's lines as soon as so many hold these words; TimeoutError where they never do."""
        deadline = time.monotonic() + 3 * squidlab.PATIENCE_S
        while True:
            lines = self.log.read_text().splitlines() if self.log.exists() else []
            if sum(last in line for line in lines) >= times:
                return lines
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(lines)} lines in {self.log}, none with {last}")
            time.sleep(0.1)


class Browser:
    """A browser's page, driven over the pipe of its debugging protocol."""

    def __init__(self, ask: Any, answers: BinaryIO) -> None:
        self._ask, self._answers, self._number, self._session = ask, answers, 0, ""
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        attached = self.do("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask for one thing and return its result."""
        self._number += 1
        words: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            words["sessionId"] = self._session
        self._ask.write(json.dumps(words).encode() + b"\0")
        while True:
            text = b""
            while not text.endswith(b"\0"):
                byte = self._answers.read(1)
                if not byte:
                    raise EOFError("the browser went away")
                text += byte
            said = json.loads(text[:-1])
            if said.get("id") == self._number:
                return dict(said.get("result", {}))

    def open(self, url: str) -> None:
        """Go to a page as the address bar does."""
        self.do("Page.navigate", url=url, transitionType="typed")

    def script(self, text: str) -> Any:
        """Run a line in the page, without a person's act."""
        return self.do("Runtime.evaluate", expression=text).get("result", {}).get("value")

    def click(self, selector: str) -> None:
        """Press the mouse where something stands."""
        box = (
            f"JSON.stringify(document.querySelector({selector!r})?.getBoundingClientRect() ?? null)"
        )
        deadline = time.monotonic() + squidlab.PATIENCE_S
        while not (found := json.loads(self.script(box) or "null")) or not found["width"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {selector} on the page")
            time.sleep(0.1)
        at = {"x": found["x"] + found["width"] / 2, "y": found["y"] + found["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)


def certificate(folder: Path, name: str, *more: str) -> tuple[Path, Path]:
    """A self-signed certificate for a day, and its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    words = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN={name}"
    subprocess.run(
        [*words.split(), "-keyout", key, "-out", cert, *more], check=True, capture_output=True
    )
    return cert, key


@contextlib.contextmanager
def web(folder: Path, pages: Pages) -> Iterator[int]:
    """A TLS server that answers for every name; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            host = self.headers.get("Host", "").partition(":")[0]
            known = host + self.path.partition("?")[0]
            kind, text = pages.get(known, ("text/plain", "none"))
            text = text.replace("PORT", str(server.server_port))
            moved = text.startswith("-> ")
            self.send_response(302 if moved else 200 if known in pages else 404)
            if moved:
                self.send_header("Location", text[3:])
            body = b"" if moved else text.encode()
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder, "web"))
    # The handshake belongs to the thread that answers: one idle client must not keep all others out.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def configuration(port: int, logging: str, decisions: str) -> str:
    """A squid.conf whose logging lines are those of docs/squid-logging.md."""
    return f"""\
http_port 127.0.0.1:{port} ssl-bump cert=./authority.pem key=./authority.key generate-host-certificates=on
sslcrtd_program {CERTIFIER} -s ./certificates -M 4MB
sslcrtd_children 2
hosts_file ./hosts
tls_outgoing_options flags=DONT_VERIFY_PEER
sslproxy_cert_error allow all
acl step1 at_step SslBump1
{decisions}
follow_x_forwarded_for deny all
cache deny all
http_access allow all
{logging}
buffered_logs off
logfile_rotate 0
cache_log cache.log
cache_store_log none
pid_filename squid.pid
coredump_dir .
pinger_enable off
memory_cache_shared off
visible_hostname proxy.example
shutdown_lifetime 0 seconds
"""


BUMP = "ssl_bump peek step1\nssl_bump bump all"
SPLICE = "ssl_bump peek step1\nssl_bump splice all"


@contextlib.contextmanager
def bumping(folder: Path, pages: Pages, logging: str, decisions: str = BUMP) -> Iterator[Bumping]:
    """Squid in `folder`, with the pages behind it, until the block ends and its log is complete."""
    with web(folder, pages) as web_port:
        port = squidlab.free_port()
        certificate(folder, "authority", "-addext", "basicConstraints=critical,CA:true")
        subprocess.run(
            [CERTIFIER, "-c", "-s", folder / "certificates", "-M", "4MB"],
            check=True,
            capture_output=True,
        )
        names = sorted({page.partition("/")[0] for page in pages})
        (folder / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in names))
        (folder / "squid.conf").write_text(configuration(port, logging, decisions))
        for path in [folder, *folder.rglob("*")]:
            if os.geteuid() == 0:
                shutil.chown(path, "proxy")
        with squidlab.process(folder, port, {}):
            yield Bumping(port, web_port, folder / "access.log")
