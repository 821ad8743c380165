"""What an interpretation must give the abstract machine: encoding, and cryptography, over values `V`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from alts_model.messages import Alert, CertificateView, ClientInit, Finished, IssuedTicket, ServerInit, V
from alts_model.tables import Role

AnyMessage = ClientInit[V] | ServerInit[V] | Finished[V] | Alert

MASTER_LABEL = "openalts v1 master certificate"
HANDSHAKE_LABEL = "openalts v1 handshake certificate"
TRANSCRIPT_LABEL = "openalts v1 transcript"
SALT = "openalts v1 handshake"
FINISHED_LABELS: dict[Role, str] = {"server": "openalts v1 server finished", "client": "openalts v1 client finished"}
TICKET_LABELS: dict[Role, str] = {"server": "openalts v1 server ticket", "client": "openalts v1 client ticket"}
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

    def dh(self, private_key: T, public_key: T) -> T:
        """X25519."""

    def is_zero(self, shared: T) -> bool:
        """Whether a Diffie-Hellman result is all zeros (SPEC.md 7.2)."""

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

    def seal(self, M: T, sender: Role, counter: int, plaintext: T) -> T:
        """The payload of the data frame numbered `counter` (SPEC.md 8.2)."""

    def open(self, M: T, sender: Role, counter: int, payload: T) -> T | None:
        """The plaintext, or None if the frame does not open."""


@dataclass(frozen=True, slots=True, repr=False)
class KeySchedule(Generic[V]):
    """All values of SPEC.md section 7, in the order in which they come about."""

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
    """Derive everything from the shared secret, the two Inits and the two identities (HS-5)."""
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
