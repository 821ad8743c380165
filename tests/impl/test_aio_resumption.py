"""What resumption and rotation ask of the adapters: another connection after TICKET_REFUSED, the present configuration.

SPEC 12.8; RES-5, RES-8, CRED-6, ISSUE-8.
"""

from __future__ import annotations

import dataclasses
import socket
from typing import TYPE_CHECKING, Any

import grpclib.const
import grpclib.server
import pytest
from grpclib.encoding.base import CodecBase

from alts import Configuration, ErrorCode, PeerViolation, Resumption, ResumptionKeys, grpclib_adapter
from alts.aio import create_connection
from alts_schema import handshake_pb2 as messages
from tests.impl.aio_tools import (
    CLIENT,
    ENVIRONMENT,
    HOST,
    SERVER,
    Failures,
    RawPeer,
    Recorder,
    configuration,
    raw_server,
    run,
    until,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SERVER_KEYS = ResumptionKeys(b"S" * 16, {1: b"s" * 32})
CLIENT_KEYS = ResumptionKeys(b"C" * 16, {1: b"c" * 32})
OTHER_CLIENT_KEYS = ResumptionKeys(b"C" * 16, {1: b"d" * 32})
"""The same ID and epoch with another key: the client will not open what the server attaches."""


def server_configuration() -> Configuration:
    """A server that makes no tickets and attaches those of its clients."""
    return configuration(SERVER, resumption=Resumption())


def client_configuration(keys: ResumptionKeys = CLIENT_KEYS) -> Configuration:
    return configuration(CLIENT, resumption=Resumption(keys))


def mode(transport: Any) -> str:
    return str(transport.get_extra_info("alts_negotiated").mode)


@pytest.mark.req("RES-8")
def test_after_an_attached_ticket_that_does_not_open_it_connects_once_more_in_full() -> None:
    async def main() -> None:
        async with world(configuration=server_configuration()) as w:
            first, _ = await w.connect(configuration=client_configuration())
            refusing = client_configuration(OTHER_CLIENT_KEYS)
            second, app = await w.connect(configuration=refusing)
            assert (mode(first), mode(second)) == ("full", "full")
            assert w.failures.codes == ["PEER_ALERT"]
            assert w.failures[0][0].alert_code == ErrorCode.TICKET_REFUSED
            second.write(b"request")
            server = await w.app(1)  # two applications for three connections
            await until(lambda: server.received == b"request")
            server.wire.write(b"answer")
            await until(lambda: app.received == b"answer")
            assert len(w.apps) == 2
            third, _ = await w.connect(configuration=client_configuration())
            with socket.create_connection((HOST, w.port)) as once:  # a socket of the caller's serves for one connection
                once.setblocking(False)
                with pytest.raises(PeerViolation) as caught:
                    await create_connection(
                        Recorder,
                        sock=once,
                        configuration=refusing,
                        environment=ENVIRONMENT,
                    )
            assert caught.value.code is ErrorCode.TICKET_REFUSED
            for transport in (first, second, third):
                transport.close()

    run(main)


@pytest.mark.req("RES-8")
def test_it_never_connects_a_third_time() -> None:
    """A server that attaches a ticket whatever the client says: the second ClientInit has no ID, and it is the last."""
    seen: list[messages.ClientInit] = []

    async def attach(peer: RawPeer) -> None:
        header = await peer.reader.readexactly(8)
        seen.append(messages.ClientInit.FromString(await peer.reader.readexactly(header[0] + 256 * header[1] - 4)))
        message = messages.ServerInit(
            version=1,
            nonce=bytes(32),
            mode=messages.SERVER_TICKET,
            handshake_cipher="X25519_STATIC_SHA256",
            record_protocol="ALTSRP_GCM_AES128_REKEY",
            application_protocol="grpc",
            rpc_versions=seen[-1].rpc_versions,
            max_frame_size=1 << 20,
            ticket=messages.PresentedTicket(resumption_id=b"C" * 16, key_epoch=1, ticket=bytes(64)),
        ).SerializeToString(deterministic=True)
        await peer.say((4 + len(message)).to_bytes(4, "little") + (17).to_bytes(4, "little") + message)
        await peer.reader.read()

    async def main() -> None:
        async with raw_server(attach) as port:
            with pytest.raises(PeerViolation) as caught:
                await create_connection(
                    Recorder, HOST, port, configuration=client_configuration(), environment=ENVIRONMENT
                )
        assert caught.value.code is ErrorCode.ILLEGAL_PARAMETER  # no ticket was asked for
        assert [init.resumption_id for init in seen] == [b"C" * 16, b""]
        assert [list(init.ticket_key_epochs) for init in seen] == [[1], []]

    run(main)


@pytest.mark.req("RES-8")
def test_other_refusals_are_not_answered_by_another_connection() -> None:
    async def main() -> None:
        async with world() as w:
            with pytest.raises(PeerViolation) as caught:
                await w.connect(configuration=client_configuration(), target_identities={"prod/other"})
            assert caught.value.code is ErrorCode.WRONG_IDENTITY
            await until(lambda: len(w.failures) == 1)
        assert w.failures.codes == ["PEER_ALERT"]

    run(main)


@pytest.mark.req("CRED-6", "ISSUE-8", "TRUST-9")
def test_each_handshake_asks_for_the_present_configuration_and_connections_live_on() -> None:
    configurations = {CLIENT: configuration(CLIENT), SERVER: configuration(SERVER)}
    asked = {CLIENT: 0, SERVER: 0}

    def provider(identity: str) -> Callable[[], Configuration]:
        def provide() -> Configuration:
            asked[identity] += 1
            return configurations[identity]

        return provide

    async def main() -> None:
        async with world(configuration=provider(SERVER)) as w:
            before, app = await w.connect(configuration=provider(CLIENT))
            assert before.get_extra_info("alts_peer").identity == SERVER
            configurations[SERVER] = dataclasses.replace(configuration(CLIENT), max_frame_size=1 << 14)
            configurations[CLIENT] = configuration(CLIENT, max_frame_size=1 << 15)
            after, _ = await w.connect(configuration=provider(CLIENT))
            assert after.get_extra_info("alts_peer").identity == CLIENT
            assert after.get_extra_info("alts_negotiated").max_frame_size == 1 << 14
            assert before.get_extra_info("alts_negotiated").max_frame_size == 1 << 20
            (await w.app(0)).wire.write(b"still here")
            await until(lambda: app.received == b"still here")
            assert asked == {CLIENT: 2, SERVER: 2}
            for transport in (before, after):
                transport.close()

    run(main)


@pytest.mark.req("TRUST-9")
def test_a_provider_that_raises_ends_its_handshake_alone() -> None:
    broken = [True]

    def provide() -> Configuration:
        if broken[0]:
            raise RuntimeError("no credential yet")
        return configuration(SERVER)

    async def main() -> None:
        async with world(configuration=provide) as w:
            with pytest.raises((PeerViolation, OSError)):
                await w.connect()
            broken[0] = False
            transport, _ = await w.connect()
            await w.app()
            transport.close()

            def fail() -> Configuration:
                raise LookupError("no file")

            with pytest.raises(LookupError, match="no file"):
                await w.connect(configuration=fail)

    reports: list[str] = []
    run(main, reports=reports)
    assert reports == ["ALTS handshake aborted: a hook or the application raised: no credential yet"]


class _Raw(CodecBase):
    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:
        return bytes(data)


class _Echo:
    async def call(self, stream: grpclib.server.Stream[bytes, bytes]) -> None:
        assert grpclib_adapter.peer_of(stream).identity == CLIENT
        await stream.send_message(await stream.recv_message() or b"")

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        return {"/t.Echo/Call": grpclib.const.Handler(self.call, grpclib.const.Cardinality.UNARY_UNARY, bytes, bytes)}


@pytest.mark.req("RES-8", "ISSUE-8")
def test_a_grpclib_channel_does_all_that_too() -> None:
    failures = Failures()
    present = [client_configuration()]

    async def call(channel: grpclib_adapter.Channel) -> str:
        request = channel.request("/t.Echo/Call", grpclib.const.Cardinality.UNARY_UNARY, bytes, bytes)
        async with request as stream:
            await stream.send_message(b"hello", end=True)
            assert await stream.recv_message() == b"hello"
        return mode(channel.transport)

    async def main() -> None:
        shared = server_configuration()
        served = await grpclib_adapter.serve(
            [_Echo()],
            HOST,
            0,
            configuration=lambda: shared,
            environment=ENVIRONMENT,
            on_handshake_failure=failures,
            codec=_Raw(),
        )

        async def fresh() -> str:
            async with grpclib_adapter.Channel(
                HOST, served.port, configuration=lambda: present[0], environment=ENVIRONMENT, codec=_Raw()
            ) as channel:
                return await call(channel)

        assert await fresh() == "full"
        assert await fresh() == "server_ticket"
        assert failures == []
        present[0] = client_configuration(OTHER_CLIENT_KEYS)
        assert await fresh() == "full"
        assert failures.codes == ["PEER_ALERT"]
        served.close()
        await served.wait_closed()

    run(main)
