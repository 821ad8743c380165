"""The runner: hands instances to workers, kills what hangs, tries failures again, and collects results.

The run is a function of the seed: every instance draws its choices from the seed and its own ID, whatever the order
in which workers take them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import _known
from ._case import Instance
from ._scratch import scratch_folder
from ._verdict import FINDINGS, Attempt, HarnessError, Verdict, merge_attempts

#: Seconds beyond a case's own limit after which its worker is killed.
GRACE = 25.0
#: Seconds for a worker to come up.
START = 60.0


@dataclass(slots=True)
class Options:
    """What a run needs to know."""

    peers: Sequence[str]
    seed: int
    jobs: int = 1
    retries: int = 2
    report: Path | None = None
    cases: Sequence[str] = ()
    drivers: Sequence[str] = ()
    known: Sequence[_known.KnownFinding] = ()
    isolate: bool = True
    #: Where the workers' folders are made, or None: wherever temporary folders go.
    scratch: Path | None = None


@dataclass(slots=True)
class Result:
    """The final word on one instance."""

    instance: Instance
    attempt: Attempt
    attempts: int


@dataclass(slots=True)
class Run:
    """State of a run, and after it the outcome."""

    results: list[Result] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    #: Peers that did not start as they should, with what is said of each of their instances.
    findings: dict[str, Attempt] = field(default_factory=dict)
    interrupted: bool = False
    #: Why the harness could not finish; the results so far are there all the same.
    fault: str | None = None


class WorkerLost(Exception):
    """The worker ended or had to be killed while it ran an instance."""


class Worker:
    """One worker process, everything in its session, and its folder on disk, which holds private keys."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self.hello: dict[str, Any] = {}

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.returncode is None

    @classmethod
    async def start(cls, options: Options, *, probe: bool) -> Worker:
        """Start a worker and wait until it is ready.

        Raises:
            HarnessError: it does not come up; the message says what it lacks.
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix="worker-", dir=options.scratch))
        except OSError as error:
            raise HarnessError(f"no folder for a worker: {error}") from None
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "alts_conformance._worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=None if os.environ.get("OPENALTS_DEBUG") else asyncio.subprocess.DEVNULL,
                start_new_session=True,
                limit=16 << 20,
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        worker = cls(process, folder)
        configuration = {
            "folder": str(folder),
            "peers": list(options.peers),
            "cases": list(options.cases),
            "drivers": list(options.drivers),
            "isolate": options.isolate,
            "probe": probe,
        }
        try:
            worker.hello = await worker._exchange(configuration, START)
        except (WorkerLost, TimeoutError):
            await worker.kill()
            raise HarnessError("a worker did not come up (OPENALTS_DEBUG=1 shows what it prints)") from None
        except BaseException:
            await worker.kill()
            raise
        if "fault" in worker.hello:
            await worker.kill()
            raise HarnessError(str(worker.hello["fault"]))
        return worker

    async def _exchange(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(message).encode() + b"\n")
            await stdin.drain()
            async with asyncio.timeout(seconds):
                line = await stdout.readline()
        except ConnectionError:
            raise WorkerLost from None
        if not line:
            raise WorkerLost
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def run(self, instance: Instance, seed: int, transcript: Path | None) -> dict[str, Any]:
        """Run an instance once.

        Raises:
            TimeoutError: no answer in time; the worker must be killed.
            WorkerLost: the worker ended.
        """
        request = {"run": instance.id, "seed": seed, "transcript": str(transcript) if transcript else None}
        return await self._exchange(request, instance.case.limit + GRACE)

    async def kill(self) -> None:
        """Kill the worker and all that it started (they are one process group), then remove its folder."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        try:
            await self._process.wait()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def stop(self) -> None:
        """Ask the worker to end; kill it if it does not."""
        stdin = self._process.stdin
        if stdin is not None:
            stdin.close()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            pass
        await self.kill()


def drive(runner: Runner, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run ``work`` in an event loop of its own; how it was ended before its time is in the state of the runner.

    Whatever workers leave on disk is gone afterwards, also after SIGINT and SIGTERM (:func:`terminable`); what a
    killed run left goes at the next one.
    """
    try:
        with scratch_folder("alts-conform-") as runner.options.scratch:
            asyncio.run(work())
    except KeyboardInterrupt:
        runner.state.interrupted = True
    except HarnessError as error:
        runner.state.fault = str(error)
    finally:
        runner.options.scratch = None


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Have SIGTERM and SIGHUP do what SIGINT does (KeyboardInterrupt), so that what was begun is cleaned up."""
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Runner:
    """Runs instances on ``jobs`` workers."""

    def __init__(self, options: Options, on_result: Callable[[Result], None]) -> None:
        self.options = options
        self.state = Run()
        self._on_result = on_result
        self._queue: deque[Instance] = deque()
        self._workers: set[Worker] = set()

    async def run(self, instances: Sequence[Instance], *, first: Worker | None = None) -> Run:
        """Run all instances; those marked exclusive come last, alone.

        Raises:
            HarnessError: no worker can be had, or the report directory cannot be written.
        """
        shared = [instance for instance in instances if not instance.case.exclusive]
        alone = [instance for instance in instances if instance.case.exclusive]
        if first is not None:
            self._workers.add(first)
        spare = [first] if first is not None else []
        try:
            for batch, jobs in ((shared, self.options.jobs), (alone, 1)):
                self._queue.extend(batch)
                async with asyncio.TaskGroup() as group:
                    for _ in range(max(1, min(jobs, len(batch))) if batch else 0):
                        group.create_task(self._work(spare.pop() if spare else None, spare, keep=not spare))
        except BaseExceptionGroup as group_error:
            faults, others = group_error.split(HarnessError)
            if faults is not None and others is None:
                fault: BaseException = faults
                while isinstance(fault, BaseExceptionGroup):
                    fault = fault.exceptions[0]
                raise fault from None
            raise
        finally:
            await asyncio.gather(*(worker.kill() for worker in self._workers))
        return self.state

    async def _work(self, worker: Worker | None, spare: list[Worker], *, keep: bool) -> None:
        while self._queue:
            instance = self._queue.popleft()
            attempts: list[Attempt] = []
            tries = 1
            while len(attempts) < tries:
                if worker is None:
                    worker = await Worker.start(self.options, probe=False)
                    self._workers.add(worker)
                attempts.append(await self._attempt(worker, instance, len(attempts)))
                if attempts[-1].verdict is Verdict.HANG or not worker.alive:
                    await self._discard(worker)
                    worker = None
                if len(attempts) == 1 and attempts[0].verdict in FINDINGS:
                    tries = 1 if self._is_declared(instance, attempts[0]) else 1 + self.options.retries
            merged = merge_attempts(attempts)
            final = _known.apply(merged, instance, self.options.known, self.state.versions)
            result = Result(instance, final, len(attempts))
            self.state.results.append(result)
            self._on_result(result)
        if worker is not None:
            if keep:
                spare.append(worker)
            else:
                self._workers.discard(worker)
                await worker.stop()

    def _is_declared(self, instance: Instance, attempt: Attempt) -> bool:
        return any(
            f.covers(instance, self.state.versions.get(f.peer, "0")) and f.agrees(attempt) for f in self.options.known
        )

    async def _discard(self, worker: Worker) -> None:
        self._workers.discard(worker)
        await worker.kill()

    async def _attempt(self, worker: Worker, instance: Instance, number: int) -> Attempt:
        transcript = self._transcript(instance, number)
        try:
            answer = await worker.run(instance, self.options.seed, transcript)
        except TimeoutError:
            return Attempt(Verdict.HANG, f"no end within {instance.case.limit + GRACE:g} s; the worker was killed")
        except WorkerLost:
            await self._discard(worker)
            return Attempt(Verdict.HARNESS, "the worker ended while it ran this case")
        self.state.versions.update(answer.get("versions", {}))
        return Attempt(
            Verdict(answer["verdict"]),
            answer["message"],
            answer.get("reaction"),
            float(answer.get("seconds", 0.0)),
            answer.get("transcript"),
            list(answer.get("notes", [])),
        )

    def _transcript(self, instance: Instance, number: int) -> Path | None:
        if self.options.report is None:
            return None
        name = instance.id.replace("::", ".").replace("/", ".").replace(",", ".") + (
            f".try{number + 1}" if number else ""
        )
        return self.options.report / "transcripts" / (name[:200] + ".jsonl")
