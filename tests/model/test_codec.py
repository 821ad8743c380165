"""The canonical check against a wire reader written by hand, since model and implementation share one parser."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alts_model import Refused
from alts_model.codec import _parse, decode_certificate, is_canonical
from alts_schema import certificate_pb2, handshake_pb2
from tests.model.helpers import FRONTEND, client, server, split_frames

_VARINTS = {
    FieldDescriptor.TYPE_UINT32: 32,
    FieldDescriptor.TYPE_UINT64: 64,
    FieldDescriptor.TYPE_ENUM: 64,
}


class Bad(Exception):
    """Not the canonical encoding of the message type."""


def varint(data: bytes, at: int, bits: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Bad
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            if (byte == 0 and shift) or value >> bits:
                raise Bad
            return value, at
        shift += 7


def read(kind: Descriptor, data: bytes) -> None:
    """Walk one message; raise Bad unless it is canonical."""
    at, last = 0, 0
    while at < len(data):
        tag, at = varint(data, at, 32)
        number, wire = tag >> 3, tag & 7
        field = kind.fields_by_number.get(number)
        if field is None or number < last or (number == last and (not field.is_repeated or field.is_packed)):
            raise Bad
        last = number
        at = read_field(field, wire, data, at)


def read_field(field: FieldDescriptor, wire: int, data: bytes, at: int) -> int:
    if field.type in _VARINTS and not field.is_repeated:
        value, at = varint(data, at, _VARINTS[field.type])
        # An enum is a signed 32-bit number, which is sent as a 64-bit one.
        between = field.type == FieldDescriptor.TYPE_ENUM and 1 << 31 <= value < (1 << 64) - (1 << 31)
        if wire != 0 or value == 0 or between:
            raise Bad
        return at
    if field.type == FieldDescriptor.TYPE_FIXED64:
        if wire != 1 or len(data) < at + 8 or data[at : at + 8] == bytes(8):
            raise Bad
        return at + 8
    size, at = varint(data, at, 31)
    part = data[at : at + size]
    if wire != 2 or len(part) != size:
        raise Bad
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        assert field.message_type is not None
        read(field.message_type, part)
    elif field.type in _VARINTS:
        inner = 0
        while inner < size:
            _, inner = varint(part, inner, _VARINTS[field.type])
        if not size:
            raise Bad
    else:
        if not size and not field.is_repeated:
            raise Bad
        if field.type == FieldDescriptor.TYPE_STRING:
            try:
                part.decode()
            except UnicodeDecodeError:
                raise Bad from None
    return at + size


def canonical_by_hand(kind: Descriptor, data: bytes) -> bool:
    try:
        read(kind, data)
    except Bad:
        return False
    return True


def examples() -> list[tuple[str, bytes]]:
    one, other = client(), server()
    first = one.start()
    second, third = split_frames(other.receive(first).output)
    full = handshake_pb2.ClientInit()
    full.ParseFromString(first[8:])
    full.ticket_key_epochs.extend([1, 300])
    full.key_shares.add(handshake_cipher="X", share=b"s")
    full.ticket.key_epoch = 9
    return [
        ("ClientInit", first[8:]),
        ("ClientInit", full.SerializeToString(deterministic=True)),
        ("ServerInit", second[8:]),
        ("ServerFinished", third[8:]),
    ]


EXAMPLES = examples()
BODY_TYPE = certificate_pb2.DESCRIPTOR.message_types_by_name["HandshakeCertificateBody"]
BODY = certificate_pb2.HandshakeCertificate.FromString(FRONTEND.credential.certificate).body


def test_honest_messages_are_canonical_by_hand() -> None:
    for name, data in EXAMPLES:
        assert canonical_by_hand(handshake_pb2.DESCRIPTOR.message_types_by_name[name], data)
    assert canonical_by_hand(BODY_TYPE, BODY)


@st.composite
def mutations(draw: st.DrawFn, source: st.SearchStrategy[bytes]) -> bytes:
    """Bytes changed, cut out, doubled or put in, at up to three places, rather near the beginning."""
    data = bytearray(draw(source))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.one_of(st.integers(0, min(80, len(data))), st.integers(0, len(data))))
        end = at + draw(st.integers(0, 4))
        data[at:end] = draw(st.sampled_from([b"", bytes(data[at:end]) * 2, b"\x00", b"\x80\x00", b"\x78\x01", b"\xff"]))
    return bytes(data)


@pytest.mark.req("TRUST-8", "HS-2")
@settings(max_examples=1500)
@given(st.sampled_from(EXAMPLES), st.data())
@example(EXAMPLES[1], None)
def test_codec_agrees_with_the_hand_written_reader(which: tuple[str, bytes], data: st.DataObject | None) -> None:
    name, honest = which
    mutated = honest if data is None else data.draw(mutations(st.just(honest)))
    by_hand = canonical_by_hand(handshake_pb2.DESCRIPTOR.message_types_by_name[name], mutated)
    message = getattr(handshake_pb2, name)()
    error = None
    try:
        _parse(message, mutated)
    except Refused as refusal:
        error = refusal.error.name
    assert error in (None, "DECODE_ERROR", "UNSUPPORTED_VERSION")
    # A wrong version is told apart before the canonical check.
    assert error == "UNSUPPORTED_VERSION" or by_hand == (error is None)


@pytest.mark.req("CRED-1", "CRED-2")
@settings(max_examples=500)
@given(mutations(st.just(BODY)))
def test_certificate_bodies_agree_with_the_hand_written_reader(mutated: bytes) -> None:
    body = certificate_pb2.HandshakeCertificateBody()
    try:
        body.ParseFromString(mutated)
        canonical = is_canonical(body, mutated)
    except DecodeError:
        canonical = False
    assert canonical == canonical_by_hand(BODY_TYPE, mutated)


@pytest.mark.req("CRED-2")
@given(st.binary(max_size=200))
def test_garbage_is_no_certificate(data: bytes) -> None:
    with pytest.raises(Refused, match="BAD_CERTIFICATE"):
        decode_certificate(data)
