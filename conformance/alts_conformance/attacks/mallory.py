"""Mallory, a user, has a certificate for somebody else signed; the verifier's policy is what stops it (POLICY-3)."""

from __future__ import annotations

import os
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import alts
from alts_schema.certificate_pb2 import ED25519, HUMAN, HandshakeCertificateBody, MasterCertificateBody

from . import _forge
from ._attacker import Attacker
from ._pose import connect
from ._record import Attack, Outcome, Query, Trial
from ._stage import STATIC, Endpoint, Stage, key_of
from ._wheel import WheelServer, greet, victim

ORDER = b"route everything to me"
MALLORY, VICTIM, SERVER, SIGNING = "corp/mallory", "corp/network-admin", "prod/router-config", "realm/signing"
OWN_KEY, OWN_CERTIFICATE = f"the X25519 private key of {MALLORY}", f"the handshake certificate of {MALLORY}"
ANCHOR = "the Signing Service's verification key (public)"
STRICT = alts.Policy(
    (
        alts.Rule("ca", alts.Category.HUMAN, "corp/*"),
        alts.Rule("ca", alts.Category.MACHINE, "**"),
        alts.Rule("cluster-master", alts.Category.WORKLOAD, "prod/**"),
    )
)
LOOSE = alts.Policy((*STRICT.rules, alts.Rule("**", alts.Category.HUMAN, "corp/*")))
"""The same, but anybody may issue certificates of people."""


async def get_certified(attacker: Attacker, signing_port: int) -> tuple[bytes, bytes] | None:
    """Have the Signing Service sign a master certificate for somebody else; returns certificate and key of a
    handshake certificate made with it.
    """
    own = X25519PrivateKey.from_private_bytes(attacker.own[OWN_KEY])
    anchor = attacker.own[ANCHOR]
    trust = alts.Trust({anchor[:32]: anchor[32:]}, STRICT)
    configuration = alts.Configuration(alts.Credential(attacker.own[OWN_CERTIFICATE], own), trust)
    master, now = Ed25519PrivateKey.from_private_bytes(os.urandom(32)), int(time.time()) - 60
    number = alts.Category.HUMAN << 56 | 1 << 40
    body = MasterCertificateBody(
        category=HUMAN,
        identity=VICTIM,
        not_before=now,
        not_after=now + 72000,
        revocation_id=number,
        scheme=ED25519,
        public_key=master.public_key().public_bytes_raw(),
        handshake_ciphers=[STATIC],
    )
    attacker.does(f"asks the Signing Service, as {MALLORY}, for a master certificate of {VICTIM}")
    request = body.SerializeToString(deterministic=True).hex().encode()
    signed = await attacker.call(signing_port, SIGNING, configuration, request)
    if signed is None:
        return None
    attacker.does("has it: the Signing Service signs what it is asked for, and names who asked")
    key = os.urandom(32)
    certificate = alts.MasterKey(bytes.fromhex(signed.decode()), master).sign_handshake(
        HandshakeCertificateBody(
            category=HUMAN,
            identity=VICTIM,
            not_before=now,
            not_after=now + 72000,
            revocation_id=number,
            x25519_public_key=_forge.public_of(key),
            handshake_ciphers=[STATIC],
        )
    )
    return certificate, key


async def pass_for_the_victim(attacker: Attacker, signing_port: int, port: int, grpc: bool) -> bytes | None:
    """Connect with a certificate for somebody else."""
    got = await get_certified(attacker, signing_port)
    if got is None:
        return None
    attacker.does(f"signs a handshake certificate for {VICTIM} with it and connects to {SERVER}")
    return await connect(attacker, port, SERVER, got[0], got[1], ORDER, grpc=grpc)


async def signing_service(stage: Stage) -> int:
    """Start the Signing Service; returns its port."""
    service: Endpoint = await stage.endpoint("signing", stage.realm.machine(SIGNING), policy=STRICT)
    key = stage.realm.signing_service.key.private_bytes_raw()
    mallory = stage.realm.human(MALLORY)
    stage.owns(OWN_KEY, key_of(mallory))
    stage.owns(OWN_CERTIFICATE, mallory.certificate)
    anchor = stage.realm.signing_service
    stage.owns(ANCHOR, anchor.verification_key_id + anchor.verification_key)
    return await service.serve(signing_key=key.hex())


async def _play(stage: Stage, policy: alts.Policy) -> bool:
    server, port = await victim(stage, SERVER, ciphers=(STATIC,), policy=policy)
    admin = await stage.endpoint("admin", stage.realm.human(VICTIM), policy=STRICT)
    await greet(stage, admin, server, port)
    signing = await signing_service(stage)
    grpc = isinstance(server, WheelServer)
    answer = await stage.turn_loose(pass_for_the_victim, signing, port, grpc)
    fooled = [belief for belief in await server.beliefs() if ORDER in belief.payloads]
    for belief in fooled:
        issuer = f", by a certificate of {belief.issuer}," if belief.issuer else ""
        stage.finds(f"{SERVER} authenticated {belief.peer}{issuer} and received {ORDER!r}")
    if not fooled:
        stage.finds(f"{SERVER} authenticated nobody but the real {VICTIM}, and received nothing else")
    by_mallory = all(belief.issuer in (MALLORY, "") for belief in fooled)
    return answer is not None and by_mallory and any(belief.peer == VICTIM for belief in fooled)


async def _loose(stage: Stage) -> bool:
    return await _play(stage, LOOSE)


async def _strict(stage: Stage) -> bool:
    return await _play(stage, STRICT)


ATTACKS = (
    Attack(
        "mallory",
        "A user has a certificate for the network administrator signed",
        "The Signing Service signs what it is asked for; it decides nothing, and writes down who asked. So Mallory has "
        "a master certificate for the network administrator, with good signatures, and connects with it.",
        "blocked: the verifier's policy says who may issue certificates for whom (POLICY-3)",
        "a policy that lets the internal CA alone issue certificates of people",
        ("POLICY-1", "POLICY-2", "POLICY-3", "ISSUE-2"),
        (("credentials-verify", "4.9"), ("policy-lint", "13.2.2")),
        (
            Trial(
                "loose",
                "the verifier's policy lets anybody issue certificates of people",
                Outcome.WORKS,
                _loose,
                Query("twins/no_policy.pv", "twins/no-policy/genuine-individual-client", "false"),
            ),
            Trial(
                "strict",
                "the verifier's policy lets the internal CA issue them",
                Outcome.BLOCKED,
                _strict,
                Query("static_credentials.pv", "static/genuine-individual-client", "true"),
            ),
            Trial(
                "wheel-loose",
                "the victim is the gRPC wheel, its handshaker service has the loose policy",
                Outcome.WORKS,
                _loose,
                Query("twins/no_policy.pv", "twins/no-policy/genuine-individual-client", "false"),
                wheel=True,
            ),
            Trial(
                "wheel-strict",
                "the victim is the gRPC wheel, its handshaker service has the strict policy",
                Outcome.BLOCKED,
                _strict,
                Query("static_credentials.pv", "static/genuine-individual-client", "true"),
                wheel=True,
            ),
        ),
    ),
)
