"""From a start request to the configuration of one handshake (SPEC 9.2, 9.3, 9.5).

A request may narrow what the service is configured for, and never widens it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from alts_schema import handshaker_pb2 as wire

from .._config import GRPC_RPC_VERSION, Configuration
from .._errors import ConfigurationError, PeerViolation
from .._messages import (
    ALTSRP_GCM_AES128_REKEY,
    MAX_FRAME_SIZE,
    MIN_FRAME_SIZE,
    RECORD_PROTOCOLS,
    check_names,
)
from .._names import IDENTITY
from ._errors import RequestError, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._config import RpcVersion
    from ._identities import Identities


def client_configuration(request: wire.StartClientHandshakeReq, identities: Identities) -> Configuration:
    """Return what a client of this request brings to its handshake (SPEC 9.2, 9.5).

    Raises:
        RequestError: INVALID_ARGUMENT or FAILED_PRECONDITION.
    """
    if request.handshake_security_protocol != wire.ALTS:
        number = int(request.handshake_security_protocol)
        raise RequestError(Status.INVALID_ARGUMENT, f"handshake_security_protocol is {number}, not ALTS (SPEC 9.2)")
    own = [request.local_identity] if request.HasField("local_identity") else []
    return _narrow(
        _select(own, identities),
        application_protocols=request.application_protocols,
        record_protocols=request.record_protocols,
        rpc_versions=_rpc_versions(request.rpc_versions, request.HasField("rpc_versions")),
        max_frame_size=request.max_frame_size,
        target_identities=_targets(request.target_identities),
    )


def server_configuration(request: wire.StartServerHandshakeReq, identities: Identities) -> Configuration:
    """Return what a server of this request brings to its handshake (SPEC 9.3).

    Raises:
        RequestError: INVALID_ARGUMENT or FAILED_PRECONDITION.
    """
    if wire.ALTS not in request.handshake_parameters:
        raise RequestError(Status.INVALID_ARGUMENT, "handshake_parameters has no entry for ALTS (SPEC 9.3)")
    parameters = request.handshake_parameters[wire.ALTS]
    return _narrow(
        _select(parameters.local_identities, identities),
        application_protocols=request.application_protocols,
        record_protocols=parameters.record_protocols,
        rpc_versions=_rpc_versions(request.rpc_versions, request.HasField("rpc_versions")),
        max_frame_size=request.max_frame_size,
        target_identities=frozenset(),
    )


def _narrow(
    base: Configuration,
    *,
    application_protocols: Sequence[str],
    record_protocols: Sequence[str],
    rpc_versions: tuple[RpcVersion, RpcVersion],
    max_frame_size: int,
    target_identities: frozenset[str],
) -> Configuration:
    offered = tuple(record_protocols) or (ALTSRP_GCM_AES128_REKEY,)
    try:
        check_names(offered, "record_protocols")
    except PeerViolation as error:
        raise RequestError(Status.INVALID_ARGUMENT, f"{error.detail} (SPEC 5.2, REC-1)") from None
    # names that this version does not run are never offered or chosen (SPEC 1.2)
    usable = tuple(name for name in offered if name in RECORD_PROTOCOLS)
    if not usable:
        detail = f"no record protocol of the request is supported; supported: {', '.join(RECORD_PROTOCOLS)} (REC-1)"
        raise RequestError(Status.FAILED_PRECONDITION, detail)
    try:
        return dataclasses.replace(
            base,
            application_protocols=tuple(application_protocols),
            record_protocols=usable,
            rpc_versions=rpc_versions,
            max_frame_size=min(max(max_frame_size or MAX_FRAME_SIZE, MIN_FRAME_SIZE), MAX_FRAME_SIZE),
            target_identities=target_identities,
        )
    except ConfigurationError as error:
        raise RequestError(Status.INVALID_ARGUMENT, f"{error} (SPEC 5.2, HS-3)") from None


def _rpc_versions(versions: wire.RpcProtocolVersions, present: bool) -> tuple[RpcVersion, RpcVersion]:
    if not present:
        return GRPC_RPC_VERSION, GRPC_RPC_VERSION
    if not (versions.HasField("max_rpc_version") and versions.HasField("min_rpc_version")):
        raise RequestError(Status.INVALID_ARGUMENT, "rpc_versions lacks its maximum or minimum (SPEC 6.3)")
    low, high = versions.min_rpc_version, versions.max_rpc_version
    return (low.major, low.minor), (high.major, high.minor)


def _select(wanted: Iterable[wire.Identity], identities: Identities) -> Configuration:
    """Return the base configuration of the first wanted identity that the service holds, or of its default."""
    names = [identity for identity in wanted if identity.WhichOneof("identity_oneof")]
    if not names:
        return identities.configurations[identities.default]
    for identity in names:
        if identity.WhichOneof("identity_oneof") == "service_account":
            held = identities.configurations.get(identity.service_account)
            if held is not None:
                return held
    shown = ", ".join(repr(identity.service_account or identity.hostname)[:80] for identity in names[:4])
    raise RequestError(Status.FAILED_PRECONDITION, f"no credential for local identity {shown} is held here (TRUST-2)")


def _targets(wanted: Sequence[wire.Identity]) -> frozenset[str]:
    """Return the identities that the peer may have; a wish that no peer can meet is refused, not forgotten."""
    possible = frozenset(
        identity.service_account
        for identity in wanted
        if identity.WhichOneof("identity_oneof") == "service_account" and IDENTITY.fullmatch(identity.service_account)
    )
    if wanted and not possible:
        detail = "no target identity can match: none is a service account that is an identity (SPEC 9.5, TRUST-2)"
        raise RequestError(Status.INVALID_ARGUMENT, detail)
    return possible
