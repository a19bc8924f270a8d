"""Which bytes of a block stand within quotes, line by line."""

import numpy as np
import pyarrow as pa

from ingest.formats.block import BACKSLASH, NEWLINE, QUOTE, Block, IntArray
from ingest.formats.lines import Lines, Mask


def at(block: Block, byte: int) -> IntArray:
    """Positions of one byte."""
    return np.flatnonzero(block.array == byte).astype(np.int32)


class Escapes:
    """Where the backslashes of a block are, and how long each run of them is."""

    def __init__(self, block: Block) -> None:
        self._at = at(block, BACKSLASH) if BACKSLASH in block.data else block.ends[:0]
        number = np.arange(len(self._at))
        fresh = np.diff(self._at, prepend=-2) != 1
        self._run = number - np.maximum.accumulate(np.where(fresh, number, 0)) + 1

    def before(self, positions: IntArray) -> Mask:
        """Whether an odd run of backslashes stands before each position."""
        if not len(self._at):
            return np.zeros(len(positions), bool)
        found = np.minimum(np.searchsorted(self._at, positions - 1), len(self._at) - 1)
        odd: Mask = (self._at[found] == positions - 1) & (self._run[found] % 2 == 1)
        return odd


def unescaped(block: Block, positions: IntArray) -> IntArray:
    """Those of the positions that no odd run of backslashes precedes."""
    return positions[~Escapes(block).before(positions)] if len(positions) else positions


def lines_of(block: Block, positions: IntArray) -> IntArray:
    """The line each of the ascending positions stands in, counted instead of searched."""
    first = np.searchsorted(positions, block.starts)
    counts = np.diff(np.append(first, len(positions)))
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


class Quoted:
    """The quotes of a block, counted from the start of each line."""

    def __init__(self, block: Block, quote: int, *, escapes: bool) -> None:
        self._block = block
        marks = at(block, quote) if quote in block.data else block.ends[:0]
        self.positions = unescaped(block, marks) if escapes else marks
        self._first = np.searchsorted(self.positions, block.starts)
        self.counts = np.diff(np.append(self._first, len(self.positions)))

    def inside(self, positions: IntArray, line: IntArray) -> Mask:
        """Whether each position stands after an odd number of quotes of its line."""
        if not len(self.positions):
            return np.zeros(len(positions), bool)
        before = np.searchsorted(self.positions, positions)
        odd: Mask = (before - self._first[line]) % 2 == 1
        return odd

    def outside(self, positions: IntArray) -> IntArray:
        """Those of the ascending positions that stand after an even number of quotes of their line."""
        if (self.counts % 2).any():
            return positions[~self.inside(positions, lines_of(self._block, positions))]
        # Every quote is closed in its line: few positions, if any, lie between two of a pair.
        low, high = (np.searchsorted(positions, self.positions[n::2]) for n in (0, 1))
        holding = np.flatnonzero(low < high)
        if not len(holding):
            return positions
        edges = np.zeros(len(positions) + 1, np.int8)
        edges[low[holding]] += 1  # no two begin, or end, at the same place
        edges[high[holding]] -= 1
        outside: IntArray = positions[np.cumsum(edges[:-1], dtype=np.int8) == 0]
        return outside

    def closing(self, opening: IntArray, otherwise: IntArray) -> IntArray:
        """The quote after each opening one, or the end of the line where none comes."""
        if not len(self.positions):
            return otherwise
        after = np.searchsorted(self.positions, opening, side="right")
        found = self.positions[np.minimum(after, len(self.positions) - 1)]
        return np.where((after < len(self.positions)) & (found < otherwise), found, otherwise)


def records(block: Block, quote: int, *, most: int = 50) -> tuple[Block, IntArray]:
    """Lines whose quotes are open joined with the following ones; the line each record begins at.

    A record of more than `most` lines is none: its first line stays alone.
    """
    odd = Quoted(block, quote, escapes=False).counts % 2 == 1
    numbers = np.arange(len(odd), dtype=np.int64)
    if not odd.any():
        return block, numbers
    begins = np.ones(len(odd), bool)
    places = np.flatnonzero(odd).tolist()
    index = 0
    while index + 1 < len(places):
        first, last = places[index], places[index + 1]
        if last - first < most:
            begins[first + 1 : last + 1] = False
            index += 2
        else:
            index += 1
    data = bytearray(block.data)
    for inner in np.flatnonzero(~begins).tolist():
        data[block.starts[inner] - 1] = ord(" ")
    return Block(bytes(data)), numbers[begins]


def joined(lines: Lines, quote: int = QUOTE) -> Lines:
    """Lines as records: what stands between quotes that span several of them is one."""
    if quote not in lines.block.data:
        return lines
    made, kept = records(lines.block, quote)
    if len(kept) == len(lines):
        return lines
    facts = {name: column.take(pa.array(kept)) for name, column in lines.facts.items()}
    return Lines(made, lines.numbers[kept], facts)


def whole_records(data: bytes, quote: int, *, most: int = 50) -> int:
    """How many bytes of `data` are records that the following bytes cannot belong to."""
    block = Block(data)
    odd = np.flatnonzero(Quoted(block, quote, escapes=False).counts % 2 == 1)
    index, open_line = 0, None
    while index < len(odd):
        if index + 1 < len(odd) and odd[index + 1] - odd[index] < most:
            index += 2
            continue
        open_line = odd[index]
        index += 1
    if open_line is None or len(block.ends) - open_line >= most:
        return len(data)
    return int(block.starts[open_line])


__all__ = [
    "NEWLINE",
    "Escapes",
    "Quoted",
    "at",
    "joined",
    "lines_of",
    "records",
    "unescaped",
    "whole_records",
]
