"""Reading what ProVerif prints."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from alts_proofs._errors import EngineFailure

Verdict = Literal["true", "false", "cannot_be_proved"]

_VERDICTS: dict[str, Verdict] = {"is true": "true", "is false": "false", "cannot be proved": "cannot_be_proved"}
_RESULT = re.compile(r"RESULT (?P<query>.+?) (?P<verdict>is true|is false|cannot be proved)\.(?: .*)?")
# What ProVerif adds to the verdict on an injective query: how the query fares without counting.
_REMARK = re.compile(r"RESULT \((?:but|even) .*")
_SUMMARY = "Verification summary:"
# Where there are lemmas, entries are items of two lists.
_SUMMARY_ENTRY = re.compile(
    r"(?: - )?(?:Query|Lemma) .+ (?:is true|is false|cannot be proved)(?: in process \d+)?\.(?: .*)?"
)
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Variables of expanded macros get a prefix, repeated names a suffix; both depend on what else is in the file.
_NUMBERING = re.compile(r"@\d+_|(?<=[A-Za-z])_\d+\b")
_TRACE_BEGINS = re.compile(r"Derivation:|goal reachable:|New processes:")
_TRACE_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Judgement:
    """One ``RESULT`` line: the query without ProVerif's numbering, the verdict, the trace if an attack was found."""

    echo: str
    verdict: Verdict
    trace: str | None


def normalised(query: str) -> str:
    """A query as ProVerif prints it, without its numbering of variables and with single spaces."""
    return " ".join(_NUMBERING.sub("", query).split())


class OutputReader:
    """Takes ProVerif's output line by line and gives the verdicts in their order.

    Memory stays bounded whatever is printed: of the text between two verdicts only the last 64 KiB of a trace are kept.
    """

    def __init__(self) -> None:
        self._trace: list[str] = []
        self._trace_size = 0
        self._tracing = False
        self._verdicts = 0
        self._summary: int | None = None
        self._error: list[str] = []

    def line(self, raw: str) -> Judgement | None:
        """Reads one line; gives a verdict if the line has one. Raises `EngineFailure` for one that it cannot read."""
        text = _ESCAPES.sub("", raw).rstrip()
        if self._summary is not None:
            self._summary += _SUMMARY_ENTRY.fullmatch(text) is not None
            return None
        if text == _SUMMARY:
            self._summary = 0
            return None
        if text.startswith("RESULT "):
            return self._result(text)
        if self._error or text.startswith(("Error:", "Internal error", "Fatal error")):
            self._error = [*self._error, text][:5]
        if _TRACE_BEGINS.match(text):
            self._tracing = True
        if self._tracing and text:
            self._keep(text)
        return None

    def finish(self) -> None:
        """Raises `EngineFailure` unless the output is whole: no error, and a summary with an entry for each verdict."""
        if self._error:
            raise EngineFailure(f"ProVerif says: {' '.join(self._error).strip()[:300]}")
        if self._summary is None:
            raise EngineFailure("ProVerif's output ends before its summary")
        if self._summary != self._verdicts:
            raise EngineFailure(f"ProVerif's summary has {self._summary} entries for {self._verdicts} verdicts")

    def _result(self, text: str) -> Judgement | None:
        if _REMARK.fullmatch(text):
            return None
        match = _RESULT.fullmatch(text)
        if match is None:
            raise EngineFailure(f"ProVerif's verdict cannot be read: {text[:200]}")
        self._verdicts += 1
        verdict = _VERDICTS[match["verdict"]]
        trace = "\n".join(self._trace) if verdict == "false" and self._trace else None
        self._trace, self._trace_size, self._tracing = [], 0, False
        return Judgement(normalised(match["query"]), verdict, trace)

    def _keep(self, text: str) -> None:
        text = text[:_TRACE_LIMIT]
        self._trace.append(text)
        self._trace_size += len(text)
        while self._trace_size > _TRACE_LIMIT and len(self._trace) > 1:
            self._trace_size -= len(self._trace.pop(0))
