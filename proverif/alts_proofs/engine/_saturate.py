"""Saturation by resolution with selection, and solving goals over what comes out of it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

from alts_proofs.engine._clauses import Clause, History, Normalizer, subsumes
from alts_proofs.engine._facts import INJ_END, RawClause
from alts_proofs.engine._selection import Selection
from alts_proofs.engine._terms import App, Bindings, Symbol, substitute, unify

Tick = Callable[[int, int, int], None]
"""Called with the clauses that were processed, those kept and those waiting; raises `TimeUp` to stop."""

_Key = tuple[Symbol, Symbol | None]


def _key(fact: App) -> _Key:
    # The message of mess(channel, message); of all other facts the first argument.
    telling = fact.args[1] if fact.sym.arity == 2 and fact.sym is not INJ_END else fact.args[0] if fact.args else None
    return (fact.sym, telling.sym if isinstance(telling, App) else None)


class _Index:
    """Clauses by predicate and the outermost symbol of the most telling argument of one of their facts."""

    def __init__(self) -> None:
        self.buckets: dict[Symbol, dict[Symbol | None, list[Clause]]] = {}

    def add(self, fact: App, clause: Clause) -> None:
        """Files `clause` under `fact`."""
        sym, top = _key(fact)
        self.buckets.setdefault(sym, {}).setdefault(top, []).append(clause)

    def remove(self, fact: App, clause: Clause) -> None:
        """Takes it out again."""
        sym, top = _key(fact)
        self.buckets[sym][top].remove(clause)

    def unifiable(self, fact: App) -> Iterator[list[Clause]]:
        """Buckets in which facts may unify with `fact`."""
        sym, top = _key(fact)
        buckets = self.buckets.get(sym)
        if buckets is None:
            return
        if top is None:
            yield from list(buckets.values())
            return
        for one in (top, None):
            bucket = buckets.get(one)
            if bucket:
                yield bucket

    def general(self, fact: App) -> Iterator[list[Clause]]:
        """Buckets in which facts may be more general than `fact`."""
        sym, top = _key(fact)
        buckets = self.buckets.get(sym)
        if buckets is not None:
            for one in {top, None}:
                bucket = buckets.get(one)
                if bucket:
                    yield bucket

    def special(self, fact: App) -> Iterator[list[Clause]]:
        """Buckets in which facts may be more special than `fact`."""
        sym, top = _key(fact)
        buckets = self.buckets.get(sym)
        if buckets is not None:
            if top is None:
                yield from list(buckets.values())
            elif top in buckets:
                yield buckets[top]


class Prover:
    """A set of clauses to saturate, and goals to solve over it."""

    def __init__(self, normalizer: Normalizer, selection: Selection, tick: Tick) -> None:
        self.normalizer = normalizer
        self.selection = selection
        self.tick = tick
        self.waiting: list[tuple[int, int, Clause]] = []
        self.known = _Index()
        self.by_conclusion = _Index()
        self.by_hypothesis = _Index()
        self.kept = 0
        self.done = 0
        self.number = 0

    # The set.

    def _insert(self, clause: Clause) -> None:
        """Adds a clause unless one says as much; takes out those that say no more."""
        conclusion = clause.conclusion
        for bucket in self.known.general(conclusion):
            for other in bucket:
                if subsumes(other, clause):
                    return
        for bucket in self.known.special(conclusion):
            beaten = [other for other in bucket if subsumes(clause, other)]
            for other in beaten:
                other.alive = False
                bucket.remove(other)
                if other.number < 0:
                    self._forget(other)
        self.number += 1
        clause.number = self.number
        self.known.add(conclusion, clause)
        heapq.heappush(self.waiting, (self._priority(clause), self.number, clause))

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
        first = [clause for raw in raws for clause in self.normalizer.raw(raw)]
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
        for clause in resolve(self.normalizer, first, second, second.selected):
            self._insert(clause)

    def solved(self) -> list[Clause]:
        """The clauses with the conclusion selected."""
        return [c for buckets in self.by_conclusion.buckets.values() for bucket in buckets.values() for c in bucket]

    # Goals.

    def solve(self, goal: RawClause, normalizer: Normalizer | None = None) -> list[Clause]:
        """What is left of a goal when its hypotheses are resolved with the saturated set: no clause if none can hold.

        Only hypotheses that are never selected, or that would be selected for ever, are left in the clauses.
        """
        normalizer = normalizer or self.normalizer
        waiting: list[tuple[int, int, Clause]] = []
        known: list[Clause] = []
        number = 0

        def insert(clause: Clause) -> None:
            nonlocal number
            if any(subsumes(other, clause) for other in known):
                return
            for other in known:
                if subsumes(clause, other):
                    other.alive = False
            known[:] = [other for other in known if other.alive]
            number += 1
            known.append(clause)
            heapq.heappush(waiting, (self._priority(clause), number, clause))

        for clause in normalizer.raw(goal):
            insert(clause)
        while waiting:
            clause = heapq.heappop(waiting)[2]
            if not clause.alive:
                continue
            self.done += 1
            self.tick(self.done, len(known), len(waiting))
            clause.selected = self.selection.select(clause.conclusion, clause.hypotheses, learn=False)
            if clause.selected < 0:
                continue
            # What it resolves to takes its place.
            known.remove(clause)
            for bucket in self.by_conclusion.unifiable(clause.hypotheses[clause.selected]):
                for other in bucket:
                    for new in resolve(normalizer, other, clause, clause.selected):
                        insert(new)
        return [clause for clause in known if clause.selected < 0]


def resolve(normalizer: Normalizer, first: Clause, second: Clause, index: int) -> list[Clause]:
    """The clauses got by replacing hypothesis `index` of `second` by the hypotheses of `first`."""
    conclusion, hypotheses, neqs = second.shifted()
    bindings: Bindings = {}
    if not unify(first.conclusion, hypotheses[index], bindings):
        return []

    def done(fact: App) -> App:
        new = substitute(fact, bindings)
        assert isinstance(new, App)
        return new

    left = [done(fact) for fact in first.hypotheses]
    left += [done(fact) for i, fact in enumerate(hypotheses) if i != index]
    return normalizer.clauses(
        done(conclusion),
        left,
        (*first.neqs, *neqs),
        bindings,
        History((), (), (), None, first, second, index),
    )
