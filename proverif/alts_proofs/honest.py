"""Executes the honest run of a script: nobody attacks, and what one end sends the other takes, in order.

The scheduler is deterministic. It runs the script's own main process with the engine's evaluator. A replicated process
opens a next copy when the environment has served its last one; an outermost one opens a copy for each estate of the
plan at once. Copies meet as ends of a connection do: an input takes the first message of the first copy with which it
can go on, and from then on the two read each other's messages from the beginning. A `Plan` stands for the environment,
which picks configurations; with each of its answers a copy begins a new connection. What lies in the folder
``corruption/`` is the attacker's doing and does not happen.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from alts_proofs._manifest import Script
from alts_proofs.engine import _core as core
from alts_proofs.engine._elaborate import elaborate
from alts_proofs.engine._lexer import Place
from alts_proofs.engine._machine import Env, Machine, Sessions, tell
from alts_proofs.engine._parser import parse_script
from alts_proofs.engine._terms import TRUE, App, app
from alts_proofs.honest_plan import Estate, Plan, PlanError, Words
from alts_proofs.honest_story import Happened, HonestRun, Message, Path, Value, is_fresh, session, value_of

__all__ = ["Estate", "Happened", "HonestRun", "Message", "Path", "Plan", "PlanError", "Value", "honest_run", "is_fresh"]

_NETWORK: Final = "network"
_CORRUPTION: Final = "corruption/"
_STEPS: Final = 20_000


@dataclass(slots=True, eq=False)
class _Link:
    """One end of a connection."""

    place: tuple[Path, int] = ((), 0)
    sent: list[App] = field(default_factory=list)
    taken: int = 0
    """How much of the peer's messages."""
    peer: _Link | None = None


@dataclass(slots=True, eq=False)
class _Copy:
    """One copy of a replicated process."""

    path: Path
    sessions: Sessions
    estate: int = 0
    """Of the outermost replication, which copy of that replication it is in."""
    children: int = 0
    connection: int = 0
    link: _Link = field(default_factory=_Link)
    served: bool = False
    """Whether the environment, or a channel that nobody outside has, has given it something."""


@dataclass(slots=True, eq=False)
class _Thread:
    node: core.Node
    env: Env
    copy: _Copy
    last: _Copy | None = None
    """Of a replication: its last copy."""
    copies: int = 0


class _Step(Enum):
    ON = auto()
    WAITS = auto()
    OVER = auto()


def honest_run(script: Script, plan: Plan) -> HonestRun:
    """The honest run of `script` in the environment that `plan` is.

    Raises `EngineError` for what is not in the language, and `PlanError` where something is asked for that the plan
    does not know.
    """
    libraries = [script.root / library for library in script.libraries]
    return _Scheduler(elaborate(parse_script(script.path, libraries, script.root)), plan).run()


class _Scheduler:
    def __init__(self, model: core.Model, plan: Plan) -> None:
        self.model = model
        self.plan = plan
        self.machine = Machine(model)
        self.words = Words(model)
        self.result = HonestRun()
        self.scopes: dict[Path, list[dict[str, App]]] = {}
        root = _Copy((), ())
        self.copies = [root]
        self.threads = [_Thread(model.process, {}, root)]
        self.inside: list[tuple[App, App]] = []
        """Channel and message of what waits on channels that nobody outside has."""
        self.answered: Counter[tuple[int, Path]] = Counter()
        self.rows: list[App] = []
        self.taken: set[tuple[int, Path, App]] = set()
        """Which rows the copies of one process have taken: each takes another."""
        self.steps = 0
        self.quiet = False
        """Whether all that was to do without late answers is done."""

    def run(self) -> HonestRun:
        """Phase by phase, until nothing moves any more."""
        for phase in range(self.model.phases + 1):
            self.machine.phase = phase
            self.threads = [t for t in self.threads if phase == 0 or isinstance(t.node, core.Phase)]
            for self.quiet in (False, True):
                moved = True
                while moved:
                    moved = False
                    for thread in list(self.threads):
                        moved = self._advance(thread) or moved
        for path, scopes in self.scopes.items():
            self.result.bound[path] = [{label: value_of(one) for label, one in scope.items()} for scope in scopes]
        return self.result

    def _advance(self, thread: _Thread) -> bool:
        """Goes on with a thread until it waits or is over. Says whether it moved."""
        moved = False
        while True:
            self.steps += 1
            if self.steps > _STEPS:
                raise PlanError("the honest run does not end")
            step = self._step(thread)
            if step is _Step.WAITS:
                return moved
            moved = True
            if step is _Step.OVER:
                self.threads.remove(thread)
                return moved

    def _step(self, thread: _Thread) -> _Step:
        node = thread.node
        place = getattr(node, "place", None)
        if isinstance(place, Place) and _in_corruption(place):
            return _Step.OVER
        match node:
            case core.Par(parts):
                at = self.threads.index(thread) + 1
                self.threads[at:at] = [_Thread(part, thread.env, thread.copy) for part in parts]
            case core.Repl():
                return self._open(thread, node)
            case core.New(name, variable, body):
                return self._go(thread, body, {**thread.env, variable: app(name, thread.copy.sessions)})
            case core.LetIn() | core.Test():
                following, env = self._choose(node, thread.env, thread.copy.sessions)
                if following is core.NIL and _goes_on(node):
                    self._failed("a check fails", node.place)
                return self._go(thread, following, env)
            case core.Event(event, args, _, body):
                values = self._values(args, thread)
                if values is not None:
                    self.result.events.append(
                        Happened(event.label, tuple(map(value_of, values)), thread.copy.path, thread.copy.connection)
                    )
                    return self._go(thread, body)
                self._failed("a term fails", node.place)
            case core.Out():
                return self._send(thread, node)
            case core.In():
                return self._receive(thread, node)
            case core.Insert(table, args, body):
                values = self._values(args, thread)
                if values is not None:
                    self.rows.append(app(table, values))
                    return self._go(thread, body)
                self._failed("a term fails", node.place)
            case core.Get():
                return self._get(thread, node)
            case core.Phase(number, body):
                return self._go(thread, body) if number == self.machine.phase else _Step.WAITS
        return _Step.OVER

    def _go(self, thread: _Thread, node: core.Node, env: Env | None = None) -> _Step:
        names = self._scopes(thread.copy)[-1]
        for variable, value in (env or {}).items():
            if variable not in thread.env:
                names.setdefault(variable.label, value)
        thread.node = node
        thread.env = thread.env if env is None else env
        return _Step.ON

    def _scopes(self, copy: _Copy) -> list[dict[str, App]]:
        return self.scopes.setdefault(copy.path, [{}])

    def _failed(self, reason: str, place: Place) -> None:
        self.result.failures.append(f"{reason} at {place}")

    def _values(self, args: tuple[core.Expr, ...], thread: _Thread) -> tuple[App, ...] | None:
        values = [self.machine.evaluate(arg, thread.env, thread.copy.sessions) for arg in args]
        sure = tuple(value for value in values if value is not None)
        return sure if len(sure) == len(values) else None

    def _choose(self, node: core.LetIn | core.Test, env: Env, sessions: Sessions) -> tuple[core.Node, Env]:
        if isinstance(node, core.Test):
            value = self.machine.evaluate(node.condition, env, sessions)
            return (core.NIL if value is None else node.then if value is TRUE else node.other), env
        value = self.machine.evaluate(node.value, env, sessions)
        inner = None if value is None else self.machine.match(node.pattern, value, env, sessions)
        return (node.other, env) if inner is None else (node.body, inner)

    def _open(self, thread: _Thread, node: core.Repl) -> _Step:
        """The next copy, once the last one was served."""
        at_once = 1 if thread.copy.path else max(1, len(self.plan.estates))
        if thread.last is not None and not thread.last.served and thread.copies >= at_once:
            return _Step.WAITS
        thread.copies += 1
        around = thread.copy
        around.children += 1
        path, sessions = (*around.path, around.children), (*around.sessions, session(around.children))
        copy = _Copy(path, sessions, around.estate or thread.copies, link=_Link((path, 0)))
        thread.last = copy
        self.copies.append(copy)
        self.threads.append(_Thread(node.body, thread.env, copy))
        return _Step.ON

    # Messages.

    def _send(self, thread: _Thread, node: core.Out) -> _Step:
        found = self._values((node.channel, node.message), thread)
        if found is None:
            self._failed("a term fails", node.place)
            return _Step.OVER
        channel, message = found
        if channel.sym.label == _NETWORK:
            thread.copy.link.sent.append(message)
            self.result.messages.append(
                Message(thread.copy.path, thread.copy.connection, value_of(message), node.place)
            )
        elif not _public(channel):
            self.inside.append((channel, message))
        return self._go(thread, node.body)

    def _receive(self, thread: _Thread, node: core.In) -> _Step:
        found = self._values((node.channel,), thread)
        if found is None:
            self._failed("a term fails", node.place)
            return _Step.OVER
        if found[0].sym.label == _NETWORK:
            return self._from_network(thread, node)
        if _public(found[0]):
            return self._from_environment(thread, node)
        for one in self.inside:
            inner = self.machine.match(node.pattern, one[1], thread.env, thread.copy.sessions)
            if one[0] is found[0] and inner is not None:
                self.inside.remove(one)
                thread.copy.served = True
                return self._go(thread, node.body, inner)
        return _Step.WAITS

    def _from_network(self, thread: _Thread, node: core.In) -> _Step:
        link = thread.copy.link
        if link.peer is None:
            for other in (copy.link for copy in self.copies):
                if other is not link and other.peer is None and other.sent and self._fits(node, thread, other.sent[0]):
                    link.peer, other.peer = other, link
                    self.result.peers |= {link.place: other.place, other.place: link.place}
                    break
        if link.peer is None or link.taken >= len(link.peer.sent):
            return _Step.WAITS
        message = link.peer.sent[link.taken]
        inner = self.machine.match(node.pattern, message, thread.env, thread.copy.sessions)
        if inner is None:
            self._failed(f"a message does not match, {tell(message)}", node.place)
            return _Step.OVER
        link.taken += 1
        return self._go(thread, node.body, inner)

    def _fits(self, node: core.In, thread: _Thread, message: App) -> bool:
        """Whether a process that takes `message` comes to its next action."""
        sessions = thread.copy.sessions
        inner = self.machine.match(node.pattern, message, thread.env, sessions)
        if inner is None:
            return False
        following, env = node.body, inner
        while isinstance(following, core.LetIn | core.Test | core.New):
            if isinstance(following, core.New):
                env = {**env, following.variable: app(following.name, sessions)}
                following = following.body
            else:
                following, env = self._choose(following, env, sessions)
        return following is not core.NIL

    def _from_environment(self, thread: _Thread, node: core.In) -> _Step:
        path = thread.copy.path
        estate = self.plan.estate(thread.copy.estate)
        labels = _labels(node.pattern)
        key = (id(node), path if len(path) == 1 else path[:-1])
        late = node.place.file in self.plan.late
        if estate is None or self.answered[key] >= (self.plan.times if late else 1) or estate.silent & set(labels):
            return _Step.WAITS
        if late and not self.quiet:
            return _Step.WAITS
        strange = [label for label in labels if label not in estate.values]
        if strange:
            raise PlanError(f"nobody says what {strange[0]} shall be at {node.place}")
        answers: dict[str, App] = {}
        for label in labels:
            answer = self.words.read(estate.values[label], self._variable)
            if answer is None:
                return _Step.WAITS
            answers[label] = answer
        message = self._message(node.pattern, answers)
        inner = None
        if message is not None:
            inner = self.machine.match(node.pattern, message, thread.env, thread.copy.sessions)
        if inner is None:
            raise PlanError(f"the environment has no message for {node.place}")
        self.answered[key] += 1
        thread.copy.connection += 1
        thread.copy.link = _Link((path, thread.copy.connection))
        self._scopes(thread.copy).append({})
        thread.copy.served = True
        return self._go(thread, node.body, inner)

    def _variable(self, estate: int, label: str) -> App | None:
        """The first value of a variable within an outermost copy."""
        for copy in self.copies:
            for scope in self.scopes.get(copy.path, []) if copy.estate == estate else []:
                if label in scope:
                    return scope[label]
        return None

    def _message(self, pattern: core.Pattern, answers: dict[str, App]) -> App | None:
        match pattern:
            case core.Take(variable) if variable is not None:
                return answers[variable.label]
            case core.Part(sym, parts):
                made = [self._message(part, answers) for part in parts]
                sure = tuple(one for one in made if one is not None)
                return app(sym, sure) if len(sure) == len(made) else None
        return None

    def _get(self, thread: _Thread, node: core.Get) -> _Step:
        """The first row that matches and was not taken here before; waits as long as there is nothing to do without."""
        around = thread.copy.path[:-1]
        for row in self.rows:
            if row.sym is not node.table or (id(node), around, row) in self.taken:
                continue
            inner: Env | None = thread.env
            for part, arg in zip(node.parts, row.args, strict=True):
                assert isinstance(arg, App)
                inner = None if inner is None else self.machine.match(part, arg, inner, thread.copy.sessions)
            if inner is not None and self.machine.evaluate(node.condition, inner, thread.copy.sessions) is TRUE:
                self.taken.add((id(node), around, row))
                return self._go(thread, node.body, inner)
        return _Step.WAITS if node.other is core.NIL else self._go(thread, node.other)


def _public(channel: App) -> bool:
    return channel.sym.kind == "free" and not channel.sym.private


def _in_corruption(place: Place) -> bool:
    return place.file.replace("\\", "/").startswith(_CORRUPTION)


def _goes_on(node: core.LetIn | core.Test) -> bool:
    """Whether a process does something if a check of it holds."""
    return (node.body if isinstance(node, core.LetIn) else node.then) is not core.NIL


def _labels(pattern: core.Pattern) -> list[str]:
    match pattern:
        case core.Take(variable):
            return [] if variable is None else [variable.label]
        case core.Part(_, parts):
            return [label for part in parts for label in _labels(part)]
    return []
