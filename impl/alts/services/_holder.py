"""The credential that new handshakes use, and can be exchanged while connections live on (CRED-6, ISSUE-8).

A `Configuration` never changes. A `CredentialHolder` has the present one; servers and channels of this module ask it at
each handshake.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import grpclib.client

from .. import aio, grpclib_adapter
from .._config import Configuration
from .._errors import ErrorCode, PeerViolation, UsageError
from .._table import Role
from ..aio._link import Link
from ..aio._server import Server as _Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from grpclib._typing import IServable
    from grpclib.protocol import H2Protocol

    from .._config import Credential, Environment
    from .._resumption import Resumption
    from .._tickets import ResumptionKeys
    from .._trust import Trust


class CredentialHolder:
    """Has the present configuration of an endpoint.

    Args:
        trust: what the endpoint believes; its answers may change by themselves.
        resumption: keys and caches, which outlive every credential; None: full handshakes only.
        options: for every `Configuration` made here.
    """

    def __init__(self, trust: Trust, resumption: Resumption | None = None, **options: Any) -> None:
        self._trust = trust
        self._options = options
        self._configuration: Configuration | None = None
        self.resumption = resumption

    def update(self, credential: Credential, keys: ResumptionKeys | None = None) -> None:
        """Use `credential`, and resumption keys, from the next handshake on. What runs is not touched.

        Raises:
            ConfigurationError: they cannot be used; the old ones stay.
        """
        configuration = Configuration(credential, self._trust, resumption=self.resumption, **self._options)
        if self.resumption is not None:
            self.resumption.keys = keys
        self._configuration = configuration

    @property
    def configuration(self) -> Configuration:
        """The configuration for a handshake that begins now.

        Raises:
            UsageError: there is no credential yet.
        """
        if self._configuration is None:
            raise UsageError("no credential was provisioned yet")
        return self._configuration


async def create_server(
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    host: str,
    port: int,
    holder: CredentialHolder,
    *,
    environment: Environment = aio.SYSTEM,
    handshake_timeout: float = aio.HANDSHAKE_TIMEOUT,
    max_concurrent_handshakes: int = aio.MAX_CONCURRENT_HANDSHAKES,
    on_handshake_failure: Callable[[Exception, Any], None] = aio.log_handshake_failure,
) -> _Listener:
    """Listen like `alts.aio.create_server`, each handshake with the configuration that the holder has by then."""
    server = _Listener(max_concurrent_handshakes, on_handshake_failure)

    def link() -> Link:
        return Link(Role.SERVER, protocol_factory, holder.configuration, environment, handshake_timeout, server)

    server.attach(await asyncio.get_running_loop().create_server(link, host, port))
    return server


class RotatingServer(grpclib_adapter.Server):
    """A grpclib server over ALTS whose credential may change while it serves; made by `serve`."""

    async def start_holder(self, host: str, port: int, holder: CredentialHolder, **options: Any) -> None:
        """Listen; see `create_server`."""
        if self._server is not None:
            raise UsageError("the server is started already")
        self._server = self._listener = await create_server(self._protocol_factory, host, port, holder, **options)
        self._server_closed_fut = asyncio.get_running_loop().create_future()


async def serve(
    handlers: Collection[IServable], host: str, port: int, holder: CredentialHolder, **options: Any
) -> RotatingServer:
    """Serve grpclib handlers over ALTS with the holder's credentials; the options are those of `create_server`."""
    server = RotatingServer(handlers)
    await server.start_holder(host, port, holder, **options)
    return server


class RotatingChannel(grpclib_adapter.Channel):
    """A grpclib channel that connects with the configuration that the holder has by then.

    If the server attached a ticket that cannot be used, it connects once more, in full (RES-8).

    Args:
        host: of the server.
        port: of the server.
        holder: of the client's credential.
        targets: identities that the server must have one of.
        environment: clock and randomness.
    """

    def __init__(
        self,
        host: str,
        port: int,
        holder: CredentialHolder,
        targets: Collection[str],
        environment: Environment = aio.SYSTEM,
    ) -> None:
        super().__init__(
            host, port, configuration=holder.configuration, environment=environment, target_identities=targets
        )
        self._holder = holder

    async def _create_connection(self) -> H2Protocol:
        self._alts_configuration = self._holder.configuration
        try:
            return await super()._create_connection()
        except PeerViolation as violation:
            if violation.code is not ErrorCode.TICKET_REFUSED:
                raise
        self._alts_configuration = dataclasses.replace(self._holder.configuration, resumption=None)
        return await super()._create_connection()

    async def connect(self) -> bytes:
        """Connect if there is no live connection, and return the transcript hash of the connection, 32 bytes."""
        await grpclib.client.Channel.__connect__(self)
        assert self.transport is not None  # connected
        evidence = self.transport.get_extra_info("alts_evidence")
        return bytes(evidence.transcript_hash)
