"""The shared parser against a reader that was written from the encoding alone (SPEC 4.2, 5.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import example, given, settings
from hypothesis import strategies as st

import alts
from alts import _messages as implementation
from alts_model import codec as model
from alts_model.errors import Refused
from alts_schema import certificate_pb2, handshake_pb2
from tests.differential.lockstep import CLIENT, HONEST
from tests.differential.mutations import mutations
from tests.differential.test_mutations import CERTIFICATES
from tests.differential.wire import Malformed, is_canonical, parse, shape_of

Decoder = Callable[[bytes], object]
DECODERS: dict[type[Message], tuple[Decoder, Decoder]] = {
    handshake_pb2.ClientInit: (implementation.decode_client_init, model.decode_client_init),
    handshake_pb2.ServerInit: (implementation.decode_server_init, model.decode_server_init),
    handshake_pb2.ServerFinished: (
        lambda data: implementation.decode_finished(handshake_pb2.ServerFinished, data),
        lambda data: model.decode_finished(data, "server"),
    ),
    handshake_pb2.ClientFinished: (
        lambda data: implementation.decode_finished(handshake_pb2.ClientFinished, data),
        lambda data: model.decode_finished(data, "client"),
    ),
    handshake_pb2.Alert: (implementation.decode_alert, model.decode_alert),
}
HONEST_BYTES: dict[type[Message], bytes] = {
    handshake_pb2.ClientInit: HONEST.client_init[8:],
    handshake_pb2.ServerInit: HONEST.server_init[8:],
    handshake_pb2.ServerFinished: HONEST.server_finished[8:],
    handshake_pb2.ClientFinished: HONEST.client_finished[8:],
    handshake_pb2.Alert: b"\x08\x05",
}
CERTIFICATE_TYPES: dict[type[Message], bytes] = {}
_outer = certificate_pb2.HandshakeCertificate.FromString(CLIENT.certificate)
_master = certificate_pb2.MasterCertificate.FromString(_outer.master)
CERTIFICATE_TYPES[certificate_pb2.HandshakeCertificate] = CLIENT.certificate
CERTIFICATE_TYPES[certificate_pb2.HandshakeCertificateBody] = _outer.body
CERTIFICATE_TYPES[certificate_pb2.MasterCertificate] = _outer.master
CERTIFICATE_TYPES[certificate_pb2.MasterCertificateBody] = _master.body
ALL_TYPES = {**HONEST_BYTES, **CERTIFICATE_TYPES}


def verdict(decode: Decoder, data: bytes) -> str:
    """The error name that a decoder gives, or `accepted`."""
    try:
        decode(data)
    except Refused as refused:
        return refused.error.name
    except alts.PeerViolation as violation:
        return violation.code.name
    return "accepted"


def expected_of_encoding(kind: type[Message], data: bytes) -> str | None:
    """What this reader says about SPEC 5.3's first three steps; None: the bytes pass them."""
    shape = shape_of(kind.DESCRIPTOR)
    try:
        values = parse(data, shape)
    except Malformed:
        return "DECODE_ERROR"
    if "version" in {field.name for field in shape.fields.values()} and values.get("version", 0) != 1:
        return "UNSUPPORTED_VERSION"
    return None if is_canonical(data, shape) else "DECODE_ERROR"


def check(kind: type[Message], data: bytes) -> str | None:
    """Reader, runtime, model and implementation agree; what the reader says."""
    shape = shape_of(kind.DESCRIPTOR)
    expected = expected_of_encoding(kind, data)
    try:
        message = kind.FromString(data)
    except DecodeError:
        with pytest.raises(Malformed):
            parse(data, shape)
    else:
        parse(data, shape)
        message.DiscardUnknownFields()
        assert (message.SerializeToString(deterministic=True) == data) is is_canonical(data, shape)
    if kind in DECODERS:
        for decode in DECODERS[kind]:
            found = verdict(decode, data)
            if expected is not None:
                assert found == expected
            elif kind is not handshake_pb2.Alert or data:  # an alert without a code is a DECODE_ERROR by 5.8
                assert found not in ("DECODE_ERROR", "UNSUPPORTED_VERSION")
    return expected


@pytest.mark.req("TRUST-8", "HS-2", "CRED-1", "CRED-2")
@pytest.mark.parametrize("kind", ALL_TYPES, ids=lambda kind: kind.DESCRIPTOR.name)
def test_every_mutation_is_read_alike(kind: type[Message]) -> None:
    honest = ALL_TYPES[kind]
    assert check(kind, honest) is None
    found = list(mutations(honest, shape_of(kind.DESCRIPTOR), CERTIFICATES if kind in HONEST_BYTES else {}))
    refused = 0
    for label, data in found:
        try:
            refused += check(kind, data) is not None
        except (AssertionError, pytest.fail.Exception, Malformed) as error:
            raise AssertionError(f"{label}: {data[:80].hex()}: {error}") from error
    assert 40 < refused < len(found)


def fields_of(kind: type[Message]) -> st.SearchStrategy[bytes]:
    """Well-formed fields that the type may or may not know, in any order."""
    numbers = st.one_of(st.sampled_from([field.number for field in kind.DESCRIPTOR.fields]), st.integers(1, 2**29 - 1))
    varints = st.integers(0, 2**64 - 1).map(_varint)
    one = st.one_of(
        st.builds(lambda n, v: _varint(n << 3) + v, numbers, varints),
        st.builds(lambda n, v: _varint(n << 3 | 1) + v, numbers, st.binary(min_size=8, max_size=8)),
        st.builds(lambda n, v: _varint(n << 3 | 2) + _varint(len(v)) + v, numbers, st.binary(max_size=12)),
        st.builds(lambda n, v: _varint(n << 3 | 5) + v, numbers, st.binary(min_size=4, max_size=4)),
        st.builds(
            lambda n, v: _varint(n << 3 | 3) + v + _varint(n << 3 | 4), numbers, varints.map(lambda v: b"\x08" + v)
        ),
    )
    return st.lists(one, max_size=5).map(b"".join)


def _varint(number: int) -> bytes:
    size = max(1, -(-number.bit_length() // 7))
    return bytes(number >> 7 * i & 0x7F | (0x80 if i < size - 1 else 0) for i in range(size))


@pytest.mark.req("TRUST-8", "HS-2")
@pytest.mark.parametrize("kind", ALL_TYPES, ids=lambda kind: kind.DESCRIPTOR.name)
def test_any_bytes_are_read_alike(kind: type[Message]) -> None:
    @settings(max_examples=120)
    @given(
        st.one_of(
            st.binary(max_size=40), fields_of(kind), st.builds(bytes.__add__, fields_of(kind), st.binary(max_size=3))
        )
    )
    @example(b"")
    @example(b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")
    @example(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")
    @example(b"\x88\x80\x80\x80\x80\x00\x01")
    def inner(data: bytes) -> None:
        check(kind, data)

    inner()
