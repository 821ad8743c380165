"""The concrete interpretation: values are bytes, cryptography is real (tlslite-ng, hashlib)."""

from __future__ import annotations

from alts_model import codec, primitives, record
from alts_model.algebra import SALT, TICKET_KEY_LABEL, TICKET_LABEL, TICKET_SECRET_LABELS, TRANSCRIPT_LABEL
from alts_model.ciphers import X25519_SIZE
from alts_model.messages import Alert, CertificateView, ClientInit, Finished, IssuedTicket, ServerInit
from alts_model.stores import Contents
from alts_model.tables import Role

TICKET_SALT_SIZE = 32


def lp(data: bytes) -> bytes:
    """`u16be(len) || data`."""
    return len(data).to_bytes(2, "big") + data


def ticket_bytes(ticket: IssuedTicket[bytes] | None) -> bytes:
    """`T` of SPEC.md 7.6."""
    if ticket is None:
        return lp(b"") + bytes(8) + bytes(4) + lp(b"")
    return (
        lp(ticket.resumption_id)
        + ticket.key_epoch.to_bytes(8, "big")
        + ticket.lifetime_seconds.to_bytes(4, "big")
        + lp(ticket.ticket)
    )


class ConcreteAlgebra:
    """`Algebra[bytes]`."""

    def encode(self, message: ClientInit[bytes] | ServerInit[bytes] | Finished[bytes] | Alert) -> bytes:
        """The canonical payload."""
        return codec.encode_finished(message) if isinstance(message, Finished) else codec.encode(message)

    def decode_client_init(self, payload: bytes) -> ClientInit[bytes]:
        """SPEC.md 5.3."""
        return codec.decode_client_init(payload)

    def decode_server_init(self, payload: bytes) -> ServerInit[bytes]:
        """SPEC.md 5.3."""
        return codec.decode_server_init(payload)

    def decode_finished(self, payload: bytes, sender: Role) -> Finished[bytes]:
        """SPEC.md 5.3."""
        return codec.decode_finished(payload, sender)

    def decode_alert(self, payload: bytes) -> Alert:
        """SPEC.md 5.8."""
        return codec.decode_alert(payload)

    def certificate(self, certificate: bytes) -> CertificateView[bytes]:
        """SPEC.md 4.9, step 1, what is about bytes."""
        return codec.decode_certificate(certificate)

    def verify(self, public_key: bytes, label: str, body: bytes, signature: bytes) -> bool:
        """Ed25519 (SPEC.md 4.5)."""
        return primitives.ed25519_verify(public_key, label.encode() + b"\x00" + body, signature)

    def equal(self, left: bytes, right: bytes) -> bool:
        """Constant-time equality."""
        return primitives.equal(left, right)

    def digest(self, certificate: bytes) -> bytes:
        """SHA-256."""
        return primitives.sha256(certificate)

    def public(self, private_key: bytes) -> bytes:
        """X25519 with the base point."""
        return primitives.x25519_public(private_key)

    def dh(self, private_key: bytes, public_key: bytes) -> bytes:
        """X25519."""
        return primitives.x25519(private_key, public_key)

    def is_zero(self, shared: bytes) -> bool:
        """All 32 bytes are zero."""
        return primitives.equal(shared, bytes(32))

    def kem_public(self, seed: bytes) -> bytes:
        """FIPS 203."""
        return primitives.ml_kem_768_keys(seed)[0]

    def encapsulate(self, encapsulation_key: bytes, randomness: bytes) -> tuple[bytes, bytes] | None:
        """FIPS 203, with its modulus check."""
        if not primitives.ml_kem_768_key_is_sound(encapsulation_key):
            return None
        return primitives.ml_kem_768_encapsulate(encapsulation_key, randomness)

    def decapsulate(self, seed: bytes, ciphertext: bytes) -> bytes:
        """FIPS 203."""
        return primitives.ml_kem_768_decapsulate(seed, ciphertext)

    def join(self, parts: tuple[bytes, ...]) -> bytes:
        """`||`."""
        return b"".join(parts)

    def split(self, share: bytes) -> tuple[bytes, bytes | None]:
        """The first 32 bytes, and the rest."""
        return share[:X25519_SIZE], share[X25519_SIZE:] or None

    def share_fits(self, share: bytes | None, size: int) -> bool:
        """The length."""
        return len(share or b"") == size

    def transcript(self, client_init: bytes, server_init: bytes) -> bytes:
        """SPEC.md 7.1."""
        parts = b"".join(len(part).to_bytes(4, "big") + part for part in (client_init, server_init))
        return primitives.sha256(TRANSCRIPT_LABEL.encode() + parts)

    def extract(self, material: bytes) -> bytes:
        """SPEC.md 7.3."""
        return primitives.hkdf_extract(SALT.encode(), material)

    def info(self, label: str, transcript: bytes, client: str, server: str) -> bytes:
        """SPEC.md 7.4."""
        return lp(label.encode()) + transcript + lp(client.encode()) + lp(server.encode())

    def expand(self, prk: bytes, info: bytes, size: int) -> bytes:
        """SPEC.md 7.4."""
        return primitives.hkdf_expand(prk, info, size)

    def authenticator(self, key: bytes, label: str) -> bytes:
        """SPEC.md 7.5."""
        return primitives.hmac_sha256(key, label.encode())

    def ticket_authenticator(self, key: bytes, label: str, ticket: IssuedTicket[bytes] | None) -> bytes:
        """SPEC.md 7.6."""
        return primitives.hmac_sha256(key, label.encode() + ticket_bytes(ticket))

    def ticket_secret(self, R: bytes, maker: Role) -> bytes:
        """SPEC.md 12.3."""
        return primitives.hmac_sha256(R, TICKET_SECRET_LABELS[maker].encode())

    def ticket_aad(self, maker: Role, identity: str, resumption_id: bytes, epoch: int) -> bytes:
        """SPEC.md 12.2; the last byte is the version."""
        parts = b"".join(map(lp, (maker.encode(), identity.encode(), resumption_id)))
        return TICKET_LABEL.encode() + parts + epoch.to_bytes(8, "big") + b"\x01"

    def ticket_key(self, salt: bytes, resumption_key: bytes) -> bytes:
        """SPEC.md 12.2."""
        return primitives.hkdf_expand(primitives.hkdf_extract(salt, resumption_key), TICKET_KEY_LABEL.encode(), 32)

    def encode_contents(self, contents: Contents[bytes]) -> bytes:
        """The canonical TicketContents."""
        return codec.encode_contents(contents)

    def seal_ticket(self, salt: bytes, key: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """SPEC.md 12.2."""
        return salt + primitives.aes_gcm_seal(key, bytes(12), plaintext, aad)

    def open_ticket(self, resumption_key: bytes, ticket: bytes, aad: bytes, maker: Role) -> Contents[bytes] | None:
        """SPEC.md 12.2."""
        salt, sealed = ticket[:TICKET_SALT_SIZE], ticket[TICKET_SALT_SIZE:]
        if len(sealed) < 16:
            return None
        plaintext = primitives.aes_gcm_open(self.ticket_key(salt, resumption_key), bytes(12), sealed, aad)
        return None if plaintext is None else codec.decode_contents(plaintext, maker)

    def seal(self, M: bytes, sender: Role, counter: int, plaintext: bytes) -> bytes:
        """SPEC.md 8.2."""
        return record.seal(M, sender, counter, plaintext)

    def open(self, M: bytes, sender: Role, counter: int, payload: bytes) -> bytes | None:
        """SPEC.md 8.2."""
        return record.open_record(M, sender, counter, payload)
