"""The built-in prover as an engine: worker processes, a time limit, and checks that its queries are those expected."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

from alts_proofs._errors import EngineFailure
from alts_proofs._manifest import Script
from alts_proofs._outcome import Outcome, Result
from alts_proofs._trace import TraceStep

_POLL = 0.1
_GRACE = 20.0
_RESULTS = frozenset({"true", "false", "cannot_be_proved", "unsupported", "timeout"})
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_'-]*|==>|&&|\|\||<>|=")

Watcher = Callable[[str, list[int]], None]
"""Called with a script and the clauses processed, kept, waiting, and those a second."""


class BuiltIn:
    """Proves with the engine of this package. Needs nothing but Python.

    Every file has a process of its own, and no more run at once than there are cores.
    """

    name = "builtin"

    def __init__(self, watcher: Watcher | None = None) -> None:
        self.watcher = watcher
        self._slots = threading.BoundedSemaphore(max(1, os.cpu_count() or 1))

    @property
    def version(self) -> str | None:
        """The version of the engine."""
        return "1"

    def available(self) -> str | None:
        """It can always run."""
        return None

    def prove(self, script: Script, timeout: float, cancelled: threading.Event) -> tuple[Outcome, ...]:
        """One outcome for each query of `script`. What has no verdict after `timeout` seconds of work is a timeout.

        Raises `EngineFailure` if a worker fails, or if the script has other queries than the expected ones.
        """
        with self._slots:
            found = {} if cancelled.is_set() else self._work(script, timeout, cancelled)
        late = f"no verdict within {timeout:g} s"
        return tuple(
            found.get(index, Outcome(query, "timeout", reason=late)) for index, query in enumerate(script.queries)
        )

    def _work(self, script: Script, timeout: float, cancelled: threading.Event) -> dict[int, Outcome]:
        command = [sys.executable, "-m", "alts_proofs.engine", "--timeout", str(timeout)]
        command += ["--progress"] if self.watcher is not None else []
        # The package is found where this process found it; scripts lie in the current folder of the worker.
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        try:
            process = subprocess.Popen(
                [*command, *script.arguments()],
                cwd=script.root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
            )
        except OSError as error:
            raise EngineFailure(f"a worker cannot be started: {error.strerror}") from error
        lines: list[dict[str, Any]] = []
        errors: list[str] = []
        reader = threading.Thread(target=self._read, args=(process.stdout, script, lines), daemon=True)
        complaints = threading.Thread(target=_drain, args=(process.stderr, errors), daemon=True)
        reader.start()
        complaints.start()
        deadline = time.monotonic() + timeout + _GRACE
        late = False
        try:
            while process.poll() is None:
                if cancelled.is_set() or time.monotonic() > deadline:
                    late = True
                    break
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL)
        finally:
            process.kill()
            process.wait()
            reader.join()
            complaints.join()
        if process.returncode and not late:
            last = errors[-1].strip() if errors else f"status {process.returncode}"
            raise EngineFailure(f"the built-in engine failed: {last}")
        return _outcomes(script, lines)

    def _read(self, stream: IO[str], script: Script, lines: list[dict[str, Any]]) -> None:
        for line in stream:
            try:
                document = json.loads(line)
            except ValueError:
                document = {"garbage": line}
            if "progress" in document:
                if self.watcher is not None:
                    self.watcher(script.file, document["progress"])
            else:
                lines.append(document)


def _drain(stream: IO[str], into: list[str]) -> None:
    into.extend(stream)


def _outcomes(script: Script, lines: list[dict[str, Any]]) -> dict[int, Outcome]:
    """What a worker said. Raises `EngineFailure` if it speaks of other queries, or of none."""
    found: dict[int, Outcome] = {}
    for document in lines:
        if "unsupported" in document:
            return {i: Outcome(q, "unsupported", reason=document["unsupported"]) for i, q in enumerate(script.queries)}
        if "queries" in document:
            _compare(script, document["queries"])
        elif document.get("result") in _RESULTS:
            index = document["query"]
            found[index] = Outcome(
                script.queries[index],
                cast("Result", document["result"]),
                document["seconds"],
                document.get("reason"),
                document.get("trace"),
                tuple(TraceStep(**step) for step in document.get("steps", ())),
            )
        else:
            raise EngineFailure("a worker of the built-in engine printed something else")
    return found


def _compare(script: Script, texts: list[str]) -> None:
    """Raises `EngineFailure` unless the queries are the expected ones, in their order."""
    if len(texts) != len(script.queries):
        raise EngineFailure(f"the script has {len(texts)} queries, {len(script.queries)} are expected")
    for number, (text, query) in enumerate(zip(texts, script.queries, strict=True), 1):
        if _words(text) != _words(query.echo):
            raise EngineFailure(f"query {number} should be {query.id}, `{query.echo}`, and is `{text}`")


def _words(query: str) -> list[str]:
    """The identifiers and operators of a query, whether ProVerif prints it or the script has it."""
    words = _WORD.findall(re.sub(r"_p[0-9]+\(|\) phase [0-9]+", "(", query))
    return words[1:] if words[:1] == ["not"] else words
