"""Unknown key share: two ends hold the same keys and mean different peers (SPEC 7.1, 7.4)."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import alts
from alts_schema.certificate_pb2 import HandshakeCertificateBody
from alts_schema.handshake_pb2 import ClientInit

from .._frames import make_frame
from . import _forge
from ._attacker import Attacker, Rewrite, Seen
from ._judge import tell
from ._record import Attack, Outcome, Query, Trial
from ._stage import CLIENT, SERVER, Stage, honest_call
from ._story import CLIENT_INIT

EVE = "machines/eve"
DEPOSIT = b"put this into my account"
MASTER, MASTER_CERTIFICATE = f"the master private key of {EVE}", f"the master certificate of {EVE}"


def certify(attacker: Attacker, public: bytes) -> bytes:
    """A handshake certificate of the attacker's own identity for somebody else's public key: nobody asks for proof."""
    key = Ed25519PrivateKey.from_private_bytes(attacker.own[MASTER])
    master = alts.MasterKey(attacker.own[MASTER_CERTIFICATE], key)
    return master.sign_handshake(
        HandshakeCertificateBody(
            category=master.body.category,
            identity=EVE,
            not_before=master.body.not_before,
            revocation_id=master.body.revocation_id,
            x25519_public_key=public,
            handshake_ciphers=[_forge.STATIC],
        )
    )


def exchanging(attacker: Attacker) -> Rewrite:
    """Put the attacker's certificate, with the client's public key, in place of the client's."""

    def rewrite(seen: Seen) -> bytes:
        if seen.frame.type != CLIENT_INIT:
            return seen.frame.raw
        message = ClientInit.FromString(seen.frame.payload)
        message.certificate = certify(attacker, _forge.body_of(message.certificate).x25519_public_key)
        return make_frame(CLIENT_INIT, message.SerializeToString(deterministic=True))

    return rewrite


async def stand_between(attacker: Attacker, port: int) -> int:
    """Get onto the path; returns the port that the client is led to."""
    attacker.does(f"certifies the public key of {CLIENT} as that of {EVE}, and exchanges the certificates on the way")
    return (await attacker.tap(CLIENT, SERVER, port, exchanging(attacker))).port


async def _play(stage: Stage, patches: tuple[str, ...]) -> Outcome:
    server = await stage.endpoint("server", stage.realm.workload(SERVER), patches=patches)
    client = await stage.endpoint("client", stage.realm.workload(CLIENT), patches=patches)
    port = await server.serve()
    await honest_call(stage, client, server, port, b"good morning")
    master = stage.realm.ca.issue_master(EVE, alts.Category.MACHINE, not_before=stage.realm.now)
    stage.owns(MASTER, master.key.private_bytes_raw())
    stage.owns(MASTER_CERTIFICATE, master.certificate)
    led = await stage.turn_loose(stand_between, port)
    await client.call(led, DEPOSIT, targets=[SERVER])
    at_client, at_server = await client.new_beliefs(), await server.new_beliefs()
    for belief in at_client:
        stage.finds(f"{CLIENT} is in a session with {belief.peer} and sent {DEPOSIT!r}")
    if not at_client:
        stage.finds(f"beyond the controls {CLIENT} has no session, and sent nothing")
    tell(stage, server, at_server)
    return stage.verdict(
        the_client_has_a_session=bool(at_client),
        the_server_has_a_session=bool(at_server),
        the_server_means_another_client=any(belief.peer == EVE for belief in at_server),
        it_received_the_payload=any(DEPOSIT in belief.payloads for belief in at_server),
    )


async def _weak(stage: Stage) -> Outcome:
    return await _play(stage, ("transcript-without-certificates", "keys-without-identities"))


async def _identities(stage: Stage) -> Outcome:
    return await _play(stage, ("transcript-without-certificates",))


async def _certificates(stage: Stage) -> Outcome:
    return await _play(stage, ("keys-without-identities",))


async def _ours(stage: Stage) -> Outcome:
    return await _play(stage, ())


ATTACKS = (
    Attack(
        "unknown-key-share",
        "A client's payload is credited to somebody else, who never had the keys",
        "Eve, a member of the realm, certifies the public key of prod/frontend as her own; nobody asks her for the "
        "private key. On the path she exchanges the certificates. Both ends compute the same ss. If neither the "
        "certificates nor the identities are in the keys, the server takes what prod/frontend says for Eve's.",
        "blocked: the certificates are in the transcript, and the identities in the key derivation; either would do",
        "certificates in the transcript, identities in the key derivation",
        ("HS-5", "TRUST-5"),
        (("keys-transcript", "7.1"), ("keys-secrets", "7.4")),
        (
            Trial(
                "unbound",
                "a weakened build without certificates in the transcript and identities in the key derivation",
                Outcome.WORKS,
                _weak,
                Query("twins/unknown_key_share.pv", "twins/unknown-key-share/unknown-key-share", "false"),
            ),
            Trial(
                "identities",
                "a weakened build without certificates in the transcript alone",
                Outcome.BLOCKED,
                _identities,
                Query(
                    "twins/transcript_without_certificates.pv",
                    "twins/transcript-without-certificates/unknown-key-share",
                    "true",
                ),
            ),
            Trial(
                "certificates",
                "a weakened build without identities in the key derivation alone",
                Outcome.BLOCKED,
                _certificates,
                Query("twins/keys_without_identities.pv", "twins/keys-without-identities/unknown-key-share", "true"),
            ),
            Trial(
                "ours",
                "the implementation as it is",
                Outcome.BLOCKED,
                _ours,
                Query("static_agreement.pv", "static/unknown-key-share", "true"),
            ),
        ),
    ),
)
