"""What a finished run shows: which facts hold in it, and whether it contradicts a query."""

from __future__ import annotations

from alts_proofs.engine import _core as core
from alts_proofs.engine._machine import Machine, tell
from alts_proofs.engine._terms import App, Bindings, Term, app, substitute, unify


def _holds(atom: core.Atom, args: tuple[App, ...], model: core.Model, machine: Machine) -> bool:
    """Whether a fact of the left side holds in the state of the machine."""
    phase = atom.phase if atom.phase >= 0 else model.phases
    match atom.kind:
        case "event":
            return any(event is args[0] for event, _ in machine.events)
        case "attacker":
            return _had(machine, args[0], phase)
        case "mess":
            if (args[0], args[1], phase) in machine.sent:
                return True
            return not model.passive and _had(machine, args[0], phase) and _had(machine, args[1], phase)
        case "table":
            return args[0] in machine.rows and phase >= machine.phase
        case "=":
            return args[0] is args[1]
        case "<>":
            return args[0] is not args[1]
    return False


def _had(machine: Machine, term: App, phase: int) -> bool:
    """Whether the attacker could make `term` in `phase`."""
    if term in machine.known:
        return machine.known[term] <= phase
    sym = term.sym
    if sym.private or sym.kind not in ("free", "constructor", "data", "fresh"):
        return False
    return all(isinstance(arg, App) and _had(machine, arg, phase) for arg in term.args)


def _instance(term: Term, values: tuple[App, ...], model: core.Model) -> App:
    bindings: Bindings = dict(enumerate(values))
    made = model.theory.canonical_all(_with_sessions(substitute(term, bindings), model))
    assert isinstance(made, App)
    return made


def _with_sessions(term: Term, model: core.Model) -> Term:
    """Names as the machine writes them."""
    if isinstance(term, int):
        return term
    args = tuple(_with_sessions(arg, model) for arg in term.args)
    labels = model.parameters.get(term.sym)
    if labels is not None and len(labels) == len(args):
        args = tuple(arg for arg, label in zip(args, labels, strict=True) if label == "!")
    return app(term.sym, args)


def _left_holds(query: core.Query, model: core.Model, machine: Machine, values: tuple[App, ...]) -> bool:
    return all(
        _holds(atom, tuple(_instance(arg, values, model) for arg in atom.args), model, machine) for atom in query.left
    )


def _right(
    query: core.Query, model: core.Model, machine: Machine, values: tuple[App, ...]
) -> list[set[tuple[int, object]]]:
    """The ways in which the right side holds: the injective events that each takes, and their executions."""
    bound: set[int] = set()
    stack: list[Term] = [term for atom in query.left for term in atom.args]
    while stack:
        one = stack.pop()
        if isinstance(one, int):
            bound.add(one)
        else:
            stack.extend(one.args)
    found: list[set[tuple[int, object]]] = []

    def search(atoms: tuple[core.Atom, ...], bindings: Bindings, executions: tuple[tuple[int, object], ...]) -> None:
        if not atoms:
            found.append(set(executions))
            return
        atom, rest = atoms[0], atoms[1:]
        args = tuple(substitute(_with_sessions(arg, model), bindings) for arg in atom.args)
        if atom.kind == "event":
            for event, execution in machine.events:
                trial = dict(bindings)
                if _matches(args[0], event, trial, model):
                    mine = ((atom.occurrence, execution),) if atom.injective else ()
                    search(rest, trial, (*executions, *mine))
            return
        trial = dict(bindings)
        left, right = args
        if isinstance(left, App) and left.ground and isinstance(right, App) and right.ground:
            same = model.theory.canonical_all(left) is model.theory.canonical_all(right)
            holds = same if atom.kind == "=" else not same
        else:
            # What is open may be chosen; where that is hard to decide, the comparison is taken to hold.
            holds = atom.kind == "<>" or bool(model.theory.equational) or unify(left, right, trial)
        if holds:
            search(rest, trial, executions)

    start: Bindings = {v: values[v] for v in bound}
    for disjunct in query.right:
        # Comparisons come last, when events have bound what they can.
        ordered = sorted(disjunct, key=lambda atom: atom.kind != "event")
        search(tuple(ordered), dict(start), ())
    return found


def _matches(pattern: Term, value: App, bindings: Bindings, model: core.Model) -> bool:
    """Whether a value may be an instance of a pattern: with equations any function of the theory may be."""
    if isinstance(pattern, int):
        if pattern in bindings:
            bound = bindings[pattern]
            return bound is value
        bindings[pattern] = value
        return True
    if pattern.ground:
        return model.theory.canonical_all(_with_sessions(pattern, model)) is value
    if pattern.sym in model.theory.equational:
        # Not decided: taken to match, so that no contradiction rests on it.
        return True
    if pattern.sym is not value.sym or len(pattern.args) != len(value.args):
        return False
    return all(
        isinstance(v, App) and _matches(substitute(p, bindings), v, bindings, model)
        for p, v in zip(pattern.args, value.args, strict=True)
    )


def contradicts(query: core.Query, model: core.Model, machine: Machine, values: tuple[App, ...]) -> bool:
    """Whether the state of the machine is one in which the left side holds and the right side does not."""
    return _left_holds(query, model, machine, values) and not _right(query, model, machine, values)


def contradicts_injectivity(
    query: core.Query, model: core.Model, machine: Machine, one: tuple[App, ...], two: tuple[App, ...]
) -> bool:
    """Whether different executions of the injective events in front have only one execution behind between them."""
    if not (_left_holds(query, model, machine, one) and _left_holds(query, model, machine, two)):
        return False
    ways_to_differ = 0
    for atom in (atom for atom in query.left if atom.injective):
        first = {e for event, e in machine.events if event is _instance(atom.args[0], one, model)}
        second = {e for event, e in machine.events if event is _instance(atom.args[0], two, model)}
        if not first or not second:
            return False
        ways_to_differ += len(first | second) > 1
    if not ways_to_differ:
        return False
    ways, others = (_right(query, model, machine, values) for values in (one, two))
    return not any(a.isdisjoint(b) for a in ways for b in others)


def ending(query: core.Query, model: core.Model, values: tuple[App, ...]) -> str:
    facts: list[str] = []
    for atom in query.left:
        args = [tell(_instance(arg, values, model)) for arg in atom.args]
        match atom.kind:
            case "event":
                facts.append(f"event {args[0]} was executed")
            case "attacker":
                facts.append(f"the attacker has {args[0]}")
            case "mess":
                facts.append(f"{args[1]} is on {args[0]}")
            case "table":
                facts.append(f"{args[0]} is in its table")
    end = " and ".join(facts)
    return f"{end}; nothing that the query allows happened before" if query.right else end


def concrete(term: Term, model: core.Model) -> App:
    """The value of a ground term of the clauses: names depend on sessions only, terms are canonical."""
    assert isinstance(term, App)
    args = tuple(concrete(arg, model) for arg in term.args)
    labels = model.parameters.get(term.sym)
    if labels is not None:
        return app(term.sym, tuple(arg for arg, label in zip(args, labels, strict=True) if label == "!"))
    made = model.theory.canonical(app(term.sym, args))
    assert isinstance(made, App)
    return made
