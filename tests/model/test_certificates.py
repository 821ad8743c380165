"""Certificates with one thing wrong, at both ends; the order of the steps of verification."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from alts_model import HUMAN, MACHINE, WORKLOAD, Credential, PolicyRule, build_handshake, build_master
from alts_model.primitives import ed25519_public, sha256, x25519_public
from tests.model.edits import PFS, STATIC, at_client, at_server, put
from tests.model.helpers import BACKEND, FRONTEND, REALM, client, edited, server

MASTER_SEED = REALM.derive("another master")
PRIVATE = REALM.derive("another key")


def certificate(
    *,
    category: int = WORKLOAD,
    identity: str = "prod/frontend",
    public: bytes | None = None,
    master: dict[str, Any] | None = None,
    **fields: Any,
) -> bytes:
    """A certificate with whatever is wrong about it."""
    ids = {"revocation_id": category << 56 | 0xABC}
    known = {
        "category": category,
        "identity": identity,
        "issuer": REALM.issuer,
        "public_key": ed25519_public(MASTER_SEED),
        "workload_identities": ("prod/*",) if category == WORKLOAD else (),
        **ids,
    }
    made = build_master(REALM.signing_seed, **{**known, **(master or {})})
    point = x25519_public(PRIVATE) if public is None else public
    given = {"category": category, "identity": identity, "x25519_public_key": point, **ids, **fields}
    return build_handshake(MASTER_SEED, made, **given)


TOO_LONG: dict[str, Any] = {"not_before": REALM.now, "not_after": REALM.now + 72001}
TOO_MANY = tuple(f"prod/{number}" for number in range(17))
REVOKED = {"revoked": frozenset({WORKLOAD << 56 | 0xABC})}
NOW = REALM.now

CERTIFICATES: list[tuple[str, bytes, dict[str, Any]]] = [
    ("BAD_CERTIFICATE", certificate(version=2), {}),
    ("BAD_CERTIFICATE", certificate(master={"version": 0}), {}),
    ("BAD_CERTIFICATE", certificate(identity="prod//frontend"), {}),
    ("BAD_CERTIFICATE", certificate(identity="prod/.."), {}),
    ("BAD_CERTIFICATE", certificate(identity="dev/frontend"), {}),
    ("BAD_CERTIFICATE", certificate(category=7), {}),
    ("BAD_CERTIFICATE", certificate(category=MACHINE, master={"category": WORKLOAD}), {}),
    ("BAD_CERTIFICATE", certificate(category=MACHINE, master={"identity": "prod/other"}), {}),
    ("BAD_CERTIFICATE", certificate(category=MACHINE, master={"workload_identities": ("**",)}), {}),
    ("BAD_CERTIFICATE", certificate(category=HUMAN), {}),
    ("BAD_CERTIFICATE", certificate(category=HUMAN, not_after=NOW + 1, master={"not_after": 72001 + NOW}), {}),
    ("BAD_CERTIFICATE", certificate(category=HUMAN, **TOO_LONG, master=TOO_LONG), {}),
    ("BAD_CERTIFICATE", certificate(revocation_id=1), {}),
    ("BAD_CERTIFICATE", certificate(master={"revocation_id": 1}), {}),
    ("BAD_CERTIFICATE", certificate(master={"issuer": ""}), {}),
    ("BAD_CERTIFICATE", certificate(master={"scheme": 2}), {}),
    ("BAD_CERTIFICATE", certificate(master={"public_key": bytes(31)}), {}),
    ("BAD_CERTIFICATE", certificate(master={"signature": bytes(63)}), {}),
    ("BAD_CERTIFICATE", certificate(master={"verification_key_id": bytes(31)}), {}),
    ("BAD_CERTIFICATE", certificate(master={"workload_identities": ()}), {}),
    ("BAD_CERTIFICATE", certificate(master={"workload_identities": TOO_MANY}), {}),
    ("BAD_CERTIFICATE", certificate(master={"workload_identities": ("prod/*", "a**")}), {}),
    ("BAD_CERTIFICATE", certificate(master={"workload_identities": ("**/frontend",)}), {}),
    ("BAD_CERTIFICATE", certificate(signature=bytes(65)), {}),
    ("BAD_CERTIFICATE", certificate(master_digest=bytes(32)), {}),
    ("BAD_CERTIFICATE", certificate(public=bytes(31)), {}),
    ("BAD_CERTIFICATE", certificate(boundary="a/b"), {}),
    ("BAD_CERTIFICATE", certificate(handshake_ciphers=(STATIC, PFS)), {}),
    ("BAD_CERTIFICATE", certificate(handshake_ciphers=()), {}),
    ("BAD_CERTIFICATE", certificate(not_before=5, not_after=4), {}),
    ("BAD_CERTIFICATE", certificate(master={"not_before": 1}), {}),
    ("BAD_CERTIFICATE", certificate(master={"not_after": NOW + 9}), {}),
    ("BAD_CERTIFICATE", certificate(not_after=NOW + 9, master={"not_after": NOW + 8}), {}),
    ("BAD_CERTIFICATE", certificate() + b"\x20\x01", {}),
    ("UNKNOWN_AUTHORITY", certificate(master={"verification_key_id": bytes(32)}), {}),
    ("UNKNOWN_AUTHORITY", certificate(), {"trust_anchors": {}}),
    ("CERTIFICATE_EXPIRED", certificate(not_after=NOW), {}),
    ("CERTIFICATE_EXPIRED", certificate(not_before=NOW + 1), {}),
    ("CERTIFICATE_EXPIRED", certificate(not_after=NOW - 2, master={"not_after": NOW - 1}), {}),
    ("BAD_SIGNATURE", certificate(signature=bytes(64)), {}),
    ("BAD_SIGNATURE", certificate(master={"signature": bytes(64)}), {}),
    ("BAD_SIGNATURE", certificate(master={"public_key": ed25519_public(bytes(32))}), {}),
    ("POLICY_DENIED", certificate(master={"issuer": "people/mallory"}), {}),
    ("POLICY_DENIED", certificate(), {"policy": ()}),
    ("POLICY_DENIED", certificate(), {"policy": (PolicyRule(REALM.issuer, MACHINE, "**"),)}),
    ("POLICY_DENIED", certificate(), {"policy": (PolicyRule(REALM.issuer, WORKLOAD, "prod/*/*"),)}),
    ("CERTIFICATE_REVOKED", certificate(revocation_id=WORKLOAD << 56), REVOKED),
    ("CERTIFICATE_REVOKED", certificate(master={"revocation_id": WORKLOAD << 56}), REVOKED),
    ("CERTIFICATE_REVOKED", certificate(), {"revoked": None}),
    ("WRONG_IDENTITY", certificate(), {"target_identities": frozenset({"prod/backend"})}),
    ("ILLEGAL_PARAMETER", certificate(master={"handshake_ciphers": (PFS,)}, handshake_ciphers=(PFS,)), {}),
    ("BAD_KEY_SHARE", certificate(public=bytes(32)), {}),
    ("BAD_KEY_SHARE", certificate(public=b"\x01" + bytes(31)), {}),
]


@pytest.mark.req(
    "CRED-1",
    "CRED-2",
    "CRED-4",
    "REVOKE-1",
    "REVOKE-3",
    "REVOKE-6",
    "POLICY-1",
    "POLICY-2",
    "POLICY-3",
    "TRUST-2",
    "HS-1",
)
@pytest.mark.parametrize(("name", "wrong", "changes"), CERTIFICATES)
def test_certificates_at_both_ends(name: str, wrong: bytes, changes: dict[str, Any]) -> None:
    assert at_server(put(certificate=wrong), **changes).name == name
    assert at_client(put(certificate=wrong), **changes).name == name


@pytest.mark.req("CRED-1", "CRED-2", "REVOKE-2", "POLICY-1")
@pytest.mark.parametrize(
    ("good", "changes"),
    [
        (certificate(), {}),
        (certificate(category=MACHINE), {}),
        (certificate(not_before=NOW, not_after=NOW + 1, master={"not_after": NOW + 1}), {}),
        (certificate(boundary="dc1"), {"policy": (PolicyRule("**", WORKLOAD, "*/frontend"),)}),
        (certificate(identity="a/b/c/d/e/f/g/h", master={"workload_identities": ("a/**",)}), {}),
    ],
)
def test_certificates_that_are_right(good: bytes, changes: dict[str, Any]) -> None:
    other = server(**changes)
    other.receive(edited(client().start(), put(certificate=good)))
    assert other.state == "WAIT_CLIENT_FINISHED"


@pytest.mark.req("TRUST-3", "ISSUE-5")
def test_humans_are_clients_only() -> None:
    times: dict[str, Any] = {"not_before": NOW, "not_after": NOW + 72000}
    human = certificate(category=HUMAN, master=dict(times), **times)
    credential = Credential(human, PRIVATE)
    other = server()
    other.receive(client(credential=credential).start())
    assert other.state == "WAIT_CLIENT_FINISHED"
    assert at_client(put(certificate=human)).name == "CATEGORY_REFUSED"
    elsewhere = certificate(category=HUMAN, master=dict(times), **times, revocation_id=HUMAN << 56 | 1)
    assert at_server(put(certificate=elsewhere)).name == "BAD_CERTIFICATE"


@pytest.mark.req("CRED-4", "POLICY-3", "REVOKE-6", "TRUST-2")
def test_the_first_step_that_fails_decides() -> None:
    """SPEC.md 4.9: a certificate with everything wrong is told apart step by step."""
    everything: dict[str, Any] = {
        "trust_anchors": {},
        "now": 2 * NOW,
        "policy": (),
        "revoked": None,
        "target_identities": frozenset({"prod/else"}),
    }
    right = {"trust_anchors": REALM.trust_anchors, "now": NOW, "policy": REALM.policy, "revoked": frozenset[int]()}
    found = []
    times: dict[str, Any] = {"not_before": NOW, "not_after": NOW + 5}
    forged = certificate(**times, master=dict(times), signature=bytes(64))
    genuine = certificate(**times, master=dict(times))
    for name in ("trust_anchors", "now", "signature", "policy", "revoked"):
        wrong = genuine if name in ("policy", "revoked") else forged
        found.append(at_client(put(certificate=wrong), **everything).name)
        if name == "signature":
            continue
        everything[name] = right[name]
    found.append(at_client(put(certificate=genuine), **everything).name)
    assert found == [
        "UNKNOWN_AUTHORITY",
        "CERTIFICATE_EXPIRED",
        "BAD_SIGNATURE",
        "POLICY_DENIED",
        "CERTIFICATE_REVOKED",
        "WRONG_IDENTITY",
    ]


@pytest.mark.req("CRED-4")
def test_ids_of_verification_keys_are_digests() -> None:
    (key_id,) = REALM.trust_anchors
    assert key_id == sha256(REALM.trust_anchors[key_id])
    assert replace(FRONTEND) != BACKEND
