"""The handshake with somebody in the middle: segmentation, and every kind of tampering with its four messages."""

from __future__ import annotations

import asyncio
from typing import Any

from alts_conformance import ENDED, CaseFailed, CaseRun, Reaction, Session, Severity, case
from alts_conformance import _manipulate as m
from alts_conformance._context import ALERT
from alts_conformance._frames import DATA, make_frame
from alts_conformance._recording import reaction_in
from alts_conformance._relay import Script

C2S, S2C = m.CLIENT_TO_SERVER, m.SERVER_TO_CLIENT
TYPES = {"client_init": 16, "server_init": 17, "server_finished": 18, "client_finished": 19}
TO_SERVER, TO_CLIENT = ("client_init", "client_finished"), ("server_init", "server_finished")
ALL = (*TO_SERVER, *TO_CLIENT)

PAIR: dict[str, Any] = {"subjects": ("client", "server"), "needs": {"client": ("alts",), "server": ("alts",)}}
SERVER: dict[str, Any] = {"subjects": ("server",), "needs": {"server": ("alts",)}, "helpers": {"client": "reference"}}
CLIENT: dict[str, Any] = {"subjects": ("client",), "needs": {"client": ("alts",)}, "helpers": {"server": "reference"}}


def direction_of(message: str) -> m.Direction:
    """In which direction a handshake message travels."""
    return C2S if message in TO_SERVER else S2C


def receiver_of(message: str) -> str:
    """Who gets a handshake message."""
    return "server" if message in TO_SERVER else "client"


async def call_through(
    run: CaseRun, message: str, operation: m.Operation, *, shield: bool = True, timeout: float = 5.0
) -> tuple[Session, Reaction]:
    """Make a call while every occurrence of a handshake message is manipulated; it must fail, nothing be delivered.

    Returns the session and the reaction of the message's receiver (of its own accord: ends are not carried to it).
    """
    direction = direction_of(message)
    rule = m.Rule(direction, m.of_type(TYPES[message]), operation, every=True, name=f"{message} manipulated")
    session = await run.session(Script([rule], shield=frozenset({direction} if shield else ())))
    call = asyncio.create_task(session.rpc("Unary", request_bytes=100, timeout=timeout))
    recording = (await session.link()).recording
    if not await recording.wait_for(lambda record: any(event.kind == "rule" for event in record.events), 8):
        call.cancel()
        raise CaseFailed(f"{message} was not sent within 8 s")
    since = next(number for number, event in enumerate(recording.events) if event.kind == "rule")
    back = S2C if direction == C2S else C2S
    await recording.wait_for(lambda record: record.ended(back) is not None, timeout)
    reaction = reaction_in(recording, back, since=since, alert_type=ALERT)
    outcome = await call
    run.expect(outcome.status != 0, "the call succeeded")
    run.expect(not await session.observed(), "the server's application was called")
    return session, reaction


async def must_refuse(run: CaseRun, message: str, operation: m.Operation, what: str) -> None:
    """The receiver of the manipulated message must end the connection."""
    _, reaction = await call_through(run, message, operation)
    run.judge(reaction, ENDED, f"{receiver_of(message)} after {message} {what}")


# -- what must work ------------------------------------------------------------------------------------------


@case(
    **PAIR,
    requirements=("HS-2", "REC-2"),
    severity=Severity.HIGH,
    why="TCP cuts where it likes; an end that expects whole messages fails in the field only.",
    parameters={"size": (1, 3, 100)},
)
async def handshake_survives_small_segments(run: CaseRun, size: int) -> None:
    """A handshake whose bytes arrive one by one (or in threes, or hundreds) in both directions succeeds."""
    session = await run.session(Script(segment={C2S: size, S2C: size}))
    await session.call("Unary", request_bytes=50, response_bytes=50)


@case(
    **PAIR,
    requirements=("HS-7", "HS-2"),
    severity=Severity.HIGH,
    why="The usual server sends both messages at once; another may not, and TCP may cut between them.",
)
async def server_messages_may_come_apart(run: CaseRun) -> None:
    """ServerInit and ServerFinished arrive in separate segments, the second one later; the handshake succeeds."""
    gate = asyncio.Event()
    session = await run.session(Script([m.Rule(S2C, m.of_type(18), m.hold(gate))]))
    call = asyncio.create_task(session.call("Unary", request_bytes=50))
    recording = (await session.link()).recording
    await recording.wait_for(lambda record: record.counts.get((S2C, 18), 0) > 0, 8)
    await asyncio.sleep(0.2)
    run.expect(recording.counts.get((C2S, 19), 0) == 0, "the client finished before it had ServerFinished")
    gate.set()
    await call


@case(
    **PAIR,
    requirements=("HS-8", "HS-9"),
    severity=Severity.HIGH,
    why="The client may send payload at once; both often arrive in one segment.",
)
async def first_record_may_come_with_client_finished(run: CaseRun) -> None:
    """ClientFinished and the client's first record arrive in one segment; no byte of either is lost."""
    session = await run.session(Script([m.Rule(C2S, m.of_type(19), m.coalesce_with_next)]))
    await session.call("Unary", request_bytes=5000, response_bytes=5000)


@case(
    **PAIR,
    requirements=("HS-9", "HS-8"),
    severity=Severity.CRITICAL,
    why="Until ClientFinished is verified the server does not know whom it talks to.",
    profiles=("smoke",),
)
async def no_server_payload_before_client_finished(run: CaseRun) -> None:
    """While the relay holds ClientFinished back, the server sends no record; afterwards the call succeeds."""
    gate = asyncio.Event()
    session = await run.session(Script([m.Rule(C2S, m.of_type(19), m.hold(gate))]))
    call = asyncio.create_task(session.call("Unary", request_bytes=50, response_bytes=50))
    recording = (await session.link()).recording
    try:
        held = await recording.wait_for(lambda record: record.counts.get((C2S, 19), 0) > 0, 8)
        run.expect(held, "the client did not send ClientFinished within 8 s")
        early = await recording.wait_for(lambda record: record.data_frames(S2C) > 0, 1.0)
        run.expect(not early, "the server sent a record before it had ClientFinished")
    finally:
        gate.set()
    await call
    run.expect(recording.data_frames(S2C) > 0, "the server sent no record at all")


# -- what must be refused ------------------------------------------------------------------------------------


@case(
    **SERVER,
    requirements=("HS-2", "HS-9"),
    severity=Severity.HIGH,
    why="A message that comes twice must not be taken for the next one, nor reset what was agreed.",
    parameters={"message": TO_SERVER},
)
async def server_refuses_a_duplicated_message(run: CaseRun, message: str) -> None:
    """A server that gets a handshake message twice ends the connection and serves no call on it."""
    direction = direction_of(message)
    rule = m.Rule(direction, m.of_type(TYPES[message]), m.duplicate(), every=True)
    session = await run.session(Script([rule], shield=frozenset({direction})))
    outcome = await session.rpc("Unary", request_bytes=100, timeout=5)
    run.expect(outcome.status != 0, "the call succeeded")
    reaction = await session.reaction("server", 0)
    run.judge(reaction, ENDED, f"server after {message} twice")
    run.expect(not await session.observed(), "the server's application was called")


@case(
    **CLIENT,
    requirements=("HS-2", "HS-8"),
    severity=Severity.HIGH,
    why="A message that comes twice must not be taken for the next one, nor reset what was agreed.",
    parameters={"message": TO_CLIENT},
)
async def client_refuses_a_duplicated_message(run: CaseRun, message: str) -> None:
    """A client that gets a handshake message twice ends the connection."""
    rule = m.Rule(S2C, m.of_type(TYPES[message]), m.duplicate(), every=True)
    session = await run.session(Script([rule], shield=frozenset({S2C})))
    outcome = await session.rpc("Unary", request_bytes=100, timeout=5)
    run.expect(outcome.status != 0, "the call succeeded")
    run.judge(await session.reaction("client", 0), ENDED, f"client after {message} twice")


@case(
    **SERVER,
    requirements=("HS-9",),
    severity=Severity.CRITICAL,
    why="A server that serves without ClientFinished has authenticated nobody.",
)
async def server_refuses_records_without_client_finished(run: CaseRun) -> None:
    """When ClientFinished is dropped and the client's records follow, the server ends the connection."""
    await must_refuse(run, "client_finished", m.drop, "was dropped")


@case(
    **CLIENT,
    requirements=("HS-8", "HS-7"),
    severity=Severity.CRITICAL,
    why="A client that goes on without ServerFinished talks to whoever can copy a certificate.",
    parameters={"message": TO_CLIENT},
)
async def client_does_not_go_on_without_a_message(run: CaseRun, message: str) -> None:
    """When a message of the server is dropped, the client sends neither ClientFinished nor payload."""
    session, _ = await call_through(run, message, m.drop, shield=False, timeout=2)
    for link in session.relay.links:
        kinds = {frame.type for frame in link.recording.frames(C2S)}
        run.expect(not kinds & {19, DATA}, f"the client sent frames of types {sorted(kinds)}")


@case(
    **CLIENT,
    requirements=("HS-2", "HS-8"),
    severity=Severity.HIGH,
    why="The order of messages is part of the protocol.",
)
async def client_refuses_server_finished_before_server_init(run: CaseRun) -> None:
    """ServerFinished ahead of ServerInit is refused."""
    await must_refuse(run, "server_init", m.swap_with_next, "came after ServerFinished")


@case(
    **SERVER,
    requirements=("HS-9", "REC-8"),
    severity=Severity.CRITICAL,
    why="Payload ahead of ClientFinished would be payload of nobody.",
)
async def server_refuses_a_record_before_client_finished(run: CaseRun) -> None:
    """The client's first record ahead of its ClientFinished is refused, although both are genuine."""
    await must_refuse(run, "client_finished", m.swap_with_next, "came after the first record")


@case(
    **SERVER,
    requirements=("HS-2", "REC-2"),
    severity=Severity.HIGH,
    why="A peer that vanishes in the middle of a message must not leave a connection half alive.",
    parameters={"message": TO_SERVER, "how": ("fin", "rst")},
)
async def server_gives_up_on_a_truncated_message(run: CaseRun, message: str, how: str) -> None:
    """A message to the server is cut in the middle and the connection ends there; so does the server's side."""
    end: m.End = "fin" if how == "fin" else "rst"
    await must_refuse(run, message, m.truncate_and_close(run.rng.randrange(1, 60), end), f"was cut off ({how})")


@case(
    **CLIENT,
    requirements=("HS-2", "REC-2"),
    severity=Severity.HIGH,
    why="A peer that vanishes in the middle of a message must not leave a connection half alive.",
    parameters={"message": TO_CLIENT, "how": ("fin", "rst")},
)
async def client_gives_up_on_a_truncated_message(run: CaseRun, message: str, how: str) -> None:
    """A message to the client is cut in the middle and the connection ends there; the call fails."""
    end: m.End = "fin" if how == "fin" else "rst"
    await must_refuse(run, message, m.truncate_and_close(run.rng.randrange(1, 60), end), f"was cut off ({how})")


def retyped(frame_type: int) -> m.Operation:
    """Give a frame another type."""
    return m.rewrite(lambda raw: raw[:4] + frame_type.to_bytes(4, "little") + raw[8:])


@case(
    **SERVER,
    requirements=("HS-2",),
    severity=Severity.HIGH,
    why="A type that has no meaning here has no meaning at all.",
    parameters={"message": TO_SERVER, "type": (0, 6, 20, 0xFFFFFFFF)},
)
async def server_refuses_an_unknown_frame_type(run: CaseRun, message: str, type: int) -> None:
    """A handshake message under another frame type is refused by the server."""
    await must_refuse(run, message, retyped(type), f"came as type {type}")


@case(
    **CLIENT,
    requirements=("HS-2",),
    severity=Severity.HIGH,
    why="A type that has no meaning here has no meaning at all.",
    parameters={"message": TO_CLIENT, "type": (0, 6, 20, 0xFFFFFFFF)},
)
async def client_refuses_an_unknown_frame_type(run: CaseRun, message: str, type: int) -> None:
    """A handshake message under another frame type is refused by the client."""
    await must_refuse(run, message, retyped(type), f"came as type {type}")


def relengthed(length: int) -> m.Operation:
    """Claim another length, and send no more than there was."""
    return m.rewrite(lambda raw: length.to_bytes(4, "little") + raw[4:])


@case(
    **SERVER,
    requirements=("REC-3", "HS-2"),
    severity=Severity.HIGH,
    why="Before a peer is authenticated it must not make an endpoint hold much, nor wait for it.",
    parameters={"message": TO_SERVER, "length": (3, 16385, 1 << 20, 0xFFFFFFFF)},
)
async def server_refuses_an_impossible_length(run: CaseRun, message: str, length: int) -> None:
    """A handshake frame that claims to be too short or longer than 16 KiB is refused by its header alone."""
    await must_refuse(run, message, relengthed(length), f"claimed {length} bytes")


@case(
    **CLIENT,
    requirements=("REC-3", "HS-2"),
    severity=Severity.HIGH,
    why="Before a peer is authenticated it must not make an endpoint hold much, nor wait for it.",
    parameters={"message": TO_CLIENT, "length": (3, 16385, 1 << 20, 0xFFFFFFFF)},
)
async def client_refuses_an_impossible_length(run: CaseRun, message: str, length: int) -> None:
    """A handshake frame that claims to be too short or longer than 16 KiB is refused by its header alone."""
    await must_refuse(run, message, relengthed(length), f"claimed {length} bytes")


@case(
    **PAIR,
    requirements=("HS-5", "HS-7", "HS-9"),
    severity=Severity.CRITICAL,
    why="All of both Inits is under Finished: no bit of the handshake may change unnoticed.",
    parameters={"message": ALL, "part": ("start", "middle", "end")},
)
async def no_flipped_bit_survives_the_handshake(run: CaseRun, message: str, part: str) -> None:
    """One bit of one handshake message is flipped on its way; no call gets through, no application is reached."""

    def flip(raw: bytes) -> bytes:
        size = 8 * (len(raw) - 8)
        third = size // 3
        offset = {"start": 0, "middle": third, "end": 2 * third}[part]
        return m.flip_bit_of(raw, offset + run.rng.randrange(third), "payload")

    session, _ = await call_through(run, message, m.rewrite(flip), shield=False)
    for link in session.relay.links:
        recording = link.recording
        run.expect(recording.data_frames(S2C) == 0, "the server sent payload")
        if message in TO_CLIENT:
            run.expect(recording.counts.get((C2S, 19), 0) == 0, "the client sent ClientFinished")


@case(
    **SERVER,
    requirements=("HS-2",),
    severity=Severity.MEDIUM,
    why="An alert ends a handshake; an end that waits on is one more half-open connection.",
    parameters={"message": TO_SERVER},
)
async def server_ends_on_an_alert(run: CaseRun, message: str) -> None:
    """An alert in place of a handshake message makes the server end the connection."""
    await must_refuse(run, message, m.rewrite(lambda raw: make_frame(ALERT, b"\x08\x14")), "was an alert")


@case(
    **CLIENT,
    requirements=("HS-2",),
    severity=Severity.MEDIUM,
    why="An alert ends a handshake; an end that waits on is one more half-open connection.",
    parameters={"message": TO_CLIENT},
)
async def client_ends_on_an_alert(run: CaseRun, message: str) -> None:
    """An alert in place of a handshake message makes the client end the connection."""
    await must_refuse(run, message, m.rewrite(lambda raw: make_frame(ALERT, b"\x08\x14")), "was an alert")
