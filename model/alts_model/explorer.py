"""A bounded Dolev-Yao search over the abstract machine, in the symbolic interpretation.

Every message passes through the attacker, who reads, drops, replays and builds. The search is breadth first and
complete within its bounds, which `BOUNDS` states; what it does not find there it does not prove absent elsewhere.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

from alts_model.connection import Local, Outcome
from alts_model.knowledge import Knowledge
from alts_model.messages import MODE_FULL, ClientInit, Finished, IssuedTicket, ServerInit, present
from alts_model.properties import (
    PROPERTIES,
    Made,
    Violation,
    check_claims,
    check_key_shares,
    check_records,
    check_secrecy,
    delivers,
    payload_of,
)
from alts_model.scenario import (
    APPLICATIONS,
    CIPHERS,
    FRAME_SIZES,
    HONEST,
    RECORDS,
    RPC,
    Scenario,
    SessionPlan,
    World,
    acceptable,
    scenarios,
)
from alts_model.tables import Role
from alts_model.terms import Term, name
from alts_model.trace import describe
from alts_model.weakening import WeakMachine

BOUNDS = """\
Nonces: every nonce seen so far and one of the attacker's.
Certificates: every known one; and every one over a known or self-made master, an identity of the realm, a public key
  of the realm or of the attacker or a point of low order, signed with the master's key if stolen, else falsely.
Offers: as the honest clients make them; without the first application protocol; with a smaller frame size.
Choices: either application protocol, either frame size.
Finished: the value that the receiver expects if the attacker can derive it (composition to any depth), or junk; with
  no ticket or one of the attacker's.
Alerts, and messages that the receiver refuses, only end a session: they are counted and not followed.
Records: each open session sends one; every ciphertext seen is offered to every open session, twice.
Reductions: clients start first; sessions that differ in their nonce alone begin in order; a session whose key the
  attacker knows gives it a nonce and nothing else, so one representative a certificate is followed."""

Deliveries = tuple[tuple[str, Term | None], ...]


@dataclass(frozen=True, slots=True)
class Move:
    """Inputs for one session, given together."""

    session: int
    inputs: Deliveries


@dataclass(frozen=True, eq=False)
class Node:
    """One global state; `before` and `outputs` are what the attacker knew before it and has learnt by it."""

    locals: tuple[Local[Term], ...]
    before: Knowledge
    outputs: tuple[Term, ...]
    made: tuple[Made, ...]
    moves: tuple[Move, ...]

    @cached_property
    def knowledge(self) -> Knowledge:
        """What the attacker knows now."""
        return self.before.extended(self.outputs)

    def key(self) -> object:
        """What tells states apart."""
        return tuple((local.state, local.client_init, local.server_init, local.tickets) for local in self.locals)


@dataclass(slots=True)
class Result:
    """What a search has found and how far it looked. `trace` is empty if there is no violation.

    `states` are distinct, `transitions` lead to them, `refused` messages were built and had no effect. `reached` are
    the claims that honest sessions made with honest peers, and `delivered` for a payload between two of them.
    """

    scenario: str
    without: tuple[str, ...]
    states: int = 0
    transitions: int = 0
    refused: int = 0
    message_depth: int = 0
    seconds: float = 0.0
    reached: set[str] = field(default_factory=set)
    violation: Violation | None = None
    trace: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Choice:
    """An Init that a session would accept, and what it leads to."""

    certificate: Term
    payload: Term
    outcome: Outcome[Term]
    shared: Term
    finished: tuple[tuple[Term, Outcome[Term]], ...]


class Explorer:
    """The search of one scenario, without the checks named in `without`; only `properties` are looked at."""

    def __init__(
        self, scenario: Scenario, without: frozenset[str] = frozenset(), properties: frozenset[str] = PROPERTIES
    ) -> None:
        self.world = World()
        self._properties = properties
        self.machine = WeakMachine(without)
        self.plans: tuple[SessionPlan, ...] = scenario.sessions
        self.result = Result(scenario.name, tuple(sorted(without)))
        self.payloads = [name(payload_of(plan)) for plan in self.plans]
        self._parties = [self.world.party(self.machine, plan) for plan in self.plans]
        candidates = self.world.certificates_of_the_attacker()
        peers: dict[Role, Role] = {"client": "server", "server": "client"}
        accepted: dict[object, tuple[Term, ...]] = {}
        for plan in self.plans:
            key = (plan.targets, plan.role)
            if key not in accepted:
                accepted[key] = acceptable(self.machine, self.world, candidates, plan.targets, peers[plan.role])
        self._certificates = [accepted[plan.targets, plan.role] for plan in self.plans]
        self._refused_certificates = [len(candidates) - len(found) for found in self._certificates]
        self._finished_messages: dict[object, tuple[tuple[Term, Outcome[Term]], ...]] = {}
        self._choices: dict[tuple[int, Term], tuple[_Choice, ...]] = {}

    def run(self) -> Result:
        """Search until a violation is found or everything within the bounds has been seen."""
        started = time.process_time()
        root = self._root()
        queue, seen = deque([root]), {root.key()}
        while queue:
            node = queue.popleft()
            self.result.states += 1
            self._reach(node)
            violation = self._check(node)
            if violation is not None:
                self._report(node, violation)
                break
            for following in self._successors(node):
                self.result.transitions += 1
                key = following.key()
                if key not in seen:
                    seen.add(key)
                    queue.append(following)
        self.result.seconds = time.process_time() - started
        return self.result

    def apply(self, node: Node, move: Move) -> Node | None:
        """The node after a move; None if the attacker cannot make it or the session refuses."""
        local, outputs, made = node.locals[move.session], list[Term](), list(node.made)
        for input_name, payload in move.inputs:
            if payload is not None and not node.knowledge.can(payload):
                return None
            outcome = self.machine.step(local, input_name, payload)
            if outcome.failure is not None:
                return None
            local = outcome.local
            outputs += [value for _, value in outcome.outputs]
            made += [Made(move.session, claim) for claim in outcome.claims]
        return self._after(node, move, local, outputs, tuple(made))

    def _after(self, node: Node, move: Move, local: Local[Term], outputs: list[Term], made: tuple[Made, ...]) -> Node:
        if local.state == "OPEN" and not node.knowledge.can(present(local.schedule).shared_secret):
            # Sending is left out of the state: what the session can receive does not depend on it.
            sent = self.machine.step(local, "send", self.payloads[move.session])
            outputs = [*outputs, sent.outputs[0][1]]
        locals_ = (*node.locals[: move.session], local, *node.locals[move.session + 1 :])
        return Node(locals_, node.knowledge, tuple(outputs), made, (*node.moves, move))

    def _empty(self) -> Node:
        locals_ = tuple(
            self.machine.initial(plan.role, party) for plan, party in zip(self.plans, self._parties, strict=True)
        )
        return Node(locals_, self.world.knowledge, (), (), ())

    def _root(self) -> Node:
        """All clients have started: starting needs nothing and only adds to what the attacker knows."""
        node = self._empty()
        for index, plan in enumerate(self.plans):
            if plan.role == "client":
                node = present(self.apply(node, Move(index, (("start", None),))))
        return node

    def _check(self, node: Node) -> Violation | None:
        found = (
            *check_key_shares(self.plans, node.locals),
            *check_claims(self.plans, node.locals, node.made),
            *check_secrecy(self.plans, node.locals, node.knowledge, self.payloads),
            *check_records(self.machine, self.plans, node.locals, node.knowledge, self.payloads),
        )
        return next((violation for violation in found if violation.name in self._properties), None)

    def _reach(self, node: Node) -> None:
        """Note what happens between honest sessions, so that a silent search is not a vacuous one."""
        for entry in node.made:
            agreed = entry.claim.agreed
            if agreed is None or {agreed.client, agreed.server} <= set(HONEST):
                self.result.reached.add(entry.claim.name)
        if delivers(self.machine, node.locals, node.knowledge):
            self.result.reached.add("delivered")

    def _successors(self, node: Node) -> Iterator[Node]:
        nonces = self._nonces(node)
        for index, local in enumerate(node.locals):
            if local.state == "WAIT_CLIENT_INIT" and self._is_next(node, index):
                yield from self._client_inits(node, index, nonces)
            elif local.state == "WAIT_SERVER_INIT":
                yield from self._server_inits(node, index, nonces)
            elif local.state == "WAIT_CLIENT_FINISHED":
                yield from self._client_finished(node, index, local)

    def _is_next(self, node: Node, index: int) -> bool:
        """Sessions that differ in their nonces alone are interchangeable: they begin in order."""
        twins = [i for i in range(index) if _alike(self.plans[i], self.plans[index])]
        return all(node.locals[i].client_init is not None for i in twins)

    def _nonces(self, node: Node) -> list[Term]:
        nonces = [self.world.attacker_nonce]
        for party, local in zip(self._parties, node.locals, strict=True):
            if local.client_init is not None and party.nonce not in nonces:
                nonces.append(party.nonce)
        return nonces

    def _client_inits(self, node: Node, index: int, nonces: Sequence[Term]) -> Iterator[Node]:
        for choice in self._options(node, index, nonces):
            move = Move(index, (("client_init", choice.payload),))
            outputs = [value for _, value in choice.outcome.outputs]
            yield self._move(node, move, choice.outcome, outputs, ())

    def _server_inits(self, node: Node, index: int, nonces: Sequence[Term]) -> Iterator[Node]:
        for choice in self._options(node, index, nonces):
            for payload, outcome in choice.finished:
                if node.knowledge.can(payload):
                    move = Move(index, (("server_init", choice.payload), ("server_finished", payload)))
                    outputs = [value for _, value in outcome.outputs]
                    yield self._move(node, move, outcome, outputs, ())
                else:
                    self.result.refused += 1

    def _client_finished(self, node: Node, index: int, local: Local[Term]) -> Iterator[Node]:
        for payload, outcome in self._finished(index, local, "client"):
            if node.knowledge.can(payload):
                yield self._move(node, Move(index, (("client_finished", payload),)), outcome, [], ())
            else:
                self.result.refused += 1

    def _move(
        self, node: Node, move: Move, outcome: Outcome[Term], outputs: list[Term], made: tuple[Made, ...]
    ) -> Node:
        depths = [payload.depth for _, payload in move.inputs if payload is not None]
        self.result.message_depth = max(self.result.message_depth, *depths)
        made = (*node.made, *(Made(move.session, claim) for claim in outcome.claims))
        return self._after(node, move, outcome.local, outputs, made)

    def _options(self, node: Node, index: int, nonces: Sequence[Term]) -> Iterator[_Choice]:
        """Inits that the session accepts; of those whose key the attacker knows, one a certificate."""
        represented: set[Term] = set()
        for nonce in nonces:
            for choice in self._choices_with(node.locals[index], index, nonce):
                if choice.certificate in represented:
                    continue
                if node.knowledge.can(choice.shared):
                    represented.add(choice.certificate)
                yield choice

    def _choices_with(self, local: Local[Term], index: int, nonce: Term) -> tuple[_Choice, ...]:
        choices = self._choices.get((index, nonce))
        if choices is None:
            choices = self._choices[index, nonce] = tuple(self._make_choices(local, index, nonce))
        return choices

    def _make_choices(self, local: Local[Term], index: int, nonce: Term) -> Iterator[_Choice]:
        inits = client_inits if local.role == "server" else server_inits
        input_name = "client_init" if local.role == "server" else "server_init"
        self.result.refused += self._refused_certificates[index]
        for certificate in self._certificates[index]:
            for message in inits(nonce, certificate):
                payload = self.machine.algebra.encode(message)
                outcome = self.machine.step(local, input_name, payload)
                if outcome.failure is not None:
                    self.result.refused += 1
                    continue
                shared = present(outcome.local.schedule).shared_secret
                finished = () if local.role == "server" else self._finished(index, outcome.local, "server")
                yield _Choice(certificate, payload, outcome, shared, finished)

    def _finished(self, index: int, local: Local[Term], sender: Role) -> tuple[tuple[Term, Outcome[Term]], ...]:
        """Finished messages that the session would accept, whoever could derive them."""
        key = (index, local.client_init, local.server_init)
        if key not in self._finished_messages:
            self._finished_messages[key] = tuple(self._make_finished(local, sender))
        return self._finished_messages[key]

    def _make_finished(self, local: Local[Term], sender: Role) -> Iterator[tuple[Term, Outcome[Term]]]:
        junk = self.world.junk
        for ticket in (None, IssuedTicket(bytes(16), 1, 60, self.world.attacker_ticket)):
            right = self.machine.finished(local, sender, ticket)
            for first, second in product((right.authenticator, junk), (right.ticket_authenticator, junk)):
                payload = self.machine.algebra.encode(Finished(first, second, ticket))
                outcome = self.machine.step(local, f"{sender}_finished", payload)
                if outcome.failure is None:
                    yield payload, outcome

    def _report(self, node: Node, violation: Violation) -> None:
        moves = self._shortest(node.moves, violation.name)
        replayed = self._replay(moves)
        found = violation if replayed is None else present(self._check(replayed))
        self.result.violation = found
        self.result.trace = [*describe(self, moves), f"=> violated: {found.name}: {found.text}"]

    def _shortest(self, moves: tuple[Move, ...], property_name: str) -> tuple[Move, ...]:
        """Leave out moves one by one as long as the same property is violated."""
        index = len(moves) - 1
        while index >= 0:
            shorter = (*moves[:index], *moves[index + 1 :])
            node = self._replay(shorter)
            violation = None if node is None else self._check(node)
            if violation is not None and violation.name == property_name:
                moves = shorter
            index -= 1
        return moves

    def _replay(self, moves: Sequence[Move]) -> Node | None:
        node: Node | None = self._empty()
        for move in moves:
            node = None if node is None else self.apply(node, move)
        return node

    def after(self, moves: Sequence[Move]) -> Node:
        """The node after moves that are possible."""
        return present(self._replay(moves))


def _alike(left: SessionPlan, right: SessionPlan) -> bool:
    return (left.role, left.identity, left.targets) == (right.role, right.identity, right.targets)


def client_inits(nonce: Term, certificate: Term) -> Iterator[ClientInit[Term]]:
    """The offers of `BOUNDS` with this nonce and certificate."""
    for applications, size in (
        (APPLICATIONS, FRAME_SIZES[0]),
        (APPLICATIONS[1:], FRAME_SIZES[0]),
        (APPLICATIONS, FRAME_SIZES[1]),
    ):
        yield ClientInit(nonce, certificate, CIPHERS, RECORDS, (), applications, RPC, size)


def server_inits(nonce: Term, certificate: Term) -> Iterator[ServerInit[Term]]:
    """The answers of `BOUNDS` with this nonce and certificate."""
    for application, size in product(APPLICATIONS, FRAME_SIZES):
        yield ServerInit(nonce, MODE_FULL, certificate, CIPHERS[0], RECORDS[0], application, RPC, size)


def explore(
    sessions: int = 2, without: frozenset[str] = frozenset(), properties: frozenset[str] = PROPERTIES
) -> Iterator[Result]:
    """Search all scenarios; with a check left out, only until an attack is found.

    Raises:
        ValueError: `sessions` is not 1 or more.
    """
    if sessions < 1:
        raise ValueError("at least one session a role")
    for scenario in scenarios(sessions):
        result = Explorer(scenario, without, properties).run()
        yield result
        if without and result.violation is not None:
            return
