"""Runs a script step by step, in the language's semantics, against an attacker who knows what it was shown.

Nothing here looks at clauses. Values are canonical ground terms; a name is its place in the program and the sessions
it is made in. Each point of the program runs once in each session, when the phase is its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from alts_proofs.engine import _core as core
from alts_proofs.engine._entities import AND, EQUAL, NOT, OR, UNEQUAL
from alts_proofs.engine._lexer import Place
from alts_proofs.engine._terms import FALSE, TRUE, App, Bindings, Symbol, Term, app, match, rename
from alts_proofs.engine._theory import Rule

Env = Mapping[core.Variable, App]
Sessions = tuple[App, ...]


Actor = tuple[str, Sessions]
"""The role of a process, or the attacker, and the sessions that it runs in."""
ATTACKER: Actor = ("attacker", ())


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story: a step of the attacker, or of a process at a place of the script.

    `source` does something: `label` is what it sends to `target`, or what it does if that is itself.
    """

    text: str
    label: str
    place: Place | None = None
    source: Actor = ATTACKER
    target: Actor = ATTACKER


@dataclass(slots=True)
class Machine:
    """The state of a run."""

    model: core.Model
    phase: int = 0
    known: dict[App, int] = field(default_factory=dict)
    """What the attacker has been shown or has computed, with the phase in which it came to have it."""
    rows: set[App] = field(default_factory=set)
    events: list[tuple[App, tuple[Symbol, Sessions]]] = field(default_factory=list)
    sent: set[tuple[App, App, int]] = field(default_factory=set)
    """Channel, message and phase of what was sent."""
    story: list[Line] = field(default_factory=list)

    def does(self, what: str, place: Place, actor: Actor) -> None:
        """Tells what a process does by itself."""
        text = what if what.startswith("event ") else f"a process {what}"
        self.story.append(Line(text, what, place, actor, actor))

    def sends(self, message: App, channel: App, then: str, place: Place, source: Actor, target: Actor) -> None:
        """Tells of a message."""
        who = "the attacker" if source is ATTACKER else "a process"
        text = f"{who} sends {tell(message)} on {tell(channel)}; {then}"
        self.story.append(Line(text, tell(message), place, source, target))

    # The attacker.

    def learn(self, term: App) -> bool:
        """The attacker gets `term` and what it is made of with data constructors. Says whether it is new."""
        if term in self.known:
            return False
        self.known[term] = self.phase
        if term.sym.kind == "data":
            for child in term.args:
                assert isinstance(child, App)
                self.learn(child)
        return True

    def can_make(self, term: App) -> bool:
        """Whether the attacker has `term` or can put it together with public functions."""
        if term in self.known:
            return True
        sym = term.sym
        if sym.private or sym.kind not in ("free", "constructor", "data", "fresh"):
            return False
        return all(isinstance(arg, App) and self.can_make(arg) for arg in term.args)

    def compute(self, sym: Symbol, args: tuple[App | None, ...]) -> App | None:
        """The attacker applies a public function to what it can make; None is the failure. Gives the result."""
        if sym.private or not all(arg is None or self.can_make(arg) for arg in args):
            return None
        result = self.apply(sym, args)
        if result is not None and self.learn(result):
            shown = ", ".join("fail" if arg is None else tell(arg) for arg in args)
            done = f"computes {sym.label}({shown}) = {tell(result)}"
            self.story.append(Line(f"the attacker {done}", done))
        return result

    # Evaluation.

    def evaluate(self, expr: core.Expr, env: Env, sessions: Sessions) -> App | None:
        """The value of a term, or None if it fails."""
        match expr:
            case core.Read(variable):
                return env[variable]
            case core.Apply(sym, args):
                if sym in (AND, OR):
                    first = self.evaluate(args[0], env, sessions)
                    if first is None:
                        return None
                    if (first is TRUE) is (sym is AND):
                        return self.evaluate(args[1], env, sessions)
                    return FALSE if sym is AND else TRUE
                return self.apply(sym, tuple(self.evaluate(arg, env, sessions) for arg in args))
            case core.Failure():
                return None
            case core.Choose(condition, then, other):
                value = self.evaluate(condition, env, sessions)
                if value is None:
                    return None
                return self.evaluate(then if value is TRUE else other, env, sessions)
            case core.Bound(pattern, value_of, body, other):
                value = self.evaluate(value_of, env, sessions)
                inner = None if value is None else self.match(pattern, value, env, sessions)
                if inner is None:
                    return self.evaluate(other, env, sessions)
                return self.evaluate(body, inner, sessions)
            case core.Fresh(name, variable, body):
                return self.evaluate(body, {**env, variable: app(name, sessions)}, sessions)
        raise AssertionError(expr)

    def apply(self, sym: Symbol, args: tuple[App | None, ...]) -> App | None:
        """A function of values."""
        theory = self.model.theory
        rules = theory.rules.get(sym)
        if rules is not None:
            for rule in rules:
                matched, result = _rewrite(rule, args)
                if matched:
                    # A result can contain no equational function: rules with one are refused.
                    return result
            return None
        values = [arg for arg in args if arg is not None]
        if len(values) != len(args):
            return None
        if sym is EQUAL:
            return TRUE if values[0] is values[1] else FALSE
        if sym is UNEQUAL:
            return FALSE if values[0] is values[1] else TRUE
        if sym is NOT:
            return FALSE if values[0] is TRUE else TRUE
        made = theory.canonical(app(sym, tuple(values)))
        assert isinstance(made, App)
        return made

    def match(self, pattern: core.Pattern, value: App, env: Env, sessions: Sessions) -> Env | None:
        """`env` with what the pattern binds, or None if `value` does not match."""
        match pattern:
            case core.Take(variable):
                return env if variable is None else {**env, variable: value}
            case core.Same(expr):
                return env if self.evaluate(expr, env, sessions) is value else None
            case core.Part(sym, parts):
                if value.sym is not sym:
                    return None
                inner: Env | None = env
                for part, child in zip(parts, value.args, strict=True):
                    assert isinstance(child, App)
                    inner = None if inner is None else self.match(part, child, inner, sessions)
                return inner
        raise AssertionError(pattern)


def _rewrite(rule: Rule, args: tuple[App | None, ...]) -> tuple[bool, App | None]:
    """Whether a rule applies, and what it gives."""
    bindings: Bindings = {}
    failed: set[int] = set()
    for pattern, arg in zip(rule.args, args, strict=True):
        if arg is None:
            if pattern is None:
                continue
            if isinstance(pattern, int) and pattern in rule.may_fail and pattern not in bindings:
                failed.add(pattern)
                continue
            return False, None
        if pattern is None or (isinstance(pattern, int) and pattern in failed):
            return False, None
        if not match(pattern, arg, bindings, []):
            return False, None
    if rule.result is None or (isinstance(rule.result, int) and rule.result in failed):
        return True, None
    result = rename(rule.result, lambda v: bindings[v])
    assert isinstance(result, App)
    return True, result


def tell(term: Term) -> str:
    """A value for people: names with their sessions as small numbers."""
    if isinstance(term, int):
        return f"x{term}"
    inner = ", ".join(tell(arg) for arg in term.args)
    if term.sym.kind == "name":
        numbers = "".join(f"#{tell(arg)}" for arg in term.args)
        return f"{term.sym.label}{numbers}"
    if term.sym.kind == "session":
        return term.sym.label.removeprefix("session")
    if term.sym.label == "tuple":
        return f"({inner})"
    return f"{term.sym.label}({inner})" if term.args else term.sym.label
