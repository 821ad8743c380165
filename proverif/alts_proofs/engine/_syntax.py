"""What the parser makes of a script: declarations, terms, patterns and processes, as written."""

from __future__ import annotations

from dataclasses import dataclass, field

from alts_proofs.engine._lexer import Place

# Terms. `Call` also stands for the infix operators and, in queries, for facts.


@dataclass(frozen=True, slots=True)
class Id:
    """An identifier."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Call:
    """A function, an operator or, in queries, a predicate applied to arguments; `phase` only for predicates."""

    name: str
    args: tuple[Term, ...]
    place: Place
    phase: int | None = None


@dataclass(frozen=True, slots=True)
class Tuple:
    """A tuple, of any number of terms but one."""

    args: tuple[Term, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class New:
    """``new name: type; body``; in queries ``new name[bindings]``, without body."""

    name: str
    body: Term | None
    bindings: tuple[tuple[str, Term], ...]
    place: Place


@dataclass(frozen=True, slots=True)
class If:
    """A conditional term; without `other` it fails."""

    condition: Term
    then: Term
    other: Term | None
    place: Place


@dataclass(frozen=True, slots=True)
class Let:
    """A binding term; without `other` it fails when the pattern does not match."""

    pattern: Pattern
    value: Term
    body: Term
    other: Term | None
    place: Place


@dataclass(frozen=True, slots=True)
class Fail:
    """The failure constant."""

    place: Place


Term = Id | Call | Tuple | New | If | Let | Fail

# Patterns.


@dataclass(frozen=True, slots=True)
class Bind:
    """Binds a variable; no name for ``_``."""

    name: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Equal:
    """Matches what equals the term."""

    term: Term
    place: Place


@dataclass(frozen=True, slots=True)
class Split:
    """Takes a tuple (no name) or the application of a data constructor apart."""

    name: str | None
    parts: tuple[Pattern, ...]
    place: Place


Pattern = Bind | Equal | Split

# Processes.


@dataclass(frozen=True, slots=True)
class Nil:
    """The process that does nothing."""

    place: Place


@dataclass(frozen=True, slots=True)
class Parallel:
    """Several processes at once."""

    parts: tuple[Process, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Replicate:
    """Any number of copies."""

    body: Process
    place: Place


@dataclass(frozen=True, slots=True)
class NewName:
    """A fresh name."""

    name: str
    body: Process
    place: Place


@dataclass(frozen=True, slots=True)
class Input:
    """A message from a channel."""

    channel: Term
    pattern: Pattern
    body: Process
    place: Place
    precise: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """A message to a channel."""

    channel: Term
    message: Term
    body: Process
    place: Place


@dataclass(frozen=True, slots=True)
class LetIn:
    """A binding."""

    pattern: Pattern
    value: Term
    body: Process
    other: Process
    place: Place


@dataclass(frozen=True, slots=True)
class Condition:
    """A conditional."""

    condition: Term
    then: Process
    other: Process
    place: Place


@dataclass(frozen=True, slots=True)
class Event:
    """An event."""

    name: str
    args: tuple[Term, ...]
    body: Process
    place: Place


@dataclass(frozen=True, slots=True)
class Insert:
    """A row for a table."""

    table: str
    args: tuple[Term, ...]
    body: Process
    place: Place


@dataclass(frozen=True, slots=True)
class Get:
    """A row from a table."""

    table: str
    parts: tuple[Pattern, ...]
    condition: Term | None
    body: Process
    other: Process
    place: Place
    precise: bool = False


@dataclass(frozen=True, slots=True)
class Phase:
    """From here on in the given phase."""

    number: int
    body: Process
    place: Place


@dataclass(frozen=True, slots=True)
class Run:
    """A process macro with its arguments."""

    name: str
    args: tuple[Term, ...]
    place: Place


Process = Nil | Parallel | Replicate | NewName | Input | Output | LetIn | Condition | Event | Insert | Get | Phase | Run

# Declarations.


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter or quantified variable; `may_fail` for ``or fail``."""

    name: str
    type: str
    may_fail: bool
    place: Place


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rewrite rule or equation: quantified variables and the equation as written."""

    variables: tuple[Parameter, ...]
    left: Term
    right: Term
    place: Place


@dataclass(frozen=True, slots=True)
class DeclareFun:
    """``fun``, ``const`` (no argument), or a destructor if there are rules."""

    name: str
    arity: int
    options: frozenset[str]
    rules: tuple[RuleText, ...]
    place: Place
    otherwise: bool = False
    free: bool = False


@dataclass(frozen=True, slots=True)
class DeclareEquations:
    """``equation``."""

    rules: tuple[RuleText, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class DeclareEvent:
    """``event``."""

    name: str
    arity: int
    place: Place


@dataclass(frozen=True, slots=True)
class DeclareTable:
    """``table``."""

    name: str
    arity: int
    place: Place


@dataclass(frozen=True, slots=True)
class DeclareProcess:
    """``let P(...) = ...``."""

    name: str
    parameters: tuple[Parameter, ...]
    body: Process
    place: Place


@dataclass(frozen=True, slots=True)
class DeclareLetfun:
    """``letfun f(...) = ...``."""

    name: str
    parameters: tuple[Parameter, ...]
    body: Term
    place: Place


@dataclass(frozen=True, slots=True)
class DeclareQuery:
    """One query or lemma; `text` is as written. Those of one declaration share `group` and `options`."""

    variables: tuple[Parameter, ...]
    goal: Term
    text: str
    place: Place
    unsupported: str | None = None
    group: int = -1
    lemma: bool = False
    options: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DeclareNot:
    """A ``not`` declaration."""

    variables: tuple[Parameter, ...]
    fact: Term
    place: Place


@dataclass(frozen=True, slots=True)
class DeclareSelect:
    """A hint for selection: `weight` None for the usual one; `select` for ``select``."""

    variables: tuple[Parameter, ...]
    fact: Term
    weight: int | None
    select: bool
    options: frozenset[str]
    place: Place


@dataclass(frozen=True, slots=True)
class DeclareSet:
    """A parameter."""

    name: str
    value: str
    place: Place


Declaration = (
    DeclareFun
    | DeclareEquations
    | DeclareEvent
    | DeclareTable
    | DeclareProcess
    | DeclareLetfun
    | DeclareQuery
    | DeclareNot
    | DeclareSelect
    | DeclareSet
)


@dataclass(slots=True)
class Source:
    """A whole script: what was declared, in order, and the process."""

    declarations: list[Declaration] = field(default_factory=list)
    types: set[str] = field(default_factory=set)
    process: Process | None = None
