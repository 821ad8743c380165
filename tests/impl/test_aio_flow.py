"""Delivery and flow control: segments, slow readers, pausing at every moment, protocols with buffers of their own."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alts import ErrorCode, PeerViolation
from tests.impl.aio_tools import CLIENT, Recorder, configuration, run, settle, until, world

BLOB = random.Random(4).randbytes(1 << 20)


@pytest.mark.req("REC-3")
def test_a_slow_reader_slows_the_sender() -> None:
    """64 MiB are offered to a reader that does not read: all but what the kernel and one buffer hold waits."""

    async def main() -> None:
        async with world() as w:
            client, server = await w.pair()
            for end, option in ((client, socket.SO_SNDBUF), (server, socket.SO_RCVBUF)):
                end.wire.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, 1 << 16)
            client.wire.set_write_buffer_limits(high=1 << 16)
            server.wire.pause_reading()
            assert not server.wire.is_reading()
            offered = 0
            while offered < 64 << 20:
                if client.calls[-1] == "pause_writing":
                    await asyncio.sleep(0.05)  # time enough to be told to go on, if somebody took the data
                    if client.calls[-1] == "pause_writing":
                        break
                client.wire.write(BLOB[: 1 << 14])
                offered += 1 << 14
                await asyncio.sleep(0)
            assert client.calls[-1] == "pause_writing"
            assert offered <= 4 << 20  # the kernel's socket buffers, and one of ours
            assert client.wire.get_write_buffer_size() <= 1 << 17
            assert client.wire.get_write_buffer_limits()[1] == 1 << 16
            assert server.received == b""
            server.wire.resume_reading()
            assert server.wire.is_reading()
            await until(lambda: client.calls[-1] == "resume_writing")
            await until(lambda: len(server.received) == offered)
            assert client.wire.get_write_buffer_size() == 0

    run(main)


@pytest.mark.req("HS-8", "HS-9", "REC-8")
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_segments_mean_nothing(data: st.DataObject) -> None:
    """The client's whole flight, payload right behind ClientFinished, cut in any way."""
    sizes = data.draw(st.lists(st.integers(1, 5000), min_size=1, max_size=6))
    single_bytes = data.draw(st.booleans())

    async def main() -> None:
        async with world() as w:
            raw = await w.raw()
            raw.connection.start()
            await cut(raw, raw.connection.data_to_send())
            flight = await raw.finish()
            messages = [BLOB[:size] for size in sizes]
            await cut(raw, flight + b"".join(raw.protect(message) for message in messages))
            server = await w.app()
            expected = b"".join(messages)
            await until(lambda: len(server.received) >= len(expected))
            assert server.received == expected
            assert server.calls[0] == "connection_made"
            server.wire.write(b"answer")
            while not raw.payload:
                await raw.hear()
            assert raw.payload == b"answer"
            await raw.close()

    async def cut(raw: Any, flight: bytes) -> None:
        at = 0
        while at < len(flight):
            size = 1 if single_bytes and at < 150 else data.draw(st.integers(1, 4000))
            await raw.say(flight[at : at + size])
            await asyncio.sleep(0)
            at += size

    run(main)


@pytest.mark.req("REC-8")
def test_reordered_records_end_the_connection_after_what_came_before() -> None:
    async def main() -> None:
        async with world() as w:
            raw = await w.raw()
            await raw.open()
            good, first, second = (raw.protect(text) for text in (b"good", b"first", b"second"))
            await raw.say(good + second + first)
            server = await w.app()
            violation = await server.lost
            assert isinstance(violation, PeerViolation)
            assert (violation.code, violation.state) == (ErrorCode.BAD_RECORD, "OPEN")
            assert server.received == b"good"
            assert server.calls == ["connection_made", "data_received", "connection_lost"]
            assert await raw.end() is None
            assert raw.payload == b""
            await raw.close()
            assert w.failures == []  # the handshake was in order

    run(main)


@pytest.mark.req("REC-2")
def test_an_end_inside_a_frame_is_told_from_one_between_frames() -> None:
    async def main() -> None:
        async with world() as w:
            for cut, code in ((0, None), (5, ErrorCode.TRUNCATED)):
                raw = await w.raw()
                await raw.open()
                server = await w.app(len(w.apps))
                await raw.say(raw.protect(b"all of it") + raw.protect(b"part")[:cut])
                await raw.close()
                violation = await server.lost
                assert violation is None if code is None else violation.code is code
                assert server.received == b"all of it"
                assert ("eof_received" in server.calls) is (code is None)

    run(main)


class PausesAtOnce(Recorder):
    """Wants nothing until it is asked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.wire.pause_reading()


@pytest.mark.req("HS-8")
@pytest.mark.parametrize("ending", ["none", "eof", "violation"])
def test_a_protocol_that_pauses_on_connection_gets_nothing_until_it_resumes(ending: str) -> None:
    """Payload, and the end, come in one segment with ClientFinished, so pausing the socket is not enough."""

    async def main() -> None:
        async with world(PausesAtOnce) as w:
            raw = await w.raw()
            flight = await raw.finish() + raw.protect(b"early") + raw.protect(b"payload")
            await raw.say(flight + (b"\xff" * 8 if ending == "violation" else b""))
            if ending == "eof":
                await raw.close()
            server = await w.app()
            for _ in range(20):
                await settle()
            assert server.calls == ["connection_made"]
            server.wire.resume_reading()
            assert server.calls == ["connection_made"]  # never from inside the application's own call
            await until(lambda: server.received == b"earlypayload")
            if ending != "none":
                error = await server.lost
                assert error is None if ending == "eof" else error.code is ErrorCode.FRAME_TOO_LARGE
            await raw.close()

    run(main)


def test_a_lower_transport_that_delivers_though_paused_loses_nothing() -> None:
    """Such as one that had a read under way; asyncio's socket transports do not, so its calls are made by hand."""

    async def main() -> None:
        async with world() as w:
            raw = await w.raw()
            await raw.open()
            server = await w.app()
            (link,) = w.server._links
            server.wire.pause_reading()
            link.data_received(raw.protect(b"under "))
            link.data_received(raw.protect(b"way"))
            assert link.eof_received()  # stay open
            await settle()
            assert server.calls == ["connection_made"]
            assert server.wire.is_closing()
            server.wire.write(b"discarded")
            server.wire.resume_reading()
            assert await server.lost is None
            assert server.received == b"under way"
            assert server.calls == ["connection_made", "data_received", "eof_received", "connection_lost"]
            await raw.close()

    run(main)


class PausesEachTime(Recorder):
    """Pauses after every call and resumes a little later."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.wire.pause_reading()
        asyncio.get_running_loop().call_soon(self.wire.resume_reading)


def test_pausing_in_every_call_loses_nothing() -> None:
    async def main() -> None:
        async with world(PausesEachTime) as w:
            client, server = await w.pair()
            for at in range(0, len(BLOB), 3000):
                client.wire.write(BLOB[at : at + 3000])
            client.wire.close()
            assert await server.lost is None
            assert server.received == BLOB

    run(main)


class Buffered(asyncio.BufferedProtocol):
    """An application with a buffer of its own, smaller than most frames."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._buffer = bytearray(1000)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.wire = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        assert sizehint > 0
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += self._buffer[:nbytes]
        if len(self.received) % 7 == 0:
            self.wire.pause_reading()
            asyncio.get_running_loop().call_soon(self.wire.resume_reading)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


def test_a_buffered_protocol() -> None:
    async def main() -> None:
        async with world(Buffered) as w:
            client, server = await w.pair()
            for size in (1, 999, 1000, 1001, 300_000, 7):
                client.wire.write(BLOB[:size])
            client.wire.close()
            assert await server.lost is None
            assert server.received == b"".join(BLOB[:size] for size in (1, 999, 1000, 1001, 300_000, 7))

    run(main)


def test_a_buffered_protocol_without_room_is_cut_off() -> None:
    class NoRoom(Buffered):
        def get_buffer(self, sizehint: int) -> bytearray:
            return bytearray()

    reports: list[str] = []

    async def main() -> None:
        async with world(NoRoom) as w:
            client, server = await w.pair()
            client.wire.write(b"data")
            assert isinstance(await server.lost, RuntimeError)
            await client.lost

    run(main, reports=reports)
    assert len(reports) == 1


def test_abort_drops_what_is_not_sent() -> None:
    async def main() -> None:
        async with world() as w:
            client, server = await w.pair()
            server.wire.pause_reading()
            for _ in range(32):
                client.wire.write(BLOB)
            assert client.wire.get_write_buffer_size() > 0
            client.wire.close()
            await settle()
            assert not client.lost.done()  # it still has to send
            client.wire.abort()
            assert await client.lost is None
            server.wire.resume_reading()
            await server.lost

    run(main)


@pytest.mark.req("REC-3")
def test_the_negotiated_frame_size_is_kept() -> None:
    async def main() -> None:
        async with world() as w:
            _, client = await w.connect(configuration=configuration(CLIENT, max_frame_size=16384))
            server = await w.app()
            assert server.wire.get_extra_info("alts_negotiated").max_frame_size == 16384
            server.wire.write(BLOB)
            client.wire.write(BLOB)
            await until(lambda: len(client.received) == len(server.received) == len(BLOB))
            assert client.received == server.received == BLOB

    run(main)
