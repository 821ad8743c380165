"""Mallory, a corporate user, is stopped by the peer's policy check and by nothing else (POLICY-3)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from alts import Category, ErrorCode, Policy, Realm
from alts.policy import check, mallory, read_document

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000


@pytest.fixture
def realm() -> Realm:
    return Realm(random.Random(1).randbytes, NOW)


@pytest.mark.req("POLICY-2", "POLICY-3", "ISSUE-2")
def test_the_signing_service_signs_and_names_mallory_and_the_peer_refuses(realm: Realm) -> None:
    credential = mallory.forged_credential(realm)
    assert credential.parsed.master_body.issuer == mallory.MALLORY
    assert credential.identity == mallory.VICTIM
    ended = mallory.attempt(realm, credential, read_document(mallory.STRICT).policy)
    assert not ended.completed
    assert ended.error is not None
    assert ended.error.code is ErrorCode.POLICY_DENIED
    assert ended.error.requirements == ("POLICY-3",)


@pytest.mark.req("POLICY-3")
def test_with_the_rule_loosened_the_same_certificate_gets_in(realm: Realm) -> None:
    credential = mallory.forged_credential(realm)
    ended = mallory.attempt(realm, credential, read_document(mallory.LOOSENED).policy)
    assert ended.peer is not None
    assert (ended.peer.identity, ended.peer.issuer) == (mallory.VICTIM, mallory.MALLORY)
    assert ended.peer.category is Category.HUMAN


@pytest.mark.req("POLICY-1", "POLICY-3")
def test_the_real_administrator_gets_in_and_an_empty_policy_stops_everybody(realm: Realm) -> None:
    honest = realm.human(mallory.VICTIM)
    assert mallory.attempt(realm, honest, read_document(mallory.STRICT).policy).completed
    ended = mallory.attempt(realm, honest, Policy(()))
    assert ended.error is not None
    assert ended.error.code is ErrorCode.POLICY_DENIED


def test_the_lint_sees_what_makes_the_loosened_policy_dangerous() -> None:
    assert check(mallory.STRICT) == ()
    assert {finding.code for finding in check(mallory.LOOSENED)} == {"any-issuer", "human-issuer", "user-as-issuer"}


@pytest.mark.req("POLICY-1", "POLICY-2", "POLICY-3")
def test_the_walk_through(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    steps = mallory.walk_through(tmp_path, random=random.Random(2).randbytes, now=NOW)
    assert [step.right for step in steps] == [True] * 5
    assert "POLICY_DENIED" in steps[2].text
    assert "accepted as corp/network-admin" in steps[3].text
    assert "POLICY_DENIED" in steps[4].text
