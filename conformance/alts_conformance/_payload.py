"""The test application's payload format (conformance/DRIVER.md, section "Echo"), as the harness computes it.

Bytes come from a seed on both sides, so no payload crosses a driver's stdio. The drivers carry copies of these few
lines, since they must run without this package; a test holds the copies together.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

#: magic, seed, index of the request, response size, response count.
HEADER = struct.Struct(">4sQIIH")
MAGIC = b"oacp"
SERVICE = "/openalts.conformance.v1.Echo/"


def stream_bytes(seed: int, direction: bytes, index: int, size: int) -> bytes:
    """``size`` bytes of SHAKE-128 over label, seed (u64be), direction (one byte: Q or R) and index (u32be)."""
    label = b"openalts-conformance-payload" + struct.pack(">Q", seed) + direction + struct.pack(">I", index)
    return hashlib.shake_128(label).digest(size)


def make_request(seed: int, index: int, size: int, response_size: int, response_count: int) -> bytes:
    """Request number ``index``: ``size`` bytes in all. Shorter than the header (22 bytes): bytes that are
    simply echoed.
    """
    if size < HEADER.size:
        return stream_bytes(seed, b"Q", index, size)
    head = HEADER.pack(MAGIC, seed, index, response_size, response_count)
    return head + stream_bytes(seed, b"Q", index, size - HEADER.size)


def responses_to(request: bytes) -> list[bytes]:
    """The responses that a request asks for."""
    if len(request) < HEADER.size or request[:4] != MAGIC:
        return [request]
    _, seed, index, size, count = HEADER.unpack_from(request)
    return [stream_bytes(seed, b"R", (index << 12) + number, size) for number in range(count)]


def digest(messages: Iterable[bytes]) -> str:
    """SHA-256 over every message with its length (u32be) in front, in hex."""
    state = hashlib.sha256()
    for message in messages:
        state.update(struct.pack(">I", len(message)))
        state.update(message)
    return state.hexdigest()


def summary_of(count: int, total: int, digest_hex: str) -> bytes:
    """The one response of ``ClientStream``: count (u64be), total bytes (u64be), digest (32 bytes)."""
    return struct.pack(">QQ", count, total) + bytes.fromhex(digest_hex)
