"""A line is stored by the method of its day: another version's search engines hold from its first day."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from conftest import ROOT

from config.document import read
from config.method import methods
from config.people import People
from config.policy import Policy
from config.rules import Effective
from config.sitelist import site_list
from ingest.classify import Classifier
from ingest.events import Enricher
from ingest.formats.block import RAW, Parsed
from ingest.identity import Identities
from lake.days import number_of

TURN = date(2026, 11, 10)


@pytest.fixture
def two_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the turn on, example.net is a search engine."""
    old, new = (
        Effective.model_validate({"to": "2026-11-09"}),
        Effective.model_validate({"from": TURN}),
    )
    first = methods()[-1].model_copy(update={"effective": old})
    engines = [*first.search_engines, "example.net"]
    second = first.model_copy(update={"effective": new, "search_engines": engines})
    monkeypatch.setattr("config.method.methods", lambda: (first, second))


@pytest.mark.usefixtures("two_methods")
def test_each_line_of_a_block_is_stored_by_its_own_day() -> None:
    policy = read(ROOT / "config/policies/b3.yaml", Policy)
    classifier = Classifier(site_list([], [policy]), policy.named_categories())
    noon = [datetime(2026, 11, day, 12, tzinfo=UTC) for day in (9, 10)]
    day = number_of(noon[0])
    enricher = Enricher(Identities(People(())), classifier, day - 300, 1 << 60, frozenset())
    rows = [
        {"line": n, "time": int(at.timestamp() * 1000), "url": "http://www.facebook.com/",
         "referrer": "http://www.example.net/q", "method": "GET", "verdict": "allowed"}
        for n, at in enumerate(noon)
    ]  # fmt: skip
    found = enricher.days(Parsed(pa.Table.from_pylist(rows, schema=RAW)), "s", 1, 1)
    said = [found.days[number]["referrer"].to_pylist() for number in (day, day + 1)]
    assert said == [["other"], ["search"]]
