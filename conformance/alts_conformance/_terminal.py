"""What a person sees: progress while it runs, then failures first, one line each, then the table."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from ._report import ORDER, Summary, reproduce_command
from ._runner import Result
from ._verdict import FINDINGS, Verdict
from ._worker import NO_TRANSCRIPT

_COLOURS = {
    Verdict.PASS: "32",
    Verdict.KNOWN: "36",
    Verdict.LENIENT: "33",
    Verdict.SKIPPED: "90",
    Verdict.FLAKY: "35",
}


class Terminal:
    """Prints to a stream; colour and the moving line only on a terminal, and never with NO_COLOR (colour)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._tty = self._stream.isatty()
        self._colour = self._tty and "NO_COLOR" not in os.environ
        self._done = 0
        self._total = 0
        self._bad = 0

    def line(self, text: str = "") -> None:
        """One line."""
        print(text, file=self._stream, flush=True)

    def start(self, total: int, text: str) -> None:
        """Say what is about to run."""
        self._total = total
        self.line(text)

    def progress(self, result: Result) -> None:
        """Count a result: a moving line on a terminal, else a plain line now and then."""
        self._done += 1
        verdict = result.attempt.verdict
        bad = verdict in FINDINGS or verdict is Verdict.HARNESS
        self._bad += bad
        state = f"{self._done}/{self._total} done, {self._bad} not well"
        if self._tty:
            print(f"\r\x1b[K{state}  {result.instance.id[:90]}", end="", file=self._stream, flush=True)
            if self._done == self._total:
                print("\r\x1b[K", end="", file=self._stream, flush=True)
        elif bad or self._done % 50 == 0 or self._done == self._total:
            self.line(f"  {state}" + (f"  {verdict}: {result.instance.id}" if bad else ""))

    def paint(self, verdict: Verdict, text: str) -> str:
        """Colour a text like its verdict."""
        return f"\x1b[{_COLOURS.get(verdict, '31')}m{text}\x1b[0m" if self._colour else text

    def summary(self, summary: Summary) -> None:
        """Failures first, then known and lenient ones, skipped ones by reason, the table, the counts."""
        self._failures(summary)
        self._remarks(summary)
        self._table(summary)
        counts = summary.counts()
        total = sum(counts.values())
        parts = [f"{counts[verdict.value]} {verdict.value}" for verdict in reversed(ORDER) if counts[verdict.value]]
        self.line(
            f"{total} instances in {summary.seconds:.1f} s, seed {summary.options.seed}: "
            + ", ".join(parts or ["nothing ran"])
        )

    def _failures(self, summary: Summary) -> None:
        bad = [r for r in summary.results if r.attempt.verdict in FINDINGS or r.attempt.verdict is Verdict.HARNESS]
        for result in sorted(bad, key=lambda r: (ORDER.index(r.attempt.verdict), r.instance.id)):
            attempt = result.attempt
            where = f"  transcript: {attempt.transcript}" if attempt.transcript else ""
            requirements = ",".join(result.instance.case.requirements)
            verdict = self.paint(attempt.verdict, attempt.verdict.upper())
            self.line(f"{verdict} {result.instance.id} [{requirements}] {attempt.message}{where}")
            self.line(f"    reproduce: {reproduce_command(result, summary.options)}")
        for error in summary.complaints:
            self.line(f"{self.paint(Verdict.FAIL, 'ERROR')} {error}")
        for peer, reason in summary.unavailable.items():
            self.line(f"{self.paint(Verdict.SKIPPED, 'SKIPPED')} peer {peer}: {reason}")

    def _remarks(self, summary: Summary) -> None:
        for verdict in (Verdict.KNOWN, Verdict.LENIENT):
            for result in summary.results:
                if result.attempt.verdict is verdict:
                    self.line(f"{self.paint(verdict, verdict)} {result.instance.id}: {result.attempt.message}")
        reasons = Counter(r.attempt.message for r in summary.results if r.attempt.verdict is Verdict.SKIPPED)
        for reason, count in reasons.items():
            self.line(f"{self.paint(Verdict.SKIPPED, 'skipped')} {count}: {reason}")
        lost = Counter(note for r in summary.results for note in r.attempt.notes if note.startswith(NO_TRANSCRIPT))
        for note, count in lost.items():
            self.line(f"{self.paint(Verdict.LENIENT, 'note')} {count} times {note}")

    def _table(self, summary: Summary) -> None:
        peers = list(dict.fromkeys(peer for result in summary.results for peer in result.instance.subjects))
        if not peers:
            return
        rows: dict[str, dict[str, list[Verdict]]] = {}
        for result in summary.results:
            row = rows.setdefault(result.instance.case.id, {})
            for peer in result.instance.subjects:
                row.setdefault(peer, []).append(result.attempt.verdict)
        width = max(len(name) for name in rows) + 2
        cell = max(16, *(len(peer) + 2 for peer in peers))
        self.line()
        self.line("case".ljust(width) + "".join(peer.ljust(cell) for peer in peers))
        for name, row in sorted(rows.items()):
            self.line(name.ljust(width) + "".join(self._cell(row.get(peer, []), cell) for peer in peers))
        all_of = {peer: [v for row in rows.values() for v in row.get(peer, [])] for peer in peers}
        self.line("total".ljust(width) + "".join(self._cell(all_of[peer], cell) for peer in peers).rstrip())
        self.line("(an instance between two peers counts in both columns)")

    def _cell(self, verdicts: Sequence[Verdict], width: int) -> str:
        if not verdicts:
            return "-".ljust(width)
        counts = Counter(verdicts)
        worst = next(verdict for verdict in ORDER if counts[verdict])
        text = " ".join(f"{counts[verdict]} {verdict}" for verdict in reversed(ORDER) if counts[verdict])
        return self.paint(worst, text) + " " * max(1, width - len(text))
