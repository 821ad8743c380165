"""Recorded traffic, opened later with stolen static keys: with the static cipher, not with forward secrecy (HS-10)."""

from __future__ import annotations

from alts_schema.handshake_pb2 import ClientInit, ServerInit

from . import _forge
from ._attacker import Attacker
from ._forge import HYBRID, PFS, STATIC
from ._record import Attack, Outcome, Query, Trial
from ._stage import CLIENT, SERVER, Stage, honest_call, key_of
from ._story import CLIENT_INIT, DATA, SERVER_INIT

SECRET = b"the launch code is 8841"
EPHEMERAL = f"the ephemeral private key of {CLIENT} in that session"
KEYS = (f"the X25519 private key of {CLIENT}", f"the X25519 private key of {SERVER}")


async def open_recording(attacker: Attacker) -> tuple[bytes, ...]:
    """Everything in the recorded session that the stolen keys open."""
    first, second = attacker.payloads(CLIENT_INIT)[0], attacker.payloads(SERVER_INIT)[0]
    answer = ServerInit.FromString(second)
    ends = [_forge.body_of(message.certificate) for message in (ClientInit.FromString(first), answer)]
    client, server = (attacker.stolen[name] for name in KEYS)
    ss = _forge.exchange(client, ends[1].x25519_public_key)
    guesses = [ss]
    if answer.handshake_cipher != STATIC:
        # ee needs one of two ephemeral keys, which nobody has any more. What the static keys give in its place:
        share = next(entry.share for entry in ClientInit.FromString(first).key_shares)
        mixed = (_forge.exchange(client, answer.key_share[:32]), _forge.exchange(server, share[:32]))
        guesses = [ss + instead for instead in (ss, *mixed, bytes(32))] + [ss]
        if EPHEMERAL in attacker.stolen:
            ee = _forge.exchange(attacker.stolen[EPHEMERAL], answer.key_share[:32])
            # K, of ML-KEM, is what it cannot find; what it can put there:
            guesses = [ss + ee + instead for instead in (b"", ss, ee, bytes(32), answer.key_share[32:64])]
    attacker.does(f"computes ss from the stolen keys and tries {len(guesses)} guess(es) at the key material")
    opened = []
    for material in guesses:
        keys = _forge.session_keys(material, first, second, ends[0].identity, ends[1].identity)
        for sender in ("client", "server"):
            source = CLIENT if sender == "client" else SERVER
            records = [seen.frame.payload for seen in attacker.seen if (seen.source, seen.frame.type) == (source, DATA)]
            for number, record in enumerate(records):
                plaintext = _forge.open_record(keys, sender, number, record)
                if plaintext is not None:
                    opened.append(plaintext)
    attacker.does(f"opens {len(opened)} of {len(attacker.payloads(DATA))} recorded records")
    return tuple(opened)


async def _play(stage: Stage, cipher: str, *, ephemeral: bool = False) -> Outcome:
    server = await stage.endpoint("server", stage.realm.workload(SERVER), ciphers=(cipher,))
    client = await stage.endpoint("client", stage.realm.workload(CLIENT), ciphers=(cipher,))
    tap = await stage.attacker.tap(CLIENT, SERVER, await server.serve())
    await honest_call(stage, client, server, tap.port, SECRET)
    stage.say("the session is over; the attacker has recorded it")
    for name, end in zip(KEYS, (client, server), strict=True):
        stage.steals(name, key_of(end.credential))
    if ephemeral:
        stage.say("a quantum computer finds the private keys of all X25519 keys that went over the wire")
        stage.steals(EPHEMERAL, (await client.drawn())[1])  # the second draw, after the nonce
    opened = await stage.turn_loose(open_recording)
    read = [text for text in (SECRET, server.answer) if any(text in plaintext for plaintext in opened)]
    received = [belief.payloads for belief in await server.beliefs()]
    stage.finds(
        f"{SERVER} received {received}; of the two secrets that went over the wire the attacker has {len(read)}"
    )
    return stage.verdict(
        the_attacker_opened_the_payload=SECRET in read, the_attacker_opened_the_answer=server.answer in read
    )


async def _static(stage: Stage) -> Outcome:
    return await _play(stage, STATIC)


async def _pfs(stage: Stage) -> Outcome:
    return await _play(stage, PFS)


async def _pfs_quantum(stage: Stage) -> Outcome:
    return await _play(stage, PFS, ephemeral=True)


async def _hybrid_quantum(stage: Stage) -> Outcome:
    return await _play(stage, HYBRID, ephemeral=True)


ATTACKS = (
    Attack(
        "recorded-traffic",
        "Recorded traffic is opened with static keys that are stolen later",
        "An observer keeps what goes over the wire. Years later it gets the static Diffie-Hellman keys of both ends. "
        "With the static cipher these are all that the session keys were made of; with a forward secret cipher "
        "the ephemeral keys were, too, and they are gone.",
        "by design: the static cipher has no forward secrecy (TRADE-4); fixed by X25519_PFS_SHA256, and for as long as "
        "there may be quantum computers by X25519_MLKEM768_PFS_SHA256",
        "use a forward secret cipher",
        ("HS-10", "TRADE-4"),
        (("tradeoffs-pfs", "14.3"), ("keys-ephemeral", "7.2.2")),
        (
            Trial(
                "static",
                f"the session used {STATIC}",
                Outcome.WORKS,
                _static,
                Query("static_forward_secrecy.pv", "static/forward-secrecy/later-payload-client-to-server", "false"),
            ),
            Trial(
                "pfs",
                f"the session used {PFS}",
                Outcome.BLOCKED,
                _pfs,
                query=Query("pfs_forward_secrecy.pv", "pfs/forward-secrecy/payload-client-to-server", "true"),
            ),
            Trial(
                "pfs-quantum",
                f"the session used {PFS}, and later every X25519 key is found, the ephemeral ones, too",
                Outcome.WORKS,
                _pfs_quantum,
                query=Query("pfs_curve_opened.pv", "pfs/x25519-opened/payload-client-to-server", "false"),
            ),
            Trial(
                "hybrid-quantum",
                f"the session used {HYBRID}, and later every X25519 key is found",
                Outcome.BLOCKED,
                _hybrid_quantum,
                query=Query("hybrid_curve_opened.pv", "hybrid/x25519-opened/payload-client-to-server", "true"),
            ),
        ),
    ),
)
