"""The handshaker service on grpc.aio: a thin shell with bounds around `HandshakerSession` (SPEC 9, 11.2; TRUST-6)."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from .._errors import ConfigurationError, ErrorCode, PeerViolation
from ._errors import RequestError, Status
from ._session import MAX_IN_BYTES, HandshakerSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from .._config import Environment
    from .._events import HandshakeCompleted
    from .._table import Role
    from ._identities import Identities

SERVICE = "grpc.gcp.HandshakerService"
METHOD = "DoHandshake"
_MESSAGE_ROOM = 64 * 1024
"""What a request may hold beside its `in_bytes`."""
_CODES = {code.value[0]: code for code in grpc.StatusCode}

logger = logging.getLogger(__name__)


class ListenError(ConfigurationError):
    """An address that cannot be listened on: in use, not of this machine, or not allowed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a service (SPEC 11.2).

    Attributes:
        handshakes: streams at one time; a further one ends with RESOURCE_EXHAUSTED.
        timeout: seconds for a whole handshake; then its stream ends with DEADLINE_EXCEEDED.
        idle_timeout: seconds to wait for each request; likewise.
        in_bytes: bytes of the peer in one handshake, and of one request.

    Raises:
        ConfigurationError: a bound that is not positive.
    """

    handshakes: int = 512
    timeout: float = 10.0
    idle_timeout: float = 10.0
    in_bytes: int = MAX_IN_BYTES

    def __post_init__(self) -> None:
        for name in ("handshakes", "timeout", "idle_timeout", "in_bytes"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"limit {name} is not positive")


class HandshakerService:
    """Serves handshakes until it is stopped.

    Args:
        identities: whom it can speak for.
        environment: clock and randomness of the handshakes (time limits use the event loop's clock).
        limits: bounds.

    Attributes:
        active: streams being served now.
    """

    def __init__(self, identities: Identities, environment: Environment, limits: Limits | None = None) -> None:
        self.active = 0
        self._identities = identities
        self._environment = environment
        self._limits = limits or Limits()
        self._server: grpc.aio.Server | None = None

    async def start(self, addresses: Sequence[str]) -> list[int]:
        """Listen and serve.

        Args:
            addresses: such as ``127.0.0.1:8080`` or ``[::1]:0``; port 0 takes a free one.

        Returns:
            The bound port of each address, in order.

        Raises:
            ListenError: one of the addresses cannot be listened on; then none is.
        """
        options = [
            # two services must not share a port unnoticed
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", self._limits.in_bytes + _MESSAGE_ROOM),
        ]
        server = grpc.aio.server(options=options)
        # requests stay bytes here, so that one that does not parse gets an answer of ours
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._do_handshake)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
        ports = []
        for address in addresses:
            try:
                port = server.add_insecure_port(address)
            except RuntimeError:
                port = 0
            if port == 0:
                await server.stop(None)
                raise ListenError(f"cannot listen on {address}: the port is in use, or the address is not of this host")
            ports.append(port)
        await server.start()
        self._server = server
        return ports

    def use(self, identities: Identities) -> None:
        """Speak for `identities` from the next handshake on; those that run, and what they authenticated, stay."""
        self._identities = identities

    async def stop(self, grace: float) -> None:
        """Accept nothing new, let handshakes finish for `grace` seconds, then end what is left.

        May be called again, with less grace, while it runs; later it does nothing.
        """
        if self._server is not None:
            await self._server.stop(grace)

    async def _do_handshake(
        self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> None:
        """One stream. It ends, by returning, right after the result: stacks wait for that (SPEC 9.4).

        Not a generator: one that is cancelled between two responses gives its slot back only when it is finalized.
        """
        if self.active >= self._limits.handshakes:
            detail = f"{self._limits.handshakes} handshakes are running (SPEC 11.2)"
            await _abort(context, RequestError(Status.RESOURCE_EXHAUSTED, detail))
        self.active += 1
        session = HandshakerSession(self._identities, self._environment, max_in_bytes=self._limits.in_bytes)
        deadline = asyncio.get_running_loop().time() + self._limits.timeout
        try:
            while not session.finished:
                request = await self._read(requests, deadline)
                if request is None:
                    session.receive_end()
                    return
                response = session.receive(request)
                if session.violation is not None:
                    logger.info("handshake refused: %s", session.violation)
                if session.completed is not None:
                    logger.info("handshake complete: %s", _audit_line(session.role, session.completed))
                await self._write(context, response.SerializeToString(), deadline)
        except RequestError as error:
            logger.info("request refused: %s", error)
            await _abort(context, error)
        except Exception:
            # a hook (clock, randomness, revocation) failed, or we did; the stack learns no more than that
            logger.exception("handshake ended by an internal error")
            await _abort(context, RequestError(Status.INTERNAL, "INTERNAL_ERROR: see the service's log"))
        finally:
            session.close()
            self.active -= 1

    async def _read(self, requests: AsyncIterator[bytes], deadline: float) -> bytes | None:
        """Return the next request, or None at the end of the stream.

        Raises:
            RequestError: DEADLINE_EXCEEDED.
        """
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(deadline, now + self._limits.idle_timeout)):
                return await anext(requests, None)
        except TimeoutError:
            violation = PeerViolation(ErrorCode.HANDSHAKE_TIMEOUT, "no request in time (SPEC 11.2)")
            raise RequestError(Status.DEADLINE_EXCEEDED, str(violation)) from None

    async def _write(self, context: grpc.aio.ServicerContext[bytes, bytes], response: bytes, deadline: float) -> None:
        """Send a response; a stack that does not read would block this for ever.

        Raises:
            RequestError: DEADLINE_EXCEEDED.
        """
        try:
            async with asyncio.timeout_at(deadline):
                await context.write(response)
        except TimeoutError:
            violation = PeerViolation(ErrorCode.HANDSHAKE_TIMEOUT, "the response was not taken in time (SPEC 11.2)")
            raise RequestError(Status.DEADLINE_EXCEEDED, str(violation)) from None


def _audit_line(role: Role | None, done: HandshakeCompleted) -> str:
    """Say who spoke with whom, whether the session was resumed, and how to find the handshake again (TRUST-5)."""
    peer, agreed = done.peer, done.negotiated
    how = "full" if agreed.mode == "full" else f"resumed by {agreed.mode}"
    return (
        f"{role} {done.local_identity} with {peer.category.name.lower()} {peer.identity}: {how}, "
        f"{agreed.handshake_cipher}, {agreed.record_protocol}, transcript {done.evidence.transcript_hash.hex()}"
    )


async def _abort(context: grpc.aio.ServicerContext[bytes, bytes], error: RequestError) -> None:
    await context.abort(_CODES[error.status.value], error.detail)
