"""Identities, patterns, policy, and the order in which a certificate is judged (SPEC 4.3 to 4.11)."""

from __future__ import annotations

import hashlib
import random
import re
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from alts import Category, ConfigurationError, Credential, ErrorCode, PeerViolation, Policy, Realm, Role, Rule, matches
from alts._names import IDENTITY, PATTERN
from alts._trust import verify_certificate
from alts_schema.certificate_pb2 import (
    HandshakeCertificate,
    HandshakeCertificateBody,
    MasterCertificate,
    MasterCertificateBody,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_800_000_000
HANDSHAKE, MASTER = b"openalts v1 handshake certificate\0", b"openalts v1 master certificate\0"
SEGMENT = st.sampled_from(["a", "b", "prod", "x.y", "s_1", "u@h", "..."])
IDENTITIES = st.lists(SEGMENT, min_size=1, max_size=8).map("/".join)
PATTERNS = st.builds(
    lambda parts, last: "/".join([*parts, last]),
    st.lists(SEGMENT | st.just("*"), max_size=7),
    SEGMENT | st.sampled_from(["*", "**"]),
)

FEW_IDENTITIES = st.sampled_from(["a", "b", "a/a", "a/b", "b/a"])
FEW_PATTERNS = st.sampled_from(["a", "*", "**", "a/b", "a/*", "*/a", "*/**"])  # nearly all of them match something


def by_regex(pattern: str, identity: str) -> bool:
    """A second reading of SPEC 4.4, by translation to a regular expression."""
    parts = []
    for part in pattern.split("/"):
        parts.append({"*": "[^/]+", "**": "[^/]+(?:/[^/]+)*"}.get(part, re.escape(part)))
    return re.fullmatch("/".join(parts), identity) is not None


@pytest.mark.req("POLICY-1")
@given(pattern=PATTERNS, identity=IDENTITIES)
def test_patterns_match_whole_segments(pattern: str, identity: str) -> None:
    assert PATTERN.fullmatch(pattern)
    assert IDENTITY.fullmatch(identity)
    assert matches(pattern, identity) == by_regex(pattern, identity)


@pytest.mark.req("TRUST-2")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/..",
        "a/./b",
        "a b",
        "é",
        "a\n",
        "a*",
        "x" * 64,
        "/".join("a" * 9),
        "*",
    ],
)
def test_what_is_no_identity(text: str) -> None:
    assert not IDENTITY.fullmatch(text)


@pytest.mark.req("TRUST-2")
def test_the_longest_identity() -> None:
    longest = "/".join(["x" * 63, "x" * 63, "x" * 63, "x" * 63])
    assert len(longest) == 255
    assert IDENTITY.fullmatch(longest)
    assert not IDENTITY.fullmatch(longest + "/y")


@pytest.mark.req("POLICY-1", "POLICY-3")
@pytest.mark.parametrize("pattern", ["**/a", "a/**/b", "a*", "***", "", "a//b"])
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ConfigurationError):
        Rule(pattern, Category.HUMAN, "**")
    with pytest.raises(ConfigurationError):
        Rule("ca", Category.HUMAN, pattern)


@pytest.mark.req("POLICY-1", "POLICY-3")
def test_policy_denies_by_default_and_needs_all_three() -> None:
    policy = Policy((Rule("ca/*", Category.MACHINE, "machine/**"),))
    assert policy.allows("ca/one", 2, "machine/a/b")
    assert not Policy(()).allows("ca/one", 2, "machine/a")
    assert not policy.allows("ca", 2, "machine/a")
    assert not policy.allows("ca/one", 3, "machine/a")
    assert not policy.allows("ca/one", 2, "machine")


@pytest.mark.req("POLICY-1", "POLICY-3")
@settings(max_examples=300)
@given(
    rules=st.lists(st.builds(Rule, FEW_PATTERNS, st.sampled_from([1, 2]).map(Category), FEW_PATTERNS), max_size=4),
    questions=st.lists(st.tuples(FEW_IDENTITIES, st.sampled_from([1, 2]), FEW_IDENTITIES), min_size=1, max_size=8),
)
def test_policy_is_any_of_its_rules(rules: list[Rule], questions: list[tuple[str, int, str]]) -> None:
    """Its index by first segments leaves out no rule and brings in none; and it answers the same when asked again."""
    policy = Policy(tuple(rules))
    for issuer, category, identity in questions * 2:
        expected = any(
            rule.category == category and matches(rule.issuer, issuer) and matches(rule.identity, identity)
            for rule in rules
        )
        assert policy.allows(issuer, category, identity) == expected


class Forge:
    """Certificates in which any field can be changed before each signature, or after."""

    def __init__(self) -> None:
        self.realm = Realm(random.Random(7).randbytes, NOW)
        self.master_key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

    def certificate(
        self,
        *,
        category: Category = Category.MACHINE,
        master: Callable[[MasterCertificateBody], Any] | None = None,
        body: Callable[[HandshakeCertificateBody], Any] | None = None,
        outer: Callable[[HandshakeCertificate], Any] | None = None,
    ) -> bytes:
        workload = category is Category.WORKLOAD
        end = NOW + 1000 if category is Category.HUMAN else 0
        base = MasterCertificateBody(
            version=1,
            category=Category(category).name,
            identity="cluster-master" if workload else "unit/one",
            issuer="cluster-master" if workload else "ca",
            verification_key_id=self.realm.signing_service.verification_key_id,
            not_before=NOW,
            not_after=end,
            revocation_id=(category << 56) + 1,
            scheme="ED25519",
            public_key=self.master_key.public_key().public_bytes_raw(),
            handshake_ciphers=["X25519_STATIC_SHA256"],
            workload_identities=["unit/*"] if workload else [],
        )
        if master:
            master(base)
        raw = base.SerializeToString(deterministic=True)
        signed = MasterCertificate(body=raw, signature=self.realm.signing_service.key.sign(MASTER + raw))
        master_raw = signed.SerializeToString(deterministic=True)
        leaf = HandshakeCertificateBody(
            version=1,
            category=Category(category).name,
            identity="unit/one",
            master_digest=hashlib.sha256(master_raw).digest(),
            not_before=NOW,
            not_after=end,
            revocation_id=(category << 56) + (1 if category is Category.HUMAN else 2),
            x25519_public_key=bytes([9]) + bytes(31),
            handshake_ciphers=["X25519_STATIC_SHA256"],
        )
        if body:
            body(leaf)
        raw = leaf.SerializeToString(deterministic=True)
        whole = HandshakeCertificate(body=raw, signature=self.master_key.sign(HANDSHAKE + raw), master=master_raw)
        if outer:
            outer(whole)
        return whole.SerializeToString(deterministic=True)

    def judge(self, raw: bytes, **options: Any) -> ErrorCode | None:
        """Return the code with which `raw` is refused, None if it is accepted."""
        merged: dict[str, Any] = {"trust": self.realm.trust(), "now": NOW + 5}
        merged |= {"role": Role.SERVER, "targets": frozenset()}
        merged |= options
        try:
            verify_certificate(raw, merged.pop("trust"), merged.pop("now"), **merged)
        except PeerViolation as violation:
            return violation.code
        return None


def put(name: str, value: Any) -> Callable[[Any], None]:
    return lambda message: setattr(message, name, value)


def replace(name: str, *values: str) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        del getattr(message, name)[:]
        getattr(message, name).extend(values)

    return change


M, W, H = Category.MACHINE, Category.WORKLOAD, Category.HUMAN
STRUCTURE: list[tuple[Category, dict[str, Callable[[Any], Any]]]] = [
    (M, {"master": put("version", 2)}),
    (M, {"body": put("version", 0)}),
    (M, {"master": put("category", 0), "body": put("category", 0)}),
    (M, {"master": put("category", 4)}),
    (M, {"master": put("identity", "a//b")}),
    (M, {"master": put("issuer", "")}),
    (M, {"master": put("verification_key_id", bytes(31))}),
    (M, {"master": put("scheme", 2)}),
    (M, {"master": put("public_key", bytes(31))}),
    (M, {"master": put("revocation_id", (3 << 56) + 1)}),
    (M, {"body": put("revocation_id", 2)}),
    (M, {"master": replace("workload_identities", "**")}),
    (W, {"master": replace("workload_identities")}),
    (W, {"master": replace("workload_identities", "a*")}),
    (W, {"body": put("identity", "unit/one/deeper")}),
    (M, {"body": put("identity", "unit/two")}),
    (M, {"body": put("category", 3)}),
    (H, {"body": put("revocation_id", (1 << 56) + 2)}),
    (H, {"master": put("not_after", 0)}),
    (H, {"master": put("not_after", NOW + 72001), "body": put("not_after", NOW + 10)}),
    (M, {"master": replace("handshake_ciphers")}),
    (M, {"body": replace("handshake_ciphers", "X25519_STATIC_SHA256", "OTHER")}),
    (M, {"body": replace("handshake_ciphers", "X25519_STATIC_SHA256", "X25519_STATIC_SHA256")}),
    (M, {"body": put("x25519_public_key", bytes(31))}),
    (M, {"body": put("boundary", "a/b")}),
    (M, {"body": put("master_digest", bytes(32))}),
    (M, {"body": put("not_before", NOW - 1)}),
    (M, {"master": put("not_after", NOW + 100)}),
    (M, {"master": put("not_after", NOW + 100), "body": put("not_after", NOW + 101)}),
    (M, {"body": put("not_after", NOW - 1)}),
    (M, {"outer": put("signature", bytes(63))}),
]


@pytest.mark.req("CRED-1", "CRED-2", "CRED-4", "TRUST-3", "ISSUE-5", "REVOKE-3", "REVOKE-5")
@pytest.mark.parametrize(("category", "changes"), STRUCTURE)
def test_structure_and_relation(category: Category, changes: dict[str, Any]) -> None:
    forge = Forge()
    role = Role.CLIENT if category is Category.HUMAN else Role.SERVER
    assert forge.judge(forge.certificate(category=category), role=role) is None
    assert forge.judge(forge.certificate(category=category, **changes), role=role) is ErrorCode.BAD_CERTIFICATE


@pytest.mark.req("CRED-2")
def test_size_and_encoding() -> None:
    forge = Forge()
    raw = forge.certificate()
    assert forge.judge(raw + b"\x3a\x00") is ErrorCode.BAD_CERTIFICATE  # unknown field 7
    assert forge.judge(raw + raw) is ErrorCode.BAD_CERTIFICATE
    assert forge.judge(raw[:-1]) is ErrorCode.BAD_CERTIFICATE
    assert forge.judge(b"") is ErrorCode.BAD_CERTIFICATE
    assert forge.judge(bytes(8193)) is ErrorCode.BAD_CERTIFICATE


@pytest.mark.req("CRED-4", "REVOKE-1", "REVOKE-6", "POLICY-3", "TRUST-5")
def test_the_first_step_that_fails_decides() -> None:
    forge = Forge()
    good = forge.realm.trust()
    everything_wrong = type(good)(good.verification_keys, Policy(()), lambda _: True)
    wrong_target = frozenset({"unit/two"})
    bad_signature = forge.certificate(outer=lambda whole: put("signature", bytes(64))(whole))
    raw = forge.certificate()
    assert forge.judge(raw, trust=type(good)({}, Policy(())), now=0) is ErrorCode.UNKNOWN_AUTHORITY
    assert forge.judge(bad_signature, trust=everything_wrong, now=NOW - 1) is ErrorCode.CERTIFICATE_EXPIRED
    assert forge.judge(bad_signature, trust=everything_wrong, targets=wrong_target) is ErrorCode.BAD_SIGNATURE
    assert forge.judge(raw, trust=everything_wrong, targets=wrong_target) is ErrorCode.POLICY_DENIED
    revoked = type(good)(good.verification_keys, forge.realm.policy, lambda _: True)
    assert forge.judge(raw, trust=revoked, targets=wrong_target) is ErrorCode.CERTIFICATE_REVOKED
    assert forge.judge(raw, targets=wrong_target) is ErrorCode.WRONG_IDENTITY
    assert forge.judge(raw, targets=wrong_target | {"unit/one"}) is None


@pytest.mark.req("CRED-4")
@pytest.mark.parametrize("context", [b"", MASTER])
def test_a_signature_over_another_context_is_none(context: bytes) -> None:
    forge = Forge()
    raw = forge.certificate(outer=lambda whole: put("signature", forge.master_key.sign(context + whole.body))(whole))
    assert forge.judge(raw) is ErrorCode.BAD_SIGNATURE


@pytest.mark.req("REVOKE-1")
@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOW - 1, ErrorCode.CERTIFICATE_EXPIRED),
        (NOW, None),
        (NOW + 99, None),
        (NOW + 100, ErrorCode.CERTIFICATE_EXPIRED),
    ],
)
def test_validity_to_the_second(now: int, expected: ErrorCode | None) -> None:
    forge = Forge()
    raw = forge.certificate(body=put("not_after", NOW + 100))
    assert forge.judge(raw, now=now) is expected


@pytest.mark.req("CRED-2")
def test_a_credential_needs_its_own_key() -> None:
    realm = Realm(random.Random(3).randbytes, NOW)
    one, two = realm.machine("m/one"), realm.machine("m/two")
    with pytest.raises(ConfigurationError):
        Credential(one.certificate, two.private_key)
    with pytest.raises(ConfigurationError):
        Credential(one.certificate[:-1], one.private_key)
