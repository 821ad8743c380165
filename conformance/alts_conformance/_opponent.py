"""Scripted opponents: one end of a connection in the harness's hands, with full knowledge of all keys.

They are made of the sans-IO pieces of ``alts`` (from this process, never from a changed copy) and speak to the peer
under test through the recording relay. An opponent does nothing by itself: a case tells it each step.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import time
from typing import Any

import alts
from alts_schema.handshake_pb2 import ClientInit

from . import _http2, _payload, _realm
from ._context import ALERT, CaseRun
from ._driver import Driver, Outcome
from ._frames import DATA, Frame, FrameSplitter, make_frame
from ._manipulate import CLIENT_TO_SERVER, SERVER_TO_CLIENT, Direction
from ._recording import Recording, reaction_in
from ._relay import Link, Script
from ._verdict import ENDED, CaseFailed, Reaction
from ._world import CLIENT_SLOT, SERVER_SLOT

CLIENT_INIT, SERVER_INIT, SERVER_FINISHED, CLIENT_FINISHED = 16, 17, 18, 19
#: A server that answers with this has taken ClientInit; a client that sends one of these has taken the server's flight.
SERVER_GOES_ON = frozenset({SERVER_INIT})
CLIENT_GOES_ON = frozenset({CLIENT_FINISHED, DATA})


class Opponent:
    """What both roles share: a stream of frames, a sans-IO handshake, the secrets as soon as they exist."""

    def __init__(self, run: CaseRun, role: alts.Role, configuration: alts.Configuration) -> None:
        self.run, self.role = run, role
        self.configuration = configuration
        self.secrets: alts.Secrets | None = None
        self.handshake = alts.Handshake(role, configuration, alts.Environment(time.time, os.urandom, self._learn))
        self._splitter = FrameSplitter()
        self._frames: list[Frame] = []
        self._sealer: alts.Sealer | None = None
        self._opener: alts.Opener | None = None
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    def _learn(self, transcript_hash: bytes, secrets: alts.Secrets) -> None:
        self.secrets = secrets

    async def send(self, data: bytes) -> None:
        """Write bytes as they are; that the peer has gone is no error here."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def finish_writing(self) -> None:
        """Send FIN."""
        with contextlib.suppress(OSError):
            self.writer.write_eof()

    async def frame(self, seconds: float = 8.0) -> Frame | None:
        """The next frame from the peer, None if it ended the connection.

        Raises:
            CaseFailed: nothing came in time.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self._frames:
                    data = await self.reader.read(1 << 18)
                    if not data:
                        return None
                    self._frames += self._splitter.feed(data)
        except TimeoutError:
            raise CaseFailed(f"the peer sent no frame within {seconds:g} s") from None
        except ConnectionError:
            return None
        return self._frames.pop(0)

    async def expect_frame(self, frame_type: int) -> Frame:
        """The next frame, which must be of this type.

        Raises:
            CaseFailed: the peer sent another, or ended the connection.
        """
        frame = await self.frame()
        if frame is None or frame.type != frame_type:
            what = "ended the connection" if frame is None else f"sent type {frame.type}"
            raise CaseFailed(f"the peer {what} where frame type {frame_type} was due")
        return frame

    def seal(self, plaintext: bytes) -> bytes:
        """The plaintext as records, with this end's next counters. An empty plaintext makes one empty record."""
        sealer = self.sealer
        if plaintext:
            return bytes(sealer.seal(plaintext))
        aead, nonce = sealer.next_nonce()
        return make_frame(DATA, aead.encrypt(nonce, b"", None))

    @property
    def sealer(self) -> alts.Sealer:
        """This end's sealer, as soon as the secrets exist."""
        if self._sealer is None:
            self._sealer = alts.Sealer(self._record_secret(), self.role, self.max_frame_size)
        return self._sealer

    @property
    def max_frame_size(self) -> int:
        """What was negotiated, or what this end offered while that is not known."""
        result = self.handshake.result
        return result.negotiated.max_frame_size if result is not None else self.configuration.max_frame_size

    def open(self, record: bytes) -> bytes:
        """The plaintext of a record from the peer.

        Raises:
            CaseFailed: it does not open.
        """
        if self._opener is None:
            self._opener = alts.Opener(self._record_secret(), self.role, self.max_frame_size)
        try:
            return b"".join(bytes(part) for part in self._opener.open(record))
        except alts.PeerViolation as violation:
            raise CaseFailed(f"the peer's record does not open: {violation.code.name}") from None

    def _record_secret(self) -> bytes:
        if self.secrets is None:
            raise CaseFailed("the peer did not go far enough in the handshake to make keys")
        return self.secrets.record


class ClientOpponent(Opponent):
    """A client against a server under test."""

    def __init__(self, run: CaseRun, configuration: alts.Configuration) -> None:
        super().__init__(run, alts.Role.CLIENT, configuration)
        self.http = _http2.GrpcClient()
        self.client_finished = b""

    def client_init(self) -> bytes:
        """The ClientInit frame of an honest handshake."""
        self.handshake.start()
        return self.handshake.data_to_send()

    def client_init_with(self, **changes: Any) -> bytes:
        """A ClientInit frame with fields replaced; the transcript of this end has what is sent, so it can go on."""
        self.handshake.start()
        message = ClientInit.FromString(self.handshake.data_to_send()[8:])
        for name, value in changes.items():
            message.ClearField(name)
            if isinstance(value, list):
                getattr(message, name).extend(value)
            else:
                setattr(message, name, value)
        payload = message.SerializeToString(deterministic=True)
        # An honest client has no way to send this, so the sans-IO core has no way to be told.
        self.handshake._client_init = payload
        return make_frame(CLIENT_INIT, payload)

    async def receive_flight(self) -> None:
        """Take ServerInit and ServerFinished; ClientFinished is then ready in ``client_finished``.

        Raises:
            CaseFailed: the peer sent something else, or what it sent is not right.
        """
        for kind in (SERVER_INIT, SERVER_FINISHED):
            self.handshake.receive_data((await self.expect_frame(kind)).raw)
        if self.handshake.error is not None:
            raise CaseFailed(f"the peer's handshake messages are refused: {self.handshake.error.code.name}")
        self.client_finished = self.handshake.data_to_send()

    async def complete(self) -> None:
        """An honest handshake to its end."""
        await self.send(self.client_init())
        await self.receive_flight()
        await self.send(self.client_finished)

    def request(self, size: int = 100) -> bytes:
        """The plaintext of a unary call (with the HTTP/2 preface, the first time)."""
        self.http.request("Unary", _payload.make_request(self.run.seed, 0, size, size, 1))
        return self.http.outgoing()

    async def response(self, seconds: float = 8.0) -> _http2.Call:
        """Read records until the last call has its answer.

        Raises:
            CaseFailed: the server ends the connection first, or sends something that is no record.
        """
        call = self.http.calls[max(self.http.calls)]
        while not call.ended:
            frame = await self.frame(seconds)
            if frame is None:
                raise CaseFailed("the server ended the connection before it answered the call")
            self.http.receive(self.open(frame.raw))
            if reply := self.http.outgoing():
                await self.send(self.seal(reply))
        self.run.expect(call.status == 0, f"the call ended with status {call.status}")
        return call

    async def honest_call(self, size: int = 100) -> None:
        """A unary call that must succeed."""
        await self.send(self.seal(self.request(size)))
        await self.response()


class ServerOpponent(Opponent):
    """A server against a client under test."""

    def __init__(self, run: CaseRun, configuration: alts.Configuration) -> None:
        super().__init__(run, alts.Role.SERVER, configuration)
        self.http = _http2.GrpcServer()
        self.connected = asyncio.Event()
        self.other_connections = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take the first connection; later ones (reconnects) are closed."""
        if self.connected.is_set():
            self.other_connections += 1
            writer.close()
            return
        self.reader, self.writer = reader, writer
        self.connected.set()

    async def receive_client_init(self) -> None:
        """Wait for the client and take its ClientInit. ServerInit and ServerFinished are then in ``flight``.

        Raises:
            CaseFailed: the client does not connect, or does not send an acceptable ClientInit.
        """
        try:
            async with asyncio.timeout(10):
                await self.connected.wait()
        except TimeoutError:
            raise CaseFailed("the client did not connect within 10 s") from None
        self.client_init = (await self.expect_frame(CLIENT_INIT)).raw
        self.handshake.receive_data(self.client_init)
        if self.handshake.error is not None:
            raise CaseFailed(f"the peer's ClientInit is refused: {self.handshake.error.code.name}")
        splitter = FrameSplitter()
        self.flight = [frame.raw for frame in splitter.feed(self.handshake.data_to_send())]

    async def complete(self) -> None:
        """An honest handshake to its end."""
        await self.receive_client_init()
        await self.send(b"".join(self.flight))
        await self.receive_client_finished()

    async def receive_client_finished(self) -> None:
        """Take ClientFinished.

        Raises:
            CaseFailed: it is something else, or wrong.
        """
        self.handshake.receive_data((await self.expect_frame(CLIENT_FINISHED)).raw)
        if self.handshake.error is not None:
            raise CaseFailed(f"the peer's ClientFinished is refused: {self.handshake.error.code.name}")

    async def answer_one_call(self, seal: Any = None) -> None:
        """Read records until a call is complete, and answer it.

        Raises:
            CaseFailed: the client ends the connection first.
        """
        seal = seal or self.seal
        while not self.http.answered:
            if reply := self.http.outgoing():
                await self.send(seal(reply))
            frame = await self.frame()
            if frame is None:
                raise CaseFailed("the client ended the connection before its call was complete")
            self.http.receive(self.open(frame.raw))
        await self.send(seal(self.http.outgoing()))

    async def answer_until_gone(self) -> None:
        """Answer a call as far as the client lets us: it may end the connection at any point."""
        with contextlib.suppress(CaseFailed):
            await self.answer_one_call()


@dataclasses.dataclass(slots=True)
class Duel:
    """An opponent against a peer under test, with the evidence."""

    run: CaseRun
    link: Link
    direction: Direction
    driver: Driver
    server_name: str = ""
    target: tuple[str, int] = ("", 0)
    call: asyncio.Task[Outcome] | None = None

    @property
    def recording(self) -> Recording:
        """The record of the connection."""
        return self.link.recording

    def end_the_opponents_side(self) -> None:
        """Carry the opponent's end over to the peer under test, which the relay shields otherwise."""
        self.link.end(SERVER_TO_CLIENT if self.direction == CLIENT_TO_SERVER else CLIENT_TO_SERVER, "fin", force=True)

    def mark(self) -> int:
        """Where the record stands now: reactions are looked for behind it."""
        return len(self.recording.events)

    async def reaction(self, since: int, seconds: float = 6.0, telltale: frozenset[int] = frozenset()) -> Reaction:
        """How the peer under test reacts to what has been done since ``since``.

        A frame of a ``telltale`` type means that it went on: then there is no use in waiting much longer.
        """

        def went_on(record: Recording) -> bool:
            later = record.events[since:]
            return any(
                event.kind == "frame" and event.direction == self.direction and Frame(event.data).type in telltale
                for event in later
            )

        ended = await self.recording.wait_for(
            lambda record: record.ended(self.direction) is not None or went_on(record), seconds
        )
        if ended and self.recording.ended(self.direction) is None:
            await self.recording.wait_for(lambda record: record.ended(self.direction) is not None, 0.5)
        return reaction_in(self.recording, self.direction, since=since, alert_type=ALERT)

    async def must_end(self, since: int, what: str, telltale: frozenset[int] = frozenset()) -> None:
        """The peer must end the connection, and its application must have seen nothing.

        Raises:
            CaseFailed: it does not, or the application was reached.
        """
        self.run.judge(await self.reaction(since, telltale=telltale), ENDED, what)
        await self.nothing_delivered()

    async def nothing_delivered(self, calls: int = 0) -> None:
        """The application of a server saw this many calls and no more; the call of a client did not succeed."""
        if self.server_name:
            seen = len((await self.driver.call("observe", server=self.server_name))["calls"])
            self.run.expect(seen == calls, f"the application saw {seen} calls, {calls} were right")
        if self.call is not None:
            outcome = await self.call
            self.run.expect(outcome.status != 0, "the client's call succeeded")

    def alerts(self) -> list[int]:
        """The codes of the alerts that the peer under test sent."""
        frames = self.recording.frames(self.direction)
        return [
            int(f.payload[1]) for f in frames if f.type == ALERT and f.payload[:1] == b"\x08" and len(f.payload) == 2
        ]


def change(configuration: alts.Configuration, changes: dict[str, Any]) -> alts.Configuration:
    """A configuration with some fields replaced."""
    return dataclasses.replace(configuration, **changes) if changes else configuration


async def against_server(
    run: CaseRun,
    credential: str | alts.Credential = CLIENT_SLOT,
    *,
    server_slot: str = SERVER_SLOT,
    server_fields: dict[str, Any] | None = None,
    **changes: Any,
) -> tuple[ClientOpponent, Duel]:
    """A client opponent, connected through a relay to the server under test."""
    realm = await run.world.ensure_realm()
    driver = await run.driver("server", server_slot)
    fields = await run.credential("server", server_slot)
    started = await driver.call("start_server", security="alts", **fields, **(server_fields or {}))
    target = ("127.0.0.1", int(started["port"]))
    relay, port = await run.relay(target, Script(shield=frozenset({CLIENT_TO_SERVER})))
    configuration = await asyncio.to_thread(_configuration, realm, credential)
    opponent = ClientOpponent(run, change(configuration, changes))
    opponent.reader, opponent.writer = await asyncio.open_connection("127.0.0.1", port)
    return opponent, Duel(run, await relay.first_link(), SERVER_TO_CLIENT, driver, str(started["server"]), target)


async def against_client(
    run: CaseRun,
    credential: str | alts.Credential = SERVER_SLOT,
    *,
    client_slot: str = CLIENT_SLOT,
    targets: tuple[str, ...] = (),
    timeout: float = 8.0,
    **changes: Any,
) -> tuple[ServerOpponent, Duel]:
    """A server opponent; the client under test connects to it through a relay and makes a unary call."""
    realm = await run.world.ensure_realm()
    configuration = await asyncio.to_thread(_configuration, realm, credential)
    opponent = ServerOpponent(run, change(configuration, changes))
    listener = await asyncio.start_server(opponent.accept, "127.0.0.1", 0)
    port = int(listener.sockets[0].getsockname()[1])
    relay, front = await run.relay(("127.0.0.1", port), Script(shield=frozenset({SERVER_TO_CLIENT})))
    driver = await run.driver("client", client_slot)
    fields: dict[str, Any] = {"security": "alts", "target": f"127.0.0.1:{front}", "target_identities": list(targets)}
    opened = await driver.call("connect", **fields, **await run.credential("client", client_slot))

    async def call() -> Outcome:
        return await driver.rpc(
            str(opened["channel"]), "Unary", timeout=timeout, seed=run.seed, request_bytes=100, response_bytes=100
        )

    task = asyncio.create_task(call())

    async def cleanup() -> None:
        listener.close()
        if not task.done():
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run.at_end(cleanup)
    return opponent, Duel(run, await relay.first_link(), CLIENT_TO_SERVER, driver, call=task)


def _configuration(realm: Any, credential: str | alts.Credential) -> alts.Configuration:
    if isinstance(credential, str):
        return _realm.configuration(realm, credential)
    return dataclasses.replace(_realm.configuration(realm, CLIENT_SLOT), credential=credential)
