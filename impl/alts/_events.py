"""What a connection tells its application: one frozen record an event, and the result of a handshake.

What a handshake makes several of, and holds no secret, is a named tuple: immutable too, made in a third of the time.
What holds a secret is none, so that nothing finds the secret by walking a tuple (a log formatter, say).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from ._config import RpcVersion
    from ._errors import PeerViolation
    from ._table import Role
    from ._trust import Peer


Mode = Literal["full", "client_ticket", "server_ticket"]
"""How a session came about (SPEC 12.1): who held the ticket that it was resumed with, if any."""


class Negotiated(NamedTuple):
    """What both sides agreed on (HS-4, REC-1); all of it is under Finished (SPEC 6.5).

    Attributes:
        handshake_cipher: such as ``X25519_STATIC_SHA256``.
        record_protocol: such as ``ALTSRP_GCM_AES128_REKEY``.
        application_protocol: such as ``grpc``.
        rpc_version: (major, minor) in force.
        peer_rpc_versions: smallest and largest that the peer speaks.
        max_frame_size: bound of a frame's length field in both directions, in bytes.
        mode: ``full``, or which ticket the session was resumed with.
    """

    handshake_cipher: str
    record_protocol: str
    application_protocol: str
    rpc_version: RpcVersion
    peer_rpc_versions: tuple[RpcVersion, RpcVersion]
    max_frame_size: int
    mode: Mode = "full"


class Evidence(NamedTuple):
    """What an audit log can keep to record what was agreed (TRUST-5).

    It proves nothing to a third party: no signature covers the transcript, and either end could have made it up.

    Attributes:
        transcript_hash: th of SPEC 7.1, 32 bytes; both sides have the same.
        peer_certificate: the peer's handshake certificate as received, serialised; empty in a resumed session, where
            `Peer.certificate_digest` names the one of the full handshake.
        own_certificate_digest: SHA-256 of the own handshake certificate, 32 bytes.
    """

    transcript_hash: bytes
    peer_certificate: bytes
    own_certificate_digest: bytes

    def __repr__(self) -> str:
        return f"Evidence(transcript_hash={self[0]!r}, own_certificate_digest={self[2]!r})"


@dataclass(slots=True)  # a frozen one takes three times as long to make
class HandshakeResult:
    """Everything that a completed handshake yields. The record protocol secret never shows in a repr."""

    role: Role
    peer: Peer
    local_identity: str
    negotiated: Negotiated
    evidence: Evidence
    record_secret: bytes = field(repr=False)
    """M, 128 bytes (SPEC 7.4)."""


class Event:
    """Root of the events that `Connection.receive_data` and `receive_end` return."""

    __slots__ = ()


class _Completed(NamedTuple):
    peer: Peer
    local_identity: str
    negotiated: Negotiated
    evidence: Evidence


class HandshakeCompleted(_Completed, Event):
    """The connection is OPEN and the peer authenticated; comes once, before any payload."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class PayloadReceived(Event):
    """The plaintext of one frame, never empty; a view stays valid as long as it is held."""

    data: bytes | memoryview = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionClosed(Event):
    """The peer ended its stream at a frame boundary; that it was not cut off there cannot be known (SPEC 3.5)."""


@dataclass(frozen=True, slots=True)
class ConnectionFailed(Event):
    """The connection is FAILED for good. Send what `data_to_send` still holds (an alert at most), then close."""

    error: PeerViolation
