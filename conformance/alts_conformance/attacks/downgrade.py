"""Downgrade by editing the client's list on its way: every byte of it is in the transcript (SPEC 6.5)."""

from __future__ import annotations

from alts_schema.handshake_pb2 import ClientInit

from .._frames import make_frame
from ._attacker import Attacker, Seen
from ._forge import PFS, STATIC
from ._record import Attack, Outcome, Query, Trial
from ._stage import CLIENT, SERVER, Stage, honest_call
from ._story import CLIENT_INIT

SECRET = b"next year's prices"


def without_forward_secrecy(seen: Seen) -> bytes:
    """ClientInit without the better cipher and its key share; everything else as it is."""
    if seen.frame.type != CLIENT_INIT:
        return seen.frame.raw
    message = ClientInit.FromString(seen.frame.payload)
    message.handshake_ciphers.remove(PFS)
    kept = [entry for entry in message.key_shares if entry.handshake_cipher != PFS]
    del message.key_shares[:]
    message.key_shares.extend(kept)
    return make_frame(CLIENT_INIT, message.SerializeToString(deterministic=True))


async def stand_between(attacker: Attacker, port: int) -> int:
    """Get onto the path and edit the list there; returns the port that the client is led to."""
    attacker.does(f"gets onto the path and takes {PFS} out of the list that {CLIENT} offers")
    return (await attacker.tap(CLIENT, SERVER, port, without_forward_secrecy)).port


async def _play(stage: Stage, patches: tuple[str, ...]) -> Outcome:
    both = (PFS, STATIC)
    server = await stage.endpoint("server", stage.realm.workload(SERVER), patches=patches, ciphers=both)
    client = await stage.endpoint("client", stage.realm.workload(CLIENT), patches=patches, ciphers=both)
    port = await server.serve()
    given = await honest_call(stage, client, server, port, b"good morning")
    stage.control(given["cipher"] == PFS, f"left alone, the two choose {PFS}")
    edited = await stage.turn_loose(stand_between, port)
    await client.call(edited, SECRET, targets=[SERVER])
    at_client, at_server = await client.new_beliefs(), await server.new_beliefs()
    received = any(SECRET in belief.payloads for belief in at_server)
    for belief in (*at_client, *at_server):
        stage.finds(f"a {belief.role} that prefers {PFS}, as its peer does, went on with {belief.cipher}")
    for identity, sessions in ((CLIENT, at_client), (SERVER, at_server)):
        if not sessions:
            stage.finds(f"{identity} did not go on with what was left of the list, and has no session")
    stage.finds(f"{SERVER} {'received' if received else 'did not receive'} the payload")
    return stage.verdict(
        the_client_went_on=bool(at_client),
        the_server_went_on=bool(at_server),
        the_payload_went_over_without_forward_secrecy=received,
    )


async def _unbound(stage: Stage) -> Outcome:
    return await _play(stage, ("transcript-without-offers",))


async def _ours(stage: Stage) -> Outcome:
    return await _play(stage, ())


ATTACKS = (
    Attack(
        "downgrade",
        "The client's list is edited on its way, so that the weaker cipher is chosen",
        "Both ends would choose forward secrecy. Somebody on the path takes it out of the client's list; the server "
        "chooses the best of what is left, and the session can be opened later with stolen keys.",
        "blocked: the lists are in the transcript, and the transcript is in every key",
        "offered lists and key shares in the transcript",
        ("HS-4", "HS-5", "TRUST-7"),
        (("negotiation-downgrade", "6.5"), ("keys-transcript", "7.1")),
        (
            Trial(
                "unbound",
                "a weakened build whose transcript leaves the client's lists out",
                Outcome.WORKS,
                _unbound,
                Query(
                    "twins/mixed_transcript_without_offers.pv",
                    "twins/mixed-transcript-without-offers/no-downgrade",
                    "false",
                ),
            ),
            Trial(
                "ours",
                "the implementation as it is",
                Outcome.BLOCKED,
                _ours,
                Query("mixed_downgrade.pv", "mixed/no-downgrade", "true"),
            ),
        ),
    ),
)
