"""The client's side: `create_connection` and `open_connection`, shaped like asyncio's own."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .._config import Environment, identity_set
from .._errors import ErrorCode, PeerViolation, UsageError
from .._table import Role
from ._link import ConfigurationSource, Link, current, logger
from ._transport import AltsTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ._link import Owner

SYSTEM = Environment(time.time, os.urandom)
"""The system's clock and randomness."""
HANDSHAKE_TIMEOUT = 10.0
"""Seconds that a handshake may take unless the caller says otherwise (SPEC 11.2)."""
STREAM_LIMIT = 1 << 16
"""Default buffer limit of a stream reader, in bytes: asyncio's own."""

ProtocolT = TypeVar("ProtocolT", bound=asyncio.BaseProtocol)


class _Attempt:
    """One connection attempt, awaited by `create_connection`; owns its link while there is a lower transport."""

    def __init__(self, make: Callable[[Owner], Link]) -> None:
        loop = asyncio.get_running_loop()
        self.done: asyncio.Future[tuple[AltsTransport, asyncio.BaseProtocol]] = loop.create_future()
        self._make = make
        self._link: Link | None = None
        self._error: Exception | None = None

    def link(self) -> Link:
        """Make the protocol of the lower transport."""
        return self._make(self)

    def give_up(self) -> None:
        """Close whatever there is, or will be; does nothing after a failure."""
        self.done.cancel()
        if self._link is not None:
            self._link.abort()

    def admit(self, link: Link) -> bool:
        self._link = link
        return not self.done.cancelled()

    def completed(self, link: Link) -> None:
        if not self.done.done():
            assert link.transport is not None  # made on completion
            assert link.app is not None  # likewise
            self.done.set_result((link.transport, link.app))

    def failed(self, link: Link, error: Exception) -> None:
        self._error = error  # raised when the lower transport is gone, so that nothing is left behind

    def gone(self, link: Link) -> None:
        self._link = None
        if not self.done.done():
            assert self._error is not None  # without completion there was a failure
            self.done.set_exception(self._error)


async def create_connection(
    protocol_factory: Callable[[], ProtocolT],
    host: str | None = None,
    port: int | None = None,
    *,
    configuration: ConfigurationSource,
    environment: Environment = SYSTEM,
    handshake_timeout: float = HANDSHAKE_TIMEOUT,
    target_identities: Iterable[str] | None = None,
    **options: Any,
) -> tuple[AltsTransport, ProtocolT]:
    """Connect, run the handshake as client, and return the transport and the application's protocol.

    Like `loop.create_connection(..., ssl=...)`. The protocol is made, and its connection_made called, once the server
    is authenticated. Cancellation closes the connection. If the server attached a ticket that cannot be used, there is
    a second connection without resumption, and never a third (SPEC 12.8; RES-8).

    Args:
        protocol_factory: makes the application's protocol.
        host: to connect to; or give `sock`.
        port: to connect to.
        configuration: credential, trust and what is allowed; or a callable that returns it, asked at each handshake.
        environment: clock and randomness.
        handshake_timeout: seconds for a handshake, after the TCP connection stands (SPEC 11.2).
        target_identities: in place of the configuration's, if given.
        options: for `loop.create_connection` (``sock``, ``family``, ``local_addr``…), nothing of TLS.

    Raises:
        PeerViolation: the handshake failed; HANDSHAKE_TIMEOUT if the time was over, TICKET_REFUSED only with `sock`,
            which serves for one connection.
        OSError: no connection, or it broke in the handshake.
        UsageError: an option of TLS, or a timeout that is not positive.
        ConfigurationError: a target identity that is none.
        Exception: whatever a hook, the configuration's provider, the protocol factory or connection_made raises.
    """
    check_options(options, handshake_timeout)
    targets = None if target_identities is None else identity_set(target_identities)

    async def attempt(*, resume: bool) -> tuple[AltsTransport, asyncio.BaseProtocol]:
        chosen = current(configuration)
        if targets is not None:
            chosen = chosen.for_targets(targets)
        if not resume:
            chosen = replace(chosen, resumption=None)
        link = partial(Link, Role.CLIENT, protocol_factory, chosen, environment, handshake_timeout)
        return await _connect(_Attempt(link), host, port, options)

    try:
        transport, protocol = await attempt(resume=True)
    except PeerViolation as violation:
        if violation.code is not ErrorCode.TICKET_REFUSED or options.get("sock") is not None:
            raise
        logger.debug("the server attached a ticket that cannot be used: connecting once more, in full")
        transport, protocol = await attempt(resume=False)
    finally:
        del attempt  # or this frame and an error that went through it keep each other alive
    return transport, cast("ProtocolT", protocol)


async def _connect(
    attempt: _Attempt, host: str | None, port: int | None, options: Mapping[str, Any]
) -> tuple[AltsTransport, asyncio.BaseProtocol]:
    """Make one connection and run its handshake."""
    connect: Any = asyncio.get_running_loop().create_connection  # its overloads know no "host or sock"
    try:
        await connect(attempt.link, host, port, **options)
        return await attempt.done
    except BaseException:
        attempt.give_up()
        raise
    finally:
        del attempt  # as above


async def open_connection(
    host: str | None = None,
    port: int | None = None,
    *,
    configuration: ConfigurationSource,
    environment: Environment = SYSTEM,
    handshake_timeout: float = HANDSHAKE_TIMEOUT,
    target_identities: Iterable[str] | None = None,
    limit: int = STREAM_LIMIT,
    **options: Any,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and return a stream reader and writer, like `asyncio.open_connection`.

    Args:
        host: see `create_connection`, as for all others but the last.
        port: to connect to.
        configuration: credential, trust and what is allowed.
        environment: clock and randomness.
        handshake_timeout: seconds.
        target_identities: in place of the configuration's, if given.
        limit: buffer limit of the reader, in bytes.
        options: for `loop.create_connection`.

    Raises:
        As `create_connection`.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=limit, loop=loop)
    transport, protocol = await create_connection(
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop),
        host,
        port,
        configuration=configuration,
        environment=environment,
        handshake_timeout=handshake_timeout,
        target_identities=target_identities,
        **options,
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def check_options(options: Mapping[str, Any], handshake_timeout: float) -> None:
    """Refuse what would put ALTS into TLS by accident, and a handshake without time.

    Raises:
        UsageError: so it is.
    """
    tls = [name for name in options if name.startswith("ssl") or name == "server_hostname"]
    if tls:
        raise UsageError(f"options of TLS: {', '.join(tls)}")
    if not handshake_timeout > 0:
        raise UsageError("handshake_timeout has to be positive")
