"""Proving a set of scripts with an engine, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from alts_proofs._engines import Engine
from alts_proofs._errors import EngineFailure
from alts_proofs._manifest import Script
from alts_proofs._outcome import Outcome
from alts_proofs._report import FileReport, Report
from alts_proofs.engine import BuiltIn

_OPEN_SECONDS = 10.0


def prove(
    engine: Engine,
    scripts: Sequence[Script],
    timeout: float | None = None,
    jobs: int = 1,
    progress: Callable[[FileReport], None] = lambda file: None,
) -> Report:
    """Has `engine` judge all queries of `scripts`, `jobs` files at once, and reports in the order of `scripts`.

    `timeout` is in seconds for each file; without it each has its own limit. `progress` is called from the working
    threads when a file is done. A file for which the engine fails is reported as such; the others still run.
    """
    cancelled = Event()

    def one(script: Script) -> FileReport:
        file = _prove_one(engine, script, timeout or _limit(engine, script), cancelled)
        if not cancelled.is_set():
            progress(file)
        return file

    # The longest first, so that none is left over for the end.
    order = sorted(range(len(scripts)), key=lambda i: -(scripts[i].seconds or 0.0))
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        try:
            done = dict(zip(order, pool.map(one, [scripts[i] for i in order]), strict=True))
        except BaseException:
            # Interrupted: the workers kill their provers instead of waiting for them.
            cancelled.set()
            raise
    return Report(engine.name, engine.version, tuple(done[i] for i in range(len(scripts))))


def _limit(engine: Engine, script: Script) -> float:
    """The file's own limit; a short one where the engine is known to leave the file open."""
    if script.builtin_open is not None and engine.name == BuiltIn.name:
        return min(script.max_seconds, _OPEN_SECONDS)
    return script.max_seconds


def skip(engine: str, scripts: Sequence[Script], reason: str) -> Report:
    """A report that says of every query that it was skipped, and why."""
    return Report(
        engine,
        None,
        tuple(
            FileReport(script, tuple(Outcome(query, "skipped", reason=reason) for query in script.queries))
            for script in scripts
        ),
    )


def _prove_one(engine: Engine, script: Script, timeout: float, cancelled: Event) -> FileReport:
    if cancelled.is_set():
        failure = "interrupted"
    else:
        try:
            outcomes = engine.prove(script, timeout, cancelled)
        except EngineFailure as error:
            failure = str(error)
        else:
            return FileReport(
                script, outcomes, may_be_open=script.builtin_open if engine.name == BuiltIn.name else None
            )
    return FileReport(
        script,
        tuple(Outcome(query, "unsupported", reason=failure) for query in script.queries),
        failure,
    )
