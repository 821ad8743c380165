"""What a case gets in its hands: sessions over a recorded link, checks, and its own random numbers."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import _payload
from ._case import Instance
from ._driver import Driver, Outcome
from ._manipulate import CLIENT_TO_SERVER, SERVER_TO_CLIENT, Direction
from ._recording import Recording, reaction_in
from ._relay import Link, Relay, Script
from ._verdict import CaseFailed, CaseSkipped, Reaction, Verdict, judge_reaction
from ._world import CLIENT_SLOT, SERVER_SLOT, World

#: Type of an alert frame (SPEC 3.2).
ALERT = 31


@dataclass(slots=True)
class Session:
    """One client process, one server process, a channel between them, and the relay in the middle."""

    run: CaseRun
    client: Driver
    server: Driver
    server_name: str
    channel: str
    relay: Relay
    client_fields: dict[str, Any]

    async def another_channel(self) -> str:
        """A further channel of the same client, with a connection and a handshake of its own."""
        return str((await self.client.call("connect", **self.client_fields))["channel"])

    async def rpc(self, method: str, *, timeout: float = 10.0, channel: str | None = None, **fields: Any) -> Outcome:
        """One call; see DRIVER.md for the fields."""
        fields.setdefault("seed", self.run.seed)
        return await self.client.rpc(channel or self.channel, method, timeout=timeout, **fields)

    async def call(
        self, method: str = "Unary", *, timeout: float = 10.0, channel: str | None = None, **fields: Any
    ) -> Outcome:
        """One call that must succeed with exactly the bytes that were asked for.

        Raises:
            CaseFailed: any other status, count or digest.
        """
        outcome = await self.rpc(method, timeout=timeout, channel=channel, **fields)
        self.run.check_call(outcome, method, fields)
        return outcome

    async def observed(self) -> list[dict[str, Any]]:
        """The calls that reached the server's application."""
        answer = await self.server.call("observe", server=self.server_name)
        return list(answer["calls"])

    async def link(self) -> Link:
        """The first connection.

        Raises:
            CaseFailed: the client did not connect.
        """
        try:
            return await self.relay.first_link()
        except TimeoutError:
            raise CaseFailed("the client did not connect within 10 s") from None

    async def reaction(self, end: str, since: int, seconds: float = 5.0) -> Reaction:
        """How ``client`` or ``server`` reacts to what has happened since event number ``since``: waits for it
        to end.
        """
        link = await self.link()
        direction: Direction = CLIENT_TO_SERVER if end == "client" else SERVER_TO_CLIENT
        await link.recording.wait_for(lambda record: record.ended(direction) is not None, seconds)
        return reaction_in(link.recording, direction, since=since, alert_type=ALERT)


@dataclass(slots=True)
class CaseRun:
    """One attempt at one instance."""

    instance: Instance
    world: World
    rng: random.Random
    seed: int
    reaction_seen: Reaction | None = None
    verdict: Verdict = Verdict.PASS
    message: str = ""
    notes: list[str] = field(default_factory=list)
    _relays: list[Relay] = field(default_factory=list)
    _recordings: list[Recording] = field(default_factory=list)
    _drivers: list[tuple[str, str, Driver]] = field(default_factory=list)
    _cleanups: list[Any] = field(default_factory=list)
    _marks: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._marks = {id(record): len(record.events) for record in self.world.service_recordings()}

    def peer(self, role: str) -> str:
        """The name of the peer in a role."""
        return self.instance.assignment[role]

    def expect(self, condition: bool, otherwise: str) -> None:
        """Fail the case unless the condition holds."""
        if not condition:
            raise CaseFailed(otherwise)

    def skip(self, reason: str) -> None:
        """End the case: it cannot be judged here."""
        raise CaseSkipped(reason)

    def note(self, text: str) -> None:
        """Put a remark into the report."""
        self.notes.append(text)

    def judge(
        self, reaction: Reaction, allowed: Iterable[Reaction], what: str, tolerated: Iterable[Reaction] = ()
    ) -> None:
        """Weigh a reaction against the sets of allowed and tolerated ones.

        Raises:
            CaseFailed: it is in neither.
        """
        self.reaction_seen = reaction
        allowed = tuple(allowed)
        verdict = judge_reaction(reaction, allowed, tolerated)
        text = f"{what}: {reaction}, allowed is {' or '.join(sorted(allowed))}"
        if verdict is Verdict.FAIL:
            raise CaseFailed(text)
        if verdict is Verdict.LENIENT:
            self.verdict, self.message = verdict, text

    def check_call(self, outcome: Outcome, method: str, fields: dict[str, Any]) -> None:
        """Compare an outcome with what the payload format says must come back.

        Raises:
            CaseFailed: status, count or digest differ.
        """
        if outcome.status != 0:
            raise CaseFailed(f"{method} ended with status {outcome.status} (peer says: {outcome.detail[:200]})")
        if method == "WhoAmI":
            return
        seed = int(fields.get("seed", self.seed))
        count = int(fields.get("messages", 1)) if method in ("ClientStream", "Bidi") else 1
        sizes = (int(fields.get("request_bytes", 0)), int(fields.get("response_bytes", 0)))
        asked = int(fields.get("responses", 1))
        requests = [_payload.make_request(seed, index, sizes[0], sizes[1], asked) for index in range(count)]
        if method == "ClientStream":
            wanted = [_payload.summary_of(count, sum(map(len, requests)), _payload.digest(requests))]
        else:
            wanted = [response for request in requests for response in _payload.responses_to(request)]
            wanted = wanted[:1] if method == "Unary" else wanted
        if (outcome.received_messages, outcome.received_sha256) != (len(wanted), _payload.digest(wanted)):
            raise CaseFailed(
                f"{method} delivered {outcome.received_messages} messages, {outcome.received_bytes} bytes; "
                f"expected {len(wanted)} messages, {sum(map(len, wanted))} bytes, and the same digest"
            )

    async def driver(self, role: str, slot: str | None = None, *, alts: bool = True) -> Driver:
        """The process of the peer in a role, with the identity of a slot; given back when the case ends."""
        peer, slot = self.peer(role), slot or (CLIENT_SLOT if role == "client" else SERVER_SLOT)
        driver = await self.world.driver(peer, slot, alts=alts)
        self._drivers.append((peer, slot, driver))
        return driver

    async def credential(self, role: str, slot: str) -> dict[str, Any]:
        """Fields that tell a driver which credential to use, for peers that hold the handshake themselves."""
        if "full-handshake" not in self.world.peers[self.peer(role)].capabilities:
            return {}
        return {"credential": {"realm": str(await self.world.ensure_realm()), "name": slot}}

    async def relay(
        self, target: tuple[str, int], script: Script | None = None, name: str = "link", *, secret: bool = False
    ) -> tuple[Relay, int]:
        """A recording relay in front of ``target``, and its port; of a ``secret`` link sizes and times are kept."""
        relay = Relay(target, script, name=name, secret=secret)
        self._relays.append(relay)
        return relay, await relay.start()

    def record(self, recording: Recording) -> None:
        """Have a recording of the case's own in the transcript."""
        self._recordings.append(recording)

    def at_end(self, cleanup: Any) -> None:
        """A coroutine function to await when the case ends, however it ends."""
        self._cleanups.append(cleanup)

    async def session(
        self,
        script: Script | None = None,
        *,
        security: str = "alts",
        targets: Sequence[str] = (),
        client_slot: str = CLIENT_SLOT,
        server_slot: str = SERVER_SLOT,
        **client_fields: Any,
    ) -> Session:
        """Start a server, a relay before it, and a channel through the relay (it connects with its first call)."""
        alts = security == "alts"
        server = await self.driver("server", server_slot, alts=alts)
        started = await server.call(
            "start_server", security=security, **(await self.credential("server", server_slot) if alts else {})
        )
        relay, port = await self.relay(("127.0.0.1", int(started["port"])), script)
        client = await self.driver("client", client_slot, alts=alts)
        fields = {
            "security": security,
            "target": f"127.0.0.1:{port}",
            "target_identities": list(targets),
            **(await self.credential("client", client_slot) if alts else {}),
            **client_fields,
        }
        opened = await client.call("connect", **fields)
        return Session(self, client, server, str(started["server"]), str(opened["channel"]), relay, fields)

    async def finish(self, *, clean: bool) -> None:
        """Stop relays, give drivers back (or end them when the attempt was not clean)."""
        for cleanup in reversed(self._cleanups):
            await cleanup()
        for relay in self._relays:
            await relay.stop()
        for peer, slot, driver in self._drivers:
            await self.world.give_back(peer, slot, driver, clean=clean)
        self._drivers.clear()

    def write_transcript(self, path: Path) -> bool:
        """Write the recordings of all links; False when there was none.

        Raises:
            OSError: the file cannot be written; no part of it is left.
        """
        recordings = [link.recording for relay in self._relays for link in relay.links] + self._recordings
        if not recordings:
            return False
        try:
            path.unlink(missing_ok=True)
            for recording in recordings:
                recording.write(path)
            for recording in self.world.service_recordings():
                since = self._marks.get(id(recording), 0)
                if len(recording.events) > since:
                    recording.write(path, since)
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        return True

    def peer_stderr(self) -> list[str]:
        """The last lines that the peers wrote to stderr: for people, never judged."""
        return [f"{driver.name}: {line}" for _, _, driver in self._drivers for line in list(driver.stderr)[-8:]]
