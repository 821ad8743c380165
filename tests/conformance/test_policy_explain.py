"""`alts pki policy explain`: z3's answers against brute force, against exact reasoning without z3, and as printed."""

from __future__ import annotations

import argparse
import itertools
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alts import Category, Policy, Rule, matches
from alts._names import IDENTITY
from alts.policy import mallory, read_document, words
from alts_conformance import policy_explain
from alts_conformance.policy_explain import Grant, WrongAnswer, excess, who_may_issue
from tests.impl.policy_tools import PATTERNS, POLICIES

if TYPE_CHECKING:
    from pathlib import Path

# "z" is in no pattern and stands for every other segment; patterns of 3 segments at most: 4 show what `**` adds
SHORT = PATTERNS.filter(lambda pattern: pattern.count("/") < 3)
SHORT_POLICIES = POLICIES.filter(
    lambda policy: all(rule.issuer.count("/") < 3 > rule.identity.count("/") for rule in policy.rules)
)
IDENTITIES = ["/".join(parts) for n in range(1, 5) for parts in itertools.product(("a", "b", "prod", "z"), repeat=n)]


def brute(policy: Policy, category: Category) -> frozenset[tuple[str, str]]:
    """Every pair of the small alphabet that the evaluator's own function for patterns lets a rule allow."""
    pairs: set[tuple[str, str]] = set()
    for rule in policy.rules:
        if rule.category is category:
            issuers = [issuer for issuer in IDENTITIES if matches(rule.issuer, issuer)]
            pairs.update(itertools.product(issuers, [i for i in IDENTITIES if matches(rule.identity, i)]))
    return frozenset(pairs)


@pytest.mark.req("POLICY-1")
@settings(max_examples=60)
@given(a=SHORT_POLICIES, b=SHORT_POLICIES)
def test_looser_is_what_brute_force_says(a: Policy, b: Policy) -> None:
    found = {entry.rule.category for entry in excess(b, a)}
    assert found == {category for category in Category if brute(b, category) - brute(a, category)}


@pytest.mark.req("POLICY-1")
@given(a=POLICIES, b=POLICIES)
def test_looser_is_what_generic_words_say(a: Policy, b: Policy) -> None:
    """A second decision procedure: coverage by generic words, which uses no solver."""
    looser = {
        rule
        for rule in b.rules
        for issuer in words(rule.issuer)
        for identity in words(rule.identity)
        if not a.allows(issuer, rule.category, identity)
    }
    entries = excess(b, a)
    assert {entry.rule for entry in entries} == looser
    for entry in entries:
        pair = entry.example
        assert IDENTITY.fullmatch(pair.issuer)
        assert IDENTITY.fullmatch(pair.identity)
        assert b.allows(pair.issuer, entry.rule.category, pair.identity)
        assert not a.allows(pair.issuer, entry.rule.category, pair.identity)


@pytest.mark.req("POLICY-1")
@settings(max_examples=60)
@given(policy=SHORT_POLICIES, category=st.sampled_from(Category), pattern=SHORT)
def test_who_may_issue_is_what_brute_force_says(policy: Policy, category: Category, pattern: str) -> None:
    grants = who_may_issue(policy, category, pattern)
    granted = Policy(tuple(Rule(grant.issuer, category, grant.identity) for grant in grants))
    asked = {pair for pair in brute(policy, category) if matches(pattern, pair[1])}
    assert brute(granted, category) == asked
    for grant in grants:
        everything = {identity for identity in IDENTITIES if matches(pattern, identity)}
        assert grant.everything == all(matches(grant.identity, identity) for identity in everything)
        assert matches(pattern, grant.example.identity)
        assert policy.allows(grant.example.issuer, category, grant.example.identity)


def test_the_length_of_identities_is_part_of_the_question() -> None:
    long = "/".join(["x" * 63] * 3 + ["y" * 60])
    one = Policy((Rule("ca", Category.HUMAN, f"{long}/*"),))
    more = Policy((Rule("ca", Category.HUMAN, f"{long}/**"),))
    assert excess(more, one) == (), "a second segment would make the identity longer than 255 characters"
    shorter = long[:-1]
    one = Policy((Rule("ca", Category.HUMAN, f"{shorter}/*"),))
    more = Policy((Rule("ca", Category.HUMAN, f"{shorter}/**"),))
    (entry,) = excess(more, one)
    assert len(entry.example.identity) == 255


def test_when_no_segment_of_one_character_is_fresh() -> None:
    """The corner that generic words answer on the safe side: z3 is exact there too."""
    single = [chr(code) for code in range(33, 127) if IDENTITY.fullmatch(chr(code))]
    long = "/".join(["x" * 63] * 3 + ["y" * 61])
    a = Policy(tuple(Rule("ca", Category.HUMAN, f"{long}/{letter}") for letter in single))
    b = Policy((Rule("ca", Category.HUMAN, f"{long}/*"),))
    assert len(f"{long}/a") == 255
    assert excess(b, a) == ()
    assert excess(b, Policy(a.rules[1:]))[0].example.identity == f"{long}/{single[0]}"


def test_eight_segments_are_the_most() -> None:
    each = Policy(tuple(Rule("ca", Category.MACHINE, "/".join("*" * n)) for n in range(1, 9)))
    assert excess(Policy((Rule("ca", Category.MACHINE, "**"),)), each) == ()
    assert excess(Policy((Rule("ca", Category.MACHINE, "**"),)), Policy(each.rules[:-1]))


@pytest.mark.req("POLICY-3")
def test_mallory() -> None:
    strict, loosened = read_document(mallory.STRICT).policy, read_document(mallory.LOOSENED).policy
    assert [(g.issuer, g.identity) for g in who_may_issue(strict, Category.HUMAN, mallory.VICTIM)] == [
        ("ca", mallory.VICTIM)
    ]
    (entry,) = excess(loosened, strict)
    assert entry.rule.category is Category.HUMAN
    assert excess(strict, loosened) == ()


def test_an_answer_that_the_evaluator_does_not_confirm_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = read_document(mallory.STRICT).policy
    monkeypatch.setattr(Policy, "allows", lambda *_: False)
    with pytest.raises(WrongAnswer):
        who_may_issue(policy, Category.HUMAN, "corp/*")
    with pytest.raises(WrongAnswer):
        excess(policy, Policy(()))


def test_an_answer_that_leaves_somebody_out_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy((Rule("ca", Category.HUMAN, "a"), Rule("cb", Category.HUMAN, "a")))

    def forgetful(index: int, grants: list[Grant]) -> bool:
        return index == 1 and len(grants) == 2

    monkeypatch.setattr(policy_explain, "_part_of_another", forgetful)
    with pytest.raises(WrongAnswer, match="leaves out"):
        who_may_issue(policy, Category.HUMAN, "a")


def alts(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    policy_explain.add_arguments(parser)
    return policy_explain.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.mark.req("POLICY-1")
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = tmp_path / "a.toml", tmp_path / "b.toml"
    a.write_text(mallory.STRICT)
    b.write_text(mallory.LOOSENED)
    assert alts("check", a) == 0, "the other commands are here too"
    assert alts("key", tmp_path / "key") == 0
    assert alts("compile", b, "--key", tmp_path / "key", "--output", tmp_path / "b.alts") == 0
    capsys.readouterr()
    assert alts("explain", "who", a, "human", "corp/**") == 0
    shown = capsys.readouterr().out
    assert "ca: only corp/* (for example ca for corp/anyone)" in shown
    assert "nobody else" in shown
    assert alts("explain", "who", a, "machine", "**") == 0
    assert "nobody\n" in capsys.readouterr().out
    assert alts("explain", "who", a, "human", "corp/*", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["grants"][0]["everything"], answer["unverified"]) == (True, [])
    assert alts("explain", "who", tmp_path / "b.alts", "human", "corp/*", "--json") == 0
    assert json.loads(capsys.readouterr().out)["unverified"] == [str(tmp_path / "b.alts")]
    assert alts("explain", "who", tmp_path / "b.alts", "human", "corp/*") == 0
    assert "NOT VERIFIED" in capsys.readouterr().out
    (tmp_path / "cut.alts").write_bytes((tmp_path / "b.alts").read_bytes()[:-1])
    (tmp_path / "bad.toml").write_text("format = 1\n")
    for wrong in ("cut.alts", "bad.toml", "none"):
        assert alts("explain", "compare", a, tmp_path / wrong) == 3
        assert f"explain: {tmp_path / wrong}: " in capsys.readouterr().err
    assert alts("explain", "compare", a, tmp_path / "b.alts") == 1
    shown = capsys.readouterr().out
    assert "B is looser than A" in shown
    assert f"{tmp_path / 'b.alts'}: signature NOT VERIFIED" in shown
    assert f"{a}: signature" not in shown
    assert "only B lets anyone issue a human certificate for corp/anyone" in shown
    assert alts("explain", "compare", b, a) == 0
    assert "B is stricter than A" in capsys.readouterr().out
    assert alts("explain", "compare", a, a, "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "B allows exactly what A allows"
    assert alts("explain", "who", a, "human", "corp/a*") == 2
    assert alts("explain", "compare", a, tmp_path / "none") == 3
