"""Clauses in normal form, and which of two is the more general.

Normalising a clause takes hypotheses ``attacker(f(...))`` apart at data constructors, and conclusions likewise; it
drops hypotheses that are public, repeated, redundant, or ``attacker(x)`` with x nowhere else; and it gives up clauses
that can never matter: tautologies, unsatisfiable disequalities, terms not in normal form, and hypotheses that were
declared underivable with ``not`` (the declarations are checked in the end).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from alts_proofs.engine._facts import BLOCKING, TOOK, Origin, RawClause, entails, is_attacker, simplify_neq
from alts_proofs.engine._terms import (
    App,
    Bindings,
    Symbol,
    Term,
    app,
    image,
    match,
    match_all,
    rename,
    shift,
    substitute,
    unify,
    variables,
    vars_of,
)
from alts_proofs.engine._theory import Theory

Path = tuple[int, ...]
# Pairs of facts that do not fit are remembered up to this number.
REMEMBERED = 300_000


@dataclass(frozen=True, slots=True)
class History:
    """How a clause was made: from a raw clause, or by resolving `first` with hypothesis `index` of `second`.

    `sources` gives for each hypothesis the raw one that it comes from and where in it; `path` where in the raw
    conclusion the conclusion stands. The raw hypotheses of a resolvent are those of `first`, then those of `second`
    but the one. `merged` tells which hypotheses were left out as more general than others that stayed.
    """

    sources: tuple[tuple[int, Path], ...]
    path: Path
    merged: tuple[tuple[tuple[int, Path], tuple[int, Path]], ...] = ()
    raw: RawClause | None = None
    first: Clause | None = None
    second: Clause | None = None
    index: int = -1
    base: Clause | None = None
    added: tuple[App, ...] = ()
    equal: tuple[tuple[Term, Term], ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """Of a hypothesis of a goal: whether it holds strictly before one that the goal began with, and how many hints that
    it meets may still be ignored.
    """

    strict: bool
    budget: int


class Clause:
    """A clause over small variables; `selected` is the hypothesis to resolve upon, -1 for the conclusion."""

    __slots__ = (
        "alive",
        "bits",
        "conclusion",
        "core",
        "free",
        "history",
        "hypotheses",
        "marks",
        "moved",
        "neqs",
        "number",
        "selected",
        "size",
    )

    def __init__(self, conclusion: App, hypotheses: tuple[App, ...], neqs: tuple[App, ...], history: History) -> None:
        self.conclusion = conclusion
        self.hypotheses = hypotheses
        self.neqs = neqs
        self.history = history
        self.selected = -1
        self.alive = True
        self.number = 0
        self.marks: tuple[Mark, ...] | None = None
        self.moved: tuple[App, tuple[App, ...], tuple[App, ...]] | None = None
        bits, size = conclusion.bits, conclusion.size
        core: list[App] = []
        free: list[App] = []
        for hypothesis in hypotheses:
            if is_free(hypothesis):
                free.append(hypothesis)
            else:
                core.append(hypothesis)
                bits |= hypothesis.bits
                size += hypothesis.size
        core.sort(key=_by_size, reverse=True)
        self.core = tuple(core)
        self.free = tuple(free)
        self.bits = bits
        self.size = size

    def shifted(self) -> tuple[App, tuple[App, ...], tuple[App, ...]]:
        """Conclusion, hypotheses and disequalities with other variables."""
        if self.moved is None:
            self.moved = (
                _moved(self.conclusion),
                tuple([_moved(h) for h in self.hypotheses]),
                tuple([_moved(n) for n in self.neqs]),
            )
        return self.moved

    def is_standard(self) -> bool:
        """Whether the clause makes data or takes it apart."""
        return self.history.raw is not None and _is_standard(self.history.raw.origin)

    def __repr__(self) -> str:
        left = " && ".join(map(repr, (*self.neqs, *self.hypotheses)))
        return f"{left} -> {self.conclusion!r}"


def _by_size(fact: App) -> int:
    return fact.size


def _moved(fact: App) -> App:
    made = shift(fact)
    assert isinstance(made, App)
    return made


_ATTACKER: dict[Symbol, bool] = {}


def about_attacker(sym: Symbol) -> bool:
    """`is_attacker`, remembered."""
    found = _ATTACKER.get(sym)
    if found is None:
        found = _ATTACKER[sym] = is_attacker(sym)
    return found


def is_free(fact: App) -> bool:
    """Whether `fact` is ``attacker(x)``: never selected, since the attacker has something in any case."""
    return isinstance(fact.args[0], int) and about_attacker(fact.sym)


_PUBLIC: dict[App, bool] = {}


def is_public(term: App) -> bool:
    """Whether the attacker has a term from the start: it is made of public free names and constructors."""
    if not term.ground:
        return False
    found = _PUBLIC.get(term)
    if found is None:
        sym = term.sym
        found = not sym.private and sym.kind in ("free", "constructor", "data")
        found = found and all(isinstance(arg, App) and is_public(arg) for arg in term.args)
        _PUBLIC[term] = found
    return found


def parts(fact: App, path: Path = ()) -> Iterator[tuple[App, Path]]:
    """``attacker(f(a, b))`` as ``attacker(a)``, ``attacker(b)`` where f is data, down to what is not; else `fact`."""
    if about_attacker(fact.sym):
        term = fact.args[0]
        if isinstance(term, App) and term.sym.kind == "data":
            for i, arg in enumerate(term.args):
                yield from parts(app(fact.sym, (arg,)), (*path, i))
            return
    yield fact, path


class Normalizer:
    """Normalises clauses of one script; `secrets` are the facts declared underivable."""

    def __init__(self, theory: Theory, secrets: Sequence[App]) -> None:
        self.theory = theory
        self.secrets: dict[Symbol, list[App]] = {}
        for secret in secrets:
            self.secrets.setdefault(secret.sym, []).append(secret)
        self.apart: set[tuple[App, App]] = set()
        """A conclusion and a hypothesis that do not unify, as far as was noted."""
        self.equational = bool(theory.rewrites)
        self.exponents = bool(theory.swaps)

    def raw(self, raw: RawClause) -> list[Clause]:
        """The clauses that a raw one stands for."""
        if _is_standard(raw.origin):
            sources = tuple((i, ()) for i in range(len(raw.hypotheses)))
            return [Clause(raw.conclusion, raw.hypotheses, raw.neqs, History(sources, (), (), raw))]
        return self.clauses(raw.conclusion, raw.hypotheses, raw.neqs, {}, History((), (), (), raw))

    def clauses(
        self, conclusion: App, hypotheses: Sequence[App], neqs: Sequence[App], bindings: Bindings, made: History
    ) -> list[Clause]:
        """The normal clauses of one under `bindings`, which may be extended."""
        joined: list[tuple[tuple[int, Path], tuple[int, Path]]] = []
        if sum(fact.sym is TOOK for fact in hypotheses) > 1 and not _join(hypotheses, bindings, joined):
            return []
        memo: dict[Term, Term] = {}
        count = [0]
        end = _app(image(conclusion, bindings, memo, count))
        facts: dict[App, tuple[int, Path]] = {}
        for source, hypothesis in enumerate(hypotheses):
            given = _app(image(hypothesis, bindings, memo, count))
            for fact, path in parts(given):
                if fact in facts:
                    continue
                term = fact.args[0]
                if isinstance(term, App):
                    if term.ground and is_public(term) and about_attacker(fact.sym):
                        continue
                    if fact.sym in self.secrets and self._is_secret(fact):
                        return []
                    if self.equational and not self.theory.is_normal(fact):
                        return []
                facts[fact] = (source, path)
        constraints: dict[App, None] = {}
        for constraint in neqs:
            simple = simplify_neq(constraint, bindings)
            if simple is False:
                return []
            if isinstance(simple, bool) or any(v >= 0 and v not in memo for v in vars_of(simple)):
                # A variable that occurs nowhere else has values enough.
                continue
            renamed = simplify_neq(_app(rename(simple, lambda v: v if v < 0 else memo[v])), {})
            if not isinstance(renamed, bool):
                constraints[renamed] = None
        if self.exponents and not self.theory.is_coherent((*facts, end)):
            return []
        found: list[Clause] = []
        for one, path in parts(end):
            if one in facts or (self.equational and not self.theory.is_normal(one)):
                continue
            found.append(self._finish(one, path, facts, constraints, made, tuple(joined)))
        return found

    def _is_secret(self, fact: App) -> bool:
        return any(match(secret, fact, {}, []) for secret in self.secrets.get(fact.sym, ()))

    def _finish(
        self,
        conclusion: App,
        path: Path,
        facts: dict[App, tuple[int, Path]],
        constraints: Iterable[App],
        made: History,
        joined: tuple[tuple[tuple[int, Path], tuple[int, Path]], ...],
    ) -> Clause:
        free = [fact for fact in facts if is_free(fact)]
        kept = list(facts)
        if free:
            held: set[int] = set(vars_of(conclusion))
            for fact in facts:
                if not is_free(fact):
                    held |= vars_of(fact)
            kept = [fact for fact in facts if not is_free(fact) or fact.args[0] in held]
        merged = joined
        if any(fact.sym in BLOCKING for fact in kept):
            kept, pairs = _without_redundant(vars_of(conclusion), kept, constraints)
            merged = (*joined, *((facts[fact], facts[other]) for fact, other in pairs))
        neqs: tuple[App, ...] = ()
        if constraints:
            used = vars_of(conclusion).union(*map(vars_of, kept))
            neqs = tuple(c for c in constraints if all(v < 0 or v in used for v in vars_of(c)))
        sources = tuple([facts[fact] for fact in kept])
        history = replace(made, sources=sources, path=path, merged=merged)
        return Clause(conclusion, tuple(kept), neqs, history)


def one_value_each(facts: Iterable[App], bindings: Bindings | None = None) -> bool:
    """Whether no execution takes two values that cannot be the same; extends `bindings`, if given, so that they are."""
    trial: Bindings = {} if bindings is None else bindings
    took: dict[Term, list[Term]] = {}
    for fact in facts:
        if fact.sym is TOOK:
            took.setdefault(fact.args[0], []).append(fact.args[1])
    for values in took.values():
        for value in values[1:]:
            if not unify(values[0], value, trial):
                return False
    return True


def _join(facts: Sequence[App], bindings: Bindings, joined: list[tuple[tuple[int, Path], tuple[int, Path]]]) -> bool:
    """Makes the values that one execution takes the same, if that can be; `joined` tells which facts these are."""
    size = -1
    while size != len(bindings):
        size = len(bindings)
        took: dict[Term, int] = {}
        for i, fact in enumerate(facts):
            if fact.sym is not TOOK:
                continue
            first = took.setdefault(substitute(fact.args[0], bindings), i)
            before = len(bindings)
            if not unify(facts[first].args[1], fact.args[1], bindings):
                return False
            if len(bindings) != before:
                joined.append(((first, ()), (i, ())))
    return True


def _app(term: Term) -> App:
    assert isinstance(term, App)
    return term


def _is_standard(origin: Origin) -> bool:
    """Whether a clause makes data or takes it apart: these stay as they are."""
    return origin.kind == "apply" and origin.sym is not None and origin.sym.kind == "data"


def _without_redundant(
    in_conclusion: frozenset[int], facts: list[App], constraints: Iterable[App]
) -> tuple[list[App], list[tuple[App, App]]]:
    """Without groups of hypotheses that are more general than others, on variables that occur in the group only.

    Second come the facts left out, each with the one that it is more general than.
    """
    pairs: list[tuple[App, App]] = []
    fixed = set(in_conclusion)
    for constraint in constraints:
        variables(constraint, fixed)
    own: list[set[int]] = []
    for fact in facts:
        own.append(set(vars_of(fact) - fixed))
    alive = set(range(len(facts)))
    for start in range(len(facts)):
        if start not in alive:
            continue
        group, reach = {start}, set(own[start])
        if not reach:
            continue
        grew = True
        while grew:
            grew = False
            for i in alive - group:
                if own[i] & reach:
                    group.add(i)
                    reach |= own[i]
                    grew = True
        others = [facts[i] for i in alive - group]
        if len(group) > 6 or not others:
            continue
        bindings: Bindings = {}
        for i in group:
            for v in vars_of(facts[i]) - reach:
                bindings[v] = v
        wanted = sorted((facts[i] for i in group), key=_by_size, reverse=True)
        if _all_match(wanted, 0, others, bindings, pairs):
            alive -= group
    return [fact for i, fact in enumerate(facts) if i in alive], pairs


def _all_match(
    wanted: list[App], position: int, others: list[App], bindings: Bindings, pairs: list[tuple[App, App]]
) -> bool:
    if position == len(wanted):
        return True
    fact = wanted[position]
    for other in others:
        if other.sym is fact.sym:
            trail: list[int] = []
            if match(fact, other, bindings, trail) and _all_match(wanted, position + 1, others, bindings, pairs):
                pairs.append((fact, other))
                return True
            for v in trail:
                del bindings[v]
    return False


def subsumes(general: Clause, special: Clause) -> bool:
    """Whether `special` says nothing that `general` does not say.

    One substitution maps the conclusion of `general` to that of `special` and its hypotheses into those of `special`,
    each to one of its own; what it makes of ``attacker(x)`` the attacker can make from hypotheses of `special`; and the
    disequalities of `special` imply those of `general`.
    """
    if general.bits & ~special.bits or general.size > special.size or len(general.core) > len(special.core):
        return False
    bindings: dict[Term, Term] = {}
    return match_all(general.conclusion, special.conclusion, bindings, []) and match_rest(general, special, bindings)


def match_rest(general: Clause, special: Clause, bindings: dict[Term, Term]) -> bool:
    """`subsumes` for clauses that passed the quick comparisons, when `bindings` match the conclusions."""
    return _match_core(general, special, 0, 0, bindings)


def _match_core(general: Clause, special: Clause, position: int, used: int, bindings: dict[Term, Term]) -> bool:
    core = general.core
    if position == len(core):
        return _match_free(general, special, bindings)
    fact = core[position]
    sym, bits, size = fact.sym, fact.bits, fact.size
    for i, other in enumerate(special.core):
        if size > other.size:
            break
        if other.sym is not sym or bits & ~other.bits or used >> i & 1:
            continue
        trail: list[Term] = []
        if match_all(fact, other, bindings, trail) and _match_core(
            general, special, position + 1, used | 1 << i, bindings
        ):
            return True
        for v in trail:
            del bindings[v]
    return False


def _match_free(general: Clause, special: Clause, bindings: Mapping[Term, Term]) -> bool:
    for fact in general.free:
        variable = fact.args[0]
        if not has(special.hypotheses, fact.sym, bindings.get(variable, variable)):
            return False
    for constraint in general.neqs:
        simple = simplify_neq(_app(rename(constraint, lambda v: v if v < 0 else bindings.get(v, v))), {})
        if simple is True:
            continue
        if isinstance(simple, bool) or not entails(special.neqs, simple):
            return False
    return True


def has(hypotheses: tuple[App, ...], sym: Symbol, term: Term) -> bool:
    """Whether hypotheses give the attacker `term`: it is among them, public, or data made of such terms."""
    if isinstance(term, App):
        if is_public(term):
            return True
        if term.sym.kind == "data":
            return all(has(hypotheses, sym, arg) for arg in term.args)
    return app(sym, (term,)) in hypotheses
