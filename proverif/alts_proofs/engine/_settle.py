"""Settles the queries of a model: saturates once for all queries that watch the same events, then judges each."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from alts_proofs.engine import _core as core
from alts_proofs.engine._clauses import Clause, Normalizer
from alts_proofs.engine._errors import TimeUp
from alts_proofs.engine._facts import Origin, RawClause, attacker, mess, row
from alts_proofs.engine._judge import GOAL, goals, judge, variants, watch
from alts_proofs.engine._machine import Line
from alts_proofs.engine._replay import Attack, Replayer
from alts_proofs.engine._saturate import Prover
from alts_proofs.engine._selection import Selection, Shape
from alts_proofs.engine._terms import App, app
from alts_proofs.engine._translate import translate

Result = Literal["true", "false", "cannot_be_proved", "unsupported", "timeout"]
_ATTEMPTS = 24


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a query. `lines` tell the attack when it is false; `reason` says why it is neither."""

    result: Result
    reason: str | None = None
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a saturation is: clauses processed, kept and waiting, and those processed a second."""

    processed: int
    kept: int
    waiting: int
    rate: float


def groups(model: core.Model, indices: Iterable[int], wide: bool = False) -> list[list[int]]:
    """The queries of `indices` that watch the same events behind ``==>``; with `wide` also those that watch fewer.

    Watching more events than one of them needs would multiply the clauses.
    """
    found: dict[frozenset[tuple[object, bool]], list[int]] = {}
    for index in indices:
        found.setdefault(frozenset(watch([model.queries[index]]).begins.items()), []).append(index)
    if wide:
        for small in sorted(found, key=len):
            # A plain event is also watched where its executions are told apart.
            for large in found:
                if large is not small and all(one in large or (one[0], True) in large for one in small):
                    found[large] += found.pop(small)
                    break
    return list(found.values())


def settle(
    model: core.Model,
    indices: Iterable[int],
    deadline: float,
    progress: Callable[[Progress], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[int, Verdict]]:
    """A verdict for each query of `indices`, as they come. What is not settled at `deadline` is a timeout.

    One saturation serves many queries: an event that a query does not speak of is one more thing that is known to have
    happened. When that takes more than half of the time that is left, queries that watch different events go apart.
    """
    left: list[int] = []
    for index in indices:
        reason = model.queries[index].unsupported
        if reason is None:
            left.append(index)
        else:
            yield index, Verdict("unsupported", reason)
    for group in groups(model, left, wide=True):
        mine = list(group)
        apart = groups(model, mine)
        if len(apart) > 1:
            now = clock()
            yield from _settle(model, mine, now + (deadline - now) / 2, progress, clock)
            apart = groups(model, mine)
        for part in apart:
            rest = list(part)
            reason = yield from _settle(model, rest, deadline, progress, clock)
            for index in rest:
                yield index, Verdict("timeout", reason)


def _settle(
    model: core.Model,
    left: list[int],
    deadline: float,
    progress: Callable[[Progress], None],
    clock: Callable[[], float],
) -> Generator[tuple[int, Verdict], None, str]:
    """Takes out of `left` what could be settled in time; gives the reason why something could not."""
    try:
        for index, verdict in _group(model, tuple(left), deadline, progress, clock):
            left.remove(index)
            yield index, verdict
    except TimeUp as error:
        return str(error)
    return ""


def _ticker(
    deadline: float, progress: Callable[[Progress], None], clock: Callable[[], float]
) -> Callable[[int, int, int], None]:
    start = clock()

    def tick(processed: int, kept: int, waiting: int) -> None:
        now = clock()
        if now > deadline:
            raise TimeUp("the time limit was reached")
        if processed % 100 == 1:
            progress(Progress(processed, kept, waiting, processed / max(now - start, 1e-9)))

    return tick


def _facts(atom: core.Atom, model: core.Model) -> list[App]:
    """A declared fact in all ways to write it."""
    made: list[App] = []
    for _, args in variants(atom.args, model.theory):
        match atom.kind:
            case "attacker":
                made.append(attacker(args[0], atom.phase))
            case "mess":
                made.append(mess(args[0], args[1], atom.phase))
            case "table":
                made.append(row(args[0], atom.phase))
    return made


def _group(
    model: core.Model,
    indices: tuple[int, ...],
    deadline: float,
    progress: Callable[[Progress], None],
    clock: Callable[[], float],
) -> Iterator[tuple[int, Verdict]]:
    queries = [model.queries[index] for index in indices]
    watched = watch(queries)
    # What is said to be secret must have all its variables free, as it has: `not` declares every instance.
    secrets = [fact for atom in model.secrets for fact in _facts(atom, model)]
    shapes: tuple[list[Shape], list[Shape]] = ([], [])
    for hint in model.hints:
        for fact in _facts(hint.fact, model):
            shapes[hint.conclusion].append(Shape(fact, hint.exact, hint.weight))
    selection = Selection(shapes[0], shapes[1], GOAL)
    prover = Prover(Normalizer(model.theory, secrets), selection, _ticker(deadline, progress, clock))
    prover.saturate(translate(model, watched))
    plain = Normalizer(model.theory, ())
    for secret in secrets:
        if prover.solve(RawClause(app(GOAL), (secret,), (), Origin("goal")), plain):
            reason = f"a fact declared with not could not be shown underivable: {secret}"
            for index in indices:
                yield index, Verdict("cannot_be_proved", reason)
            return
    replayer = Replayer(model)
    for index, query in zip(indices, queries, strict=True):
        yield index, _judge(query, model, prover, replayer, goals(query, model, watched))


def _judge(
    query: core.Query, model: core.Model, prover: Prover, replayer: Replayer, wanted: list[RawClause]
) -> Verdict:
    left: list[Clause] = [clause for goal in wanted for clause in prover.solve(goal)]
    failures = judge(query, left, model.theory)
    if not failures:
        return Verdict("true")
    reason = "no derivation was replayed"
    failures.sort(key=lambda one: one.clause.size + 8 * len(one.clause.core))
    for failure in failures[:_ATTEMPTS]:
        found = replayer.attack(query, failure)
        if isinstance(found, Attack):
            return Verdict("false", None, found.lines)
        reason = found
    return Verdict("cannot_be_proved", reason)
