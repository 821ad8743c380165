"""Key-compromise impersonation the other way round: with a client's stolen key, servers are impersonated to it."""

from __future__ import annotations

import os

import alts
from alts_schema.handshake_pb2 import FULL, ClientInit, ServerFinished, ServerInit

from . import _forge
from ._attacker import Attacker, Line
from ._forge import KCI, STATIC
from ._judge import told
from ._record import Outcome, Query, Trial
from ._stage import CLIENT, SERVER, Stage, honest_call, key_of
from ._story import CLIENT_FINISHED, CLIENT_INIT, DATA, SERVER_FINISHED, SERVER_INIT

SECRET, ANSWER = b"my password is swordfish", b"all is well"
CLIENT_KEY = f"the X25519 private key of {CLIENT}"


async def pose_as_server(attacker: Attacker, line: Line) -> None:
    """Answer one ClientInit as the server whose certificate went by; note what the client then says."""
    frame = await line.frame()
    if frame is None or frame.type != CLIENT_INIT:
        return
    init = ClientInit.FromString(frame.payload)
    certificate = ServerInit.FromString(attacker.payloads(SERVER_INIT)[0]).certificate
    cipher, private = init.handshake_ciphers[0], os.urandom(32)
    ss = _forge.exchange(attacker.stolen[CLIENT_KEY], _forge.body_of(certificate).x25519_public_key)
    material = ss
    if cipher == KCI:
        share = init.key_shares[0].share
        se = _forge.exchange(attacker.stolen[CLIENT_KEY], _forge.public_of(private))
        # es is of the client's ephemeral key and the server's static one: it has neither.
        material = ss + bytes(32) + se + _forge.exchange(private, share)
    attacker.does(f"answers with the certificate of {SERVER}, which it saw on the wire, in {cipher}")
    server_init = ServerInit(
        version=1,
        nonce=os.urandom(32),
        mode=FULL,
        certificate=certificate,
        handshake_cipher=cipher,
        record_protocol=_forge.REKEY,
        application_protocol="grpc",
        rpc_versions=init.rpc_versions,
        max_frame_size=init.max_frame_size,
        key_share=_forge.public_of(private) if cipher == KCI else b"",
    ).SerializeToString(deterministic=True)
    keys = _forge.session_keys(material, frame.payload, server_init, CLIENT, SERVER)
    finished = ServerFinished(
        authenticator=_forge.authenticator(keys, "server"),
        ticket_authenticator=_forge.ticket_authenticator(keys, "server"),
    )
    await line.send(SERVER_INIT, server_init)
    await line.send(SERVER_FINISHED, finished.SerializeToString(deterministic=True))
    frame = await line.frame()
    if frame is None or frame.type != CLIENT_FINISHED:
        return
    frame = await line.frame()
    plaintext = None if frame is None or frame.type != DATA else _forge.open_record(keys, "client", 0, frame.payload)
    if plaintext is not None:
        attacker.heard.append(plaintext.rstrip(b"\n"))
        attacker.does(f"reads what {CLIENT} sends, and answers it")
        await line.send_raw(bytes(alts.Sealer(keys.record, alts.Role.SERVER, 1 << 20).seal(ANSWER + b"\n")))
        await line.frame()


async def lie_in_wait(attacker: Attacker) -> int:
    """Wait for the client in the server's place; returns the port that it is led to."""
    attacker.does(f"leads {CLIENT} to itself instead of {SERVER}")
    return await attacker.listen(CLIENT, pose_as_server, f"as {SERVER}")


async def _play(stage: Stage, cipher: str) -> Outcome:
    server = await stage.endpoint("server", stage.realm.workload(SERVER), ciphers=(cipher,))
    client = await stage.endpoint("client", stage.realm.workload(CLIENT), ciphers=(cipher,))
    tap = await stage.attacker.tap(CLIENT, SERVER, await server.serve())
    await honest_call(stage, client, server, tap.port, b"good morning")
    stage.steals(CLIENT_KEY, key_of(client.credential))
    port = await stage.turn_loose(lie_in_wait)
    await client.call(port, SECRET, targets=[SERVER])
    sessions, at_server = await client.new_beliefs(), await server.new_beliefs()
    heard = SECRET in stage.attacker.heard
    for belief in sessions:
        stage.finds(f"{CLIENT} sent a secret to whom it authenticated: {told(belief)}")
    if not sessions:
        stage.finds(f"{CLIENT} authenticated nobody but the real {SERVER}, and sent nothing")
    stage.finds(f"the attacker {'read' if heard else 'did not read'} the secret")
    stage.finds(f"beyond the controls {SERVER} was in {len(at_server)} session(s)")
    return stage.verdict(
        the_victim_authenticated_somebody=bool(sessions),
        it_authenticated_the_impersonated=any(belief.peer == SERVER for belief in sessions),
        it_took_the_answer=any(ANSWER in belief.payloads for belief in sessions),
        the_attacker_read_the_secret=heard,
    )


async def _static(stage: Stage) -> Outcome:
    return await _play(stage, STATIC)


async def _kci(stage: Stage) -> Outcome:
    return await _play(stage, KCI)


TRIALS = (
    Trial(
        "client-static",
        f"the victim is a client, and offers {STATIC}",
        Outcome.WORKS,
        _static,
        Query("static_key_theft.pv", "static/key-theft/kci-client", "false"),
    ),
    Trial(
        "client-kci",
        f"the victim is a client, and offers {KCI} alone",
        Outcome.BLOCKED,
        _kci,
        Query("kci_key_theft.pv", "kci/key-theft/client-not-fooled", "true"),
    ),
)
