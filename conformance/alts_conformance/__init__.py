"""The conformance suite: cases, peers, runner, reports and the `alts` command.

A case is a decorated coroutine function (:func:`case`) that gets a :class:`CaseRun`; see conformance/README.md.
"""

from ._case import Severity, case
from ._context import CaseRun, Session
from ._verdict import (
    ENDED,
    CaseFailed,
    CaseSkipped,
    ConformanceError,
    HarnessError,
    PeerCrashed,
    PeerHung,
    PeerMisbehaved,
    Reaction,
    UsageError,
    Verdict,
)

__all__ = [
    "ENDED",
    "CaseFailed",
    "CaseRun",
    "CaseSkipped",
    "ConformanceError",
    "HarnessError",
    "PeerCrashed",
    "PeerHung",
    "PeerMisbehaved",
    "Reaction",
    "Session",
    "Severity",
    "UsageError",
    "Verdict",
    "case",
]
