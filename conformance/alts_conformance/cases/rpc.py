"""Real RPCs end to end, between every pair of peers: sizes, streaming, concurrency, identities, the rekey boundary."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from alts_conformance import CaseRun, Session, Severity, _payload, case
from alts_conformance._frames import DATA
from alts_conformance._manipulate import CLIENT_TO_SERVER, SERVER_TO_CLIENT
from alts_conformance._realm import SPECS

PAIR: dict[str, Any] = {"subjects": ("client", "server"), "needs": {"client": ("alts",), "server": ("alts",)}}
MIB = 1 << 20


async def handshake_is_on_the_wire(run: CaseRun, session: Session) -> None:
    """See on the wire that the four messages were sent, and nothing but data frames after them."""
    link = await session.link()
    kinds = {
        direction: [frame.type for frame in link.recording.frames(direction)]
        for direction in (CLIENT_TO_SERVER, SERVER_TO_CLIENT)
    }
    run.expect(kinds[CLIENT_TO_SERVER][:2] == [16, 19], f"the client's first frames are {kinds[CLIENT_TO_SERVER][:3]}")
    run.expect(kinds[SERVER_TO_CLIENT][:2] == [17, 18], f"the server's first frames are {kinds[SERVER_TO_CLIENT][:3]}")
    for direction, handshake in ((CLIENT_TO_SERVER, (16, 19)), (SERVER_TO_CLIENT, (17, 18))):
        others = link.recording.types(direction) - {DATA, *handshake}
        run.expect(not others, f"frames of types {sorted(others)} after the handshake")
        again = [kind for kind in handshake if link.recording.counts[direction, kind] != 1]
        run.expect(not again, f"frames of types {again} came more than once")


def first_in_clear(text: bytes, wire: bytes) -> int | None:
    """The first offset in ``text`` from which 16 bytes in a row stand somewhere in ``wire``."""
    windows = {wire[at : at + 16] for at in range(len(wire) - 15)}
    return next((at for at in range(len(text) - 15) if text[at : at + 16] in windows), None)


@case(
    **PAIR,
    requirements=("TRUST-6", "REC-2", "HS-1"),
    severity=Severity.CRITICAL,
    why="If a plain call does not go through, nothing else of the peer can be used.",
    parameters={"size": (0, 1, 22, 4096, 16 * 1024, 100_000, MIB, 8 * MIB)},
    profiles=("smoke",),
    limit=40,
)
async def unary_call_carries_every_size(run: CaseRun, size: int) -> None:
    """A unary call over a fresh ALTS connection carries requests and responses of this size, byte for byte."""
    session = await run.session()
    await session.call("Unary", request_bytes=size, response_bytes=size, timeout=20)
    await handshake_is_on_the_wire(run, session)


@case(
    **PAIR,
    requirements=("REC-2", "TRUST-9"),
    severity=Severity.HIGH,
    why="Streams keep many records in flight in one direction.",
    parameters={"size": (0, 1000, 70_000)},
)
async def server_stream_arrives_whole(run: CaseRun, size: int) -> None:
    """A server's stream of 200 responses arrives whole and in order."""
    session = await run.session()
    await session.call("ServerStream", request_bytes=64, response_bytes=size, responses=200, timeout=20)


@case(
    **PAIR,
    requirements=("REC-2", "TRUST-9"),
    severity=Severity.HIGH,
    why="Streams keep many records in flight in one direction.",
    parameters={"size": (22, 1000, 70_000)},
)
async def client_stream_arrives_whole(run: CaseRun, size: int) -> None:
    """A client's stream of 200 requests arrives whole and in order; the server answers with count, size and digest."""
    session = await run.session()
    await session.call("ClientStream", request_bytes=size, messages=200, timeout=20)


@case(
    **PAIR,
    requirements=("REC-2", "REC-8"),
    severity=Severity.HIGH,
    why="Both directions count their records apart; traffic both ways at once mixes them.",
    parameters={"pingpong": (True, False)},
)
async def bidirectional_stream_works_both_ways(run: CaseRun, pingpong: bool) -> None:
    """A bidirectional stream carries 300 messages each way, in lockstep and all at once."""
    session = await run.session()
    await session.call("Bidi", request_bytes=500, response_bytes=700, messages=300, pingpong=pingpong, timeout=20)


@case(
    **PAIR,
    requirements=("TRUST-9", "REC-8"),
    severity=Severity.HIGH,
    why="Calls of one channel share a connection: its records interleave.",
)
async def concurrent_calls_share_one_connection(run: CaseRun) -> None:
    """Thirty calls at once on one channel all succeed, over one connection with one handshake."""
    session = await run.session()
    calls = [
        session.call("Unary", request_bytes=run.rng.randrange(22, 60_000), response_bytes=run.rng.randrange(60_000))
        for _ in range(30)
    ]
    await session.call("Unary", request_bytes=10)
    await asyncio.gather(*calls)
    run.expect(len(session.relay.links) == 1, f"{len(session.relay.links)} connections were made")


@case(
    **PAIR,
    requirements=("HS-5", "TRUST-9"),
    severity=Severity.CRITICAL,
    why="Two connections with the same keys would repeat nonces.",
)
async def every_channel_gets_a_fresh_handshake(run: CaseRun) -> None:
    """Two channels to one server make two handshakes with different nonces, and the same call encrypts differently."""
    session = await run.session()
    await session.call("Unary", request_bytes=3000, response_bytes=3000)
    second = await session.another_channel()
    await session.call("Unary", request_bytes=3000, response_bytes=3000, channel=second)
    run.expect(len(session.relay.links) == 2, f"{len(session.relay.links)} connections were made")
    first_link, second_link = session.relay.links
    for direction in (CLIENT_TO_SERVER, SERVER_TO_CLIENT):
        frames = [link.recording.frames(direction) for link in (first_link, second_link)]
        run.expect(frames[0][0].payload != frames[1][0].payload, f"the first message {direction} was sent twice")
        data = [{frame.payload for frame in some if frame.type == DATA} for some in frames]
        run.expect(not data[0] & data[1], f"an encrypted record {direction} was sent twice")


@case(
    **PAIR,
    requirements=("REC-6", "REC-5"),
    severity=Severity.CRITICAL,
    why="The point of the record protocol: nobody on the path reads the payload.",
)
async def payload_is_not_on_the_wire(run: CaseRun) -> None:
    """No 16 bytes in a row of a request or response appear on the wire, in either direction."""
    session = await run.session()
    await session.call("Unary", request_bytes=1000, response_bytes=1000)
    recording = (await session.link()).recording
    request = _payload.make_request(run.seed, 0, 1000, 1000, 1)
    texts = {"request": request, "response": _payload.responses_to(request)[0]}
    calls = await session.observed()
    told = [call["received_sha256"] for call in calls]
    run.expect(told == [_payload.digest([request])], "the server saw another request than the one looked for")
    for direction in (CLIENT_TO_SERVER, SERVER_TO_CLIENT):
        wire = recording.received(direction)
        run.expect(len(wire) > 1000, f"only {len(wire)} bytes were recorded {direction}")
        for what, text in texts.items():
            at = first_in_clear(text, wire)
            run.expect(at is None, f"16 bytes of the {what}, from byte {at} on, are on the wire {direction}")
    await handshake_is_on_the_wire(run, session)


@case(
    **PAIR,
    requirements=("TRUST-5", "TRUST-1"),
    severity=Severity.CRITICAL,
    why="Authorization by identity rests on what the application is told.",
    parameters={"identity": ("client", "other")},
    profiles=("smoke",),
)
async def application_sees_the_clients_identity(run: CaseRun, identity: str) -> None:
    """The server's application is told the authenticated identity of the client, and that ALTS protects the call."""
    session = await run.session(client_slot=identity)
    outcome = await session.call("WhoAmI")
    told = json.loads(outcome.received_first)
    wanted = SPECS[identity].identity
    run.expect(told["peer"] == wanted, f"the application was told {told['peer']!r}, the client is {wanted!r}")
    run.expect(told["security"] == "alts", f"the application was told that {told['security']!r} protects the call")
    calls = await session.observed()
    run.expect([call["auth"]["peer"] for call in calls] == [wanted], "the server's own record differs")


@case(
    **PAIR,
    requirements=("TRUST-2", "HS-8"),
    severity=Severity.HIGH,
    why="A client that names the right server must reach it, whatever else it would accept.",
    parameters={"server": ("server", "other")},
)
async def met_target_identity_is_accepted(run: CaseRun, server: str) -> None:
    """A client that accepts two identities reaches a server that has one of them."""
    session = await run.session(server_slot=server, targets=["conformance/nobody", SPECS[server].identity])
    await session.call("Unary", request_bytes=100)


@case(
    **PAIR,
    requirements=("TRUST-2", "TRUST-5", "HS-8"),
    severity=Severity.CRITICAL,
    why="Whoever answers with another identity, however authentic, is not the server that was asked for.",
)
async def unmet_target_identity_is_refused(run: CaseRun) -> None:
    """A client that expects another identity does not finish the handshake and sends no payload."""
    session = await run.session(targets=["conformance/somebody-else"])
    outcome = await session.rpc("Unary", request_bytes=100, timeout=4)
    run.expect(outcome.status != 0, "the call succeeded")
    recording = (await session.link()).recording
    kinds = [frame.type for frame in recording.frames(CLIENT_TO_SERVER)]
    run.expect(19 not in kinds, "the client sent ClientFinished")
    run.expect(DATA not in kinds, "the client sent payload")
    run.expect(not await session.observed(), "the server's application was called")


@case(
    **PAIR,
    requirements=("TRUST-9", "REC-2"),
    severity=Severity.MEDIUM,
    why="Flow control must pass through the record layer, or memory grows without bound or the stream stands still.",
    limit=60,
)
async def large_streams_in_both_directions_finish(run: CaseRun) -> None:
    """A bidirectional stream moves 24 MiB each way in 1 MiB messages at once."""
    session = await run.session()
    await session.call("Bidi", request_bytes=MIB, response_bytes=MIB, messages=24, timeout=40)


@case(
    **PAIR,
    requirements=("REC-4", "REC-8"),
    severity=Severity.CRITICAL,
    why="After 2^16 records the key changes; an end that errs there loses long-lived connections, or repeats nonces.",
    limit=150,
    exclusive=True,
)
async def rekey_boundary_is_crossed_by_traffic(run: CaseRun) -> None:
    """More than 2^16 records flow in each direction of one connection, and the calls before and after succeed."""
    session = await run.session()
    recording = (await _first_call(session)).recording
    rounds = 0
    while min(recording.data_frames(CLIENT_TO_SERVER), recording.data_frames(SERVER_TO_CLIENT)) < (1 << 16) + 200:
        rounds += 1
        run.expect(rounds < 60, "not enough records after 60 rounds")
        await asyncio.gather(
            *(session.call("Bidi", request_bytes=30, response_bytes=1, messages=600, timeout=60) for _ in range(6))
        )
    await session.call("Unary", request_bytes=100_000, response_bytes=100_000)
    run.note(f"{recording.data_frames(CLIENT_TO_SERVER)} and {recording.data_frames(SERVER_TO_CLIENT)} records")
    run.expect(len(session.relay.links) == 1, "the connection was replaced on the way")


async def _first_call(session: Session) -> Any:
    await session.call("Unary", request_bytes=10)
    return await session.link()
