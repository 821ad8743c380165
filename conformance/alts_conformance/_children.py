"""Children that asyncio watches: started and signalled so that nobody but the watcher reaps them.

`Process.kill`, `terminate` and `send_signal` first look whether the child has ended, and so reap it. The watcher of
asyncio, in its own thread, may then find no child any more: it warns, and reports 255 as exit code. asyncio does the
same to a child whose start is cancelled half-way.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio.subprocess import Process


async def start_child(*command: str, **options: Any) -> Process:
    """Start a process as `asyncio.create_subprocess_exec` does; if that is cancelled, the process is killed."""
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*command, **options))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        while not starting.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(starting)
        if not starting.cancelled() and starting.exception() is None:
            await end_child(starting.result())
        raise


async def end_child(process: Process) -> int:
    """Kill a child, unless it has ended, and return its exit code; a cancellation waits until it is gone."""
    signal_child(process)
    cancelled = False
    while process.returncode is None:
        try:
            await process.wait()
        except asyncio.CancelledError:  # `asyncio.run` cancels what is left, a second time
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return process.returncode


def signal_child(process: Process, number: signal.Signals = signal.SIGKILL) -> None:
    """Send `number` to a child, unless it has ended; its exit code stays the watcher's to find."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
