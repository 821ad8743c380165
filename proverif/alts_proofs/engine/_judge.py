"""From queries to goals, and from what is left of a goal to a verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from alts_proofs.engine import _core as core
from alts_proofs.engine._clauses import Clause, one_value_each
from alts_proofs.engine._evaluate import Evaluator, State
from alts_proofs.engine._facts import (
    BEGIN,
    END,
    INJ_BEGIN,
    INJ_END,
    TOOK,
    Origin,
    RawClause,
    attacker,
    mess,
    neq,
    row,
    simplify_neq,
)
from alts_proofs.engine._saturate import Stop
from alts_proofs.engine._terms import (
    App,
    Bindings,
    Symbol,
    Term,
    app,
    match,
    mentions,
    rename,
    shift,
    substitute,
    unify,
)
from alts_proofs.engine._theory import Theory
from alts_proofs.engine._translate import Watch, by_sessions

GOAL = Symbol("goal", 0, "predicate")
_FREE = 1 << 24


def watch(queries: list[core.Query], lemmas: Iterable[core.Query] = ()) -> Watch:
    """The events that the queries and the lemmas used for them speak of."""
    ends: dict[Symbol, bool] = {}
    begins: dict[Symbol, bool] = {}
    for query in queries:
        for atoms, events in ((query.left, ends), *((disjunct, begins) for disjunct in query.right)):
            for atom in atoms:
                if atom.kind == "event":
                    event = _event(atom).sym
                    events[event] = events.get(event, False) or atom.injective
    for lemma in lemmas:
        for atom in (*lemma.left, *(atom for disjunct in lemma.right for atom in disjunct)):
            if atom.kind == "event":
                begins.setdefault(_event(atom).sym, False)
    return Watch(ends, begins)


def _event(atom: core.Atom) -> App:
    event = atom.args[0]
    assert isinstance(event, App)
    return event


def variants(
    terms: tuple[Term, ...], theory: Theory, given: Collection[Term] = ()
) -> list[tuple[Bindings, tuple[Term, ...]]]:
    """The ways to write terms for the equations: bindings of their variables, and the terms under them.

    Terms of `given` are written as they should be.
    """
    if not theory.equational:
        return [({}, terms)]
    evaluator = Evaluator(theory)
    # New variables are far above those that are in use.
    evaluator._next = _FREE

    def write(term: Term, state: State) -> Iterator[tuple[State, Term]]:
        if isinstance(term, int) or term in given:
            yield state, term
            return
        for reached, args in write_all(term.args, state):
            for after, value in evaluator.apply(term.sym, args, reached, False):
                assert value is not None
                yield after, value

    def write_all(args: tuple[Term, ...], state: State) -> Iterator[tuple[State, tuple[Term, ...]]]:
        if not args:
            yield state, ()
            return
        for reached, first in write(args[0], state):
            for after, rest in write_all(args[1:], reached):
                yield after, (first, *rest)

    return [
        (state.bindings, tuple(substitute(term, state.bindings) for term in written))
        for state, written in write_all(terms, State())
    ]


def count_variables(query: core.Query) -> int:
    """One more than the greatest variable of a query."""
    greatest = -1
    stack: list[Term] = [t for atoms in (query.left, *query.right) for atom in atoms for t in atom.args]
    while stack:
        one = stack.pop()
        if isinstance(one, int):
            greatest = max(greatest, one)
        else:
            stack.extend(one.args)
    return greatest + 1


def goals(query: core.Query, model: core.Model, watched: Watch) -> list[RawClause]:
    """The goals to solve for a query: all ways in which its left side may hold.

    The conclusion carries the values of the query's variables and then the executions of the injective events.
    """
    count = count_variables(query)
    found: list[RawClause] = []
    left = [atom for atom in query.left if atom.kind != "<>"]
    terms = tuple(term for atom in left for term in atom.args)
    for bindings, written in variants(terms, model.theory):
        rest = iter(written)
        facts: list[App] = []
        executions: list[Term] = []
        for atom in left:
            args = tuple(next(rest) for _ in atom.args)
            facts.append(_left_fact(atom, args, model, watched, 2 * _FREE + len(facts)))
            if atom.injective:
                executions.append(facts[-1].args[1])
        values = (*(substitute(v, bindings) for v in range(count)), *executions)
        hypotheses = []
        for fact in facts:
            new = substitute(fact, bindings)
            assert isinstance(new, App)
            hypotheses.append(new)
        neqs = tuple(neq(((atom.args[0], atom.args[1]),)) for atom in query.left if atom.kind == "<>")
        constraints = [simplify_neq(constraint, bindings) for constraint in neqs]
        if False not in constraints:
            kept = tuple(constraint for constraint in constraints if isinstance(constraint, App))
            found.append(RawClause(app(GOAL, values), tuple(hypotheses), kept, Origin("goal")))
    return found


def _left_fact(atom: core.Atom, args: tuple[Term, ...], model: core.Model, watched: Watch, fresh: int) -> App:
    # A query that names no phase means the last one, in which the attacker has all that it had before.
    phase = atom.phase if atom.phase >= 0 else model.phases
    match atom.kind:
        case "attacker":
            return attacker(args[0], phase)
        case "mess":
            return mess(args[0], args[1], phase)
        case "table":
            return row(args[0], phase)
    event = args[0]
    assert isinstance(event, App)
    return app(INJ_END, (event, fresh)) if watched.ends[event.sym] else app(END, (event,))


@dataclass(frozen=True, slots=True)
class Match:
    """A way in which a clause satisfies the right side: the injective events that it takes, and their executions."""

    executions: tuple[tuple[int, Term], ...]


def matches(query: core.Query, clause: Clause, theory: Theory) -> list[Match]:
    """The ways in which a clause that is left of a goal satisfies the right side."""
    constants: dict[App, int] = {}

    def constant(variable: int) -> Term:
        made = app(_constant(variable))
        constants[made] = variable
        return made

    def back(term: Term) -> Term:
        if isinstance(term, int):
            return term
        if term in constants:
            return constants[term]
        return app(term.sym, tuple(back(arg) for arg in term.args))

    count = count_variables(query)
    values = tuple(rename(value, constant) for value in clause.conclusion.args[:count])
    begins: list[tuple[Term, Term | None]] = []
    for fact in clause.hypotheses:
        if fact.sym is BEGIN:
            begins.append((rename(fact.args[0], constant), None))
        elif fact.sym is INJ_BEGIN:
            begins.append((rename(fact.args[0], constant), rename(fact.args[1], constant)))
    begins += _own(query, values, [rename(one, constant) for one in clause.conclusion.args[count:]], theory)
    given: set[Term] = set()
    if theory.equational and any(atom.kind == "<>" for disjunct in query.right for atom in disjunct):
        given = _subterms([*clause.conclusion.args[:count], *(back(event) for event, _ in begins)])
    found: list[Match] = []
    for disjunct in query.right:
        facts = [atom for atom in disjunct if atom.kind != "<>"]
        terms = tuple(term for atom in facts for term in atom.args)
        for bindings, written in variants(terms, theory):
            # The values must be what this way of writing takes them for.
            start: Bindings = {}
            if not all(
                match(substitute(v, bindings), values[v], start, []) for v in range(count) if v in _bound(query)
            ):
                continue
            rest = iter(written)
            atoms = [(atom, tuple(next(rest) for _ in atom.args)) for atom in facts]
            for solution, executions in _events(atoms, begins, start):
                if not all(unify(args[0], args[1], solution) for atom, args in atoms if atom.kind == "="):
                    continue
                unequal = [
                    tuple(substitute(substitute(arg, bindings), solution) for arg in atom.args)
                    for atom in disjunct
                    if atom.kind == "<>"
                ]
                if all(_differ(left, right, clause, theory, given, back) for left, right in unequal):
                    found.append(Match(tuple((event, back(execution)) for event, execution in executions)))
    return found


def _subterms(terms: Iterable[Term]) -> set[Term]:
    found: set[Term] = set()
    stack = list(terms)
    while stack:
        one = stack.pop()
        if one not in found:
            found.add(one)
            if isinstance(one, App):
                stack.extend(one.args)
    return found


def _own(
    query: core.Query, values: tuple[Term, ...], executions: list[Term], theory: Theory
) -> Iterator[tuple[Term, Term | None]]:
    """The events in front: they have happened as well."""
    rest = iter(executions)
    for atom in query.left:
        execution = next(rest) if atom.injective else None
        if atom.kind == "event" and not mentions(atom.args, theory.equational):
            yield rename(atom.args[0], lambda v: values[v]), execution


def ends(query: core.Query, clause: Clause, theory: Theory, early: bool) -> Stop:
    """Whether a clause satisfies the right side: so does then whatever is resolved from it.

    It is ``proved`` if there is nothing to be told apart, else ``enough`` if `early`.
    """
    ways = matches(query, clause, theory) if query.right else []
    if any(not way.executions for way in ways):
        return "proved"
    return "enough" if ways and early else None


_CONSTANTS: dict[int, Symbol] = {}


def _constant(variable: int) -> Symbol:
    found = _CONSTANTS.get(variable)
    if found is None:
        found = _CONSTANTS[variable] = Symbol(f"x{variable}", 0, "constructor")
    return found


def _bound(query: core.Query) -> set[int]:
    """The variables of the left side; the others are existential."""
    found: set[int] = set()
    stack: list[Term] = [term for atom in query.left for term in atom.args]
    while stack:
        one = stack.pop()
        if isinstance(one, int):
            found.add(one)
        else:
            stack.extend(one.args)
    return found


_Atoms = list[tuple[core.Atom, tuple[Term, ...]]]


def _events(
    atoms: _Atoms, begins: list[tuple[Term, Term | None]], bindings: Bindings
) -> Iterator[tuple[Bindings, tuple[tuple[int, Term], ...]]]:
    """The ways to find the events of a disjunct among those executed."""
    if not atoms:
        yield bindings, ()
        return
    atom, args = atoms[0]
    if atom.kind != "event":
        yield from _events(atoms[1:], begins, bindings)
        return
    for event, execution in begins:
        trial = dict(bindings)
        if (atom.injective and execution is None) or not match(args[0], event, trial, []):
            continue
        for solution, executions in _events(atoms[1:], begins, trial):
            if atom.injective:
                assert execution is not None
                yield solution, ((atom.occurrence, execution), *executions)
            else:
                yield solution, executions


def _differ(
    left: Term, right: Term, clause: Clause, theory: Theory, given: set[Term], back: Callable[[Term], Term]
) -> bool:
    """Whether terms differ for sure in all that a clause stands for; not if they have variables of their own.

    Variables of clauses stand for canonical terms, and what a clause contains, `given`, is canonical with them. Other
    terms with equations have several ways to be written: they are equal if they are so in one of them.
    """
    if not (isinstance(left, App) and left.ground and isinstance(right, App) and right.ground):
        return False
    for bindings, (one, other) in variants((back(left), back(right)), theory, given):
        equal = dict(bindings)
        if unify(one, other, equal) and _may_be(clause, equal, theory):
            return False
    return True


def _may_be(clause: Clause, bindings: Bindings, theory: Theory) -> bool:
    """Whether some canonical terms may make `clause` an instance that has `bindings`."""
    for constraint in clause.neqs:
        args = [theory.ordered_form(substitute(arg, bindings)) for arg in constraint.args]
        if simplify_neq(constraint, bindings) is False or args[::2] == args[1::2]:
            return False
    facts = [substitute(fact, bindings) for fact in (clause.conclusion, *clause.hypotheses)]
    return all(map(theory.is_normal, facts)) and theory.is_coherent(fact for fact in facts if isinstance(fact, App))


@dataclass(frozen=True, slots=True)
class Failure:
    """A clause that satisfies no disjunct; with `other`, two that share the execution of an injective event."""

    clause: Clause
    other: Clause | None = None
    first: Term | None = None
    second: Term | None = None


def judge(query: core.Query, clauses: list[Clause], theory: Theory) -> list[Failure]:
    """What speaks against a query: nothing if it is true."""
    found: list[Failure] = []
    choices: list[tuple[Clause, list[Match]]] = []
    count = count_variables(query)
    for clause in clauses:
        ways = matches(query, clause, theory)
        if not ways:
            found.append(Failure(clause))
        elif all(way.executions for way in ways):
            # If some way has no injective event, nothing has to be told apart.
            choices.append((clause, ways))
    if found or not choices:
        return found
    return _injective(choices, count)


def _injective(choices: list[tuple[Clause, list[Match]]], count: int) -> list[Failure]:
    """Looks for one way for each clause such that no execution is needed for two; gives the first obstacles if none."""
    obstacles: list[Failure] = []
    chosen: list[tuple[Clause, Match]] = []
    budget = 20_000

    def extend(position: int) -> bool:
        nonlocal budget
        if position == len(choices):
            return True
        clause, ways = choices[position]
        for way in ways:
            budget -= 1
            if budget < 0:
                return False
            for other, theirs in (*chosen, (clause, way)):
                clash = _clash(other, theirs, clause, way, count)
                if clash is not None:
                    if len(obstacles) < 32:
                        obstacles.append(clash)
                    break
            else:
                chosen.append((clause, way))
                if extend(position + 1):
                    return True
                chosen.pop()
        return False

    return [] if extend(0) else obstacles


def _one_run(first: Clause, second: Clause, bindings: Bindings) -> bool:
    """Whether both clauses can be about one run, under extended `bindings`: no execution takes two values."""
    facts = [fact for fact in (*first.hypotheses, *second.shifted()[1]) if fact.sym is TOOK]
    size = -1
    while size != len(bindings):
        size = len(bindings)
        done = [substitute(fact, bindings) for fact in facts]
        if not one_value_each([fact for fact in done if isinstance(fact, App)], bindings):
            return False
    return True


def comparable(one: Term, other: Term) -> tuple[Term, Term]:
    """Two executions in one notation: one is perhaps in front, the other behind, or one is not known yet."""
    if isinstance(one, App) and isinstance(other, App) and one.sym is other.sym:
        return one, other
    return by_sessions(one), by_sessions(other)


def _clash(first: Clause, one: Match, second: Clause, two: Match, count: int) -> Failure | None:
    """Whether different executions of the events in front may have the same execution behind.

    They are the arguments of the conclusions behind the first `count`. It is enough that one of them differs.
    """
    for (event, mine), (other, theirs) in product(one.executions, two.executions):
        bindings: Bindings = {}
        # An event that stands beside a disjunction belongs to several disjuncts.
        if event != other or not unify(*comparable(mine, shift(theirs)), bindings):
            continue
        if not _one_run(first, second, bindings):
            continue
        front = [substitute(term, bindings) for term in first.conclusion.args[count:]]
        if front == [substitute(shift(term), bindings) for term in second.conclusion.args[count:]]:
            continue
        if any(simplify_neq(c, bindings) is False for c in (*first.neqs, *second.shifted()[2])):
            continue
        return Failure(first, second, mine, theirs)
    return None
