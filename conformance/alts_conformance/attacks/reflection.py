"""Ticket reflection: a server's own ticket comes back in the client's place, and the server's replica believes in it.

Six checks prevent it, each of them alone (SPEC 12): the maker's role in a ticket's associated data, the comparison of
the claimed identity with the session's, a secret for each maker, the comparison of the resumption IDs, the
authenticator over the ticket, the identities in the key derivation.
"""

from __future__ import annotations

from functools import partial

from alts_schema.handshake_pb2 import ClientFinished, ServerFinished

from .._frames import make_frame
from ._attacker import Attacker, Rewrite, Seen
from ._judge import tell
from ._record import Attack, Outcome, Query, Trial
from ._stage import CLIENT, SERVER, Stage, honest_call, resumption_keys
from ._story import CLIENT_FINISHED, SERVER_FINISHED

SECRET = b"the key to the safe is under the mat"
CHECKS = {
    "ticket-role": "the maker's role in a ticket's associated data",
    "ticket-identity": "the comparison of the identity that a client claims with the session's",
    "ticket-secrets": "a secret of its own for each maker",
    "ticket-idr": "the comparison of a client-made ticket's resumption ID with that of ClientInit",
    "ticket-authenticator": "the authenticator over the ticket",
    "keys-without-identities": "the identities in the key derivation",
}
"""Patch that takes a check out -> the check."""


def reflecting(attacker: Attacker) -> Rewrite:
    """Put the ticket of ServerFinished in place of the one in ClientFinished, in the same connection."""

    def rewrite(seen: Seen) -> bytes:
        if seen.frame.type != CLIENT_FINISHED:
            return seen.frame.raw
        flight = attacker.payloads(SERVER_FINISHED, seen.connection)
        message = ClientFinished.FromString(seen.frame.payload)
        message.ticket.CopyFrom(ServerFinished.FromString(flight[0]).ticket)
        return make_frame(CLIENT_FINISHED, message.SerializeToString(deterministic=True))

    return rewrite


async def send_it_back(attacker: Attacker, port: int) -> int:
    """Get onto the path from the client to the server; returns the port that the client is led to."""
    attacker.does(f"sends the ticket that {SERVER} made back to it, as if {CLIENT} had made it")
    return (await attacker.tap(CLIENT, SERVER, port, reflecting(attacker))).port


async def lead_astray(attacker: Attacker, port: int) -> int:
    """Lead a replica of the server, which wants to call the client, to the server instead."""
    attacker.does(f"leads a replica of {SERVER} that calls {CLIENT} to {SERVER} instead")
    return (await attacker.tap(f"replica of {SERVER}", SERVER, port)).port


async def _play(stage: Stage, patches: tuple[str, ...]) -> Outcome:
    keys, _, _ = resumption_keys()
    other, _, _ = resumption_keys()
    credential = stage.realm.workload(SERVER)
    server = await stage.endpoint("server", credential, patches=patches, resumes=True, keys=keys)
    replica = await stage.endpoint("replica", credential, patches=patches, resumes=True, keys=keys)
    client = await stage.endpoint("client", stage.realm.workload(CLIENT), patches=patches, resumes=True, keys=other)
    backend, frontend = await server.serve(), await client.serve()
    # The replica has to hold no ticket afterwards: so the control in its direction is another endpoint's.
    control = await stage.endpoint("control", credential, patches=patches)
    await honest_call(stage, control, client, frontend, b"good morning")
    led = await stage.turn_loose(send_it_back, backend)
    first = await client.call(led, b"good morning", targets=[SERVER])
    stage.say(f"{SERVER} {'takes' if first['completed'] and first['answer'] else 'refuses'} the session with it")
    await server.mark()  # whether it takes that session is no matter yet, only whether it believes in the ticket later
    astray = await stage.turn_loose(lead_astray, backend)
    await replica.call(astray, SECRET, targets=[CLIENT])
    at_replica, at_server = await replica.beliefs(), await server.new_beliefs()
    for belief in at_replica:
        stage.finds(f"the replica of {SERVER} is in a session ({belief.mode}) with {belief.peer}, and told it a secret")
    if not at_replica:
        stage.finds(f"the replica of {SERVER} is in no session")
    tell(stage, server, at_server)
    heard = sum(SECRET in belief.payloads for belief in await client.beliefs())
    stage.finds(f"{CLIENT} heard the secret {heard} time(s)")
    return stage.verdict(
        the_replica_has_a_session=bool(at_replica),
        it_authenticated_the_client=any(belief.peer == CLIENT for belief in at_replica) and not heard,
        the_server_has_a_session=bool(at_server),
        the_server_received_the_secret=any(SECRET in belief.payloads for belief in at_server),
    )


async def _without(stage: Stage, kept: str) -> Outcome:
    return await _play(stage, tuple(check for check in CHECKS if check != kept))


async def _ours(stage: Stage) -> Outcome:
    return await _play(stage, ())


def _alone(check: str) -> Query:
    """What is proved of this check without the other five."""
    name = {"ticket-authenticator": "ticket-mac", "keys-without-identities": "key-identities"}.get(check, check)
    file = f"twins/reflected_ticket_only_{name.replace('-', '_')}.pv"
    return Query(file, f"twins/reflected-ticket-only-{name}/server", "true")


ATTACKS = (
    Attack(
        "ticket-reflection",
        "A server's own ticket comes back to it as the client's",
        "Both ends make tickets. Somebody on the path puts the server's ticket in the place of the client's. Later a "
        "replica of the server, with the same resumption key, calls the client, and is led to the server, which "
        "attaches the ticket. The replica can open it, of course, and reads in it: the other end is the client. So "
        "the server talks to itself, and both halves of it believe that they talk to the client.",
        "blocked: six checks stand against it, and each of them alone suffices",
        "any one of the six; all of them are there",
        ("RES-2", "RES-3", "RES-4"),
        (("resumption-ticket", "12.2"), ("resumption-secret", "12.3"), ("keys-ticket", "7.6")),
        (
            Trial(
                "none",
                "a weakened build without any of the six checks",
                Outcome.WORKS,
                partial(_without, kept=""),
                Query("twins/reflected_ticket.pv", "twins/reflected-ticket/server", "false"),
            ),
            *(
                Trial(
                    check.replace("keys-without-identities", "identities-in-keys"),
                    f"a weakened build with one check of the six: {text}",
                    Outcome.BLOCKED,
                    partial(_without, kept=check),
                    _alone(check),
                )
                for check, text in CHECKS.items()
            ),
            Trial(
                "ours",
                "the implementation as it is",
                Outcome.BLOCKED,
                _ours,
                Query("reflected_ticket.pv", "reflected-ticket/server", "true"),
            ),
        ),
    ),
)
