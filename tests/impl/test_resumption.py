"""Handshake ciphers and resumption through the public API (SPEC 7.2, 12; HS-10, RES-1 to RES-8, TRADE-2)."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519

from alts import (
    HANDSHAKE_CIPHERS,
    X25519_KCI_SHA256,
    X25519_MLKEM768_PFS_SHA256,
    X25519_PFS_SHA256,
    X25519_STATIC_SHA256,
    Configuration,
    Connection,
    Environment,
    ErrorCode,
    Event,
    HandshakeCompleted,
    Policy,
    Realm,
    Resumption,
    ResumptionKeys,
    Role,
    UsedSecretsInMemory,
)
from alts_schema import handshake_pb2 as messages
from tests.impl.pair import NOW, code, failure, payload

CLIENT, SERVER = "prod/frontend", "prod/backend"
RESUMABLE = [X25519_STATIC_SHA256, X25519_PFS_SHA256, X25519_MLKEM768_PFS_SHA256]


class World:
    """A client and two server replicas of one realm that can resume; time passes by hand."""

    def __init__(self, cipher: str = X25519_STATIC_SHA256, *, pfs_tickets: bool = True) -> None:
        self.random = random.Random(5)
        self.now = NOW + 100
        self.realm = Realm(self.random.randbytes, NOW)
        self.environment = Environment(lambda: self.now, self.random.randbytes)
        server_keys = ResumptionKeys(b"S" * 16, {1: b"s" * 32})
        client_keys = ResumptionKeys(b"C" * 16, {1: b"c" * 32})
        self.client = self.endpoint(CLIENT, cipher, client_keys, pfs_tickets, {SERVER})
        self.server = self.endpoint(SERVER, cipher, server_keys, pfs_tickets)
        self.replica = self.endpoint(SERVER, cipher, server_keys, pfs_tickets)

    def endpoint(
        self, identity: str, cipher: str, keys: ResumptionKeys, pfs_tickets: bool, targets: Any = ()
    ) -> Configuration:
        return Configuration(
            self.realm.workload(identity),
            self.realm.trust(),
            handshake_ciphers=(cipher,),
            target_identities=frozenset(targets),
            resumption=Resumption(keys, server_tickets_with_pfs=pfs_tickets),
        )

    def run(
        self, client: Configuration | None = None, server: Configuration | None = None, between: Any = None
    ) -> tuple[list[Event], list[Event]]:
        """Run one handshake and a byte of payload each way; `between` may change each flight."""
        change = between or (lambda flight: flight)
        one = Connection(Role.CLIENT, client or self.client, self.environment)
        two = Connection(Role.SERVER, server or self.server, self.environment)
        one.start()
        at_server: list[Event] = []
        at_client: list[Event] = []
        for _ in range(3):
            at_server += two.receive_data(change(one.data_to_send()))
            at_client += one.receive_data(change(two.data_to_send()))
        if one.state == two.state == "OPEN":
            one.send(b"request")
            assert payload(two.receive_data(one.data_to_send())) == b"request"
            two.send(b"answer")
            assert payload(one.receive_data(two.data_to_send())) == b"answer"
        return at_client, at_server

    def mode(self, client: Configuration | None = None, server: Configuration | None = None) -> str:
        """Run a handshake that completes, and return its mode; both ends agree on everything."""
        at_client, at_server = self.run(client, server)
        one, two = at_client[0], at_server[0]
        assert isinstance(one, HandshakeCompleted), at_client
        assert isinstance(two, HandshakeCompleted), at_server
        assert one.negotiated == two.negotiated
        assert (one.peer.identity, two.peer.identity) == (SERVER, CLIENT)
        assert one.evidence.transcript_hash == two.evidence.transcript_hash
        return one.negotiated.mode


def without_keys(configuration: Configuration) -> Configuration:
    """The same endpoint, which makes no tickets of its own."""
    assert configuration.resumption is not None
    return dataclasses.replace(configuration, resumption=dataclasses.replace(configuration.resumption, keys=None))


def resumption(configuration: Configuration) -> Resumption:
    assert configuration.resumption is not None
    return configuration.resumption


@pytest.mark.req("HS-9", "RES-6")
@pytest.mark.parametrize("broken_call", range(1, 6))
def test_a_clock_that_fails_sends_nothing_but_an_alert(broken_call: int) -> None:
    """In no handshake does one end complete because of a message that the other sent while it failed by itself."""
    world, calls = World(), 0

    def clock() -> int:
        nonlocal calls
        calls += 1
        if calls == broken_call:
            raise OSError("the clock is gone")
        return world.now

    one = Connection(Role.CLIENT, world.client, Environment(clock, world.random.randbytes))
    two = Connection(Role.SERVER, world.server, world.environment)
    failed = False
    try:
        one.start()
        two.receive_data(one.data_to_send())
        one.receive_data(two.data_to_send())
    except OSError:
        failed = True
    sent = one.data_to_send()
    events = two.receive_data(sent)
    if failed:
        assert sent == b"" or sent[4:8] == bytes([31, 0, 0, 0])
        assert not any(isinstance(event, HandshakeCompleted) for event in events)
    else:
        assert calls < broken_call
        assert isinstance(events[0], HandshakeCompleted)


@pytest.mark.req("HS-10", "TRADE-2", "TRUST-7")
@pytest.mark.parametrize("cipher", HANDSHAKE_CIPHERS)
def test_every_cipher_agrees_on_keys(cipher: str) -> None:
    world = World(cipher)
    assert world.mode() == "full"


@pytest.mark.req("RES-3", "RES-4", "RES-5", "RES-6")
@pytest.mark.parametrize("cipher", RESUMABLE)
def test_the_clients_ticket_resumes_with_a_replica_that_took_no_part(cipher: str) -> None:
    world = World(cipher)
    assert world.mode() == "full"
    assert world.mode(server=world.replica) == "client_ticket"
    assert world.mode(server=world.server) == "client_ticket"  # R -> R' -> R''


@pytest.mark.req("RES-3", "RES-5")
@pytest.mark.parametrize("cipher", RESUMABLE)
def test_the_server_attaches_a_client_made_ticket(cipher: str) -> None:
    world = World(cipher, pfs_tickets=False)
    server = without_keys(world.server)
    assert world.mode(server=server) == "full"
    client_replica = dataclasses.replace(world.client, resumption=Resumption(resumption(world.client).keys))
    assert world.mode(client=client_replica, server=server) == "server_ticket"
    assert world.mode(server=server) == "server_ticket"


@pytest.mark.req("HS-10", "RES-2")
def test_with_forward_secrecy_the_server_makes_no_ticket_by_default() -> None:
    world = World(X25519_PFS_SHA256, pfs_tickets=False)
    world.mode()
    assert len(resumption(world.client).cache) == 0
    assert len(resumption(world.server).cache) == 1


@pytest.mark.req("TRADE-2")
def test_the_kci_resistant_cipher_takes_part_in_no_resumption() -> None:
    world = World(X25519_KCI_SHA256)
    assert [world.mode(), world.mode()] == ["full", "full"]
    assert len(resumption(world.client).cache) == len(resumption(world.server).cache) == 0


@pytest.mark.req("RES-1")
def test_a_resumed_static_handshake_does_no_asymmetric_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    counted: list[str] = []

    def counting(name: str, original: Any) -> Any:
        def wrapped(*arguments: Any) -> Any:
            counted.append(name)
            return original(*arguments)

        return wrapped

    import alts._key_schedule
    import alts._trust

    monkeypatch.setattr("alts._key_schedule.diffie_hellman", counting("x25519", alts._key_schedule.diffie_hellman))
    monkeypatch.setattr("alts._trust._verify_signature", counting("verify", alts._trust._verify_signature))
    assert world.mode() == "full"
    assert sorted(counted) == ["verify"] * 4 + ["x25519"] * 2
    counted.clear()
    for owner, method in (
        (x25519.X25519PrivateKey, "from_private_bytes"),
        (ed25519.Ed25519PublicKey, "from_public_bytes"),
    ):
        monkeypatch.setattr(owner, method, classmethod(lambda cls, *a: pytest.fail("asymmetric operation")))
    assert world.mode(server=world.replica) == "client_ticket"
    assert counted == []


@pytest.mark.req("RES-7")
def test_a_ticket_that_comes_again_is_not_accepted_again() -> None:
    world = World()
    world.mode()
    seen: list[bytes] = []

    def keep(flight: bytes) -> bytes:
        seen.append(flight)
        return flight

    world.run(between=keep)
    again = Connection(Role.SERVER, world.server, world.environment)
    again.receive_data(seen[0])
    answer = again.data_to_send()
    init = messages.ServerInit.FromString(answer[8 : 4 + int.from_bytes(answer[:4], "little")])
    assert init.mode != messages.CLIENT_TICKET


@pytest.mark.req("RES-7")
def test_a_full_memory_refuses_resumption_rather_than_forget() -> None:
    world = World()
    server = dataclasses.replace(
        world.server, resumption=Resumption(resumption(world.server).keys, used=UsedSecretsInMemory(1))
    )
    assert [world.mode(server=server) for _ in range(4)] == ["full", "client_ticket", "server_ticket", "server_ticket"]


@pytest.mark.req("RES-8")
@pytest.mark.parametrize(
    "break_it", ["expired", "unknown_epoch", "other_idr", "garbage", "revoked", "policy", "wrong_identity", "short"]
)
def test_an_unusable_client_ticket_costs_nothing_but_the_full_handshake(break_it: str) -> None:
    world = World()
    client = without_keys(world.client)  # so that the server has nothing to attach
    world.mode(client=client)
    held = resumption(client).cache.take({SERVER}, world.now)
    assert held is not None
    server, expected = world.server, "full"
    if break_it == "expired":
        world.now += 86401
        held = held._replace(expires=world.now + 5, session=dataclasses.replace(held.session, created=world.now))
    elif break_it == "unknown_epoch":
        held = held._replace(key_epoch=2)
    elif break_it == "other_idr":
        held = held._replace(resumption_id=b"X" * 16)
    elif break_it == "garbage":
        held = held._replace(ticket=bytes(100))
    elif break_it == "short":
        held = held._replace(ticket=b"x")
    elif break_it == "revoked":
        old = held.session.own.revocation_ids[0]
        server = dataclasses.replace(server, trust=dataclasses.replace(server.trust, is_revoked=lambda n: n == old))
        client = dataclasses.replace(client, credential=world.realm.workload(CLIENT))  # rotated since
    elif break_it == "policy":
        server = dataclasses.replace(server, trust=dataclasses.replace(server.trust, policy=Policy(())))
        expected = "refused"
    elif break_it == "wrong_identity":
        client = dataclasses.replace(client, credential=world.realm.workload("prod/other"))
    resumption(client).cache.put(held)
    at_client, at_server = world.run(client, server)
    if expected == "refused":
        assert code(at_server) is ErrorCode.POLICY_DENIED
        return
    done = at_client[0]
    assert isinstance(done, HandshakeCompleted), (at_client, at_server)
    assert done.negotiated.mode == "full"


@pytest.mark.req("RES-8")
def test_an_unusable_attached_ticket_is_refused_with_its_own_alert() -> None:
    world = World()
    server = without_keys(world.server)
    world.mode(server=server)
    client_keys = ResumptionKeys(b"C" * 16, {1: b"d" * 32})  # the same epoch, another key
    client = dataclasses.replace(world.client, resumption=Resumption(client_keys))
    at_client, at_server = world.run(client, server)
    assert code(at_client) is ErrorCode.TICKET_REFUSED
    assert failure(at_server).alert_code == ErrorCode.TICKET_REFUSED
    assert world.mode(client=client, server=server) == "full"


@pytest.mark.req("RES-2", "RES-5")
def test_a_rotated_key_opens_old_tickets_and_a_dropped_one_is_not_even_tried() -> None:
    world = World()
    server = without_keys(world.server)
    world.mode(server=server)
    resumption(world.client).keys = ResumptionKeys(b"C" * 16, {1: b"c" * 32, 2: b"n" * 32})
    assert world.mode(server=server) == "server_ticket"
    resumption(world.client).keys = ResumptionKeys(b"C" * 16, {3: b"m" * 32})
    assert world.mode(server=server) == "full"


@pytest.mark.req("RES-2")
def test_a_chain_ends_48_hours_after_its_full_handshake() -> None:
    world = World()
    modes = []
    for _ in range(8):
        modes.append(world.mode())
        world.now += 8 * 3600
    assert modes == ["full", *["client_ticket"] * 5, "full", "client_ticket"]


@pytest.mark.req("RES-4", "TRUST-1")
def test_a_reflected_ticket_resumes_nothing() -> None:
    """One identity at both ends: the server's own ticket, sent back as a client-made one, opens for nobody."""
    world = World()
    keys = ResumptionKeys(b"S" * 16, {1: b"s" * 32})
    same = world.endpoint(SERVER, X25519_STATIC_SHA256, keys, True, {SERVER})
    world.run(client=same)
    made = resumption(same).cache.take({SERVER}, world.now)
    assert made is not None
    resumption(world.server).cache.take({SERVER}, world.now)
    reflected = made._replace(maker=Role.CLIENT)
    resumption(world.server).cache.put(reflected)  # as if the reflection had been believed
    at_client, _ = world.run(client=dataclasses.replace(same, resumption=Resumption(keys)))
    assert code(at_client) is ErrorCode.TICKET_REFUSED


LOW_ORDER = [
    bytes(32),
    bytes([1]) + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


@pytest.mark.req("HS-1", "HS-10")
@pytest.mark.parametrize("cipher", [X25519_PFS_SHA256, X25519_KCI_SHA256, X25519_MLKEM768_PFS_SHA256])
@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_low_order_ephemeral_is_refused_by_either_side(cipher: str, point: bytes) -> None:
    world = World(cipher)

    def change(kind: int) -> Any:
        def between(flight: bytes) -> bytes:
            out = b""
            while flight:
                size = 4 + int.from_bytes(flight[:4], "little")
                head, body, flight = flight[:8], flight[8:size], flight[size:]
                if head[4] == kind == 16:
                    one = messages.ClientInit.FromString(body)
                    one.key_shares[0].share = point + one.key_shares[0].share[32:]
                    body = one.SerializeToString(deterministic=True)
                elif head[4] == kind == 17:
                    two = messages.ServerInit.FromString(body)
                    two.key_share = point + two.key_share[32:]
                    body = two.SerializeToString(deterministic=True)
                out += head + body
            return out

        return between

    assert code(world.run(between=change(16))[1]) is ErrorCode.BAD_KEY_SHARE
    assert code(world.run(between=change(17))[0]) is ErrorCode.BAD_KEY_SHARE


@pytest.mark.req("HS-10")
def test_an_encapsulation_key_over_the_modulus_is_refused() -> None:
    world = World(X25519_MLKEM768_PFS_SHA256)

    def between(flight: bytes) -> bytes:
        if flight[4:5] != b"\x10":
            return flight
        init = messages.ClientInit.FromString(flight[8:])
        init.key_shares[0].share = init.key_shares[0].share[:32] + b"\xff" * 1152 + init.key_shares[0].share[-32:]
        return flight[:8] + init.SerializeToString(deterministic=True)

    assert code(world.run(between=between)[1]) is ErrorCode.BAD_KEY_SHARE


@pytest.mark.req("HS-10")
def test_a_garbage_ciphertext_shows_as_a_bad_finished() -> None:
    world = World(X25519_MLKEM768_PFS_SHA256)
    server = dataclasses.replace(world.environment, encapsulate=lambda key: (bytes(32), bytes(1088)))
    client = Connection(Role.CLIENT, world.client, world.environment)
    answer = Connection(Role.SERVER, world.server, server)
    client.start()
    answer.receive_data(client.data_to_send())
    assert code(client.receive_data(answer.data_to_send())) is ErrorCode.BAD_FINISHED


def test_no_ephemeral_or_secret_is_left_after_the_handshake() -> None:
    world = World(X25519_MLKEM768_PFS_SHA256)
    client = Connection(Role.CLIENT, world.client, world.environment)
    server = Connection(Role.SERVER, world.server, world.environment)
    client.start()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    for end in (client, server):
        left = vars(end._handshake)
        assert dict(left["_shares"]) == {}
        assert [left[name] for name in ("_secrets", "_mac", "_line", "_resumer")] == [None] * 4
