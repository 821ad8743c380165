"""Vectors of certificates (SPEC 4): honest ones, and one for each way to be invalid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alts_model.concrete import ConcreteAlgebra
from alts_model.errors import Refused
from alts_model.messages import CertificateView
from alts_model.primitives import ed25519_public, sha256
from alts_model.tables import Role
from alts_model.trust import Trust, Verifier

from . import _bad_certificates, _settings
from ._case import Group, Why, document
from ._files import Json
from ._world import CIPHER, HOUR, HUMAN, ISSUER, MACHINE, NOW, RESERVED_CIPHER, WORKLOAD, Chain, World
from .target import EndpointSettings


def judge(certificate: bytes, verifier: EndpointSettings, role: Role) -> CertificateView[bytes] | str:
    """The model's verdict: contents, or an error name."""
    trust = _settings.to_model(verifier)

    try:
        return Verifier(ConcreteAlgebra()).verify(
            certificate,
            Trust(dict(trust.trust_anchors), trust.policy, trust.revoked, trust.now, trust.target_identities),
            role,
        )
    except Refused as refusal:
        return refusal.error.name


def _verifier_json(settings: EndpointSettings) -> Json:
    """The part of the settings that matters to verification."""
    whole = _settings.to_json(settings)
    return {key: whole[key] for key in ("trustAnchors", "policy", "revoked", "now", "targetIdentities")}


def generate(seed: str) -> Json:
    """The file `certificates`."""
    world = World(seed)
    return document(
        "certificates",
        seed,
        "Handshake certificates with the master certificate inside (SPEC.md section 4), judged by a verifier with"
        " the given trust. `peerRole` is the role of the certificate's owner. Unless a case is about signatures "
        "everything is signed rightly over the spoilt bytes, so that only the rule itself can refuse it.",
        [_valid(world), _invalid(world)],
    )


def _valid(world: World) -> Group:
    group = Group("certificate", "Certificates that must be accepted, with what they say.")

    def add(name: str, chain: Chain, reason: str, role: Role = "client", *, spec: str = "4.9", **trust: Any) -> None:
        verifier = replace(world.server(), **trust)
        certificate = chain.build()
        view = judge(certificate, verifier, role)
        assert not isinstance(view, str), (name, view)
        ends = [end for end in (view.not_after, view.master.not_after) if end]
        group.add(
            name,
            Why(name.replace("-", " "), reason, ("TRUST-1", "CRED-1", "CRED-2", "ISSUE-4"), (spec,), ("Honest",)),
            input={"certificate": certificate.hex(), "peerRole": role, "verifier": _verifier_json(verifier)},
            result={
                "verdict": "valid",
                "identity": view.identity,
                "category": view.category,
                "issuer": view.master.issuer,
                "boundary": view.boundary,
                "revocationIds": {
                    "handshake": f"{view.revocation_id:016x}",
                    "master": f"{view.master.revocation_id:016x}",
                },
                "notAfter": min(ends, default=0),
            },
        )

    workload, machine = world.chain("test/frontend"), world.chain("test/machine/7", MACHINE, 3)
    human = world.chain("test/user/alice@example", HUMAN, 4)
    add("workload-client", workload, "The usual certificate.")
    add("workload-server", workload, "The same certificate serves both roles.", "server")
    add("machine", machine, "A machine's own daemon (ISSUE-6).", "server")
    short = {"not_after": NOW + HOUR}
    add("human-client", human.but(master=short, handshake=short), "Humans are clients only.")
    forever = {"not_after": 0}
    add(
        "no-expiry",
        machine.but(master=forever, handshake=forever),
        "Many machine certificates carry no expiry (REVOKE-2); 0 is later than every other time.",
        spec="4.6",
    )
    add(
        "handshake-expires-master-never",
        machine.but(master=forever),
        "The earlier end counts; here only the handshake certificate has one.",
        spec="4.8",
    )
    add(
        "first-second",
        machine.but(master={"not_before": NOW}, handshake={"not_before": NOW}),
        "not_before itself is valid.",
    )
    last = {"not_after": NOW + 1}
    add("last-second", machine.but(master=last, handshake=last), "The last second before not_after is valid.")
    hours = {"not_before": NOW - HOUR, "not_after": NOW + 19 * HOUR}
    add(
        "human-twenty-hours", human.but(master=hours, handshake=hours), "Exactly 72000 seconds are allowed.", spec="4.6"
    )
    longest = "/".join(["a" * 63, "b" * 63, "c" * 63, "d" * 63])
    add(
        "longest-identity",
        world.chain(longest, MACHINE, 5),
        "255 characters in segments of 63 are an identity.",
        spec="4.3",
        policy=((ISSUER, MACHINE, "*/*/*/*"),),
    )
    eight = "test/b/c/d/e/f/g/h"
    add("eight-segments", world.chain(eight, MACHINE, 6), "Eight segments are an identity.", spec="4.3")
    odd = "test/A-z_0.9@x/..."
    add(
        "odd-characters",
        world.chain(odd, MACHINE, 7),
        "Every allowed kind of character; '...' is a segment.",
        spec="4.3",
    )
    add(
        "no-boundary",
        workload.but(handshake={"boundary": ""}),
        "A missing boundary is legal: it counts as different from every other (REC-7).",
        spec="4.7",
    )
    add(
        "several-ciphers",
        workload.but(
            master={"handshake_ciphers": (CIPHER, RESERVED_CIPHER, "X-NEW")},
            handshake={"handshake_ciphers": ("X-NEW", CIPHER)},
        ),
        "Names that the verifier does not know do no harm; any subset in any order.",
        spec="4.7",
    )
    add(
        "two-anchors",
        workload,
        "The verifier may know several Signing Services.",
        trust_anchors=(ed25519_public(world.derive("another signing service")), world.signing_key),
    )
    add(
        "target-named",
        workload,
        "One of the expected identities.",
        target_identities=frozenset({"test/frontend", "test/x"}),
    )
    add(
        "unrelated-revocations",
        workload,
        "Revoked IDs of others, the nearest ones among them.",
        revoked=frozenset({WORKLOAD << 56 | 0x102, WORKLOAD << 56 | 0x0FF, 0x100, 0x101}),
    )
    patterns = {
        "policy-exact": ((ISSUER, WORKLOAD, "test/frontend"),),
        "policy-star": (("*/cluster-master", WORKLOAD, "*/frontend"),),
        "policy-double-star": (("**", WORKLOAD, "**"),),
        "policy-second-rule": ((ISSUER, MACHINE, "**"), (ISSUER, WORKLOAD, "test/*")),
    }
    for name, policy in patterns.items():
        add(name, workload, "Each form of an identity pattern.", spec="4.10", policy=policy)
    return group


def _invalid(world: World) -> Group:
    group = Group("certificate_invalid", "One case for each way to be invalid; `result.step` is the step of SPEC 4.9.")
    for bad in _bad_certificates.cases(world):
        certificate = bad.certificate
        verifier = replace(world.server(), **bad.trust)
        found = judge(certificate, verifier, bad.role)
        assert found == bad.error, (bad.name, bad.error, found)
        group.add(
            bad.name,
            Why(bad.comment, bad.reason, bad.requirements, bad.spec, bad.flags),
            input={"certificate": certificate.hex(), "peerRole": bad.role, "verifier": _verifier_json(verifier)},
            intermediate={"certificateDigest": sha256(certificate).hex()},
            result={"verdict": "invalid", "error": bad.error, "step": bad.step},
        )
    return group
