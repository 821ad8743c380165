"""Children of the harness: nobody but asyncio's watcher reaps them, and a cancellation leaves none behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, cast

import pytest

from alts_conformance import _children

if TYPE_CHECKING:
    from asyncio.subprocess import Process

SLEEP = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")


def _nobody_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    def poll(self: object) -> None:
        raise AssertionError("a poll reaps the child before its watcher does")

    monkeypatch.setattr(subprocess.Popen, "poll", poll)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaps_nobody(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    async def main() -> None:
        process = await _children.start_child(*SLEEP, stdout=subprocess.PIPE)
        assert process.stdout is not None
        await process.stdout.readline()
        with monkeypatch.context() as patched:
            _nobody_polls(patched)
            _children.signal_child(process, number)
            assert await process.wait() == -number
            _children.signal_child(process, number)  # of one that has ended: nothing happens
            assert await _children.end_child(process) == -number

    asyncio.run(main())


class _Slow:
    """A child that takes its time to die, and whoever waits for it may be cancelled."""

    def __init__(self) -> None:
        self.pid, self.returncode = 4_000_000, None
        self.waits = 0
        self._dead = asyncio.Event()

    async def wait(self) -> None:
        self.waits += 1
        await self._dead.wait()

    def die(self) -> None:
        self.returncode = cast("None", -9)
        self._dead.set()


def test_a_cancelled_end_waits_until_the_child_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))

    async def main() -> None:
        child = _Slow()
        ending = asyncio.ensure_future(_children.end_child(cast("Process", child)))
        for times in (1, 2, 3):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert child.waits == times
            assert not ending.done()
            ending.cancel()
        child.die()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert sent == [(4_000_000, signal.SIGKILL)]

    asyncio.run(main())


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_a_cancelled_start_leaves_no_process(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    started: list[int] = []
    popen = subprocess.Popen

    class Noting(popen):  # type: ignore[misc,valid-type]  # the base is a variable, to get at the real one
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)
            started.append(self.pid)

    async def main() -> None:
        starting = asyncio.ensure_future(_children.start_child(*SLEEP, stdout=subprocess.DEVNULL))
        for _ in range(steps):
            await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    monkeypatch.setattr(subprocess, "Popen", Noting)
    asyncio.run(main())
    assert len(started) == (steps > 0)
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
