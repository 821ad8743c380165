"""What an interpretation must give the abstract machine: encoding, and cryptography, over values `V`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from alts_model.messages import Alert, CertificateView, ClientInit, Finished, IssuedTicket, ServerInit, V
from alts_model.stores import Contents
from alts_model.tables import Role

AnyMessage = ClientInit[V] | ServerInit[V] | Finished[V] | Alert

MASTER_LABEL = "openalts v1 master certificate"
HANDSHAKE_LABEL = "openalts v1 handshake certificate"
TRANSCRIPT_LABEL = "openalts v1 transcript"
SALT = "openalts v1 handshake"
FINISHED_LABELS: dict[Role, str] = {"server": "openalts v1 server finished", "client": "openalts v1 client finished"}
TICKET_LABELS: dict[Role, str] = {"server": "openalts v1 server ticket", "client": "openalts v1 client ticket"}
TICKET_SECRET_LABELS: dict[Role, str] = {
    "server": "openalts v1 server-made ticket",
    "client": "openalts v1 client-made ticket",
}
TICKET_KEY_LABEL = "openalts v1 ticket key"
TICKET_LABEL = "openalts v1 ticket"
SECRET_SIZES = {"record": 128, "resumption": 32, "authenticator": 32}
"""Label to size of M, R and A (SPEC.md 7.4)."""

T = TypeVar("T")


class Algebra(Protocol[T]):
    """The operations of SPEC.md sections 4, 5, 7 and 8 over one kind of value. Functions are pure."""

    def encode(self, message: ClientInit[T] | ServerInit[T] | Finished[T] | Alert) -> T:
        """The payload of a message."""

    def decode_client_init(self, payload: T) -> ClientInit[T]:
        """Parse, with all checks of 5.3. Raises Refused."""

    def decode_server_init(self, payload: T) -> ServerInit[T]:
        """Parse, with all checks of 5.3. Raises Refused."""

    def decode_finished(self, payload: T, sender: Role) -> Finished[T]:
        """Parse, with all checks of 5.3. Raises Refused."""

    def decode_alert(self, payload: T) -> Alert:
        """Parse, with all checks of 5.3 and 5.8. Raises Refused."""

    def certificate(self, certificate: T) -> CertificateView[T]:
        """Take a handshake certificate apart: size, canonical form, field lengths. Raises Refused (BAD_CERTIFICATE)."""

    def verify(self, public_key: T, label: str, body: T, signature: T) -> bool:
        """Whether a signature over `label || 0x00 || body` is right."""

    def equal(self, left: T, right: T) -> bool:
        """Equality, in constant time where that means something."""

    def digest(self, certificate: T) -> T:
        """SHA-256 of a certificate."""

    def public(self, private_key: T) -> T:
        """The X25519 public key of a private key."""

    def dh(self, private_key: T, public_key: T) -> T:
        """X25519."""

    def is_zero(self, shared: T) -> bool:
        """Whether a Diffie-Hellman result is all zeros (SPEC.md 7.2)."""

    def kem_public(self, seed: T) -> T:
        """The ML-KEM-768 encapsulation key of a seed."""

    def encapsulate(self, encapsulation_key: T, randomness: T) -> tuple[T, T] | None:
        """Secret and ciphertext; None if the key fails the modulus check (SPEC.md 7.2.1)."""

    def decapsulate(self, seed: T, ciphertext: T) -> T:
        """The secret; for a wrong ciphertext another one."""

    def join(self, parts: tuple[T, ...]) -> T:
        """Concatenation."""

    def split(self, share: T) -> tuple[T, T | None]:
        """A share as X25519 public key and, if there is more, encapsulation key or ciphertext."""

    def share_fits(self, share: T | None, size: int) -> bool:
        """Whether a share has exactly `size` bytes; 0: whether there is none."""

    def transcript(self, client_init: T, server_init: T) -> T:
        """The transcript hash (SPEC.md 7.1)."""

    def extract(self, material: T) -> T:
        """PRK (SPEC.md 7.3)."""

    def info(self, label: str, transcript: T, client: str, server: str) -> T:
        """The info of an expansion (SPEC.md 7.4)."""

    def expand(self, prk: T, info: T, size: int) -> T:
        """HKDF-Expand."""

    def authenticator(self, key: T, label: str) -> T:
        """SPEC.md 7.5."""

    def ticket_authenticator(self, key: T, label: str, ticket: IssuedTicket[T] | None) -> T:
        """SPEC.md 7.6."""

    def ticket_secret(self, R: T, maker: Role) -> T:
        """The secret of the ticket that `maker` makes (SPEC.md 12.3)."""

    def ticket_aad(self, maker: Role, identity: str, resumption_id: bytes, epoch: int) -> T:
        """SPEC.md 12.2."""

    def ticket_key(self, salt: T, resumption_key: T) -> T:
        """SPEC.md 12.2."""

    def encode_contents(self, contents: Contents[T]) -> T:
        """The plaintext of a ticket."""

    def seal_ticket(self, salt: T, key: T, plaintext: T, aad: T) -> T:
        """A ticket (SPEC.md 12.2)."""

    def open_ticket(self, resumption_key: T, ticket: T, aad: T, maker: Role) -> Contents[T] | None:
        """The contents; None if the ticket does not open or holds anything else."""

    def seal(self, M: T, sender: Role, counter: int, plaintext: T) -> T:
        """The payload of the data frame numbered `counter` (SPEC.md 8.2)."""

    def open(self, M: T, sender: Role, counter: int, payload: T) -> T | None:
        """The plaintext, or None if the frame does not open."""


@dataclass(frozen=True, slots=True, repr=False)
class KeySchedule(Generic[V]):
    """All values of SPEC.md section 7, in the order in which they come about.

    `shared_secret` is the whole key material of 7.2: `ss` alone with the static cipher.
    """

    shared_secret: V
    transcript_hash: V
    prk: V
    record_info: V
    M: V
    resumption_info: V
    R: V
    authenticator_info: V
    A: V


def key_schedule(
    algebra: Algebra[V], shared_secret: V, client_init: V, server_init: V, client: str, server: str
) -> KeySchedule[V]:
    """Derive everything from the key material, the two Inits and the two identities (HS-5)."""
    transcript = algebra.transcript(client_init, server_init)
    prk = algebra.extract(shared_secret)
    infos = {label: algebra.info(label, transcript, client, server) for label in SECRET_SIZES}
    secrets = {label: algebra.expand(prk, infos[label], size) for label, size in SECRET_SIZES.items()}
    return KeySchedule(
        shared_secret,
        transcript,
        prk,
        infos["record"],
        secrets["record"],
        infos["resumption"],
        secrets["resumption"],
        infos["authenticator"],
        secrets["authenticator"],
    )
