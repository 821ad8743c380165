"""Credentials that must not be believed, presented by opponents that hold the keys to them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import alts
from alts.realm import RealmDirectory
from alts_conformance import ENDED, CaseRun, Severity, case
from alts_conformance._duel import CLIENT_GOES_ON, SERVER_GOES_ON, Duel, against_client, against_server
from alts_conformance._frames import DATA
from alts_conformance._opponent import CLIENT_FINISHED, ServerOpponent
from alts_conformance._realm import SPECS
from alts_schema.certificate_pb2 import HandshakeCertificate, HandshakeCertificateBody, MasterCertificate

SERVER: dict[str, Any] = {"subjects": ("server",), "needs": {"server": ("alts",)}}
CLIENT: dict[str, Any] = {"subjects": ("client",), "needs": {"client": ("alts",)}}

#: Flaw -> (credential of the realm, or a function that makes one; alert code of SPEC 10.1 that says so).
Maker = Callable[[RealmDirectory], alts.Credential]


def _resigned(realm: RealmDirectory, change: Callable[[HandshakeCertificate], None]) -> alts.Credential:
    good = realm.credential("other")
    certificate = HandshakeCertificate.FromString(good.certificate)
    change(certificate)
    return alts.Credential(certificate.SerializeToString(deterministic=True), good.private_key)


def _flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def bad_handshake_signature(realm: RealmDirectory) -> alts.Credential:
    """The handshake certificate's signature is wrong."""

    def change(certificate: HandshakeCertificate) -> None:
        certificate.signature = _flip(certificate.signature)

    return _resigned(realm, change)


def bad_master_signature(realm: RealmDirectory) -> alts.Credential:
    """The master's signature is wrong; everything below it is made to fit."""
    master = realm.master("other")
    broken = MasterCertificate.FromString(master.certificate)
    broken.signature = _flip(broken.signature)
    mine = alts.MasterKey(broken.SerializeToString(deterministic=True), master.key)
    return _issue(realm, mine)


def signed_by_nobody(realm: RealmDirectory) -> alts.Credential:
    """A genuine master certificate of somebody else, and a handshake certificate signed with a key of one's own."""
    stolen = realm.master("server")
    own = alts.Issuer("cluster-master", realm.signing_service(), os.urandom).issue_master(
        "cluster-master", alts.Category.WORKLOAD, not_before=int(time.time()) - 60, workload_identities=("**",)
    )
    return _issue(realm, alts.MasterKey(stolen.certificate, own.key), identity=SPECS["server"].identity)


def _issue(realm: RealmDirectory, master: alts.MasterKey, identity: str = SPECS["other"].identity) -> alts.Credential:
    issuer = alts.Issuer("cluster-master", realm.signing_service(), os.urandom)
    return issuer.issue_handshake(master, identity=identity)


FLAWS: dict[str, tuple[str | Maker, int]] = {
    "expired": ("expired", 12),
    "not_yet_valid": ("future", 12),
    "revoked": ("revoked", 16),
    "revoked_master": ("revoked-master", 16),
    "unknown_root": ("strangers/client", 11),
    "issuer_not_authorised": ("mallory", 15),
    "handshake_signature": (bad_handshake_signature, 13),
    "master_signature": (bad_master_signature, 13),
    "stolen_master_certificate": (signed_by_nobody, 13),
}
REQUIREMENTS = ("TRUST-1", "CRED-4", "POLICY-2", "POLICY-3", "REVOKE-1", "REVOKE-6")
WHY = "Whoever is believed with such a certificate can be anybody, or again somebody who has been locked out."


async def credential_for(run: CaseRun, flaw: str) -> str | alts.Credential:
    """The credential with this flaw."""
    source = FLAWS[flaw][0]
    if isinstance(source, str):
        return source
    realm: Path = await run.world.ensure_realm()
    return await asyncio.to_thread(lambda: source(RealmDirectory.load(realm)))


def check_alert(run: CaseRun, duel: Duel, code: int) -> None:
    """A peer that holds the whole handshake says what was wrong by the right code; others cannot be asked."""
    role = "server" if duel.server_name else "client"
    if "full-handshake" in run.world.peers[run.peer(role)].capabilities:
        run.expect(duel.alerts() == [code], f"alerts {duel.alerts()} instead of [{code}]")


@case(**SERVER, requirements=REQUIREMENTS, severity=Severity.CRITICAL, why=WHY, parameters={"flaw": tuple(FLAWS)})
async def server_refuses_a_client_certificate(run: CaseRun, flaw: str) -> None:
    """A client shows a certificate that must not be believed; the server ends the handshake and serves nothing."""
    opponent, duel = await against_server(run, await credential_for(run, flaw))
    since = duel.mark()
    await opponent.send(opponent.client_init())
    await duel.must_end(since, f"server after a certificate that is {flaw}", SERVER_GOES_ON)
    check_alert(run, duel, FLAWS[flaw][1])
    sent = {frame.type for frame in duel.recording.frames(duel.direction)}
    run.expect(17 not in sent, "the server answered with ServerInit")


@case(**CLIENT, requirements=REQUIREMENTS, severity=Severity.CRITICAL, why=WHY, parameters={"flaw": tuple(FLAWS)})
async def client_refuses_a_server_certificate(run: CaseRun, flaw: str) -> None:
    """A server shows a certificate that must not be believed; the client sends neither ClientFinished nor payload."""
    opponent, duel = await against_client(run, await credential_for(run, flaw))
    await opponent.receive_client_init()
    since = duel.mark()
    await opponent.send(b"".join(opponent.flight))
    run.judge(await duel.reaction(since, telltale=CLIENT_GOES_ON), ENDED, f"client after a certificate that is {flaw}")
    check_alert(run, duel, FLAWS[flaw][1])
    sent = {frame.type for frame in duel.recording.frames(duel.direction)}
    run.expect(not sent & {19, DATA}, f"the client sent frames of types {sorted(sent)}")
    await duel.nothing_delivered()


@case(
    **CLIENT,
    requirements=("TRUST-3", "TRUST-1"),
    severity=Severity.HIGH,
    why="A user's credential in the wrong hands must not serve as a service.",
)
async def client_refuses_a_human_as_server(run: CaseRun) -> None:
    """A server with a human's certificate, good in every other respect, is refused."""
    opponent, duel = await against_client(run, "human")
    await opponent.receive_client_init()
    since = duel.mark()
    await opponent.send(b"".join(opponent.flight))
    run.judge(await duel.reaction(since, telltale=CLIENT_GOES_ON), ENDED, "client after a human's certificate")
    check_alert(run, duel, 14)
    await duel.nothing_delivered()


@case(
    **SERVER,
    requirements=("TRUST-3", "TRUST-5"),
    severity=Severity.MEDIUM,
    why="Users and machines are clients like any other.",
    parameters={"credential": ("human", "machine", "other")},
)
async def server_accepts_clients_of_every_category(run: CaseRun, credential: str) -> None:
    """A client with a human's, a machine's, a workload's certificate is served, under its own identity."""
    opponent, duel = await against_server(run, credential)
    await opponent.complete()
    await opponent.honest_call()
    calls = (await duel.driver.call("observe", server=duel.server_name))["calls"]
    run.expect([call["auth"]["peer"] for call in calls] == [SPECS[credential].identity], "another identity was told")


def _with_key(realm: RealmDirectory, key: bytes) -> bytes:
    """A certificate, rightly signed, whose X25519 key is this."""
    good = realm.credential("other").parsed.body
    body = HandshakeCertificateBody()
    body.CopyFrom(good)
    body.x25519_public_key = key
    return realm.master("other").sign_handshake(body)


def _for_another_machine(realm: RealmDirectory) -> bytes:
    """What the holder of one machine's master key can sign in another machine's name."""
    body = HandshakeCertificateBody()
    body.CopyFrom(realm.credential("machine").parsed.body)
    body.identity = "conformance/host-2"
    return realm.master("machine").sign_handshake(body)


#: Points of low order on Curve25519 (RFC 7748, section 7, and its twist), and one that is not canonical.
LOW_ORDER = {
    "zero": bytes(32),
    "one": b"\x01" + bytes(31),
    "order_8": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    "p": bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
}


@case(
    **SERVER,
    requirements=("HS-1", "CRED-2"),
    severity=Severity.CRITICAL,
    why="With such a key the Diffie–Hellman result is zero, whatever the other key: everybody knows the secret.",
    parameters={"point": tuple(LOW_ORDER)},
)
async def server_refuses_a_key_of_low_order(run: CaseRun, point: str) -> None:
    """A certificate, rightly signed, with a public key of low order is refused."""
    realm = RealmDirectory.load(await run.world.ensure_realm())
    opponent, duel = await against_server(run)
    certificate = await asyncio.to_thread(_with_key, realm, LOW_ORDER[point])
    since = duel.mark()
    await opponent.send(opponent.client_init_with(certificate=certificate))
    await duel.must_end(since, "server after a key of low order", SERVER_GOES_ON)
    check_alert(run, duel, 19)


@case(
    **CLIENT,
    requirements=("HS-1", "CRED-2"),
    severity=Severity.CRITICAL,
    why="With such a key the Diffie–Hellman result is zero, whatever the other key: everybody knows the secret.",
    parameters={"point": tuple(LOW_ORDER)},
)
async def client_refuses_a_key_of_low_order(run: CaseRun, point: str) -> None:
    """A server shows a certificate, rightly signed, with a public key of low order, and finishes under the secret that
    everybody knows then; it is refused.
    """
    realm = RealmDirectory.load(await run.world.ensure_realm())
    opponent, duel = await against_client(run)
    certificate = await asyncio.to_thread(_with_key, realm, LOW_ORDER[point])
    await opponent.receive_client_init()
    opponent.show(certificate, key_material=bytes(32))
    await _must_not_believe(run, opponent, duel, "a key of low order", 19)


async def _must_not_believe(run: CaseRun, opponent: ServerOpponent, duel: Duel, what: str, code: int) -> None:
    """The client must end the handshake behind the opponent's flight, and send neither ClientFinished nor payload."""
    since = duel.mark()
    await opponent.send(b"".join(opponent.flight))
    run.judge(await duel.reaction(since, telltale=CLIENT_GOES_ON), ENDED, f"client after {what}")
    check_alert(run, duel, code)
    sent = duel.recording.types(duel.direction)
    run.expect(not sent & {19, DATA}, f"the client sent frames of types {sorted(sent)}")
    await duel.nothing_delivered()


@case(
    **CLIENT,
    requirements=("CRED-2", "TRUST-1", "ISSUE-6"),
    severity=Severity.CRITICAL,
    why="One machine's stolen master key must not make certificates for another machine.",
)
async def client_refuses_another_machines_master(run: CaseRun) -> None:
    """A machine's master key signs a handshake certificate in another machine's name; as a server's it is refused."""
    realm = RealmDirectory.load(await run.world.ensure_realm())
    opponent, duel = await against_client(run, "machine")
    certificate = await asyncio.to_thread(_for_another_machine, realm)
    await opponent.receive_client_init()
    opponent.show(certificate)
    await _must_not_believe(run, opponent, duel, "another machine's certificate", 10)


@case(
    **CLIENT,
    requirements=("TRUST-3", "TRUST-5"),
    severity=Severity.MEDIUM,
    why="Machines serve, too; and a client that refuses every such server would pass the cases about forged ones.",
)
async def client_accepts_a_machine_as_server(run: CaseRun) -> None:
    """A server with a machine's certificate, in messages made like those of the forgers, is accepted."""
    realm = RealmDirectory.load(await run.world.ensure_realm())
    opponent, duel = await against_client(run, "machine")
    await opponent.receive_client_init()
    opponent.show(realm.credential("machine").certificate)
    await opponent.send(b"".join(opponent.flight))
    await opponent.expect_frame(CLIENT_FINISHED)
    await opponent.answer_one_call()
    assert duel.call is not None
    run.check_call(await duel.call, "Unary", {"request_bytes": 100, "response_bytes": 100})


@case(
    **SERVER,
    requirements=("CRED-2", "TRUST-1", "ISSUE-6"),
    severity=Severity.CRITICAL,
    why="One machine's stolen master key must not make certificates for another machine.",
)
async def server_refuses_another_machines_master(run: CaseRun) -> None:
    """A machine's master key signs a handshake certificate in another machine's name; it is refused."""
    realm = RealmDirectory.load(await run.world.ensure_realm())
    opponent, duel = await against_server(run)
    certificate = await asyncio.to_thread(_for_another_machine, realm)
    since = duel.mark()
    await opponent.send(opponent.client_init_with(certificate=certificate))
    await duel.must_end(since, "server after another machine's certificate", SERVER_GOES_ON)
    check_alert(run, duel, 10)
