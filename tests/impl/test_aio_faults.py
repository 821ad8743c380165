"""What goes wrong ends in a clear error on both sides: no hang, no leak, no payload before its time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING

import pytest

from alts import ErrorCode, PeerViolation, State, aio
from alts.aio import _client, _link
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
    settle,
    until,
    world,
)

if TYPE_CHECKING:
    from tests.impl.aio_tools import RawPeer


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.req("TRUST-2", "TRUST-5", "HS-8")
def test_a_wrong_target_is_refused_by_the_client_and_the_server_hears_it() -> None:
    async def main() -> None:
        async with world() as w:
            with pytest.raises(PeerViolation) as caught:
                await w.connect(target_identities=["prod/other"])
            assert caught.value.code is ErrorCode.WRONG_IDENTITY
            await until(lambda: w.failures)
            ((error, peername),) = w.failures
            assert isinstance(error, PeerViolation)
            assert (error.code, error.alert_code) == (ErrorCode.PEER_ALERT, ErrorCode.WRONG_IDENTITY)
            assert peername[0] == HOST
            assert w.apps == []
            await w.connect(target_identities={SERVER, "prod/other"})

    run(main)


@pytest.mark.req("REVOKE-6", "TRUST-1")
def test_a_refused_client_hears_why() -> None:
    async def main() -> None:
        async with world(configuration=hooked(SERVER, lambda _: True)) as w:
            with pytest.raises(PeerViolation) as caught:
                await w.connect()
            assert caught.value.code is ErrorCode.PEER_ALERT
            assert caught.value.alert_code == ErrorCode.CERTIFICATE_REVOKED
            assert w.failures.codes == ["CERTIFICATE_REVOKED"]
            assert w.apps == []

    run(main)


@pytest.mark.parametrize("target", [None, "prod/other"])
def test_nothing_outlives_an_attempt_that_failed(target: str | None) -> None:
    """Not even until the next garbage collection: an error must not keep the connection it ended alive."""

    async def main() -> None:
        async with world(configuration=hooked(SERVER, lambda _: target is None)) as w:
            try:
                await w.connect(target_identities=target and [target])
            except PeerViolation as violation:
                caught = violation  # its traceback leads to the frames that it went through
            await until(lambda: not w.server.handshakes)
            await settle()
            assert caught.code is (ErrorCode.WRONG_IDENTITY if target else ErrorCode.PEER_ALERT)
            left = [each for each in gc.get_objects() if isinstance(each, _link.Link | _client._Attempt)]
            assert left == []

    gc.collect()
    gc.disable()
    try:
        run(main)
    finally:
        gc.enable()


def test_by_default_failures_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with world(on_handshake_failure=aio.log_handshake_failure) as w:
            raw = await w.raw()
            await raw.say(b"GET / HTTP/1.1\r\n\r\n")
            await raw.end()
            await raw.close()

    run(main)
    (record,) = caplog.records
    assert record.name == "alts.aio"
    assert "FRAME_TOO_LARGE" in record.getMessage()


# -- no payload before its time ------------------------------------------------------------------------------------


@pytest.mark.req("HS-9")
def test_the_server_says_and_takes_nothing_before_client_finished() -> None:
    class Eager(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.wire.write(b"banner")

    async def main() -> None:
        async with world(Eager) as w:
            raw = await w.raw()
            flight = await raw.finish()
            await raw.say(flight[:-1])
            for _ in range(20):
                await settle()
            assert w.apps == []
            assert w.server.handshakes == 1
            assert raw.connection.state is State.OPEN
            assert raw.events[-1].__class__.__name__ == "HandshakeCompleted"
            heard = asyncio.create_task(raw.hear())
            await settle()
            assert not heard.done()
            await raw.say(flight[-1:])
            await heard
            assert raw.payload == b"banner"
            assert (w.server.handshakes, w.server.connections) == (0, 1)
            await raw.close()

    run(main)


@pytest.mark.req("HS-9")
def test_a_record_in_place_of_client_finished_is_refused() -> None:
    async def main() -> None:
        async with world() as w:
            raw = await w.raw()
            await raw.finish()
            await raw.say(raw.protect(b"too early"))
            await raw.reader.read()
            assert w.failures.codes == ["UNEXPECTED_MESSAGE"]
            assert w.apps == []
            await raw.close()

    run(main)


# -- time ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("REC-3")
@pytest.mark.parametrize("sent", ["nothing", "half of ClientInit", "all but ClientFinished"])
def test_a_half_open_client_is_cut_off(sent: str) -> None:
    async def main() -> None:
        async with world(handshake_timeout=0.3) as w:
            raw = await w.raw()
            if sent == "half of ClientInit":
                raw.connection.start()
                await raw.say(raw.connection.data_to_send()[:300])
            elif sent == "all but ClientFinished":
                await raw.finish()
            await until(lambda: w.failures)
            assert w.failures.codes == ["HANDSHAKE_TIMEOUT"]
            alert = await raw.reader.read()
            assert alert.endswith(bytes([8, ErrorCode.HANDSHAKE_TIMEOUT]))
            await raw.close()
            await until(lambda: not w.server.handshakes)

    run(main)


@pytest.mark.req("REC-3")
def test_a_silent_server_is_given_up() -> None:
    async def silent(peer: RawPeer) -> None:
        await peer.reader.read()

    async def main() -> None:
        async with raw_server(silent) as port:
            with pytest.raises(PeerViolation) as caught:
                await aio.create_connection(
                    Recorder, HOST, port, configuration=configuration(CLIENT), handshake_timeout=0.05
                )
            assert caught.value.code is ErrorCode.HANDSHAKE_TIMEOUT

    run(main)


def test_an_open_connection_has_no_timer() -> None:
    async def main() -> None:
        async with world(handshake_timeout=0.3) as w:
            client, server = await w.pair()
            await asyncio.sleep(0.5)
            client.wire.write(b"later")
            await until(lambda: server.received == b"later")

    run(main)


# -- garbage, and peers that go away ---------------------------------------------------------------------------------


@pytest.mark.req("HS-2", "REC-3")
def test_garbage_is_answered_with_an_alert_that_arrives() -> None:
    """More bytes than the server reads at once are on their way; a plain close would reset and lose the alert."""

    async def main() -> None:
        async with world() as w:
            for garbage, code in (
                (b"\x00\x00\x00\x00", ErrorCode.DECODE_ERROR),
                (b"\xff" * 600_000, ErrorCode.FRAME_TOO_LARGE),
                (b"\x10\x00\x00\x00\x11\x00\x00\x00", ErrorCode.UNEXPECTED_MESSAGE),
                (b"\x08\x00\x00\x00\x10\x00\x00\x00\xff\xff\xff\xff", ErrorCode.DECODE_ERROR),
            ):
                raw = await w.raw()
                await raw.say(garbage)
                assert await raw.reader.read() == bytes([6, 0, 0, 0, 31, 0, 0, 0, 8, code])
                await raw.close()
            assert w.apps == []
            await until(lambda: not w.server.handshakes)

    run(main)


def test_a_flood_after_the_alert_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_link, "LINGER_BYTES", 1000)
    monkeypatch.setattr(_link, "LINGER_SECONDS", 600)

    async def main() -> None:
        async with world() as w:
            raw = await w.raw()
            await raw.say(b"\xff" * 8)
            await until(lambda: w.failures)
            with contextlib.suppress(OSError):
                for _ in range(1000):
                    await raw.say(bytes(100))
                    await settle()
            assert not w.server.handshakes
            await raw.close()

    run(main)


def test_a_peer_that_does_not_close_after_the_alert_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_link, "LINGER_SECONDS", 0.02)

    async def main() -> None:
        async with world() as w:
            raw = await w.raw()
            await raw.say(b"\xff" * 8)
            await until(lambda: w.failures and not w.server.handshakes)
            await raw.close()

    run(main)


PHASES = ["connected", "inside ClientInit", "after ClientInit", "inside ClientFinished", "open", "inside a record"]


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_client_killed_in_each_phase(phase: str, how: str) -> None:
    async def main() -> None:
        async with world() as w:
            raw = await w.raw()
            raw.connection.start()
            first = raw.connection.data_to_send()
            if phase == "inside ClientInit":
                await raw.say(first[:100])
            elif phase == "after ClientInit":
                await raw.say(first)
                await raw.hear()
            elif phase != "connected":
                await raw.say(first)
                flight = await raw.finish()
                await raw.say(flight[:20] if phase == "inside ClientFinished" else flight)
                if phase == "inside a record":
                    await raw.say(raw.protect(b"whole") + raw.protect(b"record")[:-1])
            handshake = phase not in ("open", "inside a record")
            if not handshake:
                await w.app()
            else:
                await until(lambda: w.server.handshakes)
            if how == "reset":
                raw.reset()
            await raw.close()
            await until(lambda: not w.server.handshakes and not w.server.connections)
            assert len(w.failures) == handshake
            if handshake:
                assert w.failures.codes == ["TRUNCATED" if how == "end" else "ConnectionResetError"]
                assert w.apps == []
            elif how == "reset":
                assert isinstance(await w.apps[0].lost, ConnectionResetError)
            elif phase == "inside a record":
                assert w.apps[0].received == b"whole"
                assert (await w.apps[0].lost).code is ErrorCode.TRUNCATED
            else:
                assert await w.apps[0].lost is None

    run(main)


@pytest.mark.parametrize("size", [0, 3, 100, -1])
def test_a_server_killed_in_each_phase(size: int) -> None:
    """Before it said anything, and inside length, ServerInit and ServerFinished."""

    async def dies(peer: RawPeer) -> None:
        while not (answer := peer.connection.data_to_send()):
            await peer.hear()
        await peer.say(answer[:size])

    async def main() -> None:
        async with raw_server(dies) as port:
            with pytest.raises(PeerViolation) as caught:
                await aio.create_connection(
                    Recorder, HOST, port, configuration=configuration(CLIENT), environment=ENVIRONMENT
                )
            assert caught.value.code is ErrorCode.TRUNCATED

    run(main)


def test_no_server_at_all() -> None:
    async def main() -> None:
        async with world() as w:
            port = w.port
        with pytest.raises(ConnectionRefusedError):
            await aio.open_connection(HOST, port, configuration=configuration(CLIENT))

    run(main)


# -- bounds --------------------------------------------------------------------------------------------------------


@pytest.mark.req("REC-3")
def test_concurrent_handshakes_are_bounded() -> None:
    async def main() -> None:
        async with world(max_concurrent_handshakes=2) as w:
            client, _ = await w.pair()  # an open connection does not count
            idle = [await w.raw() for _ in range(2)]
            for peer in idle:
                await peer.say(b"\x10")  # it has spoken: nobody takes its place
            await until(lambda: w.server.handshakes == 2)
            await asyncio.sleep(0.05)
            with pytest.raises((PeerViolation, OSError)):
                await w.connect()
            await until(lambda: w.server.refused == 1)
            await idle[0].close()
            await until(lambda: w.server.handshakes == 1)
            await w.connect()
            await idle[1].close()
            client.wire.write(b"still here")
            await until(lambda: w.apps[0].received == b"still here")
            assert w.failures.codes == ["TRUNCATED"] * len(w.failures)

    run(main)


@pytest.mark.req("REC-3")
def test_silent_connections_keep_nobody_out() -> None:
    async def main() -> None:
        async with world(max_concurrent_handshakes=2) as w:
            silent = [await w.raw() for _ in range(5)]
            await until(lambda: w.server.refused == 3)
            await w.connect()
            assert w.server.refused == 4
            for peer in silent:
                await peer.close()

    run(main)


def test_closing_a_server_ends_handshakes_and_spares_connections() -> None:
    async def main() -> None:
        async with world() as w:
            client, server = await w.pair()
            idle = await w.raw()
            await until(lambda: w.server.handshakes == 1)
            port = w.port
            assert w.server.is_serving()
            w.server.close()
            assert not w.server.is_serving()
            assert w.server.sockets == ()
            await w.server.wait_closed()
            assert (w.server.handshakes, w.server.connections) == (0, 1)
            with contextlib.suppress(ConnectionResetError):
                assert await idle.reader.read() == b""
            await idle.close()
            with pytest.raises(OSError, match=r"refused|Connect"):
                await asyncio.open_connection(HOST, port)
            server.wire.write(b"alive")
            await until(lambda: client.received == b"alive")
            server.wire.write(b"last words")
            w.server.close_clients()
            await w.server.wait_closed()
            assert w.server.connections == 0
            assert await client.lost is None
            assert client.received == b"alivelast words"
            assert w.failures == []

    run(main)


def test_serve_forever_ends_by_cancellation() -> None:
    async def main() -> None:
        server = await aio.create_server(Recorder, HOST, 0, configuration=configuration(SERVER), start_serving=False)
        assert not server.is_serving()
        task = asyncio.create_task(server.serve_forever())
        await until(server.is_serving)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.is_serving()

    run(main)
