"""The handshaker service at its own surface: what the gRPC stacks ask it, and what they would never ask."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from alts_conformance import CaseRun, Severity, case
from alts_conformance import _service_client as sc
from alts_conformance._children import signal_child
from alts_conformance._realm import SPECS
from alts_conformance._world import Service
from alts_schema import handshaker_pb2 as hs

SUBJECT: dict[str, Any] = {"subjects": ("handshaker",)}
INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION = 3, 4, 8, 9


class Bench:
    """A service of the case's own."""

    def __init__(self, run: CaseRun, service: Service, port: int) -> None:
        self.run, self.service, self.port = run, service, port

    async def stream(self) -> sc.ServiceStream:
        """A new stream."""
        stream = sc.ServiceStream(self.port)
        await stream.open()
        return stream

    async def close(self) -> None:
        """End everything."""
        await self.service.kill()


async def bench(run: CaseRun, *options: str) -> Bench:
    """Start a handshaker service (out of process) with further command-line options, and a relay before it.

    Keys pass on the link: its record, and so the transcript, has sizes, times and ends, and no bytes.
    """
    run.world.next_port += 1
    port = 20_000 + run.world.next_port
    realm = await run.world.ensure_realm()
    service = await run.world.start_handshaker(realm, "client", [f"127.0.0.1:{port}"], f"service-{port}", *options)
    _, front = await run.relay(("127.0.0.1", port), name=f"handshaker service {port}", secret=True)
    made = Bench(run, service, front)
    run.at_end(made.close)
    return made


async def handshake(
    made: Bench,
    client_start: hs.HandshakerReq | None = None,
    server_fields: dict[str, Any] | None = None,
    *,
    segment: int = 0,
    extra: bytes = b"",
    server_at: Bench | None = None,
) -> tuple[sc.Conversation, sc.Conversation]:
    """Join a client stream and a server stream (also one of another service) back to back; ``extra`` follows
    ClientFinished in one piece.
    """
    client, server = await made.stream(), await (server_at or made).stream()

    async def feed(stream: sc.ServiceStream, data: bytes) -> bytes:
        """Hand over bytes, in pieces of ``segment``, and gather what comes out."""
        out = b""
        pieces = [data[at : at + segment] for at in range(0, len(data), segment)] if segment else [data]
        for piece in pieces:
            if stream.log.result is not None or stream.log.refused:
                break
            response = await stream.exchange(sc.next_request(piece))
            out += response.out_frames if response is not None else b""
        return out

    first = await client.exchange(client_start or sc.client_start())
    if first is None:
        await client.abandon()
        return client.log, server.log
    made.run.expect(bool(first.out_frames), "client_start was answered without a message")
    begun = await server.exchange(sc.server_start(**(server_fields or {})))
    made.run.expect(begun is not None, "server_start was not answered")
    to_client = await feed(server, first.out_frames)
    to_server = await feed(client, to_client) if to_client else b""
    if to_server:
        await feed(server, to_server + extra)
    for stream in (client, server):
        if stream.log.result is not None or stream.log.refused:
            end = await stream.receive()
            made.run.expect(end is None, "the service sent more after its last word")
        await stream.abandon()
    return client.log, server.log


def identity(name: str) -> hs.Identity:
    """The identity of a slot, as the service knows it."""
    return hs.Identity(service_account=SPECS[name].identity)


@case(
    **SUBJECT,
    requirements=("TRUST-6", "TRUST-5", "HS-1"),
    severity=Severity.CRITICAL,
    why="Every stack behind the service gets its keys and its peer's identity from this exchange.",
    profiles=("smoke",),
)
async def two_streams_agree(run: CaseRun) -> None:
    """A client stream and a server stream joined back to back end with equal keys, each other's identity and
    status 0.
    """
    made = await bench(run)
    client, server = await handshake(made)
    run.expect(client.result is not None and server.result is not None, "no result")
    assert client.result is not None
    assert server.result is not None
    run.expect(client.status == 0 and server.status == 0, "a stream did not end with status 0 right after the result")
    run.expect(client.result.key_data == server.result.key_data, "the keys differ")
    run.expect(len(client.result.key_data) >= 44, f"{len(client.result.key_data)} bytes of key_data")
    for result in (client.result, server.result):
        run.expect(result.record_protocol == "ALTSRP_GCM_AES128_REKEY", f"record protocol {result.record_protocol!r}")
        run.expect(result.application_protocol == "grpc", f"application protocol {result.application_protocol!r}")
        run.expect(result.peer_identity.service_account == SPECS["client"].identity, "the peer's identity is wrong")
        run.expect(result.local_identity.service_account == SPECS["client"].identity, "the local identity is wrong")
        run.expect(result.peer_rpc_versions == sc.versions(), "the peer's RPC versions are wrong")
        run.expect(result.max_frame_size == 1 << 20, f"max_frame_size {result.max_frame_size}")
    codes = [response.status.code for response in [*client.responses, *server.responses]]
    run.expect(not any(codes) and all(r.HasField("status") for r in client.responses), "a response lacks status 0")


@case(
    **SUBJECT,
    requirements=("TRUST-2", "TRUST-5"),
    severity=Severity.HIGH,
    why="One service may speak for several identities; the stack says for which.",
)
async def local_identities_are_honoured(run: CaseRun) -> None:
    """Client and server each ask for an identity of their own; both results name them."""
    made = await bench(run)
    parameters = hs.ServerHandshakeParameters(
        record_protocols=["ALTSRP_GCM_AES128_REKEY"], local_identities=[identity("server")]
    )
    client, server = await handshake(
        made,
        sc.client_start(local_identity=identity("other"), target_identities=[identity("server")]),
        {"handshake_parameters": {int(hs.ALTS): parameters}},
    )
    run.expect(client.result is not None and server.result is not None, "no result")
    assert client.result is not None
    assert server.result is not None
    names = (client.result.local_identity.service_account, client.result.peer_identity.service_account)
    run.expect(names == (SPECS["other"].identity, SPECS["server"].identity), f"the client was told {names}")
    told = server.result.peer_identity.service_account
    run.expect(told == SPECS["other"].identity, f"the server was told {told!r}")


@case(
    **SUBJECT,
    requirements=("TRUST-2", "HS-8"),
    severity=Severity.CRITICAL,
    why="The stacks do not compare the peer with the target: only the service can.",
    parameters={"target": ("somebody_else", "host_name")},
)
async def unmet_target_identity_ends_the_handshake(run: CaseRun, target: str) -> None:
    """The peer is none of the target identities (or the target is a host name): there is no result."""
    made = await bench(run)
    wanted = {
        "somebody_else": hs.Identity(service_account="conformance/nobody"),
        "host_name": hs.Identity(hostname=SPECS["client"].identity),
    }[target]
    client, server = await handshake(made, sc.client_start(target_identities=[wanted]))
    run.expect(client.result is None and server.result is None, "a result was given")
    run.expect(client.refused, "the client's stream was not refused")


@case(
    **SUBJECT,
    requirements=("HS-2", "HS-7"),
    severity=Severity.HIGH,
    why="The stacks hand over what the socket gave, cut anywhere.",
    parameters={"segment": (1, 5, 333)},
    limit=60,
)
async def split_input_is_put_together(run: CaseRun, segment: int) -> None:
    """The peer's bytes come in small pieces; the service keeps them, reports them as consumed, and completes."""
    made = await bench(run)
    client, server = await handshake(made, segment=segment)
    run.expect(client.result is not None and server.result is not None, "no result")
    for log in (client, server):
        consumed = {response.bytes_consumed for response in log.responses[1:]}
        run.expect(max(consumed) <= segment, f"{max(consumed)} bytes consumed of pieces of {segment}")
        run.expect(all(response.bytes_consumed > 0 for response in log.responses[1:]), "bytes were left")


@case(
    **SUBJECT,
    requirements=("HS-8", "HS-9"),
    severity=Severity.CRITICAL,
    why="Records behind ClientFinished belong to the stack; a byte lost here is a broken connection.",
    parameters={"size": (1, 24, 5000)},
)
async def records_behind_client_finished_are_left_to_the_stack(run: CaseRun, size: int) -> None:
    """Bytes that come along with ClientFinished are left out of ``bytes_consumed``."""
    made = await bench(run)
    _, server = await handshake(made, extra=bytes(size))
    run.expect(server.result is not None, "no result")
    run.expect(server.responses[-1].bytes_consumed == 8 + 68, f"{server.responses[-1].bytes_consumed} bytes consumed")


MALFORMED: dict[str, list[hs.HandshakerReq | bytes]] = {
    "nothing_in_it": [hs.HandshakerReq()],
    "not_a_message": [b"\xff\xff\xff"],
    "next_first": [sc.next_request(b"x")],
    "start_twice": [sc.client_start(), sc.client_start()],
    "both_starts": [sc.client_start(), sc.server_start()],
    "tls": [sc.client_start(handshake_security_protocol=hs.TLS)],
    "no_protocol": [sc.client_start(handshake_security_protocol=hs.HANDSHAKE_PROTOCOL_UNSPECIFIED)],
    "no_parameters": [sc.server_start(handshake_parameters={})],
    "unknown_local_identity": [sc.client_start(local_identity=hs.Identity(service_account="conformance/nobody"))],
    "no_common_record_protocol": [sc.client_start(record_protocols=["ALTSRP_UNKNOWN"])],
}


@case(
    **SUBJECT,
    requirements=("TRUST-6", "TRUST-8"),
    severity=Severity.HIGH,
    why="A service that every process of a host can reach gets every kind of request.",
    parameters={"what": tuple(MALFORMED)},
)
async def malformed_requests_end_the_stream(run: CaseRun, what: str) -> None:
    """A malformed or out-of-order request ends the stream with INVALID_ARGUMENT or FAILED_PRECONDITION and a detail."""
    made = await bench(run)
    stream = await made.stream()
    for request in MALFORMED[what]:
        await stream.send(request)
    while await stream.receive() is not None:
        pass
    run.expect(stream.log.status in (INVALID_ARGUMENT, FAILED_PRECONDITION), f"status {stream.log.status}")
    run.expect(bool(stream.log.detail), "there is no detail")
    client, server = await handshake(made)
    run.expect(client.result is not None and server.result is not None, "the service does not work any more")


@case(
    **SUBJECT,
    requirements=("HS-2", "REC-3"),
    severity=Severity.HIGH,
    why="What a stack's peer sends goes to the service unread.",
    parameters={"what": ("random", "too_long", "zeros", "alert")},
)
async def garbage_from_the_peer_ends_the_handshake(run: CaseRun, what: str) -> None:
    """The peer sends garbage; the answer has a non-zero handshake status or the stream ends with an error."""
    made = await bench(run)
    stream = await made.stream()
    garbage = {
        "random": run.rng.randbytes(3000),
        "too_long": (1 << 20).to_bytes(4, "little") + (16).to_bytes(4, "little"),
        "zeros": bytes(100),
        "alert": bytes.fromhex("060000001f0000000814"),
    }[what]
    await stream.exchange(sc.server_start(garbage))
    while await stream.receive() is not None:
        pass
    run.expect(stream.log.refused, "garbage was taken")
    run.expect(stream.log.result is None, "a result was given")


@case(
    **SUBJECT,
    requirements=("TRUST-6", "HS-2"),
    severity=Severity.HIGH,
    why="Nobody may fill the service up with handshakes that never end.",
)
async def too_many_handshakes_are_refused(run: CaseRun) -> None:
    """With three handshakes allowed, a fourth gets RESOURCE_EXHAUSTED; once one is gone there is room again."""
    made = await bench(run, "--max-handshakes", "3")
    open_streams = [await made.stream() for _ in range(3)]
    for stream in open_streams:
        await stream.exchange(sc.client_start())
    fourth = await made.stream()
    response = await fourth.exchange(sc.client_start())
    run.expect(response is None and fourth.log.status == RESOURCE_EXHAUSTED, f"status {fourth.log.status}")
    await open_streams[0].abandon()
    for _ in range(40):
        fifth = await made.stream()
        if await fifth.exchange(sc.client_start()) is not None:
            break
        await asyncio.sleep(0.05)
    run.expect(bool(fifth.log.responses), "there is no room although a stream has gone")


@case(
    **SUBJECT,
    requirements=("HS-2", "REC-3"),
    severity=Severity.HIGH,
    why="A peer that falls silent must not hold a place in the service for ever.",
    parameters={"after": ("nothing", "start")},
)
async def silence_ends_the_stream(run: CaseRun, after: str) -> None:
    """With one second allowed, a stream on which nothing comes ends with DEADLINE_EXCEEDED."""
    made = await bench(run, "--timeout", "1")
    stream = await made.stream()
    if after == "start":
        await stream.exchange(sc.client_start())
    response = await stream.receive()
    run.expect(response is None and stream.log.status == DEADLINE_EXCEEDED, f"status {stream.log.status}")


@case(
    **SUBJECT,
    requirements=("TRUST-6", "REC-3"),
    severity=Severity.HIGH,
    why="A process that asks and never takes the answer must not keep all others of the host from shaking hands.",
    limit=45,
)
async def a_client_that_does_not_read_gives_its_place_back(run: CaseRun) -> None:
    """A client starts a handshake and leaves no room for the answer (HTTP/2 window 0). With one second and one
    handshake allowed, a genuine handshake works soon afterwards.
    """
    made, other = await bench(run, "--timeout", "1", "--max-handshakes", "1"), await bench(run)
    for _ in range(20):  # the two streams come over connections of their own: the second may be served first
        mute = sc.ServiceStream(made.port, window=0)
        await mute.open()
        await mute.send(sc.client_start())
        await asyncio.sleep(0.05)
        second = await made.stream()
        await second.exchange(sc.client_start())
        await second.abandon()
        if second.log.status == RESOURCE_EXHAUSTED:
            break
        await mute.abandon()
    run.expect(second.log.status == RESOURCE_EXHAUSTED, "the place was never taken")
    for _ in range(40):
        client, server = await handshake(made, server_at=other)
        if client.result is not None and server.result is not None:
            break
        await asyncio.sleep(0.25)
    run.expect(client.result is not None, f"the place is still taken after 10 s: status {client.status}")
    run.expect(server.result is not None, "the other end got no result")
    await mute.abandon()


@case(
    **SUBJECT,
    requirements=("TRUST-6", "TRUST-9"),
    severity=Severity.HIGH,
    why="Processes die in the middle of handshakes every day.",
)
async def peers_that_disappear_leave_nothing_behind(run: CaseRun) -> None:
    """Thirty streams vanish in the middle of a handshake, half with their connection; with room for four the
    next works.
    """
    made = await bench(run, "--max-handshakes", "4")
    for number in range(30):
        for _ in range(40):
            stream = await made.stream()
            if await stream.exchange(sc.client_start()) is not None or stream.log.status != RESOURCE_EXHAUSTED:
                break
            await asyncio.sleep(0.05)
        run.expect(bool(stream.log.responses), f"stream {number} got no room: status {stream.log.status}")
        await stream.abandon(politely=bool(number % 2))
    client, server = await handshake(made)
    run.expect(client.result is not None and server.result is not None, "the service does not work any more")


@case(
    **SUBJECT,
    requirements=("TRUST-6",),
    severity=Severity.MEDIUM,
    why="Any process of the host can connect to the port, with anything.",
)
async def garbage_on_the_port_harms_nobody(run: CaseRun) -> None:
    """Connections with garbage instead of HTTP/2, and connections that say nothing, leave the service working."""
    made = await bench(run)
    writers = []
    for number in range(10):
        _, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(run.rng.randbytes(500) if number % 2 else b"")
        writers.append(writer)
    client, server = await handshake(made)
    run.expect(client.result is not None and server.result is not None, "the service does not work any more")
    for writer in writers:
        writer.close()


@case(
    **SUBJECT,
    requirements=("TRUST-6",),
    severity=Severity.MEDIUM,
    why="A restart must not look like a crash, nor hang.",
    parameters={"busy": (False, True)},
)
async def shutdown_is_clean(run: CaseRun, busy: bool) -> None:
    """SIGTERM ends the service with exit code 0, also while a handshake is half done."""
    made = await bench(run, "--grace", "1")
    if busy:
        stream = await made.stream()
        await stream.exchange(sc.client_start())
    signal_child(made.service.process, signal.SIGTERM)
    try:
        async with asyncio.timeout(10):
            code = await made.service.process.wait()
    except TimeoutError:
        code = None
    run.expect(code == 0, f"exit code {code}")
