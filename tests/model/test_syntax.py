"""Identities, patterns and lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts_model.syntax import is_identity, is_list, is_pattern, matches

SEGMENTS = st.text("ab.-_@9", min_size=1, max_size=3).filter(lambda text: text not in (".", ".."))
IDENTITIES = st.lists(SEGMENTS, min_size=1, max_size=8).map("/".join)


@pytest.mark.req("TRUST-2")
@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a", True),
        ("a/b/c/d/e/f/g/h", True),
        ("a/b/c/d/e/f/g/h/i", False),
        ("x" * 63, True),
        ("x" * 64, False),
        ("/".join(["x" * 63] * 4), True),
        ("/".join(["x" * 63] * 4) + "/y", False),
        ("", False),
        ("/a", False),
        ("a/", False),
        ("a//b", False),
        ("a/./b", False),
        ("..", False),
        ("...", True),
        ("service-frontend_prod.1@cell", True),
        ("a b", False),
        ("a\n", False),
        ("é", False),
        ("*", False),
    ],
)
def test_identities(text: str, right: bool) -> None:
    assert is_identity(text) == right
    assert is_pattern(text) == (right or text == "*")


@pytest.mark.req("POLICY-1")
@pytest.mark.parametrize(
    ("pattern", "identity", "does"),
    [
        ("**", "a", True),
        ("**", "a/b/c", True),
        ("prod/**", "prod", False),
        ("prod/**", "prod/a", True),
        ("prod/**", "prod/a/b", True),
        ("prod/**", "produce/a", False),
        ("*/**", "a", False),
        ("*/**", "a/b", True),
        ("*", "a", True),
        ("*", "a/b", False),
        ("prod/*", "prod/a", True),
        ("prod/*/c", "prod/b/c", True),
        ("prod/*/c", "prod/b/d", False),
        ("prod/a", "prod/a", True),
        ("prod/a", "Prod/a", False),
        ("**/a", "x/a", False),
        ("a*", "ab", False),
        ("***", "a", False),
        ("", "", False),
    ],
)
def test_patterns(pattern: str, identity: str, does: bool) -> None:
    assert matches(pattern, identity) == does


@pytest.mark.req("POLICY-1")
@given(IDENTITIES, st.data())
def test_wildcards_put_into_an_identity_match_it(identity: str, data: st.DataObject) -> None:
    segments = identity.split("/")
    chosen = [data.draw(st.sampled_from([segment, "*"])) for segment in segments]
    assert matches("/".join(chosen), identity)
    cut = data.draw(st.integers(0, len(segments) - 1))
    assert matches("/".join([*chosen[:cut], "**"]), identity)
    assert not matches("/".join([*chosen, "**"]), identity)
    assert not matches("/".join([*chosen[:cut], "other"]), identity)


@pytest.mark.req("HS-3")
@pytest.mark.parametrize(
    ("entries", "right"),
    [
        (("a",), True),
        ((), False),
        (("a", "b", "a"), False),
        (tuple(map(str, range(16))), True),
        (tuple(map(str, range(17))), False),
        (("!" * 64, "~"), True),
        (("x" * 65,), False),
        (("",), False),
        (("a b",), False),
        (("\x7f",), False),
        (("a\n",), False),
    ],
)
def test_lists(entries: tuple[str, ...], right: bool) -> None:
    assert is_list(entries) == right
