"""The key schedule: from the Diffie–Hellman result and the transcript to M, R, A and Finished (SPEC 7; HS-5)."""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from ._errors import ErrorCode, PeerViolation
from ._messages import (
    SHARE_SIZES,
    X25519_KCI_SHA256,
    X25519_MLKEM768_PFS_SHA256,
    X25519_SIZE,
    X25519_STATIC_SHA256,
)
from ._table import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from alts_schema.handshake_pb2 import IssuedTicket

SALT = b"openalts v1 handshake"
TRANSCRIPT_CONTEXT = b"openalts v1 transcript"
RECORD_SECRET_SIZE, RESUMPTION_SECRET_SIZE, AUTHENTICATOR_SECRET_SIZE = 128, 32, 32

_FINISHED = {Role.SERVER: b"openalts v1 server finished", Role.CLIENT: b"openalts v1 client finished"}
_TICKET = {Role.SERVER: b"openalts v1 server ticket", Role.CLIENT: b"openalts v1 client ticket"}
_TICKET_SECRET = {Role.SERVER: b"openalts v1 server-made ticket", Role.CLIENT: b"openalts v1 client-made ticket"}
MLKEM768_SEED_SIZE = 64
_NO_TICKET = bytes(2 + 8 + 4 + 2)
_U64_U32 = struct.Struct(">QI")


@dataclass(frozen=True, slots=True)
class Secrets:
    """The session secrets of HS-5; they never show in a repr."""

    record: bytes = field(repr=False)
    """M, 128 bytes."""
    resumption: bytes = field(repr=False)
    """R, 32 bytes."""
    authenticator: bytes = field(repr=False)
    """A, 32 bytes."""


def _prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def transcript_hash(client_init: bytes, server_init: bytes) -> bytes:
    """Return th, 32 bytes, over both Init payloads as they were on the wire (SPEC 7.1)."""
    digest = hashlib.sha256(TRANSCRIPT_CONTEXT)
    for message in (client_init, server_init):
        digest.update(len(message).to_bytes(4, "big"))
        digest.update(message)
    return digest.digest()


def diffie_hellman(private_key: X25519PrivateKey, peer_public_key: bytes) -> bytes:
    """Return the X25519 result, 32 bytes (SPEC 7.2; HS-1; RFC 7748, section 6.1).

    Raises:
        PeerViolation: BAD_KEY_SHARE for a key of the wrong length or one whose result is zero.
    """
    if len(peer_public_key) != X25519_SIZE:
        raise PeerViolation(ErrorCode.BAD_KEY_SHARE, "X25519 public key is not 32 bytes")
    try:
        shared = private_key.exchange(X25519PublicKey.from_public_bytes(peer_public_key))
    except ValueError:  # the library refuses an all-zero result
        shared = bytes(X25519_SIZE)
    if hmac.compare_digest(shared, bytes(X25519_SIZE)):  # our own check, should the library ever stop refusing
        raise PeerViolation(ErrorCode.BAD_KEY_SHARE, "X25519 result is zero")
    return shared


@dataclass(frozen=True, slots=True)
class ClientShare:
    """The client's ephemeral keys for one handshake cipher; dropped with the handshake."""

    public: bytes
    """What ClientInit carries."""
    x25519: X25519PrivateKey = field(repr=False)
    mlkem: MLKEM768PrivateKey | None = field(repr=False)


def make_client_share(cipher: str, random: Callable[[int], bytes]) -> ClientShare | None:
    """Make fresh ephemeral keys for `cipher`, or None where it needs none (SPEC 5.2, 7.2; HS-10).

    Draws 32 bytes for X25519, then 64 for ML-KEM-768 (d || z of FIPS 203), where the cipher has them.
    """
    if cipher == X25519_STATIC_SHA256:
        return None
    x25519 = X25519PrivateKey.from_private_bytes(random(X25519_SIZE))
    public = x25519.public_key().public_bytes_raw()
    if cipher != X25519_MLKEM768_PFS_SHA256:
        return ClientShare(public, x25519, None)
    kem = MLKEM768PrivateKey.from_seed_bytes(random(MLKEM768_SEED_SIZE))
    return ClientShare(public + kem.public_key().public_bytes_raw(), x25519, kem)


def encapsulate(encapsulation_key: bytes) -> tuple[bytes, bytes]:
    """Encapsulate to an ML-KEM-768 key of 1184 bytes; return secret (32) and ciphertext (1088). Raises ValueError."""
    return MLKEM768PublicKey.from_public_bytes(encapsulation_key).encapsulate()


def client_key_material(
    cipher: str,
    resumed: bytes | None,
    static: X25519PrivateKey,
    peer_static: bytes,
    share: ClientShare | None,
    server_share: bytes,
) -> bytes:
    """Return the client's key material (SPEC 7.2).

    Args:
        cipher: the chosen handshake cipher.
        resumed: the ticket's secret, 32 bytes, in place of `ss`; None in mode FULL.
        static: the own static key.
        peer_static: the server's static public key, 32 bytes; unused when resumed.
        share: the own ephemeral keys for `cipher`.
        server_share: the key share of ServerInit.

    Raises:
        PeerViolation: BAD_KEY_SHARE.
    """
    base = diffie_hellman(static, peer_static) if resumed is None else resumed
    if share is None:
        return base
    ephemeral = server_share[:X25519_SIZE]
    ee = diffie_hellman(share.x25519, ephemeral)
    if cipher == X25519_KCI_SHA256:
        return base + diffie_hellman(share.x25519, peer_static) + diffie_hellman(static, ephemeral) + ee
    if share.mlkem is None:
        return base + ee
    return base + ee + share.mlkem.decapsulate(server_share[X25519_SIZE:])


def server_key_material(
    cipher: str,
    resumed: bytes | None,
    static: X25519PrivateKey,
    peer_static: bytes,
    client_share: bytes,
    random: Callable[[int], bytes],
    encapsulation: Callable[[bytes], tuple[bytes, bytes]],
) -> tuple[bytes, bytes]:
    """Return the server's key material and its key share (SPEC 7.2); see `client_key_material`.

    Draws 32 bytes for X25519 where the cipher has an ephemeral; `encapsulation` brings ML-KEM's own randomness.

    Raises:
        PeerViolation: BAD_KEY_SHARE, also for an ML-KEM key that fails the modulus check of FIPS 203.
    """
    base = diffie_hellman(static, peer_static) if resumed is None else resumed
    if SHARE_SIZES[cipher][1] == 0:
        return base, b""
    own = X25519PrivateKey.from_private_bytes(random(X25519_SIZE))
    public = own.public_key().public_bytes_raw()
    ephemeral = client_share[:X25519_SIZE]
    ee = diffie_hellman(own, ephemeral)
    if cipher == X25519_KCI_SHA256:
        return base + diffie_hellman(static, ephemeral) + diffie_hellman(own, peer_static) + ee, public
    if cipher != X25519_MLKEM768_PFS_SHA256:
        return base + ee, public
    try:
        secret, ciphertext = encapsulation(client_share[X25519_SIZE:])
    except ValueError:
        raise PeerViolation(ErrorCode.BAD_KEY_SHARE, "ML-KEM-768 encapsulation key") from None
    return base + ee + secret, public + ciphertext


def ticket_secret(secrets: Secrets, maker: Role) -> bytes:
    """Return the secret, 32 bytes, that the ticket made by `maker` in this handshake holds (SPEC 12.3).

    One for each maker: both sides may hand out a ticket, and with a shared R each could be used once, R twice (RES-7).
    """
    return hmac.digest(secrets.resumption, _TICKET_SECRET[maker], "sha256")


def derive_secrets(key_material: bytes, th: bytes, client_identity: str, server_identity: str) -> Secrets:
    """Derive M, R and A (SPEC 7.3, 7.4; HS-5; HKDF of RFC 5869 with SHA-256).

    Args:
        key_material: the concatenated Diffie–Hellman results of the handshake cipher.
        th: the transcript hash, 32 bytes.
        client_identity: as authenticated by its certificate.
        server_identity: likewise.
    """
    pseudorandom_key = hmac.digest(SALT, key_material, "sha256")
    context = th + _prefixed(client_identity.encode("ascii")) + _prefixed(server_identity.encode("ascii"))

    def expand(label: bytes, size: int) -> bytes:
        return HKDFExpand(SHA256(), size, _prefixed(label) + context).derive(pseudorandom_key)

    return Secrets(
        record=expand(b"record", RECORD_SECRET_SIZE),
        resumption=expand(b"resumption", RESUMPTION_SECRET_SIZE),
        authenticator=expand(b"authenticator", AUTHENTICATOR_SECRET_SIZE),
    )


def finished_authenticator(secrets: Secrets, sender: Role) -> bytes:
    """Return the authenticator of the Finished message that `sender` sends, 32 bytes (SPEC 7.5; HS-7, HS-9)."""
    return hmac.digest(secrets.authenticator, _FINISHED[sender], "sha256")


def ticket_authenticator(secrets: Secrets, sender: Role, ticket: IssuedTicket | None) -> bytes:
    """Return the authenticator over the ticket that `sender` sends beside Finished, or over its absence (SPEC 7.6)."""
    encoded = _NO_TICKET
    if ticket is not None:
        numbers = _U64_U32.pack(ticket.key_epoch, ticket.lifetime_seconds)
        encoded = _prefixed(ticket.resumption_id) + numbers + _prefixed(ticket.ticket)
    return hmac.digest(secrets.authenticator, _TICKET[sender] + encoded, "sha256")


def same(received: bytes, expected: bytes) -> bool:
    """Compare two authenticators in time that does not depend on where they differ (SPEC 5.6)."""
    return hmac.compare_digest(received, expected)
