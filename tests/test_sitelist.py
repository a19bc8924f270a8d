"""Which service a host belongs to: the longest suffix on a label boundary, the customer's list first."""

from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from config.document import read
from config.lists.listfile import SENSITIVE
from config.policy import BLOCKED_HOST, Blocked, Policy
from config.sitelist import SiteFile, SiteList, shipped, site_list
from errors import BadConfiguration

OWN = """\
version: own-1
source: us
services:
- id: intranet
  service: Intranet
  category: work
  roles: {site: [facebook.com, intra.example.org], asset: [static.intra.example.org]}
"""
B3 = read(ROOT / "config/policies/b3.yaml", Policy)


def service(sites: SiteList, host: str) -> str | None:
    match = sites.match(host)
    return f"{match.service.id}/{match.role}" if match else None


def blocking(*hosts: str) -> Policy:
    return B3.model_copy(update={"blocked": [Blocked(hosts=list(hosts))]})


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("facebook.com", "facebook/site"),
        ("www.facebook.com", "facebook/site"),
        ("WWW.Facebook.COM.", "facebook/site"),
        ("de-de.facebook.com", "facebook/site"),
        ("graph.facebook.com", "facebook/api"),
        ("eu.graph.facebook.com", "facebook/api"),
        ("scontent-lhr8-1.xx.fbcdn.net", "facebook/asset"),
        ("connect.facebook.net", "facebook/embed"),
        ("notfacebook.com", None),
        ("facebook.com.evil.example", None),
        ("facebook.co", None),
        ("com", None),
        ("", None),
        (".", None),
        ("10.20.1.12", None),
        ("2402:d000::1", None),
    ],
)
def test_shipped(host: str, expected: str | None) -> None:
    assert service(site_list([], []), host) == expected


def test_the_shipped_list_is_sound() -> None:
    listed = shipped()
    ids = [s.id for s in listed.services]
    assert len(ids) == len(set(ids))
    places = [name for s in listed.services for names in s.roles.values() for name in names]
    assert all(name == name.lower().strip(".") and "/" not in name for name in places)
    twice = {name for name in places if places.count(name) > 1}
    assert not twice, "a host in two services or roles: only the first would count"
    for one in listed.services:
        for path in (*one.embed_paths, *one.share_paths):
            assert path.startswith("/")


def test_the_policies_name_categories_that_exist() -> None:
    known = {s.category for s in shipped().services} | {BLOCKED_HOST}
    for path in (ROOT / "config/policies").glob("*.yaml"):
        named = read(path, Policy).named_categories()
        assert not named & SENSITIVE
        assert named & known, path


def test_the_customers_list_wins_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "sites.yaml").write_text(OWN)
    sites = site_list([tmp_path / "sites.yaml"], [])
    assert service(sites, "www.facebook.com") == "intranet/site", "although it is the shorter one"
    assert service(sites, "static.intra.example.org") == "intranet/asset"
    assert service(sites, "x.static.intra.example.org") == "intranet/asset"
    assert service(sites, "instagram.com") == "instagram/site"
    assert sites.name("intranet") == "Intranet"
    assert sites.name("unheard-of") == "unheard-of"


def test_the_policys_block_list() -> None:
    sites = site_list([], [blocking("games.example", "www.facebook.com")])
    match = sites.match("play.games.example")
    assert match
    assert (match.service.id, match.service.category) == ("games.example", BLOCKED_HOST)
    assert service(sites, "www.facebook.com") == "www.facebook.com/site"
    assert service(sites, "m.facebook.com") == "facebook/site"
    assert service(sites, "notgames.example") is None


def test_the_version_tells_lists_apart(tmp_path: Path) -> None:
    (tmp_path / "sites.yaml").write_text(OWN)
    plain, own = site_list([], []), site_list([tmp_path / "sites.yaml"], [])
    (tmp_path / "sites.yaml").write_text(OWN.replace("intra.", "extra."))
    other = site_list([tmp_path / "sites.yaml"], [])
    assert plain.version == site_list([], []).version
    assert len({plain.version, own.version, other.version}) == 3
    assert own.version.startswith("own-1+")


def test_a_fault_in_a_list_is_named(tmp_path: Path) -> None:
    (tmp_path / "sites.yaml").write_text(OWN.replace("asset:", "assets:"))
    with pytest.raises(BadConfiguration, match=r"sites\.yaml, line 7, key `services\.0\.roles"):
        site_list([tmp_path / "sites.yaml"], [])


LABEL = st.text("abc-1", min_size=1, max_size=6)


@given(st.lists(LABEL, max_size=4))
def test_any_host_below_a_listed_one_belongs_to_it(labels: list[str]) -> None:
    sites = SiteList([SiteFile(version="1", source="t", services=[_SERVICE])], "1")
    host = ".".join([*labels, "deep.listed.example"])
    match = sites.match(host)
    assert match and match.role == "asset"
    glued = sites.match("x" + "deep.listed.example")
    assert glued and glued.role == "site"
    assert sites.match("notlisted.example") is None


_SERVICE = (
    shipped()
    .services[0]
    .model_copy(
        update={"id": "l", "roles": {"site": ["listed.example"], "asset": ["deep.listed.example"]}}
    )
)
