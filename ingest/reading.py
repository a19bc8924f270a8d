"""What must be settled before lines are read: header, zone, order of day and month, year."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from errors import BadConfiguration, UnreadableInput
from ingest.arrival import Origin
from ingest.formats import Block, Format, Given, Parsed
from ingest.formats.block import UNORDERED, ZONELESS, Fold, Reject
from ingest.formats.recognise import Order
from ingest.formats.times import fold_at
from ingest.streams import Stream

Pieces = Callable[[], Iterator[bytes]]
SOON_MS, SLACK_MS = 10 * 60_000, 60_000
"""How long after its last line a file is written to at most (rotated, uploaded), and how long before."""


def prepare(format_: Format, given: Given, sample: bytes, pieces: Pieces, where: str) -> Given:
    """What to hand to the parser for the first line of a file; raises BadConfiguration.

    `sample`: the beginning of the file; `pieces`: all of it from the start, for what only the whole
    file can tell: whether a number above twelve ever stands where day or month are.
    """
    whole = sample[: sample.rfind(b"\n") + 1] or sample + b"\n"
    given = replace(given, lead=given.lead or format_.lead(b"", whole))
    reasons = {r.reason for r in format_.parse(Block(whole), given).rejects}
    if ZONELESS in reasons:
        raise BadConfiguration(
            f"{where}: the times of {format_.title} carry no zone; set `timezone` for this source "
            f"in fairwatch.yaml (such as Europe/London), so that they are not guessed."
        )
    if UNORDERED in reasons:
        order = _order(format_, given, pieces)
        if order is None:
            raise BadConfiguration(
                f"{where}: day and month cannot be told apart anywhere in the file; set `dates: dmy` "
                f"or `dates: mdy` for this source in fairwatch.yaml."
            )
        given = replace(given, order=order)
    return replace(given, folded=_second_time(format_, given, pieces))


def _second_time(format_: Format, given: Given, pieces: Pieces) -> bool:
    """Whether a file that has an hour that comes twice only once has it the second time.

    Its lines do not say; that it was last written to when its last line would be of the second time
    does, as where logs are rotated each hour.
    """
    zone, latest = given.zone, given.latest
    near = [latest - late for late in (0, SOON_MS // 2, SOON_MS)]
    if zone is None or not any((f := fold_at(ms, zone)) and f.folded for ms in near):
        return False
    once = twice = 0
    before: Fold | None = None
    lead = given.lead
    for data in pieces():
        said = replace(given, lead=lead)
        parsed = format_.parse(Block(data), said)
        if (fold := parsed.fold) is not None:
            if fold.folded or fold.after(before):
                return False  # local time was set back in it: its lines say where
            before = fold
        again = format_.parse(Block(data), replace(said, folded=True))
        once = max(once, pc.max(parsed.rows["time"]).as_py() or 0)
        twice = max(twice, pc.max(again.rows["time"]).as_py() or 0)
        lead = format_.lead(lead, data)
    return once < twice <= latest + SLACK_MS and latest <= twice + SOON_MS


def parse(format_: Format, block: Block, given: Given, line_bytes: int) -> Parsed:
    """What a format makes of a block, whose lines beyond the limit it is not shown: they are rejects."""
    long = np.flatnonzero(block.ends - block.starts > line_bytes)
    if not len(long):
        return format_.parse(block, given)
    data, lines = block.without(long)
    parsed = format_.parse(Block(data), given)
    numbers = pa.array(lines[parsed.rows["line"].to_numpy()])
    rejects = [Reject(int(lines[r.line]), r.reason) for r in parsed.rejects]
    rejects += [Reject(int(n), f"longer than {line_bytes} bytes") for n in long]
    rows = parsed.rows.set_column(0, "line", numbers)
    return replace(parsed, rows=rows, rejects=rejects)


def from_the_start(
    origin: Origin, sample: bytes, line_bytes: int, expansion: int
) -> Iterator[bytes]:
    """A whole file once more, for what only all of it can tell; its beginning where it can be read
    only once, as a member of an archive can."""
    try:
        again = Stream(origin, True, line_bytes, expansion)
    except UnreadableInput:
        yield sample[: sample.rfind(b"\n") + 1]
        return
    with closing(again):
        for piece in again.pieces():
            yield piece.data


def _order(format_: Format, given: Given, pieces: Pieces) -> Order | None:
    """The order in which more dates exist, over the whole file; None where both do as well."""
    lead = given.lead
    for data in pieces():
        said = replace(given, lead=lead)
        dmy = format_.parse(Block(data), replace(said, order="dmy")).rows.num_rows
        mdy = format_.parse(Block(data), replace(said, order="mdy")).rows.num_rows
        if dmy != mdy:
            return "dmy" if dmy > mdy else "mdy"
        lead = format_.lead(lead, data)
    return None
