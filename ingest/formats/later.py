"""What later records of a block tell of a row: a resolver that writes question and answer apart."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ingest.formats.arrays import codes_to_text
from ingest.formats.block import IntArray
from ingest.formats.lines import Mask

ORDER = ("denied", "auth", "error", "allowed")
"""Of several answers to one question the first of these counts: a name that is blocked only after its
alias was looked up is blocked."""


def answered(keys: Sequence[pa.DictionaryArray], asks: Mask, said: pa.DictionaryArray) -> tuple[pa.DictionaryArray, pa.Array, Mask]:  # fmt: skip
    """The verdict of each record that asks, by the records of the same keys that follow it; which record
    said so; and which others follow a question of theirs.

    A question is answered by what stands between it and the next question of the same keys; questions
    that follow one another without an answer share the next. Null where nothing answers in the block.
    `said`: verdicts, null where a record says none.
    """
    count = len(asks)
    group = _numbered(keys)
    order = np.argsort(group, kind="stable")
    asked, group = asks[order], group[order]
    before = np.concatenate(([False], asked[:-1]))
    first = np.concatenate(([True], group[1:] != group[:-1])) if count else np.empty(0, bool)
    begins = np.flatnonzero(first | (asked & ~before))
    weight = _weights(said)[order]
    weight[asked] = len(ORDER)
    result, by = np.full(count, len(ORDER), np.int64), np.zeros(count, np.int64)
    told = np.zeros(count, bool)
    if count:
        # The first of the strictest: verdict and place as one number.
        best = np.minimum.reduceat(weight * count + np.arange(count), begins)
        sizes = np.diff(np.append(begins, count))
        told[order] = np.repeat(asked[begins], sizes) & ~asked
        spread = np.repeat(best, sizes)
        result[order] = np.where(asked, spread // count, len(ORDER))
        by[order] = order[spread % count]
    none = result == len(ORDER)
    codes = pa.array(result.astype(np.int32), mask=none)
    return codes_to_text(codes, list(ORDER)), pa.array(by, mask=none), told


def _weights(said: pa.DictionaryArray) -> IntArray:
    known = [ORDER.index(v) if v in ORDER else len(ORDER) for v in said.dictionary.to_pylist()]
    table = np.array([*known, len(ORDER)], np.int64)
    found: IntArray = table[said.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)]
    return found


def _numbered(keys: Sequence[pa.DictionaryArray]) -> IntArray:
    """A number for each distinct combination of keys."""
    made = np.zeros(len(keys[0]), np.int64)
    for key in keys:
        width = len(key.dictionary) + 1
        made = made * width + key.indices.fill_null(width - 1).to_numpy(zero_copy_only=False)
        made = np.unique(made, return_inverse=True)[1].astype(np.int64)
    return made
