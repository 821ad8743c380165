"""A stolen credential that has been revoked: useless once the verifier's file says so, in resumption too (REVOKE-6)."""

from __future__ import annotations

import alts
from alts_schema.handshake_pb2 import PresentedTicket, ServerInit

from . import _forge
from ._attacker import Attacker
from ._judge import impersonation
from ._pose import connect, pose
from ._record import NO_LATER_SCRIPT, Attack, Outcome, Query, Trial
from ._stage import CLIENT, SERVER, STATIC, Endpoint, Stage, honest_call, key_of, resumption_keys

BATCH = "machines/batch-3"
ORDER = b"pay everybody twice"
KEY, CERTIFICATE = f"the X25519 private key of {BATCH}", f"the handshake certificate of {BATCH}"
TICKET_ID, TICKET, TICKET_SECRET = "the ID of its ticket", "its ticket", "the secret of its ticket"


async def use(attacker: Attacker, port: int) -> bytes | None:
    """An ordinary handshake with the stolen credential."""
    attacker.does(f"connects with the stolen credential of {BATCH}")
    return await connect(attacker, port, SERVER, attacker.stolen[CERTIFICATE], attacker.stolen[KEY], ORDER)


async def get_ticket(attacker: Attacker, port: int) -> bool:
    """A handshake with the stolen credential, for the ticket that the server makes in it."""
    certificate, key = attacker.stolen[CERTIFICATE], attacker.stolen[KEY]
    attacker.does(f"connects with the stolen credential of {BATCH} and keeps the server's ticket")
    line = await attacker.dial(port, SERVER, f"as {BATCH}")

    def guess(answer: ServerInit) -> list[bytes]:
        return [_forge.exchange(key, _forge.body_of(answer.certificate).x25519_public_key)]

    posed = await pose(line, certificate, SERVER, (STATIC,), guess)
    if posed is None or await posed.complete(b"good morning") is None:
        return False
    issued = posed.finished.ticket
    attacker.own[TICKET_ID] = issued.resumption_id
    attacker.own[TICKET] = issued.ticket
    attacker.own[TICKET_SECRET] = _forge.ticket_secret(posed.keys, "server")
    return True


async def resume(attacker: Attacker, port: int) -> bytes | None:
    """Resume with the ticket that it has."""
    secret = attacker.own[TICKET_SECRET]
    ticket = PresentedTicket(resumption_id=attacker.own[TICKET_ID], key_epoch=1, ticket=attacker.own[TICKET])
    attacker.does("resumes the session with its ticket")
    line = await attacker.dial(port, SERVER, f"as {BATCH}")

    def guess(answer: ServerInit) -> list[bytes]:
        return [secret]

    posed = await pose(line, attacker.stolen[CERTIFICATE], SERVER, (STATIC,), guess, ticket=ticket)
    return None if posed is None else await posed.complete(ORDER)


async def _ends(stage: Stage, patches: tuple[str, ...]) -> tuple[Endpoint, int, alts.Credential]:
    keys, _, _ = resumption_keys()
    server = await stage.endpoint("server", stage.realm.workload(SERVER), patches=patches, resumes=True, keys=keys)
    client = await stage.endpoint("client", stage.realm.workload(CLIENT), patches=patches)
    port = await server.serve()
    await honest_call(stage, client, server, port, b"good morning")
    credential = stage.realm.machine(BATCH)
    stage.steals(KEY, key_of(credential))
    stage.steals(CERTIFICATE, credential.certificate)
    return server, port, credential


async def _revoke(stage: Stage, server: Endpoint, credential: alts.Credential) -> None:
    stage.realm.revoked.add(credential.parsed.body.revocation_id)
    await server.change(revoked=sorted(stage.realm.revoked))
    stage.say(f"the theft is noticed: the certificate of {BATCH} is revoked, and the file reaches {SERVER}")


async def _full(stage: Stage, *, revoked: bool) -> Outcome:
    server, port, credential = await _ends(stage, ())
    if revoked:
        await _revoke(stage, server, credential)
    return await impersonation(stage, server, BATCH, ORDER, await stage.turn_loose(use, port))


async def _resumed(stage: Stage, patches: tuple[str, ...]) -> Outcome:
    server, port, credential = await _ends(stage, patches)
    got = await stage.turn_loose(get_ticket, port)
    stage.control(got, "before the revocation the stolen credential is as good as any, and gets a ticket")
    await server.mark()
    await _revoke(stage, server, credential)
    return await impersonation(stage, server, BATCH, ORDER, await stage.turn_loose(resume, port))


async def _before(stage: Stage) -> Outcome:
    return await _full(stage, revoked=False)


async def _after(stage: Stage) -> Outcome:
    return await _full(stage, revoked=True)


async def _ticket_unchecked(stage: Stage) -> Outcome:
    return await _resumed(stage, ("resume-the-revoked",))


async def _ticket(stage: Stage) -> Outcome:
    return await _resumed(stage, ())


ATTACKS = (
    Attack(
        "revoked-peer",
        "A stolen credential goes on being used after it was revoked",
        "A machine's certificate and key are stolen. The theft is noticed, and the certificate revoked. "
        "The thief connects all the same, at first with the credential, then with a ticket from the time before.",
        "blocked: revocation is asked about in every full handshake, and about all four certificates on every "
        "resumption",
        "ask the revocation file, in resumption too",
        ("REVOKE-1", "REVOKE-6", "RES-8"),
        (("credentials-verify", "4.9"), ("resumption-acceptable", "12.6")),
        (
            Trial(
                "before",
                "the verifier's revocation file does not know of it yet",
                Outcome.WORKS,
                _before,
                Query(
                    "twins/no_revocation_of_handshake.pv",
                    "twins/no-revocation-of-handshake/genuine-individual-client",
                    "false",
                ),
            ),
            Trial(
                "after",
                "the verifier's revocation file lists it",
                Outcome.BLOCKED,
                _after,
                Query("static_credentials.pv", "static/genuine-individual-client", "true"),
            ),
            Trial(
                "ticket-unchecked",
                "a ticket from before, at a weakened build that does not ask about revocation on resumption",
                Outcome.WORKS,
                _ticket_unchecked,
                without_query=NO_LATER_SCRIPT,
            ),
            Trial(
                "ticket",
                "a ticket from before, at the implementation as it is",
                Outcome.BLOCKED,
                _ticket,
                without_query=NO_LATER_SCRIPT,
            ),
        ),
    ),
)
