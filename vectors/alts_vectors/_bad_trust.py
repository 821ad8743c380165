"""Certificates that do not belong together, or that a verifier must not trust, as data (SPEC 4.8 to 4.11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from alts_model.primitives import ed25519_public

from . import _wire
from ._bad import RELATION, Bad, bad_form, clauses
from ._world import CIPHER, HOUR, HUMAN, ISSUER, MACHINE, NOW, RESERVED_CIPHER, WORKLOAD, Chain, Patch, World


def relation(world: World) -> Iterator[Bad]:
    chain, machine = world.chain("test/frontend"), world.chain("test/machine", MACHINE)
    human = world.chain("test/alice", HUMAN)
    theft = "Whoever steals this master key could otherwise sign for {}."
    pairs: dict[str, tuple[Chain, str, tuple[str, ...]]] = {
        "digest": (
            chain.but(handshake={"master_digest": bytes(32)}),
            "The certificate was derived from another master.",
            ("CRED-2",),
        ),
        "digest-short": (chain.but(handshake={"master_digest": b""}), "No digest.", ("CRED-2",)),
        "category": (
            chain.but(
                master={"identity": "test/frontend"},
                handshake={"category": MACHINE, "revocation_id": MACHINE << 56 | 9},
            ),
            theft.format("entities of another kind"),
            ("TRUST-3",),
        ),
        "machine-identity": (
            machine.but(handshake={"identity": "test/other-machine"}),
            theft.format("another machine"),
            ("TRUST-3", "ISSUE-6"),
        ),
        "human-identity": (
            human.but(handshake={"identity": "test/bob"}),
            theft.format("another user"),
            ("TRUST-3", "ISSUE-5"),
        ),
        "human-revocation-id": (
            human.but(handshake={"revocation_id": HUMAN << 56 | 0x777}),
            "A human's certificates share one ID, or revoking the master would leave this.",
            ("REVOKE-5",),
        ),
        "workload-outside-patterns": (
            chain.but(master={"workload_identities": ("test/backend", "other/**", "test/*/x")}),
            theft.format("every workload"),
            ("ISSUE-7", "TRUST-3"),
        ),
        "workload-double-star-needs-one": (
            chain.but(master={"workload_identities": ("test/frontend/**",)}),
            "'**' is one segment or more, not none.",
            ("ISSUE-7",),
        ),
        "workload-star-is-one": (
            world.chain("test/a/b").but(master={"workload_identities": ("test/*",)}),
            "'*' is exactly one segment.",
            ("ISSUE-7",),
        ),
        "workload-prefix": (
            world.chain("test/frontend-evil").but(master={"workload_identities": ("test/frontend",)}),
            "Segments are compared whole, not as prefixes.",
            ("ISSUE-7",),
        ),
        "workload-case": (
            world.chain("test/Frontend").but(master={"workload_identities": ("test/frontend",)}),
            "Identities are compared byte by byte.",
            ("TRUST-2",),
        ),
        "cipher-beyond-master": (
            chain.but(handshake={"handshake_ciphers": (CIPHER, RESERVED_CIPHER)}),
            "The master limits the ciphers.",
            ("CRED-2",),
        ),
        "begins-before-master": (
            machine.but(handshake={"not_before": NOW - HOUR - 1}),
            "Validity nests.",
            ("REVOKE-1",),
        ),
        "ends-after-master": (
            machine.but(handshake={"not_after": NOW + 47 * HOUR + 1}),
            "Validity nests.",
            ("REVOKE-1",),
        ),
        "never-ends-master-does": (
            machine.but(handshake={"not_after": 0}),
            "No expiry is later than every other.",
            ("REVOKE-1", "REVOKE-2"),
        ),
    }
    for name, (spoilt, reason, requirements) in pairs.items():
        yield bad_form(
            f"relation-{name}",
            spoilt,
            f"master and handshake certificate: {name}",
            reason,
            "4.8",
            RELATION,
            requirements=requirements,
        )


def trust(world: World) -> Iterator[Bad]:
    chain, machine, human = (
        world.chain("test/frontend"),
        world.chain("test/machine", MACHINE),
        world.chain("test/alice", HUMAN),
    )
    certificate = chain.build()
    other = world.derive("another signing service")

    def bad(name: str, raw: bytes, error: str, reason: str, flag: str, *ids: str, **more: Any) -> Bad:
        clause = {"UNKNOWN_AUTHORITY": "4.5", "POLICY_DENIED": "4.10", "CERTIFICATE_REVOKED": "4.11"}.get(error, "4.9")
        return Bad(name, raw, error, name.replace("-", " "), reason, clauses(clause), (flag,), ids, **more)

    foreign = chain.but(signing_seed=other)
    unknown = "UnknownAuthority"
    yield bad(
        "authority-unknown", foreign.build(), "UNKNOWN_AUTHORITY", "Another realm's Signing Service.", unknown, "CRED-4"
    )
    yield bad(
        "authority-none-known",
        certificate,
        "UNKNOWN_AUTHORITY",
        "A verifier without anchors trusts nobody.",
        unknown,
        "CRED-4",
        trust={"trust_anchors": ()},
    )
    expired = "CERTIFICATE_EXPIRED"
    ends = {"not_after": NOW}
    yield bad(
        "expired-now",
        machine.but(master=ends, handshake=ends).build(),
        expired,
        "not_after itself is no longer valid.",
        "Expiry",
        "REVOKE-1",
    )
    yield bad(
        "expired-handshake-only",
        machine.but(handshake=ends).build(),
        expired,
        "The handshake certificate ended, its master did not.",
        "Expiry",
        "REVOKE-1",
        "CRED-5",
    )
    begins = {"not_before": NOW + 1}
    yield bad(
        "not-yet-valid",
        machine.but(master=begins, handshake=begins).build(),
        expired,
        "One second too early.",
        "Expiry",
        "REVOKE-1",
    )
    yield bad(
        "handshake-not-yet-valid",
        machine.but(handshake=begins).build(),
        expired,
        "The master is valid, this is not yet.",
        "Expiry",
        "REVOKE-1",
    )
    yield bad(
        "expired-long-ago", certificate, expired, "A clock far ahead.", "Expiry", "REVOKE-1", trust={"now": NOW + 10**9}
    )
    yield bad(
        "clock-at-zero", certificate, expired, "A clock that was never set.", "Expiry", "REVOKE-1", trust={"now": 0}
    )

    def flip(number: int) -> Patch:
        return lambda data: _wire.put(
            data, number, bytes([_wire.get(data, number)[0] ^ 1]) + _wire.get(data, number)[1:]
        )

    signature = "BAD_SIGNATURE"
    yield bad(
        "signature-master-flipped",
        chain.but(patch_master=flip(2)).build(),
        signature,
        "One bit of the Signing Service's signature.",
        "Signature",
        "CRED-4",
    )
    yield bad(
        "signature-handshake-flipped",
        chain.but(patch_certificate=flip(2)).build(),
        signature,
        "One bit of the master key's signature.",
        "Signature",
        "CRED-4",
    )
    yield bad(
        "signature-master-zero",
        chain.but(master={"signature": bytes(64)}).build(),
        signature,
        "An unset signature.",
        "Signature",
        "CRED-4",
    )
    yield bad(
        "signature-handshake-zero",
        chain.but(handshake={"signature": bytes(64)}).build(),
        signature,
        "An unset signature.",
        "Signature",
        "CRED-4",
    )
    key_id = _wire.get(_wire.get(_wire.get(certificate, 3), 1), 5)
    forged = foreign.but(master={"verification_key_id": key_id})
    yield bad(
        "signature-master-by-stranger",
        forged.build(),
        signature,
        "A stranger's signature under the known key's ID.",
        "Signature",
        "CRED-4",
    )
    stranger = chain.but(master_seed=world.derive("a stranger's master key"))
    yield bad(
        "signature-handshake-by-stranger",
        stranger.build(),
        signature,
        "The master is real, the signer is not its owner.",
        "Signature",
        "CRED-4",
        "CRED-2",
    )
    self_signed = chain.but(signing_seed=chain.master_seed, master={"verification_key_id": key_id})
    yield bad(
        "signature-self-signed-master",
        self_signed.build(),
        signature,
        "A master certificate signed with its own key.",
        "Signature",
        "CRED-4",
    )
    order = 2**252 + 27742317777372353535851937790883648493

    def malleate(data: bytes) -> bytes:
        raw = _wire.get(data, 2)
        number = int.from_bytes(raw[32:], "little") + order
        return _wire.put(data, 2, raw[:32] + number.to_bytes(32, "little"))

    malleated = chain.but(patch_certificate=malleate)
    yield bad(
        "signature-handshake-malleated",
        malleated.build(),
        signature,
        "S is not reduced: the same signature in other bytes (RFC 8032, 5.1.7).",
        "Signature",
        "CRED-4",
    )
    yield bad(
        "human-as-server",
        human.build(),
        "CATEGORY_REFUSED",
        "A user's stolen certificate must not serve.",
        "Category",
        "TRUST-3",
        role="server",
    )
    policies: dict[str, tuple[tuple[tuple[str, int, str], ...], str]] = {
        "empty": ((), "What no rule allows is denied."),
        "other-issuer": ((("test/mallory", WORKLOAD, "**"),), "Mallory's story: the issuer may not issue this."),
        "other-category": (((ISSUER, MACHINE, "**"), (ISSUER, HUMAN, "**")), "The category belongs to the rule."),
        "other-identity": (((ISSUER, WORKLOAD, "test/backend"),), "The identity belongs to the rule."),
        "pattern-too-short": (((ISSUER, WORKLOAD, "*"),), "'*' is one segment."),
        "pattern-too-deep": (((ISSUER, WORKLOAD, "test/frontend/**"),), "'**' is one segment or more."),
        "parts-of-two-rules": (
            ((ISSUER, WORKLOAD, "other/**"), ("other/**", WORKLOAD, "test/**")),
            "One rule must match in all three.",
        ),
    }
    for name, (policy, reason) in policies.items():
        yield bad(
            f"policy-{name}",
            certificate,
            "POLICY_DENIED",
            reason,
            "Policy",
            "POLICY-1",
            "POLICY-3",
            trust={"policy": policy},
        )
    mallory = chain.but(master={"issuer": "test/mallory"})
    yield bad(
        "policy-mallory",
        mallory.build(),
        "POLICY_DENIED",
        "The Signing Service signs what it is asked to, and names who asked.",
        "Policy",
        "POLICY-3",
        "ISSUE-2",
    )
    revoked: dict[str, tuple[frozenset[int] | None, str]] = {
        "handshake": (frozenset({WORKLOAD << 56 | 0x101}), "The handshake certificate's ID is revoked."),
        "master": (frozenset({WORKLOAD << 56 | 0x100}), "The master's ID is revoked: everything that it signed falls."),
        "no-answer": (None, "A local copy that cannot answer fails closed."),
    }
    for name, (ids, reason) in revoked.items():
        yield bad(
            f"revoked-{name}",
            certificate,
            "CERTIFICATE_REVOKED",
            reason,
            "Revocation",
            "REVOKE-6",
            "REVOKE-1",
            trust={"revoked": ids},
        )
    wanted = "A good certificate, of somebody else than the application asked for."
    for name, targets in {
        "other": ("test/backend",),
        "prefix": ("test/front", "test/frontend/x", "test/FRONTEND"),
    }.items():
        yield bad(
            f"target-{name}",
            certificate,
            "WRONG_IDENTITY",
            wanted,
            "TargetIdentity",
            "TRUST-2",
            "TRUST-5",
            role="server",
            trust={"target_identities": frozenset(targets)},
        )
    assert ed25519_public(other) != world.signing_key


def order(world: World) -> Iterator[Bad]:
    """Two faults at once: the earlier step decides. Each case has the fault of one step and of every later one."""
    reason = "The first failing step decides: nothing is judged about a stranger's claims before they are authentic."
    human = world.chain("test/alice", HUMAN)
    trust: dict[str, Any] = {
        "policy": (),
        "revoked": None,
        "target_identities": frozenset({"test/backend"}),
    }
    flipped = lambda data: _wire.put(data, 2, bytes(64))  # noqa: E731
    late = {"trust_anchors": (), "now": 0, **trust}
    steps: list[tuple[str, Chain, str, dict[str, Any]]] = [
        ("form-first", human.but(handshake={"boundary": ".."}, patch_certificate=flipped), "BAD_CERTIFICATE", late),
        ("authority-before-expiry", human.but(patch_certificate=flipped), "UNKNOWN_AUTHORITY", late),
        ("expiry-before-signature", human.but(patch_certificate=flipped), "CERTIFICATE_EXPIRED", {"now": 0, **trust}),
        ("signature-before-category", human.but(patch_certificate=flipped), "BAD_SIGNATURE", trust),
        ("category-before-policy", human, "CATEGORY_REFUSED", trust),
        ("policy-before-revocation", world.chain("test/frontend"), "POLICY_DENIED", trust),
        (
            "revocation-before-target",
            world.chain("test/frontend"),
            "CERTIFICATE_REVOKED",
            {k: v for k, v in trust.items() if k != "policy"},
        ),
    ]
    for name, chain, error, changes in steps:
        yield Bad(
            f"order-{name}",
            chain.build(),
            error,
            "the faults of one step and of all later ones",
            reason,
            ("4.9",),
            ("CheckOrder",),
            ("TRUST-1", "CRED-4"),
            "server",
            changes,
        )
