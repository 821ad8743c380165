"""What the verifier asks of an implementation under test: a small Protocol over plain bytes and names.

An adapter of an implementation satisfies `ImplementationUnderTest`; nothing here needs a base class or this package's
model. Error names and states are those of SPEC.md, sections 10 and 2.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

RoleName = Literal["client", "server"]


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
        nonce: 32 bytes, the only randomness that a handshake of this version takes.
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


class ImplementationUnderTest(Protocol):
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
        """A fresh endpoint."""

    def seal(
        self, record_secret: bytes, sender: RoleName, first_frame: int, max_frame_size: int, plaintexts: Sequence[bytes]
    ) -> tuple[bytes, str | None]:
        """The frames of the plaintexts, joined, one call for each; and the error at the first that is refused."""

    def open(
        self, record_secret: bytes, receiver: RoleName, first_frame: int, max_frame_size: int, data: bytes
    ) -> OpenResult:
        """Open what the peer of `receiver` sent, beginning with its frame `first_frame`."""
