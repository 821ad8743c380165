"""What the verifier asks of the services of an implementation under test; part of `target.ImplementationUnderTest`.

A status is the name of a gRPC status; `OK` if the request was taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .target import EndpointSettings


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """What the owner of a key asks for (SPEC 13.1.3), if the status is `OK`."""

    status: str
    category: int = 0
    identity: str = ""
    public_key: bytes = b""
    handshake_ciphers: tuple[str, ...] = ()
    workload_identities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MasterRequest:
    """A SignMasterRequest: the owner's KeyRequest and proof, times in seconds since 1970, a 64-bit revocation ID."""

    request: bytes
    proof: bytes
    not_before: int
    not_after: int
    revocation_id: int


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """The Signing Service's answer: a serialised master certificate if the status is `OK`."""

    status: str
    certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class RevocationStep:
    """One call of the CRL service: `grant` of `number` IDs, or `report` of the ID `number` with a digest."""

    caller: str
    action: str
    number: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class RotationStep:
    """What happens at a cluster master at `now`.

    `tick`: it rotates if that is due; `rotate`: an operator has everything rotated; `schedule`, `stop`: of `workload`,
    the name (16 bytes in hexadecimal) that its client chose.
    """

    now: int
    action: str
    workload: str
    identity: str


@dataclass(frozen=True, slots=True)
class Running:
    """A running workload: its certificate's times and revocation ID, and the epochs of its resumption keys."""

    workload: str
    identity: str
    not_before: int
    not_after: int
    epochs: tuple[int, ...]
    revocation_id: int


@dataclass(frozen=True, slots=True)
class RotationAnswer:
    """How a cluster master stands after a step: base masters so far, and what runs, by name."""

    status: str
    bases: int
    running: tuple[Running, ...] = field(default=())


class ServicesUnderTest(Protocol):
    """The services, each alone: no network."""

    def key_request(self, request: bytes, proof: bytes, requester: str, binding: bytes | None) -> KeyAnswer:
        """Check a ProvenKey as `requester` (SPEC 13.1.3); `binding` None: as the Signing Service."""

    def sign_masters(self, signing_seed: bytes, requests: Sequence[MasterRequest], caller: str) -> list[SignedAnswer]:
        """The answers of a new Signing Service to requests of `caller`, one after the other (SPEC 13.1.4)."""

    def answered_master(self, request: MasterRequest, issuer: str, certificate: bytes) -> tuple[str, bytes]:
        """Give `issuer` the answer to its request: status, and the digest that it will report (SPEC 13.1.4)."""

    def revocation_ids(
        self, issuers: Sequence[str], steps: Sequence[RevocationStep]
    ) -> tuple[list[tuple[str, int | None]], Mapping[int, bytes]]:
        """A new CRL service: status and first ID granted of each step, and in the end digests by ID (SPEC 13.1.10)."""

    def rotation(self, patterns: Sequence[str], steps: Sequence[RotationStep]) -> list[RotationAnswer]:
        """A new cluster master for identities that match `patterns`, with all other services in reach (SPEC 13.1.9)."""

    def enrolment(
        self, token: bytes, token_id: bytes, nonce: bytes, request: bytes, proof: bytes, certificate: bytes
    ) -> tuple[bytes, bytes, bytes]:
        """Binding, MAC of the request, MAC of the answer at first contact (SPEC 13.1.6)."""

    def handshaker_start(self, settings: EndpointSettings, request: bytes) -> tuple[str, bytes]:
        """Status and `out_frames` of a handshaker service that speaks for an endpoint, to a first request (SPEC 9)."""
