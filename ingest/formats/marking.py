"""Which lines have what a layout is told by: all of a block at once."""

import re
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.formats.lines import Lines, Mask, interleaved

LED = re.compile(r"(?:\(\?i\))?(?:\^|\(\?:\^(?=\|(?:\[[^]^\\]+\]|[^\\()|[\]])\)))")
"""How a pattern begins that looks from the start of a line on, or from one of a few bytes."""


def marked(lines: Lines, marker: str | None) -> Mask:
    """The lines in which a marker, a pattern or a plain text, is found; without one: all."""
    if marker is None:
        return np.ones(len(lines), bool)
    block = lines.block
    plain = not re.search(r"[\\^$.|?*+()\[\]{}]", marker)
    if plain and marker.encode() not in block.data:
        return np.zeros(len(lines), bool)
    test = pc.match_substring if plain else pc.match_substring_regex
    led = led_by_newline(marker)
    if led and len(lines) > 1:
        # All lines but the first, each from the newline before it on: nothing is left between them.
        others = pa.StringArray.from_buffers(
            len(lines) - 1, pa.py_buffer(block.ends), pa.py_buffer(block.data)
        )
        tested = (test(pa.array([block.line(0)], pa.string()), marker), test(others, led))
        return np.concatenate([some.to_numpy(zero_copy_only=False) for some in tested])
    # What is between the lines is asked as well: that is cheaper than a copy of all of them.
    texts = interleaved(pa.py_buffer(block.data), block.starts, block.ends)
    found: Mask = test(texts, marker).to_numpy(zero_copy_only=False)[::2]
    return found


@cache
def led_by_newline(marker: str) -> str | None:
    """The same pattern for lines that follow their newline; None where that would not be the same."""
    led = LED.match(marker)
    outside = re.sub(r"\\.|\[\^?\]?[^]]*\]", "", marker)
    while (less := re.sub(r"\([^()]*\)", "", outside)) != outside:
        outside = less
    return f"{led[0]}\n{marker[led.end() :]}" if led and "|" not in outside else None
