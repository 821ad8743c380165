"""ALTSRP_GCM_AES128_REKEY against a second, plain computation of SPEC 8.2, and its limits."""

from __future__ import annotations

import hashlib
import hmac
import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from alts import ErrorCode, FrameLimitError, Opener, PeerViolation, Role, Sealer, UsageError
from tests.impl.pair import Pair, code, failure, open_pair, payload

M = hashlib.sha512(b"record secret").digest() * 2
BOUNDARY = 1 << 16


def expected_frame(number: int, sender: Role, plaintext: bytes) -> bytes:
    """SPEC 8.2 written out once more, by bytes."""
    counter = bytearray(number.to_bytes(8, "little") + bytes(4))
    if sender is Role.SERVER:
        counter[11] |= 0x80
    key = hmac.new(M[:32], bytes(counter[2:8]) + b"\x01", hashlib.sha256).digest()[:16]
    nonce = bytes(a ^ b for a, b in zip(counter, M[32:44], strict=True))
    body = AESGCM(key).encrypt(nonce, plaintext, None)
    return struct.pack("<II", len(body) + 4, 6) + body


def refused(opener: Opener, data: bytes) -> ErrorCode:
    with pytest.raises(PeerViolation) as caught:
        list(opener.open(data))
    return caught.value.code


@pytest.mark.req("REC-2", "REC-5", "REC-6", "REC-8")
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    "first", [0, 1, 255, 256, BOUNDARY - 1, BOUNDARY, 5 * BOUNDARY - 1, (1 << 40) + 7, (1 << 64) - 2]
)
@pytest.mark.parametrize("size", [1, 100, 8191, 8192, 50_000])
def test_frames_are_what_the_specification_says(role: Role, first: int, size: int) -> None:
    data = hashlib.shake_128(b"payload").digest(size)
    sealer = Sealer(M, role, 1 << 20, first)
    assert bytes(sealer.seal(data)) == expected_frame(first, role, data)
    assert bytes(sealer.seal(data[:7])) == expected_frame(first + 1, role, data[:7])


@pytest.mark.req("REC-2", "REC-3")
@given(
    sizes=st.lists(st.integers(0, 70_000), max_size=6),
    cuts=st.lists(st.integers(1, 40_000), max_size=12),
    first=st.sampled_from([0, BOUNDARY - 3, (1 << 40) - 1]),
    role=st.sampled_from(list(Role)),
)
@settings(max_examples=60)
def test_what_is_sealed_opens_however_it_is_cut(sizes: list[int], cuts: list[int], first: int, role: Role) -> None:
    other = Role.SERVER if role is Role.CLIENT else Role.CLIENT
    sealer, opener = Sealer(M, role, 16384, first), Opener(M, other, 16384, first)
    messages = [hashlib.shake_128(bytes([i])).digest(size) for i, size in enumerate(sizes)]
    wire = b"".join(bytes(sealer.seal(message)) for message in messages)
    got = b""
    for cut in [*cuts, len(wire)]:
        got += b"".join(bytes(part) for part in opener.open(wire[:cut]))
        wire = wire[cut:]
    assert got == b"".join(messages)
    assert opener.at_boundary


@pytest.mark.req("REC-5", "REC-8")
@given(bit=st.integers(0), size=st.sampled_from([1, 64, 9000]))
def test_every_flipped_bit_is_refused(bit: int, size: int) -> None:
    frame = bytearray(Sealer(M, Role.CLIENT, 1 << 20).seal(bytes(size)))
    bit %= len(frame) * 8
    frame[bit // 8] ^= 1 << bit % 8
    opener = Opener(M, Role.SERVER, 1 << 20)
    try:
        assert list(opener.open(frame)) == []  # a longer length: the frame is incomplete now
    except PeerViolation:
        return
    assert not opener.at_boundary
    assert bit // 8 < 4


@pytest.mark.req("REC-8")
def test_replay_drop_reorder_and_reflection_are_refused() -> None:
    sealer = Sealer(M, Role.CLIENT, 1 << 20)
    first, second = bytes(sealer.seal(b"one")), bytes(sealer.seal(b"two"))
    assert refused(Opener(M, Role.SERVER, 1 << 20), first + first) is ErrorCode.BAD_RECORD
    assert refused(Opener(M, Role.SERVER, 1 << 20), second) is ErrorCode.BAD_RECORD
    assert refused(Opener(M, Role.CLIENT, 1 << 20), first) is ErrorCode.BAD_RECORD


@pytest.mark.req("REC-8", "REC-5")
def test_frames_before_a_bad_one_are_delivered_and_nothing_after_it() -> None:
    pair = open_pair()
    pair.client.send(b"good")
    good = pair.client.data_to_send()
    pair.client.send(b"bad")
    bad = bytearray(pair.client.data_to_send())
    bad[-1] ^= 1
    pair.client.send(b"later")
    events = pair.server.receive_data(good + bad + pair.client.data_to_send())
    assert payload(events) == b"good"
    assert code(events) is ErrorCode.BAD_RECORD
    assert failure(events).state == "OPEN"
    assert pair.server.data_to_send() == b""  # nothing is sent in OPEN (SPEC 2.3)
    assert pair.server.receive_data(good) == []


@pytest.mark.req("REC-3")
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (struct.pack("<I", 0), ErrorCode.DECODE_ERROR),
        (struct.pack("<I", 19), ErrorCode.DECODE_ERROR),
        (struct.pack("<I", 16385), ErrorCode.FRAME_TOO_LARGE),
        (struct.pack("<I", 2**32 - 1), ErrorCode.FRAME_TOO_LARGE),
        (struct.pack("<II", 20, 5), ErrorCode.UNEXPECTED_MESSAGE),
        (struct.pack("<II", 16384, 31), ErrorCode.UNEXPECTED_MESSAGE),
    ],
)
def test_a_bad_header_is_refused_before_its_payload_arrives(header: bytes, expected: ErrorCode) -> None:
    assert refused(Opener(M, Role.SERVER, 16384), header) is expected


@pytest.mark.req("REC-3")
def test_the_largest_and_the_empty_frame() -> None:
    largest = expected_frame(0, Role.CLIENT, bytes(16384 - 20))
    assert [len(part) for part in Opener(M, Role.SERVER, 16384).open(largest)] == [16364]
    assert list(Opener(M, Role.SERVER, 16384).open(expected_frame(0, Role.CLIENT, b""))) == []
    frame = bytes(Sealer(M, Role.CLIENT, 16384).seal(bytes(20_000)))
    assert int.from_bytes(frame[:4], "little") + 4 == 16384  # a sender counts the length field as well (SPEC 6.4)


@pytest.mark.req("REC-4")
def test_the_frame_limit_stops_sender_and_receiver() -> None:
    sealer = Sealer(M, Role.CLIENT, 16384, (1 << 64) - 2)
    with pytest.raises(FrameLimitError):
        sealer.seal(bytes(3 * 16384))
    last = bytes(sealer.seal(bytes(2 * 16360)))  # nothing was used up by the refusal
    with pytest.raises(FrameLimitError):
        sealer.seal(b"x")
    opener = Opener(M, Role.SERVER, 16384, (1 << 64) - 2)
    assert sum(len(part) for part in opener.open(last)) == 2 * 16360
    assert refused(opener, expected_frame(0, Role.CLIENT, b"x")) is ErrorCode.COUNTER_LIMIT


@pytest.mark.req("REC-4")
def test_a_connection_at_the_frame_limit_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alts._record.FRAME_LIMIT", 2)
    pair = open_pair()
    pair.client.send(b"one")
    with pytest.raises(FrameLimitError):
        pair.client.send(bytes(1 << 21))
    assert pair.client.state == "CLOSED"
    assert payload(pair.server.receive_data(pair.client.data_to_send())) == b"one"


def test_misuse_is_told_apart_from_violations() -> None:
    with pytest.raises(UsageError):
        Sealer(M[:43], Role.CLIENT, 16384)
    with pytest.raises(UsageError):
        Opener(M, Role.CLIENT, 16384, -1)
    with pytest.raises(UsageError):
        Pair().client.send(b"too early")


@pytest.mark.req("REC-2")
def test_an_incomplete_frame_at_the_end_is_truncation_and_a_boundary_is_not() -> None:
    pair = open_pair()
    pair.client.send(b"abc")
    wire = pair.client.data_to_send()
    assert pair.server.receive_data(wire[:-1]) == []
    assert code(pair.server.receive_end()) is ErrorCode.TRUNCATED
    assert [type(event).__name__ for event in pair.client.receive_end()] == ["ConnectionClosed"]
    assert pair.client.state == "CLOSED"
