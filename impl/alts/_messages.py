"""Frames, the four handshake messages and the certificates: bytes in, checked messages out (SPEC 3, 4.2, 5.1 to 5.3).

The protobuf library parses; this module then insists on the canonical encoding and on every rule of syntax that needs
no key, no clock and no configuration. What it raises is a `PeerViolation` with the code that SPEC names.
"""

from __future__ import annotations

import functools
import re
import struct
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from alts_schema import handshake_pb2 as handshake

from ._errors import ErrorCode, PeerViolation
from ._table import Input

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.message import Message


FRAME_HEADER = struct.Struct("<II")
"""length (of type and payload), type; both little-endian (SPEC 3.1)."""
LENGTH_FIELD_SIZE = 4
TYPE_FIELD_SIZE = 4
MAX_HANDSHAKE_FRAME = 16384
"""Largest `length` of a frame before OPEN (SPEC 3.3)."""
MIN_FRAME_SIZE, MAX_FRAME_SIZE = 16384, 1048576
"""Bounds of a negotiated `max_frame_size` (SPEC 5.2, REC-3)."""
MAX_CERTIFICATE_SIZE = 8192
NONCE_SIZE = DIGEST_SIZE = AUTHENTICATOR_SIZE = 32
RESUMPTION_ID_SIZE = 16
MAX_LIST = 16
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

SEGMENT = r"(?!\.\.?(?:/|\Z))[A-Za-z0-9._@-]{1,63}"
IDENTITY = re.compile(rf"(?=.{{1,255}}\Z){SEGMENT}(?:/{SEGMENT}){{0,7}}", re.ASCII)
"""An identity (SPEC 4.3); use `fullmatch`."""
PATTERN = re.compile(rf"(?=.{{1,255}}\Z)(?:(?:{SEGMENT}|\*)/){{0,7}}(?:{SEGMENT}|\*\*?)", re.ASCII)
"""An identity pattern (SPEC 4.4); use `fullmatch`."""
BOUNDARY = re.compile(rf"(?:{SEGMENT})?", re.ASCII)
"""A boundary (SPEC 4.7); use `fullmatch`."""
NAME = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)
"""An entry of a list (SPEC 5.2); use `fullmatch`."""

_M = TypeVar("_M", bound="Message")


class Frame(NamedTuple):
    """A complete handshake-phase frame: its input symbol, its payload, and its size on the wire."""

    symbol: Input
    payload: bytes
    size: int


def encode_frame(symbol: Input, payload: bytes) -> bytes:
    """Return `payload` as one frame of the type of `symbol` (SPEC 3.1)."""
    return FRAME_HEADER.pack(TYPE_FIELD_SIZE + len(payload), FRAME_TYPES[symbol]) + payload


def read_handshake_frame(buffer: bytes | bytearray, acceptable: frozenset[Input]) -> Frame | None:
    """Return the first frame of `buffer`, or None if it is still incomplete (SPEC 3.3).

    Args:
        buffer: what has arrived and is not consumed.
        acceptable: symbols that have a row in the present state.

    Raises:
        PeerViolation: from the length as soon as 4 bytes are there, from the type as soon as 8 are.
    """
    if len(buffer) < LENGTH_FIELD_SIZE:
        return None
    length = int.from_bytes(buffer[:LENGTH_FIELD_SIZE], "little")
    if length < TYPE_FIELD_SIZE:
        raise PeerViolation(ErrorCode.DECODE_ERROR, f"frame length {length} has no room for the type")
    if length > MAX_HANDSHAKE_FRAME:
        raise PeerViolation(ErrorCode.FRAME_TOO_LARGE, f"handshake frame of {length} bytes")
    if len(buffer) < FRAME_HEADER.size:
        return None
    number = int.from_bytes(buffer[LENGTH_FIELD_SIZE : FRAME_HEADER.size], "little")
    symbol = FRAME_INPUTS.get(number, Input.UNKNOWN)
    if symbol not in acceptable:
        raise PeerViolation(ErrorCode.UNEXPECTED_MESSAGE, f"frame type {number} ({symbol})")
    size = LENGTH_FIELD_SIZE + length
    if len(buffer) < size:
        return None
    return Frame(symbol, bytes(buffer[FRAME_HEADER.size : size]), size)


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
    if not 1 <= len(names) <= MAX_LIST or not _are_names(tuple(names)):
        raise PeerViolation(code, f"{what} is not a list of 1 to {MAX_LIST} distinct names")


@functools.lru_cache(maxsize=256)  # pure; peers send the same few lists all the time
def _are_names(names: tuple[str, ...]) -> bool:
    return len(set(names)) == len(names) and all(map(NAME.fullmatch, names))


def _check_rpc_versions(versions: handshake.RpcVersions, present: bool) -> None:
    complete = present and versions.HasField("max") and versions.HasField("min")
    _illegal(not complete, "RPC versions are missing")
    low, high = (versions.min.major, versions.min.minor), (versions.max.major, versions.max.minor)
    _illegal(low > high, "RPC version range is empty")


def _check_ticket(ticket: handshake.PresentedTicket | handshake.IssuedTicket) -> None:
    _illegal(len(ticket.resumption_id) != RESUMPTION_ID_SIZE, "resumption ID of a ticket is not 16 bytes")
    _illegal(ticket.key_epoch < 1, "key epoch of a ticket is 0")
    _illegal(not 1 <= len(ticket.ticket) <= 4096, "ticket size")
    if isinstance(ticket, handshake.IssuedTicket):
        _illegal(not 1 <= ticket.lifetime_seconds <= 86400, "ticket lifetime")


def decode_client_init(data: bytes) -> handshake.ClientInit:
    """Decode a ClientInit payload and check its syntax (SPEC 5.2, 5.3; HS-3)."""
    message = _parse(handshake.ClientInit, data, ErrorCode.DECODE_ERROR)
    if message.version != VERSION:
        raise PeerViolation(ErrorCode.UNSUPPORTED_VERSION, f"version {message.version}")
    _require_canonical(message, data, ErrorCode.DECODE_ERROR)
    _illegal(len(message.nonce) != NONCE_SIZE, "nonce is not 32 bytes")
    check_names(message.handshake_ciphers, "handshake_ciphers")
    check_names(message.record_protocols, "record_protocols")
    check_names(message.application_protocols, "application_protocols")
    shares = [entry.handshake_cipher for entry in message.key_shares]
    _illegal(len(shares) > MAX_LIST or len(set(shares)) != len(shares), "too many or repeated key shares")
    _illegal(not set(shares) <= set(message.handshake_ciphers), "key share for a cipher that is not offered")
    _illegal(any(not 1 <= len(entry.share) <= 2048 for entry in message.key_shares), "key share size")
    given = {entry.handshake_cipher: len(entry.share) for entry in message.key_shares}
    for name in message.handshake_ciphers:
        size = SHARE_SIZES.get(name)
        _illegal(size is not None and given.get(name, 0) != size[0], f"key share of {name}")
    _check_rpc_versions(message.rpc_versions, message.HasField("rpc_versions"))
    _illegal(not MIN_FRAME_SIZE <= message.max_frame_size <= MAX_FRAME_SIZE, "max_frame_size")
    _illegal(len(message.resumption_id) not in (0, RESUMPTION_ID_SIZE), "resumption ID is not 16 bytes")
    epochs = list(message.ticket_key_epochs)
    _illegal(len(epochs) > 8 or epochs != sorted(set(epochs)), "ticket key epochs")
    _illegal(bool(epochs) and not message.resumption_id, "ticket key epochs without a resumption ID")
    if message.HasField("ticket"):
        _check_ticket(message.ticket)
    return message


def decode_server_init(data: bytes) -> handshake.ServerInit:
    """Decode a ServerInit payload and check its syntax (SPEC 5.2, 5.3; HS-6)."""
    message = _parse(handshake.ServerInit, data, ErrorCode.DECODE_ERROR)
    if message.version != VERSION:
        raise PeerViolation(ErrorCode.UNSUPPORTED_VERSION, f"version {message.version}")
    _require_canonical(message, data, ErrorCode.DECODE_ERROR)
    _illegal(len(message.nonce) != NONCE_SIZE, "nonce is not 32 bytes")
    _check_rpc_versions(message.rpc_versions, message.HasField("rpc_versions"))
    _illegal(not MIN_FRAME_SIZE <= message.max_frame_size <= MAX_FRAME_SIZE, "max_frame_size")
    if message.HasField("ticket"):
        _check_ticket(message.ticket)
    return message


_F = TypeVar("_F", handshake.ServerFinished, handshake.ClientFinished)


def decode_finished(kind: type[_F], data: bytes) -> _F:
    """Decode a ServerFinished or ClientFinished payload and check its syntax (SPEC 5.2, 5.3; HS-7, HS-9)."""
    message = _parse(kind, data, ErrorCode.DECODE_ERROR)
    _require_canonical(message, data, ErrorCode.DECODE_ERROR)
    _illegal(len(message.authenticator) != AUTHENTICATOR_SIZE, "authenticator is not 32 bytes")
    _illegal(len(message.ticket_authenticator) != AUTHENTICATOR_SIZE, "ticket authenticator is not 32 bytes")
    if message.HasField("ticket"):
        _check_ticket(message.ticket)
    return message


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
