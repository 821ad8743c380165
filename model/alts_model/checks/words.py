"""Counters and bytes for symbolic runs: what Python does with ints and bytes, over z3 bit-vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import z3

from alts_model.checks.execution import Truth

WIDTH = 80
"""Bits of a counter here: enough for every frame number, the limit 2^64, and what lies beyond."""


def word(value: object) -> Any:
    """The z3 term of a counter or an int."""
    return value.term if isinstance(value, Counter) else z3.BitVecVal(int(str(value)), WIDTH)


class Counter:
    """A number from 0 to 2^80 - 1. Sums that would pass that end the run with OverflowError; nothing wraps unseen."""

    __slots__ = ("term",)

    def __init__(self, term: Any) -> None:
        self.term = term

    def __eq__(self, other: object) -> Any:
        return Truth(self.term == word(other))

    def __ne__(self, other: object) -> Any:
        return Truth(self.term != word(other))

    def __lt__(self, other: Any) -> Any:
        return Truth(z3.ULT(self.term, word(other)))

    def __le__(self, other: Any) -> Any:
        return Truth(z3.ULE(self.term, word(other)))

    def __gt__(self, other: Any) -> Any:
        return Truth(z3.UGT(self.term, word(other)))

    def __ge__(self, other: Any) -> Any:
        return Truth(z3.UGE(self.term, word(other)))

    def __add__(self, other: Any) -> Counter:
        if not Truth(z3.BVAddNoOverflow(self.term, word(other), False)):
            raise OverflowError
        return Counter(self.term + word(other))

    def __sub__(self, other: Any) -> Counter:
        if not Truth(z3.BVSubNoUnderflow(self.term, word(other), False)):
            raise OverflowError
        return Counter(self.term - word(other))

    def __mod__(self, other: Any) -> Counter:
        return Counter(z3.URem(self.term, word(other)))

    def to_bytes(self, size: int, order: str) -> Octets:
        """As int.to_bytes: OverflowError if it does not fit."""
        if not Truth(z3.ULT(self.term, word(1 << (8 * size)))):
            raise OverflowError
        octets = [z3.Extract(8 * at + 7, 8 * at, self.term) for at in range(size)]
        return Octets(octets if order == "little" else octets[::-1])


def counter(name: str) -> Counter:
    """A free counter."""
    return Counter(z3.BitVec(name, WIDTH))


class Octet:
    """One byte."""

    __slots__ = ("term",)

    def __init__(self, term: Any) -> None:
        self.term = term

    def __xor__(self, other: Any) -> Octet:
        return Octet(self.term ^ _octet(other))

    __rxor__ = __xor__


def _octet(value: object) -> Any:
    if isinstance(value, Octet):
        return value.term
    return z3.BitVecVal(value, 8) if isinstance(value, int) else value


class Octets:
    """Bytes, of a length that is known."""

    __slots__ = ("terms",)

    def __init__(self, values: Iterable[object]) -> None:
        self.terms = [_octet(value) for value in values]

    def __len__(self) -> int:
        return len(self.terms)

    def __iter__(self) -> Iterator[Octet]:
        return map(Octet, self.terms)

    def __getitem__(self, where: slice) -> Octets:
        return Octets(self.terms[where])

    def __add__(self, other: Iterable[object]) -> Octets:
        return Octets([*self.terms, *Octets(other).terms])

    def is_equal(self, other: Octets) -> Any:
        """The formula that both are the same."""
        if len(self) != len(other):
            return z3.BoolVal(False)
        return z3.And(*(one == two for one, two in zip(self.terms, other.terms, strict=True)))


def octets(name: str, size: int) -> Octets:
    """Free bytes."""
    return Octets(z3.BitVec(f"{name} {at}", 8) for at in range(size))
