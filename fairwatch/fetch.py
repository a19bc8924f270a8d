"""A list from the network: https or a local file, bounded in time and size, used only if its digest is the one named."""

import hashlib
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

from errors import ProofFailed, UnreadableInput, WrongUsage

LARGEST = 512 << 20
PATIENCE_S, WHOLE_S = 30.0, 900.0
CHUNK = 1 << 20


class _OnlySecure(urllib.request.HTTPRedirectHandler):
    """A redirect must not lead to where nothing is encrypted, or into this machine's files."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: object,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Follow to https only."""
        if urlsplit(newurl).scheme != "https":
            raise UnreadableInput(
                "the server sends elsewhere, and not by https; nothing was taken."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


@contextmanager
def fetched(url: str, sha256: str) -> Iterator[Path]:
    """The bytes behind a URL as a file that is gone afterwards.

    Raises WrongUsage for another scheme, UnreadableInput where nothing whole comes, ProofFailed where
    the digest is another one.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("https", "file"):
        raise WrongUsage("--url: expected an address that begins with https:// or file://.")
    name = PurePosixPath(parts.path).name or "list"
    # Not in the site folder: until its digest is known to be right, this is anybody's file.
    with tempfile.TemporaryDirectory(prefix="fairwatch-list-") as folder:
        path = Path(folder) / name
        found = _download(url, path)
        if found != sha256.lower():
            raise ProofFailed(
                f"the list has the SHA-256 {found}, expected {sha256.lower()}; nothing was used. "
                f"If the list was renewed, look at it first and name its new digest."
            )
        yield path


def _download(url: str, path: Path) -> str:
    """Write the bytes to `path`; their SHA-256."""
    tls = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        tls,
        urllib.request.FileHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _OnlySecure(),
    ):
        opener.add_handler(handler)
    ends = time.monotonic() + WHOLE_S
    digest, size = hashlib.sha256(), 0
    try:
        with opener.open(url, timeout=PATIENCE_S) as answer, path.open("wb") as file:
            while chunk := answer.read(CHUNK):
                size += len(chunk)
                if size > LARGEST or time.monotonic() > ends:
                    raise UnreadableInput(
                        f"the list is larger than {LARGEST >> 20} MB or takes longer than "
                        f"{WHOLE_S / 60:.0f} minutes; fetch it otherwise and use --file."
                    )
                digest.update(chunk)
                file.write(chunk)
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
        raise UnreadableInput(
            f"the list could not be fetched ({reason or type(error).__name__}); nothing was used."
        ) from None
    return digest.hexdigest()
