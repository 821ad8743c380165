"""Checks of issuance: crashes at any moment (SPEC.md 13.1.11) and rotation through outages (13.1.9), searched whole.

One issuer with two keys, and two issuers with one each, with the two services; all may stop at any moment and forget
what is not on disk; messages may be lost, repeated and late. `faults` take one promise away each: the search then has
to find what breaks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from alts_model.issuance import BACKDATE, BASE_LIFETIME, MAX_EPOCHS, ROTATION, ClusterModel
from alts_model.stores import TICKET_LIFE

WORLDS: Final = ({"a1": "A", "a2": "A"}, {"a1": "A", "b1": "B"})
"""Key to the issuer that its owner asks."""
MOST_RANGES, MOST_CRASHES = 3, 1

Pair = tuple[str, int]
"""A key (or an issuer) and a revocation ID; of a key: the certificate that has both."""


class State(NamedTuple):
    """What is on disks, in hands and in flight. Ranges have one ID each: range n is ID n."""

    granted: tuple[str, ...] = ()
    """CRL service: who got range 0, 1, ..."""
    ranges: frozenset[Pair] = frozenset()
    """Issuers: ranges that arrived."""
    rows: frozenset[Pair] = frozenset()
    """Issuers: requests, each with its ID, written before they leave."""
    memory: frozenset[Pair] = frozenset()
    """Issuers: requests that are not on disk; only with a fault is there any."""
    signed: frozenset[Pair] = frozenset()
    """Signing Service: every certificate."""
    remembered: frozenset[Pair] = frozenset()
    """Signing Service: which proof became which certificate."""
    answered: frozenset[Pair] = frozenset()
    """Issuers: certificates that arrived."""
    confirmed: frozenset[Pair] = frozenset()
    """Issuers: mappings that need no further report."""
    mapped: frozenset[Pair] = frozenset()
    """CRL service: mappings."""
    held: frozenset[Pair] = frozenset()
    """Owners: their certificates."""
    network: frozenset[tuple[str, str, int]] = frozenset()
    """What was sent, and may arrive now, later, twice or never."""
    crashes: int = 0


FAULTS: Final = {
    "request before row": "an issuer sends a request before it is on disk",
    "no row": "an issuer writes down which IDs are taken, and not for what",
    "no memory of proofs": "the Signing Service makes a second certificate from a proof",
    "grant before row": "the CRL service grants a range before it is on disk",
    "report once": "an issuer takes a report that it has sent for one that arrived",
    "no second request": "an issuer that comes back does not ask again for what it asked for",
    "any range": "an issuer takes IDs of ranges that it was not granted",
}
"""Promise that is taken away to what happens instead. Two stand together: see `FAULTY`."""
FAULTY: Final = (
    frozenset({"request before row"}),
    frozenset({"no row"}),
    frozenset({"no row", "no memory of proofs"}),
    frozenset({"grant before row"}),
    frozenset({"report once"}),
    frozenset({"no second request"}),
    frozenset({"any range"}),
)
"""Sets of faults, each of which the search must see."""

Step = tuple[str, State]


class Issuance:
    """The transitions, with some promises taken away."""

    def __init__(self, world: dict[str, str], faults: frozenset[str] = frozenset()) -> None:
        self.owner_of = world
        self.faults = faults

    def steps(self, state: State) -> Iterator[Step]:
        """Everything that can happen next."""
        yield from self.progress(state)
        if state.crashes < MOST_CRASHES:
            yield from self._crashes(state)

    def progress(self, state: State) -> Iterator[Step]:
        """What happens if nobody stops."""
        for issuer in sorted(set(self.owner_of.values())):
            yield from self._wants_range(state, issuer)
        for key in self.owner_of:
            yield from self._asks(state, key)
        yield from self._repeats(state)
        for message in sorted(state.network):
            yield from self._arrives(state, message)

    def _free(self, state: State, issuer: str) -> list[int]:
        taken = {number for key, number in state.rows | state.memory if self.owner_of[key] == issuer}
        if "no row" in self.faults:
            taken |= {
                number for kind, name, number in state.network if kind == "sign" and self.owner_of[name] == issuer
            }
        own = {number for name, number in state.ranges if name == issuer or "any range" in self.faults}
        return sorted(own - taken)

    def _wants_range(self, state: State, issuer: str) -> Iterator[Step]:
        waiting = any(issuer == self.owner_of[key] and not _of(state.rows | state.memory, key) for key in self.owner_of)
        if waiting and not self._free(state, issuer) and len(state.granted) < MOST_RANGES:
            number = len(state.granted)
            after = state._replace(granted=(*state.granted, issuer))
            yield f"CRL grants {number} to {issuer}", _sent(after, "range", issuer, number)

    def _asks(self, state: State, key: str) -> Iterator[Step]:
        if _of(state.rows | state.memory | state.held, key):
            return
        for number in self._free(state, self.owner_of[key])[:1]:
            row = frozenset({(key, number)})
            kept = bool(self.faults & {"request before row", "no row"})
            after = state._replace(memory=state.memory | row) if kept else state._replace(rows=state.rows | row)
            yield f"{self.owner_of[key]} asks for {key} with ID {number}", _sent(after, "sign", key, number)

    def _repeats(self, state: State) -> Iterator[Step]:
        """What an issuer does by itself until it has an answer: ask again, report."""
        again = "no second request" not in self.faults or not state.crashes
        for key, number in sorted(state.rows - state.answered) if again else ():
            if ("sign", key, number) not in state.network:
                yield f"{self.owner_of[key]} asks again for {key}", _sent(state, "sign", key, number)
        for key, number in sorted(state.answered - state.confirmed):
            if ("report", key, number) not in state.network:
                after = _sent(state, "report", key, number)
                if "report once" in self.faults:
                    after = after._replace(confirmed=after.confirmed | {(key, number)})
                yield f"{self.owner_of[key]} reports {number}", after

    def _arrives(self, state: State, message: tuple[str, str, int]) -> Iterator[Step]:
        kind, name, number = message
        pair = frozenset({(name, number)})
        if kind == "range" and not pair <= state.ranges:
            yield f"{name} has range {number}", state._replace(ranges=state.ranges | pair)
        elif kind == "sign":
            before = _of(state.remembered, name)
            if before <= {number} or "no memory of proofs" in self.faults:
                after = state._replace(signed=state.signed | pair, remembered=state.remembered | pair)
                yield f"signed: {name} with ID {number}", _sent(after, "certificate", name, number)
        elif kind == "certificate" and pair <= state.rows | state.memory:
            after = state._replace(rows=state.rows | pair, answered=state.answered | pair, held=state.held | pair)
            yield f"{name} has its certificate with ID {number}", after
        elif kind == "report" and _of_id(state.mapped, number) <= {name}:
            yield f"mapped: {number}", _sent(state._replace(mapped=state.mapped | pair), "confirmed", name, number)
        elif kind == "confirmed":
            yield f"confirmed: {number}", state._replace(confirmed=state.confirmed | pair)

    def _crashes(self, state: State) -> Iterator[Step]:
        """Everybody stops: memory and what is in flight are gone. Losing less is one of the other orders of steps."""
        after = state._replace(memory=frozenset(), network=frozenset(), crashes=state.crashes + 1)
        if "grant before row" in self.faults:
            after = after._replace(granted=())
        if "no row" in self.faults:
            taken = {number for _, number in state.memory}
            after = after._replace(ranges=frozenset(pair for pair in state.ranges if pair[1] not in taken))
        yield "everybody stops", after

    def search(self, *, in_the_end: bool = True) -> tuple[int, list[str]]:
        """All states within the bounds: how many, and the steps to the first one that breaks a promise, if any.

        Without `in_the_end` only what must never be is looked for, not what must come about.
        """
        begin = State()
        before: dict[State, tuple[State, str] | None] = {begin: None}
        ends: dict[State, State] = {}
        queue = deque([begin])
        while queue:
            state = queue.popleft()
            broken = _broken(state) or (in_the_end and self._unfinished(self._end(state, ends)))
            if broken:
                return len(before), [*_path(before, state), f"=> {broken}"]
            for label, after in self.steps(state):
                if after not in before:
                    before[after] = (state, label)
                    queue.append(after)
        return len(before), []

    def _unfinished(self, state: State) -> str:
        """What must be in the end, if everybody goes on."""
        if state.signed - state.mapped:
            return "a certificate exists that the CRL service will never know of"
        served = {key for key, _ in state.held}
        stuck = [key for key in self.owner_of if key not in served and len(state.granted) < MOST_RANGES]
        return f"{stuck[0]} never gets a certificate" if stuck else ""

    def _end(self, state: State, ends: dict[State, State]) -> State:
        """Where everything comes to rest if from now on nobody stops and no message is lost."""
        way = []
        while state not in ends:
            after = next((step for _, step in self.progress(state) if step != state), None)
            way.append(state)
            if after is None:
                ends[state] = state
                break
            state = after
        for passed in way:
            ends[passed] = ends[state]
        return ends[state]


def _of(pairs: frozenset[Pair], name: str) -> set[int]:
    return {number for have, number in pairs if have == name}


def _of_id(pairs: frozenset[Pair], number: int) -> set[str]:
    return {name for name, have in pairs if have == number}


def _sent(state: State, kind: str, name: str, number: int) -> State:
    return state._replace(network=state.network | {(kind, name, number)})


def _broken(state: State) -> str:
    """What must never be, however everybody stops."""
    numbers = [number for _, number in state.signed]
    if len(set(numbers)) != len(numbers):
        return "two certificates have one revocation ID"
    keys = [key for key, _ in state.signed]
    if len(set(keys)) != len(keys):
        return "one key has two certificates"
    return "" if state.held <= state.signed else "somebody has a certificate that nobody signed"


def _path(before: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    labels: list[str] = []
    while (step := before[state]) is not None:
        state, label = step
        labels.append(label)
    return labels[::-1]


# Rotation.

STEP: Final = TICKET_LIFE // 3
"""The rotation check looks at every eight hours."""
DAYS: Final = 6


def rotation_holds(
    *,
    rotation: int = ROTATION,
    lifetime: int = BASE_LIFETIME,
    overlap: int = TICKET_LIFE,
    outage: int = 5,
    forced: int = 2,
) -> tuple[int, list[str]]:
    """Every way in which signing is out of reach for `outage` steps in a row and operators rotate up to `forced` times.

    However it goes: a running workload has a certificate in force, no older than a rotation and an outage; a ticket
    opens for a day after it was made. How many moments were looked at, and the first findings.
    """
    looked, findings = 0, list[str]()

    def go(cluster: ClusterModel, tickets: list[tuple[int, int]], now: int, out: int, left: int, told: str) -> None:
        nonlocal looked
        if now > DAYS * TICKET_LIFE or findings:
            return
        due = cluster.due(now)
        for what in _chances(due, out < outage, left > 0):
            after = cluster.copy()
            if what != "out of reach" and (due or what == "forced"):
                after.rotate(now)
            looked += 1
            story = told + ("" if what == "" else f"; {what} at {now // 3600} h")
            findings.extend(f"{wrong} at {now // 3600} h{story}" for wrong in _wrong(after, tickets, now, outage))
            issued = [*tickets[-3:], (now, after.keys["w"][-1][0])]
            go(after, issued, now + STEP, out + 1 if what == "out of reach" else 0, left - (what == "forced"), story)

    first = ClusterModel(rotation, lifetime, overlap)
    first.rotate(0)
    first.schedule("one", "w", 0)
    go(first, [(0, 1)], STEP, 0, forced, "")
    return looked, findings[:3]


def _chances(due: bool, may_fail: bool, may_force: bool) -> Iterator[str]:
    yield ""
    if due and may_fail:
        yield "out of reach"
    if may_force and not due:
        yield "forced"


def _wrong(cluster: ClusterModel, tickets: list[tuple[int, int]], now: int, outage: int) -> Iterator[str]:
    for _, begin, end in cluster.workloads.values():
        if not begin <= now < end:
            yield "no certificate in force"
        if now - begin > ROTATION + outage * STEP + BACKDATE:
            yield "a certificate that was not rotated"
    epochs = [epoch for epoch, _ in cluster.keys["w"]]
    if len(epochs) > MAX_EPOCHS or epochs != sorted(set(epochs)):
        yield "epochs"
    if any(now - made < TICKET_LIFE and epoch not in epochs for made, epoch in tickets):
        yield "a ticket that no key opens"
