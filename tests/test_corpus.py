"""Real logs of other people: what each must keep doing; and that the harness would notice.

The logs are not in the repository; what needs them skips where `FAIRWATCH_CORPUS` (or the folder
beside the repository) is absent. Figures rise: `python bench/corpus.py --write-floors`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from conftest import squid_line

corpus = pytest.importorskip("corpus", reason="bench/ is not in the source archive")
truth = pytest.importorskip("corpus_truth")

FOLDER = corpus.folder()
NAMES = sorted(truth.logs(FOLDER)) if (FOLDER / "SOURCES.md").exists() else []
FLOORS = yaml.safe_load(corpus.FLOORS.read_text("utf-8"))


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Each file's result, measured once."""
    found = {s.name: s for s in truth.samples(FOLDER, tmp_path_factory.mktemp("taken-out"))}
    results: dict[str, Any] = {}

    def result(name: str) -> Any:
        if name not in results:
            results[name] = corpus.measure(found[name])
        return results[name]

    return result


@pytest.mark.skipif(not NAMES, reason="needs the corpus: set FAIRWATCH_CORPUS")
@pytest.mark.parametrize("name", NAMES)
def test_every_line_of_a_real_log_is_accounted_for(
    name: str, measured: Callable[[str], Any]
) -> None:
    assert corpus.unaccounted(measured(name)) == []


@pytest.mark.skipif(not NAMES, reason="needs the corpus: set FAIRWATCH_CORPUS")
@pytest.mark.parametrize("name", sorted(FLOORS))
def test_no_figure_of_a_real_log_falls(name: str, measured: Callable[[str], Any]) -> None:
    assert name in NAMES, "its floor is kept, the file is gone"
    assert corpus.below(measured(name), FLOORS[name]) == []


def sample(folder: Path, *lines: str, **said: Any) -> Any:
    """A Squid log with one truth, of its first line."""
    path = folder / "access.log"
    path.write_text("".join(line + "\n" for line in lines))
    truths = [truth.Truth(1, {k: frozenset({v}) for k, v in said.items()})] if said else []
    return truth.Sample("squid/x.log", "squid", path, ZoneInfo("UTC"), list(lines), truths)


def test_agreement_and_disagreement_are_told_apart(tmp_path: Path) -> None:
    line = squid_line(1_700_000_000, user="ann", url="https://a.example/x?y=1")
    said = {"user": "ann", "host": "b.example", "path": "/x", "status": 404, "verdict": "allowed"}
    result = corpus.measure(sample(tmp_path, line, time=1_700_000_000_000, **said))
    agreed = {name: t.agree for name, t in result.fields.items() if t.compared}
    assert agreed == {"time": 1, "user": 1, "host": 0, "path": 1, "status": 0, "verdict": 1}
    assert [(d.line, d.field, d.expected, d.got) for d in result.differences] == [
        (1, "host", "b.example", "a.example"),
        (1, "status", "404", "200"),
    ]


def test_lines_without_a_row_are_counted_by_why(tmp_path: Path) -> None:
    lines = [squid_line(1_700_000_000), squid_line(1_700_000_001), "", "1 2 3"]
    found = sample(tmp_path, *lines)
    found.truths = [truth.Truth(at, {"user": frozenset({"ann"})}) for at in (1, 3, 4)]
    result = corpus.measure(found)
    assert corpus.unaccounted(result) == []
    assert dict(result.no_row) == {"ignored": 1, "rejected": 1}


def test_a_failure_is_a_result(tmp_path: Path) -> None:
    found = sample(tmp_path)
    found.path = tmp_path / "absent.log"
    result = corpus.measure(found)
    assert corpus.unaccounted(result) == [result.fault]


def test_a_fall_below_a_floor_is_told(tmp_path: Path) -> None:
    result = corpus.measure(sample(tmp_path, squid_line(1_700_000_000, user="bob"), user="ann"))
    floor = {"format": "zeek", "rows": 2, "agree": {"user": 100.0, "host": 50.0}}
    assert corpus.below(result, floor) == [
        "format squid, was zeek",
        "1 rows, were 2",
        "user agrees 0/1 0%, was 100.0 %",
        "host agrees ·, was 50.0 %",
    ]
    assert corpus.below(result, corpus.floors([result])["squid/x.log"]) == []


def elastic(*events: dict[str, Any] | None, lines: list[str]) -> list[Any]:
    return list(truth.SIDE_BY_SIDE["-expected.json"](json.dumps({"expected": events}), lines))


def test_an_ecs_document_becomes_acceptable_values() -> None:
    event = {
        "@timestamp": "2024-05-01T10:00:00.250+02:00",
        "event": {"original": "b", "type": ["connection", "denied"], "action": "accept"},
        "source": {"ip": "10.0.0.1", "user": {"name": "Ann"}, "bytes": 5},
        "url.domain": "Site.example.",
        "destination": {"ip": "192.0.2.1", "port": 443, "bytes": 0},
        "http": {"response": {"status_code": "403"}},
    }
    dropped, told = None, event
    assert elastic(dropped, told, lines=["a", "", "b"]) == [
        truth.Truth(
            3,
            {
                "time": frozenset({1_714_550_400_250}),
                "client": frozenset({"10.0.0.1"}),
                "user": frozenset({"ann"}),
                "host": frozenset({"site.example"}),
                "verdict": frozenset({"denied"}),
                "port": frozenset({443}),
                "status": frozenset({403}),
                "bytes_down": frozenset({0}),
                "bytes_up": frozenset({5}),
            },
        )
    ]


@pytest.mark.parametrize(
    ("event", "verdict"),
    [
        ({"event": {"type": ["allowed", "denied"]}}, None),
        ({"event": {"outcome": "success"}}, None),
        ({"event": {"action": "block-category"}}, "denied"),
        ({"event": {"action": "connection-denied"}}, "denied"),
        ({"event": {"action": "Accept", "outcome": "success"}}, "allowed"),
        ({"event": {"action": "passed-on"}}, None),
        ({"event": {"outcome": "failure"}, "aws": {"vpcflow": {"action": "REJECT"}}}, "denied"),
    ],
)
def test_a_verdict_is_taken_from_words_that_say_one(
    event: dict[str, Any], verdict: str | None
) -> None:
    (told,) = elastic(event, lines=["x"])
    assert told.said.get("verdict") == (frozenset({verdict}) if verdict else None)


def test_a_year_that_upstream_guessed_is_not_compared() -> None:
    line = "<134>Jul  3 19:10:30 fw filterlog: x"
    (told,) = elastic({"@timestamp": "2024-07-03T19:10:30.000-04:00"}, lines=[line])
    assert told.yearless
    (dated,) = elastic({"@timestamp": "2024-07-03T19:10:30.000Z"}, lines=[line + " 2024/07/03"])
    assert not dated.yearless
    (got,) = truth._moment("2026-07-03T23:10:30Z")
    assert corpus._agrees("time", told.said["time"], frozenset({got}), True)
    assert not corpus._agrees("time", told.said["time"], frozenset({got + 1000}), True)
    assert not corpus._agrees("time", told.said["time"], frozenset({got}), False)


@pytest.mark.parametrize(
    ("expected", "got", "line", "silent"),
    [
        ("2001:db8::1", "site.example", "dst=2001:db8::1 sni=site.example", True),
        ("192.0.2.1", "site.example", "dst=192.0.2.1", False),
        ("192.0.2.1", "10.0.0.1", "src=10.0.0.1 dst=192.0.2.1", False),
        ("a.example", "site.example", "a.example site.example", False),
    ],
)
def test_a_name_the_line_holds_is_no_disagreement_with_an_address(
    expected: str, got: str, line: str, silent: bool
) -> None:
    assert corpus._silent("host", frozenset({expected}), frozenset({got}), line) is silent


@pytest.mark.parametrize(
    ("destination", "host"),
    [
        ({"ip": "2001:db8::1"}, "2001:db8::1"),
        ({"ip": "192.0.2.1", "domain": "Site.example."}, "site.example"),
    ],
)
def test_a_name_goes_before_an_address(destination: dict[str, str], host: str) -> None:
    (told,) = elastic({"destination": destination}, lines=["x"])
    assert told.said["host"] == frozenset({host})


@pytest.mark.parametrize("known", corpus._exceptions(), ids=lambda k: f"{k['file']} {k['field']}")
def test_an_exception_has_a_reason_and_known_fields(known: dict[str, str]) -> None:
    assert known["reason"] and set(known) <= {"file", "field", "line", "right", "reason"}
    assert set(known["field"].split()) <= set(truth.FIELDS)


def test_an_exception_excuses_only_what_the_line_says() -> None:
    line = 'sent_bytes="176" rcvd_bytes="517"'
    excused = corpus._excused
    assert excused("e/watchguard/t.log", "bytes_up", line, frozenset({176})) is True
    assert excused("e/watchguard/t.log", "bytes_up", line, frozenset({517})) is False
    assert excused("e/squid/beats-access1.log", "bytes_up", line, frozenset()) is None
