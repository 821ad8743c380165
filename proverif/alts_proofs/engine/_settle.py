"""Settles the queries of a model, lemmas first: saturates once for all that watch the same events, then judges each."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from alts_proofs.engine import _core as core
from alts_proofs.engine._clauses import Clause, Normalizer
from alts_proofs.engine._complete import completions, underived
from alts_proofs.engine._errors import TimeUp
from alts_proofs.engine._facts import RawClause, attacker, mess, row
from alts_proofs.engine._judge import GOAL, Failure, ends, goals, judge, variants, watch
from alts_proofs.engine._lemmas import Lemmas, compiled, premise, usable
from alts_proofs.engine._machine import Line
from alts_proofs.engine._replay import Attack, Replayer
from alts_proofs.engine._saturate import Prover
from alts_proofs.engine._selection import Selection, Shape
from alts_proofs.engine._terms import App
from alts_proofs.engine._translate import translate

Result = Literal["true", "false", "cannot_be_proved", "unsupported", "timeout"]
_ATTEMPTS = 24
# Steps of solving a goal: while hints are ignored, before attacks are looked for without; and at the first go.
_NEARBY = 300
_FIRST = 500


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
    wanted = set(indices)
    for index in sorted(wanted):
        reason = model.queries[index].unsupported
        if reason is not None:
            yield index, Verdict("unsupported", reason)
    settler = _Settler(model, deadline, progress, clock)
    asked = [index for index, query in enumerate(model.queries) if query.unsupported is None]
    left = [index for index in asked if index in wanted and not model.queries[index].lemma]
    if left:
        # They rest on all lemmas in front, whether these are asked for or not.
        wanted.update(index for index in asked if model.queries[index].lemma)
    for lemmas in _declared([index for index in asked if model.queries[index].lemma and index in wanted], model):
        for index, verdict in settler.lemmas(lemmas):
            if index in wanted:
                yield index, verdict
    for group in groups(model, left, wide=True):
        mine = list(group)
        apart = groups(model, mine)
        if len(apart) > 1:
            now = clock()
            yield from settler.some(mine, now + (deadline - now) / 2)
            apart = groups(model, mine)
        for part in apart:
            rest = list(part)
            reason = yield from settler.some(rest, deadline)
            for index in rest:
                yield index, Verdict("timeout", reason)


def _declared(indices: list[int], model: core.Model) -> list[list[int]]:
    """`indices` by the declarations that they stand in."""
    found: dict[int, list[int]] = {}
    for index in indices:
        found.setdefault(model.queries[index].group, []).append(index)
    return list(found.values())


class _Settler:
    """Settles queries with the lemmas that it has proved before."""

    def __init__(
        self,
        model: core.Model,
        deadline: float,
        progress: Callable[[Progress], None],
        clock: Callable[[], float],
    ) -> None:
        self.model = model
        self.deadline = deadline
        self.progress = progress
        self.clock = clock
        self.proved: list[int] = []

    def lemmas(self, indices: list[int]) -> Iterator[tuple[int, Verdict]]:
        """The lemmas of one declaration, which may rest on each other by induction; what is proved is used later."""
        model = self.model
        left = list(indices)
        now = self.clock()
        # Something must be left for the queries.
        deadline = now + (self.deadline - now) / 2
        while left:
            inductive = [i for i in left if model.queries[i].induction and usable(model.queries[i], model.theory)]
            found: dict[int, Verdict] = {}
            reason = ""
            try:
                found.update(self._group(tuple(left), deadline, inductive))
            except TimeUp as error:
                reason = str(error)
            if all(i in found and found[i].result == "true" for i in inductive):
                # Nothing rests on what was not proved.
                self.proved += [i for i in left if i in found and found[i].result == "true"]
                yield from ((i, found.get(i, Verdict("timeout", reason))) for i in left)
                return
            # Attacks stay. What failed does not succeed with less; what is proved perhaps rests on it.
            yield from ((i, verdict) for i, verdict in found.items() if verdict.result != "true")
            if reason:
                yield from (
                    (i, Verdict("timeout", reason)) for i in left if i not in found or found[i].result == "true"
                )
                return
            left = [i for i in left if found[i].result == "true"]

    def some(self, left: list[int], deadline: float) -> Generator[tuple[int, Verdict], None, str]:
        """Takes out of `left` what could be settled in time; gives the reason why something could not."""
        try:
            for index, verdict in self._group(tuple(left), deadline, ()):
                left.remove(index)
                yield index, verdict
        except TimeUp as error:
            return str(error)
        return ""

    def _group(
        self, indices: tuple[int, ...], deadline: float, inductive: Sequence[int]
    ) -> Iterator[tuple[int, Verdict]]:
        """Saturates once and judges; `inductive` are lemmas that are used by induction only."""
        model = self.model
        queries = [model.queries[index] for index in indices]
        known = [i for i in self.proved if usable(model.queries[i], model.theory)]
        used = [compiled(model.queries[i], model, i in inductive) for i in (*known, *inductive)]
        watched = watch(queries, [model.queries[i] for i in (*known, *inductive)])
        # What is said to be secret must have all its variables free, as it has: `not` declares every instance.
        secrets = [fact for atom in model.secrets for fact in _facts(atom, model)]
        shapes: tuple[list[Shape], list[Shape]] = ([], [])
        ignored: list[Shape] = []
        for hint in model.hints:
            for fact in _facts(hint.fact, model):
                shape = Shape(fact, hint.exact, hint.weight)
                shapes[hint.conclusion].append(shape)
                if hint.ignored and not hint.conclusion:
                    ignored.append(shape)
        normalizer = Normalizer(model.theory, secrets)
        prover = Prover(
            normalizer,
            Selection(shapes[0], shapes[1], GOAL, ignored),
            _ticker(deadline, self.progress, self.clock),
            Lemmas(used, normalizer),
        )
        prover.saturate(translate(model, watched))
        plain = Normalizer(model.theory, ())
        for secret in secrets:
            if not prover.underivable(secret, plain):
                reason = f"a fact declared with not could not be shown underivable: {secret}"
                for index in indices:
                    yield index, Verdict("cannot_be_proved", reason)
                return
        replayer = Replayer(model)
        ignoring = model.ignoring if ignored else 0
        questions = {
            index: _Question(query, model, prover, replayer, goals(query, model, watched), ignoring)
            for index, query in zip(indices, queries, strict=True)
        }
        # One query that takes long is not to keep the others waiting.
        for limit in (_FIRST, None) if len(questions) > 1 else (None,):
            for index, question in list(questions.items()):
                verdict = question.settle(limit)
                if verdict is not None:
                    del questions[index]
                    yield index, verdict


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


@dataclass(frozen=True, slots=True)
class _Question:
    """A query with what it takes to settle it."""

    query: core.Query
    model: core.Model
    prover: Prover
    replayer: Replayer
    goals: list[RawClause]
    ignoring: int

    def failures(self, early: bool, ignoring: int, limit: int | None = None) -> list[Failure] | None:
        """What speaks against the query; None after `limit` steps. See `ends` for `early`."""
        query, theory = self.query, self.model.theory
        about = premise(query, self.model) if usable(query, theory) else ()
        stop = partial(ends, query, theory=theory, early=early)
        left: list[Clause] = []
        for goal in self.goals:
            clauses = self.prover.solve(goal, about, stop, ignoring, limit)
            if clauses is None:
                return None
            left += clauses
        found = judge(query, left, theory)
        found.sort(key=lambda one: one.clause.size + 8 * len(one.clause.core))
        return found

    def settle(self, limit: int | None) -> Verdict | None:
        """The verdict; None if a goal takes more than `limit` steps.

        Looking farther than hints allow is bounded until attacks were looked for nearby.
        """
        ignoring = self.ignoring
        failures = self.failures(True, ignoring, _NEARBY if ignoring else limit)
        if failures is None and ignoring:
            failures = self.failures(True, 0, limit)
            if failures:
                verdict = self.attacked(failures)
                if verdict.result == "false":
                    return verdict
                failures = self.failures(True, ignoring, limit)
        if failures and any(failure.other is not None for failure in failures):
            # What satisfies an injective query was not resolved any further. Now it is, to tell executions apart.
            failures = self.failures(False, ignoring, limit)
        if failures is None:
            return None
        return self.attacked(failures) if failures else Verdict("true")

    def attacked(self, failures: list[Failure]) -> Verdict:
        """An attack, if one of the derivations that are left can be run."""
        reason = "no derivation was replayed"
        for failure in failures[:_ATTEMPTS]:
            found = self.replayer.attack(self.query, failure)
            if isinstance(found, Attack):
                return Verdict("false", None, found.lines)
            reason = found
        completed = 0
        for failure in failures[:_ATTEMPTS]:
            if failure.other is not None or not underived(failure.clause):
                continue
            for clause in completions(self.prover, failure.clause):
                self.prover.tick(0, 0, 0)
                found = self.replayer.attack(self.query, Failure(clause))
                if isinstance(found, Attack):
                    return Verdict("false", None, found.lines)
                completed += 1
                if completed >= _ATTEMPTS:
                    return Verdict("cannot_be_proved", reason)
        return Verdict("cannot_be_proved", reason)
