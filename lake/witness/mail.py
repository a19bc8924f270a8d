"""Mail as files: what its parts hold once base64 and quoted-printable are undone."""

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import compat32

ENCODED = re.compile(
    rb"^content-transfer-encoding:\s*(?:base64|quoted-printable)", re.IGNORECASE | re.MULTILINE
)
BETWEEN = re.compile(rb"^From \S+ .*$", re.MULTILINE)


def is_mail(start: bytes) -> bool:
    """Whether a text begins as mail whose parts are encoded."""
    return bool(ENCODED.search(start))


def mail_parts(raw: bytes) -> Iterator[bytes]:
    """The decoded parts of every message of a mail file or mailbox."""
    for text in BETWEEN.split(raw):
        for part in message_from_bytes(text.lstrip(), policy=compat32).walk():
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes) and part.get("Content-Transfer-Encoding"):
                yield payload
