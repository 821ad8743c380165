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
from ._judge import impersonation
from ._pose import connect
from ._record import Attack, Outcome, Query, Trial
from ._stage import STATIC, Endpoint, Stage, key_of
from ._wheel import WheelServer, greet, victim

ORDER = b"route everything to me"
MALLORY, VICTIM, SERVER, SIGNING = "corp/mallory", "corp/network-admin", "prod/router-config", "realm/signing"
OWN_KEY, OWN_CERTIFICATE = f"the X25519 private key of {MALLORY}", f"the handshake certificate of {MALLORY}"
FALSE_CERTIFICATE, FALSE_KEY = f"a handshake certificate for {VICTIM}", "the X25519 private key that goes with it"
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


async def get_certified(attacker: Attacker, signing_port: int) -> bool:
    """Have the Signing Service sign a master certificate for somebody else, and make a handshake certificate with it;
    returns whether it did.
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
        return False
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
    attacker.does(f"signs a handshake certificate for {VICTIM} with it")
    attacker.own[FALSE_CERTIFICATE], attacker.own[FALSE_KEY] = certificate, key
    return True


async def pass_for_the_victim(attacker: Attacker, port: int, grpc: bool) -> bytes | None:
    """Connect with a certificate for somebody else."""
    attacker.does(f"connects to {SERVER} with it")
    certificate, key = attacker.own[FALSE_CERTIFICATE], attacker.own[FALSE_KEY]
    return await connect(attacker, port, SERVER, certificate, key, ORDER, grpc=grpc)


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


async def _play(stage: Stage, policy: alts.Policy) -> Outcome:
    server, port = await victim(stage, SERVER, ciphers=(STATIC,), policy=policy)
    admin = await stage.endpoint("admin", stage.realm.human(VICTIM), policy=STRICT)
    await greet(stage, admin, server, port)
    signing = await signing_service(stage)
    # Whatever the verifier's policy: what is blocked is not blocked by a Signing Service that signs nothing.
    got = await stage.turn_loose(get_certified, signing)
    stage.control(got, f"{SIGNING} signs what it is asked for, here for {MALLORY}")
    answer = await stage.turn_loose(pass_for_the_victim, port, isinstance(server, WheelServer))
    by_mallory = {}
    if not isinstance(server, WheelServer):  # which says nothing of issuers
        issuers = {belief.issuer for belief in await server.new_beliefs()}
        by_mallory["it_authenticated_by_the_word_of_mallory"] = MALLORY in issuers
    return await impersonation(stage, server, VICTIM, ORDER, answer, **by_mallory)


async def _loose(stage: Stage) -> Outcome:
    return await _play(stage, LOOSE)


async def _strict(stage: Stage) -> Outcome:
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
