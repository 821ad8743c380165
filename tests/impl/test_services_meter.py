"""What a connection to the enrolment port may bring: little, in few frames, and few requests; and what stays of it."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Iterator
from contextlib import suppress

import grpclib.server
import h2.config
import h2.connection
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alts.services import AgentCore, Token
from alts.services.cli import _clear, _meter
from alts.services.cli._meter import PREFACE, Meter
from alts_schema.issuance_pb2 import EnrolRequest
from tests.impl.aio_tools import until
from tests.impl.test_services_clear import Enrolment, Port, ask, gone, serving

METHOD = "/openalts.issuance.v1.Enrolment/Enrol"
HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", METHOD),
    (":authority", "x"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]


def frame(kind: int, payload: bytes = b"", stream: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, 0]) + struct.pack(">I", stream) + payload


def resets(count: int) -> Iterator[bytes]:
    """The preface, then that many streams that are opened and reset."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    yield client.data_to_send()
    for number in range(count):
        client.send_headers(1 + 2 * number, HEADERS)
        client.reset_stream(1 + 2 * number)
        yield client.data_to_send()


def admitted(pieces: list[bytes]) -> int:
    """How many pieces a fresh meter lets through, until it does not."""
    meter = Meter()
    for number, piece in enumerate(pieces):
        if not meter.admits(piece):
            assert not meter.admits(b""), "that was that"
            return number
    return len(pieces)


@given(st.data())
@pytest.mark.req("ISSUE-6")
def test_however_the_network_cuts_it_the_count_is_the_same(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from([0, 1, 1, 3, 4, 9, 0xFA]), max_size=90))
    sizes = data.draw(st.lists(st.integers(0, 60), min_size=len(kinds), max_size=len(kinds)))
    frames = [frame(kind, bytes([1]) * size) for kind, size in zip(kinds, sizes, strict=True)]
    whole = PREFACE + b"".join(frames)
    right = (
        len(whole) <= _meter.CONNECTION_BYTES
        and len(frames) <= _meter.MOST_FRAMES
        and kinds.count(1) <= _meter.MOST_STREAMS
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=30)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert (admitted(pieces) == len(pieces)) is right
    single = [whole[at : at + 1] for at in range(len(whole))]
    assert (admitted(single) == len(single)) is right


@given(st.integers(0, len(PREFACE)), st.binary(max_size=30))
@pytest.mark.req("ISSUE-6")
def test_what_does_not_begin_as_http_2_is_cut(right: int, noise: bytes) -> None:
    sent = PREFACE[:right] + noise
    assert Meter().admits(sent) is (sent[: len(PREFACE)] == PREFACE[: len(sent)])


@pytest.mark.req("ISSUE-6")
def test_a_connection_has_begun_with_the_last_byte_of_the_preface() -> None:
    meter = Meter()
    assert all(meter.admits(PREFACE[at : at + 1]) for at in range(len(PREFACE) - 1))
    assert not meter.begun
    assert meter.admits(PREFACE[-1:])
    assert meter.begun


@pytest.mark.req("ISSUE-6")
def test_grpc_is_given_nothing_until_a_connection_has_begun() -> None:
    port = Port()
    one, wire = port.connect("192.0.2.1")
    one.data_received(PREFACE[:-1])
    assert one._inner is None
    one.connection_lost(None)
    assert port.ended == []
    other, wire = port.connect("192.0.2.1")
    other.data_received(b"GET / HTTP/1.1\r\n")
    assert (wire.cut(), other._inner) == (True, None)
    third, wire = port.connect("192.0.2.1")
    third.data_received(PREFACE[:-1])
    third.data_received(PREFACE[-1:])
    assert (wire.cut(), third._inner is None) == (False, False)
    third.connection_lost(None)
    assert len(port.ended) == 1


async def send(port: int, pieces: list[bytes]) -> None:
    """Send each piece by itself and read to the end, which may come at any moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(OSError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(20):
            while await reader.read(65536):
                pass
    writer.close()


@pytest.mark.req("ISSUE-6")
@pytest.mark.parametrize("at_once", [True, False])
def test_streams_that_are_reset_cost_few_tasks_and_nothing_stays(
    monkeypatch: pytest.MonkeyPatch, *, at_once: bool
) -> None:
    """A rapid reset: 16 connections of 130 streams each make at most 4 requests each, and what they had is freed."""
    accepted = []
    original = grpclib.server.Handler.accept

    def accept(self: grpclib.server.Handler, *rest: object) -> None:
        accepted.append(self)
        original(self, *rest)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(grpclib.server.Handler, "accept", accept)

    async def main() -> None:
        async with serving() as (enrolment, server, port):
            pieces = list(resets(130))
            assert len(b"".join(pieces)) <= _meter.CONNECTION_BYTES
            before = len(asyncio.all_tasks())
            await asyncio.gather(*(send(port, [b"".join(pieces)] if at_once else pieces) for _ in range(16)))
            assert len(accepted) <= (0 if at_once else 16 * _meter.MOST_STREAMS)
            assert enrolment.largest == 0
            await gone(server)
            await until(lambda: not (server._handlers or server._ending) and len(asyncio.all_tasks()) <= before)
            assert (await ask(port, EnrolRequest(mac=b"m"))).mac == b"m", "others are served"

    asyncio.run(main())


@pytest.mark.req("ISSUE-6")
def test_the_last_connections_are_freed_though_nobody_comes_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clear, "REQUEST_SECONDS", 0.3)

    async def main() -> None:
        async with serving() as (_, server, port):
            for number in range(25):
                assert (await ask(port, EnrolRequest(mac=bytes([number])))).mac == bytes([number])
            await asyncio.gather(*(send(port, [*list(resets(2)), b"\0"]) for _ in range(3)))
            await until(lambda: not (server.open or server._handlers or server._ending))

    asyncio.run(main())


@pytest.mark.req("ISSUE-6")
def test_the_longest_request_there_is_takes_half_of_every_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Identities of 255 characters, all handshake ciphers, the post-quantum ones too."""
    meters: list[Meter] = []

    class Kept(Meter):
        def __init__(self) -> None:
            super().__init__()
            meters.append(self)

    monkeypatch.setattr(_clear, "Meter", Kept)
    longest = "/".join(["m" * 63] * 4)
    assert len(longest) == 255
    agent = AgentCore(None, lambda: 1e9, os.urandom)
    request = agent.enrol_request(Token(os.urandom(16), os.urandom(32), longest), longest)[1]

    async def main() -> Enrolment:
        async with serving() as (enrolment, _, port):
            await ask(port, request)
            return enrolment

    enrolment = asyncio.run(main())
    assert enrolment.largest == request.ByteSize() < 1024
    (meter,) = meters
    assert 1024 < 2 * meter._bytes <= _meter.CONNECTION_BYTES
    assert meter._streams == 1
    assert 0 < 4 * meter._frames <= _meter.MOST_FRAMES
