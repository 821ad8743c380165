"""The conformance suite: cases, peers, runner, reports and the `alts` command.

A case is a decorated coroutine function (:func:`case`) that gets a :class:`CaseRun`; see conformance/README.md.
"""

import importlib

TYPE_CHECKING = False  # `typing` would be loaded for this alone
if TYPE_CHECKING:
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
else:
    _HOMES = {"Severity": "_case", "case": "_case", "CaseRun": "_context", "Session": "_context"}

    def __getattr__(name):
        """Import a name at its first use: the `alts` command starts in this package, and comes up before all else."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f".{_HOMES.get(name, '_verdict')}", __name__), name)
        globals()[name] = value
        return value


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
