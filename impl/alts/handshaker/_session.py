"""One stream of the handshaker service, sans-IO: a request in, a response out (SPEC 9; TRUST-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from alts_schema import handshaker_pb2 as wire

from .._errors import PeerViolation
from .._events import HandshakeCompleted
from .._handshake import Handshake
from .._table import Role
from ._errors import RequestError, Status
from ._requests import client_configuration, server_configuration

if TYPE_CHECKING:
    from .._config import Configuration, Environment
    from .._events import HandshakeResult
    from ._identities import Identities

MAX_IN_BYTES = 2 * 1024 * 1024
"""Bytes of the peer that one handshake may bring: two handshake frames and what records come along, with room."""
MAX_REQUESTS = 40_000
"""Requests of one handshake: enough for the largest handshake frames byte by byte."""


class HandshakerSession:
    """One handshake of a gRPC stack.

    Args:
        identities: whom the service can speak for.
        environment: clock and randomness.
        max_in_bytes: bound of all `in_bytes` together.
        max_requests: bound of the number of requests.

    Attributes:
        finished: no further request is possible; the stream has to be ended.
        violation: what the peer did wrong, if that ended the handshake.
        role: of the stack, once it has said so.
        completed: who was authenticated and what was agreed, for audit, once there is a result; no secret in it.
    """

    def __init__(
        self,
        identities: Identities,
        environment: Environment,
        *,
        max_in_bytes: int = MAX_IN_BYTES,
        max_requests: int = MAX_REQUESTS,
    ) -> None:
        self.finished = False
        self.violation: PeerViolation | None = None
        self.completed: HandshakeCompleted | None = None
        self.role: Role | None = None
        self._identities = identities
        self._environment = environment
        self._bytes_left = max_in_bytes
        self._requests_left = max_requests
        self._handshake: Handshake | None = None

    def receive(self, request: bytes | wire.HandshakerReq) -> wire.HandshakerResp:
        """Answer one request, serialised or not.

        Returns:
            The one response. `finished` is set if it has the result, or tells of a violation by the peer (SPEC 9.6).

        Raises:
            RequestError: the request is malformed, out of order or over a limit. The session is finished.
        """
        try:
            return self._answer(request)
        except Exception:
            self.close()
            raise

    def receive_end(self) -> None:
        """Note that the stack sends no more requests.

        Raises:
            RequestError: the handshake is not complete.
        """
        if not self.finished:
            self.close()
            detail = "the stream was half-closed before the handshake was complete (SPEC 9.4)"
            raise RequestError(Status.FAILED_PRECONDITION, detail)

    def close(self) -> None:
        """Finish, and drop what the handshake holds (SPEC 7.7)."""
        self.finished = True
        if self._handshake is not None:
            self._handshake.close()
            self._handshake = None

    def _answer(self, request: bytes | wire.HandshakerReq) -> wire.HandshakerResp:
        if self.finished:
            raise RequestError(Status.FAILED_PRECONDITION, "a request after the end of the handshake (SPEC 9.4)")
        if isinstance(request, bytes):
            try:
                request = wire.HandshakerReq.FromString(request)
            except DecodeError:
                raise RequestError(Status.INVALID_ARGUMENT, "not a HandshakerReq (SPEC 9.1)") from None
        self._requests_left -= 1
        if self._requests_left < 0:
            raise RequestError(Status.RESOURCE_EXHAUSTED, "too many requests in one handshake (SPEC 11.2)")
        kind = request.WhichOneof("req_oneof")
        if kind is None:
            raise RequestError(Status.INVALID_ARGUMENT, "a request without client_start, server_start or next (SPEC 9)")
        if (kind == "next") is (self._handshake is None):
            order = "before a start" if kind == "next" else "after the start"
            raise RequestError(Status.FAILED_PRECONDITION, f"{kind} {order} of the handshake (SPEC 9.2 to 9.4)")
        if kind == "client_start":
            handshake = self._begin(Role.CLIENT, client_configuration(request.client_start, self._identities))
            handshake.start()
            return self._respond(handshake, b"")
        if kind == "server_start":
            handshake = self._begin(Role.SERVER, server_configuration(request.server_start, self._identities))
            return self._feed(handshake, request.server_start.in_bytes)
        assert self._handshake is not None  # checked above
        return self._feed(self._handshake, request.next.in_bytes)

    def _begin(self, role: Role, configuration: Configuration) -> Handshake:
        self.role = role
        self._handshake = Handshake(role, configuration, self._environment)
        return self._handshake

    def _feed(self, handshake: Handshake, data: bytes) -> wire.HandshakerResp:
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise RequestError(Status.RESOURCE_EXHAUSTED, "too many in_bytes in one handshake (SPEC 11.1, REC-3)")
        handshake.receive_data(data)
        return self._respond(handshake, data)

    def _respond(self, handshake: Handshake, data: bytes) -> wire.HandshakerResp:
        response = wire.HandshakerResp(
            out_frames=handshake.data_to_send(),
            bytes_consumed=len(data),
            status=wire.HandshakerStatus(code=0),
        )
        if handshake.error is not None:
            self.violation = handshake.error
            response.status.code = Status.UNAUTHENTICATED
            response.status.details = str(handshake.error)
            self.close()
        elif handshake.result is not None:
            # records that came along belong to the stack (SPEC 9.4): all of them are the tail of this request
            response.bytes_consumed -= len(handshake.take_trailing())
            result = handshake.result
            response.result.CopyFrom(_result(result))
            self.completed = HandshakeCompleted(result.peer, result.local_identity, result.negotiated, result.evidence)
            self.close()
        return response


def _result(result: HandshakeResult) -> wire.HandshakerResult:
    """Return the wire form of a completed handshake; the stack cuts `key_data` itself (SPEC 8.5)."""
    negotiated = result.negotiated
    low, high = negotiated.peer_rpc_versions
    version = wire.RpcProtocolVersions.Version
    return wire.HandshakerResult(
        application_protocol=negotiated.application_protocol,
        record_protocol=negotiated.record_protocol,
        key_data=result.record_secret,
        peer_identity=wire.Identity(service_account=result.peer.identity),
        local_identity=wire.Identity(service_account=result.local_identity),
        peer_rpc_versions=wire.RpcProtocolVersions(
            max_rpc_version=version(major=high[0], minor=high[1]),
            min_rpc_version=version(major=low[0], minor=low[1]),
        ),
        max_frame_size=negotiated.max_frame_size,
    )
