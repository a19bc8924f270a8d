"""What a proxy did with a request, from Squid's result code and the status it sent."""

import re

import pyarrow as pa

from ingest.formats.arrays import codes_to_text, distinct

UNANSWERED = ("NONE", "TAG_NONE", "ERR_")
"""Result codes of requests that no server answered; `ERR_` is Traffic Server's."""

AUTHENTICATE = 407


def verdicts(result: pa.DictionaryArray, status: pa.DictionaryArray) -> pa.DictionaryArray:
    """The verdict of each row, from each distinct pair of result code and status."""
    rows, pairs = distinct([result, status])
    return codes_to_text(rows, [verdict(*pair) for pair in pairs])


def verdict(result: str | None, status: str | None) -> str:
    """allowed, denied, auth, error or unknown; a 407 asks for a password and denies nothing."""
    number = int(status) if status and re.fullmatch(r"\d{1,18}", status) else 0
    if number == AUTHENTICATE:
        return "auth"
    if result is None:
        return "allowed" if 100 <= number < 400 else "unknown"
    if "DENIED" in result:
        return "denied"
    if number == 0 or (result.startswith(UNANSWERED) and number >= 400):
        return "error"
    return "allowed"
