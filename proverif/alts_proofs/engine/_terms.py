"""Terms, hash-consed: equal terms are the same object.

A variable is an int; facts are terms whose symbol is a predicate. Negative variables are the universally quantified
ones of disequalities.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping


class Symbol:
    """A function, name, predicate, event, table or occurrence; compared by identity.

    `kind`: ``constructor``, ``data``, ``destructor``, ``name`` (bound by new), ``free``, ``predicate``, ``event``,
    ``table``, ``occurrence``, ``builtin``. `bit` is used by fast filters.
    """

    __slots__ = ("arity", "bit", "kind", "label", "private")
    _count = 0

    def __init__(self, label: str, arity: int, kind: str, private: bool = False) -> None:
        self.label = label
        self.arity = arity
        self.kind = kind
        self.private = private
        self.bit = 1 << (Symbol._count % 192)
        Symbol._count += 1

    def __repr__(self) -> str:
        return self.label


class App:
    """A symbol applied to terms. Make them with `app`."""

    __slots__ = ("args", "bits", "found", "ground", "shifted", "size", "sym")

    sym: Symbol
    args: tuple[Term, ...]
    bits: int
    ground: bool
    size: int
    shifted: App | None
    found: frozenset[int] | None
    """The variables, once somebody asked."""

    def __repr__(self) -> str:
        return show(self)


Term = int | App
Bindings = dict[int, Term]

_TABLE: dict[tuple[Symbol, tuple[Term, ...]], App] = {}
SHIFT = 1 << 16
_NONE: frozenset[int] = frozenset()
# Terms of this size and more are worth remembering when they are met a second time.
_LARGE = 5


def app(sym: Symbol, args: tuple[Term, ...] = ()) -> App:
    """The term `sym` (`args`)."""
    key = (sym, args)
    found = _TABLE.get(key)
    if found is not None:
        return found
    made = App()
    made.sym = sym
    made.args = args
    bits, ground, size = sym.bit, True, 1
    for arg in args:
        if isinstance(arg, int):
            ground = False
        else:
            bits |= arg.bits
            ground = ground and arg.ground
            size += arg.size
    made.bits, made.ground, made.size = bits, ground, size
    made.shifted = made if ground else None
    made.found = _NONE if ground else None
    _TABLE[key] = made
    return made


def substitute(term: Term, bindings: Mapping[int, Term]) -> Term:
    """`term` with bindings applied until nothing is bound any more."""
    while isinstance(term, int):
        bound = bindings.get(term)
        if bound is None:
            return term
        term = bound
    if term.ground:
        return term
    return _substitute(term, bindings, {})


def _substitute(term: App, bindings: Mapping[int, Term], memo: dict[App, App]) -> App:
    args: list[Term] = []
    for arg in term.args:
        while isinstance(arg, int):
            bound = bindings.get(arg)
            if bound is None:
                break
            arg = bound
        if isinstance(arg, App) and not arg.ground:
            arg = memo.get(arg) or _substitute(arg, bindings, memo)
        args.append(arg)
    made = memo[term] = app(term.sym, tuple(args))
    return made


def image(term: Term, bindings: Mapping[int, Term], memo: dict[Term, Term], count: list[int]) -> Term:
    """`term` with bindings applied to the end and what is left open numbered anew.

    `memo` and the one number of `count`, the next variable, belong to one numbering of several terms.
    """
    made = memo.get(term)
    if made is not None:
        return made
    if isinstance(term, int):
        bound = bindings.get(term)
        if bound is None:
            made = count[0]
            count[0] = made + 1
        else:
            made = image(bound, bindings, memo, count)
    elif term.ground:
        return term
    else:
        args: list[Term] = []
        for arg in term.args:
            one = memo.get(arg)
            args.append(image(arg, bindings, memo, count) if one is None else one)
        made = app(term.sym, tuple(args))
    memo[term] = made
    return made


def shift(term: Term) -> Term:
    """`term` with every variable moved by `SHIFT`."""
    if isinstance(term, int):
        return term + SHIFT if term >= 0 else term
    made = term.shifted
    if made is None:
        made = app(term.sym, tuple([shift(arg) for arg in term.args]))
        term.shifted = made
    return made


def vars_of(term: App) -> frozenset[int]:
    """The variables of `term`, remembered."""
    found = term.found
    if found is None:
        mine: set[int] = set()
        for arg in term.args:
            if isinstance(arg, int):
                mine.add(arg)
            elif not arg.ground:
                mine |= arg.found or vars_of(arg)
        found = term.found = frozenset(mine)
    return found


def occurs(variable: int, term: App, bindings: Mapping[int, Term]) -> bool:
    """Whether `variable` occurs in `term` under `bindings`."""
    reached = vars_of(term)
    if variable in reached:
        return True
    seen = set(reached)
    waiting = list(reached)
    while waiting:
        bound = bindings.get(waiting.pop())
        if bound is None:
            continue
        if isinstance(bound, int):
            if bound == variable:
                return True
            if bound not in seen:
                seen.add(bound)
                waiting.append(bound)
        elif not bound.ground:
            further = vars_of(bound)
            if variable in further:
                return True
            waiting += further - seen
            seen |= further
    return False


def unify(left: Term, right: Term, bindings: Bindings) -> bool:
    """Extends `bindings` to a most general unifier; when False, `bindings` are spoilt.

    Negative variables are bound in preference to others.
    """
    get = bindings.get
    waiting: list[tuple[tuple[Term, ...], tuple[Term, ...]]] = [((left,), (right,))]
    met: set[tuple[App, App]] = set()
    while waiting:
        ones, others = waiting.pop()
        for a, b in zip(ones, others, strict=False):
            if a is b:
                continue
            while isinstance(a, int):
                bound = get(a)
                if bound is None:
                    break
                a = bound
            while isinstance(b, int):
                bound = get(b)
                if bound is None:
                    break
                b = bound
            if a is b:
                continue
            if isinstance(a, int):
                if isinstance(b, int):
                    if a == b:
                        continue
                    if b < 0 <= a:
                        bindings[b] = a
                    else:
                        bindings[a] = b
                else:
                    if not b.ground and occurs(a, b, bindings):
                        return False
                    bindings[a] = b
            elif isinstance(b, int):
                if not a.ground and occurs(b, a, bindings):
                    return False
                bindings[b] = a
            else:
                if a.sym is not b.sym or (a.ground and b.ground):
                    return False
                if a.size >= _LARGE and b.size >= _LARGE:
                    # Terms share much: what was made equal once is equal.
                    if (a, b) in met:
                        continue
                    met.add((a, b))
                waiting.append((a.args, b.args))
    return True


def match(pattern: Term, term: Term, bindings: Bindings, trail: list[int]) -> bool:
    """Extends `bindings` of the variables of `pattern` so that it becomes `term`; notes what it binds in `trail`.

    Pattern and term may share variable numbers: those of the term are constants here.
    """
    if isinstance(pattern, int):
        bound = bindings.get(pattern)
        if bound is None:
            bindings[pattern] = term
            trail.append(pattern)
            return True
        return bound is term or (isinstance(bound, int) and bound == term)
    if pattern is term:
        if pattern.ground:
            return True
    elif isinstance(term, int) or pattern.sym is not term.sym or pattern.ground:
        return False
    if pattern.bits & ~term.bits:
        return False
    for p, t in zip(pattern.args, term.args, strict=False):
        if not match(p, t, bindings, trail):
            break
    else:
        return True
    return False


def match_all(pattern: App, term: App, bindings: dict[Term, Term], trail: list[Term]) -> bool:
    """Like `match` for facts with large common parts; what was matched once is remembered among the bindings."""
    if pattern.sym is not term.sym or pattern.bits & ~term.bits or pattern.size > term.size:
        return False
    get = bindings.get
    for p, t in zip(pattern.args, term.args, strict=False):
        if isinstance(p, int):
            bound = get(p)
            if bound is None:
                bindings[p] = t
                trail.append(p)
            elif bound is not t and bound != t:
                return False
        elif p.ground:
            if p is not t:
                return False
        elif isinstance(t, int) or p.sym is not t.sym:
            return False
        elif p.size < _LARGE:
            if not match_all(p, t, bindings, trail):
                return False
        else:
            bound = get(p)
            if bound is None:
                if not match_all(p, t, bindings, trail):
                    return False
                bindings[p] = t
                trail.append(p)
            elif bound is not t:
                return False
    return True


def variables(term: Term, into: set[int]) -> None:
    """Adds the variables of `term` to `into`."""
    if isinstance(term, int):
        into.add(term)
    elif not term.ground:
        into |= vars_of(term)


def rename(term: Term, names: Callable[[int], Term]) -> Term:
    """`term` with every variable replaced once; `names` is asked once or oftener for each."""
    if isinstance(term, int):
        return names(term)
    if term.ground:
        return term
    return _rename(term, names, {})


def _rename(term: App, names: Callable[[int], Term], memo: dict[App, App]) -> App:
    args: list[Term] = []
    for arg in term.args:
        if isinstance(arg, int):
            args.append(names(arg))
        elif arg.ground:
            args.append(arg)
        else:
            args.append(memo.get(arg) or _rename(arg, names, memo))
    made = memo[term] = app(term.sym, tuple(args))
    return made


def mentions(terms: Iterable[Term], symbols: Collection[Symbol]) -> bool:
    """Whether any of the symbols occurs in any of the terms."""
    return any(isinstance(term, App) and (term.sym in symbols or mentions(term.args, symbols)) for term in terms)


def is_instance_of(term: Term, patterns: Iterable[Term]) -> bool:
    """Whether `term` is an instance of any of the patterns."""
    return any(match(pattern, term, {}, []) for pattern in patterns)


def show(term: Term) -> str:
    """`term` in ProVerif's notation."""
    if isinstance(term, int):
        return f"x{term}" if term >= 0 else f"*{-term}"
    sym = term.sym
    inner = ",".join(show(arg) for arg in term.args)
    if sym.label == "" or sym.label == "tuple":
        return f"({inner})"
    if sym.kind == "name":
        return f"{sym.label}[{inner}]"
    if not term.args:
        return sym.label
    return f"{sym.label}({inner})"


_TUPLES: dict[int, Symbol] = {}


def tuple_symbol(arity: int) -> Symbol:
    """The data constructor of tuples of `arity` terms."""
    found = _TUPLES.get(arity)
    if found is None:
        found = _TUPLES[arity] = Symbol("tuple", arity, "data")
    return found


TRUE = app(Symbol("true", 0, "data"))
FALSE = app(Symbol("false", 0, "data"))
