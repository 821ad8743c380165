"""Queries, ``not`` declarations and selection hints: from what was written to facts over numbered variables.

They are understood after the process, since they may name its fresh names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product

from alts_proofs.engine import _core as core
from alts_proofs.engine import _syntax as ast
from alts_proofs.engine._errors import ScriptError, Unsupported
from alts_proofs.engine._lexer import Place
from alts_proofs.engine._terms import App, Symbol, Term, app, mentions, tuple_symbol

_PREDICATES = ("event", "inj-event", "attacker", "mess", "table")
_APPLICATIONS: tuple[core.Application, ...] = ("none", "discard", "instantiate", "full")
_DEFAULT_HINT = 6000
_DEFAULT_SELECT = 3000

Asked = ast.DeclareQuery | ast.DeclareNot | ast.DeclareSelect


class Questions:
    """Collects declarations with their scopes; `finish` puts what they mean into the model."""

    def __init__(
        self,
        model: core.Model,
        look_up: Callable[[str, object], Symbol | App | str | None],
        events: Mapping[str, Symbol],
        tables: Mapping[str, Symbol],
        names: Mapping[str, list[Symbol]],
    ) -> None:
        self.model = model
        self.look_up = look_up
        self.events = events
        self.tables = tables
        self.names = names
        self.asked: list[tuple[Asked, object]] = []

    def add(self, declared: Asked, scope: object) -> None:
        """Keeps a declaration for `finish`; `scope` is what it sees."""
        self.asked.append((declared, scope))

    def finish(self) -> None:
        """Raises `ScriptError` and `Unsupported`; queries of an unsupported kind say so themselves."""
        for declared, scope in self.asked:
            match declared:
                case ast.DeclareQuery():
                    self.model.queries.append(self._query(declared, scope))
                case ast.DeclareNot():
                    for reader in self._readers(declared.fact, declared.variables, scope):
                        fact = reader.atom(reader.inline(declared.fact))
                        if fact.kind in ("event", "=", "<>"):
                            raise ScriptError("not takes attacker, mess or table", fact.place)
                        phases = [fact.phase] if fact.phase >= 0 else range(self.model.phases + 1)
                        for phase in phases:
                            self.model.secrets.append(core.Atom(fact.kind, fact.args, phase, False, fact.place))
                case ast.DeclareSelect():
                    self._hint(declared, scope)

    def _readers(self, term: ast.Term, variables: tuple[ast.Parameter, ...], scope: object) -> list[_Reader]:
        """One reader for each way to say which site a fresh name is from."""
        labels = sorted(_names(term))
        sites = [self.names.get(label, []) for label in labels]
        for label, found in zip(labels, sites, strict=True):
            if not found:
                raise ScriptError(f"no process makes a name {label}", term.place)
        return [_Reader(self, variables, scope, dict(zip(labels, one, strict=True))) for one in product(*sites)]

    def _query(self, declared: ast.DeclareQuery, scope: object) -> core.Query:
        query = self._asked(declared, scope)
        options = declared.options
        induction = "induction" in options or (declared.lemma and self.model.induction and "noInduction" not in options)
        query = replace(query, group=declared.group, lemma=declared.lemma, induction=induction)
        for when in _APPLICATIONS:
            if f"{when}Sat" in options:
                query = replace(query, saturation=when)
            if f"{when}Verif" in options:
                query = replace(query, solving=when)
        return query

    def _asked(self, declared: ast.DeclareQuery, scope: object) -> core.Query:
        unsupported = declared.unsupported
        try:
            if unsupported is None:
                readers = self._readers(declared.goal, declared.variables, scope)
                if len(readers) != 1:
                    raise Unsupported("a fresh name that several places make", declared.place)
                left, right = readers[0].query(readers[0].inline(declared.goal))
                return core.Query(declared.text, left, right, declared.place)
        except Unsupported as error:
            return core.Query(declared.text, (), (), declared.place, str(error))
        return core.Query(declared.text, (), (), declared.place, f"{declared.place}: {unsupported}")

    def _hint(self, declared: ast.DeclareSelect, scope: object) -> None:
        if declared.options & {"inductionOn"}:
            return
        try:
            for reader in self._readers(declared.fact, declared.variables, scope):
                fact = reader.atom(reader.inline(declared.fact))
                weight = declared.weight
                if weight is None:
                    weight = _DEFAULT_SELECT if declared.select else -_DEFAULT_HINT
                phases = [fact.phase] if fact.phase >= 0 else range(self.model.phases + 1)
                exact = frozenset(n for n in range(len(declared.variables)) if n not in reader.anything)
                for phase in phases:
                    atom = core.Atom(fact.kind, fact.args, phase, False, fact.place)
                    options = declared.options
                    self.model.hints.append(
                        core.Hint(atom, exact, weight, "conclusion" in options, "ignoreAFewTimes" in options)
                    )
        except (ScriptError, Unsupported):
            # A hint changes how long a proof takes, not what is true: what is not understood is left aside.
            return


class _Reader:
    """Reads facts and terms with the variables of one declaration."""

    def __init__(
        self, questions: Questions, variables: tuple[ast.Parameter, ...], scope: object, sites: Mapping[str, Symbol]
    ) -> None:
        self.questions = questions
        self.model = questions.model
        self.scope = scope
        self.sites = sites
        self.numbers = {variable.name: i for i, variable in enumerate(variables)}
        self.count = len(variables)
        self.anything: set[int] = set()

    def fresh(self) -> int:
        """A variable that was not written."""
        self.count += 1
        return self.count - 1

    def inline(self, term: ast.Term, known: Mapping[str, ast.Term] | None = None) -> ast.Term:
        """`term` without ``let``."""
        known = known or {}
        match term:
            case ast.Id(name):
                return known.get(name, term)
            case ast.Call(name, args, place, phase):
                return ast.Call(name, tuple(self.inline(arg, known) for arg in args), place, phase)
            case ast.Tuple(args, place):
                return ast.Tuple(tuple(self.inline(arg, known) for arg in args), place)
            case ast.New(name, body, bindings, place):
                bound = tuple((key, self.inline(value, known)) for key, value in bindings)
                return ast.New(name, body, bound, place)
            case ast.Let(ast.Bind(name), value, body, None) if name is not None:
                return self.inline(body, {**known, name: self.inline(value, known)})
        raise Unsupported("such a term in a query", term.place)

    def query(self, goal: ast.Term) -> tuple[tuple[core.Atom, ...], tuple[tuple[core.Atom, ...], ...]]:
        """Both sides of ``==>``."""
        left, right = goal, None
        if isinstance(goal, ast.Call) and goal.name == "==>":
            left, right = goal.args
        facts = tuple(self.atom(part) for part in _parts(left, "&&"))
        for fact in facts:
            if fact.kind == "=":
                raise ScriptError("an equality in front of ==>", fact.place)
            if fact.kind == "<>" and mentions(fact.args, self.model.theory.equational):
                raise Unsupported("an inequality of terms with equations in front of ==>", fact.place)
        if right is None:
            return facts, ()
        if isinstance(right, ast.Id) and right.name == "false":
            return facts, ()
        ways = _disjuncts(right)
        parts = {id(part): part for one in ways for part in one}
        atoms = {key: replace(self.atom(part), occurrence=i) for i, (key, part) in enumerate(parts.items())}
        disjuncts = tuple(tuple(atoms[id(part)] for part in one) for one in ways)
        for disjunct in disjuncts:
            for fact in disjunct:
                if fact.kind in ("attacker", "mess", "table"):
                    raise Unsupported(f"{fact.kind} behind ==>", fact.place)
        if not any(fact.injective for fact in facts):
            # Without an injective event in front, one behind says no more than a plain one.
            disjuncts = tuple(tuple(replace(fact, injective=False) for fact in disjunct) for disjunct in disjuncts)
        return facts, disjuncts

    def atom(self, term: ast.Term) -> core.Atom:
        """A fact."""
        if not isinstance(term, ast.Call):
            raise Unsupported("such a fact", term.place)
        place, name = term.place, term.name
        if name in ("=", "<>"):
            return core.Atom(name, tuple(self.term(arg) for arg in term.args), -1, False, place)
        if name == "==>":
            raise Unsupported("nested correspondences", place)
        if name not in _PREDICATES:
            raise Unsupported(f"{name} in a query", place)
        phase = -1 if term.phase is None else term.phase
        if name == "mess" and phase < 0 and self.model.phases:
            raise Unsupported("mess without a phase", place)
        if phase > self.model.phases:
            raise ScriptError(f"there is no phase {phase}", place)
        if name in ("attacker", "mess"):
            expected = 1 if name == "attacker" else 2
            if len(term.args) != expected:
                raise ScriptError(f"{name} takes {expected} arguments", place)
            return core.Atom(name, tuple(self.term(arg) for arg in term.args), phase, False, place)
        if len(term.args) != 1 or not isinstance(inner := term.args[0], ast.Id | ast.Call):
            raise ScriptError(f"{name} takes one {'row' if name == 'table' else 'event'}", place)
        if phase >= 0 and name != "table":
            raise ScriptError("events have no phase", place)
        arguments = inner.args if isinstance(inner, ast.Call) else ()
        found = (self.questions.tables if name == "table" else self.questions.events).get(inner.name)
        if found is None or found.arity != len(arguments):
            raise ScriptError(f"{inner.name} of {len(arguments)} arguments is not declared", inner.place)
        row = app(found, tuple(self.term(arg) for arg in arguments))
        return core.Atom("table" if name == "table" else "event", (row,), phase, name == "inj-event", place)

    def term(self, term: ast.Term) -> Term:
        """A term of constructors, names and variables."""
        match term:
            case ast.Call("*", args):
                number = self.term(args[0])
                if isinstance(number, int):
                    self.anything.add(number)
                return number
            case ast.Tuple(args):
                self.model.tuples.add(len(args))
                return app(tuple_symbol(len(args)), tuple(self.term(arg) for arg in args))
            case ast.New(name, _, bindings):
                return self._name(name, bindings, term.place)
            case ast.Id(name) if name in self.numbers:
                return self.numbers[name]
            case ast.Id(name, place) | ast.Call(name, _, place):
                args = term.args if isinstance(term, ast.Call) else ()
                found = self.questions.look_up(name, self.scope)
                if found == "converter" and len(args) == 1:
                    return self.term(args[0])
                if isinstance(found, App) and not args:
                    return found
                if isinstance(found, Symbol):
                    if found.kind == "destructor":
                        raise Unsupported(f"destructor {name} in a query", place)
                    if found.arity != len(args):
                        raise ScriptError(f"{name} takes {found.arity} arguments", place)
                    return app(found, tuple(self.term(arg) for arg in args))
                raise ScriptError(f"{name} is not declared", place)
        raise Unsupported("such a term in a query", term.place)

    def _name(self, name: str, bindings: tuple[tuple[str, ast.Term], ...], place: Place) -> Term:
        sym = self.sites[name]
        labels = self.model.parameters[sym]
        args: list[Term] = [self.fresh() for _ in labels]
        for key, value in bindings:
            if key.startswith("!"):
                positions = [i for i, label in enumerate(labels) if label == "!"]
                number = int(key[1:])
                if not 1 <= number <= len(positions):
                    raise ScriptError(f"{name} has no session {key}", place)
                args[positions[number - 1]] = self.term(value)
            else:
                positions = [i for i, label in enumerate(labels) if label == key]
                if len(positions) != 1:
                    raise Unsupported(f"{key} of the name {name}", place)
                args[positions[0]] = self.term(value)
        return app(sym, tuple(args))


def _parts(term: ast.Term, operator: str) -> list[ast.Term]:
    if isinstance(term, ast.Call) and term.name == operator:
        return [part for arg in term.args for part in _parts(arg, operator)]
    return [term]


def _disjuncts(term: ast.Term) -> list[list[ast.Term]]:
    """The disjunctive normal form."""
    if isinstance(term, ast.Call) and term.name == "||":
        return [one for arg in term.args for one in _disjuncts(arg)]
    if isinstance(term, ast.Call) and term.name == "&&":
        left, right = (_disjuncts(arg) for arg in term.args)
        return [[*a, *b] for a in left for b in right]
    if isinstance(term, ast.Id) and term.name == "true":
        return [[]]
    if isinstance(term, ast.Id) and term.name == "false":
        return []
    return [[term]]


def _names(term: ast.Term) -> set[str]:
    match term:
        case ast.New(name, _, bindings):
            return {name}.union(*(_names(value) for _, value in bindings))
        case ast.Call(_, args) | ast.Tuple(args):
            return set().union(*(_names(arg) for arg in args))
        case ast.Let(_, value, body, _):
            return _names(value) | _names(body)
    return set()
