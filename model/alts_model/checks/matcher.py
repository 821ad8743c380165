"""The matcher of identities against what patterns mean (SPEC.md 4.4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, cast

import z3

from alts_model import syntax
from alts_model.checks.execution import Name, Universe, explore, formula, rebound
from alts_model.checks.proving import Check, Example, Fault, Statement

Matcher = Callable[[Any, Any], Any]

SEGMENT_LIMIT = 8
"""Most segments of an identity or a pattern (SPEC.md 4.3, 4.4)."""


class _Segments:
    """An identity or pattern that is known by its segments alone."""

    def __init__(self, segments: Sequence[Name]) -> None:
        self._segments = segments

    def split(self, _: str) -> list[Name]:
        """As str.split."""
        return [*self._segments]


def is_well_formed(_: object) -> bool:
    """Stands in for the syntax check: what it lets through is given as a condition."""
    return True


def language(pattern: str) -> re.Pattern[str]:
    """What a pattern means, as a regular expression over whole identities."""
    parts = {"*": "[^/]+", "**": "[^/]+(/[^/]+)*"}
    return re.compile("/".join(parts.get(segment, re.escape(segment)) for segment in pattern.split("/")))


def _matching(matches: Matcher) -> Iterator[Statement]:
    bound: Any = matches
    used = {name for name in ("is_pattern", "is_identity") if name in bound.__code__.co_names}
    bound = rebound(bound, **dict.fromkeys(used, is_well_formed))
    names = Universe("Segment", "*", "**")
    for wanted, given in product(range(1, SEGMENT_LIMIT + 1), repeat=2):
        yield from _matching_sizes(bound, names, wanted, given)


def _matching_sizes(matches: Matcher, names: Universe, wanted: int, given: int) -> Iterator[Statement]:
    pattern = [names.name(f"pattern {position}") for position in range(wanted)]
    identity = [names.name(f"identity {position}") for position in range(given)]
    here = [z3.Or(formula(want == "*"), formula(want == have)) for want, have in zip(pattern, identity, strict=False)]
    open_end = formula(pattern[-1] == "**")
    exact = z3.And(wanted == given, *here)
    begins = z3.And(wanted <= given, *here[: wanted - 1])
    meaning = z3.If(open_end, begins, exact)

    def example(model: Any) -> Example:
        texts = ("/".join(names.text(model, segment) for segment in parts) for parts in (pattern, identity))
        return dict(zip(("pattern", "identity"), texts, strict=True))

    wild = [formula(have != text) for have in identity for text in ("*", "**")]
    middle = [formula(want != "**") for want in pattern[:-1]]
    given_names = (names.distinct, *wild, *middle)
    for path in explore(lambda: bool(matches(_Segments(pattern), _Segments(identity))), given_names):
        if path.value:
            yield Statement("matches", path.condition, meaning, example)
        else:
            yield Statement("does not match", path.condition, z3.Not(meaning), example)


def _matching_violates(matches: Matcher, example: Example) -> str | None:
    pattern, identity = example["pattern"], example["identity"]
    meant = language(pattern).fullmatch(identity) is not None
    if matches(pattern, identity) == meant:
        return None
    return f"{pattern} {'does not match' if meant else 'matches'} {identity}"


def _none_or_more(pattern: Any, identity: Any) -> bool:
    wanted, given = pattern.split("/"), identity.split("/")
    if wanted[-1] == "**":
        wanted.pop()
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(want in ("*", have) for want, have in zip(wanted, given, strict=True))


def _beginning(pattern: Any, identity: Any) -> bool:
    wanted, given = pattern.split("/"), identity.split("/")
    if wanted[-1] == "**":
        wanted.pop()
    return len(wanted) <= len(given) and all(want in ("*", have) for want, have in zip(wanted, given, strict=False))


def _last_star(pattern: Any, identity: Any) -> Any:
    wanted, given = pattern.split("/"), identity.split("/")
    if wanted[-1] == "**" or wanted[-1] == "*":
        wanted.pop()
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(want in ("*", have) for want, have in zip(wanted, given, strict=True))


MATCHING: Check[Matcher] = Check(
    "policy: matcher",
    "a pattern matches the identities that it means: * one whole segment, ** at the end one or more, else the same "
    "segment",
    f"all patterns and identities of 1 to {SEGMENT_LIMIT} segments (all that SPEC.md 4.3 and 4.4 admit), any segments",
    ("POLICY-1", "TRUST-2"),
    frozenset({"matches", "does not match"}),
    cast(Matcher, syntax.matches),
    (
        Fault("none or more", "** also stands for no segment at all", _none_or_more),
        Fault("beginning", "a pattern matches whatever begins like it", _beginning),
        Fault("last star", "a * at the end stands for several segments", _last_star),
    ),
    _matching,
    _matching_violates,
)
