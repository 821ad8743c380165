"""gRPC over ALTS with grpclib, and the contract with grpclib's private names (TRUST-5, TRUST-6)."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import inspect
import logging
import random
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpclib
import grpclib.client
import grpclib.protocol
import grpclib.server
import pytest
from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import StreamTerminatedError

from alts import Category, ErrorCode, PeerViolation, UsageError, aio
from alts import grpclib_adapter as adapter
from tests.impl.aio_tools import CLIENT, ENVIRONMENT, HOST, SERVER, Failures, configuration, run, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from alts import Peer

BLOB = random.Random(5).randbytes(8 << 20)


class RawCodec(CodecBase):
    """Messages are bytes."""

    __content_subtype__ = "raw"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> Any:
        return data


class Echo:
    """A service of every kind of call, as one writes it for grpclib over any transport."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.cancelled = 0

    async def unary(self, stream: grpclib.server.Stream[bytes, bytes]) -> None:
        self.peers.append(adapter.peer_of(stream))
        message = await stream.recv_message()
        assert message is not None
        await stream.send_message(message)

    async def client_stream(self, stream: grpclib.server.Stream[bytes, bytes]) -> None:
        await stream.send_message(b"".join([message async for message in stream]))

    async def server_stream(self, stream: grpclib.server.Stream[bytes, bytes]) -> None:
        count = await stream.recv_message()
        assert count is not None
        for number in range(int(count)):
            await stream.send_message(BLOB[: number * 1000])

    async def bidi(self, stream: grpclib.server.Stream[bytes, bytes]) -> None:
        async for message in stream:
            await stream.send_message(message[::-1])

    async def never(self, stream: grpclib.server.Stream[bytes, bytes]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1

    def __mapping__(self) -> dict[str, Handler]:
        return {
            "/test.Echo/Unary": Handler(self.unary, Cardinality.UNARY_UNARY, bytes, bytes),
            "/test.Echo/ClientStream": Handler(self.client_stream, Cardinality.STREAM_UNARY, bytes, bytes),
            "/test.Echo/ServerStream": Handler(self.server_stream, Cardinality.UNARY_STREAM, bytes, bytes),
            "/test.Echo/Bidi": Handler(self.bidi, Cardinality.STREAM_STREAM, bytes, bytes),
            "/test.Echo/Never": Handler(self.never, Cardinality.UNARY_UNARY, bytes, bytes),
        }


class Stub:
    """What a generated stub would be."""

    def __init__(self, channel: grpclib.client.Channel) -> None:
        def method(kind: Any, name: str) -> Any:
            return kind(channel, f"/test.Echo/{name}", bytes, bytes)

        self.unary = method(grpclib.client.UnaryUnaryMethod, "Unary")
        self.client_stream = method(grpclib.client.StreamUnaryMethod, "ClientStream")
        self.server_stream = method(grpclib.client.UnaryStreamMethod, "ServerStream")
        self.bidi = method(grpclib.client.StreamStreamMethod, "Bidi")
        self.never = method(grpclib.client.UnaryUnaryMethod, "Never")


async def serve(service: Echo, port: int = 0, **options: Any) -> adapter.Server:
    given: dict[str, Any] = {"configuration": configuration(SERVER), "environment": ENVIRONMENT, "codec": RawCodec()}
    given |= options
    return await adapter.serve([service], HOST, port, **given)


def channel(port: int, **options: Any) -> adapter.Channel:
    given: dict[str, Any] = {"configuration": configuration(CLIENT), "environment": ENVIRONMENT, "codec": RawCodec()}
    given |= options
    return adapter.Channel(HOST, port, **given)


@contextlib.asynccontextmanager
async def echo(service: Echo | None = None, **options: Any) -> AsyncIterator[tuple[adapter.Server, Stub]]:
    """Serve and connect; at the end the server is closed first, while the channel is still there."""
    server = await serve(service or Echo(), **options)
    async with channel(server.port) as ours:
        yield server, Stub(ours)
        server.close()
        await server.wait_closed()
        assert server.listener.connections == 0


@pytest.mark.req("TRUST-6", "HS-8", "HS-9")
@pytest.mark.parametrize("size", [0, 1, 16_384, 1 << 20, 8 << 20])
def test_unary_calls(size: int) -> None:
    async def main() -> None:
        async with echo() as (_, stub):
            for _ in range(2):
                assert await stub.unary(BLOB[:size]) == BLOB[:size]

    run(main)


@pytest.mark.req("TRUST-6", "TRUST-9")
def test_streams_of_each_kind_and_concurrent_calls_share_one_connection() -> None:
    async def main() -> None:
        async with echo() as (server, stub):
            assert await stub.client_stream([BLOB[:300_000], b"", b"end"]) == BLOB[:300_000] + b"end"
            assert await stub.server_stream(b"50") == [BLOB[: number * 1000] for number in range(50)]
            async with stub.bidi.open() as stream:
                for number in range(200):
                    await stream.send_message(BLOB[number : number + 100])
                    assert await stream.recv_message() == BLOB[number : number + 100][::-1]
                await stream.end()
            sizes = [number * 7919 % 100_000 for number in range(40)]
            answers = await asyncio.gather(*[stub.unary(BLOB[:size]) for size in sizes])
            assert answers == [BLOB[:size] for size in sizes]
            assert server.listener.connections == 1

    run(main)


@pytest.mark.req("TRUST-2", "TRUST-5")
def test_the_peer_reaches_handler_and_client() -> None:
    service = Echo()

    async def main() -> None:
        server = await serve(service)
        async with channel(server.port, target_identities=[SERVER]) as ours:
            assert (ours.alts_peer, ours.transport) == (None, None)
            async with Stub(ours).unary.open() as stream:
                with pytest.raises(UsageError):
                    adapter.peer_of(stream)
                await stream.send_message(b"who", end=True)
                assert adapter.peer_of(stream).identity == SERVER
                assert adapter.negotiated_of(stream).application_protocol == "grpc"
                assert len(adapter.evidence_of(stream).transcript_hash) == 32
                assert await stream.recv_message() == b"who"
            assert ours.alts_peer is not None
            assert ours.alts_peer.identity == SERVER
            assert isinstance(ours.transport, aio.AltsTransport)
        server.close()
        await server.wait_closed()

    run(main)
    (peer,) = service.peers
    assert (peer.identity, peer.category) == (CLIENT, Category.WORKLOAD)


@pytest.mark.req("TRUST-2")
def test_a_wrong_server_gets_no_call() -> None:
    service, failures = Echo(), Failures()

    async def main() -> None:
        server = await serve(service, on_handshake_failure=failures)
        async with channel(server.port, target_identities=["prod/other"]) as ours:
            for _ in range(2):
                with pytest.raises(PeerViolation) as caught:
                    await Stub(ours).unary(b"secret")
                assert caught.value.code is ErrorCode.WRONG_IDENTITY
        await until(lambda: len(failures) == 2)
        server.close()
        await server.wait_closed()

    run(main)
    assert service.peers == []
    assert failures.codes == ["PEER_ALERT"] * 2


def test_a_channel_connects_again() -> None:
    async def main() -> None:
        server = await serve(Echo())
        port = server.port
        async with channel(port) as ours:
            stub = Stub(ours)
            assert await stub.unary(b"one") == b"one"
            first = ours.transport
            server.close()
            await server.wait_closed()
            await until(lambda: not ours._connected)
            with pytest.raises(ConnectionRefusedError):
                await stub.unary(b"two")
            server = await serve(Echo(), port)
            assert await stub.unary(b"three") == b"three"
            assert ours.transport is not first
        server.close()
        await server.wait_closed()

    run(main)


def test_closing_a_server_ends_calls_and_connections(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "grpclib.server")  # a cancelled handler is logged with its traceback
    service = Echo()

    async def main() -> None:
        server = await serve(service)
        async with channel(server.port) as ours:
            call = asyncio.create_task(Stub(ours).never(b""))
            await until(lambda: server.listener.connections == 1)
            await until(lambda: any(handler._tasks for handler in server._handlers))
            await asyncio.sleep(0.01)
            server.close()
            await server.wait_closed()
            assert server.listener.connections == 0
            assert service.cancelled == 1
            with pytest.raises((StreamTerminatedError, grpclib.GRPCError)):
                await call

    run(main)


def test_a_peer_that_does_not_read_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "FLUSH_SECONDS", 0.05)

    async def main() -> None:
        server = await serve(Echo())
        async with channel(server.port) as ours:
            assert await Stub(ours).unary(b"x") == b"x"
            assert ours.transport is not None
            ours.transport.pause_reading()
            (link,) = server.listener._links
            assert link.transport is not None
            link.transport.write(bytes(32 << 20))
            server.close()
            await server.wait_closed()
            assert server.listener.connections == 0

    run(main)


def test_misuse() -> None:
    async def main() -> None:
        unstarted = adapter.Server([Echo()], codec=RawCodec())
        for use in (lambda: unstarted.port, lambda: unstarted.listener):
            with pytest.raises(UsageError):
                use()
        with pytest.raises(UsageError, match="without ALTS"):
            await unstarted.start(HOST, 0)
        server = await serve(Echo())
        with pytest.raises(UsageError, match="started already"):
            await server.start_alts(HOST, 0, configuration=configuration(SERVER))
        server.close()
        await server.wait_closed()
        with pytest.raises(UsageError, match="closed"):
            _ = server.port

    run(main)


@pytest.mark.req("TRUST-6")
def test_a_clear_channel_is_refused_and_a_clear_stream_has_no_peer() -> None:
    failures = Failures()
    service = Echo()

    async def main() -> None:
        server = await serve(service, on_handshake_failure=failures)
        async with grpclib.client.Channel(HOST, server.port, codec=RawCodec()) as clear:
            with pytest.raises(StreamTerminatedError):
                await Stub(clear).unary(b"in clear")
        server.close()
        await server.wait_closed()

        class Asks(Echo):
            async def unary(self, stream: grpclib.server.Stream[bytes, bytes]) -> None:
                with pytest.raises(UsageError, match="does not run over ALTS"):
                    adapter.peer_of(stream)
                await stream.send_message(b"asked")

        in_clear = grpclib.server.Server([Asks()], codec=RawCodec())
        await in_clear.start(HOST, 0)
        assert isinstance(in_clear._server, asyncio.Server)
        port = in_clear._server.sockets[0].getsockname()[1]
        async with grpclib.client.Channel(HOST, port, codec=RawCodec()) as clear:
            assert await Stub(clear).unary(b"") == b"asked"
        in_clear.close()
        await in_clear.wait_closed()

    run(main)
    assert failures.codes == ["FRAME_TOO_LARGE"]
    assert service.peers == []


# -- the contract with grpclib ---------------------------------------------------------------------------------------


def parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def test_the_private_names_of_grpclib_are_as_the_adapter_knows_them() -> None:
    client, server = grpclib.client.Channel, grpclib.server.Server
    assert inspect.iscoroutinefunction(client._create_connection)
    assert parameters(client._create_connection) == parameters(client._protocol_factory) == []
    assert parameters(server._protocol_factory) == []
    assert "self._protocol = await self._create_connection()" in inspect.getsource(client.__connect__)
    for name in ("_host", "_port"):
        assert f"self.{name} = " in inspect.getsource(client.__init__)
    for name in ("_server", "_server_closed_fut"):
        assert f"self.{name}: " in inspect.getsource(server.__init__)
    # Server.close and wait_closed do with these two what the adapter counts on
    assert set(re.findall(r"self\.(_server\w*)", inspect.getsource(server.close))) == {"_server", "_server_closed_fut"}
    awaited = re.findall(r"await self\.(\w+(?:\.\w+\(\))?)", inspect.getsource(server.wait_closed))
    assert awaited == ["_server_closed_fut", "_server.wait_closed()"]
    assert "self._transport = transport" in inspect.getsource(grpclib.protocol.Peer.__init__)
    assert issubclass(grpclib.protocol.H2Protocol, asyncio.Protocol)


def test_the_transport_has_all_that_grpclib_asks_of_one() -> None:
    source = inspect.getsource(grpclib.protocol)
    used = set(re.findall(r"_transport\.(\w+)\(", source)) | set(re.findall(r"\btransport\.(\w+)\(", source))
    assert used == {"write", "close", "is_closing", "get_extra_info"}
    assert used <= set(vars(aio.AltsTransport))


def test_the_installed_grpclib_is_in_the_range_that_the_distribution_asks_for() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert f"grpclib{adapter.SUPPORTED_GRPCLIB}" in project["dependencies"]
    version = tuple(int(part) for part in importlib.metadata.version("grpclib").split(".")[:3])
    assert (0, 4, 9) <= version < (0, 5)
