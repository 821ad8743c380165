"""The honest endpoints of a trial, in a process of their own: ``python -m alts_conformance.attacks._host``.

It loads `alts` from wherever PYTHONPATH says, so that a weakened copy can be what runs here, and nothing else of the
project. Commands come as JSON lines on stdin, answers go as JSON lines to stdout, in any order. What an endpoint
believed is kept from the moment on at which its handshake was complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import alts
from alts import aio
from alts_schema.certificate_pb2 import MasterCertificateBody

PATIENCE = 12.0
"""Seconds that an endpoint waits for a handshake, or for an answer."""


def _stuck(size: int) -> bytes:
    """A source of randomness that is broken."""
    return bytes(size)


@dataclass
class Endpoint:
    """One identity with what it allows; client and server at will."""

    fields: dict[str, Any] = field(default_factory=dict, repr=False)
    resumption: alts.Resumption | None = field(default=None, repr=False)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    servers: list[aio.Server] = field(default_factory=list)
    refusals: int = 0
    drawn: list[bytes] = field(default_factory=list, repr=False)

    def change(self, fields: dict[str, Any]) -> None:
        """Set or replace what is given; tickets held stay."""
        self.fields |= fields
        if self.fields.get("resumes") and self.resumption is None:
            self.resumption = alts.Resumption(server_tickets_with_pfs=bool(self.fields.get("early_tickets")))
        if self.resumption is not None and (keys := self.fields.get("keys")):
            named = {int(epoch): bytes.fromhex(key) for epoch, key in keys["keys"].items()}
            self.resumption.keys = alts.ResumptionKeys(bytes.fromhex(keys["id"]), named)

    def configuration(self) -> alts.Configuration:
        """As of now."""
        given = self.fields
        anchors = {bytes.fromhex(name): bytes.fromhex(key) for name, key in given["anchors"].items()}
        policy = alts.Policy(tuple(alts.Rule(who, alts.Category(kind), whom) for who, kind, whom in given["rules"]))
        revoked = frozenset(given["revoked"])
        key = X25519PrivateKey.from_private_bytes(bytes.fromhex(given["key"]))
        return alts.Configuration(
            alts.Credential(bytes.fromhex(given["certificate"]), key),
            alts.Trust(anchors, policy, revoked.__contains__),
            handshake_ciphers=tuple(given["ciphers"]),
            resumption=self.resumption,
        )

    def environment(self) -> alts.Environment:
        """Clock and randomness; what is drawn is kept, since a trial may have ephemeral keys stolen."""
        return alts.Environment(time.time, _stuck if self.fields.get("stuck") else self._draw)

    def _draw(self, size: int) -> bytes:
        drawn = os.urandom(size)
        self.drawn.append(drawn)
        return drawn

    def remember(self, transport: asyncio.BaseTransport, role: str) -> dict[str, Any]:
        """Keep what this end believes of a connection."""
        peer: alts.Peer = transport.get_extra_info("alts_peer")
        agreed: alts.Negotiated = transport.get_extra_info("alts_negotiated")
        session = {
            "role": role,
            "peer": peer.identity,
            "issuer": peer.issuer,
            "mode": agreed.mode,
            "cipher": agreed.handshake_cipher,
            "payloads": [],
        }
        self.sessions.append(session)
        return session

    def refused(self, error: Exception, address: Any) -> None:
        """Count a failed handshake."""
        self.refusals += 1


class Host:
    """The commands."""

    def __init__(self) -> None:
        self._endpoints: dict[str, Endpoint] = {}
        self._plain: list[asyncio.Server] = []

    async def endpoint(self, command: dict[str, Any]) -> dict[str, Any]:
        """Make an endpoint, or change one."""
        self._endpoints.setdefault(command["name"], Endpoint()).change(command["fields"])
        return {}

    async def serve(self, command: dict[str, Any]) -> dict[str, Any]:
        """Listen; the application takes lines and answers each, or is the Signing Service, or passes bytes on."""
        endpoint = self._endpoints[command["name"]]
        answer = bytes.fromhex(command.get("answer", ""))
        signing = command.get("signing_key")
        onward: int | None = command.get("onward")

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            session = endpoint.remember(writer.transport, "server")
            with contextlib.suppress(OSError, alts.PeerViolation):
                if onward is not None:
                    await _join((reader, writer), await asyncio.open_connection("127.0.0.1", onward))
                    return
                while line := await reader.readline():
                    session["payloads"].append(line.rstrip(b"\n").hex())
                    given = answer if signing is None else _sign(signing, session["peer"], line)
                    writer.write(given + b"\n")
                writer.close()

        server = await aio.start_server(
            talk,
            "127.0.0.1",
            0,
            configuration=endpoint.configuration,
            environment=endpoint.environment(),
            handshake_timeout=PATIENCE,
            on_handshake_failure=endpoint.refused,
        )
        endpoint.servers.append(server)
        return {"port": server.sockets[0].getsockname()[1]}

    async def enter(self, command: dict[str, Any]) -> dict[str, Any]:
        """Listen for plain connections and carry each through a connection of this endpoint to another (a tunnel)."""
        endpoint = self._endpoints[command["name"]]

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, alts.PeerViolation):
                ends = await aio.open_connection(
                    "127.0.0.1", command["port"], configuration=endpoint.configuration, handshake_timeout=PATIENCE
                )
                await _join((reader, writer), ends)

        server = await asyncio.start_server(carry, "127.0.0.1", 0)
        self._plain.append(server)
        return {"port": server.sockets[0].getsockname()[1]}

    async def call(self, command: dict[str, Any]) -> dict[str, Any]:
        """Connect as a client, send a line and wait for the answer; with `until`: bytes, and wait for these."""
        until = bytes.fromhex(command["until"])
        endpoint = self._endpoints[command["name"]]
        try:
            async with asyncio.timeout(2 * PATIENCE):
                reader, writer = await aio.open_connection(
                    "127.0.0.1",
                    command["port"],
                    configuration=endpoint.configuration,
                    environment=endpoint.environment(),
                    handshake_timeout=PATIENCE,
                    target_identities=command["targets"],
                )
                session = endpoint.remember(writer.transport, "client")
                writer.write(bytes.fromhex(command["payload"]) + (b"" if until else b"\n"))
                answer = (await reader.readuntil(until or b"\n")).rstrip(b"\n")
                session["payloads"].append(answer.hex())
                writer.close()
                return {"completed": True, "answer": answer.hex(), **session}
        except alts.PeerViolation as violation:
            return {"completed": False, "silent": violation.code is alts.ErrorCode.HANDSHAKE_TIMEOUT}
        except TimeoutError:
            return {"completed": False, "silent": True}
        except (OSError, asyncio.IncompleteReadError):
            return {"completed": False, "silent": False}

    async def observe(self, command: dict[str, Any]) -> dict[str, Any]:
        """What an endpoint has believed and received so far."""
        endpoint = self._endpoints[command["name"]]
        drawn = [value.hex() for value in endpoint.drawn]
        return {"sessions": endpoint.sessions, "refusals": endpoint.refusals, "drawn": drawn}

    async def reset(self, command: dict[str, Any]) -> dict[str, Any]:
        """End and forget everything."""
        for endpoint in self._endpoints.values():
            for server in endpoint.servers:
                server.close()
                server.abort_clients()
        for plain in self._plain:
            plain.close()
        self._endpoints.clear()
        self._plain.clear()
        return {}


def _sign(key: str, caller: str, line: bytes) -> bytes:
    """The Signing Service: whatever is asked for, with the caller as issuer (SPEC 13.1.4)."""
    service = alts.SigningService(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key)))
    return service.sign_master(MasterCertificateBody.FromString(bytes.fromhex(line.decode())), caller).hex().encode()


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(one: _Stream, other: _Stream) -> None:
    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, alts.PeerViolation):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    await asyncio.gather(pump(one[0], other[1]), pump(other[0], one[1]))


async def main() -> int:
    """Answer commands until stdin ends."""
    host = Host()
    commands: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
        name: getattr(host, name) for name in ("endpoint", "serve", "enter", "call", "observe", "reset")
    }
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks = set[asyncio.Task[None]]()

    async def work(command: dict[str, Any]) -> None:
        try:
            answer = {"ok": True, **await commands[command["command"]](command)}
        except Exception as error:
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps({"id": command["id"], **answer}) + "\n")
        sys.stdout.flush()

    sys.stdout.write(json.dumps({"id": 0, "ok": True, "source": alts.__file__}) + "\n")
    sys.stdout.flush()
    while line := await reader.readline():
        task = asyncio.create_task(work(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
