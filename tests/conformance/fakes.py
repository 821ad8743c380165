"""A driver without any network stack behind it, for tests of the harness itself; and a planted module of cases."""

from __future__ import annotations

import sys
from pathlib import Path

FAKE_DRIVER = """
import json, os, sys, time
MODE = sys.argv[1] if len(sys.argv) > 1 else "good"
if MODE == "does-not-start":
    sys.exit("planted: it does not start")
for line in sys.stdin:
    command = json.loads(line)
    name, answer = command["command"], {"id": command["id"], "ok": True}
    if name == "hello":
        protocol = 2 if MODE == "other-protocol" else 1
        capabilities = ["server", "insecure"] + (["record"] if MODE == "other-capabilities" else [])
        answer.update(protocol=protocol, peer="fake", version="1.2.3", capabilities=capabilities)
        if MODE == "refuses-hello":
            answer = {"id": command["id"], "ok": False, "error": "failed", "detail": "planted"}
        if MODE == "mute":
            time.sleep(3600)
    elif name == "start_server":
        if MODE == "dies":
            os._exit(7)
        if MODE == "sleeps":
            time.sleep(3600)
        answer.update(server="s1", port=9)
        if MODE == "no-port":
            del answer["port"]
        if MODE == "port-in-words":
            answer["port"] = "nine"
        if MODE == "more-than-asked":
            answer["verdict"] = "pass"
        if MODE == "ok-in-words":
            answer["ok"] = "yes"
        if MODE == "no-json":
            print("listening on port 9", flush=True)
        if MODE == "no-object":
            print("[1, 2]", flush=True)
        if MODE == "another-id":
            answer["id"] = 4711
        if MODE == "cut-short":
            print('{"id": 3, "ok": tr', end="", flush=True)
            os._exit(7)
    elif name == "observe":
        answer.update(calls=[])
    elif name == "reset":
        pass
    elif MODE == "accepts-anything":
        pass
    else:
        answer = {"id": command["id"], "ok": False, "error": "nonsense" if MODE == "odd-canary" else "unsupported"}
    print(json.dumps(answer), flush=True)
"""

PLANTED = '''
import asyncio
import os
from alts_conformance import CaseRun, Reaction, Severity, case
from alts_conformance._recording import Recording

COMMON = dict(requirements=("HS-1",), severity=Severity.LOW, why="It is a plant of the tests.", subjects=("server",))

@case(**COMMON)
async def always_fails(run: CaseRun) -> None:
    """A case that fails whatever the peer does."""
    run.reaction_seen = Reaction.CONTINUED
    run.expect(False, f"planted, choice {run.seed}")

@case(**COMMON)
async def always_passes(run: CaseRun) -> None:
    """A case that passes whatever the peer does."""

@case(**COMMON, parameters={"size": [1, 2]})
async def asks_the_server(run: CaseRun, size: int) -> None:
    """A case that starts a server and waits at most a second for it."""
    driver = await run.driver("server", alts=False)
    await driver.call("start_server", seconds=1, security="insecure")

@case(**COMMON, limit=0.5)
async def never_ends(run: CaseRun) -> None:
    """A case that waits for something that does not come."""
    await asyncio.sleep(3600)

@case(**COMMON)
async def breaks(run: CaseRun) -> None:
    """A case with a mistake in it: that is no finding about a peer."""
    raise ZeroDivisionError

@case(**COMMON, profiles=("doomed",))
async def a_kills_the_worker(run: CaseRun) -> None:
    """A case in which the worker itself ends."""
    os._exit(9)

@case(**COMMON, parameters={"number": [1, 2, 3]}, profiles=("doomed",))
async def follows(run: CaseRun, number: int) -> None:
    """A case that comes behind the one that kills the worker."""

@case(**COMMON, parameters={"then": ["end", "wait"]})
async def makes_a_realm(run: CaseRun, then: str) -> None:
    """A case that has private keys made, and ends or waits."""
    await run.world.ensure_realm()
    if then == "wait":
        await asyncio.sleep(3600)

@case(**COMMON)
async def has_a_long_transcript(run: CaseRun) -> None:
    """A case whose transcript has some 100 KiB."""
    recording = Recording("long")
    run.record(recording)
    for number in range(12):
        recording.add("opaque", "c2s", bytes(5000))

TRIES = []

@case(**COMMON)
async def fails_at_first(run: CaseRun) -> None:
    """A case that fails the first time and passes from then on."""
    TRIES.append(run.seed)
    run.expect(len(TRIES) > 1, "the first try")
'''


def write_fakes(folder: Path) -> str:
    """Write the fake driver and the planted cases; return the command that starts the driver."""
    (folder / "fake_driver.py").write_text(FAKE_DRIVER)
    (folder / "planted.py").write_text(PLANTED)
    return f"{sys.executable} {folder / 'fake_driver.py'}"
