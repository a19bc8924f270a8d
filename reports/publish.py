"""Checkpoints handed outside: a folder of another machine, and the stamp of a time authority."""

import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

from config.settings import Authority
from errors import NotPublished, ProofFailed
from proofs import stamp

TIMEOUT_S = 30


def to_folder(folder: Path, name: str, content: bytes) -> Path:
    """Put a file into a folder that is there already; never over another one of that name.

    Raises NotPublished; ProofFailed where the name is taken by something else, for then the folder
    saw another ledger than this one.
    """
    path = folder / name
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        if path.read_bytes() != content:
            raise ProofFailed(
                f"{path}: is there already and says something else than this ledger does; compare "
                f"them: fairwatch ledger verify --against {path}"
            ) from None
    except OSError as error:
        raise NotPublished(
            f"{path}: cannot be written: {error.strerror}. Is the folder that `checkpoints.folder` "
            f"names mounted, and may Fairwatch write to it?"
        ) from None
    return path


def stamped(authority: Authority, site: Path, content: bytes) -> tuple[bytes, datetime]:
    """An authority's answer over `content` and the time in it; raises NotPublished."""
    asked = stamp.request(content)
    where = f"{authority.url}: no time stamp"
    post = urllib.request.Request(
        authority.url, asked.as_bytes(), {"Content-Type": "application/timestamp-query"}
    )
    try:
        roots = (site / authority.ca_file).read_bytes()
        with urllib.request.urlopen(post, timeout=TIMEOUT_S) as reply:
            answer = reply.read(stamp.LARGEST + 1)
        return answer, stamp.check(answer, content, roots, asked)
    except ProofFailed as error:
        raise NotPublished(f"{where}: {error}") from None
    except FileNotFoundError:
        raise NotPublished(f"{where}: {authority.ca_file} (ca_file) does not exist.") from None
    except (OSError, urllib.error.URLError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        raise NotPublished(f"{where}: {' '.join(str(why).split())[:200]}.") from None
