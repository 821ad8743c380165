"""What a search is made of: moves, global states, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from alts_model.connection import Local, Outcome
from alts_model.knowledge import Knowledge
from alts_model.processes import Processes
from alts_model.properties import Made, Violation
from alts_model.terms import Term

Deliveries = tuple[tuple[str, Term | None], ...]

LEAK = -1
"""The session of the move that hands keys to the attacker."""


@dataclass(frozen=True, slots=True)
class Move:
    """Inputs for one session, given together; or the leak."""

    session: int
    inputs: Deliveries


@dataclass(frozen=True, eq=False)
class Node:
    """One global state; `before` and `outputs` are what the attacker knew before it and has learnt by it."""

    locals: tuple[Local[Term], ...]
    processes: Processes
    before: Knowledge
    outputs: tuple[Term, ...]
    made: tuple[Made, ...]
    moves: tuple[Move, ...]
    leaked: bool = False

    @cached_property
    def knowledge(self) -> Knowledge:
        """What the attacker knows now."""
        return self.before.extended(self.outputs)

    def key(self) -> object:
        """What tells states apart."""
        locals_ = tuple((local.state, local.client_init, local.server_init, local.tickets) for local in self.locals)
        return locals_, self.processes.key(), self.leaked


@dataclass(slots=True)
class Result:
    """What a search has found and how far it looked. `trace` is empty if there is no violation.

    `states` are distinct, `transitions` lead to them, `refused` messages were built and had no effect. `reached` are
    the claims that honest sessions made with honest peers, the modes that they completed in, and `delivered` for a
    payload between two of them. `answered twice`: two servers have answered one ticket.
    """

    scenario: str
    without: tuple[str, ...]
    states: int = 0
    transitions: int = 0
    refused: int = 0
    message_depth: int = 0
    seconds: float = 0.0
    reached: set[str] = field(default_factory=set)
    violation: Violation | None = None
    trace: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Taken:
    """What one input leads to."""

    outcome: Outcome[Term]
    processes: Processes
