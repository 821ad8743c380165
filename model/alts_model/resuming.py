"""Tickets: what is made, held, sent and taken (SPEC.md 12), over any algebra.

Each check of 12.6 is a method, so that the explorer can leave one out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic

from alts_model.algebra import Algebra
from alts_model.ciphers import CIPHERS
from alts_model.messages import HUMAN, CertificateView, IssuedTicket, PresentedTicket, V
from alts_model.stores import (
    CLOCK_ALLOWANCE,
    Contents,
    Held,
    Resumption,
    ResumptionKeys,
    Session,
    TicketCache,
)
from alts_model.tables import Role
from alts_model.trust import Trust

Notes = tuple[tuple[str, V], ...]


def other_role(role: Role) -> Role:
    """The role at the other end."""
    return "server" if role == "client" else "client"


@dataclass(frozen=True, slots=True)
class Resumed(Generic[V]):
    """A session that goes on: its mode, the ticket's secret, the chain, and the ticket if the server attaches one."""

    mode: int
    secret: V = field(repr=False)
    session: Session[V]
    attached: PresentedTicket[V] | None = None


@dataclass(frozen=True, slots=True)
class Owner(Generic[V]):
    """Who we are in this connection, and what we trust."""

    role: Role
    identity: str
    category: int
    trust: Trust[V]


class Resumer(Generic[V]):
    """The rules of section 12 for holders and makers."""

    def __init__(self, algebra: Algebra[V]) -> None:
        self._algebra = algebra

    # The holder.

    def keep(
        self,
        owner: Owner[V],
        resumption: Resumption[V],
        issued: IssuedTicket[V],
        R: V,
        session: Session[V],
    ) -> Notes[V]:
        """Hold a ticket that the peer made, if there is a use for it (12.3, 12.5). Gives the values on the way."""
        if resumption.cache is None or not CIPHERS[session.handshake_cipher].resumable:
            return ()
        maker, now = other_role(owner.role), owner.trust.now
        secret = self._algebra.ticket_secret(R, maker)
        expires = min(now + issued.lifetime_seconds, session.end(now))
        if now < expires:
            resumption.cache.keep(Held(maker, issued, secret, session, expires))
        return ((f"{maker}_ticket_secret", secret),)

    def present(self, owner: Owner[V], resumption: Resumption[V], offered: tuple[str, ...]) -> Held[V] | None:
        """The server-made ticket for ClientInit, which the cache has no longer (12.7).

        A client that expects nobody in particular offers none (12.1): the ticket would say whom it has met.
        """

        def wanted(held: Held[V]) -> bool:
            return held.session.handshake_cipher in offered and self.holder_accepts(owner, held)

        if resumption.cache is None or not owner.trust.targets:
            return None
        return self.take(resumption.cache, wanted, owner.trust.now)

    def attach(
        self,
        owner: Owner[V],
        resumption: Resumption[V],
        claimed: CertificateView[V],
        cipher: str,
        resumption_id: bytes,
        epochs: tuple[int, ...],
    ) -> Held[V] | None:
        """The client-made ticket for ServerInit, which the cache has no longer (12.1 b, 12.7)."""

        def wanted(held: Held[V]) -> bool:
            return (
                self.is_claimed(held.session, claimed)
                and held.issued.resumption_id == resumption_id
                and held.issued.key_epoch in epochs
                and held.session.handshake_cipher == cipher
                and self.holder_accepts(owner, held)
            )

        if resumption.cache is None or not resumption_id or not CIPHERS[cipher].resumable:
            return None
        return self.take(resumption.cache, wanted, owner.trust.now)

    def take(self, cache: TicketCache[V], wanted: Callable[[Held[V]], bool], now: int) -> Held[V] | None:
        """Remove before sending (RES-7)."""
        return cache.take(wanted, now)

    def holder_accepts(self, owner: Owner[V], held: Held[V]) -> bool:
        """12.6 before a ticket is sent, but for its life, which the cache minds, and its cipher."""
        session = held.session
        return held.maker_role != owner.role and self.is_own(owner, session) and self.peer_is_acceptable(owner, session)

    # The maker.

    def make(
        self, owner: Owner[V], resumption: Resumption[V], R: V, session: Session[V], salt: V | None
    ) -> tuple[IssuedTicket[V], Notes[V]] | None:
        """A ticket for the peer, with the values on the way (12.2 to 12.5); None if none is made."""
        keys, role, now = resumption.keys, owner.role, owner.trust.now
        cipher = CIPHERS[session.handshake_cipher]
        if keys is None or salt is None or not cipher.resumable:
            return None
        if role == "server" and cipher.forward_secret and not resumption.forward_secret_server_tickets:
            return None
        lifetime = session.end(now) - now
        if lifetime < 1:
            return None
        contents = Contents(self._algebra.ticket_secret(R, role), role, session, now)
        aad = self._algebra.ticket_aad(role, owner.identity, keys.resumption_id, keys.epoch)
        resumption_key = keys.key(keys.epoch)
        assert resumption_key is not None
        key = self._algebra.ticket_key(salt, resumption_key)
        plaintext = self._algebra.encode_contents(contents)
        ticket = self._algebra.seal_ticket(salt, key, plaintext, aad)
        notes = {"secret": contents.secret, "salt": salt, "key": key, "aad": aad, "plaintext": plaintext, "": ticket}
        named = tuple((f"{role}_ticket" + (f"_{name}" if name else ""), value) for name, value in notes.items())
        return IssuedTicket(keys.resumption_id, keys.epoch, lifetime, ticket), named

    def accept(
        self,
        owner: Owner[V],
        resumption: Resumption[V],
        presented: PresentedTicket[V],
        cipher: str,
        claimed: CertificateView[V] | None = None,
    ) -> Contents[V] | None:
        """The contents of a ticket of ours, which is acceptable (12.6) and used from now on (12.7); else None.

        `claimed` is the unverified certificate that came with it, if one did.
        """
        contents = self.open(owner, resumption.keys, presented)
        if contents is None or resumption.used is None:
            return None
        session, now = contents.session, owner.trust.now
        acceptable = (
            self.is_alive(contents, now)
            and session.handshake_cipher == cipher
            and CIPHERS[cipher].resumable
            and self.is_own(owner, session)
            and self.peer_is_acceptable(owner, session)
            and (claimed is None or self.is_claimed(session, claimed))
            and self.mark(resumption, contents.secret, session.end(contents.created), now)
        )
        return contents if acceptable else None

    def open(
        self, owner: Owner[V], keys: ResumptionKeys[V] | None, presented: PresentedTicket[V]
    ) -> Contents[V] | None:
        """It opens under our role, our identity, our IDR and a known epoch."""
        if keys is None or keys.resumption_id != presented.resumption_id:
            return None
        key = keys.key(presented.key_epoch)
        if key is None:
            return None
        aad = self._algebra.ticket_aad(owner.role, owner.identity, keys.resumption_id, presented.key_epoch)
        return self._algebra.open_ticket(key, presented.ticket, aad, owner.role)

    def mark(self, resumption: Resumption[V], secret: V, expires: int, now: int) -> bool:
        """Check and set, before anything is derived from the secret (RES-7)."""
        return resumption.used is not None and resumption.used.mark(secret, expires, now)

    # The checks of 12.6.

    def is_alive(self, contents: Contents[V], now: int) -> bool:
        """The maker's view of a ticket's life: made by now, or by a replica whose clock is ahead, and not dead."""
        return contents.created <= now + CLOCK_ALLOWANCE and now < contents.session.end(contents.created)

    def is_own(self, owner: Owner[V], session: Session[V]) -> bool:
        """Our end of the session is us."""
        own = session.party(owner.role)
        return (own.identity, own.category) == (owner.identity, owner.category)

    def is_claimed(self, session: Session[V], claimed: CertificateView[V]) -> bool:
        """The client of the session is the one that a certificate, unverified, claims."""
        return (session.client.identity, session.client.category) == (claimed.identity, claimed.category)

    def peer_is_acceptable(self, owner: Owner[V], session: Session[V]) -> bool:
        """The peer's end, by today's data (REVOKE-6, POLICY-2)."""
        return (
            self.authority(owner, session)
            and self.policy(owner, session)
            and self.revocation(owner, session)
            and self.category(owner, session)
            and self.target(owner, session)
        )

    def authority(self, owner: Owner[V], session: Session[V]) -> bool:
        """The peer's verification key is a trust anchor."""
        return session.party(other_role(owner.role)).verification_key_id in owner.trust.anchors

    def policy(self, owner: Owner[V], session: Session[V]) -> bool:
        """The policy allows the peer's issuer, category and identity."""
        peer = session.party(other_role(owner.role))
        return any(rule.allows(peer.issuer, peer.category, peer.identity) for rule in owner.trust.policy)

    def revocation(self, owner: Owner[V], session: Session[V]) -> bool:
        """None of the four revocation IDs is revoked, and the local copy can say so."""
        ends = (session.client, session.server)
        ids = {end.handshake_revocation_id for end in ends} | {end.master_revocation_id for end in ends}
        return owner.trust.revoked is not None and not ids & owner.trust.revoked

    def category(self, owner: Owner[V], session: Session[V]) -> bool:
        """A human is no server."""
        return session.server.category != HUMAN

    def target(self, owner: Owner[V], session: Session[V]) -> bool:
        """The peer is one that the application expects."""
        targets = owner.trust.targets
        return not targets or session.party(other_role(owner.role)).identity in targets
