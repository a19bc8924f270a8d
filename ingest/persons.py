"""The person behind each line, asked once for each login, address, owners of the address and day."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.formats.block import IntArray
from ingest.leases import Owners
from ingest.texts import Texts

Ask = Callable[[str | None, str | None, Owners], tuple[str | None, str]]
"""Person and grade of a login, an address, and who leases show behind it."""

BITS = 20
MOST = (1 << BITS) - 2
"""Logins, addresses and sets of owners that are remembered."""
DAYS = 64
"""Days of which answers are remembered."""


@dataclass
class _Known:
    """Answers by login, address and owners; those of one day."""

    keys: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))  # ascending
    names: pa.StringArray = field(default_factory=lambda: pa.array([], pa.string()))
    grades: pa.StringArray = field(default_factory=lambda: pa.array([], pa.string()))

    def of(self, keys: npt.NDArray[np.int64]) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Where the answer of each key is, and whether it is."""
        at = np.searchsorted(self.keys, keys)
        there = (np.append(self.keys, -1)[at] == keys) & (keys >= 0)
        return at, there

    def with_more(
        self, keys: npt.NDArray[np.int64], found: Sequence[tuple[str | None, str]]
    ) -> "_Known":
        """These and others, none of which is known."""
        every = np.append(self.keys, keys)
        order = np.argsort(every)
        names, grades = (pa.array(some, pa.string()) for some in zip(*found, strict=True))
        place = pa.array(order)
        return _Known(
            every[order],
            pa.concat_arrays([self.names, names]).take(place),
            pa.concat_arrays([self.grades, grades]).take(place),
        )


class Persons:
    """Answers remembered: most come again in every block."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._forget()

    def _forget(self) -> None:
        self._users, self._clients = Texts(), Texts()
        self._days: dict[int, _Known] = {}

    def of(
        self,
        words: tuple[pa.StringArray, pa.StringArray, Sequence[Owners]],
        at: tuple[IntArray, IntArray, IntArray],
        day: int,
        ask: Ask,
    ) -> tuple[pa.StringArray, pa.StringArray]:
        """Person and grade of each combination of login, address and owners.

        `words`: of each kind; `at`: where in them each combination's are, one after the last for null.
        """
        with self._lock:
            if max(len(self._users), len(self._clients)) > MOST or len(self._days) > DAYS:
                self._forget()
            users, clients = (
                self._numbers(self._users, words[0]),
                self._numbers(self._clients, words[1]),
            )
            keys = (users[at[0]] << 2 * BITS) | (clients[at[1]] << BITS) | at[2]
            # What is too long or too much to be remembered is asked each time.
            keys[(users[at[0]] < 0) | (clients[at[1]] < 0) | (at[2] > MOST)] = -1
            known = self._days.setdefault(day, _Known())
            place, there = known.of(keys)
            if there.all():
                return known.names.take(pa.array(place)), known.grades.take(pa.array(place))
            names = known.names.take(pa.array(place, mask=~there)).to_pylist()
            grades = known.grades.take(pa.array(place, mask=~there)).to_pylist()
            fresh = np.flatnonzero(~there)
            found = [ask(*one) for one in _asked(words, tuple(some[fresh] for some in at))]
            for n, (name, grade) in zip(fresh.tolist(), found, strict=True):
                names[n], grades[n] = name, grade
            kept = np.flatnonzero(keys[fresh] >= 0)
            if len(kept):
                self._days[day] = known.with_more(keys[fresh[kept]], [found[n] for n in kept])
            return pa.array(names, pa.string()), pa.array(grades, pa.string())

    @staticmethod
    def _numbers(texts: Texts, words: pa.StringArray) -> npt.NDArray[np.int64]:
        """A number for each word, -1 for one too long to be remembered; the last is null's."""
        found = texts.of(words)
        new = np.flatnonzero((found < 0) & texts.fits(words))
        if len(new):
            texts.add(words.take(pa.array(new)))
            found = texts.of(words)
        numbers = np.append(found.astype(np.int64), MOST + 1)
        numbers[:-1][found > MOST] = -1
        return numbers


def _asked(
    words: tuple[pa.StringArray, pa.StringArray, Sequence[Owners]], at: tuple[IntArray, ...]
) -> list[tuple[str | None, str | None, Owners]]:
    users, clients = ([*some.to_pylist(), None] for some in words[:2])
    one, two, three = (some.tolist() for some in at)
    return [(users[a], clients[b], words[2][c]) for a, b, c in zip(one, two, three, strict=True)]
