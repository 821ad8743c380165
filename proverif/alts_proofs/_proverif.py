"""ProVerif as an engine: found on this machine, run under a time limit, believed only if its output is whole."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from threading import Event, Thread
from typing import IO

from alts_proofs._errors import EngineFailure
from alts_proofs._manifest import Script
from alts_proofs._outcome import Outcome
from alts_proofs._output import Judgement, OutputReader

VARIABLE = "ALTS_PROVERIF"
SUPPORTED = "2.05"
_BANNER = re.compile(r"Proverif (\d+\.\d+\S*?)\. ")
_REMEDY = f"put ProVerif {SUPPORTED} on PATH (opam install proverif) or name its executable in {VARIABLE}"
_POLL = 0.1
_LONGEST_LINE = 1 << 20
_END: tuple[float, str | None] = (0.0, None)


class ProVerif:
    """Runs the ProVerif that ``ALTS_PROVERIF`` names, else the one on ``PATH``."""

    name = "proverif"

    def __init__(self) -> None:
        self._executable: str | None = None
        self._version: str | None = None

    @property
    def version(self) -> str | None:
        """The version that the executable tells; None before `available` has found one."""
        return self._version

    def available(self) -> str | None:
        """None if ProVerif of the supported version is here; else why not and what to do."""
        named = os.environ.get(VARIABLE)
        executable = shutil.which(named or "proverif")
        if executable is None:
            what = f"{VARIABLE} names no executable ({named})" if named else "ProVerif is not installed"
            return f"{what}: {_REMEDY}"
        try:
            banner = subprocess.run(
                [executable, "-help"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=30,
                check=False,
            ).stdout
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{executable} does not run ({type(error).__name__}): {_REMEDY}"
        match = _BANNER.match(banner)
        if match is None:
            return f"{executable} does not introduce itself as ProVerif: {_REMEDY}"
        if match[1] != SUPPORTED:
            return f"{executable} is ProVerif {match[1]}, the results are those of {SUPPORTED}: {_REMEDY}"
        self._executable, self._version = executable, match[1]
        return None

    def prove(self, script: Script, timeout: float, cancelled: Event) -> tuple[Outcome, ...]:
        """One outcome for each query of `script`. What had no verdict after `timeout` seconds is a timeout.

        Raises `EngineFailure` if ProVerif fails, prints an error, or judges other queries than the expected ones.
        """
        if self._executable is None:
            raise EngineFailure("ProVerif was not found")
        try:
            process = subprocess.Popen(
                [self._executable, *script.arguments()],
                cwd=script.root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise EngineFailure(f"ProVerif cannot be started: {error.strerror}") from error
        reader = OutputReader()
        outcomes: list[Outcome] = []
        try:
            start = last = time.monotonic()
            for moment, line in _lines(process, start + timeout, cancelled):
                judged = reader.line(line)
                if judged is not None:
                    outcomes.append(_outcome(script, len(outcomes), judged, moment - last))
                    last = moment
            if process.poll() is None:
                return (*outcomes, *_timeouts(script, len(outcomes), timeout))
        finally:
            _kill(process)
        reader.finish()
        if process.returncode:
            raise EngineFailure(f"ProVerif ended with status {process.returncode}")
        if len(outcomes) != len(script.queries):
            raise EngineFailure(f"ProVerif judged {len(outcomes)} queries, {len(script.queries)} are expected")
        return tuple(outcomes)


def _outcome(script: Script, index: int, judged: Judgement, seconds: float) -> Outcome:
    if index >= len(script.queries):
        raise EngineFailure(f"ProVerif judged more queries than the {len(script.queries)} expected ones")
    query = script.queries[index]
    if judged.echo != query.echo:
        raise EngineFailure(f"query {index + 1} should be {query.id}, `{query.echo}`, and is `{judged.echo}`")
    return Outcome(query, judged.verdict, seconds, trace=judged.trace)


def _timeouts(script: Script, done: int, timeout: float) -> Iterator[Outcome]:
    for query in script.queries[done:]:
        yield Outcome(query, "timeout", reason=f"no verdict within {timeout:g} s for the file")


def _lines(process: subprocess.Popen[str], deadline: float, cancelled: Event) -> Iterator[tuple[float, str]]:
    """The lines of the process with the moments they came at, until it has ended, the deadline or cancellation.

    If the process still runs afterwards, time was up.
    """
    lines: queue.Queue[tuple[float, str | None]] = queue.Queue(maxsize=10_000)
    stopped = Event()
    assert process.stdout is not None
    Thread(target=_pump, args=(process.stdout, lines, stopped), daemon=True).start()
    try:
        while (left := deadline - time.monotonic()) > 0 and not cancelled.is_set():
            try:
                moment, line = lines.get(timeout=min(left, _POLL))
            except queue.Empty:
                continue
            if line is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
                return
            yield moment, line
    finally:
        stopped.set()


def _pump(stream: IO[str], lines: queue.Queue[tuple[float, str | None]], stopped: Event) -> None:
    """Moves lines from the pipe to the queue; the end of the stream is None."""
    with contextlib.suppress(ValueError, OSError):  # the stream was closed under us: nobody listens any more
        while not stopped.is_set():
            line = stream.readline(_LONGEST_LINE)
            item = (time.monotonic(), line) if line else _END
            while not stopped.is_set():
                try:
                    lines.put(item, timeout=_POLL)
                except queue.Full:
                    continue
                break
            if not line:
                return


def _kill(process: subprocess.Popen[str]) -> None:
    """Ends the process and whatever it started. Its session is its own, so that the group is just that."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
