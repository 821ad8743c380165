"""The record layer with somebody in the middle: genuine traffic of an open connection, one record of it
tampered with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alts_conformance import ENDED, CaseRun, Reaction, Session, Severity, case
from alts_conformance import _manipulate as m
from alts_conformance._context import ALERT
from alts_conformance._frames import DATA, make_frame
from alts_conformance._recording import Recording, reaction_in
from alts_conformance._relay import Link, Script

C2S, S2C = m.CLIENT_TO_SERVER, m.SERVER_TO_CLIENT
SERVER: dict[str, Any] = {"subjects": ("server",), "needs": {"server": ("alts",)}, "helpers": {"client": "reference"}}
CLIENT: dict[str, Any] = {"subjects": ("client",), "needs": {"client": ("alts",)}, "helpers": {"server": "reference"}}
FIELDS = ("length", "type", "ciphertext", "tag")


@dataclass(slots=True)
class Open:
    """A connection on which one call has succeeded; ``towards`` is the end that is judged."""

    run: CaseRun
    session: Session
    rules: list[m.Rule]
    link: Link
    towards: str

    @property
    def direction(self) -> m.Direction:
        """In which direction records travel to the end that is judged."""
        return C2S if self.towards == "server" else S2C

    @property
    def recording(self) -> Recording:
        """The record of the first connection."""
        return self.link.recording

    async def tamper(self, operation: m.Operation, *, direction: m.Direction | None = None) -> int:
        """Manipulate the next record; returns where the record stood before. Two calls keep traffic going meanwhile."""
        since = self.recording.mark()
        rule = m.Rule(direction or self.direction, m.any_of_type(DATA), operation, name="record manipulated")
        self.rules.append(rule)
        calls = [
            asyncio.create_task(self.session.rpc("Unary", request_bytes=3000, response_bytes=3000, timeout=1.5))
            for _ in range(2)
        ]
        outcomes = await asyncio.gather(*calls)
        self.run.expect(rule.fired > 0, "no record came by to be manipulated")
        for outcome in outcomes:
            if outcome.status == 0:
                fields = {"request_bytes": 3000, "response_bytes": 3000}
                self.run.check_call(outcome, "Unary", fields)
        return since

    async def reaction(self, since: int, seconds: float = 4.0) -> Reaction:
        """How the end that is judged has reacted since then."""
        back = S2C if self.towards == "server" else C2S
        await self.recording.wait_for(lambda record: record.ended(back) is not None, seconds)
        return reaction_in(self.recording, back, since=since, alert_type=ALERT)

    async def must_end(self, since: int, what: str, *, most_calls: int = 3) -> None:
        """The end that is judged must end the connection, and no call may have been delivered beyond the
        genuine ones.
        """
        self.run.judge(await self.reaction(since), ENDED, f"{self.towards} after {what}")
        calls = len(await self.session.observed())
        self.run.expect(calls <= most_calls, f"the application saw {calls} calls, at most {most_calls} were made")


async def opened(run: CaseRun, towards: str) -> Open:
    """A session with one good call behind it. Ends are not carried over to the end that is judged."""
    rules: list[m.Rule] = []
    direction = C2S if towards == "server" else S2C
    session = await run.session(Script(rules, shield=frozenset({direction})))
    await session.call("Unary", request_bytes=200, response_bytes=200)
    return Open(run, session, rules, await session.link(), towards)


def flipped(run: CaseRun, field: str) -> m.Operation:
    """Flip a random bit of a field. In the length only such bits as make the frame shorter, or far too long: a frame
    that is a little longer is a frame that is not complete yet.
    """

    def change(raw: bytes) -> bytes:
        if field != "length":
            return m.flip_bit_of(raw, run.rng.getrandbits(20), field)
        length = int.from_bytes(raw[:4], "little")
        bits = [bit for bit in range(32) if length >> bit & 1 or bit >= 24]
        return m.flip_bit_of(raw, run.rng.choice(bits), field)

    return m.rewrite(change)


OPERATIONS: dict[str, tuple[Callable[[], m.Operation], str]] = {
    "replayed": (lambda: m.duplicate(), "a record came twice"),
    "dropped": (lambda: m.drop, "a record was dropped and others followed"),
    "reordered": (lambda: m.swap_with_next, "two records changed places"),
    "emptied": (lambda: m.rewrite(lambda raw: make_frame(DATA, raw[-16:])), "the ciphertext was cut out of a record"),
    "extended": (lambda: m.rewrite(lambda raw: make_frame(DATA, raw[8:] + b"\0")), "a byte was added to a record"),
    "shortened": (lambda: m.rewrite(lambda raw: make_frame(DATA, raw[8:-1])), "the last byte of a record was cut off"),
    "swapped_tag": (lambda: m.rewrite(lambda raw: raw[:-16] + raw[-1:-17:-1]), "the bytes of a tag were turned round"),
}
HEADERS = {
    "other_type": lambda: m.rewrite(lambda raw: raw[:4] + (7).to_bytes(4, "little") + raw[8:]),
    "handshake_type": lambda: m.rewrite(lambda raw: raw[:4] + (19).to_bytes(4, "little") + raw[8:]),
    "oversize": lambda: m.inject(before=((1 << 20) + 1).to_bytes(4, "little") + (6).to_bytes(4, "little")),
    "sixteen_mebibytes": lambda: m.inject(before=(16 << 20).to_bytes(4, "little") + (6).to_bytes(4, "little")),
    "seventeen_mebibytes": lambda: m.inject(before=(17 << 20).to_bytes(4, "little") + (6).to_bytes(4, "little")),
    "largest_length": lambda: m.inject(before=b"\xff\xff\xff\xff" + (6).to_bytes(4, "little")),
    "no_room_for_type": lambda: m.inject(before=(3).to_bytes(4, "little")),
    "no_room_for_tag": lambda: m.inject(before=make_frame(DATA, bytes(15))),
    "zero_length": lambda: m.inject(before=bytes(4)),
}

FLIP: dict[str, Any] = {
    "requirements": ("REC-5", "REC-8"),
    "severity": Severity.CRITICAL,
    "why": "Each frame is protected on its own: one flipped bit and the connection is over.",
    "parameters": {"field": FIELDS},
}
ORDER: dict[str, Any] = {
    "requirements": ("REC-8", "REC-5"),
    "severity": Severity.CRITICAL,
    "why": "Frames are counted on both ends: what comes twice, not at all or elsewhere must not open.",
    "parameters": {"how": tuple(OPERATIONS)},
}
HEADER: dict[str, Any] = {
    "requirements": ("REC-2", "REC-3", "HS-2"),
    "severity": Severity.HIGH,
    "why": "The header is not authenticated: it may only say what it can say in this state, within the limits.",
    "parameters": {"how": tuple(HEADERS)},
}


@case(**SERVER, **FLIP)
async def server_refuses_a_flipped_bit(run: CaseRun, field: str) -> None:
    """One bit of a record to the server is flipped; the server ends the connection and delivers nothing of it."""
    connection = await opened(run, "server")
    since = await connection.tamper(flipped(run, field))
    await connection.must_end(since, f"a flipped bit in the {field}", most_calls=2)


@case(**CLIENT, **FLIP)
async def client_refuses_a_flipped_bit(run: CaseRun, field: str) -> None:
    """One bit of a record to the client is flipped; the client ends the connection and delivers nothing of it."""
    connection = await opened(run, "client")
    since = await connection.tamper(flipped(run, field))
    await connection.must_end(since, f"a flipped bit in the {field}")


@case(**SERVER, **ORDER)
async def server_refuses_a_record_out_of_place(run: CaseRun, how: str) -> None:
    """A record to the server is replayed, dropped, reordered or resized; the server ends the connection."""
    connection = await opened(run, "server")
    since = await connection.tamper(OPERATIONS[how][0]())
    await connection.must_end(since, OPERATIONS[how][1])


@case(**CLIENT, **ORDER)
async def client_refuses_a_record_out_of_place(run: CaseRun, how: str) -> None:
    """A record to the client is replayed, dropped, reordered or resized; the client ends the connection."""
    connection = await opened(run, "client")
    since = await connection.tamper(OPERATIONS[how][0]())
    await connection.must_end(since, OPERATIONS[how][1])


@case(**SERVER, **HEADER)
async def server_refuses_an_impossible_header(run: CaseRun, how: str) -> None:
    """A record header to the server claims a wrong type or an impossible length; it is refused without its payload."""
    connection = await opened(run, "server")
    since = await connection.tamper(HEADERS[how]())
    await connection.must_end(since, f"a record header: {how}")


@case(**CLIENT, **HEADER)
async def client_refuses_an_impossible_header(run: CaseRun, how: str) -> None:
    """A record header to the client claims a wrong type or an impossible length; it is refused without its payload."""
    connection = await opened(run, "client")
    since = await connection.tamper(HEADERS[how]())
    await connection.must_end(since, f"a record header: {how}")


REFLECT: dict[str, Any] = {
    "requirements": ("REC-8",),
    "severity": Severity.CRITICAL,
    "why": "Both directions use one key: only the direction bit in the counter keeps them apart.",
}


@case(**SERVER, **REFLECT)
async def server_refuses_its_own_record(run: CaseRun) -> None:
    """A record of the server comes back to it; the server ends the connection."""
    connection = await opened(run, "server")
    since = await connection.tamper(m.reflect(also_forward=True), direction=S2C)
    await connection.must_end(since, "its own record came back")


@case(**CLIENT, **REFLECT)
async def client_refuses_its_own_record(run: CaseRun) -> None:
    """A record of the client comes back to it; the client ends the connection."""
    connection = await opened(run, "client")
    since = await connection.tamper(m.reflect(also_forward=True), direction=C2S)
    await connection.must_end(since, "its own record came back")


TRUNCATE: dict[str, Any] = {
    "requirements": ("REC-2", "REC-8"),
    "severity": Severity.HIGH,
    "why": "Half a record is no record; the call that was cut off must not look complete.",
    "parameters": {"keep": (2, 7, 8, 30, -1)},
}


@case(**SERVER, **TRUNCATE)
async def server_delivers_nothing_of_a_truncated_record(run: CaseRun, keep: int) -> None:
    """A record to the server is cut off and the stream ends there; the server ends too and serves nothing of it."""
    connection = await opened(run, "server")
    since = await connection.tamper(m.truncate_and_close(keep))
    await connection.must_end(since, f"a record cut off at byte {keep}", most_calls=2)


@case(**CLIENT, **TRUNCATE)
async def client_delivers_nothing_of_a_truncated_record(run: CaseRun, keep: int) -> None:
    """A record to the client is cut off and the stream ends there; the client ends the connection."""
    connection = await opened(run, "client")
    since = await connection.tamper(m.truncate_and_close(keep))
    await connection.must_end(since, f"a record cut off at byte {keep}")


PAIR: dict[str, Any] = {"subjects": ("client", "server"), "needs": {"client": ("alts",), "server": ("alts",)}}


@case(
    **PAIR,
    requirements=("REC-2",),
    severity=Severity.HIGH,
    why="TCP cuts where it likes, also inside a record's header.",
    parameters={"size": (1, 7, 1000)},
)
async def records_survive_any_segmentation(run: CaseRun, size: int) -> None:
    """Calls of 3000 bytes each way succeed when everything arrives in small segments."""
    session = await run.session(Script(segment={C2S: size, S2C: size}))
    await session.call("Unary", request_bytes=3000, response_bytes=3000, timeout=20)


@case(
    **PAIR,
    requirements=("TRUST-9", "HS-2"),
    severity=Severity.MEDIUM,
    why="A lost connection must end its calls, and not keep the next call from a new connection.",
)
async def a_lost_connection_is_replaced(run: CaseRun) -> None:
    """The connection is reset under an open channel; later calls make a new handshake and succeed."""
    rules: list[m.Rule] = []
    session = await run.session(Script(rules))
    await session.call("Unary", request_bytes=100)
    rules.append(m.Rule(C2S, m.any_of_type(DATA), m.close_after("rst", "both"), name="reset"))
    await session.rpc("Unary", request_bytes=100, timeout=3)
    for _ in range(20):
        outcome = await session.rpc("Unary", request_bytes=100, timeout=5)
        if outcome.status == 0:
            break
        await asyncio.sleep(0.25)
    run.check_call(outcome, "Unary", {"request_bytes": 100})
    run.expect(len(session.relay.links) >= 2, "no new connection was made")
    run.expect(session.relay.links[-1].recording.counts.get((C2S, 19), 0) == 1, "no new handshake was made")
