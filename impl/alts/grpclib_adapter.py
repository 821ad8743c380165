"""gRPC over ALTS with grpclib: a channel, a server, and the peer's identity for handlers (TRUST-5, TRUST-6).

grpclib has no public hook for another transport. This module, and no other, leans on these private names of grpclib
0.4.9 and later 0.4 (`SUPPORTED_GRPCLIB`); a contract test fails when one of them changes:
`Channel._create_connection`, `Channel._protocol_factory`, `Channel._host`, `Channel._port`, `Server._protocol_factory`,
`Server._server`, `Server._server_closed_fut`, `grpclib.protocol.Peer._transport`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import grpclib.client
import grpclib.server

from . import aio
from ._config import identity_set
from ._errors import UsageError
from ._events import Evidence, Negotiated
from ._trust import Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from typing import Self

    from grpclib._typing import IServable
    from grpclib.config import Configuration as GrpclibConfiguration
    from grpclib.encoding.base import CodecBase, StatusDetailsCodecBase
    from grpclib.protocol import H2Protocol

    from ._config import Environment

SUPPORTED_GRPCLIB = ">=0.4.9,<0.5"
"""The versions of grpclib whose private names this module knows; the distribution depends on the same range."""
FLUSH_SECONDS = 2.0
"""How long a closing server lets its connections send what was written, before it cuts them."""

InfoT = TypeVar("InfoT")


class Channel(grpclib.client.Channel):
    """A grpclib channel whose connection runs over ALTS; use it as any other.

    It connects at the first call, and again after the connection was lost. A call on a connection that cannot be made
    raises what `alts.aio.create_connection` raises.

    Args:
        host: of the server.
        port: of the server.
        configuration: credential, trust and what is allowed; or a callable that returns it, asked at each handshake,
            so that credentials rotate while calls go on.
        environment: clock and randomness.
        handshake_timeout: seconds.
        target_identities: that the server must have one of; in place of the configuration's, if given.
        codec: as of grpclib.
        status_details_codec: as of grpclib.
        config: as of grpclib.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        configuration: aio.ConfigurationSource,
        environment: Environment = aio.SYSTEM,
        handshake_timeout: float = aio.HANDSHAKE_TIMEOUT,
        target_identities: Iterable[str] | None = None,
        codec: CodecBase | None = None,
        status_details_codec: StatusDetailsCodecBase | None = None,
        config: GrpclibConfiguration | None = None,
    ) -> None:
        super().__init__(host, port, codec=codec, status_details_codec=status_details_codec, config=config)
        self._alts_configuration = configuration
        self._alts_environment = environment
        self._alts_handshake_timeout = handshake_timeout
        self._alts_targets = None if target_identities is None else identity_set(target_identities)
        self._alts_transport: aio.AltsTransport | None = None

    async def _create_connection(self) -> H2Protocol:
        self._alts_transport, protocol = await aio.create_connection(
            self._protocol_factory,
            self._host,
            self._port,
            configuration=self._alts_configuration,
            environment=self._alts_environment,
            handshake_timeout=self._alts_handshake_timeout,
            target_identities=self._alts_targets,
        )
        return protocol

    async def __aenter__(self) -> Self:
        return self

    @property
    def transport(self) -> aio.AltsTransport | None:
        """The present or last connection's transport; None before the first."""
        return self._alts_transport

    @property
    def alts_peer(self) -> Peer | None:
        """The server of the present or last connection, as authenticated; None before the first."""
        return None if self._alts_transport is None else _info(self._alts_transport, "alts_peer", Peer)


class Server(grpclib.server.Server):
    """A grpclib server whose connections run over ALTS; made by `serve`. `close` and `wait_closed` as of grpclib."""

    _listener: aio.Server | None = None

    @property
    def listener(self) -> aio.Server:
        """The ALTS server beneath: sockets and counters.

        Raises:
            UsageError: it was not started.
        """
        if self._listener is None:
            raise UsageError("the server is not started")
        return self._listener

    @property
    def port(self) -> int:
        """The first port that it listens on.

        Raises:
            UsageError: it does not listen.
        """
        if not self.listener.sockets:
            raise UsageError("the server is closed")
        return int(self.listener.sockets[0].getsockname()[1])

    async def start_alts(self, host: str | Sequence[str] | None, port: int | None, **options: Any) -> None:
        """Listen; the options are those of `alts.aio.create_server`.

        Raises:
            UsageError: started already, or as `alts.aio.create_server`.
            OSError: the address cannot be listened on.
        """
        if self._server is not None:
            raise UsageError("the server is started already")
        self._server = self._listener = await aio.create_server(self._protocol_factory, host, port, **options)
        self._server_closed_fut = asyncio.get_running_loop().create_future()

    async def start(self, *args: Any, **kwargs: Any) -> None:
        """Refused: it would serve in clear.

        Raises:
            UsageError: always.
        """
        raise UsageError("start() of grpclib serves without ALTS; use alts.grpclib_adapter.serve()")

    async def wait_closed(self) -> None:
        """Wait, after `close`, until the handlers have ended and every connection is closed."""
        await super().wait_closed()
        listener = self.listener
        listener.close_clients()
        try:
            await asyncio.wait_for(listener.wait_closed(), FLUSH_SECONDS)
        except TimeoutError:
            listener.abort_clients()
            await listener.wait_closed()


async def serve(
    handlers: Collection[IServable],
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    *,
    configuration: aio.ConfigurationSource,
    environment: Environment = aio.SYSTEM,
    handshake_timeout: float = aio.HANDSHAKE_TIMEOUT,
    max_concurrent_handshakes: int = aio.MAX_CONCURRENT_HANDSHAKES,
    on_handshake_failure: Callable[[Exception, Any], None] = aio.log_handshake_failure,
    codec: CodecBase | None = None,
    status_details_codec: StatusDetailsCodecBase | None = None,
    config: GrpclibConfiguration | None = None,
    **options: Any,
) -> Server:
    """Serve grpclib handlers over ALTS, and return the server, which listens already.

    Args:
        handlers: as of grpclib's Server, like `codec`, `status_details_codec` and `config`.
        host: to listen on.
        port: to listen on; 0: any (see `Server.port`).
        configuration: as of `alts.aio.create_server`, like all others.
        environment: clock and randomness.
        handshake_timeout: seconds.
        max_concurrent_handshakes: at which further connections are closed at once.
        on_handshake_failure: told about every handshake that failed.
        codec: as of grpclib.
        status_details_codec: as of grpclib.
        config: as of grpclib.
        options: for `loop.create_server`.

    Raises:
        As `alts.aio.create_server`.
    """
    server = Server(handlers, codec=codec, status_details_codec=status_details_codec, config=config)
    await server.start_alts(
        host,
        port,
        configuration=configuration,
        environment=environment,
        handshake_timeout=handshake_timeout,
        max_concurrent_handshakes=max_concurrent_handshakes,
        on_handshake_failure=on_handshake_failure,
        **options,
    )
    return server


Stream = grpclib.server.Stream[Any, Any] | grpclib.client.Stream[Any, Any]


def peer_of(stream: Stream) -> Peer:
    """Return who is at the other end of a call: in a handler, or at a client once the request is sent (TRUST-5).

    Raises:
        UsageError: the stream has no connection yet, or one without ALTS.
    """
    return _info(_transport(stream), "alts_peer", Peer)


def negotiated_of(stream: Stream) -> Negotiated:
    """Return what was negotiated on the connection of a call; see `peer_of`."""
    return _info(_transport(stream), "alts_negotiated", Negotiated)


def evidence_of(stream: Stream) -> Evidence:
    """Return the evidence for audit of the connection of a call; see `peer_of`."""
    return _info(_transport(stream), "alts_evidence", Evidence)


def _transport(stream: Stream) -> asyncio.Transport:
    if stream.peer is None:
        raise UsageError("the stream has no connection yet")
    return stream.peer._transport


def _info(transport: asyncio.Transport, name: str, kind: type[InfoT]) -> InfoT:
    value = transport.get_extra_info(name)
    if not isinstance(value, kind):
        raise UsageError("the connection does not run over ALTS")
    return value
