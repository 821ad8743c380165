"""Messages, certificates and claims as data, over any kind of value `V` (terms or bytes)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

V = TypeVar("V")

RpcVersion = tuple[int, int]
RpcRange = tuple[RpcVersion, RpcVersion]
"""(max, min), each (major, minor), in the order of the schema."""

HUMAN: Final = 1
MACHINE: Final = 2
WORKLOAD: Final = 3
CATEGORY_NAMES: Final = {HUMAN: "HUMAN", MACHINE: "MACHINE", WORKLOAD: "WORKLOAD"}

MODE_FULL: Final = 1
MODE_CLIENT_TICKET: Final = 2
MODE_SERVER_TICKET: Final = 3
MODE_NAMES: Final = {MODE_FULL: "FULL", MODE_CLIENT_TICKET: "CLIENT_TICKET", MODE_SERVER_TICKET: "SERVER_TICKET"}

DATA_FRAME: Final = 6
FRAME_TYPES: Final = {
    "data": DATA_FRAME,
    "client_init": 16,
    "server_init": 17,
    "server_finished": 18,
    "client_finished": 19,
    "alert": 31,
}
"""Input name to frame type (SPEC.md 3.2)."""

INPUT_OF_TYPE: Final = {number: name for name, number in FRAME_TYPES.items()}

INPUT_OF_MESSAGE: Final = {
    "ClientInit": "client_init",
    "ServerInit": "server_init",
    "ServerFinished": "server_finished",
    "ClientFinished": "client_finished",
    "Alert": "alert",
    "data": "data",
}
"""Message name of the tables' output column to the input that it is at the peer."""


@dataclass(frozen=True, slots=True)
class PresentedTicket(Generic[V]):
    """A ticket that comes back to a party which can open it."""

    resumption_id: bytes
    key_epoch: int
    ticket: V


@dataclass(frozen=True, slots=True)
class IssuedTicket(Generic[V]):
    """A ticket handed out beside Finished."""

    resumption_id: bytes
    key_epoch: int
    lifetime_seconds: int
    ticket: V


@dataclass(frozen=True, slots=True)
class ClientInit(Generic[V]):
    """ClientInit (HS-3); field order and meaning of the schema."""

    nonce: V
    certificate: V
    handshake_ciphers: tuple[str, ...]
    record_protocols: tuple[str, ...]
    key_shares: tuple[tuple[str, V], ...]
    application_protocols: tuple[str, ...]
    rpc_versions: RpcRange
    max_frame_size: int
    resumption_id: bytes = b""
    ticket_key_epochs: tuple[int, ...] = ()
    ticket: PresentedTicket[V] | None = None


@dataclass(frozen=True, slots=True)
class ServerInit(Generic[V]):
    """ServerInit (HS-6). `certificate` and `key_share` are None where the field is absent."""

    nonce: V
    mode: int
    certificate: V | None
    handshake_cipher: str
    record_protocol: str
    application_protocol: str
    rpc_versions: RpcRange
    max_frame_size: int
    key_share: V | None = None
    ticket: PresentedTicket[V] | None = None


@dataclass(frozen=True, slots=True)
class Finished(Generic[V]):
    """ServerFinished or ClientFinished (HS-7, HS-9)."""

    authenticator: V
    ticket_authenticator: V
    ticket: IssuedTicket[V] | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert; `code` is never 0."""

    code: int


@dataclass(frozen=True, slots=True)
class MasterView(Generic[V]):
    """What a verifier reads in a master certificate (CRED-1); `digest` is that of the whole certificate."""

    category: int
    identity: str
    issuer: str
    verification_key_id: V
    not_before: int
    not_after: int
    revocation_id: int
    public_key: V
    handshake_ciphers: tuple[str, ...]
    workload_identities: tuple[str, ...]
    body: V
    signature: V
    digest: V


@dataclass(frozen=True, slots=True)
class CertificateView(Generic[V]):
    """What a verifier reads in a handshake certificate (CRED-2)."""

    category: int
    identity: str
    master_digest: V
    not_before: int
    not_after: int
    revocation_id: int
    x25519_public_key: V
    handshake_ciphers: tuple[str, ...]
    boundary: str
    body: V
    signature: V
    master: MasterView[V]


@dataclass(frozen=True, slots=True)
class Choices:
    """What ServerInit settles."""

    handshake_cipher: str
    record_protocol: str
    application_protocol: str
    rpc_version: RpcVersion
    max_frame_size: int


@dataclass(frozen=True, slots=True)
class Agreed(Generic[V]):
    """The data of an agreement claim (SPEC.md 2.6): all that the two ends must see alike.

    `server_certificate` and `secret` (the ticket's, which was resumed from) are None in the mode that has none.
    """

    client: str
    server: str
    client_nonce: V
    server_nonce: V
    client_certificate: V
    server_certificate: V | None
    handshake_ciphers: tuple[str, ...]
    record_protocols: tuple[str, ...]
    application_protocols: tuple[str, ...]
    choices: Choices
    mode: int = MODE_FULL
    secret: V | None = None


@dataclass(frozen=True, slots=True)
class Claim(Generic[V]):
    """A claim made by a row of the tables.

    `agreed` is None in ClientStarts, which knows no peer yet. `tickets` are the tickets (server's, client's) that the
    claimant has sent or received so far.
    """

    name: str
    agreed: Agreed[V] | None
    tickets: tuple[IssuedTicket[V] | None, IssuedTicket[V] | None] = (None, None)


def present(value: V | None) -> V:
    """The value, which the state guarantees to be there."""
    assert value is not None
    return value
