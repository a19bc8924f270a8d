"""`fairwatch demo`: a small invented organisation whose logs a real Squid wrote, run through everything."""

import gzip
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

from analytics.derive import derive, local_days
from analytics.finding import Finding
from analytics.findings import findings
from analytics.questions import Week
from analytics.record import remember
from config.document import read
from config.policy import Policy
from errors import AlreadyThere
from fairwatch.start import init
from ingest.discover import discover
from ingest.run import ingest
from reports import evidence
from reports.bundle import purge_certified
from reports.cases import approve, open_case
from reports.weekly import index, weekly
from retention import sentence, verify
from workspace import Workspace, open_site

ZONE = ZoneInfo("Europe/London")
RECORDED_UNTIL = date(2026, 11, 15)
"""The Sunday the recording ends on; lines are moved by whole weeks so that it is last Sunday."""

MARK = "# This site folder was made by `fairwatch demo`, which may write it anew.\n"
EPOCH = re.compile(rb"^(\d{10})(\.\d{3})")
CLOCK = re.compile(rb"\[(\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2}) ([+-]\d{4})\]")
SOURCES = """\
sources:
  - name: main-proxy
    format: squid
    paths: ["incoming/main-proxy/*.gz"]
  - name: branch-proxy
    format: combined
    paths: ["incoming/branch-proxy/*.gz"]
"""
ASKS, APPROVES = "Helen Marsh (HR)", "Tom Ridley (chair of trustees)"


@dataclass(frozen=True)
class Shown:
    """What the demo made and where it lies."""

    site: Path
    findings: list[Finding]
    pages: list[Path]
    pack: Path
    case: str
    purged: int
    verified: str


def demo(folder: Path, now: datetime, actor: str, tell: Callable[[str], None]) -> Shown:
    """Build the organisation in `folder` and run the whole pipeline; again over an earlier demo.

    Raises AlreadyThere where the folder holds anything else.
    """
    _clear(folder)
    shift = _weeks(now)
    _settle(folder, shift)
    then = datetime.combine(_recorded_old_week() + shift, datetime.min.time(), UTC)
    tell(f"1. A site folder: {folder}")
    _deliver(folder, shift, old=True)
    ws = open_site(folder, actor)
    with ws.alone():
        ws.note_settings(then)
        old = ingest(ws, discover(ws, None), then)
        derive(ws, then)
        shutil.rmtree(folder / "incoming")  # the proxy's own rotation threw it away long ago
        tell(f"2. A week of 13 months ago, read then: {sum(r.counts.rows for r in old):,} rows")
        _deliver(folder, shift, old=False)
        reports = ingest(ws, discover(ws, None), now)
        lines, rows = (sum(getattr(r.counts, n) for r in reports) for n in ("lines", "rows"))
        tell(f"3. Four weeks of Squid's logs: {lines:,} lines, {rows:,} rows in the lake")
        derived = derive(ws, now)
        last = local_days(ws)[-1]
        first = Week.of(last).before(3).first_day
        found = findings(ws, first, last, now)
        remember(ws, found, {str(Week.of(last).before(n)) for n in range(4)}, now)
        tell(f"4. {len(derived)} days derived, {len(found)} matters to look at")
        pages = [w.path for n in (1, 0) for w in weekly(ws, Week.of(last).before(n), now)]
        tell(f"5. {len(pages)} pages for managers, without names")
        case, pack = _case(ws, found, now)
        tell(f"6. Case {case}: asked for by HR, approved by a second person, evidence pack built")
        purged, issued = purge_certified(ws, now)
        index(ws)
        tell(
            f"7. Purge: {len(purged.removed)} items past their year removed; certificate "
            f"{issued.path.relative_to(folder.resolve())}"
        )
    verification = verify(ws, now)
    lines_, head = ws.ledger.verify()
    tell(f"8. {sentence(verification)} Ledger: {lines_} acts, head {head[:12]}…")
    return Shown(folder, found, pages, pack, case, len(purged.removed), sentence(verification))


def _case(ws: Workspace, found: list[Finding], now: datetime) -> tuple[str, Path]:
    matter = next(f for f in reversed(found) if f.kind == "excessive_use")
    week = Week.parse(matter.week)
    asked = open_case(
        ws,
        matter.person,
        week.first_day,
        week.last_day,
        "excessive-use",
        f"Finding {matter.id} of {matter.week}",
        ASKS,
        now,
    )
    approve(ws, asked.id, APPROVES, now)
    pack = evidence.build(ws, asked.id, now)
    evidence.verify(pack, ws)
    return asked.id, pack


def _clear(folder: Path) -> None:
    settings = folder / "fairwatch.yaml"
    if settings.is_file() and settings.read_text("utf-8").startswith(MARK):
        shutil.rmtree(folder)
    elif folder.exists() and any(folder.iterdir()):
        raise AlreadyThere(f"{folder}: is not empty and not a demo; name another folder.")


def _settle(folder: Path, shift: timedelta) -> None:
    # One folder is all a demo leaves; `fairwatch doctor` says that a real key is not to lie in it.
    key = Path("keys") / "demo.master.key"
    init(folder, "b3", name="Harbour Lane Advice", timezone=str(ZONE), key_file=key)
    settings = folder / "fairwatch.yaml"
    text = settings.read_text("utf-8")
    begin, end = text.index("sources:\n"), text.index("people:")
    settings.write_text(MARK + text[:begin] + SOURCES + "\n" + text[end:], "utf-8")
    shutil.copyfile(_data() / "people.csv", folder / "people.csv")
    _work_through_holidays(folder / "policy.yaml", shift)


def _work_through_holidays(path: Path, shift: timedelta) -> None:
    """The recorded weeks had no bank holiday; where they are moved to, its organisation works."""
    last = RECORDED_UNTIL + shift
    recorded = [last - timedelta(days=n) for n in range(28)]
    holidays = read(path, Policy).holidays
    off = ", ".join(day.isoformat() for day in sorted(recorded) if holidays.on(day))
    text = path.read_text("utf-8")
    path.write_text(text.replace("worked: []", f"worked: [{off}]"), "utf-8")


def _deliver(folder: Path, shift: timedelta, *, old: bool) -> None:
    """Put the recorded files where the sources look for them, moved by whole weeks."""
    for path in sorted(_data().glob("*/*.gz")):
        ends = date.fromisoformat(re.sub(r"\D", "", path.name)[:8])
        if (ends < RECORDED_UNTIL - timedelta(days=60)) is not old:
            continue
        named = path.name.replace(f"{ends:%Y%m%d}", f"{ends + shift:%Y%m%d}")
        target = folder / "incoming" / path.parent.name / named
        target.parent.mkdir(parents=True, exist_ok=True)
        if not shift:
            shutil.copyfile(path, target)
            continue
        with gzip.open(path, "rb") as source, gzip.open(target, "wb") as moved:
            moved.writelines(_moved(source, shift))


def _moved(lines: Iterator[bytes], shift: timedelta) -> Iterator[bytes]:
    """Only the time stamp of each line changes, to the same local time some weeks on."""

    def epoch(match: re.Match[bytes]) -> bytes:
        return b"%d%s" % (int(_later(int(match[1]), shift).timestamp()), match[2])

    def clock(match: re.Match[bytes]) -> bytes:
        read = datetime.strptime(match[1].decode(), "%d/%b/%Y:%H:%M:%S")
        later = (read + shift).replace(tzinfo=ZONE)
        return later.strftime("[%d/%b/%Y:%H:%M:%S %z]").encode()

    for line in lines:
        yield CLOCK.sub(clock, EPOCH.sub(epoch, line, count=1), count=1)


def _later(seconds: int, shift: timedelta) -> datetime:
    local = datetime.fromtimestamp(seconds, ZONE).replace(tzinfo=None) + shift
    return local.replace(tzinfo=ZONE)


def _weeks(now: datetime) -> timedelta:
    today = now.astimezone(ZONE).date()
    sunday = today - timedelta(days=today.isoweekday())
    return timedelta(days=(sunday - RECORDED_UNTIL).days)


def _recorded_old_week() -> date:
    """The day after the old recording ends."""
    names = [re.sub(r"\D", "", p.name)[:8] for p in _data().glob("main-proxy/*.gz")]
    return date.fromisoformat(min(names)) + timedelta(days=1)


def _data() -> Path:
    return Path(str(files("fairwatch.demo"))) / "data"
