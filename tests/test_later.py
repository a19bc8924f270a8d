"""What later records tell of a row: dnsmasq's answers, and the join itself against a slow one."""

import json
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats import all_formats, named, recognise
from ingest.formats.block import TIMELESS, Block, Given
from ingest.formats.later import ORDER, answered
from ingest.formats.lines import coded

SAID = Given(zone=ZoneInfo("UTC"), latest=1_780_000_000_000)
HEAD = "Jan  2 11:11:12 dnsmasq[6]: "


def verdicts(*lines: str) -> list[str]:
    (format_,) = named("dnsmasq")
    parsed = format_.parse(Block("".join(f"{HEAD}{line}\n" for line in lines).encode()), SAID)
    assert not parsed.rejects
    return parsed.rows["verdict"].to_pylist()  # type: ignore[no-any-return]


ANSWERS = {
    "gravity blocked a.example.org is 0.0.0.0": "denied",
    "gravity blocked a.example.org is NODATA": "denied",
    "regex denied a.example.org is ::": "denied",
    "exactly blacklisted a.example.org is 0.0.0.0": "denied",
    "special domain a.example.org is NXDOMAIN": "denied",
    "/etc/pihole/gravity.list a.example.org is 10.1.1.2": "denied",
    "/etc/hosts a.example.org is 0.0.0.0": "denied",
    "config a.example.org is NXDOMAIN": "denied",
    "config a.example.org is NODATA-IPv6": "allowed",
    "/etc/hosts a.example.org is 10.1.1.9": "allowed",
    "reply a.example.org is blocked during CNAME inspection": "denied",
    "possible DNS-rebind attack detected: a.example.org": "denied",
    "reply a.example.org is 203.0.113.9": "allowed",
    "cached-stale a.example.org is 203.0.113.9": "allowed",
    "reply a.example.org is NXDOMAIN": "error",
    "reply b.example.org is 203.0.113.9": "unknown",
    "validation result is INSECURE": "unknown",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_tells_what_became_of_its_question(answer: str) -> None:
    assert verdicts("query[A] a.example.org from 10.1.1.7", answer) == [ANSWERS[answer]]


def test_an_answer_before_its_question_tells_nothing() -> None:
    assert verdicts("gravity blocked a.example.org is ::", "query[A] a.example.org from 10.1.1.7") == ["unknown"]  # fmt: skip


def test_questions_of_several_are_not_mixed_up() -> None:
    found = verdicts(
        "query[A] a.example.org from 10.1.1.7",
        "query[A] ads.example.org from 10.1.1.8",
        "gravity blocked ads.example.org is 0.0.0.0",
        "forwarded a.example.org to 192.0.2.53",
        "query[AAAA] a.example.org from 10.1.1.9",
        "reply a.example.org is <CNAME>",
        "reply b.example.net is 203.0.113.9",
    )
    assert found == ["allowed", "denied", "allowed"]


def test_a_name_blocked_after_its_alias_was_looked_up_is_blocked() -> None:
    found = verdicts(
        "query[A] a.example.org from 10.1.1.7",
        "forwarded a.example.org to 192.0.2.53",
        "reply a.example.org is blocked during CNAME inspection",
        "query[A] a.example.org from 10.1.1.7",
        "cached a.example.org is 203.0.113.9",
    )
    assert found == ["denied", "allowed"]


def test_numbers_keep_questions_for_one_name_apart() -> None:
    found = verdicts(
        "1 10.1.1.7/5 query[A] a.example.org from 10.1.1.7",
        "2 10.1.1.8/6 query[A] a.example.org from 10.1.1.8",
        "2 10.1.1.8/6 cached a.example.org is 203.0.113.9",
        "1 10.1.1.7/5 gravity blocked a.example.org is 0.0.0.0",
    )
    assert found == ["denied", "allowed"]


def slowly(keys: list[str], asks: list[bool], said: list[str | None]) -> list[str | None]:
    found: list[str | None] = []
    for at, (key, asking) in enumerate(zip(keys, asks, strict=True)):
        answers: list[str] = []
        begun = False
        for other in range(at + 1, len(keys)):
            if keys[other] != key:
                continue
            if asks[other] and begun:
                break
            if not asks[other]:
                begun = True
                answers += [s for s in [said[other]] if s in ORDER]
        found.append(min(answers, key=ORDER.index) if asking and answers else None)
    return found


RECORDS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.sampled_from([*ORDER, None, "?"])))  # fmt: skip


@given(records=RECORDS)
def test_the_join_is_that_of_a_slow_one(records: list[tuple[str, bool, str | None]]) -> None:
    keys, asks, said = ([r[n] for r in records] for n in range(3))
    made, by, told = answered(
        [coded(pa.array(keys, pa.string())), coded(pa.array(["x"] * len(keys), pa.string()))],
        np.array(asks, bool),
        coded(pa.array(said, pa.string())),
    )
    assert made.to_pylist() == slowly(keys, asks, said)  # type: ignore[arg-type]
    before = [
        not asking and any(asks[o] and keys[o] == keys[at] for o in range(at))
        for at, asking in enumerate(asks)
    ]
    assert told.tolist() == before
    saying = [(at, o) for at, o in enumerate(by.to_pylist()) if o is not None]
    assert all(o > at and keys[o] == keys[at] and said[o] == made[at].as_py() for at, o in saying)
    assert [at for at, _ in saying] == [at for at, one in enumerate(made) if one.is_valid]


def test_a_reply_is_a_row_only_where_its_query_is_not_logged() -> None:
    (format_,) = named("unbound")
    lines = (
        "[1714644672] unbound[6:0] info: 10.1.1.7 a.example.org. A IN",
        "[1714644672] unbound[6:0] info: 10.1.1.7 a.example.org. A IN NXDOMAIN 0.1 0 51",
        "[1714644672] unbound[6:1f] reply: 10.1.1.8 a.example.org. A IN NOERROR 0.1 0 51",
        "[1714644673] unbound[6:1f] query: 10.1.1.9 ads.example.org. A IN",
        "[1714644673] unbound[6:1f] info: ads.example.org. always_null 10.1.1.9@5000 ads.example.org. A IN",
    )
    parsed = format_.parse(Block("".join(f"{line}\n" for line in lines).encode()), SAID)
    found = parsed.rows.select(["line", "verdict"]).to_pylist()
    assert [tuple(f.values()) for f in found] == [(0, "error"), (2, "allowed"), (3, "denied")]
    assert dict(parsed.why) == {
        "answer to a question told before": 1,
        "what became of a question told before": 1,
    }


NAMES = {
    "7.1.1.10.in-addr.arpa": "reverse look-up",
    "8.B.D.0.1.0.0.2.ip6.arpa": "reverse look-up",
    "printer": "local name",
    "PC7.local": "local name",
    "router.home.arpa": "local name",
    "ip-10-1-1-8.eu-west-1.compute.internal": "local name",
    "arpa.example.org": None,
    "local.example": None,
    "in-addr.arpa.example.org": None,
    "xn--bcher-kva.example": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_no_site_has_is_no_contact(name: str) -> None:
    (format_,) = named("route53")
    line = f'{{"query_timestamp":"2024-05-02T10:11:12Z","query_name":"{name}.","srcaddr":"10.1.1.7"}}\n'  # fmt: skip
    parsed = format_.parse(Block(line.encode()), SAID)
    why = NAMES[name]
    assert dict(parsed.why) == ({why: 1} if why else {})
    assert parsed.rows.num_rows == (why is None)


def test_a_page_of_a_single_label_stays_a_row() -> None:
    (format_,) = named("suricata")
    line = b'{"timestamp":"2024-05-02T10:11:12Z","event_type":"http","src_ip":"10.1.1.7","dest_ip":"10.1.1.2","http":{"hostname":"wiki","url":"/a","http_method":"GET"}}\n'  # fmt: skip
    assert format_.parse(Block(line), SAID).rows["url"].to_pylist() == ["http://wiki/a"]


def test_a_product_whose_lines_hold_no_time_is_still_recognised() -> None:
    line = b'[INFO] 10.1.1.7:42114 - 64820 "A IN www.example.org. udp 57 false 1232" NOERROR qr,aa,rd 66 0.1s\n'
    found = recognise(line * 5, all_formats())
    assert found.format is not None and found.format.name == "coredns"
    assert {r.reason.split(":")[0] for r in found.format.parse(Block(line)).rejects} == {TIMELESS}


def untangle(event: str, session: int, **more: object) -> str:
    facts = {"sessionEvent": {"sessionId": session, "CClientAddr": "10.1.1.7"}, **more}
    return json.dumps({"class": f"class com.untangle.app.{event}", "timeStamp": "2024-05-02 10:11:12.1", **facts})  # fmt: skip


def test_a_request_and_what_the_web_filter_says_of_it_are_one_row() -> None:
    request, judged = "http.HttpRequestEvent", "web_filter.WebFilterEvent"
    site = {"host": "www.example.org:80", "method": "GET"}
    lines = (
        untangle(request, 1, requestUri="/a", **site),
        untangle(request, 2, requestUri="/a", **site),
        untangle(
            judged, 2, requestLine="GET http://www.example.org/a", blocked=True, category="News"
        ),
        untangle(
            judged, 1, requestLine="GET http://www.example.org/a", blocked=False, category="Work"
        ),
        untangle(request, 1, requestUri="/a", **site),
        untangle(judged, 1, requestLine="GET http://www.example.net/a", blocked=False),
        untangle("web_filter.WebFilterQueryEvent", 1, requestLine="GET http://www.example.org/a"),
    )
    (format_,) = named("arista-ngfw")
    parsed = format_.parse(Block("".join(f"{line}\n" for line in lines).encode()), SAID)
    assert not parsed.rejects
    found = parsed.rows.select(["line", "verdict", "device_category"]).to_pylist()
    assert [tuple(f.values()) for f in found] == [(0, "allowed", "Work"), (1, "denied", "News"), (4, "unknown", None), (5, "allowed", None)]  # fmt: skip
