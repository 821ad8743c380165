"""What the attacker may send, within the bounds of the search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from alts_model import terms
from alts_model.ciphers import CIPHERS
from alts_model.connection import Local
from alts_model.knowledge import Knowledge
from alts_model.machine import Machine
from alts_model.messages import (
    MODE_CLIENT_TICKET,
    MODE_FULL,
    MODE_SERVER_TICKET,
    ClientInit,
    IssuedTicket,
    PresentedTicket,
    ServerInit,
    present,
)
from alts_model.scenario import APPLICATIONS, BACKEND, FRAME_SIZES, FRONTEND, NOW, RECORDS, RPC, Scenario, World
from alts_model.stores import Contents, ResumptionKeys, Session, session_party
from alts_model.terms import Term

BOUNDS: Final = """\
Nonces: every nonce seen so far and one of the attacker's.
Certificates: every known one; and every one over a known or self-made master, an identity of the realm, a public key
  of the realm or of the attacker or a point of low order, signed with the master's key if stolen, else falsely. In
  the searches about ciphers and resumption: the honest ones and the attacker's own.
Offers: as the honest clients make them; without the first application protocol; with a smaller frame size; each of the
  offered handshake ciphers alone. In the searches about ciphers and resumption: the first and the last of these.
Choices: either application protocol, either frame size (the first ones in the searches about ciphers and resumption),
  every handshake cipher, every mode.
Shares: every X25519 share, encapsulation key and ciphertext seen so far, in any combination, and the attacker's own.
Tickets: every one seen, under the IDR of its receiver (under others it does not open); with a stolen resumption key
  also a forged one. IDRs in ClientInit: that of the identity in its certificate, or none.
Finished: the value that the receiver expects if the attacker can derive it (composition to any depth), or junk; with
  no ticket, one of the attacker's, or one that was seen, under its own IDR or under that of ClientInit (after an
  honest prelude: none where the attacker knows the keys, else any under its own IDR).
Alerts, and messages that the receiver refuses, only end a session: they are counted and not followed.
Records: each open session sends one; every ciphertext seen is offered to every open session, twice.
Reductions: clients start first unless their ticket cache can differ; sessions that differ in their nonce alone begin in
  order; a session whose key the attacker knows gives it a nonce and nothing else, so one representative a certificate
  (and IDR, mode, ticket) is followed; a ticket or an IDR that changes nothing but the transcript is left out."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What has been on the wire that can be sent again. Equal for equal sets of messages, so that it can be a key."""

    points: tuple[Term, ...]
    encapsulation_keys: tuple[Term, ...]
    ciphertexts: tuple[Term, ...]
    tickets: tuple[IssuedTicket[Term], ...]
    client_inits: tuple[Term, ...]


class Attacker:
    """Builds Init messages for one scenario."""

    def __init__(self, world: World, scenario: Scenario, machine: Machine[Term]) -> None:
        self._world = world
        self._scenario = scenario
        self._algebra = machine.algebra
        self._keys = world.resumption_keys if scenario.resumption else {}
        self._forged = tuple(self._forge(machine)) if scenario.resumption else ()

    def seen(self, locals_: Sequence[Local[Term]], knowledge: Knowledge) -> Seen:
        """Shares and tickets of all sessions so far."""
        points, texts = [terms.public(self._world.attacker_dh)], list[Term]()
        keys = [self._algebra.kem_public(self._world.attacker_seed)]
        for local in locals_:
            if local.role == "client" and local.offered is not None:
                for _, share in local.offered.key_shares:
                    point, key = self._algebra.split(share)
                    points.append(point)
                    keys += [] if key is None else [key]
            elif local.role == "server" and local.server_init is not None:
                share_of_server = self._algebra.decode_server_init(local.server_init).key_share
                if share_of_server is not None:
                    point, text = self._algebra.split(share_of_server)
                    points.append(point)
                    texts += [] if text is None else [text]
        started = [local.client_init for local in locals_ if local.role == "client" and local.client_init is not None]
        return Seen(_unique(points), _unique(keys), _unique(texts), self._tickets(knowledge), _unique(started))

    def _tickets(self, knowledge: Knowledge) -> tuple[IssuedTicket[Term], ...]:
        if not self._scenario.resumption:
            return ()
        found = dict.fromkeys(sorted(knowledge.issued, key=lambda term: term.serial))
        tickets = []
        for term in found:
            finished = terms.make("Finished", self._world.junk, self._world.junk, term)
            tickets.append(present(self._algebra.decode_finished(finished, "server").ticket))
        return tuple(ticket for ticket in tickets if ticket.ticket is not self._world.attacker_ticket)

    def client_inits(self, nonce: Term, certificate: Term, receiver: str, seen: Seen) -> Iterator[ClientInit[Term]]:
        """Every ClientInit with this nonce and certificate for a server of the identity `receiver`."""
        ciphers = self._world.ciphers
        lists: list[tuple[str, ...]] = [ciphers, *((cipher,) for cipher in ciphers if len(ciphers) > 1)]
        variants: list[tuple[tuple[str, ...], int]] = [(APPLICATIONS, FRAME_SIZES[0])]
        if self._scenario.arsenal:
            variants += [(APPLICATIONS[1:], FRAME_SIZES[0]), (APPLICATIONS, FRAME_SIZES[1])]
        for offered, (applications, size) in product(lists, variants):
            for shares in self._client_shares(offered, seen):
                for idr, ticket in self._ticket_fields(certificate, receiver, seen):
                    yield ClientInit(
                        nonce,
                        certificate,
                        offered,
                        RECORDS,
                        shares,
                        applications,
                        RPC,
                        size,
                        idr,
                        (1,) if idr else (),
                        ticket,
                    )

    def _client_shares(self, offered: tuple[str, ...], seen: Seen) -> Iterator[tuple[tuple[str, Term], ...]]:
        """The same point and encapsulation key for every cipher that needs one."""
        needing = [CIPHERS[name] for name in offered if CIPHERS[name].client_share]
        if not needing:
            yield ()
            return
        keys = seen.encapsulation_keys if any(cipher.hybrid for cipher in needing) else seen.encapsulation_keys[:1]
        for point, key in product(seen.points, keys):
            yield tuple(
                (cipher.name, self._algebra.join((point, key) if cipher.hybrid else (point,))) for cipher in needing
            )

    def _ticket_fields(
        self, certificate: Term, receiver: str, seen: Seen
    ) -> Iterator[tuple[bytes, PresentedTicket[Term] | None]]:
        yield b"", None
        keys = self._keys.get(self._algebra.certificate(certificate).identity)
        if keys is not None:
            yield keys.resumption_id, None
        for ticket in self.presented(self._keys.get(receiver), seen):
            yield b"", ticket

    def presented(self, keys: ResumptionKeys[Term] | None, seen: Seen) -> Iterator[PresentedTicket[Term]]:
        """Every ticket under the IDR of its receiver."""
        if keys is not None:
            for ticket in (*(ticket.ticket for ticket in seen.tickets), *self._forged):
                yield PresentedTicket(keys.resumption_id, 1, ticket)

    def server_inits(
        self, nonce: Term, certificates: Iterable[Term], offered: ClientInit[Term], client: str, seen: Seen
    ) -> Iterator[ServerInit[Term]]:
        """Every answer with this nonce to the ClientInit of an identity `client`."""
        modes: list[tuple[int, Term | None, PresentedTicket[Term] | None]] = [
            (MODE_FULL, certificate, None) for certificate in certificates
        ]
        if offered.ticket is not None:
            modes.append((MODE_CLIENT_TICKET, None, None))
        if offered.resumption_id:
            modes += [(MODE_SERVER_TICKET, None, ticket) for ticket in self.presented(self._keys.get(client), seen)]
        sizes = FRAME_SIZES if self._scenario.arsenal else FRAME_SIZES[:1]
        applications = APPLICATIONS if self._scenario.arsenal else APPLICATIONS[:1]
        for cipher, (mode, certificate, ticket) in product(offered.handshake_ciphers, modes):
            for share, application, size in product(self._server_shares(cipher, offered, seen), applications, sizes):
                yield ServerInit(nonce, mode, certificate, cipher, RECORDS[0], application, RPC, size, share, ticket)

    def _server_shares(self, name: str, offered: ClientInit[Term], seen: Seen) -> Iterator[Term | None]:
        cipher = CIPHERS[name]
        if not cipher.server_share:
            yield None
        elif not cipher.hybrid:
            yield from seen.points
        else:
            _, key = self._algebra.split(dict(offered.key_shares)[name])
            made = self._algebra.encapsulate(present(key), self._world.attacker_encapsulation)
            texts = (present(made)[1], *seen.ciphertexts)
            yield from (self._algebra.join(pair) for pair in product(seen.points, texts))

    def issued(self, local: Local[Term], seen: Seen, *, own: bool) -> Iterator[IssuedTicket[Term] | None]:
        """Every ticket that may stand beside Finished in this handshake; `own`: the attacker knows its keys."""
        yield None
        if own and self._scenario.prelude:
            return
        if not self._scenario.outsider:
            yield IssuedTicket(bytes(16), 1, 60, self._world.attacker_ticket)
        idr = present(local.offered).resumption_id
        for ticket in seen.tickets:
            yield ticket
            if idr and ticket.resumption_id != idr and not self._scenario.prelude:
                yield IssuedTicket(idr, ticket.key_epoch, ticket.lifetime_seconds, ticket.ticket)

    def _forge(self, machine: Machine[Term]) -> Iterator[Term]:
        """Tickets under the true form and a stolen resumption key, with a secret of the attacker's."""
        world = self._world
        views = {who: machine.algebra.certificate(world.certificates[who]) for who in (FRONTEND, BACKEND)}
        ends = {who: session_party(view, self._algebra.digest(world.certificates[who])) for who, view in views.items()}
        for maker, keys in world.resumption_keys.items():
            key = keys.keys[0][1]
            if not world.knowledge.can(key):
                continue
            other = FRONTEND if maker == BACKEND else BACKEND
            for role, client, server in (("server", other, maker), ("client", maker, other)):
                session = Session(ends[client], ends[server], world.ciphers[0], NOW)
                contents = Contents(world.junk, "server" if role == "server" else "client", session, NOW)
                aad = self._algebra.ticket_aad(contents.maker_role, maker, keys.resumption_id, 1)
                plaintext = self._algebra.encode_contents(contents)
                salt = world.attacker_nonce
                yield self._algebra.seal_ticket(salt, self._algebra.ticket_key(salt, key), plaintext, aad)


def _unique(found: list[Term]) -> tuple[Term, ...]:
    return tuple(sorted(dict.fromkeys(found), key=lambda term: term.serial))
