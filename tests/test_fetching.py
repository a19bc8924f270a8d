"""What browsers say of their requests, in every way a log can carry it; and a real one through a real Squid."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import bumplab
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, make_site
from factory import content
from hypothesis import given
from hypothesis import strategies as st

from analytics.engine import Engine
from fairwatch.check import check
from ingest.discover import discover
from ingest.documents import lines_of
from ingest.formats import all_formats, named
from ingest.formats.block import Block, Given
from ingest.formats.fetching import dumped, spoken
from ingest.formats.squid import FAIRWATCH, Squid, compiled
from ingest.run import ingest
from lake import catalogue
from lake.catalogue import Part
from lake.datasets import EVENTS
from workspace import open_site

DOCUMENTED = (ROOT / "docs/squid-logging.md").read_text()
LOGFORMAT = next(x for x in DOCUMENTED.splitlines() if x.startswith("logformat fairwatch "))


@pytest.mark.parametrize(
    ("headers", "fetch", "site"),
    [
        (("document", "navigate", "none", "?1", None), "person", "none"),
        (("document", "navigate", "cross-site", "%3F1", None), "person", "cross-site"),
        (("Document", None, None, '"?1"', None), "person", None),
        (("document", "navigate", "same-origin", None, None), "navigation", "same-origin"),
        (("document", "navigate", "same-origin", "?0", None), "navigation", "same-origin"),
        (("document", "navigate", "none", "?1", "prefetch;prerender"), "part", "none"),
        (("document", "navigate", "none", None, "prefetch%3Bprerender"), "part", "none"),
        (("document", "no-cors", "same-site", None, None), "part", "same-site"),
        (("iframe", "navigate", "cross-site", "?1", None), "frame", "cross-site"),
        (("fencedframe", "navigate", "cross-site", None, None), "frame", "cross-site"),
        (("object", None, None, None, None), "frame", None),
        ((None, "nested-navigate", "cross-site", None, None), "frame", "cross-site"),
        (("image", "no-cors", "cross-site", None, None), "part", "cross-site"),
        (("empty", "cors", "same-origin", None, None), "part", "same-origin"),
        ((None, "websocket", "same-origin", None, None), "part", "same-origin"),
        (("a-word-of-next-year", "navigate", "new", None, None), "part", None),
        (("empty", "navigate", "same-origin", None, None), None, "same-origin"),
        ((None, "navigate", "none", "?1", None), None, "none"),
        ((None, None, None, "?1", None), None, None),
        ((None, None, None, None, None), None, None),
        (("www.secret.example", "Ann Archer", "bob", "x", "y"), None, None),
    ],
)
def test_a_request_is_one_word(
    headers: tuple[Any, ...], fetch: str | None, site: str | None
) -> None:
    assert spoken(*headers) == (fetch, site)


HEADER = st.none() | st.text(max_size=30) | st.sampled_from(["document", "navigate", "?1", "empty"])


@given(st.tuples(*[HEADER] * 5))
def test_whatever_a_client_sends_gives_one_of_these_words(headers: tuple[str | None, ...]) -> None:
    fetch, site = spoken(*headers)
    assert fetch in (None, "person", "navigation", "frame", "part")
    assert site in (None, "none", "same-origin", "same-site", "cross-site")
    if fetch == "person":
        assert headers[0] is not None and "document" in headers[0].lower()
        assert headers[3] is not None and "1" in headers[3]


def test_headers_in_a_dump_are_found_whatever_escapes_them() -> None:
    texts = [
        r"Host: a.example\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n",
        "Host:%20a.example%0D%0ASec-Fetch-Dest:%20iframe%0D%0ASec-Fetch-Mode:%20navigate%0D%0A",
        r"X-Own: Sec-Fetch-Dest: document\r\n",  # a value that looks like a header is none
        r"Sec-Purpose: prefetch;prerender\r\nsec-fetch-dest: document\r\n",
        "",
        None,
    ]
    found = {name: column.to_pylist() for name, column in dumped(pa.array(texts)).items()}
    assert found["fetch_dest"] == ["document", "iframe", None, "document", None, None]
    assert found["fetch_user"] == ["?1", None, None, None, None, None]
    assert found["fetch_purpose"][3] == "prefetch;prerender"


LINE = "1786353013.209 161 10.20.1.12 TCP_MISS/200 1037 GET https://a.example/ ann HIER_DIRECT/203.0.113.7 text/html"
DUMP = r"[Sec-Fetch-Dest: document\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Site: none\r\n] [HTTP/1.1 200 OK\r\n\r\n]"
W3C = "#Fields: date time c-ip cs-username cs-uri s-action cs(Sec-Fetch-Dest) cs(Sec-Fetch-User) cs(Sec-Fetch-Site)\n"
CARRIED = {
    "log_mime_hdrs": ("squid", f"{LINE} {DUMP}\n"),
    "w3c": ("w3c", f"{W3C}2026-08-10 09:10:13 10.20.1.12 ann https://a.example/ - document ?1 none\n"),
    "bluecoat": ("bluecoat", f"{W3C}2026-08-10 09:10:13 10.20.1.12 ann https://a.example/ TCP_MISS document ?1 none\n"),
    "nginx json": ("json-lines", json.dumps({"time": "2026-08-10T09:10:13Z", "client_ip": "10.20.1.12", "url": "https://a.example/", "http_sec_fetch_dest": "document", "http_sec_fetch_user": "?1", "http_sec_fetch_site": "none"}) + "\n"),
    "nested json": ("json-lines", json.dumps({"ts": 1786353013.2, "client_ip": "10.20.1.12", "url": "https://a.example/", "request": {"headers": {"Sec-Fetch-Dest": ["document"], "Sec-Fetch-User": ["?1"], "Sec-Fetch-Site": ["none"]}}}) + "\n"),
    "pairs": ("key-value", 'time="2026-08-10T09:10:13Z" client_ip=10.20.1.12 url=https://a.example/ sec_fetch_dest=document sec_fetch_user=?1 sec_fetch_site=none\n'),
}  # fmt: skip


@pytest.mark.parametrize("name", CARRIED)
def test_a_log_may_carry_them_in_many_ways(name: str) -> None:
    format_name, text = CARRIED[name]
    reads = [f.parse(Block(text.encode()), Given(zone=None)) for f in named(format_name)]
    rows = next(p.rows.to_pylist() for p in reads if p.rows.num_rows)
    assert [(r["fetch"], r["fetch_site"]) for r in rows] == [("person", "none")]


def test_a_har_keeps_these_headers_of_all() -> None:
    words = {
        "Sec-Fetch-Dest": "document",
        "sec-fetch-user": "?1",
        "Sec-Fetch-Site": "none",
        "Cookie": "geheim",
    }
    entry = {
        "startedDateTime": "2026-08-10T09:10:13Z",
        "time": 4,
        "_clientAddress": "10.20.1.12",
        "request": {
            "method": "GET",
            "url": "https://a.example/",
            "headers": [{"name": n, "value": v} for n, v in words.items()],
        },
        "response": {"status": 200, "content": {"mimeType": "text/html"}},
    }
    document = json.dumps({"log": {"entries": [entry]}}).encode()
    lines = lines_of(b'{"log":{', BytesIO(document), 1 << 20).read(1 << 20)
    assert b"geheim" not in lines
    (row,) = named("har")[0].parse(Block(lines), Given()).rows.to_pylist()
    assert (row["fetch"], row["fetch_site"]) == ("person", "none")


def test_the_line_that_is_shipped_is_read_column_by_column(tmp_path: Path) -> None:
    """No pattern is needed for it: the fast reader takes it."""
    assert isinstance(compiled(LOGFORMAT), Squid)
    assert LOGFORMAT.endswith(FAIRWATCH)
    log = tmp_path / "access.log"
    log.write_text(f'{LINE} 120 "-" "document" "navigate" "none" "?1" "-"\n' * 3)
    (one,) = check(log, all_formats())
    assert one.format == "squid"
    assert one.fetches == {"person": 3}
    assert one.present["Sec-Fetch headers"]
    assert "grade A possible" in one.grade


def test_a_log_without_a_persons_act_says_so(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(f'{LINE} 120 "-" "document" "navigate" "none" "-" "-"\n')
    (one,) = check(log, [compiled(LOGFORMAT)])
    assert one.fetches == {"navigation": 1}
    assert "is Sec-Fetch-User logged?" in one.grade


def test_parts_written_before_the_column_was_there_are_read(tmp_path: Path) -> None:
    older = pa.schema([f for f in EVENTS.schema if f.name not in ("fetch", "fetch_site")])
    row = {f.name: [None] for f in older} | {"host": ["www.facebook.com"]}
    made = []
    for name, schema in (("old", older), ("new", EVENTS.schema)):
        words = {"fetch": ["person"], "fetch_site": ["none"]} if name == "new" else {}
        pq.write_table(pa.table({**row, **words}, schema=schema), tmp_path / f"{name}.parquet")
        made.append(Part("events", "2026-11-02", f"{name}.parquet", 1, 1, "", 0, 0, ""))
    with Engine(tmp_path, threads=1, memory_mb=200) as engine:
        for parts, expected in ((made[:1], [None]), (made, [None, "person"])):
            engine.view(EVENTS, parts)
            found = engine.connection.execute('SELECT "fetch" FROM events ORDER BY ALL NULLS FIRST')
            assert [r[0] for r in found.fetchall()] == expected


def page(body: str) -> tuple[str, str]:
    return "text/html; charset=utf-8", f"<html><body>{body}</body></html>"


PAGES: bumplab.Pages = {
    "www.facebook.com/": page(
        '<img src="/pic.png"><script src="https://static.xx.fbcdn.net:PORT/a.js"></script>'
        '<iframe src="https://www.youtube.com:PORT/embed/x"></iframe><a id=go href="/next">on</a>'
    ),
    "www.facebook.com/pic.png": ("image/png", "x"),
    "www.facebook.com/next": ("text/html", "-> /landing"),
    "www.facebook.com/landing": page('<script>fetch("/api")</script>'),
    "www.facebook.com/api": ("application/json", "{}"),
    "www.facebook.com/ahead": page("seen by nobody"),
    "www.facebook.com/speculates": page(
        '<script type=speculationrules>{"prerender":[{"urls":["/ahead"],"eagerness":"immediate"}]}</script>'
    ),
    "static.xx.fbcdn.net/a.js": ("text/javascript", "1"),
    "www.youtube.com/embed/x": page("a player"),
}
EXPECTED = {
    "/": {"person"},
    "/pic.png": {"part"},
    "/a.js": {"part"},
    "/embed/x": {"frame"},
    "/next": {"person"},  # a redirect repeats what began it
    "/landing": {"person", "navigation"},  # clicked, then loaded again by a script
    "/api": {"part"},
    "/speculates": {"navigation"},
    "/ahead": {"part"},
}


def a_visit(lab: bumplab.Bumping, profile: Path) -> None:
    """A page opened, a click, a script that loads the page again, one that loads a page ahead."""
    root = f"https://www.facebook.com:{lab.web_port}"
    with lab.browser(profile) as browser:
        browser.open(f"{root}/")
        lab.until("/embed/x")
        browser.click("#go")
        lab.until("/api")
        browser.script("location.reload()")
        lab.until("/api", 2)
        browser.script(f"location.href = {root!r} + '/speculates'")
        lab.until("/ahead")


@pytest.mark.slow
@pytest.mark.skipif(
    not (bumplab.available() and bumplab.BROWSER), reason="needs squid-openssl and chromium"
)
@pytest.mark.parametrize("way", ["columns", "dump"])
def test_a_real_browser_through_a_squid_that_inspects(tmp_path: Path, way: str) -> None:
    folder = tmp_path / "squid"
    folder.mkdir()
    logging = "log_mime_hdrs on\naccess_log stdio:access.log squid"
    if way == "columns":
        logging = f"{LOGFORMAT}\naccess_log stdio:access.log logformat=fairwatch"
    with bumplab.bumping(folder, PAGES, logging) as lab:
        a_visit(lab, tmp_path / "profile")
    site = make_site(
        tmp_path / "site",
        lambda t: t.replace("/var/log/squid/access.log*", f"{folder}/access.log").replace(
            "paths: false", "paths: true"
        ),
    )
    ws = open_site(site, "test")
    (done,) = ingest(ws, discover(ws, None), datetime.now(UTC) + timedelta(minutes=1))
    assert done.counts.rejected == 0
    with ws.state.read() as connection:
        parts = catalogue.parts(connection, "events")
    rows = [r for p in parts for r in content(site / p.path).to_pylist()]
    said: dict[str, set[str | None]] = {}
    for row in rows:
        if row["method"] == "GET" and row["path"] in EXPECTED:
            said.setdefault(row["path"], set()).add(row["fetch"])
    assert said == EXPECTED
    # Each inspected connection is there besides its requests: no bytes, no word, a tunnel.
    outer = [r for r in rows if r["method"] == "CONNECT"]
    assert outer and {(r["bytes_down"], r["fetch"], r["grain"]) for r in outer} == {
        (0, None, "tunnel")
    }
    assert Counter(r["fetch_site"] for r in rows)["cross-site"] >= 2
