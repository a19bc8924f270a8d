"""The weekly page: what it says, what it may never say, and that it says the same thing twice."""

# ruff: noqa: RUF001 - pages use typographic quotes and dashes, and are compared with them.

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from analytics.derive import derive
from analytics.feed import FeedGap
from analytics.questions import TeamBlocked, TeamService, TeamWeek, Week, feed_gaps
from config.people import People, Person
from config.sitelist import SiteFile, SiteList, shipped
from errors import NoSuchThing
from ingest.discover import given as files_given
from ingest.run import ingest
from reports import frames, render
from reports.charts import STEPS, Bar, Group, columns, scale
from reports.weekly import Written, index, slug, weekly
from workspace import Workspace, open_site

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "fairwatch/demo/data"
WEEK = Week(2026, 45)
MADE = datetime(2026, 11, 9, 7, 0, tzinfo=UTC)
ISO = re.compile(rb"20\d\d-\d\d-\d\d")
SETTINGS = """\
organisation: {name: Harbour Lane Advice, timezone: Europe/London}
sources: [{name: main-proxy, format: squid, paths: [main-proxy/*]}]
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The demo's first week of November, as its main proxy logged it."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "fairwatch.yaml").write_text(SETTINGS)
    shutil.copy(ROOT / "config/policies/b3.yaml", folder / "policy.yaml")
    shutil.copy(DEMO / "people.csv", folder / "people.csv")
    ws = open_site(folder, "test")
    tasks = files_given(ws, [DEMO / "main-proxy/access.log-20261108.gz"], "main-proxy", None)
    assert [report.error for report in ingest(ws, tasks, MADE)] == [None]
    derive(ws, MADE)
    return ws


def page(ws: Workspace, team: str, week: Week = WEEK, now: datetime = MADE) -> str:
    """One team's page as text."""
    [written] = weekly(ws, week, now, team)
    return written.path.read_text()


def with_people(ws: Workspace, edit: Callable[[Person], Person]) -> Workspace:
    """The same site with other rows in people.csv."""
    return replace(ws, people=People([edit(row) for row in ws.people.rows]))


def everybody(manager: str) -> Callable[[Person], Person]:
    """All people in one team: large enough for services to be named."""
    return lambda person: replace(person, manager=manager)


class Outline(HTMLParser):
    """Tags, attributes and headings of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @property
    def headings(self) -> list[int]:
        return [int(tag[1]) for tag, _ in self.tags if re.fullmatch("h[1-6]", tag)]


def test_every_manager_has_a_page_and_an_act(demo: Workspace) -> None:
    written = weekly(demo, WEEK, MADE)
    assert [w.team for w in written] == ["dmarsh", "ghartley", "ymahmoud"]
    acts = [x.act for x in demo.ledger.lines() if x.act["act"] == "report"][-3:]
    for one, act in zip(written, acts, strict=True):
        digest = hashlib.sha256(one.path.read_bytes()).hexdigest()
        assert one.sha256 == digest == act["sha256"]
        assert (act["team"], act["week"]) == (one.team, "2026-W45")


def test_a_page_says_range_and_policy_and_how_it_is_counted(demo: Workspace) -> None:
    text = page(demo, "ghartley").replace(render.NBSP, " ")
    for said in (
        "team of Grace Hartley",
        "8 people in the team",
        "In working time, whole team",
        "Fairwatch’s suggestions, not Harbour Lane Advice’s decision",
        "30 min</strong> in working time",
        "Nobody spends an excessive amount of time on social media at work",
        "in force since 1 April 2014",
        "Not calibrated",
        "You may not",
        "HR needs a written reason",
        demo.sites.version.partition("#")[2],
    ):
        assert said in text, said
    assert re.search(r'class="big">\d+ h \d\d min – \d+ h \d\d min<', text)
    assert "no data" in text


def test_the_outage_is_shown_in_local_time(demo: Workspace) -> None:
    text = page(demo, "dmarsh")
    gaps = feed_gaps(demo, WEEK.first_day, WEEK.last_day, MADE)
    [outage] = [g for g in gaps if g.start.date() == date(2026, 11, 4)]
    assert outage.start.hour == 13 and (outage.end.hour, outage.end.minute) == (16, 0)
    shown = f"no data {outage.start:%H:%M}–16:00 (main-proxy)"
    row = text[text.rindex('<time datetime="2026-11-04">') :]
    assert shown in row[: row.index("</tr>")]
    assert "Part of the week is missing from the logs" in text


def test_gaps_are_told_by_the_organisations_clock(demo: Workspace) -> None:
    """A summer gap at 12:00 UTC is one at 13:00 in London, and one over midnight is on both days."""
    from reports.team import _day

    day, later = date(2026, 7, 1), datetime(2026, 8, 1, tzinfo=UTC)
    gap = FeedGap("p", datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 7, 2, 1, tzinfo=UTC))
    assert _day(demo, day, True, [gap], later).data == "no data 13:00–00:00 (p)"
    assert _day(demo, day + timedelta(days=1), True, [gap], later).data == "no data 00:00–02:00 (p)"


def test_days_without_lines_are_no_data(demo: Workspace) -> None:
    text = page(demo, "dmarsh")
    row = text[text.rindex('<time datetime="2026-11-07">') :]
    assert "<strong>no data</strong>" in row[: row.index("</tr>")]


def test_a_week_without_lines_has_no_figures_and_no_zeros(demo: Workspace) -> None:
    text = page(demo, "dmarsh", Week(2026, 30))
    assert "nothing can be said about it" in text
    assert 'class="figures"' not in text and "By service" not in text
    assert not re.search(r"\b0\s*min\b", text)


def test_a_week_under_way_says_so(demo: Workspace) -> None:
    text = page(demo, "dmarsh", WEEK, datetime(2026, 11, 6, 7, tzinfo=UTC))
    assert "This week was not over" in text
    assert text.count("the day was not over when this page was made") == 3


def test_small_teams_get_no_figure(demo: Workspace) -> None:
    text = page(demo, "ymahmoud")
    assert "This team has fewer than 5 people" in text
    assert "How it is counted" in text and "You may not" in text
    for absent in ("<svg", "<table", "By service", "likely</dd>", 'class="big"'):
        assert absent not in text, absent
    assert not re.search(r"\d\s*(h|min)\b", text)


def test_four_are_small_and_five_are_not(demo: Workspace) -> None:
    chosen = [row.user for row in demo.people.rows[:5]]
    five = with_people(demo, lambda p: replace(p, manager="boss" if p.user in chosen else ""))
    four = with_people(demo, lambda p: replace(p, manager="boss" if p.user in chosen[1:] else ""))
    assert "The week in short" in page(five, "boss")
    assert "fewer than 5 people" in page(four, "boss")


def test_a_team_nobody_was_in_that_week(demo: Workspace) -> None:
    gone = with_people(demo, lambda p: replace(p, end=date(2026, 10, 1)))
    assert "Nobody stood in this team" in page(gone, "dmarsh")


@pytest.mark.parametrize("team", ["dmarsh", "ghartley", "ymahmoud"])
def test_nobody_in_the_team_is_named(demo: Workspace, team: str) -> None:
    text = page(demo, team)
    members = demo.people.team(team, WEEK.last_day)
    assert members
    for person in members:
        for name in (person.user, person.name, person.email, *person.name.split()):
            if name not in ("Li", "Grace", "Hartley"):
                assert not re.search(rf"\b{re.escape(name)}\b", text), name


def test_the_same_inputs_give_the_same_bytes(demo: Workspace) -> None:
    def bytes_of(written: list[Written]) -> list[bytes]:
        listed = demo.folder / "reports/index.html"
        return [w.path.read_bytes() for w in written] + [listed.read_bytes()]

    assert bytes_of(weekly(demo, WEEK, MADE)) == bytes_of(weekly(demo, WEEK, MADE))


def test_only_event_days_are_iso_dates(demo: Workspace) -> None:
    """The retention proof reads a page's age from these: neither the policy's nor today's."""
    raw = page(demo, "dmarsh").encode()
    assert {d.decode() for d in ISO.findall(raw)} == {str(day) for day in WEEK.days}
    assert not ISO.search((demo.folder / "reports/index.html").read_bytes())


def test_a_page_shows_no_week_that_is_overdue_for_reports(demo: Workspace) -> None:
    retention = demo.settings.retention.model_copy(update={"reports": 28})
    short = replace(demo, settings=demo.settings.model_copy(update={"retention": retention}))
    assert "Trend over 3 weeks" in page(short, "dmarsh")
    with pytest.raises(NoSuchThing, match=r"2025-W45.*retention\.reports"):
        weekly(demo, Week(2025, 45), MADE)


@pytest.mark.parametrize(
    "who", ["ghartley", "GHARTLEY", "ghartley@harbourlane.example", "Grace Hartley"]
)
def test_a_manager_is_found_by_user_mail_or_name(demo: Workspace, who: str) -> None:
    assert [w.team for w in weekly(demo, WEEK, MADE, who)] == ["ghartley"]


def test_an_unknown_manager_is_refused_with_the_known_ones(demo: Workspace) -> None:
    with pytest.raises(NoSuchThing, match=r"'zwojcik'.*dmarsh, ghartley, ymahmoud"):
        weekly(demo, WEEK, MADE, "zwojcik")


HOSTILE = [
    "<script>alert(1)</script>",
    "../../x",
    "/etc/passwd",
    "a\x00b\x1b[31m\u202e",
    "..",
    "{{ 7*7 }}",
    '"><img src=x onerror=alert(1)>',
    "2001-01-01",
    "01/Jan/2001",
    "é" * 400,
    "CON",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_manager_names_are_only_text(demo: Workspace, name: str) -> None:
    ws = with_people(demo, everybody(name))
    [written] = weekly(ws, WEEK, MADE)
    assert written.path.parent == demo.folder / "reports/2026-W45"
    assert re.fullmatch(r"[a-z0-9]{1,24}-[0-9a-f]{10}\.html", written.path.name)
    for path in (written.path, demo.folder / "reports/index.html"):
        text = path.read_text()
        tags = {tag for tag, _ in Outline(text).tags}
        assert not tags & {"script", "img", "iframe", "link", "object", "base"}
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", text)
        assert "2001-01-01" not in text and "01/Jan/2001" not in text
    assert "49" not in re.findall(r"<h1>.*</h1>", text)
    written.path.unlink()
    index(demo)


def test_hostile_service_names_are_only_text(demo: Workspace) -> None:
    name = "<script>alert(1)</script> ../../x \x07 2001-02-03" + "x" * 200
    services = [s.model_copy(update={"service": name}) for s in shipped().services]
    layer = SiteFile(version="2001-01-01", source="test", services=services)
    ws = replace(with_people(demo, everybody("boss")), sites=SiteList([layer], "2001-01-01#1"))
    text = page(ws, "boss")
    assert "&lt;script&gt;alert(1)" in text and "3 February 2001" in text.replace("\xa0", " ")
    assert "<script" not in text and "\x07" not in text and "2001-0" not in text


@pytest.mark.parametrize("team", ["ghartley", "ymahmoud"])
def test_a_page_stands_alone_and_can_be_read_aloud(demo: Workspace, team: str) -> None:
    text = page(demo, team)
    outline = Outline(text)
    tags = [tag for tag, _ in outline.tags]
    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    assert dict(outline.tags)["html"] == {"lang": "en"}
    assert not {"script", "img", "link", "iframe"} & set(tags)
    assert not re.search(r"https?:|@import|url\((?!#)", text)
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert tags.count("table") == tags.count("caption")
    assert all("scope" in attrs for tag, attrs in outline.tags if tag == "th")
    assert all(
        attrs.get("role") == "img" or "aria-hidden" in attrs
        for tag, attrs in outline.tags
        if tag == "svg"
    )
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = [i for _, a in outline.tags for i in (a.get("aria-labelledby") or "").split()]
    assert set(wanted) <= set(ids) and "main" in ids


def test_a_decided_number_is_not_called_a_suggestion(demo: Workspace) -> None:
    policy = demo.policies[0]
    signed = [r.model_copy(update={"decided_by": "board, 2026-01-14"}) for r in policy.rules]
    ws = replace(demo, policies=(policy.model_copy(update={"rules": signed}),))
    text = page(ws, "dmarsh").replace(render.NBSP, " ")
    assert "suggestion" not in text
    assert "Decided by: board, 14 January 2026." in text


def test_days_no_policy_judges_are_said_aloud(demo: Workspace) -> None:
    text = page(replace(demo, policies=()), "dmarsh")
    assert "No policy judges" in text
    assert "no policy was in force" in text and "not counted" in text


def test_the_index_lists_pages_and_no_figures(demo: Workspace) -> None:
    written = weekly(demo, WEEK, MADE)
    text = index(demo).read_text()
    assert "Week 45 of 2026" in text and "Team of Grace Hartley" in text
    assert not re.search(r"\d\s*(h|min)\b", text)
    for one in written:
        assert f'href="2026-W45/{one.path.name}"' in text


def test_a_missing_value_stops_the_page() -> None:
    with pytest.raises(UndefinedError):
        render.render("index.html.j2", organisation="x")


def test_a_bare_date_stops_the_page() -> None:
    with pytest.raises(TypeError, match="needs a filter"):
        render.environment().from_string("{{ day }}").render(day=date(2026, 1, 1))


def test_no_template_marks_anything_safe() -> None:
    for path in (ROOT / "reports/templates").iterdir():
        assert not re.search(r"\|\s*safe|autoescape|Markup", path.read_text()), path.name


def test_pandas_is_at_home_in_frames_only() -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for folder in ("analytics", "config", "ingest", "lake", "reports", "state")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"^\s*(import|from) pandas", path.read_text(), re.MULTILINE)
    }
    assert users <= {"reports/frames.py"}


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0 min"), (0.2, "under 1 min"), (5, "5 min"), (59.6, "1 h 00 min"), (65, "1 h 05 min")],
)
def test_minutes_in_words(value: float, words: str) -> None:
    assert render.minutes(value).replace(render.NBSP, " ") == words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (40, 75, "40–75 min"),
        (0, 0, "0 min"),
        (7, 7.3, "7 min"),
        (0, 0.4, "under 1 min"),
        (125, 190, "2 h 05 min – 3 h 10 min"),
        (59, 130, "59 min – 2 h 10 min"),
    ],
)
def test_ranges_in_words(low: float, high: float, words: str) -> None:
    assert render.span(low, high).replace(render.NBSP, " ") == words


@given(st.text())
@example("2026-13-45 1999-02-30 2026-02-28")
@settings(deadline=None)
def test_no_text_can_look_like_an_event_day_or_leave_its_place(text: str) -> None:
    made = render.environment().from_string("<p title='{{ x }}'>{{ x }}</p>").render(x=text)
    assert not ISO.search(made.encode())
    assert made.count("<") == 2 and made.count("'") == 2


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8, unique=True))
@settings(deadline=None)
def test_slugs_are_plain_bounded_and_apart(names: list[str]) -> None:
    class Nobody:
        people = People([])

    slugs = [slug(Nobody(), name) for name in names]  # type: ignore[arg-type]
    assert len(set(slugs)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]{1,24}-[0-9a-f]{10}", s) for s in slugs)


def test_a_service_of_few_people_has_no_minutes() -> None:
    table = frames.services([TeamService(None, None, 3.0, 4.0, 5.0)], ["Other"])
    assert table.to_numpy().tolist() == [["Other", "not shown", "not shown", "not shown"]]


def test_few_people_are_not_counted_out() -> None:
    def week(people: int) -> TeamWeek:
        return TeamWeek("2026-W45", 5, people, 1, 1, 1, 1, 1, 1)

    assert [frames.people(week(n)) for n in (0, 1, 4, 5)] == [
        *("0", "fewer than 5", "fewer than 5", "5")
    ]


def test_sensitive_categories_are_never_named() -> None:
    table = frames.blocked([TeamBlocked("health", 2, 0), TeamBlocked("blocked_site", 1, 0)])
    assert table["Category"].tolist() == ["Other", "Sites on the organisation’s own list"]


@given(st.floats(0, 1e6))
def test_a_scale_holds_its_bars_and_has_few_lines(highest: float) -> None:
    top, step = scale([Bar(0, 0, highest)])
    assert top >= highest and top / step <= 6 and step >= STEPS[0]


def test_a_week_without_data_has_no_bar() -> None:
    chart = columns([Group("a", (Bar(None, None, None, "no data"),)), Group("b", (Bar(0, 0, 0),))])
    assert chart.slots[0].bars == [] and chart.slots[0].missing == "no data"
    assert chart.slots[1].bars[0].height == 0 and chart.slots[1].missing == ""
