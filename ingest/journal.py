"""The journal's export (`journalctl -o export`): fields in lines, entries apart by a blank one.

A field is `NAME=text`, or where its text holds control signs its name, eight bytes of its length
(little endian) and so many bytes. An entry becomes what `journalctl -o json` writes of it, but for all
that no log line needs. Documentation: systemd, "Journal Export Formats".
"""

import re
from collections.abc import Callable, Iterator

import orjson

BEGINS = re.compile(rb"(?:__CURSOR=[^\n]*\n)?__REALTIME_TIMESTAMP=\d+\r?\n|__CURSOR=s=[^\n]*\n")
WANTED = frozenset(
    {b"MESSAGE", b"__REALTIME_TIMESTAMP", b"SYSLOG_IDENTIFIER", b"_HOSTNAME", b"_SYSTEMD_UNIT"}
)
LONGEST = 1 << 20
CHUNK = 64 << 10
LENGTH = 8


def entries(read: Callable[[int], bytes], *, complete: bool) -> Iterator[bytes]:
    """Each entry with a message as a line of JSON.

    `read`: so many bytes or fewer; empty at the end. What is beyond 1 MiB of a text is left out. An entry
    whose blank line is not there is whole only where the export is `complete`; else EOFError is raised.
    """
    one: dict[str, str] = {}
    source = _Bytes(read)
    while (line := source.line()) is not None:
        name, sign, value = line.partition(b"=")
        if not line:
            if "MESSAGE" in one:
                yield orjson.dumps(one) + b"\n"
            one = {}
            continue
        text = value if sign else source.counted()
        if text is None:
            raise EOFError
        if name in WANTED:
            one[name.decode()] = text.decode("utf-8", "replace").replace("\0", "")
    if complete and "MESSAGE" in one:
        yield orjson.dumps(one) + b"\n"
    elif one:
        raise EOFError


class _Bytes:
    """What is read in lines and in counted pieces; of either only the beginning is kept."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._held, self._at = b"", 0

    def line(self) -> bytes | None:
        """The next line without its end; None at the end, or where nothing but a piece of one is left."""
        kept = b""
        while (end := self._held.find(b"\n", self._at)) < 0:
            kept = (kept + self._held[self._at :])[:LONGEST]
            if not self._more():
                return None
        line, self._at = kept + self._held[self._at : end], end + 1
        return line[:LONGEST].removesuffix(b"\r")

    def counted(self) -> bytes | None:
        """The text whose length stands before it, and behind which a line ends; None at the end."""
        length = self._exactly(LENGTH)
        text = None if length is None else self._exactly(int.from_bytes(length, "little"))
        return None if text is None or self._exactly(1) is None else text

    def _more(self) -> bool:
        self._held, self._at = self._read(CHUNK), 0
        return bool(self._held)

    def _exactly(self, size: int) -> bytes | None:
        kept, left = b"", size
        while left:
            if self._at == len(self._held) and not self._more():
                return None
            piece = self._held[self._at : self._at + left]
            self._at += len(piece)
            kept = (kept + piece)[:LONGEST]
            left -= len(piece)
        return kept
