"""The stores of the processes in a search: ticket caches and memories of used secrets, as part of a global state."""

from __future__ import annotations

from alts_model.scenario import Scenario, SessionPlan, World
from alts_model.stores import Resumption, TicketCache, UsedSecrets
from alts_model.terms import Term


class Processes:
    """Caches by process and memories by name. Never changed: `of` gives copies to work on."""

    def __init__(
        self,
        world: World,
        scenario: Scenario,
        caches: dict[str, TicketCache[Term]],
        memories: dict[str, UsedSecrets[Term]],
    ) -> None:
        self._world = world
        self._scenario = scenario
        self._caches = caches
        self._memories = memories

    @staticmethod
    def empty(world: World, scenario: Scenario) -> Processes:
        """Before anything has happened."""
        return Processes(world, scenario, {}, {})

    def of(self, plan: SessionPlan) -> Resumption[Term] | None:
        """Copies of what a session resumes with, to work on during one step."""
        if not self._scenario.resumption:
            return None
        cache, used = self._caches.get(plan.process), self._memories.get(plan.memory)
        return Resumption(
            self._world.resumption_keys[plan.identity],
            TicketCache() if cache is None else cache.copy(),
            UsedSecrets() if used is None else used.copy(),
            self._scenario.early_tickets,
        )

    def having(self, plan: SessionPlan, resumption: Resumption[Term] | None) -> Processes:
        """The processes after a step of a session that has left this behind."""
        if resumption is None or resumption.cache is None or resumption.used is None:
            return self
        caches = {**self._caches, plan.process: resumption.cache}
        return Processes(self._world, self._scenario, caches, {**self._memories, plan.memory: resumption.used})

    def key(self) -> object:
        """What tells states apart."""
        caches = tuple((name, _held(cache)) for name, cache in sorted(self._caches.items()) if len(cache))
        memories = tuple((name, memory.used) for name, memory in sorted(self._memories.items()) if len(memory))
        return caches, memories

    def key_of(self, plan: SessionPlan) -> object:
        """The same, as far as a session can see it."""
        cache, memory = self._caches.get(plan.process), self._memories.get(plan.memory)
        return None if cache is None else _held(cache), None if memory is None else memory.used


def _held(cache: TicketCache[Term]) -> tuple[tuple[Term, Term, bytes], ...]:
    """What tells held tickets apart; the rest of them follows from the secret."""
    return tuple((held.secret, held.issued.ticket, held.issued.resumption_id) for held in cache.entries)
