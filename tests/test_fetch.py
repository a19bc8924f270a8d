"""A list from the network: https only, bounded, and used only with the digest named."""

import hashlib
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from errors import FairwatchError, ProofFailed, UnreadableInput
from fairwatch import fetch
from fairwatch.fetch import fetched

CONTENT = b"club.example\n" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate"),
]


class Pages(BaseHTTPRequestHandler):
    """A list, and servers that mean no good."""

    def do_GET(self) -> None:
        """Answer by path."""
        where = {
            "/away": "http://127.0.0.1:1/list",
            "/file": "file:///etc/passwd",
            "/on": "/list",
            "/loop": "/loop",
        }.get(self.path)
        if where:
            self.send_response(302)
            self.send_header("Location", where)
            self.end_headers()
        elif self.path == "/list":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:-1])
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server this machine trusts."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=DNS:localhost",
         "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    monkeypatch.setenv("no_proxy", "localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as running:
        running.socket = tls.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"https://localhost:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/list", "/on"])
def test_a_list_comes_with_its_digest(server: str, path: str) -> None:
    with fetched(server + path, DIGEST.upper()) as file:
        assert file.read_bytes() == CONTENT
    assert not file.parent.exists()


def test_another_digest_is_not_used(server: str) -> None:
    with pytest.raises(ProofFailed, match="nothing was used"), fetched(f"{server}/list", "0" * 64):
        raise AssertionError("it was used")


@pytest.mark.parametrize("path", ["/away", "/file", "/loop", "/cut", "/none"])
def test_nothing_else_is_followed(server: str, path: str) -> None:
    with pytest.raises(FairwatchError), fetched(server + path, DIGEST):
        raise AssertionError("it was used")


def test_a_stranger_s_certificate_is_not_believed(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(UnreadableInput, match="could not be fetched"), fetched(f"{server}/list", DIGEST):  # fmt: skip
        raise AssertionError("it was used")


def test_too_much_is_left(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "LARGEST", 100)
    with pytest.raises(UnreadableInput, match="larger than"), fetched(f"{server}/list", DIGEST):
        raise AssertionError("it was used")
