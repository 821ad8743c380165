"""A worker: one process in namespaces of its own that runs instances which the runner names, JSON lines on stdio.

From the runner: one configuration line, then ``{"run": ID, "seed": S, "transcript": PATH}`` lines. To the runner: one
``{"ready": true, …}`` or ``{"fault": …}`` line, then one line for each instance. Started as
``python -m alts_conformance._worker``; it must be single-threaded until it has entered its namespaces.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import IO, Any

from . import _namespaces

#: How a note begins that says why a transcript is missing.
NO_TRANSCRIPT = "no transcript"


class _Output:
    """The runner's end of stdout; everything else that prints goes to stderr."""

    def __init__(self) -> None:
        self._stream: IO[str] = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def send(self, message: dict[str, Any]) -> None:
        """One line."""
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()


def enter_world(folder: Path) -> str | None:
    """Namespaces, loopback, product name, hosts file; returns what is missing, or None."""
    try:
        _namespaces.enter()
        _namespaces.raise_loopback([f"fd00::{number}" for number in range(2, 25)])
        _namespaces.fake_platform()
        hosts = folder / "hosts"
        hosts.write_text(_namespaces.hosts_text())
        _namespaces.use_hosts(hosts)
    except OSError as error:
        return error.strerror or str(error)
    return None


async def serve(configuration: dict[str, Any], folder: Path, output: _Output, missing: str | None) -> None:
    """Answer the runner until its end of the pipe closes."""
    from . import _case, _peers
    from ._verdict import HarnessError
    from ._world import World

    extra = {peer.name: peer for peer in map(_peers.extra_peer, configuration.get("drivers", []))}
    peers = {name: _peers.get(name, extra) for name in configuration["peers"]}
    world = World(folder, peers, isolated=missing is None)
    try:
        registry = _case.discover(configuration.get("cases", []))
    except HarnessError as error:
        output.send({"fault": str(error)})
        return
    declared = {name: peer.capabilities for name, peer in peers.items()}
    instances = {instance.id: instance for instance in registry.instances(declared)}
    problems, findings = {}, {}
    if missing is not None:
        problems = {n: f"needs a namespace of its own: {missing}" for n, p in peers.items() if p.uses_handshaker}
    try:
        findings = await world.probe() if configuration.get("probe") else {}
    except HarnessError as error:
        output.send({"fault": str(error)})
        await world.close()
        return
    output.send({"ready": True, "problems": problems, "findings": findings, "versions": world.versions})
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            request = json.loads(line)
            instance = instances.get(request["run"])
            if instance is None:
                output.send({"id": request["run"], "verdict": "harness", "message": "no such instance"})
                continue
            output.send(await attempt(instance, world, int(request["seed"]), request.get("transcript")))
    finally:
        await world.close()


async def attempt(instance: Any, world: Any, seed: int, transcript: str | None) -> dict[str, Any]:
    """Run one instance once and describe how it ended."""
    from ._context import CaseRun
    from ._verdict import CaseEnded, HarnessError, Verdict

    rng = instance.rng(seed)
    run = CaseRun(instance, world, rng, rng.getrandbits(48))
    begin = time.monotonic()
    verdict, message, fault = Verdict.PASS, "", None
    try:
        async with asyncio.timeout(instance.case.limit):
            await instance.case.function(run, **instance.values)
        verdict, message = run.verdict, run.message
    except CaseEnded as ended:
        verdict, message = ended.verdict, ended.message
    except TimeoutError:
        verdict, message = Verdict.HANG, f"not done within {instance.case.limit:g} s"
    except HarnessError as error:
        verdict, message = Verdict.HARNESS, str(error)
    except Exception as error:
        verdict, message = Verdict.HARNESS, f"{type(error).__name__}: {error}"
        fault = traceback.format_exc(limit=-6)
    seconds = time.monotonic() - begin
    notes = list(run.notes)
    if verdict not in (Verdict.PASS, Verdict.SKIPPED):
        notes += run.peer_stderr()
    if fault:
        notes += fault.splitlines()
    try:
        async with asyncio.timeout(20):
            await run.finish(clean=verdict in (Verdict.PASS, Verdict.LENIENT, Verdict.SKIPPED))
    except (HarnessError, TimeoutError) as error:
        verdict, message = Verdict.HARNESS, str(error) or "cleaning up took more than 20 s"
    written = False
    try:
        written = transcript is not None and run.write_transcript(Path(transcript))
    except OSError as error:
        notes.append(f"{NO_TRANSCRIPT}: {error.strerror or error}")
    return {
        "id": instance.id,
        "verdict": verdict.value,
        "message": message,
        "reaction": run.reaction_seen.value if run.reaction_seen else None,
        "seconds": round(seconds, 3),
        "transcript": transcript if written else None,
        "notes": notes,
        "versions": world.versions,
    }


def main() -> int:
    """Entry point of the worker process."""
    configuration = json.loads(sys.stdin.readline() or "{}")
    if not configuration:
        return 3
    _namespaces.die_with_parent()
    output = _Output()
    # The runner's to remove: a worker is killed at any time, and this folder holds private keys.
    folder = Path(configuration["folder"])
    missing = enter_world(folder) if configuration.get("isolate", True) else "switched off"
    if missing is not None and configuration.get("isolate", True) and os.environ.get("OPENALTS_NO_ISOLATION") != "1":
        output.send({"fault": f"no namespace for the worker: {missing}"})
        return 3
    asyncio.run(serve(configuration, folder, output, missing))
    return 0


if __name__ == "__main__":
    sys.exit(main())
