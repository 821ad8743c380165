"""Resumption: tickets of both makers, replicas, chains, rotation, and every ticket that must not be used."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from typing import Any

import alts
from alts._tickets import (
    seal_ticket,
)  # a ticket that a maker would never make can only be made below the public surface
from alts_conformance import ENDED, CaseRun, Severity, case
from alts_conformance._context import ALERT
from alts_conformance._fleet import (
    CLIENT,
    CLIENT_TICKET,
    FULL,
    SERVER,
    SERVER_TICKET,
    End,
    Fleet,
    Handshaken,
)
from alts_conformance._manipulate import CLIENT_TO_SERVER, SERVER_TO_CLIENT
from alts_conformance._opponent import ClientOpponent
from alts_conformance._recording import reaction_in

BOTH = ("alts", "resumption")
PAIR: dict[str, Any] = {"subjects": ("client", "server"), "needs": {"client": BOTH, "server": BOTH}, "limit": 90}
ONE: dict[str, Any] = {"subjects": ("server",), "needs": {"server": BOTH}, "limit": 60}
DAY = 86400


def expect_mode(run: CaseRun, met: Handshaken, allowed: str, what: str) -> None:
    """The mode on the wire, and what goes with it in ServerInit, must be this.

    Raises:
        CaseFailed: another one.
    """
    run.expect(met.mode == allowed, f"{what}: ServerInit says {met.mode or 'nothing'}, right is {allowed}")
    init = met.server_init
    run.expect(bool(init.certificate) == (allowed == FULL), f"{what}: a certificate comes in mode FULL and only there")
    run.expect(init.HasField("ticket") == (allowed == SERVER_TICKET), f"{what}: ticket in ServerInit")


# -- between peers -----------------------------------------------------------------------------------------------------


@case(
    **PAIR,
    requirements=("RES-4", "RES-5", "RES-6", "RES-7"),
    severity=Severity.CRITICAL,
    why="A load balancer sends a client to whichever replica has room; the ticket must be good there too.",
    profiles=("smoke",),
)
async def clients_ticket_resumes_with_a_replica(run: CaseRun) -> None:
    """A client that names its target presents the server's ticket to a replica that took no part, which resumes; so
    goes a chain of sessions, each with a ticket of its own.
    """
    fleet = await Fleet.make(run)
    first, replica = await fleet.server(), await fleet.server()
    client = await fleet.client()
    expect_mode(run, await fleet.meet(client, first), FULL, "the first session")
    tickets = []
    for number, server in enumerate((replica, first, replica), start=1):
        met = await fleet.meet(client, server)
        expect_mode(run, met, CLIENT_TICKET, f"resumption {number}")
        run.expect(all(met.tickets_made), f"resumption {number}: both ends make tickets for the next")
        tickets.append(met.client_init.ticket.ticket)
    run.expect(len(set(tickets)) == 3, "a ticket was presented twice")


@case(
    **PAIR,
    requirements=("RES-3", "RES-5", "RES-6", "RES-7"),
    severity=Severity.CRITICAL,
    why="A server resumes with clients that it knows, also where they did not ask for it.",
)
async def server_attaches_the_clients_ticket_for_any_replica(run: CaseRun) -> None:
    """A client that names no target has nothing to present; the server attaches the client-made ticket that it holds,
    and a replica of the client that took no part opens it; so goes a chain.
    """
    fleet = await Fleet.make(run)
    server = await fleet.server()
    first, replica = await fleet.client(), await fleet.client()
    expect_mode(run, await fleet.meet(first, server, target=False), FULL, "the first session")
    tickets = []
    for number, client in enumerate((replica, first, replica), start=1):
        met = await fleet.meet(client, server, target=False)
        expect_mode(run, met, SERVER_TICKET, f"resumption {number}")
        run.expect(not met.client_init.HasField("ticket"), "the client presented a ticket without a target")
        tickets.append(met.server_init.ticket.ticket)
    run.expect(len(set(tickets)) == 3, "a ticket was attached twice")


@case(
    **PAIR,
    requirements=("RES-5", "ISSUE-9", "TRUST-6"),
    severity=Severity.HIGH,
    why="Fleets of stacks share one handshaker service, or each host has its own with the same keys.",
    parameters={"services": (1, 2)},
)
async def fleet_resumes(run: CaseRun, services: int) -> None:
    """Two clients and two servers, through one service a side or through two that share the keys (peers that hold the
    handshake themselves are replicas anyway): after the first handshake every session is resumed, whoever meets whom.
    """
    fleet = await Fleet.make(run)
    servers = [await fleet.server(service=number) for number in (1, services)]
    clients = [await fleet.client(service=number) for number in (1, services)]
    expect_mode(run, await fleet.meet(clients[0], servers[0]), FULL, "the first session")
    expect_mode(run, await fleet.meet(clients[0], servers[1]), CLIENT_TICKET, "the client with another server")
    for what, client, server in (
        ("another client with the second server", clients[1], servers[1]),
        ("another client with the first server", clients[1], servers[0]),
        ("the first client with the first server", clients[0], servers[0]),
    ):
        met = await fleet.meet(client, server)
        expect_mode(run, met, met.mode if met.mode in (CLIENT_TICKET, SERVER_TICKET) else CLIENT_TICKET, what)


@case(
    **PAIR,
    requirements=("CRED-3", "ISSUE-8", "RES-2"),
    severity=Severity.HIGH,
    why="Keys are rotated every other day, and no session may be the worse for it.",
    parameters={"whose": ("server", "client")},
)
async def rotation_of_keys_overlaps(run: CaseRun, whose: str) -> None:
    """After a rotation, without a restart, a ticket under the old epoch still resumes and new ones are made under the
    new epoch; once the old epoch is gone, its tickets cost a full handshake and nothing else.
    """
    fleet = await Fleet.make(run)
    server, client = await fleet.server(), await fleet.client()
    by_server = whose == "server"
    resumed = CLIENT_TICKET if by_server else SERVER_TICKET

    async def meet() -> tuple[Handshaken, int]:
        met = await fleet.meet(client, server, target=by_server)
        return met, (met.client_init if by_server else met.server_init).ticket.key_epoch

    met, _ = await meet()
    expect_mode(run, met, FULL, "the first session")
    epoch = fleet.rotate(SERVER if by_server else CLIENT)
    await fleet.reload()
    for wanted in (epoch - 1, epoch):
        met, used = await meet()
        expect_mode(run, met, resumed, f"with a ticket under epoch {wanted}")
        run.expect(used == wanted, f"the ticket is under epoch {used}, expected {wanted}")
    run.expect(by_server or list(met.client_init.ticket_key_epochs) == [epoch - 1, epoch], "epochs in ClientInit")
    fleet.rotate(SERVER if by_server else CLIENT)
    fleet.edit_keys(SERVER if by_server else CLIENT, keep=[epoch + 1])
    if by_server:  # so that the server has no client's ticket to fall back on
        fleet.edit_keys(CLIENT, keep=[1], other_keys=False)
        fleet.rotate(CLIENT)
        fleet.edit_keys(CLIENT, keep=[2])
    await fleet.reload()
    met, _ = await meet()
    expect_mode(run, met, FULL, "with a ticket under an epoch that is gone")
    met, used = await meet()
    expect_mode(run, met, resumed, "after that")
    run.expect(used == epoch + 1, f"the ticket is under epoch {used}, expected {epoch + 1}")


@case(
    **PAIR,
    requirements=("RES-8",),
    severity=Severity.HIGH,
    why="A ticket that cannot be opened must never keep two ends apart.",
)
async def refused_attached_ticket_costs_one_connection(run: CaseRun) -> None:
    """The server attaches a ticket that the client cannot open: the client ends that connection (with the alert
    TICKET_REFUSED, if it speaks itself), and the next is a full handshake that carries the call. Later ones resume.
    """
    fleet = await Fleet.make(run)
    server, client = await fleet.server(), await fleet.client()
    expect_mode(run, await fleet.meet(client, server, target=False), FULL, "the first session")
    fleet.edit_keys(CLIENT, keep=[1], other_keys=True)
    await fleet.reload()
    before = await server.observed()
    outcome, handshakes = await fleet.attempt(client, server, target=False)
    tries = 1
    while outcome.status != 0 and tries < 8:  # a stack reconnects in its own time
        await asyncio.sleep(0.25)
        outcome, more = await fleet.attempt(client, server, target=False)
        handshakes, tries = handshakes + more, tries + 1
    run.expect(outcome.status == 0, f"the call never succeeded: {outcome.detail[:200]}")
    modes = [met.mode for met in handshakes]
    run.expect(modes == [SERVER_TICKET, FULL], f"the connections had modes {modes}, right is SERVER_TICKET, FULL")
    if "full-handshake" in run.world.peers[client.peer].capabilities:
        run.expect(tries == 1, "the call failed, although the client connects again by itself")
        run.expect(handshakes[0].alerts(CLIENT_TO_SERVER) == [22], "the client sent no alert TICKET_REFUSED")
        run.expect(not handshakes[1].client_init.resumption_id, "the second ClientInit has a resumption ID")
    else:
        run.note(f"{tries} calls until one succeeded; alerts: {handshakes[0].alerts(CLIENT_TO_SERVER)}")
    run.expect(await server.observed() == before + 1, "the server's application saw more or less than one call")
    if "full-handshake" in run.world.peers[client.peer].capabilities:
        expect_mode(run, await fleet.meet(client, server, target=False), FULL, "the next, since nobody made a ticket")
    expect_mode(run, await fleet.meet(client, server, target=False), SERVER_TICKET, "the last")


@case(
    **PAIR,
    requirements=("TRADE-2", "TRADE-1"),
    severity=Severity.CRITICAL,
    why="Whoever steals the resumption key could impersonate others to its owner: this cipher takes no ticket.",
    parameters={"target": (True, False)},
)
async def kci_resistant_cipher_takes_no_tickets(run: CaseRun, target: bool) -> None:
    """With X25519_KCI_SHA256, resumption configured at both ends, every session is full and nobody makes a ticket."""
    fleet = await Fleet.make(run)
    ciphers = (alts.X25519_KCI_SHA256,)
    server, client = await fleet.server(ciphers=ciphers), await fleet.client(ciphers=ciphers)
    for number in range(3):
        met = await fleet.meet(client, server, target=target)
        expect_mode(run, met, FULL, f"session {number}")
        run.expect(met.server_init.handshake_cipher == alts.X25519_KCI_SHA256, "another cipher was chosen")
        run.expect(met.tickets_made == (False, False), "a ticket was made")
        run.expect(not met.client_init.HasField("ticket"), "a ticket was presented")


# -- an opponent with tickets against a server ----------------------------------------------------------------------


class Holder:
    """A client opponent that holds the server's tickets and makes none, so that the server has none to attach."""

    def __init__(self, run: CaseRun, fleet: Fleet) -> None:
        self.run = run
        realm = fleet.realm
        self.resumption = alts.Resumption()
        self.configuration = alts.Configuration(
            realm.credential("client"),
            realm.trust(),
            target_identities=frozenset({SERVER}),
            resumption=self.resumption,
        )

    async def connect(self, server: End) -> ClientOpponent:
        """A connection on which nothing was said yet."""
        opponent = ClientOpponent(self.run, self.configuration)
        opponent.reader, opponent.writer = await asyncio.open_connection("127.0.0.1", server.port)
        return opponent

    async def visit(self, server: End) -> Handshaken:
        """An honest session, whatever the ticket is, with a call that must succeed."""
        assert server.relay is not None
        before = await server.observed()
        opponent = await self.connect(server)
        await opponent.complete()
        await opponent.honest_call()
        self.run.expect(await server.observed() == before + 1, "the application did not see the call")
        opponent.writer.close()
        return Handshaken(server.relay.links[-1])

    def take(self) -> alts.HeldTicket:
        """The ticket that would be presented next.

        Raises:
            CaseFailed: the server made none.
        """
        held = self.resumption.cache.take({SERVER}, int(time.time()))
        self.run.expect(held is not None, "the server made no ticket")
        assert held is not None
        return held


#: What is changed in what the ticket says, before it is sealed with the server's own key (``sealed_again``: nothing).
CONTENTS: dict[str, dict[str, Any]] = {
    "sealed_again": {},
    "expired": {"created": -DAY - 1, "full_handshake": -DAY - 1},
    "made_tomorrow": {"created": DAY, "full_handshake": 0},
    "chain_too_old": {"created": 0, "full_handshake": -2 * DAY - 1},
    "wrong_role": {"created": 0},
    "wrong_maker": {"created": 0},
    "wrong_cipher": {"created": 0},
}
#: What is changed outside.
OUTSIDE = ("garbage", "one_bit", "short", "unknown_epoch", "unknown_id", "wrong_identity", "revoked_since")


def seal(fleet: Fleet, held: alts.HeldTicket, flaw: str) -> alts.HeldTicket:
    """The ticket as its maker would seal it, but for the flaw."""
    keys = fleet.realm.resumption_keys(SERVER)
    assert keys is not None  # the fleet was made with them
    now = int(time.time())
    times = {name: now + offset for name, offset in CONTENTS[flaw].items()}
    holder = held.session
    session = dataclasses.replace(holder, peer=holder.own, own=holder.peer, **times)
    role = alts.Role.SERVER
    if flaw == "wrong_role":
        role = alts.Role.CLIENT
    elif flaw == "wrong_maker":
        session = dataclasses.replace(session, own=dataclasses.replace(session.own, identity="conformance/other"))
    elif flaw == "wrong_cipher":
        session = dataclasses.replace(session, handshake_cipher=alts.X25519_PFS_SHA256)
    epoch, ticket = seal_ticket(keys, role, session, os.urandom)
    return held._replace(key_epoch=epoch, ticket=ticket)


async def spoil(run: CaseRun, fleet: Fleet, holder: Holder, held: alts.HeldTicket, flaw: str) -> alts.HeldTicket:
    """The ticket, or the world around it, with the flaw."""
    if flaw == "garbage":
        return held._replace(ticket=run.rng.randbytes(len(held.ticket)))
    if flaw == "one_bit":
        bits = bytearray(held.ticket)
        bits[run.rng.randrange(len(bits))] ^= 1 << run.rng.randrange(8)
        return held._replace(ticket=bytes(bits))
    if flaw == "short":
        return held._replace(ticket=b"x")
    if flaw == "unknown_epoch":
        return held._replace(key_epoch=held.key_epoch + 1)
    if flaw == "unknown_id":
        return held._replace(resumption_id=run.rng.randbytes(16))
    if flaw == "wrong_identity":
        other = fleet.realm.credential("other")
        holder.configuration = dataclasses.replace(holder.configuration, credential=other)
        return held._replace(session=dataclasses.replace(held.session, own=other.peer))  # else it would be kept back
    assert flaw == "revoked_since"
    realm = fleet.realm
    fresh = realm.issue("client-new", CLIENT, alts.Category.WORKLOAD, clock=time.time, random=os.urandom)
    realm.revoke(realm.credential("client").parsed.body.revocation_id)
    holder.configuration = dataclasses.replace(holder.configuration, credential=fresh)
    await fleet.reload()
    return held


@case(
    **ONE,
    requirements=("RES-8", "RES-4", "RES-2", "REVOKE-6", "CRED-3"),
    severity=Severity.CRITICAL,
    why="Whoever takes a ticket that is not good lets in whoever has it; whoever fails over one locks clients out.",
    parameters={"flaw": (*CONTENTS, *OUTSIDE)},
)
async def unusable_ticket_means_a_full_handshake(run: CaseRun, flaw: str) -> None:
    """A client presents a ticket that is expired, under an unknown key, in the wrong role, of or for another identity,
    revoked since, or garbage: the handshake is a full one, in the same connection, and the call goes through. (The same
    ticket sealed once more without a flaw resumes, which shows that the others fail for their flaw.)
    """
    fleet = await Fleet.make(run, keys=[SERVER])
    server, holder = await fleet.server(), Holder(run, fleet)
    expect_mode(run, await holder.visit(server), FULL, "the first session")
    expect_mode(run, await holder.visit(server), CLIENT_TICKET, "with the ticket as it was made")
    held = holder.take()
    spoilt = seal(fleet, held, flaw) if flaw in CONTENTS else await spoil(run, fleet, holder, held, flaw)
    holder.resumption.cache.put(spoilt)
    met = await holder.visit(server)
    run.expect(met.client_init.ticket.ticket == spoilt.ticket, "the opponent did not present the ticket")
    expect_mode(run, met, CLIENT_TICKET if flaw == "sealed_again" else FULL, f"with a ticket that is {flaw}")


@case(
    **ONE,
    requirements=("RES-7", "HS-9", "RES-5"),
    severity=Severity.CRITICAL,
    why="A recorded session played again must neither spend a secret twice nor reach the application.",
    parameters={"where": ("same", "replica")},
)
async def replayed_resumption_comes_to_nothing(run: CaseRun, where: str) -> None:
    """All that a client sent in a resumed session is sent once more. The same process does not resume it again; a
    replica without shared memory may answer, but the session does not complete and the application sees no call.
    """
    fleet = await Fleet.make(run, keys=[SERVER])
    server, replica, holder = await fleet.server(), await fleet.server(service=2), Holder(run, fleet)
    expect_mode(run, await holder.visit(server), FULL, "the first session")
    met = await holder.visit(server)
    expect_mode(run, met, CLIENT_TICKET, "the second session")
    recorded = [frame.raw for frame in met.link.recording.frames(CLIENT_TO_SERVER)]
    target = server if where == "same" else replica
    assert target.relay is not None
    before = await target.observed()
    opponent = await holder.connect(target)
    await opponent.send(recorded[0])
    await opponent.expect_frame(17)
    await opponent.expect_frame(18)
    again = Handshaken(target.relay.links[-1])
    if where == "same":
        expect_mode(run, again, FULL, "the replayed session")
    else:
        run.note(f"the replica answered with mode {again.mode}")
    record = again.link.recording
    since = len(record.events)
    await opponent.send(b"".join(recorded[1:]))
    await record.wait_for(lambda seen: seen.ended(SERVER_TO_CLIENT) is not None, 8)
    run.judge(reaction_in(record, SERVER_TO_CLIENT, since=since, alert_type=ALERT), ENDED, "server after a replay")
    run.expect(await target.observed() == before, "the application saw a replayed call")
