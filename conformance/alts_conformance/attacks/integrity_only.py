"""Integrity-only traffic is read on the wire: a record protocol that authenticates and does not encrypt (REC-7)."""

from __future__ import annotations

from ._attacker import Attacker
from ._record import Attack, Outcome, Query, Trial
from ._stage import CLIENT, SERVER, Stage, honest_call
from ._story import DATA

SECRET = b"patient 4711: allergic to penicillin"


async def read_along(attacker: Attacker) -> tuple[bytes, ...]:
    """The payload of each record, without the last 16 bytes, as it is."""
    attacker.does("reads the records on the wire as they are, without any key")
    return tuple(payload[:-16] for payload in attacker.payloads(DATA))


async def _play(stage: Stage, patches: tuple[str, ...]) -> Outcome:
    server = await stage.endpoint("server", stage.realm.workload(SERVER), patches=patches)
    client = await stage.endpoint("client", stage.realm.workload(CLIENT), patches=patches)
    tap = await stage.attacker.tap(CLIENT, SERVER, await server.serve())
    await honest_call(stage, client, server, tap.port, SECRET)
    read = b"\n".join(await stage.turn_loose(read_along))
    known = [text for text in (SECRET, server.answer) if text in read]
    received = [payload for belief in await server.beliefs() for payload in belief.payloads]
    stage.finds(
        f"{SERVER} received {received} from {CLIENT}; of the two secrets on the wire the attacker read {len(known)}"
    )
    return stage.verdict(
        the_attacker_read_the_payload=SECRET in known, the_attacker_read_the_answer=server.answer in known
    )


async def _clear(stage: Stage) -> Outcome:
    return await _play(stage, ("records-in-clear",))


async def _ours(stage: Stage) -> Outcome:
    return await _play(stage, ())


ATTACKS = (
    Attack(
        "integrity-only",
        "Payload under an integrity-only record protocol is read on the wire",
        "Inside a building of its own an operator may choose record protocols that only authenticate. Nobody can "
        "change the traffic then; everybody on the wire can read it.",
        "by design of the integrity-only record protocols, which this version reserves and never chooses (SPEC 1.2); "
        "fixed by a record protocol that encrypts",
        "a record protocol that encrypts; between different boundaries no other may be chosen (SPEC 6.2)",
        ("REC-1", "REC-7"),
        (("scope-reserved", "1.2"), ("negotiation-boundary", "6.2")),
        (
            Trial(
                "clear",
                "a build whose records are authenticated and not encrypted",
                Outcome.WORKS,
                _clear,
                Query("static_integrity_only.pv", "static/integrity-only/secrecy-payload-client-to-server", "false"),
            ),
            Trial(
                "ours",
                "the implementation as it is, with ALTSRP_GCM_AES128_REKEY",
                Outcome.BLOCKED,
                _ours,
                Query("static_secrecy.pv", "static/secrecy-payload-client-to-server", "true"),
            ),
        ),
    ),
)
