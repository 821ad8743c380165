"""The Signing Service: holds the root key, names the requester as issuer, signs, remembers (ISSUE-2, CRED-4).

It does not judge who may have what: every verifier does, by policy (POLICY-2).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alts_schema.certificate_pb2 import MasterCertificateBody
from alts_schema.issuance_pb2 import SignedMaster, SignMasterRequest

from .._errors import ConfigurationError, PeerViolation
from .._issuer import SigningService
from ._certificates import parse_master
from ._errors import RequestRefused, Status, invalid
from ._proofs import check_proof
from ._store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_KIND = 0x0A175001
_SCHEMA = (
    "CREATE TABLE root (key BLOB NOT NULL)",
    """CREATE TABLE certificates (
        digest BLOB PRIMARY KEY, issuer TEXT NOT NULL, identity TEXT NOT NULL, revocation_id INTEGER NOT NULL,
        signed INTEGER NOT NULL, certificate BLOB NOT NULL) WITHOUT ROWID""",
    "CREATE TABLE proofs (digest BLOB PRIMARY KEY, certificate BLOB NOT NULL) WITHOUT ROWID",
)


class SigningCore:
    """What the Signing Service decides and keeps; the RPC service around it is `alts.services.cli.signing`.

    Args:
        path: of the database; None: in memory. A new one gets a new root key.
        clock: returns seconds since the epoch.
        random: returns that many unpredictable bytes.

    Raises:
        StoreError: as `Store`.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._store = Store(path, _KIND, _SCHEMA)
        self._clock = clock
        with self._store.write() as tx:
            row = tx.execute("SELECT key FROM root").fetchone()
            if row is None:
                row = (random(32),)
                tx.execute("INSERT INTO root VALUES (?)", row)
        self._signer = SigningService(Ed25519PrivateKey.from_private_bytes(row[0]))

    @property
    def verification_key(self) -> bytes:
        """The root of trust, 32 bytes (CRED-4)."""
        return self._signer.verification_key

    def require_root(self, key: bytes) -> None:
        """Refuse to be another Signing Service than the one that every machine has the key of (CRED-4).

        Args:
            key: of the anchors, 32 bytes.

        Raises:
            ConfigurationError: nobody would accept what this one signs.
        """
        if self.verification_key != key:
            raise ConfigurationError("the root key of this database is not the realm's: the anchors have another one")

    def sign(self, request: SignMasterRequest, requester: str) -> SignedMaster:
        """Return the master certificate, which is on disk by then; the same request has the same answer.

        Args:
            request: as received.
            requester: the authenticated caller, who becomes the issuer (ISSUE-2).

        Raises:
            RequestRefused: INVALID_ARGUMENT, UNAUTHENTICATED for a wrong proof of possession, ALREADY_EXISTS for a
                proof that another certificate was made from.
            StoreError: the certificate could not be kept.
        """
        key = check_proof(request.key, requester=requester)
        body = MasterCertificateBody(
            category=key.category,
            identity=key.identity,
            not_before=request.not_before,
            not_after=request.not_after,
            revocation_id=request.revocation_id,
            scheme=key.scheme,
            public_key=key.public_key,
            handshake_ciphers=key.handshake_ciphers,
            workload_identities=key.workload_identities,
        )
        certificate = self._signer.sign_master(body, requester)
        try:
            parse_master(certificate)
        except PeerViolation as error:
            raise invalid(error.detail) from None
        self._keep(certificate, requester, request, key.identity)
        return SignedMaster(certificate=certificate)

    def _keep(self, certificate: bytes, requester: str, request: SignMasterRequest, identity: str) -> None:
        digest = hashlib.sha256(certificate).digest()
        proof = hashlib.sha256(request.key.SerializeToString(deterministic=True)).digest()
        with self._store.write() as tx:
            known = tx.execute("SELECT certificate FROM proofs WHERE digest = ?", (proof,)).fetchone()
            if known is not None and known[0] != digest:
                raise RequestRefused(Status.ALREADY_EXISTS, "this proof of possession was used for another certificate")
            if known is None:
                row = digest, requester, identity, request.revocation_id, int(self._clock()), certificate
                tx.execute("INSERT OR IGNORE INTO certificates VALUES (?, ?, ?, ?, ?, ?)", row)
                tx.execute("INSERT INTO proofs VALUES (?, ?)", (proof, digest))

    def issued(self) -> Iterator[tuple[bytes, str]]:
        """Give every certificate that was ever signed, with its issuer."""
        for certificate, issuer in self._store.rows("SELECT certificate, issuer FROM certificates"):
            assert isinstance(certificate, bytes)
            assert isinstance(issuer, str)
            yield certificate, issuer

    def close(self) -> None:
        """Close the database."""
        self._store.close()
