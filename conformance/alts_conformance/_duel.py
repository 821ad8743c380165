"""An opponent against a peer under test: how it is set up through a relay, and how the peer's reaction is judged."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import alts

from . import _realm
from ._context import ALERT, CaseRun
from ._driver import Driver, Outcome
from ._frames import DATA
from ._manipulate import CLIENT_TO_SERVER, SERVER_TO_CLIENT, Direction
from ._opponent import CLIENT_FINISHED, SERVER_INIT, ClientOpponent, ServerOpponent
from ._recording import Recording, reaction_in
from ._relay import Link, Script
from ._verdict import ENDED, Reaction
from ._world import CLIENT_SLOT, SERVER_SLOT

#: A server that answers with this has taken ClientInit; a client that sends one of these has taken the server's flight.
SERVER_GOES_ON = frozenset({SERVER_INIT})
CLIENT_GOES_ON = frozenset({CLIENT_FINISHED, DATA})


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
        return self.recording.mark()

    async def reaction(self, since: int, seconds: float = 6.0, telltale: frozenset[int] = frozenset()) -> Reaction:
        """How the peer under test reacts to what has been done since ``since``.

        A frame of a ``telltale`` type means that it went on: then there is no use in waiting much longer.
        """

        def went_on(record: Recording) -> bool:
            return any(record.since(since, self.direction, kind) for kind in telltale)

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
