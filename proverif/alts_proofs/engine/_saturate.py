"""Saturation by resolution with selection, and solving goals over what comes out of it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from alts_proofs.engine._clauses import REMEMBERED, Clause, History, Mark, Normalizer, match_rest, subsumes
from alts_proofs.engine._facts import RawClause
from alts_proofs.engine._index import Index
from alts_proofs.engine._lemmas import Lemmas
from alts_proofs.engine._selection import Selection
from alts_proofs.engine._terms import App, Bindings, Term, app, match_all, unify

Tick = Callable[[int, int, int], None]
"""Called with the clauses that were processed, those kept and those waiting; raises `TimeUp` to stop."""

Stop = Literal["proved", "enough"] | None


class Family:
    """Clauses with the same conclusion."""

    __slots__ = ("clauses", "conclusion")

    def __init__(self, conclusion: App) -> None:
        self.conclusion = conclusion
        self.clauses: list[Clause] = []


class Prover:
    """A set of clauses to saturate, and goals to solve over it."""

    def __init__(self, normalizer: Normalizer, selection: Selection, tick: Tick, lemmas: Lemmas | None = None) -> None:
        self.normalizer = normalizer
        self.lemmas = lemmas or Lemmas((), normalizer)
        self.selection = selection
        self.tick = tick
        self.waiting: list[tuple[int, int, Clause]] = []
        self.unlike: set[tuple[App, App]] = set()
        self.families: dict[App, Family] = {}
        self.known: Index[Family] = Index()
        self.by_conclusion: Index[Clause] = Index()
        self.by_hypothesis: Index[Clause] = Index()
        self.kept = 0
        self.done = 0
        self.number = 0

    # The set.

    def _insert(self, clause: Clause) -> None:
        """Adds a clause unless one says as much; takes out those that say no more."""
        conclusion = clause.conclusion
        bits, size, count = clause.bits, clause.size, len(clause.core)
        absent = ~bits
        for bucket in self.known.general(conclusion):
            for family in bucket:
                bindings: dict[Term, Term] | None = None
                for other in family.clauses:
                    if other.bits & absent or other.size > size or len(other.core) > count:
                        continue
                    if bindings is None and (bindings := self._matched(family.conclusion, conclusion)) is None:
                        break
                    if match_rest(other, clause, dict(bindings)):
                        return
        for bucket in self.known.special(conclusion):
            for family in bucket:
                bindings = None
                beaten: list[Clause] = []
                for other in family.clauses:
                    if bits & ~other.bits or size > other.size or count > len(other.core):
                        continue
                    if bindings is None and (bindings := self._matched(conclusion, family.conclusion)) is None:
                        break
                    if match_rest(clause, other, dict(bindings)):
                        beaten.append(other)
                for other in beaten:
                    other.alive = False
                    family.clauses.remove(other)
                    if other.number < 0:
                        self._forget(other)
        self.number += 1
        clause.number = self.number
        # Nothing else has hypotheses attacker(f(...)) for data f, nor would anything be left of them.
        if not clause.is_standard():
            if conclusion not in self.families:
                self.families[conclusion] = Family(conclusion)
                self.known.add(conclusion, self.families[conclusion])
            self.families[conclusion].clauses.append(clause)
        heapq.heappush(self.waiting, (self._priority(clause), self.number, clause))

    def _matched(self, general: App, special: App) -> dict[Term, Term] | None:
        """The bindings that make `special` of `general`, if there are any."""
        pair = (general, special)
        if pair in self.unlike:
            return None
        bindings: dict[Term, Term] = {}
        if match_all(general, special, bindings, []):
            return bindings
        if len(self.unlike) < REMEMBERED:
            self.unlike.add(pair)
        return None

    def _forget(self, clause: Clause) -> None:
        self.kept -= 1
        if clause.selected < 0:
            self.by_conclusion.remove(clause.conclusion, clause)
        else:
            self.by_hypothesis.remove(clause.hypotheses[clause.selected], clause)

    def _priority(self, clause: Clause) -> int:
        return clause.size + 4 * len(clause.core)

    def saturate(self, raws: Iterable[RawClause]) -> None:
        """Adds clauses and resolves until nothing new comes of it."""
        first = [clause for raw in raws for one in self.normalizer.raw(raw) for clause in self.lemmas.saturated(one)]
        for clause in first:
            self.selection.select(clause.conclusion, clause.hypotheses)
        for clause in first:
            self._insert(clause)
        while self.waiting:
            clause = heapq.heappop(self.waiting)[2]
            if not clause.alive:
                continue
            self.done += 1
            self.tick(self.done, self.kept, len(self.waiting))
            clause.selected = self.selection.select(clause.conclusion, clause.hypotheses)
            clause.number = -clause.number
            self.kept += 1
            if clause.selected < 0:
                self.by_conclusion.add(clause.conclusion, clause)
                for bucket in self.by_hypothesis.unifiable(clause.conclusion):
                    for other in tuple(bucket):
                        if other.alive and clause.alive:
                            self._resolve(clause, other)
            else:
                fact = clause.hypotheses[clause.selected]
                self.by_hypothesis.add(fact, clause)
                for bucket in self.by_conclusion.unifiable(fact):
                    for other in tuple(bucket):
                        if other.alive and clause.alive:
                            self._resolve(other, clause)

    def _resolve(self, first: Clause, second: Clause) -> None:
        for made in resolve(self.normalizer, first, second, second.selected):
            for clause in self.lemmas.saturated(made):
                self._insert(clause)

    def solved(self) -> list[Clause]:
        """The clauses with the conclusion selected."""
        return [clause for bucket in self.by_conclusion.buckets.values() for clause in bucket]

    # Goals.

    def solve(
        self,
        goal: RawClause,
        about: Sequence[App],
        stop: Callable[[Clause], Stop],
        ignoring: int = 0,
        limit: int | None = None,
    ) -> list[Clause] | None:
        """What is left of a goal when its hypotheses are resolved with the saturated set: no clause if none can hold.

        Only hypotheses that are never selected, or that would be selected for ever, are left in the clauses. `about`
        are the facts that the goal is about, over the variables that its conclusion gives values for. `stop` says of a
        clause that it is ``proved``, and so is all that resolution makes of it: it is left out; or that it is
        ``enough``: it is left as it is. On the way to a fact `ignoring` hints may be ignored. None after `limit` steps.
        """
        return self._solve(
            goal, self.normalizer, lambda clause: self.lemmas.solved(clause, about), stop, ignoring, limit
        )

    def underivable(self, fact: App, normalizer: Normalizer) -> bool:
        """Whether `fact` has no derivation. No lemma is used on the fact itself: they rest on such facts."""
        return not self._solve(
            RawClause(app(self.selection.goal), (fact,)), normalizer, lambda clause: [clause], lambda _: None, 0, None
        )

    def _solve(
        self,
        goal: RawClause,
        normalizer: Normalizer,
        with_lemmas: Callable[[Clause], list[Clause]],
        stop: Callable[[Clause], Stop],
        ignoring: int,
        limit: int | None,
    ) -> list[Clause] | None:
        waiting: list[tuple[int, int, Clause]] = []
        known: list[Clause] = []
        number = 0

        def insert(clause: Clause) -> None:
            nonlocal number
            ends = stop(clause)
            if ends == "proved" or any(self._beats(other, clause) for other in known):
                return
            for other in known:
                if self._beats(clause, other):
                    other.alive = False
            known[:] = [other for other in known if other.alive]
            number += 1
            known.append(clause)
            if ends is None:
                heapq.heappush(waiting, (self._priority(clause), number, clause))

        for first in normalizer.raw(goal):
            first.marks = (Mark(False, ignoring),) * len(first.hypotheses)
            for clause in with_lemmas(first):
                insert(clause)
        while waiting:
            clause = heapq.heappop(waiting)[2]
            if not clause.alive:
                continue
            if limit is not None and (limit := limit - 1) < 0:
                return None
            self.done += 1
            self.tick(self.done, len(known), len(waiting))
            clause.selected = self.selection.select(clause.conclusion, clause.hypotheses, learn=False)
            if clause.selected < 0:
                self._ignore_a_hint(clause)
            if clause.selected < 0:
                continue
            # What it resolves to takes its place.
            known.remove(clause)
            for bucket in self.by_conclusion.unifiable(clause.hypotheses[clause.selected]):
                for other in bucket:
                    for made in resolve(normalizer, other, clause, clause.selected):
                        _mark(made, other, clause)
                        for new in with_lemmas(made):
                            insert(new)
        return [clause for clause in known if clause.selected < 0]

    def _beats(self, general: Clause, special: Clause) -> bool:
        """`subsumes` for clauses of a goal: what the one has strictly before, the other must have so too."""
        assert general.marks is not None
        assert special.marks is not None
        if self.lemmas.inductive and any(m.strict for m in general.marks) and not all(m.strict for m in special.marks):
            return False
        return subsumes(general, special)

    def _ignore_a_hint(self, clause: Clause) -> None:
        """Selects a hypothesis that a hint keeps from being selected, if that is allowed still."""
        assert clause.marks is not None
        for i, (fact, mark) in enumerate(zip(clause.hypotheses, clause.marks, strict=True)):
            if mark.budget > 0 and self.selection.ignoring(fact):
                clause.selected = i
                less = Mark(mark.strict, mark.budget - 1)
                clause.marks = (*clause.marks[:i], less, *clause.marks[i + 1 :])
                return


def _mark(made: Clause, first: Clause, second: Clause) -> None:
    """Marks what came of resolving a goal, `second`: the hypotheses of `first` hold strictly before its conclusion."""
    assert second.marks is not None
    at, count = second.selected, len(first.hypotheses)
    marks = (Mark(True, second.marks[at].budget),) * count + second.marks[:at] + second.marks[at + 1 :]
    made.marks = tuple(marks[source] for source, _ in made.history.sources)


def resolve(normalizer: Normalizer, first: Clause, second: Clause, index: int) -> list[Clause]:
    """The clauses got by replacing hypothesis `index` of `second` by the hypotheses of `first`."""
    pair = (first.conclusion, second.hypotheses[index])
    if pair in normalizer.apart:
        return []
    conclusion, hypotheses, neqs = second.shifted()
    bindings: Bindings = {}
    if not unify(first.conclusion, hypotheses[index], bindings):
        if len(normalizer.apart) < REMEMBERED:
            normalizer.apart.add(pair)
        return []

    return normalizer.clauses(
        conclusion,
        (*first.hypotheses, *hypotheses[:index], *hypotheses[index + 1 :]),
        (*first.neqs, *neqs),
        bindings,
        History((), (), (), None, first, second, index),
    )
