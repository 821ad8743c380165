"""The enrolment port, which anybody can reach: what a connection brings, how long it lasts, how many there are."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from alts.services import RequestRefused, Service, Status, call
from alts.services.cli import _clear
from alts_schema.issuance_pb2 import EnrolRequest, EnrolResponse

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Enrolment:
    """Answers every request, and notes how large the largest was."""

    def __init__(self) -> None:
        self.largest = 0
        self.service = Service("Enrolment", {"Enrol": self._enrol}, protected=False)

    async def _enrol(self, request: EnrolRequest, caller: None) -> EnrolResponse:
        self.largest = max(self.largest, request.ByteSize())
        if request.token_id == b"no":
            raise RequestRefused(Status.UNAUTHENTICATED, "no")
        return EnrolResponse(mac=request.mac)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Enrolment, _clear._Server, int]]:
    enrolment = Enrolment()
    server, port = await _clear.serve_in_clear(enrolment.service, "127.0.0.1", 0)
    assert isinstance(server, _clear._Server)
    try:
        yield enrolment, server, port
    finally:
        server.close()
        await server.wait_closed()


async def ask(port: int, request: EnrolRequest) -> EnrolResponse:
    channel = _clear.channel_in_clear("127.0.0.1", port)
    try:
        answer = await call(channel, "Enrolment", "Enrol", request, 10.0)
    finally:
        channel.close()
    assert isinstance(answer, EnrolResponse)
    return answer


@pytest.mark.req("ISSUE-6")
def test_requests_are_answered_and_refused_as_usual() -> None:
    async def main() -> None:
        async with serving() as (_, server, port):
            assert (await ask(port, EnrolRequest(mac=b"m" * 32))).mac == b"m" * 32
            with pytest.raises(RequestRefused, match="UNAUTHENTICATED"):
                await ask(port, EnrolRequest(token_id=b"no"))
            await gone(server)

    asyncio.run(main())


async def gone(server: _clear._Server) -> None:
    async with asyncio.timeout(10):
        while server.open:  # noqa: ASYNC110  # a dict has no event
            await asyncio.sleep(0.01)


async def read_to_the_end(reader: asyncio.StreamReader) -> None:
    """Raises ConnectionError or IncompleteReadError when the other side has cut."""
    while True:
        await reader.readexactly(1)


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send frames of an unknown type, which HTTP/2 has receivers ignore, until the other side cuts."""
    for _ in range(4 * _clear.CONNECTION_BYTES // 1000):
        writer.write(struct.pack(">I", 1000)[1:] + bytes([0xFA, 0]) + struct.pack(">I", 0) + bytes(1000))
        await writer.drain()
        await asyncio.sleep(0)
    await read_to_the_end(reader)


@pytest.mark.req("ISSUE-6")
def test_a_connection_that_brings_too_much_is_cut_and_never_reaches_the_service() -> None:
    async def main() -> None:
        async with serving() as (enrolment, server, port):
            with pytest.raises((ConnectionError, RequestRefused, OSError)):
                await ask(port, EnrolRequest(nonce=bytes(_clear.CONNECTION_BYTES)))
            assert enrolment.largest == 0
            await gone(server)
            assert (await ask(port, EnrolRequest(mac=b"x"))).mac == b"x", "others are served"

    asyncio.run(main())


@pytest.mark.req("ISSUE-6")
def test_what_is_announced_is_not_waited_for_without_end() -> None:
    """A message of 4 GiB, a little at a time: the connection ends at its bound, whatever was announced."""

    async def main() -> None:
        async with serving() as (enrolment, server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            settings = struct.pack(">I", 0)[1:] + bytes([4, 0]) + struct.pack(">I", 0)
            writer.write(PREFACE + settings)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await trickle(reader, writer)
            assert enrolment.largest == 0
            await gone(server)
            writer.close()

    asyncio.run(main())


@pytest.mark.req("ISSUE-6")
def test_silent_connections_end_and_there_are_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clear, "CONNECTION_SECONDS", 0.5)
    monkeypatch.setattr(_clear, "MOST_CONNECTIONS", 3)

    async def main() -> None:
        async with serving() as (_, server, port):
            opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            assert len(server.open) <= 3
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await read_to_the_end(opened[-1][0])  # past the settings, if it was let in
            await gone(server)
            assert (await ask(port, EnrolRequest(mac=b"y"))).mac == b"y"
            for _, writer in opened:
                writer.close()

    asyncio.run(main())


async def admitted(server: _clear._Server, number: int, spoken: int) -> None:
    """Wait until that many connections are open, and that many of them have sent something."""

    def counted() -> tuple[int, int]:
        return len(server.open), sum(one._left < _clear.CONNECTION_BYTES for one in server.open)

    async with asyncio.timeout(10):
        while counted() != (number, spoken):  # noqa: ASYNC110  # a dict has no event
            await asyncio.sleep(0.01)


async def cut(reader: asyncio.StreamReader) -> None:
    """Wait until the other side has cut."""
    async with asyncio.timeout(10):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await read_to_the_end(reader)


@pytest.mark.req("ISSUE-6")
def test_silent_connections_make_room_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clear, "CONNECTION_SECONDS", 3600.0)
    monkeypatch.setattr(_clear, "MOST_CONNECTIONS", 3)

    async def main() -> None:
        async with serving() as (_, server, port):
            opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            opened[0][1].write(PREFACE)
            await admitted(server, 3, 1)
            spoke, _, younger = server.open
            assert (await ask(port, EnrolRequest(mac=b"z"))).mac == b"z"
            await cut(opened[1][0])
            await admitted(server, 2, 1)
            assert list(server.open) == [spoke, younger]
            for _, writer in opened:
                writer.close()
            await gone(server)

    asyncio.run(main())


@pytest.mark.req("ISSUE-6")
def test_where_all_have_sent_something_a_new_connection_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clear, "CONNECTION_SECONDS", 3600.0)
    monkeypatch.setattr(_clear, "MOST_CONNECTIONS", 3)

    async def main() -> None:
        async with serving() as (_, server, port):
            writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(3)]
            for writer in writers:
                writer.write(PREFACE)
            await admitted(server, 3, 3)
            before = list(server.open)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await cut(reader)
            assert list(server.open) == before
            for one in (*writers, writer):
                one.close()
            await gone(server)

    asyncio.run(main())


class Wire(asyncio.Transport):
    """Notes that it was aborted; says so to nobody, as a loop does not before its next turn."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.req("ISSUE-6")
def test_a_burst_of_silent_connections_stays_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clear, "MOST_CONNECTIONS", 3)

    async def main() -> None:
        others: dict[_clear._Bounded, None] = {}
        wires = [Wire() for _ in range(10)]
        made = [_clear._Bounded(asyncio.Protocol, others) for _ in wires]
        for one, wire in zip(made, wires, strict=True):
            one.connection_made(wire)
        assert list(others) == made[-3:]
        assert [wire.aborted for wire in wires] == [True] * 7 + [False] * 3
        for one in made:
            one.connection_lost(None)
        assert not others

    asyncio.run(main())
