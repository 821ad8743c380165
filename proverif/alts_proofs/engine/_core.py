"""A script with every macro inlined and every identifier resolved; what translation and execution work on.

Nodes are compared by identity: each is one point of the program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from alts_proofs.engine._lexer import Place
from alts_proofs.engine._terms import App, Symbol, Term
from alts_proofs.engine._theory import Theory


class Variable:
    """A bound variable of the program."""

    __slots__ = ("label",)

    def __init__(self, label: str) -> None:
        self.label = label

    def __repr__(self) -> str:
        return self.label


# Terms that are evaluated.


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """The value of a variable."""

    variable: Variable


@dataclass(frozen=True, slots=True, eq=False)
class Apply:
    """A function applied."""

    sym: Symbol
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """Fails."""


@dataclass(frozen=True, slots=True, eq=False)
class Choose:
    """A conditional term."""

    condition: Expr
    then: Expr
    other: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A binding term."""

    pattern: Pattern
    value: Expr
    body: Expr
    other: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Fresh:
    """A fresh name in a term."""

    name: Symbol
    variable: Variable
    body: Expr


Expr = Read | Apply | Failure | Choose | Bound | Fresh


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """Matches anything; binds the variable if there is one."""

    variable: Variable | None


@dataclass(frozen=True, slots=True, eq=False)
class Same:
    """Matches the value of the term."""

    term: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Matches the application of a data constructor."""

    sym: Symbol
    parts: tuple[Pattern, ...]


Pattern = Take | Same | Part


@dataclass(frozen=True, slots=True, eq=False)
class Nil:
    """Does nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Par:
    """Runs all parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Repl:
    """Runs any number of copies."""

    body: Node
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class New:
    """Makes a name."""

    name: Symbol
    variable: Variable
    body: Node
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class In:
    """Receives."""

    channel: Expr
    pattern: Pattern
    body: Node
    place: Place
    precise: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Out:
    """Sends."""

    channel: Expr
    message: Expr
    body: Node
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class LetIn:
    """Binds; `other` when the value fails or does not match."""

    pattern: Pattern
    value: Expr
    body: Node
    other: Node
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """`then` when the condition is true, `other` when it is another value; stops when it fails."""

    condition: Expr
    then: Node
    other: Node
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """Executes an event; `occurrence` stands for the point."""

    event: Symbol
    args: tuple[Expr, ...]
    occurrence: Symbol
    body: Node
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Insert:
    """Adds a row."""

    table: Symbol
    args: tuple[Expr, ...]
    body: Node
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Get:
    """Takes some row that matches and for which the condition holds; `other` when there is none."""

    table: Symbol
    parts: tuple[Pattern, ...]
    condition: Expr
    body: Node
    other: Node
    place: Place
    precise: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Phase:
    """Goes on in a later phase."""

    number: int
    body: Node
    place: Place


Node = Nil | Par | Repl | New | In | Out | LetIn | Test | Event | Insert | Get | Phase
NIL = Nil()


@dataclass(frozen=True, slots=True)
class Atom:
    """A fact of a query. `kind`: ``event``, ``attacker``, ``mess``, ``table``, ``=`` or ``<>``. Variables are ints.

    `occurrence` tells the places behind ``==>`` apart: a fact beside a disjunction is one, in several disjuncts.
    """

    kind: str
    args: tuple[Term, ...]
    phase: int
    injective: bool
    place: Place
    occurrence: int = 0


Application = Literal["none", "discard", "instantiate", "full"]
"""When a lemma is used: never, to drop clauses, also to make terms equal, always."""


@dataclass(frozen=True, slots=True)
class Query:
    """``left && ... ==> (right && ...) || ...``; without `right` ``left`` must be unreachable.

    Lemmas and queries of one declaration have one `group`.
    """

    text: str
    left: tuple[Atom, ...]
    right: tuple[tuple[Atom, ...], ...]
    place: Place
    unsupported: str | None = None
    group: int = -1
    lemma: bool = False
    induction: bool = False
    saturation: Application = "instantiate"
    solving: Application = "full"


@dataclass(frozen=True, slots=True)
class Hint:
    """A selection hint: the pattern's variables that must meet variables are in `exact`.

    `ignored`: goals may ignore it a few times.
    """

    fact: Atom
    exact: frozenset[int]
    weight: int
    conclusion: bool
    ignored: bool = False


@dataclass(slots=True)
class Model:
    """Everything about a script that proving needs."""

    theory: Theory = field(default_factory=Theory)
    functions: list[Symbol] = field(default_factory=list)
    constants: list[App] = field(default_factory=list)
    """Free names."""
    process: Node = NIL
    queries: list[Query] = field(default_factory=list)
    secrets: list[Atom] = field(default_factory=list)
    """Facts declared underivable with ``not``."""
    hints: list[Hint] = field(default_factory=list)
    passive: bool = False
    precise: bool = False
    """Whether every input notes what it takes, not just those below injective events."""
    induction: bool = False
    """Whether lemmas are proved by induction when they do not say."""
    ignoring: int = 1
    """How many of the hints that say so goals may ignore on the way to a fact."""
    phases: int = 0
    parameters: dict[Symbol, tuple[str, ...]] = field(default_factory=dict)
    """Of every name and occurrence, what its arguments are: ``!`` for a session, else the name of an input variable."""
    tuples: set[int] = field(default_factory=set)
    roles: dict[int, str] = field(default_factory=dict)
    """The name of the process macro of which a node, given by its `id`, is the beginning."""
