"""Errors of the built-in engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alts_proofs._errors import ProofsError

if TYPE_CHECKING:
    from alts_proofs.engine._lexer import Place


class EngineError(ProofsError):
    """Root of the errors of the built-in engine; `place` is where in the script, if it is about a place."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place


class ScriptError(EngineError):
    """The script is not in the language: it cannot be parsed, or something in it is not declared."""


class Unsupported(EngineError):
    """The script uses a feature of the language that the engine does not have; the message names it."""


class TimeUp(EngineError):
    """The time limit was reached, or the run was cancelled."""
