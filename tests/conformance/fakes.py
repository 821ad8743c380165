"""A driver without any network stack behind it, for tests of the harness itself; and a planted module of cases."""

from __future__ import annotations

import sys
from pathlib import Path

FAKE_DRIVER = """
import json, os, sys, time
MODE = sys.argv[1] if len(sys.argv) > 1 else "good"
for line in sys.stdin:
    command = json.loads(line)
    name, answer = command["command"], {"id": command["id"], "ok": True}
    if name == "hello":
        protocol = 2 if MODE == "other-protocol" else 1
        answer.update(protocol=protocol, peer="fake", version="1.2.3", capabilities=["server", "insecure"])
    elif name == "start_server":
        if MODE == "dies":
            os._exit(7)
        if MODE == "sleeps":
            time.sleep(3600)
        answer.update(server="s1", port=9)
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
from alts_conformance import CaseRun, Reaction, Severity, case

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
