"""What a path says of a request: by its service's own paths, else by what stands in it."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.sitelist import Service
from ingest.paths import ROLES, bare, path_roles

EMBED = ["/tr", "/plugins", "/v*/plugins", "/p/*/embed", "/pre*", "/both"]
SHARE = ["/sharer.php", "/both"]


def service(**more: object) -> Service:
    plain: dict[str, object] = {"id": "s", "service": "S", "category": "social_network"}
    return Service.model_validate({**plain, "roles": {"site": ["s.example"]}, **more})


ONE = service(embed_paths=EMBED, share_paths=SHARE)
PLAIN = service()


def roles_of(paths: list[str], services: list[Service], of: list[int]) -> list[str]:
    roles = path_roles(pa.array(paths, pa.string()), np.array(of, np.int64), services)
    found: list[str] = ROLES.take(pa.array(roles)).to_pylist()
    return found


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/", "page"),
        ("", "page"),
        ("/tr", "embed"),
        ("/tr/", "embed"),
        ("/trending", "page"),
        ("/x/tr", "page"),
        ("/plugins/like.php", "embed"),
        ("/v21.0/plugins", "embed"),
        ("/v21.0/plugins/like.php", "embed"),
        ("/v21.0/x/plugins", "page"),
        ("/p/abc/embed", "embed"),
        ("/p/abc/embed/captioned", "embed"),
        ("/p/embed", "page"),
        ("/p/a/b/embed", "page"),
        ("/sharer.php", "share"),
        ("/sharerXphp", "page"),
        ("/pre", "embed"),
        ("/prefix/deep", "embed"),
        ("/both", "embed"),
    ],
)
def test_path_roles(path: str, role: str) -> None:
    assert roles_of([path], [ONE], [0]) == [role]


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/app.JS", "file"),
        ("/a.css/b", "page"),
        ("/login/OAuth2/start", "share"),
        ("/sso", "share"),
        ("/ssology", "page"),
        ("/saml/x.png", "share"),
        ("/tr", "page"),
    ],
)
def test_paths_of_any_service(path: str, role: str) -> None:
    assert roles_of([path], [PLAIN], [0]) == [role]


PIECES = st.sampled_from(
    ["tr", "tR", "plugins", "v2", "p", "embed", "pre", "both", "sharer.php", "sso", "oauth2", "a.js", "x.é", ""]
)  # fmt: skip
PATHS = st.lists(PIECES, max_size=4).map(lambda some: "/" + "/".join(some))


@given(st.lists(st.tuples(PATHS, st.sampled_from([0, 1])), max_size=30))
def test_each_path_is_judged_by_its_own_service(rows: list[tuple[str, int]]) -> None:
    paths, of = [path for path, _ in rows], [one for _, one in rows]
    every = [ONE, PLAIN]
    alone = [roles_of([path], [every[one]], [0])[0] for path, one in rows]
    assert roles_of(paths, every, of) == alone


@given(st.lists(st.text(st.sampled_from("/a?#;é."), max_size=12), max_size=20), st.integers(0, 3))
def test_bare_ends_where_a_query_begins(texts: list[str], skipped: int) -> None:
    paths = pa.array(["/x?y"] * skipped + texts, pa.string())[skipped:]
    assert bare(paths).to_pylist() == [re.split("[?#;]", text, maxsplit=1)[0] for text in texts]
