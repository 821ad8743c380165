"""One use of a ticket when several makers are at it at once (SPEC.md 12.7).

Each maker, a thread of some replica, has a ticket and runs a small program of atomic steps. z3 chooses who is next at
each moment, who has which ticket, where, and how much room the memories have. What the step `mark` does is what
`tickets: the maker's memory` proves of the model's code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import z3

from alts_model.checks.proving import Check, Example, Fault, Statement
from alts_model.stores import UsedSecrets

MAKERS = 4
REPLICAS = 2
TICKETS = 2


@dataclass(frozen=True)
class Makers:
    """The steps of a maker, and what holds of the memories.

    `mark` is check and set at once; `check` and `set` are the two apart; `derive` goes on with the secret. `shared`: a
    memory that is called shared is; `bounded`: a memory without room refuses.
    """

    steps: tuple[str, ...] = ("mark", "derive")
    shared: bool = True
    bounded: bool = True


class _Course:
    """Everything that may happen: `MAKERS` programs, each step of each, in any order."""

    def __init__(self, makers: Makers, *, one_memory: bool) -> None:
        self.steps, self.bounded, self.one_memory = makers.steps, makers.bounded, one_memory
        length = MAKERS * len(self.steps)
        self.order = [z3.Int(f"maker at {time}") for time in range(length)]
        self.ticket = [z3.Int(f"ticket {maker}") for maker in range(MAKERS)]
        self.replica = [z3.Int(f"replica {maker}") for maker in range(MAKERS)]
        self.room = [z3.Int(f"room {place}") for place in range(REPLICAS)]
        ends = ((self.order, MAKERS), (self.ticket, TICKETS), (self.replica, REPLICAS), (self.room, TICKETS + 1))
        self.given = z3.And(*(z3.And(one >= 0, one < end) for terms, end in ends for one in terms))
        self.done: list[Any] = [z3.IntVal(0)] * MAKERS
        self.derived: list[Any] = [z3.BoolVal(False)] * MAKERS
        self.used: list[list[Any]] = [[z3.BoolVal(False)] * TICKETS for _ in range(REPLICAS)]
        for time in range(length):
            self._moment(self.order[time])

    def is_at(self, maker: int, place: int) -> Any:
        """Whether a maker's memory is this one."""
        return z3.BoolVal(place == 0) if self.one_memory else self.replica[maker] == place

    def _refuses(self, maker: int) -> Any:
        """Whether the maker's memory has its ticket, or no room."""
        reasons = []
        for place, used in enumerate(self.used):
            known = z3.Or(*(z3.And(self.ticket[maker] == which, one) for which, one in enumerate(used)))
            count = z3.Sum([z3.If(one, 1, 0) for one in used])
            full = count >= self.room[place] if self.bounded else z3.BoolVal(False)
            reasons.append(z3.And(self.is_at(maker, place), z3.Or(known, full)))
        return z3.Or(*reasons)

    def _moment(self, who: Any) -> None:
        """One maker takes its next step; a maker that is at its end, or was refused, takes none."""
        done, derived, used = [*self.done], [*self.derived], [[*one] for one in self.used]
        for maker in range(MAKERS):
            for position, step in enumerate(self.steps):
                here = z3.And(who == maker, self.done[maker] == position)
                refused = self._refuses(maker) if step in ("mark", "check") else z3.BoolVal(False)
                done[maker] = z3.If(here, z3.If(refused, len(self.steps), position + 1), done[maker])
                if step == "derive":
                    derived[maker] = z3.Or(derived[maker], here)
                if step in ("mark", "set"):
                    for place in range(REPLICAS):
                        for which in range(TICKETS):
                            its = z3.And(self.is_at(maker, place), self.ticket[maker] == which)
                            used[place][which] = z3.Or(used[place][which], z3.And(here, z3.Not(refused), its))
        self.done, self.derived, self.used = done, derived, used

    def twice(self, *, at_one_replica: bool) -> Any:
        """Whether two makers derived from one ticket."""
        pairs = [(one, other) for one in range(MAKERS) for other in range(one)]
        return z3.Or(
            *(
                z3.And(
                    self.ticket[one] == self.ticket[other],
                    self.replica[one] == self.replica[other] if at_one_replica else z3.BoolVal(True),
                    self.derived[one],
                    self.derived[other],
                )
                for one, other in pairs
            )
        )

    def without_room(self) -> Any:
        """Whether somebody derived whose memory has no room at all."""
        return z3.Or(
            *(
                z3.And(self.derived[maker], self.is_at(maker, place), self.room[place] == 0)
                for maker in range(MAKERS)
                for place in range(REPLICAS)
            )
        )

    def example(self, model: Any) -> Example:
        """The order, and what each maker has."""

        def plain(terms: list[Any]) -> tuple[int, ...]:
            return tuple(model.eval(term, model_completion=True).as_long() for term in terms)

        return {
            "memory": "shared" if self.one_memory else "one a replica",
            "order": plain(self.order),
            "tickets": plain(self.ticket),
            "replicas": plain(self.replica),
            "room": plain(self.room),
        }


def _interleaving(makers: Makers) -> Iterator[Statement]:
    """Both ways to keep the memory; then what makes the number of makers no matter."""
    shared = _Course(makers, one_memory=makers.shared)

    def called_shared(model: Any) -> Example:
        return {**shared.example(model), "memory": "shared"}

    yield Statement("shared memory", shared.given, z3.Not(shared.twice(at_one_replica=False)), called_shared)
    yield Statement("no room", shared.given, z3.Not(shared.without_room()), shared.example)
    own = _Course(makers, one_memory=False)
    yield Statement("memory of a replica", own.given, z3.Not(own.twice(at_one_replica=True)), own.example)
    yield from _any_number(makers)


def _any_number(makers: Makers) -> Iterator[Statement]:
    """How many makers have got how far with one ticket at one memory: at most one is past `mark`, and stays alone."""
    last = len(makers.steps)
    at = [z3.Int(f"makers after step {position}") for position in range(1, last + 1)]
    used, full = z3.Bool("used"), z3.Bool("full")

    def invariant(counts: list[Any], known: Any) -> Any:
        return z3.And(*(one >= 0 for one in counts), z3.Sum(counts) <= z3.If(known, 1, 0))

    def example(model: Any) -> Example:
        return {"step": step, "used": str(model.eval(used)), "makers": tuple(str(model.eval(one)) for one in at)}

    for position, step in enumerate(makers.steps):
        after = [*at]
        after[position] += 1
        able = z3.BoolVal(True)
        if position:
            after[position - 1] -= 1
            able = at[position - 1] > 0
        if step in ("mark", "check"):
            able = z3.Not(z3.Or(used, full))
        known = z3.BoolVal(True) if step in ("mark", "set") else used
        given = z3.And(invariant(at, used), able)
        yield Statement("any number of makers", given, invariant(after, known), example)


def _interleaving_violates(makers: Makers, example: Example) -> str | None:
    """The order, step by step, with the model's memories."""
    if "order" not in example:
        return None
    shared = makers.shared and example["memory"] == "shared"
    end, done, derived = len(makers.steps), [0] * MAKERS, list[int]()
    memories = [UsedSecrets[int](room if makers.bounded else MAKERS) for room in example["room"]]

    def memory(maker: int) -> UsedSecrets[int]:
        return memories[0 if shared else example["replicas"][maker]]

    for maker in example["order"]:
        if done[maker] == end:
            continue
        step, ticket = makers.steps[done[maker]], example["tickets"][maker]
        done[maker] += 1
        if step == "derive":
            derived.append(maker)
        elif step == "set":
            memory(maker).mark(ticket, 1, 0)
        elif not (memory(maker) if step == "mark" else memory(maker).copy()).mark(ticket, 1, 0):
            done[maker] = end
    places = [0 if example["memory"] == "shared" else example["replicas"][maker] for maker in range(MAKERS)]
    for at, one in enumerate(derived):
        for other in derived[:at]:
            if example["tickets"][one] == example["tickets"][other] and places[one] == places[other]:
                return f"makers {other} and {one} both derive from ticket {example['tickets'][one]}"
    for one in derived:
        if example["room"][0 if shared else example["replicas"][one]] == 0:
            return f"maker {one} derives, and its memory has no room"
    return None


INTERLEAVING = Check(
    "tickets: one use, interleaved",
    "however makers interleave, at most one derives from a ticket: of all that share a memory, else of each replica; "
    "none whose memory has no room",
    f"every order of the steps of {MAKERS} makers with {TICKETS} tickets at {REPLICAS} replicas; by induction on the "
    "steps any number of makers",
    ("RES-7", "RES-5"),
    frozenset({"shared memory", "memory of a replica", "no room", "any number of makers"}),
    Makers(),
    (
        Fault("check, then set", "check and set are two steps", Makers(("check", "set", "derive"))),
        Fault("derive, then mark", "the secret is marked after it was used", Makers(("derive", "mark"))),
        Fault("own memories", "replicas without a shared memory are taken to have one", Makers(shared=False)),
        Fault("no bound", "a full memory is not asked about", Makers(bounded=False)),
    ),
    _interleaving,
    _interleaving_violates,
)
