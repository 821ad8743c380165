"""Any asyncio protocol runs over ALTS unchanged, and knows its peer (TRUST-5, TRUST-6)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import socket
from typing import TYPE_CHECKING, Any

import pytest

import alts
from alts import Category, Environment, Evidence, FrameLimitError, Negotiated, Peer, Secrets, UsageError, aio
from alts._record import FRAME_LIMIT
from tests.impl.aio_tools import (
    CLIENT,
    ENVIRONMENT,
    HOST,
    SERVER,
    Recorder,
    configuration,
    run,
    settle,
    until,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BLOB = random.Random(3).randbytes(8 << 20)


class LineEcho(asyncio.Protocol):
    """A line-based server as one finds in a tutorial; it knows nothing of ALTS."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"hello\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\n" in self._buffer:
            line, self._buffer = self._buffer.split(b"\n", 1)
            if line == b"quit":
                self._transport.writelines([b"bye", b"\n"])
                self._transport.close()
                return
            self._transport.write(line.upper() + b"\n")


async def dialogue(port: int, connect: Callable[..., Any]) -> list[bytes]:
    """Talk to `LineEcho` by streams; `connect` is asyncio's or ours."""
    reader, writer = await connect(HOST, port)
    heard = [await reader.readline()]
    for line in (b"one\n", b"", b"two\nthr", b"ee\n"):
        writer.write(line)
        await writer.drain()
    heard += [await reader.readline() for _ in range(3)]
    writer.write(b"quit\n")
    heard.append(await reader.read())
    assert reader.at_eof()
    writer.close()
    await writer.wait_closed()
    return heard


@pytest.mark.req("TRUST-6")
def test_a_protocol_and_streams_run_unchanged() -> None:
    async def over_tcp() -> list[bytes]:
        server = await asyncio.get_running_loop().create_server(LineEcho, HOST, 0)
        async with server:
            return await dialogue(server.sockets[0].getsockname()[1], asyncio.open_connection)

    async def over_alts() -> list[bytes]:
        def connect(host: str, port: int) -> Any:
            return aio.open_connection(host, port, configuration=configuration(CLIENT), environment=ENVIRONMENT)

        async with world(LineEcho) as w:
            return await dialogue(w.port, connect)

    expected = [b"hello\n", b"ONE\n", b"TWO\n", b"THREE\n", b"bye\n"]
    assert run(over_tcp) == run(over_alts) == expected


@pytest.mark.req("TRUST-6", "TRUST-9")
def test_stream_servers_and_both_directions_at_once() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main() -> str:
        server = await aio.start_server(echo, HOST, 0, configuration=configuration(SERVER), environment=ENVIRONMENT)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await aio.open_connection(
                HOST, port, configuration=configuration(CLIENT), environment=ENVIRONMENT
            )

            async def send() -> None:
                for at in range(0, len(BLOB), 100_000):
                    writer.write(BLOB[at : at + 100_000])
                    await writer.drain()

            _, received = await asyncio.gather(send(), reader.readexactly(len(BLOB)))
            writer.close()
            await writer.wait_closed()
        return hashlib.sha256(received).hexdigest()

    assert run(main) == hashlib.sha256(BLOB).hexdigest()


@pytest.mark.req("TRUST-1", "TRUST-2", "TRUST-5")
def test_both_ends_know_their_peer() -> None:
    async def main() -> None:
        async with world() as w:
            client, server = await w.pair()
            for wire, own, other in ((client.wire, CLIENT, SERVER), (server.wire, SERVER, CLIENT)):
                peer = wire.get_extra_info("alts_peer")
                assert isinstance(peer, Peer)
                assert (peer.identity, peer.category) == (other, Category.WORKLOAD)
                assert wire.get_extra_info("alts_local_identity") == own
                assert isinstance(wire.get_extra_info("alts_negotiated"), Negotiated)
                assert isinstance(wire.get_extra_info("alts_evidence"), Evidence)
                assert wire.get_extra_info("ssl_object") is None
                assert wire.get_extra_info("sslcontext", "none") == "none"
                assert wire.get_extra_info("socket").fileno() >= 0
                assert other in repr(wire)
            assert client.wire.get_extra_info("peername") == server.wire.get_extra_info("sockname")
            assert client.wire.get_extra_info("sockname") == server.wire.get_extra_info("peername")
            hashes = {end.wire.get_extra_info("alts_evidence").transcript_hash for end in (client, server)}
            assert len(hashes) == 1
            client.wire.close()
            await server.lost
            assert server.wire.get_extra_info("alts_peer").identity == CLIENT  # for a log line after the end

    run(main)


@pytest.mark.req("TRUST-5", "REC-4")
def test_no_secret_in_logs_or_reprs(caplog: pytest.LogCaptureFixture) -> None:
    secrets: list[Secrets] = []
    environment = Environment(ENVIRONMENT.clock, ENVIRONMENT.random, lambda _, kept: secrets.append(kept))
    reports: list[str] = []

    class Raises(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            raise RuntimeError("planted")

    async def main() -> str:
        asyncio.get_running_loop().set_debug(True)
        async with world(Raises, environment=environment) as w:
            _, client = await w.connect(environment=environment)
            client.wire.write(b"a very private payload")
            assert await client.lost is None or isinstance(client.lost.result(), OSError)
            server = await w.app()
            return repr(client.wire) + repr(server.wire) + repr(w.server) + repr(client.wire._link._connection)

    with caplog.at_level(logging.DEBUG):
        text = run(main, reports=reports) + "".join(reports) + caplog.text
    assert len(secrets) == 2
    assert len(reports) == 1
    for kept in secrets:
        for secret in (kept.record, kept.authenticator, kept.resumption, b"a very private payload"):
            for spelling in (secret.hex(), repr(secret)[2:-1], secret[:8].hex()):
                assert spelling not in text


@pytest.mark.req("REC-2", "REC-8")
def test_small_frames_come_joined_and_large_ones_whole() -> None:
    async def main() -> None:
        async with world() as w:
            client, server = await w.pair()
            server.wire.pause_reading()
            for number in range(1000):
                client.wire.write(bytes([number % 256]) * 3)
            client.wire.write(bytearray(BLOB[:100_000]))
            client.wire.write(memoryview(BLOB)[: 3 << 20])
            client.wire.writelines([b"x", bytearray(b"y"), memoryview(b"z")])
            client.wire.write(b"")
            expected = b"".join(bytes([number % 256]) * 3 for number in range(1000))
            expected += BLOB[:100_000] + BLOB[: 3 << 20] + b"xyz"
            await settle()
            server.wire.resume_reading()
            await until(lambda: len(server.received) >= len(expected))
            assert server.received == expected
            assert server.calls.count("data_received") < 100

    run(main)


def test_writing_misuse() -> None:
    async def main() -> None:
        async with world() as w:
            client, server = await w.pair()
            with pytest.raises(TypeError):
                client.wire.write("text")
            assert client.wire.can_write_eof() is False
            with pytest.raises(NotImplementedError):
                client.wire.write_eof()
            client.wire.close()
            assert client.wire.is_closing()
            assert not client.wire.is_reading()
            client.wire.write(b"too late")
            client.wire.close()
            assert await client.lost is None
            client.wire.write(b"too late")
            client.wire.abort()
            client.wire.pause_reading()
            client.wire.resume_reading()
            with pytest.raises(RuntimeError):
                client.wire.get_protocol()
            assert await server.lost is None
            assert server.received == b""
            assert server.calls == ["connection_made", "eof_received", "connection_lost"]
            assert client.calls == ["connection_made", "connection_lost"]

    run(main)


@pytest.mark.parametrize("option", [{"ssl": True}, {"server_hostname": "x"}, {"handshake_timeout": 0}])
def test_options_that_make_no_sense(option: dict[str, Any]) -> None:
    async def main() -> None:
        with pytest.raises(UsageError):
            await aio.create_connection(Recorder, HOST, 1, configuration=configuration(CLIENT), **option)
        with pytest.raises(UsageError):
            await aio.create_server(Recorder, HOST, 0, configuration=configuration(SERVER), **option)
        with pytest.raises(UsageError):
            await aio.create_server(Recorder, HOST, 0, configuration=configuration(SERVER), max_concurrent_handshakes=0)

    run(main)


def test_what_is_written_before_close_arrives() -> None:
    async def main() -> None:
        async with world() as w:
            client, server = await w.pair()
            client.wire.write(BLOB)
            client.wire.close()
            assert await client.lost is None
            assert await server.lost is None
            assert server.received == BLOB

    run(main)


def test_a_protocol_can_be_replaced() -> None:
    async def main() -> None:
        async with world() as w:
            client, server = await w.pair()
            second = Recorder()
            assert server.wire.get_protocol() is server
            server.wire.set_protocol(second)
            assert server.wire.get_protocol() is second
            client.wire.write(b"for the second")
            await until(lambda: second.received)
            client.wire.close()
            assert await second.lost is None
            assert server.received == b""
            assert not server.lost.done()

    run(main)


@pytest.mark.req("REC-4")
def test_the_frame_limit_closes_the_connection() -> None:
    async def main() -> None:
        async with world() as w:
            client, server = await w.pair()
            client.wire.write(b"first")
            client.wire._link._connection._sealer.frames = FRAME_LIMIT
            client.wire.write(b"one too many")
            assert client.wire.is_closing()
            assert isinstance(await client.lost, FrameLimitError)
            assert await server.lost is None
            assert server.received == b"first"

    run(main)


def test_the_system_environment() -> None:
    realm = alts.Realm(aio.SYSTEM.random, int(aio.SYSTEM.clock()))
    configurations = [alts.Configuration(realm.workload(name), realm.trust()) for name in ("a", "b")]

    async def main() -> None:
        server = await aio.create_server(Recorder, HOST, 0, configuration=configurations[0])
        async with server:
            transport, app = await aio.create_connection(
                Recorder,
                sock=socket.create_connection(server.sockets[0].getsockname()),
                configuration=configurations[1],
            )
            assert transport.get_extra_info("alts_peer").identity == "a"
            transport.close()
            await app.lost
            await until(lambda: not server.connections)

    run(main)
