"""A small datacenter, model and implementation in lockstep: everything that may happen to it, in any order.

`python -m tests.differential.datacenter --steps 20000 --seed 1` runs it at length: the same steps for the same seed.
Exit code 0: no difference and no broken invariant; 1: one, with the steps that lead to it; 3: nothing ran.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
import traceback
from collections import Counter
from typing import Any, ClassVar

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from alts_model.codec import frame
from alts_model.messages import MODE_CLIENT_TICKET, MODE_FULL, MODE_SERVER_TICKET
from alts_schema.handshake_pb2 import ClientFinished, PresentedTicket
from alts_vectors._world import NOW
from tests.differential.lockstep import Lockstep, Seen
from tests.differential.replicas import LISTS, POLICIES, Books, Connection, Issued, Replica, first_key, population
from tests.differential.sessions import client_init_of, server_flight_of

PLACES = st.integers(0, 8)
CIPHER_LISTS = st.sampled_from(LISTS)
EVENTS = ("renew", "renew", "rotate", "revoke", "push", "change_policy", "crash", "wait", "wait")
STEPS_PER_RUN = 50
MODE_NAMES = {MODE_FULL: "full", MODE_CLIENT_TICKET: "client ticket", MODE_SERVER_TICKET: "server ticket"}


class Datacenter(RuleBasedStateMachine):
    """Each rule is one thing that happens; each connection is judged by the test's own books."""

    counts: ClassVar[Counter[str]] = Counter()
    """Of rules and outcomes in this process, over all runs."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.replicas = population()
        self.books = Books()
        self.revoked: frozenset[int] = frozenset()
        self.next_number = 100
        self.connections = 0
        self.tickets: list[PresentedTicket] = []
        self.recorded: list[tuple[bytes, bytes]] = []
        """ClientInit and ClientFinished as they were on the wire."""

    # What honest parties do.

    @rule(
        client=PLACES,
        server=PLACES,
        offered=CIPHER_LISTS,
        allowed=CIPHER_LISTS,
        expects=st.sampled_from(["right"] * 8 + ["wrong", "none"]),
        stop=st.sampled_from([4] * 8 + [1, 2, 3]),
    )
    def connect(
        self, client: int, server: int, offered: tuple[str, ...], allowed: tuple[str, ...], expects: str, stop: int
    ) -> None:
        """A connection, which may be cut off after `stop` messages."""
        self._connect(self.replicas[client], self.replicas[server], offered, allowed, expects, stop)

    @rule(client=st.integers(0, 3), server=st.integers(2, 5), lists=CIPHER_LISTS, again=st.integers(1, 3))
    def connect_again(self, client: int, server: int, lists: tuple[str, ...], again: int) -> None:
        """The same two several times: chains of sessions."""
        for _ in range(again):
            self._connect(self.replicas[client], self.replicas[server], lists, lists, "right", 4)

    @rule(client=st.integers(0, 7), servers=st.permutations([2, 3, 4]))
    def connect_to_replicas(self, client: int, servers: list[int]) -> None:
        """A client and all replicas of a server, in any order."""
        for server in servers:
            self._connect(self.replicas[client], self.replicas[server], LISTS[0], LISTS[2], "right", 4)

    @rule(clients=st.permutations([0, 1, 5]), server=st.integers(2, 6))
    def serve_replicas(self, clients: list[int], server: int) -> None:
        """All replicas of a client and a server, in any order."""
        for client in clients:
            self._connect(self.replicas[client], self.replicas[server], LISTS[0], LISTS[3], "right", 4)

    @rule(data=st.data(), place=PLACES, event=st.sampled_from(EVENTS))
    def happen(self, data: st.DataObject, place: int, event: str) -> None:
        """Something that is no connection. One rule for all, so that connections remain the larger part."""
        self.counts[event] += 1
        getattr(self, f"_{event}")(data, self.replicas[place])

    def _renew(self, data: st.DataObject, who: Replica) -> None:
        """Another certificate for a replica, or for all. Mallory gets one too."""
        everybody = data.draw(st.booleans())
        for replica in self.replicas:
            if replica is who or everybody:
                self.next_number += 1
                replica.issued = Issued.make(
                    replica.identity, replica.category, self.next_number, self.now, replica.issued.issuer
                )

    def _rotate(self, data: st.DataObject, who: Replica) -> None:
        """A new resumption key in a cell; one replica may not have heard of it, old epochs may go."""
        lagging, kept = data.draw(PLACES), data.draw(st.sampled_from([0, 1, 3, 3]))
        alike = [one for one in self.replicas if (one.identity, one.cell) == (who.identity, who.cell) and one.keys]
        newest = max((epoch for one in alike for epoch, _ in one.keys), default=0)
        for one in alike:
            if one is not self.replicas[lagging]:
                old = one.keys[-kept:] if kept else ()
                one.set_keys((*old, first_key(who.identity, who.cell, newest + 1)))

    def _revoke(self, data: st.DataObject, who: Replica) -> None:
        """An ID of a replica's certificates is revoked; everybody may hear of it at once."""
        self.revoked |= {data.draw(st.sampled_from(sorted(who.issued.ids)))}
        if data.draw(st.sampled_from([True, True, False])):
            self._push(data, who)

    def _push(self, data: st.DataObject, who: Replica) -> None:
        """The present list of revocations reaches one replica, or all."""
        for replica in [who] if data.draw(st.booleans()) else self.replicas:
            replica.revoked = self.revoked

    def _change_policy(self, data: st.DataObject, who: Replica) -> None:
        """Another policy comes into force at one replica; or the usual one at all."""
        policy = data.draw(st.sampled_from(["production"] * 3 + sorted(POLICIES)))
        for replica in self.replicas if policy == "production" else [who]:
            replica.policy = policy

    def _crash(self, data: st.DataObject, who: Replica) -> None:
        """A process starts again without its caches and its memory."""
        who.start()

    def _wait(self, data: st.DataObject, who: Replica) -> None:
        """Clocks go on, or jump."""
        self.now += data.draw(st.sampled_from([1, 60, 299, 301, 3600, 3600, 40000, 86399, 86400, 172801]))

    # What an attacker does, who reads and writes on every wire.

    @precondition(lambda self: self.recorded)
    @rule(data=st.data(), server=PLACES, allowed=CIPHER_LISTS)
    def replay(self, data: st.DataObject, server: int, allowed: tuple[str, ...]) -> None:
        """A recorded client again, at any replica: it may be answered and never completes."""
        first, last = data.draw(st.sampled_from(self.recorded))
        end = self._end("server", self.replicas[server], allowed)
        flight, events = end.receive(first)
        if not events:
            self.counts[f"replay answered in mode {server_flight_of(flight)[0].mode}"] += 1
            end.receive(last or frame("client_finished", b""))
        assert end.state == "FAILED"

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), client=PLACES, server=PLACES, offered=CIPHER_LISTS)
    def inject(self, data: st.DataObject, client: int, server: int, offered: tuple[str, ...]) -> None:
        """A ticket from anywhere, as it is or changed, in somebody's ClientInit: neither end completes."""
        one, other = self.replicas[client], self.replicas[server]
        end = self._end("client", one, offered, frozenset({other.identity}))
        honest = end.start()
        message = client_init_of(honest)
        message.ticket.CopyFrom(self._ticket(data))
        forged = frame("client_init", message.SerializeToString(deterministic=True))
        if forged == honest:
            return  # the client had this very ticket: there is nothing wrong with it
        at_server = self._end("server", other, offered)
        flight, events = at_server.receive(forged)
        if events:
            return
        mode = server_flight_of(flight)[0].mode
        self.counts[f"injected: mode {mode}"] += 1
        _, at_client = end.receive(flight)
        assert end.state == "FAILED", at_client
        at_server.receive(frame("client_finished", b""))

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), client=PLACES, server=PLACES)
    def attach(self, data: st.DataObject, client: int, server: int) -> None:
        """A ticket from anywhere attached to an honest ServerInit: the client does not complete."""
        one, other = self.replicas[client], self.replicas[server]
        end = self._end("client", one, LISTS[0], frozenset({other.identity}))
        at_server = self._end("server", other, LISTS[0])
        flight, events = at_server.receive(end.start())
        if events:
            return
        init, finished = server_flight_of(flight)
        init.mode, init.certificate = MODE_SERVER_TICKET, b""  # type: ignore[assignment]  # an enum of the schema
        init.ticket.CopyFrom(self._ticket(data))
        forged = frame("server_init", init.SerializeToString(deterministic=True))
        if flight.startswith(forged):
            return  # the server had attached this very ticket: there is nothing wrong with it
        end.receive(forged)
        if end.state != "FAILED":
            self.counts["attached ticket opened"] += 1
            end.receive(frame("server_finished", finished.SerializeToString(deterministic=True)))
        assert end.state == "FAILED"

    # What always holds.

    @invariant()
    def caches_are_bounded(self) -> None:
        """Neither more tickets than were made, nor more than there is room for; both sides hold as many."""
        for replica in self.replicas:
            for stores in replica.stores.values():
                stores.check()
                assert len(stores.implementation.cache) <= self.connections

    # Below the rules.

    def _end(
        self,
        role: Any,
        replica: Replica,
        ciphers: tuple[str, ...],
        targets: frozenset[str] = frozenset(),
    ) -> Lockstep:
        self.connections += 1
        settings = replica.settings(f"connection {self.connections}", self.now, ciphers, targets)
        return Lockstep(role, settings, replica.stores[role])

    def _ticket(self, data: st.DataObject) -> PresentedTicket:
        """One of those that were on the wire; most often as it was."""
        ticket = PresentedTicket()
        ticket.CopyFrom(data.draw(st.sampled_from(self.tickets)))
        match data.draw(st.sampled_from(["as it was"] * 4 + ["bit", "epoch"])):
            case "bit":
                raw = bytearray(ticket.ticket)
                raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
                ticket.ticket = bytes(raw)
            case "epoch":
                ticket.key_epoch = ticket.key_epoch % 3 + 1
        return ticket

    def _connect(
        self,
        one: Replica,
        other: Replica,
        offered: tuple[str, ...],
        allowed: tuple[str, ...],
        target: str,
        stop: int,
    ) -> None:
        targets = {"right": {other.identity}, "wrong": {"test/nobody"}, "none": set()}[target]
        client = self._end("client", one, offered, frozenset(targets))
        server = self._end("server", other, allowed)
        first = client.start()
        self._record(client_init_of(first).ticket)
        self.recorded.append((first, b""))
        del self.recorded[:-20]
        if stop == 1:
            return
        flight, events = server.receive(first)
        if events:
            self.counts[events[0][2]] += 1
            client.receive(flight)
            assert client.state == server.state == "FAILED"
            return
        init, finished = server_flight_of(flight)
        self._record(init.ticket)
        self._record(finished.ticket)
        if stop == 2:
            return
        last, at_client = client.receive(flight)
        if client.state == "FAILED":
            self.counts[at_client[0][2]] += 1
            server.receive(last)
            assert server.state == "FAILED"
            return
        self.recorded[-1] = (first, last)
        self._record(ClientFinished.FromString(last[8:]).ticket)
        at_server: tuple[Seen, ...] = ((),) if stop == 3 else server.receive(last)[1]
        values = client.model.secrets.values
        made = Connection(
            one,
            other,
            self.now,
            offered,
            allowed,
            frozenset(targets),
            at_client[0],
            at_server[0],
            values["R"],
            values.get("secret"),
        )
        if stop == 4:
            assert (at_client[0][0], at_server[0][0]) == ("completed", "completed"), (at_client, at_server)
            self.books.judge(made)
            self.counts[MODE_NAMES[at_client[0][-1]]] += 1
            assert server.receive(client.send(b"question"))[1] == (("payload", b"question"),)
            assert client.receive(server.send(b"answer"))[1] == (("payload", b"answer"),)
        self.books.note(made)

    def _record(self, ticket: Any) -> None:
        if ticket.ticket:
            self.tickets.append(
                PresentedTicket(resumption_id=ticket.resumption_id, key_epoch=ticket.key_epoch, ticket=ticket.ticket)
            )
            del self.tickets[:-30]


class Counted(Datacenter):
    """Counts its steps."""

    steps: ClassVar[int] = 0

    def check_invariants(self, settings: Any, output: Any, runtimes: Any) -> None:
        """Called by Hypothesis after each step."""
        type(self).steps += 1
        super().check_invariants(settings, output, runtimes)


def run(steps: int, seed: int) -> int:
    """At least so many steps; the same ones for the same seed. Returns how many there were."""
    Counted.steps = 0
    Datacenter.counts.clear()
    settings = hypothesis.settings(
        max_examples=max(1, min(steps // STEPS_PER_RUN, 100)),
        stateful_step_count=STEPS_PER_RUN,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    while Counted.steps < steps:
        hypothesis.seed(seed)(Counted)
        run_state_machine_as_test(Counted, settings=settings)
        seed += 1
    return Counted.steps


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20000, help="at least so many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    args = parser.parse_args()
    try:
        done = run(args.steps, args.seed)
    except AssertionError as error:
        way = [note for note in getattr(error, "__notes__", ()) if note.startswith("state")]
        print("\n".join(textwrap.shorten(line, 200) for line in "\n".join(way).splitlines()))
        print("".join(traceback.format_tb(error.__traceback__)[-3:]) + textwrap.shorten(f"{error!r}", 2000))
        print(f"a difference or a broken invariant after {Counted.steps} steps (seed {args.seed})")
        return 1
    if not done:
        print("nothing ran")
        return 3
    print(f"{done} steps in lockstep (seed {args.seed}), no difference, every invariant held")
    print(", ".join(f"{name} {count}" for name, count in Datacenter.counts.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
