"""Attacks in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from alts_model.messages import MODE_NAMES, ClientInit, Finished, ServerInit, present
from alts_model.terms import Term, show

if TYPE_CHECKING:
    from alts_model.explorer import Explorer
    from alts_model.nodes import Move


def describe(explorer: Explorer, moves: Sequence[Move]) -> Iterator[str]:
    """One numbered line a move: who gets what, who made it, and what the session says to it."""
    for number, move in enumerate(moves, 1):
        if not move.inputs:
            yield f"{number}. the attacker gets {', '.join(explorer.scenario.leaked)}"
            continue
        before, after = explorer.after(moves[: number - 1]), explorer.after(moves[:number])
        plan = explorer.plans[move.session]
        local = after.locals[move.session]
        who = f"{plan.name} ({plan.role} {plan.identity}"
        who += f", wants {', '.join(sorted(plan.targets))})" if plan.targets else ")"
        if move.inputs[0][0] == "start":
            message = explorer.machine.algebra.decode_client_init(present(local.client_init))
            yield f"{number}. {who} sends {_client_init(explorer, message)}"
            continue
        sent = [_message(explorer, input_name, present(payload)) for input_name, payload in move.inputs]
        if local.state == "OPEN":
            said = f"completes with {present(local.peer).identity}"
            said += ", sends ClientFinished" if plan.role == "client" else ""
        else:
            said = f"accepts {present(local.peer).identity}, sends ServerInit with {show(local.party.nonce)}"
            said += f", {present(local.agreed).choices.application_protocol}, and ServerFinished"
        seen = all(payload in before.knowledge.known for _, payload in move.inputs)
        verb = "passes on to" if seen else "sends"
        yield f"{number}. attacker {verb} {who} {' and '.join(sent)}; {plan.name} {said}"


def _message(explorer: Explorer, input_name: str, payload: Term) -> str:
    algebra = explorer.machine.algebra
    if input_name == "client_init":
        return _client_init(explorer, algebra.decode_client_init(payload))
    if input_name == "server_init":
        return _server_init(explorer, algebra.decode_server_init(payload))
    sender = "server" if input_name == "server_finished" else "client"
    return _finished(
        explorer,
        "ServerFinished" if sender == "server" else "ClientFinished",
        algebra.decode_finished(payload, "server"),
    )


def _client_init(explorer: Explorer, message: ClientInit[Term]) -> str:
    offers = f"{'/'.join(message.application_protocols)}, frames of {message.max_frame_size}"
    if len(explorer.world.ciphers) > 1:
        offers = f"{'/'.join(message.handshake_ciphers)}, {offers}"
    shares = _share(message.key_shares[0][1] if message.key_shares else None)
    certificate = _certificate(explorer, message.certificate)
    idr = f", {message.resumption_id.decode().strip()}" if message.resumption_id else ""
    return f"ClientInit[{show(message.nonce)}, {certificate}{shares}{idr}{_ticket(message)}, {offers}]"


def _server_init(explorer: Explorer, message: ServerInit[Term]) -> str:
    choices = f"{message.application_protocol}, frames of {message.max_frame_size}"
    if message.certificate is not None:
        what = _certificate(explorer, message.certificate)
    else:
        what = MODE_NAMES[message.mode]
    if len(explorer.world.ciphers) > 1:
        choices = f"{message.handshake_cipher}, {choices}"
    return f"ServerInit[{show(message.nonce)}, {what}{_share(message.key_share)}{_ticket(message)}, {choices}]"


def _finished(explorer: Explorer, what: str, message: Finished[Term]) -> str:
    first = "a false authenticator" if message.authenticator is explorer.world.junk else "the authenticator"
    if message.ticket is None:
        return f"{what}[{first}]"
    second = "a false ticket authenticator"
    if message.ticket_authenticator is not explorer.world.junk:
        second = "a ticket authenticator"
    ticket = message.ticket.ticket
    text = "a ticket of the attacker's" if ticket is explorer.world.attacker_ticket else _salt(ticket)
    return f"{what}[{first}, {text}, {second}]"


def _share(share: Term | None) -> str:
    return "" if share is None else f", share {show(share)}"


def _ticket(message: ClientInit[Term] | ServerInit[Term]) -> str:
    return "" if message.ticket is None else f", {_salt(message.ticket.ticket)}"


def _salt(ticket: Term) -> str:
    """A ticket is told by its salt, which names the session that made it."""
    return f"the ticket with {show(ticket.subterms[0])}" if ticket.op == "tuple" else "a ticket"


def _certificate(explorer: Explorer, certificate: Term) -> str:
    return explorer.world.labels.get(certificate, show(certificate))
