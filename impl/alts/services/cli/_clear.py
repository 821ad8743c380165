"""The one service that is spoken in clear: enrolment, by machines that have no certificate yet (SPEC 13.1.6).

Anybody can connect there, so that what a connection may bring, how long it may last, how long it is waited for, and how
many there may be, of one address too, is bounded: grpclib would buffer a message of any size that its sender announces.
While none of its requests is being worked on, a connection is only waited for, and can make room for another: whoever
sends nothing, or a byte now and then, keeps nobody out.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import grpclib.client
import grpclib.server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._rpc import Service

CONNECTION_BYTES = 1 << 16
"""What one connection may bring; a request has less than a kilobyte."""
CONNECTION_SECONDS = 30.0
REQUEST_SECONDS = 5.0
"""How long a whole request is waited for: the first, or one after an answer."""
MOST_CONNECTIONS = 64
MOST_OF_ONE_ADDRESS = 16


class _Server(grpclib.server.Server):
    """A grpclib server whose connections are bounded."""

    def __init__(self, service: Service) -> None:
        super().__init__([service])
        self.open: dict[_Bounded, None] = {}
        service.around = self.working

    def _protocol_factory(self) -> asyncio.Protocol:  # type: ignore[override]  # it need not be grpclib's own class
        return _Bounded(super()._protocol_factory, self.open, asyncio.get_running_loop().call_later)

    @contextlib.contextmanager
    def working(self, stream: grpclib.server.Stream[Any, Any]) -> Iterator[None]:
        """While this lasts, the connection of a request is not waited for."""
        name = stream.peer.addr()
        connection = next((one for one in self.open if one.peername == name), None)
        if connection is None:  # cut while the request was on its way to its handler
            yield
            return
        connection.begin()
        try:
            yield
        finally:
            connection.end()


class _Bounded(asyncio.Protocol):
    """Passes a connection on to grpclib's protocol until it is over a bound, and cuts it then.

    Args:
        factory: of that protocol, used once the connection is admitted.
        others: all connections that are open, oldest first.
        call_later: a loop's: calls a function after so many seconds, and can be cancelled.
    """

    def __init__(
        self,
        factory: Callable[[], asyncio.Protocol],
        others: dict[_Bounded, None],
        call_later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
    ) -> None:
        self._factory = factory
        self._others = others
        self._call_later = call_later
        self._inner: asyncio.Protocol | None = None
        self._left = CONNECTION_BYTES
        self._requests = 0
        self._lasting: asyncio.TimerHandle | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self.peername: object = None
        self.address: object = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.peername = transport.get_extra_info("peername")
        self.address = _address(self.peername)
        if not self._find_room():
            self._transport.abort()
            return
        self._others[self] = None
        self._lasting = self._call_later(CONNECTION_SECONDS, self._transport.abort)
        self._waiting = self._call_later(REQUEST_SECONDS, self._transport.abort)
        self._inner = self._factory()
        self._inner.connection_made(transport)

    @property
    def waited_for(self) -> bool:
        """Whether none of its requests is being worked on."""
        return self._requests == 0

    def begin(self) -> None:
        """A whole request is there, and worked on."""
        self._requests += 1
        if self._waiting is not None:
            self._waiting.cancel()

    def end(self) -> None:
        """That request is done."""
        self._requests -= 1
        if self.waited_for and self in self._others:
            self._waiting = self._call_later(REQUEST_SECONDS, self._transport.abort)

    def _find_room(self) -> bool:
        """Cut another connection if there are too many; False if none of those that could go is only waited for.

        An address that has its share makes room itself. Else it is the address with the most connections, whose oldest
        goes: who opens many does so at the cost of their own.
        """
        counts = Counter(other.address for other in self._others)
        if counts[self.address] >= MOST_OF_ONE_ADDRESS:
            candidates = [other for other in self._others if other.waited_for and other.address == self.address]
        elif len(self._others) >= MOST_CONNECTIONS:
            candidates = [other for other in self._others if other.waited_for]
        else:
            return True
        if not candidates:
            return False
        victim = max(candidates, key=lambda other: counts[other.address])  # the first of equals: the oldest
        del self._others[victim]
        victim._transport.abort()
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
        for timer in (self._lasting, self._waiting):
            if timer is not None:
                timer.cancel()
        if self._inner is not None:
            self._inner.connection_lost(exc)
            self._inner = None


def _address(peername: object) -> object:
    """Whom a connection counts for: an IPv4 address, or the /64 of an IPv6 address, which one host has whole."""
    try:
        address = ipaddress.ip_address(cast("tuple[str, int]", peername)[0].partition("%")[0])
    except (TypeError, IndexError, AttributeError, ValueError):
        return None
    return ipaddress.ip_network((address, 64), strict=False) if address.version == 6 else address


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
