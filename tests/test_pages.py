"""Pages in a real Chromium: nothing asked of any server, nothing wider than the paper or the phone."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analytics.derive import derive
from analytics.questions import Week
from ingest.discover import given
from ingest.run import ingest
from reports.weekly import weekly
from workspace import open_site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "fairwatch/demo/data"
MADE = datetime(2026, 11, 16, 7, 0, tzinfo=UTC)
QUIET = (
    *("--no-sandbox", "--headless=new", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
    # Chromium's own errands find nobody.
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr"),
    "--allow-file-access-from-files",
)
PROBE = """\
<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<iframe id="page" src="{page}" style="border:0;width:{width}px;height:3000px"></iframe>
<pre id="found"></pre>
<script>
document.getElementById("page").onload = function () {{
  const page = this.contentDocument, root = page.documentElement, wide = [];
  for (const node of page.querySelectorAll("body *")) {{
    const box = node.getBoundingClientRect();
    if (node.closest(".scroll, .skip") || node.closest("svg") !== null && node.tagName !== "svg")
      continue;
    if (box.right > {width} + 0.5 || box.left < -0.5) wide.push(node.tagName + "." + node.className);
  }}
  const outside = [];
  for (const svg of page.querySelectorAll("svg[role=img]")) {{
    const frame = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll("text")) {{
      const box = text.getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1)
        outside.push(text.textContent);
    }}
  }}
  document.getElementById("found").textContent = JSON.stringify(
    {{width: root.scrollWidth, wide: wide, outside: outside, title: page.title}});
}};
</script>
"""


@dataclass(frozen=True)
class Pages:
    """Pages of the demo by what they show."""

    large: Path
    small: Path
    index: Path


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """The demo's pages of the week with the outage."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "fairwatch.yaml").write_text(
        "organisation: {name: Harbour Lane Advice, timezone: Europe/London}\n"
        "sources: [{name: main-proxy, format: squid, paths: [main-proxy/*]}]\n"
    )
    shutil.copy(ROOT / "config/policies/b3.yaml", folder / "policy.yaml")
    shutil.copy(DEMO / "people.csv", folder / "people.csv")
    ws = open_site(folder, "test")
    files = [DEMO / f"main-proxy/access.log-202611{day}.gz" for day in ("01", "08")]
    ingest(ws, given(ws, files, "main-proxy", None), MADE)
    derive(ws, MADE)
    found = {w.team: w.path for w in weekly(ws, Week(2026, 45), MADE)}
    return Pages(found["dmarsh"], found["ymahmoud"], folder / "reports/index.html")


def chromium(work: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run Chromium once, in a profile of its own."""
    assert CHROMIUM
    profile = f"--user-data-dir={work / 'profile'}"
    return subprocess.run(
        [CHROMIUM, *QUIET, profile, *options],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def asked_by_page(log: Path) -> set[str]:
    """Addresses a page asked for; Chromium's own errands (time, updates) have no initiator."""
    events = json.loads(log.read_text())["events"]
    params = [event["params"] for event in events if "url" in event.get("params", {})]
    return {
        p["url"]
        for p in params
        if p.get("initiator", "not an origin") != "not an origin"
        and not p["url"].startswith(("file:", "data:", "chrome:"))
    }


@pytest.mark.parametrize("which", ["large", "small", "index"])
def test_a_page_asks_no_server_and_complains_of_nothing(
    pages: Pages, tmp_path: Path, which: str
) -> None:
    log, page = tmp_path / "net.json", getattr(pages, which)
    run = chromium(tmp_path, f"--log-net-log={log}", "--dump-dom", page.as_uri())
    assert "</html>" in run.stdout
    assert "CONSOLE" not in run.stderr
    assert asked_by_page(log) == set()


def test_a_page_that_did_would_be_caught(pages: Pages, tmp_path: Path) -> None:
    """The control: without the policy in its head a picture is asked for, with it it is refused."""
    log, loose, strict = tmp_path / "net.json", tmp_path / "loose.html", tmp_path / "strict.html"
    picture = '<img src="http://127.0.0.1:9/pixel.gif"></main>'
    text = pages.small.read_text().replace("</main>", picture)
    strict.write_text(text)
    loose.write_text(re.sub("<meta http-equiv=[^>]+>", "", text))
    chromium(tmp_path, f"--log-net-log={log}", "--dump-dom", loose.as_uri())
    assert asked_by_page(log) == {"http://127.0.0.1:9/pixel.gif"}
    run = chromium(tmp_path, f"--log-net-log={log}", "--dump-dom", strict.as_uri())
    assert asked_by_page(log) == set()
    assert "CONSOLE" in run.stderr and "Content Security Policy" in run.stderr


@pytest.mark.parametrize("which", ["large", "small", "index"])
@pytest.mark.parametrize("width", [320, 360, 768, 1100])
def test_nothing_is_cut_off(pages: Pages, tmp_path: Path, which: str, width: int) -> None:
    probe = tmp_path / "probe.html"
    probe.write_text(PROBE.format(page=getattr(pages, which).as_uri(), width=width))
    run = chromium(tmp_path, "--virtual-time-budget=4000", "--dump-dom", probe.as_uri())
    found = re.search(r'<pre id="found">(.+?)</pre>', run.stdout)
    assert found, run.stderr
    measured = json.loads(found[1])
    assert measured["title"]
    assert measured["wide"] == [] and measured["width"] <= width
    assert measured["outside"] == []


@pytest.mark.parametrize("which", ["large", "small"])
def test_a_page_prints_on_a4(pages: Pages, tmp_path: Path, which: str) -> None:
    pdf = tmp_path / "page.pdf"
    page: Path = getattr(pages, which)
    chromium(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={pdf}", page.as_uri())
    content = pdf.read_bytes()
    sizes = {
        tuple(round(float(n)) for n in box.split())
        for box in re.findall(rb"/MediaBox\s*\[([^\]]+)\]", content)
    }
    assert content.startswith(b"%PDF") and sizes <= {(0, 0, 595, 842), (0, 0, 596, 842)}
    sheets = len(re.findall(rb"/Type\s*/Page\b", content))
    assert 1 <= sheets <= (5 if which == "large" else 2)
