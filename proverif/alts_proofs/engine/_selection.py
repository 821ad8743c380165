"""Which hypothesis of a clause to resolve upon: a heuristic that decides about termination, not about truth.

Two facts are never selected: ``attacker(x)``, and events as hypotheses. Large facts are preferred. A hypothesis that
the clause itself would make grow for ever is avoided, and so are facts of its shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alts_proofs.engine._clauses import about_attacker, is_free
from alts_proofs.engine._facts import BLOCKING
from alts_proofs.engine._terms import App, Bindings, Symbol, Term, app, match

_NEVER = -10000
_CYCLE = -7000
_LEARNED = -5000
_GOAL = -4000
_CONCLUSION = -1


@dataclass(frozen=True, slots=True)
class Shape:
    """Facts of a shape and their weight. The variables in `exact` stand for variables, the others for anything."""

    fact: App
    exact: frozenset[int]
    weight: int

    def fits(self, fact: App) -> bool:
        """Whether `fact` has this shape."""
        bindings: Bindings = {}
        if not match(self.fact, fact, bindings, []):
            return False
        return all(isinstance(bindings[v], int) for v in self.exact if v in bindings)


class Selection:
    """Selects, and learns shapes to avoid."""

    def __init__(
        self, hints: Sequence[Shape], conclusions: Sequence[Shape], goal: Symbol, ignored: Sequence[Shape] = ()
    ) -> None:
        self.shapes: dict[Symbol, list[Shape]] = {}
        for hint in hints:
            self.shapes.setdefault(hint.fact.sym, []).append(hint)
        self.conclusions = list(conclusions)
        self.goal = goal
        self.ignored = list(ignored)
        """Hints that goals may ignore a few times."""

    def ignoring(self, fact: App) -> bool:
        """Whether what keeps `fact` from being selected may be ignored a few times."""
        return any(shape.fits(fact) for shape in self.ignored)

    def select(self, conclusion: App, hypotheses: tuple[App, ...], learn: bool = True) -> int:
        """The index of the selected hypothesis, or -1."""
        best, best_weight = -1, self._conclusion_weight(conclusion, hypotheses)
        general, general_weight = -1, best_weight
        for i, fact in enumerate(hypotheses):
            if fact.sym in BLOCKING or is_free(fact):
                continue
            weight = self._weight(fact)
            if weight == 0 or weight > _CYCLE:
                if would_grow(conclusion, fact):
                    weight = _CYCLE
                elif weight == 0:
                    weight = fact.size
            if weight <= best_weight and weight <= general_weight:
                continue
            if match(fact, conclusion, {}, []):
                if weight > general_weight:
                    general, general_weight = i, weight
            elif weight > best_weight:
                best, best_weight = i, weight
        if best >= 0:
            return best
        if general < 0 and learn:
            for fact in hypotheses:
                if fact.sym is conclusion.sym and not is_free(fact) and would_grow(conclusion, fact):
                    self._learn(fact, conclusion)
        return general

    def _conclusion_weight(self, conclusion: App, hypotheses: tuple[App, ...]) -> int:
        if conclusion.sym is self.goal:
            return _GOAL
        if about_attacker(conclusion.sym) and isinstance(conclusion.args[0], int):
            return _NEVER
        for shape in self.conclusions:
            if shape.fits(conclusion):
                return shape.weight
        if any(would_grow(fact, conclusion) for fact in hypotheses):
            return _CYCLE
        return _CONCLUSION

    def _weight(self, fact: App) -> int:
        for shape in self.shapes.get(fact.sym, ()):
            if shape.fits(fact):
                return shape.weight
        return 0

    def _learn(self, fact: App, conclusion: App) -> None:
        exact: set[int] = set()
        shape = _generalised(fact, conclusion, exact)
        assert isinstance(shape, App)
        known = self.shapes.setdefault(fact.sym, [])
        new = Shape(shape, frozenset(exact), _LEARNED)
        if not any(old.weight <= _LEARNED and old.exact <= new.exact and old.fits(shape) for old in known):
            known.append(new)
            known.sort(key=lambda one: one.weight)


def would_grow(special: App, general: App) -> bool:
    """Whether `special` is an instance of `general` in which a variable stands for a term that leads back to it.

    Resolving upon `general` with a conclusion `special`, again and again, would give ever larger terms. Both are in
    one clause and share its variables.
    """
    if special.sym is not general.sym:
        return False
    bindings: Bindings = {}
    if not match(general, special, bindings, []):
        return False
    for variable, value in bindings.items():
        if isinstance(value, int):
            continue
        seen: set[int] = set()
        stack: list[Term] = [value]
        while stack:
            one = stack.pop()
            if isinstance(one, App):
                if not one.ground:
                    stack.extend(one.args)
            elif one == variable:
                return True
            elif one not in seen:
                seen.add(one)
                if one in bindings:
                    stack.append(bindings[one])
    return False


def _generalised(general: Term, special: Term, exact: set[int]) -> Term:
    """`general`; the variables that meet more than a variable in `special` become exact."""
    if isinstance(general, int):
        if isinstance(special, App):
            exact.add(general)
        return general
    assert isinstance(special, App)
    return app(general.sym, tuple(_generalised(g, s, exact) for g, s in zip(general.args, special.args, strict=True)))
