"""Handshake ciphers: each of the four between every pair of peers, the choice between them, and bad shares."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any

import alts
from alts_conformance import ENDED, CaseRun, Severity, case
from alts_conformance._context import ALERT
from alts_conformance._fleet import FULL, End, Fleet, Handshaken
from alts_conformance._frames import make_frame
from alts_conformance._manipulate import CLIENT_TO_SERVER, SERVER_TO_CLIENT, Rule, Seen, Send
from alts_conformance._opponent import ClientOpponent
from alts_conformance._recording import reaction_in
from alts_schema.handshake_pb2 import ClientInit, KeyShare, ServerInit

NEEDS = ("alts", "ciphers")
PAIR: dict[str, Any] = {"subjects": ("client", "server"), "needs": {"client": NEEDS, "server": NEEDS}, "limit": 60}
STATIC, PFS = alts.X25519_STATIC_SHA256, alts.X25519_PFS_SHA256
KCI, HYBRID = alts.X25519_KCI_SHA256, alts.X25519_MLKEM768_PFS_SHA256
#: Sizes of the client's and the server's share (SPEC 7.2).
SHARES = {STATIC: (0, 0), PFS: (32, 32), KCI: (32, 32), HYBRID: (32 + 1184, 32 + 1088)}
FORWARD_SECRET = (PFS, KCI, HYBRID)
#: Points of small order on the curve and its twist, and the same over the field's prime: X25519 with them is zero.
LOW_ORDER = {
    "zero": bytes(32),
    "one": bytes([1]) + bytes(31),
    "order_eight": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    "minus_one": bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    "prime": bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
}


def shares(run: CaseRun, met: Handshaken, cipher: str) -> tuple[bytes, bytes]:
    """The shares of a handshake with this cipher: there where needed, of the right size.

    Raises:
        CaseFailed: they are not, or another cipher was chosen.
    """
    offered, chosen = met.client_init, met.server_init
    run.expect(chosen.handshake_cipher == cipher, f"cipher {chosen.handshake_cipher} was chosen, right is {cipher}")
    for share in offered.key_shares:
        size = SHARES[share.handshake_cipher][0]
        run.expect(len(share.share) == size, f"a share of {len(share.share)} bytes for {share.handshake_cipher}")
    named = [share.handshake_cipher for share in offered.key_shares]
    wanted = [name for name in offered.handshake_ciphers if SHARES[name][0]]
    run.expect(sorted(named) == sorted(wanted), f"shares for {named}, offered are {list(offered.handshake_ciphers)}")
    run.expect(len(chosen.key_share) == SHARES[cipher][1], f"the server's share has {len(chosen.key_share)} bytes")
    return next((s.share for s in offered.key_shares if s.handshake_cipher == cipher), b""), chosen.key_share


@case(
    **PAIR,
    requirements=("HS-1", "HS-5", "HS-10", "TRADE-2", "TRUST-7"),
    severity=Severity.CRITICAL,
    why="Two implementations that mix other secrets, or mix them in another order, cannot talk to each other.",
    parameters={"cipher": tuple(SHARES)},
)
async def each_cipher_carries_calls(run: CaseRun, cipher: str) -> None:
    """With this cipher alone at the server, offered beside all others by the client, two handshakes succeed and carry
    100,000 bytes each way; shares are fresh each time.
    """
    fleet = await Fleet.make(run, keys=())
    server, client = await fleet.server(ciphers=[cipher]), await fleet.client(ciphers=list(SHARES))
    seen: set[bytes] = set()
    for _ in range(2):
        met = await fleet.meet(client, server, size=100_000)
        run.expect(met.mode == FULL, f"mode {met.mode} without resumption keys")
        seen.update(shares(run, met, cipher))
    run.expect(cipher == STATIC or len(seen) == 4, "an ephemeral share came twice")


@case(
    **{**PAIR, "needs": {"client": (*NEEDS, "resumption"), "server": (*NEEDS, "resumption")}},
    requirements=("HS-10", "RES-6", "RES-3"),
    severity=Severity.CRITICAL,
    why="A resumed session of a forward secret cipher is forward secret only if it mixes fresh ephemeral secrets.",
    parameters={"cipher": (PFS, HYBRID)},
)
async def resumed_sessions_keep_forward_secrecy(run: CaseRun, cipher: str) -> None:
    """Resumed sessions exchange fresh shares. The client makes tickets, the server none: its would leave too early."""
    fleet = await Fleet.make(run)
    server, client = await fleet.server(ciphers=[cipher]), await fleet.client(ciphers=[cipher])
    seen: set[bytes] = set()
    modes = []
    for _ in range(3):
        met = await fleet.meet(client, server)
        modes.append(met.mode)
        seen.update(shares(run, met, cipher))
        run.expect(met.tickets_made == (False, True), f"tickets of server and client: {met.tickets_made}")
    run.expect(modes == [FULL, "SERVER_TICKET", "SERVER_TICKET"], f"modes {modes}")
    run.expect(len(seen) == 6, "an ephemeral share came twice")


@case(
    **PAIR,
    requirements=("HS-4", "HS-3", "TRUST-7"),
    severity=Severity.HIGH,
    why="The client's order decides, so that a client that wants more gets it wherever it can.",
    parameters={"first": (STATIC, HYBRID)},
)
async def clients_order_decides(run: CaseRun, first: str) -> None:
    """Client and server allow the same two ciphers in opposite order: the client's first is chosen."""
    other = HYBRID if first == STATIC else STATIC
    fleet = await Fleet.make(run, keys=())
    server, client = await fleet.server(ciphers=[other, first]), await fleet.client(ciphers=[first, other])
    met = await fleet.meet(client, server)
    run.expect(list(met.client_init.handshake_ciphers) == [first, other], "the client did not offer what it was told")
    shares(run, met, first)


@case(
    **PAIR,
    requirements=("HS-4", "TRADE-2"),
    severity=Severity.CRITICAL,
    why="An end that wants the resistant cipher must not be talked into another: nothing else resists.",
    parameters={"strict": ("client", "server")},
)
async def no_common_cipher_means_no_session(run: CaseRun, strict: str) -> None:
    """One end allows X25519_KCI_SHA256 alone, the other all but that: there is no session and no call."""
    fleet = await Fleet.make(run, keys=())
    others = [name for name in SHARES if name != KCI]
    server = await fleet.server(ciphers=[KCI] if strict == "server" else others)
    client = await fleet.client(ciphers=[KCI] if strict == "client" else others)
    outcome, met = await fleet.attempt(client, server, target=True, timeout=5)
    run.expect(outcome.status != 0, "the call succeeded")
    run.expect(bool(met) and not met[0].mode, "the server answered with a ServerInit")
    run.expect(await server.observed() == 0, "the application saw a call")


# -- shares that are no good -------------------------------------------------------------------------------------------


def _replace(share: bytes, flaw: str) -> bytes:
    """The share with its X25519 half replaced by a low-order point, or another size."""
    if flaw in LOW_ORDER:
        return LOW_ORDER[flaw] + share[32:]
    if flaw == "over_the_modulus":
        return share[:32] + b"\xff" * 1152 + share[-32:]
    return {"short": share[:-1], "long": share + b"\x00"}[flaw]


@case(
    subjects=("server",),
    needs={"server": NEEDS},
    limit=60,
    requirements=("HS-1", "HS-10"),
    severity=Severity.CRITICAL,
    why="With a low-order point an attacker knows the ephemeral secret, and forward secrecy is gone unnoticed.",
    parameters={"cipher": FORWARD_SECRET, "flaw": (*LOW_ORDER, "short", "long")},
)
async def server_refuses_a_bad_share(run: CaseRun, cipher: str, flaw: str) -> None:
    """A client's share that is a low-order point, or of the wrong size, is refused, with BAD_KEY_SHARE or (wrong size)
    ILLEGAL_PARAMETER.
    """
    await _offer(run, cipher, flaw)


@case(
    subjects=("server",),
    needs={"server": NEEDS},
    limit=60,
    requirements=("HS-1", "HS-10"),
    severity=Severity.HIGH,
    why="A key that is none may make the secret a guess.",
)
async def server_refuses_an_encapsulation_key_over_the_modulus(run: CaseRun) -> None:
    """An ML-KEM encapsulation key whose coefficients are not below the modulus is refused, with BAD_KEY_SHARE."""
    await _offer(run, HYBRID, "over_the_modulus")


async def _offer(run: CaseRun, cipher: str, flaw: str) -> None:
    fleet = await Fleet.make(run, keys=())
    server = await fleet.server(ciphers=[cipher])
    assert server.relay is not None
    realm = fleet.realm
    configuration = alts.Configuration(realm.credential("client"), realm.trust(), handshake_ciphers=(cipher,))
    opponent = ClientOpponent(run, configuration)
    opponent.reader, opponent.writer = await asyncio.open_connection("127.0.0.1", server.port)
    message = ClientInit.FromString(opponent.client_init()[8:])
    bad = KeyShare(handshake_cipher=cipher, share=_replace(message.key_shares[0].share, flaw))
    message.ClearField("key_shares")
    message.key_shares.append(bad)
    await opponent.send(make_frame(16, message.SerializeToString(deterministic=True)))
    link = await server.relay.first_link()
    await link.recording.wait_for(lambda seen: seen.ended(SERVER_TO_CLIENT) is not None, 8)
    reaction = reaction_in(link.recording, SERVER_TO_CLIENT, since=0, alert_type=ALERT)
    run.judge(reaction, ENDED, "server after a bad share")
    met = Handshaken(link)
    run.expect(not met.mode, "the server answered with a ServerInit")
    _check_alert(run, server, met.alerts(SERVER_TO_CLIENT), flaw)
    run.expect(await server.observed() == 0, "the application saw a call")


@case(
    subjects=("client",),
    needs={"client": NEEDS},
    helpers={"server": "reference"},
    limit=60,
    requirements=("HS-1", "HS-10"),
    severity=Severity.CRITICAL,
    why="With a low-order point an attacker knows the ephemeral secret, and forward secrecy is gone unnoticed.",
    parameters={"cipher": FORWARD_SECRET, "flaw": (*LOW_ORDER, "short", "long")},
)
async def client_refuses_a_bad_share(run: CaseRun, cipher: str, flaw: str) -> None:
    """A server's share is replaced on the way by a low-order point, or one of the wrong size: the client refuses it,
    with BAD_KEY_SHARE or (wrong size) ILLEGAL_PARAMETER, and sends no ClientFinished.
    """
    fleet = await Fleet.make(run, keys=())
    server, client = await fleet.server(ciphers=[cipher]), await fleet.client(ciphers=[cipher])
    assert server.relay is not None

    def change(seen: Seen) -> Sequence[Send]:
        message = ServerInit.FromString(seen.frame.payload)
        message.key_share = _replace(message.key_share, flaw)
        return [Send(make_frame(17, message.SerializeToString(deterministic=True)))]

    server.relay.script = dataclasses.replace(
        server.relay.script,
        rules=[Rule(SERVER_TO_CLIENT, lambda seen: seen.frame.type == 17, change)],
    )
    outcome, met = await fleet.attempt(client, server, target=True, timeout=5)
    run.expect(outcome.status != 0, "the call succeeded")
    run.expect(met[0].mode == FULL, "the server did not answer")
    sent = [frame.type for frame in met[0].link.recording.frames(CLIENT_TO_SERVER)]
    run.expect(19 not in sent, "the client sent ClientFinished")
    _check_alert(run, client, met[0].alerts(CLIENT_TO_SERVER), flaw)


def _check_alert(run: CaseRun, end: End, alerts: list[int], flaw: str) -> None:
    """A peer that holds the whole handshake says what was wrong by the right code; others cannot be asked."""
    if "full-handshake" in run.world.peers[end.peer].capabilities:
        wanted = 5 if flaw in ("short", "long") else 19
        run.expect(alerts == [wanted], f"alerts {alerts} instead of [{wanted}]")
