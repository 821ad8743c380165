"""Scripted opponents that know every key: genuine records in places where they must not, or may, come."""

from __future__ import annotations

from typing import Any

from alts_conformance import ENDED, CaseRun, Severity, case
from alts_conformance._duel import CLIENT_GOES_ON, against_client, against_server
from alts_conformance._frames import DATA, make_frame
from alts_conformance._opponent import ClientOpponent

SERVER: dict[str, Any] = {"subjects": ("server",), "needs": {"server": ("alts",)}}
CLIENT: dict[str, Any] = {"subjects": ("client",), "needs": {"client": ("alts",)}}


@case(
    **SERVER,
    requirements=("HS-9", "HS-8"),
    severity=Severity.CRITICAL,
    why="Payload counts only once its sender is authenticated.",
    parameters={"then_finish": (True, False)},
)
async def server_refuses_a_genuine_record_before_client_finished(run: CaseRun, then_finish: bool) -> None:
    """A record under the right key arrives before ClientFinished (which may follow); the server serves nothing."""
    opponent, duel = await against_server(run)
    await opponent.send(opponent.client_init())
    await opponent.receive_flight()
    since = duel.mark()
    await opponent.send(opponent.seal(opponent.request()) + (opponent.client_finished if then_finish else b""))
    await duel.must_end(since, "server after a record before ClientFinished")


@case(
    **SERVER,
    requirements=("HS-8", "HS-9", "REC-2"),
    severity=Severity.HIGH,
    why="The usual first flight: what comes behind ClientFinished in one segment belongs to the record layer.",
    parameters={"records": (1, 40)},
)
async def server_accepts_records_in_the_segment_of_client_finished(run: CaseRun, records: int) -> None:
    """ClientFinished and one or many records arrive in one segment; the call succeeds."""
    opponent, duel = await against_server(run)
    await opponent.send(opponent.client_init())
    await opponent.receive_flight()
    request = opponent.request()
    size = -(-len(request) // records)
    cut = [request[at : at + size] for at in range(0, len(request), size)]
    await opponent.send(opponent.client_finished + b"".join(map(opponent.seal, cut)))
    await opponent.response()
    await duel.nothing_delivered(calls=1)


@case(
    **SERVER,
    requirements=("REC-8", "REC-5"),
    severity=Severity.CRITICAL,
    why="After one bad record nothing more may be believed, however genuine it looks.",
)
async def server_delivers_nothing_after_a_bad_record(run: CaseRun) -> None:
    """A bad record is followed at once by a genuine call under the right counters; the server serves nothing."""
    opponent, duel = await against_server(run)
    await opponent.complete()
    since = duel.mark()
    bad = make_frame(DATA, run.rng.randbytes(40))
    await opponent.send(bad + opponent.seal(opponent.request()))
    await duel.must_end(since, "server after a bad record")


@case(
    **CLIENT,
    requirements=("REC-8", "REC-5"),
    severity=Severity.CRITICAL,
    why="After one bad record nothing more may be believed, however genuine it looks.",
)
async def client_delivers_nothing_after_a_bad_record(run: CaseRun) -> None:
    """A bad record is followed at once by a genuine response; the client does not deliver it."""
    opponent, duel = await against_client(run)
    await opponent.complete()
    since = duel.mark()
    await opponent.send(make_frame(DATA, run.rng.randbytes(40)))
    await opponent.answer_until_gone()
    await duel.must_end(since, "client after a bad record")


@case(
    **SERVER,
    requirements=("REC-2",),
    severity=Severity.MEDIUM,
    why="The application's bytes are a stream; how it is cut into records is the sender's business.",
    parameters={"size": (1, 9, 1000)},
)
async def server_takes_records_of_any_size(run: CaseRun, size: int) -> None:
    """A call arrives cut into records of this many bytes; it succeeds."""
    opponent, duel = await against_server(run)
    await opponent.complete()
    request = opponent.request(2000)
    await opponent.send(b"".join(opponent.seal(request[at : at + size]) for at in range(0, len(request), size)))
    await opponent.response()
    await duel.nothing_delivered(calls=1)


@case(
    **CLIENT,
    requirements=("REC-2",),
    severity=Severity.MEDIUM,
    why="The application's bytes are a stream; how it is cut into records is the sender's business.",
    parameters={"size": (1, 9, 1000)},
)
async def client_takes_records_of_any_size(run: CaseRun, size: int) -> None:
    """A response arrives cut into records of this many bytes; the call succeeds."""
    opponent, duel = await against_client(run)
    await opponent.complete()

    def seal(data: bytes) -> bytes:
        return b"".join(opponent.seal(data[at : at + size]) for at in range(0, len(data), size))

    await opponent.answer_one_call(seal)
    assert duel.call is not None
    run.check_call(await duel.call, "Unary", {"request_bytes": 100, "response_bytes": 100})


@case(
    **SERVER,
    requirements=("REC-2", "REC-5"),
    severity=Severity.LOW,
    why="A frame with nothing in it is legal and counts; an end that stumbles over it can be stopped by it.",
)
async def server_takes_an_empty_record(run: CaseRun) -> None:
    """Records with an empty plaintext arrive before and inside a call; the call succeeds."""
    opponent, duel = await against_server(run)
    await opponent.complete()
    request = opponent.request()
    empty = opponent.seal(b"")
    await opponent.send(empty + opponent.seal(request[:30]) + opponent.seal(b"") + opponent.seal(request[30:]))
    await opponent.response()
    await duel.nothing_delivered(calls=1)


@case(
    **SERVER,
    requirements=("REC-3", "REC-2"),
    severity=Severity.HIGH,
    why="The negotiated frame size is what a peer may rely on, up to its last byte.",
    parameters={"offered": (16384, 20_000)},
)
async def server_takes_records_of_the_negotiated_size(run: CaseRun, offered: int) -> None:
    """With a small negotiated frame size, requests in frames of exactly that size arrive; so do the answers, no
    larger.
    """
    opponent, duel = await against_server(run, max_frame_size=offered)
    await opponent.complete()
    negotiated = opponent.max_frame_size
    run.expect(negotiated <= offered, f"{negotiated} was negotiated, {offered} offered")
    await opponent.honest_call(40_000)
    frames = [frame for frame in duel.recording.frames(duel.direction) if frame.type == DATA]
    longest = max(frame.length for frame in frames)
    run.expect(longest <= negotiated, f"the server sent a frame of length {longest}, {negotiated} was negotiated")
    await duel.nothing_delivered(calls=1)


@case(
    **SERVER,
    requirements=("REC-3",),
    severity=Severity.HIGH,
    why="A receiver that takes larger frames than negotiated can be made to hold more than it agreed to.",
)
async def server_refuses_a_genuine_record_beyond_the_negotiated_size(run: CaseRun) -> None:
    """A record that opens, but is larger than what was negotiated, is refused."""
    opponent, duel = await against_server(run, max_frame_size=16384)
    await opponent.complete()
    aead, nonce = opponent.sealer.next_nonce()
    request = opponent.request(17_000)
    since = duel.mark()
    await opponent.send(make_frame(DATA, aead.encrypt(nonce, request, None)))
    await duel.must_end(since, "server after a record beyond the negotiated size")


@case(
    **SERVER,
    requirements=("REC-4", "REC-8"),
    severity=Severity.CRITICAL,
    why="After 2^16 records the key changes: here each end is held against an independent computation of the counters.",
    limit=60,
    parameters={"records": ((1 << 16) + 50,)},
)
async def server_follows_the_key_across_the_rekey_boundary(run: CaseRun, records: int) -> None:
    """The opponent sends more than 2^16 empty records; a call before and a call after them succeed."""
    opponent, duel = await against_server(run)
    await opponent.complete()
    await opponent.honest_call()
    for _ in range(0, records, 500):
        await opponent.send(b"".join(opponent.seal(b"") for _ in range(500)))
    await opponent.honest_call()
    await duel.nothing_delivered(calls=2)


@case(
    **SERVER,
    requirements=("HS-5", "TRUST-1"),
    severity=Severity.CRITICAL,
    why="A recorded conversation played again must lead nowhere: nonces make every handshake a new one.",
)
async def server_refuses_a_replayed_conversation(run: CaseRun) -> None:
    """All bytes of an earlier client, ClientInit to request, are sent again; the server serves nothing."""
    first, duel = await against_server(run)
    hello = first.client_init()
    await first.send(hello)
    await first.receive_flight()
    record = first.seal(first.request())
    await first.send(first.client_finished + record)
    await first.response()
    replay, second = await against_server(run)
    since = second.mark()
    await replay.send(hello)
    await replay.expect_frame(17)
    await replay.expect_frame(18)
    await replay.send(first.client_finished + record)
    await second.must_end(since, "server after a replayed conversation")
    await duel.nothing_delivered(calls=1)


@case(
    **SERVER,
    requirements=("HS-9", "HS-5"),
    severity=Severity.CRITICAL,
    why="ClientFinished is the client's only proof that it holds its key.",
    parameters={"how": ("zeros", "servers_own", "other_length", "ticket_part")},
)
async def server_refuses_a_wrong_client_finished(run: CaseRun, how: str) -> None:
    """ClientFinished with a wrong authenticator (zeros, the server's own sent back, cut short, wrong ticket part)."""
    opponent, duel = await against_server(run)
    await opponent.send(opponent.client_init())
    server_finished = await _flight_and_server_finished(opponent)
    genuine = opponent.client_finished
    wrong = {
        "zeros": genuine[:10] + bytes(32) + genuine[42:],
        "servers_own": genuine[:8] + server_finished[8:],
        "other_length": make_frame(19, b"\x0a\x1f" + genuine[10:41] + genuine[42:]),
        "ticket_part": genuine[:-32] + bytes(32),
    }[how]
    since = duel.mark()
    await opponent.send(wrong + opponent.seal(opponent.request()))
    await duel.must_end(since, f"server after a wrong ClientFinished ({how})")


async def _flight_and_server_finished(opponent: ClientOpponent) -> bytes:
    server_init = await opponent.expect_frame(17)
    server_finished = await opponent.expect_frame(18)
    opponent.handshake.receive_data(server_init.raw + server_finished.raw)
    opponent.client_finished = opponent.handshake.data_to_send()
    return server_finished.raw


@case(
    **CLIENT,
    requirements=("HS-7", "HS-8", "HS-5"),
    severity=Severity.CRITICAL,
    why="ServerFinished is the server's only proof that it holds its key; a copied certificate is none.",
    parameters={"how": ("zeros", "other_length", "ticket_part")},
)
async def client_refuses_a_wrong_server_finished(run: CaseRun, how: str) -> None:
    """ServerFinished with a wrong authenticator; the client sends neither ClientFinished nor payload."""
    opponent, duel = await against_client(run)
    await opponent.receive_client_init()
    server_init, genuine = opponent.flight
    wrong = {
        "zeros": genuine[:10] + bytes(32) + genuine[42:],
        "other_length": make_frame(18, b"\x0a\x1f" + genuine[10:41] + genuine[42:]),
        "ticket_part": genuine[:-32] + bytes(32),
    }[how]
    since = duel.mark()
    await opponent.send(server_init + wrong)
    run.judge(await duel.reaction(since, telltale=CLIENT_GOES_ON), ENDED, f"client after a wrong ServerFinished: {how}")
    sent = {frame.type for frame in duel.recording.frames(duel.direction)}
    run.expect(not sent & {19, DATA}, f"the client sent frames of types {sorted(sent)}")
    await duel.nothing_delivered()


@case(
    **SERVER,
    requirements=("REC-2", "TRUST-9"),
    severity=Severity.LOW,
    why="A client that simply ends at a frame boundary is a client that is done.",
)
async def server_takes_an_orderly_end(run: CaseRun) -> None:
    """After a call the client ends its stream at a frame boundary; the server ends the connection too."""
    opponent, duel = await against_server(run)
    await opponent.complete()
    await opponent.honest_call()
    since = duel.mark()
    await opponent.finish_writing()
    duel.end_the_opponents_side()
    run.judge(await duel.reaction(since), ENDED, "server after an orderly end")
    await duel.nothing_delivered(calls=1)
