"""Turns derivations into runs: the derivation says what to do, the machine whether it can be done.

A query is false only if a run of the machine, whatever suggested it, ends in a state that contradicts the query.
"""

from __future__ import annotations

from dataclasses import dataclass

from alts_proofs.engine import _core as core
from alts_proofs.engine._clauses import Clause
from alts_proofs.engine._derive import Derivation, NoDerivation, Use
from alts_proofs.engine._facts import INJ_BEGIN
from alts_proofs.engine._judge import Failure, comparable, count_variables
from alts_proofs.engine._machine import ATTACKER, Actor, Env, Line, Machine, Sessions, tell
from alts_proofs.engine._paths import Paths
from alts_proofs.engine._shown import concrete, contradicts, contradicts_injectivity, ending
from alts_proofs.engine._terms import TRUE, App, Term, app, unify

_Key = tuple[int, Sessions]
_RUNS = 16


@dataclass(frozen=True, slots=True)
class Attack:
    """A run that contradicts a query, told in lines."""

    lines: tuple[Line, ...]


@dataclass(slots=True)
class _Thread:
    """One use of a process clause: the points from the root to its own, and how far the run has come on this path."""

    path: list[core.Node]
    values: list[Term]
    """What the steps on the path take, in order: sessions, messages, rows."""
    position: int = 0
    taken: int = 0
    sessions: Sessions = ()
    dead: str | None = None

    @property
    def over(self) -> bool:
        return self.dead is not None or self.position == len(self.path)


class Replayer:
    """Replays derivations for one model."""

    def __init__(self, model: core.Model) -> None:
        self.model = model
        self.paths = Paths(model)

    def attack(self, query: core.Query, failure: Failure) -> Attack | str:
        """A run that contradicts `query`, with sessions as the derivation has them or merged, or why none was found."""
        found = self._attempt(query, failure, False)
        return found if isinstance(found, Attack) else self._attempt(query, failure, True)

    def _attempt(self, query: core.Query, failure: Failure, merged: bool) -> Attack | str:
        derivation = Derivation(self.model)
        try:
            conclusions = [self._open(derivation, failure.clause, failure.first)]
            if failure.other is not None:
                conclusions.append(self._open(derivation, failure.other, failure.second))
                first, second = conclusions[0][1], conclusions[1][1]
                assert first is not None
                assert second is not None
                if not unify(*comparable(first, second), derivation.bindings):
                    return "the two executions do not fit together"
            if merged:
                derivation.merge(
                    tuple(conclusion.args[-1] for conclusion, _ in conclusions[: len(conclusions) // 2 * 2])
                )
            uses = derivation.ground()
        except NoDerivation as error:
            return f"no trace of the derivation: {error}"
        values = [tuple(derivation.term(arg) for arg in conclusion.args) for conclusion, _ in conclusions]
        count = count_variables(query)
        instances = [tuple(concrete(v, self.model) for v in one[:count]) for one in values]
        reason = ""
        waiting: list[dict[_Key, App]] = [{}]
        tried = 0
        while waiting and tried < _RUNS:
            tried += 1
            chosen = waiting.pop(0)
            run = _Run(self, uses, chosen)
            run.perform()
            if len(instances) == 1:
                if contradicts(query, self.model, run.machine, instances[0]):
                    end = ending(query, self.model, instances[0])
                    return Attack((*run.machine.story, Line(end, end)))
            elif contradicts_injectivity(query, self.model, run.machine, instances[0], instances[1]):
                end = "two executions of the event in front, one of that behind"
                return Attack((*run.machine.story, Line(end, end)))
            reason = reason or run.obstacle()
            # Where one session was to take two messages, the other one may do for both.
            waiting += [{**chosen, key: value} for key, value in run.conflicts if key not in chosen]
        return reason

    @staticmethod
    def _open(derivation: Derivation, clause: Clause, execution: Term | None) -> tuple[App, Term | None]:
        """The conclusion of a clause, and the execution in its terms, within a derivation."""
        conclusion, hypotheses = derivation.add(clause)
        if execution is None:
            return conclusion, None
        for own, term in zip(clause.conclusion.args, conclusion.args, strict=True):
            if own is execution:
                return conclusion, term
        for own, fact in zip(clause.hypotheses, hypotheses, strict=True):
            if own.sym is INJ_BEGIN and own.args[1] is execution:
                return conclusion, fact.args[1]
        raise NoDerivation("it does not fit together")


class _Run:
    """One run: threads that follow their paths, and the attacker's computations, as far as they go."""

    def __init__(self, replayer: Replayer, uses: list[Use], chosen: dict[_Key, App]) -> None:
        self.role = replayer.paths.role
        self.chosen = chosen
        """What certain points must take; threads that want something else there end."""
        self.conflicts: list[tuple[_Key, App]] = []
        """Points where a thread wanted what they did not take, the farthest-reaching first."""
        self.model = replayer.model
        self.machine = Machine(replayer.model)
        self.before: dict[_Key, tuple[Env, Sessions]] = {}
        """The environment in front of each point that was reached."""
        self.after: dict[_Key, tuple[int, Env, Sessions]] = {}
        """Of each point that was passed: the child that comes next (its id; 0 for all), environment, sessions."""
        self.received: dict[_Key, App] = {}
        """What each input and look-up took."""
        self.threads: list[_Thread] = []
        self.steps: list[Use] = []
        seen: set[tuple[int, tuple[Term, ...]]] = set()
        for use in uses:
            if use.origin.kind == "process":
                assert use.origin.node is not None
                values = [concrete(step.term, self.model) for step in use.steps]
                key = (id(use.origin.node), tuple(values))
                if key not in seen:
                    seen.add(key)
                    self.threads.append(_Thread(replayer.paths.path(use.origin.node), list(values)))
            elif use.origin.kind in ("apply", "public"):
                self.steps.append(use)

    def perform(self) -> None:
        """Goes on until nothing moves any more, phase by phase."""
        for phase in range(self.model.phases + 1):
            self.machine.phase = phase
            if phase:
                self.machine.story.append(Line(f"phase {phase} begins", f"phase {phase} begins"))
            moved = True
            while moved:
                moved = False
                for use in self.steps:
                    moved = self._compute(use) or moved
                for thread in self.threads:
                    while not thread.over and self._advance(thread):
                        moved = True
                if not moved and self.model.passive:
                    moved = self._overhear()

    def _actor(self, node: core.Node, sessions: Sessions) -> Actor:
        return (self.role(node), sessions)

    def obstacle(self) -> str:
        """Why the run did not come to its end."""
        for thread in self.threads:
            if thread.dead is not None:
                return f"the derivation is no run: {thread.dead}"
        for thread in self.threads:
            if not thread.over:
                node = thread.path[thread.position]
                where = getattr(node, "place", None)
                return f"the derivation is no run: it does not get past {where or 'a parallel composition'}"
        return "the run contradicts nothing"

    def _overhear(self) -> bool:
        """A passive attacker takes nothing from anybody; what no process waits for it hears all the same."""
        for thread in self.threads:
            if not thread.over and isinstance(node := thread.path[thread.position], core.Out):
                key = (id(node), thread.sessions)
                if key in self.before and key not in self.after:
                    self._send(thread, node, key)
                    if key in self.after:
                        return True
        return False

    def _compute(self, use: Use) -> bool:
        """A step of the attacker, when it has what it takes."""
        sym = use.origin.sym
        assert sym is not None
        if use.origin.kind == "public" or sym.kind != "destructor":
            # Names, constants and constructors the machine puts together itself; equations it applies then.
            if use.origin.kind == "apply" and sym.kind == "constructor" and self.model.theory.equational:
                return self._construct(use)
            return False
        rule = use.origin.rule
        assert rule is not None
        rest = iter(use.hypotheses)
        args: list[App | None] = []
        for pattern in rule.args:
            if pattern is None or (isinstance(pattern, int) and pattern in rule.may_fail and pattern != rule.result):
                args.append(None)
            else:
                args.append(concrete(next(rest).args[0], self.model))
        before = len(self.machine.known)
        self.machine.compute(sym, tuple(args))
        return len(self.machine.known) > before

    def _construct(self, use: Use) -> bool:
        sym = use.origin.sym
        assert sym is not None
        before = len(self.machine.known)
        args = tuple(concrete(fact.args[0], self.model) for fact in use.hypotheses)
        self.machine.compute(sym, args)
        return len(self.machine.known) > before

    # Threads.

    def _advance(self, thread: _Thread) -> bool:
        """One point further on the path, if that can be."""
        node = thread.path[thread.position]
        if isinstance(node, core.Repl):
            session = thread.values[thread.taken]
            assert isinstance(session, App)
            if thread.position == 0:
                self.before.setdefault((id(node), thread.sessions), ({}, ()))
            env, sessions = self.before[(id(node), thread.sessions)]
            thread.taken += 1
            self._enter(thread, node.body, env, (*sessions, session))
            return True
        key = (id(node), thread.sessions)
        if thread.position == 0:
            self.before.setdefault(key, ({}, ()))
        if key not in self.after:
            self._perform(thread, node, key)
            if key not in self.after:
                return False
        elif self._takes(thread, node) and self.received.get(key) is not thread.values[thread.taken]:
            self._conflict(thread, key)
            return False
        if self._takes(thread, node):
            thread.taken += 1
        child, env, sessions = self.after[key]
        if thread.position + 1 == len(thread.path):
            thread.position += 1
            return True
        following = thread.path[thread.position + 1]
        if child and child != id(following):
            thread.dead = f"the other branch is taken at {getattr(node, 'place', '')}"
            return False
        self._enter(thread, following, env, sessions)
        return True

    def _conflict(self, thread: _Thread, key: _Key) -> None:
        node = thread.path[thread.position]
        thread.dead = f"one session would take two different messages at {getattr(node, 'place', '')}"
        wanted = thread.values[thread.taken]
        assert isinstance(wanted, App)
        self.conflicts.append((key, wanted))
        self.conflicts.sort(key=lambda one: -max(len(t.path) for t in self.threads if one[1] in t.values))

    def _enter(self, thread: _Thread, node: core.Node, env: Env, sessions: Sessions) -> None:
        self.before.setdefault((id(node), sessions), (env, sessions))
        thread.sessions = sessions
        thread.position += 1

    @staticmethod
    def _takes(thread: _Thread, node: core.Node) -> bool:
        """Whether the thread takes one of its values at `node`; not if it goes on without a row."""
        if isinstance(node, core.Get) and thread.position + 1 < len(thread.path):
            return thread.path[thread.position + 1] is not node.other
        return isinstance(node, core.In | core.Get)

    def _perform(self, thread: _Thread, node: core.Node, key: _Key) -> None:
        """Executes a point for the first time in its session, if it can run now; notes it in `after`."""
        env, sessions = self.before[key]
        if key in self.chosen and self._takes(thread, node) and self.chosen[key] is not thread.values[thread.taken]:
            self._conflict(thread, key)
            return
        machine = self.machine
        match node:
            case core.Par():
                self.after[key] = (0, env, sessions)
            case core.New(name, variable):
                fresh = app(name, sessions)
                machine.does(f"makes the name {tell(fresh)}", node.place, self._actor(node, sessions))
                self.after[key] = (0, {**env, variable: fresh}, sessions)
            case core.LetIn(pattern, value_of, body, other):
                value = machine.evaluate(value_of, env, sessions)
                inner = None if value is None else machine.match(pattern, value, env, sessions)
                self.after[key] = (id(other), env, sessions) if inner is None else (id(body), inner, sessions)
            case core.Test(condition, then, other):
                value = machine.evaluate(condition, env, sessions)
                if value is None:
                    thread.dead = f"a condition fails at {node.place}"
                else:
                    self.after[key] = (id(then if value is TRUE else other), env, sessions)
            case core.Phase(number):
                if machine.phase == number:
                    self.after[key] = (0, env, sessions)
                elif machine.phase > number:
                    thread.dead = f"the phase is over at {node.place}"
            case core.Event(event, args, occurrence):
                values = [machine.evaluate(arg, env, sessions) for arg in args]
                if any(value is None for value in values):
                    thread.dead = f"a term fails at {node.place}"
                    return
                made = app(event, tuple(value for value in values if value is not None))
                machine.events.append((made, (occurrence, sessions)))
                machine.does(f"event {tell(made)}", node.place, self._actor(node, sessions))
                self.after[key] = (0, env, sessions)
            case core.Insert(table, args):
                values = [machine.evaluate(arg, env, sessions) for arg in args]
                if any(value is None for value in values):
                    thread.dead = f"a term fails at {node.place}"
                    return
                entry = app(table, tuple(value for value in values if value is not None))
                machine.rows.add(entry)
                machine.does(f"inserts {tell(entry)}", node.place, self._actor(node, sessions))
                self.after[key] = (0, env, sessions)
            case core.Get():
                self._get(thread, node, key)
            case core.Out():
                if not self.model.passive:
                    self._send(thread, node, key)
            case core.In():
                self._input(thread, node, key)

    def _row_matches(self, node: core.Get, entry: App, env: Env, sessions: Sessions) -> Env | None:
        if entry.sym is not node.table:
            return None
        inner: Env | None = env
        for part, arg in zip(node.parts, entry.args, strict=True):
            assert isinstance(arg, App)
            inner = None if inner is None else self.machine.match(part, arg, inner, sessions)
        if inner is None:
            return None
        holds = self.machine.evaluate(node.condition, inner, sessions)
        return inner if holds is TRUE else None

    def _get(self, thread: _Thread, node: core.Get, key: _Key) -> None:
        env, sessions = self.before[key]
        if not self._takes(thread, node):
            if any(self._row_matches(node, entry, env, sessions) is not None for entry in self.machine.rows):
                thread.dead = f"a row matches at {node.place}"
                return
            self.after[key] = (id(node.other), env, sessions)
            return
        entry = thread.values[thread.taken]
        assert isinstance(entry, App)
        if entry not in self.machine.rows:
            return
        inner = self._row_matches(node, entry, env, sessions)
        if inner is None:
            thread.dead = f"the row does not match at {node.place}"
            return
        self.machine.does(f"gets {tell(entry)}", node.place, self._actor(node, sessions))
        self.received[key] = entry
        self.after[key] = (id(node.body), inner, sessions)

    def _send(self, thread: _Thread, node: core.Out, key: _Key) -> None:
        env, sessions = self.before[key]
        channel = self.machine.evaluate(node.channel, env, sessions)
        message = self.machine.evaluate(node.message, env, sessions)
        if channel is None or message is None:
            thread.dead = f"a term fails at {node.place}"
            return
        if self.machine.can_make(channel):
            self.machine.sent.add((channel, message, self.machine.phase))
            source = self._actor(node, sessions)
            self.machine.sends(message, channel, "the attacker has it", node.place, source, ATTACKER)
            self.machine.learn(message)
            self.after[key] = (0, env, sessions)
        # Else it waits for a process that takes it: see `_input`.

    def _input(self, thread: _Thread, node: core.In, key: _Key) -> None:
        env, sessions = self.before[key]
        machine = self.machine
        channel = machine.evaluate(node.channel, env, sessions)
        if channel is None:
            thread.dead = f"a term fails at {node.place}"
            return
        message = thread.values[thread.taken]
        assert isinstance(message, App)
        if not machine.model.passive and machine.can_make(channel) and machine.can_make(message):
            target = self._actor(node, sessions)
            machine.sends(message, channel, "a process takes it", node.place, ATTACKER, target)
            machine.sent.add((channel, message, machine.phase))
        elif not self._hand_over(channel, message, node, sessions):
            return
        self.received[key] = message
        inner = machine.match(node.pattern, message, env, sessions)
        if inner is None:
            thread.dead = f"the message does not match at {node.place}"
            return
        self.after[key] = (id(node.body), inner, sessions)

    def _hand_over(self, channel: App, message: App, node: core.In, taker: Sessions) -> bool:
        """Lets a process that waits to send `message` do so."""
        machine = self.machine
        for other in self.threads:
            if other.over:
                continue
            sender = other.path[other.position]
            key = (id(sender), other.sessions)
            if not isinstance(sender, core.Out) or key in self.after or key not in self.before:
                continue
            env, sessions = self.before[key]
            if machine.evaluate(sender.channel, env, sessions) is not channel:
                continue
            if machine.evaluate(sender.message, env, sessions) is not message:
                continue
            source, target = self._actor(sender, sessions), self._actor(node, taker)
            self.machine.sends(message, channel, f"another takes it [{node.place}]", sender.place, source, target)
            machine.sent.add((channel, message, machine.phase))
            self.after[key] = (0, env, sessions)
            if machine.can_make(channel):
                machine.learn(message)
            return True
        return False
