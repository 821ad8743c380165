"""What a case can end in, and how several attempts become one verdict.

A case never reads an error text: it looks at what went over the wire and at raw outcomes that drivers report, and says
so by returning (pass) or by raising one of the exceptions below. Everything else that is raised in a case is a fault of
the harness, never of the peer, and ends the run with exit code 3.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


class Verdict(enum.StrEnum):
    """The published verdicts; the values stand in reports and must never change their meaning."""

    PASS = "pass"
    LENIENT = "lenient"
    FAIL = "fail"
    CRASH = "crash"
    HANG = "hang"
    FLAKY = "flaky"
    SKIPPED = "skipped"
    KNOWN = "known"
    HARNESS = "harness"


#: Verdicts that are findings: a run with one of them exits 1. ``lenient`` and ``known`` are reported and do not gate.
FINDINGS = frozenset({Verdict.FAIL, Verdict.CRASH, Verdict.HANG, Verdict.FLAKY})


class Reaction(enum.StrEnum):
    """How one end of a link answered a manipulation, as the relay saw it."""

    CLOSED = "closed"
    RESET = "reset"
    ALERT = "alert"
    SILENT = "silent"
    CONTINUED = "continued"


#: Ways to end a connection. A case that only asks "is the connection over?" accepts all three (R1 of the anchors).
ENDED = frozenset({Reaction.CLOSED, Reaction.RESET, Reaction.ALERT})


class ConformanceError(Exception):
    """Root of every error this package raises."""


class UsageError(ConformanceError):
    """The caller asked for something that does not exist or does not fit together (exit code 2)."""


class HarnessError(ConformanceError):
    """The harness itself cannot do its work (exit code 3)."""


class CaseEnded(ConformanceError):
    """Base of the ways in which a case says that it did not pass."""

    verdict = Verdict.FAIL

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CaseFailed(CaseEnded):
    """The peer did what it must not do, or did not do what it must."""


class CaseSkipped(CaseEnded):
    """The case cannot be judged here; the message says why. Never inferred from a failure."""

    verdict = Verdict.SKIPPED


class PeerMisbehaved(CaseFailed):
    """A peer's driver breaks the driver protocol: what it answers is not what DRIVER.md says."""


class PeerCrashed(CaseEnded):
    """A peer's process ended although nobody asked it to."""

    verdict = Verdict.CRASH


class PeerHung(CaseEnded):
    """A peer did not answer within the time that the case allows."""

    verdict = Verdict.HANG


@dataclass(slots=True)
class Attempt:
    """One execution of one instance."""

    verdict: Verdict
    message: str = ""
    reaction: str | None = None
    seconds: float = 0.0
    transcript: str | None = None
    notes: list[str] = field(default_factory=list)


def judge_reaction(reaction: Reaction, allowed: Iterable[Reaction], tolerated: Iterable[Reaction] = ()) -> Verdict:
    """``pass`` for an allowed reaction, ``lenient`` for a tolerated one, ``fail`` for any other."""
    if reaction in set(allowed):
        return Verdict.PASS
    return Verdict.LENIENT if reaction in set(tolerated) else Verdict.FAIL


def merge_attempts(attempts: Sequence[Attempt]) -> Attempt:
    """Make one verdict of all attempts of an instance: bad once and good once is ``flaky``; a harness fault is never
    hidden.

    Raises:
        HarnessError: there was no attempt.
    """
    if not attempts:
        raise HarnessError("an instance ended without any attempt")
    for attempt in attempts:
        if attempt.verdict is Verdict.HARNESS:
            return attempt
    first = attempts[0]
    if first.verdict not in FINDINGS:
        return first
    for later in attempts[1:]:
        if later.verdict not in FINDINGS:
            return Attempt(
                Verdict.FLAKY,
                f"{first.verdict} at first ({first.message}), then {later.verdict} with the same seed",
                first.reaction,
                first.seconds,
                first.transcript,
                first.notes,
            )
    return first
