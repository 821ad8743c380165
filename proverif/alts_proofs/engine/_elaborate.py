"""From what was written to the core: scopes resolved, macros inlined, queries understood."""

from __future__ import annotations

from collections.abc import Mapping

from alts_proofs.engine import _core as core
from alts_proofs.engine import _syntax as ast
from alts_proofs.engine._entities import (
    FIXED,
    HARMLESS,
    OPERATORS,
    Converter,
    Entity,
    Global,
    Letfun,
    Local,
    Macro,
    Name,
    Scope,
    taken,
)
from alts_proofs.engine._errors import ScriptError, Unsupported
from alts_proofs.engine._facts import all_variables
from alts_proofs.engine._lexer import Place
from alts_proofs.engine._questions import Questions
from alts_proofs.engine._terms import FALSE, TRUE, App, Symbol, Term, app, tuple_symbol
from alts_proofs.engine._theory import Rule


def elaborate(source: ast.Source) -> core.Model:
    """The model of a script. Raises `ScriptError` and `Unsupported`."""
    return _Elaborator(source).run()


class _Elaborator:
    def __init__(self, source: ast.Source) -> None:
        self.source = source
        self.model = core.Model()
        self.scope: dict[str, Entity] = {"true": Global(TRUE.sym), "false": Global(FALSE.sym)}
        self.events: dict[str, Symbol] = {}
        self.tables: dict[str, Symbol] = {}
        self.names: dict[str, list[Symbol]] = {}
        self.phase = 0
        self.questions = Questions(self.model, self.scope_term, self.events, self.tables, self.names)

    def run(self) -> core.Model:
        model = self.model
        model.functions += [TRUE.sym, FALSE.sym]
        for declared in self.source.declarations:
            self._declare(declared)
        process = self.source.process
        assert process is not None
        model.theory.check()
        model.process = self._process(process, self.scope, ())
        self.questions.finish()
        return model

    # Declarations.

    def _declare(self, declared: ast.Declaration) -> None:
        match declared:
            case ast.DeclareFun():
                self._function(declared)
            case ast.DeclareEquations():
                for rule in declared.rules:
                    numbers = {v.name: i for i, v in enumerate(rule.variables)}
                    left = self._rule_term(rule.left, numbers, rule.place)
                    right = self._rule_term(rule.right, numbers, rule.place)
                    if left is None or right is None:
                        raise ScriptError("fail in an equation", rule.place)
                    self.model.theory.add_equation(left, right, rule.place)
            case ast.DeclareEvent():
                self._unused(declared.name, self.events, declared.place)
                self.events[declared.name] = Symbol(declared.name, declared.arity, "event")
            case ast.DeclareTable():
                self._unused(declared.name, self.tables, declared.place)
                self.tables[declared.name] = Symbol(declared.name, declared.arity, "table")
            case ast.DeclareProcess():
                self._define(declared.name, Macro(declared, dict(self.scope)), declared.place)
            case ast.DeclareLetfun():
                self._define(declared.name, Letfun(declared, dict(self.scope)), declared.place)
            case ast.DeclareQuery() | ast.DeclareNot() | ast.DeclareSelect():
                # They may speak of what is declared further down.
                self.questions.add(declared, self.scope)
            case ast.DeclareSet():
                self._set(declared)

    @staticmethod
    def _unused(name: str, table: Mapping[str, object], place: Place) -> None:
        if name in table:
            raise ScriptError(f"{name} is declared twice", place)

    def _define(self, name: str, entity: Entity, place: Place) -> None:
        self._unused(name, self.scope, place)
        self.scope[name] = entity

    def _set(self, declared: ast.DeclareSet) -> None:
        if declared.name == "attacker":
            self.model.passive = declared.value == "passive"
        elif declared.name == "preciseActions":
            self.model.precise = declared.value in ("true", "yes")
        elif declared.name == "inductionLemmas":
            self.model.induction = declared.value in ("true", "yes")
        elif declared.name == "nounifIgnoreNtimes" and declared.value.isdigit():
            self.model.ignoring = int(declared.value)
        elif declared.name in FIXED:
            if declared.value not in FIXED[declared.name]:
                raise Unsupported(f"set {declared.name} = {declared.value}", declared.place)
        elif declared.name not in HARMLESS:
            raise Unsupported(f"set {declared.name}", declared.place)

    def _function(self, declared: ast.DeclareFun) -> None:
        place, name = declared.place, declared.name
        options = declared.options
        unknown = options - {"data", "private", "typeConverter", "projection", "uniform", "bounded"}
        if unknown or ("private" in options and options & {"data", "typeConverter"}):
            raise Unsupported(f"option {min(unknown, default='private here')}", place)
        if "typeConverter" in options and declared.arity == 1:
            self._define(name, Converter(), place)
            return
        private = "private" in options
        if declared.free:
            term = app(Symbol(name, 0, "free", private))
            self._define(name, Name(term), place)
            self.model.constants.append(term)
            return
        kind = "destructor" if declared.rules else "data" if "data" in options else "constructor"
        if declared.arity == 0 and kind == "data":
            kind = "constructor"
        sym = Symbol(name, declared.arity, kind, private)
        if declared.rules:
            # The rules may not use the function itself but on the left.
            rules = tuple(self._rule(rule, sym) for rule in declared.rules)
            self.model.theory.rules[sym] = rules
            if declared.otherwise:
                self.model.theory.ordered.add(sym)
            else:
                self.model.theory.check_deterministic(sym, place)
        self._define(name, Global(sym), place)
        self.model.functions.append(sym)

    def _rule(self, rule: ast.RuleText, sym: Symbol) -> Rule:
        left = rule.left
        if not isinstance(left, ast.Call) or left.name != sym.label or len(left.args) != sym.arity:
            raise ScriptError(f"every rule of {sym.label} begins with {sym.label} of {sym.arity} arguments", rule.place)
        numbers = {v.name: i for i, v in enumerate(rule.variables)}
        args = tuple(self._rule_term(arg, numbers, rule.place) for arg in left.args)
        result = self._rule_term(rule.right, numbers, rule.place)
        may_fail = frozenset(i for i, v in enumerate(rule.variables) if v.may_fail)
        for term in (*args, result):
            if isinstance(term, App) and may_fail & all_variables(term):
                raise ScriptError("a variable that may fail inside a term", rule.place)
        if result is not None and (
            unbound := all_variables(result) - {v for a in args if a is not None for v in all_variables(a)}
        ):
            raise ScriptError(f"{rule.variables[min(unbound)].name} occurs on the right only", rule.place)
        return Rule(args, result, may_fail)

    def _rule_term(self, term: ast.Term, numbers: Mapping[str, int], place: Place) -> Term | None:
        """A term of constructors over numbered variables; None for ``fail``."""
        if isinstance(term, ast.Fail):
            return None
        if isinstance(term, ast.Id) and term.name in numbers:
            return numbers[term.name]
        if isinstance(term, ast.Tuple):
            args = [self._rule_term(arg, numbers, place) for arg in term.args]
            return app(self._tuple(len(args)), tuple(_sure(arg, place) for arg in args))
        if isinstance(term, ast.Id | ast.Call):
            arguments = term.args if isinstance(term, ast.Call) else ()
            entity = self.scope.get(term.name)
            if isinstance(entity, Converter) and len(arguments) == 1:
                return self._rule_term(arguments[0], numbers, place)
            if isinstance(entity, Name):
                raise ScriptError(f"the name {term.name} in a rewrite rule or equation", term.place)
            if isinstance(entity, Global) and entity.sym.kind in ("constructor", "data"):
                if entity.sym.arity != len(arguments):
                    raise ScriptError(f"{term.name} takes {entity.sym.arity} arguments", term.place)
                return app(entity.sym, tuple(_sure(self._rule_term(a, numbers, place), place) for a in arguments))
            if entity is None and not isinstance(term, ast.Call):
                raise ScriptError(f"{term.name} is not declared", term.place)
            raise Unsupported(f"{term.name} in a rewrite rule or equation", term.place)
        raise Unsupported("such a term in a rewrite rule or equation", place)

    def _tuple(self, arity: int) -> Symbol:
        self.model.tuples.add(arity)
        return tuple_symbol(arity)

    # Terms and patterns. `params` is what names made here depend on.

    def scope_term(self, name: str, scope: object) -> Symbol | App | str | None:
        """What an identifier of a query is: a function, a free name, ``converter``, or nothing known."""
        assert isinstance(scope, dict)
        entity = scope.get(name)
        match entity:
            case Global():
                return entity.sym
            case Name():
                return entity.term
            case Converter():
                return "converter"
            case _:
                return None

    def _name(self, label: str, params: tuple[str, ...]) -> Symbol:
        sites = self.names.setdefault(label, [])
        sym = Symbol(label if not sites else f"{label}_{len(sites)}", len(params), "name", private=True)
        sites.append(sym)
        self.model.parameters[sym] = params
        return sym

    def _expr(self, term: ast.Term, scope: Scope, params: tuple[str, ...]) -> core.Expr:
        match term:
            case ast.Id(name, place):
                return self._identifier(name, place, scope, params)
            case ast.Call():
                return self._call(term, scope, params)
            case ast.Tuple(args):
                return core.Apply(self._tuple(len(args)), tuple(self._expr(arg, scope, params) for arg in args))
            case ast.Fail():
                return core.Failure()
            case ast.If(condition, then, other):
                return core.Choose(
                    self._expr(condition, scope, params),
                    self._expr(then, scope, params),
                    self._expr(other, scope, params) if other is not None else core.Failure(),
                )
            case ast.Let(pattern, value, body, other):
                inner = dict(scope)
                shape = self._pattern(pattern, scope, inner, params)
                return core.Bound(
                    shape,
                    self._expr(value, scope, params),
                    self._expr(body, inner, params),
                    self._expr(other, scope, params) if other is not None else core.Failure(),
                )
            case ast.New(name, body, bindings, place):
                if body is None or bindings:
                    raise ScriptError("a name of a query in a process", place)
                variable = core.Variable(name)
                sym = self._name(name, params)
                return core.Fresh(sym, variable, self._expr(body, {**scope, name: Local(variable)}, params))
        raise AssertionError(term)

    def _identifier(self, name: str, place: Place, scope: Scope, params: tuple[str, ...]) -> core.Expr:
        match scope.get(name):
            case Local(variable):
                return core.Read(variable)
            case Name(term):
                return core.Apply(term.sym, ())
            case Global(sym) if sym.arity == 0:
                return core.Apply(sym, ())
            case Letfun():
                return self._call(ast.Call(name, (), place), scope, params)
            case None:
                raise ScriptError(f"{name} is not declared", place)
        raise ScriptError(f"{name} needs arguments", place)

    def _call(self, term: ast.Call, scope: Scope, params: tuple[str, ...]) -> core.Expr:
        args = tuple(self._expr(arg, scope, params) for arg in term.args)
        sym = OPERATORS.get(term.name)
        entity = scope.get(term.name)
        if sym is None:
            match entity:
                case Global():
                    sym = entity.sym
                case Converter():
                    if len(args) != 1:
                        raise ScriptError(f"{term.name} takes one argument", term.place)
                    return args[0]
                case Letfun(declared, outer):
                    return self._letfun(declared, outer, args, term.place, params)
                case None:
                    if term.name == "is_nat":
                        raise Unsupported("natural numbers", term.place)
                    raise ScriptError(f"{term.name} is not declared", term.place)
                case _:
                    raise ScriptError(f"{term.name} is not a function", term.place)
        if len(args) != sym.arity:
            raise ScriptError(f"{term.name} takes {sym.arity} arguments, not {len(args)}", term.place)
        return core.Apply(sym, args)

    def _letfun(
        self,
        declared: ast.DeclareLetfun,
        outer: Scope,
        args: tuple[core.Expr, ...],
        place: Place,
        params: tuple[str, ...],
    ) -> core.Expr:
        if len(args) != len(declared.parameters):
            raise ScriptError(f"{declared.name} takes {len(declared.parameters)} arguments, not {len(args)}", place)
        inner = dict(outer)
        bound: list[tuple[core.Variable, core.Expr]] = []
        for parameter, arg in zip(declared.parameters, args, strict=True):
            if parameter.may_fail:
                raise Unsupported("a parameter that may fail", parameter.place)
            variable = core.Variable(parameter.name)
            inner[parameter.name] = Local(variable)
            bound.append((variable, arg))
        body = self._expr(declared.body, inner, params)
        for variable, arg in reversed(bound):
            body = core.Bound(core.Take(variable), arg, body, core.Failure())
        return body

    def _pattern(
        self, pattern: ast.Pattern, scope: Scope, inner: dict[str, Entity], params: tuple[str, ...]
    ) -> core.Pattern:
        """Adds what the pattern binds to `inner`; terms in it see only what is around it, `scope`."""
        match pattern:
            case ast.Bind(name):
                if name is None:
                    return core.Take(None)
                variable = core.Variable(name)
                inner[name] = Local(variable)
                return core.Take(variable)
            case ast.Equal(term):
                return core.Same(self._expr(term, scope, params))
            case ast.Split(name, parts, place):
                if name is None:
                    sym = self._tuple(len(parts))
                else:
                    match scope.get(name):
                        case Converter() if len(parts) == 1:
                            return self._pattern(parts[0], scope, inner, params)
                        case Global(found) if found.kind == "data" and found.arity == len(parts):
                            sym = found
                        case Global(found) if found.arity == 0 and not parts:
                            return core.Same(core.Apply(found, ()))
                        case _:
                            raise ScriptError(f"{name} is no data constructor of {len(parts)} arguments", place)
                return core.Part(sym, tuple(self._pattern(part, scope, inner, params) for part in parts))
        raise AssertionError(pattern)

    # Processes.

    def _process(self, process: ast.Process, scope: Scope, params: tuple[str, ...]) -> core.Node:
        match process:
            case ast.Nil():
                return core.NIL
            case ast.Parallel(parts):
                return core.Par(tuple(self._process(part, scope, params) for part in parts))
            case ast.Replicate(body, place):
                return core.Repl(self._process(body, scope, (*params, "!")), place)
            case ast.NewName(name, body, place):
                variable = core.Variable(name)
                sym = self._name(name, params)
                return core.New(sym, variable, self._process(body, {**scope, name: Local(variable)}, params), place)
            case ast.Input(channel, pattern, body, place, precise):
                inner = dict(scope)
                shape = self._pattern(pattern, scope, inner, params)
                more = (*params, *(v.label for v in taken(shape)))
                where = self._expr(channel, scope, params)
                return core.In(where, shape, self._process(body, inner, more), place, precise)
            case ast.Output(channel, message, body, place):
                return core.Out(
                    self._expr(channel, scope, params),
                    self._expr(message, scope, params),
                    self._process(body, scope, params),
                    place,
                )
            case ast.LetIn(pattern, value, body, other, place):
                inner = dict(scope)
                shape = self._pattern(pattern, scope, inner, params)
                return core.LetIn(
                    shape,
                    self._expr(value, scope, params),
                    self._process(body, inner, params),
                    self._process(other, scope, params),
                    place,
                )
            case ast.Condition(condition, then, other, place):
                return core.Test(
                    self._expr(condition, scope, params),
                    self._process(then, scope, params),
                    self._process(other, scope, params),
                    place,
                )
            case ast.Event(name, args, body, place):
                event = self.events.get(name)
                if event is None or event.arity != len(args):
                    raise ScriptError(f"event {name} of {len(args)} arguments is not declared", place)
                occurrence = Symbol(name, len(params), "occurrence")
                self.model.parameters[occurrence] = params
                values = tuple(self._expr(arg, scope, params) for arg in args)
                return core.Event(event, values, occurrence, self._process(body, scope, params), place)
            case ast.Insert(name, args, body, place):
                table = self._table(name, len(args), place)
                values = tuple(self._expr(arg, scope, params) for arg in args)
                return core.Insert(table, values, self._process(body, scope, params), place)
            case ast.Get(name, parts, condition, body, other, place, precise):
                table = self._table(name, len(parts), place)
                inner = dict(scope)
                shapes = tuple(self._pattern(part, scope, inner, params) for part in parts)
                more = (*params, *(v.label for shape in shapes for v in taken(shape)))
                holds = self._expr(condition, inner, params) if condition is not None else core.Apply(TRUE.sym, ())
                return core.Get(
                    table,
                    shapes,
                    holds,
                    self._process(body, inner, more),
                    self._process(other, scope, params),
                    place,
                    precise,
                )
            case ast.Phase(number, body, place):
                if number <= self.phase:
                    raise ScriptError(f"phase {number} does not come after phase {self.phase}", place)
                self.model.phases = max(self.model.phases, number)
                before, self.phase = self.phase, number
                later = self._process(body, scope, params)
                self.phase = before
                return core.Phase(number, later, place)
            case ast.Run(name, args, place):
                return self._run(name, args, place, scope, params)
        raise AssertionError(process)

    def _table(self, name: str, arity: int, place: Place) -> Symbol:
        table = self.tables.get(name)
        if table is None or table.arity != arity:
            raise ScriptError(f"table {name} of {arity} columns is not declared", place)
        return table

    def _run(
        self, name: str, args: tuple[ast.Term, ...], place: Place, scope: Scope, params: tuple[str, ...]
    ) -> core.Node:
        if not isinstance(macro := scope.get(name), Macro):
            raise ScriptError(f"process {name} is not declared", place)
        parameters = macro.declared.parameters
        if len(parameters) != len(args):
            raise ScriptError(f"{name} takes {len(parameters)} arguments, not {len(args)}", place)
        inner = dict(macro.scope)
        bound: list[tuple[core.Variable, core.Expr]] = []
        for parameter, arg in zip(parameters, args, strict=True):
            if parameter.may_fail:
                raise Unsupported("a parameter that may fail", parameter.place)
            variable = core.Variable(parameter.name)
            inner[parameter.name] = Local(variable)
            bound.append((variable, self._expr(arg, scope, params)))
        body = self._process(macro.declared.body, inner, params)
        for variable, value in reversed(bound):
            body = core.LetIn(core.Take(variable), value, body, core.NIL, place)
        self.model.roles[id(body)] = name
        return body


def _sure(term: Term | None, place: Place) -> Term:
    if term is None:
        raise Unsupported("fail inside a term", place)
    return term
