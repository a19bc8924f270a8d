"""Texts and persons that are remembered: what is found is what would be answered anew."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import persons, texts
from ingest.leases import NOBODY, Owners
from ingest.persons import Persons
from ingest.texts import LONGEST, Texts

WORDS = st.lists(
    st.text(max_size=20) | st.sampled_from(["", "a", "www.example.org:443"]), max_size=60
)


def array(words: Sequence[str]) -> pa.StringArray:
    return pa.array(words, pa.string())


@settings(max_examples=60)
@given(known=WORDS, more=WORDS, asked=WORDS)
def test_a_text_is_found_exactly_if_it_was_added(
    known: list[str], more: list[str], asked: list[str]
) -> None:
    found = Texts()
    first = [*dict.fromkeys(known)]
    found.add(array(first))
    second = [w for w in dict.fromkeys(more) if w not in first]
    found.add(array(second))
    numbers = {word: n for n, word in enumerate([*first, *second])}
    assert len(found) == len(numbers)
    assert found.of(array(asked)).tolist() == [numbers.get(word, -1) for word in asked]
    # As part of a longer column, too.
    assert found.of(array(["x", *asked])[1:]).tolist() == found.of(array(asked)).tolist()


def test_many_texts_make_the_table_grow() -> None:
    found = Texts()
    words = [f"host{n}.example" for n in range(30_000)]
    for low in range(0, len(words), 1000):
        found.add(array(words[low : low + 1000]))
    assert found.of(array(words)).tolist() == [*range(30_000)]
    assert (found.of(array([f"other{n}.example" for n in range(1000)])) == -1).all()


def test_texts_that_look_alike_to_the_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Texts, "_hashed", lambda self, some: np.full(len(some), 7, np.uint64))
    found = Texts()
    found.add(array(["a"]))
    assert found.of(array(["a", "b"])).tolist() == [0, -1]


def test_many_texts_of_one_hash_cost_no_more_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds out how texts are told apart may make thousands that are not."""
    monkeypatch.setattr(Texts, "_hashed", lambda self, some: np.full(len(some), 7, np.uint64))
    found, words = Texts(), [f"host{n}.example" for n in range(3000)]
    for low in range(0, len(words), 100):
        found.add(array(words[low : low + 100]))
    assert found.of(array(words)).tolist() == [0] + [-1] * 2999
    assert len(found._table._hashes) < 1 << 16
    known, calls = Persons(), list[int]()
    asked = [(word, "10.0.0.1") for word in words[:100]]
    for _ in range(2):
        assert of(known, asked, 20_000, calls) == [answer(u, c, NOBODY) for u, c in asked]


def test_what_is_too_long_is_not_remembered() -> None:
    found, long = Texts(), "a" * (LONGEST + 1)
    assert found.fits(array([long, long[1:]])).tolist() == [False, True]
    found.add(array([long[1:]]))
    assert found.of(array([long, long[1:]])).tolist() == [-1, 0]


def answer(user: str | None, client: str | None, owners: Owners) -> tuple[str | None, str]:
    return (user or client, "login" if user else "address")


PAIRS = st.lists(st.tuples(st.sampled_from(["ann", "bob", "", None, "x" * 300]),
                           st.sampled_from(["10.0.0.1", "10.0.0.2", None]),
                           st.integers(0, 14)), max_size=40)  # fmt: skip


def of(
    known: Persons, asked: Sequence[tuple[str | None, str | None]], day: int, calls: list[int]
) -> list[tuple[str | None, str]]:
    """As a block would ask: distinct words, and combinations of places in them."""
    users = [*dict.fromkeys(u for u, _ in asked if u is not None)]
    clients = [*dict.fromkeys(c for _, c in asked if c is not None)]
    places = [
        [users.index(u) if u is not None else len(users) for u, _ in asked],
        [clients.index(c) if c is not None else len(clients) for _, c in asked],
        [0] * len(asked),
    ]

    def ask(user: str | None, client: str | None, owners: Owners) -> tuple[str | None, str]:
        calls.append(day)
        return answer(user, client, owners)

    at = (
        np.array(places[0], np.int64),
        np.array(places[1], np.int64),
        np.array(places[2], np.int64),
    )
    names, grades = known.of((array(users), array(clients), [NOBODY]), at, day, ask)
    return [*zip(names.to_pylist(), grades.to_pylist(), strict=True)]


@settings(max_examples=60)
@given(blocks=st.lists(st.tuples(PAIRS, st.integers(20_000, 20_002)), max_size=5))
def test_each_combination_is_answered_as_if_asked_anew(
    blocks: list[tuple[list[tuple[str | None, str | None, int]], int]],
) -> None:
    known, calls = Persons(), list[int]()
    for pairs, day in blocks:
        asked = [*dict.fromkeys((user, client) for user, client, _ in pairs)]
        assert of(known, asked, day, calls) == [answer(u, c, NOBODY) for u, c in asked]


def test_it_is_asked_once_a_day() -> None:
    known, calls = Persons(), list[int]()
    for _ in range(3):
        of(known, [("ann", "10.0.0.1"), (None, "10.0.0.1")], 20_000, calls)
    assert calls == [20_000, 20_000]
    of(known, [("ann", "10.0.0.1")], 20_001, calls)
    assert calls == [20_000, 20_000, 20_001]


def test_more_than_can_be_remembered_is_answered_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(persons, "MOST", 3)
    monkeypatch.setattr(texts, "LONGEST", 8)
    known, calls = Persons(), list[int]()
    asked = [(f"user{n}", f"10.0.0.{n}") for n in range(20)]
    for _ in range(2):
        assert of(known, asked, 20_000, calls) == [answer(u, c, NOBODY) for u, c in asked]
