"""An in-memory issuer: enough of the roles of issuance to make a test realm (SPEC 13.1; ISSUE-1 to ISSUE-4).

Issuer and signer are two roles (ISSUE-2): the `SigningService` writes the requester, as it knows it, into a master
certificate and signs; the holder of the `MasterKey` makes handshake certificates locally (CRED-2).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from alts_schema.certificate_pb2 import (
    ED25519,
    HandshakeCertificate,
    HandshakeCertificateBody,
    MasterCertificate,
    MasterCertificateBody,
)
from alts_schema.certificate_pb2 import Category as WireCategory

from ._config import Credential
from ._errors import UsageError
from ._messages import HANDSHAKE_CIPHERS, VERSION
from ._trust import (
    CATEGORY_SHIFT,
    HANDSHAKE_CONTEXT,
    HUMAN_LIFETIME,
    MASTER_CONTEXT,
    Category,
    Policy,
    Rule,
    Trust,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_PRIVATE_KEY_SIZE = 32


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True, slots=True)
class SigningService:
    """Holds the root key (CRED-4). It checks who asks and nothing else: what is allowed is for verifiers (POLICY-2)."""

    key: Ed25519PrivateKey = field(repr=False)

    @property
    def verification_key(self) -> bytes:
        """The raw public key, 32 bytes, that is installed on every machine."""
        return _raw(self.key.public_key())

    @property
    def verification_key_id(self) -> bytes:
        """SHA-256 of the verification key, 32 bytes."""
        return hashlib.sha256(self.verification_key).digest()

    def sign_master(self, body: MasterCertificateBody, requester: str) -> bytes:
        """Return a serialised MasterCertificate: `body` with `requester` as its issuer, signed (ISSUE-2, CRED-1)."""
        complete = MasterCertificateBody()
        complete.CopyFrom(body)
        complete.version = VERSION
        complete.issuer = requester
        complete.verification_key_id = self.verification_key_id
        raw = complete.SerializeToString(deterministic=True)
        signed = MasterCertificate(body=raw, signature=self.key.sign(MASTER_CONTEXT + raw))
        return signed.SerializeToString(deterministic=True)


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A master private key with its certificate; makes handshake certificates locally (CRED-2, ISSUE-4)."""

    certificate: bytes
    """A serialised MasterCertificate."""
    key: Ed25519PrivateKey = field(repr=False)

    @property
    def body(self) -> MasterCertificateBody:
        """The body of the master certificate."""
        return MasterCertificateBody.FromString(MasterCertificate.FromString(self.certificate).body)

    def sign_handshake(self, body: HandshakeCertificateBody) -> bytes:
        """Return a serialised HandshakeCertificate: `body` with this master's digest, signed, the master embedded."""
        complete = HandshakeCertificateBody()
        complete.CopyFrom(body)
        complete.version = VERSION
        complete.master_digest = hashlib.sha256(self.certificate).digest()
        raw = complete.SerializeToString(deterministic=True)
        signed = HandshakeCertificate(
            body=raw, signature=self.key.sign(HANDSHAKE_CONTEXT + raw), master=self.certificate
        )
        return signed.SerializeToString(deterministic=True)


@dataclass(slots=True)
class Issuer:
    """A requester of master certificates: an internal CA or a cluster master (ISSUE-1).

    Attributes:
        name: its own identity, as the Signing Service authenticates it.
        signing_service: where it sends its requests.
        random: returns that many unpredictable bytes; keys are made from it.
        next_id: next certificate ID of its range, 56 bits (REVOKE-3, REVOKE-4).
    """

    name: str
    signing_service: SigningService
    random: Callable[[int], bytes]
    next_id: int = 1

    def revocation_id(self, category: Category) -> int:
        """Take the next revocation ID of the range: category byte and 56-bit certificate ID (REVOKE-3)."""
        if self.next_id >> CATEGORY_SHIFT:
            raise UsageError("the range of certificate IDs is used up")
        self.next_id += 1
        return int(category) << CATEGORY_SHIFT | (self.next_id - 1)

    def issue_master(
        self,
        identity: str,
        category: Category,
        *,
        not_before: int,
        not_after: int = 0,
        workload_identities: tuple[str, ...] = (),
        handshake_ciphers: tuple[str, ...] = HANDSHAKE_CIPHERS,
    ) -> MasterKey:
        """Make a key pair and have the Signing Service sign its master certificate, with this issuer named in it.

        Args:
            identity: whose certificate it is; for a workload base master, the issuer's own name is usual.
            category: kind of entity.
            not_before: seconds since the epoch.
            not_after: seconds since the epoch; 0: no expiry.
            workload_identities: patterns, for WORKLOAD only.
            handshake_ciphers: that handshake certificates may list.
        """
        key = Ed25519PrivateKey.from_private_bytes(self.random(_PRIVATE_KEY_SIZE))
        body = MasterCertificateBody(
            category=WireCategory.Name(category),
            identity=identity,
            not_before=not_before,
            not_after=not_after,
            revocation_id=self.revocation_id(category),
            scheme=ED25519,
            public_key=_raw(key.public_key()),
            handshake_ciphers=handshake_ciphers,
            workload_identities=workload_identities,
        )
        return MasterKey(self.signing_service.sign_master(body, self.name), key)

    def issue_handshake(
        self,
        master: MasterKey,
        *,
        identity: str = "",
        not_before: int | None = None,
        not_after: int | None = None,
        handshake_ciphers: tuple[str, ...] = (),
        boundary: str = "",
    ) -> Credential:
        """Make a static X25519 key pair and a handshake certificate for it (CRED-2).

        Args:
            master: what signs it; category, validity and ciphers are taken from it where not given.
            identity: for WORKLOAD; otherwise the master's (SPEC 4.8).
            not_before: seconds since the epoch.
            not_after: seconds since the epoch; 0: no expiry.
            handshake_ciphers: a subset of the master's.
            boundary: physical boundary, or empty (REC-7).

        Raises:
            ConfigurationError: the result would be a certificate that no peer accepts (SPEC 4.6 to 4.8).
        """
        body = master.body
        category = Category(int(body.category))
        key = X25519PrivateKey.from_private_bytes(self.random(_PRIVATE_KEY_SIZE))
        # a human's handshake certificate inherits the master's ID, every other takes one of the range (REVOKE-5)
        human = category is Category.HUMAN
        signed = master.sign_handshake(
            HandshakeCertificateBody(
                category=body.category,
                identity=identity or body.identity,
                not_before=body.not_before if not_before is None else not_before,
                not_after=body.not_after if not_after is None else not_after,
                revocation_id=body.revocation_id if human else self.revocation_id(category),
                x25519_public_key=key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
                handshake_ciphers=handshake_ciphers or tuple(body.handshake_ciphers),
                boundary=boundary,
            )
        )
        return Credential(signed, key)


@dataclass(slots=True)
class Realm:
    """A whole test realm in memory: one Signing Service, an internal CA, a cluster master, a policy, revocations.

    Args:
        random: returns that many unpredictable bytes; a seeded one makes the realm reproducible.
        now: seconds since the epoch; certificates are valid from here on.
    """

    random: Callable[[int], bytes]
    now: int
    signing_service: SigningService = field(init=False)
    ca: Issuer = field(init=False)
    cluster_master: Issuer = field(init=False)
    policy: Policy = field(init=False)
    revoked: set[int] = field(init=False, default_factory=set)

    CA_NAME = "ca"
    CLUSTER_MASTER_NAME = "cluster-master"

    def __post_init__(self) -> None:
        key = Ed25519PrivateKey.from_private_bytes(self.random(_PRIVATE_KEY_SIZE))
        self.signing_service = SigningService(key)
        self.ca = Issuer(self.CA_NAME, self.signing_service, self.random)
        self.cluster_master = Issuer(self.CLUSTER_MASTER_NAME, self.signing_service, self.random, next_id=1 << 32)
        self.policy = Policy(
            (
                Rule(self.CA_NAME, Category.HUMAN, "**"),
                Rule(self.CA_NAME, Category.MACHINE, "**"),
                Rule(self.CLUSTER_MASTER_NAME, Category.WORKLOAD, "**"),
            )
        )

    def trust(self, policy: Policy | None = None) -> Trust:
        """Return what a member of the realm believes; revocations made later are seen."""
        anchors = {self.signing_service.verification_key_id: self.signing_service.verification_key}
        return Trust(anchors, policy or self.policy, self.revoked.__contains__)

    def workload(self, identity: str, *, boundary: str = "") -> Credential:
        """Issue a workload's credential, by way of a base workload master (ISSUE-7)."""
        master = self.cluster_master.issue_master(
            self.CLUSTER_MASTER_NAME, Category.WORKLOAD, not_before=self.now, workload_identities=("**",)
        )
        return self.cluster_master.issue_handshake(master, identity=identity, boundary=boundary)

    def machine(self, identity: str, *, boundary: str = "") -> Credential:
        """Issue a machine's credential (ISSUE-6)."""
        master = self.ca.issue_master(identity, Category.MACHINE, not_before=self.now)
        return self.ca.issue_handshake(master, boundary=boundary)

    def human(self, identity: str) -> Credential:
        """Issue a user's credential, which lasts 20 hours (ISSUE-5)."""
        end = self.now + HUMAN_LIFETIME
        master = self.ca.issue_master(identity, Category.HUMAN, not_before=self.now, not_after=end)
        return self.ca.issue_handshake(master)
