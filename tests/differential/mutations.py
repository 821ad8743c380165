"""Every single-field mutation of a message, found by walking its descriptor: nothing here knows a field by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tests.differential.wire import BYTES, FIXED32, FIXED64, VARINT, WIRE_TYPE, FieldShape, RawField, Shape, read_fields

Mutation = tuple[str, bytes]
Embedded = Mapping[tuple[str, str], Shape]
"""(message, field of type bytes) -> the message in it."""


def varint(number: int, extra: int = 0) -> bytes:
    """A varint with `extra` bytes more than it needs."""
    size = max(1, -(-number.bit_length() // 7)) + extra
    return bytes(number >> 7 * i & 0x7F | (0x80 if i < size - 1 else 0) for i in range(size))


def encode(number: int, wire_type: int, value: bytes, *, key: int = 0, length: int = 0) -> bytes:
    """One field; `key` and `length` are bytes too many in those varints."""
    size = varint(len(value), length) if wire_type == BYTES else b""
    return varint(number << 3 | wire_type, key) + size + value


def mutations(data: bytes, shape: Shape, embedded: Embedded, path: str = "") -> Iterator[Mutation]:
    """Label and bytes of each; none is the message itself, none comes twice."""
    known = {data}
    for label, changed in _mutations(data, shape, embedded, path):
        if changed not in known:
            known.add(changed)
            yield label, changed


def _mutations(data: bytes, shape: Shape, embedded: Embedded, path: str) -> Iterator[Mutation]:
    place = path or shape.name
    yield from _whole(data, place)
    raws = read_fields(data)[0]
    for number, field in sorted(shape.fields.items()):
        name = f"{place}.{field.name}"
        present = [index for index, raw in enumerate(raws) if raw.number == number]
        if not present:
            for label, wire_type, value in _values(field, None):
                yield f"{name} added: {label}", _insert(data, raws, number, encode(number, wire_type, value))
            if field.message is not None:
                added = sample(field.message)
                for label, value in [(f"{name} sample", added), *mutations(added, field.message, embedded, name)]:
                    yield f"added: {label}", _insert(data, raws, number, encode(number, BYTES, value))
        for index in present:
            raw = raws[index]

            def replaced(new: bytes, raw: RawField = raw) -> bytes:
                return data[: raw.start] + new + data[raw.end :]

            suffix = f"[{index - present[0]}]" if len(present) > 1 else ""
            yield from _encodings(data, raws, index, name + suffix, replaced)
            for label, wire_type, value in _values(field, raw.value):
                yield f"{name}{suffix} = {label}", replaced(encode(number, wire_type, value))
            inner = field.message or embedded.get((shape.name, field.name))
            if inner is not None:
                for label, value in mutations(raw.value, inner, embedded, name + suffix):
                    yield label, replaced(encode(number, BYTES, value))


def sample(shape: Shape) -> bytes:
    """A message with every scalar field set to something small."""
    values = {VARINT: b"\x01", FIXED64: b"\x01" + bytes(7), BYTES: b"0123456789abcdef"}
    return b"".join(
        encode(number, WIRE_TYPE[field.kind], values[WIRE_TYPE[field.kind]])
        for number, field in sorted(shape.fields.items())
        if field.message is None
    )


def _whole(data: bytes, place: str) -> Iterator[Mutation]:
    yield f"{place} empty", b""
    yield f"{place} twice", data + data
    yield f"{place} cut by one", data[:-1]
    yield f"{place} cut in half", data[: len(data) // 2]
    for tail in (b"\x00", b"\xff", b"\x08", b"\x07"):
        yield f"{place} + {tail.hex()}", data + tail
    for number in (1000, 2**29 - 1):
        unknown = {
            "varint": encode(number, VARINT, b"\x01"),
            "bytes": encode(number, BYTES, b"hidden"),
            "fixed64": encode(number, FIXED64, bytes(8)),
            "fixed32": encode(number, FIXED32, bytes(4)),
            "group": varint(number << 3 | 3) + b"\x08\x01" + varint(number << 3 | 4),
        }
        for kind, extra in unknown.items():
            yield f"{place} + unknown {kind} {number}", data + extra
            yield f"unknown {kind} {number} + {place}", extra + data
    yield f"{place} + open group", data + varint(1000 << 3 | 3)
    yield f"{place} + end of group", data + varint(1000 << 3 | 4)
    yield f"{place} + field number 0", data + b"\x02\x00"
    yield f"{place} + wire type 6", data + varint(1000 << 3 | 6)
    yield f"{place} + field number too large", data + varint((1 << 29) << 3 | 0) + b"\x01"


def _encodings(
    data: bytes, raws: list[RawField], index: int, name: str, replaced: Callable[[bytes], bytes]
) -> Iterator[Mutation]:
    """The same content in another way, or the field gone, moved, twice, of another type."""
    raw = raws[index]
    whole = data[raw.start : raw.end]
    yield f"{name} dropped", replaced(b"")
    yield f"{name} twice", replaced(whole + whole)
    yield f"{name} again at the end", data + whole
    yield f"{name} moved to the end", replaced(b"") + whole
    yield f"{name} moved to the front", whole + replaced(b"")
    if index + 1 < len(raws):
        after = raws[index + 1]
        yield f"{name} after the next", data[: raw.start] + data[after.start : after.end] + whole + data[after.end :]
    for extra in (1, 5, 9):
        yield f"{name} key + {extra}", replaced(encode(raw.number, raw.wire_type, raw.value, key=extra))
        if raw.wire_type == BYTES:
            yield f"{name} length + {extra}", replaced(encode(raw.number, BYTES, raw.value, length=extra))
        if raw.wire_type == VARINT:
            long = raw.value[:-1] + bytes([raw.value[-1] | 0x80]) + b"\x80" * (extra - 1) + b"\x00"
            yield f"{name} value + {extra}", replaced(encode(raw.number, VARINT, long))
    others = {VARINT: b"\x01", FIXED64: bytes(7) + b"\x01", FIXED32: bytes(3) + b"\x01", BYTES: b"\x01"}
    for wire_type, value in others.items():
        if wire_type != raw.wire_type:
            yield f"{name} as wire type {wire_type}", replaced(encode(raw.number, wire_type, value))
    yield f"{name} as group", replaced(varint(raw.number << 3 | 3) + varint(raw.number << 3 | 4))


def _insert(data: bytes, raws: list[RawField], number: int, new: bytes) -> bytes:
    """In ascending order."""
    at = next((raw.start for raw in raws if raw.number > number), len(data))
    return data[:at] + new + data[at:]


def _values(field: FieldShape, now: bytes | None) -> Iterator[tuple[str, int, bytes]]:
    """Other values of the field, the default among them; `now` None: it is absent."""
    wire_type = WIRE_TYPE[field.kind]
    if wire_type == VARINT and field.repeated:
        for numbers in ((), (0,), (1,), (1, 2), (2, 1), (1, 1), tuple(range(1, 9)), tuple(range(1, 10)), (2**64 - 1,)):
            yield f"packed {numbers}", BYTES, b"".join(map(varint, numbers))
        yield "not packed", VARINT, b"\x01"
        yield "packed, not minimal", BYTES, b"\x81\x00"
        yield "packed, cut off", BYTES, b"\x81"
    elif wire_type == VARINT:
        number = 1 if now is None else sum((byte & 0x7F) << 7 * i for i, byte in enumerate(now))
        bounds = (16383, 16384, 1048576, 1048577, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 2**31, 2**64 - 1)
        for other in sorted({0, 1, 2, 3, 4, 9, number - 1, number + 1, 2**32 + number, *bounds} - {number}):
            if other >= 0:
                yield str(other), VARINT, varint(other)
    elif wire_type == FIXED64:
        number = 1 if now is None else int.from_bytes(now, "little")
        for other in sorted(
            {0, 1, number ^ 1, number ^ 1 << 55, number ^ 1 << 56, number ^ 1 << 63, 2**64 - 1} - {number}
        ):
            yield f"{other:#x}", FIXED64, other.to_bytes(8, "little")
    elif field.kind == "message":
        yield "no fields", BYTES, b""
        yield "garbage", BYTES, b"\xff\xff"
    else:
        yield from ((label, BYTES, value) for label, value in _texts(field, now or b""))


def _texts(field: FieldShape, now: bytes) -> Iterator[tuple[str, bytes]]:
    size = len(now) or 16
    found = {
        "empty": b"",
        "first bit": bytes([now[0] ^ 1]) + now[1:] if now else b"\x01",
        "last bit": now[:-1] + bytes([now[-1] ^ 1]) if now else b"\x02",
        "cut": now[:-1],
        "longer": now + b"x",
        "zeros": bytes(size),
        "4097 bytes": b"x" * 4097,
    }
    if field.kind == "string":
        found |= {
            "newline": now + b"\n",
            "space": now + b" ",
            "slash": now + b"/x",
            "two slashes": b"a//b",
            "dots": now + b"/..",
            "star": b"*",
            "double star": b"**",
            "64 characters": b"x" * 64,
            "65 characters": b"x" * 65,
            "256 characters": b"/".join([b"x" * 63] * 4) + b"x",
            "not ASCII": "\u00e9".encode(),
            "upper case": now.upper(),
            "not UTF-8": b"\xff\xfe",
            "overlong UTF-8": b"\xc0\xaf",
            "surrogate": b"\xed\xa0\x80",
            "NUL": b"x\x00",
        }
    yield from ((label, value) for label, value in found.items() if value != now)
