"""``alts prove --mutants``: every mutant must lose its queries, every original keep them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alts_proofs._engines import Engine
from alts_proofs._manifest import Manifest
from alts_proofs._report import FINDINGS, HARNESS, OK
from alts_proofs.mutate import Mutant, Trial, survey
from alts_proofs.mutate_ciphers import CIPHERS
from alts_proofs.mutate_resumed import RESUMED
from alts_proofs.mutate_static import STATIC

MUTANTS: tuple[Mutant, ...] = (*STATIC, *CIPHERS, *RESUMED)
"""All of them."""
_SCHEMA = Path(__file__).resolve().parent / "mutants.schema.json"


@dataclass(frozen=True, slots=True)
class Survey:
    """What an engine said of mutants and originals."""

    engine: str
    version: str | None
    trials: tuple[Trial, ...]

    def exit_code(self) -> int:
        """1 if a mutant kept a query or an original lost one, 3 if the engine failed or nothing ran, else 0."""
        if not any(trial.mutant is not None for trial in self.trials):
            return HARNESS
        if any(trial.failure is not None for trial in self.trials):
            return HARNESS
        return OK if all(trial.passed for trial in self.trials) else FINDINGS

    def document(self) -> dict[str, Any]:
        """The survey for programs; its schema is `mutants_schema`."""
        return {"engine": self.engine, "version": self.version, "trials": [_entry(trial) for trial in self.trials]}

    def lines(self) -> Iterator[str]:
        """The survey for people, what went wrong first."""
        yield from (trial.line() for trial in sorted(self.trials, key=lambda trial: trial.passed) if not trial.passed)
        mutants = [trial for trial in self.trials if trial.mutant is not None]
        originals = [trial for trial in self.trials if trial.mutant is None]
        yield (
            f"{len(mutants)} mutants, {sum(trial.passed for trial in mutants)} refuted or no longer proved; "
            f"{len(originals)} originals, {sum(trial.passed for trial in originals)} true; "
            f"{self.engine}, {sum(trial.seconds for trial in self.trials):.0f} s"
        )


def _entry(trial: Trial) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": trial.name,
        "kind": "original" if trial.mutant is None else "mutant",
        "passed": trial.passed,
        "queries": [
            {"query": outcome.query.id, "result": outcome.result, "seconds": outcome.seconds}
            for outcome in trial.outcomes
        ],
    }
    if trial.mutant is not None:
        entry["about"] = trial.mutant.about
        entry["script"] = trial.mutant.script
        entry["edits"] = [{"file": edit.file, "old": edit.old, "new": edit.new} for edit in trial.mutant.edits]
    if trial.failure is not None:
        entry["failure"] = trial.failure
    return entry


def run_survey(
    engine: Engine,
    manifest: Manifest,
    mutants: Sequence[Mutant],
    timeout: float | None = None,
    jobs: int = 1,
    progress: Callable[[Trial], None] = lambda trial: None,
) -> Survey:
    """`survey`, with the engine that did it."""
    return Survey(engine.name, engine.version, survey(engine, manifest, mutants, timeout, jobs, progress))


def mutants_schema() -> dict[str, Any]:
    """The JSON Schema of `Survey.document`."""
    schema: dict[str, Any] = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    return schema
