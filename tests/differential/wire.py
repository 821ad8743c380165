"""A reader of Protocol Buffers written from the description of the encoding alone; no protobuf runtime runs in it.

Model and implementation share one parser; this one checks it. Message shapes come in as plain tables (`shape_of` takes
them from descriptors, which are data of the schema). `parse` reads what any receiver must be able to read;
`is_canonical` is the rule of SPEC 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = range(6)
Kind = Literal["uint32", "uint64", "enum", "fixed64", "bytes", "string", "message"]
WIRE_TYPE: Mapping[Kind, int] = {
    "uint32": VARINT,
    "uint64": VARINT,
    "enum": VARINT,
    "fixed64": FIXED64,
    "bytes": BYTES,
    "string": BYTES,
    "message": BYTES,
}
MAX_DEPTH = 100


class Malformed(ValueError):
    """The bytes are no message."""


@dataclass(frozen=True)
class FieldShape:
    """One field: its kind, whether it is repeated, and the shape of the message in it."""

    name: str
    kind: Kind
    repeated: bool
    message: Shape | None = None


@dataclass(frozen=True)
class Shape:
    """Fields by number."""

    name: str
    fields: Mapping[int, FieldShape]


_KINDS: Mapping[int, Kind] = {
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_FIXED64: "fixed64",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_MESSAGE: "message",
}


@cache
def shape_of(descriptor: Descriptor) -> Shape:
    """The table of a message type. A kind of field that this reader does not know is a KeyError."""
    return Shape(
        descriptor.name,
        {
            field.number: FieldShape(
                field.name,
                _KINDS[field.type],
                field.is_repeated,
                None if field.message_type is None else shape_of(field.message_type),
            )
            for field in descriptor.fields
        },
    )


class RawField(NamedTuple):
    """One field as it stands on the wire: `start:end` is all of it, `value` its content without key and length."""

    number: int
    wire_type: int
    value: bytes
    start: int
    end: int
    minimal: bool
    """Key and length, and the value of a varint, have no byte too many."""


def read_varint(data: bytes, at: int, longest: int = 10) -> tuple[int, int, bool]:
    """Value (64 bits; what is beyond is lost), end, and whether it is minimal. Keys and lengths: at most five bytes."""
    value = 0
    for index in range(longest):
        if at + index >= len(data):
            raise Malformed("a varint is cut off")
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            fits = value < 1 << 64
            return value & (1 << 64) - 1, at + index + 1, fits and (index == 0 or byte != 0)
    raise Malformed("a varint of too many bytes")


def read_fields(data: bytes, at: int = 0, group: int | None = None, depth: int = 0) -> tuple[list[RawField], int]:
    """The fields of a message, or of a group up to its end; and where that is."""
    found: list[RawField] = []
    while at < len(data):
        start = at
        key, at, minimal = read_varint(data, at, 5)
        number, wire_type = key >> 3, key & 7
        if key > 0xFFFFFFFF or not 1 <= number < 1 << 29:
            raise Malformed("a field number out of range")
        if wire_type == END_GROUP:
            if number != group:
                raise Malformed("the end of a group that did not begin")
            return found, at
        value_at = at
        if wire_type == VARINT:
            _, at, value_minimal = read_varint(data, at)
            minimal &= value_minimal
        elif wire_type in (FIXED64, FIXED32):
            at += 8 if wire_type == FIXED64 else 4
        elif wire_type == BYTES:
            size, value_at, size_minimal = read_varint(data, at, 5)
            minimal &= size_minimal
            at = value_at + size
        elif wire_type == GROUP:
            if depth >= MAX_DEPTH:
                raise Malformed("groups too deep")
            _, at = read_fields(data, at, number, depth + 1)
        else:
            raise Malformed(f"wire type {wire_type}")
        if at > len(data):
            raise Malformed("a field is cut off")
        found.append(RawField(number, wire_type, data[value_at:at], start, at, minimal))
    if group is not None:
        raise Malformed("a group does not end")
    return found, at


def parse(data: bytes, shape: Shape, depth: int = 0) -> dict[str, Any]:
    """What a receiver reads: the last value of a singular field, fields of another wire type and unknown ones ignored.

    Integers are cut to their width. Messages in singular fields that come twice are merged, as the encoding demands.

    Raises:
        Malformed: the bytes are no message of this shape.
    """
    values: dict[str, Any] = {}
    for raw in read_fields(data)[0]:
        field = shape.fields.get(raw.number)
        if field is None:
            continue
        if raw.wire_type == BYTES and field.repeated and WIRE_TYPE[field.kind] == VARINT:
            at = 0
            while at < len(raw.value):
                number, at, _ = read_varint(raw.value, at)
                values.setdefault(field.name, []).append(_cut(field.kind, number))
        elif raw.wire_type == WIRE_TYPE[field.kind]:
            value = _value(field, raw, depth)
            if field.repeated:
                values.setdefault(field.name, []).append(value)
            elif field.kind == "message" and field.name in values:
                values[field.name] = {**values[field.name], **value}
            else:
                values[field.name] = value
    return values


def _value(field: FieldShape, raw: RawField, depth: int) -> Any:
    if WIRE_TYPE[field.kind] == VARINT:
        return _cut(field.kind, read_varint(raw.value, 0)[0])
    if field.kind == "fixed64":
        return int.from_bytes(raw.value, "little")
    if field.kind == "string":
        return _utf8(raw.value)
    if field.message is not None:
        if depth >= MAX_DEPTH:
            raise Malformed("messages too deep")
        return parse(raw.value, field.message, depth + 1)
    return raw.value


def _cut(kind: Kind, number: int) -> int:
    if kind == "uint64":
        return number
    number &= 0xFFFFFFFF
    return number - (1 << 32) if kind == "enum" and number >> 31 else number


def _utf8(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("a string is not UTF-8") from None


def is_canonical(data: bytes, shape: Shape) -> bool:
    """SPEC 4.2, rule by rule; False for what is no message at all."""
    try:
        fields, _ = read_fields(data)
        return (
            all(raw.minimal for raw in fields) and _in_order(fields, shape) and all(_fits(raw, shape) for raw in fields)
        )
    except Malformed:
        return False


def _in_order(fields: list[RawField], shape: Shape) -> bool:
    """Ascending; the same number again only where it is repeated and not packed."""
    for before, after in pairwise(fields):
        field = shape.fields.get(after.number)
        again = field is not None and field.repeated and WIRE_TYPE[field.kind] == BYTES
        if not (before.number < after.number or (before.number == after.number and again)):
            return False
    return True


def _fits(raw: RawField, shape: Shape) -> bool:
    """One field: known, of its own wire type, in range, not the default."""
    field = shape.fields.get(raw.number)
    if field is None:
        return False
    if field.repeated and WIRE_TYPE[field.kind] == VARINT:
        return raw.wire_type == BYTES and raw.value != b"" and _packed(field.kind, raw.value)
    if raw.wire_type != WIRE_TYPE[field.kind]:
        return False
    if raw.wire_type == VARINT:
        number = read_varint(raw.value, 0)[0]
        return number != 0 and _in_range(field.kind, number)
    if raw.wire_type == FIXED64:
        return any(raw.value)
    if field.message is not None:
        return is_canonical(raw.value, field.message)
    if field.kind == "string":
        _utf8(raw.value)
    return field.repeated or raw.value != b""


def _packed(kind: Kind, value: bytes) -> bool:
    at = 0
    while at < len(value):
        number, at, minimal = read_varint(value, at)
        if not minimal or not _in_range(kind, number):
            return False
    return True


def _in_range(kind: Kind, number: int) -> bool:
    """An enum is a signed 32-bit number; a negative one is written with 64 bits."""
    if kind == "uint32":
        return number < 1 << 32
    return kind != "enum" or number < 1 << 31 or number >= (1 << 64) - (1 << 31)
