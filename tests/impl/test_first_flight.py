"""What a listener reads, and that nothing of the application travels early: HS-11, HS-12, TRADE-3, TRADE-5."""

from __future__ import annotations

import dataclasses

import pytest

from alts import (
    HANDSHAKE_CIPHERS,
    X25519_PFS_SHA256,
    X25519_STATIC_SHA256,
    Configuration,
    Connection,
    ErrorCode,
    Role,
    State,
    UsageError,
)
from alts_schema import certificate_pb2, handshake_pb2
from tests.impl.pair import code, payload
from tests.impl.test_resumption import CLIENT, SERVER, World

SECRET = b"the application's first words"


class Listener:
    """Keeps what passes, and reads it with nothing but the public schema: no key, no state."""

    def __init__(self) -> None:
        self.heard = b""

    def __call__(self, flight: bytes) -> bytes:
        self.heard += flight
        return flight

    def frames(self) -> list[tuple[int, bytes]]:
        found, at = [], 0
        while at < len(self.heard):
            size = int.from_bytes(self.heard[at : at + 4], "little")
            found.append((int.from_bytes(self.heard[at + 4 : at + 8], "little"), self.heard[at + 8 : at + 4 + size]))
            at += 4 + size
        return found

    def identities(self) -> list[str]:
        """The identities in the certificates that went by."""
        found = []
        for number, body in self.frames():
            raw = b""
            if number == 16:
                raw = handshake_pb2.ClientInit.FromString(body).certificate
            elif number == 17:
                raw = handshake_pb2.ServerInit.FromString(body).certificate
            if raw:
                certificate = certificate_pb2.HandshakeCertificate.FromString(raw)
                found.append(certificate_pb2.HandshakeCertificateBody.FromString(certificate.body).identity)
        return found


@pytest.mark.req("HS-11", "TRADE-3")
@pytest.mark.parametrize("cipher", HANDSHAKE_CIPHERS)
def test_a_listener_reads_both_identities_of_a_full_handshake_with_every_cipher(cipher: str) -> None:
    world, listener = World(cipher), Listener()
    world.run(between=listener)
    assert listener.identities() == [CLIENT, SERVER]


@pytest.mark.req("HS-11", "TRADE-3")
@pytest.mark.parametrize("cipher", [X25519_STATIC_SHA256, X25519_PFS_SHA256])
def test_a_resumed_handshake_shows_the_client_and_links_the_two_sessions(cipher: str) -> None:
    world, first, second = World(cipher), Listener(), Listener()
    world.run(between=first)
    world.run(server=world.replica, between=second)
    assert second.identities() == [CLIENT]
    tickets = [handshake_pb2.ServerFinished.FromString(body).ticket for number, body in first.frames() if number == 18]
    (shown,) = [handshake_pb2.ClientInit.FromString(body).ticket for number, body in second.frames() if number == 16]
    assert (shown.ticket, shown.resumption_id) == (tickets[0].ticket, tickets[0].resumption_id)


def client_of(world: World, configuration: Configuration | None = None) -> Connection:
    return Connection(Role.CLIENT, configuration or world.client, world.environment)


@pytest.mark.req("HS-12", "TRADE-5")
@pytest.mark.parametrize("resumes", [False, True])
def test_neither_side_sends_payload_before_the_peer_is_authenticated(resumes: bool) -> None:
    """A ticket changes nothing about it: its holder waits for ServerFinished, and the server for ClientFinished."""
    world = World()
    if resumes:
        world.mode()
    client, server = client_of(world), Connection(Role.SERVER, world.server, world.environment)
    for end in (client, server):
        with pytest.raises(UsageError):
            end.send(SECRET)
        assert end.data_to_send() == b""
    client.start()
    first = client.data_to_send()
    assert handshake_pb2.ClientInit.FromString(first[8:]).HasField("ticket") is resumes
    with pytest.raises(UsageError):
        client.send(SECRET)
    assert client.data_to_send() == b"", "one ClientInit is the whole first flight"
    server.receive_data(first)
    with pytest.raises(UsageError):
        server.send(SECRET)
    flight = server.data_to_send()
    client.receive_data(flight)
    client.send(SECRET)
    with pytest.raises(UsageError):
        server.send(SECRET)
    assert server.data_to_send() == b""
    assert payload(server.receive_data(client.data_to_send())) == SECRET
    server.send(b"answer")
    assert payload(client.receive_data(server.data_to_send())) == b"answer"


@pytest.mark.req("HS-12", "TRADE-5")
@pytest.mark.parametrize("resumes", [False, True])
def test_a_server_takes_no_payload_with_the_first_flight(resumes: bool) -> None:
    """Whatever a data frame after ClientInit holds, a recorded genuine one too, it ends the handshake unread."""
    world = World()
    genuine, peer = client_of(world), Connection(Role.SERVER, world.server, world.environment)
    genuine.start()
    peer.receive_data(genuine.data_to_send())
    genuine.receive_data(peer.data_to_send())
    peer.receive_data(genuine.data_to_send())
    genuine.send(SECRET)
    recorded = genuine.data_to_send()[8:]
    client = client_of(world, world.client if resumes else dataclasses.replace(world.client, resumption=None))
    client.start()
    first = client.data_to_send()
    assert handshake_pb2.ClientInit.FromString(first[8:]).HasField("ticket") is resumes
    for body in (SECRET, b"", recorded):
        early = (len(body) + 4).to_bytes(4, "little") + (6).to_bytes(4, "little") + body
        server = Connection(Role.SERVER, world.replica, world.environment)
        events = server.receive_data(first + early)
        assert code(events) == ErrorCode.UNEXPECTED_MESSAGE
        assert payload(events) == b""
        assert server.state == State.FAILED


@pytest.mark.req("HS-12", "HS-9")
def test_a_server_that_sends_data_before_client_finished_is_refused() -> None:
    world = World()
    client, server = client_of(world), Connection(Role.SERVER, world.server, world.environment)
    client.start()
    server.receive_data(client.data_to_send())
    flight = server.data_to_send()
    size = 4 + int.from_bytes(flight[:4], "little")
    early = (20).to_bytes(4, "little") + (6).to_bytes(4, "little") + bytes(16)
    assert code(client.receive_data(flight[:size] + early)) == ErrorCode.UNEXPECTED_MESSAGE
