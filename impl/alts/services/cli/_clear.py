"""The one service that is spoken in clear: enrolment, by machines that have no certificate yet (SPEC 13.1.6).

Anybody can connect there, so that what a connection may bring, how long it may last, and how many there may be is
bounded: grpclib would buffer a message of any size that its sender announces.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import grpclib.client
import grpclib.server

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._rpc import Service

CONNECTION_BYTES = 1 << 16
"""What one connection may bring; a request has less than a kilobyte."""
CONNECTION_SECONDS = 30.0
MOST_CONNECTIONS = 64


class _Server(grpclib.server.Server):
    """A grpclib server whose connections are bounded."""

    def __init__(self, service: Service) -> None:
        super().__init__([service])
        self.open: dict[_Bounded, None] = {}

    def _protocol_factory(self) -> asyncio.Protocol:  # type: ignore[override]  # it need not be grpclib's own class
        return _Bounded(super()._protocol_factory, self.open)


class _Bounded(asyncio.Protocol):
    """Passes a connection on to grpclib's protocol until it is over a bound, and cuts it then.

    Args:
        factory: of that protocol, used once the connection is admitted.
        others: all connections that are open, oldest first.
    """

    def __init__(self, factory: Callable[[], asyncio.Protocol], others: dict[_Bounded, None]) -> None:
        self._factory = factory
        self._others = others
        self._inner: asyncio.Protocol | None = None
        self._left = CONNECTION_BYTES

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._others) >= MOST_CONNECTIONS and not self._make_room():
            self._transport.abort()
            return
        self._others[self] = None
        self._timer = asyncio.get_running_loop().call_later(CONNECTION_SECONDS, self._transport.abort)
        self._inner = self._factory()
        self._inner.connection_made(transport)

    def _make_room(self) -> bool:
        """Cut the oldest connection that has sent nothing; False if all have: silence shall not shut the port."""
        silent = next((other for other in self._others if other._left == CONNECTION_BYTES), None)
        if silent is None:
            return False
        del self._others[silent]
        silent._transport.abort()
        return True

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()
        elif self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._inner is None else self._inner.eof_received()

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.pop(self, None)
        if self._inner is not None:
            self._timer.cancel()
            self._inner.connection_lost(exc)
            self._inner = None


async def serve_in_clear(service: Service, host: str, port: int) -> tuple[grpclib.server.Server, int]:
    """Serve without ALTS; return the server and its port."""
    server = _Server(service)
    await server.start(host, port)
    listener = server._server  # grpclib has no public way to the bound port
    assert isinstance(listener, asyncio.Server)  # started
    return server, int(listener.sockets[0].getsockname()[1])


def channel_in_clear(host: str, port: int) -> grpclib.client.Channel:
    """Return a channel without ALTS."""
    return grpclib.client.Channel(host, port)
