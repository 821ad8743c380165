"""Two engines on the same scripts: where they contradict each other, and where one says less than the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alts_proofs._engines import Engine
from alts_proofs._manifest import Query, Script
from alts_proofs._outcome import Outcome
from alts_proofs._prove import prove
from alts_proofs._report import FINDINGS, HARNESS, OK, FileReport, Report

_DEFINITE = frozenset({"true", "false"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """The reports of two engines on the same scripts."""

    first: Report
    second: Report

    def pairs(self) -> Iterator[tuple[Query, Outcome, Outcome]]:
        """Every query that both engines judged, with what they said."""
        for one, other in zip(self.first.files, self.second.files, strict=True):
            if one.failure is None and other.failure is None:
                for mine, theirs in zip(one.outcomes, other.outcomes, strict=True):
                    yield mine.query, mine, theirs

    @property
    def contradictions(self) -> list[tuple[Query, Outcome, Outcome]]:
        """The queries that are true to one and false to the other."""
        return [pair for pair in self.pairs() if {pair[1].result, pair[2].result} == _DEFINITE]

    @property
    def weaker(self) -> list[tuple[Query, Outcome, Outcome]]:
        """The queries that only one of them settles."""
        return [pair for pair in self.pairs() if (pair[1].result in _DEFINITE) != (pair[2].result in _DEFINITE)]

    def exit_code(self) -> int:
        """1 for any contradiction, 3 if an engine failed or nothing was compared, else 0."""
        if self.contradictions:
            return FINDINGS
        if self.first.broken or self.second.broken or not any(True for _ in self.pairs()):
            return HARNESS
        return OK

    def document(self) -> dict[str, Any]:
        """Both reports, and the queries on which they contradict each other."""
        return {
            "reports": [self.first.document(), self.second.document()],
            "contradictions": [query.id for query, _, _ in self.contradictions],
            "weaker": [query.id for query, _, _ in self.weaker],
        }

    def lines(self) -> Iterator[str]:
        """The comparison for people."""
        names = f"{self.first.engine} and {self.second.engine}"
        for query, mine, theirs in self.contradictions:
            yield f"CONTRADICTION {query.id}: {mine.result} and {theirs.result}"
            for outcome in (mine, theirs):
                if outcome.trace is not None:
                    yield from (f"     {line}" for line in outcome.trace.splitlines())
        for query, mine, theirs in self.weaker:
            yield f"weaker {query.id}: {mine.result} and {theirs.result}{_reason(mine)}{_reason(theirs)}"
        for report in (self.first, self.second):
            for file in report.broken:
                yield f"ERROR {report.engine} {file.script.file}: {file.failure}"
        for one, other in zip(self.first.files, self.second.files, strict=True):
            yield f"{one.script.file}: {len(one.outcomes)} queries, {one.seconds:.1f} s and {other.seconds:.1f} s"
        count = sum(1 for _ in self.pairs())
        yield (
            f"{count} queries compared, {len(self.contradictions)} contradictions, {len(self.weaker)} settled by one "
            f"only; {names}"
        )


def _reason(outcome: Outcome) -> str:
    return f" ({outcome.reason})" if outcome.reason else ""


def compare(
    engines: tuple[Engine, Engine],
    scripts: Sequence[Script],
    timeout: float | None = None,
    jobs: int = 1,
    progress: Callable[[FileReport], None] = lambda file: None,
) -> Comparison:
    """Has both engines judge all queries of `scripts`, one engine after the other."""
    first, second = (prove(engine, scripts, timeout, jobs, progress) for engine in engines)
    return Comparison(first, second)
