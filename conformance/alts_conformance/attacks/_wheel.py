"""The gRPC wheel as the victim: a C-core server in a process of its own, whose handshakes our handshaker service runs.

Needs a network namespace, since the wheel looks for its handshaker service at a fixed name; see `_inside`.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alts
from alts.realm import RealmDirectory

from .. import _peers
from .._driver import Driver
from .._world import World
from ._pose import grpc_call
from ._stage import Belief, Endpoint, Stage, honest_call, key_of

PEER, SLOT = "grpc-core", "server"


@dataclass(slots=True)
class Wheels:
    """Where wheels run: what a child process that has entered its namespaces keeps."""

    folder: Path
    world: World
    count: int = 0

    @classmethod
    def make(cls, folder: Path) -> Wheels:
        """In a folder of its own."""
        return cls(folder, World(folder, {PEER: _peers.get(PEER)}))

    async def server(
        self, stage: Stage, identity: str, *, ciphers: tuple[str, ...], policy: alts.Policy | None, resumes: bool
    ) -> WheelServer:
        """Start a wheel that serves as `identity`, in a new realm; the stage's certificates are signed by its root.

        Raises:
            HarnessError: something does not start.
        """
        self.count += 1
        path = self.folder / f"realm-of-attack-{self.count}"
        realm = RealmDirectory.create(path, name="attacks", random=os.urandom)
        realm.issue(SLOT, identity, alts.Category.WORKLOAD, clock=time.time, random=os.urandom)
        root = realm.signing_service()
        stage.realm.signing_service = stage.realm.ca.signing_service = root
        stage.realm.cluster_master.signing_service = root
        if policy is not None:
            rules = [
                {"issuer": r.issuer, "category": r.category.name.lower(), "identity": r.identity} for r in policy.rules
            ]
            (path / "policy.json").write_text(json.dumps({"format": 1, "rules": rules}))
        stage.keep_secret(root.key.private_bytes_raw(), key_of(realm.credential(SLOT)))
        keys = None
        if resumes:
            realm.rotate_resumption_key(identity, clock=time.time, random=os.urandom)
            keys = realm.resumption_keys(identity)
            assert keys is not None  # just made
            stage.keep_secret(*keys.keys.values())
        slot = self.world.slot(SLOT)
        options = [word for cipher in ciphers for word in ("--cipher", cipher)]
        await self.world.restart_service(slot, path, *options)
        driver = await self.world.driver(PEER, SLOT)
        started = await driver.call("start_server", security="alts")
        stage.say(f"{identity} is a gRPC server (wheel {driver.hello.get('version')}) behind the handshaker service")
        return WheelServer(realm.credential(SLOT), keys, driver, str(started["server"]), int(started["port"]))


@dataclass(slots=True)
class WheelServer:
    """A wheel that serves; in what the attacks need, like an `Endpoint`."""

    credential: alts.Credential
    keys: alts.ResumptionKeys | None
    driver: Driver
    name: str
    port: int
    _controls: int = 0

    @property
    def identity(self) -> str:
        """Who it is."""
        return self.credential.identity

    async def beliefs(self) -> list[Belief]:
        """Whom its application has authenticated, and what it received: one call each."""
        calls: list[dict[str, Any]] = (await self.driver.call("observe", server=self.name))["calls"]
        return [
            Belief(
                "server", str(call["auth"]["peer"]), "", "gRPC", "", (bytes.fromhex(call.get("received_first", "")),)
            )
            for call in calls
        ]

    async def mark(self) -> None:
        """Count every call so far as honest traffic."""
        self._controls = len(await self.beliefs())

    async def new_beliefs(self) -> list[Belief]:
        """The calls since the last mark; a connection that brings no call does not show."""
        return (await self.beliefs())[self._controls :]

    async def honest_call(self, stage: Stage, client: Endpoint, port: int, payload: bytes) -> None:
        """A call of an honest client; counts as a control.

        Raises:
            HarnessError: it does not get through.
        """
        data, until = grpc_call(payload)
        given = await client.call(port, data, targets=[self.identity], until=until)
        seen = [belief for belief in await self.beliefs() if payload in belief.payloads]
        right = given["completed"] and [belief.peer for belief in seen] == [client.identity]
        stage.control(right, f"{client.identity} calls {self.identity} and has its answer: honest traffic gets through")
        await client.mark()
        await self.mark()

    async def end(self) -> None:
        """End the wheel."""
        await self.driver.kill()


async def victim(
    stage: Stage,
    identity: str,
    *,
    ciphers: tuple[str, ...],
    policy: alts.Policy | None = None,
    keys: dict[str, Any] | None = None,
) -> tuple[Endpoint | WheelServer, int]:
    """A server to be attacked, and its port: the wheel if the stage has some, else an endpoint.

    Raises:
        HarnessError: it does not start.
    """
    if isinstance(stage.wheels, Wheels):
        wheel = await stage.wheels.server(stage, identity, ciphers=ciphers, policy=policy, resumes=keys is not None)
        stage.at_end(wheel.end)
        return wheel, wheel.port
    fields: dict[str, Any] = {} if keys is None else {"resumes": True, "keys": keys}
    server = await stage.endpoint("server", stage.realm.workload(identity), ciphers=ciphers, policy=policy, **fields)
    return server, await server.serve()


async def greet(stage: Stage, client: Endpoint, server: Endpoint | WheelServer, port: int) -> None:
    """An honest call, as the victim understands it.

    Raises:
        HarnessError: it does not get through.
    """
    if isinstance(server, WheelServer):
        await server.honest_call(stage, client, port, b"good morning")
    else:
        await honest_call(stage, client, server, port, b"good morning")
