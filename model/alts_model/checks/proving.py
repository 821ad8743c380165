"""A check: statements that z3 must prove, and planted faults in which it must find what is wrong.

A check is about a *subject*: a function or class of the model. The faults are other subjects, each with one thing
wrong. The statements are made from whichever subject is at hand, so that a fault goes through the same reasoning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import z3

from alts_model.checks.execution import NoAnswerError, NotFollowedError, ask, new_solver

S = TypeVar("S")

Example = Mapping[str, Any]
"""Plain values that refute a statement, by name."""


@dataclass(frozen=True)
class Statement:
    """`claim` holds wherever `given` does. `kind` says which case it is; `example` reads plain values from a model."""

    kind: str
    given: Any
    claim: Any
    example: Callable[[Any], Example]


@dataclass(frozen=True)
class Fault(Generic[S]):
    """A subject with one thing wrong."""

    name: str
    text: str
    subject: S


@dataclass(frozen=True)
class Check(Generic[S]):
    """What is proved of `subject`, and how.

    `bound` is up to where, and why that is enough. `kinds` are the cases that must occur, so that nothing is proved of
    nothing. `violates` runs a subject on an example in plain Python and says what went wrong, or None: of an example,
    for the faulty subject something, for the sound one nothing.
    """

    name: str
    text: str
    bound: str
    requirements: tuple[str, ...]
    kinds: frozenset[str]
    subject: S
    faults: tuple[Fault[S], ...]
    statements: Callable[[S], Iterable[Statement]]
    violates: Callable[[S, Example], str | None]


@dataclass(frozen=True, slots=True)
class Refuted:
    """A planted fault as it was found: the example, and what plain Python does with it."""

    fault: str
    text: str
    example: str
    violation: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check; it holds if `findings` is empty."""

    name: str
    text: str
    bound: str
    requirements: tuple[str, ...]
    statements: int
    faults: int
    refuted: tuple[Refuted, ...]
    findings: tuple[str, ...]
    seconds: float


def prove(check: Check[Any]) -> Outcome:
    """Prove the statements, none of them of an impossible case; refute every fault, replay what was found."""
    began = time.process_time()
    findings: list[str] = []
    count = 0
    kinds: set[str] = set()
    try:
        for statement in check.statements(check.subject):
            count += 1
            kinds.add(statement.kind)
            if not _possible(statement):
                findings.append(f"{statement.kind}: vacuous: nothing is as it is given")
                break
            example = counterexample(statement)
            if example is not None:
                violation = check.violates(check.subject, example)
                findings.append(f"{statement.kind}: refuted by {shown(example)}; {violation or 'it does not replay'}")
                break
        else:
            findings += [f"vacuous: no case {kind!r}" for kind in sorted(check.kinds - kinds)]
            findings += [f"an undeclared case {kind!r}" for kind in sorted(kinds - check.kinds)]
    except Exception as error:  # the code under check may fail in any way, and that is a finding
        findings.append(f"not decided: {_why(error)}")
    refuted: list[Refuted] = []
    for fault in check.faults:
        try:
            found = _refute(check, fault)
        except Exception as error:
            found = f"planted fault {fault.name!r}: not decided: {_why(error)}"
        if isinstance(found, str):
            findings.append(found)
        else:
            refuted.append(found)
    if not check.faults:
        findings.append("no planted fault: a check that cannot fail shows nothing")
    return Outcome(
        check.name,
        check.text,
        check.bound,
        check.requirements,
        count,
        len(check.faults),
        tuple(refuted),
        tuple(findings),
        time.process_time() - began,
    )


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, NoAnswerError | NotFollowedError) else f"{type(error).__name__}: {error}"


def _refute(check: Check[S], fault: Fault[S]) -> Refuted | str:
    for statement in check.statements(fault.subject):
        example = counterexample(statement)
        if example is None:
            continue
        violation = check.violates(fault.subject, example)
        if violation is None:
            return f"planted fault {fault.name!r}: {shown(example)} does not replay"
        if (also := check.violates(check.subject, example)) is not None:
            return f"planted fault {fault.name!r}: {shown(example)} is also wrong without it: {also}"
        return Refuted(fault.name, fault.text, shown(example), violation)
    return f"planted fault {fault.name!r} is not found"


def _possible(statement: Statement) -> bool:
    """Whether what is given can be so at all. Raises NoAnswerError."""
    solver = new_solver()
    solver.add(statement.given)
    return ask(solver)


def counterexample(statement: Statement) -> Example | None:
    """Plain values for which the statement is false, or None if there are none. Raises NoAnswerError."""
    solver = new_solver()
    solver.add(statement.given, z3.Not(statement.claim))
    return statement.example(solver.model()) if ask(solver) else None


def shown(example: Example) -> str:
    """An example on one line."""
    return ", ".join(f"{name} = {_plain(value)}" for name, value in example.items())


def _plain(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_plain, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool) and value > 1 << 20:
        for power in (64, 40, 32):
            if 0 < abs(distance := value - (1 << power)) < 1 << 17 or distance == 0:
                return f"2^{power}" + (f"{distance:+}" if distance else "")
    return str(value)
