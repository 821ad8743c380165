"""Which mode a handshake runs in (SPEC.md 12.1): the server decides, the client judges."""

from __future__ import annotations

from alts_model.ciphers import CIPHERS
from alts_model.errors import Refused
from alts_model.messages import (
    MODE_CLIENT_TICKET,
    MODE_SERVER_TICKET,
    ClientInit,
    PresentedTicket,
    ServerInit,
    V,
    present,
)
from alts_model.resuming import Owner, Resumed, Resumer
from alts_model.stores import Held, Resumption
from alts_model.trust import Verifier


def at_server(
    verifier: Verifier[V],
    resumer: Resumer[V],
    owner: Owner[V],
    resumption: Resumption[V],
    message: ClientInit[V],
    cipher: str,
) -> Resumed[V] | None:
    """The session to resume; None is mode FULL, which every ticket that is not acceptable leads to (RES-8)."""
    if not resumption.active or not CIPHERS[cipher].resumable:
        return None
    try:
        claimed = verifier.parse(message.certificate)
    except Refused:
        return None
    if message.ticket is not None:
        contents = resumer.accept(owner, resumption, message.ticket, cipher, claimed)
        if contents is not None:
            return Resumed(MODE_CLIENT_TICKET, contents.secret, contents.session)
    held = resumer.attach(owner, resumption, claimed, cipher, message.resumption_id, message.ticket_key_epochs)
    if held is None:
        return None
    return Resumed(MODE_SERVER_TICKET, held.secret, held.session, presented(held))


def at_client(
    resumer: Resumer[V],
    owner: Owner[V],
    resumption: Resumption[V],
    offered: ClientInit[V],
    sent: Held[V] | None,
    message: ServerInit[V],
) -> Resumed[V]:
    """The session of a resumed mode that ClientInit allowed; `sent` is the ticket in it.

    Raises:
        Refused: ILLEGAL_PARAMETER or TICKET_REFUSED.
    """
    if message.mode == MODE_CLIENT_TICKET:
        held = present(sent)
        if held.session.handshake_cipher != message.handshake_cipher:
            raise Refused("ILLEGAL_PARAMETER", "another cipher than the ticket's")
        return Resumed(message.mode, held.secret, held.session)
    ticket = present(message.ticket)
    if ticket.resumption_id != offered.resumption_id:
        raise Refused("ILLEGAL_PARAMETER", "a ticket for another IDR")
    if not CIPHERS[message.handshake_cipher].resumable:
        raise Refused("ILLEGAL_PARAMETER", "a cipher that is never resumed")
    contents = resumer.accept(owner, resumption, ticket, message.handshake_cipher)
    if contents is None:
        raise Refused("TICKET_REFUSED")
    return Resumed(message.mode, contents.secret, contents.session)


def presented(held: Held[V]) -> PresentedTicket[V]:
    """A ticket as its holder sends it back."""
    return PresentedTicket(held.issued.resumption_id, held.issued.key_epoch, held.issued.ticket)
