"""What the verifier asks of an implementation under test: a small Protocol over plain bytes and names.

An adapter of an implementation satisfies `ImplementationUnderTest`; nothing here needs a base class or this package's
model. Error names and states are those of SPEC.md, sections 10 and 2.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .services_target import (
    KeyAnswer,
    MasterRequest,
    RevocationStep,
    RotationAnswer,
    RotationStep,
    Running,
    ServicesUnderTest,
    SignedAnswer,
)

__all__ = [
    "CertificateVerdict",
    "Completion",
    "EndpointSettings",
    "EndpointUnderTest",
    "Failure",
    "FileVerdict",
    "ImplementationUnderTest",
    "KeyAnswer",
    "MasterRequest",
    "ModeName",
    "OpenResult",
    "ProcessUnderTest",
    "Randomness",
    "ResumptionSettings",
    "RevocationStep",
    "RoleName",
    "RotationAnswer",
    "RotationStep",
    "Running",
    "ServicesUnderTest",
    "SignedAnswer",
    "StepResult",
    "TicketParty",
    "TicketText",
]

RoleName = Literal["client", "server"]
ModeName = Literal["full", "client_ticket", "server_ticket"]
"""How a session came about (SPEC 12.1)."""


@dataclass(frozen=True, slots=True)
class Randomness:
    """The fresh values of one endpoint besides its nonce, in queues; each is taken from the front, once.

    Attributes:
        x25519: private keys, 32 bytes: a client's one for each cipher with a share, in the order of its offer; a
            server's one, if the chosen cipher has a share.
        ml_kem_seeds: `d || z` of FIPS 203, 64 bytes, likewise at a client.
        encapsulations: the `m` of FIPS 203, 32 bytes, at a server.
        ticket_salts: 32 bytes, for the ticket that this end makes.
    """

    x25519: tuple[bytes, ...] = field(default=(), repr=False)
    ml_kem_seeds: tuple[bytes, ...] = field(default=(), repr=False)
    encapsulations: tuple[bytes, ...] = field(default=(), repr=False)
    ticket_salts: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ResumptionSettings:
    """What a process resumes with (SPEC 12): a cache of its own, and keys where it makes tickets.

    Attributes:
        resumption_id: IDR, 16 bytes; empty where there are no keys.
        keys: (epoch, 32-byte key); the newest seals.
        forward_secret_server_tickets: a server makes tickets with forward secret ciphers too (SPEC 12.4).
    """

    resumption_id: bytes = b""
    keys: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)
    forward_secret_server_tickets: bool = False


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """All that an endpoint needs for one handshake, as plain values.

    Attributes:
        certificate: serialised HandshakeCertificate.
        private_key: raw X25519, 32 bytes.
        trust_anchors: raw Ed25519 public keys of Signing Services, 32 bytes each.
        policy: (issuer pattern, category number, identity pattern).
        revoked: revoked 64-bit IDs; None: the local copy cannot answer (SPEC 4.11).
        now: seconds since 1970.
        nonce: 32 bytes; with the static cipher and without tickets the only randomness that a handshake takes.
        rpc_max: (major, minor); rpc_min likewise.
        target_identities: empty: every identity will do.
    """

    certificate: bytes
    private_key: bytes = field(repr=False)
    trust_anchors: tuple[bytes, ...]
    policy: tuple[tuple[str, int, str], ...]
    revoked: frozenset[int] | None
    now: int
    nonce: bytes
    handshake_ciphers: tuple[str, ...]
    record_protocols: tuple[str, ...]
    application_protocols: tuple[str, ...]
    rpc_max: tuple[int, int]
    rpc_min: tuple[int, int]
    max_frame_size: int
    target_identities: frozenset[str] = frozenset()
    randomness: Randomness = Randomness()


@dataclass(frozen=True, slots=True)
class Failure:
    """A peer violation: error name and code (SPEC 10), the state in which it happened, the peer's alert code if any."""

    error: str
    code: int
    state: str
    alert_code: int | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What an application learns when the handshake is done."""

    peer_identity: str
    peer_category: int
    handshake_cipher: str
    record_protocol: str
    application_protocol: str
    rpc_version: tuple[int, int]
    max_frame_size: int
    transcript_hash: bytes
    mode: ModeName = "full"


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one call did: bytes for the peer, plaintext for the application (frames joined), events, next state."""

    output: bytes
    state: str
    payload: bytes = b""
    completed: Completion | None = None
    failed: Failure | None = None


@dataclass(frozen=True, slots=True)
class CertificateVerdict:
    """Error name of a refused certificate, or None and what it says."""

    error: str | None
    identity: str = ""
    category: int = 0
    issuer: str = ""
    boundary: str = ""
    revocation_ids: tuple[int, int] = (0, 0)
    """Of the handshake and the master certificate."""
    not_after: int = 0
    """When the first of the two expires, in seconds since 1970; 0: never."""


@dataclass(frozen=True, slots=True)
class TicketParty:
    """One end of a session as a ticket tells it (`Party` of ticket.proto)."""

    category: int
    identity: str
    issuer: str
    boundary: str
    not_after: int
    revocation_ids: tuple[int, int]
    """Of the handshake and the master certificate."""
    certificate_digest: bytes
    verification_key_id: bytes


@dataclass(frozen=True, slots=True)
class TicketText:
    """The inside of a ticket."""

    secret: bytes = field(repr=False)
    maker: TicketParty
    holder: TicketParty
    handshake_cipher: str
    created: int
    full_handshake: int


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What became of a signed file (SPEC 13.2.3): the reason for which it was refused, or None and what it holds.

    Attributes:
        refused: `not signed`, `truncated`, `damaged`, `unknown key`, `bad signature`, `wrong deployment`, or None.
        sequence: number of the file.
        issued_at: seconds since 1970.
        revoked: the IDs of a revocation file, ascending.
        rules: those of a policy file, as in `EndpointSettings.policy`.
    """

    refused: str | None
    sequence: int = 0
    issued_at: int = 0
    revoked: tuple[int, ...] = ()
    rules: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OpenResult:
    """Plaintexts in order, one a frame that is not empty, and the error that came after them, if one did."""

    plaintexts: tuple[bytes, ...]
    error: str | None = None


class EndpointUnderTest(Protocol):
    """One end of one connection. Calls raise only when the caller broke the API."""

    def start(self) -> StepResult:
        """The client begins."""

    def receive(self, data: bytes) -> StepResult:
        """Bytes from the peer, cut anywhere."""

    def end(self) -> StepResult:
        """The peer's stream has ended."""

    def send(self, data: bytes) -> StepResult:
        """The application sends; `output` is the records."""


class ProcessUnderTest(Protocol):
    """One process: the endpoints in it share its ticket cache and its memory of used secrets."""

    def endpoint(self, role: RoleName, settings: EndpointSettings) -> EndpointUnderTest:
        """A fresh endpoint of this process."""


class ImplementationUnderTest(ServicesUnderTest, Protocol):
    """The whole of what is verified."""

    @property
    def name(self) -> str:
        """Name and version, for the report."""

    def x25519(self, private_key: bytes, public_key: bytes) -> bytes | None:
        """The Diffie–Hellman result (SPEC 7.2), or None where it is refused."""

    def key_schedule(
        self, shared_secret: bytes, client_init: bytes, server_init: bytes, client_identity: str, server_identity: str
    ) -> Mapping[str, bytes]:
        """At least `transcriptHash`, `M`, `R`, `A` and the four authenticators (without tickets), by vector name."""

    def ticket_authenticator(
        self, authenticator_secret: bytes, sender: RoleName, ticket: tuple[bytes, int, int, bytes] | None
    ) -> bytes:
        """SPEC 7.6 over (resumption ID, key epoch, lifetime in seconds, ticket), or over no ticket."""

    def certificate(self, certificate: bytes, verifier: EndpointSettings, peer_role: RoleName) -> CertificateVerdict:
        """Verify the certificate of a peer that plays `peer_role` (SPEC 4.9)."""

    def endpoint(self, role: RoleName, settings: EndpointSettings) -> EndpointUnderTest:
        """A fresh endpoint that does not resume."""

    def process(self, resumption: ResumptionSettings) -> ProcessUnderTest:
        """A fresh process, which holds no ticket and has seen none."""

    def policy(self, rules: Sequence[tuple[str, int, str]], issuer: str, category: int, identity: str) -> bool | None:
        """Whether a policy allows an issuer a category for an identity (SPEC 4.10); None: it is refused as none."""

    def ticket_secret(self, resumption_secret: bytes, maker: RoleName) -> bytes:
        """The secret of the ticket that `maker` makes, from R (SPEC 12.3)."""

    def seal_ticket(self, resumption: ResumptionSettings, maker: RoleName, text: TicketText, salt: bytes) -> bytes:
        """A ticket under the newest epoch (SPEC 12.2)."""

    def open_ticket(
        self,
        resumption: ResumptionSettings,
        maker: RoleName,
        identity: str,
        resumption_id: bytes,
        epoch: int,
        ticket: bytes,
    ) -> TicketText | None:
        """What `identity` reads in a ticket that came back with this IDR and epoch; None: nothing (SPEC 12.2, 12.6)."""

    def policy_file(self, data: bytes, keys: Sequence[bytes], deployment: str) -> FileVerdict:
        """A policy file at a machine of `deployment` that pins `keys` and has accepted none before (SPEC 13.2)."""

    def revocation_file(self, data: bytes, keys: Sequence[bytes]) -> FileVerdict:
        """A revocation file at a machine that pins `keys` and has accepted none before (SPEC 13.3)."""

    def seal(
        self, record_secret: bytes, sender: RoleName, first_frame: int, max_frame_size: int, plaintexts: Sequence[bytes]
    ) -> tuple[bytes, str | None]:
        """The frames of the plaintexts, joined, one call for each; and the error at the first that is refused."""

    def open(
        self, record_secret: bytes, receiver: RoleName, first_frame: int, max_frame_size: int, data: bytes
    ) -> OpenResult:
        """Open what the peer of `receiver` sent, beginning with its frame `first_frame`."""
