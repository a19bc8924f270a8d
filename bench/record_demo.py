"""Records the demo's proxy logs: a real Squid writes every line, under a clock that this script sets before each event.

Needs the Debian packages `squid` and `faketime`; run as root or as a user who may start Squid, from the repository:

    PYTHONPATH=tests python bench/record_demo.py [FOLDER]

The same command gives the same bytes. People and sites are invented; names of social services are real. Nothing leaves
loopback: tests/squidlab.py plays the internet.
"""

import csv
import gzip
import heapq
import multiprocessing
import os
import random
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from time import sleep
from zoneinfo import ZoneInfo

from squidlab import Squid, drain, receive, squid, status_of

LONDON = ZoneInfo("Europe/London")
SEED = "harbour lane"
OUT = Path("fairwatch/demo/data")
DENIED = (".bet365.com", ".pokerstars.com")
KIOSK = "10.20.9.1"
MONDAYS = [date(2026, 10, 19) + timedelta(weeks=n) for n in range(4)]
OLD_WEEK = date(2025, 10, 13)
GAP_DAY, GAP = date(2026, 11, 4), (time(13), time(16))

# fmt: off
HEADER = "user,name,department,manager,email,kind,roles,working_pattern,from,to"
ADVICE, CASEWORK, OUTREACH = "Advice and administration", "Casework", "Outreach"
PEOPLE = [  # user, name, department, manager, kind, roles
    ("ghartley", "Grace Hartley", ADVICE, "", "employee", ""),
    ("somalley", "Siobhan O'Malley", ADVICE, "ghartley", "employee", ""),
    ("tadeyemi", "Tunde Adeyemi", ADVICE, "ghartley", "employee", ""),
    ("lfernandes", "Lucia Fernandes", ADVICE, "ghartley", "volunteer", ""),
    ("hkaur", "Harpreet Kaur", ADVICE, "ghartley", "employee", ""),
    ("bnowak", "Bartek Nowak", ADVICE, "ghartley", "employee", ""),
    ("jthorne", "Jack Thorne", ADVICE, "ghartley", "employee", ""),
    ("acoleman", "Amara Coleman", ADVICE, "dmarsh", "employee", "communications"),
    ("dmarsh", "David Marsh", CASEWORK, "ghartley", "employee", ""),
    ("zwojcik", "Zofia Wójcik", CASEWORK, "dmarsh", "employee", ""),
    ("rpatel", "Ravi Patel", CASEWORK, "dmarsh", "employee", ""),
    ("nhassan", "Nadia Hassan", CASEWORK, "dmarsh", "employee", ""),
    ("cbennett", "Chloe Bennett", CASEWORK, "dmarsh", "employee", ""),
    ("mli", "Mei Li", CASEWORK, "dmarsh", "volunteer", ""),
    ("fosei", "Francis Osei", CASEWORK, "dmarsh", "employee", ""),
    ("kward", "Kieran Ward", CASEWORK, "dmarsh", "employee", ""),
    ("ymahmoud", "Yasmin Mahmoud", OUTREACH, "ghartley", "employee", ""),
    ("elewis", "Ethan Lewis", OUTREACH, "ymahmoud", "volunteer", ""),
    ("pgrant", "Pearl Grant", OUTREACH, "ymahmoud", "volunteer", ""),
]
BRANCH = ("cbennett", "mli", "kward")
LUNCH = {"tadeyemi": "facebook", "bnowak": "instagram", "jthorne": "youtube", "nhassan": "instagram", "fosei": "x",
         "cbennett": "facebook", "kward": "youtube", "ymahmoud": "facebook", "elewis": "instagram", "pgrant": "facebook",
         "somalley": "facebook", "rpatel": "reddit", "zwojcik": "youtube", "hkaur": "instagram"}
LINKEDIN = ("hkaur", "dmarsh", "fosei", "ghartley")

WORK = ["casebook.example", "www.adviserdesk.example", "mail.officesuite.example", "www.housinglaw.example",
        "calendar.officesuite.example", "www.benefitrates.example", "forms.council.example", "intranet.harbourlane.example"]
NEWS = ["www.harbournews.example", "www.dailypilot.example", "www.coastpost.example", "sport.dailypilot.example"]
PLAIN = ["www.tidetimes.example", "www.busboard.example", "www.oldforms.example"]
CHECKS = ["connectivity.updates.example/check", "ocsp.trustworks.example/status"]
# what a page of another site pulls in: host, chance on a work page, chance on a news page, path in a full log, kilobytes
WIDGETS = [("connect.facebook.net", .10, .45, "/en_GB/fbevents.js", 4), ("www.facebook.com", .12, .50, "/tr/?id=1&ev=PageView", 3),
           ("platform.twitter.com", .06, .30, "/widgets.js", 5), ("px.ads.linkedin.com", .10, .25, "/collect?v=2&fmt=js", 3),
           ("syndication.twitter.com", .02, .15, "/settings", 3), ("analytics.tiktok.com", .01, .15, "/i18n/pixel/events.js", 4),
           ("tags.metrics.example", .40, .80, "/tag.js", 5), ("www.youtube.com", .01, .10, "/iframe_api", 4)]
# a service's own page: site host, companions with (host, chance, low and high kilobytes), the channel it keeps open
SERVICES: dict[str, tuple[str, list[tuple[str, float, int, int]], str]] = {
    "facebook": ("www.facebook.com", [("static.xx.fbcdn.net", .5, 60, 260), ("scontent-lhr8-1.xx.fbcdn.net", .8, 90, 600),
                                      ("video-lhr8-1.xx.fbcdn.net", .12, 300, 900)], "gateway.facebook.com"),
    "instagram": ("www.instagram.com", [("static.cdninstagram.com", .4, 50, 200), ("scontent-lhr6-2.cdninstagram.com", .85, 120, 700)],
                  "gateway.instagram.com"),
    "youtube": ("www.youtube.com", [("i.ytimg.com", .7, 30, 140), ("rr3---sn-aigl6nsk.googlevideo.com", .9, 500, 1500)], "youtubei.googleapis.com"),
    "linkedin": ("www.linkedin.com", [("static.licdn.com", .5, 60, 220), ("media.licdn.com", .7, 40, 200)], ""),
    "x": ("x.com", [("abs.twimg.com", .4, 50, 200), ("pbs.twimg.com", .8, 60, 300)], "api.x.com"),
    "reddit": ("www.reddit.com", [("www.redditstatic.com", .5, 50, 180), ("preview.redd.it", .7, 60, 300)], ""),
}
PATHS = {"facebook": ["/", "/groups/harbourfc", "/marketplace/", "/photo/?fbid=8", "/events/"], "instagram": ["/", "/explore/", "/p/Dk3/"],
         "youtube": ["/", "/watch?v=a1", "/feed/subscriptions"], "linkedin": ["/feed/"], "x": ["/home"], "reddit": ["/r/unitedkingdom/"]}
AGENTS = ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
          "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0"]
# fmt: on


@dataclass(frozen=True)
class Request:
    """One request: when (seconds since 1970), by whom, to what, and how long and large the answer is to be."""

    at: float
    user: str | None
    client: str
    method: str
    target: str
    seconds: float
    size: int
    type: str = "text/html"
    status: str = "200"
    referer: str = ""
    agent: str = ""
    password: str | None = None


class Day:
    """One person's browser on one day; the methods append what it requests."""

    def __init__(self, user: str, client: str, day: date, full: bool, named: bool = True) -> None:
        self.user, self.client, self.date, self.full, self.named = user, client, day, full, named
        self.chance = random.Random(f"{SEED}/{user}/{day}")
        self.agent = AGENTS[len(user) % 2]
        self.requests: list[Request] = []
        self._open: dict[str, float] = {}

    def clock(self, hour: int, minute: int = 0) -> float:
        """Return the moment of this London wall-clock time, moved by up to a minute."""
        return datetime.combine(
            self.date, time(hour, minute), LONDON
        ).timestamp() + self.chance.uniform(0, 60)

    def fetch(
        self,
        at: float,
        host: str,
        size: int,
        path: str = "/",
        referer: str = "",
        kind: str = "text/html",
        seconds: float | None = None,
        plain: bool = False,
        status: str = "200",
    ) -> None:
        """Append one resource: a GET where the log has full URLs, else the tunnel it travels in."""
        draw = self.chance
        user = self.user if self.named else None
        if self.full or plain:
            taken = draw.lognormvariate(-1.6, 0.8) + size / 4e6
            self.requests.append(
                Request(
                    at,
                    user,
                    self.client,
                    "GET",
                    f"http://{host}{path}",
                    taken,
                    size,
                    kind,
                    status,
                    f"http://{referer}/" if referer else "",
                    self.agent,
                )
            )
            return
        lasts = seconds if seconds is not None else min(max(draw.lognormvariate(3.3, 0.8), 5), 118)
        # a browser asks again over a connection it still has, most of the time
        if referer and self._open.get(host, 0) > at and draw.random() < 0.6:
            return
        self._open[host] = at + lasts
        self.requests.append(
            Request(at, user, self.client, "CONNECT", f"{host}:443", lasts, size, agent=self.agent)
        )

    def page(self, at: float, host: str, news: bool = False, plain: bool = False) -> None:
        """A page of work or news: its own files, and what it pulls in from social services without anybody's wish."""
        draw = self.chance
        self.fetch(
            at,
            host,
            draw.randrange(9_000, 160_000),
            f"/{draw.choice(['', 'search', 'item', 'today'])}",
            plain=plain,
        )
        for number in range(draw.randrange(0, 4) if self.full or plain else draw.randrange(0, 2)):
            name = "static." + host.split(".", 1)[1] if not plain else host
            self.fetch(
                at + draw.uniform(0.1, 1.2),
                name,
                draw.randrange(2_000, 90_000),
                f"/a/{number}.js",
                host,
                "text/javascript",
                plain=plain,
            )
        for name, at_work, in_news, path, kilobytes in WIDGETS:
            if draw.random() < (in_news if news else at_work) * (0 if plain else 1):
                size = int(kilobytes * 1000 * draw.uniform(0.95, 1.5))
                self.fetch(
                    at + draw.uniform(0.4, 2),
                    name,
                    size,
                    path,
                    host,
                    "text/javascript",
                    draw.uniform(5, 60),
                )
        if news and draw.random() < 0.06:
            self.embedded_video(at + draw.uniform(0.5, 1.5), host)

    def embedded_video(self, at: float, host: str) -> None:
        """A player inside a news page: much data, but no visit to the video service."""
        draw = self.chance
        self.fetch(at, "www.youtube.com", draw.randrange(40_000, 90_000), "/embed/a1", host)
        self.fetch(
            at + 0.6,
            "i.ytimg.com",
            draw.randrange(15_000, 60_000),
            "/vi/a1/hq.jpg",
            "www.youtube.com",
            "image/jpeg",
        )
        self.fetch(
            at + 1.1,
            "rr3---sn-aigl6nsk.googlevideo.com",
            draw.randrange(600_000, 1_200_000),
            "/videoplayback",
            "www.youtube.com",
            "video/mp4",
        )

    def visit(
        self, at: float, service: str, minutes: float, pause: tuple[float, float] = (20, 60)
    ) -> None:
        """A person uses the service: bursts led by its site host, `pause` seconds apart."""
        draw = self.chance
        site, companions, channel = SERVICES[service]
        end, origin, first = at + minutes * 60, "", True
        if channel and not self.full:
            self.fetch(
                at + 1.5,
                channel,
                draw.randrange(5_000, 9_000),
                seconds=minutes * 60 + draw.uniform(5, 60),
            )
        while at < end:
            path = draw.choice(PATHS[service])
            leader = draw.randrange(120_000, 420_000) if first else draw.randrange(40_000, 260_000)
            self.fetch(
                at, site, leader, path, origin if self.full else "", seconds=draw.uniform(8, 50)
            )
            for host, odds, low, high in companions:
                if first or draw.random() < odds:
                    self.fetch(
                        at + draw.uniform(0.1, 1.4),
                        host,
                        draw.randrange(low * 1000, high * 1000),
                        f"/v/{draw.randrange(99)}",
                        site,
                        "image/jpeg",
                    )
            origin, first = site, False
            at += draw.uniform(*pause)

    def polls(self, begin: float, end: float) -> None:
        """A tab nobody looks at: small, regular, until the browser is closed."""
        draw, at, number = self.chance, begin, 0
        while at < end:
            host = "gateway.facebook.com" if number % 5 == 4 else "edge-chat.facebook.com"
            self.fetch(at, host, draw.randrange(5_000, 5_900), seconds=draw.uniform(16.5, 18.5))
            at, number = at + draw.uniform(58.8, 61.2), number + 1

    def signed_in(self) -> list[Request]:
        """Return the requests with the 407s a login costs: the browser asks without a name first, then again with it."""
        self.requests.sort(key=lambda request: request.at)
        seen, last, result = self.chance, 0.0, []
        for request in self.requests:
            if self.named and (request.at - last > 2400 or seen.random() < 0.012):
                result.append(
                    replace(
                        request, at=request.at - seen.uniform(0.004, 0.02), user=None, seconds=0
                    )
                )
                if seen.random() < 0.04:
                    result.append(
                        replace(request, at=request.at - 0.003, password="mistyped", seconds=0)
                    )
            last = request.at
            result.append(request)
        return result


def ordinary(day: Day) -> None:
    """What everybody does: work and news pages through the day, background programs, little at lunch."""
    draw = day.chance
    begin, end = day.clock(8, draw.randrange(52, 59)), day.clock(16, draw.randrange(48, 58))
    lunch = day.clock(12, 31), day.clock(13, 12)
    for _ in range(draw.randrange(10, 16)):
        at = draw.uniform(begin, end)
        if not lunch[0] < at < lunch[1]:
            day.page(at, draw.choice(WORK))
    for _ in range(draw.randrange(1, 4)):
        day.page(draw.uniform(begin, end), draw.choice(NEWS), news=True)
    for _ in range(draw.randrange(0, 3)):
        day.page(draw.uniform(*lunch), draw.choice(NEWS), news=True)
    for _ in range(draw.randrange(0, 2)):
        day.page(draw.uniform(begin, end), draw.choice(PLAIN), plain=True)
    for _ in range(draw.randrange(2, 5)):
        host, path = draw.choice(CHECKS).split("/")
        day.fetch(
            draw.uniform(begin, end),
            host,
            120,
            "/" + path,
            kind="text/plain",
            plain=True,
            status="204" if path == "check" else "200",
        )
    at = begin + draw.uniform(0, 900)
    while at < end:
        day.fetch(
            at,
            "telemetry.officesuite.example",
            draw.randrange(4_000, 7_000),
            "/v2/events",
            kind="text/plain",
        )
        at += draw.uniform(2690, 2710)
    if day.user in LUNCH and draw.random() < 0.75:
        minutes = draw.uniform(2, 10)
        day.visit(draw.uniform(lunch[0], lunch[1] - minutes * 60), LUNCH[day.user], minutes)


def spread(
    day: Day,
    services: list[str],
    minutes: float,
    length: tuple[float, float],
    morning_only: bool = False,
) -> None:
    """About `minutes` of visits within working hours, one in each equal part of the day, never at lunch."""
    draw, lengths = day.chance, list[float]()
    while sum(lengths) < minutes:
        lengths.append(draw.uniform(*length))
    parts = [(day.clock(9, 8), day.clock(12, 26))] + (
        [] if morning_only else [(day.clock(13, 18), day.clock(16, 42))]
    )
    for index, (begin, end) in enumerate(parts):
        mine = lengths[index :: len(parts)]
        slot = (end - begin) / len(mine)
        for number, long in enumerate(mine):
            at = begin + number * slot + draw.uniform(0, max(slot - long * 60 - 60, 1))
            day.visit(at, draw.choice(services), long)


def heavy(day: Day) -> None:
    if MONDAYS[2] <= day.date and day.date != date(2026, 11, 6):
        spread(
            day,
            ["facebook", "facebook", "instagram"],
            66,
            (12, 18),
            morning_only=day.date == GAP_DAY,
        )


def communications(day: Day) -> None:
    spread(day, ["facebook", "instagram"], 62, (10, 16), morning_only=day.date == GAP_DAY)


def forgotten_tab(day: Day) -> None:
    if day.date.weekday() in (0, 2, 3):
        begin = day.clock(9, 40)
        day.visit(begin, "facebook", 3)
        day.polls(begin + 200, day.clock(16, 50))


def quiet_reader(day: Day) -> None:
    if day.date.weekday() != 4:
        for hour in (10, 11, 14):
            day.visit(
                day.clock(hour, day.chance.randrange(5, 35)),
                "reddit",
                day.chance.uniform(15, 20),
                pause=(400, 900),
            )


def after_hours(day: Day) -> None:
    if day.chance.random() < 0.8:
        at = day.clock(17, 47)
        for service in ("facebook", "youtube", "facebook"):
            minutes = day.chance.uniform(9, 16)
            day.visit(at, service, minutes)
            at += minutes * 60 + day.chance.uniform(60, 300)


def linkedin(day: Day) -> None:
    for _ in range(day.chance.choice([0, 1, 1, 2])):
        day.visit(
            day.clock(day.chance.choice([9, 10, 11, 14, 15]), day.chance.randrange(0, 50)),
            "linkedin",
            day.chance.uniform(2, 7),
        )


def betting(day: Day) -> None:
    hours = {
        date(2026, 11, 9): (10, 11, 14),
        date(2026, 11, 10): (9, 12, 15, 16),
        date(2026, 11, 11): (10, 14, 15),
        date(2026, 11, 12): (11, 12, 14, 15),
        date(2026, 10, 27): (12,),
    }
    for hour in hours.get(day.date, ()):
        day.fetch(
            day.clock(hour, day.chance.randrange(31, 50)),
            day.chance.choice(["www.bet365.com", "www.pokerstars.com"]),
            0,
            seconds=0,
        )


def one_blocked(day: Day) -> None:
    if day.date.isoformat() in ("2026-10-22", "2026-11-05"):
        day.fetch(day.clock(12, 40), "www.pokerstars.com", 0, seconds=0)


def sharing(day: Day) -> None:
    if day.date.weekday() == 2:
        day.fetch(
            day.clock(11, 10),
            "www.facebook.com",
            24_000,
            "/sharer/sharer.php?u=x",
            "www.harbournews.example",
        )


def kiosk(day: Day) -> None:
    """Visitors one after the other in front of one machine that asks for no name."""
    draw = day.chance
    for _ in range(draw.randrange(14, 22)):
        day.page(
            draw.uniform(day.clock(9, 30), day.clock(16, 20)),
            draw.choice(WORK[3:7] + NEWS),
            news=draw.random() < 0.4,
        )
    for hour in draw.sample([9, 10, 11, 13, 14, 15], 3):
        day.visit(
            day.clock(hour, draw.randrange(31, 50)),
            draw.choice(["facebook", "youtube", "x"]),
            draw.uniform(4, 12),
        )


CAST: dict[str, list[Callable[[Day], None]]] = {
    "somalley": [heavy],
    "acoleman": [communications],
    "bnowak": [forgotten_tab],
    "zwojcik": [quiet_reader],
    "rpatel": [after_hours],
    "jthorne": [betting],
    "nhassan": [one_blocked],
    "elewis": [one_blocked],
    "kward": [one_blocked],
    "cbennett": [sharing],
    **{user: [linkedin] for user in LINKEDIN},
}


def week(monday: date, branch: bool) -> list[Request]:
    """Return the week's requests of one proxy, in order of time."""
    result: list[Request] = []
    for day in (monday + timedelta(days=n) for n in range(5)):
        for number, (user, *_, kind, _) in enumerate(PEOPLE, 11):
            away = random.Random(f"{SEED}/away/{user}/{day}").random() < 0.04 and user not in CAST
            if (
                (user in BRANCH) != branch
                or away
                or (kind == "volunteer" and day.weekday() in (0, 4))
            ):
                continue
            person = Day(user, f"10.20.{2 if branch else 1}.{number}", day, full=branch)
            for behaviour in [ordinary, *CAST.get(user, [])]:
                behaviour(person)
            result += person.signed_in()
        if not branch and monday != OLD_WEEK:
            visitors = Day("kiosk", KIOSK, day, full=False, named=False)
            kiosk(visitors)
            result += visitors.signed_in()
    return sorted(result, key=lambda request: request.at)


class Clock:
    """The time Squid sees: libfaketime reads it from a file at every call, so it stands still until it is set."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "clock", os.O_CREAT | os.O_WRONLY, 0o644)
        self._stop = threading.Event()
        self._ticker = threading.Thread()
        self._now = 0.0

    def set(self, moment: float) -> None:
        """Set the time, never back."""
        self._now = max(self._now, moment)
        # one write of constant length: Squid never reads half a time
        os.pwrite(self._file, f"{self._now:.3f}\n".encode(), 0)

    def run(self) -> None:
        """Let time pass by itself until `halt`: Squid shuts down by waiting for a second to go by."""
        self._stop.clear()
        self._ticker = threading.Thread(target=self._tick)
        self._ticker.start()

    def halt(self) -> None:
        """Make time stand still again."""
        self._stop.set()
        self._ticker.join()

    def _tick(self) -> None:
        # seldom and by whole seconds: Squid has then always done what a second brings before the next one comes
        while not self._stop.wait(1.5):
            self.set(self._now + 1)


def environment() -> dict[str, str]:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        raise SystemExit("libfaketime is missing: install the package `faketime`")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": "clock",
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_FMT": "%s",
        "TZ": "Europe/London",
    }


class Recorder:
    """Plays requests to one Squid; each event waits for its line, so the log is in the order of the clock."""

    def __init__(self, proxy: Squid, clock: Clock) -> None:
        self._proxy, self._clock = proxy, clock
        self._lines = proxy.log.open("rb")
        self._lines.seek(0, os.SEEK_END)
        self._queue: list[tuple[float, int, Request, socket.socket | None]] = []

    def play(self, requests: list[Request], until: float) -> None:
        """Play the requests up to the time `until`; what is open then stays so, to be cut off by Squid's shutdown."""
        self._queue = [
            (request.at, number, request, None) for number, request in enumerate(requests)
        ]
        heapq.heapify(self._queue)
        while self._queue and self._queue[0][0] < until:
            at, number, request, link = heapq.heappop(self._queue)
            self._clock.set(at)
            if link is not None:
                self._finish(request, number, link)
            elif (link := self._begin(request, number)) is not None:
                heapq.heappush(self._queue, (at + request.seconds, number, request, link))

    def close(self) -> None:
        """Let go of the log; the open tunnels stay."""
        self._lines.close()

    def _begin(self, request: Request, number: int) -> socket.socket | None:
        refused = (
            request.password is not None
            or (request.user is None and request.client != KIOSK)
            or not request.size
        )
        headers = {
            "User-Agent": request.agent,
            "X-Lab-Bytes": str(request.size),
            "X-Lab-Type": request.type,
            "X-Lab-Status": request.status,
            **({"Referer": request.referer} if request.referer else {}),
            **({"X-Lab-Hold": str(number)} if request.method == "GET" else {}),
        }
        link = self._proxy.ask(
            request.method, request.target, request.user, request.client, headers, request.password
        )
        if refused:
            assert status_of(drain(link)) in (403, 407)
            link.close()
            self._logged()
            return None
        if request.method == "GET":
            self._proxy.internet.wait_held(str(number))
        else:
            assert status_of(receive(link, request.size)) == 200
        return link

    def _finish(self, request: Request, number: int, link: socket.socket) -> None:
        if request.method == "GET":
            self._proxy.internet.release(str(number))
            drain(link)
        link.close()
        self._logged()

    def _logged(self) -> None:
        # the native format's end of line is a write of its own, so a longer file is not yet a whole line
        while not self._lines.read().endswith(b"\n"):
            sleep(5e-5)


def record(job: tuple[str, str, list[date], Path]) -> str:
    """Record one log file and return a line about it."""
    name, logformat, mondays, out = job
    requests = [
        request for monday in mondays for request in week(monday, out.name.startswith("branch"))
    ]
    down, up = (datetime.combine(GAP_DAY, moment, LONDON).timestamp() for moment in GAP)
    never = float("inf")
    spans = (
        [(0.0, down), (up, never)] if requests[0].at < down < requests[-1].at else [(0.0, never)]
    )
    users = {user: f"pass-{user}" for user, *_ in PEOPLE}
    with tempfile.TemporaryDirectory() as place:
        clock = Clock(Path(place))
        for begin, end in spans:
            span = [request for request in requests if begin <= request.at < end]
            clock.set(max(begin, span[0].at - 30))
            with squid(
                Path(place),
                logformat=logformat,
                denied=DENIED,
                users=users,
                environment=environment(),
                open_to=[KIOSK],
            ) as proxy:
                recorder = Recorder(proxy, clock)
                recorder.play(span, end)
                recorder.close()
                if end != never:
                    clock.set(end)
                clock.run()
            clock.halt()
        text = (Path(place) / "access.log").read_bytes()
    out.mkdir(parents=True, exist_ok=True)
    packed = gzip.compress(text, 9, mtime=0)
    (out / name).write_bytes(packed)
    return f"{out.name}/{name}: {text.count(10)} lines, {len(packed)} bytes"


def people(path: Path) -> None:
    """Write the directory of people."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER.split(","))
        for user, name, department, manager, kind, roles in PEOPLE:
            writer.writerow(
                [
                    user,
                    name,
                    department,
                    manager,
                    f"{user}@harbourlane.example",
                    kind,
                    roles,
                    "",
                    "",
                    "",
                ]
            )


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.mkdir(parents=True, exist_ok=True)
    people(out / "people.csv")
    names = [
        f"access.log-{monday + timedelta(days=6):%Y%m%d}.gz" for monday in [*MONDAYS, OLD_WEEK]
    ]
    jobs = [("access.log-20261115.gz", "combined", MONDAYS, out / "branch-proxy")]
    jobs += [
        (name, "squid", [monday], out / "main-proxy")
        for name, monday in zip(names, [*MONDAYS, OLD_WEEK], strict=True)
    ]
    with multiprocessing.Pool(2) as pool:
        for line in pool.imap(record, jobs, chunksize=1):
            print(line, flush=True)


if __name__ == "__main__":
    main()
