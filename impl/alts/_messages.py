"""Frames, the four handshake messages and the certificates: bytes in, checked messages out (SPEC 3, 4.2, 5.1 to 5.3).

The protobuf library parses; this module then insists on the canonical encoding and on every rule of syntax that needs
no key, no clock and no configuration. What it raises is a `PeerViolation` with the code that SPEC names.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError

from alts_schema import handshake_pb2 as handshake

from ._contents import Answer, Offer, Presented, RpcVersions, Ticket
from ._errors import ErrorCode, PeerViolation
from ._names import MAX_LIST, NAME
from ._table import Input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

FRAME_HEADER = struct.Struct("<II")
"""length (of type and payload), type; both little-endian (SPEC 3.1)."""
_HEADER_SIZE, _pack_header, _unpack_header = FRAME_HEADER.size, FRAME_HEADER.pack, FRAME_HEADER.unpack_from
LENGTH_FIELD_SIZE = TYPE_FIELD_SIZE = 4
MAX_HANDSHAKE_FRAME = 16384
"""Largest `length` of a frame before OPEN (SPEC 3.3)."""
MIN_FRAME_SIZE, MAX_FRAME_SIZE = 16384, 1048576
"""Bounds of a negotiated `max_frame_size` (SPEC 5.2, REC-3)."""
MAX_CERTIFICATE_SIZE = 8192
NONCE_SIZE = DIGEST_SIZE = AUTHENTICATOR_SIZE = 32
RESUMPTION_ID_SIZE = 16
VERSION = 1
DATA_FRAME = 6
FRAME_TYPES: Mapping[Input, int] = {
    Input.CLIENT_INIT: 16,
    Input.SERVER_INIT: 17,
    Input.SERVER_FINISHED: 18,
    Input.CLIENT_FINISHED: 19,
    Input.ALERT: 31,
    Input.DATA: DATA_FRAME,
}
FRAME_INPUTS: Mapping[int, Input] = {number: symbol for symbol, number in FRAME_TYPES.items()}

X25519_STATIC_SHA256 = "X25519_STATIC_SHA256"
X25519_PFS_SHA256 = "X25519_PFS_SHA256"
X25519_KCI_SHA256 = "X25519_KCI_SHA256"
X25519_MLKEM768_PFS_SHA256 = "X25519_MLKEM768_PFS_SHA256"
ALTSRP_GCM_AES128_REKEY = "ALTSRP_GCM_AES128_REKEY"
X25519_SIZE, MLKEM768_KEY_SIZE, MLKEM768_CIPHERTEXT_SIZE = 32, 1184, 1088
SHARE_SIZES: Mapping[str, tuple[int, int]] = {
    X25519_STATIC_SHA256: (0, 0),
    X25519_PFS_SHA256: (X25519_SIZE, X25519_SIZE),
    X25519_KCI_SHA256: (X25519_SIZE, X25519_SIZE),
    X25519_MLKEM768_PFS_SHA256: (X25519_SIZE + MLKEM768_KEY_SIZE, X25519_SIZE + MLKEM768_CIPHERTEXT_SIZE),
}
"""Bytes of the client's and of the server's key share, by handshake cipher (SPEC 5.2)."""
HANDSHAKE_CIPHERS = tuple(SHARE_SIZES)
"""Every handshake cipher of the profile."""
DEFAULT_HANDSHAKE_CIPHERS = (X25519_STATIC_SHA256,)
"""What an endpoint allows unless configured: the forward secret ones are off by default (HS-10)."""
RECORD_PROTOCOLS = (ALTSRP_GCM_AES128_REKEY,)
"""Record protocols that this version runs; all of them encrypt (SPEC 6.2)."""
_USUAL_NAMES = frozenset({*HANDSHAKE_CIPHERS, *RECORD_PROTOCOLS, "grpc"})  # nearly all that anybody lists

_M = TypeVar("_M", bound="Message")
_T = TypeVar("_T")

_VERSION_AND_NONCE = b"\x08\x01\x12\x20"
"""How a canonical ClientInit or ServerInit begins: version 1, and a nonce of 32 bytes, which follow."""
_AFTER_NONCE = len(_VERSION_AND_NONCE) + NONCE_SIZE
_BARE_FINISHED, _LEAST_TICKET = 2 * (2 + AUTHENTICATOR_SIZE), 24
_MOST_REMEMBERED = 512

_OFFERS: dict[bytes, tuple[bytes, Offer]] = {}
"""By certificate: the last Offer that came with it, encoded and checked. Peers say the same again and again."""
_NOTHING = b"", None
_ANSWERS: dict[bytes, Answer] = {}
"""By encoding: Answers that were checked. Either memory takes only what came from a peer whose Finished was right."""


def encode_frame(symbol: Input, payload: bytes) -> bytes:
    """Return `payload` as one frame of the type of `symbol` (SPEC 3.1)."""
    return _pack_header(TYPE_FIELD_SIZE + len(payload), FRAME_TYPES[symbol]) + payload


def read_handshake_frame(buffer: bytes | bytearray, acceptable: Container[int]) -> tuple[int, bytes, int] | None:
    """Return the first frame of `buffer`: type, payload, size on the wire; None if it is incomplete (SPEC 3.3).

    Args:
        buffer: what has arrived and is not consumed.
        acceptable: types that have a row in the present state.

    Raises:
        PeerViolation: from the length as soon as 4 bytes are there, from the type as soon as 8 are.
    """
    have = len(buffer)
    if have < _HEADER_SIZE:
        if have >= LENGTH_FIELD_SIZE:
            _check_length(int.from_bytes(buffer[:LENGTH_FIELD_SIZE], "little"))
        return None
    length, number = _unpack_header(buffer)
    if number not in acceptable or not TYPE_FIELD_SIZE <= length <= MAX_HANDSHAKE_FRAME:
        _check_length(length)
        raise PeerViolation(
            ErrorCode.UNEXPECTED_MESSAGE, f"frame type {number} ({FRAME_INPUTS.get(number, Input.UNKNOWN)})"
        )
    size = LENGTH_FIELD_SIZE + length
    return (number, bytes(buffer[_HEADER_SIZE:size]), size) if have >= size else None


def _check_length(length: int) -> None:
    if length < TYPE_FIELD_SIZE:
        raise PeerViolation(ErrorCode.DECODE_ERROR, f"frame length {length} has no room for the type")
    if length > MAX_HANDSHAKE_FRAME:
        raise PeerViolation(ErrorCode.FRAME_TOO_LARGE, f"handshake frame of {length} bytes")


def _parse(kind: type[_M], data: bytes, code: ErrorCode) -> _M:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise PeerViolation(code, f"not a {kind.DESCRIPTOR.name}") from None


def _require_canonical(message: Message, data: bytes, code: ErrorCode) -> None:
    """Compare with the one canonical encoding (SPEC 4.2); unknown fields are dropped first, so that they differ."""
    message.DiscardUnknownFields()
    if message.SerializeToString(deterministic=True) != data:
        raise PeerViolation(code, f"{message.DESCRIPTOR.name} is not in canonical encoding")


def _illegal(condition: bool, detail: str) -> None:
    if condition:
        raise PeerViolation(ErrorCode.ILLEGAL_PARAMETER, detail)


def check_names(names: Sequence[str], what: str, code: ErrorCode = ErrorCode.ILLEGAL_PARAMETER) -> None:
    """Check a list of names (SPEC 5.2): 1 to 16 entries, 1 to 64 visible ASCII characters each, none twice."""
    distinct = 1 <= len(names) <= MAX_LIST and len(set(names)) == len(names)
    if not distinct or not (_USUAL_NAMES.issuperset(names) or all(map(NAME.fullmatch, names))):
        raise PeerViolation(code, f"{what} is not a list of 1 to {MAX_LIST} distinct names")


def _rpc_versions(versions: handshake.RpcVersions, present: bool) -> RpcVersions:
    complete = present and versions.HasField("max") and versions.HasField("min")
    _illegal(not complete, "RPC versions are missing")
    low, high = (versions.min.major, versions.min.minor), (versions.max.major, versions.max.minor)
    _illegal(low > high, "RPC version range is empty")
    return low, high


def _ticket(message: handshake.PresentedTicket | handshake.IssuedTicket, lifetime: int = 0) -> Ticket:
    resumption_id, epoch, sealed = message.resumption_id, message.key_epoch, message.ticket
    if len(resumption_id) != RESUMPTION_ID_SIZE or epoch < 1 or not 1 <= len(sealed) <= 4096:
        raise PeerViolation(ErrorCode.ILLEGAL_PARAMETER, "resumption ID, key epoch or size of a ticket")
    return Ticket(resumption_id, epoch, sealed, lifetime)


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer at `at` and where it ends, if it has 4 bytes at most: encode what was read, and compare."""
    value, at = data[at], at + 1
    if value >= 0x80:
        value &= 0x7F
        for shift, byte in zip((7, 14, 21), data[at : at + 3], strict=False):
            value, at = value | (byte & 0x7F) << shift, at + 1
            if byte < 0x80:
                break
    return value, at


def _ticket_at(data: bytes, at: int, *, issued: bool) -> Ticket | None:
    """Read a ticket, the last field of `data`, from its size on; None if it cannot be legal (see `_varint_at`)."""
    if len(data) - at < _LEAST_TICKET:
        return None
    at += 1 if len(data) - at <= 0x80 else 2  # one byte or two for the size of all that is left
    resumption_id, epoch, lifetime, at = data[at + 2 : at + 18], data[at + 19], 0, at + 20
    if epoch >= 0x80:
        epoch, at = _varint_at(data, at - 1)
    if issued and at + 1 < len(data):
        lifetime, at = _varint_at(data, at + 1)
    ticket = data[at + (2 if len(data) - at <= 0x81 else 3) :]  # after its tag, and one byte or two for its size
    legal = epoch >= 1 and issued <= lifetime <= 86400 and 1 <= len(ticket) <= 4096
    return Ticket(resumption_id, epoch, ticket, lifetime) if legal else None


def remember(memory: dict[bytes, _T], fields: bytes, meaning: _T) -> None:
    """Keep what `fields` mean in a bounded memory; only for what an authenticated peer sent (SPEC 11.1)."""
    if len(memory) >= _MOST_REMEMBERED and fields not in memory:
        memory.clear()
    memory[fields] = meaning


def decode_client_init(data: bytes) -> tuple[Offer, Ticket | None]:
    """Decode a ClientInit payload and check its syntax (SPEC 5.2, 5.3; HS-3)."""
    return _known_client_init(data) or _new_client_init(data)


def _known_client_init(data: bytes) -> tuple[Offer, Ticket | None] | None:
    """Decode a ClientInit that is that of a known client again, but for nonce and ticket; None: it is not.

    It is read as if it were, encoded again, and compared: what is equal is canonical.
    """
    if len(data) <= _AFTER_NONCE + 1:
        return None
    size, at = _varint_at(data, _AFTER_NONCE + 1)
    known = _OFFERS.get(data[at : at + size])  # the certificate, the first field after the nonce
    if known is None or not (data.startswith(_VERSION_AND_NONCE) and data.startswith(known[0], _AFTER_NONCE)):
        return None
    at = _AFTER_NONCE + len(known[0])
    if at == len(data):
        return known[1], None
    ticket = _ticket_at(data, at + 1, issued=False)
    return (known[1], ticket) if ticket and encode_bytes(12, _presented(*ticket[:3])) == data[at:] else None


def _new_client_init(data: bytes) -> tuple[Offer, Ticket | None]:
    message = _parse(handshake.ClientInit, data, ErrorCode.DECODE_ERROR)
    if message.version != VERSION:
        raise PeerViolation(ErrorCode.UNSUPPORTED_VERSION, f"version {message.version}")
    _require_canonical(message, data, ErrorCode.DECODE_ERROR)
    _illegal(len(message.nonce) != NONCE_SIZE, "nonce is not 32 bytes")
    ticket = _ticket(message.ticket) if message.HasField("ticket") else None
    return _offer(message), ticket


def remember_client_init(data: bytes, offer: Offer, ticket: Ticket | None) -> None:
    """Keep what `decode_client_init` made of `data`, once its sender is authenticated (SPEC 11.1)."""
    if not offer.key_shares and _OFFERS.get(offer.certificate, _NOTHING)[1] is not offer:
        end = -len(encode_bytes(12, _presented(*ticket[:3]))) if ticket else None
        remember(_OFFERS, offer.certificate, (data[_AFTER_NONCE:end], offer))


def _offer(message: handshake.ClientInit) -> Offer:
    """Check what is left of a canonical ClientInit: everything but version, nonce and ticket."""
    check_names(message.handshake_ciphers, "handshake_ciphers")
    check_names(message.record_protocols, "record_protocols")
    check_names(message.application_protocols, "application_protocols")
    given = {entry.handshake_cipher: entry.share for entry in message.key_shares}
    repeated = len(given) != len(message.key_shares)
    _illegal(repeated or len(given) > MAX_LIST, "too many or repeated key shares")
    _illegal(not set(given) <= set(message.handshake_ciphers), "key share for a cipher that is not offered")
    _illegal(any(not 1 <= len(share) <= 2048 for share in given.values()), "key share size")
    for name in message.handshake_ciphers:
        size = SHARE_SIZES.get(name)
        _illegal(size is not None and len(given.get(name, b"")) != size[0], f"key share of {name}")
    rpc_versions = _rpc_versions(message.rpc_versions, message.HasField("rpc_versions"))
    _illegal(not MIN_FRAME_SIZE <= message.max_frame_size <= MAX_FRAME_SIZE, "max_frame_size")
    _illegal(len(message.resumption_id) not in (0, RESUMPTION_ID_SIZE), "resumption ID is not 16 bytes")
    epochs = tuple(message.ticket_key_epochs)
    _illegal(len(epochs) > 8 or epochs != tuple(sorted(set(epochs))), "ticket key epochs")
    _illegal(bool(epochs) and not message.resumption_id, "ticket key epochs without a resumption ID")
    return Offer(
        message.certificate,
        tuple(message.handshake_ciphers),
        tuple(message.record_protocols),
        given,
        tuple(message.application_protocols),
        rpc_versions,
        message.max_frame_size,
        message.resumption_id,
        epochs,
    )


def decode_server_init(data: bytes) -> Answer:
    """Decode a ServerInit payload and check its syntax (SPEC 5.2, 5.3; HS-6)."""
    fields = data[_AFTER_NONCE:] if data.startswith(_VERSION_AND_NONCE) and len(data) >= _AFTER_NONCE else b""
    return _ANSWERS.get(fields) or _answer(data)  # canonical up to the nonce, which may be any, and known from there on


def remember_server_init(data: bytes, answer: Answer) -> None:
    """Keep what `decode_server_init` made of `data`, once its sender is authenticated (SPEC 11.1)."""
    if not answer.key_share and answer.ticket is None:
        remember(_ANSWERS, data[_AFTER_NONCE:], answer)


def _answer(data: bytes) -> Answer:
    message = _parse(handshake.ServerInit, data, ErrorCode.DECODE_ERROR)
    if message.version != VERSION:
        raise PeerViolation(ErrorCode.UNSUPPORTED_VERSION, f"version {message.version}")
    _require_canonical(message, data, ErrorCode.DECODE_ERROR)
    _illegal(len(message.nonce) != NONCE_SIZE, "nonce is not 32 bytes")
    rpc_versions = _rpc_versions(message.rpc_versions, message.HasField("rpc_versions"))
    _illegal(not MIN_FRAME_SIZE <= message.max_frame_size <= MAX_FRAME_SIZE, "max_frame_size")
    return Answer(
        message.mode,
        message.certificate,
        message.handshake_cipher,
        message.record_protocol,
        message.application_protocol,
        rpc_versions,
        message.max_frame_size,
        message.key_share,
        _ticket(message.ticket) if message.HasField("ticket") else None,
    )


def decode_finished(
    kind: type[handshake.ServerFinished | handshake.ClientFinished], data: bytes
) -> tuple[bytes, bytes, Ticket | None]:
    """Decode a ServerFinished or ClientFinished payload and check its syntax (SPEC 5.2, 5.3; HS-7, HS-9).

    Returns:
        authenticator and ticket authenticator, 32 bytes each, and the ticket, if there is one.
    """
    authenticator, ticket_authenticator = data[2:34], data[36:68]  # read as usual, encoded, and compared
    ticket = _ticket_at(data, 69, issued=True) if len(data) > _BARE_FINISHED else None
    if len(data) >= _BARE_FINISHED and encode_finished(authenticator, ticket_authenticator, ticket) == data:
        return authenticator, ticket_authenticator, ticket
    message = _parse(kind, data, ErrorCode.DECODE_ERROR)
    _require_canonical(message, data, ErrorCode.DECODE_ERROR)
    authenticator, ticket_authenticator, ticket = message.authenticator, message.ticket_authenticator, None
    if len(authenticator) != AUTHENTICATOR_SIZE or len(ticket_authenticator) != AUTHENTICATOR_SIZE:
        raise PeerViolation(ErrorCode.ILLEGAL_PARAMETER, "an authenticator is not 32 bytes")
    if message.HasField("ticket"):
        issued = message.ticket
        ticket = _ticket(issued, issued.lifetime_seconds)
        if not 1 <= ticket.lifetime_seconds <= 86400:
            raise PeerViolation(ErrorCode.ILLEGAL_PARAMETER, "ticket lifetime")
    return authenticator, ticket_authenticator, ticket


def decode_alert(data: bytes) -> int:
    """Decode an alert and return its code, which is not 0 but may be unknown to this version (SPEC 5.8)."""
    message = _parse(handshake.Alert, data, ErrorCode.DECODE_ERROR)
    _require_canonical(message, data, ErrorCode.DECODE_ERROR)
    if message.code == 0:
        raise PeerViolation(ErrorCode.DECODE_ERROR, "alert without a code")
    return message.code


def decode_credential(kind: type[_M], data: bytes) -> _M:
    """Decode a certificate or certificate body, canonical encoding required (SPEC 4.2); raises BAD_CERTIFICATE."""
    message = _parse(kind, data, ErrorCode.BAD_CERTIFICATE)
    _require_canonical(message, data, ErrorCode.BAD_CERTIFICATE)
    return message


# -- encoding: messages are put together from fields, the constant ones of which the library encoded once --------------


@functools.lru_cache(maxsize=1024)
def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_INTEGER_TAGS, _BYTES_TAGS = ([bytes((number << 3 | kind,)) for number in range(16)] for kind in (0, 2))


def encode_bytes(number: int, value: bytes) -> bytes:
    """Return field `number` (1 to 15) with bytes, a string in UTF-8, or an encoded message; nothing if it is empty."""
    return _BYTES_TAGS[number] + _varint(len(value)) + value if value else b""


def encode_integer(number: int, value: int) -> bytes:
    """Return field `number` (1 to 15) with an unsigned integer; nothing if it is 0."""
    return _INTEGER_TAGS[number] + _varint(value) if value else b""


def encode_client_init(
    fields: tuple[bytes, bytes], nonce: bytes, shares: Mapping[str, bytes], resumption: bytes, ticket: Presented | None
) -> bytes:
    """Return a ClientInit payload (HS-3).

    Args:
        fields: what every ClientInit of this endpoint has before and after its key shares, encoded.
        nonce: 32 bytes.
        shares: key share by handshake cipher, in order of preference.
        resumption: what it says about the own resumption keys, encoded.
        ticket: that is presented.
    """
    key_shares = b""
    if shares:
        entries = [handshake.KeyShare(handshake_cipher=cipher, share=share) for cipher, share in shares.items()]
        key_shares = handshake.ClientInit(key_shares=entries).SerializeToString(deterministic=True)
    presented = b"" if ticket is None else encode_bytes(12, _presented(*ticket))
    return b"".join((_VERSION_AND_NONCE, nonce, fields[0], key_shares, fields[1], resumption, presented))


def encodable(versions: RpcVersions) -> handshake.RpcVersions:
    """Return a range as messages have it."""
    low, high = (handshake.Version(major=major, minor=minor) for major, minor in versions)
    return handshake.RpcVersions(max=high, min=low)


def _presented(resumption_id: bytes, epoch: int, sealed: bytes) -> bytes:
    parts = b"\x0a\x10", resumption_id, b"\x10", _varint(epoch), b"\x1a", _varint(len(sealed)), sealed
    return b"".join(parts)


@functools.lru_cache(maxsize=256)
def answer_fields(cipher: str, record: str, application: str, rpc_versions: RpcVersions, frame_size: int) -> bytes:
    """Return what the server chose, and its RPC versions, as encoded in ServerInit."""
    message = handshake.ServerInit(
        handshake_cipher=cipher,
        record_protocol=record,
        application_protocol=application,
        rpc_versions=encodable(rpc_versions),
        max_frame_size=frame_size,
    )
    return message.SerializeToString(deterministic=True)


def encode_server_init(
    nonce: bytes, mode: int, certificate: bytes, fields: bytes, key_share: bytes, ticket: Presented | None
) -> bytes:
    """Return a ServerInit payload (HS-6); `fields` are `answer_fields`, the others as in the message."""
    return b"".join(
        (
            _VERSION_AND_NONCE,
            nonce,
            encode_integer(3, mode),
            encode_bytes(4, certificate) if certificate else b"",
            fields,
            encode_bytes(10, key_share) if key_share else b"",
            encode_bytes(11, _presented(*ticket)) if ticket else b"",
        )
    )


def encode_finished(authenticator: bytes, ticket_authenticator: bytes, ticket: Ticket | None) -> bytes:
    """Return a ServerFinished or ClientFinished payload (HS-7, HS-9); the two are encoded alike."""
    if ticket is None:
        return b"\x0a\x20" + authenticator + b"\x12\x20" + ticket_authenticator
    resumption_id, epoch, sealed, lifetime = ticket
    numbers = b"\x10" + _varint(epoch) + b"\x18" + _varint(lifetime) + b"\x22" + _varint(len(sealed))
    size = _varint(2 + RESUMPTION_ID_SIZE + len(numbers) + len(sealed))
    head = b"\x0a\x20", authenticator, b"\x12\x20", ticket_authenticator, b"\x1a", size
    return b"".join((*head, b"\x0a\x10", resumption_id, numbers, sealed))
