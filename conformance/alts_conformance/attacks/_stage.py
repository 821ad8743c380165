"""The stage of a trial: a realm, honest endpoints in processes of their own, and an attacker with what it stole.

The stage knows every secret; it makes credentials, starts endpoints, and afterwards asks them what they believed. The
attacker is given secrets one by one, by name, and attacker code never sees the stage.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import alts

from .._children import end_child
from .._verdict import HarnessError
from .._world import clean_environment
from ._attacker import Attacker, HangError, turn_loose
from ._forge import KCI, PFS, STATIC
from ._record import Evidence, Outcome
from ._story import Story
from ._weaken import weakened_copy

_NSEXEC = Path(__file__).parent.parent / "_nsexec.py"
_T = TypeVar("_T")
CLIENT, SERVER = "prod/frontend", "prod/backend"


class HostProcess:
    """A process with honest endpoints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._next = 0
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, source: Path | None) -> HostProcess:
        """Start one, from a weakened copy or from what is installed.

        Raises:
            HarnessError: it does not come up, or has loaded another implementation.
        """
        more = {} if source is None else {"PYTHONPATH": str(source)}
        command = [
            sys.executable,
            "-I",
            "-S",
            str(_NSEXEC),
            "--",
            sys.executable,
            "-m",
            "alts_conformance.attacks._host",
        ]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=clean_environment(more),
            limit=1 << 22,
            start_new_session=True,  # Ctrl-C is for the parent alone
        )
        host = cls(process)
        hello = await host._answer(0, 30)
        if source is not None and not str(hello["source"]).startswith(str(source)):
            await host.end()
            raise HarnessError("the weakened copy is not what was loaded")
        return host

    async def ask(self, command: str, *, seconds: float = 40.0, **fields: Any) -> dict[str, Any]:
        """Send a command and wait for the answer.

        Raises:
            HarnessError: it failed, or the process ended.
            HangError: there was no answer.
        """
        self._next += 1
        number = self._next
        stdin = self._process.stdin
        assert stdin is not None  # a pipe
        with contextlib.suppress(ConnectionError):
            stdin.write(json.dumps({"id": number, "command": command, **fields}).encode() + b"\n")
            await stdin.drain()
        answer = await self._answer(number, seconds)
        if not answer["ok"]:
            raise HarnessError(f"{command}: {answer['error']}")
        return answer

    async def _answer(self, number: int, seconds: float) -> dict[str, Any]:
        if self._reading.done() and number not in self._waiting:
            raise HarnessError("the endpoints' process has ended")
        future = self._waiting.setdefault(number, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise HangError("the endpoints' process does not answer") from None
        finally:
            self._waiting.pop(number, None)

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None  # a pipe
        async for line in stdout:
            answer = json.loads(line)
            future = self._waiting.setdefault(answer["id"], asyncio.get_running_loop().create_future())
            if not future.done():
                future.set_result(answer)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(HarnessError("the endpoints' process has ended"))

    async def end(self) -> None:
        """End the process."""
        await end_child(self._process)
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@dataclass(slots=True)
class Hosts:
    """Processes with honest endpoints, one for each weakened build, kept between trials."""

    _folder: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="alts-attacks-")
    )
    _running: dict[tuple[str, ...], HostProcess] = field(default_factory=dict)
    _built: int = 0

    async def get(self, patches: tuple[str, ...] = ()) -> HostProcess:
        """The process that runs this build, started at first use.

        Raises:
            HarnessError: see `HostProcess.start`; or a patch does not apply.
        """
        if patches not in self._running:
            source = None
            if patches:
                self._built += 1
                folder = Path(self._folder.name) / str(self._built)
                source = await asyncio.to_thread(weakened_copy, patches, folder)
            self._running[patches] = await HostProcess.start(source)
        return self._running[patches]

    async def reset(self) -> None:
        """Forget all endpoints; builds that are used once are not kept."""
        for patches, host in tuple(self._running.items()):
            if patches:
                await self._running.pop(patches).end()
            else:
                await host.ask("reset")

    async def close(self) -> None:
        """End every process."""
        for host in self._running.values():
            await host.end()
        self._running.clear()
        self._folder.cleanup()


@dataclass(frozen=True, slots=True)
class Belief:
    """A connection as an honest end saw it: whom it authenticated, how, and what it received from there."""

    role: str
    peer: str
    issuer: str
    mode: str
    cipher: str
    payloads: tuple[bytes, ...]


@dataclass(slots=True)
class Endpoint:
    """An honest endpoint."""

    name: str
    credential: alts.Credential
    host: HostProcess
    stage: Stage
    answer: bytes = b""
    _controls: int = 0

    @property
    def identity(self) -> str:
        """Who it is."""
        return self.credential.identity

    async def change(self, **fields: Any) -> None:
        """Set or replace fields of its configuration."""
        await self.host.ask("endpoint", name=self.name, fields=fields)

    async def rotate(self, credential: alts.Credential) -> None:
        """Give it a new handshake certificate and key."""
        self.credential = credential
        self.stage.keep_secret(key_of(credential))
        await self.change(certificate=credential.certificate.hex(), key=key_of(credential).hex())

    async def serve(self, **more: Any) -> int:
        """Have it listen; returns the port. Its answer to each line is a new secret."""
        self.answer = secrets.token_hex(12).encode()
        started = await self.host.ask("serve", name=self.name, answer=self.answer.hex(), **more)
        return int(started["port"])

    async def call(
        self, port: int, payload: bytes, *, targets: Iterable[str] = (), until: bytes = b""
    ) -> dict[str, Any]:
        """Have it connect and send a line, or with `until` plain bytes and wait for these; how that went.

        Raises:
            HangError: it waited in vain.
        """
        more: dict[str, Any] = {"payload": payload.hex(), "targets": [*targets], "until": until.hex()}
        given = await self.host.ask("call", name=self.name, port=port, **more)
        if not given["completed"] and given["silent"]:
            raise HangError(f"{self.name} waited in vain")
        return given

    async def drawn(self) -> list[bytes]:
        """Every random number that it has drawn: nonces, ephemeral keys."""
        return list(map(bytes.fromhex, (await self.host.ask("observe", name=self.name))["drawn"]))

    async def beliefs(self) -> list[Belief]:
        """What it has believed so far."""
        seen = (await self.host.ask("observe", name=self.name))["sessions"]
        return [
            Belief(s["role"], s["peer"], s["issuer"], s["mode"], s["cipher"], tuple(map(bytes.fromhex, s["payloads"])))
            for s in seen
        ]

    async def mark(self) -> None:
        """Count every session so far as honest traffic."""
        self._controls = len(await self.beliefs())

    async def new_beliefs(self) -> list[Belief]:
        """The sessions since the last mark: each that was complete at this end, whether or not payload came."""
        return (await self.beliefs())[self._controls :]


def key_of(credential: alts.Credential) -> bytes:
    """The X25519 private key of a credential, 32 bytes."""
    return credential.private_key.private_bytes_raw()


class Stage:
    """See the module.

    Args:
        story: where it is told.
        hosts: processes for honest endpoints.
        wheels: where gRPC wheels can be started; None: the victims are endpoints of ours.
    """

    def __init__(self, story: Story, hosts: Hosts, wheels: object = None) -> None:
        self.wheels = wheels
        self._at_end: list[Callable[[], Awaitable[None]]] = []
        self.story = story
        self.attacker = Attacker(story)
        self.realm = alts.Realm(os.urandom, int(time.time()) - 60)
        self.realm.policy = alts.Policy(
            (
                *self.realm.policy.rules,
                alts.Rule(alts.Realm.CA_NAME, alts.Category.HUMAN, "corp/*"),
            )
        )
        self.believed: list[str] = []
        self.signs: dict[str, bool] = {}
        self.controls = 0
        self._secrets = {self.realm.signing_service.key.private_bytes_raw()}
        self._given = set[bytes]()
        self._hosts = hosts

    def at_end(self, cleanup: Callable[[], Awaitable[None]]) -> None:
        """Have something done when the trial is over."""
        self._at_end.append(cleanup)

    def say(self, text: str) -> None:
        """A sentence of the story."""
        self.story.say(text)

    def steals(self, name: str, secret: bytes) -> None:
        """Give the attacker a secret that it has stolen."""
        self._given.add(secret)
        self.attacker.stolen[name] = secret
        self.say(f"the attacker steals {name}")

    def owns(self, name: str, secret: bytes) -> None:
        """Give the attacker a secret that is rightly its own."""
        self._given.add(secret)
        self.attacker.own[name] = secret

    def keep_secret(self, *secrets_made: bytes) -> None:
        """Note secrets that the attacker has no business with unless they are given to it by name."""
        self._secrets.update(secrets_made)

    async def turn_loose(self, function: Callable[..., Awaitable[_T]], *arguments: Any) -> _T:
        """Run attacker code with the attacker and plain public values; see `_attacker.turn_loose`.

        Raises:
            HarnessError: attacker code or its arguments are not plain, or the attacker holds a secret that it was not
                given by name.
        """
        self._inspect(arguments)
        try:
            return await turn_loose(function, self.attacker, *arguments)
        finally:
            self._inspect(arguments)

    def _inspect(self, arguments: tuple[Any, ...]) -> None:
        held = [*self.attacker.stolen.values(), *self.attacker.own.values(), repr(arguments).encode()]
        for secret in self._secrets - self._given:
            if any(secret in value or secret.hex().encode() in value for value in held):
                raise HarnessError("the attacker holds a secret that it was not given")

    def control(self, right: bool, text: str) -> None:
        """Honest traffic gets through where the attack is tried: what is blocked is not blocked by a broken stage.

        Raises:
            HarnessError: it does not.
        """
        if not right:
            raise HarnessError(f"honest traffic does not get through: {text}")
        self.controls += 1
        self.say(text)

    def finds(self, text: str) -> None:
        """Evidence: what an honest end believed."""
        self.believed.append(text)
        self.say(f"evidence: {text}")

    def verdict(self, **signs: bool) -> Outcome:
        """Judge the trial by the signs of success, each of which is evidence by itself (words joined by underscores).

        Returns:
            WORKS if all are there, BLOCKED if none is, else PARTLY: half a success is never a defence that holds.

        Raises:
            HarnessError: there is no sign to judge by.
        """
        if not signs:
            raise HarnessError("there is no sign to judge by")
        self.signs = {name.replace("_", " "): seen for name, seen in signs.items()}
        if all(signs.values()):
            return Outcome.WORKS
        return Outcome.PARTLY if any(signs.values()) else Outcome.BLOCKED

    async def endpoint(
        self,
        name: str,
        credential: alts.Credential,
        *,
        patches: tuple[str, ...] = (),
        ciphers: tuple[str, ...] = (STATIC,),
        policy: alts.Policy | None = None,
        **fields: Any,
    ) -> Endpoint:
        """Make an honest endpoint, of the implementation or of a weakened build.

        Fields: `keys` (resumption keys), `resumes`, `early_tickets`, `stuck` (random numbers that are not), `revoked`.
        """
        self.keep_secret(
            key_of(credential), *(bytes.fromhex(k) for k in fields.get("keys", {}).get("keys", {}).values())
        )
        host = await self._hosts.get(patches)
        service = self.realm.signing_service
        given = {
            "certificate": credential.certificate.hex(),
            "key": key_of(credential).hex(),
            "anchors": {service.verification_key_id.hex(): service.verification_key.hex()},
            "rules": [[r.issuer, int(r.category), r.identity] for r in (policy or self.realm.policy).rules],
            "revoked": sorted(self.realm.revoked),
            "ciphers": list(ciphers),
            **fields,
        }
        await host.ask("endpoint", name=name, fields=given)
        return Endpoint(name, credential, host, self)

    def evidence(self) -> Evidence:
        """What there is."""
        given = self.attacker
        signs = tuple(f"{name}: {'yes' if seen else 'no'}" for name, seen in self.signs.items())
        return Evidence(
            tuple(self.believed), signs, tuple(given.did), tuple(given.stolen), tuple(given.own), len(given.seen)
        )

    async def close(self) -> None:
        """End connections and endpoints."""
        await self.attacker.close()
        for cleanup in self._at_end:
            await cleanup()
        await self._hosts.reset()


def resumption_keys() -> tuple[dict[str, Any], bytes, bytes]:
    """Fresh resumption keys for an endpoint: as its field `keys`, and the IDR and the key of epoch 1."""
    resumption_id, key = os.urandom(16), os.urandom(32)
    return {"id": resumption_id.hex(), "keys": {"1": key.hex()}}, resumption_id, key


async def honest_call(stage: Stage, client: Endpoint, server: Endpoint, port: int, payload: bytes) -> dict[str, Any]:
    """An honest call that must succeed; counts as a control, and what both ends believe until then as honest traffic.

    Raises:
        HarnessError: it does not.
    """
    given = await client.call(port, payload, targets=[server.identity])
    right = given["completed"] and given["answer"] == server.answer.hex()
    stage.control(right, f"{client.identity} calls {server.identity} and has its answer: honest traffic gets through")
    await client.mark()
    await server.mark()
    return given


__all__ = ["CLIENT", "KCI", "PFS", "SERVER", "STATIC", "Belief", "Endpoint", "Hosts", "Stage", "honest_call", "key_of"]
