"""The handshake by hand, from SPEC.md: what an attacker needs in order to speak with keys that are not its own.

Nothing here is of the implementation under attack: an attacker brings tools of its own. All secrets come in as
arguments; see SPEC 5, 7 and 12.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from alts_schema.certificate_pb2 import (
    HandshakeCertificate,
    HandshakeCertificateBody,
    MasterCertificate,
    MasterCertificateBody,
)
from alts_schema.handshake_pb2 import ClientInit, IssuedTicket, PresentedTicket, RpcVersions, Version
from alts_schema.ticket_pb2 import Party, TicketContents

STATIC, PFS, KCI = "X25519_STATIC_SHA256", "X25519_PFS_SHA256", "X25519_KCI_SHA256"
HYBRID = "X25519_MLKEM768_PFS_SHA256"
REKEY = "ALTSRP_GCM_AES128_REKEY"


def _lp(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _expand(key: bytes, info: bytes, size: int) -> bytes:
    """HKDF-Expand of RFC 5869 with SHA-256."""
    out, block = b"", b""
    for number in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        out += block
    return out[:size]


@dataclass(frozen=True, slots=True)
class Keys:
    """M, R and A of a session (SPEC 7.4)."""

    record: bytes = field(repr=False)
    resumption: bytes = field(repr=False)
    authenticator: bytes = field(repr=False)


def session_keys(key_material: bytes, client_init: bytes, server_init: bytes, client: str, server: str) -> Keys:
    """M, R and A from key material, both Init payloads and both identities (SPEC 7.1, 7.3, 7.4)."""
    digest = hashlib.sha256(b"openalts v1 transcript")
    for message in (client_init, server_init):
        digest.update(len(message).to_bytes(4, "big") + message)
    context = digest.digest() + _lp(client.encode()) + _lp(server.encode())
    key = hmac.digest(b"openalts v1 handshake", key_material, "sha256")
    parts = (("record", 128), ("resumption", 32), ("authenticator", 32))
    return Keys(*(_expand(key, _lp(label.encode()) + context, size) for label, size in parts))


def authenticator(keys: Keys, role: str) -> bytes:
    """That of Finished; `role` is ``client`` or ``server`` (SPEC 7.5)."""
    return hmac.digest(keys.authenticator, f"openalts v1 {role} finished".encode(), "sha256")


def ticket_authenticator(keys: Keys, role: str, ticket: IssuedTicket | None = None) -> bytes:
    """That over the ticket, or over its absence (SPEC 7.6)."""
    given = ticket or IssuedTicket()
    numbers = given.key_epoch.to_bytes(8, "big") + given.lifetime_seconds.to_bytes(4, "big")
    told = _lp(given.resumption_id) + numbers + _lp(given.ticket)
    return hmac.digest(keys.authenticator, f"openalts v1 {role} ticket".encode() + told, "sha256")


def ticket_secret(keys: Keys, maker: str) -> bytes:
    """The secret of the ticket that the client or the server makes in a session (SPEC 12.3)."""
    return hmac.digest(keys.resumption, f"openalts v1 {maker}-made ticket".encode(), "sha256")


def exchange(private: bytes, public: bytes) -> bytes:
    """X25519 (RFC 7748)."""
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def public_of(private: bytes) -> bytes:
    """The public half of an X25519 key."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def body_of(certificate: bytes) -> HandshakeCertificateBody:
    """What a handshake certificate says."""
    return HandshakeCertificateBody.FromString(HandshakeCertificate.FromString(certificate).body)


def client_init(
    certificate: bytes,
    ciphers: Sequence[str],
    shares: Mapping[str, bytes] | None = None,
    ticket: PresentedTicket | None = None,
) -> bytes:
    """A ClientInit payload with somebody's certificate (SPEC 5.4)."""
    version = Version(major=2, minor=1)
    message = ClientInit(
        version=1,
        nonce=os.urandom(32),
        certificate=certificate,
        handshake_ciphers=ciphers,
        record_protocols=[REKEY],
        application_protocols=["grpc"],
        rpc_versions=RpcVersions(max=version, min=version),
        max_frame_size=1 << 20,
        ticket=ticket,
    )
    for cipher, share in (shares or {}).items():
        message.key_shares.add(handshake_cipher=cipher, share=share)
    return message.SerializeToString(deterministic=True)


def party(certificate: bytes) -> Party:
    """What a ticket says of one end, read off its certificate."""
    signed = HandshakeCertificate.FromString(certificate)
    body = HandshakeCertificateBody.FromString(signed.body)
    master = MasterCertificateBody.FromString(MasterCertificate.FromString(signed.master).body)
    ends = [end for end in (body.not_after, master.not_after) if end]
    return Party(
        category=body.category,
        identity=body.identity,
        issuer=master.issuer,
        boundary=body.boundary,
        not_after=min(ends, default=0),
        handshake_revocation_id=body.revocation_id,
        master_revocation_id=master.revocation_id,
        certificate_digest=hashlib.sha256(certificate).digest(),
        verification_key_id=master.verification_key_id,
    )


def _sealing(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(_expand(hmac.digest(salt, key, "sha256"), b"openalts v1 ticket key", 32))


def _associated(maker: str, identity: str, resumption_id: bytes, epoch: int) -> bytes:
    named = b"".join(_lp(part) for part in (maker.encode(), identity.encode(), resumption_id))
    return b"openalts v1 ticket" + named + epoch.to_bytes(8, "big") + b"\x01"


def seal_ticket(
    key: bytes, epoch: int, resumption_id: bytes, maker: bytes, holder: bytes, cipher: str, secret: bytes
) -> PresentedTicket:
    """A ticket as the server whose certificate `maker` is would have made it for `holder` (SPEC 12.2)."""
    now, salt = int(time.time()), os.urandom(32)
    contents = TicketContents(
        version=1,
        secret=secret,
        maker=party(maker),
        holder=party(holder),
        handshake_cipher=cipher,
        created=now,
        full_handshake=now,
    ).SerializeToString(deterministic=True)
    data = _associated("server", body_of(maker).identity, resumption_id, epoch)
    sealed = salt + _sealing(key, salt).encrypt(bytes(12), contents, data)
    return PresentedTicket(resumption_id=resumption_id, key_epoch=epoch, ticket=sealed)


def open_record(keys: Keys, sender: str, number: int, body: bytes) -> bytes | None:
    """The plaintext of record `number` (from 0, below 65536) of one direction; None if it does not open (SPEC 8.2)."""
    kdf, mask = keys.record[:32], keys.record[32:44]
    counter = number.to_bytes(11, "little") + (b"\x80" if sender == "server" else b"\x00")
    key = hmac.digest(kdf, counter[2:8] + b"\x01", "sha256")[:16]
    nonce = bytes(a ^ b for a, b in zip(counter, mask, strict=True))
    try:
        return AESGCM(key).decrypt(nonce, body, None)
    except InvalidTag:
        return None
