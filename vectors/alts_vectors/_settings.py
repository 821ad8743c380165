"""Endpoint settings between JSON, this package's plain values and the model's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from alts_model.endpoint import Configuration, Credential
from alts_model.keying import Randomness as ModelRandomness
from alts_model.primitives import sha256
from alts_model.stores import Resumption, ResumptionKeys, TicketCache, UsedSecrets
from alts_model.trust import PolicyRule

from ._files import Json
from .target import EndpointSettings, Randomness, ResumptionSettings

_QUEUES = {
    "x25519": "x25519",
    "ml_kem_seeds": "mlKemSeeds",
    "encapsulations": "encapsulations",
    "ticket_salts": "ticketSalts",
}
"""Queues of randomness and their names in the vectors, where those that are empty are left out."""


def to_json(settings: EndpointSettings) -> Json:
    """The object of the vectors; byte strings in hexadecimal."""
    queues = {name: [value.hex() for value in getattr(settings.randomness, key)] for key, name in _QUEUES.items()}
    randomness = {name: values for name, values in queues.items() if values}
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
        **({"randomness": randomness} if randomness else {}),
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
        randomness=Randomness(
            **{
                key: tuple(bytes.fromhex(value) for value in data.get("randomness", {}).get(name, ()))
                for key, name in _QUEUES.items()
            }
        ),
    )


def resumption_to_json(resumption: ResumptionSettings) -> Json:
    """A process, as in the vectors."""
    return {
        "resumptionId": resumption.resumption_id.hex(),
        "keys": {str(epoch): key.hex() for epoch, key in resumption.keys},
        "forwardSecretServerTickets": resumption.forward_secret_server_tickets,
    }


def resumption_from_json(data: Mapping[str, Any]) -> ResumptionSettings:
    """The reverse."""
    return ResumptionSettings(
        bytes.fromhex(data["resumptionId"]),
        tuple((int(epoch), bytes.fromhex(key)) for epoch, key in data["keys"].items()),
        data["forwardSecretServerTickets"],
    )


def resumption_to_model(resumption: ResumptionSettings) -> Resumption[bytes]:
    """A fresh process of the model."""
    return Resumption(
        ResumptionKeys(resumption.resumption_id, resumption.keys) if resumption.keys else None,
        TicketCache(),
        UsedSecrets(),
        resumption.forward_secret_server_tickets,
    )


def to_model(settings: EndpointSettings, resumption: Resumption[bytes] | None = None) -> Configuration:
    """What `alts_model` takes."""
    queues = {field.name: getattr(settings.randomness, field.name) for field in fields(Randomness)}
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
        randomness=ModelRandomness(**queues),
        resumption=resumption,
    )
