"""Requests and answers that are no messages: refused with a type; they end no service and fill no log."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpclib.const
import grpclib.server
import h2.config
import h2.connection
import h2.events
import pytest

from alts.services import AddressBook, CaCore, Machine, RequestRefused, Service, Status, call, copy_trust, found
from alts.services._machine import forever
from alts.services.cli import SYSTEM
from alts.services.cli._clear import channel_in_clear, serve_in_clear
from alts_schema.issuance_pb2 import EnrolRequest, EnrolResponse
from tests.impl.services_realm import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

Headers = list[tuple[str, str]]
METHOD = "/openalts.issuance.v1.Enrolment/Enrol"
HEADERS = [(":status", "200"), ("content-type", "application/grpc+proto")]
TRAILERS = [("grpc-status", "0")]
REQUEST = [(":method", "POST"), (":scheme", "http"), (":path", METHOD), ("te", "trailers"), HEADERS[1]]
NO_MESSAGES = {
    "no protobuf": b"\0\0\0\0\3\xff\xff\xff",
    "compressed": b"\1\0\0\0\0",
    "half a length": b"\0\0",
    "half a message": b"\0\0\0\0\x09ab",
    "no message": b"\0\0\0\0\x09",
}


class Liar:
    """An enrolment service that answers with these bytes, and anybody can be one: it is spoken in clear."""

    def __init__(self, headers: Headers, data: bytes, trailers: Headers) -> None:
        self.answer = headers, data, trailers
        self.asked = 0

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        unary = grpclib.const.Cardinality.UNARY_UNARY
        return {METHOD: grpclib.const.Handler(self._enrol, unary, EnrolRequest, EnrolResponse)}

    async def _enrol(self, stream: grpclib.server.Stream[EnrolRequest, EnrolResponse]) -> None:
        await stream.recv_message()
        self.asked += 1
        headers, data, trailers = self.answer
        raw = stream._stream
        await raw.send_headers(headers)
        if data:
            await raw.send_data(data)
        await raw.send_headers(trailers, end_stream=True)
        stream._send_initial_metadata_done = stream._send_message_done = stream._send_trailing_metadata_done = True


@asynccontextmanager
async def lying(
    data: bytes = b"\0\0\0\0\0", *, headers: Headers = HEADERS, trailers: Headers = TRAILERS
) -> AsyncIterator[tuple[Liar, int]]:
    liar = Liar(headers, data, trailers)
    server = grpclib.server.Server([liar])
    await server.start(HOST, 0)
    assert isinstance(server._server, asyncio.Server)
    try:
        yield liar, server._server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def ask(port: int) -> Any:
    channel = channel_in_clear(HOST, port)
    try:
        return await call(channel, "Enrolment", "Enrol", EnrolRequest(), 10)
    finally:
        channel.close()


@pytest.mark.req("ISSUE-6")
@pytest.mark.parametrize("what", [*NO_MESSAGES, "nothing", "binary header", "no status"])
def test_a_malformed_answer_is_a_refusal(what: str) -> None:
    odd: dict[str, Any] = {
        "nothing": {"data": b""},
        "binary header": {"headers": [*HEADERS, ("a-bin", "a")]},
        "no status": {"headers": HEADERS[1:]},
    }

    async def main() -> None:
        async with lying(**(odd[what] if what in odd else {"data": NO_MESSAGES[what]})) as (_, port):
            with pytest.raises(RequestRefused, match="the answer is malformed") as caught:
                await ask(port)
            assert caught.value.status is Status.INTERNAL

    asyncio.run(main())


def test_what_a_service_says_cannot_pretend_to_be_another_line_of_a_log() -> None:
    async def main() -> None:
        trailers = [("grpc-status", "3"), ("grpc-message", "no%0Aalts: all is well%1b[2J" + "x" * 5000)]
        async with lying(trailers=trailers) as (_, port):
            with pytest.raises(RequestRefused) as caught:
                await ask(port)
        assert caught.value.detail.startswith("no?alts: all is well?[2Jx")
        assert len(caught.value.detail) == 500

    asyncio.run(main())


@pytest.mark.req("ISSUE-6")
def test_a_loop_goes_on_after_a_malformed_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with lying(NO_MESSAGES["no protobuf"]) as (liar, port):
            answered = asyncio.Event()

            async def once() -> None:
                await ask(port)
                answered.set()

            loop = asyncio.ensure_future(forever("news", once, 0.01, retry=0.01))
            try:
                async with asyncio.timeout(10):
                    while liar.asked < 3:  # noqa: ASYNC110  # a counter has no event
                        await asyncio.sleep(0.01)
                    liar.answer = HEADERS, b"\0\0\0\0\0", TRAILERS
                    await answered.wait()
            finally:
                loop.cancel()
                await asyncio.gather(loop, return_exceptions=True)

    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == ["news: INTERNAL: the answer is malformed"]


@pytest.mark.req("ISSUE-6")
def test_a_machine_that_is_lied_to_is_not_enrolled_and_can_be_later(tmp_path: Path) -> None:
    found(tmp_path / "realm", "realm", SYSTEM)
    core = CaCore(tmp_path / "realm/ca/service.sqlite", "realm/ca", SYSTEM.clock, SYSTEM.random)
    token = core.add_token("machines/desk")
    core.close()
    copy_trust(tmp_path / "realm/trust", tmp_path / "desk/trust")
    machine = Machine(tmp_path / "desk", SYSTEM, AddressBook(tmp_path / "book.json"))

    async def main() -> None:
        async with lying(NO_MESSAGES["half a message"]) as (liar, port):
            with pytest.raises(RequestRefused, match="malformed"):
                await machine.enrol(token, lambda: channel_in_clear(HOST, port))
            assert (liar.asked, machine.agent.master()) == (1, None)

    try:
        asyncio.run(main())
    finally:
        machine.close()


async def said_to(port: int, headers: Headers, data: bytes) -> dict[str, str]:
    """Send one request as these bytes; return all headers of the answer. Raises ConnectionError if it is cut."""
    reader, writer = await asyncio.open_connection(HOST, port)
    answer: dict[str, str] = {}
    try:
        end = h2.connection.H2Connection(
            h2.config.H2Configuration(
                header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
            )
        )
        end.initiate_connection()
        end.send_headers(1, headers)
        end.send_data(1, data, end_stream=True)
        writer.write(end.data_to_send())
        async with asyncio.timeout(10):
            while received := await reader.read(4096):
                for event in end.receive_data(received):
                    if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                        answer.update((str(name), str(value)) for name, value in event.headers)
                    elif isinstance(event, h2.events.StreamEnded):
                        return answer
        raise ConnectionResetError
    finally:
        writer.close()


def errors(records: Sequence[logging.LogRecord]) -> list[str]:
    return [record.getMessage() for record in records if record.levelno > logging.INFO]


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    async def enrol(request: EnrolRequest, caller: None) -> EnrolResponse:
        return EnrolResponse(mac=b"right")

    server, port = await serve_in_clear(Service("Enrolment", {"Enrol": enrol}, protected=False), HOST, 0)
    try:
        yield port
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.req("ISSUE-6")
@pytest.mark.parametrize("what", [*NO_MESSAGES, "nothing"])
def test_a_malformed_request_is_an_invalid_argument_and_nothing_for_the_log(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with serving() as port:
            answer = await said_to(port, REQUEST, NO_MESSAGES.get(what, b""))
            assert answer["grpc-status"] == str(int(Status.INVALID_ARGUMENT))
            assert (await said_to(port, REQUEST, b"\0\0\0\0\0"))["grpc-status"] == "0", "others are served"

    asyncio.run(main())
    assert errors(caplog.records) == []


@pytest.mark.req("ISSUE-6")
def test_a_header_that_is_not_ascii_ends_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving() as port:
            with pytest.raises(ConnectionError):
                await said_to(port, [*REQUEST, ("x", "ä")], b"\0\0\0\0\0")
            assert (await said_to(port, REQUEST, b"\0\0\0\0\0"))["grpc-status"] == "0"

    asyncio.run(main())
    assert errors(caplog.records) == []
