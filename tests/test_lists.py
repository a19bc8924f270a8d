"""Lists of others: every syntax, what is left out, which list holds when, and what a change would alter."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, make_site, squid_line, write_lines
from factory import content, lake, page
from hypothesis import given
from hypothesis import strategies as st

from config.lists import device, reading
from config.lists.hosts import NotAHost, ascii_host, normalised
from config.lists.index import EXACT, Builder, Index, key
from config.lists.listfile import SENSITIVE, ListFile, meaning, shipped_words
from config.lists.reading import Delivery, read_list
from config.lists.syntaxes import SYNTAXES, recognised
from config.sitelist import shipped_sensitive, site_list
from errors import BadConfiguration, FairwatchError, UnreadableInput
from fairwatch import place
from fairwatch.cli import main
from fairwatch.fetch import fetched
from ingest.classify import Class, Classifier
from ingest.discover import discover
from ingest.run import ingest
from workspace import Workspace, open_site

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
CASES = yaml.safe_load((ROOT / "tests/data/lists.yaml").read_text("utf-8"))
Call = Callable[..., tuple[int, str]]


def holds(read_: reading.ReadList, name: str) -> list[str]:
    """The list's own categories an entry stands in."""
    return [[*read_.hosts][code] for code in Index(read_.index).find(key(name))]


@pytest.mark.parametrize("case", CASES, ids=lambda c: str(c["case"]))
def test_syntaxes(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "list").write_text(case["text"], "utf-8")
    asked = Delivery(case.get("named"), "social_network", columns=case.get("columns", {}))
    read_ = read_list(tmp_path / "list", asked)
    assert read_.syntax == case["syntax"], read_.reason
    for entry in case.get("below", []):
        assert holds(read_, entry), entry
    for entry in case.get("exactly", []):
        assert holds(read_, EXACT + entry), entry
    for entry in case.get("not", []):
        assert not holds(read_, entry), entry
        assert not holds(read_, EXACT + entry), entry
    count = len(case.get("below", [])) + len(case.get("exactly", []))
    assert Index(read_.index).hosts == count
    left = {reason: f"{n} from {where}" for reason, (n, where) in read_.left_out.items()}
    assert left == case.get("left_out", {})
    assert read_.hosts == case.get("hosts", {"social_network": count})


UT1 = {
    "blacklists/social_networks/domains": "ut1social.example\nzweites.example\n",
    "blacklists/social_networks/urls": "page.example/~ann\nwhole.example/\n",
    "blacklists/social_networks/expressions": "(facebook|twitter)\nsecond\n",
    "blacklists/sect/domains": "tempel.example\n",
    "blacklists/bank/domains": "bank.example\nut1social.example\n",
    "blacklists/README": "hello.example\n",
}


def tar_of(path: Path, members: dict[str, str]) -> Path:
    """A tar.gz file of texts, with a link as UT1 has them."""
    with tarfile.open(path, "w:gz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("blacklists/porn")
        link.type, link.linkname = tarfile.SYMTYPE, "../../etc/passwd"
        tar.addfile(link)
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_squidguard_folders(tmp_path: Path, packed: bool) -> None:
    source = tmp_path / "ut1"
    for name, text in UT1.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    path = tar_of(tmp_path / "ut1.tar.gz", UT1) if packed else source
    read_ = read_list(path, Delivery())
    assert read_.syntax == "squidguard"
    assert read_.hosts == {"social_networks": 3, "sect": 1, "bank": 2} or not packed
    assert sorted(holds(read_, "ut1social.example")) == ["bank", "social_networks"]
    assert holds(read_, "whole.example")
    assert not holds(read_, "hello.example")
    assert {r: n for r, (n, _) in read_.left_out.items()} == {
        "a regular expression": 2,
        "a page of a host, not the host": 1,
    }
    some = read_list(path, Delivery(only=frozenset(["sect"])))
    assert some.hosts == {"sect": 1}


def test_the_same_hosts_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("b.example\na.example\na.example\n")
    (tmp_path / "b").write_text("a.example\nb.example\n")
    one, two = (read_list(tmp_path / n, Delivery(category="x")) for n in "ab")
    assert one.index == two.index
    assert one.sha256 != two.sha256


def test_v2fly_folders_include_each_other(tmp_path: Path) -> None:
    files = {
        "all": "include:one\ninclude:two @ads\ninclude:all\ninclude:../outside\n",
        "one": "one.example\nfull:www.two.example\nregexp:^x\n",
        "two": "ads.example @ads\nplain.example\n",
    }
    for name, text in files.items():
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text(text)
    read_ = read_list(tmp_path / "data", Delivery(only=frozenset(["all"])))
    assert read_.syntax == "v2fly"
    assert Index(read_.index).hosts == 3
    assert holds(read_, "ads.example") == ["all"]
    assert not holds(read_, "plain.example")
    assert read_.left_out["`include:` of a file that is not beside it"][0] == 2
    assert read_list(tmp_path / "data", Delivery()).hosts["two"] == 2


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Example.COM.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("https://example.com:8443/", "example.com"),
        ("example.com:443", "example.com"),
        ("10.0.0.1", "10.0.0.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("blogspot.com", "blogspot.com"),
        ("_dmarc.example.com", "_dmarc.example.com"),
    ],
)
def test_hosts_are_spelt_one_way(text: str, host: str) -> None:
    assert normalised(text) == host


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("com", "single label"),
        ("co.uk", "public suffix"),
        ("anything.ck", "public suffix"),
        ("localhost", "single label"),
        ("example.com/path", "a page of a host"),
        ("bad host.example", "not a host name"),
        ("-x.example", "not a host name"),
        ("a..example", "not a host name"),
        ("999.999.1.1", "not a host name"),
        ("x" * 64 + ".example", "not a host name"),
        (".".join(["abcdefgh"] * 40), "not a host name"),
        ("", "not a host name"),
    ],
)
def test_what_is_no_host_says_why_and_not_what(text: str, why: str) -> None:
    with pytest.raises(NotAHost, match=why) as fault:
        normalised(text)
    assert not text or text not in str(fault.value)


@given(st.text(max_size=300))
def test_nothing_breaks_a_host(text: str) -> None:
    ascii_host(text)
    try:
        host = normalised(text)
    except NotAHost:
        return
    assert normalised(host) == host
    assert host == host.lower()


@given(st.lists(st.text(max_size=60), max_size=30))
def test_nothing_breaks_recognition(lines: list[str]) -> None:
    syntax, reason = recognised(lines)
    assert reason
    assert syntax is None or syntax in SYNTAXES


@given(st.sets(st.integers(0, 2**64 - 1), max_size=50), st.integers(0, 2**64 - 1))
def test_an_index_finds_what_was_put_in(keys: set[int], other: int) -> None:
    builder = Builder()
    builder._keys.extend(keys)
    builder._codes.extend([3] * len(keys))
    data, counts = builder.finish()
    index = Index(data)
    assert all(index.find(k) == [3] for k in keys)
    assert index.find(other) == ([3] if other in keys else [])
    assert counts == ({3: len(keys)} if keys else {})


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_BYTES", 1 << 20)
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(b"a.example\n" * 200_000))
    with pytest.raises(UnreadableInput, match="unpacks to more than"):
        read_list(bomb, Delivery("domains", "x"))
    monkeypatch.setattr(reading, "LARGEST_HOSTS", 3)
    (tmp_path / "many").write_text("".join(f"h{i}.example\n" for i in range(10)))
    with pytest.raises(UnreadableInput, match="more than 3 hosts"):
        read_list(tmp_path / "many", Delivery("domains", "x"))


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\xfe" * 50, b"{", b"no host here\n", b"\x1f\x8b"]
)
def test_what_is_no_list_gets_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    for asked in (Delivery(), Delivery("domains"), Delivery("csv"), Delivery("adguard-services")):
        with pytest.raises(UnreadableInput):
            read_list(tmp_path / "x", asked)


def test_a_sensitive_word_stays_so() -> None:
    assert meaning("sect", "social_network", {"sect": "games"}) == "faith"
    assert meaning("social_networks", None, {}) == "social_network"
    assert meaning("social_networks", None, {"social_networks": None}) is None
    assert meaning("never heard of", "gambling", {}) == "gambling"
    assert meaning("Religion & Spirituality", None, {}) == "sensitive"
    assert meaning("Social Networking", None, {}) == "social_network"
    assert meaning("Shopping", None, {}) is None
    assert set(shipped_words().values()) & SENSITIVE == SENSITIVE


def test_the_shipped_sensitive_hosts_are_sound() -> None:
    services = {s.category: s.roles["site"] for s in shipped_sensitive().services}
    assert set(services) == SENSITIVE
    every = [h for hosts in services.values() for h in hosts]
    assert len(every) == len(set(every))
    for category, hosts in services.items():
        assert len(hosts) >= 40, category
        for host in hosts:
            # All that lies under this suffix belongs to the health service.
            assert host == "nhs.uk" or normalised(host) == host
            assert site_list([], []).sensitive(f"www.{host}")


@pytest.mark.parametrize(
    ("word", "category", "sensitive"),
    [
        ("Social Networking", "social_network", False),
        ("social-networking", "social_network", False),
        ("Streaming Media", "streaming", False),
        ("Business/Economy;Social Networking", "social_network", False),
        ("Business/Economy", "other", False),
        ("Gay and Lesbian", None, True),
        ("Gay, Lesbian or Bisexual Interest", None, True),
        ("Social Networking;Health", None, True),
        ("Religion", None, True),
        ("Political/Social Advocacy", None, True),
        ("Mental Health Helplines (custom)", None, True),
        ("Gewerkschaften", None, True),
        ("custom-17", None, False),
        ("", None, False),
    ],
)
def test_what_a_device_says(word: str, category: str | None, sensitive: bool) -> None:
    assert device.told(word) == device.Told(category, sensitive)


@given(st.text())
def test_no_word_of_a_device_is_kept(word: str) -> None:
    known = {*device.shipped().categories, "other", None}
    assert device.told(word).category in known


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site folder whose logs lie in incoming/."""
    return make_site(
        tmp_path / "site", lambda t: t.replace("/var/log/squid/access.log*", "incoming/*")
    )


@pytest.fixture
def call(site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """A command on that site: (code, all it printed)."""
    monkeypatch.setattr(place, "now", lambda: NOW)
    monkeypatch.chdir(site)

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(w) for w in words])
        out, err = capsys.readouterr()
        assert "a bug" not in err
        return int(end.value.code or 0), out + err

    return run


def plain(site: Path, *hosts: str, name: str = "new.txt") -> Path:
    """A list of hosts outside the site folder."""
    return write_lines(site.parent / name, hosts)


def rows(ws: Workspace, hosts: list[str], when: datetime = NOW - timedelta(days=1)) -> None:
    """Read a line a host."""
    lines = [
        squid_line(when + timedelta(seconds=i), url=f"http://{h}/") for i, h in enumerate(hosts)
    ]
    stamp = f"{when:%Y%m%d%H%M}{len(list((ws.folder).glob('incoming/*')))}"
    write_lines(ws.folder / "incoming" / f"{stamp}.log", lines)
    with ws.alone():
        done = ingest(ws, discover(ws, None), NOW + timedelta(hours=1))
    assert not [d.error for d in done if d.error]


def stored(ws: Workspace) -> list[tuple[str, str | None]]:
    """(host, category) of every row."""
    found: list[tuple[str, str | None]] = []
    for part in sorted((ws.folder / "lake" / "events").rglob("*.parquet")):
        table = content(part).sort_by("time")
        found += zip(table["host"].to_pylist(), table["category"].to_pylist(), strict=True)
    return found


def test_without_write_nothing_is_written(site: Path, call: Call) -> None:
    path = plain(site, "club.example", "co.uk")
    code, said = call("lists", "import", path, "--name", "own", "--category", "social_network")
    assert code == 0
    assert "nothing was changed" in said
    assert "1: a public suffix" in said
    assert not (site / "lists").exists()


def test_a_list_is_taken_in_shown_and_used(site: Path, call: Call) -> None:
    path = plain(site, "club.example", "bücher.example")
    code, said = call(
        *("lists", "import", path, "--name", "own", "--category", "social_network", "--write"),
        *("--licence", "CC-BY-SA-4.0", "--source", "the net", "--version", "7"),
    )
    assert code == 0, said
    (one, *_) = json.loads(call("lists", "--json")[1])["lists"]
    assert (one["list"], one["version"], one["licence"]) == ("own", "7", "CC-BY-SA-4.0")
    assert one["digest"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert one["categories"] == {"social_network": {"as": "social_network", "hosts": 2}}
    ws = open_site(site, "t")
    rows(ws, ["www.club.example", "xn--bcher-kva.example", "else.example"])
    assert stored(ws) == [
        ("www.club.example", "social_network"),
        ("xn--bcher-kva.example", "social_network"),
        ("other", None),
    ]
    code, said = call("lists", "import", path, "--name", "own", "--category", "x", "--write")
    assert code == 14
    acts = [line.act for line in ws.ledger.lines() if line.act["act"] == "list"]
    assert [(a["list"], a["hosts"]) for a in acts] == [("own", 2)]


def test_a_change_says_whose_past_days_it_would_alter(site: Path, call: Call) -> None:
    path = plain(site, "facebook.com", "reddit.com")
    ws = open_site(site, "t")
    day = datetime(2026, 11, 10, 10, tzinfo=UTC)
    people = [f"p{i}" for i in range(6)]
    lake(ws, [page(day + timedelta(days=d), user=u) for u in people for d in range(2)]
         + [page(day, user="ann", host="www.reddit.com", service="reddit", category="forum_qa")]
         + [page(day, host="other", service=None, category=None)])  # fmt: skip
    words = ("lists", "import", path, "--name", "own", "--map", "hosts=games", "--json")
    past = json.loads(call(*words)[1])["past"]
    assert past["rows_without_host"] == 1
    (one,) = past["changed"]
    assert (one["kind"], one["hosts"], one["rows"], one["days"]) == ("unnamed", 2, 13, 2)
    assert (one["people"], one["person_days"]) == (7, 13)
    few = ("lists", "import", plain(site, "reddit.com"), "--name", "own", "--map", "hosts=games")
    assert "of fewer than 5 people" in call(*few)[1]
    assert not (site / "lists").exists()


def test_a_day_is_judged_by_the_list_in_force_that_day(site: Path, call: Call) -> None:
    ws = open_site(site, "t")
    rows(ws, ["club.example"], datetime(2026, 11, 12, 9, tzinfo=UTC))
    words = ("lists", "import", plain(site, "club.example"), "--name", "own")
    code, said = call(*words, "--category", "social_network", "--write")
    assert code == 0
    assert "2026-11-13 and later" in said
    ws = open_site(site, "t")
    assert ws.sites.starts == [date(2026, 11, 13)]
    mixed = [datetime(2026, 11, d, 9, tzinfo=UTC) for d in (12, 13, 14)]
    lines = [squid_line(t + timedelta(minutes=5), url="http://club.example/") for t in mixed]
    write_lines(site / "incoming" / "late.log", lines)
    with ws.alone():
        ingest(ws, discover(ws, None), NOW)
    assert stored(ws) == [("other", None)] * 2 + [("club.example", "social_network")] * 2


def test_own_lists_may_be_dated_as_policies_are(site: Path) -> None:
    own = "version: '1'\nsource: us\n{}services:\n- {{id: club, service: Club, category: {}, roles: {{site: [club.example]}}}}\n"
    (site / "a.yaml").write_text(own.format("effective: {to: 2026-11-12}\n", "messaging"))
    (site / "b.yaml").write_text(own.format("effective: {from: 2026-11-14}\n", "forum_qa"))
    text = (site / "fairwatch.yaml").read_text()
    (site / "fairwatch.yaml").write_text(f"{text}\nsites: [a.yaml, b.yaml]\n")
    ws = open_site(site, "t")
    days = [datetime(2026, 11, d, 9, tzinfo=UTC) for d in (12, 13, 14, 15)]
    lines = [squid_line(t, url="http://club.example/") for t in days]
    write_lines(site / "incoming" / "a.log", lines)
    with ws.alone():
        (done,) = ingest(ws, discover(ws, None), NOW)
    assert (done.counts.rows, done.counts.lines) == (4, 4)
    assert [category for _, category in stored(ws)] == ["messaging", None, "forum_qa", "forum_qa"]


def test_a_sensitive_host_of_a_newer_list_is_hidden_in_older_days_too(site: Path) -> None:
    own = "version: '1'\nsource: us\neffective: {from: 2026-11-14}\nservices:\n- {id: c, service: C, category: health, roles: {site: [m.facebook.com]}}\n"
    (site / "a.yaml").write_text(own)
    text = (site / "fairwatch.yaml").read_text()
    (site / "fairwatch.yaml").write_text(f"{text}\nsites: [a.yaml]\n")
    ws = open_site(site, "t")
    rows(ws, ["m.facebook.com", "www.facebook.com"], datetime(2026, 11, 10, 9, tzinfo=UTC))
    assert [host for host, _ in stored(ws)] == ["other", "www.facebook.com"]


def test_an_update_keeps_what_was_and_needs_its_digest(site: Path, call: Call) -> None:
    first = plain(site, "club.example")
    call("lists", "import", first, "--name", "own", "--category", "social_network", "--write")
    rows(open_site(site, "t"), ["club.example"], datetime(2026, 11, 12, 9, tzinfo=UTC))
    second = plain(site, "club.example", "new.example", name="second.txt")
    digest = hashlib.sha256(second.read_bytes()).hexdigest()
    url = second.as_uri()
    assert call("lists", "update", "own", "--url", url, "--sha256", "0" * 64, "--write")[0] == 6
    assert call("lists", "update", "own", "--url", url, "--write")[0] == 2
    assert call("lists", "update", "own", "--url", "http://x.example/", "--sha256", digest)[0] == 2
    assert call("lists", "update", "none", "--file", second)[0] == 13
    code, said = call("lists", "update", "own", "--url", url, "--sha256", digest, "--write")
    assert code == 0, said
    assert "1 entries more and 0 less" in said
    listed = ListFile.model_validate(yaml.safe_load((site / "lists" / "own.yaml").read_text()))
    assert [v.since for v in listed.versions] == [None, date(2026, 11, 13)]
    sites = open_site(site, "t").sites
    assert sites.on(date(2026, 11, 12)).match("new.example") is None
    assert sites.on(date(2026, 11, 13)).match("new.example") is not None
    assert len(list((site / "lists").glob("*.idx"))) == 2


def test_an_index_that_is_gone_is_named(site: Path, call: Call) -> None:
    call("lists", "import", plain(site, "a.example"), "--name", "own", "--category", "x", "--write")
    (index,) = (site / "lists").glob("*.idx")
    index.write_bytes(index.read_bytes()[:-1])
    with pytest.raises(BadConfiguration, match="is not whole"):
        open_site(site, "t")
    index.unlink()
    with pytest.raises(BadConfiguration, match="cannot be read"):
        open_site(site, "t")


def test_sensitive_in_any_list_wins(site: Path, call: Call) -> None:
    path = tar_of(site.parent / "ut1.tar.gz", {"x/sect/domains": "m.facebook.com\n"})
    assert call("lists", "import", path, "--name", "ut1", "--category", "social_network", "--write")[0] == 0  # fmt: skip
    ws = open_site(site, "t")
    classifier = Classifier(ws.sites, ws.categories, other_hosts=True)
    assert classifier.of("m.facebook.com") == classifier.of("deep.m.facebook.com") == Class()
    assert classifier.of("www.facebook.com").service == "facebook"
    told = json.loads(call("classify", "https://m.facebook.com/x?y", "--json")[1])
    assert told["sensitive"] is True
    assert told["stored"]["host"] == "other"
    assert "ut1 calls it so" in told["why"]


def test_the_settings_order_lists_and_say_what_their_words_mean(site: Path, call: Call) -> None:
    call("lists", "import", plain(site, "www.reddit.com"), "--name", "own", "--category", "messaging", "--write")  # fmt: skip
    text = (site / "fairwatch.yaml").read_text()
    assert open_site(site, "t").sites.match("www.reddit.com").service.category == "messaging"  # type: ignore[union-attr]
    for setting, category in (
        ("{name: own, below_shipped: true}", "forum_qa"),
        ("{name: own, categories: {messaging: gambling}}", "gambling"),
        ("{name: own, use: false}", "forum_qa"),
    ):
        (site / "fairwatch.yaml").write_text(f"{text}\nlists: [{setting}]\n")
        match = open_site(site, "t").sites.match("www.reddit.com")
        assert match
        assert (match.service.category, match.service.id, match.role) == (
            category,
            "reddit",
            "site",
        )


def test_classify_explains(site: Path, call: Call) -> None:
    call("lists", "import", plain(site, "reddit.com"), "--name", "own", "--category", "messaging", "--write")  # fmt: skip
    told = json.loads(call("classify", "WWW.Reddit.com:443", "--json")[1])
    assert (told["host"], told["registrable"]) == ("www.reddit.com", "reddit.com")
    assert [c["list"] for c in told["lists"]] == ["own", "shipped"]
    assert told["wins"]["category"] == "messaging"
    assert told["disputes"] == ["dispute: own says messaging, shipped says forum_qa (forum_qa)"]
    assert told["stored"]["category"] == "messaging"
    assert "no list gives it a category" in call("classify", "nowhere.example")[1]
    assert call("classify", "://")[0] == 2
    before = len([*open_site(site, "t").ledger.lines()])
    call("classify", "reddit.com")
    assert len([*open_site(site, "t").ledger.lines()]) == before, "nobody was looked at"


def test_disputes_are_visible(site: Path, call: Call) -> None:
    call("lists", "import", plain(site, "reddit.com"), "--name", "own", "--category", "messaging", "--write")  # fmt: skip
    ws = open_site(site, "t")
    at = NOW - timedelta(days=1)
    lake(ws, [page(at, device_category="other"), page(at, host="other", service=None,
         category=None, device_category="social_network")])  # fmt: skip
    told = json.loads(call("lists", "disputes", "--json")[1])
    by_host = {d["host"]: d for d in told["disputes"]}
    assert by_host["www.facebook.com"]["device"] == {"other": 1}
    assert by_host["reddit.com"]["others"] == {"shipped": "forum_qa"}
    assert told["unlisted"] == [{"device_category": "social_network", "rows": 1, "days": 1}]
    told = json.loads(call("classify", "www.facebook.com", "--json")[1])
    assert told["device"] == [{"device_category": "other", "rows": 1, "days": 1}]


@pytest.mark.parametrize(
    "words",
    [
        ("import", "nosuch", "--name", "x"),
        ("import", "people.csv", "--name", "../x"),
        ("import", "people.csv", "--name", "x", "--format", "no"),
        ("import", "people.csv", "--name", "x", "--map", "no"),
        ("import", "people.csv", "--name", "x", "--columns", "a=b"),
        ("update", "x"),
        ("update", "../x", "--file", "people.csv"),
    ],
)
def test_wrong_words_get_a_sentence(call: Call, words: tuple[str, ...]) -> None:
    assert call("lists", *words)[0] in (2, 4, 13)


def test_a_fetched_list_is_gone_afterwards(tmp_path: Path) -> None:
    path = plain(tmp_path / "s", "a.example")
    with fetched(path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest()) as copy:
        assert copy.read_bytes() == path.read_bytes()
    assert not copy.exists()
    with pytest.raises(FairwatchError), fetched("ftp://a.example/x", "0" * 64):
        pass


def test_a_bomb_of_empty_lines_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_BYTES", 100_000)
    path = tmp_path / "list.gz"
    path.write_bytes(gzip.compress(b"0.0.0.0 a.example\n" * 300 + b"\n" * 10_000))
    with pytest.raises(UnreadableInput, match="unpacks to more than"):
        read_list(path, Delivery())
