"""The key schedule: from the Diffie–Hellman result and the transcript to M, R, A and Finished (SPEC 7; HS-5)."""

from __future__ import annotations

import functools
import hashlib
import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from ._errors import ErrorCode, PeerViolation
from ._messages import (
    SHARE_SIZES,
    X25519_KCI_SHA256,
    X25519_MLKEM768_PFS_SHA256,
    X25519_SIZE,
)
from ._table import Role

if TYPE_CHECKING:
    from ._contents import Ticket

SALT = b"openalts v1 handshake"
TRANSCRIPT_CONTEXT = b"openalts v1 transcript"
RECORD_SECRET_SIZE, RESUMPTION_SECRET_SIZE, AUTHENTICATOR_SECRET_SIZE = 128, 32, 32

_FINISHED = {Role.SERVER: b"openalts v1 server finished", Role.CLIENT: b"openalts v1 client finished"}
_TICKET = {Role.SERVER: b"openalts v1 server ticket", Role.CLIENT: b"openalts v1 client ticket"}
_TICKET_SECRET = {Role.SERVER: b"openalts v1 server-made ticket", Role.CLIENT: b"openalts v1 client-made ticket"}
MLKEM768_SEED_SIZE = 64
_NO_TICKET = bytes(2 + 8 + 4 + 2)
_U32, _TICKET_NUMBERS, _U16 = struct.Struct(">I"), struct.Struct(">QIH"), struct.Struct(">H")
_ZERO = bytes(X25519_SIZE)

_sha256 = hashlib.sha256
_HMAC_BLOCK = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_INNER_REST, _OUTER_REST = (bytes([pad]) * 32 for pad in (0x36, 0x5C))

Mac = Callable[[bytes], bytes]
"""HMAC-SHA256 under a key that it holds: takes a message, returns 32 bytes."""


def keyed(key: bytes) -> Mac:
    """Return HMAC-SHA256 (RFC 2104) under a key of any size, which is hashed once for all messages.

    Written out because a handshake does two dozen of them, most under the same few keys: `hmac.digest` and `HKDFExpand`
    look the hash up in the library and absorb the key anew each time, which costs five times as much as this.
    """
    if len(key) > _HMAC_BLOCK:
        key = _sha256(key).digest()
    inner = _sha256(key.translate(_INNER).ljust(_HMAC_BLOCK, b"\x36")).copy
    outer = _sha256(key.translate(_OUTER).ljust(_HMAC_BLOCK, b"\x5c")).copy

    def mac(message: bytes) -> bytes:
        first = inner()
        first.update(message)
        second = outer()
        second.update(first.digest())
        return second.digest()

    return mac


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA256 of one message under a key of any size."""
    if len(key) != 32:
        return keyed(key)(message)
    inner = _sha256(key.translate(_INNER) + _INNER_REST + message).digest()
    return _sha256(key.translate(_OUTER) + _OUTER_REST + inner).digest()


@dataclass(slots=True)
class Secrets:
    """The session secrets of HS-5; they never show in a repr."""

    record: bytes = field(repr=False)
    """M, 128 bytes."""
    resumption: bytes = field(repr=False)
    """R, 32 bytes."""
    authenticator: bytes = field(repr=False)
    """A, 32 bytes."""


def _prefixed(data: bytes) -> bytes:
    return _U16.pack(len(data)) + data


def transcript_hash(client_init: bytes, server_init: bytes) -> bytes:
    """Return th, 32 bytes, over both Init payloads as they were on the wire (SPEC 7.1)."""
    sizes = _U32.pack(len(client_init)), _U32.pack(len(server_init))
    return _sha256(b"".join((TRANSCRIPT_CONTEXT, sizes[0], client_init, sizes[1], server_init))).digest()


@functools.lru_cache(maxsize=1024)  # static keys come again with their certificates
def _static_key(raw: bytes) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(raw)


def diffie_hellman(
    private_key: X25519PrivateKey,
    peer_public_key: bytes,
    load: Callable[[bytes], X25519PublicKey] = X25519PublicKey.from_public_bytes,
) -> bytes:
    """Return the X25519 result, 32 bytes (SPEC 7.2; HS-1; RFC 7748, section 6.1).

    Raises:
        PeerViolation: BAD_KEY_SHARE for a key of the wrong length or one whose result is zero.
    """
    if len(peer_public_key) != X25519_SIZE:
        raise PeerViolation(ErrorCode.BAD_KEY_SHARE, "X25519 public key is not 32 bytes")
    try:
        shared = private_key.exchange(load(peer_public_key))
    except ValueError:  # the library refuses an all-zero result
        shared = _ZERO
    if hmac.compare_digest(shared, _ZERO):  # our own check, should the library ever stop refusing
        raise PeerViolation(ErrorCode.BAD_KEY_SHARE, "X25519 result is zero")
    return shared


@dataclass(frozen=True, slots=True)
class ClientShare:
    """The client's ephemeral keys for one handshake cipher; dropped with the handshake."""

    public: bytes
    """What ClientInit carries."""
    x25519: X25519PrivateKey = field(repr=False)
    mlkem: MLKEM768PrivateKey | None = field(repr=False)


def make_client_share(cipher: str, random: Callable[[int], bytes]) -> ClientShare:
    """Make fresh ephemeral keys for `cipher`, one that needs them (SPEC 5.2, 7.2; HS-10).

    Draws 32 bytes for X25519, then 64 for ML-KEM-768 (d || z of FIPS 203), where the cipher has them.
    """
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
    base = diffie_hellman(static, peer_static, _static_key) if resumed is None else resumed
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
    base = diffie_hellman(static, peer_static, _static_key) if resumed is None else resumed
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


def ticket_secret(resumption_secret: bytes, maker: Role) -> bytes:
    """Return the secret, 32 bytes, that the ticket made by `maker` in this handshake holds (SPEC 12.3).

    One for each maker: both sides may hand out a ticket, and with a shared R each could be used once, R twice (RES-7).
    """
    return hmac_sha256(resumption_secret, _TICKET_SECRET[maker])


_extract = keyed(SALT)
_RECORD, _RESUMPTION, _AUTHENTICATOR = map(_prefixed, (b"record", b"resumption", b"authenticator"))


@functools.lru_cache(maxsize=1024)  # pure; the same two meet again
def _identities(client: str, server: str) -> bytes:
    return _prefixed(client.encode("ascii")) + _prefixed(server.encode("ascii"))


def derive_secrets(key_material: bytes, th: bytes, client_identity: str, server_identity: str) -> Secrets:
    """Derive M, R and A (SPEC 7.3, 7.4; HS-5; HKDF of RFC 5869 with SHA-256).

    Args:
        key_material: the concatenated Diffie–Hellman results of the handshake cipher.
        th: the transcript hash, 32 bytes.
        client_identity: as authenticated by its certificate.
        server_identity: likewise.
    """
    mac = keyed(_extract(key_material))
    context = th + _identities(client_identity, server_identity)
    # HKDF-Expand: T(i) = HMAC(PRK, T(i-1) || info || i); M is four of them, R and A are one each
    info = _RECORD + context
    first = mac(info + b"\x01")
    second = mac(first + info + b"\x02")
    third = mac(second + info + b"\x03")
    fourth = mac(third + info + b"\x04")
    resumption, authenticator = mac(_RESUMPTION + context + b"\x01"), mac(_AUTHENTICATOR + context + b"\x01")
    return Secrets(first + second + third + fourth, resumption, authenticator)


def finished_authenticator(mac: Mac, sender: Role) -> bytes:
    """Return the authenticator of the Finished message that `sender` sends, 32 bytes (SPEC 7.5; HS-7, HS-9).

    Args:
        mac: keyed with A; see `keyed`.
        sender: of the message.
    """
    return mac(_FINISHED[sender])


def ticket_authenticator(mac: Mac, sender: Role, ticket: Ticket | None) -> bytes:
    """Return the authenticator over the ticket that `sender` sends beside Finished, or over its absence (SPEC 7.6)."""
    if ticket is None:
        return mac(_TICKET[sender] + _NO_TICKET)
    resumption_id, epoch, sealed, lifetime = ticket
    numbers = _TICKET_NUMBERS.pack(epoch, lifetime, len(sealed))
    return mac(b"".join((_TICKET[sender], _prefixed(resumption_id), numbers, sealed)))


def same(received: bytes, expected: bytes) -> bool:
    """Compare two authenticators in time that does not depend on where they differ (SPEC 5.6)."""
    return hmac.compare_digest(received, expected)
