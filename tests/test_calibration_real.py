"""A calibration in small: a real browser's half minute through a real Squid that inspects, and the answer."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bumplab
import pytest
from conftest import ROOT, make_site
from factory import derived

from analytics import calibration
from analytics.calibration import Done, Record, measure
from ingest.discover import discover
from ingest.run import ingest
from workspace import open_site

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (bumplab.available() and bumplab.BROWSER), reason="needs squid-openssl and chromium"
    ),
]
LOGFORMAT = next(
    line
    for line in (ROOT / "docs/squid-logging.md").read_text().splitlines()
    if line.startswith("logformat fairwatch ")
)
FRAME = '<iframe src="https://www.facebook.com:PORT/plugins/like"></iframe>'


def page(body: str) -> tuple[str, str]:
    return "text/html; charset=utf-8", f"<html><body>{body}</body></html>"


PAGES: bumplab.Pages = {
    "news.example/": page(f"a story {FRAME}"),
    "news.example/2": page(f"another {FRAME}"),
    "www.facebook.com/plugins/like": page("like"),
    **{f"www.facebook.com/{n}": page(f'<a id=go href="/{n + 1}">on</a>') for n in range(9)},
}


def test_what_a_real_browser_did_is_what_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "SLACK", timedelta(seconds=1))
    folder = tmp_path / "squid"
    folder.mkdir()
    steps: list[Done] = []

    def done(step: str, counts: str, start: datetime) -> None:
        steps.append(Done(step, counts, start, datetime.now(UTC)))
        time.sleep(2)

    logging = f"{LOGFORMAT}\naccess_log stdio:access.log logformat=fairwatch"
    with (
        bumplab.bumping(folder, PAGES, logging) as lab,
        lab.browser(tmp_path / "profile") as browser,
    ):
        began = datetime.now(UTC)
        for path in ("", "2"):
            browser.open(f"https://news.example:{lab.web_port}/{path}")
            time.sleep(3)
        done("news", "nothing", began)
        began = datetime.now(UTC)
        browser.open(f"https://www.facebook.com:{lab.web_port}/0")
        for _ in range(5):
            time.sleep(3)
            browser.click("#go")
        time.sleep(1)
        done("visit", "use", began)
        began = datetime.now(UTC)
        browser.open("about:blank")
        time.sleep(4)
        done("silence", "nothing", began)
    site = make_site(
        tmp_path / "site", lambda t: t.replace("/var/log/squid/access.log*", f"{folder}/access.log")
    )
    people = (site / "people.csv").read_text()
    (site / "people.csv").write_text(people.replace("ann@example.org,employee,,,,,", "ann@example.org,employee,,,,,127.0.0.1"))  # fmt: skip
    ws = open_site(site, "test")
    now = datetime.now(UTC) + timedelta(minutes=1)
    with ws.alone():
        (report,) = ingest(ws, discover(ws, None), now)
    assert report.counts.rejected == 0
    derived(ws, now)
    record = Record("c-1", "ann", "facebook", steps[0].start, "x", tuple(steps), True)
    found = measure(ws, record, now).measured
    assert found is not None
    assert (found.precision, found.recall) == (1.0, 1.0)
    assert "news" not in found.elsewhere_min, "the like button's frame is nobody's visit"
    assert (found.grain, found.fetch) == ("page", True)
    assert found.inside
