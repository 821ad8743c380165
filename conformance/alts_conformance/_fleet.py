"""Replicas: several processes of one identity, a realm of the case's own, resumption keys, and nothing in memory yet.

A peer that holds the handshake itself is a replica in every process. Peers behind a handshaker service are replicas of
each other by their services: one service for several processes, or several services that share the realm's keys.
What a session was is read off the wire: ``mode`` in ServerInit.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alts.realm import RealmDirectory
from alts_schema.handshake_pb2 import ClientFinished, ClientInit, Mode, ServerFinished, ServerInit

from ._context import ALERT, CaseRun
from ._driver import Driver, Outcome
from ._frames import Frame
from ._manipulate import CLIENT_TO_SERVER, SERVER_TO_CLIENT, Direction
from ._realm import SPECS
from ._relay import Link, Relay
from ._verdict import CaseFailed, HarnessError
from ._world import Service

CLIENT_INIT, SERVER_INIT, SERVER_FINISHED, CLIENT_FINISHED = 16, 17, 18, 19
FULL, CLIENT_TICKET, SERVER_TICKET = "FULL", "CLIENT_TICKET", "SERVER_TICKET"
CLIENT, SERVER = SPECS["client"].identity, SPECS["server"].identity


class Handshaken:
    """The handshake of one connection, as it was on the wire."""

    def __init__(self, link: Link) -> None:
        self.link = link

    def _first(self, direction: Direction, kind: int) -> Frame | None:
        return next((frame for frame in self.link.recording.frames(direction) if frame.type == kind), None)

    def _message(self, direction: Direction, kind: int) -> bytes:
        frame = self._first(direction, kind)
        if frame is None:
            raise CaseFailed(f"no frame of type {kind} was sent")
        return frame.payload

    @property
    def client_init(self) -> ClientInit:
        """What the client sent."""
        return ClientInit.FromString(self._message(CLIENT_TO_SERVER, CLIENT_INIT))

    @property
    def server_init(self) -> ServerInit:
        """What the server sent."""
        return ServerInit.FromString(self._message(SERVER_TO_CLIENT, SERVER_INIT))

    @property
    def mode(self) -> str:
        """How the session came about: FULL, CLIENT_TICKET or SERVER_TICKET; empty if the server never answered."""
        frame = self._first(SERVER_TO_CLIENT, SERVER_INIT)
        return "" if frame is None else Mode.Name(ServerInit.FromString(frame.payload).mode)

    @property
    def tickets_made(self) -> tuple[bool, bool]:
        """Whether the server made a ticket, and whether the client did."""
        made = ServerFinished.FromString(self._message(SERVER_TO_CLIENT, SERVER_FINISHED))
        answered = ClientFinished.FromString(self._message(CLIENT_TO_SERVER, CLIENT_FINISHED))
        return made.HasField("ticket"), answered.HasField("ticket")

    def alerts(self, direction: Direction) -> list[int]:
        """Codes of the alerts that the sender of a direction sent."""
        frames = (frame for frame in self.link.recording.frames(direction) if frame.type == ALERT)
        return [frame.payload[1] for frame in frames if len(frame.payload) == 2]


@dataclass(slots=True)
class End:
    """One process of the fleet. A server also listens, behind a relay of its own."""

    peer: str
    driver: Driver
    fields: dict[str, Any]
    server_name: str = ""
    relay: Relay | None = None
    port: int = 0

    async def observed(self) -> int:
        """How many calls reached the application of a server."""
        return len((await self.driver.call("observe", server=self.server_name))["calls"])


@dataclass(slots=True)
class Fleet:
    """The replicas of one case."""

    run: CaseRun
    path: Path
    #: Whether peers are to resume; else they need not know how.
    resumes: bool
    #: Slot -> its service, for those that this case has started.
    services: dict[str, Service] = field(default_factory=dict)

    @classmethod
    async def make(cls, run: CaseRun, *, keys: Sequence[str] = (CLIENT, SERVER)) -> Fleet:
        """Copy the worker's realm and give identities resumption keys; without any, sessions are full."""
        original = await run.world.ensure_realm()
        run.world.next_port += 1
        path = run.world.folder / f"realm-{run.world.next_port}"
        await asyncio.to_thread(shutil.copytree, original, path)
        fleet = cls(run, path, bool(keys))
        run.at_end(fleet._remove)
        for identity in keys:
            fleet.rotate(identity)
        return fleet

    async def _remove(self) -> None:
        for service in self.services.values():
            await service.kill()
        await asyncio.to_thread(shutil.rmtree, self.path, ignore_errors=True)

    @property
    def realm(self) -> RealmDirectory:
        """The realm as it is on disk now."""
        return RealmDirectory.load(self.path)

    def rotate(self, identity: str) -> int:
        """Give an identity its first or next resumption key; returns the epoch. Services learn of it by `reload`."""
        return self.realm.rotate_resumption_key(identity, clock=time.time, random=os.urandom).epochs[-1]

    def edit_keys(self, identity: str, keep: Sequence[int], *, other_keys: bool = False) -> None:
        """Leave only some epochs of an identity's keys, or put others in their place under the same numbers."""
        for file in (self.path / "resumption").iterdir():
            document = json.loads(file.read_text())
            if document["identity"] == identity:
                document["keys"] = [entry for entry in document["keys"] if entry["epoch"] in keep]
                for entry in document["keys"] if other_keys else ():
                    entry["key"] = os.urandom(32).hex()
                file.write_text(json.dumps(document))
                return
        raise HarnessError(f"{identity} has no resumption keys")

    async def reload(self) -> None:
        """Have the services of this case read the realm again; other peers read it at each handshake anyway."""
        for service in self.services.values():
            await service.reload()

    async def _end(self, role: str, credential: str, service: int, ciphers: Sequence[str]) -> End:
        run, peer = self.run, self.run.peer(role)
        if "full-handshake" in run.world.peers[peer].capabilities:
            given: dict[str, Any] = {"realm": str(self.path), "name": credential}
            given |= {"ciphers": list(ciphers)} if ciphers else {}
            given |= {"resumption": True} if self.resumes else {}
            return End(peer, await run.driver(role, credential), {"credential": given})
        slot = f"{credential}#{service}"
        if slot not in self.services:
            options = [part for cipher in ciphers for part in ("--cipher", cipher)]
            started = await run.world.restart_service(run.world.slot(slot), self.path, "--verbose", *options)
            self.services[slot] = started
        return End(peer, await run.driver(role, slot), {})

    async def server(self, credential: str = "server", *, service: int = 1, ciphers: Sequence[str] = ()) -> End:
        """A further server process. Those with the same number of service and credential share a service, if they need
        one; ciphers are those of the first.
        """
        end = await self._end("server", credential, service, ciphers)
        started = await end.driver.call("start_server", security="alts", **end.fields)
        end.server_name = str(started["server"])
        end.relay, end.port = await self.run.relay(("127.0.0.1", int(started["port"])), name=f"{end.peer} {credential}")
        return end

    async def client(self, credential: str = "client", *, service: int = 1, ciphers: Sequence[str] = ()) -> End:
        """A further client process; see `server`."""
        return await self._end("client", credential, service, ciphers)

    async def attempt(
        self, client: End, server: End, *, target: bool, size: int = 1000, timeout: float = 20.0
    ) -> tuple[Outcome, list[Handshaken]]:
        """A new channel and one unary call on it; the outcome, and the handshake of every connection that it took."""
        assert server.relay is not None
        before = len(server.relay.links)
        wanted = [SERVER] if target else []
        fields: dict[str, Any] = {"security": "alts", "target": f"127.0.0.1:{server.port}", "target_identities": wanted}
        opened = await client.driver.call("connect", **fields, **client.fields)
        sizes = {"request_bytes": size, "response_bytes": size}
        outcome = await client.driver.rpc(str(opened["channel"]), "Unary", timeout=timeout, seed=self.run.seed, **sizes)
        if outcome.status == 0:
            self.run.check_call(outcome, "Unary", sizes)
        await client.driver.call("close", channel=str(opened["channel"]))
        return outcome, [Handshaken(link) for link in server.relay.links[before:]]

    async def meet(self, client: End, server: End, *, target: bool = True, size: int = 1000) -> Handshaken:
        """A new channel and one unary call that must succeed, byte for byte, over one connection.

        Args:
            client: from `client`.
            server: from `server`.
            target: whether the client names the server's identity; a client looks for a ticket under that name only.
            size: bytes of the request and of the response.

        Raises:
            CaseFailed: it did not.
        """
        before = await server.observed()
        outcome, handshakes = await self.attempt(client, server, target=target, size=size)
        detail = f"the call ended with status {outcome.status} (peer says: {outcome.detail[:200]})"
        self.run.expect(outcome.status == 0, detail)
        self.run.expect(len(handshakes) == 1, f"{len(handshakes)} connections were made for one call")
        self.run.expect(await server.observed() == before + 1, "the server's application did not see one call more")
        return handshakes[0]
