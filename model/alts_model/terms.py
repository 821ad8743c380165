"""The term algebra of the symbolic interpretation: frozen, hash-consed terms and their constructors.

Equal terms are one object, so equality is identity. Cryptography is perfect: the only equation is that of
Diffie-Hellman, which `dh` builds in by ordering its two exponents.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, NoReturn


class Term:
    """`op(args)`. Arguments are terms, or, in `name` and `const`, plain hashable values. Made by `make` only."""

    __slots__ = ("args", "depth", "op", "serial", "subterms")

    op: str
    args: tuple[Hashable, ...]
    serial: int
    """Order of creation; it orders the exponents of `dh`."""
    depth: int
    """1 for a term without sub-terms."""
    subterms: tuple[Term, ...]
    """The arguments that are terms."""

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("terms are frozen")

    def __repr__(self) -> str:
        return show(self)


_TABLE: Final[dict[tuple[Hashable, ...], Term]] = {}

PAIRING: Final = frozenset(
    {
        "tuple",
        "ClientInit",
        "ServerInit",
        "Finished",
        "Alert",
        "IssuedTicket",
        "certificate",
        "certificate_body",
        "master",
        "master_body",
        "contents",
        "party",
    }
)
"""Operators that anybody may build and take apart."""

ONE_WAY: Final = frozenset(
    {
        "public",
        "hash",
        "extract",
        "expand",
        "hmac",
        "cut",
        "xor",
        "sign",
        "aead",
        "sealed",
        "kem_public",
        "kem_ciphertext",
        "kem_secret",
        "kem_rejected",
    }
)
"""Operators that anybody may build from their arguments."""


def make(op: str, *args: Hashable) -> Term:
    """The one term with this operator and these arguments."""
    key = (op, *args)
    term = _TABLE.get(key)
    if term is None:
        term = object.__new__(Term)
        subterms = tuple(argument for argument in args if isinstance(argument, Term))
        object.__setattr__(term, "op", op)
        object.__setattr__(term, "args", args)
        object.__setattr__(term, "subterms", subterms)
        object.__setattr__(term, "serial", len(_TABLE))
        object.__setattr__(term, "depth", 1 + max((subterm.depth for subterm in subterms), default=0))
        _TABLE[key] = term
    return term


def name(text: str) -> Term:
    """A fresh value that nobody knows unless told: a nonce, a private key, a payload."""
    return make("name", text)


def const(value: Hashable) -> Term:
    """A value that everybody knows."""
    return make("const", value)


def tuple_of(*parts: Term) -> Term:
    """A tuple."""
    return make("tuple", *parts)


def public(private: Term) -> Term:
    """The public key of a private key (for signatures and for Diffie-Hellman)."""
    return make("public", private)


ZERO: Final = const("zero")
"""What X25519 gives for a point of low order."""

LOW_ORDER_POINT: Final = const("low-order point")


def dh(private: Term, point: Term) -> Term:
    """Diffie-Hellman: `dh(x, public(y))` is `dh(y, public(x))`."""
    if point is LOW_ORDER_POINT:
        return ZERO
    if point.op != "public":
        return make("dh_of_point", private, point)
    other = point.subterms[0]
    return make("dh", *sorted((private, other), key=lambda term: term.serial))


def sign(private: Term, label: str, body: Term) -> Term:
    """A signature over a label and a body."""
    return make("sign", private, const(label), body)


def hash_of(data: Term) -> Term:
    """A hash."""
    return make("hash", data)


def extract(salt: Term, material: Term) -> Term:
    """HKDF-Extract."""
    return make("extract", salt, material)


def expand(prk: Term, info: Term, size: int) -> Term:
    """HKDF-Expand."""
    return make("expand", prk, info, const(size))


def hmac(key: Term, data: Term) -> Term:
    """HMAC."""
    return make("hmac", key, data)


def aead(key: Term, nonce: Term, plaintext: Term) -> Term:
    """Authenticated encryption."""
    return make("aead", key, nonce, plaintext)


def sealed(key: Term, aad: Term, plaintext: Term) -> Term:
    """Authenticated encryption of a ticket: the nonce is fixed, associated data are not."""
    return make("sealed", key, aad, plaintext)


def kem_public(seed: Term) -> Term:
    """The encapsulation key of a seed."""
    return make("kem_public", seed)


def kem_ciphertext(encapsulation_key: Term, randomness: Term) -> Term:
    """What encapsulation sends."""
    return make("kem_ciphertext", encapsulation_key, randomness)


def kem_secret(encapsulation_key: Term, randomness: Term) -> Term:
    """What encapsulation keeps."""
    return make("kem_secret", encapsulation_key, randomness)


def decapsulate(seed: Term, ciphertext: Term) -> Term:
    """The secret that was encapsulated for this seed, else (implicit rejection) one that only its owner can compute."""
    if ciphertext.op == "kem_ciphertext" and ciphertext.subterms[0] is kem_public(seed):
        return kem_secret(*ciphertext.subterms)
    return make("kem_rejected", seed, ciphertext)


def cut(data: Term, start: int, end: int) -> Term:
    """Part of a byte string."""
    return make("cut", data, const(start), const(end))


def xor(left: Term, right: Term) -> Term:
    """Exclusive or of a constant and a mask; no equation is needed, because nobody ever undoes it."""
    return make("xor", left, right)


def show(term: Term) -> str:
    """A term as text, in the notation of the traces."""
    if term.op in ("name", "const"):
        value = term.args[0]
        return value if isinstance(value, str) else repr(value)
    inside = ", ".join(show(argument) if isinstance(argument, Term) else repr(argument) for argument in term.args)
    return f"({inside})" if term.op == "tuple" else f"{term.op}({inside})"
