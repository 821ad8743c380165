"""What functions compute: rules of destructors, and equations turned into rules that cover every way to write a term.

Two kinds of equations are understood. A convergent set in which each right side consists of proper subterms of the
left side under free constructors: terms are kept in normal form, and applying a function to normal terms takes one
step at the root. And the Diffie-Hellman equation f(f(g,x),y) = f(f(g,y),x), in either order of arguments: for any
total order on terms, the smaller side stands for both, so that applying f gives one of two terms. Clauses offer both,
whatever the order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from alts_proofs.engine._errors import ScriptError, Unsupported
from alts_proofs.engine._lexer import Place
from alts_proofs.engine._terms import (
    App,
    Bindings,
    Symbol,
    Term,
    app,
    match,
    rename,
    shift,
    substitute,
    unify,
    variables,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rewrite rule of a destructor. None is the failure; the variables in `may_fail` match it as well."""

    args: tuple[Term | None, ...]
    result: Term | None
    may_fail: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A way in which a constructor applied to `args` gives `result`."""

    args: tuple[Term, ...]
    result: Term


@dataclass(slots=True)
class Theory:
    """Rules by symbol."""

    rules: dict[Symbol, tuple[Rule, ...]] = field(default_factory=dict)
    ordered: set[Symbol] = field(default_factory=set)
    """Destructors whose rules are tried in order."""
    rewrites: dict[Symbol, list[Rewrite]] = field(default_factory=dict)
    """Convergent: where one applies, it must be applied."""
    swaps: dict[Symbol, list[Rewrite]] = field(default_factory=dict)
    """Diffie-Hellman: both sides are the same term."""
    equational: set[Symbol] = field(default_factory=set)
    places: dict[Symbol, Place] = field(default_factory=dict)
    """Where the first equation on a symbol stands."""

    def add_equation(self, left: Term, right: Term, place: Place) -> None:
        """Adds an equation of one of the two kinds. Raises `Unsupported` for any other."""
        if self._add_swap(left, right):
            assert isinstance(left, App)
            self.places.setdefault(left.sym, place)
            return
        for strict in (True, False):
            for a, b in ((left, right), (right, left)):
                if isinstance(a, App) and self._is_shrinking(a, b, strict):
                    self.rewrites.setdefault(a.sym, []).append(Rewrite(a.args, b))
                    self.places.setdefault(a.sym, place)
                    self.equational.add(a.sym)
                    return
        raise Unsupported("an equation that is neither Diffie-Hellman nor convergent", place)

    def _add_swap(self, left: Term, right: Term) -> bool:
        """f(f(g,x),y) = f(f(g,y),x) or f(y,f(x,g)) = f(x,f(y,g)), g a constant."""
        if not isinstance(left, App) or not isinstance(right, App) or left.sym.arity != 2 or right.sym is not left.sym:
            return False
        f = left.sym
        for inner in (0, 1):
            base, outer = left.args[inner], left.args[1 - inner]
            if not isinstance(base, App) or base.sym is not f or not isinstance(outer, int):
                continue
            g, other = base.args[inner], base.args[1 - inner]
            if not isinstance(g, App) or g.args or not isinstance(other, int) or other == outer:
                continue
            swapped_base = app(f, (g, outer) if inner == 0 else (outer, g))
            swapped = app(f, (swapped_base, other) if inner == 0 else (other, swapped_base))
            if swapped is right:
                self.swaps.setdefault(f, []).append(Rewrite(left.args, right))
                self.equational.add(f)
                return True
        return False

    @staticmethod
    def _is_shrinking(left: App, right: Term, strict: bool) -> bool:
        """Whether `right` is a proper subterm of `left` or, unless `strict`, made of such; see also `check`."""
        subterms: set[Term] = set()
        stack = list(left.args)
        while stack:
            one = stack.pop()
            subterms.add(one)
            if isinstance(one, App):
                stack.extend(one.args)

        def made(term: Term) -> bool:
            return term in subterms or (isinstance(term, App) and all(made(arg) for arg in term.args))

        return right in subterms if strict else made(right)

    def check(self) -> None:
        """Raises `Unsupported` unless the equations can be handled together."""
        for sym in self.equational:
            if sym.kind != "constructor" or sym.arity == 0:
                # Data is taken apart, and constants are taken as they are.
                what = "data constructor" if sym.kind == "data" else "constant"
                raise Unsupported(f"an equation on the {what} {sym.label}", self.places[sym])
        for sym in self.swaps:
            place = self.places[sym]
            if len(self.swaps[sym]) > 1 or sym in self.rewrites:
                raise Unsupported(f"several equations on {sym.label}", place)
        bases = {self._base(sym) for sym in self.swaps}
        for sym, rewrites in self.rewrites.items():
            place = self.places[sym]
            for rewrite in rewrites:
                left = app(sym, rewrite.args)
                subterms = _subterms(left)
                for term in (*subterms, *_subterms(rewrite.result)):
                    if term.sym in self.swaps or term.sym in bases:
                        raise Unsupported(f"an equation that mixes {term.sym.label} with others", place)
                proper = [term for term in subterms if term is not left]
                for term in _outside(rewrite.result, proper):
                    if term.sym in self.rewrites:
                        raise Unsupported("an equation that is neither Diffie-Hellman nor convergent", place)
        self._check_confluence()
        for sym, rules in self.rules.items():
            for rule in rules:
                for arg in (*rule.args, rule.result):
                    for term in _subterms(arg) if arg is not None else ():
                        if term.sym in self.equational:
                            place = self.places[term.sym]
                            raise Unsupported(f"an equation on {term.sym.label}, which {sym.label} takes apart", place)

    def _base(self, sym: Symbol) -> Symbol:
        (rewrite,) = self.swaps[sym]
        for arg in rewrite.args:
            if isinstance(arg, App):
                for part in arg.args:
                    if isinstance(part, App):
                        return part.sym
        raise AssertionError

    def _check_confluence(self) -> None:
        """Every critical pair must have one normal form. Rules terminate: results are smaller in a path order."""
        every = [(app(sym, r.args), r.result) for sym, rewrites in self.rewrites.items() for r in rewrites]
        for left, right in every:
            for other, reduct in every:
                moved, moved_reduct = shift(other), shift(reduct)
                for path, term in _positions(left):
                    bindings: Bindings = {}
                    if not unify(term, moved, bindings):
                        continue
                    one = substitute(right, bindings)
                    two = substitute(_replace(left, path, moved_reduct), bindings)
                    if self.normal(one) is not self.normal(two) and self.normal(one) != self.normal(two):
                        raise Unsupported("equations that are not convergent", self.places[left.sym])

    def check_deterministic(self, sym: Symbol, place: Place) -> None:
        """Rules without an order must agree where several apply; `ScriptError` otherwise."""
        rules = self.rules[sym]
        for i, rule in enumerate(rules):
            for other in rules[:i]:
                bindings: Bindings = {}
                moved = [shift(arg) for arg in other.args if arg is not None]
                if all(unify(a, b, bindings) for a, b in zip(rule.args, moved, strict=True) if a is not None):
                    assert rule.result is not None
                    assert other.result is not None
                    if substitute(rule.result, bindings) != substitute(shift(other.result), bindings):
                        raise ScriptError(f"{sym.label} is not deterministic", place)

    def normal(self, term: Term) -> Term:
        """The normal form for the convergent rules."""
        if isinstance(term, int) or not self.rewrites:
            return term
        args = tuple(self.normal(arg) for arg in term.args)
        return self.reduce(app(term.sym, args))

    def reduce(self, term: App) -> Term:
        """The normal form of a term whose arguments are normal."""
        for rewrite in self.rewrites.get(term.sym, ()):
            bindings: Bindings = {}
            if all(match(p, a, bindings, []) for p, a in zip(rewrite.args, term.args, strict=True)):
                # Matched variables stand for terms that may share their numbers: replace once.
                found = dict(bindings)
                return rename(rewrite.result, lambda v, found=found: found.get(v, v))  # type: ignore[misc]
        return term

    def is_normal(self, term: Term) -> bool:
        """Whether no convergent rule applies anywhere in `term`."""
        if isinstance(term, int):
            return True
        if term.sym in self.rewrites and self.reduce(term) is not term:
            return False
        return all(self.is_normal(arg) for arg in term.args)

    def is_coherent(self, facts: Iterable[App]) -> bool:
        """Whether facts can be about canonical terms: not if they have both sides of one Diffie-Hellman term."""
        seen: set[App] = set()
        stack: list[Term] = list(facts)
        bits = 0
        for sym in self.swaps:
            bits |= sym.bit
        while stack:
            term = stack.pop()
            if isinstance(term, int) or not term.bits & bits:
                continue
            stack.extend(term.args)
            if term.sym not in self.swaps or term in seen:
                continue
            seen.add(term)
            for swap in self.swaps[term.sym]:
                found: Bindings = {}
                if all(match(p, a, found, []) for p, a in zip(swap.args, term.args, strict=True)):
                    one, two = (found[v] for v in sorted(found))
                    other = rename(swap.result, lambda v, found=found: found[v])  # type: ignore[misc]
                    # Only if both exponents are equal can both sides be the canonical one.
                    if other in seen and other is not term and not unify(one, two, {}):
                        return False
        return True

    def ordered_form(self, term: Term) -> Term:
        """One way to write a term with variables: if two terms have one such form, all their instances are equal."""
        if isinstance(term, int) or not term.args:
            return term
        made = app(term.sym, tuple(self.ordered_form(arg) for arg in term.args))
        for swap in self.swaps.get(made.sym, ()):
            found: Bindings = {}
            if all(match(p, a, found, []) for p, a in zip(swap.args, made.args, strict=True)):
                other = rename(swap.result, lambda v, found=found: found[v])  # type: ignore[misc]
                assert isinstance(other, App)
                return min(made, other, key=id)
        return made

    def canonical(self, term: App) -> Term:
        """The one term that stands for a ground term with canonical arguments."""
        reduced = self.reduce(term)
        if isinstance(reduced, int) or reduced.sym not in self.swaps:
            return reduced
        for swap in self.swaps[reduced.sym]:
            bindings: Bindings = {}
            if all(match(p, a, bindings, []) for p, a in zip(swap.args, reduced.args, strict=True)):
                other = substitute(swap.result, bindings)
                # Any total order will do; terms live as long as the process, so that their addresses are one.
                return min(reduced, other, key=id)
        return reduced

    def canonical_all(self, term: Term) -> Term:
        """The same for any ground term."""
        if isinstance(term, int) or not term.args:
            return term
        return self.canonical(app(term.sym, tuple(self.canonical_all(arg) for arg in term.args)))


def _subterms(term: Term) -> list[App]:
    found: list[App] = []
    stack = [term]
    while stack:
        one = stack.pop()
        if isinstance(one, App):
            found.append(one)
            stack.extend(one.args)
    return found


def _outside(term: Term, given: list[App]) -> list[App]:
    """The subterms of `term` that are not within one of `given`."""
    if isinstance(term, int) or any(term is one for one in given):
        return []
    return [term, *(found for arg in term.args for found in _outside(arg, given))]


def _positions(term: App, path: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], App]]:
    found = [(path, term)]
    for i, arg in enumerate(term.args):
        if isinstance(arg, App):
            found += _positions(arg, (*path, i))
    return found


def _replace(term: Term, path: tuple[int, ...], by: Term) -> Term:
    if not path:
        return by
    assert isinstance(term, App)
    args = list(term.args)
    args[path[0]] = _replace(args[path[0]], path[1:], by)
    return app(term.sym, tuple(args))


def rule_variables(rule: Rule) -> set[int]:
    """The variables of a rule."""
    found: set[int] = set()
    for arg in (*rule.args, rule.result):
        if arg is not None:
            variables(arg, found)
    return found
