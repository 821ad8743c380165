"""What an endpoint brings to a handshake: credential, beliefs, what it allows, clock and randomness."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from alts_schema.handshake_pb2 import ClientInit

from ._errors import ConfigurationError, PeerViolation
from ._key_schedule import encapsulate
from ._messages import (
    DEFAULT_HANDSHAKE_CIPHERS,
    HANDSHAKE_CIPHERS,
    MAX_FRAME_SIZE,
    MIN_FRAME_SIZE,
    RECORD_PROTOCOLS,
    SHARE_SIZES,
    check_names,
    encodable,
)
from ._names import IDENTITY
from ._trust import parse_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._key_schedule import Secrets
    from ._resumption import Resumption
    from ._trust import Certificate, Peer, Trust

RpcVersion = tuple[int, int]
"""(major, minor)."""

GRPC_RPC_VERSION: RpcVersion = (2, 1)
_MOST_TARGETS = 256


@dataclass(frozen=True, slots=True)
class Credential:
    """A handshake certificate and the private half of its static X25519 key (CRED-2).

    Raises:
        ConfigurationError: the certificate is malformed, or the key is not the certificate's.
    """

    certificate: bytes
    """A serialised HandshakeCertificate, at most 8192 bytes."""
    private_key: X25519PrivateKey = field(repr=False)
    parsed: Certificate = field(init=False, repr=False, compare=False)
    identity: str = field(init=False)
    """The identity that the certificate names."""
    peer: Peer = field(init=False, repr=False)
    """The own end as a peer sees it."""
    digest: bytes = field(init=False, repr=False)
    """SHA-256 of the certificate, 32 bytes."""

    def __post_init__(self) -> None:
        try:
            parsed = parse_certificate(self.certificate)
        except PeerViolation as error:
            raise ConfigurationError(f"own certificate: {error.detail}") from None
        public_key = self.private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        if public_key != parsed.body.x25519_public_key:
            raise ConfigurationError("the private key does not belong to the certificate")
        object.__setattr__(self, "parsed", parsed)
        object.__setattr__(self, "peer", parsed.owner)
        object.__setattr__(self, "identity", parsed.body.identity)
        object.__setattr__(self, "digest", parsed.owner.certificate_digest)


@dataclass(frozen=True, slots=True)
class Environment:
    """The clock and the randomness of an endpoint, injected (the protocol code has neither).

    Attributes:
        clock: returns seconds since the epoch.
        random: returns that many unpredictable bytes.
        key_log: if given, called once a handshake with the transcript hash (32 bytes) and the session secrets, for
            tools that decrypt recorded traffic. Opt-in; whoever holds its output can read the connection.
        encapsulate: ML-KEM-768 encapsulation: takes a key of 1184 bytes, returns secret (32) and ciphertext (1088),
            raises ValueError for a key that is none. The library's own unless a test needs to know the randomness.
    """

    clock: Callable[[], float]
    random: Callable[[int], bytes]
    key_log: Callable[[bytes, Secrets], None] | None = field(default=None, repr=False)
    encapsulate: Callable[[bytes], tuple[bytes, bytes]] = field(default=encapsulate, repr=False)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that stays the same from one handshake of an endpoint to the next.

    Attributes:
        credential: certificate and key.
        trust: what the endpoint believes.
        handshake_ciphers: allowed ones, in order of preference (HS-3, HS-4).
        record_protocols: likewise (REC-1).
        application_protocols: likewise; gRPC's is "grpc".
        rpc_versions: smallest and largest (major, minor) spoken (SPEC 6.3).
        max_frame_size: 16384 to 1048576 bytes (SPEC 5.2).
        target_identities: identities that the peer must have one of; empty: every one (SPEC 4.9, step 8).
        resumption: keys and caches; None: every handshake is a full one.

    Raises:
        ConfigurationError: something is not known, not allowed by the own certificate, or out of bounds.
    """

    credential: Credential
    trust: Trust
    handshake_ciphers: tuple[str, ...] = DEFAULT_HANDSHAKE_CIPHERS
    record_protocols: tuple[str, ...] = RECORD_PROTOCOLS
    application_protocols: tuple[str, ...] = ("grpc",)
    rpc_versions: tuple[RpcVersion, RpcVersion] = (GRPC_RPC_VERSION, GRPC_RPC_VERSION)
    max_frame_size: int = MAX_FRAME_SIZE
    target_identities: frozenset[str] = frozenset()
    resumption: Resumption | None = None
    client_init: tuple[bytes, bytes] = field(init=False, repr=False, compare=False)
    """What every ClientInit of this endpoint has before and after its key shares, encoded."""
    share_ciphers: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """The allowed handshake ciphers that need a key share."""
    _for_targets: dict[frozenset[str], Configuration] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )  # a client dials the same few services

    def __post_init__(self) -> None:
        object.__setattr__(self, "target_identities", identity_set(self.target_identities))
        for what in ("handshake_ciphers", "record_protocols", "application_protocols"):
            names = _names(getattr(self, what), what)
            object.__setattr__(self, what, names)  # a list would compare unequal, and may change
            try:
                check_names(getattr(self, what), what)
            except PeerViolation as error:
                raise ConfigurationError(error.detail) from None
        _require(set(self.handshake_ciphers) <= set(HANDSHAKE_CIPHERS), "unknown handshake cipher")
        _require(set(self.record_protocols) <= set(RECORD_PROTOCOLS), "unknown record protocol")
        own = set(self.credential.parsed.body.handshake_ciphers)
        _require(set(self.handshake_ciphers) <= own, "handshake cipher that the own certificate does not list")
        try:
            (major, minor), (most, last) = self.rpc_versions
            legal = all(type(part) is int and 0 <= part < 2**32 for part in (major, minor, most, last))
        except (TypeError, ValueError):
            raise ConfigurationError("configuration: RPC versions are no two pairs of numbers") from None
        low, high = (major, minor), (most, last)
        object.__setattr__(self, "rpc_versions", (low, high))
        _require(legal and low <= high, "RPC version range")
        sized = type(self.max_frame_size) is int and MIN_FRAME_SIZE <= self.max_frame_size <= MAX_FRAME_SIZE
        _require(sized, "max_frame_size")
        before = ClientInit(
            certificate=self.credential.certificate,
            handshake_ciphers=self.handshake_ciphers,
            record_protocols=self.record_protocols,
        )
        after = ClientInit(
            application_protocols=self.application_protocols,
            rpc_versions=encodable(self.rpc_versions),
            max_frame_size=self.max_frame_size,
        )
        encoded = before.SerializeToString(deterministic=True), after.SerializeToString(deterministic=True)
        object.__setattr__(self, "client_init", encoded)
        needy = tuple(cipher for cipher in self.handshake_ciphers if SHARE_SIZES[cipher][0])
        object.__setattr__(self, "share_ciphers", needy)

    def for_targets(self, identities: Iterable[str]) -> Configuration:
        """Return this configuration with other target identities; the same one for the same frozen set.

        Raises:
            ConfigurationError: one is no identity.
        """
        known = self._for_targets.get(identities) if isinstance(identities, frozenset) else None
        if known is not None:
            return known
        targets = identity_set(identities)
        if targets == self.target_identities:
            return self
        made = self._for_targets.get(targets) or replace(self, target_identities=targets)
        if len(self._for_targets) >= _MOST_TARGETS:
            self._for_targets.clear()
        self._for_targets[targets] = made
        return made


def _names(names: Iterable[str], what: str) -> tuple[str, ...]:
    """Return a list of names; a lone string, whose characters would be taken for names, is refused."""
    _require(not isinstance(names, str | bytes), f"{what} is one name and no list of names")
    try:
        listed = tuple(names)
    except TypeError:
        raise ConfigurationError(f"configuration: {what} is no list of names") from None
    _require(all(isinstance(name, str) for name in listed), f"{what} is no list of names")
    return listed


def identity_set(names: Iterable[str]) -> frozenset[str]:
    """Return target identities as a set.

    Raises:
        ConfigurationError: they are no list of identities.
    """
    identities = _names(names, "target_identities")
    _require(all(map(IDENTITY.fullmatch, identities)), "target identity")
    return frozenset(identities)


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ConfigurationError(f"configuration: {what}")
