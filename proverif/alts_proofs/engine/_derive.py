"""From a clause back to the raw clauses that it was made of, each with the values that the derivation gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from alts_proofs.engine import _core as core
from alts_proofs.engine._clauses import Clause, History, Path
from alts_proofs.engine._facts import Origin, Step
from alts_proofs.engine._terms import App, Bindings, Symbol, Term, app, rename, substitute, unify

_LARGEST = 6000
_MERGES = 400


class NoDerivation(Exception):
    """The derivation is too large, or does not fit together."""


@dataclass(frozen=True, slots=True)
class Use:
    """A raw clause with ground values: what it gives, from what, and for a process the points passed on the way."""

    origin: Origin
    conclusion: App
    hypotheses: tuple[App, ...]
    steps: tuple[Step, ...]


class Derivation:
    """Collects the uses of raw clauses that make up clauses, under one set of bindings."""

    def __init__(self, model: core.Model) -> None:
        self.model = model
        self.bindings: Bindings = {}
        self.uses: list[Use] = []
        self.next = 0
        self.count = 0

    def add(self, clause: Clause) -> tuple[App, tuple[App, ...]]:
        """Adds the derivation of `clause`; gives its conclusion and hypotheses in the variables of this derivation."""
        history = clause.history
        if history.raw is not None:
            base = self.next

            def number(variable: int) -> Term:
                self.next = max(self.next, base + variable + 1)
                return base + variable

            raw = history.raw
            conclusion = _renamed(raw.conclusion, number)
            hypotheses = [_renamed(fact, number) for fact in raw.hypotheses]
            steps = tuple(
                Step(
                    step.node, rename(step.term, number), None if step.channel is None else rename(step.channel, number)
                )
                for step in raw.origin.steps
            )
            if raw.origin.kind != "goal":
                self.uses.append(Use(raw.origin, conclusion, tuple(hypotheses), steps))
                if len(self.uses) > _LARGEST:
                    raise NoDerivation("it is too large")
        elif history.base is not None:
            conclusion, hypotheses = self._with_lemma(history.base, history)
        else:
            assert history.first is not None
            assert history.second is not None
            given, left = self.add(history.first)
            conclusion, right = self.add(history.second)
            if not unify(given, right[history.index], self.bindings):
                raise NoDerivation("it does not fit together")
            hypotheses = [*left, *(fact for i, fact in enumerate(right) if i != history.index)]
        for dropped, kept in history.merged:
            one, other = (self._at(hypotheses[source], path) for source, path in (dropped, kept))
            if not unify(one, other, self.bindings):
                raise NoDerivation("it does not fit together")
        return (
            self._at(conclusion, history.path),
            tuple(self._at(hypotheses[source], path) for source, path in history.sources),
        )

    def _with_lemma(self, base: Clause, history: History) -> tuple[App, list[App]]:
        """The derivation of a clause to which a lemma added events and equalities."""
        given, left = self.add(base)
        start = self.next

        def number(variable: int) -> Term:
            self.next = max(self.next, start + variable + 1)
            return start + variable

        pairs: list[tuple[Term, Term]] = [(_renamed(base.conclusion, number), given)]
        pairs += [(_renamed(own, number), fact) for own, fact in zip(base.hypotheses, left, strict=True)]
        pairs += [(rename(a, number), rename(b, number)) for a, b in history.equal]
        if not all(unify(a, b, self.bindings) for a, b in pairs):
            raise NoDerivation("it does not fit together")
        return given, [*left, *(_renamed(event, number) for event in history.added)]

    def _at(self, fact: App, path: Path) -> App:
        """``attacker`` of the part of its argument at `path`."""
        if not path:
            return fact
        term: Term = fact.args[0]
        for i in path:
            term = self._walk(term)
            if not isinstance(term, App):
                raise NoDerivation("it does not fit together")
            term = term.args[i]
        return app(fact.sym, (term,))

    def _walk(self, term: Term) -> Term:
        while isinstance(term, int) and term in self.bindings:
            term = self.bindings[term]
        return term

    def reconcile(self) -> None:
        """One session takes one message at a point: makes two that the derivation has one, where it leaves it open."""
        changed = True
        while changed:
            changed = False
            taken: dict[tuple[int, tuple[Term, ...]], Term] = {}
            for use in self.uses:
                sessions: tuple[Term, ...] = ()
                for step in use.steps:
                    if isinstance(step.node, core.Repl):
                        sessions = (*sessions, self._walk(step.term))
                        continue
                    term = substitute(step.term, self.bindings)
                    known = taken.setdefault((id(step.node), sessions), term)
                    if known == term:
                        continue
                    trial = dict(self.bindings)
                    if unify(known, term, trial):
                        self.bindings = trial
                        changed = True

    def merge(self, apart: tuple[Term, ...] = ()) -> None:
        """Makes sessions one wherever that leaves a possible run; those named in `apart` stay different."""
        points: dict[int, list[tuple[tuple[Term, ...], Term]]] = {}
        for use in self.uses:
            sessions: tuple[Term, ...] = ()
            for step in use.steps:
                if isinstance(step.node, core.Repl):
                    points.setdefault(id(step.node), []).append((sessions, step.term))
                    sessions = (*sessions, step.term)
        budget = _MERGES
        for found in points.values():
            kept: list[tuple[tuple[Term, ...], Term]] = []
            for prefix, session in found:
                for other_prefix, other in kept:
                    if self._walk(session) == self._walk(other):
                        break
                    trial = dict(self.bindings)
                    if not all(
                        unify(a, b, trial) for a, b in zip((*prefix, session), (*other_prefix, other), strict=True)
                    ):
                        continue
                    budget -= 1
                    if budget < 0:
                        return
                    merged = self._consistent(trial)
                    if merged is not None and len({substitute(one, merged) for one in apart}) == len(apart):
                        self.bindings = merged
                        break
                else:
                    kept.append((prefix, session))

    def _consistent(self, bindings: Bindings) -> Bindings | None:
        """`bindings` extended so that every session takes one message at a point, if that can be."""
        size = -1
        while size != len(bindings):
            size = len(bindings)
            taken: dict[tuple[int, tuple[Term, ...]], Term] = {}
            for use in self.uses:
                sessions: tuple[Term, ...] = ()
                for step in use.steps:
                    if isinstance(step.node, core.Repl):
                        sessions = (*sessions, substitute(step.term, bindings))
                        continue
                    known = taken.setdefault((id(step.node), sessions), step.term)
                    if known != step.term and not unify(known, step.term, bindings):
                        return None
        return bindings

    def ground(self) -> list[Use]:
        """The uses with values for all variables: sessions and fresh names of the attacker, all different."""
        self.reconcile()
        for use in self.uses:
            for step in use.steps:
                if isinstance(step.node, core.Repl):
                    session = self._walk(step.term)
                    if isinstance(session, int):
                        self.bindings[session] = app(Symbol(f"session{len(self.bindings)}", 0, "session"))
        return [
            Use(
                use.origin,
                self.value(use.conclusion),
                tuple(self.value(fact) for fact in use.hypotheses),
                tuple(
                    Step(step.node, self.term(step.term), None if step.channel is None else self.term(step.channel))
                    for step in use.steps
                ),
            )
            for use in self.uses
        ]

    def value(self, fact: App) -> App:
        """A fact without variables."""
        made = self.term(fact)
        assert isinstance(made, App)
        return made

    def term(self, term: Term) -> Term:
        """A term without variables: what is open is a fresh name of the attacker."""

        def fill(variable: int) -> Term:
            found = self.bindings.get(variable)
            if found is None:
                self.count += 1
                found = self.bindings[variable] = app(Symbol(f"a{self.count}", 0, "fresh"))
            return found

        return rename(substitute(term, self.bindings), fill)


def _renamed(fact: App, number: Callable[[int], Term]) -> App:
    made = rename(fact, number)
    assert isinstance(made, App)
    return made
