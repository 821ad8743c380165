"""Ciphers and resumption of the handshaker service: defaults, tickets, audit lines, reload (SPEC 9, 12)."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from alts import (
    HANDSHAKE_CIPHERS,
    X25519_KCI_SHA256,
    X25519_PFS_SHA256,
    X25519_STATIC_SHA256,
    Category,
    ConfigurationError,
    Environment,
    Realm,
    Resumption,
    ResumptionKeys,
)
from alts.handshaker import HandshakerSession, Identities
from alts.realm import RealmDirectory
from alts_schema import handshake_pb2 as messages
from alts_schema import handshaker_pb2 as wire
from tests.impl.handshaker_stacks import CLIENT, SERVER, account, client_start, following, server_start
from tests.impl.pair import NOW
from tests.impl.test_handshaker_cli import run, service
from tests.impl.test_handshaker_service import LONG, Stack, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

KEYS = {
    CLIENT: ResumptionKeys(b"C" * 16, {1: b"c" * 32}),
    SERVER: ResumptionKeys(b"S" * 16, {1: b"s" * 32}),
}
ALL = tuple(HANDSHAKE_CIPHERS)


class Fleet:
    """Any number of services of one realm; `identities` of one with ciphers, and keys where it resumes."""

    def __init__(self) -> None:
        self.random = random.Random(3)
        self.realm = Realm(self.random.randbytes, NOW)
        self.environment = Environment(lambda: NOW + 10.0, self.random.randbytes)
        self.credentials = [self.realm.workload(CLIENT), self.realm.workload(SERVER)]

    def identities(self, *ciphers: str, resume: bool = True) -> Identities:
        states = {name: Resumption(keys) for name, keys in KEYS.items()} if resume else None
        chosen: dict[str, Any] = {"ciphers": ciphers} if ciphers else {}
        return Identities.of(self.credentials[0], self.credentials[1:], self.realm.trust(), resumption=states, **chosen)


def mode_of(flight: bytes) -> tuple[str, str]:
    """Return mode and handshake cipher of the ServerInit at the beginning of a server's flight."""
    size = 4 + int.from_bytes(flight[:4], "little")
    assert flight[4:8] == (17).to_bytes(4, "little")
    init = messages.ServerInit.FromString(flight[8:size])
    return messages.Mode.Name(init.mode), init.handshake_cipher


def join(
    client: Callable[[wire.HandshakerReq], wire.HandshakerResp],
    server: Callable[[wire.HandshakerReq], wire.HandshakerResp],
    targets: Sequence[str] = (SERVER,),
) -> tuple[str, str]:
    """Join two streams back to back; return mode and cipher as they were on the wire."""
    hello = client(client_start(target_identities=[account(name) for name in targets]))
    flight = server(server_start(hello.out_frames))
    done = client(following(flight.out_frames))
    last = server(following(done.out_frames))
    assert done.result.key_data == last.result.key_data != b""
    assert (done.result.peer_identity.service_account, last.result.peer_identity.service_account) == (SERVER, CLIENT)
    return mode_of(flight.out_frames)


def sessions(fleet: Fleet, client: Identities, server: Identities, targets: Sequence[str] = (SERVER,)) -> str:
    """Run one handshake between two services, sans-IO; return its mode."""
    one, two = (HandshakerSession(each, fleet.environment) for each in (client, server))
    mode, cipher = join(one.receive, two.receive, targets)
    for session, role in ((one, "client"), (two, "server")):
        assert session.role == role
        assert session.completed is not None
        assert session.completed.negotiated.mode == mode.lower()
        assert session.completed.negotiated.handshake_cipher == cipher
    return mode


@pytest.mark.req("HS-10", "TRUST-6")
def test_only_the_default_cipher_is_allowed_unless_told() -> None:
    fleet = Fleet()
    hello = HandshakerSession(fleet.identities(), fleet.environment).receive(client_start()).out_frames
    init = messages.ClientInit.FromString(hello[8:])
    assert list(init.handshake_ciphers) == [X25519_STATIC_SHA256]
    assert init.resumption_id == b"C" * 16
    told = fleet.identities(X25519_PFS_SHA256, X25519_STATIC_SHA256)
    hello = HandshakerSession(told, fleet.environment).receive(client_start()).out_frames
    assert list(messages.ClientInit.FromString(hello[8:]).handshake_ciphers) == [
        X25519_PFS_SHA256,
        X25519_STATIC_SHA256,
    ]
    refusing = HandshakerSession(fleet.identities(X25519_KCI_SHA256), fleet.environment)
    refusing.receive(server_start(hello))
    assert refusing.violation is not None
    assert refusing.violation.code.name == "NO_COMMON_HANDSHAKE_CIPHER"
    with pytest.raises(ConfigurationError, match="lists none of X25519_FUTURE"):
        fleet.identities("X25519_FUTURE")


@pytest.mark.req("HS-4", "HS-10", "TRADE-2", "TRUST-6")
@pytest.mark.parametrize("cipher", ALL)
def test_each_cipher_over_the_service(cipher: str) -> None:
    fleet = Fleet()
    one, two = (HandshakerSession(fleet.identities(*some), fleet.environment) for some in (ALL, (cipher,)))
    assert join(one.receive, two.receive) == ("FULL", cipher)


@pytest.mark.req("RES-4", "RES-5", "RES-6", "RES-3")
def test_a_fleet_resumes_through_one_service_and_through_two_that_share_keys() -> None:
    fleet = Fleet()
    first, second = fleet.identities(), fleet.identities()
    modes = [sessions(fleet, first, first), sessions(fleet, first, first), sessions(fleet, first, second)]
    assert modes == ["FULL", "CLIENT_TICKET", "CLIENT_TICKET"]
    # the other direction: the client names no target, so it has nothing to present; any replica's ticket will do
    assert sessions(fleet, second, first, ()) == "SERVER_TICKET"


@pytest.mark.req("RES-8", "TRADE-2")
def test_without_keys_or_with_the_kci_resistant_cipher_every_handshake_is_full() -> None:
    fleet = Fleet()
    plain, resuming = fleet.identities(resume=False), fleet.identities()
    for client, server in ((plain, plain), (plain, resuming), (resuming, plain)):
        assert sessions(fleet, client, server) == "FULL"
    stern = fleet.identities(X25519_KCI_SHA256)
    assert [sessions(fleet, stern, stern) for _ in range(2)] == ["FULL", "FULL"]


@pytest.mark.req("TRUST-5", "RES-5")
def test_the_log_tells_whether_a_session_was_resumed_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    import asyncio

    async def main() -> None:
        async with serving(LONG, bench) as stack:
            for _ in range(2):
                await meet(stack)

    async def meet(stack: Stack) -> None:
        client, server = stack.stream(), stack.stream()
        hello = await client.ask(client_start(target_identities=[account(SERVER)]))
        flight = await server.ask(server_start(hello.out_frames))
        done = await client.ask(following(flight.out_frames))
        last = await server.ask(following(done.out_frames))
        keys.append(last.result.key_data)
        await client.status()
        await server.status()

    bench: Any = Fleet()
    bench.identities = bench.identities()
    keys: list[bytes] = []
    with caplog.at_level(logging.INFO, logger="alts.handshaker"):
        asyncio.run(main())
    lines = [record.getMessage() for record in caplog.records if "complete" in record.getMessage()]
    starts = [
        f"handshake complete: {who} with workload {whom}: {how}, {X25519_STATIC_SHA256}, ALTSRP_GCM_AES128_REKEY, "
        for how in ("full", "resumed by client_ticket")
        for who, whom in ((f"client {CLIENT}", SERVER), (f"server {SERVER}", CLIENT))
    ]
    assert [line.partition("transcript ")[0] for line in lines] == starts
    hashes = [line.partition("transcript ")[2] for line in lines]
    assert hashes[0] == hashes[1] != hashes[2] == hashes[3]
    secrets = [*(key.hex() for key in keys), *(key.hex() for own in KEYS.values() for key in own.keys.values())]
    assert not any(secret in line for secret in secrets for line in lines)


# -- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def realm(tmp_path: Path) -> RealmDirectory:
    made = RealmDirectory.create(tmp_path / "realm", name="tests", random=os.urandom)
    for name in ("client", "server"):
        made.issue(name, f"shop/{name}", Category.WORKLOAD, clock=time.time, random=os.urandom)
    for identity in (CLIENT, SERVER):
        made.rotate_resumption_key(identity, clock=time.time, random=os.urandom)
    return made


class Stream:
    """One stream of a service on a port, synchronous."""

    def __init__(self, channel: grpc.Channel) -> None:
        import queue

        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        method: Any = channel.stream_stream("/grpc.gcp.HandshakerService/DoHandshake")
        self._call = method(iter(self._requests.get, None))

    def ask(self, request: wire.HandshakerReq) -> wire.HandshakerResp:
        self._requests.put(request.SerializeToString())
        answer = wire.HandshakerResp.FromString(next(self._call))
        if answer.HasField("result"):
            self._requests.put(None)
        return answer


def meet(client: grpc.Channel, server: grpc.Channel) -> tuple[str, str]:
    return join(Stream(client).ask, Stream(server).ask)


def options(realm: RealmDirectory, *more: str) -> list[str]:
    return ["--realm", str(realm.path), "--identity", "client", "--listen", "127.0.0.1:0", *more]


def channel(ready: dict[str, Any]) -> grpc.Channel:
    return grpc.insecure_channel(f"127.0.0.1:{ready['ports'][0]}", [("grpc.use_local_subchannel_pool", 1)])


@pytest.mark.req("RES-5", "RES-8", "CRED-3")
def test_two_services_share_the_keys_of_a_realm_directory(realm: RealmDirectory) -> None:
    with (
        service(*options(realm)) as (_, first),
        service(*options(realm)) as (_, second),
        service(*options(realm, "--no-resumption")) as (_, full),
        channel(first) as one,
        channel(second) as two,
        channel(full) as three,
    ):
        assert meet(one, one)[0] == "FULL"
        assert meet(one, two)[0] == "CLIENT_TICKET"
        assert meet(one, three)[0] == "FULL"
        assert meet(three, two)[0] == "FULL"


@pytest.mark.req("ISSUE-8", "REVOKE-6", "RES-2")
def test_a_reload_brings_rotated_keys_and_revocations_and_keeps_the_tickets(realm: RealmDirectory) -> None:
    def reload(expected: bool) -> None:
        process.send_signal(signal.SIGHUP)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["reloaded"] is expected

    with service(*options(realm)) as (process, ready), channel(ready) as line:
        assert meet(line, line)[0] == "FULL"
        for _ in range(2):
            realm.rotate_resumption_key(SERVER, clock=time.time, random=os.urandom)
            reload(True)
            assert meet(line, line)[0] == "CLIENT_TICKET"
        damaged = realm.path / "revoked.json"
        good = damaged.read_text()
        damaged.write_text("{")
        reload(False)
        assert meet(line, line)[0] == "CLIENT_TICKET"  # the old one stays in force
        damaged.write_text(good)
        realm.revoke(realm.credential("client").parsed.body.revocation_id)
        reload(True)
        client, server = Stream(line), Stream(line)
        hello = client.ask(client_start(target_identities=[account(SERVER)]))
        assert server.ask(server_start(hello.out_frames)).status.details.startswith("CERTIFICATE_REVOKED")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_test_realm_resumes_and_takes_its_ciphers_from_the_command_line() -> None:
    arguments = ["--test-realm", "--identity", CLIENT, "--listen", "127.0.0.1:0"]
    arguments += ["--cipher", X25519_PFS_SHA256, "--cipher", X25519_STATIC_SHA256]
    with service(*arguments) as (_, ready), channel(ready) as line:
        own = [account("test/server")]

        def once() -> tuple[str, str]:
            client, server = Stream(line), Stream(line)
            hello = client.ask(client_start(target_identities=own))
            flight = server.ask(server_start(hello.out_frames, local=own))
            done = client.ask(following(flight.out_frames))
            assert server.ask(following(done.out_frames)).result.key_data == done.result.key_data
            return mode_of(flight.out_frames)

        # with forward secrecy the server makes no ticket, and attaches the client's
        assert [once(), once()] == [("FULL", X25519_PFS_SHA256), ("SERVER_TICKET", X25519_PFS_SHA256)]


@pytest.mark.parametrize("wrong", [["--cipher", "X25519_FUTURE"], ["--cipher", X25519_PFS_SHA256] * 2, ["--cipher"]])
def test_a_cipher_that_is_none_or_comes_twice_is_exit_2(wrong: list[str]) -> None:
    assert run("--test-realm", *wrong) == 2


def test_a_damaged_resumption_key_is_exit_3(realm: RealmDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (realm.path / "resumption").iterdir():
        path.write_text("{}")
    assert run(*options(realm)) == 3
    assert "resumption" in capsys.readouterr().err
