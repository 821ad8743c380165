"""Endpoint settings between JSON, this package's plain values and the model's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alts_model.endpoint import Configuration, Credential
from alts_model.primitives import sha256
from alts_model.trust import PolicyRule

from ._files import Json
from .target import EndpointSettings


def to_json(settings: EndpointSettings) -> Json:
    """The object of the vectors; byte strings in hexadecimal."""
    return {
        "handshakeCertificate": settings.certificate.hex(),
        "x25519PrivateKey": settings.private_key.hex(),
        "trustAnchors": [key.hex() for key in settings.trust_anchors],
        "policy": [{"issuer": rule[0], "category": rule[1], "identity": rule[2]} for rule in settings.policy],
        "revoked": None if settings.revoked is None else [f"{number:016x}" for number in sorted(settings.revoked)],
        "now": settings.now,
        "nonce": settings.nonce.hex(),
        "handshakeCiphers": list(settings.handshake_ciphers),
        "recordProtocols": list(settings.record_protocols),
        "applicationProtocols": list(settings.application_protocols),
        "rpcVersions": {"max": list(settings.rpc_max), "min": list(settings.rpc_min)},
        "maxFrameSize": settings.max_frame_size,
        "targetIdentities": sorted(settings.target_identities),
    }


def from_json(data: Mapping[str, Any]) -> EndpointSettings:
    """The reverse."""
    rpc = data["rpcVersions"]
    return EndpointSettings(
        certificate=bytes.fromhex(data["handshakeCertificate"]),
        private_key=bytes.fromhex(data["x25519PrivateKey"]),
        trust_anchors=tuple(bytes.fromhex(key) for key in data["trustAnchors"]),
        policy=tuple((rule["issuer"], rule["category"], rule["identity"]) for rule in data["policy"]),
        revoked=None if data["revoked"] is None else frozenset(int(number, 16) for number in data["revoked"]),
        now=data["now"],
        nonce=bytes.fromhex(data["nonce"]),
        handshake_ciphers=tuple(data["handshakeCiphers"]),
        record_protocols=tuple(data["recordProtocols"]),
        application_protocols=tuple(data["applicationProtocols"]),
        rpc_max=(rpc["max"][0], rpc["max"][1]),
        rpc_min=(rpc["min"][0], rpc["min"][1]),
        max_frame_size=data["maxFrameSize"],
        target_identities=frozenset(data["targetIdentities"]),
    )


def to_model(settings: EndpointSettings) -> Configuration:
    """What `alts_model` takes."""
    return Configuration(
        credential=Credential(settings.certificate, settings.private_key),
        trust_anchors={sha256(key): key for key in settings.trust_anchors},
        policy=tuple(PolicyRule(*rule) for rule in settings.policy),
        revoked=settings.revoked,
        now=settings.now,
        nonce=settings.nonce,
        handshake_ciphers=settings.handshake_ciphers,
        record_protocols=settings.record_protocols,
        application_protocols=settings.application_protocols,
        rpc_versions=(settings.rpc_max, settings.rpc_min),
        max_frame_size=settings.max_frame_size,
        target_identities=settings.target_identities,
    )
