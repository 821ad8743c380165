"""Vectors of X25519 (SPEC 7.2; RFC 7748): edge cases that must work, points of low order that must be refused."""

from __future__ import annotations

from alts_model.primitives import x25519, x25519_public

from ._case import Group, Why, document
from ._files import Json
from ._world import World

P = 2**255 - 19
_ORDER_8 = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
"""The u-coordinates of the points of order 8; their doubles are 1 and -1, of order 4."""

LOW_ORDER: dict[str, int] = {
    "zero": 0,
    "one": 1,
    "order-8-first": _ORDER_8[0],
    "order-8-second": _ORDER_8[1],
    "minus-one": P - 1,
    "p-is-zero": P,
    "p-plus-one-is-one": P + 1,
}


def encode(number: int, *, top_bit: bool = False) -> bytes:
    """A u-coordinate in 32 bytes, little-endian."""
    return (number | (1 << 255 if top_bit else 0)).to_bytes(32, "little")


def generate(seed: str) -> Json:
    """The file `x25519`."""
    world = World(seed)
    private_key = world.derive("x25519 test/frontend")
    good = Group("x25519", "Keys whose result is not zero.")
    points = {
        "usual": (x25519_public(world.derive("x25519 test/backend")), "The honest case."),
        "base-point": (encode(9), "The base point itself: the result is one's own public key."),
        "not-reduced": (encode(P + 2), "2, written as p + 2: RFC 7748 says to reduce, not to refuse."),
        "largest": (encode(2**255 - 1), "The largest 255-bit number, p + 18."),
        "on-the-twist": (encode(2), "A point of the twist: X25519 is secure there too and must not refuse it."),
        "top-bit": (
            bytes([*x25519_public(world.derive("x25519 test/backend"))[:31]])
            + bytes([x25519_public(world.derive("x25519 test/backend"))[31] | 0x80]),
            "The top bit must be ignored: the result is that of the usual case.",
        ),
    }
    for name, (point, reason) in points.items():
        good.add(
            name,
            Why(
                f"public key: {name}",
                reason,
                ("HS-1",),
                ("7.2",),
                ("Honest",) if name == "usual" else ("X25519Edge",),
            ),
            input={"privateKey": private_key.hex(), "publicKey": point.hex()},
            result={"verdict": "valid", "sharedSecret": x25519(private_key, point).hex()},
        )
    bad = Group("x25519_low_order", "Keys whose result is zero: BAD_KEY_SHARE.")
    for name, number in LOW_ORDER.items():
        for top_bit in (False, True):
            point = encode(number, top_bit=top_bit)
            assert not any(x25519(private_key, point)), name
            bad.add(
                name + ("-top-bit" if top_bit else ""),
                Why(
                    f"public key of low order: {name}" + (", top bit set" if top_bit else ""),
                    "The result is zero for every private key; the session would have keys that everybody can compute. "
                    "No proof notices a missing check, since models leave such points out.",
                    ("HS-1",),
                    ("7.2",),
                    ("LowOrderPoint",),
                ),
                input={"privateKey": private_key.hex(), "publicKey": point.hex()},
                result={"verdict": "invalid", "error": "BAD_KEY_SHARE"},
            )
    return document(
        "x25519",
        seed,
        "X25519 as SPEC.md 7.2 uses it: an all-zero result is refused, everything else is as in RFC 7748.",
        [good, bad],
    )
