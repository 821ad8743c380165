"""Certificates and whole test realms from a seed: deterministic, for vectors and tests (SPEC.md 4.5 to 4.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from alts_model.algebra import HANDSHAKE_LABEL, MASTER_LABEL
from alts_model.endpoint import Configuration, Credential
from alts_model.keying import Randomness
from alts_model.messages import HUMAN, MACHINE, WORKLOAD
from alts_model.primitives import ed25519_public, ed25519_sign, hmac_sha256, sha256, x25519_public
from alts_model.stores import ResumptionKeys
from alts_model.syntax import DEFAULT_HANDSHAKE_CIPHERS
from alts_model.trust import PolicyRule
from alts_schema import certificate_pb2

ED25519 = 1


def build_master(
    signing_seed: bytes,
    *,
    category: int,
    identity: str,
    issuer: str,
    public_key: bytes,
    revocation_id: int,
    not_before: int = 0,
    not_after: int = 0,
    handshake_ciphers: Sequence[str] = DEFAULT_HANDSHAKE_CIPHERS,
    workload_identities: Sequence[str] = (),
    version: int = 1,
    scheme: int = ED25519,
    verification_key_id: bytes | None = None,
    signature: bytes | None = None,
) -> bytes:
    """A serialised master certificate. `signing_seed` and `public_key` are 32 bytes each (CRED-1).

    Nothing is checked, so that wrong certificates can be made too: `verification_key_id` and `signature` replace the
    right ones.
    """
    body = certificate_pb2.MasterCertificateBody(
        version=version,
        category=cast(certificate_pb2.Category, category),
        identity=identity,
        issuer=issuer,
        verification_key_id=(
            sha256(ed25519_public(signing_seed)) if verification_key_id is None else verification_key_id
        ),
        not_before=not_before,
        not_after=not_after,
        revocation_id=revocation_id,
        scheme=cast(certificate_pb2.SignatureScheme, scheme),
        public_key=public_key,
        handshake_ciphers=handshake_ciphers,
        workload_identities=workload_identities,
    ).SerializeToString(deterministic=True)
    return certificate_pb2.MasterCertificate(
        body=body,
        signature=sign_body(signing_seed, MASTER_LABEL, body) if signature is None else signature,
    ).SerializeToString(deterministic=True)


def build_handshake(
    master_seed: bytes,
    master: bytes,
    *,
    category: int,
    identity: str,
    x25519_public_key: bytes,
    revocation_id: int,
    not_before: int = 0,
    not_after: int = 0,
    handshake_ciphers: Sequence[str] = DEFAULT_HANDSHAKE_CIPHERS,
    boundary: str = "",
    version: int = 1,
    master_digest: bytes | None = None,
    signature: bytes | None = None,
) -> bytes:
    """A serialised handshake certificate around `master` (CRED-2). Nothing is checked; see `build_master`."""
    body = certificate_pb2.HandshakeCertificateBody(
        version=version,
        category=cast(certificate_pb2.Category, category),
        identity=identity,
        master_digest=sha256(master) if master_digest is None else master_digest,
        not_before=not_before,
        not_after=not_after,
        revocation_id=revocation_id,
        x25519_public_key=x25519_public_key,
        handshake_ciphers=handshake_ciphers,
        boundary=boundary,
    ).SerializeToString(deterministic=True)
    return certificate_pb2.HandshakeCertificate(
        body=body,
        signature=sign_body(master_seed, HANDSHAKE_LABEL, body) if signature is None else signature,
        master=master,
    ).SerializeToString(deterministic=True)


def sign_body(seed: bytes, label: str, body: bytes) -> bytes:
    """The signature of SPEC.md 4.5; 64 bytes."""
    return ed25519_sign(seed, label.encode() + b"\x00" + body)


@dataclass(frozen=True, slots=True)
class Identity:
    """One issued identity: its credential, and the keys behind it, so that tests can play its thief."""

    credential: Credential
    master: bytes
    master_seed: bytes = field(repr=False)
    revocation_ids: tuple[int, int]
    """Of the master certificate and of the handshake certificate."""


class Realm:
    """A realm whose every key, ID and nonce follows from a 32-byte seed. Same seed and calls, same bytes.

    `now` is 2030-01-01 unless given; certificates are valid from an hour before. `issuer` is written into every master.
    """

    def __init__(self, seed: bytes, *, now: int = 1893456000, issuer: str = "realm/issuer") -> None:
        self._seed = seed
        self._next_id = 1
        self.now = now
        self.issuer = issuer
        self.signing_seed = self.derive("signing")
        public = ed25519_public(self.signing_seed)
        self.trust_anchors = {sha256(public): public}
        self.policy = tuple(PolicyRule(issuer, category, "**") for category in (HUMAN, MACHINE, WORKLOAD))

    def derive(self, name: str) -> bytes:
        """32 bytes that belong to a name."""
        return hmac_sha256(self._seed, name.encode())

    def revocation_id(self, category: int) -> int:
        """A fresh ID of a category (REVOKE-3)."""
        self._next_id += 1
        return category << 56 | self._next_id

    def issue(
        self,
        identity: str,
        *,
        category: int = WORKLOAD,
        boundary: str = "dc1",
        issuer: str | None = None,
        lifetime: int | None = None,
        handshake_ciphers: Sequence[str] = DEFAULT_HANDSHAKE_CIPHERS,
    ) -> Identity:
        """Master and handshake certificate for an identity; a workload's master is that of `identity` alone.

        Issued again, an identity has the same keys and other revocation IDs.
        """
        master_seed, private_key = self.derive(f"master {identity}"), self.derive(f"x25519 {identity}")
        not_before = self.now - 3600
        if lifetime is None:
            lifetime = 72000 if category == HUMAN else 172800
        not_after = not_before + lifetime if lifetime else 0
        master_id = self.revocation_id(category)
        handshake_id = master_id if category == HUMAN else self.revocation_id(category)
        master = build_master(
            self.signing_seed,
            category=category,
            identity=identity,
            issuer=self.issuer if issuer is None else issuer,
            public_key=ed25519_public(master_seed),
            revocation_id=master_id,
            not_before=not_before,
            not_after=not_after,
            handshake_ciphers=handshake_ciphers,
            workload_identities=(identity,) if category == WORKLOAD else (),
        )
        certificate = build_handshake(
            master_seed,
            master,
            category=category,
            identity=identity,
            x25519_public_key=x25519_public(private_key),
            revocation_id=handshake_id,
            not_before=not_before,
            not_after=not_after,
            handshake_ciphers=handshake_ciphers,
            boundary=boundary,
        )
        return Identity(Credential(certificate, private_key), master, master_seed, (master_id, handshake_id))

    def randomness(self, name: str) -> Randomness[bytes]:
        """Enough fresh values for any connection, which belong to a name."""

        def values(queue: str, count: int) -> tuple[bytes, ...]:
            return tuple(self.derive(f"{queue} {index} {name}") for index in range(count))

        seed = b"".join(values("ml-kem seed", 2))
        return Randomness(values("ephemeral", 3), (seed,), values("encapsulation", 1), values("ticket salt", 1))

    def resumption_keys(self, identity: str, *epochs: int, cell: str = "cell-1") -> ResumptionKeys[bytes]:
        """What all replicas of an identity in a cell share: the IDR, and a key for each epoch (by default 1)."""
        name = f"{identity} in {cell}"
        keys = tuple((epoch, self.derive(f"resumption key {epoch} of {name}")) for epoch in epochs or (1,))
        return ResumptionKeys(self.derive(f"IDR of {name}")[:16], keys)

    def configuration(self, credential: Credential, nonce: bytes | str) -> Configuration:
        """A configuration with the realm's trust; `nonce` is 32 bytes, or a name to derive them from.

        Its other fresh values follow from `nonce` too: give every connection one of its own.
        """
        return Configuration(
            credential=credential,
            trust_anchors=self.trust_anchors,
            policy=self.policy,
            revoked=frozenset(),
            now=self.now,
            nonce=self.derive(f"nonce {nonce}") if isinstance(nonce, str) else nonce,
            randomness=self.randomness(nonce if isinstance(nonce, str) else nonce.hex()),
        )
