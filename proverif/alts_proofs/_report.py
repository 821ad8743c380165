"""What `alts prove` tells: for a terminal, and as a JSON document with a published schema."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alts_proofs._manifest import Script
from alts_proofs._outcome import Outcome

OK, FINDINGS, USAGE, HARNESS = 0, 1, 2, 3
_SCHEMA = Path(__file__).resolve().parent / "report.schema.json"
_COLOURS = {"FAIL": "31", "ERROR": "31", "SKIPPED": "33", "OPEN": "33", "ok": "32"}
# Answers that settle nothing. Anything else, a wrong verdict above all, is a finding even where openness is declared.
_UNSETTLED = frozenset({"cannot_be_proved", "unsupported", "timeout"})


@dataclass(frozen=True, slots=True)
class FileReport:
    """The outcomes of one script, one for each query in order; `failure` says why the engine cannot be trusted."""

    script: Script
    outcomes: tuple[Outcome, ...]
    failure: str | None = None
    may_be_open: str | None = None

    def is_open(self, outcome: Outcome) -> bool:
        """Whether the outcome settles nothing and the expected results say so of the engine that ran."""
        return self.may_be_open is not None and self.failure is None and outcome.result in _UNSETTLED

    @property
    def word(self) -> str:
        """The file in one word: ok, FAIL, ERROR, SKIPPED or OPEN (nothing wrong, but not all settled)."""
        if self.failure is not None:
            return "ERROR"
        if all(outcome.result == "skipped" for outcome in self.outcomes):
            return "SKIPPED"
        if not all(outcome.as_expected or self.is_open(outcome) for outcome in self.outcomes):
            return "FAIL"
        return "OPEN" if any(self.is_open(outcome) for outcome in self.outcomes) else "ok"

    @property
    def seconds(self) -> float:
        """The time until the last verdict."""
        return sum(outcome.seconds or 0.0 for outcome in self.outcomes)

    def line(self) -> str:
        """One line on the file."""
        return f"{self.word} {self.script.file}: {len(self.outcomes)} queries, {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Report:
    """The outcomes of all scripts. `engine` is the one that ran or, when none could, the one that was asked for."""

    engine: str
    version: str | None
    files: tuple[FileReport, ...]

    @property
    def failed(self) -> tuple[tuple[FileReport, Outcome], ...]:
        """Every query with a result that is not the expected one; engine failures, skipped and open queries aside."""
        return tuple(
            (file, outcome)
            for file in self.files
            if file.failure is None
            for outcome in file.outcomes
            if outcome.result != "skipped" and not outcome.as_expected and not file.is_open(outcome)
        )

    @property
    def open(self) -> tuple[tuple[FileReport, Outcome], ...]:
        """Every query that the engine left unsettled, as the expected results declare of it."""
        return tuple((file, outcome) for file in self.files for outcome in file.outcomes if file.is_open(outcome))

    @property
    def broken(self) -> tuple[FileReport, ...]:
        """The files for which the engine failed."""
        return tuple(file for file in self.files if file.failure is not None)

    def count(self) -> tuple[int, int, int, int]:
        """How many queries came out as expected, not as expected, without a trustworthy engine, skipped.

        Those in `open` are in none of the four.
        """
        outcomes = [outcome for file in self.files if file.failure is None for outcome in file.outcomes]
        skipped = sum(outcome.result == "skipped" for outcome in outcomes)
        good = sum(outcome.as_expected for outcome in outcomes)
        lost = sum(len(file.outcomes) for file in self.broken)
        return good, len(outcomes) - good - skipped - len(self.open), lost, skipped

    def exit_code(self, allow_skipped: bool = False) -> int:
        """3 if the engine failed or nothing was settled, 1 if a result is not the expected one, else 0.

        Open queries change nothing, but a run that settles no query at all is a 3.
        With `allow_skipped` a run that skipped everything is 0.
        """
        good, bad, lost, skipped = self.count()
        if lost:
            return HARNESS
        if bad:
            return FINDINGS
        if good:
            return OK
        return OK if allow_skipped and skipped else HARNESS

    def document(self) -> dict[str, Any]:
        """The report as the JSON document that ``report.schema.json`` describes."""
        return {
            "engine": self.engine,
            "version": self.version,
            "files": [
                {"file": file.script.file, "queries": [_entry(file, outcome) for outcome in file.outcomes]}
                for file in self.files
            ],
        }

    def lines(self, colour: bool = False) -> Iterator[str]:
        """The report for people: what went wrong first, then the files, then the counts."""
        for file, outcome in self.failed:
            yield (
                _painted("FAIL", colour)
                + f" {outcome.query.id}: expected {outcome.query.expected}, got "
                + (f"{outcome.result} [{', '.join(outcome.query.requirements)}]" + _because(outcome.reason))
            )
            yield f"     {command(file.script)}"
        for file in self.broken:
            yield _painted("ERROR", colour) + f" {file.script.file}: {file.failure}"
            yield f"     {command(file.script)}"
        for file in self.files:
            word = file.word
            yield _painted(word, colour) + file.line()[len(word) :]
            for outcome in file.outcomes:
                took = "" if outcome.seconds is None else f"{outcome.seconds:6.1f} s"
                yield f"  {outcome.result:<16} {took:>8}  {outcome.query.id}" + (
                    _because(outcome.reason) if outcome.result != "skipped" else ""
                )
        if skipped_reason := next((o.reason for f in self.files for o in f.outcomes if o.result == "skipped"), None):
            yield f"{_painted('SKIPPED', colour)} every query: {skipped_reason}"
        if self.open:
            yield f"{_painted('OPEN', colour)} {len(self.open)} queries that {self.engine} leaves open, as declared:"
            for reason in dict.fromkeys(file.may_be_open for file, _ in self.open):
                yield f"     {reason}"
        good, bad, lost, skipped = self.count()
        version = f" {self.version}" if self.version else ""
        yield (
            f"{good} as expected, {bad} not as expected, {lost} without a verdict to trust, {skipped} skipped"
            + (f", {len(self.open)} open" if self.open else "")
            + f"; "
            f"{len(self.files)} files; engine {self.engine}{version}"
        )


def report_schema() -> dict[str, Any]:
    """The JSON Schema of `Report.document`."""
    schema: dict[str, Any] = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    return schema


def command(script: Script) -> str:
    """A shell command that runs ProVerif on the script."""
    return f"(cd {shlex.quote(str(script.root))} && proverif {shlex.join(script.arguments())})"


def _entry(file: FileReport, outcome: Outcome) -> dict[str, Any]:
    seconds = outcome.seconds
    entry: dict[str, Any] = {
        "query": outcome.query.id,
        "expected": outcome.query.expected,
        "result": outcome.result,
        "seconds": None if seconds is None else round(seconds, 3),
    }
    if outcome.reason is not None:
        entry["reason"] = outcome.reason
    if file.is_open(outcome):
        entry["open"] = file.may_be_open
    if outcome.trace is not None:
        entry["trace"] = outcome.trace
    if outcome.steps:
        entry["steps"] = [
            {"source": step.source, "target": step.target, "message": step.message}
            | ({} if step.place is None else {"place": step.place})
            for step in outcome.steps
        ]
    return entry


def _because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""


def _painted(word: str, colour: bool) -> str:
    return f"\x1b[{_COLOURS[word]}m{word}\x1b[0m" if colour else word
