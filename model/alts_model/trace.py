"""Attacks in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from alts_model.messages import ClientInit, Finished, ServerInit, present
from alts_model.terms import Term, show

if TYPE_CHECKING:
    from alts_model.explorer import Explorer, Move


def describe(explorer: Explorer, moves: Sequence[Move]) -> Iterator[str]:
    """One numbered line a move: who gets what, who made it, and what the session says to it."""
    for number, move in enumerate(moves, 1):
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
    return f"ClientInit[{show(message.nonce)}, {_certificate(explorer, message.certificate)}, {offers}]"


def _server_init(explorer: Explorer, message: ServerInit[Term]) -> str:
    choices = f"{message.application_protocol}, frames of {message.max_frame_size}"
    certificate = _certificate(explorer, present(message.certificate))
    return f"ServerInit[{show(message.nonce)}, {certificate}, {choices}]"


def _finished(explorer: Explorer, what: str, message: Finished[Term]) -> str:
    first = "a false authenticator" if message.authenticator is explorer.world.junk else "the authenticator"
    if message.ticket is None:
        return f"{what}[{first}]"
    second = "a false ticket authenticator"
    if message.ticket_authenticator is not explorer.world.junk:
        second = "a ticket authenticator"
    return f"{what}[{first}, a ticket of the attacker's, {second}]"


def _certificate(explorer: Explorer, certificate: Term) -> str:
    return explorer.world.labels.get(certificate, show(certificate))
