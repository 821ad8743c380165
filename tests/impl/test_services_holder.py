"""Credentials that change under a running process: new handshakes take them, live connections are not touched."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from alts import ConfigurationError, Credential, ErrorCode, PeerViolation, Realm, Resumption, ResumptionKeys, UsageError
from alts.aio import create_connection, create_server
from alts.policy import Freshness, SignedFileRefused, compile_policy, read_document
from alts.revocation import compile_revocations
from alts.services import (
    AddressBook,
    Anchors,
    Beliefs,
    CredentialHolder,
    FileHolder,
    bundle_of,
    copy_trust,
    found,
    open_bundle,
    read_bundle,
    services_of,
    write_bundle,
)
from alts_schema.issuance_pb2 import POLICY, REVOCATIONS, CredentialBundle
from tests.impl.aio_tools import ENVIRONMENT, NOW, Failures, Recorder, run, until

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
POLICY_TEXT = """\
format = 1
deployment = "production"

[[rule]]
issuer = "cluster-master"
category = "workload"
identity = "prod/**"
"""


def clock() -> float:
    return NOW + 100


class Machine:
    """A trust directory with the keys that sign its files, and a realm that issues for it."""

    def __init__(self, root: Path) -> None:
        self.realm = Realm(random.Random(3).randbytes, NOW)
        self.policy_key, self.revocation_key = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
        self.trust = root / "trust"
        self.trust.mkdir(mode=0o700)
        anchors = Anchors(
            "realm",
            "production",
            self.realm.signing_service.verification_key,
            self.policy_key.public_key().public_bytes_raw(),
            self.revocation_key.public_key().public_bytes_raw(),
            services_of("realm"),
        )
        anchors.save(self.trust)
        assert Anchors.load(self.trust) == anchors
        self.writer = Beliefs(self.trust, clock)
        self.writer.install(POLICY, self.policy_file(1))
        self.writer.install(REVOCATIONS, self.revocation_file(1))

    def policy_file(self, sequence: int, text: str = POLICY_TEXT) -> bytes:
        return compile_policy(read_document(text), key=self.policy_key, sequence=sequence, issued_at=NOW)

    def revocation_file(self, sequence: int, *ids: int) -> bytes:
        return compile_revocations(ids, key=self.revocation_key, sequence=sequence, issued_at=NOW)


async def attempt(port: int, holder: CredentialHolder, **options: Any) -> tuple[Any, Recorder]:
    configuration = dataclasses.replace(holder.configuration, **options)
    return await create_connection(Recorder, HOST, port, configuration=configuration, environment=ENVIRONMENT)


async def server_of(holder: CredentialHolder, failures: Failures) -> Any:
    return await create_server(
        Recorder, HOST, 0, configuration=holder, environment=ENVIRONMENT, on_handshake_failure=failures
    )


async def end(server: Any) -> None:
    server.close()
    server.abort_clients()
    await server.wait_closed()


@pytest.mark.req("CRED-6", "ISSUE-8", "TRUST-9")
def test_new_handshakes_use_the_new_credential_and_live_connections_stay() -> None:
    realm = Realm(random.Random(3).randbytes, NOW)
    client, server_holder = (CredentialHolder(realm.trust()) for _ in range(2))
    first, second = realm.workload("prod/backend"), realm.workload("prod/backend")
    client.update(realm.workload("prod/frontend"))
    server_holder.update(first)

    async def main() -> None:
        server = await server_of(server_holder, Failures())
        port = server.sockets[0].getsockname()[1]
        old, _ = await attempt(port, client)
        server_holder.update(second)
        new, _ = await attempt(port, client)
        seen = [transport.get_extra_info("alts_peer").certificate_digest for transport in (old, new)]
        assert seen == [first.digest, second.digest]
        assert not old.is_closing()
        old.write(b"still here")
        await asyncio.sleep(0)
        for transport in (old, new):
            transport.close()
        await end(server)

    run(main)


@pytest.mark.req("CRED-6")
def test_without_a_credential_there_is_no_configuration_and_a_bad_one_changes_nothing() -> None:
    realm = Realm(random.Random(3).randbytes, NOW)
    holder = CredentialHolder(realm.trust(), Resumption(), handshake_ciphers=("X25519_PFS_SHA256",))
    with pytest.raises(UsageError, match="no credential"):
        _ = holder.configuration
    holder.update(realm.workload("prod/a"))
    before = holder.configuration
    master = realm.cluster_master.issue_master(
        "cluster-master", before.credential.peer.category, not_before=NOW, workload_identities=("**",)
    )
    narrow = realm.cluster_master.issue_handshake(
        master, identity="prod/a", handshake_ciphers=("X25519_STATIC_SHA256",)
    )
    with pytest.raises(ConfigurationError):
        holder.update(narrow, ResumptionKeys(bytes(16), {1: bytes(32)}))
    assert holder.configuration is before
    assert holder.resumption is not None
    assert holder.resumption.keys is None


@pytest.mark.req("CRED-6", "ISSUE-7", "ISSUE-9")
def test_a_workload_reads_what_its_node_agent_writes(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    directory = tmp_path / "workload"
    holder = FileHolder(directory, machine.trust, clock, Resumption())
    with pytest.raises(UsageError):
        _ = holder.configuration
    keys = ResumptionKeys(bytes(range(16)), {1: bytes(32), 2: bytes(range(32))})
    first, second = (machine.realm.workload("prod/a") for _ in range(2))
    assert write_bundle(directory, bundle_of(first, keys, "cell-1"))
    assert not write_bundle(directory, bundle_of(first, keys, "cell-1")), "nothing new: nothing written"
    assert (directory / "credential").stat().st_mode & 0o777 == 0o600
    opened, opened_keys = open_bundle(read_bundle(directory))
    assert (opened.certificate, opened_keys) == (first.certificate, keys)
    before = holder.configuration
    assert (before.credential.certificate, holder.resumption and holder.resumption.keys) == (first.certificate, keys)
    assert holder.configuration is before, "nothing new: nothing made"
    write_bundle(directory, bundle_of(second))
    assert holder.configuration.credential.certificate == second.certificate


@pytest.mark.req("CRED-6")
@pytest.mark.parametrize("damage", ["empty", "garbage", "wrong key", "wrong identity", "too open", "a directory"])
def test_a_damaged_credential_leaves_the_last_good_one_in_use(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(tmp_path)
    directory = tmp_path / "workload"
    first, second = (machine.realm.workload("prod/a") for _ in range(2))
    write_bundle(directory, bundle_of(first))
    holder = FileHolder(directory, machine.trust, clock)
    before = holder.configuration
    path, bundle = directory / "credential", bundle_of(second)
    if damage == "wrong key":
        bundle.private_key = bytes(32)
    elif damage == "wrong identity":
        bundle.identity = "prod/b"
    if damage in ("empty", "garbage"):
        path.write_bytes(b"" if damage == "empty" else b"\xff" * 100)
    elif damage == "a directory":
        path.unlink()
        path.mkdir()
    else:
        write_bundle(directory, bundle)
        if damage == "too open":
            path.chmod(0o644)
    assert holder.configuration is before
    assert len(caplog.records) == 1
    assert bundle.private_key.hex() not in caplog.text
    if damage == "a directory":
        path.rmdir()
    else:
        path.unlink()
    write_bundle(directory, bundle_of(second))
    assert holder.configuration.credential.certificate == second.certificate


@given(st.binary(max_size=300))
def test_no_bundle_is_too_odd_to_be_refused(data: bytes) -> None:
    bundle = CredentialBundle(identity="a", certificate=data, private_key=bytes(32))
    with pytest.raises(ConfigurationError):
        open_bundle(bundle)
    with pytest.raises(ConfigurationError):
        open_bundle(CredentialBundle(private_key=data[:31]))


@pytest.mark.req("REVOKE-6", "REVOKE-7", "POLICY-1", "POLICY-2")
def test_a_new_file_acts_at_the_next_handshake(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    client = machine.realm.workload("prod/frontend")
    for name, credential in (("server", machine.realm.workload("prod/backend")), ("client", client)):
        write_bundle(tmp_path / name, bundle_of(credential))
    server_holder = FileHolder(tmp_path / "server", machine.trust, clock)
    client_holder = CredentialHolder(machine.realm.trust())
    client_holder.update(client)
    failures = Failures()

    async def refused(port: int) -> str:
        with pytest.raises(PeerViolation) as caught:
            await attempt(port, client_holder)
        assert caught.value.alert_code is not None
        return ErrorCode(caught.value.alert_code).name

    async def main() -> None:
        server = await server_of(server_holder, failures)
        port = server.sockets[0].getsockname()[1]
        live, _ = await attempt(port, client_holder)
        machine.writer.install(REVOCATIONS, machine.revocation_file(2, *client.peer.revocation_ids))
        assert await refused(port) == "CERTIFICATE_REVOKED"
        assert server_holder.beliefs.still_trusts(client.peer) is False
        assert not live.is_closing(), "a live connection goes on until the application asks"
        machine.writer.install(REVOCATIONS, machine.revocation_file(3))
        again, _ = await attempt(port, client_holder)
        machine.writer.install(POLICY, machine.policy_file(2, POLICY_TEXT.replace("prod/**", "other/**")))
        assert await refused(port) == "POLICY_DENIED"
        with pytest.raises(SignedFileRefused):
            machine.writer.install(POLICY, machine.policy_file(1))
        live.close()
        again.close()
        await until(lambda: len(failures) == 2)
        await end(server)

    run(main)


@pytest.mark.req("REVOKE-6", "CRED-4")
@pytest.mark.parametrize("missing", ["revocations", "policy"])
def test_without_files_nobody_is_believed(tmp_path: Path, missing: str) -> None:
    machine = Machine(tmp_path)
    (machine.trust / missing / "accepted").unlink()
    beliefs = Beliefs(machine.trust, clock)
    assert not beliefs.still_trusts(machine.realm.workload("prod/a").peer)
    assert beliefs.sequence(REVOCATIONS if missing == "revocations" else POLICY) == 0


@pytest.mark.req("REVOKE-6", "REVOKE-7")
@pytest.mark.parametrize("fail_closed", [True, False])
def test_a_stale_revocation_file_warns_or_stops_everything(
    tmp_path: Path, fail_closed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    machine, now = Machine(tmp_path), [NOW + 3600.0]
    beliefs = Beliefs(machine.trust, lambda: now[0], Freshness(3600, fail_closed))
    peer = machine.realm.workload("prod/a").peer
    assert beliefs.still_trusts(peer)
    assert not caplog.records
    now[0] += 1
    assert beliefs.still_trusts(peer) is not fail_closed
    assert bool(caplog.records) is not fail_closed


@pytest.mark.parametrize("damage", ["missing", "no json", "short key", "no service", "odd service", "a number"])
def test_damaged_anchors_are_refused(tmp_path: Path, damage: str) -> None:
    machine = Machine(tmp_path)
    path = machine.trust / "anchors.json"
    text = path.read_text()
    path.unlink()
    key = machine.realm.signing_service.verification_key.hex()
    changed = {
        "no json": text[:-3],
        "short key": text.replace(key, key[2:]),
        "no service": text.replace('"crl"', '"crm"'),
        "odd service": text.replace("realm/crl", "realm//crl"),
        "a number": text.replace('"realm/crl"', "7"),
    }
    if damage != "missing":
        path.write_text(changed[damage])
        path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="anchors"):
        Beliefs(machine.trust, clock)


@pytest.mark.req("CRED-4", "ISSUE-6")
def test_a_founded_realm_has_what_every_machine_trusts(tmp_path: Path) -> None:
    environment = dataclasses.replace(ENVIRONMENT, clock=time.time)
    anchors = found(tmp_path / "realm", "realm", environment)
    copy_trust(tmp_path / "realm/trust", tmp_path / "machine/trust")
    beliefs = Beliefs(tmp_path / "machine/trust", time.time)
    assert beliefs.anchors == anchors
    assert beliefs.sequence(POLICY) == beliefs.sequence(REVOCATIONS) == 1
    with pytest.raises(ConfigurationError, match="exists"):
        copy_trust(tmp_path / "realm/trust", tmp_path / "machine/trust")
    with pytest.raises(ConfigurationError, match="exists"):
        found(tmp_path / "realm", "realm", environment)
    modes = [path.stat().st_mode & 0o077 for path in (tmp_path / "realm").rglob("*")]
    assert not any(modes), "nothing of it is open to others"
    with pytest.raises(ConfigurationError):
        found(tmp_path / "other", "realm", environment, policy="format = 9")
    assert not (tmp_path / "other").exists()
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".new")] == []


def test_an_address_book_is_read_at_each_look(tmp_path: Path) -> None:
    book = AddressBook(tmp_path / "book.json")
    with pytest.raises(ConnectionRefusedError):
        book.find("ca")
    book.enter("ca", "127.0.0.1:1")
    book.enter("crl", "[::1]:65535")
    assert (book.find("ca"), book.find("crl")) == (("127.0.0.1", 1), ("::1", 65535))
    for text in (
        "",
        "[]",
        '{"ca": 7}',
        '{"ca": "localhost:1"}',
        '{"ca": "127.0.0.1:65536"}',
        '{"ca": "::1:5"}',
        "\xff",
    ):
        book.path.write_bytes(text.encode("latin-1"))
        with pytest.raises(ConnectionRefusedError):
            book.find("ca")


def test_no_secret_shows_in_a_repr(tmp_path: Path) -> None:
    credential: Credential = Realm(os.urandom, NOW).workload("prod/a")
    secret = credential.private_key.private_bytes_raw().hex()
    assert secret not in repr(credential)
    assert secret not in repr(CredentialHolder(Machine(tmp_path).writer.trust))
