"""Bounds of a ticket where its message is read without the library: in Finished, and from a client that is known."""

from __future__ import annotations

import pytest

from alts import ErrorCode, PeerViolation
from alts import _messages as wire
from alts._contents import Ticket
from alts_schema import handshake_pb2
from tests.impl.pair import Pair

ID = bytes(range(16))


def field(tag: int, body: bytes) -> bytes:
    """One field of type bytes."""
    return bytes([tag]) + wire._varint(len(body)) + body


def finished(numbers: bytes, sealed: bytes, lifetime: bytes) -> bytes:
    ticket = field(0x0A, ID) + numbers + lifetime + field(0x22, sealed)
    return field(0x0A, bytes(32)) + field(0x12, bytes(32)) + field(0x1A, ticket)


def presented(numbers: bytes, sealed: bytes) -> bytes:
    """Field 12 of ClientInit."""
    return field(0x62, field(0x0A, ID) + numbers + field(0x1A, sealed))


def init_of_a_known_client(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A ClientInit without a ticket of a client that the server has shaken hands with, and knows."""
    pair = Pair()
    pair.client.start()
    flight = pair.client.data_to_send()
    pair.server.receive_data(flight)
    pair.client.receive_data(pair.server.data_to_send())
    pair.server.receive_data(pair.client.data_to_send())
    assert pair.client.state == pair.server.state == "OPEN"
    payload = flight[wire.FRAME_HEADER.size :]

    def parse(*_: object) -> None:
        raise AssertionError("parsed")

    with monkeypatch.context() as patched:
        patched.setattr(wire, "_parse", parse)
        wire.decode_client_init(payload)  # known, else it would be parsed
    return payload


@pytest.mark.req("RES-2", "RES-4")
@pytest.mark.parametrize(
    ("numbers", "size", "lifetime", "code"),
    [
        pytest.param(b"\x10\x00", 100, b"\x18\x05", ErrorCode.DECODE_ERROR, id="epoch 0 written out"),
        pytest.param(b"", 100, b"\x18\x05", ErrorCode.ILLEGAL_PARAMETER, id="epoch 0"),
        pytest.param(b"\x10\x81\x00", 100, b"\x18\x05", ErrorCode.DECODE_ERROR, id="epoch too long"),
        pytest.param(b"\x10\x01", 0, b"\x18\x05", ErrorCode.DECODE_ERROR, id="no ticket, written out"),
        pytest.param(b"\x10\x01", 4097, b"\x18\x05", ErrorCode.ILLEGAL_PARAMETER, id="ticket too large"),
        pytest.param(b"\x10\x01", 100, b"\x18\x00", ErrorCode.DECODE_ERROR, id="lifetime 0 written out"),
        pytest.param(b"\x10\x01", 100, b"", ErrorCode.ILLEGAL_PARAMETER, id="lifetime 0"),
        pytest.param(b"\x10\x01", 100, b"\x18\x81\xa3\x05", ErrorCode.ILLEGAL_PARAMETER, id="lifetime 86401"),
    ],
)
def test_a_ticket_beyond_a_bound_is_refused_in_finished(
    numbers: bytes, size: int, lifetime: bytes, code: ErrorCode
) -> None:
    for kind in (handshake_pb2.ServerFinished, handshake_pb2.ClientFinished):
        with pytest.raises(PeerViolation) as caught:
            wire.decode_finished(kind, finished(numbers, b"t" * size, lifetime))
        assert caught.value.code is code


@pytest.mark.req("RES-2", "RES-3")
@pytest.mark.parametrize(
    ("numbers", "size", "code"),
    [
        pytest.param(b"\x10\x00", 100, ErrorCode.DECODE_ERROR, id="epoch 0 written out"),
        pytest.param(b"", 100, ErrorCode.ILLEGAL_PARAMETER, id="epoch 0"),
        pytest.param(b"\x10\x81\x00", 100, ErrorCode.DECODE_ERROR, id="epoch too long"),
        pytest.param(b"\x10\x01", 0, ErrorCode.DECODE_ERROR, id="no ticket, written out"),
        pytest.param(b"\x10\x01", 4097, ErrorCode.ILLEGAL_PARAMETER, id="ticket too large"),
    ],
)
def test_a_ticket_beyond_a_bound_is_refused_from_a_known_client(
    monkeypatch: pytest.MonkeyPatch, numbers: bytes, size: int, code: ErrorCode
) -> None:
    payload = init_of_a_known_client(monkeypatch)
    with pytest.raises(PeerViolation) as caught:
        wire.decode_client_init(payload + presented(numbers, b"t" * size))
    assert caught.value.code is code


@pytest.mark.req("RES-2", "RES-3", "RES-4")
@pytest.mark.parametrize("size", [1, 4096])
def test_a_ticket_at_a_bound_is_read(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    sealed = b"t" * size
    for written, lifetime in ((b"\x18\x01", 1), (b"\x18\x80\xa3\x05", 86400)):
        for kind in (handshake_pb2.ServerFinished, handshake_pb2.ClientFinished):
            got = wire.decode_finished(kind, finished(b"\x10\x01", sealed, written))
            assert got == (bytes(32), bytes(32), Ticket(ID, 1, sealed, lifetime))
    payload = init_of_a_known_client(monkeypatch)
    _, ticket = wire.decode_client_init(payload + presented(b"\x10\x01", sealed))
    assert ticket == Ticket(ID, 1, sealed, 0)
