"""The events of one end of one handshake, against what the model knows of that end; and how two terms differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from alts_model.algebra import KeySchedule
from alts_model.messages import Agreed, present
from alts_model.symbolic import SymbolicAlgebra
from alts_model.tables import Role
from alts_model.terms import Term, name, show
from alts_proofs.honest import Happened, HonestRun, Value
from tests.differential.scripts_dictionary import Dictionary
from tests.differential.scripts_model import ModelEnd, Place

OUTSIDE: Final = frozenset({"Observed"})
"""Events of no end: they name the parties of a realm, and are not compared."""

_ALGEBRA: Final = SymbolicAlgebra()


def ticket_secret(end: ModelEnd) -> Term:
    """What is in a ticket that an end makes."""
    return _ALGEBRA.ticket_secret(end.schedule.R, end.role)


def compare_terms(what: str, mine: Term | None, theirs: Term | None) -> Iterator[str]:
    """In words, the first place where a term of the script differs from the model's."""
    if mine is theirs:
        return
    if mine is None or theirs is None:
        yield f"{what}: only {'the model' if mine is None else 'the script'} has it"
        return
    where, left, right = _first(mine, theirs, what)
    yield f"{where}: {left} in the script, {right} in the model"


def _first(mine: Term, theirs: Term, where: str) -> tuple[str, str, str]:
    """The first place where two terms differ."""
    if mine.op == theirs.op and len(mine.args) == len(theirs.args):
        for number, (left, right) in enumerate(zip(mine.args, theirs.args, strict=True)):
            if left is not right and isinstance(left, Term) and isinstance(right, Term):
                return _first(left, right, f"{where}.{mine.op}[{number}]")
            if left != right:
                return where, show(mine), show(theirs)
    return where, show(mine)[:200], show(theirs)[:200]


def compare_claims(
    words: Dictionary, run: HonestRun, path: Place, end: ModelEnd, prefix: str, unclaimed: frozenset[str]
) -> Iterator[str]:
    """The arguments of the events that are claims against the data of the claims."""
    for claim in (one for one in end.claims if prefix + one.name not in unclaimed):
        happened = [one for one in run.happened(prefix + claim.name) if (one.by, one.connection) == path]
        if len(happened) != 1:
            yield f"{claim.name}: {len(happened)} events in the script"
            continue
        args = happened[0].args
        if claim.agreed is None:
            offered = present(end.local.offered)
            wanted: tuple[object, ...] = (
                present(end.local.agreed).client,
                present(end.local.agreed).server,
                offered.nonce,
                offered.handshake_ciphers,
                offered.record_protocols,
            )
            given: tuple[object, ...] = (*map(words.string, args[:2]), words.term(args[2]), *map(words.list, args[3:]))
        else:
            agreed = claim.agreed
            wanted = (
                *_identities(end.role, agreed),
                agreed.client_nonce,
                agreed.server_nonce,
                agreed.handshake_ciphers,
                agreed.record_protocols,
                agreed.choices.handshake_cipher,
                agreed.choices.record_protocol,
            )
            negotiated = args[4].args
            given = (
                *map(words.string, args[:2]),
                *map(words.term, args[2:4]),
                *map(words.list, negotiated[:2]),
                *map(words.string, negotiated[2:]),
            )
        if given != wanted:
            yield f"{claim.name}: {given} in the script, {wanted} in the model"


def _identities(role: Role, agreed: Agreed[Term]) -> tuple[str, str]:
    """An end's own, then its peer's."""
    return (agreed.client, agreed.server) if role == "client" else (agreed.server, agreed.client)


def others(run: HonestRun, claims: frozenset[str]) -> Iterator[Happened]:
    """The events that are no claims and that some end gives."""
    for one in run.events:
        if one.event.removeprefix("Resumed") not in claims and one.event not in OUTSIDE:
            yield one


def belongs(one: Happened, place: Place) -> bool:
    """Whether an event is of a connection; what holds a ticket says so before its connection begins."""
    return one.by == place[0] and one.connection in ((0, place[1]) if one.event == "Held" else (place[1],))


def compare_event(
    words: Dictionary, run: HonestRun, place: Place, one: Happened, end: ModelEnd, tickets: Mapping[Role, Value]
) -> Iterator[str]:
    """All arguments of an event of an end. `tickets`: what the script's ends sent in this handshake, by role."""
    agreed = present(end.local.agreed)
    role, schedule = end.role, end.schedule
    own, peer = _identities(role, agreed)
    kind = one.event.removeprefix("Resumed").removeprefix(role.capitalize())
    if kind not in {"Allows", "MakesTicket", "StoresTicket", *_TERMS}:
        yield f"{one.event}: nothing in the model is compared with it at the {role}"
        return
    wanted: list[object] = [own] if kind == "Allows" else [own, peer]
    given: list[object] = [words.string(arg) for arg in one.args[: len(wanted)]]
    rest = one.args[len(wanted) :]
    if kind == "Allows":
        given, wanted = [*given, *rest], [*wanted, run.value(*place, "allowed")]
    elif kind in ("MakesTicket", "StoresTicket"):
        maker: Role = role if kind == "MakesTicket" else "server" if role == "client" else "client"
        given += [*map(words.term, rest[:2]), *rest[2:]]
        wanted += [agreed.client_nonce, agreed.server_nonce, tickets.get(maker)]
    else:
        given += map(words.term, rest)
        wanted += _TERMS[kind](own, peer, role, schedule, agreed)
    if given != wanted:
        yield f"{one.event}: ({_told(given)}) in the script, ({_told(wanted)}) in the model"


def _told(args: list[object]) -> str:
    return ", ".join(show(arg) if isinstance(arg, Term) else str(arg) for arg in args)


def _said(own: str, peer: str, role: Role) -> Term:
    """What the application of an end says."""
    return name(f"{'payload' if role == 'client' else 'answer'} of {own} to {peer}")


def _heard(own: str, peer: str, role: Role) -> Term:
    return _said(peer, own, "server" if role == "client" else "client")


_Terms = Callable[[str, str, Role, KeySchedule[Term], Agreed[Term]], list[Term | None]]
_TERMS: Final[Mapping[str, _Terms]] = {
    "Derives": lambda own, peer, role, schedule, agreed: [schedule.M, schedule.R],
    "Sealed": lambda own, peer, role, schedule, agreed: [_ALGEBRA.ticket_secret(schedule.R, role)],
    "Opened": lambda own, peer, role, schedule, agreed: [agreed.secret],
    "Held": lambda own, peer, role, schedule, agreed: [agreed.secret],
    "Receives": lambda own, peer, role, schedule, agreed: [_heard(own, peer, role)],
    "Sends": lambda own, peer, role, schedule, agreed: [
        _said(own, peer, role),
        *([agreed.server_nonce] if role == "server" else []),
    ],
}
"""What events tell beside the two identities."""
