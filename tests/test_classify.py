"""What is stored of a host: its service where a policy names its category, else nothing."""

import socket
from time import perf_counter
from typing import NoReturn

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from config.document import read
from config.lists.hosts import registrable
from config.lists.listfile import SENSITIVE
from config.policy import Policy
from config.sitelist import Service, SiteFile, SiteList, shipped, site_list
from ingest.classify import Class, Classifier
from ingest.events import host_of

B3 = read(ROOT / "config/policies/b3.yaml", Policy)
SITES = site_list([], [B3])
NAMED = B3.named_categories()
EVERY = frozenset(s.category for s in shipped().services)


def service(**more: object) -> Service:
    plain: dict[str, object] = {"id": "s", "service": "S", "category": "social_network"}
    return Service.model_validate({**plain, "roles": {"site": ["s.example"]}, **more})


def test_a_named_category_is_stored_under_its_names() -> None:
    assert Classifier(SITES, NAMED).of("m.facebook.com") == Class(
        "m.facebook.com", "facebook", "site", "social_network"
    )


@pytest.mark.parametrize(
    "host", ["nhs.uk", "www.bbc.co.uk", "notfacebook.com", "10.0.0.1", "::1", "", "localhost"]
)
def test_everything_else_is_other(host: str) -> None:
    assert Classifier(SITES, NAMED).of(host) == Class()


def test_a_listed_service_no_policy_names_is_other() -> None:
    assert Classifier(SITES, {"gambling"}).of("www.facebook.com") == Class()


SECRET = [s for s in shipped().services if s.sensitive or s.category in SENSITIVE]


@pytest.mark.parametrize("one", SECRET, ids=lambda s: s.id)
@pytest.mark.parametrize("other_hosts", [False, True])
def test_a_sensitive_service_is_never_named(one: Service, other_hosts: bool) -> None:
    classifier = Classifier(SITES, EVERY | SENSITIVE, other_hosts=other_hosts)
    for host in [name for names in one.roles.values() for name in names]:
        assert classifier.of(host) == Class()
        assert classifier.of(f"www.{host}") == Class()


@pytest.mark.parametrize("category", sorted(SENSITIVE))
def test_a_sensitive_category_is_never_named(category: str) -> None:
    layer = SiteFile(version="1", source="own", services=[service(category=category)])
    assert Classifier(SiteList([layer], "1"), {category}).of("s.example") == Class()


@pytest.mark.parametrize(
    "authority",
    [
        "www.samaritans.org..",
        "a@b@www.samaritans.org",
        "www.samaritans%2Eorg",
        "%77ww.%73amaritans.org",
        "www.samaritans.org%20",
        "www.samaritans.org,",
        "www.samaritans.org\\x",
        "www.samaritans.org:99999999",
        "(www.samaritans.org)",
        "::1%samaritans.org",
        "_ü.samaritans。org",
        f"{'a' * 70}.samaritans\uff0eorg",
        "\uff57ww.\uff53amaritan\uff53.org",
        "www.samari\u00adtans.org",
    ],
)
def test_a_sensitive_host_is_not_known_by_an_odd_spelling(authority: str) -> None:
    classifier = Classifier(SITES, NAMED, other_hosts=True, device_decides=True)
    host = host_of(authority)[0] or ""
    assert classifier.of(host) == Class()
    assert classifier.by_device(host, "social_network") == Class()


@pytest.mark.parametrize(
    "authority", ["x@www.samaritans.org@www.facebook.com", "samaritans.org%2e.facebook.com"]
)
def test_a_named_service_lends_its_name_to_no_odd_host(authority: str) -> None:
    found = Classifier(SITES, NAMED).of(host_of(authority)[0] or "")
    assert found.service == "facebook"
    assert "samaritans" not in found.host


def test_a_host_of_any_length_costs_little() -> None:
    classifier = Classifier(SITES, NAMED, other_hosts=True)
    start = perf_counter()
    for number in range(20):
        assert classifier.of(f"{number}.{'a.' * 32_000}samaritans.org") == Class()
    assert classifier.of(f"{'a.' * 32_000}facebook.com").service == "facebook"
    assert perf_counter() - start < 2


def test_other_hosts_are_kept_by_their_registrable_domain_where_asked_for() -> None:
    classifier = Classifier(SITES, NAMED, other_hosts=True)
    assert classifier.of("www.news.bbc.co.uk") == Class("bbc.co.uk")
    assert classifier.of("10.0.0.1") == Class("10.0.0.1")


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.bbc.co.uk", "bbc.co.uk"),
        ("a.b.example.com", "example.com"),
        ("localhost", "localhost"),
        ("::1", "::1"),
        ("co.uk", "co.uk"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_registrable(host: str, domain: str) -> None:
    assert registrable(host) == domain


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network was asked")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    classifier = Classifier(SITES, NAMED, other_hosts=True)
    for host in ("never-seen-before.co.uk", "www.unknown.zz", "facebook.com", "a.b.c.museum"):
        classifier.of(host)


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("www.facebook.com", ("www.facebook.com", None)),
        ("WWW.Facebook.com.:443", ("www.facebook.com", 443)),
        ("ann:pass@facebook.com:80", ("facebook.com", 80)),
        ("[2402:d000::1]:443", ("2402:d000::1", 443)),
        ("[::1]", ("::1", None)),
        ("2402:d000::1", (None, None)),
        (":443", (None, None)),
        ("", (None, None)),
        ("host:port", (None, None)),
        ("host:123456", (None, None)),
    ],
)
def test_host_of(authority: str, expected: tuple[str | None, int | None]) -> None:
    assert host_of(authority) == expected


@given(st.text())
def test_no_host_breaks_it(host: str) -> None:
    answer = Classifier(SITES, NAMED).of(host)
    assert answer == Class() or answer.service
    host_of(host)
