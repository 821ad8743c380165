"""What the gallery says of each attack, and what came of running it."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._stage import Stage


class Outcome(enum.StrEnum):
    """How a trial ended. The first three are told apart by signs alone; only the first two can be what it should be."""

    WORKS = "works"
    """Every sign of success is there."""
    BLOCKED = "blocked"
    """None is."""
    PARTLY = "partly"
    """Some are and some are not: a finding, whatever was expected."""
    HANG = "hang"
    """Something waited for longer than it may."""
    HARNESS = "harness"
    """The gallery failed: honest traffic did not get through, a process did not start."""
    SKIPPED = "skipped"
    """It cannot run here."""


# Reasons why a trial names no query. Where a script is written, a `Query` takes the place of the reason.
NO_LATER_SCRIPT = "no script models revocation in resumption; `alts model explore --search resumption` searches for it"


@dataclass(frozen=True, slots=True)
class Query:
    """A query of the ProVerif scripts whose trace, or whose truth, a trial follows.

    Attributes:
        file: of the scripts folder.
        id: in ``expected.json``.
        expected: what it must be there: ``false`` where there is an attack, ``true`` where there is none.
    """

    file: str
    id: str
    expected: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One half of a pair: the attack under one condition.

    Attributes:
        name: unique within its attack.
        condition: what the victim is like, in words.
        expected: WORKS or BLOCKED.
        play: runs it and returns the stage's verdict.
        query: what was proved or refuted about this condition; None where there is no script.
        without_query: why there is none; empty where there is one.
        wheel: the victim is the gRPC wheel behind the handshaker service, which needs namespaces.
    """

    name: str
    condition: str
    expected: Outcome
    play: Callable[[Stage], Awaitable[Outcome]] = field(repr=False)
    query: Query | None = None
    without_query: str = ""
    wheel: bool = False


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack of the gallery.

    Attributes:
        name: for the command line.
        title: one line.
        story: what happens, in plain words.
        verdict: ``by design``, ``fixed by …`` or ``blocked``, one sentence.
        fix: what makes the difference between its trials.
        requirements: IDs of docs/requirements.json.
        clauses: anchors of SPEC.md with their numbers.
        trials: at least one that works and one that is blocked.
    """

    name: str
    title: str
    story: str
    verdict: str
    fix: str
    requirements: tuple[str, ...]
    clauses: tuple[tuple[str, str], ...]
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict rests on.

    Attributes:
        believed: what the victims and other honest ends believed and received.
        signs: the signs of success, each with whether it was there.
        did: what the attacker did.
        stolen: the secrets that the attacker was given; beside them it had what it saw on the wire, and its own.
        own: secrets that are rightly the attacker's.
        saw: how many frames it saw on the wire.
    """

    believed: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()
    did: tuple[str, ...] = ()
    stolen: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    saw: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one trial."""

    attack: str
    trial: str
    condition: str
    expected: Outcome
    outcome: Outcome
    evidence: Evidence
    seconds: float
    story: tuple[str, ...] = ()
    steps: tuple[tuple[str, str, str, str], ...] = ()
    frames: tuple[str, ...] = ()
    message: str = ""
    query: Query | None = None

    @property
    def as_told(self) -> bool:
        """Whether it went as the gallery says."""
        return self.outcome is self.expected
