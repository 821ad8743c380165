"""Tickets of who is not the same any more, and of who is somebody else: neither resumes (SPEC 12.6, 14.6)."""

from __future__ import annotations

import dataclasses

import pytest

from alts import Connection, ConnectionFailed, HandshakeCompleted, Role
from alts_schema import handshake_pb2 as messages
from tests.impl.test_resumption import CLIENT, SERVER, World, resumption, without_keys


@pytest.mark.req("TRUST-3", "RES-3", "RES-4", "RES-8")
@pytest.mark.parametrize("resumed", ["client_ticket", "server_ticket"])
@pytest.mark.parametrize("changed", ["maker", "holder"])
@pytest.mark.parametrize("new", ["machine", "another identity"])
def test_an_end_that_is_another_now_does_not_go_on_as_who_it_was(resumed: str, changed: str, new: str) -> None:
    """A holder of credentials outlives each of them; the peer of a resumed session would hear of the old one."""
    world = World()
    client, server = world.client, world.server
    if resumed == "client_ticket":
        client = without_keys(client)
    else:
        server = without_keys(server)
    assert [world.mode(client, server) for _ in range(2)] == ["full", resumed]
    client_is_new = (resumed == "client_ticket") is (changed == "holder")
    old = CLIENT if client_is_new else SERVER
    credential = world.realm.machine(old) if new == "machine" else world.realm.workload("prod/other")
    if client_is_new:
        client = dataclasses.replace(client, credential=credential)
    else:
        server = dataclasses.replace(server, credential=credential)
        client = dataclasses.replace(client, target_identities=frozenset({SERVER, "prod/other"}))
    at_client, at_server = world.run(client, server)
    one, two = at_client[0], at_server[0]
    assert isinstance(one, HandshakeCompleted), (at_client, at_server)
    assert isinstance(two, HandshakeCompleted), (at_client, at_server)
    assert one.negotiated.mode == "full"
    seen = two.peer if client_is_new else one.peer
    assert (seen.identity, seen.category) == (credential.identity, credential.peer.category)


@pytest.mark.req("RES-7", "RES-8")
@pytest.mark.parametrize("made_up", [False, True])
def test_a_client_init_of_somebody_else_wastes_a_held_ticket_and_no_more(made_up: bool) -> None:
    """SPEC 14.6: sent again as it was, or put together from what a listener saw."""
    world = World()
    server = without_keys(world.server)
    seen: list[bytes] = []

    def listen(flight: bytes) -> bytes:
        seen.append(flight)
        return flight

    world.run(server=server, between=listen)
    held = resumption(server).cache
    assert len(held) == 1
    again = seen[0]
    if made_up:
        init = messages.ClientInit.FromString(again[8:])
        init.nonce = world.random.randbytes(32)
        again = again[:8] + init.SerializeToString(deterministic=True)
    for _ in range(2):
        stranger = Connection(Role.SERVER, server, world.environment)
        assert stranger.receive_data(again) == []
        assert stranger.data_to_send()
        assert len(held) == 0
        assert isinstance(stranger.receive_data(bytes.fromhex("0400000013000000"))[0], ConnectionFailed)
    assert world.mode(server=server) == "full"
    assert world.mode(server=server) == "server_ticket"
