"""Verification of a peer's certificate (SPEC.md 4.5 to 4.11), the same for terms and bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

from alts_model.algebra import HANDSHAKE_LABEL, MASTER_LABEL, Algebra
from alts_model.errors import Refused
from alts_model.messages import HUMAN, MACHINE, WORKLOAD, CertificateView, MasterView, V
from alts_model.syntax import is_identity, is_list, is_pattern, is_segment, matches
from alts_model.tables import Role

HUMAN_LIFETIME = 72000
"""Longest validity of a human's certificates, in seconds (ISSUE-5)."""


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """`issuer` (pattern) may issue certificates of `category` for `identity` (pattern) (POLICY-1)."""

    issuer: str
    category: int
    identity: str

    def allows(self, issuer: str, category: int, identity: str) -> bool:
        """Whether the rule matches in all three."""
        return category == self.category and matches(self.issuer, issuer) and matches(self.identity, identity)


@dataclass(frozen=True, eq=False)
class Trust(Generic[V]):
    """What a verifier goes by.

    `anchors` maps a verification key ID to a public key; `revoked` None is a local copy that cannot answer (4.11);
    `now` is in seconds since 1970; `targets` empty means that any identity will do.
    """

    anchors: Mapping[V, V]
    policy: tuple[PolicyRule, ...]
    revoked: frozenset[int] | None
    now: int
    targets: frozenset[str] = frozenset()


class Verifier(Generic[V]):
    """Steps 1 to 8 of SPEC.md 4.9, in order. Each step is a method, so that the explorer can leave one out."""

    def __init__(self, algebra: Algebra[V]) -> None:
        self._algebra = algebra

    def verify(self, certificate: V, trust: Trust[V], peer_role: Role) -> CertificateView[V]:
        """The certificate's contents, authenticated. Raises Refused with the error of the first step that fails."""
        view = self.parse(certificate)
        anchor = self.authority(view, trust)
        self.current(view, trust)
        self.master_signature(view, anchor)
        self.handshake_signature(view)
        self.category(view, peer_role)
        self.policy(view, trust)
        self.revocation(view, trust)
        self.target(view, trust)
        return view

    def parse(self, certificate: V) -> CertificateView[V]:
        """Step 1 alone: the contents, of which nothing is authentic."""
        view = self._algebra.certificate(certificate)
        self.well_formed(view)
        return view

    def well_formed(self, view: CertificateView[V]) -> None:
        """4.3 to 4.8, as far as the algebra has not checked sizes (step 1)."""
        master_body(view.master)
        _require(view.category in (HUMAN, MACHINE, WORKLOAD), "category")
        _require(is_identity(view.identity), "identity")
        _validity(view.not_before, view.not_after)
        _require(view.revocation_id >> 56 == view.category, "the revocation ID's category")
        _require(is_list(view.handshake_ciphers), "handshake_ciphers")
        _require(set(view.handshake_ciphers) <= set(view.master.handshake_ciphers), "a cipher that the master lacks")
        _require(view.boundary == "" or is_segment(view.boundary), "boundary")
        _require(self._algebra.equal(view.master_digest, view.master.digest), "master_digest")
        _require(view.category == view.master.category, "categories differ")
        _require(view.master.not_before <= view.not_before, "valid before its master")
        master_end, end = view.master.not_after, view.not_after
        _require(master_end == 0 or (end != 0 and end <= master_end), "valid after its master")
        self.names(view)

    def names(self, view: CertificateView[V]) -> None:
        """The identity is one that the master key may sign for (4.8, step 1)."""
        if view.category == WORKLOAD:
            _require(
                any(matches(pattern, view.identity) for pattern in view.master.workload_identities),
                "a workload that the master may not sign for",
            )
            return
        _require(view.identity == view.master.identity, "another identity than the master's")
        if view.category == HUMAN:
            _require(view.revocation_id == view.master.revocation_id, "another revocation ID than the master's")

    def authority(self, view: CertificateView[V], trust: Trust[V]) -> V:
        """The verification key that the master names (step 2)."""
        anchor = trust.anchors.get(view.master.verification_key_id)
        if anchor is None:
            raise Refused("UNKNOWN_AUTHORITY")
        return anchor

    def current(self, view: CertificateView[V], trust: Trust[V]) -> None:
        """Both validity periods contain now (step 3)."""
        for part in (view.master, view):
            if not (part.not_before <= trust.now and (part.not_after == 0 or trust.now < part.not_after)):
                raise Refused("CERTIFICATE_EXPIRED")

    def master_signature(self, view: CertificateView[V], anchor: V) -> None:
        """The Signing Service signed the master (step 4)."""
        if not self._algebra.verify(anchor, MASTER_LABEL, view.master.body, view.master.signature):
            raise Refused("BAD_SIGNATURE", "master certificate")

    def handshake_signature(self, view: CertificateView[V]) -> None:
        """The master key signed the handshake certificate (step 4)."""
        if not self._algebra.verify(view.master.public_key, HANDSHAKE_LABEL, view.body, view.signature):
            raise Refused("BAD_SIGNATURE", "handshake certificate")

    def category(self, view: CertificateView[V], peer_role: Role) -> None:
        """Humans are clients only (step 5)."""
        if peer_role == "server" and view.category == HUMAN:
            raise Refused("CATEGORY_REFUSED")

    def policy(self, view: CertificateView[V], trust: Trust[V]) -> None:
        """The issuer may issue this (step 6)."""
        if not any(rule.allows(view.master.issuer, view.category, view.identity) for rule in trust.policy):
            raise Refused("POLICY_DENIED")

    def revocation(self, view: CertificateView[V], trust: Trust[V]) -> None:
        """Neither ID is revoked, and the local copy can say so (step 7)."""
        if trust.revoked is None or {view.master.revocation_id, view.revocation_id} & trust.revoked:
            raise Refused("CERTIFICATE_REVOKED")

    def target(self, view: CertificateView[V], trust: Trust[V]) -> None:
        """The identity is one that the application expects (step 8)."""
        if trust.targets and view.identity not in trust.targets:
            raise Refused("WRONG_IDENTITY")


def _require(condition: bool, detail: str) -> None:
    if not condition:
        raise Refused("BAD_CERTIFICATE", detail)


def _validity(not_before: int, not_after: int) -> None:
    _require(not_after == 0 or not_before <= not_after, "not_before is after not_after")


def master_body(master: MasterView[V]) -> None:
    """SPEC.md 4.6."""
    _require(master.category in (HUMAN, MACHINE, WORKLOAD), "master: category")
    _require(is_identity(master.identity), "master: identity")
    _require(is_identity(master.issuer), "master: issuer")
    _validity(master.not_before, master.not_after)
    _require(master.revocation_id >> 56 == master.category, "master: the revocation ID's category")
    _require(is_list(master.handshake_ciphers), "master: handshake_ciphers")
    if master.category == WORKLOAD:
        patterns = master.workload_identities
        _require(1 <= len(patterns) <= 16 and all(map(is_pattern, patterns)), "master: workload_identities")
    else:
        _require(not master.workload_identities, "master: workload_identities")
    if master.category == HUMAN:
        lifetime = master.not_after - master.not_before
        _require(master.not_after != 0 and lifetime <= HUMAN_LIFETIME, "master: a human's validity")
