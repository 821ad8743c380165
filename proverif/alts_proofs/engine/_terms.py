"""Terms, hash-consed: equal terms are the same object.

A variable is an int; facts are terms whose symbol is a predicate. Negative variables are the universally quantified
ones of disequalities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping


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

    __slots__ = ("args", "bits", "ground", "shifted", "size", "sym")

    sym: Symbol
    args: tuple[Term, ...]
    bits: int
    ground: bool
    size: int
    shifted: App | None

    def __repr__(self) -> str:
        return show(self)


Term = int | App
Bindings = dict[int, Term]

_TABLE: dict[tuple[Symbol, tuple[Term, ...]], App] = {}
SHIFT = 1 << 16


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
    args = tuple([a if isinstance(a, App) and a.ground else substitute(a, bindings) for a in term.args])
    return term if args == term.args else app(term.sym, args)


def shift(term: Term) -> Term:
    """`term` with every variable moved by `SHIFT`."""
    if isinstance(term, int):
        return term + SHIFT if term >= 0 else term
    made = term.shifted
    if made is None:
        made = app(term.sym, tuple([shift(arg) for arg in term.args]))
        term.shifted = made
    return made


def occurs(variable: int, term: Term, bindings: Mapping[int, Term]) -> bool:
    """Whether `variable` occurs in `term` under `bindings`."""
    stack = [term]
    while stack:
        one = stack.pop()
        if isinstance(one, int):
            if one == variable:
                return True
            bound = bindings.get(one)
            if bound is not None:
                stack.append(bound)
        elif not one.ground:
            stack.extend(one.args)
    return False


def unify(left: Term, right: Term, bindings: Bindings) -> bool:
    """Extends `bindings` to a most general unifier; when False, `bindings` are spoilt.

    Negative variables are bound in preference to others.
    """
    stack = [(left, right)]
    pop = stack.pop
    get = bindings.get
    while stack:
        a, b = pop()
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
            stack.extend(zip(a.args, b.args, strict=False))
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


def variables(term: Term, into: set[int]) -> None:
    """Adds the variables of `term` to `into`."""
    stack = [term]
    while stack:
        one = stack.pop()
        if isinstance(one, int):
            into.add(one)
        elif not one.ground:
            stack.extend(one.args)


def rename(term: Term, names: Callable[[int], Term]) -> Term:
    """`term` with every variable replaced once."""
    if isinstance(term, int):
        return names(term)
    if term.ground:
        return term
    return app(term.sym, tuple([rename(arg, names) for arg in term.args]))


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
