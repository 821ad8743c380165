"""Symbolic evaluation: all ways in which a term of the program can come out, each with what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from alts_proofs.engine import _core as core
from alts_proofs.engine._entities import AND, EQUAL, NOT, OR, UNEQUAL
from alts_proofs.engine._facts import Step, neq, simplify_neq
from alts_proofs.engine._terms import FALSE, TRUE, App, Bindings, Symbol, Term, app, rename, substitute, unify
from alts_proofs.engine._theory import Rule, Theory


@dataclass(slots=True)
class State:
    """One way to have got somewhere. States are not changed but copied; None as a value is the failure."""

    env: Mapping[core.Variable, Term] = field(default_factory=dict)
    bindings: Bindings = field(default_factory=dict)
    hypotheses: tuple[App, ...] = ()
    neqs: tuple[App, ...] = ()
    params: tuple[Term, ...] = ()
    sessions: tuple[Term, ...] = ()
    steps: tuple[Step, ...] = ()
    phase: int = 0
    noted: bool = False
    """Whether what inputs take is noted."""

    def bind(self, variable: core.Variable, value: Term) -> State:
        """With a variable of the program bound."""
        return replace(self, env={**self.env, variable: value})


Result = tuple[State, Term | None]


class Evaluator:
    """Makes fresh variables and evaluates with them."""

    def __init__(self, theory: Theory) -> None:
        self.theory = theory
        self._next = 0
        self._universal = 0

    def fresh(self) -> int:
        """A variable of its own."""
        self._next += 1
        return self._next - 1

    def universal(self) -> int:
        """A universally quantified variable of its own."""
        self._universal -= 1
        return self._universal

    # Unification and disequality.

    def unify(self, state: State, *pairs: tuple[Term, Term]) -> State | None:
        """`state` where all pairs are equal, if they can be."""
        bindings = dict(state.bindings)
        for left, right in pairs:
            if not unify(left, right, bindings):
                return None
        return replace(state, bindings=bindings)

    def differ(self, state: State, *pairs: tuple[Term, Term]) -> State | None:
        """`state` where some pair differs, for all universal variables, if that can be."""
        if not pairs:
            return None
        if self.theory.swaps:
            done = [(substitute(a, state.bindings), substitute(b, state.bindings)) for a, b in pairs]
            if all(self.theory.ordered_form(a) == self.theory.ordered_form(b) for a, b in done):
                return None
        constraint = neq(pairs)
        simple = simplify_neq(constraint, state.bindings)
        if simple is True:
            return state
        if isinstance(simple, bool):
            return None
        return replace(state, neqs=(*state.neqs, simple))

    # Terms. With `failures` the ways that fail are given too.

    def run(self, expr: core.Expr, state: State, failures: bool) -> Iterator[Result]:
        """The ways in which `expr` comes out."""
        match expr:
            case core.Read(variable):
                yield state, state.env[variable]
            case core.Apply(sym, args):
                if sym in (AND, OR):
                    yield from self._lazy(sym, args, state, failures)
                else:
                    for reached, values in self._values(args, state, failures or self._catches(sym)):
                        yield from self.apply(sym, values, reached, failures)
            case core.Failure():
                if failures:
                    yield state, None
            case core.Choose(condition, then, other):
                for reached, value in self.run(condition, state, failures):
                    if value is None:
                        yield reached, None
                        continue
                    yes = self.unify(reached, (value, TRUE))
                    if yes is not None:
                        yield from self.run(then, yes, failures)
                    if failures or not isinstance(other, core.Failure):
                        no = self.differ(reached, (value, TRUE))
                        if no is not None:
                            yield from self.run(other, no, failures)
            case core.Bound(pattern, value_of, body, other):
                rest = failures or not isinstance(other, core.Failure)
                for reached, matched in self.let(pattern, value_of, state, rest):
                    after = replace(reached, env=reached.env if matched else state.env)
                    yield from self.run(body if matched else other, after, failures)
            case core.Fresh(name, variable, body):
                yield from self.run(body, state.bind(variable, app(name, state.params)), failures)

    def let(
        self, pattern: core.Pattern, value_of: core.Expr, state: State, other: bool
    ) -> Iterator[tuple[State, bool]]:
        """The ways in which a binding matches and, with `other`, those in which it does not."""
        for reached, value in self.run(value_of, state, other):
            if value is None:
                yield reached, False
                continue
            for bound, shape in self.pattern(pattern, reached):
                equal = self.unify(bound, (value, shape))
                if equal is not None:
                    yield equal, True
            if other:
                yield from ((unlike, False) for unlike in self._unlike(pattern, value, reached))

    def _values(
        self, args: tuple[core.Expr, ...], state: State, failures: bool
    ) -> Iterator[tuple[State, tuple[Term | None, ...]]]:
        if not args:
            yield state, ()
            return
        for reached, value in self.run(args[0], state, failures):
            for after, values in self._values(args[1:], reached, failures):
                yield after, (value, *values)

    def _catches(self, sym: Symbol) -> bool:
        """Whether a destructor can give a result for arguments that fail."""
        return any(rule.may_fail or None in rule.args for rule in self.theory.rules.get(sym, ()))

    def _lazy(self, sym: Symbol, args: tuple[core.Expr, ...], state: State, failures: bool) -> Iterator[Result]:
        """Conjunction and disjunction look at the second argument only if the first leaves it open."""
        for reached, first in self.run(args[0], state, failures):
            if first is None:
                yield reached, None
                continue
            true = self.unify(reached, (first, TRUE))
            false = self.differ(reached, (first, TRUE))
            settled, open_ = (false, true) if sym is AND else (true, false)
            if settled is not None:
                yield settled, FALSE if sym is AND else TRUE
            if open_ is not None:
                yield from self.run(args[1], open_, failures)

    def apply(self, sym: Symbol, values: tuple[Term | None, ...], state: State, failures: bool) -> Iterator[Result]:
        """The ways in which a function comes out for given arguments."""
        rules = self.theory.rules.get(sym)
        if rules is not None:
            yield from self._destroy(sym, rules, values, state, failures)
            return
        args = tuple(value for value in values if value is not None)
        if len(args) != len(values):
            if failures:
                yield state, None
            return
        if sym in (EQUAL, UNEQUAL):
            same = self.unify(state, (args[0], args[1]))
            other = self.differ(state, (args[0], args[1]))
            if same is not None:
                yield same, TRUE if sym is EQUAL else FALSE
            if other is not None:
                yield other, FALSE if sym is EQUAL else TRUE
        elif sym is NOT:
            true = self.unify(state, (args[0], TRUE))
            false = self.differ(state, (args[0], TRUE))
            if true is not None:
                yield true, FALSE
            if false is not None:
                yield false, TRUE
        else:
            yield state, app(sym, args)
            for table in (self.theory.rewrites, self.theory.swaps):
                for rewrite in table.get(sym, ()):
                    names: dict[int, int] = {}
                    patterns = [self._renamed(arg, names) for arg in rewrite.args]
                    reached = self.unify(state, *zip(args, patterns, strict=True))
                    if reached is not None:
                        yield reached, self._renamed(rewrite.result, names)

    def _renamed(self, term: Term, names: dict[int, int]) -> Term:
        def name(variable: int) -> int:
            if variable not in names:
                names[variable] = self.fresh()
            return names[variable]

        return rename(term, name)

    def _destroy(
        self, sym: Symbol, rules: tuple[Rule, ...], values: tuple[Term | None, ...], state: State, failures: bool
    ) -> Iterator[Result]:
        ordered = sym in self.theory.ordered
        unmatched: State | None = state
        for rule in rules:
            before = unmatched if ordered else state
            if before is None:
                break
            yield from self._match_rule(rule, values, before, failures)
            if unmatched is not None:
                unmatched = self._refuse_rule(rule, values, unmatched)
        if failures and unmatched is not None:
            yield unmatched, None

    def _match_rule(
        self, rule: Rule, values: tuple[Term | None, ...], state: State, failures: bool
    ) -> Iterator[Result]:
        names: dict[int, int] = {}
        failed: set[int] = set()
        pairs: list[tuple[Term, Term]] = []
        for pattern, value in zip(rule.args, values, strict=True):
            if value is None:
                if pattern is None:
                    continue
                if isinstance(pattern, int) and pattern in rule.may_fail:
                    failed.add(pattern)
                    continue
                return
            if pattern is None:
                return
            pairs.append((value, self._renamed(pattern, names)))
        reached = self.unify(state, *pairs)
        if reached is None or (failed & set(names)):
            return
        if rule.result is None or (isinstance(rule.result, int) and rule.result in failed):
            if failures:
                yield reached, None
            return
        yield reached, self._renamed(rule.result, names)

    def _refuse_rule(self, rule: Rule, values: tuple[Term | None, ...], state: State) -> State | None:
        """`state` where a rule does not apply, if that can be."""
        names: dict[int, int] = {}

        def name(variable: int) -> int:
            if variable not in names:
                names[variable] = self.universal()
            return names[variable]

        failed: set[int] = set()
        pairs: list[tuple[Term, Term]] = []
        for pattern, value in zip(rule.args, values, strict=True):
            if value is None:
                if pattern is None:
                    continue
                if isinstance(pattern, int) and pattern in rule.may_fail:
                    failed.add(pattern)
                    continue
                return state
            if pattern is None:
                return state
            pairs.append((value, rename(pattern, name)))
        if failed & set(names):
            # One variable cannot be the failure here and a term there.
            return state
        return self.differ(state, *pairs)

    # Patterns.

    def pattern(self, pattern: core.Pattern, state: State) -> Iterator[tuple[State, Term]]:
        """The terms that match a pattern, with new variables for what it binds."""
        match pattern:
            case core.Take(variable):
                value = self.fresh()
                yield (state if variable is None else state.bind(variable, value)), value
            case core.Same(expr):
                for reached, found in self.run(expr, state, False):
                    assert found is not None
                    yield reached, found
            case core.Part(sym, parts):
                for reached, args in self.patterns(parts, state):
                    yield reached, app(sym, args)

    def patterns(self, parts: tuple[core.Pattern, ...], state: State) -> Iterator[tuple[State, tuple[Term, ...]]]:
        """The same for several, from left to right."""
        if not parts:
            yield state, ()
            return
        for reached, first in self.pattern(parts[0], state):
            for after, rest in self.patterns(parts[1:], reached):
                yield after, (first, *rest)

    def _unlike(self, pattern: core.Pattern, value: Term, state: State) -> Iterator[State]:
        """The ways in which `value` does not match."""
        for reached, shape in self._general(pattern, state):
            if shape is None:
                yield reached
            else:
                unlike = self.differ(reached, (value, shape))
                if unlike is not None:
                    yield unlike

    def _general(self, pattern: core.Pattern, state: State) -> Iterator[Result]:
        """The pattern with universal variables for what it binds; None if a term in it fails."""
        match pattern:
            case core.Take():
                yield state, self.universal()
            case core.Same(expr):
                yield from self.run(expr, state, True)
            case core.Part(sym, parts):
                for reached, args in self._generals(parts, state):
                    yield reached, None if args is None else app(sym, args)

    def _generals(
        self, parts: tuple[core.Pattern, ...], state: State
    ) -> Iterator[tuple[State, tuple[Term, ...] | None]]:
        if not parts:
            yield state, ()
            return
        for reached, first in self._general(parts[0], state):
            if first is None:
                yield reached, None
                continue
            for after, rest in self._generals(parts[1:], reached):
                yield after, None if rest is None else (first, *rest)
