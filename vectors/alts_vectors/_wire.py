"""Protocol Buffers on the wire: just enough to spoil a message in one place. Only for making wrong inputs."""

from __future__ import annotations

VARINT, FIXED64, BYTES = 0, 1, 2

RawField = tuple[int, int, bytes]
"""Field number, wire type, the value's bytes (for BYTES without their length)."""


def varint(value: int, *, extra: int = 0) -> bytes:
    """A varint with `extra` bytes more than it needs."""
    size = max(1, -(-value.bit_length() // 7)) + extra
    return bytes(value >> 7 * i & 0x7F | (0x80 if i < size - 1 else 0) for i in range(size))


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


def fields(data: bytes) -> list[RawField]:
    """Take a well-formed message apart."""
    found, at = list[RawField](), 0
    while at < len(data):
        key, at = _read_varint(data, at)
        start = at
        if key & 7 == VARINT:
            _, at = _read_varint(data, at)
        elif key & 7 == FIXED64:
            at += 8
        else:
            size, start = _read_varint(data, at)
            at = start + size
        found.append((key >> 3, key & 7, data[start:at]))
    return found


def one(number: int, kind: int, value: bytes) -> bytes:
    """One field as bytes."""
    return varint(number << 3 | kind) + (varint(len(value)) if kind == BYTES else b"") + value


def join(parts: list[RawField]) -> bytes:
    """Put fields together, in the order given."""
    return b"".join(one(*part) for part in parts)


def get(data: bytes, number: int) -> bytes:
    """The raw value of the first field of that number."""
    return next(value for have, _, value in fields(data) if have == number)


def drop(data: bytes, number: int) -> bytes:
    """Without the fields of that number."""
    return join([part for part in fields(data) if part[0] != number])


def put(data: bytes, number: int, *values: int | bytes) -> bytes:
    """With these values, and no others, for the field, in ascending order of number."""
    new: list[RawField] = [
        (number, VARINT, varint(value)) if isinstance(value, int) else (number, BYTES, value) for value in values
    ]
    rest = fields(drop(data, number))
    return join([part for part in rest if part[0] < number] + new + [part for part in rest if part[0] > number])


def put_fixed64(data: bytes, number: int, value: int) -> bytes:
    """With this fixed64 for the field."""
    rest = fields(drop(data, number))
    new = [(number, FIXED64, value.to_bytes(8, "little"))]
    return join([part for part in rest if part[0] < number] + new + [part for part in rest if part[0] > number])
