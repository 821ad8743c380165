"""The one service that is spoken in clear: enrolment, by machines that have no certificate yet (SPEC 13.1.6).

Anybody can connect there, so that what a connection may bring (`_meter`), how long it may last, how long it is waited
for, and how many there may be, of one address and of one network too, is bounded: grpclib would buffer a message of any
size that its sender announces. While none of its requests is being worked on, a connection is only waited for, and can
make room for another: whoever sends nothing, or a byte now and then, keeps nobody out.

The port shares a loop with the CA's ALTS port. What one connection can cost that loop is bounded by what it may bring.
How many connections come in a second is not bounded here: that is for whatever stands before the port.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import grpclib.client
import grpclib.server

from ._meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import grpclib.protocol

    from .._rpc import Service

CONNECTION_SECONDS = 30.0
REQUEST_SECONDS = 5.0
"""How long a whole request is waited for: the first, or one after an answer."""
MOST_CONNECTIONS = 64
MOST_OF_ONE_NETWORK = 32
"""Of one IPv6 /48: what a site is usually given, so that one customer may well have 65536 /64s."""
MOST_OF_ONE_ADDRESS = 16
"""Of one IPv4 address, or of one IPv6 /64: usually a LAN, in which a host takes as many addresses as it likes."""


class _Server(grpclib.server.Server):
    """A grpclib server whose connections are bounded."""

    def __init__(self, service: Service) -> None:
        super().__init__([service])
        self.open: dict[_Bounded, None] = {}
        self._ending: set[asyncio.Task[None]] = set()
        service.around = self.working

    def _protocol_factory(self) -> asyncio.Protocol:  # type: ignore[override]  # it need not be grpclib's own class
        later = asyncio.get_running_loop().call_later
        return _Bounded(super()._protocol_factory, self.open, later, self._ended)

    def _ended(self, protocol: asyncio.Protocol) -> None:
        """A connection is over: free what grpclib has for it, once its requests have ended, which were told to."""
        task = asyncio.ensure_future(self._free(cast("grpclib.protocol.H2Protocol", protocol).handler))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _free(self, handler: grpclib.protocol.AbstractHandler) -> None:
        await cast("grpclib.server.Handler", handler).wait_closed()
        # grpclib does this itself at each tenth new connection, and for handlers with nothing left to do, so that it
        # holds those of the last connections for as long as nobody comes; it has no public way to be told
        self.__gc_collect__()

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
        ended: told when that protocol's connection is over.
    """

    def __init__(
        self,
        factory: Callable[[], asyncio.Protocol],
        others: dict[_Bounded, None],
        call_later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
        ended: Callable[[asyncio.Protocol], None],
    ) -> None:
        self._factory = factory
        self._others = others
        self._call_later = call_later
        self._ended = ended
        self._inner: asyncio.Protocol | None = None
        self._meter = Meter()
        self._early = b""
        self._requests = 0
        self._lasting: asyncio.TimerHandle | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self.peername: object = None
        self.address: object = None
        self.network: object = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.peername = transport.get_extra_info("peername")
        self.address, self.network = _origin(self.peername)
        if not self._find_room():
            self._transport.abort()
            return
        self._others[self] = None
        self._lasting = self._call_later(CONNECTION_SECONDS, self._transport.abort)
        self._waiting = self._call_later(REQUEST_SECONDS, self._transport.abort)

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

        An address or network that has its share makes room itself. Else it is the network with the most connections:
        who opens many does so at the cost of their own. Of a network, the address with the most; of that, the oldest.
        """
        addresses = Counter(other.address for other in self._others)
        networks = Counter(other.network for other in self._others)
        candidates = [other for other in self._others if other.waited_for]
        if addresses[self.address] >= MOST_OF_ONE_ADDRESS:
            candidates = [other for other in candidates if other.address == self.address]
        elif networks[self.network] >= MOST_OF_ONE_NETWORK:
            candidates = [other for other in candidates if other.network == self.network]
        elif len(self._others) < MOST_CONNECTIONS:
            return True
        if not candidates:
            return False
        # the first of equals: the oldest
        victim = max(candidates, key=lambda other: (networks[other.network], addresses[other.address]))
        del self._others[victim]
        victim._transport.abort()
        return True

    def data_received(self, data: bytes) -> None:
        if not self._meter.admits(data):
            self._transport.abort()
        elif self._inner is not None:
            self._pass_on(data)
        else:  # who does not even begin as HTTP/2 does costs no more than this
            self._early += data
            if self._meter.begun:
                self._inner = self._factory()
                self._inner.connection_made(self._transport)
                self._pass_on(self._early)

    def _pass_on(self, data: bytes) -> None:
        try:
            cast("asyncio.Protocol", self._inner).data_received(data)
        except UnicodeDecodeError:  # a header that is not ASCII; asyncio would fill the log with it
            self._transport.abort()

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
            self._ended(self._inner)
            self._inner = None


def _origin(peername: object) -> tuple[object, object]:
    """Whom a connection counts for: an IPv4 address, twice, or the /64 and the /48 of an IPv6 address."""
    try:
        address = ipaddress.ip_address(cast("tuple[str, int]", peername)[0].partition("%")[0])
    except (TypeError, IndexError, AttributeError, ValueError):
        return None, None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return ipaddress.ip_network((address, 64), strict=False), ipaddress.ip_network((address, 48), strict=False)
        address = address.ipv4_mapped
    return address, address


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
