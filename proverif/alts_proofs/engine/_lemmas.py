"""Lemmas: queries that were proved, used as facts while others are proved; and induction.

Why it is sound to add the conclusion of a lemma to the hypotheses of a clause. What is proved about clauses is this:
every fact that becomes true in a run, at whatever moment, has a derivation by clauses of the set in which the
hypotheses of each clause hold in that run not later than its conclusion. If among the hypotheses of an instance of a
clause there is an instance of the premise of a lemma, the lemma's conclusion holds in that run too, not later than the
last of them. So the instance with the conclusion among its hypotheses has its hypotheses true as well, and does for
the one without; if the conclusion cannot hold, no run has that instance, and the clause goes. For this the lemma must
hold in every run: it was proved here, before, with nothing but lemmas proved before it. Of an injective one no more is
used than that the events behind were executed.

Induction. Take the moments at which facts become true for the first time, a step of the attacker being a moment of its
own, where data and its parts are had at the same moment. The hypotheses of a clause then hold strictly before its
conclusion: a process takes before it gives, the attacker has before it makes. A lemma may be used in its own proof, or
in that of another of its group, for an instance whose premise is smaller: every fact of it holds strictly before some
fact of the premise that the goal is about. Such are the hypotheses of every clause of the set, for the conclusion is
not later than that fact; and those of a goal that have come by resolution, not those that it began with (`Mark`). By
induction over the multisets of moments the use is justified, provided that in the end the whole group is proved.
What is public the attacker has from the very first moment, so one fact at least must be none of that kind.
Facts declared with ``not`` belong to the same induction: that the first of them has no derivation is shown with clauses
that rest on lemmas about earlier moments only, and no lemma is applied to the fact itself.

Conclusions of clauses count as part of a premise too, with lemmas that are proved, but only to drop the clause or to
make terms equal: events that come with it would not be earlier than it. Terms with equations have several ways to be
written, so lemmas that speak of functions with equations are proved but not used; nor are those with inequalities in
front.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from alts_proofs.engine import _core as core
from alts_proofs.engine._clauses import Clause, History, Mark, Normalizer, about_attacker, is_public, parts
from alts_proofs.engine._facts import (
    BEGIN,
    END,
    INJ_BEGIN,
    INJ_END,
    attacker,
    entails,
    mess,
    neq,
    row,
    simplify_neq,
)
from alts_proofs.engine._terms import (
    App,
    Bindings,
    Symbol,
    Term,
    app,
    match,
    mentions,
    rename,
    substitute,
    unify,
    vars_of,
)
from alts_proofs.engine._theory import Theory

# A clause takes up no more conclusions of lemmas than this.
_MOST = 40
# Nor does one that is larger than this: conclusions that repeat their variables double it each time.
_LARGEST = 4096


@dataclass(frozen=True, slots=True)
class Disjunct:
    """One way in which a conclusion holds: events as ``begin`` facts, what is equal and what is not."""

    events: tuple[App, ...]
    equal: tuple[tuple[Term, Term], ...]
    unequal: tuple[tuple[Term, Term], ...]


@dataclass(frozen=True, slots=True)
class Lemma:
    """A lemma ready for use. `strict`: it is not proved yet, and used by induction only."""

    premise: tuple[App, ...]
    disjuncts: tuple[Disjunct, ...]
    saturation: core.Application
    solving: core.Application
    strict: bool
    events: frozenset[Symbol]
    bits: int
    """Of the symbols of the premise's events."""


def usable(query: core.Query, theory: Theory) -> bool:
    """Whether a lemma can be used: see above."""
    terms = [term for atoms in (query.left, *query.right) for atom in atoms for term in atom.args]
    facts_only = all(atom.kind != "<>" for atom in query.left)
    return query.unsupported is None and facts_only and not mentions(terms, theory.equational)


def premise(query: core.Query, model: core.Model) -> list[App]:
    """The facts in front of ``==>``, events as ``begin`` facts."""
    found: list[App] = []
    for atom in query.left:
        phase = atom.phase if atom.phase >= 0 else model.phases
        match atom.kind:
            case "attacker":
                found += [fact for fact, _ in parts(attacker(atom.args[0], phase))]
            case "mess":
                found.append(mess(atom.args[0], atom.args[1], phase))
            case "table":
                found.append(row(atom.args[0], phase))
            case _:
                found.append(app(BEGIN, atom.args))
    return found


def compiled(query: core.Query, model: core.Model, strict: bool) -> Lemma:
    """The lemma that a query is."""
    facts = premise(query, model)
    # What the attacker has comes last: events and rows say what it is about.
    facts.sort(key=lambda fact: (fact.sym is not BEGIN, about_attacker(fact.sym), -fact.size))
    disjuncts: list[Disjunct] = []
    for disjunct in query.right:
        events = tuple(app(BEGIN, atom.args) for atom in disjunct if atom.kind == "event")
        equal = tuple((atom.args[0], atom.args[1]) for atom in disjunct if atom.kind == "=")
        unequal = tuple((atom.args[0], atom.args[1]) for atom in disjunct if atom.kind == "<>")
        disjuncts.append(Disjunct(events, equal, unequal))
    symbols = {_sym(fact.args[0]) for fact in facts if fact.sym is BEGIN}
    bits = 0
    for symbol in symbols:
        bits |= symbol.bit
    return Lemma(tuple(facts), tuple(disjuncts), query.saturation, query.solving, strict, frozenset(symbols), bits)


def _sym(term: Term) -> Symbol:
    assert isinstance(term, App)
    return term.sym


@dataclass(frozen=True, slots=True)
class _Given:
    """What a premise may be found among. `strict`: before what is to be proved; `late`: the conclusion of a clause."""

    fact: App
    strict: bool
    late: bool = False


class Lemmas:
    """The lemmas at hand while one set is saturated and its goals are solved."""

    def __init__(self, lemmas: Sequence[Lemma], normalizer: Normalizer) -> None:
        self.normalizer = normalizer
        self.saturating = [lemma for lemma in lemmas if lemma.saturation != "none"]
        self.solving = [lemma for lemma in lemmas if lemma.solving != "none"]
        self.inductive = any(lemma.strict for lemma in lemmas)

    def saturated(self, clause: Clause) -> list[Clause]:
        """What is left of a clause of the set when lemmas are applied."""
        if not self.saturating or clause.is_standard():
            return [clause]
        return self._close(clause, self.saturating, None)

    def solved(self, clause: Clause, goal: Sequence[App]) -> list[Clause]:
        """What is left of a goal; `goal` are the facts in front of ``==>``, which hold as well."""
        if not self.solving:
            return [clause]
        return self._close(clause, self.solving, goal)

    def _close(self, clause: Clause, lemmas: Sequence[Lemma], goal: Sequence[App] | None) -> list[Clause]:
        done: list[Clause] = []
        waiting = [clause]
        budget = _MOST
        while waiting:
            one = waiting.pop()
            made = self._first(one, lemmas, goal) if budget > 0 and one.size <= _LARGEST else None
            budget -= 1
            if made is None:
                done.append(one)
            else:
                waiting += made
        return done

    def _first(self, clause: Clause, lemmas: Sequence[Lemma], goal: Sequence[App] | None) -> list[Clause] | None:
        """The clauses that the first lemma that says something about `clause` makes of it; None if none does."""
        given: list[_Given] | None = None
        for lemma in lemmas:
            if goal is None and lemma.bits & ~clause.bits:
                continue
            if given is None:
                given = _given(clause, goal)
                there = {_sym(one.fact.args[0]) for one in given if one.fact.sym is BEGIN}
            if not lemma.events <= there:
                continue
            for bindings, strict, late in _found(lemma, given, clause):
                made = self._apply(clause, lemma, bindings, strict, late, goal is not None)
                if made is not None:
                    return made
        return None

    def _apply(
        self, clause: Clause, lemma: Lemma, bindings: Bindings, strict: bool, late: bool, solving: bool
    ) -> list[Clause] | None:
        """The clauses that an instance of a lemma makes; None if it says nothing new, or is not to be used so."""
        mode = lemma.solving if solving else lemma.saturation
        if late and any(disjunct.events for disjunct in lemma.disjuncts):
            return None
        made: list[Clause] = []
        # Variables of the lemma that the premise leaves open exist: they get numbers of their own.
        known = {**bindings}
        most = max((v for fact in (clause.conclusion, *clause.hypotheses) for v in vars_of(fact)), default=-1)
        fresh = most + 1

        def instance(variable: int) -> Term:
            nonlocal fresh
            if variable not in known:
                known[variable] = fresh
                fresh += 1
            return known[variable]

        for disjunct in lemma.disjuncts:
            events = tuple(_app(rename(event, instance)) for event in disjunct.events)
            equal = tuple((rename(a, instance), rename(b, instance)) for a, b in disjunct.equal)
            own = set(bindings)
            unequal = [
                neq(((rename(a, instance), rename(b, instance)),))
                for a, b in disjunct.unequal
                if _variables(a) | _variables(b) <= own
            ]
            unifier: Bindings = {}
            if not all(unify(a, b, unifier) for a, b in equal):
                continue
            _bind_greater(unifier, most)
            if not any(v <= most for v in unifier):
                constraints = [simplify_neq(constraint, unifier) for constraint in unequal]
                if False in constraints:
                    continue
                if all(c is True or (isinstance(c, App) and entails(clause.neqs, c)) for c in constraints) and _there(
                    [_app(substitute(event, unifier)) for event in events], clause, most
                ):
                    return None
                if mode in ("instantiate", "discard"):
                    return None
            elif mode == "discard":
                return None
            made += self._extended(clause, events, equal, unequal, unifier, strict)
        return made

    def _extended(
        self,
        clause: Clause,
        events: tuple[App, ...],
        equal: tuple[tuple[Term, Term], ...],
        unequal: list[App],
        unifier: Bindings,
        strict: bool,
    ) -> list[Clause]:
        made = self.normalizer.clauses(
            clause.conclusion,
            (*clause.hypotheses, *events),
            (*clause.neqs, *unequal),
            unifier,
            replace(_EMPTY, base=clause, added=events, equal=equal),
        )
        if clause.marks is not None:
            marks = (*clause.marks, *(Mark(strict, 0) for _ in events))
            for one in made:
                one.marks = tuple(marks[source] for source, _ in one.history.sources)
        return made


_EMPTY = History((), ())


def _app(term: Term) -> App:
    assert isinstance(term, App)
    return term


def _variables(term: Term) -> frozenset[int]:
    return frozenset((term,)) if isinstance(term, int) else vars_of(term)


def _bind_greater(bindings: Bindings, most: int) -> None:
    """Where a variable up to `most` stands for one above, turns that round."""
    for variable in sorted(v for v in bindings if v <= most):
        value = substitute(variable, bindings)
        if isinstance(value, int) and value > most:
            del bindings[variable]
            bindings[value] = variable


def _there(events: list[App], clause: Clause, most: int) -> bool:
    """Whether a clause has these events already, for some value of the variables above `most`."""
    had = [app(BEGIN, (fact.args[0],)) for fact in clause.hypotheses if fact.sym in (BEGIN, INJ_BEGIN)]
    fixed: Bindings = {v: v for event in events for v in vars_of(event) if v <= most}

    def find(position: int, bindings: Bindings) -> bool:
        if position == len(events):
            return True
        for fact in had:
            trial = dict(bindings)
            if match(events[position], fact, trial, []) and find(position + 1, trial):
                return True
        return False

    return find(0, fixed)


def _given(clause: Clause, goal: Sequence[App] | None) -> list[_Given]:
    """All that holds when a clause is used. In a goal, `goal` are the facts that it is about."""
    found: list[_Given] = []
    for i, fact in enumerate(clause.hypotheses):
        strict = clause.marks[i].strict if clause.marks is not None else goal is None
        if fact.sym is INJ_BEGIN:
            fact = app(BEGIN, (fact.args[0],))
        found.append(_Given(fact, strict))
    if goal is not None:
        values = clause.conclusion.args
        for fact in goal:
            instance = _app(rename(fact, lambda v: values[v]))
            found += [_Given(part, False) for part, _ in parts(instance)]
    elif clause.conclusion.sym in (END, INJ_END):
        found.append(_Given(app(BEGIN, (clause.conclusion.args[0],)), False, True))
    else:
        found.append(_Given(clause.conclusion, False, True))
    return found


def _found(lemma: Lemma, given: list[_Given], clause: Clause) -> Iterator[tuple[Bindings, bool, bool]]:
    """The instances of the premise: bindings, whether all holds strictly before, whether the conclusion is part."""

    def search(
        position: int, bindings: Bindings, strict: bool, late: bool, real: bool
    ) -> Iterator[tuple[Bindings, bool, bool]]:
        if position == len(lemma.premise):
            if real or not lemma.strict:
                yield bindings, strict and real, late
            return
        pattern = lemma.premise[position]
        met = False
        for one in given:
            if one.fact.sym is not pattern.sym or (lemma.strict and not one.strict):
                continue
            trial = dict(bindings)
            if match(pattern, one.fact, trial, []):
                met = True
                yield from search(position + 1, trial, strict and one.strict, late or one.late, True)
        if met or not about_attacker(pattern.sym):
            return
        # Data that is made of what the attacker has.
        if all(v in bindings for v in _variables(pattern.args[0])):
            known = bindings
            term = rename(pattern.args[0], lambda v: known[v])
            had = _had(app(pattern.sym, (term,)), given, lemma.strict)
            if had is not None:
                facts = had
                yield from search(
                    position + 1,
                    bindings,
                    strict and all(one.strict for one in facts),
                    late or any(one.late for one in facts),
                    real or bool(facts),
                )

    yield from search(0, {}, True, False, False)


def _had(fact: App, given: list[_Given], strict: bool) -> list[_Given] | None:
    """The facts from which the attacker has `fact` as data or as something public; None if it need not have it."""
    used: list[_Given] = []
    for part, _ in parts(fact):
        term = part.args[0]
        if isinstance(term, App) and is_public(term):
            continue
        one = next((one for one in given if one.fact == part and (one.strict or not strict)), None)
        if one is None:
            return None
        used.append(one)
    return used
