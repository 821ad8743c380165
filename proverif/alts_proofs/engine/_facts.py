"""Predicates, disequalities, and clauses before they are normalised."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from alts_proofs.engine import _core as core
from alts_proofs.engine._terms import App, Bindings, Symbol, Term, app, rename, substitute, unify, variables
from alts_proofs.engine._theory import Rule

_PREDICATES: dict[tuple[str, int], Symbol] = {}


def predicate(name: str, arity: int, phase: int = 0) -> Symbol:
    """``attacker``, ``mess``, ``table`` of a phase."""
    key = (name, phase)
    found = _PREDICATES.get(key)
    if found is None:
        found = _PREDICATES[key] = Symbol(f"{name}{phase or ''}", arity, "predicate")
    return found


def attacker(term: Term, phase: int) -> App:
    """The attacker has `term` in `phase`."""
    return app(predicate("attacker", 1, phase), (term,))


def mess(channel: Term, term: Term, phase: int) -> App:
    """`term` is sent on `channel` in `phase`."""
    return app(predicate("mess", 2, phase), (channel, term))


def row(term: Term, phase: int) -> App:
    """`term` is in a table in `phase`."""
    return app(predicate("table", 1, phase), (term,))


# An event was executed: as a conclusion, and as a hypothesis. The second argument of the injective ones is the
# execution.
END = Symbol("end", 1, "predicate")
INJ_END = Symbol("inj-end", 2, "predicate")
BEGIN = Symbol("begin", 1, "predicate")
INJ_BEGIN = Symbol("inj-begin", 2, "predicate")
# An execution of an input or look-up took a value: noted below an injective event, since one execution takes only one.
TOOK = Symbol("took", 2, "predicate")
BLOCKING = frozenset({BEGIN, INJ_BEGIN, TOOK})

_NEQS: dict[int, Symbol] = {}


def is_attacker(sym: Symbol) -> bool:
    """Whether a predicate is ``attacker`` of some phase: facts of it come apart at data constructors."""
    return sym.label.startswith("attacker")


def neq(pairs: tuple[tuple[Term, Term], ...]) -> App:
    """Some pair differs, for all values of the negative variables."""
    sym = _NEQS.get(len(pairs))
    if sym is None:
        sym = _NEQS[len(pairs)] = Symbol("<>", 2 * len(pairs), "predicate")
    return app(sym, tuple(term for pair in pairs for term in pair))


def simplify_neq(constraint: App, bindings: Bindings) -> App | bool:
    """A disequality under `bindings`: True if it always holds, False if it never does, else in solved form."""
    args = constraint.args
    trial: Bindings = {}
    for i in range(0, len(args), 2):
        left, right = args[i], args[i + 1]
        if bindings:
            left, right = substitute(left, bindings), substitute(right, bindings)
        if not unify(left, right, trial):
            return True
    pairs: list[tuple[Term, Term]] = []
    for variable in sorted(v for v in trial if v >= 0):
        value = substitute(variable, trial)
        if isinstance(value, int) and value > variable:
            pairs.append((value, variable))
        else:
            pairs.append((variable, value))
    if not pairs:
        return False
    numbers: dict[int, int] = {}

    def number(variable: int) -> Term:
        return variable if variable >= 0 else numbers.setdefault(variable, -1 - len(numbers))

    return neq(tuple((rename(a, number), rename(b, number)) for a, b in pairs))


_EXISTENTIAL = 1 << 28


def entails(context: tuple[App, ...], constraint: App) -> bool:
    """Whether the disequalities of `context` imply `constraint`. May say no where yes is true."""
    if constraint in context:
        return True
    trial: Bindings = {}
    args = constraint.args
    for i in range(0, len(args), 2):
        left, right = (rename(t, lambda v: v if v >= 0 else _EXISTENTIAL - v) for t in (args[i], args[i + 1]))
        if not unify(left, right, trial):
            return True
    # If the pairs were equal, some disequality of the context would be violated.
    return any(simplify_neq(one, trial) is False for one in context)


@dataclass(frozen=True, slots=True)
class Step:
    """A point that a process passes on its way: a copy that starts, a message or row that it takes."""

    node: core.Repl | core.In | core.Get
    term: Term
    """The session, the message, the row."""
    channel: Term | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a clause is from.

    ``process``: `node` is reached after `steps`. ``apply``: the attacker applies `sym`, by `rule` if it is a
    destructor. ``public``: the attacker has it. ``listen``, ``say``: on a channel that the attacker has. ``phase``:
    it has it still.
    """

    kind: Literal["process", "apply", "public", "listen", "say", "phase", "goal"]
    node: core.Node | None = None
    steps: tuple[Step, ...] = ()
    sym: Symbol | None = None
    rule: Rule | None = None


@dataclass(slots=True)
class RawClause:
    """hypotheses and disequalities imply the conclusion."""

    conclusion: App
    hypotheses: tuple[App, ...]
    neqs: tuple[App, ...] = ()
    origin: Origin = field(default_factory=lambda: Origin("goal"))


def all_variables(*terms: Term) -> set[int]:
    """The variables of terms."""
    found: set[int] = set()
    for term in terms:
        variables(term, found)
    return found
