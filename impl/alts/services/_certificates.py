"""Master certificates as issuers handle them: parsed, compared with what was asked for, used (CRED-1, CRED-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from alts_schema.certificate_pb2 import HandshakeCertificateBody, MasterCertificate, MasterCertificateBody

from .._config import Credential
from .._messages import DIGEST_SIZE, decode_credential
from .._trust import ED25519_SIGNATURE_SIZE, Category, _check_master
from ._errors import RequestRefused, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from alts_schema.issuance_pb2 import KeyRequest

    from .._issuer import MasterKey

BACKDATE = 300
"""Seconds that a certificate is valid before it was made: as far may a peer's clock be behind."""


def parse_master(certificate: bytes) -> MasterCertificateBody:
    """Return the body of a serialised MasterCertificate whose structure is right (SPEC 4.6); no signature is checked.

    Raises:
        PeerViolation: BAD_CERTIFICATE.
    """
    signed = decode_credential(MasterCertificate, certificate)
    body = decode_credential(MasterCertificateBody, signed.body)
    _check_master(body)
    return body


def require_answer(certificate: bytes, key: KeyRequest, requester: str) -> MasterCertificateBody:
    """Return the body of the certificate that answers a request of `requester` for `key`.

    Raises:
        PeerViolation: BAD_CERTIFICATE.
        RequestRefused: INTERNAL; the Signing Service certified something else.
    """
    body = parse_master(certificate)
    asked = key.category, key.identity, requester, key.public_key
    same_lists = body.handshake_ciphers == key.handshake_ciphers and body.workload_identities == key.workload_identities
    signature = MasterCertificate.FromString(certificate).signature
    sized = len(signature) == ED25519_SIGNATURE_SIZE and len(body.verification_key_id) == DIGEST_SIZE
    if (body.category, body.identity, body.issuer, body.public_key) != asked or not same_lists or not sized:
        raise RequestRefused(Status.INTERNAL, "the certificate is not the one that was asked for")
    return body


def make_credential(
    master: MasterKey,
    random: Callable[[int], bytes],
    now: int,
    *,
    lifetime: int,
    identity: str = "",
    revocation_id: int = 0,
    boundary: str = "",
) -> Credential:
    """Make a static key pair and a handshake certificate for it (CRED-2, ISSUE-4).

    Args:
        master: what signs it.
        random: returns that many unpredictable bytes.
        now: seconds since the epoch.
        lifetime: seconds from now; 0: as long as the master certificate. Never longer than that.
        identity: for WORKLOAD; otherwise the master's.
        revocation_id: for WORKLOAD; otherwise it is inherited from the master (REVOKE-5).
        boundary: physical boundary, or empty (REC-7).

    Raises:
        ConfigurationError: the result would be a certificate that no peer accepts.
    """
    body = master.body
    end = now + lifetime if lifetime else 0
    if body.not_after and (not end or end > body.not_after):
        end = body.not_after
    # a human's certificate is valid for the whole of its master's 20 hours and no more
    begin = body.not_before if int(body.category) == Category.HUMAN else max(body.not_before, now - BACKDATE)
    key = X25519PrivateKey.from_private_bytes(random(32))
    signed = master.sign_handshake(
        HandshakeCertificateBody(
            category=body.category,
            identity=identity or body.identity,
            not_before=begin,
            not_after=end,
            revocation_id=revocation_id or body.revocation_id,
            x25519_public_key=key.public_key().public_bytes_raw(),
            handshake_ciphers=body.handshake_ciphers,
            boundary=boundary,
        )
    )
    return Credential(signed, key)
