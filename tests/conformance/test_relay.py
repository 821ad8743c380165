"""Every manipulation of the relay, seen from both ends of a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from alts_conformance import Reaction
from alts_conformance import _manipulate as m
from alts_conformance._frames import DATA, make_frame
from alts_conformance._recording import Recording, reaction_in
from alts_conformance._relay import Relay, Script, abort

A, B, C = (make_frame(DATA, name * 20) for name in (b"a", b"b", b"c"))
C2S, S2C = m.CLIENT_TO_SERVER, m.SERVER_TO_CLIENT


class End:
    """One end of the connection under test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def rest(self) -> bytes:
        """Everything until the stream ends."""
        return await asyncio.wait_for(self.reader.read(), 5)


def through(script: Script, body: Callable[[End, End, Relay], Awaitable[None]]) -> Relay:
    """Run ``body(client, server, relay)`` with a connection through a relay."""

    async def main() -> Relay:
        accepted: asyncio.Queue[End] = asyncio.Queue()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await accepted.put(End(reader, writer))

        listener = await asyncio.start_server(accept, "127.0.0.1", 0)
        relay = Relay(listener.sockets[0].getsockname()[:2], script)
        client = End(*await asyncio.open_connection("127.0.0.1", await relay.start()))
        server = await asyncio.wait_for(accepted.get(), 5)
        async with asyncio.timeout(10):
            await body(client, server, relay)
        client.writer.close()
        server.writer.close()
        await relay.stop()
        listener.close()
        return relay

    return asyncio.run(main())


def sends(operation: m.Operation, frames: list[bytes], *, every: bool = False) -> bytes:
    """What the server gets when the first of these frames is manipulated."""
    got = b""

    async def body(client: End, server: End, relay: Relay) -> None:
        nonlocal got
        client.writer.write(b"".join(frames))
        client.writer.write_eof()
        got = await server.rest()

    through(Script([m.Rule(C2S, m.of_type(DATA), operation, every=every)]), body)
    return got


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (m.forward, A + B + C),
        (m.drop, B + C),
        (m.duplicate(), A + A + B + C),
        (m.duplicate(3), A * 4 + B + C),
        (m.swap_with_next, B + A + C),
        (m.coalesce_with_next, A + B + C),
        (m.split(1), A + B + C),
        (m.inject(before=b"x", after=b"y"), b"x" + A + b"y" + B + C),
        (m.truncate_and_close(5), A[:5]),
        (m.truncate_and_close(-1), A[:-1]),
        (m.close_after(), A),
        (m.reflect(also_forward=True), A + B + C),
        (m.reflect(), B + C),
        (m.rewrite(lambda raw: raw[::-1]), A[::-1] + B + C),
    ],
)
def test_what_the_receiver_gets(operation: m.Operation, expected: bytes) -> None:
    assert sends(operation, [A, B, C]) == expected


def test_a_flipped_bit_is_the_only_difference() -> None:
    got = sends(m.flip("tag", 0), [A, B])
    assert len(got) == len(A + B)
    assert [at for at in range(len(got)) if got[at] != (A + B)[at]] == [len(A) - 16]


def test_a_kept_frame_is_not_lost_at_the_end() -> None:
    assert sends(m.swap_with_next, [A]) == A
    assert sends(m.coalesce_with_next, [A]) == A


def test_an_incomplete_frame_passes_at_the_end() -> None:
    assert sends(m.forward, [A, B[:7]]) == A + B[:7]


def test_reflection_comes_back_to_its_sender() -> None:
    async def body(client: End, server: End, relay: Relay) -> None:
        client.writer.write(A)
        assert await client.reader.readexactly(len(A)) == A
        link = await relay.first_link()
        assert link.recording.altered(S2C) == A

    through(Script([m.Rule(C2S, m.of_type(DATA), m.reflect())]), body)


def test_a_held_frame_waits_for_its_gate() -> None:
    async def body(client: End, server: End, relay: Relay) -> None:
        client.writer.write(A + B)
        link = await relay.first_link()
        assert await link.recording.wait_for(lambda record: record.data_frames(C2S) == 2, 5)
        server.writer.write(C)
        assert await client.reader.readexactly(len(C)) == C
        assert not server.reader._buffer  # type: ignore[attr-defined] # nothing may have come through, waited for or not
        gate.set()
        assert await server.reader.readexactly(len(A + B)) == A + B

    gate = asyncio.Event()
    script = Script([m.Rule(C2S, m.of_type(DATA), m.hold(gate))])
    through(script, body)
    assert script.rules[0].fired == 1


def test_segments_do_not_change_bytes() -> None:
    async def body(client: End, server: End, relay: Relay) -> None:
        client.writer.write(A + B)
        assert await server.reader.readexactly(len(A + B)) == A + B

    through(Script(segment={C2S: 1}), body)


def _direction_end(finish: Callable[[End], None]) -> tuple[str | None, bool, Relay]:
    reset = False

    async def body(client: End, server: End, relay: Relay) -> None:
        nonlocal reset
        client.writer.write(A)
        await server.reader.readexactly(len(A))
        finish(client)
        try:
            assert await server.rest() == b""
        except ConnectionResetError:
            reset = True

    relay = through(Script(), body)
    return relay.links[0].recording.ended(C2S), reset, relay


def test_fin_stays_fin() -> None:
    assert _direction_end(lambda end: end.writer.write_eof())[:2] == ("fin", False)


def test_rst_stays_rst() -> None:
    assert _direction_end(lambda end: abort(end.writer))[:2] == ("rst", True)


def test_a_shielded_direction_carries_no_end_over() -> None:
    async def body(client: End, server: End, relay: Relay) -> None:
        client.writer.write(A)
        await server.reader.readexactly(len(A))
        client.writer.close()
        link = await relay.first_link()
        assert await link.recording.wait_for(lambda record: record.ended(C2S) is not None, 5)
        await asyncio.sleep(0.1)  # time enough for an end to be carried over, if it were
        await link.inject(C2S, B)
        assert await server.reader.readexactly(len(B)) == B

    through(Script(shield=frozenset({C2S})), body)


def test_reactions_are_read_from_the_record() -> None:
    async def main() -> None:
        for kind, expected in (("fin", Reaction.CLOSED), ("rst", Reaction.RESET)):
            record = Recording("test")
            record.add("frame", S2C, A)
            since = len(record.events)
            assert reaction_in(record, S2C, since=since, alert_type=31) is Reaction.SILENT
            record.add("fin", C2S)
            assert reaction_in(record, S2C, since=since, alert_type=31) is Reaction.SILENT
            record.add("frame", S2C, A)
            assert reaction_in(record, S2C, since=since, alert_type=31) is Reaction.CONTINUED
            record.add(kind, S2C)  # type: ignore[arg-type] # a literal by construction
            assert reaction_in(record, S2C, since=since, alert_type=31) is expected
        record.add("frame", S2C, make_frame(31, b"\x08\x01"))
        record.add("fin", S2C)
        assert reaction_in(record, S2C, since=len(record.events) - 2, alert_type=31) is Reaction.ALERT

    asyncio.run(main())


def test_transcripts_hold_bytes_unless_the_link_is_secret(tmp_path: Path) -> None:
    async def main() -> None:
        for secret in (False, True):
            record = Recording("test", secret=secret)
            record.add("frame", C2S, A)
            record.write(tmp_path / f"{secret}.jsonl")
            assert record.events[0].data == (b"" if secret else A)

    asyncio.run(main())
    assert A.hex() in (tmp_path / "False.jsonl").read_text()
    assert A.hex()[20:30] not in (tmp_path / "True.jsonl").read_text()
    assert '"size": 28' in (tmp_path / "True.jsonl").read_text()


def test_a_long_record_keeps_counting() -> None:
    async def main() -> None:
        record = Recording("test", budget=100)
        for _ in range(50):
            record.add("frame", C2S, A)
        assert record.data_frames(C2S) == 50
        assert len(record.events) < 10

    asyncio.run(main())


def test_nobody_behind_the_relay() -> None:
    async def main() -> None:
        relay = Relay(("127.0.0.1", 1))
        reader, _ = await asyncio.open_connection("127.0.0.1", await relay.start())
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.readexactly(1), 5)
        await relay.stop()

    asyncio.run(main())
