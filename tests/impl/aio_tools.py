"""A small world on loopback for the tests of `alts.aio`: a realm, configurations, raw peers, reports of the loop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import itertools
import os
import random
import socket
import struct
from typing import TYPE_CHECKING, Any, TypeVar

from alts import (
    Configuration,
    Connection,
    ConnectionFailed,
    Environment,
    PayloadReceived,
    PeerViolation,
    Realm,
    Role,
    State,
)
from alts.aio import AltsTransport, Server, create_connection, create_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from alts import Event

NOW = 1_800_000_000
HOST = "127.0.0.1"
CLIENT, SERVER = "prod/frontend", "prod/backend"
ENVIRONMENT = Environment(lambda: NOW + 100, os.urandom)
T = TypeVar("T")

_realm = Realm(random.Random(7).randbytes, NOW)
_credentials = {identity: _realm.workload(identity) for identity in (CLIENT, SERVER)}


def configuration(identity: str, **overrides: Any) -> Configuration:
    """Return a configuration of the realm that all these tests share."""
    return dataclasses.replace(Configuration(_credentials[identity], _realm.trust()), **overrides)


def hooked(identity: str, is_revoked: Callable[[int], bool | None]) -> Configuration:
    """Return a configuration with this revocation hook."""
    return configuration(identity, trust=dataclasses.replace(_realm.trust(), is_revoked=is_revoked))


def open_files() -> int:
    """Return how many file descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


def run(main: Callable[[], Coroutine[Any, Any, T]], *, reports: list[str] | None = None) -> T:
    """Run `main` in a new loop, and see that nothing is left: no descriptor, no report to the loop's handler.

    `reports` gets the messages reported to the loop's handler where some are expected.
    """
    gc.collect()
    before = open_files()
    seen: list[dict[str, Any]] = []

    async def guarded() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
        result = await main()
        await settle()
        return result

    try:
        return asyncio.run(guarded())
    finally:
        gc.collect()  # a future whose exception nobody asked for reports itself now
        if reports is None:
            assert not seen, seen
        else:
            reports += [f"{context['message']}: {context.get('exception')}" for context in seen]
        assert open_files() == before


async def settle() -> None:
    """Let what is due on the loop happen."""
    for _ in range(10):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Wait for `condition`; the test's own time limit is the only one."""
    for _ in itertools.count():
        if condition():
            return
        await asyncio.sleep(0.001)


class Recorder(asyncio.Protocol):
    """An application that writes down what happens to it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.calls: list[str] = []
        self.received = bytearray()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.calls.append("connection_made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.calls.append("data_received")
        self.received += data

    def eof_received(self) -> bool | None:
        self.calls.append("eof_received")
        return None

    def pause_writing(self) -> None:
        self.calls.append("pause_writing")

    def resume_writing(self) -> None:
        self.calls.append("resume_writing")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("connection_lost")
        self.lost.set_result(exc)

    @property
    def wire(self) -> asyncio.Transport:
        """The transport, which is there after connection_made."""
        assert self.transport is not None
        return self.transport


class Failures(list[tuple[Exception, Any]]):
    """An on_handshake_failure hook that keeps what it is told."""

    def __call__(self, error: Exception, peername: Any) -> None:
        self.append((error, peername))

    @property
    def codes(self) -> list[str]:
        """The name of each violation's code, or of the exception's class."""
        return [e.code.name if isinstance(e, PeerViolation) else type(e).__name__ for e, _ in self]


class World:
    """A server on loopback whose applications are `Recorder`s (or what `factory` makes), and what it saw."""

    def __init__(self, server: Server, failures: Failures, apps: list[Any]) -> None:
        self.server = server
        self.failures = failures
        self.apps = apps

    @property
    def port(self) -> int:
        """Where the server listens."""
        return int(self.server.sockets[0].getsockname()[1])

    async def app(self, number: int = 0) -> Any:
        """Return the server's application of that number as soon as it is there."""
        await until(lambda: len(self.apps) > number)
        return self.apps[number]

    async def connect(self, factory: Callable[[], Any] = Recorder, **options: Any) -> tuple[AltsTransport, Any]:
        """Connect over ALTS."""
        given: dict[str, Any] = {"configuration": configuration(CLIENT), "environment": ENVIRONMENT}
        return await create_connection(factory, HOST, self.port, **(given | options))

    async def pair(self, factory: Callable[[], Any] = Recorder) -> tuple[Any, Any]:
        """Return a client's application and the server's, connected."""
        number = len(self.apps)
        _, app = await self.connect(factory)
        return app, await self.app(number)

    async def raw(self) -> RawPeer:
        """Connect without ALTS, to say what one likes."""
        return RawPeer(*await asyncio.open_connection(HOST, self.port))


@contextlib.asynccontextmanager
async def world(factory: Callable[[], Any] = Recorder, **options: Any) -> Any:
    """Serve, give a `World`, and end everything that is left."""
    failures, apps = Failures(), []

    def make() -> Any:
        app = factory()
        apps.append(app)
        return app

    given: dict[str, Any] = {
        "configuration": configuration(SERVER),
        "environment": ENVIRONMENT,
        "on_handshake_failure": failures,
    }
    given |= options
    server = await create_server(make, HOST, 0, **given)
    try:
        yield World(server, failures, apps)
    finally:
        server.close()
        server.abort_clients()
        async with asyncio.timeout(60):  # a server that hangs at its end fails the test, and not the whole run
            await server.wait_closed()
        assert server.handshakes == server.connections == 0


class RawPeer:
    """A client made of a plain stream and a sans-IO connection: every byte is in the test's hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, role: Role = Role.CLIENT) -> None:
        self.reader, self.writer = reader, writer
        identity = CLIENT if role is Role.CLIENT else SERVER
        self.connection = Connection(role, configuration(identity), ENVIRONMENT)
        self.events: list[Event] = []

    async def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def say_pending(self) -> None:
        """Send what the connection has to say."""
        await self.say(self.connection.data_to_send())

    async def hear(self) -> bytes:
        """Take what comes next, at least a byte but at the end, and let the connection judge it."""
        data = await self.reader.read(1 << 16)
        self.events += self.connection.receive_data(data) if data else self.connection.receive_end()
        return data

    async def finish(self) -> bytes:
        """Go through the handshake up to ClientFinished, which is returned and not sent."""
        if self.connection.role is Role.CLIENT and self.connection.state is State.START:
            self.connection.start()
            await self.say_pending()
        while self.connection.state is not State.OPEN:
            assert await self.hear(), self.events
        return self.connection.data_to_send()

    async def open(self) -> None:
        """Go through the whole handshake."""
        await self.say(await self.finish())

    def protect(self, data: bytes) -> bytes:
        """Return `data` as protected frames."""
        self.connection.send(data)
        return self.connection.data_to_send()

    async def end(self) -> PeerViolation | None:
        """Read to the end of the stream, or its reset; return the violation that the connection saw, if any."""
        with contextlib.suppress(ConnectionResetError):
            while await self.hear():
                pass
        for event in self.events:
            if isinstance(event, ConnectionFailed):
                return event.error
        return None

    @property
    def payload(self) -> bytes:
        """Everything that was received."""
        return b"".join(bytes(event.data) for event in self.events if isinstance(event, PayloadReceived))

    def reset(self) -> None:
        """Make the next close a reset (RST) instead of an end (FIN)."""
        wire = self.writer.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def close(self) -> None:
        """Close the stream."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def raw_server(behave: Callable[[RawPeer], Awaitable[None]]) -> Any:
    """Listen without ALTS and let `behave` play the server of each connection; gives the port; waits for them all."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        peer = RawPeer(reader, writer, Role.SERVER)
        try:
            await behave(peer)
        finally:
            await peer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await asyncio.gather(*tasks)
