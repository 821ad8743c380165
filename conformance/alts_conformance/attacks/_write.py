"""What is left of a run: for each trial a sequence chart and a transcript, and one report for all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alts_proofs.chart import sequence_chart

from .._verdict import HarnessError
from ._record import Attack, Outcome, Result, Trial
from ._story import ATTACKER


def chart(result: Result) -> str:
    """The sequence chart of a trial as SVG, the attacker in the middle."""
    names = list(dict.fromkeys(name for step in result.steps for name in step[:2]))
    honest = [name for name in names if name != ATTACKER]
    order = [*honest[:1], *([ATTACKER] if ATTACKER in names else []), *honest[1:]]
    return sequence_chart(
        result.steps, title=f"{result.attack}: {result.condition} ({result.outcome})", participants=order
    )


def transcript(result: Result) -> str:
    """The story, the evidence and every frame in hexadecimal."""
    lines = [f"{result.attack}/{result.trial}: expected {result.expected}, outcome {result.outcome}", "", *result.story]
    for title, entries in sections(result):
        lines += ["", f"{title}:", *(f"- {entry}" for entry in entries)]
    lines += ["", "On the wire:", *result.frames]
    return "\n".join(lines) + "\n"


def sections(result: Result) -> list[tuple[str, list[str]]]:
    """The evidence under its headings."""
    found = result.evidence
    knew = [f"stolen: {name}" for name in found.stolen] + [f"its own: {name}" for name in found.own]
    knew += [f"{found.saw} frames that it saw on the wire", "everything that is public"]
    query = [] if result.query is None else [f"{result.query.id} in {result.query.file}: {result.query.expected}"]
    return [
        ("What the victims believed", list(found.believed)),
        ("The signs of success", list(found.signs)),
        ("What the attacker did", list(found.did)),
        ("What the attacker knew", knew),
        ("The query", query or ["none"]),
    ]


def document(chosen: Sequence[tuple[Attack, Trial]], results: Sequence[Result]) -> dict[str, Any]:
    """The JSON report."""
    attacks = []
    for attack in dict.fromkeys(attack for attack, _ in chosen):
        of_it = [result for result in results if result.attack == attack.name]
        attacks.append(
            {
                "name": attack.name,
                "title": attack.title,
                "verdict": attack.verdict,
                "fix": attack.fix,
                "requirements": list(attack.requirements),
                "trials": [_trial(result) for result in of_it],
            }
        )
    counts = {outcome.value: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    return {"version": 1, "attacks": attacks, "counts": counts, "as_told": all(r.as_told for r in results)}


def _trial(result: Result) -> dict[str, Any]:
    return {
        "name": result.trial,
        "condition": result.condition,
        "expected": result.expected.value,
        "outcome": result.outcome.value,
        "as_told": result.as_told,
        "message": result.message,
        "seconds": round(result.seconds, 3),
        "query": None if result.query is None else asdict(result.query),
        "evidence": {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(result.evidence).items()},
    }


def prepare(folder: Path) -> None:
    """Make the folder and see that it can be written, before anything runs.

    Raises:
        HarnessError: it cannot.
    """
    probe = folder / ".probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("writable?\n", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
        raise HarnessError(f"{folder} cannot be written: {error.strerror or error}") from None


def write(folder: Path, chosen: Sequence[tuple[Attack, Trial]], results: Sequence[Result]) -> None:
    """Write everything below `folder`, each file whole or not at all; the report comes last.

    Raises:
        HarnessError: it cannot be written.
    """
    for result in results:
        if result.outcome is Outcome.SKIPPED:
            continue
        place = folder / result.attack
        _replace(place / f"{result.trial}.txt", transcript(result))
        if result.steps:
            _replace(place / f"{result.trial}.svg", chart(result))
    _replace(folder / "report.json", json.dumps(document(chosen, results), indent=1) + "\n")


def _replace(path: Path, text: str) -> None:
    """Write a file under another name and rename it."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise HarnessError(f"{path} cannot be written: {error.strerror or error}") from None
