"""From a process to Horn clauses.

A name is a function of the sessions (copies of replications) and of the inputs above it: without the sessions two names
would be one, which is unsound; the inputs make it precise. Destructors that fail stop the process or take the other
branch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from alts_proofs.engine import _core as core
from alts_proofs.engine._entities import taken
from alts_proofs.engine._evaluate import Evaluator, State
from alts_proofs.engine._facts import (
    BEGIN,
    END,
    INJ_BEGIN,
    INJ_END,
    TOOK,
    Origin,
    RawClause,
    Step,
    attacker,
    mess,
    neq,
    row,
    simplify_neq,
)
from alts_proofs.engine._terms import TRUE, App, Bindings, Symbol, Term, app, rename, substitute, tuple_symbol
from alts_proofs.engine._theory import Rule


@dataclass(frozen=True, slots=True)
class Watch:
    """The events that matter: as conclusions and as hypotheses, and whether their executions are to be told apart."""

    ends: Mapping[Symbol, bool]
    begins: Mapping[Symbol, bool]


def translate(model: core.Model, watch: Watch) -> list[RawClause]:
    """The clauses of the attacker and of the process."""
    translator = _Translator(model, watch)
    translator.attacker()
    translator.process(model.process, State(noted=model.precise))
    return translator.clauses


class _Translator:
    def __init__(self, model: core.Model, watch: Watch) -> None:
        self.model = model
        self.watch = watch
        self.evaluator = Evaluator(model.theory)
        self.clauses: list[RawClause] = []
        self.points: dict[int, Symbol] = {}

    # The attacker.

    def attacker(self) -> None:
        """What the attacker has, can do and keeps."""
        symbols = [sym for sym in self.model.functions if not sym.private]
        symbols += [tuple_symbol(arity) for arity in sorted(self.model.tuples)]
        names = Symbol("attacker's name", 1, "fresh")
        for phase in range(self.model.phases + 1):
            for term in self.model.constants:
                if not term.sym.private:
                    self._add(attacker(term, phase), (), Origin("public", sym=term.sym))
            self._add(attacker(app(names, (0,)), phase), (), Origin("public", sym=names))
            for sym in symbols:
                self._function(sym, phase)
            self._add(attacker(0, phase), (mess(1, 0, phase), attacker(1, phase)), Origin("listen"))
            if not self.model.passive:
                self._add(mess(1, 0, phase), (attacker(1, phase), attacker(0, phase)), Origin("say"))
            if phase:
                self._add(attacker(0, phase), (attacker(0, phase - 1),), Origin("phase"))
                self._add(row(0, phase), (row(0, phase - 1),), Origin("phase"))

    def _function(self, sym: Symbol, phase: int) -> None:
        origin = Origin("apply", sym=sym)
        if sym.kind == "destructor":
            rules = self.model.theory.rules[sym]
            for index, rule in enumerate(rules):
                self._destructor(
                    rule,
                    rules[:index] if sym in self.model.theory.ordered else (),
                    phase,
                    Origin("apply", sym=sym, rule=rule),
                )
            return
        args = tuple(range(sym.arity))
        self._add(attacker(app(sym, args), phase), tuple(attacker(arg, phase) for arg in args), origin)
        for table in (self.model.theory.rewrites, self.model.theory.swaps):
            for rewrite in table.get(sym, ()):
                hypotheses = tuple(attacker(arg, phase) for arg in rewrite.args)
                self._add(attacker(rewrite.result, phase), hypotheses, origin)
        if sym.kind == "data":
            for arg in args:
                self._add(attacker(arg, phase), (attacker(app(sym, args), phase),), origin)

    def _destructor(self, rule: Rule, earlier: tuple[Rule, ...], phase: int, origin: Origin) -> None:
        if rule.result is None:
            return
        given: list[App] = []
        for arg in rule.args:
            # Failure is the attacker's to choose, and what may fail matters only as the result.
            if arg is None or (isinstance(arg, int) and arg in rule.may_fail and arg != rule.result):
                continue
            given.append(attacker(arg, phase))
        neqs: list[App] = []
        if all(arg is not None for arg in rule.args) and not rule.may_fail:
            for other in earlier:
                if any(arg is None for arg in other.args):
                    continue
                pairs = tuple(
                    (arg, rename(pattern, lambda v: -1 - v))
                    for arg, pattern in zip(rule.args, other.args, strict=True)
                    if arg is not None and pattern is not None
                )
                constraint = simplify_neq(neq(pairs), {}) if pairs else False
                if constraint is False:
                    return
                if not isinstance(constraint, bool):
                    neqs.append(constraint)
        self._add(attacker(rule.result, phase), tuple(given), origin, tuple(neqs))

    def _add(self, conclusion: App, hypotheses: tuple[App, ...], origin: Origin, neqs: tuple[App, ...] = ()) -> None:
        self.clauses.append(RawClause(conclusion, hypotheses, neqs, origin))

    # The process.

    def process(self, node: core.Node, state: State) -> None:
        """The clauses of a process reached in `state`."""
        match node:
            case core.Par(parts):
                for part in parts:
                    self.process(part, state)
            case core.Repl(body):
                session = self.evaluator.fresh()
                self.process(
                    body,
                    replace(
                        state,
                        params=(*state.params, session),
                        sessions=(*state.sessions, session),
                        steps=(*state.steps, Step(node, session)),
                        noted=self.model.precise,
                    ),
                )
            case core.New(name, variable, body):
                assert name.arity == len(state.params)
                self.process(body, state.bind(variable, app(name, state.params)))
            case core.In():
                self._input(node, state)
            case core.Out(channel, message, body):
                for reached, where in self.evaluator.run(channel, state, False):
                    for after, what in self.evaluator.run(message, reached, False):
                        assert where is not None
                        assert what is not None
                        if self._is_public(where, after):
                            self._emit(after, attacker(what, after.phase), node)
                        else:
                            self._emit(after, mess(where, what, after.phase), node)
                self.process(body, state)
            case core.LetIn(pattern, bound, body, other):
                for reached, matched in self.evaluator.let(pattern, bound, state, not isinstance(other, core.Nil)):
                    if matched:
                        self.process(body, reached)
                    else:
                        self.process(other, replace(reached, env=state.env))
            case core.Test(condition, then, other):
                for reached, value in self.evaluator.run(condition, state, False):
                    assert value is not None
                    yes = self.evaluator.unify(reached, (value, TRUE))
                    if yes is not None:
                        self.process(then, yes)
                    if not isinstance(other, core.Nil):
                        no = self.evaluator.differ(reached, (value, TRUE))
                        if no is not None:
                            self.process(other, no)
            case core.Event():
                self._event(node, state)
            case core.Insert(table, args, body):
                for reached, values in self._all(args, state):
                    self._emit(reached, row(app(table, values), reached.phase), node)
                    self.process(body, reached)
            case core.Get():
                self._get(node, state)
            case core.Phase(number, body):
                assert number > state.phase
                self.process(body, replace(state, phase=number))

    def _all(self, args: tuple[core.Expr, ...], state: State) -> list[tuple[State, tuple[Term, ...]]]:
        found: list[tuple[State, tuple[Term, ...]]] = [(state, ())]
        for arg in args:
            found = [
                (after, (*values, value))
                for reached, values in found
                for after, value in self.evaluator.run(arg, reached, False)
                if value is not None
            ]
        return found

    def _is_public(self, channel: Term, state: State) -> bool:
        """Whether the attacker has the channel for sure, so that all on it comes from and goes to the attacker."""
        if self.model.passive:
            return False
        return _public(substitute(channel, state.bindings))

    def _input(self, node: core.In, state: State) -> None:
        for reached, where in self.evaluator.run(node.channel, state, False):
            assert where is not None
            public = self._is_public(where, reached)
            for after, message in self.evaluator.pattern(node.pattern, reached):
                fact = attacker(message, after.phase) if public else mess(where, message, after.phase)
                inputs = tuple(after.env[variable] for variable in taken(node.pattern))
                self.process(
                    node.body,
                    replace(
                        after,
                        hypotheses=(*after.hypotheses, fact, *self._took(node, message, after)),
                        params=(*after.params, *inputs),
                        steps=(*after.steps, Step(node, message, None if public else where)),
                    ),
                )

    def _get(self, node: core.Get, state: State) -> None:
        for reached, values in self.evaluator.patterns(node.parts, state):
            for after, value in self.evaluator.run(node.condition, reached, False):
                assert value is not None
                holds = self.evaluator.unify(after, (value, TRUE))
                if holds is None:
                    continue
                entry = app(node.table, values)
                inputs = tuple(reached.env[v] for part in node.parts for v in taken(part))
                self.process(
                    node.body,
                    replace(
                        holds,
                        env=reached.env,
                        hypotheses=(*holds.hypotheses, row(entry, holds.phase), *self._took(node, entry, holds)),
                        params=(*holds.params, *inputs),
                        steps=(*holds.steps, Step(node, entry)),
                    ),
                )
        # That no row matches is not expressed, which allows more.
        self.process(node.other, state)

    def _took(self, node: core.In | core.Get, value: Term, state: State) -> tuple[App, ...]:
        if not (state.noted or node.precise):
            return ()
        point = self.points.get(id(node))
        if point is None:
            point = self.points[id(node)] = Symbol("input", len(state.sessions), "occurrence")
        return (app(TOOK, (app(point, state.sessions), value)),)

    def _event(self, node: core.Event, state: State) -> None:
        event = node.event
        for reached, values in self._all(node.args, state):
            term = app(event, values)
            if event in self.watch.ends:
                if self.watch.ends[event]:
                    # Which execution it is, the point and the sessions tell; the variables are functions of them.
                    execution = app(_sessions_of(node.occurrence, len(reached.sessions)), reached.sessions)
                    self._emit(reached, app(INJ_END, (term, execution)), node)
                else:
                    self._emit(reached, app(END, (term,)), node)
            if event in self.watch.begins:
                if self.watch.begins[event]:
                    begin = app(INJ_BEGIN, (term, app(node.occurrence, reached.params)))
                    _POSITIONS[node.occurrence] = _positions(reached)
                else:
                    begin = app(BEGIN, (term,))
                noted = reached.noted or self.watch.begins[event]
                reached = replace(reached, hypotheses=(*reached.hypotheses, begin), noted=noted)
            self.process(node.body, reached)

    def _never_differ(self, constraint: App, bindings: Bindings) -> bool:
        """Whether a disequality is between two ways to write the same term."""
        theory = self.model.theory
        if not theory.swaps:
            return False
        forms = [theory.ordered_form(substitute(arg, bindings)) for arg in constraint.args]
        return all(forms[i] == forms[i + 1] for i in range(0, len(forms), 2))

    def _emit(self, state: State, conclusion: App, node: core.Node) -> None:
        bindings = state.bindings

        def done(term: Term) -> Term:
            return substitute(term, bindings)

        neqs: list[App] = []
        for constraint in state.neqs:
            simple = simplify_neq(constraint, bindings)
            if simple is False or self._never_differ(constraint, bindings):
                return
            if not isinstance(simple, bool):
                neqs.append(simple)
        steps = tuple(
            Step(step.node, done(step.term), None if step.channel is None else done(step.channel))
            for step in state.steps
        )
        self.clauses.append(
            RawClause(
                _fact(conclusion, done),
                tuple(_fact(hypothesis, done) for hypothesis in state.hypotheses),
                tuple(neqs),
                Origin("process", node, steps),
            )
        )


def _fact(fact: App, done: Callable[[Term], Term]) -> App:
    return app(fact.sym, tuple(done(arg) for arg in fact.args))


_SESSIONS: dict[Symbol, Symbol] = {}


def _sessions_of(occurrence: Symbol, count: int) -> Symbol:
    found = _SESSIONS.get(occurrence)
    if found is None:
        found = _SESSIONS[occurrence] = Symbol(occurrence.label, count, "occurrence")
    return found


_POSITIONS: dict[Symbol, tuple[int, ...]] = {}
"""Where among the arguments of an execution in a hypothesis the sessions are."""


def _positions(state: State) -> tuple[int, ...]:
    found: list[int] = []
    for session in state.sessions:
        found.append(state.params.index(session, found[-1] + 1 if found else 0))
    return tuple(found)


def by_sessions(execution: Term) -> Term:
    """An execution as conclusions have it, by its point and the sessions alone."""
    if not isinstance(execution, App) or (positions := _POSITIONS.get(execution.sym)) is None:
        return execution
    return app(_sessions_of(execution.sym, len(positions)), tuple(execution.args[i] for i in positions))


def _public(term: Term) -> bool:
    return (
        isinstance(term, App)
        and not term.sym.private
        and term.sym.kind in ("free", "constructor", "data")
        and all(_public(arg) for arg in term.args)
    )
