"""A bounded Dolev-Yao search over the abstract machine, in the symbolic interpretation.

Every message passes through the attacker, who reads, drops, replays and builds. The search is breadth first and
complete within its bounds, which `BOUNDS` states; what it does not find there it does not prove absent elsewhere.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from alts_model.attacker import Attacker, Seen
from alts_model.connection import Local, Outcome
from alts_model.messages import MODE_FULL, MODE_NAMES, Finished, present
from alts_model.nodes import LEAK as LEAK
from alts_model.nodes import Move as Move
from alts_model.nodes import Node, Taken
from alts_model.nodes import Result as Result
from alts_model.processes import Processes
from alts_model.properties import (
    PROPERTIES,
    Made,
    Violation,
    check_claims,
    check_early_secrecy,
    check_key_shares,
    check_once,
    check_records,
    check_secrecy,
    delivers,
    payload_of,
)
from alts_model.scenario import HONEST, Scenario, SessionPlan, World, acceptable
from alts_model.stores import Resumption
from alts_model.tables import Role
from alts_model.terms import Term, name
from alts_model.trace import describe
from alts_model.weakening import WeakMachine


@dataclass(frozen=True, slots=True)
class _Choice:
    """An Init that a session would accept, and what it leads to; `kind` is what its representative stands for."""

    kind: object
    payload: Term
    step: Taken
    shared: Term


class Explorer:
    """The search of one scenario, without the checks named in `without`; only `properties` are looked at."""

    def __init__(
        self, scenario: Scenario, without: frozenset[str] = frozenset(), properties: frozenset[str] = PROPERTIES
    ) -> None:
        self.scenario = scenario
        self.world = World(
            scenario.ciphers, rotated=bool(scenario.leaked) and any(plan.late for plan in scenario.sessions)
        )
        self._properties = properties
        self.machine = WeakMachine(without)
        self.plans: tuple[SessionPlan, ...] = scenario.sessions
        stolen = [term for what in scenario.stolen for term in self.world.secrets(what, self.plans)]
        self._leak = tuple(term for what in scenario.leaked for term in self.world.secrets(what, self.plans))
        self.world.knowledge = self.world.knowledge.extended(stolen)
        self.result = Result(scenario.name, tuple(sorted(without)))
        self.payloads = [name(payload_of(plan)) for plan in self.plans]
        self._parties = [self.world.party(self.machine, plan, scenario.later) for plan in self.plans]
        self._checks = self._list_checks()
        self._attacker = Attacker(self.world, scenario, self.machine)
        candidates = (
            self.world.certificates_of_the_attacker()
            if scenario.arsenal
            else self.world.few_certificates(outsider=scenario.outsider)
        )
        peers: dict[Role, Role] = {"client": "server", "server": "client"}
        accepted: dict[object, tuple[Term, ...]] = {}
        for plan, party in zip(self.plans, self._parties, strict=True):
            key = (plan.targets, plan.role, plan.late)
            if key not in accepted:
                old = self.world.replaced() if plan.late else frozenset[Term]()
                found = acceptable(self.machine, party.trust, candidates, peers[plan.role])
                accepted[key] = tuple(certificate for certificate in found if certificate not in old)
        self._certificates = [accepted[plan.targets, plan.role, plan.late] for plan in self.plans]
        self._refused_certificates = [len(candidates) - len(found) for found in self._certificates]
        self._junk = Finished(self.world.junk, self.world.junk)
        self._finished_messages: dict[object, tuple[Term, ...]] = {}
        self._seen: dict[Seen, Seen] = {}
        self._payloads: dict[object, tuple[tuple[bool, bytes, Term], ...]] = {}
        self._accepted: dict[object, tuple[Outcome[Term], Resumption[Term] | None]] = {}
        self._choices: dict[object, tuple[_Choice, ...]] = {}

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
        if move.session == LEAK:
            return self._after_leak(node)
        if not self._may_act(node, move.session):
            return None
        local, outputs, made = node.locals[move.session], list[Term](), list(node.made)
        processes = node.processes
        for input_name, payload in move.inputs:
            if payload is not None and not node.knowledge.can(payload):
                return None
            step = self._step(processes, move.session, local, input_name, payload)
            if step.outcome.failure is not None:
                return None
            local, processes = step.outcome.local, step.processes
            outputs += [value for _, value in step.outcome.outputs]
            made += [Made(move.session, claim) for claim in step.outcome.claims]
        return self._after(node, move, Taken(Outcome(local), processes), outputs, tuple(made))

    def _step(
        self, processes: Processes, index: int, local: Local[Term], input_name: str, payload: Term | None
    ) -> Taken:
        plan = self.plans[index]
        resumption = processes.of(plan)
        outcome = self.machine.step(local, input_name, payload, resumption)
        return Taken(outcome, processes.having(plan, resumption))

    def _init(self, processes: Processes, index: int, local: Local[Term], input_name: str, payload: Term) -> Taken:
        """The same for an Init, remembered: what comes of it follows from what the session can see."""
        plan = self.plans[index]
        key = (index, local.client_init, payload, processes.key_of(plan))
        found = self._accepted.get(key)
        if found is None:
            resumption = processes.of(plan)
            found = self.machine.step(local, input_name, payload, resumption), resumption
            self._accepted[key] = found
        return Taken(found[0], processes.having(plan, found[1]))

    def _after(self, node: Node, move: Move, step: Taken, outputs: list[Term], made: tuple[Made, ...]) -> Node:
        local = step.outcome.local
        if local.state == "OPEN" and not node.knowledge.can(present(local.schedule).shared_secret):
            # Sending is left out of the state: what the session can receive does not depend on it.
            sent = self.machine.step(local, "send", self.payloads[move.session])
            outputs = [*outputs, sent.outputs[0][1]]
        locals_ = (*node.locals[: move.session], local, *node.locals[move.session + 1 :])
        moves = (*node.moves, move)
        return Node(locals_, step.processes, node.knowledge, tuple(outputs), made, moves, node.leaked)

    def _after_leak(self, node: Node) -> Node | None:
        if not self._leak or node.leaked:
            return None
        moves = (*node.moves, Move(LEAK, ()))
        return Node(node.locals, node.processes, node.knowledge, self._leak, node.made, moves, leaked=True)

    def _may_act(self, node: Node, index: int) -> bool:
        """Before a leak the early sessions go on, after it the late ones."""
        return not self._leak or self.plans[index].late == node.leaked

    def _empty(self) -> Node:
        locals_ = tuple(
            self.machine.initial(plan.role, party) for plan, party in zip(self.plans, self._parties, strict=True)
        )
        return Node(locals_, Processes.empty(self.world, self.scenario), self.world.knowledge, (), (), ())

    def _root(self) -> Node:
        """The prelude has run, and all clients whose start can depend on nothing have started."""
        node = self._empty()
        for move in self._prelude(node):
            node = present(self.apply(node, move))
        for index, plan in enumerate(self.plans):
            if plan.role == "client" and not self._starts_later(plan) and node.locals[index].state == "START":
                node = present(self.apply(node, Move(index, (("start", None),))))
        return node

    def _starts_later(self, plan: SessionPlan) -> bool:
        """A client whose cache an earlier one fills may start before that or after."""
        clients = [other for other in self.plans if other.role == "client" and other.process == plan.process]
        return plan.late or (self.scenario.resumption and plan is not clients[0])

    def _prelude(self, node: Node) -> Iterator[Move]:
        """Honest handshakes between the named sessions: client, server, client, server."""
        index = {plan.name: position for position, plan in enumerate(self.plans)}
        names = iter(self.scenario.prelude)
        for client, server in zip(names, names, strict=True):
            flight: list[Term] = []
            for who, inputs in (
                (client, ("start",)),
                (server, ("client_init",)),
                (client, ("server_init", "server_finished")),
                (server, ("client_finished",)),
            ):
                given = flight if flight else [None]
                move = Move(index[who], tuple(zip(inputs, given, strict=True)))
                known = len(node.knowledge.known)
                node = present(self.apply(node, move))
                assert known <= len(node.knowledge.known)
                flight = [value for value in node.outputs if value.op in ("ClientInit", "ServerInit", "Finished")]
                yield move

    def _check(self, node: Node) -> Violation | None:
        for names, check in self._checks:
            if names & self._properties:
                for violation in check(node):
                    if violation.name in self._properties:
                        return violation
        return None

    def _list_checks(self) -> tuple[tuple[frozenset[str], Callable[[Node], Iterator[Violation]]], ...]:
        """What each check can find, and the check."""
        trusted, later, plans, payloads = self.scenario.trusted, self.scenario.later, self.plans, self.payloads
        claims = {"target", "category", "agreement", "authentication", "injective agreement", "today's data"}
        return (
            (frozenset({"unknown key share"}), lambda node: check_key_shares(plans, node.locals)),
            (frozenset(claims), lambda node: check_claims(plans, node.locals, node.made, trusted, later)),
            (frozenset({"one use"}), lambda node: check_once(plans, node.made, trusted)),
            (
                frozenset({"secrecy"}),
                lambda node: check_secrecy(plans, node.locals, node.knowledge, payloads, trusted),
            ),
            (
                frozenset({"early secrecy"}),
                lambda node: (
                    check_early_secrecy(plans, node.locals, node.knowledge, trusted) if node.leaked else iter(())
                ),
            ),
            (
                frozenset({"payload origin", "payload replay"}),
                lambda node: check_records(self.machine, plans, node.locals, node.knowledge, payloads, trusted),
            ),
        )

    def _reach(self, node: Node) -> None:
        """Note what happens between honest sessions, so that a silent search is not a vacuous one."""
        answered = set[Term]()
        for entry in node.made:
            agreed = entry.claim.agreed
            if agreed is None or {agreed.client, agreed.server} <= set(HONEST):
                self.result.reached.add(entry.claim.name)
            if agreed is not None and entry.claim.name == "ServerCompletes" and agreed.mode != MODE_FULL:
                self.result.reached.add(MODE_NAMES[agreed.mode])
            if agreed is not None and entry.claim.name == "ServerAccepts" and agreed.secret is not None:
                self.result.reached |= {"answered twice"} if agreed.secret in answered else set()
                answered.add(agreed.secret)
        reached = "delivered" in self.result.reached
        if not reached and delivers(self.machine, node.locals, node.knowledge, self.scenario.trusted):
            self.result.reached.add("delivered")

    def _successors(self, node: Node) -> Iterator[Node]:
        nonces = self._nonces(node)
        seen = self._attacker.seen(node.locals, node.knowledge)
        seen = self._seen.setdefault(seen, seen)
        for index, local in enumerate(node.locals):
            if not self._may_act(node, index):
                continue
            if local.state == "START" and self._is_next(node, index):
                yield present(self.apply(node, Move(index, (("start", None),))))
            elif local.state == "WAIT_CLIENT_INIT" and self._is_next(node, index):
                yield from self._client_inits(node, index, nonces, seen)
            elif local.state == "WAIT_SERVER_INIT":
                yield from self._server_inits(node, index, nonces, seen)
            elif local.state == "WAIT_CLIENT_FINISHED":
                yield from self._client_finished(node, index, local, seen)
        leaked = self._after_leak(node)
        if leaked is not None:
            yield leaked

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

    def _client_inits(self, node: Node, index: int, nonces: Sequence[Term], seen: Seen) -> Iterator[Node]:
        for choice in self._options(node, index, nonces, seen):
            move = Move(index, (("client_init", choice.payload),))
            yield self._move(node, move, choice.step)

    def _server_inits(self, node: Node, index: int, nonces: Sequence[Term], seen: Seen) -> Iterator[Node]:
        for choice in self._options(node, index, nonces, seen):
            after = choice.step.outcome.local
            for payload, step in self._finished(node, choice.step.processes, index, after, "server", seen):
                move = Move(index, (("server_init", choice.payload), ("server_finished", payload)))
                yield self._move(node, move, step)

    def _client_finished(self, node: Node, index: int, local: Local[Term], seen: Seen) -> Iterator[Node]:
        for payload, step in self._finished(node, node.processes, index, local, "client", seen):
            yield self._move(node, Move(index, (("client_finished", payload),)), step)

    def _move(self, node: Node, move: Move, step: Taken) -> Node:
        depths = [payload.depth for _, payload in move.inputs if payload is not None]
        self.result.message_depth = max(self.result.message_depth, *depths)
        made = (*node.made, *(Made(move.session, claim) for claim in step.outcome.claims))
        return self._after(node, move, step, [value for _, value in step.outcome.outputs], made)

    def _options(self, node: Node, index: int, nonces: Sequence[Term], seen: Seen) -> Iterator[_Choice]:
        """Inits that the session accepts; of those whose key the attacker knows, one of a kind."""
        represented: set[object] = set()
        for nonce in nonces:
            for choice in self._choices_with(node, index, nonce, seen):
                # Another share may make a key that the attacker does not know: of the same kind, and not represented.
                if node.knowledge.can(choice.shared):
                    if choice.kind in represented:
                        continue
                    represented.add(choice.kind)
                yield choice

    def _choices_with(self, node: Node, index: int, nonce: Term, seen: Seen) -> tuple[_Choice, ...]:
        local = node.locals[index]
        key = (index, nonce, id(seen), local.client_init, node.processes.key_of(self.plans[index]))
        choices = self._choices.get(key)
        if choices is None:
            choices = self._choices[key] = tuple(self._make_choices(node.processes, local, index, nonce, seen))
        return choices

    def _make_choices(
        self, processes: Processes, local: Local[Term], index: int, nonce: Term, seen: Seen
    ) -> Iterator[_Choice]:
        input_name = "client_init" if local.role == "server" else "server_init"
        self.result.refused += self._refused_certificates[index]
        key = (index, nonce, id(seen), local.client_init)
        if key not in self._payloads:
            self._payloads[key] = tuple(dict.fromkeys(self._inits(local, index, nonce, seen)))
        for has_ticket, resumption_id, payload in self._payloads[key]:
            step = self._init(processes, index, local, input_name, payload)
            after = step.outcome.local
            if step.outcome.failure is not None:
                self.result.refused += 1
                continue
            agreed = present(after.agreed)
            if has_ticket and agreed.mode == MODE_FULL and payload not in seen.client_inits:
                continue
            kind = (agreed.mode, agreed.client_certificate, agreed.server_certificate, agreed.secret, resumption_id)
            yield _Choice(kind, payload, step, present(after.schedule).shared_secret)

    def _inits(self, local: Local[Term], index: int, nonce: Term, seen: Seen) -> Iterator[tuple[bool, bytes, Term]]:
        """Every Init with this nonce: whether a ticket is presented, the IDR, the payload."""
        plan, algebra, certificates = self.plans[index], self.machine.algebra, self._certificates[index]
        if local.role == "client":
            answers = self._attacker.server_inits(nonce, certificates, present(local.offered), plan.identity, seen)
            yield from ((False, b"", algebra.encode(answer)) for answer in answers)
            return
        messages = [algebra.decode_client_init(payload) for payload in seen.client_inits]
        messages = [message for message in messages if message.nonce is nonce]
        for certificate in certificates:
            messages += self._attacker.client_inits(nonce, certificate, plan.identity, seen)
        for message in messages:
            yield message.ticket is not None, message.resumption_id, algebra.encode(message)

    def _finished(
        self, node: Node, processes: Processes, index: int, local: Local[Term], sender: Role, seen: Seen
    ) -> Iterator[tuple[Term, Taken]]:
        """Finished messages that the session accepts and that the attacker can derive."""
        knows = node.knowledge.can
        bare = self.machine.finished(local, sender, None)
        if not knows(bare.authenticator) and not self.machine.authenticator_is_right(sender, bare, self._junk):
            self.result.refused += 1
            return
        own = knows(present(local.schedule).A)
        key = (index, local.client_init, local.server_init, seen.tickets, own)
        if key not in self._finished_messages:
            self._finished_messages[key] = tuple(self._make_finished(local, sender, seen, own))
        for payload in self._finished_messages[key]:
            if not knows(payload):
                self.result.refused += 1
                continue
            step = self._step(processes, index, local, f"{sender}_finished", payload)
            if step.outcome.failure is None:
                yield payload, step

    def _make_finished(self, local: Local[Term], sender: Role, seen: Seen, own: bool) -> Iterator[Term]:
        """Those that have the authenticators that the session asks for, whoever could derive them."""
        junk = self.world.junk
        for ticket in self._attacker.issued(local, seen, own=own):
            right = self.machine.finished(local, sender, ticket)
            for first, second in product((right.authenticator, junk), (right.ticket_authenticator, junk)):
                given = Finished(first, second, ticket)
                first_is_right = self.machine.authenticator_is_right(sender, right, given)
                if first_is_right and self.machine.ticket_authenticator_is_right(sender, right, given):
                    yield self.machine.algebra.encode(given)

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
    return replace(left, name="") == replace(right, name="")
