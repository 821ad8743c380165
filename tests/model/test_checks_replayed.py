"""The stand-ins that z3 sees against the plain model, on drawn inputs: what one does, the other does."""

from __future__ import annotations

from typing import Any, cast

import pytest
import z3
from hypothesis import given, settings
from hypothesis import strategies as st

from alts_model import Completed, record_key
from alts_model.checks import counters, interleaving, matcher, tickets, transcript
from alts_model.checks.execution import Members, Sized, Universe, explore, formula, rebound, rebound_class
from alts_model.checks.words import Counter, Octets
from alts_model.concrete import ConcreteAlgebra
from alts_model.errors import Refused
from alts_model.negotiation import choose
from alts_model.stores import UsedSecrets
from alts_model.syntax import is_pattern, matches
from tests.model.helpers import client, server

LETTERS = "abc"
SEGMENTS = st.sampled_from([*LETTERS, "*", "**"])
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=5).map("/".join).filter(is_pattern)
IDENTITIES = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=5).map("/".join)


@pytest.mark.req("POLICY-1")
@given(PATTERNS, IDENTITIES)
def test_the_matcher_and_the_meaning_of_a_pattern(pattern: str, identity: str) -> None:
    """The regular expression is the meaning that the check's examples are replayed against."""
    assert matches(pattern, identity) == (matcher.language(pattern).fullmatch(identity) is not None)


@settings(max_examples=40)
@given(PATTERNS, IDENTITIES)
def test_the_matcher_over_formulas(pattern: str, identity: str) -> None:
    names = Universe("Segment", "*", "**", *LETTERS)
    bound = rebound(matches, is_pattern=matcher.is_well_formed, is_identity=matcher.is_well_formed)
    sides = []
    fixed = [names.distinct]
    for which, text in (("pattern", pattern), ("identity", identity)):
        side = [names.name(f"{which} {at}") for at, _ in enumerate(text.split("/"))]
        fixed += [formula(one == segment) for one, segment in zip(side, text.split("/"), strict=True)]
        sides.append(matcher._Segments(side))
    (path,) = explore(lambda: bool(bound(*cast(Any, sides))), fixed)
    assert path.value == matches(pattern, identity)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=6), st.sets(st.sampled_from(LETTERS)))
def test_the_choice_over_formulas(offered: list[str], allowed: set[str]) -> None:
    names = Universe("Name", *LETTERS)
    allows = names.predicate("allowed")
    side = [names.name(f"offered {at}") for at in range(8)]
    fixed = [names.distinct, *(formula(one == text) for one, text in zip(side, offered, strict=False))]
    fixed += [allows(text).formula == (text in allowed) for text in LETTERS]
    (path,) = explore(
        lambda: choose(cast(Any, Sized(side, z3.IntVal(len(offered)))), cast(Any, Members(allows)), "BAD_RECORD"), fixed
    )
    try:
        plain = choose(tuple(offered), tuple(allowed), "BAD_RECORD")
    except Refused:
        assert isinstance(path.error, Refused)
        return
    solver = z3.Solver()
    solver.add(*path.conditions, z3.Not(formula(cast(Any, path.value) == plain)))
    assert solver.check() == z3.unsat


@pytest.mark.req("HS-4", "TRUST-7")
@settings(max_examples=25)
@given(*[st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True).map(tuple)] * 2)
def test_the_choice_in_a_handshake(offered: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    one, other = client(application_protocols=offered), server(application_protocols=allowed)
    step = one.receive(other.receive(one.start()).output)
    common = [name for name in offered if name in allowed]
    completed = [event for event in step.events if isinstance(event, Completed)]
    assert [event.application_protocol for event in completed] == common[:1]


@pytest.mark.req("REC-6", "REC-8")
@settings(max_examples=60)
@given(
    st.one_of(st.integers(0, 2**64), st.sampled_from([2**16 - 1, 2**16, 2**32, 2**64 - 1, 2**64])),
    st.sampled_from(["client", "server"]),
    st.binary(min_size=128, max_size=128),
)
def test_counters_over_bit_vectors(frame: int, sender: Any, M: bytes) -> None:
    place = counters.symbolic(cast(Any, record_key))
    number = Counter(z3.BitVecVal(frame, 80))

    def run() -> Any:
        try:
            return place(Octets(M), sender, number)
        except ValueError:
            return None

    (path,) = explore(run)
    if frame == 2**64:
        assert path.value is None
        with pytest.raises(ValueError, match="64 bits"):
            record_key(M, sender, frame)
        return
    plain = record_key(M, sender, frame)
    shown = [bytes(z3.simplify(term).as_long() for term in part.terms) for part in cast(Any, path.value)]
    assert shown == [plain.counter, plain.counter[2:8], plain.nonce]


TIMES = st.integers(0, 6)


@pytest.mark.req("RES-7")
@settings(max_examples=100)
@given(
    st.dictionaries(st.sampled_from(LETTERS), TIMES, max_size=3),
    st.integers(1, 4),
    TIMES,
    st.lists(st.tuples(st.sampled_from("abcd"), TIMES, TIMES), max_size=4),
)
def test_the_memory_over_formulas(
    used: dict[str, int], capacity: int, forgotten: int, calls: list[tuple[str, int, int]]
) -> None:
    """The memory with the stand-in for dict does what it does with dict."""
    plain: UsedSecrets[str] = UsedSecrets(capacity, used.items(), forgotten)
    bound = rebound_class(cast(Any, UsedSecrets), ("__init__", "mark"), dict=tickets._Dictionary)
    other = bound(capacity, used.items(), forgotten)
    for secret, expires, now in calls:
        assert plain.mark(secret, expires, now) == other.mark(secret, expires, now)
        assert dict(other._used.pairs) == plain._used
        assert other._forgotten == plain._forgotten


SIDES = st.tuples(st.integers(0, 2), st.integers(0, 2))
NAMES = st.lists(st.sampled_from(["n0", "n1", "n2"]), min_size=1, max_size=2, unique=True).map(tuple)


@pytest.mark.req("HS-5", "HS-7", "HS-9")
@settings(max_examples=60)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "nonce": SIDES,
            "server_nonce": SIDES,
            "handshake_ciphers": st.tuples(NAMES, NAMES),
            "record_protocols": st.tuples(NAMES, NAMES),
            "handshake_cipher": st.tuples(st.sampled_from(["n0", "n1"]), st.sampled_from(["n0", "n1"])),
            "application_protocol": st.tuples(st.sampled_from(["n0", "n1"]), st.sampled_from(["n0", "n1"])),
        },
    ),
    st.sampled_from(["client", "server"]),
    st.sampled_from(["client", "server"]),
)
def test_finished_is_as_free_over_bytes(different: dict[str, Any], waiting: Any, maker: Any) -> None:
    """Over bytes Finished is accepted exactly where the check says: the same Inits, made by the peer."""
    algebra = ConcreteAlgebra()
    one, other = (transcript._concrete(algebra, different, side) for side in (0, 1))
    same = all(left == right for left, right in different.values())
    assert transcript._accepts(algebra, one, waiting, other, maker) == (same and waiting == maker)


@pytest.mark.req("RES-7")
@settings(max_examples=30)
@given(
    st.sampled_from([("mark", "derive"), ("check", "set", "derive"), ("derive", "mark")]),
    st.booleans(),
    st.data(),
)
def test_interleavings_are_as_the_memories_do(steps: tuple[str, ...], one_memory: bool, data: st.DataObject) -> None:
    """With everything fixed, z3's course and the model's memories agree on whether a ticket is used twice."""
    makers = interleaving.Makers(steps)
    course = interleaving._Course(makers, one_memory=one_memory)
    terms = {"order": course.order, "tickets": course.ticket, "replicas": course.replica, "room": course.room}
    ends = {"order": 4, "tickets": 2, "replicas": 2, "room": 3}
    drawn: dict[str, Any] = {
        name: data.draw(st.lists(st.integers(0, ends[name] - 1), min_size=len(some), max_size=len(some)))
        for name, some in terms.items()
    }
    fixed = [term == value for name in terms for term, value in zip(terms[name], drawn[name], strict=True)]
    solver = z3.Solver()
    solver.add(*fixed, z3.Or(course.twice(at_one_replica=not one_memory), course.without_room()))
    example = {**drawn, "memory": "shared" if one_memory else "one a replica"}
    assert (solver.check() == z3.sat) == (interleaving._interleaving_violates(makers, example) is not None)
