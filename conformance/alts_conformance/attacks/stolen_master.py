"""Another machine's stolen master key signs a handshake certificate for this one (SPEC 4.8)."""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import alts
from alts_schema.certificate_pb2 import HandshakeCertificateBody

from . import _forge
from ._attacker import Attacker
from ._judge import impersonation
from ._pose import connect
from ._record import Attack, Outcome, Query, Trial
from ._stage import SERVER, STATIC, Stage, honest_call

ORDER = b"reimage the rack"
THIS, OTHER = "machines/node-1", "machines/node-7"
MASTER = f"the master private key of {OTHER}"
CERTIFICATE = f"the master certificate of {OTHER}"


async def forge(attacker: Attacker, port: int) -> bytes | None:
    """Sign a certificate for another machine's identity with the stolen master, and connect with it."""
    key = Ed25519PrivateKey.from_private_bytes(attacker.stolen[MASTER])
    master, own = alts.MasterKey(attacker.stolen[CERTIFICATE], key), os.urandom(32)
    certificate = master.sign_handshake(
        HandshakeCertificateBody(
            category=master.body.category,
            identity=THIS,
            not_before=master.body.not_before,
            revocation_id=master.body.revocation_id,
            x25519_public_key=_forge.public_of(own),
            handshake_ciphers=[STATIC],
        )
    )
    attacker.does(f"signs a handshake certificate for {THIS} with the master key of {OTHER}, and connects with it")
    return await connect(attacker, port, SERVER, certificate, own, ORDER)


async def _play(stage: Stage, patches: tuple[str, ...]) -> Outcome:
    server = await stage.endpoint("server", stage.realm.workload(SERVER), patches=patches)
    honest = await stage.endpoint("machine", stage.realm.machine(THIS), patches=patches)
    port = await server.serve()
    await honest_call(stage, honest, server, port, b"good morning")
    master = stage.realm.ca.issue_master(OTHER, alts.Category.MACHINE, not_before=stage.realm.now)
    stage.steals(MASTER, master.key.private_bytes_raw())
    stage.steals(CERTIFICATE, master.certificate)
    return await impersonation(stage, server, THIS, ORDER, await stage.turn_loose(forge, port))


async def _unchecked(stage: Stage) -> Outcome:
    return await _play(stage, ("another-machines-master",))


async def _ours(stage: Stage) -> Outcome:
    return await _play(stage, ())


ATTACKS = (
    Attack(
        "stolen-master",
        "Another machine's stolen master key speaks for this one",
        "A master key makes handshake certificates. Whoever steals that of some unimportant machine makes one "
        "that names an important machine. All signatures are right.",
        "blocked: a human's or machine's handshake certificate has to name the identity of its master",
        "compare the identity of the handshake certificate with the master's",
        ("CRED-2", "ISSUE-6", "POLICY-3"),
        (("credentials-relation", "4.8"),),
        (
            Trial(
                "unchecked",
                "a weakened build that does not compare the identities",
                Outcome.WORKS,
                _unchecked,
                Query(
                    "twins/no_machine_identity_equality.pv",
                    "twins/no-machine-identity-equality/genuine-individual-client",
                    "false",
                ),
            ),
            Trial(
                "ours",
                "the implementation as it is",
                Outcome.BLOCKED,
                _ours,
                Query("static_credentials.pv", "static/genuine-individual-client", "true"),
            ),
        ),
    ),
)
