"""Scripted opponents: one end of a connection in the harness's hands, with full knowledge of all keys.

They are made of the sans-IO pieces of ``alts`` (from this process, never from a changed copy) and speak to the peer
under test through the recording relay. An opponent does nothing by itself: a case tells it each step.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import Any

import alts
from alts._key_schedule import (
    derive_secrets,
    diffie_hellman,
    finished_authenticator,
    keyed,
    ticket_authenticator,
    transcript_hash,
)
from alts_schema.certificate_pb2 import HandshakeCertificate, HandshakeCertificateBody
from alts_schema.handshake_pb2 import ClientInit, ServerFinished, ServerInit

from . import _http2, _payload
from ._context import CaseRun
from ._frames import DATA, Frame, FrameSplitter, make_frame
from ._verdict import CaseFailed

CLIENT_INIT, SERVER_INIT, SERVER_FINISHED, CLIENT_FINISHED = 16, 17, 18, 19


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


def _body(certificate: bytes) -> HandshakeCertificateBody:
    return HandshakeCertificateBody.FromString(HandshakeCertificate.FromString(certificate).body)


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

    def show(self, certificate: bytes, key_material: bytes | None = None) -> None:
        """Have ``flight`` show another certificate, and fit it in all else: a client that believes it goes on.

        An honest server has no way to do this, so the messages are made here. ``key_material`` is the Diffie–Hellman
        result that the client comes to, by default that of this end's own key.
        """
        message = ServerInit.FromString(self.flight[0][8:])
        message.certificate = certificate
        server_init = message.SerializeToString(deterministic=True)
        client = _body(ClientInit.FromString(self.client_init[8:]).certificate)
        if key_material is None:
            key_material = diffie_hellman(self.configuration.credential.private_key, client.x25519_public_key)
        digest = transcript_hash(self.client_init[8:], server_init)
        secrets = derive_secrets(key_material, digest, client.identity, _body(certificate).identity)
        mac = keyed(secrets.authenticator)
        finished = ServerFinished(
            authenticator=finished_authenticator(mac, self.role),
            ticket_authenticator=ticket_authenticator(mac, self.role, None),
        )
        payload = finished.SerializeToString(deterministic=True)
        self.flight = [make_frame(SERVER_INIT, server_init), make_frame(SERVER_FINISHED, payload)]
        self.secrets = secrets

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
