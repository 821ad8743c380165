"""What a `ConcreteEndpoint` needs, and which of it no endpoint of this version may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from alts_model.concrete import ConcreteAlgebra
from alts_model.connection import Party
from alts_model.errors import ConfigurationError, Refused
from alts_model.keying import Randomness, needed
from alts_model.messages import RpcRange
from alts_model.stores import Resumption
from alts_model.syntax import (
    DEFAULT_HANDSHAKE_CIPHERS,
    IMPLEMENTED_HANDSHAKE_CIPHERS,
    IMPLEMENTED_RECORD_PROTOCOLS,
    MAX_FRAME_SIZE,
    MIN_FRAME_SIZE,
    is_identity,
    is_list,
    is_pattern,
)
from alts_model.tables import Role
from alts_model.trust import PolicyRule, Trust

_SIZES: Final = {"x25519": 32, "ml_kem_seeds": 64, "encapsulations": 32, "ticket_salts": 32}


@dataclass(frozen=True, slots=True)
class Credential:
    """A serialised handshake certificate and the X25519 private key (32 bytes) of the public key in it."""

    certificate: bytes
    private_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that an endpoint needs; nothing else is read from anywhere.

    `trust_anchors`: verification key ID (32 bytes) to raw Ed25519 public key. `revoked`: revoked IDs; None is a local
    copy that cannot answer, which refuses everything. `now`: seconds since 1970. `rpc_versions`: (max, min).
    `target_identities`: the peer must be one of these, if there are any. `nonce`: 32 bytes, never used before.
    `randomness`: as much of each queue as the ciphers and the resumption keys may need. `resumption`: what the process
    resumes with, shared by its endpoints and changed by them; None makes, holds and takes no tickets.
    """

    credential: Credential
    trust_anchors: Mapping[bytes, bytes]
    policy: tuple[PolicyRule, ...]
    revoked: frozenset[int] | None
    now: int
    nonce: bytes
    handshake_ciphers: tuple[str, ...] = DEFAULT_HANDSHAKE_CIPHERS
    record_protocols: tuple[str, ...] = IMPLEMENTED_RECORD_PROTOCOLS
    application_protocols: tuple[str, ...] = ("grpc",)
    rpc_versions: RpcRange = ((2, 1), (2, 1))
    max_frame_size: int = MAX_FRAME_SIZE
    target_identities: frozenset[str] = frozenset()
    randomness: Randomness[bytes] = field(default_factory=Randomness)
    resumption: Resumption[bytes] | None = None


def party(algebra: ConcreteAlgebra, role: Role, configuration: Configuration) -> Party[bytes]:
    """Check the configuration and read our own certificate."""
    try:
        view = algebra.certificate(configuration.credential.certificate)
    except Refused as refusal:
        raise ConfigurationError(f"our own certificate: {refusal}") from None
    lists = {
        "handshake_ciphers": (configuration.handshake_ciphers, IMPLEMENTED_HANDSHAKE_CIPHERS),
        "record_protocols": (configuration.record_protocols, IMPLEMENTED_RECORD_PROTOCOLS),
    }
    for name, (entries, implemented) in lists.items():
        if not is_list(entries) or not set(entries) <= set(implemented):
            raise ConfigurationError(f"{name}: not a list of names that this version may offer")
    highest, lowest = configuration.rpc_versions
    numbers = (*highest, *lowest)
    rules = configuration.policy
    sound = {
        "nonce": len(configuration.nonce) == 32,
        "private_key": len(configuration.credential.private_key) == 32,
        "handshake_ciphers": set(configuration.handshake_ciphers) <= set(view.handshake_ciphers),
        "application_protocols": is_list(configuration.application_protocols),
        "rpc_versions": lowest <= highest and all(0 <= number < 1 << 32 for number in numbers),
        "max_frame_size": MIN_FRAME_SIZE <= configuration.max_frame_size <= MAX_FRAME_SIZE,
        "policy": all(is_pattern(rule.issuer) and is_pattern(rule.identity) for rule in rules),
        "target_identities": all(map(is_identity, configuration.target_identities)),
    }
    keys = None if configuration.resumption is None else configuration.resumption.keys
    for name, number in needed(role, configuration.handshake_ciphers, makes_tickets=keys is not None).items():
        values = getattr(configuration.randomness, name)
        sound[f"randomness: {name}"] = len(values) >= number and all(len(value) == _SIZES[name] for value in values)
    sound["resumption keys"] = keys is None or all(len(key) == 32 for _, key in keys.keys)
    for name, holds in sound.items():
        if not holds:
            raise ConfigurationError(name)
    trust = Trust(
        dict(configuration.trust_anchors),
        configuration.policy,
        configuration.revoked,
        configuration.now,
        configuration.target_identities,
    )
    return Party(
        configuration.credential.certificate,
        view,
        configuration.credential.private_key,
        trust,
        configuration.handshake_ciphers,
        configuration.record_protocols,
        configuration.application_protocols,
        configuration.rpc_versions,
        configuration.max_frame_size,
        configuration.nonce,
        configuration.randomness,
    )
