"""Reasoning about identity patterns (SPEC 4.4), exactly and without a solver.

The *generic words* of a pattern are one for each number of segments that it can have, with a segment that no pattern
spells out, `FRESH`, wherever it has a wildcard. A pattern that matches a generic word has a wildcard wherever the word
is fresh, and so it matches every identity of that length that the word stands for. Hence a set of patterns covers a
pattern if and only if each of its generic words is matched by one of the set: coverage by a union needs no search. The
same holds for pairs of patterns (issuer, identity).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Generic, TypeVar

from .._trust import matches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

T = TypeVar("T")

FRESH = "\0"
"""Stands for a segment that no pattern spells out; it is itself no segment."""
MAX_SEGMENTS, MAX_LENGTH = 8, 255
_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-@."
_PLAIN = ("anyone", "other", "x", "y", "z")


def words(pattern: str) -> Iterator[str]:
    """Yield the generic words of a pattern that are short enough for an identity (SPEC 4.3), shortest first."""
    parts = pattern.split("/")
    most = MAX_SEGMENTS if parts[-1] == "**" else len(parts)
    fixed = [FRESH if part in ("*", "**") else part for part in parts]
    for count in range(len(parts), most + 1):
        word = "/".join(fixed + [FRESH] * (count - len(parts)))
        if len(word) <= MAX_LENGTH:
            yield word


class PatternMap(Generic[T]):
    """Patterns with a value each, by their segments: those that match a word are found without a look at the others.

    Args:
        new: makes the value of a pattern that is met for the first time.
    """

    def __init__(self, new: Callable[[], T]) -> None:
        self._new = new
        self._next: dict[str, PatternMap[T]] = {}
        self._values: list[T] = []

    def at(self, pattern: str) -> T:
        """Return the value of a pattern."""
        node = self
        for part in pattern.split("/"):
            node = node._next.setdefault(part, PatternMap(self._new))
        if not node._values:
            node._values.append(self._new())
        return node._values[0]

    def matching(self, word: str) -> Iterator[T]:
        """Yield the values of the patterns that match a generic word."""
        nodes = [self]
        for part in word.split("/"):
            for node in nodes:
                if "**" in node._next:  # this segment and all that follow
                    yield from node._next["**"]._values
            nodes = [node._next[name] for node in nodes for name in (part, "*") if name in node._next]
        for node in nodes:
            yield from node._values


def covers(wide: str, narrow: str) -> bool:
    """Tell whether every identity that `narrow` matches is matched by `wide` too.

    Exact but for one corner, where it may answer False for True: if the patterns at hand spell out all 65 segments of
    one character, a generic word of nearly 255 characters may stand for no identity.
    """
    return all(matches(wide, word) for word in words(narrow))


def literals_of(patterns: Collection[str]) -> frozenset[str]:
    """Return the segments that patterns spell out."""
    return frozenset(part for pattern in patterns for part in pattern.split("/") if part not in ("*", "**"))


def shortest_fresh(literals: Collection[str]) -> str:
    """Return a shortest segment that is none of `literals`."""
    for size in itertools.count(1):
        for letters in itertools.product(_ALPHABET, repeat=size):
            segment = "".join(letters)
            if segment not in literals and segment not in (".", ".."):
                return segment
    raise AssertionError("unreachable: there are finitely many literals")


def fresh(literals: Collection[str]) -> str:
    """Return a segment for people to read that is none of `literals`."""
    return next((segment for segment in _PLAIN if segment not in literals), None) or shortest_fresh(literals)


def realise(word: str, literals: Collection[str]) -> str | None:
    """Return an identity that a generic word stands for; None: there is none that is short enough."""
    for segment in (fresh(literals), shortest_fresh(literals)):
        identity = word.replace(FRESH, segment)
        if len(identity) <= MAX_LENGTH:
            return identity
    return None


def intersect(first: str, second: str) -> str | None:
    """Return the pattern that matches what both match (there always is one); None: they have nothing in common."""
    a, b = first.split("/"), second.split("/")
    open_a, open_b = a[-1] == "**", b[-1] == "**"
    if open_a:
        a.pop()
    if open_b:
        b.pop()
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    if open_a and open_b:
        tail = ["**"]
    else:
        # one that is closed fixes the length; an open one needs at least one segment more than it spells out
        if open_a or open_b:
            fits = len(b) > len(a) if open_a else len(a) > len(b)
        else:
            fits = len(a) == len(b)
        if not fits:
            return None
        tail = []
    both: list[str] = []
    for index, part in enumerate(longer):
        other = shorter[index] if index < len(shorter) else "*"
        if part != other and "*" not in (part, other):
            return None
        both.append(other if part == "*" else part)
    result = "/".join(both + tail)
    return result if next(words(result), None) is not None else None
