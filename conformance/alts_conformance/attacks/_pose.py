"""Posing as a client towards a server, with whatever keys an attacker has: best guesses at the key material."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import alts
from alts_schema.handshake_pb2 import (
    CLIENT_TICKET,
    FULL,
    ClientFinished,
    PresentedTicket,
    ServerFinished,
    ServerInit,
)

from .. import _http2
from . import _forge
from ._attacker import Attacker, Line
from ._story import CLIENT_FINISHED, CLIENT_INIT, DATA, SERVER_FINISHED, SERVER_INIT

Guess = Callable[[ServerInit], Sequence[bytes]]
"""The key material of the session as far as the attacker can tell: its guesses, the best first."""


@dataclass(slots=True)
class Posed:
    """A handshake that the attacker has gone through as a client.

    Attributes:
        keys: from the guess that fits ServerFinished, else from the first guess.
        fits: whether a guess fits: whether the attacker has the keys of the session.
        finished: the server's ServerFinished.
    """

    line: Line
    keys: _forge.Keys
    fits: bool
    finished: ServerFinished

    async def complete(self, payload: bytes, *, grpc: bool = False) -> bytes | None:
        """Send ClientFinished and a line of payload; return the answer, None if none came that opens.

        With `grpc` the payload is the message of a call, and the answer is what the server sends up to its echo.
        """
        finished = ClientFinished(
            authenticator=_forge.authenticator(self.keys, "client"),
            ticket_authenticator=_forge.ticket_authenticator(self.keys, "client"),
        )
        data, until = grpc_call(payload) if grpc else (payload + b"\n", b"\n")
        await self.line.send(CLIENT_FINISHED, finished.SerializeToString(deterministic=True))
        sealer = alts.Sealer(self.keys.record, alts.Role.CLIENT, 1 << 20)
        await self.line.send_raw(bytes(sealer.seal(data)))
        heard, number = b"", 0
        while until not in heard:
            frame = await self.line.frame()
            if frame is None or frame.type != DATA:
                return None
            plaintext = _forge.open_record(self.keys, "server", number, frame.payload)
            if plaintext is None:
                return None
            heard, number = heard + plaintext, number + 1
        return heard.rstrip(b"\n")


def grpc_call(message: bytes) -> tuple[bytes, bytes]:
    """The bytes of a unary gRPC call that is answered with its own message, and what ends the answer."""
    http = _http2.GrpcClient()
    http.request("Unary", message)
    return http.outgoing(), message


@dataclass(slots=True)
class Shares:
    """The attacker's own ephemeral key, for ciphers that need one."""

    private: bytes
    public: bytes

    @classmethod
    def fresh(cls) -> Shares:
        """A new one."""
        private = os.urandom(32)
        return cls(private, _forge.public_of(private))


async def pose(
    line: Line,
    certificate: bytes,
    server: str,
    ciphers: Sequence[str],
    guess: Guess,
    *,
    shares: Shares | None = None,
    ticket: PresentedTicket | None = None,
) -> Posed | None:
    """Go through a handshake as the owner of `certificate` up to ServerFinished.

    Returns:
        None if the server refuses before that, or does not take the ticket.
    """
    needed = [cipher for cipher in ciphers if cipher != _forge.STATIC]
    public = dict.fromkeys(needed, shares.public) if shares is not None else {}
    client_init = _forge.client_init(certificate, ciphers, public, ticket)
    await line.send(CLIENT_INIT, client_init)
    first = await line.frame()
    if first is None or first.type != SERVER_INIT:
        return None
    second = await line.frame()
    if second is None or second.type != SERVER_FINISHED:
        return None
    message, finished = ServerInit.FromString(first.payload), ServerFinished.FromString(second.payload)
    client = _forge.body_of(certificate).identity
    guesses = guess(message)
    if ticket is not None and message.mode != CLIENT_TICKET:
        guesses = [bytes(32)]  # the ticket was not taken: what it holds is of no use
    elif ticket is None and message.mode != FULL:
        return None
    tried = [_forge.session_keys(m, client_init, first.payload, client, server) for m in guesses]
    for keys in tried:
        if hmac.compare_digest(_forge.authenticator(keys, "server"), finished.authenticator):
            return Posed(line, keys, True, finished)
    return Posed(line, tried[0], False, finished)


async def connect(
    attacker: Attacker, port: int, server: str, certificate: bytes, key: bytes, payload: bytes, *, grpc: bool = False
) -> bytes | None:
    """A handshake with a certificate and its own key, then `Posed.complete`; returns the answer, if any."""
    line = await attacker.dial(port, server, f"as {_forge.body_of(certificate).identity}")

    def guess(answer: ServerInit) -> list[bytes]:
        return [_forge.exchange(key, _forge.body_of(answer.certificate).x25519_public_key)]

    posed = await pose(line, certificate, server, (_forge.STATIC,), guess)
    return None if posed is None else await posed.complete(payload, grpc=grpc)
