"""Hooks and applications that raise, and cancellation: reported, aborted, nothing left (SPEC 10.2)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING, Any

import pytest

from alts import Environment, ErrorCode, PeerViolation, aio
from tests.impl.aio_tools import (
    CLIENT,
    ENVIRONMENT,
    HOST,
    SERVER,
    Recorder,
    configuration,
    hooked,
    raw_server,
    run,
    until,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.impl.aio_tools import RawPeer


def planted(*_: Any) -> Any:
    raise RuntimeError("planted")


# -- hooks and applications that raise -------------------------------------------------------------------------------

HOOKS: dict[str, Callable[[str], dict[str, Any]]] = {
    "is_revoked": lambda identity: {"configuration": hooked(identity, planted)},
    "clock": lambda _: {"environment": Environment(planted, os.urandom)},
    "random": lambda _: {"environment": Environment(ENVIRONMENT.clock, planted)},
    "key_log": lambda _: {"environment": dataclasses.replace(ENVIRONMENT, key_log=planted)},
}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_of_the_server_that_raises(hook: str) -> None:
    reports: list[str] = []

    async def main() -> None:
        async with world(**HOOKS[hook](SERVER)) as w:
            with pytest.raises(PeerViolation) as caught:
                await w.connect()
            assert (caught.value.code, caught.value.alert_code) == (ErrorCode.PEER_ALERT, ErrorCode.INTERNAL_ERROR)
            assert w.apps == []
            await until(lambda: not w.server.handshakes)

    run(main, reports=reports)
    assert len(reports) == 1
    assert "planted" in reports[0]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_of_the_client_that_raises(hook: str) -> None:
    async def main() -> None:
        async with world() as w:
            with pytest.raises(RuntimeError, match="planted"):
                await w.connect(**HOOKS[hook](CLIENT))
            await until(lambda: w.failures)
            assert w.failures.codes[0] in ("TRUNCATED", "PEER_ALERT", "ConnectionResetError")
            assert w.apps == []

    run(main)


@pytest.mark.parametrize("call", ["factory", "connection_made"])
def test_an_application_that_raises_at_the_start(call: str) -> None:
    class Raises(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            planted()

    reports: list[str] = []

    async def main() -> None:
        factory = planted if call == "factory" else Raises
        async with world() as w:
            with pytest.raises(RuntimeError, match="planted"):
                await w.connect(factory)
            await until(lambda: not w.server.connections and not w.server.handshakes)
        async with world(factory) as w:
            _, client = await w.connect()
            await client.lost
            await until(lambda: not w.server.connections and not w.server.handshakes)

    run(main, reports=reports)
    assert len(reports) == 1  # the client's reached its caller


@pytest.mark.parametrize("call", ["data_received", "eof_received", "pause_writing", "resume_writing"])
@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
def test_an_application_that_raises_later(call: str, error: type[BaseException]) -> None:
    def fail(*_: Any) -> None:
        raise error("planted")

    reports: list[str] = []

    async def main() -> None:
        async with world(type("Raises", (Recorder,), {call: fail})) as w:
            client, server = await w.pair()
            if call == "data_received":
                client.wire.write(b"data")
            elif call == "eof_received":
                client.wire.close()
            else:
                client.wire.pause_reading()
                for _ in range(32):
                    server.wire.write(bytes(1 << 20))
                client.wire.resume_reading()
            raised = await server.lost
            assert isinstance(raised, RuntimeError)
            await client.lost

    run(main, reports=reports)
    assert len(reports) == 1


def test_a_connection_lost_that_raises_is_reported() -> None:
    class Raises(Recorder):
        def connection_lost(self, exc: Exception | None) -> None:
            planted()

    reports: list[str] = []

    async def main() -> None:
        async with world(Raises) as w:
            client, _ = await w.pair()
            client.wire.close()
            await client.lost
            await until(lambda: not w.server.connections)

    run(main, reports=reports)
    assert len(reports) == 1


def test_a_failure_hook_that_raises_is_reported() -> None:
    reports: list[str] = []

    async def main() -> None:
        async with world(on_handshake_failure=planted) as w:
            raw = await w.raw()
            await raw.say(b"\xff" * 8)
            assert await raw.reader.read()
            await raw.close()
            await until(lambda: not w.server.handshakes)

    run(main, reports=reports)
    assert len(reports) == 1


# -- cancellation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", range(8))
def test_cancelled_at_any_turn(turns: int) -> None:
    """After this many turns of the loop: somewhere from the connect call to the finished handshake."""

    async def main() -> None:
        async with world() as w:
            task = asyncio.create_task(w.connect())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                transport, _ = await task
                transport.abort()
            await until(lambda: not w.server.handshakes and not w.server.connections)

    run(main)


@pytest.mark.parametrize("answer", [b"", b"\xff" * 8])
def test_cancelled_in_the_handshake(answer: bytes) -> None:
    """While the server is silent, and while an alert to it lingers."""

    async def main() -> None:
        reached: list[bytes] = []
        over = asyncio.Event()

        async def behave(peer: RawPeer) -> None:
            reached.append(await peer.reader.read(1 << 14))
            await peer.say(answer)
            reached.append(await peer.reader.read())
            await over.wait()

        async with raw_server(behave) as port:
            task = asyncio.create_task(aio.create_connection(Recorder, HOST, port, configuration=configuration(CLIENT)))
            await until(lambda: len(reached) == (2 if answer else 1))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: len(reached) == 2)  # the server saw the end
            over.set()

    run(main)
