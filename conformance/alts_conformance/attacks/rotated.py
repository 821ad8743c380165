"""A rotated static key and a ticket of its time: the key is out of use, and what it protected still opens a door."""

from __future__ import annotations

from alts_schema.handshake_pb2 import (
    ClientInit,
    IssuedTicket,
    PresentedTicket,
    ServerFinished,
    ServerInit,
)

from . import _forge
from ._attacker import Attacker
from ._forge import PFS, STATIC
from ._judge import impersonation
from ._pose import Shares, pose
from ._record import Attack, Outcome, Query, Trial
from ._stage import CLIENT, SERVER, Endpoint, Stage, honest_call, key_of, resumption_keys
from ._story import CLIENT_INIT, SERVER_FINISHED, SERVER_INIT

ORDER = b"open the vault"
OLD_KEY = f"the X25519 private key of {SERVER} that was rotated out"
EPHEMERAL = "its own ephemeral key of the handshake that it began"


async def from_recording(attacker: Attacker, port: int) -> bytes | None:
    """The old key opens the recorded handshake, hence the secret of the ticket that the server made in it."""
    first, second = attacker.payloads(CLIENT_INIT)[0], attacker.payloads(SERVER_INIT)[0]
    certificate = ClientInit.FromString(first).certificate
    public = _forge.body_of(certificate).x25519_public_key
    material = _forge.exchange(attacker.stolen[OLD_KEY], public)
    keys = _forge.session_keys(material, first, second, CLIENT, SERVER)
    issued = ServerFinished.FromString(attacker.payloads(SERVER_FINISHED)[0]).ticket
    attacker.does("computes the old session's keys, and from them the secret of the ticket that went by in clear")
    return await _resume(attacker, port, STATIC, certificate, issued, _forge.ticket_secret(keys, "server"))


async def begin(attacker: Attacker, port: int) -> bool:
    """Begin a handshake as the client, with an ephemeral key of its own, for the sake of the server's ticket."""
    certificate = ClientInit.FromString(attacker.payloads(CLIENT_INIT)[0]).certificate
    private = Shares.fresh()
    attacker.own[EPHEMERAL] = private.private
    attacker.does(f"begins a handshake as {CLIENT} that it cannot complete: it lacks ss")
    tap = await attacker.tap("attacker", SERVER, port)
    line = await attacker.dial(tap.port, SERVER, f"as {CLIENT}")
    posed = await pose(line, certificate, SERVER, (PFS,), _no_idea, shares=private)
    await line.close()
    return posed is not None and posed.finished.HasField("ticket")


def _no_idea(answer: ServerInit) -> list[bytes]:
    return [bytes(64)]


async def from_begun_handshake(attacker: Attacker, port: int) -> bytes | None:
    """With the old key, the begun handshake's keys are known, and those of a ticket that the server made in it."""
    first, second = attacker.payloads(CLIENT_INIT)[-1], attacker.payloads(SERVER_INIT)[-1]
    issued = ServerFinished.FromString(attacker.payloads(SERVER_FINISHED)[-1])
    certificate = ClientInit.FromString(first).certificate
    public = _forge.body_of(certificate).x25519_public_key
    ephemeral = attacker.own[EPHEMERAL]
    ss = _forge.exchange(attacker.stolen[OLD_KEY], public)
    ee = _forge.exchange(ephemeral, ServerInit.FromString(second).key_share)
    keys = _forge.session_keys(ss + ee, first, second, CLIENT, SERVER)
    if issued.HasField("ticket"):
        attacker.does("computes the keys of the handshake that it began, and from them the secret of its ticket")
        return await _resume(attacker, port, PFS, certificate, issued.ticket, _forge.ticket_secret(keys, "server"))
    attacker.does("has no ticket: the server sent none before the client had proved who it is; it tries the old key")
    shares = Shares.fresh()

    def guess(answer: ServerInit) -> list[bytes]:
        return [ss + _forge.exchange(shares.private, answer.key_share)]

    line = await attacker.dial(port, SERVER, f"as {CLIENT}")
    posed = await pose(line, certificate, SERVER, (PFS,), guess, shares=shares)
    return None if posed is None else await posed.complete(ORDER)


async def _resume(
    attacker: Attacker, port: int, cipher: str, certificate: bytes, issued: IssuedTicket, secret: bytes
) -> bytes | None:
    ticket = PresentedTicket(resumption_id=issued.resumption_id, key_epoch=issued.key_epoch, ticket=issued.ticket)
    shares = Shares.fresh()

    def guess(answer: ServerInit) -> list[bytes]:
        return [secret if cipher == STATIC else secret + _forge.exchange(shares.private, answer.key_share)]

    attacker.does(f"presents the ticket as {CLIENT}")
    line = await attacker.dial(port, SERVER, f"as {CLIENT}")
    posed = await pose(line, certificate, SERVER, (cipher,), guess, shares=shares, ticket=ticket)
    return None if posed is None else await posed.complete(ORDER)


# -- the stage --------------------------------------------------------------------------------------------------------


async def _ends(stage: Stage, cipher: str, *, early: bool) -> tuple[Endpoint, int]:
    """A server that resumes; an honest session on the attacker's tap. The client does not resume with its ticket."""
    keys, _, _ = resumption_keys()
    server = await stage.endpoint(
        "server", stage.realm.workload(SERVER), ciphers=(cipher,), resumes=True, keys=keys, early_tickets=early
    )
    client = await stage.endpoint("client", stage.realm.workload(CLIENT), ciphers=(cipher,))
    port = await server.serve()
    tap = await stage.attacker.tap(CLIENT, SERVER, port)
    await honest_call(stage, client, server, tap.port, b"good morning")
    return server, port


async def _rotate(stage: Stage, server: Endpoint) -> None:
    old = key_of(server.credential)
    await server.rotate(stage.realm.workload(SERVER))
    stage.say(f"{SERVER} rotates its handshake certificate and key; its resumption key stays")
    stage.steals(OLD_KEY, old)


async def _static(stage: Stage) -> Outcome:
    server, port = await _ends(stage, STATIC, early=False)
    await _rotate(stage, server)
    return await impersonation(stage, server, CLIENT, ORDER, await stage.turn_loose(from_recording, port))


async def _pfs(stage: Stage, *, early: bool) -> Outcome:
    server, port = await _ends(stage, PFS, early=early)
    got = await stage.turn_loose(begin, port)
    stage.say(f"the server's flight to a client that proved nothing {'held' if got else 'held no'} ticket")
    await _rotate(stage, server)
    answer = await stage.turn_loose(from_begun_handshake, port)
    return await impersonation(stage, server, CLIENT, ORDER, answer, the_attacker_has_the_secret_of_a_ticket=got)


async def _pfs_early(stage: Stage) -> Outcome:
    return await _pfs(stage, early=True)


async def _pfs_late(stage: Stage) -> Outcome:
    return await _pfs(stage, early=False)


ATTACKS = (
    Attack(
        "rotated-key-ticket",
        "A static key that was rotated out opens a door, with a ticket of its time",
        "Keys are rotated so that an old one is worth nothing. But a ticket carries a secret from the time of the old "
        "key, and lives for up to a day. Who gets the old key and has the ticket, resumes the session. With forward "
        "secrecy a recording does not help; a handshake that the attacker itself begins, with its own ephemeral key, "
        "does, if the server sends its ticket before it knows the client.",
        "by design with the static cipher (TRADE-4) and where server-made tickets are allowed with forward secrecy; "
        "fixed by the default: with a forward secret cipher the server makes no ticket",
        "a forward secret cipher without server-made tickets (the default)",
        ("TRADE-4", "RES-4", "HS-10"),
        (("resumption-making", "12.4"), ("tradeoffs-pfs", "14.3")),
        (
            Trial(
                "static",
                f"{STATIC}",
                Outcome.WORKS,
                _static,
                query=Query("static_rotated_server_made.pv", "static/rotated/server-made", "false"),
            ),
            Trial(
                "pfs-server-made",
                f"{PFS}, and the server may make tickets",
                Outcome.WORKS,
                _pfs_early,
                query=Query("pfs_rotated_server_made.pv", "pfs/rotated/server-made", "false"),
            ),
            Trial(
                "pfs",
                f"{PFS}, as it comes: the server makes none",
                Outcome.BLOCKED,
                _pfs_late,
                without_query="there is no ticket; that a ticket of a client stays secret is pfs/rotated/client-made",
            ),
        ),
    ),
)
