"""Reasoning about identity patterns agrees with brute force over all identities of a small alphabet (SPEC 4.4)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alts import Rule, matches
from alts._names import IDENTITY
from alts.policy import covers, fresh, intersect, literals_of, realise, shortest_fresh, words
from alts.policy._document import CATEGORIES
from alts.policy._lint import _Index
from tests.impl.policy_tools import PATTERNS, RULES

# "z" is no literal of PATTERNS: it stands for all others. Patterns have at most 4 segments: 5 show what `**` adds.
IDENTITIES = ["/".join(parts) for n in range(1, 6) for parts in itertools.product(("a", "b", "prod", "z"), repeat=n)]


def matched(pattern: str) -> frozenset[str]:
    return frozenset(identity for identity in IDENTITIES if matches(pattern, identity))


@pytest.mark.req("POLICY-1")
@given(wide=PATTERNS, narrow=PATTERNS)
@example(wide="*/**", narrow="**")
@example(wide="**", narrow="*/**")
def test_coverage_of_patterns(wide: str, narrow: str) -> None:
    assert covers(wide, narrow) == (matched(narrow) <= matched(wide))


@pytest.mark.req("POLICY-1")
@given(first=PATTERNS, second=PATTERNS)
@example(first="a/**", second="*/b")
@example(first="a/**", second="a")
@example(first="*/**", second="a/**")
def test_the_intersection_of_two_patterns_is_a_pattern(first: str, second: str) -> None:
    common = intersect(first, second)
    both = matched(first) & matched(second)
    assert (frozenset() if common is None else matched(common)) == both


@pytest.mark.req("POLICY-1")
@given(rules=st.lists(RULES, min_size=1, max_size=6))
def test_a_rule_is_called_redundant_only_and_always_when_the_others_allow_all_of_it(rules: list[Rule]) -> None:
    index = _Index(rules)
    small = [identity for identity in IDENTITIES if identity.count("/") < 5]
    for number, rule in enumerate(rules, 1):
        codes = [code for code, _ in index.redundant(number, rule)]
        if rule in rules[: number - 1]:
            assert codes == ["duplicate-rule"]
            continue
        others = [other for other in rules if other != rule and other.category is rule.category]
        issuers = [issuer for issuer in small if matches(rule.issuer, issuer)][:400]
        identities = [identity for identity in small if matches(rule.identity, identity)]
        # an issuer matters only by the set of rules that it satisfies
        groups = {frozenset(o for o in others if matches(o.issuer, issuer)) for issuer in issuers}
        all_allowed = all(
            any(matches(o.identity, identity) for o in group) for group in groups for identity in identities
        )
        if codes == ["unreachable-rule"] or len(issuers) < 400:
            assert (codes == ["unreachable-rule"]) == all_allowed


def test_identities_have_bounds_and_so_have_words() -> None:
    assert [word.count("/") + 1 for word in words("a/**")] == [2, 3, 4, 5, 6, 7, 8]
    long = "/".join(["x" * 63] * 3 + ["y" * 60])
    assert [len(word) for word in words(f"{long}/**")] == [254], "one segment more fits, two do not"
    assert covers(f"{long}/*", f"{long}/**")
    assert intersect(f"{long}/**", "*/*/*/*/*/*") is None
    assert covers("/".join("*" * 8), "*/" * 7 + "**")
    eight = ["/".join("*" * n) for n in range(2, 9)]
    assert all(any(matches(pattern, word) for pattern in eight) for word in words("*/**"))


@given(literals=st.frozensets(st.sampled_from(["a", "anyone", "other", "x", "y", "z", "b"])))
def test_a_fresh_segment_is_none_of_the_literals(literals: frozenset[str]) -> None:
    for segment in (fresh(literals), shortest_fresh(literals)):
        assert segment not in literals
        assert IDENTITY.fullmatch(segment)


def test_when_every_single_character_is_spelled_out_the_shortest_fresh_segment_has_two() -> None:
    single = {chr(code) for code in range(33, 127) if IDENTITY.fullmatch(chr(code))}
    assert len(single) == 65
    assert len(shortest_fresh(single)) == 2


@given(pattern=PATTERNS)
def test_words_stand_for_identities(pattern: str) -> None:
    for word in words(pattern):
        identity = realise(word, literals_of([pattern]))
        assert identity is not None
        assert IDENTITY.fullmatch(identity)
        assert matches(pattern, identity)


def test_the_categories_of_documents_are_those_of_certificates() -> None:
    assert sorted(CATEGORIES) == ["human", "machine", "workload"]
