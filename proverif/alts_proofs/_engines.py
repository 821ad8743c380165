"""What a prover is to us, and how one is found."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Protocol

from alts_proofs._errors import EngineUnavailable, UsageError
from alts_proofs._manifest import Script
from alts_proofs._outcome import Outcome
from alts_proofs._proverif import ProVerif
from alts_proofs.engine import BuiltIn


class Engine(Protocol):
    """A prover."""

    @property
    def name(self) -> str:
        """What ``--engine`` calls it."""

    @property
    def version(self) -> str | None:
        """Its version; None before `available` has looked or when it cannot run."""

    def available(self) -> str | None:
        """None if it can run here; else the reason why not and what to do about it."""

    def prove(self, script: Script, timeout: float, cancelled: Event) -> tuple[Outcome, ...]:
        """One outcome for each query of the script, in its order, within `timeout` seconds or soon after.

        Raises `EngineFailure` when what the engine did cannot be trusted. Gives up early when `cancelled` is set.
        """


# `auto` takes the first that can run here.
_MAKERS: dict[str, Callable[[], Engine]] = {"proverif": ProVerif, "builtin": BuiltIn}
_AUTO = ("proverif", "builtin")
ENGINES = ("auto", *_MAKERS)


def select_engine(name: str) -> Engine:
    """The engine called `name`, ready to run.

    Raises `UsageError` if there is no such engine and `EngineUnavailable` if it, or with ``auto`` any, cannot run here.
    """
    if name != "auto" and name not in _MAKERS:
        raise UsageError(f"there is no engine {name!r}; there are {', '.join(ENGINES)}")
    reasons = []
    for candidate in _AUTO if name == "auto" else (name,):
        engine = _MAKERS[candidate]()
        reason = engine.available()
        if reason is None:
            return engine
        reasons.append(reason)
    raise EngineUnavailable("; ".join(reasons))
