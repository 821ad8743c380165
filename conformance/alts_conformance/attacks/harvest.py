"""Identity harvesting: certificates travel in clear, so an observer learns who talks to whom (TRADE-3, HS-11)."""

from __future__ import annotations

from alts_schema.handshake_pb2 import ClientInit, ServerInit

from ._attacker import Attacker
from ._record import Attack, Outcome, Query, Trial
from ._stage import CLIENT, SERVER, Stage, honest_call
from ._story import CLIENT_INIT, SERVER_INIT, identity_of

HERE, THERE = "gateways/here", "gateways/there"


async def listen(attacker: Attacker) -> tuple[str, ...]:
    """The identities in every certificate that went by."""
    inits = [ClientInit.FromString(payload).certificate for payload in attacker.payloads(CLIENT_INIT)]
    answers = [ServerInit.FromString(payload).certificate for payload in attacker.payloads(SERVER_INIT)]
    names = tuple(sorted({identity_of(certificate) for certificate in (*inits, *answers)} - {""}))
    attacker.does(f"listens, and reads in the certificates: {', '.join(names)}")
    return names


async def _judge(stage: Stage, server_names: list[str]) -> Outcome:
    names = await stage.turn_loose(listen)
    stage.finds(f"{SERVER} was called by {', '.join(server_names)}; the observer knows of {', '.join(names)}")
    return stage.verdict(the_observer_knows_the_client=CLIENT in names, the_observer_knows_the_server=SERVER in names)


async def _open(stage: Stage) -> Outcome:
    server = await stage.endpoint("server", stage.realm.workload(SERVER))
    client = await stage.endpoint("client", stage.realm.workload(CLIENT))
    tap = await stage.attacker.tap(CLIENT, SERVER, await server.serve())
    await honest_call(stage, client, server, tap.port, b"good morning")
    return await _judge(stage, [belief.peer for belief in await server.beliefs()])


async def _tunnel(stage: Stage) -> Outcome:
    server = await stage.endpoint("server", stage.realm.workload(SERVER))
    client = await stage.endpoint("client", stage.realm.workload(CLIENT))
    here = await stage.endpoint("here", stage.realm.machine(HERE))
    there = await stage.endpoint("there", stage.realm.machine(THERE))
    outer = await there.serve(onward=await server.serve())
    tap = await stage.attacker.tap(HERE, THERE, outer)
    entrance = await here.host.ask("enter", name="here", port=tap.port)
    await honest_call(stage, client, server, int(entrance["port"]), b"good morning")
    return await _judge(stage, [belief.peer for belief in await server.beliefs()])


ATTACKS = (
    Attack(
        "identity-harvesting",
        "An observer learns who talks to whom",
        "The four handshake messages are in clear, certificates and all. Whoever listens learns both identities of "
        "every full handshake without touching a byte.",
        "by design: privacy of identities is no goal (TRADE-3); fixed, where it matters, outside the protocol, by a "
        "tunnel between gateways, which shows the gateways' identities alone",
        "carry the connection through another one between two gateways",
        ("TRADE-3", "HS-11"),
        (("tradeoffs-privacy", "14.2"), ("messages-four", "5.1")),
        (
            Trial(
                "open",
                "the handshake goes over the wire",
                Outcome.WORKS,
                _open,
                Query("static_observer.pv", "static/observer/observer-client", "false"),
            ),
            Trial(
                "tunnel",
                "the handshake goes through an ALTS connection between two gateways",
                Outcome.BLOCKED,
                _tunnel,
                None,
                "no script models a tunnel: to the observer the inner handshake is payload, whose secrecy is "
                "static/secrecy-payload-client-to-server",
            ),
        ),
    ),
)
