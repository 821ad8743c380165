"""What must hold in every state that the explorer reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Final

from alts_model.connection import Local
from alts_model.knowledge import Knowledge
from alts_model.machine import Machine
from alts_model.messages import HUMAN, Agreed, Claim, present
from alts_model.scenario import HONEST, SessionPlan
from alts_model.terms import Term

PROPERTIES: Final = frozenset(
    {
        "agreement",
        "injective agreement",
        "unknown key share",
        "target",
        "category",
        "secrecy",
        "payload origin",
        "payload replay",
    }
)
"""Names of the properties."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A property that does not hold, and what happened instead, in words."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Made:
    """A claim, and the index of the session that made it."""

    session: int
    claim: Claim[Term]


def payload_of(plan: SessionPlan) -> str:
    """The name of the payload that a session sends when it is open."""
    return f"payload({plan.name})"


def check_claims(
    plans: Sequence[SessionPlan], locals_: Sequence[Local[Term]], made: Sequence[Made]
) -> Iterator[Violation]:
    """Agreement in both directions, targets, categories. Looks at the last claims made first."""
    for entry in reversed(made):
        plan, claim = plans[entry.session], entry.claim
        if claim.name == "ClientCompletes":
            peer = present(locals_[entry.session].peer)
            if plan.targets and peer.identity not in plan.targets:
                text = f"{plan.name} completed with {peer.identity}, which its application did not name"
                yield Violation("target", text)
            if peer.category == HUMAN:
                yield Violation("category", f"{plan.name} completed with a human as its server")
            yield from _agreement(plans, entry, made, "ServerAccepts", peer.identity)
        elif claim.name == "ServerCompletes":
            yield from _agreement(plans, entry, made, "ClientCompletes", present(claim.agreed).client)


def _agreement(
    plans: Sequence[SessionPlan], entry: Made, made: Sequence[Made], partner: str, peer: str
) -> Iterator[Violation]:
    """Injective agreement: as many partners with the same data as claimants. Only honest peers owe it."""
    if peer not in HONEST:
        return
    data = _data(entry.claim, partner)
    possible = [other for other in made if other.claim.name == partner]
    partners = {other.session for other in possible if _data(other.claim, partner) == data}
    if not partners:
        text = f"{plans[entry.session].name} completed with {peer}, but no session made the claim {partner} to match"
        nearest = min(((_differences(entry, other), other) for other in possible), key=_count, default=None)
        if nearest is not None:
            text += f"; the nearest, of {plans[nearest[1].session].name}, differs in {', '.join(nearest[0])}"
        yield Violation("agreement", text)
        return
    claimants = {
        other.session for other in made if other.claim.name == entry.claim.name and _data(other.claim, partner) == data
    }
    if len(claimants) > len(partners):
        text = f"{len(claimants)} sessions completed with {peer} on the same data, but {peer} ran {len(partners)} such"
        yield Violation("injective agreement", text)


def _data(claim: Claim[Term], partner: str) -> object:
    """What the two must agree on: everything, but a server that only accepts knows no ticket of the client's."""
    return (claim.agreed, claim.tickets[0] if partner == "ServerAccepts" else claim.tickets)


def _differences(entry: Made, other: Made) -> list[str]:
    left, right = present(entry.claim.agreed), present(other.claim.agreed)
    names = [part.name for part in fields(Agreed) if getattr(left, part.name) != getattr(right, part.name)]
    return names + (["tickets"] if entry.claim.tickets != other.claim.tickets else [])


def _count(candidate: tuple[list[str], Made]) -> int:
    return len(candidate[0])


def check_key_shares(plans: Sequence[SessionPlan], locals_: Sequence[Local[Term]]) -> Iterator[Violation]:
    """Two open sessions with the same M agree on who is at its ends."""
    opened = [(plan, local) for plan, local in zip(plans, locals_, strict=True) if local.state == "OPEN"]
    for (plan, local), (other_plan, other) in combinations(opened, 2):
        here, there = present(local.agreed), present(other.agreed)
        same_key = present(local.schedule).M is present(other.schedule).M
        if same_key and (here.client, here.server) != (there.client, there.server):
            text = f"{plan.name} and {other_plan.name} hold the same M, for {here.client} and {here.server} at one"
            yield Violation("unknown key share", f"{text}, for {there.client} and {there.server} at the other")


def check_secrecy(
    plans: Sequence[SessionPlan], locals_: Sequence[Local[Term]], knowledge: Knowledge, payloads: Sequence[Term]
) -> Iterator[Violation]:
    """M, R and the payload of an open session with an honest peer are unknown to the attacker."""
    for plan, local, payload in zip(plans, locals_, payloads, strict=True):
        if _is_honest(local):
            schedule = present(local.schedule)
            for what, secret in (("M", schedule.M), ("R", schedule.R), ("the payload", payload)):
                if knowledge.can(secret):
                    text = f"the attacker knows {what} of {plan.name}, whose peer is honest"
                    yield Violation("secrecy", text)


def check_records(
    machine: Machine[Term],
    plans: Sequence[SessionPlan],
    locals_: Sequence[Local[Term]],
    knowledge: Knowledge,
    payloads: Sequence[Term],
) -> Iterator[Violation]:
    """A payload that an open session takes was sent by its partner, and is taken once."""
    origin = {payload: index for index, payload in enumerate(payloads)}
    for plan, local in zip(plans, locals_, strict=True):
        if not _is_honest(local):
            continue
        for box in knowledge.ciphertexts:
            outcome = machine.step(local, "data", box)
            if outcome.failure is not None:
                continue
            sender = origin.get(outcome.outputs[0][1])
            if sender is None or plans[sender].role == plan.role or locals_[sender].agreed != local.agreed:
                source = "nobody" if sender is None else plans[sender].name
                yield Violation("payload origin", f"{plan.name} takes a payload from its peer that {source} sent")
            elif machine.step(outcome.local, "data", box).failure is None:
                yield Violation("payload replay", f"{plan.name} takes one frame of {plans[sender].name} twice")


def delivers(machine: Machine[Term], locals_: Sequence[Local[Term]], knowledge: Knowledge) -> bool:
    """Whether some open session with an honest peer takes a payload."""
    return any(
        machine.step(local, "data", box).failure is None
        for local in locals_
        if _is_honest(local)
        for box in knowledge.ciphertexts
    )


def _is_honest(local: Local[Term]) -> bool:
    return local.state == "OPEN" and present(local.peer).identity in HONEST
