"""The server's side: `create_server` and `start_server`, shaped like asyncio's own, with bounded handshakes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .._errors import AltsError, UsageError
from .._table import Role
from ._client import HANDSHAKE_TIMEOUT, STREAM_LIMIT, SYSTEM, check_options
from ._link import Link, logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from socket import socket

    from .._config import Environment
    from ._link import ConfigurationSource

MAX_CONCURRENT_HANDSHAKES = 1024
"""Handshakes in flight at a time unless the caller says otherwise (SPEC 11.2)."""


class Server(asyncio.AbstractServer):
    """A listening server; made by `create_server` and `start_server`.

    Unlike asyncio's, `wait_closed` does not wait for open connections unless `close_clients` or `abort_clients` was
    called: they belong to the application, and a peer could keep them open for ever.
    """

    def __init__(self, max_concurrent_handshakes: int, on_handshake_failure: Callable[[Exception, Any], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener: asyncio.Server | None = None
        self._max_handshakes = max_concurrent_handshakes
        self._on_handshake_failure = on_handshake_failure
        self._links: set[Link] = set()
        self._handshakes: dict[Link, None] = {}  # oldest first
        self._closed = False
        self._clients_told = False
        self._idle = asyncio.Event()
        self._refused = 0

    # -- for users --------------------------------------------------------------------------------------------------

    @property
    def sockets(self) -> tuple[socket, ...]:
        """The listening sockets; none after `close`."""
        return () if self._listener is None else tuple(self._listener.sockets)

    @property
    def handshakes(self) -> int:
        """Handshakes in flight, those whose alert is still on its way included."""
        return len(self._handshakes)

    @property
    def connections(self) -> int:
        """Connections beyond the handshake."""
        return len(self._links) - len(self._handshakes)

    @property
    def refused(self) -> int:
        """Connections closed because too many handshakes were in flight: silent ones first, else new ones."""
        return self._refused

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop."""
        return self._loop

    def is_serving(self) -> bool:
        """True while new connections are accepted."""
        return self._listener is not None and self._listener.is_serving()

    async def start_serving(self) -> None:
        """Begin to accept; for servers made with ``start_serving=False``."""
        await self._require_listener().start_serving()

    async def serve_forever(self) -> None:
        """Accept until cancelled, then close."""
        listener = self._require_listener()
        try:
            await listener.start_serving()
            await self._loop.create_future()
        finally:
            self.close()
            await self.wait_closed()

    def close(self) -> None:
        """Stop listening and end the handshakes in flight; open connections live on."""
        self._closed = True
        if self._listener is not None:
            self._listener.close()
        for link in tuple(self._handshakes):
            link.abort()
        self._check_idle()

    def close_clients(self) -> None:
        """Close every open connection once everything written to it is sent."""
        self._clients_told = True
        for link in tuple(self._links - self._handshakes.keys()):
            link.close()
        self._check_idle()

    def abort_clients(self) -> None:
        """Close every open connection at once."""
        self._clients_told = True
        for link in tuple(self._links - self._handshakes.keys()):
            link.abort()
        self._check_idle()

    async def wait_closed(self) -> None:
        """Wait, after `close`, for the end of the handshakes in flight, and of connections told to close."""
        self._check_idle()
        await self._idle.wait()

    # -- the owner of its links -------------------------------------------------------------------------------------

    def admit(self, link: Link) -> bool:
        """Count a new connection in. At the limit the oldest one that has said nothing makes room, if there is one.

        So connections that are opened and left alone keep nobody out; a thousand that speak still do, for the time of
        a handshake (SPEC 11.2).
        """
        full = len(self._handshakes) >= self._max_handshakes
        self._links.add(link)
        self._handshakes[link] = None
        if not full and not self._closed:
            return True
        self._refused += 1
        logger.debug("a connection was refused: %d handshakes are in flight", len(self._handshakes) - 1)
        silent = next((other for other in self._handshakes if not other.heard and other is not link), None)
        if self._closed or silent is None:
            return False
        del self._handshakes[silent]
        silent.abort(ConnectionAbortedError("it said nothing, and others wanted in"))
        return True

    def completed(self, link: Link) -> None:
        """The handshake of `link` is over."""
        self._handshakes.pop(link, None)
        self._check_idle()

    def failed(self, link: Link, error: Exception) -> None:
        """Tell the hook what a peer or the network did; what our own side raised goes to the loop's handler."""
        if isinstance(error, AltsError | OSError):
            assert link.lower is not None  # it has tried
            try:
                self._on_handshake_failure(error, link.lower.get_extra_info("peername"))
            except Exception as raised:
                self._report("on_handshake_failure raised", raised, link)
        else:
            self._report("ALTS handshake aborted: a hook or the application raised", error, link)

    def gone(self, link: Link) -> None:
        """Count `link` out."""
        self._links.discard(link)
        self._handshakes.pop(link, None)
        self._check_idle()

    # -- inside -----------------------------------------------------------------------------------------------------

    def attach(self, listener: asyncio.Server) -> None:
        """Take the listener, which exists only after its links' owner does."""
        self._listener = listener

    def _require_listener(self) -> asyncio.Server:
        if self._listener is None or self._closed:
            raise UsageError("the server is closed")
        return self._listener

    def _report(self, message: str, error: Exception, link: Link) -> None:
        self._loop.call_exception_handler({"message": message, "exception": error, "transport": link.lower})

    def _check_idle(self) -> None:
        waiting = self._links if self._clients_told else self._handshakes.keys()
        if self._closed and not waiting:
            self._idle.set()
        else:
            self._idle.clear()


def log_handshake_failure(error: Exception, peername: Any) -> None:
    """Write one line to the log ``alts.aio``: what a server does unless it is given a hook of its own."""
    logger.warning("ALTS handshake with %s failed: %s", peername, error)


async def create_server(
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    *,
    configuration: ConfigurationSource,
    environment: Environment = SYSTEM,
    handshake_timeout: float = HANDSHAKE_TIMEOUT,
    max_concurrent_handshakes: int = MAX_CONCURRENT_HANDSHAKES,
    on_handshake_failure: Callable[[Exception, Any], None] = log_handshake_failure,
    **options: Any,
) -> Server:
    """Listen, and run the handshake as server on every connection. Like `loop.create_server(..., ssl=...)`.

    An application protocol is made, and its connection_made called, once its client is authenticated (HS-9).

    Args:
        protocol_factory: makes an application's protocol for each connection.
        host: to listen on, or several; or give `sock`.
        port: to listen on; 0: any.
        configuration: credential, trust and what is allowed; or a callable that returns it, asked at each handshake.
            What it raises ends that handshake alone, and goes to the loop's exception handler.
        environment: clock and randomness.
        handshake_timeout: seconds for each handshake (SPEC 11.2).
        max_concurrent_handshakes: at which further connections are closed at once.
        on_handshake_failure: called with a PeerViolation or an OSError, and the peer's address, for each handshake
            that failed. By default one line is logged.
        options: for `loop.create_server` (``sock``, ``backlog``, ``reuse_port``…), nothing of TLS.

    Raises:
        OSError: the address cannot be listened on.
        UsageError: an option of TLS, or a bound that is not positive.
    """
    check_options(options, handshake_timeout)
    if max_concurrent_handshakes < 1:
        raise UsageError("max_concurrent_handshakes has to be positive")
    server = Server(max_concurrent_handshakes, on_handshake_failure)

    def link() -> Link:
        return Link(Role.SERVER, protocol_factory, configuration, environment, handshake_timeout, server)

    server.attach(await asyncio.get_running_loop().create_server(link, host, port, **options))
    return server


async def start_server(
    client_connected_cb: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None],
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    *,
    configuration: ConfigurationSource,
    limit: int = STREAM_LIMIT,
    **options: Any,
) -> Server:
    """Listen, and call `client_connected_cb(reader, writer)` for every authenticated client; see `create_server`.

    Args:
        client_connected_cb: as of `asyncio.start_server`.
        host: to listen on.
        port: to listen on; 0: any.
        configuration: credential, trust and what is allowed.
        limit: buffer limit of each reader, in bytes.
        options: every other one of `create_server`.

    Raises:
        As `create_server`.
    """
    loop = asyncio.get_running_loop()

    def protocol() -> asyncio.StreamReaderProtocol:
        reader = asyncio.StreamReader(limit=limit, loop=loop)
        return asyncio.StreamReaderProtocol(reader, client_connected_cb, loop=loop)

    return await create_server(protocol, host, port, configuration=configuration, **options)
