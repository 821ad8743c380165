"""The one service that is spoken in clear: enrolment, by machines that have no certificate yet (SPEC 13.1.6)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpclib.client
import grpclib.server

if TYPE_CHECKING:
    from .._rpc import Service


async def serve_in_clear(service: Service, host: str, port: int) -> tuple[grpclib.server.Server, int]:
    """Serve without ALTS; return the server and its port."""
    server = grpclib.server.Server([service])
    await server.start(host, port)
    listener = server._server  # grpclib has no public way to the bound port
    assert isinstance(listener, asyncio.Server)  # started
    return server, int(listener.sockets[0].getsockname()[1])


def channel_in_clear(host: str, port: int) -> grpclib.client.Channel:
    """Return a channel without ALTS."""
    return grpclib.client.Channel(host, port)
