"""One use of a ticket, in one process: the maker's memory and the holder's cache (SPEC.md 12.7), as they stand.

Secrets can only be told apart; times are any integers. The memory's code runs over a dictionary whose look-ups are
formulas. What is proved of one call, from any memory at all, holds of any number of calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import z3

from alts_model.checks.execution import Name, Number, Universe, explore, formula, number, rebound_class
from alts_model.checks.proving import Check, Example, Fault, Statement
from alts_model.messages import IssuedTicket
from alts_model.stores import Held, Session, TicketCache, UsedSecrets

ENTRIES = 3
"""Most secrets in a memory, and tickets in a cache, before the calls."""


class _Dictionary:
    """A dict whose keys are compared by formulas."""

    def __init__(self, pairs: Any = ()) -> None:
        self.pairs: list[tuple[Any, Any]] = [*pairs]

    def _find(self, key: Any) -> int | None:
        return next((at for at, (known, _) in enumerate(self.pairs) if known is key or known == key), None)

    def __contains__(self, key: Any) -> bool:
        return self._find(key) is not None

    def __setitem__(self, key: Any, value: Any) -> None:
        at = self._find(key)
        if at is None:
            self.pairs.append((key, value))
        else:
            self.pairs[at] = (key, value)

    def pop(self, key: Any) -> Any:
        at = self._find(key)
        assert at is not None
        return self.pairs.pop(at)[1]

    def items(self) -> list[tuple[Any, Any]]:
        return [*self.pairs]

    def __iter__(self) -> Iterator[Any]:
        return iter([key for key, _ in self.pairs])

    def __len__(self) -> int:
        return len(self.pairs)


Memory = type[UsedSecrets[Any]]


class _Situation:
    """Any memory, any ticket that was marked in it before, any ticket that comes now, and the time."""

    def __init__(self, size: int) -> None:
        self.names = Universe("Secret")
        self.entries = [(self.names.name(f"secret {at}"), number(f"end {at}")) for at in range(size)]
        self.forgotten, self.capacity, self.now = number("forgotten"), number("capacity"), number("now")
        self.before = self.names.name("secret before"), number("end before")
        self.asked = self.names.name("secret asked"), number("end asked")
        different = [z3.Distinct(*(secret.term for secret, _ in self.entries))] if size > 1 else []
        # A ticket's end follows from the ticket: one secret, one end.
        same = [
            z3.Implies(formula(secret == other), formula(end == other_end))
            for secret, end in (self.before, *self.entries)
            for other, other_end in (self.before, self.asked)
        ]
        self.given = (
            *different,
            *same,
            self.capacity.term >= 1,
            self.capacity.term >= size,
            self.forgotten.term >= 0,
            self.now.term >= 0,
            *(end.term > 0 for _, end in (self.before, self.asked, *self.entries)),
            self.remembers(self.entries, self.forgotten, self.before),
        )

    @staticmethod
    def remembers(entries: Sequence[tuple[Any, Any]], forgotten: Any, ticket: tuple[Name, Number]) -> Any:
        """A ticket that was marked is in the memory, or is among those that are refused because they are dead."""
        secret, end = ticket
        there = [z3.And(formula(secret == known), formula(end == its_end)) for known, its_end in entries]
        return z3.Or(*there, formula(end <= forgotten))

    def example(self, model: Any) -> Example:
        """Plain values."""

        def plain(ticket: tuple[Name, Number]) -> tuple[str, int]:
            return self.names.text(model, ticket[0]), _value(model, ticket[1])

        return {
            "memory": tuple(map(plain, self.entries)),
            "capacity": _value(model, self.capacity),
            "forgotten": _value(model, self.forgotten),
            "marked before": plain(self.before),
            "asked": plain(self.asked),
            "now": _value(model, self.now),
        }


def _value(model: Any, value: Number) -> int:
    return int(model.eval(value.term, model_completion=True).as_long())


def _marking(memory: Memory) -> Iterator[Statement]:
    bound = rebound_class(memory, ("__init__", "mark"), dict=_Dictionary)
    for size in range(ENTRIES + 1):
        yield from _marking_of(bound, _Situation(size))


def _marking_of(memory: Memory, case: _Situation) -> Iterator[Statement]:
    def run() -> tuple[bool, list[tuple[Any, Any]], Any]:
        made = memory(cast(Any, case.capacity), cast(Any, case.entries), cast(Any, case.forgotten))
        marked = bool(made.mark(case.asked[0], cast(Any, case.asked[1]), cast(Any, case.now)))
        return marked, cast(Any, made._used).items(), made._forgotten

    alive = [end.term > case.now.term for _, end in case.entries]
    crowd = z3.Sum([z3.If(one, 1, 0) for one in alive]) if alive else z3.IntVal(0)
    in_use = z3.Or(
        *(z3.And(live, formula(case.asked[0] == known)) for live, (known, _) in zip(alive, case.entries, strict=True))
    )
    dead = z3.Or(
        formula(case.asked[1] <= case.forgotten),
        *(
            z3.And(z3.Not(live), formula(case.asked[1] <= end))
            for live, (_, end) in zip(alive, case.entries, strict=True)
        ),
    )
    room = crowd < case.capacity.term
    for path in explore(run, case.given):
        assert path.value is not None
        marked, entries, forgotten = path.value
        kept = case.remembers(entries, forgotten, case.before)
        within = len(entries) <= case.capacity.term
        if marked:
            new = z3.Not(formula(case.asked[0] == case.before[0]))
            sets = case.remembers(entries, forgotten, case.asked)
            claim = z3.And(new, sets, kept, within, room)
            yield Statement("marked", path.condition, claim, case.example)
        else:
            reason = z3.Or(in_use, dead, z3.Not(room))
            yield Statement("refused", path.condition, z3.And(reason, kept, within), case.example)


def _marking_violates(memory: Memory, example: Example) -> str | None:
    used, before, asked, now = (example[name] for name in ("memory", "marked before", "asked", "now"))
    made = memory(example["capacity"], used, example["forgotten"])
    live = {secret for secret, end in used if end > now}
    ends = [end for _, end in used if end <= now]
    refuse = asked[0] in live or len(live) >= example["capacity"] or asked[1] <= max([example["forgotten"], *ends])
    marked = made.mark(asked[0], asked[1], now)
    if marked and asked[0] == before[0]:
        return f"{asked[0]} is used a second time"
    for ticket in (before, asked) if marked else (before,):
        later = UsedSecrets(ENTRIES + 2, made.copy()._used.items(), made._forgotten)
        if later.mark(ticket[0], ticket[1], 0):
            return f"{ticket[0]}, which was used, would be taken again"
    if len(made) > example["capacity"]:
        return "the memory is over its bound"
    return None if marked != refuse else f"{asked[0]} is {'marked' if marked else 'refused'}"


class _Forgetful(UsedSecrets[Any]):
    def mark(self, secret: Any, expires: Any, now: Any) -> bool:
        if len(self._used) >= self.capacity:
            self._used.pop(next(iter(self._used)))
        return UsedSecrets.mark(self, secret, expires, now)


class _NoWatermark(UsedSecrets[Any]):
    def mark(self, secret: Any, expires: Any, now: Any) -> bool:
        for old, end in [*self._used.items()]:
            if end <= now:
                self._used.pop(old)
        return UsedSecrets.mark(self, secret, expires, now)


class _ChecksOnly(UsedSecrets[Any]):
    def mark(self, secret: Any, expires: Any, now: Any) -> bool:
        answer = UsedSecrets.mark(self, secret, expires, now)
        if answer:
            self._used.pop(secret)
        return answer


ONCE = Check(
    "tickets: the maker's memory",
    "a secret that was marked is never marked again, whatever the clock does; a full memory refuses rather than "
    "forget; it is refused for no other reason",
    f"any memory of up to {ENTRIES} secrets and any bound, any times; the code treats each entry on its own; every "
    "call keeps what the proof starts from, so it holds of any number of calls",
    ("RES-7",),
    frozenset({"marked", "refused"}),
    cast(Memory, UsedSecrets),
    (
        Fault("forgetful", "a full memory forgets the oldest secret", cast(Memory, _Forgetful)),
        Fault("no watermark", "what is dead is forgotten without a trace", cast(Memory, _NoWatermark)),
        Fault("checks only", "the secret is looked up and not set", cast(Memory, _ChecksOnly)),
    ),
    _marking,
    _marking_violates,
)


# The holder.

Cache = type[TicketCache[Any]]


def _held(secret: Any, expires: Any) -> Held[Any]:
    issued: IssuedTicket[Any] = IssuedTicket(bytes(16), 1, 60, "ticket")
    return Held("server", issued, secret, cast(Session[Any], None), expires)


def _taking(cache: Cache) -> Iterator[Statement]:
    names = Universe("Secret")
    wanted = names.predicate("wanted")
    now, later = number("now"), number("later")

    def is_wanted(ticket: Held[Any]) -> bool:
        return bool(wanted(ticket.secret))

    for size in range(ENTRIES + 1):
        tickets = [_held(names.name(f"secret {at}"), number(f"end {at}")) for at in range(size)]
        terms = [ticket.secret.term for ticket in tickets]

        def run(tickets: list[Held[Any]] = tickets) -> tuple[Any, Any]:
            held = cache(8, tickets)
            return held.take(is_wanted, cast(Any, now)), held.take(is_wanted, cast(Any, later))

        def example(model: Any, tickets: list[Held[Any]] = tickets) -> Example:
            return {
                "tickets": tuple(
                    (names.text(model, one.secret), _value(model, cast(Any, one.expires))) for one in tickets
                ),
                "wanted": tuple(
                    names.text(model, one.secret)
                    for one in tickets
                    if z3.is_true(model.eval(wanted(one.secret).formula, model_completion=True))
                ),
                "now": _value(model, now),
                "later": _value(model, later),
            }

        def good(one: Any, when: Number) -> Any:
            return z3.BoolVal(True) if one is None else z3.And(wanted(one.secret).formula, formula(one.expires > when))

        any_good = z3.Or(*(z3.And(wanted(one.secret).formula, formula(one.expires > now)) for one in tickets))
        for path in explore(run, (z3.Distinct(*terms),) if size > 1 else ()):
            assert path.value is not None
            first, second = path.value
            claims = [good(first, now), good(second, later), any_good if first is not None else z3.Not(any_good)]
            if first is not None and second is not None:
                claims.append(z3.Not(formula(first.secret == second.secret)))
            yield Statement("none" if first is None else "taken", path.condition, z3.And(*claims), example)


def _taking_violates(cache: Cache, example: Example) -> str | None:
    held = cache(8, [_held(*one) for one in example["tickets"]])
    taken = []
    for when in (example["now"], example["later"]):
        one = held.take(lambda ticket: ticket.secret in example["wanted"], when)
        if one is not None and (one.secret not in example["wanted"] or one.expires <= when):
            return f"{one.secret} is taken, which is not wanted or dead"
        taken.append(one)
    if taken[0] is None and any(end > example["now"] and name in example["wanted"] for name, end in example["tickets"]):
        return "no ticket is taken, though there is one"
    if taken[0] is not None and taken[1] is not None and taken[0].secret == taken[1].secret:
        return f"{taken[0].secret} is taken twice"
    return None


class _Keeps(TicketCache[Any]):
    def take(self, wanted: Any, now: Any) -> Any:
        held = super().take(wanted, now)
        if held is not None:
            self.keep(held)
        return held


class _AnyAge(TicketCache[Any]):
    def take(self, wanted: Any, now: Any) -> Any:
        for held in reversed(self._entries):
            if wanted(held):
                self._entries.remove(held)
                return held
        return None


TAKEN = Check(
    "tickets: the holder's cache",
    "a ticket that was taken is not there any more; a dead or unwanted one is never taken",
    f"any cache of up to {ENTRIES} tickets with secrets of their own, any times, two takes one after the other",
    ("RES-7", "RES-2"),
    frozenset({"taken", "none"}),
    cast(Cache, TicketCache),
    (
        Fault("keeps", "the ticket stays when it is taken", cast(Cache, _Keeps)),
        Fault("any age", "the end of a ticket's life is not looked at", cast(Cache, _AnyAge)),
    ),
    _taking,
    _taking_violates,
)
