"""Feeds of addresses: what each kind says, and who was behind an address at an instant."""

import gzip
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import ROOT, squid_line, write_lines
from factory import edited
from hypothesis import given
from hypothesis import strategies as st

from config.people import People, Person
from config.settings import Evidence, Settings
from fairwatch import doctor
from ingest import leases as leases_module
from ingest.addresses.records import Lease, Use
from ingest.discover import discover
from ingest.feeds import read_leases
from ingest.identity import Identities, known_identities
from ingest.leases import Leases
from ingest.run import ingest
from lake.datasets import EVENTS
from lake.days import number_of
from workspace import Workspace

KINDS: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests/data/addresses.yaml").read_text())
PERSONS = [Person(u, u, "", "", "") for u in ("ann", "bob", "kim")]
PERSONS += [
    Person("desk", "Front desk", "", "", "", kind="shared"),
    Person("backup", "Backup", "", "", "", kind="service"),
]
DAY = date(2026, 11, 20)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def settings(*feeds: dict[str, Any], **more: Any) -> Settings:
    organisation = {"name": "x", "timezone": "Europe/London"}
    return Settings.model_validate({"organisation": organisation, "identity": feeds, **more})


def read(folder: Path, case: dict[str, Any], raw: bytes | None = None) -> Leases:
    """The leases of one example, of whose files the first is packed with gzip."""
    files = [case["text"]] if isinstance(case["text"], str) else case["text"]
    (folder / "feed").mkdir()
    for number, text in enumerate(files):
        (folder / "feed" / f"{number}.log").write_bytes(raw or text.encode())
    feeds = [{"name": "feed", "kind": case["kind"], "paths": ["feed/*"], **case.get("with", {})}]
    if "devices" in case:
        (folder / "devices.csv").write_text(case["devices"])
        feeds.append({"name": "devices", "kind": "devices", "paths": ["devices.csv"]})
    return read_leases(folder, settings(*feeds), 0)


def who(leases: Leases, address: str, moment: int, shared: Sequence[str] = ()) -> list[Any]:
    found = leases.at(address, moment)
    day = moment // 86_400_000
    return [*Identities(People(PERSONS), leases, shared).of(None, address, day, found)]


@pytest.mark.parametrize("case", KINDS, ids=lambda c: c["case"])
def test_what_a_feed_says(tmp_path: Path, case: dict[str, Any]) -> None:
    leases = read(tmp_path, case)
    tally = leases.tallies[0]
    assert dict(tally.broken) == case.get("broken", {})
    if "ignored" in case:
        assert tally.ignored == case["ignored"]
    for asked in case["who"]:
        address, moment, *expected = asked
        found = who(leases, address, ms(moment))
        assert found == (expected if len(expected) == 2 else [address, "address"]), asked


@pytest.mark.parametrize("case", KINDS, ids=lambda c: c["case"])
def test_packed_and_wide_files_say_the_same(tmp_path: Path, case: dict[str, Any]) -> None:
    text = case["text"] if isinstance(case["text"], str) else "\n".join(case["text"])
    for name, raw in (("gz", gzip.compress(text.encode())), ("wide", text.encode("utf-16"))):
        (tmp_path / name).mkdir()
        leases = read(tmp_path / name, {**case, "text": text}, raw)
        assert dict(leases.tallies[0].broken) == case.get("broken", {})
        assert leases.tallies[0].problems == []


@pytest.mark.parametrize("kind", sorted({c["kind"] for c in KINDS}))
@given(junk=st.lists(st.text(max_size=80), max_size=8), cut=st.integers(0, 400))
def test_junk_is_counted_and_never_raises(
    tmp_path_factory: pytest.TempPathFactory, kind: str, junk: list[str], cut: int
) -> None:
    case = next(c for c in KINDS if c["kind"] == kind)
    whole = case["text"] if isinstance(case["text"], str) else case["text"][0]
    text = whole[:cut] + "\n".join(junk) + whole[cut:]
    leases = read(tmp_path_factory.mktemp("junk"), {**case, "text": text.replace("\0", "")})
    assert all(p.startswith("no line names the columns") for p in leases.tallies[0].problems)
    for reason in leases.tallies[0].broken:
        assert reason.isprintable()


# ---- whose an address is at an instant


def made(*records: Lease | Use, feed: str = "feed") -> Leases:
    leases = Leases()
    for record in records:
        leases.add(record, feed)
    return leases


def use(user: str, start: int, end: int, place: str = "10.0.0.1", **more: Any) -> Use:
    return Use(place, start, end, user, **more)


def grades(leases: Leases, *moments: int, address: str = "10.0.0.1") -> list[str]:
    return [who(leases, address, m)[1] for m in moments]


def test_two_at_once_are_nobody() -> None:
    leases = made(use("ann", 10, 20), use("bob", 15, 30))
    assert [who(leases, "10.0.0.1", m) for m in (9, 10, 15, 19, 20, 30)] == [
        ["10.0.0.1", "address"],
        ["ann", "lease"],
        ["10.0.0.1", "address"],
        ["10.0.0.1", "address"],
        ["bob", "lease"],
        ["10.0.0.1", "address"],
    ]


def test_two_spellings_of_one_person_are_one() -> None:
    leases = made(use("ann", 10, 20), use(r"EXAMPLE\ANN", 10, 20), use("ann@example.org", 10, 20))
    assert who(leases, "10.0.0.1", 15) == ["ann", "lease"]


def test_somebody_unlisted_beside_a_person_makes_two() -> None:
    assert grades(made(use("ann", 10, 20), use("zed", 10, 20)), 15) == ["address"]
    assert grades(made(use("zed", 10, 20)), 15) == ["address"]


def test_machines_and_programs_beside_a_person_are_nobody_else() -> None:
    leases = made(use("ann", 10, 20), use("PC12$", 10, 20), use("backup", 10, 20))
    assert who(leases, "10.0.0.1", 15) == ["ann", "lease"]
    assert grades(made(use("backup", 10, 20)), 15) == ["service"]


def test_a_shared_account_is_nobody() -> None:
    assert who(made(use("desk", 10, 20)), "10.0.0.1", 15) == ["10.0.0.1", "shared"]
    assert grades(made(use("desk", 10, 20), use("ann", 10, 20)), 15) == ["address"]


def test_a_shared_address_is_nobody_but_a_login_from_it_is_somebody() -> None:
    leases = made(use("ann", 10, 20))
    assert who(leases, "10.0.0.1", 15, ["10.0.0.0/30"]) == ["10.0.0.1", "shared"]
    known = Identities(People(PERSONS), leases, ["10.0.0.0/30"])
    assert known.of("ann", "10.0.0.1", 0) == ("ann", "login")


def test_people_csv_and_leases_have_to_agree() -> None:
    people = People([Person("ann", "", "", "", "", addresses=("10.0.0.1",)), *PERSONS[1:]])
    for user, expected in (("ann", ("ann", "assigned")), ("bob", ("10.0.0.1", "address"))):
        leases = made(use(user, 10, 20))
        found = Identities(people, leases).of(None, "10.0.0.1", 0, leases.at("10.0.0.1", 15))
        assert found == expected


def test_a_logon_ends_where_the_address_changes_hands() -> None:
    pc1, pc2 = ("mac:1", "host:pc1"), ("mac:2", "host:pc2")
    leases = made(
        Lease("10.0.0.1", 0, 100, pc1),
        Lease("10.0.0.1", 40, 140, ("mac:1",)),
        use("ann", 10, 1000, assumed=True),
        Lease("10.0.0.1", 60, 160, pc2),
        use("bob", 70, 1000, assumed=True),
    )
    assert grades(leases, 50, 59, 60, 69, 70, 200) == [
        *("lease", "lease", "address", "address", "lease", "lease"),
    ]
    assert who(leases, "10.0.0.1", 100)[0] == "bob"


def test_a_lease_ends_where_the_same_servers_next_begins() -> None:
    owners = (Use("mac:1", 0, 500, "ann"), Use("mac:2", 0, 500, "bob"))
    leases = made(
        Lease("10.0.0.1", 0, 100, ("mac:1",)),
        Lease("10.0.0.1", 40, 140, ("mac:1",)),
        Lease("10.0.0.1", 60, 160, ("mac:2",)),
        *owners,
    )
    assert [who(leases, "10.0.0.1", m)[0] for m in (59, 60, 99, 159)] == [
        "ann",
        "bob",
        "bob",
        "bob",
    ]
    leases.add(Lease("10.0.0.9", 0, 100, ("mac:1",)), "feed")
    leases.add(Lease("10.0.0.9", 60, 160, ("mac:2",)), "another server")
    assert grades(leases, 59, 60, 99, 100, address="10.0.0.9") == [
        *("lease", "address", "address", "lease"),
    ]


def test_a_device_has_an_owner_over_time() -> None:
    leases = made(
        Lease("10.0.0.1", 0, 100, ("mac:1", "host:pc1")),
        Use("mac:1", 0, 50, "ann"),
        Use("host:pc1", 0, 200, "bob"),
        Use("mac:2", 0, 200, "kim"),
    )
    assert grades(leases, 20, 50, 100) == ["address", "lease", "address"], "two keys, two owners"
    assert who(leases, "10.0.0.1", 60)[0] == "bob"


def test_a_network_and_an_address_of_it() -> None:
    leases = made(
        use("ann", 0, 100, "10.0.0.0/24", static=True),
        use("bob", 50, 60, "10.0.0.7"),
        use("kim", 0, 100, "2001:db8::/64", static=True),
    )
    assert who(leases, "10.0.0.7", 10) == ["ann", "assigned"]
    assert who(leases, "10.0.0.7", 55) == ["10.0.0.7", "address"]
    assert who(leases, "10.0.1.7", 10) == ["10.0.1.7", "address"]
    assert who(leases, "2001:DB8:0::7", 10)[0] == "kim"
    assert who(leases, "::ffff:10.0.0.7", 10)[0] == "ann"


def test_a_long_request_over_a_change_of_hands_is_nobodys() -> None:
    leases = made(use("ann", 0, 50), use("bob", 50, 100))
    ends, begins = np.array([20, 60, 60, 120]), np.array([10, 55, 40, 90])
    found = leases.owners("10.0.0.1", ends, begins)
    known = Identities(People(PERSONS), leases)
    told = [known.of(None, "10.0.0.1", 0, leases.sets[n]) for n in found]
    assert told == [
        ("ann", "lease"),
        ("bob", "lease"),
        ("10.0.0.1", "address"),
        ("10.0.0.1", "address"),
    ]


INTERVALS = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", "kim", "desk", "zed"]), st.integers(0, 30), st.integers(1, 12)),
    max_size=12,
)  # fmt: skip


@given(INTERVALS)
def test_the_line_of_time_is_what_each_instant_says(given_: list[tuple[str, int, int]]) -> None:
    leases = made(*(use(u, start, start + length) for u, start, length in given_))
    times = np.arange(0, 45)
    numbers = leases.owners("10.0.0.1", times, times)
    for moment, number in zip(times, numbers, strict=True):
        alive = {u for u, start, length in given_ if start <= moment < start + length}
        assert {o.user for o in leases.sets[number]} == alive
        assert leases.at("10.0.0.1", int(moment)) == leases.sets[number]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 9)), max_size=40))
def test_rows_at_once_are_rows_one_by_one(rows: list[tuple[int, int, int]]) -> None:
    leases = made(
        use("ann", 0, 20), use("bob", 15, 30), use("kim", 3, 9, "10.0.0.2"), use("ann", 9, 12, "10.0.0.2")
    )  # fmt: skip
    clients = ["10.0.0.1", "10.0.0.2", "10.0.0.3", None]
    codes, times, lengths = (np.array([r[i] for r in rows], np.int64) for i in range(3))
    found = Identities(People([]), leases).owners(clients, codes, times, times - lengths)
    for code, moment, length, number in zip(codes, times, lengths, found, strict=True):
        client = clients[code]
        alone = leases.at(client, int(moment)) if client else ()
        kept = alone and all(leases.at(client or "", int(m)) == alone
                             for m in range(moment - length, moment))  # fmt: skip
        assert leases.sets[number] == (alone if kept or not alone else leases.sets[1])


class _Slow(dict[Any, int]):
    """A dictionary that lets others in after each new key."""

    def setdefault(self, key: Any, default: int = 0) -> int:
        found = super().setdefault(key, default)
        sleep(0.001)
        return found


def test_addresses_asked_for_side_by_side_keep_their_owners() -> None:
    addresses = [f"10.0.0.{i}" for i in range(60)]
    leases = made(*(use(f"u{i}", 0, 10, place) for i, place in enumerate(addresses)))
    leases._set_of = _Slow(leases._set_of)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(leases.timeline, addresses))
    assert [leases.at(a, 5)[0].user for a in addresses] == [f"u{i}" for i in range(60)]


# ---- faults and limits


def test_what_is_too_much_names_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(c for c in KINDS if c["kind"] == "kea")
    assert read(tmp_path, case)
    (tmp_path / "again").mkdir()
    monkeypatch.setattr(leases_module, "MOST_RECORDS", 1)
    leases = read(tmp_path / "again", case)
    assert not leases
    assert "no address is taken for anybody's" in leases.tallies[0].problems[0]


def test_a_file_cut_in_the_middle_names_nobody(tmp_path: Path) -> None:
    case = next(c for c in KINDS if c["kind"] == "kea")
    leases = read(tmp_path, case, gzip.compress(case["text"].encode() * 100)[:-200])
    assert not leases
    assert "not readable to its end" in leases.tallies[0].problems[0]


def test_crowds_at_one_address_are_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases_module, "MOST_AT_ONE_PLACE", 5)
    leases = made(*(use("ann", i * 10, i * 10 + 5) for i in range(50)))
    assert grades(leases, 12) == ["address"]
    passed = made(
        *(Lease("10.0.0.2", i * 10, i * 10 + 5, ("mac:1",)) for i in range(50)),
        Use("mac:1", 0, 500, "ann"),
    )
    assert grades(passed, 12, address="10.0.0.2") == ["address"]
    crowd = made(*(use(f"u{i}", 0, 10) for i in range(9)))
    assert grades(crowd, 5) == ["address"]


def test_a_long_line_is_counted_and_the_next_is_read(tmp_path: Path) -> None:
    case = {"kind": "static", "text": f"address,user\n10.0.0.1,{'x' * 200_000}\n10.0.0.2,ann\n"}
    leases = read(tmp_path, case)
    assert list(leases.tallies[0].broken) == ["longer than 65536 characters"]
    assert who(leases, "10.0.0.2", 5)[0] == "ann"


@pytest.mark.parametrize(
    ("feed", "says"),
    [
        ({"kind": "windows-dhcp", "lifetime": "8 days"}, "expected `timezone`"),
        ({"kind": "ad-logon"}, "expected `timezone`"),
        ({"kind": "dnsmasq"}, "expected `lifetime`"),
        ({"kind": "windows-dhcp", "timezone": "Europe/London"}, "expected `lifetime`"),
        ({"kind": "kea", "lifetime": "1 hour"}, "expected no `lifetime`"),
        ({"kind": "radius", "lifetime": "soon"}, "such as `90 minutes`"),
        ({"kind": "static", "day_first": True}, "only where kind is ad-logon"),
        ({"kind": "dhcp"}, "isc-dhcp"),
    ],
)
def test_what_the_lines_do_not_say_has_to_be_said(feed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Evidence.model_validate({"name": "x", "paths": ["x"], **feed})


# ---- through a night

FEEDS = """
identity:
  - {name: dhcp, kind: isc-dhcp, paths: ["dhcp/*.leases"]}
  - {name: owners, kind: devices, paths: [devices.csv]}
shared_addresses: [10.20.9.0/24]
people:"""
LEASE = """lease {address} {{
  starts 5 2026/11/20 {start};
  ends 5 2026/11/20 {end};
  binding state active;
  hardware ethernet {mac};
}}
"""


def night(site: Workspace) -> Workspace:
    (site.folder / "dhcp").mkdir()
    (site.folder / "dhcp" / "a.leases").write_text(
        LEASE.format(address="10.20.1.12", start="00:00:00", end="02:00:00", mac="0:0:0:0:0:1")
        + LEASE.format(address="10.20.1.12", start="02:30:00", end="04:00:00", mac="0:0:0:0:0:2")
        + "lease 10.20.1.13 {\n  starts nonsense;\n  hardware ethernet 0:0:0:0:0:3;\n}\n"
    )
    (site.folder / "devices.csv").write_text("mac,user\n0:0:0:0:0:1,ann\n0:0:0:0:0:2,bob\n")
    ws = edited(site, "fairwatch.yaml", ("\npeople:", FEEDS))
    return edited(ws, "fairwatch.yaml", ('"/var/log/squid/access.log*"', '"proxy/*.log"'))


def test_a_night_with_leases(site: Workspace, now: datetime, stored: Callable[..., Any]) -> None:
    ws = night(site)
    start = datetime(2026, 11, 20, tzinfo=UTC)
    moments = [1.0, 2.25, 3.0, 4.5]
    lines = [squid_line(start + timedelta(hours=h), user="-", client="10.20.1.12") for h in moments]
    lines += [
        squid_line(start + timedelta(hours=3), user="-", client="10.20.1.12", elapsed=7_000_000),
        squid_line(start + timedelta(hours=3), user="kim", client="10.20.1.12"),
        squid_line(start + timedelta(hours=3), user="-", client="10.20.9.9"),
        squid_line(start + timedelta(hours=3), user="PC1$", client="10.20.1.12"),
    ]
    write_lines(ws.folder / "proxy" / "a.log", lines)
    with ws.alone():
        done = ingest(ws, discover(ws, None), now)
    assert [r.error for r in done] == [None]
    assert stored(ws) == [
        ("ann", "lease"),
        ("10.20.1.12", "address"),
        ("bob", "lease"),
        ("10.20.1.12", "address"),
        ("10.20.1.12", "address"),
        ("kim", "login"),
        ("10.20.9.9", "shared"),
        ("PC1$", "service"),
    ]
    told = [line.act for line in ws.ledger.lines() if line.act["act"] == "addresses"]
    assert [(a["feed"], a["records"], a["broken"], a["used"]) for a in told] == [
        ("dhcp", 2, {"a time that is none": 1}, True),
        ("owners", 2, {}, True),
    ]


@pytest.fixture
def stored() -> Callable[[Workspace], list[tuple[str, str]]]:
    """Name and grade of every stored line, in the order of the log."""

    def rows(ws: Workspace) -> list[tuple[str, str]]:
        paths = sorted((ws.folder / "lake" / "events").rglob("*.parquet"))
        found = ws.keys.dataset(paths, EVENTS.schema).to_table()
        return [
            (r["user"], r["identity"]) for r in sorted(found.to_pylist(), key=lambda r: r["line"])
        ]

    return rows


def test_without_feeds_nothing_is_read(site: Workspace, now: datetime) -> None:
    known = known_identities(site, DAY, now)
    assert not known.leases
    assert not [line for line in site.ledger.lines() if line.act["act"] == "addresses"]
    assert known.of(None, "10.20.1.50", number_of(DAY)) == ("bob", "assigned")


def test_a_feed_that_fails_is_told_and_names_nobody(
    site: Workspace, now: datetime, stored: Callable[..., Any]
) -> None:
    ws = night(site)
    whole = gzip.compress((ws.folder / "dhcp" / "a.leases").read_bytes())
    (ws.folder / "dhcp" / "b.leases").write_bytes(whole[:-20])
    when = datetime(2026, 11, 20, 1, tzinfo=UTC)
    write_lines(ws.folder / "proxy" / "a.log", [squid_line(when, user="-", client="10.20.1.12")])
    with ws.alone():
        failed, read_ = ingest(ws, discover(ws, None), now)
    assert failed.source == "dhcp" and "not readable to its end" in (failed.error or "")
    assert read_.error is None and stored(ws) == [("10.20.1.12", "address")]
    told = [line.act for line in ws.ledger.lines() if line.act["act"] == "addresses"]
    assert [a["used"] for a in told] == [False, False]


def test_doctor_says_what_the_feeds_hold(
    site: Workspace, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    ws = night(site)
    doctor.examine(ws.folder, now, "test", True)
    out = capsys.readouterr().out
    checks = {c["what"]: c for c in json.loads(out)["checks"]}
    assert checks["identity dhcp"]["state"] == "warning"
    assert "not understood: 1 a time that is none" in checks["identity dhcp"]["advice"]
    assert checks["identity owners"]["state"] == "ok"


def test_a_lease_released_since_the_file_was_rewritten_is_over(tmp_path: Path) -> None:
    """dhcpd writes its file anew and leaves the old one beside it, which `dhcpd.leases*` reads too."""

    def lease(ends: str, state: str) -> list[str]:
        return [
            "lease 10.20.1.13 {",
            "  starts 5 2026/11/20 08:00:00;",
            f"  ends 5 2026/11/20 {ends};",
            f"  binding state {state};",
            "  hardware ethernet 00:16:3e:00:00:01;",
            "}",
        ]

    old = write_lines(tmp_path / "dhcpd.leases~", lease("20:00:00", "active"))
    new = write_lines(tmp_path / "dhcpd.leases", lease("09:30:00", "free"))
    write_lines(tmp_path / "devices.csv", ["mac,user", "00:16:3e:00:00:01,ann"])
    feeds = (
        {"name": "dhcp", "kind": "isc-dhcp", "paths": ["dhcpd.leases*"]},
        {"name": "devices", "kind": "devices", "paths": ["devices.csv"]},
    )
    for first, second, end in ((old, new, "09:30:00"), (new, old, "20:00:00")):
        os.utime(first, (1000, 1000))
        os.utime(second, (2000, 2000))
        leases = read_leases(tmp_path, settings(*feeds), 0)
        assert who(leases, "10.20.1.13", ms(f"2026-11-20 {end}") - 1) == ["ann", "lease"]
        assert who(leases, "10.20.1.13", ms(f"2026-11-20 {end}")) == ["10.20.1.13", "address"]
