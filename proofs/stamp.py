"""Time stamps after RFC 3161: what is asked of an authority, and what its answer is worth."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from errors import ProofFailed

if TYPE_CHECKING:
    from rfc3161_client import TimeStampRequest

LARGEST = 1 << 17
"""Bytes of an answer; with its certificates it has some five thousand."""


def request(content: bytes) -> TimeStampRequest:
    """What to post to the authority (`as_bytes()`), with a nonce, asking for its certificate."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    builder = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256)
    return builder.nonce(nonce=True).cert_request(cert_request=True).build()


def check(
    answer: bytes, content: bytes, roots: bytes, asked: TimeStampRequest | None = None
) -> datetime:
    """When the authority saw `content`, by an answer that one of `roots` (PEM) vouches for.

    Raises ProofFailed for an answer that is damaged, is about something else, or is by a stranger.
    """
    from cryptography.x509 import load_pem_x509_certificates
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    try:
        trusted = load_pem_x509_certificates(roots)
    except ValueError:
        raise ProofFailed("the authority's certificate is not in PEM form.") from None
    if len(answer) > LARGEST:
        raise ProofFailed(f"the answer has more than {LARGEST} bytes.")
    builder = VerifierBuilder.from_request(asked) if asked else VerifierBuilder()
    for root in dict.fromkeys(trusted):
        builder = builder.add_root_certificate(root)
    try:
        reply = decode_timestamp_response(answer)
        builder.build().verify_message(reply, content)
        return reply.tst_info.gen_time
    except (VerificationError, ValueError) as error:
        raise ProofFailed(f"the time stamp does not hold: {_said(error)}.") from None


def _said(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
