"""Key-compromise impersonation: with a key stolen from the victim, anybody is impersonated to the victim (TRADE-1)."""

from __future__ import annotations

from alts_schema.handshake_pb2 import ClientInit, ServerInit

from . import _forge, kci_client
from ._attacker import Attacker
from ._forge import KCI, STATIC
from ._judge import impersonation
from ._pose import Shares, pose
from ._record import Attack, Outcome, Query, Trial
from ._stage import CLIENT, SERVER, Endpoint, Stage, key_of, resumption_keys
from ._story import CLIENT_INIT, SERVER_INIT
from ._wheel import WheelServer, greet, victim

ORDER = b"drop every table"
DH_KEY = f"the X25519 private key of {SERVER}"
CLIENT_KEY = f"the X25519 private key of {CLIENT}"
RESUMPTION_KEY = f"the resumption key of {SERVER}"
RESUMPTION_ID = "the resumption ID that it goes with"


# -- the attacker: these functions see an Attacker and public values only ---------------------------------------------


async def with_dh_key(attacker: Attacker, port: int, ciphers: tuple[str, ...], grpc: bool) -> bytes | None:
    """Pose as the client whose certificate went by, to the owner of the stolen key; returns the answer, if any."""
    key = attacker.stolen[DH_KEY]
    certificate = ClientInit.FromString(attacker.payloads(CLIENT_INIT)[0]).certificate
    public = _forge.body_of(certificate).x25519_public_key
    attacker.does(f"shows the certificate of {CLIENT}, which it saw on the wire, and offers {' '.join(ciphers)}")
    shares = Shares.fresh()

    def guess(answer: ServerInit) -> list[bytes]:
        ss = _forge.exchange(key, public)
        if answer.handshake_cipher == STATIC:
            return [ss]
        ee, es = _forge.exchange(shares.private, answer.key_share), _forge.exchange(key, shares.public)
        # se is of the client's static key and the server's ephemeral one: it should have neither.
        if CLIENT_KEY in attacker.stolen:
            return [ss + es + _forge.exchange(attacker.stolen[CLIENT_KEY], answer.key_share) + ee]
        return [ss + es + instead + ee for instead in (ss, es, ee, bytes(32))]  # what it can put there

    line = await attacker.dial(port, SERVER, f"as {CLIENT}")
    posed = await pose(line, certificate, SERVER, ciphers, guess, shares=shares)
    if posed is None:
        return None
    attacker.does(
        "computes the session keys from what it stole and that certificate: ServerFinished fits"
        if posed.fits
        else "cannot compute the session keys: none of its guesses fits ServerFinished; it goes on with the best"
    )
    return await posed.complete(ORDER, grpc=grpc)


async def with_resumption_key(attacker: Attacker, port: int, ciphers: tuple[str, ...], grpc: bool) -> bytes | None:
    """Forge a ticket that the victim seems to have made for the client, and resume with it."""
    key = attacker.stolen[RESUMPTION_KEY]
    client = ClientInit.FromString(attacker.payloads(CLIENT_INIT)[0]).certificate
    server = ServerInit.FromString(attacker.payloads(SERVER_INIT)[0]).certificate
    resumption_id = attacker.stolen[RESUMPTION_ID]
    secret = bytes(range(32))
    attacker.does(f"seals a ticket under the stolen key: {CLIENT}, with a secret that it has chosen itself")
    ticket = _forge.seal_ticket(key, 1, resumption_id, server, client, STATIC, secret)
    shares = Shares.fresh()

    def guess(answer: ServerInit) -> list[bytes]:
        return [secret]

    line = await attacker.dial(port, SERVER, f"as {CLIENT}")
    posed = await pose(line, client, SERVER, ciphers, guess, shares=shares, ticket=ticket)
    if posed is None:
        return None
    attacker.does(
        "knows the session keys" if posed.fits else "does not know the session keys, and goes on all the same"
    )
    return await posed.complete(ORDER, grpc=grpc)


# -- the stage --------------------------------------------------------------------------------------------------------


async def _victim(
    stage: Stage, ciphers: tuple[str, ...], *, resumes: bool, both: bool = False
) -> tuple[Endpoint | WheelServer, int]:
    """The victim and its port; a client has called it past the attacker, who then steals a key."""
    keys, resumption_id, key = resumption_keys()
    server, port = await victim(stage, SERVER, ciphers=ciphers, keys=keys if resumes else None)
    client = await stage.endpoint("client", stage.realm.workload(CLIENT), ciphers=ciphers)
    tap = await stage.attacker.tap(CLIENT, SERVER, port)
    await greet(stage, client, server, tap.port)
    if not resumes:
        stage.steals(DH_KEY, key_of(server.credential))
        if both:
            stage.steals(CLIENT_KEY, key_of(client.credential))
        return server, port
    if isinstance(server, WheelServer) and server.keys is not None:
        resumption_id, key = server.keys.resumption_id, server.keys.keys[1]
    stage.steals(RESUMPTION_KEY, key)
    stage.steals(RESUMPTION_ID, resumption_id)
    return server, port


async def _dh(stage: Stage, allowed: tuple[str, ...], offered: tuple[str, ...], *, both: bool = False) -> Outcome:
    server, port = await _victim(stage, allowed, resumes=False, both=both)
    grpc = isinstance(server, WheelServer)
    answer = await stage.turn_loose(with_dh_key, port, offered, grpc)
    return await impersonation(stage, server, CLIENT, ORDER, answer)


async def _ticket(stage: Stage, allowed: tuple[str, ...], offered: tuple[str, ...]) -> Outcome:
    server, port = await _victim(stage, allowed, resumes=True)
    grpc = isinstance(server, WheelServer)
    answer = await stage.turn_loose(with_resumption_key, port, offered, grpc)
    return await impersonation(stage, server, CLIENT, ORDER, answer)


async def _dh_static(stage: Stage) -> Outcome:
    return await _dh(stage, (STATIC,), (STATIC,))


async def _dh_kci(stage: Stage) -> Outcome:
    return await _dh(stage, (KCI,), (KCI,))


async def _dh_both(stage: Stage) -> Outcome:
    return await _dh(stage, (KCI,), (KCI,), both=True)


async def _dh_mixed(stage: Stage) -> Outcome:
    return await _dh(stage, (KCI, STATIC), (STATIC,))


async def _ticket_static(stage: Stage) -> Outcome:
    return await _ticket(stage, (STATIC,), (STATIC,))


async def _ticket_kci(stage: Stage) -> Outcome:
    return await _ticket(stage, (KCI,), (KCI,))


async def _ticket_mixed(stage: Stage) -> Outcome:
    return await _ticket(stage, (KCI, STATIC), (STATIC,))


_SERVER_FOOLED = Query("client_side_resumption_key_theft.pv", "client-side/resumption-key-theft/server-fooled", "false")
_NEVER_RESUMED = "no script: this cipher is never resumed, so that there is no ticket to model"

ATTACKS = (
    Attack(
        "kci-dh-key",
        "Anybody is impersonated to the victim with the victim's own Diffie-Hellman key",
        "The static secret ss belongs to two keys; whoever holds either can compute it. A thief of the server's key "
        "shows the server a certificate of somebody else, which it has seen on the wire, and computes ss from the "
        "other side. The server believes in that client. Likewise a client whose key is stolen believes in any server.",
        "by design: the static cipher authenticates with ss alone (TRADE-1); fixed by X25519_KCI_SHA256 where nothing "
        "else is allowed",
        "allow X25519_KCI_SHA256 alone, and take no tickets",
        ("TRADE-1", "TRADE-2"),
        (("tradeoffs-kci", "14.1"), ("keys-ephemeral", "7.2.2")),
        (
            Trial(
                "static",
                f"the victim allows {STATIC}",
                Outcome.WORKS,
                _dh_static,
                Query("static_key_theft.pv", "static/key-theft/kci-server", "false"),
            ),
            Trial(
                "kci",
                f"the victim allows {KCI} alone",
                Outcome.BLOCKED,
                _dh_kci,
                Query("kci_key_theft.pv", "kci/key-theft/server-not-fooled", "true"),
            ),
            Trial(
                "kci-both-keys",
                f"the victim allows {KCI} alone, and the key of this very client is stolen, too",
                Outcome.WORKS,
                _dh_both,
                without_query="whoever has a client's key is that client; shows that nothing but se was missing",
            ),
            Trial(
                "mixed",
                f"the victim allows {KCI}, and {STATIC} beside it",
                Outcome.WORKS,
                _dh_mixed,
                Query("mixed_key_theft.pv", "mixed/key-theft/kci-server", "false"),
            ),
            *kci_client.TRIALS,
            Trial(
                "wheel-static",
                f"the victim is the gRPC wheel, its handshaker service allows {STATIC}",
                Outcome.WORKS,
                _dh_static,
                Query("static_key_theft.pv", "static/key-theft/kci-server", "false"),
                wheel=True,
            ),
            Trial(
                "wheel-kci",
                f"the victim is the gRPC wheel, its handshaker service allows {KCI} alone",
                Outcome.BLOCKED,
                _dh_kci,
                Query("kci_key_theft.pv", "kci/key-theft/server-not-fooled", "true"),
                wheel=True,
            ),
        ),
    ),
    Attack(
        "kci-resumption-key",
        "Anybody is impersonated to the victim with a ticket forged under the victim's resumption key",
        "A ticket is believed because nobody but its maker can seal one. A thief of the maker's resumption key seals "
        "a ticket that says: this is prod/frontend, and here is the secret of our session.",
        "by design: a ticket is as good as the key that it is sealed with (TRADE-1); fixed by X25519_KCI_SHA256, which "
        "is never resumed, where nothing else is allowed",
        "allow X25519_KCI_SHA256 alone: it takes and makes no tickets",
        ("TRADE-1", "RES-3"),
        (("tradeoffs-kci", "14.1"), ("resumption-making", "12.4")),
        (
            Trial(
                "static",
                f"the victim allows {STATIC} and resumes",
                Outcome.WORKS,
                _ticket_static,
                query=_SERVER_FOOLED,
            ),
            Trial(
                "kci",
                f"the victim allows {KCI} alone, though it has resumption keys",
                Outcome.BLOCKED,
                _ticket_kci,
                without_query=_NEVER_RESUMED,
            ),
            Trial(
                "mixed",
                f"the victim allows {KCI}, and {STATIC} beside it",
                Outcome.WORKS,
                _ticket_mixed,
                query=_SERVER_FOOLED,
            ),
            Trial(
                "wheel-static",
                f"the victim is the gRPC wheel, its handshaker service allows {STATIC} and resumes",
                Outcome.WORKS,
                _ticket_static,
                query=_SERVER_FOOLED,
                wheel=True,
            ),
            Trial(
                "wheel-kci",
                f"the victim is the gRPC wheel, its handshaker service allows {KCI} alone",
                Outcome.BLOCKED,
                _ticket_kci,
                without_query=_NEVER_RESUMED,
                wheel=True,
            ),
        ),
    ),
)
