"""What must hold in every state that the explorer reaches."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Final

from alts_model.connection import Local
from alts_model.knowledge import Knowledge
from alts_model.machine import Machine
from alts_model.messages import HUMAN, MODE_CLIENT_TICKET, MODE_FULL, Agreed, Claim, present
from alts_model.scenario import HONEST, SessionPlan
from alts_model.terms import Term

PROPERTIES: Final = frozenset(
    {
        "agreement",
        "authentication",
        "injective agreement",
        "unknown key share",
        "target",
        "category",
        "secrecy",
        "payload origin",
        "payload replay",
        "today's data",
        "one use",
    }
)
"""Names of the properties that hold of the protocol. `early secrecy` is another, which does not (HS-9).

`authentication` is agreement without the tickets, and falls only where agreement does.
"""


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
    plans: Sequence[SessionPlan],
    locals_: Sequence[Local[Term]],
    made: Sequence[Made],
    trusted: Collection[str] = HONEST,
    later: str = "",
) -> Iterator[Violation]:
    """Agreement in both directions, targets, categories, today's data. Looks at the last claims made first.

    With `later`, no late session may resume: that is what has changed.
    """
    for entry in reversed(made):
        plan, claim = plans[entry.session], entry.claim
        completes = claim.name in ("ClientCompletes", "ServerCompletes")
        if completes and later and plan.late and present(claim.agreed).mode != MODE_FULL:
            yield Violation("today's data", f"{plan.name} resumed a session that today's {later} forbids")
        if claim.name == "ClientCompletes":
            peer = present(locals_[entry.session].peer)
            if plan.targets and peer.identity not in plan.targets:
                text = f"{plan.name} completed with {peer.identity}, which its application did not name"
                yield Violation("target", text)
            if peer.category == HUMAN:
                yield Violation("category", f"{plan.name} completed with a human as its server")
            yield from _agreement(plans, entry, made, "ServerAccepts", peer.identity, trusted)
        elif claim.name == "ServerCompletes":
            yield from _agreement(plans, entry, made, "ClientCompletes", present(claim.agreed).client, trusted)


def _agreement(
    plans: Sequence[SessionPlan],
    entry: Made,
    made: Sequence[Made],
    partner: str,
    peer: str,
    trusted: Collection[str],
) -> Iterator[Violation]:
    """Injective agreement: as many partners with the same data as claimants. Only honest peers owe it."""
    if peer not in trusted:
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
        if all(other.claim.agreed != entry.claim.agreed for other in possible):
            yield Violation("authentication", text)
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


def check_once(plans: Sequence[SessionPlan], made: Sequence[Made], trusted: Collection[str]) -> Iterator[Violation]:
    """A ticket's secret leads at most one client and one server to completion; with one memory, to one answer (RES-7).

    Looks at sessions between trusted ends: the attacker may do what it likes with tickets of its own.
    """
    seen: dict[tuple[str, Term], int] = {}
    for entry in made:
        agreed = entry.claim.agreed
        if agreed is None or agreed.secret is None or not {agreed.client, agreed.server} <= set(trusted):
            continue
        first = seen.setdefault((entry.claim.name, agreed.secret), entry.session)
        one, other = plans[first], plans[entry.session]
        if first == entry.session:
            continue
        if entry.claim.name in ("ClientCompletes", "ServerCompletes"):
            yield Violation("one use", f"{one.name} and {other.name} both completed with the secret of one ticket")
        elif agreed.mode == MODE_CLIENT_TICKET and one.memory == other.memory:
            text = f"{one.name} and {other.name} both answered one ticket, though they share their memory"
            yield Violation("one use", text)


def check_early_secrecy(
    plans: Sequence[SessionPlan], locals_: Sequence[Local[Term]], knowledge: Knowledge, trusted: Collection[str]
) -> Iterator[Violation]:
    """M at a server that has not seen ClientFinished yet; not forward secret, hence HS-9."""
    for plan, local in zip(plans, locals_, strict=True):
        waits = local.state == "WAIT_CLIENT_FINISHED" and present(local.peer).identity in trusted
        if waits and knowledge.can(present(local.schedule).M):
            yield Violation("early secrecy", f"the attacker knows M of {plan.name}, which waits for ClientFinished")


def check_secrecy(
    plans: Sequence[SessionPlan],
    locals_: Sequence[Local[Term]],
    knowledge: Knowledge,
    payloads: Sequence[Term],
    trusted: Collection[str] = HONEST,
) -> Iterator[Violation]:
    """M, R and the payload of an open session with an honest peer are unknown to the attacker."""
    for plan, local, payload in zip(plans, locals_, payloads, strict=True):
        if _is_honest(local, trusted):
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
    trusted: Collection[str] = HONEST,
) -> Iterator[Violation]:
    """A payload that an open session takes was sent by its partner, and is taken once."""
    origin = {payload: index for index, payload in enumerate(payloads)}
    for plan, local in zip(plans, locals_, strict=True):
        if not _is_honest(local, trusted):
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


def delivers(
    machine: Machine[Term], locals_: Sequence[Local[Term]], knowledge: Knowledge, trusted: Collection[str] = HONEST
) -> bool:
    """Whether some open session with an honest peer takes a payload."""
    return any(
        machine.step(local, "data", box).failure is None
        for local in locals_
        if _is_honest(local, trusted)
        for box in knowledge.ciphertexts
    )


def _is_honest(local: Local[Term], trusted: Collection[str]) -> bool:
    return local.state == "OPEN" and present(local.peer).identity in trusted
