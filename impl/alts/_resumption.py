"""Resumption: who offers, accepts, attaches, makes and keeps which ticket (SPEC 12; RES-1 to RES-8).

Runs only where a configuration has a `Resumption`. Every doubt means a full handshake (RES-8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ._contents import Ticket
from ._errors import ErrorCode, PeerViolation
from ._key_schedule import ticket_secret
from ._messages import X25519_KCI_SHA256, X25519_STATIC_SHA256
from ._table import Role
from ._tickets import (
    HeldTicket,
    ResumptionKeys,
    Session,
    TicketCache,
    UsedSecrets,
    UsedSecretsInMemory,
    open_ticket,
    seal_ticket,
)
from ._trust import Category, parse_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ._config import Configuration
    from ._contents import Answer, Offer, Presented
    from ._events import Mode
    from ._tickets import Line
    from ._trust import Certificate, Peer, Trust

TICKET_LIFETIME, CHAIN_LIFETIME = 86400, 172800
"""Seconds: a ticket lives at most 24 h, a chain of sessions without a full handshake at most 48 h (SPEC 12.5)."""
_OTHER = {Role.CLIENT: Role.SERVER, Role.SERVER: Role.CLIENT}
CLOCK_SKEW = 300
"""Seconds that a replica's clock may be behind the one that made a ticket."""


def may_resume(cipher: str, maker: Role, *, server_tickets_with_pfs: bool) -> bool:
    """Tell whether `maker` makes a ticket in a handshake with `cipher` (SPEC 12.4).

    None with the KCI-resistant cipher. With forward secrecy the server makes none unless configured: it would leave
    before ClientFinished, and be worth something to a thief of the static keys of that time.
    """
    if cipher == X25519_KCI_SHA256:
        return False
    return cipher == X25519_STATIC_SHA256 or maker is Role.CLIENT or server_tickets_with_pfs


def ticket_end(session: Session, made: int) -> int:
    """Return the first second at which a ticket of `session` that is made at `made` lives no more (SPEC 12.5)."""
    end, chain = made + TICKET_LIFETIME, session.full_handshake + CHAIN_LIFETIME
    if chain < end:
        end = chain
    peer, own = session.peer.not_after, session.own.not_after
    if 0 < peer < end:  # one whose end is 0 has none
        end = peer
    return own if 0 < own < end else end


def unusable(
    session: Session, trust: Trust, now: int, *, owner: Peer, peer_role: Role, targets: Collection[str]
) -> str:
    """Return why `session` may not be resumed by `owner`, or an empty string: both ends ask on each use (SPEC 12.6).

    Revocation, policy and trust are today's; identities, issuers and IDs are those of the full handshake.
    """
    peer, own, created = session.peer, session.own, session.created
    if not created - CLOCK_SKEW <= now < created + TICKET_LIFETIME:
        return "ticket expired"
    if now >= session.full_handshake + CHAIN_LIFETIME:
        return "chain expired"
    if (peer.not_after and now >= peer.not_after) or (own.not_after and now >= own.not_after):
        return "certificate expired"
    if peer.verification_key_id not in trust.verification_keys:
        return "unknown authority"
    if peer_role is Role.SERVER and peer.category == Category.HUMAN:
        return "a human is no server"
    if not trust.policy.allows(peer.issuer, peer.category, peer.identity):
        return "policy denies"
    is_revoked = trust.is_revoked
    for number in peer.revocation_ids + own.revocation_ids:
        if is_revoked(number) is not False:
            return "revoked"
    if targets and peer.identity not in targets:
        return "not a target identity"
    if own is not owner and (own.identity != owner.identity or own.category != owner.category):
        return "this end was another"  # the peer would go on with whom it met then
    return ""


@dataclass(slots=True)
class Resumption:
    """What an endpoint needs to resume sessions; shared by all its connections, and `keys` replaced on rotation.

    Attributes:
        keys: of its identity in its cell; None: it makes no tickets, and only uses those that it holds.
        cache: of the tickets that it holds.
        used: secrets of tickets that it made and that came back.
        server_tickets_with_pfs: see `may_resume`; off by default.
    """

    keys: ResumptionKeys | None = None
    cache: TicketCache = field(default_factory=TicketCache)
    used: UsedSecrets = field(default_factory=UsedSecretsInMemory)
    server_tickets_with_pfs: bool = False


class Resumer:
    """One handshake's part in resumption.

    Args:
        role: of this endpoint.
        configuration: of this endpoint.
        resumption: the configuration's; asked of once, so that a rotation does not fall into a handshake.
    """

    _peer_resumption_id = b""
    _named = False  # whether ClientInit named the own IDR
    offered: HeldTicket | None = None
    presented: Certificate | None = None
    """Server: what ClientInit has, parsed and not verified."""

    def __init__(self, role: Role, configuration: Configuration, resumption: Resumption) -> None:
        self._role, self._peer_role = role, _OTHER[role]
        self._configuration = configuration
        self._resumption = resumption
        self._keys = resumption.keys

    def offer(self, now: int) -> tuple[bytes, Presented | None]:
        """Client: return what ClientInit says of the own keys, and a server-made ticket if one is held (HS-3, RES-4).

        A ticket is looked for under the target identities; without them there is none. It is out of the cache before it
        is sent (RES-7).
        """
        own = self._configuration
        ciphers, named = own.handshake_ciphers, b""
        if self._keys is not None and ciphers != (X25519_KCI_SHA256,):
            self._named, named = True, self._keys.client_init
        self.offered = held = self._resumption.cache.take(
            own.target_identities,
            now,
            lambda held: (
                held.maker is Role.SERVER
                and held.session.handshake_cipher in ciphers
                and self._usable(held.session, now)
            ),
        )
        return named, held.presented if held is not None else None

    def at_server(
        self, offer: Offer, ticket: Ticket | None, cipher: str, now: int
    ) -> tuple[Mode, Session | None, HeldTicket | None]:
        """Server: decide the mode (SPEC 12.1); the client's ticket wins over a client-made one that is held here.

        The certificate in a ClientInit that is resumed is parsed and not verified: identity and category are compared
        with the ticket, and nothing of it reaches the application.
        """
        self._peer_resumption_id = offer.resumption_id
        if cipher == X25519_KCI_SHA256:
            return "full", None, None
        self.presented = parse_certificate(offer.certificate)
        owner = self.presented.owner
        claimed = owner.identity, owner.category
        if ticket is not None:
            session = self._accept(ticket, cipher, claimed, now)
            if session is not None:
                return "client_ticket", session, None
        if not offer.resumption_id:
            return "full", None, None
        held = self._resumption.cache.take(
            (claimed[0],),
            now,
            lambda held: (
                held.maker is Role.CLIENT
                and held.resumption_id == offer.resumption_id
                and held.key_epoch in offer.ticket_key_epochs
                and held.session.handshake_cipher == cipher
                and held.session.peer.category == claimed[1]
                and self._usable(held.session, now)
            ),
        )
        return ("server_ticket", held.session, held) if held is not None else ("full", None, None)

    def at_client(self, answer: Answer, mode: Mode, now: int) -> Session:
        """Client: return the session that the server resumes (SPEC 12.1, 12.6).

        Raises:
            PeerViolation: ILLEGAL_PARAMETER for a resumption that this ClientInit did not allow, TICKET_REFUSED for an
                attached ticket that cannot be used.
        """
        cipher = answer.handshake_cipher
        if mode == "client_ticket":
            if self.offered is None or cipher != self.offered.session.handshake_cipher:
                raise PeerViolation(ErrorCode.ILLEGAL_PARAMETER, "mode: no such ticket was offered")
            return self.offered.session
        ticket = answer.ticket
        assert ticket is not None  # the mode says so, and was compared
        known = self._named and self._keys is not None and ticket.resumption_id == self._keys.resumption_id
        if not known or cipher == X25519_KCI_SHA256:
            raise PeerViolation(ErrorCode.ILLEGAL_PARAMETER, "mode: no ticket may be attached")
        session = self._accept(ticket, cipher, None, now)
        if session is None:
            raise PeerViolation(ErrorCode.TICKET_REFUSED, "the ticket that the server attached cannot be used")
        return session

    def issue(self, line: Line, resumption_secret: bytes, random: Callable[[int], bytes], now: int) -> Ticket | None:
        """Make the ticket that goes out beside Finished, or None where none is made (RES-3, RES-4, RES-6)."""
        keys = self._keys
        if keys is None:
            return None
        role = self._role
        session = Session(ticket_secret(resumption_secret, role), *line)
        pfs = self._resumption.server_tickets_with_pfs
        lifetime = ticket_end(session, now) - now
        if not may_resume(session.handshake_cipher, role, server_tickets_with_pfs=pfs) or lifetime <= 0:
            return None
        epoch, ticket = seal_ticket(keys, role, session, random)
        return Ticket(keys.resumption_id, epoch, ticket, lifetime)

    def check(self, issued: Ticket) -> None:
        """Server: the client's ticket is for the IDR that ClientInit named (SPEC 12.4).

        Raises:
            PeerViolation: ILLEGAL_PARAMETER.
        """
        if self._role is Role.SERVER and issued.resumption_id != self._peer_resumption_id:
            raise PeerViolation(ErrorCode.ILLEGAL_PARAMETER, "the ticket's resumption ID is not that of ClientInit")

    def keep(self, issued: Ticket, line: Line, resumption_secret: bytes, now: int) -> None:
        """Put a ticket of the now authenticated peer into the cache, for no longer than this end allows itself."""
        resumption_id, epoch, sealed, lifetime = issued
        session = Session(ticket_secret(resumption_secret, self._peer_role), *line)
        expires = min(now + lifetime, ticket_end(session, now))
        if session.handshake_cipher == X25519_KCI_SHA256 or expires <= now:
            return
        self._resumption.cache.put(HeldTicket(resumption_id, epoch, sealed, session, expires, self._peer_role))

    def _accept(self, ticket: Ticket, cipher: str, claimed: tuple[str, Category] | None, now: int) -> Session | None:
        """Open a ticket that this endpoint, or a replica, made; check it anew; use its secret up (RES-3 to RES-7)."""
        if self._keys is None:
            return None
        resumption_id, epoch, sealed, _ = ticket
        identity = self._configuration.credential.identity
        session = open_ticket(self._keys, self._role, identity, resumption_id, epoch, sealed)
        if session is None or session.handshake_cipher != cipher:
            return None
        if claimed is not None and claimed != (session.peer.identity, session.peer.category):
            return None
        if not self._usable(session, now):
            return None
        expires = ticket_end(session, session.created)
        return session if self._resumption.used.first_use(session.secret, expires, now) else None

    def _usable(self, session: Session, now: int) -> bool:
        own = self._configuration
        owner, role, targets = own.credential.peer, self._peer_role, own.target_identities
        return not unusable(session, own.trust, now, owner=owner, peer_role=role, targets=targets)
