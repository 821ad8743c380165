"""What came of one query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alts_proofs._manifest import Query
from alts_proofs._trace import TraceStep

Result = Literal["true", "false", "cannot_be_proved", "unsupported", "timeout", "skipped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one query.

    `seconds` is the time from the verdict before it in the same file, or from the start, to this one; None when there
    was no verdict. `trace` is the attack as the engine printed it, `steps` the same taken apart where the engine gives
    steps.
    """

    query: Query
    result: Result
    seconds: float | None = None
    reason: str | None = None
    trace: str | None = None
    steps: tuple[TraceStep, ...] = ()

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the expected one; a query that was skipped has none."""
        return self.result == self.query.expected
