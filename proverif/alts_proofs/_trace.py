"""The steps of an attack: who does what, and who sends what to whom."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alts_proofs._report import Report

ATTACKER = "attacker"


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One step of an attack that was executed.

    Attributes:
        source: who acts: the attacker, or a process by the name of its macro, with a number where there are several.
        target: who receives; the source again for something done without a message.
        message: the message as a term, or what is done.
        place: file, line and column of the script; None for what the attacker does by itself.
    """

    source: str
    target: str
    message: str
    place: str | None = None


def trace_chart(title: str, steps: Iterable[TraceStep]) -> str:
    """A message sequence chart of an attack as one SVG document, the attacker in the middle.

    Raises `ValueError` without a step.
    """
    from alts_proofs.chart import Step, sequence_chart  # only here: every worker of the prover imports this module

    rows = [Step(step.source, step.target, step.message, step.place or "") for step in steps]
    others = list(dict.fromkeys(name for row in rows for name in (row.source, row.target) if name != ATTACKER))
    half = (len(others) + 1) // 2
    return sequence_chart(rows, title=title, participants=[*others[:half], ATTACKER, *others[half:]])


def prepare_charts(folder: Path) -> None:
    """Makes the folder and sees that files can be written there. Raises `OSError` when they cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_whole(folder / ".probe", "writable?\n")
    (folder / ".probe").unlink()


def _write_whole(path: Path, text: str) -> None:
    """Writes under another name and renames: `path` is there whole or as it was before."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_charts(report: Report, folder: Path) -> list[Path]:
    """Writes a chart for every refuted query whose attack came in steps, and gives the files in order.

    The file is named after the query's ID. Raises `OSError` when one cannot be written; none is left in part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for file in report.files:
        for outcome in file.outcomes:
            if outcome.result == "false" and outcome.steps:
                path = folder / (re.sub(r"[^A-Za-z0-9_.-]+", "_", outcome.query.id) + ".svg")
                _write_whole(path, trace_chart(outcome.query.id, outcome.steps))
                written.append(path)
    return written
