"""A recorded connection is played again: without fresh nonces the server would take it for a new one (SPEC 5.7)."""

from __future__ import annotations

from ._attacker import Attacker
from ._record import Attack, Outcome, Query, Trial
from ._stage import CLIENT, SERVER, Stage, honest_call
from ._story import DATA

ORDER = b"transfer 1000 to bob"
TIMES = 2


async def play_again(attacker: Attacker, port: int, times: int) -> int:
    """Send what the client sent, frame by frame; returns how often the server went as far as to answer the order."""
    sent = [seen.frame for seen in attacker.seen if seen.source == CLIENT]
    answered = 0
    for _ in range(times):
        attacker.does(f"connects and sends the {len(sent)} recorded frames of {CLIENT} again")
        line = await attacker.dial(port, SERVER, "recorded")
        await line.send_raw(sent[0].raw)
        for _ in range(2):  # ServerInit, ServerFinished
            if await line.frame() is None:
                break
        for frame in sent[1:]:
            await line.send_raw(frame.raw)
        reaction = await line.frame()
        answered += reaction is not None and reaction.type == DATA
        await line.close()
    return answered


async def _play(stage: Stage, *, stuck: bool) -> Outcome:
    server = await stage.endpoint("server", stage.realm.workload(SERVER), stuck=stuck)
    client = await stage.endpoint("client", stage.realm.workload(CLIENT))
    port = await server.serve()
    tap = await stage.attacker.tap(CLIENT, SERVER, port)
    await honest_call(stage, client, server, tap.port, ORDER)
    answered = await stage.turn_loose(play_again, port, TIMES)
    sessions = await server.new_beliefs()
    received = sum(belief.payloads.count(ORDER) for belief in sessions)
    stage.finds(f"{CLIENT} called once; {SERVER} authenticated {CLIENT} another {len(sessions)} time(s)")
    stage.finds(f"{CLIENT} sent {ORDER!r} once; {SERVER} received it another {received} time(s)")
    stage.finds(f"{SERVER} answered a recorded order {answered} time(s)")
    return stage.verdict(
        the_server_authenticated_a_recording=any(belief.peer == CLIENT for belief in sessions),
        it_received_the_order_again=received > 0,
        it_answered_the_order_again=answered > 0,
        each_time=min(len(sessions), received, answered) >= TIMES,
    )


async def _without(stage: Stage) -> Outcome:
    return await _play(stage, stuck=True)


async def _ours(stage: Stage) -> Outcome:
    return await _play(stage, stuck=False)


ATTACKS = (
    Attack(
        "replay",
        "A recorded connection is played to the server again",
        "An attacker who knows no key records what a client sends, ClientInit first, and sends it once more. The "
        "static secret is the same as before; without something new from the server, so are all keys, and the "
        "recorded ClientFinished and records are right again.",
        "blocked: the server's nonce is fresh and in the transcript",
        "fresh nonces of both ends in the transcript",
        ("HS-3", "HS-6", "HS-5"),
        (("messages-nonces", "5.7"), ("keys-transcript", "7.1")),
        (
            Trial(
                "stuck-nonce",
                "the server's source of randomness is stuck, so that its nonce is always the same",
                Outcome.WORKS,
                _without,
                Query("twins/no_nonces.pv", "twins/no-nonces/agreement-server", "false"),
            ),
            Trial(
                "ours",
                "the server's nonce is fresh",
                Outcome.BLOCKED,
                _ours,
                Query("static_agreement.pv", "static/agreement-server", "true"),
            ),
        ),
    ),
)
