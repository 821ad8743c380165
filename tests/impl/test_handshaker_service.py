"""The handshaker service over real gRPC on loopback: streams, bounds, cancellation, shutdown (SPEC 9, 11.2)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import h2.connection
import h2.settings
import pytest

from alts import ConfigurationError
from alts.handshaker import HandshakerService, Limits, ListenError
from alts_schema import handshaker_pb2 as wire
from tests.impl.handshaker_stacks import CLIENT, SERVER, Bench, account, client_start, following, server_start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATH = "/grpc.gcp.HandshakerService/DoHandshake"
LONG = Limits(handshakes=16, timeout=60.0, idle_timeout=60.0)


class Stack:
    """A gRPC stack's side of the service."""

    def __init__(self, channel: grpc.aio.Channel, service: HandshakerService, port: int) -> None:
        self.service = service
        self.port = port
        self._method: Any = channel.stream_stream(PATH)

    def stream(self) -> Stream:
        """A new handshake."""
        return Stream(self._method())


class Stream:
    """One stream, in bytes."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def send(self, request: wire.HandshakerReq | bytes) -> None:
        """Send without waiting for an answer; if the service has ended the stream already, `status` tells."""
        with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
            await self.call.write(request if isinstance(request, bytes) else request.SerializeToString())

    async def ask(self, request: wire.HandshakerReq) -> wire.HandshakerResp:
        """Send and read the answer."""
        await self.send(request)
        answer = await self.call.read()
        assert answer is not grpc.aio.EOF, await self.status()
        return wire.HandshakerResp.FromString(answer)

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """Wait for the end of the stream, reading nothing more."""
        return await self.call.code(), await self.call.details()


@contextlib.asynccontextmanager
async def serving(limits: Limits = LONG, bench: Bench | None = None) -> AsyncIterator[Stack]:
    """A service on a free port, stopped at the end."""
    bench = bench or Bench()
    service = HandshakerService(bench.identities, bench.environment, limits)
    [port] = await service.start(["127.0.0.1:0"])
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Stack(channel, service, port)
    finally:
        await service.stop(0)
    await idle(service)


async def idle(service: HandshakerService) -> None:
    """Wait until the service has noticed that nothing runs; the test's own limit ends a wait in vain."""
    while service.active:  # noqa: ASYNC110 - the service has no event for it
        await asyncio.sleep(0.005)


@pytest.mark.req("TRUST-6", "TRUST-5", "HS-8", "HS-9")
def test_two_streams_joined_back_to_back() -> None:
    async def main() -> None:
        async with serving() as stack:
            client, server = stack.stream(), stack.stream()
            hello = await client.ask(client_start(target_identities=[account(SERVER)]))
            flight = await server.ask(server_start(hello.out_frames))
            done = await client.ask(following(flight.out_frames))
            record = b"\x14\x00\x00\x00\x06\x00\x00\x00 and more"
            last = await server.ask(following(done.out_frames + record))
            assert last.bytes_consumed == len(done.out_frames)
            assert done.result.key_data == last.result.key_data
            assert done.result.peer_identity.service_account == SERVER
            assert last.result.peer_identity.service_account == CLIENT
            for stream in (client, server):
                assert await stream.call.read() is grpc.aio.EOF  # the service ends the stream by itself
                assert await stream.status() == (grpc.StatusCode.OK, "")

    asyncio.run(main())


@pytest.mark.req("TRUST-2")
def test_a_violation_is_a_response_and_then_the_stream_ends_well() -> None:
    async def main() -> None:
        async with serving() as stack:
            client, server = stack.stream(), stack.stream()
            hello = await client.ask(client_start(target_identities=[account("shop/other")]))
            flight = await server.ask(server_start(hello.out_frames))
            refused = await client.ask(following(flight.out_frames))
            assert refused.status.code == grpc.StatusCode.UNAUTHENTICATED.value[0]
            assert refused.status.details.startswith("WRONG_IDENTITY ")
            assert await client.status() == (grpc.StatusCode.OK, "")
            told = await server.ask(following(refused.out_frames))
            assert told.status.details.startswith("PEER_ALERT ")
            assert await server.status() == (grpc.StatusCode.OK, "")

    asyncio.run(main())


@pytest.mark.req("HS-2")
@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (b"\xff\xff\xff", grpc.StatusCode.INVALID_ARGUMENT, "not a HandshakerReq"),
        (b"", grpc.StatusCode.INVALID_ARGUMENT, "without client_start"),
        (following(b"x").SerializeToString(), grpc.StatusCode.FAILED_PRECONDITION, "before a start"),
        (
            client_start(local_identity=account("shop/nobody")).SerializeToString(),
            grpc.StatusCode.FAILED_PRECONDITION,
            "shop/nobody",
        ),
        (following(bytes(3 << 20)).SerializeToString(), grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"),
    ],
)
def test_a_wrong_request_ends_the_stream(request_: bytes, code: grpc.StatusCode, text: str) -> None:
    async def main() -> None:
        async with serving() as stack:
            stream = stack.stream()
            await stream.send(request_)
            found, details = await stream.status()
            assert found is code
            assert text in details

    asyncio.run(main())


def test_a_stream_without_a_request_or_closed_early_ends() -> None:
    async def main() -> None:
        async with serving() as stack:
            for requests in ([], [client_start()]):
                stream = stack.stream()
                for request in requests:
                    await stream.ask(request)
                await stream.call.done_writing()
                assert (await stream.status())[0] is grpc.StatusCode.FAILED_PRECONDITION

    asyncio.run(main())


@pytest.mark.parametrize("limits", [Limits(4, 60.0, 0.05), Limits(4, 0.05, 60.0)], ids=["idle", "whole"])
def test_time_is_bounded(limits: Limits) -> None:
    async def main() -> None:
        async with serving(limits) as stack:
            silent = stack.stream()
            code, details = await silent.status()
            assert code is grpc.StatusCode.DEADLINE_EXCEEDED
            assert details.startswith("HANDSHAKE_TIMEOUT ")

    asyncio.run(main())


def test_a_peer_that_trickles_does_not_outlive_the_whole_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="alts.handshaker")

    async def main() -> None:
        async with serving(Limits(4, 0.3, 60.0)) as stack:
            stream = stack.stream()
            await stream.ask(server_start())
            with contextlib.suppress(AssertionError, asyncio.InvalidStateError, grpc.aio.AioRpcError):
                while True:
                    await stream.ask(following(b""))
                    await asyncio.sleep(0.01)
            # a client of grpc.aio that writes just then reports an INTERNAL of its own: the service's word counts
            assert (await stream.status())[0] in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL)

    asyncio.run(main())
    [record] = [record for record in caplog.records if record.name.startswith("alts.")]  # gRPC may add its own
    assert "DEADLINE_EXCEEDED: HANDSHAKE_TIMEOUT " in record.getMessage()


def test_concurrency_is_bounded_and_slots_come_back() -> None:
    async def main() -> None:
        async with serving(Limits(2, 60.0, 60.0)) as stack:
            first, second = stack.stream(), stack.stream()
            await first.ask(client_start())
            await second.ask(server_start())
            third = stack.stream()  # a stream counts from its beginning
            await third.send(client_start())
            code, details = await third.status()
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "2 handshakes" in details
            first.call.cancel()  # the stack's own peer went away
            second.call.cancel()
            await idle(stack.service)
            assert (await stack.stream().ask(client_start())).out_frames

    asyncio.run(main())


def test_a_failing_hook_ends_the_stream_and_not_the_service() -> None:
    def broken() -> float:
        raise OSError("secret place")

    async def main() -> None:
        async with serving(bench=Bench(3, clock=broken)) as stack:
            client, server = stack.stream(), stack.stream()
            hello = await client.ask(client_start())
            await server.send(server_start(hello.out_frames))
            code, details = await server.status()
            assert code is grpc.StatusCode.INTERNAL
            assert "secret" not in details
            assert (await stack.stream().ask(client_start())).out_frames

    asyncio.run(main())


def test_shutdown_lets_a_running_handshake_finish_and_takes_no_new_one() -> None:
    async def main() -> None:
        async with serving() as stack:
            client, server = stack.stream(), stack.stream()
            hello = await client.ask(client_start())
            flight = await server.ask(server_start(hello.out_frames))
            stopping = asyncio.ensure_future(stack.service.stop(30.0))
            await asyncio.sleep(0)
            late = stack.stream()
            refused = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)  # depends on who notices first
            assert (await late.status())[0] in refused
            done = await client.ask(following(flight.out_frames))
            last = await server.ask(following(done.out_frames))
            assert last.result.key_data == done.result.key_data
            await stopping

    asyncio.run(main())


def test_shutdown_ends_what_outlasts_the_grace() -> None:
    async def main() -> None:
        async with serving() as stack:
            stuck = stack.stream()
            await stuck.ask(client_start())
            await stack.service.stop(0.05)
            assert (await stuck.status())[0] is not grpc.StatusCode.OK
            await stack.service.stop(0.05)

    asyncio.run(main())


def test_a_port_in_use_is_said_so() -> None:
    async def main() -> None:
        async with serving() as stack:
            bench = Bench()
            other = HandshakerService(bench.identities, bench.environment)
            with pytest.raises(ListenError, match=f"127.0.0.1:{stack.port}"):
                await other.start(["127.0.0.1:0", f"127.0.0.1:{stack.port}"])

    asyncio.run(main())


@pytest.mark.parametrize("field", ["handshakes", "timeout", "idle_timeout", "in_bytes"])
def test_a_limit_must_be_positive(field: str) -> None:
    given: dict[str, Any] = {field: 0}
    with pytest.raises(ConfigurationError, match=field):
        Limits(**given)


@pytest.mark.req("REC-3")
def test_a_stack_that_does_not_read_gives_its_slot_back() -> None:
    """HTTP/2 by hand: a window of 0, so that no response can be sent; once its time is over the next one is served."""

    async def main() -> None:
        async with serving(Limits(handshakes=1, timeout=0.4, idle_timeout=60.0)) as stack:
            _, writer = await asyncio.open_connection("127.0.0.1", stack.port)
            http = h2.connection.H2Connection()
            http.initiate_connection()
            http.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
            headers = [(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", "x")]
            http.send_headers(1, [*headers, ("content-type", "application/grpc"), ("te", "trailers")])
            request = client_start().SerializeToString()
            http.send_data(1, b"\0" + len(request).to_bytes(4, "big") + request)
            writer.write(http.data_to_send())
            await writer.drain()
            while not stack.service.active:  # noqa: ASYNC110 - the service has no event for it
                await asyncio.sleep(0.005)
            await idle(stack.service)
            answer = await stack.stream().ask(client_start())
            assert answer.out_frames
            writer.close()

    asyncio.run(main())
